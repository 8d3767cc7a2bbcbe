"""The forms of Helios: JSON whose bytes and texts are hashed, decimal numbers, fingerprints.

Parsed JSON is hashed as one of two texts, with sorted keys: as Python writes it (PY), or as
browsers do (JS). Objects may have fields that are not known here, since servers of different years
served different ones; what is hashed is all of an object.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from typing import Any

from gmpy2 import mpz

from evote.errors import DecodingError

__all__ = [
    "Failed",
    "fingerprint",
    "js_text",
    "member",
    "number",
    "py_text",
    "sha1_number",
    "short_hash",
    "shown",
    "text",
    "the_list",
    "unhex_or_base64",
]

_DECIMAL = re.compile(r"0|[1-9][0-9]*", re.ASCII)


class Failed(DecodingError):
    """What is wrong with one object, and the check that it fails."""

    def __init__(self, check: str, reason: str, *, where: str = "") -> None:
        self.check = check
        super().__init__(reason, where=where)


def py_text(value: Any) -> str:
    """The text that Helios' server hashes."""
    return json.dumps(value, sort_keys=True)


def js_text(value: Any) -> str:
    """The text that browsers submit and show the hash of."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def fingerprint(data: bytes | str) -> str:
    """SHA-256 in base64 without its padding."""
    data = data.encode("utf-8") if isinstance(data, str) else data
    return base64.b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode("ascii")


def short_hash(*texts: str) -> bytes:
    """16 bytes that no other texts have."""
    return hashlib.sha256(",".join(texts).encode("utf-8", "replace")).digest()[:16]


def unhex_or_base64(expected: str) -> str:
    """A fingerprint as it may be published: base64 as on Helios' pages, or 64 hex digits."""
    if re.fullmatch(r"[0-9a-f]{64}", expected, re.ASCII):
        data = base64.b64encode(bytes.fromhex(expected))
        return data.rstrip(b"=").decode("ascii")
    plain = expected.rstrip("=")
    if not re.fullmatch(r"[A-Za-z0-9+/]{43}", plain, re.ASCII):
        raise DecodingError("64 hex digits, or 43 of base64, expected", where="expected digest")
    return plain


def sha1_number(*numbers: str) -> int:
    """SHA-1 of decimal numbers joined by commas, as a number below 2^160."""
    data = ",".join(numbers).encode("ascii")
    return int.from_bytes(hashlib.sha1(data).digest(), "big")  # noqa: S324  Helios' own


def number(value: Any, where: str, *, below: mpz | int, least: int = 0) -> mpz:
    """A decimal number in a string, from `least` to `below` - 1."""
    if type(value) is not str or len(value) > 5000 or not _DECIMAL.fullmatch(value):
        raise DecodingError(
            f"a decimal number in a string expected, got {shown(value)}", where=where
        )
    found = mpz(value)
    if not least <= found < below:
        raise DecodingError("a number that is out of its range", where=where)
    return found


def member(value: Any, key: str, where: str) -> Any:
    """A member that an object must have."""
    if type(value) is not dict:
        raise DecodingError(f"an object expected, got {shown(value)}", where=where)
    if key not in value:
        raise DecodingError(f"field {key!r} is missing", where=where)
    return value[key]


def the_list(value: Any, where: str, length: int | None = None) -> list[Any]:
    """A list, of a certain length if that is known."""
    if type(value) is not list:
        raise DecodingError(f"a list expected, got {shown(value)}", where=where)
    if length is not None and len(value) != length:
        raise DecodingError(f"{length} entries expected, got {len(value)}", where=where)
    return value


def text(value: Any, where: str, *, max_length: int = 200) -> str:
    """A short text that is not empty."""
    if type(value) is not str or not 0 < len(value) <= max_length:
        reason = f"a text of 1 to {max_length} characters expected, got {shown(value)}"
        raise DecodingError(reason, where=where)
    return value


def shown(value: Any) -> str:
    """Something foreign for a message: escaped and short."""
    if type(value) is str:
        return ascii(value if len(value) <= 40 else value[:40] + "...")
    kinds = {dict: "an object", list: "a list", int: "an integer", bool: "a truth"}
    return kinds.get(type(value), "null")
