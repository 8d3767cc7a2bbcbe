"""Messages in elements: one encoding each, the same work for all, and nothing else decodes."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import gmpy2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evote.errors import DecodingError, ParameterError, ShapeMismatch
from evote.groups import (
    Elements,
    Group,
    ModPGroup,
    _gmp,
    _gmp_ristretto,
    _gmp_weierstrass,
    ed25519,
    modp_group,
    named_group,
    ristretto255,
)
from evote.groups._messages import (
    CURVE_CANDIDATES,
    RISTRETTO_CANDIDATES,
    capacity,
    join_blocks,
    split_message,
)
from tests.backends import on

SIZES = {
    "ristretto255": 29,
    "ed25519": 29,
    "P-192": 21,
    "P-224": 25,
    "P-256": 29,
    "P-384": 45,
    "P-521": 63,
    "secp256k1": 29,
    "rfc3526-2048": 254,
    "ffdhe3072": 381,
}
FAST = ["ristretto255", "ed25519", "P-256", "P-224", "ffdhe2048"]
RNG = random.Random(3)  # test inputs only


def edges(size: int) -> Iterator[bytes]:
    yield from (b"", b"\0", b"\1", bytes(size), b"\xff" * size, bytes(size - 1) + b"\1")
    yield from (b"\x80" + bytes(size - 1), bytes(size - 1), b"\xff" * (size // 2))
    yield RNG.randbytes(size)


@pytest.mark.parametrize("name", SIZES)
def test_capacity_and_both_ends(name: str) -> None:
    """attacks: B5"""
    group = named_group(name)
    size = group.message_size()
    assert size == SIZES[name]
    messages = list(edges(size))
    encoded = group.encode_message(messages)
    assert encoded.shape == (len(messages),)
    assert not encoded.is_identity().any()
    assert group.decode_elements(encoded.encode()) == encoded
    assert group.decode_message(group.decode_elements(encoded.encode())) == messages
    assert group.decode_message(encoded * encoded / encoded) == messages
    assert len({encoded[i].encode() for i in range(len(messages))}) == len(messages)
    assert group.encode_message(messages) == encoded
    with pytest.raises(ParameterError, match=f"at most {size} fit"):
        group.encode_message([bytes(size + 1)])


@pytest.mark.parametrize("name", FAST)
def test_backends_agree(name: str) -> None:
    group = named_group(name)
    slow = group.with_backend("python")
    messages = [b"", b"Ann", b"\xff" * group.message_size(), RNG.randbytes(7)]
    encoded = group.encode_message(messages)
    assert slow.encode_message(messages).encode() == encoded.encode()
    assert slow.decode_message(encoded) == group.decode_message(encoded) == messages


@pytest.mark.parametrize("name", FAST)
@pytest.mark.parametrize("width", [1, 2, 9])
def test_wide_messages(name: str, width: int) -> None:
    group = named_group(name)
    size = group.message_size(width)
    assert size > width * (group.message_size() - 1)
    messages = [b"", bytes(size), b"\xff" * size, RNG.randbytes(size - 1)]
    encoded = group.encode_message(messages, width)
    assert encoded.shape == (4, width)
    assert group.decode_message(encoded) == messages
    if width > 1:
        for wrong in (encoded[2:3, ::-1], encoded[2:3, :-1]):  # another order, a piece missing
            with pytest.raises(DecodingError):
                group.decode_message(wrong)


@given(messages=st.lists(st.binary(max_size=60), max_size=3))
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_round_trip(messages: list[bytes]) -> None:
    for name in ("P-256", "ffdhe2048", "ristretto255"):
        group = named_group(name)
        assert group.decode_message(group.encode_message(messages, 3)) == messages


@given(data=st.binary(max_size=40), size=st.integers(1, 20), width=st.integers(1, 4))
def test_blocks_are_injective(data: bytes, size: int, width: int) -> None:
    room = capacity(size, width)
    if len(data) <= room:
        blocks = split_message(data, size, width)
        assert [len(block) for block in blocks] == [size] * width
        assert join_blocks(blocks) == data
    raw = (data + bytes(size * width))[: size * width]
    found = join_blocks([raw[i : i + size] for i in range(0, len(raw), size)])
    if found is not None:  # whatever decodes is what encodes to it
        assert b"".join(split_message(found, size, width)) == raw


def test_header_grows_with_the_width() -> None:
    assert capacity(30, 1) == 29
    assert capacity(256, 1) == 255
    assert capacity(257, 1) == 255
    assert capacity(257, 2) == 512
    assert capacity(2**15, 2) == 2**16 - 2
    assert capacity(2**15, 3) == 3 * 2**15 - 4
    for size, width in ((256, 1), (257, 1), (2**15, 2), (2**15, 3)):
        for length in (0, capacity(size, width)):
            assert join_blocks(split_message(b"\7" * length, size, width)) == b"\7" * length


def test_other_padding_is_refused() -> None:
    good = split_message(b"abc", 10, 2)
    assert join_blocks(good) == b"abc"
    for wrong in (
        [good[0][:-1] + b"\1", good[1]],
        [good[0], good[1][:-1] + b"\1"],
        [b"\2" + good[0][1:], good[1]],
        [b"\x14" + good[0][1:], good[1]],
        [b"\xff" + good[0][1:], good[1]],
    ):
        assert join_blocks(wrong) is None
    assert join_blocks([b"\x13" + good[0][1:], good[1]]) == b"abc" + bytes(16)


@pytest.mark.parametrize("name", FAST)
def test_random_elements_and_bad_padding_are_refused(name: str, backend: str) -> None:
    group = on(named_group(name), backend)
    kernel, size = group._kernel, group._kernel.block_size
    good = group.encode_message([b"good", b"too"])
    items: list[Any] = [*good._items]
    items += kernel.embed([b"\1" * size, b"\xff" * size, b"\3abcd" + bytes(size - 5)])
    items += (group.generator ** group.scalars([5, 6, 7]))._items
    items += (good.inverse() if not isinstance(group, ModPGroup) else good * good)._items
    items.append(group.identity()._items[0])
    mixture = Elements._make(group, items, (len(items),))
    with pytest.raises(DecodingError, match="box: no message at index 2, 3") as caught:
        group.decode_message(mixture, where="box")
    assert caught.value.indices == tuple(range(2, len(items)))
    assert group.decode_message(mixture[:2]) == [b"good", b"too"]


def test_a_later_candidate_is_refused(backend: str) -> None:
    """A second encoding would be a mark on the ballot, and another receipt for it."""
    p256 = on(named_group("P-256"), backend)
    block = split_message(b"Ann", 30, 1)[0]
    seen = 0
    for counter in range(1, CURVE_CANDIDATES + 20):
        x = int.from_bytes(block, "big") << 8 | counter
        try:
            element = p256.decode_elements(b"\2" + x.to_bytes(32, "big"))
        except DecodingError:
            continue
        seen += 1
        if seen == 1:
            assert p256.decode_message(element) == [b"Ann"]
            assert p256.encode_message([b"Ann"]) == element
            element = element.inverse()  # the odd y
        with pytest.raises(DecodingError):
            p256.decode_message(element)
    assert seen > 40
    ristretto, seen = on(ristretto255, backend), 0
    for counter in range(RISTRETTO_CANDIDATES + 20):
        s = int.from_bytes(block, "little") << 9 | counter << 1
        try:
            element = ristretto.decode_elements(s.to_bytes(32, "little"))
        except DecodingError:
            continue
        seen += 1
        if counter and seen == 1:
            assert ristretto.decode_message(element) == [b"Ann"]
        else:
            with pytest.raises(DecodingError):
                ristretto.decode_message(element)
    assert seen > 20


@pytest.mark.parametrize("name", ["rfc3526-2048", "ffdhe3072"])
def test_messages_are_squares_in_safe_prime_groups(name: str) -> None:
    """Attacks B4 and B5: the symbol of a ciphertext says nothing, and no message is lost."""
    group = named_group(name)
    assert isinstance(group, ModPGroup)
    size = group.message_size()
    messages = [*edges(size), *(bytes([v]) for v in range(60))]
    encoded = group.encode_message(messages)
    width, data = group.element_size, encoded.encode()
    numbers = [int.from_bytes(data[i : i + width], "big") for i in range(0, len(data), width)]
    assert {gmpy2.jacobi(x, group.p) for x in numbers} == {1}
    assert {x > group.p // 2 for x in numbers} == {True, False}  # both x and p - x occur
    assert group.decode_message(encoded) == messages
    kernel = group.with_backend("gmp")._kernel
    assert isinstance(kernel, _gmp.ModPKernel)
    low, high = bytes(kernel.block_size), b"\xff" * kernel.block_size
    assert kernel.extract(kernel.embed([low, high])) == [low, high]
    beyond = 256**kernel.block_size + 2
    member = beyond if gmpy2.jacobi(beyond, group.p) == 1 else group.p - beyond
    assert kernel.extract([gmpy2.mpz(member), gmpy2.mpz(1)]) == [None, None]


@pytest.mark.parametrize("name", ["electionguard-2.0-3072", "belenios-2048", "helios-2048"])
def test_groups_that_cannot(name: str, backend: str) -> None:
    group = on(named_group(name), backend)
    assert group.message_size() == group.message_size(3) == 0
    for attempt in (
        lambda: group.encode_message([b""]),
        lambda: group.encode_message([]),
        lambda: group.decode_message(group.generator.reshape((1,))),
    ):
        with pytest.raises(ParameterError, match=f"{name} hold no messages"):
            attempt()


def test_too_small_groups_cannot() -> None:
    assert modp_group(23, 11, 4, allow_weak=True).message_size() == 0


def test_shapes_and_types(backend: str) -> None:
    group = on(named_group("P-256"), backend)
    assert group.encode_message([]).shape == (0,)
    assert group.encode_message([], 3).shape == (0, 3)
    assert group.decode_message(group.identity((0,))) == []
    assert group.decode_message(group.identity((0, 3))) == []
    for shape in ((), (1, 1, 1), (2, 0)):
        with pytest.raises(ShapeMismatch):
            group.decode_message(group.identity(shape))
    not_widths: list[Any] = [0, -1, True, 1.0, "1"]
    for width in not_widths:
        with pytest.raises(ParameterError):
            group.encode_message([b""], width)
    not_bytes: list[Any] = ["text", 1, None, bytearray(b"x")]
    for message in not_bytes:
        with pytest.raises(ParameterError):
            group.encode_message([message])


def test_every_message_takes_the_same_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """Symbols and powers of one encoding, counted: attack C17."""
    steps: list[str] = []

    def counted(name: str) -> None:
        original = getattr(gmpy2, name)

        def wrapper(*args: object) -> object:
            steps.append(name)
            return original(*args)

        monkeypatch.setattr(gmpy2, name, wrapper)

    counted("jacobi")
    counted("powmod")
    for name, expected in (("P-256", 128), ("ristretto255", 192 + 1), ("ffdhe2048", 1)):
        group: Group = named_group(name).with_backend("gmp")
        size = group.message_size()
        runs = set()
        for message in (b"", b"Ann", bytes(size), b"\xff" * size, RNG.randbytes(size)):
            steps.clear()
            group.encode_message([message])
            runs.add(tuple(steps))
        assert len(runs) == 1
        assert len(steps) == expected


def test_no_candidate_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_gmp_weierstrass, "CURVE_CANDIDATES", 1)
    monkeypatch.setattr(_gmp_ristretto, "RISTRETTO_CANDIDATES", 1)
    for group in (named_group("P-256"), ristretto255, ed25519):
        group = group.with_backend("gmp")
        with pytest.raises(ParameterError, match="no encoding"):
            group.encode_message([bytes([i]) for i in range(40)])
