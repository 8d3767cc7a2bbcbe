"""Elliptic curves: ristretto255, ed25519, and short-Weierstrass curves of prime order.

    ristretto255  RFC 9496; 32 bytes, little-endian. Every element has one encoding: no torsion.
    ed25519       the points of order L of edwards25519 in the encoding of RFC 8032. Other points,
                  of small or mixed order, are refused: each is checked alone, because in a random
                  combination of many torsion would cancel too often.
    Weierstrass   SEC 1's compressed points, 02 or 03 and x, big-endian, x < p. SEC 1 writes the
                  identity as one byte; here it has the width of the others, all bytes zero.

ristretto255 is for new elections, the others for those who need what they have already.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import TypeAlias

from gmpy2 import jacobi, mpz

from evote._accelerator import native_module
from evote.encoding import digest, frame
from evote.errors import DecodingError, ParameterError
from evote.groups import _edwards25519 as ed
from evote.groups import _gmp_ed25519, _gmp_edwards, _gmp_ristretto, _gmp_weierstrass, _python
from evote.groups._arrays import Item
from evote.groups._choice import Choice, choose, resolve, restored
from evote.groups._curve_parameters import CURVES
from evote.groups._inverses import inverses
from evote.groups._kernel import Kernel
from evote.groups._native import NativeEd25519, NativeEdwards, NativeKernel, NativeRistretto
from evote.groups._primes import is_prime
from evote.groups._weierstrass import Curve, right_side, square_root, uniform_width
from evote.groups.base import Elements, Group

__all__ = [
    "Coordinates",
    "Ed25519",
    "Ristretto255",
    "WeierstrassGroup",
    "check_curve",
    "ed25519",
    "ristretto255",
]

Coordinates: TypeAlias = tuple[int, int] | None
"""x and y of a point, 0 <= x, y < p; None is the identity."""

_WeierstrassKernel: TypeAlias = _gmp_weierstrass.WeierstrassKernel | _python.WeierstrassKernel

_MAX_BITS = 1024  # beyond, checking hostile parameters would take long
_MIN_DEGREE = 100  # SEC 1, section 3.1.1.2.1


class _EdwardsGroup(Group):
    """The order and the encoding of scalars that ristretto255 and ed25519 have in common."""

    order = ed.L
    element_size = 32
    _hash_size = 64
    _scalar_byteorder = "little"
    _keeps_encodings = True

    def __init__(self, *, backend: str | None = None) -> None:
        backend = resolve(backend, self.name)
        self._complete(_edwards_kernel(self.name, backend), backend)
        if isinstance(self._kernel, NativeEdwards):
            self._power_multiplier = self._kernel

    @property
    def default_backend(self) -> Choice:
        return choose(self.name)

    def parameters(self) -> bytes:
        numbers = (ed.P, ed.L)
        return frame(
            self.name.encode(),
            *(x.to_bytes(32, "little") for x in numbers),
            self.generator.encode(),
        )

    @property
    def is_weak(self) -> bool:
        return False

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other)

    def __hash__(self) -> int:
        return hash(self.name)

    def __reduce__(self) -> tuple[object, ...]:
        return _restore_edwards, (self.name, self.backend)


class Ristretto255(_EdwardsGroup):
    """The group `ristretto255`; all its instances are equal."""

    name = "ristretto255"

    def __init__(self, *, backend: str | None = None) -> None:
        super().__init__(backend=backend)
        if isinstance(self._kernel, _gmp_ristretto.RistrettoKernel | NativeRistretto):
            self._square_encoder = self._kernel

    def with_backend(self, name: str) -> Ristretto255:
        return Ristretto255(backend=name)


class Ed25519(_EdwardsGroup):
    """The group `ed25519`; all its instances are equal.

    `hash_to_elements` and messages go by ristretto255's: the first by 8 times the point that RFC
    9496 derives, the second by the point of order L among the four of an element.
    """

    name = "ed25519"

    def with_backend(self, name: str) -> Ed25519:
        return Ed25519(backend=name)

    def cleared_points(self, numbers: Sequence[int]) -> Elements:
        """8 times the first point whose y is a number or behind it, and x even: shape (n,).

        For other derivations of elements. Numbers are below p; few are tried for each.
        """
        items = []
        for number in numbers:
            y = int(number)
            while (point := _gmp_ed25519.decode_point(y.to_bytes(32, "little"))) is None:
                y += 1
            items.append(_gmp_edwards.doublings(point, 3))
        return self._elements(items, (len(items),))

    def to_affine(self, elements: Elements) -> list[tuple[int, int]]:
        """x and y of each element, in C order, for one inversion in all."""
        elements._check_same_group(self.generator)
        roots = inverses([point[2] for point in elements._items], mpz(ed.P))
        return [
            (int(x * root % ed.P), int(y * root % ed.P))
            for (x, y, _, _), root in zip(elements._items, roots, strict=True)
        ]


def _restore_edwards(name: str, backend: str) -> Group:
    backend = restored(backend, name)
    if backend == ristretto255.backend:
        return ristretto255 if name == "ristretto255" else ed25519
    return Ristretto255(backend=backend) if name == "ristretto255" else Ed25519(backend=backend)


@lru_cache(maxsize=8)
def _edwards_kernel(name: str, backend: str) -> Kernel:
    ristretto = name == "ristretto255"
    if backend == "python":
        return _python.RistrettoKernel() if ristretto else _python.Ed25519Kernel()
    twin = _gmp_ristretto.RistrettoKernel() if ristretto else _gmp_ed25519.Ed25519Kernel()
    if backend == "gmp":
        return twin
    make = NativeRistretto if ristretto else NativeEd25519
    return make(native_module()[0].Edwards(name), twin, ed.L, worth=32)


class WeierstrassGroup(Group):
    """All points of y^2 = x^3 + a x + b modulo p, a group of prime order q.

    Made by `named_group` and `weierstrass_group`, which know or check the parameters; this class
    believes them.
    """

    _keeps_encodings = True

    def __init__(self, name: str, curve: Curve, *, backend: str | None = None) -> None:
        self.name, self.order, self.curve = name, curve.q, curve
        self.element_size = curve.width + 1
        width = uniform_width(curve.p)
        self._hash_size = 2 * width if curve.z else width + 1
        backend = resolve(backend, _kind(curve))
        self._points = _weierstrass_kernel(curve, "python" if backend == "python" else "gmp")
        self._complete(_native_p256(curve) if backend == "native" else self._points, backend)

    @property
    def default_backend(self) -> Choice:
        return choose(_kind(self.curve))

    def from_affine(
        self,
        coordinates: Sequence[Coordinates],
        *,
        allow_identity: bool = False,
        where: str = "",
    ) -> Elements:
        """Elements of shape (n,) from coordinates, each checked to be a point: for other codecs.

        Raises:
            DecodingError: some are not; `indices` lists all of those.
        """
        items: list[Item | None] = []
        p = self.curve.p
        for pair in coordinates:
            if pair is None:
                items.append(self._kernel.identity if allow_identity else None)
            else:
                x, y = pair
                on_curve = 0 <= x < p and 0 <= y < p and self._points.point(x, y)
                items.append(on_curve or None)
        bad = [i for i, item in enumerate(items) if item is None]
        if bad:
            shown = ", ".join(map(str, bad[:10])) + (", ..." if len(bad) > 10 else "")
            raise DecodingError(f"no point of the curve at index {shown}", where=where, indices=bad)
        return self._elements(items, (len(items),))

    def to_affine(self, elements: Elements) -> list[Coordinates]:
        """The coordinates of each element, in C order, for one inversion in all."""
        elements._check_same_group(self.generator)
        return self._points.coordinates(elements._items)

    def from_abscissas(self, numbers: Sequence[int]) -> Elements:
        """The points with these x modulo p and the smaller y, where there is one; fewer, then.

        For other derivations of elements. Points of order 2 are not among them.
        """
        p = self.curve.p
        points = []
        for number in numbers:
            x = mpz(number) % p
            square = right_side(self.curve, x)
            if jacobi(square, p) == 1:
                y = int(square_root(square, mpz(p)) or 0)
                points.append(self._points.point(int(x), min(y, p - y)))
        return self._elements(points, (len(points),))

    def _map_to_curve(self, numbers: Sequence[int]) -> Elements:
        items = self._points.map_to_curve(numbers)
        return self._elements(items, (len(items),))

    def parameters(self) -> bytes:
        p, a, b, x, y, q, _ = self.curve
        numbers = (p, a, b, x, y, q)
        width = max(self.curve.width, self.scalar_size)
        return frame(self.name.encode(), *(n.to_bytes(width, "big") for n in numbers))

    @property
    def is_weak(self) -> bool:
        return self.order.bit_length() < 224

    def with_backend(self, name: str) -> WeierstrassGroup:
        return WeierstrassGroup(self.name, self.curve, backend=name)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, WeierstrassGroup):
            return NotImplemented
        return (self.name, self.curve) == (other.name, other.curve)

    def __hash__(self) -> int:
        return hash((self.name, self.curve))

    def __reduce__(self) -> tuple[object, ...]:
        return _restore_weierstrass, (self.name, self.curve, self.backend)


def _restore_weierstrass(name: str, curve: Curve, backend: str) -> WeierstrassGroup:
    return WeierstrassGroup(name, curve, backend=restored(backend, _kind(curve)))


def _kind(curve: Curve) -> str:
    """Of all curves, the module serves P-256; without its `z`, derived elements are others."""
    return "P-256" if curve == CURVES["P-256"] else "Weierstrass"


@lru_cache(maxsize=64)
def _weierstrass_kernel(curve: Curve, backend: str) -> _WeierstrassKernel:
    if backend == "python":
        return _python.WeierstrassKernel(curve)
    return _gmp_weierstrass.WeierstrassKernel(curve)


@lru_cache(maxsize=1)
def _native_p256(curve: Curve) -> NativeKernel:
    twin = _gmp_weierstrass.WeierstrassKernel(curve)
    return NativeKernel(native_module()[0].P256(), twin, curve.q, worth=32)


def check_curve(curve: Curve, *, allow_weak: bool = False) -> None:
    """Check that a curve without a name is one on which logarithms are believed hard.

    Not checked: how its numbers were found, nor twists, which members cannot reach.

    Raises:
        ParameterError: says which condition fails.
    """
    p, a, b, x, y, q, _ = curve
    for number in curve:
        if isinstance(number, bool) or not isinstance(number, int):
            raise ParameterError("the parameters of a curve are integers")
    if not (p.bit_length() <= _MAX_BITS and min(a, b, x, y) >= 0 and max(a, b, x, y) < p):
        raise ParameterError(f"0 <= a, b, x, y < p < 2^{_MAX_BITS} does not hold")
    if not allow_weak and q.bit_length() < 224:
        raise ParameterError(f"q of {q.bit_length()} bits: below 224, too weak")
    # In Hasse's interval about p + 1 only one multiple of q has room: the order of the curve is q.
    if q <= 4 * math.isqrt(p) + 4 or (p + 1 - q) ** 2 > 4 * p:
        raise ParameterError("q is not the order of a curve modulo p with cofactor 1")
    for name, number in (("p", p), ("q", q)):
        if number % 2 == 0 or not is_prime(number):
            raise ParameterError(f"{name} is not an odd prime")
    if p == q:
        raise ParameterError("q = p: logarithms are easy on an anomalous curve")
    if not (4 * a**3 + 27 * b**2) % p:
        raise ParameterError("the curve is singular")
    if y * y % p != right_side(curve, x) or not y:
        raise ParameterError("the generator is not on the curve")
    kernel = _gmp_weierstrass.WeierstrassKernel(curve)
    [last] = kernel.powers([kernel.generator], [q - 1])
    if not kernel.equal([last], kernel.invert([kernel.generator]))[0]:
        raise ParameterError("q is not the order of the generator")
    power = 1
    for degree in range(1, _MIN_DEGREE):
        power = power * p % q
        if power == 1 and not allow_weak:
            raise ParameterError(f"embedding degree {degree}: pairings make logarithms easy")


def unnamed(curve: Curve) -> WeierstrassGroup:
    """A group called after its own parameters, which the caller has checked."""
    width = max(curve.width, (curve.q.bit_length() + 7) // 8)
    numbers = frame(*(n.to_bytes(width, "big") for n in curve))
    name = digest("group", b"weierstrass", numbers).hex()[:8]
    return WeierstrassGroup(f"weierstrass-{curve.p.bit_length()}-{name}", curve)


ristretto255 = Ristretto255()
ed25519 = Ed25519()
