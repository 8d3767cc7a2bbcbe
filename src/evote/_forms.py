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
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = ["HOLE", "Form", "Kind", "Rows", "from_rows", "to_rows"]

HOLE = "~"
"""What stands in the template for every character that differs; nowhere else in it."""

Rows: TypeAlias = NDArray[np.uint8]
"""n strings of bytes of one length, shape (n, length)."""

Kind: TypeAlias = Literal["hex", "base64url"]

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
        """Which texts have the form, ascending, and for each hole the bytes it holds in them.

        Where a hole of any text has no value, none of them has the form: such texts are rare, and
        the general reader will say which and why.
        """
        length = self.length
        where = np.flatnonzero([len(text) == length for text in texts])
        chosen = [texts[i] for i in where.tolist()]
        table = np.frombuffer(b"".join(chosen), dtype=np.uint8).reshape((len(where), length))
        same = ~((table ^ self._template) & self._fixed).any(axis=1)
        if not same.all():
            where, table = where[same], table[same]
        try:
            return where, [
                _decoded(table[:, hole.start : hole.stop], hole.kind) for hole in self._holes
            ]
        except ValueError:
            nothing = np.zeros((0, length), dtype=np.uint8)
            return where[:0], [_decoded(nothing[:, h.start : h.stop], h.kind) for h in self._holes]

    def write(self, values: Sequence[Rows]) -> list[bytes]:
        """The texts of this form that hold n values in each hole, from left to right."""
        table = np.tile(self._template, (len(values[0]), 1))
        for hole, rows in zip(self._holes, values, strict=True):
            table[:, hole.start : hole.stop] = _encoded(rows, hole.kind)
        return from_rows(table)


def to_rows(items: Sequence[bytes]) -> Rows:
    """Strings of bytes of one length as an array."""
    size = len(items[0]) if items else 0
    return np.frombuffer(b"".join(items), dtype=np.uint8).reshape((len(items), size))


def from_rows(rows: Rows) -> list[bytes]:
    """The strings of bytes of an array."""
    size, data = rows.shape[1], rows.tobytes()
    return [data[i : i + size] for i in range(0, len(data), size)]


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
