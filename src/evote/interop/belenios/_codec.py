"""Elements and scalars as Belenios writes them, its generators, and numbers in elements.

Ed25519        64 hex digits of y + 2^255 (x mod 2), big-endian
the others     decimal digits
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from concurrent.futures import Executor
from typing import Literal

from gmpy2 import mpz

from evote._belenios import GROUPS, PADDING, numbers_held
from evote.errors import DecodingError, UnsupportedError
from evote.groups import Ed25519, Elements, Group, ModPGroup, Scalars, concatenate, named_group
from evote.interop.belenios._forms import decimal, fields, sha256_hex

__all__ = ["GROUPS", "Codec", "codec_of"]

_HEX = re.compile(r"[0-9a-f]{64}", re.ASCII)
_ANY_HEX = re.compile(r"[0-9A-Fa-f]{1,1300}", re.ASCII)


class Codec:
    """Reads and writes the elements and scalars of one group.

    Attributes:
        name: of the group, as Belenios calls it; it is hashed.
        group: the same, perhaps with several processes.
        order: q.
    """

    def __init__(self, name: str, group: Group) -> None:
        self.name = name
        self.group = group
        self.order = group.order
        self._hex = isinstance(group, Ed25519)
        self._order: Literal["little", "big"] = "little" if self._hex else "big"
        self._p = group.p if isinstance(group, ModPGroup) else 2**256
        self._generators = group.identity((0,))

    # -- elements ----------------------------------------------------------------------------------

    def element_bytes(self, value: object, where: str, *, lenient: bool = False) -> bytes:
        """What `decode` takes for one string; the range is checked, membership is not.

        Args:
            lenient: leading zeros and upper case are taken as well.
        """
        if not self._hex:
            number = decimal(value, where, lenient=lenient)
        else:
            pattern = _ANY_HEX if lenient else _HEX
            if type(value) is not str or not pattern.fullmatch(value):
                raise DecodingError("64 hex digits expected", where=where)
            number = int(value, 16)
        if number >= self._p:
            raise DecodingError("no element: the number is too large", where=where)
        return number.to_bytes(self.group.element_size, self._order)

    def decode(self, encodings: Sequence[bytes], where: str = "") -> Elements:
        """Elements of shape (n,), each checked to be a member; the identity is one."""
        data = b"".join(encodings)
        return self.group.decode_elements(data, allow_identity=True, where=where)

    def elements(self, values: Sequence[object], where: str) -> Elements:
        """Elements of strings, in one call."""
        return self.decode([self.element_bytes(value, where) for value in values], where)

    def texts(self, elements: Elements) -> list[str]:
        """The strings of elements, in C order."""
        data, width = elements.encode(), self.group.element_size
        starts = range(0, len(data), width)
        if self._hex:
            return [data[i : i + width][::-1].hex() for i in starts]
        return [mpz.from_bytes(data[i : i + width], "big").digits() for i in starts]

    # -- scalars and proofs ------------------------------------------------------------------------

    def scalar(self, value: object, where: str, *, lenient: bool = False) -> int:
        """A number below q."""
        number = decimal(value, where, lenient=lenient)
        if number >= self.order:
            raise DecodingError("a scalar is below the order of the group", where=where)
        return number

    def proof(self, value: object, where: str) -> tuple[int, int]:
        """Challenge and response."""
        found = fields(value, where, "challenge", "response")
        return self.scalar(found["challenge"], where), self.scalar(found["response"], where)

    def scalars(self, values: Sequence[int]) -> Scalars:
        return self.group.scalars(list(values))

    # -- generators and numbers --------------------------------------------------------------------

    def generators(self, count: int) -> Elements:
        """Independent generators -1, 0, 1, ...: `count` of them, shape (count,)."""
        known = len(self._generators)
        if known < count:
            seeds = [int(sha256_hex(b"ggen|%d" % i), 16) for i in range(known - 1, count - 1)]
            if isinstance(self.group, Ed25519):
                new = self.group.cleared_points([seed >> 2 for seed in seeds])
            else:
                assert isinstance(self.group, ModPGroup)
                new = self.group.from_residues(seeds)
            self._generators = concatenate([self._generators, new])
        return self._generators[:count]

    def check_embedding(self, count: int) -> None:
        """Refuse lists of so many numbers if an element of the group cannot hold them.

        Raises:
            DecodingError: it cannot.
        """
        if count > numbers_held(self.group):
            raise DecodingError(f"an element of {self.name} does not hold {count} numbers")

    def to_numbers(self, elements: Elements, count: int) -> list[list[int]]:
        """The `count` numbers from 0 to 255 in each of n elements.

        As in the original, whatever stands above them is ignored: of any element a voter encrypts,
        something is decoded.
        """
        data, width = elements.encode(), self.group.element_size
        rows = []
        for i in range(0, len(data), width):
            value = int.from_bytes(data[i : i + width], self._order) >> PADDING[self.group.name]
            rows.append(list((value % 256**count).to_bytes(count, "big")))
        return rows

    def from_numbers(self, rows: Sequence[Sequence[int]]) -> list[bytes]:
        """The encoding of each row: the first element at or behind its place."""
        width, padding = self.group.element_size, PADDING[self.group.name]
        numbers = [int.from_bytes(bytes(row), "big") << padding for row in rows]
        waiting = list(range(len(rows)))
        while waiting:
            tried = [numbers[i].to_bytes(width, self._order) for i in waiting]
            try:
                self.decode(tried)
            except DecodingError as error:
                waiting = [waiting[k] for k in error.indices]
            else:
                break
            for i in waiting:
                numbers[i] += 1
        return [number.to_bytes(width, self._order) for number in numbers]


def codec_of(name: str, pool: Executor | None = None) -> Codec:
    """The codec of a group that Belenios names; its bulk calls go to `pool`.

    Raises:
        UnsupportedError: no group that is known here.
    """
    if name not in GROUPS:
        raise UnsupportedError(f"a group that is not known here: {name[:40]!a}")
    group = named_group(GROUPS[name])
    return Codec(name, group if pool is None else group.with_executor(pool))
