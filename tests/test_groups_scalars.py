"""Scalars: arithmetic modulo q, marks of secrecy, and what marked arrays refuse."""

from __future__ import annotations

import copy
import io
import json
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evote.errors import DecodingError, EvoteError, ParameterError, ShapeMismatch
from evote.groups import Group, Scalars, Secrecy, concatenate, modp_group, ristretto255, stack

TINY = modp_group(23, 11, 4, allow_weak=True)
PUBLIC, ONE_TIME, LONG_TERM = Secrecy

numbers = st.lists(st.integers(-(2**260), 2**260), min_size=1, max_size=6)


@given(numbers, st.integers(-(2**260), 2**260))
@settings(max_examples=80, deadline=None)
def test_arithmetic_is_modulo_q(a: list[int], b: int) -> None:
    for group in (TINY, ristretto255):
        q, s = group.order, group.scalars(a)
        for other in (b, group.scalars(b)):
            assert (s + other).to_ints() == [(x + b) % q for x in a]
            assert (s - other).to_ints() == [(x - b) % q for x in a]
            assert (s * other).to_ints() == [x * b % q for x in a]
            assert (b - s).to_ints() == [(b - x) % q for x in a]
            assert (b + s) == s + b
            assert (b * s) == s * b
            assert s.equal_mask(other).tolist() == [(x - b) % q == 0 for x in a]
        assert (-s).to_ints() == [-x % q for x in a]
        assert s.sum().to_ints() == sum(a) % q
        product = 1
        for x in a:
            product = product * x % q
        assert s.prod().to_ints() == product
        assert s.is_zero().tolist() == [x % q == 0 for x in a]
        if not s.is_zero().any():
            assert (s * s.inverse()) == group.scalars([1] * len(a))
            assert s.mark(LONG_TERM).inverse() == s.inverse().mark(LONG_TERM)
        else:
            with pytest.raises(ParameterError):
                s.inverse()
        assert group.decode_scalars(s.encode()) == s


def test_sums_and_products_along_axes(group: Group) -> None:
    s = group.scalars([[1, 2, 3], [4, 5, 6]])
    assert s.sum(axis=0).to_ints() == [5 % group.order, 7 % group.order, 9 % group.order]
    assert s.sum(axis=-1) == group.scalars([6, 15])
    assert s.prod(axis=1) == group.scalars([6, 120])
    assert s[:, :0].sum(axis=1).to_ints() == [0, 0]
    assert s[:, :0].prod(axis=1).to_ints() == [1, 1]


def test_dot_products(group: Group) -> None:
    a, b = group.random_scalars((4, 3)).publish(), group.random_scalars((4, 3)).publish()
    assert a.dot(b) == b.dot(a) == (a * b).sum()
    assert a.dot(b[:1]) == (a * b[:1]).sum()
    assert a.dot(b[0, 0]) == b[0, 0].dot(a) == a.sum() * b[0, 0]
    assert a[:0].dot(b[:0]) == group.scalars(0)
    top = group.scalars([group.order - 1] * 50)
    assert top.dot(top) == group.scalars(50)
    assert a.mark(LONG_TERM).dot(b).secrecy is LONG_TERM
    with pytest.raises(ShapeMismatch):
        a.dot(b[:2])
    with pytest.raises(EvoteError):
        a.dot(modp_group(47, 23, 2, allow_weak=True).scalars([1]))


def test_what_becomes_scalars(group: Group) -> None:
    q = group.order
    assert group.scalars(q + 3).to_ints() == 3
    assert group.scalars(-1).to_ints() == q - 1
    assert group.scalars(((1, 2), (3, 4))).shape == (2, 2)
    assert group.scalars(range(3)) == group.scalars([0, 1, 2])
    assert group.scalars([]).shape == (0,)
    assert group.scalars([[], []]).shape == (2, 0)
    assert group.scalars(np.array([[1], [2]], dtype=np.uint8)).shape == (2, 1)
    assert group.scalars(np.array([2**70, -1], dtype=object)).to_ints() == [2**70 % q, q - 1]
    assert group.scalars([np.int64(7), 2**64]).to_ints() == [7, 2**64 % q]
    bad: list[Any] = [True, 1.0, "1", None, [1, True], [1.0], np.array([1.0]), np.array([True])]
    bad += [np.array([1, "x"], dtype=object), b"1", {1: 2}, np.float64(1), np.bool_(True)]
    for value in bad:
        with pytest.raises(ParameterError):
            group.scalars(value)
    for ragged in ([[1], [1, 2]], [1, [2]], [[1], 2]):
        with pytest.raises(ShapeMismatch):
            group.scalars(ragged)
    for value in (True, 1.0, np.float64(1), np.array([1])):
        uses: list[Callable[[Any], object]] = [
            lambda v: group.scalars(2) + v,
            lambda v: group.scalars(2) * v,
            lambda v: v - group.scalars(2),
            lambda v: group.generator**v,
        ]
        for use in uses:
            with pytest.raises(ParameterError):
                use(value)
    with pytest.raises(ParameterError):
        group.scalars([1]).equal_mask("1")  # type: ignore[arg-type]
    with pytest.raises(ParameterError):
        assert group.scalars(1) == 1


def test_decoding_scalars(group: Group) -> None:
    width = group.scalar_size
    order = "little" if group.name in ("ristretto255", "ed25519") else "big"
    values = [0, 1, group.order - 1]
    data = b"".join(v.to_bytes(width, order) for v in values)  # type: ignore[arg-type]
    assert group.decode_scalars(data).to_ints() == values
    assert group.decode_scalars(data, (3, 1)).encode() == data
    over = group.order.to_bytes(width, order)  # type: ignore[arg-type]
    with pytest.raises(DecodingError) as caught:
        group.decode_scalars(over + data + b"\xff" * width, where="$.s")
    assert caught.value.indices == (0, 4)
    assert caught.value.where == "$.s"
    for shape in ((2,), (), (4,)):
        with pytest.raises(DecodingError):
            group.decode_scalars(data, shape)
    secret = group.decode_secret_scalars(data)
    assert secret.secrecy is LONG_TERM
    assert group.decode_secret_scalars(data, secrecy=ONE_TIME).secrecy is ONE_TIME
    assert not group.decode_scalars(data).secret
    assert secret._secret_bytes() == data


def test_marks_are_passed_on(group: Group) -> None:
    public, once, ever = (group.scalars([1, 2], secrecy=level) for level in Secrecy)
    pairs = [(public, once, ONE_TIME), (once, ever, LONG_TERM), (ever, public, LONG_TERM)]
    for a, b, level in pairs:
        for result in (a + b, a - b, a * b, b + a, b - a, b * a):
            assert result.secrecy is level
        for result in (concatenate([a, b]), stack([b, a])):
            assert result.secrecy is level
    for secret in (once, ever):
        derived = [secret + 1, 1 - secret, 2 * secret, -secret, secret.inverse(), secret.sum()]
        derived += [secret.prod(), secret.sum(axis=0), secret[0], secret[::-1], secret.take([1])]
        derived += [secret.reshape((2, 1)), secret.broadcast_to((3, 2)), copy.deepcopy(secret)]
        for result in derived:
            assert result.secrecy is secret.secrecy
            assert result.secret
        assert not secret.publish().secret
        assert secret.publish().to_ints() == [1, 2]
        assert secret.secret  # the original keeps its mark
    assert ever.mark(ONE_TIME).secrecy is LONG_TERM  # raised only
    assert public.mark(ONE_TIME).secrecy is ONE_TIME
    assert group.random_scalars().secrecy is LONG_TERM


@pytest.mark.parametrize("level", [ONE_TIME, LONG_TERM])
def test_marked_arrays_refuse_to_leave(group: Group, level: Secrecy) -> None:
    value = 7
    secret = group.scalars([value, value, value], secrecy=level)
    shown = f"<Scalars {group.name} shape=(3,) secret>"
    assert repr(secret) == str(secret) == f"{secret}" == shown
    for leak in (
        secret.encode,
        secret.to_ints,
        secret.is_zero,
        lambda: pickle.dumps(secret),
        lambda: pickle.dump({"x": [secret]}, io.BytesIO()),
        lambda: copy.deepcopy(secret) and pickle.dumps(copy.deepcopy(secret)),
        lambda: np.asarray(secret),
        lambda: bool(secret == secret) and secret[0].to_ints(),
    ):
        with pytest.raises(ParameterError) as caught:
            leak()
        assert "7" not in str(caught.value)
    for attempt in (lambda: json.dumps(secret), lambda: int(secret), lambda: f"{secret:d}"):  # type: ignore[call-overload]
        with pytest.raises(TypeError):
            attempt()
    assert secret == group.scalars([value] * 3)
    assert secret.equal_mask(value).all()
    assert not secret.equal_mask(value + 1).any()
    assert pickle.loads(pickle.dumps(secret.publish())) == secret


def test_random_scalars(group: Group) -> None:
    asked: list[int] = []

    def rng(size: int) -> bytes:
        asked.append(size)
        return bytes(i % 251 for i in range(size))

    drawn = group.random_scalars((2, 2), rng=rng)
    assert asked == [4 * group.uniform_size]
    data = bytes(i % 251 for i in range(asked[0]))
    assert drawn == group.scalars_from_uniform(data, (2, 2))
    expected = int.from_bytes(data[: group.uniform_size], "little") % group.order
    assert drawn.publish()[0, 0].to_ints() == expected
    assert group.random_scalars((), rng=lambda n: b"\xff" * n).shape == ()
    with pytest.raises(ParameterError):
        group.random_scalars(3, rng=lambda n: b"\0" * (n - 1))
    with pytest.raises(ParameterError):
        group.scalars_from_uniform(b"\0", (1,))
    if not group.is_weak:
        many = group.random_scalars(50).publish()
        assert len(set(many.to_ints())) == 50
        assert max(many.to_ints()).bit_length() > group.order.bit_length() - 12


def test_random_scalars_of_a_tiny_group_take_every_value() -> None:
    counts = np.bincount(TINY.random_scalars(2200).publish().to_ints(), minlength=11)
    assert counts.min() > 100  # 200 expected each; 7 standard deviations
    assert isinstance(TINY.random_scalars(), Scalars)
