"""`evote authority`, `board` and `mix`: the groups; and how every operator gets a key."""

from __future__ import annotations

from pathlib import Path

import click

from evote.cli._common import directory_argument, passphrase, passphrase_option, say
from evote.operators import Role, create_operator

__all__ = ["authority", "board", "mix"]


@click.group()
def authority() -> None:
    """Open and seal elections."""


@click.group()
def board() -> None:
    """Keep the append-only log of ballots."""


@click.group()
def mix() -> None:
    """Mix encrypted ballots, so that nobody can tell whose they are."""


def _init_verb(group: click.Group, role: Role) -> None:
    words = f"Make the {role}'s key in DIRECTORY; card.json there goes into the manifest."

    @group.command("init", help=words)
    @directory_argument
    @click.option("--id", "identifier", required=True, metavar="ID", help="Name in the manifest.")
    @passphrase_option
    def init(directory: Path, identifier: str, passphrase_file: Path | None) -> None:
        create_operator(directory, role, identifier, passphrase(passphrase_file, confirm=True))
        say(directory / "card.json")


_init_verb(authority, "authority")
_init_verb(board, "board")
_init_verb(mix, "mixer")
