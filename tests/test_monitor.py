"""The monitor: what is new in a log is verified, what it has seen before stays as it was."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from nacl.signing import SigningKey

from evote import cli, workflow
from evote._audit_log import seal_parts
from evote._evidence import LogEvidence, decode_evidence, encode_evidence
from evote._rulings import authority_keys, entry_signature
from evote.board import (
    BUNDLE,
    COSIGNER_KEY,
    BallotEntry,
    Checkpoint,
    Entry,
    NoteSigner,
    Seal,
    VerifierKey,
    WitnessPolicy,
    bodies_path,
    bundle_path,
    cosign,
    decode_policy,
    encode_bundle,
    encode_entry,
    merkle_root,
    sign_checkpoint,
)
from evote.errors import (
    BrokenLog,
    DecodingError,
    EvoteError,
    ParameterError,
    UnsupportedError,
    VerificationError,
)
from evote.operators import load_operator
from evote.record import CHECKPOINT, Record
from evote.server import monitor as module
from evote.server._fetch import Unreachable
from evote.server.monitor import AHEAD, NOT_CHECKED, Broken, Late, Seen, monitor
from evote.verify import audit

if TYPE_CHECKING:
    from tests import records
    from tests.records import Made, Plan
else:
    import records
    from records import Made, Plan

NOW = 1_700_000_000


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    line = workflow.RollLine(style="all", count=6)
    election = records.make_ready(tmp_path_factory.mktemp("monitor"), Plan(voters=(line,)))
    records.open_small(election)
    records.cast(election, [(i, records.marks(1, 0), "cast") for i in range(3)])
    records.cast(election, [(3, records.marks(0, 1), "spoil")])
    return election


@pytest.fixture
def record(made: Made, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made.path, tmp_path / "record"))


class Forger:
    """The board's own key in the wrong hands: any entries under a head that it signs."""

    def __init__(self, made: Made, path: Path) -> None:
        self.record = Record(path)
        key = load_operator(made.board, records.PASSPHRASE)
        self.signer = NoteSigner(key=self.record.manifest.log_key, sign=key.sign_note)
        self.path = path

    def entries(self) -> list[Entry]:
        return [entry for _, _, entry in self.record.entries()]

    def bodies(self) -> list[bytes]:
        return [body for _, _, body in self.record.ballots()]

    def write(self, entries: Sequence[Entry | bytes], bodies: Sequence[bytes]) -> None:
        data = [entry if isinstance(entry, bytes) else encode_entry(entry) for entry in entries]
        assert len(data) < BUNDLE
        shutil.rmtree(self.path / "board")
        bundle = self.path / bundle_path(0, len(data))
        bundle.parent.mkdir(parents=True)
        bundle.write_bytes(encode_bundle(data))
        (self.path / bodies_path(0)).write_bytes(b"".join(body + b"\n" for body in bodies))
        self.sign(len(data), merkle_root(data))

    def sign(self, size: int, root: bytes) -> bytes:
        head = Checkpoint(origin=self.signer.key.name, size=size, root=root)
        note = sign_checkpoint(head, self.signer)
        (self.path / CHECKPOINT).write_bytes(note)
        return note


def look(record: Path, state: Path, **options: Any) -> Seen:
    return monitor(record, state, clock=lambda: NOW, **options)


def more(made: Made, record: Path, voter: int) -> Made:
    """The same election, whose copy at `record` goes on."""
    grown = replace(made, path=record)
    records.cast(grown, [(voter, records.marks(1, 0), "cast")])
    return grown


def test_a_log_that_grows(made: Made, record: Path, tmp_path: Path) -> None:
    """Each look verifies what is new; nothing new is nothing to do."""
    state = tmp_path / "state.json"
    first = look(record, state)
    assert (first.size, first.new, first.ballots) == (5, 5, 4)
    again = look(record, state)
    assert (again.size, again.new, again.ballots) == (5, 0, 0)
    more(made, record, 4)
    grown = look(record, state)
    assert (grown.size, grown.new, grown.ballots) == (6, 1, 1)
    more(made, record, 5)
    more(made, record, 4)
    grown = look(record, state)
    assert (grown.size, grown.new, grown.ballots) == (8, 2, 2)
    # The state of a monitor that has looked each time is that of one that looks once.
    other = tmp_path / "other.json"
    look(record, other)
    assert other.read_bytes() == state.read_bytes()


def test_across_bundles(made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With bundles of a few entries: states at, before and after the end of one."""
    record = Path(shutil.copytree(made.path, tmp_path / "record"))
    entries = [encode_entry(entry) for entry in Forger(made, record).entries()]
    bodies = Forger(made, record).bodies()
    monkeypatch.setattr(module, "BUNDLE", 2)
    monkeypatch.setattr(module, "bundle_path", lambda number, width: f"bundle {number} {width}")
    monkeypatch.setattr(module, "bodies_path", lambda number: f"bodies {number}")
    signer = Forger(made, record)
    lines = [bodies[i - 1] if 1 <= i <= 4 else None for i in range(5)]

    class Files:
        size = 0

        def __init__(self, path: Path) -> None:
            self.record = Record(path)

        def read(self, name: str, limit: int) -> bytes:
            kind, *numbers = name.split(" ")
            if kind == "bundle":
                first, width = 2 * int(numbers[0]), int(numbers[1])
                return encode_bundle(entries[first : first + width])
            if kind == "bodies":
                some = lines[2 * int(numbers[0]) : 2 * int(numbers[0]) + 2]
                return b"".join(line + b"\n" for line in some if line is not None)
            return self.record.read(name)

    monkeypatch.setattr(module, "_Directory", Files)
    for step in (1, 2, 3, 5):
        state, seen = tmp_path / f"state-{step}", 0
        for size in range(step, 6, step):
            signer.sign(size, merkle_root(entries[:size]))
            found = look(record, state)
            assert (found.size, found.new) == (size, size - seen)
            seen = size


def test_logs_that_have_not_only_grown(made: Made, record: Path, tmp_path: Path) -> None:
    """attacks: F1. Fork, shrink, equal size with another root, an old checkpoint replayed."""
    state, old = tmp_path / "state.json", (record / CHECKPOINT).read_bytes()
    forger = Forger(made, record)
    entries, bodies = forger.entries(), forger.bodies()
    look(record, state)
    before = state.read_bytes()

    def broken(reason: str) -> LogEvidence:
        with pytest.raises(Broken, match=reason) as caught:
            look(record, state)
        assert state.read_bytes() == before  # what it has accepted stays
        assert caught.value.evidence is not None
        assert caught.value.evidence.first == old
        return caught.value.evidence

    forger.write(entries[:4], bodies[:3])
    broken("shrunk from 5 to 4")
    swapped = [entries[0], entries[2], entries[1], *entries[3:]]
    forger.write(swapped, [bodies[1], bodies[0], *bodies[2:]])
    pair = broken("two heads of 5")
    file = tmp_path / "evidence.json"
    file.write_bytes(encode_evidence(pair))
    report = audit(made.path, phase="voting", evidence=file)
    assert report.exit_code == 1
    forger.write([*swapped, entries[1]], [bodies[1], bodies[0], *bodies[2:], bodies[0]])
    pair = broken("the first 5 entries are not those")
    file.write_bytes(encode_evidence(LogEvidence(first=old, second=old)))
    assert audit(made.path, phase="voting", evidence=file).ok
    assert decode_evidence(encode_evidence(pair)) == pair
    forger.write(entries, bodies)
    assert look(record, state).new == 0  # the honest twin


def test_new_entries_that_do_not_hold(made: Made, record: Path, tmp_path: Path) -> None:
    """Each is refused, though the board has signed its head; the state stays where it was."""
    forger = Forger(made, record)
    entries, bodies = forger.entries(), forger.bodies()
    ballots = [entry for entry in entries if isinstance(entry, BallotEntry)]
    state = tmp_path / "state.json"
    forger.write(entries[:2], bodies[:1])
    look(record, state)
    good = state.read_bytes()
    unsigned = replace(ballots[1], signature=ballots[0].signature)
    cases: list[tuple[Sequence[Entry | bytes], Sequence[bytes], type[EvoteError]]] = [
        ([*entries[:2], unsigned], bodies[:2], BrokenLog),
        ([*entries[:2], replace(ballots[1], action="spoil")], bodies[:2], BrokenLog),
        ([*entries[:2], b"{}"], bodies[:1], DecodingError),
        ([*entries[:2], entries[0]], bodies[:1], BrokenLog),
        (entries[:3], bodies[:1], DecodingError),
        (entries[:3], [bodies[0], bodies[2]], BrokenLog),
    ]
    for forged, some, kind in cases:
        forger.write(forged, some)
        with pytest.raises(kind):
            look(record, state)
        assert state.read_bytes() == good
    # Entries that are not those of the head.
    forger.write(entries, bodies)
    forger.sign(5, bytes(32))
    with pytest.raises(Broken, match="do not have the root"):
        look(record, state)
    forger.write(entries, bodies)
    assert look(record, state).new == 3


def test_the_seal(made: Made, record: Path, tmp_path: Path) -> None:
    """attacks: F4. Only the authorities end voting, and over these ballots; the board alone cannot.

    A first look before the seal, and none: the counts are of the whole log either way.
    """
    forger, state = Forger(made, record), tmp_path / "state.json"
    entries, bodies = forger.entries(), forger.bodies()
    look(record, state)
    before = state.read_bytes()
    without_index = shutil.ignore_patterns("index.sqlite*")  # it may be of another test's log
    board = Path(shutil.copytree(made.board, tmp_path / "board", ignore=without_index))
    workflow.seal_election(record, made.authorities(), board, records.PASSPHRASE)
    *_, seal = forger.entries()
    assert isinstance(seal, Seal)
    assert (seal.cast, seal.spoiled, seal.counted) == (3, 1, 3)
    keys = authority_keys(record, made.authorities(), records.PASSPHRASE)
    election = workflow.load_parameters(record).election_id

    def signed(forged: Seal, root: bytes) -> Seal:
        parts = seal_parts(election, 5, root, forged)
        return replace(
            forged, signatures=tuple(entry_signature(key, "seal", *parts) for key in keys)
        )

    root = merkle_root([encode_entry(entry) for entry in entries])
    assert signed(seal, root) == seal
    [signature] = seal.signatures
    cases = [
        (replace(seal, signatures=()), "signed by 0 authorities"),
        (replace(seal, signatures=(replace(signature, signature=bytes(64)),)), "signature"),
        (replace(seal, signatures=(signature, signature)), "signed twice"),
        (replace(seal, digest=bytes(32)), "signature"),
        (signed(seal, bytes(32)), "signature"),
        (signed(replace(seal, cast=4, superseded=1), root), "4 ballots cast, there are 3"),
        (signed(replace(seal, spoiled=0), root), "0 ballots spoiled, there are 1"),
        (signed(replace(seal, counted=2), root), "do not add up"),
    ]
    fresh = tmp_path / "fresh.json"
    for forged, reason in cases:
        forger.write([*entries, forged], bodies)
        for place in (state, fresh):
            with pytest.raises(VerificationError, match=reason):
                look(record, place)
        assert state.read_bytes() == before
        assert not fresh.exists()
    forger.write([*entries, seal], bodies)
    assert (look(record, state).new, look(record, fresh).new) == (1, 6)
    assert state.read_bytes() == fresh.read_bytes()


def test_the_opening_and_another_manifest(made: Made, record: Path, tmp_path: Path) -> None:
    """attacks: F7. Also by a state that is another log's, or an expectation that is empty."""
    forger = Forger(made, record)
    entries, bodies = forger.entries(), forger.bodies()
    state, digest = tmp_path / "state.json", Record(record).manifest_digest
    opening: Any = entries[0]
    forged = replace(opening.signatures[0], signature=bytes(64))
    for first in (
        replace(opening, signatures=(forged,)),
        replace(opening, signatures=()),
        replace(opening, election=bytes(32)),
        replace(opening, manifest=bytes(32)),
    ):
        forger.write([first, *entries[1:]], bodies)
        with pytest.raises(VerificationError):
            look(record, state)
        assert not state.exists()
    forger.write(entries, bodies)
    with pytest.raises(Broken, match="another manifest"):
        look(record, state, expect_manifest=bytes(32))
    for pin in (b"", digest[:-1], digest + b"\0"):  # an empty pin is none at all
        with pytest.raises(ParameterError, match="32 bytes"):
            look(record, state, expect_manifest=pin)
    for words in ("", digest.hex()[:-2]):
        with pytest.raises(DecodingError):
            look(record, state, expect_manifest=words)
    assert not state.exists()
    assert look(record, state, expect_manifest=digest).new == 5
    assert look(record, state, expect_manifest=digest.hex()).new == 0
    other = records.make_ready(tmp_path / "other", Plan())
    records.open_small(other)
    with pytest.raises(Broken, match="another manifest"):
        look(other.path, state)
    state.write_bytes(state.read_bytes().replace(digest.hex().encode(), b"00" * 32))
    with pytest.raises(Broken, match="another manifest"):
        look(record, state)


@pytest.mark.parametrize(
    "change",
    [
        {"version": 2},
        {"format": "evote/card"},
        {"peaks": ["AAAA"]},
        {"peaks": ["A" * 43]},
        {"peaks": []},
        {"peaks": ["A" * 43] * 2},
        {"stage": 99},
        {"rulings": -1},
        {"cast": -1},
        {"spoiled": "1"},
        {"log": "x"},
        {"head": "AAAA"},
        {"more": 1},
    ],
)
def test_states_that_are_damaged(record: Path, tmp_path: Path, change: dict[str, Any]) -> None:
    """attacks: F1. A damaged state accuses nobody: it is not the log that is another."""
    state = tmp_path / "state.json"
    look(record, state)
    good = state.read_bytes()
    value = json.loads(good) | change
    state.write_bytes(json.dumps(value, sort_keys=True, separators=(",", ":")).encode())
    with pytest.raises((DecodingError, UnsupportedError)):
        look(record, state)
    state.write_bytes(good[:-1])
    with pytest.raises(DecodingError):
        look(record, state)
    for target in (tmp_path / "nowhere", state):  # not the same as a first look
        state.unlink()
        state.symlink_to(target)
        with pytest.raises(DecodingError):
            look(record, state)
    state.unlink()
    state.write_bytes(good)
    assert look(record, state).new == 0


# -- witnesses -------------------------------------------------------------------------------------


def witness(seed: int) -> NoteSigner:
    key = SigningKey(bytes([seed]) * 32)
    public = VerifierKey(
        name=f"witness.example/w{seed}", kind=COSIGNER_KEY, public=bytes(key.verify_key)
    )
    return NoteSigner(key=public, sign=lambda message: key.sign(message).signature)


WITNESSES = [witness(seed) for seed in (1, 2, 3)]


def two_of_three() -> WitnessPolicy:
    lines = [f"witness w{i} {w.key.text}" for i, w in enumerate(WITNESSES)]
    return decode_policy("\n".join([*lines, "group q 2 w0 w1 w2", "quorum q\n"]).encode())


def test_witnesses_that_are_late_or_absent(record: Path, tmp_path: Path) -> None:
    """attacks: F2. By number, by key and by time."""
    state, policy = tmp_path / "state.json", two_of_three()
    bare = (record / CHECKPOINT).read_bytes()

    def by(*signed: tuple[NoteSigner, int]) -> None:
        note = bare
        for signer, age in signed:
            note = cosign(note, signer, NOW - age)
        (record / CHECKPOINT).write_bytes(note)

    one, two, three = WITNESSES
    for few in ((), ((one, 1),), ((one, 1), (one, 2)), ((one, 1), (witness(9), 1))):
        by(*few)
        with pytest.raises(Late) as late:
            look(record, state, policy=policy, max_delay=60)
        assert not late.value.was_cosigned
    for old in (((one, 1), (two, 61)), ((one, 500), (two, 61), (three, 62))):
        by(*old)
        assert look(record, state, policy=policy).cosigned
        with pytest.raises(Late, match="late") as late:
            look(record, state, policy=policy, max_delay=60)
        assert late.value.was_cosigned
    # What comes from the future would never be late: it counts for nothing.
    for early in (((one, 1), (two, -AHEAD - 1)), ((one, -(10**8)), (two, -(10**8)))):
        by(*early)
        for delay in (None, 60):
            with pytest.raises(Late, match="ahead of this clock") as late:
                look(record, state, policy=policy, max_delay=delay)
            assert not late.value.was_cosigned
    for right in (((one, 1), (two, 60)), ((one, 1), (two, -AHEAD), (three, -AHEAD - 1))):
        by(*right)
        for delay in (None, 60):
            seen = look(record, state, policy=policy, max_delay=delay)
            assert seen.cosigned == (one.key.name, two.key.name)


def test_exit_codes(
    made: Made, record: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """attacks: F1, F2"""
    state, policy = tmp_path / "state.json", tmp_path / "policy"
    lines = [f"witness w{i} {w.key.text}" for i, w in enumerate(WITNESSES)]
    policy.write_text("\n".join([*lines, "group q 2 w0 w1 w2", "quorum q\n"]))

    def run(*options: object, source: object = record) -> int:
        words = ["board", "monitor", str(source), "--state", str(state), *map(str, options)]
        with pytest.raises(SystemExit) as leaving:
            cli.main(words)
        assert isinstance(leaving.value.code, int)
        return leaving.value.code

    assert run() == 0
    printed = capsys.readouterr().out
    assert "5 entries, 5 of them new, 4 new ballots\nwhat was checked holds" in printed
    assert NOT_CHECKED in printed
    assert run("--max-delay", 5) == 2
    assert run("--witness-policy", policy) == 3
    note = (record / CHECKPOINT).read_bytes()
    for signer in WITNESSES:
        note = cosign(note, signer, NOW)
    (record / CHECKPOINT).write_bytes(note)
    assert run("--witness-policy", policy) == 0
    assert run("--witness-policy", policy, "--max-delay", 60) == 1
    assert run(source="http://127.0.0.1:9/") == 3
    assert run(source=tmp_path / "nothing") == 4
    good = state.read_bytes()
    first, second = json.loads(good)["peaks"]
    state.write_bytes(good.replace(first.encode(), second.encode()))
    assert run() == 4
    state.write_bytes(good)
    assert run() == 0
    forger = Forger(made, record)
    forger.write(forger.entries()[:3], forger.bodies()[:2])
    assert run() == 1
    evidence = tmp_path / "state.json.evidence.json"
    assert str(evidence) in capsys.readouterr().out
    assert decode_evidence(evidence.read_bytes()).first == note
    with pytest.raises(Unreachable):
        monitor("http://127.0.0.1:9", state)
