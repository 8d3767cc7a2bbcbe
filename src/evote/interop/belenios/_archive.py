"""The container: an append-only tar of records, chained by hashes. Nothing is unpacked.

One pass checks every byte of the headers, the hash of every record, the chain of events and their
order; bodies are read again when they are needed. Memory: about 500 bytes a record.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, NamedTuple, Self

from evote._files import open_file
from evote.errors import DecodingError
from evote.interop._marks import BELENIOS, MAX_ARCHIVE, is_archive
from evote.interop.belenios._forms import MAX_BYTES, Failed, fields, number, parse, sha256_hex

__all__ = ["BLOCK", "Archive", "Body", "Event", "Torn", "is_archive", "whole_record"]

BLOCK = 512
MAX_EVENT = 1000
MAX_BALLOT = 4 * 2**20
_NAME = re.compile(r"([0-9a-f]{64})\.(data|event)\.json", re.ASCII)
_SIZE = re.compile(rb"[0-7]{11}")
_HEADER = re.compile(rb'\{"version":1,"timestamp":(?:"([0-9]{1,10})"|([0-9]{1,10}))\}')
_EVENT = re.compile(
    rb'\{(?:"parent":"([0-9a-f]{64})",)?"height":(0|[1-9][0-9]{0,9}),'
    rb'"type":(\[?)"([A-Za-z]{1,30})"(\]?)(?:,"payload":"([0-9a-f]{64})")?\}'
)
# A ballot's credential is at a fixed place, if the ballot is canonical; others fail later.
_CREDENTIAL = re.compile(
    rb'\{(?:"message":\{)?"election_uuid":"[^"\\]*","election_hash":"[^"\\]*",'
    rb'"credential":"([^"\\]{1,700})"'
)

# What may follow what. A running election stops anywhere.
_NEXT: dict[str, tuple[str, ...]] = {
    "": ("Setup",),
    "Setup": ("Ballot", "EndBallots"),
    "Ballot": ("Ballot", "EndBallots"),
    "EndBallots": ("EncryptedTally",),
    "EncryptedTally": ("Shuffle", "EndShuffles", "PartialDecryption", "Result"),
    "Shuffle": ("Shuffle", "EndShuffles"),
    "EndShuffles": ("PartialDecryption", "Result"),
    "PartialDecryption": ("PartialDecryption", "Result"),
    "Result": (),
}
_OWNED = ("Shuffle", "PartialDecryption")


class Torn(Failed):
    """The file ends within a record, or in data without their event: an append was killed."""


class Body(NamedTuple):
    """Where the body of a record lies, and its SHA-256."""

    digest: str
    offset: int
    size: int


class Event(NamedTuple):
    """An event with the data before it: the last is the payload, the others are what it names."""

    kind: str
    digest: str
    data: tuple[Body, ...]
    end: int  # offset of the first byte behind it
    owner: int = 0  # of shuffles and partial decryptions
    credential: str = ""  # of ballots


@dataclass(slots=True)
class _Chain:
    """What the next event has to continue."""

    kind: str = ""
    digest: str = ""
    height: int = -1
    listed: bool = False  # type is a list of one name


class Archive:
    """An archive that is open for reading; a context manager.

    Attributes:
        events: all, in their order; if something is wrong, those before it.
        timestamp: of all records.
        listed: whether the types of the events are lists, as in protocol version 2.
    """

    def __init__(self, path: Path) -> None:
        descriptor, self.size = open_file(path, MAX_ARCHIVE)
        self._file: BinaryIO = os.fdopen(descriptor, "rb")
        self.events: list[Event] = []
        self.timestamp = -1
        self._chain = _Chain()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()

    @property
    def listed(self) -> bool:
        return self._chain.listed

    def body(self, body: Body) -> bytes:
        """The bytes of a body, which are still those that were checked."""
        self._file.seek(body.offset)
        data = self._file.read(body.size)
        if sha256_hex(data) != body.digest:
            raise Failed("archive-hash", f"record at {body.offset}: the file changed meanwhile")
        return data

    def begins_with(self, other: Archive) -> bool:
        """Whether all bytes of another archive are the first of this one."""
        if other.size > self.size:
            return False
        self._file.seek(0)
        other._file.seek(0)
        left = other.size
        while left:
            piece = other._file.read(min(left, 2**20))
            if not piece or self._file.read(len(piece)) != piece:
                return False
            left -= len(piece)
        return True

    def could_follow(self, kind: str) -> bool:
        """Whether an event may come now."""
        return kind in _NEXT[self._chain.kind]

    def kind(self, name: str) -> list[Event]:
        """The events of one type."""
        return [event for event in self.events if event.kind == name]

    def read(self) -> None:
        """Check all records, and find the events.

        Raises:
            Failed: `archive-tar`, `archive-hash`, `event-chain` or `archive-order`; a `Torn` where
                whole records end and the beginning of more is there.
        """
        pending: list[Body] = []
        last = b""
        for digest, is_event, offset, data in self._records():
            if not is_event:
                pending.append(Body(digest, offset, len(data)))
                last = data
                continue
            end = offset + len(data) + -len(data) % BLOCK
            self._add(digest, data, tuple(pending), last, end)
            pending = []
        if pending:
            raise Torn("archive-order", "the archive ends in data without an event")

    def _records(self) -> Iterator[tuple[str, bool, int, bytes]]:
        """Digest, whether it is an event, offset and body of each record but the first."""
        self._file.seek(0)
        offset = 0
        while offset < self.size:
            where = f"record at {offset}"
            header = self._file.read(BLOCK)
            if len(header) < BLOCK:
                raise Torn("archive-tar", f"{where}: the file ends in a header")
            name, size = _name_and_size(header, where)
            match = _NAME.fullmatch(name)
            limit = MAX_EVENT if match is None or match[2] == "event" else MAX_BYTES
            if size > limit:
                raise Failed("archive-tar", f"{where}: {size} bytes, at most {limit} expected")
            if offset and match is None:
                raise Failed("archive-tar", f"{where}: no name of a record")
            if offset and header != _header(name, size, self.timestamp):
                raise Failed("archive-tar", f"{where}: not the one header of this record")
            body = self._file.read(size)
            padding = self._file.read(-size % BLOCK)
            if len(body) != size or len(padding) != -size % BLOCK:
                raise Torn("archive-tar", f"{where}: cut short")
            if padding.strip(b"\0"):
                raise Failed("archive-tar", f"{where}: not padded with zeros")
            if offset == 0:
                found = _HEADER.fullmatch(body)
                if name != BELENIOS or found is None:
                    raise Failed("archive-tar", f"{where}: not the first record of an archive")
                self.timestamp = int(found[1] or found[2])
                if header != _header(name, size, self.timestamp):
                    raise Failed("archive-tar", f"{where}: not the one header of this record")
            if offset and match is not None:
                if sha256_hex(body) != match[1]:
                    raise Failed("archive-hash", f"{where}: its name is not its SHA-256")
                yield match[1], match[2] == "event", offset + BLOCK, body
            offset += BLOCK + size + len(padding)

    def _add(self, digest: str, body: bytes, data: tuple[Body, ...], last: bytes, end: int) -> None:
        """Take an event in, with the data before it, of which `last` is the last one's body."""
        where = f"record at {end - len(body) - -len(body) % BLOCK}"
        event, self._chain = self._event(digest, body, data, last, end, where)
        self.events.append(event)

    def _event(
        self, digest: str, body: bytes, data: tuple[Body, ...], last: bytes, end: int, where: str
    ) -> tuple[Event, _Chain]:
        found = _EVENT.fullmatch(body)
        if found is None or bool(found[3]) != bool(found[5]):
            raise Failed("event-chain", f"{where}: not an event")
        parent, height = (found[1] or b"").decode(), int(found[2])
        kind, payload = found[4].decode(), (found[6] or b"").decode()
        chain = self._chain
        if height != chain.height + 1:
            raise Failed("event-chain", f"{where}: height {height}, expected {chain.height + 1}")
        if parent != chain.digest:
            raise Failed("event-chain", f"{where}: its parent is not the event before it")
        if kind not in _NEXT[chain.kind]:
            raise Failed("archive-order", f"{where}: {kind} after {chain.kind or 'the beginning'}")
        if chain.kind and bool(found[3]) != chain.listed:
            raise Failed("archive-order", f"{where}: types of events of both versions")
        owner, named = _named_data(kind, data, last, where)
        if payload != (data[-1].digest if data else "") or tuple(b.digest for b in data) != named:
            raise Failed("archive-order", f"{where}: not the data that belong before {kind}")
        credential = ""
        if kind == "Ballot":
            if data[-1].size > MAX_BALLOT:
                raise Failed("archive-tar", f"{where}: a ballot of {data[-1].size} bytes")
            begin = _CREDENTIAL.match(last)
            credential = begin[1].decode("ascii", "replace") if begin else ""
        event = Event(kind, digest, data, end, owner, credential)
        return event, _Chain(kind, digest, height, bool(found[3]))


def _named_data(
    kind: str, data: tuple[Body, ...], last: bytes, where: str
) -> tuple[int, tuple[str, ...]]:
    """The owner, if any, and the digests of the data that have to stand before an event."""
    if kind in ("EndBallots", "EndShuffles"):
        return 0, ()
    if not data:
        raise Failed("archive-order", f"{where}: {kind} without data")
    payload = data[-1].digest
    if kind in ("Ballot", "Result"):
        return 0, (payload,)
    try:
        value = parse(last, where, max_bytes=MAX_EVENT)
        if kind == "Setup":
            names = ("election", "trustees", "credentials", "credentials_certificate?")
            found = fields(value, where, *names)
            return 0, (*map(str, found.values()), payload)
        if kind == "EncryptedTally":
            found = fields(value, where, "num_tallied", "total_weight", "encrypted_tally")
            return 0, (str(found["encrypted_tally"]), payload)
        found = fields(value, where, "owner", "payload")
        return number(found["owner"], where), (str(found["payload"]), payload)
    except DecodingError as error:
        raise Failed("archive-order", str(error)) from None


def _name_and_size(header: bytes, where: str) -> tuple[str, int]:
    name = header[:100].rstrip(b"\0")
    if len(header) != BLOCK or not name.isascii() or not _SIZE.fullmatch(header[124:135]):
        raise Failed("archive-tar", f"{where}: not the header of a record")
    return name.decode("ascii"), int(header[124:135], 8)


def whole_record(name: str, body: bytes, timestamp: int) -> bytes:
    """The bytes of a record."""
    return _header(name, len(body), timestamp) + body + bytes(-len(body) % BLOCK)


def _header(name: str, size: int, mtime: int) -> bytes:
    """The header of a record: every byte of it."""
    header = bytearray(BLOCK)
    header[: len(name)] = name.encode("ascii")
    for start in (100, 108, 116):
        header[start : start + 7] = b"0000644" if start == 100 else b"0000000"
    header[124:135] = b"%011o" % size
    header[136:147] = b"%011o" % mtime
    header[148:156] = b" " * 8
    header[156:157] = b"0"
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header)
