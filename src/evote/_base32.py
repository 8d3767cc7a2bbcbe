"""Crockford's base 32: what people read aloud, copy and type. Voters' codes and trackers use it.

The alphabet has no I, L, O and U. A reader takes lower case, I and L as 1, O as 0, and ignores
hyphens and spaces.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["from_digits", "grouped", "grouped_rows", "read_digits", "read_grouped", "to_digits"]

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_VALUES = {character: value for value, character in enumerate(_ALPHABET)}
_VALUES |= {character.lower(): value for character, value in _VALUES.items()}
_PRINTED = np.full(256, 255, dtype=np.uint8)  # the value of a character as `grouped` writes it
_PRINTED[list(_ALPHABET.encode("ascii"))] = np.arange(32)
_VALUES |= {"I": 1, "i": 1, "L": 1, "l": 1, "O": 0, "o": 0}


def to_digits(number: int, count: int) -> list[int]:
    """The last `count` base-32 digits of a number, most significant first."""
    return [number >> 5 * (count - 1 - i) & 31 for i in range(count)]


def from_digits(digits: Sequence[int]) -> int:
    """The number that digits write, most significant first."""
    number = 0
    for digit in digits:
        number = number << 5 | digit
    return number


def grouped(digits: Sequence[int]) -> str:
    """The digits as characters, a hyphen after every five."""
    text = "".join([_ALPHABET[digit] for digit in digits])
    return "-".join([text[i : i + 5] for i in range(0, len(text), 5)])


def grouped_rows(digits: NDArray[np.uint8]) -> list[str]:
    """`grouped` for each row of an array."""
    count, width = digits.shape
    places = _places(width)
    text = np.full((count, int(places[-1]) + 1), ord("-"), dtype=np.uint8)
    text[:, places] = np.frombuffer(_ALPHABET.encode("ascii"), dtype=np.uint8)[digits]
    return [row.decode("ascii") for row in text.view(f"S{text.shape[1]}").ravel().tolist()]


def read_grouped(texts: Sequence[str], width: int) -> NDArray[np.uint8] | None:
    """The digits, `width` in each row, of texts as `grouped_rows` writes them; None if one is not.

    What people type otherwise, `read_digits` reads.
    """
    places = _places(width)
    length = int(places[-1]) + 1
    data = "".join(texts).encode("ascii", "replace")
    if len(data) != length * len(texts) or any(len(text) != length for text in texts):
        return None
    table = np.frombuffer(data, dtype=np.uint8).reshape((len(texts), length))
    digits = _PRINTED[table[:, places]]
    if (digits == 255).any() or (np.delete(table, places, axis=1) != ord("-")).any():
        return None
    return digits


def _places(width: int) -> NDArray[np.intp]:
    """Where so many digits stand between the hyphens."""
    return np.arange(width) + np.arange(width) // 5


def read_digits(text: str) -> list[int] | None:
    """The digits of typed text; None where a character is none of the alphabet."""
    typed = text.replace("-", "").replace(" ", "")
    if not all(character in _VALUES for character in typed):
        return None
    return [_VALUES[character] for character in typed]
