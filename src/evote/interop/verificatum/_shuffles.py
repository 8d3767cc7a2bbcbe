"""Read and verify the proofs of shuffles of a session.

With precomputation PoSC speaks of N_0 commitments, and CCPoS of the N that the keep list leaves.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from evote._terelius_wikstrom import (
    ShuffleClaim,
    ShuffleCommitment,
    ShuffleResponses,
    verify_claim,
)
from evote._verificatum._oracle import Oracle
from evote._verificatum._proofs import (
    CCPOS,
    POS,
    POSC,
    Form,
    ProofOracle,
    key_tree,
    statement_trees,
)
from evote._verificatum._trees import Reader, leaf
from evote.elgamal import Ciphertexts
from evote.errors import DecodingError, InvalidProof, VerificationError
from evote.groups import Elements
from evote.interop.verificatum._session import CiphertextList, Session

__all__ = [
    "check_shuffle",
    "decode_keep_list",
    "encode_keep_list",
    "read_commitment",
    "read_commitments",
    "read_responses",
]


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
