"""A real Scottish ward, counted again: every paper encrypted, mixed, decrypted and transferred.

Reads a file of ballots (`evote.interop.scottish` says which form), gives every paper to a voter,
lets three servers mix them and three trustees decrypt, and counts by Scottish STV.

Usage: scottish_ward.py WARD.csv [--papers N]
"""

from __future__ import annotations

import argparse
import itertools
import random
import tempfile
from pathlib import Path

from evote.contests import Contest, Count, Option
from evote.counting import UNIT, STVCount
from evote.demo import Marks, Scenario, run_election
from evote.interop.scottish import Ward, read_ward_csv
from evote.packing import Pack


def scenario(ward: Ward, papers: int) -> Scenario:
    ranked = [order for order, number in ward.rankings.items() for _ in range(number)][:papers]
    names = [f"{candidate.name}, {candidate.party}" for candidate in ward.candidates]
    contest = Contest(
        id="ward",
        title=ward.name,
        kind="ranking",
        options=tuple(Option(id=f"c{i + 1}", title=name) for i, name in enumerate(names)),
        option_limit=len(ward.candidates),
        minimum=0,
        maximum=len(ward.candidates),
        count=Count(method="scottish-stv", seats=ward.seats),
    )
    orders = itertools.cycle(ranked)

    def mark(_: random.Random) -> Marks:
        order = next(orders)
        ranks = {option: place for place, option in enumerate(order, 1)}
        return {"ward": tuple(ranks.get(option, 0) for option in range(len(ward.candidates)))}

    return Scenario(
        title=ward.name,
        contests=(contest,),
        registered=len(ranked),
        voters=len(ranked),
        mark=mark,
        trustees=3,
        quorum=2,
        packs=(Pack(id="papers", contests=("ward",)),),
        mixers=3,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("ward", type=Path)
    parser.add_argument("--papers", type=int, help="only the first so many")
    options = parser.parse_args()
    ward = read_ward_csv(options.ward.read_bytes())
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch) / "ward"
        election = run_election(scenario(ward, options.papers), place, jobs=2, say=print)
    outcome = election.result.mixed[0].outcome
    assert isinstance(outcome, STVCount)
    for stage in outcome.stages:
        votes = ", ".join(f"{v / UNIT:.5f}" for v in stage.votes)
        print(f"{stage.action:<18} {votes}")
    print("elected:", ", ".join(ward.candidates[option].name for option in outcome.elected))
    print(election.report.verdict)
    election.report.raise_for_failure()


if __name__ == "__main__":
    main()
