"""Shape and indexing, the same for arrays of elements and of scalars.

Items lie in one sequence in C order. Every rearrangement is done to an array of positions by NumPy
and then to the items once, so that NumPy's rules of indexing and broadcasting are ours without
writing them down again.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from evote.errors import GroupMismatch, ParameterError, ShapeMismatch
from evote.groups._rows import Item, repeat_item, take_items

if TYPE_CHECKING:
    from evote.groups.base import Group

__all__ = [
    "Array",
    "Integer",
    "Item",
    "Shape",
    "check_shape",
    "common_shape",
    "normal_axis",
    "spread",
]

Shape: TypeAlias = tuple[int, ...]
Integer: TypeAlias = int | np.integer[Any]


class Array(ABC):
    """An immutable array with a group and a shape; see `Elements` and `Scalars`."""

    __slots__ = ("_group", "_items", "_shape")
    __hash__: ClassVar[None] = None  # type: ignore[assignment]  # keep encodings in sets
    __iter__: ClassVar[None] = None  # one item at a time is what arrays are there to avoid
    __array_ufunc__: ClassVar[None] = None  # NumPy leaves mixed operators to us

    _group: Group
    _items: Sequence[Item]
    _shape: Shape

    def __init__(self) -> None:
        raise ParameterError(f"{type(self).__name__} are made by the methods of a group")

    @abstractmethod
    def _like(self, items: Sequence[Item], shape: Shape) -> Self:
        """Other items with everything else (group, marks) the same."""

    @property
    def group(self) -> Group:
        return self._group

    @property
    def shape(self) -> Shape:
        return self._shape

    @property
    def ndim(self) -> int:
        return len(self._shape)

    @property
    def size(self) -> int:
        return len(self._items)

    def __len__(self) -> int:
        if not self._shape:
            raise ParameterError("an array of shape () has no length")
        return self._shape[0]

    def __bool__(self) -> NoReturn:
        raise ParameterError("an array has no truth value: compare, or ask for a mask")

    def __array__(self, *args: object, **kwargs: object) -> NoReturn:
        raise ParameterError("elements and scalars do not become NumPy arrays: encode() them")

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: object) -> Self:
        return self

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._group.name} shape={self._shape}>"

    def __getitem__(self, key: Any) -> Self:
        """Any NumPy key over the shape: integers, slices, masks, integer arrays, None."""
        if isinstance(key, slice) and len(self._shape) == 1:  # of a long array, a short part
            return self._pick(np.arange(*key.indices(self._shape[0]), dtype=np.intp))
        try:
            positions = np.asarray(self._positions()[key])
        except (IndexError, TypeError, ValueError) as error:
            raise ParameterError(f"no such part of shape {self._shape}: {error}") from None
        return self._pick(positions)

    def reshape(self, shape: int | Shape) -> Self:
        """The same items in C order under another shape; one length may be -1."""
        try:
            new = self._positions().reshape(shape).shape
        except (TypeError, ValueError):
            raise ShapeMismatch(f"shape {self._shape} does not become {shape}") from None
        return self._like(self._items, new)

    def broadcast_to(self, shape: Shape) -> Self:
        shape = check_shape(shape)
        if shape == self._shape:
            return self
        return self._like(spread(self, shape), shape)

    def take(self, indices: NDArray[np.integer] | Sequence[int]) -> Self:
        """The entries along axis 0 at `indices`, in that order."""
        wanted = np.asarray(indices)
        if wanted.size == 0:
            wanted = wanted.astype(np.intp)
        if not np.issubdtype(wanted.dtype, np.integer):
            raise ParameterError("indices must be integers")
        if not self._shape:
            raise ShapeMismatch("shape () has no axis 0")
        return self[wanted]

    def _positions(self) -> NDArray[np.intp]:
        return np.arange(len(self._items), dtype=np.intp).reshape(self._shape)

    def _pick(self, positions: NDArray[np.intp]) -> Self:
        return self._like(take_items(self._items, positions), positions.shape)

    def _rows(self, axis: int | None) -> tuple[Shape, int, Sequence[Item]]:
        """The shape without `axis`, its size, and for each of its places the items along `axis`.

        None stands for all axes.
        """
        if axis is None:
            return (), 1, self._items
        axis = normal_axis(axis, self._shape)
        rest = self._shape[:axis] + self._shape[axis + 1 :]
        if axis == self.ndim - 1:
            return rest, math.prod(rest), self._items
        positions = np.moveaxis(self._positions(), axis, -1)
        return rest, math.prod(rest), take_items(self._items, positions)

    def _common_group(self, other: Array) -> Group:
        """This array's group, or the other's if only that one has an executor."""
        self._check_same_group(other)
        return other._group if other._group._spreads and not self._group._spreads else self._group

    def _check_same_group(self, other: Array) -> None:
        if other._group is not self._group and other._group != self._group:
            raise GroupMismatch(f"{self._group.name} met {other._group.name}")


def check_shape(shape: Any) -> Shape:
    """A shape as a tuple of plain non-negative integers; a single length is a shape too."""
    lengths = (shape,) if isinstance(shape, int | np.integer) else shape
    if not isinstance(lengths, tuple | list) or not all(
        isinstance(n, int | np.integer) and not isinstance(n, bool) and n >= 0 for n in lengths
    ):
        raise ParameterError(f"not a shape: {shape!r}")
    return tuple(int(n) for n in lengths)


def common_shape(*arrays: Array) -> Shape:
    """The shape to which all broadcast."""
    shapes = [array._shape for array in arrays]
    if all(shape == shapes[0] for shape in shapes):
        return shapes[0]
    try:
        return np.broadcast_shapes(*shapes)
    except ValueError:
        raise ShapeMismatch(f"shapes do not fit: {', '.join(map(str, shapes))}") from None


def spread(array: Array, shape: Shape) -> Sequence[Item]:
    """The items of `array`, broadcast to `shape`, in C order."""
    if array._shape == shape:
        return array._items
    if array.size == 1 and array.ndim <= len(shape):
        return repeat_item(array._items, math.prod(shape))
    try:
        positions = np.broadcast_to(array._positions(), shape)
    except ValueError:
        raise ShapeMismatch(f"shape {array._shape} does not broadcast to {shape}") from None
    return take_items(array._items, positions)


def normal_axis(axis: int, shape: Shape) -> int:
    if isinstance(axis, bool) or not isinstance(axis, int | np.integer):
        raise ParameterError(f"an axis is an integer, not {axis!r}")
    if not -len(shape) <= axis < len(shape):
        raise ShapeMismatch(f"shape {shape} has no axis {axis}")
    return int(axis) % len(shape)
