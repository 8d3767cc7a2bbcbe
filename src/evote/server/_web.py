"""A bare ASGI application on uvicorn: requests and answers as values, within limits.

Why uvicorn: the most used and best kept of the ASGI servers, pure Python with h11 as all that it
needs besides click, no framework. What it has no limit for is bounded here: the number of
connections before they send anything, how long a request line, a body and an answer may take, and
the bytes of all bodies that are held at once. Nothing is logged of a request.
"""

from __future__ import annotations

import asyncio
import io
import socket
import sys
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from contextlib import suppress
from dataclasses import dataclass, replace
from importlib import import_module
from typing import Any, BinaryIO

from evote.errors import ParameterError

__all__ = [
    "TEXT",
    "Answer",
    "Application",
    "Handler",
    "Limits",
    "Refused",
    "Request",
    "listen",
    "run_server",
]

TEXT = "text/plain; charset=utf-8"
_PIECE = 2**16
_OTHER_FILES = 256  # descriptors: of the record, the index, libraries
Message = MutableMapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a client may cost: seconds, bytes, connections."""

    connections: int = 2048
    head_seconds: float = 10.0  # until the first request of a connection is there
    body_seconds: float = 20.0
    answer_seconds: float = 60.0
    life_seconds: float = 120.0  # of a connection, however often it is used
    held_bytes: int = 64 * 2**20  # of all bodies at once


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A status, and a body; only words for people when something is wrong."""

    status: int = 200
    body: bytes = b""
    kind: str = TEXT
    headers: Mapping[str, str] | None = None
    file: BinaryIO | None = None
    """In the place of a body: as long as it is when the answer begins, and closed in the end."""


class Refused(Exception):
    """Ends a request with an answer."""

    def __init__(self, status: int, words: str, **headers: str) -> None:
        super().__init__(words)
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        self.answer = Answer(status=status, body=f"{words}\n".encode(), headers=names)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What was asked: the path is as it was sent, nothing decoded, without a query."""

    method: str
    path: str
    read: Callable[[int], Awaitable[bytes]]
    """Gives the body, of at most so many bytes."""


Handler = Callable[[Request], Awaitable[Answer]]


class Application:
    """The ASGI callable around a handler."""

    def __init__(self, handler: Handler, limits: Limits) -> None:
        self._handler, self._limits = handler, limits
        self._held = 0  # bytes of bodies

    async def __call__(
        self,
        scope: Message,
        receive: Callable[[], Awaitable[Message]],
        send: Callable[[Message], Awaitable[None]],
    ) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        mine = 0  # bytes that this request holds

        async def read(limit: int) -> bytes:
            nonlocal mine
            pieces: list[bytes] = []
            names = [name for name, _ in scope["headers"]]
            lengths = [value for name, value in scope["headers"] if name == b"content-length"]
            if len(lengths) != 1 or b"transfer-encoding" in names:  # which would stand above it
                raise Refused(411, "the length of the body is missing", connection="close")
            if not lengths[0].isdigit() or len(lengths[0]) > 15 or int(lengths[0]) > limit:
                raise Refused(413, f"at most {limit} bytes", connection="close")
            try:
                async with asyncio.timeout(self._limits.body_seconds):
                    more = True
                    while more:
                        message = await receive()
                        if message["type"] != "http.request":
                            raise Refused(400, "the client has gone", connection="close")
                        piece, more = message.get("body", b""), message.get("more_body", False)
                        pieces.append(piece)
                        mine += len(piece)
                        self._held += len(piece)
                        if mine > limit:
                            raise Refused(413, f"at most {limit} bytes", connection="close")
                        if self._held > self._limits.held_bytes:
                            raise Refused(503, "busy", connection="close", retry_after="1")
            except TimeoutError:
                raise Refused(408, "the body came too slowly", connection="close") from None
            return b"".join(pieces)

        try:
            raw = bytes(scope.get("raw_path") or b"")
            request = Request(method=scope["method"], path=raw.decode("latin-1"), read=read)
            answer = await self._handler(request)
        except Refused as refused:
            answer = refused.answer
        except Exception as error:
            print(f"internal error: {type(error).__name__}", file=sys.stderr)
            answer = Answer(status=500, body=b"internal error\n", headers={"connection": "close"})
        finally:
            self._held -= mine
        await self._send(answer, send, bodiless=scope["method"] == "HEAD")

    async def _send(
        self, answer: Answer, send: Callable[[Message], Awaitable[None]], *, bodiless: bool
    ) -> None:
        file = answer.file if answer.file is not None else io.BytesIO(answer.body)
        with file:
            size = file.seek(0, io.SEEK_END)
            file.seek(0)
            await self._send_file(answer, file, size, send, bodiless=bodiless)

    async def _send_file(
        self,
        answer: Answer,
        file: BinaryIO,
        size: int,
        send: Callable[[Message], Awaitable[None]],
        *,
        bodiless: bool,
    ) -> None:
        headers = {
            "content-type": answer.kind,
            "content-length": str(size),
            "x-content-type-options": "nosniff",
            **(answer.headers or {}),
        }
        encoded = [(name.encode("ascii"), text.encode("ascii")) for name, text in headers.items()]
        left = 0 if bodiless else size
        async with asyncio.timeout(self._limits.answer_seconds):
            start = {"type": "http.response.start", "status": answer.status, "headers": encoded}
            await send(start)
            while left and (piece := file.read(min(left, _PIECE))):
                left -= len(piece)
                await send({"type": "http.response.body", "body": piece, "more_body": True})
            await send({"type": "http.response.body", "body": b""})


class _Bounded(asyncio.Protocol):
    """A connection of uvicorn's that is closed when it asks for nothing, or lasts too long."""

    def __init__(self, inner: Any, limits: Limits, alive: set[_Bounded]) -> None:
        self._inner, self._limits, self._alive = inner, limits, alive
        self._timer: asyncio.TimerHandle | None = None
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._inner.connection_made(transport)
        if len(self._alive) >= self._limits.connections:
            transport.abort()
            return
        self._alive.add(self)
        self._wait(self._limits.head_seconds, self._head_is_late)

    def _wait(self, seconds: float, then: Callable[[], None]) -> None:
        self._timer = asyncio.get_running_loop().call_later(seconds, then)

    def _head_is_late(self) -> None:
        if self._inner.cycle is None:
            self._abort()
        else:
            self._wait(self._limits.life_seconds, self._too_old)

    def _too_old(self) -> None:
        if self._inner.cycle.response_complete:
            self._abort()
        else:  # a request in progress has deadlines of its own, and is the last
            self._inner.cycle.keep_alive = False
            self._wait(1.0, self._too_old)

    def _abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._alive.discard(self)
        if self._timer is not None:
            self._timer.cancel()
        self._inner.connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._inner.data_received(data)

    def eof_received(self) -> bool | None:
        return bool(self._inner.eof_received())

    def pause_writing(self) -> None:
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        self._inner.resume_writing()


def listen(host: str, port: int) -> socket.socket:
    """A socket that takes connections; port 0 is a free one.

    Raises:
        ParameterError: the address is not one of this machine, or is taken.
    """
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family, backlog=1024)
    except OSError as error:
        raise ParameterError(f"cannot listen on {host} port {port}: {error.strerror}") from None


def affordable(connections: int) -> int:
    """How many connections at most there are descriptors for, beside those of files.

    Raises the process's own limit as far as it may. Without descriptors the board could not write.
    """
    try:
        resource: Any = import_module("resource")
    except ImportError:  # not POSIX
        return connections
    soft: int
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * connections + _OTHER_FILES
    if soft == resource.RLIM_INFINITY:
        return connections
    if soft < wanted:
        most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
            soft = most
    return max(min(connections, (soft - _OTHER_FILES) // 2), 1)


def run_server(handler: Handler, at: socket.socket, limits: Limits | None = None) -> None:
    """Serve until a signal ends it; requests in progress are answered.

    Raises:
        ParameterError: the extra `server` is not installed.
    """
    try:
        uvicorn: Any = import_module("uvicorn")
        protocol: Any = import_module("uvicorn.protocols.http.h11_impl").H11Protocol
    except ImportError:
        raise ParameterError(
            "serving needs the extra server: pip install 'evote[server]'"
        ) from None
    bounds = limits or Limits()
    bounds = replace(bounds, connections=affordable(bounds.connections))
    alive: set[_Bounded] = set()

    def connect(**arguments: Any) -> _Bounded:
        return _Bounded(protocol(**arguments), bounds, alive)

    config = uvicorn.Config(
        Application(handler, bounds),
        http=connect,
        ws="none",
        lifespan="off",
        loop="asyncio",
        log_config=None,
        log_level="critical",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        backlog=1024,
        timeout_keep_alive=5,
        timeout_graceful_shutdown=10,
        h11_max_incomplete_event_size=16 * 2**10,
    )
    uvicorn.Server(config).run(sockets=[at])
