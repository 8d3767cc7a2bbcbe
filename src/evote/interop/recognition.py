"""Whose record is this? Other systems' records by what their directories hold.

A system joins by one entry of `SYSTEMS` and its lines of `supported`. A native record is none of
them, and `evote.verify` audits it; nobody asks here first, so that a stray file cannot hide one.

The readers of a system are many modules: they are imported where its files have been recognised.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from evote._archives import open_tree
from evote._files import shown_path
from evote._pool import Workers
from evote._report import CHECKS
from evote._trees import SingleFile, Tree
from evote.errors import DecodingError, ParameterError
from evote.interop import _marks, _native
from evote.interop._inspection import Inspection, describe
from evote.interop._reports import ForeignReport
from evote.interop._support import Support, matrix

__all__ = [
    "SYSTEMS",
    "Options",
    "System",
    "audit",
    "inspect",
    "recognise",
    "support_matrix",
    "supported",
]


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
    """Another system: its name, whether a tree is a record of its, and the audit of one.

    Attributes:
        has_manifest: whether its records have a manifest.json. Beside one that does not say whose
            it is only such systems are looked for: a stray file must not hide a record of ours.
        looked_for: the files by which it is known, for people.
        inspect: what a directory, archive or file is, or None if it is not of this system; without
            it, `evote inspect` says no more than the name and the size.
    """

    name: str
    recognises: Callable[[Tree], bool]
    audit: _Audit
    looked_for: str = "its files"
    inspect: Callable[[Tree], Inspection | None] | None = None
    has_manifest: bool = False


def _is_profile(tree: Tree) -> bool:
    if not (_native.is_native(tree) and _native.names_belenios(tree)):
        return False
    from evote.interop.belenios import profile

    return profile.is_record(tree)


def _audit_profile(path: Path, options: Options) -> ForeignReport:
    from evote.interop.belenios import profile

    if options.session is not None:
        raise ParameterError("a record of the profile belenios has no sessions")
    return profile.audit_record(
        path,
        extends=options.extends,
        expect_manifest=options.expect,
        jobs=options.jobs,
        progress=options.progress,
    )


def _is_verificatum(tree: Tree) -> bool:
    return _marks.is_verificatum(tree) or _marks.is_session(tree)


def _audit_verificatum(path: Path, options: Options) -> ForeignReport:
    from evote.interop import verificatum

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


def _inspect_verificatum(tree: Tree) -> Inspection | None:
    from evote.interop import verificatum

    return verificatum.inspect(tree)


def _audit_electionguard(path: Path, options: Options) -> ForeignReport:
    from evote.interop import electionguard

    if options.session is not None or options.extends is not None:
        raise ParameterError("a record of ElectionGuard has no sessions, and extends no other")
    return electionguard.audit(
        path, expect_manifest=options.expect, jobs=options.jobs, progress=options.progress
    )


def _inspect_electionguard(tree: Tree) -> Inspection | None:
    from evote.interop import electionguard

    return electionguard.inspect(tree)


def _audit_belenios(path: Path, options: Options) -> ForeignReport:
    from evote.interop import belenios

    if options.session is not None:
        raise ParameterError("an archive of Belenios has no sessions")
    return belenios.audit(
        path,
        extends=options.extends,
        expect=options.expect,
        jobs=options.jobs,
        progress=options.progress,
    )


def _inspect_belenios(tree: Tree) -> Inspection | None:
    from evote.interop import belenios

    return belenios.inspect(tree)


def _audit_helios(path: Path, options: Options) -> ForeignReport:
    from evote.interop import helios

    if options.session is not None or options.extends is not None:
        raise ParameterError("an election of Helios has no sessions, and extends no other")
    return helios.audit(path, expect=options.expect, jobs=options.jobs, progress=options.progress)


def _inspect_helios(tree: Tree) -> Inspection | None:
    from evote.interop import helios

    return helios.inspect(tree)


def _is_swisspost(tree: Tree) -> bool:
    if not _marks.is_list(tree):
        return False
    from evote.interop import swisspost  # its readers know the kinds of cases

    return swisspost.is_swisspost(tree)


def _audit_swisspost(path: Path, options: Options) -> ForeignReport:
    from evote.interop import swisspost

    if options.session is not None or options.extends is not None:
        raise ParameterError("a file of Swiss Post has no sessions, and extends no other")
    return swisspost.audit(
        path, expect_digest=options.expect, jobs=options.jobs, progress=options.progress
    )


def _inspect_swisspost(tree: Tree) -> Inspection | None:
    from evote.interop import swisspost

    return swisspost.inspect(tree)


SYSTEMS = (
    System(
        "evote, profile belenios",
        _is_profile,
        _audit_profile,
        "manifest.json of the profile belenios",
        _native.inspect,
        has_manifest=True,
    ),
    System(
        "verificatum",
        _is_verificatum,
        _audit_verificatum,
        "protInfo.xml and nizkp/, or a session's version, type, auxsid, width and proofs/",
        _inspect_verificatum,
    ),
    System(
        "electionguard",
        _marks.is_electionguard,
        _audit_electionguard,
        "manifest.json, constants.json, guardians/, ... as in versions 1.0, 1.91, 2.0 and 2.1",
        _inspect_electionguard,
        has_manifest=True,
    ),
    System(
        "belenios",
        _marks.is_belenios,
        _audit_belenios,
        "an archive <uuid>.bel",
        _inspect_belenios,
    ),
    System(
        "helios",
        _marks.is_helios,
        _audit_helios,
        "election.json with voters.json, trustees.json or ballots.json, or a bundle of these",
        _inspect_helios,
    ),
    System(
        "swisspost",
        _is_swisspost,
        _audit_swisspost,
        "a JSON list of cases with context, input and output, as its test data have them",
        _inspect_swisspost,
    ),
)


def recognise(path: Path | str) -> System | None:
    """The system whose record is at a path; None if it is one of our own.

    One of our own whose profile is `belenios` is that system's.

    Raises:
        DecodingError: nothing that is known here; it says what was looked for.
    """
    with _opened(path) as tree:
        return _system(tree)


@contextmanager
def _opened(path: Path | str) -> Iterator[Tree]:
    """What is at a path. An archive that is refused is one file, which a system may know.

    Raises:
        DecodingError: nothing is there; or the refusal, in the place of whatever else is raised.
    """
    refusal = None
    try:
        tree = open_tree(path)
    except DecodingError as error:
        if not Path(path).is_file():
            raise
        tree, refusal = SingleFile(Path(path)), error
    with tree:
        try:
            yield tree
        except DecodingError:
            if refusal is not None:
                raise refusal from None
            raise


def _system(tree: Tree) -> System | None:
    if _native.is_native(tree) and not _is_profile(tree):
        return None
    beside = tree.has("manifest.json")
    for system in SYSTEMS:
        if (system.has_manifest or not beside) and system.recognises(tree):
            return system
    names = [("evote", _native.LOOKED_FOR), *((s.name, s.looked_for) for s in SYSTEMS)]
    wanted = "; ".join(f"{name}: {what}" for name, what in names)
    raise DecodingError(
        f"no record of a known system. Looked for {wanted}", where=shown_path(tree.path)
    )


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
        raise ParameterError("a record of our own, which evote.verify audits")
    return system.audit(Path(path), options)


def inspect(path: Path | str) -> Inspection:
    """What is at a path: a directory, an archive or a file. Nothing of it is verified.

    Raises:
        DecodingError: nothing that is known here; it says what was looked for.
    """
    with _opened(path) as tree:
        system = _system(tree)
        if system is None:
            return _native.inspect(tree)
        found = None if system.inspect is None else system.inspect(tree)
        return describe(tree, system.name) if found is None else found


def supported() -> tuple[Support, ...]:
    """What is checked of each system and version, and what is not."""
    from evote.interop import belenios, electionguard, helios, swisspost, verificatum
    from evote.interop.belenios import profile

    return (
        Support("evote", "1", CHECKS),
        Support("evote, profile belenios", "1", profile.OWN_CHECKS),
        Support("Verificatum", "3.0 and 3.1", verificatum.CHECKS, verificatum.OMITTED),
        *(
            Support("ElectionGuard", version, checks, electionguard.OMITTED)
            for version, checks in electionguard.CHECKS.items()
        ),
        Support("Belenios", "1.17 to 3.3, and 4.0", belenios.CHECKS, belenios.OMITTED),
        Support("Helios", "3 and 4", helios.CHECKS, helios.OMITTED),
        Support("Swiss Post", "primitives 1.2, 1.5", swisspost.CHECKS, swisspost.OMITTED),
    )


def support_matrix() -> str:
    """The second half of docs/interop.md: systems, versions, checks done and not done, and why."""
    return matrix(supported())
