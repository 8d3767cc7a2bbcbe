"""Every proof: completeness, every field changed, forgeries, batches; attacks A1 to A11 and G12."""

from __future__ import annotations

import dataclasses
import hashlib
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from evote._batch import Product
from evote._forms import to_rows
from evote.elgamal import (
    Ciphertexts,
    PublicKey,
    encrypt_exponential,
    encrypt_exponential_with_nonces,
    key_from_exponent,
)
from evote.errors import (
    DecodingError,
    EvoteError,
    GroupMismatch,
    InvalidProof,
    ParameterError,
    ShapeMismatch,
)
from evote.groups import (
    Elements,
    Group,
    Scalars,
    Secrecy,
    concatenate,
    modp_group,
    named_group,
    ristretto255,
    stack,
)
from evote.proofs import (
    DecryptionStatement,
    DecryptionWitness,
    EqualLogsStatement,
    EqualLogsWitness,
    Equations,
    LinearProof,
    OneOfProof,
    OneOfStatement,
    OneOfWitness,
    PlaintextEqualityStatement,
    PlaintextEqualityWitness,
    PlaintextKnowledgeStatement,
    PlaintextKnowledgeWitness,
    SchnorrStatement,
    SchnorrWitness,
    SharesStatement,
    SharesWitness,
    blank_or_sum,
    commit_one_of,
    decode_decryption,
    decode_each_one_of,
    decode_equal_logs,
    decode_one_of,
    decode_plaintext_equality,
    decode_plaintext_knowledge,
    decode_schnorr,
    decode_shares,
    integer_in_range,
    linear_challenges,
    linear_equations,
    linear_holds,
    one_of_equations,
    one_of_holds,
    prove_decryption,
    prove_equal_logs,
    prove_one_of,
    prove_plaintext_equality,
    prove_plaintext_knowledge,
    prove_schnorr,
    prove_shares,
    respond_one_of,
    verify_batch,
    verify_decryption,
    verify_equal_logs,
    verify_one_of,
    verify_plaintext_equality,
    verify_plaintext_knowledge,
    verify_schnorr,
    verify_shares,
    zero_or_one,
)
from evote.testing import tamper
from evote.transcript import Transcript

TINY = modp_group(23, 11, 4, allow_weak=True)
MODP = named_group("belenios-2048")
KINDS = (
    "schnorr",
    "equal logs",
    "decryption",
    "shares",
    "plaintext knowledge",
    "plaintext equality",
    "zero or one",
    "range",
    "blank or sum",
)


def seeded(seed: bytes) -> Callable[[int], bytes]:
    """A reproducible source: tests that depend on chance log their seed by being it."""
    count = 0

    def draw(size: int) -> bytes:
        nonlocal count
        count += 1
        return hashlib.shake_256(seed + count.to_bytes(4, "little")).digest(size)

    return draw


@dataclasses.dataclass
class Case:
    """A statement, its honest proof, and how to check, write and read it."""

    group: Group
    statement: Any
    witness: Any
    prove: Callable[..., Any]
    verify: Callable[..., None]
    decode: Callable[[bytes], Any]
    flavour: bytes = b"DSFS"

    def transcript(self, purpose: bytes = b"test", place: bytes = b"here") -> Transcript:
        transcript = Transcript(purpose, self.group, flavour=self.flavour)
        transcript.append(b"place", place)
        return transcript

    def proof(self) -> Any:
        return self.prove(self.statement, self.witness, self.transcript())

    def check(self, proof: Any, statement: Any = None, **context: bytes) -> None:
        claim = self.statement if statement is None else statement
        self.verify(claim, proof, self.transcript(**context))


def make(kind: str, group: Group, shape: tuple[int, ...], rng: Any = None) -> Case:
    """An honest case of any kind; exponents are small multiples where the group is tiny."""
    g = group.generator
    size = int(np.prod(shape, dtype=int))

    def draw(*more: int, secrecy: Secrecy = Secrecy.ONE_TIME) -> Scalars:
        return group.random_scalars((*shape, *more), secrecy=secrecy, rng=rng)

    key = key_from_exponent(group.scalars(7)).public
    if kind == "schnorr":
        x = draw(secrecy=Secrecy.LONG_TERM)
        return Case(
            group,
            SchnorrStatement(base=g, publics=g**x),
            SchnorrWitness(secrets=x),
            prove_schnorr,
            verify_schnorr,
            lambda data: decode_schnorr(group, data, shape),
        )
    if kind == "equal logs":
        x, bases = draw(), g ** draw(3).publish()
        return Case(
            group,
            EqualLogsStatement(bases=bases, publics=bases ** x[..., None]),
            EqualLogsWitness(secrets=x),
            prove_equal_logs,
            verify_equal_logs,
            lambda data: decode_equal_logs(group, data, (*shape, 3)),
        )
    if kind in ("decryption", "shares"):
        secret = group.scalars(5, secrecy=Secrecy.LONG_TERM)
        alphas = g ** draw().publish()
        if kind == "decryption":
            return Case(
                group,
                DecryptionStatement(public=g**secret, alphas=alphas, shares=alphas**secret),
                DecryptionWitness(secret=secret),
                prove_decryption,
                verify_decryption,
                lambda data: decode_decryption(group, data, shape),
            )
        flat = alphas.reshape((size,))
        return Case(
            group,
            SharesStatement(public=g**secret, alphas=flat, shares=flat**secret),
            SharesWitness(secret=secret),
            prove_shares,
            verify_shares,
            lambda data: decode_shares(group, data),
        )
    if kind == "plaintext knowledge":
        r = draw()
        c = encrypt_exponential_with_nonces(key, draw(), r)
        return Case(
            group,
            PlaintextKnowledgeStatement(key=key, ciphertexts=c),
            PlaintextKnowledgeWitness(nonces=r),
            prove_plaintext_knowledge,
            verify_plaintext_knowledge,
            lambda data: decode_plaintext_knowledge(group, data, shape),
        )
    if kind == "plaintext equality":
        v, r1, r2 = draw(), draw(), draw()
        other = key_from_exponent(group.scalars(3)).public
        return Case(
            group,
            PlaintextEqualityStatement(
                first_key=key,
                first=encrypt_exponential_with_nonces(key, v, r1),
                second_key=other,
                second=encrypt_exponential_with_nonces(other, v, r2),
            ),
            PlaintextEqualityWitness(first_nonces=r1, second_nonces=r2),
            prove_plaintext_equality,
            verify_plaintext_equality,
            lambda data: decode_plaintext_equality(group, data, shape),
        )
    if kind == "blank or sum":
        branches = np.arange(size).reshape(shape) % 4
        blank, total = (branches == 0).astype(int), np.array([0, 1, 2, 3])[branches]
        r1, r2 = draw(), draw()
        blanks = encrypt_exponential_with_nonces(key, group.scalars(blank), r1)
        sums = encrypt_exponential_with_nonces(key, group.scalars(total), r2)
        statement = blank_or_sum(key, blanks, sums, 1, 3)
        nonces, width = stack([r1, r2], axis=-1), 2
    else:
        low, high = (0, 1) if kind == "zero or one" else (2, 4)
        branches = np.arange(size).reshape(shape) % (high - low + 1)
        r = draw()
        c = encrypt_exponential_with_nonces(key, group.scalars(branches + low), r)
        statement = (
            zero_or_one(key, c) if kind == "zero or one" else integer_in_range(key, c, low, high)
        )
        nonces, width = r.reshape((*shape, 1)), 1
    return Case(
        group,
        statement,
        OneOfWitness(nonces=nonces, branches=branches),
        prove_one_of,
        verify_one_of,
        lambda data: decode_one_of(group, data, shape, statement.branches, width=width),
        flavour=b"CDS",
    )


# -- completeness --------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [(), (0,), (1,), (3,), (2, 3), (2, 0)], ids=str)
@pytest.mark.parametrize("group", [ristretto255, TINY], ids=lambda g: g.name)
def test_honest_proofs_verify(kind: str, shape: tuple[int, ...], group: Group) -> None:
    case = make(kind, group, shape)
    proof = case.proof()
    case.check(proof)
    if group is not TINY:  # there the identity is a likely commitment, and is refused
        assert case.decode(proof.encode()) == proof


@pytest.mark.parametrize("kind", KINDS)
def test_honest_proofs_verify_on_every_backend(kind: str, group: Group) -> None:
    case = make(kind, group, (2,))
    case.check(case.proof())


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(KINDS), st.integers(0, 5), st.binary(min_size=1, max_size=8))
def test_completeness_in_a_tiny_group(kind: str, n: int, seed: bytes) -> None:
    case = make(kind, TINY, (n,), seeded(seed))
    case.check(case.prove(case.statement, case.witness, case.transcript(), rng=seeded(seed)))


@pytest.mark.parametrize("group", [ristretto255, MODP], ids=lambda g: g.name)
def test_soak(group: Group) -> None:
    """attacks: G12. Hundreds of proofs, among them values whose encodings start with a zero."""
    rng = seeded(b"soak of test_proofs, 1")
    schnorr = make("schnorr", group, (300,), rng)
    proof = schnorr.prove(schnorr.statement, schnorr.witness, schnorr.transcript(), rng=rng)
    width, data = group.scalar_size, proof.responses.encode()
    first = 0 if group is MODP else width - 1  # the most significant byte of a scalar
    assert 0 in data[first::width]
    for part in range(6):
        piece = slice(50 * part, 50 * part + 50)
        statement = SchnorrStatement(base=group.generator, publics=schnorr.statement.publics[piece])
        witness = SchnorrWitness(secrets=schnorr.witness.secrets[piece])
        made = prove_schnorr(statement, witness, schnorr.transcript(), rng=rng)
        read = decode_schnorr(group, made.encode(), (50,))
        verify_schnorr(statement, read, schnorr.transcript())
    for kind in KINDS[1:] if group is ristretto255 else ():
        case = make(kind, group, (40,), rng)
        for _ in range(2):
            case.check(case.decode(case.proof().encode()))


# -- tampering -----------------------------------------------------------------------------------


def expected_indices(where: str, count: int) -> tuple[int, ...]:
    """The proof whose row was changed; all of them if all share what was changed."""
    row = re.search(r"\[(\d+)", where)
    return tuple(range(count)) if row is None or ".values" in where else (int(row[1]),)


@pytest.mark.parametrize("kind", KINDS)
def test_every_field_matters(kind: str) -> None:
    """A change in statement or proof is refused, and the right proof is named."""
    case = make(kind, ristretto255, (3,))
    proof = case.proof()
    case.check(proof)
    count = 1 if kind == "shares" else 3
    seen = set()
    for value, name in ((case.statement, "statement"), (proof, "proof")):
        for where, forged in tamper.each_field(value, name):
            with pytest.raises(InvalidProof) as caught:
                case.check(forged) if name == "proof" else case.check(proof, forged)
            indices = (0,) if kind == "shares" else expected_indices(where, count)
            assert caught.value.indices == indices, where
            seen.add(where.split("[")[0])
    assert len(seen) >= 4


@pytest.mark.parametrize("kind", KINDS)
def test_every_field_matters_modulo_p(kind: str) -> None:
    case = make(kind, MODP, (1,))
    proof = case.proof()
    case.check(proof)
    for _, forged in tamper.each_field(case.statement):
        with pytest.raises(InvalidProof):
            case.check(proof, forged)
    for _, forged in tamper.each_field(proof):
        with pytest.raises(InvalidProof):
            case.check(forged)


@pytest.mark.parametrize("kind", KINDS)
def test_every_absorbed_item_matters(kind: str) -> None:
    """attacks: A3. The same statement and proof under another context."""
    case = make(kind, ristretto255, (2,))
    proof = case.proof()
    case.check(proof)
    everyone = (0,) if kind == "shares" else (0, 1)
    for context in ({"purpose": b"other"}, {"place": b"there"}, {"place": b""}):
        with pytest.raises(InvalidProof) as caught:
            case.check(proof, **context)
        assert caught.value.indices == everyone
    other = dataclasses.replace(case, flavour=b"CDS" if case.flavour == b"DSFS" else b"DSFS")
    with pytest.raises(InvalidProof):
        other.check(proof)
    later = case.transcript()
    later.append(b"more", b"")
    with pytest.raises(InvalidProof):
        case.verify(case.statement, proof, later)


@pytest.mark.parametrize("kind", KINDS)
def test_transcripts_go_on_alike(kind: str) -> None:
    """Prover and verifier leave the same transcript behind; it holds the responses."""
    case = make(kind, ristretto255, (2,))
    prover, verifier = case.transcript(), case.transcript()
    proof = case.prove(case.statement, case.witness, prover)
    case.verify(case.statement, proof, verifier)
    assert prover.squeeze(b"end", 32) == verifier.squeeze(b"end", 32)


def pick(value: Any, key: Any) -> Any:
    """The rows `key` of every array inside a statement or proof."""
    if isinstance(value, Elements | Scalars):
        return value[key] if value.ndim else value
    if isinstance(value, PublicKey):
        return value
    changes = {
        field.name: pick(getattr(value, field.name), key)
        for field in dataclasses.fields(value)
        if field.name != "values"
    }
    return dataclasses.replace(value, **changes)


@pytest.mark.parametrize("kind", [k for k in KINDS if k != "shares"])
def test_swapped_dropped_and_extra_proofs(kind: str) -> None:
    """attacks: A10, A11"""
    case = make(kind, ristretto255, (4,))
    proof = case.proof()
    with pytest.raises(InvalidProof) as caught:
        case.check(pick(proof, [0, 3, 2, 1]))
    assert caught.value.indices == (1, 3)
    for rows in ([0, 1, 2], [], [0, 1, 2, 3, 3]):
        with pytest.raises(ShapeMismatch):
            case.check(pick(proof, rows))
        with pytest.raises(ShapeMismatch):
            case.check(proof, pick(case.statement, rows))
    with pytest.raises(InvalidProof) as caught:  # statement and proof cut together
        case.check(pick(proof, slice(3)), pick(case.statement, slice(3)))
    assert caught.value.indices == (0, 1, 2)
    with pytest.raises(InvalidProof) as caught:  # moved together to other places
        case.check(pick(proof, [0, 3, 2, 1]), pick(case.statement, [0, 3, 2, 1]))
    assert caught.value.indices == (1, 3)


def test_dropped_and_extra_shares() -> None:
    """attacks: A10, A11"""
    case = make("shares", ristretto255, (4,))
    proof = case.proof()
    for rows in ([0, 1, 2], [0, 1, 3, 2], [0, 1, 2, 3, 3], []):
        with pytest.raises(InvalidProof):
            case.check(proof, pick(case.statement, rows))
    statement = case.statement
    g = ristretto255.generator
    shift = stack([g, g.inverse(), ristretto255.identity(), ristretto255.identity()])
    false = dataclasses.replace(statement, shares=statement.shares * shift)
    with pytest.raises(InvalidProof):  # two errors that cancel in a plain product
        case.check(proof, false)
    with pytest.raises(InvalidProof):  # also if the prover knows of them
        case.check(prove_shares(false, case.witness, case.transcript()), false)


def test_shares_of_neutral_sums() -> None:
    """A sum over no ballots is neutral, and so is its share."""
    group = ristretto255
    secret = group.random_scalars()
    neutral = group.identity((2,))
    statement = SharesStatement(public=group.generator**secret, alphas=neutral, shares=neutral)
    proof = prove_shares(statement, SharesWitness(secret=secret), Transcript(b"test", group))
    read = decode_shares(group, proof.encode())
    verify_shares(statement, read, Transcript(b"test", group))


@pytest.mark.parametrize("kind", KINDS)
def test_false_statements_have_no_proof(kind: str) -> None:
    """A prover without a witness gets nowhere by running the honest code."""
    case = make(kind, ristretto255, (2,))
    path, false = next(tamper.each_field(case.statement, "statement"))
    if "base" in path or kind == "plaintext knowledge":
        return  # still a true statement, only about other logs
    proof = case.prove(false, case.witness, case.transcript())
    with pytest.raises(InvalidProof):
        case.check(proof, false)


def test_groups_do_not_mix() -> None:
    case, other = (make("schnorr", group, (2,)) for group in (ristretto255, MODP))
    with pytest.raises(GroupMismatch):
        verify_schnorr(case.statement, other.proof(), case.transcript())
    one, two = (make("zero or one", group, (2,)) for group in (ristretto255, MODP))
    with pytest.raises(GroupMismatch):
        verify_one_of(one.statement, two.proof(), one.transcript())
    with pytest.raises(GroupMismatch):
        verify_schnorr(case.statement, case.proof(), other.transcript())


# -- forgeries -----------------------------------------------------------------------------------


def test_weak_fiat_shamir_schnorr() -> None:
    """attacks: A1. With only the commitment hashed, the statement is solved for afterwards."""
    group = ristretto255
    g = group.generator
    a, s = g ** group.scalars([5]), group.scalars([11])
    weak = Transcript(b"test", group)
    weak.append_elements(b"commitments", a)
    c = weak.challenge(b"challenge", (1,))
    public = (g**s / a) ** c.inverse()
    statement = SchnorrStatement(base=g, publics=public)
    proof = LinearProof(commitments=a.reshape((1, 1)), responses=s.reshape((1, 1)))
    assert linear_holds(statement, proof, c).all()  # the algebra alone is satisfied
    with pytest.raises(InvalidProof):
        verify_schnorr(statement, proof, Transcript(b"test", group))


def test_weak_fiat_shamir_decryption() -> None:
    """attacks: A2. A false share, chosen after the challenge."""
    group = ristretto255
    g = group.generator
    x, w = group.scalars(7), group.scalars(9)
    alphas = g ** group.scalars([3])
    commitments = stack([(g**w).reshape((1,)), g ** group.scalars([1234])], axis=-1)
    weak = Transcript(b"test", group)
    weak.append_elements(b"commitments", commitments)
    c = weak.challenge(b"challenge", (1,))
    s = w + c * x
    shares = (alphas**s / commitments[:, 1]) ** c.inverse()
    assert shares != alphas**x
    statement = DecryptionStatement(public=g**x, alphas=alphas, shares=shares)
    proof = LinearProof(commitments=commitments, responses=s.reshape((1, 1)))
    assert linear_holds(statement, proof, c).all()
    with pytest.raises(InvalidProof):
        verify_decryption(statement, proof, Transcript(b"test", group))


def square_root(a: int, q: int) -> int | None:
    """Of a modulo a prime q = 5 mod 8."""
    root = pow(a, (q + 3) // 8, q)
    if root * root % q != a % q:
        root = root * pow(2, (q - 1) // 4, q) % q
    return root if root * root % q == a % q else None


def test_weak_fiat_shamir_zero_or_one() -> None:
    """attacks: A1. A 0-or-1 proof, for a hash of the commitments, of a vote that is neither.

    b_j = y^u_j g^t_j passes for a ciphertext of m if t_j + c_j (m - j) = 0 in both branches; with
    c_0 + c_1 = c known first, that is a quadratic equation for m.
    """
    group = ristretto255
    q, g = group.order, group.generator
    key = key_from_exponent(group.scalars(7)).public
    r, u, t0 = group.scalars([[4]]), group.scalars([[[5], [6]]]), 8
    for t1 in range(1, 60):
        t = group.scalars([[[t0], [t1]]])
        commitments = Ciphertexts(alpha=g**u, beta=key.element**u * g**t)
        weak = Transcript(b"test", group)
        weak.append_elements(b"commitments", commitments.elements())
        c = weak.challenge(b"challenge").to_ints()
        # c m (m - 1) + t0 (m - 1) + t1 m = 0
        middle, last = t0 + t1 - c, -t0
        root = square_root((middle * middle - 4 * c * last) % q, q)
        if root is not None:
            break
    m = (root - middle) * pow(2 * c, -1, q) % q if root is not None else 0
    assert m not in (0, 1)
    c0 = -t0 * pow(m, -1, q) % q
    challenges = group.scalars([[[c0], [c - c0]]])
    c_text = encrypt_exponential_with_nonces(key, group.scalars([m]), r[:, 0])
    statement = zero_or_one(key, c_text)
    proof = OneOfProof(
        commitments=commitments,
        challenges=challenges[:, :1, 0],
        responses=u + challenges * r[:, None, :],
    )
    assert one_of_holds(statement, proof, group.scalars([c])).all()
    with pytest.raises(InvalidProof):
        verify_one_of(statement, proof, Transcript(b"test", group, flavour=b"CDS"))


@pytest.mark.parametrize("value", [2, -1, 1000])
def test_values_outside_the_list(value: int) -> None:
    """attacks: C3"""
    group = ristretto255
    key = key_from_exponent(group.scalars(7)).public
    c, r = encrypt_exponential(key, group.scalars([0, value, 1]))
    statement = zero_or_one(key, c)
    witness = OneOfWitness(nonces=r.reshape((3, 1)), branches=np.array([0, 1, 1]))
    proof = prove_one_of(statement, witness, Transcript(b"test", group, flavour=b"CDS"))
    with pytest.raises(InvalidProof) as caught:
        verify_one_of(statement, proof, Transcript(b"test", group, flavour=b"CDS"), name="0-or-1")
    assert caught.value.indices == (1,)
    assert caught.value.what == "0-or-1"


@pytest.mark.parametrize(("blank", "total"), [(1, 1), (0, 0), (0, 4), (2, 0), (-1, 2), (1, -1)])
def test_blank_and_vote_exclude_each_other(blank: int, total: int) -> None:
    """attacks: C3"""
    group = ristretto255
    key = key_from_exponent(group.scalars(7)).public
    blanks, r1 = encrypt_exponential(key, group.scalars([blank]))
    sums, r2 = encrypt_exponential(key, group.scalars([total]))
    statement = blank_or_sum(key, blanks, sums, 1, 3)
    for branch in range(4):
        witness = OneOfWitness(nonces=stack([r1, r2], axis=-1), branches=np.array([branch]))
        proof = prove_one_of(statement, witness, Transcript(b"test", group, flavour=b"CDS"))
        with pytest.raises(InvalidProof):
            verify_one_of(statement, proof, Transcript(b"test", group, flavour=b"CDS"))


# -- encodings -----------------------------------------------------------------------------------


@pytest.mark.parametrize("group", [ristretto255, MODP], ids=lambda g: g.name)
@pytest.mark.parametrize("kind", KINDS)
def test_non_canonical_proofs_are_refused(kind: str, group: Group) -> None:
    """attacks: A6, B1, B6, B9. Scalars raised by q, elements outside, wrong lengths."""
    case = make(kind, group, (2,))
    data = case.proof().encode()
    assert case.decode(data).encode() == data
    proof = case.decode(data)
    size, width = group.element_size, group.scalar_size
    order = "little" if group is ristretto255 else "big"
    commitments = proof.commitments.size * (2 if isinstance(proof, OneOfProof) else 1)
    scalars_start = commitments * size
    for start in range(scalars_start, len(data), width):
        value = int.from_bytes(data[start : start + width], order)  # type: ignore[arg-type]
        raised = value + group.order
        if raised < 256**width:
            piece = raised.to_bytes(width, order)  # type: ignore[arg-type]
            with pytest.raises(DecodingError):
                case.decode(data[:start] + piece + data[start + width :])
        full = b"\xff" * width
        with pytest.raises(DecodingError):
            case.decode(data[:start] + full + data[start + width :])
    if kind != "shares":
        with pytest.raises(DecodingError):
            case.decode(bytes(size) + data[size:])  # zero modulo p; the curve's identity
    with pytest.raises(DecodingError):
        case.decode(b"\xff" * size + data[size:])
    for cut in (data[:-1], data + b"\0", data[:-width], data + bytes(width), b""):
        with pytest.raises(DecodingError):
            case.decode(cut)


def test_factors_of_minus_one_do_not_decode() -> None:
    """attacks: A7, B1. In Z_p^* two of them would cancel in a product; they are no members."""
    from evote.groups import ModPGroup

    assert isinstance(MODP, ModPGroup)
    case = make("schnorr", MODP, (2,))
    proof, size = case.proof(), MODP.element_size
    data = proof.encode()
    p = MODP.p
    flipped = b"".join(
        (p - int.from_bytes(data[i * size : (i + 1) * size], "big")).to_bytes(size, "big")
        for i in range(2)
    )
    with pytest.raises(DecodingError) as caught:
        decode_schnorr(MODP, flipped + data[2 * size :], (2,))
    assert caught.value.indices == (0, 1)


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=260))
def test_fuzzed_proofs_decode_or_refuse(data: bytes) -> None:
    group = ristretto255
    for decode in (
        lambda: decode_schnorr(group, data, (2,)),
        lambda: decode_shares(group, data),
        lambda: decode_one_of(group, data, (), 2),
        lambda: decode_one_of(group, data, (1,), 1, width=2),
    ):
        try:
            proof = decode()
        except EvoteError:
            continue
        assert proof.encode() == data


def test_many_encodings_at_once_name_the_bad_ones() -> None:
    case = make("blank or sum", ristretto255, (5, 2))
    proof = case.proof()
    items = proof.encode_each()
    assert items == [proof[i].encode() for i in range(5)]
    read = decode_each_one_of(ristretto255, to_rows(items), (2,), 4, width=2)
    assert read == proof
    size = len(items[0])
    forged = list(items)
    forged[1] = bytes(32) + items[1][32:]
    forged[3] = items[3][: size - 32] + b"\xff" * 32
    forged[4] = items[4][: 2 * 16 * 32] + b"\xff" * 32 + items[4][2 * 16 * 32 + 32 :]
    with pytest.raises(DecodingError) as caught:
        decode_each_one_of(
            ristretto255, to_rows(forged), (2,), 4, width=2, where="ballots/000.jsonl"
        )
    assert caught.value.indices == (1, 3, 4)
    with pytest.raises(DecodingError) as caught:
        decode_each_one_of(ristretto255, to_rows(items)[:, :-1], (2,), 4, width=2)
    assert caught.value.indices == (0, 1, 2, 3, 4)
    none = decode_each_one_of(ristretto255, to_rows(items)[:0], (2,), 4, width=2)
    assert none.shape == (0, 2)
    assert none.encode_each() == []


def test_shapes_inside_a_proof() -> None:
    proof = make("range", ristretto255, (2,)).proof()
    with pytest.raises(ShapeMismatch):
        dataclasses.replace(proof, challenges=proof.challenges[:, :1])
    with pytest.raises(ShapeMismatch):
        dataclasses.replace(proof, responses=proof.responses[:, :2])
    linear = make("schnorr", ristretto255, (2,)).proof()
    with pytest.raises(ShapeMismatch):
        dataclasses.replace(linear, responses=linear.responses[:1])
    with pytest.raises(GroupMismatch):
        dataclasses.replace(linear, responses=MODP.scalars([[1], [2]]))


def test_statements_that_say_nothing() -> None:
    group = ristretto255
    g = group.generator
    key = PublicKey(element=g)
    c, r = encrypt_exponential(key, group.scalars([1]))
    tables: list[list[list[int]]] = [[], [[]], [[0, 1]], [[0], [1, 2]]]
    for values in tables:
        with pytest.raises(ShapeMismatch):
            OneOfStatement(key=key, ciphertexts=c.reshape((1, 1)), values=values)
    with pytest.raises(ParameterError):
        OneOfStatement(key=key, ciphertexts=c.reshape((1, 1)), values=[[1], [1]])
    with pytest.raises(ParameterError):
        integer_in_range(key, c, 2, 1)
    with pytest.raises(ParameterError):
        blank_or_sum(key, c, c, 3, 2)
    with pytest.raises(ShapeMismatch):
        EqualLogsStatement(bases=stack([g, g]), publics=g.reshape((1,)))
    with pytest.raises(ShapeMismatch):
        EqualLogsStatement(bases=group.identity((2, 0)), publics=group.identity((2, 0)))
    with pytest.raises(ShapeMismatch):
        DecryptionStatement(public=g, alphas=stack([g, g]), shares=g)
    statement = zero_or_one(key, c)
    for branches in (np.array([2]), np.array([-1])):
        with pytest.raises(ParameterError):
            commit_one_of(statement, OneOfWitness(nonces=r.reshape((1, 1)), branches=branches))
    with pytest.raises(ShapeMismatch):
        commit_one_of(statement, OneOfWitness(nonces=r, branches=np.array([1])))
    with pytest.raises(ShapeMismatch):
        prove_schnorr(
            SchnorrStatement(base=g, publics=stack([g, g])),
            SchnorrWitness(secrets=group.scalars([1])),
            Transcript(b"test", group),
        )


# -- batches -------------------------------------------------------------------------------------


def schnorr_equations(n: int, wrong: NDArray[np.intp] | list[int]) -> Equations:
    """n Schnorr equations under fixed challenges, some of them false."""
    group = ristretto255
    g = group.generator
    x, w, c = (group.random_scalars((n,)).publish() for _ in range(3))
    errors = np.zeros(n, dtype=int)
    errors[wrong] = 1
    proof = LinearProof(
        commitments=(g ** (w + group.scalars(errors))).reshape((n, 1)),
        responses=(w + c * x).reshape((n, 1)),
    )
    return linear_equations(SchnorrStatement(base=g, publics=g**x), proof, c)


@pytest.mark.parametrize(
    "wrong", [[], [0], [63], [5, 6], [0, 31, 32, 63], range(0, 64, 2), range(64)]
)
def test_batch_names_exactly_the_culprits(wrong: list[int]) -> None:
    """attacks: A7"""
    equations = schnorr_equations(64, list(wrong))
    expected = np.ones(64, dtype=bool)
    expected[list(wrong)] = False
    with ristretto255.count() as batch:
        mask = verify_batch([equations])
    with ristretto255.count() as alone:
        assert equations.proofs_hold().tolist() == expected.tolist()
    assert mask.tolist() == expected.tolist()
    assert batch.fixed + batch.variable <= alone.fixed + alone.variable
    assert batch.multiexp_terms <= 3 * 129 + 20  # one pass, and halves of two more


def test_errors_that_cancel_are_caught() -> None:
    """attacks: A7. Opposite errors in two proofs, and in two equations of one proof."""
    case = make("equal logs", ristretto255, (4,))
    proof = case.proof()
    challenges = linear_challenges(case.statement, proof, case.transcript())
    assert linear_holds(case.statement, proof, challenges).all()
    g = ristretto255.generator

    def shifted(errors: list[list[int]]) -> list[bool]:
        a = proof.commitments * g ** ristretto255.scalars(errors)
        forged = dataclasses.replace(proof, commitments=a)
        product = linear_equations(case.statement, forged, challenges)
        assert not product.proofs_hold().all()
        found: list[bool] = linear_holds(case.statement, forged, challenges).tolist()
        return found

    nothing = [0, 0, 0]
    assert shifted([[1, 0, 0], nothing, [-1, 0, 0], nothing]) == [False, True, False, True]
    assert shifted([nothing, [1, -1, 0], nothing, nothing]) == [True, False, True, True]
    assert shifted([[1, 0, 0], [1, 0, 0], [-2, 0, 0], nothing]) == [False, False, False, True]


def test_weights_are_fresh_and_hedged() -> None:
    """attacks: A7. Neither a frozen source nor fixed equations alone determine the weights."""
    from evote._batch import _weights

    equations = schnorr_equations(3, [])

    def drawn(each: Equations, rng: Any, context: bytes = b"") -> list[int]:
        weights: list[int] = next(_weights([each], rng, context)).to_ints()
        return weights

    frozen = bytes
    base = drawn(equations, frozen)
    assert drawn(equations, frozen) == base
    assert not set(drawn(equations, None)) & set(drawn(equations, None))
    assert not set(drawn(schnorr_equations(3, []), frozen)) & set(base)
    assert not set(drawn(equations, frozen, b"context")) & set(base)
    assert len(set(base)) == 3
    assert 100 < max(w.bit_length() for w in base) <= 128
    with pytest.raises(ParameterError):
        drawn(equations, lambda n: bytes(n - 1))


def test_a_batch_of_different_proofs() -> None:
    first, second = (
        make("zero or one", ristretto255, (3,)),
        make("blank or sum", ristretto255, (3, 2)),
    )
    challenge = ristretto255.random_scalars((3,)).publish()
    parts = []
    for case in (first, second):
        _, state = commit_one_of(case.statement, case.witness)
        parts.append((case.statement, respond_one_of(state, challenge)))
    good = [one_of_equations(statement, proof, challenge) for statement, proof in parts]
    assert verify_batch(good).tolist() == [True] * 3
    statement, proof = parts[1]
    shift = np.zeros(proof.responses.shape, dtype=int)
    shift[1, 1, 3, 1] = 1
    forged = dataclasses.replace(proof, responses=proof.responses + ristretto255.scalars(shift))
    bad = [good[0], one_of_equations(statement, forged, challenge)]
    assert verify_batch(bad).tolist() == [True, False, True]
    with pytest.raises(ShapeMismatch):
        verify_batch([good[0], schnorr_equations(2, [])])
    with pytest.raises(ParameterError):
        verify_batch([])
    with pytest.raises(ShapeMismatch):
        one_of_equations(statement, proof, challenge[:2])


def test_equations_check_their_form() -> None:
    g = ristretto255.generator
    one = ristretto255.scalars([1, 2])
    with pytest.raises(ShapeMismatch):
        Equations(group=ristretto255, shape=(), relations=(((g, None),),))
    with pytest.raises(ShapeMismatch):
        Equations(group=ristretto255, shape=(3,), relations=(((g, one),),))
    with pytest.raises(ShapeMismatch):
        Equations(group=ristretto255, shape=(1,), relations=(((g, one),),))
    with pytest.raises(GroupMismatch):
        Equations(group=ristretto255, shape=(2,), relations=(((MODP.generator, None),),))
    secret = Equations(
        group=ristretto255, shape=(2,), relations=(((g, one.mark(Secrecy.ONE_TIME)),),)
    )
    with pytest.raises(ParameterError):  # a verifier takes no secret
        verify_batch([secret])
    none = Equations(group=ristretto255, shape=(2,), relations=())
    assert verify_batch([none]).all()


@settings(max_examples=50, deadline=None)
@given(st.data())
def test_batch_agrees_with_one_by_one_in_shapes(data: st.DataObject) -> None:
    """Shared bases, shared along inner axes, and own ones, against the plain meaning."""
    group = ristretto255
    g = group.generator
    n = data.draw(st.integers(0, 4))
    inner = data.draw(st.sampled_from([(), (2,), (2, 3)]))
    shape = (n, *inner)
    shapes: list[tuple[int, ...]] = [(), shape, (n, *[1] * len(inner)), (1, *inner), inner]
    terms: list[tuple[Elements, Scalars | None]] = []
    total = group.scalars(np.zeros(shape, dtype=int))
    for _ in range(data.draw(st.integers(1, 3))):
        small = data.draw(st.sampled_from(shapes))
        exponents = group.random_scalars(small).publish()
        scalars = group.random_scalars(data.draw(st.sampled_from(shapes))).publish()
        terms.append((g**exponents, scalars))
        total = total + exponents * scalars
    errors = data.draw(st.lists(st.integers(0, 1), min_size=total.size, max_size=total.size))
    terms.append((g ** (group.scalars(errors).reshape(shape) - total), None))
    equations = Equations(group=group, shape=shape, relations=(tuple(terms),))
    rows = np.array(errors, dtype=int).reshape((n, -1) if total.size else (n, 0))
    expected = [not row.any() for row in rows]
    assert equations.proofs_hold().tolist() == expected
    assert verify_batch([equations]).tolist() == expected


# -- costs, nonces -------------------------------------------------------------------------------


def test_cost_of_a_batch() -> None:
    """2 terms per ciphertext, 2 per branch, and 2 for generator and key whatever n is."""
    case = make("zero or one", ristretto255, (20,))
    proof = case.proof()
    with ristretto255.count() as cost:
        case.check(proof)
    assert cost.multiexp_terms == 20 * (2 + 4) + 2
    assert (cost.fixed, cost.variable, cost.constant_time) == (0, 0, 0)


def test_cost_of_proving_is_independent_of_the_choice() -> None:
    """attacks: C17"""
    costs = []
    for branch in range(3):
        group = ristretto255
        key = key_from_exponent(group.scalars(7)).public
        c, r = encrypt_exponential(key, group.scalars([branch]))
        statement = integer_in_range(key, c, 0, 2)
        witness = OneOfWitness(nonces=r.reshape((1, 1)), branches=np.array([branch]))
        with group.count() as cost:
            proof = prove_one_of(statement, witness, Transcript(b"test", group, flavour=b"CDS"))
        costs.append((dataclasses.astuple(cost), len(proof.encode())))
    assert costs[0] == costs[1] == costs[2]


def test_long_term_secrets_take_the_constant_time_path() -> None:
    for kind, powers in (("schnorr", 3), ("decryption", 6), ("shares", 3)):
        case = make(kind, ristretto255, (3,))
        with ristretto255.count() as cost:
            case.proof()
        assert (cost.constant_time, cost.fixed, cost.variable) == (powers, 0, 0), kind


@pytest.mark.parametrize("kind", KINDS)
def test_a_frozen_source_repeats_no_commitment(kind: str) -> None:
    """attacks: A9. Another statement, or the same in another place, has other commitments."""
    case, other = make(kind, ristretto255, (2,)), make(kind, ristretto255, (2,))
    seen: list[bytes] = []
    for each, place in ((case, b"here"), (case, b"there"), (other, b"here")):
        transcript = each.transcript(place=place)
        proof = each.prove(each.statement, each.witness, transcript, rng=bytes)
        a = proof.commitments
        flat = a.elements() if isinstance(a, Ciphertexts) else a
        data = flat.encode()
        seen += [data[i : i + 32] for i in range(0, len(data), 32)]
    assert len(set(seen)) == len(seen)
    again = case.prove(case.statement, case.witness, case.transcript(), rng=bytes)
    first = case.prove(case.statement, case.witness, case.transcript(), rng=bytes)
    assert again == first
    assert case.proof() != case.proof()
    with pytest.raises(ParameterError):
        case.prove(case.statement, case.witness, case.transcript(), rng=lambda n: bytes(n + 1))


def test_commitments_with_a_frozen_source_and_two_contexts() -> None:
    """attacks: A9. The two-phase form of ballots."""
    case = make("zero or one", ristretto255, (2,))
    one, _ = commit_one_of(case.statement, case.witness, rng=bytes, context=b"1")
    other, _ = commit_one_of(case.statement, case.witness, rng=bytes, context=b"2")
    assert not one.equal_mask(other).any()


def test_secrets_do_not_show() -> None:
    """attacks: E9"""
    for kind in KINDS:
        case = make(kind, ristretto255, (2,))
        assert "[" not in repr(case.witness)
    case = make("zero or one", ristretto255, (2,))
    _, state = commit_one_of(case.statement, case.witness)
    assert "Scalars" not in repr(state)


def test_one_challenge_for_a_whole_ballot() -> None:
    """A challenge of shape (n,) serves every proof of a ballot; another one serves none."""
    case = make("zero or one", ristretto255, (3, 4))
    c = ristretto255.random_scalars((3,)).publish()
    _, state = commit_one_of(case.statement, case.witness)
    proof = respond_one_of(state, c)
    assert one_of_holds(case.statement, proof, c).tolist() == [True] * 3
    other = concatenate([c[:2], c[2:] + 1])
    assert one_of_holds(case.statement, proof, other).tolist() == [True, True, False]
    with pytest.raises(ShapeMismatch):
        respond_one_of(state, ristretto255.random_scalars((4,)).publish())


@pytest.mark.parametrize("n", [1, 2, 5])
@pytest.mark.parametrize("known", [True, False])
def test_products_in_a_batch(n: int, known: bool) -> None:
    """A product of bases has the verdict of the element that it stands for."""
    group = ristretto255
    factors = group.generator ** group.random_scalars((n, 2, 3)).publish()
    c = group.random_scalars((n, 2, 1)).publish()
    product = factors.prod(-1).reshape((n, 2, 1))
    right = (product**c) ** -1
    own = factors**-1
    wrong = right.reshape((n, 2, 1)) * group.generator ** group.scalars(
        [[[int(i == n - 1)], [0]] for i in range(n)]
    )
    other: list[Equations] = []
    if known:  # the factors are bases of the batch already
        equal = ((factors, None), (own, None))
        other = [Equations(group=group, shape=(n, 2, 3), relations=(equal,))]
    for answer, expected in ((right, [True] * n), (wrong, [True] * (n - 1) + [False])):
        for base in (Product(factors), product):
            relation = ((base, c), (answer, None))
            equations = Equations(group=group, shape=(n, 2, 1), relations=(relation,))
            assert verify_batch([*other, equations]).tolist() == expected
            assert equations.proofs_hold().tolist() == expected
            last = equations.take(np.array([n - 1]))
            assert verify_batch([last]).tolist() == expected[-1:]
    with pytest.raises(ShapeMismatch):
        Equations(group=group, shape=(n, 3, 1), relations=(((Product(factors), None),),))


def test_a_product_shares_its_bases() -> None:
    """Whose factors are bases takes no terms of its own."""
    group = ristretto255
    factors = group.generator ** group.random_scalars((4, 3)).publish()
    equal = Equations(
        group=group, shape=(4, 3), relations=(((factors, None), (factors**-1, None)),)
    )
    answer = (factors.prod(-1) ** -1).reshape((4, 1))
    whole = Equations(
        group=group, shape=(4, 1), relations=(((Product(factors), None), (answer, None)),)
    )
    with group.count() as counts:
        assert verify_batch([equal, whole]).all()
    assert counts.multiexp_terms == 2 * 12 + 4
