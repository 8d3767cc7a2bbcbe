"""The obvious backend: Python integers and textbook formulas, for tests and for reading.

Every other backend must give the same values. Nothing here is fast, and nothing is kept between
calls.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from itertools import accumulate
from typing import TypeAlias

from evote.groups import _edwards25519 as ed

__all__ = ["EdwardsPoint", "ModPKernel", "RistrettoKernel"]

EdwardsPoint: TypeAlias = tuple[int, int, int, int]
"""Extended coordinates (X, Y, Z, T) of (x, y) = (X/Z, Y/Z), where T = X Y / Z."""


class ModPKernel:
    """The subgroup of order q of the integers modulo p; items are integers in 0 < x < p."""

    def __init__(self, p: int, q: int, g: int) -> None:
        self.p = self.modulus = p
        self.q = q
        self.identity, self.generator = 1, g
        self.width = (p.bit_length() + 7) // 8
        self.uniform_size = (p.bit_length() + 7) // 8 + 16

    def decode(self, data: bytes) -> list[int | None]:
        values = [int.from_bytes(chunk, "big") for chunk in _chunks(data, self.width)]
        return [x if 0 < x < self.p and pow(x, self.q, self.p) == 1 else None for x in values]

    def encode(self, items: Sequence[int]) -> bytes:
        return b"".join(int(x).to_bytes(self.width, "big") for x in items)

    def equal(self, a: Sequence[int], b: Sequence[int]) -> list[bool]:
        return [bool(x == y) for x, y in zip(a, b, strict=True)]

    def multiply(self, a: Sequence[int], b: Sequence[int]) -> list[int]:
        return [x * y % self.p for x, y in zip(a, b, strict=True)]

    def invert(self, items: Sequence[int]) -> list[int]:
        return [pow(int(x), -1, self.p) for x in items]

    def product(self, items: Sequence[int]) -> int:
        return reduce(lambda x, y: x * y % self.p, items, 1)

    def running_products(self, items: Sequence[int]) -> list[int]:
        return list(accumulate(items, lambda x, y: x * y % self.p))

    def powers(self, bases: Sequence[int], exponents: Sequence[int]) -> list[int]:
        return [pow(int(x), int(e), self.p) for x, e in zip(bases, exponents, strict=True)]

    def powers_of_one(self, base: int, exponents: Sequence[int], bits: int) -> list[int]:
        return self.powers([base] * len(exponents), exponents)

    powers_constant_time = powers

    def multiexp(self, bases: Sequence[int], exponents: Sequence[int]) -> int:
        return self.product(self.powers(bases, exponents))

    def from_uniform(self, data: bytes) -> list[int]:
        cofactor = (self.p - 1) // self.q
        numbers = [int.from_bytes(chunk, "big") for chunk in _chunks(data, self.uniform_size)]
        # 0 has no power in the group; as the identity it is thrown away by the caller.
        return [pow(x, cofactor, self.p) if x % self.p else 1 for x in numbers]

    def log_keys(self, items: Sequence[int]) -> list[int]:
        return [hash(int(x).to_bytes(self.width, "big")) for x in items]


class RistrettoKernel:
    """ristretto255 (RFC 9496): points of edwards25519, equal when they differ by 4-torsion."""

    identity: EdwardsPoint = (0, 1, 1, 0)
    modulus = ed.P
    generator: EdwardsPoint = (ed.BASE_X, ed.BASE_Y, 1, ed.BASE_X * ed.BASE_Y % ed.P)

    def decode(self, data: bytes) -> list[EdwardsPoint | None]:
        return [_ristretto_decode(chunk) for chunk in _chunks(data, 32)]

    def encode(self, items: Sequence[EdwardsPoint]) -> bytes:
        return b"".join(_ristretto_encode(_plain(point)) for point in items)

    def equal(self, a: Sequence[EdwardsPoint], b: Sequence[EdwardsPoint]) -> list[bool]:
        return [
            (x1 * y2 - y1 * x2) % ed.P == 0 or (y1 * y2 - x1 * x2) % ed.P == 0
            for (x1, y1, _, _), (x2, y2, _, _) in zip(a, b, strict=True)
        ]

    def multiply(self, a: Sequence[EdwardsPoint], b: Sequence[EdwardsPoint]) -> list[EdwardsPoint]:
        return [add(p, q) for p, q in zip(a, b, strict=True)]

    def invert(self, items: Sequence[EdwardsPoint]) -> list[EdwardsPoint]:
        return [(-x % ed.P, y, z, -t % ed.P) for x, y, z, t in items]

    def product(self, items: Sequence[EdwardsPoint]) -> EdwardsPoint:
        return reduce(add, items, self.identity)

    def running_products(self, items: Sequence[EdwardsPoint]) -> list[EdwardsPoint]:
        return list(accumulate(items, add))

    def powers(self, bases: Sequence[EdwardsPoint], exponents: Sequence[int]) -> list[EdwardsPoint]:
        return [scale(_plain(point), int(e)) for point, e in zip(bases, exponents, strict=True)]

    def powers_of_one(
        self, base: EdwardsPoint, exponents: Sequence[int], bits: int
    ) -> list[EdwardsPoint]:
        return self.powers([base] * len(exponents), exponents)

    powers_constant_time = powers

    def multiexp(self, bases: Sequence[EdwardsPoint], exponents: Sequence[int]) -> EdwardsPoint:
        return self.product(self.powers(bases, exponents))

    def from_uniform(self, data: bytes) -> list[EdwardsPoint]:
        return [
            add(*(_map_to_point(int.from_bytes(half, "little")) for half in _chunks(chunk, 32)))
            for chunk in _chunks(data, 64)
        ]

    def log_keys(self, items: Sequence[EdwardsPoint]) -> list[int]:
        # (x y)^2 stays the same when 4-torsion is added, and otherwise only under negation.
        return [pow(int(t) * pow(int(z), -1, ed.P), 2, ed.P) % 2**64 for _, _, z, t in items]


def add(p: EdwardsPoint, q: EdwardsPoint) -> EdwardsPoint:
    """RFC 8032, section 5.1.4; complete, so doubling and the identity need no special case."""
    x1, y1, z1, t1 = p
    x2, y2, z2, t2 = q
    a = (y1 - x1) * (y2 - x2)
    b = (y1 + x1) * (y2 + x2)
    c = 2 * ed.D * t1 * t2
    d = 2 * z1 * z2
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % ed.P, g * h % ed.P, f * g % ed.P, e * h % ed.P


def scale(point: EdwardsPoint, exponent: int) -> EdwardsPoint:
    """Double and add, from the highest bit."""
    result: EdwardsPoint = (0, 1, 1, 0)
    for bit in bin(exponent)[2:]:
        result = add(result, result)
        if bit == "1":
            result = add(result, point)
    return result


def _ristretto_decode(data: bytes) -> EdwardsPoint | None:
    """RFC 9496, section 4.3.1."""
    s = int.from_bytes(data, "little")
    if s >= ed.P or s & 1:
        return None
    u1, u2 = 1 - s * s, 1 + s * s
    v = -ed.D * u1 * u1 - u2 * u2
    was_square, invsqrt = _sqrt_ratio(1, v * u2 * u2)
    den_x = invsqrt * u2
    den_y = invsqrt * den_x * v
    x, y = _absolute(2 * s * den_x), u1 * den_y % ed.P
    t = x * y % ed.P
    if not was_square or t & 1 or y == 0:
        return None
    return x, y, 1, t


def _ristretto_encode(point: EdwardsPoint) -> bytes:
    """RFC 9496, section 4.3.2."""
    x0, y0, z0, t0 = point
    u1, u2 = (z0 + y0) * (z0 - y0), x0 * y0
    _, invsqrt = _sqrt_ratio(1, u1 * u2 * u2)
    den1, den2 = invsqrt * u1 % ed.P, invsqrt * u2 % ed.P
    z_inv = den1 * den2 * t0
    x, y, den_inv = x0, y0, den2
    if t0 * z_inv % ed.P & 1:
        x, y, den_inv = y0 * ed.SQRT_M1, x0 * ed.SQRT_M1, den1 * ed.INVSQRT_A_MINUS_D
    if x * z_inv % ed.P & 1:
        y = -y
    return _absolute(den_inv * (z0 - y)).to_bytes(32, "little")


def _map_to_point(t: int) -> EdwardsPoint:
    """RFC 9496, section 4.3.4, after its masking of the top bit."""
    t %= 2**255
    r = ed.SQRT_M1 * t * t % ed.P
    u = (r + 1) * ed.ONE_MINUS_D_SQUARED
    v = (-1 - r * ed.D) * (r + ed.D) % ed.P
    was_square, s = _sqrt_ratio(u, v)
    c = r
    if was_square:
        c = -1
    else:
        s = -_absolute(s * t)
    n = c * (r - 1) * ed.D_MINUS_ONE_SQUARED - v
    w0, w1, w2, w3 = 2 * s * v, n * ed.SQRT_AD_MINUS_ONE, 1 - s * s, 1 + s * s
    return w0 * w3 % ed.P, w2 * w1 % ed.P, w1 * w3 % ed.P, w0 * w2 % ed.P


def _sqrt_ratio(u: int, v: int) -> tuple[bool, int]:
    """RFC 9496, section 4.2: whether u/v is a square, and a root of u/v or of i u/v."""
    r = u * v**3 * pow(u * v**7, (ed.P - 5) // 8, ed.P) % ed.P
    check = v * r * r % ed.P
    correct = check == u % ed.P
    flipped = check == -u % ed.P
    if flipped or check == -u * ed.SQRT_M1 % ed.P:
        r *= ed.SQRT_M1
    return correct or flipped, _absolute(r)


def _absolute(x: int) -> int:
    x %= ed.P
    return ed.P - x if x & 1 else x


def _plain(point: EdwardsPoint) -> EdwardsPoint:
    """Another backend's numbers as Python's."""
    x, y, z, t = map(int, point)
    return x, y, z, t


def _chunks(data: bytes, width: int) -> list[bytes]:
    return [data[i : i + width] for i in range(0, len(data), width)]
