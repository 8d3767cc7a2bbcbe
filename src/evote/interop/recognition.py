"""Whose record is this? Other systems' records by what their directories hold.

A system joins by one line of `SYSTEMS`. A native record is none of them, and `evote.verify` audits
it; nobody asks here first, so that a stray file cannot hide one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from evote._pool import Workers
from evote.errors import ParameterError
from evote.interop import swisspost, verificatum
from evote.interop._reports import ForeignReport

__all__ = ["SYSTEMS", "Options", "System", "audit", "recognise"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What `evote verify` was asked for besides the path; systems refuse what they do not know.

    Attributes:
        protinfo: a file of parameters that is not where the record is.
        session: of several, the one to verify.
        expect: the digest of the file of parameters, as published elsewhere; hex.
        jobs: processes, or an executor.
        progress: called with what is being done, how much is done, and of how much.
    """

    protinfo: Path | None = None
    session: str | None = None
    expect: str | None = None
    jobs: Workers = 1
    progress: Callable[[str, int, int], None] | None = None


class _Audit(Protocol):
    def __call__(self, path: Path, options: Options) -> ForeignReport: ...


@dataclass(frozen=True, slots=True)
class System:
    """Another system: its name, whether a path is a record of its, and the audit of one."""

    name: str
    recognises: Callable[[Path], bool]
    audit: _Audit


def _is_verificatum(path: Path) -> bool:
    return verificatum.is_verificatum(path) or verificatum.is_session(path)


def _audit_verificatum(path: Path, options: Options) -> ForeignReport:
    return verificatum.audit(
        path,
        protinfo=options.protinfo,
        session=options.session,
        expect_protinfo=options.expect,
        jobs=options.jobs,
        progress=options.progress,
    )


def _audit_swisspost(path: Path, options: Options) -> ForeignReport:
    if options.session is not None:
        raise ParameterError("a file of Swiss Post has no sessions")
    return swisspost.audit(
        path, expect_digest=options.expect, jobs=options.jobs, progress=options.progress
    )


SYSTEMS = (
    System("verificatum", _is_verificatum, _audit_verificatum),
    System("swisspost", swisspost.is_swisspost, _audit_swisspost),
)


def recognise(path: Path | str) -> System | None:
    """The system whose record a path is; None for a native record, or none at all."""
    path = Path(path)
    if (path / "manifest.json").exists():
        return None
    return next((system for system in SYSTEMS if system.recognises(path)), None)


def audit(path: Path | str, options: Options) -> ForeignReport:
    """Verify another system's record.

    Raises:
        ParameterError, DecodingError: no system knows it, or an option does not fit. Never
            because of what is wrong with a record.
    """
    if options.protinfo is not None:  # whoever names it knows what the rest must be
        return _audit_verificatum(Path(path), options)
    system = recognise(path)
    if system is None:
        raise ParameterError("no record of a known system")
    return system.audit(Path(path), options)
