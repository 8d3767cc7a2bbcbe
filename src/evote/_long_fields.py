"""JSON objects with fields of megabytes: packed arrays that are not turned into text and copied.

A private sibling of `encoding`: what `parse_json` and `Fields` read, these read, and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from evote._spool import Spool, Stored
from evote.encoding import JSON, Fields, decode_base64url, encode_base64url, parse_json
from evote.errors import DecodingError

__all__ = ["LongFields", "read_long_fields", "write_long_field"]

_PIECE = 2**20  # characters, whole groups of four


class LongFields(Fields):
    """The fields of one object; the strings of some still lie where they were found."""

    __slots__ = ("_long",)

    def __init__(self, value: JSON, where: str, long: Mapping[str, memoryview]) -> None:
        """`value` has "" in the fields that are in `long`."""
        super().__init__(value, where)
        self._long = long

    def packed(self, key: str, size: int | None = None, max_size: int | None = None) -> bytes:
        if key not in self._long:
            return super().packed(key, size, max_size)
        return b"".join(self._pieces(key, size, max_size))

    def stored(self, key: str, size: int, spool: Spool) -> Stored:
        """The same `size` bytes, put on a spool."""
        if key not in self._long:
            return spool.add(super().packed(key, size))
        return spool.add_all(self._pieces(key, size))

    def _pieces(
        self, key: str, size: int | None = None, max_size: int | None = None
    ) -> Iterator[bytes]:
        self.value(key)
        text = self._long[key]
        self.check_size(key, len(text) * 3 // 4, size, max_size)
        for start in range(0, len(text), _PIECE):
            piece = bytes(text[start : start + _PIECE])
            try:
                shown = piece.decode("ascii")
            except UnicodeDecodeError:
                self.fail(key, "base64url without padding expected")
            yield decode_base64url(shown, where=self.path(key))


def read_long_fields(data: bytes, keys: Sequence[str], *, where: str, max_bytes: int) -> LongFields:
    """The fields of one canonical JSON object, those of `keys` without a copy of their strings.

    Raises:
        DecodingError: as `parse_json` and `Fields` of the whole.
    """
    if len(data) > max_bytes:
        reason = f"{len(data)} bytes of JSON, at most {max_bytes} expected"
        raise DecodingError(reason, where=where)
    view, rest, long, place = memoryview(data), list[bytes](), dict[str, memoryview](), 0
    for key in sorted(keys):
        # In a string a quote is escaped, so this is a key; and packed bytes have no quote.
        start = data.find(b'"%s":"' % key.encode("ascii"), place) + len(key) + 4
        stop = data.find(b'"', start)
        if start < len(key) + 4 or stop < 0:
            continue  # missing, or of another kind: `Fields` will say so
        rest.append(data[place:start])
        long[key] = view[start:stop]
        place = stop
    rest.append(data[place:])
    value = parse_json(b"".join(rest), where=where, max_bytes=max_bytes)
    if type(value) is not dict or any(value.get(key) != "" for key in long):
        value, long = parse_json(data, where=where, max_bytes=max_bytes), {}  # it was deeper
    return LongFields(value, f"{where}: $", long)


def write_long_field(rest: bytes, key: str, data: bytes) -> bytes:
    """A canonical JSON object, `rest`, with bytes in the field of this key, which it has as ""."""
    before, after = rest.split(b'"%s":""' % key.encode("ascii"), 1)
    size = _PIECE // 4 * 3
    pieces = [
        encode_base64url(data[start : start + size]).encode("ascii")
        for start in range(0, len(data), size)
    ]
    return b"".join([before, b'"%s":"' % key.encode("ascii"), *pieces, b'"', after])
