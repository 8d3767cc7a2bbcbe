"""Scottish wards: the published ones are read, and nothing that differs from them is."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evote.counting import count_scottish_stv
from evote.errors import DecodingError
from evote.interop import scottish
from evote.interop.scottish import Candidate, Ward, read_blt, read_ward_csv
from evote.testing import strategies

if TYPE_CHECKING:
    from tests.conftest import Vectors

SMALL = b"""3,2,
4,1,
2,1,2,
3,3,2,1,
"Candidate 1","A","Independent (Ind)",
"Candidate 2","B","",
"Candidate 3","C","Caf\xc3\xa9 Party",
"Elgin ""City"" Ward",
"""


WARDS = (
    "aberdeenshire_2016_by_election_banff_and_district.csv",
    "aberdeenshire_2017_ward16.csv",
    "aberdeenshire_2022_ward3.csv",
    "angus_2022_ward6.csv",
    "moray_2012_ward6.csv",
    "north_ayrshire_2022_saltcoats_and_stevenston.csv",
)


@pytest.mark.parametrize("name", WARDS)
def test_published_wards(vectors: Vectors, name: str) -> None:
    known = vectors.json("ballots/stv/expected.json")["wards"]
    data, expected = vectors.path(f"ballots/stv/{name}").read_bytes(), known[name]
    assert set(known) == set(WARDS)
    assert hashlib.sha256(data).hexdigest() == expected["sha256"]
    ward = read_ward_csv(data)
    assert ward.name == expected["ward"].strip('"')
    assert (ward.seats, len(ward.candidates)) == (expected["seats"], expected["candidates"])
    assert ward.rankings.ballots == expected["ballots"]


def test_a_small_ward() -> None:
    ward = read_ward_csv(SMALL)
    assert ward == read_ward_csv(SMALL[:-1])
    assert ward.name == 'Elgin ""City"" Ward'
    assert ward.seats == 2
    assert ward.candidates == (
        Candidate(name="A", party="Independent (Ind)"),
        Candidate(name="B"),
        Candidate(name="C", party="Caf\u00e9 Party"),
    )
    assert ward.rankings.orders == ((0,), (0, 1), (2, 1, 0))
    assert ward.rankings.numbers == (4, 2, 3)


# Text of the small ward, what stands there instead, and the line that is named.
CHANGES: dict[str, tuple[bytes, bytes, int]] = {
    "byte-order mark": (b"3,2,\n4", b"\xef\xbb\xbf3,2,\n4", 1),
    "carriage return": (b"3,2,\n4", b"3,2,\r\n4", 1),
    "no comma": (b"3,2,\n4", b"3,2\n4", 1),
    "one number": (b"3,2,\n4", b"3,\n4", 1),
    "three numbers": (b"3,2,\n4", b"3,2,1,\n4", 1),
    "no candidates": (b"3,2,\n4", b"0,2,\n4", 1),
    "many candidates": (b"3,2,\n4", b"1001,2,\n4", 1),
    "no seats": (b"3,2,\n4", b"3,0,\n4", 1),
    "more seats than candidates": (b"3,2,\n4", b"3,4,\n4", 1),
    "leading zero": (b"3,2,\n4", b"3,02,\n4", 1),
    "no ballots on a line": (b"2,1,2,", b"0,1,2,", 3),
    "fewer than none": (b"2,1,2,", b"-1,1,2,", 3),
    "fraction": (b"2,1,2,", b"2.0,1,2,", 3),
    "space": (b"2,1,2,", b"2, 1,2,", 3),
    "no preference": (b"2,1,2,", b"2,", 3),
    "gap": (b"2,1,2,", b"2,1,,2,", 3),
    "candidate 0": (b"2,1,2,", b"2,1,0,", 3),
    "candidate 4": (b"2,1,2,", b"2,1,4,", 3),
    "candidate twice": (b"2,1,2,", b"2,1,1,", 3),
    "ranking twice": (b"2,1,2,", b"2,3,2,1,", 4),
    "line without comma": (b"2,1,2,", b"2,1,2", 3),
    "blank line": (b"2,1,2,", b"\n2,1,2,", 3),
    "too many ballots": (b"2,1,2,", b"1099511627776,1,2,", 3),
    "too many digits": (b"2,1,2,", b"9" * 30 + b",1,2,", 3),
    "other digits": (b"2,1,2,", "\u0662,1,2,".encode(), 3),
    "candidate line missing": (b'"Candidate 2","B","",\n', b"", 6),
    "candidate out of order": (b'"Candidate 2"', b'"Candidate 3"', 6),
    "candidate unnumbered": (b'"Candidate 2"', b'"Candidate"', 6),
    "one candidate more": (
        b'Party",\n',
        b'Party",\n"Candidate 4","D","",\n',
        8,
    ),
    "ballot between candidates": (b'"Candidate 2"', b'1,2,\n"Candidate 2"', 6),
    "no name": (b'"B",""', b'"",""', 6),
    "bidi mark in a party": (b"Independent", "\u202eInd".encode(), 5),
    "no party field": (b'"B","",', b'"B",', 6),
    "no ward": (b'"Elgin ""City"" Ward",\n', b"", 8),
    "empty ward": (b'"Elgin ""City"" Ward"', b'""', 8),
    "ward without quotes": (b'"Elgin ""City"" Ward"', b"Elgin", 8),
    "ward without comma": (b'Ward",', b'Ward"', 8),
    "text after the ward": (b'Ward",\n', b'Ward",\n1,2,\n', 9),
    "blank line after the ward": (b'Ward",\n', b'Ward",\n\n', 9),
}


@pytest.mark.parametrize(("old", "new", "line"), CHANGES.values(), ids=CHANGES)
def test_other_csv_is_refused(old: bytes, new: bytes, line: int) -> None:
    assert SMALL.count(old) == 1
    with pytest.raises(DecodingError) as caught:
        read_ward_csv(SMALL.replace(old, new), where="w.csv")
    assert caught.value.where == f"w.csv: line {line}"


def test_other_files_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DecodingError, match="not UTF-8 at byte 0"):
        read_ward_csv(b"\xff" + SMALL)
    with pytest.raises(DecodingError, match="line 1"):
        read_ward_csv(b"")
    with pytest.raises(DecodingError, match="line 1: the line is too long"):
        read_ward_csv(b"1," * 6000)
    monkeypatch.setattr(scottish, "MAX_WARD", len(SMALL))
    read_ward_csv(SMALL)
    with pytest.raises(DecodingError, match="bytes, at most"):
        read_ward_csv(SMALL + b"\n")


@given(st.data())
def test_damaged_csv_is_read_or_refused(data: st.DataObject) -> None:
    try:
        ward = read_ward_csv(data.draw(strategies.damaged(SMALL)))
    except DecodingError:
        return
    assert ward.rankings.options == len(ward.candidates)


# -- BLT -----------------------------------------------------------------------------------------

BLT = b"""3 2
4 1 0
1 1 2 0
3 3 2 1 0
1 1 2 0
0
"A (Independent)"
"B"
"C"
"Elgin Ward"
"""


def test_blt() -> None:
    expected = Ward(
        name="Elgin Ward",
        seats=2,
        candidates=(
            Candidate(name="A (Independent)"),
            Candidate(name="B"),
            Candidate(name="C"),
        ),
        rankings=read_ward_csv(SMALL).rankings,
    )
    assert read_blt(BLT) == expected
    assert read_blt(BLT.replace(b"\n", b"\r\n")) == expected
    assert read_blt(BLT.replace(b'"B"', b"B").replace(b"3 2\n", b" 3  2 \n") + b"\n") == expected
    assert count_scottish_stv(expected.rankings, 2).elected == (0, 2)


BLT_CHANGES: dict[str, tuple[bytes, bytes, int]] = {
    "one number": (b"3 2\n4", b"3\n4", 1),
    "withdrawn": (b"4 1 0", b"-2\n4 1 0", 2),
    "withdrawn, and a 0": (b"4 1 0", b"-2 0\n4 1 0", 2),
    "no 0": (b"3 3 2 1 0", b"3 3 2 1", 4),
    "no preference": (b"4 1 0", b"4 0", 2),
    "no ballots": (b"4 1 0", b"0 1 0", 2),
    "repeat": (b"3 3 2 1 0", b"3 3 2 3 0", 4),
    "out of range": (b"3 3 2 1 0", b"3 3 2 4 0", 4),
    "equal": (b"3 3 2 1 0", b"3 3 2=1 0", 4),
    "blank line": (b"4 1 0", b"\n4 1 0", 2),
    "no end": (b"\n0\n", b"\n", 6),
    "a name less": (b'"C"\n', b"", 10),
    "no name": (b'"B"', b'""', 8),
    "a line more": (b'Ward"\n', b'Ward"\nX\n', 11),
}


@pytest.mark.parametrize(("old", "new", "line"), BLT_CHANGES.values(), ids=BLT_CHANGES)
def test_other_blt_is_refused(old: bytes, new: bytes, line: int) -> None:
    assert BLT.count(old) == 1
    with pytest.raises(DecodingError) as caught:
        read_blt(BLT.replace(old, new), where="w.blt")
    assert caught.value.where == f"w.blt: line {line}"


@given(st.data())
def test_damaged_blt_is_read_or_refused(data: st.DataObject) -> None:
    try:
        ward = read_blt(data.draw(strategies.damaged(BLT)))
    except DecodingError:
        return
    assert ward.rankings.options == len(ward.candidates)
