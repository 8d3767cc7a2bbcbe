"""Requests to an application without a socket, and servers as processes of their own."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import evote
from evote.server._web import Application, Handler, Limits

SECRET = "correct horse"
needs_server = pytest.mark.skipif(
    find_spec("uvicorn") is None, reason="the extra server is not installed"
)


class Response(NamedTuple):
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes


async def asked(
    handler: Handler,
    method: str,
    path: str,
    pieces: Sequence[bytes] = (),
    *,
    headers: dict[str, str] | None = None,
    limits: Limits | None = None,
    pause: float = 0.0,
    hang: bool = False,
) -> Response:
    """One request, through the application; its body comes in pieces, with pauses between them."""
    application = Application(handler, limits or Limits())
    given = {"content-length": str(sum(map(len, pieces)))} if headers is None else headers
    waiting, sent = list(pieces), list[dict[str, Any]]()

    async def receive() -> dict[str, Any]:
        await asyncio.sleep(pause)
        if not waiting and hang:
            await asyncio.sleep(3600)
        body = waiting.pop(0) if waiting else b""
        return {"type": "http.request", "body": body, "more_body": bool(waiting) or hang}

    async def send(message: Any) -> None:
        sent.append(dict(message))

    scope = {
        "type": "http",
        "method": method,
        "raw_path": path.encode("ascii"),
        "headers": [(name.encode(), text.encode()) for name, text in given.items()],
    }
    await application(scope, receive, send)
    start, *rest = sent
    found = {name.decode(): text.decode() for name, text in start["headers"]}
    body = b"".join(message.get("body", b"") for message in rest)
    if method != "HEAD":
        assert int(found["content-length"]) == len(body)
    return Response(start["status"], found, body)


def ask(handler: Handler, method: str, path: str, *pieces: bytes, **options: Any) -> Response:
    """`asked`, alone in a loop of its own."""
    return asyncio.run(asked(handler, method, path, pieces, **options))


@contextmanager
def serving(*arguments: object) -> Iterator[str]:
    """A command that serves, as a process; gives its URL, and ends it afterwards."""
    environment = dict(os.environ, EVOTE_PASSPHRASE=SECRET)
    environment["PYTHONPATH"] = os.pathsep.join([str(Path(evote.__file__).parents[1]), *sys.path])
    process = subprocess.Popen(
        [sys.executable, "-m", "evote", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line.startswith("serving on "):
            process.kill()
            pytest.fail(f"{line}{process.communicate()[1]}")
        yield line.removeprefix("serving on ").strip()
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.communicate(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
