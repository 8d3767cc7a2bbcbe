"""What a board gives instead of a receipt: a signed refusal, with the reason and the head it saw.

    signature  the board's, over ("refusal", election id, bytes of the entry, reason, checkpoint)

A refusal names one ballot of one voter, under one head of the log, so that everybody can judge
whether the reason held there (`disputes`). A board that answers nothing at all leaves nothing.

A private sibling of `workflow` and `disputes`.
"""

from __future__ import annotations

from dataclasses import dataclass

from evote.board import MAX_ENTRY, MAX_NOTE, Checkpoint, open_checkpoint
from evote.election import Manifest
from evote.encoding import (
    Fields,
    canonical_json,
    check_format,
    encode_base64url,
    parse_json,
)
from evote.errors import DecodingError, VerificationError
from evote.operators import OperatorKey, verify_signature

__all__ = [
    "MAX_REFUSAL",
    "REASONS",
    "Refusal",
    "RefusedBallot",
    "decode_refusal",
    "encode_refusal",
    "sign_refusal",
    "verify_refusal",
]

REASONS = {
    "closed": "no ballots are taken at that head",
    "voter": "the credential is not on the roll",
    "signature": "the signature is not that of its credential",
    "spoil": "this election spoils no ballots",
    "revote": "this voter has cast a ballot, and only the first may be cast",
    "ballot": "the ballot is malformed, or its proofs do not hold",
    "copy": "a ciphertext or proof of another ballot occurs in it",
}
MAX_REFUSAL = 2 * (MAX_ENTRY + MAX_NOTE)  # bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """The entry that was not taken in, one of `REASONS`, and the signed head at that moment."""

    entry: bytes
    reason: str
    checkpoint: bytes
    signature: bytes


class RefusedBallot(VerificationError):
    """A submission that is not taken in.

    Attributes:
        position: which of those that were submitted together.
        reason: one of `REASONS`.
        refusal: what the board signs on it; None until it has.
    """

    def __init__(self, message: str, position: int, reason: str) -> None:
        super().__init__(message)
        self.position, self.reason = position, reason
        self.refusal: Refusal | None = None


def _parts(election: bytes, entry: bytes, reason: str, checkpoint: bytes) -> tuple[bytes, ...]:
    return election, entry, reason.encode("ascii"), checkpoint


def sign_refusal(
    board: OperatorKey, election: bytes, entry: bytes, reason: str, checkpoint: bytes
) -> Refusal:
    """Refuse an entry at a head."""
    signature = board.sign("refusal", *_parts(election, entry, reason, checkpoint))
    return Refusal(entry=entry, reason=reason, checkpoint=checkpoint, signature=signature)


def verify_refusal(manifest: Manifest, election: bytes, refusal: Refusal) -> Checkpoint:
    """Check that the board of an election said so; returns the head that it saw.

    Raises:
        DecodingError, VerificationError: it did not.
    """
    parts = _parts(election, refusal.entry, refusal.reason, refusal.checkpoint)
    verify_signature(manifest.board, refusal.signature, "refusal", *parts)
    return open_checkpoint(refusal.checkpoint, manifest.log_key, where="checkpoint")


def encode_refusal(refusal: Refusal) -> bytes:
    """The bytes of a refusal's file."""
    return canonical_json(
        {
            "format": "evote/refusal",
            "version": 1,
            "entry": encode_base64url(refusal.entry),
            "reason": refusal.reason,
            "checkpoint": encode_base64url(refusal.checkpoint),
            "signature": encode_base64url(refusal.signature),
        }
    )


def decode_refusal(data: bytes, *, where: str = "refusal") -> Refusal:
    """Read a refusal without judging it.

    Raises:
        DecodingError: not a refusal.
    """
    if len(data) > MAX_REFUSAL:
        raise DecodingError(f"{len(data)} bytes, at most {MAX_REFUSAL} expected", where=where)
    fields = Fields(parse_json(data, where=where), f"{where}: $")
    check_format(fields, "evote/refusal", 1)
    refusal = Refusal(
        entry=fields.packed("entry", max_size=MAX_ENTRY),
        reason=fields.choice("reason", REASONS),
        checkpoint=fields.packed("checkpoint", max_size=MAX_NOTE),
        signature=fields.packed("signature", 64),
    )
    fields.end()
    return refusal
