"""The backend of `evote-native`: arrays stay bytes from call to call, eight elements at a time.

The module has a class for every kind of group, and one for scalars; see native/README.md. Here
are their rows, the tables of bases in use, and the calls that the classes leave to gmpy2.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evote._accelerator import native_module
from evote._forms import Strings, to_rows
from evote.groups._kernel import Kernel, Mask
from evote.groups._rows import Item, NumbersForm, Rows

__all__ = [
    "NativeEd25519",
    "NativeEdwards",
    "NativeKernel",
    "NativeModP",
    "NativeRistretto",
    "NativeScalars",
]

_MAX_TABLES = 64
_MAX_TABLE_BYTES = 2**28


class _NativeForm:
    """Rows as a class of the module lays them out."""

    __slots__ = ("_code", "item_size", "numbers")

    def __init__(self, code: Any, numbers: NumbersForm) -> None:
        self._code, self.numbers = code, numbers
        self.item_size: int = code.item_size

    def to_numbers(self, data: bytes) -> bytes:
        result: bytes = self._code.to_numbers(data)
        return result

    def from_numbers(self, data: bytes) -> bytes:
        result: bytes = self._code.from_numbers(data, self.numbers.width)
        return result


class NativeKernel:
    """Bulk arithmetic of one group by a class of the module."""

    steady = True

    def __init__(self, code: Any, twin: Kernel, order: int, *, worth: int) -> None:
        """`twin` is the kernel of gmpy2; `worth` is how many powers a table costs."""
        self._code, self._twin = code, twin
        self.identity, self.generator = twin.identity, twin.generator
        self.modulus, self.block_size = twin.modulus, twin.block_size
        self.form = _NativeForm(code, NumbersForm.of(twin.identity, twin.modulus))
        self._exponents = NumbersForm(order, code.scalar_size)
        self._bits = order.bit_length()
        self._tables = _Tables(lambda base: code.table(base, self._bits), worth)

    def own(self, items: Sequence[Item]) -> Rows:
        return Rows.of(self.form, items)

    def _data(self, items: Sequence[Item]) -> bytes:
        return Rows.of(self.form, items).data

    def _rows(self, data: bytes) -> Rows:
        return Rows(self.form, data)

    def _exponent_data(self, exponents: Sequence[int]) -> bytes:
        return Rows.of(self._exponents, exponents).data

    def _members(self, data: bytes, mask: bytes) -> Sequence[Item | None]:
        rows = self._rows(data)
        if 0 not in mask:
            return rows
        return [item if good else None for item, good in zip(rows, mask, strict=True)]

    def decode(self, data: bytes) -> Sequence[Item | None]:
        return self._members(*self._code.decode(data))

    def encode(self, items: Sequence[Item]) -> bytes:
        result: bytes = self._code.encode(self._data(items))
        return result

    def equal(self, a: Sequence[Item], b: Sequence[Item]) -> Mask:
        return _mask(self._code.equal(self._data(a), self._data(b)))

    def multiply(self, a: Sequence[Item], b: Sequence[Item]) -> Rows:
        return self._rows(self._code.multiply(self._data(a), self._data(b)))

    def invert(self, items: Sequence[Item]) -> Rows:
        return self._rows(self._code.invert(self._data(items)))

    def products(self, items: Sequence[Item], rows: int) -> Rows:
        return self._rows(self._code.products(self._data(items), rows) if rows else b"")

    def running_products(self, items: Sequence[Item]) -> Rows:
        return self._rows(self._code.running_products(self._data(items)))

    def powers(self, bases: Sequence[Item], exponents: Sequence[int]) -> Rows:
        return self._rows(self._code.powers(self._data(bases), self._exponent_data(exponents)))

    def powers_constant_time(self, bases: Sequence[Item], exponents: Sequence[int]) -> Rows:
        numbers = self._exponent_data(exponents)
        return self._rows(self._code.powers_constant_time(self._data(bases), numbers))

    def powers_of_one(self, base: Item, exponents: Sequence[int], bits: int) -> Rows:
        row, numbers = self._data([base]), self._exponent_data(exponents)
        count = len(exponents)
        if 8 * bits < self._bits:  # small public numbers: a table would still do all its places
            return self._rows(self._code.powers(row * count, numbers))
        table = self._tables.find(row, count)
        if table is None:
            return self._rows(self._code.powers_constant_time(row * count, numbers))
        return self._rows(table.powers(numbers))

    def multiexps(self, bases: Sequence[Item], exponents: Sequence[int], rows: int) -> Rows:
        if not rows:
            return self._rows(b"")
        numbers = self._exponent_data(exponents)
        return self._rows(self._code.multiexp(self._data(bases), numbers, rows))

    def from_uniform(self, data: bytes) -> Rows:
        return self._rows(self._code.from_uniform(data))

    def log_keys(self, items: Sequence[Item]) -> list[int]:
        keys = np.frombuffer(self._code.log_keys(self._data(items)), dtype="<u8")
        result: list[int] = keys.tolist()
        return result

    def embed(self, blocks: Sequence[bytes]) -> Sequence[Item | None]:
        return self._members(*self._code.embed(b"".join(blocks)))

    def extract(self, items: Sequence[Item]) -> list[bytes | None]:
        data, mask = self._code.extract(self._data(items))
        size = self.block_size
        return [data[i * size : (i + 1) * size] if good else None for i, good in enumerate(mask)]


class NativeEdwards(NativeKernel):
    """What both groups on edwards25519 can."""

    def times_powers_of_one(
        self, factors: Sequence[Item], base: Item, exponents: Sequence[int]
    ) -> Rows:
        row, numbers, count = self._data([base]), self._exponent_data(exponents), len(exponents)
        table = self._tables.find(row, count)
        if table is not None:
            return self._rows(table.powers(numbers, self._data(factors)))
        powers = self._rows(self._code.powers_constant_time(row * count, numbers))
        return self.multiply(factors, powers)


class NativeRistretto(NativeEdwards):
    """ristretto255, which encodes doubles for much less."""

    def encode_squares(self, items: Sequence[Item]) -> bytes:
        result: bytes = self._code.encode_squares(self._data(items))
        return result


class NativeEd25519(NativeEdwards):
    """ed25519, which for signatures takes all points of the curve."""

    def decode_points(self, data: bytes) -> tuple[Rows, Mask]:
        items, mask = self._code.decode_points(data)
        return self._rows(items), _mask(mask)

    def sha512(self, prefixes: Sequence[bytes], messages: Sequence[bytes]) -> bytes:
        rows = to_rows(prefixes)
        if isinstance(messages, Strings):
            size = messages.rows.shape[1]
            offsets, data = size * np.arange(len(messages) + 1), messages.rows.tobytes()
        else:
            offsets = np.zeros(len(messages) + 1, dtype=np.int64)
            np.cumsum([len(message) for message in messages], out=offsets[1:])
            data = b"".join(messages)
        places, width = offsets.astype("<u8").tobytes(), rows.shape[1]
        digests: bytes = native_module()[0].sha512_rows(rows.tobytes(), width, data, places)
        return digests

    def is_small_order(self, items: Sequence[Item]) -> Mask:
        return _mask(self._code.is_small_order(self._data(items)))


class NativeModP(NativeKernel):
    """Subgroups of Z_p^*. Messages are gmpy2's: a symbol each, and few at a time."""

    def embed(self, blocks: Sequence[bytes]) -> Sequence[Item | None]:
        return self._twin.embed(blocks)

    def extract(self, items: Sequence[Item]) -> list[bytes | None]:
        return self._twin.extract(items)

    def log_keys(self, items: Sequence[Item]) -> list[int]:
        """Python's own hash of an encoding, as on every backend: tables are shared."""
        data, width = self.encode(items), self.form.numbers.width
        return [hash(data[i : i + width]) for i in range(0, len(data), width)]


@dataclass(slots=True)
class _Use:
    count: int = 0
    table: Any = None


class _Tables:
    """Tables of the bases in use, once a base has earned one; the least recently used go first."""

    def __init__(self, build: Callable[[bytes], Any], worth: int) -> None:
        self._build, self._worth = build, worth
        self._uses: OrderedDict[bytes, _Use] = OrderedDict()
        self._lock = threading.Lock()

    def find(self, base: bytes, count: int) -> Any:
        """The table for `count` more powers; None where none pays."""
        with self._lock:
            use = self._uses.setdefault(base, _Use())
            self._uses.move_to_end(base)
            use.count += count
            if use.table is None and use.count >= self._worth:
                use.table = self._build(base)
            self._evict()
            return use.table

    def _evict(self) -> None:
        def size() -> int:
            return sum(use.table.nbytes for use in self._uses.values() if use.table is not None)

        while len(self._uses) > 1 and (len(self._uses) > _MAX_TABLES or size() > _MAX_TABLE_BYTES):
            self._uses.popitem(last=False)


class NativeScalars:
    """Arithmetic modulo the order in rows of 64-bit words; constant time in all values."""

    def __init__(self, module: Any, q: int, width: int, byteorder: str) -> None:
        self._code = module.Scalars(q.to_bytes((q.bit_length() + 7) // 8, "little"))
        self._q, self._width, self._big = q, width, byteorder == "big"
        self.form = NumbersForm(q, self._code.scalar_size)

    def own(self, items: Sequence[int]) -> Rows:
        return Rows.of(self.form, items)

    def _data(self, items: Sequence[int]) -> bytes:
        return Rows.of(self.form, items).data

    def _rows(self, data: bytes) -> Rows:
        return Rows(self.form, data)

    def reduced(self, numbers: Sequence[int]) -> Rows:
        if self._q.bit_length() > 64:
            with suppress(OverflowError):  # most numbers are small
                return self.reduced_array(np.array(numbers, dtype=np.int64))
        return self._rows(self.form.pack(numbers))

    def reduced_array(self, numbers: NDArray[np.integer[Any]]) -> Rows:
        if numbers.dtype.itemsize > 8 or self._q.bit_length() <= 64:
            return self.reduced(numbers.tolist())
        rows = np.zeros((len(numbers), self.form.item_size // 8), dtype="<u8")
        rows[:, 0] = numbers.astype("<u8" if numbers.dtype.kind == "u" else "<i8").view("<u8")
        below = np.flatnonzero(numbers < 0)
        if below.size:
            rows[below, 0] = -rows[below, 0]  # modulo 2^64: right for -2^63 too
            negative = np.frombuffer(self._code.neg(rows[below].tobytes()), dtype="<u8")
            rows[below] = negative.reshape((below.size, -1))
        return self._rows(rows.tobytes())

    def from_uniform(self, data: bytes, width: int) -> Rows:
        return self._rows(self._code.reduce(data, width))

    def decode(self, data: bytes) -> tuple[Rows, list[int]]:
        rows, mask = self._code.below_q(data, self._width, self._big)
        bad = [i for i, good in enumerate(mask) if not good] if 0 in mask else []
        return self._rows(rows), bad

    def encode(self, items: Sequence[int]) -> bytes:
        result: bytes = self._code.encode(self._data(items), self._width, self._big)
        return result

    def add(self, a: Sequence[int], b: Sequence[int]) -> Rows:
        return self._rows(self._code.add(self._data(a), self._data(b)))

    def subtract(self, a: Sequence[int], b: Sequence[int]) -> Rows:
        return self._rows(self._code.sub(self._data(a), self._data(b)))

    def multiply(self, a: Sequence[int], b: Sequence[int]) -> Rows:
        return self._rows(self._code.mul(self._data(a), self._data(b)))

    def negate(self, items: Sequence[int]) -> Rows:
        return self._rows(self._code.neg(self._data(items)))

    def inverse(self, items: Sequence[int], *, secret: bool) -> Rows:
        return self._rows(self._code.inverse(self._data(items)))

    def sums(self, items: Sequence[int], rows: int) -> Rows:
        return self._rows(self._code.sums(self._data(items), rows) if rows else b"")

    def products(self, items: Sequence[int], rows: int) -> Rows:
        return self._rows(self._code.products(self._data(items), rows) if rows else b"")

    def inner(self, a: Sequence[int], b: Sequence[int]) -> Rows:
        return self._rows(self._code.inner(self._data(a), self._data(b), 1))

    def recurrence(self, a: Sequence[int], b: Sequence[int], start: Sequence[int]) -> Rows:
        data = self._code.recurrence(self._data(a), self._data(b), self._data(start))
        return self._rows(data)

    def equal(self, a: Sequence[int], b: Sequence[int], *, secret: bool) -> Mask:
        return _mask(self._code.equal(self._data(a), self._data(b)))

    def is_zero(self, items: Sequence[int]) -> Mask:
        return _mask(self._code.is_zero(self._data(items)))

    def bits(self, items: Sequence[int]) -> int:
        result: int = self._code.bit_length_max(self._data(items))
        return result


def _mask(data: bytes) -> Mask:
    return np.frombuffer(data, dtype=np.bool_)
