"""What a directory of Verificatum is, without verifying it."""

from __future__ import annotations

from contextlib import suppress

from evote._files import shown_path
from evote._trees import Tree
from evote._verificatum._codec import Widths
from evote._verificatum._protinfo import MAX_PROTINFO, MAX_WIDTH, Protocol, decimal, decode_protinfo
from evote.errors import EvoteError
from evote.interop._inspection import Inspection
from evote.interop._marks import PROTINFO, SESSIONS

__all__ = ["inspect"]

_SMALL = ("version", "type", "auxsid", "width", "FullPublicKey.bt")
_SHOWN = 5  # sessions that are named


def inspect(tree: Tree) -> Inspection | None:
    """What is in a tree; None if that is neither a directory of Verificatum nor a session."""
    protocol: Protocol | None = None
    notes: list[str] = []
    if tree.has(PROTINFO):
        try:
            protocol = decode_protinfo(tree.read(PROTINFO, MAX_PROTINFO))
        except EvoteError as error:
            notes.append(str(error))
        places = [f"{SESSIONS}/{name}/" for name in tree.directories(SESSIONS)]
        if not places:
            return None
    elif all(map(tree.has, _SMALL)) and "proofs" in tree.directories():
        places = [""]
        notes.append("one session, without its protInfo.xml")
    else:
        return None
    counts = [_ciphertexts(tree, place, protocol) for place in places]
    known = [count for count in counts if count is not None]
    for place, count in list(zip(places, counts, strict=True))[:_SHOWN]:
        many = "" if count is None else f", {count} ciphertexts"
        notes.append(f"{shown_path(place) or 'session'}: {_line(tree, place, 'type')}{many}")
    if len(places) > _SHOWN:
        notes.append(f"and {len(places) - _SHOWN} more sessions")
    files, size = tree.size()
    return Inspection(
        system="Verificatum",
        version=protocol.version if protocol else _line(tree, places[0], "version"),
        form=tree.kind,
        title=None if protocol is None else protocol.sid,
        ballots=sum(known) if len(known) == len(counts) else None,
        trustees=None if protocol is None else protocol.parties,
        group=None if protocol is None else protocol.group.name,
        files=files,
        size=size,
        notes=tuple(notes),
    )


def _line(tree: Tree, place: str, name: str) -> str:
    with suppress(EvoteError):
        return shown_path(tree.head(place + name, 100).decode("ascii", "replace"))
    return "not readable"


def _ciphertexts(tree: Tree, place: str, protocol: Protocol | None) -> int | None:
    """How many there are: the length of the innermost node of the first half of the list."""
    with suppress(EvoteError):
        text = tree.head(place + "width", 20).decode("ascii", "replace")
        width = decimal(text, 1, MAX_WIDTH, where="width")
        parts = Widths(1 if protocol is None else protocol.key_width, width).message_parts
        start = 5 * (1 + len(parts))
        header = tree.head(place + "Ciphertexts.bt", start + 5)[start:]
        if len(header) == 5 and header[0] == 0:
            return int.from_bytes(header[1:], "big")
    return None
