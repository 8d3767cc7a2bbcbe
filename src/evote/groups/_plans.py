"""Which algorithm, how wide a window: decided by counting multiplications, for every group alike.

Costs are in multiplications of the group. Two methods are shared:

Comb (Lim and Lee, "More flexible exponentiation with precomputation", 1994), for many powers of one
base. With `teeth` h and `rows` v an exponent of h a bits, a = v b, is read as h blocks of a bits;
the digit at place i collects bit i of every block. Row k holds, for each digit, the product of
base^(2^(j a + k b)) over the digit's bits j. Then b - 1 squarings and a products make a power.
With b = 1 there is no squaring to save, so a digit is simply the next h bits.

Buckets (Pippenger), for one product of many powers; few powers share their squarings (Straus).
"""

from __future__ import annotations

import struct
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

__all__ = [
    "Comb",
    "CombCache",
    "Costs",
    "MultiexpPlan",
    "comb_digits",
    "comb_shapes",
    "plan_multiexp",
    "shortened",
]

_SHAPES = [(h, v) for h in (4, 6, 8, 10, 12) for v in (1, 2, 4, 8, 16, 32, 64)]


@dataclass(frozen=True)
class Costs:
    """Prices in multiplications.

    Attributes:
        square: one squaring.
        power: one bit of a power without any table.
        lookup: one product with an entry of a table.
        entry: making one entry of a comb.
        term: one item into a bucket.
        close: emptying one bucket.
        signed: whether inverses are free, so that buckets serve both signs.
        max_entries: of one comb, for memory.
        max_window: of buckets, so that they stay in the processor's cache.
        digits: reading the digits of a comb that has squarings.
    """

    square: float
    power: float
    lookup: float
    entry: float
    term: float
    close: float
    signed: bool
    max_entries: int
    max_window: int
    digits: float = 3.0


class Comb(NamedTuple):
    """The shape of a table and, once built, its rows."""

    teeth: int
    rows: int
    spacing: int  # b: places per row; a = rows * spacing
    table: list[list[Any]]

    @property
    def places(self) -> int:
        return self.rows * self.spacing

    def bit(self, row: int, tooth: int) -> int:
        """Which bit of an exponent is that tooth at the lowest place of a row."""
        if self.spacing == 1:
            return row * self.teeth + tooth
        return tooth * self.places + row * self.spacing

    def columns(self, exponent: int) -> Sequence[Sequence[int]]:
        """The digits of all rows, one sequence for each squaring; the first is worth most."""
        if self.spacing == 1:
            if self.teeth == 8:
                return [exponent.to_bytes(self.rows, "little")]
            mask, bits = (1 << self.teeth) - 1, self.rows * self.teeth
            return [[exponent >> start & mask for start in range(0, bits, self.teeth)]]
        digits = comb_digits(exponent, self.teeth, self.places)
        return [digits[place :: self.spacing] for place in reversed(range(self.spacing))]


def comb_shapes(bits: int) -> list[Comb]:
    """Combs without tables, for exponents of that many bits."""
    spacings = {(h, -(-bits // (h * v))) for h, v in _SHAPES}
    return [Comb(h, -(-bits // (h * b)), b, []) for h, b in sorted(spacings)]


def comb_digits(exponent: int, teeth: int, places: int) -> tuple[int, ...]:
    """For each place i, the number whose bit j is bit i + j * places of the exponent."""
    # Two bytes per bit, so that blocks overlay each other by one addition of large integers.
    text = format(exponent, f"0{teeth * places}b").encode("utf-16-be")
    ones = int.from_bytes(b"\0\1" * places, "big")
    digits = 0
    for block in range(teeth):  # from the highest
        lane = text[2 * places * block : 2 * places * (block + 1)]
        digits = digits << 1 | int.from_bytes(lane, "big") & ones
    return struct.unpack(f"<{places}H", digits.to_bytes(2 * places, "little"))


@dataclass
class _Use:
    count: int = 0
    comb: Comb | None = None


class CombCache:
    """Tables of the bases in use: small at first, larger once a base has earned it.

    After u powers of a base the table kept is the one that would have been cheapest for all u, so
    the whole never costs much more than knowing u beforehand. The least recently used go first.
    """

    def __init__(self, costs: Costs, max_bases: int = 64) -> None:
        self._costs = costs
        self._uses: OrderedDict[Hashable, _Use] = OrderedDict()
        self._max_bases = max_bases
        self._max_entries = 4 * costs.max_entries
        self._lock = threading.Lock()

    def find(
        self, base: Hashable, count: int, bits: int, build: Callable[[Comb], list[list[Any]]]
    ) -> Comb | None:
        """The comb for `count` more powers of `bits` bits; None where none pays."""
        with self._lock:
            use = self._uses.setdefault(base, _Use())
            self._uses.move_to_end(base)
            use.count += count
            current = use.comb
            best = self._best(use, bits)
            if best is not None and best is not current:
                use.comb = best._replace(table=build(best))
            self._evict(base)
            return use.comb

    def _best(self, use: _Use, bits: int) -> Comb | None:
        costs, uses = self._costs, use.count
        price, best = uses * costs.power * bits, None
        candidates = comb_shapes(bits)
        if use.comb is not None:
            candidates.append(use.comb)
        for comb in candidates:
            entries = comb.rows << comb.teeth
            if entries > costs.max_entries or comb.places * comb.teeth < bits:
                continue
            each = comb.places * costs.lookup + (comb.spacing - 1) * costs.square
            if comb.spacing > 1:
                each += costs.digits
            total = uses * each
            if comb is not use.comb:
                total += entries * costs.entry + bits * costs.square
            if total < price:
                price, best = total, comb
        return best

    def _evict(self, keep: Hashable) -> None:
        def entries() -> int:
            return sum(u.comb.rows << u.comb.teeth for u in self._uses.values() if u.comb)

        while len(self._uses) > self._max_bases or entries() > self._max_entries:
            oldest = next(iter(self._uses))
            if oldest == keep:
                break
            del self._uses[oldest]


class MultiexpPlan(NamedTuple):
    """`method` is "powers", "straus" or "buckets"; `window` in bits."""

    method: str
    window: int


def plan_multiexp(lengths: Sequence[int], costs: Costs) -> MultiexpPlan:
    """The cheapest way to multiply powers whose exponents have these bit lengths."""
    count, total, longest = len(lengths), sum(lengths), max(lengths, default=0)
    price, best = total * costs.power, MultiexpPlan("powers", 0)
    for window in range(2, 7):
        entries = 1 << (window - 1 if costs.signed else window)
        straus = longest * costs.square + total / window * costs.lookup + count * entries
        if straus < price:
            price, best = straus, MultiexpPlan("straus", window)
    for window in range(2, costs.max_window + 1):
        entries = 1 << (window - 1 if costs.signed else window)
        closing = (longest / window + 1) * entries * costs.close
        buckets = total / window * costs.term + closing + longest * costs.square
        if buckets < price:
            price, best = buckets, MultiexpPlan("buckets", window)
    return best


def shortened(
    bases: Sequence[Any],
    exponents: Sequence[int],
    q: int,
    invert: Callable[[Sequence[Any]], Sequence[Any]],
    saving: int = 16,
) -> tuple[Sequence[Any], Sequence[int]]:
    """The same powers, exponents just below q as short negative ones: of inverses, to q - e.

    Args:
        q: the order, above all exponents.
        invert: of many items at once.
        saving: how many bits shorter an exponent has to become to be worth an inverse.
    """
    least = q - (1 << max(int(q).bit_length() - saving, 0))
    chosen = [i for i, e in enumerate(exponents) if e > least]
    if not chosen:
        return bases, exponents
    bases, exponents = list(bases), list(exponents)
    for i, inverse in zip(chosen, invert([bases[i] for i in chosen]), strict=True):
        bases[i], exponents[i] = inverse, q - exponents[i]
    return bases, exponents
