"""Curves: known answers, every pair of points of tiny ones, encodings and parameters refused."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from itertools import pairwise, permutations
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from evote.errors import DecodingError, GroupMismatch, ParameterError
from evote.groups import (
    GROUP_NAMES,
    Elements,
    Group,
    Secrecy,
    WeierstrassGroup,
    concatenate,
    ed25519,
    named_group,
    ristretto255,
    weierstrass_group,
)
from evote.groups import _gmp_jacobian as jacobian
from evote.groups._curve_parameters import CURVES
from evote.groups._gmp_jacobian import Jacobian
from evote.groups._plans import Comb
from evote.groups._weierstrass import right_side, square_root
from evote.groups.curves import check_curve
from evote.groups.hash_to_curve import (
    encode_to_curve,
    expand_message_xmd,
    hash_to_curve,
    hash_to_field,
)
from tests.backends import on

if TYPE_CHECKING:
    from tests.conftest import Vectors

# p, a, b, x, y, q: a = -3, 0 and another, and a p of 1 modulo 4.
TINY = [
    (107, 104, 5, 1, 18, 101),
    (103, 0, 5, 2, 42, 97),
    (103, 2, 11, 1, 23, 97),
    (113, 110, 4, 0, 2, 131),
]
OPENSSL: dict[str, ec.EllipticCurve] = {
    "P-224": ec.SECP224R1(),
    "P-256": ec.SECP256R1(),
    "P-384": ec.SECP384R1(),
    "P-521": ec.SECP521R1(),
    "secp256k1": ec.SECP256K1(),
    "brainpoolP256r1": ec.BrainpoolP256R1(),
    "brainpoolP384r1": ec.BrainpoolP384R1(),
    "brainpoolP512r1": ec.BrainpoolP512R1(),
}


def curve(name: str) -> WeierstrassGroup:
    group = named_group(name)
    assert isinstance(group, WeierstrassGroup)
    return group


# -- parameters ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CURVES)
def test_named_curves_pass_the_checks(name: str) -> None:
    group = curve(name)
    check_curve(group.curve, allow_weak=group.is_weak)
    assert group.is_weak == (group.order.bit_length() < 224)
    assert weierstrass_group(*group.curve[:6]) == group
    assert weierstrass_group(*group.curve[:6]).curve.z == group.curve.z
    assert pickle.loads(pickle.dumps(group)) == group
    assert (group.generator ** (group.order - 1)) == group.generator.inverse()


def test_weak_and_strong_names() -> None:
    weak = {name for name in GROUP_NAMES if named_group(name).is_weak}
    assert weak == {name for name in CURVES if "192" in name}


@pytest.mark.parametrize("name", OPENSSL)
def test_multiples_of_the_base_are_openssl_s(name: str, backend: str) -> None:
    group = on(curve(name), backend)
    exponents = [1, 2, 3, group.order - 1, group.order // 3, 0x1234567890ABCDEF]
    expected = [
        ec.derive_private_key(e, OPENSSL[name]).public_key().public_numbers() for e in exponents
    ]
    found = group.generator ** group.scalars(exponents)
    assert group.to_affine(found) == [(n.x, n.y) for n in expected]


def test_an_unnamed_curve_is_checked() -> None:
    tiny = weierstrass_group(*TINY[0], allow_weak=True)
    assert tiny.is_weak
    assert tiny.name.startswith("weierstrass-7-")
    assert tiny == weierstrass_group(*TINY[0], allow_weak=True)
    assert tiny != weierstrass_group(*TINY[1], allow_weak=True)
    p, a, b, x, y, q = TINY[0]
    for wrong, reason in (
        ((p, a, b, x, y + 1, q), "not on the curve"),
        ((p, a, b + 1, x, y, q), "not on the curve"),
        ((p, a, b, x, y, 103), "order of the generator"),
        ((p, a, b, x, y, q + 2 * p), "cofactor"),
        ((p, a, b, x, y, 21), "cofactor"),
        ((p, a, b, x, y, 105), "odd prime"),
        ((111, a, b, x, y, q), "odd prime"),
        ((p, a, b, x + p, y, q), "does not hold"),
        ((p, a, b, -1, y, q), "does not hold"),
        ((107, 104, 2, 1, 0, 107), "anomalous"),
        ((107, 104, 2, 3, 32, 109), "singular"),
        ((2**1100 + 1, a, b, x, y, q), "does not hold"),
    ):
        with pytest.raises(ParameterError, match=reason):
            weierstrass_group(*wrong, allow_weak=True)
    not_numbers: list[Any] = [(107.0, *TINY[0][1:]), ("107", *TINY[0][1:]), (*TINY[0][:5], True)]
    for wrong in not_numbers:
        with pytest.raises(ParameterError):
            weierstrass_group(*wrong, allow_weak=True)
    with pytest.raises(ParameterError, match="too weak"):
        weierstrass_group(*TINY[0])


def test_small_embedding_degree_is_refused() -> None:
    # The pairing-friendly curve "alt_bn128": prime order, degree 12.
    t = 4965661367192848881
    p = 36 * t**4 + 36 * t**3 + 24 * t**2 + 6 * t + 1
    q = p - 6 * t**2
    with pytest.raises(ParameterError, match="embedding degree 12"):
        weierstrass_group(p, 0, 3, 1, 2, q)
    group = weierstrass_group(p, 0, 3, 1, 2, q, allow_weak=True)
    assert not group.is_weak  # nothing but its pairing speaks against it
    secret = group.random_scalars()
    assert (group.generator**secret) ** secret.inverse() == group.generator


# -- arithmetic ----------------------------------------------------------------------------------


@pytest.mark.parametrize("numbers", TINY)
def test_every_pair_of_points(numbers: tuple[int, ...], backend: str) -> None:
    """Each sum against a table of multiples: equal, opposite and neutral points all occur."""
    group = on(weierstrass_group(*numbers, allow_weak=True), backend)
    q = group.order
    points = group.generator.broadcast_to((q,)).cumprod().take([q - 1, *range(q - 1)])
    names = points.encode()
    size = group.element_size
    encodings = [names[i * size : (i + 1) * size] for i in range(q)]
    assert len(set(encodings)) == q
    assert encodings[0] == bytes(size)
    assert points == group.decode_elements(names, allow_identity=True)
    for k in range(q) if backend == "gmp" else range(0, q, 7):
        expected = b"".join(encodings[k:] + encodings[:k])
        assert (points * points[k]).encode() == expected
        assert (points[k] * (points * points) / points).encode() == expected  # not affine
    for k in range(0, q, 12):
        assert (points**k).encode() == b"".join(encodings[i * k % q] for i in range(q))
        for secrecy in Secrecy:
            assert points[k] ** group.scalars(range(q), secrecy=secrecy) == points**k


@pytest.mark.parametrize("numbers", TINY)
def test_every_method_meets_every_exception(numbers: tuple[int, ...]) -> None:
    group = weierstrass_group(*numbers, allow_weak=True)
    arithmetic, q = Jacobian(group.curve), group.order
    points = [*arithmetic.powers([arithmetic.base] * q, range(q))]
    known = arithmetic.to_affine(points)
    for shape in (Comb(4, 2, 1, []), Comb(2, 2, 2, [])):
        comb = shape._replace(table=arithmetic.build_table(arithmetic.base, shape))
        for e in range(256):
            assert arithmetic.to_affine([arithmetic.comb_power(comb, e)])[0] == known[e % q]
    for window in (2, 3, 5, 8):
        for k in range(0, q, 5):
            logs = [k, 1, -k, k, 0, 2, k + 1, q - 1]
            exponents = [99, 98, 97, 64, 63, 9, 2, 1]
            items = [points[i % q] for i in logs]
            expected = known[sum(i * e for i, e in zip(logs, exponents, strict=True)) % q]
            total = arithmetic._buckets(items, exponents, window)
            assert arithmetic.to_affine([total])[0] == expected
            tables = arithmetic._odd_multiples(items, 1 << max(window - 2, 0))
            total = arithmetic._interleave(tables, exponents, window)
            assert arithmetic.to_affine([total])[0] == expected


@pytest.mark.parametrize("n", [2, 5, 60, 400])
def test_multiexp_of_equal_and_opposite_points(n: int) -> None:
    for name in ("P-256", "secp256k1", "brainpoolP256r1"):
        group = curve(name)
        x = group.generator ** group.random_scalars(()).publish()
        bases = concatenate([x.broadcast_to((n,)), x.inverse().broadcast_to((n,))])
        same = group.scalars([12345] * (2 * n))
        assert group.multiexp(bases, same) == group.identity()
        assert group.multiexp(bases[:n], same[:n]) == x ** (12345 * n)
        e = group.random_scalars((2 * n,)).publish()
        assert group.multiexp(bases, e) == x ** (e[:n].sum() - e[n:].sum())
        mixed = concatenate([bases, group.identity((3,))])
        f = concatenate([e, e[:1], group.scalars([0, 1])])
        assert group.multiexp(mixed, f) == group.multiexp(bases, e)


def test_non_adjacent_forms() -> None:
    for window in (2, 4, 5, 8):
        for e in (0, 1, 2, 3, 7, 8, 15, 16, 255, 256, 2**64 - 1, 2**64, 0x123456789ABCDEF):
            digits = list(jacobian._non_adjacent_form(e, window))
            assert sum(digit << place for place, digit in digits) == e
            assert all(digit % 2 and abs(digit) < 2 ** (window - 1) for _, digit in digits)
            places = [place for place, _ in digits]
            assert all(b - a >= window for a, b in pairwise(places))


def test_constant_time_powers_take_the_same_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[str] = []

    class Recorded(Jacobian):
        def add_affine(self, a: jacobian.Point, b: jacobian.Affine) -> jacobian.Point:
            steps.append("add")
            return super().add_affine(a, b)

    for name in ("P-256", "P-521", "secp256k1"):
        arithmetic = Recorded(curve(name).curve)
        plain = arithmetic.doublings

        def doublings(a: jacobian.Point, count: int, plain: Any = plain) -> jacobian.Point:
            steps.append(f"double {count}")
            result: jacobian.Point = plain(a, count)
            return result

        arithmetic.doublings = doublings
        q = int(arithmetic.q)
        runs = set()
        for e in (1, 4, q // 2, q - 40, 2**100, 3**60):
            steps.clear()
            arithmetic.power_constant_time(arithmetic.base, e)
            runs.add(tuple(steps))
        assert len(runs) == 1
        assert len(steps) > 100


def test_curves_do_not_mix() -> None:
    groups: list[Group] = [ristretto255, ed25519, curve("P-256"), curve("secp256k1")]
    attempts: list[Callable[[Group, Elements], object]] = [
        lambda a, x: a.generator * x,
        lambda a, x: a.multiexp(x, x.group.scalars(1)),
        lambda a, x: a.generator ** x.group.scalars(1),
        lambda a, x: a.generator == x,
        lambda a, x: a.decode_message(x.reshape((1,))),
    ]
    for a, b in permutations(groups, 2):
        for attempt in attempts:
            with pytest.raises(GroupMismatch):
                attempt(a, b.generator)
    with pytest.raises(GroupMismatch):
        curve("P-256").to_affine(curve("secp256k1").generator)


# -- encodings -----------------------------------------------------------------------------------


def test_p256_points(vectors: Vectors, backend: str) -> None:
    group = on(curve("P-256"), backend)
    known = vectors.json("curves/p256_points.json")
    multiples = known["multiples_of_base"]
    exponents = group.scalars([int(entry["scalar"], 16) for entry in multiples])
    data = bytes.fromhex("".join(entry["compressed"] for entry in multiples))
    for secrecy in Secrecy:
        assert (group.generator ** exponents.mark(secrecy)).encode() == data
    decoded = group.decode_elements(data)
    assert decoded == group.generator**exponents
    assert group.from_affine(group.to_affine(decoded)) == decoded
    bad = [bytes.fromhex(entry["hex"]) for entry in known["reject_compressed_form_only"]]
    assert len(bad) == 11
    for encoding in bad:
        with pytest.raises(DecodingError):
            group.decode_elements(encoding, ())


def test_identity_has_the_width_of_the_others(backend: str) -> None:
    group = on(curve("P-256"), backend)
    assert group.identity().encode() == bytes(33)
    with pytest.raises(DecodingError):
        group.decode_elements(bytes(33))
    assert group.decode_elements(bytes(33), (), allow_identity=True) == group.identity()
    almost = [bytes([tag]) + bytes(32) for tag in (1, 4, 255)]
    almost += [bytes([tag]) + (5).to_bytes(32, "big") for tag in (0, 1, 2, 3, 4, 5, 6, 7)]
    good = [bytes([tag]) + (5).to_bytes(32, "big") for tag in (2, 3)]
    for encoding in almost:
        if encoding in good:
            assert group.decode_elements(encoding).encode() == encoding
        else:
            with pytest.raises(DecodingError):
                group.decode_elements(encoding, allow_identity=True)


@pytest.mark.parametrize("name", ["P-224", "P-521", "secp224k1", "prime239v3", "brainpoolP320r1"])
def test_decoding_finds_every_root(name: str) -> None:
    """Also where p is 1 modulo 4, or does not fill its bytes."""
    group = curve(name)
    data = (group.generator ** group.scalars(range(1, 30))).encode()
    decoded = group.decode_elements(data)
    assert decoded == group.generator ** group.scalars(range(1, 30))
    width, p = group.element_size, group.curve.p
    flipped = bytes([data[0] ^ 1]) + data[1:width]
    assert group.decode_elements(flipped, ()) == group.generator.inverse()
    nowhere = next(x for x in range(100) if square_root(right_side(group.curve, x), p) is None)
    for x in (nowhere, p, p + 1, 256 ** (width - 1) - 1):
        with pytest.raises(DecodingError):
            group.decode_elements(b"\2" + x.to_bytes(width - 1, "big"))


def test_coordinates_are_checked(backend: str) -> None:
    group = on(curve("P-256"), backend)
    p, (x, y) = group.curve.p, (group.curve.x, group.curve.y)
    good = group.from_affine([(x, y), (x, p - y), None], allow_identity=True)
    assert good == group.generator ** group.scalars([1, -1, 0])
    assert group.to_affine(good * good * good.inverse()) == [(x, y), (x, p - y), None]
    assert group.from_affine([]).shape == (0,)
    with pytest.raises(
        DecodingError, match="points: no point of the curve at index 1, 2"
    ) as caught:
        group.from_affine([(x, y), None, (x, y + 1)], where="points")
    assert caught.value.indices == (1, 2)
    for bad in ((x, y - p), (x + p, y), (0, 0), (y, x), (-x, y), (p, y), (x, p + y)):
        with pytest.raises(DecodingError):
            group.from_affine([bad])


def test_ed25519_takes_the_subgroup_only(vectors: Vectors, backend: str) -> None:
    group = on(ed25519, backend)
    known = vectors.json("curves/edwards25519.json")
    assert group.generator.encode().hex() == known["base"]
    assert group.order == int.from_bytes(bytes.fromhex(known["order_le_hex"]), "little")
    good = bytes.fromhex("".join(entry["hex"] for entry in known["valid"]))
    exponents = group.scalars([int(entry["scalar"]) for entry in known["valid"]])
    assert group.decode_elements(good) == group.generator**exponents
    assert group.decode_elements(good).encode() == good == (group.generator**exponents).encode()
    bad = [entry["hex"] for key in ("small_order", "non_canonical") for entry in known[key]]
    bad += [entry["hex"] for entry in known["mixed_order"]]
    bad += known["non_canonical_sign_of_zero"] + known["not_on_curve"]
    with pytest.raises(DecodingError) as caught:
        group.decode_elements(bytes.fromhex("".join(bad)))
    assert caught.value.indices == tuple(range(len(bad)))
    assert len(bad) == 14 + 24 + 7 + 2 + 6
    identity = bytes([1]) + bytes(31)
    assert group.decode_elements(identity, (), allow_identity=True) == group.identity()
    bad.remove(identity.hex())
    with pytest.raises(DecodingError) as caught:
        group.decode_elements(bytes.fromhex("".join(bad)), allow_identity=True)
    assert caught.value.indices == tuple(range(len(bad)))
    for entry in known["mixed_order"]:  # honest twins
        assert group.decode_elements(bytes.fromhex(entry["prime_part"])).shape == (1,)


def test_edwards_points_of_both_groups_are_the_same_group() -> None:
    e = ed25519.random_scalars(3).publish()
    x = ed25519.generator**e
    twin = ristretto255.generator ** ristretto255.decode_scalars(e.encode())
    assert ristretto255._kernel.encode(x._items) == twin.encode()
    assert ed25519._kernel.encode(x._items) == x.encode() != twin.encode()


# -- hashing -------------------------------------------------------------------------------------


@pytest.mark.parametrize("suite", ["RO", "NU"])
def test_rfc_9380(suite: str, vectors: Vectors, backend: str) -> None:
    group = on(curve("P-256"), backend)
    known = vectors.json("curves/p256_hash_to_curve.json")[f"P256_XMD:SHA-256_SSWU_{suite}_"]
    domain = known["dst"].encode()
    messages = [entry["msg"].encode() for entry in known["vectors"]]
    hashed = (hash_to_curve if suite == "RO" else encode_to_curve)(group, messages, domain)
    assert group.to_affine(hashed) == [coordinates(entry["P"]) for entry in known["vectors"]]
    assert len(messages) == 5
    for entry, message in zip(known["vectors"], messages, strict=True):
        numbers = [int(u, 16) for u in entry["u"]]
        assert hash_to_field(message, domain, len(numbers), group.curve.p, width=48) == numbers
        mapped = group.to_affine(group._map_to_curve(numbers))
        keys = ("Q0", "Q1") if suite == "RO" else ("Q",)
        assert mapped == [coordinates(entry[key]) for key in keys]


def coordinates(point: dict[str, str]) -> tuple[int, int]:
    return int(point["x"], 16), int(point["y"], 16)


def test_expand_message(vectors: Vectors) -> None:
    checked = 0
    for part in vectors.json("curves/p256_hash_to_curve.json")["expand_message_xmd_SHA-256"]:
        for entry in part["tests"]:
            domain, message = part["dst"].encode(), entry["msg"].encode()
            expanded = expand_message_xmd(message, domain, int(entry["len"]))
            assert expanded.hex() == entry["uniform_bytes"]
            checked += 1
    assert checked >= 10
    for length, domain in ((-1, b"x"), (32 * 255 + 1, b"x"), (32, b"")):
        with pytest.raises(ParameterError):
            expand_message_xmd(b"", domain, length)
    assert len(expand_message_xmd(b"", b"x", 32 * 255)) == 32 * 255


def test_suites_there_are_and_are_not(backend: str) -> None:
    for name in ("P-384", "P-521"):
        group = on(curve(name), backend)
        for function in (hash_to_curve, encode_to_curve):
            points = function(group, [b"a", b"b"], b"tag")
            assert group.decode_elements(points.encode()) == points
            assert points[0] != points[1]
            assert points == function(group, [b"a", b"b"], b"tag")
    for name in ("P-224", "secp256k1"):
        with pytest.raises(ParameterError, match="no suite"):
            hash_to_curve(curve(name), [b""], b"tag")
    assert hash_to_curve(curve("P-256"), [], b"tag").shape == (0,)


@pytest.mark.parametrize("name", ["secp256k1", "P-224", "brainpoolP384r1", "ed25519"])
def test_generators_of_every_kind_of_group(name: str) -> None:
    group = named_group(name)
    x = group.hash_to_elements(b"domain", 8)
    assert group.decode_elements(x.encode()) == x == group.hash_to_elements(b"domain", 9)[:8]
    assert x == group.with_backend("python").hash_to_elements(b"domain", 8)
    assert len({x[i].encode() for i in range(8)}) == 8
    tags = {x[i].encode()[0] for i in range(8)}
    assert name == "ed25519" or tags == {2, 3}  # both signs occur
