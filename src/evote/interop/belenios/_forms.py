"""Belenios' JSON: compact, its fields in a fixed order, its numbers in decimal strings.

Sizes, depth and numbers of values are checked before parsing. What a check refuses is a `Failed`,
which names the check.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from typing import Any

from evote.encoding import check_json_limits, unique_keys, without_strings
from evote.errors import DecodingError, VerificationError

__all__ = [
    "Failed",
    "base64_digest",
    "compact",
    "decimal",
    "fields",
    "items",
    "number",
    "parse",
    "sha256_hex",
    "string",
]

MAX_BYTES = 128 * 2**20  # of one text: a million public credentials
MAX_VALUES = 2**22  # of one text: up to 120 bytes of memory each
MAX_DEPTH = 40
SMALL = 2**30 - 1  # larger numbers are written as strings

_SPACE = re.compile(rb"[ \t\r\n]")
_DECIMAL = re.compile(r"0|[1-9][0-9]*", re.ASCII)
_DIGITS = re.compile(r"[0-9]+", re.ASCII)
_MAX_DIGITS = 1300  # of 4096 bits


class Failed(VerificationError):
    """A check that fails.

    Attributes:
        check: which one, without the name of the system.
    """

    def __init__(self, check: str, message: str) -> None:
        self.check = check
        self.message = message
        super().__init__(message)

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.check, self.message)


def parse(data: bytes, where: str, *, max_bytes: int = MAX_BYTES) -> Any:
    """The value of a compact JSON text; of objects, the fields keep their order.

    Raises:
        DecodingError: too large, too deep, not JSON, white space, or a field that occurs twice.
    """

    def refuse(name: str) -> None:
        raise DecodingError(f"{name} is not JSON", where=where)

    check_json_limits(
        data, where=where, max_bytes=max_bytes, max_depth=MAX_DEPTH, max_items=MAX_VALUES
    )
    if _SPACE.search(without_strings(data)):
        raise DecodingError("white space between values: JSON is compact here", where=where)
    try:
        return json.loads(
            data.decode("utf-8"),
            parse_int=lambda digits: int(digits) if len(digits) <= 20 else float("inf"),
            parse_constant=refuse,
            object_pairs_hook=lambda pairs: unique_keys(pairs, where),
        )
    except UnicodeDecodeError as error:
        raise DecodingError(f"not UTF-8 at byte {error.start}", where=where) from None
    except json.JSONDecodeError as error:
        raise DecodingError(f"not JSON: {error.msg} at {error.pos}", where=where) from None


def compact(value: Any) -> str:
    """The text that Belenios writes for a value that was read."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text.replace("\x7f", "\\u007f")


def fields(value: Any, where: str, *names: str) -> dict[str, Any]:
    """The fields of an object: these, in this order; those that end in "?" may be absent."""
    if type(value) is not dict:
        raise DecodingError("an object expected", where=where)
    found = list(value)
    expected = [name.rstrip("?") for name in names]
    for name in names:
        if name[-1] != "?" and name not in value:
            raise DecodingError(f"field {name} is missing", where=where)
    for name in found:
        if name not in expected:
            raise DecodingError(f"unknown field {name[:40]!a}", where=where)
    if found != [name for name in expected if name in value]:
        raise DecodingError("the fields are not in their order", where=where)
    return value


def items(value: Any, where: str, count: int | None = None, *, least: int = 0) -> list[Any]:
    """A list: of `count` entries, or at least so many."""
    if type(value) is not list:
        raise DecodingError("a list expected", where=where)
    if count is not None and len(value) != count:
        raise DecodingError(f"{count} entries expected, got {len(value)}", where=where)
    if len(value) < least:
        raise DecodingError(f"at least {least} entries expected, got {len(value)}", where=where)
    return value


def string(value: Any, where: str) -> str:
    """A string."""
    if type(value) is not str:
        raise DecodingError("a string expected", where=where)
    return value


def number(value: Any, where: str, *, low: int = 0, high: int = SMALL) -> int:
    """An integer from `low` to `high`."""
    if type(value) is not int or not low <= value <= high:
        raise DecodingError(f"an integer from {low} to {high} expected", where=where)
    return value


def decimal(value: Any, where: str, *, lenient: bool = False) -> int:
    """The number in a string of decimal digits, without leading zeros unless `lenient`."""
    if type(value) is not str or len(value) > _MAX_DIGITS:
        raise DecodingError("a number in a string expected", where=where)
    if not (_DIGITS if lenient else _DECIMAL).fullmatch(value):
        raise DecodingError("digits without a leading zero expected", where=where)
    return int(value)


def sha256_hex(data: bytes) -> str:
    """SHA-256 in lower-case hex."""
    return hashlib.sha256(data).hexdigest()


def base64_digest(data: bytes) -> str:
    """SHA-256 in Base64 without padding: 43 characters."""
    return base64.b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode("ascii")
