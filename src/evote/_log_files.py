"""The files of a log below the directory of a record: what a growing log adds, what a crash left.

Everything is written and synced before the checkpoint that covers it; what the checkpoint does not
cover was never acknowledged, and is cut. A private sibling of `board`.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from evote._bundles import (
    BUNDLE,
    ENTRIES,
    MAX_BUNDLE,
    bodies_path,
    bundle_path,
    decode_bundle,
    encode_bundle,
)
from evote._files import (
    append_file,
    create_file,
    cut_file,
    make_directory,
    read_file,
    remove,
    sync_directory,
)
from evote._merkle import HASH_SIZE
from evote._tiles import BOARD, MAX_TILE, TILE_FILE, tile_path, tile_paths
from evote.errors import DecodingError

__all__ = ["MAX_BODY", "LogFiles"]

MAX_BODY = 16 * 2**20  # bytes of one ballot
_TILE = r"(?:x[0-9]{3}/)*[0-9]{3}"
_BUNDLE_PATH = re.compile(rf"{ENTRIES}/({_TILE})(\.p/[0-9]{{1,3}})?", re.ASCII)
_BODIES_PATH = re.compile(rf"ballots/({_TILE})\.jsonl", re.ASCII)


class LogFiles:
    """Bundles, hash tiles and bodies of one record."""

    def __init__(self, record: Path) -> None:
        self._path = record

    # -- reading ---------------------------------------------------------------------------------

    def fetch(self, path: str) -> bytes:
        """A tile or bundle by its path below the board's address."""
        return read_file(self._path / BOARD / path, MAX_BUNDLE, where=BOARD + path)

    def bundle(self, number: int, count: int) -> list[bytes]:
        """The entries of a bundle of `count`, which nothing has been compared with."""
        path = tile_path("entries", number, count)
        return list(decode_bundle(self.fetch(path), count, where=BOARD + path))

    def any_entries(self) -> bool:
        """Whether there is any bundle."""
        return any(True for _ in self._below(ENTRIES))

    def missing_tiles(self, size: int) -> bool:
        """Whether some hash tile of a log of `size` entries is not there, or not all of it."""
        for path in tile_paths(size):
            _, partial, width = path.partition(".p/")
            length = HASH_SIZE * int(width) if partial else MAX_TILE
            try:
                status = os.lstat(self._path / BOARD / path)
            except OSError:
                return True
            if not stat.S_ISREG(status.st_mode) or status.st_size != length:
                return True
        return False

    def _below(self, directory: str) -> Iterator[str]:
        """The names of files and links, sorted."""
        for path in sorted((self._path / directory).rglob("*")):
            if path.is_symlink() or path.is_file():
                yield path.relative_to(self._path).as_posix()

    # -- writing ---------------------------------------------------------------------------------

    def write_entries(
        self, size: int, tail: Sequence[bytes], encoded: Sequence[bytes], lines: Sequence[bytes]
    ) -> set[Path]:
        """Write and sync the bundles and bodies of new entries.

        Args:
            size: entries that are there.
            tail: those of the last bundle, while it is partial.
            encoded, lines: the new entries, and for each the line of its body or nothing.

        Returns:
            The directories that have new names, and are not synced.
        """
        number, start = size // BUNDLE, -len(tail)
        touched: set[Path] = set()
        while start < len(encoded):
            here = slice(max(start, 0), start + BUNDLE)
            bundle = [*(tail if start <= 0 else []), *encoded[here]]
            path = self._path / bundle_path(number, len(bundle))
            make_directory(path.parent)
            create_file(path, encode_bundle(bundle))
            touched.add(path.parent)
            if bodies := b"".join(lines[here]):
                path = self._path / bodies_path(number)
                make_directory(path.parent)
                append_file(path, bodies)
                touched.add(path.parent)
            number, start = number + 1, start + BUNDLE
        return touched

    def write_tiles(self, tiles: Iterable[tuple[str, bytes]], *, again: bool = False) -> set[Path]:
        """Write and sync hash tiles; returns the directories that have new names.

        Args:
            again: there may be some already, and what is wrong is replaced.
        """
        touched: set[Path] = set()
        for name, data in tiles:
            path = self._path / BOARD / name
            if again and (path.is_file() or path.is_symlink()):
                if not path.is_symlink() and path.read_bytes() == data:
                    continue
                remove(path)
            make_directory(path.parent)
            create_file(path, data)
            touched.add(path.parent)
        return touched

    def sync(self, directories: Iterable[Path]) -> None:
        """Make the names in some directories last."""
        for directory in sorted(set(directories)):
            sync_directory(directory)

    def remove_replaced(self, partial: Iterable[str]) -> None:
        """Remove partial tiles and bundles that larger ones have replaced."""
        for name in partial:
            path = self._path / BOARD / name
            remove(path)
            if not any(path.parent.iterdir()):
                remove(path.parent)

    # -- after a crash ---------------------------------------------------------------------------

    def cut(self, size: int, ballots: int) -> None:
        """Remove what a checkpoint of `size` entries does not cover.

        Args:
            ballots: how many of them are ballots in the last bundle, while it is partial.
        """
        last, width = divmod(size, BUNDLE)
        tiles = {BOARD + path for path in tile_paths(size)}
        for name in self._below("board/tile"):
            found = _BUNDLE_PATH.fullmatch(name)
            if found is None:
                if TILE_FILE.fullmatch(name) and name not in tiles:
                    remove(self._path / name)
                continue  # what is nothing of ours, the audit names
            number = _tile_number(found[1])
            if number > last or (number == last and name != bundle_path(last, width)):
                remove(self._path / name)
            elif number < last and found[2]:
                remove(self._path / name)  # a partial bundle beside the full one
        for name in self._below("ballots"):
            found = _BODIES_PATH.fullmatch(name)
            number = _tile_number(found[1]) if found else -1
            if number > last or (number == last and not ballots):
                remove(self._path / name)
            elif number == last:
                _keep_lines(self._path / name, ballots, name)
        for top in ("board/tile", "ballots"):
            for path in sorted((self._path / top).rglob("*"), reverse=True):
                if path.is_symlink() or not path.is_dir() or path == self._path / ENTRIES:
                    continue
                if not any(path.iterdir()):
                    remove(path)


def _tile_number(name: str) -> int:
    return int(name.replace("x", "").replace("/", ""))


def _keep_lines(path: Path, count: int, where: str) -> None:
    """Cut a file after its first `count` lines."""
    size = 0
    with path.open("rb") as file:
        for number in range(count):
            line = file.readline(MAX_BODY + 1)
            if not line.endswith(b"\n"):
                raise DecodingError(f"line {number + 1} is missing or has no end", where=where)
            size += len(line)
        more = bool(file.read(1))
    if more:
        cut_file(path, size)
