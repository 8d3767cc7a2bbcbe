"""Hypothesis strategies for elections: scalars, contests, choices, damaged bytes.

Needs hypothesis, which the extra `test` brings.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from evote.contests import METHODS, SUMMED_KINDS, Contest, Count, Kind, Option
from evote.errors import ParameterError
from evote.groups import Group, Scalars, Secrecy

try:
    from hypothesis import strategies as st
except ImportError as error:
    raise ImportError(
        "evote.testing.strategies needs hypothesis: pip install 'evote[test]'"
    ) from error

__all__ = ["choices", "contests", "damaged", "scalars"]

_Choice = tuple[list[list[int]], list[int]]
_TITLES = st.text(st.characters(categories=["L", "N", "P", "S"]), min_size=1, max_size=20)


def scalars(
    group: Group, shape: int | tuple[int, ...] = (), *, secrecy: Secrecy = Secrecy.PUBLIC
) -> st.SearchStrategy[Scalars]:
    """Scalars of a shape; 0, 1 and -1 come often."""
    dimensions = (shape,) if isinstance(shape, int) else shape
    size = math.prod(dimensions)
    integers = st.one_of(st.sampled_from([0, 1, group.order - 1]), st.integers(0, group.order - 1))
    return st.lists(integers, min_size=size, max_size=size).map(
        lambda values: group.scalars(values, secrecy=secrecy).reshape(dimensions)
    )


@st.composite
def contests(
    draw: st.DrawFn,
    kinds: Sequence[Kind] = SUMMED_KINDS,
    *,
    max_options: int = 4,
    max_marks: int = 3,
) -> Contest:
    """Contests of some kinds, within every limit that the kind has."""
    kind = draw(st.sampled_from(kinds))
    fewest = 2 if kind in ("plurality", "yes-no") else 1
    count = 2 if kind == "yes-no" else draw(st.integers(fewest, max(fewest, max_options)))
    limit = draw(st.integers(1, max_marks)) if kind in ("cumulative", "score") else 1
    maximum = {"plurality": 1, "yes-no": 1, "approval": count, "score": limit * count}.get(kind)
    if maximum is None:
        more = kind == "write-in"
        maximum = draw(st.integers(limit, limit * count + more))
    way = None
    if kind == "ranking":
        limit, method = maximum, draw(st.sampled_from(METHODS))
        way = Count(method=method, seats=1 if method == "irv" else draw(st.integers(1, count)))
    most = min(maximum, count) if kind == "write-in" else maximum
    minimum = 0 if kind in ("approval", "score") else draw(st.integers(0, most))
    return Contest(
        id="contest",
        title=draw(_TITLES),
        kind=kind,
        options=tuple(Option(id=f"o{i}", title=f"{draw(_TITLES)} {i}") for i in range(count)),
        option_limit=limit,
        minimum=minimum,
        maximum=maximum,
        blank=draw(st.sampled_from(["none", "counted"])),
        count=way,
        write_in=draw(st.integers(1, 20)) if kind == "write-in" else None,
    )


@st.composite
def choices(draw: st.DrawFn, contest: Contest, n: int = 1) -> _Choice:
    """What n voters may choose in a contest: rows of marks, and a bit each for a declared blank.

    In a write-in contest nobody writes.
    """
    count = len(contest.options)
    rows, blanks = [], []
    for _ in range(n):
        blank = draw(st.integers(0, 1)) if contest.counts_blanks else 0
        most = min(contest.maximum, count) if contest.kind == "write-in" else contest.maximum
        total = 0 if blank else draw(st.integers(contest.minimum, most))
        if contest.kind == "ranking":
            ranks = [*range(1, total + 1), *[0] * (count - total)]
            rows.append(draw(st.permutations(ranks)))
        else:
            rows.append(draw(_marks(count, contest.option_limit, total)))
        blanks.append(blank)
    return rows, blanks


@st.composite
def _marks(draw: st.DrawFn, count: int, limit: int, total: int) -> list[int]:
    """`count` integers from 0 to `limit` with this sum, in any order."""
    marks = []
    for left in range(count - 1, -1, -1):
        mark = draw(st.integers(max(0, total - left * limit), min(limit, total)))
        marks.append(mark)
        total -= mark
    return draw(st.permutations(marks))


@st.composite
def damaged(draw: st.DrawFn, data: bytes) -> bytes:
    """Bytes that differ from `data` in one place: a byte changed, lost or added; or cut off there.

    Raises:
        ParameterError: nothing can be damaged where there is nothing.
    """
    if not data:
        raise ParameterError("no bytes to damage")
    position = draw(st.integers(0, len(data) - 1))
    before, byte, after = data[:position], data[position], data[position + 1 :]
    other = bytes([draw(st.integers(0, 255).filter(lambda value: value != byte))])
    changed, lost, added = before + other + after, before + after, before + other + data[position:]
    return draw(st.sampled_from([changed, lost, added, data + other, before]))
