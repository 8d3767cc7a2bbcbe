"""Reports on the records of other systems: the findings of `evote verify`, and its exit codes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import TypeAlias

from evote._pool import Workers
from evote._report import Check, Ledger, Notice, Outcome, Report
from evote.encoding import JSON, canonical_json, decode_hex
from evote.errors import EvoteError, ParameterError

__all__ = [
    "Findings",
    "ForeignReport",
    "Notice",
    "Progress",
    "check_jobs",
    "checks_of",
    "decode_pin",
    "silent",
]

Progress: TypeAlias = Callable[[str, int, int], None]
"""Called with what is being done, how much is done, and of how much."""


def silent(what: str, done: int, total: int) -> None:
    """No progress to show."""


def check_jobs(jobs: Workers) -> None:
    """Refuse what is neither a number of processes nor an executor."""
    if not isinstance(jobs, Executor) and (type(jobs) is not int or jobs < 1):
        raise ParameterError("jobs: at least 1, or an executor, expected")


def decode_pin(expected: bytes | str | None, name: str) -> bytes | None:
    """A digest as it may be given: 32 bytes or hex; None if none is."""
    if isinstance(expected, str):
        return decode_hex(expected, 32, where=name)
    if expected is not None and len(expected) != 32:
        raise ParameterError(f"{name}: 32 bytes expected")
    return expected


class Findings:
    """A ledger of checks whose names go without their system's prefix."""

    def __init__(self, ledger: Ledger, prefix: str) -> None:
        self.ledger = ledger
        self._prefix = prefix

    def did(self, check: str, count: int = 1) -> None:
        self.ledger.did(self._prefix + check, count)

    def fail(self, check: str, reason: str | EvoteError) -> None:
        self.ledger.fail(self._prefix + check, reason)

    def failed(self, check: str) -> bool:
        return self.ledger.failed(self._prefix + check)

    def expect(self, check: str, holds: bool, reason: str) -> None:
        """One item of a check, and why it fails where it does not hold."""
        self.did(check)
        if not holds:
            self.fail(check, reason)

    def block(self, reason: str, *checks: str) -> None:
        self.ledger.block(reason, *(self._prefix + check for check in checks))

    def absent(self, reason: str, *checks: str) -> None:
        self.ledger.absent(reason, *(self._prefix + check for check in checks))


def checks_of(
    system: str, sections: Mapping[str, tuple[str, ...]], pins: Iterable[str] = ()
) -> dict[str, Check]:
    """The checks of a system, `system.name`, by the sections of its page in docs/.

    Pins are required when the auditor asks for them.
    """
    return {
        f"{system}.{name}": Check(f"{system}, {section}", None if name in pins else "setup")
        for section, names in sections.items()
        for name in names
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignReport(Report):
    """The outcome of an audit of another system's record.

    Attributes:
        system: whose record it is, and which version of it.
        parts: what was audited, such as the sessions of a mix-net.
        unpinned: what nothing from outside was compared with.
    """

    system: str
    parts: tuple[str, ...]
    unpinned: tuple[str, ...]

    @classmethod
    def of(
        cls,
        ledger: Ledger,
        system: str,
        *,
        readable: bool = True,
        parts: Iterable[str],
        notices: Iterable[Notice],
        unpinned: Iterable[str],
    ) -> ForeignReport:
        """The report of a ledger that is complete; the other attributes are of our own records."""
        return cls(
            findings=ledger.findings(),
            required=ledger.required,
            readable=readable,
            phase="finished",
            required_phase="finished",
            manifest=None,
            manifest_digest=None,
            election_id=None,
            result=None,
            system=system,
            parts=tuple(parts),
            notices=tuple(notices),
            unpinned=tuple(unpinned),
        )

    @property
    def verdict(self) -> str:
        """One line for people."""
        if not self.readable:
            return "unreadable: this is not a record that can be audited"
        failures, unchecked = self.failures(), self.unchecked()
        done = sum(f.outcome in (Outcome.PASSED, Outcome.FAILED) for f in self.findings)
        if failures:
            words = f"FAILED: {len(failures)} of {done} checks failed"
        elif unchecked:
            words = f"incomplete: nothing failed, {len(unchecked)} checks not done"
        else:
            words = f"verified: all {done} checks passed"
        if self.notices:
            names = dict.fromkeys(notice.id for notice in self.notices)
            words += f"; warnings: {', '.join(names)}"
        if self.unpinned:
            what = ", ".join(self.unpinned)
            words = f"self-consistent, not pinned: {words}; not pinned: {what}"
        return words

    def to_text(self) -> str:
        """The report for people; ends in a line feed."""
        lines = [f"System        {self.system}"]
        lines += [f"{'Audited' if i == 0 else '':<14}{part}" for i, part in enumerate(self.parts)]
        lines.append("")
        names = [*(f.check for f in self.findings), *(notice.id for notice in self.notices)]
        width = max(map(len, names), default=0)
        for finding in self.findings:
            count = f"{finding.checked} checked" if finding.checked else ""
            count += f", {finding.failed} failed" if finding.failed else ""
            lines.append(f"{finding.outcome:<15} {finding.check:<{width}} {count}".rstrip())
            if finding.detail:
                lines += [f"{'':<16}{part}" for part in finding.detail.split("\n")]
        lines += [
            f"{'warning':<15} {notice.id:<{width}} {notice.detail}" for notice in self.notices
        ]
        lines += ["", self.verdict, ""]
        return "\n".join(lines)

    def to_json(self) -> bytes:
        """The report as canonical JSON; ends in a line feed."""
        value: dict[str, JSON] = {
            "format": "evote/report",
            "version": 1,
            "verdict": self.verdict,
            "exit_code": self.exit_code,
            "system": self.system,
            "parts": list(self.parts),
            "findings": [finding.to_json() for finding in self.findings],
            "warnings": [{"id": notice.id, "detail": notice.detail} for notice in self.notices],
        }
        return canonical_json(value) + b"\n"
