"""`evote dispute`: a ballot that the board lost or refused, and who is to blame."""

from __future__ import annotations

from pathlib import Path

import click

from evote._files import read_file, write_file
from evote._refusals import MAX_REFUSAL, decode_refusal
from evote.board import MAX_BODY, decode_receipt
from evote.cli._common import (
    directory_option,
    passphrase,
    passphrase_option,
    plain,
    record_argument,
    say,
)
from evote.cli.ballot import RECEIPT_LIMIT
from evote.disputes import (
    MAX_DISPUTE,
    Dispute,
    Verdict,
    answer_dispute,
    decode_dispute,
    encode_answer,
    encode_dispute,
    judge,
)

__all__ = ["dispute"]

EXIT = {Verdict.UNFOUNDED: 0, Verdict.BOARD: 1, Verdict.OPEN: 3}

file_argument = click.argument(
    "file", metavar="DISPUTE", type=click.Path(exists=True, dir_okay=False, path_type=Path)
)
output_option = click.option(
    "-o", "--output", required=True, type=click.Path(dir_okay=False, path_type=Path)
)


@click.group()
def dispute() -> None:
    """Show who is to blame for a ballot that is not on the board.

    A voter opens a dispute with a receipt, or with the refusal that the board has signed; the board
    answers; anyone judges, from the files alone.
    """


@dispute.command("open")
@click.option(
    "--receipt",
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The board acknowledged the ballot, and it is not there.",
)
@click.option(
    "--refusal",
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The board refused a ballot that is valid; with --ballot.",
)
@click.option(
    "--ballot",
    "folder",
    metavar="FOLDER",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Where the refused ballot is.",
)
@output_option
def open_(receipt: Path | None, refusal: Path | None, folder: Path | None, output: Path) -> None:
    """Put a voter's evidence into one file. It holds the ballot as it was sent, and no secret."""
    if (receipt is None) == (refusal is None) or (refusal is None) != (folder is None):
        raise click.UsageError("--receipt FILE, or --refusal FILE and --ballot FOLDER")
    if receipt is not None:
        data = read_file(receipt, RECEIPT_LIMIT)
        claim = Dispute(evidence=decode_receipt(data, where=plain(receipt)))
    else:
        assert refusal is not None
        assert folder is not None
        data = read_file(refusal, MAX_REFUSAL)
        body = read_file(folder / "ballot.json", MAX_BODY)
        claim = Dispute(evidence=decode_refusal(data, where=plain(refusal)), body=body)
    write_file(output, encode_dispute(claim))
    say(output)


@dispute.command()
@record_argument
@file_argument
@directory_option("--board", "Directory of the board.")
@output_option
@passphrase_option
def answer(
    record: Path, file: Path, board: Path, output: Path, passphrase_file: Path | None
) -> None:
    """The board's answer: a receipt under its present head, or a refusal with the reason.

    A valid ballot that was refused is taken in, while voting goes on. Exit code 1: the board has no
    answer, for what its receipt says is not in its log.
    """
    data = read_file(file, MAX_DISPUTE)
    decode_dispute(data, where=plain(file))
    given = answer_dispute(record, board, data, passphrase(passphrase_file))
    write_file(output, encode_answer(given))
    say(output)


@dispute.command("judge")
@record_argument
@file_argument
@click.option(
    "--answer",
    "reply",
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="What the board answered.",
)
@click.pass_context
def judge_(context: click.Context, record: Path, file: Path, reply: Path | None) -> None:
    """Judge a claim by a copy of RECORD, and ask nobody.

    Exit code 0: the claim is unfounded; 1: the board is to blame; 3: nobody can tell yet; 4: a file
    cannot be read.
    """
    data = read_file(file, MAX_DISPUTE)
    found = judge(record, data, None if reply is None else read_file(reply, MAX_DISPUTE))
    say(f"{found.verdict}: {found.reason}")
    context.exit(EXIT[found.verdict])
