"""What Belenios can have, as far as a manifest of the profile `belenios` has to know it.

The private half of `evote.election` for that profile; `evote.interop.belenios` has the rest.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from evote._mixing import Mixing
from evote._powers import NO_POWERS, Powers
from evote.contests import Contest, Style
from evote.groups import Group, ModPGroup
from evote.packing import Packing

__all__ = ["GROUPS", "PADDING", "belenios_contradictions", "numbers_held"]

GROUPS = {
    "Ed25519": "ed25519",
    "RFC-3526-2048": "rfc3526-2048",
    "BELENIOS-2048": "belenios-2048",
}
"""The groups of Belenios, and what they are called here."""
PADDING = {"ed25519": 14, "rfc3526-2048": 8}
"""Low bits that are free when numbers become an element, in groups whose elements hold numbers."""

MAX_CHOICES = 4096  # of a ballot
_MAX_BALLOT = 4 * 2**20  # bytes


def numbers_held(group: Group) -> int:
    """How many numbers from 0 to 255 an element holds; 0 where it holds none."""
    bits = group.p.bit_length() if isinstance(group, ModPGroup) else 255
    padding = PADDING.get(group.name)
    return 0 if padding is None else (bits - padding) // 8


def belenios_contradictions(
    group: Group,
    contests: Sequence[Contest],
    mixing: Mixing | None,
    *,
    styles: Sequence[Style],
    registrars: int,
    maximum_weight: int,
    maximum_voters: int,
    revote: str,
    spoil: str,
    powers: Powers,
    districts: bool,
) -> Iterator[tuple[str, str]]:
    """Place and reason of what Belenios does not have, in a manifest that is right otherwise."""
    if group.name not in GROUPS.values():
        yield "group", f"belenios has {', '.join(GROUPS.values())}, and not {group.name}"
    if len(styles) > 1 or styles[0].contests != tuple(contest.id for contest in contests):
        yield "styles", "belenios asks everybody everything: one style of all contests, in order"
    if registrars != 1:
        yield "registrars", "belenios has one credential authority"
    if revote != "last":
        yield "policies.revote", "of the ballots of a voter of belenios the last counts"
    if spoil != "forbidden":
        yield "policies.spoil", "ballots of belenios are not spoiled: forbidden expected"
    if powers != NO_POWERS:
        yield "policies", "authorities of belenios rule on nothing between opening and seal"
    if districts:
        yield "districts", "belenios has no districts"
    if mixing is not None and maximum_weight != 1:
        yield "weights.maximum", "belenios has no weights where something is mixed"
    packs = mixing.packs if mixing is not None else ()
    for i, pack in enumerate(packs):
        if len(pack.contests) != 1:
            yield f"mixing.packs[{i}].contests", "belenios mixes each contest by itself"
    if mixing is not None and mixing.mixers:
        yield "mixing.mixers", "none expected: trustees of belenios mix"
    mixed = {name for pack in packs for name in pack.contests}
    for i, contest in enumerate(contests):
        reasons = _mixed(contest, group) if contest.id in mixed else _summed(contest)
        for field, reason in reasons:
            yield f"contests[{i}].{field}", reason
        if mixing is None or contest.id not in mixed or mixing.patterns_accepted:
            continue
        if (count := Packing((contest,)).patterns) > maximum_voters:
            reason = f"{count} possible patterns and {maximum_voters} voters at most"
            yield f"contests[{i}]", f"{reason}: votes could be marked by them"
    summed = [contest for contest in contests if contest.id not in mixed]
    choices = sum(contest.width for contest in summed)
    if choices > MAX_CHOICES:
        yield "contests", f"{choices} choices on a ballot, at most {MAX_CHOICES} expected"
    branches = sum(len(contest.sum_values()) + 2 * contest.counts_blanks for contest in summed)
    if (size := _ballot_size(group, choices, branches)) > _MAX_BALLOT:
        yield "contests", f"ballots of {size} bytes, at most {_MAX_BALLOT} expected"


def _summed(contest: Contest) -> Iterator[tuple[str, str]]:
    if contest.option_limit != 1:
        yield "option_limit", "a choice of belenios is 0 or 1, where it is summed"


def _mixed(contest: Contest, group: Group) -> Iterator[tuple[str, str]]:
    most = numbers_held(group)
    if not most:
        yield "id", f"an element of {group.name} holds no answers: {contest.id!r} is not mixed"
    elif len(contest.options) > most:
        yield "options", f"an element of {group.name} holds {most}, and not {len(contest.options)}"
    if contest.takes_write_ins:
        yield "write_in", "belenios has no write-ins"
    if contest.counts_blanks:
        yield "blank", "none expected: belenios declares no blanks where it mixes"


def _ballot_size(group: Group, choices: int, branches: int) -> int:
    """About the most bytes of the choices that are summed, in decimal."""
    element, scalar = (round(2.5 * size) for size in (group.element_size, group.scalar_size))
    return choices * (2 * element + 30) + (2 * choices + branches) * (2 * scalar + 36)
