"""Batch verification: many equations, one multi-exponentiation.

Every proof of this library comes down to equations "a product of powers is the identity". One
equation alone costs a full exponentiation per factor. A random linear combination of all of them
costs one multi-exponentiation, in which a shared base occurs once for the whole batch and a
commitment carries a weight of 128 bits only.

Soundness: if any equation is false, the combination holds with probability at most 2^-128 over the
weights. They are drawn after all equations are fixed, independently for each, from the operating
system's bytes hedged with a digest of the equations. That needs a group of prime order and members
only, which `Elements` are by construction: in all of Z_p^* two factors of -1 would cancel
("Attacking and repairing batch verification schemes", ASIACRYPT 2000).

When the combination fails, halves are checked with the same weights until the culprits are known.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from math import prod
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from evote.encoding import digest, xof
from evote.errors import GroupMismatch, ParameterError, ShapeMismatch
from evote.groups import Elements, Group, Rng, Scalars, concatenate
from evote.transcript import encode_shape, weights_from_bytes

__all__ = ["Equations", "Product", "Relation", "Term", "draw_weights", "verify_batch"]


@dataclass(frozen=True, slots=True, eq=False)
class Product:
    """Elements multiplied along their last axis, which stays as one of length 1.

    In a batch they cost nothing where they are bases already: there they take another exponent.
    """

    factors: Elements

    @property
    def group(self) -> Group:
        return self.factors.group

    @property
    def shape(self) -> tuple[int, ...]:
        return (*self.factors.shape[:-1], 1)

    @property
    def ndim(self) -> int:
        return self.factors.ndim

    def take(self, indices: NDArray[np.intp]) -> Product:
        """Those at some places of the first axis."""
        return Product(self.factors.take(indices))

    def encode(self) -> bytes:
        """The encodings of the factors."""
        return self.factors.encode()

    def value(self) -> Elements:
        """The products."""
        return self.factors.prod(-1).reshape(self.shape)


Term: TypeAlias = tuple[Elements | Product, Scalars | None]
Relation: TypeAlias = tuple[Term, ...]

_WEIGHT_SIZE = 16  # bytes
_BUDGET = 2  # how many times the batch is gone through by halving before it is checked one by one


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Equations:
    """Claim: at each index of `shape`, each relation's product of elements ** scalars is 1.

    The first axis counts proofs. Elements and scalars of a term broadcast to `shape`; None stands
    for the exponent 1. A base without the first axis is shared by all proofs. Write an equation so
    that the commitment is the factor with exponent 1: it is then the one that stays short.
    """

    group: Group
    shape: tuple[int, ...]
    relations: tuple[Relation, ...]

    def __post_init__(self) -> None:
        if not self.shape:
            raise ShapeMismatch("equations have a first axis, which counts proofs")
        arrays = [a for terms in self.relations for term in terms for a in term if a is not None]
        for array in arrays:
            if array.group != self.group:
                raise GroupMismatch(f"{array.group.name} in equations over {self.group.name}")
            if not _broadcasts(array.shape, self.shape):
                raise ShapeMismatch(f"{array.shape} does not broadcast to {self.shape}")

    def __len__(self) -> int:
        return self.shape[0]

    def take(self, indices: NDArray[np.intp]) -> Equations:
        """The equations of some proofs."""
        shape = (len(indices), *self.shape[1:])

        def chosen(relation: Relation) -> Relation:
            return tuple(
                (
                    e if self._shared(e) else e.take(indices),
                    s if s is None or self._shared(s) else s.take(indices),
                )
                for e, s in relation
            )

        return Equations(
            group=self.group, shape=shape, relations=tuple(map(chosen, self.relations))
        )

    def hold(self) -> NDArray[np.bool_]:
        """Where the equations hold, each computed alone, without weights; of `shape`."""
        mask = np.ones(self.shape, dtype=np.bool_)
        for terms in self.relations:
            product = self.group.identity()
            for factor, scalar in terms:
                element = factor.value() if isinstance(factor, Product) else factor
                product = product * (element if scalar is None else element**scalar)
            mask &= product.is_identity()
        return mask

    def proofs_hold(self) -> NDArray[np.bool_]:
        """Which proofs' equations all hold, each computed alone; shape (n,)."""
        rows = self.hold().reshape(len(self), prod(self.shape[1:]))
        return np.asarray(rows.all(axis=1), dtype=np.bool_)

    def _shared(self, array: Elements | Product | Scalars) -> bool:
        return array.ndim < len(self.shape) or array.shape[0] != self.shape[0]


def _broadcasts(small: tuple[int, ...], large: tuple[int, ...]) -> bool:
    if len(small) > len(large):
        return False
    tail = large[len(large) - len(small) :]
    return all(s in (1, length) for s, length in zip(small, tail, strict=True))


def verify_batch(
    equations: Sequence[Equations], *, rng: Rng | None = None, context: bytes = b""
) -> NDArray[np.bool_]:
    """Which proofs hold, a proof being all equations at one index of the first axis.

    Cost: one multi-exponentiation, with a term of 128 bits per commitment, one of full length per
    other element, and one per shared base altogether; with culprits, at most twice what checking
    each equation alone costs.

    Args:
        equations: of equal length n along their first axes.
        rng: of the weights' 32 random bytes; the operating system's by default.
        context: hashed into the weights too.

    Returns:
        A mask of shape (n,).
    """
    if not equations:
        raise ParameterError("no equations")
    count = len(equations[0])
    if any(len(each) != count for each in equations):
        raise ShapeMismatch(f"lengths {[len(each) for each in equations]} of one batch")
    mask = np.ones(count, dtype=np.bool_)
    if count == 0:
        return mask
    batch = _Batch(equations, rng, context)
    waiting = deque([(0, count, batch.product(0, count))])
    suspects: list[NDArray[np.intp]] = []
    budget = _BUDGET * count
    while waiting:
        low, high, value = waiting.popleft()
        if bool(value.is_identity()):
            continue
        if high - low == 1:
            mask[low] = False
            continue
        middle = (low + high) // 2
        budget -= middle - low
        if budget < 0:  # so many are wrong that halving no longer pays
            suspects.append(np.arange(low, high))
            continue
        left = batch.product(low, middle)
        waiting += [(low, middle, left), (middle, high, value / left)]
    if suspects:
        indices = np.concatenate(suspects)
        mask[indices] = np.all([each.take(indices).proofs_hold() for each in equations], axis=0)
    return mask


class _Shared(NamedTuple):
    """A base of all proofs, and what its exponent is the sum of: weights, or their products."""

    base: Elements  # shape (1,)
    terms: list[tuple[Scalars, Scalars | None, bool]]  # and whether the scalar is of all proofs too

    def exponent(self, part: slice | None) -> Scalars:
        """The exponent for some of the proofs, or for all; shape (1,)."""
        total = self.base.group.scalars([0])
        for weight, scalar, shared in self.terms:
            if part is not None:
                weight = weight[part]
                scalar = scalar if scalar is None or shared else scalar[part]
            total = total + (weight.sum() if scalar is None else weight.dot(scalar))
        return total


class _Batch:
    """Weighted equations, with all axes but the first summed up."""

    def __init__(self, equations: Sequence[Equations], rng: Rng | None, context: bytes) -> None:
        self.group = equations[0].group
        self.count = len(equations[0])
        self.bases: list[Elements] = []  # shape (n, k), with exponents of the same shape
        self.exponents: list[Scalars] = []
        self.shared: dict[bytes, tuple[Elements, Scalars]] = {}  # shape (k,); exponents (n, k)
        self.single: dict[bytes, _Shared] = {}
        weights = _weights(equations, rng, context)
        products: list[tuple[Product, Scalars, tuple[int, ...]]] = []
        for each in equations:
            for terms in each.relations:
                weight = next(weights)
                for element, scalar in terms:
                    if isinstance(element, Elements) and element.size == 1:
                        known = _Shared(element.reshape((1,)), [])
                        shared = scalar is not None and each._shared(scalar)
                        known = self.single.setdefault(element.encode(), known)
                        known.terms.append((weight, scalar, shared))
                        continue
                    exponent = weight if scalar is None else weight * scalar
                    if isinstance(element, Product):
                        products.append((element, exponent, each.shape))
                    else:
                        self._add(element, exponent, each.shape)
        for product, exponent, shape in products:  # last: their factors may be bases by then
            self._add(product, exponent, shape)

    def _add(self, base: Elements | Product, exponent: Scalars, shape: tuple[int, ...]) -> None:
        kept = (1,) * (len(shape) - base.ndim) + base.shape
        for axis in range(len(shape) - 1, 0, -1):  # from the last: earlier axes keep their number
            if kept[axis] == 1 and shape[axis] != 1:
                exponent = exponent.sum(axis)
        exponent = exponent.reshape((self.count, prod(kept[1:])))
        element = base.factors if isinstance(base, Product) else base
        if isinstance(base, Product):  # each factor has the exponent of the product
            rows, width = exponent.shape, element.shape[-1]
            exponent = exponent.reshape((*rows, 1)).broadcast_to((*rows, width))
            exponent = exponent.reshape((self.count, rows[1] * width))
        if kept[0] == self.count and self.count > 1:
            element = element.reshape(exponent.shape)
            if isinstance(base, Product):
                for place, known in enumerate(self.bases):
                    if known.shape == element.shape and known.encode() == element.encode():
                        self.exponents[place] = self.exponents[place] + exponent
                        return
            self.bases.append(element)
            self.exponents.append(exponent)
            return
        flat = element.reshape((element.size,))
        key = flat.encode()
        if key in self.shared:
            exponent = exponent + self.shared[key][1]
        self.shared[key] = (flat, exponent)

    def product(self, low: int, high: int) -> Elements:
        """The weighted product of the equations of proofs low..high-1."""
        whole = (low, high) == (0, self.count)
        bases = [each.base for each in self.single.values()]
        some = None if whole else slice(low, high)
        exponents = [each.exponent(some) for each in self.single.values()]
        bases += [flat for flat, _ in self.shared.values()]
        exponents += [e[low:high].sum(0) for _, e in self.shared.values()]
        for base, exponent in zip(self.bases, self.exponents, strict=True):
            part = (base, exponent) if whole else (base[low:high], exponent[low:high])
            bases.append(part[0].reshape((part[0].size,)))
            exponents.append(part[1].reshape((part[1].size,)))
        if not bases:
            return self.group.identity()
        return self.group.multiexp(concatenate(bases), concatenate(exponents))


def _weights(equations: Sequence[Equations], rng: Rng | None, context: bytes) -> Iterator[Scalars]:
    """One array of weights per relation."""
    parts = [context]
    for each in equations:
        parts.append(encode_shape(each.shape))
        for element, scalar in (term for terms in each.relations for term in terms):
            parts += [encode_shape(element.shape), element.encode()]
            parts += [b""] if scalar is None else [encode_shape(scalar.shape), scalar.encode()]
    shapes = [each.shape for each in equations for _ in each.relations]
    return draw_weights(equations[0].group, shapes, parts, rng)


def draw_weights(
    group: Group, shapes: Sequence[tuple[int, ...]], parts: Sequence[bytes], rng: Rng | None = None
) -> Iterator[Scalars]:
    """Arrays of 128-bit weights for equations that `parts` describe, which hedge the randomness."""
    entropy = (rng or os.urandom)(32)
    if len(entropy) != 32:
        raise ParameterError(f"rng returned {len(entropy)} bytes instead of 32")
    sizes = [prod(shape) * _WEIGHT_SIZE for shape in shapes]
    data = xof("batch-weights", entropy, digest("batch", *parts), length=sum(sizes))
    for shape, start, size in zip(shapes, accumulate(sizes, initial=0), sizes, strict=False):
        yield weights_from_bytes(group, data[start : start + size], shape)
