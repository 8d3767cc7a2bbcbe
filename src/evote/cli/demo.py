"""`evote demo`: a real-size election from nothing to its audit, and one wrong byte found."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import click

from evote.cli._common import jobs_option, progress, quiet_option, say, table
from evote.cli.results import print_result
from evote.demo import alter_one_byte, peoples_council_2013, run_election
from evote.record import Record
from evote.verify import Report, audit

__all__ = ["demo"]

FAILED = 1


@click.command()
@click.option(
    "--voters",
    type=click.IntRange(1, 100_000),
    default=1783,
    show_default=True,
    help="How many vote; the default is how many did.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    default=Path("evote-demo"),
    show_default=True,
    help="Directory to make.",
)
@jobs_option
@quiet_option
@click.pass_context
def demo(context: click.Context, voters: int, output: Path, jobs: int, quiet: bool) -> None:
    """Run the Zhukovsky People's Council election of 2013 and audit it.

    27 candidates, up to 15 marks for each of 1,783 voters, three of five trustees. Then one byte
    of a copy is altered, and the audit finds it.
    """
    begin = time.monotonic()
    with progress(quiet=quiet) as show:
        election = run_election(
            peoples_council_2013(voters), output, jobs=jobs, say=say, progress=show
        )
        say()
        print_result(Record(election.record).manifest, election.result)
        say(f"\nThe record: {election.record}\n\nIts audit:")
        for line in finding_lines(election.report):
            say(line)
        altered = output / "altered"
        say(f"\nNow one byte of a copy is altered: {alter_one_byte(election.record, altered)}")
        found = audit(altered, jobs=jobs, progress=show)
    for finding in found.failures():
        say(f"  {finding.check} {finding.outcome}: {finding.detail}")
    say(f"  {found.verdict}\n  exit code {found.exit_code} of evote verify {altered}")
    say(f"\n{time.monotonic() - begin:.0f} s in all")
    if not election.report.ok or found.exit_code != FAILED:
        context.exit(FAILED)


def finding_lines(report: Report) -> Iterator[str]:
    """Every check with its outcome and count, and the verdict."""
    rows = [(finding.outcome, finding.check, finding.checked) for finding in report.findings]
    yield from (f"  {line}" for line in table(rows, numbers=1))
    yield f"  {report.verdict}"
    yield f"  exit code {report.exit_code} of evote verify --expect-manifest DIGEST"
