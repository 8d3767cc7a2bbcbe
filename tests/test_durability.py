"""What a board has acknowledged is there: after a crash at any write, a kill, a full disk.

`Journal` records what a board does to its files, and lays out the disk as a crash after any prefix
of it may leave it. The layers above never see it: they write through `_files` alone.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from evote import _files
from evote.board import (
    Board,
    Checkpoint,
    Receipt,
    encode_entry,
    merkle_root,
    open_checkpoint,
    verify_consistency,
    verify_receipt,
)
from evote.errors import ParameterError
from tests.test_board import LOG, ballots, begin, check_board_files, whole_logs

SIZES = (250, 251, 261, 561)


@dataclass
class Node:
    """A file or directory: what was written, and how much of that is on the disk for sure."""

    data: bytearray | None  # None: a directory
    synced: bytes = b""


@dataclass
class Disk:
    """Names and files as a running system sees them, and the names that are there for sure."""

    live: dict[str, Node] = field(default_factory=dict)
    durable: dict[str, Node] = field(default_factory=dict)

    @classmethod
    def of(cls, root: Path) -> Disk:
        """All of it synced."""
        disk = cls()
        for path in root.rglob("*"):
            data = None if path.is_dir() else path.read_bytes()
            name = path.relative_to(root).as_posix()
            disk.live[name] = Node(None if data is None else bytearray(data), data or b"")
        disk.durable = dict(disk.live)
        return disk

    def apply(self, step: tuple[Any, ...]) -> None:
        """Do what was recorded."""
        match step:
            case ("create", name, True):
                self.live[name] = Node(bytearray())
            case ("write", name, data):
                content = self.live[name].data
                assert content is not None
                content += data
            case ("cut", name, size):
                content = self.live[name].data
                assert content is not None
                del content[size:]
            case ("sync", name):
                node = self.live.get(name)
                if node is not None and node.data is not None:
                    node.synced = bytes(node.data)
                    return
                for path in [p for p in self.durable if os.path.dirname(p) == name]:
                    del self.durable[path]
                here = {p: n for p, n in self.live.items() if os.path.dirname(p) == name}
                self.durable.update(here)
            case ("rename", old, new):
                self.live[new] = self.live.pop(old)
            case ("remove", name):
                del self.live[name]
            case ("mkdir", name):
                self.live[name] = Node(None)

    def killed(self) -> dict[str, bytes | None]:
        """The system lives on, and writes everything."""
        return {p: None if n.data is None else bytes(n.data) for p, n in self.live.items()}

    def lost(self) -> dict[str, bytes | None]:
        """The power goes: what was not synced is gone."""
        return {p: None if n.data is None else n.synced for p, n in self.durable.items()}

    def torn(self, rng: random.Random) -> dict[str, bytes | None]:
        """The power goes while the disk was writing, in any order: parts of files, some names."""
        left: dict[str, bytes | None] = {}
        for path in sorted({*self.live, *self.durable}):
            node = rng.choice((self.live, self.durable)).get(path)
            if node is None:
                continue
            left[path] = None
            if node.data is not None:
                kept = rng.randint(0, max(len(node.data) - len(node.synced), 0))
                data = bytes(node.data) if len(node.data) < len(node.synced) else node.synced
                data += bytes(node.data)[len(node.synced) :][:kept]
                if rng.random() < 0.3:  # as long as it was to be, and not written
                    data += bytes(max(len(node.data) - len(data), 0))
                left[path] = data
        return left


def lay_out(target: Path, files: dict[str, bytes | None]) -> None:
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir()
    for name, data in sorted(files.items()):
        above = [name[:i] for i, letter in enumerate(name) if letter == "/"]
        if any(directory not in files for directory in above):
            continue  # its directory is gone, and it with it
        if data is None:
            (target / name).mkdir(exist_ok=True)
    for name, data in files.items():
        if data is not None and (target / name).parent.is_dir():
            (target / name).write_bytes(data)


class Journal:
    """Stands for `os` inside `_files`, and writes down what changes the disk."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self.steps: list[tuple[Any, ...]] = []
        self._open: dict[int, str] = {}
        self._halved = -1

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)

    def _name(self, path: Any) -> str:
        name = Path(path).relative_to(self._root).as_posix()
        return "" if name == "." else name

    def open(self, path: Any, flags: int, mode: int = 0o777) -> int:
        new = not os.path.lexists(path)
        descriptor = os.open(path, flags, mode)
        self._open[descriptor], self._halved = self._name(path), -1
        if flags & os.O_CREAT:
            self.steps.append(("create", self._name(path), new))
        return descriptor

    def write(self, descriptor: int, data: bytes) -> int:
        """In two halves, so that there is a crash between them."""
        first, self._halved = self._halved != descriptor, descriptor
        written = os.write(descriptor, memoryview(data)[: len(data) // 2 if first else None])
        self.steps.append(("write", self._open[descriptor], bytes(data)[:written]))
        return written

    def fsync(self, descriptor: int) -> None:
        self.steps.append(("sync", self._open[descriptor]))

    def ftruncate(self, descriptor: int, size: int) -> None:
        os.ftruncate(descriptor, size)
        self.steps.append(("cut", self._open[descriptor], size))

    def replace(self, old: Any, new: Any) -> None:
        os.replace(old, new)
        self.steps.append(("rename", self._name(old), self._name(new)))

    def unlink(self, path: Any) -> None:
        os.unlink(path)
        self.steps.append(("remove", self._name(path)))

    def rmdir(self, path: Any) -> None:
        os.rmdir(path)
        self.steps.append(("remove", self._name(path)))

    def mkdir(self, path: Any, mode: int = 0o777) -> None:
        os.mkdir(path, mode)
        self.steps.append(("mkdir", self._name(path)))


@dataclass(frozen=True)
class Recorded:
    """One run of a board: where it began, each step, and what it acknowledged after how many."""

    before: Path
    steps: list[tuple[Any, ...]]
    acknowledged: list[tuple[int, list[Receipt], bytes]]
    indexes: dict[str, bytes]


@pytest.fixture(scope="module", name="recorded")
def make_recorded(tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    """From 250 entries on: one more, ten over the end of a bundle, and 300 more."""
    base = tmp_path_factory.mktemp("recorded")
    before, work = base / "before", base / "work"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: None)
        begin(before, 249).close()
        shutil.copytree(before, work)
        with Board(work, LOG, index=base / "index"):
            pass
        indexes = {"none": b"", "behind": (base / "index").read_bytes()}
        journal = Journal(work)
        patch.setattr(_files, "os", journal)
        acknowledged: list[tuple[int, list[Receipt], bytes]] = []
        with Board(work, LOG, index=base / "index") as board:
            for count in (1, 10, 300):
                places = board.append(*ballots(count, board.size))
                acknowledged.append((len(journal.steps), board.receipts(places), board.checkpoint))
    disk = Disk.of(before)
    for step in journal.steps:
        disk.apply(step)
    lay_out(base / "replayed", disk.killed())
    for root in (work, base / "replayed"):  # the journal misses nothing
        assert check_board_files(root) == check_board_files(work)
    return Recorded(before, journal.steps, acknowledged, indexes)


def states(recorded: Recorded) -> Iterator[tuple[int, str, dict[str, bytes | None]]]:
    """After each prefix of the steps, every way we know for a disk to be left."""
    disk = Disk.of(recorded.before)
    for number, step in enumerate([None, *recorded.steps]):
        if step is not None:
            disk.apply(step)
        yield number, "killed", disk.killed()
        yield number, "lost", disk.lost()
        yield number, "torn", disk.torn(random.Random(number))


def test_every_prefix_of_the_writes(
    recorded: Recorded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """attacks: F3. Nothing acknowledged is lost, and the log continues all that was signed."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
    roots = {size: merkle_root(map(encode_entry, log)) for size, log in whole_logs(SIZES)}
    work, index = tmp_path / "work", tmp_path / "index"
    seen: set[tuple[str, int]] = set()
    tried = 0
    for number, how, files in states(recorded):
        lay_out(work, files)
        for suffix in ("", "-wal"):
            Path(f"{index}{suffix}").unlink(missing_ok=True)
        kind = ("none", "behind")[(number + tried) % 2]  # it is written after the checkpoint
        if recorded.indexes[kind]:
            index.write_bytes(recorded.indexes[kind])
        place = f"{how} after {number} steps, index {kind}"
        with Board(work, LOG, index=index) as board:
            assert board.root == roots[board.size], place
            for after, receipts, signed in recorded.acknowledged:
                if after > number:
                    continue
                head = open_checkpoint(signed, LOG.key)
                proof = board.consistency_proof(head.size)
                verify_consistency(head.size, head.root, board.size, board.root, proof)
                for receipt in (receipts[0], receipts[-1]):
                    now = board.receipt(receipt.proof.index)
                    assert now.entry == receipt.entry, place
                    verify_receipt(now, LOG.key)
            size = board.size
            if tried % 5 == 0:
                assert board.append(*ballots(3, 5000)) == range(size, size + 3), place
        assert check_board_files(work)[0] >= size, place
        seen.add((how, size))
        tried += 1
    assert len(recorded.steps) > 100
    assert tried == 3 * (len(recorded.steps) + 1)
    assert {(how, size) for how in ("killed", "lost", "torn") for size in SIZES} <= seen


def test_the_journal_would_see_a_missing_sync(recorded: Recorded, tmp_path: Path) -> None:
    """The test above can fail: without the syncs, what was acknowledged is not there."""
    disk = Disk.of(recorded.before)
    for step in recorded.steps:
        if step[0] != "sync":
            disk.apply(step)
    assert disk.lost() == Disk.of(recorded.before).lost()
    assert disk.killed() != disk.lost()


def test_killed_writers(tmp_path: Path) -> None:
    """attacks: F3. SIGKILL at random points; hundreds with `python -m tests.board_killer 400`."""
    command = [sys.executable, "-m", "tests.board_killer", "24", str(tmp_path / "boards"), "3"]
    root = Path(__file__).parent.parent
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert sum(line["rounds"] for line in lines) == 24
    assert sum(line["acknowledged"] for line in lines) > 0


# -- full disks ------------------------------------------------------------------------------------


def fill(board: Board, at_once: int) -> list[Receipt]:
    """Append until the disk refuses; what was acknowledged."""
    receipts: list[Receipt] = []

    def append() -> None:
        for _ in range(1000):
            receipts.extend(board.receipts(board.append(*ballots(at_once, board.size))))

    with pytest.raises(OSError, match="No space"):
        append()
    with pytest.raises(ParameterError, match="closed"):
        board.append(*ballots(1))
    return receipts


def check_all_there(board: Board, receipts: list[Receipt]) -> None:
    for receipt in receipts:
        assert board.receipt(receipt.proof.index).entry == receipt.entry
    heads: set[Checkpoint] = {open_checkpoint(r.proof.checkpoint, LOG.key) for r in receipts}
    for head in heads:
        proof = board.consistency_proof(head.size)
        verify_consistency(head.size, head.root, board.size, board.root, proof)


@pytest.mark.parametrize("room", [0, 1, 300, 20_000, 60_000, 100_000, 200_000])
def test_a_disk_that_fills_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, room: int) -> None:
    """The last write that succeeds is a short one."""
    left = room
    write = os.write

    def limited(descriptor: int, data: bytes) -> int:
        nonlocal left
        if not left:
            raise OSError(28, "No space left on device")
        written = write(descriptor, bytes(data)[:left])
        left -= written
        return written

    board = begin(tmp_path / "record", 5)
    with monkeypatch.context() as patch:
        patch.setattr("evote._files.os.write", limited)
        receipts = fill(board, 7)
    assert bool(receipts) == (room >= 20_000)
    with Board(tmp_path / "record", LOG) as board:
        check_all_there(board, receipts)
        board.append(*ballots(3, 9000))
    check_board_files(tmp_path / "record")


@pytest.fixture
def tiny(tmp_path: Path) -> Iterator[Path]:
    """A file system of 300 kB."""
    place = tmp_path / "tiny"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", str(place)]
    try:
        mounted = subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:
        mounted = False
    if not mounted:
        pytest.skip("mounting a file system needs the rights for it")
    yield place
    subprocess.run(["umount", "-l", str(place)], capture_output=True, check=True)


@pytest.mark.parametrize("at_once", [10, 40, 300])
def test_a_file_system_that_is_full(tiny: Path, at_once: int) -> None:
    """attacks: F3. Opened again while it is full still, the board reads and proves all it has."""
    receipts = fill(begin(tiny / "record", 5), at_once)
    assert receipts
    with Board(tiny / "record", LOG) as board:
        check_all_there(board, receipts)
        assert board.size >= len(receipts) + 6
    assert check_board_files(tiny / "record")[0] == board.size
