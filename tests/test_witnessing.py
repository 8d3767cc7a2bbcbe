"""The log's side of its witnesses: what they may answer, and when."""

from __future__ import annotations

import hashlib

import pytest
from nacl.signing import SigningKey

from evote._notes import MAX_LINES, decode_note
from evote.board import (
    COSIGNER_KEY,
    LOG_KEY,
    Checkpoint,
    NoteSigner,
    VerifierKey,
    WitnessPolicy,
    cosign,
    decode_policy,
    sign_checkpoint,
)
from evote.errors import VerificationError
from evote.server import _witnessing as module
from evote.server._fetch import Reply
from evote.server._witnessing import Witnessing


def signer(name: str, kind: int) -> NoteSigner:
    key = SigningKey(hashlib.sha256(name.encode()).digest())
    public = VerifierKey(name=name, kind=kind, public=bytes(key.verify_key))
    return NoteSigner(key=public, sign=lambda message: key.sign(message).signature)


LOG = signer("log.example/election", LOG_KEY)
HEAD = sign_checkpoint(Checkpoint(origin=LOG.key.name, size=5, root=bytes(32)), LOG)
CLOCK = 1_700_000_000


def line(witness: NoteSigner, time: int = CLOCK) -> bytes:
    return cosign(HEAD, witness, time)[len(HEAD) :]


def witnesses(count: int) -> list[NoteSigner]:
    return [signer(f"witness.example/w{i}", COSIGNER_KEY) for i in range(count)]


def policy_of(keys: list[NoteSigner], quorum: str, log: NoteSigner = LOG) -> WitnessPolicy:
    lines = [f"witness w{i} {key.key.text} http://w{i}" for i, key in enumerate(keys)]
    return decode_policy(
        "\n".join([f"log {log.key.text}", *lines, f"group g {quorum}", "quorum g\n"]).encode()
    )


def asked(
    monkeypatch: pytest.MonkeyPatch, policy: WitnessPolicy, answers: dict[str, bytes]
) -> Witnessing:
    """A log whose witnesses answer as they are told."""

    def answer(url: str, data: bytes | None = None, **limits: object) -> Reply:
        return Reply(200, answers[url.removeprefix("http://").partition("/")[0]])

    monkeypatch.setattr(module, "fetch", answer)
    return Witnessing(LOG.key, policy, lambda old, new: ())


def test_a_witness_has_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """attacks: F2. Many lines of one witness do not make a head that no client can read."""
    good, bad = keys = witnesses(2)
    policy = policy_of(keys, "1 w0 w1")
    many = b"".join(line(bad, CLOCK + i % 40) for i in range(MAX_LINES - 1))
    log = asked(monkeypatch, policy, {"w0": line(good), "w1": many})
    cosigned, by = log.cosign(HEAD)
    assert log.problems == {}
    assert {(item.key, item.timestamp) for item in by} == {(good.key, CLOCK), (bad.key, CLOCK + 39)}
    assert len(decode_note(cosigned).signatures) == 3
    assert set(policy.check(cosigned, log_key=LOG.key)[1]) == set(by)
    # A false line among them, or one line too many, is no answer at all; the others' still are.
    false = line(bad)[:-8] + b"AAAAAA=\n"
    for garbage in (many + many, line(bad) + false, b"", b"\xff\n", many[:-1]):
        log = asked(monkeypatch, policy, {"w0": line(good), "w1": garbage})
        cosigned, by = log.cosign(HEAD)
        assert list(log.problems) == ["w1"]
        assert [item.key for item in by] == [good.key]
        policy.check(cosigned, log_key=LOG.key)


def test_more_witnesses_than_a_note_has_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    """attacks: F2. Of seventy the quorum's are kept."""
    keys = witnesses(70)
    for needed in ("all w0 w1 w2", "all w67 w68 w69", "1 w5 w66"):
        policy = policy_of(keys, needed)
        answers = {f"w{i}": line(key) for i, key in enumerate(keys)}
        log = asked(monkeypatch, policy, answers)
        cosigned, by = log.cosign(HEAD)
        assert len(by) == MAX_LINES - 1
        assert log.satisfied(by)
        assert set(policy.check(cosigned, log_key=LOG.key)[1]) == set(by)
    # A quorum that has no room in a note is never reached.
    policy = policy_of(keys, "all " + " ".join(f"w{i}" for i in range(64)))
    _, by = asked(monkeypatch, policy, answers).cosign(HEAD)
    assert not policy.satisfied({item.key for item in by})


def test_what_the_policy_refuses_is_not_served(monkeypatch: pytest.MonkeyPatch) -> None:
    """attacks: F2. A policy for another log: its quorum cosigns, and no client would accept it."""
    [key] = keys = witnesses(1)
    for by, fails in ((LOG, False), (signer("log.example/other", LOG_KEY), True)):
        log = asked(monkeypatch, policy_of(keys, "1 w0", by), {"w0": line(key)})
        if fails:
            with pytest.raises(VerificationError, match="knows no log"):
                log.cosign(HEAD)
        else:
            assert [item.key for item in log.cosign(HEAD)[1]] == [key.key]
