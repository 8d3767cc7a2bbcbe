"""`evote export`: an election's proofs as other systems' verifiers read them."""

from __future__ import annotations

from pathlib import Path

import click

from evote.cli._common import jobs_option, record_argument, say
from evote.interop.belenios import profile
from evote.interop.verificatum import export_record

__all__ = ["export"]


@click.group()
def export() -> None:
    """Write an election for another system's verifier; its profile must be that system's."""


@export.command()
@record_argument
@click.argument("directory", type=click.Path(file_okay=False, path_type=Path))
@jobs_option
def verificatum(record: Path, directory: Path, jobs: int) -> None:
    """Audit RECORD and write its shuffles to DIRECTORY, a session for each mixing unit."""
    report, places = export_record(record, directory, jobs=jobs)
    for place in places:
        say(place)
    say(report.verdict)


@export.command()
@record_argument
@click.argument("file", type=click.Path(path_type=Path))
@jobs_option
def belenios(record: Path, file: Path, jobs: int) -> None:
    """Audit RECORD and copy its archive to FILE, <uuid>.bel, or into a directory."""
    report, place = profile.export_record(record, file, jobs=jobs)
    say(place)
    say(report.verdict)
