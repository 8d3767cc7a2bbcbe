"""Files by their names, wherever they are: in a directory, in an archive, or one file alone.

Records are read through a `Tree`, so that a reader need not know where its files lie. Names are
relative and use `/`. Nothing is read through a symlink; see `_archives` for zip and tar.
"""

from __future__ import annotations

import os
import stat
from abc import ABC, abstractmethod
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from evote._files import open_file, read_file, shown_path
from evote.errors import DecodingError

__all__ = ["Directory", "SingleFile", "Tree"]

MAX_LISTED = 10_000_000  # in a directory


class Tree(ABC):
    """Files by their names, as in `ballots/1.json`; a context manager."""

    def __init__(self, path: Path) -> None:
        self.path = path

    kind = "directory"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:  # noqa: B027  most have nothing to close
        """Nothing is open, unless a subclass says so."""

    @abstractmethod
    def has(self, name: str) -> bool:
        """Whether there is anything of that name, though it be no file."""

    @abstractmethod
    def entries(self, directory: str = "") -> list[tuple[str, str]]:
        """The names in a directory, sorted, without its own, each with what it is.

        That is a file, directory, symlink, pipe, socket or device. None if there is no directory.

        Raises:
            DecodingError: it cannot be read.
        """

    @abstractmethod
    def size(self) -> tuple[int, int]:
        """How many files there are, and how many bytes they have."""

    @abstractmethod
    def open(self, name: str, max_bytes: int) -> BinaryIO:
        """A file, to be read from its beginning; reading may raise DecodingError too.

        Raises:
            DecodingError: missing, too large, or no regular file.
        """

    @abstractmethod
    def read(self, name: str, max_bytes: int) -> bytes:
        """A whole file.

        Raises:
            DecodingError: missing, too large, broken, or no regular file.
        """

    def names(self, directory: str = "") -> list[str]:
        """The names of what a directory holds itself that is no directory, sorted."""
        return [name for name, kind in self.entries(directory) if kind != "directory"]

    def directories(self, directory: str = "") -> list[str]:
        """The names of the directories in a directory, sorted."""
        return [name for name, kind in self.entries(directory) if kind == "directory"]

    def head(self, name: str, size: int) -> bytes:
        """At most `size` bytes from the beginning of a file."""
        with self.open(name, 2**62) as file:
            return file.read(size)


class Directory(Tree):
    """A directory."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._top = os.path.join(path, "")

    def has(self, name: str) -> bool:
        return os.path.lexists(self.path / name)

    def entries(self, directory: str = "") -> list[tuple[str, str]]:
        path = Path(self._inside(f"{directory}/.")) if directory else self.path
        if directory and not path.is_dir():
            return []
        try:
            with os.scandir(path) as found:
                items = [item for item, _ in zip(found, range(MAX_LISTED + 1), strict=False)]
                for item in items[:1]:
                    item.stat(follow_symlinks=False)  # what may be listed may yet not be entered
                kinds = [(item.name, _kind(item)) for item in items]
        except OSError as error:
            where = shown_path(directory or path.name) or "record"
            reason = f"not a readable directory: {error.strerror}"
            raise DecodingError(reason, where=where) from None
        if len(kinds) > MAX_LISTED:
            raise DecodingError(f"more than {MAX_LISTED} files", where=shown_path(path))
        return sorted(kinds)

    def size(self) -> tuple[int, int]:
        count = total = 0
        for root, _, files in os.walk(self.path):
            for name in files:
                count += 1
                if count > MAX_LISTED:
                    raise DecodingError("too many files", where=shown_path(self.path))
                with suppress(OSError):
                    total += os.lstat(os.path.join(root, name)).st_size
        return count, total

    def open(self, name: str, max_bytes: int) -> BinaryIO:
        descriptor, _ = open_file(self._inside(name), max_bytes, where=shown_path(name))
        return os.fdopen(descriptor, "rb")

    def read(self, name: str, max_bytes: int) -> bytes:
        return read_file(self._inside(name), max_bytes, where=shown_path(name))

    def _inside(self, name: str) -> str:
        """A path the directories of which, in this one, are no symlinks."""
        path, end = self._top + name, name.find("/")
        while end >= 0:
            if os.path.islink(path[: len(self._top) + end]):
                raise DecodingError("a symlink", where=shown_path(name[:end]))
            end = name.find("/", end + 1)
        return path


class SingleFile(Tree):
    """One file that is no archive: a tree with nothing in it."""

    kind = "file"

    def has(self, name: str) -> bool:
        return False

    def entries(self, directory: str = "") -> list[tuple[str, str]]:
        return []

    def size(self) -> tuple[int, int]:
        try:
            return 1, self.path.stat().st_size
        except OSError as error:
            where = shown_path(self.path)
            raise DecodingError(f"not readable: {error.strerror}", where=where) from None

    def open(self, name: str, max_bytes: int) -> BinaryIO:
        raise DecodingError("file is missing", where=shown_path(name))

    def read(self, name: str, max_bytes: int) -> bytes:
        raise DecodingError("file is missing", where=shown_path(name))


def _kind(item: os.DirEntry[str]) -> str:
    """What an entry of a directory is; of the usual kinds the directory itself says it."""
    if item.is_file(follow_symlinks=False):
        return "file"
    if item.is_dir(follow_symlinks=False):
        return "directory"
    names = {
        stat.S_IFLNK: "symlink",
        stat.S_IFIFO: "pipe",
        stat.S_IFSOCK: "socket",
    }
    mode = item.stat(follow_symlinks=False).st_mode
    return names.get(stat.S_IFMT(mode), "device")
