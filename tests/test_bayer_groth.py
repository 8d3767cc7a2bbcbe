"""The shuffle argument of Bayer and Groth: honest ones, every field changed, forgers, costs.

Attacks D4 to D6.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from evote._bayer_groth import (
    BayerGrothProof,
    WideCiphertexts,
    best_dimensions,
    pad,
    powers,
)
from evote.elgamal import Ciphertexts, PublicKey, encrypt, key_from_exponent, reencrypt_with_nonces
from evote.errors import DecodingError, EvoteError, GroupMismatch, InvalidProof, ShapeMismatch
from evote.groups import Elements, Group, Scalars, Secrecy, concatenate, modp_group, ristretto255
from evote.mixnet import (
    ShuffleStatement,
    ShuffleWitness,
    decode_bayer_groth_proof,
    prove_shuffle,
    prove_shuffle_bayer_groth,
    shuffle,
    verify_shuffle_bayer_groth,
)
from evote.testing import tamper
from evote.transcript import Transcript

_Q = 2**64 + 493
FAST = modp_group(2 * _Q + 1, _Q, 4, allow_weak=True)  # one forgery in 2^64 verifies
FILLED = next(n for n in range(20, 99) if math.prod(best_dimensions(FAST, n, 1)) > n)
SHAPES = [(0, 1), (1, 1), (1, 3), (2, 1), (3, 2), (5, 1), (13, 1), (24, 1), (60, 2)]


def transcript(group: Group, place: bytes = b"step 1") -> Transcript:
    made = Transcript(b"test", group)
    made.append(b"place", place)
    return made


def key_of(group: Group) -> PublicKey:
    return key_from_exponent(group.scalars(7, secrecy=Secrecy.LONG_TERM)).public


def ciphertexts(group: Group, n: int, w: int) -> Ciphertexts:
    messages = group.generator ** group.random_scalars((n, w), secrecy=Secrecy.ONE_TIME)
    return encrypt(key_of(group), messages)[0]


@dataclasses.dataclass
class Case:
    """An honest shuffle, and its proof."""

    statement: ShuffleStatement
    witness: ShuffleWitness
    proof: BayerGrothProof


@functools.cache
def make(group: Group, n: int, w: int) -> Case:
    key, inputs = key_of(group), ciphertexts(group, n, w)
    outputs, witness = shuffle(key, inputs)
    statement = ShuffleStatement(key=key, inputs=inputs, outputs=outputs)
    proof = prove_shuffle_bayer_groth(statement, witness, transcript(group))
    return Case(statement, witness, proof)


@pytest.mark.parametrize(("n", "w"), SHAPES)
@pytest.mark.parametrize("group", [FAST, ristretto255], ids=lambda group: group.name)
def test_honest_proofs_verify(group: Group, n: int, w: int) -> None:
    case = make(group, n, w)
    verify_shuffle_bayer_groth(case.statement, case.proof, transcript(group))
    data = case.proof.encode()
    decoded = decode_bayer_groth_proof(group, data, (n, w))
    assert decoded.encode() == data
    verify_shuffle_bayer_groth(case.statement, decoded, transcript(group))


def test_prover_and_verifier_leave_the_same_transcript() -> None:
    case = make(FAST, 24, 1)
    first, second = transcript(FAST), transcript(FAST)
    proof = prove_shuffle_bayer_groth(case.statement, case.witness, first)
    verify_shuffle_bayer_groth(case.statement, proof, second)
    assert first.squeeze(b"end", 32) == second.squeeze(b"end", 32)


def test_a_random_source_that_repeats_itself() -> None:
    """The same 32 bytes give the same proof, and other nonces under other challenges."""
    case = make(FAST, 24, 1)
    first, again, other = (
        prove_shuffle_bayer_groth(case.statement, case.witness, transcript(FAST, place), rng=bytes)
        for place in (b"here", b"here", b"there")
    )
    assert first.encode() == again.encode()
    assert not first.c_a.equal_mask(other.c_a).any()


def test_another_transcript() -> None:
    case = make(FAST, 24, 1)
    with pytest.raises(InvalidProof):
        verify_shuffle_bayer_groth(case.statement, case.proof, transcript(FAST, b"step 2"))


@pytest.mark.parametrize(("n", "w"), [(1, 1), (5, 1), (24, 1), (41, 2)])
def test_every_field_counts(n: int, w: int) -> None:
    case = make(FAST, n, w)
    changes = 0
    for where, (statement, proof) in tamper.each_field((case.statement, case.proof)):
        with pytest.raises(InvalidProof):
            verify_shuffle_bayer_groth(statement, proof, transcript(FAST))
        changes += where != ""
    m, _ = best_dimensions(FAST, n, w)
    assert (m > 1) == (n > 20)
    assert changes > 4 * n * w


def test_the_failure_is_named() -> None:
    case = make(FAST, 24, 1)
    last = case.proof.multi_exponentiation
    forged = dataclasses.replace(
        case.proof, multi_exponentiation=dataclasses.replace(last, tau=last.tau + 1)
    )
    with pytest.raises(InvalidProof, match=r"shuffle \(multi-exponentiation: E\)"):
        verify_shuffle_bayer_groth(case.statement, forged, transcript(FAST))


# -- forgers ---------------------------------------------------------------------------------------


def forge(
    n: int, w: int, permutation: list[int], change: Callable[[Ciphertexts], Ciphertexts]
) -> tuple[ShuffleStatement, BayerGrothProof]:
    """The honest prover, for outputs that are not those of its permutation."""
    key, inputs = key_of(FAST), ciphertexts(FAST, n, w)
    nonces = FAST.random_scalars((n, w), secrecy=Secrecy.ONE_TIME)
    outputs = change(reencrypt_with_nonces(key, inputs.take(permutation), nonces))
    statement = ShuffleStatement(key=key, inputs=inputs, outputs=outputs)
    witness = ShuffleWitness(permutation=np.arange(n), nonces=nonces)
    object.__setattr__(witness, "permutation", np.array(permutation))
    return statement, prove_shuffle_bayer_groth(statement, witness, transcript(FAST))


def same(outputs: Ciphertexts) -> Ciphertexts:
    return outputs


@pytest.mark.parametrize("n", [4, 24])
def test_forger_is_the_honest_prover(n: int) -> None:
    statement, proof = forge(n, 2, [*range(1, n), 0], same)
    verify_shuffle_bayer_groth(statement, proof, transcript(FAST))


@pytest.mark.parametrize("n", [4, 24])
def test_an_input_twice(n: int) -> None:
    """Attack D4."""
    statement, proof = forge(n, 1, [0, 0, *range(2, n)], same)
    with pytest.raises(InvalidProof, match="single value"):
        verify_shuffle_bayer_groth(statement, proof, transcript(FAST))


@pytest.mark.parametrize("column", [0, 1, 2])
def test_a_column_in_another_order(column: int) -> None:
    """Attack D5."""

    def swap(outputs: Ciphertexts) -> Ciphertexts:
        def swapped(part: Elements) -> Elements:
            places = np.arange(part.size).reshape(part.shape)
            places[[0, 1], column] = places[[1, 0], column]
            return part.reshape((part.size,)).take(places)

        return Ciphertexts(alpha=swapped(outputs.alpha), beta=swapped(outputs.beta))

    statement, proof = forge(24, 3, list(range(24)), swap)
    with pytest.raises(InvalidProof, match="multi-exponentiation"):
        verify_shuffle_bayer_groth(statement, proof, transcript(FAST))


def test_a_trivial_ciphertext_does_not_replace_another() -> None:
    """What fills the matrix up is in the statement, and no output of the prover's choice."""
    n, w = FILLED, 1
    one = FAST.identity((1, 1))

    def replace(outputs: Ciphertexts) -> Ciphertexts:
        return Ciphertexts(
            alpha=concatenate([outputs.alpha[: n - 1], one]),
            beta=concatenate([outputs.beta[: n - 1], one]),
        )

    statement, proof = forge(n, w, list(range(n)), replace)
    with pytest.raises(InvalidProof):
        verify_shuffle_bayer_groth(statement, proof, transcript(FAST))


# -- degenerate shapes -----------------------------------------------------------------------------


def test_parts_that_are_not_used_or_missing() -> None:
    """Attack D6."""
    one, several = make(FAST, 5, 1), make(FAST, 24, 1)
    donor = several.proof.product
    for names in (("c_b",), ("hadamard",), ("c_b", "hadamard")):
        parts: dict[str, Any] = {name: getattr(donor, name) for name in names}
        product = dataclasses.replace(one.proof.product, **parts)
        with pytest.raises(ShapeMismatch, match="no c_b and no hadamard"):
            verify_shuffle_bayer_groth(
                one.statement, dataclasses.replace(one.proof, product=product), transcript(FAST)
            )
        missing: dict[str, Any] = dict.fromkeys(names)
        product = dataclasses.replace(donor, **missing)
        with pytest.raises(ShapeMismatch, match="c_b and a hadamard argument expected"):
            verify_shuffle_bayer_groth(
                several.statement,
                dataclasses.replace(several.proof, product=product),
                transcript(FAST),
            )


def test_arrays_of_other_lengths() -> None:
    """Every array of the proof, one entry longer and one shorter, or of one more axis."""
    case = make(FAST, 24, 1)
    changes = 0
    for where, part in arrays(case.proof):
        for other in (
            [concatenate([part, part[:1]]), part[1:], part[None]] if part.ndim else [part[None]]
        ):
            with pytest.raises(ShapeMismatch):
                verify_shuffle_bayer_groth(
                    case.statement, replaced(case.proof, where, other), transcript(FAST)
                )
            changes += 1
    assert changes > 50


def arrays(value: Any, where: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], Any]]:
    if isinstance(value, Elements | Scalars):
        return [(where, value)]
    names = [f.name for f in dataclasses.fields(value)]
    return [found for name in names for found in arrays(getattr(value, name), (*where, name))]


def replaced(value: Any, where: tuple[str, ...], new: Any) -> Any:
    if not where:
        return new
    inner = replaced(getattr(value, where[0]), where[1:], new)
    if isinstance(value, WideCiphertexts):  # the other part of the pair follows
        other = "beta" if where[0] == "alpha" else "alpha"
        return WideCiphertexts(**{where[0]: inner, other: inner})
    return dataclasses.replace(value, **{where[0]: inner})


def test_arrays_of_another_group() -> None:
    case, other = make(FAST, 24, 1), make(ristretto255, 24, 1)
    foreign = dict(arrays(other.proof))
    for where, _ in arrays(case.proof):
        with pytest.raises(GroupMismatch):
            verify_shuffle_bayer_groth(
                case.statement, replaced(case.proof, where, foreign[where]), transcript(FAST)
            )


def test_proofs_for_another_number_of_ciphertexts() -> None:
    """Statements that fill the same matrix are different statements."""
    case = make(FAST, FILLED, 1)
    m, n = best_dimensions(FAST, FILLED, 1)
    assert m * n > FILLED
    assert best_dimensions(FAST, m * n, 1) == (m, n)
    inputs, outputs = (
        pad(WideCiphertexts(alpha=c.alpha, beta=c.beta), m * n)
        for c in (case.statement.inputs, case.statement.outputs)
    )
    longer = ShuffleStatement(
        key=case.statement.key,
        inputs=Ciphertexts(alpha=inputs.alpha, beta=inputs.beta),
        outputs=Ciphertexts(alpha=outputs.alpha, beta=outputs.beta),
    )
    with pytest.raises(InvalidProof):
        verify_shuffle_bayer_groth(longer, case.proof, transcript(FAST))


# -- bytes -----------------------------------------------------------------------------------------


def test_bytes_that_are_no_proof() -> None:
    case = make(ristretto255, 5, 1)
    data = case.proof.encode()
    for other in (b"", data[:-1], data + b"\0", data[32:]):
        with pytest.raises(DecodingError, match="bytes expected"):
            decode_bayer_groth_proof(ristretto255, other, (5, 1), where="proof")
    with pytest.raises(DecodingError, match="proof: not a group element at index 0"):
        decode_bayer_groth_proof(ristretto255, bytes(32) + data[32:], (5, 1), where="proof")
    with pytest.raises(DecodingError, match="not below the order"):
        decode_bayer_groth_proof(ristretto255, data[:-32] + b"\xff" * 32, (5, 1))
    for shape in ((4, 1), (6, 1), (5, 2)):
        with pytest.raises(DecodingError):
            decode_bayer_groth_proof(ristretto255, data, shape)
    with pytest.raises(EvoteError):
        decode_bayer_groth_proof(ristretto255, data, (-1, 1))
    with pytest.raises(EvoteError):
        decode_bayer_groth_proof(ristretto255, data, (5, 0))


def test_every_byte_counts() -> None:
    case = make(ristretto255, 3, 1)
    data = case.proof.encode()
    for _, forged in list(tamper.each_byte(data))[::17]:
        with pytest.raises((InvalidProof, DecodingError)):
            check(case.statement, forged)


def check(statement: ShuffleStatement, data: bytes) -> None:
    group, (n, w) = statement.group, statement.shape
    proof = decode_bayer_groth_proof(group, data, (n, w))
    verify_shuffle_bayer_groth(statement, proof, transcript(group))


# -- costs -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("w", [1, 3])
@pytest.mark.parametrize("n", [1, 2, 10, 97, 1000, 4999])
def test_no_other_dimensions_are_shorter(n: int, w: int) -> None:
    def size(m: int, columns: int) -> int:
        elements = 2 * m + 3 + 2 * m + 4 * m * w + (3 * m + 3 if m > 1 else 0)
        return elements + 3 * columns + 4 + 2 * w + (2 * columns + 3 if m > 1 else 0)

    m, columns = best_dimensions(ristretto255, n, w)
    assert m * columns >= n
    assert columns >= max(2, w)
    best = min(size(k, max(2, w, -(-n // k))) for k in range(1, n + 2))
    assert size(m, columns) == best


def test_proofs_grow_with_the_square_root() -> None:
    small, large = make(ristretto255, 24, 1), make(ristretto255, 240, 1)
    assert len(large.proof.encode()) < 4 * len(small.proof.encode())
    case = large
    usual = prove_shuffle(case.statement, case.witness, transcript(ristretto255))
    assert len(case.proof.encode()) < len(usual.encode()) / 4


@pytest.mark.parametrize(("n", "w"), [(60, 1), (60, 2)])
def test_operations_of_the_verifier(n: int, w: int) -> None:
    case = make(FAST, n, w)
    m, columns = best_dimensions(FAST, n, w)
    with FAST.count() as count:
        verify_shuffle_bayer_groth(case.statement, case.proof, transcript(FAST))
    assert count.multiexp_terms <= 4 * w * m * columns + m * (12 + 4 * w) + 4 * columns + 30
    assert count.variable + count.fixed <= 3 * m + 2
    assert count.constant_time == 0


def test_operations_of_the_prover() -> None:
    case = make(FAST, 60, 1)
    m, columns = best_dimensions(FAST, 60, 1)
    with FAST.count() as count:
        prove_shuffle_bayer_groth(case.statement, case.witness, transcript(FAST))
    assert count.multiexp_terms <= 2 * (m + 2) * m * columns + 8 * (m + 2) * columns
    assert count.constant_time == 0


def test_powers() -> None:
    x = FAST.scalars(3)
    assert powers(x, 4).to_ints() == [1, 3, 9, 27]
    assert powers(x, 3, 1).to_ints() == [3, 9, 27]
    assert powers(x, 1).to_ints() == [1]
