"""The ballot box: what is sent in, verified and appended to the board, or refused.

A private sibling of `workflow`, which is the public path to all of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from types import TracebackType
from typing import NamedTuple, Self

import numpy as np

from evote._audit_ballots import verify_opening
from evote._ballot_tables import read_nonces
from evote._encrypted_ballots import context_arguments, make_context
from evote._fingerprints import NO_MARKS, Marks, fingerprint_rows, join_marks, mark_rows
from evote._pool import Work, run_jobs
from evote._refusals import REASONS, RefusedBallot, sign_refusal
from evote.ballots import (
    BallotContext,
    ballot_digest,
    ballot_digests,
    ballots_at_once,
    ballots_hold,
    decode_ballots,
)
from evote.board import (
    BallotEntry,
    Board,
    Entry,
    Opening,
    Receipt,
    Stage,
    encode_entry,
    leaf_hash,
)
from evote.credentials import Action, Roll, read_roll, verify_ballot_signatures
from evote.election import ElectionParameters
from evote.errors import EvoteError, VerificationError
from evote.operators import OperatorKey
from evote.record import Record
from evote.verify import Progress

__all__ = ["BallotBox", "Judged", "Submission", "judge_bodies", "signed_roll"]

_Refuse = Callable[..., None]  # position, reason, words
_AT_ONCE = 256  # ballots whose nonces are read together


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """A ballot as it is sent in: its body, and the voter's signature on what to do with it."""

    body: bytes = field(repr=False)
    action: Action
    credential: bytes
    signature: bytes

    @property
    def digest(self) -> bytes:
        """Of the body."""
        return ballot_digest(self.body)

    @property
    def entry(self) -> BallotEntry:
        """What goes on the board."""
        return BallotEntry(
            action=self.action,
            credential=self.credential,
            digest=self.digest,
            signature=self.signature,
        )


class BallotBox:
    """A board open for ballots, with what decides on the next one. A context manager.

    What was submitted before is looked up in the board's index.
    """

    def __init__(
        self, record: Record, parameters: ElectionParameters, board: Board, key: OperatorKey
    ) -> None:
        """Read what the board's index does not know yet; its key signs refusals."""
        self._record, self._parameters, self._board = record, parameters, board
        self._key = key
        self._context = parameters.ballot_context
        try:
            self._roll = signed_roll(record, parameters)
            self._read_board()
        except BaseException:
            board.close()
            raise

    @property
    def board(self) -> Board:
        """The log that ballots go into."""
        return self._board

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._board.close()

    def _read_board(self) -> None:
        if self._board.stage == Stage.EMPTY:
            self._check_stage()
        if self._board.stage > Stage.CLOSED:
            return  # nothing is taken in any more
        ballots, group = self._record.ballots(self._board.index.nonces), self._context.group
        while some := list(islice(ballots, _AT_ONCE)):
            nonces = read_nonces(self._context, [body for _, _, body in some])
            marks = [
                fingerprint_rows(b"".join(rows), group.element_size)
                for rows in zip(*nonces, strict=True)
            ]
            self._board.index.add_nonces(some[-1][0] + 1, *marks)

    def _check_stage(self, *stages: Stage) -> None:
        if self._board.stage not in stages:
            stage = self._board.stage.name.lower()
            raise RefusedBallot(f"no ballots while the log is {stage}", 0, "closed")

    def submit(
        self,
        submissions: Sequence[Submission],
        *,
        jobs: int = 1,
        progress: Progress | None = None,
    ) -> list[Receipt]:
        """Verify submissions and append them: all of them, or none.

        Raises:
            RefusedBallot: names the first that is refused, and why; with the board's signature.
        """
        outcomes = self.submit_each(submissions, jobs=jobs, progress=progress, together=True)
        receipts = []
        for outcome in outcomes:
            if isinstance(outcome, RefusedBallot):
                raise outcome
            receipts.append(outcome)
        return receipts

    def submit_each(
        self,
        submissions: Sequence[Submission],
        *,
        jobs: int = 1,
        progress: Progress | None = None,
        together: bool = False,
    ) -> list[Receipt | RefusedBallot]:
        """Verify submissions and append those that hold: each for itself, or all `together`.

        A refusal is signed under the head that has the others, so that it can be judged by it:
        what is refused as a copy of a ballot beside it is one there.
        """
        refused: dict[int, RefusedBallot] = {}

        def refuse(position: int, reason: str, words: str = "") -> None:
            text = f"submission {position}: {words or REASONS[reason]}"
            refused.setdefault(position, RefusedBallot(text, position, reason))

        def left() -> list[int]:
            return [i for i in range(len(submissions)) if i not in refused]

        entries = _entries(submissions)
        nonces = NO_MARKS, NO_MARKS
        try:
            self._check_stage(Stage.VOTING)
        except RefusedBallot as closed:
            refused = {i: RefusedBallot(str(closed), i, closed.reason) for i in left()}
            if not refused:
                raise
        else:
            self._check_entries(entries, refuse)
            if not (together and refused):
                nonces = self._check_bodies(submissions, left(), refuse, jobs, progress)
            if not (together and refused):
                self._check_history(entries, left(), nonces, refuse)
        taken = [] if together and refused else left()
        indices = self._board.append(
            [entries[i] for i in taken], [submissions[i].body for i in taken]
        )
        if taken:
            self._board.index.add_nonces(indices.stop, *(marks.of(taken) for marks in nonces))
        outcomes: dict[int, Receipt | RefusedBallot] = dict(
            zip(taken, self._board.receipts(indices), strict=True)
        )
        election, head = self._parameters.election_id, self._board.checkpoint
        for i, error in refused.items():
            data = encode_entry(entries[i])
            error.refusal = sign_refusal(self._key, election, data, error.reason, head)
        outcomes.update(refused)
        return [outcomes[i] for i in sorted(outcomes)]

    def _check_entries(self, entries: Sequence[BallotEntry], refuse: _Refuse) -> None:
        manifest = self._parameters.manifest
        signed = verify_ballot_signatures(
            self._parameters.election_id,
            [entry.credential for entry in entries],
            [entry.digest for entry in entries],
            [entry.action for entry in entries],
            [entry.signature for entry in entries],
        ).tolist()
        rows = self._roll.find([entry.credential for entry in entries]).tolist()
        for i, entry in enumerate(entries):
            if rows[i] < 0:
                refuse(i, "voter")
            elif not signed[i]:
                refuse(i, "signature")
            elif entry.action == "spoil" and manifest.spoil == "forbidden":
                refuse(i, "spoil")

    def _check_bodies(
        self,
        submissions: Sequence[Submission],
        positions: Sequence[int],
        refuse: _Refuse,
        jobs: int,
        progress: Progress | None,
    ) -> tuple[Marks, Marks]:
        """The nonces of the ballots, by positions; those of refused ones may be missing."""
        rows = self._roll.find([submissions[i].credential for i in positions])
        numbers = self._roll.style_numbers[rows]
        order = np.argsort(numbers, kind="stable").tolist()  # those of a style are judged together
        ordered = [positions[i] for i in order]
        items = [
            (submissions[i].body, submissions[i].credential, self._roll.styles[number])
            for i, number in zip(ordered, numbers[order].tolist(), strict=True)
        ]
        most = ballots_at_once(self._context)
        todo = [items[start : start + most] for start in range(0, len(items), most)]
        arguments = context_arguments(self._parameters, self._record.manifest_bytes)
        work = Work(make_context, arguments, judge_bodies)
        done, places = 0, np.array(ordered, dtype=np.intp)
        found: list[tuple[Marks, Marks]] = []
        for outcome in run_jobs(work, todo, jobs if len(todo) > 1 else 1):
            if isinstance(outcome, EvoteError):
                raise outcome
            own = places[done:]
            found.append((outcome.ciphertexts.whose(own), outcome.commitments.whose(own)))
            for reason in outcome.reasons:
                if done < len(positions) and reason:
                    refuse(ordered[done], "ballot", reason)
                done += 1
            if progress is not None:
                progress("verifying", done, len(positions))
        if done != len(positions):
            raise VerificationError(f"{len(positions)} ballots to verify, {done} verified")
        return join_marks([each for each, _ in found]), join_marks([each for _, each in found])

    def _check_history(
        self,
        entries: Sequence[BallotEntry],
        positions: Sequence[int],
        nonces: tuple[Marks, Marks],
        refuse: _Refuse,
    ) -> None:
        """Revotes and copies, of ballots before and among these; what is refused is neither."""
        once = self._parameters.manifest.revote == "forbidden"
        cast: set[bytes] = set()
        seen, shared = list[set[int]](), list[dict[int, set[int]]]()
        for which, marks in enumerate(nonces):
            known = self._board.index.known_nonces(which, marks.values)
            seen.append(set(marks.values[known].tolist()))
            shared.append(marks.take(known | marks.shared()).by_owner())
        for i in positions:
            voter, casts = entries[i].credential, entries[i].action == "cast"
            own = [marks.get(i, set()) for marks in shared]
            if once and casts and (voter in cast or self._board.index.has_cast(voter)):
                refuse(i, "revote")
            elif not seen[0].isdisjoint(own[0]):
                refuse(i, "copy", "a ciphertext of another ballot occurs in it")
            elif not seen[1].isdisjoint(own[1]):
                refuse(i, "copy", "a proof of another occurs in it")
            else:
                for before, new in zip(seen, own, strict=True):
                    before |= new
                if casts:
                    cast.add(voter)

    def receipt(self, entry: Entry) -> Receipt | None:
        """The receipt of an entry that is on the board already, word for word.

        The index says where it is; the receipt shows it.
        """
        index = self._board.index.place(leaf_hash(encode_entry(entry)))
        return None if index is None else self._board.receipt(index)

    def submitted(self, digest: bytes) -> int | None:
        """The entry that submits the ballot of this digest."""
        return self._board.index.submitted(digest)

    def open(self, opening: Opening) -> Receipt:
        """Publish the opening of a spoiled ballot, after checking it.

        Raises:
            VerificationError: not spoiled here, open already, or it opens to something else.
        """
        self._check_stage(Stage.VOTING, Stage.CLOSED)
        index = self._board.index.spoiled(opening.ballot)
        if index is None:
            raise VerificationError("the ballot is not among the spoiled ones of this board")
        if self._board.index.opened(opening.ballot):
            raise VerificationError("the ballot is open already")
        _, _, body = next(self._record.ballots(index))
        verify_opening(self._context, body, opening)
        [place] = self._board.append([opening])
        return self._board.receipt(place)


class Judged(NamedTuple):
    """For each body why it cannot be taken in, empty for those that can; and their nonces."""

    reasons: list[str]
    ciphertexts: Marks
    commitments: Marks


def judge_bodies(context: BallotContext, items: Sequence[tuple[bytes, bytes, str]]) -> Judged:
    """Judge each (body, credential, style); the owners of nonces are positions among them."""
    reasons = [""] * len(items)
    batch = decode_ballots(context, [body for body, _, _ in items], ["ballot"] * len(items))
    for position, error in batch.errors.items():
        reasons[position] = str(error)
    size = context.group.element_size
    for (positions, ballots), nonces in zip(batch.batches, batch.nonces, strict=True):
        judged = ballots_hold(context, ballots), nonces.repeat(size)
        for position, credential, right, repeats in zip(
            positions.tolist(), ballots.credentials, *judged, strict=True
        ):
            _, expected, style = items[position]
            if credential != expected:
                reasons[position] = "the ballot is bound to another credential"
            elif style != ballots.style:
                reasons[position] = f"a ballot of style {ballots.style!r}, not {style!r}"
            elif not right:
                reasons[position] = "the proofs do not hold"
            elif repeats:
                reasons[position] = "it uses a nonce twice"
    places = [positions for positions, _ in batch.batches]
    rows = list(zip(places, batch.nonces, strict=True))
    return Judged(
        reasons,
        join_marks([mark_rows(own, found.ciphertexts, size) for own, found in rows]),
        join_marks([mark_rows(own, found.commitments, size) for own, found in rows]),
    )


def _entries(submissions: Sequence[Submission]) -> list[BallotEntry]:
    """The `entry` of each."""
    digests = ballot_digests([item.body for item in submissions])
    return [
        BallotEntry(
            action=item.action,
            credential=item.credential,
            digest=digest,
            signature=item.signature,
        )
        for item, digest in zip(submissions, digests, strict=True)
    ]


def signed_roll(record: Record, parameters: ElectionParameters) -> Roll:
    """The rows of the roll, which must be those that its header and the election id speak of."""
    styles = [style.id for style in parameters.manifest.styles]
    roll = read_roll(record.roll_rows(), styles, place=record.roll_row_place, check_keys=False)
    if roll.root != parameters.roll_root:
        raise VerificationError("the rows of the roll do not have the signed root")
    return roll
