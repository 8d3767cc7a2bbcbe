"""Writers of a board that are killed at random points, and what is there afterwards.

    python -m tests.board_killer ROUNDS DIRECTORY [SEED]

Each round a process opens the board and appends through a sequencer with several threads, sending
every receipt away as it comes; SIGKILL ends it, while it opens the board or while it writes. Then
the board is opened again, and must hold every entry that was ever acknowledged, and continue every
checkpoint that was ever seen. Prints lines of JSON.
"""

from __future__ import annotations

import json
import os
import random
import select
import signal
import sys
import threading
import time
from pathlib import Path

from evote.board import (
    Board,
    Checkpoint,
    Receipt,
    decode_receipt,
    encode_receipt,
    open_checkpoint,
    verify_consistency,
    verify_receipt,
)
from evote.sequencer import Sequencer
from tests.test_board import ENTRIES, LOG, ballots, check_board_files

THREADS = 4
_EACH = 40  # rounds of one board


def write(directory: Path, out: int, seed: int) -> None:
    """Append until killed."""
    with Board(directory / "record", LOG, index=directory / "index.sqlite") as board:
        if not board.size:
            board.append(ENTRIES[:1])
        with Sequencer(board) as sequencer:
            sending = threading.Lock()

            def client(number: int) -> None:
                rng = random.Random(seed * THREADS + number)
                while True:
                    entries, bodies = ballots(rng.choice((1, 1, 5, 60, 300)), rng.getrandbits(52))
                    lines = [encode_receipt(r) + b"\n" for r in sequencer.append(entries, bodies)]
                    with sending:
                        data = memoryview(b"".join(lines))
                        while data:
                            data = data[os.write(out, data) :]

            threads = [threading.Thread(target=client, args=(i,)) for i in range(THREADS)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()


def killed(directory: Path, lives: float, seed: int) -> list[Receipt]:
    """Let a writer live for so many seconds; the receipts that got out."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.close(reading)
            write(directory, writing, seed)
        finally:
            os._exit(1)  # a writer that ends by itself has failed
    os.close(writing)
    data, end = bytearray(), time.monotonic() + lives
    while (left := end - time.monotonic()) > 0:
        if select.select([reading], [], [], left)[0]:
            data += os.read(reading, 2**16)
    os.kill(child, signal.SIGKILL)
    while some := os.read(reading, 2**16):
        data += some
    os.close(reading)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status), "the writer ended before it was killed"
    return [decode_receipt(line) for line in bytes(data).split(b"\n")[:-1]]


def run(directory: Path, rounds: int, seed: int) -> dict[str, int]:
    """Kill so many writers of one board, and check it after each."""
    rng = random.Random(seed)
    heads: dict[bytes, Checkpoint] = {}
    acknowledged: dict[int, bytes] = {}
    silent = 0
    for number in range(rounds):
        receipts = killed(directory, rng.uniform(0.01, 0.25), rng.getrandbits(30))
        silent += not receipts
        for receipt in receipts:
            index = receipt.proof.index
            assert acknowledged.setdefault(index, receipt.entry) == receipt.entry, index
            if receipt.proof.checkpoint not in heads:
                verify_receipt(receipt, LOG.key)
                head = open_checkpoint(receipt.proof.checkpoint, LOG.key)
                heads[receipt.proof.checkpoint] = head
        if number % 7 == 3:  # without it, all of the log is read
            (directory / "index.sqlite").unlink(missing_ok=True)
        with Board(directory / "record", LOG, index=directory / "index.sqlite") as board:
            assert board.size > max(acknowledged, default=-1)
            for head in heads.values():
                proof = board.consistency_proof(head.size)
                verify_consistency(head.size, head.root, board.size, board.root, proof)
            for receipt, index in zip(
                board.receipts(sorted(acknowledged)), sorted(acknowledged), strict=True
            ):
                assert receipt.entry == acknowledged[index], index
    if rounds:
        check_board_files(directory / "record")
    return {
        "rounds": rounds,
        "acknowledged": len(acknowledged),
        "checkpoints": len(heads),
        "killed_before_the_first": silent,
        "entries": max(acknowledged, default=-1) + 1,
    }


def main(rounds: int, directory: Path, seed: int = 1) -> None:
    """Rounds on several boards, so that none grows too long to be checked each time."""
    for number, first in enumerate(range(0, rounds, _EACH)):
        place = directory / str(number)
        place.mkdir(parents=True)
        print(json.dumps(run(place, min(_EACH, rounds - first), seed + number)), flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]), *map(int, sys.argv[3:]))
