"""The default arithmetic modulo the order: gmpy2's integers in lists."""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from functools import reduce
from itertools import accumulate, repeat
from operator import mul
from typing import Any

import gmpy2
import numpy as np
from gmpy2 import mpz
from numpy.typing import NDArray

from evote.groups._kernel import cut

__all__ = ["GmpScalars"]


class GmpScalars:
    """Integers modulo q; encodings have a width and a byte order."""

    def __init__(self, q: int, width: int, byteorder: Any) -> None:
        self._q, self._width, self._byteorder = mpz(q), width, byteorder

    def own(self, items: Sequence[mpz]) -> Sequence[mpz]:
        return items

    def reduced(self, numbers: Sequence[int]) -> list[mpz]:
        q = self._q
        return [mpz(x) % q for x in numbers]

    def reduced_array(self, numbers: NDArray[np.integer[Any]]) -> list[mpz]:
        return self.reduced(numbers.tolist())

    def from_uniform(self, data: bytes, width: int) -> list[mpz]:
        q = self._q
        return [x % q for x in _integers(data, width, "little")]

    def decode(self, data: bytes) -> tuple[list[mpz], list[int]]:
        items = _integers(data, self._width, self._byteorder)
        return items, [i for i, x in enumerate(items) if x >= self._q]

    def encode(self, items: Sequence[mpz]) -> bytes:
        return b"".join(map(self._to_bytes, items))

    def _to_bytes(self, value: mpz) -> bytes:
        encoded: bytes = value.to_bytes(self._width, self._byteorder)
        return encoded

    def add(self, a: Sequence[mpz], b: Sequence[mpz]) -> list[mpz]:
        q = self._q
        return [(x + y) % q for x, y in _pairs(a, b)]

    def subtract(self, a: Sequence[mpz], b: Sequence[mpz]) -> list[mpz]:
        q = self._q
        return [(x - y) % q for x, y in _pairs(a, b)]

    def multiply(self, a: Sequence[mpz], b: Sequence[mpz]) -> list[mpz]:
        q = self._q
        return [x * y % q for x, y in _pairs(a, b)]

    def negate(self, items: Sequence[mpz]) -> list[mpz]:
        q = self._q
        return [-x % q for x in items]

    def inverse(self, items: Sequence[mpz], *, secret: bool) -> list[mpz]:
        q = self._q
        if secret:  # a power takes the same steps for every value, Euclid does not
            return [gmpy2.powmod_sec(x, q - 2, q) for x in items]
        return [gmpy2.invert(x, q) for x in items]

    def sums(self, items: Sequence[mpz], rows: int) -> list[mpz]:
        q = self._q
        return [sum(part, mpz(0)) % q for part in cut(items, rows)]

    def products(self, items: Sequence[mpz], rows: int) -> list[mpz]:
        q, one = self._q, mpz(1) % self._q
        return [reduce(lambda x, y: x * y % q, part, one) for part in cut(items, rows)]

    def inner(self, a: Sequence[mpz], b: Sequence[mpz]) -> list[mpz]:
        return [sum(map(mul, a, b), mpz(0)) % self._q]

    def recurrence(self, a: Sequence[mpz], b: Sequence[mpz], start: Sequence[mpz]) -> list[mpz]:
        q = self._q

        def step(x: mpz, pair: tuple[mpz, mpz]) -> mpz:
            return (pair[0] * x + pair[1]) % q

        return list(accumulate(zip(a, b, strict=True), step, initial=start[0]))[1:]

    def equal(self, a: Sequence[mpz], b: Sequence[mpz], *, secret: bool) -> list[bool]:
        if not secret:
            return [x == y for x, y in _pairs(a, b)]
        to_bytes = self._to_bytes
        return [hmac.compare_digest(to_bytes(x), to_bytes(y)) for x, y in _pairs(a, b)]

    def is_zero(self, items: Sequence[mpz]) -> list[bool]:
        return [not x for x in items]

    def bits(self, items: Sequence[mpz]) -> int:
        return max((int(x.bit_length()) for x in items), default=0)


def _pairs(a: Sequence[mpz], b: Sequence[mpz]) -> Any:
    """Side by side; one item alone beside every other."""
    if len(a) == len(b):
        return zip(a, b, strict=True)
    return zip(a, repeat(b[0])) if len(b) == 1 else zip(repeat(a[0]), b)


def _integers(data: bytes, width: int, byteorder: str) -> list[mpz]:
    read = mpz.from_bytes
    return [read(data[i : i + width], byteorder) for i in range(0, len(data), width)]
