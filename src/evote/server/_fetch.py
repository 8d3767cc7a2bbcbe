"""One HTTP request as a client: bounded bytes and seconds, no redirects, no cookies, no proxies."""

from __future__ import annotations

import http.client
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
        seconds: for all of it.

    Raises:
        Unreachable: no answer within the limits.
    """
    parts, end = urlsplit(url), time.monotonic() + seconds
    host = parts.hostname or ""
    if parts.scheme == "https":
        context = ssl.create_default_context()
        connection: http.client.HTTPConnection = http.client.HTTPSConnection(
            host, parts.port, timeout=seconds, context=context
        )
    else:
        connection = http.client.HTTPConnection(host, parts.port, timeout=seconds)
    try:
        headers = {"content-type": kind or "application/octet-stream"} if data is not None else {}
        path = parts.path or "/"
        connection.request("GET" if data is None else "POST", path, body=data, headers=headers)
        response = connection.getresponse()
        body = bytearray()
        while piece := response.read1(2**16):
            body += piece
            if len(body) > limit:
                raise Unreachable(f"{url}: more than {limit} bytes")
            left = end - time.monotonic()
            if left <= 0:
                raise Unreachable(f"{url}: no answer within {seconds:g} seconds")
            if isinstance(connection.sock, socket.socket):
                connection.sock.settimeout(left)
        if response.length:  # the connection ended before the body did
            raise Unreachable(f"{url}: the answer is cut short")
        return Reply(response.status, bytes(body))
    except (OSError, http.client.HTTPException, ValueError) as error:
        if isinstance(error, Unreachable):
            raise
        raise Unreachable(f"{url}: {error or type(error).__name__}") from None
    finally:
        connection.close()
