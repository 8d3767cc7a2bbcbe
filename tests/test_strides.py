"""Logs read many bundles at a time: the same findings, in the same order, as bundle by bundle."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evote import record as record_module
from evote._audit_log import LogSummary, bundle_digest, read_log
from evote._forms import Strings, to_rows
from evote._report import Ledger
from evote.board import (
    BOARD,
    BUNDLE,
    BallotEntry,
    Checkpoint,
    NoteSigner,
    Open,
    Seal,
    TileEdge,
    bundle_path,
    encode_bundle,
    encode_entry,
    leaf_hashes,
    merkle_root,
    sign_checkpoint,
    tile_paths,
)
from evote.credentials import RollRow, make_roll, read_roll
from evote.election import encode_manifest
from evote.errors import DecodingError, EvoteError
from evote.operators import draw_operator
from evote.record import CHECKPOINT, MANIFEST, Record, Survey
from tests.test_election import GOOD

_BOARD = draw_operator("board", "board")
_MANIFEST = replace(GOOD, board=_BOARD.card, spoil="forbidden")
_VOTER, _STRANGER = b"\1" * 32, b"\2" * 32
_ROLL = read_roll(
    make_roll(bytes(32), [RollRow(credential=_VOTER, style="all")])[1], ["all"], check_keys=False
)
_LENGTH = 7 * BUNDLE + 20


def ballot(number: int, action: str = "cast", credential: bytes = _VOTER) -> bytes:
    digest = number.to_bytes(32, "big")
    assert action in ("cast", "spoil")
    entry = BallotEntry(
        action="cast" if action == "cast" else "spoil",
        credential=credential,
        digest=digest,
        signature=bytes(64),
    )
    return encode_entry(entry)


_OPEN = encode_entry(Open(election=bytes(32), manifest=bytes(32), signatures=()))
_SEAL = encode_entry(
    Seal(
        cast=1,
        spoiled=0,
        counted=1,
        superseded=0,
        digest=bytes(32),
        signatures=(),
    )
)
_LOG = [_OPEN, *(ballot(i) for i in range(1, _LENGTH))]
_ODD: dict[str, Callable[[int], bytes]] = {  # what may stand where a ballot is expected
    "spoiled": lambda i: ballot(i, "spoil"),
    "stranger": lambda i: ballot(i, credential=_STRANGER),
    "submitted before": lambda i: ballot(2),
    "seal": lambda i: _SEAL,
    "open": lambda i: _OPEN,
    "no entry": lambda i: b"{}",
    "no entry of this length": lambda i: b"?" * len(_LOG[1]),
    "empty": lambda i: b"",
}
_BORDERS = [
    n * BUNDLE + place for n in range(8) for place in (-1, 0, 1, 100) if n * BUNDLE + place > 0
]
_ODDITIES = st.dictionaries(
    st.one_of(st.sampled_from(_BORDERS), st.integers(1, _LENGTH - 1)),
    st.sampled_from(sorted(_ODD)),
    max_size=3,
)
_SIZES = st.sampled_from([1, 2, 255, 256, 257, 512, 768, 769, 1024, 1025, 1536, 1792, _LENGTH])


def write_log(path: Path, entries: list[bytes]) -> None:
    """A record that is nothing but a log, with its tiles."""
    (path / MANIFEST).write_bytes(encode_manifest(_MANIFEST))
    files = {
        bundle_path(first // BUNDLE, len(some)): encode_bundle(some)
        for first in range(0, len(entries), BUNDLE)
        if (some := entries[first : first + BUNDLE])
    }
    wanted = set(tile_paths(len(entries)))
    for name, data in TileEdge().extend(leaf_hashes(entries)):
        if name in wanted:
            files[BOARD + name] = data
    head = Checkpoint(origin=_MANIFEST.origin, size=len(entries), root=merkle_root(entries))
    signer = NoteSigner(key=_MANIFEST.log_key, sign=_BOARD.sign_note)
    files[CHECKPOINT] = sign_checkpoint(head, signer)
    for name, data in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(data)


def seen(path: Path, bundles: int) -> tuple[object, ...]:
    """What survey, first pass and iteration make of a record, read so many bundles at a time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(record_module, "_STRIDE", bundles)
        record, ledger = Record(path), Ledger("finished", ())
        survey: Survey | str
        try:
            survey = record.survey()
        except EvoteError as error:
            survey = repr(error)
        log = read_log(ledger, record, _MANIFEST, _ROLL, record.checkpoint(), (), bytes(32))
        return survey, ledger.findings(), *summary(log)


def summary(log: LogSummary) -> Iterator[object]:
    for name in LogSummary.__slots__:
        value = getattr(log, name)
        yield (name, value if name != "fates" or value is None else value.digest)


def assert_same_by_strides(path: Path) -> tuple[object, ...]:
    alone, *others = (seen(path, bundles) for bundles in (1, 2, 3, 16))
    for other in others:
        assert other == alone
    return alone


@settings(deadline=None, max_examples=60)
@given(_ODDITIES, _SIZES)
def test_the_same_of_any_log(oddities: dict[int, str], size: int) -> None:
    entries = [
        _ODD[oddities[i]](i) if i in oddities else data for i, data in enumerate(_LOG[:size])
    ]
    with TemporaryDirectory() as directory:
        write_log(Path(directory), entries)
        assert_same_by_strides(Path(directory))


@settings(deadline=None, max_examples=40)
@given(
    st.sampled_from([3 * BUNDLE, _LENGTH]),
    st.integers(0, 7),
    st.sampled_from(["entries", "hashes"]),
    st.sampled_from(["gone", "cut", "longer", "other"]),
    _ODDITIES,
)
def test_the_same_of_damaged_files(
    size: int, number: int, kind: str, damage: str, oddities: dict[int, str]
) -> None:
    entries = [
        _ODD[oddities[i]](i) if i in oddities else data for i, data in enumerate(_LOG[:size])
    ]
    with TemporaryDirectory() as directory:
        path = Path(directory)
        write_log(path, entries)
        files = sorted(
            (path / BOARD / "tile" / ("entries" if kind == "entries" else "0")).iterdir()
        )
        hit = files[min(number, len(files) - 1)]
        hit = hit if hit.is_file() else next(hit.iterdir())
        data = hit.read_bytes()
        if damage == "gone":
            hit.unlink()
        else:
            changed = {"cut": data[:-1], "longer": data + b"0", "other": b"\0" + data[1:]}
            hit.write_bytes(changed[damage])
        _, findings, *_ = assert_same_by_strides(path)
    assert isinstance(findings, tuple)
    failed = {finding.check for finding in findings if finding.failed}
    assert damage == "other" or failed & {"board.entries", "board.tiles", "board.root"}


def test_the_log_as_it_is_passes(tmp_path: Path) -> None:
    write_log(tmp_path, _LOG)
    survey, findings, *_ = assert_same_by_strides(tmp_path)
    assert isinstance(survey, Survey)
    assert survey.ballots == bytes([1] * 8)
    assert isinstance(findings, tuple)
    checked = {f.check: (f.checked, f.failed) for f in findings if f.checked}
    assert checked == {
        "board.entries": (_LENGTH, 0),
        "board.root": (1, 0),
        "board.tiles": (9, 0),
        "policy.counted": (_LENGTH - 1, 0),
    }


def test_entries_are_those_of_the_bundles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_log(tmp_path, _LOG)
    record = Record(tmp_path)
    bundles = list(record.entry_bundles())
    for most, lengths in ((1, [1] * 8), (2, [1, 1, 2, 2, 1, 1]), (3, [1, 2, 3, 1, 1])):
        monkeypatch.setattr(record_module, "_STRIDE", most)
        strides = list(record.entry_strides())
        assert [-(-len(entries) // BUNDLE) for _, entries in strides] == lengths
        assert [data for _, entries in strides for data in entries] == _LOG
        assert [first for first, _ in strides] == [
            first for first, _ in bundles if first in {first for first, _ in strides}
        ]
        assert all(isinstance(entries, Strings) for first, entries in strides if first)
    monkeypatch.setattr(record_module, "_STRIDE_BYTES", 1)
    assert [len(entries) for _, entries in record.entry_strides()] == [len(b) for _, b in bundles]


def test_bundles_before_a_missing_one_come_first(tmp_path: Path) -> None:
    write_log(tmp_path, _LOG)
    (tmp_path / bundle_path(5)).unlink()
    strides = Record(tmp_path).entry_strides()
    assert [len(next(strides)[1]) for _ in range(2)] == [BUNDLE, 4 * BUNDLE]
    with pytest.raises(DecodingError, match="005: file is missing"):
        next(strides)


def test_a_bundle_is_known_again_by_its_entries() -> None:
    alike, others = Strings(to_rows(_LOG[1:257])), [*_LOG[1:256], _LOG[257]]
    assert bundle_digest(alike) == bundle_digest(_LOG[1:257]) != bundle_digest(others)
    assert bundle_digest([b"ab", b"c"]) != bundle_digest([b"a", b"bc"])
