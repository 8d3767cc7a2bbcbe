"""Items as packed numbers: what crosses to a worker and back, and may stay packed in between."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias, overload

import numpy as np
from gmpy2 import mpz
from numpy.typing import NDArray

if TYPE_CHECKING:
    from evote.groups._kernel import Kernel

__all__ = ["Item", "PackedItems", "item_size", "join_items", "pack_items", "take_items"]

Item: TypeAlias = Any  # a number or the coordinates of a point: the kernels' business


def item_size(kernel: Kernel) -> int:
    """Bytes of one item: numbers below the modulus, fixed width; those of a point side by side."""
    numbers = len(kernel.identity) if isinstance(kernel.identity, tuple) else 1
    return numbers * _width(kernel)


def _width(kernel: Kernel) -> int:
    return (int(kernel.modulus).bit_length() + 7) // 8


def pack_items(kernel: Kernel, items: Sequence[Item]) -> bytes:
    if isinstance(items, PackedItems):
        return items.data()
    p, width = kernel.modulus, _width(kernel)
    if isinstance(kernel.identity, tuple):
        return b"".join([(x % p).to_bytes(width, "little") for item in items for x in item])
    return b"".join([(x % p).to_bytes(width, "little") for x in items])


class PackedItems(Sequence[Item]):
    """What `pack_items` packed. They were members before, and are not checked again.

    Rearranged, sliced, joined and sent on as bytes; unpacked when somebody looks.
    """

    __slots__ = ("_items", "_kernel", "_rows")

    def __init__(self, kernel: Kernel, rows: NDArray[np.uint8]) -> None:
        """Of shape (n, item size)."""
        self._kernel, self._rows = kernel, rows
        self._items: list[Item] | None = None

    @classmethod
    def of(cls, kernel: Kernel, data: bytes) -> PackedItems:
        rows = np.frombuffer(data, dtype=np.uint8)
        return cls(kernel, rows.reshape((-1, item_size(kernel))))

    def data(self) -> bytes:
        return self._rows.tobytes()

    def take(self, positions: NDArray[np.intp]) -> PackedItems:
        return PackedItems(self._kernel, self._rows[positions])

    def joined(self, parts: Sequence[Sequence[Item]]) -> PackedItems:
        """All of these, of the same kernel."""
        kernel = self._kernel
        packed = [
            part
            if isinstance(part, PackedItems)
            else PackedItems.of(kernel, pack_items(kernel, part))
            for part in parts
        ]
        return PackedItems(kernel, np.concatenate([part._rows for part in packed]))

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[Item]:
        if self._items is None:
            self._items = self._unpack()
        return iter(self._items)

    @overload
    def __getitem__(self, key: int) -> Item: ...
    @overload
    def __getitem__(self, key: slice) -> PackedItems: ...
    def __getitem__(self, key: int | slice) -> Item:
        if isinstance(key, slice):
            return PackedItems(self._kernel, self._rows[key])
        if self._items is not None:
            return self._items[key]
        return PackedItems(self._kernel, self._rows[[key]])._unpack()[0]

    def _unpack(self) -> list[Item]:
        data, width, read = self.data(), _width(self._kernel), mpz.from_bytes
        numbers = [read(data[i : i + width], "little") for i in range(0, len(data), width)]
        if isinstance(self._kernel.identity, tuple):
            side_by_side = [iter(numbers)] * len(self._kernel.identity)
            return list(zip(*side_by_side, strict=True))
        return numbers


def take_items(items: Sequence[Item], positions: NDArray[np.intp]) -> Sequence[Item]:
    """The items at positions of any shape, in C order."""
    if isinstance(items, PackedItems):
        return items.take(positions.ravel())
    return list(map(items.__getitem__, positions.ravel().tolist()))


def join_items(parts: Sequence[Sequence[Item]]) -> Sequence[Item]:
    """All of these, one after the other; packed where some are."""
    for part in parts:
        if isinstance(part, PackedItems):
            return part.joined(parts)
    return [item for part in parts for item in part]
