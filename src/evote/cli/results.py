"""`evote tally` and `evote result`: sum the counted ballots, publish what they say."""

from __future__ import annotations

from pathlib import Path

import click

from evote import workflow
from evote.cli._common import (
    cluster_option,
    directory_option,
    jobs_option,
    passphrase,
    passphrase_option,
    progress,
    quiet_option,
    record_argument,
    say,
    table,
    workers,
)
from evote.cli._profiles import of_belenios
from evote.election import Manifest
from evote.record import Record
from evote.tally import Result, decode_result, result_lines

__all__ = ["print_result", "result", "tally"]


@click.command()
@record_argument
@directory_option("--board", "Directory of the board.")
@passphrase_option
@jobs_option
@cluster_option
@quiet_option
def tally(
    record: Path,
    board: Path,
    passphrase_file: Path | None,
    jobs: int,
    cluster: str | None,
    quiet: bool,
) -> None:
    """Multiply the counted ballots into encrypted sums, for the trustees to decrypt."""
    secret = passphrase(passphrase_file)
    with progress(quiet=quiet) as show, workers(jobs, cluster) as where:
        if of_belenios(record):
            from evote.interop.belenios import profile

            say(profile.compute_tally(record, board, secret, progress=show))
            return
        workflow.compute_tally(record, board, secret, jobs=where, progress=show)
    say(record / "tally.json")


@click.command()
@record_argument
@click.option(
    "--board",
    metavar="DIR",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Directory of the board: combine the trustees' shares and publish the result first.",
)
@passphrase_option
def result(record: Path, board: Path | None, passphrase_file: Path | None) -> None:
    """Print the result; with --board, publish it from the trustees' shares.

    Printing checks nothing: `evote verify` does.
    """
    if of_belenios(record):
        from evote.interop.belenios import profile

        outcome = (
            profile.result_of(record)
            if board is None
            else profile.publish_result(record, board, passphrase(passphrase_file))
        )
        print_result(Record(record).manifest, outcome)
        return
    if board is not None:
        published = workflow.publish_result(record, board, passphrase(passphrase_file))
        print_result(Record(record).manifest, published)
        return
    opened = Record(record)
    print_result(opened.manifest, decode_result(opened.manifest, opened.result_bytes()))


def print_result(manifest: Manifest, outcome: Result) -> None:
    """The votes of every contest."""
    say(manifest.title)
    for heading, votes, rest in result_lines(manifest, outcome):
        say("")
        say(heading)
        for line in table([*sorted(votes, key=lambda row: -row[1]), *rest], numbers=1):
            say(f"  {line}")
