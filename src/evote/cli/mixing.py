"""`evote mix`: shuffle the ballots that are mixed, check the shuffles, print what comes out."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import click

from evote import workflow
from evote.cli._common import (
    cluster_option,
    directory_argument,
    jobs_option,
    passphrase,
    passphrase_option,
    pin_options,
    plain,
    progress,
    quiet_option,
    record_argument,
    say,
    workers,
)
from evote.cli._profiles import of_belenios, refuse_belenios, refuse_witnesses
from evote.cli.operators import mix
from evote.encoding import JSON, canonical_json
from evote.packing import ContestAnswers, Verdict
from evote.record import Record
from evote.verify import audited_mixes

__all__ = ["mix"]


@mix.command()
@record_argument
@directory_argument
@passphrase_option
@click.option(
    "--verificatum-proof",
    "verificatum",
    metavar="DIR",
    type=click.Path(file_okay=False, path_type=Path),
    help="Prove each shuffle to Verificatum's verifier too; the same DIR for all servers.",
)
@pin_options
@jobs_option
@cluster_option
@quiet_option
def shuffle(
    record: Path,
    directory: Path,
    passphrase_file: Path | None,
    verificatum: Path | None,
    expect_manifest: str | None,
    witness_policy: Path | None,
    jobs: int,
    cluster: str | None,
    quiet: bool,
) -> None:
    """Verify the sealed RECORD and the servers before this one, then shuffle and prove.

    The mix servers of a manifest take turns, in its order. An interrupted run goes on where it was.
    In the profile belenios trustees shuffle, in any order, once at least a quorum of them.
    """
    secret = passphrase(passphrase_file)
    with progress(quiet=quiet) as show, workers(jobs, cluster) as where:
        if of_belenios(record):
            from evote.interop.belenios import profile

            refuse_witnesses(witness_policy)
            if verificatum is not None:
                raise click.UsageError("shuffles of the profile belenios have one proof")
            paths = profile.mix(
                record,
                directory,
                secret,
                expect_manifest=expect_manifest,
                jobs=where,
                progress=show,
            )
        else:
            paths = workflow.mix(
                record,
                directory,
                secret,
                verificatum=verificatum,
                expect_manifest=expect_manifest,
                witness_policy=witness_policy,
                jobs=where,
                progress=show,
            )
    for path in paths:
        say(path)


@mix.command()
@record_argument
@pin_options
@jobs_option
@cluster_option
@quiet_option
@click.pass_context
def verify(
    context: click.Context,
    record: Path,
    expect_manifest: str | None,
    witness_policy: Path | None,
    jobs: int,
    cluster: str | None,
    quiet: bool,
) -> None:
    """Verify a sealed RECORD and the shuffles that are there; say how far each unit is.

    `evote verify` checks the same of a finished record, and all the rest.
    """
    refuse_belenios(record, "mix servers: evote verify checks the trustees' shuffles")
    with progress(quiet=quiet) as show, workers(jobs, cluster) as where:
        report, _, units = audited_mixes(
            record,
            expect_manifest=expect_manifest,
            witness_policy=witness_policy,
            jobs=where,
            progress=show,
        )
    mixers = len(Record(record).manifest.mixers)
    for mixed in units:
        done = f"{mixed.steps} of {mixers} shuffles verified"
        say(f"{mixed.unit}: {mixed.unit.ballots} ballots, {done}")
    for finding in (*report.failures(), *report.unchecked()):
        say(f"{finding.check} {finding.outcome}: {finding.detail}")
    context.exit(report.exit_code)


@mix.command()
@record_argument
@click.option("--contest", metavar="ID", help="Of this contest only.")
def ballots(record: Path, contest: str | None) -> None:
    """Print what the mixed ballots say, once the trustees have decrypted them.

    One JSON object a line: unit, weight, contest, verdict, and of a valid ballot its selections (in
    a ranking 1 for the first preference) and what is written in. Whoever wants can count again.
    """
    known = [known.id for known in Record(record).manifest.contests]
    if contest is not None and contest not in known:
        raise click.UsageError(f"no contest {plain(contest)!r}: {', '.join(known)}")
    if of_belenios(record):
        from evote.interop.belenios import profile

        found = profile.mixed_answers(record)
        _print_answers((a for a in found if contest in (None, a.contest.id)), {"weight": 1})
        return
    for unit, answers in workflow.mixed_answers(record):
        if contest in (None, answers.contest.id):
            _print_answers([answers], {"unit": unit.number, "weight": unit.weight})


def _print_answers(found: Iterable[ContestAnswers], head: dict[str, JSON]) -> None:
    for answers in found:
        for i in range(len(answers.verdicts)):
            say(canonical_json(head | _answer(answers, i)).decode("utf-8"))


def _answer(answers: ContestAnswers, i: int) -> dict[str, JSON]:
    verdict = Verdict(int(answers.verdicts[i]))
    answer: dict[str, JSON] = {"contest": answers.contest.id, "verdict": verdict.name.lower()}
    if verdict is Verdict.VALID:
        answer["selections"] = answers.selections[i].tolist()
        if answers.contest.takes_write_ins:
            answer["write_in"] = answers.write_ins[i]
    return answer
