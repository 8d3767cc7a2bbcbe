"""What operators add to an election of the profile: small files that they sign.

    {"format": "evote/belenios", "version": 1, "kind": K, "base": id, "content": {...},
     "signatures": [{"operator": id, "signature": Ed25519}, ...]}

Signatures are over the canonical bytes of all but the signatures. What is Belenios' own stands in
`content` as text, byte for byte.
"""

from __future__ import annotations

from collections.abc import Sequence

from evote.encoding import (
    JSON,
    Fields,
    canonical_json,
    check_format,
    encode_base64url,
    encode_hex,
    parse_json,
)
from evote.errors import DecodingError, VerificationError
from evote.operators import Card, OperatorKey, verify_signature

__all__ = ["MAX_SIGNED", "decode_signed", "encode_signed", "text_field"]

MAX_SIGNED = 256 * 2**20  # bytes: a million credentials


def encode_signed(
    kind: str, base: bytes, content: dict[str, JSON], keys: Sequence[OperatorKey]
) -> bytes:
    """The file of some operators."""
    body: dict[str, JSON] = {
        "format": "evote/belenios",
        "version": 1,
        "kind": kind,
        "base": encode_hex(base),
        "content": content,
    }
    data = canonical_json(body)
    signatures: list[JSON] = [
        {"operator": key.card.id, "signature": encode_base64url(key.sign("belenios", data))}
        for key in keys
    ]
    return canonical_json(body | {"signatures": signatures})


def decode_signed(
    data: bytes, kind: str, base: bytes, cards: Sequence[Card], quorum: int, *, where: str
) -> Fields:
    """The content of a file that `quorum` of these operators, and nobody else, signed.

    Raises:
        DecodingError: another form, or kind.
        VerificationError: of another election; a signature is false, or they are too few.
    """
    value = parse_json(data, where=where, max_bytes=MAX_SIGNED)
    fields = Fields(value, f"{where}: $")
    check_format(fields, "evote/belenios", 1)
    fields.choice("kind", (kind,))
    if fields.hex("base", 32) != base:
        raise VerificationError(f"{fields.path('base')}: of another election")
    content = fields.object("content")
    signed = canonical_json({k: v for k, v in value.items() if k != "signatures"})  # type: ignore[union-attr]
    known = {card.id: card for card in cards}
    seen: set[str] = set()
    for item in fields.objects("signatures", len(cards)):
        name = item.identifier("operator")
        signature = item.packed("signature", 64)
        item.end()
        if name not in known or name in seen:
            raise VerificationError(f"{item.where}: {name} does not sign this, or signs it twice")
        seen.add(name)
        try:
            verify_signature(known[name], signature, "belenios", signed)
        except VerificationError as error:
            raise VerificationError(f"{item.where}: {error}") from None
    fields.end()
    if len(seen) < quorum:
        raise VerificationError(f"{where}: signed by {len(seen)} of {quorum}")
    return content


def text_field(fields: Fields, name: str) -> str:
    """A text of any length, which is not looked at here."""
    value = fields.value(name)
    if type(value) is not str:
        raise DecodingError("a string expected", where=fields.path(name))
    return value
