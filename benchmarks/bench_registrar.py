"""How long does a registrar take for a list of voters, and how much memory?

One election with a key, a list of n voters in 200 districts, and `evote registrar issue` on it, as
a process of its own: wall time, processor time and the largest memory of that process and of its
workers. The baseline does per voter what the step does, in the simplest way: one code, one key by
`cryptography`, one row, all of it on one core, over a sample, and scaled.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from _bench import processor, seconds

import evote
from evote import workflow
from evote.credentials import RollRow, derive_voter_key, draw_code
from evote.encoding import JSON
from evote.operators import SCRYPT_COST_FLOOR, load_card

PASSPHRASE = "correct horse"
DISTRICTS = 200


def prepare(directory: Path, n: int) -> None:
    """An election whose roll is missing, and the list of its voters."""
    operators = workflow.create_operators(
        directory / "operators", PASSPHRASE, trustees=1, cost=SCRYPT_COST_FLOOR
    )
    contest: dict[str, JSON] = {
        "id": "bridge",
        "title": "Shall the bridge be built?",
        "kind": "yes-no",
        "options": [{"id": "yes", "title": "Yes"}, {"id": "no", "title": "No"}],
        "option_limit": 1,
        "minimum": 0,
        "maximum": 1,
        "blank": "none",
    }
    draft: dict[str, JSON] = {
        "title": "A large election",
        "contests": [contest],
        "styles": [{"id": "all", "contests": ["bridge"]}],
        "trustees": ["trustee-1"],
        "quorum": 1,
        "registrars": ["registrar-1"],
        "authorities": {"cards": ["authority-1"], "quorum": 1},
        "board": {"origin": "log.example/large", "card": "board"},
        "policies": {"revote": "last", "spoil": "allowed"},
        "weights": {"maximum": 1, "total": n},
        "voters": {"maximum": n},
    }
    cards = {name: load_card(path) for name, path in operators.items()}
    workflow.new_election(directory / "record", draft, cards=cards)
    workflow.run_ceremony(directory / "record", [operators["trustee-1"]], PASSPHRASE)
    with (directory / "voters.csv").open("w", encoding="utf-8") as file:
        file.write("identity,style,district\n")
        for i in range(n):
            file.write(f'"Voter {i}, {i % 97} Elm Street",all,d{i % DISTRICTS:03d}\n')


def naive(n: int) -> None:
    """What the step does for each voter, one after the other."""
    base = bytes(32)
    for i in range(n):
        key = derive_voter_key(draw_code(), base)
        RollRow(credential=key.credential, style="all", district=f"d{i % DISTRICTS:03d}").encode()


def measure(n: int, jobs: int, compare: int) -> dict[str, object]:
    with tempfile.TemporaryDirectory() as place:
        directory = Path(place)
        prepare(directory, n)
        command = [sys.executable, "-m", "evote", "registrar", "issue", "record"]
        command += ["operators/registrar-1", "voters.csv", "-o", "codes.csv", "--quiet"]
        source = str(Path(evote.__file__).parent.parent)
        start = time.perf_counter()
        subprocess.run(
            [*command, "--jobs", str(jobs)],
            cwd=directory,
            check=True,
            stdout=subprocess.DEVNULL,
            env={**os.environ, "EVOTE_PASSPHRASE": PASSPHRASE, "PYTHONPATH": source},
        )
        wall = time.perf_counter() - start
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        size = sum(p.stat().st_size for p in (directory / "record").rglob("*") if p.is_file())
    processor_time = used.ru_utime + used.ru_stime
    baseline = seconds(lambda: naive(compare)) * n / compare
    return {
        "question": "registrar",
        "processor": processor(),
        "python": platform.python_version(),
        "what": "registrar issue",
        "n": n,
        "jobs": jobs,
        "seconds": round(wall, 1),
        "processor_seconds": round(processor_time, 1),
        "us": round(1e6 * processor_time / n, 1),
        "megabytes": round(used.ru_maxrss / 1024, 1),
        "record_megabytes": round(size / 2**20, 1),
        "baseline": "a code, a key and a row, one after the other",
        "baseline_n": compare,
        "ratio": round(baseline / processor_time, 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--n", type=int, default=20_000)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--compare", type=int, default=2000, help="voters of the baseline")
    given = parser.parse_args()
    print(json.dumps(measure(given.n, given.jobs, given.compare)), flush=True)


if __name__ == "__main__":
    main()
