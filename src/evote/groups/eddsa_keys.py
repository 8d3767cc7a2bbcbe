"""Ed25519 keys in bulk, and keys that are sums of others. Arithmetic by libsodium, constant-time.

A sum key is sum of t_i a_i mod L for the secret scalars a_i of RFC 8032 seeds and public factors
t_i; its signatures are those of Ed25519 under sum of t_i A_i. Points outside of the subgroup of
prime order are refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import NoReturn

from cryptography.hazmat.primitives.hashes import SHA512, Hash
from nacl.bindings import (
    crypto_core_ed25519_add,
    crypto_core_ed25519_scalar_add,
    crypto_core_ed25519_scalar_mul,
    crypto_core_ed25519_scalar_reduce,
    crypto_scalarmult_ed25519_base_noclamp,
    crypto_scalarmult_ed25519_noclamp,
    crypto_sign,
    crypto_sign_seed_keypair,
)
from nacl.exceptions import CryptoError

from evote.errors import ParameterError, VerificationError

__all__ = ["SeedKey", "SumKey", "public_keys", "sum_key", "sum_publics"]


def public_keys(seeds: Sequence[bytes]) -> list[bytes]:
    """The public keys of RFC 8032 seeds."""
    return [crypto_sign_seed_keypair(seed)[0] for seed in seeds]


def _sha512(*parts: bytes) -> bytes:
    state = Hash(SHA512())
    for part in parts:
        state.update(part)
    return state.finalize()


def _reduced(uniform: bytes) -> bytes:
    return crypto_core_ed25519_scalar_reduce(uniform)


class SeedKey:
    """The signing key of an RFC 8032 seed; no repr, message or pickle shows its secret."""

    __slots__ = ("_secret", "public")

    def __init__(self, seed: bytes) -> None:
        """Of 32 secret bytes."""
        self.public, self._secret = crypto_sign_seed_keypair(seed)

    def sign(self, message: bytes) -> bytes:
        """The signature of RFC 8032, 64 bytes."""
        return crypto_sign(message, self._secret)[:64]

    def __repr__(self) -> str:
        return f"<SeedKey {self.public.hex()}>"

    def __reduce__(self) -> NoReturn:
        raise ParameterError("a signing key is not pickled")


class SumKey:
    """A signing key that is a sum; no repr, message or pickle shows its secret."""

    __slots__ = ("_prefix", "_scalar", "public")

    def __init__(self, scalar: bytes, prefix: bytes) -> None:
        """Of a scalar below L, and 64 secret bytes from which nonces follow."""
        self._scalar, self._prefix = scalar, prefix
        self.public = crypto_scalarmult_ed25519_base_noclamp(scalar)

    def sign(self, message: bytes) -> bytes:
        """The signature R || S, where S = r + k a; r follows from secret and message (RFC 8032)."""
        r = _reduced(_sha512(self._prefix, message))
        commitment = crypto_scalarmult_ed25519_base_noclamp(r)
        k = _reduced(_sha512(commitment, self.public, message))
        response = crypto_core_ed25519_scalar_add(
            r, crypto_core_ed25519_scalar_mul(k, self._scalar)
        )
        return commitment + response

    def __repr__(self) -> str:
        return f"<SumKey {self.public.hex()}>"

    def __reduce__(self) -> NoReturn:
        raise ParameterError("a signing key is not pickled")


def sum_key(seeds: Sequence[bytes], factors: Sequence[bytes]) -> SumKey:
    """The key sum of t_i a_i, for t_i from 64 uniform bytes each."""
    terms, prefixes = [], []
    for seed, factor in zip(seeds, factors, strict=True):
        expanded = _sha512(seed)
        clamped = bytes([expanded[0] & 248, *expanded[1:31], expanded[31] & 127 | 64])
        scalar = _reduced(clamped + bytes(32))
        terms.append(crypto_core_ed25519_scalar_mul(_reduced(factor), scalar))
        prefixes.append(expanded[32:])
    return SumKey(reduce(crypto_core_ed25519_scalar_add, terms), _sha512(*prefixes))


def sum_publics(
    publics: Sequence[Sequence[bytes]], factors: Sequence[Sequence[bytes]]
) -> list[bytes]:
    """The public keys sum of t_i A_i, row by row.

    Raises:
        VerificationError: a key is not canonical, or not of prime order; names the row.
    """
    sums = []
    for i, (row, row_factors) in enumerate(zip(publics, factors, strict=True)):
        try:
            terms = [
                crypto_scalarmult_ed25519_noclamp(_reduced(factor), public)
                for public, factor in zip(row, row_factors, strict=True)
            ]
            sums.append(reduce(crypto_core_ed25519_add, terms))
        except (CryptoError, TypeError):
            reason = "a part is no Ed25519 key of prime order"
            raise VerificationError(f"credential {i}: {reason}") from None
    return sums
