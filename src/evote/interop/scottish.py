"""Ranked ballots of Scottish council elections: the CSV of published wards, and BLT.

    5,3,                                       candidates, seats
    111,1,                                     111 ballots with this ranking
    2,1,2,3,
    "Candidate 1","A","Independent (Ind)",     one line a candidate, in order
    "Elgin City North Ward",                   the ward

The CSV is UTF-8 with LF and no byte-order mark, every line ends in a comma, each ranking has one
line, and the wards' names have quotes within quotes that nobody escaped. BLT, as OpenSTV reads it,
has `candidates seats`, lines `ballots preference ... 0`, a line 0, a line for each name, the title.

Only valid papers are in either. Candidates are numbered from 1 in the files and from 0 here.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn

from evote.contests import MAX_OPTIONS
from evote.counting import MAX_BALLOTS, Rankings
from evote.encoding import check_text, decode_decimal
from evote.errors import DecodingError

__all__ = ["MAX_WARD", "Candidate", "Ward", "read_blt", "read_ward_csv"]

MAX_WARD = 16 * 2**20  # bytes of a file
_MAX_NAME = 1000  # characters
_CANDIDATE = re.compile(r'"Candidate ([0-9]+)","([^"]*)","(.*)",')
_NAME = re.compile(r'"(.*)",')


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """Who stands, and for which party; empty where the file does not say."""

    name: str
    party: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ward:
    """One ward's ballots: an option of the rankings for each candidate."""

    name: str
    seats: int
    candidates: tuple[Candidate, ...]
    rankings: Rankings


class _Lines:
    """The lines of a file, read one after the other."""

    def __init__(self, data: bytes, where: str) -> None:
        self.where, self._next = where, 0
        if len(data) > MAX_WARD:
            raise DecodingError(f"{len(data)} bytes, at most {MAX_WARD} expected", where=where)
        try:
            text = data.decode("utf-8")
        except UnicodeDecodeError as error:
            raise DecodingError(f"not UTF-8 at byte {error.start}", where=where) from None
        self._lines = text.removesuffix("\n").split("\n")

    def peek(self) -> str | None:
        """The next line; None at the end."""
        return self._lines[self._next] if self._next < len(self._lines) else None

    def take(self, what: str) -> str:
        """The next line, which must exist."""
        line = self.peek()
        self._next += 1
        if line is None:
            self.fail(f"{what} expected, and the file ends")
        if len(line) > 8 * MAX_OPTIONS + 2 * _MAX_NAME:
            self.fail("the line is too long")
        return line

    def end(self) -> None:
        """Refuse what comes after."""
        if self.peek() is not None:
            self._next += 1
            self.fail("text after the last line")

    def fail(self, reason: str) -> NoReturn:
        """Refuse the line that was taken last."""
        raise DecodingError(reason, where=self.place)

    @property
    def place(self) -> str:
        return f"{self.where}: line {self._next}"

    def integers(self, items: Sequence[str]) -> list[int]:
        """Canonical decimals of the line that was taken last."""
        return [decode_decimal(item, where=self.place) for item in items]

    def name(self, text: str) -> str:
        """A name of the line that was taken last."""
        if not text or len(text) > _MAX_NAME:
            self.fail(f"a name of 1 to {_MAX_NAME} characters expected")
        return check_text(text, where=self.place)


class _Ballots:
    """The rankings of a file, checked line by line."""

    def __init__(self, lines: _Lines, head: Sequence[str], *, merge: bool) -> None:
        self._lines, self._merge = lines, merge
        if len(head) != 2:
            lines.fail("the numbers of candidates and seats expected")
        self.candidates, self.seats = lines.integers(head)
        if not 1 <= self.candidates <= MAX_OPTIONS:
            lines.fail(f"1 to {MAX_OPTIONS} candidates expected, got {self.candidates}")
        if not 1 <= self.seats <= self.candidates:
            lines.fail(f"1 to {self.candidates} seats expected, got {self.seats}")
        self._found: dict[tuple[int, ...], int] = {}
        self._total = 0

    def add(self, items: Sequence[str]) -> None:
        """The line that was taken last: how many ballots, and their preferences."""
        number, *order = self._lines.integers(items)
        if number < 1:
            self._lines.fail("at least 1 ballot expected")
        if not order:
            self._lines.fail("a preference expected")
        if not all(1 <= one <= self.candidates for one in order):
            self._lines.fail(f"candidates from 1 to {self.candidates} expected")
        if len(set(order)) != len(order):
            self._lines.fail("a candidate repeats")
        self._total += number
        if self._total > MAX_BALLOTS:
            self._lines.fail(f"more than {MAX_BALLOTS} ballots")
        ranking = tuple(one - 1 for one in order)
        if ranking in self._found and not self._merge:
            self._lines.fail("the ranking has a line already")
        self._found[ranking] = self._found.get(ranking, 0) + number

    def rankings(self) -> Rankings:
        """All of them."""
        return Rankings(
            options=self.candidates,
            orders=tuple(self._found),
            numbers=tuple(self._found.values()),
        )


def read_ward_csv(data: bytes, *, where: str = "ward.csv") -> Ward:
    """Read the CSV of one ward.

    Raises:
        DecodingError: not of this form; names the line.
    """
    lines = _Lines(data, where)
    ballots = _Ballots(lines, _numbers(lines, lines.take("candidates and seats")), merge=False)
    while (line := lines.peek()) is not None and not line.startswith('"'):
        ballots.add(_numbers(lines, lines.take("a ballot")))
    candidates = []
    for number in range(1, ballots.candidates + 1):
        found = _CANDIDATE.fullmatch(lines.take(f"candidate {number}"))
        if found is None or found[1] != str(number):
            lines.fail(f"the line of candidate {number} expected")
        party = lines.name(found[3]) if found[3] else ""
        candidates.append(Candidate(name=lines.name(found[2]), party=party))
    found = _NAME.fullmatch(lines.take("the ward"))
    if found is None or _CANDIDATE.fullmatch(found[0]):
        lines.fail("the ward's name in quotes, and a comma, expected")
    name = lines.name(found[1].strip('"'))
    lines.end()
    return Ward(
        name=name,
        seats=ballots.seats,
        candidates=tuple(candidates),
        rankings=ballots.rankings(),
    )


def _numbers(lines: _Lines, line: str) -> list[str]:
    if not line.endswith(","):
        lines.fail("numbers, each with a comma after it, expected")
    return line[:-1].split(",")


def read_blt(data: bytes, *, where: str = "ward.blt") -> Ward:
    """Read a BLT file. LF or CRLF; spaces between numbers; rankings that repeat are added up.

    Names are whole lines without the quotes around them, whatever a party looks like in them.

    Raises:
        DecodingError: not of this form, or candidates have withdrawn; names the line.
    """
    lines = _Lines(data.replace(b"\r\n", b"\n").rstrip(b"\n"), where)
    ballots = _Ballots(lines, lines.take("candidates and seats").split(), merge=True)
    while (line := lines.take("a ballot or 0").split()) != ["0"]:
        if len(line) < 2 or line[-1] != "0":
            lines.fail("a ballot that ends with 0 expected")
        ballots.add(line[:-1])
    names = [lines.name(_unquoted(lines.take("a name"))) for _ in range(ballots.candidates)]
    title = lines.name(_unquoted(lines.take("the title")))
    lines.end()
    return Ward(
        name=title,
        seats=ballots.seats,
        candidates=tuple(Candidate(name=name) for name in names),
        rankings=ballots.rankings(),
    )


def _unquoted(line: str) -> str:
    text = line.strip()
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] == '"' else text
