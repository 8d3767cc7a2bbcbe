"""What the decrypted messages of mixed ballots say: read, judged and counted.

Nobody has proven that a mixed message is a valid answer, so each is judged now: every ballot has
one verdict in each of its contests. Ties that a method leaves are decided by a lot that everybody
can draw again: options in ascending order of

    H("lot", election id, digest of the counted set, contest id, option id)

Not promised: that nobody chose it. Who votes last can try ballots until a tie would fall as wished.

A private sibling of `tally`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeAlias

import numpy as np

from evote.contests import Contest
from evote.counting import ContestCount, ContestCounter
from evote.election import Manifest
from evote.encoding import digest
from evote.errors import DecodingError
from evote.groups import Elements, Group
from evote.mixing import Unit

__all__ = ["Messages", "count_mixed", "decode_messages", "draw_lots"]

Messages: TypeAlias = Iterable[tuple[Unit, Sequence[bytes | None]]]
"""What came out of each unit, in the order of its last outputs; None for what is no message.

A unit may come in parts.
"""


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
    counters = {contest.id: ContestCounter(contest) for contest in manifest.mixed_contests}
    for unit, rows in messages:
        for found in manifest.packing(unit.pack).unpack(rows).contests:
            weights = np.full(len(found.verdicts), unit.weight, dtype=np.int64)
            counters[found.contest.id].add(found, weights)
    return tuple(
        counters[contest.id].finish(draw_lots(contest, lots) if contest.count is not None else None)
        for contest in manifest.mixed_contests
    )


def draw_lots(contest: Contest, lots: tuple[bytes, bytes]) -> tuple[int, ...]:
    """The options in the order of the lot."""
    name = contest.id.encode("ascii")
    drawn = [digest("lot", *lots, name, option.id.encode("ascii")) for option in contest.options]
    return tuple(sorted(range(len(drawn)), key=drawn.__getitem__))
