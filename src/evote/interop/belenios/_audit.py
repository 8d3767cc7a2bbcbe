"""Verify a Belenios election into a report.

Nothing in an archive makes an audit raise: what is wrong with it is a failed check that names the
place. A check whose inputs failed, or which a running election has not come to, is not checked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from evote._files import shown_path
from evote._pool import Workers, processes
from evote._report import Check, Ledger
from evote.elgamal import Ciphertexts
from evote.errors import DecodingError, EvoteError, ParameterError, UnsupportedError
from evote.groups import Elements
from evote.interop._marks import find_archive, is_belenios
from evote.interop._reports import ForeignReport, Notice, check_jobs, checks_of, decode_pin, silent
from evote.interop.belenios._archive import Archive, Event
from evote.interop.belenios._box import Box
from evote.interop.belenios._decryption import (
    Share,
    check_result,
    check_share,
    combine,
    missing_shares,
    read_result,
)
from evote.interop.belenios._election import (
    Credentials,
    Election,
    decode_credentials,
    decode_election,
)
from evote.interop.belenios._forms import Failed
from evote.interop.belenios._shuffles import check_shuffle, owned_message
from evote.interop.belenios._tally import Sums, check_tally, read_sized, read_tally
from evote.interop.belenios._trustees import (
    GENERATIONS,
    Trustees,
    check_trustees,
    decode_trustees,
)

__all__ = [
    "CHECKS",
    "Audit",
    "audit",
    "find_archive",
    "ids",
    "is_belenios",
]

_SECTIONS: dict[str, tuple[str, ...]] = {
    "Archive": ("archive-tar", "archive-hash", "event-chain", "archive-order"),
    "Pins": ("extends", "fingerprint"),
    "Election": ("election",),
    "Trustees": (
        "trustees",
        "trustee-pok",
        "trustee-cert",
        "trustee-coefexps",
        "trustee-certs-signature",
        "trustee-verification-key",
        "trustee-vk-signature",
        "election-public-key",
    ),
    "Credentials": ("credentials", "credentials-duplicate"),
    "Ballots": (
        "ballot-canonical",
        "ballot-election-uuid",
        "ballot-election-hash",
        "ballot-credential-unknown",
        "ballot-duplicate",
        "ballot-signature-hash",
        "ballot-signature",
    ),
    "Answers": (
        "answer-shape",
        "scalar",
        "choice",
        "individual-proof",
        "overall-proof",
        "blank-proof",
        "list-proof",
        "nonzero-proof",
        "nh-proof",
    ),
    "Tally": ("encrypted-tally", "tally-num", "tally-weight"),
    "Shuffles": ("shuffle-missing", "shuffle-owner", "shuffle-proof"),
    "Decryption": (
        "partial-decryption",
        "partial-decryption-owner",
        "partial-decryption-missing",
        "partial-decryption-threshold",
    ),
    "Result": ("result",),
}
CHECKS = checks_of("belenios", _SECTIONS, pins=("extends", "fingerprint"))
"""Stable ids, in the order of a report."""


def ids(*sections: str) -> list[str]:
    """The checks of some sections."""
    return [f"belenios.{name}" for section in sections for name in _SECTIONS[section]]


_BALLOTS = ids("Ballots", "Answers")
_AFTER_BALLOTS = ids("Tally", "Shuffles", "Decryption", "Result")
_AFTER_SETUP = [*_BALLOTS, *_AFTER_BALLOTS]
_KINDS = {  # checks of answers that only some questions have
    "individual-proof": ("homomorphic", "lists"),
    "overall-proof": ("homomorphic", "lists"),
    "list-proof": ("lists",),
    "nonzero-proof": ("lists",),
    "nh-proof": ("mixed",),
}


def audit(
    path: Path | str,
    *,
    extends: Path | str | None = None,
    expect: bytes | str | None = None,
    jobs: Workers = 1,
    progress: Callable[[str, int, int], None] | None = None,
) -> ForeignReport:
    """Verify an archive, of a finished election or of a running one.

    Args:
        path: the file, or a directory with one file *.bel.
        extends: an earlier copy of the archive, which must be a prefix of this one. Nothing else
            shows that ballots were dropped that had been superseded, or came last.
        expect: 32 bytes or hex, as published elsewhere: SHA-256 of the election, of the setup
            data, or of any event.
        jobs: processes of this machine, or an executor.
        progress: called with what is being done, how much is done, and of how much.

    Raises:
        ParameterError, DecodingError: an argument is wrong. Never because of what files hold.
    """
    found = find_archive(Path(path))
    if found is None:
        raise ParameterError(f"{shown_path(path)}: not one archive of Belenios")
    check_jobs(jobs)
    expected = decode_pin(expect, "expect")
    run = Audit(jobs, progress or silent, expected, None if extends is None else Path(extends))
    with Archive(found) as archive:
        run.verify(archive)
    return run.report()


class Audit:
    """One audit: what was found so far."""

    def __init__(
        self,
        jobs: Workers,
        progress: Callable[[str, int, int], None],
        expect: bytes | None,
        extends: Path | None,
        checks: Mapping[str, Check] = CHECKS,
    ) -> None:
        self.expect = None if expect is None else expect.hex()
        self.extends = extends
        pins = {"belenios.fingerprint": expect, "belenios.extends": extends}
        asked = [name for name, value in pins.items() if value is not None]
        self.ledger = Ledger("setup", asked, checks)
        self.jobs = jobs
        self.progress = progress
        self.notices: list[Notice] = []
        self.parts: list[str] = []
        self.election: Election | None = None
        self.pinned: set[str] = set()

    def report(self) -> ForeignReport:
        version = f", protocol version {self.election.version}" if self.election else ""
        whole = ("election", "credentials", "ballots")
        return ForeignReport.of(
            self.ledger,
            f"Belenios{version}",
            parts=self.parts,
            notices=self.notices,
            unpinned=(what for what in whole if what not in self.pinned),
        )

    # -- the ledger --------------------------------------------------------------------------------

    @contextmanager
    def _step(self, check: str, *blocks: str) -> Iterator[None]:
        """What goes wrong inside fails `check`, or the one it names; `blocks` are not done then."""
        try:
            yield
        except UnsupportedError as error:
            self.ledger.block(str(error), f"belenios.{check}")
        except Failed as error:
            self._fail(error)
        except EvoteError as error:
            self.ledger.fail(f"belenios.{check}", error)
        except Exception as error:
            reason = f"internal error: {type(error).__name__}: {error}"
            self.ledger.fail(f"belenios.{check}", reason)
        else:
            return
        self.ledger.block("what it needs failed or is not there", *blocks)

    def _fail(self, error: Failed) -> None:
        self.ledger.fail(f"belenios.{error.check}", error)

    def _did(self, check: str, count: int = 1) -> None:
        self.ledger.did(f"belenios.{check}", count)

    def _absent(self, reason: str, *checks: str) -> None:
        self.ledger.absent(reason, *(f"belenios.{check}" for check in checks))

    # -- the steps ---------------------------------------------------------------------------------

    def verify(self, archive: Archive) -> None:
        """All checks."""
        done = False
        with self._step("archive-tar", *[name for name in CHECKS if "archive" not in name]):
            archive.read()
            done = True
        for check in _SECTIONS["Archive"]:
            if done:
                self._did(check, len(archive.events))
            elif not self.ledger.failed(f"belenios.{check}"):
                self.ledger.block("the archive cannot be read", f"belenios.{check}")
        if not done:
            return
        self._extends(archive)
        if not archive.events:
            rest = [*ids("Election", "Trustees", "Credentials", "Pins"), *_AFTER_SETUP]
            self.ledger.block("the archive ends before the setup", *rest)
            return
        self._setup(archive)

    def _extends(self, archive: Archive) -> None:
        if self.extends is None:
            return
        with self._step("extends"):
            earlier = find_archive(self.extends)
            if earlier is None:
                raise DecodingError("not an archive", where=shown_path(self.extends))
            with Archive(earlier) as old:
                count = old.size
                if not archive.begins_with(old):
                    raise Failed("extends", "the earlier copy is not a prefix of this archive")
            ends = {event.end for event in archive.events}
            if count not in ends:
                raise Failed("extends", "the earlier copy does not end with an event")
            self._did("extends")
            self.pinned |= {"election", "credentials"}

    def _setup(self, archive: Archive) -> None:
        election = trustees = credentials = None
        bodies = archive.events[0].data
        blocks = [*ids("Trustees", "Credentials"), *_AFTER_SETUP]
        with self._step("election", *blocks):
            pool = None
            if self.jobs != 1:
                pool = processes(self.jobs) if isinstance(self.jobs, int) else self.jobs
            election = decode_election(archive.body(bodies[0]), pool)
            if archive.listed != (election.version == 2):
                raise Failed("archive-order", "events of another version than the election")
            self._did("election")
        self._fingerprint(archive)
        if election is None:
            return
        self.election = election
        self._describe(election, archive)
        with self._step("trustees", *ids("Trustees")[1:], *_AFTER_BALLOTS):
            trustees = decode_trustees(archive.body(bodies[1]), election)
            self._trustees(trustees, election)
        with self._step("credentials", "belenios.credentials-duplicate", *_AFTER_SETUP):
            credentials = decode_credentials(archive.body(bodies[2]), election)
            self._did("credentials", len(credentials))
            self._did("credentials-duplicate", len(credentials))
            if len(bodies) > 4:
                detail = "there is one, and it is not verified: its form is not documented"
                self.notices.append(Notice("credentials-certificate", detail))
        if credentials is not None:
            sums = self._ballots(archive, election, credentials)
            if trustees is not None:
                self._count(archive, election, trustees, sums)

    def _describe(self, election: Election, archive: Archive) -> None:
        kinds = ", ".join(question.kind for question in election.questions)
        self.parts.append(f"{election.name} ({election.uuid}), {election.codec.name}: {kinds}")
        self.parts.append(f"fingerprint {election.fingerprint}")
        self.parts.append(f"last event {archive.events[-1].digest}")
        if election.version == 2:
            detail = "protocol version 2 is that of a development branch, and may still change"
            self.notices.append(Notice("development-version", detail))
        if election.codec.group.is_weak:
            self.notices.append(Notice("weak-group", f"{election.codec.name}: logarithms in reach"))

    def _fingerprint(self, archive: Archive) -> None:
        if self.expect is None:
            return
        election, *_, setup = archive.events[0].data
        self._did("fingerprint")
        digests = [event.digest for event in archive.events]
        if self.expect == election.digest:
            self.pinned.add("election")
        elif self.expect == setup.digest or self.expect in digests:
            self.pinned |= {"election", "credentials"}
            if self.expect == digests[-1]:
                self.pinned.add("ballots")
        else:
            reason = "neither the election nor its setup nor an event has the SHA-256 expected"
            self.ledger.fail("belenios.fingerprint", reason)

    def _trustees(self, trustees: Trustees, election: Election) -> None:
        self._did("trustees", len(trustees.owners))
        for check in {signature.check for signature in trustees.signatures}:
            self._did(check, sum(s.check == check for s in trustees.signatures))
        self._did("election-public-key")
        thresholds = [part for part in trustees.parts if part.size > 1]
        if trustees.generations:
            self._did("trustee-verification-key", sum(part.size for part in thresholds))
        missing = [
            check
            for check in _SECTIONS["Trustees"][2:-1]
            if check != "trustee-verification-key"
            and not any(s.check == check for s in trustees.signatures)
        ]
        self._absent("these trustees have none", *missing)
        if not trustees.generations:
            self._absent("no trustees with a threshold", "trustee-verification-key")
        for failure in check_trustees(trustees, election):
            self._fail(failure)
        for generation in trustees.generations - {(True, True, True)}:
            detail = f"trustees as set up by {GENERATIONS[generation]}"
            self.notices.append(Notice("old-threshold", detail))
        if trustees.names:
            detail = f"names of {trustees.names} trustees, which no signature covers"
            self.notices.append(Notice("unbound-names", detail))
        sizes = [
            f"{part.threshold} of {part.size}" if part.size > 1 else "1" for part in trustees.parts
        ]
        self.parts.append(f"trustees: {' and '.join(sizes)}")

    def _ballots(self, archive: Archive, election: Election, credentials: Credentials) -> Sums:
        box = Box(archive, election, credentials)
        with self._step("ballot-canonical", *_BALLOTS):
            for done, total, failures in box.verify():
                self.progress("ballots", done, total)
                for failure in failures:
                    self._fail(failure)
            self.notices += box.notices()
        for name, count in box.checked().items():
            self._did(name, count)
        for check, kinds in _KINDS.items():
            if not any(question.kind in kinds for question in election.questions):
                self._absent("no question has such proofs", check)
        if not any(question.blank for question in election.questions):
            self._absent("no question has a blank vote", "blank-proof")
        if not box.events:
            self._absent("there are no ballots", *_SECTIONS["Ballots"], *_SECTIONS["Answers"])
        if not archive.kind("EndBallots"):
            self.ledger.block("the ballot box is still open", *_AFTER_BALLOTS)
        self.parts.append(
            f"{len(box.events)} ballots, {box.sums.counted} counted, "
            f"of {len(credentials)} credentials"
        )
        return box.sums

    def _count(self, archive: Archive, election: Election, trustees: Trustees, sums: Sums) -> None:
        """From the encrypted tally to the result, as far as the archive goes."""
        events = archive.kind("EncryptedTally")
        if not events:
            self.ledger.block("the archive ends before the tally", *_AFTER_BALLOTS)
            return
        tally: list[Ciphertexts] | None = None
        with self._step("encrypted-tally", *ids("Shuffles", "Decryption", "Result")):
            tally = read_tally(archive.body(events[0].data[0]), election)
        with self._step("tally-num", "belenios.tally-weight"):
            count, weight = read_sized(archive.body(events[0].data[1]), election)
            self._did("tally-num")
            self._did("tally-weight")
            if count != sums.counted:
                reason = f"{count} ballots, {sums.counted} expected"
                self._fail(Failed("tally-num", f"num_tallied: {reason}"))
            if weight != sums.weight:
                self._fail(Failed("tally-weight", f"total_weight: {weight}, not {sums.weight}"))
        if tally is None:
            return
        with self._step("encrypted-tally"):
            self._did("encrypted-tally", sum(map(len, tally)))
            if election.mixed and sums.weighted:
                raise Failed("encrypted-tally", "weights in an election with rankings")
            for question in check_tally(tally, sums):
                detail = f"encrypted_tally[{question}]: ciphertexts in another order than usual"
                self.notices.append(Notice("tally-order", detail))
        if sums.counted == 1:
            self.notices.append(Notice("revealed-ballot", "the tally is of one ballot alone"))
        shuffled = self._shuffles(archive, election, trustees, tally)
        if shuffled is not None:
            self._decryptions(archive, election, trustees, shuffled)

    def _shuffles(
        self, archive: Archive, election: Election, trustees: Trustees, tally: list[Ciphertexts]
    ) -> list[Ciphertexts] | None:
        """The tally with the shuffled lists in it; None as long as there are more to come."""
        events, ended = archive.kind("Shuffle"), bool(archive.kind("EndShuffles"))
        later = [*ids("Decryption"), "belenios.result"]
        if not election.mixed:
            if events or ended:
                reason = "shuffles in an election without rankings"
                self._fail(Failed("archive-order", reason))
            self._absent("no question is shuffled", *_SECTIONS["Shuffles"])
            return tally
        lists = [tally[i] for i in election.mixed]
        for done, event in enumerate(events):
            self.progress("shuffles", done, len(events))
            name = f"shuffle {done + 1}"
            outputs = None
            with self._step("shuffle-proof", *later):
                owner = self._owner(event, trustees, "shuffle-owner", name)
                data = archive.body(event.data[0])
                value = owned_message(
                    data, election, trustees.owners[owner - 1], "shuffle", "shuffle-proof", name
                )
                outputs = check_shuffle(value, election, lists, name)
                self._did("shuffle-proof", len(outputs))
            if outputs is None:
                return None
            lists = outputs
        further = archive.kind("PartialDecryption") or archive.kind("Result")
        if not ended and not further:
            reason = "the archive ends before the end of the shuffles"
            self.ledger.block(reason, *ids("Shuffles"), *later)
            return None
        self._did("shuffle-missing")
        if not ended:
            self._fail(Failed("archive-order", "decryption before the end of the shuffles"))
        if not events:
            self._fail(Failed("shuffle-missing", "nobody shuffled the rankings"))
            self._absent("there is no shuffle", "shuffle-owner", "shuffle-proof")
        owners = sorted({event.owner for event in events})
        self.parts.append(f"shuffled by trustees {', '.join(map(str, owners)) or '(none)'}")
        mixed = dict(zip(election.mixed, lists, strict=True))
        return [mixed.get(i, part) for i, part in enumerate(tally)]

    def _owner(self, event: Event, trustees: Trustees, check: str, name: str) -> int:
        self._did(check)
        if not 1 <= event.owner <= len(trustees.owners):
            raise Failed(check, f"{name}: there is no trustee {event.owner}")
        return event.owner

    def _decryptions(
        self, archive: Archive, election: Election, trustees: Trustees, tally: list[Ciphertexts]
    ) -> None:
        ledger, events = self.ledger, archive.kind("PartialDecryption")
        shares: list[Share] = []
        invalid: list[Failed] = []
        seen: set[int] = set()
        for done, event in enumerate(events):
            self.progress("partial decryptions", done, len(events))
            name = f"partial decryption {done + 1}"
            with self._step("partial-decryption"):
                owner = self._owner(event, trustees, "partial-decryption-owner", name)
                if owner in seen:
                    raise Failed("partial-decryption-owner", f"{name}: a second of {owner}")
                seen.add(owner)
                data = archive.body(event.data[0])
                self._did("partial-decryption")
                try:
                    shares.append(check_share(data, election, trustees, owner, tally))
                except Failed as error:
                    if trustees.parts[trustees.owners[owner - 1].part].size == 1:
                        raise
                    invalid.append(error)
        missing = missing_shares(trustees, shares)
        results = archive.kind("Result")
        alone = [part for part in trustees.parts if part.size == 1]
        checks = ["partial-decryption-missing"] if alone else []
        if not alone:
            self._absent("no trustee decrypts alone", "partial-decryption-missing")
        if len(alone) < len(trustees.parts):
            checks.append("partial-decryption-threshold")
        else:
            self._absent("there is no threshold", "partial-decryption-threshold")
        for failure in invalid:
            self.notices.append(Notice("invalid-partial-decryption", str(failure)))
        if missing and not results:
            reason = f"the archive ends before: {'; '.join(text for _, text in missing)}"
            ledger.block(reason, *ids("Decryption", "Result"))
            return
        for check in checks:
            self._did(check)
        for check, text in missing:
            self._fail(Failed(check, text))
        if missing:
            for failure in invalid:
                self._fail(failure)
            ledger.block("too few partial decryptions are valid", "belenios.result")
        elif not results:
            ledger.block("the archive ends before the result", "belenios.result")
        else:
            self._result(archive, election, tally, combine(trustees, shares, election.codec))

    def _result(
        self, archive: Archive, election: Election, tally: list[Ciphertexts], factors: Elements
    ) -> None:
        with self._step("result"):
            entries = read_result(archive.body(archive.kind("Result")[0].data[0]))
            odd = check_result(entries, election, tally, factors)
            self._did("result", sum(map(len, tally)))
            if odd:
                detail = f"{len(odd)} plaintexts are not encoded as usual, {odd[0]} first"
                self.notices.append(Notice("plaintext-encoding", detail))
