"""Strict readers of ElectionGuard's JSON files: values that know their place.

The files are plain JSON, not canonical: white space and the order of keys are free. Duplicate keys,
fractions, huge numbers, broken UTF-8 and unpaired surrogates are refused, and every error names the
file and the place in it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NoReturn

from evote._files import shown_path
from evote._trees import Tree
from evote.encoding import MAX_BYTES
from evote.errors import DecodingError
from evote.interop._json import read_json

__all__ = ["Node", "Record", "parse_json"]


def parse_json(data: bytes, *, where: str) -> Node:
    """Any one JSON text of limited size.

    Raises:
        DecodingError: at `where`, with the reason.
    """
    return Node(read_json(data, where=where), f"{where}: $")


class Node:
    """A JSON value and its place."""

    __slots__ = ("value", "where")

    def __init__(self, value: Any, where: str) -> None:
        self.value = value
        self.where = where

    def fail(self, reason: str) -> NoReturn:
        raise DecodingError(reason, where=self.where)

    def __getitem__(self, key: str) -> Node:
        """A member that must be there."""
        if type(self.value) is not dict:
            self.fail(f"an object expected, got {_kind(self.value)}")
        if key not in self.value:
            self.fail(f"field {key!r} is missing")
        return Node(self.value[key], f"{self.where}.{key}")

    def get(self, key: str) -> Node | None:
        """A member that may be absent; null counts as absent."""
        if type(self.value) is not dict:
            self.fail(f"an object expected, got {_kind(self.value)}")
        if self.value.get(key) is None:
            return None
        return Node(self.value[key], f"{self.where}.{key}")

    def list(self) -> list[Node]:
        if type(self.value) is not list:
            self.fail(f"a list expected, got {_kind(self.value)}")
        return [Node(item, f"{self.where}[{i}]") for i, item in enumerate(self.value)]

    def items(self) -> Iterator[tuple[str, Node]]:
        """The members of an object that serves as a map."""
        if type(self.value) is not dict:
            self.fail(f"an object expected, got {_kind(self.value)}")
        return ((key, Node(item, f"{self.where}.{key[:80]}")) for key, item in self.value.items())

    def text(self) -> str:
        if type(self.value) is not str:
            self.fail(f"a string expected, got {_kind(self.value)}")
        text: str = self.value
        return text

    def identifier(self) -> str:
        """A name that is neither empty nor huge."""
        text = self.text()
        if not 0 < len(text) <= 1000:
            self.fail(f"a name of 1 to 1000 characters expected, got {len(text)}")
        return text

    def optional_text(self, key: str) -> str | None:
        node = self.get(key)
        return None if node is None else node.text()

    def integer(self, low: int = 0, high: int = 2**63 - 1) -> int:
        """An integer from `low` to `high`; true and false are not integers."""
        if type(self.value) is not int:
            self.fail(f"an integer expected, got {_kind(self.value)}")
        if not low <= self.value <= high:
            self.fail(f"an integer from {low} to {high} expected")
        number: int = self.value
        return number

    def boolean(self) -> bool:
        if type(self.value) is not bool:
            self.fail(f"true or false expected, got {_kind(self.value)}")
        return bool(self.value)


def _kind(value: object) -> str:
    names = {dict: "an object", list: "a list", str: "a string", int: "an integer", bool: "a truth"}
    return names.get(type(value), "null")


class Record:
    """The files of a directory or an archive."""

    def __init__(self, tree: Tree) -> None:
        self.tree = tree

    def has(self, name: str) -> bool:
        return self.tree.has(name)

    def names(self, directory: str) -> list[str]:
        """The JSON files of a directory, by their names in the record, sorted; none if absent."""
        entries = self.tree.entries(directory)
        return [f"{directory}/{name}" for name, _ in entries if name.endswith(".json")]

    def directories(self, directory: str) -> list[str]:
        """The directories in a directory, by their names in the record, sorted."""
        return [f"{directory}/{name}" for name in self.tree.directories(directory)]

    def bytes(self, name: str) -> bytes:
        return self.tree.read(name, MAX_BYTES)

    def json(self, name: str) -> Node:
        return parse_json(self.bytes(name), where=shown_path(name))
