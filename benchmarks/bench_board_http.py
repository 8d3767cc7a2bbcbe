"""How many ballots a second does a board take over HTTP, and what do bad clients cost good ones?

The server is a process of its own, on localhost, the clients are another; both share the machine's
cores. Ballots are encrypted and signed beforehand. An answer counts as an acknowledgement when it
is a receipt; every receipt is verified afterwards. One JSON object a line:

    steady    as many clients as --clients, all honest, each sends one ballot after the other
    crowd     --crowd clients at once, every second of them bad: slow (a byte now and then), too
              large, repeated, malformed, or with a proof or a signature that does not hold
    receipt   a receipt verified offline

`per_second` is of acknowledged ballots; latencies are from connecting to the whole answer, in ms;
`server_mib` is the most memory that the server has had.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import random
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

from _bench import processor, seconds

from evote import workflow
from evote._submissions import encode_submission
from evote.board import Receipt, decode_receipt, encode_entry, verify_receipt
from evote.encoding import JSON
from evote.operators import SCRYPT_COST_FLOOR, load_card
from evote.record import Record
from evote.workflow import Choice, Submission

PASSPHRASE = "correct horse"
KINDS = ("slow", "large", "repeated", "malformed", "false proof", "false signature")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """An open election, and ballots that wait to be sent."""

    record: Path
    board: Path
    ballots: list[Submission]
    false: list[Submission]  # signed by their voters, with proofs that do not hold


def draft(options: int, voters: int) -> dict[str, JSON]:
    """A yes/no question, or a contest of so many options, each with a proof."""
    names = ["yes", "no"] if options == 2 else [f"o{i}" for i in range(options)]
    return {
        "title": "Load",
        "contests": [
            {
                "id": "c",
                "title": "C?",
                "kind": "yes-no" if options == 2 else "limited",
                "options": [{"id": name, "title": name.upper()} for name in names],
                "option_limit": 1,
                "minimum": 0,
                "maximum": 1 if options == 2 else min(15, options),
                "blank": "none",
            }
        ],
        "styles": [{"id": "all", "contests": ["c"]}],
        "trustees": ["trustee-1"],
        "quorum": 1,
        "registrars": ["registrar-1"],
        "authorities": {"cards": ["authority-1"], "quorum": 1},
        "board": {"origin": "log.example/load", "card": "board"},
        "policies": {"revote": "last", "spoil": "allowed"},
        "weights": {"maximum": 1, "total": voters},
        "voters": {"maximum": voters},
    }


def prepare(directory: Path, options: int, ballots: int) -> Scene:
    """An election of as many voters as ballots, each of whom has signed one."""
    record = directory / "record"
    keys = workflow.create_operators(
        directory / "operators", PASSPHRASE, trustees=1, cost=SCRYPT_COST_FLOOR
    )
    cards = {name: load_card(path) for name, path in keys.items()}
    workflow.new_election(record, draft(options, ballots), cards=cards)
    workflow.run_ceremony(record, [keys["trustee-1"]], PASSPHRASE)
    lines = [workflow.RollLine(style="all", count=ballots)]
    codes = workflow.issue_credentials(record, keys["registrar-1"], lines, PASSPHRASE)
    workflow.open_election(record, [keys["authority-1"]], keys["board"], PASSPHRASE)
    rng = random.Random(8)
    voters = []
    for voter in codes:
        marks = [0] * options
        marks[rng.randrange(options)] = 1
        voters.append((voter.code, Choice(contests={"c": marks})))
    made = workflow.encrypt_ballots(record, voters)
    pairs = list(zip([code for code, _ in voters], made, strict=True))
    signed = workflow.sign_ballots(record, [(code, ballot, "cast") for code, ballot in pairs])
    false = workflow.sign_ballots(
        record, [(code, replace(one, body=altered(one.body)), "cast") for code, one in pairs[:100]]
    )
    return Scene(record=record, board=keys["board"], ballots=signed, false=false)


def altered(body: bytes) -> bytes:
    """A ballot with one character of its longest array exchanged: in form still a ballot."""
    longest = max(re.findall(rb'"[A-Za-z0-9_-]{80,}"', body), key=len)
    other = b"B" if longest[41:42] != b"B" else b"C"
    return body.replace(longest, longest[:41] + other + longest[42:])


# -- clients ---------------------------------------------------------------------------------------


class Load:
    """Clients of one server, and what they have seen."""

    def __init__(self, url: str, false: Sequence[Submission]) -> None:
        self.false = false
        parts = urlsplit(url)
        self.host, self.port = parts.hostname or "", parts.port or 80
        self.latencies: list[float] = []
        self.receipts: list[tuple[bytes, bytes]] = []
        self.answers: Counter[str] = Counter()

    async def request(
        self, data: bytes, *, piece: int = 0, pause: float = 0.0
    ) -> tuple[int, bytes]:
        """POST data on a connection of its own, in pieces if asked; status 0 if it was cut off."""
        writer = None
        try:
            reader, writer = await asyncio.open_connection(self.host, self.port)
            head = f"POST /ballots HTTP/1.1\r\nHost: load\r\nContent-Length: {len(data)}\r\n"
            writer.write(head.encode() + b"Connection: close\r\n\r\n")
            for start in range(0, len(data), piece or len(data) or 1):
                writer.write(data[start : start + (piece or len(data))])
                await writer.drain()
                if pause:
                    await asyncio.sleep(pause)
            answer = await reader.read(2**20)
            while more := await reader.read(2**20):
                answer += more
        except OSError:
            return 0, b""
        finally:
            if writer is not None:
                writer.close()
        top, _, body = answer.partition(b"\r\n\r\n")
        found = re.match(rb"HTTP/1.1 ([0-9]{3})", top)
        return (int(found[1]) if found else 0), body

    async def honest(self, submission: Submission, deadline: float = 120.0) -> None:
        """Send a ballot until it is acknowledged; a client that is sent away comes again."""
        data, start = encode_submission(submission), time.perf_counter()
        while time.perf_counter() - start < deadline:
            status, body = await self.request(data)
            if status == 200:
                self.latencies.append(time.perf_counter() - start)
                self.receipts.append((encode_entry(submission.entry), body))
                return
            self.answers[f"honest, sent away with {status}"] += 1
            await asyncio.sleep(0.2)
        self.answers["honest, never acknowledged"] += 1

    async def bad(self, kind: str, submission: Submission) -> None:
        """A client of one of `KINDS`."""
        data = encode_submission(submission)
        if kind == "slow":
            status, _ = await self.request(data, piece=64, pause=2.0)
        elif kind == "large":
            status, _ = await self.request(data + b" " * 10_000_000)
        elif kind == "repeated":
            await self.request(data)
            status, _ = await self.request(data)
        elif kind == "malformed":
            status, _ = await self.request(data[: len(data) // 2])
        elif kind == "false proof":
            status, _ = await self.request(encode_submission(random.choice(self.false)))
        else:
            false = replace(submission, signature=bytes(64))
            status, _ = await self.request(encode_submission(false))
        self.answers[f"{kind}: {status}"] += 1

    async def steady(self, ballots: Sequence[Submission], clients: int) -> None:
        """Each of the clients sends one ballot after the other."""
        waiting = iter(ballots)

        async def client() -> None:
            for submission in waiting:
                await self.honest(submission)

        await asyncio.gather(*(client() for _ in range(clients)))

    async def crowd(self, ballots: Sequence[Submission], bad: Sequence[Submission]) -> None:
        """All at once: the ballots, and as many bad clients as there are others to imitate."""
        clients: list[Callable[[], Awaitable[None]]] = []
        for i, submission in enumerate(ballots):
            clients.append(lambda one=submission: self.honest(one))  # type: ignore[misc]
            other, kind = bad[i % len(bad)], KINDS[i % len(KINDS)]
            clients.append(lambda one=other, as_=kind: self.bad(as_, one))  # type: ignore[misc]
        await asyncio.gather(*(client() for client in clients))


# -- the server ------------------------------------------------------------------------------------


class Server:
    """`evote board serve` as a process."""

    def __init__(self, scene: Scene) -> None:
        environment = dict(os.environ, EVOTE_PASSPHRASE=PASSPHRASE)
        command = [sys.executable, "-m", "evote", "board", "serve", str(scene.record)]
        self.process = subprocess.Popen(
            [*command, "--board", str(scene.board)],
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        assert self.process.stdout is not None
        self.url = self.process.stdout.readline().removeprefix("serving on ").strip()

    def mib(self) -> float:
        """The most memory that it has had."""
        status = Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii")
        found = re.search(r"VmHWM:\s+(\d+) kB", status)
        return round(int(found[1]) / 1024, 1) if found else 0.0

    def end(self) -> None:
        self.process.terminate()
        self.process.communicate()


def percentiles(latencies: Sequence[float]) -> dict[str, float]:
    """In milliseconds."""
    ordered = sorted(latencies) or [0.0]
    marks = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "most": 1.0}
    return {
        name: round(1000 * ordered[min(int(mark * len(ordered)), len(ordered) - 1)], 1)
        for name, mark in marks.items()
    }


def verified(scene: Scene, receipts: Sequence[tuple[bytes, bytes]]) -> list[Receipt]:
    """Every acknowledgement is one: a receipt of what was sent, each for a place of its own."""
    key = Record(scene.record).manifest.log_key
    found = []
    for entry, body in receipts:
        receipt = decode_receipt(body)
        verify_receipt(receipt, key, sent=entry)
        found.append(receipt)
    assert len({receipt.proof.index for receipt in found}) == len(found)
    return found


def row(what: str, **values: object) -> None:
    machine = {
        "processor": processor(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
    }
    print(json.dumps({"question": "board_http", "what": what} | values | machine), flush=True)


def measure(scene: Scene, options: argparse.Namespace, size: int) -> None:
    """Both loads, on one server after the other."""
    server = Server(scene)
    try:
        rest = options.crowd // 2
        first, second = scene.ballots[: len(scene.ballots) - rest], scene.ballots[-rest:]
        steady, start = Load(server.url, scene.false), time.perf_counter()
        asyncio.run(steady.steady(first, options.clients))
        took = time.perf_counter() - start
        receipts = verified(scene, steady.receipts)
        row(
            "steady",
            options=size,
            clients=options.clients,
            ballots=len(first),
            acknowledged=len(receipts),
            per_second=round(len(receipts) / took, 1),
            ms=percentiles(steady.latencies),
            body_bytes=len(first[0].body),
            server_mib=server.mib(),
            others=dict(steady.answers),
        )
        crowd, start = Load(server.url, scene.false), time.perf_counter()
        asyncio.run(crowd.crowd(second, first))
        took = time.perf_counter() - start
        row(
            "crowd",
            options=size,
            clients=2 * len(second),
            ballots=len(second),
            acknowledged=len(verified(scene, crowd.receipts)),
            seconds=round(took, 1),
            ms=percentiles(crowd.latencies),
            server_mib=server.mib(),
            others=dict(sorted(crowd.answers.items())),
        )
        key, some = Record(scene.record).manifest.log_key, receipts[:200]
        spent = seconds(lambda: [verify_receipt(receipt, key) for receipt in some])
        row("receipt", n=len(some), ms=round(1000 * spent / len(some), 3), size=len(receipts))
    finally:
        server.end()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--options", type=int, nargs="+", default=[2, 27])
    parser.add_argument("--ballots", type=int, default=2000, help="of the steady load")
    parser.add_argument("--clients", type=int, default=128)
    parser.add_argument("--crowd", type=int, default=1000)
    options = parser.parse_args()
    for size in options.options:
        with tempfile.TemporaryDirectory(prefix="evote-bench-") as directory:
            scene = prepare(Path(directory), size, options.ballots + options.crowd // 2)
            measure(scene, options, size)


if __name__ == "__main__":
    main()
