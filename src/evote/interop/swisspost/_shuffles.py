"""Shuffle arguments under Swiss Post's rules, proved and verified."""

from __future__ import annotations

from math import isqrt

from evote._bayer_groth import (
    BayerGrothClaim,
    BayerGrothProof,
    WideCiphertexts,
    prove_bayer_groth,
    verify_bayer_groth,
)
from evote.commitments import CommitmentKey
from evote.errors import GroupMismatch, ShapeMismatch
from evote.groups import Elements, ModPGroup, Rng
from evote.interop.swisspost._hashing import Profile, derive_commitment_key
from evote.interop.swisspost._oracle import SwissPostOracle
from evote.mixnet import ShuffleWitness

__all__ = ["claim_of", "dimensions", "narrowed", "prove_shuffle", "verify_shuffle"]


def dimensions(count: int) -> tuple[int, int]:
    """m, the largest divisor up to the square root, and n."""
    if count < 2:
        raise ShapeMismatch(f"at least 2 ciphertexts expected, got {count}")
    m = next(m for m in range(isqrt(count), 0, -1) if count % m == 0)
    return m, count // m


def narrowed(ck: CommitmentKey, n: int) -> CommitmentKey:
    """The part of a key that commits to n values."""
    if ck.width < n:
        raise ShapeMismatch(f"a commitment key of {n} elements at least expected, got {ck.width}")
    return CommitmentKey(blinding=ck.blinding, bases=ck.bases[:n])


def claim_of(
    key: Elements, inputs: WideCiphertexts, outputs: WideCiphertexts, ck: CommitmentKey
) -> BayerGrothClaim:
    """Of ciphertexts with one gamma each; keys may have more elements than they have messages."""
    if inputs.nonces != 1 or outputs.nonces != 1 or len(inputs.places) != 1:
        raise ShapeMismatch("a list of ciphertexts with one gamma each expected")
    if key.ndim != 1 or len(key) < inputs.width:
        raise ShapeMismatch(f"a key of shape {key.shape} for {inputs.width} messages")
    _, n = dimensions(len(inputs.beta))
    return BayerGrothClaim(
        ck=narrowed(ck, n),
        key=key[: inputs.width],
        inputs=inputs,
        outputs=outputs,
        hidden=1,
    )


def _modp(key: Elements) -> ModPGroup:
    if not isinstance(key.group, ModPGroup):
        raise GroupMismatch(f"a group modulo p expected, not {key.group.name}")
    return key.group


def prove_shuffle(
    profile: Profile,
    key: Elements,
    inputs: WideCiphertexts,
    outputs: WideCiphertexts,
    witness: ShuffleWitness,
    *,
    rng: Rng | None = None,
) -> BayerGrothProof:
    """Prove a shuffle for Swiss Post's verifier; the nonces of the witness have shape (N, 1)."""
    group = _modp(key)
    ck = derive_commitment_key(profile, group, dimensions(len(inputs.beta))[1])
    oracle = SwissPostOracle(profile, group, key, ck)
    claim = claim_of(key, inputs, outputs, ck)
    return prove_bayer_groth(
        claim,
        witness.permutation,
        witness.nonces,
        oracle,
        context=profile.name.encode("ascii") + key.encode(),
        rng=rng,
    )


def verify_shuffle(
    profile: Profile,
    key: Elements,
    inputs: WideCiphertexts,
    outputs: WideCiphertexts,
    proof: BayerGrothProof,
    *,
    given: CommitmentKey | None = None,
) -> dict[str, int]:
    """Check a shuffle argument, under the commitment key that the group determines.

    Args:
        profile: whose rules.
        key: shape (k,), at least as many elements as a ciphertext has messages.
        given: a commitment key to use instead. Whoever chose it may know a relation between its
            elements, and then proves whatever they like.

    Returns:
        The challenges x, y, z and those of the parts, by name.

    Raises:
        ShapeMismatch, GroupMismatch: something is missing, one too many or of another length.
        InvalidProof: the argument does not hold.
    """
    group = _modp(key)
    ck = given or derive_commitment_key(profile, group, dimensions(len(inputs.beta))[1])
    oracle = SwissPostOracle(profile, group, key, ck)
    verify_bayer_groth(claim_of(key, inputs, outputs, ck), proof, oracle)
    return oracle.drawn
