"""The sigma core: knowledge of the exponents of linear relations.

    claim       for i = 1..m:  image_i = prod_k base_ik ^ x_k         (base_ik may be absent)
    prover      nonces w_k;    a_i = prod_k base_ik ^ w_k             commitments
                               s_k = w_k + c x_k                      responses
    verifier                   a_i image_i^c prod_k base_ik^-s_k = 1

Schnorr, Chaum-Pedersen and the others of `evote.proofs` are relations with a name. N claims are
proved side by side, each under a challenge of its own, which hashes what they have in common, the
claim's own row and its place.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from evote._batch import Equations, Relation, verify_batch
from evote.encoding import uint32, xof
from evote.errors import (
    DecodingError,
    GroupMismatch,
    InvalidProof,
    ParameterError,
    ShapeMismatch,
)
from evote.groups import Elements, Group, Rng, Scalars, Secrecy, stack
from evote.transcript import Transcript, encode_shape

__all__ = [
    "LinearClaim",
    "LinearProof",
    "LinearRelation",
    "absorb_statement",
    "decode_linear",
    "draw_row_challenges",
    "hedged_nonces",
    "linear_challenges",
    "linear_equations",
    "linear_holds",
    "prove_linear",
    "verify_linear",
]

Shape: TypeAlias = tuple[int, ...]
Labelled: TypeAlias = tuple[tuple[bytes, Elements], ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LinearRelation:
    """N claims of one form: image_i = prod_k base_ik ** secret_k.

    Attributes:
        name: of the protocol; it is hashed and named in errors.
        shape: of the array of claims, N in all.
        common: elements all claims share, with the labels they are hashed under.
        rows: elements of each claim, shapes (N, ...), hashed row by row.
        images: m arrays of shape (N,) or ().
        bases: m rows of k arrays of shape (N,) or (); None where a secret is absent.

    Everything the claim speaks of stands in `common` and `rows`; images and bases are computed
    from these and are not hashed.
    """

    name: str
    shape: Shape
    common: Labelled
    rows: tuple[Elements, ...]
    images: tuple[Elements, ...]
    bases: tuple[tuple[Elements | None, ...], ...]

    @property
    def group(self) -> Group:
        return self.images[0].group

    @property
    def count(self) -> int:
        return prod(self.shape)

    @property
    def secrets(self) -> int:
        return len(self.bases[0])


class LinearClaim(Protocol):
    """Any statement that is a linear relation."""

    @property
    def relation(self) -> LinearRelation: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class LinearProof:
    """Commitments of shape (..., m) and responses of shape (..., k) for claims of shape (...)."""

    commitments: Elements
    responses: Scalars

    def __post_init__(self) -> None:
        if self.commitments.group != self.responses.group:
            raise GroupMismatch("commitments and responses are of different groups")
        if not self.commitments.ndim or self.commitments.shape[:-1] != self.responses.shape[:-1]:
            raise ShapeMismatch(
                f"commitments {self.commitments.shape} and responses {self.responses.shape}"
            )

    def encode(self) -> bytes:
        """All commitments, then all responses, in C order."""
        return self.commitments.encode() + self.responses.encode()


def decode_linear(
    group: Group,
    data: bytes,
    shape: Shape,
    equations: int,
    secrets: int,
    *,
    allow_identity: bool = False,
    where: str = "",
) -> LinearProof:
    """Read what `LinearProof.encode` wrote, for claims of `shape`; all of `data` is used."""
    size = prod(shape) * equations * group.element_size
    total = size + prod(shape) * secrets * group.scalar_size
    if len(data) != total:
        raise DecodingError(f"a proof of {total} bytes expected, got {len(data)}", where=where)
    commitments = group.decode_elements(
        data[:size], (*shape, equations), allow_identity=allow_identity, where=where
    )
    responses = group.decode_scalars(data[size:], (*shape, secrets), where=where)
    return LinearProof(commitments=commitments, responses=responses)


def prove_linear(
    claim: LinearClaim, secrets: Scalars, transcript: Transcript, *, rng: Rng | None = None
) -> LinearProof:
    """Prove knowledge of secrets of shape (..., k). Cost: one power per base.

    Nonces carry the secrets' own mark: those of long-term secrets take the constant-time path.
    """
    relation = claim.relation
    if secrets.shape != (*relation.shape, relation.secrets):
        raise ShapeMismatch(
            f"{relation.name}: secrets of shape {(*relation.shape, relation.secrets)} expected, "
            f"got {secrets.shape}"
        )
    x = secrets.reshape((relation.count, relation.secrets))
    rows = _begin(relation, transcript)
    secrecy = max(x.secrecy, Secrecy.ONE_TIME)
    w = hedged_nonces(
        relation.group,
        x.shape,
        secrecy,
        secret=x._secret_bytes(),
        public=[transcript.fork().squeeze(b"nonces", 32), *rows],
        rng=rng,
    )
    columns = []
    for bases in relation.bases:
        powers = [base ** w[:, k] for k, base in enumerate(bases) if base is not None]
        columns.append(stack(powers).prod(0) if len(powers) > 1 else powers[0])
    a = stack(columns, axis=1)
    c = draw_row_challenges(transcript, rows, a)
    s = (w + c[:, None] * x).publish()
    transcript.append_scalars(b"responses", s)
    return LinearProof(
        commitments=a.reshape((*relation.shape, len(relation.images))),
        responses=s.reshape((*relation.shape, relation.secrets)),
    )


def linear_challenges(claim: LinearClaim, proof: LinearProof, transcript: Transcript) -> Scalars:
    """The challenges of all claims, shape (N,); the transcript then holds statement and proof."""
    relation = claim.relation
    m, k = len(relation.images), relation.secrets
    if proof.commitments.group != relation.group:
        raise GroupMismatch(f"{relation.name}: statement and proof are of different groups")
    shapes = (proof.commitments.shape, proof.responses.shape)
    if shapes != ((*relation.shape, m), (*relation.shape, k)):
        raise ShapeMismatch(
            f"{relation.name}: proofs of shape {relation.shape}, {m} commitments and {k} responses "
            f"each, expected; got {shapes[0]} and {shapes[1]}"
        )
    rows = _begin(relation, transcript)
    a = proof.commitments.reshape((relation.count, m))
    c = draw_row_challenges(transcript, rows, a)
    transcript.append_scalars(b"responses", proof.responses.reshape((relation.count, k)))
    return c


def linear_equations(claim: LinearClaim, proof: LinearProof, challenges: Scalars) -> Equations:
    """a_i image_i^c prod_k base_ik^-s_k = 1, for challenges of shape (N,): the algebra alone."""
    relation = claim.relation
    a = proof.commitments.reshape((relation.count, len(relation.images)))
    s = -proof.responses.reshape((relation.count, relation.secrets))
    relations: list[Relation] = []
    for i, (image, bases) in enumerate(zip(relation.images, relation.bases, strict=True)):
        powers = [(base, s[:, k]) for k, base in enumerate(bases) if base is not None]
        relations.append(((a[:, i], None), (image, challenges), *powers))
    return Equations(group=relation.group, shape=(relation.count,), relations=tuple(relations))


def linear_holds(claim: LinearClaim, proof: LinearProof, challenges: Scalars) -> NDArray[np.bool_]:
    """Where the equations hold, without the hash; challenges of shape (N,). Mask of shape (N,)."""
    return verify_batch([linear_equations(claim, proof, challenges)])


def verify_linear(claim: LinearClaim, proof: LinearProof, transcript: Transcript) -> None:
    """Check all claims in one batch.

    Raises:
        ShapeMismatch, GroupMismatch: statement and proof do not fit.
        InvalidProof: some proofs fail; `indices` lists them in C order of the statement's shape.
    """
    challenges = linear_challenges(claim, proof, transcript)
    InvalidProof.unless(linear_holds(claim, proof, challenges), claim.relation.name)


def _begin(relation: LinearRelation, transcript: Transcript) -> list[bytes]:
    return absorb_statement(
        transcript, relation.name, relation.common, relation.rows, relation.count
    )


def absorb_statement(
    transcript: Transcript, name: str, common: Labelled, rows: Sequence[Elements], count: int
) -> list[bytes]:
    """Absorb what all claims share; return each claim's own message.

    Absorbed: the name, each common element under its label, the number of claims and the shapes of
    the row arrays. A message is the row's elements, array by array, fixed width.
    """
    transcript.append(b"proof", name.encode("ascii"))
    for label, elements in common:
        transcript.append_elements(label, elements)
    shapes = [encode_shape(array.shape) for array in rows]
    transcript.append(b"rows", b"".join([uint32(count), *shapes]))
    return _messages(rows, count)


def draw_row_challenges(
    transcript: Transcript, messages: Sequence[bytes], commitments: Elements
) -> Scalars:
    """One challenge per claim, over the common part, its own message and its commitments."""
    transcript.append(b"commitments", encode_shape(commitments.shape))
    own = _messages([commitments], len(messages))
    joined = [message + a for message, a in zip(messages, own, strict=True)]
    return transcript.challenges(b"challenge", joined)


def _messages(arrays: Sequence[Elements], count: int) -> list[bytes]:
    """Row i of every array, encoded and joined, for each i."""
    columns = [[b""] * count]
    for array in arrays:
        data = array.encode()
        size = len(data) // count if count else 0
        columns.append([data[i * size : (i + 1) * size] for i in range(count)])
    return [b"".join(pieces) for pieces in zip(*columns, strict=True)]


def hedged_nonces(
    group: Group,
    shape: Shape,
    secrecy: Secrecy,
    *,
    secret: bytes,
    public: Sequence[bytes],
    rng: Rng | None,
) -> Scalars:
    """Nonces from 32 random bytes, the witness, the statement and its context.

    The hash makes them fresh while any of its inputs is: a random source that fails or repeats
    itself cannot make two different statements share a commitment, which would give the secret.
    """
    entropy = (rng or os.urandom)(32)
    if len(entropy) != 32:
        raise ParameterError(f"rng returned {len(entropy)} bytes instead of 32")
    size = prod(shape) * group.uniform_size
    data = xof("proof-nonces", entropy, secret, *public, length=size)
    return group.scalars_from_uniform(data, shape, secrecy=secrecy)
