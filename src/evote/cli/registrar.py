"""`evote registrar` and `evote voter`: codes, the roll, and keys that voters draw themselves."""

from __future__ import annotations

from pathlib import Path

import click

from evote import registrars, workflow
from evote.cli._common import (
    directory_argument,
    directory_option,
    jobs_option,
    passphrase,
    passphrase_option,
    progress,
    quiet_option,
    record_argument,
    say,
)
from evote.cli._profiles import of_belenios, refuse_belenios
from evote.groups import named_group
from evote.operators import create_operator

__all__ = ["registrar", "voter"]

voters_argument = click.argument(
    "voters", type=click.Path(exists=True, dir_okay=False, path_type=Path)
)


map_option = click.option(
    "--map",
    "sealed_map",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Who has which credential, sealed to all registrars; stays offline.",
)
tags_option = click.option(
    "--tags",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="The tags of the voters' identities, for `evote reconcile`.",
)


@click.group()
def registrar() -> None:
    """Draw the voters' codes and sign the roll."""


@click.group()
def voter() -> None:
    """What a voter does who draws the key, where the manifest says `enrolled`."""


@registrar.group("map")
def map_() -> None:
    """The sealed map of who has which credential."""


@registrar.command()
@directory_argument
@click.option("--id", "identifier", required=True, metavar="ID", help="Name in the manifest.")
@click.option(
    "--tags",
    "group",
    metavar="GROUP",
    help="Make a key for the tags of a reconciliation too, in the group of the election.",
)
@passphrase_option
def init(directory: Path, identifier: str, group: str | None, passphrase_file: Path | None) -> None:
    """Make the registrar's key in DIRECTORY; card.json there goes into the manifest."""
    create_operator(
        directory,
        "registrar",
        identifier,
        passphrase(passphrase_file, confirm=True),
        group=None if group is None else named_group(group),
    )
    say(directory / "card.json")


@registrar.command()
@record_argument
@directory_argument
@voters_argument
@click.option(
    "-o",
    "--codes",
    required=True,
    type=click.Path(path_type=Path),
    help="CSV of the codes, one for each voter; readable by its owner only.",
)
@click.option(
    "--part",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Where each registrar draws a part: the keys, for `combine`.",
)
@map_option
@tags_option
@jobs_option
@quiet_option
@passphrase_option
def issue(
    record: Path,
    directory: Path,
    voters: Path,
    codes: Path,
    part: Path | None,
    sealed_map: Path | None,
    tags: Path | None,
    jobs: int,
    quiet: bool,
    passphrase_file: Path | None,
) -> None:
    """Draw a code for every voter and publish the signed roll.

    VOTERS is a CSV with the columns style and, where needed, weight, district, status (full, or
    provisional: such votes count once the authorities confirm the voter), and identity or count.
    Identities go into the codes' file and nowhere else. Lines that are wrong are named, and then
    nothing is drawn.

    Repeated after an interruption, it publishes the roll of the codes that are there already.
    """
    secret = passphrase(passphrase_file)
    if of_belenios(record):
        from evote.interop.belenios import profile

        if part is not None or sealed_map is not None or tags is not None:
            raise click.UsageError("an election of the profile belenios has no parts, map or tags")
        count = profile.issue_credentials(record, directory, voters, codes, secret)
        say(f"{count} codes in {codes}")
        return
    with progress(quiet=quiet) as show:
        count = registrars.issue(
            *(record, directory, voters, codes, secret),
            part=part,
            sealed_map=sealed_map,
            tags=tags,
            jobs=jobs,
            progress=show,
        )
    say(f"{count} codes in {codes}")
    if part is not None:
        say(f"keys in {part}")


@registrar.command()
@record_argument
@directory_argument
@voters_argument
@click.option(
    "--part",
    "parts",
    required=True,
    multiple=True,
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="What a registrar has drawn; once for each of them.",
)
@map_option
@tags_option
@quiet_option
@passphrase_option
def combine(
    record: Path,
    directory: Path,
    voters: Path,
    parts: tuple[Path, ...],
    sealed_map: Path | None,
    tags: Path | None,
    quiet: bool,
    passphrase_file: Path | None,
) -> None:
    """Join the parts of all registrars to the roll, and sign it; each registrar does this.

    The first publishes it; the others find the same one, or do not sign.
    """
    secret = passphrase(passphrase_file)
    with progress(quiet=quiet) as show:
        count = registrars.combine(
            record,
            directory,
            voters,
            parts,
            secret,
            sealed_map=sealed_map,
            tags=tags,
            progress=show,
        )
    say(f"roll of {count} voters signed")


@registrar.command()
@record_argument
@directory_argument
@voters_argument
@click.option(
    "--requests",
    required=True,
    metavar="DIR",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Where the files are that the column `request` names.",
)
@map_option
@tags_option
@quiet_option
@passphrase_option
def collect(
    record: Path,
    directory: Path,
    voters: Path,
    requests: Path,
    sealed_map: Path | None,
    tags: Path | None,
    quiet: bool,
    passphrase_file: Path | None,
) -> None:
    """Publish and sign the roll of the keys that voters have drawn themselves.

    Whose request it is, is for the registrar to see to, as with any form that is handed in.
    """
    secret = passphrase(passphrase_file)
    with progress(quiet=quiet) as show:
        count = registrars.collect(
            record,
            directory,
            voters,
            requests,
            secret,
            sealed_map=sealed_map,
            tags=tags,
            progress=show,
        )
    say(f"roll of {count} voters signed")


@registrar.command()
@record_argument
@directory_argument
@passphrase_option
def sign(record: Path, directory: Path, passphrase_file: Path | None) -> None:
    """Add a further registrar's signature to a roll that another has published."""
    refuse_belenios(record, "second registrar")
    workflow.cosign_roll(record, directory, passphrase(passphrase_file))
    say("roll signed")


@registrar.command()
@record_argument
@click.argument("codes", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.option("--advice", default="", help="Stands on every page: where to vote, until when.")
@click.option(
    "--pages", type=click.IntRange(1), default=500, show_default=True, help="Most in one file."
)
def sheets(record: Path, codes: Path, folder: Path, advice: str, pages: int) -> None:
    """Make a page for each voter of CODES: HTML in FOLDER, to be printed and then deleted.

    Nothing is sent anywhere, and the pages load nothing.
    """
    made = registrars.print_sheets(record, codes, folder, advice=advice, pages=pages)
    say(f"{len(made)} files in {folder}")


@map_.command("open")
@record_argument
@click.argument("sealed_map", metavar="MAP", type=click.Path(exists=True, path_type=Path))
@directory_option("--registrar", "Directory of a registrar; once for each.", several=True)
@click.option(
    "-o", "--target", required=True, metavar="FILE", type=click.Path(path_type=Path), help="CSV."
)
@click.option(
    "--tags",
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Check these tags of the roll too: each is that of its voter's identity.",
)
@passphrase_option
def open_(
    record: Path,
    sealed_map: Path,
    registrar: tuple[Path, ...],
    target: Path,
    tags: Path | None,
    passphrase_file: Path | None,
) -> None:
    """Open a MAP with the keys of all registrars: a CSV of identities and credentials.

    Whoever holds the result knows who voted. Do it where nobody else can read, and only if a
    dispute or an audit needs it.
    """
    secret = passphrase(passphrase_file)
    count = registrars.open_map(record, registrar, sealed_map, target, secret, tags=tags)
    say(f"{count} voters in {target}")
    if tags is not None:
        say("every tag is that of its voter")


@voter.command()
@record_argument
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
def enrol(record: Path, folder: Path) -> None:
    """Draw a code into FOLDER, and make the request that the registrar gets.

    The code stays there, in code.txt, for `evote ballot ... --code-file`.
    """
    say(registrars.enrol(record, folder))
