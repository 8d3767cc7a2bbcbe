"""The Coordination Council election of 2012: 97,727 voters on the roll, 81,801 ballots, mixed.

Up to 30 marks in a general list and 5 in each of three small ones, about 200 candidates in all:
summed, every ballot would need 400 proofs of two branches; packed into one message it needs one.
Three servers mix. The sizes are the real ones, the marks are drawn from a fixed seed.

Usage: council_2012.py [--scale 0.01] [--jobs 2] [--keep DIRECTORY]
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from pathlib import Path

from evote.contests import Contest
from evote.demo import Marks, Scenario, draw_marks, numbered_options, run_election
from evote.packing import Pack

ROLL, BALLOTS = 97_727, 81_801
LISTS = {"general": (150, 30), "left": (17, 5), "liberal": (17, 5), "national": (16, 5)}


def contest(name: str, options: int, maximum: int) -> Contest:
    return Contest(
        id=name,
        title=f"The {name} list",
        kind="limited",
        options=numbered_options("Candidate", options),
        option_limit=1,
        minimum=0,
        maximum=maximum,
    )


def mark(rng: random.Random) -> Marks:
    """Somebody marks up to 30 and up to 5, everywhere more often many than few."""
    return {
        name: draw_marks(rng, options, max(rng.randint(0, most), rng.randint(0, most)))
        for name, (options, most) in LISTS.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", type=float, default=1.0, help="fraction of the real sizes")
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    parser.add_argument("--keep", type=Path, help="a new directory for record and operators")
    options = parser.parse_args()
    scenario = Scenario(
        title="Coordination Council 2012",
        contests=tuple(contest(name, *sizes) for name, sizes in LISTS.items()),
        registered=max(round(ROLL * options.scale), 31),
        voters=max(round(BALLOTS * options.scale), 30),
        mark=mark,
        packs=(Pack(id="council", contests=tuple(LISTS)),),
        mixers=3,
        seed=2012,
    )
    with tempfile.TemporaryDirectory() as scratch:
        start = time.monotonic()

        def say(line: str) -> None:
            print(f"{time.monotonic() - start:7.1f} s  {line}", flush=True)

        place = options.keep or Path(scratch) / "council"
        election = run_election(scenario, place, jobs=options.jobs, say=say)
        say(election.report.verdict)
        election.report.raise_for_failure()
        if election.votes != election.expected:
            raise SystemExit("what was published is not what was voted")
        for name, votes in election.votes.items():
            first = max(range(len(votes)), key=votes.__getitem__)
            print(f"{name}: {sum(votes)} marks, most for candidate {first + 1}: {votes[first]}")


if __name__ == "__main__":
    main()
