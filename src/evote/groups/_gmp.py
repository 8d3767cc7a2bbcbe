"""The default backend of Z_p^*: gmpy2's integers, with tables and buckets.

A modular product in Python costs little more than GMP's own work at 2048 bits and up, so what
counts is the number of products; see `_plans`.
"""

from __future__ import annotations

import os
from bisect import bisect_left
from collections.abc import Sequence
from functools import reduce
from itertools import accumulate, groupby
from operator import itemgetter

import gmpy2
from gmpy2 import mpz

from evote.groups._inverses import inverses
from evote.groups._kernel import RowByRow
from evote.groups._plans import Comb, CombCache, Costs, plan_multiexp, shortened

__all__ = ["ModPKernel"]

_SAVING = 48  # bits of an exponent that are worth the four products of an inverse
_TEETH = 6  # of the comb of a base that has a few exponents
_LONG = 128  # bits of an exponent from which it pays
_SUBSETS, _TOGETHER = 128, 6
_MANY = 256  # elements from which on products of subsets are cheaper than each by itself
_BATCH = 32  # elements whose membership is asked together: fewer are cheaper one by one


def _costs(bits: int) -> Costs:
    return Costs(
        square=1.0,
        power=0.9,  # GMP stays in Montgomery form: a step costs less than a product and remainder
        lookup=1.0,
        entry=1.0,
        term=1.05,
        close=2.0,
        signed=False,
        max_entries=max(1024, 2**27 // bits),  # 16 MiB,
        max_window=12,
        digits=0.5,
    )


class ModPKernel(RowByRow):
    """The subgroup of order q of the integers modulo p; items are 0 < x < p."""

    def __init__(self, p: int, q: int, g: int, *, prime_cofactor: bool = False) -> None:
        self.p, self.q = mpz(p), mpz(q)
        self.modulus = self.p
        self.identity, self.generator = mpz(1), mpz(g)
        self._width = (p.bit_length() + 7) // 8
        self._uniform_size = self._width + 16
        self._safe_prime, self._prime_cofactor = p == 2 * q + 1, prime_cofactor
        self.block_size = (p.bit_length() - 2) // 8 if self._safe_prime else 0
        # Exponents e + blind, 0 <= e < q, all fill the same number of machine words. Where q fills
        # its words to the last bit, as in ElectionGuard's groups, e itself does too, but for less
        # than one in 2^63, and a blinded exponent would be a word longer: a quarter of the time.
        limbs = {-(-x.bit_length() // 64) for x in (q, 2 * q - 1)}
        self._blind = self.q if len(limbs) == 1 else 2 * self.q
        filled = q.bit_length() >= 256 and not q.bit_length() % 64
        self._blind_below = mpz(1) << (q.bit_length() - 64) if filled else self.q
        self._costs = _costs(p.bit_length())
        self._combs = CombCache(self._costs)

    def decode(self, data: bytes) -> list[mpz | None]:
        p, width = self.p, self._width
        starts = range(0, len(data), width)
        values = [mpz.from_bytes(data[i : i + width], "big") for i in starts]
        if self._safe_prime:  # the only subgroups are those of orders 1, 2, q and 2q
            return [x if 0 < x < p and gmpy2.jacobi(x, p) == 1 else None for x in values]
        if self._prime_cofactor:
            return self._members(values)
        if len(values) >= _MANY and self._subsets_are_members(values):
            return list(values)
        q, powmod = self.q, gmpy2.powmod
        return [x if 0 < x < p and powmod(x, q, p) == 1 else None for x in values]

    def _members(self, values: Sequence[mpz]) -> list[mpz | None]:
        """Ask for all together, and by halves where some are none."""
        p, q = self.p, self.q
        found: list[mpz | None] = [None] * len(values)
        waiting = [[i for i, x in enumerate(values) if 0 < x < p and gmpy2.jacobi(x, p) == 1]]
        while waiting:
            part = waiting.pop()
            if len(part) < _BATCH:
                for i in part:
                    found[i] = values[i] if gmpy2.powmod(values[i], q, p) == 1 else None
            elif self._are_members([values[i] for i in part]):
                for i in part:
                    found[i] = values[i]
            else:
                middle = len(part) // 2
                waiting += [part[:middle], part[middle:]]
        return found

    def _subsets_are_members(self, values: Sequence[mpz]) -> bool:
        """Whether all are members, in any group; error 2^-128.

        The products of 128 random subsets are asked. Where a number is no member, a product with it
        and the same one without it are not both members, so half of all subsets tell; weights would
        not do, for a number of order 3 is lost in a third of them. Numbers are taken six at a time,
        with a table of their 64 products: 32 products a number, a tenth of a power.
        """
        p, q = self.p, self.q
        if not all(0 < x < p for x in values):
            return False
        products = [self.identity] * _SUBSETS
        for start in range(0, len(values), _TOGETHER):
            table = [self.identity]
            for x in values[start : start + _TOGETHER]:
                table += [x * y % p for y in table]
            last = len(table) - 1
            chosen = os.urandom(_SUBSETS)
            products = [x * table[i & last] % p for x, i in zip(products, chosen, strict=True)]
        return all(gmpy2.powmod(x, q, p) == 1 for x in products)

    def _are_members(self, values: Sequence[mpz]) -> bool:
        """Whether all of these are members, at a tenth of the cost of asking each; error 2^-128.

        Their Jacobi symbols are 1. Where p - 1 = 2 q r for a prime r > 2^128, as in ElectionGuard's
        groups, each is then a member times an element of order 1 or r. Raised to q, a product of
        powers with random weights loses the members; where an element of order r takes part, at
        most one of the 2^128 weights it may have makes the rest 1. With a small factor in the
        cofactor too much would pass: 3 divides the cofactor of Belenios' group; 3, 5, 13, 23 and
        647 that of Helios'.
        """
        p = self.p
        random = os.urandom(16 * len(values))
        starts = range(0, len(random), 16)
        weights = [int.from_bytes(random[i : i + 16], "little") for i in starts]
        return bool(gmpy2.powmod(self._multiexp(values, weights), self.q, p) == 1)

    def encode(self, items: Sequence[mpz]) -> bytes:
        width = self._width
        return b"".join([mpz(x).to_bytes(width, "big") for x in items])

    def equal(self, a: Sequence[mpz], b: Sequence[mpz]) -> list[bool]:
        return [x == y for x, y in zip(a, b, strict=True)]

    def multiply(self, a: Sequence[mpz], b: Sequence[mpz]) -> list[mpz]:
        p = self.p
        return [x * y % p for x, y in zip(a, b, strict=True)]

    def invert(self, items: Sequence[mpz]) -> list[mpz]:
        return inverses(items, self.p)

    def product(self, items: Sequence[mpz]) -> mpz:
        p = self.p
        return reduce(lambda x, y: x * y % p, items, self.identity)

    def running_products(self, items: Sequence[mpz]) -> list[mpz]:
        p = self.p
        return list(accumulate(items, lambda x, y: x * y % p))

    def powers(self, bases: Sequence[mpz], exponents: Sequence[int]) -> list[mpz]:
        """One by one; a base that stands several times in a row shares its squarings."""
        p, powmod = self.p, gmpy2.powmod
        result: list[mpz] = []
        for base, run in groupby(zip(bases, exponents, strict=True), itemgetter(0)):
            numbers = [int(e) for _, e in run]
            longest = max(numbers).bit_length()
            if len(numbers) > 1 and longest >= _LONG:
                result += self._powers_in_a_row(mpz(base), numbers, longest)
            else:
                result += [powmod(base, e, p) for e in numbers]
        return result

    def _powers_in_a_row(self, base: mpz, exponents: list[int], longest: int) -> list[mpz]:
        """A comb of one row, whose squarings GMP does: worth it from two exponents on."""
        p, places = self.p, -(-longest // _TEETH)
        step, power, row = mpz(1) << places, base, [self.identity]
        for tooth in range(_TEETH):
            if tooth:
                power = gmpy2.powmod(power, step, p)
            row += [x * power % p for x in row]
        comb = Comb(_TEETH, 1, places, [row])
        return [self._comb_power(comb, e) for e in exponents]

    def powers_constant_time(self, bases: Sequence[mpz], exponents: Sequence[int]) -> list[mpz]:
        p, powmod, fill = self.p, gmpy2.powmod_sec, self._fill_words
        return [powmod(x, fill(e), p) for x, e in zip(bases, exponents, strict=True)]

    def _fill_words(self, exponent: int) -> int:
        """The exponent or one that is the same modulo q: positive, of always as many words."""
        return exponent + self._blind if exponent < self._blind_below else exponent

    def powers_of_one(self, base: mpz, exponents: Sequence[int], bits: int) -> list[mpz]:
        base = mpz(base)
        longest = self.q.bit_length()
        if 8 * bits < longest:  # small public numbers: a comb would still do all its places
            return self.powers([base] * len(exponents), exponents)

        comb = self._combs.find(
            base, len(exponents), longest, lambda comb: self._build_table(base, comb)
        )
        if comb is None:
            return self.powers([base] * len(exponents), exponents)
        return [self._comb_power(comb, int(e)) for e in exponents]

    def _build_table(self, base: mpz, comb: Comb) -> list[list[mpz]]:
        p = self.p
        squares = list(
            accumulate(range(comb.teeth * comb.places - 1), lambda x, _: x * x % p, initial=base)
        )
        table: list[list[mpz]] = [[self.identity] for _ in range(comb.rows)]
        for k, row in enumerate(table):
            for j in range(comb.teeth):
                power = squares[comb.bit(k, j)]
                row += [x * power % p for x in row]
        # Fresh numbers take just the memory they need, side by side.
        return [[mpz(int(x)) for x in row] for row in table]

    def _comb_power(self, comb: Comb, exponent: int) -> mpz:
        p = self.p
        result = self.identity
        for digits in comb.columns(exponent):
            result = result * result % p
            for row, digit in zip(comb.table, digits, strict=True):
                result = result * row[digit] % p
        return result

    def multiexp(self, bases: Sequence[mpz], exponents: Sequence[int]) -> mpz:
        return self._multiexp(*shortened(bases, exponents, self.q, self.invert, _SAVING))

    def _multiexp(self, bases: Sequence[mpz], exponents: Sequence[int]) -> mpz:
        pairs = sorted(
            ((int(e), x) for x, e in zip(bases, exponents, strict=True) if e), key=_by_length
        )
        lengths = [-e.bit_length() for e, _ in pairs]
        plan = plan_multiexp([-n for n in lengths], self._costs)
        numbers, items = [e for e, _ in pairs], [x for _, x in pairs]
        if plan.method == "powers":
            return self.product(self.powers(items, numbers))
        if plan.method == "straus":
            return self._straus(items, numbers, lengths, plan.window)
        return self._buckets(items, numbers, lengths, plan.window)

    def _straus(
        self, items: list[mpz], exponents: list[int], lengths: list[int], window: int
    ) -> mpz:
        """Squarings shared by all; longest exponents first, `lengths` negated to be ascending."""
        p, mask, one = self.p, (1 << window) - 1, self.identity
        tables = [list(accumulate([x] * mask, lambda a, b: a * b % p, initial=one)) for x in items]
        result = one
        for start in reversed(range(0, -lengths[0], window)):
            for _ in range(window):
                result = result * result % p
            active = bisect_left(lengths, -start)
            for table, e in zip(tables[:active], exponents, strict=False):
                digit = e >> start & mask
                if digit:
                    result = result * table[digit] % p
        return result

    def _buckets(
        self, items: list[mpz], exponents: list[int], lengths: list[int], window: int
    ) -> mpz:
        """Pippenger: one product per item and window, whatever its digit."""
        p, mask, one = self.p, (1 << window) - 1, self.identity
        result = one
        for start in reversed(range(0, -lengths[0], window)):
            if result != 1:
                for _ in range(window):
                    result = result * result % p
            buckets = [one] * (mask + 1)
            active = bisect_left(lengths, -start)
            for x, e in zip(items[:active], exponents, strict=False):
                digit = e >> start & mask
                buckets[digit] = buckets[digit] * x % p if digit else one
            total = running = one
            for bucket in buckets[:0:-1]:
                running = running * bucket % p
                total = total * running % p
            result = result * total % p
        return result

    def from_uniform(self, data: bytes) -> list[mpz]:
        size, p = self._uniform_size, self.p
        cofactor = (p - 1) // self.q
        starts = range(0, len(data), size)
        numbers = [mpz.from_bytes(data[i : i + size], "big") % p for i in starts]
        # 0 has no power in the group; as the identity it is thrown away by the caller.
        return [gmpy2.powmod(x, cofactor, p) if x else self.identity for x in numbers]

    def log_keys(self, items: Sequence[mpz]) -> list[int]:
        # Not the low bits: small powers of a small generator share them.
        return [hash(mpz(x).to_bytes(self._width, "big")) for x in items]

    def embed(self, blocks: Sequence[bytes]) -> list[mpz | None]:
        return [self._embed(block) for block in blocks]

    def _embed(self, block: bytes) -> mpz:
        """x or p - x: as -1 is no square, one of the two is."""
        p, x = self.p, mpz.from_bytes(block, "big") + 2
        # The symbol of a random number times a square takes no time of its own for a certain block.
        blind = mpz.from_bytes(os.urandom(self._uniform_size), "big") % p
        return (p - x, x)[gmpy2.jacobi(blind * blind % p * x % p, p) == 1]

    def extract(self, items: Sequence[mpz]) -> list[bytes | None]:
        size = self.block_size
        numbers = [min(mpz(x), self.p - x) - 2 for x in items]
        return [None if x < 0 or x >> 8 * size else x.to_bytes(size, "big") for x in numbers]


def _by_length(pair: tuple[int, mpz]) -> int:
    return -pair[0].bit_length()
