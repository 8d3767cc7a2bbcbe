"""Ballots of many voters in one stream: the same ballots as one by one, in the same order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from evote import workflow
from evote.board import Board
from evote.credentials import derive_voter_key, draw_code
from evote.errors import DecodingError, ParameterError
from evote.workflow import Choice, RefusedBallot, RollLine, Vote
from tests.records import APPROVAL, PASSPHRASE, YES_NO, Made, Plan, finish, make_ready, open_small

PLAN = Plan(
    contests=(YES_NO, APPROVAL),
    styles={"town": ["board", "bridge"], "land": ["bridge"]},
    voters=(RollLine(style="town", count=3), RollLine(style="land", count=4)),
)


def marks(style: str, *bridge: int) -> Choice:
    blank = frozenset({"board"} if style == "town" else ())
    return Choice(contests={"bridge": bridge}, blank=blank)


@pytest.fixture
def ready(tmp_path: Path) -> Made:
    made = make_ready(tmp_path, PLAN)
    open_small(made)
    return made


def votes(made: Made) -> Iterator[Vote]:
    """Town and country in turn; everybody for the bridge, and the first of them votes again."""
    town, land = made.credentials[:3], made.credentials[3:]
    for voter in [town[0], land[0], land[1], town[1], land[2], town[2], land[3]]:
        yield Vote(code=voter.code, style=voter.style, choice=marks(voter.style, 1, 0))
    again = marks("town", 0, 1)
    yield Vote(code=town[0].code, style="town", choice=again)


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_stream_of_ballots_is_taken_in_and_counted(ready: Made, jobs: int) -> None:
    lists = list(workflow.make_submissions(ready.path, votes(ready), jobs=jobs, at_once=3))
    assert [len(some) for some in lists] == [3, 3, 2]
    base = workflow.load_parameters(ready.path).base_id
    expected = [derive_voter_key(vote.code, base).credential for vote in votes(ready)]
    assert [item.credential for some in lists for item in some] == expected
    with workflow.open_ballot_box(ready.path, ready.board, PASSPHRASE) as box:
        receipts = [receipt for some in lists for receipt in box.submit(some)]
    assert [receipt.proof.index for receipt in receipts] == list(range(1, 9))
    finish(ready)
    [bridge, *_] = workflow.publish_result(ready.path, ready.board, PASSPHRASE).contests
    assert (bridge.votes, bridge.ballots) == ((6, 1), 7)


def test_votes_are_read_as_they_are_needed(ready: Made) -> None:
    """A list comes before the last vote is there, so that memory does not grow with them."""
    taken = 0

    def endless() -> Iterator[Vote]:
        nonlocal taken
        voter = ready.credentials[0]
        while True:
            taken += 1
            yield Vote(code=voter.code, style=voter.style, choice=marks(voter.style, 1, 0))

    made = workflow.make_submissions(ready.path, endless(), at_once=5)
    assert len(next(made)) == 5
    assert taken <= 10


def test_no_votes_make_no_lists(ready: Made) -> None:
    assert list(workflow.make_submissions(ready.path, [])) == []
    for at_once in (0, -1):
        with pytest.raises(ParameterError):
            list(workflow.make_submissions(ready.path, [], at_once=at_once))


def test_what_is_no_vote_is_named(ready: Made) -> None:
    voter = ready.credentials[0]
    good = Vote(code=voter.code, style=voter.style, choice=marks(voter.style, 1, 0))
    for error, other in [
        (DecodingError, replace(good, code=voter.code[:-1])),
        (ParameterError, replace(good, style="sea")),
        (ParameterError, replace(good, choice=marks(voter.style, 1, 1))),
        (ParameterError, replace(good, choice=Choice(contests={"tunnel": (1, 0)}))),
    ]:
        with pytest.raises(error):
            list(workflow.make_submissions(ready.path, [good, other]))
    [[made]] = workflow.make_submissions(ready.path, [good])
    with workflow.open_ballot_box(ready.path, ready.board, PASSPHRASE) as box:
        assert box.submit([made])[0].proof.index == 1


@pytest.mark.parametrize(("style", "reason"), [("land", "ballot"), ("town", "voter")])
def test_the_board_looks_at_the_roll(ready: Made, style: str, reason: str) -> None:
    """What the devices do not: another style than the roll has, or nobody on the roll."""
    code = ready.credentials[0].code if reason == "ballot" else draw_code()
    vote = Vote(code=code, style=style, choice=marks(style, 1, 0))
    [some] = workflow.make_submissions(ready.path, [vote])
    with workflow.open_ballot_box(ready.path, ready.board, PASSPHRASE) as box:
        with pytest.raises(RefusedBallot) as refused:
            box.submit(some)
        assert refused.value.reason == reason
        assert isinstance(box.board, Board)
        assert box.board.size == 1
