"""Zhukovsky, People's Council, 2013: 27 candidates, up to 15 marks each, 1,783 voters.

What `evote demo` runs. The sizes are the real ones; the marks are drawn from a fixed seed, because
individual ballots were secret. Usage: peoples_council_2013.py [DIRECTORY [VOTERS]]
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from evote.demo import alter_one_byte, peoples_council_2013, run_election
from evote.verify import audit


def main(directory: Path, voters: int = 1783) -> None:
    scenario = peoples_council_2013(voters)
    election = run_election(scenario, directory / "council", jobs=2, say=print)

    [contest] = scenario.contests
    [outcome] = election.result.contests
    for option, votes in zip(contest.options, outcome.votes, strict=True):
        print(f"{option.title:>14} {votes:5}")
    if outcome.votes != election.expected["council"]:
        raise SystemExit("the tally is not what was voted")

    print(election.report.to_text())
    election.report.raise_for_failure()

    place = alter_one_byte(election.record, directory / "altered")
    found = audit(directory / "altered", jobs=2)
    print(f"{place}: {', '.join(finding.check for finding in found.failures())}")
    if found.exit_code != 1:
        raise SystemExit("the audit did not find the altered byte")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        chosen = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(scratch)
        main(chosen, *map(int, sys.argv[2:3]))
