"""What a voter does with a receipt, and what it refuses: a board may answer with anything."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from evote import cli, workflow
from evote.board import (
    Board,
    NoteSigner,
    Receipt,
    encode_entry,
    encode_receipt,
    verify_receipt,
)
from evote.cli.ballot import keep_receipt
from evote.errors import VerificationError
from evote.operators import load_operator
from evote.record import Record
from evote.workflow import Submission

if TYPE_CHECKING:
    from tests import records
    from tests.records import Made
else:
    import records


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    election = records.make_ready(tmp_path_factory.mktemp("receipts"))
    records.open_small(election)
    return election


def vote(made: Made, voter: int) -> tuple[Submission, Receipt]:
    code = made.credentials[voter].code
    ballot = workflow.encrypt_ballot(made.path, code, records.marks(1, 0))
    submission = workflow.sign_ballot(made.path, code, ballot, "cast")
    [receipt] = workflow.submit(made.path, made.board, [submission], records.PASSPHRASE)
    return submission, receipt


def check(made: Made, receipt: Receipt, directory: Path) -> int:
    """The exit code of `evote ballot check`."""
    path = directory / "receipt.json"
    path.write_bytes(encode_receipt(receipt))
    with pytest.raises(SystemExit) as leaving:
        cli.main(["ballot", "check", str(made.path), str(path)])
    assert isinstance(leaving.value.code, int)
    return leaving.value.code


def test_a_receipt_says_when_it_is_superseded(
    made: Made, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """attacks: C10"""
    _, first = vote(made, 0)
    assert check(made, first, tmp_path) == 0
    assert "superseded" not in capsys.readouterr().out
    _, other = vote(made, 1)
    _, second = vote(made, 0)
    assert check(made, first, tmp_path) == 0
    assert f"superseded by entry {second.proof.index}" in capsys.readouterr().out
    for receipt in (second, other):
        assert check(made, receipt, tmp_path) == 0
        assert "superseded" not in capsys.readouterr().out


def test_a_client_refuses_the_receipt_of_another_ballot(made: Made, tmp_path: Path) -> None:
    """attacks: C6, C7"""
    manifest = Record(made.path).manifest
    (mine, receipt), (yours, clash) = vote(made, 0), vote(made, 2)
    sent = encode_entry(mine.entry)
    assert verify_receipt(receipt, manifest.log_key, sent=sent).index == receipt.proof.index
    assert verify_receipt(clash, manifest.log_key).index == clash.proof.index
    with pytest.raises(VerificationError, match="another entry"):
        verify_receipt(clash, manifest.log_key, sent=sent)
    target = tmp_path / "kept.json"
    with pytest.raises(VerificationError, match="another entry"):
        keep_receipt(target, clash, mine, manifest)
    with pytest.raises(VerificationError, match="another entry"):
        keep_receipt(target, receipt, replace(mine, action="spoil"), manifest)
    assert not target.exists()
    keep_receipt(target, clash, yours, manifest)
    assert target.read_bytes() == encode_receipt(clash)


def test_an_entry_that_no_voter_signed_is_nobodys_ballot(
    made: Made, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """attacks: C6. The board itself logs a ballot under a voter's credential."""
    code, manifest = made.credentials[1].code, Record(made.path).manifest
    ballot = workflow.encrypt_ballot(made.path, code, records.marks(0, 1))
    signed = workflow.sign_ballot(made.path, code, ballot, "spoil")
    key = load_operator(made.board, records.PASSPHRASE)
    with Board(made.path, NoteSigner(key=manifest.log_key, sign=key.sign_note)) as board:
        [honest] = board.receipts(board.append([signed.entry], [signed.body]))
        assert check(made, honest, tmp_path) == 0
        forged = replace(
            signed, body=workflow.encrypt_ballot(made.path, code, records.marks(0, 1)).body
        )
        [receipt] = board.receipts(board.append([forged.entry], [forged.body]))
    capsys.readouterr()
    assert check(made, receipt, tmp_path) == 1
    assert "not signed by its voter" in capsys.readouterr().err
