"""What the decrypted messages of mixed ballots say: read, judged, counted.

Nobody has proven that a mixed message is a valid answer, so each is judged now, and every ballot
stands in one of the counts of its contest:

    weight = valid + blank + overvoted + too_few + malformed

`votes` and the rest are sums of weights. In a ranking `votes` are first preferences, and `outcome`
says who is elected. Ties that a method leaves are decided by a lot that everybody can draw again
and nobody chose: options in ascending order of

    H("lot", election id, digest of the counted set, contest id, option id)

A private sibling of `tally`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evote.contests import MAX_WRITE_IN, Contest, undervotes
from evote.counting import Outcome, count_rankings, read_outcome
from evote.election import Manifest
from evote.encoding import JSON, Fields, digest
from evote.errors import DecodingError
from evote.groups import Elements, Group
from evote.mixing import Unit
from evote.packing import ContestAnswers, Verdict

__all__ = ["MixedContestResult", "count_mixed", "decode_messages", "read_mixed_result"]

Messages = Sequence[tuple[Unit, Sequence[bytes | None]]]

_MAX_WRITE_INS = 100_000  # different texts of a contest


@dataclass(frozen=True, slots=True, kw_only=True)
class MixedContestResult:
    """The outcome of a contest that was mixed; all but `ballots` are sums of weights.

    Attributes:
        votes: of each option; in a ranking, first preferences.
        blank: declared, where the contest counts blanks.
        undervotes: marks that valid ballots did not use.
        overvoted, too_few: ballots with more or fewer marks than allowed.
        malformed: ballots whose message is no answer at all.
        write_ins: texts and their votes, most votes first, then by text.
        outcome: of a ranking, by the method of its contest.
    """

    id: str
    ballots: int
    weight: int
    votes: tuple[int, ...]
    blank: int | None
    undervotes: int
    overvoted: int
    too_few: int
    malformed: int
    write_ins: tuple[tuple[str, int], ...] | None
    outcome: Outcome | None

    def to_json(self) -> dict[str, JSON]:
        """The object of result.json."""
        value: dict[str, JSON] = {
            "id": self.id,
            "ballots": self.ballots,
            "weight": self.weight,
            "votes": list(self.votes),
            "undervotes": self.undervotes,
            "overvoted": self.overvoted,
            "too_few": self.too_few,
            "malformed": self.malformed,
        }
        if self.blank is not None:
            value["blank"] = self.blank
        if self.write_ins is not None:
            value["write_ins"] = [{"text": text, "votes": votes} for text, votes in self.write_ins]
        if self.outcome is not None:
            value["outcome"] = self.outcome.to_json()
        return value

    def difference(self, other: MixedContestResult) -> str:
        """The first field in which two results of a contest differ, and both values."""
        mine, theirs = self.to_json(), other.to_json()
        for name in sorted({*mine, *theirs}):
            if mine.get(name) != theirs.get(name):
                if name in ("votes", "write_ins", "outcome"):
                    return f"{name} differ"
                return f"{name} {mine.get(name)} and not {theirs.get(name)}"
        return "nothing differs"


def decode_messages(group: Group, elements: Elements) -> list[bytes | None]:
    """The message of each row of elements, shape (n, width); None where there is none."""
    if not len(elements):
        return []
    bad: frozenset[int] = frozenset()
    try:
        return list(group.decode_message(elements))
    except DecodingError as error:
        bad = frozenset(error.indices)
    good = [i for i in range(len(elements)) if i not in bad]
    messages: list[bytes | None] = [None] * len(elements)
    if good:
        found = group.decode_message(elements.take(good))
        for i, message in zip(good, found, strict=True):
            messages[i] = message
    return messages


def count_mixed(
    manifest: Manifest, messages: Messages, *, lots: tuple[bytes, bytes]
) -> tuple[MixedContestResult, ...]:
    """Count the mixed contests of an election, in the order of the manifest.

    Args:
        manifest: of the election.
        messages: of each unit, None for what is no message.
        lots: the election id and the digest of the counted set, from which lots are drawn.
    """
    answers: dict[str, list[tuple[ContestAnswers, int]]] = {
        contest.id: [] for contest in manifest.mixed_contests
    }
    for unit, rows in messages:
        for found in manifest.packing(unit.pack).unpack(rows).contests:
            answers[found.contest.id].append((found, unit.weight))
    return tuple(_count(contest, answers[contest.id], lots) for contest in manifest.mixed_contests)


def _count(
    contest: Contest,
    answers: Sequence[tuple[ContestAnswers, int]],
    lots: tuple[bytes, bytes],
) -> MixedContestResult:
    verdicts: Counter[int] = Counter()
    votes = np.zeros(len(contest.options), dtype=np.int64)
    texts: Counter[str] = Counter()
    unused = ballots = weight = 0
    rankings: Counter[tuple[int, ...]] = Counter()
    for found, heavy in answers:
        valid = found.verdicts == Verdict.VALID
        ballots += len(valid)
        weight += heavy * len(valid)
        for verdict, number in found.numbers().items():
            verdicts[verdict] += heavy * number
        marks = found.selections[valid]
        written = [text for text, ok in zip(found.write_ins, valid, strict=True) if ok]
        given = (marks == 1) if contest.kind == "ranking" else marks
        votes += heavy * given.sum(axis=0, dtype=np.int64)
        unused += heavy * int(
            undervotes(contest, marks, write_ins=written if contest.write_in else None).sum()
        )
        for text in written:
            if text:
                texts[text] += heavy
        if contest.kind == "ranking":
            for ranking, number in _rankings(marks):
                rankings[ranking] += heavy * number
    outcome = None
    if contest.count is not None:
        outcome = count_rankings(
            contest.count, len(contest.options), rankings, lots=_lots(contest, lots)
        )
    return MixedContestResult(
        id=contest.id,
        ballots=ballots,
        weight=weight,
        votes=tuple(votes.tolist()),
        blank=verdicts[Verdict.BLANK] if contest.counts_blanks else None,
        undervotes=unused,
        overvoted=verdicts[Verdict.OVERVOTE],
        too_few=verdicts[Verdict.UNDERVOTE],
        malformed=verdicts[Verdict.MALFORMED],
        write_ins=(
            tuple(sorted(texts.items(), key=lambda item: (-item[1], item[0])))
            if contest.takes_write_ins
            else None
        ),
        outcome=outcome,
    )


def _rankings(marks: NDArray[np.int64]) -> Iterator[tuple[tuple[int, ...], int]]:
    """The different rankings, as options in order of preference, and how often each occurs."""
    if not len(marks):
        return
    rows, numbers = np.unique(marks, axis=0, return_counts=True)
    for row, number in zip(rows, numbers.tolist(), strict=True):
        chosen = np.flatnonzero(row)
        yield tuple(chosen[np.argsort(row[chosen])].tolist()), number


def _lots(contest: Contest, lots: tuple[bytes, bytes]) -> tuple[int, ...]:
    """The options in the order of the lot."""
    name = contest.id.encode("ascii")
    drawn = [digest("lot", *lots, name, option.id.encode("ascii")) for option in contest.options]
    return tuple(sorted(range(len(drawn)), key=drawn.__getitem__))


def read_mixed_result(manifest: Manifest, contest: Contest, fields: Fields) -> MixedContestResult:
    """Read the object of result.json after its id.

    Raises:
        DecodingError: at its place.
    """
    ballots = fields.integer("ballots", 0, manifest.maximum_voters)
    highest = min(manifest.total_weight, ballots * manifest.maximum_weight)
    weight = fields.integer("weight", ballots, highest)
    options = len(contest.options)
    votes = fields.integers("votes", 0, contest.option_limit * weight, options)
    if len(votes) != options:
        fields.fail("votes", f"{options} totals expected, got {len(votes)}")
    result = MixedContestResult(
        id=contest.id,
        ballots=ballots,
        weight=weight,
        votes=tuple(votes),
        blank=fields.integer("blank", 0, weight) if contest.counts_blanks else None,
        undervotes=fields.integer("undervotes", 0, contest.maximum * weight),
        overvoted=fields.integer("overvoted", 0, weight),
        too_few=fields.integer("too_few", 0, weight),
        malformed=fields.integer("malformed", 0, weight),
        write_ins=_read_write_ins(fields, weight) if contest.takes_write_ins else None,
        outcome=(
            read_outcome(contest.count, options, fields.object("outcome"))
            if contest.count is not None
            else None
        ),
    )
    fields.end()
    return result


def _read_write_ins(fields: Fields, weight: int) -> tuple[tuple[str, int], ...]:
    texts = []
    for item in fields.objects("write_ins", _MAX_WRITE_INS):
        texts.append((item.text("text", max_length=MAX_WRITE_IN), item.integer("votes", 1, weight)))
        item.end()
    return tuple(texts)
