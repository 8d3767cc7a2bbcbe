"""Turnout: outliers against the roll, against observers and against the other districts."""

from __future__ import annotations

import shutil
import xml.etree.ElementTree as ET
from fractions import Fraction
from math import comb, inf, log10
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evote import cli
from evote.board import ENTRIES
from evote.errors import ParameterError, VerificationError
from evote.turnout import (
    Count,
    District,
    binomial_tail,
    draw_districts,
    draw_histogram,
    find_outliers,
    read_counts,
    turnout,
    with_counts,
)
from evote.workflow import RollLine
from tests.records import Made, Plan, cast, make_ready, marks, open_small

VOTERS = (
    RollLine(style="all", district="north", count=3),
    RollLine(style="all", district="south", count=4),
)


@pytest.fixture(scope="module", name="made")
def make_made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """Of the north two have voted, one of them twice; of the south one, and one has spoiled."""
    made = make_ready(tmp_path_factory.mktemp("turnout"), Plan(voters=VOTERS))
    open_small(made)
    yes = marks(1, 0)
    cast(made, [(i, yes, "cast") for i in (0, 1, 1, 3)] + [(4, yes, "spoil")])
    return made


def honest(n: int = 40) -> list[District]:
    """Districts whose turnouts differ by a little, as those of people do."""
    return [
        District(id=f"d{i:02d}", registered=1500 + 10 * i, voted=640 + (37 * i) % 60)
        for i in range(n)
    ]


def rules(districts: list[District]) -> list[tuple[str, str]]:
    return [(outlier.district, outlier.rule) for outlier in find_outliers(districts)]


# -- from the record -----------------------------------------------------------------------------


def test_turnout_of_a_record(made: Made) -> None:
    """Once for each voter who has cast a ballot, in districts in their order."""
    assert turnout(made.path) == [
        District(id="north", registered=3, voted=2),
        District(id="south", registered=4, voted=1),
    ]


def test_a_record_that_does_not_verify_has_no_turnout(made: Made, tmp_path: Path) -> None:
    record = tmp_path / "record"
    shutil.copytree(made.path, record)
    [tile] = (record / ENTRIES).rglob("*/[0-9]*")
    tile.write_bytes(tile.read_bytes().replace(b'"cast"', b'"cost"', 1))
    with pytest.raises(VerificationError):
        turnout(record)


# -- outliers ------------------------------------------------------------------------------------


def test_2017() -> None:
    """Observers counted 256 voters, the protocol said 1867; elsewhere they agreed."""
    districts = honest()
    counts = {d.id: Count(seen=d.voted) for d in districts}
    assert rules(with_counts(districts, counts)) == []
    stuffed = District(id="d99", registered=2342, voted=1867)
    named = find_outliers(with_counts([*districts, stuffed], counts | {"d99": Count(seen=256)}))
    assert [(outlier.district, outlier.rule) for outlier in named] == [
        ("d99", "observers"),
        ("d99", "unusual"),
    ]
    assert named[0].reason == "1867 voted by the record, observers saw 256"
    assert named[1].reason.startswith("1867 of 2342 voted, 79.7 percent, elsewhere 39.")
    partly = with_counts([*districts, stuffed], {"d99": Count(seen=256, coverage=90)})
    [seen, _] = find_outliers(partly)
    assert seen.reason.startswith(
        "1867 voted by the record, observers saw 256 at 90 percent; by chance less than 1 in 10^1"
    )


def test_more_ballots_than_the_roll() -> None:
    districts = [*honest(), District(id="d99", registered=1000, voted=1001)]
    [outlier] = [o for o in find_outliers(districts) if o.rule == "stuffed"]
    assert outlier.district == "d99"
    assert outlier.reason == "1001 voted, 1000 are on the roll"
    assert rules([*honest(), District(id="d99", registered=1000, voted=430)]) == []


def test_ballots_that_are_missing() -> None:
    district = District(id="a", registered=1000, voted=400, observed=Count(seen=401, coverage=50))
    [outlier] = find_outliers([district])
    assert (outlier.rule, outlier.reason) == (
        "missing",
        "400 voted by the record, observers saw 401",
    )
    fewer = District(id="a", registered=1000, voted=400, observed=Count(seen=190, coverage=50))
    assert find_outliers([fewer]) == []


def test_observers_who_see_a_share() -> None:
    """Near their share nothing is named; a few standard deviations below, the district is."""
    for seen, named in ((900, False), (870, False), (850, True), (0, True)):
        observed = Count(seen=seen, coverage=90)
        district = District(id="a", registered=1500, voted=1000, observed=observed)
        assert bool(find_outliers([district])) == named, seen


def test_the_correction_for_many_districts() -> None:
    """What is an outlier alone is none among a thousand, of which some always are."""
    few = District(id="few", registered=1500, voted=1000, observed=Count(seen=866, coverage=90))
    assert rules([few]) == [("few", "observers")]
    many = [
        District(id=f"d{i}", registered=1500, voted=1000, observed=Count(seen=900, coverage=90))
        for i in range(1000)
    ]
    assert rules([*many, few]) == []
    far = District(id="far", registered=1500, voted=1000, observed=Count(seen=830, coverage=90))
    assert rules([*many, far]) == [("far", "observers")]


def test_one_district_and_none() -> None:
    assert find_outliers([]) == []
    assert rules([District(id="a", registered=10, voted=10)]) == []
    assert rules([District(id="a", registered=0, voted=0), *honest(3)]) == []


# -- the binomial distribution -------------------------------------------------------------------


@given(st.integers(0, 60), st.integers(0, 60), st.integers(1, 99))
def test_the_tail_is_the_binomial_distributions(n: int, k: int, percent: int) -> None:
    p = Fraction(percent, 100)
    exact = sum(comb(n, i) * p**i * (1 - p) ** (n - i) for i in range(min(k, n) + 1))
    if k >= n * p:
        assert binomial_tail(n, k, p) == 0.0
        assert exact >= Fraction(1, 4), "what is not small is not needed"
    else:
        assert binomial_tail(n, k, p) == pytest.approx(log10(exact), abs=1e-9)


def test_tails_that_no_float_holds() -> None:
    """log10 of the tail of 2017, from integers."""
    exact = sum(comb(1867, i) * 95**i * 5 ** (1867 - i) for i in range(257))
    digits = len(str(exact)) - 2 * 1867
    assert binomial_tail(1867, 256, Fraction(95, 100)) == pytest.approx(digits, abs=1)
    assert digits < -1500
    assert binomial_tail(10, 9, Fraction(1)) == -inf
    assert binomial_tail(2_000_000, 1_000_000, Fraction(9, 10)) < -400_000


# -- files ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "the columns are district, seen, coverage"),
        ("district\nnorth\n", "the columns are"),
        ("district,seen,who\nnorth,1,me\n", "the columns are"),
        ("district,seen\nnorth,-1\n", "line 2: seen: a whole number"),
        ("district,seen\nnorth,\n", "line 2: seen: a whole number"),
        ("district,seen\nnorth,1.5\n", "line 2: seen: a whole number"),
        ("district,seen\nnorth,\u0661\n", "line 2: seen: a whole number"),
        ("district,seen\nNorth,1\n", "line 2: an identifier"),
        ("district,seen\nnorth,1\nnorth,2\n", "line 3: a second count of north"),
        ("district,seen,coverage\nnorth,1,0\n", "line 2: a count is not negative, and a coverage"),
        ("district,seen,coverage\nnorth,1,101\n", "line 2: a count is not negative"),
        ("district,seen\nnorth\n", "line 2: 2 fields expected, got 1"),
    ],
)
def test_wrong_counts(tmp_path: Path, text: str, reason: str) -> None:
    path = tmp_path / "counts.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ParameterError, match=rf"counts\.csv: {reason}"):
        read_counts(path)


def test_counts(tmp_path: Path) -> None:
    path = tmp_path / "counts.csv"
    path.write_text("district,seen,coverage\nnorth,7,\nsouth,0,80\n", encoding="utf-8")
    counts = read_counts(path)
    assert counts == {"north": Count(seen=7), "south": Count(seen=0, coverage=80)}
    with pytest.raises(ParameterError, match="'north', which is no district"):
        with_counts(honest(), counts)


def test_charts_are_the_same_each_time_and_well_formed() -> None:
    """attacks: G7. A title with markup is text."""
    districts = with_counts(honest(5), {"d01": Count(seen=3)})
    outliers = find_outliers(districts)
    title = '<script>alert("1")</script> & more'
    twice = [
        (draw_districts(districts, outliers, title), draw_histogram(districts, title))
        for _ in range(2)
    ]
    assert twice[0] == twice[1]
    for chart in twice[0]:
        root = ET.fromstring(chart)
        texts = [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]
        assert texts[0] == title
        assert not list(root.iter("{http://www.w3.org/2000/svg}script"))
    shown = draw_districts(districts, outliers, title).decode()
    assert shown.count('class="bad"') == 1
    assert "3 seen by observers" in shown
    assert draw_districts([], [], "none").startswith(b"<svg")


def test_a_chart_of_very_many_districts_has_the_outliers() -> None:
    districts = [*honest(2000), District(id="full", registered=1000, voted=1000)]
    outliers = find_outliers(districts)
    shown = draw_districts(districts, outliers, "many").decode()
    assert shown.count(">full<") == 1
    assert shown.count('class="r"') == len({outlier.district for outlier in outliers})


def test_the_command(made: Made, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 1 and the district named; 0 where observers saw what the record has."""
    counts, chart = tmp_path / "counts.csv", tmp_path / "chart.svg"

    def run(text: str) -> tuple[int, str]:
        counts.write_text(f"district,seen\n{text}", encoding="utf-8")
        arguments = [str(made.path), "--observers", str(counts), "--chart", str(chart)]
        with pytest.raises(SystemExit) as leaving:
            cli.main(["turnout", *arguments, "--jobs", "1", "--quiet"])
        assert isinstance(leaving.value.code, int)
        return leaving.value.code, capsys.readouterr().out

    code, said = run("north,2\nsouth,1\n")
    assert code == 0
    assert said.splitlines()[1].split() == ["north", "3", "2", "2"]
    before = chart.read_bytes()
    code, said = run("north,1\nsouth,1\n")
    assert code == 1
    assert said.splitlines()[-1] == "observers: north: 2 voted by the record, observers saw 1"
    assert chart.read_bytes() != before
    assert run("west,1\n")[0] == 2
