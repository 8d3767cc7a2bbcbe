"""Counts that put all options in order at once: Schulze and Borda.

Both give levels: the first holds the best, and options of one level are equal. Seats are filled
level by level; where a level has more options than seats are left, the lot decides. The private
half of `evote.counting`; docs/counting.md has the rules in full.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

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
from evote.encoding import JSON, Fields

__all__ = [
    "BordaCount",
    "SchulzeCount",
    "count_borda",
    "count_schulze",
    "read_borda",
    "read_schulze",
]

_Levels: TypeAlias = tuple[tuple[int, ...], ...]
_Matrix: TypeAlias = tuple[tuple[int, ...], ...]


def _fill(
    levels: Sequence[tuple[int, ...]], seats: int, lots: tuple[int, ...] | None
) -> tuple[tuple[int, ...], tuple[Tie, ...]]:
    """Who gets the seats, and the tie for the last of them, if there is one."""
    elected: tuple[int, ...] = ()
    for level in levels:
        vacant = seats - len(elected)
        if not vacant:
            break
        if len(level) > vacant:
            chosen = draw(level, lots, len(elected) + 1, vacant)
            tie = Tie(stage=len(elected) + 1, options=level, drawn=level, chosen=chosen)
            return elected + chosen, (tie,)
        elected += level
    return elected, ()


def _read_levels(fields: Fields, options: int) -> _Levels:
    levels = []
    for i, level in enumerate(fields.list("levels", options)):
        part = Fields({f"levels[{i}]": level}, fields.where)
        levels.append(read_options(part, f"levels[{i}]", options))
    if sorted(option for level in levels for option in level) != list(range(options)):
        fields.fail("levels", "each option once expected")
    return tuple(levels)


# -- Schulze -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class SchulzeCount:
    """A count by the Schulze method.

    Attributes:
        preferred: in row a and column b, how many ballots rank a above b.
        paths: in row a and column b, the strength of the strongest path from a to b.
        levels: the options of each level ascending.
    """

    elected: tuple[int, ...]
    levels: _Levels
    preferred: _Matrix
    paths: _Matrix
    ties: tuple[Tie, ...]
    lots: tuple[int, ...] | None = None

    def to_json(self) -> dict[str, JSON]:
        """The object of a result."""
        value: dict[str, JSON] = {
            "elected": list(self.elected),
            "levels": [list(level) for level in self.levels],
            "preferred": [list(row) for row in self.preferred],
            "paths": [list(row) for row in self.paths],
            "ties": [tie.to_json() for tie in self.ties],
        }
        return value if self.lots is None else value | {"lots": list(self.lots)}


def count_schulze(
    rankings: Rankings, seats: int = 1, *, lots: Sequence[int] | None = None
) -> SchulzeCount:
    """Order the options by strongest paths, with winning votes; options not ranked are last.

    Cost: (options)^3, and (options)^2 for each different order. Reference: Markus Schulze, "A new
    monotonic, clone-independent, reversal symmetric, and Condorcet-consistent single-winner
    election method", Social Choice and Welfare 36 (2011), section 2.
    """
    check_seats(seats, rankings.options)
    order = check_lots(lots, rankings.options)
    preferred = _preferred(rankings)
    paths = np.where(preferred > preferred.T, preferred, 0)
    for through in range(rankings.options):
        detour = np.minimum(paths[:, through : through + 1], paths[through : through + 1, :])
        np.maximum(paths, detour, out=paths)
    np.fill_diagonal(paths, 0)
    beats = paths > paths.T
    levels: list[tuple[int, ...]] = []
    left = np.ones(rankings.options, np.bool_)
    while left.any():
        best = left & ~beats[left].any(axis=0)  # "beats" has no cycles, so there is always one
        levels.append(tuple(np.flatnonzero(best).tolist()))
        left &= ~best
    elected, ties = _fill(levels, seats, order)
    return SchulzeCount(
        elected=elected,
        levels=tuple(levels),
        preferred=_rows(preferred),
        paths=_rows(paths),
        ties=ties,
        lots=order,
    )


def _preferred(rankings: Rankings) -> NDArray[np.int64]:
    """How many ballots rank the option of a row above that of a column."""
    places = rankings.places()
    numbers = np.array(rankings.numbers, np.int64)
    rows = [
        ((places[:, option : option + 1] < places) * numbers[:, None]).sum(axis=0)
        for option in range(rankings.options)
    ]
    return np.array(rows, np.int64)


def _rows(matrix: NDArray[np.int64]) -> _Matrix:
    return tuple(tuple(row) for row in matrix.tolist())


def read_schulze(fields: Fields, options: int) -> SchulzeCount:
    """Read the object of a result."""
    count = SchulzeCount(
        elected=read_options(fields, "elected", options),
        levels=_read_levels(fields, options),
        preferred=_read_matrix(fields, "preferred", options),
        paths=_read_matrix(fields, "paths", options),
        ties=read_ties(fields, options),
        lots=read_lots(fields, options),
    )
    fields.end()
    return count


def _read_matrix(fields: Fields, key: str, options: int) -> _Matrix:
    rows = []
    for i, row in enumerate(fields.list(key, options)):
        part = Fields({f"{key}[{i}]": row}, fields.where)
        rows.append(tuple(part.integers(f"{key}[{i}]", 0, MAX_BALLOTS, options)))
    if [len(row) for row in rows] != [options] * options:
        fields.fail(key, f"{options} rows of {options} numbers expected")
    return tuple(rows)


# -- Borda ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class BordaCount:
    """A Borda count: points by option, and the levels of equal points."""

    elected: tuple[int, ...]
    levels: _Levels
    points: tuple[int, ...]
    ties: tuple[Tie, ...]
    lots: tuple[int, ...] | None = None

    def to_json(self) -> dict[str, JSON]:
        """The object of a result."""
        value: dict[str, JSON] = {
            "elected": list(self.elected),
            "levels": [list(level) for level in self.levels],
            "points": list(self.points),
            "ties": [tie.to_json() for tie in self.ties],
        }
        return value if self.lots is None else value | {"lots": list(self.lots)}


def count_borda(
    rankings: Rankings, seats: int = 1, *, lots: Sequence[int] | None = None
) -> BordaCount:
    """Order the options by points: of m options the k-th preference gets m - k.

    Options that a ballot does not rank get nothing from it, however early it stops.
    """
    check_seats(seats, rankings.options)
    order = check_lots(lots, rankings.options)
    points = [0] * rankings.options
    for ranked, number in rankings.items():
        for place, option in enumerate(ranked, 1):
            points[option] += number * (rankings.options - place)
    levels = tuple(
        tuple(option for option in range(rankings.options) if points[option] == score)
        for score in sorted(set(points), reverse=True)
    )
    elected, ties = _fill(levels, seats, order)
    return BordaCount(elected=elected, levels=levels, points=tuple(points), ties=ties, lots=order)


def read_borda(fields: Fields, options: int) -> BordaCount:
    """Read the object of a result."""
    count = BordaCount(
        elected=read_options(fields, "elected", options),
        levels=_read_levels(fields, options),
        points=read_votes(fields, "points", options),
        ties=read_ties(fields, options),
        lots=read_lots(fields, options),
    )
    fields.end()
    return count
