"""Counts that transfer votes from option to option: instant-runoff and Scottish STV.

The private half of `evote.counting`; docs/counting.md has the rules in full.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from evote._rankings import (
    MAX_BALLOTS,
    Rankings,
    Tie,
    check_lots,
    check_seats,
    draw,
    read_lots,
    read_options,
    read_ties,
    read_votes,
)
from evote.contests import MAX_OPTIONS
from evote.encoding import JSON, Fields

__all__ = [
    "UNIT",
    "IRVCount",
    "Round",
    "STVCount",
    "Stage",
    "count_irv",
    "count_scottish_stv",
    "read_irv",
    "read_stv",
]

UNIT = 100_000  # units of a vote: five decimals
_VALUE = re.compile(r"(0|[1-9][0-9]{0,12})\.([0-9]{5})", re.ASCII)
_MAX_STAGES = 2 * MAX_OPTIONS + 1

Action: TypeAlias = Literal["first preferences", "surplus", "exclusion"]
_ACTION: dict[str, Action] = {
    "first preferences": "first preferences",
    "surplus": "surplus",
    "exclusion": "exclusion",
}


class _Papers:
    """Where the ballots of each order are, and what one of them is worth.

    Ballots of one order always travel together: each order has one holder, place and value.
    """

    def __init__(self, rankings: Rankings, unit: int) -> None:
        self.orders, self.numbers = rankings.orders, rankings.numbers
        self.continuing = set(range(rankings.options))
        self.votes = [0] * rankings.options
        self.stuck = 0  # the value of ballots without a next preference
        self._held: list[list[int]] = [[] for _ in range(rankings.options)]
        self._place = [0] * len(self.orders)
        self._value = [unit] * len(self.orders)
        for i, order in enumerate(self.orders):
            if order:
                self._held[order[0]].append(i)
                self.votes[order[0]] += unit * self.numbers[i]

    def transfer(self, option: int, numerator: int = 1, denominator: int = 1) -> None:
        """Move all ballots of an option on, each at a fraction of its value, rounded down."""
        moved, self._held[option] = self._held[option], []
        for i in moved:
            self._value[i] = numerator * self._value[i] // denominator
            amount = self._value[i] * self.numbers[i]
            order, place = self.orders[i], self._place[i] + 1
            while place < len(order) and order[place] not in self.continuing:
                place += 1
            self._place[i] = place
            if place < len(order):
                self._held[order[place]].append(i)
                self.votes[order[place]] += amount
            else:
                self.stuck += amount


def _settle(
    tied: Sequence[int],
    history: Sequence[Sequence[int]],
    most: bool,
    stage: int,
    lots: tuple[int, ...] | None,
    ties: list[Tie],
) -> int:
    """Who of those with equal votes is chosen: the earlier stages, latest first, and then the lot.

    Each stage leaves those with most, or fewest, votes in it.
    """
    if len(tied) == 1:
        return tied[0]
    left = list(tied)
    for votes in reversed(history):
        best = (max if most else min)(votes[option] for option in left)
        left = [option for option in left if votes[option] == best]
    drawn = tuple(sorted(left)) if len(left) > 1 else ()
    chosen = tuple(left) if len(left) == 1 else draw(left, lots, stage)
    ties.append(Tie(stage=stage, options=tuple(sorted(tied)), drawn=drawn, chosen=chosen))
    return chosen[0]


def _lots_json(lots: tuple[int, ...] | None) -> dict[str, JSON]:
    return {} if lots is None else {"lots": list(lots)}


# -- instant-runoff ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """Votes after an exclusion; nobody is excluded in the first round."""

    excluded: int | None
    votes: tuple[int, ...]
    exhausted: int

    def to_json(self) -> dict[str, JSON]:
        """The object of a result."""
        head: dict[str, JSON] = {} if self.excluded is None else {"excluded": self.excluded}
        return head | {"votes": list(self.votes), "exhausted": self.exhausted}


@dataclass(frozen=True, slots=True, kw_only=True)
class IRVCount:
    """An instant-runoff count. `elected` is one option."""

    elected: tuple[int, ...]
    rounds: tuple[Round, ...]
    ties: tuple[Tie, ...]
    lots: tuple[int, ...] | None = None

    def to_json(self) -> dict[str, JSON]:
        """The object of a result."""
        return {
            **_lots_json(self.lots),
            "elected": list(self.elected),
            "rounds": [one.to_json() for one in self.rounds],
            "ties": [tie.to_json() for tie in self.ties],
        }


def count_irv(rankings: Rankings, *, lots: Sequence[int] | None = None) -> IRVCount:
    """Elect one by instant-runoff.

    Who has more than half of the votes that are not exhausted is elected; until then the one with
    fewest is excluded, one a round, and the votes go to the next preference that continues. Equal:
    who had fewer in the latest round where they differ; equal in all: the lot.
    """
    order = check_lots(lots, rankings.options)
    papers = _Papers(rankings, 1)
    rounds: list[Round] = []
    ties: list[Tie] = []
    excluded: int | None = None
    while True:
        votes = tuple(papers.votes)
        rounds.append(Round(excluded=excluded, votes=votes, exhausted=papers.stuck))
        first = max(papers.continuing, key=lambda option: (votes[option], -option))
        if 2 * votes[first] > sum(votes) or len(papers.continuing) == 1:
            return IRVCount(elected=(first,), rounds=tuple(rounds), ties=tuple(ties), lots=order)
        fewest = min(votes[option] for option in papers.continuing)
        lowest = sorted(option for option in papers.continuing if votes[option] == fewest)
        history = [one.votes for one in rounds[:-1]]
        excluded = _settle(lowest, history, False, len(rounds) + 1, order, ties)
        papers.continuing.remove(excluded)
        papers.votes[excluded] = 0
        papers.transfer(excluded)


def read_irv(fields: Fields, options: int) -> IRVCount:
    """Read the object of a result."""
    rounds = []
    for item in fields.objects("rounds", options):
        excluded = item.integer("excluded", 0, options - 1) if "excluded" in item else None
        rounds.append(
            Round(
                excluded=excluded,
                votes=read_votes(item, "votes", options),
                exhausted=item.integer("exhausted", 0, MAX_BALLOTS),
            )
        )
        item.end()
    count = IRVCount(
        elected=read_options(fields, "elected", options),
        rounds=tuple(rounds),
        ties=read_ties(fields, options),
        lots=read_lots(fields, options),
    )
    fields.end()
    return count


# -- Scottish STV --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """What was done, and how the votes are after it; votes in units of 0.00001.

    Attributes:
        option: whose surplus is transferred, or who is excluded; None at the first preferences.
        surplus: what there is to transfer; 0 but for a surplus.
        non_transferable: of all stages so far, as is `lost`, what truncation took.
        elected: in this stage, by votes and then by number.
    """

    action: Action
    option: int | None
    surplus: int
    votes: tuple[int, ...]
    non_transferable: int
    lost: int
    elected: tuple[int, ...]

    def to_json(self) -> dict[str, JSON]:
        """The object of a result; votes with their five decimals, as text."""
        value: dict[str, JSON] = {
            "action": self.action,
            "votes": [_shown(votes) for votes in self.votes],
            "non_transferable": _shown(self.non_transferable),
            "lost_to_truncation": _shown(self.lost),
            "elected": list(self.elected),
        }
        if self.option is not None:
            value["option"] = self.option
        if self.action == "surplus":
            value["surplus"] = _shown(self.surplus)
        return value


@dataclass(frozen=True, slots=True, kw_only=True)
class STVCount:
    """A count by Scottish STV: who is elected and excluded, each in order, and every stage.

    `ballots` rank something; `quota` is in whole votes.
    """

    seats: int
    ballots: int
    quota: int
    elected: tuple[int, ...]
    excluded: tuple[int, ...]
    stages: tuple[Stage, ...]
    ties: tuple[Tie, ...]
    lots: tuple[int, ...] | None = None

    def to_json(self) -> dict[str, JSON]:
        """The object of a result."""
        return {
            **_lots_json(self.lots),
            "seats": self.seats,
            "ballots": self.ballots,
            "quota": self.quota,
            "elected": list(self.elected),
            "excluded": list(self.excluded),
            "stages": [stage.to_json() for stage in self.stages],
            "ties": [tie.to_json() for tie in self.ties],
        }


def count_scottish_stv(
    rankings: Rankings, seats: int, *, lots: Sequence[int] | None = None
) -> STVCount:
    """Fill the seats by the single transferable vote as Scotland counts it.

    Weighted inclusive Gregory transfers, truncated to five decimals; exact integers throughout.
    Reference: The Scottish Local Government Elections Order 2007 (SSI 2007/42), schedule 1, rules
    45 to 52.
    """
    check_seats(seats, rankings.options)
    order = check_lots(lots, rankings.options)
    quota = rankings.ballots // (seats + 1) + 1
    papers = _Papers(rankings, UNIT)
    stages: list[Stage] = []
    ties: list[Tie] = []
    elected: list[int] = []
    excluded: list[int] = []
    waiting: set[int] = set()  # elected with a surplus that is not transferred
    lost = 0

    def close(action: Action, option: int | None = None, surplus: int = 0) -> None:
        """Elect who has the quota, or all that continue if there are seats for all."""
        votes = papers.votes
        vacant = seats - len(elected)
        if len(papers.continuing) <= vacant:
            new = set(papers.continuing)
        else:
            new = {one for one in papers.continuing if votes[one] >= quota * UNIT}
        papers.continuing.difference_update(new)
        waiting.update(one for one in new if votes[one] > quota * UNIT)
        in_order = sorted(new, key=lambda one: (-votes[one], one))
        elected.extend(in_order)
        stages.append(
            Stage(
                action=action,
                option=option,
                surplus=surplus,
                votes=tuple(votes),
                non_transferable=papers.stuck,
                lost=lost,
                elected=tuple(in_order),
            )
        )

    close("first preferences")
    while len(elected) < seats:
        votes = papers.votes
        history = [stage.votes for stage in stages[:-1]]
        number = len(stages) + 1
        if waiting:
            most = max(votes[one] for one in waiting)
            largest = sorted(one for one in waiting if votes[one] == most)
            chosen = _settle(largest, history, True, number, order, ties)
            waiting.remove(chosen)
            surplus, before = votes[chosen] - quota * UNIT, sum(votes) + papers.stuck
            papers.transfer(chosen, surplus, votes[chosen])
            votes[chosen] = quota * UNIT
            lost += before - sum(votes) - papers.stuck
            close("surplus", chosen, surplus)
        else:
            fewest = min(votes[one] for one in papers.continuing)
            lowest = sorted(one for one in papers.continuing if votes[one] == fewest)
            chosen = _settle(lowest, history, False, number, order, ties)
            papers.continuing.remove(chosen)
            excluded.append(chosen)
            votes[chosen] = 0
            papers.transfer(chosen)
            close("exclusion", chosen)
    return STVCount(
        seats=seats,
        ballots=rankings.ballots,
        quota=quota,
        elected=tuple(elected),
        excluded=tuple(excluded),
        stages=tuple(stages),
        ties=tuple(ties),
        lots=order,
    )


def read_stv(fields: Fields, options: int) -> STVCount:
    """Read the object of a result."""
    count = STVCount(
        seats=fields.integer("seats", 1, options),
        ballots=fields.integer("ballots", 0, MAX_BALLOTS),
        quota=fields.integer("quota", 1, MAX_BALLOTS),
        elected=read_options(fields, "elected", options),
        excluded=read_options(fields, "excluded", options),
        stages=tuple(_read_stage(item, options) for item in fields.objects("stages", _MAX_STAGES)),
        ties=read_ties(fields, options),
        lots=read_lots(fields, options),
    )
    fields.end()
    return count


def _read_stage(fields: Fields, options: int) -> Stage:
    action = _ACTION[fields.choice("action", _ACTION)]
    first = action == "first preferences"
    votes = fields.list("votes", options)
    if len(votes) != options:
        fields.fail("votes", f"{options} numbers expected, got {len(votes)}")
    stage = Stage(
        action=action,
        option=None if first else fields.integer("option", 0, options - 1),
        surplus=_value(fields, "surplus", fields.value("surplus")) if action == "surplus" else 0,
        votes=tuple(_value(fields, f"votes[{i}]", text) for i, text in enumerate(votes)),
        non_transferable=_value(fields, "non_transferable", fields.value("non_transferable")),
        lost=_value(fields, "lost_to_truncation", fields.value("lost_to_truncation")),
        elected=read_options(fields, "elected", options),
    )
    fields.end()
    return stage


def _shown(value: int) -> str:
    return f"{value // UNIT}.{value % UNIT:05}"


def _value(fields: Fields, key: str, text: JSON) -> int:
    found = _VALUE.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        fields.fail(key, "votes with five decimals expected")
    return int(found[1]) * UNIT + int(found[2])
