"""Large files between operators, in no record: a line of JSON, lines of packed bytes, and another.

    {"format", "version", "base", "operator", ..}     what it is, of which election, whose
    base64url ...
    {"lines", "root", .., "signature"}

`lines` and `root` are number and RFC 6962 root of all lines before, so that the signature, of
purpose "offline-file" over all other fields of the last line, covers the first one too. Reading is
by line; what was read may be used only after `SignedLines.finish`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from itertools import chain
from pathlib import Path
from types import TracebackType
from typing import Self

from evote._files import open_file, shown_path
from evote._merkle import CompactRange, leaf_hash
from evote._voters import private_file
from evote.encoding import (
    JSON,
    Fields,
    canonical_json,
    check_format,
    decode_base64url,
    encode_base64url,
    encode_hex,
    parse_json,
)
from evote.errors import DecodingError, VerificationError
from evote.operators import Card, OperatorKey, verify_signature

__all__ = ["SignedLines", "write_signed_lines"]

_MAX_FILE = 2**40  # bytes; lines are what is in memory
_MAX_LINE = 2**24
_MAX_JSON = 2**16


def write_signed_lines(
    path: Path | str,
    key: OperatorKey,
    base: bytes,
    head: Mapping[str, JSON],
    lines: Iterable[bytes],
    tail: Callable[[], Mapping[str, JSON]] = dict,
) -> bytes:
    """Write a new file of these byte strings, which nobody but its owner reads at first.

    Args:
        head: further fields of the first line, `format` among them.
        tail: gives further fields of the last one, once all others are written.

    Returns:
        The root.
    """
    tree = CompactRange()
    first = canonical_json(
        {**head, "version": 1, "base": encode_hex(base), "operator": key.card.id}
    )
    with private_file(path) as file:
        for text in chain([first.decode("ascii")], map(encode_base64url, lines)):
            tree.append(leaf_hash(text.encode("ascii")))
            file.write(text + "\n")
        root = tree.root()
        body: dict[str, JSON] = {**tail(), "lines": tree.size, "root": encode_hex(root)}
        signature = encode_base64url(key.sign("offline-file", canonical_json(body)))
        file.write(canonical_json(body | {"signature": signature}).decode("ascii") + "\n")
    return root


class SignedLines:
    """Such a file, as far as it has been read; a context manager.

    Attributes:
        where: what messages call it.
        card: of the operator whose file it says it is.
        head: the fields of the first line that are its own.
    """

    def __init__(self, path: Path | str, format_: str, base: bytes, cards: Iterable[Card]) -> None:
        """Open the file and read its first line.

        Raises:
            DecodingError: no such file.
            VerificationError: of another election.
        """
        self.where = shown_path(Path(path).name)
        descriptor, _ = open_file(path, _MAX_FILE, where=self.where)
        self._file = os.fdopen(descriptor, "rb")
        self._tree = CompactRange()
        self._last: bytes | None = None
        try:
            line = self._line()
            self._tree.append(leaf_hash(line))
            where = f"{self.where}: line 1: $"
            self.head = Fields(parse_json(line, where=self.where, max_bytes=_MAX_JSON), where)
            check_format(self.head, format_, 1)
            if self.head.hex("base", 32) != base:
                raise VerificationError(f"{self.head.path('base')}: of another election")
            known = {card.id: card for card in cards}
            self.card = known[self.head.choice("operator", known)]
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()

    def _line(self) -> bytes:
        line = self._file.readline(_MAX_LINE + 1)
        if not line.endswith(b"\n"):
            raise DecodingError("a line is missing or too long", where=self.where)
        return line[:-1]

    def take(self, size: int) -> bytes:
        """The bytes of the next line, which must be so many."""
        data = self.take_any()
        if data is None or len(data) != size:
            where = f"{self.where}: line {self._tree.size}"
            raise DecodingError(f"a line of {size} bytes expected", where=where)
        return data

    def take_any(self) -> bytes | None:
        """The bytes of the next line, or None where only the last one follows."""
        line = self._line()
        if line.startswith(b"{"):
            self._last = line
            return None
        where = f"{self.where}: line {self._tree.size + 1}"
        data = decode_base64url(line.decode("ascii", "replace"), where=where)
        self._tree.append(leaf_hash(line))
        return data

    def finish(self) -> tuple[bytes, Fields]:
        """The root of a file that ends here, and the fields of its last line that are its own.

        Raises:
            DecodingError: it does not end here, or its last line is malformed.
            VerificationError: other lines than were signed, or not signed by its operator.
        """
        line = self._line() if self._last is None else self._last
        value = parse_json(line, where=self.where, max_bytes=_MAX_JSON)
        fields = Fields(value, f"{self.where}: line {self._tree.size + 1}: $")
        if self._file.read(1):
            raise DecodingError("more follows after the last line", where=self.where)
        self.head.end()
        lines, root = fields.integer("lines", 0, 2**53 - 1), fields.hex("root", 32)
        if (lines, root) != (self._tree.size, self._tree.root()):
            raise VerificationError(f"{fields.path('root')}: not that of the lines before")
        signature = fields.packed("signature", 64)
        body = {name: item for name, item in value.items() if name != "signature"}  # type: ignore[union-attr]
        try:
            verify_signature(self.card, signature, "offline-file", canonical_json(body))
        except VerificationError as error:
            raise VerificationError(f"{self.where}: {error}") from None
        return root, fields
