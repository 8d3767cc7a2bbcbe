"""Small discrete logarithms: what turns the decrypted sum g^t of a tally into t.

Baby steps and giant steps (Shanks). The table of baby steps g^0, g^1, ... is kept per group and
grows with need, to 2^20 entries at most.
"""

from __future__ import annotations

import math
import threading

import numpy as np

from evote.errors import ParameterError, VerificationError
from evote.groups.base import Elements, Group, concatenate

__all__ = ["MAX_BOUND", "discrete_logs"]

MAX_BOUND = 2**40
_MAX_TABLE = 2**20
_MIN_TABLE = 2**6
_BLOCK = 2**13  # elements worked on at once


class _Table:
    """Positions t of the keys of g^t, 0 <= t < size."""

    def __init__(self, group: Group) -> None:
        self._next = group.identity()  # g^size
        self._lock = threading.Lock()
        self.positions: dict[int, int] = {}
        self.size = 0

    def grow(self, size: int) -> None:
        with self._lock:
            group = self._next.group
            while self.size < size:
                count = min(_BLOCK, size - self.size)
                steps = group.generator.broadcast_to((count,))
                powers = concatenate([self._next.reshape((1,)), steps]).cumprod()
                keys = group._kernel.log_keys(powers[:-1]._items)
                for t, key in enumerate(keys, self.size):
                    self.positions.setdefault(key, t)
                self._next = powers[-1]
                self.size += count


_tables: dict[Group, _Table] = {}


def discrete_logs(elements: Elements, bound: int) -> list[int]:
    """For each element, in C order, the t with element = g^t and 0 <= t <= bound.

    Cost: about sqrt(bound * n) products once for the table, and bound / table for each element.

    Raises:
        ParameterError: the bound is negative, above 2^40, or not below the order.
        VerificationError: some elements have no logarithm in the range; names their positions.
    """
    group = elements.group
    if isinstance(bound, bool) or not isinstance(bound, int | np.integer):
        raise ParameterError("the bound is an integer")
    bound = int(bound)
    if not 0 <= bound <= MAX_BOUND or bound >= group.order:
        raise ParameterError(f"bound {bound} is not in 0..2^40 or not below the order")
    flat = elements.reshape((elements.size,))
    if not flat.size:
        return []
    table = _tables.setdefault(group, _Table(group))
    wanted = math.isqrt(bound * flat.size) + 1
    table.grow(min(max(wanted, _MIN_TABLE), _MAX_TABLE, bound + 1))
    return _search(flat, bound, table)


def _search(flat: Elements, bound: int, table: _Table) -> list[int]:
    group, size = flat.group, table.size
    positions = table.positions
    found = np.full(flat.size, -1, dtype=np.int64)
    # Keys may not tell an element from its inverse, so g^t matches at any t = j size +- i.
    giants = bound // size + 2
    waiting = np.arange(flat.size)
    start = 0
    shifted = flat  # flat g^(-start size)
    giant = group.generator ** group.scalars(-size)
    while start < giants and waiting.size:
        count = max(1, min(giants - start, _BLOCK // waiting.size))
        strides = concatenate([group.identity((1,)), giant.broadcast_to((count,))]).cumprod()
        tried = shifted.reshape((-1, 1)) * strides[:-1].reshape((1, -1))
        rows, logs = [], []
        for place, key in enumerate(group._kernel.log_keys(tried._items)):
            i = positions.get(key)
            if i is not None:
                row, j = divmod(place, count)
                for t in {(start + j) * size + i, (start + j) * size - i}:
                    if 0 <= t <= bound:
                        rows.append(row)
                        logs.append(t)
        if rows:
            right = (group.generator ** group.scalars(logs)).equal_mask(flat.take(waiting[rows]))
            for row, t, holds in zip(rows, logs, right, strict=True):
                if holds:
                    found[waiting[row]] = t
            still = np.flatnonzero(found[waiting] < 0)
            waiting, shifted = waiting[still], shifted.take(still)
        shifted = shifted * strides[-1]
        start += count
    if waiting.size:
        shown = ", ".join(map(str, waiting[:10])) + (", ..." if waiting.size > 10 else "")
        raise VerificationError(f"no logarithm from 0 to {bound} at index {shown}")
    return [int(t) for t in found]
