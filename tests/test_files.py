"""Files that are there after a crash, and reads that trust nothing."""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from evote import _files
from evote._files import (
    TEMPORARY,
    append_file,
    create_file,
    cut_file,
    make_directory,
    read_file,
    remove,
    replace_file,
    shown_path,
    write_file,
)
from evote.errors import DecodingError, ParameterError

POSIX = pytest.mark.skipif(os.name == "nt", reason="POSIX file types and modes")


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def test_write_and_read(tmp_path: Path) -> None:
    write_file(tmp_path / "a", b"one")
    assert read_file(tmp_path / "a", 3) == b"one"
    assert names(tmp_path) == ["a"]


def test_writing_the_same_again_does_nothing(tmp_path: Path) -> None:
    write_file(tmp_path / "a", b"one")
    before = (tmp_path / "a").stat()
    write_file(tmp_path / "a", b"one")
    after = (tmp_path / "a").stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)


@pytest.mark.parametrize("other", [b"two", b"", b"one more"])
def test_other_content_is_kept(tmp_path: Path, other: bytes) -> None:
    write_file(tmp_path / "a", b"one")
    with pytest.raises(ParameterError, match="a exists already with other content"):
        write_file(tmp_path / "a", other)
    assert (tmp_path / "a").read_bytes() == b"one"
    write_file(tmp_path / "a", other, overwrite=True)
    assert (tmp_path / "a").read_bytes() == other


@POSIX
def test_a_link_is_replaced_and_never_followed(tmp_path: Path) -> None:
    (tmp_path / "target").write_bytes(b"one")
    (tmp_path / "a").symlink_to("target")
    with pytest.raises(ParameterError, match="exists"):
        write_file(tmp_path / "a", b"one")
    write_file(tmp_path / "a", b"two", overwrite=True)
    assert (tmp_path / "target").read_bytes() == b"one"
    assert not (tmp_path / "a").is_symlink()


@POSIX
def test_modes(tmp_path: Path) -> None:
    write_file(tmp_path / "secret", b"x", mode=0o600)
    assert stat.S_IMODE((tmp_path / "secret").stat().st_mode) == 0o600


@pytest.mark.parametrize("call", ["fsync", "replace", "write"])
def test_a_failure_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    """A full disk at any step: the old bytes are there, and nothing half written."""
    write_file(tmp_path / "a", b"old")

    def fail(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, call, fail)
        with pytest.raises(OSError, match="No space"):
            write_file(tmp_path / "a", b"new", overwrite=True)
    assert names(tmp_path) == ["a"]
    assert (tmp_path / "a").read_bytes() == b"old"
    write_file(tmp_path / "a", b"new", overwrite=True)
    assert (tmp_path / "a").read_bytes() == b"new"


def test_what_a_killed_writer_left_is_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / f"{TEMPORARY}a").write_bytes(b"half")
    write_file(tmp_path / "a", b"whole")
    assert names(tmp_path) == ["a"]


def test_bytes_are_synced_before_the_name_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []

    def noting(name: str) -> Callable[..., Any]:
        real = getattr(os, name)

        def call(*arguments: Any) -> Any:
            order.append(name)
            return real(*arguments)

        return call

    for name in ("fsync", "replace"):
        monkeypatch.setattr(os, name, noting(name))
    replace_file(tmp_path / "a", b"x")
    assert order == (["fsync", "replace", "fsync"] if os.name != "nt" else ["fsync", "replace"])


def test_short_writes_are_continued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: real(fd, bytes(data[:2])))
    create_file(tmp_path / "a", b"seven b")
    append_file(tmp_path / "a", b"ytes")
    assert (tmp_path / "a").read_bytes() == b"seven bytes"


def test_create_append_cut_remove(tmp_path: Path) -> None:
    create_file(tmp_path / "a", b"12")
    with pytest.raises(FileExistsError):
        create_file(tmp_path / "a", b"12")
    append_file(tmp_path / "a", b"34")
    cut_file(tmp_path / "a", 3)
    assert (tmp_path / "a").read_bytes() == b"123"
    make_directory(tmp_path / "x" / "y")
    make_directory(tmp_path / "x" / "y")
    with pytest.raises(OSError, match=r"(?i)not empty"):
        remove(tmp_path / "x")
    remove(tmp_path / "x" / "y")
    remove(tmp_path / "a")
    assert names(tmp_path) == ["x"]


# -- reading -------------------------------------------------------------------------------------


def test_missing(tmp_path: Path) -> None:
    with pytest.raises(DecodingError, match=r"^here: file is missing"):
        read_file(tmp_path / "a", 10, where="here")


def test_size_is_bounded(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"1234")
    assert read_file(tmp_path / "a", 4) == b"1234"
    with pytest.raises(DecodingError, match="4 bytes, at most 3 expected"):
        read_file(tmp_path / "a", 3)


def test_a_file_that_grows_while_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a").write_bytes(b"1234")
    real = _files.open_file

    def then_grow(path: Path, max_bytes: int, *, where: str = "") -> tuple[int, int]:
        opened = real(path, max_bytes, where=where)
        append_file(path, b"56")
        return opened

    monkeypatch.setattr(_files, "open_file", then_grow)
    with pytest.raises(DecodingError, match="grew while it was read"):
        read_file(tmp_path / "a", 4)


@POSIX
def test_only_regular_files(tmp_path: Path) -> None:
    (tmp_path / "directory").mkdir()
    (tmp_path / "file").write_bytes(b"x")
    (tmp_path / "link").symlink_to("file")
    (tmp_path / "loop").symlink_to("loop")
    os.mkfifo(tmp_path / "pipe")
    for name, reason in (
        ("directory", "not a regular file"),
        ("link", "not a readable file"),
        ("loop", "not a readable file"),
        ("pipe", "not a regular file"),
        ("file/inside", "not a readable file"),
    ):
        with pytest.raises(DecodingError, match=reason):
            read_file(tmp_path / name, 10)
    with pytest.raises(DecodingError, match="not a regular file"):
        read_file("/dev/zero", 10)


@POSIX
def test_a_pipe_does_not_block(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    outcome: list[BaseException] = []

    def read() -> None:
        try:
            read_file(tmp_path / "pipe", 10)
        except DecodingError as error:
            outcome.append(error)

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    reader.join(timeout=20)
    assert len(outcome) == 1


def test_names_that_no_file_has() -> None:
    with pytest.raises(DecodingError, match="not a readable file"):
        read_file("nul\0byte", 10)


@pytest.mark.parametrize("name", ["a\nb", "a\x1b[31m", "\u202egnp", "x\udcff"])
def test_names_are_shown_safely(name: str) -> None:
    shown = shown_path(name)
    assert shown.isascii()
    assert shown.isprintable()
    assert shown_path("roll/roll.json") == "roll/roll.json"
