"""Bulk calls cut into chunks over an executor: processes of this machine, or a cluster.

`ExecutorKernel` stands before the kernel of a group and answers the same calls with the same
values. What costs (decoding, encoding, powers, multi-exponentiation, hashing) is cut into chunks of
about a fifth of a second, by the time that earlier ones took; what is cheaper than its transfer,
and whatever is small, stays here. Items travel as packed numbers, not as pickled objects.

Nothing is ever missing: replies are taken in the order of the chunks, each names its chunk and
holds as many items as were sent, and a chunk that fails, or whose worker dies, fails the call. (A
Dask scheduler first gives the chunk of a dead worker to another one.)

Scalars that are marked secret go to processes of this machine only: see `Group.with_executor`.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from gmpy2 import mpz

from evote.errors import EvoteError
from evote.groups._arrays import Item
from evote.groups._kernel import Kernel

if TYPE_CHECKING:
    from evote.groups.base import Group

__all__ = ["ExecutorKernel", "is_local", "worker_count"]

_CHUNK_SECONDS = 0.2  # long against a transfer, short against a progress bar
_WORTH_SECONDS = 0.02  # below, nothing is sent
_PROBE = 16  # items that are done here to see what one costs
_MAX_CHUNK = 2**16  # items

_Payload: TypeAlias = tuple[bytes, ...]


class Reply(NamedTuple):
    """What a worker sends back: `data` holds the items of the chunk, or its one product.

    `bad` marks with 1 the places of bytes that are no item; the identity stands in for these.
    """

    chunk: int
    size: int  # items that were asked for
    data: bytes
    bad: bytes
    seconds: float


def is_local(executor: Executor) -> bool:
    """Whether the workers are surely on this machine."""
    return isinstance(executor, ProcessPoolExecutor | ThreadPoolExecutor)


def worker_count(executor: Executor) -> int:
    """How many workers an executor has, as far as it says."""
    found = getattr(executor, "_max_workers", None)
    return found if isinstance(found, int) and found > 0 else os.cpu_count() or 1


# -- items and exponents as bytes ----------------------------------------------------------------


def pack_items(kernel: Kernel, items: Sequence[Item]) -> bytes:
    """Numbers below the modulus, fixed width; those of a point side by side."""
    p, width = kernel.modulus, _width(kernel)
    if isinstance(kernel.identity, tuple):
        return b"".join([(x % p).to_bytes(width, "little") for item in items for x in item])
    return b"".join([(x % p).to_bytes(width, "little") for x in items])


def unpack_items(kernel: Kernel, data: bytes) -> list[Item]:
    """What `pack_items` packed. They were members before, and are not checked again."""
    width, read = _width(kernel), mpz.from_bytes
    numbers = [read(data[i : i + width], "little") for i in range(0, len(data), width)]
    if isinstance(kernel.identity, tuple):
        side_by_side = [iter(numbers)] * len(kernel.identity)
        return list(zip(*side_by_side, strict=True))
    return numbers


def _width(kernel: Kernel) -> int:
    return (int(kernel.modulus).bit_length() + 7) // 8


def _pack_exponents(group: Group, exponents: Sequence[int]) -> bytes:
    width = group.scalar_size
    return b"".join([mpz(e).to_bytes(width, "little") for e in exponents])


def _unpack_exponents(group: Group, data: bytes) -> list[mpz]:
    width, read = group.scalar_size, mpz.from_bytes
    return [read(data[i : i + width], "little") for i in range(0, len(data), width)]


# -- in the worker -------------------------------------------------------------------------------


def serve(group: Group, method: str, chunk: int, payload: _Payload) -> Reply:
    """Do one chunk; found by name in the worker's process."""
    start = time.perf_counter()
    kernel, bad = group._kernel, b""
    if method in ("decode", "from_uniform"):
        found = getattr(kernel, method)(payload[0])
        bad = bytes([item is None for item in found])
        items = [kernel.identity if item is None else item for item in found]
        count, data = len(items), pack_items(kernel, items)
    elif method == "encode":
        items = unpack_items(kernel, payload[0])
        count, data = len(items), kernel.encode(items)
    else:
        items, exponents = unpack_items(kernel, payload[0]), _unpack_exponents(group, payload[1])
        if method == "multiexp":
            result = [kernel.multiexp(items, exponents)]
        elif method == "powers_of_one":
            bits = int.from_bytes(payload[2], "little")
            result = kernel.powers_of_one(items[0], exponents, bits)
        elif method == "powers_constant_time":
            result = kernel.powers_constant_time(items, exponents)
        else:
            result = kernel.powers(items, exponents)
        count, data = len(exponents), pack_items(kernel, result)
    return Reply(chunk, count, data, bad, time.perf_counter() - start)


# -- here ----------------------------------------------------------------------------------------


class ExecutorKernel:
    """The kernel of a group, with the bulk calls that cost cut into chunks for an executor."""

    def __init__(self, group: Group, executor: Executor, workers: int) -> None:
        """Stand before the kernel of `group`, which has no executor itself."""
        self._group, self._inner = group, group._kernel
        self._executor, self._workers = executor, workers
        self._seconds: dict[str, float] = {}  # per item of each method, as last seen
        self.identity, self.generator = self._inner.identity, self._inner.generator
        self.modulus, self.block_size = self._inner.modulus, self._inner.block_size

    # What is cheaper than its transfer.

    def equal(self, a: Sequence[Item], b: Sequence[Item]) -> list[bool]:
        return self._inner.equal(a, b)

    def multiply(self, a: Sequence[Item], b: Sequence[Item]) -> list[Item]:
        return self._inner.multiply(a, b)

    def invert(self, items: Sequence[Item]) -> list[Item]:
        return self._inner.invert(items)

    def product(self, items: Sequence[Item]) -> Item:
        return self._inner.product(items)

    def running_products(self, items: Sequence[Item]) -> list[Item]:
        return self._inner.running_products(items)

    def log_keys(self, items: Sequence[Item]) -> list[int]:
        return self._inner.log_keys(items)

    # Messages are secrets, whoever the workers are.

    def embed(self, blocks: Sequence[bytes]) -> list[Item | None]:
        return self._inner.embed(blocks)

    def extract(self, items: Sequence[Item]) -> list[bytes | None]:
        return self._inner.extract(items)

    # What is worth sending.

    def decode(self, data: bytes) -> list[Item | None]:
        return self._from_bytes("decode", data, self._group.element_size)

    def from_uniform(self, data: bytes) -> list[Item]:
        return self._from_bytes("from_uniform", data, self._group._hash_size)

    def _from_bytes(self, method: str, data: bytes, size: int) -> list[Item | None]:
        local = getattr(self._inner, method)

        def cut(start: int, stop: int) -> _Payload:
            return (data[start * size : stop * size],)

        parts = self._run(
            method, len(data) // size, cut, lambda a, b: local(data[a * size : b * size])
        )
        return [item for part in parts for item in part]

    def encode(self, items: Sequence[Item]) -> bytes:
        def cut(start: int, stop: int) -> _Payload:
            return (pack_items(self._inner, items[start:stop]),)

        parts = self._run("encode", len(items), cut, lambda a, b: self._inner.encode(items[a:b]))
        return b"".join(parts)

    def powers(self, bases: Sequence[Item], exponents: Sequence[int]) -> list[Item]:
        return self._of_pairs("powers", bases, exponents)

    def powers_constant_time(self, bases: Sequence[Item], exponents: Sequence[int]) -> list[Item]:
        return self._of_pairs("powers_constant_time", bases, exponents)

    def multiexp(self, bases: Sequence[Item], exponents: Sequence[int]) -> Item:
        # A term costs less in a larger chunk, and what it costs depends on its exponent.
        each = min(-(-len(bases) // self._workers), _MAX_CHUNK)
        return self._inner.product(self._of_pairs("multiexp", bases, exponents, each))

    def _of_pairs(
        self, method: str, bases: Sequence[Item], exponents: Sequence[int], each: int | None = None
    ) -> list[Item]:
        local = getattr(self._inner, method)

        def cut(start: int, stop: int) -> _Payload:
            return (
                pack_items(self._inner, bases[start:stop]),
                _pack_exponents(self._group, exponents[start:stop]),
            )

        def here(start: int, stop: int) -> list[Item]:
            result = local(bases[start:stop], exponents[start:stop])
            return [result] if method == "multiexp" else result

        return [item for part in self._run(method, len(bases), cut, here, each) for item in part]

    def powers_of_one(self, base: Item, exponents: Sequence[int], bits: int) -> list[Item]:
        packed = pack_items(self._inner, [base])

        def cut(start: int, stop: int) -> _Payload:
            part = _pack_exponents(self._group, exponents[start:stop])
            return packed, part, bits.to_bytes(4, "little")

        def here(start: int, stop: int) -> list[Item]:
            return self._inner.powers_of_one(base, exponents[start:stop], bits)

        parts = self._run("powers_of_one", len(exponents), cut, here)
        return [item for part in parts for item in part]

    def _run(
        self,
        method: str,
        count: int,
        cut: Callable[[int, int], _Payload],
        here: Callable[[int, int], Any],
        each: int | None = None,
    ) -> Iterator[Any]:
        """The results of all chunks in order; at most two for each worker are under way."""
        done = 0
        if method not in self._seconds:
            done = min(_PROBE, count)
            start = time.perf_counter()
            first = here(0, done)
            self._seconds[method] = max(time.perf_counter() - start, 1e-9) / max(done, 1)
            yield first
        if (count - done) * self._seconds[method] < _WORTH_SECONDS:
            if done < count:
                yield here(done, count)
            return
        waiting: deque[tuple[int, int, Future[Reply]]] = deque()
        chunk = 0
        try:
            while done < count or waiting:
                if done < count and len(waiting) < 2 * self._workers:
                    stop = min(count, done + (each or self._chunk(method, count)))
                    payload = cut(done, stop)
                    future = self._executor.submit(serve, self._group, method, chunk, payload)
                    waiting.append((chunk, stop - done, future))
                    chunk, done = chunk + 1, stop
                else:
                    yield self._open(method, *waiting.popleft())
        except EvoteError:
            raise
        except Exception as error:  # of the executor, or of the worker; what it was is the cause
            reason = f"{type(error).__name__}: {error}"
            raise EvoteError(f"a worker failed in {method}: {reason}") from error
        finally:
            for _, _, future in waiting:
                future.cancel()

    def _chunk(self, method: str, count: int) -> int:
        by_time = int(_CHUNK_SECONDS / self._seconds[method])
        return max(1, min(by_time, -(-count // self._workers), _MAX_CHUNK))

    def _open(self, method: str, chunk: int, count: int, future: Future[Reply]) -> Any:
        reply = future.result()
        size = _width(self._inner)
        if isinstance(self.identity, tuple):
            size *= len(self.identity)
        if method == "encode":
            size = self._group.element_size
        items = 1 if method == "multiexp" else count
        marks = count if method in ("decode", "from_uniform") else 0
        whole = (reply.chunk, reply.size, len(reply.data), len(reply.bad))
        if whole != (chunk, count, items * size, marks):
            raise EvoteError(f"chunk {chunk} of {method} came back incomplete or out of order")
        self._seconds[method] = max(reply.seconds, 1e-9) / max(count, 1)
        if method == "encode":
            return reply.data
        found = unpack_items(self._inner, reply.data)
        if marks:
            pairs = zip(found, reply.bad, strict=True)
            found = [None if bad else item for item, bad in pairs]
        return found
