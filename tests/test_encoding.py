"""Canonical bytes: one value, one encoding; attacks B9, B10, G1, G2, G7."""

from __future__ import annotations

import json
import sys
import time
import tracemalloc
import unicodedata
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from evote import encoding
from evote.encoding import (
    JSON,
    MAX_ITEMS,
    Fields,
    canonical_json,
    check_format,
    check_identifier,
    decode_base64url,
    decode_decimal,
    decode_hex,
    digest,
    digests,
    encode_base64url,
    encode_hex,
    frame,
    parse_json,
    uint32,
    xof,
    xofs,
)
from evote.errors import DecodingError, EvoteError, ParameterError, UnsupportedError

INTEGERS = st.integers(-(2**53) + 1, 2**53 - 1)
KEYS = st.text(st.characters(max_codepoint=127), max_size=8)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
VALUES = st.recursive(
    st.none() | st.booleans() | INTEGERS | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=20,
)


@given(VALUES)
@example({"": [[], {}, None, True, 0, -1]})
def test_json_round_trip(value: Any) -> None:
    data = canonical_json(value)
    assert parse_json(data) == value
    assert json.loads(data) == value


def test_json_is_rfc_8785() -> None:
    """The string sample of RFC 8785, section 3.2.2.2, and its order of keys."""
    value: Any = {
        "string": "\u20ac$\u000f\u000aA'\u0042\u0022\u005c\\\"/",
        "literals": [None, True],
    }
    expected = '{"literals":[null,true],"string":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}'
    assert canonical_json(value) == expected.encode()


@pytest.mark.parametrize(
    "value",
    [
        1.5,
        float("nan"),
        2**53,
        -(2**53),
        b"bytes",
        {1: 2},
        {"é": 1},
        "\ud800",
        {"a": {"b": "\udfff"}},
        object,
        {1, 2},
    ],
    ids=repr,
)
def test_json_refuses_what_has_no_encoding(value: Any) -> None:
    with pytest.raises(ParameterError):
        canonical_json(value)


def test_json_refuses_depth_and_cycles() -> None:
    cycle: list[Any] = []
    cycle.append(cycle)
    deep: Any = 0
    for _ in range(10_000):
        deep = [deep]
    for value in (cycle, deep):
        with pytest.raises(ParameterError, match="deeper"):
            canonical_json(value)


DIFFERENTIALS = {
    "duplicate key": b'{"a":1,"a":1}',
    "duplicate key, escaped": b'{"a":1,"\\u0061":1}',
    "NaN": b'{"a":NaN}',
    "Infinity": b"[-Infinity]",
    "float": b"[1.0]",
    "big float": b"[1e400]",
    "exponent": b"[1e2]",
    "minus zero": b"[-0]",
    "leading zero": b"[01]",
    "plus": b"[+1]",
    "2^53": b"[9007199254740992]",
    "hex": b"[0x1]",
    "BOM": b"\xef\xbb\xbf[]",
    "UTF-16": "[]".encode("utf-16"),
    "UTF-16, no BOM": "[]".encode("utf-16-le"),
    "UTF-32": "[]".encode("utf-32"),
    "bad UTF-8": b'["\xff"]',
    "overlong UTF-8": b'["\xc0\xaf"]',
    "surrogate in UTF-8": b'["\xed\xa0\x80"]',
    "unpaired surrogate": b'["\\ud800"]',
    "needless escape": b'["\\u0061"]',
    "needless slash escape": b'["\\/"]',
    "upper-case escape": b'["\\u001F"]',
    "raw control character": b'["\x01"]',
    "comment": b"[]//",
    "trailing comma": b"[1,]",
    "single quotes": b"['a']",
    "space": b"[1, 2]",
    "trailing newline": b"[]\n",
    "leading space": b" []",
    "two values": b"[][]",
    "unsorted keys": b'{"b":1,"a":2}',
    "key not ASCII": '{"é":1}'.encode(),
    "true in capitals": b"[True]",
    "empty": b"",
    "NUL": b"[]\x00",
}


@pytest.mark.parametrize(("item", "factor"), [(b"0", 30), (b"{}", 40)])
def test_reading_takes_a_multiple_of_the_size_in_memory(item: bytes, factor: int) -> None:
    """attacks: G2; many small values are what costs most, and a second walk doubled it."""
    data = b"[" + b",".join([item] * (2**18 // (len(item) + 1))) + b"]"
    tracemalloc.start()
    try:
        parse_json(data)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < factor * len(data)


@pytest.mark.parametrize("data", DIFFERENTIALS.values(), ids=DIFFERENTIALS)
def test_parser_differentials_are_refused(data: bytes) -> None:
    """attacks: G1"""
    with pytest.raises(DecodingError) as caught:
        parse_json(data, where="manifest.json")
    assert caught.value.where == "manifest.json"


BOMBS = {
    "digits": b"1" * 10_000_000,
    "digits in a list": b"[" + b"7" * 10_000_000 + b"]",
    "minus and digits": b"[-" + b"7" * 10_000_000,
    "hex": b"0x" + b"f" * 10_000_000,
    "float": b"1." + b"1" * 10_000_000,
    "brackets": b"[" * 10_000_000,
    "balanced brackets": b"[" * 100_000 + b"]" * 100_000,
    "objects": b'{"a":' * 1_000_000,
    "brackets after a string": b'["\\\\\\"",' * 1_000_000,
    "brackets after an open quote": b'"\\' + b"[" * 10_000_000,
    "quotes": b'"' * 10_000_000,
    "backslashes": b'["' + b"\\" * 10_000_000,
    "one long string": b'"' + b"a" * 16_000_000,
    "too large": b"[" + b" " * (16 * 2**20),
}


@pytest.mark.parametrize("data", BOMBS.values(), ids=BOMBS)
def test_bombs_are_refused_quickly(data: bytes) -> None:
    """attacks: G2. The limit of a second is lenient: the slowest takes a fraction of it."""
    start = time.perf_counter()
    with pytest.raises(DecodingError):
        parse_json(data)
    assert time.perf_counter() - start < 5


def test_a_million_keys() -> None:
    data = b"{" + b",".join(b'"%07d":0' % i for i in range(1_000_000)) + b"}"
    value = parse_json(data)
    assert isinstance(value, dict)
    assert len(value) == 1_000_000
    with pytest.raises(DecodingError):
        parse_json(data, max_bytes=1000)


@pytest.mark.parametrize("inside", [b'"]]]]"', b'"\\"[[[["', b'"\\\\"', b'"[\\\\\\"["', b"{}"])
def test_depth_ignores_what_is_in_strings(inside: bytes) -> None:
    data = b"[" * 3 + inside + b"]" * 3
    assert parse_json(data, max_depth=4) is not None
    with pytest.raises(DecodingError, match="deeper"):
        parse_json(data, max_depth=2)


@given(st.binary(max_size=40) | st.text(alphabet='[]{}",:\\u0d8 1eE.-tnf').map(str.encode))
def test_fuzzed_json_decodes_or_refuses(data: bytes) -> None:
    try:
        value = parse_json(data)
    except EvoteError:
        return
    assert canonical_json(value) == data


# -- fields --------------------------------------------------------------------------------------


def fields(**values: Any) -> Fields:
    return Fields(values, "manifest.json: $.contests[3]")


def test_fields_read_each_kind() -> None:
    reader = fields(
        text="Ünï 🗳",
        id="a-1",
        ids=["x", "y.z"],
        n=7,
        ns=[1, 2],
        yes=True,
        hex="00ff",
        packed="AP8",
        word="b",
        items=[1],
        inner={"deep": [{"n": 1}]},
    )
    assert reader.text("text") == "Ünï 🗳"
    assert reader.identifier("id") == reader.text("id", ascii_id=True) == "a-1"
    assert reader.identifiers("ids", 2) == ["x", "y.z"]
    assert reader.integer("n", 7, 7) == 7
    assert reader.integers("ns", 1, 2, 2) == [1, 2]
    assert reader.boolean("yes") is True
    assert reader.hex("hex", 2) == b"\x00\xff"
    assert reader.packed("packed", 2) == reader.packed("packed", max_size=2) == b"\x00\xff"
    assert reader.choice("word", ("a", "b")) == "b"
    assert reader.list("items", 1) == [1]
    inner = reader.object("inner")
    [deep] = inner.objects("deep", 1)
    assert deep.path("n") == "manifest.json: $.contests[3].inner.deep[0].n"
    assert deep.integer("n", 0, 1) == 1
    assert "inner" in reader
    assert "outer" not in reader
    for each in (deep, inner, reader):
        each.end()


BAD_FIELDS: list[tuple[str, Any, Any]] = [
    ("text", lambda f: f.text("x"), 7),
    ("empty text", lambda f: f.text("x"), ""),
    ("long text", lambda f: f.text("x", max_length=3), "abcd"),
    ("identifier with upper case", lambda f: f.identifier("x"), "A"),
    ("identifier with Turkish i", lambda f: f.identifier("x"), "ı"),
    ("identifier with space", lambda f: f.identifier("x"), "a "),
    ("identifier with newline", lambda f: f.identifier("x"), "a\n"),
    ("identifier with slash", lambda f: f.identifier("x"), "../a"),
    ("identifier with full-width digit", lambda f: f.identifier("x"), "１"),
    ("identifier too long", lambda f: f.identifier("x"), "a" * 65),
    ("empty identifier", lambda f: f.identifier("x"), ""),
    ("identifiers", lambda f: f.identifiers("x", 3), ["a", 1]),
    ("truth as integer", lambda f: f.integer("x", 0, 1), True),
    ("integer as truth", lambda f: f.boolean("x"), 1),
    ("integer too small", lambda f: f.integer("x", 1, 2), 0),
    ("integer too large", lambda f: f.integer("x", 1, 2), 3),
    ("string as integer", lambda f: f.integer("x", 0, 9), "1"),
    ("truths as integers", lambda f: f.integers("x", 0, 1, 2), [0, True]),
    ("too many integers", lambda f: f.integers("x", 0, 1, 2), [0, 0, 0]),
    ("hex in upper case", lambda f: f.hex("x", 1), "FF"),
    ("hex too long", lambda f: f.hex("x", 1), "00ff"),
    ("packed too long", lambda f: f.packed("x", 1), "AP8"),
    ("packed over the limit", lambda f: f.packed("x", max_size=1), "AP8"),
    ("packed list too long", lambda f: f.packed_list("x", 1), ["AP8", "AP8"]),
    ("choice", lambda f: f.choice("x", ("a", "b")), "c"),
    ("list", lambda f: f.list("x", 3), {}),
    ("list too long", lambda f: f.list("x", 0), [1]),
    ("object", lambda f: f.object("x"), []),
    ("objects", lambda f: f.objects("x", 3), [{}, 1]),
    ("null", lambda f: f.text("x"), None),
]


def test_lists_of_packed_bytes() -> None:
    assert fields(x=["AP8", ""]).packed_list("x", 2) == [b"\x00\xff", b""]
    for wrong in ("A===", "AP9", 7, None):
        with pytest.raises(DecodingError) as caught:
            fields(x=["AP8", wrong]).packed_list("x", 2)
        assert caught.value.where.endswith(".x[1]")


@pytest.mark.parametrize(
    ("read", "value"), [x[1:] for x in BAD_FIELDS], ids=[x[0] for x in BAD_FIELDS]
)
def test_fields_name_the_place(read: Any, value: Any) -> None:
    with pytest.raises(DecodingError) as caught:
        read(fields(x=value))
    assert caught.value.where.startswith("manifest.json: $.contests[3].x")


def test_fields_missing_unknown_and_no_object() -> None:
    with pytest.raises(DecodingError, match="'x' is missing"):
        fields().integer("x", 0, 1)
    with pytest.raises(DecodingError, match="unknown field 'y'"):
        fields(y=1).end()
    with pytest.raises(DecodingError, match="an object expected"):
        Fields([], "roll.json: $")


def test_text_refuses_what_a_terminal_obeys() -> None:
    """attacks: G7, G8. Every control, format, separator and surrogate character Python knows."""
    for code in range(sys.maxunicode + 1):
        character = chr(code)
        if unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp"):
            assert encoding._UNPRINTABLE.search(character), hex(code)
    for fine in ["a", "é", "語", "́", "🗳", "\xa0"]:
        assert fields(x=f"<{fine}>").text("x") == f"<{fine}>"
    for bad in ("\x1b[31m", "a\u202eb", "a\x00", "\u200b"):
        with pytest.raises(DecodingError, match=r"U\+"):
            fields(x=bad).text("x")


def test_format_and_version() -> None:
    check_format(fields(format="evote/roll", version=1), "evote/roll", 1)
    with pytest.raises(DecodingError):
        check_format(fields(format="evote/ballot", version=1), "evote/roll", 1)
    with pytest.raises(DecodingError):
        check_format(fields(format="evote/roll", version=True), "evote/roll", 1)
    with pytest.raises(UnsupportedError):
        check_format(fields(format="evote/roll", version=2), "evote/roll", 1)


# -- bytes ---------------------------------------------------------------------------------------


@given(st.binary(max_size=70))
def test_bytes_round_trip(data: bytes) -> None:
    assert decode_base64url(encode_base64url(data)) == data
    assert decode_hex(encode_hex(data)) == data
    assert decode_hex(encode_hex(data), len(data)) == data


@given(st.text(alphabet="AQgw-_=+/ \n", max_size=6))
def test_base64url_is_canonical(text: str) -> None:
    try:
        data = decode_base64url(text)
    except DecodingError:
        return
    assert encode_base64url(data) == text


@pytest.mark.parametrize(
    "text", ["QQ==", "QR", "QUJ", "Q", "QQ\n", " QQ", "Q Q", "Q+Q", "Q/Q", "QQ=", "ＱＱ", "QUFB\n"]
)
def test_base64url_refuses(text: str) -> None:
    """attacks: B10"""
    with pytest.raises(DecodingError):
        decode_base64url(text, where="here")


@pytest.mark.parametrize("text", ["f", "0x00", "FF", " 00", "00 ", "0 0", "00\n", "gg", "٠٠", "+0"])
def test_hex_refuses(text: str) -> None:
    """attacks: B9, B10"""
    with pytest.raises(DecodingError):
        decode_hex(text, where="here")


@pytest.mark.parametrize(
    "text", ["", " 7", "7 ", "7\n", "1_000", "+5", "-5", "-0", "00", "07", "７", "٧", "1e3", "0x1"]
)
def test_decimal_refuses(text: str) -> None:
    """attacks: B10"""
    with pytest.raises(DecodingError):
        decode_decimal(text, where="here")


def test_decimal() -> None:
    assert [decode_decimal(t) for t in ("0", "7", "1000")] == [0, 7, 1000]
    with pytest.raises(DecodingError):
        decode_decimal("1" * 10_000_000)


def test_identifier_alone() -> None:
    assert check_identifier("mayor-2024") == "mayor-2024"
    with pytest.raises(DecodingError):
        check_identifier(None, where="here")


@given(st.lists(st.binary(max_size=6), max_size=5), st.lists(st.binary(max_size=6), max_size=5))
@example([b"ab", b"c"], [b"a", b"bc"])
@example([], [b""])
@example([b"", b""], [b""])
@example([b"\x01\x00\x00\x00a"], [b"a"])
def test_frames_are_injective(one: list[bytes], other: list[bytes]) -> None:
    """attacks: A5"""
    assert (frame(*one) == frame(*other)) == (one == other)
    assert (digest("x", *one) == digest("x", *other)) == (one == other)


def test_hashes_are_what_the_docs_say() -> None:
    import hashlib

    framed = b"\x09\0\0\0evote/1/x" + b"\x02\0\0\0ab" + b"\0\0\0\0"
    assert frame(b"evote/1/x", b"ab", b"") == framed
    assert digest("x", b"ab", b"") == hashlib.sha256(framed).digest()
    assert xof("x", b"ab", b"", length=99) == hashlib.shake_256(framed).digest(99)
    assert digest("x") != digest("y")


def test_integers_of_four_bytes() -> None:
    assert uint32(0x01020304) == b"\x04\x03\x02\x01"
    for bad in (-1, 2**32):
        with pytest.raises(ParameterError):
            uint32(bad)
    with pytest.raises(ParameterError):
        xof("x", length=-1)
    with pytest.raises(ParameterError):
        xofs("x", [b"a"], length=-1)


@pytest.mark.parametrize("text", [",", "[{", '\\",', "\\\\,["])
def test_what_strings_hold_are_no_values(text: str) -> None:
    value: JSON = [text * MAX_ITEMS, text]
    assert parse_json(canonical_json(value), max_bytes=2**24) == value


@pytest.mark.parametrize("text", ["[]", "{}", "0"])
def test_json_of_very_many_values_is_refused(text: str) -> None:
    many = MAX_ITEMS // 2
    assert len(parse_json(f"[{','.join([text] * (many - 9))}]".encode())) == many - 9  # type: ignore[arg-type]
    with pytest.raises(DecodingError, match=f"more than {MAX_ITEMS} values"):
        parse_json(f"[{','.join([text] * (2 * many + 1))}]".encode())


@given(
    st.lists(st.tuples(st.binary(max_size=9), st.binary(max_size=9)), max_size=5),
    st.binary(max_size=9),
)
def test_digests_are_each_list_s_digest(rows: list[tuple[bytes, bytes]], same: bytes) -> None:
    firsts, seconds = [a for a, _ in rows], [b for _, b in rows]
    expected = [digest("test", same, a, b, same) for a, b in rows]
    assert digests("test", same, firsts, seconds, same) == expected
    drawn = [xof("test", same, a, b, same, length=70) for a, b in rows]
    assert xofs("test", same, firsts, seconds, same, length=70) == drawn


@pytest.mark.parametrize("columns", [[], [b"x"], [[b"a"], [b"a", b"b"]]])
def test_digests_of_columns_that_do_not_say_how_many_are_refused(columns: list[Any]) -> None:
    with pytest.raises(ParameterError):
        digests("test", *columns)
    with pytest.raises(ParameterError):
        xofs("test", *columns, length=1)
