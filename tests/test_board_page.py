"""The commands of docs/board.md, run word for word but for the ports, and what they print."""

from __future__ import annotations

import os
import re
import socket
import sys
from contextlib import ExitStack
from pathlib import Path

import click

from tests import records
from tests.servers import needs_server
from tests.test_tutorial import ROOT, blocks, environment, run_script

__all__ = ["environment"]  # a fixture

PAGE = "docs/board.md"


def free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        taken = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [at.getsockname()[1] for at in taken]


@needs_server
def test_the_page_runs_and_prints_what_it_says(tmp_path: Path, environment: dict[str, str]) -> None:
    made = records.make_ready(tmp_path / "election")
    records.open_small(made)
    setup = f"""
export EVOTE_PASSPHRASE='{records.PASSPHRASE}' EVOTE_CODE='{made.credentials[0].code}'
cp -r '{made.path}' record
cp -r '{made.board}' board
trap 'kill $(jobs -p) 2> /dev/null || true' EXIT
"""
    board, *witnesses = free_ports(4)
    ports = "".join(f"port_{i}={port}\n" for i, port in enumerate(witnesses, 1))
    commands = []
    for command in blocks(PAGE, "sh"):
        command = re.sub(r"810\$i", "$(eval echo \\\\$port_$i)", command)
        commands.append(command.replace("8100", str(board)))
    paths = os.pathsep.join([environment["PYTHONPATH"], *sys.path])  # uvicorn may be elsewhere
    environment = environment | {"PYTHONPATH": paths}
    code, printed = run_script([setup, ports, *commands], tmp_path / "run", environment)
    assert code == 0, printed
    [promised] = blocks(PAGE, "text")
    assert promised in printed
    assert "cosigned by witness.example/w1" in printed
    assert "entry 1 of the log: cast" in printed


def test_what_the_page_says_of_limits() -> None:
    """Numbers on the page are those of the code."""
    from evote.server._web import Limits
    from evote.server.board import BATCH, WAITING
    from evote.server.monitor import AHEAD

    page, limits = (ROOT / PAGE).read_text(encoding="utf-8"), Limits()
    said = " ".join(page.split())
    for words in (
        f"up to {BATCH} ballots",
        f"within {limits.body_seconds:g} s (408)",
        f"a request line within {limits.head_seconds:g} s",
        f"an answer is taken within {limits.answer_seconds:g} s",
        f"{limits.connections:,} connections",
        f"{limits.held_bytes // 2**20} MiB of bodies",
        f"{WAITING:,} ballots that wait",
        f"more than {AHEAD // 60} minutes from now",
    ):
        assert words in said, words


def test_every_verb_of_the_page_exists() -> None:
    from evote.cli import command

    text = (ROOT / PAGE).read_text(encoding="utf-8")
    found = set(re.findall(r"evote (board|witness|ballot|verify) ?([a-z]*)", text))
    assert len(found) > 6
    for group, verb in found:
        named = command.get_command(click.Context(command), group)
        assert group == "verify" or verb in getattr(named, "commands", {}), (group, verb)
