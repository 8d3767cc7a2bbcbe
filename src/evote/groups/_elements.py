"""Arrays of group elements."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from evote.errors import GroupMismatch, ParameterError, ShapeMismatch
from evote.groups._arrays import Array, Integer, Item, Shape, common_shape, spread
from evote.groups._counting import counted
from evote.groups._kernel import cut
from evote.groups._rows import EncodedRows, Rows, Squares, join_items, take_items, take_rows
from evote.groups._scalars import Scalars, Secrecy

if TYPE_CHECKING:
    from evote.groups.base import Group

__all__ = ["Elements"]


class Elements(Array):
    """An immutable array of group elements.

    `a * b`, `a / b` and `a ** scalars` broadcast. `==` compares whole arrays and gives one bool.
    """

    __slots__ = ("_encoded",)
    _encoded: bytes | None  # kept where encoding is expensive

    @classmethod
    def _make(
        cls, group: Group, items: Sequence[Item], shape: Shape, encoded: bytes | None = None
    ) -> Elements:
        made = cls.__new__(cls)
        made._group, made._items, made._shape, made._encoded = group, items, shape, encoded
        return made

    def _like(self, items: Sequence[Item], shape: Shape) -> Elements:
        if items is not self._items:
            return Elements._make(self._group, items, shape)
        return Elements._make(self._group, items, shape, self._encoded)

    def within(self, group: Group) -> Elements:
        """The same elements in `group`, which equals theirs: with its executor, or with none."""
        if group != self._group:
            raise GroupMismatch(f"{group.name} met {self._group.name}")
        return Elements._make(group, self._items, self._shape, self._encoded)

    def _squares(self, roots: Sequence[Item], shape: Shape) -> Elements:
        """The squares of these items."""
        return Elements._make(self._group, Squares(self._group._kernel.multiply, roots), shape)

    def _roots(self) -> Elements | None:
        """What these are the squares of, where that is known."""
        items = self._items
        return self._like(items.roots, self._shape) if isinstance(items, Squares) else None

    def packed(self, length: int | None = None) -> Elements:
        """The same elements, of a long list in the least memory: encoded, if decoding is cheap.

        Each call that uses them then decodes them, so use such an array part by part, and seldom.

        Args:
            length: of the list that these are a part of, if they are.
        """
        packs = self._group._packs(self.size if length is None else length)
        if not packs or isinstance(self._items, EncodedRows):
            return self
        return Elements._make(self._group, self._group._encoded(self.encode()), self._shape)

    def _pick(self, positions: NDArray[np.intp]) -> Elements:
        encoded = self._encoded
        if encoded is not None:
            encoded = take_rows(encoded, self._group.element_size, positions)
        items = take_items(self._items, positions)
        return Elements._make(self._group, items, positions.shape, encoded)

    def __mul__(self, other: Elements) -> Elements:
        if not isinstance(other, Elements):
            return NotImplemented
        group = self._common_group(other)
        shape = common_shape(self, other)
        counted(group, "multiplications", math.prod(shape))
        a, b = self._roots(), other._roots()
        if a is not None and b is not None:
            return self._squares(group._kernel.multiply(spread(a, shape), spread(b, shape)), shape)
        items = group._kernel.multiply(spread(self, shape), spread(other, shape))
        return Elements._make(group, items, shape)

    def __truediv__(self, other: Elements) -> Elements:
        if not isinstance(other, Elements):
            return NotImplemented
        self._check_same_group(other)
        return self * other.inverse()

    def inverse(self) -> Elements:
        return self._like(self._group._kernel.invert(self._items), self._shape)

    def __pow__(self, exponents: Scalars | Integer) -> Elements:
        """Each element to its exponent, broadcast.

        Long-term secrets take the constant-time path, and others where it costs no more; several
        powers of one base, and those of the generator, come from a table that is kept; the rest
        are computed one by one.
        """
        group = self._group
        if isinstance(exponents, int | np.integer) and exponents < 0:
            return self.inverse() ** group.scalars(-int(exponents))
        scalars = group._as_scalars(exponents)
        if scalars is None:
            return NotImplemented
        self._check_same_group(scalars)
        kernel = group._kernel_for_secrets if scalars.secret else group._kernel
        shape = common_shape(self, scalars)
        powers = spread(scalars, shape)
        count = len(powers)
        if scalars._secrecy is Secrecy.LONG_TERM:
            counted(group, "constant_time", count)
            bases = spread(self, shape)
            return self._like(kernel.powers_constant_time(bases, powers), shape)
        if self.size == 1 and (count > 1 or self._items == group.generator._items):
            counted(group, "fixed", count)
            if scalars.secret and group._square_encoder is not None:  # made to be published
                powers = group._scalars.multiply(powers, group._half)
                roots = kernel.powers_of_one(self._items[0], powers, group.order.bit_length())
                return self._squares(roots, shape)
            return self._like(kernel.powers_of_one(self._items[0], powers, scalars._bits()), shape)
        counted(group, "variable", count)
        steady = scalars.secret and kernel.steady
        power = kernel.powers_constant_time if steady else kernel.powers
        return self._like(power(spread(self, shape), powers), shape)

    def times_power(self, base: Elements, exponents: Scalars) -> Elements:
        """`self * base ** exponents`, broadcast; of one base in one pass, where the backend can.

        With secret exponents: constant-time, as `base ** exponents` is.
        """
        group = self._common_group(base)
        fused = group._power_multiplier
        if fused is None or base.size != 1 or exponents._secrecy is not Secrecy.ONE_TIME:
            return self * base**exponents
        self._check_same_group(exponents)
        shape = common_shape(self, base, exponents)
        powers, roots = spread(exponents, shape), self._roots()
        counted(group, "fixed", len(powers))
        counted(group, "multiplications", len(powers))
        if roots is None or group._square_encoder is None:
            items = fused.times_powers_of_one(spread(self, shape), base._items[0], powers)
            return Elements._make(group, items, shape)
        powers = group._scalars.multiply(powers, group._half)
        items = fused.times_powers_of_one(spread(roots, shape), base._items[0], powers)
        return self._squares(items, shape)

    def prod(self, axis: int | None = None) -> Elements:
        """The product of all elements, shape (), or along one axis. Of none: the identity."""
        kernel = self._group._kernel
        counted(self._group, "multiplications", self.size)
        shape, rows, items = self._rows(axis)
        return self._like(kernel.products(items, rows), shape)

    def cumprod(self) -> Elements:
        """Running products along axis 0."""
        kernel = self._group._kernel
        if self.ndim == 0:
            raise ShapeMismatch("shape () has no axis 0")
        counted(self._group, "multiplications", self.size)
        if self.ndim == 1:
            return self._like(kernel.running_products(self._items), self._shape)
        shape, rows, items = self._rows(0)
        columns = join_items([kernel.running_products(part) for part in cut(items, rows)])
        positions = np.arange(self.size, dtype=np.intp).reshape((*shape, self._shape[0]))
        return self._like(columns, (*shape, self._shape[0]))._pick(np.moveaxis(positions, -1, 0))

    def equal_mask(self, other: Elements) -> NDArray[np.bool_]:
        """Where two arrays, broadcast to one shape, are equal."""
        if not isinstance(other, Elements):
            raise ParameterError(f"elements compare with elements, not {type(other).__name__}")
        self._check_same_group(other)
        shape = common_shape(self, other)
        same = self._group._kernel.equal(spread(self, shape), spread(other, shape))
        return np.array(same, dtype=np.bool_).reshape(shape)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Elements):
            return NotImplemented
        self._check_same_group(other)
        return self._shape == other._shape and bool(self.equal_mask(other).all())

    def is_identity(self) -> NDArray[np.bool_]:
        """Where the elements are neutral."""
        return self.equal_mask(self._group.identity())

    def encode(self) -> bytes:
        """All encodings, each `group.element_size` bytes, in C order."""
        if isinstance(self._items, EncodedRows):
            return bytes(self._items.data)
        if self._encoded is not None:
            return self._encoded
        counted(self._group, "encodes", self.size)
        encoder = self._group._square_encoder
        if isinstance(self._items, Squares) and encoder is not None:
            encoded = encoder.encode_squares(self._items.roots)
        else:
            encoded = self._group._kernel.encode(self._items)
        if self._group._keeps_encodings:
            self._encoded = encoded
        return encoded

    def __reduce__(self) -> tuple[object, ...]:
        data = Rows.of(self._group._numbers, self._items).data
        return _restore, (self._group, data, self._shape, self._encoded)


def _restore(group: Group, data: bytes, shape: Shape, encoded: bytes | None) -> Elements:
    items = group._kernel.own(Rows(group._numbers, data))
    return Elements._make(group, items, shape, encoded)
