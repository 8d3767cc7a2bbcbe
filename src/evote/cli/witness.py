"""`evote witness`: a process with a key and a memory of its own, that cosigns a log's heads."""

from __future__ import annotations

from pathlib import Path

import click

from evote.board import LOG_KEY, VerifierKey, decode_vkey
from evote.cli._common import F, directory_argument, passphrase, passphrase_option, say
from evote.errors import DecodingError
from evote.server._web import listen, run_server
from evote.server.witness import (
    ALGORITHMS,
    Witness,
    create_witness,
    witness_application,
    witness_key,
)

__all__ = ["listen_options", "log_keys", "witness"]


def listen_options(function: F) -> F:
    """--host and --port: where to listen."""
    host = click.option(
        "--host", default="127.0.0.1", show_default=True, help="Address to listen on."
    )
    port = click.option(
        "--port", type=click.IntRange(0, 65535), default=0, help="0, the default, is a free one."
    )
    return host(port(function))


@click.group()
def witness() -> None:
    """Cosign the heads of logs that only grow."""


@witness.command()
@directory_argument
@click.option("--name", required=True, help="Name in policies, such as witness.example/w1.")
@click.option("--algorithm", type=click.Choice(list(ALGORITHMS)), default="ed25519")
@passphrase_option
def init(directory: Path, name: str, algorithm: str, passphrase_file: Path | None) -> None:
    """Make a witness's key in DIRECTORY, and print what policies name it by."""
    secret = passphrase(passphrase_file, confirm=True)
    say(create_witness(directory, name, secret, algorithm=algorithm).text)


@witness.command()
@directory_argument
def key(directory: Path) -> None:
    """Print what policies name the witness in DIRECTORY by."""
    say(witness_key(directory).text)


def log_keys(texts: tuple[str, ...]) -> list[VerifierKey]:
    """Keys of logs, from the command line."""
    try:
        return [decode_vkey(text, kinds=(LOG_KEY,), where="--log") for text in texts]
    except DecodingError as error:
        raise click.UsageError(str(error)) from None


@witness.command()
@directory_argument
@click.option(
    "--log",
    "logs",
    multiple=True,
    required=True,
    metavar="VKEY",
    help="Key of a log, as `evote board key` prints it. Once for each.",
)
@listen_options
@passphrase_option
def serve(
    directory: Path, logs: tuple[str, ...], host: str, port: int, passphrase_file: Path | None
) -> None:
    """Answer add-checkpoint requests until interrupted (C2SP tlog-witness).

    Heads that contradict what was cosigned before are refused, and kept under DIRECTORY as evidence
    for `evote verify --evidence`.
    """
    keys, secret = log_keys(logs), passphrase(passphrase_file)
    with Witness(directory, keys, secret) as opened, listen(host, port) as at:
        say(f"serving on {shown_address(at.getsockname())}")
        run_server(witness_application(opened), at)


def shown_address(name: tuple[str, int] | tuple[str, int, int, int]) -> str:
    """The URL of a socket's own address."""
    host = f"[{name[0]}]" if ":" in name[0] else name[0]
    return f"http://{host}:{name[1]}"
