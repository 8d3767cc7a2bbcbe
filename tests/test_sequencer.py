"""Many threads, one writer: what comes back is durable, and nobody waits for ever."""

from __future__ import annotations

import os
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from evote.board import Board, Receipt, open_checkpoint, verify_consistency, verify_receipt
from evote.errors import BrokenLog, ParameterError
from evote.sequencer import Sequencer
from tests.test_board import ENTRIES, LOG, ballots, begin, check_board_files


def test_many_writers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every entry is acknowledged once, under few checkpoints, each of which extends the others."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
    entries, bodies = ballots(600)
    with begin(tmp_path) as board:
        with Sequencer(board, batch=64, waiting=200) as sequencer, ThreadPoolExecutor(16) as pool:
            lists = list(
                pool.map(lambda i: sequencer.append([entries[i]], [bodies[i]]), range(600))
            )
        receipts = [receipt for [receipt] in lists]
        assert board.size == 601
        assert sorted(receipt.proof.index for receipt in receipts) == list(range(1, 601))
        assert list(board.entries(1)) == [
            verify_receipt(receipt, LOG.key).entry
            for receipt in sorted(receipts, key=lambda receipt: receipt.proof.index)
        ]
        heads = {
            open_checkpoint(receipt.proof.checkpoint, LOG.key).size: receipt for receipt in receipts
        }
        assert len(heads) < 600
        for size, receipt in heads.items():
            root = open_checkpoint(receipt.proof.checkpoint, LOG.key).root
            verify_consistency(size, root, 601, board.root, board.consistency_proof(size))
    assert check_board_files(tmp_path)[0] == 601


def test_a_wrong_call_fails_alone(tmp_path: Path) -> None:
    entries, bodies = ballots(4)
    with begin(tmp_path) as board:
        gate = threading.Event()
        write = board.append_each
        board.append_each = lambda groups: gate.wait() and write(groups)  # type: ignore
        with Sequencer(board) as sequencer:
            calls: list[Future[list[Receipt]]] = [
                sequencer.submit(entries[:2], bodies[:2]),
                sequencer.submit([ENTRIES[0]]),
                sequencer.submit(entries[2:3], bodies[3:]),
                sequencer.submit([]),
                sequencer.submit(entries[2:], bodies[2:]),
            ]
            gate.set()
            assert [r.proof.index for r in calls[0].result()] == [1, 2]
            with pytest.raises(BrokenLog, match="entry 3"):
                calls[1].result()
            with pytest.raises(ParameterError, match="digest"):
                calls[2].result()
            assert calls[3].result() == []
            assert [r.proof.index for r in calls[4].result()] == [3, 4]
        with pytest.raises(ParameterError, match="no entries any more"):
            sequencer.append(entries[:1], bodies[:1])
        sequencer.close()
    assert check_board_files(tmp_path)[0] == 5


def test_a_full_disk_reaches_everybody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """attacks: G6. Those in the batch, those behind it, and those who come later."""
    entries, bodies = ballots(3)
    gate = threading.Event()

    def full(descriptor: int, data: bytes) -> int:
        gate.wait()
        raise OSError(28, "No space left on device")

    board = begin(tmp_path)
    with monkeypatch.context() as patch, Sequencer(board, batch=1, waiting=2) as sequencer:
        patch.setattr("evote._files.os.write", full)
        calls = [sequencer.submit([entries[i]], [bodies[i]]) for i in range(3)]
        gate.set()
        for call in calls:
            with pytest.raises(OSError, match="No space"):
                call.result(timeout=10)
        with pytest.raises(ParameterError, match="no entries any more"):
            sequencer.append(entries[:1], bodies[:1])
    with Board(tmp_path, LOG) as board:
        assert board.size == 1


def test_waiting_is_bounded(tmp_path: Path) -> None:
    entries, bodies = ballots(4)
    with begin(tmp_path) as board:
        gate, third = threading.Event(), threading.Event()
        write = board.append_each
        board.append_each = lambda groups: gate.wait() and write(groups)  # type: ignore

        def late() -> list[Receipt]:
            done = sequencer.submit([entries[3]], [bodies[3]])
            third.set()
            return done.result()

        with Sequencer(board, batch=1, waiting=2) as sequencer, ThreadPoolExecutor(1) as pool:
            for i in range(3):  # one is being written, two wait
                sequencer.submit([entries[i]], [bodies[i]])
            behind = pool.submit(late)
            assert not third.wait(0.1)
            gate.set()
            assert behind.result()[0].proof.index == 4
    with pytest.raises(ParameterError, match="batch"):
        Sequencer(board, batch=0)
