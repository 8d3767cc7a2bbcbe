"""Directories, archives and single files, all read the same way: by the names of what they hold.

Archives are zip, tar and tar.gz. Nothing is unpacked to disk. The list of members is checked before
any of them is read: strict names, regular files only, none twice, sizes and ratios bounded; a
directory that holds all of an archive does not count (docs/security.md, attacks G1 to G3).
"""

from __future__ import annotations

import os
import re
import stat
import struct
import zlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, NamedTuple, Self
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile, ZipInfo

from evote._files import open_file, read_file, shown_path
from evote.errors import DecodingError

__all__ = ["Archive", "Directory", "SingleFile", "Tree", "open_tree"]

MAX_FILES = 65_534  # in an archive
MAX_LISTED = 10_000_000  # in a directory
MAX_TOTAL = 4 * 2**30  # bytes that all members of an archive may have
MAX_INFLATED = 256 * 2**20  # bytes of a compressed tar, which is held in memory
MAX_RATIO = 200
_MAX_DIRECTORY = 16 * 2**20  # bytes of a zip's list of members
_MAX_NAME = 1000
_BLOCK = 512
_END = struct.Struct("<4s4H2LH")
_COMPONENT = re.compile(r"[^\x00-\x1f\x7f/\\:]{1,255}")


class Tree(ABC):
    """Files by their names, as in `ballots/1.json`; a context manager."""

    def __init__(self, path: Path) -> None:
        self.path = path

    kind = "directory"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:  # noqa: B027  most have nothing to close
        """Nothing is open, unless a subclass says so."""

    @abstractmethod
    def has(self, name: str) -> bool:
        """Whether there is a file of that name."""

    @abstractmethod
    def names(self, directory: str = "") -> list[str]:
        """The names of what a directory holds itself, sorted, without the directory's; files."""

    @abstractmethod
    def directories(self, directory: str = "") -> list[str]:
        """The names of the directories in a directory, sorted."""

    @abstractmethod
    def size(self) -> tuple[int, int]:
        """How many files there are, and how many bytes they have."""

    def head(self, name: str, size: int) -> bytes:
        """At most `size` bytes from the beginning of a file."""
        return self.read(name, 2**62)[:size]

    @abstractmethod
    def read(self, name: str, max_bytes: int) -> bytes:
        """A whole file.

        Raises:
            DecodingError: missing, too large, broken, or no regular file.
        """


class Directory(Tree):
    """A directory."""

    def has(self, name: str) -> bool:
        path = self.path / name
        return path.is_file() or path.is_symlink()

    def names(self, directory: str = "") -> list[str]:
        return sorted(e.name for e in self._entries(directory) if not e.is_dir())

    def directories(self, directory: str = "") -> list[str]:
        return sorted(e.name for e in self._entries(directory) if e.is_dir(follow_symlinks=False))

    def _entries(self, directory: str) -> list[os.DirEntry[str]]:
        path = self.path / directory
        if not path.is_dir():
            return []
        try:
            with os.scandir(path) as found:
                entries = [entry for entry, _ in zip(found, range(MAX_LISTED + 1), strict=False)]
        except OSError as error:
            where = shown_path(directory or path)
            raise DecodingError(f"not readable: {error.strerror}", where=where) from None
        if len(entries) > MAX_LISTED:
            raise DecodingError(f"more than {MAX_LISTED} files", where=shown_path(path))
        return entries

    def size(self) -> tuple[int, int]:
        count = total = 0
        for root, _, files in os.walk(self.path):
            for name in files:
                count += 1
                if count > MAX_LISTED:
                    raise DecodingError("too many files", where=shown_path(self.path))
                with suppress(OSError):
                    total += os.lstat(os.path.join(root, name)).st_size
        return count, total

    def head(self, name: str, size: int) -> bytes:
        descriptor, _ = open_file(self.path / name, 2**62, where=shown_path(name))
        with os.fdopen(descriptor, "rb") as file:
            return file.read(size)

    def read(self, name: str, max_bytes: int) -> bytes:
        return read_file(self.path / name, max_bytes, where=shown_path(name))


class SingleFile(Tree):
    """One file that is no archive: a tree with nothing in it."""

    kind = "file"

    def has(self, name: str) -> bool:
        return False

    def names(self, directory: str = "") -> list[str]:
        return []

    def directories(self, directory: str = "") -> list[str]:
        return []

    def size(self) -> tuple[int, int]:
        try:
            return 1, self.path.stat().st_size
        except OSError as error:
            where = shown_path(self.path)
            raise DecodingError(f"not readable: {error.strerror}", where=where) from None

    def read(self, name: str, max_bytes: int) -> bytes:
        raise DecodingError("file is missing", where=shown_path(name))


class _Member(NamedTuple):
    """A file of an archive: its size, and where it is."""

    size: int
    place: ZipInfo | int


class Archive(Tree):
    """A zip or tar archive that is open for reading."""

    kind = "archive"

    def __init__(self, path: Path, file: BinaryIO | bytes, members: dict[str, _Member]) -> None:
        super().__init__(path)
        self._file = file
        self._zip: ZipFile | None = None
        tops = {name.partition("/")[0] for name in members}
        inside = all("/" in name for name in members)
        self.prefix = f"{tops.pop()}/" if inside and len(tops) == 1 else ""
        cut = len(self.prefix)
        self._members = {name[cut:]: member for name, member in members.items()}

    def close(self) -> None:
        if self._zip is not None:
            self._zip.close()
        if not isinstance(self._file, bytes):
            self._file.close()

    def has(self, name: str) -> bool:
        return name in self._members

    def names(self, directory: str = "") -> list[str]:
        prefix = f"{directory}/" if directory else ""
        inside = (n[len(prefix) :] for n in self._members if n.startswith(prefix))
        return sorted(name for name in inside if "/" not in name)

    def directories(self, directory: str = "") -> list[str]:
        prefix = f"{directory}/" if directory else ""
        inside = (n[len(prefix) :] for n in self._members if n.startswith(prefix))
        return sorted({name.partition("/")[0] for name in inside if "/" in name})

    def size(self) -> tuple[int, int]:
        return len(self._members), sum(member.size for member in self._members.values())

    def head(self, name: str, size: int) -> bytes:
        member = self._member(name)
        return self._bytes(member, min(size, member.size), shown_path(name))

    def read(self, name: str, max_bytes: int) -> bytes:
        member, where = self._member(name), shown_path(name)
        if member.size > max_bytes:
            raise DecodingError(f"{member.size} bytes, at most {max_bytes} expected", where=where)
        data = self._bytes(member, member.size + 1, where)
        if len(data) != member.size:
            raise DecodingError(f"{member.size} bytes expected, got {len(data)}", where=where)
        return data

    def _member(self, name: str) -> _Member:
        member = self._members.get(name)
        if member is None:
            raise DecodingError("file is missing", where=shown_path(name))
        return member

    def _bytes(self, member: _Member, size: int, where: str) -> bytes:
        if isinstance(member.place, int):
            return _piece(self._file, member.place, min(size, member.size))
        assert self._zip is not None
        try:
            with self._zip.open(member.place) as file:
                return file.read(size)
        except (*_ZIP_ERRORS, zlib.error) as error:
            raise DecodingError(f"a broken member of the archive: {error}", where=where) from None


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
            return Archive(path, file, _tar_members(file, size, where))
        if head[:3] == b"\x1f\x8b\x08":
            file.seek(0)
            data = _gunzip(file, size, where)
            file.close()
            if data[257:262] != b"ustar":
                raise DecodingError("compressed, and no tar archive inside", where=where)
            return Archive(path, data, _tar_members(data, len(data), where))
    except BaseException:
        file.close()
        raise
    file.close()
    return SingleFile(path)


def _piece(file: BinaryIO | bytes, start: int, size: int) -> bytes:
    if isinstance(file, bytes):
        return file[start : start + size]
    file.seek(start)
    return file.read(size)


def _checked(names: Sequence[str], where: str) -> None:
    """Names that mean the same on every system, none of them twice, and none inside another."""
    seen: set[str] = set()
    for name in names:
        parts = name.split("/")
        if len(name) > _MAX_NAME or not all(map(_COMPONENT.fullmatch, parts)):
            raise DecodingError(f"a strange name in the archive: {name[:80]!a}", where=where)
        if any(part in (".", "..") for part in parts):
            raise DecodingError(f"a name that leads elsewhere: {name[:80]!a}", where=where)
        folded = name.casefold()
        if folded in seen:
            raise DecodingError(f"{name[:80]!a} is in the archive twice", where=where)
        seen.add(folded)
    for name in seen:
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
    _checked([info.orig_filename for info in kept], where)
    _check_extents(kept, offset, where)
    archive = Archive(path, file, {i.orig_filename: _Member(i.file_size, i) for i in kept})
    archive._zip = opened
    return archive


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


def _gunzip(file: BinaryIO, size: int, where: str) -> bytes:
    """The bytes of one gzip stream, all of it and no more than the limits allow."""
    limit = min(MAX_INFLATED, MAX_RATIO * size + 4096)
    inflater = zlib.decompressobj(wbits=31)
    pieces: list[bytes] = []
    total = 0
    try:
        while not inflater.eof:
            data = inflater.unconsumed_tail or file.read(2**20)
            if not data:
                raise DecodingError("the compressed data ends early", where=where)
            pieces.append(inflater.decompress(data, 2**20))
            total += len(pieces[-1])
            if total > limit:
                raise DecodingError("expands too much", where=where)
    except zlib.error as error:
        raise DecodingError(f"broken compressed data: {error}", where=where) from None
    if inflater.unused_data or file.read(1):
        raise DecodingError("bytes follow the compressed data", where=where)
    return b"".join(pieces)


def _tar_members(file: BinaryIO | bytes, size: int, where: str) -> dict[str, _Member]:
    """The members of a tar archive, which has regular files and directories only."""
    members: dict[str, _Member] = {}
    names: list[str] = []
    total = 0
    for name, offset, length in _tar_entries(file, size, where):
        names.append(name)
        total += length
        if len(names) > MAX_FILES or total > MAX_TOTAL:
            raise DecodingError("too many files, or too many bytes of them", where=where)
        members[name] = _Member(length, offset)
    _checked(names, where)
    return members


def _tar_entries(file: BinaryIO | bytes, size: int, where: str) -> Iterator[tuple[str, int, int]]:
    """Name, offset and size of each file. Long names may stand in a header of their own."""

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
            name = long_name or _short_name(header)
            if not name.isprintable():
                raise refuse("a strange name")
            if kind == b"5" and length:
                raise refuse("a directory with bytes")
            if kind != b"5":
                yield name.removeprefix("./"), body, length
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
