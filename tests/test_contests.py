"""Contests: kinds and limits, the form in a manifest, and what may be chosen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evote.contests import (
    KINDS,
    MAX_OPTIONS,
    Contest,
    Count,
    Kind,
    Option,
    Style,
    check_selections,
    check_write_in,
    overvotes,
    pack_selections,
    read_contest,
    read_style,
    undervotes,
    unpack_selections,
)
from evote.encoding import Fields, canonical_json, parse_json
from evote.errors import DecodingError, ParameterError, ShapeMismatch
from evote.testing import strategies


def options(count: int) -> tuple[Option, ...]:
    return tuple(Option(id=f"option-{i}", title=f"Option {i}") for i in range(count))


def contest(kind: Kind, n: int, limit: int, low: int, high: int, **more: Any) -> Contest:
    return Contest(
        id="c",
        title="A question",
        kind=kind,
        options=options(n),
        option_limit=limit,
        minimum=low,
        maximum=high,
        **more,
    )


GOOD = {
    "plurality": contest("plurality", 3, 1, 0, 1),
    "yes-no": contest("yes-no", 2, 1, 1, 1),
    "approval": contest("approval", 4, 1, 0, 4),
    "limited": contest("limited", 5, 1, 1, 3),
    "cumulative": contest("cumulative", 3, 2, 0, 5),
    "score": contest("score", 3, 4, 0, 12),
    "blank": contest("limited", 3, 1, 1, 2, blank="counted"),
    "one option": contest("approval", 1, 1, 0, 1),
    "exact": contest("limited", 4, 1, 2, 2),
    "ranking": contest("ranking", 4, 3, 1, 3, count=Count(method="irv")),
    "ranked council": contest(
        "ranking", 4, 4, 0, 4, count=Count(method="scottish-stv", seats=4), blank="counted"
    ),
    "write-in": contest("write-in", 3, 1, 1, 2, write_in=8, blank="counted"),
}
SUMMED = {name: c for name, c in GOOD.items() if c.is_summed}


def test_every_kind_is_here() -> None:
    assert {c.kind for c in GOOD.values()} == set(KINDS)


@pytest.mark.parametrize("given_contest", GOOD.values(), ids=GOOD.keys())
def test_round_trip(given_contest: Contest) -> None:
    read = read_contest(Fields(parse_json(given_contest.encode()), "$"))
    assert read == given_contest
    assert read.encode() == given_contest.encode()


CONTRADICTIONS: list[tuple[str, dict[str, Any], str]] = [
    ("plurality", {"option_limit": 2}, "option_limit"),
    ("plurality", {"maximum": 2}, "maximum"),
    ("plurality", {"minimum": 2}, "minimum"),
    ("plurality", {"options": options(1)}, "options"),
    ("yes-no", {"options": options(3)}, "options"),
    ("yes-no", {"options": options(1)}, "options"),
    ("yes-no", {"maximum": 2}, "maximum"),
    ("approval", {"maximum": 3}, "maximum"),
    ("approval", {"minimum": 1}, "minimum"),
    ("approval", {"option_limit": 2}, "option_limit"),
    ("limited", {"maximum": 6}, "maximum"),
    ("limited", {"option_limit": 3}, "option_limit"),
    ("limited", {"minimum": 4}, "minimum"),
    ("cumulative", {"option_limit": 6}, "option_limit"),
    ("cumulative", {"maximum": 7}, "maximum"),
    ("cumulative", {"minimum": 6}, "minimum"),
    ("cumulative", {"option_limit": 0}, "option_limit"),
    ("score", {"maximum": 11}, "maximum"),
    ("score", {"minimum": 1}, "minimum"),
    ("score", {"maximum": 0}, "maximum"),
    ("limited", {"options": ()}, "options"),
    ("limited", {"options": options(MAX_OPTIONS + 1)}, "options"),
    ("limited", {"maximum": 256, "options": options(300)}, "maximum"),
    ("limited", {"minimum": -1}, "minimum"),
    ("cumulative", {"options": options(33), "option_limit": 255, "maximum": 255}, "options"),
    ("limited", {"options": (*options(4), Option(id="option-0", title="x"))}, "options[4].id"),
    ("limited", {"options": (*options(4), Option(id="x", title="Option 3"))}, "options[4].title"),
    ("ranking", {"option_limit": 2}, "option_limit"),
    ("ranking", {"maximum": 5, "option_limit": 5}, "maximum"),
    ("ranking", {"minimum": 4}, "minimum"),
    ("ranking", {"count": Count(method="irv", seats=2)}, "count.seats"),
    ("ranking", {"count": Count(method="borda", seats=5)}, "count.seats"),
    ("ranking", {"count": Count(method="schulze", seats=0)}, "count.seats"),
    ("ranking", {"count": Count(method="meek", seats=1)}, "count.method"),  # type: ignore[arg-type]
    ("write-in", {"option_limit": 2}, "option_limit"),
    ("write-in", {"maximum": 5}, "maximum"),
    ("write-in", {"write_in": 0}, "write_in"),
    ("write-in", {"write_in": 201}, "write_in"),
]


@pytest.mark.parametrize(("kind", "change", "field"), CONTRADICTIONS)
def test_contradictions_are_refused(kind: str, change: dict[str, Any], field: str) -> None:
    """By the constructor and by the reader, which names the field."""
    with pytest.raises(ParameterError, match="contest 'c': " + field.split("[")[0]):
        replace(GOOD[kind], **change)
    data = GOOD[kind].to_json()
    for key, value in change.items():
        if key == "options":
            data[key] = [o.to_json() for o in value]
        else:
            data[key] = value.to_json() if isinstance(value, Count) else value
    with pytest.raises(DecodingError) as caught:
        read_contest(Fields(data, "$.contests[7]"))
    assert caught.value.where == f"$.contests[7].{field}"


def test_titles_that_look_the_same_are_refused() -> None:
    composed, decomposed = "caf\u00e9", "cafe\u0301"
    twins = (Option(id="a", title=composed), Option(id="b", title=decomposed))
    with pytest.raises(ParameterError, match="title repeats"):
        replace(GOOD["yes-no"], options=twins)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"kind": "lottery"}, "kind"),
        ({"blank": "maybe"}, "blank"),
        ({"option_limit": True}, "option_limit"),
        ({"minimum": "0"}, "minimum"),
        ({"maximum": 256}, "maximum"),
        ({"id": "Upper"}, "id"),
        ({"title": "bidi \u202e"}, "title"),
        ({"title": ""}, "title"),
    ],
)
def test_reader_names_the_field(change: dict[str, Any], field: str) -> None:
    with pytest.raises(DecodingError) as caught:
        read_contest(Fields(GOOD["limited"].to_json() | change, "$"))
    assert caught.value.where == f"$.{field}"


@pytest.mark.parametrize("key", GOOD["limited"].to_json())
def test_missing_fields(key: str) -> None:
    data = GOOD["limited"].to_json()
    del data[key]
    with pytest.raises(DecodingError, match=f"field '{key}' is missing"):
        read_contest(Fields(data, "$"))


def test_unknown_fields() -> None:
    with pytest.raises(DecodingError, match="unknown field 'colour'"):
        read_contest(Fields(GOOD["limited"].to_json() | {"colour": 1}, "$"))
    data = GOOD["limited"].to_json()
    data["options"] = [{"id": "a", "title": "A", "photo": ""}]
    with pytest.raises(DecodingError, match="unknown field 'photo'"):
        read_contest(Fields(data, "$"))


def test_fields_of_other_kinds() -> None:
    """A key that does not belong to the kind is unknown, and one that does is needed."""
    more: dict[str, Any] = {"count": Count(method="irv").to_json(), "write_in": 8}
    for name, c in GOOD.items():
        for key, value in more.items():
            data = c.to_json()
            if key in data:
                del data[key]
                with pytest.raises(DecodingError, match=f"field '{key}' is missing"):
                    read_contest(Fields(data, "$"))
                with pytest.raises(ParameterError, match=f"contest 'c': {key}: "):
                    replace(c, **{key: None})  # type: ignore[arg-type]
            else:
                with pytest.raises(DecodingError, match=f"unknown field '{key}'"):
                    read_contest(Fields(data | {key: value}, "$"))
                by_hand: Any = Count(method="irv") if key == "count" else value
                with pytest.raises(ParameterError, match=f"contest 'c': {key}: "):
                    replace(c, **{key: by_hand})
        assert set(c.to_json()) & set(more) == {
            "ranking": {"count"},
            "ranked council": {"count"},
            "write-in": {"write_in"},
        }.get(name, set())


def test_counts_are_read_strictly() -> None:
    data: Any = GOOD["ranking"].to_json()
    for change, problem in (
        ({"seats": "1"}, "$.count.seats"),
        ({"seats": True}, "$.count.seats"),
        ({"method": "IRV"}, "$.count.method"),
    ):
        with pytest.raises(DecodingError) as caught:
            read_contest(Fields(data | {"count": data["count"] | change}, "$"))
        assert caught.value.where == problem
    with pytest.raises(DecodingError, match="unknown field 'lots'"):
        read_contest(Fields(data | {"count": data["count"] | {"lots": 1}}, "$"))


def test_many_options_are_ranked() -> None:
    """The limit of proofs binds what is summed; rankings have none."""
    large = contest("ranking", 200, 200, 1, 200, count=Count(method="schulze", seats=200))
    assert large.maximum == 200
    with pytest.raises(ParameterError, match="options"):
        contest("cumulative", 200, 200, 1, 200)


@pytest.mark.parametrize("field", ["option_limit", "minimum", "maximum"])
@pytest.mark.parametrize("wrong", [True, 1.0, None, "1", -1, 256])
def test_constructor_wants_small_integers(field: str, wrong: Any) -> None:
    with pytest.raises(ParameterError, match=field):
        replace(GOOD["cumulative"], **{field: wrong})


def test_constructor_checks_words() -> None:
    for change in ({"kind": "lottery"}, {"blank": "maybe"}, {"id": "A b"}):
        with pytest.raises(ParameterError):
            replace(GOOD["limited"], **change)  # type: ignore[arg-type]


# Styles.


def test_style_round_trip() -> None:
    style = Style(id="north", contests=("b", "a"))
    read = read_style(Fields(parse_json(canonical_json(style.to_json())), "$"), ["a", "b", "c"])
    assert read == style


@pytest.mark.parametrize(
    ("contests", "where"),
    [([], "$.contests"), (["a", "a"], "$.contests[1]"), (["a", "z"], "$.contests[1]")],
)
def test_bad_styles(contests: list[str], where: str) -> None:
    with pytest.raises(DecodingError) as caught:
        read_style(Fields({"id": "s", "contests": contests}, "$"), ["a", "b"])  # type: ignore[dict-item]
    assert caught.value.where == where


@pytest.mark.parametrize("contests", [(), ("a", "a"), ("A",)])
def test_bad_styles_by_hand(contests: tuple[str, ...]) -> None:
    with pytest.raises(ParameterError):
        Style(id="s", contests=contests)


# Selections.

EDGES: list[tuple[str, list[int], str | None]] = [
    ("plurality", [0, 0, 0], None),
    ("plurality", [0, 1, 0], None),
    ("plurality", [1, 1, 0], "overvote"),
    ("plurality", [2, 0, 0], "option 'option-0'"),
    ("plurality", [0, 0, -1], "option 'option-2'"),
    ("yes-no", [1, 0], None),
    ("yes-no", [0, 0], "below 1"),
    ("yes-no", [1, 1], "overvote"),
    ("approval", [1, 1, 1, 1], None),
    ("approval", [0, 0, 0, 0], None),
    ("approval", [1, 1, 2, 1], "option 'option-2'"),
    ("limited", [1, 1, 1, 0, 0], None),
    ("limited", [1, 1, 1, 1, 0], "overvote"),
    ("limited", [0, 0, 0, 0, 0], "below 1"),
    ("cumulative", [2, 2, 1], None),
    ("cumulative", [2, 2, 2], "overvote"),
    ("cumulative", [3, 0, 0], "option 'option-0'"),
    ("score", [4, 4, 4], None),
    ("score", [0, 5, 0], "option 'option-1'"),
    ("exact", [1, 1, 0, 0], None),
    ("exact", [1, 0, 0, 0], "below 2"),
    ("exact", [1, 1, 1, 0], "overvote"),
    ("ranking", [0, 2, 1, 3], None),
    ("ranking", [0, 0, 1, 0], None),
    ("ranking", [0, 0, 0, 0], "below 1"),
    ("ranking", [1, 2, 3, 4], "option 'option-3': not in 0..3"),
    ("ranking", [0, 0, 2, 0], "gaps or repeats"),
    ("ranking", [1, 0, 3, 0], "gaps or repeats"),
    ("ranking", [1, 1, 0, 0], "gaps or repeats"),
    ("ranking", [1, 2, 2, 0], "gaps or repeats"),
    ("ranking", [1, -1, 2, 0], "option 'option-1'"),
    ("ranked council", [4, 3, 2, 1], None),
    ("ranked council", [0, 0, 0, 0], None),
    ("write-in", [0, 1, 1], None),
    ("write-in", [1, 1, 1], "overvote"),
    ("write-in", [0, 0, 0], "below 1"),
    ("write-in", [0, 2, 0], "option 'option-1'"),
]


@pytest.mark.parametrize(("name", "marks", "problem"), EDGES)
def test_edges_of_every_rule(name: str, marks: list[int], problem: str | None) -> None:
    if problem is None:
        selections, blanks = check_selections(GOOD[name], [marks])
        assert selections.tolist() == [marks]
        assert blanks.tolist() == [0]
        return
    good = np.zeros(len(marks), np.int64)
    good[: GOOD[name].minimum] = 1  # of a ranking, one is ranked
    with pytest.raises(ParameterError, match=problem) as caught:
        check_selections(GOOD[name], [good.tolist(), marks])
    assert "selection 1" in str(caught.value)


def test_blanks() -> None:
    c = GOOD["blank"]
    selections, blanks = check_selections(c, [[0, 0, 0], [1, 1, 0]], [1, 0])
    assert blanks.tolist() == [1, 0]
    assert pack_selections(c, selections, blanks).tolist() == [[0, 0, 0, 1], [1, 1, 0, 0]]
    assert undervotes(c, selections, blanks).tolist() == [0, 0]
    assert undervotes(c, [[1, 0, 0]]).tolist() == [1]
    for marks, bits, problem in [
        ([[1, 0, 0]], [1], "yet options are marked"),
        ([[1, 0, 0]], [2], "0 or 1"),
        ([[1, 0, 0]], [-1], "0 or 1"),
        ([[0, 0, 0]], [0], "below 1"),
    ]:
        with pytest.raises(ParameterError, match=problem):
            check_selections(c, marks, bits)
    with pytest.raises(ParameterError, match="counts no blanks"):
        check_selections(GOOD["plurality"], [[0, 0, 0]], [1])


@pytest.mark.parametrize(
    "selections", [[0, 0, 1], [[0, 1]], [[0, 0, 0, 1]], [[[0, 0, 1]]], [[0, 0], [0, 0, 1]]]
)
def test_wrong_shapes(selections: Any) -> None:
    with pytest.raises(ShapeMismatch):
        check_selections(GOOD["plurality"], selections)


def test_wrong_number_of_blanks() -> None:
    with pytest.raises(ShapeMismatch):
        check_selections(GOOD["blank"], [[1, 0, 0]], [0, 0])


@pytest.mark.parametrize("mark", [1.0, True, "1", None, 2**64 - 1, 2**63, 2**70, -(2**63)])
def test_only_small_integers_are_marks(mark: Any) -> None:
    marks = [[mark, mark, mark]]  # alike, so that NumPy finds one type for all
    with pytest.raises(ParameterError):
        check_selections(GOOD["score"], marks)


def test_errors_do_not_repeat_the_choice() -> None:
    with pytest.raises(ParameterError) as caught:
        check_selections(GOOD["score"], [[77, 0, 0]])
    assert "77" not in str(caught.value)


def test_no_voters() -> None:
    for c in SUMMED.values():
        empty = np.empty((0, len(c.options)), dtype=np.int64)
        assert pack_selections(c, empty).shape == (0, c.width)
        assert undervotes(c, empty).shape == (0,)
        assert overvotes(c, empty).shape == (0,)


def test_overvotes_and_undervotes() -> None:
    c = GOOD["cumulative"]
    assert overvotes(c, [[2, 2, 1], [2, 2, 2], [3, 0, 0], [0, 0, 0]]).tolist() == [
        False,
        True,
        True,
        False,
    ]
    assert undervotes(c, [[2, 2, 1], [0, 0, 0], [1, 0, 1]]).tolist() == [0, 5, 3]


@given(st.data())
def test_what_is_allowed_is_what_the_values_of_the_proofs_are(data: st.DataObject) -> None:
    """A selection passes exactly when option_values and sum_values hold its plaintexts."""
    c = data.draw(st.sampled_from(list(SUMMED.values())))
    marks = data.draw(
        st.lists(
            st.integers(-1, c.option_limit + 1), min_size=len(c.options), max_size=len(c.options)
        )
    )
    blank = data.draw(st.integers(0, 1)) if c.counts_blanks else 0
    row = [blank, sum(marks)] if c.counts_blanks else [sum(marks)]
    provable = row in c.sum_values().tolist() and all(
        [m] in c.option_values().tolist() for m in marks
    )
    check: Callable[[], Any] = lambda: pack_selections(c, [marks], [blank])  # noqa: E731
    if provable:
        packed = check()
        again = unpack_selections(c, packed)
        assert again[0].tolist() == [marks]
        assert again[1].tolist() == [blank]
        assert not overvotes(c, [marks]).any()
    else:
        with pytest.raises(ParameterError):
            check()


@given(st.data())
def test_any_contest_and_any_choice_in_it(data: st.DataObject) -> None:
    c = data.draw(strategies.contests())
    assert read_contest(Fields(parse_json(c.encode()), "$")) == c
    marks, blanks = data.draw(strategies.choices(c, 3))
    again = unpack_selections(c, pack_selections(c, marks, blanks))
    assert (again[0].tolist(), again[1].tolist()) == (marks, blanks)
    assert not overvotes(c, marks).any()
    used = np.sum(marks, axis=1) + undervotes(c, marks, blanks)
    assert used.tolist() == [0 if blank else c.maximum for blank in blanks]


def test_unpacking_checks_too() -> None:
    with pytest.raises(ParameterError):
        unpack_selections(GOOD["blank"], [[1, 0, 0, 1]])
    with pytest.raises(ShapeMismatch):
        unpack_selections(GOOD["blank"], [[1, 0, 0]])


# Rankings and written texts.


def test_written_texts_are_marks() -> None:
    c = GOOD["write-in"]
    marks = [[1, 0, 0], [1, 0, 0], [0, 0, 0], [0, 0, 0]]
    texts = ["Ann", "", "Bob", ""]
    selections, blanks = check_selections(c, marks, [0, 0, 0, 1], texts)
    assert (selections.tolist(), blanks.tolist()) == (marks, [0, 0, 0, 1])
    assert undervotes(c, marks, [0, 0, 0, 1], texts).tolist() == [0, 1, 1, 0]
    for marked, blank, text, problem in [
        ([1, 1, 0], 0, "Ann", "selection 1: overvote"),
        ([0, 0, 0], 0, "", "selection 1: the sum is below 1"),
        ([0, 0, 0], 1, "Ann", "selection 1: blank, and yet"),
    ]:
        with pytest.raises(ParameterError, match=problem) as caught:
            check_selections(c, [[1, 0, 0], marked], [0, blank], ["", text])
        assert "Ann" not in str(caught.value)
    with pytest.raises(ParameterError, match="selection 1: this contest has no written texts"):
        check_selections(GOOD["ranking"], [[1, 0, 0, 0]] * 2, write_ins=["", "Ann"])
    for wrong in (["Ann"], "Bo"):
        with pytest.raises(ShapeMismatch, match="2 written texts expected"):
            check_selections(c, [[1, 0, 0]] * 2, write_ins=wrong)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("12345678", None),
        ("\u00e9\u00e9\u00e9\u00e9", None),
        ("123456789", "more than 8 bytes"),
        ("\u00e9\u00e9\u00e9\u00e91", "more than 8 bytes"),
        ("e\u0301", "NFC"),
        ("a\nb", "control"),
        ("a\u202eb", "control"),
        ("\ud800", "control"),
        (None, "is a string"),
        (b"Ann", "is a string"),
    ],
)
def test_what_may_be_written(text: Any, problem: str | None) -> None:
    c = GOOD["write-in"]
    if problem is None:
        assert check_write_in(c, text) is None
        check_selections(c, [[0, 0, 0]], write_ins=[text])
        return
    assert problem in (check_write_in(c, text) or "")
    with pytest.raises(ParameterError, match=f"selection 1: .*{problem}") as caught:
        check_selections(c, [[1, 0, 0]] * 2, write_ins=["", text])
    assert not isinstance(text, str) or text not in str(caught.value)


def test_rankings_use_as_many_marks_as_are_ranked() -> None:
    c = GOOD["ranked council"]
    assert undervotes(c, [[4, 3, 2, 1], [0, 1, 2, 0], [0, 0, 0, 0]]).tolist() == [0, 2, 4]
    assert overvotes(c, [[4, 3, 2, 1], [5, 0, 0, 0]]).tolist() == [False, True]


def test_what_is_mixed_has_no_plaintexts_to_sum() -> None:
    for name in ("ranking", "write-in"):
        c = GOOD[name]
        with pytest.raises(ParameterError, match="is mixed, not summed"):
            pack_selections(c, [[1] + [0] * (len(c.options) - 1)])
