"""The default backend of ristretto255: gmpy2's integers on edwards25519.

An element is any of the four points that differ from each other by 4-torsion.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from itertools import accumulate, groupby
from operator import itemgetter

import gmpy2
from gmpy2 import mpz

from evote.groups import _edwards25519 as ed
from evote.groups import _gmp_edwards as curve
from evote.groups._gmp_edwards import Point
from evote.groups._inverses import inverses
from evote.groups._kernel import RowByRow
from evote.groups._messages import RISTRETTO_BLOCK, RISTRETTO_CANDIDATES
from evote.groups._plans import CombCache, shortened

__all__ = ["RistrettoKernel"]

_P = mpz(ed.P)
_D = mpz(ed.D)
_ROOT_EXPONENT = (_P - 5) // 8
_SQRT_M1 = mpz(ed.SQRT_M1)
_INVSQRT_A_MINUS_D = mpz(ed.INVSQRT_A_MINUS_D)
_SQRT_AD_MINUS_ONE = mpz(ed.SQRT_AD_MINUS_ONE)
_ONE_MINUS_D_SQUARED = mpz(ed.ONE_MINUS_D_SQUARED)
_D_MINUS_ONE_SQUARED = mpz(ed.D_MINUS_ONE_SQUARED)
_ONE = mpz(1)
_BITS = ed.L.bit_length()


class RistrettoKernel(RowByRow):
    """Bulk arithmetic of ristretto255."""

    identity: Point = curve.NEUTRAL
    modulus = _P
    generator: Point = curve.BASE
    block_size = RISTRETTO_BLOCK

    def __init__(self) -> None:
        self._combs = CombCache(curve.COSTS)

    def decode(self, data: bytes) -> list[Point | None]:
        return [_decode(data[i : i + 32]) for i in range(0, len(data), 32)]

    def encode(self, items: Sequence[Point]) -> bytes:
        return b"".join([_encode(point) for point in items])

    def encode_squares(self, items: Sequence[Point]) -> bytes:
        """Encodings of the doubles, for one inversion altogether and no root at all.

        The double of (X : Y : Z : T) is (e/f, g/h) with the numbers below, and e g / (f h), whose
        root an encoding needs, is a square with a root that is known ("Ristretto: double and
        compress in a batch", curve25519-dalek).
        """
        parts = []
        for x, y, z, t in items:
            zz, dtt = z * z, t * t % _P * _D
            e, g = 2 * x * y % _P, (y * y + x * x) % _P
            f, h = (zz + dtt) % _P, (zz - dtt) % _P
            eg, fh = e * g % _P, f * h % _P
            parts.append((e, f, g, h, eg, fh, eg * fh % _P or _ONE))
        encodings = []
        roots = inverses([part[-1] for part in parts], _P)
        for (e, f, g, h, eg, fh, _), inverse in zip(parts, roots, strict=True):
            z_inverse, t_inverse = eg * inverse % _P, fh * inverse % _P
            magic = _INVSQRT_A_MINUS_D
            if (eg * z_inverse % _P).is_odd():
                e, g, h, magic = g, -e, f * _SQRT_M1 % _P, _SQRT_M1
            if (h * e % _P * z_inverse % _P).is_odd():
                g = -g
            s = (h - g) * (magic * (g * t_inverse % _P) % _P) % _P if eg else eg  # the identity's 0
            encodings.append((_P - s if s.is_odd() else s).to_bytes(32, "little"))
        return b"".join(encodings)

    def equal(self, a: Sequence[Point], b: Sequence[Point]) -> list[bool]:
        return [
            not (x1 * y2 - y1 * x2) % _P or not (y1 * y2 - x1 * x2) % _P
            for (x1, y1, _, _), (x2, y2, _, _) in zip(a, b, strict=True)
        ]

    def multiply(self, a: Sequence[Point], b: Sequence[Point]) -> list[Point]:
        return list(map(curve.add, a, b))

    def invert(self, items: Sequence[Point]) -> list[Point]:
        return [curve.negative(point) for point in items]

    def product(self, items: Sequence[Point]) -> Point:
        return reduce(curve.add, items, self.identity)

    def running_products(self, items: Sequence[Point]) -> list[Point]:
        return list(accumulate(items, curve.add))

    def powers(self, bases: Sequence[Point], exponents: Sequence[int]) -> list[Point]:
        results: list[Point] = []
        for point, run in groupby(zip(bases, exponents, strict=True), itemgetter(0)):
            numbers = [int(e) for _, e in run]  # as broadcasting leaves them, side by side
            if len(numbers) == 1:
                results.append(curve.power(point, numbers[0]))
            else:
                results += curve.powers_of_one(point, numbers)
        return results

    def powers_constant_time(self, bases: Sequence[Point], exponents: Sequence[int]) -> list[Point]:
        return [
            curve.power_constant_time(point, int(e))
            for point, e in zip(bases, exponents, strict=True)
        ]

    def powers_of_one(self, base: Point, exponents: Sequence[int], bits: int) -> list[Point]:
        if 16 * bits < _BITS:  # small public numbers: a comb would still do all its places
            return self.powers([base] * len(exponents), exponents)
        comb = self._combs.find(
            base, len(exponents), _BITS, lambda comb: curve.build_table(base, comb)
        )
        if comb is None:
            return self.powers([base] * len(exponents), exponents)
        return [curve.comb_power(comb, int(e)) for e in exponents]

    def multiexp(self, bases: Sequence[Point], exponents: Sequence[int]) -> Point:
        return curve.multiexp(*shortened(bases, exponents, ed.L, self.invert))

    def from_uniform(self, data: bytes) -> list[Point]:
        halves = [_map_to_point(data[i : i + 32]) for i in range(0, len(data), 32)]
        return list(map(curve.add, halves[::2], halves[1::2]))

    def log_keys(self, items: Sequence[Point]) -> list[int]:
        # (x y)^2 stays the same when 4-torsion is added, and otherwise only under negation.
        roots = inverses([z for _, _, z, _ in items], _P)
        products = [t * inverse % _P for (_, _, _, t), inverse in zip(items, roots, strict=True)]
        return [int(xy * xy % _P) & 0xFFFFFFFFFFFFFFFF for xy in products]

    def embed(self, blocks: Sequence[bytes]) -> list[Point | None]:
        return [_embed(block) for block in blocks]

    def extract(self, items: Sequence[Point]) -> list[bytes | None]:
        return [_extract(point) for point in items]


def _embed(block: bytes) -> Point | None:
    """The first candidate, by the same work for every block."""
    start = mpz.from_bytes(block, "little") << 9
    chosen = 0
    for counter in range(RISTRETTO_CANDIDATES, 0, -1):
        chosen = (chosen, counter)[_is_encoding(start + 2 * counter)]
    return _decode((start + 2 * chosen).to_bytes(32, "little")) if chosen else None


def _extract(point: Point) -> bytes | None:
    s = mpz.from_bytes(_encode(point), "little")
    number, counter = s >> 9, int(s & 511) >> 1
    if number >> 8 * RISTRETTO_BLOCK or not 1 <= counter <= RISTRETTO_CANDIDATES:
        return None
    if any(_is_encoding((number << 9) + 2 * lower) for lower in range(1, counter)):
        return None
    block: bytes = number.to_bytes(RISTRETTO_BLOCK, "little")
    return block


def _is_encoding(s: mpz) -> bool:
    """Whether `_decode` would take an even s below p, found by the same work for each."""
    square = s * s % _P
    u1, u2 = 1 - square, 1 + square
    u2_squared = u2 * u2 % _P
    v = (-_D * (u1 * u1 % _P) - u2_squared) % _P
    w = v * u2_squared % _P
    cube = w * w % _P * w % _P
    root = cube * gmpy2.powmod(cube * cube % _P * w % _P, _ROOT_EXPONENT, _P) % _P
    check = w * root % _P * root % _P
    root = root * (_ONE, _SQRT_M1)[check == _P - 1] % _P
    den_x = root * u2 % _P
    x = 2 * s * den_x % _P
    x = (x, _P - x)[x & 1]
    y = u1 * den_x % _P * root % _P * v % _P
    t = x * y % _P
    return bool(((check == 1) | (check == _P - 1)) & (t & 1 == 0) & (y != 0))


def _decode(data: bytes) -> Point | None:
    """RFC 9496, section 4.3.1."""
    s = mpz.from_bytes(data, "little")
    if s >= _P or s.is_odd():
        return None
    square = s * s % _P
    u1, u2 = 1 - square, 1 + square
    u2_squared = u2 * u2 % _P
    v = (-_D * (u1 * u1 % _P) - u2_squared) % _P
    root = _inverse_root(v * u2_squared % _P)
    if root is None:
        return None
    den_x = root * u2 % _P
    x = 2 * s * den_x % _P
    if x.is_odd():
        x = _P - x
    y = u1 * den_x % _P * root % _P * v % _P
    t = x * y % _P
    if t.is_odd() or not y:
        return None
    return x, y, _ONE, t


def _encode(point: Point) -> bytes:
    """RFC 9496, section 4.3.2."""
    x, y, z, t = point
    u1, u2 = (z + y) * (z - y) % _P, x * y % _P
    root = _inverse_root(u1 * (u2 * u2 % _P) % _P)
    if root is None:  # only where the product is 0
        root = mpz(0)
    den1, den2 = root * u1 % _P, root * u2 % _P
    z_inverse = den1 * den2 % _P * t % _P
    if (t * z_inverse % _P).is_odd():
        x, y = y * _SQRT_M1 % _P, x * _SQRT_M1 % _P
        den2 = den1 * _INVSQRT_A_MINUS_D % _P
    if (x * z_inverse % _P).is_odd():
        y = -y
    s = den2 * (z - y) % _P
    if s.is_odd():
        s = _P - s
    encoded: bytes = s.to_bytes(32, "little")
    return encoded


def _inverse_root(v: mpz) -> mpz | None:
    """A root of 1/v, whichever; None where v is not a square, or 0."""
    cube = v * v % _P * v % _P
    root = cube * gmpy2.powmod(cube * cube % _P * v % _P, _ROOT_EXPONENT, _P) % _P
    check = v * root % _P * root % _P
    if check != 1:
        if check != _P - 1:
            return None
        root = root * _SQRT_M1 % _P
    return root


def _map_to_point(data: bytes) -> Point:
    """RFC 9496, section 4.3.4; bytes of any value, the top bit ignored."""
    t = mpz.from_bytes(data, "little") % 2**255
    r = _SQRT_M1 * t % _P * t % _P
    u = (r + 1) * _ONE_MINUS_D_SQUARED % _P
    v = (-1 - r * _D) * (r + _D) % _P
    was_square, s = _root_of_ratio(u, v)
    c = r
    if was_square:
        c = -_ONE
    else:
        s = s * t % _P
        s = s if s.is_odd() or not s else _P - s  # minus the even one of s and -s
    n = (c * (r - 1) % _P * _D_MINUS_ONE_SQUARED - v) % _P
    w0, w1 = 2 * s * v % _P, n * _SQRT_AD_MINUS_ONE % _P
    w2, w3 = (1 - s * s) % _P, (1 + s * s) % _P
    return w0 * w3 % _P, w2 * w1 % _P, w1 * w3 % _P, w0 * w2 % _P


def _root_of_ratio(u: mpz, v: mpz) -> tuple[bool, mpz]:
    """RFC 9496, section 4.2: whether u/v is a square, and the even root of u/v or of i u/v."""
    cube = v * v % _P * v % _P
    power = gmpy2.powmod(cube * cube % _P * v % _P * u % _P, _ROOT_EXPONENT, _P)
    root = u * cube % _P * power % _P
    check = v * root % _P * root % _P
    correct, flipped = check == u, check == -u % _P
    if flipped or check == -u * _SQRT_M1 % _P:
        root = root * _SQRT_M1 % _P
    return correct or flipped, _P - root if root.is_odd() else root
