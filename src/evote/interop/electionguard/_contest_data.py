"""Encrypted contest data of ElectionGuard 2.x: overvotes, write-ins, and how the contest stands.

    k_i = HMAC(k, i || "share_enc_keys" || 00 || "contest_data" || contest || bits)
    C2 = HMAC(k_0, C0 || C1)      text = C1 xor k_1 || k_2 || ...

The plaintext of 2.1 is a list of its own, that of 2.0 a message of protobuf, filled with asterisks.
"""

from __future__ import annotations

import hmac

from evote.errors import VerificationError
from evote.interop.electionguard._ballots2 import ContestData
from evote.interop.electionguard._codec import hash2
from evote.interop.electionguard._reading import Node

__all__ = ["check_plaintext", "open_contest_data"]

_STATUS = ("normal", "null_vote", "over_vote", "under_vote")
_MAX_ITEMS = 10_000


def open_contest_data(key: bytes, data: ContestData, c0: bytes, contest: str) -> bytes:
    """The plaintext.

    Raises:
        VerificationError: it is not authentic, or not made of whole blocks.
    """
    if len(data.c1) % 32 or data.size > len(data.c1):
        raise VerificationError(f"contest {contest!r}: not whole blocks")
    tail = b"share_enc_keys\0contest_data" + contest.encode("utf-8")
    tail += (8 * data.size).to_bytes(4, "big")

    def k(i: int) -> bytes:
        return hash2(key, i.to_bytes(4, "big"), tail)

    if not hmac.compare_digest(hash2(k(0), c0, data.c1), data.c2):
        raise VerificationError(f"contest {contest!r}: not authentic")
    stream = b"".join([k(i + 1) for i in range(len(data.c1) // 32)])
    text = bytes(a ^ b for a, b in zip(data.c1, stream, strict=True))
    return text[: data.size]


def check_plaintext(text: bytes, node: Node, *, newer: bool) -> None:
    """Check that the published contest data are what the plaintext holds.

    Raises:
        VerificationError: they are not.
    """
    over_votes = [item.integer(0, 2**31 - 1) for item in node["over_votes"].list()[:_MAX_ITEMS]]
    write_ins = [item.text().encode("utf-8") for item in node["write_ins"].list()[:_MAX_ITEMS]]
    status = node["status"].text()
    if newer:
        expected = _varint(len(over_votes)) + b"".join(map(_varint, over_votes))
        expected += _varint(len(write_ins)) + b"".join(map(_sized, write_ins))
        expected += _sized(status.encode("utf-8"))
        same = text == expected.ljust(len(text), b"\0")
    else:
        if status not in _STATUS:
            node.fail("no such status")
        code = _STATUS.index(status)
        expected = b"\x08" + _varint(code) if code else b""
        if over_votes:
            expected += b"\x12" + _sized(b"".join(map(_varint, over_votes)))
        expected += b"".join([b"\x1a" + _sized(name) for name in write_ins])
        rest = text[len(expected) :]
        same = text.startswith(expected) and rest in _fillers(len(rest))
    if not same:
        raise VerificationError(f"{node.where}: not what the ciphertext holds")


def _varint(number: int) -> bytes:
    groups = []
    while True:
        number, low = number >> 7, number & 127
        groups.append(low | (128 if number else 0))
        if not number:
            return bytes(groups)


def _sized(data: bytes) -> bytes:
    return _varint(len(data)) + data


def _fillers(size: int) -> list[bytes]:
    """Field 4 of asterisks, or nothing; it has `size` bytes in all."""
    if size == 0:
        return [b""]
    return [b"\x22" + _sized(b"*" * (size - 1 - width)) for width in (1, 2, 3) if size > width]
