"""Elections of the profile `belenios`: run with our operators and files, under Belenios' rules.

The record is a directory:

    manifest.json       as of any election; the profile decides all that follows
    ceremony/           where a quorum of the trustees decrypts: see `evote.ceremony`
    belenios/*.json     what trustees, registrar and authorities sign
    <uuid>.bel          from the opening on: Belenios' own archive, which only grows

Functions have the names and arguments of those in `evote.workflow`, and one more makes the archive
leave the record. Each step checks what it stands on, and may be repeated after an interruption.

Not promised, as Belenios does not have it either: ballots that are opened to see how they were
made; a log that others cosign; secrecy of votes against whoever holds the registrar's list and
a quorum of the trustees.
"""

from __future__ import annotations

from pathlib import Path

from evote._files import copy_file, make_directory, read_file, write_file
from evote._pool import Workers
from evote.errors import ParameterError, VerificationError
from evote.interop._reports import ForeignReport
from evote.interop.belenios._archive import MAX_BALLOT
from evote.interop.belenios._counting import (
    Sealed,
    compute_tally,
    decrypt_share,
    mix,
    mixed_answers,
    open_election,
    publish_result,
    result_of,
    seal_election,
)
from evote.interop.belenios._keys import check, commit, reveal
from evote.interop.belenios._profile_audit import (
    OWN_CHECKS,
    PROFILE_CHECKS,
    audit_record,
    is_record,
)
from evote.interop.belenios._terms import load_terms
from evote.interop.belenios._voting import (
    Ballot,
    CheckedReceipt,
    cast_ballots,
    check_receipt,
    draw_credentials,
    encrypt_ballots,
    issue_credentials,
    publish_credentials,
)

__all__ = [
    "OWN_CHECKS",
    "PROFILE_CHECKS",
    "Ballot",
    "CheckedReceipt",
    "Sealed",
    "audit_record",
    "cast_ballots",
    "check",
    "check_receipt",
    "commit",
    "compute_tally",
    "decrypt_share",
    "draw_credentials",
    "encrypt_ballots",
    "export_record",
    "has_shares",
    "is_record",
    "issue_credentials",
    "load_ballot",
    "mix",
    "mixed_answers",
    "open_election",
    "publish_credentials",
    "publish_result",
    "result_of",
    "reveal",
    "save_ballot",
    "seal_election",
]

_BALLOT = "ballot.json"


def has_shares(record: Path | str) -> bool:
    """Whether a quorum of the trustees decrypts, whose ceremony has shares; or all, without one."""
    return load_terms(record).threshold


def save_ballot(ballot: Ballot, folder: Path | str) -> None:
    """Keep a ballot until it is cast: ballot.json, which holds no secret.

    Raises:
        ParameterError: the folder holds another.
    """
    make_directory(folder, mode=0o700)
    write_file(Path(folder) / _BALLOT, ballot.body)


def load_ballot(folder: Path | str) -> Ballot:
    """What `save_ballot` wrote."""
    return Ballot(body=read_file(Path(folder) / _BALLOT, MAX_BALLOT, where=_BALLOT))


def export_record(
    record: Path | str, file: Path | str, *, jobs: Workers = 1
) -> tuple[ForeignReport, Path]:
    """Verify a record, and copy its archive to a file that Belenios' own tool reads.

    The name has to be the uuid and .bel; a directory gets a file of that name. A running election
    is exported as far as it goes.

    Returns:
        The report, in which nothing failed; and the file.

    Raises:
        UnsupportedError: the record is of another profile.
        VerificationError: a check failed; nothing is written.
    """
    terms = load_terms(record)
    report = audit_record(record, jobs=jobs)
    for finding in report.failures():
        raise VerificationError(f"{finding.check} {finding.outcome}: {finding.detail}")
    target = Path(file)
    if target.is_dir():
        target /= terms.archive.name
    if target.name != terms.archive.name:
        raise ParameterError(f"{target.name}: belenios calls it {terms.archive.name}")
    copy_file(terms.archive, target)
    return report, target
