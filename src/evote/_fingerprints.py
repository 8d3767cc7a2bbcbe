"""Finding what occurs twice among more items than fit in memory.

Each item is known by 64 bits of its encoding. Equal items have equal fingerprints, so whatever
occurs twice is among the fingerprints that do; unequal items may share one, so the caller compares
the few candidates in full. Nothing is sampled, and memory stays bounded: beyond `limit`
fingerprints they go to temporary files by their low bits, and each file is sorted alone.
"""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "NO_MARKS",
    "Fingerprints",
    "Marks",
    "fingerprint_rows",
    "join_marks",
    "mark_rows",
]

_PAIR = np.dtype([("value", "<u8"), ("owner", "<u8")])
_BUCKETS = 256


class Fingerprints:
    """A collection of (fingerprint, owner); a context manager, because it may hold files.

    An owner is any number that lets the caller find the item again.
    """

    def __init__(self, *, limit: int = 2**20) -> None:
        """Keep at most about `limit` of them, 16 bytes each, in memory."""
        self._limit = limit
        self._batches: list[NDArray[np.void]] = []
        self._held = 0
        self._directory: tempfile.TemporaryDirectory[str] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Drop everything, temporary files too."""
        self._batches, self._held = [], 0
        if self._directory is not None:
            self._directory.cleanup()
            self._directory = None

    def add(self, values: NDArray[np.uint64], owners: NDArray[np.uint64]) -> None:
        """Add fingerprints and their owners, arrays of one length."""
        batch = np.empty(len(values), dtype=_PAIR)
        batch["value"], batch["owner"] = values, owners
        self._batches.append(batch)
        self._held += len(batch)
        if self._held > self._limit:
            self._spill()

    def _spill(self) -> None:
        if self._directory is None:
            self._directory = tempfile.TemporaryDirectory(prefix="evote-")
        everything = np.concatenate(self._batches)
        buckets = everything["value"] % _BUCKETS
        everything = everything[np.argsort(buckets, kind="stable")]
        edges = np.searchsorted(np.sort(buckets), np.arange(_BUCKETS + 1))
        for bucket in range(_BUCKETS):
            with self._bucket(bucket).open("ab") as file:
                file.write(everything[edges[bucket] : edges[bucket + 1]].tobytes())
        self._batches, self._held = [], 0

    def _bucket(self, number: int) -> Path:
        assert self._directory is not None
        return Path(self._directory.name) / f"{number:03}"

    def _repeated_parts(self) -> Iterator[NDArray[np.void]]:
        """All whose fingerprint occurs twice, sorted by it and then by owner, part by part."""
        if self._directory is None:
            parts = iter([np.concatenate(self._batches)] if self._batches else [])
        else:
            self._spill_rest()
            parts = (np.fromfile(self._bucket(i), dtype=_PAIR) for i in range(_BUCKETS))
        for part in parts:
            values = np.sort(part["value"])
            twice = values[1:][values[1:] == values[:-1]]
            if len(twice):  # seldom: so few are looked at with their owners
                found = part[np.isin(part["value"], twice)]
                yield found[np.lexsort((found["owner"], found["value"]))]

    def _spill_rest(self) -> None:
        if self._batches:
            self._spill()

    def repeated(self) -> Iterator[tuple[int, tuple[int, ...]]]:
        """Each fingerprint that was added more than once, with all its owners, ascending."""
        for part in self._repeated_parts():
            values = part["value"]
            starts = np.flatnonzero(np.r_[True, values[1:] != values[:-1]])
            ends = np.r_[starts[1:], len(values)]
            for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
                yield int(values[start]), tuple(part["owner"][start:end].tolist())


def fingerprint_rows(data: bytes, size: int) -> NDArray[np.uint64]:
    """64 bits of each `size` bytes of `data`: of the end, where every encoding varies."""
    rows = np.frombuffer(data, dtype=np.uint8).reshape(-1, size)
    width = min(8, size)
    last = np.zeros((len(rows), 8), dtype=np.uint8)
    last[:, :width] = rows[:, size - width :]
    return last.reshape(-1).view("<u8").astype(np.uint64)


class Marks(NamedTuple):
    """Fingerprints of some owners' items, in memory: `values[k]` is of an item of `owners[k]`."""

    values: NDArray[np.uint64]
    owners: NDArray[np.intp]

    def take(self, which: NDArray[np.bool_]) -> Marks:
        """Some of them."""
        return Marks(self.values[which], self.owners[which])

    def whose(self, owners: NDArray[np.intp]) -> Marks:
        """The same, where owner i is called `owners[i]`."""
        return Marks(self.values, owners[self.owners])

    def of(self, owners: Collection[int]) -> NDArray[np.uint64]:
        """The values of these owners."""
        return self.values[np.isin(self.owners, np.fromiter(owners, dtype=np.intp))]

    def shared(self) -> NDArray[np.bool_]:
        """Which values several owners have."""
        order = np.lexsort((self.owners, self.values))
        values, owners = self.values[order], self.owners[order]
        twice = (values[1:] == values[:-1]) & (owners[1:] != owners[:-1])
        return np.isin(self.values, values[1:][twice])

    def by_owner(self) -> dict[int, set[int]]:
        """The values of each owner."""
        found: dict[int, set[int]] = {}
        for value, owner in zip(self.values.tolist(), self.owners.tolist(), strict=True):
            found.setdefault(owner, set()).add(value)
        return found


NO_MARKS = Marks(np.zeros(0, dtype=np.uint64), np.zeros(0, dtype=np.intp))


def join_marks(parts: Sequence[Marks]) -> Marks:
    """All of them."""
    columns = zip(NO_MARKS, *parts, strict=True)
    return Marks(*(np.concatenate(column) for column in columns))


def mark_rows(owners: NDArray[np.intp], rows: NDArray[np.uint8], size: int) -> Marks:
    """The fingerprints of the items of `size` bytes in each row, whose owner is beside it."""
    return Marks(fingerprint_rows(rows.tobytes(), size), np.repeat(owners, rows.shape[1] // size))
