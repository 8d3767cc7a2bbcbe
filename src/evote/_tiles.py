"""The hash tiles of a log: written as it grows, and read by whoever trusts only its root.

A tile is up to 256 hashes side by side. Level 0 has the leaf hashes; each full tile of a level is
one hash, its root, in the level above. A full tile never changes. `TileEdge` is the side of the
writer: the hashes that are in no full tile yet. `TileTree` is the side of the reader: it fetches
the tiles that a proof needs, and believes each only once it leads to the root.

Reference: C2SP tlog-tiles v0.1.0. A private sibling of `board`, which is the public path to it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

import numpy as np

from evote._bundles import (
    BUNDLE,
    MAX_BUNDLE,
    decode_bundle,
    encode_bundle,
    tile_name,
)
from evote._files import read_file, shown_path
from evote._forms import Strings, to_rows
from evote._merkle import (
    EMPTY_ROOT,
    HASH_SIZE,
    ProvingTree,
    leaf_hashes,
    node_hash,
    pair_hashes,
    verify_consistency,
)
from evote.errors import BrokenLog, DecodingError, ParameterError

__all__ = [
    "BOARD",
    "MAX_TILE",
    "TILE",
    "TILE_FILE",
    "Fetch",
    "TileEdge",
    "TileTree",
    "read_tile",
    "tile_path",
    "tile_paths",
]

TILE = 256  # hashes
MAX_TILE = TILE * HASH_SIZE  # bytes
BOARD = "board/"  # what stands before the paths of tiles in a record
_HEIGHT = 8  # of a tile: 2^8 hashes
_MAX_SIZE = 2**63 - 1
_CACHED = 512  # full tiles in memory, 35 kB each
_TRIES = 8

_NUMBER = r"(?:x[0-9]{3}/){0,6}[0-9]{3}"
_WIDTH = r"(?:[1-9]|[1-9][0-9]|1[0-9][0-9]|2[0-4][0-9]|25[0-5])"
_LEVEL = r"(?:[0-9]|[1-5][0-9]|6[0-3])"
# A hash tile, as a path in a record.
TILE_FILE = re.compile(rf"{BOARD}tile/{_LEVEL}/{_NUMBER}(?:\.p/{_WIDTH})?", re.ASCII)
_ANY_TILE = re.compile(rf"(tile/(entries|{_LEVEL})/{_NUMBER})(?:\.p/({_WIDTH}))?", re.ASCII)

Fetch = Callable[[str], bytes]


def tile_path(level: int | str, number: int, width: int = TILE) -> str:
    """The path of a tile below the address of a log; `width` below 256 makes it a partial one.

    Args:
        level: from 0 to 63; or "entries", for a bundle of entries.
    """
    partial = "" if width == TILE else f".p/{width}"
    return f"tile/{level}/{tile_name(number)}{partial}"


def tile_paths(size: int) -> Iterator[str]:
    """The paths of all hash tiles of a log of `size` entries."""
    level = 0
    while size:
        full, width = divmod(size, TILE)
        for number in range(full):
            yield tile_path(level, number)
        if width:
            yield tile_path(level, full, width)
        size, level = full, level + 1


class TileEdge:
    """The right edge of a tree in tiles: for each level the hashes that are in no full tile yet."""

    __slots__ = ("_levels", "size")

    def __init__(self, size: int = 0, levels: Sequence[Sequence[bytes]] = ()) -> None:
        """Begin an empty tree; or go on with one of `size` leaves, whose edge was kept."""
        self.size: int = size
        self._levels: list[list[bytes]] = [list(level) for level in levels]

    def copy(self) -> TileEdge:
        """An independent copy."""
        return TileEdge(self.size, self._levels)

    def hashes(self, level: int) -> list[bytes]:
        """Those of a level; none above the last."""
        return list(self._levels[level]) if level < len(self._levels) else []

    def paths(self) -> list[str]:
        """The partial tiles: what a larger tree replaces."""
        counts = [(self.size >> _HEIGHT * level) // TILE for level in range(len(self._levels))]
        return [
            tile_path(level, counts[level], len(hashes))
            for level, hashes in enumerate(self._levels)
            if hashes
        ]

    def extend(self, leaves: Sequence[bytes]) -> list[tuple[str, bytes]]:
        """Add leaf hashes in order.

        Returns:
            Path and bytes of each tile that there was not before.
        """
        made: list[tuple[str, bytes]] = []
        new, level, number = leaves, 0, self.size // TILE
        self.size += len(new)
        while len(new):
            if level == len(self._levels):
                self._levels.append([])
            parts = [to_rows(some).reshape((-1, HASH_SIZE)) for some in (self._levels[level], new)]
            hashes = Strings(np.concatenate(parts))
            for start in range(0, len(hashes), TILE):
                tile = hashes[start : start + TILE]
                path = tile_path(level, number + start // TILE, len(tile))
                made.append((path, tile.rows.tobytes()))
            full = len(hashes) // TILE
            self._levels[level] = list(hashes[full * TILE :])
            # The first of `new` goes to the level above behind the hashes that are there.
            new, level, number = _halves(hashes[: full * TILE])[_HEIGHT], level + 1, number // TILE
        return made

    def root(self) -> bytes:
        """The root over all leaves."""
        root = b""
        for hashes in self._levels:  # from the smallest full subtree, at the right, to the largest
            halves = _halves(hashes)
            for height in range(_HEIGHT):
                if len(hashes) >> height & 1:
                    peak = halves[height][-1]
                    root = node_hash(peak, root) if root else peak
        return root or EMPTY_ROOT


def _halves(hashes: Sequence[bytes]) -> list[Sequence[bytes]]:
    """[h]: the hashes of the full subtrees of height h over some hashes; h up to 8."""
    levels = [hashes]
    for _ in range(_HEIGHT):
        levels.append(pair_hashes(levels[-1]))
    return levels


class TileTree(ProvingTree):
    """A log known by its size and root, whose tiles are fetched where they are needed.

    Nothing that is fetched is believed before it leads to the root; lengths neither. Memory: a few
    hundred tiles, whatever the size. Not for several threads at a time.
    """

    def __init__(self, size: int, root: bytes, fetch: Fetch) -> None:
        """Fetch the partial tiles at the right edge, at most eight.

        Args:
            size, root: of a checkpoint that the caller has verified.
            fetch: the bytes of a path such as "tile/0/x001/234"; DecodingError where it has none.

        Raises:
            DecodingError: a tile is missing or has another length.
            BrokenLog: the tiles do not lead to the root.
        """
        if not 0 <= size <= _MAX_SIZE:
            raise ParameterError(f"no log has {size} entries")
        self._fetch: Final = fetch
        self._cache: dict[tuple[int, int], list[list[bytes]]] = {}  # full tiles, oldest first
        self._settle(self._fetched_edge(size, root), root)

    def _fetched_edge(self, size: int, root: bytes) -> TileEdge:
        levels, count = list[list[bytes]](), size
        while count:
            full, width = divmod(count, TILE)
            levels.append(self._hashes(len(levels), full, width) if width else [])
            count = full
        edge = TileEdge(size, levels)
        if edge.root() != root:
            raise BrokenLog(f"the tiles of {size} entries do not lead to the root")
        return edge

    def _settle(self, edge: TileEdge, root: bytes) -> None:
        self._edge, self._root = edge, root
        self._above: tuple[int, int, tuple[bytes, ...]] = (-1, -1, ())
        self._partial: dict[int, list[list[bytes]]] = {}
        self._ragged: dict[tuple[int, int], bytes] = {}

    @property
    def size(self) -> int:
        """Number of entries."""
        return self._edge.size

    @property
    def edge(self) -> TileEdge:
        """What is in no full tile, for whoever lets the log grow."""
        return self._edge.copy()

    def advance(self, size: int, root: bytes) -> None:
        """Go on to a larger checkpoint of the same log; what has been read stays read.

        Raises:
            BrokenLog: the log is not consistent with the smaller one. This one stays as it was.
            DecodingError: a tile is missing or has another length.
        """
        if not self.size <= size <= _MAX_SIZE:
            raise BrokenLog(f"a log of {size} entries cannot follow one of {self.size}")
        larger = TileTree(size, root, self._fetch)
        proof = larger.consistency_proof(self.size)
        verify_consistency(self.size, self._root, size, root, proof)
        self._settle(larger._edge, root)

    def follow(self, edge: TileEdge) -> None:
        """Go on to an edge that the caller has grown from this one; nothing is checked."""
        self._settle(edge.copy(), edge.root())

    def leaves(self, number: int) -> list[bytes]:
        """The leaf hashes of the n-th 256 entries."""
        return list(self._tile(0, number)[0])

    def bundle(self, number: int) -> list[bytes]:
        """The n-th 256 entries, which the root covers.

        Raises:
            DecodingError: the bundle is missing or malformed.
            BrokenLog: it holds other entries.
        """
        leaves = self.leaves(number)
        path = tile_path("entries", number, len(leaves))
        try:
            entries = decode_bundle(self._fetch(path), len(leaves), where=path)
        except DecodingError:
            if len(leaves) == TILE:
                raise
            whole = tile_path("entries", number)
            entries = decode_bundle(self._fetch(whole), BUNDLE, where=whole)[: len(leaves)]
        if leaf_hashes(entries) != leaves:
            raise BrokenLog(f"{path}: its entries do not lead to the root")
        return list(entries)

    def inclusion_proof(self, index: int, size: int | None = None) -> tuple[bytes, ...]:
        """The siblings from leaf `index` up to the root over `size` leaves."""
        size = self._checked(size)
        number, place = divmod(index, TILE)
        if index < 0 or (number + 1) * TILE > size:
            return super().inclusion_proof(index, size)
        if (number, size) != self._above[:2]:  # above a full tile, all its leaves have one path
            self._above = (number, size, super().inclusion_proof(index, size)[_HEIGHT:])
        levels = self._tile(0, number)
        inside = [levels[height][(place >> height) ^ 1] for height in range(_HEIGHT)]
        return (*inside, *self._above[2])

    # -- tiles -----------------------------------------------------------------------------------

    def _hashes(self, level: int, number: int, width: int) -> list[bytes]:
        """The hashes of a tile, which nobody vouches for yet."""
        path, length = tile_path(level, number, width), width
        try:
            data = self._fetch(path)
        except DecodingError:
            if width == TILE:
                raise
            path, length = tile_path(level, number), TILE  # it may have replaced the partial one
            data = self._fetch(path)
        if len(data) != HASH_SIZE * length:
            reason = f"{HASH_SIZE * length} bytes expected, got {len(data)}"
            raise DecodingError(reason, where=path)
        return [data[HASH_SIZE * i : HASH_SIZE * (i + 1)] for i in range(width)]

    def _tile(self, level: int, number: int) -> list[list[bytes]]:
        """[h]: the hashes of height h within a tile, verified."""
        count = self.size >> _HEIGHT * level
        if not 0 <= number < -(-count // TILE):
            raise ParameterError(f"no tile {number} of level {level} in a log of {self.size}")
        if number == count // TILE:
            if level not in self._partial:
                self._partial[level] = list(map(list, _halves(self._edge.hashes(level))))
            return self._partial[level]
        known = self._cache.get((level, number))
        if known is None:
            known = list(map(list, _halves(self._hashes(level, number, TILE))))
            if known[_HEIGHT][0] != self._full(_HEIGHT * (level + 1), number):
                raise BrokenLog(f"{tile_path(level, number)}: the tile does not lead to the root")
            while len(self._cache) >= _CACHED:
                del self._cache[next(iter(self._cache))]
            self._cache[level, number] = known
        return known

    def _full(self, height: int, index: int) -> bytes:
        level, inside = divmod(height, _HEIGHT)
        number, place = divmod(index, 1 << (_HEIGHT - inside))
        return self._tile(level, number)[inside][place]

    def _range(self, start: int, end: int) -> bytes:
        if (end - start) & (end - start - 1) == 0:
            return super()._range(start, end)
        if (start, end) not in self._ragged:  # all proofs for one size share these few
            if len(self._ragged) >= _CACHED:
                self._ragged.clear()
            self._ragged[start, end] = super()._range(start, end)
        return self._ragged[start, end]


def read_tile(record: Path | str, path: str) -> bytes:
    """A tile or bundle of a record by its path, also a partial one that has been replaced.

    So everybody who holds an older checkpoint finds the tiles of its size. For servers of records
    that grow: no lock is taken.

    Raises:
        DecodingError: no tile has this path, or it is not there.
    """
    found = _ANY_TILE.fullmatch(path)
    if found is None:
        raise DecodingError("no tile has this path", where=shown_path(path))
    stem, kind, width = Path(record) / BOARD / found[1], found[2], int(found[3] or TILE)
    for _ in range(_TRIES):  # between looking and reading, the log may have grown
        for wide in _widths(stem):
            if wide < width:
                continue
            name = stem if wide == TILE else stem.with_name(f"{stem.name}.p") / str(wide)
            try:
                data = read_file(name, MAX_BUNDLE, where=path)
            except DecodingError:
                continue
            if wide == width:
                return data
            if kind != "entries":
                return data[: HASH_SIZE * width]
            return encode_bundle(decode_bundle(data, wide, where=path)[:width])
        if stem.is_file() or not any(wide >= width for wide in _widths(stem)):
            break
    raise DecodingError("file is missing", where=path)


def _widths(stem: Path) -> list[int]:
    """How many hashes the tiles of one number have that are there."""
    folder = stem.with_name(f"{stem.name}.p")
    try:
        names = [item.name for item in folder.iterdir()]
    except OSError:
        names = []
    widths = sorted(int(name) for name in names if re.fullmatch(_WIDTH, name, re.ASCII))
    return [*widths, TILE] if stem.is_file() else widths
