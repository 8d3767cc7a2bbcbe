"""What long lists rest on: bytes on the disk, fields without copies, elements that lie encoded."""

from __future__ import annotations

import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evote._long_fields import read_long_fields, write_long_field
from evote._spool import Spool
from evote.elgamal import Ciphertexts, decode_ciphertexts
from evote.encoding import JSON, Fields, canonical_json, digest, long_digest, parse_json
from evote.errors import DecodingError, EvoteError, ParameterError
from evote.groups import Elements, Group, concatenate, ristretto255
from evote.groups import base as groups_base

pytestmark = pytest.mark.usefixtures("short_lists_too")

# -- bytes on the disk -----------------------------------------------------------------------------


@pytest.mark.parametrize("size", [10, 3 * 2**20])
def test_a_spool_gives_back_what_it_got(size: int) -> None:
    """In memory and in a file."""
    spool = Spool()
    first, second = bytes(range(10)) * (size // 10), b"second"
    one, two = spool.add(first), spool.add_all(iter([b"sec", b"", b"ond"]))
    assert (len(one), len(two)) == (len(first), 6)
    assert (bytes(one), bytes(two)) == (first, second)
    assert bytes(spool.add(b"")) == b""
    assert two[1:4] == b"eco"
    assert two[4:99] == b"nd"
    assert two[3:1] == b""
    assert two[::2] == b"scn"
    assert two[-1] == ord("d")
    assert one[len(one) - 3 :] == first[-3:]
    with pytest.raises(IndexError):
        two[6]


# -- fields without copies -------------------------------------------------------------------------

PACKED = "A" * 20 + "-_9z"
PLAIN: dict[str, JSON] = {"election": "00", "outputs": PACKED, "proof": "AAAA", "step": 3}


def read_plainly(data: bytes) -> list[object]:
    fields = Fields(parse_json(data, where="f", max_bytes=10**6), "f: $")
    return _all(fields)


def _all(fields: Fields) -> list[object]:
    values: list[object] = [fields.text("election"), fields.integer("step", 0, 9)]
    values += [fields.packed("outputs", 18), fields.packed("proof", max_size=100)]
    fields.end()
    return values


def read_long(data: bytes) -> list[object]:
    return _all(read_long_fields(data, ["proof", "outputs"], where="f", max_bytes=10**6))


GOOD = canonical_json(PLAIN)
WRONG = {
    "a field less": canonical_json({k: v for k, v in PLAIN.items() if k != "outputs"}),
    "a field more": canonical_json(PLAIN | {"zero": 0}),
    "another kind": canonical_json(PLAIN | {"outputs": 3}),
    "a list": canonical_json(PLAIN | {"outputs": [PACKED]}),
    "no base64url": canonical_json(PLAIN | {"outputs": "A" * 23 + "+"}),
    "no ascii": canonical_json(PLAIN | {"outputs": "A" * 22 + "\u00e9"}),
    "no utf-8": GOOD.replace(b"-_9z", b"-_9\xff"),
    "an escape": GOOD.replace(b"-_9z", b"-_\\n"),
    "unused bits": canonical_json(PLAIN | {"proof": "AB"}),
    "too long": canonical_json(PLAIN | {"outputs": PACKED + "AAAA"}),
    "one character more": canonical_json(PLAIN | {"proof": "AAAAA"}),
    "twice": GOOD.replace(b'"proof"', b'"outputs":"%s","proof"' % PACKED.encode()),
    "out of order": GOOD.replace(b'"outputs"', b'"x"').replace(b'"proof"', b'"outputs"'),
    "deeper alone": canonical_json({"election": {"outputs": PACKED}, "proof": "AAAA", "step": 3}),
    "deeper too": canonical_json(PLAIN | {"election": {"outputs": PACKED}}),
    "white space": GOOD.replace(b'"outputs":', b'"outputs": '),
    "cut": GOOD[: GOOD.index(b"-_9z")],
    "no object": b'["outputs":"AAAA"]',
    "not canonical": GOOD.replace(b"AAA-", b"\\u0041AA-"),
    "large": GOOD + b" " * 10**6,
}


def test_long_fields_are_those_of_the_whole() -> None:
    assert read_long(GOOD) == read_plainly(GOOD)
    named = canonical_json(PLAIN | {"election": '"outputs":"AAAA"'})  # in a string, not a key
    assert read_long(named) == read_plainly(named)


@pytest.mark.parametrize("name", WRONG)
def test_long_fields_refuse_what_the_whole_does(name: str) -> None:
    for read in (read_plainly, read_long):
        with pytest.raises(DecodingError, match=r"^f"):
            read(WRONG[name])


@given(st.integers(0, len(GOOD) - 1), st.integers(0, 255))
def test_long_fields_read_no_other_file(place: int, byte: int) -> None:
    data = GOOD[:place] + bytes([byte]) + GOOD[place + 1 :]
    results: list[object] = []
    for read in (read_plainly, read_long):
        try:
            results.append(read(data))
        except DecodingError:
            results.append(None)
    assert results[0] == results[1]


@pytest.mark.parametrize("size", [0, 1, 2, 3, 2**20 + 1])
def test_long_fields_are_written_as_others(size: int) -> None:
    data = (bytes(range(256)) * (size // 256 + 1))[:size]
    rest: dict[str, JSON] = {"a": [1], "lists": "", "z": "x"}
    made = write_long_field(canonical_json(rest), "lists", data)
    fields = read_long_fields(made, ["lists"], where="f", max_bytes=len(made))
    assert bytes(fields.stored("lists", size, Spool())) == data
    again = Fields(parse_json(made), "f")
    assert again.packed("lists") == data
    assert canonical_json(rest | {"lists": again.value("lists")}) == made
    with pytest.raises(DecodingError, match=f"{size + 1} bytes expected, got {size}"):
        fields.stored("lists", size + 1, Spool())


def test_long_digests() -> None:
    data = bytes(2**20 + 3)
    expected = digest("test", data[: 2**20])  # in one piece
    assert long_digest("test", 2**20, [data[:5], b"", data[5 : 2**20]]) == expected
    assert digest("test", data) == long_digest("test", len(data), [data])
    assert digest("test", data) != expected
    for size in (4, 6):
        with pytest.raises(ParameterError):
            long_digest("test", size, [b"12345"])


# -- elements that lie encoded ---------------------------------------------------------------------


def some(group: Group, n: int) -> Elements:
    return group.generator ** group.scalars(list(range(1, n + 1)))  # never the identity


def packings(x: Elements) -> list[Elements]:
    """The same elements, packed in each way."""
    group, data = x.group, x.encode()
    spooled = group.decode_elements(Spool().add(data), x.shape, packed=True)
    known = group.decode_elements(data, x.shape, packed=True, known=True)
    return [x.packed(), x.packed().packed(), spooled, known]


@pytest.mark.parametrize("n", [0, 1, 5])
def test_packed_elements_are_the_same(group: Group, n: int) -> None:
    x, e = some(group, n), group.random_scalars((n,)).publish()
    for y in packings(x):
        assert y == x == y.packed()
        assert x == y
        assert y.encode() == x.encode()
        assert (y.shape, len(y), y.group) == (x.shape, n, group)
        assert y * x == x * x == x * y
        assert y / x == group.identity((n,))
        assert y**e == x**e
        assert y.prod() == x.prod()
        assert y.cumprod() == x.cumprod()
        assert group.multiexp(y, e) == group.multiexp(x, e)
        assert y[1:4] == x[1:4]
        assert y[::2] == x[::2]
        assert y[::-1] == x[::-1]
        assert y.reshape((n, 1))[:, 0] == x
        assert pickle.loads(pickle.dumps(y)) == x
        assert concatenate([x, y]) == concatenate([y, x]) == concatenate([y, y])
        if n:
            places = [n - 1, 0, 0]
            assert y[n - 1] == x[n - 1]
            assert y.take(places) == x.take(places)
            assert y[0] ** e == x[0] ** e
            assert (y[:1] * x) == (x[:1] * x)
            assert y.equal_mask(x[0]).tolist() == x.equal_mask(x[0]).tolist()


def test_only_long_lists_lie_encoded(group: Group, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(groups_base, "_FEW", 4)
    decoded: list[int] = []
    decode = group._kernel.decode

    def counting(data: bytes) -> Any:
        decoded.append(len(data) // group.element_size)
        return decode(data)

    monkeypatch.setattr(group._kernel, "decode", counting)
    short, long = some(group, 4), some(group, 5)
    for kept in (short.packed(), short.packed(4), long.packed(4)):
        kept.prod()
    assert decoded == []
    for packed in (long.packed(), short.packed(5), short.packed(5)[:2]):
        packed.prod()
    assert decoded == ([5, 4, 2] if group._decodes_fast else [])


def test_packed_ciphertexts_are_the_same(group: Group) -> None:
    x = Ciphertexts(alpha=some(group, 6).reshape((3, 2)), beta=some(group, 6).reshape((3, 2)))
    for data in (x.encode(), Spool().add(x.encode())):
        y = decode_ciphertexts(group, data, (3, 2), packed=True)
        assert (y.alpha, y.beta) == (x.alpha, x.beta)
        assert y.take([2, 0]).encode() == x.take([2, 0]).encode()


@pytest.mark.parametrize("kept", [bytes, lambda data: Spool().add(data)])
def test_packed_elements_are_members(
    group: Group, kept: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(groups_base, "_PIECE", 3)
    data, size = some(group, 8).encode(), group.element_size
    assert group.decode_elements(kept(data), packed=True) == group.decode_elements(data)
    neutral = group.identity().encode()
    bad = b"\xff" * size + data[size : 5 * size] + neutral + data[6 * size :]
    for packed in (False, True):
        with pytest.raises(DecodingError, match="at index 0, 5") as caught:
            group.decode_elements(kept(bad), packed=packed, where="there")
        assert caught.value.indices == (0, 5)
        with pytest.raises(DecodingError, match=r"at index 0$"):
            group.decode_elements(kept(bad), packed=packed, allow_identity=True)


def test_nobody_computes_with_what_is_no_element(backend: str) -> None:
    """Of bytes that are said to be known too."""
    group = ristretto255.with_backend(backend)
    with pytest.raises(EvoteError, match=r"changed after it was checked|not a group element"):
        group.decode_elements(b"\xff" * 32, packed=True, known=True).prod()
