"""`evote board append`: what stations without a network bring, each ballot judged for itself."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from evote import workflow
from evote._refusals import decode_refusal
from evote.board import decode_receipt, verify_receipt
from evote.cli import command
from evote.encoding import canonical_json
from evote.errors import DecodingError, UnsupportedError
from evote.record import Record
from evote.workflow import Submission, decode_submission, encode_submission
from tests.memory import Memory
from tests.records import PASSPHRASE, Made, make_ready, marks, open_small


@pytest.fixture(name="made")
def make_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Made:
    Memory(monkeypatch)
    election = make_ready(tmp_path)
    open_small(election)
    return election


def submissions(made: Made, *votes: tuple[int, int]) -> list[Submission]:
    """Voters' ballots: by number, and whether they say yes."""
    found = []
    for voter, yes in votes:
        code = made.credentials[voter].code
        ballot = workflow.encrypt_ballot(made.path, code, marks(yes, 1 - yes))
        found.append(workflow.sign_ballot(made.path, code, ballot, "cast"))
    return found


def write(path: Path, items: list[Submission]) -> Path:
    path.write_bytes(b"".join([encode_submission(item) + b"\n" for item in items]))
    return path


def append(made: Made, output: Path, *batches: Path) -> Result:
    words = ["board", "append", str(made.path), *map(str, batches), "-o", str(output)]
    environment = {"EVOTE_PASSPHRASE": PASSPHRASE}
    return CliRunner().invoke(
        command, [*words, "--board", str(made.board)], env=environment, standalone_mode=False
    )


def answers(path: Path) -> list[bytes]:
    return path.read_bytes().splitlines()


def test_batches_are_taken_in_and_answered_in_order(made: Made, tmp_path: Path) -> None:
    first, second, third = submissions(made, (0, 1), (1, 0), (0, 0))
    one = write(tmp_path / "one.jsonl", [first, second])
    two = write(tmp_path / "two.jsonl", [third, first])
    done = append(made, tmp_path / "out", one, two)
    assert done.return_value == 0, (done.output, done.exception)
    assert "4 ballots: 4 on the board, 0 refused" in done.output
    key, size = Record(made.path).manifest.log_key, Record(made.path).checkpoint().size
    assert size == 4  # the opening, and three ballots: one came twice
    places = []
    for name in ("one.jsonl", "two.jsonl"):
        for line in answers(tmp_path / "out" / name):
            receipt = decode_receipt(line)
            verify_receipt(receipt, key)
            places.append(receipt.proof.index)
    assert places == [1, 2, 3, 1]
    again = append(made, tmp_path / "out", one, two)
    assert again.return_value == 0
    assert Record(made.path).checkpoint().size == 4


def test_a_bad_ballot_is_refused_alone(made: Made, tmp_path: Path) -> None:
    first, second, third = submissions(made, (0, 1), (1, 0), (2, 0))
    forged = replace(second, signature=third.signature)
    done = append(made, tmp_path / "out", write(tmp_path / "batch", [first, forged, third]))
    assert done.return_value == 1, done.output
    assert "3 ballots: 2 on the board, 1 refused" in done.output
    one, two, three = answers(tmp_path / "out" / "batch")
    assert [decode_receipt(line).proof.index for line in (one, three)] == [1, 2]
    refusal = decode_refusal(two)
    assert refusal.reason == "signature"
    assert workflow.decode_submission(encode_submission(forged), max_body=10**6) == forged


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data[:-10],
        lambda data: data + b" ",
        lambda data: b"{}",
        lambda data: b"",
        lambda data: canonical_json({**json.loads(data), "more": 1}),
        lambda data: canonical_json({**json.loads(data), "version": 2}),
        lambda data: canonical_json({**json.loads(data), "body": "AAAA"}),
        lambda data: canonical_json({**json.loads(data), "entry": "AAAA"}),
        lambda data: b"x" * 10**6,
    ],
)
def test_a_line_that_is_no_submission(
    made: Made, tmp_path: Path, change: Callable[[bytes], bytes]
) -> None:
    """It is named, and what was read before it is not lost: the same batch, mended, gives all."""
    first, second = submissions(made, (0, 1), (1, 0))
    path = write(tmp_path / "batch", [first])
    path.write_bytes(path.read_bytes() + change(encode_submission(second)) + b"\n")
    done = append(made, tmp_path / "out", path)
    assert isinstance(done.exception, DecodingError | UnsupportedError), done.output
    assert "batch: line 2" in str(done.exception)
    done = append(made, tmp_path / "out", write(path, [first, second]))
    assert done.return_value == 0, (done.output, done.exception)
    assert len(answers(tmp_path / "out" / "batch")) == 2


def test_a_last_line_without_an_end(made: Made, tmp_path: Path) -> None:
    path = write(tmp_path / "batch", submissions(made, (0, 1)))
    path.write_bytes(path.read_bytes()[:-1])
    done = append(made, tmp_path / "out", path)
    assert isinstance(done.exception, DecodingError)


def test_answers_never_replace_a_batch(made: Made, tmp_path: Path) -> None:
    path = write(tmp_path / "batch", submissions(made, (0, 1)))
    before = path.read_bytes()
    assert isinstance(append(made, tmp_path, path).exception, click.UsageError)
    assert path.read_bytes() == before
    assert append(made, tmp_path / "out", path).return_value == 0


def test_two_batches_of_one_name(made: Made, tmp_path: Path) -> None:
    items = submissions(made, (0, 1))
    (tmp_path / "a").mkdir()
    one, two = write(tmp_path / "batch", items), write(tmp_path / "a/batch", items)
    assert isinstance(append(made, tmp_path / "out", one, two).exception, click.UsageError)
    assert Record(made.path).checkpoint().size == 1


@pytest.mark.parametrize("part", ["body", "credential", "signature", "action"])
def test_every_field_of_a_submission_is_bound(made: Made, part: str) -> None:
    first, second = submissions(made, (0, 1), (1, 0))
    assert decode_submission(encode_submission(first), max_body=10**6) == first
    value = json.loads(encode_submission(first))
    value["body"] = json.loads(encode_submission(second))["body"]
    with pytest.raises(DecodingError, match="not the body of this entry"):
        decode_submission(canonical_json(value), max_body=10**6)
    other = replace(first, **{part: {"action": "spoil"}.get(part, getattr(second, part))})
    if part == "body":
        return  # what was sent instead has another digest, as above
    with workflow.open_ballot_box(made.path, made.board, PASSPHRASE) as box:
        [outcome] = box.submit_each([other])
        assert isinstance(outcome, workflow.RefusedBallot)
        assert outcome.reason in ("signature", "voter", "ballot")
