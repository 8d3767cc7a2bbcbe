"""The table of what is verified of whose records, which docs/interop.md repeats."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from evote._report import Check

__all__ = ["Support", "matrix"]


class Support(NamedTuple):
    """What is done for some versions of a system: its checks, and what is not done, and why."""

    system: str
    versions: str
    checks: Mapping[str, Check]
    omitted: tuple[tuple[str, str], ...] = ()


def matrix(supported: Iterable[Support]) -> str:
    """A summary, then what is done and not done for each system; Markdown, ends in a line feed."""
    rows = list(supported)
    lines = ["| system | versions | checks done | not done |", "|---|---|---|---|"]
    lines += [f"| {s.system} | {s.versions} | {len(s.checks)} | {len(s.omitted)} |" for s in rows]
    for s in rows:
        lines += ["", f"## {s.system} {s.versions}", "", "| done | reference |", "|---|---|"]
        for name, check in s.checks.items():
            asked = "" if check.phase else "; when asked for"
            lines.append(f"| `{name}` | {check.reference}{asked} |")
        if s.omitted:
            lines += ["", "| not done | why |", "|---|---|"]
            lines += [f"| {what} | {why} |" for what, why in s.omitted]
    return "\n".join(lines) + "\n"
