"""The backend native, element by element: every call of every class beside the obvious backend."""

from __future__ import annotations

import pickle
import random
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from multiprocessing import get_all_start_methods, get_context
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evote import _accelerator
from evote._accelerator import native_module
from evote.errors import DecodingError, ParameterError
from evote.groups import (
    GROUP_NAMES,
    Elements,
    Group,
    Scalars,
    Secrecy,
    _choice,
    concatenate,
    modp_group,
    named_group,
    ristretto255,
    stack,
)
from evote.groups._native import NativeKernel, NativeScalars, _Tables
from evote.groups._rows import Rows
from tests.backends import on

NAMES = ["ristretto255", "ed25519", "P-256", "belenios-2048", "rfc3526-2048", "ffdhe3072"]
LARGE = ["electionguard-2.0-3072", "electionguard-1.0-4096", "rfc3526-4096"]
RNG = random.Random(6)  # test inputs only


@pytest.fixture(params=NAMES)
def pair(request: pytest.FixtureRequest) -> tuple[Group, Group]:
    """A group on the backend native, and on the obvious one."""
    group = named_group(request.param)
    return on(group, "native"), group.with_backend("python")


@pytest.fixture(params=[1, 2])
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    module, reason = native_module()
    if module is None:
        pytest.skip(reason)
    module.set_threads(request.param)
    yield request.param
    module.set_threads(0)


def edges(q: int) -> list[int]:
    """0, 1, q - 1, carries, and both sides of every place where a window of 4 to 8 bits may end."""
    bits = q.bit_length()
    numbers = {0, 1, 2, 3, q - 1, q - 2, q // 2, q // 2 + 1, q // 3}
    for place in sorted({p for w in (4, 5, 6, 7, 8, 52, 64) for p in range(w, min(bits, 300), w)}):
        numbers |= {2**place - 1, 2**place, 2**place + 1, q - 2**place}
    for k in (8, 32, 64, 128, 252):
        numbers |= {x % q for x in (2**k - 1, int("55" * (k // 8), 16), int("f0" * (k // 8), 16))}
    return sorted(x for x in numbers if 0 <= x < q)


@cache
def some(name: str, count: int) -> bytes:
    """Encodings of members: the identity, the generator, its inverse, equal ones, random ones."""
    group = named_group(name).with_backend("gmp")
    logs = [0, 1, -1, 1, 2] + [RNG.randrange(group.order) for _ in range(count - 5)]
    return (group.generator ** group.scalars(logs)).encode()


def both(pair: tuple[Group, Group], count: int = 12) -> list[Elements]:
    data = some(pair[0].name, count)
    return [group.decode_elements(data, (count,), allow_identity=True) for group in pair]


def same(a: Elements | Scalars, b: Elements | Scalars) -> None:
    """The same bytes, which for elements is more than to be equal."""
    assert a.shape == b.shape
    assert a.encode() == b.encode()


def test_every_call_on_elements(pair: tuple[Group, Group], threads: int) -> None:
    fast, slow = pair
    x, y = both(pair)
    assert isinstance(x._items, Rows)
    assert fast.backend == "native"
    same(x, y)
    same(x * x[::-1], y * y[::-1])
    same(x * x[5], y * y[5])
    same(x[2] * x, y[2] * y)
    same(x / x[::-1], y / y[::-1])
    same(x.inverse(), y.inverse())
    same(x.prod(), y.prod())
    same(x.reshape((3, 4)).prod(axis=0), y.reshape((3, 4)).prod(axis=0))
    same(x.reshape((3, 4)).prod(axis=1), y.reshape((3, 4)).prod(axis=1))
    same(x.cumprod(), y.cumprod())
    same(x.reshape((3, 2, 2)).cumprod(), y.reshape((3, 2, 2)).cumprod())
    same(x.reshape((4, 3))[1:, ::2], y.reshape((4, 3))[1:, ::2])
    same(x.take([3, 3, 0, 11]), y.take([3, 3, 0, 11]))
    same(concatenate([x[:3], x[:0], x[7:]]), concatenate([y[:3], y[:0], y[7:]]))
    same(stack([x, x[::-1]], axis=1), stack([y, y[::-1]], axis=1))
    same(fast.identity((2, 3)), slow.identity((2, 3)))
    same(fast.hash_to_elements(b"native", 5), slow.hash_to_elements(b"native", 5))
    assert x.is_identity().tolist() == y.is_identity().tolist() == [True] + [False] * 11
    assert x.equal_mask(x[1]).tolist() == [False, True, False, True] + [False] * 8
    assert fast._kernel.log_keys(x._items) == slow._kernel.log_keys(y._items)
    same(pickle.loads(pickle.dumps(x)), y)
    for array in (x[:0], x.reshape((3, 4))[:0], x.reshape((3, 4))[:, :0]):
        assert array.encode() == b""
        assert (array * array).shape == array.inverse().shape == array.shape
        same(array.prod(), slow.identity())
    same(x.reshape((3, 4))[:, :0].prod(axis=1), slow.identity((3,)))
    same(x.reshape((3, 4))[:0].prod(axis=1), slow.identity((0,)))


def test_every_power(pair: tuple[Group, Group], threads: int) -> None:
    """Edge exponents, by every way there is; beside gmpy2 all, beside the obvious backend some."""
    fast, slow = pair
    x, y = both(pair)
    gmp = slow.with_backend("gmp")
    z = gmp.decode_elements(y.encode(), allow_identity=True)
    numbers = edges(fast.order)
    if fast.order.bit_length() > 300:
        numbers = [*RNG.sample(numbers, 60), 0, 1, fast.order - 1]
    expected = (z[5].broadcast_to((len(numbers),)) ** gmp.scalars(numbers)).encode()
    few = RNG.sample(range(len(numbers)), 3)
    for i in few:
        same(y[5] ** numbers[i], z[5] ** numbers[i])
    for secrecy in Secrecy:
        e = fast.scalars(numbers, secrecy=secrecy)
        assert (x[5] ** e).encode() == expected
        assert (x[5].broadcast_to(e.shape) ** e).encode() == expected
        for i in few:
            assert (x[5] ** e[i]).encode() == expected[i * fast.element_size :][: fast.element_size]
            same(x ** e[i], z ** gmp.scalars(numbers[i]))
        assert (x[:0] ** e[:0]).encode() == (x[0] ** e[:0]).encode() == b""
    assert (fast.generator ** fast.scalars(numbers)).encode() == (
        gmp.generator ** gmp.scalars(numbers)
    ).encode()


def test_products_of_powers(pair: tuple[Group, Group], threads: int) -> None:
    """Of few and of many, with exponents of every length, both signs, and many zeros."""
    fast, slow = pair
    gmp = slow.with_backend("gmp")
    q = fast.order
    for count in (1, 2, 7, 40, 300):
        base = fast.generator ** fast.scalars([RNG.getrandbits(100) for _ in range(count)])
        base = concatenate([base[: count // 2], fast.identity((count - count // 2,)), base])[:count]
        other = gmp.decode_elements(base.encode(), allow_identity=True)
        for bits in (1, 17, 128, q.bit_length() - 1):
            numbers = [RNG.getrandbits(bits) * RNG.choice((1, 1, 0, -1)) for _ in range(count)]
            numbers[-1] = RNG.choice((0, 1, q - 1, 2**bits - 1))
            e, f = fast.scalars(numbers), gmp.scalars(numbers)
            same(fast.multiexp(base, e), gmp.multiexp(other, f))
            same(fast.multiexp(base, e.mark(Secrecy.ONE_TIME)), gmp.multiexp(other, f))
    x, e = both(pair)[0].reshape((3, 4)), fast.scalars([[1, 2, 3, q - 1], [0] * 4, edges(q)[-4:]])
    z, f = gmp.decode_elements(x.encode(), (3, 4), allow_identity=True), gmp.scalars(e.to_ints())
    same(fast.multiexp(x, e, axis=0), gmp.multiexp(z, f, axis=0))
    same(fast.multiexp(x, e, axis=1), gmp.multiexp(z, f, axis=1))
    same(fast.multiexp(x, e[0], axis=1), gmp.multiexp(z, f[0], axis=1))
    same(fast.multiexp(x[:, :0], e[:, :0], axis=1), gmp.identity((3,)))
    same(fast.multiexp(x[:0], e[:0]), gmp.identity())


@pytest.mark.parametrize("name", LARGE)
def test_larger_moduli(name: str) -> None:
    fast, gmp = on(named_group(name), "native"), named_group(name).with_backend("gmp")
    numbers = [0, 1, fast.order - 1, 2**255, RNG.randrange(fast.order), 2**64 - 1]
    x, z = fast.generator ** fast.scalars(numbers), gmp.generator ** gmp.scalars(numbers)
    same(x, z)
    e, f = fast.scalars(numbers[::-1]), gmp.scalars(numbers[::-1])
    for secrecy in Secrecy:
        same(x ** e.mark(secrecy), z**f)
    same(fast.multiexp(x, e), gmp.multiexp(z, f))
    same((x * x[::-1]).inverse(), (z * z[::-1]).inverse())
    same(fast.decode_elements(z.encode(), allow_identity=True), z)
    same(fast.hash_to_elements(b"x", 3), gmp.hash_to_elements(b"x", 3))


@given(st.data())
@settings(max_examples=25, deadline=None)
def test_arithmetic_of_any_elements(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(NAMES[:4]))
    pair = on(named_group(name), "native"), named_group(name).with_backend("python")
    q = pair[0].order
    scalar = st.one_of(st.sampled_from(edges(q)), st.integers(0, q - 1))
    logs = data.draw(st.lists(scalar, min_size=1, max_size=9))
    numbers = data.draw(st.lists(scalar, min_size=len(logs), max_size=len(logs)))
    order = data.draw(st.permutations(range(len(logs))))
    results = []
    for group in pair:
        x, e = group.generator ** group.scalars(logs), group.scalars(numbers)
        y = x.take(order)
        some = [x, x * y, x / y, y.inverse(), x.prod(), y.cumprod(), x[0] * y]
        some += [x**e, y ** e.mark(Secrecy.LONG_TERM), x[0] ** e, group.multiexp(y, e)]
        results.append([array.encode() for array in some])
        assert x.equal_mask(y).tolist() == [
            (logs[i] - logs[order[i]]) % q == 0 for i in range(len(logs))
        ]
    assert results[0] == results[1]


@pytest.mark.parametrize("name", [*NAMES[:4], "tiny"])
@given(st.data())
@settings(max_examples=60, deadline=None)
def test_arithmetic_of_scalars(name: str, data: st.DataObject) -> None:
    """Rows of words beside gmpy2's integers."""
    group = modp_group(23, 11, 4, allow_weak=True) if name == "tiny" else named_group(name)
    module, reason = native_module()
    if module is None:
        pytest.skip(reason)
    q, width, order = group.order, group.scalar_size, group._scalar_byteorder
    fast: Any = NativeScalars(module, q, width, order)
    slow: Any = group.with_backend("gmp")._scalars
    number = st.one_of(st.sampled_from(edges(q)), st.integers(0, q - 1))
    a = data.draw(st.lists(number, max_size=12))
    b = data.draw(st.lists(number, min_size=len(a), max_size=len(a)))
    one = [data.draw(number)]
    for method in ("add", "subtract", "multiply"):
        for x, y in ((a, b), (a, one), (one, b)):
            assert list(getattr(fast, method)(x, y)) == getattr(slow, method)(x, y)
    assert list(fast.negate(a)) == slow.negate(a)
    integers = data.draw(st.lists(st.integers(-(2**63), 2**63 - 1), max_size=4))
    integers += [0, -1, -(2**63), 2**63 - 1]
    for numbers in (integers, [*integers, 2**64], [-(q**2), q, 5 * q + 1]):
        assert list(fast.reduced(numbers)) == slow.reduced(numbers)
    for dtype in (np.int64, np.uint64, np.uint8, np.int16):
        array = np.array(integers).astype(dtype)
        assert list(fast.reduced_array(array)) == slow.reduced_array(array)
    assert list(fast.recurrence(a, b, one)) == slow.recurrence(a, b, one)
    assert list(fast.equal(a, b, secret=False)) == slow.equal(a, b, secret=False)
    assert fast.bits(fast.own(a)) == slow.bits(slow.reduced(a))
    assert list(fast.is_zero(a)) == slow.is_zero(a)
    units = [x for x in a if x]
    for secret in (False, True):
        assert list(fast.inverse(units, secret=secret)) == slow.inverse(units, secret=secret)
    for rows in [r for r in range(1, 13) if len(a) % r == 0]:
        assert list(fast.sums(a, rows)) == slow.sums(a, rows)
        assert list(fast.products(a, rows)) == slow.products(a, rows)
    encoded = fast.encode(a)
    assert encoded == slow.encode(slow.reduced(a))
    wrong = data.draw(st.lists(st.binary(min_size=width, max_size=width), max_size=3))
    above = [x.to_bytes(width, order) for x in (q, q + 1, 256**width - 1) if x < 256**width]
    everything = encoded + b"".join(wrong + above)
    items, bad = fast.decode(everything)
    good, expected = slow.decode(everything)
    assert bad == expected
    assert [x for i, x in enumerate(items) if i not in bad] == [
        x for i, x in enumerate(good) if i not in bad
    ]
    uniform = data.draw(st.binary(max_size=5 * group.uniform_size))
    uniform = uniform[: len(uniform) // group.uniform_size * group.uniform_size]
    uniform += b"\xff" * group.uniform_size
    assert list(fast.from_uniform(uniform, group.uniform_size)) == slow.from_uniform(
        uniform, group.uniform_size
    )


def test_arrays_of_three_backends_meet(pair: tuple[Group, Group]) -> None:
    fast, slow = pair
    gmp = slow.with_backend("gmp")
    e = [5, fast.order - 3, 7, 0]
    arrays = [group.generator ** group.scalars(e) for group in (fast, gmp, slow)]
    expected = (gmp.generator ** gmp.scalars([2 * x for x in e])).encode()
    for x in arrays:
        for y in arrays:
            assert x == y
            assert (x * y).encode() == expected
            assert (x ** y.group.scalars(2)).encode() == expected
            assert (x ** y.group.scalars([2] * 4, secrecy=Secrecy.LONG_TERM)).encode() == expected
            assert x.group.multiexp(y, x.group.scalars([2] * 4)) == y.prod() * x.prod()
            assert concatenate([x, y]).encode() == x.encode() + y.encode()
            scalars = x.group.scalars(e) + y.group.scalars(e)
            assert scalars.to_ints() == [2 * v % fast.order for v in e]
            assert concatenate([x.group.scalars(e), y.group.scalars(e)])[4:] == fast.scalars(e)
        assert pickle.loads(pickle.dumps(x)) == x


def test_garbage_gets_the_verdicts_of_gmpy2(pair: tuple[Group, Group]) -> None:
    """Random bytes, members with one bit turned, and numbers about the modulus: the same places."""
    fast, size = pair[0], pair[0].element_size
    gmp = fast.with_backend("gmp")
    good = some(fast.name, 12)
    chunks = [good[i : i + size] for i in range(0, len(good), size)]
    wrong = [RNG.randbytes(size) for _ in range(40)]
    for i in range(60):
        changed = bytearray(chunks[i % len(chunks)])
        bit = RNG.randrange(8 * size)
        changed[bit // 8] ^= 1 << bit % 8
        wrong.append(bytes(changed))
    modulus = int(gmp._kernel.modulus)
    for number in (0, 1, 2, modulus - 1, modulus, modulus + 1, 256**size - 1, (modulus - 1) // 2):
        for byteorder in ("little", "big"):
            if number < 256**size:
                wrong.append(number.to_bytes(size, byteorder))
    for prefix in (2, 3, 4, 0):
        wrong += [bytes([prefix]) + x[1:] for x in wrong[:6]]
    verdicts = []
    mixed = chunks + wrong
    for group in (fast, gmp):
        try:
            group.decode_elements(b"".join(mixed), allow_identity=True)
            bad: tuple[int, ...] = ()
        except DecodingError as error:
            bad = error.indices
        verdicts.append(bad)
    assert verdicts[0] == verdicts[1]
    assert min(verdicts[0]) >= len(chunks)
    accepted = [x for i, x in enumerate(mixed) if i not in verdicts[0]]
    same(*(group.decode_elements(b"".join(accepted), allow_identity=True) for group in (fast, gmp)))


def test_messages(pair: tuple[Group, Group]) -> None:
    fast, slow = pair
    size = fast.message_size()
    assert size == slow.message_size()
    if not size:
        return
    messages = [b"", b"Ann", bytes(size), b"\xff" * size, RNG.randbytes(size)]
    x = fast.encode_message(messages)
    same(x, slow.encode_message(messages))
    assert fast.decode_message(x) == messages
    mixed = concatenate([x, both(pair)[0]])
    bad = []
    for group in (fast, slow):
        with pytest.raises(DecodingError) as caught:
            group.decode_message(group.decode_elements(mixed.encode(), allow_identity=True))
        bad.append(caught.value.indices)
    assert bad[0] == bad[1]
    assert {5, *range(10, 17)} <= set(bad[0]) <= set(range(5, 17))  # g = 2 holds a message


def test_secrets_stay_marked_and_are_never_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    group = on(ristretto255, "native")
    secrets = group.random_scalars(6)

    def refuse(*args: object) -> None:
        raise AssertionError("secret rows became numbers")

    monkeypatch.setattr(Rows, "__iter__", refuse)
    monkeypatch.setattr(Rows, "_read", refuse)
    derived = [secrets + 1, -secrets, secrets * secrets, secrets.inverse(), secrets.sum()]
    derived += [secrets.prod(), secrets[::-1], secrets.reshape((2, 3)).sum(axis=0)]
    derived.append(concatenate([secrets, secrets]))
    derived.append(group.linear_recurrence(secrets, secrets, secrets[0]))
    assert all(x.secrecy is Secrecy.LONG_TERM for x in derived)
    base = group.hash_to_elements(b"base", 6)
    assert (base**secrets).shape == (6,)
    assert (base ** secrets.mark(Secrecy.ONE_TIME)).shape == (6,)
    assert group.multiexp(base, secrets).shape == ()
    assert secrets == secrets[:]
    with pytest.raises(ParameterError):
        pickle.dumps(secrets)


def test_tables_are_earned_and_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    group = on(ristretto255, "native")
    kernel = group._kernel
    assert isinstance(kernel, NativeKernel)
    built = []

    class Table:
        nbytes = 100

    def build(base: bytes) -> Table:
        built.append(base)
        return Table()

    monkeypatch.setattr("evote.groups._native._MAX_TABLE_BYTES", 250)
    tables = _Tables(build, 10)
    assert tables.find(b"a", 9) is None
    assert built == []
    assert tables.find(b"a", 1) is not None
    assert tables.find(b"a", 1) is not None
    assert built == [b"a"]
    for base in (b"b", b"c", b"d"):
        assert tables.find(base, 10) is not None
    assert len(tables._uses) == 2  # the least recently used went
    for i in range(100):
        tables.find(b"once %d" % i, 1)
    assert len(tables._uses) <= 65


def test_a_base_through_its_table(pair: tuple[Group, Group]) -> None:
    fast, gmp = pair[0], pair[1].with_backend("gmp")
    x = fast.hash_to_elements(b"a base", 1)[0]
    y = gmp.hash_to_elements(b"a base", 1)[0]
    numbers = [RNG.randrange(fast.order) for _ in range(40)]
    for part in (numbers[:3], numbers, edges(fast.order)[:40]):  # without a table, and with
        same(x ** fast.scalars(part), y ** gmp.scalars(part))
    short = [0, 1, 2, 255, 65535]
    same(x ** fast.scalars(short), y ** gmp.scalars(short))


# -- which backend serves --------------------------------------------------------------------------


@pytest.fixture
def unasked() -> Iterator[None]:
    native_module.cache_clear()
    yield
    native_module.cache_clear()


@pytest.mark.usefixtures("unasked")
def test_without_the_module(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> None:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    monkeypatch.setattr(_accelerator, "import_module", absent)
    monkeypatch.delenv("EVOTE_NATIVE", raising=False)
    assert _choice.choose("ristretto255") == ("gmp", "evote-native is not installed")
    with pytest.raises(ParameterError, match="evote-native is not installed"):
        ristretto255.with_backend("native")
    assert _choice.restored("native", "P-256") == "gmp"


@pytest.mark.usefixtures("unasked")
@pytest.mark.parametrize(
    ("value", "version", "reason"),
    [
        ("off", "0.3.0", "EVOTE_NATIVE is off"),
        ("", "0.2.0", "evote-native 0.2.0 is not 0.3.x, which evote knows"),
    ],
)
def test_when_the_module_is_not_used(
    monkeypatch: pytest.MonkeyPatch, value: str, version: str, reason: str
) -> None:
    class Module:
        __version__ = version
        MODE = "ifma"

    monkeypatch.setattr(_accelerator, "import_module", lambda name: Module)
    monkeypatch.setenv("EVOTE_NATIVE", value)
    assert _choice.choose("P-256") == ("gmp", reason)
    assert _choice.choose("P-384") == ("gmp", "evote-native does not serve it")


def test_every_group_says_which_backend_serves_it() -> None:
    for name in GROUP_NAMES:
        group = named_group(name)
        backend, reason = group.default_backend
        assert group.backend == backend
        assert reason
        for other in ("gmp", "python"):
            assert group.with_backend(other).backend == other
            assert group.with_backend(other).default_backend == (backend, reason)
    with pytest.raises(ParameterError, match="does not serve"):
        named_group("P-384").with_backend("native")


def test_keys_of_logarithms_are_alike() -> None:
    """The table of small powers belongs to a group, whichever backend asks."""
    for name in NAMES[:4]:
        fast = on(named_group(name), "native")
        x = fast.generator ** fast.scalars(range(20))
        y = x.within(fast)
        keys = fast._kernel.log_keys(x._items)
        assert keys == fast.with_backend("gmp")._kernel.log_keys(list(y._items))
        assert len(set(keys)) == 20
        assert np.array(keys, dtype=object).max() < 2**64


def _power_in_a_worker(exponent: int) -> bytes:
    return (ristretto255.generator ** ristretto255.scalars([exponent] * 2000)).encode()[-32:]


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_processes_of_a_pool(method: str, threads: int) -> None:
    """Also after threads have served here, which do not live on in a forked process."""
    if method not in get_all_start_methods():
        pytest.skip(f"no {method} here")
    here = [_power_in_a_worker(i) for i in (3, 5)]
    with ProcessPoolExecutor(2, mp_context=get_context(method)) as pool:
        assert list(pool.map(_power_in_a_worker, [3, 5], timeout=60)) == here
