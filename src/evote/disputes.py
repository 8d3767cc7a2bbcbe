"""Who is to blame when a voter and the board disagree: from files alone, by anybody.

A voter claims one of two things and holds the evidence of it:

    lost      a receipt: the board acknowledged the ballot, and it is not in the log
    refused   the ballot, and the board's signed refusal of it, whose reason does not hold

The board answers with a receipt under a newer head and a proof that the log has only grown, or
with another signed refusal. Whoever has a copy of the record judges:

    board      it showed two logs, or refused a ballot that was valid under the head it saw
    unfounded  the ballot is there, the reason holds, or the evidence shows nothing
    open       the copy of the record is older than the evidence, and the board has not answered

A refusal is judged as the board should have: with the roll, the manifest, the ballots and the
rulings before the head that it names. What nobody can show: that a board got a ballot and said
nothing. Then the voter sends it again, in public if need be.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from pathlib import Path

from evote._ballot_box import Submission, judge_bodies, signed_roll
from evote._ballot_tables import read_nonces
from evote._founding import load_parameters
from evote._merkle import MAX_PROOF
from evote._receipts import MAX_RECEIPT
from evote._refusals import (
    MAX_REFUSAL,
    REASONS,
    Refusal,
    RefusedBallot,
    decode_refusal,
    encode_refusal,
    verify_refusal,
)
from evote._rulings import open_ballot_box
from evote.ballots import ballot_digest
from evote.board import (
    MAX_BODY,
    BallotEntry,
    Board,
    Checkpoint,
    CompactRange,
    Receipt,
    Stage,
    decode_entry,
    decode_receipt,
    encode_receipt,
    leaf_hash,
    next_stage,
    verify_consistency,
    verify_receipt,
)
from evote.credentials import verify_ballot_signatures
from evote.election import ElectionParameters
from evote.encoding import (
    JSON,
    Fields,
    canonical_json,
    check_format,
    encode_base64url,
    encode_hex,
    parse_json,
)
from evote.errors import BrokenLog, DecodingError, EvoteError, VerificationError
from evote.operators import Passphrase
from evote.record import Record, file_digest

__all__ = [
    "Answer",
    "Dispute",
    "Judgment",
    "Verdict",
    "answer_dispute",
    "decode_answer",
    "decode_dispute",
    "encode_answer",
    "encode_dispute",
    "judge",
]

_AT_ONCE = 1000  # ballots
MAX_DISPUTE = 2 * (MAX_BODY + MAX_REFUSAL + MAX_RECEIPT)  # bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Dispute:
    """A voter's claim: that a receipt's ballot was lost, or that a ballot was refused wrongly."""

    evidence: Receipt | Refusal
    body: bytes = b""

    @property
    def entry(self) -> bytes:
        """The entry that should be in the log."""
        return self.evidence.entry


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The board's, to the dispute whose file has this digest.

    `consistency` leads from the head of the voter's receipt to that of the new one.
    """

    dispute: bytes
    evidence: Receipt | Refusal
    consistency: tuple[bytes, ...] = ()


class Verdict(StrEnum):
    """Who is to blame."""

    BOARD = "board"
    UNFOUNDED = "unfounded"
    OPEN = "open"


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgment:
    """A verdict, and the reason in words."""

    verdict: Verdict
    reason: str


# -- files -----------------------------------------------------------------------------------------


def _evidence_to_json(evidence: Receipt | Refusal) -> dict[str, JSON]:
    if isinstance(evidence, Receipt):
        return {"receipt": encode_base64url(encode_receipt(evidence))}
    return {"refusal": encode_base64url(encode_refusal(evidence))}


def _read_evidence(fields: Fields) -> Receipt | Refusal:
    if "receipt" in fields:
        data = fields.packed("receipt", max_size=MAX_RECEIPT)
        return decode_receipt(data, where=fields.path("receipt"))
    data = fields.packed("refusal", max_size=MAX_REFUSAL)
    return decode_refusal(data, where=fields.path("refusal"))


def encode_dispute(dispute: Dispute) -> bytes:
    """The bytes of a dispute's file."""
    value: dict[str, JSON] = {"format": "evote/dispute", "version": 1}
    if isinstance(dispute.evidence, Refusal):
        value["body"] = encode_base64url(dispute.body)
    return canonical_json(value | _evidence_to_json(dispute.evidence))


def decode_dispute(data: bytes, *, where: str = "dispute") -> Dispute:
    """Read a dispute without judging it.

    Raises:
        DecodingError: not a dispute.
    """
    fields = Fields(parse_json(data, where=where, max_bytes=MAX_DISPUTE), f"{where}: $")
    check_format(fields, "evote/dispute", 1)
    evidence = _read_evidence(fields)
    refused = isinstance(evidence, Refusal)
    body = fields.packed("body", max_size=MAX_BODY) if refused else b""
    fields.end()
    return Dispute(evidence=evidence, body=body)


def encode_answer(answer: Answer) -> bytes:
    """The bytes of an answer's file."""
    value: dict[str, JSON] = {
        "format": "evote/dispute-answer",
        "version": 1,
        "dispute": encode_hex(answer.dispute),
        "consistency": [encode_base64url(hash_) for hash_ in answer.consistency],
    }
    return canonical_json(value | _evidence_to_json(answer.evidence))


def decode_answer(data: bytes, *, where: str = "answer") -> Answer:
    """Read an answer without judging it.

    Raises:
        DecodingError: not an answer.
    """
    fields = Fields(parse_json(data, where=where, max_bytes=MAX_DISPUTE), f"{where}: $")
    check_format(fields, "evote/dispute-answer", 1)
    answer = Answer(
        dispute=fields.hex("dispute", 32),
        evidence=_read_evidence(fields),
        consistency=tuple(fields.packed_list("consistency", MAX_PROOF)),
    )
    fields.end()
    return answer


def answer_dispute(
    record: Path | str, board_directory: Path | str, dispute: bytes, passphrase: Passphrase
) -> Answer:
    """The board's answer to a voter's claim: a receipt, or a refusal with the reason.

    A ballot that was refused, and is valid, is taken in as long as ballots are.

    Raises:
        VerificationError: the entry of a receipt is not in this log: there is no answer.
    """
    claim, named = decode_dispute(dispute), file_digest(dispute)
    with open_ballot_box(record, board_directory, passphrase) as box:
        if isinstance(claim.evidence, Receipt):
            return _answer_lost(box.board, claim.evidence, named)
        entry = decode_entry(claim.entry, where="entry")
        if not isinstance(entry, BallotEntry):
            raise VerificationError("the refusal is of something that is no ballot")
        submission = Submission(
            body=claim.body,
            action=entry.action,
            credential=entry.credential,
            signature=entry.signature,
        )
        if submission.entry != entry:
            raise VerificationError("the refusal is of another ballot")
        try:
            evidence = box.receipt(entry) or box.submit([submission])[0]
        except RefusedBallot as refused:
            if refused.refusal is None:
                raise
            return Answer(dispute=named, evidence=refused.refusal)
        return Answer(dispute=named, evidence=evidence)


def _answer_lost(board: Board, receipt: Receipt, named: bytes) -> Answer:
    """That the receipt's entry is still there, and the log of the receipt only grew."""
    index, old = receipt.proof.index, verify_receipt(receipt, board.key).checkpoint
    if not max(index + 1, old.size) <= board.size or board.receipt(index).entry != receipt.entry:
        raise VerificationError(f"this board does not have that entry at {index}")
    return Answer(
        dispute=named,
        evidence=board.receipt(index),
        consistency=board.consistency_proof(old.size),
    )


# -- judging ---------------------------------------------------------------------------------------


def judge(record: Path | str, dispute: bytes, answer: bytes | None = None) -> Judgment:
    """Judge a claim by a copy of the record, the voter's file and the board's.

    Reads no secrets and asks nobody. The record's own ballots are not verified: `verify.audit`
    does that.

    Raises:
        DecodingError: a file is malformed; VerificationError: the record does not verify so far
            that anything could be said.
    """
    case = _Case(Path(record))
    claim = decode_dispute(dispute)
    reply = None if answer is None else decode_answer(answer)
    if reply is not None and reply.dispute != file_digest(dispute):
        reply = None  # of another dispute: as good as none
    if isinstance(claim.evidence, Receipt):
        return case.lost(claim.evidence, reply)
    return case.refused(claim, claim.evidence, reply)


class _Case:
    """The record that judges go by."""

    def __init__(self, path: Path) -> None:
        self._record = Record(path)
        self._parameters: ElectionParameters = load_parameters(path)
        self._head = self._record.checkpoint()
        tree = CompactRange()
        for _, bundle in self._record.entry_bundles():
            tree.extend([leaf_hash(data) for data in bundle])
        if tree.root() != self._head.root:
            raise BrokenLog("the record's entries do not have the signed root")

    def _prefix(self, size: int) -> Iterator[tuple[int, bytes]]:
        for first, bundle in self._record.entry_bundles():
            for index, data in enumerate(bundle, first):
                if index >= size:
                    return
                yield index, data

    def _root(self, size: int) -> bytes:
        tree = CompactRange()
        for _, data in self._prefix(size):
            tree.append(leaf_hash(data))
        return tree.root()

    def _differs(self, head: Checkpoint) -> str:
        """Why the board has signed two logs; empty if the head is of this one."""
        if head.size <= self._head.size and self._root(head.size) != head.root:
            return f"it signed two logs: its first {head.size} entries are others in the record"
        return ""

    def lost(self, receipt: Receipt, reply: Answer | None) -> Judgment:
        """A receipt's entry is, or is not, where the receipt says."""
        key = self._parameters.manifest.log_key
        try:
            claim = verify_receipt(receipt, key)
        except EvoteError as error:
            return Judgment(verdict=Verdict.UNFOUNDED, reason=f"the receipt shows nothing: {error}")
        if reason := self._differs(claim.checkpoint):
            return Judgment(verdict=Verdict.BOARD, reason=reason)
        if claim.checkpoint.size <= self._head.size:  # one root, so the entry is the same too
            reason = f"the ballot is entry {claim.index} of the record's log"
            return Judgment(verdict=Verdict.UNFOUNDED, reason=reason)
        return self._answered(receipt, claim.checkpoint, reply)

    def _answered(self, receipt: Receipt, old: Checkpoint, reply: Answer | None) -> Judgment:
        older = f"the record has {self._head.size} entries, the receipt is of {old.size}"
        if reply is None or not isinstance(reply.evidence, Receipt):
            reason = f"{older}, and the board has not answered"
            return Judgment(verdict=Verdict.OPEN, reason=reason)
        try:
            found = verify_receipt(
                reply.evidence, self._parameters.manifest.log_key, sent=receipt.entry
            )
        except EvoteError as error:
            reason = f"{older}, and the board's answer shows nothing: {error}"
            return Judgment(verdict=Verdict.OPEN, reason=reason)
        new = found.checkpoint
        try:
            verify_consistency(old.size, old.root, new.size, new.root, reply.consistency)
        except EvoteError as error:
            if new.size == old.size:
                reason = f"it signed two logs of {old.size} entries"
                return Judgment(verdict=Verdict.BOARD, reason=reason)
            reason = f"{older}, and the answer does not show that the log has only grown: {error}"
            return Judgment(verdict=Verdict.OPEN, reason=reason)
        reason = f"the board has shown it: entry {found.index} of a log of {new.size} entries"
        return Judgment(verdict=Verdict.UNFOUNDED, reason=reason)

    def refused(self, claim: Dispute, refusal: Refusal, reply: Answer | None) -> Judgment:
        """The ballot was, or was not, to be refused."""
        judgments = [self._judge_refusal(claim.body, refusal)]
        if reply is not None and isinstance(reply.evidence, Refusal):
            if reply.evidence.entry == refusal.entry:
                judgments.append(self._judge_refusal(claim.body, reply.evidence))
        elif reply is not None and isinstance(reply.evidence, Receipt):
            key = self._parameters.manifest.log_key
            try:
                found = verify_receipt(reply.evidence, key, sent=refusal.entry)
            except EvoteError:
                pass  # no answer: the refusal is judged
            else:
                reason = f"the board has taken it in since: entry {found.index}"
                return Judgment(verdict=Verdict.UNFOUNDED, reason=reason)
        blamed = [one for one in judgments if one.verdict is Verdict.BOARD]
        return blamed[0] if blamed else judgments[0]

    def _judge_refusal(self, body: bytes, refusal: Refusal) -> Judgment:
        try:
            election = self._parameters.election_id
            head = verify_refusal(self._parameters.manifest, election, refusal)
            entry = decode_entry(refusal.entry, where="entry")
            if not isinstance(entry, BallotEntry) or ballot_digest(body) != entry.digest:
                raise DecodingError("it is of another ballot", where="refusal")
        except EvoteError as error:
            reason = f"the refusal shows nothing: {error}"
            return Judgment(verdict=Verdict.UNFOUNDED, reason=reason)
        if reason := self._differs(head):
            return Judgment(verdict=Verdict.BOARD, reason=reason)
        if head.size > self._head.size:
            reason = f"the record has {self._head.size} entries, the refusal is of {head.size}"
            return Judgment(verdict=Verdict.OPEN, reason=reason)
        item = Submission(
            body=body,
            action=entry.action,
            credential=entry.credential,
            signature=entry.signature,
        )
        found, words = self._reason_to_refuse(item, head.size)
        said = REASONS[refusal.reason]
        if not found:
            reason = f"it refused a valid ballot under a head of {head.size} entries: {said}"
            return Judgment(verdict=Verdict.BOARD, reason=reason)
        other = "" if found == refusal.reason else f" (the board gave another reason: {said})"
        return Judgment(verdict=Verdict.UNFOUNDED, reason=f"rightly refused: {words}{other}")

    def _reason_to_refuse(self, item: Submission, size: int) -> tuple[str, str]:
        """What an honest board would have said under the head of `size` entries; empty: nothing."""
        manifest, context = self._parameters.manifest, self._parameters.ballot_context
        stage, cast = Stage.EMPTY, False
        for index, data in self._prefix(size):
            entry = decode_entry(data, where=f"entry {index}")
            stage = next_stage(stage, entry, index)
            if isinstance(entry, BallotEntry) and entry.credential == item.credential:
                cast |= entry.action == "cast"
        roll = signed_roll(self._record, self._parameters)
        row = int(roll.find([item.credential])[0])
        signed = verify_ballot_signatures(
            context.election_id,
            [item.credential],
            [item.digest],
            [item.action],
            [item.signature],
        )
        for reason, holds in (
            ("closed", stage != Stage.VOTING),
            ("voter", row < 0),
            ("signature", not signed[0]),
            ("spoil", item.action == "spoil" and manifest.spoil == "forbidden"),
            ("revote", item.action == "cast" and manifest.revote == "forbidden" and cast),
        ):
            if holds:
                return reason, REASONS[reason]
        style = roll.styles[roll.style_numbers[row]]
        if words := judge_bodies(context, [(item.body, item.credential, style)]).reasons[0]:
            return "ballot", words
        return ("copy", REASONS["copy"]) if self._copied(item.body, size) else ("", "")

    def _copied(self, body: bytes, size: int) -> bool:
        """Whether a ballot before has one of its ciphertexts or commitments."""
        context = self._parameters.ballot_context
        width = context.group.element_size

        def values(bodies: Sequence[bytes]) -> Iterator[tuple[set[bytes], ...]]:
            for pair in read_nonces(context, bodies):
                yield tuple({r[i : i + width] for i in range(0, len(r), width)} for r in pair)

        [mine] = values([body])
        before = (data for index, _, data in self._record.ballots() if index < size)
        while some := list(islice(before, _AT_ONCE)):
            for other in values(some):
                if any(a & b for a, b in zip(mine, other, strict=True)):
                    return True
        return False
