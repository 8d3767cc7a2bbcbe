"""Authorities who sign on machines of their own, each with a copy of the record."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from evote import motions, workflow
from evote.board import Open, Seal, Strike, bundle_path
from evote.cli import command
from evote.encoding import canonical_json
from evote.errors import (
    BrokenLog,
    DecodingError,
    EvoteError,
    ParameterError,
    UnsupportedError,
    VerificationError,
)
from evote.motions import (
    Motion,
    MotionSignatures,
    decode_motion,
    decode_motion_signatures,
    encode_motion,
    encode_motion_signatures,
)
from evote.record import Record
from evote.verify import audit
from tests.memory import Memory
from tests.records import BOTH, PASSPHRASE, RULED, Made, cast, credentials_of, make_ready


@pytest.fixture(autouse=True)
def in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    Memory(monkeypatch)


@pytest.fixture(scope="module", name="kept")
def make_kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    with pytest.MonkeyPatch.context() as patch:
        Memory(patch)
        yield make_ready(tmp_path_factory.mktemp("ready"), RULED)


@pytest.fixture(name="made")
def copy_made(kept: Made, tmp_path: Path) -> Made:
    """An election that is ready, once for each test."""
    shutil.copytree(kept.path, tmp_path / "record")
    return replace(kept, path=tmp_path / "record", ballots=[])


def signed(made: Made, motion: Motion, *authorities: int) -> list[MotionSignatures]:
    """What these authorities sign, each with a copy of the record as it is now."""
    found = []
    for i in authorities:
        copy = made.path.parent / f"copy-{i}"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(made.path, copy)
        found.append(motions.sign(copy, motion, made.authorities()[i], PASSPHRASE))
    return found


def carry(made: Made, motion: Motion, *authorities: int) -> range:
    signatures = signed(made, motion, *authorities)
    return motions.carry(made.path, motion, signatures, made.board, PASSPHRASE)


def opened(made: Made) -> None:
    carry(made, motions.propose_opening(made.path), 0, 1)


def test_an_election_whose_authorities_never_meet(made: Made) -> None:
    """Opening, every kind of ruling, and the seal; the record is one that an audit passes."""
    opened(made)
    cast(made, [(voter, BOTH, "cast") for voter in (0, 1, 2, 5, 6)])
    steps = (
        motions.extension(1_900_003_600, "polls-late"),
        motions.phase_change("closed", "schedule"),
        motions.phase_change("voting", "schedule"),
        motions.strike(credentials_of(made, 1), "fraud"),
        motions.confirmation(credentials_of(made, 5), "identity-shown"),
    )
    for quorum, make in zip(((0, 1), (1, 2), (0, 2), (2, 0), (0, 1, 2)), steps, strict=True):
        motion = motions.propose_ruling(made.path, make)
        assert len(carry(made, motion, *quorum)) == 1
        with pytest.raises(ParameterError, match="so already"):
            motions.propose_ruling(made.path, make)
    seal = motions.propose_seal(made.path)
    carry(made, seal, 1, 2)
    [sealed] = [entry for _, _, entry in Record(made.path).entries() if isinstance(entry, Seal)]
    assert (sealed.cast, sealed.counted, sealed.struck, sealed.unconfirmed) == (5, 3, 1, 1)
    assert replace(sealed, signatures=()) == seal.entries[0]
    workflow.compute_tally(made.path, made.board, PASSPHRASE)
    report = audit(made.path)
    assert not [f for f in report.findings if f.outcome.value == "failed"], report.to_text()
    for check in ("policy.signatures", "seal.signatures", "policy.counted"):
        assert report.finding(check).outcome.value == "passed"


def test_the_same_entries_as_in_one_call(made: Made) -> None:
    opened(made)
    motion = motions.propose_ruling(made.path, motions.strike(credentials_of(made, 1), "fraud"))
    [one] = carry(made, motion, 0, 1)
    entries = [entry for _, _, entry in Record(made.path).entries()]
    authorities = made.authorities()[:2]
    two = workflow.strike_voters(
        made.path, authorities, made.board, PASSPHRASE, credentials_of(made, 2), "fraud"
    )
    last = [entry for _, _, entry in Record(made.path).entries()][-1]
    assert (one, list(two)) == (1, [2])
    assert isinstance(entries[1], Strike)
    assert isinstance(last, Strike)
    assert len(entries[1].signatures) == len(last.signatures) == 2


@pytest.mark.parametrize("authorities", [(), (0,), (2,), (0, 0)])
def test_without_a_quorum_nothing_is_carried(made: Made, authorities: tuple[int, ...]) -> None:
    motion = motions.propose_opening(made.path)
    with pytest.raises(VerificationError, match=r"needed|signed twice"):
        carry(made, motion, *authorities)
    assert carry(made, motion, 0, 1) == range(1)


def flipped(signature: MotionSignatures) -> MotionSignatures:
    first, *rest = signature.signatures
    return replace(signature, signatures=(bytes([first[0] ^ 1]) + first[1:], *rest))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (flipped, "not that of"),
        (lambda s: replace(s, authority="authority-3"), "not that of"),
        (lambda s: replace(s, authority="stranger"), "no authority"),
        (lambda s: replace(s, motion=bytes(32)), "another motion"),
        (lambda s: replace(s, signatures=()), "needed"),
        (lambda s: replace(s, signatures=s.signatures * 2), None),  # what is over is not looked at
    ],
)
def test_false_signatures(made: Made, change: Callable[[Any], Any], reason: str | None) -> None:
    motion = motions.propose_opening(made.path)
    first, second = signed(made, motion, 0, 1)
    signatures = [change(first), second]
    if reason is None:
        motions.carry(made.path, motion, signatures, made.board, PASSPHRASE)
        return
    with pytest.raises(VerificationError, match=reason):
        motions.carry(made.path, motion, signatures, made.board, PASSPHRASE)
    assert motions.carry(made.path, motion, [first, second], made.board, PASSPHRASE) == range(1)


def test_a_signature_serves_once(made: Made) -> None:
    """A ruling has a number: what was signed for one place is refused in another."""
    opened(made)
    close = motions.propose_ruling(made.path, motions.phase_change("closed", "schedule"))
    make = motions.strike(credentials_of(made, 1), "fraud")
    late = motions.propose_ruling(made.path, make)
    both = signed(made, close, 0, 1), signed(made, late, 0, 1)
    motions.carry(made.path, close, both[0], made.board, PASSPHRASE)
    with pytest.raises(VerificationError, match="not that of"):
        motions.carry(made.path, late, both[1], made.board, PASSPHRASE)
    with pytest.raises(EvoteError):  # replayed: voting is closed, and the number is another
        motions.carry(made.path, close, both[0], made.board, PASSPHRASE)
    carry(made, late, 0, 1)


def test_a_ballot_after_the_motion_makes_a_seal_void(made: Made) -> None:
    opened(made)
    cast(made, [(0, BOTH, "cast"), (1, BOTH, "cast"), (2, BOTH, "cast")])
    early = motions.propose_seal(made.path)
    signatures = signed(made, early, 0, 1)
    cast(made, [(3, workflow.Choice(contests={"bridge": (1, 0)}), "cast")])
    with pytest.raises(VerificationError, match="other counts"):
        motions.carry(made.path, early, signatures, made.board, PASSPHRASE)
    with pytest.raises(VerificationError, match="other counts"):
        signed(made, early, 2)
    carry(made, motions.propose_seal(made.path), 0, 1)


def test_an_authority_signs_only_what_its_record_leads_to(made: Made) -> None:
    opening = motions.propose_opening(made.path)
    entry = opening.entries[0]
    assert isinstance(entry, Open)
    with pytest.raises(VerificationError, match="another election"):
        signed(made, replace(opening, election=bytes(32)), 0)
    with pytest.raises(VerificationError, match="not the opening"):
        signed(made, replace(opening, entries=(replace(entry, manifest=bytes(32)),)), 0)
    carry(made, opening, 0, 1)
    with pytest.raises(EvoteError):
        signed(made, opening, 0)
    make = motions.strike(credentials_of(made, 1), "fraud")
    strike = motions.propose_ruling(made.path, make)
    [ruling] = strike.entries
    assert isinstance(ruling, Strike)
    with pytest.raises(BrokenLog):
        signed(made, replace(strike, entries=(replace(ruling, reason="whim"),)), 0)
    cast(made, [(0, BOTH, "cast"), (2, BOTH, "cast")])
    seal = motions.propose_seal(made.path)
    [proposed] = seal.entries
    assert isinstance(proposed, Seal)
    for change in ({"counted": 1, "superseded": 1}, {"digest": bytes(32)}, {"cast": 3}):
        with pytest.raises(VerificationError, match="other counts"):
            signed(made, replace(seal, entries=(replace(proposed, **change),)), 0)
    with pytest.raises(ParameterError):  # a trustee is no authority
        motions.sign(made.path, seal, made.trustees()[0], PASSPHRASE)
    carry(made, seal, 0, 1)


def test_a_copy_that_contradicts_its_checkpoint_is_not_signed(made: Made) -> None:
    opened(made)
    cast(made, [(0, BOTH, "cast"), (1, BOTH, "cast")])
    motion = motions.propose_ruling(made.path, motions.phase_change("closed", "schedule"))
    copy = made.path.parent / "copy"
    shutil.copytree(made.path, copy)
    assert motions.sign(copy, motion, made.authorities()[0], PASSPHRASE).signatures
    path = copy / bundle_path(0, 3)
    data = path.read_bytes()
    path.write_bytes(data.replace(b'"cast"', b'"spoi"').replace(b'"spoi"', b'"cast"', 1))
    with pytest.raises(EvoteError):
        motions.sign(copy, motion, made.authorities()[0], PASSPHRASE)


# -- files -----------------------------------------------------------------------------------------


def test_files_are_read_as_written(made: Made) -> None:
    motion = motions.propose_opening(made.path)
    assert decode_motion(encode_motion(motion)) == motion
    [one] = signed(made, motion, 0)
    assert decode_motion_signatures(encode_motion_signatures(one)) == one


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d.update(entries=[]),
        lambda d: d.update(entries=d["entries"] * 2),
        lambda d: d.update(entries=["AAAA"]),
        lambda d: d.update(entries=[1]),
        lambda d: d.update(election="00"),
        lambda d: d.update(version=2),
        lambda d: d.update(format="evote/ballot"),
        lambda d: d.update(more=1),
        lambda d: d.pop("entries"),
    ],
)
def test_motions_that_are_none(made: Made, change: Callable[[dict[str, Any]], None]) -> None:
    value = json.loads(encode_motion(motions.propose_opening(made.path)))
    assert decode_motion(canonical_json(value), where="file")
    change(value)
    with pytest.raises((DecodingError, UnsupportedError), match=r"^file"):
        decode_motion(canonical_json(value), where="file")


def test_a_motion_of_nothing_or_of_several_kinds(made: Made) -> None:
    opening = motions.propose_opening(made.path)
    for entries in ((), opening.entries * 2):
        with pytest.raises(ParameterError):
            replace(opening, entries=entries)


def test_signed_entries_are_no_motion(made: Made) -> None:
    opening = motions.propose_opening(made.path)
    carry(made, opening, 0, 1)
    [(_, _, entry)] = list(Record(made.path).entries())
    assert isinstance(entry, Open)
    with pytest.raises(DecodingError, match="signed already"):
        decode_motion(encode_motion(replace(opening, entries=(entry,))))


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d.update(signatures=["AAAA"]),
        lambda d: d.update(signatures="AAAA"),
        lambda d: d.update(authority=""),
        lambda d: d.update(motion="00"),
        lambda d: d.update(more=1),
        lambda d: d.pop("authority"),
    ],
)
def test_signatures_that_are_none(made: Made, change: Callable[[dict[str, Any]], None]) -> None:
    [one] = signed(made, motions.propose_opening(made.path), 0)
    value = json.loads(encode_motion_signatures(one))
    assert decode_motion_signatures(canonical_json(value), where="file")
    change(value)
    with pytest.raises((DecodingError, UnsupportedError), match=r"^file"):
        decode_motion_signatures(canonical_json(value), where="file")


def test_command_line(made: Made, tmp_path: Path) -> None:
    def run(*arguments: object, code: int = 0) -> str:
        environment = {"EVOTE_PASSPHRASE": PASSPHRASE}
        done = CliRunner().invoke(command, list(map(str, arguments)), env=environment)
        if code == 0:
            assert done.exit_code == 0, (done.output, done.exception)
        else:
            assert isinstance(done.exception, EvoteError | SystemExit)
        return done.output

    names = iter(f"{i}.json" for i in range(100))

    def carried(*words: object) -> str:
        motion = tmp_path / next(names)
        said = run("motion", words[0], made.path, *words[1:], "-o", motion)
        files = []
        for authority in made.authorities()[:2]:
            files.append(tmp_path / next(names))
            signing = ("--authority", authority, "-o", files[-1])
            assert said.splitlines()[-1] in run("motion", "sign", made.path, motion, *signing)
        run("motion", "carry", made.path, motion, files[0], "--board", made.board, code=1)
        return run("motion", "carry", made.path, motion, *files, "--board", made.board)

    assert "carried: entry 0" in carried("open")
    cast(made, [(0, BOTH, "cast"), (1, BOTH, "cast"), (5, BOTH, "cast")])
    struck, shown = credentials_of(made, 1, 5)
    (tmp_path / "struck.csv").write_text(f"{struck.hex()}\n")
    (tmp_path / "shown.csv").write_text(f"{shown.hex()}\n")
    assert struck.hex() in carried("strike", tmp_path / "struck.csv", "--reason", "fraud")
    confirmed = carried("confirm", tmp_path / "shown.csv", "--reason", "identity-shown")
    assert "confirm 1 voters: identity-shown" in confirmed
    later = ("--until", "2030-03-17T18:30Z", "--reason", "polls-late")
    assert "2030-03-17T18:30:00Z" in carried("extend", *later)
    assert "no more ballots" in carried("close", "--reason", "schedule")
    assert "ballots again" in carried("reopen", "--reason", "schedule")
    assert "3 cast = 2 counted + 0 superseded + 1 struck" in carried("seal")
