"""What the decrypted messages of mixed ballots say: read, judged and counted.

Nobody has proven that a mixed message is a valid answer, so each is judged now: every ballot has
one verdict in each of its contests. Ties that a method leaves are decided by a lot that everybody
can draw again: options in ascending order of

    H("lot", election id, digest of the counted set, contest id, option id)

Not promised: that nobody chose it. Who votes last can try ballots until a tie would fall as wished.

A private sibling of `tally`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np

from evote.contests import Contest
from evote.counting import ContestCount, count_contest
from evote.election import Manifest
from evote.encoding import digest
from evote.errors import DecodingError
from evote.groups import Elements, Group
from evote.mixing import Unit
from evote.packing import ContestAnswers, join_answers

__all__ = ["Messages", "count_mixed", "decode_messages", "draw_lots"]

Messages: TypeAlias = Sequence[tuple[Unit, Sequence[bytes | None]]]
"""What came out of each unit, in the order of its last outputs; None for what is no message."""


def decode_messages(group: Group, elements: Elements) -> list[bytes | None]:
    """The message of each row of elements, shape (n, width); None where there is none."""
    if not len(elements):
        return []
    try:
        return list(group.decode_message(elements))
    except DecodingError as error:
        bad = frozenset(error.indices)
    good = [i for i in range(len(elements)) if i not in bad]
    found = iter(group.decode_message(elements.take(good)) if good else ())
    return [None if i in bad else next(found) for i in range(len(elements))]


def count_mixed(
    manifest: Manifest, messages: Messages, *, lots: tuple[bytes, bytes]
) -> tuple[ContestCount, ...]:
    """Count the mixed contests of an election, in the order of the manifest.

    Args:
        manifest: of the election.
        messages: of all its units.
        lots: the election id and the digest of the counted set, from which lots are drawn.
    """
    answers: dict[str, list[tuple[ContestAnswers, int]]] = {
        contest.id: [(_no_answers(contest), 1)] for contest in manifest.mixed_contests
    }
    for unit, rows in messages:
        for found in manifest.packing(unit.pack).unpack(rows).contests:
            answers[found.contest.id].append((found, unit.weight))
    return tuple(_count(contest, answers[contest.id], lots) for contest in manifest.mixed_contests)


def _no_answers(contest: Contest) -> ContestAnswers:
    return ContestAnswers(
        contest=contest,
        selections=np.zeros((0, len(contest.options)), dtype=np.int64),
        write_ins=(),
        verdicts=np.zeros(0, dtype=np.int64),
    )


def _count(
    contest: Contest, parts: Sequence[tuple[ContestAnswers, int]], lots: tuple[bytes, bytes]
) -> ContestCount:
    joined = join_answers([part for part, _ in parts])
    weights = np.concatenate(
        [np.full(len(part.verdicts), weight, dtype=np.int64) for part, weight in parts]
    )
    drawn = draw_lots(contest, lots) if contest.count is not None else None
    return count_contest(joined, weights, lots=drawn)


def draw_lots(contest: Contest, lots: tuple[bytes, bytes]) -> tuple[int, ...]:
    """The options in the order of the lot."""
    name = contest.id.encode("ascii")
    drawn = [digest("lot", *lots, name, option.id.encode("ascii")) for option in contest.options]
    return tuple(sorted(range(len(drawn)), key=drawn.__getitem__))
