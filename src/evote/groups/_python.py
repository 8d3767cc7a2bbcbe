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
from evote.groups._kernel import RowByRow
from evote.groups._messages import (
    CURVE_CANDIDATES,
    RISTRETTO_BLOCK,
    RISTRETTO_CANDIDATES,
)
from evote.groups._weierstrass import (
    Curve,
    right_side,
    simplified_swu,
    square_root,
    uniform_width,
)

__all__ = [
    "Ed25519Kernel",
    "EdwardsPoint",
    "JacobianPoint",
    "ModPKernel",
    "RistrettoKernel",
    "WeierstrassKernel",
]

EdwardsPoint: TypeAlias = tuple[int, int, int, int]
"""Extended coordinates (X, Y, Z, T) of (x, y) = (X/Z, Y/Z), where T = X Y / Z."""

JacobianPoint: TypeAlias = tuple[int, int, int]
"""(X, Y, Z) of (x, y) = (X/Z^2, Y/Z^3); Z = 0 is the identity."""

_AffinePoint: TypeAlias = tuple[int, int] | None


class ModPKernel(RowByRow):
    """The subgroup of order q of the integers modulo p; items are integers in 0 < x < p."""

    def __init__(self, p: int, q: int, g: int) -> None:
        self.p = self.modulus = p
        self.q = q
        self.identity, self.generator = 1, g
        self.block_size = (p.bit_length() - 2) // 8 if p == 2 * q + 1 else 0
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

    def embed(self, blocks: Sequence[bytes]) -> list[int | None]:
        numbers = [int.from_bytes(block, "big") + 2 for block in blocks]
        return [x if pow(x, self.q, self.p) == 1 else self.p - x for x in numbers]

    def extract(self, items: Sequence[int]) -> list[bytes | None]:
        numbers = [min(int(x), self.p - int(x)) - 2 for x in items]
        size = self.block_size
        return [x.to_bytes(size, "big") if 0 <= x < 256**size else None for x in numbers]


class RistrettoKernel(RowByRow):
    """ristretto255 (RFC 9496): points of edwards25519, equal when they differ by 4-torsion."""

    block_size = RISTRETTO_BLOCK
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

    def embed(self, blocks: Sequence[bytes]) -> list[EdwardsPoint | None]:
        return [_first_candidate(int.from_bytes(block, "little")) for block in blocks]

    def extract(self, items: Sequence[EdwardsPoint]) -> list[bytes | None]:
        result: list[bytes | None] = []
        for point in items:
            encoded = _ristretto_encode(_plain(point))
            number = int.from_bytes(encoded, "little") >> 9
            first = _first_candidate(number)
            if number < 256**RISTRETTO_BLOCK and first and _ristretto_encode(first) == encoded:
                result.append(number.to_bytes(RISTRETTO_BLOCK, "little"))
            else:
                result.append(None)
        return result


class Ed25519Kernel(RistrettoKernel):
    """The points of order L, in the encoding of RFC 8032, section 5.1.2."""

    def decode(self, data: bytes) -> list[EdwardsPoint | None]:
        return [_ed25519_decode(chunk) for chunk in _chunks(data, 32)]

    def encode(self, items: Sequence[EdwardsPoint]) -> bytes:
        result = []
        for x, y, z, _ in map(_plain, items):
            inverse = pow(z, -1, ed.P)
            sign = x * inverse % ed.P & 1
            result.append((y * inverse % ed.P + (sign << 255)).to_bytes(32, "little"))
        return b"".join(result)

    def equal(self, a: Sequence[EdwardsPoint], b: Sequence[EdwardsPoint]) -> list[bool]:
        return [
            (x1 * z2 - x2 * z1) % ed.P == 0 and (y1 * z2 - y2 * z1) % ed.P == 0
            for (x1, y1, z1, _), (x2, y2, z2, _) in zip(a, b, strict=True)
        ]

    def from_uniform(self, data: bytes) -> list[EdwardsPoint]:
        return [scale(point, 8) for point in super().from_uniform(data)]

    def embed(self, blocks: Sequence[bytes]) -> list[EdwardsPoint | None]:
        # 8 (1/8 mod L) is 1 for points of order L and 0 for torsion.
        part = 8 * pow(8, -1, ed.L)
        return [point and scale(point, part) for point in super().embed(blocks)]


class WeierstrassKernel(RowByRow):
    """Points of a short-Weierstrass curve of prime order, by chord and tangent."""

    identity: JacobianPoint = (1, 1, 0)

    def __init__(self, curve: Curve) -> None:
        self.curve = curve
        self.p = self.modulus = curve.p
        self.generator: JacobianPoint = (curve.x, curve.y, 1)
        self.block_size = max(0, (curve.p.bit_length() - 1) // 8 - 1)

    def decode(self, data: bytes) -> list[JacobianPoint | None]:
        return [self._decode(chunk) for chunk in _chunks(data, self.curve.width + 1)]

    def _decode(self, data: bytes) -> JacobianPoint | None:
        """SEC 1, section 2.3.4, the compressed form alone; all zeros for the identity."""
        if not any(data):
            return self.identity
        x = int.from_bytes(data[1:], "big")
        if data[0] not in (2, 3) or x >= self.p:
            return None
        return self._with_sign(x, data[0])

    def _with_sign(self, x: int, sign: int) -> JacobianPoint | None:
        y = square_root(right_side(self.curve, x), self.p)
        if not y:
            return None
        return x, y if y % 2 == sign % 2 else self.p - y, 1

    def encode(self, items: Sequence[JacobianPoint]) -> bytes:
        width = self.curve.width
        return b"".join(
            bytes([2 + point[1] % 2]) + point[0].to_bytes(width, "big")
            if point
            else bytes(width + 1)
            for point in self.coordinates(items)
        )

    def point(self, x: int, y: int) -> JacobianPoint | None:
        """The point with these coordinates, 0 <= x, y < p, if the curve has one."""
        return (x, y, 1) if y * y % self.p == right_side(self.curve, x) else None

    def coordinates(self, items: Sequence[JacobianPoint]) -> list[_AffinePoint]:
        return [self._affine(point) for point in items]

    def _affine(self, point: JacobianPoint) -> _AffinePoint:
        x, y, z = map(int, point)
        if z in (0, 1):
            return (x, y) if z else None
        inverse = pow(z, -1, self.p)
        return x * inverse**2 % self.p, y * inverse**3 % self.p

    def _add(self, a: JacobianPoint, b: JacobianPoint) -> JacobianPoint:
        first, second = self._affine(a), self._affine(b)
        if first is None or second is None:
            return b if first is None else a
        (x1, y1), (x2, y2), p = first, second, self.p
        if x1 != x2:
            slope = (y2 - y1) * pow(x2 - x1, -1, p)
        elif y1 == y2:
            slope = (3 * x1 * x1 + self.curve.a) * pow(2 * y1, -1, p)
        else:
            return self.identity
        x = (slope * slope - x1 - x2) % p
        return x, (slope * (x1 - x) - y1) % p, 1

    def equal(self, a: Sequence[JacobianPoint], b: Sequence[JacobianPoint]) -> list[bool]:
        return [self._affine(x) == self._affine(y) for x, y in zip(a, b, strict=True)]

    def multiply(
        self, a: Sequence[JacobianPoint], b: Sequence[JacobianPoint]
    ) -> list[JacobianPoint]:
        return [self._add(x, y) for x, y in zip(a, b, strict=True)]

    def invert(self, items: Sequence[JacobianPoint]) -> list[JacobianPoint]:
        return [(x, -y % self.p, z) for x, y, z in items]

    def product(self, items: Sequence[JacobianPoint]) -> JacobianPoint:
        return reduce(self._add, items, self.identity)

    def running_products(self, items: Sequence[JacobianPoint]) -> list[JacobianPoint]:
        return list(accumulate(items, self._add))

    def powers(
        self, bases: Sequence[JacobianPoint], exponents: Sequence[int]
    ) -> list[JacobianPoint]:
        return [self._scale(point, int(e)) for point, e in zip(bases, exponents, strict=True)]

    def _scale(self, point: JacobianPoint, exponent: int) -> JacobianPoint:
        """Double and add, from the highest bit."""
        result = self.identity
        for bit in bin(exponent)[2:]:
            result = self._add(result, result)
            if bit == "1":
                result = self._add(result, point)
        return result

    def powers_of_one(
        self, base: JacobianPoint, exponents: Sequence[int], bits: int
    ) -> list[JacobianPoint]:
        return self.powers([base] * len(exponents), exponents)

    powers_constant_time = powers

    def multiexp(self, bases: Sequence[JacobianPoint], exponents: Sequence[int]) -> JacobianPoint:
        return self.product(self.powers(bases, exponents))

    def map_to_curve(self, numbers: Sequence[int]) -> list[JacobianPoint]:
        """RFC 9380's simplified SWU map, where the curve has one; numbers modulo p."""
        return [(*simplified_swu(self.curve, u), 1) for u in numbers]

    def from_uniform(self, data: bytes) -> list[JacobianPoint]:
        size = uniform_width(self.p)
        if self.curve.z:
            numbers = [int.from_bytes(half, "big") % self.p for half in _chunks(data, size)]
            halves = self.map_to_curve(numbers)
            return self.multiply(halves[::2], halves[1::2])
        return [
            self._with_sign(int.from_bytes(chunk[:-1], "big") % self.p, chunk[-1])
            or self.identity  # thrown away by the caller
            for chunk in _chunks(data, size + 1)
        ]

    def log_keys(self, items: Sequence[JacobianPoint]) -> list[int]:
        return [point[0] % 2**64 if point else 0 for point in self.coordinates(items)]

    def embed(self, blocks: Sequence[bytes]) -> list[JacobianPoint | None]:
        return [self._first_candidate(int.from_bytes(block, "big")) for block in blocks]

    def _first_candidate(self, number: int) -> JacobianPoint | None:
        for counter in range(1, CURVE_CANDIDATES + 1):
            point = self._with_sign(number * 256 + counter, 0)
            if point is not None:
                return point
        return None

    def extract(self, items: Sequence[JacobianPoint]) -> list[bytes | None]:
        result: list[bytes | None] = []
        for point in self.coordinates(items):
            number = point[0] >> 8 if point else 256**self.block_size
            if number < 256**self.block_size and self._first_candidate(number) == (*point, 1):  # type: ignore[misc]
                result.append(number.to_bytes(self.block_size, "big"))
            else:
                result.append(None)
        return result


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


def _first_candidate(number: int) -> EdwardsPoint | None:
    for counter in range(1, RISTRETTO_CANDIDATES + 1):
        point = _ristretto_decode((number << 9 | counter << 1).to_bytes(32, "little"))
        if point is not None:
            return point
    return None


def _ed25519_decode(data: bytes) -> EdwardsPoint | None:
    """RFC 8032, section 5.1.3, canonical only and of order L or 1."""
    number = int.from_bytes(data, "little")
    sign, y = number >> 255, number % 2**255
    square, x = _sqrt_ratio(y * y - 1, ed.D * y * y + 1)
    if y >= ed.P or not square or (x == 0 and sign):
        return None
    if x & 1 != sign:
        x = ed.P - x
    point = (x, y, 1, x * y % ed.P)
    x, y, z, _ = scale(point, ed.L)
    return point if x == 0 and y == z else None


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
