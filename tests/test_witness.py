"""The witness: the C2SP vectors, what it refuses and keeps, and the process that serves it."""

from __future__ import annotations

import hashlib
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from nacl.signing import SigningKey

from evote import cli
from evote._evidence import LogEvidence, decode_evidence, encode_evidence
from evote._files import TEMPORARY, replace_file
from evote._notes import (
    MAX_LINES,
    MAX_NOTE,
    Note,
    NoteSignature,
    decode_note,
    encode_base64,
    sign_note,
)
from evote.board import (
    COSIGNER_KEY,
    LOG_KEY,
    MLDSA_KEY,
    Checkpoint,
    MerkleTree,
    NoteSigner,
    VerifierKey,
    cosign,
    decode_policy,
    decode_vkey,
    leaf_hash,
    open_checkpoint,
    open_note,
    sign_checkpoint,
)
from evote.errors import DecodingError, ParameterError, VerificationError
from evote.server import witness as module
from evote.server.witness import (
    MAX_ADD_CHECKPOINT,
    MAX_HEAD,
    AddCheckpoint,
    Witness,
    create_witness,
    decode_add_checkpoint,
    encode_add_checkpoint,
    witness_application,
    witness_key,
)
from evote.verify import Outcome, audit

if TYPE_CHECKING:
    from tests import records
    from tests.conftest import Vectors
    from tests.servers import ask
else:
    import records
    from servers import ask

ORIGIN = "log.example/election"
SECRET = "correct horse"
CLOCK = 1_700_000_000


@pytest.fixture(autouse=True)
def cheap_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    """scrypt at its smallest: what is sealed here protects nothing."""
    from evote.operators import SCRYPT_COST_FLOOR, seal_secret

    def cheap(*arguments: Any, **options: Any) -> Any:
        return seal_secret(*arguments, cost=SCRYPT_COST_FLOOR, **options)

    monkeypatch.setattr(module, "seal_secret", cheap)


def log_signer(seed: int, origin: str = ORIGIN) -> NoteSigner:
    key = SigningKey(bytes([seed]) * 32)
    public = VerifierKey(name=origin, kind=LOG_KEY, public=bytes(key.verify_key))
    return NoteSigner(key=public, sign=lambda message: key.sign(message).signature)


LOG = log_signer(1)


class Log:
    """A log with a history that can be forked."""

    def __init__(self, size: int, *, forked_at: int | None = None) -> None:
        ends = [f"entry {i}" if i < (forked_at or size) else f"other {i}" for i in range(size)]
        self.tree = MerkleTree(leaf_hash(text.encode()) for text in ends)

    def head(self, size: int, signer: NoteSigner = LOG) -> bytes:
        head = Checkpoint(origin=signer.key.name, size=size, root=self.tree.root(size))
        return sign_checkpoint(head, signer)

    def request(self, old: int, new: int) -> bytes:
        proof = self.tree.consistency_proof(old, new)
        return encode_add_checkpoint(AddCheckpoint(old, proof, self.head(new)))


HONEST = Log(1000)
FORKED = Log(1000, forked_at=500)


@pytest.fixture
def open_witness(tmp_path: Path) -> Callable[..., Witness]:
    create_witness(tmp_path / "w1", "witness.example/w1", SECRET)

    def again() -> Witness:
        return Witness(tmp_path / "w1", [LOG.key], SECRET, clock=lambda: CLOCK)

    return again


@pytest.fixture
def witness(open_witness: Callable[..., Witness]) -> Iterator[Witness]:
    with open_witness() as opened:
        yield opened


def policy_of(*keys: VerifierKey) -> bytes:
    lines = [f"witness w{i} {key.text}" for i, key in enumerate(keys)]
    names = " ".join(f"w{i}" for i in range(len(keys)))
    return "\n".join([*lines, f"group g all {names}", "quorum g\n"]).encode()


def test_known_exchanges(vectors: Vectors, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """attacks: F1. Every exchange of the vectors, word for word."""
    known = vectors.json("tlog/witness.json")
    seed = bytes.fromhex(known["witness_seed_hex"])
    log = decode_vkey(known["log_vkey"])

    def fresh(name: str) -> Witness:
        with monkeypatch.context() as context:
            context.setattr(os, "urandom", lambda n: seed[:n])
            create_witness(tmp_path / name, "witness.example/w1", SECRET)
        assert witness_key(tmp_path / name).text == known["witness_vkey"]
        return Witness(tmp_path / name, [log], SECRET, clock=lambda: known["clock"])

    first = known["exchanges"][0]["request"].encode()
    seen = set()
    with fresh("running") as running, fresh("back") as back, fresh("new") as new:
        assert back.add_checkpoint(first).status == 200
        for case in known["exchanges"]:
            at = running
            if "back at 600" in case["name"]:
                at = back
            elif "fresh witness" in case["name"]:
                at = new
            answer = at.add_checkpoint(case["request"].encode())
            assert answer.status == case["status"], case["name"]
            if case["content_type"] is not None:
                assert answer.kind == case["content_type"]
            if case["response"]:
                assert answer.body == case["response"].encode(), case["name"]
            seen.add(answer.status)
    assert seen == {200, 400, 403, 404, 409, 422}


@pytest.mark.parametrize("algorithm", ["ed25519", "ml-dsa-44"])
def test_what_is_cosigned_satisfies_a_policy(tmp_path: Path, algorithm: str) -> None:
    key = create_witness(tmp_path / "w", "witness.example/w", SECRET, algorithm=algorithm)
    assert key.kind == {"ed25519": COSIGNER_KEY, "ml-dsa-44": MLDSA_KEY}[algorithm]
    policy = decode_policy(policy_of(key))
    with Witness(tmp_path / "w", [LOG.key], SECRET) as witness:
        for old, new in ((0, 1), (1, 700), (700, 1000), (1000, 1000)):
            answer = witness.add_checkpoint(HONEST.request(old, new))
            assert answer.status == 200
            head, _ = policy.check(HONEST.head(new) + answer.body, log_key=LOG.key)
            assert head.size == new
    with pytest.raises(VerificationError, match="quorum"):
        policy.check(HONEST.head(1000), log_key=LOG.key)


def test_equivocation_is_refused_and_kept(witness: Witness, tmp_path: Path) -> None:
    """attacks: F1. Fork, shrink, equal size with another root, an old checkpoint replayed."""
    assert witness.add_checkpoint(HONEST.request(0, 700)).status == 200
    assert witness.evidence(ORIGIN) == []
    # A fork after entry 500 that has grown: its proof leads from another root.
    assert witness.add_checkpoint(FORKED.request(700, 1000)).status == 422
    # A smaller head, honest or not, is no continuation.
    assert witness.add_checkpoint(HONEST.request(600, 600)).status == 409
    body = encode_add_checkpoint(AddCheckpoint(700, (), HONEST.head(600)))
    assert witness.add_checkpoint(body).status == 400
    doubts = witness.evidence(ORIGIN)
    assert [path.name for path in doubts] == ["evidence-doubt-1.json"]
    # The same size with another root, whatever size the log claims to come from.
    for old in (700, 0):
        status = witness.add_checkpoint(FORKED.request(old, 700)).status
        assert status == (422 if old else 409)
    forks = sorted(set(witness.evidence(ORIGIN)) - set(doubts))
    assert [path.name for path in forks] == ["evidence-fork-1.json"]
    pair = decode_evidence(forks[0].read_bytes())
    heads = [open_checkpoint(note, LOG.key) for note in (pair.first, pair.second)]
    assert heads[0].size == heads[1].size == 700
    assert heads[0].root != heads[1].root
    # It still follows the log that it followed.
    assert witness.add_checkpoint(HONEST.request(700, 1000)).status == 200
    assert witness.add_checkpoint(FORKED.request(1000, 1000)).status == 422


def doubted(log: Log, old: int, new: int) -> bytes:
    """A genuine head under a proof that is none."""
    return encode_add_checkpoint(AddCheckpoint(old, (bytes(32),) * 5, log.head(new)))


def second_sizes(witness: Witness, kind: str) -> list[int]:
    pairs = (
        decode_evidence(path.read_bytes()) for path in witness.evidence(ORIGIN) if kind in path.name
    )
    return sorted(open_checkpoint(pair.second, LOG.key).size for pair in pairs)


def test_evidence_has_an_end(witness: Witness) -> None:
    """attacks: F1. Doubts that anybody can raise do not keep the log's own forks out."""
    assert witness.add_checkpoint(HONEST.request(0, 500)).status == 200
    for size in range(501, 540):
        for _ in range(2):
            assert witness.add_checkpoint(doubted(HONEST, 500, size)).status == 422
    assert second_sizes(witness, "doubt") == list(range(540 - module.MAX_KEPT, 540))
    # After them a head that does not continue: the oldest doubt makes room.
    assert witness.add_checkpoint(FORKED.request(500, 600)).status == 200
    assert witness.add_checkpoint(doubted(HONEST, 600, 700)).status == 422
    assert second_sizes(witness, "doubt")[-1] == 700
    assert len(second_sizes(witness, "doubt")) == module.MAX_KEPT
    # Forks have room of their own, and the first of them stay.
    for at in range(1, module.MAX_KEPT + 4):
        for _ in range(2):
            assert witness.add_checkpoint(Log(600, forked_at=at).request(0, 600)).status == 409
    assert second_sizes(witness, "fork") == [600] * module.MAX_KEPT
    assert len(second_sizes(witness, "doubt")) == module.MAX_KEPT
    first = decode_evidence(witness.evidence(ORIGIN)[module.MAX_KEPT].read_bytes())
    assert first.second == Log(600, forked_at=1).head(600)


def test_doubts_are_settled(open_witness: Callable[..., Witness]) -> None:
    """attacks: F1. One about a head that is cosigned later is gone; about another it is a fork."""
    with open_witness() as witness:
        assert witness.add_checkpoint(HONEST.request(0, 500)).status == 200
        for log, size in ((HONEST, 600), (FORKED, 700), (HONEST, 700), (HONEST, 800)):
            assert witness.add_checkpoint(doubted(log, 500, size)).status == 422
        assert second_sizes(witness, "doubt") == [600, 700, 700, 800]
        damaged = witness.evidence(ORIGIN)[-1]
        assert witness.add_checkpoint(HONEST.request(500, 600)).status == 200
        assert second_sizes(witness, "doubt") == [700, 700, 800]
        assert second_sizes(witness, "fork") == []
        assert witness.add_checkpoint(HONEST.request(600, 700)).status == 200
        assert second_sizes(witness, "doubt") == [800]
        [fork] = (path for path in witness.evidence(ORIGIN) if "fork" in path.name)
        pair = decode_evidence(fork.read_bytes())
        assert pair == LogEvidence(first=HONEST.head(700), second=FORKED.head(700))
        # A damaged file is left where it is, and stands in nobody's way.
        damaged.write_bytes(b"{")
        assert witness.add_checkpoint(HONEST.request(700, 800)).status == 200
        assert witness.add_checkpoint(doubted(FORKED, 800, 900)).status == 422
        assert damaged.read_bytes() == b"{"
        assert len(witness.evidence(ORIGIN)) == 3
        damaged.unlink()
        assert second_sizes(witness, "doubt") == [900]
    open_witness().close()


def lines_of(request: bytes) -> tuple[bytes, bytes]:
    head, _, note = request.partition(b"\n\n")
    return head, note


HEAD, NOTE = lines_of(HONEST.request(600, 700))
OLD, *HASHES = HEAD.split(b"\n")


def body_of(*lines: bytes, note: bytes = NOTE) -> bytes:
    return b"\n".join(lines) + b"\n\n" + note


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (HEAD, 400),
        (HEAD + b"\n" + NOTE, 400),
        (body_of(*HASHES), 400),
        (body_of(b"old", *HASHES), 400),
        (body_of(b"old  600", *HASHES), 400),
        (body_of(b"old 0600", *HASHES), 400),
        (body_of(b"old -1", *HASHES), 400),
        (body_of(b"old +600", *HASHES), 400),
        (body_of("old \u0666".encode(), *HASHES), 400),
        (body_of(b"old " + b"9" * 5000, *HASHES), 400),
        (body_of(b"old 701", *HASHES), 400),
        (body_of(b"Old 600", *HASHES), 400),
        (body_of(OLD + b"\r", *HASHES), 400),
        (body_of(OLD, *HASHES, HASHES[0][:-1]), 400),
        (body_of(OLD, *HASHES, encode_base64(bytes(31)).encode()), 400),
        (body_of(OLD, *HASHES, encode_base64(bytes(33)).encode()), 400),
        (body_of(OLD, *HASHES, b"!" * 44), 400),
        (body_of(OLD, *([encode_base64(bytes(32)).encode()] * 64)), 400),
        (body_of(OLD, *HASHES, note=b""), 400),
        (body_of(OLD, *HASHES, note=NOTE[:-1]), 400),
        (body_of(OLD, *HASHES, note=NOTE + b"\n"), 400),
        (body_of(OLD, *HASHES, note=NOTE.replace(b"\n\n", b"\n")), 400),
        (body_of(OLD, *HASHES, note=b"\xff" + NOTE), 400),
        (body_of(OLD, *HASHES, note=NOTE.replace(b"\n700\n", b"\n0700\n")), 400),
        (body_of(OLD, *HASHES, note=NOTE + b"x" * MAX_NOTE), 400),
        (body_of(OLD, *HASHES, note=b"x" * MAX_ADD_CHECKPOINT), 400),
        (body_of(OLD, *HASHES, note=HONEST.head(700, log_signer(2, "log.example/x"))), 404),
        (body_of(OLD, *HASHES, note=HONEST.head(700, log_signer(2))), 403),
        (body_of(OLD, *HASHES, note=NOTE.replace(b"\n700\n", b"\n701\n")), 403),
        (body_of(b"old 599", *HASHES), 409),
        (body_of(b"old 0"), 409),
        (body_of(OLD), 422),
        (body_of(OLD, *HASHES[:-1]), 422),
        (body_of(OLD, *HASHES, HASHES[0]), 422),
        (body_of(OLD, *reversed(HASHES)), 422),
        (body_of(OLD, *HASHES[1:], HASHES[0]), 422),
    ],
)
def test_what_a_witness_must_reject(witness: Witness, body: bytes, status: int) -> None:
    """attacks: F1, F2"""
    assert witness.add_checkpoint(HONEST.request(0, 600)).status == 200
    assert witness.add_checkpoint(body).status == status
    assert witness.add_checkpoint(body_of(OLD, *HASHES)).status == 200  # its honest twin


def test_empty_logs(witness: Witness) -> None:
    wrong = Checkpoint(origin=ORIGIN, size=0, root=bytes(32))
    body = encode_add_checkpoint(AddCheckpoint(0, (), sign_checkpoint(wrong, LOG)))
    assert witness.add_checkpoint(body).status == 422
    proof = (HONEST.tree.root(),)
    body = encode_add_checkpoint(AddCheckpoint(0, proof, HONEST.head(10)))
    assert witness.add_checkpoint(body).status == 422
    assert witness.add_checkpoint(HONEST.request(0, 0)).status == 200
    assert witness.add_checkpoint(HONEST.request(0, 10)).status == 200


def test_the_logs_lines_alone_are_kept_and_signed(witness: Witness) -> None:
    """attacks: F2. Lines of others are not what the log has said; a false one of its own is."""
    note = decode_note(HONEST.head(10))
    stranger = NoteSignature(name="stranger.example", key_id=b"abcd", signature=bytes(64))
    lines = (*note.signatures, stranger)
    crowded = Note(text=note.text, signatures=lines).encode()
    answer = witness.add_checkpoint(encode_add_checkpoint(AddCheckpoint(0, (), crowded)))
    assert answer.status == 200
    assert answer.body.count(b"\n") == 1
    kept = witness.checkpoint(hashlib.sha256(ORIGIN.encode()).hexdigest())
    assert kept is not None
    assert b"stranger" not in kept
    _, verified = open_note(kept, [LOG.key, witness.key])
    assert {item.key for item in verified} == {LOG.key, witness.key}
    false = NoteSignature(name=ORIGIN, key_id=LOG.key.key_id, signature=bytes(64))
    doubled = Note(text=note.text, signatures=(*note.signatures, false)).encode()
    body = encode_add_checkpoint(AddCheckpoint(10, (), doubled))
    assert witness.add_checkpoint(body).status == 403
    assert witness.checkpoint("0" * 64) is None
    assert witness.checkpoint("../../..") is None


def test_what_is_monitored_stays_a_note(open_witness: Callable[..., Witness]) -> None:
    """attacks: F1. As many lines, or as long a text, as a note may have leave no room for ours."""
    name = hashlib.sha256(ORIGIN.encode()).hexdigest()

    def request(old: int, note: bytes) -> bytes:
        return encode_add_checkpoint(AddCheckpoint(old, (), note))

    with open_witness() as witness:
        note = decode_note(HONEST.head(10))
        repeated = Note(text=note.text, signatures=note.signatures * MAX_LINES).encode()
        answer = witness.add_checkpoint(request(0, repeated))
        assert answer.status == 200
        kept = witness.checkpoint(name)
        assert kept == HONEST.head(10) + answer.body
        assert open_checkpoint(kept, LOG.key).size == 10
        head = Checkpoint(origin=ORIGIN, size=10, root=HONEST.tree.root(10))
        room = MAX_HEAD - len(HONEST.head(10))
        for length, status in ((room - 1, 200), (room, 400)):  # and a line feed
            long = sign_checkpoint(replace(head, extensions=("x" * length,)), LOG)
            answer = witness.add_checkpoint(request(10, long))
            assert answer.status == status
        long = sign_checkpoint(replace(head, extensions=("x" * (room - 1),)), LOG)
        kept = witness.checkpoint(name)
        assert kept is not None
        assert kept.startswith(long)
        open_note(kept, [LOG.key, witness.key])
    open_witness().close()


def test_it_stores_before_it_signs(
    open_witness: Callable[..., Witness], monkeypatch: pytest.MonkeyPatch
) -> None:
    """attacks: F1, F3. Whatever step a crash follows, the head that was signed is remembered."""
    steps: list[str] = []
    signing = cosign

    def remember(path: Path, data: bytes, **options: Any) -> None:
        steps.append(path.name)
        replace_file(path, data, **options)

    def sign(*arguments: Any) -> bytes:
        steps.append("sign")
        return signing(*arguments)

    monkeypatch.setattr(module, "replace_file", remember)
    monkeypatch.setattr(module, "cosign", sign)
    with open_witness() as witness:
        assert witness.add_checkpoint(HONEST.request(0, 10)).status == 200
    assert steps == ["head", "sign", "checkpoint"]

    class Crash(BaseException):
        pass

    def crash(*arguments: Any) -> bytes:
        raise Crash

    monkeypatch.setattr(module, "cosign", crash)
    with open_witness() as witness, pytest.raises(Crash):
        witness.add_checkpoint(HONEST.request(10, 600))
    monkeypatch.setattr(module, "cosign", signing)
    with open_witness() as witness:
        answer = witness.add_checkpoint(HONEST.request(10, 600))
        assert (answer.status, answer.body) == (409, b"600\n")
        assert witness.add_checkpoint(FORKED.request(0, 600)).status == 409
        assert witness.add_checkpoint(FORKED.request(600, 600)).status == 422
        assert witness.add_checkpoint(HONEST.request(600, 600)).status == 200

    def full(path: Path, data: bytes, **options: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "replace_file", full)
    with open_witness() as witness:
        with pytest.raises(OSError, match="space"):
            witness.add_checkpoint(HONEST.request(600, 700))
        monkeypatch.setattr(module, "replace_file", replace_file)
        assert witness.add_checkpoint(HONEST.request(600, 700)).status == 200


def test_two_requests_at_once(witness: Witness) -> None:
    """attacks: F1. Of two heads for one old size, one is cosigned."""
    assert witness.add_checkpoint(HONEST.request(0, 400)).status == 200
    bodies = [HONEST.request(400, 600), FORKED.request(400, 600)] * 4
    answers: list[int] = []
    start = threading.Barrier(len(bodies))

    def ask(body: bytes) -> None:
        start.wait()
        answers.append(witness.add_checkpoint(body).status)

    threads = [threading.Thread(target=ask, args=(body,)) for body in bodies]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [200] + [409] * 7


def test_directories_of_witnesses(tmp_path: Path) -> None:
    create_witness(tmp_path / "w", "witness.example/w", SECRET)
    with pytest.raises(ParameterError, match="already"):
        create_witness(tmp_path / "w", "witness.example/w", SECRET)
    with pytest.raises(ParameterError, match="key name"):
        create_witness(tmp_path / "x", "witness example", SECRET)
    with pytest.raises(DecodingError, match="passphrase"):
        Witness(tmp_path / "w", [LOG.key], "another horse")
    with Witness(tmp_path / "w", [LOG.key], SECRET) as first:
        with pytest.raises(ParameterError, match="another process"):
            Witness(tmp_path / "w", [LOG.key], SECRET)
        assert first.add_checkpoint(HONEST.request(0, 5)).status == 200
        with pytest.raises(ParameterError, match="log's key"):
            Witness(tmp_path / "w", [first.key], SECRET)
    [place] = (tmp_path / "w" / "logs").iterdir()
    for damage in (b"", sign_note(b"x\n", LOG), HONEST.head(5, log_signer(2))):
        head = (place / "head").read_bytes()
        (place / "head").write_bytes(damage)
        with pytest.raises((DecodingError, VerificationError)):
            Witness(tmp_path / "w", [LOG.key], SECRET)
        (place / "head").write_bytes(head)
    with Witness(tmp_path / "w", [LOG.key], SECRET) as again:
        assert again.add_checkpoint(HONEST.request(5, 6)).status == 200


def lose(place: Path) -> None:
    (place / "head").unlink()


def keep_only_evidence(place: Path) -> None:
    lose(place)
    (place / "checkpoint").unlink()


def lead_nowhere(place: Path) -> None:
    lose(place)
    (place / "head").symlink_to("gone")


def lead_in_a_circle(place: Path) -> None:
    shutil.rmtree(place)
    place.symlink_to(place.name)


def be_a_file(place: Path) -> None:
    shutil.rmtree(place)
    place.write_bytes(b"")


def go_back(place: Path) -> None:
    (place / "head").write_bytes(HONEST.head(5))


def go_elsewhere(place: Path) -> None:
    (place / "head").write_bytes(FORKED.head(600))


@pytest.mark.parametrize(
    "damage",
    [lose, keep_only_evidence, lead_nowhere, lead_in_a_circle, be_a_file, go_back, go_elsewhere],
)
def test_a_witness_that_has_forgotten(
    open_witness: Callable[..., Witness], tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    """attacks: F1. A lost or older head is not the start of a new log."""
    with open_witness() as witness:
        assert witness.add_checkpoint(HONEST.request(0, 600)).status == 200
        assert witness.add_checkpoint(FORKED.request(600, 700)).status == 422
        assert len(witness.evidence(ORIGIN)) == 1
    [place] = (tmp_path / "w1" / "logs").iterdir()
    shutil.copytree(place, tmp_path / "copy")
    damage(place)
    with pytest.raises(DecodingError, match=place.name):
        open_witness()
    # Its honest twin; a checkpoint that is older or missing is what a crash leaves.
    place.unlink() if not place.is_dir() or place.is_symlink() else shutil.rmtree(place)
    shutil.copytree(tmp_path / "copy", place)
    with open_witness() as witness:
        assert witness.add_checkpoint(FORKED.request(0, 600)).status == 409
        assert witness.add_checkpoint(HONEST.request(600, 700)).status == 200
    (place / "checkpoint").write_bytes((tmp_path / "copy" / "checkpoint").read_bytes())
    open_witness().close()
    (place / "checkpoint").unlink()
    with open_witness() as witness:
        assert witness.add_checkpoint(HONEST.request(700, 1000)).status == 200


def test_a_crash_before_the_first_head(
    open_witness: Callable[..., Witness], tmp_path: Path
) -> None:
    """What a first replacement may leave behind is no memory."""
    place = tmp_path / "w1" / "logs" / hashlib.sha256(ORIGIN.encode()).hexdigest()
    place.mkdir(parents=True)
    (place / f"{TEMPORARY}head").write_bytes(HONEST.head(5)[:9])
    with open_witness() as witness:
        assert witness.add_checkpoint(HONEST.request(0, 600)).status == 200


def test_a_log_that_is_named_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """attacks: F2. It is taken once; two keys that lines cannot tell apart are refused at once."""
    create_witness(tmp_path / "w", "witness.example/w", SECRET)
    other = log_signer(2)
    with Witness(tmp_path / "w", [LOG.key, other.key, LOG.key], SECRET) as witness:
        assert witness.add_checkpoint(HONEST.request(0, 600)).status == 200
        body = encode_add_checkpoint(AddCheckpoint(600, (), HONEST.head(600, other)))
        assert witness.add_checkpoint(body).status == 200
    monkeypatch.setattr(VerifierKey, "key_id", b"same")
    with pytest.raises(ParameterError, match=r"two keys with the id 73616d65"):
        Witness(tmp_path / "w", [LOG.key, other.key], SECRET)


def test_an_origin_that_mldsa_cannot_name(tmp_path: Path) -> None:
    """attacks: F1. It is refused at the start, not after its head is stored."""
    for length, algorithm, fails in (
        (255, "ml-dsa-44", False),
        (256, "ml-dsa-44", True),
        (256, "ed25519", False),
    ):
        place = tmp_path / f"{length}-{algorithm}"
        create_witness(place, "witness.example/w", SECRET, algorithm=algorithm)
        log = log_signer(1, "é" * (length // 2) + "x" * (length % 2))
        if fails:
            with pytest.raises(ParameterError, match="at most 255 bytes"):
                Witness(place, [LOG.key, log.key], SECRET)
            continue
        with Witness(place, [LOG.key, log.key], SECRET) as witness:
            for old, new in ((0, 5), (5, 5)):
                proof = HONEST.tree.consistency_proof(old, new)
                body = encode_add_checkpoint(AddCheckpoint(old, proof, HONEST.head(new, log)))
                assert witness.add_checkpoint(body).status == 200


def test_requests_round_trip() -> None:
    request, note, head = decode_add_checkpoint(HONEST.request(600, 700))
    assert encode_add_checkpoint(request) == HONEST.request(600, 700)
    assert (request.old, head.size, note.encode()) == (600, 700, HONEST.head(700))


# -- evidence, judged ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def voted(tmp_path_factory: pytest.TempPathFactory) -> records.Made:
    made = records.make_ready(tmp_path_factory.mktemp("evidence"))
    records.open_small(made)
    records.vote_small(made)
    return made


def test_evidence_is_judged_by_the_record(voted: records.Made, tmp_path: Path) -> None:
    """attacks: F1. A conflicting pair fails the record; pairs that hold or are forged do not."""
    from evote.operators import load_operator
    from evote.record import Record

    record = Record(voted.path)
    key = load_operator(voted.board, records.PASSPHRASE)
    signer = NoteSigner(key=record.manifest.log_key, sign=key.sign_note)
    own, size = record.checkpoint_bytes(), record.checkpoint().size
    leaves = [leaf_hash(data) for _, data, _ in record.entries()]
    other = [*leaves[:-1], leaf_hash(b"another")]

    def head(hashes: list[bytes], count: int, by: NoteSigner = signer) -> bytes:
        root = MerkleTree(hashes).root(count)
        return sign_checkpoint(Checkpoint(origin=signer.key.name, size=count, root=root), by)

    def judged(first: bytes, second: bytes) -> tuple[Outcome, int, str]:
        file = tmp_path / "evidence.json"
        file.write_bytes(encode_evidence(LogEvidence(first=first, second=second)))
        report = audit(voted.path, phase="voting", evidence=file)
        finding = report.finding("board.evidence")
        command = ["verify", str(voted.path), "--phase", "voting", "--quiet", "--jobs", "1"]
        with pytest.raises(SystemExit) as leaving:
            cli.main([*command, "--evidence", str(file)])
        assert leaving.value.code == report.exit_code
        return finding.outcome, report.exit_code, finding.detail

    assert judged(own, head(leaves, size - 1))[:2] == (Outcome.PASSED, 0)
    assert judged(head(leaves, 0), own)[:2] == (Outcome.PASSED, 0)
    outcome, code, detail = judged(own, head(other, size))
    assert (outcome, code) == (Outcome.FAILED, 1)
    assert "two views" in detail
    # Two heads that contradict each other, whatever the record holds.
    assert judged(head(leaves + other, size + 1), head(other + other, size + 1))[1] == 1
    # A fork that has grown, and a smaller one.
    assert judged(head(other[1:], 2), own)[1] == 1
    # Heads beyond the record cannot be judged by it.
    outcome, code, detail = judged(own, head(leaves + other, size + 1))
    assert (outcome, code) == (Outcome.NOT_CHECKED, 3)
    assert f"the record has {size} entries" in detail
    # What the log's key has not signed shows nothing, and is no success either.
    forger = log_signer(3, signer.key.name)
    assert judged(own, head(other, size, forger))[:2] == (Outcome.NOT_CHECKED, 3)
    assert audit(voted.path, phase="voting").ok
    (tmp_path / "none.json").write_bytes(b"{}")
    with pytest.raises(DecodingError):
        audit(voted.path, phase="voting", evidence=tmp_path / "none.json")


# -- over HTTP -------------------------------------------------------------------------------------


def test_what_a_witness_answers_over_http(witness: Witness) -> None:
    """Paths, methods, sizes; and the monitoring prefix."""
    handle = witness_application(witness)
    name = hashlib.sha256(ORIGIN.encode()).hexdigest()
    assert ask(handle, "GET", f"/{name}/checkpoint").status == 404
    answer = ask(handle, "POST", "/add-checkpoint", HONEST.request(0, 600))
    assert answer.status == 200
    found = ask(handle, "GET", f"/{name}/checkpoint")
    assert (found.status, found.body) == (200, HONEST.head(600) + answer.body)
    stale = ask(handle, "POST", "/add-checkpoint", HONEST.request(0, 700))
    assert (stale.status, stale.body) == (409, b"600\n")
    assert stale.headers["content-type"] == "text/x.tlog.size"
    assert ask(handle, "POST", "/add-checkpoint", FORKED.request(600, 700)).status == 422
    assert ask(handle, "POST", "/add-checkpoint", b"x" * (MAX_ADD_CHECKPOINT + 1)).status == 413
    assert ask(handle, "POST", "/add-checkpoint", b"x" * MAX_ADD_CHECKPOINT).status == 400
    assert ask(handle, "GET", "/add-checkpoint").status == 405
    for path in ("/", "/secret.json", f"/{name}", f"/{name}/head", f"/{'0' * 64}/checkpoint"):
        assert ask(handle, "GET", path).status == 404
    assert ask(handle, "POST", f"/{name}/checkpoint").status == 404
