"""The default backend of short-Weierstrass curves: gmpy2's integers, Jacobian coordinates."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import reduce
from itertools import accumulate

import gmpy2
from gmpy2 import mpz

from evote.groups._gmp_jacobian import COSTS, IDENTITY, Jacobian, Point
from evote.groups._kernel import RowByRow
from evote.groups._messages import CURVE_CANDIDATES
from evote.groups._plans import CombCache, shortened
from evote.groups._weierstrass import (
    Curve,
    right_side,
    simplified_swu,
    square_root,
    uniform_width,
)

__all__ = ["WeierstrassKernel"]

_ONE = mpz(1)


class WeierstrassKernel(RowByRow):
    """Bulk arithmetic of one curve."""

    identity: Point = IDENTITY

    def __init__(self, curve: Curve) -> None:
        self._curve = Curve(*map(mpz, curve))
        self.modulus = self._p = self._curve.p
        self._points = Jacobian(curve)
        self.generator = self._points.base
        self._width = curve.width
        self._uniform = uniform_width(curve.p)
        self._bits = int(curve.q).bit_length()
        self._combs = CombCache(COSTS)
        self.block_size = max(0, (int(curve.p).bit_length() - 1) // 8 - 1)

    def decode(self, data: bytes) -> list[Point | None]:
        size = self._width + 1
        return [self._decode(data[i : i + size]) for i in range(0, len(data), size)]

    def _decode(self, data: bytes) -> Point | None:
        """SEC 1, section 2.3.4, the compressed form alone; all zeros for the identity."""
        sign, x = data[0], mpz.from_bytes(data[1:], "big")
        if sign not in (2, 3):
            return None if sign or x else IDENTITY
        if x >= self._p:
            return None
        y = square_root(right_side(self._curve, x), self._p)
        if not y:  # no root; or 0, where the order would be 2
            return None
        return x, y if y & 1 == sign & 1 else self._p - y, _ONE

    def encode(self, items: Sequence[Point]) -> bytes:
        width, neutral = self._width, bytes(self._width + 1)
        pieces = []
        for point in self._points.to_affine(items):
            if point is None:
                pieces.append(neutral)
            else:
                x, y = point
                pieces.append((b"\3" if y & 1 else b"\2") + x.to_bytes(width, "big"))
        return b"".join(pieces)

    def point(self, x: int, y: int) -> Point | None:
        """The point with these coordinates, 0 <= x, y < p, if the curve has one."""
        point = mpz(x), mpz(y), _ONE
        return point if point[1] ** 2 % self._p == right_side(self._curve, point[0]) else None

    def coordinates(self, items: Sequence[Point]) -> list[tuple[int, int] | None]:
        affine = self._points.to_affine([(mpz(x), mpz(y), mpz(z)) for x, y, z in items])
        return [point and (int(point[0]), int(point[1])) for point in affine]

    def equal(self, a: Sequence[Point], b: Sequence[Point]) -> list[bool]:
        return [self._equal(x, y) for x, y in zip(a, b, strict=True)]

    def _equal(self, a: Point, b: Point) -> bool:
        x1, y1, z1 = a
        x2, y2, z2 = b
        if not z1 or not z2:
            return not z1 and not z2
        p = self._p
        u, v = z1 * z1 % p, z2 * z2 % p
        return not (x1 * v - x2 * u) % p and not (y1 * v * z2 - y2 * u * z1) % p

    def multiply(self, a: Sequence[Point], b: Sequence[Point]) -> list[Point]:
        return list(map(self._points.add, a, b))

    def invert(self, items: Sequence[Point]) -> list[Point]:
        return [self._points.negative(point) for point in items]

    def product(self, items: Sequence[Point]) -> Point:
        return reduce(self._points.add, items, IDENTITY)

    def running_products(self, items: Sequence[Point]) -> list[Point]:
        return list(accumulate(items, self._points.add))

    def powers(self, bases: Sequence[Point], exponents: Sequence[int]) -> list[Point]:
        return self._points.powers(bases, exponents)

    def powers_constant_time(self, bases: Sequence[Point], exponents: Sequence[int]) -> list[Point]:
        power = self._points.power_constant_time
        return [power(point, int(e)) for point, e in zip(bases, exponents, strict=True)]

    def powers_of_one(self, base: Point, exponents: Sequence[int], bits: int) -> list[Point]:
        if 16 * bits < self._bits:  # small public numbers: a comb would still do all its places
            return self.powers([base] * len(exponents), exponents)
        comb = self._combs.find(
            base, len(exponents), self._bits, lambda comb: self._points.build_table(base, comb)
        )
        if comb is None:
            return self.powers([base] * len(exponents), exponents)
        return [self._points.comb_power(comb, int(e)) for e in exponents]

    def multiexp(self, bases: Sequence[Point], exponents: Sequence[int]) -> Point:
        return self._points.multiexp(*shortened(bases, exponents, self._curve.q, self.invert))

    def map_to_curve(self, numbers: Sequence[int]) -> list[Point]:
        """RFC 9380's simplified SWU map, where the curve has one; numbers modulo p."""
        return [(*simplified_swu(self._curve, mpz(u)), _ONE) for u in numbers]

    def from_uniform(self, data: bytes) -> list[Point]:
        size, p = self._uniform, self._p
        if self._curve.z:
            starts = range(0, len(data), size)
            numbers = [mpz.from_bytes(data[i : i + size], "big") % p for i in starts]
            halves = self.map_to_curve(numbers)
            return self.multiply(halves[::2], halves[1::2])
        return [self._by_chance(data[i : i + size + 1]) for i in range(0, len(data), size + 1)]

    def _by_chance(self, data: bytes) -> Point:
        """The point with x and the sign of y from `data`; the identity where there is none."""
        x = mpz.from_bytes(data[:-1], "big") % self._p
        y = square_root(right_side(self._curve, x), self._p)
        if not y:
            return IDENTITY
        return x, y if y & 1 == data[-1] & 1 else self._p - y, _ONE

    def log_keys(self, items: Sequence[Point]) -> list[int]:
        affine = self._points.to_affine(items)
        return [int(point[0]) & 0xFFFFFFFFFFFFFFFF if point else 0 for point in affine]

    def embed(self, blocks: Sequence[bytes]) -> list[Point | None]:
        return [self._embed(block) for block in blocks]

    def _embed(self, block: bytes) -> Point | None:
        """The first candidate, by the same work for every block.

        Symbols and the root are computed of numbers times a random square, so that they take no
        time of their own for a certain block.
        """
        p, curve, size = self._p, self._curve, self._uniform
        start = mpz.from_bytes(block, "big") << 8
        random = os.urandom(size * (CURVE_CANDIDATES + 1))
        blinds = [
            mpz.from_bytes(random[i : i + size], "big") % p for i in range(0, len(random), size)
        ]
        chosen = 0
        for counter in range(CURVE_CANDIDATES, 0, -1):
            blind = blinds[counter]
            square = right_side(curve, start + counter) * (blind * blind % p) % p
            chosen = (chosen, counter)[gmpy2.jacobi(square, p) == 1]
        x, blind = start + chosen, blinds[0]
        root = square_root(right_side(curve, x) * (blind * blind % p) % p, p)
        if root is None or not chosen:
            return None
        y = root * gmpy2.invert(blind, p) % p
        return x, (y, p - y)[y & 1], _ONE

    def extract(self, items: Sequence[Point]) -> list[bytes | None]:
        return [self._extract(point) for point in self._points.to_affine(items)]

    def _extract(self, point: tuple[mpz, mpz] | None) -> bytes | None:
        if point is None or point[1] & 1:
            return None
        start, counter = point[0] >> 8, int(point[0] & 255)
        if not 1 <= counter <= CURVE_CANDIDATES or start >> 8 * self.block_size:
            return None
        for lower in range(1, counter):
            if gmpy2.jacobi(right_side(self._curve, (start << 8) + lower), self._p) == 1:
                return None
        block: bytes = start.to_bytes(self.block_size, "big")
        return block
