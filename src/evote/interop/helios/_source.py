"""Where the files of an election are: a directory, an archive of it, or a bundle.

A bundle is one JSON object of the server's answers, each in base64. Whatever the place, the
parts have the same names, and errors name them.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from evote._archives import open_tree
from evote._files import shown_path
from evote._trees import Tree
from evote.encoding import MAX_BYTES
from evote.errors import DecodingError
from evote.interop._json import read_json
from evote.interop._marks import find_helios
from evote.interop.helios._forms import shown, the_list

__all__ = ["Part", "Source", "open_source", "source_of"]

BALLOTS, HISTORIES = "ballots", "all_ballots"
_PARTS = ("election", "voters", "trustees", "ballots", "result", "audited_ballots", "meta")
_KNOWN = frozenset(f"{name}.json" for name in _PARTS)
_BASE64 = re.compile(r"[A-Za-z0-9_/+-]*={0,2}", re.ASCII)


class Part(NamedTuple):
    """Bytes as they were served, and the place of them."""

    name: str
    data: bytes

    def parse(self) -> Any:
        return read_json(self.data, where=self.name)


class Source:
    """The files of one election.

    Attributes:
        kind: directory, archive, bundle or ballot, which is one audited ballot and nothing else.
        unread: files that have no part in the verification.
    """

    def __init__(self, tree: Tree, bundle: dict[str, Any] | None, kind: str) -> None:
        self.tree = tree
        self.kind = kind
        self._bundle = bundle

    @property
    def unread(self) -> list[str]:
        if self.kind not in ("directory", "archive"):
            return []
        files = [name for name in self.tree.names() if name not in _KNOWN]
        found = [d for d in self.tree.directories() if d not in (BALLOTS, HISTORIES)]
        return files + [f"{name}/" for name in found]

    def part(self, name: str) -> Part | None:
        """One of the server's answers, if it is there.

        Raises:
            DecodingError: it is, and cannot be read.
        """
        if self._bundle is not None:
            key = "results" if name == "result" else name
            if key == "ballots" or self._bundle.get(key) is None:
                return None
            return Part(f"bundle: $.{key}", _decode(self._bundle[key], f"bundle: $.{key}"))
        file = f"{name}.json"
        if not self.tree.has(file):
            return None
        return Part(file, self.tree.read(file, MAX_BYTES))

    def voters(self) -> list[Part] | None:
        """The pages of the list of voters, if there is one."""
        if self._bundle is None or type(self._bundle.get("voters")) is str:
            part = self.part("voters")
            return None if part is None else [part]
        if self._bundle.get("voters") is None:
            return None
        return list(self._entries("voters"))

    def has_ballots(self) -> bool:
        """Whether there is a place for ballots, even if there are none."""
        if self._bundle is not None:
            return self._bundle.get("votes") is not None
        return BALLOTS in self.tree.directories()

    def ballot_names(self) -> list[str]:
        """The voters whose ballots are there, by the names of the files; of a bundle, numbers."""
        if self._bundle is not None:
            return [str(i) for i in range(len(the_list(self._bundle["votes"], "bundle: $.votes")))]
        return _json_names(self.tree, BALLOTS)

    def ballot(self, name: str) -> Part:
        """The cast vote of that name."""
        if self._bundle is not None:
            where = f"bundle: $.votes[{name}]"
            return Part(where, _decode(self._bundle["votes"][int(name)], where))
        file = f"{BALLOTS}/{name}.json"
        return Part(shown_path(file), self.tree.read(file, MAX_BYTES))

    def lone_ballot(self) -> dict[str, Any]:
        """The audited ballot that is all there is."""
        assert self._bundle is not None
        return self._bundle

    def histories(self) -> list[str]:
        """The voters all of whose votes are there."""
        return [] if self._bundle is not None else _json_names(self.tree, HISTORIES)

    def history(self, name: str) -> Part:
        """All votes of a voter, the newest first."""
        file = f"{HISTORIES}/{name}.json"
        return Part(shown_path(file), self.tree.read(file, MAX_BYTES))

    def _entries(self, key: str) -> Iterator[Part]:
        assert self._bundle is not None
        for i, item in enumerate(the_list(self._bundle[key], f"bundle: $.{key}")):
            where = f"bundle: $.{key}[{i}]"
            yield Part(where, _decode(item, where))


def _json_names(tree: Tree, directory: str) -> list[str]:
    names = tree.names(directory)
    return [name.removesuffix(".json") for name in names if name.endswith(".json")]


def _decode(value: Any, where: str) -> bytes:
    if type(value) is not str or not _BASE64.fullmatch(value):
        raise DecodingError(f"base64 expected, got {shown(value)}", where=where)
    plain = value.rstrip("=").replace("/", "_").replace("+", "-")  # bundles have both alphabets
    try:
        data = base64.urlsafe_b64decode(plain + "=" * (-len(plain) % 4))
    except (binascii.Error, ValueError):
        raise DecodingError("base64 expected", where=where) from None
    if base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii") != plain:
        raise DecodingError("base64 with unused bits that are not zero", where=where)
    return data


def open_source(path: Path | str) -> Source | None:
    """The election at a path; None if there is none of Helios there. Close its tree.

    Raises:
        DecodingError: nothing is there, or an archive that cannot be read.
    """
    tree = open_tree(path)
    try:
        source = source_of(tree)
    except BaseException:
        tree.close()
        raise
    if source is None:
        tree.close()
    return source


def source_of(tree: Tree) -> Source | None:
    """The election in a tree that is open; None if there is none of Helios in it."""
    found = find_helios(tree)
    return None if found is None else Source(tree, found.value, found.kind)
