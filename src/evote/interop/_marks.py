"""By what files each system is known: asked of every record, and so without the readers of any."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any, NamedTuple

from evote._files import open_file, read_file
from evote._trees import SingleFile, Tree
from evote.errors import DecodingError, EvoteError
from evote.interop._json import read_json

__all__ = [
    "BELENIOS",
    "MAX_ARCHIVE",
    "MAX_BUNDLE",
    "PROTINFO",
    "SESSIONS",
    "HeliosMark",
    "find_archive",
    "find_helios",
    "is_archive",
    "is_belenios",
    "is_electionguard",
    "is_helios",
    "is_list",
    "is_session",
    "is_verificatum",
]

PROTINFO, SESSIONS = "protInfo.xml", "nizkp"
BELENIOS = "BELENIOS"  # the name of the first record of an archive
MAX_ARCHIVE = 2**40
MAX_BUNDLE = 128 * 2**20
_BUNDLE = ("election", "trustees", "voters", "votes")
_BALLOT = ("answers", "election_hash", "election_uuid")


def is_verificatum(tree: Tree) -> bool:
    """Whether a tree holds protInfo.xml and nizkp/."""
    return tree.has(PROTINFO) and SESSIONS in tree.directories()


def is_session(tree: Tree) -> bool:
    """Whether a tree is one session of Verificatum's, `nizkp/<auxsid>`."""
    names = ("version", "type", "auxsid", "width", "FullPublicKey.bt")
    return all(map(tree.has, names)) and "proofs" in tree.directories()


def is_electionguard(tree: Tree) -> bool:
    """Whether a tree holds a record of ElectionGuard, of whatever version."""
    settings = ("context.json", "election_config.json")
    return tree.has("constants.json") and any(map(tree.has, settings))


# -- Belenios --------------------------------------------------------------------------------------


def is_archive(path: Path) -> bool:
    """Whether a file begins as an archive of Belenios does."""
    return _head(path, 16) == BELENIOS.encode("ascii") + bytes(8)


def find_archive(path: Path) -> Path | None:
    """The archive that a path is: a file, or the only one in a directory."""
    if path.is_dir():
        try:
            found = sorted(p for p in path.iterdir() if p.suffix == ".bel")
        except OSError:
            return None
        return found[0] if len(found) == 1 and is_archive(found[0]) else None
    return path if is_archive(path) else None


def is_belenios(tree: Tree) -> bool:
    """Whether there is an archive of Belenios, or a directory with just one."""
    return find_archive(tree.path) is not None


# -- Helios ----------------------------------------------------------------------------------------


class HeliosMark(NamedTuple):
    """What there is of Helios: directory, archive, bundle or ballot; and the JSON of the last two.

    A ballot is one audited ballot and nothing else.
    """

    kind: str
    value: dict[str, Any] | None


def find_helios(tree: Tree) -> HeliosMark | None:
    """The election in a tree; None if there is none of Helios in it.

    Raises:
        DecodingError: a file that cannot be read.
    """
    others = [f"{name}.json" for name in ("voters", "trustees", "ballots")]
    if tree.has("election.json") and any(map(tree.has, others)):
        return HeliosMark(tree.kind, None)
    if tree.has("bundle.json"):
        data = tree.read("bundle.json", MAX_BUNDLE)
    elif isinstance(tree, SingleFile) and _begins(tree.path, b"{"):
        data = read_file(tree.path, MAX_BUNDLE)
    else:
        return None
    if not (b'"votes"' in data or b'"election_uuid"' in data):
        return None
    try:
        value = read_json(data, where="bundle", max_bytes=MAX_BUNDLE)
    except DecodingError:
        return None
    for kind, keys in (("bundle", _BUNDLE), ("ballot", _BALLOT)):
        if type(value) is dict and all(key in value for key in keys):
            return HeliosMark(kind, value)
    return None


def is_helios(tree: Tree) -> bool:
    """Whether an election, or an audited ballot, is there: by the files, and what is in them."""
    try:
        return find_helios(tree) is not None
    except EvoteError:
        return False


# -- one file of JSON ------------------------------------------------------------------------------


def is_list(tree: Tree) -> bool:
    """Whether it is a file that begins as a JSON list does."""
    return _begins(tree.path, b"[")


def _begins(path: Path, sign: bytes) -> bool:
    return re.match(rb"[ \t\r\n]*" + re.escape(sign), _head(path, 2**16)) is not None


def _head(path: Path, size: int) -> bytes:
    """How a file begins; nothing if it cannot be read."""
    try:
        descriptor, _ = open_file(path, MAX_ARCHIVE)
    except DecodingError:
        return b""
    with os.fdopen(descriptor, "rb") as file:
        return file.read(size)
