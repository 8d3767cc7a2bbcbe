"""What does it take to recompute which ballots count, and why the others do not?

    python benchmarks/bench_policies.py [--n N]

A log of N submitted ballots (a million by default) of 9/10 as many voters: the last tenth are
second ballots, one in 20 is spoiled, 98 voters in 1000 are struck, by entries of 8,192 of them, and
one in 50 is provisional, half of whom are confirmed. Digests are random and signatures zero: which
ballots count does not depend on them. One JSON object a line:

    roll       the rows of the roll read, but for the keys
    fates      every entry read from its bytes; the counted set, the fates and causes of all ballots
    counts     by district and style, from these
    list       a line for every ballot, as `evote board fates` prints it

Seconds are of the processor, without those that the making of rows and entries takes. `peak_mb` is
the highest resident memory of the whole process up to the fates; the target is 300 MB and 100 bytes
a ballot.
"""

from __future__ import annotations

import argparse
import json
import platform
import random
import resource
from collections.abc import Iterator
from time import process_time

import numpy as np
from _bench import processor, seconds

from evote.board import (
    MAX_ROWS,
    BallotEntry,
    Confirm,
    Open,
    PhaseEntry,
    Stage,
    Strike,
    decode_entry,
    encode_entry,
    pack_rows,
)
from evote.credentials import Roll, RollRow, read_roll
from evote.fates import Reckoning
from evote.policies import Counting, Fate, Fates, Powers, count_by_district

POWERS = Powers(strike=("fraud",), confirm=("identity-shown",), phase=("schedule",))
DISTRICTS, STYLES = 200, ("city", "land")


class Scene:
    """The bytes of a roll and of a log, made as they are read, from a seed."""

    def __init__(self, n: int) -> None:
        self.n, self.voters = n, n * 9 // 10

    def credential(self, voter: int) -> bytes:
        return voter.to_bytes(8, "big") + b"v" * 24

    def rows(self) -> Iterator[bytes]:
        for voter in range(self.voters):
            yield RollRow(
                credential=self.credential(voter),
                style=STYLES[voter % 3 == 0],
                weight=1,
                district=f"d{voter % DISTRICTS}",
                status="provisional" if voter % 50 == 0 else "full",
            ).encode()

    def entries(self) -> Iterator[bytes]:
        draw = random.Random(1)
        yield encode_entry(Open(election=bytes(32), manifest=bytes(32), signatures=()))
        for number in range(self.n):
            first = number < self.voters
            voter = number if first else draw.randrange(self.voters)
            entry = BallotEntry(
                action="cast" if number % 20 else "spoil",
                credential=self.credential(voter),
                digest=draw.randbytes(32),
                signature=bytes(64),
            )
            yield encode_entry(entry)
        yield encode_entry(PhaseEntry(reason="schedule", phase="closed", signatures=()))
        struck = np.arange(self.voters * 98 // 1000) * 10 + 3
        for i in range(0, len(struck), MAX_ROWS):
            rows = pack_rows(struck[i : i + MAX_ROWS])
            yield encode_entry(Strike(reason="fraud", rows=rows, signatures=()))
        confirmed = np.arange(0, self.voters, 100)
        for i in range(0, len(confirmed), MAX_ROWS):
            rows = pack_rows(confirmed[i : i + MAX_ROWS])
            yield encode_entry(Confirm(reason="identity-shown", rows=rows, signatures=()))

    def roll(self) -> Roll:
        return read_roll(self.rows(), STYLES, check_keys=False)

    def fates(self, roll: Roll) -> Fates:
        counting = Counting(roll, revote="last", spoil="allowed", powers=POWERS)
        for index, data in enumerate(self.entries()):
            counting.add(index, decode_entry(data))
        return counting.finish()


def making(items: Iterator[bytes]) -> float:
    """Seconds that it takes to make the bytes, which are no part of the answer."""
    return seconds(lambda: sum(map(len, items)))


def peak() -> int:
    """The highest resident memory of this process so far, in MB; Linux counts in kilobytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1000


def report(what: str, scene: Scene, time: float, **values: object) -> None:
    common = {"question": "policies", "what": what, "n": scene.n, "voters": scene.voters}
    line = common | {"seconds": round(time, 2), "us": round(1e6 * time / scene.n, 2)} | values
    machine = {"processor": processor(), "cores": 1, "python": platform.python_version()}
    print(json.dumps(line | machine), flush=True)


def run(scene: Scene) -> None:
    start = process_time()
    roll = scene.roll()
    report("roll", scene, process_time() - start - making(scene.rows()), peak_mb=peak())
    start = process_time()
    fates = scene.fates(roll)
    spent, highest = process_time() - start - making(scene.entries()), peak()
    limit = 300 + scene.n // 10_000
    found = {fate.name.lower(): fates.count(fate) for fate in Fate}
    report("fates", scene, spent, peak_mb=highest, limit_mb=limit, **found)
    start = process_time()
    rows = count_by_district(roll, fates)
    report("counts", scene, process_time() - start, rows=len(rows))
    assert sum(row.submitted for row in rows) == len(fates) == scene.n
    found_all = Reckoning(roll=roll, fates=fates, stage=Stage.CLOSED, size=0, rulings=0, seal=None)
    start = process_time()
    lines = sum(bool(str(ballot)) for ballot in found_all.ballots())
    report("list", scene, process_time() - start, lines=lines, peak_mb=peak())


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--n", type=int, default=1_000_000)
    run(Scene(parser.parse_args().n))


if __name__ == "__main__":
    main()
