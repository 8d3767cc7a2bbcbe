"""A voter's side of a board's server: no secrets of the board, nothing believed unverified."""

from __future__ import annotations

from evote._evidence import LogEvidence
from evote._receipts import MAX_RECEIPT
from evote._refusals import REASONS, decode_refusal, verify_refusal
from evote._submissions import encode_submission
from evote.board import (
    MAX_TILE,
    BallotEntry,
    Checkpoint,
    Opening,
    Receipt,
    TileTree,
    WitnessPolicy,
    decode_receipt,
    encode_entry,
    verify_consistency,
    verify_receipt,
)
from evote.election import ElectionParameters, Manifest
from evote.errors import BrokenLog, DecodingError, VerificationError
from evote.server._fetch import Unreachable, check_url, fetch
from evote.server.monitor import Broken
from evote.workflow import RefusedBallot, Submission

__all__ = ["Unreachable", "fetch_receipt", "send_ballot", "send_opening"]

_SECONDS = 60.0


def send_ballot(url: str, submission: Submission, parameters: ElectionParameters) -> Receipt:
    """Send a ballot in; may be repeated, it is taken in once.

    Returns:
        A receipt that is verified to be this ballot's, under a head that the log's key signed.

    Raises:
        RefusedBallot: with the board's refusal, verified.
        VerificationError, DecodingError: an answer that is neither.
        Unreachable: none; send it again, here or elsewhere.
    """
    reply = fetch(
        f"{check_url(url)}/ballots",
        encode_submission(submission),
        limit=MAX_RECEIPT,
        seconds=_SECONDS,
        kind="application/json",
    )
    entry = encode_entry(submission.entry)
    if reply.status == 422:
        refusal = decode_refusal(reply.body)
        verify_refusal(parameters.manifest, parameters.election_id, refusal)
        if refusal.entry != entry:
            raise VerificationError("the refusal is of another ballot")
        refused = RefusedBallot(REASONS[refusal.reason], 0, refusal.reason)
        refused.refusal = refusal
        raise refused
    return _receipt(reply.status, reply.body, entry, parameters.manifest)


def send_opening(url: str, opening: Opening, parameters: ElectionParameters) -> Receipt:
    """Send the opening of a spoiled ballot in; may be repeated.

    Raises:
        VerificationError, DecodingError, Unreachable: as `send_ballot`.
    """
    entry = encode_entry(opening)
    reply = fetch(f"{check_url(url)}/openings", entry, limit=MAX_RECEIPT, seconds=_SECONDS)
    return _receipt(reply.status, reply.body, entry, parameters.manifest)


def fetch_receipt(
    url: str, old: Receipt, manifest: Manifest, policy: WitnessPolicy | None = None
) -> Receipt:
    """The receipt of the same ballot under a newer head, cosigned if the board has witnesses.

    The log of the old head is the beginning of the new one's, by a proof from the board's tiles. A
    head of the same size may have more cosignatures.

    Raises:
        Broken: it is not, or not shown to be; with the two heads as evidence.
        VerificationError: the old receipt shows nothing; the head of the new one is older, or the
            ballot has another place under it; or the quorum of the policy has not cosigned it, or
            not yet.
        DecodingError, Unreachable: as `send_ballot`.
    """
    url, held = check_url(url), verify_receipt(old, manifest.log_key)
    if not isinstance(held.entry, BallotEntry):
        raise DecodingError("the receipt of something that is not a ballot", where="receipt")
    reply = fetch(f"{url}/receipt/{held.entry.digest.hex()}", limit=MAX_RECEIPT)
    new = _receipt(reply.status, reply.body, old.entry, manifest)
    claim = verify_receipt(new, manifest.log_key)
    try:
        _check_grown(url, held.checkpoint, claim.checkpoint)
    except BrokenLog as error:
        pair = LogEvidence(first=old.proof.checkpoint, second=new.proof.checkpoint)
        raise Broken(str(error), pair) from None
    if claim.index != held.index:
        raise BrokenLog("the ballot has another place in the log", entry=claim.index)
    verify_receipt(new, manifest.log_key, policy)
    return new


def _check_grown(url: str, old: Checkpoint, new: Checkpoint) -> None:
    """The log of the new head is that of the old one, grown.

    Raises:
        VerificationError: the new head is older.
        BrokenLog: it is of another log, or the tiles are.
    """
    if new.size < old.size:
        reason = f"the board's head has {new.size} entries, that of the receipt {old.size}"
        raise VerificationError(f"not a newer receipt: {reason}")
    proof: tuple[bytes, ...] = ()
    if new.size > old.size:

        def tile(path: str) -> bytes:
            reply = fetch(f"{url}/board/{path}", limit=MAX_TILE)
            if reply.status == 503:
                raise Unreachable("the board is busy: ask again")
            if reply.status != 200:
                raise DecodingError(f"status {reply.status}", where=path)
            return reply.body

        proof = TileTree(new.size, new.root, tile).consistency_proof(old.size)
    verify_consistency(old.size, old.root, new.size, new.root, proof)


def _receipt(status: int, body: bytes, entry: bytes, manifest: Manifest) -> Receipt:
    if status == 503:
        raise Unreachable("the board is busy: send it again")
    if status != 200:
        words = body[:200].decode("utf-8", "replace").strip()
        raise DecodingError(f"status {status}: {words}", where="answer of the board")
    receipt = decode_receipt(body, where="answer of the board")
    verify_receipt(receipt, manifest.log_key, sent=entry)
    return receipt
