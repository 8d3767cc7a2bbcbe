"""Verify an election of Helios into a report.

Nothing in a record makes an audit raise: what is wrong with it is a failed check, with the place.
A check whose inputs failed or are missing is not checked, which is never success.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from evote._files import shown_path
from evote._pool import Workers, processes
from evote._report import Ledger
from evote.errors import DecodingError, EvoteError, UnsupportedError
from evote.groups import Elements, Group
from evote.interop._reports import Findings, ForeignReport, Notice, check_jobs, checks_of, silent
from evote.interop.helios._ballots import vote_hashes
from evote.interop.helios._box import Box
from evote.interop.helios._election import (
    USUAL,
    Election,
    Trustees,
    read_election,
    read_group,
    read_key,
    read_trustees,
    read_voters,
)
from evote.interop.helios._forms import Failed, unhex_or_base64
from evote.interop.helios._opened import verify_opened, without_opening
from evote.interop.helios._source import Source, open_source
from evote.interop.helios._tally import check_result, verify_decryptions

__all__ = ["CHECKS", "OMITTED", "audit"]

_SECTIONS = {
    "Election": ("election-form", "election-digest", "election-params", "election-public-key"),
    "Trustees": ("trustee-form", "trustee-key-hash", "trustee-pok"),
    "Voters": ("voter-form",),
    "Ballots": (
        "ballot-form",
        "ballot-list",
        "ballot-unknown-voter",
        "ballot-voter-hash",
        "ballot-duplicate-voter",
        "ballot-election-uuid",
        "ballot-election-hash",
        "ballot-hash",
        "ballot-answers",
        "choice",
        "individual-proof",
        "overall-proof",
        "ballot-replay",
        "ballot-last",
    ),
    "Decryption": ("decryption-missing", "decryption-factors", "decryption-proof", "result"),
    "Audited ballots": (
        "audit-form",
        "audit-hash",
        "audit-proof",
        "audit-encryption",
        "audit-cast",
    ),
}
CHECKS = checks_of("helios", _SECTIONS, pins=("election-digest",))
"""Stable ids, in the order of a report."""

OMITTED = (
    ("who may vote, and that nobody voted for them", "the server alone says; ballots are unsigned"),
    ("that proofs are about this election and voter", "their challenges do not hash it"),
    ("when votes were cast", "no hash covers the times, and clocks differ"),
    ("that voters see this record", "the fingerprint and the trackers have to be compared outside"),
    ("ballots that were left out", "voters have to look for their trackers"),
    ("voters_hash, where it is not null", "how it is made is not known; then exit code 3"),
    ("who won, and by which majority", "it is no part of a record"),
)
"""What is not checked, and why."""

_FORM, _DIGEST = "election-form", "election-digest"
_ALL = tuple(name for names in _SECTIONS.values() for name in names if name != _DIGEST)
_BALLOTS, _AUDITS = _SECTIONS["Ballots"], _SECTIONS["Audited ballots"]
_DECRYPTION = _SECTIONS["Decryption"]
_TRUSTEES = _SECTIONS["Trustees"]
_PREFIX = "helios."

_WEAK_FIAT_SHAMIR = (
    "challenges hash the commitments alone: whoever may choose what a proof is about can forge"
    " some, and votes can be copied (docs/helios.md)"
)
_UNBOUND = (
    "no hash covers times of casting, e-mail addresses of trustees, voters without a ballot, and"
    " the randomness of audited ballots; nothing shows who may vote"
)


def audit(
    path: Path | str,
    *,
    expect: str | None = None,
    jobs: Workers = 1,
    progress: Callable[[str, int, int], None] | None = None,
) -> ForeignReport:
    """Verify an election.

    Args:
        path: a directory of the server's files, a zip or tar archive of one, or a bundle.
        expect: the election's fingerprint as published elsewhere: base64 as in Helios, or hex.
        jobs: processes of this machine, or an executor.
        progress: called with what is being done, how much is done, and of how much.

    Raises:
        ParameterError, DecodingError: an argument is wrong, or this is no election of Helios.
            Never because of what is wrong with one.
    """
    check_jobs(jobs)
    expected = None if expect is None else unhex_or_base64(expect)
    source = open_source(path)
    if source is None:
        raise DecodingError("no election of Helios", where=shown_path(path))
    with source.tree:
        run = Run(source, expected, jobs, progress or silent)
        try:
            run.everything()
        except Exception as error:  # a bug never lets a record pass
            run.fail(_FORM, f"internal error: {type(error).__name__}: {error}")
        return run.report()


class Run(Findings):
    """One audit: what was found so far. Names of checks go without their prefix."""

    def __init__(
        self,
        source: Source,
        expected: str | None,
        jobs: Workers,
        progress: Callable[[str, int, int], None],
    ) -> None:
        self.source = source
        self.expected = expected
        self.jobs = jobs
        self.progress = progress
        pins = () if expected is None else (_PREFIX + _DIGEST,)
        super().__init__(Ledger("setup", pins, CHECKS), _PREFIX)
        self.notices: dict[str, str] = {}
        self.parts: list[str] = []
        self.readable = True

    def notice(self, name: str, detail: str) -> None:
        self.notices[name] = detail

    def attempt(self, check: str, action: Callable[[], Any], *blocks: str) -> Any:
        """What the action returns; None if it fails, which fails a check and blocks others."""
        try:
            return action()
        except UnsupportedError as error:
            self.block(str(error), check)
        except Failed as error:
            self.did(error.check)
            self.fail(error.check, error)
        except EvoteError as error:
            if type(error) is EvoteError:  # a worker broke down, which says nothing of the files
                self.block(str(error), check)
            else:
                self.did(check)
                self.fail(check, error)
        self.block(f"{check} failed or was not done", *blocks)
        return None

    # -- the steps ---------------------------------------------------------------------------------

    def everything(self) -> None:
        """All checks, in their order."""
        election = self.attempt(_FORM, self._election, *_ALL[1:])
        if election is None:
            return
        group = self.attempt("election-params", lambda: self._group(election), *_ALL[2:])
        if group is None:
            return
        key = self.attempt(
            "election-public-key",
            lambda: self._key(election, group),
            *_BALLOTS,
            *_DECRYPTION,
            *_AUDITS,
        )
        trustees = self._trustees(election, group, key)
        if key is None:
            return
        voters = self.attempt("voter-form", lambda: self._voters(election))
        box = Box(self, election, key, voters)
        sums = box.count()
        box.histories()
        self._audited(election, key, box)
        self._decrypt(election, trustees, sums, box.counted, box.texts)
        if box.counted == 1:
            self.notice("single-ballot", "the result is the vote of one voter")
        open_ended = [i for i, q in enumerate(election.questions) if q.high is None and q.low]
        if open_ended:
            self.notice("unproven-minimum", f"nothing shows that {open_ended} have enough choices")

    def _election(self) -> Election:
        if self.source.kind == "ballot":
            self._lone_ballot()
            raise UnsupportedError("one audited ballot: its election is not here")
        try:
            part = self.source.part("election")
            if part is None:
                raise DecodingError("file is missing", where="election.json")
            election = read_election(part.data, part.parse(), where=part.name)
        except DecodingError:
            self.readable = False
            raise
        self.did(_FORM)
        if self.expected is not None:
            same = election.digest == self.expected
            self.expect(_DIGEST, same, f"the fingerprint is {election.digest}")
        self.parts.append(f"{election.name[:80]!r}, fingerprint {election.digest}")
        self.notice("weak-fiat-shamir", _WEAK_FIAT_SHAMIR)
        self.notice("unbound-fields", _UNBOUND)
        return election

    def _lone_ballot(self) -> None:
        vote = self.source.lone_ballot()
        self.parts.append(f"an audited ballot of {vote.get('election_uuid')!a:.60}")
        stripped = {name: value for name, value in vote.items() if name != "answers"}
        rows = vote["answers"] if type(vote["answers"]) is list else []
        stripped["answers"] = [without_opening(row) for row in rows]
        js, py = vote_hashes(stripped)
        self.parts.append(f"fingerprint {py} as servers list it, {js} as browsers show it")

    def _group(self, election: Election) -> Group:
        group = read_group(election.key, "election.json: $.public_key")
        self.did("election-params")
        if group.name != USUAL:
            self.notice("unknown-group", f"{group.name}: nothing shows where p, q and g come from")
        if self.jobs != 1:
            pool = processes(self.jobs) if isinstance(self.jobs, int) else self.jobs
            group = group.with_executor(pool)
        return group

    def _key(self, election: Election, group: Group) -> Elements:
        return read_key(group, election.key.get("y"), "election.json: $.public_key.y")

    def _trustees(self, election: Election, group: Group, key: Elements | None) -> Trustees | None:
        reason = "trustees.json is missing"

        def read() -> Trustees | None:
            part = self.source.part("trustees")
            if part is None:
                return None
            trustees = read_trustees(
                election, group, part.parse(), where=part.name, fail=self.fail, did=self.did
            )
            self.did("trustee-form", len(trustees))
            return trustees

        found: Trustees | None = self.attempt("trustee-form", read)
        if found is None:
            self.block(reason, *_TRUSTEES, "election-public-key", *_DECRYPTION)
            return None
        g, c = group.generator, found.challenges
        holds = (g**found.responses).equal_mask(found.commitments * found.keys**c)
        for i, good in enumerate(holds.tolist()):
            if not good:
                self.fail("trustee-pok", f"trustees: $[{i}].pok: the proof does not hold")
        if key is not None:
            same = found.keys.prod() == key
            self.expect("election-public-key", same, "not the product of the trustees' keys")
        return found

    def _voters(self, election: Election) -> dict[str, str] | None:
        pages = self.source.voters()
        if pages is None:
            blocked = ("voter-form", "ballot-unknown-voter", "ballot-voter-hash")
            self.block("voters.json is missing", *blocked)
            return None
        voters = read_voters(election, [(page.name, page.parse()) for page in pages])
        self.did("voter-form", len(voters))
        if election.voters_hash is not None:
            self.block("voters_hash is not null: how it is made is not known", "voter-form")
        return voters

    def _audited(self, election: Election, key: Elements, box: Box) -> None:
        def read() -> Any:
            part = self.source.part("audited_ballots")
            return None if part is None else part.parse()

        before = self.ledger.failures(_PREFIX + "audit-form")
        value = self.attempt("audit-form", read)
        if value is not None:
            self.attempt(
                "audit-form", lambda: verify_opened(self, election, key, box, value), *_AUDITS
            )
        elif self.ledger.failures(_PREFIX + "audit-form") == before:
            self.absent("no audited ballots", *_AUDITS)

    def _decrypt(
        self,
        election: Election,
        trustees: Trustees | None,
        sums: tuple[Elements, Elements] | None,
        counted: int,
        texts: set[str],
    ) -> None:
        result = self.attempt("result", lambda: self.source.part("result"))
        count = f"{counted} ballots, {len(trustees) if trustees else 'no known'} trustees"
        self.parts.append(f"{len(election.questions)} questions, {count}")
        if texts:
            self.parts.append(f"ballots are hashed as {' or '.join(sorted(texts))} texts")
        if trustees is None:
            return
        missing = [t for t, (f, p) in enumerate(trustees.decryptions) if f is None or p is None]
        if len(missing) == len(trustees) and not counted and result is not None and sums:
            self.absent("no ballot, nothing to decrypt", *_DECRYPTION[:3])
            factors: Elements | None = sums[0].group.identity(sums[0].shape)
        elif missing:
            names = ", ".join(f"$[{t}]" for t in missing[:10])
            reason = f"trustees: {names} of {len(trustees)} did not decrypt: all have to"
            if result is None:
                self.block(reason, *_DECRYPTION)
            else:
                self.expect("decryption-missing", False, reason)
                self.block(reason, *_DECRYPTION[1:])
            return
        elif sums is None:
            self.did("decryption-missing", len(trustees))
            self.block("the ballots do not give a sum", *_DECRYPTION[1:])
            return
        else:
            self.did("decryption-missing", len(trustees))
            factors = self.attempt(
                "decryption-factors",
                lambda: verify_decryptions(election, trustees, sums[0], self.fail, self.did),
                *_DECRYPTION[1:],
            )
        if result is None:
            self.block("result.json is missing", "result")
        elif factors is not None and sums is not None:
            self.attempt(
                "result", lambda: self._result(election, sums[1], factors, result, counted)
            )

    def _result(
        self, election: Election, sums: Elements, factors: Elements, part: Any, counted: int
    ) -> bool:
        wrong = check_result(election, sums, factors, part.parse(), counted, where=part.name)
        self.did("result", election.answers)
        for reason in wrong:
            self.fail("result", reason)
        return True

    def report(self) -> ForeignReport:
        unread = [shown_path(name) for name in self.source.unread]
        parts = list(self.parts)
        if unread:
            more = ", ..." if len(unread) > 5 else ""
            parts.append(f"not looked at: {', '.join(unread[:5])}{more}")
        return ForeignReport.of(
            self.ledger,
            "Helios 3 or 4",
            readable=self.readable,
            parts=parts,
            notices=(Notice(name, detail) for name, detail in self.notices.items()),
            unpinned=(*(("election",) if self.expected is None else ()), "voters"),
        )
