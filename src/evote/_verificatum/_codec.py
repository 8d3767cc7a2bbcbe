"""Elements, scalars and ciphertexts as byte trees, each array of them in one bulk call.

A product group G^w comes in parts: nodes over its components. An array of it is a node over the
arrays of the components (transposed), which is undone here: arrays of ours have the item first,
shape (n, w). Numbers have a byte more than they need where their top bit could be set.
"""

from __future__ import annotations

from math import prod
from typing import NamedTuple, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from evote._verificatum._trees import Layout, Reader, header, node
from evote.elgamal import Ciphertexts
from evote.errors import DecodingError
from evote.groups import Elements, Group, ModPGroup, Scalars, WeierstrassGroup
from evote.groups.curves import Coordinates

__all__ = ["Codec", "Parts", "Widths"]

Parts: TypeAlias = tuple[int, ...]
"""The arities of the nodes over the components of a product group; () is the group itself."""

_ArrayT = TypeVar("_ArrayT", Elements, Scalars)


class Widths(NamedTuple):
    """kappa and omega: K = G^kappa holds keys, M = K^omega messages, C = M x M ciphertexts.

    A row of M has kappa * omega columns here, of which column j belongs to key j modulo kappa.
    """

    key: int
    ciphertext: int

    @property
    def key_parts(self) -> Parts:
        return (self.key,) if self.key > 1 else ()

    @property
    def message_parts(self) -> Parts:
        return ((self.ciphertext,) if self.ciphertext > 1 else ()) + self.key_parts

    @property
    def ciphertext_parts(self) -> Parts:
        return (2, *self.message_parts)

    def spread(self, row: _ArrayT) -> _ArrayT:
        """A row of K, shape (kappa,) or (), repeated for each of the omega blocks of M."""
        return row.reshape(-1).take(np.arange(self.key * self.ciphertext) % self.key)


class Codec:
    """Byte trees of one group."""

    def __init__(self, group: ModPGroup | WeierstrassGroup) -> None:
        self.group: Group = group
        self._curve = group if isinstance(group, WeierstrassGroup) else None
        p = group.curve.p if isinstance(group, WeierstrassGroup) else group.p
        self.element = Layout(p.bit_length() // 8 + 1, 1 if self._curve is None else 2)
        self.scalar = Layout(group.order.bit_length() // 8 + 1)

    # -- reading -----------------------------------------------------------------------------------

    def elements(self, reader: Reader, parts: Parts, count: int) -> Elements:
        """An array of `count` items; shape (count, w), or (count,) of the group itself."""
        rows = self._members(_leaves(reader, parts, self.element, count), reader)
        return rows if parts else rows.reshape(-1)

    def item(self, reader: Reader, parts: Parts) -> Elements:
        """One element of a product group, shape (w,), or of the group itself, shape ()."""
        rows = self._members(_leaves(reader, parts, self.element, None), reader)
        return rows[0] if parts else rows.reshape(())

    def scalars(self, reader: Reader, parts: Parts, count: int) -> Scalars:
        """An array of `count` items of a product ring; shape (count, w), or (count,)."""
        rows = self._numbers(_leaves(reader, parts, self.scalar, count), reader)
        return rows if parts else rows.reshape(-1)

    def scalar_item(self, reader: Reader, parts: Parts) -> Scalars:
        """One item of a product ring, shape (w,), or (), as for elements."""
        rows = self._numbers(_leaves(reader, parts, self.scalar, None), reader)
        return rows[0] if parts else rows.reshape(())

    def ciphertexts(self, reader: Reader, parts: Parts, count: int | None = None) -> Ciphertexts:
        """A list of ciphertexts of shape (count, w), however many there are for None."""
        if count is None:
            count = self._peek_count(reader, parts)
        fields = _leaves(reader, parts, self.element, count)
        half = fields.shape[1] // 2
        return Ciphertexts(
            alpha=self._members(fields[:, :half], reader),
            beta=self._members(fields[:, half:], reader),
        )

    def _peek_count(self, reader: Reader, parts: Parts) -> int:
        start = reader.position
        for arity in parts:
            reader.node(arity)
        count = reader.count(self.element.size)
        reader.position = start
        return count

    def _members(self, fields: NDArray[np.uint8], reader: Reader) -> Elements:
        """Elements of shape (n, w) from fields of shape (n, w, leaves, width)."""
        shape = fields.shape[:2]
        if self._curve is None:
            data = self._narrow(fields, self.group.element_size, reader)
            return self.group.decode_elements(data, shape, allow_identity=True, where=reader.where)
        points = _coordinates(fields)
        flat = self._curve.from_affine(points, allow_identity=True, where=reader.where)
        return flat.reshape(shape)

    def _numbers(self, fields: NDArray[np.uint8], reader: Reader) -> Scalars:
        data = self._narrow(fields, self.group.scalar_size, reader)
        return self.group.decode_scalars(data, fields.shape[:2], where=reader.where)

    @staticmethod
    def _narrow(fields: NDArray[np.uint8], width: int, reader: Reader) -> bytes:
        """Numbers of our width: the byte before them is zero."""
        extra = fields.shape[-1] - width
        if fields[..., :extra].any():
            raise DecodingError("a number that is too large", where=reader.where)
        return fields[..., extra:].tobytes()

    # -- writing -----------------------------------------------------------------------------------

    def encode_elements(self, elements: Elements, parts: Parts) -> bytes:
        """What `elements` reads."""
        columns = self._columns(self._element_fields(elements), parts, self.element)
        return _nested([header(0, len(elements)) + column for column in columns], parts)

    def encode_item(self, element: Elements, parts: Parts) -> bytes:
        """What `item` reads."""
        fields = self._element_fields(element)
        return _nested(self._columns(fields, parts, self.element), parts)

    def encode_scalars(self, scalars: Scalars, parts: Parts) -> bytes:
        """What `scalars` reads."""
        columns = self._columns(self._scalar_fields(scalars), parts, self.scalar)
        return _nested([header(0, len(scalars)) + column for column in columns], parts)

    def encode_scalar_item(self, scalar: Scalars, parts: Parts) -> bytes:
        """What `scalar_item` reads."""
        return _nested(self._columns(self._scalar_fields(scalar), parts, self.scalar), parts)

    def encode_ciphertexts(self, ciphertexts: Ciphertexts, parts: Parts) -> bytes:
        """What `ciphertexts` reads."""
        halves = (ciphertexts.alpha, ciphertexts.beta)
        return node(*(self.encode_elements(half, parts[1:]) for half in halves))

    def encode_ciphertext(self, ciphertext: Ciphertexts, parts: Parts) -> bytes:
        """One ciphertext of shape (w,), as a pair of items."""
        halves = (ciphertext.alpha, ciphertext.beta)
        return node(*(self.encode_item(half, parts[1:]) for half in halves))

    def _element_fields(self, elements: Elements) -> NDArray[np.uint8]:
        """Shape (size, leaves, width)."""
        layout = self.element
        if self._curve is None:
            return _widened(elements.encode(), elements.size, layout.width)
        width = layout.width
        neutral = b"\xff" * (2 * width)
        points = self._curve.to_affine(elements)
        data = [
            neutral if point is None else b"".join([z.to_bytes(width, "big") for z in point])
            for point in points
        ]
        return np.frombuffer(b"".join(data), dtype=np.uint8).reshape(elements.size, 2, width)

    def _scalar_fields(self, scalars: Scalars) -> NDArray[np.uint8]:
        return _widened(scalars.encode(), scalars.size, self.scalar.width)

    @staticmethod
    def _columns(fields: NDArray[np.uint8], parts: Parts, layout: Layout) -> list[bytes]:
        """The items of each component, one after the other."""
        width = prod(parts)
        rows = fields.reshape(len(fields) // width, width, layout.fields, layout.width)
        return [layout.join(rows[:, j]) for j in range(width)]


def _widened(data: bytes, count: int, width: int) -> NDArray[np.uint8]:
    """Numbers with leading zeros, shape (count, 1, width)."""
    numbers = np.frombuffer(data, dtype=np.uint8).reshape(count, 1, -1 if count else width)
    fields = np.zeros((count, 1, width), dtype=np.uint8)
    fields[..., width - numbers.shape[-1] :] = numbers
    return fields


def _nested(trees: list[bytes], parts: Parts) -> bytes:
    """One tree with nodes of these arities over the trees of the components."""
    for arity in reversed(parts):
        trees = [node(*trees[i : i + arity]) for i in range(0, len(trees), arity)]
    [tree] = trees
    return tree


def _coordinates(fields: NDArray[np.uint8]) -> list[Coordinates]:
    """Of each point; infinity is written as -1, -1."""
    width, data = fields.shape[-1], fields.tobytes()
    neutral, read = b"\xff" * (2 * width), int.from_bytes
    points: list[Coordinates] = []
    for i in range(0, len(data), 2 * width):
        pair = data[i : i + 2 * width]
        if pair == neutral:
            points.append(None)
        else:
            points.append((read(pair[:width], "big"), read(pair[width:], "big")))
    return points


def _leaves(reader: Reader, parts: Parts, layout: Layout, count: int | None) -> NDArray[np.uint8]:
    """Fields of shape (count, w, leaves, width); of one item without its array's node for None."""
    found: list[NDArray[np.uint8]] = []

    def descend(rest: Parts) -> None:
        if rest:
            reader.node(rest[0])
            for _ in range(rest[0]):
                descend(rest[1:])
            return
        if count is not None:
            reader.node(count)
        found.append(reader.items(layout, 1 if count is None else count))

    descend(parts)
    return np.stack(found, axis=1)
