"""`evote turnout`: who came, against the roll and against observers."""

from __future__ import annotations

from pathlib import Path

import click

from evote import turnout as figures
from evote._files import write_file
from evote.cli._common import jobs_option, progress, quiet_option, record_argument, say, table
from evote.record import Record

__all__ = ["turnout"]

FILE = click.Path(dir_okay=False, path_type=Path)


@click.command()
@record_argument
@click.option(
    "--observers",
    metavar="COUNTS",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="CSV with the columns district, seen and, unless they saw all, coverage in percent.",
)
@click.option("--chart", metavar="FILE", type=FILE, help="SVG of the districts' numbers.")
@click.option("--histogram", metavar="FILE", type=FILE, help="SVG of voters by turnout.")
@jobs_option
@quiet_option
def turnout(
    record: Path,
    observers: Path | None,
    chart: Path | None,
    histogram: Path | None,
    jobs: int,
    quiet: bool,
) -> int:
    """Compare by district who has voted with the roll, and with what observers counted.

    Exit code 1 where a district is named; `evote.turnout` says by which rules.
    """
    counts = {} if observers is None else figures.read_counts(observers)
    with progress(quiet=quiet) as show:
        districts = figures.turnout(record, jobs=jobs, progress=show)
    districts = figures.with_counts(districts, counts)
    outliers = figures.find_outliers(districts)
    title = Record(record).manifest.title
    if chart is not None:
        write_file(chart, figures.draw_districts(districts, outliers, title), overwrite=True)
    if histogram is not None:
        write_file(histogram, figures.draw_histogram(districts, title), overwrite=True)
    rows: list[tuple[object, ...]] = [("district", "on the roll", "voted", "seen")]
    rows += [
        (d.id, d.registered, d.voted, "" if d.observed is None else d.observed.seen)
        for d in districts
    ]
    for line in table(rows, numbers=3):
        say(line)
    for outlier in outliers:
        say(f"{outlier.rule}: {outlier.district}: {outlier.reason}")
    return 1 if outliers else 0
