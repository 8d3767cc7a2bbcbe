"""Proofs of linear relations as in draft-irtf-cfrg-sigma-protocols-03, suite P-256 with SHAKE128.

    relation    for each equation:  prod image elements^c = prod elements^(c x_s)     (terms)
    batchable   commitments T_i, responses z_s        T_i image_i^challenge = prod bases^z
    compact     challenge, responses                  T_i computed from that equation, then hashed

The draft still moves, so no election record holds such a proof: native proofs have their own tags
and framing over the same algebra, `evote._linear`. Written multiplicatively, where the draft adds.

    instance    uint32 number of equations; for each the number of (element, coefficient) pairs of
                its image and these, then the number of (secret, element, coefficient) terms and
                these; then all elements but the first, which is the generator
    challenge   sponge on session id(tag); absorb instance, commitments; 48 bytes, little-endian

The caller fixes the tag, which names application, context, flavour and suite, and never takes it
from a prover. The identity is refused everywhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np

from evote._linear import LinearProof, LinearRelation, hedged_nonces, linear_holds
from evote.encoding import uint32
from evote.errors import DecodingError, GroupMismatch, InvalidProof, ParameterError, ShapeMismatch
from evote.groups import Elements, Rng, Scalars, Secrecy, concatenate, named_group, stack
from evote.transcript import Sponge, decode_uint, derive_session_id

__all__ = [
    "P256",
    "SUITE",
    "Equation",
    "Image",
    "Instance",
    "Term",
    "decode_instance",
    "prove",
    "prove_with_nonces",
    "verify",
    "verify_all",
]

SUITE = b"sigma-proofs_Shake128_P256"
P256 = named_group("P-256")

Image: TypeAlias = tuple[int, int]
"""Index of an element, and its coefficient."""
Term: TypeAlias = tuple[int, int, int]
"""Index of a secret, index of an element, and the coefficient."""

_BATCH_LABEL = b"irtf-cfrg-sigma-protocols/batch-verify"
_WEIGHT_SIZE = 16  # bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Equation:
    """prod elements[e]^c over `image` = prod elements[e]^(c x_s) over `terms`."""

    image: tuple[Image, ...]
    terms: tuple[Term, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Instance:
    """What is claimed: equations over elements of P-256, of which the first is the generator.

    Refused: an instance without equations, or with an empty side; indices out of range; elements
    nobody speaks of; gaps among the secrets; an element or an image that is the identity; a secret
    whose bases cancel out in each equation. The same relation written in another order is another
    instance, with other bytes.

    Attributes:
        relation: the same, compiled for the algebra of `evote._linear`.
    """

    elements: Elements
    equations: tuple[Equation, ...]
    relation: LinearRelation = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if self.elements.group != P256:
            raise GroupMismatch(f"{self.elements.group.name} in an instance over {P256.name}")
        if self.elements.ndim != 1 or not len(self.elements):
            raise ShapeMismatch(f"elements of shape {self.elements.shape}, not (n,)")
        if self.elements[0] != P256.generator:
            raise ParameterError("the first element is the generator")
        self._check_indices()
        if self.elements.is_identity().any():
            raise ParameterError("an element is the identity")
        images = tuple(
            self._combine([(e, c) for e, c in equation.image]) for equation in self.equations
        )
        if stack(images).is_identity().any():
            raise ParameterError("the image of an equation is the identity")
        count = 1 + max(s for equation in self.equations for s, _, _ in equation.terms)
        bases = tuple(
            tuple(self._base(equation, secret) for secret in range(count))
            for equation in self.equations
        )
        for secret in range(count):
            column = [row[secret] for row in bases]
            if all(base is None or bool(base.is_identity()) for base in column):
                raise ParameterError(f"the bases of secret {secret} are the identity")
        relation = LinearRelation(
            name="sigma", shape=(1,), common=(), rows=(), images=images, bases=bases
        )
        object.__setattr__(self, "relation", relation)

    def _check_indices(self) -> None:
        if not self.equations:
            raise ParameterError("an instance without equations")
        elements, secrets = set(), set()
        for equation in self.equations:
            if not equation.image or not equation.terms:
                raise ParameterError("an equation with an empty side")
            elements |= {e for e, _ in equation.image} | {e for _, e, _ in equation.terms}
            secrets |= {s for s, _, _ in equation.terms}
        count = len(self.elements)
        if not elements <= set(range(count)):
            raise ParameterError(f"an element beyond the {count} there are")
        if not elements >= set(range(1, count)):
            raise ParameterError("an element that no equation speaks of")
        if secrets != set(range(len(secrets))):
            raise ParameterError("secrets are numbered from 0 without gaps")

    def _combine(self, factors: Sequence[Image]) -> Elements:
        indices, coefficients = zip(*factors, strict=True)
        return P256.multiexp(self.elements.take(indices), P256.scalars(list(coefficients)))

    def _base(self, equation: Equation, secret: int) -> Elements | None:
        factors = [(e, c) for s, e, c in equation.terms if s == secret]
        return self._combine(factors) if factors else None

    def encode(self) -> bytes:
        """The bytes that are hashed."""
        pieces = [uint32(len(self.equations))]
        for equation in self.equations:
            pieces.append(uint32(len(equation.image)))
            for element, coefficient in equation.image:
                pieces += [uint32(element), P256.scalars(coefficient).encode()]
            pieces.append(uint32(len(equation.terms)))
            for secret, element, coefficient in equation.terms:
                pieces += [uint32(secret), uint32(element), P256.scalars(coefficient).encode()]
        return b"".join([*pieces, self.elements[1:].encode()])


class _Reader:
    """Fixed-width pieces of some bytes, one after the other."""

    def __init__(self, data: bytes, where: str) -> None:
        self.rest, self.where = data, where

    def take(self, size: int) -> bytes:
        if len(self.rest) < size:
            raise DecodingError("an instance that ends too early", where=self.where)
        piece, self.rest = self.rest[:size], self.rest[size:]
        return piece

    def integer(self) -> int:
        return int.from_bytes(self.take(4), "little")

    def count(self, size: int) -> int:
        """A number of items of `size` bytes each, no more than can follow."""
        number = self.integer()
        if number * size > len(self.rest):
            raise DecodingError("an instance that ends too early", where=self.where)
        return number

    def coefficient(self) -> int:
        scalar = P256.decode_scalars(self.take(P256.scalar_size), (), where=self.where)
        return int(scalar.to_ints())


def decode_instance(data: bytes, *, where: str = "instance") -> Instance:
    """Read what `Instance.encode` wrote; all of `data` is used.

    Raises:
        DecodingError: the bytes are no instance, or one that `Instance` refuses.
    """
    reader = _Reader(data, where)
    equations = []
    for _ in range(reader.count(8)):
        image = tuple(
            (reader.integer(), reader.coefficient())
            for _ in range(reader.count(4 + P256.scalar_size))
        )
        terms = tuple(
            (reader.integer(), reader.integer(), reader.coefficient())
            for _ in range(reader.count(8 + P256.scalar_size))
        )
        equations.append(Equation(image=image, terms=terms))
    others = P256.decode_elements(reader.rest, where=where)
    elements = concatenate([P256.generator.reshape((1,)), others])
    try:
        return Instance(elements=elements, equations=tuple(equations))
    except ParameterError as error:
        raise DecodingError(str(error), where=where) from None


def prove(
    instance: Instance,
    witness: Scalars,
    tag: bytes,
    *,
    compact: bool = False,
    rng: Rng | None = None,
) -> bytes:
    """A proof that the prover knows the secrets, shape (k,).

    Nonces are hedged: see `evote._linear`. They carry the secrets' own mark.
    """
    _check_witness(instance, witness)
    nonces = hedged_nonces(
        P256,
        witness.shape,
        max(witness.secrecy, Secrecy.ONE_TIME),
        secret=witness._secret_bytes(),
        public=[_session(tag, compact), instance.encode()],
        rng=rng,
    )
    return prove_with_nonces(instance, witness, nonces, tag, compact=compact)


def prove_with_nonces(
    instance: Instance, witness: Scalars, nonces: Scalars, tag: bytes, *, compact: bool = False
) -> bytes:
    """The proof under these nonces, shape (k,), for known answers: one that repeats gives all away.

    Raises:
        ShapeMismatch: secrets or nonces are not as many as the instance has.
        ParameterError: the tag does not name the flavour and the suite.
    """
    _check_witness(instance, witness)
    _check_witness(instance, nonces)
    commitments = _images(instance.relation, nonces)
    if commitments.is_identity().any():
        raise ParameterError("these nonces commit to the identity")
    challenge = _challenge(_session(tag, compact), instance, commitments)
    responses = (nonces + challenge * witness).publish()
    return (challenge if compact else commitments).encode() + responses.encode()


def verify(
    instance: Instance, proof: bytes, tag: bytes, *, compact: bool = False, where: str = "proof"
) -> None:
    """Check one proof.

    Raises:
        DecodingError: the proof has another length, or is not canonical.
        InvalidProof: it does not hold.
        ParameterError: the tag does not name the flavour and the suite.
    """
    if not compact:
        verify_all([instance], [proof], [tag], where=where)
        return
    session, relation = _session(tag, compact), instance.relation
    width = P256.scalar_size
    _check_length(proof, width * (1 + relation.secrets), where)
    scalars = P256.decode_scalars(proof, where=where)
    challenge, responses = scalars[0], scalars[1:]
    commitments = _images(relation, responses) / stack(relation.images) ** challenge
    holds = not commitments.is_identity().any() and challenge == _challenge(
        session, instance, commitments
    )
    InvalidProof.unless(np.array([holds]), "sigma")


def verify_all(
    instances: Sequence[Instance],
    proofs: Sequence[bytes],
    tags: Sequence[bytes],
    *,
    where: str = "proofs",
) -> None:
    """Check batchable proofs of any instances at once, by one multi-exponentiation.

    The weights are the draft's: 128 bits for each equation, from a hash of all instances and all
    proofs, responses included. If the whole is false, each proof is checked alone.

    Raises:
        ShapeMismatch: not as many instances as proofs and tags.
        DecodingError: a proof has another length, or is not canonical.
        InvalidProof: some do not hold; `indices` lists them.
        ParameterError: a tag does not name the flavour and the suite.
    """
    if not len(instances) == len(proofs) == len(tags):
        raise ShapeMismatch(f"{len(instances)} instances, {len(proofs)} proofs, {len(tags)} tags")
    sponge = Sponge(derive_session_id(_BATCH_LABEL))
    decoded, challenges = [], []
    for i, (instance, proof, tag) in enumerate(zip(instances, proofs, tags, strict=True)):
        session = _session(tag, compact=False)
        parts = _decode_batchable(instance, proof, where if len(proofs) == 1 else f"{where}[{i}]")
        challenges.append(_challenge(session, instance, parts.commitments))
        decoded.append(parts)
        sponge.absorb(session + instance.encode() + proof)
    bases: list[Elements] = [P256.identity((0,))]
    exponents: list[Scalars] = [P256.scalars([])]
    for instance, parts, challenge in zip(instances, decoded, challenges, strict=True):
        data = [sponge.squeeze(_WEIGHT_SIZE) for _ in instance.equations]
        weights = [int.from_bytes(piece, "little") for piece in data]
        bases += [parts.commitments.reshape((-1,)), instance.elements]
        exponents += [P256.scalars(weights), _exponents(instance, parts, challenge, weights)]
    if P256.multiexp(concatenate(bases), concatenate(exponents)).is_identity():
        return
    alone = [
        linear_holds(instance, parts, challenge.reshape((1,)))
        for instance, parts, challenge in zip(instances, decoded, challenges, strict=True)
    ]
    InvalidProof.unless(np.concatenate(alone), "sigma")


def _exponents(
    instance: Instance, proof: LinearProof, challenge: Scalars, weights: Sequence[int]
) -> Scalars:
    """Of each element in prod (image_i^challenge / prod bases^z)^weight_i."""
    c, z = challenge.to_ints(), proof.responses.reshape((-1,)).to_ints()
    totals = [0] * len(instance.elements)
    for equation, weight in zip(instance.equations, weights, strict=True):
        for element, coefficient in equation.image:
            totals[element] += weight * c * coefficient
        for secret, element, coefficient in equation.terms:
            totals[element] -= weight * z[secret] * coefficient
    return P256.scalars(totals)


def _decode_batchable(instance: Instance, proof: bytes, where: str) -> LinearProof:
    m, k = len(instance.equations), instance.relation.secrets
    size = m * P256.element_size
    _check_length(proof, size + k * P256.scalar_size, where)
    return LinearProof(
        commitments=P256.decode_elements(proof[:size], (1, m), where=where),
        responses=P256.decode_scalars(proof[size:], (1, k), where=where),
    )


def _check_length(proof: bytes, size: int, where: str) -> None:
    if len(proof) != size:
        raise DecodingError(f"a proof of {size} bytes expected, got {len(proof)}", where=where)


def _check_witness(instance: Instance, scalars: Scalars) -> None:
    if scalars.group != P256:
        raise GroupMismatch(f"scalars of {scalars.group.name} for an instance over {P256.name}")
    if scalars.shape != (instance.relation.secrets,):
        raise ShapeMismatch(f"{instance.relation.secrets} scalars expected, got {scalars.shape}")


def _images(relation: LinearRelation, scalars: Scalars) -> Elements:
    """prod bases^x of each equation, shape (m,)."""
    rows = []
    for bases in relation.bases:
        powers = [base ** scalars[s] for s, base in enumerate(bases) if base is not None]
        rows.append(stack(powers).prod())
    return stack(rows)


def _session(tag: bytes, compact: bool) -> bytes:
    flavour = b"CMPT" if compact else b"DSFS"
    if flavour not in tag or SUITE not in tag:
        raise ParameterError(f"a tag holds {flavour.decode()} and {SUITE.decode()}")
    return derive_session_id(tag)


def _challenge(session: bytes, instance: Instance, commitments: Elements) -> Scalars:
    sponge = Sponge(session)
    sponge.absorb(instance.encode())
    sponge.absorb(commitments.encode())
    return P256.scalars(decode_uint(sponge.squeeze(P256.scalar_size + 16), P256.order))
