"""The part of an audit that costs: the ballots of one entry bundle, checked together.

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
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from evote._fingerprints import fingerprint_rows
from evote._forms import Rows
from evote.ballots import (
    BallotContext,
    Ballots,
    ballot_digest,
    ballots_hold,
    decode_ballots,
    false_claims,
    open_ballots,
)
from evote.board import BallotEntry, Opening, bodies_path, entry_place
from evote.credentials import verify_ballot_signatures
from evote.election import Manifest, ballot_context, decode_manifest
from evote.errors import DecodingError, EvoteError, VerificationError
from evote.mixing import MixInputs, MixPart
from evote.record import Record
from evote.tally import Summation

__all__ = [
    "BundleJob",
    "BundleOutcome",
    "auditor",
    "check_bundle",
    "read_bodies",
    "verify_opening",
]

_EXPLAINED = 3  # of the false ballots of a bundle, and of the false claims of a ballot

_Keys: TypeAlias = tuple[NDArray[np.uint64], NDArray[np.uint64]]


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleJob:
    """The ballot entries of one entry bundle, and what the rest of the record says of them.

    `size` is that of the log. `styles` are those of the roll, empty for a credential that is not
    on it. `weights` are those of the roll where the ballot counts, and 0 where it does not.
    `openings` are (position in this job, entry index of the opening, the opening). `problem` says
    why there are not exactly as many bodies as entries.
    """

    number: int
    size: int
    indices: tuple[int, ...]
    entries: tuple[BallotEntry, ...]
    bodies: tuple[bytes, ...]
    problem: str
    styles: tuple[str, ...]
    weights: tuple[int, ...]
    openings: tuple[tuple[int, int, Opening], ...]


@dataclass(slots=True, kw_only=True)
class BundleOutcome:
    """What came of a job. `unsummed` counts the counted ballots that could not be added."""

    number: int
    ballots: int
    checked: dict[str, int] = field(default_factory=dict)
    failures: list[tuple[str, str]] = field(default_factory=list)
    skipped: dict[str, int] = field(default_factory=dict)
    unsummed: int = 0
    sums: list[tuple[str, int, int, bytes]] = field(default_factory=list)
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


def read_bodies(record: Record, number: int, count: int) -> tuple[list[bytes], str]:
    """The first `count` ballot bodies of a bundle, and why there are not exactly as many."""
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


def check_bundle(shared: Auditor, job: BundleJob) -> BundleOutcome:
    """Check the ballots of one bundle: form, digests, credentials, signatures, proofs, openings."""
    manifest, context = shared
    total, bodies = len(job.entries), job.bodies
    outcome = BundleOutcome(number=job.number, ballots=total)
    name = bodies_path(job.number)
    places = [f"{name}: line {i + 1} (entry {n})" for i, n in enumerate(job.indices)]
    if job.problem:
        outcome.fail("ballots.form", job.problem)
    present = _check_digests(outcome, job, bodies, places)
    batch = decode_ballots(context, [bodies[i] for i in present], [places[i] for i in present])
    for position in sorted(batch.errors):
        outcome.fail("ballots.form", str(batch.errors[position]))
    outcome.did("ballots.form", total)
    _check_signatures(outcome, context, job)
    summation, mixed = Summation(manifest), MixInputs()
    added = 0
    for (positions, ballots), nonces in zip(batch.batches, batch.nonces, strict=True):
        where = [present[int(p)] for p in positions]
        _check_credentials(outcome, job, ballots, where, places)
        _check_proofs(outcome, context, ballots, where, places)
        owners, size = [job.indices[i] for i in where], context.group.element_size
        outcome.ciphertexts.append(_owned(owners, nonces.ciphertexts, size))
        outcome.commitments.append(_owned(owners, nonces.commitments, size))
        counted = [i for i, w in enumerate(where) if job.weights[w]]
        weights = [job.weights[where[i]] for i in counted]
        summation.add(ballots.take(counted), weights)
        mixed.add(ballots.take(counted), weights)
        added += len(counted)
    decoded = sum(len(ballots) for _, ballots in batch.batches)
    for check in ("ballots.credentials", "ballots.proofs", "ballots.unique", "ballots.nonces"):
        outcome.did(check, decoded, total)
    _check_openings(outcome, context, job, bodies, frozenset(present))
    outcome.unsummed = sum(1 for weight in job.weights if weight) - added
    outcome.sums = [(p.id, p.ballots, p.weight, p.sums.encode()) for p in summation.parts()]
    outcome.mixed = mixed.parts()
    return outcome


def _check_digests(
    outcome: BundleOutcome, job: BundleJob, bodies: Sequence[bytes], places: Sequence[str]
) -> list[int]:
    """The positions whose bodies are those of the board; nothing else of a body is looked at."""
    present = []
    for i, (body, entry) in enumerate(zip(bodies, job.entries, strict=False)):
        if ballot_digest(body) == entry.digest:
            present.append(i)
        else:
            outcome.fail("ballots.digests", f"{places[i]}: not the ballot on the board")
    outcome.did("ballots.digests", len(bodies), len(job.entries))
    return present


def _check_signatures(outcome: BundleOutcome, context: BallotContext, job: BundleJob) -> None:
    entries = job.entries
    holds = verify_ballot_signatures(
        context.election_id,
        [entry.credential for entry in entries],
        [entry.digest for entry in entries],
        [entry.action for entry in entries],
        [entry.signature for entry in entries],
    )
    for i in np.flatnonzero(~holds):
        where = entry_place(job.indices[i], job.size)
        reason = f"{where}: the signature is not that of its credential"
        outcome.fail("ballots.signatures", reason)
    outcome.did("ballots.signatures", len(entries))


def _check_credentials(
    outcome: BundleOutcome,
    job: BundleJob,
    ballots: Ballots,
    where: Sequence[int],
    places: Sequence[str],
) -> None:
    for i, credential in zip(where, ballots.credentials, strict=True):
        if credential != job.entries[i].credential:
            reason = "the ballot is bound to another credential than its entry"
        elif not job.styles[i]:
            reason = "the credential is not on the roll"
        elif job.styles[i] != ballots.style:
            reason = f"a ballot of style {ballots.style!r}, on the roll it is {job.styles[i]!r}"
        else:
            continue
        outcome.fail("ballots.credentials", f"{places[i]}: {reason}")


def _check_proofs(
    outcome: BundleOutcome,
    context: BallotContext,
    ballots: Ballots,
    where: Sequence[int],
    places: Sequence[str],
) -> None:
    wrong = np.flatnonzero(~ballots_hold(context, ballots))
    claims = false_claims(context, ballots.take(wrong[:_EXPLAINED]))
    for place, i in enumerate(wrong.tolist()):
        what = ""
        if place < len(claims):
            shown = "; ".join(claims[place][:_EXPLAINED])
            more = len(claims[place]) - _EXPLAINED
            what = f" of {shown}" + (f" and {more} more" if more > 0 else "")
        outcome.fail("ballots.proofs", f"{places[where[i]]}: invalid proof{what}")


def _check_openings(
    outcome: BundleOutcome,
    context: BallotContext,
    job: BundleJob,
    bodies: Sequence[bytes],
    present: frozenset[int],
) -> None:
    done = 0
    for position, index, opening in job.openings:
        if position not in present:
            continue
        done += 1
        try:
            verify_opening(context, bodies[position], opening)
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


def _owned(owners: Sequence[int], rows: Rows, size: int) -> _Keys:
    """The fingerprints of all items of the rows, each with the entry index of its ballot."""
    whose = np.repeat(np.array(owners, dtype=np.uint64), rows.shape[1] // size)
    return fingerprint_rows(rows.tobytes(), size), whose
