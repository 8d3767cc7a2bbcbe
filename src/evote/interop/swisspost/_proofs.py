"""Swiss Post's sigma proofs: Schnorr, exponentiation, decryption, plaintext equality.

Each shows knowledge of exponents x with y = phi(x), for a homomorphism phi into several elements.
A proof is (e, z): the verifier computes the commitments c = phi(z) y^-e again, hashes them and
compares e = H(f, y, c, aux) as an integer of 256 bits. f says which homomorphism it is, aux has a
label, other parts of the statement, and the caller's strings, absent where there are none.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod
from typing import TypeAlias

import numpy as np

from evote._bayer_groth import WideCiphertexts
from evote._linear import hedged_nonces
from evote.errors import GroupMismatch, InvalidProof, ShapeMismatch
from evote.groups import Elements, ModPGroup, Rng, Scalars, Secrecy, concatenate, stack
from evote.interop.swisspost._hashing import Hashable, Profile, recursive_hash
from evote.interop.swisspost._oracle import integers

__all__ = [
    "CompactProof",
    "prove_decryption",
    "prove_exponentiation",
    "prove_plaintext_equality",
    "prove_schnorr",
    "verify_decryption",
    "verify_decryptions",
    "verify_exponentiation",
    "verify_plaintext_equality",
    "verify_schnorr",
]

_Strings: TypeAlias = Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class CompactProof:
    """A challenge below 2^256, and one response for each exponent, shape (k,)."""

    e: int
    z: Scalars


@dataclass(frozen=True, slots=True, kw_only=True)
class _Claim:
    """images = phi(x) for k exponents x.

    Attributes:
        f, aux: what is hashed besides images and commitments.
        alone: whether the one image is hashed as an integer, not as a list.
    """

    name: str
    images: Elements
    phi: Callable[[Scalars], Elements]
    k: int
    f: list[Hashable]
    aux: list[Hashable]
    alone: bool = False

    @property
    def group(self) -> ModPGroup:
        group = self.images.group
        if not isinstance(group, ModPGroup):
            raise GroupMismatch(f"a group modulo p expected, not {group.name}")
        return group

    def challenge(self, profile: Profile, commitments: Elements) -> int:
        y, c = integers(self.images), integers(commitments)
        values: tuple[Hashable, Hashable] = (y[0], c[0]) if self.alone else (y, c)
        return int.from_bytes(recursive_hash(profile, self.f, *values, self.aux), "big")


def _prove(profile: Profile, claim: _Claim, x: Scalars, rng: Rng | None) -> CompactProof:
    if x.shape != (claim.k,):
        raise ShapeMismatch(f"{claim.name}: {claim.k} exponents expected, got {x.shape}")
    nonces = hedged_nonces(
        claim.group,
        x.shape,
        max(x.secrecy, Secrecy.ONE_TIME),
        secret=x._secret_bytes(),
        public=[claim.images.encode(), recursive_hash(profile, claim.f, claim.aux)],
        rng=rng,
    )
    e = claim.challenge(profile, claim.phi(nonces))
    return CompactProof(e=e, z=(nonces + claim.group.scalars(e) * x).publish())


def _verify(profile: Profile, claim: _Claim, proof: CompactProof) -> None:
    if proof.z.shape != (claim.k,):
        raise ShapeMismatch(f"{claim.name}: {claim.k} responses expected, got {proof.z.shape}")
    # An e that is no challenge of 256 bits equals none, and must not be reduced modulo q.
    commitments = claim.phi(proof.z) / claim.images ** claim.group.scalars(proof.e)
    if claim.challenge(profile, commitments) != proof.e:
        raise InvalidProof(claim.name)


def _tail(strings: _Strings) -> list[Hashable]:
    return [list(strings)] if strings else []


def _vector(name: str, *arrays: Elements) -> None:
    for array in arrays:
        if array.ndim != 1 or array.shape != arrays[0].shape or not array.size:
            raise ShapeMismatch(f"{name}: lists of one length expected, got {array.shape}")


# -- claims ----------------------------------------------------------------------------------------


def _schnorr(image: Elements, strings: _Strings) -> _Claim:
    group = image.group
    y = image.reshape((1,))
    return _Claim(
        name="Schnorr",
        images=y,
        phi=lambda x: group.generator**x,
        k=1,
        f=[*_numbers(y), *integers(group.generator)],
        aux=["SchnorrProof", *_tail(strings)],
        alone=True,
    )


def _exponentiation(bases: Elements, images: Elements, strings: _Strings) -> _Claim:
    _vector("exponentiation", bases, images)
    return _Claim(
        name="exponentiation",
        images=images,
        phi=lambda x: bases**x,
        k=1,
        f=[*_numbers(images), integers(bases)],
        aux=["ExponentiationProof", *_tail(strings)],
    )


def _decryption(
    ciphertext: WideCiphertexts, key: Elements, messages: Elements, strings: _Strings
) -> _Claim:
    gamma, phis = ciphertext.alpha, ciphertext.beta
    _vector("decryption", phis, messages)
    if gamma.shape != (1,) or key.ndim != 1 or len(key) < len(phis):
        raise ShapeMismatch(f"decryption: gamma {gamma.shape}, key {key.shape}, phis {phis.shape}")
    g, width = phis.group.generator, len(phis)
    return _Claim(
        name="decryption",
        images=concatenate([key[:width], phis / messages]),
        phi=lambda x: concatenate([g**x, gamma**x]),
        k=width,
        f=[*_numbers(phis), *integers(g), *integers(gamma)],
        aux=["DecryptionProof", integers(phis), integers(messages), *_tail(strings)],
    )


def _plaintext_equality(
    first: WideCiphertexts,
    second: WideCiphertexts,
    key: Elements,
    other_key: Elements,
    strings: _Strings,
) -> _Claim:
    name = "plaintext equality"
    _vector(name, first.alpha, first.beta, second.alpha, second.beta)
    if first.width != 1 or key.shape != () or other_key.shape != ():
        raise ShapeMismatch(f"{name}: ciphertexts of one message and two keys expected")
    g = first.group.generator

    def phi(x: Scalars) -> Elements:
        return concatenate([g**x, key ** x[:1] / other_key ** x[1:]])

    return _Claim(
        name=name,
        images=concatenate([first.alpha, second.alpha, first.beta / second.beta]),
        phi=phi,
        k=2,
        f=[*_numbers(first.beta), *integers(g), *integers(key), *integers(other_key)],
        aux=[
            "PlaintextEqualityProof",
            *integers(first.beta),
            *integers(second.beta),
            *_tail(strings),
        ],
    )


def _numbers(elements: Elements) -> tuple[int, int]:
    group = elements.group
    if not isinstance(group, ModPGroup):
        raise GroupMismatch(f"a group modulo p expected, not {group.name}")
    return group.p, group.q


# -- pairs -----------------------------------------------------------------------------------------


def prove_schnorr(
    profile: Profile, image: Elements, x: Scalars, strings: _Strings = (), *, rng: Rng | None = None
) -> CompactProof:
    """That image = g^x; shapes ()."""
    return _prove(profile, _schnorr(image, strings), x.reshape((1,)), rng)


def verify_schnorr(
    profile: Profile, image: Elements, proof: CompactProof, strings: _Strings = ()
) -> None:
    """Check knowledge of the logarithm of `image`, shape ().

    Raises:
        ShapeMismatch, InvalidProof: it does not fit, or not hold; so with all of these.
    """
    _verify(profile, _schnorr(image, strings), proof)


def prove_exponentiation(
    profile: Profile,
    bases: Elements,
    images: Elements,
    x: Scalars,
    strings: _Strings = (),
    *,
    rng: Rng | None = None,
) -> CompactProof:
    """That images = bases^x, shapes (n,), for x of shape ()."""
    return _prove(profile, _exponentiation(bases, images, strings), x.reshape((1,)), rng)


def verify_exponentiation(
    profile: Profile,
    bases: Elements,
    images: Elements,
    proof: CompactProof,
    strings: _Strings = (),
) -> None:
    """Check that all images are the same power of their bases, shapes (n,)."""
    _verify(profile, _exponentiation(bases, images, strings), proof)


def prove_decryption(
    profile: Profile,
    ciphertext: WideCiphertexts,
    key: Elements,
    messages: Elements,
    x: Scalars,
    strings: _Strings = (),
    *,
    rng: Rng | None = None,
) -> CompactProof:
    """That `messages`, shape (w,), are those of one ciphertext under the secret key x, (w,)."""
    return _prove(profile, _decryption(ciphertext, key, messages, strings), x, rng)


def verify_decryption(
    profile: Profile,
    ciphertext: WideCiphertexts,
    key: Elements,
    messages: Elements,
    proof: CompactProof,
    strings: _Strings = (),
) -> None:
    """Check the decryption of one ciphertext (gamma, phi_0 ..); the key may be longer."""
    _verify(profile, _decryption(ciphertext, key, messages, strings), proof)


def verify_decryptions(
    profile: Profile,
    ciphertexts: WideCiphertexts,
    key: Elements,
    decrypted: WideCiphertexts,
    proofs: Sequence[CompactProof],
    strings: _Strings = (),
) -> None:
    """Check a node's partial decryptions: gamma is kept, and each phi has its proof. Places (N,).

    Raises:
        ShapeMismatch: lists of different lengths.
        InvalidProof: some do not hold, and which.
    """
    shapes = {ciphertexts.beta.shape, decrypted.beta.shape}
    if len(shapes) != 1 or len(ciphertexts.places) != 1 or ciphertexts.nonces != 1:
        raise ShapeMismatch(f"{ciphertexts.places} ciphertexts, {decrypted.places} decrypted")
    if len(proofs) != prod(ciphertexts.places):
        raise ShapeMismatch(f"{len(proofs)} proofs for {ciphertexts.places} ciphertexts")
    kept = ciphertexts.alpha.equal_mask(decrypted.alpha).ravel()  # one gamma each
    false = [int(i) for i in np.flatnonzero(~kept)]
    for i, proof in enumerate(proofs):
        try:
            verify_decryption(profile, ciphertexts[i], key, decrypted[i].beta, proof, strings)
        except InvalidProof:
            false.append(i)
    if false:
        raise InvalidProof("decryption", sorted(set(false)))


def prove_plaintext_equality(
    profile: Profile,
    first: WideCiphertexts,
    second: WideCiphertexts,
    keys: tuple[Elements, Elements],
    nonces: tuple[Scalars, Scalars],
    strings: _Strings = (),
    *,
    rng: Rng | None = None,
) -> CompactProof:
    """That two ciphertexts of one message, with these nonces, encrypt the same under two keys."""
    claim = _plaintext_equality(first, second, *keys, strings)
    return _prove(profile, claim, stack(nonces), rng)


def verify_plaintext_equality(
    profile: Profile,
    first: WideCiphertexts,
    second: WideCiphertexts,
    keys: tuple[Elements, Elements],
    proof: CompactProof,
    strings: _Strings = (),
) -> None:
    """Check that two ciphertexts of one message encrypt the same under two keys."""
    _verify(profile, _plaintext_equality(first, second, *keys, strings), proof)
