"""Many texts of one form, read by column.

Ballots of one style are canonical JSON of one length, in which only hex digits and packed arrays
differ. A `Form` knows the rest by heart: texts that have it are cut into columns, in a few calls
for all of them, to the values that the general reader finds in each. It judges nothing: what has
not the form is left to the general reader, which names what is wrong with it. The other way round,
texts are made of columns in as few calls.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, overload

import numpy as np
from numpy.typing import NDArray

from evote._accelerator import native_module

__all__ = ["HOLE", "Form", "Kind", "Rows", "Strings", "from_rows", "to_rows"]

HOLE = "~"
"""What stands in the template for every character that differs; nowhere else in it."""

Rows: TypeAlias = NDArray[np.uint8]
"""n strings of bytes of one length, shape (n, length)."""

Kind: TypeAlias = Literal["hex", "base64url"]


class Strings(Sequence[bytes]):
    """Strings of bytes of one length, which lie side by side."""

    __slots__ = ("rows",)
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, rows: Rows) -> None:
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    @overload
    def __getitem__(self, key: int) -> bytes: ...
    @overload
    def __getitem__(self, key: slice) -> Strings: ...
    def __getitem__(self, key: int | slice) -> bytes | Strings:
        if isinstance(key, slice):
            return Strings(self.rows[key])
        data: bytes = self.rows[key].tobytes()
        return data

    def __iter__(self) -> Iterator[bytes]:
        if not self.rows.size:
            return iter([b""] * len(self))
        size, data = self.rows.shape[1], self.rows.tobytes()
        return iter([data[i : i + size] for i in range(0, len(data), size)])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and list(self) == list(other)

    def take(self, places: Sequence[int] | NDArray[np.intp]) -> Strings:
        """Those at some places."""
        wanted = np.asarray(places, dtype=np.intp)
        if np.array_equal(wanted, np.arange(len(self))):
            return self
        return Strings(self.rows[wanted])

    @staticmethod
    def joined(parts: Sequence[Sequence[bytes]]) -> Sequence[bytes]:
        """All of these, one after the other; side by side if they were and have one length."""
        rows = [part.rows for part in parts if isinstance(part, Strings)]
        if len(rows) == len(parts) and len({some.shape[1] for some in rows}) == 1:
            return Strings(np.concatenate(rows)) if len(rows) > 1 else parts[0]
        return [item for part in parts for item in part]


# What is no digit becomes "!", which no decoder takes.
_TO_BASE64 = bytes(
    c if chr(c).isalnum() and c < 128 else {0x2D: 0x2B, 0x5F: 0x2F}.get(c, 0x21) for c in range(256)
)
_FROM_BASE64 = bytes.maketrans(b"+/", b"-_")
_TO_HEX = bytes(c if chr(c) in "0123456789abcdef" else 0x21 for c in range(256))


@dataclass(frozen=True, slots=True)
class _Hole:
    start: int
    stop: int
    kind: Kind


class Form:
    """Texts that equal a template but for its holes, each a run of `HOLE`."""

    def __init__(self, template: bytes, kinds: Sequence[Kind]) -> None:
        """Name what is in each hole, from left to right: lower-case hex, or unpadded base64url."""
        runs = re.finditer(re.escape(HOLE.encode()) + b"+", template)
        self._holes = [_Hole(*run.span(), kind) for run, kind in zip(runs, kinds, strict=True)]
        self.length = len(template)
        self._template = np.frombuffer(template, dtype=np.uint8)
        self._fixed = np.where(self._template == ord(HOLE), 0, 0xFF).astype(np.uint8)

    def read(self, texts: Sequence[bytes]) -> tuple[NDArray[np.intp], list[Rows]]:
        """Which texts have the form, ascending, and for each hole the bytes it holds in them."""
        length = self.length
        if isinstance(texts, Strings):
            where = np.arange(len(texts) if texts.rows.shape[1] == length else 0)
            table = texts.rows[: len(where)].reshape((len(where), length))
        else:
            where = np.flatnonzero([len(text) == length for text in texts])
            table = to_rows([texts[i] for i in where.tolist()]).reshape((len(where), length))
        module, _ = native_module()
        good, values = self._read(table) if module is None else self._read_all(module, table)
        return (where, values) if len(good) == len(where) else (where[good], values)

    def _read_all(self, module: Any, table: Rows) -> tuple[NDArray[np.intp], list[Rows]]:
        """Which rows have the form, and what their holes hold, by evote-native."""
        holes = [(hole.start, hole.stop, hole.kind) for hole in self._holes]
        mask, data = module.read_form(table.tobytes(), self._template.tobytes(), holes)
        good = np.flatnonzero(np.frombuffer(mask, dtype=np.uint8))
        sizes = [_size(hole.stop - hole.start, hole.kind) for hole in self._holes]
        values = np.frombuffer(data, dtype=np.uint8).reshape((len(table), sum(sizes)))
        if len(good) < len(table):
            values = values[good]
        ends = np.cumsum(sizes).tolist()
        return good, [values[:, end - size : end] for size, end in zip(sizes, ends, strict=True)]

    def _read(self, table: Rows) -> tuple[NDArray[np.intp], list[Rows]]:
        good = np.flatnonzero(~((table ^ self._template) & self._fixed).any(axis=1))
        if len(good) < len(table):
            table = table[good]
        try:
            return good, self._values(table)
        except ValueError:  # rare, so only now is it worth asking in which
            right = [i for i in range(len(table)) if self._has_values(table[i : i + 1])]
            return good[right], self._values(table[right])

    def _values(self, table: Rows) -> list[Rows]:
        return [_decoded(table[:, hole.start : hole.stop], hole.kind) for hole in self._holes]

    def _has_values(self, row: Rows) -> bool:
        try:
            self._values(row)
        except ValueError:
            return False
        return True

    def write(self, values: Sequence[Rows]) -> list[bytes]:
        """The texts of this form that hold n values in each hole, from left to right."""
        table = np.tile(self._template, (len(values[0]), 1))
        for hole, rows in zip(self._holes, values, strict=True):
            table[:, hole.start : hole.stop] = _encoded(rows, hole.kind)
        return from_rows(table)


def to_rows(items: Sequence[bytes]) -> Rows:
    """Strings of bytes of one length as an array."""
    if isinstance(items, Strings):
        return items.rows
    size = len(items[0]) if items else 0
    return np.frombuffer(b"".join(items), dtype=np.uint8).reshape((len(items), size))


def from_rows(rows: Rows) -> list[bytes]:
    """The strings of bytes of an array."""
    return list(Strings(rows))


def _size(digits: int, kind: Kind) -> int:
    """How many bytes so many digits hold."""
    return digits // 2 if kind == "hex" else digits * 3 // 4


def _encoded(values: Rows, kind: Kind) -> Rows:
    """n strings of digits, each of so many bytes."""
    count, size = values.shape
    if kind == "hex":
        digits = binascii.hexlify(values.tobytes())
        return np.frombuffer(digits, dtype=np.uint8).reshape((count, 2 * size))
    padded = np.zeros((count, -(-size // 3) * 3), dtype=np.uint8)
    padded[:, :size] = values
    text = binascii.b2a_base64(padded.tobytes(), newline=False).translate(_FROM_BASE64)
    return np.frombuffer(text, dtype=np.uint8).reshape((count, -1))[:, : -(-4 * size // 3)]


def _decoded(digits: Rows, kind: Kind) -> Rows:
    """The values of n strings of digits; a ValueError where one is not canonical."""
    count, width = digits.shape
    if kind == "hex":
        data = binascii.unhexlify(digits.tobytes().translate(_TO_HEX))
        return np.frombuffer(data, dtype=np.uint8).reshape((count, width // 2))
    size = width * 3 // 4
    if width % 4 == 1:
        raise ValueError("no base64 has this length")
    # Filled up with zeros to whole groups of four digits: what they add must be zero, unused bits
    # of the last digit included.
    padded = np.full((count, -(-width // 4) * 4), ord("A"), dtype=np.uint8)
    padded[:, :width] = digits
    data = binascii.a2b_base64(padded.tobytes().translate(_TO_BASE64), strict_mode=True)
    rows = np.frombuffer(data, dtype=np.uint8).reshape((count, padded.shape[1] * 3 // 4))
    if rows[:, size:].any():
        raise ValueError("unused bits that are not zero")
    return rows[:, :size]
