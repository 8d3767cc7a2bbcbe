"""Arrays of group elements and scalars: what every group offers.

The group is written multiplicatively and has prime order q. `Elements` are members by
construction: `Group.decode_elements` checks membership, and no operation leaves the group. All
work happens in bulk calls; which backend serves them shows in the time alone.

Secrets. `Scalars` carry a mark, see `Secrecy`. Arithmetic passes the stronger mark on, only
`publish` clears it, and marked scalars refuse to be printed, pickled or encoded.

Not promised: Python integers are not constant-time, whatever the sequence of operations, and
memory is not wiped.
"""

from __future__ import annotations

import hmac
import math
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from enum import IntEnum
from functools import reduce
from itertools import accumulate
from typing import Any, Self, TypeAlias, TypeVar

import gmpy2
import numpy as np
from gmpy2 import mpz
from numpy.typing import NDArray

from evote.encoding import uint32, xof
from evote.errors import DecodingError, GroupMismatch, ParameterError, ShapeMismatch
from evote.groups._arrays import Array, Item, Shape, check_shape, common_shape, normal_axis, spread
from evote.groups._kernel import Kernel

__all__ = [
    "Elements",
    "Group",
    "OperationCount",
    "Rng",
    "Scalars",
    "Secrecy",
    "concatenate",
    "stack",
]

Rng: TypeAlias = Callable[[int], bytes]
"""Returns that many random bytes; None stands for the operating system's."""


class Secrecy(IntEnum):
    """How much a scalar may show while it is worked with; arithmetic passes on the larger."""

    PUBLIC = 0
    ONE_TIME = 1  # a nonce used once: tables and multi-exponentiation are allowed
    LONG_TERM = 2  # a key share: always the constant-time path, without kept tables


@dataclass(slots=True)
class OperationCount:
    """Operations since `Group.count` was entered: costs without a clock.

    Attributes:
        fixed: powers of one base, served by tables.
        variable: other powers.
        constant_time: powers with long-term secrets.
        multiexp_terms: factors of multi-exponentiations.
        multiplications: products of two elements, and quotients.
        decodes, encodes: elements from and to bytes; a kept encoding is not counted again.
        hashes: elements derived from bytes.
    """

    fixed: int = 0
    variable: int = 0
    constant_time: int = 0
    multiexp_terms: int = 0
    multiplications: int = 0
    decodes: int = 0
    encodes: int = 0
    hashes: int = 0


_counters: ContextVar[tuple[tuple[Group, OperationCount], ...]] = ContextVar("counters", default=())


def _counted(group: Group, kind: str, number: int) -> None:
    for counted, counter in _counters.get():
        if counted is group or counted == group:
            setattr(counter, kind, getattr(counter, kind) + number)


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
        kept = self._encoded if items is self._items else None
        return Elements._make(self._group, items, shape, kept)

    def _pick(self, positions: NDArray[np.intp]) -> Elements:
        flat = positions.ravel().tolist()
        encoded = self._encoded
        if encoded is not None:
            width = self._group.element_size
            encoded = b"".join([encoded[i * width : (i + 1) * width] for i in flat])
        items = list(map(self._items.__getitem__, flat))
        return Elements._make(self._group, items, positions.shape, encoded)

    def __mul__(self, other: Elements) -> Elements:
        if not isinstance(other, Elements):
            return NotImplemented
        self._check_same_group(other)
        shape = common_shape(self, other)
        a, b = spread(self, shape), spread(other, shape)
        _counted(self._group, "multiplications", len(a))
        return self._like(self._group._kernel.multiply(a, b), shape)

    def __truediv__(self, other: Elements) -> Elements:
        if not isinstance(other, Elements):
            return NotImplemented
        self._check_same_group(other)
        return self * other.inverse()

    def inverse(self) -> Elements:
        return self._like(self._group._kernel.invert(self._items), self._shape)

    def __pow__(self, exponents: Scalars | int) -> Elements:
        """Each element to its exponent, broadcast.

        Long-term secrets take the constant-time path; several powers of one base, and those of
        the generator, come from a table that is kept; the rest are computed one by one.
        """
        group, kernel = self._group, self._group._kernel
        if isinstance(exponents, int | np.integer) and exponents < 0:
            return self.inverse() ** group.scalars(-int(exponents))
        scalars = group._as_scalars(exponents)
        if scalars is None:
            return NotImplemented
        self._check_same_group(scalars)
        shape = common_shape(self, scalars)
        powers = spread(scalars, shape)
        count = len(powers)
        if scalars._secrecy is Secrecy.LONG_TERM:
            _counted(group, "constant_time", count)
            bases = spread(self, shape)
            return self._like(kernel.powers_constant_time(bases, powers), shape)
        if self.size == 1 and (count > 1 or self._items[0] is kernel.generator):
            _counted(group, "fixed", count)
            return self._like(
                kernel.powers_of_one(self._items[0], powers, scalars._bits()), shape
            )
        _counted(group, "variable", count)
        return self._like(kernel.powers(spread(self, shape), powers), shape)

    def prod(self, axis: int | None = None) -> Elements:
        """The product of all elements, shape (), or along one axis. Of none: the identity."""
        kernel = self._group._kernel
        _counted(self._group, "multiplications", self.size)
        if axis is None:
            return self._like([kernel.product(self._items)], ())
        shape, rows = self._rows(axis)
        return self._like([kernel.product(row) for row in rows], shape)

    def cumprod(self) -> Elements:
        """Running products along axis 0."""
        kernel = self._group._kernel
        if self.ndim == 0:
            raise ShapeMismatch("shape () has no axis 0")
        _counted(self._group, "multiplications", self.size)
        if self.ndim == 1:
            return self._like(kernel.running_products(self._items), self._shape)
        shape, rows = self._rows(0)
        columns = [item for row in rows for item in kernel.running_products(row)]
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
        if self._encoded is not None:
            return self._encoded
        _counted(self._group, "encodes", self.size)
        encoded = self._group._kernel.encode(self._items)
        if self._group._keeps_encodings:
            self._encoded = encoded
        return encoded

    def __reduce__(self) -> tuple[object, ...]:
        return Elements._make, (self._group, list(self._items), self._shape, self._encoded)


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

    def _with(self, other: Scalars | int, swap: bool = False) -> _Pair | None:
        scalars = self._group._as_scalars(other)
        if scalars is None:
            return None
        self._check_same_group(scalars)
        shape = common_shape(self, scalars)
        a, b = spread(self, shape), spread(scalars, shape)
        return (b if swap else a), (a if swap else b), shape, max(self._secrecy, scalars._secrecy)

    def __add__(self, other: Scalars | int) -> Scalars:
        pair = self._with(other)
        if pair is None:
            return NotImplemented
        a, b, shape, secrecy = pair
        q = self._group._q
        return self._make(self._group, [(x + y) % q for x, y in zip(a, b)], shape, secrecy)

    def __sub__(self, other: Scalars | int, swap: bool = False) -> Scalars:
        pair = self._with(other, swap)
        if pair is None:
            return NotImplemented
        a, b, shape, secrecy = pair
        q = self._group._q
        return self._make(self._group, [(x - y) % q for x, y in zip(a, b)], shape, secrecy)

    def __mul__(self, other: Scalars | int) -> Scalars:
        pair = self._with(other)
        if pair is None:
            return NotImplemented
        a, b, shape, secrecy = pair
        q = self._group._q
        return self._make(self._group, [x * y % q for x, y in zip(a, b)], shape, secrecy)

    __radd__ = __add__
    __rmul__ = __mul__

    def __rsub__(self, other: int) -> Scalars:
        return self.__sub__(other, swap=True)

    def __neg__(self) -> Scalars:
        q = self._group._q
        return self._like([-x % q for x in self._items], self._shape)

    def inverse(self) -> Scalars:
        """Each scalar's inverse modulo q.

        Raises:
            ParameterError: some scalar is zero.
        """
        q = self._group._q
        if not all(self._items):
            raise ParameterError("zero has no inverse")
        if self.secret:  # a power takes the same steps for every value, Euclid does not
            inverses = [gmpy2.powmod_sec(x, q - 2, q) for x in self._items]
        else:
            inverses = [gmpy2.invert(x, q) for x in self._items]
        return self._like(inverses, self._shape)

    def sum(self, axis: int | None = None) -> Scalars:
        q = self._group._q
        if axis is None:
            return self._like([sum(self._items, mpz(0)) % q], ())
        shape, rows = self._rows(axis)
        return self._like([sum(row, mpz(0)) % q for row in rows], shape)

    def prod(self, axis: int | None = None) -> Scalars:
        q = self._group._q

        def product(items: Sequence[mpz]) -> mpz:
            return reduce(lambda x, y: x * y % q, items, mpz(1) % q)

        if axis is None:
            return self._like([product(self._items)], ())
        shape, rows = self._rows(axis)
        return self._like([product(row) for row in rows], shape)

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
        return np.array([not x for x in self._items], dtype=np.bool_).reshape(self._shape)

    def equal_mask(self, other: Scalars | int) -> NDArray[np.bool_]:
        """Where two arrays, broadcast to one shape, are equal; secrets by `compare_digest`."""
        pair = self._with(other)
        if pair is None:
            raise ParameterError(f"scalars compare with scalars, not {type(other).__name__}")
        a, b, shape, secrecy = pair
        if secrecy is Secrecy.PUBLIC:
            same = [x == y for x, y in zip(a, b)]
        else:
            to_bytes = self._group._scalar_to_bytes
            same = [hmac.compare_digest(to_bytes(x), to_bytes(y)) for x, y in zip(a, b)]
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
        return b"".join(map(self._group._scalar_to_bytes, self._items))

    def _bits(self) -> int:
        """A bound on the bit length: of the values where these are public, else of q."""
        if self.secret:
            return self._group._q.bit_length()
        return max((x.bit_length() for x in self._items), default=0)

    def _refuse_if_secret(self, verb: str) -> None:
        if self.secret:
            raise ParameterError(f"secret scalars are not {verb}: publish() them first")

    def __repr__(self) -> str:
        secret = " secret" if self.secret else ""
        return f"<Scalars {self._group.name} shape={self._shape}{secret}>"

    def __reduce__(self) -> tuple[object, ...]:
        self._refuse_if_secret("pickled")
        return Scalars._make, (self._group, list(self._items), self._shape)


_Pair: TypeAlias = tuple[Sequence[mpz], Sequence[mpz], Shape, Secrecy]
_ArrayT = TypeVar("_ArrayT", Elements, Scalars)


class Group(ABC):
    """A group of prime order q; a value, equal to any other with the same parameters.

    Attributes:
        name: what transcripts and files call it.
        order: q.
        element_size, scalar_size: bytes of an encoding.
        uniform_size: bytes per scalar of `scalars_from_uniform`.
        generator: g, shape ().
        backend: who computes, "gmp" or "python"; not part of the value.
    """

    name: str
    order: int
    element_size: int
    scalar_size: int
    uniform_size: int
    generator: Elements
    backend: str
    _kernel: Kernel
    _q: mpz
    _scalar_byteorder: Any = "big"
    _keeps_encodings = False
    _hash_size: int  # uniform bytes per element of `hash_to_elements`

    def _complete(self, kernel: Kernel, backend: str) -> None:
        """Finish construction: `name`, `order` and the sizes are already there."""
        self.backend = backend
        self._kernel = kernel
        self._q = mpz(self.order)
        self.scalar_size = (self.order.bit_length() + 7) // 8
        self.uniform_size = self.scalar_size + 16
        self.generator = Elements._make(self, [kernel.generator], ())

    @abstractmethod
    def parameters(self) -> bytes:
        """A canonical description for hashing: two groups agree on it only if they are equal."""

    @property
    @abstractmethod
    def is_weak(self) -> bool:
        """Too small for new elections."""

    @abstractmethod
    def with_backend(self, name: str) -> Self:
        """The same group, equal to this one, served by "gmp" or "python"."""

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if not isinstance(other, Group):
            return NotImplemented
        return type(self) is type(other) and self.parameters() == other.parameters()

    def __hash__(self) -> int:
        return hash(self.name)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}>"

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: object) -> Self:
        return self

    def identity(self, shape: int | Shape = ()) -> Elements:
        shape = check_shape(shape)
        return Elements._make(self, [self._kernel.identity] * math.prod(shape), shape)

    def decode_elements(
        self,
        data: bytes,
        shape: int | Shape | None = None,
        *,
        allow_identity: bool = False,
        where: str = "",
    ) -> Elements:
        """Elements from their fixed-width encodings, each checked to be a member.

        Args:
            data: the encodings, one after the other.
            shape: of the result; None takes as many as there are, in one dimension.
            allow_identity: the neutral element is refused unless this is set.
            where: what a DecodingError calls the place.

        Raises:
            DecodingError: wrong length, or some are not canonical encodings of members;
                `indices` then lists all of those, as positions in C order.
        """
        data, shape = _check_length(data, shape, self.element_size, "elements", where)
        items = self._kernel.decode(data)
        _counted(self, "decodes", len(items))
        bad = {i for i, item in enumerate(items) if item is None}
        if not allow_identity:
            width, neutral = self.element_size, self.identity().encode()
            bad |= {i for i in range(len(items)) if data[i * width : (i + 1) * width] == neutral}
        if bad:
            shown = ", ".join(map(str, sorted(bad)[:10])) + (", ..." if len(bad) > 10 else "")
            raise DecodingError(f"not a group element at index {shown}", where=where, indices=sorted(bad))
        return Elements._make(self, items, shape, data if self._keeps_encodings else None)

    def decode_scalars(
        self, data: bytes, shape: int | Shape | None = None, *, where: str = ""
    ) -> Scalars:
        """Public scalars from their fixed-width encodings, each checked to be below q."""
        return self.decode_secret_scalars(data, shape, secrecy=Secrecy.PUBLIC, where=where)

    def decode_secret_scalars(
        self,
        data: bytes,
        shape: int | Shape | None = None,
        *,
        secrecy: Secrecy = Secrecy.LONG_TERM,
        where: str = "",
    ) -> Scalars:
        """Scalars with a mark, from a file only its owner reads."""
        data, shape = _check_length(data, shape, self.scalar_size, "scalars", where)
        items = self._integers(data, self.scalar_size, self._scalar_byteorder)
        bad = [i for i, x in enumerate(items) if x >= self._q]
        if bad:
            shown = ", ".join(map(str, bad[:10])) + (", ..." if len(bad) > 10 else "")
            raise DecodingError(f"not below the order at index {shown}", where=where, indices=bad)
        return Scalars._make(self, items, shape, Secrecy(secrecy))

    def scalars(self, values: Any, *, secrecy: Secrecy = Secrecy.PUBLIC) -> Scalars:
        """Integers of any sign, reduced modulo q: one, nested lists, or a NumPy integer array.

        Raises:
            ParameterError: something is not an integer; truth values and floats are not.
            ShapeMismatch: the nested lists are ragged.
        """
        if isinstance(values, np.ndarray):
            shape, flat = values.shape, values.ravel().tolist()
            if not (np.issubdtype(values.dtype, np.integer) or values.dtype == object):
                raise ParameterError(f"scalars are integers, not {values.dtype}")
        else:
            shape, flat = _flatten(values)
        for value in flat:
            if type(value) is not int and not _is_integer(value):
                raise ParameterError(f"scalars are integers, not {type(value).__name__}")
        q = self._q
        return Scalars._make(self, [mpz(int(x)) % q for x in flat], shape, Secrecy(secrecy))

    def random_scalars(
        self,
        shape: int | Shape = (),
        *,
        secrecy: Secrecy = Secrecy.LONG_TERM,
        rng: Rng | None = None,
    ) -> Scalars:
        """Scalars within 2^-128 of uniform, from `rng` or the operating system."""
        shape = check_shape(shape)
        size = math.prod(shape) * self.uniform_size
        data = (rng or os.urandom)(size)
        if len(data) != size:
            raise ParameterError(f"rng returned {len(data)} bytes instead of {size}")
        return self.scalars_from_uniform(data, shape, secrecy=secrecy)

    def scalars_from_uniform(
        self, data: bytes, shape: int | Shape, *, secrecy: Secrecy = Secrecy.PUBLIC
    ) -> Scalars:
        """Each `uniform_size` uniform bytes, little-endian, modulo q."""
        shape = check_shape(shape)
        size = math.prod(shape) * self.uniform_size
        if len(data) != size:
            raise ParameterError(f"{size} uniform bytes expected, got {len(data)}")
        q = self._q
        items = [x % q for x in self._integers(data, self.uniform_size, "little")]
        return Scalars._make(self, items, shape, Secrecy(secrecy))

    def multiexp(self, elements: Elements, scalars: Scalars, axis: int | None = None) -> Elements:
        """The product of elements ** scalars, broadcast together: of all, or along one axis.

        Much cheaper than powers and `prod`; short exponents cost by their length. Long-term
        secrets are served by constant-time powers instead.
        """
        for array, kind in ((elements, Elements), (scalars, Scalars)):
            if not isinstance(array, kind):
                raise ParameterError(f"{kind.__name__} expected, got {type(array).__name__}")
            if array._group is not self and array._group != self:
                raise GroupMismatch(f"{self.name} met {array._group.name}")
        if scalars._secrecy is Secrecy.LONG_TERM:
            return (elements**scalars).prod(axis)
        shape = common_shape(elements, scalars)
        if axis is None and elements.size == 1:
            return elements.reshape(()) ** scalars.broadcast_to(shape).sum()
        bases, exponents = elements.broadcast_to(shape), scalars.broadcast_to(shape)
        _counted(self, "multiexp_terms", bases.size)
        multiexp = self._kernel.multiexp
        if axis is None:
            return Elements._make(self, [multiexp(bases._items, exponents._items)], ())
        rest, base_rows = bases._rows(axis)
        _, exponent_rows = exponents._rows(axis)
        items = [multiexp(b, e) for b, e in zip(base_rows, exponent_rows)]
        return Elements._make(self, items, rest)

    def linear_recurrence(self, a: Scalars, b: Scalars, start: Scalars) -> Scalars:
        """x[i] = a[i] x[i-1] + b[i], where x[-1] is `start`: shapes (n,), (n,), ()."""
        a._check_same_group(b)
        a._check_same_group(start)
        if a.ndim != 1 or a.shape != b.shape or start.shape != ():
            raise ShapeMismatch(f"shapes {a.shape}, {b.shape}, {start.shape}")
        q = self._q

        def step(x: mpz, pair: tuple[mpz, mpz]) -> mpz:
            return (pair[0] * x + pair[1]) % q

        items = list(accumulate(zip(a._items, b._items), step, initial=start._items[0]))
        secrecy = max(a.secrecy, b.secrecy, start.secrecy)
        return Scalars._make(self, items[1:], a.shape, secrecy)

    def hash_to_elements(self, domain: bytes, count: int) -> Elements:
        """Elements whose logarithms nobody knows, to any base: anyone can derive them again.

        Each is derived from its own index and try, so the first ten of twenty are those of ten.
        """
        items: list[Item] = []
        for index in range(count):
            for attempt in range(256):
                seed = xof(
                    "hash-to-elements",
                    self.parameters(),
                    domain,
                    uint32(index),
                    uint32(attempt),
                    length=self._hash_size,
                )
                [item] = self._kernel.from_uniform(seed)
                if not self._kernel.equal([item], [self._kernel.identity])[0]:
                    items.append(item)
                    break
            else:
                raise ParameterError("no element but the identity found")
        _counted(self, "hashes", count)
        return Elements._make(self, items, (count,))

    @contextmanager
    def count(self) -> Iterator[OperationCount]:
        """Count this group's operations inside a `with` block, on whichever backend."""
        counter = OperationCount()
        token = _counters.set((*_counters.get(), (self, counter)))
        try:
            yield counter
        finally:
            _counters.reset(token)

    def _as_scalars(self, value: object) -> Scalars | None:
        """Scalars as they are, an integer as scalars of shape (); None for other types."""
        if isinstance(value, Scalars):
            return value
        if _is_integer(value):
            return self.scalars(value)
        if isinstance(value, bool | float | np.bool_ | np.floating | np.ndarray):
            raise ParameterError(f"not a scalar: {type(value).__name__}; see group.scalars")
        return None

    def _scalar_to_bytes(self, value: mpz) -> bytes:
        encoded: bytes = value.to_bytes(self.scalar_size, self._scalar_byteorder)
        return encoded

    @staticmethod
    def _integers(data: bytes, width: int, byteorder: str) -> list[mpz]:
        read = mpz.from_bytes
        return [read(data[i : i + width], byteorder) for i in range(0, len(data), width)]


def concatenate(arrays: Sequence[_ArrayT], axis: int = 0) -> _ArrayT:
    """One array of all, joined along an axis."""
    first = _check_alike(arrays)
    axis = normal_axis(axis, first.shape)
    positions, total = [], 0
    for array in arrays:
        positions.append(array._positions() + total)
        total += array.size
    try:
        joined = np.concatenate(positions, axis=axis)
    except ValueError:
        raise ShapeMismatch(f"cannot join {[array.shape for array in arrays]}") from None
    return _gather(arrays)._pick(joined)


def stack(arrays: Sequence[_ArrayT], axis: int = 0) -> _ArrayT:
    """One array of all, along a new axis."""
    first = _check_alike(arrays)
    axis = normal_axis(axis, (len(arrays), *first.shape))
    if any(array.shape != first.shape for array in arrays):
        raise ShapeMismatch(f"cannot stack {[array.shape for array in arrays]}")
    shape = (*first.shape[:axis], 1, *first.shape[axis:])
    return concatenate([array.reshape(shape) for array in arrays], axis)


def _check_alike(arrays: Sequence[_ArrayT]) -> _ArrayT:
    if not arrays:
        raise ParameterError("no arrays to join")
    first = arrays[0]
    for array in arrays:
        if not isinstance(array, Elements | Scalars) or type(array) is not type(first):
            raise ParameterError("elements join elements, scalars join scalars")
        first._check_same_group(array)
    return first


def _gather(arrays: Sequence[_ArrayT]) -> _ArrayT:
    """All items in one flat array; of the marks, the strongest."""
    first = arrays[0]
    items = [item for array in arrays for item in array._items]
    if isinstance(first, Scalars):
        secrecy = max(array.secrecy for array in arrays if isinstance(array, Scalars))
        return Scalars._make(first._group, items, (len(items),), secrecy)
    kept = [array._encoded for array in arrays if isinstance(array, Elements)]
    encoded = None if None in kept else b"".join(piece for piece in kept if piece is not None)
    return Elements._make(first._group, items, (len(items),), encoded)


def _check_length(
    data: bytes, shape: int | Shape | None, width: int, what: str, where: str
) -> tuple[bytes, Shape]:
    if not isinstance(data, bytes | bytearray | memoryview):
        raise ParameterError(f"bytes expected, got {type(data).__name__}")
    data = bytes(data)
    if shape is None:
        if len(data) % width:
            raise DecodingError(f"{len(data)} bytes are no array of {width}-byte {what}", where=where)
        return data, (len(data) // width,)
    shape = check_shape(shape)
    size = math.prod(shape)
    if len(data) != size * width:
        raise DecodingError(
            f"{size} {what} of {width} bytes expected, got {len(data)} bytes", where=where
        )
    return data, shape


def _is_integer(value: object) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def _flatten(values: Any) -> tuple[Shape, list[Any]]:
    """Shape and items of nested sequences."""
    if not isinstance(values, list | tuple | range):
        return (), [values]
    if all(type(value) is int for value in values):
        return (len(values),), list(values)
    parts = [_flatten(value) for value in values]
    if any(shape != parts[0][0] for shape, _ in parts):
        raise ShapeMismatch("nested lists of unequal lengths")
    return (len(parts), *parts[0][0]), [item for _, items in parts for item in items]
