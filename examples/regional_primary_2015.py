"""A regional primary of 2015: 2,500 registered, 1,200 voted.

The sizes are the real ones; what was asked is made up, and the marks are drawn from a fixed seed.
Usage: regional_primary_2015.py [REGISTERED]
"""

from __future__ import annotations

import random
import sys
import tempfile
from pathlib import Path

from evote.contests import Contest, Kind
from evote.demo import Marks, Scenario, draw_marks, numbered_options, run_election


def contest(name: str, title: str, options: int, *, kind: Kind, maximum: int) -> Contest:
    return Contest(
        id=name,
        title=title,
        kind=kind,
        options=numbered_options("Candidate", options),
        option_limit=1,
        minimum=0,
        maximum=maximum,
        blank="counted",
    )


def mark(rng: random.Random) -> Marks:
    region = draw_marks(rng, 12, rng.choice((1, 2, 3, 3, 3)))
    return {"region": region, "mayor": draw_marks(rng, 4, rng.choice((0, 1, 1, 1)))}


def main(registered: int = 2500) -> None:
    scenario = Scenario(
        title="Regional primary 2015",
        contests=(
            contest("region", "Regional list", 12, kind="limited", maximum=3),
            contest("mayor", "Mayor's candidate", 4, kind="plurality", maximum=1),
        ),
        registered=registered,
        voters=registered * 1200 // 2500,
        mark=mark,
        spoiled=3,
        revotes=5,
        seed=2015,
    )
    with tempfile.TemporaryDirectory() as scratch:
        election = run_election(scenario, Path(scratch) / "primary", jobs=2, say=print)
    for part in election.result.contests:
        print(f"{part.id}: {part.ballots} ballots, {part.votes}, {part.undervotes} marks not used")
        if part.votes != election.expected[part.id]:
            raise SystemExit("the tally is not what was voted")
    print(election.report.verdict)
    election.report.raise_for_failure()


if __name__ == "__main__":
    main(*map(int, sys.argv[1:2]))
