"""The sponge against the draft's vectors, and transcripts that never collide; attacks A5, A8."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from evote.encoding import frame, uint32
from evote.errors import DecodingError, GroupMismatch, ParameterError, ShapeMismatch
from evote.groups import GROUP_NAMES, Group, Secrecy, named_group, ristretto255
from evote.transcript import (
    Sponge,
    Transcript,
    Transcripts,
    decode_uint,
    derive_session_id,
    deserialize_field,
    deserialize_uint,
    deserialize_varlen,
    draw_challenges,
    encode_shape,
    serialize_field,
    serialize_uint,
    serialize_varlen,
    weights_from_bytes,
)

REJECTED = (DecodingError, ParameterError)


def number(vector: dict[str, Any], key: str) -> int:
    return int(vector[key], 16)


def read(vectors: Any, name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = vectors.json(f"sigma/{name}")
    return found


def run_sponge(vector: dict[str, Any]) -> bytes:
    sponge = Sponge(bytes.fromhex(vector["SessionId"]))
    output = b""
    for operation in vector["Operations"]:
        if operation["type"] == "absorb":
            sponge.absorb(bytes.fromhex(operation["data"]))
        else:
            output += sponge.squeeze(operation["length"])
    return output


def run_sumcheck(vector: dict[str, Any]) -> int:
    """The draft's sumcheck verifier, which uses every codec; returns the final evaluation."""
    modulus, rounds = number(vector, "Modulus"), vector["NumVariables"]
    claim, proof = number(vector, "ClaimedSum"), bytes.fromhex(vector["Narg"])
    sponge = Sponge(bytes.fromhex(vector["SessionId"]))
    sponge.absorb(uint32(rounds) + serialize_uint(claim, modulus))
    if len(proof) != 8 * rounds:
        raise DecodingError("a proof of another length")
    for start in range(0, 8 * rounds, 8):
        piece = proof[start : start + 8]
        c0, c1 = deserialize_field(piece, modulus, 2)
        if (2 * c0 + c1 - claim) % modulus:
            raise DecodingError("round identity")
        sponge.absorb(piece)
        claim = (c0 + c1 * decode_uint(sponge.squeeze(4), modulus)) % modulus
    return claim


def run_codec(vector: dict[str, Any]) -> None:
    function, given_bytes = vector["Function"], bytes.fromhex(vector.get("Input", ""))
    if function == "SerializeVarLenString":
        assert serialize_varlen(given_bytes).hex() == vector["Output"]
        assert deserialize_varlen(serialize_varlen(given_bytes)) == (given_bytes, b"")
    elif function == "DeserializeVarLenString":
        deserialize_varlen(given_bytes)
    elif function == "SerializeUint":
        modulus = number(vector, "Modulus")
        data = serialize_uint(number(vector, "Value"), modulus)
        assert data.hex() == vector["Output"]
        assert deserialize_uint(data, modulus) == number(vector, "Value")
    elif function == "DeserializeUint":
        deserialize_uint(given_bytes, number(vector, "Modulus"))
    elif function == "SerializeField":  # the P-256 suite alone writes scalars big-endian
        data = serialize_uint(number(vector, "Value"), number(vector, "Modulus"))
        assert data[::-1].hex() == vector["Output"]
    elif function == "DeserializeField":
        modulus, degree = number(vector, "Modulus"), vector["ExtensionDegree"]
        coordinates = deserialize_field(given_bytes, modulus, degree)
        assert coordinates == [int(x, 16) for x in vector["Coordinates"]]
        assert serialize_field(coordinates, modulus) == given_bytes
    elif function == "DecodeUint":
        assert decode_uint(given_bytes, number(vector, "Modulus")) == number(vector, "Challenge")
    else:
        assert function == "Sumcheck"
        run_sumcheck(vector)


def test_codec_vectors(vectors: Any) -> None:
    cases = read(vectors, "fiatShamirCodecVectors.json")
    assert len(cases) == 13
    for vector in cases:
        if vector.get("Expected") == "reject":
            with pytest.raises(REJECTED):
                run_codec(vector)
        else:
            run_codec(vector)


def test_sponge_vectors(vectors: Any) -> None:
    cases = read(vectors, "fiatShamirShake128Vectors.json")
    assert len(cases) == 13
    for vector in cases:
        function = vector["Function"]
        if function == "DeriveSessionID":
            assert derive_session_id(bytes.fromhex(vector["Tag"])).hex() == vector["Output"]
        elif function == "Sumcheck":
            tag = bytes.fromhex(vector["Tag"])
            assert derive_session_id(tag).hex() == vector["SessionId"]
            if vector.get("Expected") == "reject":
                with pytest.raises(REJECTED):
                    run_sumcheck(vector)
            else:
                assert run_sumcheck(vector) == number(vector, "FinalEvaluation")
        else:
            output = run_sponge(vector)
            assert output.hex() == vector["Output"], vector["Id"]
            if function == "DecodeUint":
                challenge = decode_uint(output, number(vector, "Modulus"))
                assert challenge == number(vector, "Challenge")


def test_session_ids_of_the_proof_vectors(vectors: Any) -> None:
    for vector in read(vectors, "sigma-proofs_Shake128_P256.json"):
        assert derive_session_id(vector["Tag"].encode("ascii")).hex() == vector["SessionId"]


def test_sponge_refuses_other_session_ids() -> None:
    for size in (0, 31, 33):
        with pytest.raises(ParameterError):
            Sponge(bytes(size))


# -- transcripts ---------------------------------------------------------------------------------

CALLS = st.lists(
    st.tuples(st.sampled_from(["append", "squeeze"]), st.binary(max_size=3), st.binary(max_size=9)),
    max_size=5,
)


def state(calls: list[tuple[str, bytes, bytes]]) -> bytes:
    transcript = Transcript(b"test", ristretto255)
    for kind, label, message in calls:
        if kind == "append":
            transcript.append(label, message)
        else:
            transcript.squeeze(label, len(message))
    return transcript.squeeze(b"end", 32)


def merged(calls: list[tuple[str, bytes, bytes]]) -> list[tuple[str, bytes, bytes]]:
    return [(k, label, m if k == "append" else bytes(len(m))) for k, label, m in calls]


@given(CALLS, CALLS)
@example([("append", b"a", b"bc")], [("append", b"ab", b"c")])
@example([("append", b"", b"")], [])
@example([("append", b"a", b""), ("append", b"a", b"")], [("append", b"a", b"")])
@example([("squeeze", b"a", b"xxxx")], [("append", b"a", b"\x04\0\0\0")])
@example([("squeeze", b"a", b"")], [("squeeze", b"a", b"x")])
@example([("append", b"", frame(b"append", b"", b""))], [("append", b"", b"")] * 2)
def test_different_calls_never_collide(
    one: list[tuple[str, bytes, bytes]], other: list[tuple[str, bytes, bytes]]
) -> None:
    """attacks: A5"""
    assert (state(one) == state(other)) == (merged(one) == merged(other))


@given(st.recursive(st.binary(max_size=3), lambda x: st.lists(x, max_size=3), max_leaves=6))
@example([])
@example([[]])
@example([b""])
@example([b"ab", b"c"])
@example([b"a", b"bc"])
@example([[b"a"], b"b"])
@example([[b"a", b"b"]])
def test_nested_values_are_framed_apart(value: Any) -> None:
    """attacks: A5. Values nested by `frame` under a kind byte never meet their neighbours."""

    def encode(item: Any) -> bytes:
        if isinstance(item, bytes):
            return b"b" + item
        return b"l" + frame(*map(encode, item))

    neighbours: list[Any] = [[value], [value, value], [value, []], [b"", value], b"l", [[], value]]
    if isinstance(value, list):
        neighbours += [[*value, b""], [*value, []], [b"", *value]]
    states = {state([("append", b"x", encode(each))]) for each in [value, *neighbours]}
    distinct = {repr(each) for each in [value, *neighbours]}
    assert len(states) == len(distinct)


def test_bytes_are_what_the_docs_say() -> None:
    group = ristretto255
    transcript = Transcript(b"test", group, flavour=b"CDS")
    transcript.append(b"label", b"message")
    got = transcript.challenge(b"challenge")
    tag = b"evote/1/test/CDS/evote-sigma_Shake128_ristretto255"
    label = b"irtf-cfrg-fiat-shamir/session-id"
    session = hashlib.shake_128(label + bytes(136) + tag).digest(32)
    absorbed = (
        frame(b"append", b"group", group.parameters())
        + frame(b"append", b"label", b"message")
        + frame(b"squeeze", b"challenge", uint32(48))
    )
    drawn = hashlib.shake_128(session + bytes(136) + absorbed).digest(48)
    assert got.to_ints() == int.from_bytes(drawn, "little") % group.order


def test_everything_a_transcript_is_made_of_matters() -> None:
    """attacks: A3"""
    g = ristretto255
    other = named_group("rfc3526-2048")

    def final(transcript: Transcript) -> bytes:
        return transcript.squeeze(b"end", 32)

    a, b = g.generator, g.generator * g.generator
    pair = g.generator ** g.scalars([1, 2])
    array = []
    for appended in (pair, pair.reshape((1, 2)), pair.reshape((2, 1)), pair[:1], a, b, pair[:0]):
        transcript = Transcript(b"test", g)
        transcript.append_elements(b"x", appended)
        array.append(final(transcript))
    scalars = []
    for values in (g.scalars([1, 2]), g.scalars([[1, 2]]), g.scalars([2, 1]), g.scalars(1)):
        transcript = Transcript(b"test", g)
        transcript.append_scalars(b"x", values)
        scalars.append(final(transcript))
    number_transcript = Transcript(b"test", g)
    number_transcript.append_integer(b"x", 1)
    plain = [
        final(Transcript(b"test", g)),
        final(Transcript(b"test2", g)),
        final(Transcript(b"test", g, flavour=b"CDS")),
        final(Transcript(b"test", other)),
        final(number_transcript),
    ]
    everything = array + scalars + plain
    assert len(set(everything)) == len(everything)


def test_transcripts_refuse() -> None:
    g = ristretto255
    for purpose in (b"", b"a/b", b"Upper", b"a\n", b"\xff"):
        with pytest.raises(ParameterError):
            Transcript(purpose, g)
    with pytest.raises(ParameterError):
        Transcript(b"test", g, flavour=b"CMPT")
    transcript = Transcript(b"test", g)
    with pytest.raises(GroupMismatch):
        transcript.append_elements(b"x", named_group("rfc3526-2048").generator)
    with pytest.raises(ParameterError):  # a secret is never hashed in public
        transcript.append_scalars(b"x", g.random_scalars((2,)))
    with pytest.raises(ParameterError):
        transcript.append_integer(b"x", -1)


def test_forks_part_and_squeezes_count() -> None:
    transcript = Transcript(b"test", ristretto255)
    twin = transcript.fork()
    first, second = (t.challenge(b"c", (2,)) for t in (transcript, twin))
    assert first == second
    assert transcript.challenge(b"c", (2,)) != first
    twin.append(b"x", b"")
    assert twin.challenge(b"c") != transcript.challenge(b"c")


def test_row_challenges_depend_on_row_and_place_only() -> None:
    """attacks: A10"""

    def draw(*rows: bytes) -> list[int]:
        drawn: list[int] = Transcript(b"test", ristretto255).challenges(b"c", rows).to_ints()
        return drawn

    both = draw(b"a", b"b")
    assert draw(b"a") == both[:1]
    assert draw(b"a", b"x")[0] == both[0]
    assert draw(b"a", b"x")[1] != both[1]
    assert not set(draw(b"b", b"a")) & set(both)
    assert len(set(draw(b"a", b"a"))) == 2
    assert draw() == []
    one, other = (Transcript(b"test", ristretto255) for _ in range(2))
    one.challenges(b"c", [b"a", b"b"])
    other.challenges(b"c", [b"a", b"x"])
    assert one.squeeze(b"end", 32) != other.squeeze(b"end", 32)


@pytest.mark.parametrize("name", GROUP_NAMES)
def test_challenge_space_is_never_short(name: str) -> None:
    """attacks: A8. Every suite: q of 160 bits at least, and 128 bits more before reduction."""
    group = named_group(name)
    assert group.order.bit_length() >= 160
    assert 8 * group.uniform_size >= group.order.bit_length() + 128
    transcript = Transcript(b"test", group)
    drawn = transcript.challenge(b"c", (64,)).to_ints()
    assert len(set(drawn)) == 64
    assert max(x.bit_length() for x in drawn) >= group.order.bit_length() - 16
    assert not transcript.challenge(b"c").secret


def test_weights_are_of_128_bits() -> None:
    transcript = Transcript(b"test", ristretto255)
    twin = transcript.fork()
    drawn = transcript.weights(b"w", (8, 8)).to_ints()
    flat = [x for row in drawn for x in row]
    assert len(set(flat)) == 64
    assert 120 < max(x.bit_length() for x in flat) <= 128
    data = twin.squeeze(b"w", 64 * 16)
    assert flat == [int.from_bytes(data[i : i + 16], "little") for i in range(0, 1024, 16)]


def test_challenges_from_many_transcripts() -> None:
    group = ristretto255
    transcripts = [Transcript(b"test", group) for _ in range(3)]
    for i, transcript in enumerate(transcripts):
        transcript.append_integer(b"i", i)
    single = [transcript.fork().challenge(b"c").to_ints() for transcript in transcripts]
    assert draw_challenges(transcripts, b"c", group).to_ints() == single
    assert draw_challenges([], b"c", group).shape == (0,)


def test_shapes_are_prefix_free() -> None:
    shapes: list[tuple[int, ...]] = [(), (0,), (1,), (1, 1), (0, 1), (2, 0, 3)]
    encoded = [encode_shape(shape) for shape in shapes]
    for i, one in enumerate(encoded):
        assert not any(j != i and other.startswith(one) for j, other in enumerate(encoded))


@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 3)])
def test_challenge_shapes(group: Group, shape: tuple[int, ...]) -> None:
    transcript = Transcript(b"test", group)
    assert transcript.challenge(b"c", shape).shape == shape
    assert transcript.weights(b"w", shape).shape == shape
    data = bytes(range(16)) * int(np.prod(shape, dtype=int))
    weights = weights_from_bytes(group, data, shape)
    assert weights.shape == shape
    assert weights.secrecy is Secrecy.PUBLIC


@pytest.mark.parametrize("count", [0, 1, 5])
def test_transcripts_say_what_one_would_say_alone(count: int) -> None:
    start = Transcript(b"test", ristretto255)
    start.append(b"before", b"x")
    rng = np.random.default_rng(1)
    rows = rng.integers(0, 256, (count, 300), dtype=np.uint8)
    elements = ristretto255.generator ** ristretto255.scalars(range(1, 2 * count + 1))
    many = Transcripts(start, count)
    many.append(b"common", b"the same")
    many.append_rows(b"own", rows)
    many.append_arrays(b"elements", elements)
    many.append_rows(b"none", rows[:, :0])
    drawn = many.challenges(b"challenge")
    alone = []
    for i in range(count):
        twin = start.fork()
        twin.append(b"common", b"the same")
        twin.append(b"own", rows[i].tobytes())
        twin.append(b"elements", elements[2 * i : 2 * i + 2].encode())
        twin.append(b"none", b"")
        alone.append(twin)
    assert drawn == draw_challenges(alone, b"challenge", ristretto255)
    assert drawn.shape == (count,)
    start.append(b"after", b"y")  # it was not touched
    again = Transcript(b"test", ristretto255)
    again.append(b"before", b"x")
    again.append(b"after", b"y")
    assert start.squeeze(b"end", 32) == again.squeeze(b"end", 32)


def test_transcripts_take_a_row_each() -> None:
    many = Transcripts(Transcript(b"test", ristretto255), 3)
    for shape in ((2, 4), (3,), (3, 4, 1)):
        with pytest.raises(ShapeMismatch):
            many.append_rows(b"own", np.zeros(shape, dtype=np.uint8))
