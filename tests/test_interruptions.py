"""Steps that are killed at every write, and run again: nothing is lost, nothing is done twice."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from evote import _files, cli, workflow
from evote.board import BallotEntry, Opening, Seal
from evote.errors import DecodingError, ParameterError, VerificationError
from evote.operators import load_card, load_operator
from evote.record import Record
from evote.verify import audit, audited_mixes
from evote.workflow import RollLine
from tests.records import (
    PASSPHRASE,
    SMALL_MIXED,
    Made,
    Plan,
    finish,
    make_ready,
    open_small,
    vote_small_mixed,
)
from tests.test_board import Crash, Disk

PLAN = Plan(voters=(RollLine(style="all", count=2),))


def run(*arguments: str | Path) -> int:
    """The exit code of a command in this process."""
    with pytest.raises(SystemExit) as leaving:
        cli.main([str(argument) for argument in arguments])
    assert isinstance(leaving.value.code, int)
    return leaving.value.code


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return make_ready(tmp_path_factory.mktemp("ready"), PLAN)


@pytest.fixture(scope="module")
def voting(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """Open, with an encrypted ballot of each voter in the folders ballot-0 and ballot-1."""
    made = make_ready(tmp_path_factory.mktemp("voting"), PLAN)
    open_small(made)
    for i, voter in enumerate(made.credentials):
        choice = workflow.Choice(contests={"bridge": (1, 0)})
        ballot = workflow.encrypt_ballot(made.path, voter.code, choice)
        workflow.save_ballot(ballot, made.path.parent / f"ballot-{i}")
    return made


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.setenv("EVOTE_PASSPHRASE", PASSPHRASE)
    monkeypatch.delenv("EVOTE_CODE", raising=False)
    return monkeypatch


def killed_everywhere(
    before: Path, work: Path, step: Callable[[], int], check: Callable[[], None], every: int = 3
) -> int:
    """Kill a step at each of its writes, on copies at `work`; run it again, and check.

    Returns about how many places there were. It is every third, of which a file has five.
    """
    place, died = 0, True
    while died:
        shutil.rmtree(work, ignore_errors=True)
        shutil.copytree(before, work)
        died = False
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(_files, "os", Disk(work, place))
            try:
                assert step() == 0
            except Crash:
                died = True
        if died:
            assert step() == 0, f"killed at write {place}"
        check()
        place += every
    return place


def entries(record: Path, kind: type[object]) -> int:
    return sum(isinstance(entry, kind) for _, _, entry in Record(record).entries())


def verified(record: Path, phase: str) -> None:
    report = audit(record, phase=phase)
    assert report.exit_code == 0, report.to_text()
    assert report.phase == phase


def test_open(ready: Made, tmp_path: Path, environment: pytest.MonkeyPatch) -> None:
    work = tmp_path / "work"
    operators, record = work / "operators", work / "record"
    step = ("election", "open", record, "--authority", operators / "authority-1")
    places = killed_everywhere(
        ready.path.parent,
        work,
        lambda: run(*step, "--board", operators / "board"),
        lambda: verified(record, "voting"),
    )
    assert places > 15
    assert Record(record).checkpoint().size == 1


def test_cast(voting: Made, tmp_path: Path, environment: pytest.MonkeyPatch) -> None:
    work = tmp_path / "work"
    record, folder = work / "record", work / "ballot-0"
    environment.setenv("EVOTE_CODE", voting.credentials[0].code)

    def check() -> None:
        assert entries(record, BallotEntry) == 1
        assert run("ballot", "check", record, folder / "receipt.json") == 0
        assert not (folder / "secret.json").exists()
        Record(record).check_files()

    board = work / "operators" / "board"
    places = killed_everywhere(
        voting.path.parent,
        work,
        lambda: run("ballot", "cast", record, folder, "--board", board),
        check,
    )
    assert places > 15


def test_spoil(voting: Made, tmp_path: Path, environment: pytest.MonkeyPatch) -> None:
    work = tmp_path / "work"
    record, folder = work / "record", work / "ballot-1"
    environment.setenv("EVOTE_CODE", voting.credentials[1].code)

    def check() -> None:
        assert entries(record, BallotEntry) == entries(record, Opening) == 1
        assert not (folder / "secret.json").exists()
        Record(record).check_files()

    board = work / "operators" / "board"
    places = killed_everywhere(
        voting.path.parent,
        work,
        lambda: run("ballot", "spoil", record, folder, "--board", board),
        check,
    )
    assert places > 25
    verified(record, "voting")


def test_encrypt(voting: Made, tmp_path: Path, environment: pytest.MonkeyPatch) -> None:
    before, work = tmp_path / "before", tmp_path / "work"
    before.mkdir()
    environment.setenv("EVOTE_CODE", voting.credentials[0].code)
    shown: list[int] = []

    def step() -> int:
        if (work / "new" / "ballot.json").exists():
            return 0  # whole, and good to be cast
        shown.append(1)
        return run("ballot", "encrypt", voting.path, work / "new", "--choose", "bridge:yes")

    def check() -> None:
        assert workflow.load_ballot(work / "new").choice.contests == {"bridge": (1, 0)}

    places = killed_everywhere(before, work, step, check)
    assert places > 8
    assert len(shown) > places // 3


@pytest.mark.parametrize("cast_before", [False, True], ids=["kept", "cast"])
def test_a_folder_takes_one_ballot(voting: Made, tmp_path: Path, cast_before: bool) -> None:
    code = voting.credentials[0].code
    choice = workflow.Choice(contests={"bridge": (0, 1)})
    ballots = [workflow.encrypt_ballot(voting.path, code, choice) for _ in range(2)]
    workflow.save_ballot(ballots[0], tmp_path / "b")
    if cast_before:
        workflow.erase_ballot(tmp_path / "b")
    before = {path.name: path.read_bytes() for path in (tmp_path / "b").iterdir()}
    with pytest.raises(ParameterError, match="holds a ballot already"):
        workflow.save_ballot(ballots[1], tmp_path / "b")
    assert {path.name: path.read_bytes() for path in (tmp_path / "b").iterdir()} == before
    if cast_before:
        with pytest.raises(DecodingError, match="was cast or spoiled"):
            workflow.load_ballot(tmp_path / "b")
    else:
        assert workflow.load_ballot(tmp_path / "b") == ballots[0]


def test_the_place_of_a_receipt_is_looked_at_first(
    voting: Made, tmp_path: Path, environment: pytest.MonkeyPatch
) -> None:
    """Whoever forgets `mkdir receipts` has cast nothing, and tries again."""
    work = tmp_path / "work"
    shutil.copytree(voting.path.parent, work)
    record, board = work / "record", work / "operators" / "board"
    taken = tmp_path / "taken.json"
    step = ("ballot", "cast", record, work / "ballot-0", "--board", board, "-o")
    environment.setenv("EVOTE_CODE", voting.credentials[0].code)
    assert run(*step, tmp_path / "receipts" / "mine.json") == 2
    taken.write_text("{}")
    assert run(*step, taken) == 4
    assert entries(record, BallotEntry) == 0
    assert run(*step, tmp_path / "mine.json") == 0

    environment.setenv("EVOTE_CODE", voting.credentials[1].code)
    other = ("ballot", "cast", record, work / "ballot-1", "--board", board, "-o")
    assert run(*other, tmp_path / "mine.json") == 2, "another ballot's receipt"
    assert entries(record, BallotEntry) == 1
    assert run(*other, tmp_path / "other.json") == 0


def test_deliver_is_not_a_way_around_the_checks(voting: Made, tmp_path: Path) -> None:
    work = tmp_path / "work"
    shutil.copytree(voting.path.parent, work)
    record, board = work / "record", work / "operators" / "board"
    ballots = [workflow.load_ballot(work / f"ballot-{i}") for i in range(2)]
    codes = [voter.code for voter in voting.credentials]
    cast = workflow.sign_ballot(record, codes[0], ballots[0], "cast")
    first = workflow.deliver(record, board, cast, PASSPHRASE)
    again = workflow.deliver(record, board, cast, PASSPHRASE)
    assert first.entry == again.entry
    assert first.proof.index == again.proof.index
    for submission in (
        workflow.sign_ballot(record, codes[0], ballots[0], "spoil"),
        workflow.Submission(
            body=cast.body, action="cast", credential=cast.credential, signature=bytes(64)
        ),
    ):
        with pytest.raises(VerificationError, match="submission 0"):
            workflow.deliver(record, board, submission, PASSPHRASE)
    assert entries(record, BallotEntry) == 1


@pytest.fixture(scope="module")
def cast(voting: Made, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both ballots are cast."""
    work = tmp_path_factory.mktemp("cast") / "work"
    shutil.copytree(voting.path.parent, work)
    for i, voter in enumerate(voting.credentials):
        ballot = workflow.load_ballot(work / f"ballot-{i}")
        signed = workflow.sign_ballot(work / "record", voter.code, ballot, "cast")
        workflow.submit(work / "record", work / "operators" / "board", [signed], PASSPHRASE)
    return work


def test_seal_tally_result(cast: Path, tmp_path: Path, environment: pytest.MonkeyPatch) -> None:
    work, before = tmp_path / "work", cast
    operators, record = work / "operators", work / "record"
    board = ("--board", operators / "board")
    seal = ("election", "seal", record, "--authority", operators / "authority-1", *board)
    steps: list[tuple[tuple[str | Path, ...], str]] = [
        (seal, "sealed"),
        (("tally", record, "--jobs", "1", *board), "tallied"),
        (("trustee", "decrypt", record, operators / "trustee-1", "--jobs", "1"), "tallied"),
        (("trustee", "decrypt", record, operators / "trustee-2", "--jobs", "1"), "tallied"),
        (("result", record, *board), "finished"),
    ]
    for number, (step, phase) in enumerate(steps):
        places = killed_everywhere(
            before,
            work,
            lambda step=step: run(*step),  # type: ignore[misc]
            lambda phase=phase: verified(record, phase),  # type: ignore[misc]
        )
        assert places > 9, step
        assert run(*step) == 0, "done before"
        verified(record, phase)
        assert entries(record, Seal) == 1
        before = tmp_path / f"after-{number}"
        shutil.copytree(work, before)


def test_mix(tmp_path: Path, environment: pytest.MonkeyPatch) -> None:
    """Killed before, between and after its units, a mix server goes on; the others take over."""
    made = make_ready(tmp_path / "before", SMALL_MIXED)
    open_small(made)
    vote_small_mixed(made)
    workflow.seal_election(made.path, made.authorities(), made.board, PASSPHRASE)
    work = tmp_path / "work"
    record, operators = work / "record", work / "operators"

    def shuffle(server: str) -> int:
        return run("mix", "shuffle", record, operators / server, "--jobs", "1", "--quiet")

    def check() -> None:
        report, _, units = audited_mixes(record)
        assert report.ok, report.to_text()
        assert [unit.steps for unit in units] == [1, 1]

    assert killed_everywhere(made.path.parent, work, lambda: shuffle("mixer-1"), check) > 12
    assert shuffle("mixer-2") == 0
    assert [unit.steps for unit in audited_mixes(record)[2]] == [2, 2]


def test_a_late_trustee_leaves_the_record_alone(tmp_path: Path) -> None:
    made = make_ready(tmp_path, Plan(voters=PLAN.voters, trustees=3))
    open_small(made)
    finish(made, trustees=(1, 3))
    verified(made.path, "finished")
    with pytest.raises(ParameterError, match="the result is published"):
        workflow.decrypt_share(made.path, made.trustees()[1], PASSPHRASE)
    workflow.decrypt_share(made.path, made.trustees()[0], PASSPHRASE)  # its share is there
    verified(made.path, "finished")


# -- keys and codes --------------------------------------------------------------------------------


def test_init(tmp_path: Path, environment: pytest.MonkeyPatch) -> None:
    before, work = tmp_path / "before", tmp_path / "work"
    before.mkdir()

    def step() -> int:
        if (work / "t" / "card.json").exists():
            return 0
        return run("trustee", "init", work / "t", "--id", "anna")

    def check() -> None:
        assert load_operator(work / "t", PASSPHRASE).card == load_card(work / "t")

    assert killed_everywhere(before, work, step, check) > 8
    (work / "t" / "card.json").unlink()
    assert run("trustee", "init", work / "t", "--id", "bert") == 2
    assert run("trustee", "init", work / "t", "--id", "anna") == 2, "the card is there again"


def test_issue(ready: Made, tmp_path: Path, environment: pytest.MonkeyPatch) -> None:
    before, work = tmp_path / "before", tmp_path / "work"
    shutil.copytree(ready.path.parent, before)
    shutil.rmtree(before / "record" / "roll")
    (before / "voters.csv").write_text("style,count\nall,2\n")
    record, registrar = work / "record", work / "operators" / "registrar-1"
    step = ("registrar", "issue", record, registrar, work / "voters.csv", "-o")

    def check() -> None:
        verified(record, "ready")
        choice = workflow.Choice(contests={"bridge": (1, 0)})
        for line in (work / "codes.csv").read_text().splitlines()[1:]:
            workflow.encrypt_ballot(record, line.split(",")[0], choice)

    assert killed_everywhere(before, work, lambda: run(*step, work / "codes.csv"), check) > 15
    codes = (work / "codes.csv").read_bytes()
    assert run(*step, work / "codes.csv") == 0, "done before"
    assert run(*step, work / "more.csv") == 2
    assert not (work / "more.csv").exists(), "codes of nobody"
    (work / "voters.csv").write_text("style,count\nall,1\n")
    assert run(*step, work / "codes.csv") == 2, "codes for other voters"
    assert (work / "codes.csv").read_bytes() == codes
