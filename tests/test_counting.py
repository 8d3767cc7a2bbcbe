"""Counting: real wards stage by stage, every method against an obvious count, ties and lots."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from math import floor
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from evote.contests import Contest, Count, Method, Option, undervotes
from evote.counting import (
    MAX_BALLOTS,
    UNIT,
    ContestCounter,
    Rankings,
    STVCount,
    Tie,
    count_borda,
    count_contest,
    count_irv,
    count_schulze,
    count_scottish_stv,
    count_selections,
    group_rankings,
    read_contest_count,
)
from evote.encoding import JSON, Fields, canonical_json, parse_json
from evote.errors import DecodingError, ParameterError, ShapeMismatch
from evote.interop.scottish import read_ward_csv
from evote.packing import ContestAnswers, Packing, Verdict

if TYPE_CHECKING:
    from tests.conftest import Vectors

PROFILES = 1000


def rankings(options: int, *groups: tuple[int, tuple[int, ...]]) -> Rankings:
    return Rankings(
        options=options,
        orders=tuple(order for _, order in groups),
        numbers=tuple(number for number, _ in groups),
    )


def profiles(seed: int) -> Iterator[tuple[Rankings, int, tuple[int, ...]]]:
    """Small ones, so that ties are frequent and every rule is used; seats and lots beside them."""
    rng = np.random.default_rng(seed)
    for _ in range(PROFILES):
        options = int(rng.integers(1, 8))
        found: dict[tuple[int, ...], int] = {}
        for _ in range(rng.integers(0, 15)):
            length = int(rng.integers(0, options + 1))
            order = tuple(rng.permutation(options)[:length].tolist())
            found[order] = int(rng.integers(1, 4))
        lots = tuple(rng.permutation(options).tolist())
        made = Rankings(options=options, orders=tuple(found), numbers=tuple(found.values()))
        yield made, int(rng.integers(1, options + 1)), lots


def ballots(given: Rankings) -> list[tuple[int, ...]]:
    return [order for order, number in given.items() for _ in range(number)]


# -- obvious counts, one paper at a time -----------------------------------------------------------


def plain_irv(given: Rankings, lots: Sequence[int]) -> list[tuple[int | None, list[int], int]]:
    """Each round: who was excluded before it, the votes, the exhausted; the winner is implied."""
    papers = [paper for paper in ballots(given) if paper]
    remaining = list(range(given.options))
    rounds: list[tuple[int | None, list[int], int]] = []
    excluded = None
    while True:
        firsts = [next((o for o in paper if o in remaining), None) for paper in papers]
        votes = [firsts.count(option) for option in range(given.options)]
        rounds.append((excluded, votes, firsts.count(None)))
        if len(remaining) == 1 or max(votes) > sum(votes) / 2:
            return rounds
        past = [votes for _, votes, _ in reversed(rounds)]
        excluded = min(remaining, key=lambda o: ([votes[o] for votes in past], lots.index(o)))
        remaining.remove(excluded)


class PlainSTV:
    """Each paper with a holder of its own and a fraction as its value."""

    def __init__(self, given: Rankings, seats: int, lots: Sequence[int]) -> None:
        self.papers = [paper for paper in ballots(given) if paper]
        self.values = [Fraction(1)] * len(self.papers)
        self.holders: list[int | None] = [paper[0] for paper in self.papers]
        self.hopeful = list(range(given.options))
        self.kept = {option: Fraction(0) for option in range(given.options)}  # by the elected
        self.quota = len(self.papers) // (seats + 1) + 1
        self.stages: list[dict[str, Any]] = []
        self.elected: list[int] = []
        self.excluded: list[int] = []
        self.lots = lots
        surpluses: list[int] = []
        done: dict[str, Any] = {"action": "first preferences", "option": None}
        while True:
            now = self.votes()
            new = [o for o in self.hopeful if now[o] >= self.quota]
            if len(self.hopeful) <= seats - len(self.elected):
                new = list(self.hopeful)
            new.sort(key=lambda o: (-now[o], o))
            self.elected += new
            surpluses += [o for o in new if now[o] > self.quota]
            self.hopeful = [o for o in self.hopeful if o not in new]
            held = zip(self.values, self.holders, strict=True)
            stuck = sum((value for value, holder in held if holder is None), Fraction(0))
            lost = len(self.papers) - sum(now) - stuck
            self.stages.append({**done, "votes": now, "elected": new, "stuck": stuck, "lost": lost})
            if len(self.elected) >= seats:
                return
            past = [stage["votes"] for stage in reversed(self.stages)]
            if surpluses:
                chosen = min(surpluses, key=lambda o: ([-v[o] for v in past], lots.index(o)))
                surpluses.remove(chosen)
                done = {"action": "surplus", "option": chosen}
                self.move(chosen, (now[chosen] - self.quota) / now[chosen])
                self.kept[chosen] = Fraction(self.quota)
            else:
                chosen = min(self.hopeful, key=lambda o: ([v[o] for v in past], lots.index(o)))
                self.hopeful.remove(chosen)
                self.excluded.append(chosen)
                done = {"action": "exclusion", "option": chosen}
                self.move(chosen, Fraction(1))

    def votes(self) -> list[Fraction]:
        held = [*self.kept.values()]
        for holder, value in zip(self.holders, self.values, strict=True):
            if holder is not None:
                held[holder] += value
        return held

    def move(self, option: int, factor: Fraction) -> None:
        for i, paper in enumerate(self.papers):
            if self.holders[i] == option:
                self.values[i] = Fraction(floor(self.values[i] * factor * 100000), 100000)
                self.holders[i] = next((o for o in paper if o in self.hopeful), None)


def plain_preferred(given: Rankings) -> list[list[int]]:
    def place(paper: tuple[int, ...], option: int) -> int:
        return paper.index(option) if option in paper else 1000

    pairs = range(given.options)
    papers = ballots(given)
    return [[sum(place(p, a) < place(p, b) for p in papers) for b in pairs] for a in pairs]


def plain_paths(preferred: list[list[int]]) -> list[list[int]]:
    """The strongest of all simple paths, each found by going along it."""
    n = len(preferred)

    link = [[x if x > preferred[b][a] else 0 for b, x in enumerate(preferred[a])] for a in range(n)]

    def strongest(a: int, b: int) -> int:
        others = [o for o in range(n) if o not in (a, b)]
        ways = (w for k in range(n - 1) for w in itertools.permutations(others, k))
        return max(min(link[x][y] for x, y in itertools.pairwise((a, *way, b))) for way in ways)

    return [[strongest(a, b) if a != b else 0 for b in range(n)] for a in range(n)]


def seated(levels: Sequence[tuple[int, ...]], seats: int, lots: Sequence[int]) -> set[int]:
    """Level by level, in the order of the lots within each."""
    return set([o for level in levels for o in sorted(level, key=lots.index)][:seats])


# -- a thousand profiles -------------------------------------------------------------------------


def test_irv_is_the_obvious_count() -> None:
    used = 0
    for given, _, lots in profiles(1):
        count = count_irv(given, lots=lots)
        rounds = [(one.excluded, list(one.votes), one.exhausted) for one in count.rounds]
        assert rounds == plain_irv(given, lots)
        last = rounds[-1][1]
        assert len(count.elected) == 1
        assert last[count.elected[0]] == max(last)
        used += sum(bool(tie.drawn) for tie in count.ties)
    assert used > PROFILES / 10


def test_scottish_stv_is_the_obvious_count() -> None:
    kinds = {"drawn": 0, "earlier": 0, "surplus": 0, "truncated": 0}
    for given, seats, lots in profiles(2):
        count, plain = count_scottish_stv(given, seats, lots=lots), PlainSTV(given, seats, lots)
        assert (count.quota, count.ballots) == (plain.quota, len(plain.papers))
        assert list(count.elected) == plain.elected
        assert list(count.excluded) == plain.excluded
        assert len(count.stages) == len(plain.stages)
        for stage, expected in zip(count.stages, plain.stages, strict=True):
            assert (stage.action, stage.option) == (expected["action"], expected["option"])
            assert [Fraction(v, UNIT) for v in stage.votes] == expected["votes"]
            assert Fraction(stage.non_transferable, UNIT) == expected["stuck"]
            assert Fraction(stage.lost, UNIT) == expected["lost"]
            assert list(stage.elected) == expected["elected"]
            whole = sum(stage.votes) + stage.non_transferable + stage.lost
            assert whole == count.ballots * UNIT
        kinds["drawn"] += sum(bool(tie.drawn) for tie in count.ties)
        kinds["earlier"] += sum(not tie.drawn for tie in count.ties)
        kinds["surplus"] += sum(stage.action == "surplus" for stage in count.stages)
        kinds["truncated"] += count.stages[-1].lost > 0
    assert min(kinds.values()) > 20, kinds


def test_schulze_is_the_obvious_count() -> None:
    drawn = 0
    for given, seats, lots in profiles(3):
        count = count_schulze(given, seats, lots=lots)
        preferred = plain_preferred(given)
        paths = plain_paths(preferred)
        assert [list(row) for row in count.preferred] == preferred
        assert [list(row) for row in count.paths] == paths
        left = list(range(given.options))
        for level in count.levels:
            assert list(level) == [a for a in left if all(paths[a][b] >= paths[b][a] for b in left)]
            left = [a for a in left if a not in level]
        assert not left
        assert set(count.elected) == seated(count.levels, seats, lots)
        drawn += len(count.ties)
    assert drawn > PROFILES / 10


def test_borda_is_the_obvious_count() -> None:
    drawn = 0
    for given, seats, lots in profiles(4):
        count = count_borda(given, seats, lots=lots)
        # A point for every option that is ranked lower or not at all.
        assert list(count.points) == [sum(row) for row in plain_preferred(given)]
        scores = [{count.points[option] for option in level} for level in count.levels]
        assert all(len(score) == 1 for score in scores)
        assert [max(score) for score in scores] == sorted(set(count.points), reverse=True)
        assert sorted(o for level in count.levels for o in level) == list(range(given.options))
        assert set(count.elected) == seated(count.levels, seats, lots)
        drawn += len(count.ties)
    assert drawn > PROFILES / 20


def test_one_seat_by_stv_is_instant_runoff() -> None:
    for given, _, lots in profiles(5):
        assert (
            count_scottish_stv(given, 1, lots=lots).elected == count_irv(given, lots=lots).elected
        )


def test_lots_decide_nothing_else() -> None:
    """Without lots a count is the same, or it names the options that need one."""
    stopped = 0
    for given, seats, lots in profiles(6):
        for name, counted in every(given, seats, lots).items():
            drawn = [tie for tie in counted.ties if tie.drawn]
            if drawn:
                stopped += 1
                shown = ", ".join(map(str, drawn[0].drawn))
                reason = f"^stage {drawn[0].stage}: .* decide between the options {shown}$"
                with pytest.raises(ParameterError, match=reason):
                    every(given, seats, None, only=name)
            else:
                plain = every(given, seats, None, only=name)[name]
                assert replace(counted, lots=None) == plain
    assert 100 < stopped < 4 * PROFILES


def every(
    given: Rankings, seats: int, lots: Sequence[int] | None, only: str | None = None
) -> dict[str, Any]:
    ways: dict[str, Callable[[], Any]] = {
        "irv": lambda: count_irv(given, lots=lots),
        "scottish-stv": lambda: count_scottish_stv(given, seats, lots=lots),
        "schulze": lambda: count_schulze(given, seats, lots=lots),
        "borda": lambda: count_borda(given, seats, lots=lots),
    }
    return {name: way() for name, way in ways.items() if only in (None, name)}


# -- known counts --------------------------------------------------------------------------------


def same_stages(count: STVCount, expected: dict[str, Any]) -> None:
    """Every number of a known count, whose candidates are numbered from 1."""
    assert (count.quota, count.ballots) == (expected["quota"], expected["ballots"])
    assert [option + 1 for option in count.elected] == expected["elected"]
    assert [option + 1 for option in count.excluded] == expected["excluded"]
    assert len(count.stages) == len(expected["stages"])
    for number, (stage, known) in enumerate(zip(count.stages, expected["stages"], strict=True), 1):
        assert known["stage"] == number
        made: dict[str, Any] = dict(stage.to_json())
        votes = {str(option + 1): votes for option, votes in enumerate(made.pop("votes"))}
        elected = [option + 1 for option in made.pop("elected")]
        made |= {"stage": number, "votes": votes, "elected": elected}
        if "option" in made:
            made["candidate"] = made.pop("option") + 1
        assert made == known
    notes = []
    for tie in count.ties:
        notes.append(f"tie at stage {tie.stage}: {[option + 1 for option in tie.options]}")
        if tie.drawn:
            notes.append(f"lot at stage {tie.stage}: {[option + 1 for option in tie.drawn]}")
    assert notes == expected["notes"]


def test_real_wards(vectors: Vectors) -> None:
    wards = vectors.json("ballots/stv/expected.json")["wards"]
    assert len(wards) == 6
    for name, expected in wards.items():
        ward = read_ward_csv(vectors.path(f"ballots/stv/{name}").read_bytes(), where=name)
        same_stages(count_scottish_stv(ward.rankings, ward.seats), expected)


def test_a_real_ward_through_its_messages(vectors: Vectors) -> None:
    """One message a ballot, in any order, as they come out of a mix."""
    name = "moray_2012_ward6.csv"
    ward = read_ward_csv(vectors.path(f"ballots/stv/{name}").read_bytes())
    options = len(ward.candidates)
    of = contest(
        kind="ranking",
        options=tuple(Option(id=f"o{i}", title=f"O{i}") for i in range(options)),
        option_limit=options,
        maximum=options,
        count=Count(method="scottish-stv", seats=ward.seats),
    )
    papers = ballots(ward.rankings)
    ranks = np.zeros((len(papers), options), np.int64)
    for row, order in zip(ranks, papers, strict=True):
        row[list(order)] = range(1, len(order) + 1)
    count = count_contest(answers(of, np.random.default_rng(8).permutation(ranks)))
    assert count.ballots[Verdict.VALID] == len(papers) == 2566
    assert isinstance(count.outcome, STVCount)
    same_stages(count.outcome, vectors.json("ballots/stv/expected.json")["wards"][name])


def test_synthetic_wards(vectors: Vectors) -> None:
    synthetic = vectors.json("ballots/stv/expected.json")["synthetic"]
    assert len(synthetic) == 5
    for case in synthetic.values():
        given, options = case["input"], case["input"]["candidates"]
        groups = [(number, tuple(o - 1 for o in order)) for number, order in given["ballots"]]
        count = count_scottish_stv(rankings(options, *groups), given["seats"], lots=range(options))
        same_stages(count, case["result"])


TENNESSEE = rankings(
    4, (42, (0, 1, 2, 3)), (26, (1, 2, 3, 0)), (15, (2, 3, 1, 0)), (17, (3, 2, 1, 0))
)


def test_the_same_ballots_and_different_winners() -> None:
    """Capital of Tennessee: Memphis, Nashville, Chattanooga, Knoxville, by their distances."""
    runoff = count_irv(TENNESSEE)
    assert [one.excluded for one in runoff.rounds] == [None, 2, 1]
    assert [one.votes for one in runoff.rounds] == [
        (42, 26, 15, 17),
        (42, 26, 0, 32),
        (42, 0, 0, 58),
    ]
    assert runoff.elected == (3,)
    assert count_borda(TENNESSEE).points == (126, 194, 173, 107)
    assert count_borda(TENNESSEE).elected == (1,)
    assert count_schulze(TENNESSEE).levels == ((1,), (2,), (3,), (0,))


def test_the_example_of_schulze_s_paper() -> None:
    """Five options and 45 voters: section 3 of the paper of 2011, and its matrices."""
    given = rankings(
        5,
        *((5, (0, 2, 1, 4, 3)), (5, (0, 3, 4, 2, 1)), (8, (1, 4, 3, 0, 2)), (3, (2, 0, 1, 4, 3))),
        *((7, (2, 0, 4, 1, 3)), (2, (2, 1, 0, 3, 4)), (7, (3, 2, 4, 1, 0)), (8, (4, 1, 0, 3, 2))),
    )
    count = count_schulze(given, 5)
    assert count.preferred == (
        (0, 20, 26, 30, 22),
        (25, 0, 16, 33, 18),
        (19, 29, 0, 17, 24),
        (15, 12, 28, 0, 14),
        (23, 27, 21, 31, 0),
    )
    assert count.paths == (
        (0, 28, 28, 30, 24),
        (25, 0, 28, 33, 24),
        (25, 29, 0, 29, 24),
        (25, 28, 28, 0, 24),
        (25, 28, 28, 31, 0),
    )
    assert count.elected == (4, 0, 2, 1, 3)


# -- ties ----------------------------------------------------------------------------------------


def test_an_earlier_stage_narrows_a_tie_and_the_lot_ends_it() -> None:
    """Three are lowest; two of them had fewer before, and nothing but the lot parts these."""
    given = rankings(5, (5, (0,)), (3, (1,)), (3, (2,)), (4, (3,)), (1, (4, 1)), (1, (4, 2)))
    for lots, last in (((4, 3, 2, 1, 0), 2), ((3, 0, 1, 2, 4), 1)):
        tie = Tie(stage=3, options=(1, 2, 3), drawn=(1, 2), chosen=(last,))
        count = count_scottish_stv(given, 1, lots=lots)
        assert count.excluded[:2] == (4, last)
        assert count.ties[0] == tie
        assert count_irv(given, lots=lots).ties[0] == tie
        assert count_irv(given, lots=lots).rounds[2].excluded == last


def test_an_earlier_stage_ends_a_tie() -> None:
    """Three are lowest, and one of them had fewer before: no lot is needed for that."""
    given = rankings(5, (5, (0,)), (2, (1, 0)), (2, (2, 0)), (1, (3,)), (1, (4, 3)))
    count = count_scottish_stv(given, 1, lots=(2, 4, 1, 3, 0))
    assert count.excluded == (4, 3, 2)
    assert count.ties == (
        Tie(stage=2, options=(3, 4), drawn=(3, 4), chosen=(4,)),
        Tie(stage=3, options=(1, 2, 3), drawn=(), chosen=(3,)),
        Tie(stage=4, options=(1, 2), drawn=(1, 2), chosen=(2,)),
    )


def test_lots_are_all_options_once() -> None:
    for wrong in ((), (0, 1, 2), (0, 1, 2, 2), (0, 1, 2, 4), (0, 1, 2, 3.0), (0, 1, 2, True)):
        for count in (count_irv, count_schulze, count_borda):
            with pytest.raises(ParameterError, match="lots are all 4 options"):
                count(TENNESSEE, lots=wrong)  # type: ignore[arg-type]
        with pytest.raises(ParameterError, match="lots are all 4 options"):
            count_scottish_stv(TENNESSEE, 2, lots=wrong)  # type: ignore[arg-type]
    assert count_irv(TENNESSEE, lots=np.arange(4).tolist()).lots == (0, 1, 2, 3)


@pytest.mark.parametrize("seats", [0, 5, -1, True, 1.0])
def test_seats(seats: Any) -> None:
    for count in (count_scottish_stv, count_schulze, count_borda):
        with pytest.raises(ParameterError, match="1 to 4 seats expected"):
            count(TENNESSEE, seats)
        count(TENNESSEE, 4)


def test_nobody_votes() -> None:
    nothing = Rankings(options=3, orders=((),), numbers=(7,))
    assert nothing.ballots == 0
    for count in every(nothing, 2, (2, 0, 1)).values():
        assert len(count.elected) == (1 if hasattr(count, "rounds") else 2)
        assert any(tie.drawn == (0, 1, 2) for tie in count.ties)
    assert count_scottish_stv(nothing, 2, lots=(2, 0, 1)).excluded == (2,)
    assert count_borda(nothing, 2, lots=(2, 0, 1)).elected == (2, 0)


# -- rankings ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"orders": ((0,), (0,))}, "order 1 occurs twice"),
        ({"orders": ((0,), (1, 1))}, "order 1: an option repeats"),
        ({"orders": ((0,), (3,))}, "order 1: options from 0 to 2"),
        ({"orders": ((0,), (-1,))}, "order 1: options from 0 to 2"),
        ({"orders": ((0,), (1.0,))}, "order 1: options from 0 to 2"),
        ({"numbers": (1, 0)}, "order 1: a number of ballots from 1"),
        ({"numbers": (1, True)}, "order 1: a number of ballots from 1"),
        ({"numbers": (1, MAX_BALLOTS)}, "ballots"),
        ({"numbers": (1,)}, "2 orders, 1 numbers"),
        ({"options": 0}, "options expected"),
        ({"options": 1001}, "options expected"),
    ],
)
def test_rankings_that_are_none(change: dict[str, Any], problem: str) -> None:
    good = Rankings(options=3, orders=((0,), (1, 2)), numbers=(1, 2))
    with pytest.raises(ParameterError, match=problem):
        replace(good, **change)


def test_alike_rankings_are_put_together() -> None:
    ranks = [[0, 1, 2], [1, 0, 0], [0, 1, 2], [0, 0, 0], [3, 1, 2]]
    given = group_rankings(ranks, [1, 2, 3, 4, 5])
    assert dict(given.items()) == {(1, 2): 4, (0,): 2, (): 4, (1, 2, 0): 5}
    assert given.ballots == 11
    assert dict(group_rankings(ranks).items()) == {(1, 2): 2, (0,): 1, (): 1, (1, 2, 0): 1}
    assert group_rankings(np.empty((0, 3), np.int64)).orders == ()
    with pytest.raises(ShapeMismatch):
        group_rankings([1, 2])
    with pytest.raises(ShapeMismatch):
        group_rankings(ranks, [1, 2])
    for weights in ([1, 1, 1, 1, 0], [1, 1, 1, 1, MAX_BALLOTS]):
        with pytest.raises(ParameterError, match="weights from 1"):
            group_rankings(ranks, weights)


# -- contests ------------------------------------------------------------------------------------


def contest(**fields: Any) -> Contest:
    names = ("ann", "bob", "eve")
    whole = {
        "id": "c",
        "title": "C",
        "options": tuple(Option(id=name, title=name) for name in names),
        "option_limit": 1,
        "minimum": 1,
        **fields,
    }
    return Contest(**whole)


LIMITED = contest(kind="limited", maximum=2, blank="counted")
NAMED = contest(kind="write-in", maximum=2, write_in=10, minimum=0)


def answers(of: Contest, marks: Any, **more: Any) -> ContestAnswers:
    """As they come out of a mix, through their messages."""
    packing = Packing((of,))
    given = {key: {"c": value} for key, value in more.items()}
    return packing.unpack(packing.pack({"c": marks}, **given))["c"]


def test_marks_are_added_up() -> None:
    marks = [[1, 0, 0], [0, 1, 1], [0, 0, 0], [1, 0, 1]]
    given = answers(LIMITED, marks, blanks=[0, 0, 1, 0])
    count = count_selections(given)
    assert (count.votes, count.undervotes, count.write_ins) == ((2, 1, 2), 1, ())
    assert count.undervotes == undervotes(LIMITED, marks, [0, 0, 1, 0]).sum()
    weighted = count_selections(given, [10, 20, 30, 40])
    assert (weighted.votes, weighted.undervotes) == ((50, 20, 60), 10)
    for wrong, error in (([1, 2], ShapeMismatch), ([1, 1, 1, 0], ParameterError)):
        with pytest.raises(error):
            count_selections(given, wrong)
    with pytest.raises(ParameterError, match="weights from 1"):
        count_selections(given, [1.0] * 4)


def test_sums_are_the_obvious_count() -> None:
    """A thousand elections of a few weighted ballots, written texts and blanks among them."""
    rng = np.random.default_rng(9)
    of = contest(kind="write-in", maximum=3, write_in=4, minimum=1, blank="counted")
    texts = ("", "", "Ann", "Bob", "\u00e9")
    for _ in range(PROFILES):
        papers = []
        for _ in range(rng.integers(0, 8)):
            marks, text = rng.integers(0, 2, 3).tolist(), texts[rng.integers(0, 5)]
            used = sum(marks) + bool(text)
            if 1 <= used <= 3:
                papers.append((marks, text, 0, int(rng.integers(1, 5))))
            elif not used:
                papers.append((marks, text, 1, int(rng.integers(1, 5))))
        if not papers:
            continue
        rows, written, bits, weights = map(list, zip(*papers, strict=True))
        count = count_selections(answers(of, rows, write_ins=written, blanks=bits), weights)
        votes = dict.fromkeys(range(3), 0)
        named: dict[str, int] = {}
        unused = 0
        for marks, text, blank, weight in papers:
            for option in range(3):
                votes[option] += weight * marks[option]
            if text:
                named[text] = named.get(text, 0) + weight
            if not blank:
                unused += weight * (3 - sum(marks) - len(text[:1]))
        assert count.votes == tuple(votes.values())
        assert dict(count.write_ins) == named
        assert [n for _, n in count.write_ins] == sorted(named.values(), reverse=True)
        assert count.undervotes == unused


def test_what_is_not_valid_does_not_count() -> None:
    good = Packing((LIMITED,)).pack({"c": [[1, 0, 0]]})
    bits = ["1110", "0000", "0001", "1001"]  # overvote, undervote, blank, malformed
    messages: list[bytes | None] = [*good, *(bytes([1, int(b, 2) << 4]) for b in bits), None]
    given = Packing((LIMITED,)).unpack(messages)["c"]
    count = count_contest(given)
    assert count.ballots == {
        Verdict.VALID: 1,
        Verdict.BLANK: 1,
        Verdict.OVERVOTE: 1,
        Verdict.UNDERVOTE: 1,
        Verdict.MALFORMED: 2,
    }
    assert count.outcome == count_selections(answers(LIMITED, [[1, 0, 0]]))


def test_written_texts_are_counted_as_written() -> None:
    marks = [[0, 0, 0], [1, 0, 0], [0, 0, 0], [0, 0, 0], [0, 1, 1]]
    given = answers(NAMED, marks, write_ins=["Zo\u00eb", "Max", "Zo\u00eb", "max", ""])
    count = count_selections(given, [1, 1, 1, 1, 5])
    assert count.write_ins == (("Zo\u00eb", 2), ("Max", 1), ("max", 1))
    assert (count.votes, count.undervotes) == ((1, 5, 5), 3)


def in_pieces(given: ContestAnswers, weights: list[int], size: int) -> ContestCounter:
    counter = ContestCounter(given.contest)
    for start in range(0, len(weights), size):
        part = slice(start, start + size)
        piece = replace(
            given,
            selections=given.selections[part],
            write_ins=given.write_ins[part],
            verdicts=given.verdicts[part],
        )
        counter.add(piece, weights[part])
    return counter


@pytest.mark.parametrize("size", [1, 2, 5])
def test_ballots_are_counted_in_batches(size: int) -> None:
    """As all together, whatever their contest; those of another one are refused."""
    weights = [1, 2, 3, 4, 5]
    marks = [[0, 0, 0], [1, 0, 0], [0, 0, 0], [0, 0, 0], [0, 1, 1]]
    named = answers(NAMED, marks, write_ins=["Zo\u00eb", "Max", "Zo\u00eb", "max", ""])
    blanks = answers(LIMITED, [[1, 0, 0], [0, 1, 1], [0, 0, 0]], blanks=[0, 0, 1])
    borda = Count(method="borda", seats=2)
    of = contest(kind="ranking", option_limit=3, maximum=3, minimum=0, count=borda)
    ranked, lots = answers(of, RANKS), (1, 0, 2)
    assert in_pieces(named, weights, size).finish() == count_contest(named, weights)
    assert in_pieces(blanks, weights[:3], size).finish() == count_contest(blanks, weights[:3])
    found = in_pieces(ranked, weights, size)
    assert found.finish(lots) == count_contest(ranked, weights, lots=lots)
    with pytest.raises(ParameterError, match="ballots of contest"):
        found.add(named, weights)
    with pytest.raises(ParameterError, match="weights"):
        found.add(ranked, [MAX_BALLOTS - 5, 1, 1, 1, 1])


def test_no_ballots_are_counted() -> None:
    count = ContestCounter(NAMED).finish()
    assert count == count_contest(answers(NAMED, np.zeros((0, 3), np.int64)))
    assert sum(count.ballots.values()) == 0


RANKS = [[1, 2, 3], [1, 2, 3], [0, 1, 0], [2, 0, 1], [0, 0, 0]]


@pytest.mark.parametrize("method", ["irv", "scottish-stv", "schulze", "borda"])
def test_contests_are_counted_by_their_method(method: Method) -> None:
    seats = 1 if method == "irv" else 2
    of = contest(
        kind="ranking",
        option_limit=3,
        maximum=3,
        minimum=0,
        count=Count(method=method, seats=seats),
    )
    given = rankings(3, (3, (0, 1, 2)), (3, (1,)), (4, (2, 0)))
    lots = (1, 0, 2)
    count = count_contest(answers(of, RANKS), [1, 2, 3, 4, 5], lots=lots)
    assert count.outcome == every(given, seats, lots)[method]
    assert count.ballots[Verdict.VALID] == 5
    with pytest.raises(ParameterError, match="rankings are not added up"):
        count_selections(answers(of, RANKS))


def test_lots_where_there_is_nothing_to_draw() -> None:
    with pytest.raises(ParameterError, match="contest 'c': no lots where marks are added up"):
        count_contest(answers(LIMITED, [[1, 0, 0]]), lots=(0, 1, 2))
    of = contest(kind="ranking", option_limit=3, maximum=3, count=Count(method="borda"), minimum=0)
    with pytest.raises(ParameterError, match="contest 'c': stage 1: the lot has to decide"):
        count_contest(answers(of, [[0, 0, 0]]))


# -- JSON ----------------------------------------------------------------------------------------


def counts() -> Iterator[tuple[Contest, dict[str, JSON]]]:
    """Of each kind of outcome one that has everything in it."""
    yield NAMED, count_contest(answers(NAMED, [[1, 0, 0]], write_ins=["Max"])).to_json()
    methods: tuple[Method, ...] = ("irv", "scottish-stv", "schulze", "borda")
    for method in methods:
        of = contest(
            kind="ranking",
            option_limit=3,
            maximum=3,
            minimum=0,
            count=Count(method=method, seats=1 if method == "irv" else 2),
        )
        ranks = [*[[1, 2, 0]] * 7, [0, 2, 1], [0, 0, 1], [0, 1, 2], [0, 1, 2]]
        yield of, count_contest(answers(of, ranks), lots=(2, 1, 0)).to_json()
        tied = [[1, 0, 0], [0, 1, 0], [0, 0, 1]]
        yield of, count_contest(answers(of, tied), lots=(2, 1, 0)).to_json()


@pytest.mark.parametrize(("of", "value"), list(counts()))
def test_counts_are_read_back(of: Contest, value: dict[str, JSON]) -> None:
    read = read_contest_count(Fields(parse_json(canonical_json(value)), "$"), of)
    assert read.to_json() == value


def test_every_count_of_a_profile_is_read_back() -> None:
    options = tuple(Option(id=f"o{i}", title=f"O{i}") for i in range(5))
    of = contest(
        kind="ranking",
        option_limit=5,
        maximum=5,
        options=options,
        count=Count(method="irv"),
    )
    for given, seats, lots in itertools.islice(profiles(7), 200):
        if given.options != 5:
            continue
        for name, count in every(given, seats, lots).items():
            method: Any = name
            one = replace(of, count=Count(method=method, seats=1 if name == "irv" else seats))
            numbers: dict[str, JSON] = {verdict.name.lower(): 0 for verdict in Verdict}
            value: dict[str, JSON] = {"id": "c", "ballots": numbers, "count": count.to_json()}
            read = read_contest_count(Fields(parse_json(canonical_json(value)), "$"), one)
            assert read.outcome == count


def objects(value: JSON, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    if isinstance(value, dict):
        yield path
    items = value.items() if isinstance(value, dict) else enumerate(value)  # type: ignore[arg-type]
    for key, inner in items:
        if isinstance(inner, dict | list):
            yield from objects(inner, (*path, key))


def at(value: Any, path: Sequence[str | int]) -> Any:
    for step in path:
        value = value[step]
    return value


@pytest.mark.parametrize(("of", "value"), list(counts()))
def test_counts_are_read_strictly(of: Contest, value: dict[str, JSON]) -> None:
    """A field more or less, and anything else in the place of any value."""
    data = canonical_json(value)
    for path in objects(value):
        for key in ["colour", *at(value, path)]:
            root: Any = parse_json(data)
            here = at(root, path)
            if key == "colour":
                here["colour"] = "red"
            elif key in ("lots", "write_ins", "excluded"):
                here[key] = "none"  # they may be missing
            else:
                del here[key]
            with pytest.raises(DecodingError):
                read_contest_count(Fields(root, "$"), of)
            if key != "colour":
                for other in (-1, "\n", None, [[-1]]):
                    root = parse_json(data)
                    at(root, path)[key] = other
                    with pytest.raises(DecodingError):
                        read_contest_count(Fields(root, "$"), of)


WRONG: list[tuple[int, tuple[str | int, ...], JSON, str]] = [
    (0, ("id",), "d", "$.id"),
    (0, ("count", "votes"), [1, 2], "$.count.votes"),
    (0, ("count", "write_ins", 0, "text"), "12345678901", "$.count.write_ins[0].text"),
    (0, ("count", "write_ins", 0, "votes"), 0, "$.count.write_ins[0].votes"),
    (0, ("ballots", "blank"), 2**40, "$.ballots.blank"),
    (1, ("count", "elected"), [3], "$.count.elected"),
    (1, ("count", "elected"), [1, 1], "$.count.elected"),
    (1, ("count", "rounds", 0, "votes"), [1, 2, 3, 4], "$.count.rounds[0].votes"),
    (3, ("count", "stages", 0, "action"), "transfer", "$.count.stages[0].action"),
    (3, ("count", "stages", 0, "votes"), ["1.00000"], "$.count.stages[0].votes"),
    (3, ("count", "stages", 0, "votes", 1), "1.0000", "$.count.stages[0].votes[1]"),
    (3, ("count", "stages", 0, "votes", 1), "01.00000", "$.count.stages[0].votes[1]"),
    (3, ("count", "stages", 0, "non_transferable"), 0, "$.count.stages[0].non_transferable"),
    (3, ("count", "lots"), [0, 1], "$.count.lots"),
    (5, ("count", "paths"), [[0, 0, 0]], "$.count.paths"),
    (5, ("count", "paths", 1), [0, 0], "$.count.paths"),
    (5, ("count", "preferred", 1, 0), -1, "$.count.preferred[1]"),
    (5, ("count", "levels"), [[0], [1]], "$.count.levels"),
    (5, ("count", "levels"), [[0], [1, 1]], "$.count.levels[1]"),
    (7, ("count", "points"), [1], "$.count.points"),
]


@pytest.mark.parametrize(("which", "path", "value", "place"), WRONG)
def test_reader_names_the_place(
    which: int, path: tuple[str | int, ...], value: JSON, place: str
) -> None:
    of, good = list(counts())[which]
    root: Any = parse_json(canonical_json(good))
    at(root, path[:-1])[path[-1]] = value
    with pytest.raises(DecodingError) as caught:
        read_contest_count(Fields(root, "$"), of)
    assert caught.value.where == place


def test_what_voters_write_in_cannot_make_a_result_unreadable() -> None:
    """6,000 texts of 190 commas each: more bytes that look like values than JSON may have."""
    of = replace(NAMED, write_in=200)
    texts = [f"{i:06d}" + "," * 190 for i in range(6000)]
    given = answers(of, [[0, 0, 0]] * len(texts), write_ins=texts)
    count = count_contest(given)
    data = canonical_json(count.to_json())
    assert read_contest_count(Fields(parse_json(data), "$"), of) == count
