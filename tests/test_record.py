"""The record as files: a strict listing in every phase, and reads that stay small."""

from __future__ import annotations

import os
import shutil
import socket
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evote._forms import Strings
from evote.ballots import body_sizes
from evote.board import (
    BallotEntry,
    Checkpoint,
    NoteSigner,
    Open,
    bodies_path,
    bundle_path,
    encode_bundle,
    encode_entry,
    merkle_root,
    sign_checkpoint,
)
from evote.credentials import RollHeader, RollRow, make_roll
from evote.election import Manifest, encode_manifest
from evote.encoding import digest
from evote.errors import DecodingError, ParameterError
from evote.operators import OperatorKey, draw_operator
from evote.record import (
    CHECKPOINT,
    MANIFEST,
    RESULT,
    ROLL,
    ROLL_BUNDLE,
    TALLY,
    Phase,
    Record,
    rows_path,
    share_path,
    write_roll,
)
from tests.test_election import GOOD

POSIX = pytest.mark.skipif(os.name == "nt", reason="POSIX file types")
PHASES = [phase.name.lower() for phase in Phase]


@pytest.fixture
def copy(tmp_path: Path, phases: dict[str, Path]) -> Callable[[str], Path]:
    def make(phase: str) -> Path:
        return Path(shutil.copytree(phases[phase], tmp_path / phase))

    return make


@pytest.fixture
def finished(copy: Callable[[str], Path]) -> Path:
    return copy("finished")


def problems(path: Path) -> list[str]:
    return [str(problem) for problem in Record(path).problems()]


def names(path: Path) -> list[str]:
    return sorted(p.relative_to(path).as_posix() for p in path.rglob("*") if p.is_file())


# -- phases --------------------------------------------------------------------------------------


@pytest.mark.parametrize("phase", PHASES)
def test_phases(phases: dict[str, Path], phase: str) -> None:
    record = Record(phases[phase])
    assert record.phase() is Phase[phase.upper()]
    assert record.problems() == []
    assert list(record.files()) == names(phases[phase])
    record.check_files()


LATER = {
    "setup": [CHECKPOINT, TALLY, RESULT, "shares/001.json", "ballots/000.jsonl"],
    "ceremony": [CHECKPOINT, TALLY, RESULT, "shares/001.json", "ballots/000.jsonl"],
    "ready": [TALLY, RESULT, "shares/001.json", "ballots/000.jsonl", bundle_path(0, 1)],
    "voting": [TALLY, RESULT, "shares/001.json", "ballots/001.jsonl", bundle_path(1, 1)],
    "sealed": [TALLY, RESULT, "shares/001.json", bundle_path(0, 3)],
    "tallied": [RESULT, "shares/003.json", bundle_path(0)],
    "finished": ["shares/003.json", "roll/rows/001.jsonl", "ballots/001.jsonl"],
}


@pytest.mark.parametrize(
    ("phase", "name"), [(phase, name) for phase, more in LATER.items() for name in more]
)
def test_files_of_a_later_phase_are_refused(
    copy: Callable[[str], Path], phases: dict[str, Path], phase: str, name: str
) -> None:
    path = copy(phase)
    source = phases["finished"] / name
    (path / name).parent.mkdir(parents=True, exist_ok=True)
    (path / name).write_bytes(source.read_bytes() if source.exists() else b"x")
    found = problems(path)
    assert found
    assert any(problem.startswith(name) or "cannot be told" in problem for problem in found)


def test_shares_may_come_before_the_board_names_them(
    copy: Callable[[str], Path], phases: dict[str, Path]
) -> None:
    path = copy("tallied")
    (path / "shares").mkdir(exist_ok=True)
    shutil.copy(phases["finished"] / share_path(2), path / share_path(2))
    assert problems(path) == []
    assert Record(path).share_indices() == (2,)
    (path / share_path(3)).write_bytes(b"{}")  # there are two trustees
    assert problems(path) == [f"{share_path(3)}: no such file belongs to a record in this phase"]


def test_every_file_is_missed(finished: Path) -> None:
    """Each alone: the listing names it, or the file from which it should have been known."""
    for name in names(finished):
        data = (finished / name).read_bytes()
        (finished / name).unlink()
        found = problems(finished)
        if name == CHECKPOINT:  # then nothing under board/ is known
            assert any(problem.startswith("board/tile/entries/000.p/") for problem in found)
        else:
            # Without its only hash tile a record would be right; the directory is what remains.
            named = name.rpartition("/")[0] if name.startswith("board/tile/0/") else name
            assert any(problem.startswith(named) for problem in found), (name, found)
        (finished / name).write_bytes(data)
    assert problems(finished) == []


def test_renamed_files(finished: Path) -> None:
    for old, new in (
        (MANIFEST, "Manifest.json"),
        (TALLY, "tally.JSON"),
        ("shares/001.json", "shares/1.json"),
        (ROLL, "roll/roll"),
        (CHECKPOINT, "checkpoint"),
    ):
        (finished / old).rename(finished / new)
        assert any(p.startswith(f"{new}: a file of this name") for p in problems(finished))
        with pytest.raises(DecodingError, match="a file of this name belongs to no record"):
            Record(finished).files()
        (finished / new).rename(finished / old)
    assert problems(finished) == []


@POSIX
@pytest.mark.parametrize(
    "name",
    [
        "MANIFEST.JSON",
        "Shares",
        "notes.txt",
        ".new-tally.json",
        "shares/001.json~",
        "ballots/000.jsonl.gz",
        "board/tile/0/000",
        "board/tile/0/x000/000",
        "roll/rows/00\u0660.jsonl",
        "line\nfeed",
        "\x1b[31mred",
        "\u202egnp.json",
        "ceremony/commit-003.json",
        "ceremony/commit-1.json",
    ],
)
def test_extra_names(finished: Path, name: str) -> None:
    target = finished / name
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(b"x")
    found = problems(finished)
    assert len(found) == 1
    assert found[0].isascii()
    assert found[0].isprintable()


@POSIX
def test_name_that_is_no_text(finished: Path) -> None:
    with open(os.fsencode(finished) + b"/\xff\xfe", "wb") as file:
        file.write(b"x")
    [problem] = problems(finished)
    assert problem.isascii()


@POSIX
@pytest.mark.parametrize("name", [MANIFEST, TALLY, "shares/001.json", "ballots/000.jsonl"])
def test_links_and_devices(finished: Path, name: str) -> None:
    """A link, even to the right bytes, a pipe and a socket are no files of a record."""
    target = finished / name
    aside = finished.parent / "aside"
    target.rename(aside)
    target.symlink_to(aside)
    assert any(p.startswith(f"{name}: a symlink") for p in problems(finished))
    with pytest.raises(DecodingError, match=f"^{name}: not a readable file"):
        Record(finished).read(name)
    target.unlink()
    os.mkfifo(target)
    assert any(p.startswith(f"{name}: a pipe") for p in problems(finished))
    with pytest.raises(DecodingError, match=f"^{name}: not a regular file"):
        Record(finished).read(name)
    target.unlink()
    with socket.socket(socket.AF_UNIX) as listener:
        here = Path.cwd()
        os.chdir(target.parent)  # the path of a socket is short
        try:
            listener.bind(target.name)
        finally:
            os.chdir(here)
    assert any(p.startswith(f"{name}: a socket") for p in problems(finished))
    target.unlink()
    target.mkdir()
    assert any(p.startswith(f"{name}: a directory") for p in problems(finished))


@POSIX
def test_linked_directories_are_not_entered(finished: Path) -> None:
    (finished / "shares").rename(finished.parent / "shares")
    (finished / "shares").symlink_to(finished.parent / "shares")
    assert "shares: a symlink of this name belongs to no record" in problems(finished)
    with pytest.raises(DecodingError, match=r"^shares: a symlink"):
        Record(finished).share_bytes(1)
    loop = finished / "ballots" / "x001"
    loop.symlink_to(finished)
    assert any(p.startswith("ballots/x001: a symlink") for p in problems(finished))


def test_directories(finished: Path) -> None:
    (finished / "ballots" / "x001").mkdir()
    assert problems(finished) == ["ballots/x001: an empty directory"]
    (finished / "ballots" / "x001").rmdir()
    (finished / "shares" / "more").mkdir()
    assert problems(finished) == ["shares/more: a directory of this name belongs to no record"]


def test_no_record_at_all(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "missing", Path(__file__)):
        found = problems(path)
        assert any("file is missing" in p or "not a readable" in p for p in found)


def test_paths_do_not_leave_the_record(finished: Path) -> None:
    for name in ("../finished/manifest.json", "/etc/passwd", "shares/../manifest.json", ""):
        with pytest.raises(DecodingError, match="no file of this name belongs to a record"):
            Record(finished).read(name)


# -- sizes ---------------------------------------------------------------------------------------


def sparse(path: Path, size: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.truncate(size)


def peak(action: Callable[[], object]) -> int:
    """Bytes that Python held at most while it ran."""
    tracemalloc.start()
    try:
        action()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", [MANIFEST, ROLL, CHECKPOINT, TALLY, RESULT, "shares/001.json"])
def test_huge_files(finished: Path, name: str) -> None:
    sparse(finished / name, 2**34)

    def read() -> None:
        with pytest.raises(DecodingError, match=f"^{name}: 17179869184 bytes, at most"):
            Record(finished).read(name)

    assert peak(read) < 2**20
    if name in (MANIFEST, ROLL, CHECKPOINT):  # which the listing itself rests on
        assert any(problem.startswith(f"{name}: ") for problem in problems(finished))


@pytest.mark.parametrize("size", [2**20, 2**31, 2**36])
def test_ballots_of_nothing(finished: Path, size: int) -> None:
    """A sparse file costs its author nothing, and its reader no more than a ballot."""
    sparse(finished / "ballots" / "000.jsonl", size)

    def read() -> None:
        with pytest.raises(DecodingError, match=r"ballots/000\.jsonl"):
            list(Record(finished).ballots())

    assert peak(read) < 4 * 2**20


def test_lines_longer_than_a_ballot(finished: Path) -> None:
    """Many lines of the 16 MiB that some ballot might have, where this election's are short."""
    path = finished / "ballots" / "000.jsonl"
    [size] = set(sizes(finished))
    sparse(path, 2**32)
    with path.open("r+b") as file:
        for i in range(1, 250):
            file.seek(i * 2**24)
            file.write(b"\n")

    def read() -> None:
        with pytest.raises(DecodingError, match=f"line 1: longer than {size + 1} bytes"):
            list(Record(finished).ballot_bodies(0))

    assert peak(read) < 2**20


def sizes(path: Path) -> list[int]:
    m = Record(path).manifest
    return list(body_sizes(m.group, m.contests, m.styles).values())


def test_ballots_have_the_size_they_must_have(phases: dict[str, Path]) -> None:
    [size] = set(sizes(phases["finished"]))
    assert {len(body) for _, _, body in Record(phases["finished"]).ballots()} == {size}


# -- lines ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data: data[:-1], "line 3: no end of line"),
        (lambda data: data + b"\n", "line 4: only 3 lines expected"),
        (lambda data: data + b"x", "line 4: only 3 lines expected"),
        (lambda data: data[: data.index(b"\n") + 1], "3 lines expected, got 1"),
        (lambda data: b"", "3 lines expected, got 0"),
        (lambda data: data.replace(b"\n", b"\r\n"), ""),
        (lambda data: b"x" * 2000 + data, "line 1: longer than 1001 bytes"),
    ],
)
def test_lines_of_the_roll(finished: Path, change: Callable[[bytes], bytes], message: str) -> None:
    path = finished / rows_path(0)
    assert len(list(Record(finished).roll_rows())) == 3
    path.write_bytes(change(path.read_bytes()))
    if not message:  # a carriage return belongs to the line, where the reader of rows refuses it
        assert all(row.endswith(b"\r") for row in Record(finished).roll_rows())
        return
    with pytest.raises(DecodingError, match=f"^{rows_path(0)}: {message}$"):
        list(Record(finished).roll_rows())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data: data[:-1], "line 4: no end of line"),
        (lambda data: data + data[: data.index(b"\n") + 1], "line 5: only 4 lines expected"),
        (lambda data: data[: data.index(b"\n") + 1], "4 lines expected, got 1"),
    ],
)
def test_lines_of_the_ballots(
    finished: Path, change: Callable[[bytes], bytes], message: str
) -> None:
    path = finished / bodies_path(0)
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(DecodingError, match=f"^{bodies_path(0)}: {message}$"):
        list(Record(finished).ballots())


def test_header_that_promises_billions(finished: Path) -> None:
    """The listing counts no further than the first rows that are missing."""
    huge = RollHeader(base=bytes(32), count=2**32 - 1, root=bytes(32), weight=0)
    (finished / ROLL).write_bytes(huge.encode())
    held = peak(lambda: problems(finished))
    assert f"{rows_path(1)}: file is missing" in problems(finished)
    assert held < 4 * 2**20
    with pytest.raises(DecodingError, match=f"{rows_path(0)}: 4096 lines expected, got 3"):
        list(Record(finished).roll_rows())


# -- writing and streaming a roll ----------------------------------------------------------------


def rows(count: int) -> list[RollRow]:
    return [
        RollRow(credential=digest("test", i.to_bytes(4, "big")), style="all") for i in range(count)
    ]


@pytest.mark.parametrize("count", [0, 1, ROLL_BUNDLE, ROLL_BUNDLE + 1])
def test_rolls_of_any_size(tmp_path: Path, count: int) -> None:
    header, encoded = make_roll(bytes(32), rows(count))
    write_roll(tmp_path, header.encode(), encoded)
    assert list(Record(tmp_path).roll_rows()) == encoded
    write_roll(tmp_path, header.encode(), iter(encoded))
    assert list(Record(tmp_path).roll_rows()) == encoded
    if count:
        other, changed = make_roll(bytes(32), rows(count + 1)[1:])
        with pytest.raises(ParameterError, match="exists already with other content"):
            write_roll(tmp_path, other.encode(), changed)
        assert Record(tmp_path).roll_header() == header.encode()


def test_place_of_a_row() -> None:
    assert Record("x").roll_row_place(0) == "roll/rows/000.jsonl: line 1"
    assert Record("x").roll_row_place(ROLL_BUNDLE + 2) == "roll/rows/001.jsonl: line 3"


# -- streaming a log -----------------------------------------------------------------------------


def long_log(path: Path, manifest: Manifest, board: OperatorKey, bundles: int) -> None:
    """A record of random "ballots" of the right length, under a signed checkpoint."""
    path.mkdir()
    (path / MANIFEST).write_bytes(encode_manifest(manifest))
    size = max(body_sizes(manifest.group, manifest.contests, manifest.styles).values())
    opening = Open(election=bytes(32), manifest=bytes(32), signatures=())
    entries = [encode_entry(opening)]
    for i in range(1, 256 * bundles):
        entry = BallotEntry(
            action="cast",
            credential=bytes(32),
            digest=digest("test", i.to_bytes(4, "big")),
            signature=bytes(64),
        )
        entries.append(encode_entry(entry))
    for number in range(bundles):
        target = path / bundle_path(number)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(encode_bundle(entries[256 * number : 256 * number + 256]))
        bodies = path / bodies_path(number)
        bodies.parent.mkdir(parents=True, exist_ok=True)
        bodies.write_bytes((b"x" * size + b"\n") * (255 if number == 0 else 256))
    head = Checkpoint(origin=manifest.origin, size=len(entries), root=merkle_root(entries))
    signer = NoteSigner(key=manifest.log_key, sign=board.sign_note)
    (path / CHECKPOINT).write_bytes(sign_checkpoint(head, signer))


@given(
    st.lists(st.binary(max_size=6).map(lambda line: line.replace(b"\n", b".")), max_size=6),
    st.sampled_from([b"", b"\n", b"x"]),
    st.integers(1, 6),
)
def test_lines_at_a_time_are_the_lines(lines: list[bytes], end: bytes, count: int) -> None:
    """All that is right comes at a time; what is wrong, the reader by line says."""
    with TemporaryDirectory() as directory:
        name = bodies_path(0)
        path = Path(directory) / name
        path.parent.mkdir()
        path.write_bytes(b"\n".join(lines) + end)
        record = Record(directory)
        at_once = record._all_lines(name, 4, count)
        try:
            one_by_one = list(record._lines(name, 4, count))
        except DecodingError:
            assert at_once is None
        else:
            assert list(at_once or ()) == one_by_one
            sizes = {len(line) for line in one_by_one}
            assert isinstance(at_once, Strings) == (len(sizes) == 1)


def test_memory_does_not_grow_with_the_ballots(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("evote.record._STRIDE", 2)  # of which there are some in both
    board = draw_operator("board", "board")
    manifest = replace(GOOD, board=board.card)

    def drain(path: Path) -> Callable[[], object]:
        def read() -> None:
            record = Record(path)
            assert record.survey().size == sum(1 for _ in record.entries())
            assert not any("board/" in str(problem) for problem in record.problems())
            assert sum(1 for _ in record.ballots()) == record.survey().size - 1

        return read

    def streams() -> Iterator[int]:
        for bundles in (4, 22):
            path = tmp_path / str(bundles)
            long_log(path, manifest, board, bundles)
            yield peak(drain(path))

    small, large = streams()
    assert large < small + 200_000  # 18 bundles more: 4,608 ballots, 42 MB of bodies
    assert sum(f.stat().st_size for f in (tmp_path / "22" / "ballots").iterdir()) > 20_000_000


@pytest.mark.parametrize(
    ("data", "count", "lines", "reason"),
    [
        (b"", None, [], ""),
        (b"abcde\n\nxy\n", None, [b"abcde", b"", b"xy"], ""),
        (b"abcde\n\nxy\n", 3, [b"abcde", b"", b"xy"], ""),
        (b"abcde\n\nxy\n", 2, [b"abcde", b""], "line 3: only 2 lines expected"),
        (b"abcde\n\nxy\n", 4, [b"abcde", b"", b"xy"], ": 4 lines expected, got 3"),
        (b"ab\nabcdef\nxy\n", None, [b"ab"], "line 2: longer than 5 bytes"),
        (b"ab\nabcdefghijklm", None, [b"ab"], "line 2: longer than 5 bytes"),
        (b"ab\nabc", None, [b"ab"], "line 2: no end of line"),
        (b"ab\nabc", 1, [b"ab"], "line 2: only 1 lines expected"),
        (b"abcdef\n", 0, [], "line 1: only 0 lines expected"),
    ],
)
@pytest.mark.parametrize("at_once", [1, 2, 3, 4, 100])
def test_lines_are_the_same_however_they_are_read(
    copy: Callable[[str], Path],
    monkeypatch: pytest.MonkeyPatch,
    at_once: int,
    data: bytes,
    count: int | None,
    lines: list[bytes],
    reason: str,
) -> None:
    monkeypatch.setattr("evote.record._LINES_AT_ONCE", at_once)
    path = copy("voting")
    (path / bodies_path(0)).parent.mkdir(exist_ok=True)
    (path / bodies_path(0)).write_bytes(data)
    read = []
    expected = pytest.raises(DecodingError, match=f"{reason}$") if reason else nullcontext()
    with expected:
        for line in Record(path)._lines(bodies_path(0), 5, count):
            read.append(line)
    assert read == lines


@pytest.mark.parametrize(
    ("data", "bodies"),
    [
        (b"abc\ndef\nghi\n", [b"abc", b"def", b"ghi"]),
        (b"ab\ncdef\nghi\n", [b"ab", b"cdef", b"ghi"]),  # as many bytes, of other lengths
        (b"abcde\n\ng\n", [b"abcde", b"", b"g"]),
        (b"abc\ndef\nghi", None),
        (b"abc\ndef\n", None),
        (b"abc\ndef\nghi\nj\n", None),
        (b"abcdef\nd\ne\n", None),  # longer than a ballot
        (b"", None),
    ],
)
def test_bodies_that_are_read_at_once(
    copy: Callable[[str], Path],
    monkeypatch: pytest.MonkeyPatch,
    data: bytes,
    bodies: list[bytes] | None,
) -> None:
    path = copy("voting")
    (path / bodies_path(0)).parent.mkdir(exist_ok=True)
    (path / bodies_path(0)).write_bytes(data)
    monkeypatch.setattr(Record, "_body_size", 5)
    found = Record(path).all_bodies(0, 3)
    assert (None if found is None else list(found)) == bodies
    assert isinstance(found, Strings) == (bodies == [b"abc", b"def", b"ghi"])
    (path / bodies_path(0)).unlink()
    assert Record(path).all_bodies(0, 3) is None
