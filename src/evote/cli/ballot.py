"""`evote ballot`: encrypt, then cast or spoil, then check."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import click

from evote import workflow
from evote._evidence import encode_evidence
from evote._files import read_file, write_file
from evote._merkle import CompactRange, leaf_hash
from evote._refusals import encode_refusal
from evote.ballots import ballot_tracker
from evote.board import (
    BallotEntry,
    Receipt,
    ReceiptClaim,
    decode_policy,
    decode_receipt,
    encode_entry,
    encode_receipt,
    verify_receipt,
)
from evote.cli._common import (
    CODE_VARIABLE,
    passphrase,
    passphrase_option,
    plain,
    record_argument,
    say,
    secret,
)
from evote.cli._profiles import of_belenios, refuse_belenios, refuse_witnesses
from evote.credentials import decode_codes, verify_ballot_signatures
from evote.election import Manifest
from evote.errors import BrokenLog, DecodingError, VerificationError
from evote.fates import reckon
from evote.record import Record
from evote.server._fetch import check_url
from evote.server.client import fetch_receipt, send_ballot, send_opening
from evote.server.monitor import Broken

__all__ = ["ballot"]

RECEIPT_LIMIT = 1 << 20  # bytes
REFUSAL = "refusal.json"

board_option = click.option(
    "--board",
    metavar="DIR",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Directory of the board that receives the ballot, on its own machine.",
)
server_option = click.option(
    "--server", metavar="URL", help="The server of the board (`evote board serve`) instead."
)
code_option = click.option(
    "--code-file",
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help=f"First line is the voter's code. Else: {CODE_VARIABLE}, else a prompt.",
)
folder_argument = click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
receipt_option = click.option(
    "-o",
    "--receipt",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Where the receipt goes.  [default: receipt.json in FOLDER]",
)


@click.group()
def ballot() -> None:
    """Encrypt a ballot; then cast it, or spoil it to see that it was made honestly."""


@ballot.command()
@record_argument
@folder_argument
@click.option(
    "--choose",
    "choices",
    multiple=True,
    metavar="CONTEST:OPTION[=N]",
    help="A mark; N marks where the contest allows several on one option. Once for each.",
)
@click.option(
    "--rank",
    "rankings",
    multiple=True,
    metavar="CONTEST:OPTION>...",
    help="A ranking, the first preference first: ward:ann>bob>eve.",
)
@click.option(
    "--write-in",
    "write_ins",
    multiple=True,
    metavar="CONTEST:TEXT",
    help="A name that is not among the options, where the contest takes one.",
)
@click.option("--blank", "blanks", multiple=True, metavar="CONTEST", help="A blank vote.")
@code_option
def encrypt(
    record: Path,
    folder: Path,
    choices: tuple[str, ...],
    rankings: tuple[str, ...],
    write_ins: tuple[str, ...],
    blanks: tuple[str, ...],
    code_file: Path | None,
) -> None:
    """Encrypt a ballot into FOLDER and print its tracker. Nothing is signed or sent yet.

    In the profile belenios the ballot is signed with it, and can only be cast.
    """
    choice = read_choice(Record(record).manifest, choices, blanks, rankings, write_ins)
    if of_belenios(record):
        from evote.interop.belenios import profile

        code = secret("voting code", CODE_VARIABLE, code_file)
        [ballot] = profile.encrypt_ballots(record, [(code, choice)])
        profile.save_ballot(ballot, folder)
        say(ballot.tracker)
        return
    made = workflow.encrypt_ballot(record, voting_code(code_file), choice)
    workflow.save_ballot(made, folder)
    say(made.tracker)


@ballot.command()
@record_argument
@folder_argument
@board_option
@server_option
@receipt_option
@code_option
@passphrase_option
def cast(
    record: Path,
    folder: Path,
    board: Path | None,
    server: str | None,
    receipt: Path | None,
    code_file: Path | None,
    passphrase_file: Path | None,
) -> None:
    """Sign the ballot in FOLDER and put it on the board; its secrets are erased.

    With --server nothing of the board's is needed here: RECORD is a copy of what is public.
    """
    check_destination(board, server)
    if of_belenios(record):
        from evote.interop.belenios import profile

        if board is None:
            raise click.UsageError("an election of the profile belenios has no server")
        target = receipt or folder / "receipt.json"
        if not target.parent.is_dir():
            raise click.UsageError(f"{plain(target.parent)}: no such directory, for the receipt")
        ballot = profile.load_ballot(folder)
        [given] = profile.cast_ballots(record, board, [ballot.body], passphrase(passphrase_file))
        write_file(target, given)
        say(f"cast {ballot.tracker}")
        say(f"receipt {target}")
        return
    made = workflow.load_ballot(folder)
    submission = workflow.sign_ballot(record, voting_code(code_file), made, "cast")
    target = receipt or folder / "receipt.json"
    deliver(submission, target, record, board_of(record, board, server, passphrase_file))
    workflow.erase_ballot(folder)
    say(f"cast {made.tracker}")
    say(f"receipt {target}")


@ballot.command()
@record_argument
@folder_argument
@board_option
@server_option
@receipt_option
@code_option
@passphrase_option
def spoil(
    record: Path,
    folder: Path,
    board: Path | None,
    server: str | None,
    receipt: Path | None,
    code_file: Path | None,
    passphrase_file: Path | None,
) -> None:
    """Spoil the ballot in FOLDER: it will not count, and everyone sees what it held."""
    check_destination(board, server)
    refuse_belenios(record, "spoiled ballots")
    made = workflow.load_ballot(folder)
    submission = workflow.sign_ballot(record, voting_code(code_file), made, "spoil")
    target = receipt or folder / "receipt.json"
    destination = board_of(record, board, server, passphrase_file)
    deliver(submission, target, record, destination)
    destination.open(made)
    workflow.erase_ballot(folder)
    say(f"spoiled {made.tracker}")
    for contest, marks in sorted(made.choice.contests.items()):
        say(f"  {contest}: {' '.join(map(str, marks))}")
    say(f"receipt {target}")


def check_destination(board: Path | None, server: str | None) -> None:
    """One of the two is given."""
    if (board is None) == (server is None):
        raise click.UsageError("--board DIR, or --server URL")


class Destination(NamedTuple):
    """Where ballots go: what takes one in, and what opens a spoiled one."""

    send: Callable[[workflow.Submission], Receipt]
    open: Callable[[workflow.EncryptedBallot], Receipt]


def board_of(
    record: Path, board: Path | None, server: str | None, passphrase_file: Path | None
) -> Destination:
    """The board's own directory, or its server."""
    if server is not None:
        url, parameters = check_url(server), workflow.load_parameters(record)
        return Destination(
            send=lambda submission: send_ballot(url, submission, parameters),
            open=lambda made: send_opening(url, workflow.opening_of(made, parameters), parameters),
        )
    assert board is not None
    directory, unsealed = board, passphrase(passphrase_file)
    return Destination(
        send=lambda submission: workflow.deliver(record, directory, submission, unsealed),
        open=lambda made: workflow.open_spoiled(record, directory, made, unsealed),
    )


def deliver(
    submission: workflow.Submission, target: Path, record: Path, destination: Destination
) -> None:
    """Send a ballot in and keep its receipt, whose place is looked at before anything is sent.

    Repeated after an interruption, it leaves the ballot and a whole receipt as they are.
    """
    kept = target.exists()
    if kept:
        old = decode_receipt(read_file(target, RECEIPT_LIMIT), where=plain(target))
        if old.entry != encode_entry(submission.entry):
            raise click.UsageError(f"{plain(target)} is the receipt of another ballot")
    elif not target.parent.is_dir():
        raise click.UsageError(f"{plain(target.parent)}: no such directory, for the receipt")
    try:
        given = destination.send(submission)
    except workflow.RefusedBallot as refused:
        if refused.refusal is not None:  # the voter's evidence, for `evote dispute`
            evidence = target.parent / REFUSAL
            write_file(evidence, encode_refusal(refused.refusal), overwrite=True)
            say(f"refused; signed by the board: {evidence}")
        raise
    if not kept:
        keep_receipt(target, given, submission, Record(record).manifest)


def keep_receipt(
    target: Path, given: Receipt, submission: workflow.Submission, manifest: Manifest
) -> None:
    """Write the receipt of a submission, if it is one.

    Raises:
        VerificationError: what the board gave is of another entry, or shows nothing.
    """
    verify_receipt(given, manifest.log_key, sent=encode_entry(submission.entry))
    write_file(target, encode_receipt(given))


@ballot.command("receipt")
@record_argument
@click.argument("old", metavar="RECEIPT", type=click.Path(exists=True, path_type=Path))
@click.option("--server", metavar="URL", required=True, help="The server of the board.")
@click.option(
    "--witness-policy",
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Whose cosignatures the new receipt must bear.",
)
@click.option("-o", "--output", required=True, type=click.Path(dir_okay=False, path_type=Path))
def newer_receipt(
    record: Path, old: Path, server: str, witness_policy: Path | None, output: Path
) -> None:
    """Fetch the receipt of the same ballot under a newer head, which witnesses have cosigned.

    Of RECORD the manifest is enough. Exit code 1: the quorum has not cosigned it, or not yet; or
    the log is another one, and both heads are kept beside the output.
    """
    held = decode_receipt(read_file(old, RECEIPT_LIMIT), where=plain(old))
    policy = None
    if witness_policy is not None:
        policy = decode_policy(read_file(witness_policy, RECEIPT_LIMIT), where=witness_policy.name)
    try:
        new = fetch_receipt(check_url(server), held, Record(record).manifest, policy)
    except Broken as error:
        if error.evidence is not None:
            place = output.with_name(f"{output.name}.evidence.json")
            write_file(place, encode_evidence(error.evidence), overwrite=True)
            say(f"two heads are kept: {place}")
        raise
    write_file(output, encode_receipt(new), overwrite=True)
    say(f"entry {new.proof.index}: {output}")


@ballot.command()
@record_argument
@click.argument("receipt", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--witness-policy",
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Whose cosignatures the receipt's checkpoint must bear.",
)
def check(record: Path, receipt: Path, witness_policy: Path | None) -> None:
    """Check a receipt: the signatures of voter and board, and that the entry is in RECORD's log.

    Compare the tracker with the one that was shown before the ballot was signed.
    """
    opened = Record(record)
    if of_belenios(record):
        from evote.interop.belenios import profile

        refuse_witnesses(witness_policy)
        shown = profile.check_receipt(record, read_file(receipt, RECEIPT_LIMIT))
        say(f"event {shown.height} of the archive: cast {shown.tracker}")
        if shown.superseded is not None:
            say(f"superseded by event {shown.superseded}")
        return
    given = decode_receipt(read_file(receipt, RECEIPT_LIMIT), where=receipt.name)
    policy = None
    if witness_policy is not None:
        data = read_file(witness_policy, RECEIPT_LIMIT)
        policy = decode_policy(data, where=witness_policy.name)
    claim = verify_receipt(given, opened.manifest.log_key, policy)
    if not isinstance(claim.entry, BallotEntry):
        raise DecodingError("the receipt of something that is not a ballot", where=receipt.name)
    check_voter(claim.entry, workflow.load_parameters(record).election_id)
    check_same_log(opened, given.entry, claim)
    tracker = ballot_tracker(claim.entry.digest)
    say(f"entry {claim.index} of the log: {claim.entry.action} {tracker}")
    if (found := reckon(record).entry(claim.index)) is not None:
        say(found)


def check_voter(entry: BallotEntry, election_id: bytes) -> None:
    """The entry bears its voter's signature: without one it is nobody's ballot.

    Raises:
        VerificationError: it does not.
    """
    action, digest, signature = entry.action, entry.digest, entry.signature
    if not verify_ballot_signatures(
        election_id, [entry.credential], [digest], [action], [signature]
    ).all():
        raise VerificationError("the receipt's entry is not signed by its voter")


def check_same_log(record: Record, entry: bytes, claim: ReceiptClaim) -> None:
    """The record's log is the one of the receipt, grown: same entry, same root at that size.

    Raises:
        VerificationError: it is another log.
    """
    head, tree = record.checkpoint(), CompactRange()
    for first, entries in record.entry_bundles():
        for index, data in enumerate(entries, first):
            if index == claim.index and data != entry:
                raise BrokenLog("the record has another entry in its place", entry=index)
            tree.append(leaf_hash(data))
            if tree.size == claim.checkpoint.size and tree.root() != claim.checkpoint.root:
                raise BrokenLog("the record's log is not the one of the receipt")
    if tree.size < claim.checkpoint.size:
        raise BrokenLog("the record's log is older than the receipt")
    if tree.root() != head.root:
        raise BrokenLog("the record's entries do not have the signed root")


def voting_code(file: Path | None) -> str:
    """The voter's code, checked for typing errors."""
    code = secret("voting code", CODE_VARIABLE, file)
    try:
        decode_codes(code)
    except DecodingError as error:
        raise click.UsageError(f"voting code: {error.reason}") from None
    return code


def read_choice(
    manifest: Manifest,
    choices: tuple[str, ...],
    blanks: tuple[str, ...],
    rankings: tuple[str, ...] = (),
    write_ins: tuple[str, ...] = (),
) -> workflow.Choice:
    """Marks written as contest:option=n, rankings and texts, by option in the manifest's order."""
    contests = {contest.id: contest for contest in manifest.contests}
    marks: dict[str, list[int]] = {}

    def options_of(name: str) -> list[str]:
        if name not in contests:
            raise click.UsageError(f"no contest {plain(name)!r}: {', '.join(contests)}")
        return [option.id for option in contests[name].options]

    def place(name: str, option: str) -> int:
        options = options_of(name)
        if option not in options:
            raise click.UsageError(f"{name} has no option {plain(option)!r}: {', '.join(options)}")
        return options.index(option)

    for text in choices:
        where, _, number = text.partition("=")
        name, _, option = where.partition(":")
        chosen = place(name, option)
        if number and not (number.isascii() and number.isdigit() and len(number) <= 3):
            raise click.UsageError(f"{plain(text)}: how many marks?")
        values = marks.setdefault(name, [0] * len(contests[name].options))
        if values[chosen]:
            raise click.UsageError(f"{name}:{option} is chosen twice; write {name}:{option}=2")
        values[chosen] = int(number or 1)
    for text in rankings:
        name, _, order = text.partition(":")
        if any(marks.setdefault(name, [0] * len(options_of(name)))):
            raise click.UsageError(f"{name} is ranked twice")
        for rank, option in enumerate(order.split(">"), 1):
            chosen = place(name, option)
            if marks[name][chosen]:
                raise click.UsageError(f"{name}:{option} is ranked twice")
            marks[name][chosen] = rank
    written = {}
    for text in write_ins:
        name, _, words = text.partition(":")
        marks.setdefault(name, [0] * len(options_of(name)))
        if name in written:
            raise click.UsageError(f"{name}: two names are written in")
        written[name] = unicodedata.normalize("NFC", words)
    for name in blanks:
        marks.setdefault(name, [0] * len(options_of(name)))
    return workflow.Choice(
        contests={name: tuple(values) for name, values in marks.items()},
        blank=frozenset(blanks),
        write_ins=written,
    )
