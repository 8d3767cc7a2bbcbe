"""What does an audit cost, from the files of a record to the verdict?

    python benchmarks/bench_audit.py [--ballots N] [--jobs J] [--runs R] [--record DIRECTORY]

Makes a plebiscite, a yes/no question on ristretto255 in which N voters have cast their ballots, as
files; then runs `evote verify` on it, each time in a process of its own. With --record the election
is made there once and found there again. One JSON object: seconds by the clock, microseconds of
processor time per ballot (of all processes), and the memory of the largest process.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import statistics
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

from _bench import processor

from evote import workflow
from evote.ceremony import trustee_decrypt, verified_tally
from evote.contests import Contest, Option
from evote.credentials import Action
from evote.groups import ristretto255
from evote.operators import load_card
from evote.verify import audit

_CHUNK = 4096
_PASSPHRASE = "of a benchmark"


def make(directory: Path, voters: int, jobs: int) -> Path:
    """A finished election of that many voters; its record."""
    record, operators = directory / "record", directory / "operators"
    keys = workflow.create_operators(operators, _PASSPHRASE, trustees=3)
    cards = {name: load_card(path) for name, path in keys.items()}
    contest = Contest(
        id="amendment",
        title="Amendment",
        kind="yes-no",
        options=(Option(id="yes", title="Yes"), Option(id="no", title="No")),
        option_limit=1,
        minimum=1,
        maximum=1,
    )
    trustees = [f"trustee-{i}" for i in (1, 2, 3)]
    workflow.new_election(
        record,
        {
            "title": "Plebiscite",
            "contests": [contest.to_json()],
            "styles": [{"id": "all", "contests": ["amendment"]}],
            "trustees": list(trustees),
            "quorum": 2,
            "registrars": ["registrar-1"],
            "authorities": {"cards": ["authority-1"], "quorum": 1},
            "board": {"origin": "benchmark.example/board", "card": "board"},
            "policies": {"revote": "last", "spoil": "allowed"},
            "weights": {"maximum": 1, "total": voters},
            "voters": {"maximum": voters},
        },
        cards=cards,
    )
    workflow.run_ceremony(record, [keys[name] for name in trustees], _PASSPHRASE)
    lines = [workflow.RollLine(style="all", count=voters)]
    issued = workflow.issue_credentials(record, keys["registrar-1"], lines, _PASSPHRASE)
    authority, board = [keys["authority-1"]], keys["board"]
    workflow.open_election(record, authority, board, _PASSPHRASE)
    rng = random.Random(1)
    with workflow.open_ballot_box(record, board, _PASSPHRASE) as box:
        for start in range(0, voters, _CHUNK):
            codes = [voter.code for voter in issued[start : start + _CHUNK]]
            marks = [rng.choice([(1, 0), (0, 1)]) for _ in codes]
            chosen = [workflow.Choice(contests={"amendment": row}) for row in marks]
            made = workflow.encrypt_ballots(
                record, list(zip(codes, chosen, strict=True)), jobs=jobs
            )
            cast: list[tuple[str, workflow.EncryptedBallot, Action]] = [
                (code, ballot, "cast") for code, ballot in zip(codes, made, strict=True)
            ]
            box.submit(workflow.sign_ballots(record, cast), jobs=jobs)
            print(f"{start + len(codes)} ballots", file=sys.stderr, flush=True)
    workflow.seal_election(record, authority, board, _PASSPHRASE)
    workflow.compute_tally(record, board, _PASSPHRASE, jobs=jobs)
    checked = verified_tally(record, partial(audit, jobs=jobs))
    for name in trustees[:2]:
        trustee_decrypt(keys[name], checked, _PASSPHRASE)
    workflow.publish_result(record, board, _PASSPHRASE)
    return record


def verify(record: Path, jobs: int) -> tuple[float, float, float]:
    """Seconds by the clock and of processors, and MB of the largest process, of one audit."""
    command = [sys.executable, "-m", "evote", "verify", str(record), "--jobs", str(jobs)]
    start = time.perf_counter()
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(command, stdout=output, stderr=output)
        _, status, used = os.wait4(process.pid, 0)  # of this one and of its processes alone
        process.returncode = os.waitstatus_to_exitcode(status)
        wall = time.perf_counter() - start
        if process.returncode:
            output.seek(0)
            raise SystemExit(output.read().decode())
    return wall, used.ru_utime + used.ru_stime, used.ru_maxrss / 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--ballots", type=int, default=10_000)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--record", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="evote-bench-") as scratch:
        directory = options.record or Path(scratch) / "election"
        record = directory / "record"
        if not record.exists():
            record = make(directory, options.ballots, options.jobs)
        runs = [verify(record, options.jobs) for _ in range(options.runs)]
        row = {
            "question": "audit",
            "what": "evote verify, yes/no ballots",
            "group": ristretto255.name,
            "backend": ristretto255.backend,
            "n": options.ballots,
            "jobs": options.jobs,
            "seconds": round(statistics.median(wall for wall, _, _ in runs), 2),
            "us": round(1e6 * statistics.median(used for _, used, _ in runs) / options.ballots, 1),
            "memory_mb": round(max(memory for _, _, memory in runs)),
            "runs": options.runs,
            "processor": processor(),
            "python": platform.python_version(),
        }
        print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
