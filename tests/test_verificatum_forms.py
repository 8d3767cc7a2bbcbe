"""Verificatum's byte trees, protInfo.xml, groups, hashes and generators, one by one."""

from __future__ import annotations

import hashlib

import gmpy2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evote._verificatum import encode_protinfo
from evote._verificatum._codec import Codec, Widths
from evote._verificatum._oracle import Oracle, Stream
from evote._verificatum._protinfo import decode_group, decode_protinfo, encode_group
from evote._verificatum._trees import Layout, Reader, int32, leaf, natural, node, text
from evote.elgamal import Ciphertexts
from evote.errors import DecodingError, ParameterError, UnsupportedError
from evote.groups import Group, ModPGroup, WeierstrassGroup, modp_group, named_group
from evote.interop.verificatum._decryption import combine, lagrange_integers, share_divisor

CURVES = ("P-192", "P-224", "P-256", "P-521", "secp256k1", "brainpoolP320r1")
PLAIN = encode_protinfo(named_group("P-256"), sid="evote1").decode()
SAFE = (23, 11, 4)


def reader(data: bytes) -> Reader:
    return Reader(data, "file.bt")


# -- byte trees ------------------------------------------------------------------------------------


def test_trees_are_laid_out_as_documented() -> None:
    assert leaf(b"ab") == bytes.fromhex("0100000002") + b"ab"
    assert node() == bytes.fromhex("0000000000")
    assert node(leaf(b""), leaf(b"a")) == bytes.fromhex("0000000002 0100000000 0100000001 61")
    assert int32(256) == leaf(bytes.fromhex("00000100"))
    assert text("ä") == leaf("ä".encode())
    assert natural(0) == leaf(b"\0")
    assert natural(127) == leaf(b"\x7f")
    assert natural(128) == leaf(b"\0\x80")


@given(st.integers(min_value=0, max_value=2**200))
def test_naturals_come_back(number: int) -> None:
    data = natural(number)
    tree = reader(data)
    assert tree.natural() == number
    tree.end()
    signed = int.from_bytes(data[5:], "big", signed=True)
    assert signed == number  # which is what two's complement means


@pytest.mark.parametrize("data", [b"\0\1", b"\xff", b"", b"\x80"])
def test_naturals_are_minimal_and_not_negative(data: bytes) -> None:
    with pytest.raises(DecodingError, match=r"file\.bt: at byte \d+: a natural number"):
        reader(leaf(data)).natural()


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "a node ends too early"),
        (bytes.fromhex("00000000"), "a node ends too early"),
        (leaf(b""), "a node expected, got byte 01"),
        (b"\2" + bytes(4), "a node expected, got byte 02"),
        (node(leaf(b"")), "a node of 2 expected, got 1"),
        (bytes.fromhex("00ffffffff"), "a node of 2 expected, got 4294967295"),
    ],
)
def test_nodes_are_what_was_expected(data: bytes, reason: str) -> None:
    with pytest.raises(DecodingError, match=f"file.bt: at byte .*{reason}"):
        reader(data).node(2)
    reader(node(leaf(b""), leaf(b""))).node(2)


def test_no_length_is_believed() -> None:
    huge = b"\1\xff\xff\xff\xff" + bytes(10)
    with pytest.raises(DecodingError, match="4294967295 bytes expected, 10 left"):
        reader(huge).leaf()
    with pytest.raises(DecodingError, match="a leaf of 4 bytes expected"):
        reader(huge).leaf(4)
    with pytest.raises(DecodingError, match="a node of 4294967295 ends too early"):
        reader(b"\0\xff\xff\xff\xff" + bytes(100)).count(5)
    with pytest.raises(DecodingError, match="an array ends too early"):
        reader(b"").items(Layout(32), 10**12)
    with pytest.raises(DecodingError, match="a node of 1 to 3 expected, got 4"):
        reader(node(*[leaf(b"")] * 4)).arity(1, 3)
    with pytest.raises(DecodingError, match="3 bytes follow"):
        reader(bytes(3)).end()
    with pytest.raises(DecodingError, match="printable ASCII"):
        reader(text("a\n")).text()


def test_items_say_where_they_are_not_items() -> None:
    layout = Layout(2, 2)
    items = [node(leaf(bytes([i, i])), leaf(b"xy")) for i in range(12)]
    fields = reader(b"".join(items)).items(layout, 12)
    assert fields.shape == (12, 2, 2)
    assert layout.join(fields) == b"".join(items)
    items[3] = b"\0\0\0\0\3" + items[3][5:]
    items[7] = items[7][:5] + b"\0" + items[7][6:]
    with pytest.raises(DecodingError, match="not a node of 2 leaves of 2 bytes at index 3, 7") as e:
        reader(b"".join(items)).items(layout, 12)
    assert e.value.indices == (3, 7)


# -- elements --------------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=[*CURVES, "ffdhe2048", "helios-2048", "tiny"])
def codec(request: pytest.FixtureRequest) -> Codec:
    name = request.param
    group = modp_group(*SAFE, allow_weak=True) if name == "tiny" else named_group(name)
    assert isinstance(group, ModPGroup | WeierstrassGroup)
    return Codec(group)


@pytest.mark.parametrize("widths", [Widths(1, 1), Widths(1, 3), Widths(2, 1), Widths(2, 3)])
@pytest.mark.parametrize("count", [0, 1, 3])
def test_arrays_come_back(codec: Codec, widths: Widths, count: int) -> None:
    group: Group = codec.group
    width = widths.key * widths.ciphertext
    exponents = group.scalars(np.arange(2 * count * width))
    elements = (group.generator**exponents).reshape((2, count, width))  # the identity among them
    ciphertexts = Ciphertexts(alpha=elements[0], beta=elements[1])
    parts = widths.ciphertext_parts
    tree = reader(codec.encode_ciphertexts(ciphertexts, parts))
    found = codec.ciphertexts(tree, parts)
    tree.end()
    assert (found.alpha, found.beta) == (ciphertexts.alpha, ciphertexts.beta)
    rows = exponents[: count * width].reshape((count, width))
    tree = reader(codec.encode_scalars(rows, widths.message_parts))
    again = codec.scalars(tree, widths.message_parts, count)
    tree.end()
    assert again == (rows if widths.message_parts else rows.reshape(-1))
    if count:
        parts = widths.message_parts
        tree = reader(codec.encode_item(elements[0, 0], parts))
        assert codec.item(tree, parts).reshape(-1) == elements[0, 0]
        tree.end()
        tree = reader(codec.encode_scalar_item(rows[0], parts))
        assert codec.scalar_item(tree, parts).reshape(-1) == rows[0]
        tree.end()


def test_an_array_of_a_product_is_one_of_arrays() -> None:
    group = named_group("P-256")
    assert isinstance(group, WeierstrassGroup)
    codec = Codec(group)
    rows = (group.generator ** group.scalars([1, 2, 3, 4])).reshape((2, 2))
    single = [[codec.encode_item(rows[i, j], ()) for j in range(2)] for i in range(2)]
    columns = (node(single[0][0], single[1][0]), node(single[0][1], single[1][1]))
    assert codec.encode_elements(rows, (2,)) == node(*columns)
    assert len(single[0][0]) == 5 + 2 * (5 + 33)


def test_infinity_is_minus_one_twice() -> None:
    group = named_group("P-256")
    assert isinstance(group, WeierstrassGroup)
    codec, neutral = Codec(group), node(leaf(b"\xff" * 33), leaf(b"\xff" * 33))
    assert codec.encode_item(group.identity(), ()) == neutral
    assert bool(codec.item(reader(neutral), ()).is_identity())
    half = node(leaf(b"\xff" * 33), leaf(b"\0" * 33))
    with pytest.raises(DecodingError, match="no point"):
        codec.item(reader(half), ())


def test_numbers_are_reduced() -> None:
    for group in (named_group("P-256"), named_group("ffdhe2048")):
        assert isinstance(group, ModPGroup | WeierstrassGroup)
        codec = Codec(group)
        for value in (group.order - 1, 0):
            data = leaf(value.to_bytes(codec.scalar.width, "big"))
            assert codec.scalar_item(reader(data), ()).to_ints() == value
        for value in (group.order, 256**codec.scalar.width - 1):
            data = leaf(value.to_bytes(codec.scalar.width, "big"))
            with pytest.raises(DecodingError, match=r"not below the order|too large"):
                codec.scalar_item(reader(data), ())
    p = named_group("ffdhe2048")
    assert isinstance(p, ModPGroup)
    codec = Codec(p)
    for value in (p.p + 4, p.p - 4, 0):
        data = leaf(value.to_bytes(codec.element.width, "big"))
        with pytest.raises(DecodingError, match=r"not a group element|too large"):
            codec.item(reader(data), ())


def test_a_width_says_which_key_a_column_has() -> None:
    row = named_group("P-256").scalars([10, 20])
    assert Widths(2, 3).spread(row).to_ints() == [10, 20, 10, 20, 10, 20]
    assert Widths(1, 2).spread(row[0]).to_ints() == [10, 10]


# -- protInfo.xml ----------------------------------------------------------------------------------


def test_parameters_are_read() -> None:
    protocol = decode_protinfo(PLAIN.encode())
    assert (protocol.version, protocol.sid) == ("3.1.0", "evote1")
    assert (protocol.parties, protocol.threshold, protocol.key_width) == (1, 1, 1)
    bits = (protocol.statdist, protocol.challenge_bits, protocol.batching_bits)
    assert bits == (100, 256, 256)
    assert protocol.group == named_group("P-256")
    for tag in ("statdist", "vbitlenro", "ebitlenro", "prg", "rohash"):
        start, end = PLAIN.index(f"<{tag}>"), PLAIN.index(f"</{tag}>") + len(tag) + 3
        assert decode_protinfo((PLAIN[:start] + PLAIN[end:]).encode()) == protocol


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("<protocol>", "<!DOCTYPE protocol><protocol>", "a document type is not allowed"),
        (
            "<protocol>",
            '<!DOCTYPE p [<!ENTITY a "b">]><protocol>',
            "a document type is not allowed",
        ),
        ("evote1", "&a;", "not XML: undefined entity"),
        ("evote1", "<!-- -->evote1", "a comment is not allowed"),
        ("evote1", "<b>evote1</b>", "<b> inside <sid>"),
        ("<sid>", '<sid a="b">', "attributes of <sid>"),
        ("<name>", "<sid>again</sid><name>", "<sid> twice"),
        ("<protocol>", "<?php ?><protocol>", "a processing instruction"),
        ("</protocol>", "", "not XML: no element found"),
        ("</protocol>", "</protocol>x", "not XML: junk after"),
        ("protocol", "protokol", "<protocol> expected, got <protokol>"),
        ("<name>", "<name>" + "<x>" * 40 + "</x>" * 40, "more than 32 levels"),
        ("<sid>evote1</sid>", "", "no <sid>"),
        ("<sid>evote1</sid>", "<party><sid>evote1</sid></party>", "no <sid>"),
        ("evote1", "evote.1", "<sid>: not a session identifier"),
        ("evote1", " evote1", "<sid>: not a session identifier"),
        ("<nopart>1", "<nopart>2", "1 parties, <nopart> says 2"),
        ("<nopart>1", "<nopart>01", "<nopart>: a number from 1 to 25 expected, got '01'"),
        ("<thres>1", "<thres>2", "threshold 2 of 1 parties"),
        ("<thres>1", "<thres>0", "<thres>: a number from 1"),
        ("<keywidth>1", "<keywidth>1000000", "<keywidth>: a number from 1 to 4096"),
        ("<vbitlenro>256", "<vbitlenro>127", "<vbitlenro>: a number from 128"),
        ("<ebitlenro>256", "<ebitlenro>80", "<ebitlenro>: a number from 128"),
        ("<statdist>100", "<statdist>1e2", "<statdist>: a number from 0"),
        ("<statdist>100", "<statdist>１００", "<statdist>: a number from 0"),
        ("3.1.0", "3.1", "<version>: not a version"),
        ("::0000", "::000", "<pgroup>: hexadecimal digits expected"),
        ("::0000", "::0100", "<pgroup>: at byte 0: a node expected, got byte 01"),
        ("</pgroup>", "00</pgroup>", "<pgroup>: at byte .* 1 bytes follow"),
    ],
)
def test_parameters_that_are_none(old: str, new: str, reason: str) -> None:
    decode_protinfo(PLAIN.encode())
    assert old in PLAIN
    with pytest.raises(DecodingError, match=f"protInfo.xml.*{reason}"):
        decode_protinfo(PLAIN.replace(old, new).encode())


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("3.1.0", "3.2.0", "Verificatum 3.2.0"),
        ("3.1.0", "2.9.9", "Verificatum 2.9.9"),
        ("<prg>SHA-256", "<prg>MD5", "hash function 'MD5'"),
        ("502d323536", "502d323535", "curve 'P-255'"),
        ("4543715047726f7570", "4543715047726f7571", "group 'com.verificatum.arithm.ECqPGrouq'"),
    ],
)
def test_parameters_that_are_not_known_here(old: str, new: str, reason: str) -> None:
    assert old in PLAIN
    with pytest.raises(UnsupportedError, match=reason):
        decode_protinfo(PLAIN.replace(old, new).encode())


def test_what_is_not_utf_8_or_too_long() -> None:
    with pytest.raises(DecodingError, match="not XML"):
        decode_protinfo(PLAIN.replace("evote1", "é").encode("latin-1"))
    with pytest.raises(DecodingError, match="at most 1048576"):
        decode_protinfo(PLAIN.encode() + b" " * 2**20)


def test_hash_functions_can_be_marshalled() -> None:
    hash_tree = node(text("com.verificatum.crypto.HashfunctionHeuristic"), text("SHA-512"))
    prg_tree = node(text("com.verificatum.crypto.PRGHeuristic"), hash_tree)
    changed = PLAIN.replace("<rohash>SHA-256", f"<rohash>any words::{hash_tree.hex()}")
    changed = changed.replace("<prg>SHA-256", f"<prg>{prg_tree.hex()}")
    protocol = decode_protinfo(changed.encode())
    assert (protocol.prg_hash, protocol.ro_hash) == ("sha512", "sha512")
    assert protocol.prg == prg_tree.hex()
    with pytest.raises(UnsupportedError, match=r"class com\.verificatum\.crypto\.Hash"):
        decode_protinfo(PLAIN.replace("<prg>SHA-256", f"<prg>{hash_tree.hex()}").encode())
    with pytest.raises(DecodingError, match="<rohash>: at byte"):
        decode_protinfo(changed.replace("</rohash>", "00</rohash>").encode())


# -- groups ----------------------------------------------------------------------------------------


def modp_string(p: int, q: int, g: int, encoding: int) -> str:
    generator = leaf(g.to_bytes(p.bit_length() // 8 + 1, "big"))
    body = node(natural(p), natural(q), generator, int32(encoding))
    return "words::" + node(text("com.verificatum.arithm.ModPGroup"), body).hex()


def curve_string(name: str) -> str:
    return "x::" + node(text("com.verificatum.arithm.ECqPGroup"), text(name)).hex()


@pytest.mark.parametrize("name", [*CURVES, "ffdhe2048", "rfc3526-3072", "helios-2048"])
def test_groups_come_back(name: str) -> None:
    group = named_group(name)
    assert isinstance(group, ModPGroup | WeierstrassGroup)
    assert decode_group(encode_group(group)) == group


def test_curves_go_by_several_names() -> None:
    for name in ("P-256", "prime256v1", "secp256r1"):
        assert decode_group(curve_string(name)) == named_group("P-256")
    assert decode_group(curve_string("brainpoolp512r1")) == named_group("brainpoolP512r1")
    assert decode_group(curve_string("prime239v2")) == named_group("prime239v2")


@pytest.mark.parametrize("encoding", [0, 1, 2])
def test_small_groups_are_groups(encoding: int) -> None:
    group = decode_group(modp_string(*SAFE, encoding))
    assert group.is_weak
    assert group == modp_group(*SAFE, allow_weak=True)


@pytest.mark.parametrize(
    ("p", "q", "g", "encoding", "reason"),
    [
        (23, 11, 4, 3, "encoding 3"),
        (31, 5, 2, 1, "encoding 1"),
        (23, 11, 1, 1, "1 < g < p"),
        (23, 11, 5, 1, "not of order q"),
        (23, 7, 4, 0, "q does not divide"),
        (35, 17, 4, 0, "not of order q|not prime"),
        (2**61 - 1, 2**61 - 2, 3, 0, "is not prime|not unique|is not 1"),
    ],
)
def test_numbers_that_are_no_group(p: int, q: int, g: int, encoding: int, reason: str) -> None:
    with pytest.raises(DecodingError, match=f"<pgroup>.*({reason})"):
        decode_group(modp_string(p, q, g, encoding))


def test_moduli_have_a_limit() -> None:
    with pytest.raises(UnsupportedError, match="p of 8193 bits"):
        decode_group(modp_string(2**8192 + 1, 2**8191, 4, 0))


def test_curves_without_a_name_there() -> None:
    group = named_group("ristretto255")
    with pytest.raises(ParameterError, match="no group"):
        encode_protinfo(group, sid="a")


# -- hashes ----------------------------------------------------------------------------------------


def test_streams_are_hashes_of_a_counter() -> None:
    seed = b"s" * 32
    blocks = b"".join(hashlib.sha256(seed + i.to_bytes(4, "big")).digest() for i in range(5))
    stream = Stream("sha256", seed)
    pieces = [stream.read(size) for size in (1, 31, 0, 33, 90)]
    assert b"".join(pieces) == blocks[:155]


def test_integers_start_on_bytes_of_their_own() -> None:
    seed = b"s" * 48
    data = Stream("sha384", seed).read(6)
    found = Stream("sha384", seed).integers(3, 11)
    expected = [int.from_bytes(data[i : i + 2], "big") & 0x7FF for i in (0, 2, 4)]
    assert found == expected
    assert Stream("sha384", seed).integers(2, 0) == [0, 0]


@pytest.mark.parametrize("name", ["P-256", "P-224", "ffdhe2048", "helios-2048"])
def test_generators_are_derived_as_documented(name: str) -> None:
    """Against the definition written down once more, on plain integers."""
    group = named_group(name)
    assert isinstance(group, ModPGroup | WeierstrassGroup)
    protocol = decode_protinfo(encode_protinfo(group, sid="sid", statdist=99, rohash="SHA-512"))
    oracle = Oracle(protocol, "aux")
    found = oracle.generators(5)
    data = (512).to_bytes(4, "big") + oracle.prefix + text("generators")
    seed = Stream("sha512", hashlib.sha512(data).digest()).read(64)
    stream = Stream("sha512", seed)
    if isinstance(group, ModPGroup):
        bits = group.p.bit_length() + 99
        numbers = stream.integers(5, bits)
        powers = [pow(t, (group.p - 1) // group.q, group.p) for t in numbers]
        assert found.encode() == b"".join(x.to_bytes(group.element_size, "big") for x in powers)
    else:
        p, a, b = group.curve.p, group.curve.a, group.curve.b
        points = group.to_affine(found)
        for point in points:
            assert point is not None
            x, y = point
            while True:
                [t] = stream.integers(1, p.bit_length() + 99)
                if gmpy2.jacobi((t**3 + a * t + b) % p, p) == 1:
                    break
            assert (x, (y * y - x**3 - a * x - b) % p) == (t % p, 0)
            assert 0 < y < p - y
    assert Oracle(protocol, "aux").generators(3) == found[:3]
    assert oracle.generators(2) == found[:2]
    assert Oracle(protocol, "other").generators(3) != found[:3]


def test_generators_of_plain_numbers() -> None:
    group = modp_group(*SAFE, allow_weak=True)
    assert group.from_residues([2, 25, 1]).encode() == bytes([4, 4, 1])
    with pytest.raises(ParameterError, match="0 modulo p"):
        group.from_residues([2, 46])
    curve = named_group("P-256")
    assert isinstance(curve, WeierstrassGroup)
    generator = curve.to_affine(curve.generator)[0]
    assert generator is not None
    x, y = generator
    same = curve.from_abscissas([x + curve.curve.p, x])
    assert curve.to_affine(same) == [(x, min(y, curve.curve.p - y))] * 2
    without = next(t for t in range(100) if len(curve.from_abscissas([t])) == 0)
    assert len(curve.from_abscissas([without, x, without])) == 1
    assert curve.with_backend("python").from_abscissas([x]) == same[:1]


# -- decryption ------------------------------------------------------------------------------------


@pytest.mark.parametrize("parties", [1, 2, 3, 5, 9])
def test_shares_combine_to_the_secret(parties: int) -> None:
    """With 9 parties some coefficients are fractions of which no divisor is left."""
    group = named_group("P-256")
    assert [share_divisor(k) for k in (1, 2, 3, 4, 5)] == [1, 4, 36, 144, 3600]
    threshold = parties // 2 + 1
    coefficients = list(range(5, 5 + threshold))
    values = [sum(c * x**i for i, c in enumerate(coefficients)) for x in range(1, parties + 1)]
    chosen = [*range(0, parties, 2), 1][:threshold]
    weights = lagrange_integers(group, chosen, parties)
    inverse = pow(share_divisor(parties), -1, group.order)
    total = sum(w * values[i] * inverse for w, i in zip(weights, chosen, strict=True))
    assert total % group.order == 5
    if parties < 9:
        assert all(abs(w) < 2**32 for w in weights)
    rows = group.generator ** group.scalars([[values[i], 2 * values[i]] for i in chosen])
    whole = 5 * share_divisor(parties)
    expected = group.generator ** group.scalars([whole, 2 * whole])
    assert combine(rows, weights) == expected
    assert combine(rows, [-w for w in weights]) == expected.inverse()


def test_orders_below_that_of_challenges_are_refused() -> None:
    start, end = PLAIN.index("<pgroup>") + 8, PLAIN.index("</pgroup>")
    p = 2 * (2**126 + 4399) + 1
    for numbers in (SAFE, (p, (p - 1) // 2, 4)):
        tiny = PLAIN[:start] + modp_string(*numbers, 1) + PLAIN[end:]
        with pytest.raises(DecodingError, match="<pgroup>: order of"):
            decode_protinfo(tiny.encode())
    small = PLAIN[:start] + curve_string("P-192") + PLAIN[end:]
    assert decode_protinfo(small.encode()).group.is_weak
