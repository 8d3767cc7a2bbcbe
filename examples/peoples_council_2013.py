"""Zhukovsky, People's Council, 2013: 27 candidates, up to 15 marks, 1,783 voters in a month.

Of those who register in that month every tenth is provisional until somebody has seen a passport.
The authorities announce a longer voting; some vote again then; before the seal those who came are
confirmed, and one ballot in fifty stays unconfirmed. Then one byte of a copy is altered, and the
audit finds it. All but the three numbers is made up.

Usage: peoples_council_2013.py [--scale 0.1] [--jobs 2] [--keep FOLDER]
"""

from __future__ import annotations

import random
from collections.abc import Iterator

from _scenario import Marks, Person, Scenario, marks_contest, start

from evote.credentials import Status
from evote.demo import alter_one_byte, draw_marks

VOTERS, CANDIDATES, MOST = 1_783, 27, 15


def people(scale: float) -> Iterator[Person]:
    voters, unconfirmed = round(VOTERS * scale), round(VOTERS * scale / 50)
    for i in range(voters):
        status: Status = "provisional" if i % 10 == 0 else "full"
        yield Person(f"Voter {i:04}", status=status, ballots=1 + (i % 50 == 0))
    for i in range(unconfirmed):
        yield Person(f"Absent {i:04}", status="provisional", counts=False)
    yield Person("Voter at home", ballots=0)


def mark(rng: random.Random, person: Person) -> Marks:
    """As many more give k marks as k is larger."""
    marks = rng.choices(range(1, MOST + 1), weights=range(1, MOST + 1))[0]
    return {"council": draw_marks(rng, CANDIDATES, marks)}


def main() -> None:
    scenario = Scenario(
        title="Zhukovsky People's Council 2013",
        seed=2013,
        contests=(marks_contest("council", "People's Council", CANDIDATES, MOST),),
        people=people,
        mark=mark,
        trustees=5,
        quorum=3,
        rules={"confirm": ["passport-shown"], "extend": ["more-time"], "end": 1_377_993_600},
    )
    with start(scenario, __doc__) as election:
        election.found()
        election.vote(1)
        until = ("extend", election.record, "--until", "2013-09-08T18:00Z", "--reason", "more-time")
        print(election.evote("extend", "election", *until, *election.signing()).strip())
        election.vote(2)
        shown = election.offline / "shown.csv"
        election.credentials(lambda p: p.status == "provisional" and p.counts, shown)
        election.rule("confirm", shown, "passport-shown")
        election.finish()
        place = alter_one_byte(election.record, election.folder / "altered")
        where = (election.folder / "altered", "--quiet")
        found = election.evote("find a byte", "verify", *where, exit_code=1)
        failed = [line.split()[1] for line in found.splitlines() if line.startswith("failed ")]
        print(f"{place}: {', '.join(failed)}")


if __name__ == "__main__":
    main()
