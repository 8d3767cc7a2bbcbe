"""A published ward through the whole system: encrypted, mixed by three servers, decrypted, counted.

One ward here, as an election with a record. `examples/scottish_ward.py` does the same with any.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from evote.counting import UNIT, STVCount
from evote.demo import run_election
from evote.interop.scottish import read_ward_csv
from evote.verify import audit

if TYPE_CHECKING:
    from tests.conftest import Vectors

WARD = "moray_2012_ward6.csv"


def example() -> Any:
    path = Path(__file__).parent.parent / "examples" / "scottish_ward.py"
    spec = importlib.util.spec_from_file_location("scottish_ward", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def decimals(votes: int) -> str:
    return f"{votes // UNIT}.{votes % UNIT:05d}"


@pytest.fixture(scope="module")
def counted(vectors: Vectors, tmp_path_factory: pytest.TempPathFactory) -> STVCount:
    ward = read_ward_csv(vectors.path(f"ballots/stv/{WARD}").read_bytes())
    place = tmp_path_factory.mktemp("ward") / "election"
    election = run_election(example().scenario(ward, None), place, jobs=2)
    election.report.raise_for_failure()
    assert audit(election.record).finding("mix.proofs").checked == 3
    [count] = election.result.mixed
    assert isinstance(count.outcome, STVCount)
    return count.outcome


def test_winners_and_every_round(vectors: Vectors, counted: STVCount) -> None:
    expected = vectors.json("ballots/stv/expected.json")["wards"][WARD]
    assert counted.ballots == expected["ballots"]
    assert counted.quota == expected["quota"]
    assert [option + 1 for option in counted.elected] == expected["elected"]
    assert [option + 1 for option in counted.excluded] == expected["excluded"]
    assert len(counted.stages) == len(expected["stages"])
    for stage, known in zip(counted.stages, expected["stages"], strict=True):
        assert stage.action == known["action"]
        assert {str(i + 1): decimals(v) for i, v in enumerate(stage.votes)} == known["votes"]
        assert decimals(stage.non_transferable) == known["non_transferable"]
        assert decimals(stage.lost) == known["lost_to_truncation"]
        assert [option + 1 for option in stage.elected] == known["elected"]
