"""Algebra of arrays of elements: in a tiny group, in real ones, on every backend."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evote.errors import DecodingError, GroupMismatch, ParameterError, ShapeMismatch
from evote.groups import (
    Elements,
    Group,
    Scalars,
    Secrecy,
    concatenate,
    ed25519,
    modp_group,
    named_group,
    ristretto255,
    stack,
)

TINY = modp_group(23, 11, 4, allow_weak=True)
REAL = [ristretto255, ed25519, named_group("P-256"), named_group("belenios-2048")]
few = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])

logs = st.lists(st.integers(0, 10), max_size=12)


def powers(group: Group, *exponents: int) -> Elements:
    return group.generator ** group.scalars(list(exponents))


def some(group: Group, *shape: int) -> Elements:
    return group.generator ** group.random_scalars(shape, secrecy=Secrecy.ONE_TIME)


def same_power(x: Elements, secrecy: Secrecy, exponent: int) -> Elements:
    return x ** x.group.scalars([exponent] * len(x), secrecy=secrecy)


@given(logs, logs)
@settings(max_examples=60, deadline=None)
def test_tiny_group_is_its_exponents(a: list[int], b: list[int]) -> None:
    n = min(len(a), len(b))
    a, b = a[:n], b[:n]
    x, y, q = powers(TINY, *a), powers(TINY, *b), TINY.order
    assert x * y == powers(TINY, *[i + j for i, j in zip(a, b, strict=True)])
    assert x / y == powers(TINY, *[i - j for i, j in zip(a, b, strict=True)])
    assert x ** TINY.scalars(b) == powers(TINY, *[i * j for i, j in zip(a, b, strict=True)])
    assert x.prod() == TINY.generator ** sum(a)
    assert x.cumprod() == powers(TINY, *[sum(a[: i + 1]) for i in range(n)])
    total = sum(i * j for i, j in zip(a, b, strict=True))
    assert TINY.multiexp(x, TINY.scalars(b)) == TINY.generator**total
    assert x.equal_mask(y).tolist() == [(i - j) % q == 0 for i, j in zip(a, b, strict=True)]
    assert x.is_identity().tolist() == [i % q == 0 for i in a]


@pytest.mark.parametrize("real", REAL, ids=lambda g: str(g.name))
@given(a=st.integers(0, 2**256), b=st.integers(-(2**256), 2**256), n=st.integers(0, 5))
@few
def test_real_groups_obey_the_laws(real: Group, a: int, b: int, n: int) -> None:
    g = real.generator
    x, y = g**a, g**b
    assert x * y == y * x == g ** (a + b)
    assert x / y == g ** (a - b)
    assert x**b == y**a == g ** (a * b)
    assert x.inverse() == x**-1
    base = some(real, n)
    assert base ** (a + b) == base**a * base**b
    assert (base**a).prod() == base.prod() ** a
    assert real.decode_elements(base.encode()) == base  # the identity has probability 2^-250


@pytest.mark.parametrize("n", [0, 1, 2, 5])
def test_edge_exponents(group: Group, n: int) -> None:
    x, q = some(group, n), group.order
    one = group.identity((n,))
    ways: list[Callable[[int], Elements]] = [
        lambda e: x**e,
        *(partial(same_power, x, secrecy) for secrecy in Secrecy),
    ]
    for power in ways:
        assert power(0) == power(q) == one
        assert power(1) == power(q + 1) == x
        assert power(2) == x * x
        assert power(q - 1) == power(-1) == x.inverse()
    assert one**5 == one == one ** group.random_scalars((n,))
    assert x * one == x
    assert x / x == one
    assert group.multiexp(x, group.scalars([0] * n)) == group.identity()
    assert group.multiexp(x, group.scalars([1] * n)) == x.prod()
    assert group.multiexp(x, group.scalars([q - 1] * n)) == x.prod().inverse()
    assert group.multiexp(one, group.random_scalars((n,)).publish()) == group.identity()


def test_empty_arrays(group: Group) -> None:
    none, exponents = group.identity((0,)), group.scalars([])
    assert none.shape == exponents.shape == (0,)
    assert none.encode() == exponents.encode() == b""
    assert none.prod() == group.identity() == group.multiexp(none, exponents)
    assert (none**exponents) == none == none.cumprod() == none.inverse() == none * none
    assert (group.generator**exponents).shape == (0,)
    assert none == none
    assert exponents.sum().to_ints() == 0
    assert exponents.prod().to_ints() == 1
    wide = group.identity((0, 3))
    assert wide.prod(axis=0) == group.identity((3,))
    assert wide.prod(axis=1).shape == (0,)
    assert group.multiexp(wide, group.scalars(1), axis=0) == group.identity((3,))
    assert wide.cumprod().shape == (0, 3)
    assert group.decode_elements(b"").shape == (0,)
    assert group.decode_elements(b"", (2, 0)).shape == (2, 0)
    assert concatenate([none, powers(group, 1)]) == powers(group, 1)


@pytest.mark.parametrize("sizes", [(1,), (3, 4), (8, 0, 1, 3), (40,)])
def test_multiexp_of_any_sizes_and_duplicates(group: Group, sizes: tuple[int, ...]) -> None:
    rng = np.random.default_rng(sum(sizes))
    widths = [0, 1, 20, 128, 256]
    for n in sizes:
        x = some(group, max(1, n // 2))
        x = x.take(rng.integers(0, len(x), n))  # duplicated bases
        chosen = [int.from_bytes(rng.bytes(32), "big") >> (256 - int(w)) for w in widths]
        e = group.scalars([chosen[i] for i in rng.integers(0, len(widths), n)])
        expected = (x**e).prod()
        assert group.multiexp(x, e) == expected
        assert group.multiexp(x, e.mark(Secrecy.ONE_TIME)) == expected
        assert group.multiexp(x[:3], e[:3].mark(Secrecy.LONG_TERM)) == (x[:3] ** e[:3]).prod()


def test_multiexp_along_axes(group: Group) -> None:
    x = some(group, 2, 3)
    e = group.scalars(np.arange(6).reshape(2, 3) - 2)
    each = x**e
    assert group.multiexp(x, e, axis=0) == each.prod(axis=0) == each[0] * each[1]
    assert group.multiexp(x, e, axis=-1) == each.prod(axis=1)
    assert group.multiexp(x[0], e, axis=1) == (x[0] ** e).prod(axis=1)
    assert group.multiexp(x[0, 0], e) == x[0, 0] ** e.sum()
    assert group.multiexp(x, e[0]) == (x ** e[0]).prod()
    with pytest.raises(ShapeMismatch):
        group.multiexp(x, e, axis=2)
    with pytest.raises(ShapeMismatch):
        group.multiexp(x, e[:, :2])


def test_shared_bases_of_many_rows(group: Group) -> None:
    x, n = some(group, 3), 20 if group.backend == "gmp" else 4
    e = group.random_scalars((n, 3), secrecy=Secrecy.ONE_TIME)
    assert group.multiexp(x, e, axis=1) == (x**e).prod(axis=1)
    assert group.multiexp(x.reshape((1, 3)), e, axis=-1) == (x**e).prod(axis=1)
    assert group.multiexp(x[:, None], e.reshape((3, n)), axis=0) == (
        x[:, None] ** e.reshape((3, n))
    ).prod(axis=0)


def test_broadcasting(group: Group) -> None:
    column, row = powers(group, 1, 2)[:, None], powers(group, 3, 4, 5)
    assert (column * row) == powers(group, 4, 5, 6, 5, 6, 7).reshape((2, 3))
    assert (column / row)[1, 0] == group.generator**-1
    assert (column ** group.scalars([1, 2, 3])) == powers(group, 1, 2, 3, 2, 4, 6).reshape((2, 3))
    assert row.equal_mask(powers(group, 4)).tolist() == [False, True, False]
    assert row.broadcast_to((2, 3))[1] == row
    assert powers(group, 9).cumprod() == powers(group, 9)
    assert (column * row).cumprod() == stack([column[0] * row, column[0] * column[1] * row * row])
    with pytest.raises(ShapeMismatch):
        row * powers(group, 1, 2)
    with pytest.raises(ShapeMismatch):
        row.broadcast_to((2,))


def test_indexing_follows_numpy(group: Group) -> None:
    values = np.arange(12).reshape(3, 4)
    x, s = group.generator ** group.scalars(values), group.scalars(values)
    keys: list[Any] = [0, -1, (1, 2), slice(1, None), (slice(None), 1), [2, 0], values > 5]
    keys += [(None, 1), np.array([[0, 1], [1, 2]]), Ellipsis, np.int64(2), slice(3, 3)]
    for key in keys:
        expected = values[key]
        assert s[key] == group.scalars(expected)
        assert x[key] == group.generator ** group.scalars(expected)
        assert x[key].shape == np.shape(expected)
    assert x.take([2, 0]) == x[[2, 0]]
    assert x.take([]).shape == (0, 4)
    assert x.reshape((-1, 2)).shape == (6, 2)
    assert x.reshape((2, 6))[1, 0] == x[1, 2]
    assert concatenate([x, x[:1]]).shape == (4, 4)
    assert concatenate([x, x[:, :1]], axis=1)[2, 4] == x[2, 0]
    assert stack([s[0], s[1]], axis=1).to_ints() == [[0, 4], [1, 5], [2, 6], [3, 7]]
    assert (
        s.reshape((2, 3, 2)).to_ints()
        == (values.astype(object) % group.order).reshape(2, 3, 2).tolist()
    )
    assert group.scalars(np.zeros((2, 0, 3), dtype=int)).to_ints() == [[], []]
    for bad in (3, (0, 9), "x", 1.5, values):
        with pytest.raises(ParameterError):
            x[bad]
    for wrong in ([0.5], ["a"], [True]):
        with pytest.raises(ParameterError):
            x.take(wrong)  # type: ignore[arg-type]
    with pytest.raises(ShapeMismatch):
        x.reshape((5, 5))


def test_encoding_survives_every_rearrangement(group: Group) -> None:
    data = powers(group, *range(1, 7)).encode()
    x, width = group.decode_elements(data), group.element_size
    chunks = [data[i * width : (i + 1) * width] for i in range(6)]
    assert x[::-1].encode() == b"".join(chunks[::-1])
    assert x.reshape((2, 3))[1].encode() == b"".join(chunks[3:])
    assert x[2].broadcast_to((2,)).encode() == chunks[2] * 2
    assert concatenate([x[4:], x[:1]]).encode() == chunks[4] + chunks[5] + chunks[0]
    assert concatenate([x[4:], x[:1] * x[:1]]).encode()[: 2 * width] == chunks[4] + chunks[5]
    assert (x * x).encode() == b"".join((x[i] * x[i]).encode() for i in range(6))
    assert x.inverse().inverse().encode() == data
    assert (x**1).encode() == data
    assert pickle.loads(pickle.dumps(x)).encode() == data


def test_arrays_are_not_containers(group: Group) -> None:
    x, s = powers(group, 1, 2), group.scalars([1, 2])
    attempts: list[Callable[[], object]] = [lambda: iter(x), lambda: hash(x), lambda: list(s)]  # type: ignore[call-overload]
    for attempt in attempts:
        with pytest.raises(TypeError):
            attempt()
    attempts = [lambda: bool(x), lambda: bool(s), lambda: np.asarray(x), Elements, Scalars]
    for attempt in attempts:
        with pytest.raises(ParameterError):
            attempt()
    with pytest.raises(ParameterError):
        len(group.generator)
    assert len(x) == len(s) == 2
    assert copy.copy(x) is x is copy.deepcopy(x)
    assert repr(x) == f"<Elements {group.name} shape=(2,)>"
    assert x != powers(group, 1)  # another shape
    assert x != "x"
    with pytest.raises(TypeError):
        x * 2  # type: ignore[operator]
    with pytest.raises(TypeError):
        x ** "2"  # type: ignore[operator]


def test_numpy_integers_are_integers(group: Group) -> None:
    s = group.scalars(np.array([1, 2]))
    assert (np.int64(3) * s).to_ints() == (s * np.int64(3)).to_ints() == [3, 6]
    assert (np.int64(3) - s).to_ints() == [2, 1]
    assert group.generator ** np.int64(2) == powers(group, 2)[0]
    assert group.generator ** np.int64(-2) == powers(group, -2)[0]


def test_groups_do_not_mix() -> None:
    x, other = ristretto255.generator, named_group("ffdhe2048").generator
    for mixed in (
        lambda: x * other,
        lambda: x / other,
        lambda: x == other,
        lambda: x.equal_mask(other),
        lambda: x ** other.group.scalars(2),
        lambda: ristretto255.scalars(1) + other.group.scalars(1),
        lambda: ristretto255.scalars(1) == other.group.scalars(1),
        lambda: concatenate([x.reshape((1,)), other.reshape((1,))]),
        lambda: ristretto255.multiexp(other, other.group.scalars(1)),
    ):
        with pytest.raises(GroupMismatch):
            mixed()
    with pytest.raises(ParameterError):
        concatenate([x.reshape((1,)), ristretto255.scalars([1])])  # type: ignore[type-var]
    with pytest.raises(ParameterError):
        ristretto255.multiexp(ristretto255.scalars(1), x)  # type: ignore[arg-type]


def test_decoding_names_the_bad_ones(group: Group) -> None:
    width = group.element_size
    good = powers(group, *range(1, 6)).encode()
    identity, garbage = group.identity().encode(), b"\xff" * width
    data = good[: 2 * width] + garbage + good[3 * width :] + garbage
    with pytest.raises(DecodingError, match="at index 2, 5") as caught:
        group.decode_elements(data, where="$.x")
    assert caught.value.indices == (2, 5)
    assert caught.value.where == "$.x"
    assert str(caught.value).startswith("$.x: ")
    with pytest.raises(DecodingError) as caught:
        group.decode_elements(good + identity)
    assert caught.value.indices == (5,)
    decoded = group.decode_elements(good + identity, (2, 3), allow_identity=True)
    assert decoded.is_identity().tolist() == [[False] * 3, [False, False, True]]
    for wrong in (good[:-1], good + b"\1") if width > 1 else ():
        with pytest.raises(DecodingError):
            group.decode_elements(wrong)
    for shape in ((4,), (6,), (), (2, 3), (5, 0), (10**30,)):
        with pytest.raises(DecodingError):
            group.decode_elements(good, shape)
    not_shapes: list[Any] = [(-5,), (5.0,), "5", (True,)]
    for shape in not_shapes:
        with pytest.raises(ParameterError):
            group.decode_elements(good, shape)
    with pytest.raises(ParameterError):
        group.decode_elements("text")  # type: ignore[arg-type]
    for other_bytes in (bytearray(good), memoryview(good)):
        assert group.decode_elements(other_bytes).encode() == good


@given(st.binary(max_size=200))
@settings(max_examples=60, deadline=None)
def test_any_bytes_decode_or_raise(data: bytes) -> None:
    for group in (TINY, *REAL[:3]):
        for decode in (group.decode_elements, group.decode_scalars):
            try:
                decoded = decode(data)
            except DecodingError:
                continue
            assert decoded.encode() == data


def test_hash_to_elements(group: Group) -> None:
    x = group.hash_to_elements(b"domain", 5)
    assert x.shape == (5,)
    assert not x.is_identity().any()
    assert group.decode_elements(x.encode()) == x
    assert group.hash_to_elements(b"domain", 3) == x[:3]
    if not group.is_weak:
        assert not x.equal_mask(group.hash_to_elements(b"other", 5)).any()
        assert len({x[i].encode() for i in range(5)}) == 5
    assert group.hash_to_elements(b"", 0).shape == (0,)
    named = group.hash_messages(b"domain", [b"", b"name", bytes(4)])
    assert named[1:2] == group.hash_messages(b"domain", [b"name"])
    assert named[2] == x[0]
    assert not named.is_identity().any()


def test_linear_recurrence(group: Group) -> None:
    a, b = group.random_scalars(7).publish(), group.random_scalars(7).publish()
    start, x = group.scalars(3), [3]
    for i in range(7):
        x.append((a[i].to_ints() * x[-1] + b[i].to_ints()) % group.order)
    assert group.linear_recurrence(a, b, start).to_ints() == x[1:]
    assert group.linear_recurrence(a[:0], b[:0], start).shape == (0,)
    assert group.linear_recurrence(a, b, start.mark(Secrecy.ONE_TIME)).secret
    with pytest.raises(ShapeMismatch):
        group.linear_recurrence(a, b[:3], start)


def test_operations_are_counted(group: Group) -> None:
    g, x = group.generator, some(group, 4)
    e = group.scalars([5, 6, 7, 8])
    with group.count() as outer, group.count() as count:
        g**e
        x[0] ** e
        x**e
        x**3
        x ** e.mark(Secrecy.LONG_TERM)
        g ** e.mark(Secrecy.LONG_TERM)
        group.multiexp(x, e)
        x * x
        x.prod()
        data = x.encode()
        group.decode_elements(data, allow_identity=True)
        group.hash_to_elements(b"", 2)
    assert (count.fixed, count.variable, count.constant_time) == (8, 8, 8)
    assert count.multiexp_terms == 4
    assert count.multiplications == 8
    assert (count.decodes, count.encodes, count.hashes) == (4, 4, 2)
    assert outer == count
    with group.count() as nothing, ristretto255.count() as elsewhere:
        named_group("ffdhe2048").generator ** 3
    assert nothing == elsewhere
    assert nothing.fixed == 0
    x**3
    assert count.variable == 8  # left


def test_kept_encodings_are_not_counted_again() -> None:
    x = ristretto255.decode_elements(some(ristretto255, 3).encode())
    with ristretto255.count() as count:
        x[::-1].encode()
    assert count.encodes == 0
