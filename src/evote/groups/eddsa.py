"""Ed25519 (RFC 8032): signatures and keys, checked in bulk. Verification only; no secrets.

Signatures obey the cofactored equation [8](S B - R - k A) = 0, so that one signature and a batch
of them always get the same verdict. Everything else is strict: S is below the order, A and R are
canonical encodings of points on the curve, and A is not of small order.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from typing import NamedTuple

import gmpy2
import numpy as np
from gmpy2 import mpz
from numpy.typing import NDArray

from evote.errors import ShapeMismatch
from evote.groups import _edwards25519 as ed
from evote.groups import _gmp_edwards as curve
from evote.groups._gmp_edwards import Point

__all__ = ["decode_verification_keys", "verify_signatures"]

_P = mpz(ed.P)
_D = mpz(ed.D)
_SQRT_M1 = mpz(ed.SQRT_M1)
_ROOT_EXPONENT = (_P - 5) // 8
_WEIGHT_BYTES = 16
# Montgomery's form: v^2 = u^3 + A u^2 + u, where u = (1 + y)/(1 - y) and v = C u/x.
_A = mpz(486662)
_TWO = mpz(2)


class _Claim(NamedTuple):
    """One signature to check: [8](s B - r - k a) = 0."""

    place: int
    public: bytes
    a: Point
    r: Point
    s: int
    k: int


def verify_signatures(
    publics: Sequence[bytes], messages: Sequence[bytes], signatures: Sequence[bytes]
) -> NDArray[np.bool_]:
    """Which signatures hold: one random combination of all, and bisection if that fails.

    A bad signature passes with probability 2^-128. A signature or key of a wrong length is false,
    not an error.

    Raises:
        ShapeMismatch: the three lists differ in length.
    """
    if not len(publics) == len(messages) == len(signatures):
        raise ShapeMismatch(
            f"{len(publics)} keys, {len(messages)} messages, {len(signatures)} signatures"
        )
    keys: dict[bytes, Point | None] = {}
    claims = []
    for i, (public, message, signature) in enumerate(
        zip(publics, messages, signatures, strict=True)
    ):
        if len(public) != 32 or len(signature) != 64:
            continue
        public, signature = bytes(public), bytes(signature)
        s = int.from_bytes(signature[32:], "little")
        if s >= ed.L:
            continue
        if public not in keys:
            keys[public] = _decode_key(public)
        a, r = keys[public], _decode(signature[:32])
        if a is None or r is None:
            continue
        digest = hashlib.sha512(signature[:32] + public + message).digest()
        k = int.from_bytes(digest, "little") % ed.L
        claims.append(_Claim(i, public, a, r, s, k))
    verdict = np.zeros(len(publics), dtype=np.bool_)
    verdict[[claim.place for claim in claims]] = True
    verdict[[claim.place for claim in _false_claims(claims)]] = False
    return verdict


def decode_verification_keys(publics: Sequence[bytes]) -> NDArray[np.bool_]:
    """Which keys are canonical, on the curve, of prime order: what a roll may list.

    Each is checked alone: in a random combination torsion would cancel too often.
    """
    mask = [len(public) == 32 and _is_strict_key(bytes(public)) for public in publics]
    return np.array(mask, dtype=np.bool_)


def _is_strict_key(public: bytes) -> bool:
    point = _decode(public)
    return point is not None and bool(point[0] != 0) and _is_torsion_free(point)


def _false_claims(claims: list[_Claim], known_false: bool = False) -> list[_Claim]:
    """The claims that do not hold; `known_false` says that some do not."""
    if not known_false and _hold(claims):
        return []
    if len(claims) == 1:
        return claims
    middle = len(claims) // 2
    left = _false_claims(claims[:middle])
    return left + _false_claims(claims[middle:], known_false=not left)


def _hold(claims: list[_Claim]) -> bool:
    """Whether 8 sum z_i (s_i B - r_i - k_i a_i) is neutral, for random 128-bit z_i.

    Exponents are reduced modulo L although points may have torsion: the factor 8 removes the
    difference.
    """
    random = os.urandom(_WEIGHT_BYTES * len(claims))
    points, exponents = [curve.negative(curve.BASE)], [0]
    places: dict[bytes, int] = {}
    for i, claim in enumerate(claims):
        z = int.from_bytes(random[_WEIGHT_BYTES * i : _WEIGHT_BYTES * (i + 1)], "little")
        exponents[0] += z * claim.s
        points.append(claim.r)
        exponents.append(z)
        place = places.setdefault(claim.public, len(points))
        if place == len(points):
            points.append(claim.a)
            exponents.append(0)
        exponents[place] += z * claim.k
    total = curve.multiexp(points, [e % ed.L for e in exponents])
    return _is_neutral(_times_eight(total))


def _decode_key(public: bytes) -> Point | None:
    point = _decode(public)
    return None if point is None or _is_neutral(_times_eight(point)) else point


def _decode(data: bytes) -> Point | None:
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


def _is_torsion_free(point: Point) -> bool:
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


def _times_eight(point: Point) -> Point:
    return curve.doublings(point, 3)


def _is_neutral(point: Point) -> bool:
    x, y, z, _ = point
    return not x % _P and not (y - z) % _P
