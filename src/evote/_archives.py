"""Archives, zip, tar and tar.gz, as trees of files. Nothing is unpacked to disk.

The list of members is checked before any of them is read: strict names, regular files and
directories only, none twice, sizes and ratios bounded; a directory that holds all of an archive
does not count (docs/security.md, attacks G1 to G3). Members are streams. Of a compressed tar, which
has no list of its members, inflating starts again at the nearest of a few hundred kept states.
"""

from __future__ import annotations

import io
import os
import re
import stat
import struct
import zlib
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple, Protocol, cast
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile, ZipInfo

from evote._files import open_file, shown_path
from evote._trees import Directory, SingleFile, Tree
from evote.errors import DecodingError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

__all__ = ["Archive", "open_tree"]

MAX_FILES = 65_534  # in an archive; as many directories
MAX_TOTAL = 4 * 2**30  # bytes that all members of an archive may have
MAX_INFLATED = 2**30  # bytes of a compressed tar: it is inflated from its beginning
MAX_RATIO = 200
_MAX_DIRECTORY = 16 * 2**20  # bytes of a zip's list of members
_MAX_NAME = 1000
_BLOCK = 512
_BUFFER = 2**16
_END = struct.Struct("<4s4H2LH")
_COMPONENT = re.compile(r"[^\x00-\x1f\x7f/\\:]{1,255}")


class _Member(NamedTuple):
    """A file of an archive: its size, and where it is."""

    size: int
    place: ZipInfo | int


class _Bytes(Protocol):
    """What the members of an archive are read from."""

    def seek(self, at: int, /) -> object: ...

    def read(self, size: int, /) -> bytes: ...

    def close(self) -> None: ...


class _Stream(io.RawIOBase):
    """The bytes of a member, as many as were announced; whatever is wrong is a DecodingError."""

    def __init__(
        self, read: Callable[[int], bytes], close: Callable[[], None], size: int, where: str
    ) -> None:
        self._read = read
        self._close = close
        self._left = size
        self._where = where

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        view = memoryview(buffer).cast("B")
        try:
            data = self._read(len(view))
        except (*_ZIP_ERRORS, zlib.error) as error:
            reason = f"a broken member of the archive: {error}"
            raise DecodingError(reason, where=self._where) from None
        self._left -= len(data)
        if self._left < 0 or (self._left and not data):
            raise DecodingError("not as many bytes as announced", where=self._where)
        view[: len(data)] = data
        return len(data)

    def close(self) -> None:
        if not self.closed:
            self._close()
        super().close()


class Archive(Tree):
    """A zip or tar archive that is open for reading."""

    kind = "archive"

    def __init__(
        self,
        path: Path,
        file: _Bytes,
        members: dict[str, _Member],
        directories: Sequence[str],
        opened: ZipFile | None = None,
    ) -> None:
        super().__init__(path)
        self._file = file
        self._zip = opened
        tops = {name.partition("/")[0] for name in (*members, *directories)}
        inside = len(tops) == 1 and not tops & members.keys()
        self.prefix = f"{tops.pop()}/" if inside else ""
        cut = len(self.prefix)
        self._members = {name[cut:]: member for name, member in members.items()}
        self._listing: dict[str, dict[str, str]] = {"": {}}
        for name in directories:
            self._list(name[cut:], "directory")
        for name in self._members:
            self._list(name, "file")

    def _list(self, name: str, kind: str) -> None:
        """Enter a name, and what is above it, where they belong."""
        while name:
            if kind == "directory":
                self._listing.setdefault(name, {})
            above, _, own = name.rpartition("/")
            known = self._listing.setdefault(above, {})
            if own in known:
                return
            known[own] = kind
            name, kind = above, "directory"

    def close(self) -> None:
        if self._zip is not None:
            self._zip.close()
        self._file.close()

    def has(self, name: str) -> bool:
        return name in self._members or (name != "" and name in self._listing)

    def entries(self, directory: str = "") -> list[tuple[str, str]]:
        return sorted(self._listing.get(directory, {}).items())

    def size(self) -> tuple[int, int]:
        return len(self._members), sum(member.size for member in self._members.values())

    def open(self, name: str, max_bytes: int) -> BinaryIO:
        member, where = self._members.get(name), shown_path(name)
        if member is None:
            reason = "not a regular file" if self.has(name) else "file is missing"
            raise DecodingError(reason, where=where)
        if member.size > max_bytes:
            raise DecodingError(f"{member.size} bytes, at most {max_bytes} expected", where=where)
        stream = _Stream(*self._reader(member, where), member.size, where)
        return cast(BinaryIO, io.BufferedReader(stream, _BUFFER))

    def read(self, name: str, max_bytes: int) -> bytes:
        with self.open(name, max_bytes) as file:
            return file.read()

    def _reader(
        self, member: _Member, where: str
    ) -> tuple[Callable[[int], bytes], Callable[[], None]]:
        """What reads the next bytes of a member, and what ends that."""
        if isinstance(member.place, ZipInfo):
            assert self._zip is not None
            try:
                opened = self._zip.open(member.place)
            except _ZIP_ERRORS as error:
                reason = f"a broken member of the archive: {error}"
                raise DecodingError(reason, where=where) from None
            return opened.read, opened.close
        file, at, end = self._file, member.place, member.place + member.size

        def read(size: int) -> bytes:
            nonlocal at
            data = _piece(file, at, min(size, end - at))
            at += len(data)
            return data

        return read, lambda: None


def open_tree(path: Path | str) -> Tree:
    """What is at a path.

    Raises:
        DecodingError: nothing is, or an archive that cannot be read within the limits.
    """
    path = Path(path)
    if path.is_dir():
        return Directory(path)
    where = shown_path(path)
    descriptor, size = open_file(path, 2**62, where=where)
    file = os.fdopen(descriptor, "rb")
    try:
        head = file.read(_BLOCK)
        if head[:4] in (b"PK\x03\x04", b"PK\x05\x06"):
            return _open_zip(path, file, size, where)
        if head[257:262] == b"ustar":
            return Archive(path, file, *_tar_members(file, size, where))
        if head[:3] == b"\x1f\x8b\x08":
            data = _Inflated(file, size, where)
            if _piece(data, 257, 5) != b"ustar":
                raise DecodingError("compressed, and no tar archive inside", where=where)
            return Archive(path, data, *_tar_members(data, data.size, where))
    except BaseException:
        file.close()
        raise
    file.close()
    return SingleFile(path)


def _piece(file: _Bytes, start: int, size: int) -> bytes:
    file.seek(start)
    return file.read(size)


def _checked(names: Sequence[str], directories: Sequence[str], where: str) -> None:
    """Names that mean the same on every system, none of them twice, and none inside another."""
    seen: set[str] = set()
    for name in (*names, *directories):
        parts = name.split("/")
        if len(name) > _MAX_NAME or not all(map(_COMPONENT.fullmatch, parts)):
            raise DecodingError(f"a strange name in the archive: {name[:80]!a}", where=where)
        if any(part in (".", "..") for part in parts):
            raise DecodingError(f"a name that leads elsewhere: {name[:80]!a}", where=where)
    for folded in map(str.casefold, names):
        if folded in seen:
            raise DecodingError(f"{folded[:80]!a} is in the archive twice", where=where)
        seen.add(folded)
    for name in (*seen, *(f"{directory}/" for directory in map(str.casefold, directories))):
        parent = name.rpartition("/")[0]
        while parent:
            if parent in seen:
                raise DecodingError(f"{parent[:80]!a} is a file and a directory", where=where)
            parent = parent.rpartition("/")[0]


# -- zip -------------------------------------------------------------------------------------------

_ZIP_ERRORS = (
    BadZipFile,
    EOFError,
    NotImplementedError,  # what zipfile raises at a compression it does not have
    OSError,
    RuntimeError,
    ValueError,
    OverflowError,
    IndexError,
    KeyError,
    struct.error,
)


def _open_zip(path: Path, file: BinaryIO, size: int, where: str) -> Archive:
    """A zip whose list of members is at its very end: no comment, so no two readings of it."""

    def refuse(reason: str) -> DecodingError:
        return DecodingError(reason, where=where)

    tail = _piece(file, max(size - _END.size - 20, 0), _END.size + 20)
    if len(tail) < _END.size or tail[-_END.size :][:4] != b"PK\x05\x06":
        raise refuse("not a zip archive that ends with its list of members")
    if tail[: -_END.size][-20:].startswith(b"PK\x06\x07"):
        raise refuse("a zip archive of more than 65,534 files or 4 GiB")
    _, disk, first, here, count, listed, offset, comment = _END.unpack(tail[-_END.size :])
    if disk or first or here != count or comment or count > MAX_FILES:
        raise refuse("a zip archive of one part without a comment expected")
    if listed > _MAX_DIRECTORY or offset + listed + _END.size != size:
        raise refuse("the list of members of the zip archive is not where it should be")
    try:
        opened = ZipFile(file)
        infos = opened.infolist()
    except _ZIP_ERRORS as error:
        raise refuse(f"a broken zip archive: {error}") from None
    if len(infos) != count:
        raise refuse(f"{count} files announced, {len(infos)} listed")
    kept = [info for info in infos if not (info.filename.endswith("/") and not info.file_size)]
    others = {info.orig_filename for info in infos} - {info.orig_filename for info in kept}
    directories = [name.removesuffix("/") for name in others]
    _checked([info.orig_filename for info in kept], directories, where)
    _check_extents(kept, offset, where)
    members = {info.orig_filename: _Member(info.file_size, info) for info in kept}
    return Archive(path, file, members, directories, opened)


def _check_extents(infos: Sequence[ZipInfo], end: int, where: str) -> None:
    """Regular files that do not overlap, of bounded sizes."""
    total, free = 0, 0
    for info in sorted(infos, key=lambda info: info.header_offset):
        name = ascii(info.filename[:80])
        mode = info.external_attr >> 16
        if info.flag_bits & 0x1 or info.compress_type not in (ZIP_STORED, ZIP_DEFLATED):
            raise DecodingError(f"{name}: encrypted, or a compression unknown here", where=where)
        if stat.S_IFMT(mode) not in (0, stat.S_IFREG):
            raise DecodingError(f"{name}: not a regular file", where=where)
        if info.header_offset < free or info.header_offset + info.compress_size > end:
            raise DecodingError(f"{name}: overlaps another member", where=where)
        free = info.header_offset + 30 + info.compress_size
        if info.file_size > MAX_RATIO * info.compress_size + 4096:
            raise DecodingError(f"{name}: expands too much", where=where)
        total += info.file_size
    if total > MAX_TOTAL:
        raise DecodingError(f"{total} bytes in the archive, at most {MAX_TOTAL}", where=where)


# -- tar -------------------------------------------------------------------------------------------

_CHUNK = 2**14
_APART = 2**17  # bytes between kept states at first
_KEPT = 500  # states, of some 50 KiB each


class _State(NamedTuple):
    """Where inflating can go on: bytes that came out so far, and that were read; and how."""

    out: int
    read: int
    inflater: Any  # which has no name to be told by


class _Inflated:
    """The bytes of one gzip stream, which is within the limits from beginning to end."""

    def __init__(self, file: BinaryIO, size: int, where: str) -> None:
        self._file = file
        self._where = where
        self._at = 0
        self._kept = [_State(0, 0, zlib.decompressobj(wbits=31))]
        apart, limit = _APART, min(MAX_INFLATED, MAX_RATIO * size + 4096)
        for state, _ in self._inflate(self._kept[0]):
            if state.out > limit:
                raise DecodingError("expands too much", where=where)
            if state.inflater.eof and (state.inflater.unused_data or file.read(1)):
                raise DecodingError("bytes follow the compressed data", where=where)
            self.size = state.out
            if state.out - self._kept[-1].out >= apart:
                self._kept.append(state._replace(inflater=state.inflater.copy()))
                if len(self._kept) > _KEPT:
                    del self._kept[1::2]
                    apart *= 2
        self._go_on(self._kept[0])

    def _inflate(self, state: _State) -> Iterator[tuple[_State, bytes]]:
        """From a state, the next ones, each with the bytes that came out on the way to it."""
        out, read, inflater = state.out, state.read, state.inflater.copy()
        self._file.seek(read)
        while not inflater.eof:
            data = inflater.unconsumed_tail
            if not data:
                data = self._file.read(_CHUNK)
                read += len(data)
            if not data:
                raise DecodingError("the compressed data ends early", where=self._where)
            try:
                piece = inflater.decompress(data, _BUFFER)
            except zlib.error as error:
                reason = f"broken compressed data: {error}"
                raise DecodingError(reason, where=self._where) from None
            out += len(piece)
            yield _State(out, read, inflater), piece

    def _go_on(self, state: _State) -> None:
        self._states = self._inflate(state)
        self._start, self._piece = state.out, b""  # where the piece at hand lies, and it

    def seek(self, at: int, /) -> None:
        self._at = at
        nearest = self._kept[bisect_right(self._kept, at, key=attrgetter("out")) - 1]
        if not self._start <= at or nearest.out > self._start + len(self._piece):
            self._go_on(nearest)

    def read(self, size: int, /) -> bytes:
        """As many bytes, fewer only at the end."""
        found = bytearray()
        while len(found) < size:
            end = self._start + len(self._piece)
            if self._at < end:
                start = self._at - self._start
                part = self._piece[start : start + size - len(found)]
                found += part
                self._at += len(part)
                continue
            _, piece = next(self._states, (None, None))
            if piece is None:
                break
            self._start, self._piece = end, piece
        return bytes(found)

    def close(self) -> None:
        self._file.close()


def _tar_members(file: _Bytes, size: int, where: str) -> tuple[dict[str, _Member], list[str]]:
    """The files and the directories of a tar archive, which has nothing else."""
    members: dict[str, _Member] = {}
    names: list[str] = []
    directories: list[str] = []
    total = 0
    for name, offset, length in _tar_entries(file, size, where):
        if offset is None:
            directories.append(name)
        else:
            names.append(name)
            members[name] = _Member(length, offset)
        total += length
        if len(names) > MAX_FILES or len(directories) > MAX_FILES or total > MAX_TOTAL:
            raise DecodingError("too many files, or too many bytes of them", where=where)
    _checked(names, directories, where)
    return members, directories


def _tar_entries(file: _Bytes, size: int, where: str) -> Iterator[tuple[str, int | None, int]]:
    """Name, offset and size of each file; of a directory no offset.

    Long names may stand in a header of their own.
    """

    def refuse(reason: str) -> DecodingError:
        return DecodingError(f"at byte {at}: {reason}", where=where)

    at, long_name = 0, ""
    while at < size:
        header = _piece(file, at, _BLOCK)
        if len(header) != _BLOCK:
            raise refuse("the tar archive ends inside a header")
        if header.count(0) == _BLOCK:
            return  # what may follow is padding
        length = _octal(header[124:136])
        plain = header[:148] + b" " * 8 + header[156:]
        if length is None or _octal(header[148:156]) != sum(plain) or header[257:262] != b"ustar":
            raise refuse("not the header of a tar archive")
        body = at + _BLOCK
        following = body + -(-length // _BLOCK) * _BLOCK
        if body + length > size:
            raise refuse("the tar archive ends inside a file")
        kind = header[156:157]
        if kind in (b"x", b"g", b"L"):
            if length > 65536:
                raise refuse("a header of its own for a file that is too large")
            found = _long_name(kind, _piece(file, body, length))
            if found is None:
                raise refuse("a header of its own that says more than a name")
            long_name = found or long_name
        elif kind in (b"0", b"\0", b"5"):
            name = (long_name or _short_name(header)).removeprefix("./")
            if not name.isprintable():
                raise refuse("a strange name")
            if kind == b"5" and length:
                raise refuse("a directory with bytes")
            if kind != b"5":
                yield name, body, length
            elif name not in ("", "."):
                yield name.removesuffix("/"), None, 0
            long_name = ""
        else:
            raise refuse("not a regular file or directory")
        at = following


def _octal(field: bytes) -> int | None:
    digits = field.rstrip(b" \0").lstrip(b" ")
    return int(digits, 8) if digits and not digits.strip(b"01234567") else None


def _short_name(header: bytes) -> str:
    name, prefix = header[:100].split(b"\0")[0], header[345:500].split(b"\0")[0]
    whole = prefix + b"/" + name if prefix and header[257:263] == b"ustar\0" else name
    return whole.decode("utf-8", "replace")


def _long_name(kind: bytes, data: bytes) -> str | None:
    """The name that a header of its own gives, or nothing; None if it changes what a file is."""
    if kind == b"L":
        return data.rstrip(b"\0").decode("utf-8", "replace")
    name = ""
    while data:
        digits, _, rest = data.partition(b" ")
        if not 0 < len(digits) <= 5 or digits.strip(b"0123456789"):
            return None
        length = int(digits)
        record, data = rest[: length - len(digits) - 1], data[length:]
        key, equals, value = record.partition(b"=")
        if not equals or not value.endswith(b"\n") or key == b"size" or key.startswith(b"GNU."):
            return None
        if key == b"path" and kind == b"x":
            name = value[:-1].decode("utf-8", "replace")
        elif key in (b"path", b"linkpath"):
            return None
    return name
