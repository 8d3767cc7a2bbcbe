"""A whole election in each kind of group; groups too small for one are refused by name."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from evote import workflow
from evote.errors import DecodingError
from evote.groups import named_group
from evote.operators import SCRYPT_COST_FLOOR, load_card
from evote.verify import audit
from tests import records
from tests.records import PASSPHRASE, Made, Plan


def manifest(directory: Path, name: str) -> Made:
    plan = Plan()
    operators = workflow.create_operators(
        directory / "operators",
        PASSPHRASE,
        trustees=plan.trustees,
        group=named_group(name),
        cost=SCRYPT_COST_FLOOR,
    )
    cards = {role: load_card(path) for role, path in operators.items()}
    record = directory / "record"
    workflow.new_election(record, records.draft(plan) | {"group": name}, cards=cards)
    return Made(path=record, operators=operators, credentials=[], ballots=[], plan=plan)


@pytest.mark.parametrize("name", ["P-256", "ed25519"])
def test_an_election_in(name: str, tmp_path: Path) -> None:
    made = manifest(tmp_path, name)
    workflow.run_ceremony(made.path, made.trustees(), PASSPHRASE)
    made.credentials.extend(
        workflow.issue_credentials(
            made.path, made.operators["registrar-1"], made.plan.voters, PASSPHRASE
        )
    )
    records.open_small(made)
    records.vote_small(made)
    records.finish(made)
    report = audit(made.path)
    report.raise_for_failure()
    assert report.finding("ballots.proofs").checked > 0
    result = json.loads((made.path / "result.json").read_bytes())
    [contest] = result["contests"]
    assert contest["votes"] == [1, 1]


def test_a_weak_group_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DecodingError, match="P-192 is too small for a new election") as caught:
        manifest(tmp_path, "P-192")
    assert caught.value.where.endswith("$.group")
