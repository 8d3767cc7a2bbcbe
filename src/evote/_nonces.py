"""What shows that a nonce was used twice: g^nonce of every ciphertext and proof commitment.

A ciphertext that occurs twice is a copied ballot; a commitment that does gives its secret away.
Both have a first half g^nonce, which honest ballots never share. The values are read from the
bytes of a body, without decoding a single element: equal elements have equal encodings.
"""

from __future__ import annotations

import json

import numpy as np

from evote.ballots import BallotContext
from evote.encoding import decode_base64url

__all__ = ["nonce_rows", "uses_nonce_twice"]


def nonce_rows(context: BallotContext, body: bytes) -> tuple[bytes, bytes]:
    """The encodings of g^nonce of a ballot's ciphertexts, and of its proofs' commitments.

    Args:
        body: one that `decode_ballots` has accepted, or that a board has.
    """
    ballot = json.loads(body)
    style = ballot["style"]
    ciphertexts, commitments = [], []
    for contest, part in zip(context.summed_contests(style), ballot["contests"], strict=True):
        sums, width = contest.sum_values().shape
        marks = len(contest.options) * len(contest.option_values())
        ciphertexts.append(_alphas(context, part["ciphertexts"], contest.width))
        commitments.append(_alphas(context, part["options"], marks))
        commitments.append(_alphas(context, part["sum"], sums * width))
    size = context.group.element_size
    for pack, part in zip(context.style_packs(style), ballot.get("packs", ()), strict=True):
        elements = pack.width(context.group)
        ciphertexts.append(_alphas(context, part["ciphertexts"], elements))
        commitments.append(decode_base64url(part["proof"])[: size * elements])
    return b"".join(ciphertexts), b"".join(commitments)


def uses_nonce_twice(context: BallotContext, body: bytes) -> bool:
    """Whether a ballot repeats a nonce of its own, which an audit would hold against the record."""
    size = context.group.element_size
    return any(
        len({data[i : i + size] for i in range(0, len(data), size)}) < len(data) // size
        for data in nonce_rows(context, body)
    )


def _alphas(context: BallotContext, packed: str, count: int) -> bytes:
    """The first halves of the `count` pairs that an array begins with."""
    size = context.group.element_size
    data = decode_base64url(packed)[: 2 * size * count]
    return np.frombuffer(data, dtype=np.uint8).reshape(count, 2 * size)[:, :size].tobytes()
