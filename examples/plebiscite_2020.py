"""The plebiscite of 2020, online in two regions: 1.19 million on the roll, 1.09 million ballots.

98,000 applicants were refused and are not on the roll. Whoever voted online and on paper too is
struck: by reconciliation with the paper stations' book, which tells nobody who voted. That there
are 1,090 such people is made up, and the marks are drawn from a fixed seed.

Usage: plebiscite_2020.py [--scale 0.01] [--jobs 2] [--keep FOLDER]
"""

from __future__ import annotations

import random
from collections.abc import Iterator

from _scenario import Marks, Person, Scenario, part_of, start, write_list

from evote.contests import Contest, Option

ROLL, BALLOTS, REFUSED, DOUBLE = 1_190_726, 1_090_000, 98_000, 1_090

AMENDMENTS = Contest(
    id="amendments",
    title="Do you approve the amendments?",
    kind="yes-no",
    options=(Option(id="yes", title="Yes"), Option(id="no", title="No")),
    option_limit=1,
    minimum=1,
    maximum=1,
)


def people(scale: float) -> Iterator[Person]:
    roll, ballots = round(ROLL * scale), round(BALLOTS * scale)
    double = max(round(DOUBLE * scale), 1)
    for i in range(roll):
        votes = part_of(i, ballots, roll)
        twice = votes and part_of(i * ballots // roll, double, ballots)
        region = "nizhny-novgorod" if i % 8 == 0 else "moscow"
        name = f"Voter {i:07}"
        yield Person(name, district=region, ballots=int(votes), counts=votes and not twice)


def mark(rng: random.Random, person: Person) -> Marks:
    return {"amendments": (1, 0) if rng.random() < 0.63 else (0, 1)}


def main() -> None:
    scenario = Scenario(
        title="Plebiscite of 2020, online",
        seed=2020,
        contests=(AMENDMENTS,),
        people=people,
        mark=mark,
        tags=True,
        rules={"strike": ["voted-on-paper"]},
        extra={"districts": {"min_unit": 30}},
    )
    with start(scenario, __doc__) as election:
        election.found()
        election.vote()
        refused = (f"Applicant {i:07}" for i in range(round(REFUSED * election.scale)))
        paper = [p.identity for p in election.people() if not p.counts]  # who did not vote online
        book = election.offline / "book.csv"
        count = write_list(book, "identity", [*paper, *refused])
        election.say(f"{count} people of these regions have voted on paper")
        election.reconcile(book, "voted-on-paper")
        election.finish()


if __name__ == "__main__":
    main()
