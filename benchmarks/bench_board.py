"""How many entries a second does a board acknowledge, and how long does it take to open again?

Part `library`: ballot entries of 250 bytes with bodies of `--body` bytes, no proofs, through
`Board.append` in batches and through a `Sequencer` with many threads. Each entry is synced, under
a signed checkpoint, and its receipt made; wall time, on the disk of `--directory`, and time of the
processor for each.
Part `opening`: the board opened again, with its index and without. One JSON object a line.
"""

from __future__ import annotations

import argparse
import json
import platform
import shutil
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from _bench import processor
from nacl.signing import SigningKey

from evote.board import (
    LOG_KEY,
    BallotEntry,
    Board,
    Entry,
    NoteSigner,
    Open,
    OperatorSignature,
    VerifierKey,
)
from evote.encoding import digest
from evote.sequencer import Sequencer


def signer() -> NoteSigner:
    """A key for nothing but this."""
    key = SigningKey(bytes(32))
    public = VerifierKey(name="log.example/bench", kind=LOG_KEY, public=bytes(key.verify_key))
    return NoteSigner(key=public, sign=lambda message: key.sign(message).signature)


def make(count: int, size: int) -> tuple[list[Entry], list[bytes]]:
    """Ballot entries and their bodies."""
    bodies = [b"%0*d" % (size, i) for i in range(count)]
    entries: list[Entry] = [
        BallotEntry(
            action="cast",
            credential=digest("ballot", body),
            digest=digest("ballot", body),
            signature=bytes(64),
        )
        for body in bodies
    ]
    return entries, bodies


def begin(place: Path, index: Path) -> Board:
    """A board with one entry."""
    shutil.rmtree(place, ignore_errors=True)
    index.unlink(missing_ok=True)
    board = Board(place, signer(), index=index)
    signatures = (OperatorSignature(operator="clerk", signature=bytes(64)),)
    board.append([Open(election=bytes(32), manifest=bytes(32), signatures=signatures)])
    return board


def row(options: argparse.Namespace, part: str, what: str, seconds: float, **more: object) -> None:
    line = {
        "question": "board",
        "part": part,
        "what": what,
        "n": options.n,
        "body_bytes": options.body,
        "seconds": round(seconds, 3),
        **more,
        "processor": processor(),
        "python": platform.python_version(),
    }
    print(json.dumps(line), flush=True)


def batches(
    options: argparse.Namespace, base: Path, entries: Sequence[Entry], bodies: Sequence[bytes]
) -> None:
    for size in (1, 256, options.batch):
        count = min(options.n, 1000 * size)
        board = begin(base / "record", base / "index.sqlite")
        start, burnt = time.perf_counter(), time.process_time()
        for i in range(0, count, size):
            end = min(i + size, count)
            board.receipts(board.append(entries[i:end], bodies[i:end]))
        taken, burnt = time.perf_counter() - start, time.process_time() - burnt
        board.close()
        rate, cost = round(count / taken), round(1e6 * burnt / count)
        row(options, "library", "append", taken, batch=size, per_second=rate, processor_us=cost)


def threads(
    options: argparse.Namespace, base: Path, entries: Sequence[Entry], bodies: Sequence[bytes]
) -> None:
    """Each thread sends eight entries, waits for their receipts, and sends the next."""
    board = begin(base / "record", base / "index.sqlite")
    with Sequencer(board, batch=options.batch) as sequencer:

        def send(first: int) -> None:
            end = min(first + 8, options.n)
            sequencer.append(entries[first:end], bodies[first:end])

        with ThreadPoolExecutor(options.threads) as pool:
            start, burnt = time.perf_counter(), time.process_time()
            list(pool.map(send, range(0, options.n, 8)))
            taken, burnt = time.perf_counter() - start, time.process_time() - burnt
    board.close()
    figures = {
        "per_second": round(options.n / taken),
        "processor_us": round(1e6 * burnt / options.n),
    }
    row(options, "library", "sequencer", taken, threads=options.threads, **figures)


def opening(options: argparse.Namespace, base: Path) -> None:
    """What the part before has left."""
    for what, index in (("with index", base / "index.sqlite"), ("without", None)):
        for _ in range(options.runs):
            start, burnt = time.perf_counter(), time.process_time()
            Board(base / "record", signer(), index=index).close()
            taken, burnt = time.perf_counter() - start, time.process_time() - burnt
            row(options, "opening", what, taken, processor_seconds=round(burnt, 3))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--n", type=int, default=50_000, help="entries")
    parser.add_argument("--body", type=int, default=1500, help="bytes of a ballot")
    parser.add_argument("--batch", type=int, default=4096, help="entries under one checkpoint")
    parser.add_argument("--threads", type=int, default=256)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--part", choices=("library", "opening", "all"), default="all")
    parser.add_argument("--directory", help="where the board is; the place of temporary files")
    options = parser.parse_args()
    entries, bodies = make(options.n, options.body)
    with tempfile.TemporaryDirectory(dir=options.directory) as name:
        if options.part != "opening":
            batches(options, Path(name), entries, bodies)
        threads(options, Path(name), entries, bodies)
        if options.part != "library":
            opening(options, Path(name))


if __name__ == "__main__":
    main()
