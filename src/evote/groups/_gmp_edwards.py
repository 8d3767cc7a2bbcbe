"""Fast arithmetic of edwards25519 points, as points of the whole curve: torsion is kept.

Points are extended coordinates (X, Y, Z, T) with x = X/Z, y = Y/Z, T = XY/Z. A triple is an affine
point prepared for addition, (y + x, y - x, 2 D x y): adding one costs 7 products instead of 9.
The formulas are those of Hisil, Wong, Carter and Dawson ("Twisted Edwards curves revisited", 2008)
for a = -1. They are complete: no case is special. Sums of products stay unreduced where the next
product takes them as well. The loops repeat the formulas because a call costs as much as two
products.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate
from operator import getitem
from typing import TypeAlias

from gmpy2 import mpz

from evote.groups import _edwards25519 as ed
from evote.groups._inverses import inverses
from evote.groups._plans import Comb, Costs, plan_multiexp

__all__ = [
    "BASE",
    "COSTS",
    "NEUTRAL",
    "Point",
    "Triple",
    "add",
    "build_table",
    "comb_power",
    "double",
    "doublings",
    "multiexp",
    "negative",
    "power",
    "power_constant_time",
    "powers_of_one",
    "to_triples",
]

Point: TypeAlias = tuple[mpz, mpz, mpz, mpz]
Triple: TypeAlias = tuple[mpz, mpz, mpz]

_P = mpz(ed.P)
_D2 = mpz(2 * ed.D % ed.P)
_L = mpz(ed.L)
NEUTRAL: Point = (mpz(0), mpz(1), mpz(1), mpz(0))
BASE: Point = (mpz(ed.BASE_X), mpz(ed.BASE_Y), mpz(1), mpz(ed.BASE_X * ed.BASE_Y % ed.P))

COSTS = Costs(
    square=0.78,
    power=1.0,
    lookup=0.7,
    entry=1.4,
    term=0.8,
    close=2.2,
    signed=True,
    max_entries=2**15,  # 8 MiB
    max_window=11,
)
"""In additions of 9 products."""


def add(a: Point, b: Point) -> Point:
    x1, y1, z1, t1 = a
    x2, y2, z2, t2 = b
    u = (y1 - x1) * (y2 - x2)
    v = (y1 + x1) * (y2 + x2)
    c = t1 * t2 % _P * _D2
    d = 2 * z1 * z2
    e, f, g, h = v - u, (d - c) % _P, (d + c) % _P, v + u
    return e * f % _P, g * h % _P, f * g % _P, e * h % _P


def double(a: Point) -> Point:
    return doublings(a, 1)


def doublings(a: Point, count: int) -> Point:
    """a^(2^count), count > 0; T is not needed between."""
    x, y, z, _ = a
    for _ in range(count):
        u, v = x * x, y * y
        e, g = -2 * x * y % _P, (u - v) % _P
        f, h = (g + 2 * z * z) % _P, u + v
        x, y, z = e * f % _P, g * h % _P, f * g % _P
    return x, y, z, e * h % _P


def negative(a: Point) -> Point:
    x, y, z, t = a
    return _P - x, y, z, _P - t


def to_triples(points: Sequence[Point]) -> list[Triple]:
    if all(z == 1 for _, _, z, _ in points):
        return [(y + x, y - x, t * _D2 % _P) for x, y, _, t in points]
    result = []
    for (x, y, _, t), inverse in zip(
        points, inverses([z for _, _, z, _ in points], _P), strict=True
    ):
        u, v = x * inverse % _P, y * inverse % _P
        result.append((v + u, v - u, t * inverse % _P * _D2 % _P))
    return result


def power(point: Point, exponent: int) -> Point:
    """Time depends on the exponent."""
    digits = _odd_digits(exponent)
    if not digits:
        return NEUTRAL
    odd, twice = [point], double(point)
    for _ in range(7):
        odd.append(add(odd[-1], twice))
    multiples = {2 * i + 1: a for i, a in enumerate(odd)}
    multiples |= {-digit: negative(a) for digit, a in multiples.items()}
    last, digit = digits.pop()
    result = multiples[digit]
    for place, digit in reversed(digits):
        result = add(doublings(result, last - place), multiples[digit])
        last = place
    return doublings(result, last) if last else result


def powers_of_one(point: Point, exponents: Sequence[int]) -> list[Point]:
    """A few powers of one point, which share their doublings; time depends on the exponents."""
    p = _P
    chosen = [_odd_digits(exponent) for exponent in exponents]
    longest = max((digits[-1][0] for digits in chosen if digits), default=0)
    x, y, z, t = point
    doubles = [(x, y, z, t, mpz(1))]  # the last two multiplied are T
    for _ in range(longest):
        u, v = x * x, y * y
        e, g = -2 * x * y % p, (u - v) % p
        f, h = (g + 2 * z * z) % p, u + v
        x, y, z = e * f % p, g * h % p, f * g % p
        doubles.append((x, y, z, e, h))
    results = []
    for digits in chosen:
        buckets: list[Point | None] = [None] * 8  # of 1, 3, ..., 15
        for place, digit in digits:
            x, y, z, e, h = doubles[place]
            if digit < 0:
                x, e, digit = p - x, -e, -digit
            term = x, y, z, e * h % p
            bucket = buckets[digit >> 1]
            buckets[digit >> 1] = term if bucket is None else add(bucket, term)
        # sum of (2 i + 1) b_i = 2 (sum of i b_i) + sum of b_i
        total = running = NEUTRAL
        for bucket in buckets[:0:-1]:
            running = running if bucket is None else add(running, bucket)
            total = add(total, running)
        running = running if buckets[0] is None else add(running, buckets[0])
        results.append(add(double(total), running))
    return results


def _odd_digits(exponent: int) -> list[tuple[int, int]]:
    """Places and digits, odd from -15 to 15, five places apart at least (NAF)."""
    digits = []
    rest, place = mpz(exponent), 0
    while rest:
        zeros = rest.bit_scan1()
        rest >>= zeros
        place += zeros
        digit = int(rest & 31)
        digit -= 32 if digit > 16 else 0
        digits.append((place, digit))
        rest = rest - digit >> 5
        place += 5
    return digits


def power_constant_time(point: Point, exponent: int) -> Point:
    """Always 63 times four doublings and one addition, of odd multiples that are never neutral.

    For points of order L, up to torsion: the exponent is replaced by an odd 256-bit number that is
    the same modulo L (Joye and Tunstall, "Exponent recoding and regular exponentiation", 2009).
    """
    odd = exponent + (12 + (exponent & 1 ^ 1)) * ed.L  # 12 L <= odd < 14 L, and L is odd
    # odd = sum of d_i 16^i, where d_i = 2 (bits 4 i + 1 .. 4 i + 4) - 15
    twice = double(point)
    positive = [point]
    for _ in range(7):
        positive.append(add(positive[-1], twice))
    multiples = [negative(a) for a in reversed(positive)] + positive
    result = multiples[8 + (odd >> 253)]
    for start in range(249, -1, -4):
        result = add(doublings(result, 4), multiples[odd >> start & 15])
    return result


def build_table(base: Point, comb: Comb) -> list[list[Triple]]:
    doubles = list(
        accumulate(range(comb.teeth * comb.places - 1), lambda a, _: double(a), initial=base)
    )
    points: list[list[Point]] = [[NEUTRAL] for _ in range(comb.rows)]
    for k, row in enumerate(points):
        for j in range(comb.teeth):
            tooth = doubles[comb.bit(k, j)]
            row += [tooth, *(add(a, tooth) for a in row[1:])]
    # Fresh numbers take just the memory they need, side by side.
    return [
        [(mpz(int(a % _P)), mpz(int(b % _P)), mpz(int(c))) for a, b, c in to_triples(row)]
        for row in points
    ]


def comb_power(comb: Comb, exponent: int) -> Point:
    p = _P
    x, y, z, t = NEUTRAL
    for column, digits in enumerate(comb.columns(exponent)):
        entries = map(getitem, comb.table, digits)
        if column:
            x, y, z, t = double((x, y, z, t))
        else:
            plus, minus, _ = next(entries)
            u, v = plus - minus, plus + minus
            x, y, z, t = 2 * u, 2 * v, mpz(4), u * v % p  # (4 x : 4 y : 4 : 4 x y)
        for plus, minus, t2 in entries:
            u, v, c, d = (y - x) * minus, (y + x) * plus, t * t2 % p, z + z
            e, f, g, h = v - u, d - c, d + c, v + u
            x, y, z, t = e * f % p, g * h % p, f * g % p, e * h % p
    return x, y, z, t


def multiexp(points: Sequence[Point], exponents: Sequence[int]) -> Point:
    """The product (curves are written multiplicatively) of points to exponents >= 0."""
    pairs = sorted(
        ((int(e), a) for e, a in zip(exponents, points, strict=True) if e), key=_by_length
    )
    numbers, items = [e for e, _ in pairs], [a for _, a in pairs]
    if not pairs:
        return NEUTRAL
    plan = plan_multiexp([e.bit_length() for e in numbers], COSTS)
    if plan.method == "buckets":
        return _buckets(items, numbers, plan.window)
    return _straus(items, numbers, plan.window or 4)


def _by_length(pair: tuple[int, Point]) -> int:
    return -pair[0].bit_length()


def _recode(exponents: list[int], window: int) -> tuple[list[int], list[int]]:
    """Digits from -2^(w-1) to 2^(w-1) - 1 in plain windows, and how many windows there are.

    Adding 2^(w-1) at every window turns a digit into its unsigned window, so that
    (shifted >> w k) mod 2^w - 2^(w-1) is digit k. The top window never overflows.
    """
    half = 1 << (window - 1)
    counts = [(e.bit_length() + 1) // window + 1 for e in exponents]
    offsets = {n: sum(half << (window * k) for k in range(n)) for n in set(counts)}
    return [e + offsets[n] for e, n in zip(exponents, counts, strict=True)], counts


def _straus(points: list[Point], exponents: list[int], window: int) -> Point:
    """Doublings shared by all; longest exponents first."""
    half, mask = 1 << (window - 1), (1 << window) - 1
    shifted, counts = _recode(exponents, window)
    tables = []
    for point in points:
        multiples = [NEUTRAL, point, double(point)]
        while len(multiples) <= half:
            multiples.append(add(multiples[-1], point))
        tables.append(multiples[: half + 1] + [negative(a) for a in multiples[half:0:-1]])
    lengths = [-n for n in counts]
    result = NEUTRAL
    for k in reversed(range(counts[0])):
        result = doublings(result, window)
        active = bisect_left(lengths, -k)
        for table, e in zip(tables[:active], shifted, strict=False):
            digit = (e >> window * k & mask) - half
            if digit:
                result = add(result, table[digit])
    return result


def _buckets(points: list[Point], exponents: list[int], window: int) -> Point:
    """Pippenger with signed digits and affine points; longest exponents first."""
    p, half, mask = _P, 1 << (window - 1), (1 << window) - 1
    triples = to_triples(points)
    shifted, counts = _recode(exponents, window)
    lengths = [-n for n in counts]
    result = NEUTRAL
    for k in reversed(range(counts[0])):
        result = doublings(result, window)
        shift = window * k
        buckets: list[Point | None] = [None] * (half + 1)
        active = bisect_left(lengths, -k)
        for (plus, minus, t2), scalar in zip(triples[:active], shifted, strict=False):
            digit = (scalar >> shift & mask) - half
            if digit > 0:
                bucket = buckets[digit]
                if bucket is None:  # (4 x : 4 y : 4 : 4 x y)
                    u, v = plus - minus, plus + minus
                    buckets[digit] = 2 * u, 2 * v, mpz(4), u * v % p
                    continue
                x, y, z, t = bucket
                u, v, c, d = (y - x) * minus, (y + x) * plus, t * t2 % p, z + z
                e, f, g, h = v - u, d - c, d + c, v + u
                buckets[digit] = e * f % p, g * h % p, f * g % p, e * h % p
            elif digit:
                bucket = buckets[-digit]
                if bucket is None:
                    u, v = minus - plus, plus + minus
                    buckets[-digit] = 2 * u, 2 * v, mpz(4), u * v % p
                    continue
                x, y, z, t = bucket
                u, v, c, d = (y - x) * plus, (y + x) * minus, t * t2 % p, z + z
                e, f, g, h = v - u, d + c, d - c, v + u
                buckets[-digit] = e * f % p, g * h % p, f * g % p, e * h % p
        result = add(result, _close(buckets))
    return result


def _close(buckets: list[Point | None]) -> Point:
    """The product of bucket[i]^i."""
    total = running = NEUTRAL
    for bucket in buckets[:0:-1]:
        if bucket is not None:
            running = add(running, bucket)
        total = add(total, running)
    return total
