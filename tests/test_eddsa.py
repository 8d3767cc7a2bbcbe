"""Ed25519: honest signatures hold, altered ones do not, and one and many get the same verdict."""

from __future__ import annotations

import hashlib
import random
from typing import TYPE_CHECKING

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from evote.errors import ShapeMismatch
from evote.groups import _edwards25519 as ed
from evote.groups import _gmp_edwards as curve
from evote.groups._gmp_ed25519 import decode_point
from evote.groups.eddsa import decode_verification_keys, verify_signatures

if TYPE_CHECKING:
    from tests.conftest import Vectors

EDWARDS = "curves/edwards25519.json"
RNG = random.Random(2)  # test inputs only


def signer(seed: int) -> tuple[Ed25519PrivateKey, bytes]:
    key = Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32)
    return key, key.public_key().public_bytes_raw()


def signed(count: int) -> tuple[list[bytes], list[bytes], list[bytes]]:
    publics, messages, signatures = [], [], []
    for i in range(count):
        key, public = signer(i % 7)
        message = RNG.randbytes(i % 50)
        publics.append(public)
        messages.append(message)
        signatures.append(key.sign(message))
    return publics, messages, signatures


def single(public: bytes, message: bytes, signature: bytes) -> bool:
    return bool(verify_signatures([public], [message], [signature])[0])


def encode(point: curve.Point) -> bytes:
    inverse = pow(int(point[2]), -1, ed.P)
    x, y = int(point[0]) * inverse % ed.P, int(point[1]) * inverse % ed.P
    return (y | (x & 1) << 255).to_bytes(32, "little")


def sign_by_hand(
    secret: int, nonce: int, message: bytes, r_torsion: curve.Point, a_torsion: curve.Point
) -> tuple[bytes, bytes]:
    """A public key and a signature whose A and R carry torsion."""
    public = encode(curve.add(curve.power(curve.BASE, secret), a_torsion))
    r = encode(curve.add(curve.power(curve.BASE, nonce), r_torsion))
    k = int.from_bytes(hashlib.sha512(r + public + message).digest(), "little") % ed.L
    return public, r + ((nonce + k * secret) % ed.L).to_bytes(32, "little")


@pytest.fixture(scope="module")
def torsion(vectors: Vectors) -> list[curve.Point]:
    small = [e for e in vectors.json(EDWARDS)["small_order"] if e["canonical"]]
    points = [decode_point(bytes.fromhex(entry["hex"])) for entry in small]
    assert len(points) == 8
    return [point for point in points if point is not None]


@pytest.mark.parametrize("count", [0, 1, 2, 3, 40])
def test_honest_signatures_hold(count: int) -> None:
    mask = verify_signatures(*signed(count))
    assert mask.shape == (count,)
    assert mask.dtype == np.bool_
    assert mask.all()


def test_every_field_matters() -> None:
    publics, messages, signatures = signed(12)
    i = 5
    for field in range(3):
        for _ in range(6):
            forged = [list(publics), list(messages), list(signatures)]
            data = bytearray(forged[field][i])
            data[RNG.randrange(len(data))] ^= 1 << RNG.randrange(8)
            forged[field][i] = bytes(data)
            assert np.flatnonzero(~verify_signatures(*forged)).tolist() == [i]
            assert not single(forged[0][i], forged[1][i], forged[2][i])


@pytest.mark.parametrize("bad", [[0], [19], [3, 4], [0, 7, 8, 19], list(range(20))])
def test_bisection_finds_exactly_the_culprits(bad: list[int]) -> None:
    publics, messages, signatures = signed(20)
    for i in bad:
        messages[i] += b"!"
    assert np.flatnonzero(~verify_signatures(publics, messages, signatures)).tolist() == bad


def test_two_errors_do_not_cancel() -> None:
    key, public = signer(1)
    first, second = key.sign(b"a"), key.sign(b"b")
    forged = []
    for signature, change in ((first, 1), (second, -1)):
        s = int.from_bytes(signature[32:], "little") + change
        forged.append(signature[:32] + s.to_bytes(32, "little"))
    assert not verify_signatures([public] * 2, [b"a", b"b"], forged).any()


def test_wrong_lengths_are_false() -> None:
    key, public = signer(1)
    signature = key.sign(b"m")
    publics = [public, public[:-1], public + b"\0", b"", public]
    signatures = [signature[:-1], signature, signature, signature, signature + b"\0"]
    assert not verify_signatures(publics, [b"m"] * 5, signatures).any()
    with pytest.raises(ShapeMismatch):
        verify_signatures([public], [b"m"], [])


def test_s_plus_the_order_is_refused() -> None:
    key, public = signer(3)
    signature = key.sign(b"m")
    s = int.from_bytes(signature[32:], "little")
    for multiple in (1, 2, 7):
        forged = signature[:32] + (s + multiple * ed.L).to_bytes(32, "little")
        assert not single(public, b"m", forged)
    assert not single(public, b"m", signature[:32] + ed.L.to_bytes(32, "little"))


def test_torsion_gets_one_verdict_alone_and_in_batches(torsion: list[curve.Point]) -> None:
    publics, messages, signatures = signed(6)
    for i, r_torsion in enumerate(torsion):
        for a_torsion in (torsion[0], torsion[-1]):
            public, signature = sign_by_hand(1234 + i, 77 + i, b"m", r_torsion, a_torsion)
            publics.append(public)
            messages.append(b"m")
            signatures.append(signature)
    alone = [single(*claim) for claim in zip(publics, messages, signatures, strict=True)]
    assert all(alone)  # the equation is multiplied by 8
    for _ in range(5):
        assert verify_signatures(publics, messages, signatures).all()
    for i in range(6, len(messages)):
        messages[i] += b"?"
    assert verify_signatures(publics, messages, signatures).tolist() == [True] * 6 + [False] * 16


def test_small_order_keys_are_refused(vectors: Vectors, torsion: list[curve.Point]) -> None:
    small = [bytes.fromhex(e["hex"]) for e in vectors.json(EDWARDS)["small_order"]]
    for public in small:  # S = 0 and R of small order satisfy the equation for every message
        for r in small:
            assert not single(public, b"any", r + bytes(32))
    # R of small order is no forgery: the key's owner may choose the nonce 0.
    public, signature = sign_by_hand(99, 0, b"m", torsion[3], torsion[0])
    neutral = next(point for point in torsion if point[0] == 0 and point[1] == 1)
    public, signature = sign_by_hand(99, 0, b"m", torsion[3], neutral)
    assert single(public, b"m", signature)


def test_non_canonical_encodings_are_refused(vectors: Vectors) -> None:
    known = vectors.json(EDWARDS)
    bad = [entry["hex"] for entry in known["non_canonical"]]
    bad += known["non_canonical_sign_of_zero"] + known["not_on_curve"]
    encodings = [bytes.fromhex(data) for data in bad]
    assert all(decode_point(data) is None for data in encodings)
    assert not decode_verification_keys(encodings).any()
    key, public = signer(1)
    signature = key.sign(b"m")
    for data in encodings:
        assert not single(public, b"m", data + signature[32:])
        assert not single(data, b"m", signature)


def test_non_canonical_r_is_refused_where_the_equation_holds(vectors: Vectors) -> None:
    neutral = (1).to_bytes(32, "little")
    entries = vectors.json(EDWARDS)["non_canonical"]
    twins = [bytes.fromhex(entry["hex"]) for entry in entries if entry["order"] == 1]
    assert twins
    secret = 5
    public = encode(curve.power(curve.BASE, secret))
    for r in (neutral, *twins):
        k = int.from_bytes(hashlib.sha512(r + public + b"m").digest(), "little") % ed.L
        signature = r + (k * secret % ed.L).to_bytes(32, "little")
        assert single(public, b"m", signature) == (r == neutral)


def test_keys_of_a_roll(vectors: Vectors) -> None:
    known = vectors.json(EDWARDS)
    good = [bytes.fromhex(entry["hex"]) for entry in known["valid"]]
    assert decode_verification_keys(good).all()
    assert decode_verification_keys([signer(i)[1] for i in range(20)]).all()
    bad = [bytes.fromhex(e["hex"]) for e in known["mixed_order"] + known["small_order"]]
    assert len(bad) == 21
    assert not decode_verification_keys([*bad, b"", good[0] + b"\0", good[0][:-1]]).any()
    mixed = decode_verification_keys([bad[0], good[0], bad[1]])
    assert mixed.tolist() == [False, True, False]
    assert decode_verification_keys([]).shape == (0,)


def test_halving_agrees_with_multiplication_by_the_order(torsion: list[curve.Point]) -> None:
    for _ in range(12):
        point = curve.power(curve.BASE, RNG.randrange(1, ed.L))
        for t in torsion:
            data = encode(curve.add(point, t))
            decoded = decode_point(data)
            assert decoded is not None
            x, y, z, _ = curve.power(decoded, ed.L)
            by_order = not x % ed.P and not (y - z) % ed.P
            assert bool(decode_verification_keys([data])[0]) is by_order
            assert by_order is bool(t[0] == 0 and t[1] == 1)
