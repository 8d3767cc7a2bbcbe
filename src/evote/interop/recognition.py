"""Whose record is this? Other systems' records by what their directories hold.

A system joins by one line of `SYSTEMS`. A native record is none of them, and `evote.verify` audits
it; nobody asks here first, so that a stray file cannot hide one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from evote._files import read_file
from evote._pool import Workers
from evote.election import MAX_MANIFEST
from evote.encoding import parse_json
from evote.errors import DecodingError, ParameterError
from evote.interop import belenios, electionguard, verificatum
from evote.interop._reports import ForeignReport

__all__ = ["SYSTEMS", "Options", "System", "audit", "recognise"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What `evote verify` was asked for besides the path; systems refuse what they do not know.

    Attributes:
        protinfo: a file of parameters that is not where the record is.
        session: of several, the one to verify.
        expect: the digest of the file of parameters, or of the manifest, as published elsewhere.
        extends: an earlier copy, which the record must continue.
        jobs: processes, or an executor.
        progress: called with what is being done, how much is done, and of how much.
    """

    protinfo: Path | None = None
    session: str | None = None
    expect: str | None = None
    extends: Path | None = None
    jobs: Workers = 1
    progress: Callable[[str, int, int], None] | None = None


class _Audit(Protocol):
    def __call__(self, path: Path, options: Options) -> ForeignReport: ...


@dataclass(frozen=True, slots=True)
class System:
    """Another system: its name, whether a path is a record of its, and the audit of one.

    Its records may have a manifest.json only if it says so: otherwise that is a record of ours.
    """

    name: str
    recognises: Callable[[Path], bool]
    audit: _Audit
    has_manifest: bool = False


def _is_verificatum(path: Path) -> bool:
    return verificatum.is_verificatum(path) or verificatum.is_session(path)


def _audit_verificatum(path: Path, options: Options) -> ForeignReport:
    if options.extends is not None:
        raise ParameterError("a proof directory has no earlier copy that it extends")
    return verificatum.audit(
        path,
        protinfo=options.protinfo,
        session=options.session,
        expect_protinfo=options.expect,
        jobs=options.jobs,
        progress=options.progress,
    )


def _audit_electionguard(path: Path, options: Options) -> ForeignReport:
    if options.session is not None or options.extends is not None:
        raise ParameterError("a record of ElectionGuard has no sessions, and extends no other")
    return electionguard.audit(
        path, expect_manifest=options.expect, jobs=options.jobs, progress=options.progress
    )


def _audit_belenios(path: Path, options: Options) -> ForeignReport:
    if options.session is not None:
        raise ParameterError("an archive of Belenios has no sessions")
    return belenios.audit(
        path,
        extends=options.extends,
        expect=options.expect,
        jobs=options.jobs,
        progress=options.progress,
    )


SYSTEMS = (
    System("verificatum", _is_verificatum, _audit_verificatum),
    System("electionguard", electionguard.is_electionguard, _audit_electionguard, True),
    System("belenios", belenios.is_belenios, _audit_belenios),
)


def _says_ours(path: Path) -> bool:
    """Whether a manifest says that it is one of ours."""
    try:
        value = parse_json(read_file(path, MAX_MANIFEST))
    except DecodingError:
        return False
    return type(value) is dict and value.get("format") == "evote/manifest"


def recognise(path: Path | str) -> System | None:
    """The system whose record a path is; None for a native record, or none at all."""
    path = Path(path)
    manifest = path / "manifest.json"
    if not manifest.exists():
        return next((system for system in SYSTEMS if system.recognises(path)), None)
    if _says_ours(manifest):
        return None
    others = (system for system in SYSTEMS if system.has_manifest)
    return next((system for system in others if system.recognises(path)), None)


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
