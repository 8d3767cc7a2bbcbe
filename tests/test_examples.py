"""Every example runs, is short, and prints what it is there to show."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tokenize
from importlib.util import find_spec
from pathlib import Path

import pytest

import evote
from evote.testing.seeded import ERRORS
from tests.test_seeded import OF_MIXES

ROOT = Path(__file__).parent.parent
EXAMPLES = sorted((ROOT / "examples").glob("[!_]*.py"))


def run_example(name: str, *arguments: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(Path(evote.__file__).parent.parent)}
    environment["OMP_NUM_THREADS"] = environment["OPENBLAS_NUM_THREADS"] = "1"
    finished = subprocess.run(
        [sys.executable, str(ROOT / "examples" / name), *arguments],
        capture_output=True,
        text=True,
        env=environment,
        timeout=600,
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert finished.stderr == ""
    return finished.stdout


def lines_of_code(path: Path) -> int:
    """Lines that hold anything but comments and the module's docstring."""
    skipped = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT)
    lines: set[int] = set()
    first = True
    for token in tokenize.generate_tokens(io.StringIO(path.read_text(encoding="utf-8")).readline):
        if token.type in skipped or token.type == tokenize.ENDMARKER:
            continue
        if first and token.type == tokenize.STRING:
            first = False
            continue
        first = False
        lines.update(range(token.start[0], token.end[0] + 1))
    return len(lines)


def test_all_examples_are_tested() -> None:
    tested = {
        "01_encrypt.py",
        "council_2012.py",
        "council_vote.py",
        "local_2017.py",
        "parliament_2021.py",
        "peoples_council_2013.py",
        "plebiscite_2020.py",
        "primary_2016.py",
        "regional_primary_2015.py",
        "scottish_ward.py",
    }
    assert {path.name for path in EXAMPLES} == tested


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_example_is_short(path: Path) -> None:
    assert 10 < lines_of_code(path) < 60


def test_encrypt() -> None:
    output = run_example("01_encrypt.py")
    assert "1000 proofs refused" in output
    assert "sum: 334 of 1000" in output


def test_council_vote() -> None:
    output = run_example("council_vote.py")
    assert "33 yes, 12 no, 0 absent" in output
    assert "34 yes, 8 no, 3 absent" in output
    assert "verified: all" in output


def test_regional_primary() -> None:
    output = run_example("regional_primary_2015.py", "50")
    assert "24 ballots" in output
    assert "verified" in output


def run_scenario(name: str, scale: str, *more: str) -> str:
    """A whole election; the script itself compares what is published with what was marked."""
    if find_spec("uvicorn") is None:
        pytest.skip("the extra server is not installed, and witnesses need it")
    output = run_example(name, "--scale", scale, "--jobs", "1", *more)
    assert "what was published is what was marked" in output
    assert "verified: all" in output
    rows = {line[:22].rstrip(): line[22:].split() for line in output.splitlines()}
    assert {"founding", "codes and roll", "seal", "tally", "trustee 1", "verify", "all"} <= set(
        rows
    )
    assert all(float(number) > 0 for number in rows["verify"])
    assert float(rows["witnesses"][1]) > 0
    assert "not pinned" not in output  # the witnesses' quorum, and the manifest
    return output


def errors_not_seeded(output: str) -> set[str]:
    """The classes of errors that an election cannot have; all others were found."""
    lines = [line.partition(" s  ")[2] for line in output.splitlines()]
    absent = {e.name for e in ERRORS if any(f"{e.name}: not in this" in line for line in lines)}
    for error in ERRORS:
        if error.name not in absent:
            assert any(line.startswith(f"{error.name}: found by {error.check};") for line in lines)
    return absent


def test_peoples_council() -> None:
    output = run_scenario("peoples_council_2013.py", "0.03")
    assert "56 cast = 53 counted + 2 superseded + 1 unconfirmed" in output
    assert "voting ends at 2013-09-08T18:00:00Z" in output
    [line] = [line for line in output.splitlines() if line.startswith("ballots/000.jsonl, byte")]
    assert "ballots." in line


def test_plebiscite_2020() -> None:
    output = run_scenario("plebiscite_2020.py", "0.0005", "--errors")
    assert "100 people of these regions have voted on paper" in output
    assert "voted on paper, 1 of them online too" in output
    assert errors_not_seeded(output) == {
        "name taken off a strike",  # of one voter only, at this scale
        "confirmation left out",
        "name added to a confirmation",
        "superseded ballot counted",
        "unconfirmed ballot counted",
        *OF_MIXES,
    }
    assert "sealed: 545 cast = 544 counted + 0 superseded + 1 struck" in output


def test_council_2012() -> None:
    """Packed and mixed, in 70 batches, some of them empty."""
    output = run_scenario("council_2012.py", "0.0005", "--errors")
    assert "47 cast = 41 counted + 0 superseded + 1 struck + 5 unconfirmed" in output
    assert "45 seats" in output
    assert errors_not_seeded(output) == {
        "name taken off a strike",
        "superseded ballot counted",
        "turnout raised",
        "count shifted between districts",
        "count shifted between units",  # there is one
        "vote moved between options",
        "vote added to a sum",
    }


def test_parliament_2021() -> None:
    output = run_scenario("parliament_2021.py", "0.0001")
    assert "15 units published" in output
    assert "seat-08, counted again from 35 papers" in output


def test_primary_2016() -> None:
    output = run_scenario("primary_2016.py", "0.005")
    assert "42 cast = 37 counted + 4 superseded + 1 struck" in output
    assert " 0 of them an address, a code or a hash of one" in output


def test_local_2017() -> None:
    output = run_scenario("local_2017.py", "0.016")
    assert "26 seats of 2 districts" in output
    assert "observers: d001: 537 voted by the record, observers saw 237" in output


def test_scottish_ward(tmp_path: Path) -> None:
    """Three seats, four candidates, 31 papers; the first surplus leaves truncated values."""
    ward = tmp_path / "ward.csv"
    ward.write_text(
        "4,3,\n13,1,2,\n8,2,\n6,3,1,\n4,4,3,\n"
        '"Candidate 1","A","X",\n"Candidate 2","B","Y",\n"Candidate 3","C","Z",\n'
        '"Candidate 4","D","W",\n"A ward",\n'
    )
    output = run_example("scottish_ward.py", str(ward))
    assert "first preferences  13.00000, 8.00000, 6.00000, 4.00000" in output
    assert "elected: A, B, C" in output
    assert "verified: all" in output
