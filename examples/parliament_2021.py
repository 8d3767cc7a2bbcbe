"""The parliament of 2021, online: 2,014,765 registered, 1,943,590 voters, mixed by district.

15 single-seat districts and a list of 14 parties. A district has its own style, pack and unit: its
papers are mixed apart, and published with their proof as soon as they are. One voter in twenty
votes again, which is made up, as are ten candidates a seat. An outsider counts a contested district
again, from the record alone.

Usage: parliament_2021.py [--scale 0.01] [--jobs 2] [--keep FOLDER]
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator

from _scenario import Marks, Person, Scenario, marks_contest, part_of, start

from evote.packing import Pack

ROLL, VOTERS = 2_014_765, 1_943_590
DISTRICTS = [f"{number:02}" for number in range(1, 16)]
CANDIDATES, PARTIES, CONTESTED = 10, 14, "08"


def people(scale: float) -> Iterator[Person]:
    roll, voters = (max(round(n * scale), 35 * 15) for n in (ROLL, VOTERS))
    for i in range(roll):
        number = DISTRICTS[i % 15]
        ballots = part_of(i, voters, roll) * (1 + (i % 20 == 0))
        yield Person(f"Voter {i:07}", style=f"d{number}", district=f"d{number}", ballots=ballots)


def mark(rng: random.Random, person: Person) -> Marks:
    seat, party = int(CANDIDATES * rng.random() ** 2), int(PARTIES * rng.random() ** 2)
    number = person.style[1:]
    return {
        f"seat-{number}": tuple(int(i == seat) for i in range(CANDIDATES)),
        f"list-{number}": tuple(int(i == party) for i in range(PARTIES)),
    }


def main() -> None:
    asked = {number: (f"seat-{number}", f"list-{number}") for number in DISTRICTS}
    sizes = {"seat": ("Seat of", CANDIDATES), "list": ("Parties in", PARTIES)}
    scenario = Scenario(
        title="Parliament of 2021, online",
        seed=2021,
        contests=tuple(
            marks_contest(name, f"{sizes[name[:4]][0]} district {number}", sizes[name[:4]][1], 1)
            for number, names in asked.items()
            for name in names
        ),
        styles={f"d{number}": names for number, names in asked.items()},
        packs=tuple(Pack(id=f"d{number}", contests=names) for number, names in asked.items()),
        people=people,
        mark=mark,
        mixers=2,
    )
    with start(scenario, __doc__) as election:
        election.found()
        election.vote()
        election.finish()
        lists = [election.votes(f"list-{number}") for number in DISTRICTS]
        print(f"parties: {' '.join(str(sum(votes)) for votes in zip(*lists, strict=True))}")
        print(f"seats: {' '.join(election.elected(f'seat-{n}', 1)[0] for n in DISTRICTS)}")
        contested = f"seat-{CONTESTED}"
        papers = election.evote(
            "recount", "mix", "ballots", election.record, "--contest", contested
        )
        said = [json.loads(line)["selections"] for line in papers.splitlines()]
        again = [sum(votes) for votes in zip(*said, strict=True)]
        print(f"{contested}, counted again from {len(said)} papers: {again}")
        if again != election.votes(contested):
            raise SystemExit("the outsider finds another result")


if __name__ == "__main__":
    main()
