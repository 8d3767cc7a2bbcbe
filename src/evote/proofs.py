"""Sigma protocols: proofs of discrete logs, decryption, plaintexts, and one-of-many.

    SchnorrStatement             publics = base ** secrets
    EqualLogsStatement           publics[..., j] = bases[..., j] ** secrets for all j
    DecryptionStatement          shares = alphas ** x, where public = g ** x; a proof per share
    SharesStatement              the same with one proof for all shares
    PlaintextKnowledgeStatement  the prover knows the nonces, hence the messages, of ciphertexts
    PlaintextEqualityStatement   two ciphertexts, under any two keys, hold the same message
    OneOfStatement               exponents of ciphertexts stand in a short public list: 0 or 1,
                                 a range, a range of sums, a blank ballot or a range

Each has `prove_x(statement, witness, transcript)` and `verify_x(statement, proof, transcript)`;
verifiers return None or raise `InvalidProof` with the indices that fail. The caller creates the
transcript and binds it to the election and the place; both sides then append the same things in
the same order (docs/proofs.md lists them). Statements are arrays of any shape; each claim has its
own challenge, which hashes its place in the array too.

Zero-knowledge and sound in the random oracle model, if discrete logs are hard. Nonces are hedged:
see `hedged_nonces`. Not promised: Python integers are not constant-time.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import prod
from typing import TypeAlias

from evote._batch import Equations, Relation, Term, verify_batch
from evote._linear import (
    LinearClaim,
    LinearProof,
    LinearRelation,
    decode_linear,
    linear_challenges,
    linear_equations,
    linear_holds,
    prove_linear,
    verify_linear,
)
from evote._one_of import (
    OneOfProof,
    OneOfState,
    OneOfStatement,
    OneOfWitness,
    commit_one_of,
    decode_each_one_of,
    decode_one_of,
    one_of_equations,
    one_of_holds,
    prove_one_of,
    respond_one_of,
    verify_one_of,
)
from evote.elgamal import Ciphertexts, PublicKey, stack_ciphertexts
from evote.errors import GroupMismatch, ParameterError, ShapeMismatch
from evote.groups import Elements, Group, Rng, Scalars, stack
from evote.transcript import Transcript

__all__ = [
    "DecryptionStatement",
    "DecryptionWitness",
    "EqualLogsProof",
    "EqualLogsStatement",
    "EqualLogsWitness",
    "Equations",
    "LinearClaim",
    "LinearProof",
    "LinearRelation",
    "OneOfProof",
    "OneOfState",
    "OneOfStatement",
    "OneOfWitness",
    "PlaintextEqualityStatement",
    "PlaintextEqualityWitness",
    "PlaintextKnowledgeStatement",
    "PlaintextKnowledgeWitness",
    "Relation",
    "SchnorrProof",
    "SchnorrStatement",
    "SchnorrWitness",
    "SharesProof",
    "SharesStatement",
    "SharesWitness",
    "Term",
    "blank_or_sum",
    "commit_one_of",
    "decode_decryption",
    "decode_each_one_of",
    "decode_equal_logs",
    "decode_linear",
    "decode_one_of",
    "decode_plaintext_equality",
    "decode_plaintext_knowledge",
    "decode_schnorr",
    "decode_shares",
    "integer_in_range",
    "linear_challenges",
    "linear_equations",
    "linear_holds",
    "one_of_equations",
    "one_of_holds",
    "prove_decryption",
    "prove_equal_logs",
    "prove_linear",
    "prove_one_of",
    "prove_plaintext_equality",
    "prove_plaintext_knowledge",
    "prove_schnorr",
    "prove_shares",
    "respond_one_of",
    "verify_batch",
    "verify_decryption",
    "verify_equal_logs",
    "verify_linear",
    "verify_one_of",
    "verify_plaintext_equality",
    "verify_plaintext_knowledge",
    "verify_schnorr",
    "verify_shares",
    "zero_or_one",
]

# All proofs of linear relations have one form: commitments (..., m) and responses (..., k).
SchnorrProof: TypeAlias = LinearProof  # m = k = 1
EqualLogsProof: TypeAlias = LinearProof  # m = w, k = 1
SharesProof: TypeAlias = LinearProof  # shape (), m = 2, k = 1

_Shape: TypeAlias = tuple[int, ...]


def _flat(array: Elements) -> Elements:
    return array.reshape((array.size,))


# -- knowledge of discrete logs ------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class SchnorrStatement:
    """Claim: the prover knows the secrets of publics = base ** secrets. Any shape."""

    base: Elements
    publics: Elements

    def __post_init__(self) -> None:
        if self.base.shape != ():
            raise ShapeMismatch(f"one base expected, got shape {self.base.shape}")

    @property
    def relation(self) -> LinearRelation:
        publics = _flat(self.publics)
        return LinearRelation(
            name="Schnorr",
            shape=self.publics.shape,
            common=((b"base", self.base),),
            rows=(publics,),
            images=(publics,),
            bases=((self.base,),),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SchnorrWitness:
    """The logarithms, of the statement's shape."""

    secrets: Scalars = field(repr=False)


def prove_schnorr(
    statement: SchnorrStatement,
    witness: SchnorrWitness,
    transcript: Transcript,
    *,
    rng: Rng | None = None,
) -> SchnorrProof:
    """Prove knowledge of discrete logs. Cost: 1 power each."""
    return prove_linear(statement, _column(witness.secrets), transcript, rng=rng)


def verify_schnorr(
    statement: SchnorrStatement, proof: SchnorrProof, transcript: Transcript
) -> None:
    """Check knowledge of discrete logs; raises as `verify_linear`.

    Reference: "Efficient identification and signatures for smart cards" (CRYPTO 1989).
    """
    verify_linear(statement, proof, transcript)


def decode_schnorr(group: Group, data: bytes, shape: _Shape, *, where: str = "") -> SchnorrProof:
    """Read a proof for publics of `shape`."""
    return decode_linear(group, data, shape, 1, 1, where=where)


def _column(secrets: Scalars) -> Scalars:
    return secrets.reshape((*secrets.shape, 1))


# -- equality of discrete logs -------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class EqualLogsStatement:
    """Claim: publics[..., j] = bases[..., j] ** secrets for every j; shapes (..., w) both."""

    bases: Elements
    publics: Elements

    def __post_init__(self) -> None:
        if self.bases.shape != self.publics.shape or not self.bases.ndim:
            raise ShapeMismatch(f"bases {self.bases.shape} and publics {self.publics.shape}")
        if self.bases.shape[-1] == 0:
            raise ShapeMismatch("equality of no logs")

    @property
    def relation(self) -> LinearRelation:
        shape, width = self.publics.shape[:-1], self.publics.shape[-1]
        bases, publics = (a.reshape((prod(shape), width)) for a in (self.bases, self.publics))
        return LinearRelation(
            name="equal logs",
            shape=shape,
            common=(),
            rows=(bases, publics),
            images=tuple(publics[:, j] for j in range(width)),
            bases=tuple((bases[:, j],) for j in range(width)),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class EqualLogsWitness:
    """The logarithms, shape (...)."""

    secrets: Scalars = field(repr=False)


def prove_equal_logs(
    statement: EqualLogsStatement,
    witness: EqualLogsWitness,
    transcript: Transcript,
    *,
    rng: Rng | None = None,
) -> EqualLogsProof:
    """Prove equality of discrete logs. Cost: w powers each."""
    return prove_linear(statement, _column(witness.secrets), transcript, rng=rng)


def verify_equal_logs(
    statement: EqualLogsStatement, proof: EqualLogsProof, transcript: Transcript
) -> None:
    """Check equality of discrete logs; raises as `verify_linear`.

    Reference: "Wallet databases with observers" (CRYPTO 1992).
    """
    verify_linear(statement, proof, transcript)


def decode_equal_logs(
    group: Group, data: bytes, shape: _Shape, *, where: str = ""
) -> EqualLogsProof:
    """Read a proof for publics of `shape` = (..., w)."""
    return decode_linear(group, data, shape[:-1], shape[-1], 1, where=where)


# -- correct decryption --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class DecryptionStatement:
    """Claim: shares = alphas ** x for the x of public = g ** x; a proof for each, any shape.

    It speaks of shares, never of plaintexts: those follow by division, and nobody can choose them.
    """

    public: Elements
    alphas: Elements
    shares: Elements

    def __post_init__(self) -> None:
        _check_shares(self.public, self.alphas, self.shares)

    @property
    def relation(self) -> LinearRelation:
        alphas, shares = _flat(self.alphas), _flat(self.shares)
        return LinearRelation(
            name="decryption",
            shape=self.alphas.shape,
            common=((b"public", self.public),),
            rows=(alphas, shares),
            images=(self.public, shares),
            bases=((self.public.group.generator,), (alphas,)),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class DecryptionWitness:
    """The exponent x, shape ()."""

    secret: Scalars = field(repr=False)


def prove_decryption(
    statement: DecryptionStatement,
    witness: DecryptionWitness,
    transcript: Transcript,
    *,
    rng: Rng | None = None,
) -> LinearProof:
    """Prove each share. Cost: 2 constant-time powers each."""
    secrets = witness.secret.broadcast_to((*statement.alphas.shape, 1))
    return prove_linear(statement, secrets, transcript, rng=rng)


def verify_decryption(
    statement: DecryptionStatement, proof: LinearProof, transcript: Transcript
) -> None:
    """Check each share; raises as `verify_linear`."""
    verify_linear(statement, proof, transcript)


def decode_decryption(group: Group, data: bytes, shape: _Shape, *, where: str = "") -> LinearProof:
    """Read a proof for shares of `shape`."""
    return decode_linear(group, data, shape, 2, 1, where=where)


def _check_shares(public: Elements, alphas: Elements, shares: Elements) -> None:
    if public.shape != ():
        raise ShapeMismatch(f"one public key expected, got shape {public.shape}")
    if alphas.shape != shares.shape:
        raise ShapeMismatch(f"alphas {alphas.shape} and shares {shares.shape}")
    if not public.group == alphas.group == shares.group:
        raise GroupMismatch("key, alphas and shares are of different groups")


# -- many shares, one proof ----------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class SharesStatement:
    """Claim: shares = alphas ** x for the x of public = g ** x; one proof for all, shape (n,)."""

    public: Elements
    alphas: Elements
    shares: Elements

    def __post_init__(self) -> None:
        _check_shares(self.public, self.alphas, self.shares)
        if self.alphas.ndim != 1:
            raise ShapeMismatch(f"alphas of shape (n,) expected, got {self.alphas.shape}")


@dataclass(frozen=True, slots=True, kw_only=True)
class SharesWitness:
    """The exponent x, shape ()."""

    secret: Scalars = field(repr=False)


def prove_shares(
    statement: SharesStatement,
    witness: SharesWitness,
    transcript: Transcript,
    *,
    rng: Rng | None = None,
) -> SharesProof:
    """Prove all shares at once. Cost: n multiexp terms of 128 bits, 3 constant-time powers."""
    claim = _combined(statement, transcript, witness.secret)
    return prove_linear(claim, witness.secret.reshape((1,)), transcript, rng=rng)


def verify_shares(statement: SharesStatement, proof: SharesProof, transcript: Transcript) -> None:
    """Check that all shares are right. Cost: 2 n multiexp terms of 128 bits.

    Sound up to 2^-128 for the weights, which are drawn after all shares are absorbed. n = 0 is
    allowed: the proof then says that the key's exponent is known.

    Raises:
        ShapeMismatch, GroupMismatch: statement and proof do not fit.
        InvalidProof: some share is wrong, or the proof is; it cannot say which share.
    """
    verify_linear(_combined(statement, transcript), proof, transcript)


def decode_shares(group: Group, data: bytes, *, where: str = "") -> SharesProof:
    """Read a proof of any number of shares.

    A commitment may be the identity here: it is where all alphas are, as for sums of nothing.
    """
    return decode_linear(group, data, (), 2, 1, allow_identity=True, where=where)


@dataclass(frozen=True, slots=True, kw_only=True)
class _CombinedShares:
    relation: LinearRelation


def _combined(
    statement: SharesStatement, transcript: Transcript, secret: Scalars | None = None
) -> _CombinedShares:
    """Claim: prod shares^w = (prod alphas^w)^x, for weights w that hash the whole statement.

    Who knows x computes the left side from the right.
    """
    group = statement.public.group
    transcript.append_elements(b"public", statement.public)
    transcript.append_elements(b"alphas", statement.alphas)
    transcript.append_elements(b"shares", statement.shares)
    weights = transcript.weights(b"weights", statement.alphas.shape)
    if secret is None:
        pairs = stack([statement.alphas, statement.shares])
        products = group.multiexp(pairs, weights, axis=1)
        alpha, share = products[0], products[1]
    else:
        alpha = group.multiexp(statement.alphas, weights)
        share = alpha**secret
    relation = LinearRelation(
        name="decryption shares",
        shape=(),
        common=(),
        rows=(),
        images=(statement.public, share),
        bases=((group.generator,), (alpha,)),
    )
    return _CombinedShares(relation=relation)


# -- plaintexts ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaintextKnowledgeStatement:
    """Claim: the prover knows the nonces of the ciphertexts, hence their messages. Any shape.

    Key and beta are in no equation and are hashed: a proof moved to another message fails.
    """

    key: PublicKey
    ciphertexts: Ciphertexts

    @property
    def relation(self) -> LinearRelation:
        alpha, beta = _flat(self.ciphertexts.alpha), _flat(self.ciphertexts.beta)
        return LinearRelation(
            name="plaintext knowledge",
            shape=self.ciphertexts.shape,
            common=((b"key", self.key.element),),
            rows=(alpha, beta),
            images=(alpha,),
            bases=((self.key.group.generator,),),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaintextKnowledgeWitness:
    """The nonces, of the statement's shape."""

    nonces: Scalars = field(repr=False)


def prove_plaintext_knowledge(
    statement: PlaintextKnowledgeStatement,
    witness: PlaintextKnowledgeWitness,
    transcript: Transcript,
    *,
    rng: Rng | None = None,
) -> LinearProof:
    """Prove knowledge of plaintexts. Cost: 1 fixed-base power each."""
    return prove_linear(statement, _column(witness.nonces), transcript, rng=rng)


def verify_plaintext_knowledge(
    statement: PlaintextKnowledgeStatement, proof: LinearProof, transcript: Transcript
) -> None:
    """Check knowledge of plaintexts; raises as `verify_linear`."""
    verify_linear(statement, proof, transcript)


def decode_plaintext_knowledge(
    group: Group, data: bytes, shape: _Shape, *, where: str = ""
) -> LinearProof:
    """Read a proof for ciphertexts of `shape`."""
    return decode_linear(group, data, shape, 1, 1, where=where)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaintextEqualityStatement:
    """Claim: first[i] under first_key and second[i] under second_key hold one message. Any shape.

    The prover knows the nonces of both; the keys may be the same.
    """

    first_key: PublicKey
    first: Ciphertexts
    second_key: PublicKey
    second: Ciphertexts

    def __post_init__(self) -> None:
        if self.first.shape != self.second.shape:
            raise ShapeMismatch(f"ciphertexts {self.first.shape} and {self.second.shape}")

    @property
    def relation(self) -> LinearRelation:
        a1, b1 = _flat(self.first.alpha), _flat(self.first.beta)
        a2, b2 = _flat(self.second.alpha), _flat(self.second.beta)
        g, y1, y2 = self.first_key.group.generator, self.first_key.element, self.second_key.element
        return LinearRelation(
            name="plaintext equality",
            shape=self.first.shape,
            common=((b"first key", y1), (b"second key", y2)),
            rows=(a1, b1, a2, b2),
            # alpha_1 = g^r_1,  alpha_2 = g^r_2,  beta_1 / beta_2 = y_1^r_1 (1 / y_2)^r_2
            images=(a1, a2, b1 / b2),
            bases=((g, None), (None, g), (y1, y2.inverse())),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaintextEqualityWitness:
    """The nonces of both ciphertexts, of the statement's shape."""

    first_nonces: Scalars = field(repr=False)
    second_nonces: Scalars = field(repr=False)


def prove_plaintext_equality(
    statement: PlaintextEqualityStatement,
    witness: PlaintextEqualityWitness,
    transcript: Transcript,
    *,
    rng: Rng | None = None,
) -> LinearProof:
    """Prove equality of plaintexts. Cost: 4 fixed-base powers each."""
    secrets = stack([witness.first_nonces, witness.second_nonces], axis=-1)
    return prove_linear(statement, secrets, transcript, rng=rng)


def verify_plaintext_equality(
    statement: PlaintextEqualityStatement, proof: LinearProof, transcript: Transcript
) -> None:
    """Check equality of plaintexts; raises as `verify_linear`."""
    verify_linear(statement, proof, transcript)


def decode_plaintext_equality(
    group: Group, data: bytes, shape: _Shape, *, where: str = ""
) -> LinearProof:
    """Read a proof for pairs of `shape`."""
    return decode_linear(group, data, shape, 3, 2, where=where)


# -- lists of allowed values ---------------------------------------------------------------------


def zero_or_one(key: PublicKey, ciphertexts: Ciphertexts) -> OneOfStatement:
    """Claim: each ciphertext, of any shape, encrypts 0 or 1. Branch v is the value v."""
    return integer_in_range(key, ciphertexts, 0, 1)


def integer_in_range(
    key: PublicKey, ciphertexts: Ciphertexts, low: int, high: int
) -> OneOfStatement:
    """Claim: each ciphertext, of any shape, encrypts one of low..high. Branch j is low + j.

    For the sum of selections, pass the product of their ciphertexts.
    """
    if not low <= high:
        raise ParameterError(f"no integer from {low} to {high}")
    values = [[v] for v in range(low, high + 1)]
    return OneOfStatement(
        key=key, ciphertexts=ciphertexts.reshape((*ciphertexts.shape, 1)), values=values
    )


def blank_or_sum(
    key: PublicKey, blanks: Ciphertexts, sums: Ciphertexts, low: int, high: int
) -> OneOfStatement:
    """Claim: (blank, sum) is (1, 0), or (0, s) with s in low..high; arrays of one shape.

    Branch 0 is the blank, branch 1 + j the sum low + j.
    """
    if not 0 <= low <= high:
        raise ParameterError(f"no sum from {low} to {high}")
    pairs = stack_ciphertexts([blanks, sums], axis=-1)
    values = [[1, 0], *([0, s] for s in range(low, high + 1))]
    return OneOfStatement(key=key, ciphertexts=pairs, values=values)
