"""Primality of numbers that somebody else has chosen."""

from __future__ import annotations

import secrets

import gmpy2

__all__ = ["is_prime"]

_ROUNDS = 64  # of Miller-Rabin with random bases: a composite passes with at most 4^-64


def is_prime(number: int) -> bool:
    """Whether a number is prime, with an error of at most 2^-128 whoever chose it.

    GMP's own test comes first, and is exact below 2^64. Its Miller-Rabin bases can be predicted,
    so for numbers made to pass it the bases drawn here are what counts ("Prime and prejudice",
    CCS 2018).
    """
    if not gmpy2.is_prime(number):
        return False
    if number < 2**64:
        return True
    bases = (2 + secrets.randbelow(number - 3) for _ in range(_ROUNDS))
    return all(gmpy2.is_strong_prp(number, base) for base in bases)
