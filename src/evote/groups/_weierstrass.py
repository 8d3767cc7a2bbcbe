"""Short-Weierstrass curves: what the backends share, on Python's integers or gmpy2's alike.

Square roots modulo p, the map of RFC 9380 from field elements to points, and the limits of the
encoding. Time depends on the arguments.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

__all__ = ["Curve", "right_side", "simplified_swu", "square_root", "uniform_width"]


class Curve(NamedTuple):
    """y^2 = x^3 + a x + b modulo p, whose q points (x, y) and infinity form a group of prime order.

    `z` is the constant of RFC 9380's simplified SWU map, 0 where none is standardised.
    """

    p: int
    a: int
    b: int
    x: int  # of the generator
    y: int
    q: int
    z: int = 0

    @property
    def width(self) -> int:
        """Bytes of a coordinate."""
        return (int(self.p).bit_length() + 7) // 8


def uniform_width(p: int) -> int:
    """Bytes that make a number modulo p close to uniform: L of RFC 9380, section 5.1."""
    return (3 * int(p).bit_length() + 15) // 16


def right_side(curve: Curve, x: Any) -> Any:
    """x^3 + a x + b."""
    return ((x * x + curve.a) * x + curve.b) % curve.p


def square_root(n: Any, p: Any) -> Any | None:
    """A root of n modulo the odd prime p, 0 <= n < p; None where there is none."""
    if p % 4 == 3:
        root = pow(n, (p + 1) // 4, p)
        return root if root * root % p == n else None
    return _tonelli_shanks(n, p)


def _tonelli_shanks(n: Any, p: Any) -> Any | None:
    if not n:
        return n
    m, odd, c = _two_part(p)
    power = pow(n, (odd - 1) // 2, p)
    root = power * n % p
    rest = root * power % p  # root^2 = n rest, and rest has order 2^k, k < m
    while rest != 1:
        k, square = 0, rest
        while square != 1:
            square, k = square * square % p, k + 1
            if k == m:
                return None
        for _ in range(m - k - 1):
            c = c * c % p
        root = root * c % p
        m, c = k, c * c % p
        rest = rest * c % p
    return root


@lru_cache(maxsize=64)
def _two_part(p: Any) -> tuple[int, Any, Any]:
    """m, odd and c with p - 1 = 2^m odd, where c is of order 2^m."""
    m = ((p - 1) & (1 - p)).bit_length() - 1
    odd = (p - 1) >> m
    candidate = type(p)(2)
    while pow(candidate, (p - 1) // 2, p) == 1:
        candidate += 1
    return m, odd, pow(candidate, odd, p)


def simplified_swu(curve: Curve, u: Any) -> tuple[Any, Any]:
    """RFC 9380, section 6.6.2: a number modulo p to a point of a curve with `z`."""
    p, a, b, z = curve.p, curve.a, curve.b, curve.z
    zu = z * u * u % p
    t = (zu + 1) * zu % p
    # x1 = -b/a (1 + 1/t), or b/(z a) where t is 0; x2 = z u^2 x1
    x = -b * (t + 1) * pow(a * t, -1, p) % p if t else b * pow(z * a, -1, p) % p
    y = square_root(right_side(curve, x), p)
    if y is None:
        x = zu * x % p
        y = square_root(right_side(curve, x), p)
        assert y is not None  # one of the two is a square, as z is none
    return x, y if y % 2 == u % 2 else p - y
