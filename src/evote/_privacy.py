"""What a record shows of single voters although every proof holds: notices, not failures.

Computed from the manifest, the roll and the fates, so from what is published anyway.

    small-unit      a sum, or a mix, of fewer ballots than `min_unit` (30, if nothing is said)
    unique-weight   a weight that one voter alone has: a total with it in it can show the vote
    unique-voter    one voter alone of a style, district and weight: who knows these of a person
                    finds the row of the roll, and sees whether and how often that person voted
    patterns        more ways to fill in a mixed paper than papers that count

The private half of `evote.verify`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from evote._districts import MIN_UNIT
from evote._report import Notice
from evote.credentials import Roll
from evote.election import Manifest
from evote.errors import VerificationError
from evote.mixing import mixing_units
from evote.tally import district_units

__all__ = ["check_units", "privacy_notices"]

_SHOWN = 3  # examples of a notice


def privacy_notices(
    manifest: Manifest, roll: Roll, counted: NDArray[np.integer]
) -> tuple[Notice, ...]:
    """What people should know before they vote, with all voters as counted, and after.

    Args:
        counted: rows of the roll of the voters whose ballots count.
    """
    found = [
        *_small_sums(manifest, roll, counted),
        *_small_mixes(manifest, roll, counted),
        *_unique(roll),
        *_patterns(manifest, roll, counted),
    ]
    return tuple(found)


def check_units(manifest: Manifest, roll: Roll) -> None:
    """Check that the ballots can be tallied at all, if every voter votes.

    Raises:
        VerificationError: the voters of some unit are too few, whoever votes.
    """
    everybody = np.arange(len(roll))
    mixing_units(manifest, _classes(manifest, roll, everybody))
    if manifest.districts is None:
        return
    for contest in manifest.summed_contests:
        district_units(manifest, contest, _by_district(manifest, roll, everybody, contest.id))


def _holding(
    manifest: Manifest, roll: Roll, rows: NDArray[np.integer], contest: str
) -> NDArray[np.integer]:
    """Those of the rows whose style has a contest."""
    styles = np.array([contest in style.contests for style in manifest.styles], dtype=np.bool_)
    held: NDArray[np.bool_] = styles[roll.style_numbers[rows]]
    return rows[held]


def _by_district(
    manifest: Manifest, roll: Roll, rows: NDArray[np.integer], contest: str
) -> dict[str, int]:
    numbers = roll.district_numbers[_holding(manifest, roll, rows, contest)]
    counts = np.bincount(numbers, minlength=len(roll.districts)).tolist()
    return {name: count for name, count in zip(roll.districts, counts, strict=True) if count}


def _classes(
    manifest: Manifest, roll: Roll, rows: NDArray[np.integer]
) -> dict[tuple[str, str, int], int]:
    """How many there are of each pack, style and weight."""
    found: dict[tuple[str, str, int], int] = {}
    for (style, weight), count in _kinds(roll.style_numbers[rows], roll.weights[rows]):
        for pack in manifest.style_packs(roll.styles[style]):
            found[pack.id, roll.styles[style], weight] = count
    return found


def _kinds(*columns: NDArray[np.integer]) -> Iterator[tuple[tuple[int, ...], int]]:
    """The rows of values that occur, ascending, and how often each does."""
    code, values = np.zeros(len(columns[0]), dtype=np.int64), []
    for column in columns:
        distinct, place = np.unique(column, return_inverse=True)
        values.append(distinct)
        code = code * len(distinct) + place
    codes, counts = np.unique(code, return_counts=True)
    if not len(codes):
        return
    places = np.unravel_index(codes, [len(distinct) for distinct in values])
    rows = [distinct[place].tolist() for distinct, place in zip(values, places, strict=True)]
    yield from zip(zip(*rows, strict=True), counts.tolist(), strict=True)


def _small_sums(manifest: Manifest, roll: Roll, counted: NDArray[np.integer]) -> Iterator[Notice]:
    districts = manifest.districts
    least = MIN_UNIT if districts is None else districts.min_unit
    small = []
    for contest in manifest.summed_contests:
        if districts is None:
            sizes = {"": len(_holding(manifest, roll, counted, contest.id))}
        else:
            counts = _by_district(manifest, roll, counted, contest.id)
            try:
                units = district_units(manifest, contest, counts)
            except VerificationError as error:
                yield Notice("small-unit", str(error))
                continue
            sizes = {", ".join(names): sum(counts[n] for n in names) for names in units}
        small += [
            f"contest {contest.id}{name and f' in {name}'}: {size}"
            for name, size in sizes.items()
            if 0 < size < least
        ]
    if small:
        yield Notice("small-unit", f"fewer than {least} ballots in a sum: {_examples(small)}")


def _small_mixes(manifest: Manifest, roll: Roll, counted: NDArray[np.integer]) -> Iterator[Notice]:
    if manifest.mixing is None:
        return
    try:
        units = mixing_units(manifest, _classes(manifest, roll, counted))
    except VerificationError as error:
        yield Notice("small-unit", str(error))
        return
    least = manifest.mixing.min_unit
    if small := [f"{unit}: {unit.ballots}" for unit in units if unit.ballots < least]:
        yield Notice("small-unit", f"fewer than {least} ballots mixed: {_examples(small)}")


def _unique(roll: Roll) -> Iterator[Notice]:
    weights, counts = np.unique(roll.weights, return_counts=True)
    if alone := [f"weight {weight}" for weight in weights[counts == 1].tolist()]:
        yield Notice("unique-weight", f"of one voter alone: {_examples(alone)}")
    kinds = _kinds(roll.style_numbers, roll.district_numbers, roll.weights)
    if single := [
        f"style {roll.styles[style]}, district {roll.districts[district]}, weight {weight}"
        for (style, district, weight), count in kinds
        if count == 1
    ]:
        yield Notice("unique-voter", f"one voter alone: {_examples(sorted(single))}")


def _patterns(manifest: Manifest, roll: Roll, counted: NDArray[np.integer]) -> Iterator[Notice]:
    for pack in manifest.packs:
        papers = len(_holding(manifest, roll, counted, pack.contests[0]))
        patterns = manifest.packing(pack.id).patterns
        if papers and patterns > papers:
            shown = str(patterns) if patterns < 10**15 else f"2^{patterns.bit_length() - 1} or more"
            ways = f"{shown} ways to fill in the {papers} papers that count"
            yield Notice("patterns", f"pack {pack.id}: {ways}: one can be told by its pattern")


def _examples(items: Sequence[str]) -> str:
    more = len(items) - _SHOWN
    return "; ".join(items[:_SHOWN]) + (f"; and {more} more" if more > 0 else "")
