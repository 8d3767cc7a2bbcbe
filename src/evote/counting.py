"""Counting what was mixed and decrypted: instant-runoff, Scottish STV, Schulze, Borda, and sums.

Exact integers throughout; docs/counting.md has each method's rules. Options are numbered from 0 in
the order of the contest. A count that the votes alone do not decide needs `lots`: all options, in
the order in which they were drawn; whoever is drawn first is chosen: excluded, transferred, or
elected. Every such use is in the result, with the lots, so that anybody can count again and
compare. Without lots, a count that needs one stops and names the options to be drawn from.

Not promised: that the lots were drawn fairly. What names a written text stands for, people decide.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evote._orders import (
    BordaCount,
    SchulzeCount,
    count_borda,
    count_schulze,
    read_borda,
    read_schulze,
)
from evote._rankings import MAX_BALLOTS, Rankings, Tie, group_rankings, read_votes
from evote._transfers import (
    UNIT,
    IRVCount,
    Round,
    Stage,
    STVCount,
    count_irv,
    count_scottish_stv,
    read_irv,
    read_stv,
)
from evote.contests import Contest, Count, Method, check_write_in
from evote.encoding import JSON, MAX_INTEGER, Fields
from evote.errors import ParameterError, ShapeMismatch
from evote.packing import ContestAnswers, Verdict

__all__ = [
    "MAX_BALLOTS",
    "UNIT",
    "BordaCount",
    "ContestCount",
    "IRVCount",
    "Outcome",
    "Rankings",
    "Round",
    "STVCount",
    "SchulzeCount",
    "SelectionCount",
    "Stage",
    "Tie",
    "count_borda",
    "count_contest",
    "count_irv",
    "count_schulze",
    "count_scottish_stv",
    "count_selections",
    "group_rankings",
    "read_contest_count",
]

_MAX_TEXTS = 2**20  # different written texts in a result


@dataclass(frozen=True, slots=True, kw_only=True)
class SelectionCount:
    """Sums of marks.

    Attributes:
        votes: for each option, the marks of the valid ballots, with their weights.
        write_ins: the written texts and their votes, most first, equal ones by code points.
        undervotes: the marks that valid ballots had and did not use, with their weights.
    """

    votes: tuple[int, ...]
    write_ins: tuple[tuple[str, int], ...]
    undervotes: int

    def to_json(self) -> dict[str, JSON]:
        """The object of a result."""
        value: dict[str, JSON] = {"votes": list(self.votes), "undervotes": self.undervotes}
        if self.write_ins:
            value["write_ins"] = [{"text": text, "votes": n} for text, n in self.write_ins]
        return value


Outcome: TypeAlias = SelectionCount | IRVCount | STVCount | SchulzeCount | BordaCount


@dataclass(frozen=True, slots=True, kw_only=True)
class ContestCount:
    """What came of a contest: its ballots by verdict, each counted once, and the count."""

    contest: str
    ballots: Mapping[Verdict, int]
    outcome: Outcome

    def to_json(self) -> dict[str, JSON]:
        """The object of a result."""
        return {
            "id": self.contest,
            "ballots": {verdict.name.lower(): self.ballots[verdict] for verdict in Verdict},
            "count": self.outcome.to_json(),
        }


def count_selections(answers: ContestAnswers, weights: ArrayLike | None = None) -> SelectionCount:
    """Add up the marks and written texts of the valid ballots.

    Args:
        weights: an integer from 1 for each ballot; each counts once when missing.
    """
    contest = answers.contest
    if contest.kind == "ranking":
        raise ParameterError(f"contest {contest.id!r}: rankings are not added up")
    each = _weights(answers, weights) * (answers.verdicts == Verdict.VALID)
    votes = (answers.selections * each[:, None]).sum(axis=0)
    texts: dict[str, int] = {}
    for text, weight in zip(answers.write_ins, each.tolist(), strict=True):
        if text:
            texts[text] = texts.get(text, 0) + weight
    marks = int(votes.sum()) + sum(texts.values())
    return SelectionCount(
        votes=tuple(votes.tolist()),
        write_ins=tuple(sorted(texts.items(), key=lambda item: (-item[1], item[0]))),
        undervotes=contest.maximum * int(each.sum()) - marks,
    )


def count_contest(
    answers: ContestAnswers,
    weights: ArrayLike | None = None,
    *,
    lots: Sequence[int] | None = None,
) -> ContestCount:
    """Count the ballots of a contest as its kind, or its `count`, says.

    Raises:
        ParameterError: the lot has to decide and there is none, or `lots` for what is added up.
    """
    contest = answers.contest
    outcome: Outcome
    if contest.count is None:
        if lots is not None:
            raise ParameterError(f"contest {contest.id!r}: no lots where marks are added up")
        outcome = count_selections(answers, weights)
    else:
        valid = answers.verdicts == Verdict.VALID
        rankings = group_rankings(answers.selections[valid], _weights(answers, weights)[valid])
        try:
            outcome = _count_rankings(contest.count, rankings, lots)
        except ParameterError as error:
            raise ParameterError(f"contest {contest.id!r}: {error}") from None
    return ContestCount(contest=contest.id, ballots=answers.numbers(), outcome=outcome)


def _count_rankings(count: Count, rankings: Rankings, lots: Sequence[int] | None) -> Outcome:
    if count.method == "irv":
        return count_irv(rankings, lots=lots)
    if count.method == "scottish-stv":
        return count_scottish_stv(rankings, count.seats, lots=lots)
    if count.method == "schulze":
        return count_schulze(rankings, count.seats, lots=lots)
    return count_borda(rankings, count.seats, lots=lots)


def _weights(answers: ContestAnswers, weights: ArrayLike | None) -> NDArray[np.int64]:
    n = len(answers.verdicts)
    if weights is None:
        return np.ones(n, np.int64)
    each = np.asarray(weights)
    if each.shape != (n,):
        raise ShapeMismatch(f"weights of shape {each.shape}, not ({n},)")
    if n and (each.dtype.kind not in "iu" or each.min() < 1 or sum(each.tolist()) > MAX_BALLOTS):
        raise ParameterError(f"weights from 1, and {MAX_BALLOTS} together, expected")
    return each.astype(np.int64)


# -- reading -------------------------------------------------------------------------------------

_READ: dict[Method, Callable[[Fields, int], Outcome]] = {
    "irv": read_irv,
    "scottish-stv": read_stv,
    "schulze": read_schulze,
    "borda": read_borda,
}


def read_contest_count(fields: Fields, contest: Contest) -> ContestCount:
    """Read the object of a result. Only its form is checked: what is right, counting again says.

    Raises:
        DecodingError: a field is missing, unknown or malformed, or of another contest.
    """
    if fields.identifier("id") != contest.id:
        fields.fail("id", f"contest {contest.id!r} expected")
    numbers, count = fields.object("ballots"), fields.object("count")
    ballots = {
        verdict: numbers.integer(verdict.name.lower(), 0, MAX_BALLOTS) for verdict in Verdict
    }
    numbers.end()
    if contest.count is None:
        outcome: Outcome = _read_selections(count, contest)
    else:
        outcome = _READ[contest.count.method](count, len(contest.options))
    fields.end()
    return ContestCount(contest=contest.id, ballots=ballots, outcome=outcome)


def _read_selections(fields: Fields, contest: Contest) -> SelectionCount:
    texts = []
    for item in fields.objects("write_ins", _MAX_TEXTS) if "write_ins" in fields else ():
        text = item.text("text")
        if reason := check_write_in(contest, text):
            item.fail("text", reason)
        texts.append((text, item.integer("votes", 1, MAX_BALLOTS)))
        item.end()
    if [(-votes, text) for text, votes in texts] != sorted({(-v, text) for text, v in texts}):
        fields.fail("write_ins", "texts without repeats, those with most votes first, expected")
    count = SelectionCount(
        votes=read_votes(fields, "votes", len(contest.options)),
        write_ins=tuple(texts),
        undervotes=fields.integer("undervotes", 0, MAX_INTEGER),
    )
    fields.end()
    return count
