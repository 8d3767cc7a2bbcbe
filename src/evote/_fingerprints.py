"""Finding what occurs twice among more items than fit in memory.

Each item is known by 64 bits of its encoding. Equal items have equal fingerprints, so whatever
occurs twice is among the fingerprints that do; unequal items may share one, so the caller compares
the few candidates in full. Nothing is sampled, and memory stays bounded: beyond `limit`
fingerprints they go to temporary files by their low bits, and each file is sorted alone.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

__all__ = ["Fingerprints", "fingerprint_rows"]

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

    def _sorted_parts(self) -> Iterator[NDArray[np.void]]:
        if self._directory is None:
            parts = iter([np.concatenate(self._batches)] if self._batches else [])
        else:
            self._spill_rest()
            parts = (np.fromfile(self._bucket(i), dtype=_PAIR) for i in range(_BUCKETS))
        for part in parts:
            yield part[np.lexsort((part["owner"], part["value"]))]

    def _spill_rest(self) -> None:
        if self._batches:
            self._spill()

    def repeated(self) -> Iterator[tuple[int, tuple[int, ...]]]:
        """Each fingerprint that was added more than once, with all its owners, ascending."""
        for part in self._sorted_parts():
            values = part["value"]
            if not len(values):
                continue
            starts = np.flatnonzero(np.r_[True, values[1:] != values[:-1]])
            sizes = np.diff(np.r_[starts, len(values)])
            for group in np.flatnonzero(sizes > 1):
                start = starts[group]
                owners = part["owner"][start : start + sizes[group]]
                yield int(values[start]), tuple(int(owner) for owner in owners)


def fingerprint_rows(data: bytes, size: int) -> NDArray[np.uint64]:
    """64 bits of each `size` bytes of `data`: of the end, where every encoding varies."""
    rows = np.frombuffer(data, dtype=np.uint8).reshape(-1, size)
    width = min(8, size)
    last = np.zeros((len(rows), 8), dtype=np.uint8)
    last[:, :width] = rows[:, size - width :]
    return last.reshape(-1).view("<u8").astype(np.uint64)
