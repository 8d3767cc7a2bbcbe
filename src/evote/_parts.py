"""A registrar's part of every credential, as a file that goes to the other registrars.

Lines of at most 4096 packed keys each, in the order of the voters' list, and then a line of JSON:

    {"format": "evote/roll-part", "version": 1, "base", "registrar", "count", "list", "keys",
     "signature"}

`list` and `keys` are RFC 6962 roots, of the lines of the voters' list as the registrar had it and
of the keys; base, count and both are signed under the purpose "roll-part". Registrars with
different lists, or in a different order, find out before they publish.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TypeAlias

from evote._files import open_file, shown_path
from evote._merkle import CompactRange, leaf_hash
from evote._voters import Voter, private_file
from evote.election import Manifest
from evote.encoding import (
    Fields,
    canonical_json,
    check_format,
    decode_base64url,
    encode_base64url,
    encode_hex,
    frame,
    parse_json,
    uint32,
)
from evote.errors import DecodingError, VerificationError
from evote.operators import OperatorKey, verify_signature

__all__ = ["read_parts", "write_part"]

Portion: TypeAlias = tuple[Sequence[Voter], Sequence[bytes]]

_KEYS = 4096  # in a line
_MAX_LINE = _KEYS * 43 + 2  # characters
_MAX_FILE = 2**40  # bytes; lines are what is in memory


class _Roots:
    """What a part says of the list and of its keys, gathered as they pass."""

    def __init__(self) -> None:
        self._list, self._keys = CompactRange(), CompactRange()

    def add(self, voters: Sequence[Voter], keys: Sequence[bytes]) -> None:
        for voter in voters:
            texts = (voter.style, str(voter.weight), voter.district, voter.status, voter.identity)
            self._list.append(leaf_hash(frame(*(text.encode("utf-8") for text in texts))))
        self._keys.extend(map(leaf_hash, keys))

    def values(self) -> tuple[int, bytes, bytes]:
        return self._keys.size, self._list.root(), self._keys.root()


def write_part(path: Path | str, key: OperatorKey, base: bytes, issued: Iterable[Portion]) -> None:
    """Write one registrar's part to a new file; portions have at most 4096 voters."""
    roots = _Roots()
    with private_file(path) as file:
        for voters, keys in issued:
            roots.add(voters, keys)
            file.write(encode_base64url(b"".join(keys)) + "\n")
        count, listed, drawn = roots.values()
        signature = key.sign("roll-part", base, uint32(count), listed, drawn)
        last = canonical_json(
            {
                "format": "evote/roll-part",
                "version": 1,
                "base": encode_hex(base),
                "registrar": key.card.id,
                "count": count,
                "list": encode_hex(listed),
                "keys": encode_hex(drawn),
                "signature": encode_base64url(signature),
            }
        )
        file.write(last.decode("ascii") + "\n")


def read_parts(
    paths: Sequence[Path | str],
    manifest: Manifest,
    base: bytes,
    portions: Iterable[Sequence[Voter]],
) -> Iterator[tuple[Sequence[Voter], list[tuple[bytes, ...]]]]:
    """The parts of each voter, one of each registrar, read side by side, portion by portion.

    Raises:
        DecodingError: a file is no part.
        VerificationError: a part is of another election or list, is not signed by its registrar,
            or a registrar's is missing; only after the last portion.
    """
    with ExitStack() as files:
        parts = [_Part(path, files) for path in paths]
        for voters in portions:
            yield voters, list(zip(*[part.take(voters) for part in parts], strict=True))
        found = [part.registrar(manifest, base) for part in parts]
    if sorted(found) != sorted(card.id for card in manifest.registrars):
        raise VerificationError(f"a part of each registrar expected, got {', '.join(found)}")


class _Part:
    """A part, as far as it has been read."""

    def __init__(self, path: Path | str, files: ExitStack) -> None:
        self._where = shown_path(Path(path).name)
        descriptor, _ = open_file(path, _MAX_FILE, where=self._where)
        self._file = files.enter_context(os.fdopen(descriptor, "rb"))
        self._roots = _Roots()

    def _line(self) -> bytes:
        line = self._file.readline(_MAX_LINE + 1)
        if not line.endswith(b"\n"):
            raise DecodingError("a line is missing or too long", where=self._where)
        return line[:-1]

    def take(self, voters: Sequence[Voter]) -> list[bytes]:
        """The keys of the next voters."""
        data = decode_base64url(self._line().decode("ascii", "replace"), where=self._where)
        if len(data) != 32 * len(voters):
            reason = f"{len(voters)} keys expected: another list of voters"
            raise DecodingError(reason, where=self._where)
        keys = [data[i : i + 32] for i in range(0, len(data), 32)]
        self._roots.add(voters, keys)
        return keys

    def registrar(self, manifest: Manifest, base: bytes) -> str:
        """Whose part it is, all of which has been read and is signed."""
        fields = Fields(parse_json(self._line(), where=self._where), f"{self._where}: $")
        if self._file.read(1):
            raise DecodingError("more follows", where=self._where)
        check_format(fields, "evote/roll-part", 1)
        stated = (
            fields.hex("base", 32),
            fields.integer("count", 0, 2**32 - 1),
            fields.hex("list", 32),
            fields.hex("keys", 32),
        )
        name = fields.choice("registrar", [card.id for card in manifest.registrars])
        signature = fields.packed("signature", 64)
        fields.end()
        for what, said, known in zip(
            ("base", "count", "list", "keys"), stated, (base, *self._roots.values()), strict=True
        ):
            if said != known:
                reason = "not that of this election, list and file"
                raise VerificationError(f"{fields.path(what)}: {reason}")
        _, count, listed, drawn = stated
        try:
            card = manifest.card("registrar", name)
            verify_signature(card, signature, "roll-part", base, uint32(count), listed, drawn)
        except VerificationError as error:
            raise VerificationError(f"{self._where}: {error}") from None
        return name
