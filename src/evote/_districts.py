"""Results by district: which districts are summed together, so that no sum is of a few ballots.

A summed contest has a sum for each unit, a set of districts, and none over them: the total is added
up from what was decrypted. A total beside the sums of all districts but one would show the one that
was too small to be shown. The private half of `evote.election` and `evote.tally`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from evote.encoding import JSON, Fields

__all__ = ["MIN_UNIT", "Districts", "district_contradictions", "merge_small", "read_districts"]

MIN_UNIT = 30  # ballots that are decrypted together, unless the manifest says otherwise


@dataclass(frozen=True, slots=True, kw_only=True)
class Districts:
    """The summed contests have results by district.

    Attributes:
        min_unit: the fewest ballots that may be summed and decrypted by themselves.
        small_units_accepted: sums of fewer are decrypted all the same, and none are merged.
    """

    min_unit: int = MIN_UNIT
    small_units_accepted: bool = False

    @property
    def least(self) -> int:
        """The fewest ballots of a unit."""
        return 1 if self.small_units_accepted else self.min_unit

    def to_json(self) -> dict[str, JSON]:
        """The object of a manifest."""
        return {"min_unit": self.min_unit, "small_units_accepted": self.small_units_accepted}


def read_districts(fields: Fields, voters: int) -> Districts:
    """Read the object of a manifest: units of at most so many voters."""
    districts = Districts(
        min_unit=fields.integer("min_unit", 1, voters),
        small_units_accepted=fields.boolean("small_units_accepted"),
    )
    fields.end()
    return districts


def district_contradictions(districts: Districts, voters: int) -> Iterator[tuple[str, str]]:
    """Place and reason of what is wrong, where there are so many voters at most."""
    if type(districts.min_unit) is not int or districts.min_unit < 1:
        yield "districts.min_unit", f"an integer from 1 expected, got {districts.min_unit!r}"
    elif districts.least > voters:
        reason = f"no sum can be of {districts.min_unit} ballots: {voters} voters at most"
        yield "districts.min_unit", reason


def merge_small(
    found: Mapping[str, int], order: Mapping[str, int], least: int
) -> list[tuple[str, ...]]:
    """Classes of ballots by unit: large ones alone, small ones together.

    Are the small ones too few even together, the smallest large one joins them; is there none, the
    last unit is smaller than `least`, and the caller's to refuse.

    Args:
        found: ballots of each class; empty ones are left out.
        order: of the classes, within a unit and among units.
        least: the fewest ballots of a unit.
    """
    names = sorted((name for name in found if found[name]), key=order.__getitem__)
    small = [name for name in names if found[name] < least]
    large = [name for name in names if found[name] >= least]
    if small and large and sum(found[name] for name in small) < least:
        nearest = min(large, key=lambda name: (found[name], order[name]))
        large.remove(nearest)
        small = sorted([*small, nearest], key=order.__getitem__)
    units: list[tuple[str, ...]] = [(name,) for name in large]
    if small:
        units.append(tuple(small))
    return sorted(units, key=lambda unit: order[unit[0]])
