"""Known answers: ristretto255 in full, and every named group."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import gmpy2
import pytest

from evote.errors import DecodingError, ParameterError
from evote.groups import (
    GROUP_NAMES,
    Elements,
    ModPGroup,
    Secrecy,
    modp_group,
    named_group,
    ristretto255,
)
from evote.groups.modp import check_modp_parameters
from tests.backends import on

if TYPE_CHECKING:
    from tests.conftest import Vectors

RISTRETTO = "curves/ristretto255.json"


def test_ristretto_parameters(vectors: Vectors) -> None:
    known = vectors.json(RISTRETTO)
    assert ristretto255.order == int.from_bytes(bytes.fromhex(known["order_le_hex"]), "little")
    assert (ristretto255.element_size, ristretto255.scalar_size) == (32, 32)
    assert not ristretto255.is_weak


def test_ristretto_multiples_of_the_base(vectors: Vectors, backend: str) -> None:
    group = on(ristretto255, backend)
    data = bytes.fromhex("".join(vectors.json(RISTRETTO)["base_multiples_0_to_15"]))
    multiples = group.decode_elements(data, allow_identity=True)
    assert len(multiples) == 16
    for secrecy in Secrecy:
        exponents = group.scalars(range(16), secrecy=secrecy)
        assert (group.generator**exponents).encode() == data
        assert group.generator**exponents == multiples
    assert group.generator.broadcast_to((15,)).cumprod().encode() == data[32:]
    assert multiples.is_identity().tolist() == [True] + [False] * 15


def test_ristretto_refuses_every_bad_encoding(vectors: Vectors, backend: str) -> None:
    group = on(ristretto255, backend)
    known = vectors.json(RISTRETTO)
    bad = known["bad_encodings"] + [extra["hex"] for extra in known["bad_encodings_extra"]]
    assert len(bad) == 32
    with pytest.raises(DecodingError) as caught:
        group.decode_elements(bytes.fromhex("".join(bad)), allow_identity=True)
    assert caught.value.indices == tuple(range(32))


def test_ristretto_derivation(vectors: Vectors, backend: str) -> None:
    kernel = on(ristretto255, backend)._kernel
    known = vectors.json(RISTRETTO)["element_derivation"]
    derived = kernel.from_uniform(bytes.fromhex("".join(entry["input"] for entry in known)))
    assert kernel.encode(derived).hex() == "".join(entry["element"] for entry in known)
    assert len(derived) == 11


def test_ristretto_arithmetic(vectors: Vectors, backend: str) -> None:
    group = on(ristretto255, backend)
    known = vectors.json(RISTRETTO)["arithmetic"]
    columns = {key: bytes.fromhex("".join(entry[key] for entry in known)) for key in known[0]}
    a, b = group.decode_scalars(columns["a"]), group.decode_scalars(columns["b"])
    x, y = group.decode_elements(columns["aB"]), group.decode_elements(columns["bB"])
    assert (group.generator**a) == x
    assert (group.generator**b).encode() == columns["bB"]
    assert (x * y).encode() == columns["aB_plus_bB"]
    assert (x / y).encode() == columns["aB_minus_bB"]
    for secrecy in Secrecy:
        assert (x ** b.mark(secrecy)).encode() == columns["abB"]
        assert (group.generator ** (a * b).mark(secrecy)).encode() == columns["abB"]


def test_named_groups_are_the_published_ones(vectors: Vectors) -> None:
    known = vectors.json("groups/groups.json")["groups"]
    modp = {name for name in GROUP_NAMES if isinstance(named_group(name), ModPGroup)}
    assert {entry["name"] for entry in known} == modp
    for entry in known:
        group = named_group(entry["name"])
        assert isinstance(group, ModPGroup)
        numbers = tuple(int(entry[key], 16) for key in "pqg")
        assert (group.p, group.q, group.g) == numbers
        assert (group.order, group.name) == (group.q, entry["name"])
        assert group.p.bit_length() == entry["bits_p"] == 8 * group.element_size
        assert group.q.bit_length() == entry["bits_q"]
        assert not group.is_weak
        assert modp_group(*numbers) is group
        assert pickle.loads(pickle.dumps(group)) == group


@pytest.mark.parametrize("name", ["rfc3526-2048", "ffdhe3072", "electionguard-2.0-3072"])
def test_named_groups_pass_the_checks(name: str) -> None:
    group = named_group(name)
    assert isinstance(group, ModPGroup)
    check_modp_parameters(group.p, group.q, group.g)
    member, width = group.generator**5, group.element_size
    assert group.decode_elements(member.encode(), ()) == member
    minus = group.p - int.from_bytes(member.encode(), "big")
    for bad in (0, group.p, group.p - 1, group.p + 1, minus, minus + group.p):
        if bad < 256**width:
            with pytest.raises(DecodingError):
                group.decode_elements(bad.to_bytes(width, "big"), allow_identity=True)


def test_an_unnamed_group_is_checked() -> None:
    """attacks: B8"""
    tiny = modp_group(23, 11, 4, allow_weak=True)
    assert tiny.is_weak
    assert tiny.name.startswith("modp-5-")
    assert len(tiny.name) == len("modp-5-") + 8
    assert tiny == modp_group(23, 11, 4, allow_weak=True)
    assert tiny != modp_group(23, 11, 2, allow_weak=True)
    assert tiny.parameters() != modp_group(23, 11, 2, allow_weak=True).parameters()
    for p, q, g in (
        (21, 5, 4),  # p is not prime
        (31, 15, 2),  # q is not prime
        (23, 7, 4),  # q does not divide p - 1
        (19, 3, 7),  # q^2 divides p - 1
        (23, 11, 5),  # g generates everything
        (23, 11, 1),
        (23, 11, 22),
        (23, 11, 27),
        (23, 11, -4),
        (23, 2, 22),
        (4, 3, 1),
    ):
        with pytest.raises(ParameterError):
            modp_group(p, q, g, allow_weak=True)
    not_numbers: list[Any] = [(23.0, 11, 4), ("23", 11, 4), (True, 11, 4)]
    for wrong in not_numbers:
        with pytest.raises(ParameterError):
            modp_group(*wrong, allow_weak=True)
    with pytest.raises(ParameterError, match="too weak"):
        modp_group(23, 11, 4)
    with pytest.raises(ParameterError):
        modp_group(2**20001 + 3, 2**20000 + 1, 4)
    with pytest.raises(ParameterError, match="bogus"):
        named_group("bogus")


def test_groups_are_values(backend: str) -> None:
    for group in map(named_group, ("ristretto255", "ed25519", "P-256", "belenios-2048")):
        same = on(group, backend)
        assert same == group
        assert hash(same) == hash(group)
        assert same.backend == backend
        assert same.parameters() == group.parameters()
        assert same.generator == group.generator
        copied = pickle.loads(pickle.dumps(same))
        assert (copied, copied.backend) == (same, backend)
        with pytest.raises(ParameterError):
            group.with_backend("abacus")
    assert ristretto255 != named_group("belenios-2048")
    assert len({named_group(name).parameters() for name in GROUP_NAMES}) == len(GROUP_NAMES)
    assert repr(ristretto255) == "<Ristretto255 ristretto255>"


@pytest.mark.parametrize("name", ["electionguard-1.0-4096", "electionguard-2.0-3072"])
@pytest.mark.parametrize("fast", ["gmp", "native"])
def test_membership_in_bulk_finds_each_outsider(name: str, fast: str) -> None:
    """Elements of order r and 2 r among many members, where p - 1 = 2 q r; a single -1 too."""
    group = on(named_group(name), fast)
    assert isinstance(group, ModPGroup)
    assert group.prime_cofactor
    p, q, size = group.p, group.order, group.element_size
    members = group.generator ** group.random_scalars(40).publish()
    numbers = [int.from_bytes(members[i].encode(), "big") for i in range(40)]

    def decode(values: list[int]) -> Elements:
        return group.decode_elements(b"".join(x.to_bytes(size, "big") for x in values))

    assert decode(numbers) == members
    of_order_r = pow(2, 2 * q, p)
    assert of_order_r != 1
    for outsider in (of_order_r, p - 1, p - of_order_r):
        wrong = [*numbers]
        wrong[17] = wrong[17] * outsider % p
        wrong[31] = wrong[31] * pow(outsider, -1, p) % p  # the two cancel in a plain product
        with pytest.raises(DecodingError) as caught:
            decode(wrong)
        assert caught.value.indices == (17, 31)
    for value in (0, p, p - 1, p + 1):
        with pytest.raises(DecodingError) as caught:
            decode([*numbers[:39], value])
        assert caught.value.indices == (39,)


@pytest.mark.parametrize("name", ["belenios-2048", "helios-2048"])
@pytest.mark.parametrize("fast", ["gmp", "native"])
def test_products_of_subsets_find_each_outsider(name: str, fast: str) -> None:
    """Of any order, alone or so that two cancel, among so many that subsets are asked."""
    group = on(named_group(name), fast)
    assert isinstance(group, ModPGroup)
    p, size, count = group.p, group.element_size, 300
    data = (group.generator ** group.random_scalars(count).publish()).encode()
    numbers = [int.from_bytes(data[i : i + size], "big") for i in range(0, len(data), size)]

    def decode(values: list[int]) -> Elements:
        return group.decode_elements(b"".join(x.to_bytes(size, "big") for x in values))

    with patch.object(gmpy2, "powmod", wraps=gmpy2.powmod) as powers:
        assert decode(numbers).encode() == data
        assert powers.call_count == (128 if fast == "gmp" else 0)
    cofactor = (p - 1) // group.order
    orders = [r for r in (2, 3, 5, 13, 23, 647) if cofactor % r == 0]
    outsiders = [
        next(x for n in range(2, 99) if (x := pow(n, (p - 1) // r, p)) != 1) for r in orders
    ]
    for outsider in [*outsiders, pow(2, group.order, p)]:
        for other in (1, pow(outsider, -1, p)):
            wrong = [*numbers]
            wrong[17] = wrong[17] * outsider % p
            wrong[271] = wrong[271] * other % p
            with pytest.raises(DecodingError) as caught:
                decode(wrong)
            assert caught.value.indices == ((17,) if other == 1 else (17, 271))
    for value in (0, p, p + 1):
        with pytest.raises(DecodingError) as caught:
            decode([*numbers, value])
        assert caught.value.indices == (count,)


@pytest.mark.parametrize("name", GROUP_NAMES)
def test_only_a_prime_cofactor_is_checked_in_bulk(name: str) -> None:
    group = named_group(name)
    if isinstance(group, ModPGroup):
        cofactor, rest = divmod(group.p - 1, 2 * group.order)
        prime = not rest and cofactor > 2**128 and gmpy2.is_prime(cofactor)
        assert group.prime_cofactor == prime
        assert group.with_backend("python").prime_cofactor == prime
