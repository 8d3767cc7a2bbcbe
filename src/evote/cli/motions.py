"""`evote motion`: what authorities sign, each on a machine of its own."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import click
import numpy as np

from evote import motions, workflow
from evote._files import read_file, write_file
from evote._privacy import privacy_notices
from evote.board import Confirm, Extend, Open, PhaseEntry, Seal, Strike, unpack_rows
from evote.cli._common import (
    F,
    directory_option,
    passphrase,
    passphrase_option,
    plain,
    record_argument,
    say,
    warn,
)
from evote.cli.election import (
    list_argument,
    read_credentials,
    reason_option,
    say_entries,
    shown_time,
    until_option,
)
from evote.motions import (
    MAX_MOTION,
    MAX_SIGNATURES,
    Motion,
    decode_motion,
    decode_motion_signatures,
)
from evote.record import Record

__all__ = ["motion"]

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)

output_option = click.option(
    "-o", "--output", required=True, type=click.Path(dir_okay=False, path_type=Path)
)


@click.group()
def motion() -> None:
    """Entries of the board that authorities sign, each on a machine of its own.

    Anybody makes a motion from the record; every authority signs it, against a copy of the record
    of its own; the board carries it once a quorum has. `evote election` does all in one call.
    """


def proposes(function: F) -> F:
    """A record, and the file that the motion goes to."""
    return record_argument(output_option(function))


@motion.command("open")
@proposes
def open_(record: Path, output: Path) -> None:
    """A motion to open the election."""
    proposed = motions.propose_opening(record)
    parameters = workflow.load_parameters(record)
    roll = workflow.signed_roll(Record(record), parameters)
    for notice in privacy_notices(parameters.manifest, roll, np.arange(len(roll))):
        warn(f"warning: {notice.id}: {notice.detail}")
    save(record, proposed, output)


@motion.command()
@proposes
@list_argument
@reason_option
def strike(record: Path, output: Path, voters: Path, reason: str) -> None:
    """A motion to strike the voters in LIST, as `evote election strike` does."""
    make = motions.strike(read_credentials(voters), reason)
    save(record, motions.propose_ruling(record, make), output)


@motion.command()
@proposes
@list_argument
@reason_option
def confirm(record: Path, output: Path, voters: Path, reason: str) -> None:
    """A motion to confirm the provisional voters in LIST."""
    make = motions.confirmation(read_credentials(voters), reason)
    save(record, motions.propose_ruling(record, make), output)


@motion.command()
@proposes
@until_option
@reason_option
def extend(record: Path, output: Path, until: datetime, reason: str) -> None:
    """A motion to announce a later end of voting."""
    make = motions.extension(int(until.replace(tzinfo=UTC).timestamp()), reason)
    save(record, motions.propose_ruling(record, make), output)


@motion.command()
@proposes
@reason_option
def close(record: Path, output: Path, reason: str) -> None:
    """A motion to take no more ballots."""
    make = motions.phase_change("closed", reason)
    save(record, motions.propose_ruling(record, make), output)


@motion.command()
@proposes
@reason_option
def reopen(record: Path, output: Path, reason: str) -> None:
    """A motion to take ballots again."""
    make = motions.phase_change("voting", reason)
    save(record, motions.propose_ruling(record, make), output)


@motion.command()
@proposes
def seal(record: Path, output: Path) -> None:
    """A motion to seal the log as it is. A ballot that comes after makes it void."""
    save(record, motions.propose_seal(record), output)


@motion.command()
@record_argument
@click.argument("file", metavar="MOTION", type=FILE)
@directory_option("--authority", "Directory of the authority that signs.")
@output_option
@passphrase_option
def sign(
    record: Path, file: Path, authority: Path, output: Path, passphrase_file: Path | None
) -> None:
    """Sign MOTION as an authority, if it is what RECORD leads to. Prints what is signed."""
    proposed = read_motion(file)
    signed = motions.sign(record, proposed, authority, passphrase(passphrase_file))
    describe(record, proposed)
    write_file(output, motions.encode_motion_signatures(signed), overwrite=True)
    say(f"signed by {signed.authority}")


@motion.command()
@record_argument
@click.argument("file", metavar="MOTION", type=FILE)
@click.argument("signatures", nargs=-1, required=True, type=FILE)
@directory_option("--board", "Directory of the board.")
@passphrase_option
def carry(
    record: Path,
    file: Path,
    signatures: tuple[Path, ...],
    board: Path,
    passphrase_file: Path | None,
) -> None:
    """Append MOTION to the board, with the SIGNATURES of a quorum of authorities."""
    proposed = read_motion(file)
    signed = [
        decode_motion_signatures(read_file(path, MAX_SIGNATURES), where=plain(path))
        for path in signatures
    ]
    done = motions.carry(record, proposed, signed, board, passphrase(passphrase_file))
    describe(record, proposed)
    say_entries(done, "carried")


def read_motion(path: Path) -> Motion:
    """A motion in a file."""
    return decode_motion(read_file(path, MAX_MOTION), where=plain(path))


def save(record: Path, proposed: Motion, output: Path) -> None:
    """Write a motion, and say what it is."""
    write_file(output, motions.encode_motion(proposed), overwrite=True)
    describe(record, proposed)


def describe(record: Path, proposed: Motion) -> None:
    """What a motion does, in lines for people, and its digest."""
    for line in _lines(record, proposed):
        say(line)
    say(f"motion {proposed.digest().hex()}")


def _lines(record: Path, proposed: Motion) -> Iterator[str]:
    lists = any(isinstance(entry, Strike | Confirm) for entry in proposed.entries)
    parameters = workflow.load_parameters(record)
    roll = workflow.signed_roll(Record(record), parameters) if lists else None
    for entry in proposed.entries:
        match entry:
            case Open():
                yield f"open the election of manifest {entry.manifest.hex()}"
            case Strike() | Confirm():
                verb = "strike" if isinstance(entry, Strike) else "confirm"
                rows = unpack_rows(entry.rows)
                yield f"{verb} {len(rows)} voters: {entry.reason}"
                assert roll is not None
                for row in rows.tolist():
                    yield f"  {roll.row(row).credential.hex()}"
            case Extend():
                yield f"voting ends at {shown_time(entry.end)}: {entry.reason}"
            case PhaseEntry():
                done = "take no more ballots" if entry.phase == "closed" else "take ballots again"
                yield f"{done}: {entry.reason}"
            case Seal():
                parts = f"{entry.counted} counted + {entry.superseded} superseded"
                parts += f" + {entry.struck} struck + {entry.unconfirmed} unconfirmed"
                yield f"seal: {entry.cast} cast = {parts}; {entry.spoiled} spoiled"
