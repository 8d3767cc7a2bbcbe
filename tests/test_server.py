"""The board's server: what it takes in, what it gives out, its limits; and its processes."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from evote import cli, workflow
from evote._fingerprints import NO_MARKS
from evote._refusals import decode_refusal, verify_refusal
from evote._submissions import decode_submission, encode_submission, submission_limit
from evote.board import (
    BallotEntry,
    Receipt,
    decode_bundle,
    decode_policy,
    decode_receipt,
    encode_entry,
    open_checkpoint,
    verify_receipt,
)
from evote.disputes import Dispute, Verdict, encode_dispute, judge
from evote.election import ElectionParameters
from evote.errors import DecodingError, ParameterError, UnsupportedError, VerificationError
from evote.record import Record
from evote.server._fetch import Unreachable, check_url, fetch
from evote.server._web import Answer, Limits, Request, _Bounded, affordable, listen
from evote.server.board import BoardServer
from evote.server.client import send_ballot
from evote.verify import audit
from evote.workflow import RefusedBallot, Submission

if TYPE_CHECKING:
    from tests import records, servers
    from tests.records import Made, Plan
    from tests.servers import ask, asked, needs_server, serving
else:
    import records
    from records import Made, Plan
    from servers import ask, asked, needs_server, serving

VOTERS = 12


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    line = workflow.RollLine(style="all", count=VOTERS)
    election = records.make_ready(tmp_path_factory.mktemp("server"), Plan(voters=(line,)))
    records.open_small(election)
    return election


@pytest.fixture(scope="module")
def parameters(made: Made) -> ElectionParameters:
    return workflow.load_parameters(made.path)


@pytest.fixture
def server(made: Made) -> Iterator[BoardServer]:
    with workflow.open_ballot_box(made.path, made.board, records.PASSPHRASE) as box:
        running = BoardServer(Record(made.path), box)
        with running.running():
            yield running


def signed(made: Made, voter: int, *votes: int, action: Any = "cast") -> Submission:
    code = made.credentials[voter].code
    ballot = workflow.encrypt_ballot(made.path, code, records.marks(*(votes or (1, 0))))
    return workflow.sign_ballot(made.path, code, ballot, action)


def post(server: BoardServer, *submissions: Submission | bytes) -> list[servers.Response]:
    """All at once, so that they are one batch."""

    async def everybody() -> list[servers.Response]:
        bodies = [s if isinstance(s, bytes) else encode_submission(s) for s in submissions]
        return await asyncio.gather(
            *(asked(server.handle, "POST", "/ballots", [body]) for body in bodies)
        )

    return asyncio.run(everybody())


def receipt_of(made: Made, submission: Submission, response: servers.Response) -> Receipt:
    assert response.status == 200, response.body
    receipt, key = decode_receipt(response.body), Record(made.path).manifest.log_key
    verify_receipt(receipt, key, sent=encode_entry(submission.entry))
    return receipt


def test_a_ballot_and_its_receipts(made: Made, server: BoardServer) -> None:
    """attacks: F3. Acknowledged is on the disk, under the receipt's head, and is found again."""
    submission = signed(made, 0)
    [response] = post(server, submission)
    receipt = receipt_of(made, submission, response)
    size = open_checkpoint(receipt.proof.checkpoint, Record(made.path).manifest.log_key).size
    bundle = ask(server.handle, "GET", f"/board/tile/entries/000.p/{size}")
    assert decode_bundle(bundle.body, size)[receipt.proof.index] == receipt.entry
    # Again, alone and twice in a batch: taken in once.
    for again in (*post(server, submission, submission), *post(server, submission)):
        assert receipt_of(made, submission, again).proof.index == receipt.proof.index
    later = signed(made, 1)
    post(server, later)
    found = ask(server.handle, "GET", f"/receipt/{submission.digest.hex()}")
    assert receipt_of(made, submission, found).proof.index == receipt.proof.index
    assert ask(server.handle, "GET", "/receipt/" + "00" * 32).status == 404
    # A partial bundle that has been replaced is still there for who holds the older head.
    again = ask(server.handle, "GET", f"/board/tile/entries/000.p/{size}")
    assert again.body == bundle.body


def resigned(made: Made, voter: int, body: bytes) -> Submission:
    """A body that is signed by a voter, whatever is in it."""
    from evote.ceremony import ceremony_parameters
    from evote.credentials import derive_voter_key

    record = Record(made.path)
    key = derive_voter_key(made.credentials[voter].code, ceremony_parameters(record).base_id)
    draft = Submission(body=body, action="cast", credential=key.credential, signature=bytes(64))
    election = workflow.load_parameters(made.path).election_id
    return replace(draft, signature=key.sign_ballot(election, draft.digest, "cast"))


def flipped(body: bytes) -> bytes:
    """A ballot whose last proof byte is another, still canonical in form."""
    value = json.loads(body)

    def change(item: Any) -> bool:
        pairs = list(item.items()) if isinstance(item, dict) else list(enumerate(item))
        for name, inner in reversed(pairs):
            if isinstance(inner, dict | list):
                if change(inner):
                    return True
            elif isinstance(inner, str) and len(inner) > 80:
                swap = "B" if inner[40] != "B" else "C"
                item[name] = inner[:40] + swap + inner[41:]
                return True
        return False

    assert change(value)
    return json.dumps(value, separators=(",", ":"), sort_keys=True).encode()


def test_a_batch_of_good_and_bad(
    made: Made, server: BoardServer, parameters: ElectionParameters, tmp_path: Path
) -> None:
    """attacks: G6. Each is judged for itself, a bad one costs no other, refusals hold."""
    good = [signed(made, voter) for voter in range(2, 8)]
    stranger = replace(good[0], credential=bytes(31) + b"\x01")
    unsigned = replace(signed(made, 8), signature=good[0].signature)
    broken = resigned(made, 9, flipped(good[1].body))
    copied = resigned(made, 10, good[2].body)  # bound to another credential
    bad = [stranger, unsigned, broken, copied]
    mixed = [bad[0], good[0], good[1], bad[1], good[2], good[3], bad[2], bad[3], good[4], good[5]]
    before = server._box.board.size
    responses = dict(zip(map(encode_submission, mixed), post(server, *mixed), strict=True))
    indices = {
        receipt_of(made, item, responses[encode_submission(item)]).proof.index for item in good
    }
    assert indices == set(range(before, before + len(good)))
    reasons = []
    for item in bad:
        response = responses[encode_submission(item)]
        assert response.status == 422
        refusal = decode_refusal(response.body)
        assert refusal.entry == encode_entry(item.entry)
        verify_refusal(parameters.manifest, parameters.election_id, refusal)
        reasons.append(refusal.reason)
        dispute = encode_dispute(Dispute(evidence=refusal, body=item.body))
        assert judge(made.path, dispute).verdict is Verdict.UNFOUNDED
    assert reasons == ["voter", "signature", "ballot", "ballot"]
    assert audit(made.path, phase="voting").ok


def test_copies_within_a_batch(made: Made, server: BoardServer, tmp_path: Path) -> None:
    """attacks: C4. A refusal of a copy names a head under which it is one."""
    code = made.credentials[11].code
    ballot = workflow.encrypt_ballot(made.path, code, records.marks(0, 1))
    cast = workflow.sign_ballot(made.path, code, ballot, "cast")
    spoil = workflow.sign_ballot(made.path, code, ballot, "spoil")
    first, second = post(server, cast, spoil)
    assert sorted([first.status, second.status]) == [200, 422]
    refused, item = (first, cast) if first.status == 422 else (second, spoil)
    refusal = decode_refusal(refused.body)
    assert refusal.reason == "copy"
    dispute = encode_dispute(Dispute(evidence=refusal, body=item.body))
    assert judge(made.path, dispute).verdict is Verdict.UNFOUNDED


def test_a_failed_worker_fails_every_ballot_of_the_batch(
    made: Made, server: BoardServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """attacks: G6. A short answer of the verifier, or none, is no acceptance."""
    from evote import _ballot_box

    before = server._box.board.size
    submissions = [signed(made, voter) for voter in (3, 4)]
    short = _ballot_box.Judged([""], NO_MARKS, NO_MARKS)
    monkeypatch.setattr(_ballot_box, "judge_bodies", lambda context, items: short)
    assert [response.status for response in post(server, *submissions)] == [503, 503]
    assert server._box.board.size == before
    monkeypatch.undo()
    assert "ballots to verify" in server.failed
    assert post(server, submissions[0])[0].status == 503


def test_a_damaged_tile_costs_its_own_ballots_alone(made: Made, server: BoardServer) -> None:
    """attacks: F3, G6. Whoever sends an old ballot again does not close the board by it."""
    old, new = signed(made, 0), signed(made, 1)
    receipt_of(made, old, post(server, old)[0])
    with pytest.MonkeyPatch.context() as patch:

        def damaged(index: int) -> Receipt:
            raise VerificationError("board/tile/0/000: not the tile of its root")

        patch.setattr(server._box.board, "receipt", damaged)
        assert post(server, old)[0].status == 503
    first, second = post(server, old, new)
    receipt_of(made, old, first)
    receipt_of(made, new, second)
    assert not server.failed


def test_a_receipt_is_under_the_newest_head(made: Made, server: BoardServer) -> None:
    """Without witnesses there is no older head that would be served instead."""
    first, key = signed(made, 2), Record(made.path).manifest.log_key
    post(server, first)
    post(server, signed(made, 3))
    found = ask(server.handle, "GET", f"/receipt/{first.digest.hex()}")
    receipt = receipt_of(made, first, found)
    assert open_checkpoint(receipt.proof.checkpoint, key).size == server._box.board.size


@pytest.mark.parametrize(
    ("limits", "raised", "expected"),
    [
        ((1024, 1024), True, 384),
        ((1024, 1 << 20), True, 2048),
        ((1 << 20, 1 << 20), True, 2048),
        ((1024, -1), True, 2048),
        ((-1, -1), True, 2048),
        ((1024, 1 << 20), False, 384),
        ((100, 100), True, 1),
    ],
)
def test_connections_leave_descriptors_for_the_board(
    monkeypatch: pytest.MonkeyPatch, limits: tuple[int, int], raised: bool, expected: int
) -> None:
    """attacks: G3. Idle clients would else keep the board from writing."""
    resource = pytest.importorskip("resource")
    assert resource.RLIM_INFINITY == -1
    now = list(limits)

    def set_limit(which: int, pair: tuple[int, int]) -> None:
        if not raised or (now[1] != -1 and pair[0] > now[1]):
            raise ValueError("not permitted")
        now[:] = pair

    monkeypatch.setattr(resource, "getrlimit", lambda which: tuple(now))
    monkeypatch.setattr(resource, "setrlimit", set_limit)
    assert affordable(2048) == expected
    assert now[1] == limits[1]


def test_what_is_no_submission(made: Made, server: BoardServer) -> None:
    good = encode_submission(signed(made, 5))
    value = json.loads(good)
    body, most = submission_limit(Record(made.path).manifest)
    assert len(good) <= most
    mine = signed(made, 6)
    other = json.loads(encode_submission(mine))

    def packed(**changes: Any) -> bytes:
        return json.dumps(value | changes, separators=(",", ":"), sort_keys=True).encode()

    bad = [
        b"",
        b"{}",
        b"\xff",
        b"[" * 3000,
        good[:-1],
        good + b"\n",
        good.replace(b'"version":1', b'"version":2'),
        packed(body=other["body"]),
        packed(entry=other["entry"]),
        packed(body=""),
        packed(entry="AAAA"),
        packed(extra=1),
        packed(entry=value["entry"] + "="),
    ]
    for data in bad:
        [response] = post(server, data)
        assert response.status == 400, data[:80]
        with pytest.raises((DecodingError, UnsupportedError)):
            decode_submission(data, max_body=body)
    [response] = post(server, good + b" " * most)
    assert response.status == 413
    assert post(server, good)[0].status == 200


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "//",
        "/nothing",
        "/../record/manifest.json",
        "/..",
        "/board/../manifest.json",
        "/board/%2e%2e/manifest.json",
        "/%2e%2e/operators/board/secret.json",
        "/../operators/board/secret.json",
        "/board/tile/../checkpoint",
        "/board/tile/entries/../../checkpoint",
        "/board/tile/entries/000.p/0",
        "/board/tile/entries/000.p/257",
        "/board/tile/entries/999",
        "/board/tile/64/000",
        "/board",
        "/board/",
        "/roll",
        "/ballots/000.jsonl/",
        "/ballots/000.jsonl%00",
        "/manifest.json/",
        "/manifest.json%00.txt",
        "/C:/manifest.json",
        "/link.json",
        "/secret",
        "/receipt/",
        "/receipt/../manifest.json",
        "/board/checkpoint.new",
        "/board/.new-checkpoint",
    ],
)
def test_only_files_of_a_record_are_served(made: Made, server: BoardServer, path: str) -> None:
    """attacks: G3"""
    assert ask(server.handle, "GET", path).status == 404


def test_every_file_of_the_record_is_served(made: Made, server: BoardServer) -> None:
    """attacks: G3. The whole listing, and no more; a link in it is not followed."""
    post(server, signed(made, 0))
    for name in Record(made.path).files():
        response = ask(server.handle, "GET", f"/{name}")
        assert response.status == 200, name
        assert response.body == (made.path / name).read_bytes()
        assert ask(server.handle, "HEAD", f"/{name}").body == b""
    link = made.path / "tally.json"
    link.symlink_to(made.board / "secret.json")
    try:
        assert ask(server.handle, "GET", "/tally.json").status == 404
    finally:
        link.unlink()
    for method, path in (("PUT", "/manifest.json"), ("GET", "/ballots"), ("DELETE", "/ballots")):
        assert ask(server.handle, method, path).status == 405


# -- limits ----------------------------------------------------------------------------------------


async def echo(request: Request) -> Answer:
    if request.path == "/fail":
        raise RuntimeError("a secret")
    return Answer(body=await request.read(1000))


def test_bodies_within_limits() -> None:
    assert ask(echo, "POST", "/", b"abc", b"def").body == b"abcdef"
    assert ask(echo, "POST", "/", b"x" * 1000).status == 200
    assert ask(echo, "POST", "/", b"x" * 1001).status == 413
    for length in ("-1", "1e3", "0x10", " 5", "9" * 20):
        assert ask(echo, "POST", "/", b"x", headers={"content-length": length}).status == 413
    assert ask(echo, "POST", "/", b"x", headers={}).status == 411
    both = {"content-length": "3", "transfer-encoding": "chunked"}  # the server follows the second
    assert ask(echo, "POST", "/", b"xyz", headers=both).status == 411
    assert ask(echo, "POST", "/", b"xyz", headers={"content-length": "3"}).status == 200
    longer = ask(echo, "POST", "/", b"x" * 600, b"x" * 600, headers={"content-length": "3"})
    assert longer.status == 413
    slow = Limits(body_seconds=0.1)
    assert ask(echo, "POST", "/", b"x", b"y", limits=slow, pause=0.2).status == 408
    assert ask(echo, "POST", "/", b"x", limits=slow, hang=True).status == 408
    assert ask(echo, "POST", "/", b"x" * 900, limits=Limits(held_bytes=899)).status == 503
    assert ask(echo, "POST", "/", b"x" * 899, limits=Limits(held_bytes=899)).status == 200


def test_errors_say_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    response = ask(echo, "GET", "/fail")
    assert (response.status, response.body) == (500, b"internal error\n")
    assert "a secret" not in capsys.readouterr().err


def test_held_bytes_are_given_back() -> None:
    """However a request ends, the bytes of its body are no longer held."""
    from evote.server._web import Application

    application = Application(echo, Limits(held_bytes=500, body_seconds=0.05))
    for refused in (400, 600, 400):
        sent: list[Any] = []

        async def receive(size: int = refused) -> Any:
            return {"type": "http.request", "body": b"x" * size, "more_body": False}

        async def send(message: Any, sent: list[Any] = sent) -> None:
            sent.append(message)

        scope = {
            "type": "http",
            "method": "POST",
            "raw_path": b"/",
            "headers": [(b"content-length", str(refused).encode())],
        }
        asyncio.run(application(scope, receive, send))
        assert sent[0]["status"] == (200 if refused == 400 else 503)


class Protocol(asyncio.Protocol):
    """What `_Bounded` knows of a protocol of uvicorn's: whether a request has begun, and ended."""

    class Cycle:
        response_complete = False
        keep_alive = True

    def __init__(self) -> None:
        self.cycle: Any = None
        self.ended = 0

    def data_received(self, data: bytes) -> None:
        if b"!" in data:
            self.cycle = self.Cycle()
        if b"." in data:
            self.cycle.response_complete = True

    def connection_lost(self, exc: Exception | None) -> None:
        self.ended += 1


def connected(limits: Limits, *sent: bytes, wait: float) -> list[bool]:
    """Which of some connections have been ended after a while; each has sent something."""

    async def everybody() -> list[bool]:
        alive: set[_Bounded] = set()
        loop = asyncio.get_running_loop()
        made: list[Protocol] = []

        def connect() -> _Bounded:
            made.append(Protocol())
            return _Bounded(made[-1], limits, alive)

        server = await loop.create_server(connect, "127.0.0.1", 0)
        at = server.sockets[0].getsockname()
        clients = []
        for data in sent:
            clients.append(await asyncio.open_connection(*at))
            clients[-1][1].write(data)
            await asyncio.sleep(0.02)
        await asyncio.sleep(wait)
        found = [bool(protocol.ended) for protocol in made]
        for _, writer in clients:
            writer.close()
        server.close()
        await asyncio.sleep(0.02)
        assert not alive
        return found

    return asyncio.run(everybody())


def test_connections_within_limits() -> None:
    """Those that ask for nothing end first, then those that last; answers are waited for."""
    short = Limits(head_seconds=0.2, life_seconds=60)
    assert connected(short, b"", b"GET /slow", b"!", wait=0.5) == [True, True, False]
    brief = Limits(head_seconds=0.1, life_seconds=0.2)
    assert connected(brief, b"!", b"!.", wait=0.6) == [False, True]
    few = Limits(connections=2)
    assert connected(few, b"!", b"!", b"!", wait=0.1) == [False, False, True]


def test_more_than_can_wait(
    made: Made, server: BoardServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full queue sends clients away, who come again; what was in it is answered."""
    started, go_on = threading.Event(), threading.Event()

    def busy() -> bool:
        started.set()
        return go_on.wait(20)

    monkeypatch.setattr(server._queue, "maxsize", 1)
    submissions = [signed(made, voter) for voter in range(8)]
    waiting = server._call(busy)
    assert started.wait(20)
    threading.Timer(0.5, go_on.set).start()
    statuses = [response.status for response in post(server, *submissions)]
    assert waiting.result(20)
    assert sorted(statuses) == [200] + [503] * 7
    monkeypatch.undo()
    assert [response.status for response in post(server, *submissions)] == [200] * 8


def test_urls() -> None:
    assert check_url("http://127.0.0.1:80/x/") == "http://127.0.0.1:80/x"
    for url in (
        "",
        "ftp://a",
        "http://",
        "http://a b",
        "http://a?q",
        "http://a#f",
        "http://u@a",
        "http://a:99999",
        "http://a:0",
        "file:///etc/passwd",
        "http://\u00e4",
    ):
        with pytest.raises(ParameterError):
            check_url(url)
    with listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ParameterError, match="cannot listen"):
            listen("127.0.0.1", port)
    with pytest.raises(Unreachable):
        fetch(f"http://127.0.0.1:{port}/", limit=10, seconds=2)


# -- processes -------------------------------------------------------------------------------------


def run(*arguments: object) -> int:
    with pytest.raises(SystemExit) as leaving:
        cli.main([str(argument) for argument in arguments])
    assert isinstance(leaving.value.code, int)
    return leaving.value.code


def witnesses_of(directory: Path, count: int, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """The vkeys of new witnesses; the last has a key of ML-DSA-44."""
    keys = []
    for number in range(1, count + 1):
        algorithm = "ml-dsa-44" if number == count else "ed25519"
        name = f"witness.example/w{number}"
        path = directory / f"w{number}"
        assert run("witness", "init", path, "--name", name, "--algorithm", algorithm) == 0
        keys.append(capsys.readouterr().out.strip())
    return keys


def until(what: Any, seconds: float = 20.0) -> Any:
    """What a condition gives once it gives something."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := what():
            return found
        time.sleep(0.1)
    pytest.fail("it did not happen in time")


@needs_server
def test_a_board_three_witnesses_and_a_monitor(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """attacks: F1, F2, F3. As processes: voters cast and spoil, receipts become final."""
    monkeypatch.setenv("EVOTE_PASSPHRASE", records.PASSPHRASE)
    line = workflow.RollLine(style="all", count=3)
    made = records.make_ready(tmp_path / "election", Plan(voters=(line,)))
    records.open_small(made)
    manifest = Record(made.path).manifest
    log, keys = manifest.log_key.text, witnesses_of(tmp_path, 3, capsys)
    with (
        serving("witness", "serve", tmp_path / "w1", "--log", log) as one,
        serving("witness", "serve", tmp_path / "w2", "--log", log) as two,
        serving("witness", "serve", tmp_path / "w3", "--log", log) as three,
    ):
        lines = [
            f"witness w{i} {key} {url}"
            for i, (key, url) in enumerate(zip(keys, (one, two, three), strict=True), 1)
        ]
        text = "\n".join([f"log {log}", *lines, "group q 2 w1 w2 w3", "quorum q\n"])
        policy = tmp_path / "policy"
        policy.write_text(text)
        options = ("--board", made.board, "--witness-policy", policy)
        with serving("board", "serve", made.path, *options) as url:
            state = tmp_path / "monitor.json"
            watch = ("board", "monitor", url, "--state", state, "--witness-policy", policy)
            until(lambda: run(*watch) == 0)
            assert "1 entries, 1 of them new, 0 new ballots" in capsys.readouterr().out
            for voter, action in enumerate(("cast", "spoil", "cast")):
                folder = tmp_path / f"ballot-{voter}"
                monkeypatch.setenv("EVOTE_CODE", made.credentials[voter].code)
                command = ("ballot", "encrypt", made.path, folder, "--choose", "bridge:yes")
                assert run(*command) == 0
                assert run("ballot", action, made.path, folder, "--server", url) == 0
                assert not (folder / "secret.json").exists()
            assert "bridge: 1 0" in capsys.readouterr().out
            # Again, and a second ballot that a voter may cast.
            receipt = decode_receipt((tmp_path / "ballot-0" / "receipt.json").read_bytes())
            digest = json.loads(receipt.entry)["digest"]
            good = decode_policy(text.encode())

            def final() -> bool:
                found = fetch(f"{url}/receipt/{digest}", limit=10**6)
                try:
                    verify_receipt(decode_receipt(found.body), manifest.log_key, good)
                except VerificationError:
                    return False
                return True

            until(final)
            place = tmp_path / "final.json"
            asking = ("ballot", "receipt", made.path, tmp_path / "ballot-0" / "receipt.json")
            assert run(*asking, "--server", url, "--witness-policy", policy, "-o", place) == 0
            assert decode_receipt(place.read_bytes()).entry == receipt.entry
            verify_receipt(decode_receipt(place.read_bytes()), manifest.log_key, good)

            def all_seen() -> bool:
                """The head with all entries, which may be cosigned after that of the receipt."""
                if run(*watch, "--max-delay", 60) or run(*watch):
                    return False
                return "5 entries, 0 of them new" in capsys.readouterr().out

            until(all_seen)
            head = fetch(f"{url}/board/checkpoint", limit=10**6).body
            checkpoint, counted = good.check(head)
            assert (checkpoint.size, len(counted)) == (5, 3)
    # What was cosigned is in the record itself.
    audit(made.path, phase="voting", witness_policy=policy).raise_for_failure()
    assert run("ballot", "check", made.path, tmp_path / "ballot-2" / "receipt.json") == 0
    assert run("board", "checkpoint", made.path, "--witness-policy", policy) == 0
    assert capsys.readouterr().out.count("cosigned by witness.example/w") == 3
    assert run("board", "key", made.path) == 0
    assert capsys.readouterr().out.strip() == log
    tracker = workflow_tracker(receipt)
    assert run("board", "proof", made.path, tracker, "-o", tmp_path / "proof.json") == 0
    options_of_check = ("--witness-policy", policy)
    assert run("ballot", "check", made.path, tmp_path / "proof.json", *options_of_check) == 0
    assert run("board", "proof", made.path, "0" * 20, "-o", tmp_path / "none.json") == 2
    # The servers are gone: nobody is accused.
    assert run(*watch) == 3
    assert run("ballot", "cast", made.path, tmp_path / "ballot-2", "--server", url) != 0


@needs_server
def test_a_board_without_a_server_is_witnessed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """attacks: F1, F3. The heads between steps of operators, and one that does not continue."""
    monkeypatch.setenv("EVOTE_PASSPHRASE", records.PASSPHRASE)
    made = records.make_ready(tmp_path / "election", Plan())
    records.open_small(made)
    log, keys = Record(made.path).manifest.log_key.text, witnesses_of(tmp_path, 3, capsys)
    old = tmp_path / "old"
    policy = tmp_path / "policy"
    cosign = ("board", "cosign", made.path, "--board", made.board, "--witness-policy", policy)
    with (
        serving("witness", "serve", tmp_path / "w1", "--log", log) as one,
        serving("witness", "serve", tmp_path / "w2", "--log", log) as two,
    ):
        urls = (one, two, "http://127.0.0.1:9")  # nobody is there
        lines = [
            f"witness w{i} {key} {url}"
            for i, (key, url) in enumerate(zip(keys, urls, strict=True), 1)
        ]
        policy.write_text("\n".join([f"log {log}", *lines, "group q 2 w1 w2 w3", "quorum q\n"]))
        assert run(*cosign) == 0
        said = capsys.readouterr()
        assert said.out.splitlines() == [
            "1 entries",
            *(f"cosigned by witness.example/w{i}" for i in (1, 2)),
        ]
        assert said.err.startswith("w3: ")
        audit(made.path, phase="voting", witness_policy=policy).raise_for_failure()
        shutil.copytree(made.path, old)
        records.vote_small(made)
        report = audit(made.path, phase="voting", witness_policy=policy)
        assert {finding.check for finding in report.failures()} == {"board.witnesses"}
        assert run(*cosign) == 0
        assert capsys.readouterr().out.startswith("6 entries")
        audit(made.path, phase="voting", witness_policy=policy).raise_for_failure()
        # The log put back and continued otherwise: a fork, which nobody cosigns.
        (made.board / "index.sqlite").unlink()
        shutil.rmtree(made.path)
        shutil.copytree(old, made.path)
        records.cast(made, [(i, records.marks(0, 1), "cast") for i in range(3)] * 3)
        assert run(*cosign) == 3
        said = capsys.readouterr()
        assert "w1: status 422" in said.err
        assert "w2: status 422" in said.err
        assert "the quorum has not cosigned the head of 10 entries" in said.err
        assert (made.path / "board" / "checkpoint").read_bytes().count(b"\n\xe2") == 1
    # Nobody is left.
    assert run(*cosign) == 3
    assert run("board", "cosign", made.path, "--board", made.board) == 2


def workflow_tracker(receipt: Receipt) -> str:
    from evote.ballots import ballot_tracker
    from evote.board import decode_entry

    entry = decode_entry(receipt.entry)
    assert isinstance(entry, BallotEntry)
    return ballot_tracker(entry.digest)


@needs_server
def test_clients_that_cost_too_much(made: Made, parameters: ElectionParameters) -> None:
    """Slow, oversized and malformed clients are sent away; an honest one beside them is served."""
    with serving("board", "serve", made.path, "--board", made.board, "--connections", 40) as url:
        host, port = url.removeprefix("http://").split(":")
        at = (host, int(port))
        slow = [socket.create_connection(at) for _ in range(30)]
        for client in slow[:15]:
            client.sendall(b"POST /ballots HTTP/1.1\r\nHost: x\r\nContent-Length: 900\r\n\r\n{")
        for client in slow[15:]:
            client.sendall(b"GET /manif")
        submission = signed(made, 1, 0, 1)
        receipt = send_ballot(url, submission, parameters)
        assert receipt.entry == encode_entry(submission.entry)
        for data, status in (
            (b"\x00\xff\r\n\r\n", b"400"),
            (b"GET /" + b"a" * 40000 + b" HTTP/1.1\r\n\r\n", b"400"),
            (b"POST /ballots HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n", b"413"),
            (b"POST /ballots HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n", b"411"),
            (b"GET /../manifest.json HTTP/1.1\r\nHost: x\r\n\r\n", b"404"),
        ):
            with socket.create_connection(at) as client:
                client.settimeout(10)
                client.sendall(data)
                assert client.recv(4096).split(b" ")[1] == status
        # Beyond the limit a connection is ended, whoever it is, and nothing else happens.
        more = [socket.create_connection(at) for _ in range(40)]
        time.sleep(0.5)
        ended = 0
        for client in more:
            client.settimeout(0.05)
            try:
                ended += client.recv(1) == b""
            except TimeoutError:
                continue
            except ConnectionResetError:
                ended += 1
        assert ended >= 25
        for client in (*slow, *more):
            client.close()
        until(lambda: fetch(f"{url}/manifest.json", limit=10**6).status == 200)
        assert send_ballot(url, submission, parameters).proof.index == receipt.proof.index


@needs_server
def test_a_server_that_is_killed(made: Made, parameters: ElectionParameters) -> None:
    """attacks: F3. What was acknowledged before SIGKILL is there afterwards."""
    import subprocess
    import sys

    environment = dict(os.environ, EVOTE_PASSPHRASE=records.PASSPHRASE)
    environment["PYTHONPATH"] = os.pathsep.join(sys.path)
    command = [sys.executable, "-m", "evote", "board", "serve", str(made.path)]
    process = subprocess.Popen(
        [*command, "--board", str(made.board)], stdout=subprocess.PIPE, text=True, env=environment
    )
    assert process.stdout is not None
    url = process.stdout.readline().removeprefix("serving on ").strip()
    submissions = [signed(made, voter) for voter in (4, 5, 6)]
    receipts = [send_ballot(url, submission, parameters) for submission in submissions]
    process.kill()
    process.communicate()
    with serving("board", "serve", made.path, "--board", made.board) as url:
        for submission, receipt in zip(submissions, receipts, strict=True):
            assert send_ballot(url, submission, parameters).proof.index == receipt.proof.index
        with pytest.raises(RefusedBallot) as refused:
            send_ballot(url, resigned(made, 7, submissions[0].body), parameters)
        assert refused.value.refusal is not None
    assert audit(made.path, phase="voting").ok


def test_answers_that_a_client_does_not_believe(
    made: Made, parameters: ElectionParameters, monkeypatch: pytest.MonkeyPatch
) -> None:
    """attacks: C6, F1"""
    from evote.server import client as client_module
    from evote.server._fetch import Reply

    submission, other = signed(made, 2), signed(made, 3)
    with workflow.open_ballot_box(made.path, made.board, records.PASSPHRASE) as box:
        [receipt] = box.submit([other])
        [refused] = box.submit_each([replace(other, signature=bytes(64))])
    assert isinstance(refused, RefusedBallot)
    from evote._refusals import encode_refusal
    from evote.board import encode_receipt

    assert refused.refusal is not None

    def answered(status: int, body: bytes) -> None:
        monkeypatch.setattr(client_module, "fetch", lambda *a, **k: Reply(status, body))
        send_ballot("http://127.0.0.1", submission, parameters)

    with pytest.raises(VerificationError, match="another entry"):
        answered(200, encode_receipt(receipt))
    with pytest.raises(VerificationError, match="another ballot"):
        answered(422, encode_refusal(refused.refusal))
    for status in (200, 422):
        with pytest.raises(DecodingError):
            answered(status, b"{}")
    with pytest.raises(DecodingError, match="status 500"):
        answered(500, b"\x1b[31m")
    with pytest.raises(Unreachable):
        answered(503, b"busy")
