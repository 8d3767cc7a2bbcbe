"""What a backend computes, on plain lists: the floor under `Elements`.

A kernel serves one group. Its items are numbers (Z_p^*) or coordinates (curves), the same for every
backend of a group, so that arrays of two backends may meet. It trusts its caller: items are
members, lists fit, and exponents lie in 0 <= e < q.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from evote.groups._arrays import Item

__all__ = ["EncodesSquares", "Kernel"]


class Kernel(Protocol):
    """Bulk arithmetic of one group."""

    identity: Item
    generator: Item
    modulus: Any  # of the numbers that items are made of
    block_size: int  # bytes of a message that one item holds; 0 where it holds none

    def decode(self, data: bytes) -> Sequence[Item | None]:
        """Fixed-width encodings to members; None where there is none. The identity is one."""

    def encode(self, items: Sequence[Item]) -> bytes: ...

    def equal(self, a: Sequence[Item], b: Sequence[Item]) -> list[bool]: ...

    def multiply(self, a: Sequence[Item], b: Sequence[Item]) -> list[Item]: ...

    def invert(self, items: Sequence[Item]) -> list[Item]: ...

    def product(self, items: Sequence[Item]) -> Item: ...

    def running_products(self, items: Sequence[Item]) -> list[Item]: ...

    def powers(self, bases: Sequence[Item], exponents: Sequence[int]) -> Sequence[Item]:
        """Each base to its exponent; time depends on the exponents."""

    def powers_of_one(self, base: Item, exponents: Sequence[int], bits: int) -> Sequence[Item]:
        """One base to many exponents below 2^bits, perhaps by a table kept for the next call."""

    def powers_constant_time(
        self, bases: Sequence[Item], exponents: Sequence[int]
    ) -> Sequence[Item]:
        """Each base to its exponent by a sequence of operations that no exponent changes."""

    def multiexp(self, bases: Sequence[Item], exponents: Sequence[int]) -> Item:
        """The product of the powers; short exponents cost less than long ones."""

    def from_uniform(self, data: bytes) -> Sequence[Item]:
        """Uniform bytes, a fixed number per element, to elements nobody knows the log of."""

    def log_keys(self, items: Sequence[Item]) -> list[int]:
        """A 64-bit number of each element, perhaps the same as that of its inverse."""

    def embed(self, blocks: Sequence[bytes]) -> list[Item | None]:
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
