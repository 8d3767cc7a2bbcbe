"""Audit a whole record into a Report.

`audit` recognises how far the election has come, runs every check that applies, and reports each
under a stable id as passed, failed, not applicable or not checked. It never raises because of what
a record holds: undecodable data are failures with a place. A check whose inputs failed is not
checked, which is never success.

The log is read once for its files and phase, once for its order, its root and the counted set, and
then bundle by bundle with the ballots, in as many processes as asked for. Memory: about 65 bytes a
ballot, 73 a voter of the roll, a few bundles for each process, and one unit that is mixed, its
lists encoded. In temporary files: fingerprints, the ciphertexts of all ballots that are mixed
(`mixing.MixInputs`), and decryption shares.

A record alone shows that it is consistent, not that it is the record of the election: whoever
wrote it may have written all of it. The pins tie it to what was published elsewhere: the manifest's
digest, the witnesses' keys, voters' receipts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from evote._archives import open_tree
from evote._audit_ballots import (
    BallotsOutcome,
    auditor,
    check_ballots,
    read_bodies,
)
from evote._audit_jobs import BallotJobs, entries_of_bundle, entry_or_none
from evote._audit_log import (
    LogSummary,
    PinnedReceipt,
    check_authorities,
    check_evidence,
    read_log,
)
from evote._audit_mixes import MIX_CHECKS, UnitProgress, check_mixes
from evote._audit_roll import RollKeys, audited_roll
from evote._audit_tally import AuditedElection, check_seal, check_tally
from evote._ballot_tables import read_nonces
from evote._evidence import MAX_EVIDENCE, LogEvidence, decode_evidence
from evote._files import read_file
from evote._fingerprints import Fingerprints, fingerprint_rows
from evote._pool import Work, Workers, processes, run_jobs, spread, start_processes
from evote._privacy import privacy_notices
from evote._report import CHECKS, PHASES, Check, Finding, Ledger, Notice, Outcome, Report
from evote._trees import Directory, SingleFile, Tree
from evote.ballots import BallotContext
from evote.board import (
    BUNDLE,
    BallotEntry,
    WitnessPolicy,
    bodies_path,
    decode_policy,
    decode_receipt,
    entry_place,
    verify_receipt,
)
from evote.ceremony import ceremony_parameters
from evote.credentials import Roll
from evote.election import Manifest, ballot_context, election_id
from evote.elgamal import PublicKey
from evote.encoding import decode_hex
from evote.errors import (
    DecodingError,
    EvoteError,
    ParameterError,
)
from evote.mixing import Cascade, MixInputs
from evote.policies import Counts, Fate, Fates, count_by_district
from evote.record import MANIFEST, Phase, Record
from evote.tally import Result, Summation, Tally
from evote.threshold import CeremonyResult, examine_ceremony

__all__ = [
    "CHECKS",
    "PHASES",
    "Check",
    "Finding",
    "Notice",
    "Outcome",
    "Progress",
    "Report",
    "UnitProgress",
    "audit",
    "audited_mixes",
    "audited_tally",
]

Progress = Callable[[str, int, int], None]

_BALLOT_CHECKS = (
    "ballots.form",
    "ballots.digests",
    "ballots.credentials",
    "ballots.signatures",
    "ballots.proofs",
    "ballots.unique",
    "ballots.nonces",
)
_PINS = ("board.witnesses", "board.receipts", "board.evidence")
_MAX_FILE = 2**20  # bytes, of a policy or a receipt
_ONE_JOB = BUNDLE  # ballots: no more are not worth another process
_MANY = 8  # bundles that are work for all processes
_REPEATS = 50  # repeated values told apart in full; a record with one is rejected anyway


def audit(
    path: Path | str,
    *,
    phase: str = "finished",
    expect_manifest: bytes | str | None = None,
    witness_policy: Path | str | None = None,
    receipts: Path | str | None = None,
    evidence: Path | str | None = None,
    jobs: Workers = 1,
    progress: Progress | None = None,
) -> Report:
    """Run every check on a record.

    Args:
        path: the directory, or an archive of one: zip, tar or tar.gz.
        phase: the phase the record must have reached; a shorter one leaves checks not checked.
        expect_manifest: its digest as published elsewhere, 32 bytes or hex.
        witness_policy: a file that says which witnesses must have cosigned the checkpoint.
        receipts: a directory of voters' receipts, or one receipt.
        evidence: two heads of the log that a witness or a monitor has kept: it fails the record if
            the log's key signed two views.
        jobs: how many processes of this machine check ballots, this one included; or an executor
            such as that of a cluster.
        progress: called with what is being done, how much is done, and of how much.

    Raises:
        ParameterError, DecodingError: an argument is wrong. Never because of the record.
    """
    return _audited(
        path,
        phase,
        expect_manifest,
        witness_policy,
        receipts,
        evidence,
        jobs=jobs,
        progress=progress,
    ).report()


def audited_tally(
    path: Path | str, *, jobs: Workers = 1, progress: Progress | None = None
) -> tuple[Report, Tally | None]:
    """Audit a record up to its seal, and the tally of its counted ballots if that can be made.

    What is mixed must have passed all mix servers.
    """
    run = _audited(path, "sealed", jobs=jobs, progress=progress)
    tally = None
    if run.sums is not None and run.cascade is not None:
        mixers = len(run.cascade.manifest.mixers)
        units = [unit.finished() for unit in run.mixes if unit.steps == mixers]
        if len(units) == len(run.mixes):
            cascade = run.cascade
            tally = run.sums.finish(cascade.election, cascade.counted, units)
    return run.report(), tally


def audited_mixes(
    path: Path | str,
    *,
    expect_manifest: bytes | str | None = None,
    witness_policy: Path | str | None = None,
    jobs: Workers = 1,
    progress: Progress | None = None,
) -> tuple[Report, Cascade | None, tuple[UnitProgress, ...]]:
    """Audit a sealed record and the steps of the mix servers so far; how far each unit is.

    Arguments and errors as of `audit`.
    """
    run = _audited(path, "sealed", expect_manifest, witness_policy, jobs=jobs, progress=progress)
    return run.report(), run.cascade, run.mixes


def _audited(
    path: Path | str,
    phase: str,
    expect_manifest: bytes | str | None = None,
    witness_policy: Path | str | None = None,
    receipts: Path | str | None = None,
    evidence: Path | str | None = None,
    *,
    jobs: Workers,
    progress: Progress | None,
) -> _Audit:
    """One audit, done."""
    if not isinstance(jobs, Executor) and (type(jobs) is not int or jobs < 1):
        raise ParameterError("jobs: at least 1, or an executor, expected")
    expected = expect_manifest
    if isinstance(expected, str):
        expected = decode_hex(expected, 32, where="expect_manifest")
    elif expected is not None and len(expected) != 32:
        raise ParameterError("expect_manifest: 32 bytes expected")
    policy = None
    if witness_policy is not None:
        policy = decode_policy(read_file(witness_policy, _MAX_FILE))
    pair = None
    if evidence is not None:
        pair = decode_evidence(read_file(evidence, MAX_EVIDENCE), where=Path(evidence).name)
    pins = {
        "manifest.digest": expect_manifest is not None,
        "board.witnesses": policy is not None,
        "board.receipts": receipts is not None,
        "board.evidence": pair is not None,
    }
    ledger = Ledger(phase, [pin for pin, wanted in pins.items() if wanted])
    with _opened(Path(path), ledger) as tree:
        run = _Audit(Record(tree), ledger, jobs, progress or _silent)
        run.everything(expected, policy, Path(receipts) if receipts is not None else None, pair)
    return run


@contextmanager
def _opened(path: Path, ledger: Ledger) -> Iterator[Tree]:
    """The files of a record; what is no tree of files is an empty one, and a failure."""
    tree: Tree = SingleFile(path)
    try:
        tree = open_tree(path) if path.is_file() else Directory(path)
    except DecodingError as error:
        ledger.fail("record.files", error)
    with tree:
        yield tree


def _silent(what: str, done: int, total: int) -> None:
    """No progress to show."""


class _Audit:
    """One audit: what it has learned so far, for the checks that build on it."""

    def __init__(self, record: Record, ledger: Ledger, jobs: Workers, progress: Progress) -> None:
        self.record = record
        self.ledger = ledger
        self.jobs = jobs
        self.progress = progress
        self.manifest: Manifest | None = None
        self.manifest_digest: bytes | None = None
        self.phase: Phase | None = None
        self.ceremony: CeremonyResult | None = None
        self.roll: Roll | None = None
        self.keys: RollKeys | None = None
        self.election_id: bytes | None = None
        self.size = 0
        self.sums: Summation | None = None
        self.inputs = MixInputs()
        self.cascade: Cascade | None = None
        self.mixes: tuple[UnitProgress, ...] = ()
        self.result: Result | None = None
        self.fates: Fates | None = None
        self.of_voters: tuple[tuple[Notice, ...], tuple[Counts, ...]] | None = None

    def report(self) -> Report:
        notices, counts = self.of_voters or self._of_voters()
        return Report(
            findings=self.ledger.findings(),
            required=self.ledger.required,
            readable=self.manifest is not None,
            phase=self.phase.name.lower() if self.phase is not None else "unknown",
            required_phase=self.ledger.required_phase,
            manifest=self.manifest,
            manifest_digest=self.manifest_digest,
            election_id=self.election_id,
            result=self.result,
            notices=notices,
            counts=counts,
        )

    def _of_voters(self) -> tuple[tuple[Notice, ...], tuple[Counts, ...]]:
        """What a report says of the voters: notices, and counts by district and style."""
        counts: tuple[Counts, ...] = ()
        if self.roll is not None and self.fates is not None:
            counts = count_by_district(self.roll, self.fates)
        return self._notices(), counts

    def _notices(self) -> tuple[Notice, ...]:
        """What the record shows of single voters; before it is sealed, if all of them vote."""
        if self.manifest is None or self.roll is None:
            return ()
        counted = np.arange(len(self.roll))
        if self.fates is not None and self.phase is not None and self.phase >= Phase.SEALED:
            counted = self.fates.voters[self.fates.mask(Fate.COUNTED)].astype(np.intp)
        return privacy_notices(self.manifest, self.roll, counted)

    def everything(
        self,
        expected: bytes | None,
        policy: WitnessPolicy | None,
        receipts: Path | None,
        evidence: LogEvidence | None,
    ) -> None:
        """All checks, each stage on what the stages before it have established."""
        ledger = self.ledger
        many = self.record.has(bodies_path(_MANY))
        if many and isinstance(self.jobs, int) and self.jobs > 1:
            start_processes(self.jobs - 1, _MANY, check_ballots)  # while this one reads
        manifest = self._manifest(expected)
        self._files()
        if manifest is None:
            ledger.block("there is no manifest", *CHECKS)
            return
        self._ceremony()
        if self.phase is None or self.phase >= Phase.READY:
            self.roll = audited_roll(ledger, self.record, manifest)
        if self.roll is not None:
            self.keys = RollKeys(self.roll, self._others() if many else 1)
        if self.ceremony is not None and self.roll is not None:
            self.election_id = election_id(
                self._base_id(), self.ceremony.digest, self.ceremony.key, self.roll.root
            )
        if self.phase is None or self.phase >= Phase.VOTING:
            self._board(manifest, policy, receipts, evidence)
        elif policy is not None or receipts is not None or evidence is not None:
            ledger.block("there is no board yet", *_PINS)
        self._keys()

    def _others(self) -> Workers:
        """The processes beside this one, which works too, or somebody's executor; 1 for none."""
        if isinstance(self.jobs, int) and self.jobs > 1:
            return processes(self.jobs - 1)
        return self.jobs

    def _keys(self) -> None:
        """Report on the roll's keys, unless that was done."""
        if self.keys is not None:
            self.keys.report(self.ledger)
        self.keys = None

    # -- manifest, files, ceremony, roll ---------------------------------------------------------

    def _manifest(self, expected: bytes | None) -> Manifest | None:
        ledger, record = self.ledger, self.record
        with ledger.guard("manifest.form"):
            try:
                manifest = record.manifest
                manifest.check_native()
                self.manifest = manifest
            except DecodingError as error:
                if error.where != f"{MANIFEST}: $.group":
                    raise
                ledger.fail("group.parameters", error)
        if self.manifest is None:
            return None
        self.manifest_digest = record.manifest_digest
        ledger.did("manifest.form")
        ledger.did("group.parameters")
        if expected is not None:
            ledger.did("manifest.digest")
            if self.manifest_digest != expected:
                ledger.fail("manifest.digest", "manifest.json: not the manifest that was expected")
        return self.manifest

    def _files(self) -> None:
        """The listing, and how far the election has come."""
        ledger = self.ledger
        with ledger.guard("record.files"):
            problems = self.record.problems()
            for problem in problems:
                ledger.fail("record.files", problem)
            ledger.did("record.files", len(problems) or len(self.record.files()))
        try:
            self.phase = self.record.phase() if self.manifest is not None else None
        except EvoteError as error:  # what is wrong with the log is reported where it is checked
            ledger.block(f"the phase cannot be told: {error}", "record.complete")
        if self.phase is not None and self.phase >= PHASES.index(ledger.required_phase):
            ledger.did("record.complete")
        elif self.phase is not None:
            reason = f"the record is {PHASES[self.phase]}, not yet {ledger.required_phase}"
            ledger.block(reason, "record.complete")

    def _base_id(self) -> bytes:
        return ceremony_parameters(self.record).base_id

    def _ceremony(self) -> None:
        ledger = self.ledger
        names = ("commitments", "proofs", "complaints", "confirmations")
        checks = tuple(f"ceremony.{name}" for name in names)
        with ledger.guard("ceremony.commitments", *checks[1:]):
            files = self.record.ceremony_files()
            if not files and self.phase is Phase.SETUP:
                return
            status = examine_ceremony(ceremony_parameters(self.record), files)
            for name, count in status.checked.items():
                if count:
                    ledger.did(f"ceremony.{name}", count)
            for problem in status.problems:
                reason = problem.reason.removeprefix(f"ceremony/{problem.file}: ")
                ledger.fail(f"ceremony.{problem.check}", f"ceremony/{problem.file}: {reason}")
            ledger.absent("no trustee complained", "ceremony.complaints")
            steps = {"commit": checks[0], "reveal": checks[1], "confirm": checks[3]}
            for kind, absent in status.missing.items():
                if absent:
                    who = ", ".join(map(str, absent))
                    ledger.block(f"no {kind} of trustee {who}", steps[kind])
            if ledger.failed(checks[0]):
                ledger.block(f"{checks[0]} failed", *checks[1:])
            self.ceremony = status.result

    # -- the board -------------------------------------------------------------------------------

    def _board(
        self,
        manifest: Manifest,
        policy: WitnessPolicy | None,
        receipts: Path | None,
        evidence: LogEvidence | None,
    ) -> None:
        ledger, record = self.ledger, self.record
        blocked = [name for name, check in CHECKS.items() if check.phase in PHASES[3:]]
        with ledger.guard("board.checkpoint", *blocked):
            checkpoint = record.checkpoint()
            ledger.did("board.checkpoint")
            self.size = checkpoint.size
        if ledger.failed("board.checkpoint"):
            ledger.block("board.checkpoint failed", *_PINS)
            return
        if policy is not None:
            with ledger.guard("board.witnesses"):
                ledger.did("board.witnesses")
                policy.check(record.checkpoint_bytes(), log_key=manifest.log_key)
        if evidence is not None:
            check_evidence(ledger, record, manifest, evidence)
        pinned = self._receipts(manifest, receipts) if receipts is not None else []
        self.progress("entries", 0, checkpoint.size)
        log = read_log(ledger, record, manifest, self.roll, checkpoint, pinned, self.election_id)
        self.progress("entries", checkpoint.size, checkpoint.size)
        self.fates = log.fates
        self._keys()
        self._identifiers(manifest, log)
        self._ballots(manifest, log)
        check_seal(ledger, manifest, log, self.election_id)
        # What is mixed and decrypted needs the memory of roll and fates, and not what they say.
        self.of_voters = self._of_voters()
        self.roll = self.fates = log.fates = None
        self._mixes(manifest, log)
        if log.tally is not None:
            election = AuditedElection(
                election_id=self.election_id,
                ceremony=self.ceremony,
                sums=self.sums,
                counted=self.cascade.counted if self.cascade is not None else None,
                mixes=self.mixes if self.cascade is not None else None,
            )
            self.result = check_tally(ledger, record, manifest, log, election)

    def _receipts(self, manifest: Manifest, place: Path) -> list[PinnedReceipt]:
        found = []
        files = sorted(place.glob("*.json")) if place.is_dir() else [place]
        self.ledger.did("board.receipts", len(files))
        if not files:
            self.ledger.block("there are no receipts", "board.receipts")
        for file in files:
            with self.ledger.guard("board.receipts"):
                receipt = decode_receipt(read_file(file, _MAX_FILE), where=file.name)
                claim = verify_receipt(receipt, manifest.log_key)
                found.append(PinnedReceipt(name=file.name, entry=receipt.entry, claim=claim))
        return found

    def _identifiers(self, manifest: Manifest, log: LogSummary) -> None:
        ledger = self.ledger
        if log.opened is None:
            ledger.block("the log does not open", "election.id", "open.signatures")
            return
        index, entry = log.opened
        where = log.place(index)
        with ledger.guard("open.signatures"):
            parts = (entry.election, entry.manifest)
            count = check_authorities(manifest, entry.signatures, where, "open", *parts)
            ledger.did("open.signatures", count)
        ledger.did("election.id")
        if entry.manifest != self.manifest_digest:
            ledger.fail("election.id", f"manifest.json: not the manifest that {where} opens")
        if self.election_id is None:
            ledger.block("ceremony or roll failed", "election.id")
        elif entry.election != self.election_id:
            ledger.fail("election.id", f"{where}: opens another election than this record's")

    # -- ballots ---------------------------------------------------------------------------------

    def _ballots(self, manifest: Manifest, log: LogSummary) -> None:
        ledger = self.ledger
        everything = (*_BALLOT_CHECKS, "spoiled.openings")
        if self.ceremony is None or self.roll is None or self.election_id is None:
            ledger.block("ceremony or roll failed", *everything, "policy.counted", "tally.sums")
            return
        if log.fates is None:
            ledger.block("the counted set is unknown", "spoiled.openings", "tally.sums")
        elif not log.fates.spoiled:
            ledger.absent("no ballot was spoiled", "spoiled.openings")
        elif not (log.fates.openings >= 0).any():
            ledger.absent("no spoiled ballot was opened", "spoiled.openings")
        for check in _BALLOT_CHECKS:
            ledger.did(check, 0)
        sums = Summation(manifest)
        unsummed = 0
        with Fingerprints() as ciphertexts, Fingerprints() as commitments:
            done = 0
            key = self.ceremony.key.element.encode()
            start = (self.record.manifest_bytes, key, self.election_id)
            work = Work(auditor, start, check_ballots)
            workers = self._others() if log.ballots > _ONE_JOB else 1
            here_too = isinstance(self.jobs, int)
            jobs = BallotJobs(self.record, manifest, self.roll, log).guarded(ledger, _BALLOT_CHECKS)
            for outcome in run_jobs(work, jobs, workers, here_too=here_too):
                if isinstance(outcome, EvoteError):
                    for check in _BALLOT_CHECKS:
                        ledger.fail(check, outcome)
                    ledger.block("a bundle was not checked", "spoiled.openings", "tally.sums")
                    continue
                self._book(outcome)
                sums.merge(outcome.tallies(manifest))
                self.inputs.merge(outcome.mixed)
                unsummed += outcome.unsummed
                for values, owners in outcome.ciphertexts:
                    ciphertexts.add(values, owners)
                for values, owners in outcome.commitments:
                    commitments.add(values, owners)
                done += outcome.ballots
                self.progress("ballots", done, log.ballots)
            context = ballot_context(manifest, key, self.election_id)
            with ledger.guard("ballots.unique"):
                ballot = "a ciphertext with the nonce of one"
                self._repeats(context, ciphertexts, "ballots.unique", ballot, 0)
            with ledger.guard("ballots.nonces"):
                proof = "a proof with the nonce of one"
                self._repeats(context, commitments, "ballots.nonces", proof, 1)
        if unsummed:
            ledger.block(f"{unsummed} counted ballots cannot be added", "tally.sums")
        elif log.fates is not None and done == log.ballots:
            self.sums = sums
            group = spread(manifest.group, self.jobs)
            self.cascade = Cascade(
                manifest=manifest,
                key=PublicKey(element=group.decode_elements(key, ())),
                election=self.election_id,
                counted=log.fates.digest,
            )

    def _mixes(self, manifest: Manifest, log: LogSummary) -> None:
        if not manifest.mixers:
            self.ledger.absent("nothing is mixed", *MIX_CHECKS)
        elif log.seal is not None and self.cascade is None:
            self.ledger.block("the counted set is unknown", *MIX_CHECKS)
        elif log.seal is not None and self.cascade is not None:
            complete = log.tally is not None
            with self.ledger.guard("mix.units", *MIX_CHECKS[1:]):  # workers may break down
                self.mixes = check_mixes(
                    self.ledger, self.record, self.cascade, self.inputs, complete, self.progress
                )

    def _book(self, outcome: BallotsOutcome) -> None:
        for check, count in outcome.checked.items():
            self.ledger.did(check, count)
        for check, reason in outcome.failures:
            self.ledger.fail(check, reason)
        for check, count in outcome.skipped.items():
            self.ledger.block(f"{count} ballots or more could not be read", check)

    def _repeats(
        self, context: BallotContext, found: Fingerprints, check: str, what: str, which: int
    ) -> None:
        """Compare in full what has the same fingerprint, and report what really repeats."""
        told = 0
        size = context.group.element_size
        for fingerprint, owners in found.repeated():
            seen: dict[bytes, int] = {}
            for owner in sorted(set(owners)):
                data = self._nonce_rows(context, owner)[which]
                for i in np.flatnonzero(fingerprint_rows(data, size) == fingerprint):
                    key = data[i * size : (i + 1) * size]
                    if key in seen:
                        told += 1
                        where = entry_place(owner, self.size)
                        reason = f"{where}: {what} that entry {seen[key]} has"
                        self.ledger.fail(check, reason)
                    seen.setdefault(key, owner)
                if told >= _REPEATS:
                    return

    def _nonce_rows(self, context: BallotContext, index: int) -> tuple[bytes, bytes]:
        before = entries_of_bundle(self.record, self.size, index // BUNDLE)[: index % BUNDLE]
        place = sum(isinstance(entry_or_none(data, 0), BallotEntry) for data in before)
        bodies, _ = read_bodies(self.record, index // BUNDLE, place + 1)
        return read_nonces(context, bodies[place:])[0]
