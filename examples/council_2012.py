"""The Coordination Council of 2012: 170,012 registered, 97,727 verified, 81,801 ballots, mixed.

Up to 30 marks in a general list of 150 and 5 in each of three small ones: packed in one message of
one element, mixed by three servers. Voters are provisional until they are verified. 70 stations
without a network deliver their ballots in batches. A commission strikes fraudulent accounts, with a
reason; that there are 1,000, and that every tenth voter who is not verified tries, is made up.

Usage: council_2012.py [--scale 0.01] [--jobs 2] [--keep FOLDER]
"""

from __future__ import annotations

import random
from collections.abc import Iterator

from _scenario import Marks, Person, Scenario, marks_contest, part_of, start

from evote.demo import draw_marks
from evote.packing import Pack

ROLL, VERIFIED, BALLOTS, FRAUDS = 170_012, 97_727, 81_801, 1_000
LISTS = {"general": (150, 30), "left": (17, 5), "liberal": (17, 5), "national": (16, 5)}


def people(scale: float) -> Iterator[Person]:
    roll, verified, ballots = (max(round(n * scale), 30) for n in (ROLL, VERIFIED, BALLOTS))
    frauds = max(round(FRAUDS * scale), 1)
    for i in range(roll):
        name, votes = f"Voter {i:06}", part_of(i * verified // roll, ballots, verified)
        if part_of(i, verified, roll):
            yield Person(name, status="provisional", ballots=int(votes))
        elif part_of(i - i * verified // roll, frauds, roll - verified):
            yield Person(f"Fraud {i:06}", status="provisional", counts=False)
        else:
            yield Person(name, status="provisional", ballots=int(i % 10 == 0), counts=False)


def mark(rng: random.Random, person: Person) -> Marks:
    """Somebody marks up to 30 and up to 5, everywhere more often many than few."""
    return {
        name: draw_marks(rng, options, max(rng.randint(0, most), rng.randint(0, most)))
        for name, (options, most) in LISTS.items()
    }


def main() -> None:
    lists = LISTS.items()
    scenario = Scenario(
        title="Coordination Council 2012",
        seed=2012,
        contests=tuple(marks_contest(name, f"The {name} list", *size) for name, size in lists),
        people=people,
        mark=mark,
        mixers=3,
        packs=(Pack(id="council", contests=tuple(LISTS)),),
        stations=70,
        rules={"strike": ["fraudulent-account"], "confirm": ["identity-verified"]},
    )
    with start(scenario, __doc__) as election:
        election.found()
        election.vote()
        verified, frauds = (election.offline / name for name in ("verified.csv", "frauds.csv"))
        election.credentials(lambda person: person.counts, verified)
        election.credentials(lambda person: person.identity.startswith("Fraud"), frauds)
        election.rule("confirm", verified, "identity-verified")
        election.rule("strike", frauds, "fraudulent-account")
        election.finish()
        seats = {name: election.elected(name, most) for name, (_, most) in LISTS.items()}
        for name, elected in seats.items():
            print(f"{name}: elected {' '.join(elected)}")
        print(f"{sum(map(len, seats.values()))} seats")


if __name__ == "__main__":
    main()
