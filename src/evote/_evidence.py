"""Two signed heads of one log that may contradict each other: what witness, monitor or voter keeps.

The pair itself shows a broken promise where the sizes are equal and the roots are not. Else the
record decides: each head must be that of its first entries. A pair that holds is evidence of
nothing, and one that the log's key has not signed shows nothing.

A private sibling of `verify`, `witness`, `monitor` and `client`.
"""

from __future__ import annotations

from dataclasses import dataclass

from evote._notes import MAX_NOTE
from evote.encoding import Fields, canonical_json, check_format, encode_base64url, parse_json

__all__ = ["MAX_EVIDENCE", "LogEvidence", "decode_evidence", "encode_evidence"]

MAX_EVIDENCE = 4 * MAX_NOTE  # bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class LogEvidence:
    """Two signed checkpoints, as notes: the one that was held first, and the other."""

    first: bytes
    second: bytes


def encode_evidence(evidence: LogEvidence) -> bytes:
    """The bytes of an evidence file."""
    return canonical_json(
        {
            "format": "evote/log-evidence",
            "version": 1,
            "first": encode_base64url(evidence.first),
            "second": encode_base64url(evidence.second),
        }
    )


def decode_evidence(data: bytes, *, where: str = "evidence") -> LogEvidence:
    """Read an evidence file without judging it.

    Raises:
        DecodingError: not one.
    """
    fields = Fields(parse_json(data, where=where, max_bytes=MAX_EVIDENCE), f"{where}: $")
    check_format(fields, "evote/log-evidence", 1)
    evidence = LogEvidence(
        first=fields.packed("first", max_size=MAX_NOTE),
        second=fields.packed("second", max_size=MAX_NOTE),
    )
    fields.end()
    return evidence
