"""Numbers and elements as ElectionGuard's files write them, and what its hashes make of them.

    text     upper-case hex of whole bytes, or an object {"data": hex}      1.x
    hex      upper-case hex of full width                                   2.0
    base64   standard base64 of the same bytes                              2.1

Elements are gathered in a `Pool` and decoded together, membership included: that is where the time
of an audit goes. An element that is none fails the check it was gathered for.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeAlias

from evote.errors import DecodingError
from evote.groups import Elements, Group, WeierstrassGroup
from evote.interop.electionguard._reading import Node

if TYPE_CHECKING:
    from evote.interop.electionguard._run import Run

__all__ = ["Codec", "Hashed", "Pool", "hash1", "hash2", "sha256", "tagged", "to_int"]

Hashed: TypeAlias = "bytes | str | int | Sequence[Hashed] | None"


class Codec:
    """Reads the numbers of one record."""

    def __init__(self, group: Group, form: str) -> None:
        self.group = group
        self.form = form
        self.q = group.order
        curve = isinstance(group, WeierstrassGroup)
        self.neutral = group.identity().encode()
        self.infinity = b"\xff" * group.element_size if curve else self.neutral

    def octets(self, node: Node) -> bytes:
        """Bytes of any length."""
        if self.form == "base64":
            return base64_octets(node)
        if self.form == "text" and type(node.value) is dict:
            node = node["data"]
        text = node.text()
        try:
            data = bytes.fromhex(text)
        except ValueError:
            data = b""
        if not data or data.hex().upper() != text:
            node.fail("upper-case hex of whole bytes expected")
        return data

    def _number(self, node: Node, size: int) -> bytes:
        """`size` bytes. Text of full width or without leading zero bytes, the others of full."""
        data = self.octets(node)
        if len(data) == size:
            return data
        if self.form != "text":
            node.fail(f"{size} bytes expected, got {len(data)}")
        if len(data) > size:
            node.fail(f"at most {size} bytes expected, got {len(data)}")
        if data[0] == 0 and len(data) > 1:
            node.fail("leading zeros")
        return data.rjust(size, b"\0")

    def element(self, node: Node) -> bytes:
        """An encoding that `Pool` takes."""
        data = self._number(node, self.group.element_size)
        return self.neutral if data == self.infinity else data

    def shown(self, element: bytes) -> bytes:
        """An encoding of the group as the files write it."""
        return self.infinity if element == self.neutral else element

    def encode(self, elements: Elements) -> list[bytes]:
        """The encoding of each element, as the files write them, in C order."""
        data, size = elements.encode(), self.group.element_size
        return [self.shown(data[i : i + size]) for i in range(0, len(data), size)]

    def scalar(self, node: Node) -> int:
        """An integer below q."""
        data = self.octets(node)
        size = self.group.scalar_size
        if self.form != "text" and len(data) != size:
            node.fail(f"{size} bytes expected, got {len(data)}")
        if len(data) > 1 and data[0] == 0 and len(data) != size:
            node.fail("leading zeros")
        number = int.from_bytes(data, "big")
        if number >= self.q:
            node.fail("a number that is not reduced modulo q")
        return number

    def digest(self, node: Node) -> bytes:
        """32 bytes."""
        return self._number(node, 32)


def base64_octets(node: Node) -> bytes:
    """The bytes of canonical standard base64."""
    text = node.text()
    try:
        data = base64.b64decode(text, validate=True)
    except ValueError:
        node.fail("base64 expected")
    if base64.b64encode(data).decode("ascii") != text:
        node.fail("base64 with padding, and no unused bits, expected")
    return data


class Pool:
    """Encodings of elements from many places, decoded at once; equal ones once."""

    def __init__(self, codec: Codec) -> None:
        self._codec = codec
        self._known: dict[bytes, int] = {}
        self._uses: list[tuple[int, str, str, bool]] = []
        self._decoded: Elements | None = None

    def __len__(self) -> int:
        return len(self._known)

    def add(self, node: Node, check: str, *, identity: bool = False) -> int:
        """The place of an element in what `decode` returns.

        Args:
            check: what fails if it is no element.
            identity: whether it may be neutral, as sums may.

        Raises:
            DecodingError: not even the form is right.
        """
        data = self._codec.element(node)
        index = self._known.setdefault(data, len(self._known))
        self._uses.append((index, check, node.where, identity))
        return index

    def add_known(self, encoded: bytes) -> int:
        """The place of an element that was read and checked before, as the files write it."""
        data = self._codec.neutral if encoded == self._codec.infinity else encoded
        return self._known.setdefault(data, len(self._known))

    def decode(self, run: Run) -> Elements:
        """All elements, shape (n,); in the place of what is none stands the identity.

        Call it once, when everything is gathered; `decoded` returns the same again.
        """
        group, neutral = self._codec.group, self._codec.neutral
        data = list(self._known)
        bad: set[int] = set()
        try:
            elements = group.decode_elements(b"".join(data), allow_identity=True)
        except DecodingError as error:
            bad = set(error.indices)
            data = [neutral if i in bad else item for i, item in enumerate(data)]
            elements = group.decode_elements(b"".join(data), allow_identity=True)
        ones = {i for i, item in enumerate(data) if item == neutral} - bad
        if bad or ones:
            for index, check, where, identity in self._uses:
                if index in bad:
                    run.fail(check, f"{where}: not a group element")
                elif index in ones and not identity:
                    run.fail(check, f"{where}: the neutral element")
        self._decoded = elements
        return elements

    @property
    def decoded(self) -> Elements:
        """What `decode` returned."""
        assert self._decoded is not None
        return self._decoded

    def encodings(self) -> list[bytes]:
        """What was added, in the order of places, as the files write it."""
        return [self._codec.shown(data) for data in self._known]


def sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def to_int(digest: bytes) -> int:
    return int.from_bytes(digest, "big")


def hash1(q: int, *values: Hashed, empty: bool = False) -> bytes:
    """The hash of 1.x: SHA-256 of the values as text between bars, modulo q; 32 bytes.

    Bytes are numbers, in hex of as few whole bytes as hold them. With `empty`, 0 and "" are null,
    as 1.91 has it.
    """
    text = "|" + "|".join([_as_text(q, value, empty) for value in values]) + "|"
    number = to_int(hashlib.sha256(text.encode("utf-8")).digest())
    return (number % q).to_bytes(32, "big")


def _as_text(q: int, value: Hashed, empty: bool) -> str:
    if isinstance(value, bytes):
        return value.lstrip(b"\0").hex().upper() or "00"
    if value is None or (empty and (value == 0 or value == "")):
        return "null"
    if isinstance(value, str):
        return value
    if isinstance(value, int):
        return str(value)
    return _as_text(q, hash1(q, *value, empty=empty), empty) if value else "null"


def hash2(key: bytes, *parts: bytes) -> bytes:
    """The hash of 2.x: HMAC-SHA-256 of the joined parts; 32 bytes."""
    return hmac.digest(key, b"".join(parts), "sha256")


def tagged(tag: int, *numbers: int) -> bytes:
    """A byte that says what is hashed, and numbers of four bytes."""
    return bytes([tag]) + b"".join([number.to_bytes(4, "big") for number in numbers])
