"""The bulletin board: entries, receipts, and a log that survives crashes."""

from __future__ import annotations

import json
import os
import random
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nacl.signing import SigningKey

from evote import _files
from evote._entries import encode_entries, read_entry
from evote.board import (
    COSIGNER_KEY,
    LOG_KEY,
    BallotColumns,
    BallotEntry,
    Board,
    Checkpoint,
    Entry,
    MerkleTree,
    NoteSigner,
    Open,
    OpenedContest,
    Opening,
    OperatorSignature,
    Receipt,
    ResultEntry,
    Seal,
    ShareEntry,
    Stage,
    TallyEntry,
    VerifierKey,
    bundle_path,
    cosign,
    decode_bundle,
    decode_entry,
    decode_policy,
    decode_receipt,
    encode_bundle,
    encode_entry,
    encode_receipt,
    leaf_hash,
    merkle_root,
    next_stage,
    open_checkpoint,
    read_ballot_entries,
    sign_checkpoint,
    tile_name,
    tile_path,
    verify_consistency,
    verify_receipt,
)
from evote.credentials import Action
from evote.encoding import canonical_json, digest, encode_base64url
from evote.errors import (
    BrokenLog,
    DecodingError,
    EvoteError,
    ParameterError,
    UnsupportedError,
    VerificationError,
)
from evote.testing import strategies

if TYPE_CHECKING:
    pass

ORIGIN = "log.example/election"
DASH = "—"


@pytest.fixture(autouse=True)
def no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Syncing for real is slow and shows nothing here; `Disk` models what it is for."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


def signer(seed: int, name: str = ORIGIN, kind: int = LOG_KEY) -> NoteSigner:
    key = SigningKey(bytes([seed]) * 32)
    public = VerifierKey(name=name, kind=kind, public=bytes(key.verify_key))
    return NoteSigner(key=public, sign=lambda message: key.sign(message).signature)


LOG = signer(1)
WITNESSES = [signer(10 + i, f"witness.example/w{i}", COSIGNER_KEY) for i in range(4)]


def test_tile_names() -> None:
    assert tile_name(0) == "000"
    assert tile_name(5) == "005"
    assert tile_name(1000) == "x001/000"
    assert tile_name(1234067) == "x001/x234/067"


def test_bundles_of_other_lengths() -> None:
    for entries in ([], [b""], [b"", b""], [b"one", b"two"], [b"one", b"two", b"three", b""]):
        assert decode_bundle(encode_bundle(entries), len(entries)) == entries
    assert decode_bundle(b"\0\1a\0\1b\0\1c", 3) == [b"a", b"b", b"c"]
    assert decode_bundle(b"\0\1a\0\4\0\1b\0", 2) == [b"a", b"\0\1b\0"]
    assert decode_bundle(b"\0\2\0\1\0\0\0\1a", 3) == [b"\0\1", b"", b"a"]
    assert decode_bundle(b"\0\1a\0\0\0\2bc", 3) == [b"a", b"", b"bc"]  # as long as three of one
    data = encode_bundle([b"one", b"", b"three"])
    assert decode_bundle(data, 3) == [b"one", b"", b"three"]
    cases = [(data, 2), (data, 4), (data[:-1], 3), (data + b"\0", 3), (b"\xff\xff", 1), (b"\0", 1)]
    for wrong, count in cases:
        with pytest.raises(DecodingError, match=r"^bundle: "):
            decode_bundle(wrong, count, where="bundle")


# -- entries ---------------------------------------------------------------------------------------

SIGNATURES = (OperatorSignature(operator="clerk-1", signature=bytes(range(64))),)
BALLOT = BallotEntry(
    action="cast", credential=bytes(range(32)), digest=bytes(32), signature=bytes(range(64))
)
ENTRIES: list[Entry] = [
    Open(election=bytes(32), manifest=bytes(range(32)), signatures=SIGNATURES),
    BALLOT,
    replace(BALLOT, action="spoil", signature=bytes(63) + b"\xff"),
    Opening(
        ballot=bytes(32),
        seed=bytes(range(32)),
        contests=(
            OpenedContest(id="mayor", selections=(0, 1, 0)),
            OpenedContest(id="council", selections=(), blank=1),
        ),
    ),
    Seal(cast=3, spoiled=1, counted=2, superseded=1, digest=bytes(32), signatures=SIGNATURES * 2),
    TallyEntry(digest=bytes(range(32))),
    ShareEntry(trustee=7, digest=bytes(32)),
    ResultEntry(digest=bytes(32)),
]


@pytest.mark.parametrize("entry", ENTRIES)
def test_entries_round_trip(entry: Entry) -> None:
    data = encode_entry(entry)
    assert decode_entry(data) == read_entry(data) == entry
    assert canonical_json(json.loads(data)) == data


def mutations(data: bytes) -> Iterator[bytes]:
    """A field removed, added, retyped; other spellings of the same value; cuts."""
    value = json.loads(data)
    for key in value:
        yield canonical_json({k: v for k, v in value.items() if k != key})
        others: list[Any] = [None, True, [], {}, "", "x", -1, 2**53 - 1, 3]
        for other in others:
            empty_list = other == [] and isinstance(value[key], list)  # for the audit to judge
            if not empty_list and (other != 3 or type(value[key]) is not int):
                yield canonical_json({**value, key: other})
        if isinstance(value[key], str) and key not in ("type", "action"):
            yield canonical_json({**value, key: value[key][:-1]})
            yield canonical_json({**value, key: value[key] + "0"})
            yield canonical_json({**value, key: "G" + value[key][1:] + "="})
    yield canonical_json({**value, "more": 1})
    yield data + b"\n"
    yield b" " + data
    yield b"\xef\xbb\xbf" + data
    yield data.replace(b":", b": ", 1)
    yield data[:-1]
    yield data[:-1] + b',"type":"ballot"}'
    yield json.dumps(dict(reversed(value.items())), separators=(",", ":")).encode()


@pytest.mark.parametrize("entry", ENTRIES)
def test_entries_altered(entry: Entry) -> None:
    for data in mutations(encode_entry(entry)):
        with pytest.raises(DecodingError, match="entry 5"):
            decode_entry(data, where="entry 5")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"null",
        b"[]",
        b"7",
        b'{"type":"other"}',
        b'{"type":NaN}',
        b'{"type":1e5}',
        b'{"digest":"' + b"0" * 64 + b'","digest":"' + b"0" * 64 + b'","type":"tally"}',
        b'{"digest":"' + b"0" * 63 + "\u0660".encode() + b'","type":"tally"}',
        b'{"type":"\\ud800"}',
        b"[" * 60_000,
        b'{"type":' + b"9" * 60_000 + b"}",
        b'{"type":"' + b"x" * 70_000 + b'"}',
        "{}".encode("utf-16"),
    ],
)
def test_hostile_entries(data: bytes) -> None:
    with pytest.raises(DecodingError):
        decode_entry(data, where="entry 0")


def test_many_entries_are_encoded_as_each() -> None:
    """Ballots together, whatever stands between them, also what no reader would take."""
    odd = replace(BALLOT, signature=bytes(63))
    mixed = [*ENTRIES, replace(BALLOT, action="spoil"), odd, *ballots(5)[0], *ENTRIES[::-1]]
    for entries in (mixed, mixed[:1], []):
        assert encode_entries(entries) == [encode_entry(entry) for entry in entries]


@given(strategies.damaged(encode_entry(BALLOT)))
@settings(max_examples=400)
def test_short_cut_for_ballots_reads_what_the_reader_reads(altered: bytes) -> None:
    def outcome(read: Callable[[bytes], Entry]) -> Entry | str:
        try:
            return read(altered)
        except DecodingError as error:
            return error.reason

    assert outcome(decode_entry) == outcome(read_entry)


def test_entries_too_long() -> None:
    selections = tuple([1] * 1000)
    contests = tuple(OpenedContest(id=f"c{i}", selections=selections) for i in range(40))
    with pytest.raises(ParameterError, match="at most 65535"):
        encode_entry(Opening(ballot=bytes(32), seed=bytes(32), contests=contests))


def test_order_of_entries() -> None:
    opened, cast, _, opening, seal, tally, share, result = ENTRIES
    good = [opened, cast, opening, cast, seal, tally, share, share, result]
    stage = Stage.EMPTY
    stages = [stage := next_stage(stage, entry, i) for i, entry in enumerate(good)]
    assert stages[-1] == Stage.FINISHED
    allowed = {
        Stage.EMPTY: {opened},
        Stage.VOTING: {cast, opening, seal},
        Stage.SEALED: {tally},
        Stage.TALLIED: {share, result},
        Stage.FINISHED: set(),
    }
    for stage, entries in allowed.items():
        for entry in {opened, cast, opening, seal, tally, share, result} - entries:
            with pytest.raises(BrokenLog, match=r"^entry 9: ") as caught:
                next_stage(stage, entry, 9)
            assert caught.value.entry == 9


# -- the board -------------------------------------------------------------------------------------


def ballots(count: int, start: int = 0) -> tuple[list[Entry], list[bytes]]:
    bodies = [canonical_json({"ballot": start + i, "pad": "x" * (i % 50)}) for i in range(count)]
    entries: list[Entry] = [
        replace(BALLOT, digest=digest("ballot", body), credential=bytes([i % 256]) * 32)
        for i, body in enumerate(bodies)
    ]
    return entries, bodies


def begin(path: Path, count: int = 0) -> Board:
    board = Board(path, LOG)
    board.append(ENTRIES[:1])
    entries, bodies = ballots(count)
    if count:
        board.append(entries, bodies)
    return board


def listing(path: Path) -> dict[str, bytes]:
    return {
        found.relative_to(path).as_posix(): found.read_bytes()
        for found in path.rglob("*")
        if found.is_file()
    }


def check_board_files(path: Path) -> tuple[int, bytes]:
    """The files are exactly those of the checkpoint, by an own reading; its size and root."""
    files = listing(path)
    head = open_checkpoint(files.pop("board/checkpoint"), LOG.key)
    entries: list[bytes] = []
    for number in range(-(-head.size // 256)):
        width = min(256, head.size - 256 * number)
        bundle = decode_bundle(files.pop(bundle_path(number, width)), width)
        entries += bundle
        bodies = [e for e in map(decode_entry, bundle) if isinstance(e, BallotEntry)]
        lines = files.pop(f"ballots/{number:03d}.jsonl").split(b"\n") if bodies else [b""]
        assert [entry.digest for entry in bodies] == [digest("ballot", x) for x in lines[:-1]]
        assert lines[-1] == b""
    tree = MerkleTree(map(leaf_hash, entries))
    for level in range(3):
        hashes = [tree._full(8 * level, i) for i in range(head.size >> 8 * level)]
        for start in range(0, len(hashes), 256):
            name = tile_path(level, start // 256, min(256, len(hashes) - start))
            assert files.pop(f"board/{name}") == b"".join(hashes[start : start + 256]), name
    assert not files
    assert not [d for d in path.rglob("*") if d.is_dir() and not any(d.iterdir()) and d != path]
    assert merkle_root(entries) == head.root
    return head.size, head.root


@pytest.mark.parametrize("count", [0, 1, 254, 255, 256, 511, 600])
def test_board_grows_and_opens_again(tmp_path: Path, count: int) -> None:
    with begin(tmp_path, count) as board:
        assert board.size == count + 1
        assert board.stage == Stage.VOTING
        seen = list(board.entries())
        assert list(board.entries(count // 2)) == seen[count // 2 :]
        root, checkpoint = board.root, board.checkpoint
    assert check_board_files(tmp_path) == (count + 1, root)
    before = listing(tmp_path)
    with Board(tmp_path, LOG) as board:
        assert (board.root, board.checkpoint, board.size) == (root, checkpoint, count + 1)
        assert list(board.entries()) == seen
        assert listing(tmp_path) == before
        assert board.append([]) == range(count + 1, count + 1)
        entries, bodies = ballots(300, 1000)
        assert board.append(entries, bodies) == range(count + 1, count + 301)
        grown = board.consistency_proof(count + 1)
        verify_consistency(count + 1, root, board.size, board.root, grown)
    assert check_board_files(tmp_path)[0] == count + 301


def test_one_by_one_is_all_at_once(tmp_path: Path) -> None:
    entries, bodies = ballots(270)
    with begin(tmp_path / "a") as one:
        for entry, body in zip(entries, bodies, strict=True):
            one.append([entry], [body])
    with begin(tmp_path / "b", 270):
        pass
    assert listing(tmp_path / "a") == listing(tmp_path / "b")


def test_a_bulk_append_is_one_round_of_syncs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with begin(tmp_path) as board:
        disk = Disk(tmp_path)
        monkeypatch.setattr(_files, "os", disk)
        entries, bodies = ballots(2000)
        board.append(entries, bodies)
    # 8 bundles, 8 files of bodies, 8 + 1 tiles, the directories they are in, those made, the head.
    assert disk.calls.count("fsync") <= 16 + 9 + 7 + 7 + 2


def test_what_a_board_refuses(tmp_path: Path) -> None:
    entries, bodies = ballots(3)
    with begin(tmp_path) as board:
        before = listing(tmp_path)
        for wrong in ([], bodies[:2], [*bodies, b"{}"], [bodies[1], bodies[0], bodies[2]]):
            with pytest.raises(ParameterError):
                board.append(entries, wrong)
        split = b'{\n"a":1}'
        with pytest.raises(ParameterError, match="one line"):
            board.append([replace(BALLOT, digest=digest("ballot", split))], [split])
        for order in ([ENTRIES[0]], [ENTRIES[4], ENTRIES[1]], [ENTRIES[-1]]):
            with pytest.raises(BrokenLog):
                board.append(order)
        assert board.size == 1
        assert listing(tmp_path) == before
        assert board.append(entries, bodies) == range(1, 4)
    with pytest.raises(ParameterError, match="closed"):
        board.append(entries, bodies)


def test_one_writer_at_a_time(tmp_path: Path) -> None:
    with begin(tmp_path), pytest.raises(ParameterError, match="another process"):
        Board(tmp_path, LOG, timeout=0.05)
    with Board(tmp_path, LOG, timeout=0):
        pass


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("board/checkpoint", DecodingError),
        ("board/tile/entries/000", DecodingError),
        ("board/tile/entries/001.p/5", DecodingError),
        ("ballots/001.jsonl", DecodingError),
    ],
)
def test_acknowledged_files_that_are_missing_stop_the_board(
    tmp_path: Path, name: str, error: type[EvoteError]
) -> None:
    """Nothing is cut on the word of a board that has lost something itself."""
    begin(tmp_path, 260).close()
    before = listing(tmp_path)
    (tmp_path / name).unlink()
    if name.startswith("ballots"):
        (tmp_path / name).write_bytes(before[name][:-1])
    with pytest.raises(error, match=name.split(".")[0]):
        Board(tmp_path, LOG)
    assert set(before) - set(listing(tmp_path)) <= {name}
    (tmp_path / name).write_bytes(before[name])
    with Board(tmp_path, LOG) as board:
        assert board.size == 261


def test_a_board_that_is_not_ours(tmp_path: Path) -> None:
    path = tmp_path / "record"
    begin(path, 3).close()
    for other in (signer(2), signer(1, "log.example/other")):
        with pytest.raises(VerificationError):
            Board(path, other)
    with pytest.raises(ParameterError, match="key of a log"):
        Board(tmp_path / "new", WITNESSES[0])
    # A signer that does not have the key it names is found out before anything is written.
    liar = NoteSigner(key=LOG.key, sign=signer(2).sign)
    with pytest.raises(VerificationError, match="false"):
        Board(tmp_path / "new", liar)
    with Board(path, liar) as board, pytest.raises(VerificationError, match="false"):
        board.append(*ballots(1))
    assert check_board_files(path)[0] == 4


def test_entries_that_are_not_those_of_the_checkpoint(tmp_path: Path) -> None:
    begin(tmp_path, 3).close()
    bundle = tmp_path / bundle_path(0, 4)
    data = bundle.read_bytes()
    bundle.write_bytes(data.replace(b'"credential":"0', b'"credential":"1', 1))
    assert bundle.read_bytes() != data
    with pytest.raises(BrokenLog, match="root"):
        Board(tmp_path, LOG)


# -- crashes ---------------------------------------------------------------------------------------


class Crash(BaseException):
    """The process is gone: no handler of it may run to an effect."""


class Disk:
    """Stands for `os` inside `_files`: counts operations, dies at one, knows what is durable.

    A file's bytes are durable as they were when the file was last synced, and its name when its
    directory was; `power_loss` leaves only that.
    """

    STEPS = frozenset(("write", "fsync", "replace", "unlink", "rmdir", "mkdir", "ftruncate"))

    def __init__(self, root: Path, dies_at: int = -1) -> None:
        self.root, self.dies_at = root, dies_at
        self.calls: list[str] = []
        self.dead = False
        self.paths: dict[int, str] = {}
        self.names: dict[str, list[bytes]] = {  # path -> a cell with the synced bytes
            str(path): [path.read_bytes()] for path in root.rglob("*") if path.is_file()
        }
        self.durable = dict(self.names)

    def __getattr__(self, name: str) -> Any:
        real = getattr(os, name)
        if not callable(real) or name not in self.STEPS | {"open", "close"}:
            return real

        def call(*args: Any, **options: Any) -> Any:
            if name in self.STEPS:
                if self.dead:
                    raise Crash
                self.calls.append(name)
                if len(self.calls) - 1 == self.dies_at:
                    self.dead = True
                    if name == "write":
                        real(args[0], bytes(args[1])[: len(args[1]) // 2])  # torn
                    raise Crash
            result = real(*args, **options)
            self.note(name, args, result)
            return result

        return call

    def note(self, name: str, args: tuple[Any, ...], result: Any) -> None:
        path = str(args[0])
        if name == "open":
            self.paths[result] = path
            if args[1] & os.O_CREAT:
                self.names.setdefault(path, [b""])
        elif name == "replace":
            self.names[str(args[1])] = self.names.pop(path)
        elif name == "unlink":
            self.names.pop(path, None)
        elif name == "fsync":
            target = self.paths[args[0]]
            if not os.path.isdir(target):
                self.names[target][0] = Path(target).read_bytes()
                return
            here = {p: cell for p, cell in self.names.items() if os.path.dirname(p) == target}
            for known in [p for p in self.durable if os.path.dirname(p) == target]:
                del self.durable[known]
            self.durable.update(here)

    def power_loss(self) -> None:
        shutil.rmtree(self.root)
        for path, cell in self.durable.items():
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            Path(path).write_bytes(cell[0])


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("board")
    begin(path, 249).close()
    return path


def interrupted(
    path: Path, monkeypatch: pytest.MonkeyPatch, dies_at: int, *, power: bool
) -> tuple[int, bool]:
    """Append to a copy of a board and die: how many entries it acknowledged, whether it died."""
    disk = Disk(path, dies_at)
    acknowledged, died = 250, False
    with monkeypatch.context() as patch:
        patch.setattr(_files, "os", disk)
        try:
            with Board(path, LOG) as board:
                for count in (1, 10, 520):  # inside a bundle, over its end, over several
                    board.append(*ballots(count, acknowledged))
                    acknowledged += count
        except Crash:
            died = True
    if power:
        disk.power_loss()
    return acknowledged, died


@pytest.mark.parametrize("power", [False, True], ids=["killed", "power lost"])
def test_nothing_acknowledged_is_lost_at_any_step(
    begun: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, power: bool
) -> None:
    """attacks: F3"""
    roots = {
        size: merkle_root(map(encode_entry, entries))
        for size, entries in whole_logs((250, 251, 261, 781))
    }
    step, died, sizes = 0, True, set()
    while died:
        path = tmp_path / str(step)
        shutil.copytree(begun, path)
        acknowledged, died = interrupted(path, monkeypatch, step, power=power)
        with Board(path, LOG) as board:
            assert board.size >= acknowledged, f"step {step}"
            assert board.root == roots[board.size], f"step {step}"
            sizes.add(board.size)
        assert check_board_files(path) == (board.size, roots[board.size])
        shutil.rmtree(path)
        step += 1
    assert step > 40
    assert sizes == set(roots)


def whole_logs(sizes: tuple[int, ...]) -> Iterator[tuple[int, list[Entry]]]:
    entries = ENTRIES[:1] + ballots(249)[0]
    for size in sizes:
        if len(entries) < size:
            entries = entries + ballots(size - len(entries), len(entries))[0]
        yield size, entries


@pytest.mark.parametrize("first", [8, 14, 21, 30])
def test_a_crash_while_recovering_from_a_crash(
    begun: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first: int
) -> None:
    died, step = True, 0
    while died:
        path = tmp_path / f"{first}-{step}"
        shutil.copytree(begun, path)
        acknowledged, _ = interrupted(path, monkeypatch, first, power=False)
        disk, died = Disk(path, step), False
        with monkeypatch.context() as patch:
            patch.setattr(_files, "os", disk)
            try:
                Board(path, LOG).close()
            except Crash:
                died = True
        disk.power_loss()
        with Board(path, LOG) as board:
            assert board.size >= acknowledged
        check_board_files(path)
        step += 1


def test_a_full_disk_closes_the_board(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    board = begin(tmp_path, 5)
    real = os.write

    def full(descriptor: int, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OSError, match="No space"):
        board.append(*ballots(3))
    monkeypatch.setattr(os, "write", real)
    with pytest.raises(ParameterError, match="closed"):
        board.append(*ballots(3))
    with Board(tmp_path, LOG) as board:
        assert board.size == 6
        board.append(*ballots(3))
    assert check_board_files(tmp_path)[0] == 9


def test_writing_a_file_twice(tmp_path: Path) -> None:
    path = tmp_path / "file"
    _files.write_file(path, b"one")
    _files.write_file(path, b"one")
    with pytest.raises(ParameterError, match="other content"):
        _files.write_file(path, b"two")
    _files.write_file(path, b"two", overwrite=True)
    assert _files.read_file(path, 3) == b"two"
    assert [item.name for item in tmp_path.iterdir()] == ["file"]
    with pytest.raises(DecodingError, match="at most 2"):
        _files.read_file(path, 2)
    link = tmp_path / "link"
    link.symlink_to(path)
    for wrong in (link, tmp_path, tmp_path / "none", tmp_path / "a\0b"):
        with pytest.raises(DecodingError):
            _files.read_file(wrong, 10)
    with pytest.raises(ParameterError):
        _files.write_file(link, b"two")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DecodingError, match="not a regular file"):
        _files.read_file(tmp_path / "pipe", 10)


# -- receipts --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def receipts(tmp_path_factory: pytest.TempPathFactory) -> list[Receipt]:
    with begin(tmp_path_factory.mktemp("receipts"), 300) as board:
        assert board.receipts([300, 2, 255, 256])[1] == board.receipt(2)
        return board.receipts(range(301))


def test_receipts_verify_offline(receipts: list[Receipt]) -> None:
    expected = [encode_entry(entry) for entry in ENTRIES[:1] + ballots(300)[0]]
    for index, receipt in enumerate(receipts):
        data = encode_receipt(receipt)
        assert decode_receipt(data) == receipt
        claim = verify_receipt(receipt, LOG.key)
        assert claim.index == index
        assert encode_entry(claim.entry) == receipt.entry == expected[index]
        assert claim.checkpoint.size == 301
    named = [f"witness W{i} {witness.key.text}\n" for i, witness in enumerate(WITNESSES)]
    text = "".join([*named, "group two 2 W0 W1 W2\n", "quorum two\n"])
    policy = decode_policy(text.encode())
    receipt = receipts[7]
    with pytest.raises(VerificationError, match="quorum"):
        verify_receipt(receipt, LOG.key, policy)
    seen = receipt.proof.checkpoint
    for witness in (WITNESSES[0], WITNESSES[2]):
        seen = cosign(seen, witness, 1700000000)
    witnessed = replace(receipt, proof=replace(receipt.proof, checkpoint=seen))
    assert verify_receipt(witnessed, LOG.key, policy).index == 7
    assert decode_receipt(encode_receipt(witnessed)) == witnessed


def test_receipts_altered(receipts: list[Receipt]) -> None:
    receipt, other = receipts[7], receipts[8]
    proof = receipt.proof
    smaller = sign_checkpoint(Checkpoint(origin=ORIGIN, size=1, root=bytes(32)), LOG)
    for wrong in (
        replace(receipt, entry=other.entry),
        replace(receipt, proof=other.proof),
        replace(receipt, proof=replace(proof, index=8)),
        replace(receipt, proof=replace(proof, hashes=proof.hashes[1:])),
        replace(receipt, proof=replace(proof, checkpoint=smaller)),
        replace(receipt, entry=receipt.entry.replace(b'"cast"', b'"spoil"')),
    ):
        with pytest.raises(VerificationError):
            verify_receipt(wrong, LOG.key)
    with pytest.raises(VerificationError):
        verify_receipt(receipt, signer(2).key)
    value = json.loads(encode_receipt(receipt))
    for key in value:
        with pytest.raises(DecodingError):
            decode_receipt(canonical_json({k: v for k, v in value.items() if k != key}))
        with pytest.raises(EvoteError):
            decode_receipt(canonical_json({**value, key: 7}))
    with pytest.raises(DecodingError, match="unknown field"):
        decode_receipt(canonical_json({**value, "more": 7}))
    with pytest.raises(UnsupportedError):
        decode_receipt(canonical_json({**value, "version": 2}))
    with pytest.raises(DecodingError):
        decode_receipt(canonical_json({**value, "entry": encode_base64url(bytes(65536))}))


def test_every_flipped_byte_of_a_receipt(receipts: list[Receipt]) -> None:
    data = encode_receipt(receipts[7])
    verify_receipt(decode_receipt(data), LOG.key)
    rng = random.Random(7)
    for position in range(len(data)):
        altered = bytearray(data)
        altered[position] ^= 1 << rng.randrange(8)
        with pytest.raises(EvoteError):
            verify_receipt(decode_receipt(bytes(altered)), LOG.key)


@pytest.mark.parametrize("number", [0, 1, 7])
def test_bundles_of_ballots_are_read_as_their_entries(number: int) -> None:
    rng = random.Random(number)
    actions: tuple[Action, ...] = ("cast", "spoil")
    entries = [
        BallotEntry(
            action=rng.choice(actions),
            credential=rng.randbytes(32),
            digest=rng.randbytes(32),
            signature=rng.randbytes(64),
        )
        for _ in range(number)
    ]
    columns = read_ballot_entries([encode_entry(entry) for entry in entries])
    assert columns is not None
    assert [columns.entry(i) for i in range(len(columns))] == entries
    if entries:
        again = BallotColumns.of(entries)
        assert all(np.array_equal(a, b) for a, b in zip(columns, again, strict=True))
    data = [encode_entry(entry) for entry in entries]
    assert read_ballot_entries([*data, encode_entry(TallyEntry(digest=bytes(32)))]) is None


@given(st.data())
def test_what_is_no_ballot_entry_is_in_no_column(data: st.DataObject) -> None:
    """Whatever the short cut takes, the general reader reads to the same value."""
    good = encode_entry(
        BallotEntry(action="cast", credential=b"c" * 32, digest=b"d" * 32, signature=b"s" * 64)
    )
    changed = bytearray(good)
    changed[data.draw(st.integers(0, len(good) - 1))] = data.draw(st.integers(0, 255))
    columns = read_ballot_entries([good, bytes(changed)])
    try:
        entry = read_entry(bytes(changed))
    except DecodingError:
        entry = None
    if columns is None:
        assert not isinstance(entry, BallotEntry)
    else:
        assert columns.entry(1) == entry
