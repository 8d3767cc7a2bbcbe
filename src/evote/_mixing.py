"""What a manifest says about mixing: who mixes, which contests, and what the voters put up with.

A contest is mixed exactly where it is in a pack. The private half of `evote.election`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from evote._districts import MIN_UNIT
from evote._verificatum import MAX_PARTIES, check_group
from evote.contests import MAX_CONTESTS, Contest, Style
from evote.encoding import JSON, Fields
from evote.errors import ParameterError
from evote.groups import Group
from evote.operators import Card, read_card
from evote.packing import MAX_PACK_WIDTH, Pack, Packing, read_pack

__all__ = [
    "MIN_UNIT",
    "Mixing",
    "mixing_contradictions",
    "read_mixing",
    "verificatum_contradictions",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mixing:
    """How ballots are mixed. Mixer i is `mixers[i - 1]`; they mix in this order.

    Attributes:
        min_unit: the fewest ballots that may be mixed and decrypted by themselves.
        small_units_accepted: units below that are decrypted all the same.
        patterns_accepted: a pack may have more possible answers than there are voters: a voter
            who is told which one to give can be recognised by it.
    """

    mixers: tuple[Card, ...]
    packs: tuple[Pack, ...]
    min_unit: int = MIN_UNIT
    small_units_accepted: bool = False
    patterns_accepted: bool = False

    def to_json(self) -> dict[str, JSON]:
        """The object of a manifest."""
        return {
            "mixers": [card.fields() for card in self.mixers],
            "packs": [pack.to_json() for pack in self.packs],
            "min_unit": self.min_unit,
            "small_units_accepted": self.small_units_accepted,
            "patterns_accepted": self.patterns_accepted,
        }


def read_mixing(fields: Fields, operators: int, voters: int) -> Mixing:
    """Read the object of a manifest: at most so many operators, units of at most so many voters."""
    mixing = Mixing(
        mixers=tuple(read_card(card, "mixer") for card in fields.objects("mixers", operators)),
        packs=tuple(map(read_pack, fields.objects("packs", MAX_CONTESTS))),
        min_unit=fields.integer("min_unit", 1, voters),
        small_units_accepted=fields.boolean("small_units_accepted"),
        patterns_accepted=fields.boolean("patterns_accepted"),
    )
    fields.end()
    return mixing


def mixing_contradictions(
    mixing: Mixing,
    group: Group,
    contests: Sequence[Contest],
    styles: Sequence[Style],
    maximum_voters: int,
) -> Iterator[tuple[str, str]]:
    """Place and reason of what is wrong, in a manifest whose contests and styles are right."""
    if not 1 <= len(mixing.packs) <= MAX_CONTESTS:
        yield "mixing.packs", f"1 to {MAX_CONTESTS} packs expected, got {len(mixing.packs)}"
    if not group.message_size():
        yield "group", f"elements of {group.name} hold no messages: nothing can be mixed in it"
    if type(mixing.min_unit) is not int or mixing.min_unit < 1:
        yield "mixing.min_unit", f"an integer from 1 expected, got {mixing.min_unit!r}"
    known = {contest.id: contest for contest in contests}
    seen: set[str] = set()
    ids: set[str] = set()
    for i, pack in enumerate(mixing.packs):
        place = f"mixing.packs[{i}]"
        if pack.id in ids:
            yield f"{place}.id", f"{pack.id!r} repeats"
        ids.add(pack.id)
        for j, name in enumerate(pack.contests):
            if name not in known:
                yield f"{place}.contests[{j}]", f"there is no contest {name!r}"
            if name in seen:
                yield f"{place}.contests[{j}]", f"{name!r} is in a pack already"
            seen.add(name)
        yield from _packing_contradictions(mixing, pack, place, group, known, maximum_voters)
        for s, style in enumerate(styles):
            missing = [name for name in pack.contests if name not in style.contests]
            if missing and len(missing) < len(pack.contests):
                reason = f"{missing[0]!r} is missing: all of the pack {pack.id!r} or none expected"
                yield f"styles[{s}].contests", reason


def verificatum_contradictions(mixing: Mixing | None, group: Group) -> Iterator[tuple[str, str]]:
    """What Verificatum could not have: a mix-net of its own is in one of its groups."""
    if mixing is None:
        yield "profile", "nothing is mixed, and verificatum is a mix-net"
    elif len(mixing.mixers) > MAX_PARTIES:
        yield "mixing.mixers", f"verificatum has at most {MAX_PARTIES} mix servers"
    try:
        check_group(group)
    except ParameterError as error:
        yield "group", str(error)


def _packing_contradictions(
    mixing: Mixing,
    pack: Pack,
    place: str,
    group: Group,
    known: dict[str, Contest],
    maximum_voters: int,
) -> Iterator[tuple[str, str]]:
    packing = Packing(tuple(known[name] for name in pack.contests))
    if packing.width(group) > MAX_PACK_WIDTH:
        most = group.message_size(MAX_PACK_WIDTH)
        reason = f"messages of {packing.size} bytes, at most {most} fit {MAX_PACK_WIDTH} elements"
        yield place, f"{reason} of {group.name}"
    if (count := packing.patterns) > maximum_voters and not mixing.patterns_accepted:
        shown = str(count) if count < 10**15 else f"2^{count.bit_length() - 1} or more"
        reason = f"{shown} possible patterns and {maximum_voters} voters at most"
        yield place, f"{reason}: votes could be marked by them; patterns_accepted is false"
