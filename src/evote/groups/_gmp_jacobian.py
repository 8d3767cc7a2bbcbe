"""Fast arithmetic of short-Weierstrass curves of prime order.

A point is Jacobian, (X, Y, Z) with x = X/Z^2 and y = Y/Z^3, where Z = 0 is the identity; an affine
point is (x, y), or None for the identity. Many additions into one place go by (X, Y, Z^2, Z^3): an
affine point is added for 10 products instead of 11, two such sums for 14 instead of 16. The
formulas are those of Bernstein and Lange's explicit-formulas database ("madd", "dbl-2001-b",
"madd-2008-s" and their kin). They are not complete: where a factor H vanishes the points are equal
or opposite, and a slower way is taken. The loops repeat the formulas because a call costs as much
as two products.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import TypeAlias

from gmpy2 import mpz

from evote.groups._inverses import inverses
from evote.groups._plans import Comb, Costs, plan_multiexp
from evote.groups._weierstrass import Curve

__all__ = ["COSTS", "IDENTITY", "Affine", "Jacobian", "Point", "Sum"]

Point: TypeAlias = tuple[mpz, mpz, mpz]
Affine: TypeAlias = tuple[mpz, mpz] | None
Sum: TypeAlias = tuple[mpz, mpz, mpz, mpz] | None

_ONE = mpz(1)
IDENTITY: Point = (_ONE, _ONE, mpz(0))

COSTS = Costs(
    square=0.6,
    power=0.8,
    lookup=0.65,
    entry=1.3,
    term=0.65,
    close=1.8,
    signed=True,
    max_entries=2**14,
    max_window=11,
)
"""In additions of two Jacobian points, 16 products."""

_WINDOW = 5  # of one power
_AT_ONCE = 256  # powers that share an inversion
_PIECES = 4  # of the exponents of a point that has several


class Jacobian:
    """The points of one curve."""

    def __init__(self, curve: Curve) -> None:
        self.p, self.q = mpz(curve.p), mpz(curve.q)
        self.base: Point = (mpz(curve.x), mpz(curve.y), _ONE)
        minus_3 = curve.a == curve.p - 3
        self._a = mpz(-3) if minus_3 else mpz(curve.a)
        # Constant-time powers: this many windows of four bits under the top one.
        self._windows = -(-(3 * curve.q).bit_length() // 4) - 1
        if minus_3:
            self.doublings = self._doublings_minus_3
        elif curve.a == 0:
            self.doublings = self._doublings_0
        else:
            self.doublings = self._doublings_any

    def add(self, a: Point, b: Point) -> Point:
        x1, y1, z1 = a
        x2, y2, z2 = b
        if z2 == 1:
            return self.add_affine(a, (x2, y2))
        if not z1:
            return b
        if not z2:
            return a
        p = self.p
        square1, square2 = z1 * z1 % p, z2 * z2 % p
        u = x1 * square2 % p
        h = x2 * square1 % p - u
        s = y1 * (z2 * square2 % p) % p
        r = y2 * (z1 * square1 % p) % p - s
        if not h:
            return IDENTITY if r else self.doublings(a, 1)
        hh = h * h % p
        hhh, v = h * hh % p, u * hh % p
        x = (r * r - hhh - 2 * v) % p
        return x, (r * (v - x) - s * hhh) % p, z1 * z2 % p * h % p

    def add_affine(self, a: Point, b: Affine) -> Point:
        if b is None:
            return a
        x, y, z = a
        x2, y2 = b
        if not z:
            return x2, y2, _ONE
        p = self.p
        square = z * z % p
        h = x2 * square % p - x
        r = y2 * (z * square % p) % p - y
        if not h:
            return IDENTITY if r else self.doublings(a, 1)
        hh = h * h % p
        hhh, v = h * hh % p, x * hh % p
        x = (r * r - hhh - 2 * v) % p
        return x, (r * (v - x) - y * hhh) % p, z * h % p

    def _doublings_minus_3(self, a: Point, count: int) -> Point:
        """a^(2^count)."""
        p = self.p
        x, y, z = a
        for _ in range(count):
            zz, w = z * z % p, y + y
            yy = w * y % p
            s, m = (x + x) * yy % p, 3 * (x - zz) * (x + zz) % p
            z = w * z % p
            x = (m * m - s - s) % p
            y = (m * (s - x) - (yy + yy) * yy) % p
        return x, y, z

    def _doublings_0(self, a: Point, count: int) -> Point:
        p = self.p
        x, y, z = a
        for _ in range(count):
            w = y + y
            yy = w * y % p
            s, m = (x + x) * yy % p, 3 * x * x % p
            z = w * z % p
            x = (m * m - s - s) % p
            y = (m * (s - x) - (yy + yy) * yy) % p
        return x, y, z

    def _doublings_any(self, a: Point, count: int) -> Point:
        p, aa = self.p, self._a
        x, y, z = a
        for _ in range(count):
            zz, w = z * z % p, y + y
            yy = w * y % p
            s, m = (x + x) * yy % p, (3 * x * x + aa * (zz * zz % p)) % p
            z = w * z % p
            x = (m * m - s - s) % p
            y = (m * (s - x) - (yy + yy) * yy) % p
        return x, y, z

    def negative(self, a: Point) -> Point:
        x, y, z = a
        return x, self.p - y, z

    def to_affine(self, points: Sequence[Point]) -> list[Affine]:
        """Every point as (x, y), the identity as None."""
        p = self.p
        if all(z == 1 for _, _, z in points):
            return [(x, y) for x, y, _ in points]
        roots = iter(inverses([z for _, _, z in points if z], p))
        result: list[Affine] = []
        for x, y, z in points:
            if z:
                inverse = next(roots)
                square = inverse * inverse % p
                result.append((x * square % p, y * (square * inverse % p) % p))
            else:
                result.append(None)
        return result

    # -- powers ----------------------------------------------------------------------------------

    def powers(self, points: Sequence[Point], exponents: Sequence[int]) -> list[Point]:
        """Windowed non-adjacent forms; time depends on the exponents.

        A point that stands several times in a row shares the doublings that lead to its powers
        with 2^s, 2^2s, ..: exponents are then read in pieces of s bits.
        """
        step = -(-self.q.bit_length() // _PIECES)
        runs = self._runs(points, [int(e) for e in exponents], step)
        result = []
        for start in range(0, len(runs), _AT_ONCE):
            part = runs[start : start + _AT_ONCE]
            bases: list[Point] = []
            for point, _, pieces in part:
                bases.append(point)
                for _ in range(pieces - 1):
                    bases.append(self.doublings(bases[-1], step))
            tables = iter(self._odd_multiples(bases, 1 << (_WINDOW - 2)))
            for _, numbers, pieces in part:
                own = [next(tables) for _ in range(pieces)]
                result += [self._interleave(own, _split(e, step, pieces), _WINDOW) for e in numbers]
        return result

    @staticmethod
    def _runs(
        points: Sequence[Point], exponents: list[int], step: int
    ) -> list[tuple[Point, list[int], int]]:
        """Each point with the exponents it has in a row, and how many pieces these are read in."""
        runs: list[tuple[Point, list[int], int]] = []
        start = 0
        while start < len(points):
            end = start + 1
            while end < len(points) and points[end] is points[start]:
                end += 1
            numbers = exponents[start:end]
            several = len(numbers) > 1 and max(numbers) >> 2 * step
            runs.append((points[start], numbers, _PIECES if several else 1))
            start = end
        return runs

    def power_constant_time(self, point: Point, exponent: int) -> Point:
        """The same doublings and additions for every exponent, of odd multiples.

        The exponent is replaced by an odd number from q to 3 q that is the same modulo q (Joye and
        Tunstall, "Exponent recoding and regular exponentiation algorithms", 2009). Only for 0 and
        about sixteen other exponents does the last addition meet equal or opposite points.
        """
        odd = exponent + (1 + (exponent & 1)) * int(self.q)
        # odd = sum of d_i 16^i, where d_i = 2 (bits 4 i + 1 .. 4 i + 4) - 15; the top one is as is
        [table] = self._odd_multiples([point], 8)
        top = 4 * self._windows + 1
        result = self.add_affine(IDENTITY, table[odd >> top])
        for start in range(top - 4, 0, -4):
            result = self.add_affine(self.doublings(result, 4), table[(odd >> start & 15) - 8])
        return result

    def _odd_multiples(self, points: Sequence[Point], count: int) -> list[list[Affine]]:
        """For each point a the powers a^(2 d + 1) at index d, -count <= d < count."""
        flat: list[Point] = []
        for point in points:
            twice = self.doublings(point, 1)
            flat.append(point)
            for _ in range(count - 1):
                flat.append(self.add(flat[-1], twice))
        p, affine = self.p, self.to_affine(flat)
        tables = []
        for i in range(0, len(affine), count):
            table = affine[i : i + count]
            tables.append(table + [a and (a[0], p - a[1]) for a in reversed(table)])
        return tables

    def _interleave(
        self, tables: Sequence[Sequence[Affine]], exponents: Sequence[int], window: int
    ) -> Point:
        """Straus: non-adjacent forms whose doublings all share."""
        steps: defaultdict[int, list[Affine]] = defaultdict(list)
        for table, exponent in zip(tables, exponents, strict=True):
            for place, digit in _non_adjacent_form(exponent, window):
                steps[place].append(table[digit >> 1])
        result, last = IDENTITY, 0
        for place in sorted(steps, reverse=True):
            result = self.doublings(result, last - place)
            last = place
            for point in steps[place]:
                result = self.add_affine(result, point)
        return self.doublings(result, last)

    def multiexp(self, points: Sequence[Point], exponents: Sequence[int]) -> Point:
        """The product (curves are written multiplicatively) of points to exponents >= 0."""
        pairs = sorted(
            ((int(e), a) for e, a in zip(exponents, points, strict=True) if e), key=_by_length
        )
        if not pairs:
            return IDENTITY
        numbers, items = [e for e, _ in pairs], [a for _, a in pairs]
        plan = plan_multiexp([e.bit_length() for e in numbers], COSTS)
        if plan.method == "buckets":
            return self._buckets(items, numbers, plan.window)
        window = max(plan.window + 1, 4)
        return self._interleave(self._odd_multiples(items, 1 << (window - 2)), numbers, window)

    def _buckets(self, points: Sequence[Point], exponents: list[int], window: int) -> Point:
        """Pippenger with signed digits and affine points; longest exponents first."""
        p, one = self.p, _ONE
        half, mask = 1 << (window - 1), (1 << window) - 1
        # Digits from -half to half - 1, each plus half: the top one never overflows.
        counts = [(e.bit_length() + 1) // window + 1 for e in exponents]
        offsets = {n: sum(half << (window * k) for k in range(n)) for n in set(counts)}
        shifted = [e + offsets[n] for e, n in zip(exponents, counts, strict=True)]
        lengths = [-n for n in counts]
        affine = self.to_affine(points)
        result = IDENTITY
        for k in reversed(range(counts[0])):
            result = self.doublings(result, window)
            shift = window * k
            buckets: list[Sum] = [None] * (half + 1)
            active = bisect_left(lengths, -k)
            for point, scalar in zip(affine[:active], shifted, strict=False):
                digit = (scalar >> shift & mask) - half
                if not digit or point is None:
                    continue
                px, py = point
                if digit < 0:
                    digit, py = -digit, p - py
                bucket = buckets[digit]
                if bucket is None:
                    buckets[digit] = px, py, one, one
                    continue
                x, y, zz, zzz = bucket
                h, r = px * zz % p - x, py * zzz % p - y
                if not h:
                    buckets[digit] = None if r else self._double_sum(bucket)
                    continue
                hh = h * h % p
                hhh, v = h * hh % p, x * hh % p
                x = (r * r - hhh - 2 * v) % p
                buckets[digit] = x, (r * (v - x) - y * hhh) % p, zz * hh % p, zzz * hhh % p
            result = self.add(result, self._from_sum(self._close(buckets)))
        return result

    def _close(self, buckets: list[Sum]) -> Sum:
        """The product of bucket[i]^i."""
        total: Sum = None
        running: Sum = None
        for bucket in buckets[:0:-1]:
            running = self._add_sums(running, bucket)
            total = self._add_sums(total, running)
        return total

    def _add_sums(self, a: Sum, b: Sum) -> Sum:
        if a is None:
            return b
        if b is None:
            return a
        p = self.p
        x1, y1, zz1, zzz1 = a
        x2, y2, zz2, zzz2 = b
        u, s = x1 * zz2 % p, y1 * zzz2 % p
        h, r = x2 * zz1 % p - u, y2 * zzz1 % p - s
        if not h:
            return None if r else self._double_sum(a)
        hh = h * h % p
        hhh, v = h * hh % p, u * hh % p
        x = (r * r - hhh - 2 * v) % p
        return (
            x,
            (r * (v - x) - s * hhh) % p,
            zz1 * zz2 % p * hh % p,
            zzz1 * zzz2 % p * hhh % p,
        )

    def _double_sum(self, a: Sum) -> Sum:
        if a is None:
            return None
        p = self.p
        x, y, zz, zzz = a
        u = y + y
        v = u * u % p
        w, s = u * v % p, x * v % p
        m = (3 * x * x + self._a * (zz * zz % p)) % p
        x = (m * m - s - s) % p
        return x, (m * (s - x) - w * y) % p, v * zz % p, w * zzz % p

    def _from_sum(self, a: Sum) -> Point:
        if a is None:
            return IDENTITY
        p = self.p
        x, y, zz, zzz = a  # with Z = zzz: Z^2 = zz^3 and Z^3 = zzz zzz^2
        return x * zz % p * zz % p, y * zzz % p * zzz % p, zzz

    # -- tables ----------------------------------------------------------------------------------

    def build_table(self, base: Point, comb: Comb) -> list[list[Affine]]:
        doubles = list(
            accumulate(
                range(comb.teeth * comb.places - 1),
                lambda a, _: self.doublings(a, 1),
                initial=base,
            )
        )
        points: list[list[Point]] = [[IDENTITY] for _ in range(comb.rows)]
        for k, row in enumerate(points):
            for j in range(comb.teeth):
                tooth = doubles[comb.bit(k, j)]
                row += [tooth, *(self.add(a, tooth) for a in row[1:])]
        # Fresh numbers take just the memory they need, side by side.
        return [
            [a and (mpz(int(a[0])), mpz(int(a[1]))) for a in self.to_affine(row)] for row in points
        ]

    def comb_power(self, comb: Comb, exponent: int) -> Point:
        p = self.p
        result: Sum = None
        for digits in comb.columns(exponent):
            result = self._double_sum(result)
            for row, digit in zip(comb.table, digits, strict=True):
                entry = row[digit]
                if entry is None:
                    continue
                px, py = entry
                if result is None:
                    result = px, py, _ONE, _ONE
                    continue
                x, y, zz, zzz = result
                h, r = px * zz % p - x, py * zzz % p - y
                if not h:
                    result = None if r else self._double_sum(result)
                    continue
                hh = h * h % p
                hhh, v = h * hh % p, x * hh % p
                x = (r * r - hhh - 2 * v) % p
                result = x, (r * (v - x) - y * hhh) % p, zz * hh % p, zzz * hhh % p
        return self._from_sum(result)


def _by_length(pair: tuple[int, Point]) -> int:
    return -pair[0].bit_length()


def _non_adjacent_form(exponent: int, window: int) -> Iterator[tuple[int, int]]:
    """Places and odd digits of absolute value below 2^(w - 1), at least w places apart."""
    half, mask, place = 1 << (window - 1), (1 << window) - 1, 0
    while exponent:
        zeros = (exponent & -exponent).bit_length() - 1
        exponent >>= zeros
        place += zeros
        digit = exponent & mask
        exponent >>= window
        if digit >= half:
            digit -= mask + 1
            exponent += 1
        yield place, digit
        place += window


def _split(exponent: int, step: int, pieces: int) -> list[int]:
    """Pieces of `step` bits, from the lowest; the last takes the rest."""
    mask = (1 << step) - 1
    parts = [exponent >> step * i & mask for i in range(pieces - 1)]
    return [*parts, exponent >> step * (pieces - 1)]
