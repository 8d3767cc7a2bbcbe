"""The part of an audit that costs: the ballots of some entry bundles, checked together.

A bundle is up to 256 board entries, so a job is small, stands alone and runs in any process.
It brings all that it needs: what the board says, and the bodies, which count only if they have the
digests on the board. Its outcome is data: counts, reasons, partial sums and fingerprints, so that
a worker can neither lose nor invent a ballot unnoticed.

A private sibling of `verify`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import NamedTuple, TypeAlias, overload

import numpy as np
from numpy.typing import NDArray

from evote._fingerprints import fingerprint_rows
from evote._forms import Rows, Strings, to_rows
from evote.ballots import (
    BallotContext,
    Ballots,
    ballot_digests,
    ballots_hold,
    decode_ballots,
    false_claims,
    open_ballots,
)
from evote.board import BUNDLE, BallotColumns, Opening, bodies_path, entry_place
from evote.credentials import Action, verify_ballot_signatures
from evote.election import Manifest, ballot_context, decode_manifest
from evote.elgamal import decode_ciphertexts
from evote.errors import DecodingError, EvoteError, VerificationError
from evote.mixing import MixInputs, MixPart
from evote.record import Record
from evote.tally import ContestTally, Summation

__all__ = [
    "BallotsJob",
    "BallotsOutcome",
    "auditor",
    "check_ballots",
    "read_bodies",
    "verify_opening",
]

_EXPLAINED = 3  # of the false ballots of a bundle, and of the false claims of a ballot

_Keys: TypeAlias = tuple[NDArray[np.uint64], NDArray[np.uint64]]


@dataclass(frozen=True, slots=True, kw_only=True)
class BallotsJob:
    """The ballot entries of some entry bundles, and what the rest of the record says of them.

    `size` is that of the log; `indices` and `lines` say which entries these are, and where their
    bodies are. `styles` are those of the voters by their places in the manifest, -1 for a
    credential that is not on the roll; `weights` their weights where the ballot counts, and 0 where
    it does not; `districts` their districts, empty where the election has no results by district.
    `openings` are (position in this job, entry index of the opening, the opening). `problem` says
    why there are not exactly as many bodies as entries; such a job has one bundle only.
    """

    size: int
    indices: NDArray[np.int64]
    lines: NDArray[np.int64]
    entries: BallotColumns
    bodies: Sequence[bytes]
    problem: str
    styles: NDArray[np.int32]
    weights: NDArray[np.int64]
    districts: tuple[str, ...]
    openings: tuple[tuple[int, int, Opening], ...]

    def place(self, i: int) -> str:
        """Where the body of a ballot is, for messages."""
        index = int(self.indices[i])
        return f"{bodies_path(index // BUNDLE)}: line {self.lines[i]} (entry {index})"


@dataclass(slots=True, kw_only=True)
class BallotsOutcome:
    """What came of a job. `unsummed` counts the counted ballots that could not be added."""

    ballots: int
    checked: dict[str, int] = field(default_factory=dict)
    failures: list[tuple[str, str]] = field(default_factory=list)
    skipped: dict[str, int] = field(default_factory=dict)
    unsummed: int = 0
    sums: list[tuple[str, tuple[str, ...], int, int, bytes]] = field(default_factory=list)
    mixed: list[MixPart] = field(default_factory=list)
    ciphertexts: list[_Keys] = field(default_factory=list)
    commitments: list[_Keys] = field(default_factory=list)

    def did(self, check: str, count: int, of: int | None = None) -> None:
        """`count` ballots were checked, of so many that should have been."""
        self.checked[check] = self.checked.get(check, 0) + count
        if of is not None and of > count:
            self.skipped[check] = self.skipped.get(check, 0) + of - count

    def fail(self, check: str, reason: str) -> None:
        """One ballot fails a check."""
        self.failures.append((check, reason))

    def tallies(self, manifest: Manifest) -> list[ContestTally]:
        """The sums as values, decoded."""
        return [
            ContestTally(
                id=name,
                districts=districts,
                ballots=ballots,
                weight=weight,
                sums=decode_ciphertexts(
                    manifest.group, data, (manifest.contest(name).width,), allow_identity=True
                ),
            )
            for name, districts, ballots, weight, data in self.sums
        ]


def read_bodies(record: Record, number: int, count: int) -> tuple[Sequence[bytes], str]:
    """The first `count` ballot bodies of a bundle, and why there are not exactly as many."""
    whole = record.all_bodies(number, count)
    if whole is not None:
        return whole, ""
    bodies: list[bytes] = []
    try:
        lines = record.ballot_bodies(number)
        bodies.extend(islice(lines, count))
        more = next(lines, None) is not None
    except DecodingError as error:
        return bodies, str(error)
    if len(bodies) < count or more:
        found = "more" if more else str(len(bodies))
        return bodies, f"{bodies_path(number)}: {count} ballots expected, got {found}"
    return bodies, ""


class Auditor(NamedTuple):
    """What all jobs share, built once in each process."""

    manifest: Manifest
    context: BallotContext


def auditor(manifest_bytes: bytes, key: bytes, election_id: bytes) -> Auditor:
    """Build it from bytes: of the manifest, and of the joint key."""
    manifest = decode_manifest(manifest_bytes)
    return Auditor(manifest, ballot_context(manifest, key, election_id))


class _Places(Sequence[str]):
    """Where bodies are, written out for the few that somebody asks for."""

    def __init__(self, job: BallotsJob, chosen: Sequence[int]) -> None:
        self._job, self._chosen = job, chosen

    def __len__(self) -> int:
        return len(self._chosen)

    @overload
    def __getitem__(self, key: int) -> str: ...
    @overload
    def __getitem__(self, key: slice) -> Sequence[str]: ...
    def __getitem__(self, key: int | slice) -> str | Sequence[str]:
        if isinstance(key, slice):
            return _Places(self._job, self._chosen[key])
        return self._job.place(self._chosen[key])


def check_ballots(shared: Auditor, job: BallotsJob) -> BallotsOutcome:
    """Check the ballots of a job: form, digests, credentials, signatures, proofs, openings."""
    manifest, context = shared
    total, bodies = len(job.entries), job.bodies
    outcome = BallotsOutcome(ballots=total)
    if job.problem:
        outcome.fail("ballots.form", job.problem)
    present = _check_digests(outcome, job)
    mine = bodies.take(present) if isinstance(bodies, Strings) else [bodies[i] for i in present]
    batch = decode_ballots(context, mine, _Places(job, present))
    for position in sorted(batch.errors):
        outcome.fail("ballots.form", str(batch.errors[position]))
    outcome.did("ballots.form", total)
    _check_signatures(outcome, context, job)
    summation, mixed = Summation(manifest), MixInputs()
    added = 0
    for (positions, ballots), nonces in zip(batch.batches, batch.nonces, strict=True):
        where = np.array(present, dtype=np.intp)[positions]
        _check_credentials(outcome, manifest, ballots, job, where)
        _check_proofs(outcome, context, ballots, job, where)
        owners, size = job.indices[where], context.group.element_size
        outcome.ciphertexts.append(_owned(owners, nonces.ciphertexts, size))
        outcome.commitments.append(_owned(owners, nonces.commitments, size))
        counted = np.flatnonzero(job.weights[where])
        weights = job.weights[where[counted]].tolist()
        districts = [job.districts[i] for i in where[counted]] if manifest.districts else []
        counting = ballots if len(counted) == len(ballots) else ballots.take(counted)
        summation.add(counting, weights, districts)
        mixed.add(counting, weights)
        added += len(counted)
    decoded = sum(len(ballots) for _, ballots in batch.batches)
    for check in ("ballots.credentials", "ballots.proofs", "ballots.unique", "ballots.nonces"):
        outcome.did(check, decoded, total)
    _check_openings(outcome, context, job, frozenset(present))
    outcome.unsummed = int(np.count_nonzero(job.weights)) - added
    outcome.sums = [
        (part.id, part.districts, part.ballots, part.weight, part.sums.encode())
        for part in summation.pieces()
    ]
    outcome.mixed = mixed.parts()
    return outcome


def _check_digests(outcome: BallotsOutcome, job: BallotsJob) -> list[int]:
    """The positions whose bodies are those of the board; nothing else of a body is looked at."""
    found = to_rows(ballot_digests(job.bodies)).reshape((-1, 32))  # none too
    right = (found == job.entries.digests[: len(found)]).all(axis=1)
    for i in np.flatnonzero(~right).tolist():
        outcome.fail("ballots.digests", f"{job.place(i)}: not the ballot on the board")
    outcome.did("ballots.digests", len(found), len(job.entries))
    return np.flatnonzero(right).tolist()


def _check_signatures(outcome: BallotsOutcome, context: BallotContext, job: BallotsJob) -> None:
    entries = job.entries
    actions: list[Action] = ["spoil" if spoiled else "cast" for spoiled in entries.spoiled.tolist()]
    columns = map(Strings, (entries.credentials, entries.digests, entries.signatures))
    credentials, digests, signatures = columns
    holds = verify_ballot_signatures(context.election_id, credentials, digests, actions, signatures)
    for i in np.flatnonzero(~holds):
        where = entry_place(int(job.indices[i]), job.size)
        reason = f"{where}: the signature is not that of its credential"
        outcome.fail("ballots.signatures", reason)
    outcome.did("ballots.signatures", len(entries))


def _check_credentials(
    outcome: BallotsOutcome,
    manifest: Manifest,
    ballots: Ballots,
    job: BallotsJob,
    where: NDArray[np.intp],
) -> None:
    names = [style.id for style in manifest.styles]
    bound = (to_rows(ballots.credentials) == job.entries.credentials[where]).all(axis=1)
    right = bound & (job.styles[where] == names.index(ballots.style))
    for i in np.flatnonzero(~right).tolist():
        place, style = int(where[i]), int(job.styles[where[i]])
        if not bound[i]:
            reason = "the ballot is bound to another credential than its entry"
        elif style < 0:
            reason = "the credential is not on the roll"
        else:
            reason = f"a ballot of style {ballots.style!r}, on the roll it is {names[style]!r}"
        outcome.fail("ballots.credentials", f"{job.place(place)}: {reason}")


def _check_proofs(
    outcome: BallotsOutcome,
    context: BallotContext,
    ballots: Ballots,
    job: BallotsJob,
    where: NDArray[np.intp],
) -> None:
    wrong = np.flatnonzero(~ballots_hold(context, ballots))
    if not len(wrong):
        return
    claims = false_claims(context, ballots.take(wrong[:_EXPLAINED]))
    for place, i in enumerate(wrong.tolist()):
        what = ""
        if place < len(claims):
            shown = "; ".join(claims[place][:_EXPLAINED])
            more = len(claims[place]) - _EXPLAINED
            what = f" of {shown}" + (f" and {more} more" if more > 0 else "")
        outcome.fail("ballots.proofs", f"{job.place(int(where[i]))}: invalid proof{what}")


def _check_openings(
    outcome: BallotsOutcome, context: BallotContext, job: BallotsJob, present: frozenset[int]
) -> None:
    done = 0
    for position, index, opening in job.openings:
        if position not in present:
            continue
        done += 1
        try:
            verify_opening(context, job.bodies[position], opening)
        except EvoteError as error:
            outcome.fail("spoiled.openings", f"{entry_place(index, job.size)}: {error}")
    if job.openings:
        outcome.did("spoiled.openings", done, len(job.openings))


def verify_opening(context: BallotContext, body: bytes, opening: Opening) -> None:
    """Check that the ballot of a body encrypts what an opening says of it.

    An opening has one form: the contests of the ballot's style in their order, each once, and a
    blank bit or a write-in exactly where the contest has one. Two readers see the same marks.

    Raises:
        DecodingError: the body holds no ballot of this election.
        VerificationError: it opens to something else, or the opening has another form.
    """
    decoded = decode_ballots(context, [body], ["ballot"])
    for error in decoded.errors.values():
        raise error
    [(_, ballots)] = decoded.batches
    contests = context.style_contests(ballots.style)
    expected = [(c.id, c.counts_blanks, c.takes_write_ins) for c in contests]
    found = [(c.id, c.blank is not None, c.write_in is not None) for c in opening.contests]
    if found != expected:
        raise VerificationError("an opening lists each contest of the ballot once, in its order")
    open_ballots(
        context,
        ballots,
        [opening.seed],
        {contest.id: [contest.selections] for contest in opening.contests},
        {c.id: [c.blank] for c in opening.contests if c.blank is not None},
        {c.id: [c.write_in] for c in opening.contests if c.write_in is not None},
    )


def _owned(owners: NDArray[np.int64], rows: Rows, size: int) -> _Keys:
    """The fingerprints of all items of the rows, each with the entry index of its ballot."""
    whose = np.repeat(owners.astype(np.uint64), rows.shape[1] // size)
    return fingerprint_rows(rows.tobytes(), size), whose
