"""Every ballot's fate and cause, as people ask for them; and what a record shows of voters."""

from __future__ import annotations

import csv
import io
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from evote import cli, workflow
from evote._privacy import check_units, privacy_notices
from evote._report import Notice
from evote.board import ENTRIES, encode_receipt
from evote.credentials import Roll, RollRow, make_roll, read_roll
from evote.election import Districts, Manifest
from evote.encoding import digest
from evote.errors import DecodingError, EvoteError, VerificationError
from evote.fates import reckon
from evote.policies import Counts, Fate
from evote.record import Record
from evote.testing import tamper
from evote.verify import audit
from tests.records import (
    MIXED,
    PASSPHRASE,
    Made,
    found,
    make_operators,
    make_ruled,
)


@pytest.fixture(scope="module", name="made")
def make_made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return make_ruled(tmp_path_factory.mktemp("fates"))


EXPECTED = [  # entry, fate, cause, reason
    (2, "superseded", 4, ""),
    (3, "spoiled", 13, ""),
    (4, "counted", None, ""),
    (5, "struck", 14, "voted-on-paper"),
    (6, "counted", None, ""),
    (7, "counted", None, ""),
    (8, "counted", None, ""),
    (9, "counted", None, ""),
    (10, "unconfirmed", None, ""),
    (11, "counted", None, ""),
]
WORDS = {
    2: "does not count: superseded by entry 4",
    3: "does not count: spoiled, opened by entry 13",
    4: "counts",
    5: "does not count: struck by entry 14, voted-on-paper",
    10: "does not count: the voter is provisional and not confirmed",
}


def run(*words: object) -> int:
    with pytest.raises(SystemExit) as leaving:
        cli.main([str(word) for word in words])
    assert isinstance(leaving.value.code, int)
    return leaving.value.code


def test_every_ballot_has_its_fate_and_cause(made: Made) -> None:
    reckoning = reckon(made.path)
    rows = [
        (b.entry, b.fate.name.lower(), b.cause, b.reason, b.tracker) for b in reckoning.ballots()
    ]
    assert [row[:4] for row in rows] == EXPECTED
    assert [row[4] for row in rows] == [ballot.tracker for ballot in made.ballots]
    for entry, words in WORDS.items():
        assert str(reckoning.entry(entry)) == words
    for no_ballot in (0, 1, 12, 19, 20, 99):
        assert reckoning.entry(no_ballot) is None
    assert (reckoning.rulings, reckoning.seal, reckoning.size) == (4, 16, 20)


def test_counts_close_and_add_up(made: Made) -> None:
    """attacks: F5. In each district and style, and all together."""
    reckoning = reckon(made.path)
    for row in reckoning.counts():
        assert row.submitted == row.cast + row.spoiled
        assert row.cast == row.counted + row.superseded + row.struck + row.unconfirmed
        assert row.counted <= row.weight
    for name in ("counted", "superseded", "spoiled", "struck", "unconfirmed"):
        total = sum(getattr(row, name) for row in reckoning.counts())
        assert total == getattr(reckoning.fates, name)
    assert reckoning.counts() == audit(made.path).counts
    assert reckoning.counts()[0] == Counts(
        district="islet",
        style="both",
        voters=1,
        submitted=1,
        spoiled=0,
        counted=1,
        superseded=0,
        struck=0,
        unconfirmed=0,
        weight=1,
    )


def test_trackers_as_people_type_them(made: Made) -> None:
    """attacks: C10"""
    reckoning = reckon(made.path)
    tracker = made.ballots[0].tracker
    for typed in (tracker, tracker.lower(), tracker.replace("-", " "), tracker.replace("1", "I")):
        [ballot] = reckoning.tracked(typed)
        assert (ballot.entry, ballot.fate) == (2, Fate.SUPERSEDED)
    last = "Z" if tracker[-1] != "Z" else "Y"
    assert reckoning.tracked(tracker[:-1] + last) == []
    for wrong in ("", tracker[:-1], tracker + "A", "U" + tracker[1:], "\x1b[2J"):
        with pytest.raises(DecodingError, match="a tracker has 20"):
            reckoning.tracked(wrong)


def test_the_tracker_command(made: Made, capsys: pytest.CaptureFixture[str]) -> None:
    for ballot, (entry, *_) in zip(made.ballots, EXPECTED, strict=True):
        assert run("tracker", ballot.tracker, made.path) == 0
        told = capsys.readouterr().out
        assert f"entry {entry}: {WORDS.get(entry, 'counts')}\n" in told
        assert "sealed by entry 16" in told
    assert run("tracker", "00000-00000-00000-00000", made.path) == 1
    assert "not among the 10 ballots" in capsys.readouterr().out
    assert run("tracker", "mistyped", made.path) == 2


def test_the_lists(made: Made, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("board", "fates", made.path) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    expected = [(str(e), f, "" if c is None else str(c), r) for e, f, c, r in EXPECTED]
    assert [(row["entry"], row["fate"], row["cause"], row["reason"]) for row in rows] == expected
    assert run("board", "fates", made.path, "--format", "json") == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(x["entry"], x["fate"], x["cause"], x["reason"]) for x in lines] == EXPECTED
    assert run("board", "counts", made.path) == 0
    text = capsys.readouterr().out
    assert re.search(r"^all +8 +10 +1 +9 +6 +1 +1 +1 +8$", text, re.M)
    assert "voting ends, as announced, at 2030-03-17T18:46:40Z" in text
    assert run("board", "counts", made.path, "--format", "csv") == 0
    assert len(list(csv.DictReader(io.StringIO(capsys.readouterr().out)))) == 4


def test_a_receipt_is_told_its_fate(
    made: Made, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with workflow.open_ballot_box(made.path, made.board, PASSPHRASE) as box:
        for entry, words in WORDS.items():
            path = tmp_path / f"{entry}.json"
            path.write_bytes(encode_receipt(box.board.receipt(entry)))
            assert run("ballot", "check", made.path, path) == 0
            assert words in capsys.readouterr().out


def test_no_fate_is_told_of_a_damaged_log(made: Made, tmp_path: Path) -> None:
    """attacks: F4, F8. Every file of the log changed in one byte, and none at all."""
    files = tamper.read_files(made.path)
    record = tmp_path / "record"
    tamper.write_files(record, files)
    assert len(list(reckon(record).ballots())) == 10
    [bundle] = [name for name in files if name.startswith(ENTRIES)]
    for name in (bundle, "board/checkpoint", "roll/rows/000.jsonl", "roll/roll.json"):
        data = files[name]
        for place in range(0, len(data), 97):
            forged = data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]
            (record / name).write_bytes(forged)
            with pytest.raises(EvoteError):
                reckon(record)
        (record / name).unlink()
        with pytest.raises(EvoteError):
            reckon(record)
        (record / name).write_bytes(data)


# -- what a record shows of voters ----------------------------------------------------------------


def roll_of(manifest: Manifest, *kinds: tuple[str, str, int, int]) -> Roll:
    """So many voters of each style, district and weight."""
    rows = [
        RollRow(
            credential=digest("test", f"{kind} {i}".encode()),
            style=kind[0],
            district=kind[1],
            weight=kind[2],
        )
        for kind in kinds
        for i in range(kind[3])
    ]
    encoded = make_roll(bytes(32), rows)[1]
    return read_roll(encoded, [s.id for s in manifest.styles], check_keys=False)


def notices(manifest: Manifest, roll: Roll, rows: list[int] | None = None) -> dict[str, str]:
    counted = np.arange(len(roll)) if rows is None else np.array(rows, dtype=np.int64)
    return dict(privacy_notices(manifest, roll, counted))


def test_notices(made: Made) -> None:
    """attacks: C7. Small sums, weights and voters that are alone; each with its honest twin."""
    manifest = replace(Record(made.path).manifest, districts=None)
    large = roll_of(manifest, ("both", "north", 1, 40), ("half", "south", 2, 40))
    assert notices(manifest, large) == {}
    few = roll_of(manifest, ("both", "north", 1, 29), ("half", "south", 2, 40))
    assert notices(manifest, few) == {"small-unit": "fewer than 30 ballots in a sum: contest a: 29"}
    alone = roll_of(manifest, ("both", "north", 1, 40), ("half", "south", 2, 1))
    assert notices(manifest, alone) == {
        "unique-weight": "of one voter alone: weight 2",
        "unique-voter": "one voter alone: style half, district south, weight 2",
    }
    islet = roll_of(manifest, ("both", "north", 1, 40), ("both", "islet", 1, 1))
    assert set(notices(manifest, islet)) == {"unique-voter"}
    by_district = replace(manifest, districts=Districts(min_unit=3, small_units_accepted=True))
    told = notices(by_district, islet)["small-unit"]
    assert (
        told == "fewer than 3 ballots in a sum: contest bridge in islet: 1; contest a in islet: 1"
    )
    merged = replace(by_district, districts=Districts(min_unit=3))
    assert "small-unit" not in notices(merged, islet)
    nobody = notices(merged, islet, [0, 1])["small-unit"]
    assert "2 ballots, and the manifest lets no fewer than 3 be decrypted together" in nobody


def test_patterns(tmp_path: Path) -> None:
    """attacks: C16. Seven ways to fill in a paper: seven voters are enough, and six are not."""
    manifest = Record(found(tmp_path, MIXED, make_operators(tmp_path, MIXED)).path).manifest
    roll = roll_of(manifest, ("town", "all", 1, 7))

    def told(rows: int) -> list[str]:
        found_all = privacy_notices(manifest, roll, np.arange(rows))
        return [notice.detail for notice in found_all if notice.id == "patterns"]

    assert re.match(r"pack papers: 2\^\d+ or more ways .* the 7 papers", told(7)[0])
    assert len(told(7)) == 1
    assert told(6)[1].startswith("pack board: 7 ways to fill in the 6 papers")
    assert told(0) == []


def test_reports_have_notices(made: Made) -> None:
    report = audit(made.path)
    lonely = "one voter alone: style both, district islet, weight 1"
    assert report.notices == (Notice("unique-voter", lonely),)
    assert report.ok
    assert "; warnings: unique-voter" in report.verdict
    assert f"warning         unique-voter            {lonely}" in report.to_text()
    assert json.loads(report.to_json())["warnings"] == [{"id": "unique-voter", "detail": lonely}]


def test_an_election_that_cannot_be_tallied_is_told_early(made: Made) -> None:
    manifest = Record(made.path).manifest
    three = replace(manifest, districts=Districts(min_unit=3))
    check_units(three, roll_of(three, ("both", "north", 1, 2), ("both", "south", 1, 1)))
    with pytest.raises(VerificationError, match="contest 'bridge': 2 ballots"):
        check_units(three, roll_of(three, ("both", "north", 1, 1), ("both", "south", 1, 1)))
    accepted = replace(three, districts=Districts(min_unit=3, small_units_accepted=True))
    check_units(accepted, roll_of(accepted, ("both", "north", 1, 1)))
