"""What could slip into a bulk call: other groups, shapes, edges, twins, points of small order."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from math import prod

import gmpy2
import pytest

from evote.errors import DecodingError, GroupMismatch, ShapeMismatch
from evote.groups import (
    Elements,
    Group,
    ModPGroup,
    Scalars,
    Secrecy,
    _executor,
    concatenate,
    modp_group,
    named_group,
    stack,
)
from evote.groups import _edwards25519 as ed
from evote.groups import _python as obvious
from tests.backends import on

KINDS = ["ristretto255", "ed25519", "P-256", "belenios-2048", "electionguard-2.0-3072"]


@pytest.fixture(params=["here", "executor"])
def served(
    request: pytest.FixtureRequest, group: Group, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Group]:
    """Each kind of group on each backend; and on the fast one over an executor of two threads."""
    if request.param == "here":
        yield group
        return
    if group.backend == "python":
        pytest.skip("executors serve both backends alike")
    monkeypatch.setattr(_executor, "_WORTH_SECONDS", 0.0)
    monkeypatch.setattr(_executor, "_PROBE", 1)
    monkeypatch.setattr(_executor, "_MAX_CHUNK", 3)
    with ThreadPoolExecutor(2) as threads:
        yield group.with_executor(threads)


def ways(group: Group) -> dict[str, Callable[[Elements, Scalars], Elements]]:
    """Each way to the product of powers of n elements."""
    return {
        "multiexp": group.multiexp,
        "multiexp of a row": lambda x, e: group.multiexp(stack([x, x]), e, axis=1)[1],
        "multiexp of secrets": lambda x, e: group.multiexp(x, e.mark(Secrecy.ONE_TIME)),
        "powers": lambda x, e: (x**e).prod(),
        "powers of secrets": lambda x, e: (x ** e.mark(Secrecy.ONE_TIME)).prod(),
        "constant time": lambda x, e: (x ** e.mark(Secrecy.LONG_TERM)).prod(),
    }


@pytest.mark.parametrize("n", [1, 3])
def test_edges_twins_and_neutral_elements(served: Group, n: int) -> None:
    """Scalars 0, 1 and q - 1; the identity, equal and opposite elements: by every way the same."""
    q, g = served.order, served.generator
    logs = {
        "neutral": [0] * n,
        "equal": [5] * n,
        "opposite": [5, -5] * n,
        "edges": [0, 1, 2, q - 1, 0, q - 2],
    }
    numbers = {"zeros": 0, "ones": 1, "largest": q - 1, "middle": q // 2}
    for log in logs.values():
        x = served.decode_elements((g ** served.scalars(log)).encode(), allow_identity=True)
        for number in numbers.values():
            e = served.scalars([number] * len(log))
            expected = g ** (sum(log) * number)
            for name, way in ways(served).items():
                assert way(x, e) == expected, (name, log, number)
        mixed = served.scalars([list(numbers.values())[i % 4] for i in range(len(log))])
        total = sum(a * int(b) for a, b in zip(log, mixed.to_ints(), strict=True))
        for name, way in ways(served).items():
            assert way(x, mixed) == g**total, (name, log)
        assert x.cumprod()[-1] == x.prod() == g ** sum(log)
        assert x.is_identity().tolist() == [a % q == 0 for a in log]


def test_one_base_with_edge_exponents(served: Group) -> None:
    q = served.order
    edges = [0, 1, q - 1, 0, q - 1, q // 2]
    for base, log in ((served.generator, 1), (served.generator**7, 7), (served.identity(), 0)):
        expected = served.generator ** served.scalars([e * log for e in edges])
        for secrecy in Secrecy:
            assert base ** served.scalars(edges, secrecy=secrecy) == expected
            assert base ** served.scalars(edges[:1], secrecy=secrecy) == expected[:1]
            assert (base ** served.scalars([], secrecy=secrecy)).shape == (0,)


def test_wrong_shapes(served: Group) -> None:
    x, e = served.generator ** served.scalars([[1, 2, 3], [4, 5, 6]]), served.scalars([1, 2])
    calls: list[Callable[[], object]] = [
        lambda: x**e,
        lambda: x ** e.mark(Secrecy.LONG_TERM),
        lambda: x * x[:, :2],
        lambda: x / x[:, :2],
        lambda: x.equal_mask(x[:, :2]),
        lambda: x.prod(axis=2),
        lambda: served.multiexp(x, e),
        lambda: served.multiexp(x, e, axis=1),
        lambda: served.multiexp(x, e.mark(Secrecy.LONG_TERM), axis=1),
        lambda: concatenate([x, x[0]]),
        lambda: stack([x, x[:1]]),
    ]
    for call in calls:
        with pytest.raises(ShapeMismatch):
            call()
    assert (x ** e[:, None]).shape == (2, 3)
    assert served.multiexp(x, e[:, None], axis=0).shape == (3,)


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("other", KINDS)
def test_no_two_groups_mix(name: str, other: str) -> None:
    group, stranger = named_group(name), named_group(other)
    x, e = group.generator.reshape((1,)), group.scalars([3])
    y, f = stranger.generator.reshape((1,)), stranger.scalars([3])
    calls: list[Callable[[], object]] = [
        lambda: x * y,
        lambda: x / y,
        lambda: x == y,
        lambda: x**f,
        lambda: x ** f.mark(Secrecy.LONG_TERM),
        lambda: e + f,
        lambda: e * f,
        lambda: group.multiexp(x, f),
        lambda: group.multiexp(y, e),
        lambda: group.multiexp(y, f),
        lambda: concatenate([x, y]),
        lambda: stack([e, f]),
        lambda: group.linear_recurrence(e, f, e[0]),
    ]
    for call in calls:
        if name == other:
            call()
        else:
            with pytest.raises(GroupMismatch):
                call()


# -- outside the subgroup ------------------------------------------------------------------------


def factors_of_cofactor(group: ModPGroup) -> list[int]:
    """The small primes in (p - 1) / q."""
    cofactor = (group.p - 1) // group.order
    return [r for r in range(2, 1000) if gmpy2.is_prime(r) and cofactor % r == 0]


def of_order(group: ModPGroup, r: int) -> int:
    for x in range(2, 100):
        root = pow(x, (group.p - 1) // r, group.p)
        if root != 1:
            return int(root)
    raise AssertionError(f"no element of order {r}")


def refuses_each(group: Group, outsiders: list[bytes]) -> None:
    """Alone, and among many members, where membership may be asked in bulk; the rest is taken."""
    count = 5 if group.backend == "python" else 40
    good = (group.generator ** group.scalars(range(1, count + 1))).encode()
    width = group.element_size
    assert group.decode_elements(good).encode() == good
    for bad in outsiders:
        with pytest.raises(DecodingError) as caught:
            group.decode_elements(bad, allow_identity=True)
        assert caught.value.indices == (0,)
        with pytest.raises(DecodingError) as caught:
            group.decode_elements(good[:width] + bad + good[width:] + bad, allow_identity=True)
        assert caught.value.indices == (1, count + 1)


@pytest.mark.parametrize(
    ("name", "primes"),
    [
        ("belenios-2048", [2, 3]),
        ("helios-2048", [2, 3, 5, 13, 23, 647]),
        ("rfc3526-2048", [2]),
        ("electionguard-2.0-3072", [2]),
    ],
)
def test_small_and_mixed_orders_modulo_p(name: str, primes: list[int], backend: str) -> None:
    group = on(named_group(name), backend)
    assert isinstance(group, ModPGroup)
    found = factors_of_cofactor(group)
    assert found == primes
    member = pow(group.g, 12345, group.p)
    orders = {r: of_order(group, r) for r in primes}
    every = prod(orders.values()) % group.p
    outsiders = [x * m % group.p for x in (*orders.values(), every) for m in (1, member)]
    outsiders += [0, group.p, group.p + 1, group.p + member]
    width = group.element_size
    refuses_each(group, [x.to_bytes(width, "big") for x in outsiders if x >> 8 * width == 0])


def test_every_number_of_a_small_group_with_mixed_orders(backend: str) -> None:
    """p - 1 = 2 * 3 * 5 * 7, q = 7: all of 0..255."""
    group = on(modp_group(211, 7, pow(2, 30, 211), allow_weak=True), backend)
    members = {pow(2, 30 * k, 211) for k in range(7)}
    assert len(members) == 7
    for x in range(256):
        try:
            group.decode_elements(bytes([x]), allow_identity=True)
        except DecodingError:
            assert x not in members
        else:
            assert x in members


def point_of_full_order() -> tuple[int, int, int, int]:
    """A point of the whole curve whose order is 8 L."""
    for y in range(2, 100):
        u, v = y * y - 1, ed.D * y * y + 1
        square = u * pow(v, -1, ed.P) % ed.P
        x = pow(square, (ed.P + 3) // 8, ed.P)
        x = x if x * x % ed.P == square else x * ed.SQRT_M1 % ed.P
        point = (x, y, 1, x * y % ed.P)
        if x * x % ed.P == square:
            _, top, bottom, _ = obvious.scale(point, 4 * ed.L)
            if (top - bottom) % ed.P:  # (0, -1)
                return point
    raise AssertionError("none found")


def test_torsion_changes_no_element_of_ristretto255(backend: str) -> None:
    """Four points are one element, in every operation; their encoding is that of one of them."""
    group = on(named_group("ristretto255"), backend)
    kernel, n = group._kernel, 8
    quarter = tuple(gmpy2.mpz(x) for x in (ed.SQRT_M1, 0, 1, 0))
    torsion = list(kernel.running_products([kernel.identity, quarter, quarter, quarter]))
    x = group.generator ** group.scalars(range(n))
    moved = Elements._make(group, kernel.multiply(x._items, (torsion * 2)[:n]), (n,))
    small = Elements._make(group, torsion, (4,))
    e = group.scalars([0, 1, 2, 3, 4, group.order - 1, group.order // 2, 8])
    assert list(moved._items) != list(x._items)
    assert moved == x
    assert moved.encode() == x.encode()
    assert small.is_identity().all()
    assert small.encode() == bytes(4 * 32)
    assert (small ** e[4:]).is_identity().all()
    assert (small ** e[4:].mark(Secrecy.LONG_TERM)).is_identity().all()
    assert moved.cumprod().encode() == x.cumprod().encode()
    assert (moved / x).is_identity().all()
    assert moved[3] ** e == x[3] ** e
    assert (moved[3] ** e).encode() == (x[3] ** e).encode()
    for name, way in ways(group).items():
        assert way(moved, e).encode() == way(x, e).encode(), name


def test_small_and_mixed_orders_of_edwards25519(backend: str) -> None:
    """Points of order 2, 4 and 8, and their sums with members, are no elements of ed25519."""
    group = on(named_group("ed25519"), backend)
    kernel = group._kernel
    eighth = obvious.scale(point_of_full_order(), ed.L)
    torsion = list(kernel.running_products([kernel.identity, *[eighth] * 7]))
    assert len({kernel.encode([item]) for item in torsion}) == 8
    assert kernel.equal(kernel.multiply(torsion[7:], [eighth]), [kernel.identity]) == [True]
    member = (group.generator**12345)._items[0]
    mixed = list(kernel.multiply(torsion[1:], [member] * 7))
    refuses_each(group, [kernel.encode([item]) for item in torsion[1:] + mixed])
