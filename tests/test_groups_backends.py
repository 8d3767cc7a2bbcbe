"""Backends give the same values, and the fast one's tables, windows and plans are right."""

from __future__ import annotations

import pickle
import random
from collections.abc import Callable, Sequence

import gmpy2
import pytest

from evote.errors import GroupMismatch, ShapeMismatch
from evote.groups import (
    Elements,
    Group,
    Scalars,
    Secrecy,
    _gmp,
    _gmp_ristretto,
    _native,
    concatenate,
    named_group,
    ristretto255,
    stack,
)
from evote.groups import _edwards25519 as ed
from evote.groups import _gmp_edwards as curve
from evote.groups import _python as obvious
from evote.groups._gmp_jacobian import Jacobian
from evote.groups._plans import (
    Comb,
    CombCache,
    Costs,
    comb_digits,
    comb_shapes,
    plan_multiexp,
    shortened,
)
from evote.groups._rows import Squares
from evote.groups.modp import ModPGroup

GROUPS = ["ristretto255", "ed25519", "P-256", "belenios-2048", "rfc3526-2048"]
CURVES = ["P-224", "secp256k1", "brainpoolP256r1"]
RNG = random.Random(1)  # test inputs only


def bytes_of(size: int) -> bytes:
    return RNG.randbytes(size)


@pytest.mark.parametrize("name", GROUPS + CURVES)
def test_backends_agree(name: str) -> None:
    answers = []
    state = RNG.getstate()
    for backend in ("gmp", "python", named_group(name).backend):
        RNG.setstate(state)
        answers.append(list(everything(named_group(name).with_backend(backend))))
    assert answers[0] == answers[1] == answers[2]
    assert len(answers[0]) > 15


def everything(group: Group) -> list[bytes]:
    e = group.random_scalars(4, rng=bytes_of).publish()
    f = group.random_scalars((2, 4), rng=bytes_of, secrecy=Secrecy.ONE_TIME)
    x = group.generator**e
    results: list[Elements | Scalars] = [
        x,
        x**f,
        x ** f.mark(Secrecy.LONG_TERM),
        x[0] ** f[0],
        x * x[::-1],
        x / x[::-1],
        x.inverse(),
        x.prod(),
        x.cumprod(),
        group.multiexp(x, f),
        group.multiexp(x, f, axis=1),
        group.hash_to_elements(b"test", 2),
        group.decode_elements(x.encode()),
        e + f.publish(),
        e.inverse(),
        e.prod(),
        group.linear_recurrence(e, e, e[0]),
    ]
    return [result.encode() for result in results]


@pytest.mark.parametrize("count", [1, 3, 200])
@pytest.mark.parametrize("name", GROUPS + CURVES)
def test_short_negative_exponents(name: str, count: int) -> None:
    """Signs in turn, lengths of every kind, 0, 1 and -1 among them."""
    group = named_group(name)
    sizes = [0, 1, 15, 16, 17, 100, 128, group.order.bit_length() - 1]
    numbers = [RNG.getrandbits(sizes[i % 8]) * (-1) ** (i // 8) for i in range(count - 1)] + [-1]
    bases = group.generator ** group.scalars([RNG.getrandbits(128) for _ in numbers])
    exponents = group.scalars(numbers)
    assert group.multiexp(bases, exponents) == (bases**exponents).prod()


def test_exponents_become_short_where_it_pays() -> None:
    q, calls = 2**100 - 15, list[Sequence[str]]()

    def invert(bases: Sequence[str]) -> list[str]:
        calls.append(bases)
        return [base.upper() for base in bases]

    bases, exponents = ["a", "b", "c", "d"], [5, q - 1, q - 2**84, q - 2**83]
    changed = shortened(bases, exponents, q, invert)
    assert changed == (["a", "B", "c", "D"], [5, 1, q - 2**84, 2**83])
    assert calls == [["b", "d"]]
    assert shortened(bases, exponents, q, invert, 100) == (bases, exponents)
    assert shortened(bases[:1], [q // 2], q, invert) == (["a"], [q // 2])
    assert shortened(["a"], [10], 11, invert) == (["a"], [10])  # nothing to gain where q is tiny
    assert (bases, exponents[:2]) == (["a", "b", "c", "d"], [5, q - 1])


def test_short_negative_exponents_cost_little() -> None:
    """Counted in the windows of the buckets: those of 128 bits, not of q's 2047."""
    kernel = _gmp.ModPKernel(*_parameters("rfc3526-2048"))
    seen: list[int] = []
    plain = kernel._multiexp

    def spy(bases: list[int], exponents: list[int]) -> object:
        seen.extend(int(e).bit_length() for e in exponents)
        return plain(bases, exponents)

    kernel._multiexp = spy  # type: ignore[method-assign, assignment]
    q = int(kernel.q)
    bases = kernel.powers_of_one(kernel.generator, range(2, 12), 4)
    kernel.multiexp(bases, [q - 2**127 - i if i % 2 else 2**127 + i for i in range(10)])
    assert seen == [128] * 10


def _parameters(name: str) -> tuple[int, int, int]:
    group = named_group(name)
    assert isinstance(group, ModPGroup)
    return group.p, group.q, group.g


def test_arrays_of_two_backends_meet() -> None:
    for name in GROUPS[:4]:
        fast = named_group(name)
        slow = fast.with_backend("python")
        e = fast.random_scalars(2, secrecy=Secrecy.ONE_TIME)
        x, y = fast.generator**e, slow.generator ** slow.decode_scalars(e.publish().encode())
        assert x == y
        assert y == x
        assert (x * y) == (y * x)
        assert (x * y).encode() == (y * x).encode()
        assert y**e == x**e
        assert x ** e.mark(Secrecy.LONG_TERM) == y ** e.mark(Secrecy.LONG_TERM)
        assert slow.multiexp(x, e) == fast.multiexp(y, e)
        assert y.inverse() == x.inverse()


def test_one_base_many_times_through_all_tables() -> None:
    for name, count in (("ristretto255", 700), ("P-256", 700), ("belenios-2048", 700)):
        group = named_group(name)
        base = group.hash_to_elements(b"fresh", 1)[0]
        e = group.random_scalars(count).publish()
        expected = base.broadcast_to((count,)) ** e
        start = 0
        for size in (2, 3, 10, 40, 100, count):  # the table grows on the way
            part = slice(start, size)
            assert base ** e[part] == expected[part]
            start = size
        edges = group.scalars([0, 1, 2, group.order - 1, 2**250, 2**250 - 1])
        assert base**edges == base.broadcast_to((6,)) ** edges


@pytest.mark.parametrize(
    ("teeth", "rows"), [(4, 1), (4, 3), (6, 2), (10, 4), (8, 32), (4, 64), (10, 26)]
)
def test_combs(teeth: int, rows: int) -> None:
    spacing = -(-256 // (teeth * rows))
    places = rows * spacing
    e = RNG.getrandbits(256)
    digits = comb_digits(e, teeth, places)
    assert len(digits) == places
    assert e == sum(
        (digit >> j & 1) << (place + j * places)
        for place, digit in enumerate(digits)
        for j in range(teeth)
    )
    kernel = named_group("belenios-2048").with_backend("gmp")._kernel
    assert isinstance(kernel, _gmp.ModPKernel)
    shape = Comb(teeth, rows, spacing, [])
    comb = shape._replace(table=kernel._build_table(kernel.generator, shape))
    for exponent in (0, 1, e, 2**256 - 1):
        expected = pow(int(kernel.generator), exponent, int(kernel.p))
        assert kernel._comb_power(comb, exponent) == expected
    if rows << teeth < 2**14:
        edwards = shape._replace(table=curve.build_table(curve.BASE, shape))
        for exponent in (0, 1, e, 2**256 - 1):
            expected_point = obvious.scale(ristretto_base(), exponent)
            assert same(curve.comb_power(edwards, exponent), expected_point)


@pytest.mark.parametrize("bits", [1, 4, 253, 256, 3071])
def test_shapes_of_combs_cover_the_exponent_and_no_row_too_many(bits: int) -> None:
    for comb in comb_shapes(bits):
        block = comb.teeth * comb.spacing
        assert (comb.rows - 1) * block < bits <= comb.rows * block
        places = {comb.bit(k, j) + s
                  for k in range(comb.rows) for j in range(comb.teeth)
                  for s in range(comb.spacing)}  # fmt: skip
        assert places == set(range(comb.rows * block))


def test_squares_are_encoded_as_the_obvious_backend_encodes_them() -> None:
    """Every representative of an element too: torsion, and both signs of what a root may be."""
    kernel, plain = _gmp_ristretto.RistrettoKernel(), obvious.RistrettoKernel()
    torsion = [curve.NEUTRAL]
    root = gmpy2.mpz(ed.SQRT_M1)
    quarter = (root, gmpy2.mpz(0), gmpy2.mpz(1), gmpy2.mpz(0))
    for _ in range(3):
        torsion.append(curve.add(torsion[-1], quarter))
    points = [curve.power(curve.BASE, RNG.getrandbits(252)) for _ in range(40)]
    points = [curve.add(a, b) for a in [curve.NEUTRAL, *points] for b in torsion]
    encoded = kernel.encode_squares(points)
    assert encoded == plain.encode([curve.double(a) for a in points])
    assert encoded[: 4 * 32] == bytes(4 * 32)
    assert kernel.encode_squares([]) == b""


def test_roots_follow_their_elements() -> None:
    """What is done to powers with a one-time secret shows the same bytes as to decoded elements."""
    e = ristretto255.random_scalars((3, 4), secrecy=Secrecy.ONE_TIME)
    a = ristretto255.generator**e
    b = ristretto255.hash_to_elements(b"base", 1)[0] ** (e + 1)
    assert isinstance(a._items, Squares)
    plain_a, plain_b = (Elements._make(ristretto255, x._items, x.shape) for x in (a, b))
    changes: list[Callable[[Elements, Elements], Elements]] = [
        lambda x, y: x * y,
        lambda x, y: x[0] * y,
        lambda x, y: x[..., 2],
        lambda x, y: x[:0],
        lambda x, y: x.reshape((4, 3)),
        lambda x, y: x.broadcast_to((2, 3, 4)),
        lambda x, y: x.take([2, 0]),
        lambda x, y: concatenate([x, y], axis=1),
        lambda x, y: stack([x, y]),
        lambda x, y: x.inverse() * y,
        lambda x, y: x / y,
        lambda x, y: x.prod(0) * y[0],
        lambda x, y: x.cumprod(),
        lambda x, y: pickle.loads(pickle.dumps(x)),
    ]
    for change in changes:
        changed, expected = change(a, b), change(plain_a, plain_b)
        assert changed == expected
        assert changed.encode() == expected.encode()


@pytest.mark.parametrize(
    ("name", "backends", "count"),
    [(name, ("gmp", ""), 2) for name in GROUPS[:4]]
    + [(name, ("",), 300) for name in GROUPS[:2]],  # enough for a table of b
)
def test_elements_times_a_power(name: str, backends: Sequence[str], count: int) -> None:
    """Of every secrecy, with and without known roots: what `a * b ** e` is."""
    for backend in (each or named_group(name).backend for each in backends):
        group = named_group(name).with_backend(backend)
        a = group.hash_to_elements(b"base", 3)
        b = group.generator ** group.random_scalars((), secrecy=Secrecy.ONE_TIME)
        for secrecy in Secrecy:
            e = group.random_scalars((count, 3), secrecy=secrecy)
            roots = group.generator ** e.mark(Secrecy.ONE_TIME)  # squares, on ristretto255
            for factor in (a, a[0], roots, roots[0], group.identity()):
                expected = group.decode_elements((factor * b**e).encode(), (count, 3))
                for base in (b, b.reshape((1,))):
                    found = factor.times_power(base, e)
                    assert found == expected
                    assert found.encode() == expected.encode()
            each = a.times_power(a, e)  # bases that differ
            assert each == a * a**e
        none = a[:0].times_power(b, group.random_scalars((0,), secrecy=Secrecy.ONE_TIME))
        assert none.shape == (0,)


def test_a_power_of_another_group_is_no_factor() -> None:
    a, e = ristretto255.generator, ristretto255.random_scalars(3, secrecy=Secrecy.ONE_TIME)
    other = named_group("ed25519")
    with pytest.raises(GroupMismatch):
        a.times_power(other.generator, e)
    with pytest.raises(GroupMismatch):
        a.times_power(a, other.random_scalars(3, secrecy=Secrecy.ONE_TIME))
    with pytest.raises(ShapeMismatch):
        a.broadcast_to((2,)).times_power(a, e)


def test_every_window_of_every_method() -> None:
    points = [curve.power(curve.BASE, k) for k in range(2, 12)]
    exponents = sorted((RNG.getrandbits(bits) | 1 for bits in range(1, 260, 28)), reverse=True)
    exponents = exponents[: len(points)]
    pairs = list(zip(points, exponents, strict=False))
    expected = curve.NEUTRAL
    for k, (_, e) in enumerate(pairs, 2):
        expected = curve.add(expected, curve.power(curve.BASE, k * e))
    for window in range(2, 12):
        items, numbers = [a for a, _ in pairs], [e for _, e in pairs]
        assert same(curve._buckets(items, numbers, window), expected)
        if window < 7:
            assert same(curve._straus(items, numbers, window), expected)
    kernel = named_group("belenios-2048").with_backend("gmp")._kernel
    assert isinstance(kernel, _gmp.ModPKernel)
    bases = kernel.powers_of_one(kernel.generator, range(2, 2 + len(exponents)), 8)
    product = kernel.product(kernel.powers(bases, exponents))
    lengths = [-e.bit_length() for e in exponents]
    for window in range(2, 13):
        assert kernel._buckets(bases, exponents, lengths, window) == product
        if window < 7:
            assert kernel._straus(bases, exponents, lengths, window) == product


def test_windows_at_their_edges() -> None:
    for window in (2, 3, 5, 8, 11):
        for e in {1, 2, 3, ed.L - 1, 2**252, *(2**k + d for k in range(2, 26) for d in (-1, 0, 1))}:
            expected = obvious.scale(ristretto_base(), e)
            assert same(curve._buckets([curve.BASE], [e], window), expected)


def test_constant_time_powers_at_their_edges() -> None:
    for e in {0, 1, 2, 3, 15, 16, ed.L - 2, ed.L - 1, 2**251, 2**252, 2**252 - 1}:
        power = curve.power_constant_time(curve.BASE, e)
        assert same(power, obvious.scale(ristretto_base(), e))
    identity = ristretto255.identity()
    assert identity ** ristretto255.random_scalars() == identity


@pytest.mark.parametrize("name", ["ristretto255", "ed25519", "belenios-2048", "rfc3526-2048"])
def test_a_few_powers_of_one_base_are_those_of_each(name: str) -> None:
    """Side by side they share their squarings; alone, and by the other backend, they do not."""
    group = named_group(name)
    q = group.order
    numbers = [0, 1, 2, 15, 16, 17, 31, 2**64 - 1, q - 1, q // 3, q // 5, 0, q - 2]
    bases = group.generator ** group.scalars([1, 3, q - 1, 0])
    exponents = group.scalars([numbers] * len(bases))
    powers = bases[:, None] ** exponents
    for i in range(len(bases)):
        for k, number in enumerate(numbers):
            expected = bases[i : i + 1] ** group.scalars([number])
            assert powers[i, k] == expected[0]
    other = group.with_backend("python")
    same = other.decode_elements(bases.encode(), allow_identity=True)[:, None]
    assert (same ** other.scalars([numbers[-3:]])).encode() == powers[:, -3:].encode()


def test_long_term_secrets_use_no_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object) -> None:
        raise AssertionError("a table for a long-term secret")

    groups = [named_group(name).with_backend("gmp") for name in GROUPS]
    groups += [named_group(name) for name in GROUPS]
    monkeypatch.setattr(_native._Tables, "find", refuse)
    monkeypatch.setattr(CombCache, "find", refuse)
    monkeypatch.setattr(curve, "multiexp", refuse)
    monkeypatch.setattr(curve, "comb_power", refuse)
    for method in ("multiexp", "comb_power", "powers"):
        monkeypatch.setattr(Jacobian, method, refuse)
    monkeypatch.setattr(_gmp.ModPKernel, "multiexp", refuse)
    monkeypatch.setattr(gmpy2, "powmod", refuse)
    for group in groups:
        secrets = group.random_scalars(3)
        x = group.generator**secrets
        with group.count() as count:
            product = group.multiexp(x, secrets)
        assert product == (x**secrets).prod()
        assert count.constant_time == 3
        assert count.multiexp_terms == 0


@pytest.mark.parametrize("name", ["belenios-2048", "helios-2048", "rfc3526-2048", "ffdhe3072"])
def test_constant_time_exponents_fill_the_same_words(name: str) -> None:
    kernel = named_group(name).with_backend("gmp")._kernel
    assert isinstance(kernel, _gmp.ModPKernel)
    least = kernel._blind_below if kernel._blind_below < kernel.q else 0
    assert 2**63 * least <= kernel.q  # the probability to be below
    edges = (least, least + 1, kernel.q // 2, kernel.q - 1)
    sizes = {(int(kernel._fill_words(e)).bit_length() + 63) // 64 for e in edges}
    assert len(sizes) == 1


def test_constant_time_exponents_that_fill_their_words_by_themselves() -> None:
    """q = 2^256 - 189: all but one in 2^64 have four words, and no exponent is 0."""
    kernel = named_group("electionguard-2.0-3072").with_backend("gmp")._kernel
    assert isinstance(kernel, _gmp.ModPKernel)
    g, p, q = kernel.generator, kernel.p, kernel.q
    for e in (2**192, 2**255, q - 1):
        assert kernel._fill_words(e) == e
    edges = [0, 1, 2**192 - 1, 2**192, q - 1]
    assert all(kernel._fill_words(e) > 0 and (kernel._fill_words(e) - e) % q == 0 for e in edges)
    powers = kernel.powers_constant_time([g] * len(edges), edges)
    assert powers == [gmpy2.powmod(g, e, p) for e in edges]


def test_constant_time_powers_of_the_curve_take_the_same_steps(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    steps: list[str] = []

    def recorded(name: str) -> Callable[..., curve.Point]:
        operation = getattr(curve, name)

        def wrapper(a: curve.Point, b: curve.Point | int) -> curve.Point:
            steps.append(f"{name} {b}" if isinstance(b, int) else name)
            result: curve.Point = operation(a, b)
            return result

        return wrapper

    monkeypatch.setattr(curve, "add", recorded("add"))
    monkeypatch.setattr(curve, "doublings", recorded("doublings"))
    runs = set()
    for e in (0, 1, 2, ed.L - 1, RNG.getrandbits(252), RNG.getrandbits(128)):
        steps.clear()
        curve.power_constant_time(curve.BASE, e)
        runs.add(tuple(steps))
    assert len(runs) == 1


def test_plans() -> None:
    assert plan_multiexp([], curve.COSTS).method == "powers"
    assert plan_multiexp([253] * 4, curve.COSTS).method == "straus"
    assert plan_multiexp([253] * 1000, curve.COSTS).method == "buckets"
    widths = [plan_multiexp([253] * n, curve.COSTS).window for n in (10**3, 10**4, 10**6)]
    assert widths == sorted(widths)
    assert widths[-1] <= curve.COSTS.max_window


def test_tables_are_bounded() -> None:
    costs = Costs(
        square=1, power=1, lookup=1, entry=1, term=1, close=1, signed=False,
        max_entries=1024, max_window=8,
    )  # fmt: skip
    built = []
    kernel = named_group("belenios-2048").with_backend("gmp")._kernel
    assert isinstance(kernel, _gmp.ModPKernel)

    def build(comb: Comb) -> list[list[object]]:
        built.append((comb.teeth, comb.rows))
        return kernel._build_table(kernel.generator, comb)

    cache = CombCache(costs, max_bases=3)
    assert cache.find("once", 1, 256, build) is None
    assert built == []
    for base in range(10):
        assert cache.find(base, 10**4, 256, build) is not None
    assert len(built) == 10
    assert len(cache._uses) <= 3
    assert all(rows << teeth <= 1024 for teeth, rows in built)
    assert cache.find(9, 5, 256, build) is not None
    assert len(built) == 10  # kept


def ristretto_base() -> obvious.EdwardsPoint:
    return obvious.RistrettoKernel.generator


def same(a: curve.Point, b: tuple[object, ...]) -> bool:
    """Equal as elements of ristretto255."""
    kernel = obvious.RistrettoKernel()
    return kernel.equal([a], [b])[0]  # type: ignore[list-item]


@pytest.mark.parametrize("name", ["helios-2048", "rfc3526-2048", "P-256"])
def test_bases_with_several_exponents_each(name: str) -> None:
    group = named_group(name)
    bases = group.generator ** group.random_scalars(3).publish()
    numbers = [
        [0, 1, group.order - 1, 2**200],
        [0, 0, 0, 0],
        [3, 2**128, 2**127, 5],
    ]
    exponents = group.scalars(numbers)
    powers = bases[:, None] ** exponents
    for i in range(3):
        for j in range(4):
            assert powers[i, j] == bases[i] ** exponents[i, j]
