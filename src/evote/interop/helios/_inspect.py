"""What an election of Helios is, without verifying it."""

from __future__ import annotations

from contextlib import suppress

from evote._files import shown_path
from evote._trees import Tree
from evote.errors import EvoteError
from evote.groups import ModPGroup, named_group
from evote.interop._inspection import Inspection
from evote.interop.helios._election import USUAL, Election, read_election
from evote.interop.helios._forms import number, the_list
from evote.interop.helios._source import Source, source_of

__all__ = ["inspect"]


def inspect(tree: Tree) -> Inspection | None:
    """What is in a tree; None if that is not of Helios."""
    source = source_of(tree)
    if source is None:
        return None
    files, size = tree.size()
    election: Election | None = None
    ballots: int | None = 1 if source.kind == "ballot" else None
    trustees: int | None = None
    notes: list[str] = []
    if source.kind == "ballot":
        notes.append("one audited ballot, without its election")
    else:
        try:
            part = source.part("election")
            if part is not None:
                election = read_election(part.data, part.parse(), where=part.name)
                notes.append(f"fingerprint {election.digest}")
        except EvoteError as error:
            notes.append(str(error))
        with suppress(EvoteError):
            ballots = len(source.ballot_names()) if source.has_ballots() else 0
        with suppress(EvoteError):
            part = source.part("trustees")
            trustees = None if part is None else len(the_list(part.parse(), part.name))
        notes += _progress(source)
    return Inspection(
        system="Helios",
        version="3 or 4",
        form=source.kind,
        title=None if election is None else election.name,
        ballots=ballots,
        contests=None if election is None else len(election.questions),
        trustees=trustees,
        group=None if election is None else _group(election),
        files=files,
        size=size,
        notes=tuple(notes),
    )


def _progress(source: Source) -> list[str]:
    notes = []
    with suppress(EvoteError):
        pages = source.voters()
        if pages is not None:
            count = sum(len(the_list(page.parse(), page.name)) for page in pages)
            notes.append(f"{count} voters")
    with suppress(EvoteError):
        if source.part("result") is None:
            notes.append("no result yet")
    if source.unread:
        notes.append(f"not of Helios: {', '.join(map(shown_path, source.unread[:5]))}")
    return notes


def _group(election: Election) -> str | None:
    usual = named_group(USUAL)
    assert isinstance(usual, ModPGroup)
    try:
        p, q, g = (int(number(election.key.get(x), x, below=1 << 16384)) for x in "pqg")
    except EvoteError:
        return None
    if (p, q, g) == (usual.p, usual.q, usual.g):
        return USUAL
    return f"p of {p.bit_length()} bits, q of {q.bit_length()}"
