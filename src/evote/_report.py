"""What an audit found: checks, findings, and the report with its verdict and exit code.

A private sibling of `verify`, which is the public path to all of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple, NoReturn

from evote.election import Manifest
from evote.encoding import JSON, canonical_json, encode_hex
from evote.errors import EvoteError, ParameterError, VerificationError
from evote.policies import Counts
from evote.tally import Result, result_lines

__all__ = ["CHECKS", "PHASES", "Check", "Finding", "Ledger", "Notice", "Outcome", "Report"]

PHASES = ("setup", "ceremony", "ready", "voting", "sealed", "tallied", "finished")

_SHOWN = 8  # failures spelled out per check; the others are counted


class Outcome(StrEnum):
    """The four states of a check. Not checked is never success."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_APPLICABLE = "not applicable"
    NOT_CHECKED = "not checked"


class Check(NamedTuple):
    """A check: where it is specified, and the phase from which every record must pass it.

    A pin has no phase: it is required when the auditor asks for it.
    """

    reference: str
    phase: str | None


def _checks(reference: str, phase: str | None, *names: str) -> dict[str, Check]:
    return {name: Check(f"record-format, {reference}", phase) for name in names}


# Stable ids, in the order of a report. They are part of the interface.
CHECKS: Mapping[str, Check] = {
    **_checks("Files", "setup", "record.files"),
    **_checks("Manifest", "setup", "manifest.form"),
    **_checks("Manifest", None, "manifest.digest"),
    **_checks("Groups", "setup", "group.parameters"),
    **_checks(
        "Ceremony",
        "ready",
        "ceremony.commitments",
        "ceremony.proofs",
        "ceremony.complaints",
        "ceremony.confirmations",
    ),
    **_checks("Roll", "ready", "roll.form", "roll.keys", "roll.signatures"),
    **_checks("Board", "voting", "board.checkpoint", "board.entries", "board.root", "board.tiles"),
    **_checks("Board", None, "board.witnesses", "board.receipts", "board.evidence"),
    **_checks("Identifiers", "voting", "election.id"),
    **_checks("Entries", "voting", "open.signatures"),
    **_checks(
        "Ballots",
        "voting",
        "ballots.form",
        "ballots.digests",
        "ballots.credentials",
        "ballots.signatures",
        "ballots.proofs",
        "ballots.unique",
        "ballots.nonces",
    ),
    **_checks("Openings", "voting", "spoiled.openings"),
    **_checks("Rulings", "voting", "policy.signatures"),
    **_checks("Counted set", "voting", "policy.counted"),
    **_checks("Seal", "sealed", "seal.signatures", "seal.counted"),
    **_checks(
        "Mixes",
        "tallied",
        "mix.units",
        "mix.form",
        "mix.signatures",
        "mix.proofs",
        "mix.fresh",
    ),
    **_checks("Tally", "tallied", "tally.form", "tally.sums"),
    **_checks("Shares", "finished", "shares.form", "shares.proofs", "shares.quorum"),
    **_checks("Result", "finished", "result.form", "result.votes", "result.totals"),
    **_checks("Phases", "setup", "record.complete"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What became of one check: how many items it looked at, and how many of them fail."""

    check: str
    reference: str
    outcome: Outcome
    checked: int
    failed: int
    detail: str

    def to_json(self) -> dict[str, JSON]:
        """The object of a report."""
        return {
            "check": self.check,
            "reference": self.reference,
            "outcome": str(self.outcome),
            "checked": self.checked,
            "failed": self.failed,
            "detail": self.detail,
        }


class Notice(NamedTuple):
    """Something that is no failure, and that a reader should know: an id, and what it is here."""

    id: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The outcome of an audit: one finding for every check, in the order of `CHECKS`.

    `required` names the checks that had to be done. `notices` are no failures, such as
    `unique-weight`. `counts` say what became of the ballots, where that is known. Two audits of one
    record give the same bytes.
    """

    findings: tuple[Finding, ...]
    required: frozenset[str]
    readable: bool
    phase: str
    required_phase: str
    manifest: Manifest | None
    manifest_digest: bytes | None
    election_id: bytes | None
    result: Result | None
    notices: tuple[Notice, ...] = ()
    counts: tuple[Counts, ...] = ()

    def __bool__(self) -> NoReturn:
        raise TypeError("a report is not a truth value: ask .ok or call .raise_for_failure()")

    @property
    def ok(self) -> bool:
        """Whether every required check was done, and nothing failed."""
        return self.exit_code == 0

    @property
    def exit_code(self) -> int:
        """0 verified, 1 something failed, 3 something required was not checked, 4 unreadable."""
        if not self.readable:
            return 4
        if self.failures():
            return 1
        return 3 if self.unchecked() else 0

    def finding(self, check: str) -> Finding:
        """The finding of one check."""
        for finding in self.findings:
            if finding.check == check:
                return finding
        raise ParameterError(f"there is no check {check!r}")

    def failures(self) -> tuple[Finding, ...]:
        """The checks that failed."""
        return tuple(f for f in self.findings if f.outcome is Outcome.FAILED)

    def unchecked(self) -> tuple[Finding, ...]:
        """The checks that had to be done and could not be."""
        return tuple(
            f
            for f in self.findings
            if f.outcome is Outcome.NOT_CHECKED and f.check in self.required
        )

    def raise_for_failure(self) -> None:
        """Raise unless `ok`.

        Raises:
            VerificationError: names the first check that failed or was not done, and why.
        """
        if self.ok:
            return
        finding = (*self.failures(), *self.unchecked())[0]
        raise VerificationError(f"{finding.check} {finding.outcome}: {finding.detail}")

    @property
    def verdict(self) -> str:
        """One line for people. It says what was not pinned from outside, and whom it trusts."""
        if not self.readable:
            return "unreadable: this is not a record that can be audited"
        failures, unchecked = self.failures(), self.unchecked()
        done = sum(f.outcome in (Outcome.PASSED, Outcome.FAILED) for f in self.findings)
        if failures:
            words = f"FAILED: {_count(len(failures), 'check')} of {done} failed"
        elif unchecked:
            words = f"incomplete: nothing failed, {_count(len(unchecked), 'check')} not done"
        else:
            words = f"verified: all {done} checks passed, phase {self.phase}"
        if self.manifest is not None:
            if self.manifest.credentials == "drawn":
                alone = len(self.manifest.registrars) == 1
                reason = "there is only one" if alone else "one of them draws the codes"
                words += f"; registrar can impersonate: {reason}"
            if len(self.manifest.mixers) == 1:
                words += "; mix server can tell whose ballot is whose: there is only one"
        if self.notices:
            words += f"; warnings: {', '.join(dict.fromkeys(n.id for n in self.notices))}"
        unpinned = [
            what
            for check, what in (("manifest.digest", "manifest"), ("board.witnesses", "witnesses"))
            if check not in self.required
        ]
        if unpinned:
            words = f"self-consistent, not pinned: {words}; not pinned: {', '.join(unpinned)}"
        return words

    def to_text(self) -> str:
        """The report for people; ends in a line feed."""
        lines = []
        if self.manifest is not None:
            lines.append(f"Election      {self.manifest.title}")
        if self.manifest_digest is not None:
            lines.append(f"Manifest      {encode_hex(self.manifest_digest)}")
        if self.election_id is not None:
            lines.append(f"Election id   {encode_hex(self.election_id)}")
        lines += [f"Phase         {self.phase} (required: {self.required_phase})", ""]
        for finding in self.findings:
            count = f"{finding.checked} checked" if finding.checked else ""
            count += f", {finding.failed} failed" if finding.failed else ""
            lines.append(f"{finding.outcome:<15} {finding.check:<23} {count}".rstrip())
            if finding.detail:
                lines += [f"{'':<16}{part}" for part in finding.detail.split("\n")]
        lines += [f"{'warning':<15} {notice.id:<23} {notice.detail}" for notice in self.notices]
        lines += ["", *self._count_lines(), *self._result_lines(), self.verdict, ""]
        return "\n".join(lines)

    def _count_lines(self) -> Iterator[str]:
        """What became of the ballots, in all; `evote board counts` has it by district and style."""
        if not self.counts or not self.ok:
            return
        names = ["submitted", "cast", "spoiled", "counted", "superseded", "struck", "unconfirmed"]
        total = {name: sum(getattr(row, name) for row in self.counts) for name in names}
        yield "{submitted} ballots submitted = {cast} cast + {spoiled} spoiled".format(**total)
        words = "{cast} cast = {counted} counted + {superseded} superseded + {struck} struck"
        yield (words + " + {unconfirmed} unconfirmed").format(**total)
        yield ""

    def _result_lines(self) -> Iterator[str]:
        if self.result is None or self.manifest is None or not self.ok:
            return
        for heading, votes, rest in result_lines(self.manifest, self.result):
            yield heading
            lines = [*votes, *rest]
            width = max(len(title) for title, _ in lines)
            yield from (f"  {title:<{width}}  {value:>8}" for title, value in lines)
            yield ""

    def to_json(self) -> bytes:
        """The report as canonical JSON; ends in a line feed."""
        value: dict[str, JSON] = {
            "format": "evote/report",
            "version": 1,
            "verdict": self.verdict,
            "exit_code": self.exit_code,
            "phase": self.phase,
            "required_phase": self.required_phase,
            "title": self.manifest.title if self.manifest else None,
            "manifest": encode_hex(self.manifest_digest) if self.manifest_digest else None,
            "election": encode_hex(self.election_id) if self.election_id else None,
            "findings": [finding.to_json() for finding in self.findings],
            "warnings": [{"id": notice.id, "detail": notice.detail} for notice in self.notices],
            "counts": [row.to_json() for row in self.counts] if self.ok else [],
            "result": self._result_json(),
        }
        return canonical_json(value) + b"\n"

    def _result_json(self) -> JSON:
        """Only of a record that verifies: a total that was not checked is not repeated."""
        if self.result is None or not self.ok:
            return None
        summed: list[JSON] = []
        for row in self.result.contests:
            value: dict[str, JSON] = {
                "id": row.id,
                "ballots": row.ballots,
                "weight": row.weight,
                "votes": list(row.votes),
                "blank": row.blank,
                "undervotes": row.undervotes,
            }
            summed.append(value | ({"districts": list(row.districts)} if row.districts else {}))
        return summed + [row.to_json() for row in self.result.mixed]


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


class Ledger:
    """Collects what an audit finds, check by check: of the failures the first, and how many.

    `checks` are those of native records, or of another system.
    """

    def __init__(
        self, required_phase: str, pins: Iterable[str], checks: Mapping[str, Check] = CHECKS
    ) -> None:
        if required_phase not in PHASES:
            raise ParameterError(f"phase: one of {', '.join(PHASES)} expected")
        self.required_phase = required_phase
        highest = PHASES.index(required_phase)
        self.required: frozenset[str] = frozenset(
            name
            for name, check in checks.items()
            if check.phase and PHASES.index(check.phase) <= highest
        ) | frozenset(pins)
        self._checks = checks
        self._checked: dict[str, int] = {}
        self._failed: dict[str, int] = {}
        self._details: dict[str, list[str]] = {}
        self._blocked: dict[str, str] = {}
        self._absent: dict[str, str] = {}
        self._notes: dict[str, str] = {}

    def did(self, check: str, count: int = 1) -> None:
        """`count` items were looked at; those that fail are reported besides."""
        assert check in self._checks
        self._checked[check] = self._checked.get(check, 0) + count

    def fail(self, check: str, reason: str | EvoteError) -> None:
        """One item fails, for a reason that names the place."""
        assert check in self._checks
        self._failed[check] = self._failed.get(check, 0) + 1
        details = self._details.setdefault(check, [])
        if len(details) < _SHOWN:
            details.append(_printable(str(reason)))

    def block(self, reason: str, *checks: str) -> None:
        """These checks, or some item of theirs, could not be done. The first reason stays."""
        for check in checks:
            self._blocked.setdefault(check, reason)

    def absent(self, reason: str, *checks: str) -> None:
        """These checks have no object in this record, such as openings where nothing is spoiled."""
        for check in checks:
            self._absent[check] = reason

    def note(self, check: str, text: str) -> None:
        """What a reader should know of a check that passed, such as who was absent."""
        self._notes[check] = text

    def failures(self, *checks: str) -> int:
        """How many items of these have failed so far."""
        return sum(self._failed.get(check, 0) for check in checks)

    def failed(self, *checks: str) -> bool:
        """Whether one of these failed so far."""
        return any(self._failed.get(check) for check in checks)

    @contextmanager
    def guard(self, check: str, *blocks: str) -> Iterator[None]:
        """What goes wrong inside fails `check`, and leaves `blocks` not checked.

        Bugs too: an exception that is not an `EvoteError` never lets a record pass.
        """
        try:
            yield
        except EvoteError as error:
            self.fail(check, error)
        except Exception as error:
            self.fail(check, f"internal error: {type(error).__name__}: {error}")
        else:
            return
        self.block(f"{check} failed", *blocks)

    def findings(self) -> tuple[Finding, ...]:
        """One finding for each check, in their order."""
        return tuple(self._finding(name) for name in self._checks)

    def _finding(self, name: str) -> Finding:
        failed, details = self._failed.get(name, 0), self._details.get(name, [])
        checked = max(self._checked.get(name, 0), failed)
        detail = "\n".join(details)
        if failed > len(details):
            detail += f"\nand {failed - len(details)} more"
        if failed:
            outcome = Outcome.FAILED
        elif name in self._blocked:
            outcome, detail = Outcome.NOT_CHECKED, self._blocked[name]
        elif name in self._checked:
            outcome, detail = Outcome.PASSED, self._notes.get(name, "")
        elif name in self._absent:
            outcome, detail = Outcome.NOT_APPLICABLE, self._absent[name]
        elif name in self.required:
            outcome, detail = Outcome.NOT_CHECKED, "the record does not reach this"
        else:
            outcome = Outcome.NOT_APPLICABLE
        return Finding(
            check=name,
            reference=self._checks[name].reference,
            outcome=outcome,
            checked=checked,
            failed=failed,
            detail=detail,
        )


def _printable(text: str) -> str:
    """A reason as one line of printable characters, whatever a foreign name put into it."""
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text)
