"""`evote election`: found, open and seal an election, and what the authorities rule between."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import click
import numpy as np

from evote import workflow
from evote._files import read_file
from evote._privacy import privacy_notices
from evote.cli._common import (
    F,
    directory_option,
    passphrase,
    passphrase_option,
    plain,
    record_argument,
    say,
    warn,
)
from evote.cli._profiles import of_belenios
from evote.encoding import JSON, decode_hex
from evote.errors import DecodingError
from evote.operators import decode_card
from evote.record import Record

__all__ = ["election"]

DRAFT_LIMIT = 16 << 20  # bytes, as the manifest's own
CARD_LIMIT = 1 << 16
LIST_LIMIT = 1 << 30  # bytes: some ten million voters

reason_option = click.option(
    "--reason", required=True, metavar="CODE", help="One of the manifest's, for such a step."
)
until_option = click.option(
    "--until",
    required=True,
    type=click.DateTime(["%Y-%m-%dT%H:%MZ", "%Y-%m-%dT%H:%M:%SZ"]),
    help="In universal time: 2030-05-01T18:00Z.",
)


@click.group()
def election() -> None:
    """Found, open and seal an election, and rule on it in between."""


@election.command()
@click.argument("draft", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@record_argument
@click.option(
    "--card",
    "cards",
    multiple=True,
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="card.json of an operator whom the draft names by id; once for each.",
)
def new(draft: Path, record: Path, cards: tuple[Path, ...]) -> None:
    """Make the manifest of a new election from DRAFT and start RECORD with it.

    Prints the manifest's digest: publish it where it cannot be changed, for
    `evote verify --expect-manifest`.
    """
    known = {}
    for path in cards:
        card = decode_card(read_file(path, CARD_LIMIT), where=str(path))
        if card.id in known:
            raise click.UsageError(f"two cards have the id {card.id}")
        known[card.id] = card
    workflow.new_election(record, read_draft(draft), cards=known)
    say(f"manifest {Record(record).manifest_digest.hex()}")


def read_draft(path: Path) -> dict[str, JSON]:
    """A draft as people write JSON: with spaces, in any order; but nothing said twice."""

    def once(pairs: list[tuple[str, JSON]]) -> dict[str, JSON]:
        fields = dict(pairs)
        if len(fields) != len(pairs):
            raise click.UsageError(f"{plain(path)}: the same field twice in one object")
        return fields

    try:
        draft = json.loads(read_file(path, DRAFT_LIMIT), object_pairs_hook=once)
    except (ValueError, RecursionError) as error:
        raise click.UsageError(f"{plain(path)}: not JSON: {plain(error)}") from None
    if not isinstance(draft, dict):
        raise click.UsageError(f"{plain(path)}: an object expected")
    return draft


def signing_options(function: F) -> F:
    """Who signs an entry of the board, and whose board it is."""
    words = "Directory of a signing authority; once for each."
    authority = directory_option("--authority", words, several=True)
    board = directory_option("--board", "Directory of the board.")
    return authority(board(passphrase_option(function)))


def ruling_options(function: F) -> F:
    """The same, and why."""
    return signing_options(reason_option(function))


@election.command("open")
@record_argument
@signing_options
def open_(
    record: Path, authority: tuple[Path, ...], board: Path, passphrase_file: Path | None
) -> None:
    """Open the election: from here on ballots are accepted."""
    secret = passphrase(passphrase_file)
    if of_belenios(record):
        from evote.interop.belenios import profile

        profile.open_election(record, authority, board, secret)
        say("open")
        return
    parameters = workflow.open_election(record, authority, board, secret)
    roll = workflow.signed_roll(Record(record), parameters)
    for notice in privacy_notices(parameters.manifest, roll, np.arange(len(roll))):
        warn(f"warning: {notice.id}: {notice.detail}")
    say("open")


def list_argument(function: F) -> F:
    """A list of voters by their credentials."""
    path = click.Path(exists=True, dir_okay=False, path_type=Path)
    return click.argument("voters", metavar="LIST", type=path)(function)


@election.command()
@record_argument
@list_argument
@ruling_options
def strike(
    record: Path,
    voters: Path,
    authority: tuple[Path, ...],
    board: Path,
    passphrase_file: Path | None,
    reason: str,
) -> None:
    """Strike the voters in LIST: nothing that they have cast or will cast counts.

    LIST has a credential in each line, 64 hex digits, and after a comma whatever its owner likes.
    """
    credentials, secret = read_credentials(voters), passphrase(passphrase_file)
    done = workflow.strike_voters(record, authority, board, secret, credentials, reason)
    say_entries(done, f"{len(credentials)} voters are struck")


@election.command()
@record_argument
@list_argument
@ruling_options
def confirm(
    record: Path,
    voters: Path,
    authority: tuple[Path, ...],
    board: Path,
    passphrase_file: Path | None,
    reason: str,
) -> None:
    """Confirm the provisional voters in LIST, as of `strike`: their ballots count."""
    credentials, secret = read_credentials(voters), passphrase(passphrase_file)
    done = workflow.confirm_voters(record, authority, board, secret, credentials, reason)
    say_entries(done, f"{len(credentials)} voters are confirmed")


@election.command()
@record_argument
@until_option
@ruling_options
def extend(
    record: Path,
    until: datetime,
    authority: tuple[Path, ...],
    board: Path,
    passphrase_file: Path | None,
    reason: str,
) -> None:
    """Announce a later end of voting. Nothing ends by the clock: `close` or `seal` ends it."""
    end = int(until.replace(tzinfo=UTC).timestamp())
    secret = passphrase(passphrase_file)
    done = workflow.extend_voting(record, authority, board, secret, end, reason)
    say_entries(done, f"voting ends at {shown_time(end)}")


@election.command()
@record_argument
@ruling_options
def close(
    record: Path,
    authority: tuple[Path, ...],
    board: Path,
    passphrase_file: Path | None,
    reason: str,
) -> None:
    """Take no more ballots. Voters can still be struck and confirmed, until `seal`."""
    secret = passphrase(passphrase_file)
    done = workflow.set_phase(record, authority, board, secret, "closed", reason)
    say_entries(done, "closed")


@election.command()
@record_argument
@ruling_options
def reopen(
    record: Path,
    authority: tuple[Path, ...],
    board: Path,
    passphrase_file: Path | None,
    reason: str,
) -> None:
    """Take ballots again after `close`."""
    secret = passphrase(passphrase_file)
    done = workflow.set_phase(record, authority, board, secret, "voting", reason)
    say_entries(done, "open again")


def read_credentials(path: Path) -> list[bytes]:
    """The first field of every line; a first line that says `credential` is a heading."""
    found = []
    for number, line in enumerate(read_file(path, LIST_LIMIT).split(b"\n"), 1):
        field = line.rstrip(b"\r").partition(b",")[0].strip()
        if not field or (number == 1 and field == b"credential"):
            continue
        text = field.decode("ascii", errors="replace")
        try:
            found.append(decode_hex(text, 32))
        except DecodingError as error:
            reason = f"{plain(path)}: line {number}: {error.reason}"
            raise click.UsageError(reason) from None
    if not found:
        raise click.UsageError(f"{plain(path)}: no credentials")
    return found


def say_entries(done: range, what: str) -> None:
    """What holds now, and the entries that say so if there are new ones."""
    if not done:
        say(f"{what}, as before")
    elif len(done) == 1:
        say(f"{what}: entry {done[0]}")
    else:
        say(f"{what}: entries {done[0]} to {done[-1]}")


def shown_time(seconds: int) -> str:
    """A moment for people, in universal time."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@election.command()
@record_argument
@signing_options
def seal(
    record: Path, authority: tuple[Path, ...], board: Path, passphrase_file: Path | None
) -> None:
    """Close the election and fix which ballots count."""
    secret = passphrase(passphrase_file)
    if of_belenios(record):
        from evote.interop.belenios import profile

        sealed = profile.seal_election(record, authority, board, secret)
        parts = f"{sealed.counted} counted + {sealed.superseded} superseded"
        say(f"sealed: {sealed.cast} cast = {parts}")
        return
    counts = workflow.seal_election(record, authority, board, secret)
    parts = f"{counts.counted} counted + {counts.superseded} superseded"
    parts += f" + {counts.struck} struck" if counts.struck else ""
    parts += f" + {counts.unconfirmed} unconfirmed" if counts.unconfirmed else ""
    say(f"sealed: {counts.cast} cast = {parts}; {counts.spoiled} spoiled")
