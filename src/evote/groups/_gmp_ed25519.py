"""The default backend of ed25519: the points of order L of edwards25519, on gmpy2's integers."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha512

import gmpy2
from gmpy2 import mpz

from evote.groups import _edwards25519 as ed
from evote.groups import _gmp_edwards as curve
from evote.groups._gmp_edwards import Point
from evote.groups._gmp_ristretto import RistrettoKernel
from evote.groups._inverses import inverses

__all__ = ["Ed25519Kernel", "decode_point", "is_torsion_free"]

_P = mpz(ed.P)
_D = mpz(ed.D)
_SQRT_M1 = mpz(ed.SQRT_M1)
_ROOT_EXPONENT = (_P - 5) // 8
# Montgomery's form: v^2 = u^3 + A u^2 + u, where u = (1 + y)/(1 - y) and v = C u/x.
_A = mpz(486662)
_TWO = mpz(2)
_SIGN = mpz(2) ** 255
# 1 for points of order L and 0 for torsion.
_PRIME_PART = 8 * pow(8, -1, ed.L)


class Ed25519Kernel(RistrettoKernel):
    """The points of order L, in the encoding of RFC 8032, section 5.1.2."""

    def decode(self, data: bytes) -> list[Point | None]:
        return [_decode_member(data[i : i + 32]) for i in range(0, len(data), 32)]

    def encode(self, items: Sequence[Point]) -> bytes:
        if all(z == 1 for _, _, z, _ in items):
            affine = [(mpz(x), mpz(y)) for x, y, _, _ in items]
        else:
            roots = inverses([z for _, _, z, _ in items], _P)
            affine = [
                (x * inverse % _P, y * inverse % _P)
                for (x, y, _, _), inverse in zip(items, roots, strict=True)
            ]
        return b"".join([(y + (x & 1) * _SIGN).to_bytes(32, "little") for x, y in affine])

    def equal(self, a: Sequence[Point], b: Sequence[Point]) -> list[bool]:
        return [
            not (x1 * z2 - x2 * z1) % _P and not (y1 * z2 - y2 * z1) % _P
            for (x1, y1, z1, _), (x2, y2, z2, _) in zip(a, b, strict=True)
        ]

    def decode_points(self, data: bytes) -> tuple[list[Point], list[bool]]:
        points = [decode_point(data[i : i + 32]) for i in range(0, len(data), 32)]
        return [point or curve.NEUTRAL for point in points], [point is not None for point in points]

    def sha512(self, prefixes: Sequence[bytes], messages: Sequence[bytes]) -> bytes:
        pairs = zip(prefixes, messages, strict=True)
        return b"".join([sha512(prefix + message).digest() for prefix, message in pairs])

    def is_small_order(self, items: Sequence[Point]) -> list[bool]:
        eighths = [curve.doublings(point, 3) for point in items]
        return [not x % _P and not (y - z) % _P for x, y, z, _ in eighths]

    def from_uniform(self, data: bytes) -> list[Point]:
        return [curve.doublings(point, 3) for point in super().from_uniform(data)]

    def embed(self, blocks: Sequence[bytes]) -> list[Point | None]:
        return [point and _prime_part(point) for point in super().embed(blocks)]


def _prime_part(point: Point) -> Point:
    """The point of order L that differs from `point` by torsion."""
    return curve.power(point, _PRIME_PART)


def _decode_member(data: bytes) -> Point | None:
    point = decode_point(data)
    if point is None or (point[0] and is_torsion_free(point)):
        return point
    return point if point == curve.NEUTRAL else None


def decode_point(data: bytes) -> Point | None:
    """RFC 8032, section 5.1.3: y and the sign of x, canonical only."""
    number = mpz.from_bytes(data, "little")
    sign, y = number >> 255, number % 2**255
    if y >= _P:
        return None
    square = y * y % _P
    x = _root_of_ratio(square - 1, _D * square + 1)
    if x is None or (not x and sign):
        return None
    if x.is_odd() != bool(sign):
        x = _P - x
    return x, y, mpz(1), x * y % _P


def _root_of_ratio(u: mpz, v: mpz) -> mpz | None:
    """A root of u/v; None where there is none. v is not 0."""
    cube = v * v % _P * v % _P
    root = gmpy2.powmod(cube * cube % _P * v % _P * u % _P, _ROOT_EXPONENT, _P)
    root = root * cube % _P * u % _P
    check = (v * root % _P * root - u) % _P
    if check:
        root = root * _SQRT_M1 % _P
        if (v * root % _P * root - u) % _P:
            return None
    return root


def _root(number: mpz) -> mpz:
    """A root of a number known to be a square."""
    root = _root_of_ratio(number % _P, mpz(1))
    assert root is not None
    return root


_C = _root(-(_A + 2))


def is_torsion_free(point: Point) -> bool:
    """Whether an affine point of the curve, x not 0, has order L: whether it is 8 times a point.

    Halves it in Montgomery's form (T. Pornin, "Point-halving and subgroup membership in twisted
    Edwards curves", ePrint 2022/1164). As A^2 - 4 is no square there is one point of order 2, and
    (u, v) is a double exactly if u is a square. The isogeny (u, v) -> v^2/u^2 = u + A + 1/u
    makes half of doubling. With u = s^2, two numbers may be half of the way back to (u', v'):

        w^2 = A + 2 s^2 +- 2 v/s,

    of which exactly one is a square, since their product is A^2 - 4; and then

        u' + 1/u' = w^2 - A = t,   v' = w u',   (u' + 1)^2 = u' (t + 2).
    """
    x, y, _, _ = point
    if gmpy2.jacobi((1 - y * y) % _P, _P) != 1:
        return False
    s = _root_of_ratio(1 + y, 1 - y)
    assert s is not None
    ratio = _C * s % _P * gmpy2.invert(x, _P) % _P  # v/s = C s/x
    square = _square_step(s, ratio)
    t = (square - _A) % _P
    if gmpy2.jacobi(t + 2, _P) == -1:
        return False
    # u' = s'^2, and s' + 1/s', s' - 1/s' are roots of t + 2 and t - 2.
    s = (_root(t + 2) + _root(t - 2)) * _HALF % _P
    ratio = _root(square) * s % _P  # v'/s' = w s'
    t = (_square_step(s, ratio) - _A) % _P
    return bool(gmpy2.jacobi(t + 2, _P) != -1)


_HALF = gmpy2.invert(_TWO, _P)


def _square_step(s: mpz, ratio: mpz) -> mpz:
    """Of A + 2 s^2 + 2 ratio and A + 2 s^2 - 2 ratio the one that is a square."""
    middle = _A + 2 * s * s
    candidate = (middle + 2 * ratio) % _P
    return candidate if gmpy2.jacobi(candidate, _P) == 1 else (middle - 2 * ratio) % _P
