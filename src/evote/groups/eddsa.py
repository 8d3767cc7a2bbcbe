"""Ed25519 (RFC 8032): signatures and keys, checked in bulk. Verification only; no secrets.

Signatures obey the cofactored equation [8](S B - R - k A) = 0, so that one signature and a batch
of them always get the same verdict. Everything else is strict: S is below the order, A and R are
canonical encodings of points on the curve, and A is not of small order.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from evote._forms import Strings, to_rows
from evote.errors import ShapeMismatch
from evote.groups._kernel import Kernel, Mask
from evote.groups._rows import Item, Rows, join_items, take_items
from evote.groups.curves import ed25519

__all__ = ["decode_verification_keys", "verify_signatures"]

_WEIGHT_BYTES = 16
_SPARSE = 2  # keys and signatures as a matrix, unless it has so many times the places it needs

_Places = NDArray[np.intp]


class _PointKernel(Kernel, Protocol):
    """Of ed25519, a kernel that takes any points of the curve."""

    def decode_points(self, data: bytes) -> tuple[Sequence[Item], Mask]:
        """Canonical encodings to points, torsion allowed, and where there are any."""

    def sha512(self, prefixes: Sequence[bytes], messages: Sequence[bytes]) -> bytes:
        """The hashes of prefixes of one length, each with a message of its own behind."""

    def is_small_order(self, items: Sequence[Item]) -> Mask:
        """Where 8 times a point is the identity."""


def _kernel() -> _PointKernel:
    return cast(_PointKernel, ed25519._kernel)


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
    verdict = np.zeros(len(publics), dtype=np.bool_)
    whole = _of_length(publics, 32)
    if len(signed := _of_length(signatures, 64)) < len(signatures):
        whole = np.intersect1d(whole, signed)
    if not len(whole):
        return verdict
    if len(whole) == len(publics):
        claims = _Claims(to_rows(publics), messages, to_rows(signatures))
    else:
        claims = _Claims(
            to_rows([publics[i] for i in whole]),
            [messages[i] for i in whole],
            to_rows([signatures[i] for i in whole]),
        )
    verdict[whole[claims.true()]] = True
    return verdict


def _of_length(items: Sequence[bytes], size: int) -> _Places:
    """The places of the items of so many bytes."""
    if isinstance(items, Strings):
        return np.arange(len(items) if items.rows.shape[1] == size else 0)
    return np.flatnonzero([len(item) == size for item in items])


def decode_verification_keys(publics: Sequence[bytes]) -> NDArray[np.bool_]:
    """Which keys are canonical, on the curve, of prime order: what a roll may list.

    Each is checked alone: in a random combination torsion would cancel too often.
    """
    mask, whole = np.zeros(len(publics), dtype=np.bool_), _of_length(publics, 32)
    kernel = _kernel()
    if len(whole) == len(publics):
        rows = to_rows(publics).reshape((-1, 32))
    else:
        rows = to_rows([publics[i] for i in whole]).reshape((-1, 32))
    points = kernel.decode(rows.tobytes())
    neutral = np.frombuffer(kernel.encode([kernel.identity]), dtype=np.uint8)
    good = (rows != neutral).any(axis=1)
    if not isinstance(points, Rows):  # of which all are members
        good &= np.array([point is not None for point in points], dtype=np.bool_)
    mask[whole] = good
    return mask


class _Claims:
    """Signatures to check: [8](s B - r - k a) = 0, each a of a key of `whose`."""

    def __init__(
        self,
        publics: NDArray[np.uint8],
        messages: Sequence[bytes],
        signatures: NDArray[np.uint8],
    ) -> None:
        """Keys of shape (n, 32), n messages, and signatures of shape (n, 64)."""
        kernel, scalars = _kernel(), ed25519._scalars
        keys = np.ascontiguousarray(publics).view("S32").reshape(-1)
        _, first, self._whose = np.unique(keys, return_index=True, return_inverse=True)
        self._a, usable = kernel.decode_points(publics[first].tobytes())
        usable = np.array(usable) & ~np.array(kernel.is_small_order(self._a))
        self._r, decoded = kernel.decode_points(signatures[:, :32].tobytes())
        self._s, above = scalars.decode(signatures[:, 32:].tobytes())
        good = np.array(decoded) & usable[self._whose]
        good[above] = False
        self._good = np.flatnonzero(good)
        prefixes = Strings(np.concatenate([signatures[:, :32], publics], axis=1))
        self._k = scalars.from_uniform(kernel.sha512(prefixes, messages), 64)
        self._minus_base = kernel.invert([kernel.generator])

    def true(self) -> _Places:
        return self._good[~np.isin(self._good, self._false(self._good, False))]

    def _false(self, at: _Places, known_false: bool) -> _Places:
        """The places of claims that do not hold; `known_false` says that some do not."""
        if not known_false and self._hold(at):
            return at[:0]
        if len(at) == 1:
            return at
        middle = len(at) // 2
        left = self._false(at[:middle], False)
        return np.concatenate([left, self._false(at[middle:], not len(left))])

    def _hold(self, at: _Places) -> bool:
        """Whether 8 sum z_i (s_i B - r_i - k_i a_i) is neutral, for random 128-bit z_i.

        Exponents are reduced modulo L although points may have torsion: the factor 8 removes the
        difference.
        """
        kernel, scalars = _kernel(), ed25519._scalars
        z = scalars.from_uniform(os.urandom(_WEIGHT_BYTES * len(at)), _WEIGHT_BYTES)
        total = scalars.sums(scalars.multiply(z, take_items(self._s, at)), 1)
        keys, shares = self._by_key(scalars.multiply(z, take_items(self._k, at)), self._whose[at])
        bases = join_items([self._minus_base, take_items(self._r, at), take_items(self._a, keys)])
        combination = kernel.multiexps(bases, join_items([total, z, shares]), 1)
        return bool(kernel.is_small_order(combination)[0])

    @staticmethod
    def _by_key(shares: Sequence[int], whose: _Places) -> tuple[_Places, Sequence[int]]:
        """The keys that occur, and each one's sum of shares; or all as they are."""
        keys, place, count = np.unique(whose, return_inverse=True, return_counts=True)
        most = int(count.max(initial=0))
        if most <= 1 or len(keys) * most > _SPARSE * len(whose):
            return whose, shares
        order = np.argsort(place, kind="stable")
        starts = np.repeat(np.cumsum(count) - count, count)
        matrix = np.full((len(keys), most), len(whose))  # the place of a zero
        matrix[place[order], np.arange(len(whose)) - starts] = order
        scalars: Any = ed25519._scalars
        padded = join_items([shares, scalars.reduced([0])])
        return keys, scalars.sums(take_items(padded, matrix), len(keys))
