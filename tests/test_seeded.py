"""attacks: F4. Errors of every class that an auditor is known to have missed: each is found."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from evote import workflow
from evote.board import NoteSigner
from evote.credentials import derive_voter_key
from evote.errors import ParameterError
from evote.operators import load_operator
from evote.record import Record
from evote.testing.seeded import ERRORS, SeededError, seed
from evote.verify import audit
from evote.workflow import RollLine
from tests.records import PASSPHRASE, Made, Plan, cast, finish, make_ready, marks, open_small

PLAN = Plan(
    voters=(
        RollLine(style="all", district="north", count=3),
        RollLine(style="all", district="south", count=4),
    ),
    powers={"strike": ["voted-on-paper"]},
    districts={"min_unit": 1, "small_units_accepted": True},
)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    made = make_ready(tmp_path_factory.mktemp("seeded"), PLAN)
    open_small(made)
    cast(made, [(i, marks(i % 2, 1 - i % 2), "cast") for i in range(7)])
    base = workflow.load_parameters(made.path).base_id
    struck = [derive_voter_key(made.credentials[6].code, base).credential]
    who = (made.path, made.authorities(), made.board, PASSPHRASE)
    workflow.strike_voters(*who, struck, "voted-on-paper")
    finish(made)
    return made


def signer(made: Made) -> NoteSigner:
    key = load_operator(made.board, PASSPHRASE)
    return NoteSigner(key=Record(made.path).manifest.log_key, sign=key.sign_note)


def test_without_an_error_nothing_is_found(made: Made) -> None:
    assert audit(made.path).exit_code == 0


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.name)
def test_an_error_is_found_by_its_check(made: Made, tmp_path: Path, error: SeededError) -> None:
    copy = tmp_path / "record"
    shutil.copytree(made.path, copy)
    seed(copy, signer(made), error)
    report = audit(copy)
    failed = {finding.check for finding in report.failures()}
    assert error.check in failed
    # The log itself is whole: it is what stands in it that is wrong.
    assert not failed & {"board.checkpoint", "board.entries", "board.root", "record.files"}
    assert report.exit_code == 1


def test_what_cannot_be_wrong_is_not_seeded(tmp_path: Path) -> None:
    made = make_ready(tmp_path, Plan())
    open_small(made)
    cast(made, [(0, marks(1, 0), "cast")])
    finish(made)
    for error in ERRORS:
        if error.name in ("vote replaced on paper, not removed", "cancelled ballot counted"):
            with pytest.raises(ParameterError):
                seed(made.path, signer(made), error)
    assert audit(made.path).exit_code == 0
