"""attacks: F4. Errors of every class that an auditor is known to have missed: each is found."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from nacl.signing import SigningKey

from evote import workflow
from evote.ballots import ballot_digest
from evote.board import (
    COSIGNER_KEY,
    BallotEntry,
    Board,
    Entry,
    NoteSigner,
    Open,
    VerifierKey,
    cosign,
)
from evote.errors import ParameterError
from evote.operators import load_operator
from evote.record import Record
from evote.testing import _forgery, tamper
from evote.testing._forgery import Forgery
from evote.testing.seeded import ERRORS, SeededError, copy_record, seed
from evote.verify import audit
from evote.workflow import RollLine
from tests.records import (
    APPROVAL,
    PASSPHRASE,
    Made,
    Plan,
    cast,
    credentials_of,
    finish,
    make_ready,
    marks,
    open_small,
)

RULES: dict[str, Any] = {"strike": ["voted-on-paper"], "confirm": ["identity-shown"]}
SUMMED = Plan(
    voters=(
        RollLine(style="all", district="north", count=4),
        RollLine(style="all", district="south", count=4),
        RollLine(style="all", district="south", status="provisional", count=3),
    ),
    powers=RULES,
    districts={"min_unit": 1, "small_units_accepted": True},
)
MIXED = Plan(
    contests=tuple({**APPROVAL, "id": name, "blank": "none"} for name in ("up", "down")),
    styles={"up": ["up"], "down": ["down"]},
    voters=(
        RollLine(style="up", count=5),
        RollLine(style="down", count=5),
        RollLine(style="down", status="provisional", count=3),
    ),
    powers=RULES,
    mixers=2,
    mixing={
        "packs": [{"id": "up", "contests": ["up"]}, {"id": "down", "contests": ["down"]}],
        "min_unit": 2,
        "patterns_accepted": True,
    },
)


def rule(made: Made, struck: list[int], confirmed: list[int]) -> None:
    who = (made.path, made.authorities(), made.board, PASSPHRASE)
    workflow.confirm_voters(*who, credentials_of(made, *confirmed), "identity-shown")
    workflow.strike_voters(*who, credentials_of(made, *struck), "voted-on-paper")


def summed(directory: Path) -> Made:
    """Two districts, somebody votes twice, two are struck, one of two provisional voters counts."""
    made = make_ready(directory, SUMMED)
    open_small(made)
    voters = (0, 0, 1, 2, 8, 9, 4, 6, 5)
    cast(made, [(i, marks(i % 2, 1 - i % 2), "cast") for i in voters])
    rule(made, [2, 6], [8])
    finish(made)
    return made


def mixed(directory: Path) -> Made:
    """Two units, two mix servers, and the same."""
    made = make_ready(directory, MIXED)
    open_small(made)
    voters = (0, 0, 1, 2, 3, 10, 11, 5, 7, 6, 8)
    choices = {i: (int(i % 3 == 0), int(i % 3 == 1), 1) for i in voters}
    styles = {i: "up" if i < 5 else "down" for i in voters}
    cast(made, [(i, marks(*choices[i], contest=styles[i]), "cast") for i in voters])
    rule(made, [2, 7], [10])
    finish(made)
    return made


MAKERS: dict[str, Callable[[Path], Made]] = {"summed": summed, "mixed": mixed}
OF_SUMS = {
    "turnout raised",
    "count shifted between districts",
    "vote moved between options",
    "vote added to a sum",
}
OF_MIXES = {
    "turnout raised, of papers",
    "count shifted between units",
    "vote moved on papers",
    "paper replaced in a mix",
    "paper dropped in a mix, another doubled",
    "paper left out of a mix",
    "paper mixed in the place of another",
}
SIGNED = {"seal.signatures"}  # of the root before it, which is another one
SEALED = {*SIGNED, "seal.counted", "mix.form", "mix.proofs", "tally.sums"}  # other ballots count
SHARED = {"shares.proofs", "shares.form", "shares.quorum", "result.votes"}  # of another tally
BESIDE: dict[str, set[str]] = {
    "ghost ballot": {*SIGNED, "policy.counted"},
    "ballot in a voter's name": SEALED,
    "removed ballot": SEALED,
    "duplicate": {*SIGNED, "ballots.nonces", "policy.counted"},
    "shuffled identifiers": {*SEALED, "ballots.credentials"},
    "vote replaced on paper, not removed": SEALED,
    "name taken off a strike": SEALED,
    "confirmation left out": {*SEALED, "policy.signatures"},  # of the strike, which is now first
    "name added to a confirmation": SEALED,
    "cancelled ballot counted": SIGNED,
    "superseded ballot counted": SIGNED,
    "unconfirmed ballot counted": SIGNED,
    "count shifted between districts": {"result.totals"},
    "vote added to a sum": SHARED,
    "decrypted to something else": {"shares.quorum"},
    "paper replaced in a mix": SHARED,
    "paper dropped in a mix, another doubled": SHARED,
    "paper left out of a mix": SHARED,
    "paper mixed in the place of another": SHARED,
}


@pytest.fixture(scope="module", name="made", params=MAKERS)
def make_election(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Made:
    return MAKERS[request.param](tmp_path_factory.mktemp("seeded"))


def signer(made: Made) -> NoteSigner:
    key = load_operator(made.board, PASSPHRASE)
    return NoteSigner(key=Record(made.path).manifest.log_key, sign=key.sign_note)


def insider(made: Made) -> dict[str, Any]:
    """The keys that errors are made with."""
    mixers = {path.name: load_operator(path, PASSPHRASE) for path in made.mixers()}
    return {"board": signer(made), "mixers": mixers}


def test_classes_have_names_of_their_own() -> None:
    names = [error.name for error in ERRORS]
    assert len(set(names)) == len(names)
    assert not (OF_SUMS | OF_MIXES | BESIDE.keys()) - set(names)


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.name)
def test_an_error_is_found_by_its_check(made: Made, tmp_path: Path, error: SeededError) -> None:
    """And by no others than those that rest on what is wrong. The record itself stays as it was."""
    before, copy = tamper.read_files(made.path), tmp_path / "record"
    copy_record(made.path, copy)
    if error.name in (OF_SUMS if made.mixers() else OF_MIXES):
        with pytest.raises(ParameterError):
            seed(copy, error, **insider(made))
        assert tamper.read_files(copy) == before
        return
    seed(copy, error, **insider(made))
    assert tamper.read_files(copy) != before
    report = audit(copy)
    failed = {finding.check for finding in report.failures()}
    assert report.exit_code == 1
    assert error.check in failed
    assert failed - {error.check} <= BESIDE.get(error.name, set())
    assert tamper.read_files(made.path) == before


def test_without_an_error_nothing_is_found(made: Made, tmp_path: Path) -> None:
    """The end of the log written again as it was is the same log, byte for byte."""
    assert audit(made.path).exit_code == 0
    copy, key = tmp_path / "record", SigningKey.generate()
    shutil.copytree(made.path, copy)
    public = VerifierKey(name="witness.example/w", kind=COSIGNER_KEY, public=bytes(key.verify_key))
    witness = NoteSigner(key=public, sign=lambda message: key.sign(message).signature)
    head = copy / "board" / "checkpoint"
    head.write_bytes(cosign(head.read_bytes(), witness, 1_700_000_000))
    before = tamper.read_files(copy)
    Forgery(copy, signer(made), {}).finish()
    assert tamper.read_files(copy) == before


def test_a_mix_is_forged_by_its_server_only(made: Made, tmp_path: Path) -> None:
    copy = tmp_path / "record"
    copy_record(made.path, copy)
    for error in ERRORS:
        if error.name.startswith("paper "):
            with pytest.raises(ParameterError, match=r"nobody has the key|no papers are mixed"):
                seed(copy, error, board=signer(made))
    assert audit(copy).exit_code == 0


def test_what_cannot_be_wrong_is_not_seeded(tmp_path: Path) -> None:
    """One voter, no district, no rulings."""
    made = make_ready(tmp_path, Plan())
    open_small(made)
    cast(made, [(0, marks(1, 0), "cast")])
    finish(made)
    impossible = {
        "shuffled identifiers",
        "vote replaced on paper, not removed",
        "name taken off a strike",
        "confirmation left out",
        "name added to a confirmation",
        "cancelled ballot counted",
        "superseded ballot counted",
        "unconfirmed ballot counted",
        "count shifted between districts",
        *OF_MIXES,
    }
    for error in ERRORS:
        if error.name in impossible:
            with pytest.raises(ParameterError):
                seed(made.path, error, **insider(made))
    assert audit(made.path).exit_code == 0


def test_a_copy_without_links(made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(source: str, target: str) -> None:
        raise OSError("another file system")

    monkeypatch.setattr("os.link", refuse)
    copy_record(made.path, tmp_path / "record")
    assert tamper.read_files(tmp_path / "record") == tamper.read_files(made.path)
    files = (path for path in (tmp_path / "record").rglob("*") if path.is_file())
    assert all(path.stat().st_nlink == 1 for path in files)


@pytest.mark.parametrize("removed", [0, 1, 88, 89, 300, 345])
def test_the_end_of_a_long_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, removed: int
) -> None:
    """Without its last entries it is the log that a board makes that never had them."""
    monkeypatch.setattr(_forgery, "_BUNDLES", 1)
    made = make_ready(tmp_path, Plan())
    bodies = [b"%d" % i for i in range(600)]
    opening = Open(election=bytes(32), manifest=bytes(32), signatures=())
    entries: list[Entry] = [
        BallotEntry(
            action="cast", credential=bytes(32), digest=ballot_digest(body), signature=bytes(64)
        )
        for body in bodies
    ]
    whole, short = tmp_path / "whole", tmp_path / "short"
    for path, count in ((whole, 600), (short, 600 - removed)):
        shutil.copytree(made.path, path)
        with Board(path, signer(made)) as board:
            board.append([opening, *entries[:count]], bodies[:count])
    forgery = Forgery(whole, signer(made), {})
    assert len(forgery.lines) == 345  # of 601 entries, those from bundle 1 on
    del forgery.lines[345 - removed :]
    forgery.finish()
    assert tamper.read_files(whole) == tamper.read_files(short)
    folders = [{p.relative_to(x) for p in x.rglob("*") if p.is_dir()} for x in (whole, short)]
    assert folders[0] == folders[1]
