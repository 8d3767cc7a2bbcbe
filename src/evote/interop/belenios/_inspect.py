"""What an archive of Belenios is, for `evote inspect`."""

from __future__ import annotations

from evote._trees import Tree
from evote.errors import EvoteError
from evote.interop._inspection import Inspection
from evote.interop._marks import find_archive
from evote.interop.belenios._archive import Archive
from evote.interop.belenios._election import decode_election
from evote.interop.belenios._trustees import decode_trustees

__all__ = ["inspect"]


def inspect(tree: Tree) -> Inspection | None:
    """What is at a path; None if that is no archive of Belenios."""
    place = find_archive(tree.path)
    if place is None:
        return None
    files, size = tree.size()
    try:
        with Archive(place) as archive:
            archive.read()
            [setup] = archive.kind("Setup")
            election = decode_election(archive.body(setup.data[0]))
            trustees = decode_trustees(archive.body(setup.data[1]), election)
            return Inspection(
                system="Belenios",
                version=str(election.version),
                form="archive",
                title=election.name,
                ballots=len(archive.kind("Ballot")),
                contests=len(election.questions),
                trustees=len(trustees.owners),
                group=election.codec.group.name,
                files=files,
                size=size,
                notes=(f"fingerprint {election.fingerprint}", f"last {archive.events[-1].kind}"),
            )
    except (EvoteError, ValueError) as error:
        return Inspection(
            system="Belenios", form="archive", files=files, size=size, notes=(str(error),)
        )
