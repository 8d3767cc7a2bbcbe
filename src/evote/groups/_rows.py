"""Arrays as rows of bytes: rearranged and sent as they lie, and read when somebody looks.

The numbers that an item is made of, side by side, are the form that all backends of a group know:
arrays of two backends meet in it, and it crosses to workers and into pickles. A backend may lay
out rows of its own, which become numbers only there.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol, Self, TypeAlias, overload

import numpy as np
from gmpy2 import mpz
from numpy.typing import NDArray

from evote._spool import Stored
from evote.errors import EvoteError

__all__ = [
    "Deferred",
    "EncodedRows",
    "Form",
    "Item",
    "NumbersForm",
    "Rows",
    "Squares",
    "join_items",
    "repeat_item",
    "take_items",
]

Item: TypeAlias = Any  # a number or the coordinates of a point: the kernels' business


class Form(Protocol):
    """How the items of a group lie in rows."""

    @property
    def item_size(self) -> int:
        """Bytes of a row."""

    @property
    def numbers(self) -> NumbersForm:
        """The form that other backends know."""

    def to_numbers(self, data: bytes) -> bytes: ...

    def from_numbers(self, data: bytes) -> bytes: ...


class NumbersForm:
    """Numbers below a modulus, little-endian, of fixed width; those of a point side by side."""

    __slots__ = ("_count", "_modulus", "item_size", "width")

    def __init__(self, modulus: int, width: int, count: int = 0) -> None:
        """`count` numbers make an item that is a tuple; 0 says that it is one number."""
        self._modulus, self._count = mpz(modulus), count
        self.width = width
        self.item_size = max(count, 1) * width

    @classmethod
    def of(cls, identity: Item, modulus: int) -> NumbersForm:
        """The form of a group's items, of which the identity is one."""
        count = len(identity) if isinstance(identity, tuple) else 0
        return cls(modulus, (int(modulus).bit_length() + 7) // 8, count)

    @property
    def numbers(self) -> Self:
        return self

    def to_numbers(self, data: bytes) -> bytes:
        return data

    def from_numbers(self, data: bytes) -> bytes:
        return data

    def pack(self, items: Sequence[Item]) -> bytes:
        p, width = self._modulus, self.width
        if self._count:
            return b"".join([(x % p).to_bytes(width, "little") for item in items for x in item])
        return b"".join([(x % p).to_bytes(width, "little") for x in items])

    def unpack(self, data: bytes) -> list[Item]:
        width, read = self.width, mpz.from_bytes
        numbers = [read(data[i : i + width], "little") for i in range(0, len(data), width)]
        if self._count:
            return list(zip(*[iter(numbers)] * self._count, strict=True))
        return numbers


class Rows(Sequence[Item]):
    """Items in some form. They were members before, and are not checked again."""

    __slots__ = ("_items", "data", "form")

    def __init__(self, form: Form, data: bytes) -> None:
        self.form, self.data = form, data
        self._items: list[Item] | None = None

    @classmethod
    def of(cls, form: Form, items: Sequence[Item]) -> Rows:
        """These items in this form, whatever theirs is."""
        if isinstance(items, Deferred):
            items = items.computed()
        if isinstance(items, Rows):
            if items.form is form:
                return items
            return cls(form, form.from_numbers(items.to_numbers()))
        return cls(form, form.from_numbers(form.numbers.pack(items)))

    def to_numbers(self) -> bytes:
        return self.form.to_numbers(self.data)

    def take(self, positions: NDArray[np.intp]) -> Rows:
        data = take_rows(self.data, self.form.item_size, positions)
        return self if data is self.data else Rows(self.form, data)

    def __len__(self) -> int:
        return len(self.data) // self.form.item_size

    def __eq__(self, other: object) -> bool:
        """Whether the same items lie there in the same representation."""
        if isinstance(other, Rows) and other.form is self.form:
            return self.data == other.data
        return isinstance(other, Sequence) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]

    def __iter__(self) -> Iterator[Item]:
        if self._items is None:
            self._items = self._read(self.data)
        return iter(self._items)

    @overload
    def __getitem__(self, key: int) -> Item: ...
    @overload
    def __getitem__(self, key: slice) -> Rows: ...
    def __getitem__(self, key: int | slice) -> Item:
        size = self.form.item_size
        if isinstance(key, slice):
            start, stop, step = key.indices(len(self))
            if step != 1:
                return self.take(np.arange(start, stop, step))
            if start == 0 and stop == len(self):
                return self
            return Rows(self.form, self.data[start * size : max(start, stop) * size])
        if self._items is not None:
            return self._items[key]
        place = range(len(self))[key]
        return self._read(self.data[place * size : (place + 1) * size])[0]

    def _read(self, data: bytes) -> list[Item]:
        return self.form.numbers.unpack(self.form.to_numbers(data))


def take_rows(data: bytes, size: int, positions: NDArray[np.intp]) -> bytes:
    """The rows of `size` bytes at positions of any shape, in C order; `data` itself if all are."""
    flat, rows = positions.ravel(), np.frombuffer(data, dtype=np.dtype((np.void, size)))
    run = _run(flat)
    if run is None:
        return rows[flat].tobytes()
    return data if run == slice(0, len(rows), 1) else rows[run].tobytes()


def _run(positions: NDArray[np.intp]) -> slice | None:
    """The slice that these positions are, if they ascend and are equally far from each other."""
    if not positions.size:
        return None
    first, last = int(positions[0]), int(positions[-1])
    step = int(positions[1]) - first if positions.size > 1 else 1
    if step < 1 or last - first != step * (positions.size - 1):
        return None
    if positions.size > 2 and (np.diff(positions) != step).any():
        return None
    return slice(first, last + 1, step)


class Deferred(Sequence[Item]):
    """Items that are computed when somebody uses them."""

    __slots__ = ()

    @abstractmethod
    def computed(self) -> Sequence[Item]:
        """The items as the backend has them."""

    @abstractmethod
    def take(self, positions: NDArray[np.intp]) -> Self: ...

    @abstractmethod
    def joined(self, others: Sequence[Any]) -> Self:
        """These and others of the same kind."""

    def __iter__(self) -> Iterator[Item]:
        return iter(self.computed())


class Squares(Deferred):
    """The squares of items, which may never be asked for: see `EncodesSquares`."""

    __slots__ = ("_multiply", "_squares", "roots")

    def __init__(
        self,
        multiply: Callable[[Sequence[Item], Sequence[Item]], Sequence[Item]],
        roots: Sequence[Item],
    ) -> None:
        self._multiply, self.roots = multiply, roots
        self._squares: Sequence[Item] | None = None

    def computed(self) -> Sequence[Item]:
        if self._squares is None:
            self._squares = self._multiply(self.roots, self.roots)
        return self._squares

    def take(self, positions: NDArray[np.intp]) -> Squares:
        return Squares(self._multiply, take_items(self.roots, positions))

    def joined(self, others: Sequence[Any]) -> Squares:
        return Squares(self._multiply, join_items([each.roots for each in (self, *others)]))

    def __len__(self) -> int:
        return len(self.roots)

    @overload
    def __getitem__(self, key: int) -> Item: ...
    @overload
    def __getitem__(self, key: slice) -> Squares: ...
    def __getitem__(self, key: int | slice) -> Item:
        if isinstance(key, slice):
            return Squares(self._multiply, self.roots[key])
        return self.computed()[key]


class EncodedRows(Deferred):
    """Items as they are encoded, on the disk perhaps; every call that uses them decodes them.

    For long lists that are used once or twice, part by part: they take a fifth of the memory.
    """

    __slots__ = ("_decode", "_size", "data")

    def __init__(
        self, decode: Callable[[bytes], Sequence[Item | None]], size: int, data: bytes | Stored
    ) -> None:
        """`data` are encodings of `size` bytes that were decoded before, or are of elements."""
        self._decode, self._size, self.data = decode, size, data

    def computed(self) -> Sequence[Item]:
        items = self._decode(bytes(self.data))
        if not isinstance(items, Rows) and None in items:
            raise EvoteError("an encoding changed after it was checked")
        return items

    def take(self, positions: NDArray[np.intp]) -> EncodedRows:
        run = _run(positions)
        if run is not None and run.step == 1:
            return self[run]
        return self._with(take_rows(bytes(self.data), self._size, positions))

    def joined(self, others: Sequence[Any]) -> EncodedRows:
        return self._with(b"".join([bytes(each.data) for each in (self, *others)]))

    def _with(self, data: bytes | Stored) -> EncodedRows:
        return EncodedRows(self._decode, self._size, data)

    def __len__(self) -> int:
        return len(self.data) // self._size

    @overload
    def __getitem__(self, key: int) -> Item: ...
    @overload
    def __getitem__(self, key: slice) -> EncodedRows: ...
    def __getitem__(self, key: int | slice) -> Item:
        if isinstance(key, slice):
            start, stop, step = key.indices(len(self))
            if step != 1:
                return self.take(np.arange(start, stop, step))
            if start == 0 and stop == len(self):
                return self
            return self._with(self.data[start * self._size : max(start, stop) * self._size])
        place = range(len(self))[key]
        return self[place : place + 1].computed()[0]


def take_items(items: Sequence[Item], positions: NDArray[np.intp]) -> Sequence[Item]:
    """The items at positions of any shape, in C order."""
    if isinstance(items, Rows | Deferred):
        return items.take(positions.ravel())
    return list(map(items.__getitem__, positions.ravel().tolist()))


def repeat_item(items: Sequence[Item], count: int) -> Sequence[Item]:
    """The one item there is, so many times."""
    if isinstance(items, Deferred):
        items = items.computed()
    if isinstance(items, Rows):
        return Rows(items.form, items.data * count)
    return [items[0]] * count


def join_items(parts: Sequence[Sequence[Item]]) -> Sequence[Item]:
    """All of these, one after the other; rows where some are."""
    if len(parts) == 1:
        return parts[0]
    kinds = {type(part) for part in parts}
    if len(kinds) == 1 and isinstance(parts[0], Deferred):
        return parts[0].joined(parts[1:])
    parts = [part.computed() if isinstance(part, Deferred) else part for part in parts]
    for part in parts:
        if isinstance(part, Rows):
            return Rows(part.form, b"".join([Rows.of(part.form, x).data for x in parts]))
    return [item for part in parts for item in part]
