"""What a voter does with a receipt, and what it refuses: a board may answer with anything."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from evote import cli, workflow
from evote._evidence import LogEvidence, decode_evidence
from evote.board import (
    Board,
    Checkpoint,
    MerkleTree,
    NoteSigner,
    Receipt,
    TileEdge,
    TlogProof,
    decode_receipt,
    encode_entry,
    encode_receipt,
    leaf_hash,
    sign_checkpoint,
    verify_receipt,
)
from evote.cli.ballot import keep_receipt
from evote.errors import BrokenLog, DecodingError, VerificationError
from evote.operators import load_operator
from evote.record import Record
from evote.server import client
from evote.server._fetch import Reply
from evote.server.client import fetch_receipt
from evote.server.monitor import Broken
from evote.workflow import Submission

if TYPE_CHECKING:
    from tests import records
    from tests.records import Made
else:
    import records


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    election = records.make_ready(tmp_path_factory.mktemp("receipts"))
    records.open_small(election)
    return election


def vote(made: Made, voter: int) -> tuple[Submission, Receipt]:
    code = made.credentials[voter].code
    ballot = workflow.encrypt_ballot(made.path, code, records.marks(1, 0))
    submission = workflow.sign_ballot(made.path, code, ballot, "cast")
    [receipt] = workflow.submit(made.path, made.board, [submission], records.PASSPHRASE)
    return submission, receipt


def check(made: Made, receipt: Receipt, directory: Path) -> int:
    """The exit code of `evote ballot check`."""
    path = directory / "receipt.json"
    path.write_bytes(encode_receipt(receipt))
    with pytest.raises(SystemExit) as leaving:
        cli.main(["ballot", "check", str(made.path), str(path)])
    assert isinstance(leaving.value.code, int)
    return leaving.value.code


def test_a_receipt_says_when_it_is_superseded(
    made: Made, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """attacks: C10"""
    _, first = vote(made, 0)
    assert check(made, first, tmp_path) == 0
    assert "superseded" not in capsys.readouterr().out
    _, other = vote(made, 1)
    _, second = vote(made, 0)
    assert check(made, first, tmp_path) == 0
    assert f"superseded by entry {second.proof.index}" in capsys.readouterr().out
    for receipt in (second, other):
        assert check(made, receipt, tmp_path) == 0
        assert "superseded" not in capsys.readouterr().out


def test_a_client_refuses_the_receipt_of_another_ballot(made: Made, tmp_path: Path) -> None:
    """attacks: C6, C7"""
    manifest = Record(made.path).manifest
    (mine, receipt), (yours, clash) = vote(made, 0), vote(made, 2)
    sent = encode_entry(mine.entry)
    assert verify_receipt(receipt, manifest.log_key, sent=sent).index == receipt.proof.index
    assert verify_receipt(clash, manifest.log_key).index == clash.proof.index
    with pytest.raises(VerificationError, match="another entry"):
        verify_receipt(clash, manifest.log_key, sent=sent)
    target = tmp_path / "kept.json"
    with pytest.raises(VerificationError, match="another entry"):
        keep_receipt(target, clash, mine, manifest)
    with pytest.raises(VerificationError, match="another entry"):
        keep_receipt(target, receipt, replace(mine, action="spoil"), manifest)
    assert not target.exists()
    keep_receipt(target, clash, yours, manifest)
    assert target.read_bytes() == encode_receipt(clash)


def test_an_entry_that_no_voter_signed_is_nobodys_ballot(
    made: Made, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """attacks: C6. The board itself logs a ballot under a voter's credential."""
    code, manifest = made.credentials[1].code, Record(made.path).manifest
    ballot = workflow.encrypt_ballot(made.path, code, records.marks(0, 1))
    signed = workflow.sign_ballot(made.path, code, ballot, "spoil")
    key = load_operator(made.board, records.PASSPHRASE)
    with Board(made.path, NoteSigner(key=manifest.log_key, sign=key.sign_note)) as board:
        [honest] = board.receipts(board.append([signed.entry], [signed.body]))
        assert check(made, honest, tmp_path) == 0
        forged = replace(
            signed, body=workflow.encrypt_ballot(made.path, code, records.marks(0, 1)).body
        )
        [receipt] = board.receipts(board.append([forged.entry], [forged.body]))
    capsys.readouterr()
    assert check(made, receipt, tmp_path) == 1
    assert "not signed by its voter" in capsys.readouterr().err


# -- the receipt under a newer head ----------------------------------------------------------------

URL = "http://board.example"


class Served:
    """What a board answers, which has its log's key and any entries."""

    def __init__(self, made: Made, entries: Sequence[bytes]) -> None:
        key = load_operator(made.board, records.PASSPHRASE)
        self.key = Record(made.path).manifest.log_key
        self.signer = NoteSigner(key=self.key, sign=key.sign_note)
        self.entries = list(entries)
        self.tiles = dict(TileEdge().extend([leaf_hash(entry) for entry in entries]))

    def receipt(self, index: int, entry: bytes) -> Receipt:
        tree = MerkleTree([leaf_hash(data) for data in self.entries])
        head = Checkpoint(origin=self.key.name, size=tree.size, root=tree.root())
        note = sign_checkpoint(head, self.signer)
        proof = TlogProof(index=index, hashes=tree.inclusion_proof(index), checkpoint=note)
        return Receipt(entry=entry, proof=proof)

    def answer(self, monkeypatch: pytest.MonkeyPatch, receipt: Receipt) -> Receipt:
        """What `fetch` finds from now on."""

        def fetch(url: str, data: bytes | None = None, *, limit: int) -> Reply:
            if url.startswith(f"{URL}/receipt/"):
                return Reply(200, encode_receipt(receipt))
            tile = self.tiles.get(url.removeprefix(f"{URL}/board/"))
            return Reply(404, b"") if tile is None else Reply(200, tile)

        monkeypatch.setattr(client, "fetch", fetch)
        return receipt


def test_a_newer_receipt_is_of_the_same_log(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    """attacks: F1. An older head, a fork of equal size, a longer fork, a proof that is missing."""
    manifest = Record(made.path).manifest
    vote(made, 0)
    _, mine = vote(made, 1)
    vote(made, 2)
    vote(made, 2)
    entries = [data for _, data, _ in Record(made.path).entries()]
    index, last = mine.proof.index, len(entries)
    assert index == last - 3

    def at(size: int) -> tuple[Served, Receipt]:
        some = Served(made, entries[:size])
        return some, some.receipt(index, mine.entry)

    def fork(size: int, *more: bytes) -> tuple[Served, Receipt]:
        some = Served(made, [*entries[:size], *more])
        return some, some.receipt(index, mine.entry)

    _, old = at(last - 1)
    for size in (last - 1, last):
        board, honest = at(size)
        board.answer(monkeypatch, honest)
        assert fetch_receipt(URL, old, manifest) == honest
    for size in (index + 1, last - 2):
        board, older = at(size)
        board.answer(monkeypatch, older)
        with pytest.raises(VerificationError, match="not a newer receipt") as refused:
            fetch_receipt(URL, old, manifest)
        assert not isinstance(refused.value, Broken)

    def broken(board: Served, forged: Receipt, reason: str) -> None:
        board.answer(monkeypatch, forged)
        with pytest.raises(Broken, match=reason) as caught:
            fetch_receipt(URL, old, manifest)
        pair = LogEvidence(first=old.proof.checkpoint, second=forged.proof.checkpoint)
        assert caught.value.evidence == pair

    broken(*fork(last - 2, b"another"), "two roots")
    broken(*fork(last - 2, b"another", b"and more"), "old root")
    moved = Served(made, [*entries, mine.entry])
    moved.answer(monkeypatch, moved.receipt(last, mine.entry))
    with pytest.raises(BrokenLog, match="another place"):
        fetch_receipt(URL, old, manifest)
    # A fork, beside which the tiles are those of the honest log.
    _, forged = fork(last - 2, b"another", b"and more")
    board, newer = at(last)
    broken(board, forged, "do not lead to the root")
    # Tiles that are missing, or too short.
    for tiles in ({}, {path: data[:-1] for path, data in board.tiles.items()}):
        lacking, _ = at(last)
        lacking.tiles = tiles
        lacking.answer(monkeypatch, newer)
        with pytest.raises(DecodingError):
            fetch_receipt(URL, old, manifest)
    # What the voter holds is no receipt itself.
    board.answer(monkeypatch, newer)
    nothing = replace(old.proof, hashes=(bytes(32),) * len(old.proof.hashes))
    with pytest.raises(VerificationError, match="another root"):
        fetch_receipt(URL, replace(old, proof=nothing), manifest)
    assert fetch_receipt(URL, old, manifest) == newer


def test_a_fork_is_kept_beside_the_receipt(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """attacks: F1. The two heads are evidence; an honest answer leaves none."""
    _, mine = vote(made, 1)
    entries = [data for _, data, _ in Record(made.path).entries()]
    held, place = tmp_path / "receipt.json", tmp_path / "final.json"
    held.write_bytes(encode_receipt(mine))

    def run() -> object:
        words = ["ballot", "receipt", str(made.path), str(held), "--server", URL]
        with pytest.raises(SystemExit) as leaving:
            cli.main([*words, "-o", str(place)])
        return leaving.value.code

    fork = Served(made, [b"another", *entries[1:]])
    forged = fork.answer(monkeypatch, fork.receipt(mine.proof.index, mine.entry))
    assert run() == 1
    evidence = tmp_path / "final.json.evidence.json"
    assert f"two heads are kept: {evidence}" in capsys.readouterr().out
    kept = decode_evidence(evidence.read_bytes())
    assert (kept.first, kept.second) == (mine.proof.checkpoint, forged.proof.checkpoint)
    assert not place.exists()
    evidence.unlink()
    honest = Served(made, entries)
    honest.answer(monkeypatch, honest.receipt(mine.proof.index, mine.entry))
    assert run() == 0
    assert decode_receipt(place.read_bytes()).entry == mine.entry
    assert not evidence.exists()
