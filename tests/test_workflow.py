"""Whole elections on files, and what the ballot box refuses."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from evote import _encrypted_ballots, election, operators, workflow
from evote import ballots as ballots_module
from evote.board import OpenedContest, Opening, verify_receipt
from evote.ceremony import trustee_check, trustee_commit, trustee_reveal
from evote.credentials import derive_voter_key, draw_code
from evote.encoding import JSON, canonical_json, parse_json
from evote.errors import (
    DecodingError,
    EvoteError,
    ParameterError,
    QuorumError,
    VerificationError,
)
from evote.groups import concatenate, named_group
from evote.record import Record, rows_path, share_path
from evote.testing import tamper
from evote.verify import audit
from evote.workflow import BallotBox, Choice, RefusedBallot, RollLine, Submission
from tests.records import (
    APPROVAL,
    PASSPHRASE,
    YES_NO,
    Made,
    Plan,
    cast,
    draft,
    enrol,
    finish,
    found,
    make_operators,
    make_ready,
    marks,
    open_small,
    vote_small,
)

SCORE: dict[str, JSON] = {
    "id": "grades",
    "title": "Grades",
    "kind": "score",
    "options": [{"id": name, "title": name.upper()} for name in ("tea", "mate")],
    "option_limit": 3,
    "minimum": 0,
    "maximum": 6,
    "blank": "none",
}
FULL = Plan(
    contests=(YES_NO, APPROVAL, SCORE),
    styles={"town": ["board", "bridge"], "land": ["bridge"], "nobody": ["grades"]},
    trustees=3,
    quorum=2,
    registrars=2,
    authorities=3,
    authority_quorum=2,
    voters=(
        RollLine(style="town", weight=5, count=2),
        RollLine(style="land", district="north", count=2),
    ),
    maximum_weight=5,
)


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """Registrars, authorities, trustees with quorums; styles, weights, blanks; trustee 2 absent."""
    made = make_ready(tmp_path_factory.mktemp("full"), FULL)
    authorities = made.authorities()
    with pytest.raises(QuorumError, match="2 authorities"):
        workflow.open_election(made.path, authorities[:1], made.board, PASSPHRASE)
    with pytest.raises(QuorumError):
        workflow.open_election(made.path, authorities[:1] * 2, made.board, PASSPHRASE)
    workflow.open_election(made.path, authorities[1:], made.board, PASSPHRASE)
    town = Choice(contests={"bridge": (1, 0), "board": (1, 1, 0)})
    blank = Choice(contests={"bridge": (0, 1)}, blank=frozenset({"board"}))
    cast(made, [(0, town, "cast"), (1, blank, "cast"), (2, marks(0, 1), "cast")])
    cast(made, [(3, Choice(contests={}), "cast")])
    workflow.seal_election(made.path, authorities[:2], made.board, PASSPHRASE)
    workflow.compute_tally(made.path, made.board, PASSPHRASE)
    first, _, third = made.trustees()
    workflow.decrypt_share(made.path, third, PASSPHRASE)
    with pytest.raises(QuorumError, match=r"trustees 1, 2$") as caught:
        workflow.publish_result(made.path, made.board, PASSPHRASE)
    assert caught.value.missing == (1, 2)
    workflow.decrypt_share(made.path, first, PASSPHRASE, board_directory=made.board)
    return made


def test_full_election(full: Made) -> None:
    result = workflow.publish_result(full.path, full.board, PASSPHRASE)
    bridge, board, grades = result.contests
    assert (bridge.votes, bridge.ballots, bridge.weight, bridge.undervotes) == ((5, 6), 4, 12, 1)
    assert (board.votes, board.blank, board.undervotes) == ((5, 5, 0), 5, 0)
    assert (grades.votes, grades.ballots) == ((0, 0), 0)
    assert result.trustees == (1, 3)
    report = audit(full.path)
    assert report.exit_code == 0
    assert report.finding("shares.quorum").detail == "no valid shares of trustee 2"
    assert report.finding("seal.signatures").checked == 2
    assert report.finding("roll.signatures").checked == 2
    before = {p: p.read_bytes() for p in full.path.rglob("*") if p.is_file()}
    assert workflow.publish_result(full.path, full.board, PASSPHRASE) == result
    assert {p: p.read_bytes() for p in full.path.rglob("*") if p.is_file()} == before


def test_a_trustee_that_misbehaves_is_named(full: Made, tmp_path: Path) -> None:
    """Its file stops the publication with its name; without it the quorum goes on."""
    path = Path(shutil.copytree(full.path, tmp_path / "record"))
    (path / share_path(2)).write_bytes((path / share_path(1)).read_bytes())
    with pytest.raises(VerificationError, match=r"shares/002.json: the shares of trustee 1"):
        workflow.publish_shares(path, full.board, PASSPHRASE)
    data = (path / share_path(1)).read_bytes().replace(b'"trustee":1', b'"trustee":2')
    (path / share_path(2)).write_bytes(data)
    advice = r"trustee 2.*2 others hold, 2 are needed: take the file away"
    with pytest.raises(VerificationError, match=advice):
        workflow.publish_shares(path, full.board, PASSPHRASE)
    (path / share_path(2)).unlink()
    assert workflow.publish_shares(path, full.board, PASSPHRASE) == []


def test_a_trustee_pins_what_it_decrypts(tmp_path: Path) -> None:
    made = make_ready(tmp_path)
    open_small(made)
    vote_small(made)
    workflow.seal_election(made.path, made.authorities(), made.board, PASSPHRASE)
    workflow.compute_tally(made.path, made.board, PASSPHRASE)
    digest, trustee = Record(made.path).manifest_digest, made.trustees()[0]
    with pytest.raises(VerificationError, match=r"manifest\.digest failed"):
        workflow.decrypt_share(made.path, trustee, PASSPHRASE, expect_manifest=bytes(32))
    assert not (made.path / share_path(1)).exists()
    workflow.decrypt_share(made.path, trustee, PASSPHRASE, expect_manifest=digest)
    assert (made.path / share_path(1)).exists()


def test_seal_needs_a_quorum_of_authorities(full: Made, tmp_path: Path) -> None:
    made = found(tmp_path, FULL, full.operators)
    for directories in ([], made.authorities()[:1], made.authorities()[:1] * 2):
        with pytest.raises((QuorumError, EvoteError)):
            workflow.seal_election(made.path, directories, made.board, PASSPHRASE)


GROUPS = ["belenios-2048", "ffdhe2048"]


@pytest.mark.parametrize("group", GROUPS)
def test_election_modulo_p(tmp_path: Path, group: str) -> None:
    plan = Plan(group=group, trustees=2, quorum=2, voters=(RollLine(style="all", count=2),))
    made = make_ready(tmp_path, plan)
    open_small(made)
    vote_small(made)
    finish(made)
    report = audit(made.path)
    assert report.exit_code == 0, report.to_text()
    assert report.manifest is not None
    assert report.manifest.group == named_group(group)
    assert report.result is not None
    assert report.result.contests[0].votes == (1, 1)


@pytest.mark.parametrize("group", ["ristretto255", "belenios-2048"])
def test_election_on_the_obvious_backend(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, group: str
) -> None:
    """Made by one backend and audited by the other, both ways."""

    def obvious(name: str) -> Any:
        return named_group(name).with_backend("python")

    plan = Plan(group=group, trustees=1, quorum=1, voters=(RollLine(style="all"),))
    with monkeypatch.context() as patch:
        for module in (election, operators):
            patch.setattr(module, "named_group", obvious)
        made = make_ready(tmp_path, plan)
        assert Record(made.path).manifest.group.backend == "python"
        open_small(made)
        cast(made, [(0, marks(1, 0), "cast")])
        finish(made)
        slow = audit(made.path)
    fast = audit(made.path)
    assert fast.exit_code == 0
    assert fast.to_json() == slow.to_json()
    assert fast.manifest is not None
    assert fast.manifest.group.backend == named_group(group).backend


# -- before the opening --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def small_operators(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return make_operators(tmp_path_factory.mktemp("operators"), Plan())


@pytest.fixture
def founded(tmp_path: Path, small_operators: dict[str, Path]) -> Made:
    return found(tmp_path, Plan(), small_operators)


def test_drafts(tmp_path: Path, founded: Made) -> None:
    cards = {name: operators.load_card(path) for name, path in founded.operators.items()}
    given = draft(Plan())
    with pytest.raises(ParameterError, match="exists already"):  # another nonce, another election
        workflow.new_election(founded.path, given, cards=cards)
    again = workflow.new_election(tmp_path / "again", given, cards=cards)
    assert again.nonce != Record(founded.path).manifest.nonce
    absent = {name: card for name, card in cards.items() if name != "trustee-2"}
    with pytest.raises(ParameterError, match="no card of operator 'trustee-2'"):
        workflow.new_election(tmp_path / "x", given, cards=absent)
    with pytest.raises(DecodingError, match=r"^draft: \$\.quorum"):
        workflow.new_election(tmp_path / "x", {**given, "quorum": 3}, cards=cards)
    with pytest.raises(DecodingError, match="unknown field 'colour'"):
        workflow.new_election(tmp_path / "x", {**given, "colour": "red"}, cards=cards)
    with pytest.raises(DecodingError, match=r"^draft: "):
        workflow.new_election(tmp_path / "x", b"[]")
    assert not (tmp_path / "x").exists()


def test_drafts_of_mixed_elections(tmp_path: Path) -> None:
    """What is not said about mixing is filled in; the mixers are taken from their cards."""
    packs: list[JSON] = [{"id": "p", "contests": ["bridge"]}]
    plan = Plan(mixers=2, mixing={"packs": packs}, voters=(RollLine(style="all", count=40),))
    made = found(tmp_path, plan, make_operators(tmp_path, plan))
    manifest = Record(made.path).manifest
    cards = tuple(operators.load_card(path) for path in made.mixers())
    assert [card.id for card in manifest.mixers] == ["mixer-1", "mixer-2"]
    assert manifest.mixers == cards
    mixing = manifest.mixing
    assert mixing is not None
    assert (mixing.min_unit, mixing.small_units_accepted, mixing.patterns_accepted) == (
        election.MIN_UNIT,
        False,
        False,
    )
    known = {name: operators.load_card(path) for name, path in made.operators.items()}
    given = draft(plan)
    changes: list[tuple[dict[str, JSON], str]] = [
        ({"packs": packs}, r"\$\.mixing\.mixers"),
        ({"mixers": ["mixer-1"]}, r"\$\.mixing"),
        ({"mixers": ["mixer-1", "mixer-1"], "packs": packs}, r"\$\.mixing\.mixers\[1\]\.id"),
    ]
    for change, place in changes:
        with pytest.raises(DecodingError, match=rf"^draft: {place}"):
            workflow.new_election(tmp_path / "x", {**given, "mixing": change}, cards=known)
    again: dict[str, JSON] = {"mixers": ["mixer-3"], "packs": packs}
    with pytest.raises(ParameterError, match="no card of operator 'mixer-3'"):
        workflow.new_election(tmp_path / "x", {**given, "mixing": again}, cards=known)


@pytest.mark.parametrize(
    "lines",
    [
        [RollLine(style="none")],
        [RollLine(style="all", weight=2)],
        [RollLine(style="all", weight=0)],
        [RollLine(style="all", count=4)],
        [RollLine(style="all", count=4), RollLine(style="all", count=-2)],
    ],
)
def test_credentials_within_the_manifest(founded: Made, lines: list[RollLine]) -> None:
    with pytest.raises(ParameterError):
        workflow.draw_credentials(founded.path, lines)
    assert len(workflow.draw_credentials(founded.path, [RollLine(style="all", count=3)])) == 3


def test_codes_are_not_printed(founded: Made) -> None:
    [credential] = workflow.draw_credentials(founded.path, [RollLine(style="all")])
    assert credential.code not in repr(credential)


def test_rolls_are_published_once(founded: Made) -> None:
    lines = [RollLine(style="all", count=3)]
    registrar = founded.operators["registrar-1"]
    credentials = workflow.issue_credentials(founded.path, registrar, lines, PASSPHRASE)
    header = Record(founded.path).roll_header()
    with pytest.raises(ParameterError, match="roll already"):
        workflow.publish_roll(founded.path, registrar, credentials[:2], PASSPHRASE)
    assert Record(founded.path).roll_header() == header


def test_the_second_registrar_checks(tmp_path: Path, full: Made) -> None:
    made = found(tmp_path, FULL, full.operators)
    first, second = (made.operators[f"registrar-{i}"] for i in (1, 2))
    workflow.issue_credentials(made.path, first, FULL.voters, PASSPHRASE)
    rows = made.path / rows_path(0)
    honest = rows.read_bytes()
    rows.write_bytes(honest.replace(b'"weight":1}', b'"weight":2}', 1))
    with pytest.raises(VerificationError, match="do not have the signed root"):
        workflow.cosign_roll(made.path, second, PASSPHRASE)
    rows.write_bytes(honest.replace(b'"weight":1}', b'"weight":6}', 1))
    with pytest.raises(DecodingError, match="above the maximum 5"):
        workflow.cosign_roll(made.path, second, PASSPHRASE)
    rows.write_bytes(honest)
    workflow.cosign_roll(made.path, second, PASSPHRASE)
    once = Record(made.path).roll_header()
    workflow.cosign_roll(made.path, second, PASSPHRASE)
    assert Record(made.path).roll_header() == once
    assert b"registrar-2" in once


def test_operators_do_their_own_work_only(founded: Made) -> None:
    lines = [RollLine(style="all")]
    with pytest.raises(ParameterError, match="registrar"):
        workflow.issue_credentials(founded.path, founded.board, lines, PASSPHRASE)
    with pytest.raises(DecodingError, match="wrong passphrase"):
        workflow.issue_credentials(
            founded.path, founded.operators["registrar-1"], lines, "another passphrase"
        )
    assert not Record(founded.path).has("roll/roll.json")


def test_a_stranger_with_the_right_name(founded: Made, tmp_path: Path) -> None:
    strangers = make_operators(tmp_path / "strangers", Plan())
    with pytest.raises(ParameterError, match="not the key that the manifest has"):
        workflow.issue_credentials(
            founded.path, strangers["registrar-1"], [RollLine(style="all")], PASSPHRASE
        )


def test_opening_before_the_election_is_ready(founded: Made) -> None:
    def refused() -> None:
        with pytest.raises(VerificationError, match="not checked"):
            workflow.open_election(founded.path, founded.authorities(), founded.board, PASSPHRASE)
        assert not Record(founded.path).has("board/checkpoint")

    refused()
    workflow.issue_credentials(
        founded.path, founded.operators["registrar-1"], [RollLine(style="all")], PASSPHRASE
    )
    refused()
    for step in (trustee_commit, trustee_reveal):
        for trustee in founded.trustees():
            step(trustee, founded.path, PASSPHRASE)
        refused()
    for trustee in founded.trustees():
        assert trustee_check(trustee, founded.path, PASSPHRASE).ok
    workflow.open_election(founded.path, founded.authorities(), founded.board, PASSPHRASE)


def test_steps_out_of_order(founded: Made) -> None:
    enrol(founded)
    with pytest.raises(EvoteError):
        workflow.seal_election(founded.path, founded.authorities(), founded.board, PASSPHRASE)
    with pytest.raises(EvoteError):
        workflow.compute_tally(founded.path, founded.board, PASSPHRASE)
    with pytest.raises(VerificationError, match="no ballots while the log is empty"):
        workflow.open_ballot_box(founded.path, founded.board, PASSPHRASE)


# -- the ballot box ------------------------------------------------------------------------------

TWO = Plan(
    styles={"all": ["bridge"], "other": ["bridge"]},
    trustees=1,
    quorum=1,
    voters=(RollLine(style="all", count=3), RollLine(style="other")),
)


class Booth:
    """An open election, voters' codes, and the box."""

    def __init__(self, made: Made, box: BallotBox) -> None:
        self.made, self.box = made, box
        self.codes = [item.code for item in made.credentials]

    def ballot(self, voter: int = 0, *votes: int) -> workflow.EncryptedBallot:
        choice = marks(*(votes or (1, 0)))
        return workflow.encrypt_ballot(self.made.path, self.codes[voter], choice)

    def sign(
        self, ballot: workflow.EncryptedBallot, voter: int = 0, action: Any = "cast"
    ) -> Submission:
        return workflow.sign_ballot(self.made.path, self.codes[voter], ballot, action)

    def fresh(self, voter: int = 0, action: Any = "cast") -> Submission:
        return self.sign(self.ballot(voter), voter, action)

    def resigned(self, body: bytes, voter: int = 0) -> Submission:
        """A body that the voter's client was made to sign, whatever it is."""
        return self.sign(replace(self.ballot(voter), body=body), voter)

    def refuse(self, submissions: list[Submission], message: str) -> None:
        """The box says why, and nothing has changed; an honest ballot is taken in afterwards."""
        files = {p: p.read_bytes() for p in self.made.path.rglob("*") if p.is_file()}
        with pytest.raises(EvoteError, match=message):
            self.box.submit(submissions)
        assert {p: p.read_bytes() for p in self.made.path.rglob("*") if p.is_file()} == files


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Made:
    made = make_ready(tmp_path_factory.mktemp("opened"), TWO)
    open_small(made)
    return made


@pytest.fixture
def booth(opened: Made, tmp_path: Path) -> Iterator[Booth]:
    path = Path(shutil.copytree(opened.path, tmp_path / "record"))
    made = replace(opened, path=path)
    with workflow.open_ballot_box(path, made.board, PASSPHRASE) as box:
        yield Booth(made, box)


def flip(data: bytes, position: int) -> bytes:
    return data[:position] + bytes([data[position] ^ 1]) + data[position + 1 :]


def other_code(booth: Booth) -> Submission:
    """Signed by a key that is on no roll."""
    honest = booth.fresh()
    base = workflow.load_parameters(booth.made.path).base_id
    key = derive_voter_key(draw_code(), base)
    election_id = workflow.load_parameters(booth.made.path).election_id
    signature = key.sign_ballot(election_id, honest.digest, "cast")
    return replace(honest, credential=key.credential, signature=signature)


BAD: dict[str, tuple[Callable[[Booth], Submission], str]] = {
    "stranger": (other_code, "not on the roll"),
    "signature": (
        lambda b: replace((s := b.fresh()), signature=flip(s.signature, 3)),
        "signature is not that of its credential",
    ),
    "another word": (
        lambda b: replace(b.fresh(action="spoil"), action="cast"),
        "signature is not that of its credential",
    ),
    "no word": (lambda b: replace(b.fresh(), action="burn"), "cast or spoiled, not 'burn'"),  # type: ignore[arg-type]
    "another's name": (
        lambda b: replace(b.fresh(0), credential=b.fresh(1).credential),
        "signature is not that of its credential",
    ),
    "another's ballot": (
        lambda b: b.sign(replace(b.ballot(1), credential=b.ballot(0).credential), 0),
        "bound to another credential",
    ),
    "short": (lambda b: b.resigned(b.ballot().body[:-1]), "not JSON"),
    "line feed": (lambda b: b.resigned(b.ballot().body + b"\n"), "not canonical"),
    "nothing": (lambda b: b.resigned(b""), "not JSON"),
    "another style": (
        lambda b: b.resigned(b.ballot().body.replace(b'"style":"all"', b'"style":"other"')),
        "a ballot of style 'other', not 'all'",
    ),
    "no such style": (
        lambda b: b.resigned(b.ballot().body.replace(b'"style":"all"', b'"style":"none"')),
        "one of all, other expected",
    ),
    "another election": (
        lambda b: b.resigned(edited(b.ballot().body, "election", "00" * 32)),
        "of another election",
    ),
    "another's ciphertexts": (
        lambda b: b.resigned(
            edited(b.ballot(0).body, "contests", parse(b.ballot(1).body)["contests"])
        ),
        "the proofs do not hold",
    ),
}


def parse(body: bytes) -> dict[str, Any]:
    value = parse_json(body)
    assert isinstance(value, dict)
    return value


def edited(body: bytes, key: str, value: JSON) -> bytes:
    return canonical_json({**parse(body), key: value})


@pytest.mark.parametrize(("make", "message"), BAD.values(), ids=BAD)
def test_refused_submissions(
    booth: Booth, make: Callable[[Booth], Submission], message: str
) -> None:
    """Alone, and as the second of two: then the first is not taken in either."""
    bad = make(booth)
    booth.refuse([bad], message)
    booth.refuse([booth.fresh(2), bad], message)
    assert len(booth.box.submit([booth.fresh()])) == 1


def test_all_or_none_and_receipts(booth: Booth) -> None:
    submissions = [booth.fresh(0), booth.fresh(1), booth.fresh(3)]
    receipts = booth.box.submit(submissions)
    log_key = Record(booth.made.path).manifest.log_key
    for receipt, submission in zip(receipts, submissions, strict=True):
        assert verify_receipt(receipt, log_key).entry == submission.entry
    assert booth.box.submit([]) == []
    assert len(list(Record(booth.made.path).ballots())) == 3
    assert audit(booth.made.path, phase="voting").exit_code == 0


def test_replays(booth: Booth) -> None:
    """Attack C1: the same ballot again, at once, later, or after the box was opened again."""
    first = booth.fresh()
    booth.refuse([first, first], "a ciphertext of another ballot")
    booth.box.submit([first])
    booth.refuse([first], "submission 0: a ciphertext of another ballot")
    booth.refuse([booth.fresh(1), first], "submission 1: a ciphertext of another ballot")
    booth.box.__exit__(None, None, None)
    with workflow.open_ballot_box(booth.made.path, booth.made.board, PASSPHRASE) as again:
        booth.box = again
        booth.refuse([first], "a ciphertext of another ballot")
        again.submit([booth.fresh()])


@pytest.mark.parametrize("order", [("spoil", "cast"), ("cast", "spoil")])
def test_one_ballot_one_fate(booth: Booth, order: tuple[str, str]) -> None:
    """Attack C15: a spoiled ballot is never cast, nor a cast one spoiled."""
    ballot = booth.ballot()
    first, second = (booth.sign(ballot, 0, action) for action in order)
    booth.box.submit([first])
    booth.refuse([second], "a ciphertext of another ballot")


def test_ciphertexts_of_a_spoiled_ballot(booth: Booth, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same nonces under new proofs: the opened ballot would open the cast one."""
    seeded = partial(ballots_module.encrypt_ballots, seeds=[bytes(range(32))])
    monkeypatch.setattr(_encrypted_ballots, "encrypt_ballots", seeded)
    spoiled, again = booth.ballot(), booth.ballot()
    monkeypatch.undo()
    assert spoiled.body != again.body
    booth.box.submit([booth.sign(spoiled, 0, "spoil")])
    booth.refuse([booth.sign(again)], "a ciphertext of another ballot")


def test_a_nonce_twice_in_one_ballot(booth: Booth, monkeypatch: pytest.MonkeyPatch) -> None:
    """An audit would hold it against the record: one voter must not be able to spoil them all."""
    real = ballots_module._nonces

    def twice(*arguments: Any) -> Any:
        nonces = real(*arguments)
        return concatenate([nonces[:, :1], nonces[:, :1]], axis=1)

    with monkeypatch.context() as patch:
        patch.setattr(ballots_module, "_nonces", twice)
        bad = booth.fresh()
    booth.refuse([bad], "submission 0: it uses a nonce twice")


def test_voters_who_cancel_each_other_out(booth: Booth, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two who choose their nonces together make the sum's first half neutral, and get a result."""
    real = ballots_module._nonces

    def opposite(*arguments: Any) -> Any:
        nonces = real(*arguments)
        return concatenate([nonces[:1], -nonces[:1]], axis=0)

    made = booth.made
    with monkeypatch.context() as patch:
        patch.setattr(ballots_module, "_nonces", opposite)
        voters = [(booth.codes[i], marks(1, 0)) for i in range(2)]
        ballots = workflow.encrypt_ballots(made.path, voters)
    booth.box.submit([booth.sign(ballot, i) for i, ballot in enumerate(ballots)])
    booth.box.__exit__(None, None, None)
    finish(made)
    report = audit(made.path)
    assert report.exit_code == 0, report.to_text()
    assert report.result is not None
    assert report.result.contests[0].votes == (2, 0)


@pytest.mark.parametrize("policy", ["revote", "spoil"])
def test_forbidden_by_the_manifest(
    tmp_path: Path, small_operators: dict[str, Path], policy: str
) -> None:
    made = found(tmp_path, replace(Plan(), **{policy: "forbidden"}), small_operators)  # type: ignore[arg-type]
    enrol(made)
    open_small(made)
    with workflow.open_ballot_box(made.path, made.board, PASSPHRASE) as box:
        booth = Booth(made, box)
        if policy == "spoil":
            booth.refuse([booth.fresh(action="spoil")], "this election spoils no ballots")
            return
        booth.refuse([booth.fresh(), booth.fresh()], "submission 1: this voter has cast a ballot")
        box.submit([booth.fresh(action="spoil"), booth.fresh()])
        booth.refuse([booth.fresh()], "submission 0: this voter has cast a ballot")
        box.submit([booth.fresh(action="spoil"), booth.fresh(1)])
    assert audit(made.path, phase="voting").exit_code == 0


def test_the_board_is_sealed(tmp_path: Path, small_operators: dict[str, Path]) -> None:
    made = found(tmp_path, Plan(), small_operators)
    enrol(made)
    open_small(made)
    code = made.credentials[0].code
    ballot = workflow.encrypt_ballot(made.path, code, marks(1, 0))
    late = workflow.sign_ballot(made.path, code, ballot, "cast")
    workflow.seal_election(made.path, made.authorities(), made.board, PASSPHRASE)
    files = tamper.read_files(made.path)
    with pytest.raises(RefusedBallot, match="no ballots while the log is sealed") as caught:
        workflow.submit(made.path, made.board, [late], PASSPHRASE)
    assert caught.value.refusal is not None  # the board answers, and signs that it does not
    with pytest.raises(RefusedBallot, match="no ballots while the log is sealed"):
        workflow.open_spoiled(made.path, made.board, ballot, PASSPHRASE)
    assert tamper.read_files(made.path) == files


def test_a_roll_changed_behind_the_signatures(booth: Booth) -> None:
    """Nobody encrypts for it, takes ballots in under it, or signs what it counts."""
    made = booth.made
    booth.box.__exit__(None, None, None)
    rows = made.path / rows_path(0)
    rows.write_bytes(rows.read_bytes().replace(b'"style":"other"', b'"style":"all"'))
    for step in (
        lambda: booth.ballot(),
        lambda: workflow.open_ballot_box(made.path, made.board, PASSPHRASE),
        lambda: workflow.seal_election(made.path, made.authorities(), made.board, PASSPHRASE),
    ):
        with pytest.raises(VerificationError, match="do not have the signed root"):
            step()


# -- openings ------------------------------------------------------------------------------------


@pytest.fixture
def spoiled(booth: Booth) -> tuple[Booth, Opening]:
    ballot = booth.ballot()
    booth.box.submit([booth.sign(ballot, 0, "spoil")])
    return booth, workflow.opening_of(ballot, workflow.load_parameters(booth.made.path))


def test_opening(spoiled: tuple[Booth, Opening]) -> None:
    booth, opening = spoiled
    receipt = booth.box.open(opening)
    assert verify_receipt(receipt, Record(booth.made.path).manifest.log_key).entry == opening
    with pytest.raises(VerificationError, match="open already"):
        booth.box.open(opening)
    report = audit(booth.made.path, phase="voting")
    assert report.exit_code == 0
    assert report.finding("spoiled.openings").checked == 1


ANSWER = OpenedContest(id="bridge", selections=(0, 1))
FALSE: dict[str, tuple[Callable[[Opening], Opening], str]] = {
    "another choice": (lambda o: replace(o, contests=(ANSWER,)), "do not open to these selections"),
    "another seed": (lambda o: replace(o, seed=bytes(32)), "do not open to these selections"),
    "short seed": (lambda o: replace(o, seed=o.seed[:31]), "no ballot can have"),
    "overvote": (
        lambda o: replace(o, contests=(replace(ANSWER, selections=(1, 1)),)),
        "no ballot can have",
    ),
    "nothing": (lambda o: replace(o, contests=()), "lists each contest of the ballot once"),
    "twice": (lambda o: replace(o, contests=(ANSWER, *o.contests)), "lists each contest"),
    "unknown": (
        lambda o: replace(o, contests=(*o.contests, replace(ANSWER, id="tower"))),
        "lists each contest",
    ),
    "blank": (
        lambda o: replace(o, contests=(replace(o.contests[0], blank=0),)),
        "lists each contest",
    ),
    "not spoiled": (lambda o: replace(o, ballot=bytes(32)), "not among the spoiled ones"),
}


@pytest.mark.parametrize(("change", "message"), FALSE.values(), ids=FALSE)
def test_false_openings(
    spoiled: tuple[Booth, Opening], change: Callable[[Opening], Opening], message: str
) -> None:
    booth, opening = spoiled
    with pytest.raises(VerificationError, match=message):
        booth.box.open(change(opening))
    booth.box.open(opening)


def test_cast_ballots_stay_closed(booth: Booth) -> None:
    ballot = booth.ballot()
    booth.box.submit([booth.sign(ballot)])
    opening = workflow.opening_of(ballot, workflow.load_parameters(booth.made.path))
    with pytest.raises(VerificationError, match="not among the spoiled ones"):
        booth.box.open(opening)


# -- the voter's device --------------------------------------------------------------------------


def test_ballots_are_kept_and_erased(booth: Booth, tmp_path: Path) -> None:
    """attacks: C14"""
    ballot = booth.ballot()
    place = tmp_path / "device"
    workflow.save_ballot(ballot, place)
    loaded = workflow.load_ballot(place)
    assert (loaded.body, loaded.seed, loaded.tracker) == (ballot.body, ballot.seed, ballot.tracker)
    assert dict(loaded.choice.contests) == dict(ballot.choice.contests)
    body = (place / "ballot.json").read_bytes()
    (place / "ballot.json").write_bytes(booth.ballot().body)
    with pytest.raises(DecodingError, match="not the ballot of this secret"):
        workflow.load_ballot(place)
    (place / "ballot.json").write_bytes(body)
    workflow.erase_ballot(place)
    workflow.erase_ballot(place)
    assert [p.name for p in place.iterdir()] == ["ballot.json"]
    with pytest.raises(DecodingError, match="missing"):
        workflow.load_ballot(place)


def test_secrets_are_not_printed(booth: Booth) -> None:
    ballot = booth.ballot()
    assert ballot.seed.hex() not in repr(ballot)
    assert repr(ballot.seed) not in repr(ballot)
    assert "bridge" not in repr(ballot.choice)


def test_choices_that_cannot_be_encrypted(booth: Booth) -> None:
    path, code = booth.made.path, booth.codes[0]
    for choice, message in (
        (marks(1, 1), "overvote"),
        (marks(1), "selections"),
        (Choice(contests={"tower": (1, 0)}), "no contest 'tower'"),
        (Choice(contests={}, blank=frozenset({"bridge"})), "counts no blanks"),
    ):
        with pytest.raises(ParameterError, match=message):
            workflow.encrypt_ballot(path, code, choice)
    with pytest.raises(ParameterError, match="voter 1: the code is not on the roll"):
        workflow.encrypt_ballots(path, [(code, marks(1, 0)), (draw_code(), marks(1, 0))])
    with pytest.raises(ParameterError, match="for another code"):
        workflow.sign_ballot(path, booth.codes[1], booth.ballot(0), "cast")


def test_many_ballots_in_two_processes(booth: Booth) -> None:
    """More than one job's worth, of two styles: the order is that of the voters."""
    codes = booth.codes
    voters = [(codes[3 * (i % 2)], marks(int(i % 3 == 0), int(i % 3 == 1))) for i in range(130)]
    seen: list[int] = []
    made = workflow.encrypt_ballots(
        booth.made.path, voters, jobs=2, progress=lambda _, done, total: seen.append(done)
    )
    assert [ballot.style for ballot in made] == ["all", "other"] * 65
    assert [tuple(b.choice.contests["bridge"]) for b in made] == [
        c.contests["bridge"] for _, c in voters
    ]
    assert seen[-1] == 130
    signed = workflow.sign_ballots(
        booth.made.path, [(code, b, "cast") for (code, _), b in zip(voters, made, strict=True)]
    )
    assert len(booth.box.submit(signed, jobs=2)) == 130
