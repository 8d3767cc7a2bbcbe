"""Encryption, its algebra, and what it refuses."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evote.elgamal import (
    Ciphertexts,
    PublicKey,
    SecretKey,
    concatenate_ciphertexts,
    decode_ciphertexts,
    decrypt,
    encrypt,
    encrypt_exponential,
    encrypt_exponential_with_nonces,
    encrypt_with_nonces,
    generate_key,
    key_from_exponent,
    reencrypt,
    reencrypt_with_nonces,
    stack_ciphertexts,
)
from evote.errors import DecodingError, GroupMismatch, ParameterError, ShapeMismatch
from evote.groups import Group, ModPGroup, Secrecy, modp_group, named_group, ristretto255
from evote.testing import strategies
from tests.backends import on

TINY = modp_group(23, 11, 4, allow_weak=True)


@pytest.fixture(scope="module", params=["ristretto255", "belenios-2048"])
def real(request: pytest.FixtureRequest, backend: str) -> Group:
    """A group in which no nonce is zero and no two are equal by chance."""
    return on(named_group(request.param), backend)


SHAPES = [(), (0,), (1,), (5,), (2, 3), (2, 0)]


@pytest.mark.parametrize("shape", SHAPES)
def test_decrypting_gives_the_message(real: Group, shape: tuple[int, ...]) -> None:
    group = real
    secret = generate_key(group)
    messages = group.generator ** group.random_scalars(shape).publish()
    ciphertexts, nonces = encrypt(secret.public, messages)
    assert ciphertexts.shape == nonces.shape == shape
    assert nonces.secrecy is Secrecy.ONE_TIME
    assert decrypt(secret, ciphertexts) == messages
    assert encrypt_with_nonces(secret.public, messages, nonces) == ciphertexts
    again, added = reencrypt(secret.public, ciphertexts)
    assert decrypt(secret, again) == messages
    assert reencrypt_with_nonces(secret.public, ciphertexts, added) == again
    assert encrypt_with_nonces(secret.public, messages, nonces + added) == again
    if ciphertexts.size:
        assert not again.equal_mask(ciphertexts).any()
    assert decode_ciphertexts(group, again.encode(), shape) == again


EXPONENTS = st.lists(st.integers(-30, 30), min_size=1, max_size=4)


@given(EXPONENTS, st.integers(1, 10), st.integers(0, 10), st.data())
def test_algebra_in_a_tiny_group(values: list[int], x: int, k: int, data: st.DataObject) -> None:
    g = TINY.generator
    secret = key_from_exponent(TINY.scalars(x))
    n = len(values)
    nonces = data.draw(strategies.scalars(TINY, n, secrecy=Secrecy.ONE_TIME))
    others = data.draw(strategies.scalars(TINY, n))
    v = TINY.scalars(values)
    one = encrypt_exponential_with_nonces(secret.public, v, nonces)
    other, _ = encrypt_exponential(secret.public, others)
    assert decrypt(secret, one) == g**v
    assert decrypt(secret, one * other) == g ** (v + others)
    assert decrypt(secret, one / other) == g ** (v - others)
    assert decrypt(secret, one**k) == g ** (v * k)
    assert decrypt(secret, one.prod()) == g ** v.sum()
    both = stack_ciphertexts([one, other])
    assert decrypt(secret, both.prod(0)) == g ** (v + others)
    assert decrypt(secret, concatenate_ciphertexts([one, other])[len(values) :]) == g**others


def test_product_of_nothing_is_neutral(real: Group) -> None:
    group = real
    key = generate_key(group).public
    none, _ = encrypt(key, group.identity((0,)))
    product = none.prod()
    assert product.alpha == product.beta == group.identity()
    assert decode_ciphertexts(group, product.encode(), (), allow_identity=True) == product
    with pytest.raises(DecodingError):
        decode_ciphertexts(group, product.encode(), ())


def test_arrays_of_ciphertexts() -> None:
    group = ristretto255
    key = generate_key(group).public
    c, _ = encrypt(key, group.generator ** group.scalars(np.arange(6)).reshape((2, 3)))
    assert (c.shape, c.size, c.ndim, len(c), c.group) == ((2, 3), 6, 2, 2, group)
    assert c[1, 2].shape == ()
    assert c[:, 0] == c.take([0, 1])[:, 0]
    assert c.reshape((6,))[4] == c[1, 1]
    assert c[:1].broadcast_to((4, 3))[3] == c[0]
    assert c.equal_mask(c).all()
    assert c != c[:1]
    assert (c.encode()[:32], c.encode()[32:64]) == (c.alpha[0, 0].encode(), c.beta[0, 0].encode())
    # broadcasting multiplies each row by the first
    assert (c * c[0]).shape == (2, 3)


def test_bad_ciphertexts_are_named(real: Group) -> None:
    group = real
    """attacks: B6"""
    key = generate_key(group).public
    c, _ = encrypt(key, group.generator ** group.scalars([1, 2, 3]))
    data, size = c.encode(), group.element_size
    for position in range(6):
        for bad in (group.identity().encode(), b"\xff" * size):
            forged = data[: position * size] + bad + data[(position + 1) * size :]
            with pytest.raises(DecodingError) as caught:
                decode_ciphertexts(group, forged, where="ballots/000.jsonl")
            assert caught.value.indices == (position // 2,)
            assert caught.value.where == "ballots/000.jsonl"
    for cut in (data[:-1], data[: -2 * size], data + bytes(size), data[:-size]):
        with pytest.raises(DecodingError):
            decode_ciphertexts(group, cut, (3,))
    with pytest.raises(DecodingError):
        decode_ciphertexts(group, data[:-size])


def test_keys_are_checked() -> None:
    """attacks: B6"""
    group, other = ristretto255, named_group("rfc3526-2048")
    with pytest.raises(ParameterError):
        PublicKey(element=group.identity())
    with pytest.raises(ShapeMismatch):
        PublicKey(element=group.generator.reshape((1,)))
    public = PublicKey(element=group.generator)
    with pytest.raises(GroupMismatch):
        SecretKey(public=public, exponent=other.random_scalars())
    with pytest.raises(ShapeMismatch):
        SecretKey(public=public, exponent=group.random_scalars((1,)))
    with pytest.raises(ParameterError):
        SecretKey(public=public, exponent=group.scalars(1))
    with pytest.raises(ParameterError):
        key_from_exponent(group.scalars(0))


def test_arrays_that_do_not_fit() -> None:
    group, other = ristretto255, named_group("rfc3526-2048")
    key = generate_key(group).public
    two = group.generator ** group.scalars([1, 2])
    with pytest.raises(ShapeMismatch):
        Ciphertexts(alpha=two, beta=two[:1])
    with pytest.raises(GroupMismatch):
        Ciphertexts(alpha=two[0], beta=other.generator)
    nonce = group.random_scalars(())
    with pytest.raises(ShapeMismatch):  # one nonce for two messages
        encrypt_with_nonces(key, two, nonce)
    with pytest.raises(ShapeMismatch):
        reencrypt_with_nonces(key, encrypt(key, two)[0], nonce)


def test_secrets_do_not_show() -> None:
    """attacks: E9"""
    secret = generate_key(ristretto255)
    shown = f"{secret!r} {secret}"
    value = int.from_bytes(secret.exponent._secret_bytes(), "little")
    assert str(value) not in shown
    assert hex(value)[2:] not in shown
    with pytest.raises(ParameterError):
        pickle.dumps(secret)


def test_decryption_takes_the_constant_time_path(real: Group) -> None:
    group = real
    secret = generate_key(group)
    c, _ = encrypt(secret.public, group.generator ** group.scalars([1, 2, 3]))
    with group.count() as cost:
        decrypt(secret, c)
    assert (cost.constant_time, cost.fixed, cost.variable) == (3, 0, 0)


def test_cost_of_encryption_is_independent_of_the_message() -> None:
    """attacks: C17"""
    group = ristretto255
    key = generate_key(group).public
    costs = []
    for value in (0, 1, 250):
        with group.count() as cost:
            c, _ = encrypt_exponential(key, group.scalars([value], secrecy=Secrecy.ONE_TIME))
        costs.append((cost.fixed, cost.variable, cost.constant_time, len(c.encode())))
    assert costs[0] == costs[1] == costs[2]


def test_fixed_randomness_is_reproducible() -> None:
    group = ristretto255
    key = generate_key(group, rng=lambda n: bytes(range(n % 256)) + bytes(n - n % 256)).public
    message = group.generator
    first, second = (encrypt(key, message, rng=lambda n: b"\x07" * n)[0] for _ in range(2))
    assert first == second
    assert encrypt(key, message)[0] != encrypt(key, message)[0]


@pytest.mark.parametrize("name", ["belenios-2048", "electionguard-2.0-3072"])
def test_ciphertexts_of_small_order_are_refused(name: str) -> None:
    """attacks: B1, B2. Decrypted, they would tell the key share modulo their order."""
    group = named_group(name)
    assert isinstance(group, ModPGroup)
    p, g = group.p, group.generator
    good = encrypt_exponential(key_from_exponent(group.scalars(7)).public, group.scalars([1]))[0]
    data, size = good.encode(), group.element_size
    assert decode_ciphertexts(group, data, (1,)) == good
    orders = [r for r in range(2, 5000) if (p - 1) % r == 0 and all(r % d for d in range(2, r))]
    assert 2 in orders
    for r in orders:
        small = next(h for a in range(2, 99) if (h := pow(a, (p - 1) // r, p)) != 1)
        for alpha in (small, small * int.from_bytes(g.encode(), "big") % p):
            packed = alpha.to_bytes(size, "big") + data[size:]
            with pytest.raises(DecodingError) as caught:
                decode_ciphertexts(group, packed, (1,), where="ballot")
            assert caught.value.where == "ballot"
