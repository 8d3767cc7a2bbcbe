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
    "ContestCounter",
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
    if answers.contest.kind == "ranking":
        raise ParameterError(f"contest {answers.contest.id!r}: rankings are not added up")
    sums = _Sums(answers.contest)
    sums.add(answers, _weights(answers, weights))
    return sums.finish()


class _Sums:
    """The sums of marks so far."""

    def __init__(self, contest: Contest) -> None:
        self._contest = contest
        self._votes = np.zeros(len(contest.options), np.int64)
        self._texts: dict[str, int] = {}
        self._weight = 0

    def add(self, answers: ContestAnswers, weights: NDArray[np.int64]) -> None:
        each = weights * (answers.verdicts == Verdict.VALID)
        self._votes += (answers.selections * each[:, None]).sum(axis=0)
        for text, weight in zip(answers.write_ins, each.tolist(), strict=True):
            if text:
                self._texts[text] = self._texts.get(text, 0) + weight
        self._weight += int(each.sum())

    def finish(self) -> SelectionCount:
        marks = int(self._votes.sum()) + sum(self._texts.values())
        return SelectionCount(
            votes=tuple(self._votes.tolist()),
            write_ins=tuple(sorted(self._texts.items(), key=lambda item: (-item[1], item[0]))),
            undervotes=self._contest.maximum * self._weight - marks,
        )


class _Orders:
    """The rankings so far, alike ones of a batch together."""

    def __init__(self, contest: Contest) -> None:
        self._alike = [np.zeros((0, len(contest.options)), np.int16)]
        self._numbers = [np.zeros(0, np.int64)]

    def add(self, answers: ContestAnswers, weights: NDArray[np.int64]) -> None:
        valid = answers.verdicts == Verdict.VALID
        ranks = answers.selections[valid].astype(np.int16)  # there are 1000 options at most
        alike, which = np.unique(ranks, axis=0, return_inverse=True)
        numbers = np.zeros(len(alike), np.int64)
        np.add.at(numbers, which.reshape(-1), weights[valid])
        self._alike.append(alike)
        self._numbers.append(numbers)

    def finish(self) -> Rankings:
        return group_rankings(np.concatenate(self._alike), np.concatenate(self._numbers))


class ContestCounter:
    """The count of a contest, of which ballots come in batches: nothing of them is kept but sums,
    and of rankings each order of a batch once."""

    def __init__(self, contest: Contest) -> None:
        self._contest = contest
        self._numbers = dict.fromkeys(Verdict, 0)
        self._weight = 0
        self._parts = _Sums(contest) if contest.count is None else _Orders(contest)

    def add(self, answers: ContestAnswers, weights: ArrayLike | None = None) -> None:
        """Add ballots of this contest; arguments and errors as of `count_contest`."""
        if answers.contest != self._contest:
            raise ParameterError(f"ballots of contest {self._contest.id!r} expected")
        each = _weights(answers, weights)
        self._weight += int(each.sum())
        if self._weight > MAX_BALLOTS:
            raise ParameterError(f"weights of {MAX_BALLOTS} together expected")
        for verdict, number in answers.numbers().items():
            self._numbers[verdict] += number
        self._parts.add(answers, each)

    def finish(self, lots: Sequence[int] | None = None) -> ContestCount:
        """The count of all that was added; as `count_contest`."""
        contest, outcome = self._contest, self._parts.finish()
        if isinstance(outcome, Rankings):
            assert contest.count is not None
            try:
                counted: Outcome = _count_rankings(contest.count, outcome, lots)
            except ParameterError as error:
                raise ParameterError(f"contest {contest.id!r}: {error}") from None
        elif lots is not None:
            raise ParameterError(f"contest {contest.id!r}: no lots where marks are added up")
        else:
            counted = outcome
        return ContestCount(contest=contest.id, ballots=self._numbers, outcome=counted)


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
    counter = ContestCounter(answers.contest)
    counter.add(answers, weights)
    return counter.finish(lots)


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
    for item in fields.objects("write_ins", MAX_BALLOTS) if "write_ins" in fields else ():
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
