"""The tutorial's and the README's commands, run word for word."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

import evote

ROOT = Path(__file__).parent.parent
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(page: str, language: str) -> list[str]:
    text = (ROOT / page).read_text(encoding="utf-8")
    return [body for name, body in FENCE.findall(text) if name == language]


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment where `evote` and `python` are this interpreter's, and nothing is preset."""
    commands = tmp_path_factory.mktemp("bin")
    for name, words in (("evote", "-m evote"), ("python", "")):
        shim = commands / name
        shim.write_text(f'#!/bin/sh\nexec "{sys.executable}" {words} "$@"\n')
        shim.chmod(0o755)
    kept = {key: value for key, value in os.environ.items() if not key.startswith("EVOTE_")}
    path = f"{commands}{os.pathsep}{kept.get('PATH', os.defpath)}"
    return {**kept, "PATH": path, "PYTHONPATH": str(Path(evote.__file__).parent.parent)}


def run_script(lines: list[str], directory: Path, environment: dict[str, str]) -> tuple[int, str]:
    directory.mkdir()
    finished = subprocess.run(
        ["bash", "-c", "set -euo pipefail\n" + "\n".join(lines)],
        cwd=directory,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=900,
    )
    return finished.returncode, finished.stdout


class Walk(NamedTuple):
    """What is left of the tutorial: its output, and the directory it was walked in."""

    output: str
    directory: Path


@pytest.fixture(scope="module")
def tutorial(tmp_path_factory: pytest.TempPathFactory, environment: dict[str, str]) -> Walk:
    commands = blocks("docs/tutorial.md", "sh")
    assert len(commands) > 15
    directory = tmp_path_factory.mktemp("tutorial") / "election"
    code, output = run_script(commands, directory, environment)
    assert code == 0, output
    return Walk(output, directory)


def test_tutorial(tutorial: Walk) -> None:
    output = tutorial.output
    [promised] = blocks("docs/tutorial.md", "text")
    assert promised in output
    assert "rehearsed: trustees 1, 3" in output
    assert "sealed: 5 cast = 4 counted + 1 superseded; 1 spoiled" in output
    assert "FAILED" in output.rsplit("Election", 1)[1], "the altered record has passed"
    assert output.splitlines()[-1].startswith("exit code 1")


def test_no_secret_survives_casting(tutorial: Walk) -> None:
    left = sorted(path.parent.name for path in tutorial.directory.rglob("secret.json"))
    operators = ["authority", "board", "mixer-1", "mixer-2", "registrar"]
    operators += ["trustee-1", "trustee-2", "trustee-3"]
    assert left == sorted([*operators, "trustee-3-again"])


def test_readme_start(tmp_path: Path, environment: dict[str, str]) -> None:
    """The 60-second start, with a smaller election so that it is quick here too."""
    [start] = [body for body in blocks("README.md", "sh") if "evote demo" in body]
    lines = start.replace("evote demo", "evote demo --voters 10 --jobs 1").splitlines()
    code, output = run_script(lines, tmp_path / "start", environment)
    assert code == 0, output
    assert "verified" in output
