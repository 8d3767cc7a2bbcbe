"""Schnorr proofs and signatures, gathered and verified in one go.

A = g^r X^c, and c is the hash of what is proved or signed, and of A
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from evote.groups import Elements
from evote.interop.belenios._codec import Codec

__all__ = ["Signature", "failing"]


class Signature(NamedTuple):
    """A proof of knowledge of the logarithm of a key.

    Attributes:
        check, place: what fails, and where, if it does not hold.
        key: the position of the key X among those of `failing`.
        proof: challenge and response.
        challenge: the hash, of the text of A.
    """

    check: str
    place: str
    key: int
    proof: tuple[int, int]
    challenge: Callable[[str], int]


def failing(codec: Codec, keys: Elements, signatures: list[Signature]) -> list[Signature]:
    """Those that do not hold; keys are of shape (n,)."""
    if not signatures:
        return []
    c = codec.scalars([signature.proof[0] for signature in signatures])
    r = codec.scalars([signature.proof[1] for signature in signatures])
    bases = keys.take([signature.key for signature in signatures])
    texts = codec.texts(codec.group.generator**r * bases**c)
    return [
        signature
        for signature, text in zip(signatures, texts, strict=True)
        if signature.challenge(text) != signature.proof[0]
    ]
