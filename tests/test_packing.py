"""Packing: one message for each answer, one answer for each message, and verdicts on the rest."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evote.contests import KINDS, Contest, Count, Kind, Option, check_selections
from evote.encoding import Fields
from evote.errors import DecodingError, ParameterError, ShapeMismatch
from evote.packing import Pack, Packing, Verdict, patterns, read_pack
from evote.testing import strategies


def contest(name: str, kind: Kind, n: int, limit: int, low: int, high: int, **more: Any) -> Contest:
    return Contest(
        id=name,
        title=name,
        kind=kind,
        options=tuple(Option(id=f"o{i}", title=f"O{i}") for i in range(n)),
        option_limit=limit,
        minimum=low,
        maximum=high,
        **more,
    )


BRIDGE = contest("bridge", "yes-no", 2, 1, 1, 1, blank="counted")
COUNCIL = contest("council", "cumulative", 3, 2, 1, 4)
MAYOR = contest("mayor", "ranking", 4, 3, 1, 3, count=Count(method="irv"), blank="counted")
NAME = contest("name", "write-in", 2, 1, 0, 2, write_in=6)
ALL = Packing((BRIDGE, COUNCIL, MAYOR, NAME))

SELECTIONS = {
    "bridge": [[1, 0], [0, 0]],
    "council": [[2, 0, 1], [0, 0, 1]],
    "mayor": [[0, 2, 0, 1], [0, 0, 0, 0]],
    "name": [[0, 1], [1, 1]],
}
BLANKS = {"bridge": [0, 1], "mayor": [0, 1]}
WRITE_INS = {"name": ["Zo\u00eb", ""]}

# Two options of one bit and the blank; three of two bits; three ranks of three bits and the blank;
# two options of one bit, three of a length, six bytes.
BITS = [
    "10" "0" "10" "00" "01" "100" "010" "000" "0" "01" "100" + "".join(
        f"{byte:08b}" for byte in "Zo\u00eb".encode() + b"\0\0"
    ),
    "00" "1" "00" "00" "01" "000" "000" "000" "1" "11" "000" + "0" * 48,
]  # fmt: skip


def message(bits: str, version: int = 1) -> bytes:
    whole = bits + "0" * (-len(bits) % 8)
    return bytes([version]) + int(whole, 2).to_bytes(len(whole) // 8, "big")


def changed(position: int, bits: str, of: int = 0) -> bytes:
    """A good message with other bits at a position."""
    return message(BITS[of][:position] + bits + BITS[of][position + len(bits) :])


def test_messages_are_as_documented() -> None:
    assert ALL.bits == 3 + 6 + 10 + 53 == len(BITS[0])
    assert ALL.size == 1 + 9
    assert ALL.pack(SELECTIONS, BLANKS, WRITE_INS) == [message(bits) for bits in BITS]


def test_messages_are_read_back() -> None:
    answers = ALL.unpack([message(bits) for bits in BITS])
    for one in ALL.contests:
        assert answers[one.id].contest == one
        assert answers[one.id].selections.tolist() == SELECTIONS[one.id]
        assert answers[one.id].blanks.tolist() == BLANKS.get(one.id, [0, 0])
    assert answers["name"].write_ins == ("Zo\u00eb", "")
    assert answers["mayor"].verdicts.tolist() == [Verdict.VALID, Verdict.BLANK]
    assert answers["mayor"].numbers() == {
        Verdict.VALID: 1,
        Verdict.BLANK: 1,
        Verdict.OVERVOTE: 0,
        Verdict.UNDERVOTE: 0,
        Verdict.MALFORMED: 0,
    }
    with pytest.raises(ParameterError, match="the pack has no contest 'tower'"):
        answers["tower"]


def test_one_message_for_each_length() -> None:
    """Whatever is chosen, all messages of a pack have one length; and n may be 0."""
    long = ALL.pack(SELECTIONS, BLANKS, {"name": ["\u20ac\u20ac", ""]})
    assert {len(one) for one in long} == {ALL.size}
    nobody = {one.id: np.empty((0, len(one.options)), np.int64) for one in ALL.contests}
    assert ALL.pack(nobody) == []
    assert all(len(part.verdicts) == 0 for part in ALL.unpack([]).contests)


# -- what is no packing at all -------------------------------------------------------------------

BROKEN: dict[str, bytes | None] = {
    "not decoded": None,
    "nothing": b"",
    "short": message(BITS[0])[:-1],
    "long": message(BITS[0]) + b"\0",
    "version 0": message(BITS[0], version=0),
    "version 2": message(BITS[0], version=2),
}


@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN)
def test_what_is_no_packing_is_malformed_everywhere(broken: bytes | None) -> None:
    answers = ALL.unpack([message(BITS[0]), broken, message(BITS[1])])
    for part in answers.contests:
        assert part.verdicts[1] == Verdict.MALFORMED
        assert not part.selections[1].any()
        assert part.write_ins[1] == ""
        assert Verdict.MALFORMED not in part.verdicts[[0, 2]].tolist()


def test_unused_bits_are_zero() -> None:
    pack = Packing((BRIDGE, COUNCIL))
    bits = "100" "100001"  # fmt: skip
    for position in range(9, 16):
        whole = bits + "".join("1" if i == position else "0" for i in range(9, 16))
        answers = pack.unpack([message(bits), message(whole)])
        for part in answers.contests:
            assert part.verdicts.tolist() == [Verdict.VALID, Verdict.MALFORMED]


# -- verdicts on one contest ---------------------------------------------------------------------

V = Verdict
# contest, message, verdict there; the other contests stay valid
VERDICTS: dict[str, tuple[str, bytes, Verdict]] = {
    "both answers": ("bridge", changed(0, "110"), V.OVERVOTE),
    "no answer": ("bridge", changed(0, "000"), V.UNDERVOTE),
    "blank with marks": ("bridge", changed(0, "011"), V.MALFORMED),
    "blank": ("bridge", changed(0, "001"), V.BLANK),
    "too many marks": ("council", changed(3, "101001"), V.OVERVOTE),
    "above the option's limit": ("council", changed(3, "110000"), V.OVERVOTE),
    "no marks": ("council", changed(3, "000000"), V.UNDERVOTE),
    "all ranked": ("mayor", changed(9, "001010011"), V.VALID),
    "one ranked": ("mayor", changed(9, "011000000"), V.VALID),
    "none ranked": ("mayor", changed(9, "000000000"), V.UNDERVOTE),
    "first rank empty": ("mayor", changed(9, "000010000"), V.MALFORMED),
    "second rank empty": ("mayor", changed(9, "010000001"), V.MALFORMED),
    "ranked twice": ("mayor", changed(9, "010011010"), V.MALFORMED),
    "no such option": ("mayor", changed(9, "101000000"), V.MALFORMED),
    "highest number": ("mayor", changed(9, "111000000"), V.MALFORMED),
    "blank ranking": ("mayor", changed(9, "0000000001"), V.BLANK),
    "blank with ranks": ("mayor", changed(9, "0010000001"), V.MALFORMED),
    "three names": ("name", changed(19, "11"), V.OVERVOTE),
    "text too short": ("name", changed(21, "011"), V.MALFORMED),
    "byte after the text": ("name", changed(71, "1"), V.MALFORMED),
    "text too long": ("name", changed(21, "111"), V.MALFORMED),
    "zero in the text": ("name", changed(21, "101"), V.MALFORMED),
    "not UTF-8": ("name", changed(40, "0"), V.MALFORMED),
    "not NFC": (
        "name",
        changed(21, "011" + "".join(f"{b:08b}" for b in "e\u0301".encode() + bytes(3))),
        V.MALFORMED,
    ),
    "control character": ("name", changed(24, f"{10:08b}"), V.MALFORMED),
}


@pytest.mark.parametrize(("name", "data", "verdict"), VERDICTS.values(), ids=VERDICTS)
def test_verdicts(name: str, data: bytes, verdict: Verdict) -> None:
    answers = ALL.unpack([data])
    for part in answers.contests:
        expected = verdict if part.contest.id == name else Verdict.VALID
        assert part.verdicts.tolist() == [expected]
        if expected != Verdict.VALID:
            assert not part.selections.any()
            assert part.write_ins == ("",)
        else:
            assert part.selections.any()


# -- packing refuses -----------------------------------------------------------------------------

REFUSED: dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, Any], str]] = {
    "contest missing": ({"council": None}, {}, {}, "contest 'council': selections are missing"),
    "contest unknown": ({"tower": [[1], [1]]}, {}, {}, "the pack has no contest 'tower'"),
    "blanks unknown": ({}, {"tower": [0, 0]}, {}, "the pack has no contest 'tower'"),
    "texts unknown": ({}, {}, {"tower": ["", ""]}, "the pack has no contest 'tower'"),
    "overvote": ({"bridge": [[1, 1], [0, 0]]}, {}, {}, "contest 'bridge': selection 0: overvote"),
    "undervote": (
        {"council": [[1, 0, 0], [0, 0, 0]]},
        {},
        {},
        "contest 'council': selection 1: the sum is below 1",
    ),
    "above the limit": (
        {"council": [[1, 0, 0], [0, 3, 0]]},
        {},
        {},
        "contest 'council': selection 1, option 'o1': not in 0..2",
    ),
    "gap": (
        {"mayor": [[1, 3, 0, 0], [0, 0, 0, 0]]},
        {},
        {},
        "contest 'mayor': selection 0: ranks with gaps",
    ),
    "blank with marks": (
        {},
        {"mayor": [1, 1]},
        {},
        "contest 'mayor': selection 0: blank, and yet options are marked",
    ),
    "no blanks there": (
        {},
        {"council": [0, 1]},
        {},
        "contest 'council': selection 1: this contest counts no blanks",
    ),
    "long text": ({}, {}, {"name": ["1234567", ""]}, "contest 'name': selection 0: the written"),
    "texts elsewhere": ({}, {}, {"mayor": ["Ann", ""]}, "contest 'mayor': selection 0: this cont"),
    "another n": ({"council": [[1, 0, 0]]}, {}, {}, "different numbers of voters"),
    "another shape": ({"council": [[1, 0]] * 2}, {}, {}, "contest 'council': selections"),
}


@pytest.mark.parametrize(
    ("selections", "blanks", "write_ins", "problem"), REFUSED.values(), ids=REFUSED
)
def test_packing_refuses(
    selections: dict[str, Any], blanks: dict[str, Any], write_ins: dict[str, Any], problem: str
) -> None:
    chosen = {**SELECTIONS, **selections}
    given = {name: marks for name, marks in chosen.items() if marks is not None}
    wrong = ShapeMismatch if "differ" in problem or "selections (" in problem else ParameterError
    with pytest.raises(wrong) as caught:
        ALL.pack(given, {**BLANKS, **blanks}, {**WRITE_INS, **write_ins})
    assert problem in str(caught.value)
    assert "1234567" not in str(caught.value)


def test_packs_of_nothing() -> None:
    with pytest.raises(ParameterError, match="at least one contest"):
        Packing(())
    with pytest.raises(ParameterError, match="a contest repeats"):
        Packing((BRIDGE, replace(MAYOR, id="bridge")))


def test_packs_of_a_manifest() -> None:
    pack = Pack(id="p", contests=("a", "b"))
    assert read_pack(Fields(pack.to_json(), "$")) == pack
    changes: list[tuple[dict[str, Any], str]] = [
        ({"id": "P"}, "$.id"),
        ({"contests": []}, "$.contests"),
        ({"contests": ["a", "B"]}, "$.contests[1]"),
        ({"order": 1}, "$"),
    ]
    for change, where in changes:
        with pytest.raises(DecodingError) as caught:
            read_pack(Fields({**pack.to_json(), **change}, "$"))
        assert caught.value.where == where
    wrong: list[dict[str, Any]] = [{"id": "P"}, {"contests": ()}, {"contests": ("a", "B")}]
    for change in wrong:
        with pytest.raises(ParameterError, match=r"^pack"):
            replace(pack, **change)


# -- any contest ---------------------------------------------------------------------------------


@st.composite
def packs(draw: st.DrawFn) -> Packing:
    count = draw(st.integers(1, 3))
    return Packing(
        tuple(replace(draw(strategies.contests(KINDS)), id=f"c{i}") for i in range(count))
    )


@given(st.data())
def test_what_is_packed_is_unpacked(data: st.DataObject) -> None:
    pack = data.draw(packs())
    drawn = {one.id: data.draw(strategies.choices(one, 3)) for one in pack.contests}
    selections = {name: marks for name, (marks, _) in drawn.items()}
    blanks = {name: bits for name, (_, bits) in drawn.items()}
    answers = pack.unpack(pack.pack(selections, blanks))
    for part in answers.contests:
        assert part.selections.tolist() == selections[part.contest.id]
        assert part.blanks.tolist() == blanks[part.contest.id]
        assert set(part.verdicts.tolist()) <= {Verdict.VALID, Verdict.BLANK}


@given(st.data())
def test_a_message_has_one_reading(data: st.DataObject) -> None:
    """Whatever bytes are accepted as valid are the very bytes that packing makes of the reading."""
    pack = data.draw(packs())
    bodies = st.binary(min_size=pack.size - 1, max_size=pack.size - 1)
    sparse = st.lists(st.integers(0, 8 * pack.size - 9), max_size=4).map(
        lambda ones: sum({1 << one for one in ones}).to_bytes(pack.size - 1, "big")
    )
    body = data.draw(st.one_of(bodies, sparse))
    answers = pack.unpack([b"\1" + body])
    if all(part.verdicts[0] <= Verdict.BLANK for part in answers.contests):
        again = pack.pack(
            {part.contest.id: part.selections for part in answers.contests},
            {part.contest.id: part.blanks for part in answers.contests},
            {part.contest.id: part.write_ins for part in answers.contests},
        )
        assert again == [b"\1" + body]
    else:
        for part in answers.contests:
            assert part.verdicts[0] == Verdict.VALID or not part.selections.any()


@given(st.binary(max_size=12))
def test_any_bytes_have_a_verdict(data: bytes) -> None:
    for part in ALL.unpack([data]).contests:
        assert sum(part.numbers().values()) == 1


# -- patterns ------------------------------------------------------------------------------------

SMALL = [
    contest("c", "plurality", 3, 1, 0, 1),
    contest("c", "plurality", 3, 1, 1, 1, blank="counted"),
    contest("c", "yes-no", 2, 1, 0, 1, blank="counted"),
    contest("c", "approval", 5, 1, 0, 5),
    contest("c", "limited", 5, 1, 2, 3, blank="counted"),
    contest("c", "cumulative", 3, 2, 1, 4),
    contest("c", "cumulative", 4, 3, 5, 7),
    contest("c", "score", 3, 4, 0, 12),
    contest("c", "ranking", 4, 4, 0, 4, count=Count(method="borda")),
    contest("c", "ranking", 4, 3, 2, 3, count=Count(method="borda"), blank="counted"),
]


@pytest.mark.parametrize("one", SMALL, ids=lambda c: f"{c.kind}-{c.minimum}-{c.maximum}")
def test_patterns_are_all_valid_answers(one: Contest) -> None:
    """Counted one by one; as messages too, each of which is another."""
    answers = list(valid(one))
    assert patterns(one) == len(answers)
    rows, bits = [row for row, _ in answers], [bit for _, bit in answers]
    blanks = {"c": bits} if one.counts_blanks else {}
    assert len(set(Packing((one,)).pack({"c": rows}, blanks))) == len(answers)


def valid(one: Contest) -> Iterator[tuple[tuple[int, ...], int]]:
    for blank in (0, 1):
        for marks in itertools.product(range(one.option_limit + 1), repeat=len(one.options)):
            try:
                check_selections(one, [marks], [blank])
            except ParameterError:
                continue
            yield marks, blank


def test_patterns_of_written_texts() -> None:
    """Of every text, 256 + 256^2 here; with it one mark fewer on the listed options."""
    one = contest("c", "write-in", 3, 1, 1, 2, write_in=2)
    assert patterns(one) == (3 + 3) + (256 + 65536) * (1 + 3)


def test_patterns_multiply() -> None:
    three = Packing(tuple(replace(one, id=f"c{i}") for i, one in enumerate(SMALL[:3])))
    assert three.patterns == 4 * 4 * 4
    long = contest("c", "approval", 200, 1, 0, 200)
    assert patterns(long) == 2**200
    assert Packing((long,)).size == 26  # in one element of ristretto255
    ranked = contest("c", "ranking", 250, 250, 0, 250, count=Count(method="schulze"))
    assert patterns(ranked) > 10**480
