"""Local elections of 2017: 125 districts with several seats, 1,502 in all, some 7,500 candidates.

Of 1,600 voters on the roll of each district 14.82 percent come, and as many papers are mixed apart
from those of other districts. In one district the registrar votes for 300 people who stay at home.
The audit finds nothing wrong, and cannot; the observers, who have counted those who came, do.

Usage: local_2017.py [--scale 0.01] [--jobs 2] [--keep FOLDER]
"""

from __future__ import annotations

import random
from collections.abc import Iterator

from _scenario import Marks, Person, Scenario, marks_contest, part_of, start

from evote.demo import draw_marks
from evote.packing import Pack

DISTRICTS, VOTERS, CANDIDATES, SEATS = 125, 1_600, 60, 1_502
CAME, INVENTED, STUFFED = round(VOTERS * 0.1482), 300, "d001"


def districts(scale: float) -> list[str]:
    return [f"d{number:03}" for number in range(1, max(round(DISTRICTS * scale), 2) + 1)]


def seats(district: str) -> int:
    return SEATS // DISTRICTS + (int(district[1:]) <= SEATS % DISTRICTS)


def people(scale: float) -> Iterator[Person]:
    for district in districts(scale):
        for i in range(VOTERS):
            came = part_of(i, CAME, VOTERS)
            home = i - i * CAME // VOTERS  # the number among those who stay at home
            invented = not came and district == STUFFED and home < INVENTED
            name = f"{district} voter {i:04}"
            yield Person(name, style=district, district=district, ballots=came or invented)


def mark(rng: random.Random, person: Person) -> Marks:
    marks = rng.randint(1, seats(person.style))
    return {f"council-{person.style}": draw_marks(rng, CANDIDATES, marks)}


def scenario(names: list[str]) -> Scenario:
    asked = {name: (f"council-{name}",) for name in names}
    return Scenario(
        title="Local elections of 2017",
        seed=2017,
        contests=tuple(
            marks_contest(f"council-{name}", f"Council of {name}", CANDIDATES, seats(name))
            for name in names
        ),
        styles=asked,
        packs=tuple(Pack(id=name, contests=contests) for name, contests in asked.items()),
        people=people,
        mark=mark,
        mixers=3,
    )


def main() -> None:
    with start(lambda scale: scenario(districts(scale)), __doc__) as election:
        election.found()
        election.vote()
        election.finish()
        names = districts(election.scale)
        filled = [len(election.elected(f"council-{name}", seats(name))) for name in names]
        print(f"{sum(filled)} seats of {len(names)} districts")
        counts = election.folder / "observers.csv"
        counts.write_text("".join(["district,seen\n", *(f"{name},{CAME}\n" for name in names)]))
        where = (election.record, "--observers", counts, "--quiet")
        found = election.evote("turnout", "turnout", *where, exit_code=1).splitlines()
        named = [line for line in found if line.startswith(("observers: ", "missing: "))]
        print("\n".join(named))
        if [line.split(": ")[1] for line in named] != [STUFFED]:
            raise SystemExit("the observers do not name the district")


if __name__ == "__main__":
    main()
