"""`evote board`: the log, for voters, stations, witnesses and auditors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path

import click

from evote import workflow
from evote._evidence import encode_evidence
from evote._files import make_directory, read_file, write_file
from evote._refusals import encode_refusal
from evote._rulings import open_board
from evote._submissions import decode_submission, submission_limit
from evote.board import (
    Entry,
    MerkleTree,
    Receipt,
    TlogProof,
    WitnessPolicy,
    decode_policy,
    encode_receipt,
    leaf_hash,
)
from evote.cli._common import (
    directory_option,
    jobs_option,
    passphrase,
    passphrase_option,
    plain,
    record_argument,
    say,
    warn,
)
from evote.cli._profiles import refuse_belenios
from evote.cli.fates import counts, fates
from evote.cli.operators import board
from evote.cli.witness import listen_options, shown_address
from evote.election import Manifest
from evote.encoding import encode_hex
from evote.errors import BrokenLog, DecodingError
from evote.fates import reckon
from evote.record import Record
from evote.server._web import Limits, listen, run_server
from evote.server._witnessing import cosign_board
from evote.server.board import BoardServer
from evote.server.monitor import NOT_CHECKED, Broken, Late, monitor

__all__ = ["board"]

_MAX_POLICY = 2**20  # bytes
_AT_ONCE = 1024  # submissions

policy_option = click.option(
    "--witness-policy",
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The witnesses, with their URLs, and how many of them must cosign.",
)


def read_policy(file: Path | None) -> WitnessPolicy | None:
    """The policy in a file."""
    return None if file is None else decode_policy(read_file(file, _MAX_POLICY), where=file.name)


board.add_command(fates)
board.add_command(counts)


@board.command()
@record_argument
def key(record: Path) -> None:
    """Print the key of RECORD's log, as witnesses and policies name it."""
    say(Record(record).manifest.log_key.text)


@board.command()
@record_argument
@policy_option
def checkpoint(record: Path, witness_policy: Path | None) -> None:
    """Print the head of RECORD's log, and who has cosigned it."""
    opened = Record(record)
    head, policy = opened.checkpoint(), read_policy(witness_policy)
    say(f"{head.origin}: {head.size} entries, root {encode_hex(head.root)}")
    if policy is not None:
        _, counted = policy.check(opened.checkpoint_bytes(), log_key=opened.manifest.log_key)
        for item in counted:
            say(f"cosigned by {item.key.name} at {item.timestamp}")


@board.command()
@record_argument
@click.argument("code")
@click.option("-o", "--output", required=True, type=click.Path(dir_okay=False, path_type=Path))
def proof(record: Path, code: str, output: Path) -> None:
    """Write the receipt of the ballot with the tracker CODE, which `evote ballot check` reads."""
    opened = Record(record)
    try:
        found = reckon(record).tracked(code)
    except DecodingError as error:
        raise click.UsageError(str(error)) from None
    if len(found) != 1:
        raise click.UsageError(f"{len(found)} ballots of this board have that tracker")
    [index], head = [ballot.entry for ballot in found], opened.checkpoint()
    tree, entry = MerkleTree(), b""
    for at, data, _ in opened.entries():
        tree.append(leaf_hash(data))
        entry = data if at == index else entry
    if tree.root() != head.root:
        raise BrokenLog("the record's entries do not have the signed root")
    given = TlogProof(
        index=index, hashes=tree.inclusion_proof(index), checkpoint=opened.checkpoint_bytes()
    )
    write_file(output, encode_receipt(Receipt(entry=entry, proof=given)))
    say(output)


@board.command()
@record_argument
@click.argument(
    "batches",
    nargs=-1,
    required=True,
    metavar="BATCH...",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
)
@click.option(
    "-o",
    "--output",
    required=True,
    metavar="FOLDER",
    type=click.Path(file_okay=False, path_type=Path),
)
@directory_option("--board", "Directory of the board.")
@jobs_option
@passphrase_option
def append(
    record: Path,
    batches: tuple[Path, ...],
    output: Path,
    board: Path,
    jobs: int,
    passphrase_file: Path | None,
) -> int:
    """Take in the ballots of each BATCH, as stations without a network bring them.

    A batch has a submission in each line, and a file of its name in FOLDER gets the answer to each
    in the same order: a receipt, or a signed refusal. Each is judged for itself. Repeated after an
    interruption, what is on the board already has its receipt again. Exit code 1 where some are
    refused.
    """
    refuse_belenios(record, "submissions")
    if len({path.name for path in batches}) != len(batches):
        raise click.UsageError("two batches have one name")
    make_directory(output)
    if any(output.samefile(path.parent) for path in batches):
        raise click.UsageError("FOLDER is where a batch is, which the answers would replace")
    total = refused = 0
    with workflow.open_ballot_box(record, board, passphrase(passphrase_file)) as box:
        for path in batches:
            answers = []
            for some in read_batch(path, Record(record).manifest):
                for answer in take_in(box, some, jobs):
                    if isinstance(answer, Receipt):
                        answers.append(encode_receipt(answer))
                    else:
                        answers.append(encode_refusal(answer))
                        refused += 1
            write_file(output / path.name, b"".join([a + b"\n" for a in answers]), overwrite=True)
            total += len(answers)
    say(f"{total} ballots: {total - refused} on the board, {refused} refused")
    return 1 if refused else 0


def read_batch(path: Path, manifest: Manifest) -> Iterator[list[workflow.Submission]]:
    """The submissions of a file, some at a time; a line that is none ends it, and is named."""
    max_body, longest = submission_limit(manifest)
    with path.open("rb") as file:
        some: list[workflow.Submission] = []
        for number in count(1):
            where = f"{plain(path)}: line {number}"
            line = file.readline(longest + 1)
            if not line:
                break
            if not line.endswith(b"\n"):
                raise DecodingError(f"a line of at most {longest} bytes expected", where=where)
            some.append(decode_submission(line[:-1], max_body=max_body, where=where))
            if len(some) == _AT_ONCE:
                yield some
                some = []
    if some:
        yield some


def take_in(
    box: workflow.BallotBox, submissions: Sequence[workflow.Submission], jobs: int
) -> list[Receipt | workflow.Refusal]:
    """What the board answers to each; one that comes twice is taken in once."""
    found: dict[Entry, Receipt | workflow.Refusal | None] = {}
    for item in submissions:
        found.setdefault(item.entry, box.receipt(item.entry))
    by_entry = {item.entry: item for item in submissions}
    new = [item for entry, item in by_entry.items() if found[entry] is None]
    for item, outcome in zip(new, box.submit_each(new, jobs=jobs) if new else [], strict=True):
        found[item.entry] = outcome if isinstance(outcome, Receipt) else outcome.refusal
    answers = [found[item.entry] for item in submissions]
    return [answer for answer in answers if answer is not None]


@board.command()
@record_argument
@directory_option("--board", "Directory of the board.")
@policy_option
@click.option(
    "--connections",
    type=click.IntRange(1, 65536),
    default=2048,
    show_default=True,
    metavar="N",
    help="Most clients at once.",
)
@listen_options
@passphrase_option
def serve(
    record: Path,
    board: Path,
    witness_policy: Path | None,
    connections: int,
    host: str,
    port: int,
    passphrase_file: Path | None,
) -> None:
    """Take ballots for RECORD over HTTP and serve its files, until interrupted.

    A ballot is answered by its receipt, once it is on the disk and under a signed head, or by a
    signed refusal. Witnesses are asked to cosign, and what their quorum has cosigned is served. Put
    a proxy before it that speaks TLS; the default address is this machine's own.
    """
    refuse_belenios(record, "server of ballots")
    policy, secret = read_policy(witness_policy), passphrase(passphrase_file)
    with workflow.open_ballot_box(record, board, secret) as box, listen(host, port) as at:
        server = BoardServer(Record(record), box, policy=policy)
        with server.running():
            say(f"serving on {shown_address(at.getsockname())}")
            run_server(server.handle, at, Limits(connections=connections))


@board.command("cosign")
@record_argument
@directory_option("--board", "Directory of the board.")
@click.option(
    "--witness-policy",
    required=True,
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The witnesses, with their URLs, and how many of them must cosign.",
)
@passphrase_option
def cosign_(record: Path, board: Path, witness_policy: Path, passphrase_file: Path | None) -> int:
    """Have the witnesses cosign the head of RECORD's log now, without a server.

    A server has each head cosigned by itself, and keeps the board locked. This is for the heads
    that there are without one: of the opening, of batches, of rulings, of the seal, of the result.

    Exit code 3: their quorum has not cosigned it, and the head is as it was.
    """
    policy = decode_policy(read_file(witness_policy, _MAX_POLICY), where=witness_policy.name)
    with open_board(record, board, passphrase(passphrase_file)) as opened:
        cosignatures, problems = cosign_board(opened, policy)
        size = opened.size
    for name, problem in sorted(problems.items()):
        warn(f"{name}: {problem}")
    if cosignatures is None:
        warn(f"evote: the quorum has not cosigned the head of {size} entries")
        return 3
    say(f"{size} entries")
    for name in sorted(item.key.name for item in cosignatures):
        say(f"cosigned by {name}")
    return 0


@board.command("monitor")
@click.argument("source", metavar="RECORD|URL")
@click.option(
    "--state",
    required=True,
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="What this monitor has seen last; made by its first run.",
)
@click.option(
    "--expect-manifest",
    metavar="DIGEST",
    help="The manifest's digest as it was published elsewhere, 64 hex digits.",
)
@policy_option
@click.option(
    "--max-delay",
    type=click.IntRange(1),
    metavar="SECONDS",
    help="How old the quorum's cosignatures may be.",
)
@click.option(
    "--evidence",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Where two heads go that contradict each other.  [default: beside the state]",
)
@click.pass_context
def monitor_(
    context: click.Context,
    source: str,
    state: Path,
    expect_manifest: str | None,
    witness_policy: Path | None,
    max_delay: int | None,
    evidence: Path | None,
) -> None:
    """Verify what is new in a log since the last run: growth, entries, signatures, cosignatures.

    What takes the roll or the whole log is left to `evote verify`, and named in the output.

    Exit code 0: it has only grown, and what is new holds; 1: it has not, or the witnesses are late;
    3: the quorum has cosigned nothing, or there is no answer; 4: what was read is no log.
    """
    if max_delay is not None and witness_policy is None:
        raise click.UsageError("--max-delay is of the witnesses of a --witness-policy")
    try:
        seen = monitor(
            source,
            state,
            expect_manifest=expect_manifest,
            policy=read_policy(witness_policy),
            max_delay=max_delay,
        )
    except Broken as error:
        if error.evidence is not None:
            place = evidence or state.with_name(f"{state.name}.evidence.json")
            write_file(place, encode_evidence(error.evidence), overwrite=True)
            say(f"two heads are kept: {place}")
        raise
    except Late as error:
        warn(f"evote: {error}")
        context.exit(1 if error.was_cosigned else 3)
    except OSError as error:
        warn(f"evote: {error}")
        context.exit(3)
    say(f"{seen.size} entries, {seen.new} of them new, {seen.ballots} new ballots")
    say(f"what was checked holds; left to evote verify: {NOT_CHECKED}")
    for name in seen.cosigned:
        say(f"cosigned by {name}")
