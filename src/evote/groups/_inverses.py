"""Many modular inverses for one."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

import gmpy2
from gmpy2 import mpz

__all__ = ["inverses"]


def inverses(numbers: Sequence[mpz], p: mpz) -> list[mpz]:
    """Inverses modulo p of numbers other than 0: one inversion and three products each.

    Reference: P. L. Montgomery, "Speeding the Pollard and elliptic curve methods of factorization",
    1987, section 10.3.1.
    """
    before = list(accumulate(numbers, lambda x, y: x * y % p, initial=mpz(1)))
    inverse = gmpy2.invert(before.pop(), p)
    result = []
    for x, product in zip(reversed(numbers), reversed(before), strict=True):
        result.append(inverse * product % p)
        inverse = inverse * x % p
    result.reverse()
    return result
