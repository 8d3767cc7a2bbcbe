from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evote._forms import HOLE, Form, to_rows
from evote.encoding import JSON, canonical_json, encode_base64url, encode_hex


def text(key: bytes, packed: bytes) -> bytes:
    return canonical_json({"a": encode_hex(key), "b": "fixed", "c": encode_base64url(packed)})


def form(key: int, packed: int) -> Form:
    holes: dict[str, JSON] = {"a": HOLE * 2 * key, "b": "fixed", "c": HOLE * -(-4 * packed // 3)}
    return Form(canonical_json(holes), ["hex", "base64url"])


@given(st.data(), st.integers(1, 9), st.integers(1, 9), st.integers(0, 4))
def test_columns_are_what_was_written(data: st.DataObject, key: int, packed: int, n: int) -> None:
    keys = [data.draw(st.binary(min_size=key, max_size=key)) for _ in range(n)]
    arrays = [data.draw(st.binary(min_size=packed, max_size=packed)) for _ in range(n)]
    texts = [text(*pair) for pair in zip(keys, arrays, strict=True)]
    if n:
        assert form(key, packed).write([to_rows(keys), to_rows(arrays)]) == texts
    found, columns = form(key, packed).read(texts)
    assert found.tolist() == list(range(n))
    assert [row.tobytes() for row in columns[0]] == keys
    assert [row.tobytes() for row in columns[1]] == arrays
    assert columns[0].shape == (n, key)
    assert columns[1].shape == (n, packed)


GOOD = text(b"key", b"bytes")


@pytest.mark.parametrize(
    "other",
    [
        b"",
        GOOD + b" ",
        GOOD[:-1],
        GOOD.replace(b"fixed", b"fixes"),
        GOOD.replace(b'"a"', b'"A"'),
    ],
)
def test_other_texts_are_left_out(other: bytes) -> None:
    found, columns = form(3, 5).read([GOOD, other, GOOD])
    assert found.tolist() == [0, 2]
    assert [row.tobytes() for row in columns[0]] == [b"key", b"key"]
    assert [row.tobytes() for row in columns[1]] == [b"bytes", b"bytes"]


HEX = GOOD.index(b'"a":"') + 5
PACKED = GOOD.index(b'"c":"') + 5


@pytest.mark.parametrize(
    ("place", "byte"),
    [
        *[(HEX, byte) for byte in b'ABFg/:`@ \x00\x80\xff!"+-_=~'],
        *[(PACKED + 2, byte) for byte in b'+/=. \n\x00\x80\xff!"~'],
        *[(PACKED + 6, byte) for byte in b"ABDEFGHIJKLMNO=~_-"],
    ],
)
def test_a_hole_without_a_value(place: int, byte: int) -> None:
    """The general reader then says which text it is; an equal byte is no change."""
    forged = bytearray(GOOD)
    same = forged[place] == byte
    forged[place] = byte
    found, columns = form(3, 5).read([GOOD, bytes(forged)])
    canonical = place == PACKED + 6 and byte in b"AEIM"  # the two unused bits are zero
    assert found.tolist() == ([0, 1] if same or canonical else [0])
    assert [column.shape for column in columns] == [(len(found), 3), (len(found), 5)]


def test_rows_of_strings() -> None:
    assert to_rows([b"ab", b"cd"]).tolist() == [[97, 98], [99, 100]]
    assert to_rows([]).shape == (0, 0)
