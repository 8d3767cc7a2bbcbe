"""What a record of ElectionGuard is, for `evote inspect`."""

from __future__ import annotations

from contextlib import suppress

from evote._trees import Tree
from evote.errors import EvoteError
from evote.interop._inspection import Inspection
from evote.interop.electionguard._audit import is_electionguard, version_of
from evote.interop.electionguard._reading import Record

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
        files=files,
        size=size,
        notes=("files of ballots are counted, those that close a chain among them",) * newer,
    )
