"""Values to canonical bytes and back; no other module lays out bytes.

One value has one encoding, and a reader accepts that one only: `encode(decode(data)) == data` for
everything that decodes. JSON is RFC 8785 narrowed to ASCII keys and integers below 2^53; byte
strings inside JSON are lower-case hex (digests) or base64url without padding (packed arrays).
Anything else is a `DecodingError` that names the place. Sizes and depths are checked before
parsing, so hostile input costs time and memory linear in its own size.

Hash inputs are lists of byte strings, each framed by its length: `digest` and `xof` are the only
two ways into a hash function besides the transcript and the nonces of shuffles (`hedged_rng`).
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Collection, Iterable, Sequence
from itertools import islice, repeat
from typing import Any, NoReturn, TypeAlias

import numpy as np

from evote._forms import Rows, Strings, to_rows
from evote._hashes import sha256_rows
from evote.errors import DecodingError, ParameterError, UnsupportedError

__all__ = [
    "JSON",
    "Fields",
    "canonical_json",
    "check_format",
    "check_identifier",
    "check_json_limits",
    "check_text",
    "decode_base64url",
    "decode_decimal",
    "decode_hex",
    "digest",
    "digest_rows",
    "digests",
    "encode_base64url",
    "encode_hex",
    "frame",
    "long_digest",
    "parse_json",
    "uint32",
    "unique_keys",
    "without_strings",
    "xof",
]

JSON: TypeAlias = bool | int | str | list["JSON"] | dict[str, "JSON"] | None
_JSONList: TypeAlias = list[JSON]
_BytesList: TypeAlias = list[bytes]  # `Fields.list` hides the name
_JSONPairs: TypeAlias = list[tuple[str, JSON]]

MAX_INTEGER = 2**53 - 1
MAX_DEPTH = 32
MAX_BYTES = 16 * 2**20
_LONG = 2**20  # bytes of a part that is hashed where it lies
MAX_ITEMS = 2**20  # values of one JSON text: up to 300 bytes of memory each

_BASE64URL = re.compile(r"[A-Za-z0-9_-]*", re.ASCII)
_HEX = re.compile(r"(?:[0-9a-f]{2})*", re.ASCII)
_DECIMAL = re.compile(r"0|[1-9][0-9]*", re.ASCII)
_IDENTIFIER = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}", re.ASCII)

# Control (Cc), format (Cf, bidi marks among them), line and paragraph separators, surrogates. The
# ranges are written out because `unicodedata` changes with the Python version, and two auditors
# must not disagree about a manifest.
_UNPRINTABLE = re.compile(
    "[\u0000-\u001f\u007f-\u009f\u00ad\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u180e"
    "\u200b-\u200f\u2028-\u202e\u2060-\u206f\ud800-\udfff\ufeff\ufff0-\ufffb\U000110bd\U000110cd"
    "\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)

_NOT_STRUCTURE = bytes(sorted(set(range(256)) - set(b'"[]{}')))


def canonical_json(value: JSON) -> bytes:
    """The one encoding of a JSON value: RFC 8785, keys ASCII, integers below 2^53, no floats.

    Raises:
        ParameterError: the value, or something inside it, has no such encoding.
    """
    _check_encodable(value)
    return _encode_json(value)


def _encode_json(value: JSON) -> bytes:
    text = json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError:
        raise ParameterError("a string holds an unpaired surrogate") from None


def _check_encodable(value: JSON) -> None:
    waiting: list[tuple[object, int]] = [(value, 0)]  # not recursive: depth is the caller's
    while waiting:
        item, depth = waiting.pop()
        if depth > MAX_DEPTH:
            raise ParameterError(f"JSON nested deeper than {MAX_DEPTH}")
        if item is None or type(item) is bool or type(item) is str:
            continue
        if type(item) is int:
            if abs(item) > MAX_INTEGER:
                raise ParameterError("integer of 2^53 or more in JSON")
        elif type(item) is dict:
            for key, inner in item.items():
                if type(key) is not str or not key.isascii():
                    raise ParameterError("JSON keys are ASCII strings")
                waiting.append((inner, depth + 1))
        elif type(item) is list or type(item) is tuple:
            waiting += [(inner, depth + 1) for inner in item]
        else:
            raise ParameterError(f"no JSON encoding for {type(item).__name__}")


def parse_json(
    data: bytes,
    *,
    where: str = "",
    max_bytes: int = MAX_BYTES,
    max_depth: int = MAX_DEPTH,
    max_items: int = MAX_ITEMS,
    canonical: bool = True,
) -> JSON:
    """Read canonical JSON, and nothing but canonical JSON.

    Without `canonical`, other systems' files: white space, escapes and the order of keys are free.

    Duplicate keys, floats, NaN, a byte-order mark, white space, unpaired surrogates, escapes that
    are not needed, and depth or size beyond the limits are all errors.

    Raises:
        DecodingError: at `where`, with the reason.
    """

    def refuse(reason: str) -> NoReturn:
        raise DecodingError(reason, where=where)

    # With these nothing is left for `_check_encodable` to find, which would cost a second walk.
    def integer(digits: str) -> int:
        if len(digits) > 17 or abs(number := int(digits)) > MAX_INTEGER:
            refuse("integer of 2^53 or more in JSON")
        return number

    def unique(pairs: _JSONPairs) -> dict[str, JSON]:
        result = unique_keys(pairs, where)
        if not all(map(str.isascii, result)):
            refuse("JSON keys are ASCII strings")
        return result

    check_json_limits(
        data, where=where, max_bytes=max_bytes, max_depth=max_depth, max_items=max_items
    )
    try:
        text = bytes(data).decode("utf-8")
        value: JSON = json.loads(
            text,
            parse_int=integer,
            parse_float=lambda _: refuse("a number that is not an integer"),
            parse_constant=lambda name: refuse(f"{name} is not JSON"),
            object_pairs_hook=unique,
        )
        encoded = _encode_json(value)
    except DecodingError:
        raise
    except UnicodeDecodeError as error:
        raise DecodingError(f"not UTF-8 at byte {error.start}", where=where) from None
    except json.JSONDecodeError as error:
        raise DecodingError(f"not JSON: {error.msg} at {error.pos}", where=where) from None
    except ParameterError as error:
        raise DecodingError(str(error), where=where) from None
    if canonical and encoded != data:
        refuse("not canonical JSON (RFC 8785)")
    return value


def check_json_limits(
    data: bytes,
    *,
    where: str = "",
    max_bytes: int = MAX_BYTES,
    max_depth: int = MAX_DEPTH,
    max_items: int = MAX_ITEMS,
) -> None:
    """Refuse, in linear time and before it is parsed, JSON that would exhaust its reader.

    Raises:
        DecodingError: more bytes, values (commas and brackets outside of strings) or levels.
    """
    if len(data) > max_bytes:
        reason = f"{len(data)} bytes of JSON, at most {max_bytes} expected"
        raise DecodingError(reason, where=where)
    if _items(data) > max_items and _items(without_strings(data)) > max_items:
        raise DecodingError(f"more than {max_items} values in JSON", where=where)
    if _depth(data) > max_depth:
        raise DecodingError(f"JSON nested deeper than {max_depth}", where=where)


def unique_keys(pairs: list[tuple[str, Any]], where: str) -> dict[str, Any]:
    """The object of these pairs: `object_pairs_hook` of a reader that takes no key twice."""
    result = dict(pairs)
    if len(result) != len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise DecodingError(f"key {_shown(twice)} occurs twice", where=where)
    return result


def _items(data: bytes) -> int:
    return data.count(b",") + data.count(b"[") + data.count(b"{")


def without_strings(data: bytes) -> bytes:
    """What stands outside of strings, up to the first syntax error at least; linear time."""
    plain = data.replace(b"\\\\", b"").replace(b'\\"', b"")
    return b"".join(plain.split(b'"')[::2])


def _depth(data: bytes) -> int:
    """Depth of nesting up to the first syntax error, exactly; no recursion, linear time."""
    if data.count(b"[") + data.count(b"{") <= 1:
        return 1
    # Escaped quotes go first; what then remains of quotes toggles between inside and outside.
    plain = data.replace(b"\\\\", b"").replace(b'\\"', b"") if b"\\" in data else data
    marks = np.frombuffer(plain.translate(None, _NOT_STRUCTURE), dtype=np.uint8)
    inside = np.bitwise_xor.accumulate(marks == ord('"'))
    brackets = marks[~inside & (marks != ord('"'))]
    opening = (brackets == ord("[")) | (brackets == ord("{"))
    steps = np.where(opening, np.int8(1), np.int8(-1))
    return int(np.cumsum(steps, dtype=np.int32).max(initial=0))


def _shown(text: str, limit: int = 40) -> str:
    """Foreign text for a message: escaped and short."""
    return ascii(text if len(text) <= limit else text[:limit] + "...")


class Fields:
    """A strict reader of one JSON object, which names the place of every error.

    Each field is read once by its type; `end()` then refuses whatever was not read, so a reader
    that calls it knows the whole object.
    """

    __slots__ = ("_unread", "_values", "where")

    def __init__(self, value: JSON, where: str) -> None:
        """Read `value` found at `where`, as in "manifest.json: $.contests[3]"."""
        if type(value) is not dict:
            raise DecodingError(f"an object expected, got {_kind(value)}", where=where)
        self.where = where
        self._values = value
        self._unread = set(value)

    def __contains__(self, key: str) -> bool:
        return key in self._values

    def path(self, key: str) -> str:
        """The place of a field, for messages."""
        return f"{self.where}.{key}"

    def fail(self, key: str, reason: str) -> NoReturn:
        """Refuse the value of a field."""
        raise DecodingError(reason, where=self.path(key))

    def value(self, key: str) -> JSON:
        """The field as it is; it counts as read."""
        if key not in self._values:
            raise DecodingError(f"field {key!r} is missing", where=self.where)
        self._unread.discard(key)
        return self._values[key]

    def text(
        self,
        key: str,
        *,
        max_length: int = 1000,
        ascii_id: bool = False,
        allow_empty: bool = False,
    ) -> str:
        """Text of at most `max_length` characters, without control or formatting characters."""
        if ascii_id:
            return self.identifier(key)
        value = self._string(key)
        if len(value) > max_length:
            self.fail(key, f"text of {len(value)} characters, at most {max_length} expected")
        if not value and not allow_empty:
            self.fail(key, "text expected, got none")
        return check_text(value, where=self.path(key))

    def identifier(self, key: str) -> str:
        """1 to 64 characters of a-z 0-9 . _ - that start with a letter or digit."""
        return check_identifier(self._string(key), where=self.path(key))

    def identifiers(self, key: str, max_length: int) -> list[str]:
        """A list of identifiers."""
        return [
            check_identifier(item, where=f"{self.path(key)}[{i}]")
            for i, item in enumerate(self.list(key, max_length))
        ]

    def integer(self, key: str, low: int, high: int) -> int:
        """An integer from `low` to `high`; true and false are not integers."""
        value = self.value(key)
        if type(value) is not int:
            self.fail(key, f"an integer expected, got {_kind(value)}")
        if not low <= value <= high:
            self.fail(key, f"an integer from {low} to {high} expected, got {value}")
        return value

    def integers(self, key: str, low: int, high: int, max_length: int) -> list[int]:
        """A list of integers from `low` to `high`."""
        items = self.list(key, max_length)
        result = [v for v in items if type(v) is int and low <= v <= high]
        if len(result) != len(items):
            self.fail(key, f"integers from {low} to {high} expected")
        return result

    def boolean(self, key: str) -> bool:
        """true or false."""
        value = self.value(key)
        if type(value) is not bool:
            self.fail(key, f"true or false expected, got {_kind(value)}")
        return value

    def hex(self, key: str, size: int) -> bytes:
        """`size` bytes in lower-case hex."""
        return decode_hex(self._string(key), size, where=self.path(key))

    def packed(self, key: str, size: int | None = None, max_size: int | None = None) -> bytes:
        """Bytes in base64url: exactly `size`, or at most `max_size`."""
        value = self._string(key)
        self.check_size(key, len(value) * 3 // 4, size, max_size)
        return decode_base64url(value, where=self.path(key))

    def check_size(self, key: str, length: int, size: int | None, max_size: int | None) -> None:
        """Refuse bytes that are not exactly `size`, or more than `max_size`."""
        if size is not None and length != size:
            self.fail(key, f"{size} bytes expected, got {length}")
        if max_size is not None and length > max_size:
            self.fail(key, f"at most {max_size} bytes expected, got {length}")

    def packed_list(self, key: str, max_length: int) -> _BytesList:
        """A list of byte strings in base64url."""
        result = []
        for i, item in enumerate(self.list(key, max_length)):
            where = f"{self.path(key)}[{i}]"
            if type(item) is not str:
                raise DecodingError(f"a string expected, got {_kind(item)}", where=where)
            result.append(decode_base64url(item, where=where))
        return result

    def choice(self, key: str, options: Collection[str]) -> str:
        """One of the given words."""
        value = self._string(key)
        if value not in options:
            shown = ", ".join(islice(options, 10)) + (", ..." if len(options) > 10 else "")
            self.fail(key, f"one of {shown} expected, got {_shown(value)}")
        return value

    def list(self, key: str, max_length: int) -> _JSONList:
        """A list of at most `max_length` values."""
        value = self.value(key)
        if type(value) is not list:
            self.fail(key, f"a list expected, got {_kind(value)}")
        if len(value) > max_length:
            self.fail(key, f"at most {max_length} entries expected, got {len(value)}")
        return value

    def object(self, key: str) -> Fields:
        """The object in a field, as a reader of its own."""
        return Fields(self.value(key), self.path(key))

    def objects(self, key: str, max_length: int) -> Iterable[Fields]:
        """The objects of a list, each as a reader of its own."""
        items = self.list(key, max_length)
        return [Fields(item, f"{self.path(key)}[{i}]") for i, item in enumerate(items)]

    def end(self) -> None:
        """Refuse fields that nobody has read."""
        if self._unread:
            names = ", ".join(_shown(key) for key in sorted(self._unread)[:5])
            raise DecodingError(f"unknown field {names}", where=self.where)

    def _string(self, key: str) -> str:
        value = self.value(key)
        if type(value) is not str:
            self.fail(key, f"a string expected, got {_kind(value)}")
        return value


def _kind(value: object) -> str:
    names = {dict: "an object", list: "a list", str: "a string", int: "an integer", bool: "a truth"}
    return names.get(type(value), "null")


def check_format(fields: Fields, name: str, version: int) -> None:
    """Check the `format` and `version` fields of a file.

    Raises:
        DecodingError: another format.
        UnsupportedError: this format, in a version this library does not know.
    """
    found = fields.text("format", max_length=64)
    if found != name:
        fields.fail("format", f"format {name} expected, got {_shown(found)}")
    number = fields.integer("version", 1, MAX_INTEGER)
    if number != version:
        raise UnsupportedError(f"{fields.path('version')}: version {number} of {name} is unknown")


def check_identifier(value: JSON, *, where: str = "") -> str:
    """An identifier, checked: 1 to 64 of a-z 0-9 . _ - with a letter or digit first."""
    if type(value) is not str or not _IDENTIFIER.fullmatch(value):
        got = _shown(value) if type(value) is str else _kind(value)
        raise DecodingError(f"an identifier of a-z 0-9 . _ - expected, got {got}", where=where)
    return value


def check_text(value: str, *, where: str = "") -> str:
    """Text, checked: no control or formatting characters, line separators or surrogates."""
    if found := _UNPRINTABLE.search(value):
        raise DecodingError(f"character U+{ord(found[0]):04X} is not allowed in text", where=where)
    return value


def encode_base64url(data: bytes) -> str:
    """Base64url without padding (RFC 4648, section 5)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def decode_base64url(text: str, *, where: str = "") -> bytes:
    """The bytes of unpadded base64url; unused bits of the last character must be zero."""
    if not _BASE64URL.fullmatch(text) or len(text) % 4 == 1:
        raise DecodingError("base64url without padding expected", where=where)
    data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if len(text) % 4 and encode_base64url(data[-(len(data) % 3) :]) != text[-(len(text) % 4) :]:
        raise DecodingError("base64url with unused bits that are not zero", where=where)
    return data


def encode_hex(data: bytes) -> str:
    """Lower-case hex."""
    return bytes(data).hex()


def decode_hex(text: str, size: int | None = None, *, where: str = "") -> bytes:
    """The bytes of lower-case hex; `size` of them if given."""
    if size is not None and len(text) != 2 * size:
        raise DecodingError(f"{2 * size} hex digits expected, got {len(text)}", where=where)
    if not _HEX.fullmatch(text):
        raise DecodingError("lower-case hex of whole bytes expected", where=where)
    return bytes.fromhex(text)


def decode_decimal(text: str, *, where: str = "", max_digits: int = 20) -> int:
    """A non-negative integer in ASCII digits, with no sign, space or leading zero."""
    if len(text) > max_digits or not _DECIMAL.fullmatch(text):
        got = _shown(text)
        raise DecodingError(f"at most {max_digits} digits expected, got {got}", where=where)
    return int(text)


def uint32(number: int) -> bytes:
    """Four bytes, little-endian."""
    if not 0 <= number < 2**32:
        raise ParameterError(f"{number} does not fit four bytes")
    return int(number).to_bytes(4, "little")


def frame(*parts: bytes) -> bytes:
    """Each part after its length in four bytes: no two lists of parts give the same bytes."""
    try:
        return b"".join(
            [piece for part in parts for piece in (len(part).to_bytes(4, "little"), part)]
        )
    except OverflowError:
        raise ParameterError("a part of 4 GiB or more") from None


def digest(purpose: str, *parts: bytes) -> bytes:
    """SHA-256 of the framed purpose and parts: 32 bytes. Every digest of a record is this one."""
    if len(parts) == 1 and len(parts[0]) > _LONG:
        return long_digest(purpose, len(parts[0]), parts)  # without a copy
    return hashlib.sha256(frame(_purpose(purpose), *parts)).digest()


def long_digest(purpose: str, size: int, pieces: Iterable[bytes]) -> bytes:
    """The `digest` of one part of `size` bytes, which comes in pieces."""
    hashed = hashlib.sha256(frame(_purpose(purpose)) + uint32(size))
    for piece in pieces:
        hashed.update(piece)
        size -= len(piece)
    if size:
        raise ParameterError("the pieces are not as long as the part")
    return hashed.digest()


def digests(purpose: str, *columns: bytes | Sequence[bytes]) -> Sequence[bytes]:
    """The `digest` of each of n lists of parts.

    Args:
        columns: for each part, bytes that all lists have there, or n of them; n at least once.

    Raises:
        ParameterError: no column, or not all, say how many lists there are.
    """
    lists = [column for column in columns if not isinstance(column, bytes)]
    alike = all(isinstance(each, Strings) or len(set(map(len, each))) == 1 for each in lists)
    if alike and len({len(column) for column in lists}) == 1:
        rows = [column if isinstance(column, bytes) else to_rows(column) for column in columns]
        return Strings(digest_rows(purpose, *rows))
    sha256 = hashlib.sha256
    return [sha256(data).digest() for data in _frames(purpose, columns)]


def _frames(purpose: str, columns: Sequence[bytes | Sequence[bytes]]) -> Iterable[bytes]:
    """The frame of the purpose and each list of parts."""
    counts = {len(column) for column in columns if not isinstance(column, bytes)}
    if len(counts) != 1:
        raise ParameterError(f"columns of one length expected, got {sorted(counts)}")
    before, pieces = frame(_purpose(purpose)), list[Iterable[bytes]]()
    for column in columns:
        if isinstance(column, bytes):
            before += frame(column)
            continue
        sizes = list(map(len, column))
        heads = {size: before + uint32(size) for size in set(sizes)}
        pieces += [heads[size] for size in sizes], column
        before = b""
    pieces.append(repeat(before, *counts))
    return map(b"".join, zip(*pieces, strict=True))


def digest_rows(purpose: str, *columns: bytes | Rows) -> Rows:
    """The `digest` of each of n lists of parts, shape (n, 32).

    Args:
        columns: for each part, bytes that all lists have there, or an array of shape (n, bytes);
            one of these at least.
    """
    prefix, parts = frame(_purpose(purpose)), list[Rows]()
    count = next(len(column) for column in columns if not isinstance(column, bytes))
    for column in columns:
        text = frame(column) if isinstance(column, bytes) else uint32(column.shape[1])
        if not parts:
            prefix += text
        else:
            parts.append(np.tile(np.frombuffer(text, dtype=np.uint8), (count, 1)))
        if not isinstance(column, bytes):
            parts.append(column)
    return sha256_rows(prefix, parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1))


def xof(purpose: str, *parts: bytes, length: int) -> bytes:
    """SHAKE256 of the framed purpose and parts: `length` bytes."""
    if length < 0:
        raise ParameterError("a negative number of bytes")
    return hashlib.shake_256(frame(_purpose(purpose), *parts)).digest(length)


def xofs(purpose: str, *columns: bytes | Sequence[bytes], length: int) -> list[bytes]:
    """The `xof` of each of n lists of parts; `columns` as of `digests`."""
    if length < 0:
        raise ParameterError("a negative number of bytes")
    shake = hashlib.shake_256
    return [shake(data).digest(length) for data in _frames(purpose, columns)]


def _purpose(purpose: str) -> bytes:
    return b"evote/1/" + purpose.encode("ascii")
