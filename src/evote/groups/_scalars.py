"""Integers modulo the order of a group, with marks of secrecy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import IntEnum
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from gmpy2 import mpz
from numpy.typing import NDArray

from evote.errors import ParameterError
from evote.groups._arrays import Array, Integer, Item, Shape, common_shape, spread
from evote.groups._rows import Rows

if TYPE_CHECKING:
    from evote.groups.base import Group

__all__ = ["Scalars", "Secrecy"]

_Pair: TypeAlias = tuple[Sequence[mpz], Sequence[mpz], Shape, "Secrecy"]


class Secrecy(IntEnum):
    """How much a scalar may show while it is worked with; arithmetic passes on the larger."""

    PUBLIC = 0
    ONE_TIME = 1  # a nonce used once: tables and multi-exponentiation are allowed
    LONG_TERM = 2  # a key share: always the constant-time path, without kept tables


class Scalars(Array):
    """An immutable array of integers modulo the group's order q, with a mark of secrecy.

    `+`, `-` and `*` broadcast and take plain integers too.
    """

    __slots__ = ("_secrecy",)
    _secrecy: Secrecy

    @classmethod
    def _make(
        cls, group: Group, items: Sequence[mpz], shape: Shape, secrecy: Secrecy = Secrecy.PUBLIC
    ) -> Scalars:
        made = cls.__new__(cls)
        made._group, made._items, made._shape, made._secrecy = group, items, shape, secrecy
        return made

    def _like(self, items: Sequence[Item], shape: Shape) -> Scalars:
        return Scalars._make(self._group, items, shape, self._secrecy)

    @property
    def secrecy(self) -> Secrecy:
        return self._secrecy

    @property
    def secret(self) -> bool:
        return self._secrecy is not Secrecy.PUBLIC

    def publish(self) -> Scalars:
        """The same values without a mark. The caller vouches that anyone may know them."""
        return Scalars._make(self._group, self._items, self._shape)

    def mark(self, secrecy: Secrecy) -> Scalars:
        """The same values with at least this mark."""
        level = max(self._secrecy, Secrecy(secrecy))
        return Scalars._make(self._group, self._items, self._shape, level)

    def _with(self, other: object) -> _Pair | None:
        """This array's and another's items, broadcast or single; None for what is no scalar."""
        scalars = self._group._as_scalars(other)
        if scalars is None:
            return None
        self._check_same_group(scalars)
        shape = common_shape(self, scalars)
        secrecy = max(self._secrecy, scalars._secrecy)
        if self.size == 1:
            return self._items, spread(scalars, shape), shape, secrecy
        if scalars.size == 1:
            return spread(self, shape), scalars._items, shape, secrecy
        return spread(self, shape), spread(scalars, shape), shape, secrecy

    def _combine(
        self,
        other: object,
        operation: Callable[[Sequence[mpz], Sequence[mpz]], Sequence[mpz]],
    ) -> Scalars:
        pair = self._with(other)
        if pair is None:
            refused: Scalars = NotImplemented
            return refused
        a, b, shape, secrecy = pair
        return Scalars._make(self._group, operation(a, b), shape, secrecy)

    def __add__(self, other: Scalars | Integer) -> Scalars:
        return self._combine(other, self._group._scalars.add)

    def __sub__(self, other: Scalars | Integer) -> Scalars:
        return self._combine(other, self._group._scalars.subtract)

    def __rsub__(self, other: Integer) -> Scalars:
        return self._combine(other, lambda a, b: self._group._scalars.subtract(b, a))

    def __mul__(self, other: Scalars | Integer) -> Scalars:
        return self._combine(other, self._group._scalars.multiply)

    __radd__ = __add__
    __rmul__ = __mul__

    def __neg__(self) -> Scalars:
        return self._like(self._group._scalars.negate(self._items), self._shape)

    def inverse(self) -> Scalars:
        """Each scalar's inverse modulo q.

        Raises:
            ParameterError: some scalar is zero.
        """
        kernel = self._group._scalars
        if any(kernel.is_zero(self._items)):
            raise ParameterError("zero has no inverse")
        return self._like(kernel.inverse(self._items, secret=self.secret), self._shape)

    def sum(self, axis: int | None = None) -> Scalars:
        shape, rows, items = self._rows(axis)
        return self._like(self._group._scalars.sums(items, rows), shape)

    def dot(self, other: Scalars) -> Scalars:
        """The sum of all products with another array, broadcast to one shape; of shape ()."""
        self._check_same_group(other)
        shape = common_shape(self, other)
        total = self._group._scalars.inner(spread(self, shape), spread(other, shape))
        return Scalars._make(self._group, total, (), max(self._secrecy, other._secrecy))

    def prod(self, axis: int | None = None) -> Scalars:
        shape, rows, items = self._rows(axis)
        return self._like(self._group._scalars.products(items, rows), shape)

    def to_ints(self) -> Any:
        """Integers 0..q-1: one for shape (), else nested lists. Public scalars only."""
        self._refuse_if_secret("read")
        values: list[Any] = [int(x) for x in self._items]
        if not self._shape:
            return values[0]
        for length in reversed(self._shape[1:]):
            rows = len(values) // length if length else 0
            values = [values[i * length : (i + 1) * length] for i in range(rows)]
        if self.size == 0:  # the loop cannot tell how many empty lists there are
            return np.empty(self._shape, dtype=object).tolist()
        return values

    def is_zero(self) -> NDArray[np.bool_]:
        """Where the scalars are zero. Public scalars only."""
        self._refuse_if_secret("compared with zero")
        zero = self._group._scalars.is_zero(self._items)
        return np.array(zero, dtype=np.bool_).reshape(self._shape)

    def equal_mask(self, other: Scalars | Integer) -> NDArray[np.bool_]:
        """Where two arrays, broadcast to one shape, are equal; secrets by `compare_digest`."""
        pair = self._with(other)
        if pair is None:
            raise ParameterError(f"scalars compare with scalars, not {type(other).__name__}")
        a, b, shape, secrecy = pair
        same = self._group._scalars.equal(a, b, secret=secrecy is not Secrecy.PUBLIC)
        return np.array(same, dtype=np.bool_).reshape(shape)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Scalars):
            if isinstance(other, int):
                raise ParameterError("compare scalars with group.scalars(...), not with a number")
            return NotImplemented
        self._check_same_group(other)
        return self._shape == other._shape and bool(self.equal_mask(other).all())

    def encode(self) -> bytes:
        """All encodings, each `group.scalar_size` bytes, in C order. Public scalars only."""
        self._refuse_if_secret("encoded")
        return self._secret_bytes()

    def _secret_bytes(self) -> bytes:
        """The encoding whatever the mark: for hedged nonces and the trustee's own key file."""
        return self._group._scalars.encode(self._items)

    def _bits(self) -> int:
        """A bound on the bit length: of the values where these are public, else of q."""
        if self.secret:
            return self._group.order.bit_length()
        return self._group._scalars.bits(self._items)

    def _refuse_if_secret(self, verb: str) -> None:
        if self.secret:
            raise ParameterError(f"secret scalars are not {verb}: publish() them first")

    def __repr__(self) -> str:
        secret = " secret" if self.secret else ""
        return f"<Scalars {self._group.name} shape={self._shape}{secret}>"

    def __reduce__(self) -> tuple[object, ...]:
        self._refuse_if_secret("pickled")
        data = Rows.of(self._group._exponents, self._items).data
        return _restore, (self._group, data, self._shape)


def _restore(group: Group, data: bytes, shape: Shape) -> Scalars:
    return Scalars._make(group, group._scalars.own(Rows(group._exponents, data)), shape)
