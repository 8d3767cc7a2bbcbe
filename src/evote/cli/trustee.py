"""`evote trustee`: the key ceremony, and the decryption of the tally."""

from __future__ import annotations

from pathlib import Path

import click

from evote import ceremony, workflow
from evote.cli._common import (
    cluster_option,
    directory_argument,
    jobs_option,
    passphrase,
    passphrase_option,
    pin_options,
    progress,
    quiet_option,
    record_argument,
    say,
    workers,
)
from evote.cli._profiles import of_belenios, refuse_witnesses
from evote.groups import named_group
from evote.operators import backup_operator, create_operator, restore_operator

__all__ = ["trustee"]

FAILED = 1


@click.group()
def trustee() -> None:
    """Hold a share of the election's key.

    Every trustee works in a directory of its own and shares only the record with the others. Each
    step may be repeated: it posts the same file again.
    """


def refuse_without_shares(record: Path) -> None:
    """Refuse what is about shares where every trustee has a key of its own."""
    if of_belenios(record):
        from evote.interop.belenios import profile

        if not profile.has_shares(record):
            raise click.UsageError("all trustees decrypt, each with a key of its own: no shares")


@trustee.command()
@directory_argument
@click.option("--id", "identifier", required=True, metavar="ID", help="Name in the manifest.")
@click.option("--group", default="ristretto255", show_default=True, help="Group of the election.")
@passphrase_option
def init(directory: Path, identifier: str, group: str, passphrase_file: Path | None) -> None:
    """Make the trustee's keys in DIRECTORY; card.json there goes into the manifest."""
    chosen = named_group(group)
    secret = passphrase(passphrase_file, confirm=True)
    create_operator(directory, "trustee", identifier, secret, group=chosen)
    say(directory / "card.json")


@trustee.command()
@record_argument
@directory_argument
@passphrase_option
def commit(record: Path, directory: Path, passphrase_file: Path | None) -> None:
    """Round 1: post the hash of this trustee's polynomial."""
    if of_belenios(record):
        from evote.interop.belenios import profile

        say(profile.commit(directory, record, passphrase(passphrase_file)))
    else:
        say(ceremony.trustee_commit(directory, record, passphrase(passphrase_file)))


@trustee.command()
@record_argument
@directory_argument
@passphrase_option
def reveal(record: Path, directory: Path, passphrase_file: Path | None) -> None:
    """Round 2, once all have committed: post the polynomial's commitments and the shares."""
    if of_belenios(record):
        from evote.interop.belenios import profile

        say(profile.reveal(directory, record, passphrase(passphrase_file)))
    else:
        say(ceremony.trustee_reveal(directory, record, passphrase(passphrase_file)))


@trustee.command()
@record_argument
@directory_argument
@passphrase_option
@click.pass_context
def check(
    context: click.Context, record: Path, directory: Path, passphrase_file: Path | None
) -> None:
    """Check everybody's files; confirm the key, or say what is wrong and whose it is."""
    outcome: Path | ceremony.CheckOutcome
    if of_belenios(record):
        from evote.interop.belenios import profile

        outcome = profile.check(directory, record, passphrase(passphrase_file))
    else:
        outcome = ceremony.trustee_check(directory, record, passphrase(passphrase_file))
    if isinstance(outcome, Path):
        say(outcome)
        return
    for line in outcome.lines:
        say(line)
    if outcome.confirmed is None:
        context.exit(FAILED)
    say(outcome.confirmed)


@trustee.command()
@record_argument
@directory_argument
@passphrase_option
def complain(record: Path, directory: Path, passphrase_file: Path | None) -> None:
    """Accuse the dealers whose shares to this trustee are wrong, with a proof anyone can judge."""
    refuse_without_shares(record)
    for path in ceremony.trustee_complain(directory, record, passphrase(passphrase_file)):
        say(path)


@trustee.command()
@directory_argument
@click.argument("file", type=click.Path(path_type=Path))
@passphrase_option
def backup(directory: Path, file: Path, passphrase_file: Path | None) -> None:
    """Copy the trustee's keys, sealed under the passphrase, to FILE."""
    backup_operator(directory, file, passphrase(passphrase_file))
    say(file)


@trustee.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@directory_argument
@passphrase_option
def restore(file: Path, directory: Path, passphrase_file: Path | None) -> None:
    """Make DIRECTORY again from a backup FILE."""
    card = restore_operator(file, directory, passphrase(passphrase_file))
    say(f"{card.role} {card.id} in {directory}")


@trustee.command()
@record_argument
@directory_argument
@click.argument("scratch", type=click.Path(file_okay=False, path_type=Path))
@passphrase_option
def rehearse(record: Path, directory: Path, scratch: Path, passphrase_file: Path | None) -> None:
    """Try the shares before they matter: decrypt a test value with the others, in SCRATCH."""
    refuse_without_shares(record)
    outcome = ceremony.trustee_rehearse(directory, record, scratch, passphrase(passphrase_file))
    if outcome.done:
        say(f"rehearsed: trustees {', '.join(map(str, outcome.shares))} decrypt together")
    else:
        say(f"{len(outcome.shares)} of {outcome.quorum} shares are there")


@trustee.command()
@record_argument
@directory_argument
@passphrase_option
@pin_options
@jobs_option
@cluster_option
@quiet_option
def decrypt(
    record: Path,
    directory: Path,
    passphrase_file: Path | None,
    expect_manifest: str | None,
    witness_policy: Path | None,
    jobs: int,
    cluster: str | None,
    quiet: bool,
) -> None:
    """Verify the whole record up to the tally, then post this trustee's decryption share.

    Pin the record: a trustee who decrypts whatever is consistent can be led to a second election.
    """
    secret = passphrase(passphrase_file)
    with progress(quiet=quiet) as report, workers(jobs, cluster) as where:
        if of_belenios(record):
            from evote.interop.belenios import profile

            refuse_witnesses(witness_policy)
            path = profile.decrypt_share(
                record,
                directory,
                secret,
                expect_manifest=expect_manifest,
                jobs=where,
                progress=report,
            )
        else:
            path = workflow.decrypt_share(
                record,
                directory,
                secret,
                expect_manifest=expect_manifest,
                witness_policy=witness_policy,
                jobs=where,
                progress=report,
            )
    say(path)
