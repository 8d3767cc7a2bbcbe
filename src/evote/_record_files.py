"""The names of a record's files: which there can be, how large each may be, and the roll's files.

A private sibling of `record`, which is the public path to what others need.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from evote._files import make_directory, shown_path, write_file
from evote._trees import Tree
from evote.board import (
    BUNDLE,
    ENTRIES,
    MAX_BODY,
    MAX_BUNDLE,
    MAX_NOTE,
    MAX_TILE,
    TILE_FILE,
    tile_name,
)
from evote.credentials import MAX_ROLL, MAX_ROW
from evote.election import MAX_MANIFEST
from evote.errors import DecodingError

__all__ = [
    "CHECKPOINT",
    "MANIFEST",
    "OF_ALL_BALLOTS",
    "OF_THE_LOG",
    "RESULT",
    "ROLL",
    "ROLL_BUNDLE",
    "STEPS",
    "TALLY",
    "Expected",
    "ceremony_path",
    "limit_of",
    "listed",
    "row_number",
    "rows_path",
    "share_path",
    "write_roll",
    "write_rows",
]

MANIFEST = "manifest.json"
ROLL = "roll/roll.json"
CHECKPOINT = "board/checkpoint"
TALLY = "tally.json"
RESULT = "result.json"

ROLL_BUNDLE = 4096  # rows
_MAX_JSON = 16 * 2**20

_TILE = r"(?:x[0-9]{3}/){0,2}[0-9]{3}"
_KINDS = (  # every name there can be; most bytes
    (r"manifest\.json", MAX_MANIFEST),
    (r"ceremony/(?:commit|reveal|confirm|complaint-[0-9]{3})-[0-9]{3}\.json", 2**20),
    (r"roll/roll\.json", MAX_ROLL),
    (rf"roll/rows/{_TILE}\.jsonl", ROLL_BUNDLE * (MAX_ROW + 1)),
    (r"board/checkpoint", MAX_NOTE),
    (rf"board/tile/entries/{_TILE}(?:\.p/[0-9]{{1,3}})?", MAX_BUNDLE),
    (TILE_FILE.pattern, MAX_TILE),
    (rf"ballots/{_TILE}\.jsonl", BUNDLE * (MAX_BODY + 1)),
    (r"mixes/[0-9]{3}/[0-9]{2}\.json", _MAX_JSON),
    (r"tally\.json", _MAX_JSON),
    (r"shares/[0-9]{3}\.json", _MAX_JSON),
    (r"result\.json", _MAX_JSON),
)
_NAME = re.compile("|".join(f"({pattern})" for pattern, _ in _KINDS), re.ASCII)
_DIRECTORY = re.compile(
    r"ceremony|shares|mixes(?:/[0-9]{3})?|roll|(?:roll/rows|ballots)(?:/x[0-9]{3}){0,2}|board|board/tile"
    rf"|board/tile/(?:entries|[0-9]{{1,2}})(?:(?:/x[0-9]{{3}}){{0,6}}|/{_TILE}\.p)",
    re.ASCII,
)
_ALWAYS = frozenset(  # directories that may be there though nothing is in them yet
    f"ceremony shares mixes roll roll/rows ballots board board/tile {ENTRIES}".split()
)


OF_THE_LOG = ("board/", "ballots/", "mixes/", "shares/", TALLY, RESULT)
OF_ALL_BALLOTS = ("mixes/", "shares/", RESULT)  # their size grows with the ballots that were mixed
STEPS: tuple[Literal["commit", "reveal", "confirm"], ...] = ("commit", "reveal", "confirm")


def ceremony_path(name: str) -> str:
    """The path in a record of a ceremony file."""
    return f"ceremony/{name}"


def rows_path(number: int) -> str:
    """The path in a record of the n-th 4096 rows of the roll."""
    return f"roll/rows/{tile_name(number)}.jsonl"


def share_path(trustee: int) -> str:
    """The path in a record of a trustee's decryption shares."""
    return f"shares/{trustee:03d}.json"


class Expected:
    """The names a record must have, and those it may have."""

    def __init__(self) -> None:
        self.required: set[str] = {MANIFEST}
        self.allowed: set[str] = set()

    def must_be(self, names: Iterable[str]) -> None:
        self.required.update(names)

    def may_be(self, names: Iterable[str]) -> None:
        self.allowed.update(names)


def row_number(name: str) -> int:
    """Which rows a file is named after; -1 if no rows have that name."""
    digits = re.sub("[^0-9]", "", name)
    return int(digits) if digits and rows_path(int(digits)) == name else -1


def limit_of(name: str) -> int:
    """The most bytes that a file of this name may have."""
    found = _NAME.fullmatch(name)
    if found is None:
        raise DecodingError("no file of this name belongs to a record", where=shown_path(name))
    return _KINDS[(found.lastindex or 0) - 1][1]


def listed(tree: Tree) -> tuple[tuple[str, ...], list[DecodingError]]:
    """All files that a record may have, sorted, and a problem for everything else there is."""
    names: list[str] = []
    problems: list[DecodingError] = []
    directories: set[str] = set()
    waiting = [""]
    while waiting:
        above = waiting.pop()
        try:
            entries = tree.entries(above)
        except DecodingError as error:
            problems.append(error)
            continue
        before = len(names)
        for own, kind in entries:
            name = f"{above}/{own}" if above else own
            if kind == "directory" and _DIRECTORY.fullmatch(name):
                waiting.append(name)
                directories.add(name)
            elif kind == "file" and _NAME.fullmatch(name):
                names.append(name)
            else:
                reason = f"a {kind} of this name belongs to no record"
                problems.append(DecodingError(reason, where=shown_path(name)))
        while above and len(names) > before:
            directories.discard(above)
            above = above.rpartition("/")[0]
    for name in directories - _ALWAYS:
        problems.append(DecodingError("an empty directory", where=name))
    return tuple(sorted(names)), problems


def write_roll(path: Path | str, header: bytes, rows: Iterable[bytes]) -> None:
    """Write the roll of a record: rows first, then the header; repeating it does nothing.

    A header with more signatures on the same rows replaces the one before.

    Raises:
        ParameterError: another roll is there already.
    """
    write_rows(path, rows)
    write_file(Path(path) / ROLL, header, overwrite=True)


def write_rows(path: Path | str, rows: Iterable[bytes]) -> None:
    """Write the rows of a roll, as they come, before its header; repeating it does nothing.

    Raises:
        ParameterError: other rows are there already.
    """
    path = Path(path)
    make_directory(path / "roll/rows")
    bundle: list[bytes] = []
    number = 0
    for row in rows:
        bundle.append(row + b"\n")
        if len(bundle) == ROLL_BUNDLE:
            _write_rows(path, number, bundle)
            bundle, number = [], number + 1
    if bundle:
        _write_rows(path, number, bundle)


def _write_rows(path: Path, number: int, lines: list[bytes]) -> None:
    target = path / rows_path(number)
    make_directory(target.parent)
    write_file(target, b"".join(lines))
