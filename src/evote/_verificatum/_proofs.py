"""Proofs of shuffles as byte trees, and their challenges under Verificatum's random oracle.

           statement                    first move                 response
    PoS    g, h[], u[], pk, w[], w'[]   B[], A', B'[], C', D', F'  k_A, k_B[], k_C, k_D, k_E[], k_F
    PoSC   g, h[], u[]                  B[], A', B'[], C', D'      k_A, k_B[], k_C, k_D, k_E[]
    CCPoS  g, h[], u[], pk, w[], w'[]   A', B'                     k_A, k_B, k_E[]

The letters are those of `evote._terelius_wikstrom`, which has the algebra; B' and k_B of CCPoS are
F' and k_F there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from evote._terelius_wikstrom import ShuffleClaim, ShuffleCommitment, ShuffleResponses
from evote._verificatum._codec import Codec, Parts, Widths
from evote._verificatum._oracle import Oracle
from evote._verificatum._trees import header, node
from evote.errors import ParameterError
from evote.groups import Elements, Group, Scalars, concatenate

__all__ = [
    "CCPOS",
    "POS",
    "POSC",
    "ClaimOracle",
    "Form",
    "ProofOracle",
    "encode_commitment",
    "encode_responses",
    "key_tree",
    "statement_trees",
]


@dataclass(frozen=True, slots=True)
class Form:
    """One of the three kinds of proof: its name in files, and which of the two halves it has."""

    name: str
    chained: bool
    ciphertexts: bool


POS = Form("PoS", chained=True, ciphertexts=True)
POSC = Form("PoSC", chained=True, ciphertexts=False)
CCPOS = Form("CCPoS", chained=False, ciphertexts=True)


@dataclass(slots=True)
class ProofOracle:
    """Batching vector and challenge of one proof; the verifier's hashes what the files hold.

    Attributes:
        statement: the trees of the claim.
        commitment: the tree of the first move; the prover's is encoded when it is known.
    """

    oracle: Oracle
    parts: Parts  # of messages
    statement: Sequence[bytes]
    commitment: bytes | None = None
    _seed: bytes = field(init=False, default=b"")

    @property
    def batching_bits(self) -> int:
        return self.oracle.protocol.batching_bits

    @property
    def challenge_bits(self) -> int:
        return self.oracle.protocol.challenge_bits

    def generators(self, group: Group, count: int) -> Elements:
        return self.oracle.generators(count)

    def batching_vector(self, claim: ShuffleClaim) -> Scalars:
        self._seed = self.oracle.seed(header(0, len(self.statement)), *self.statement)
        return self.oracle.batching_vector(self._seed, len(claim.u))

    def challenge(self, commitment: ShuffleCommitment) -> Scalars:
        if self.commitment is None:
            self.commitment = encode_commitment(self.oracle.protocol.codec, commitment, self.parts)
        return self.oracle.challenge(self._seed, self.commitment)


class ClaimOracle:
    """The oracle of one shuffle of ciphertexts under one key: statement and moves are encoded here.

    What another has written is hashed as it stands in the files: `ProofOracle`.
    """

    def __init__(self, oracle: Oracle) -> None:
        self._oracle = oracle
        self._proof: ProofOracle | None = None
        self.batching_bits = oracle.protocol.batching_bits
        self.challenge_bits = oracle.protocol.challenge_bits

    def generators(self, group: Group, count: int) -> Elements:
        return concatenate([group.identity((0,)), self._oracle.generators(count)])

    def batching_vector(self, claim: ShuffleClaim) -> Scalars:
        if claim.key is None or claim.inputs is None or claim.outputs is None:
            raise ParameterError("a shuffle of ciphertexts expected")
        codec, widths = self._oracle.protocol.codec, Widths(1, claim.width)
        statement = (
            *statement_trees(self._oracle, claim.u),
            key_tree(codec, claim.key.broadcast_to((claim.width,)), widths.message_parts),
            codec.encode_ciphertexts(claim.inputs, widths.ciphertext_parts),
            codec.encode_ciphertexts(claim.outputs, widths.ciphertext_parts),
        )
        self._proof = ProofOracle(self._oracle, widths.message_parts, statement)
        return self._proof.batching_vector(claim)

    def challenge(self, commitment: ShuffleCommitment) -> Scalars:
        if self._proof is None:
            raise ParameterError("the challenge comes after the batching vector")
        return self._proof.challenge(commitment)


def key_tree(codec: Codec, key: Elements, parts: Parts) -> bytes:
    """pk = ((g', ..., g'), (y, ..., y)) for a key of shape (w,)."""
    generators = codec.group.generator.broadcast_to(key.shape)
    return node(codec.encode_item(generators, parts), codec.encode_item(key, parts))


def statement_trees(
    oracle: Oracle, commitments: Elements, tree: bytes | None = None
) -> tuple[bytes, ...]:
    """g, h[] and u[]; `tree` is that of u[], where it is known."""
    codec = oracle.protocol.codec
    h = oracle.generators(len(commitments))
    return (
        codec.encode_item(codec.group.generator, ()),
        codec.encode_elements(h, ()),
        codec.encode_elements(commitments, ()) if tree is None else tree,
    )


def encode_commitment(codec: Codec, commitment: ShuffleCommitment, parts: Parts) -> bytes:
    """The first move as a tree; `parts` of messages."""
    trees = []
    if commitment.b is not None:
        trees.append(codec.encode_elements(commitment.b, ()))
    trees.append(codec.encode_item(commitment.a_prime, ()))
    if commitment.b_prime is not None:
        trees.append(codec.encode_elements(commitment.b_prime, ()))
    trees += [
        codec.encode_item(item, ())
        for item in (commitment.c_prime, commitment.d_prime)
        if item is not None
    ]
    if commitment.f_prime is not None:
        trees.append(codec.encode_ciphertext(commitment.f_prime, (2, *parts)))
    return node(*trees)


def encode_responses(codec: Codec, responses: ShuffleResponses, parts: Parts) -> bytes:
    """The response as a tree; `parts` of messages."""
    trees = [codec.encode_scalar_item(responses.k_a, ())]
    if responses.k_b is not None:
        trees.append(codec.encode_scalars(responses.k_b, ()))
    trees += [
        codec.encode_scalar_item(item, ())
        for item in (responses.k_c, responses.k_d)
        if item is not None
    ]
    trees.append(codec.encode_scalars(responses.k_e, ()))
    if responses.k_f is not None:
        place = len(trees) if responses.k_b is not None else len(trees) - 1
        trees.insert(place, codec.encode_scalar_item(responses.k_f, parts))
    return node(*trees)
