"""Rankings to be counted, seats, lots and ties: what all methods share.

Options are numbered from 0 in the order of the contest. The private half of `evote.counting`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evote.contests import MAX_OPTIONS
from evote.encoding import JSON, MAX_INTEGER, Fields
from evote.errors import ParameterError, ShapeMismatch

__all__ = [
    "MAX_BALLOTS",
    "Rankings",
    "Tie",
    "check_lots",
    "check_seats",
    "draw",
    "group_rankings",
    "read_lots",
    "read_options",
    "read_ties",
    "read_votes",
]

MAX_BALLOTS = 2**40 - 1  # with their weights, as in a manifest
_MAX_STAGES = 2 * MAX_OPTIONS + 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Rankings:
    """Different orders of preference, and how many ballots have each.

    Attributes:
        options: how many there are to rank.
        orders: options in order of preference, without repeats; none are alike. An order may stop
            early; one of nothing belongs to ballots that rank nothing.
        numbers: at least 1 for each order: ballots, or their weight.

    Raises:
        ParameterError: an order or a number is not like this; names its position.
    """

    options: int
    orders: tuple[tuple[int, ...], ...]
    numbers: tuple[int, ...]

    def __post_init__(self) -> None:
        if type(self.options) is not int or not 1 <= self.options <= MAX_OPTIONS:
            raise ParameterError(f"1 to {MAX_OPTIONS} options expected, got {self.options!r}")
        if len(self.orders) != len(self.numbers):
            raise ShapeMismatch(f"{len(self.orders)} orders, {len(self.numbers)} numbers")
        seen: set[tuple[int, ...]] = set()
        for i, (order, number) in enumerate(zip(self.orders, self.numbers, strict=True)):
            if order in seen:
                raise ParameterError(f"order {i} occurs twice")
            seen.add(order)
            if len(set(order)) != len(order):
                raise ParameterError(f"order {i}: an option repeats")
            if not all(type(option) is int and 0 <= option < self.options for option in order):
                raise ParameterError(f"order {i}: options from 0 to {self.options - 1} expected")
            if type(number) is not int or number < 1:
                raise ParameterError(f"order {i}: a number of ballots from 1 expected")
        if sum(self.numbers) > MAX_BALLOTS:
            raise ParameterError(f"more than {MAX_BALLOTS} ballots")

    @property
    def ballots(self) -> int:
        """How many ballots rank something."""
        return sum(number for order, number in self.items() if order)

    def items(self) -> Iterable[tuple[tuple[int, ...], int]]:
        """The orders with their numbers."""
        return zip(self.orders, self.numbers, strict=True)

    def places(self) -> NDArray[np.int64]:
        """For each order the place of every option, from 0; those not ranked are all last."""
        places = np.full((len(self.orders), self.options), self.options, np.int64)
        lengths = np.array([len(order) for order in self.orders], np.int64)
        flat = np.fromiter(chain.from_iterable(self.orders), np.int64)
        rows = np.repeat(np.arange(len(self.orders)), lengths)
        starts = np.repeat(np.cumsum(lengths) - lengths, lengths)
        places[rows, flat] = np.arange(len(flat)) - starts
        return places


def group_rankings(selections: ArrayLike, weights: ArrayLike | None = None) -> Rankings:
    """The rankings of n ballots, alike ones together.

    Args:
        selections: valid ranks of shape (n, options), as `evote.packing` reads them.
        weights: n integers from 1; each ballot counts once when missing.
    """
    ranks = np.asarray(selections, np.int64)
    if ranks.ndim != 2:
        raise ShapeMismatch(f"rankings of shape {ranks.shape}, not (n, options)")
    n, options = ranks.shape
    each = np.ones(n, np.int64) if weights is None else np.asarray(weights, np.int64)
    if each.shape != (n,):
        raise ShapeMismatch(f"weights of shape {each.shape}, not ({n},)")
    if (each < 1).any() or sum(each.tolist()) > MAX_BALLOTS:
        raise ParameterError(f"weights from 1, and {MAX_BALLOTS} together, expected")
    if not n:
        return Rankings(options=options, orders=(), numbers=())
    alike, which = np.unique(ranks, axis=0, return_inverse=True)
    numbers = np.zeros(len(alike), np.int64)
    np.add.at(numbers, which.reshape(-1), each)
    lengths = np.count_nonzero(alike, axis=1)
    orders = np.argsort(np.where(alike > 0, alike, options + 1), axis=1, kind="stable")
    return Rankings(
        options=options,
        orders=tuple(
            tuple(row[:length])
            for row, length in zip(orders.tolist(), lengths.tolist(), strict=True)
        ),
        numbers=tuple(numbers.tolist()),
    )


def check_seats(seats: int, options: int) -> None:
    """ParameterError unless there are from 1 to `options` seats."""
    if type(seats) is not int or not 1 <= seats <= options:
        raise ParameterError(f"1 to {options} seats expected, got {seats!r}")


# -- ties ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Tie:
    """Options that the votes did not separate, and what did.

    Attributes:
        stage: the stage or round that the choice belongs to; of Schulze and Borda the first of the
            seats in question; from 1.
        options: those with equal votes, ascending.
        drawn: those among whom the lot decided, ascending; none where an earlier stage did.
        chosen: who is excluded, transferred or elected; one, or as many as there are seats.
    """

    stage: int
    options: tuple[int, ...]
    drawn: tuple[int, ...]
    chosen: tuple[int, ...]

    def to_json(self) -> dict[str, JSON]:
        """The object of a result."""
        return {
            "stage": self.stage,
            "options": list(self.options),
            "drawn": list(self.drawn),
            "chosen": list(self.chosen),
        }


def read_ties(fields: Fields, options: int) -> tuple[Tie, ...]:
    """The list `ties` of a result."""
    ties = []
    for item in fields.objects("ties", _MAX_STAGES):
        tie = Tie(
            stage=item.integer("stage", 1, _MAX_STAGES),
            options=read_options(item, "options", options),
            drawn=read_options(item, "drawn", options),
            chosen=read_options(item, "chosen", options),
        )
        item.end()
        ties.append(tie)
    return tuple(ties)


def read_options(fields: Fields, key: str, options: int) -> tuple[int, ...]:
    """A list of options without repeats."""
    numbers = fields.integers(key, 0, options - 1, options)
    if len(set(numbers)) != len(numbers):
        fields.fail(key, "an option repeats")
    return tuple(numbers)


def read_lots(fields: Fields, options: int) -> tuple[int, ...] | None:
    """The field `lots` of a result; None where none were drawn."""
    if "lots" not in fields:
        return None
    lots = read_options(fields, "lots", options)
    if len(lots) != options:
        fields.fail("lots", f"{options} options expected, got {len(lots)}")
    return lots


def read_votes(fields: Fields, key: str, options: int) -> tuple[int, ...]:
    """A list with an integer for each option."""
    votes = fields.integers(key, 0, MAX_INTEGER, options)
    if len(votes) != options:
        fields.fail(key, f"{options} numbers expected, got {len(votes)}")
    return tuple(votes)


def check_lots(lots: Sequence[int] | None, options: int) -> tuple[int, ...] | None:
    """The lots as a tuple; ParameterError unless they are the options in some order, or None."""
    if lots is None:
        return None
    order = tuple(lots)
    if any(type(one) is not int for one in order) or sorted(order) != list(range(options)):
        raise ParameterError(f"lots are all {options} options in the order in which they are drawn")
    return order


def draw(
    tied: Iterable[int], lots: tuple[int, ...] | None, stage: int, number: int = 1
) -> tuple[int, ...]:
    """Those of the tied options that come first in the lots.

    Raises:
        ParameterError: no lots are given, and so none can decide.
    """
    among = sorted(tied)
    if lots is None:
        shown = ", ".join(map(str, among))
        raise ParameterError(f"stage {stage}: the lot has to decide between the options {shown}")
    return tuple(option for option in lots if option in among)[:number]
