"""What a record of our own is, for `evote inspect`; `evote.verify` audits it."""

from __future__ import annotations

from contextlib import suppress

from evote._entries import BallotEntry
from evote._trees import Tree
from evote.election import MAX_MANIFEST
from evote.errors import DecodingError, EvoteError
from evote.interop._inspection import Inspection
from evote.record import MANIFEST, Record

__all__ = ["LOOKED_FOR", "inspect", "is_native", "names_belenios"]

LOOKED_FOR = f"{MANIFEST} of the format evote/manifest"
_MARK = b'"evote/manifest"'
_PROFILE = b'"profile":"belenios"'


def is_native(tree: Tree) -> bool:
    """Whether there is a manifest that is ours, though broken perhaps, or that cannot be read."""
    if not tree.has(MANIFEST):
        return False
    try:
        return _MARK in tree.read(MANIFEST, MAX_MANIFEST)
    except DecodingError:
        return True


def names_belenios(tree: Tree) -> bool:
    """Whether the manifest, if it is ours, can be one of the profile `belenios`."""
    try:
        return _PROFILE in tree.read(MANIFEST, MAX_MANIFEST)
    except DecodingError:
        return False


def inspect(tree: Tree) -> Inspection:
    """What a record of our own is."""
    files, size = tree.size()
    record = Record(tree)
    try:
        manifest = record.manifest
    except EvoteError as error:
        return Inspection(
            system="evote", form=tree.kind, files=files, size=size, notes=(str(error),)
        )
    ballots, notes = None, []
    if manifest.profile == "belenios":
        from evote.interop.belenios._archive import Archive
        from evote.interop.belenios._terms import load_terms

        with suppress(EvoteError, OSError), Archive(load_terms(tree.path).archive) as archive:
            archive.read()
            ballots = len(archive.kind("Ballot"))
            notes.append(f"last {archive.events[-1].kind}")
    else:
        with suppress(EvoteError):
            stage = record.survey().stage
            notes.append(f"phase {stage.name.lower()}")
            entries = record.entries() if record.has("board/checkpoint") else ()
            ballots = sum(isinstance(entry, BallotEntry) for _, _, entry in entries)
    return Inspection(
        system="evote",
        version=f"1, profile {manifest.profile}",
        form=tree.kind,
        title=manifest.title,
        ballots=ballots,
        contests=len(manifest.contests),
        trustees=len(manifest.trustees),
        group=manifest.group.name,
        files=files,
        size=size,
        notes=tuple(notes),
    )
