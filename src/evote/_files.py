"""Files that are there after a crash, and reads that trust nothing.

Writing: the bytes are under their final name and on the disk, or the old ones still are. Reading:
regular files only, never through a symlink, never more bytes than the caller allows. Everything
in `evote` that must survive a power failure goes through the functions of the first half.
"""

from __future__ import annotations

import os
import shutil
import stat
import sys
import time
from contextlib import suppress
from pathlib import Path

from evote.errors import DecodingError, ParameterError, UnsupportedError

if sys.platform != "win32":
    import fcntl

__all__ = [
    "append_file",
    "copy_file",
    "create_file",
    "cut_file",
    "lock_directory",
    "make_directory",
    "open_file",
    "read_file",
    "remove",
    "replace_file",
    "shown_path",
    "sync_directory",
    "write_file",
]

_PIECE = 2**20
TEMPORARY = ".new-"  # prefix of a file that is not yet what its name will say


def _flag(name: str) -> int:
    return int(getattr(os, name, 0))  # not every system has every flag


# Never follow a link, never keep the descriptor across exec, never wait for a FIFO's writer.
_COMMON = _flag("O_CLOEXEC") | _flag("O_NOFOLLOW") | _flag("O_BINARY")
_READ = os.O_RDONLY | _COMMON | _flag("O_NONBLOCK")
_WRITE = os.O_WRONLY | _COMMON


def write_file(
    path: Path | str, data: bytes, *, mode: int = 0o644, overwrite: bool = False
) -> None:
    """Write a whole file atomically and durably.

    Writing what is already there does nothing, so a step may be repeated.

    Raises:
        ParameterError: the file exists with other content, and `overwrite` is false.
    """
    path = Path(path)
    if path.exists() or path.is_symlink():
        same = not path.is_symlink() and path.is_file() and path.stat().st_size == len(data)
        if same and path.read_bytes() == data:
            return
        if not overwrite:
            raise ParameterError(f"{shown_path(path.name)} exists already with other content")
    replace_file(path, data, mode=mode)


def replace_file(path: Path, data: bytes, *, mode: int = 0o644) -> None:
    """Put a file in the place of another: at any moment the name leads to one or the other."""
    temporary = path.parent / (TEMPORARY + path.name)
    _discard(temporary)
    try:
        create_file(temporary, data, mode=mode)
        os.replace(temporary, path)
    except BaseException:
        _discard(temporary)
        raise
    sync_directory(path.parent)


def copy_file(source: Path, target: Path) -> None:
    """Put a copy of a regular file in the place of another, atomically and durably."""
    temporary = target.parent / (TEMPORARY + target.name)
    _discard(temporary)
    try:
        with open(source, "rb") as given, open(temporary, "xb") as made:
            shutil.copyfileobj(given, made, _PIECE)
            made.flush()
            os.fsync(made.fileno())
        os.replace(temporary, target)
    except BaseException:
        _discard(temporary)
        raise
    sync_directory(target.parent)


def _discard(path: Path) -> None:
    with suppress(FileNotFoundError):
        os.unlink(path)


def create_file(path: Path, data: bytes, *, mode: int = 0o644) -> None:
    """Write a new file and sync its bytes; its name lasts once the directory is synced too."""
    _write(path, data, _WRITE | os.O_CREAT | os.O_EXCL, mode)


def append_file(path: Path, data: bytes) -> None:
    """Add bytes to the end of a file, made when missing, and sync them."""
    _write(path, data, _WRITE | os.O_CREAT | os.O_APPEND, 0o644)


def _write(path: Path, data: bytes, flags: int, mode: int) -> None:
    descriptor = os.open(path, flags, mode)
    try:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(descriptor, rest) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def cut_file(path: Path, size: int) -> None:
    """Keep the first `size` bytes of a file."""
    descriptor = os.open(path, _WRITE)
    try:
        os.ftruncate(descriptor, size)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove(path: Path) -> None:
    """Remove a file, a symlink or an empty directory."""
    if path.is_dir() and not path.is_symlink():
        os.rmdir(path)
    else:
        os.unlink(path)


def make_directory(path: Path | str, *, mode: int = 0o755) -> None:
    """Make a directory and its parents, durably; nothing happens when it is there."""
    path = Path(path)
    if path.is_dir():
        return
    make_directory(path.parent, mode=mode)
    with suppress(FileExistsError):  # another process was faster
        os.mkdir(path, mode)
    sync_directory(path.parent)


def lock_directory(path: Path, timeout: float) -> int:
    """A descriptor that holds the exclusive lock on a directory; closing it gives it back.

    Raises:
        ParameterError: another process has held it for `timeout` seconds.
    """
    if sys.platform == "win32":
        raise UnsupportedError("this needs flock, which POSIX systems have")
    descriptor = os.open(path, os.O_RDONLY | _flag("O_CLOEXEC"))
    end = time.monotonic() + timeout
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            if time.monotonic() >= end:
                os.close(descriptor)
                reason = "another process is at work there"
                raise ParameterError(f"{shown_path(path)}: {reason}") from None
            time.sleep(0.02)
        else:
            return descriptor


def sync_directory(path: Path) -> None:
    """Make the names in a directory last; Windows has no such call, and needs none."""
    if os.name == "nt":
        return
    descriptor = os.open(path, os.O_RDONLY | _flag("O_CLOEXEC"))
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def open_file(path: Path | str, max_bytes: int, *, where: str = "") -> tuple[int, int]:
    """A descriptor to read a regular file of at most `max_bytes`, and its size.

    Raises:
        DecodingError: missing, not a regular file, a symlink, or too large.
    """
    where = where or shown_path(path)
    try:
        descriptor = os.open(path, _READ)
    except FileNotFoundError:
        raise DecodingError("file is missing", where=where) from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise DecodingError(f"not a readable file: {reason}", where=where) from None
    status = os.fstat(descriptor)
    if stat.S_ISREG(status.st_mode) and status.st_size <= max_bytes:
        return descriptor, status.st_size
    os.close(descriptor)
    if not stat.S_ISREG(status.st_mode):
        raise DecodingError("not a regular file", where=where)
    raise DecodingError(f"{status.st_size} bytes, at most {max_bytes} expected", where=where)


def read_file(path: Path | str, max_bytes: int, *, where: str = "") -> bytes:
    """All bytes of a regular file of at most `max_bytes`.

    Raises:
        DecodingError: missing, not a regular file, a symlink, or too large.
    """
    descriptor, size = open_file(path, max_bytes, where=where)
    with os.fdopen(descriptor, "rb") as file:
        data = file.read(size + 1)
    if len(data) > size:
        raise DecodingError("the file grew while it was read", where=where or shown_path(path))
    return data


def shown_path(path: Path | str) -> str:
    """A file name for a message: no control, bidirectional or invalid characters."""
    text = str(path)
    return text if text.isascii() and text.isprintable() else ascii(text)
