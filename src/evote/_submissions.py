"""Submissions as they travel: over HTTP, or in the batch of a station without a network."""

from __future__ import annotations

from evote._ballot_box import Submission
from evote.ballots import body_sizes
from evote.board import MAX_ENTRY, BallotEntry, decode_entry, encode_entry
from evote.election import Manifest
from evote.encoding import Fields, canonical_json, check_format, encode_base64url, parse_json
from evote.errors import DecodingError

__all__ = ["decode_submission", "encode_submission", "submission_limit"]

_MAX_BALLOT_ENTRY = 1024  # bytes: a ballot's entry has digests and signatures only


def encode_submission(submission: Submission) -> bytes:
    """The bytes of a submission, as they are sent."""
    return canonical_json(
        {
            "format": "evote/submission",
            "version": 1,
            "entry": encode_base64url(encode_entry(submission.entry)),
            "body": encode_base64url(submission.body),
        }
    )


def decode_submission(data: bytes, *, max_body: int, where: str = "submission") -> Submission:
    """Read a submission; whether it is taken in, the ballot box says.

    Raises:
        DecodingError: not one, or its body is not the one of its entry.
        UnsupportedError: of another version.
    """
    fields = Fields(parse_json(data, where=where), f"{where}: $")
    check_format(fields, "evote/submission", 1)
    encoded = fields.packed("entry", max_size=min(MAX_ENTRY, _MAX_BALLOT_ENTRY))
    body = fields.packed("body", max_size=max_body)
    fields.end()
    entry = decode_entry(encoded, where=fields.path("entry"))
    if not isinstance(entry, BallotEntry):
        fields.fail("entry", "the entry of a ballot expected")
    submission = Submission(
        body=body, action=entry.action, credential=entry.credential, signature=entry.signature
    )
    if submission.entry != entry or b"\n" in body:
        raise DecodingError("not the body of this entry", where=fields.path("body"))
    return submission


def submission_limit(manifest: Manifest) -> tuple[int, int]:
    """Bytes of the largest ballot body of an election, and of the largest submission."""
    m = manifest
    body = max(body_sizes(m.group, m.contests, m.styles, m.ballot_packs).values())
    return body, 4 * (body + _MAX_BALLOT_ENTRY) // 3 + 256
