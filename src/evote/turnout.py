"""Turnout by district, against the roll and against what independent observers counted.

A district is named as an outlier where

    stuffed     more have voted than are on the roll
    observers   the record has more voters than observers saw: any more, or, where they saw a known
                share of the voters only, more than chance explains
    missing     observers saw more voters than the record has
    unusual     its turnout differs from that of all other districts together by ten points or more,
                and by more than chance explains if all voters decided alike

Chance is the tail of the binomial distribution: that of Bin(voted, coverage) up to the observers'
count, and twice the smaller tail of Bin(registered, turnout of the others). Both are compared with
`LEVEL` after Holm's correction for the number of districts ("A simple sequentially rejective
multiple test procedure", Scandinavian Journal of Statistics 6, 1979): the chance that an honest
election has any such outlier is at most `LEVEL` for each test. Voters of a district have much in
common, so an unusual turnout is a reason to look, and proof of nothing; the other three are facts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from html import escape
from math import inf, lgamma, log, log1p, log10
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np

from evote._voters import read_numbers
from evote.board import BallotEntry
from evote.credentials import decode_roll, read_roll
from evote.encoding import check_identifier
from evote.errors import DecodingError, ParameterError
from evote.record import Record
from evote.verify import Progress, audit

__all__ = [
    "LEVEL",
    "Count",
    "District",
    "Outlier",
    "binomial_tail",
    "draw_districts",
    "draw_histogram",
    "find_outliers",
    "read_counts",
    "turnout",
    "with_counts",
]

LEVEL = 0.001
"""How often an honest election may have outliers by chance, for each test."""

_UNUSUAL = Fraction(1, 10)  # of the roll, apart from the other districts
_NATS = log(10)

Rule: TypeAlias = Literal["stuffed", "observers", "missing", "unusual"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """What observers counted in a district: `seen` voters, who are `coverage` percent of all."""

    seen: int
    coverage: int = 100

    def __post_init__(self) -> None:
        if self.seen < 0 or not 1 <= self.coverage <= 100:
            raise ParameterError("a count is not negative, and a coverage from 1 to 100 percent")


@dataclass(frozen=True, slots=True, kw_only=True)
class District:
    """The voters of a district: on the roll, in the record, and in observers' eyes if any."""

    id: str
    registered: int
    voted: int
    observed: Count | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlier:
    """A district to look at, by which rule, and why, with the numbers."""

    district: str
    rule: Rule
    reason: str


def turnout(
    record: Path | str, *, jobs: int = 1, progress: Progress | None = None
) -> list[District]:
    """The districts of a record that verifies as far as it has come, ascending by id.

    Who has cast a ballot has voted, once, whether or not it counts in the end.

    Raises:
        VerificationError: the record does not verify.
    """
    audit(record, phase="voting", jobs=jobs, progress=progress).raise_for_failure()
    opened = Record(record)
    styles = [style.id for style in opened.manifest.styles]
    roll = read_roll(opened.roll_rows(), styles, check_keys=False)
    assert roll.root == decode_roll(opened.roll_header()).root, "it has been verified"
    cast = [
        entry.credential
        for _, _, entry in opened.entries()
        if isinstance(entry, BallotEntry) and entry.action == "cast"
    ]
    rows = np.unique(roll.find(cast))
    registered = np.bincount(roll.district_numbers, minlength=len(roll.districts))
    voted = np.bincount(roll.district_numbers[rows], minlength=len(roll.districts))
    found = zip(roll.districts, registered.tolist(), voted.tolist(), strict=True)
    return [District(id=i, registered=n, voted=v) for i, n, v in sorted(found)]


def read_counts(path: Path | str) -> dict[str, Count]:
    """Observers' counts: a CSV with the columns district, seen and, if they did not see all of
    the time or of the doors, coverage in percent.

    Raises:
        ParameterError: a line is wrong, or a district's second; it is named.
    """
    counts: dict[str, Count] = {}
    for where, district, numbers in read_numbers(path, "district", ("seen",), ("coverage",)):
        if district in counts:
            raise ParameterError(f"{where}: a second count of {district}")
        try:
            check_identifier(district)
            counts[district] = Count(seen=numbers["seen"], coverage=numbers.get("coverage", 100))
        except (DecodingError, ParameterError) as error:
            raise ParameterError(f"{where}: {error}") from None
    return counts


def with_counts(districts: Sequence[District], counts: Mapping[str, Count]) -> list[District]:
    """The districts with what observers counted there.

    Raises:
        ParameterError: observers counted in a district that is not there.
    """
    if unknown := sorted(set(counts) - {district.id for district in districts}):
        raise ParameterError(f"observers counted in {unknown[0]!a}, which is no district")
    return [
        District(
            id=d.id, registered=d.registered, voted=d.voted, observed=counts.get(d.id, d.observed)
        )
        for d in districts
    ]


# -- outliers ------------------------------------------------------------------------------------


def find_outliers(districts: Sequence[District]) -> list[Outlier]:
    """The districts to look at, in their order; one may be named by several rules."""
    found = {id(d): list(_facts(d)) for d in districts}
    tests: list[tuple[Rule, _Chances]] = [
        ("observers", _observers(districts)),
        ("unusual", _unusual(districts)),
    ]
    for rule, chances in tests:
        for district, chance, words in _rejected(chances):
            reason = f"{words}; by chance {_shown_chance(chance)}"
            found[id(district)].append(Outlier(district=district.id, rule=rule, reason=reason))
    return [outlier for d in districts for outlier in found[id(d)]]


_Chances: TypeAlias = dict[int, tuple[District, float, str]]


def _facts(d: District) -> Iterable[Outlier]:
    if d.voted > d.registered:
        reason = f"{d.voted} voted, {d.registered} are on the roll"
        yield Outlier(district=d.id, rule="stuffed", reason=reason)
    if d.observed is None:
        return
    if d.observed.coverage == 100 and d.observed.seen < d.voted:
        reason = f"{d.voted} voted by the record, observers saw {d.observed.seen}"
        yield Outlier(district=d.id, rule="observers", reason=reason)
    if d.observed.seen > d.voted:
        reason = f"{d.voted} voted by the record, observers saw {d.observed.seen}"
        yield Outlier(district=d.id, rule="missing", reason=reason)


def _observers(districts: Sequence[District]) -> _Chances:
    """That observers see so few, if they see each voter with the chance they say."""
    chances: _Chances = {}
    for d in districts:
        if d.observed is not None and d.observed.coverage < 100:
            share = Fraction(d.observed.coverage, 100)
            words = (
                f"{d.voted} voted by the record, observers saw {d.observed.seen} "
                f"at {d.observed.coverage} percent"
            )
            chances[id(d)] = d, binomial_tail(d.voted, d.observed.seen, share), words
    return chances


def _unusual(districts: Sequence[District]) -> _Chances:
    """That so many or so few vote, if voters decide as those of the other districts do."""
    registered = sum(d.registered for d in districts)
    voted = sum(d.voted for d in districts)
    chances: _Chances = {}
    for d in districts:
        others = registered - d.registered
        if not others or not d.registered or not 0 <= d.voted <= d.registered:
            continue
        rate = Fraction(min(voted - d.voted, others), others)
        if abs(Fraction(d.voted, d.registered) - rate) >= _UNUSUAL:
            low = binomial_tail(d.registered, d.voted, rate)
            high = binomial_tail(d.registered, d.registered - d.voted, 1 - rate)
            words = (
                f"{d.voted} of {d.registered} voted, {_percent(d.voted, d.registered)} percent, "
                f"elsewhere {_percent(voted - d.voted, others)}"
            )
            chances[id(d)] = d, min(low, high) + log10(2), words
        else:
            chances[id(d)] = d, 0.0, ""
    return chances


def _rejected(chances: _Chances) -> list[tuple[District, float, str]]:
    """Holm: the smallest chance is compared with LEVEL / m, the next with LEVEL / (m - 1), ..."""
    ordered = sorted(chances.values(), key=lambda item: item[1])
    rejected = []
    for i, tested in enumerate(ordered):
        if tested[1] > log10(LEVEL / (len(ordered) - i)):
            break
        rejected.append(tested)
    return rejected


def binomial_tail(n: int, k: int, p: Fraction) -> float:
    """log10 of the chance of at most k successes in n trials; 0.0 from the mean on.

    The terms fall from k downwards at least as fast as a geometric series, and are added until
    they no longer matter. -inf is a chance of nothing.
    """
    if k >= n * p:
        return 0.0
    if k < 0 or p == 1:
        return -inf
    a, b = float(p), float(1 - p)
    largest = lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1) + k * log(a) + (n - k) * log1p(-a)
    total = term = 1.0
    for i in range(k, 0, -1):  # P(i - 1) / P(i)
        term *= i * b / ((n - i + 1) * a)
        total += term
        if term < 1e-17 * total:
            break
    return min((largest + log(total)) / _NATS, 0.0)


def _shown_chance(chance: float) -> str:
    return "never" if chance == -inf else f"less than 1 in 10^{int(-chance)}"


def _percent(part: int, whole: int) -> str:
    """With one digit after the point, rounded down."""
    tenths = 1000 * part // whole if whole else 0
    return f"{tenths // 10}.{tenths % 10}"


# -- charts --------------------------------------------------------------------------------------

_SHOWN = 1000  # districts in a chart
_LEFT, _WIDTH, _ROW = 150, 500, 44
_STYLE = (
    "text{font:12px sans-serif;fill:#222}.r{fill:#ddd}.v{fill:#357}.o{fill:#c80}"
    ".bad{fill:#b00;font-weight:bold}"
)


def draw_districts(districts: Sequence[District], outliers: Sequence[Outlier], title: str) -> bytes:
    """Bars of each district: on the roll, voted, seen by observers; outliers in red. SVG.

    Of more than a thousand districts, those that are outliers. The same numbers give the same
    bytes.
    """
    named = {outlier.district for outlier in outliers}
    shown = [d for d in districts if d.id in named] if len(districts) > _SHOWN else [*districts]
    most = max((max(d.registered, d.voted, _seen(d)) for d in shown), default=0) or 1
    parts = []
    for i, d in enumerate(shown):
        top = 40 + _ROW * i
        bars = [("r", d.registered, "on the roll"), ("v", d.voted, "voted")]
        bars += [("o", d.observed.seen, "seen by observers")] if d.observed is not None else []
        mark = ' class="bad"' if d.id in named else ""
        parts.append(f'<text x="10" y="{top + 20}"{mark}>{escape(d.id)}</text>')
        for j, (kind, number, words) in enumerate(bars):
            y, length = top + 12 * j, _WIDTH * number // most
            parts.append(
                f'<rect class="{kind}" x="{_LEFT}" y="{y}" width="{length}" height="10"/>'
                f'<text x="{_LEFT + length + 6}" y="{y + 10}">{number} {words}</text>'
            )
    return _svg(title, parts, _LEFT + _WIDTH + 170, 50 + _ROW * len(shown))


def _seen(d: District) -> int:
    return d.observed.seen if d.observed is not None else 0


def draw_histogram(districts: Sequence[District], title: str) -> bytes:
    """How many voters are on the rolls of districts of each turnout, in steps of 5 percent. SVG.

    An honest election has one hump; added voters make a tail that ends in a peak at 100.
    """
    bins = [0] * 21  # the last is of 100 percent and more
    for d in districts:
        if d.registered:
            bins[min(20 * d.voted // d.registered, 20)] += d.registered
    most = max(bins) or 1
    parts = []
    for i, number in enumerate(bins):
        x, height = 40 + 32 * i, 200 * number // most
        parts.append(
            f'<rect class="v" x="{x}" y="{240 - height}" width="28" height="{height}">'
            f"<title>{number}</title></rect>"
            f'<text x="{x}" y="256">{5 * i}</text>'
        )
    parts.append('<text x="40" y="276">turnout in percent, by voters on the roll</text>')
    return _svg(title, parts, 40 + 32 * 21 + 20, 290)


def _svg(title: str, parts: Iterable[str], width: int, height: int) -> bytes:
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}"'
        f' viewBox="0 0 {width} {height}">',
        f"<title>{escape(title)}</title><style>{_STYLE}</style>",
        f'<rect width="{width}" height="{height}" fill="#fff"/>',
        f'<text x="10" y="20">{escape(title)}</text>',
        *parts,
        "</svg>",
    ]
    return ("\n".join(lines) + "\n").encode("utf-8")
