"""`evote tracker` and `evote board fates|counts`: what became of the ballots, and why."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from pathlib import Path

import click

from evote.board import Stage
from evote.cli._common import plain, record_argument, say, table
from evote.cli.election import shown_time
from evote.encoding import JSON, canonical_json
from evote.errors import DecodingError
from evote.fates import Reckoning, reckon

__all__ = ["counts", "fates", "tracker"]

NOT_FOUND = 1
COUNTS = ("voters", "submitted", "spoiled", "cast", "counted", "superseded", "struck")
COLUMNS = ("district", "style", *COUNTS, "unconfirmed", "weight")

form_option = click.option(
    "--format", "form", type=click.Choice(["csv", "json"]), default="csv", show_default=True
)


@click.command()
@click.argument("code")
@record_argument
@click.pass_context
def tracker(context: click.Context, code: str, record: Path) -> None:
    """Say whether the ballot with the tracker CODE is in RECORD, whether it counts, and why not.

    Exit code 0 if it is there, 1 if it is not. The ballots' proofs are not looked at: `evote
    verify` does that.
    """
    found = reckon(record)
    try:
        ballots = found.tracked(code)
    except DecodingError as error:
        raise click.UsageError(plain(error)) from None
    for ballot in ballots:
        say(f"entry {ballot.entry}: {ballot}")
    if not ballots:
        say(f"not among the {len(found.fates)} ballots of this board")
    say(standing(found))
    context.exit(0 if ballots else NOT_FOUND)


def standing(found: Reckoning) -> str:
    """How final that is."""
    if found.seal is not None:
        return f"sealed by entry {found.seal}: no ballot comes after it, and no fate changes"
    if found.stage == Stage.CLOSED:
        return "closed: no ballot is taken; voters can still be struck or confirmed"
    return "voting goes on: a later ballot or a ruling can still change it"


def write_lines(lines: Iterable[dict[str, JSON]], form: str) -> None:
    """A table for programs, line by line: CSV with a heading, or an object a line."""
    heading = form == "csv"
    for line in lines:
        if heading:
            say(_comma_separated(line))
            heading = False
        values = _comma_separated(line.values()) if form == "csv" else canonical_json(line).decode()
        say(values)


def _comma_separated(fields: Iterable[JSON]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow(fields)
    return text.getvalue()


@click.command()
@record_argument
@form_option
def fates(record: Path, form: str) -> None:
    """List every submitted ballot of RECORD: entry, tracker, voter, fate, and its cause.

    The cause is the entry of the later ballot, of the strike, or of a spoiled ballot's opening.
    """
    write_lines((ballot.to_json() for ballot in reckon(record).ballots()), form)


@click.command()
@record_argument
@click.option("--format", "form", type=click.Choice(["text", "csv", "json"]), default="text")
def counts(record: Path, form: str) -> None:
    """Count the ballots of RECORD by district, style and fate; every line adds up.

    submitted = cast + spoiled; cast = counted + superseded + struck + unconfirmed.
    """
    found = reckon(record)
    rows = [row.to_json() for row in found.counts()]
    if form != "text":
        write_lines(rows, form)
        return
    total: list[object] = ["all", "", *(sum(_whole(row[c]) for row in rows) for c in COLUMNS[2:])]
    lines = [COLUMNS, *([row[column] for column in COLUMNS] for row in rows), total]
    for line in table(lines, numbers=len(COLUMNS) - 2):
        say(line)
    if found.fates.end is not None:
        say(f"voting ends, as announced, at {shown_time(found.fates.end)}")
    say(standing(found))


def _whole(value: JSON) -> int:
    assert isinstance(value, int)
    return value
