"""Which version of ElectionGuard wrote a record, and the audit of it.

Nothing in a directory makes an audit raise: what is wrong with it is a failed check, with the file
and the place.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from evote._archives import open_tree
from evote._pool import Workers
from evote.errors import EvoteError
from evote.interop._marks import is_electionguard
from evote.interop._reports import ForeignReport, check_jobs, decode_pin, silent
from evote.interop.electionguard._reading import Record
from evote.interop.electionguard._run import Run
from evote.interop.electionguard._v2 import CHECKS_20, CHECKS_21, audit_2
from evote.interop.electionguard._v10 import CHECKS_10, audit_10
from evote.interop.electionguard._v191 import CHECKS_191, audit_191

__all__ = ["CHECKS", "audit", "is_electionguard", "version_of"]

_AUDITS = {
    "1.0": (CHECKS_10, audit_10),
    "1.91": (CHECKS_191, audit_191),
    "2.0": (CHECKS_20, audit_2),
    "2.1": (CHECKS_21, audit_2),
}
CHECKS = {version: checks for version, (checks, _) in _AUDITS.items()}
_ASKED = 20  # ballots that are looked at, until one says which version it is


def version_of(record: Record) -> str:
    """1.0, 1.53, 1.91, 2.0 or 2.1, by the form of the files: what they say is often wrong."""
    if record.has("election_config.json"):
        try:
            newer = record.json("constants.json").get("protocolVersion") is not None
        except EvoteError:
            newer = False
        return "2.1" if newer else "2.0"
    for name in record.names("submitted_ballots")[:_ASKED]:
        try:
            for contest in record.json(name)["contests"].list():
                for selection in contest["ballot_selections"].list():
                    proof = selection["proof"]
                    if proof.get("proofs") is not None:
                        return "1.53"
                    if proof.get("proof_zero_pad") is not None:
                        newer = contest["proof"].get("range_limit") is not None
                        return "1.91" if newer else "1.0"
        except EvoteError:
            continue
    for name in record.names("guardians")[:_ASKED]:
        try:
            node = record.json(name)
            if node.get("coefficient_proofs") is not None:
                return "1.91"
        except EvoteError:
            continue
    return "1.0"


def audit(
    path: Path | str,
    *,
    expect_manifest: bytes | str | None = None,
    jobs: Workers = 1,
    progress: Callable[[str, int, int], None] | None = None,
) -> ForeignReport:
    """Verify a record.

    Args:
        path: the directory, or an archive of one.
        expect_manifest: the SHA-256 of manifest.json as published elsewhere, 32 bytes or hex.
        jobs: processes of this machine, or an executor.
        progress: called with what is being done, how much is done, and of how much.

    Raises:
        ParameterError, DecodingError: an argument is wrong. Never because of what files hold.
    """
    check_jobs(jobs)
    expected = decode_pin(expect_manifest, "expect_manifest")
    with open_tree(path) as tree:
        return _audited(Record(tree), expected, jobs, progress or silent)


def _audited(
    record: Record,
    expected: bytes | None,
    jobs: Workers,
    progress: Callable[[str, int, int], None],
) -> ForeignReport:
    version = version_of(record)
    checks, check = _AUDITS.get(version, (CHECKS_10, _unsupported))
    run = Run(
        record,
        checks,
        system=f"ElectionGuard {version}",
        expected=expected,
        jobs=jobs,
        progress=progress,
    )
    with run.step("0.format"):
        check(run)
    for name in ("constants.json", "manifest.json"):
        try:
            record.json(name)
        except EvoteError:
            run.readable = False
    return run.report()


def _unsupported(run: Run) -> None:
    """Recognised, and no check of it is known."""
    run.block(f"{run.system} is recognised and not supported", *run.names(0, 99))
