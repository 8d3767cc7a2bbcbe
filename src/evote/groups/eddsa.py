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

import numpy as np
from numpy.typing import NDArray

from evote.errors import ShapeMismatch
from evote.groups import _edwards25519 as ed
from evote.groups import _gmp_edwards as curve
from evote.groups._gmp_ed25519 import decode_point, is_torsion_free
from evote.groups._gmp_edwards import Point

__all__ = ["decode_verification_keys", "verify_signatures"]

_WEIGHT_BYTES = 16


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
        a, r = keys[public], decode_point(signature[:32])
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
    point = decode_point(public)
    return point is not None and bool(point[0] != 0) and is_torsion_free(point)


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
    point = decode_point(public)
    return None if point is None or _is_neutral(_times_eight(point)) else point


def _times_eight(point: Point) -> Point:
    return curve.doublings(point, 3)


def _is_neutral(point: Point) -> bool:
    x, y, z, _ = point
    return not x % ed.P and not (y - z) % ed.P
