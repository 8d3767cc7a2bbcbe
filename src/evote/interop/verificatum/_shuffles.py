"""Proofs of shuffles as byte trees, under Verificatum's random oracle.

           statement                    first move                 response
    PoS    g, h[], u[], pk, w[], w'[]   B[], A', B'[], C', D', F'  k_A, k_B[], k_C, k_D, k_E[], k_F
    PoSC   g, h[], u[]                  B[], A', B'[], C', D'      k_A, k_B[], k_C, k_D, k_E[]
    CCPoS  g, h[], u[], pk, w[], w'[]   A', B'                     k_A, k_B, k_E[]

The letters are those of `evote._terelius_wikstrom`, which has the algebra; B' and k_B of CCPoS are
F' and k_F there. With precomputation PoSC speaks of N_0 commitments, and CCPoS of the N that the
keep list leaves.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from evote._terelius_wikstrom import (
    ShuffleClaim,
    ShuffleCommitment,
    ShuffleResponses,
    verify_claim,
)
from evote.elgamal import Ciphertexts
from evote.errors import DecodingError, InvalidProof, VerificationError
from evote.groups import Elements, Group, Scalars
from evote.interop.verificatum._codec import Codec, Parts
from evote.interop.verificatum._oracle import Oracle
from evote.interop.verificatum._session import CiphertextList, Session
from evote.interop.verificatum._trees import Reader, header, leaf, node

__all__ = [
    "CCPOS",
    "POS",
    "POSC",
    "Form",
    "ProofOracle",
    "check_shuffle",
    "decode_keep_list",
    "encode_commitment",
    "encode_keep_list",
    "encode_responses",
    "key_tree",
    "read_commitment",
    "read_commitments",
    "read_responses",
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


# -- reading ---------------------------------------------------------------------------------------


def read_commitments(session: Session, party: int, count: int) -> tuple[Elements, bytes]:
    """u of shape (count,), and its tree."""
    name = f"proofs/PermutationCommitment{party:02d}.bt"
    data = session.files.read(name)
    reader = Reader(data, session.files.where(name))
    found = session.protocol.codec.elements(reader, (), count)
    reader.end()
    return found, data


def read_commitment(
    session: Session, form: Form, party: int, count: int
) -> tuple[ShuffleCommitment, bytes]:
    """The first move of a proof about `count` items, and its tree."""
    codec = session.protocol.codec
    name = f"proofs/{form.name}Commitment{party:02d}.bt"
    data = session.files.read(name)
    reader = Reader(data, session.files.where(name))
    reader.node(1 + 4 * form.chained + form.ciphertexts)
    b = codec.elements(reader, (), count) if form.chained else None
    a_prime = codec.item(reader, ())
    b_prime = codec.elements(reader, (), count) if form.chained else None
    c_prime = codec.item(reader, ()) if form.chained else None
    d_prime = codec.item(reader, ()) if form.chained else None
    f_prime = None
    if form.ciphertexts:
        pair = codec.item(reader, session.widths.ciphertext_parts).reshape((2, -1))
        f_prime = Ciphertexts(alpha=pair[0], beta=pair[1])
    reader.end()
    commitment = ShuffleCommitment(
        b=b, a_prime=a_prime, b_prime=b_prime, c_prime=c_prime, d_prime=d_prime, f_prime=f_prime
    )
    return commitment, data


def read_responses(session: Session, form: Form, party: int, count: int) -> ShuffleResponses:
    """The response of a proof about `count` items."""
    codec = session.protocol.codec
    reader = session.files.reader(f"proofs/{form.name}Reply{party:02d}.bt")
    reader.node(2 + 3 * form.chained + form.ciphertexts)
    k_a = codec.scalar_item(reader, ())
    k_b = k_c = k_d = k_f = None
    if form.chained:
        k_b = codec.scalars(reader, (), count)
        k_c, k_d = codec.scalar_item(reader, ()), codec.scalar_item(reader, ())
    if form is CCPOS:  # before k_E, where PoS has it last
        k_f = codec.scalar_item(reader, session.widths.message_parts).reshape(-1)
    k_e = codec.scalars(reader, (), count)
    if form is POS:
        k_f = codec.scalar_item(reader, session.widths.message_parts).reshape(-1)
    reader.end()
    return ShuffleResponses(k_a=k_a, k_b=k_b, k_c=k_c, k_d=k_d, k_e=k_e, k_f=k_f)


def decode_keep_list(data: bytes, size: int, count: int, *, where: str) -> NDArray[np.intp]:
    """The positions that are kept, ascending: exactly `count` of `size`."""
    reader = Reader(data, where)
    marks = np.frombuffer(reader.leaf(size), dtype=np.uint8)
    reader.end()
    if (marks > 1).any() or int(marks.sum()) != count:
        raise DecodingError(f"a keep list of bytes 00 and {count} bytes 01 expected", where=where)
    return np.flatnonzero(marks)


# -- writing ---------------------------------------------------------------------------------------


def encode_keep_list(kept: NDArray[np.intp], size: int) -> bytes:
    """What `decode_keep_list` reads."""
    marks = np.zeros(size, dtype=np.uint8)
    marks[kept] = 1
    return leaf(marks.tobytes())


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


# -- verifying -------------------------------------------------------------------------------------


def check_shuffle(
    session: Session,
    oracle: Oracle,
    party: int,
    key: Elements,
    inputs: CiphertextList,
    outputs: CiphertextList,
) -> None:
    """Check that a party's outputs are its inputs, shuffled.

    Args:
        key: shape (w,).

    Raises:
        DecodingError: a file is missing, or not what it should be.
        VerificationError: the proof, or with precomputation one of its two, does not hold.
    """
    count = len(inputs)
    if session.precomputed is None:
        u, tree = read_commitments(session, party, count)
    else:
        u, tree = _precomputed(session, oracle, party, count), None
    form = POS if session.precomputed is None else CCPOS
    claim = ShuffleClaim(
        h=oracle.generators(count),
        u=u,
        chained=form.chained,
        key=key,
        inputs=inputs.ciphertexts,
        outputs=outputs.ciphertexts,
    )
    statement = (
        *statement_trees(oracle, u, tree),
        key_tree(session.protocol.codec, key, session.widths.message_parts),
        inputs.tree,
        outputs.tree,
    )
    _check_proof(session, oracle, form, party, claim, statement)


def _precomputed(session: Session, oracle: Oracle, party: int, count: int) -> Elements:
    """The commitments that the keep list leaves, once all of them are proven."""
    size = session.precomputed
    assert size is not None
    u, tree = read_commitments(session, party, size)
    name = f"proofs/KeepList{party:02d}.bt"
    kept = decode_keep_list(session.files.read(name), size, count, where=session.files.where(name))
    claim = ShuffleClaim(h=oracle.generators(size), u=u)
    _check_proof(session, oracle, POSC, party, claim, statement_trees(oracle, u, tree))
    return u.take(kept)


def _check_proof(
    session: Session,
    oracle: Oracle,
    form: Form,
    party: int,
    claim: ShuffleClaim,
    statement: Sequence[bytes],
) -> None:
    commitment, tree = read_commitment(session, form, party, len(claim.u))
    responses = read_responses(session, form, party, len(claim.u))
    proof_oracle = ProofOracle(oracle, session.widths.message_parts, statement, tree)
    try:
        verify_claim(claim, commitment, responses, proof_oracle)
    except InvalidProof as error:
        raise VerificationError(f"{form.name} of party {party}: {error}") from None
