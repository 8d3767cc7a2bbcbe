"""What a record of ElectionGuard is, for `evote inspect`."""

from __future__ import annotations

from contextlib import suppress

from evote._trees import Tree
from evote.errors import EvoteError
from evote.interop._inspection import Inspection
from evote.interop.electionguard._audit import is_electionguard, version_of
from evote.interop.electionguard._reading import Node, Record
from evote.interop.electionguard._setup1 import DIALECT_10, DIALECT_191, named, read_constants
from evote.interop.electionguard._setup2 import read_group

__all__ = ["inspect"]

_BALLOTS = ("submitted_ballots", "encrypted_ballots")


def inspect(tree: Tree) -> Inspection | None:
    """What is in a tree; None if that is no record of ElectionGuard."""
    if not is_electionguard(tree):
        return None
    record = Record(tree)
    files, size = tree.size()
    version, contests, trustees, title = version_of(record), None, None, None
    newer = version in ("2.0", "2.1")
    with suppress(EvoteError):
        manifest = record.json("manifest.json")
        contests = len(manifest["contests"].list())
        name = manifest.get("name")
        texts = name["text"].list() if name is not None and not newer else []
        title = texts[0]["value"].text() if texts else None
    with suppress(EvoteError):
        if newer:
            trustees = len(record.json("election_initialized.json")["guardians"].list())
        else:
            trustees = record.json("context.json")["number_of_guardians"].integer()
    group = None
    with suppress(EvoteError):
        group = _group(record.json("constants.json"), version)
    ballots = 0
    with suppress(EvoteError):
        for directory in _BALLOTS:
            ballots += len(record.names(directory))
            for below in record.directories(directory):  # one for each device
                ballots += len(record.names(below))
    return Inspection(
        system="ElectionGuard",
        version=version,
        form=tree.kind,
        title=title,
        ballots=ballots,
        contests=contests,
        trustees=trustees,
        group=group,
        files=files,
        size=size,
        notes=("files of ballots are counted, those that close a chain among them",) * newer,
    )


def _group(constants: Node, version: str) -> str | None:
    if version in ("2.0", "2.1"):
        group = read_group(constants, version == "2.1")
        return None if group is None else group.name
    p, q, r, g = read_constants(constants)
    for dialect in (DIALECT_10, DIALECT_191):
        if named((p, q, r, g), dialect.group) is not None:
            return dialect.group
    return f"p of {p.bit_length()} bits, q of {q.bit_length()}"
