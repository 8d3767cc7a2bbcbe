"""Contests, options and styles: what a voter may choose, and what a marked ballot means.

A contest asks for an integer from 0 to `option_limit` for each option, and for a sum of them from
`minimum` to `maximum`. The kinds are named corners of that space:

    plurality    one mark at most:      option_limit 1, minimum 0 or 1, maximum 1
    yes-no       plurality with exactly two options
    approval     any number of marks:   option_limit 1, minimum 0, maximum = options
    limited      at most k marks:       option_limit 1, maximum k <= options
    cumulative   marks may be stacked:  1 <= option_limit <= maximum
    score        a grade per option:    minimum 0, maximum = option_limit * options

Two kinds are no sums and can only be mixed:

    ranking      first, second, ...:    option_limit = maximum <= options
    write-in     marks, or a name:      option_limit 1, maximum <= options + 1

A ranking holds 1 for the first preference, 2 for the second and so on, without gaps or repeats,
and 0 for options not ranked; from `minimum` to `maximum` options are ranked. `count` says how
rankings are counted. In a write-in contest a voter may besides write one text of at most `write_in`
bytes, which is one mark.

With `blank` "counted" a voter may also declare the contest blank: a bit of its own, and then every
option is 0. With "none" an empty selection is just a sum of 0, where `minimum` allows it.

Selections are integer arrays of shape (n, options), n voters by option; `blanks` is an array of n
bits beside them. An overvote (a sum above `maximum`, or an option above its limit) cannot be
encrypted at all: `check_selections` refuses it. Undervotes are the marks a voter had and did not
use: `maximum` less the sum (of a ranking: less how many are ranked), and 0 for a blank.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evote.encoding import JSON, Fields, canonical_json, check_identifier, check_text
from evote.errors import DecodingError, ParameterError, ShapeMismatch

__all__ = [
    "KINDS",
    "MAX_BRANCHES",
    "MAX_CONTESTS",
    "MAX_OPTIONS",
    "MAX_WRITE_IN",
    "METHODS",
    "SUMMED_KINDS",
    "Contest",
    "Count",
    "Kind",
    "Method",
    "Option",
    "Style",
    "check_selections",
    "check_write_in",
    "overvotes",
    "pack_selections",
    "read_contest",
    "read_style",
    "undervotes",
    "unpack_selections",
]

Kind: TypeAlias = Literal[
    "plurality", "yes-no", "approval", "limited", "cumulative", "score", "ranking", "write-in"
]
Blank: TypeAlias = Literal["none", "counted"]
Method: TypeAlias = Literal["irv", "scottish-stv", "schulze", "borda"]
KINDS: tuple[Kind, ...] = get_args(Kind)
SUMMED_KINDS: tuple[Kind, ...] = KINDS[:6]
"""The kinds whose encrypted answers can be added up; the others must be mixed."""
METHODS: tuple[Method, ...] = get_args(Method)
_BLANKS: tuple[Blank, ...] = get_args(Blank)

MAX_OPTIONS = 1000
MAX_CONTESTS = 256
MAX_MARKS = 255
MAX_BRANCHES = 8192  # of a contest's proofs: about 100 bytes each, 1,100 in the largest groups
MAX_WRITE_IN = 200  # bytes
_MAX_TITLE = 1000  # characters

_Selections: TypeAlias = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One possible answer. The id is for machines, the title for people."""

    id: str
    title: str

    def to_json(self) -> dict[str, JSON]:
        """The object of a manifest."""
        return {"id": self.id, "title": self.title}


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """How rankings are counted: the method, and how many are elected.

    Instant-runoff has one seat. The others have from 1 to as many as there are options; Schulze and
    Borda then elect the first so many of their order, which is not proportional.
    """

    method: Method
    seats: int = 1

    def to_json(self) -> dict[str, JSON]:
        """The object of a manifest."""
        return {"method": self.method, "seats": self.seats}


@dataclass(frozen=True, slots=True, kw_only=True)
class Contest:
    """One question, and how it may be answered.

    A ranking has `count`, a write-in `write_in`, and the other kinds neither.

    Raises:
        ParameterError: the limits contradict each other or the kind, or ids or titles repeat.
    """

    id: str
    title: str
    kind: Kind
    options: tuple[Option, ...]
    option_limit: int
    minimum: int
    maximum: int
    blank: Blank = "none"
    count: Count | None = None
    write_in: int | None = None

    def __post_init__(self) -> None:
        if problem := _contradiction(self):
            field, reason = problem
            raise ParameterError(f"contest {self.id!r}: {field}: {reason}")

    @property
    def counts_blanks(self) -> bool:
        """Whether a declared blank is encrypted and counted."""
        return self.blank == "counted"

    @property
    def takes_write_ins(self) -> bool:
        """Whether a voter may write a text."""
        return self.write_in is not None

    @property
    def is_summed(self) -> bool:
        """Whether it can be tallied without mixing."""
        return self.kind in SUMMED_KINDS

    @property
    def width(self) -> int:
        """Ciphertexts per ballot: the options, and the blank bit after them where it is counted."""
        return len(self.options) + self.counts_blanks

    def to_json(self) -> dict[str, JSON]:
        """The object of a manifest."""
        value: dict[str, JSON] = {
            "id": self.id,
            "title": self.title,
            "kind": self.kind,
            "options": [option.to_json() for option in self.options],
            "option_limit": self.option_limit,
            "minimum": self.minimum,
            "maximum": self.maximum,
            "blank": self.blank,
        }
        if self.count is not None:
            value["count"] = self.count.to_json()
        if self.write_in is not None:
            value["write_in"] = self.write_in
        return value

    def encode(self) -> bytes:
        """The contest as canonical JSON: what ballots are bound to."""
        return canonical_json(self.to_json())

    def option_values(self) -> NDArray[np.int64]:
        """The values one option may have, as rows of width 1: 0 .. option_limit."""
        return np.arange(self.option_limit + 1, dtype=np.int64).reshape(-1, 1)

    def sum_values(self) -> NDArray[np.int64]:
        """The values the sum may have, as rows; with counted blanks, rows of (blank, sum)."""
        sums = np.arange(self.minimum, self.maximum + 1, dtype=np.int64).reshape(-1, 1)
        if not self.counts_blanks:
            return sums
        return np.vstack([[[1, 0]], np.hstack([np.zeros_like(sums), sums])])


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """The contests a group of voters gets, in the order of the ballot."""

    id: str
    contests: tuple[str, ...]

    def __post_init__(self) -> None:
        try:
            for name in (self.id, *self.contests):
                check_identifier(name)
        except DecodingError as error:
            raise ParameterError(f"style: {error.reason}") from None
        if not self.contests:
            raise ParameterError(f"style {self.id!r}: contests: at least one expected")
        if (twice := _repeated(self.contests)) is not None:
            raise ParameterError(f"style {self.id!r}: contests: {self.contests[twice]!r} repeats")

    def to_json(self) -> dict[str, JSON]:
        """The object of a manifest."""
        return {"id": self.id, "contests": list(self.contests)}


def read_contest(fields: Fields) -> Contest:
    """Read the object of a manifest.

    Raises:
        DecodingError: naming the field that is missing, malformed or contradicts the others.
    """
    name, title = fields.identifier("id"), fields.text("title", max_length=_MAX_TITLE)
    kind = fields.choice("kind", KINDS)
    options = tuple(_read_option(option) for option in fields.objects("options", MAX_OPTIONS))
    option_limit = fields.integer("option_limit", 1, MAX_MARKS)
    minimum, maximum = (
        fields.integer("minimum", 0, MAX_MARKS),
        fields.integer("maximum", 1, MAX_MARKS),
    )
    blank = fields.choice("blank", _BLANKS)
    count = _read_count(fields.object("count")) if kind == "ranking" else None
    write_in = fields.integer("write_in", 1, MAX_WRITE_IN) if kind == "write-in" else None
    fields.end()
    problem = _problem(kind, options, option_limit, minimum, maximum, count)
    if problem:
        fields.fail(*problem)
    return Contest(
        id=name,
        title=title,
        kind=_KIND[kind],
        options=options,
        option_limit=option_limit,
        minimum=minimum,
        maximum=maximum,
        blank=_BLANK[blank],
        count=count,
        write_in=write_in,
    )


def _read_option(fields: Fields) -> Option:
    option = Option(id=fields.identifier("id"), title=fields.text("title", max_length=_MAX_TITLE))
    fields.end()
    return option


def _read_count(fields: Fields) -> Count:
    count = Count(
        method=_METHOD[fields.choice("method", METHODS)],
        seats=fields.integer("seats", 1, MAX_OPTIONS),
    )
    fields.end()
    return count


def read_style(fields: Fields, contests: Collection[str]) -> Style:
    """Read the object of a manifest whose contests are `contests`.

    Raises:
        DecodingError: an unknown or repeated contest, none at all, or a malformed field.
    """
    name, chosen = fields.identifier("id"), fields.identifiers("contests", MAX_CONTESTS)
    fields.end()
    if not chosen:
        fields.fail("contests", "at least one contest expected")
    if (twice := _repeated(chosen)) is not None:
        raise DecodingError(
            f"{chosen[twice]!r} repeats", where=f"{fields.path('contests')}[{twice}]"
        )
    for i, contest in enumerate(chosen):
        if contest not in contests:
            where = f"{fields.path('contests')}[{i}]"
            raise DecodingError(f"there is no contest {contest!r}", where=where)
    return Style(id=name, contests=tuple(chosen))


_KIND: Mapping[str, Kind] = {kind: kind for kind in KINDS}
_BLANK: Mapping[str, Blank] = {blank: blank for blank in _BLANKS}
_METHOD: Mapping[str, Method] = {method: method for method in METHODS}


def _contradiction(contest: Contest) -> tuple[str, str] | None:
    """The first field of a contest built by hand that is wrong, and why."""
    c = contest
    try:
        check_identifier(c.id)
        for option in c.options:
            check_identifier(option.id)
    except DecodingError as error:
        return "id", error.reason
    for field, limit in (
        ("option_limit", c.option_limit),
        ("minimum", c.minimum),
        ("maximum", c.maximum),
    ):
        if type(limit) is not int or not 0 <= limit <= MAX_MARKS:
            return field, f"an integer from 0 to {MAX_MARKS} expected, got {limit!r}"
    if c.kind not in KINDS:
        return "kind", f"one of {', '.join(KINDS)} expected"
    if c.blank not in _BLANKS:
        return "blank", f"one of {', '.join(_BLANKS)} expected"
    if (c.count is not None) != (c.kind == "ranking"):
        return "count", "a ranking has a way of counting, and nothing else has"
    if c.count is not None and c.count.method not in METHODS:
        return "count.method", f"one of {', '.join(METHODS)} expected"
    if (c.write_in is not None) != (c.kind == "write-in"):
        return "write_in", "a write-in has a length of its text, and nothing else has"
    if c.write_in is not None and (
        type(c.write_in) is not int or not 1 <= c.write_in <= MAX_WRITE_IN
    ):
        return "write_in", f"an integer from 1 to {MAX_WRITE_IN} expected, got {c.write_in!r}"
    return _problem(c.kind, c.options, c.option_limit, c.minimum, c.maximum, c.count)


def _problem(
    kind: str,
    options: Sequence[Option],
    option_limit: int,
    minimum: int,
    maximum: int,
    count: Count | None,
) -> tuple[str, str] | None:
    """The first field that contradicts the kind or the other limits, and why."""
    n = len(options)
    if not 1 <= n <= MAX_OPTIONS:
        return "options", f"1 to {MAX_OPTIONS} options expected, got {n}"
    if (twice := _repeated([option.id for option in options])) is not None:
        return f"options[{twice}].id", f"{options[twice].id!r} repeats"
    titles = [unicodedata.normalize("NFC", option.title) for option in options]
    if (twice := _repeated(titles)) is not None:
        return f"options[{twice}].title", "the title repeats"
    if option_limit < 1:
        return "option_limit", "at least 1 expected"
    if kind in SUMMED_KINDS and n * (option_limit + 1) + maximum + 2 > MAX_BRANCHES:
        return "options", f"{n} options of {option_limit} marks make ballots too large"
    most = {"ranking": n, "write-in": n + 1}.get(kind, option_limit * n)
    if maximum < 1 or maximum > most:
        return "maximum", f"1 to {most} expected, got {maximum}"
    if minimum > maximum:
        return "minimum", f"{minimum} is above the maximum {maximum}"
    if count is not None:
        return _problem_of_ranking(count, n, option_limit, maximum)
    return _problem_of_kind(kind, n, option_limit, minimum, maximum)


def _problem_of_ranking(
    count: Count, n: int, option_limit: int, maximum: int
) -> tuple[str, str] | None:
    if option_limit != maximum:
        return "option_limit", f"a ranking has here option_limit {maximum}, got {option_limit}"
    most = 1 if count.method == "irv" else n
    if type(count.seats) is not int or not 1 <= count.seats <= most:
        return "count.seats", f"{count.method} has 1 to {most} seats here, got {count.seats!r}"
    return None


def _problem_of_kind(
    kind: str, n: int, option_limit: int, minimum: int, maximum: int
) -> tuple[str, str] | None:
    if kind == "yes-no" and n != 2:
        return "options", f"yes-no has exactly 2 options, got {n}"
    if kind == "plurality" and n < 2:
        return "options", f"plurality has at least 2 options, got {n}"
    if kind not in ("cumulative", "score") and option_limit != 1:
        return "option_limit", f"{kind} has option_limit 1, got {option_limit}"
    if kind == "cumulative" and option_limit > maximum:
        return "option_limit", f"{option_limit} is above the maximum {maximum}"
    expected = {"plurality": 1, "yes-no": 1, "approval": n, "score": option_limit * n}
    if maximum != expected.get(kind, maximum):
        return "maximum", f"{kind} has maximum {expected[kind]} here, got {maximum}"
    if kind in ("approval", "score") and minimum != 0:
        return "minimum", f"{kind} has minimum 0, got {minimum}"
    return None


def _repeated(items: Sequence[str]) -> int | None:
    """The position of the first item that occurred before."""
    seen: set[str] = set()
    for i, item in enumerate(items):
        if item in seen:
            return i
        seen.add(item)
    return None


def check_selections(
    contest: Contest,
    selections: ArrayLike,
    blanks: ArrayLike | None = None,
    write_ins: Sequence[str] | None = None,
) -> tuple[_Selections, _Selections]:
    """Check what n voters chose in a contest.

    Args:
        selections: integers of shape (n, options).
        blanks: n bits, 1 for a declared blank; none declared when missing.
        write_ins: n texts, empty where nothing is written; nothing written when missing.

    Returns:
        The selections as int64 of shape (n, options) and the blanks as int64 of shape (n,).

    Raises:
        ShapeMismatch: another shape.
        ParameterError: not integers, or a choice the contest does not allow; names contest, voter
            and option, and never the choice itself.
    """
    marks = _integers(contest, selections, "selections")
    if marks.ndim != 2 or marks.shape[1] != len(contest.options):
        expected = f"(n, {len(contest.options)})"
        raise ShapeMismatch(f"contest {contest.id!r}: selections {marks.shape}, not {expected}")
    n = marks.shape[0]
    declared = np.zeros(n, np.int64) if blanks is None else _integers(contest, blanks, "blanks")
    if declared.shape != (n,):
        raise ShapeMismatch(f"contest {contest.id!r}: blanks of shape {declared.shape}, not ({n},)")

    def refuse(wrong: NDArray[np.bool_], reason: str) -> None:
        if wrong.any():
            where = [int(i) for i in np.argwhere(wrong)[0]]
            option = f", option {contest.options[where[1]].id!r}" if len(where) == 2 else ""
            raise ParameterError(f"contest {contest.id!r}: selection {where[0]}{option}: {reason}")

    written = np.zeros(n, np.int64)
    if write_ins is not None:
        if isinstance(write_ins, str) or len(write_ins) != n:
            raise ShapeMismatch(f"contest {contest.id!r}: {n} written texts expected")
        problems = [check_write_in(contest, text) for text in write_ins]
        for reason in dict.fromkeys(filter(None, problems)):
            refuse(np.array([problem == reason for problem in problems]), reason)
        written = np.array([bool(text) for text in write_ins], np.int64)
    refuse((marks < 0) | (marks > contest.option_limit), f"not in 0..{contest.option_limit}")
    refuse((declared < 0) | (declared > 1), "a blank is 0 or 1")
    if not contest.counts_blanks:
        refuse(declared != 0, "this contest counts no blanks")
    totals = _used(contest, marks) + written
    refuse((declared == 1) & (totals > 0), "blank, and yet options are marked")
    if contest.kind == "ranking":
        wrong = np.sort(marks, axis=1)[:, ::-1] != _ranks(totals, len(contest.options))
        refuse(wrong.any(axis=1), "ranks with gaps or repeats")
    refuse(totals > contest.maximum, f"overvote: the sum is above {contest.maximum}")
    low = (totals < contest.minimum) & (declared == 0)
    refuse(low, f"the sum is below {contest.minimum}")
    return marks, declared


def check_write_in(contest: Contest, text: str) -> str | None:
    """What is wrong with a written text, in words that do not repeat it; None if nothing is.

    Texts are in NFC. It is that of Unicode 3.2, which Python keeps beside its own: two auditors
    with two versions of Python must not disagree about a ballot.
    """
    if not isinstance(text, str):
        return "a written text is a string"
    if not text:
        return None
    if contest.write_in is None:
        return "this contest has no written texts"
    try:
        check_text(text)
    except DecodingError:
        return "the written text holds control characters"
    if not unicodedata.ucd_3_2_0.is_normalized("NFC", text):
        return "the written text is not in NFC"
    if len(text.encode("utf-8")) > contest.write_in:
        return f"the written text has more than {contest.write_in} bytes"
    return None


def _used(contest: Contest, marks: _Selections) -> _Selections:
    """How many of a voter's marks each row uses: their sum, or how many options are ranked."""
    return np.asarray(
        np.count_nonzero(marks, axis=1) if contest.kind == "ranking" else marks.sum(axis=1),
        dtype=np.int64,
    )


def _ranks(totals: _Selections, options: int) -> _Selections:
    """k, k - 1, ..., 1, 0, ..., 0 for each total k: a ranking of k options, sorted downwards."""
    return np.asarray(np.maximum(totals[:, None] - np.arange(options), 0), np.int64)


def _integers(contest: Contest, values: ArrayLike, what: str) -> _Selections:
    try:
        array = np.asarray(values)
    except (ValueError, OverflowError):
        raise ShapeMismatch(f"contest {contest.id!r}: {what} are not a regular array") from None
    if array.size == 0:
        return array.astype(np.int64)
    if array.dtype.kind not in "iu" or (array.dtype.kind == "u" and array.max() > MAX_MARKS):
        raise ParameterError(f"contest {contest.id!r}: {what} are not small integers")
    return array.astype(np.int64)


def pack_selections(
    contest: Contest, selections: ArrayLike, blanks: ArrayLike | None = None
) -> _Selections:
    """The plaintexts of n ballots, checked: shape (n, width), a counted blank bit last."""
    if not contest.is_summed:
        raise ParameterError(f"contest {contest.id!r}: a {contest.kind} is mixed, not summed")
    marks, declared = check_selections(contest, selections, blanks)
    return np.column_stack([marks, declared]) if contest.counts_blanks else marks


def unpack_selections(contest: Contest, plaintexts: ArrayLike) -> tuple[_Selections, _Selections]:
    """Selections and blanks from plaintexts of shape (n, width), checked as they were."""
    packed = _integers(contest, plaintexts, "plaintexts")
    if packed.ndim != 2 or packed.shape[1] != contest.width:
        raise ShapeMismatch(f"contest {contest.id!r}: plaintexts of shape {packed.shape}")
    n = len(contest.options)
    return check_selections(contest, packed[:, :n], packed[:, n] if contest.counts_blanks else None)


def overvotes(contest: Contest, selections: ArrayLike) -> NDArray[np.bool_]:
    """Which of n selections hold more than the contest allows, in an option or in the sum."""
    marks = _integers(contest, selections, "selections").reshape(-1, len(contest.options))
    return np.asarray(
        (marks > contest.option_limit).any(axis=1) | (_used(contest, marks) > contest.maximum)
    )


def undervotes(
    contest: Contest,
    selections: ArrayLike,
    blanks: ArrayLike | None = None,
    write_ins: Sequence[str] | None = None,
) -> _Selections:
    """The marks that each of n valid selections left unused; 0 for a declared blank."""
    marks, declared = check_selections(contest, selections, blanks, write_ins)
    written = [bool(text) for text in write_ins or [""] * len(marks)]
    used = _used(contest, marks) + np.array(written, np.int64)
    return np.where(declared == 1, 0, contest.maximum - used)
