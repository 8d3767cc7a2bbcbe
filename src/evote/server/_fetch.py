"""One HTTP request as a client: bounded bytes and seconds, no redirects, no cookies, no proxies."""

from __future__ import annotations

import http.client
import io
import socket
import ssl
import time
from typing import NamedTuple
from urllib.parse import urlsplit

from evote.errors import ParameterError

__all__ = ["Reply", "Unreachable", "check_url", "fetch"]


class Unreachable(OSError):
    """No answer, or one that is not HTTP, too long or too late: says nothing about anybody."""


class Reply(NamedTuple):
    """A status and a body."""

    status: int
    body: bytes


def check_url(url: str) -> str:
    """An http or https URL without query, fragment and user; without its last slash.

    Raises:
        ParameterError: it is something else.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ParameterError(f"not a URL: {url!a}") from None
    plain = url.isascii() and url.isprintable() and " " not in url
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0 or not plain:
        raise ParameterError(f"an http or https URL expected: {url!a}")
    if parts.query or parts.fragment or parts.username is not None:
        raise ParameterError(f"a URL without query, fragment and user expected: {url!a}")
    return url.rstrip("/")


def fetch(
    url: str, data: bytes | None = None, *, limit: int, seconds: float = 30.0, kind: str = ""
) -> Reply:
    """GET a URL, or POST `data` to it.

    Args:
        url: as `check_url` gives it, and a path.
        limit: most bytes of the answer's body.
        seconds: for all of it, whatever the server sends meanwhile; only the look-up of its name
            has limits of the system's own.

    Raises:
        Unreachable: no answer within the limits.
    """
    parts, end = urlsplit(url), time.monotonic() + seconds
    host, secure = parts.hostname or "", parts.scheme == "https"
    port = parts.port or (443 if secure else 80)
    headers = {"content-type": kind or "application/octet-stream"} if data is not None else {}
    try:
        with _connect(host, port, secure, end) as sock:
            plain = http.client.HTTPSConnection if secure else http.client.HTTPConnection
            connection = plain(host, port)
            connection.sock = _Ending(sock, end)
            path = parts.path or "/"
            connection.request("GET" if data is None else "POST", path, body=data, headers=headers)
            with connection.getresponse() as response:
                body = bytearray()
                while piece := response.read1(2**16):
                    body += piece
                    if len(body) > limit:
                        raise Unreachable(f"{url}: more than {limit} bytes")
                if response.length:  # the connection ended before the body did
                    raise Unreachable(f"{url}: the answer is cut short")
                return Reply(response.status, bytes(body))
    except TimeoutError:
        raise Unreachable(f"{url}: no answer within {seconds:g} seconds") from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        if isinstance(error, Unreachable):
            raise
        raise Unreachable(f"{url}: {error or type(error).__name__}") from None


def _left(end: float) -> float:
    """Seconds until `end`."""
    left = end - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _connect(host: str, port: int, secure: bool, end: float) -> socket.socket:
    """A connection to the first address that takes it; each has its share of the time."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    for others, (*_, address) in zip(reversed(range(len(found))), found, strict=True):
        try:
            share = _left(end) / (others + 1)
            sock = socket.create_connection((str(address[0]), port), timeout=share)
            break
        except OSError:
            if not others:
                raise
    try:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if secure:
            sock.settimeout(_left(end))
            return ssl.create_default_context().wrap_socket(sock, server_hostname=host)
        return sock
    except BaseException:
        sock.close()
        raise


class _Ending(io.RawIOBase):
    """What `http.client` needs of a socket; each of its waits ends when all of it must."""

    def __init__(self, sock: socket.socket, end: float) -> None:
        self._sock, self._end = sock, end

    def sendall(self, data: bytes) -> None:
        self._sock.settimeout(_left(self._end))
        self._sock.sendall(data)

    def makefile(self, mode: str) -> io.BufferedReader:
        return io.BufferedReader(self)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        self._sock.settimeout(_left(self._end))
        return self._sock.recv_into(buffer)

    def close(self) -> None:
        """Nothing: the connection lets go before the answer is read. `fetch` closes the socket."""
