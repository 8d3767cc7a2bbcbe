"""Shuffles: re-encrypt and reorder ciphertexts, and prove that nothing else was done.

    outputs, witness = shuffle(key, inputs)
    statement = ShuffleStatement(key=key, inputs=inputs, outputs=outputs)
    proof = prove_shuffle(statement, witness, transcript)
    verify_shuffle(statement, proof, transcript)

Ciphertexts are rows of any width w >= 1, which stay together; n is any number, 0 and 1 too. The
caller binds the transcript to the election, the unit and the step. Or it passes a `ShuffleOracle`
that derives generators and challenges as another system does.

The proof is that of Terelius and Wikström, with the paper's letters in `_terelius_wikstrom`;
docs/mixnet.md has assumptions and costs. Not promised: that inputs are well formed or independent
(that is what proofs of plaintext knowledge are for); that one shuffle hides anything from who made
it (that takes several servers); Python's integers and its sorting are not constant-time, and memory
is not wiped.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from evote._terelius_wikstrom import (
    ShuffleClaim,
    ShuffleCommitment,
    ShuffleOracle,
    ShuffleResponses,
)
from evote.elgamal import Ciphertexts, PublicKey
from evote.groups import Elements, Group, Rng, Scalars
from evote.transcript import Transcript

__all__ = [
    "ShuffleClaim",
    "ShuffleCommitment",
    "ShuffleOracle",
    "ShuffleProof",
    "ShuffleResponses",
    "ShuffleStatement",
    "ShuffleWitness",
    "TranscriptOracle",
    "decode_shuffle_proof",
    "prove_shuffle",
    "repeated_ciphertexts",
    "shuffle",
    "unchanged_ciphertexts",
    "verify_shuffle",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class ShuffleStatement:
    """Claim: `outputs` is `inputs`, re-encrypted under `key` and reordered. Shapes (n, w)."""

    key: PublicKey
    inputs: Ciphertexts
    outputs: Ciphertexts


@dataclass(frozen=True, slots=True, kw_only=True)
class ShuffleWitness:
    """outputs[i] re-encrypts inputs[permutation[i]] with nonces[i]; shapes (n,) and (n, w)."""

    permutation: NDArray[np.intp] = field(repr=False)
    nonces: Scalars = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ShuffleProof:
    """u of shape (n,), the first move (all of it) and the responses to the challenge."""

    permutation_commitments: Elements
    commitment: ShuffleCommitment
    responses: ShuffleResponses

    def encode(self) -> bytes:
        """u, B, A', B', C', D', F' (alpha and beta of each column), k_A ... k_F; fixed width."""
        raise NotImplementedError


class TranscriptOracle:
    """Generators by hashing, challenges from a transcript: what evote's own proofs use."""

    batching_bits = 128
    challenge_bits = 128

    def __init__(self, transcript: Transcript) -> None:
        self._transcript = transcript


def decode_shuffle_proof(
    group: Group, data: bytes, shape: tuple[int, int], *, where: str = ""
) -> ShuffleProof:
    """Read what `ShuffleProof.encode` wrote, for ciphertexts of `shape` (n, w)."""
    raise NotImplementedError


def shuffle(
    key: PublicKey, inputs: Ciphertexts, rng: Rng | None = None
) -> tuple[Ciphertexts, ShuffleWitness]:
    """Re-encrypt ciphertexts of shape (n, w) and put the rows into a uniformly random order."""
    raise NotImplementedError


def prove_shuffle(
    statement: ShuffleStatement,
    witness: ShuffleWitness,
    oracle: Transcript | ShuffleOracle,
    *,
    rng: Rng | None = None,
) -> ShuffleProof:
    """Prove that the outputs are the inputs, re-encrypted and reordered."""
    raise NotImplementedError


def verify_shuffle(
    statement: ShuffleStatement, proof: ShuffleProof, oracle: Transcript | ShuffleOracle
) -> None:
    """Check a proof of a shuffle."""
    raise NotImplementedError


def unchanged_ciphertexts(inputs: Ciphertexts, outputs: Ciphertexts) -> NDArray[np.intp]:
    """Rows of `outputs` that hold a ciphertext of `inputs`, unchanged, in the same column."""
    raise NotImplementedError


def repeated_ciphertexts(ciphertexts: Ciphertexts) -> NDArray[np.intp]:
    """Rows that hold a ciphertext which an earlier row holds in the same column."""
    raise NotImplementedError
