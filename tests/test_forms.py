from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evote import _forms
from evote._forms import HOLE, Form, Strings, to_rows
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


def test_strings() -> None:
    items = [b"ab", b"cd", b"ef"]
    strings = Strings(to_rows(items))
    assert strings == items
    assert strings != items[:2]
    assert list(strings) == items
    assert (len(strings), strings[1], strings[-1]) == (3, b"cd", b"ef")
    assert strings[1:] == items[1:]
    assert strings.take([2, 0]) == [b"ef", b"ab"]
    assert strings.take([0, 1, 2]) is strings
    assert to_rows(strings) is strings.rows
    with pytest.raises(IndexError):
        strings[3]
    assert list(Strings(to_rows([]).reshape((2, 0)))) == [b"", b""]


def test_joined_strings() -> None:
    two, three = Strings(to_rows([b"ab", b"cd"])), Strings(to_rows([b"abc"]))
    assert isinstance(Strings.joined([two, two]), Strings)
    assert Strings.joined([two, two]) == [b"ab", b"cd", b"ab", b"cd"]
    assert Strings.joined([two, three]) == [b"ab", b"cd", b"abc"]
    assert Strings.joined([two, [b"x"]]) == [b"ab", b"cd", b"x"]


@given(st.lists(st.sampled_from(range(256)), min_size=1, max_size=4), st.data())
def test_native_or_not(changes: list[int], data: st.DataObject) -> None:
    """The same texts have the form, with the same values; side by side or not."""
    texts = [GOOD]
    for byte in changes:
        forged = bytearray(GOOD)
        forged[data.draw(st.integers(0, len(GOOD) - 1))] = byte
        texts.append(bytes(forged))
    answers = []
    for given_texts in (texts, Strings(to_rows(texts))):
        answers.append(form(3, 5).read(given_texts))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(_forms, "native_module", lambda: (None, "not asked"))
            answers.append(form(3, 5).read(given_texts))
    for found, columns in answers[1:]:
        assert found.tolist() == answers[0][0].tolist()
        assert [c.tolist() for c in columns] == [c.tolist() for c in answers[0][1]]
