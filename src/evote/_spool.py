"""Bytes that wait on the disk: in memory as long as they are few, then in a temporary file.

An audit needs lists of the whole election one part at a time. They are put here as they come, and
read where they are wanted; the file has no name for long, and goes with the last who holds it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from typing import overload

__all__ = ["Spool", "Stored"]

_IN_MEMORY = 2**20  # bytes


class Spool:
    """What was added, one after the other."""

    def __init__(self) -> None:
        self._file = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY)  # noqa: SIM115  see __del__
        self._size = 0

    def __del__(self) -> None:
        self._file.close()

    def add(self, data: bytes) -> Stored:
        """Put bytes at the end."""
        return self.add_all([data])

    def add_all(self, pieces: Iterable[bytes]) -> Stored:
        """Put bytes that come in pieces at the end."""
        start = self._size
        for piece in pieces:
            self._file.seek(self._size)
            self._file.write(piece)
            self._size += len(piece)
        return Stored(self, start, self._size)

    def read(self, start: int, stop: int) -> bytes:
        """The bytes from `start` on, before `stop`."""
        self._file.seek(start)
        return self._file.read(stop - start)


class Stored:
    """Some bytes of a spool, read when they are asked for; a slice of them is bytes."""

    __slots__ = ("_spool", "_start", "_stop")

    def __init__(self, spool: Spool, start: int, stop: int) -> None:
        self._spool, self._start, self._stop = spool, start, stop

    def __len__(self) -> int:
        return self._stop - self._start

    def __bytes__(self) -> bytes:
        return self._spool.read(self._start, self._stop)

    @overload
    def __getitem__(self, key: int) -> int: ...
    @overload
    def __getitem__(self, key: slice) -> bytes: ...
    def __getitem__(self, key: int | slice) -> int | bytes:
        if isinstance(key, slice):
            start, stop, step = key.indices(len(self))
            return self._spool.read(self._start + start, self._start + max(start, stop))[::step]
        return bytes(self)[key]
