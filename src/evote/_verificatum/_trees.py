"""Byte trees: Verificatum's only encoding, read by somebody who knows the shape.

    leaf(b)        01, uint32 of the length, b
    node(t, ...)   00, uint32 of how many, the trees

Lengths are big-endian. A reader is told what comes next and takes nothing else, so a tree has no
depth of its own, no length is believed before the bytes are there, and nothing may follow. Arrays
are views of the file's bytes, taken apart by NumPy.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from evote.errors import DecodingError

__all__ = ["Layout", "Reader", "header", "int32", "leaf", "natural", "node", "text"]

_HEADER = 5  # bytes


def header(kind: int, length: int) -> bytes:
    """The five bytes before the bytes of a leaf (kind 1) or the trees of a node (kind 0)."""
    return bytes([kind]) + length.to_bytes(4, "big")


def leaf(data: bytes) -> bytes:
    """A leaf with these bytes."""
    return header(1, len(data)) + data


def node(*trees: bytes | memoryview) -> bytes:
    """A node over trees that are encoded already."""
    return b"".join([header(0, len(trees)), *trees])


def int32(number: int) -> bytes:
    """An integer of the format itself, such as a bit length."""
    return leaf(number.to_bytes(4, "big"))


def text(string: str) -> bytes:
    """A leaf with the UTF-8 bytes of a string."""
    return leaf(string.encode())


def natural(number: int) -> bytes:
    """A non-negative integer in minimal two's complement: its top bit is clear."""
    return leaf(number.to_bytes(number.bit_length() // 8 + 1, "big"))


class Layout(NamedTuple):
    """Items that all have one encoding's size: a leaf of `width` bytes, or a node of `fields` such.

    A scalar, and an element of Z_p^*, is one leaf; a point of a curve is a node of two.
    """

    width: int
    fields: int = 1

    @property
    def head(self) -> bytes:
        return b"" if self.fields == 1 else header(0, self.fields)

    @property
    def size(self) -> int:
        return len(self.head) + self.fields * (_HEADER + self.width)

    def split(self, data: memoryview, where: str) -> NDArray[np.uint8]:
        """The bytes of the fields, shape (n, fields, width); every header is checked."""
        count = len(data) // self.size
        rows = np.frombuffer(data, dtype=np.uint8).reshape(count, self.size)
        head = np.frombuffer(self.head, dtype=np.uint8)
        leaves = rows[:, len(head) :].reshape(count, self.fields, _HEADER + self.width)
        start = np.frombuffer(header(1, self.width), dtype=np.uint8)
        good = (rows[:, : len(head)] == head).all(axis=1)
        good &= (leaves[:, :, :_HEADER] == start).all(axis=(1, 2))
        if not good.all():
            bad = np.flatnonzero(~good).tolist()
            shown = ", ".join(map(str, bad[:10])) + (", ..." if len(bad) > 10 else "")
            what = "a leaf" if self.fields == 1 else f"a node of {self.fields} leaves"
            raise DecodingError(
                f"not {what} of {self.width} bytes at index {shown}", where=where, indices=bad
            )
        return leaves[:, :, _HEADER:]

    def join(self, numbers: NDArray[np.uint8]) -> bytes:
        """The items one after the other: what `split` takes apart."""
        start = np.frombuffer(header(1, self.width), dtype=np.uint8)
        leaves = np.empty((len(numbers), self.fields, _HEADER + self.width), dtype=np.uint8)
        leaves[:, :, :_HEADER] = start
        leaves[:, :, _HEADER:] = numbers
        rows = np.empty((len(numbers), self.size), dtype=np.uint8)
        rows[:, : len(self.head)] = np.frombuffer(self.head, dtype=np.uint8)
        rows[:, len(self.head) :] = leaves.reshape(len(numbers), self.size - len(self.head))
        return rows.tobytes()


class Reader:
    """Takes a byte tree apart from its beginning; `where` names its file."""

    def __init__(self, data: bytes, where: str) -> None:
        self.data = memoryview(data)
        self.where = where
        self.position = 0

    def _begin(self, kind: int) -> int:
        """The length in a header of that kind."""
        what = "a leaf" if kind else "a node"
        found = self._take(_HEADER, what)
        if found[0] != kind:
            self.fail(f"{what} expected, got byte {found[0]:02x}", self.position - _HEADER)
        return int.from_bytes(found[1:], "big")

    def _take(self, size: int, what: str) -> memoryview:
        found = self.data[self.position : self.position + size]
        if len(found) < size:
            self.fail(f"{what} ends too early: {size} bytes expected, {len(found)} left")
        self.position += size
        return found

    def fail(self, reason: str, position: int | None = None) -> None:
        """Raise, naming the file and the byte."""
        at = self.position if position is None else position
        raise DecodingError(f"at byte {at}: {reason}", where=self.where)

    def node(self, arity: int) -> None:
        """Enter a node of that many trees."""
        found = self._begin(0)
        if found != arity:
            self.fail(f"a node of {arity} expected, got {found}", self.position - _HEADER)

    def arity(self, low: int, high: int) -> int:
        """Enter a node of `low` to `high` trees, and say of how many."""
        found = self._begin(0)
        if not low <= found <= high:
            self.fail(f"a node of {low} to {high} expected, got {found}", self.position - _HEADER)
        return found

    def count(self, size: int) -> int:
        """Enter a node of trees of `size` bytes each, as many as there are."""
        found = self._begin(0)
        left = len(self.data) - self.position
        if found * size > left:
            self.fail(f"a node of {found} ends too early", self.position - _HEADER)
        return found

    def leaf(self, size: int | None = None) -> bytes:
        """The bytes of a leaf of that size, or of any."""
        found = self._begin(1)
        if size is not None and found != size:
            self.fail(f"a leaf of {size} bytes expected, got {found}", self.position - _HEADER)
        return bytes(self._take(found, "a leaf"))

    def items(self, layout: Layout, count: int) -> NDArray[np.uint8]:
        """The fields of `count` items that follow, shape (count, fields, width)."""
        return layout.split(self._take(count * layout.size, "an array"), self.where)

    def natural(self) -> int:
        """A non-negative integer, minimal."""
        data = self.leaf()
        number = int.from_bytes(data, "big")
        if len(data) != number.bit_length() // 8 + 1:
            self.fail("a natural number with too many bytes, or a negative one")
        return number

    def text(self, limit: int = 256) -> str:
        """A leaf with a short printable string."""
        data = self.leaf()
        found = data.decode("ascii", "replace")
        if len(data) > limit or not (found.isascii() and found.isprintable()):
            self.fail(f"printable ASCII of at most {limit} characters expected")
        return found

    def since(self, start: int) -> memoryview:
        """The bytes of the trees read since a position."""
        return self.data[start : self.position]

    def end(self) -> None:
        """Nothing follows."""
        left = len(self.data) - self.position
        if left:
            self.fail(f"{left} bytes follow the tree")
