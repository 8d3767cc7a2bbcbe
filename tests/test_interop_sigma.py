"""The draft's P-256 proofs, proved again byte for byte, and everything its verifier must refuse."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from evote.encoding import uint32
from evote.errors import (
    DecodingError,
    EvoteError,
    GroupMismatch,
    InvalidProof,
    ParameterError,
    ShapeMismatch,
)
from evote.groups import Elements, Scalars, Secrecy, concatenate, ristretto255
from evote.interop.sigma import (
    P256,
    SUITE,
    Equation,
    Instance,
    decode_instance,
    prove,
    prove_with_nonces,
    verify,
    verify_all,
)
from evote.transcript import Sponge, decode_uint, derive_session_id

if TYPE_CHECKING:
    from tests.conftest import Vectors

TAG = b"test-DSFS-with-" + SUITE
SMALL = b"test-CMPT-with-" + SUITE
SECRETS = P256.scalars([1234567, 2**200 + 1])


def points(*exponents: int) -> Elements:
    return P256.generator ** P256.scalars(list(exponents))


def pedersen(message: int = 1234567, opening: int = 2**200 + 1) -> Instance:
    """C = m G + r H, and D = r G."""
    h = P256.hash_to_elements(b"h", 1)
    c = points(message) * h ** P256.scalars(opening)
    return Instance(
        elements=concatenate([points(1), h, c, points(opening)]),
        equations=(
            Equation(image=((2, 1),), terms=((0, 0, 1), (1, 1, 1))),
            Equation(image=((3, 1),), terms=((1, 0, 1),)),
        ),
    )


INSTANCE = pedersen()
PROOF = prove(INSTANCE, SECRETS, TAG)
COMPACT = prove(INSTANCE, SECRETS, SMALL, compact=True)


def drawn(flavour: str, relation: str, count: int) -> Scalars:
    """The draft's deterministic generator, for its vectors only."""
    suite = SUITE.decode()
    sponge = Sponge(
        derive_session_id(f"TestDRNG-SIGMA-PROOFS-{flavour}-{suite}-{relation}".encode())
    )
    numbers = [decode_uint(sponge.squeeze(48), P256.order) for _ in range(count)]
    return P256.scalars(numbers, secrecy=Secrecy.ONE_TIME)


# -- known answers -------------------------------------------------------------------------------


def test_every_vector_of_the_draft(vectors: Vectors) -> None:
    known = vectors.json("sigma/sigma-proofs_Shake128_P256.json")
    assert len(known) == 14
    batch: list[tuple[Instance, bytes, bytes]] = []
    for vector in known:
        assert (vector["Ciphersuite"], vector["Expected"]) == (SUITE.decode(), "accept")
        compact, tag = vector["Flavor"] == "compact", vector["Tag"].encode()
        data, proof = bytes.fromhex(vector["Instance"]), bytes.fromhex(vector["NargString"])
        assert derive_session_id(tag).hex() == vector["SessionId"]
        instance = decode_instance(data)
        assert instance.encode() == data
        verify(instance, proof, tag, compact=compact)
        witness = P256.decode_secret_scalars(bytes.fromhex(vector["Witness"]))
        nonces = drawn("CMPT" if compact else "DSFS", vector["Relation"], len(witness))
        assert prove_with_nonces(instance, witness, nonces, tag, compact=compact) == proof
        again = prove(instance, witness, tag, compact=compact)
        assert again != proof
        verify(instance, again, tag, compact=compact)
        if not compact:
            batch.append((instance, proof, tag))
        altered = bytes([*proof[:-1], proof[-1] ^ 1])
        with pytest.raises(InvalidProof):
            verify(instance, altered, tag, compact=compact)
    assert len(batch) == 7
    instances, proofs, tags = (list(column) for column in zip(*batch, strict=True))
    verify_all(instances, proofs, tags)
    with pytest.raises(InvalidProof) as caught:
        verify_all(instances, proofs, [*tags[:5], tags[6], tags[6]])
    assert caught.value.indices == (5,)


# -- proofs --------------------------------------------------------------------------------------


def test_both_flavours() -> None:
    verify(INSTANCE, PROOF, TAG)
    verify(INSTANCE, COMPACT, SMALL, compact=True)
    assert len(PROOF) == 33 * 2 + 32 * 2
    assert len(COMPACT) == 32 * 3
    assert prove(INSTANCE, SECRETS, TAG) != PROOF
    constant = [prove(INSTANCE, SECRETS, TAG, rng=lambda n: b"\1" * n) for _ in range(2)]
    assert constant[0] == constant[1]
    other = prove(pedersen(1234568), P256.scalars([1234568, 2**200 + 1]), TAG, rng=bytes)
    assert other[:33] != prove(INSTANCE, SECRETS, TAG, rng=bytes)[:33]  # hedged
    secret = SECRETS.mark(Secrecy.LONG_TERM)
    with P256.count() as count:
        verify(INSTANCE, prove(INSTANCE, secret, TAG), TAG)
    assert count.constant_time == 3


def test_a_proof_holds_for_nothing_else() -> None:
    false = P256.scalars([1, 2])  # proved all the same
    wrong: list[tuple[Instance, bytes, bytes, bytes]] = [
        (pedersen(1234568), PROOF, COMPACT, b""),
        (pedersen(1234567, 2**200 + 2), PROOF, COMPACT, b""),
        (replaced(equations=INSTANCE.equations[::-1]), PROOF, COMPACT, b""),
        (INSTANCE, PROOF, COMPACT, b"!"),
        (INSTANCE, prove(INSTANCE, false, TAG), prove(INSTANCE, false, SMALL, compact=True), b""),
    ]
    for instance, proof, small, more in wrong:
        with pytest.raises(InvalidProof):
            verify(instance, proof, TAG + more)
        with pytest.raises(InvalidProof):
            verify(instance, small, SMALL + more, compact=True)
    for compact, tag in ((False, SMALL), (True, TAG), (False, b"DSFS"), (True, b"CMPT")):
        with pytest.raises(ParameterError, match="a tag holds"):
            verify(INSTANCE, COMPACT if compact else PROOF, tag, compact=compact)
        with pytest.raises(ParameterError, match="a tag holds"):
            prove(INSTANCE, SECRETS, tag, compact=compact)


def test_the_other_flavour_is_refused() -> None:
    both = b"DSFS-CMPT-" + SUITE
    proof, small = prove(INSTANCE, SECRETS, both), prove(INSTANCE, SECRETS, both, compact=True)
    with pytest.raises(DecodingError):
        verify(INSTANCE, proof, both, compact=True)
    with pytest.raises(DecodingError):
        verify(INSTANCE, small, both)


@pytest.mark.parametrize("compact", [False, True])
def test_malformed_proofs(compact: bool) -> None:
    proof, tag = (COMPACT, SMALL) if compact else (PROOF, TAG)
    over = (P256.order + 5).to_bytes(32, "big")
    bad = [b"", proof[:-1], proof + b"\0", proof * 2, proof[:-32] + over]
    if compact:
        bad.append(over + proof[32:])
    else:
        x = proof[1:33]
        bad += [tag + x + proof[33:] for tag in (b"\0", b"\1", b"\4", b"\6", b"\7")]
        bad += [bytes(33) + proof[33:], b"\2" + b"\xff" * 32 + proof[33:]]
        bad.append(b"\2" + (1).to_bytes(32, "big") + proof[33:])  # x = 1 is not on the curve
    for data in bad:
        with pytest.raises(DecodingError):
            verify(INSTANCE, data, tag, compact=compact)
    for i in range(0, len(proof), 7):
        data = proof[:i] + bytes([proof[i] ^ 4]) + proof[i + 1 :]
        with pytest.raises((DecodingError, InvalidProof)):
            verify(INSTANCE, data, tag, compact=compact)


def test_a_compact_proof_of_the_identity_is_refused() -> None:
    """z = c x gives T = 1 with no knowledge of c: the verifier must not even hash it."""
    simple = Instance(
        elements=points(1, 7), equations=(Equation(image=((1, 1),), terms=((0, 0, 1),)),)
    )
    witness = P256.scalars([7])
    with pytest.raises(ParameterError, match="identity"):
        prove_with_nonces(simple, witness, P256.scalars([0]), SMALL, compact=True)
    challenge = P256.scalars([99])
    forged = challenge.encode() + (challenge * witness).encode()
    with pytest.raises(InvalidProof):
        verify(simple, forged, SMALL, compact=True)
    verify(simple, prove(simple, witness, SMALL, compact=True), SMALL, compact=True)


def test_witnesses_have_the_shape_of_the_secrets() -> None:
    for scalars in (SECRETS[:1], SECRETS[0], SECRETS.reshape((1, 2)), P256.scalars([1, 2, 3])):
        with pytest.raises(ShapeMismatch):
            prove(INSTANCE, scalars, TAG)
        with pytest.raises(ShapeMismatch):
            prove_with_nonces(INSTANCE, SECRETS, scalars, TAG)
    with pytest.raises(GroupMismatch):
        prove(INSTANCE, ristretto255.scalars([1, 2]), TAG)


def test_batches_name_the_false() -> None:
    verify_all([], [], [])
    count = 6
    tags = [TAG + bytes([65 + i]) for i in range(count)]
    proofs = [prove(INSTANCE, SECRETS, tag) for tag in tags]
    instances = [INSTANCE] * count
    with P256.count() as cost:
        verify_all(instances, proofs, tags)
    assert cost.variable == cost.fixed == 0  # one multi-exponentiation
    forged = list(proofs)
    forged[1] = proofs[1][:-1] + bytes([proofs[1][-1] ^ 1])
    forged[4] = proofs[3]
    with pytest.raises(InvalidProof) as caught:
        verify_all(instances, forged, tags)
    assert caught.value.indices == (1, 4)
    with pytest.raises(DecodingError, match=r"proofs\[2\]"):
        verify_all(instances, [*proofs[:2], b"", *proofs[3:]], tags)
    for short in ((instances[1:], proofs, tags), (instances, proofs[1:], tags)):
        with pytest.raises(ShapeMismatch):
            verify_all(*short)


def test_errors_that_cancel_are_found() -> None:
    """Attack A7: two responses moved against each other."""
    tags = [TAG, TAG + b"2"]
    proofs = [bytearray(prove(INSTANCE, SECRETS, tag)) for tag in tags]
    for proof, delta in zip(proofs, (1, -1), strict=True):
        z = int.from_bytes(proof[-32:], "big") + delta
        proof[-32:] = (z % P256.order).to_bytes(32, "big")
    with pytest.raises(InvalidProof) as caught:
        verify_all([INSTANCE] * 2, [bytes(p) for p in proofs], tags)
    assert caught.value.indices == (0, 1)


# -- instances -----------------------------------------------------------------------------------


def replaced(**changes: Any) -> Instance:
    fields: dict[str, Any] = {
        "elements": INSTANCE.elements,
        "equations": INSTANCE.equations,
    } | changes
    return Instance(**fields)


def test_instances_that_are_refused() -> None:
    first, second = INSTANCE.equations
    x = INSTANCE.elements
    h = x[1:2]
    cancelled = concatenate([points(1), h, h.inverse(), points(5, 6)])
    cases: list[tuple[Callable[[], Instance], str]] = [
        (lambda: replaced(equations=()), "without equations"),
        (lambda: replaced(equations=(first, replace(second, image=()))), "empty side"),
        (lambda: replaced(equations=(first, replace(second, terms=()))), "empty side"),
        (lambda: replaced(equations=(first, replace(second, image=((4, 1),)))), "beyond"),
        (lambda: replaced(equations=(first, replace(second, image=((-1, 1),)))), "beyond"),
        (lambda: replaced(equations=(first, replace(second, terms=((1, 9, 1),)))), "beyond"),
        (lambda: replaced(equations=(first,)), "no equation speaks of"),
        (lambda: replaced(equations=(first, replace(second, terms=((3, 0, 1),)))), "without gaps"),
        (lambda: replaced(elements=concatenate([x[1:2], x[1:]])), "is the generator"),
        (lambda: replaced(elements=concatenate([x[:2], P256.identity((1,)), x[3:]])), "identity"),
        (lambda: replaced(equations=(first, replace(second, image=((3, 0),)))), "image"),
        (lambda: replaced(equations=(first, replace(second, image=((3, 1), (3, -1))))), "image"),
        (
            lambda: Instance(
                elements=cancelled,
                equations=(
                    Equation(image=((3, 1),), terms=((0, 0, 1), (1, 1, 1), (1, 2, 1))),
                    Equation(image=((4, 1),), terms=((0, 0, 1),)),
                ),
            ),
            "bases of secret 1",
        ),
    ]
    for make, reason in cases:
        with pytest.raises(ParameterError, match=reason):
            make()
    with pytest.raises(ShapeMismatch):
        replaced(elements=x.reshape((2, 2)))
    with pytest.raises(GroupMismatch):
        replaced(elements=ristretto255.generator.reshape((1,)))
    once = Instance(  # the bases of secret 1 cancel in one equation of two: that is allowed
        elements=cancelled,
        equations=(
            Equation(image=((3, 1),), terms=((0, 0, 1), (1, 1, 1), (1, 2, 1))),
            Equation(image=((4, 1),), terms=((1, 0, 1),)),
        ),
    )
    verify(once, prove(once, P256.scalars([5, 6]), TAG), TAG)


def test_encoded_instances() -> None:
    data = INSTANCE.encode()
    again = decode_instance(data)
    assert again.elements == INSTANCE.elements
    assert again.equations == INSTANCE.equations
    one = (1).to_bytes(32, "big")
    schnorr = uint32(1) + uint32(1) + uint32(1) + one + uint32(1) + uint32(0) * 2 + one
    simple = schnorr + points(7).encode()
    verify(decode_instance(simple), prove(decode_instance(simple), P256.scalars([7]), TAG), TAG)
    over = P256.order.to_bytes(32, "big")
    for bad in (
        b"",
        data[:-1],
        data[:-33],
        data + b"\0",
        data + points(3).encode(),  # an element nobody speaks of
        simple.replace(one, over, 1),
        schnorr + bytes(33),
        schnorr + b"\2" + b"\xff" * 32,
        b"\xff\xff\xff\xff" + simple[4:],
        simple[:4] + b"\xff\xff\xff\xff" + simple[8:],
        uint32(0) + simple[4:],
        *(data[:n] for n in range(0, len(data), 11)),
    ):
        with pytest.raises(DecodingError) as caught:
            decode_instance(bad, where="$.instance")
        assert caught.value.where == "$.instance"


def test_every_byte_of_an_instance_counts() -> None:
    data = INSTANCE.encode()
    for i in range(len(data)):
        altered = data[:i] + bytes([data[i] ^ 1]) + data[i + 1 :]
        with pytest.raises(EvoteError):
            verify(decode_instance(altered), PROOF, TAG)


def test_instances_hash_in_one_way() -> None:
    """The same relation otherwise written has other bytes, and needs its own proof."""
    first, second = INSTANCE.equations
    turned = replaced(equations=(replace(first, terms=first.terms[::-1]), second))
    doubled = replaced(equations=(first, Equation(image=((3, 2),), terms=((1, 0, 2),))))
    for instance in (turned, doubled):
        assert instance.encode() != INSTANCE.encode()
        with pytest.raises(InvalidProof):
            verify(instance, PROOF, TAG)
        verify(instance, prove(instance, SECRETS, TAG), TAG)
