"""OR proofs: each ciphertext vector encrypts one row of a short public list.

    claim       exists j:  alpha_l = g^r_l,  beta_l = g^v_jl y^r_l      for l = 1..w
    commitments for every branch j:  a_jl = g^u_jl,  b_jl = y^u_jl g^(c_j (v_jl - v_l))
    challenges  c_j random for the false branches; for the true one c - (sum of the others)
    responses   s_jl = u_jl + c_j r_l
    verifier    g^s_jl = a_jl alpha_l^c_j,  y^s_jl = b_jl (beta_l / g^v_jl)^c_j,  sum_j c_j = c

"Proofs of partial knowledge and simplified design of witness hiding protocols" (CRYPTO 1994),
after Chaum and Pedersen in each branch. In the true one the exponent c_j (v_jl - v_l) is zero: its
power is left out, of one branch whichever it is, so that the number of steps says nothing; and its
challenge is chosen by a mask of zeros and ones, not by a jump.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from math import prod
from typing import TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from evote._batch import Equations, Product, verify_batch
from evote._linear import absorb_statement, draw_row_challenges, hedged_nonces
from evote.elgamal import Ciphertexts, PublicKey, decode_ciphertexts
from evote.errors import (
    DecodingError,
    GroupMismatch,
    InvalidProof,
    ParameterError,
    ShapeMismatch,
)
from evote.groups import Elements, Group, Rng, Scalars, Secrecy, concatenate
from evote.transcript import Transcript

__all__ = [
    "OneOfProof",
    "OneOfState",
    "OneOfStatement",
    "OneOfWitness",
    "commit_one_of",
    "decode_each_one_of",
    "decode_one_of",
    "one_of_equations",
    "one_of_holds",
    "prove_one_of",
    "respond_one_of",
    "verify_one_of",
]

Shape: TypeAlias = tuple[int, ...]
_ArrayT = TypeVar("_ArrayT", Ciphertexts, Scalars)
Table: TypeAlias = Sequence[Sequence[int]] | NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class OneOfStatement:
    """Claim: each vector of ciphertexts encrypts, as exponents, one of the rows of `values`.

    Attributes:
        key: of the ciphertexts.
        ciphertexts: shape (..., w).
        values: shape (branches, w), rows distinct; a table of integers.
    """

    key: PublicKey
    ciphertexts: Ciphertexts
    values: Table

    def __post_init__(self) -> None:
        rows = tuple(tuple(int(v) for v in row) for row in self.values)
        object.__setattr__(self, "values", rows)  # a plain value, comparable and hashable
        if self.ciphertexts.group != self.key.group:
            raise GroupMismatch("ciphertexts and key are of different groups")
        if not self.ciphertexts.ndim:
            raise ShapeMismatch("ciphertexts of shape (..., width) expected")
        width = self.ciphertexts.shape[-1]
        if not rows or width == 0 or any(len(row) != width for row in rows):
            raise ShapeMismatch(f"values: rows of {width} integers expected")
        if len(set(rows)) != len(rows):
            raise ParameterError("values: two rows are equal")

    @property
    def group(self) -> Group:
        return self.key.group

    @property
    def shape(self) -> Shape:
        """Of the array of claims."""
        return self.ciphertexts.shape[:-1]

    @property
    def width(self) -> int:
        return self.ciphertexts.shape[-1]

    @property
    def branches(self) -> int:
        return len(self.values)

    def table(self) -> NDArray[np.object_]:
        """The values as an array of shape (branches, w)."""
        return np.array(self.values, dtype=object).reshape((self.branches, self.width))


@dataclass(frozen=True, slots=True, kw_only=True)
class OneOfWitness:
    """The nonces of the ciphertexts, shape (..., w), and which row each vector encrypts, (...)."""

    nonces: Scalars
    branches: NDArray[np.intp] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class OneOfProof:
    """Evidence for claims of shape (...).

    Attributes:
        commitments: shape (..., branches, w).
        challenges: of all branches but the last, shape (..., branches - 1); the last one's is what
            is missing to the whole challenge, so there is nothing to compare and forget.
        responses: shape (..., branches, w).
    """

    commitments: Ciphertexts
    challenges: Scalars
    responses: Scalars

    def __post_init__(self) -> None:
        a, c, s = self.commitments, self.challenges, self.responses
        if not a.group == c.group == s.group:
            raise GroupMismatch("commitments, challenges and responses are of different groups")
        if a.ndim < 2 or s.shape != a.shape or c.shape != (*a.shape[:-2], a.shape[-2] - 1):
            raise ShapeMismatch(f"commitments {a.shape}, challenges {c.shape}, responses {s.shape}")

    @property
    def shape(self) -> Shape:
        """Of the array of claims."""
        return self.commitments.shape[:-2]

    def reshape(self, shape: Shape) -> OneOfProof:
        """The same proofs in an array of another shape."""
        branches, width = self.commitments.shape[-2:]
        return OneOfProof(
            commitments=self.commitments.reshape((*shape, branches, width)),
            challenges=self.challenges.reshape((*shape, branches - 1)),
            responses=self.responses.reshape((*shape, branches, width)),
        )

    def __getitem__(self, key: object) -> OneOfProof:
        """Some of the proofs: a key over the first axis."""
        return OneOfProof(
            commitments=self.commitments[key],
            challenges=self.challenges[key],
            responses=self.responses[key],
        )

    def encode(self) -> bytes:
        """All commitments, all challenges, all responses, each in C order."""
        return b"".join(
            [self.commitments.encode(), self.challenges.encode(), self.responses.encode()]
        )

    def encode_each(self) -> list[bytes]:
        """The encodings of proof[0], proof[1], ... along the first axis."""
        count = self.shape[0]
        pieces = []
        for part in (self.commitments, self.challenges, self.responses):
            data = part.encode()
            size = len(data) // count if count else 0
            pieces.append([data[i * size : (i + 1) * size] for i in range(count)])
        return [b"".join(row) for row in zip(*pieces, strict=True)]


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class OneOfState:
    """What the prover keeps between commitment and response; secret."""

    shape: Shape
    commitments: Ciphertexts
    mask: Scalars
    proof_nonces: Scalars
    challenges: Scalars
    nonces: Scalars


def commit_one_of(
    statement: OneOfStatement,
    witness: OneOfWitness,
    *,
    rng: Rng | None = None,
    context: bytes = b"",
) -> tuple[Ciphertexts, OneOfState]:
    """First move. Cost: per ciphertext 3 fixed-base powers a branch, less one in the true branch.

    Args:
        statement: claims of any shape.
        witness: why they hold. A false one gives a proof that does not verify.
        rng: of 32 random bytes.
        context: hashed into the nonces: what the proof will be bound to.
    """
    group, shape = statement.group, statement.shape
    branches, width = statement.branches, statement.width
    chosen = np.asarray(witness.branches)
    if witness.nonces.shape != (*shape, width) or chosen.shape != shape:
        raise ShapeMismatch(
            f"witness: nonces {(*shape, width)} and branches {shape} expected, "
            f"got {witness.nonces.shape} and {chosen.shape}"
        )
    if chosen.size and not (chosen.min() >= 0 and chosen.max() < branches):
        raise ParameterError("witness: a branch that the statement does not have")
    r = witness.nonces.mark(Secrecy.ONE_TIME)
    random = hedged_nonces(
        group,
        (*shape, branches, width + 1),
        r.secrecy,
        secret=r._secret_bytes() + chosen.astype("<u4").tobytes(),
        public=[context, statement.key.element.encode(), statement.ciphertexts.encode()],
        rng=rng,
    )
    u, c_false = random[..., :width], random[..., width]
    one_hot = (chosen[..., None] == np.arange(branches)).astype(np.int64)
    mask = group.scalars(one_hot, secrecy=Secrecy.ONE_TIME)
    table = statement.table()
    distance = table - table[chosen][..., None, :]  # v_jl - v_l, zero in the true branch
    exponent = c_false[..., None] * group.scalars(distance, secrecy=Secrecy.ONE_TIME)
    g, y = group.generator, statement.key.element
    beta = (y**u).reshape((prod(shape) * branches, width))
    # Row k of beta becomes row source[k] of beta followed by the false branches' products.
    false = np.flatnonzero(one_hot == 0)
    source = np.arange(len(beta))
    source[false] = len(beta) + np.arange(len(false))
    shift = g ** exponent.reshape(beta.shape).take(false)
    beta = concatenate([beta, beta.take(false) * shift]).take(source).reshape(u.shape)
    commitments = Ciphertexts(alpha=g**u, beta=beta)
    state = OneOfState(
        shape=shape,
        commitments=commitments,
        mask=mask,
        proof_nonces=u,
        challenges=c_false * (1 - mask),
        nonces=r,
    )
    return commitments, state


def respond_one_of(state: OneOfState, challenge: Scalars) -> OneOfProof:
    """Last move.

    Args:
        state: of `commit_one_of`; it must answer one challenge only, or the secret is out.
        challenge: of a shape that is the beginning of the claims', as (n,) for (n, options): proofs
            that are committed to together share it.
    """
    c = _spread(challenge, state.shape)
    missing = c - state.challenges.sum(-1)
    c_j = state.challenges + state.mask * missing[..., None]
    s = state.proof_nonces + c_j[..., None] * state.nonces[..., None, :]
    return OneOfProof(
        commitments=state.commitments, challenges=c_j[..., :-1].publish(), responses=s.publish()
    )


def one_of_equations(
    statement: OneOfStatement,
    proof: OneOfProof,
    challenge: Scalars,
    *,
    factors: Ciphertexts | None = None,
) -> Equations:
    """The verifier's equations, with the claims' axes kept: the algebra without the hash.

    Args:
        statement: claims of shape (n, ...); at least one axis.
        proof: of as many claims.
        challenge: of a shape that is the beginning of the claims'.
        factors: shape (n, ..., k), where w = 1: of which the statement's ciphertexts are products
            along the last axis. A batch in which they are already needs no other bases.
    """
    _check_fit(statement, proof)
    group = statement.group
    g, y, v = group.generator, statement.key.element, group.scalars(statement.table())
    alpha: Elements | Product
    beta: Elements | Product
    if factors is None:
        alpha = statement.ciphertexts.alpha[..., None, :]
        beta = statement.ciphertexts.beta[..., None, :]
    else:
        alpha, beta = Product(factors.alpha[..., None, :]), Product(factors.beta[..., None, :])
    last = _spread(challenge, statement.shape) - proof.challenges.sum(-1)
    c = concatenate([proof.challenges, last[..., None]], axis=-1)[..., None]
    s = -proof.responses
    return Equations(
        group=group,
        shape=proof.responses.shape,
        relations=(
            ((proof.commitments.alpha, None), (alpha, c), (g, s)),
            ((proof.commitments.beta, None), (beta, c), (g, -(c * v)), (y, s)),
        ),
    )


def one_of_holds(
    statement: OneOfStatement, proof: OneOfProof, challenge: Scalars
) -> NDArray[np.bool_]:
    """Which of the claims along the first axis hold under a challenge, without the hash."""
    return verify_batch([one_of_equations(statement, proof, challenge)])


def prove_one_of(
    statement: OneOfStatement,
    witness: OneOfWitness,
    transcript: Transcript,
    *,
    rng: Rng | None = None,
) -> OneOfProof:
    """Prove each claim under a challenge of its own; the transcript's flavour should be CDS."""
    messages = _absorb(statement, transcript)
    context = transcript.fork().squeeze(b"nonces", 32)
    commitments, state = commit_one_of(statement, witness, rng=rng, context=context)
    challenges = _challenges(statement, messages, commitments, transcript)
    proof = respond_one_of(state, challenges.reshape(statement.shape))
    _absorb_answers(proof, transcript)
    return proof


def verify_one_of(
    statement: OneOfStatement, proof: OneOfProof, transcript: Transcript, *, name: str = "one-of"
) -> None:
    """Check that each vector of ciphertexts encrypts one of the rows of `values`.

    Sound and zero-knowledge in the random oracle model. Cost: one multi-exponentiation with, per
    claim and ciphertext, 2 terms of full length and 2 of 128 bits per branch.

    Raises:
        ShapeMismatch, GroupMismatch: statement and proof do not fit.
        InvalidProof: some proofs fail; `indices` lists them in C order of the statement's shape.
    """
    _check_fit(statement, proof)
    messages = _absorb(statement, transcript)
    challenges = _challenges(statement, messages, proof.commitments, transcript)
    _absorb_answers(proof, transcript)
    flat = OneOfStatement(
        key=statement.key,
        ciphertexts=statement.ciphertexts.reshape((prod(statement.shape), statement.width)),
        values=statement.values,
    )
    holds = one_of_holds(flat, proof.reshape((prod(statement.shape),)), challenges)
    InvalidProof.unless(holds, name)


def _absorb(statement: OneOfStatement, transcript: Transcript) -> list[bytes]:
    transcript.append_scalars(b"values", statement.group.scalars(statement.table()))
    transcript.append_integer(b"branches", statement.branches)
    return absorb_statement(
        transcript,
        "one-of",
        ((b"key", statement.key.element),),
        [statement.ciphertexts.elements()],
        prod(statement.shape),
    )


def _challenges(
    statement: OneOfStatement,
    messages: list[bytes],
    commitments: Ciphertexts,
    transcript: Transcript,
) -> Scalars:
    rows = commitments.elements().reshape((len(messages), statement.branches, statement.width, 2))
    return draw_row_challenges(transcript, messages, rows)


def _absorb_answers(proof: OneOfProof, transcript: Transcript) -> None:
    transcript.append_scalars(b"challenges", proof.challenges)
    transcript.append_scalars(b"responses", proof.responses)


def _check_fit(statement: OneOfStatement, proof: OneOfProof) -> None:
    if proof.commitments.group != statement.group:
        raise GroupMismatch("one-of: statement and proof are of different groups")
    expected = (*statement.shape, statement.branches, statement.width)
    if proof.commitments.shape != expected:
        raise ShapeMismatch(f"one-of: {expected} expected, got {proof.commitments.shape}")


def _spread(challenge: Scalars, shape: Shape) -> Scalars:
    """A challenge for the first axes of `shape`, repeated along the others."""
    if challenge.shape != shape[: challenge.ndim]:
        raise ShapeMismatch(f"challenges {challenge.shape} for proofs {shape}")
    ones = (1,) * (len(shape) - challenge.ndim)
    return challenge.reshape((*challenge.shape, *ones)).broadcast_to(shape)


def decode_one_of(
    group: Group, data: bytes, shape: Shape, branches: int, *, width: int = 1, where: str = ""
) -> OneOfProof:
    """Read what `OneOfProof.encode` wrote, for claims of `shape`; all of `data` is used."""
    whole = np.frombuffer(data, dtype=np.uint8).reshape((1, len(data)))
    proofs = decode_each_one_of(group, whole, shape, branches, width=width, where=where)
    return proofs.reshape(shape)


def decode_each_one_of(
    group: Group,
    rows: NDArray[np.uint8],
    shape: Shape,
    branches: int,
    *,
    width: int = 1,
    where: str = "",
) -> OneOfProof:
    """Read many encodings, each for claims of `shape`, into one proof of shape (n, *shape).

    Args:
        rows: the encodings, shape (n, bytes).

    Raises:
        DecodingError: `indices` lists those of `rows` that are no canonical proof.
    """
    count = prod(shape) * branches * width
    sizes = (
        2 * count * group.element_size,
        prod(shape) * (branches - 1) * group.scalar_size,
        count * group.scalar_size,
    )
    if rows.shape[1] != sum(sizes):
        reason = f"a proof of {sum(sizes)} bytes expected, got {rows.shape[1]}"
        raise DecodingError(reason, where=where, indices=range(len(rows)))
    cuts = (0, sizes[0], sizes[0] + sizes[1], sum(sizes))
    parts = [rows[:, a:b].tobytes() for a, b in pairwise(cuts)]
    whole = (len(rows), *shape)
    bad: set[int] = set()

    def part(number: int, per_item: int, decode: Callable[[bytes], _ArrayT]) -> _ArrayT | None:
        try:
            return decode(parts[number])
        except DecodingError as error:
            bad.update(i // per_item for i in error.indices)
            return None

    a = part(0, count, lambda data: decode_ciphertexts(group, data, (*whole, branches, width)))
    per_item = prod(shape) * (branches - 1)
    c = part(1, per_item, lambda data: group.decode_scalars(data, (*whole, branches - 1)))
    s = part(2, count, lambda data: group.decode_scalars(data, (*whole, branches, width)))
    if a is None or c is None or s is None:
        raise DecodingError("not a canonical proof", where=where, indices=sorted(bad))
    return OneOfProof(commitments=a, challenges=c, responses=s)
