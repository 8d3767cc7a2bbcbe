"""Bulk calls cut into chunks over an executor: processes of this machine, or a cluster.

`ExecutorKernel` stands before the kernel of a group and answers the same calls with the same
values. What costs (decoding, encoding, powers, multi-exponentiation, hashing) is cut into chunks of
about a fifth of a second, by the time that earlier ones took; what is cheaper than its transfer,
and whatever is small, stays here. Items travel as numbers side by side, which every backend knows,
and stay rows of bytes until somebody here looks at them: what was decoded by workers goes on to
others as it came.

Nothing is ever missing: replies are taken in the order of the chunks, each names its chunk and
holds as many items as were sent, and a chunk that fails, or whose worker dies, fails the call. (A
Dask scheduler first gives the chunk of a dead worker to another one.)

Scalars that are marked secret go to processes of this machine only: see `Group.with_executor`.
"""

from __future__ import annotations

import os
import struct
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from evote.errors import EvoteError
from evote.groups._arrays import Item
from evote.groups._kernel import Mask
from evote.groups._kernel import cut as cut_rows
from evote.groups._rows import Rows, join_items

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


# -- in the worker -------------------------------------------------------------------------------


def serve(group: Group, method: str, chunk: int, payload: _Payload) -> Reply:
    """Do one chunk; found by name in the worker's process."""
    begin = time.perf_counter()
    kernel, bad = group._kernel, b""
    items: Sequence[Item]
    result: Sequence[Item]
    if method in ("decode", "from_uniform"):
        found = getattr(kernel, method)(payload[0])
        bad = (
            bytes(len(found))
            if isinstance(found, Rows)
            else bytes([item is None for item in found])
        )
        items = [kernel.identity if item is None else item for item in found] if any(bad) else found
        count, data = len(items), Rows.of(group._numbers, items).data
    elif method == "encode":
        items = kernel.own(Rows(group._numbers, payload[0]))
        count, data = len(items), kernel.encode(items)
    else:
        items = kernel.own(Rows(group._numbers, payload[0]))
        exponents = group._scalars.own(Rows(group._exponents, payload[1]))
        if method == "multiexp":
            result, start = [], 0
            for (length,) in struct.iter_unpack("<I", payload[2]):
                stop = start + length
                result += kernel.multiexps(items[start:stop], exponents[start:stop], 1)
                start = stop
            if start != len(items):
                raise EvoteError("terms do not fit the products")
        elif method == "powers_of_one":
            bits = int.from_bytes(payload[2], "little")
            result = kernel.powers_of_one(items[0], exponents, bits)
        elif method == "powers_constant_time":
            result = kernel.powers_constant_time(items, exponents)
        else:
            result = kernel.powers(items, exponents)
        count, data = len(result), Rows.of(group._numbers, result).data
    return Reply(chunk, count, data, bad, time.perf_counter() - begin)


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
        self.steady = self._inner.steady

    # What is cheaper than its transfer.

    def own(self, items: Sequence[Item]) -> Sequence[Item]:
        return self._inner.own(items)

    def equal(self, a: Sequence[Item], b: Sequence[Item]) -> Mask:
        return self._inner.equal(a, b)

    def multiply(self, a: Sequence[Item], b: Sequence[Item]) -> Sequence[Item]:
        return self._inner.multiply(a, b)

    def invert(self, items: Sequence[Item]) -> Sequence[Item]:
        return self._inner.invert(items)

    def products(self, items: Sequence[Item], rows: int) -> Sequence[Item]:
        return self._inner.products(items, rows)

    def running_products(self, items: Sequence[Item]) -> Sequence[Item]:
        return self._inner.running_products(items)

    def log_keys(self, items: Sequence[Item]) -> list[int]:
        return self._inner.log_keys(items)

    # Messages are secrets, whoever the workers are.

    def embed(self, blocks: Sequence[bytes]) -> Sequence[Item | None]:
        return self._inner.embed(blocks)

    def extract(self, items: Sequence[Item]) -> list[bytes | None]:
        return self._inner.extract(items)

    # What is worth sending.

    def decode(self, data: bytes) -> Sequence[Item | None]:
        return self._from_bytes("decode", data, self._group.element_size)

    def from_uniform(self, data: bytes) -> Sequence[Item]:
        return self._from_bytes("from_uniform", data, self._group._hash_size)

    def _from_bytes(self, method: str, data: bytes, size: int) -> Sequence[Item | None]:
        local = getattr(self._inner, method)

        def cut(start: int, stop: int) -> _Payload:
            return (data[start * size : stop * size],)

        parts = self._run(
            method, len(data) // size, cut, lambda a, b: local(data[a * size : b * size])
        )
        found = list(parts)
        if any(None in part for part in found if not isinstance(part, Rows)):
            return [item for part in found for item in part]
        return self._inner.own(join_items(found))

    def encode(self, items: Sequence[Item]) -> bytes:
        def cut(start: int, stop: int) -> _Payload:
            return (self._packed(items[start:stop]),)

        parts = self._run("encode", len(items), cut, lambda a, b: self._inner.encode(items[a:b]))
        return b"".join(parts)

    def powers(self, bases: Sequence[Item], exponents: Sequence[int]) -> Sequence[Item]:
        return self._of_pairs("powers", bases, exponents)

    def powers_constant_time(
        self, bases: Sequence[Item], exponents: Sequence[int]
    ) -> Sequence[Item]:
        return self._of_pairs("powers_constant_time", bases, exponents)

    def _packed(self, items: Sequence[Item]) -> bytes:
        return Rows.of(self._group._numbers, items).data

    def _packed_exponents(self, exponents: Sequence[int]) -> bytes:
        return Rows.of(self._group._exponents, exponents).data

    def multiexps(
        self, bases: Sequence[Item], exponents: Sequence[int], rows: int
    ) -> Sequence[Item]:
        length = len(bases) // rows if rows else 0
        local = self._inner.multiexps
        if "multiexp" not in self._seconds and length:
            start, probe = time.perf_counter(), min(_PROBE, length)
            local(bases[:probe], exponents[:probe], 1)
            self._seen("multiexp", time.perf_counter() - start, probe)
        if not self._worth("multiexp", rows * length):
            return local(bases, exponents, rows)
        # A term costs less among more terms, so no row is cut more often than workers need it. It
        # costs more the longer its exponent is, and neighbours are often alike: deal them out.
        cuts = max(-(-self._workers // max(rows, 1)), -(-length // _MAX_CHUNK))
        pieces = [
            (b[i::cuts], e[i::cuts])
            for b, e in zip(cut_rows(bases, rows), cut_rows(exponents, rows), strict=True)
            for i in range(cuts)
        ]

        def cut(start: int, stop: int) -> _Payload:
            some = pieces[start:stop]
            return (
                b"".join([self._packed(items) for items, _ in some]),
                b"".join([self._packed_exponents(numbers) for _, numbers in some]),
                b"".join([struct.pack("<I", len(items)) for items, _ in some]),
            )

        def here(start: int, stop: int) -> Sequence[Item]:
            return join_items([local(*piece, 1) for piece in pieces[start:stop]])

        parts = self._run("multiexp", len(pieces), cut, here, max(1, length // cuts))
        return self._inner.products(join_items(list(parts)), rows)

    def _of_pairs(
        self, method: str, bases: Sequence[Item], exponents: Sequence[int]
    ) -> Sequence[Item]:
        local = getattr(self._inner, method)

        def cut(start: int, stop: int) -> _Payload:
            return (
                self._packed(bases[start:stop]),
                self._packed_exponents(exponents[start:stop]),
            )

        def here(start: int, stop: int) -> Sequence[Item]:
            result: Sequence[Item] = local(bases[start:stop], exponents[start:stop])
            return result

        return self._inner.own(join_items(list(self._run(method, len(bases), cut, here))))

    def powers_of_one(self, base: Item, exponents: Sequence[int], bits: int) -> Sequence[Item]:
        packed = self._packed([base])

        def cut(start: int, stop: int) -> _Payload:
            part = self._packed_exponents(exponents[start:stop])
            return packed, part, bits.to_bytes(4, "little")

        def here(start: int, stop: int) -> Sequence[Item]:
            return self._inner.powers_of_one(base, exponents[start:stop], bits)

        parts = self._run("powers_of_one", len(exponents), cut, here)
        return self._inner.own(join_items(list(parts)))

    def _run(
        self,
        method: str,
        count: int,
        cut: Callable[[int, int], _Payload],
        here: Callable[[int, int], Any],
        weight: int = 1,
    ) -> Iterator[Any]:
        """The results of all chunks in order; at most two for each worker are under way.

        Each of `count` items costs `weight` times what `_seconds` says.
        """
        done = 0
        if method not in self._seconds:
            done = min(_PROBE, count)
            start = time.perf_counter()
            first = here(0, done)
            self._seen(method, time.perf_counter() - start, done)
            yield first
        if not self._worth(method, (count - done) * weight):
            if done < count:
                yield here(done, count)
            return
        waiting: deque[tuple[int, int, Future[Reply]]] = deque()
        chunk = 0
        try:
            while done < count or waiting:
                if done < count and len(waiting) < 2 * self._workers:
                    stop = min(count, done + self._chunk(method, count, weight))
                    payload = cut(done, stop)
                    future = self._executor.submit(serve, self._group, method, chunk, payload)
                    waiting.append((chunk, stop - done, future))
                    chunk, done = chunk + 1, stop
                else:
                    yield self._open(method, weight, *waiting.popleft())
        except EvoteError:
            raise
        except Exception as error:  # of the executor, or of the worker; what it was is the cause
            reason = f"{type(error).__name__}: {error}"
            raise EvoteError(f"a worker failed in {method}: {reason}") from error
        finally:
            for _, _, future in waiting:
                future.cancel()

    def _seen(self, method: str, seconds: float, count: int) -> None:
        self._seconds[method] = max(seconds, 1e-9) / max(count, 1)

    def _worth(self, method: str, count: int) -> bool:
        return count * self._seconds.get(method, 0.0) >= _WORTH_SECONDS

    def _chunk(self, method: str, count: int, weight: int) -> int:
        """Items of a chunk: all workers get as many chunks, and all chunks as many items."""
        by_time = max(1, int(_CHUNK_SECONDS / (self._seconds[method] * weight)))
        rounds = -(-count // (by_time * self._workers))
        return max(1, min(-(-count // (rounds * self._workers)), _MAX_CHUNK // weight))

    def _open(self, method: str, weight: int, chunk: int, count: int, future: Future[Reply]) -> Any:
        reply = future.result()
        group = self._group
        size = group.element_size if method == "encode" else group._numbers.item_size
        marks = count if method in ("decode", "from_uniform") else 0
        whole = (reply.chunk, reply.size, len(reply.data), len(reply.bad))
        if whole != (chunk, count, count * size, marks):
            raise EvoteError(f"chunk {chunk} of {method} came back incomplete or out of order")
        self._seen(method, reply.seconds, count * weight)
        if method == "encode":
            return reply.data
        found = Rows(group._numbers, reply.data)
        if any(reply.bad):
            return [None if bad else item for item, bad in zip(found, reply.bad, strict=True)]
        return found
