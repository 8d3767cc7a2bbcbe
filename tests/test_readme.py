"""The README's Python, run as it stands."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import evote

README = Path(__file__).parent.parent / "README.md"
BLOCKS = re.findall(r"^```python\n(.*?)^```$", README.read_text("utf-8"), re.MULTILINE | re.DOTALL)
LINKS = re.findall(r"\]\(([^)#]+)\)", README.read_text("utf-8"))


@pytest.mark.parametrize(("number", "last"), [(0, "passed record.complete 1"), (1, "50")])
def test_blocks_run(number: int, last: str, tmp_path: Path) -> None:
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    environment["PYTHONPATH"] = str(Path(evote.__file__).parent.parent)
    finished = subprocess.run(
        [sys.executable, "-W", "error", "-c", BLOCKS[number]],
        capture_output=True,
        text=True,
        env=environment,
        cwd=tmp_path,
        timeout=300,
    )
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout.splitlines()[-1] == last


def test_every_block_is_run() -> None:
    assert len(BLOCKS) == 2


def test_links_lead_somewhere() -> None:
    missing = [link for link in LINKS if not (README.parent / link).exists()]
    assert not missing
