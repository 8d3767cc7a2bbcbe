"""JSON as other systems write it: free in its form, and without what two readers differ on."""

from __future__ import annotations

import json
import re
from typing import Any, NoReturn

from evote.encoding import MAX_BYTES, check_json_limits, unique_keys
from evote.errors import DecodingError

__all__ = ["read_json"]

_MAX_DIGITS = 1300  # of a number; a 4096-bit prime in decimal has 1234
_SURROGATE = re.compile("[\ud800-\udfff]")


def read_json(data: bytes, *, where: str, max_bytes: int = MAX_BYTES) -> Any:
    """Any one JSON text of limited size and depth; white space and the order of keys are free.

    Duplicate keys, fractions, huge numbers, broken UTF-8 and unpaired surrogates are refused.

    Raises:
        DecodingError: at `where`, with the reason.
    """

    def refuse(reason: str) -> NoReturn:
        raise DecodingError(reason, where=where)

    def integer(digits: str) -> int:
        if len(digits) > _MAX_DIGITS:
            refuse(f"a number of {len(digits)} digits")
        return int(digits)

    check_json_limits(data, where=where, max_bytes=max_bytes)
    try:
        text = data.decode("utf-8")
        value = json.loads(
            text,
            parse_int=integer,
            parse_float=lambda _: refuse("a number that is not an integer"),
            parse_constant=lambda name: refuse(f"{name} is not JSON"),
            object_pairs_hook=lambda pairs: unique_keys(pairs, where),
        )
        if "\\u" in text and _SURROGATE.search(json.dumps(value, ensure_ascii=False)):
            refuse("an unpaired surrogate")
    except UnicodeDecodeError as error:
        raise DecodingError(f"not UTF-8 at byte {error.start}", where=where) from None
    except json.JSONDecodeError as error:
        raise DecodingError(f"not JSON: {error.msg} at {error.pos}", where=where) from None
    except RecursionError:
        raise DecodingError("JSON nested too deep", where=where) from None
    return value
