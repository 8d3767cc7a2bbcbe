"""Counting operations: costs are tested as counts, without a clock."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from evote.groups.base import Group

__all__ = ["OperationCount", "counted", "counting"]


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


def counted(group: Group, kind: str, number: int) -> None:
    for counted, counter in _counters.get():
        if counted is group or counted == group:
            setattr(counter, kind, getattr(counter, kind) + number)


@contextmanager
def counting(group: Group) -> Iterator[OperationCount]:
    """Count a group's operations inside a `with` block; blocks may nest."""
    counter = OperationCount()
    token = _counters.set((*_counters.get(), (group, counter)))
    try:
        yield counter
    finally:
        _counters.reset(token)
