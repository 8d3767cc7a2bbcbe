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

import math
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from contextlib import AbstractContextManager
from functools import lru_cache
from typing import Any, Self, TypeAlias, TypeVar

import numpy as np
from gmpy2 import mpz

from evote._accelerator import native_module
from evote._spool import Stored
from evote.encoding import uint32, xofs
from evote.errors import DecodingError, GroupMismatch, ParameterError, ShapeMismatch
from evote.groups._arrays import Item, Shape, check_shape, common_shape, normal_axis
from evote.groups._choice import Choice
from evote.groups._counting import OperationCount, counted, counting
from evote.groups._elements import Elements
from evote.groups._executor import ExecutorKernel, is_local, worker_count
from evote.groups._gmp_scalars import GmpScalars
from evote.groups._kernel import EncodesSquares, Kernel, MultipliesPowers, ScalarKernel
from evote.groups._messages import capacity, join_blocks, split_message
from evote.groups._native import NativeScalars
from evote.groups._rows import EncodedRows, NumbersForm, Rows, join_items
from evote.groups._scalars import Scalars, Secrecy

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

_ArrayT = TypeVar("_ArrayT", Elements, Scalars)
_FEW = 2**16  # elements that are never packed: 8 MB of points
_PIECE = 2**14  # elements that are decoded at a time, where they are not kept


class Group(ABC):
    """A group of prime order q; a value, equal to any other with the same parameters.

    Attributes:
        name: what transcripts and files call it.
        order: q.
        element_size, scalar_size: bytes of an encoding.
        uniform_size: bytes per scalar of `scalars_from_uniform`.
        generator: g, shape ().
        backend: who computes, "native", "gmp" or "python"; not part of the value.
    """

    name: str
    order: int
    element_size: int
    scalar_size: int
    uniform_size: int
    generator: Elements
    backend: str
    _kernel: Kernel
    _kernel_for_secrets: Kernel
    _scalars: ScalarKernel
    _half: Sequence[int]  # 1/2 modulo q
    _numbers: NumbersForm  # of elements, between backends and processes
    _exponents: NumbersForm  # of scalars
    _q: mpz
    _neutral: bytes  # encoding of the identity
    _scalar_byteorder: Any = "big"
    _keeps_encodings = False
    _spreads = False  # over an executor
    _decodes_fast = False  # so that long lists may lie encoded
    _square_encoder: EncodesSquares | None = None
    _power_multiplier: MultipliesPowers | None = None
    _hash_size: int  # uniform bytes per element of `hash_to_elements`

    def _complete(self, kernel: Kernel, backend: str) -> None:
        """Finish construction: `name`, `order` and the sizes are already there."""
        self.backend = backend
        self._decodes_fast = backend == "native" and self._keeps_encodings
        self._kernel = self._kernel_for_secrets = kernel
        self._q = mpz(self.order)
        self.scalar_size = (self.order.bit_length() + 7) // 8
        self.uniform_size = self.scalar_size + 16
        self._scalars = _scalar_kernel(
            backend, self.order, self.scalar_size, self._scalar_byteorder
        )
        self._half = self._scalars.own([(self._q + 1) // 2])
        self._numbers = NumbersForm.of(kernel.identity, kernel.modulus)
        self._exponents = NumbersForm(self.order, 8 * (-(-self.order.bit_length() // 64)))
        self.generator = self._elements([kernel.generator], ())
        self._neutral = kernel.encode([kernel.identity])

    @abstractmethod
    def parameters(self) -> bytes:
        """A canonical description for hashing: two groups agree on it only if they are equal."""

    @property
    @abstractmethod
    def is_weak(self) -> bool:
        """Too small for new elections."""

    @abstractmethod
    def with_backend(self, name: str) -> Self:
        """The same group, equal to this one, served by "native", "gmp" or "python".

        "native" is the distribution `evote-native`, for the groups it serves, and then the default.

        Raises:
            ParameterError: there is no such backend, or it does not serve this group.
        """

    @property
    @abstractmethod
    def default_backend(self) -> Choice:
        """The name of the backend that serves unless another is asked for, and why."""

    def with_executor(
        self, executor: Executor, *, workers: int | None = None, local: bool | None = None
    ) -> Self:
        """The same group, equal to this one, whose bulk calls are cut into chunks over `executor`.

        Any `concurrent.futures.Executor` serves: a `ProcessPoolExecutor` (spawned processes are
        safe), or a Dask client's `get_executor()` for a cluster. Arrays keep the group they were
        made with, and where elements meet, the group with an executor serves; pickles forget it.
        Small calls are done here.

        Args:
            executor: stays the caller's, to be shut down after the last call.
            workers: how many it has, where it does not say.
            local: whether its workers are on this machine. Scalars marked as secret are sent to
                such workers only, and otherwise served here. By default true for the pools of the
                standard library and false for everything else.

        Raises:
            EvoteError: from a bulk call one of whose chunks failed, whose worker died, or whose
                reply is incomplete or out of order.
        """
        twin = self.with_backend(self.backend)
        plain = self.with_backend(self.backend)
        kernel = ExecutorKernel(plain, executor, workers or worker_count(executor))
        twin._kernel, twin._spreads, twin._decodes_fast = kernel, True, False
        twin._power_multiplier = None
        if is_local(executor) if local is None else local:
            twin._kernel_for_secrets = kernel
        return twin

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
        return self._elements([self._kernel.identity], ()).broadcast_to(shape)

    def _elements(self, items: Sequence[Item], shape: Shape) -> Elements:
        """Elements of any backend's items."""
        return Elements._make(self, self._kernel.own(items), shape)

    def decode_elements(
        self,
        data: bytes | bytearray | memoryview | Stored,
        shape: int | Shape | None = None,
        *,
        allow_identity: bool = False,
        packed: bool = False,
        known: bool = False,
        where: str = "",
    ) -> Elements:
        """Elements from their fixed-width encodings, each checked to be a member.

        Args:
            data: the encodings, one after the other.
            shape: of the result; None takes as many as there are, in one dimension.
            allow_identity: the neutral element is refused unless this is set.
            packed: keep them as `Elements.packed` does, and `data` where it is.
            known: these bytes were checked before. Packed ones are not checked again now; whoever
                uses what is no element gets an error all the same.
            where: what a DecodingError calls the place.

        Raises:
            DecodingError: wrong length, or some are not canonical encodings of members;
                `indices` then lists all of those, as positions in C order.
        """
        stored, shape = _check_length(data, shape, self.element_size, "elements", where)
        if packed and self._packs(math.prod(shape)):
            step = _PIECE * self.element_size
            bad, encoded = [], self._encoded(stored)
            for start in range(0, 0 if known else len(stored), step):
                found = self._decoded(stored[start : start + step], allow_identity)[1]
                bad += [start // self.element_size + i for i in found]
            made = Elements._make(self, encoded, shape)
        else:
            data = bytes(stored)
            items, bad = self._decoded(data, allow_identity)
            made = Elements._make(self, items, shape, data if self._keeps_encodings else None)
        if bad:
            shown = ", ".join(map(str, bad[:10])) + (", ..." if len(bad) > 10 else "")
            raise DecodingError(f"not a group element at index {shown}", where=where, indices=bad)
        return made

    def _decoded(self, data: bytes, allow_identity: bool) -> tuple[Sequence[Item], list[int]]:
        """The items of some encodings, and the places where there is none, ascending."""
        items = self._kernel.decode(data)
        counted(self, "decodes", len(items))
        bad = set() if isinstance(items, Rows) else _places_of_none(items)
        width, neutral = self.element_size, self._neutral
        if not allow_identity and neutral in data:
            bad |= {i for i in range(len(items)) if data[i * width : (i + 1) * width] == neutral}
        return items, sorted(bad)

    def _packs(self, length: int) -> bool:
        """Whether lists of this length lie encoded where `packed` is asked for."""
        return self._decodes_fast and length > _FEW

    def _encoded(self, data: bytes | Stored) -> EncodedRows:
        """Items that lie encoded."""
        return EncodedRows(self._kernel.decode, self.element_size, data)

    def decode_scalars(
        self,
        data: bytes | bytearray | memoryview,
        shape: int | Shape | None = None,
        *,
        where: str = "",
    ) -> Scalars:
        """Public scalars from their fixed-width encodings, each checked to be below q."""
        return self.decode_secret_scalars(data, shape, secrecy=Secrecy.PUBLIC, where=where)

    def decode_secret_scalars(
        self,
        data: bytes | bytearray | memoryview,
        shape: int | Shape | None = None,
        *,
        secrecy: Secrecy = Secrecy.LONG_TERM,
        where: str = "",
    ) -> Scalars:
        """Scalars with a mark, from a file only its owner reads."""
        stored, shape = _check_length(data, shape, self.scalar_size, "scalars", where)
        items, bad = self._scalars.decode(bytes(stored))
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
            if np.issubdtype(values.dtype, np.integer):
                items = self._scalars.reduced_array(values.ravel())
                return Scalars._make(self, items, values.shape, Secrecy(secrecy))
            if values.dtype != object:
                raise ParameterError(f"scalars are integers, not {values.dtype}")
            shape, flat = values.shape, values.ravel().tolist()
        else:
            shape, flat = _flatten(values)
        for value in flat:
            if type(value) is not int and not _is_integer(value):
                raise ParameterError(f"scalars are integers, not {type(value).__name__}")
        items = self._scalars.reduced([int(x) for x in flat])
        return Scalars._make(self, items, shape, Secrecy(secrecy))

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
        self,
        data: bytes,
        shape: int | Shape,
        *,
        width: int | None = None,
        secrecy: Secrecy = Secrecy.PUBLIC,
    ) -> Scalars:
        """Each `width` bytes, `uniform_size` of them unless given, little-endian, modulo q."""
        shape = check_shape(shape)
        width = self.uniform_size if width is None else width
        size = math.prod(shape) * width
        if len(data) != size:
            raise ParameterError(f"{size} uniform bytes expected, got {len(data)}")
        items = self._scalars.from_uniform(data, width)
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
        counted(self, "multiexp_terms", bases.size)
        group = self.generator._common_group(elements)
        kernel = group._kernel_for_secrets if scalars.secret else group._kernel
        rest, rows, items = bases._rows(axis)
        products = kernel.multiexps(items, exponents._rows(axis)[2], rows)
        return Elements._make(group, products, rest)

    def linear_recurrence(self, a: Scalars, b: Scalars, start: Scalars) -> Scalars:
        """x[i] = a[i] x[i-1] + b[i], where x[-1] is `start`: shapes (n,), (n,), ()."""
        a._check_same_group(b)
        a._check_same_group(start)
        if a.ndim != 1 or a.shape != b.shape or start.shape != ():
            raise ShapeMismatch(f"shapes {a.shape}, {b.shape}, {start.shape}")
        items = self._scalars.recurrence(a._items, b._items, start._items)
        secrecy = max(a.secrecy, b.secrecy, start.secrecy)
        return Scalars._make(self, items, a.shape, secrecy)

    def hash_to_elements(self, domain: bytes, count: int) -> Elements:
        """Elements whose logarithms nobody knows, to any base: anyone can derive them again.

        Each is derived from its own index and try, so the first ten of twenty are those of ten.
        """
        return self.hash_messages(domain, [uint32(index) for index in range(count)])

    def hash_messages(self, domain: bytes, messages: Sequence[bytes]) -> Elements:
        """An element for each message, whose logarithm nobody knows: a random oracle to the group.

        Never the identity. `hash_to_elements` has indices in four bytes for messages: a domain is
        for one of the two. Time depends on the messages.
        """
        count, parameters = len(messages), self.parameters()
        items: list[Item] = []
        missing = list(range(count))
        for attempt in range(256):
            if not missing:
                counted(self, "hashes", count)
                return self._elements(items, (count,))
            seeds = xofs(
                "hash-to-elements",
                parameters,
                domain,
                [messages[index] for index in missing],
                uint32(attempt),
                length=self._hash_size,
            )
            found = self._kernel.from_uniform(b"".join(seeds))
            neutral = self._kernel.equal(found, [self._kernel.identity] * len(found))
            if not attempt and not any(neutral):
                counted(self, "hashes", count)
                return Elements._make(self, found, (count,))
            items = items or [self._kernel.identity] * count
            for index, item in zip(missing, found, strict=True):
                items[index] = item
            missing = [index for index, bad in zip(missing, neutral, strict=True) if bad]
        raise ParameterError("no element but the identity found")

    def message_size(self, width: int = 1) -> int:
        """The longest message that `width` elements hold, in bytes; 0 where the group holds none.

        Curves of prime order hold messages, and subgroups with p = 2q + 1. In the other subgroups
        of Z_p^*, ElectionGuard's among them, no map from messages to elements has an inverse.
        """
        if isinstance(width, bool) or not isinstance(width, int | np.integer) or width < 1:
            raise ParameterError(f"a width is a positive integer, not {width!r}")
        size = self._kernel.block_size
        return capacity(size, int(width)) if size else 0

    def encode_message(self, messages: Sequence[bytes], width: int | None = None) -> Elements:
        """Each message as one element, or as a row of `width` elements: shape (n,) or (n, width).

        Every message of up to `message_size` bytes has one encoding, never with the identity in it.
        All messages take the same steps: a fixed number of candidates is tried.

        Raises:
            ParameterError: a message is too long, or the group holds none.
        """
        limit = self.message_size(1 if width is None else width)
        self._check_embedding()
        for i, message in enumerate(messages):
            if not isinstance(message, bytes):
                raise ParameterError(f"a message is bytes, not {type(message).__name__}")
            if len(message) > limit:
                raise ParameterError(
                    f"message {i} has {len(message)} bytes; at most {limit} fit {width or 1} "
                    f"elements of {self.name}"
                )
        size = self._kernel.block_size
        blocks = [b for message in messages for b in split_message(message, size, width or 1)]
        items = self._kernel.embed(blocks)
        if not isinstance(items, Rows) and None in items:
            raise ParameterError("a message has no encoding in this group")
        shape = (len(messages),) if width is None else (len(messages), int(width))
        return self._elements(items, shape)

    def decode_message(self, elements: Elements, *, where: str = "") -> list[bytes]:
        """The messages of elements of shape (n,), or of rows of shape (n, width).

        Raises:
            DecodingError: some are not what `encode_message` makes; `indices` lists all of those.
            ParameterError: the group holds no messages.
        """
        self._check_embedding()
        elements._check_same_group(self.generator)
        if elements.ndim not in (1, 2) or 0 in elements.shape[1:]:
            raise ShapeMismatch(f"messages are of shape (n,) or (n, width), not {elements.shape}")
        width = elements.shape[1] if elements.ndim == 2 else 1
        blocks = self._kernel.extract(elements._items)
        messages = []
        for start in range(0, len(blocks), width):
            row = [block for block in blocks[start : start + width] if block is not None]
            messages.append(join_blocks(row) if len(row) == width else None)
        bad = [i for i, message in enumerate(messages) if message is None]
        if bad:
            shown = ", ".join(map(str, bad[:10])) + (", ..." if len(bad) > 10 else "")
            raise DecodingError(f"no message at index {shown}", where=where, indices=bad)
        return [message for message in messages if message is not None]

    def _check_embedding(self) -> None:
        if not self._kernel.block_size:
            raise ParameterError(f"elements of {self.name} hold no messages")

    def count(self) -> AbstractContextManager[OperationCount]:
        """Count this group's operations inside a `with` block, on whichever backend."""
        return counting(self)

    def _as_scalars(self, value: object) -> Scalars | None:
        """Scalars as they are, an integer as scalars of shape (); None for other types."""
        if isinstance(value, Scalars):
            return value
        if _is_integer(value):
            return self.scalars(value)
        if isinstance(value, bool | float | np.bool_ | np.floating | np.ndarray):
            raise ParameterError(f"not a scalar: {type(value).__name__}; see group.scalars")
        return None


def concatenate(arrays: Sequence[_ArrayT], axis: int = 0) -> _ArrayT:
    """One array of all, joined along an axis."""
    first: Elements | Scalars = _check_alike(arrays)
    axis = normal_axis(axis, first.shape)
    if axis == 0 and len({array.shape[1:] for array in arrays}) == 1:  # they follow each other
        whole = _gather(arrays)
        return whole._like(whole._items, (sum(map(len, arrays)), *first.shape[1:]))
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
    first: Elements | Scalars = _check_alike(arrays)
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
    items = join_items([array._items for array in arrays])
    if isinstance(first, Scalars):
        secrecy = max(array.secrecy for array in arrays if isinstance(array, Scalars))
        return Scalars._make(first._group, items, (len(items),), secrecy)
    group = next((array._group for array in arrays if array._group._spreads), first._group)
    kept = [array._encoded for array in arrays if isinstance(array, Elements)]
    encoded = None if None in kept else b"".join(piece for piece in kept if piece is not None)
    return Elements._make(group, items, (len(items),), encoded)


def _check_length(
    data: bytes | bytearray | memoryview | Stored,
    shape: int | Shape | None,
    width: int,
    what: str,
    where: str,
) -> tuple[bytes | Stored, Shape]:
    if not isinstance(data, bytes | bytearray | memoryview | Stored):
        raise ParameterError(f"bytes expected, got {type(data).__name__}")
    data = data if isinstance(data, Stored) else bytes(data)
    if shape is None:
        if len(data) % width:
            raise DecodingError(
                f"{len(data)} bytes are no array of {width}-byte {what}", where=where
            )
        return data, (len(data) // width,)
    shape = check_shape(shape)
    size = math.prod(shape)
    if len(data) != size * width:
        raise DecodingError(
            f"{size} {what} of {width} bytes expected, got {len(data)} bytes", where=where
        )
    return data, shape


@lru_cache(maxsize=64)
def _scalar_kernel(backend: str, order: int, width: int, byteorder: str) -> ScalarKernel:
    if backend == "native":
        return NativeScalars(native_module()[0], order, width, byteorder)
    return GmpScalars(order, width, byteorder)


def _places_of_none(items: Sequence[Item | None]) -> set[int]:
    return {i for i, item in enumerate(items) if item is None}


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
