"""What a backend computes, on flat sequences: the floor under `Elements` and `Scalars`.

A kernel serves one group. Its items are numbers (Z_p^*) or coordinates (curves), the same for every
backend of a group, so that arrays of two backends may meet; a sequence of them is a list, or `Rows`
of bytes that become numbers when somebody looks. A kernel trusts its caller: items are members,
sequences fit, and exponents lie in 0 <= e < q.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from evote.groups._rows import Item

__all__ = [
    "EncodesSquares",
    "Kernel",
    "Mask",
    "MultipliesPowers",
    "RowByRow",
    "ScalarKernel",
    "cut",
]

Mask: TypeAlias = Sequence[bool] | NDArray[np.bool_]


class Kernel(Protocol):
    """Bulk arithmetic of one group."""

    identity: Item
    generator: Item
    modulus: Any  # of the numbers that items are made of
    block_size: int  # bytes of a message that one item holds; 0 where it holds none
    steady: bool  # whether constant time costs no more than `powers`

    def own(self, items: Sequence[Item]) -> Sequence[Item]:
        """The same items as this backend keeps them."""

    def decode(self, data: bytes) -> Sequence[Item | None]:
        """Fixed-width encodings to members; None where there is none. The identity is one."""

    def encode(self, items: Sequence[Item]) -> bytes: ...

    def equal(self, a: Sequence[Item], b: Sequence[Item]) -> Mask: ...

    def multiply(self, a: Sequence[Item], b: Sequence[Item]) -> Sequence[Item]: ...

    def invert(self, items: Sequence[Item]) -> Sequence[Item]: ...

    def products(self, items: Sequence[Item], rows: int) -> Sequence[Item]:
        """The product of each of `rows` parts of one length, which lie one after the other."""

    def running_products(self, items: Sequence[Item]) -> Sequence[Item]: ...

    def powers(self, bases: Sequence[Item], exponents: Sequence[int]) -> Sequence[Item]:
        """Each base to its exponent; time depends on the exponents."""

    def powers_of_one(self, base: Item, exponents: Sequence[int], bits: int) -> Sequence[Item]:
        """One base to many exponents below 2^bits, perhaps by a table kept for the next call."""

    def powers_constant_time(
        self, bases: Sequence[Item], exponents: Sequence[int]
    ) -> Sequence[Item]:
        """Each base to its exponent by a sequence of operations that no exponent changes."""

    def multiexps(
        self, bases: Sequence[Item], exponents: Sequence[int], rows: int
    ) -> Sequence[Item]:
        """The product of the powers of each of `rows` parts; short exponents cost less."""

    def from_uniform(self, data: bytes) -> Sequence[Item]:
        """Uniform bytes, a fixed number per element, to elements nobody knows the log of."""

    def log_keys(self, items: Sequence[Item]) -> list[int]:
        """A 64-bit number of each element, perhaps the same as that of its inverse."""

    def embed(self, blocks: Sequence[bytes]) -> Sequence[Item | None]:
        """Blocks of `block_size` bytes to items, by the same work for every block; see _messages.

        Never the identity. None where no candidate serves, which chance does not bring about.
        """

    def extract(self, items: Sequence[Item]) -> list[bytes | None]:
        """The block that `embed` made an item of; None where there is none."""


class EncodesSquares(Protocol):
    """A kernel that encodes squares of known items for much less than others.

    In a group of odd order every item has one root, and a power's root is the power with half the
    exponent modulo q. So whoever will encode a power computes its root, and then squares it.
    """

    def encode_squares(self, items: Sequence[Item]) -> bytes:
        """The encodings of item * item."""


class MultipliesPowers(Protocol):
    """A kernel that computes powers of one base and multiplies them to items in one pass."""

    def times_powers_of_one(
        self, factors: Sequence[Item], base: Item, exponents: Sequence[int]
    ) -> Sequence[Item]:
        """Each factor times the base to an exponent, by operations that no exponent changes."""


class ScalarKernel(Protocol):
    """Bulk arithmetic modulo the order; of two operands, one may be of length 1 and serve for all.

    `secret` asks for a sequence of operations that no value changes, as far as the backend can.
    """

    def own(self, items: Sequence[int]) -> Sequence[int]: ...

    def reduced(self, numbers: Sequence[int]) -> Sequence[int]:
        """Integers of any size and sign modulo q."""

    def reduced_array(self, numbers: NDArray[np.integer[Any]]) -> Sequence[int]:
        """The same of NumPy's integers, of one dimension."""

    def from_uniform(self, data: bytes, width: int) -> Sequence[int]:
        """Each `width` bytes, little-endian, modulo q."""

    def decode(self, data: bytes) -> tuple[Sequence[int], list[int]]:
        """Fixed-width encodings to scalars, and the places where there is none below q."""

    def encode(self, items: Sequence[int]) -> bytes: ...

    def add(self, a: Sequence[int], b: Sequence[int]) -> Sequence[int]: ...

    def subtract(self, a: Sequence[int], b: Sequence[int]) -> Sequence[int]: ...

    def multiply(self, a: Sequence[int], b: Sequence[int]) -> Sequence[int]: ...

    def negate(self, items: Sequence[int]) -> Sequence[int]: ...

    def inverse(self, items: Sequence[int], *, secret: bool) -> Sequence[int]:
        """Of numbers other than zero."""

    def sums(self, items: Sequence[int], rows: int) -> Sequence[int]: ...

    def products(self, items: Sequence[int], rows: int) -> Sequence[int]: ...

    def inner(self, a: Sequence[int], b: Sequence[int]) -> Sequence[int]:
        """The one sum of a[i] b[i]."""

    def recurrence(self, a: Sequence[int], b: Sequence[int], start: Sequence[int]) -> Sequence[int]:
        """x[i] = a[i] x[i-1] + b[i], where x[-1] is the one number of `start`."""

    def equal(self, a: Sequence[int], b: Sequence[int], *, secret: bool) -> Mask: ...

    def is_zero(self, items: Sequence[int]) -> Mask: ...

    def bits(self, items: Sequence[int]) -> int:
        """The largest bit length."""


class RowByRow(ABC):
    """For backends on lists of numbers, which do one product or multi-exponentiation at a time."""

    steady = False

    def own(self, items: Sequence[Item]) -> Sequence[Item]:
        return items

    @abstractmethod
    def product(self, items: Sequence[Item]) -> Item: ...

    @abstractmethod
    def multiexp(self, bases: Sequence[Item], exponents: Sequence[int]) -> Item: ...

    def products(self, items: Sequence[Item], rows: int) -> list[Item]:
        return [self.product(part) for part in cut(items, rows)]

    def multiexps(self, bases: Sequence[Item], exponents: Sequence[int], rows: int) -> list[Item]:
        return list(map(self.multiexp, cut(bases, rows), cut(exponents, rows)))


def cut(items: Sequence[Item], rows: int) -> Iterator[Sequence[Item]]:
    """So many parts of one length."""
    length = len(items) // rows if rows else 0
    return (items[i * length : (i + 1) * length] for i in range(rows))
