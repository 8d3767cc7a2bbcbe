"""Packing: the answers to several contests as one message of fixed length, and back.

    message = version (one byte, 1) || the bits of each contest in order || zeros to a whole byte

    marks       for each option, a field of ceil(log2(option_limit + 1)) bits
    ranking     `maximum` fields of ceil(log2(options + 1)) bits: the number of the option that is
                first, second, ..., options numbered from 1; 0 where no more are ranked
    write-in    after the marks: a field of ceil(log2(write_in + 1)) bits with the length of the
                text in bytes, then `write_in` bytes, UTF-8 and zeros after it
    blank       where blanks are counted, one more bit

Fields are written with their highest bit first. All messages of a pack have one length, and each
valid answer is one message: two readers cannot see two ballots in it.

What comes out of a mix was made by anybody: `unpack` gives a verdict for each ballot and contest. A
message of another length or version, or with bits set after the last contest, is no packing at
all and malformed in every contest. In one contest alone, malformed are: a ranking with a gap, a
repeat or an option that does not exist; a blank with marks; a text that is not UTF-8 in NFC without
control characters, longer than allowed, or followed by bytes that are not zero. Marks above
`option_limit`, or above `maximum` together, are an overvote; fewer than `minimum` an undervote.

Packing and unpacking take the same steps whatever is chosen, except for the written texts, which
Python encodes, decodes and compares in a time that depends on them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from math import comb, perm, prod

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evote.contests import MAX_CONTESTS, Contest, check_selections, check_write_in
from evote.encoding import JSON, Fields, check_identifier
from evote.errors import DecodingError, ParameterError, ShapeMismatch
from evote.groups import Group

__all__ = [
    "MAX_PACK_WIDTH",
    "ContestAnswers",
    "Pack",
    "Packing",
    "Unpacked",
    "Verdict",
    "patterns",
    "read_pack",
]

MAX_PACK_WIDTH = 16  # elements of the group for one message
_VERSION = 1


class Verdict(IntEnum):
    """What one ballot says in one contest; only valid ones have marks that count."""

    VALID = 0
    BLANK = 1
    OVERVOTE = 2
    UNDERVOTE = 3
    MALFORMED = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Pack:
    """The contests whose answers share a message, by id and in order."""

    id: str
    contests: tuple[str, ...]

    def __post_init__(self) -> None:
        try:
            for name in (self.id, *self.contests):
                check_identifier(name)
        except DecodingError as error:
            raise ParameterError(f"pack: {error.reason}") from None
        if not self.contests:
            raise ParameterError(f"pack {self.id!r}: contests: at least one expected")

    def to_json(self) -> dict[str, JSON]:
        """The object of a manifest."""
        return {"id": self.id, "contests": list(self.contests)}


def read_pack(fields: Fields) -> Pack:
    """Read the object of a manifest; which contests there are, the manifest knows."""
    pack_id, contests = fields.identifier("id"), fields.identifiers("contests", MAX_CONTESTS)
    fields.end()
    if not contests:
        fields.fail("contests", "at least one contest expected")
    return Pack(id=pack_id, contests=tuple(contests))


@dataclass(frozen=True, slots=True, kw_only=True)
class ContestAnswers:
    """What n ballots say in one contest.

    Attributes:
        selections: int64 of shape (n, options); 0 where the verdict is not valid.
        write_ins: n texts, empty where none is written or the verdict is not valid.
        verdicts: int64 of shape (n,), each a `Verdict`.
    """

    contest: Contest
    selections: NDArray[np.int64]
    write_ins: tuple[str, ...]
    verdicts: NDArray[np.int64]

    @property
    def blanks(self) -> NDArray[np.int64]:
        """Which are declared blank: n bits."""
        return np.asarray(self.verdicts == Verdict.BLANK, np.int64)

    def numbers(self) -> dict[Verdict, int]:
        """How many ballots there are of each verdict."""
        return {v: int(np.count_nonzero(self.verdicts == v)) for v in Verdict}


@dataclass(frozen=True, slots=True, kw_only=True)
class Unpacked:
    """What n messages say, contest by contest."""

    contests: tuple[ContestAnswers, ...]

    def __getitem__(self, contest: str) -> ContestAnswers:
        for answers in self.contests:
            if answers.contest.id == contest:
                return answers
        raise ParameterError(f"the pack has no contest {contest!r}")


@dataclass(frozen=True, slots=True)
class Packing:
    """The layout of the messages that hold the answers to some contests."""

    contests: tuple[Contest, ...]

    def __post_init__(self) -> None:
        if not self.contests:
            raise ParameterError("a pack holds at least one contest")
        if len({contest.id for contest in self.contests}) != len(self.contests):
            raise ParameterError("a contest repeats in the pack")

    @property
    def bits(self) -> int:
        """The bits that contests use in a message."""
        return sum(sum(_widths(contest)) for contest in self.contests)

    @property
    def size(self) -> int:
        """The bytes of every message."""
        return 1 + -(-self.bits // 8)

    def width(self, group: Group) -> int:
        """The elements that hold one message; above `MAX_PACK_WIDTH` where it does not fit."""
        widths = range(1, MAX_PACK_WIDTH + 1)
        fitting = (width for width in widths if group.message_size(width) >= self.size)
        return next(fitting, MAX_PACK_WIDTH + 1)

    @property
    def patterns(self) -> int:
        """How many different valid messages there are."""
        return prod(map(patterns, self.contests))

    def pack(
        self,
        selections: Mapping[str, ArrayLike],
        blanks: Mapping[str, ArrayLike] | None = None,
        write_ins: Mapping[str, Sequence[str]] | None = None,
    ) -> list[bytes]:
        """The messages of n voters.

        Args:
            selections: for the id of every contest, marks or ranks of shape (n, options).
            blanks: for contests that count blanks, n bits; none declared where missing.
            write_ins: for write-in contests, n texts in NFC, empty where nothing is written.

        Raises:
            ShapeMismatch: arrays of another shape, or of different n.
            ParameterError: contests missing or unknown, or a choice that is not allowed; names the
                contest and the voter, and never the choice.
        """
        blanks, write_ins = blanks or {}, write_ins or {}
        known = [contest.id for contest in self.contests]
        for given in (selections, blanks, write_ins):
            if unknown := [name for name in given if name not in known]:
                raise ParameterError(f"the pack has no contest {unknown[0]!r}")
        parts = []
        for contest in self.contests:
            if contest.id not in selections:
                raise ParameterError(f"contest {contest.id!r}: selections are missing")
            texts = write_ins.get(contest.id)
            marks, declared = check_selections(
                contest, selections[contest.id], blanks.get(contest.id), texts
            )
            parts.append(_fields(contest, marks, declared, texts))
        if len({len(part) for part in parts}) != 1:
            raise ShapeMismatch("the contests of a pack have different numbers of voters")
        n = len(parts[0])
        widths = [width for contest in self.contests for width in _widths(contest)]
        bits = np.zeros((n, 8 * (self.size - 1)), np.uint8)
        _write(bits, widths, np.hstack(parts))
        heads = np.full((n, 1), _VERSION, np.uint8)
        return [row.tobytes() for row in np.hstack([heads, np.packbits(bits, axis=1)])]

    def unpack(self, messages: Sequence[bytes | None]) -> Unpacked:
        """What messages say; None for what could not even be decoded to a message."""
        size, used = self.size, self.bits
        whole = [
            message is not None and len(message) == size and message[0] == _VERSION
            for message in messages
        ]
        rows = [
            message if ok and message is not None else bytes(size)
            for message, ok in zip(messages, whole, strict=True)
        ]
        data = np.frombuffer(b"".join(rows), np.uint8).reshape(len(rows), size)
        bits = np.unpackbits(data[:, 1:], axis=1)
        broken = ~np.array(whole, np.bool_) | bits[:, used:].any(axis=1)
        answers, start = [], 0
        for contest in self.contests:
            widths = _widths(contest)
            values = _read(bits[:, start : start + sum(widths)], widths)
            answers.append(_answers(contest, values, broken))
            start += sum(widths)
        return Unpacked(contests=tuple(answers))


# -- fields --------------------------------------------------------------------------------------


def _widths(contest: Contest) -> list[int]:
    """The bits of each field of a contest."""
    if contest.kind == "ranking":
        widths = [len(contest.options).bit_length()] * contest.maximum
    else:
        widths = [contest.option_limit.bit_length()] * len(contest.options)
    if contest.write_in is not None:
        widths += [contest.write_in.bit_length()] + [8] * contest.write_in
    return widths + [1] * contest.counts_blanks


def _fields(
    contest: Contest,
    marks: NDArray[np.int64],
    declared: NDArray[np.int64],
    texts: Sequence[str] | None,
) -> NDArray[np.int64]:
    """The values of a contest's fields for n voters, who chose what is allowed."""
    n, options = marks.shape
    parts = [marks]
    if contest.kind == "ranking":
        order = np.zeros((n, contest.maximum + 1), np.int64)
        order[np.arange(n)[:, None], marks] = np.arange(1, options + 1)
        parts = [order[:, 1:]]  # what is not ranked was written to column 0
    if contest.write_in is not None:
        encoded = [text.encode("utf-8") for text in texts or [""] * n]
        padded = b"".join(text.ljust(contest.write_in, b"\0") for text in encoded)
        parts.append(np.array([len(text) for text in encoded], np.int64).reshape(n, 1))
        parts.append(np.frombuffer(padded, np.uint8).reshape(n, contest.write_in).astype(np.int64))
    if contest.counts_blanks:
        parts.append(declared.reshape(n, 1))
    return np.hstack(parts)


def _columns(widths: Sequence[int]) -> Iterator[tuple[int, int, int]]:
    """Field, column and shift of every bit."""
    column = 0
    for field, width in enumerate(widths):
        for shift in range(width - 1, -1, -1):
            yield field, column, shift
            column += 1


def _write(bits: NDArray[np.uint8], widths: Sequence[int], values: NDArray[np.int64]) -> None:
    for field, column, shift in _columns(widths):
        bits[:, column] = (values[:, field] >> shift) & 1


def _read(bits: NDArray[np.uint8], widths: Sequence[int]) -> NDArray[np.int64]:
    values = np.zeros((len(bits), len(widths)), np.int64)
    for field, column, shift in _columns(widths):
        values[:, field] |= bits[:, column].astype(np.int64) << shift
    return values


# -- verdicts ------------------------------------------------------------------------------------


def _answers(
    contest: Contest, values: NDArray[np.int64], broken: NDArray[np.bool_]
) -> ContestAnswers:
    n, options = len(values), len(contest.options)
    malformed = broken.copy()
    if contest.kind == "ranking":
        order = values[:, : contest.maximum]
        malformed |= _broken_rankings(order, options)
        scattered = np.zeros((n, 1 << options.bit_length()), np.int64)
        np.put_along_axis(scattered, order, np.arange(1, contest.maximum + 1)[None, :], axis=1)
        marks = scattered[:, 1 : options + 1]
        used = np.count_nonzero(order, axis=1).astype(np.int64)
    else:
        marks = values[:, :options]
        used = marks.sum(axis=1)
    texts = [""] * n
    if contest.write_in is not None:
        lengths, letters = values[:, options], values[:, options + 1 :][:, : contest.write_in]
        rows = letters.astype(np.uint8)
        read = [_text(contest, row, k) for row, k in zip(rows, lengths.tolist(), strict=True)]
        malformed |= np.array([text is None for text in read], np.bool_)
        texts = [text or "" for text in read]
        used = used + (lengths > 0)
    blank = np.zeros(n, np.bool_)
    if contest.counts_blanks:
        blank = values[:, -1] == 1
        malformed |= blank & (used > 0)
    over = (used > contest.maximum) | (marks > contest.option_limit).any(axis=1)
    under = used < contest.minimum
    verdicts = np.select(
        [malformed, blank, over, under],
        [Verdict.MALFORMED, Verdict.BLANK, Verdict.OVERVOTE, Verdict.UNDERVOTE],
        Verdict.VALID,
    ).astype(np.int64)
    valid = verdicts == Verdict.VALID
    return ContestAnswers(
        contest=contest,
        selections=np.where(valid[:, None], marks, 0),
        write_ins=tuple(text if ok else "" for text, ok in zip(texts, valid, strict=True)),
        verdicts=verdicts,
    )


def _broken_rankings(order: NDArray[np.int64], options: int) -> NDArray[np.bool_]:
    """Which orders name an option that does not exist, or have a gap or a repeat."""
    gaps = (order[:, :-1] == 0) & (order[:, 1:] != 0)
    ascending = np.sort(order, axis=1)
    repeats = (ascending[:, :-1] == ascending[:, 1:]) & (ascending[:, 1:] != 0)
    return np.asarray(
        (order > options).any(axis=1) | gaps.any(axis=1) | repeats.any(axis=1), np.bool_
    )


def _text(contest: Contest, row: NDArray[np.uint8], length: int) -> str | None:
    """The written text of one ballot; None where there is none that could have been packed."""
    if length > len(row) or row[length:].any():
        return None
    try:
        text = row[:length].tobytes().decode("utf-8")
    except UnicodeDecodeError:
        return None
    return None if check_write_in(contest, text) else text


# -- patterns ------------------------------------------------------------------------------------


def patterns(contest: Contest) -> int:
    """How many different valid answers a contest has, a declared blank among them.

    Exact, but for written texts: every string of 1 to `write_in` bytes counts as one of those.
    """
    n, low, high = len(contest.options), contest.minimum, contest.maximum
    if contest.kind == "ranking":
        count = sum(perm(n, k) for k in range(low, high + 1))
    else:
        count = _sums(n, contest.option_limit, low, high)
        if contest.write_in is not None:
            texts = sum(256**k for k in range(1, contest.write_in + 1))
            count += texts * _sums(n, contest.option_limit, low - 1, high - 1)
    return count + contest.counts_blanks


def _sums(n: int, limit: int, low: int, high: int) -> int:
    """How many n integers from 0 to `limit` have a sum from `low` to `high`."""
    # At most s: put n + 1 parts, one for what is missing, and leave out those above the limit.
    most, less = (
        sum(
            (-1) ** j * comb(n, j) * comb(s - j * (limit + 1) + n, n)
            for j in range(min(n, s // (limit + 1)) + 1)
        )
        if s >= 0
        else 0
        for s in (high, low - 1)
    )
    return most - less
