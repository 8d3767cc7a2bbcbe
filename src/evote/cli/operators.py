"""`evote registrar`, `authority`, `board` and `mix`: their keys, and the registrar's roll."""

from __future__ import annotations

import csv
from pathlib import Path

import click

from evote import workflow
from evote.cli._common import (
    directory_argument,
    of_belenios,
    passphrase,
    passphrase_option,
    plain,
    record_argument,
    refuse_belenios,
    say,
    write_private_table,
)
from evote.credentials import STATUSES
from evote.interop.belenios import profile
from evote.operators import Role, create_operator

__all__ = ["authority", "board", "mix", "registrar"]

COLUMNS = ("style", "weight", "district", "count", "status")


@click.group()
def registrar() -> None:
    """Draw the voters' codes and sign the roll."""


@click.group()
def authority() -> None:
    """Open and seal elections."""


@click.group()
def board() -> None:
    """Keep the append-only log of ballots."""


@click.group()
def mix() -> None:
    """Mix encrypted ballots, so that nobody can tell whose they are."""


def _init_verb(group: click.Group, role: Role) -> None:
    words = f"Make the {role}'s key in DIRECTORY; card.json there goes into the manifest."

    @group.command("init", help=words)
    @directory_argument
    @click.option("--id", "identifier", required=True, metavar="ID", help="Name in the manifest.")
    @passphrase_option
    def init(directory: Path, identifier: str, passphrase_file: Path | None) -> None:
        create_operator(directory, role, identifier, passphrase(passphrase_file, confirm=True))
        say(directory / "card.json")


_init_verb(registrar, "registrar")
_init_verb(authority, "authority")
_init_verb(board, "board")
_init_verb(mix, "mixer")


@registrar.command()
@record_argument
@directory_argument
@click.argument("voters", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "-o",
    "--codes",
    required=True,
    type=click.Path(path_type=Path),
    help="CSV of the codes, one for each voter; readable by its owner only.",
)
@passphrase_option
def issue(
    record: Path, directory: Path, voters: Path, codes: Path, passphrase_file: Path | None
) -> None:
    """Draw a code for every voter and publish the signed roll.

    VOTERS is a CSV with the columns style and, where needed, weight, district, count and status
    (full, or provisional: such votes count once the authorities confirm the voter). Names do not
    belong in it: who gets which code is decided when the codes are handed out.

    Repeated after an interruption, it publishes the roll of the codes that are there already.
    """
    lines = read_voters(voters)
    secret = passphrase(passphrase_file)
    belenios = of_belenios(record)
    if codes.exists():
        issued = read_codes(codes, lines)
    else:
        draw = profile.draw_credentials if belenios else workflow.draw_credentials
        issued = draw(record, lines)
        rows = [("code", *COLUMNS[:3])]
        rows += [(voter.code, voter.style, str(voter.weight), voter.district) for voter in issued]
        write_private_table(codes, rows)  # first: a roll whose codes are lost is a lost election
    publish = profile.publish_credentials if belenios else workflow.publish_roll
    publish(record, directory, issued, secret)
    say(f"{len(issued)} codes in {codes}")


@registrar.command()
@record_argument
@directory_argument
@passphrase_option
def sign(record: Path, directory: Path, passphrase_file: Path | None) -> None:
    """Add a further registrar's signature to the roll."""
    refuse_belenios(record, "second registrar")
    workflow.cosign_roll(record, directory, passphrase(passphrase_file))
    say("roll signed")


def read_voters(path: Path) -> list[workflow.RollLine]:
    """The lines of a VOTERS file; whatever is wrong with it is a usage error naming the line."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise click.UsageError(f"{plain(path)} is not UTF-8 text") from None
    reader = csv.DictReader(text.splitlines(), strict=True)
    try:
        unknown = set(reader.fieldnames or ()) - set(COLUMNS)
        if "style" not in (reader.fieldnames or ()) or unknown:
            raise click.UsageError(f"{plain(path)}: the columns are {', '.join(COLUMNS)}")
        return [_roll_line(row, f"{path}: line {reader.line_num}") for row in reader]
    except csv.Error as error:
        raise click.UsageError(f"{plain(path)}: {plain(error)}") from None


def read_codes(path: Path, lines: list[workflow.RollLine]) -> list[workflow.Credential]:
    """The codes that an interrupted `issue` of the same lines has drawn."""
    each = [one for one in lines for _ in range(one.count)]
    wanted = [(one.style, str(one.weight), one.district) for one in each]
    rows = list(csv.reader(path.read_text(encoding="utf-8", errors="replace").splitlines()))
    if [tuple(row[1:]) for row in rows] != [COLUMNS[:3], *wanted]:
        reason = "and holds no codes for these voters; codes are never written over"
        raise click.UsageError(f"{plain(path)} exists, {reason}")
    return [
        workflow.Credential(
            code=row[0],
            style=one.style,
            weight=one.weight,
            district=one.district,
            status=one.status,
        )
        for row, one in zip(rows[1:], each, strict=True)
    ]


def _roll_line(row: dict[str, str], where: str) -> workflow.RollLine:
    if None in row or None in row.values():
        raise click.UsageError(f"{plain(where)}: as many fields as columns, please")
    numbers = {}
    for column in ("weight", "count"):
        text = row.get(column) or "1"
        if not (text.isascii() and text.isdigit() and len(text) <= 9):
            raise click.UsageError(f"{plain(where)}: {column} is not a number")
        numbers[column] = int(text)
    status = row.get("status") or "full"
    if status not in STATUSES:
        raise click.UsageError(f"{plain(where)}: the status is one of {', '.join(STATUSES)}")
    return workflow.RollLine(
        style=row["style"],
        district=row.get("district") or "all",
        status="full" if status == "full" else "provisional",
        weight=numbers["weight"],
        count=numbers["count"],
    )
