"""Audits: every phase, every pin, and no way to success around a check."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import evote
from evote import _audit_jobs, _audit_roll, _encrypted_ballots, verify, workflow
from evote._audit_ballots import check_ballots
from evote._report import Ledger
from evote._rulings import open_board
from evote.ballots import encrypt_ballots
from evote.board import COSIGNER_KEY, NoteSigner, VerifierKey, cosign, encode_receipt
from evote.encoding import canonical_json, encode_hex, parse_json
from evote.errors import DecodingError, ParameterError, VerificationError
from evote.operators import OperatorKey, draw_operator
from evote.record import CHECKPOINT, MANIFEST, RESULT, ROLL, TALLY, Record
from evote.verify import CHECKS, PHASES, Outcome, Report, audit, audited_tally
from evote.workflow import RollLine
from tests.records import PASSPHRASE, Made, Plan, cast, finish, make_ready, marks, open_small

PINS = ("manifest.digest", "board.witnesses", "board.receipts", "board.evidence")
SOURCE = str(Path(evote.__file__).parent.parent)


@pytest.fixture
def finished(tmp_path: Path, phases: dict[str, Path]) -> Path:
    return Path(shutil.copytree(phases["finished"], tmp_path / "record"))


def outcomes(report: Report) -> dict[str, str]:
    return {finding.check: str(finding.outcome) for finding in report.findings}


def edit(path: Path, name: str, *place: Any, value: Any) -> None:
    root: Any = parse_json((path / name).read_bytes())
    here = root
    for step in place[:-1]:
        here = here[step]
    here[place[-1]] = value
    (path / name).write_bytes(canonical_json(root))


# -- phases --------------------------------------------------------------------------------------

OPEN_CHECKS = [name for name, check in CHECKS.items() if check.phase == "voting"]
MIXES = {name for name in CHECKS if name.startswith("mix.")}
# Nobody complains, rules or mixes in the small election.
ABSENT = {"ceremony.complaints", "policy.signatures", *MIXES}


@pytest.mark.parametrize("phase", PHASES)
def test_each_phase_by_itself(phases: dict[str, Path], phase: str) -> None:
    """Every check of the phase and those before is passed, and no later one is claimed."""
    report = audit(phases[phase], phase=phase)
    assert report.exit_code == 0, report.to_text()
    assert report.ok
    assert report.phase == phase
    reached = PHASES.index(phase)
    for name, found in outcomes(report).items():
        first = CHECKS[name].phase
        if first is not None and PHASES.index(first) <= reached and name not in ABSENT:
            assert found == "passed", name
        elif name == "ceremony.commitments" and phase == "ceremony":
            assert found == "passed"  # the commitments that are there
        elif name.startswith("shares.") and phase == "tallied":
            assert found == "not applicable"
        elif first is None or name in ABSENT:
            assert found == "not applicable", name
        else:
            assert found in ("not applicable", "not checked"), name


@pytest.mark.parametrize("phase", PHASES[:-1])
def test_a_phase_that_is_not_reached(phases: dict[str, Path], phase: str) -> None:
    """Nothing has failed, and still this is no success."""
    report = audit(phases[phase])
    assert report.exit_code == 3
    assert not report.ok
    assert report.failures() == ()
    missing = {finding.check for finding in report.unchecked()}
    assert "record.complete" in missing
    reached = PHASES.index(phase)
    later = {n for n, c in CHECKS.items() if c.phase and PHASES.index(c.phase) > reached}
    # The trustees' commitments are there before the ceremony has ended, and are checked.
    assert later - ABSENT - {"ceremony.commitments"} <= missing
    assert report.finding("record.complete").detail == (f"the record is {phase}, not yet finished")
    assert "incomplete: nothing failed" in report.verdict
    with pytest.raises(VerificationError, match="not checked"):
        report.raise_for_failure()
    assert report.result is None


@pytest.mark.parametrize("phase", PHASES)
def test_more_than_asked_for(phases: dict[str, Path], phase: str) -> None:
    """A finished record passes for any phase, and all that is there is checked all the same."""
    report = audit(phases["finished"], phase=phase)
    assert report.exit_code == 0
    assert set(outcomes(report).values()) == {"passed", "not applicable"}
    assert report.finding("result.votes").outcome is Outcome.PASSED
    assert report.required_phase == phase


def test_failures_beyond_the_phase_asked_for(finished: Path) -> None:
    edit(finished, RESULT, "contests", 0, "votes", value=[2, 0])
    report = audit(finished, phase="setup")
    assert report.exit_code == 1
    assert [finding.check for finding in report.failures()] == ["result.form"]


def test_unknown_phase(phases: dict[str, Path]) -> None:
    with pytest.raises(ParameterError, match="phase: one of setup, "):
        audit(phases["setup"], phase="soon")


# -- reports -------------------------------------------------------------------------------------


def test_counts(phases: dict[str, Path]) -> None:
    report = audit(phases["finished"])
    counts = {f.check: f.checked for f in report.findings if f.outcome is Outcome.PASSED}
    assert counts["ballots.proofs"] == counts["ballots.signatures"] == 4
    assert counts["roll.keys"] == 3
    assert counts["spoiled.openings"] == 1
    assert counts["shares.proofs"] == 2
    assert counts["board.entries"] == 11
    assert report.result is not None
    assert report.result.contests[0].votes == (1, 1)


def test_two_runs_give_the_same_bytes(phases: dict[str, Path], tmp_path: Path) -> None:
    for phase in PHASES:
        first, second = audit(phases[phase]), audit(phases[phase])
        assert first.to_json() == second.to_json()
        assert first.to_text() == second.to_text()
    moved = shutil.copytree(phases["finished"], tmp_path / "elsewhere")
    assert audit(moved).to_json() == audit(phases["finished"]).to_json()


def test_json_schema(phases: dict[str, Path]) -> None:
    for phase in PHASES:
        data = audit(phases[phase]).to_json()
        assert data.endswith(b"\n")
        value: Any = parse_json(data[:-1])
        assert value["format"] == "evote/report"
        assert value["version"] == 1
        assert set(value) == {
            *("format", "version", "verdict", "exit_code", "phase", "required_phase"),
            *("title", "manifest", "election", "findings", "result", "warnings", "counts"),
        }
        assert [item["check"] for item in value["findings"]] == list(CHECKS)
        for item in value["findings"]:
            assert set(item) == {"check", "reference", "outcome", "checked", "failed", "detail"}
            assert item["outcome"] in ("passed", "failed", "not applicable", "not checked")
            assert item["reference"].startswith("record-format, ")
            assert 0 <= item["failed"] <= item["checked"] or item["outcome"] == "not checked"
        assert (value["result"] is not None) == (phase == "finished")
    assert value["result"] == [
        {
            "id": "bridge",
            "ballots": 2,
            "weight": 2,
            "votes": [1, 1],
            "blank": None,
            "undervotes": 0,
        }
    ]
    assert value["manifest"] == encode_hex(Record(phases["finished"]).manifest_digest)


def test_text(phases: dict[str, Path]) -> None:
    text = audit(phases["finished"]).to_text()
    assert "Election      A small election" in text
    assert "passed          ballots.proofs          4 checked" in text
    assert "  Yes" in text
    assert text.splitlines()[-1].startswith("self-consistent, not pinned: verified: all ")
    assert "registrar can impersonate" in text.splitlines()[-1]


def test_a_result_that_fails_is_not_shown(finished: Path) -> None:
    edit(finished, RESULT, "contests", 0, "votes", value=[2, 0])
    report = audit(finished)
    assert "  Yes" not in report.to_text()
    assert json.loads(report.to_json())["result"] is None
    assert "FAILED: 1 check of" in report.verdict


def test_no_truth_value(phases: dict[str, Path]) -> None:
    report = audit(phases["finished"])
    with pytest.raises(TypeError, match="not a truth value"):
        bool(report)
    report.raise_for_failure()
    with pytest.raises(ParameterError, match="there is no check"):
        report.finding("ballots")


def test_title_beyond_ascii(tmp_path: Path, phases: dict[str, Path]) -> None:
    """The report and the command that prints it."""
    record = Path(shutil.copytree(phases["setup"], tmp_path / "record"))
    edit(record, MANIFEST, "title", value="Выборы в городе Ж")
    report = audit(record, phase="setup")
    assert json.loads(report.to_json())["title"] == "Выборы в городе Ж"
    arguments = [sys.executable, "-m", "evote", "verify", str(record), "--phase", "setup"]
    shown = subprocess.run(
        [*arguments, "--format", "json"],
        capture_output=True,
        env={**os.environ, "PYTHONPATH": SOURCE, "PYTHONUTF8": "1"},
        timeout=120,
    )
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout == report.to_json()


# -- pins ----------------------------------------------------------------------------------------


class Witness:
    def __init__(self, name: str) -> None:
        self.key: OperatorKey = draw_operator("board", name)
        public = VerifierKey(
            name=f"{name}.example", kind=COSIGNER_KEY, public=self.key.card.signing_key
        )
        self.signer = NoteSigner(key=public, sign=self.key.sign_note)
        self.line = f"witness {name} {public.text}\n"


@pytest.fixture(scope="module")
def witnesses() -> list[Witness]:
    return [Witness(f"w{i}") for i in range(3)]


def policy_file(path: Path, witnesses: list[Witness], quorum: str) -> Path:
    lines = [witness.line for witness in witnesses]
    lines.append(f"group quorate {quorum} {' '.join(f'w{i}' for i in range(len(witnesses)))}\n")
    path.write_text("".join(lines) + "quorum quorate\n", encoding="utf-8")
    return path


def test_expected_manifest(phases: dict[str, Path]) -> None:
    path = phases["finished"]
    right = Record(path).manifest_digest
    for given in (right, encode_hex(right)):
        report = audit(path, expect_manifest=given)
        assert report.exit_code == 0
        assert report.finding("manifest.digest").outcome is Outcome.PASSED
        assert report.verdict.endswith("not pinned: witnesses")
    for given in (bytes(32), "00" * 32):
        report = audit(path, expect_manifest=given)
        assert report.exit_code == 1
        assert [f.check for f in report.failures()] == ["manifest.digest"]
    for wrong in (right[:31], "abc", encode_hex(right).upper(), "", b""):
        with pytest.raises((ParameterError, DecodingError)):
            audit(path, expect_manifest=wrong)


def test_witnesses(finished: Path, tmp_path: Path, witnesses: list[Witness]) -> None:
    policy = policy_file(tmp_path / "policy", witnesses, "2")
    digest = Record(finished).manifest_digest
    report = audit(finished, witness_policy=policy)
    assert [f.check for f in report.failures()] == ["board.witnesses"]
    assert "cosigned by nobody" in report.finding("board.witnesses").detail
    checkpoint = finished / CHECKPOINT
    checkpoint.write_bytes(cosign(checkpoint.read_bytes(), witnesses[0].signer, 1))
    assert audit(finished, witness_policy=policy).exit_code == 1
    checkpoint.write_bytes(cosign(checkpoint.read_bytes(), witnesses[2].signer, 2))
    report = audit(finished, witness_policy=policy, expect_manifest=digest)
    assert report.exit_code == 0
    assert report.verdict.startswith("verified: all ")


@pytest.mark.parametrize("text", ["", "quorum\n", "nonsense\n", "quorum none"])
def test_policies_that_are_none(finished: Path, tmp_path: Path, text: str) -> None:
    (tmp_path / "policy").write_text(text, encoding="utf-8")
    with pytest.raises(DecodingError):
        audit(finished, witness_policy=tmp_path / "policy")
    with pytest.raises(DecodingError, match="file is missing"):
        audit(finished, witness_policy=tmp_path / "missing")


@pytest.fixture(scope="module")
def receipted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Made, list[bytes]]:
    """A finished election and the receipts of its two ballots."""
    made = make_ready(tmp_path_factory.mktemp("receipted"))
    open_small(made)
    receipts = []
    for voter in (0, 1):
        code = made.credentials[voter].code
        ballot = workflow.encrypt_ballot(made.path, code, marks(1, 0))
        signed = workflow.sign_ballot(made.path, code, ballot, "cast")
        [receipt] = workflow.submit(made.path, made.board, [signed], PASSPHRASE)
        receipts.append(encode_receipt(receipt))
    finish(made)
    return made, receipts


def test_receipts(receipted: tuple[Made, list[bytes]], tmp_path: Path) -> None:
    made, receipts = receipted
    for i, receipt in enumerate(receipts):
        (tmp_path / f"{i}.json").write_bytes(receipt)
    report = audit(made.path, receipts=tmp_path)
    assert report.exit_code == 0
    assert report.finding("board.receipts").checked == 2
    assert audit(made.path, receipts=tmp_path / "1.json").exit_code == 0


def test_receipts_that_the_log_contradicts(
    receipted: tuple[Made, list[bytes]], tmp_path: Path, phases: dict[str, Path]
) -> None:
    made, receipts = receipted
    (tmp_path / "own.json").write_bytes(receipts[0])
    other = audit(phases["finished"], receipts=tmp_path)
    assert [f.check for f in other.failures()] == ["board.receipts"]
    root: Any = json.loads(receipts[0])
    mine, yours = root["entry"], json.loads(receipts[1])["entry"]
    (tmp_path / "swapped.json").write_bytes(receipts[0].replace(mine.encode(), yours.encode()))
    (tmp_path / "broken.json").write_bytes(receipts[0][:-1])
    report = audit(made.path, receipts=tmp_path)
    assert report.exit_code == 1
    finding = report.finding("board.receipts")
    assert (finding.checked, finding.failed) == (3, 2)
    assert "swapped.json" in finding.detail or "entry 1" in finding.detail


def test_receipt_of_an_entry_that_was_dropped(tmp_path: Path) -> None:
    """The board forgets the last ballot before it is sealed: attack F3, seen by a receipt."""
    made = make_ready(tmp_path / "made")
    open_small(made)
    shutil.copytree(made.path, tmp_path / "before")
    code = made.credentials[0].code
    ballot = workflow.encrypt_ballot(made.path, code, marks(1, 0))
    signed = workflow.sign_ballot(made.path, code, ballot, "cast")
    [receipt] = workflow.submit(made.path, made.board, [signed], PASSPHRASE)
    (tmp_path / "r.json").write_bytes(encode_receipt(receipt))
    assert audit(made.path, phase="voting", receipts=tmp_path / "r.json").exit_code == 0
    report = audit(tmp_path / "before", phase="voting", receipts=tmp_path / "r.json")
    assert report.exit_code == 1
    assert report.finding("board.receipts").detail == "r.json: the record ends before it"


def test_no_receipts_is_no_check(finished: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    report = audit(finished, receipts=tmp_path / "empty")
    assert report.exit_code == 3
    assert [f.check for f in report.unchecked()] == ["board.receipts"]


def test_pins_before_there_is_a_board(
    phases: dict[str, Path], tmp_path: Path, witnesses: list[Witness]
) -> None:
    policy = policy_file(tmp_path / "policy", witnesses, "1")
    report = audit(phases["ready"], phase="ready", witness_policy=policy, receipts=tmp_path)
    assert report.exit_code == 3
    assert [f.check for f in report.unchecked()] == ["board.witnesses", "board.receipts"]


# -- what is missing -----------------------------------------------------------------------------


def test_each_file_deleted(finished: Path) -> None:
    """Attack F8: never a success, and never nothing said."""
    honest = sorted(p for p in finished.rglob("*") if p.is_file())
    assert len(honest) >= 16
    for file in honest:
        data = file.read_bytes()
        file.unlink()
        report = audit(finished)
        name = file.relative_to(finished).as_posix()
        assert report.exit_code == (4 if name == MANIFEST else 1), name
        assert report.failures()
        file.write_bytes(data)
    assert audit(finished).exit_code == 0


def test_whole_parts_deleted(finished: Path, tmp_path: Path) -> None:
    """A record cut back to an earlier phase in a consistent way is one, and no success."""
    for part in ("board", "ballots", "shares"):
        shutil.rmtree(finished / part)
    for name in (TALLY, RESULT):
        (finished / name).unlink()
    assert audit(finished).exit_code == 3
    assert audit(finished, phase="ready").exit_code == 0
    shutil.rmtree(finished / "ceremony")
    assert audit(finished).exit_code == 3
    shutil.rmtree(finished / "roll")
    assert audit(finished).exit_code == 3


@pytest.mark.parametrize("name", ["empty", "missing", "a file", "something else", "no manifest"])
def test_no_record(tmp_path: Path, phases: dict[str, Path], name: str) -> None:
    path = tmp_path / name
    if name == "empty":
        path.mkdir()
    elif name == "a file":
        path.write_bytes(b"x")
    elif name == "something else":
        path.mkdir()
        (path / "index.html").write_bytes(b"<html>")
    elif name == "no manifest":
        shutil.copytree(phases["finished"], path)
        (path / MANIFEST).write_bytes(b"{}")
    report = audit(path)
    assert report.exit_code == 4
    assert report.verdict == "unreadable: this is not a record that can be audited"
    assert report.phase == "unknown"
    assert json.loads(report.to_json())["exit_code"] == 4
    assert {f.outcome for f in report.findings} <= {Outcome.FAILED, Outcome.NOT_CHECKED}
    with pytest.raises(VerificationError):
        report.raise_for_failure()


def test_unknown_group(finished: Path) -> None:
    """Attack B3: parameters that nobody published fail by their own check."""
    edit(finished, MANIFEST, "group", value="rfc2409-1024")
    report = audit(finished)
    assert report.exit_code == 4
    assert "group.parameters" in {f.check for f in report.failures()}
    assert report.finding("group.parameters").detail.startswith("manifest.json: $.group: ")
    assert report.finding("manifest.form").outcome is Outcome.NOT_CHECKED


def test_inputs_of_a_check_that_failed(finished: Path) -> None:
    """What could not be established is not checked, however well the rest looks."""
    edit(finished, "ceremony/reveal-001.json", "commits", value="00" * 32)
    report = audit(finished)
    found = outcomes(report)
    assert found["ceremony.commitments"] == "failed"
    assert found["ceremony.proofs"] == found["ballots.proofs"] == "not checked"
    assert found["tally.sums"] == found["result.votes"] == "not checked"
    assert report.exit_code == 1


def test_repeated_nonces_are_counted_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A board that takes in what its box refuses: two ballots under one seed, of two options."""
    made = make_ready(tmp_path)
    open_small(made)
    seeded = partial(encrypt_ballots, seeds=[bytes(32)])
    monkeypatch.setattr(_encrypted_ballots, "encrypt_ballots", seeded)
    code = made.credentials[0].code
    twice = [workflow.encrypt_ballot(made.path, code, marks(1, 0)) for _ in range(2)]
    signed = workflow.sign_ballots(made.path, [(code, ballot, "cast") for ballot in twice])
    with open_board(made.path, made.board, PASSPHRASE) as board:
        board.append([item.entry for item in signed], [item.body for item in signed])
    report = audit(made.path, phase="voting")
    assert [(f.check, f.failed) for f in report.failures()] == [("ballots.unique", 2)]
    line = (
        "board/tile/entries/000.p/3: entry 2: a ciphertext with the nonce of one that entry 1 has"
    )
    assert report.finding("ballots.unique").detail == f"{line}\n{line}"


# -- workers -------------------------------------------------------------------------------------

BALLOTS = 260


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sealed, with ballots in two bundles: one voter who cannot decide; one ballot is opened."""
    plan = Plan(voters=(RollLine(style="all"),), trustees=1, quorum=1)
    made = make_ready(tmp_path_factory.mktemp("large"), plan)
    open_small(made)
    spoiled = cast(made, [(0, marks(0, 1), "spoil")])
    workflow.open_spoiled(made.path, made.board, spoiled[0], PASSPHRASE)
    cast(made, [(0, marks(i % 2, 1 - i % 2), "cast") for i in range(BALLOTS)])
    workflow.seal_election(made.path, made.authorities(), made.board, PASSPHRASE)
    return made.path


def test_as_many_processes_as_you_like(large: Path) -> None:
    seen: list[tuple[str, int, int]] = []
    alone = audit(large, phase="sealed", progress=lambda *step: seen.append(step))
    assert alone.exit_code == 0
    assert alone.finding("ballots.proofs").checked == BALLOTS + 1
    assert seen[-1] == ("ballots", BALLOTS + 1, BALLOTS + 1)
    assert audit(large, phase="sealed", jobs=2).to_json() == alone.to_json()


def test_jobs_of_any_size_say_the_same(
    large: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Jobs are cut by bytes: one ballot each, some, all; a ballot has its line in each."""
    wrong = Path(shutil.copytree(large, tmp_path / "record"))
    place = wrong / "ballots/000.jsonl"
    lines = place.read_bytes().split(b"\n")
    lines[2] = lines[2].replace(b"e", b"f", 1)
    place.write_bytes(b"\n".join(lines))
    whole = [audit(path, phase="sealed").to_json() for path in (large, wrong)]
    assert b"ballots/000.jsonl: line 3" in whole[1]
    size = len(lines[0])
    for limit in (1, 5 * size, 300 * size):
        monkeypatch.setattr(_audit_jobs, "_BYTES_AT_ONCE", limit)
        assert [audit(path, phase="sealed").to_json() for path in (large, wrong)] == whole


def test_failures_are_the_same_in_other_processes(large: Path, tmp_path: Path) -> None:
    path = Path(shutil.copytree(large, tmp_path / "record"))
    for name in ("ballots/000.jsonl", "ballots/001.jsonl"):
        data = bytearray((path / name).read_bytes())
        data[data.rindex(b'"sum":"') + 20] ^= 1
        (path / name).write_bytes(data)
    alone = audit(path, phase="sealed")
    assert alone.finding("ballots.digests").failed == 2
    assert alone.finding("tally.sums").outcome is not Outcome.PASSED
    assert audit(path, phase="sealed", jobs=2).to_json() == alone.to_json()


def killed(shared: Any, job: Any) -> Any:
    """A worker that the system kills at the first bundle."""
    if job.indices[0] < 256:
        os.kill(os.getpid(), signal.SIGKILL)
    return check_ballots(shared, job)


def crashing(shared: Any, job: Any) -> Any:
    """A worker with a bug that shows in the second bundle."""
    if job.indices[-1] >= 256:
        raise KeyError("chunk 7")
    return check_ballots(shared, job)


@pytest.mark.parametrize(
    ("worker", "jobs", "message"),
    [(killed, 2, "broke down"), (crashing, 1, "KeyError")],
)
def test_workers_that_break_down(
    large: Path,
    monkeypatch: pytest.MonkeyPatch,
    worker: Callable[[Any, Any], Any],
    jobs: int,
    message: str,
) -> None:
    """Attacks F5 and G6: the checks of the lost ballots fail; what rests on them is not checked."""
    monkeypatch.setattr(verify, "check_ballots", worker)
    report = audit(large, phase="sealed", jobs=jobs)
    assert report.exit_code == 1
    failed = {f.check for f in report.failures()}
    assert failed == {name for name in CHECKS if name.startswith("ballots.")}
    assert message in report.finding("ballots.proofs").detail
    assert report.finding("spoiled.openings").outcome is Outcome.NOT_CHECKED
    report, tally = audited_tally(large, jobs=jobs)
    assert report.exit_code == 1
    assert tally is None


def test_workers_that_lose_ballots(large: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An outcome for fewer ballots than the board has gives no sums."""

    def half(shared: Any, job: Any) -> Any:
        outcome = check_ballots(shared, job)
        outcome.ballots -= 1
        return outcome

    monkeypatch.setattr(verify, "check_ballots", half)
    assert audited_tally(large)[1] is None


def test_audited_tally(large: Path) -> None:
    report, tally = audited_tally(large)
    report.raise_for_failure()
    assert tally is not None
    assert (tally.contests[0].ballots, tally.contests[0].weight) == (1, 1)


@pytest.mark.parametrize("jobs", [0, -1, True, 1.0, "2"])
def test_jobs(finished: Path, jobs: Any) -> None:
    with pytest.raises(ParameterError, match="jobs"):
        audit(finished, jobs=jobs)


def test_a_bug_in_a_check_is_a_failure(finished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is raised inside a check fails it; the audit goes on, and is no success."""

    def bug(*_: Any, **__: Any) -> None:
        raise RuntimeError("a bug")

    for module, name, check in (
        (_audit_roll, "verify_roll_signatures", "roll.signatures"),
        (verify, "examine_ceremony", "ceremony.commitments"),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(module, name, bug)
            report = audit(finished)
        assert report.exit_code == 1
        assert report.finding(check).detail == "internal error: RuntimeError: a bug"


# -- without assertions --------------------------------------------------------------------------

SCRIPT = """
import sys
from evote.verify import audit
assert False, "assertions are on"
for path in sys.argv[1:]:
    sys.stdout.buffer.write(audit(path).to_json())
"""


def test_the_same_without_assertions(phases: dict[str, Path], tmp_path: Path) -> None:
    """Attack G5: python -O gives the same verdict on honest and on altered records."""
    honest = phases["finished"]
    paths = [honest, phases["voting"], tmp_path]
    alterations: list[Callable[[Path], object]] = [
        lambda path: edit(path, RESULT, "contests", 0, "votes", value=[2, 0]),
        lambda path: edit(path, TALLY, "contests", 0, "weight", value=3),
        lambda path: edit(path, "shares/001.json", "trustee", value=2),
        lambda path: edit(path, "ceremony/reveal-001.json", "commits", value="00" * 32),
        lambda path: edit(path, ROLL, "weight", value=4),
        lambda path: (path / CHECKPOINT).unlink(),
        lambda path: (path / "ballots/000.jsonl").write_bytes(b"\n" * 4),
        lambda path: edit(path, MANIFEST, "quorum", value=1),
    ]
    for i, alter in enumerate(alterations):
        paths.append(Path(shutil.copytree(honest, tmp_path / "altered" / str(i))))
        alter(paths[-1])
    expected = [audit(path) for path in paths]
    assert [r.exit_code for r in expected[:3]] == [0, 3, 4]
    assert {r.exit_code for r in expected[3:]} == {1}
    optimised = subprocess.run(
        [sys.executable, "-O", "-c", SCRIPT, *map(str, paths)],
        capture_output=True,
        env={**os.environ, "PYTHONPATH": SOURCE},
        timeout=300,
    )
    assert optimised.returncode == 0, optimised.stderr
    assert optimised.stdout == b"".join(report.to_json() for report in expected)


# -- the ledger ----------------------------------------------------------------------------------


def ledger() -> Ledger:
    return Ledger("finished", ())


def found(book: Ledger, check: str) -> tuple[str, int, int, str]:
    [f] = [f for f in book.findings() if f.check == check]
    return str(f.outcome), f.checked, f.failed, f.detail


def test_ledger_states() -> None:
    book = ledger()
    assert found(book, "tally.sums")[0] == "not checked"  # required, and nobody did it
    assert found(book, "manifest.digest")[0] == "not applicable"  # a pin that nobody asked for
    book.did("tally.sums", 3)
    assert found(book, "tally.sums") == ("passed", 3, 0, "")
    book.note("tally.sums", "slowly")
    assert found(book, "tally.sums")[3] == "slowly"
    book.block("one is missing", "tally.sums")
    book.block("another reason", "tally.sums")
    assert found(book, "tally.sums") == ("not checked", 3, 0, "one is missing")
    book.fail("tally.sums", "wrong")
    assert found(book, "tally.sums") == ("failed", 3, 1, "wrong")
    book.absent("nothing to open", "spoiled.openings")
    assert found(book, "spoiled.openings") == ("not applicable", 0, 0, "nothing to open")
    book.block("unreadable", "spoiled.openings")
    assert found(book, "spoiled.openings")[0] == "not checked"


def test_ledger_keeps_the_first_failures_and_counts_the_rest() -> None:
    book = ledger()
    for i in range(1000):
        book.fail("ballots.proofs", f"ballot {i}\x1b[31m\n")
    outcome, checked, failed, detail = found(book, "ballots.proofs")
    assert (outcome, checked, failed) == ("failed", 1000, 1000)
    lines = detail.split("\n")
    assert lines[0] == "ballot 0\\x1b[31m\\x0a"
    assert len(lines) == 9
    assert lines[-1] == "and 992 more"


def test_ledger_guards() -> None:
    book = ledger()
    with book.guard("roll.form", "roll.keys"):
        pass
    assert found(book, "roll.keys")[3] == "the record does not reach this"
    with book.guard("roll.form", "roll.keys"):
        raise VerificationError("not so")
    assert found(book, "roll.form") == ("failed", 1, 1, "not so")
    assert found(book, "roll.keys") == ("not checked", 0, 0, "roll.form failed")
    with pytest.raises(KeyboardInterrupt), book.guard("roll.form"):
        raise KeyboardInterrupt


def test_checks_have_phases_and_references() -> None:
    assert [name for name, check in CHECKS.items() if check.phase is None] == list(PINS)
    assert {check.phase for check in CHECKS.values()} - {None} <= set(PHASES)
    assert "ballots.proofs" in OPEN_CHECKS
