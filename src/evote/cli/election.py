"""`evote election`: found, open and seal an election."""

from __future__ import annotations

import json
from pathlib import Path

import click

from evote import workflow
from evote._files import read_file
from evote.cli._common import (
    directory_option,
    of_belenios,
    passphrase,
    passphrase_option,
    plain,
    record_argument,
    say,
)
from evote.encoding import JSON
from evote.interop.belenios import profile
from evote.operators import decode_card
from evote.record import Record

__all__ = ["election"]

DRAFT_LIMIT = 16 << 20  # bytes, as the manifest's own
CARD_LIMIT = 1 << 16


@click.group()
def election() -> None:
    """Found, open and seal an election."""


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


@election.command("open")
@record_argument
@directory_option("--authority", "Directory of a signing authority; once for each.", several=True)
@directory_option("--board", "Directory of the board.")
@passphrase_option
def open_(
    record: Path, authority: tuple[Path, ...], board: Path, passphrase_file: Path | None
) -> None:
    """Open the election: from here on ballots are accepted."""
    step = profile.open_election if of_belenios(record) else workflow.open_election
    step(record, authority, board, passphrase(passphrase_file))
    say("open")


@election.command()
@record_argument
@directory_option("--authority", "Directory of a signing authority; once for each.", several=True)
@directory_option("--board", "Directory of the board.")
@passphrase_option
def seal(
    record: Path, authority: tuple[Path, ...], board: Path, passphrase_file: Path | None
) -> None:
    """Close the election and fix which ballots count."""
    secret = passphrase(passphrase_file)
    if of_belenios(record):
        sealed = profile.seal_election(record, authority, board, secret)
        say(
            f"sealed: {sealed.cast} cast = {sealed.counted} counted + "
            f"{sealed.superseded} superseded"
        )
        return
    counts = workflow.seal_election(record, authority, board, secret)
    say(
        f"sealed: {counts.cast} cast = {counts.counted} counted + {counts.superseded} superseded; "
        f"{counts.spoiled} spoiled"
    )
