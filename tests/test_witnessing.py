"""The log's side of its witnesses: what they may answer, and when."""

from __future__ import annotations

import hashlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

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
from evote.server._fetch import Reply, Unreachable, fetch
from evote.server._witnessing import Witnessing


def signer(name: str, kind: int) -> NoteSigner:
    key = SigningKey(hashlib.sha256(name.encode()).digest())
    public = VerifierKey(name=name, kind=kind, public=bytes(key.verify_key))
    return NoteSigner(key=public, sign=lambda message: key.sign(message).signature)


LOG = signer("log.example/election", LOG_KEY)
HEAD = sign_checkpoint(Checkpoint(origin=LOG.key.name, size=5, root=bytes(32)), LOG)
CLOCK = 1_700_000_000


def until(holds: Callable[[], bool]) -> None:
    """Wait for a thread that is about to be done."""
    for _ in range(3000):
        if holds():
            return
        time.sleep(0.02)
    pytest.fail("not in a minute")


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
    monkeypatch.setattr(module, "_GRACE", 60.0)
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


def test_who_is_slow_holds_up_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """attacks: F2. The head is there once the quorum has answered; the slow one is asked once."""
    good, slow = keys = witnesses(2)
    go, requests = threading.Event(), list[str]()

    def answer(url: str, data: bytes | None = None, **limits: object) -> Reply:
        requests.append(url)
        if url.startswith("http://w1/"):
            assert go.wait(60)
            return Reply(200, line(slow))
        return Reply(200, line(good))

    monkeypatch.setattr(module, "fetch", answer)
    monkeypatch.setattr(module, "_SECONDS", 60.0)
    monkeypatch.setattr(module, "_GRACE", 0.1)
    log = Witnessing(LOG.key, policy_of(keys, "1 w0 w1"), lambda old, new: ())
    for _ in range(3):
        cosigned, by = log.cosign(HEAD)
        assert [item.key for item in by] == [good.key]
        assert log.problems == {"w1": "no answer yet"}
    assert sum(url.startswith("http://w1/") for url in requests) == 1
    go.set()
    until(lambda: not log._asked)
    # Its honest twin: who answers in time is counted, also where the quorum needs all.
    for quorum in ("1 w0 w1", "all w0 w1"):
        monkeypatch.setattr(module, "_GRACE", 60.0)
        policy = policy_of(keys, quorum)
        cosigned, by = Witnessing(LOG.key, policy, lambda old, new: ()).cosign(HEAD)
        assert {item.key for item in by} == {good.key, slow.key}
        policy.check(cosigned, log_key=LOG.key)


def test_a_quorum_that_does_not_come_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """What goes wrong in one thread is that witness's problem; who says nothing is waited out."""
    go = threading.Event()
    keys = witnesses(3)

    def answer(url: str, data: bytes | None = None, **limits: object) -> Reply:
        if url.startswith("http://w1/"):
            go.wait(60)
        if url.startswith("http://w2/"):
            raise RuntimeError
        return Reply(200, line(keys[0]))

    monkeypatch.setattr(module, "fetch", answer)
    monkeypatch.setattr(module, "_SECONDS", 0.5)
    log = Witnessing(LOG.key, policy_of(keys, "2 w0 w1 w2"), lambda old, new: ())
    _, by = log.cosign(HEAD)
    assert [item.key for item in by] == [keys[0].key]
    assert not log.satisfied(by)
    assert log.problems == {"w1": "no answer yet", "w2": "RuntimeError"}
    go.set()
    until(lambda: not log._asked)


# -- one request -----------------------------------------------------------------------------------

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"transfer-encoding: chunked\r\n\r\n"


@contextmanager
def answering(first: bytes, again: bytes = b"") -> Iterator[str]:
    """A server that says one thing, and then another until the client has gone."""

    def serve() -> None:
        with server.accept()[0] as client:
            client.recv(2**16)
            try:
                client.sendall(first)
                while again:
                    time.sleep(0.02)
                    client.sendall(again)
                client.shutdown(socket.SHUT_WR)
                while client.recv(2**16):
                    pass
            except OSError:
                return

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}/x"
        thread.join(60)
        assert not thread.is_alive()


@pytest.mark.parametrize(
    ("first", "again"),
    [
        (b"", b"H"),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        (OK, b"a"),
        (OK + b"\r\n", b"a"),
        (OK + b"content-length: 1000000\r\n\r\n", b"a"),
        (CHUNKED, b"1\r\na\r\n"),
        (CHUNKED + b"1;", b"a"),
        (CHUNKED + b"0\r\n", b"a: b\r\n"),
    ],
)
def test_an_answer_without_end(first: bytes, again: bytes) -> None:
    """attacks: F2. Whatever a server sends and goes on sending, the request ends."""
    with answering(first, again) as url, pytest.raises(Unreachable, match=r"within 0\.3 seconds"):
        fetch(url, b"x", limit=10**6, seconds=0.3)


@pytest.mark.parametrize(
    "answer",
    [
        OK + b"\r\nhead",
        OK + b"content-length: 4\r\n\r\nhead",
        OK + b"connection: close\r\ncontent-length: 4\r\n\r\nhead",
        b"HTTP/1.1 100 Continue\r\n\r\n" + OK + b"\r\nhead",
        b"HTTP/1.0 200 OK\r\n\r\nhead",
        CHUNKED + b"1\r\nh\r\n3\r\nead\r\n0\r\na: b\r\n\r\n",
    ],
)
def test_answers_that_end(answer: bytes) -> None:
    for data in (None, b"x"):
        with answering(answer) as url:
            assert fetch(url, data, limit=4) == Reply(200, b"head")
        with answering(answer) as url, pytest.raises(Unreachable, match="more than 3 bytes"):
            fetch(url, data, limit=3)
    with answering(answer[: answer.rindex(b"ead")]) as url:
        if b"length" in answer or b"chunked" in answer:
            with pytest.raises(Unreachable):
                fetch(url, limit=4)
        else:
            assert fetch(url, limit=4) == Reply(200, b"h")
