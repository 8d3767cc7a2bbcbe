"""The demonstration counts the votes it drew, and refuses scenarios that contradict themselves."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from evote.demo import alter_one_byte, draw_marks, peoples_council_2013, run_election
from evote.errors import ParameterError
from evote.verify import audit


def test_marks_are_as_many_as_asked() -> None:
    rng = random.Random(1)
    for marks in range(16):
        assert sum(draw_marks(rng, 27, marks)) == marks


def test_marks_are_reproducible() -> None:
    scenario = peoples_council_2013()
    first = [scenario.mark(random.Random(scenario.seed)) for _ in range(2)]
    assert first[0] == first[1]
    assert scenario.mark(random.Random(0)) != first[0]


def test_the_size_is_the_real_one() -> None:
    scenario = peoples_council_2013()
    [contest] = scenario.contests
    assert (len(contest.options), contest.maximum, scenario.voters) == (27, 15, 1783)
    assert (scenario.trustees, scenario.quorum, len(scenario.absent)) == (5, 3, 1)
    assert scenario.spoiled == scenario.revotes == 36


@pytest.mark.parametrize("change", [{"registered": 4}, {"spoiled": 6}, {"revotes": -1}])
def test_impossible_scenario(change: dict[str, Any]) -> None:
    with pytest.raises(ParameterError):
        replace(peoples_council_2013(5), **change)


def test_existing_directory_is_left_alone(tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match="exists"):
        run_election(peoples_council_2013(5), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_small_election(tmp_path: Path) -> None:
    said: list[str] = []
    election = run_election(peoples_council_2013(6), tmp_path / "demo", say=said.append)
    assert election.result.contests[0].votes == election.expected["council"]
    assert election.report.exit_code == 0
    assert election.result.trustees == (1, 3, 4)
    assert any("absent: 2" in line for line in said)
    place = alter_one_byte(election.record, tmp_path / "altered")
    assert place.startswith("ballots/000.jsonl")
    report = audit(tmp_path / "altered")
    assert report.exit_code == 1
    assert any(finding.check.startswith("ballots.") for finding in report.failures())
