"""Shuffles and their proofs: honest ones, every field changed, forgers, and a second verifier.

Attacks D2 and D4 to D8.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import importlib.util
import random
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evote import _terelius_wikstrom, mixnet
from evote._terelius_wikstrom import (
    commit_permutation,
    hedged_rng,
    prove_claim,
    verify_claim,
)
from evote.elgamal import (
    Ciphertexts,
    PublicKey,
    concatenate_ciphertexts,
    decode_ciphertexts,
    decrypt,
    encrypt,
    key_from_exponent,
    reencrypt_with_nonces,
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
    _executor,
    concatenate,
    modp_group,
    named_group,
    ristretto255,
    stack,
)
from evote.groups.modp import ModPGroup
from evote.mixnet import (
    ShuffleClaim,
    ShuffleCommitment,
    ShuffleProof,
    ShuffleResponses,
    ShuffleStatement,
    ShuffleWitness,
    TranscriptOracle,
    decode_shuffle_proof,
    prove_shuffle,
    repeated_ciphertexts,
    shuffle,
    unchanged_ciphertexts,
    verify_shuffle,
)
from evote.testing import tamper
from evote.transcript import Transcript

TINY = modp_group(23, 11, 4, allow_weak=True)


def transcript(group: Group, place: bytes = b"step 1") -> Transcript:
    made = Transcript(b"test", group)
    made.append(b"place", place)
    return made


def safe_prime_group(bits: int, offset: int) -> ModPGroup:
    """Where q = 2^(bits - 2) + offset and p = 2 q + 1 are prime."""
    q = 2 ** (bits - 2) + offset
    return modp_group(2 * q + 1, q, 4, allow_weak=True)


FAST = safe_prime_group(66, 493)  # one forgery in 2^64 verifies
LONG = safe_prime_group(640, 133477)  # where eps, v e' and the weights are shorter than q


def load(name: str) -> Any:
    """A script of tests/vectors, as a module."""
    folder = Path(__file__).parent / "vectors"
    sys.path.insert(0, str(folder))
    try:
        spec = importlib.util.spec_from_file_location(name, folder / f"{name}.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(folder))
    return module


PLAIN = load("check_shuffle")


@dataclasses.dataclass
class Case:
    """An honest shuffle, and its proof."""

    statement: ShuffleStatement
    witness: ShuffleWitness
    proof: ShuffleProof

    @property
    def group(self) -> Group:
        return self.statement.group


def key_of(group: Group) -> PublicKey:
    return key_from_exponent(group.scalars(7)).public


def ciphertexts(group: Group, n: int, w: int) -> Ciphertexts:
    messages = group.generator ** group.random_scalars((n, w), secrecy=Secrecy.ONE_TIME)
    return encrypt(key_of(group), messages)[0]


def make(group: Group, n: int, w: int) -> Case:
    key, inputs = key_of(group), ciphertexts(group, n, w)
    outputs, witness = shuffle(key, inputs)
    statement = ShuffleStatement(key=key, inputs=inputs, outputs=outputs)
    return Case(statement, witness, prove_shuffle(statement, witness, transcript(group)))


@functools.cache
def case(name: str, n: int = 3, w: int = 2) -> Case:
    return make({"fast": FAST, "long": LONG}.get(name) or named_group(name), n, w)


# -- honest shuffles -------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(0, 1), (1, 3), (2, 1), (5, 2)])
def test_honest_shuffles_verify(group: Group, shape: tuple[int, int]) -> None:
    """Attack D6: n = 0, 1 and prime are statements like others."""
    made = make(group, *shape)
    verify_shuffle(made.statement, made.proof, transcript(group))
    secret = key_from_exponent(group.scalars(7))
    before, after = (
        decrypt(secret, each) for each in (made.statement.inputs, made.statement.outputs)
    )
    assert after == before.take(made.witness.permutation)
    if group.order > 2**200:  # in tiny ones some element is likely to be the identity
        decoded = decode_shuffle_proof(group, made.proof.encode(), shape)
        assert decoded == made.proof
        verify_shuffle(made.statement, decoded, transcript(group))


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 6), st.integers(1, 3), st.sampled_from([TINY, FAST, LONG]))
def test_honest_shuffles_of_every_shape_verify(n: int, w: int, group: Group) -> None:
    made = make(group, n, w)
    verify_shuffle(made.statement, made.proof, transcript(group))


def test_permutations_are_uniform() -> None:
    inputs, rng = ciphertexts(TINY, 3, 1), random.Random(1).randbytes
    counts: dict[tuple[int, ...], int] = {}
    for _ in range(1200):
        _, witness = shuffle(key_of(TINY), inputs, rng)
        order = tuple(witness.permutation.tolist())
        counts[order] = counts.get(order, 0) + 1
    assert len(counts) == 6
    assert all(abs(count - 200) < 60 for count in counts.values())  # more than 4 deviations


def test_a_source_that_repeats_itself_makes_no_permutation() -> None:
    shuffle(key_of(FAST), ciphertexts(FAST, 1, 1), bytes)
    with pytest.raises(ParameterError, match="repeats itself"):
        shuffle(key_of(FAST), ciphertexts(FAST, 2, 1), bytes)


def test_a_source_that_repeats_itself_shares_no_commitment() -> None:
    """Attack A9: one nonce under two challenges would give the permutation away."""
    made = case("ristretto255")
    proofs = [
        prove_shuffle(made.statement, made.witness, transcript(made.group, place), rng=bytes)
        for place in (b"one", b"other")
    ]
    first, second = ([x.encode() for x in proof.commitment.parts()] for proof in proofs)
    assert not set(first) & set(second)
    for proof, place in zip(proofs, (b"one", b"other"), strict=True):
        verify_shuffle(made.statement, proof, transcript(made.group, place))


def test_secrets_are_not_shown() -> None:
    made = case("ristretto255")
    assert made.witness.nonces.secrecy is Secrecy.ONE_TIME
    assert repr(made.witness) == "ShuffleWitness()"
    assert not any(scalars.secret for scalars in made.proof.responses.parts())
    nonces = made.witness.nonces
    with pytest.raises(ParameterError, match="marked as secret"):
        ShuffleWitness(permutation=made.witness.permutation, nonces=nonces.publish())


def test_witnesses_are_permutations() -> None:
    honest = case("fast").witness
    wrong: list[Any] = [[0, 0, 2], [1, 2, 3], [-1, 0, 1], [0.0, 1.0, 2.0], [0, 1], [[0, 1, 2]]]
    for places in wrong:
        with pytest.raises(ParameterError):
            ShuffleWitness(permutation=np.array(places), nonces=honest.nonces)
    with pytest.raises(ShapeMismatch):
        ShuffleWitness(permutation=honest.permutation, nonces=honest.nonces[:, 0])


def test_responses_stay_short_in_large_groups() -> None:
    made = case("long")
    values = made.proof.responses.k_e.to_ints()
    assert max(values) < 2**385
    assert max(values) > 2**370


# -- every field -----------------------------------------------------------------------------------

CHANGES = [
    (name, part, where, forged)
    for name in ("ristretto255", "long")
    for part in ("statement", "proof")
    for where, forged in tamper.each_field(getattr(case(name), part))
]


def test_every_field_is_changed() -> None:
    n, w = 3, 2
    fields = {where.partition("[")[0] for _, _, where, _ in CHANGES}
    assert len(fields) == 5 + 1 + 7 + 6
    assert len(CHANGES) == 2 * ((1 + 4 * n * w) + (3 * n + 3 + 2 * w) + (2 * n + 3 + w))


@pytest.mark.parametrize(
    ("name", "part", "where", "forged"), CHANGES, ids=[f"{c[0]}-{c[2]}" for c in CHANGES]
)
def test_every_change_is_refused(name: str, part: str, where: str, forged: Any) -> None:
    made = case(name)
    verify_shuffle(made.statement, made.proof, transcript(made.group))
    statement = forged if part == "statement" else made.statement
    proof = forged if part == "proof" else made.proof
    with pytest.raises(InvalidProof):
        verify_shuffle(statement, proof, transcript(made.group))


def test_another_context_is_refused() -> None:
    made = case("ristretto255")
    for other in (transcript(made.group, b"step 2"), Transcript(b"other", made.group)):
        with pytest.raises(InvalidProof):
            verify_shuffle(made.statement, made.proof, other)


class Fixed:
    """An oracle that knows its answers beforehand, so that a change meets the equations alone."""

    batching_bits = challenge_bits = 128

    def __init__(self, group: Group, n: int) -> None:
        draw = random.Random(2).getrandbits
        self.h = group.hash_to_elements(b"test", n)
        self.e = group.scalars([draw(128) for _ in range(n)]).reshape((n,))
        self.v = group.scalars(draw(128))

    def generators(self, group: Group, count: int) -> Elements:
        return self.h[:count]

    def batching_vector(self, claim: ShuffleClaim) -> Scalars:
        return self.e[: len(claim.h)]

    def challenge(self, commitment: ShuffleCommitment) -> Scalars:
        return self.v


@pytest.mark.parametrize(
    ("where", "what", "indices"),
    [
        ("permutation_commitments[1]", "A, C", ()),
        ("commitment.b[1]", "B", (1, 2)),
        ("commitment.b[2]", "B, D", (2,)),
        ("commitment.a_prime", "A", ()),
        ("commitment.b_prime[0]", "B", (0,)),
        ("commitment.c_prime", "C", ()),
        ("commitment.d_prime", "D", ()),
        ("commitment.f_prime.alpha[1]", "F[1]", ()),
        ("commitment.f_prime.beta[0]", "F[0]", ()),
        ("responses.k_a", "A", ()),
        ("responses.k_b[2]", "B", (2,)),
        ("responses.k_c", "C", ()),
        ("responses.k_d", "D", ()),
        ("responses.k_e[0]", "A, B, F[0], F[1]", (0,)),
        ("responses.k_f[1]", "F[1]", ()),
        ("inputs.alpha[2, 0]", "F[0]", ()),
        ("outputs.beta[1, 1]", "F[1]", ()),
        ("key.element", "F[0], F[1]", ()),
    ],
)
def test_the_equations_that_fail_are_named(where: str, what: str, indices: tuple[int, ...]) -> None:
    honest = case("fast")
    oracle = Fixed(honest.group, 3)
    proof = prove_shuffle(honest.statement, honest.witness, oracle)
    verify_shuffle(honest.statement, proof, oracle)
    statements = dict(tamper.each_field(honest.statement))
    proofs = dict(tamper.each_field(proof))
    assert where in statements.keys() | proofs.keys()
    statement, forged = statements.get(where, honest.statement), proofs.get(where, proof)
    with pytest.raises(InvalidProof) as caught:
        verify_shuffle(statement, forged, oracle)
    assert (caught.value.what, caught.value.indices) == (f"shuffle ({what})", indices)


# -- forgers ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("part", ["alpha", "beta"])
def test_errors_that_cancel_are_refused(part: str) -> None:
    """Attack D2: one output times x, another divided by x; the product stays the same."""
    made = case("fast")
    x = made.group.generator ** made.group.scalars([[3, 0], [-3, 0], [0, 0]])
    outputs = made.statement.outputs
    forged = dataclasses.replace(outputs, **{part: getattr(outputs, part) * x})
    assert forged.prod() == outputs.prod()
    statement = dataclasses.replace(made.statement, outputs=forged)
    proof = prove_shuffle(statement, made.witness, transcript(made.group))
    with pytest.raises(InvalidProof, match=r"\(F\[0\]\)"):
        verify_shuffle(statement, proof, transcript(made.group))


def test_a_column_in_another_order_is_refused() -> None:
    """Attack D5: what holds for the first component says nothing about the second."""
    made = case("fast")
    inputs, nonces = made.statement.inputs, made.witness.nonces
    second = np.roll(made.witness.permutation, 1)
    columns = [inputs[made.witness.permutation, 0], inputs[second, 1]]
    mixed = reencrypt_with_nonces(
        made.statement.key,
        Ciphertexts(
            alpha=stack([c.alpha for c in columns], axis=1),
            beta=stack([c.beta for c in columns], axis=1),
        ),
        nonces,
    )
    statement = dataclasses.replace(made.statement, outputs=mixed)
    proof = prove_shuffle(statement, made.witness, transcript(made.group))
    with pytest.raises(InvalidProof, match=r"\(F\[1\]\)"):
        verify_shuffle(statement, proof, transcript(made.group))


def prove_matrix(
    claim: ShuffleClaim, matrix: Scalars, r: Scalars, oracle: Fixed
) -> tuple[ShuffleCommitment, ShuffleResponses]:
    """The paper's prover for any matrix M with u_j = g^r_j prod h_i^M_ij, where e' = M e."""
    group, n = claim.group, len(claim.h)
    g, one = group.generator, group.scalars(1)
    e = oracle.batching_vector(claim)
    e_prime = (matrix * e).sum(1)
    b, beta, epsilon = (group.random_scalars((n,)).publish() for _ in range(3))
    alpha, gamma, delta = (group.random_scalars(()).publish() for _ in range(3))
    x = group.linear_recurrence(e_prime, b, group.scalars(0))
    y = group.linear_recurrence(e_prime, b * 0, one)
    chain = g**x * claim.h[0] ** y
    before = concatenate([claim.h[:1], chain[:-1]])
    commitment = ShuffleCommitment(
        b=chain,
        a_prime=g**alpha * group.multiexp(claim.h, epsilon),
        b_prime=g**beta * before**epsilon,
        c_prime=g**gamma,
        d_prime=g**delta,
    )
    v = oracle.challenge(commitment)
    return commitment, ShuffleResponses(
        k_a=v * (r * e).sum() + alpha,
        k_b=v * b + beta,
        k_c=v * r.sum() + gamma,
        k_d=v * x[n - 1] + delta,
        k_e=v * e_prime + epsilon,
    )


@pytest.mark.parametrize(
    ("rows", "what"),
    [
        ([[0, 1, 0], [0, 0, 1], [1, 0, 0]], None),
        ([[1, 0, 0], [1, 0, 0], [0, 0, 1]], "D"),  # pi(0) = pi(1)
        ([[2, -1, 0], [0, 1, 0], [0, 0, 1]], "D"),  # rows sum to 1
        ([[1, 1, 1], [1, 1, 1], [1, 1, 1]], "C, D"),
        ([[-1, 0, 0], [0, -1, 0], [0, 0, 1]], "C"),  # the product of e' is that of e
    ],
)
def test_only_permutations_are_proven(rows: list[list[int]], what: str | None) -> None:
    """Attack D4: an own prover, which proves all that can be proven of a matrix."""
    group, oracle = FAST, Fixed(FAST, 3)
    matrix, r = group.scalars(rows), group.random_scalars((3,)).publish()
    u = group.generator**r * group.multiexp(oracle.h.reshape((3, 1)), matrix, axis=0)
    claim = ShuffleClaim(h=oracle.h, u=u)
    commitment, responses = prove_matrix(claim, matrix, r, oracle)
    if what is None:
        verify_claim(claim, commitment, responses, oracle)
        return
    with pytest.raises(InvalidProof) as caught:
        verify_claim(claim, commitment, responses, oracle)
    assert caught.value.what == f"shuffle ({what})"


def test_a_row_taken_twice_is_refused() -> None:
    """Attack D4, with ciphertexts: two outputs from one input, by our own prover."""
    made = case("fast")
    group, key, inputs = made.group, made.statement.key, made.statement.inputs
    twice = np.array([0, 0, 2])
    with pytest.raises(ParameterError, match="not a permutation"):
        ShuffleWitness(permutation=twice, nonces=made.witness.nonces)
    outputs = reencrypt_with_nonces(key, inputs.take(twice), made.witness.nonces)
    oracle = TranscriptOracle(transcript(group))
    h = oracle.generators(group, 3)
    u, r = commit_permutation(h, np.arange(3))
    u = concatenate([u[:1] * u[1:2], group.identity((1,)), u[2:]])
    claim = ShuffleClaim(h=h, u=u, key=key.element, inputs=inputs, outputs=outputs)
    commitment, responses = prove_claim(claim, twice, r, made.witness.nonces, oracle)
    with pytest.raises(InvalidProof, match=r"\(D, F\[0\], F\[1\]\)"):
        verify_claim(claim, commitment, responses, TranscriptOracle(transcript(group)))


# -- shapes ----------------------------------------------------------------------------------------


def test_parts_missing_or_too_many_are_refused() -> None:
    """Attack D6."""
    made, longer = case("fast"), case("fast", 4, 3)
    verify_shuffle(made.statement, made.proof, transcript(made.group))
    count = 0
    for name in ("commitment", "responses"):
        part = getattr(made.proof, name)
        for field in dataclasses.fields(part):
            value, other = (
                getattr(part, field.name),
                getattr(getattr(longer.proof, name), field.name),
            )
            forged: list[Any] = [None, other] if value.shape else [None]
            forged.append(value[:-1] if value.shape else value.reshape((1,)))
            for wrong in forged:
                if wrong is None and field.name in ("a_prime", "k_a", "k_e"):
                    continue  # always there, as the types say
                changed = dataclasses.replace(part, **{field.name: wrong})
                proof = dataclasses.replace(made.proof, **{name: changed})
                with pytest.raises(ShapeMismatch):
                    verify_shuffle(made.statement, proof, transcript(made.group))
                count += 1
    assert count > 20
    u = made.proof.permutation_commitments
    for wrong in (u[:-1], u.reshape((3, 1)), longer.proof.permutation_commitments):
        proof = dataclasses.replace(made.proof, permutation_commitments=wrong)
        with pytest.raises(ShapeMismatch):
            verify_shuffle(made.statement, proof, transcript(made.group))
    with pytest.raises(GroupMismatch):
        verify_shuffle(made.statement, case("long").proof, transcript(made.group))


def test_statements_have_a_shape() -> None:
    inputs, key = ciphertexts(FAST, 3, 2), key_of(FAST)
    for wrong in (inputs[:, 0], inputs[:, :0]):
        with pytest.raises(ShapeMismatch):
            ShuffleStatement(key=key, inputs=wrong, outputs=wrong)
    with pytest.raises(ShapeMismatch):
        ShuffleStatement(key=key, inputs=inputs, outputs=inputs[:2])
    with pytest.raises(GroupMismatch):
        ShuffleStatement(key=key_of(LONG), inputs=inputs, outputs=inputs)
    with pytest.raises(ShapeMismatch):
        shuffle(key, inputs[:, 0])
    made = case("fast")
    narrow = dataclasses.replace(made.witness, nonces=made.witness.nonces[:, :1])
    with pytest.raises(ShapeMismatch):
        prove_shuffle(made.statement, narrow, transcript(made.group))


def test_encodings_of_another_length_are_refused() -> None:
    made = case("ristretto255")
    data = made.proof.encode()
    assert decode_shuffle_proof(made.group, data, (3, 2)) == made.proof
    for wrong in (data[:-1], data + b"\0", data[32:], b""):
        with pytest.raises(DecodingError):
            decode_shuffle_proof(made.group, wrong, (3, 2))
    for shape in ((3, 1), (2, 2), (4, 2), (0, 2)):
        with pytest.raises(DecodingError):
            decode_shuffle_proof(made.group, data, shape)
    neutral = made.group.identity(()).encode()
    with pytest.raises(DecodingError):
        decode_shuffle_proof(made.group, neutral + data[32:], (3, 2))


# -- halves of the proof, and a key for each column ------------------------------------------------


def halves(group: Group) -> Iterator[tuple[ShuffleClaim, ShuffleCommitment, ShuffleResponses]]:
    """A shuffle of five commitments made beforehand, and three rows that follow what is kept."""
    oracle = Fixed(group, 5)
    before = np.array([3, 0, 4, 2, 1])
    u, r = commit_permutation(oracle.h, before)
    claim = ShuffleClaim(h=oracle.h, u=u)
    yield (claim, *prove_claim(claim, before, r, None, oracle))

    kept = np.zeros(5, dtype=np.bool_)
    kept[before[:3]] = True
    rank = np.cumsum(kept) - 1
    permutation = rank[before[:3]]
    keys = group.generator ** group.scalars([7, 9])
    inputs = ciphertexts(group, 3, 2)
    s = group.random_scalars((3, 2), secrecy=Secrecy.ONE_TIME)
    taken = inputs.take(permutation)
    outputs = Ciphertexts(alpha=taken.alpha * group.generator**s, beta=taken.beta * keys**s)
    for chained in (False, True):
        small_u, small_r = (
            (u[kept], r[:3]) if not chained else commit_permutation(oracle.h[:3], permutation)
        )
        claim = ShuffleClaim(
            h=oracle.h[:3],
            u=small_u,
            chained=chained,
            key=keys,
            inputs=inputs,
            outputs=outputs,
        )
        yield (claim, *prove_claim(claim, permutation, small_r, s, oracle))


@pytest.mark.parametrize("kind", [0, 1, 2], ids=["commitments", "consistent", "both"])
@pytest.mark.parametrize("name", ["fast", "long", "ristretto255"])
def test_halves_of_the_proof(kind: int, name: str) -> None:
    group = case(name).group
    oracle = Fixed(group, 5)
    claim, commitment, responses = list(halves(group))[kind]
    verify_claim(claim, commitment, responses, oracle)
    forged = [(changed, responses) for _, changed in tamper.each_field(commitment)]
    forged += [(commitment, changed) for _, changed in tamper.each_field(responses)]
    for first, last in forged:
        with pytest.raises(InvalidProof):
            verify_claim(claim, first, last, oracle)
    assert len(forged) == (5 + 5 + 3 + 5 + 5 + 3, 1 + 4 + 1 + 3 + 2, 6 + 3 + 4 + 6 + 3 + 2)[kind]
    for other in (c for i, (c, _, _) in enumerate(halves(group)) if i != kind):
        with pytest.raises(ShapeMismatch):
            verify_claim(other, commitment, responses, oracle)


def test_claims_are_whole() -> None:
    claim = list(halves(FAST))[1][0]
    assert claim.key is not None
    missing: Any
    for missing in ({"key": None}, {"inputs": None}, {"outputs": None}):
        with pytest.raises(ParameterError):
            dataclasses.replace(claim, **missing)
    with pytest.raises(ParameterError):
        ShuffleClaim(h=claim.h, u=claim.u, chained=False)
    for wrong in (claim.key[:1], claim.key.reshape((1, 2))):
        with pytest.raises(ShapeMismatch):
            dataclasses.replace(claim, key=wrong)
    with pytest.raises(ShapeMismatch):
        dataclasses.replace(claim, u=claim.u[:2])
    for places, r, nonces in (
        (3, claim.u, None),
        (2, claim.u, claim.inputs),
        (3, claim.u[:2], claim.inputs),
        (3, claim.u, claim.u),
    ):
        zeros = [None if x is None else FAST.scalars(np.zeros(x.shape, int)) for x in (r, nonces)]
        assert zeros[0] is not None
        with pytest.raises(ShapeMismatch):
            prove_claim(claim, np.arange(places), zeros[0], zeros[1], Fixed(FAST, 3))
    with pytest.raises(GroupMismatch):
        dataclasses.replace(claim, key=key_of(LONG).element)
    with pytest.raises(ParameterError, match="commitments alone"):
        TranscriptOracle(transcript(FAST)).batching_vector(ShuffleClaim(h=claim.h, u=claim.u))


# -- what a shuffle leaves as it was ---------------------------------------------------------------


def test_unchanged_ciphertexts_are_found() -> None:
    """Attack D7: outputs that equal inputs, in the same place or another."""
    made = case("fast")
    inputs, outputs = made.statement.inputs, made.statement.outputs
    assert unchanged_ciphertexts(inputs, outputs).tolist() == []
    assert unchanged_ciphertexts(inputs, inputs.take([2, 0, 1])).tolist() == [0, 1, 2]
    lazy = concatenate_ciphertexts([outputs[:2], inputs[:1]])
    assert unchanged_ciphertexts(inputs, lazy).tolist() == [2]
    half = Ciphertexts(alpha=inputs.alpha, beta=outputs.beta)  # another message
    assert unchanged_ciphertexts(inputs, half).tolist() == []
    column = concatenate_ciphertexts([outputs[:, :1], inputs[:, 1:]], axis=1)
    assert unchanged_ciphertexts(inputs, column).tolist() == [0, 1, 2]
    assert unchanged_ciphertexts(inputs[:, :1], inputs[:, 1:]).tolist() == []
    assert unchanged_ciphertexts(inputs[:0], outputs[:0]).tolist() == []
    with pytest.raises(ShapeMismatch):
        unchanged_ciphertexts(inputs, outputs[:, :1])


def test_repeated_ciphertexts_are_found() -> None:
    """Attack D2: two inputs that are one, which an honest shuffle would carry through."""
    inputs = ciphertexts(FAST, 4, 2)
    assert repeated_ciphertexts(inputs).tolist() == []
    twice = inputs.take([0, 1, 1, 2, 0])
    assert repeated_ciphertexts(twice).tolist() == [2, 4]
    column = concatenate_ciphertexts([inputs[:, :1], inputs.take([0, 1, 2, 0])[:, 1:]], axis=1)
    assert repeated_ciphertexts(column).tolist() == [3]
    assert repeated_ciphertexts(inputs[:0]).tolist() == []
    with pytest.raises(ShapeMismatch):
        repeated_ciphertexts(inputs[:, 0])


# -- the second verifier ---------------------------------------------------------------------------


def plain_verdict(statement: ShuffleStatement, proof: bytes) -> bool:
    """What the verifier in plain integers says (attack D8)."""
    group, shape = statement.group, statement.shape
    if isinstance(group, ModPGroup):
        theirs: Any = PLAIN.Integers(group.name, group.p, group.q, group.g)
    else:
        theirs = PLAIN.Ristretto
    start = PLAIN.Transcript("test", "DSFS", theirs.name, theirs.parameters)
    start.append("place", b"step 1")
    lists = [
        part.encode()
        for side in (statement.inputs, statement.outputs)
        for part in (side.alpha, side.beta)
    ]
    try:
        PLAIN.verify(theirs, start, shape, statement.key.element.encode(), lists, proof)
    except ValueError:
        return False
    return True


def verdict(statement: ShuffleStatement, data: bytes) -> bool:
    try:
        n, w = statement.shape
        proof = decode_shuffle_proof(statement.group, data, (n, w))
        verify_shuffle(statement, proof, transcript(statement.group))
    except EvoteError:
        return False
    return True


@pytest.mark.parametrize("shape", [(0, 2), (1, 1), (2, 3), (5, 1)])
@pytest.mark.parametrize("name", ["fast", "long", "belenios-2048", "ristretto255"])
def test_the_second_verifier_accepts(name: str, shape: tuple[int, int]) -> None:
    made = case(name, *shape)
    data = made.proof.encode()
    assert verdict(made.statement, data)
    assert plain_verdict(made.statement, data)


@settings(deadline=None, max_examples=200)
@given(st.data())
def test_the_verifiers_agree(data: st.DataObject) -> None:
    """Attack D8: changes of every kind to statement and proof; equal verdicts on each."""
    name = data.draw(st.sampled_from(["fast", "long"]))
    shape = data.draw(st.sampled_from([(1, 1), (2, 1), (3, 2)]))
    made = case(name, *shape)
    statement, proof = made.statement, made.proof.encode()
    kind = data.draw(st.sampled_from(["nothing", "byte", "pieces", "fields", "statement", "cut"]))
    size = made.group.element_size
    if kind == "byte":
        place = data.draw(st.integers(0, len(proof) - 1))
        flipped = proof[place] ^ data.draw(st.integers(1, 255))
        proof = proof[:place] + bytes([flipped]) + proof[place + 1 :]
    elif kind == "pieces":  # two parts exchanged
        first, second = (size * data.draw(st.integers(0, len(proof) // size - 1)) for _ in "ab")
        pieces = [proof[i : i + size] for i in range(0, len(proof), size)]
        i, j = first // size, second // size
        pieces[i], pieces[j] = pieces[j], pieces[i]
        proof = b"".join(pieces)
    elif kind == "fields":
        changes = list(tamper.each_field(made.proof))
        proof = data.draw(st.sampled_from(changes))[1].encode()
    elif kind == "statement":
        statement = data.draw(st.sampled_from(list(tamper.each_field(statement))))[1]
    elif kind == "cut":
        proof = proof[: data.draw(st.integers(0, len(proof) - 1))]
    ours = verdict(statement, proof)
    assert ours == plain_verdict(statement, proof)
    unchanged = statement == made.statement and proof == made.proof.encode()
    assert ours == unchanged


# -- costs -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(20, 1), (20, 3), (40, 1)])
@pytest.mark.parametrize("name", ["ristretto255", "fast"])
def test_costs_are_those_of_the_docstrings(name: str, shape: tuple[int, int]) -> None:
    group = {"fast": FAST}.get(name) or named_group(name)
    n, w = shape
    key, inputs = key_of(group), ciphertexts(group, n, w)
    with group.count() as count:
        outputs, witness = shuffle(key, inputs)
    assert count.fixed == 2 * w * n
    assert (count.variable, count.constant_time, count.multiexp_terms) == (0, 0, 0)
    statement = ShuffleStatement(key=key, inputs=inputs, outputs=outputs)
    with group.count() as count:
        proof = prove_shuffle(statement, witness, transcript(group))
    assert count.fixed + count.variable == 5 * n + 3 + 2 * w
    assert count.multiexp_terms == (1 + 2 * w) * n
    assert count.variable <= 1  # y^phi, where w = 1
    decoded = decode_shuffle_proof(group, proof.encode(), shape)
    with group.count() as count:
        verify_shuffle(statement, decoded, transcript(group))
    assert count.multiexp_terms == (4 + 4 * w) * n + 6 + 2 * w
    assert (count.fixed, count.variable, count.constant_time) == (0, 0, 0)


def test_generators_are_derived_once_for_a_cascade() -> None:
    group = named_group("secp256k1")
    made = make(group, 11, 1)
    with group.count() as count:
        verify_shuffle(made.statement, made.proof, transcript(group))
    assert count.hashes == 0
    h = TranscriptOracle(transcript(group)).generators(group, 11)
    assert h == group.hash_to_elements(b"evote/1/shuffle", 11)


def test_processes_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_executor, "_WORTH_SECONDS", 0.0)  # small calls are sent too
    n = 60
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        made = make(ristretto255.with_executor(pool), n, 1)
        verify_shuffle(made.statement, made.proof, transcript(made.group))
        data = made.proof.encode()
        lists = [x.encode() for x in (made.statement.inputs, made.statement.outputs)]
    statement = ShuffleStatement(
        key=key_of(ristretto255),
        inputs=decode_ciphertexts(ristretto255, lists[0], (n, 1)),
        outputs=decode_ciphertexts(ristretto255, lists[1], (n, 1)),
    )
    plain = decode_shuffle_proof(ristretto255, data, (n, 1))
    verify_shuffle(statement, plain, transcript(ristretto255))


@pytest.mark.parametrize("n", [1, 4, 9])
def test_long_shuffles_are_proven_and_verified_in_parts(
    group: Group, n: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Packed lists, computed and multiplied some at a time; a false statement still fails."""
    if group.order < 2**200:
        pytest.skip("in a tiny group a false proof may hold")
    before = make(group, n, 2)
    for name in ("_PART", "_COMPUTED"):
        monkeypatch.setattr(_terelius_wikstrom, name, 3)
    monkeypatch.setattr(mixnet, "_GENERATED", 2)
    monkeypatch.setattr(mixnet, "_kept", {})
    for made in (before, make(group, n, 2)):
        proof = decode_shuffle_proof(group, made.proof.encode(), (n, 2), packed=True)
        assert proof == made.proof
        verify_shuffle(made.statement, proof, transcript(group))
        wrong = dataclasses.replace(made.statement, outputs=made.statement.inputs)
        with pytest.raises(InvalidProof):
            verify_shuffle(wrong, proof, transcript(group))
    known = mixnet._generators(group, n)
    assert mixnet._generators(group, n + 3)[:n] == known == mixnet._generators(group, n)
    assert known == group.hash_to_elements(b"evote/1/shuffle", n)


def test_nonces_of_a_shuffle() -> None:
    """As docs/record-format.md says, in blocks that are numbered within numbered calls."""
    entropy, parts = bytes(range(32)), (b"witness", b"statement")
    framed = b"".join(
        len(part).to_bytes(4, "little") + part
        for part in (b"evote/1/proof-nonces", entropy, *parts)
    )
    seed = hashlib.sha256(framed).digest()
    rng = hedged_rng(lambda size: entropy[:size], *parts)
    for call, size in enumerate((0, 1, 167, 168, 169, 5000)):
        blocks = [
            hashlib.shake_128(seed + call.to_bytes(4, "little") + i.to_bytes(4, "little")).digest(
                168
            )
            for i in range(30)
        ]
        assert rng(size) == b"".join(blocks)[:size]
    # One source that repeats itself, and three statements.
    stuck = [hedged_rng(bytes, *changed)(64) for changed in (parts, parts[:1], (b"w", parts[1]))]
    assert len(set(stuck)) == 3
    assert hedged_rng(None, *parts)(64) != hedged_rng(None, *parts)(64)
    with pytest.raises(ParameterError, match="returned 31 bytes"):
        hedged_rng(lambda size: bytes(31), *parts)
