"""Every byte of a small record, and every file: whatever is changed, the audit refuses it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from evote.testing import tamper
from evote.verify import Report, audit
from tests.memory import Memory
from tests.records import make_tiny, make_tiny_mixed

NAMES = [  # of all files; the last test says that there are no others
    "ballots/000.jsonl",
    "board/checkpoint",
    "board/tile/0/000.p/9",
    "board/tile/entries/000.p/9",
    "ceremony/commit-001.json",
    "ceremony/confirm-001.json",
    "ceremony/reveal-001.json",
    "manifest.json",
    "result.json",
    "roll/roll.json",
    "roll/rows/000.jsonl",
    "shares/001.json",
    "tally.json",
]
MIXED = {  # what is different where ballots are mixed, and of which byte every how many is flipped
    "ballots/000.jsonl": 19,
    "board/tile/0/000.p/7": 13,
    "board/tile/entries/000.p/7": 29,
    "manifest.json": 29,
    "mixes/000/01.json": 11,
    "result.json": 7,
    "shares/001.json": 19,
    "tally.json": 7,
}
COMPARED = 199  # every so many records are audited from nothing too


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished election of one voter: spoiled and opened, cast, and cast again."""
    return make_tiny(tmp_path_factory.mktemp("tiny")).path


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished election of two voters, whose ballots are mixed by one server."""
    return make_tiny_mixed(tmp_path_factory.mktemp("mixed")).path


@pytest.fixture(scope="module")
def memory() -> Iterator[Memory]:
    with pytest.MonkeyPatch.context() as patch:
        yield Memory(patch)


def check_refused(report: Report, *names: str) -> None:
    """Refused, by a check that names one of the files; and nothing broke on the way."""
    assert report.exit_code in (1, 4), f"{report.verdict}, although {names} changed"
    details = "\n".join(finding.detail for finding in report.failures())
    assert any(name in details for name in names), details
    assert "internal error" not in details


@pytest.mark.parametrize("name", NAMES)
def test_every_flipped_byte_is_refused(record: Path, memory: Memory, name: str) -> None:
    path = record / name
    data = path.read_bytes()
    for position, changed in tamper.each_byte(data):
        path.write_bytes(changed)
        report = audit(record)
        check_refused(report, name)
        if position % COMPARED == 0:
            with memory.forgotten():
                assert audit(record).to_json() == report.to_json()
    path.write_bytes(data)
    assert audit(record).ok


@pytest.mark.parametrize("mask", [0x20, 0x80])
def test_flips_of_other_bits(record: Path, memory: Memory, mask: int) -> None:
    """The case of letters, and bytes beyond ASCII: some of every file."""
    for name in NAMES:
        path = record / name
        data = path.read_bytes()
        for position, changed in tamper.each_byte(data, mask):
            if position % 23 == 7:
                path.write_bytes(changed)
                check_refused(audit(record), name)
        path.write_bytes(data)
    assert audit(record).ok


@pytest.mark.parametrize("name", MIXED)
def test_flipped_bytes_of_mixed_elections(mixed: Path, memory: Memory, name: str) -> None:
    path = mixed / name
    data = path.read_bytes()
    for position, changed in tamper.each_byte(data):
        if position % MIXED[name] == 0:
            path.write_bytes(changed)
            check_refused(audit(mixed), name)
    path.write_bytes(data)
    assert audit(mixed).ok


def test_every_file_missing_cut_renamed_or_exchanged(record: Path, memory: Memory) -> None:
    check_listings(record, sorted(NAMES))


def test_files_of_mixed_elections_missing_cut_renamed_or_exchanged(
    mixed: Path, memory: Memory
) -> None:
    check_listings(mixed, sorted({n for n in NAMES if "tile" not in n} | set(MIXED)))


def check_listings(record: Path, expected: list[str]) -> None:
    """Whatever befalls whole files is refused."""
    files = tamper.read_files(record)
    assert sorted(files) == expected
    tried = 0
    for what, names, changed in tamper.each_listing(files):
        tamper.write_files(record, changed)
        report = audit(record)
        tried += 1
        if what == "missing" and names[0].startswith("board/tile/0/"):
            assert report.ok, "records of earlier versions have no hash tiles"
            continue
        if what == "missing" and names == ("manifest.json",):
            assert report.exit_code == 4
        check_refused(report, *names)
    assert tried == 9 * len(files) + len(files) * (len(files) - 1) // 2
    tamper.write_files(record, files)
    assert audit(record).ok


def test_hash_tiles_that_contradict_the_entries_fail_their_own_check(
    record: Path, memory: Memory
) -> None:
    """And nothing else; a record without any is complete, and the check has no object."""
    path = record / "board/tile/0/000.p/9"
    data = path.read_bytes()
    assert {f.check: f.checked for f in audit(record).findings}["board.tiles"] == 1
    for wrong in (bytes(len(data)), data[32:] + data[:32]):
        path.write_bytes(wrong)
        report = audit(record)
        assert [finding.check for finding in report.failures()] == ["board.tiles"]
        assert report.exit_code == 1
    path.unlink()
    path.parent.rmdir()
    path.parent.parent.rmdir()
    report = audit(record)
    assert report.ok
    [finding] = [finding for finding in report.findings if finding.check == "board.tiles"]
    assert finding.outcome == "not applicable"
    path.parent.mkdir(parents=True)
    path.write_bytes(data)
    assert audit(record).ok
