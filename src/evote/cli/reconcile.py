"""`evote reconcile`: who voted on paper and online too."""

from __future__ import annotations

from pathlib import Path

import click

from evote import reconcile as steps
from evote.cli._common import (
    F,
    directory_argument,
    jobs_option,
    passphrase,
    passphrase_option,
    progress,
    quiet_option,
    record_argument,
    say,
)

__all__ = ["reconcile"]

FILE = click.Path(path_type=Path)
OLD_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)

book_argument = click.argument("book", type=OLD_FILE)


def made_options(function: F) -> F:
    """What the steps before have made."""
    secret = click.option(
        "--secret-file",
        "secret",
        required=True,
        metavar="FILE",
        type=OLD_FILE,
        help="The seed that `ask` drew.",
    )
    request = click.option(
        "--request", required=True, metavar="FILE", type=OLD_FILE, help="What `ask` asked."
    )
    answers = click.option(
        "--answer",
        "answers",
        required=True,
        multiple=True,
        metavar="FILE",
        type=OLD_FILE,
        help="What a registrar answered; once for each who makes tags.",
    )
    tags = click.option(
        "--tags",
        required=True,
        multiple=True,
        metavar="FILE",
        type=OLD_FILE,
        help="The tags of the roll; once for each registrar who makes them.",
    )
    return secret(request(answers(tags(function))))


@click.group()
def reconcile() -> None:
    """Find who voted on paper and online too, and tell nobody else who voted."""


@reconcile.command()
@record_argument
@directory_argument
@book_argument
@click.option(
    "-o", "--request", required=True, metavar="FILE", type=FILE, help="For the registrars."
)
@click.option(
    "--secret-file",
    "secret",
    required=True,
    metavar="FILE",
    type=FILE,
    help="For `match`; readable by you only.",
)
@jobs_option
@quiet_option
@passphrase_option
def ask(
    record: Path,
    directory: Path,
    book: Path,
    request: Path,
    secret: Path,
    jobs: int,
    quiet: bool,
    passphrase_file: Path | None,
) -> None:
    """Ask the registrars about the people in BOOK, without telling them who these are.

    BOOK is a CSV with a column identity: who voted on paper, written as in the registrars' list.
    DIRECTORY is that of the authority who holds it.
    """
    word = passphrase(passphrase_file)
    with progress(quiet=quiet) as show:
        count = steps.ask(record, directory, book, request, secret, word, jobs=jobs, progress=show)
    say(f"{count} people asked about in {request}")


@reconcile.command()
@record_argument
@directory_argument
@click.argument("request", type=OLD_FILE)
@click.option("-o", "--answer", "target", required=True, metavar="FILE", type=FILE, help="New.")
@jobs_option
@quiet_option
@passphrase_option
def answer(
    record: Path,
    directory: Path,
    request: Path,
    target: Path,
    jobs: int,
    quiet: bool,
    passphrase_file: Path | None,
) -> None:
    """Answer a REQUEST as the registrar of DIRECTORY, who learns how many it is about."""
    word = passphrase(passphrase_file)
    with progress(quiet=quiet) as show:
        count = steps.answer(record, directory, request, target, word, jobs=jobs, progress=show)
    say(f"{count} questions answered in {target}")


@reconcile.command()
@record_argument
@book_argument
@made_options
@click.option(
    "-o", "--strikes", required=True, metavar="FILE", type=FILE, help="Credentials to be struck."
)
@jobs_option
@quiet_option
def match(
    record: Path,
    book: Path,
    secret: Path,
    request: Path,
    answers: tuple[Path, ...],
    tags: tuple[Path, ...],
    strikes: Path,
    jobs: int,
    quiet: bool,
) -> None:
    """Write the credentials of those in BOOK who have cast a ballot, for `evote election strike`.

    People in BOOK whose tag is on no line of the roll are named by their lines: either they have
    no credential, or somebody made a mistake.
    """
    with progress(quiet=quiet) as show:
        found = steps.match(
            *(record, book, secret, request, answers, tags),
            strikes=strikes,
            jobs=jobs,
            progress=show,
        )
    tell(found)
    say(f"strikes {strikes}")


@reconcile.command()
@record_argument
@book_argument
@made_options
@click.option(
    "--strikes", required=True, metavar="FILE", type=OLD_FILE, help="The list to be checked."
)
@jobs_option
@quiet_option
def check(
    record: Path,
    book: Path,
    secret: Path,
    request: Path,
    answers: tuple[Path, ...],
    tags: tuple[Path, ...],
    strikes: Path,
    jobs: int,
    quiet: bool,
) -> None:
    """Check a strike list, as an auditor who holds the paper roll and all files of the steps."""
    with progress(quiet=quiet) as show:
        found = steps.check(
            *(record, book, secret, request, answers, tags, strikes), jobs=jobs, progress=show
        )
    tell(found)
    say("the strike list is right")


def tell(found: steps.Match) -> None:
    """The numbers, and the lines of the book that matter to its holder."""
    say(f"{found.asked} voted on paper, {len(found.struck)} of them online too")
    for line in found.unknown:
        say(f"line {line}: not on the roll")
