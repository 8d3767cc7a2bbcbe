"""Hashing to curves as in RFC 9380, for protocols that name its suites.

    P-256   P256_XMD:SHA-256_SSWU_RO_ and _NU_
    P-384   P384_XMD:SHA-384_SSWU_RO_ and _NU_
    P-521   P521_XMD:SHA-512_SSWU_RO_ and _NU_

Our own generators come from `Group.hash_to_elements`, which feeds the same map from another hash.
Time depends on the messages.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from evote.errors import ParameterError
from evote.groups._weierstrass import uniform_width
from evote.groups.base import Elements
from evote.groups.curves import WeierstrassGroup

__all__ = ["encode_to_curve", "expand_message_xmd", "hash_to_curve", "hash_to_field"]

_HASHES = {"P-256": "sha256", "P-384": "sha384", "P-521": "sha512"}


def expand_message_xmd(
    message: bytes, domain: bytes, length: int, *, hash_name: str = "sha256"
) -> bytes:
    """RFC 9380, section 5.3.1: `length` uniform bytes from a message and a domain separation tag.

    Raises:
        ParameterError: the tag is empty, or more bytes are asked for than there are.
    """
    digest = hashlib.new(hash_name)
    size = digest.digest_size
    count = -(-length // size)
    if not domain or length < 0 or count > 255 or length > 65535:
        raise ParameterError(f"no expansion to {length} bytes under a tag of {len(domain)}")
    if len(domain) > 255:
        domain = hashlib.new(hash_name, b"H2C-OVERSIZE-DST-" + domain).digest()
    tag = domain + bytes([len(domain)])
    digest.update(bytes(digest.block_size) + message + length.to_bytes(2, "big") + b"\0" + tag)
    first, block, blocks = digest.digest(), bytes(size), []
    for i in range(1, count + 1):
        mixed = bytes(x ^ y for x, y in zip(first, block, strict=True))
        block = hashlib.new(hash_name, mixed + bytes([i]) + tag).digest()
        blocks.append(block)
    return b"".join(blocks)[:length]


def hash_to_field(
    message: bytes,
    domain: bytes,
    count: int,
    modulus: int,
    *,
    width: int,
    hash_name: str = "sha256",
) -> list[int]:
    """RFC 9380, section 5.2: numbers modulo a prime, each from `width` bytes (the RFC's L)."""
    data = expand_message_xmd(message, domain, count * width, hash_name=hash_name)
    return [
        int.from_bytes(data[i : i + width], "big") % modulus for i in range(0, len(data), width)
    ]


def hash_to_curve(group: WeierstrassGroup, messages: Sequence[bytes], domain: bytes) -> Elements:
    """A random oracle to the curve, shape (n,): two points each, multiplied.

    Raises:
        ParameterError: RFC 9380 has no suite for the group.
    """
    halves = _map(group, messages, domain, 2)
    return halves[:, 0] * halves[:, 1]


def encode_to_curve(group: WeierstrassGroup, messages: Sequence[bytes], domain: bytes) -> Elements:
    """One mapped point for each message, shape (n,): cheaper, and not uniform.

    Raises:
        ParameterError: RFC 9380 has no suite for the group.
    """
    return _map(group, messages, domain, 1)[:, 0]


def _map(group: WeierstrassGroup, messages: Sequence[bytes], domain: bytes, count: int) -> Elements:
    if group.name not in _HASHES:
        raise ParameterError(f"RFC 9380 has no suite for {group.name}")
    curve, hash_name = group.curve, _HASHES[group.name]
    width = uniform_width(curve.p)
    numbers = [
        u
        for message in messages
        for u in hash_to_field(message, domain, count, curve.p, width=width, hash_name=hash_name)
    ]
    return group._map_to_curve(numbers).reshape((len(messages), count))
