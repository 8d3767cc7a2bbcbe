"""ElGamal: keys and ciphertexts; encrypt, re-encrypt, decrypt.

A ciphertext of m under y = g^x is (alpha, beta) = (g^r, m y^r); the exponential form has m = g^v,
so that products of ciphertexts encrypt sums. Everything works on arrays of any shape.

Secrecy is that of the decisional Diffie-Hellman problem in the group. ElGamal is malleable by
design: a ciphertext from outside means nothing without a proof bound to its place. Decryption uses
the constant-time path of the group; Python cannot promise more, and memory is not wiped.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from evote import groups
from evote._spool import Stored
from evote.errors import DecodingError, GroupMismatch, ParameterError, ShapeMismatch
from evote.groups import Elements, Group, Rng, Scalars, Secrecy

__all__ = [
    "Ciphertexts",
    "PublicKey",
    "SecretKey",
    "concatenate_ciphertexts",
    "decode_ciphertexts",
    "decrypt",
    "encrypt",
    "encrypt_exponential",
    "encrypt_exponential_with_nonces",
    "encrypt_with_nonces",
    "generate_key",
    "key_from_exponent",
    "reencrypt",
    "reencrypt_with_nonces",
    "stack_ciphertexts",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicKey:
    """What ballots are encrypted to: y = g^x, one element, never the identity."""

    element: Elements

    def __post_init__(self) -> None:
        if self.element.shape != ():
            raise ShapeMismatch(f"a key is one element, got shape {self.element.shape}")
        if bool(self.element.is_identity()):
            raise ParameterError("the identity as a public key encrypts nothing")

    @property
    def group(self) -> Group:
        return self.element.group


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretKey:
    """The exponent x behind a public key y = g^x."""

    public: PublicKey
    exponent: Scalars = field(repr=False)  # a secret is never printed, logged or put in an error

    def __post_init__(self) -> None:
        if self.exponent.shape != ():
            raise ShapeMismatch(f"an exponent is one scalar, got shape {self.exponent.shape}")
        if self.exponent.group != self.public.group:
            raise GroupMismatch("exponent and public key are of different groups")
        if self.exponent.secrecy is not Secrecy.LONG_TERM:
            raise ParameterError("the exponent of a key is marked as a long-term secret")

    @property
    def group(self) -> Group:
        return self.public.group


@dataclass(frozen=True, slots=True, kw_only=True)
class Ciphertexts:
    """An array of ciphertexts (alpha, beta) = (g^r, m y^r)."""

    alpha: Elements
    beta: Elements

    def __post_init__(self) -> None:
        if self.alpha.group != self.beta.group:
            raise GroupMismatch("alpha and beta are of different groups")
        if self.alpha.shape != self.beta.shape:
            raise ShapeMismatch(f"alpha {self.alpha.shape} and beta {self.beta.shape} do not pair")

    @property
    def group(self) -> Group:
        return self.alpha.group

    @property
    def shape(self) -> tuple[int, ...]:
        return self.alpha.shape

    @property
    def size(self) -> int:
        return self.alpha.size

    @property
    def ndim(self) -> int:
        return self.alpha.ndim

    def __len__(self) -> int:
        return len(self.alpha)

    def __mul__(self, other: Ciphertexts) -> Ciphertexts:
        """Encrypts the products of the messages (exponential form: the sums)."""
        return Ciphertexts(alpha=self.alpha * other.alpha, beta=self.beta * other.beta)

    def __truediv__(self, other: Ciphertexts) -> Ciphertexts:
        return Ciphertexts(alpha=self.alpha / other.alpha, beta=self.beta / other.beta)

    def __pow__(self, exponents: Scalars | int) -> Ciphertexts:
        """Encrypts the powers of the messages (exponential form: the multiples)."""
        return Ciphertexts(alpha=self.alpha**exponents, beta=self.beta**exponents)

    def __getitem__(self, key: object) -> Ciphertexts:
        return Ciphertexts(alpha=self.alpha[key], beta=self.beta[key])

    def prod(self, axis: int | None = None) -> Ciphertexts:
        """The product of all, or along one axis; of none, the neutral pair."""
        return Ciphertexts(alpha=self.alpha.prod(axis), beta=self.beta.prod(axis))

    def take(self, indices: NDArray[np.intp] | Sequence[int]) -> Ciphertexts:
        """Those at `indices` of the first axis."""
        return Ciphertexts(alpha=self.alpha.take(indices), beta=self.beta.take(indices))

    def reshape(self, shape: tuple[int, ...]) -> Ciphertexts:
        return Ciphertexts(alpha=self.alpha.reshape(shape), beta=self.beta.reshape(shape))

    def broadcast_to(self, shape: tuple[int, ...]) -> Ciphertexts:
        return Ciphertexts(alpha=self.alpha.broadcast_to(shape), beta=self.beta.broadcast_to(shape))

    def within(self, group: Group) -> Ciphertexts:
        """The same in `group`, which equals theirs: with its executor, or with none."""
        return Ciphertexts(alpha=self.alpha.within(group), beta=self.beta.within(group))

    def packed(self) -> Ciphertexts:
        """The same in the least memory, as `Elements.packed`."""
        return Ciphertexts(alpha=self.alpha.packed(), beta=self.beta.packed())

    def elements(self) -> Elements:
        """alpha and beta side by side along a new last axis: the order of their encoding."""
        return groups.stack([self.alpha, self.beta], axis=-1)

    def encode(self) -> bytes:
        """alpha and beta of each ciphertext in turn, fixed width, in C order."""
        width = self.group.element_size
        halves = [  # encoded apart, because each array keeps its encoding
            np.frombuffer(half.encode(), dtype=np.uint8).reshape(-1, width)
            for half in (self.alpha, self.beta)
        ]
        return np.stack(halves, axis=1).tobytes()

    def equal_mask(self, other: Ciphertexts) -> NDArray[np.bool_]:
        """Where both parts are equal."""
        return self.alpha.equal_mask(other.alpha) & self.beta.equal_mask(other.beta)


def concatenate_ciphertexts(arrays: Sequence[Ciphertexts], axis: int = 0) -> Ciphertexts:
    """Join along an existing axis."""
    return Ciphertexts(
        alpha=groups.concatenate([a.alpha for a in arrays], axis),
        beta=groups.concatenate([a.beta for a in arrays], axis),
    )


def stack_ciphertexts(arrays: Sequence[Ciphertexts], axis: int = 0) -> Ciphertexts:
    """Join along a new axis."""
    return Ciphertexts(
        alpha=groups.stack([a.alpha for a in arrays], axis),
        beta=groups.stack([a.beta for a in arrays], axis),
    )


def decode_ciphertexts(
    group: Group,
    data: bytes | Stored,
    shape: tuple[int, ...] | None = None,
    *,
    allow_identity: bool = False,
    packed: bool = False,
    known: bool = False,
    where: str = "",
) -> Ciphertexts:
    """Read what `Ciphertexts.encode` wrote; every element is checked for membership.

    Args:
        group: the group of the elements.
        data: alpha and beta of each ciphertext in turn.
        shape: of the array of ciphertexts; one axis of as many as there are by default.
        allow_identity: only for sums, which may be neutral.
        packed, known: as of `Group.decode_elements`.
        where: the place, for messages.

    Raises:
        DecodingError: wrong length, or bad elements; `indices` are those of the ciphertexts.
    """
    pair = 2 * group.element_size
    if shape is None:
        if len(data) % pair:
            raise DecodingError(f"whole ciphertexts of {pair} bytes expected", where=where)
        shape = (len(data) // pair,)
    try:
        elements = group.decode_elements(
            data,
            (*shape, 2),
            allow_identity=allow_identity,
            packed=packed,
            known=known,
            where=where,
        )
    except DecodingError as error:
        indices = sorted({i // 2 for i in error.indices})
        raise DecodingError(error.reason, where=error.where, indices=indices) from None
    return Ciphertexts(alpha=elements[..., 0], beta=elements[..., 1])


def generate_key(group: Group, rng: Rng | None = None) -> SecretKey:
    """A fresh key pair of one holder."""
    exponent = group.random_scalars(secrecy=Secrecy.LONG_TERM, rng=rng)
    return key_from_exponent(exponent)


def key_from_exponent(exponent: Scalars) -> SecretKey:
    """The key pair of a given exponent."""
    secret = exponent.mark(Secrecy.LONG_TERM)
    return SecretKey(public=PublicKey(element=secret.group.generator**secret), exponent=secret)


def encrypt(
    key: PublicKey, messages: Elements, rng: Rng | None = None
) -> tuple[Ciphertexts, Scalars]:
    """Encrypt group elements under fresh nonces; returns both.

    Whoever learns a nonce learns its message. Cost: 2 fixed-base powers each.
    """
    nonces = key.group.random_scalars(messages.shape, secrecy=Secrecy.ONE_TIME, rng=rng)
    return encrypt_with_nonces(key, messages, nonces), nonces


def encrypt_with_nonces(key: PublicKey, messages: Elements, nonces: Scalars) -> Ciphertexts:
    """(g^r, m y^r)"""
    if nonces.shape != messages.shape:  # one nonce for two messages would show their quotient
        raise ShapeMismatch(f"nonces {nonces.shape} for messages {messages.shape}")
    g, y, r = key.group.generator, key.element, nonces
    return Ciphertexts(alpha=g**r, beta=messages.times_power(y, r))


def encrypt_exponential(
    key: PublicKey, values: Scalars, rng: Rng | None = None
) -> tuple[Ciphertexts, Scalars]:
    """Encrypt numbers in the exponent under fresh nonces; returns both.

    Mark the values with the secrecy they need: their powers then take the path of that mark.
    """
    nonces = key.group.random_scalars(values.shape, secrecy=Secrecy.ONE_TIME, rng=rng)
    return encrypt_exponential_with_nonces(key, values, nonces), nonces


def encrypt_exponential_with_nonces(
    key: PublicKey, values: Scalars, nonces: Scalars
) -> Ciphertexts:
    """(g^r, g^v y^r)"""
    return encrypt_with_nonces(key, key.group.generator**values, nonces)


def reencrypt(
    key: PublicKey, inputs: Ciphertexts, rng: Rng | None = None
) -> tuple[Ciphertexts, Scalars]:
    """The same messages under fresh nonces; returns ciphertexts and the nonces added."""
    nonces = key.group.random_scalars(inputs.shape, secrecy=Secrecy.ONE_TIME, rng=rng)
    return reencrypt_with_nonces(key, inputs, nonces), nonces


def reencrypt_with_nonces(key: PublicKey, inputs: Ciphertexts, nonces: Scalars) -> Ciphertexts:
    """(alpha g^r, beta y^r)"""
    if nonces.shape != inputs.shape:
        raise ShapeMismatch(f"nonces {nonces.shape} for ciphertexts {inputs.shape}")
    g, y, r = key.group.generator, key.element, nonces
    return Ciphertexts(alpha=inputs.alpha.times_power(g, r), beta=inputs.beta.times_power(y, r))


def decrypt(secret: SecretKey, ciphertexts: Ciphertexts) -> Elements:
    """The messages beta / alpha^x, for one holder of the whole key.

    Cost: one constant-time power each.
    """
    return ciphertexts.beta / ciphertexts.alpha**secret.exponent
