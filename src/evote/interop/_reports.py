"""Reports on the records of other systems: the findings of `evote verify`, and its exit codes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from evote._report import Check, Notice, Outcome, Report
from evote.encoding import JSON, canonical_json

__all__ = ["ForeignReport", "Notice", "checks_of"]


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
