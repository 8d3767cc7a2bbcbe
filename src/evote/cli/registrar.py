"""`evote registrar` and `evote voter`: codes, the roll, and keys that voters draw themselves."""

from __future__ import annotations

from pathlib import Path

import click

from evote import registrars, workflow
from evote.cli._common import (
    directory_argument,
    jobs_option,
    passphrase,
    passphrase_option,
    progress,
    quiet_option,
    record_argument,
    say,
)

__all__ = ["registrar", "voter"]

voters_argument = click.argument(
    "voters", type=click.Path(exists=True, dir_okay=False, path_type=Path)
)


@click.group()
def registrar() -> None:
    """Draw the voters' codes and sign the roll."""


@click.group()
def voter() -> None:
    """What a voter does who draws the key, where the manifest says `enrolled`."""


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
@jobs_option
@quiet_option
@passphrase_option
def issue(
    record: Path,
    directory: Path,
    voters: Path,
    codes: Path,
    part: Path | None,
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
    with progress(quiet=quiet) as show:
        count = registrars.issue(
            record, directory, voters, codes, secret, part=part, jobs=jobs, progress=show
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
@quiet_option
@passphrase_option
def combine(
    record: Path,
    directory: Path,
    voters: Path,
    parts: tuple[Path, ...],
    quiet: bool,
    passphrase_file: Path | None,
) -> None:
    """Join the parts of all registrars to the roll, and sign it; each registrar does this.

    The first publishes it; the others find the same one, or do not sign.
    """
    secret = passphrase(passphrase_file)
    with progress(quiet=quiet) as show:
        count = registrars.combine(record, directory, voters, parts, secret, progress=show)
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
@quiet_option
@passphrase_option
def collect(
    record: Path,
    directory: Path,
    voters: Path,
    requests: Path,
    quiet: bool,
    passphrase_file: Path | None,
) -> None:
    """Publish and sign the roll of the keys that voters have drawn themselves.

    Whose request it is, is for the registrar to see to, as with any form that is handed in.
    """
    secret = passphrase(passphrase_file)
    with progress(quiet=quiet) as show:
        count = registrars.collect(record, directory, voters, requests, secret, progress=show)
    say(f"roll of {count} voters signed")


@registrar.command()
@record_argument
@directory_argument
@passphrase_option
def sign(record: Path, directory: Path, passphrase_file: Path | None) -> None:
    """Add a further registrar's signature to a roll that another has published."""
    workflow.cosign_roll(record, directory, passphrase(passphrase_file))
    say("roll signed")


@voter.command()
@record_argument
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
def enrol(record: Path, folder: Path) -> None:
    """Draw a code into FOLDER, and make the request that the registrar gets.

    The code stays there, in code.txt, for `evote ballot ... --code-file`.
    """
    say(registrars.enrol(record, folder))
