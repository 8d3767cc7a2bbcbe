"""Disputes: whoever lies is found out by files alone, and whoever does not is believed."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from evote import _encrypted_ballots, cli, workflow
from evote._refusals import (
    REASONS,
    Refusal,
    RefusedBallot,
    decode_refusal,
    encode_refusal,
    sign_refusal,
    verify_refusal,
)
from evote._rulings import open_board
from evote.ballots import encrypt_ballots
from evote.board import Board, NoteSigner, Receipt, encode_entry, encode_receipt
from evote.disputes import (
    Answer,
    Dispute,
    Judgment,
    Verdict,
    answer_dispute,
    decode_answer,
    decode_dispute,
    encode_answer,
    encode_dispute,
    judge,
)
from evote.encoding import canonical_json
from evote.errors import DecodingError, EvoteError, VerificationError
from evote.operators import load_operator
from evote.record import Record, file_digest
from evote.testing import tamper
from evote.workflow import Submission
from tests.records import PASSPHRASE, Made, Plan, make_ready, marks, open_small

PLAN = Plan(
    trustees=1, quorum=1, revote="forbidden", spoil="forbidden", powers={"phase": ["schedule"]}
)


@pytest.fixture(scope="module", name="opened")
def make_opened(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """Voter 0 has voted; 1 and 2 have not."""
    made = make_ready(tmp_path_factory.mktemp("disputes"), PLAN)
    open_small(made)
    workflow.submit(made.path, made.board, [ballot_of(made, 0)], PASSPHRASE)
    return made


@pytest.fixture(name="made")
def make_copy(opened: Made, tmp_path: Path) -> Made:
    """Of its own for each test."""
    return replace(opened, path=Path(shutil.copytree(opened.path, tmp_path / "record")))


def ballot_of(made: Made, voter: int, action: Any = "cast") -> Submission:
    code = made.credentials[voter].code
    ballot = workflow.encrypt_ballot(made.path, code, marks(1, 0))
    return workflow.sign_ballot(made.path, code, ballot, action)


def submit(made: Made, item: Submission) -> Receipt:
    return workflow.submit(made.path, made.board, [item], PASSPHRASE)[0]


def refused(made: Made, item: Submission) -> Refusal:
    with pytest.raises(RefusedBallot) as caught:
        workflow.submit(made.path, made.board, [item], PASSPHRASE)
    refusal = caught.value.refusal
    assert refusal is not None
    assert refusal.reason == caught.value.reason
    assert refusal.entry == encode_entry(item.entry)
    return refusal


def refuse(made: Made, item: Submission, reason: str) -> Refusal:
    """What a board signs that refuses as it likes."""
    key = load_operator(made.board, PASSPHRASE)
    election = workflow.load_parameters(made.path).election_id
    head = Record(made.path).checkpoint_bytes()
    return sign_refusal(key, election, encode_entry(item.entry), reason, head)


def claim(item: Submission, refusal: Refusal) -> bytes:
    return encode_dispute(Dispute(evidence=refusal, body=item.body))


def lost(receipt: Receipt) -> bytes:
    return encode_dispute(Dispute(evidence=receipt))


def says(judgment: Judgment, verdict: Verdict, words: str) -> None:
    assert judgment.verdict is verdict, judgment
    assert words in judgment.reason


# -- refused ---------------------------------------------------------------------------------------


def closed(made: Made) -> Submission:
    item = ballot_of(made, 1)
    who = (made.path, made.authorities(), made.board, PASSPHRASE)
    workflow.set_phase(*who, "closed", "schedule")
    return item


def sealed(made: Made) -> Submission:
    item = ballot_of(made, 1)
    workflow.seal_election(made.path, made.authorities(), made.board, PASSPHRASE)
    return item


def stranger(made: Made) -> Submission:
    return replace(ballot_of(made, 1), credential=bytes([9]) * 32)


def another_ballot(made: Made) -> Submission:
    """Somebody else's, under the voter's own signature."""
    code = made.credentials[1].code
    mine = workflow.encrypt_ballot(made.path, code, marks(1, 0))
    theirs = workflow.encrypt_ballot(made.path, made.credentials[2].code, marks(0, 1))
    taken = replace(mine, body=theirs.body)
    return workflow.sign_ballot(made.path, code, taken, "cast")


def seeded(made: Made) -> Submission:
    """A ballot whose nonces those of a ballot on the board are."""
    code, patch = made.credentials[1].code, pytest.MonkeyPatch()
    with patch.context() as patched:
        seeded_alike = partial(encrypt_ballots, seeds=[bytes(32)])
        patched.setattr(_encrypted_ballots, "encrypt_ballots", seeded_alike)
        first, second = (workflow.encrypt_ballot(made.path, code, marks(1, 0)) for _ in range(2))
    items = [workflow.sign_ballot(made.path, code, ballot, "cast") for ballot in (first, second)]
    with open_board(made.path, made.board, PASSPHRASE) as board:
        # A board that takes in a ballot twice: its own box would not.
        board.append([replace(items[0].entry, credential=items[0].credential)], [items[0].body])
    return items[1]


INVALID: dict[str, Callable[[Made], Submission]] = {
    "closed": closed,
    "voter": stranger,
    "signature": lambda made: replace(ballot_of(made, 1), signature=bytes(64)),
    "spoil": lambda made: ballot_of(made, 1, "spoil"),
    "revote": lambda made: ballot_of(made, 0),
    "ballot": another_ballot,
}


@pytest.mark.parametrize("reason", INVALID)
def test_a_ballot_that_is_rightly_refused(made: Made, reason: str) -> None:
    """The board says which reason it has, signs it, and is right; whoever judges finds the same."""
    item = INVALID[reason](made)
    refusal = refused(made, item)
    assert refusal.reason == reason
    election = workflow.load_parameters(made.path).election_id
    head = verify_refusal(Record(made.path).manifest, election, refusal)
    assert head.size == Record(made.path).checkpoint().size
    says(judge(made.path, claim(item, refusal)), Verdict.UNFOUNDED, "rightly refused")
    another = next(code for code in REASONS if code != reason)
    judgment = judge(made.path, claim(item, refuse(made, item, another)))
    says(judgment, Verdict.UNFOUNDED, "gave another reason")


def test_no_ballot_after_the_seal(made: Made) -> None:
    item = sealed(made)
    refusal = refused(made, item)
    assert refusal.reason == "closed"
    says(judge(made.path, claim(item, refusal)), Verdict.UNFOUNDED, "no ballots are taken")


def test_a_copied_ciphertext(opened: Made, tmp_path: Path) -> None:
    """attacks: C1"""
    plan = replace(PLAN, revote="last")
    made = make_ready(tmp_path, plan)
    open_small(made)
    item = seeded(made)
    says(judge(made.path, claim(item, refuse(made, item, "copy"))), Verdict.UNFOUNDED, "occurs")
    honest = ballot_of(made, 1)
    judgment = judge(made.path, claim(honest, refuse(made, honest, "copy")))
    says(judgment, Verdict.BOARD, "refused a valid ballot")


@pytest.mark.parametrize("reason", REASONS)
def test_a_valid_ballot_that_is_refused(made: Made, reason: str) -> None:
    """Whatever the board says: the ballot was valid under the head that it named."""
    item = ballot_of(made, 1)
    dispute = claim(item, refuse(made, item, reason))
    says(judge(made.path, dispute), Verdict.BOARD, "refused a valid ballot under a head of 2")
    closed(made)  # what comes later is no excuse
    says(judge(made.path, dispute), Verdict.BOARD, "refused a valid ballot under a head of 2")


def test_the_board_takes_it_in_after_all(made: Made) -> None:
    item = ballot_of(made, 1)
    dispute = claim(item, refuse(made, item, "ballot"))
    answer = encode_answer(answer_dispute(made.path, made.board, dispute, PASSPHRASE))
    says(judge(made.path, dispute, answer), Verdict.UNFOUNDED, "taken it in since: entry 2")
    assert answer_dispute(made.path, made.board, dispute, PASSPHRASE) == decode_answer(answer)
    other = claim(ballot_of(made, 2), refuse(made, ballot_of(made, 2), "ballot"))
    says(judge(made.path, other, answer), Verdict.UNFOUNDED, "refusal shows nothing")


def test_the_board_refuses_again(made: Made) -> None:
    """Rightly, or not: one false refusal is enough."""
    item = closed(made)
    dispute = claim(item, refused(made, item))
    answer = answer_dispute(made.path, made.board, dispute, PASSPHRASE)
    assert isinstance(answer.evidence, Refusal)
    says(judge(made.path, dispute, encode_answer(answer)), Verdict.UNFOUNDED, "rightly refused")
    who = (made.path, made.authorities(), made.board, PASSPHRASE)
    workflow.set_phase(*who, "voting", "schedule")
    later = replace(answer, evidence=refuse(made, item, "closed"))
    says(judge(made.path, dispute, encode_answer(later)), Verdict.BOARD, "refused a valid ballot")


def test_refusals_that_the_board_never_gave(made: Made) -> None:
    """attacks: F7. A voter who makes one up, or changes it, shows nothing."""
    item = ballot_of(made, 1)
    true = refuse(made, item, "ballot")
    mine = load_operator(made.authorities()[0], PASSPHRASE)
    election = workflow.load_parameters(made.path).election_id
    forged = [
        sign_refusal(mine, election, true.entry, true.reason, true.checkpoint),
        replace(true, reason="closed"),
        replace(true, entry=encode_entry(ballot_of(made, 2).entry)),
        replace(true, signature=bytes(64)),
        replace(true, checkpoint=true.checkpoint.replace(b"2\n", b"1\n", 1)),
    ]
    for refusal in forged:
        says(judge(made.path, claim(item, refusal)), Verdict.UNFOUNDED, "refusal shows nothing")
    other = encode_dispute(Dispute(evidence=true, body=ballot_of(made, 1).body))
    says(judge(made.path, other), Verdict.UNFOUNDED, "of another ballot")


# -- lost ------------------------------------------------------------------------------------------


def test_a_receipt_of_what_is_there(made: Made) -> None:
    receipt = submit(made, ballot_of(made, 1))
    says(judge(made.path, lost(receipt)), Verdict.UNFOUNDED, "entry 2 of the record's log")
    submit(made, ballot_of(made, 2))
    says(judge(made.path, lost(receipt)), Verdict.UNFOUNDED, "entry 2 of the record's log")


def test_a_lost_ballot(made: Made, tmp_path: Path) -> None:
    """attacks: C7, F1, F3. The board gives a receipt, and goes on without the ballot."""
    before = Path(shutil.copytree(made.path, tmp_path / "before"))
    receipt = submit(made, ballot_of(made, 1))
    dispute = lost(receipt)
    says(judge(before, dispute), Verdict.OPEN, "the board has not answered")
    forked = replace(made, path=before)
    with pytest.raises(VerificationError, match="does not have that entry"):
        answer_dispute(before, made.board, dispute, PASSPHRASE)
    submit(forked, ballot_of(made, 2))
    says(judge(before, dispute), Verdict.BOARD, "signed two logs")
    with pytest.raises(VerificationError, match="does not have that entry"):
        answer_dispute(before, made.board, dispute, PASSPHRASE)
    says(judge(made.path, dispute), Verdict.UNFOUNDED, "entry 2")


def test_an_old_copy_of_the_record(made: Made, tmp_path: Path) -> None:
    """The answer shows that the log has only grown; nothing else does."""
    old = Path(shutil.copytree(made.path, tmp_path / "old"))
    receipt = submit(made, ballot_of(made, 1))
    dispute = lost(receipt)
    submit(made, ballot_of(made, 2))
    answer = answer_dispute(made.path, made.board, dispute, PASSPHRASE)
    data = encode_answer(answer)
    says(judge(old, dispute), Verdict.OPEN, "has not answered")
    says(judge(old, dispute, data), Verdict.UNFOUNDED, "entry 2 of a log of 4 entries")
    assert isinstance(answer.evidence, Receipt)
    wrong: list[Answer] = [
        replace(answer, consistency=answer.consistency[:-1]),
        replace(answer, evidence=refuse(made, ballot_of(made, 1), "closed")),
        replace(answer, evidence=replace(answer.evidence, entry=b"{}")),
        replace(answer, dispute=bytes(32)),
    ]
    for other in wrong:
        assert judge(old, dispute, encode_answer(other)).verdict is Verdict.OPEN
    assert answer.dispute == file_digest(dispute)


def test_two_logs_of_one_size(made: Made, tmp_path: Path) -> None:
    """attacks: F1. The answer itself is the evidence."""
    old = Path(shutil.copytree(made.path, tmp_path / "old"))
    fork = replace(made, path=Path(shutil.copytree(made.path, tmp_path / "fork")))
    item = ballot_of(made, 1)
    receipt = submit(made, item)
    key = load_operator(made.board, PASSPHRASE)
    signer = NoteSigner(key=Record(fork.path).manifest.log_key, sign=key.sign_note)
    same = replace(item.entry, signature=bytes(64))
    with Board(fork.path, signer) as board:
        board.append([same], [item.body])
        other = board.receipt(2)
    forged = replace(receipt, entry=other.entry, proof=other.proof)
    dispute = lost(receipt)
    answer = Answer(dispute=file_digest(dispute), evidence=forged)
    says(judge(old, dispute, encode_answer(answer)), Verdict.OPEN, "shows nothing")
    says(judge(fork.path, dispute), Verdict.BOARD, "signed two logs")
    says(judge(made.path, lost(forged)), Verdict.BOARD, "signed two logs")


def test_receipts_that_the_board_never_gave(made: Made) -> None:
    """attacks: C6"""
    receipt = submit(made, ballot_of(made, 1))
    proof = receipt.proof
    hashes = (bytes(32), *proof.hashes[1:])
    for forged in (
        replace(receipt, entry=encode_entry(ballot_of(made, 2).entry)),
        replace(receipt, proof=replace(proof, index=1)),
        replace(receipt, proof=replace(proof, hashes=hashes)),
        replace(receipt, proof=replace(proof, checkpoint=proof.checkpoint.replace(b"3", b"2", 1))),
    ):
        says(judge(made.path, lost(forged)), Verdict.UNFOUNDED, "shows nothing")


# -- files and the command -------------------------------------------------------------------------


def test_files(made: Made) -> None:
    """attacks: F6. What was written reads back; nothing else does, and no reader breaks down."""
    item = ballot_of(made, 1)
    refusal, receipt = refuse(made, item, "voter"), submit(made, ballot_of(made, 2))
    cases: list[tuple[bytes, Callable[[bytes], object]]] = [
        (encode_refusal(refusal), decode_refusal),
        (claim(item, refusal), decode_dispute),
        (lost(receipt), decode_dispute),
        (encode_answer(Answer(dispute=bytes(32), evidence=receipt)), decode_answer),
        (encode_answer(Answer(dispute=bytes(32), evidence=refusal)), decode_answer),
    ]
    assert decode_refusal(cases[0][0]) == refusal
    assert decode_dispute(cases[1][0]) == Dispute(evidence=refusal, body=item.body)
    assert decode_dispute(cases[2][0]) == Dispute(evidence=receipt)
    assert decode_answer(cases[3][0]).evidence == receipt
    for data, decode in cases:
        honest = decode(data)
        for path, changed in tamper.each_json(json.loads(data)):
            try:
                assert decode(canonical_json(changed)) != honest, path
            except EvoteError:
                continue
    with pytest.raises(DecodingError):
        decode_dispute(cases[0][0])


def run(*words: object) -> int:
    with pytest.raises(SystemExit) as leaving:
        cli.main([str(word) for word in words])
    assert isinstance(leaving.value.code, int)
    return leaving.value.code


def test_the_command(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """From a refusal at the door to a verdict, and from a receipt."""
    monkeypatch.setenv("EVOTE_PASSPHRASE", PASSPHRASE)
    monkeypatch.setenv("EVOTE_CODE", made.credentials[0].code)
    ballot, dispute, answer = (tmp_path / name for name in ("ballot", "dispute", "answer"))
    assert run("ballot", "encrypt", made.path, ballot, "--choose", "bridge:yes") == 0
    assert run("ballot", "cast", made.path, ballot, "--board", made.board) == 1
    assert "only the first may be cast" in capsys.readouterr().err
    refusal = ballot / "refusal.json"
    opening = ("dispute", "open", "--refusal", refusal, "--ballot", ballot, "-o", dispute)
    assert run(*opening) == 0
    assert run("dispute", "answer", made.path, dispute, "--board", made.board, "-o", answer) == 0
    capsys.readouterr()
    assert run("dispute", "judge", made.path, dispute, "--answer", answer) == 0
    assert "unfounded: rightly refused: this voter has cast" in capsys.readouterr().out
    old = Path(shutil.copytree(made.path, tmp_path / "old"))
    (tmp_path / "mine").write_bytes(encode_receipt(submit(made, ballot_of(made, 1))))
    claimed = tmp_path / "claimed"
    assert run("dispute", "open", "--receipt", tmp_path / "mine", "-o", claimed) == 0
    assert run("dispute", "judge", made.path, claimed) == 0
    assert run("dispute", "judge", old, claimed) == 3
    submit(replace(made, path=old), ballot_of(made, 2))
    capsys.readouterr()
    assert run("dispute", "judge", old, claimed) == 1
    assert "board: it signed two logs" in capsys.readouterr().out
    assert run("dispute", "open", "-o", tmp_path / "none") == 2
    assert run("dispute", "judge", old, tmp_path / "mine") == 4
