"""Sums by district: which are merged, what is decrypted, and that no ballot is in two sums."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evote._districts import merge_small
from evote.ballots import Ballots
from evote.contests import Contest
from evote.election import Districts
from evote.encoding import canonical_json
from evote.errors import DecodingError, ParameterError, VerificationError
from evote.tally import (
    ContestTally,
    Summation,
    Tally,
    check_totals,
    combine_shares,
    decode_result,
    decode_tally,
    district_units,
    encode_result,
    encode_tally,
    file_digest,
    result_lines,
    result_problems,
)
from tests.test_tally import BOTH, CONTEXT, COUNTED, HALF, MANIFEST, share

LEAST = 2
BY_DISTRICT = replace(MANIFEST, districts=Districts(min_unit=LEAST))


# -- merging ---------------------------------------------------------------------------------------

counts = st.dictionaries(st.sampled_from("abcdefgh"), st.integers(0, 60), max_size=8)


@given(counts, st.integers(1, 40))
def test_units_divide_the_districts_and_are_large(found: dict[str, int], least: int) -> None:
    """Each district with ballots is in one unit; only where all are too few, one unit is small."""
    order = {name: i for i, name in enumerate(sorted(found))}
    units = merge_small(found, order, least)
    together = [name for unit in units for name in unit]
    assert sorted(together) == sorted(name for name in found if found[name])
    sizes = [sum(found[name] for name in unit) for unit in units]
    if sum(found.values()) >= least:
        assert all(size >= least for size in sizes)
        merged = [unit for unit in units if len(unit) > 1]
        assert len(merged) <= 1  # large ones stay alone, but for one that helps the small ones
    else:
        assert len(units) <= 1
    assert units == sorted(units)
    assert all(list(unit) == sorted(unit) for unit in units)


@pytest.mark.parametrize(
    ("found", "units"),
    [
        ({}, []),
        ({"a": 30, "b": 31}, ["a", "b"]),
        ({"a": 29, "b": 31}, ["ab"]),
        ({"a": 20, "b": 31, "c": 10}, ["ac", "b"]),
        ({"a": 5, "b": 40, "c": 31, "d": 31}, ["ac", "b", "d"]),
        ({"a": 0, "b": 40}, ["b"]),
        ({"a": 10, "b": 10}, ["ab"]),
    ],
)
def test_units(found: dict[str, int], units: list[str]) -> None:
    order = {name: i for i, name in enumerate(sorted(found))}
    assert ["".join(unit) for unit in merge_small(found, order, 30)] == units


def test_too_few_altogether() -> None:
    """attacks: C7"""
    contest: Contest = BY_DISTRICT.summed_contests[0]
    assert district_units(BY_DISTRICT, contest, {"a": 1, "b": 1}) == [("a", "b")]
    with pytest.raises(VerificationError, match=r"'bridge': 1 ballots, .* than 2 be decrypted"):
        district_units(BY_DISTRICT, contest, {"a": 1})
    accepted = replace(MANIFEST, districts=Districts(min_unit=2, small_units_accepted=True))
    assert district_units(accepted, contest, {"a": 1, "b": 1}) == [("a",), ("b",)]


# -- sums ------------------------------------------------------------------------------------------


def summed(parts: Sequence[tuple[Ballots, list[int], list[str]]]) -> Summation:
    summation = Summation(BY_DISTRICT)
    for ballots, weights, districts in parts:
        summation.add(ballots, weights, districts)
    return summation


def finished(summation: Summation) -> Tally:
    return summation.finish(CONTEXT.election_id, COUNTED)


PARTS: list[tuple[Ballots, list[int], list[str]]] = [
    (BOTH, [1, 10, 100], ["north", "south", "north"]),
    (HALF, [1, 1], ["south", "islet"]),
]
TALLY = finished(summed(PARTS))
SHARES = [share(trustee, TALLY) for trustee in (1, 2)]
RESULT = combine_shares(BY_DISTRICT, TALLY, file_digest(encode_tally(TALLY)), SHARES)


def test_sums_and_totals() -> None:
    """The islet's ballot is with the north's, the smallest of the large, by name."""
    rows = [(r.id, r.districts, r.ballots, r.weight, r.votes, r.blank) for r in RESULT.contests]
    assert rows == [
        ("bridge", ("islet", "north"), 3, 102, (2, 0), None),
        ("bridge", ("south",), 2, 11, (1, 10), None),
        ("council", ("north", "south"), 3, 111, (2, 1, 20), 100),
        ("lonely", (), 0, 0, (0, 0), None),
    ]
    check_totals(BY_DISTRICT, TALLY, RESULT)
    digest = file_digest(encode_tally(TALLY))
    assert result_problems(BY_DISTRICT, TALLY, digest, SHARES, RESULT) == []
    lines = {heading: dict(votes) for heading, votes, _ in result_lines(BY_DISTRICT, RESULT)}
    totals = [
        votes for heading, votes in lines.items() if heading.endswith("5 ballots, weight 113")
    ]
    assert [sorted(votes.values()) for votes in totals] == [[3, 10]]
    assert len(lines) == 3 + 3


def test_no_ciphertext_is_in_two_sums() -> None:
    """attacks: E6. The product of a contest's rows is what it is without districts."""
    whole = Summation(MANIFEST)
    whole.add(BOTH, [1, 10, 100])
    whole.add(HALF, [1, 1])
    for part in whole.parts():
        rows = [row for row in TALLY.contests if row.id == part.id]
        product = rows[0].sums
        for row in rows[1:]:
            product = product * row.sums
        assert product == part.sums
        assert sum(row.ballots for row in rows) == part.ballots
        names = [name for row in rows for name in row.districts]
        assert len(names) == len(set(names))


def test_order_and_batches_do_not_matter() -> None:
    pieces = summed(
        [(HALF.take([1]), [1], ["islet"]), (BOTH.take([2, 0]), [100, 1], ["north"] * 2)]
    )
    elsewhere = summed([(HALF.take([0]), [1], ["south"]), (BOTH.take([1]), [10], ["south"])])
    pieces.merge(elsewhere.pieces())
    assert finished(pieces) == TALLY


def test_districts_go_with_the_manifest() -> None:
    with pytest.raises(ParameterError, match="0 districts for 2 ballots"):
        Summation(BY_DISTRICT).add(HALF, [1, 1])
    with pytest.raises(ParameterError, match="2 districts for 2 ballots"):
        Summation(MANIFEST).add(HALF, [1, 1], ["a", "b"])
    with pytest.raises(ParameterError, match="1 districts for 2 ballots"):
        Summation(BY_DISTRICT).add(HALF, [1, 1], ["a"])


def test_more_sums_than_a_tally_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    summation = summed(PARTS)
    sums = sum(part.sums.size for part in TALLY.contests)
    monkeypatch.setattr(type(BY_DISTRICT), "maximum_sums", sums)
    assert finished(summation) == TALLY
    monkeypatch.setattr(type(BY_DISTRICT), "maximum_sums", sums - 1)
    with pytest.raises(VerificationError, match="sums by district, a tally holds at most"):
        finished(summation)


# -- files -----------------------------------------------------------------------------------------


def test_files_read_back() -> None:
    assert decode_tally(BY_DISTRICT, encode_tally(TALLY)) == TALLY
    assert decode_result(BY_DISTRICT, encode_result(RESULT)) == RESULT
    for data in (encode_tally(TALLY), encode_result(RESULT)):
        rows: Any = json.loads(data)["contests"]
        assert [row.get("districts") for row in rows] == [
            ["islet", "north"],
            ["south"],
            ["north", "south"],
            None,
        ]


@given(st.data())
@settings(max_examples=20, deadline=None)
def test_any_districts_read_back(data: st.DataObject) -> None:
    names = st.sampled_from(["a", "b", "c"])
    parts = [
        (ballots, weights, data.draw(st.lists(names, min_size=len(weights), max_size=len(weights))))
        for ballots, weights, _ in PARTS
    ]
    tally = finished(summed(parts))
    assert decode_tally(BY_DISTRICT, encode_tally(tally)) == tally
    assert all(part.ballots >= LEAST or not part.ballots for part in tally.contests)


ROWS: dict[str, Any] = {
    "no districts": lambda rows: rows[0].pop("districts"),
    "none of them": lambda rows: rows[0].update(districts=[]),
    "not ascending": lambda rows: rows[0].update(districts=["north", "islet"]),
    "twice": lambda rows: rows[0].update(districts=["north", "north"]),
    "no id": lambda rows: rows[0].update(districts=["No rth"]),
    "of nobody": lambda rows: rows[3].update(districts=["south"]),
    "a contest missing": lambda rows: rows.pop(2),
    "the last missing": lambda rows: rows.pop(),
    "a contest too many": lambda rows: rows.append({**rows[0], "id": "more"}),
    "another order": lambda rows: rows.insert(0, rows.pop(2)),
    "none": lambda rows: rows.clear(),
}


@pytest.mark.parametrize("what", ROWS)
def test_rows_that_no_tally_has(what: str) -> None:
    """attacks: F6"""
    for data, decode in (
        (encode_tally(TALLY), decode_tally),
        (encode_result(RESULT), decode_result),
    ):
        value: Any = json.loads(data)
        ROWS[what](value["contests"])
        with pytest.raises(DecodingError, match=r"\$\.contests"):
            decode(BY_DISTRICT, canonical_json(value))


def test_a_result_of_other_rows() -> None:
    """attacks: F4, E8"""
    digest = file_digest(encode_tally(TALLY))
    first, second, *rest = RESULT.contests
    for rows in (
        (second, first, *rest),
        (first, *rest),
        (replace(first, districts=("north",)), second, *rest),
    ):
        forged = replace(RESULT, contests=rows)
        with pytest.raises(VerificationError, match="other contests or districts"):
            check_totals(BY_DISTRICT, TALLY, forged)
        with pytest.raises(VerificationError, match="other contests or districts"):
            result_problems(BY_DISTRICT, TALLY, digest, SHARES, forged)
    shifted = replace(
        RESULT,
        contests=(replace(first, votes=(1, 0)), replace(second, votes=(2, 10)), *rest),
    )
    problems = result_problems(BY_DISTRICT, TALLY, digest, SHARES, shifted)
    assert [problem.partition(":")[0] for problem in problems] == [
        "contest 'bridge' in islet, north, option 'yes'",
        "contest 'bridge' in south, option 'yes'",
    ]


def test_manifests_without_districts_have_rows_without() -> None:
    whole = Summation(MANIFEST)
    whole.add(HALF, [1, 1])
    tally = whole.finish(CONTEXT.election_id, COUNTED)
    assert b"districts" not in encode_tally(tally)
    assert [part.districts for part in tally.contests] == [()] * 3
    first: ContestTally = replace(tally.contests[0], districts=("a",))
    forged = replace(tally, contests=(first, *tally.contests[1:]))
    with pytest.raises(DecodingError, match="unknown field 'districts'"):
        decode_tally(MANIFEST, encode_tally(forged))
