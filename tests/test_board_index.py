"""The index beside a board: it spares reading, decides nothing, and is rebuilt when it is wrong."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from evote._log_files import LogFiles
from evote.board import (
    BallotEntry,
    Board,
    BoardIndex,
    Opening,
    Stage,
    encode_entry,
    leaf_hash,
    leaf_hashes,
    open_checkpoint,
)
from evote.credentials import Action
from evote.errors import BrokenLog, VerificationError
from tests.test_board import BALLOT, ENTRIES, LOG, ballots, check_board_files, signer


@pytest.fixture(autouse=True)
def no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The numbers of the bundles that boards read, as they are opened."""
    seen: list[int] = []
    real = LogFiles.bundle

    def bundle(self: LogFiles, number: int, count: int) -> list[bytes]:
        seen.append(number)
        return real(self, number, count)

    monkeypatch.setattr(LogFiles, "bundle", bundle)
    return seen


def begin(path: Path, count: int = 700) -> Board:
    board = Board(path / "record", LOG, index=path / "index.sqlite")
    board.append(ENTRIES[:1])
    board.append(*ballots(count))
    return board


def again(path: Path) -> Board:
    return Board(path / "record", LOG, index=path / "index.sqlite")


def check_index(board: Board) -> None:
    """It says of every entry what the log says."""
    entries = list(board.entries())
    size, root, stage = board.index.state()
    assert (size, root, stage) == (board.size, board.root, board.stage)
    for place, entry in enumerate(entries):
        assert board.index.place(leaf_hash(encode_entry(entry))) == place
    assert board.index.place(bytes(32)) is None
    assert board.index.entries_of(bytes([7]) * 32) == [
        i for i, entry in enumerate(entries) if getattr(entry, "credential", b"") == bytes([7]) * 32
    ]


def test_opening_reads_the_last_bundle_only(tmp_path: Path, reads: list[int]) -> None:
    begin(tmp_path).close()
    reads.clear()
    with again(tmp_path) as board:
        assert reads == [2]
        assert board.append(*ballots(200, 700)) == range(701, 901)
        check_index(board)
    reads.clear()
    with again(tmp_path) as board:
        assert reads == [3]
        assert board.size == 901
        check_index(board)
    assert check_board_files(tmp_path / "record")[0] == 901


def test_without_a_file_all_is_read(tmp_path: Path, reads: list[int]) -> None:
    begin(tmp_path).close()
    reads.clear()
    with Board(tmp_path / "record", LOG) as board:
        assert reads == [0, 1, 2]
        check_index(board)


def test_an_index_that_is_behind_goes_on(tmp_path: Path, reads: list[int]) -> None:
    """As after a loss of power: it is not synced for its own sake."""
    begin(tmp_path, 300).close()
    shutil.copy(tmp_path / "index.sqlite", tmp_path / "before")
    with again(tmp_path) as board:
        board.append(*ballots(700, 300))
    shutil.copy(tmp_path / "before", tmp_path / "index.sqlite")
    reads.clear()
    with again(tmp_path) as board:
        assert reads == [1, 2, 3]
        check_index(board)


def damage(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[2000 : len(data) // 2] = os.urandom(len(data) // 2 - 2000)
    path.write_bytes(data)


def edited(*statements: str) -> Callable[[Path], None]:
    def edit(path: Path) -> None:
        with sqlite3.connect(path) as connection:
            for statement in statements:
                connection.execute(statement)
        connection.close()

    return edit


@pytest.mark.parametrize(
    "harm",
    [
        Path.unlink,
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"no database" * 1000),
        lambda path: path.write_bytes(path.read_bytes()[:9000]),
        damage,
        edited("DELETE FROM state"),
        edited("DROP TABLE state"),
        edited("DROP TABLE state", "CREATE TABLE state (version, log)"),
        edited("UPDATE state SET version = 0"),
        edited("UPDATE state SET log = 'another'"),
        edited("UPDATE state SET size = -1"),
        edited("UPDATE state SET root = 'text'"),
        edited("UPDATE state SET stage = 77"),
        edited("UPDATE numbers SET kind = 99"),
        edited("UPDATE numbers SET data = x'0000'"),
        edited("UPDATE numbers SET data = 'text'"),
    ],
)
def test_what_is_wrong_with_an_index_is_made_again(
    tmp_path: Path, reads: list[int], harm: Callable[[Path], object]
) -> None:
    begin(tmp_path).close()
    harm(tmp_path / "index.sqlite")
    reads.clear()
    with again(tmp_path) as board:
        assert reads == [0, 1, 2]
        check_index(board)
    reads.clear()
    with again(tmp_path) as board:
        assert reads == [2]


@pytest.mark.parametrize(
    ("harm", "reason"),
    [
        (edited("UPDATE state SET size = 5000"), "5000 entries, and here are 701"),
        (edited("UPDATE state SET size = 600"), "its first 600 entries are not these"),
        (edited("UPDATE state SET root = zeroblob(32)"), "its first 701 entries are not these"),
    ],
)
@pytest.mark.parametrize("tiles", [True, False])
def test_an_index_of_more_than_the_record(
    tmp_path: Path, harm: Callable[[Path], None], reason: str, tiles: bool
) -> None:
    """The board stays closed until somebody has looked: attacks F1, F3."""
    begin(tmp_path).close()
    harm(tmp_path / "index.sqlite")
    if not tiles:
        shutil.rmtree(tmp_path / "record/board/tile/0")
    for _ in range(2):
        with pytest.raises(BrokenLog, match=reason):
            again(tmp_path)
    (tmp_path / "index.sqlite").unlink()
    with again(tmp_path) as board:
        check_index(board)


def test_a_record_that_is_an_older_copy(tmp_path: Path) -> None:
    """What was acknowledged later is not there, and a fork would hide it: attacks F1, F3."""
    begin(tmp_path).close()
    shutil.copytree(tmp_path / "record", tmp_path / "copy")
    with again(tmp_path) as board:
        later = ballots(3, 9)
        board.append(*later)
    shutil.move(tmp_path / "record", tmp_path / "newer")
    shutil.move(tmp_path / "copy", tmp_path / "record")
    with pytest.raises(BrokenLog, match="704 entries, and here are 701"):
        again(tmp_path)
    shutil.rmtree(tmp_path / "record")
    with pytest.raises(BrokenLog, match="704 entries, and here are 0"):
        again(tmp_path)
    shutil.rmtree(tmp_path / "record")
    shutil.move(tmp_path / "newer", tmp_path / "record")
    with again(tmp_path) as board:
        assert board.size == 704


def test_an_index_of_another_log(tmp_path: Path, reads: list[int]) -> None:
    """Of another key, or of another place of the record: it is begun anew."""
    begin(tmp_path).close()
    other = tmp_path / "other"
    with Board(other / "record", LOG, index=other / "index.sqlite") as board:
        board.append(ENTRIES[:1])
        board.append(*ballots(600, 5))
    with Board(tmp_path / "third", signer(2), index=other / "index.sqlite") as board:
        assert board.size == 0
        assert board.stage == Stage.EMPTY
    for record in (other / "record", tmp_path / "record"):
        reads.clear()
        with Board(record, LOG, index=other / "index.sqlite") as board:
            assert 0 in reads
            check_index(board)


def test_a_fork_at_the_same_place(tmp_path: Path) -> None:
    """attacks: F1. A record of the same key and length, with other entries."""
    begin(tmp_path).close()
    shutil.rmtree(tmp_path / "record")
    with Board(tmp_path / "record", LOG) as board:
        board.append(ENTRIES[:1])
        board.append(*ballots(701, 5))
    with pytest.raises(BrokenLog, match="its first 701 entries are not these"):
        again(tmp_path)


def test_two_boards_and_one_index(tmp_path: Path) -> None:
    """The second has a temporary one: nothing is shared by accident."""
    with begin(tmp_path), Board(tmp_path / "b", LOG, index=tmp_path / "index.sqlite") as second:
        second.append(ENTRIES[:1])
        check_index(second)
    with again(tmp_path) as board:
        check_index(board)


def test_a_place_where_no_index_can_be(tmp_path: Path) -> None:
    (tmp_path / "index.sqlite").mkdir()
    with begin(tmp_path, 10) as board:
        check_index(board)


def test_hash_tiles_that_are_wrong_are_made_again(tmp_path: Path, reads: list[int]) -> None:
    begin(tmp_path).close()
    tiles = [p for p in (tmp_path / "record/board/tile").rglob("*") if p.is_file()]
    tiles = [path for path in tiles if "entries" not in path.parts]
    assert len(tiles) == 4
    for path in tiles:
        data = path.read_bytes()
        for wrong in (None, data[:-1], b"", data + b"x"):
            path.unlink()
            if wrong is not None:
                path.write_bytes(wrong)
            reads.clear()
            with again(tmp_path):
                assert reads == [0, 1, 2, 2]  # the last one is always read
            assert path.read_bytes() == data
        path.write_bytes(bytes([data[0] ^ 1]) + data[1:])
        with again(tmp_path) as board:  # a full one is not looked at before it is needed
            if path.name in ("000", "001"):
                with pytest.raises(VerificationError, match="tile"):
                    board.receipt(256 * int(path.name))
                path.write_bytes(data)
        assert path.read_bytes() == data
    assert check_board_files(tmp_path / "record")[0] == 701


def test_entries_of_a_full_bundle_that_were_changed(tmp_path: Path) -> None:
    """Opening does not see them; whoever asks for one of them does, and so does a new index."""
    begin(tmp_path).close()
    bundle = tmp_path / "record/board/tile/entries/001"
    data = bundle.read_bytes()
    bundle.write_bytes(data.replace(b'"credential":"0', b'"credential":"1', 1))
    with again(tmp_path) as board:
        assert board.receipt(5).proof.index == 5
        with pytest.raises(BrokenLog, match="entries/001"):
            board.receipt(300)
    with pytest.raises(BrokenLog, match="root"):
        Board(tmp_path / "record", LOG)
    bundle.write_bytes(data)
    with Board(tmp_path / "record", LOG) as board:
        assert board.size == 701


def test_ballots_and_openings(tmp_path: Path) -> None:
    made, bodies = ballots(3)
    entries = [entry for entry in made if isinstance(entry, BallotEntry)]
    spoil = replace(entries[1], action="spoil")
    opening = Opening(ballot=spoil.digest, seed=bytes(32), contests=())
    with begin(tmp_path, 0) as board:
        board.append([entries[0], spoil, entries[2]], bodies)
        index = board.index
        assert index.has_cast(entries[0].credential)
        assert not index.has_cast(spoil.credential)
        assert index.spoiled(spoil.digest) == 2
        assert index.spoiled(entries[0].digest) is None
        assert index.entries_of(entries[2].credential) == [3]
        assert not index.opened(spoil.digest)
        board.append([opening])
        assert index.opened(spoil.digest)
        assert not index.opened(entries[0].digest)
        assert index.place(leaf_hashes([encode_entry(BALLOT)])[0]) is None
        assert open_checkpoint(board.checkpoint, LOG.key).size == 5


def numbers(*values: int) -> NDArray[np.uint64]:
    return np.array(values, dtype=np.uint64)


def test_nonces(tmp_path: Path) -> None:
    index = BoardIndex(tmp_path / "index", LOG.key.text)
    assert index.nonces == 0
    index.add_nonces(7, numbers(2**63, 0, 5), numbers(2**64 - 1))
    index.add_nonces(9, numbers(5, 6), numbers())
    assert index.nonces == 9
    for _ in range(2):
        known = index.known_nonces(0, numbers(7, 2**63, 6, 2**64 - 1, 0, 5, 5))
        assert known.tolist() == [False, True, True, False, True, True, True]
        assert index.known_nonces(1, numbers(2**64 - 1, 5)).tolist() == [True, False]
        assert index.known_nonces(1, numbers()).tolist() == []
        index.close()
        index = BoardIndex(tmp_path / "index", LOG.key.text)
    index.close()


def test_many_nonces_in_few_arrays(tmp_path: Path) -> None:
    """Each batch is merged with those that are not much longer; none is lost, none invented."""
    rng = random.Random(5)
    index = BoardIndex(tmp_path / "index", LOG.key.text)
    added, fresh = set[int](), [rng.getrandbits(64) for _ in range(500)]
    for size in range(1, 200):
        some = [rng.getrandbits(64) for _ in range(rng.randrange(40))]
        added.update(some)
        index.add_nonces(size, numbers(*some), numbers())
        if size % 50 == 0:
            index.close()
            index = BoardIndex(tmp_path / "index", LOG.key.text)
        assert index.known_nonces(0, numbers(*some)).all()
    asked = sorted(added) + fresh
    rng.shuffle(asked)
    assert index.known_nonces(0, numbers(*asked)).tolist() == [value in added for value in asked]
    [(arrays,)] = index._connection.execute("SELECT count(*) FROM numbers").fetchall()
    assert arrays <= 12
    index.close()


def test_keys_that_begin_alike(tmp_path: Path) -> None:
    """32 bits lead to the candidates; the rows decide."""
    index = BoardIndex(tmp_path / "index", LOG.key.text)
    keys = [head * 4 + bytes([i]) * 28 for head in (b"\0", b"\xff") for i in range(3)]
    for place, key in enumerate(keys):
        action: Action = "spoil" if place % 2 else "cast"
        entry = BallotEntry(action=action, credential=key, digest=key[::-1], signature=bytes(64))
        index.add(place, [key], [entry], bytes(32), Stage.VOTING)
    for place, key in enumerate(keys):
        assert index.place(key) == place
        assert index.entries_of(key) == [place]
        assert index.has_cast(key) is (place % 2 == 0)
        assert index.submitted(key[::-1]) == place
        assert index.spoiled(key[::-1]) == (place if place % 2 else None)
    assert index.place(bytes(31) + b"\1") is None
    assert index.entries_of(b"\xff" * 32) == []
    index.close()


def test_an_index_that_fails_closes_the_board(tmp_path: Path) -> None:
    """What was being appended is there all the same: the checkpoint came first."""
    with begin(tmp_path, 5) as board:
        board.index._connection.execute("DROP TABLE ballots")
        with pytest.raises(OSError, match="index of the board"):
            board.append(*ballots(3, 5))
    with again(tmp_path) as board:
        assert board.size == 9
        check_index(board)
