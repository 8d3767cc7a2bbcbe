"""The archive as it grows: every append leaves the old bytes as they are, and is whole or undone.

An append is one write, so that a process that is killed leaves the beginning of it; whoever opens
the archive next cuts that off. Bytes that no append could have left there are never cut: such an
archive is damaged, and that is an error.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from evote._files import append_file, cut_file, lock_directory, write_file
from evote.interop.belenios._archive import BLOCK, Archive, Body, Torn, whole_record
from evote.interop.belenios._forms import compact, sha256_hex

__all__ = ["GrowingArchive", "begin_archive", "open_growing"]

_PATIENCE = 30.0  # seconds that another process may hold the archive


def _record(body: bytes, form: str, timestamp: int) -> bytes:
    """A record that is called by its hash; the form is "data" or "event"."""
    return whole_record(f"{sha256_hex(body)}.{form}.json", body, timestamp)


def _event(parent: str, height: int, kind: str, payload: str) -> bytes:
    """An event: what happened, behind which other event."""
    head = {"parent": parent} if parent else {}
    tail = {"payload": payload} if payload else {}
    return compact({**head, "height": height, "type": kind, **tail}).encode()


def begin_archive(
    path: Path, election: bytes, trustees: bytes, credentials: bytes, timestamp: int
) -> None:
    """Write an archive that ends with its setup.

    Raises:
        ParameterError: there is another one.
    """
    names = {"election": election, "trustees": trustees, "credentials": credentials}
    setup = compact({name: sha256_hex(body) for name, body in names.items()}).encode()
    head = compact({"version": 1, "timestamp": str(timestamp)}).encode()
    records = [whole_record("BELENIOS", head, timestamp)]
    records += [_record(body, "data", timestamp) for body in (*names.values(), setup)]
    event = _event("", 0, "Setup", sha256_hex(setup))
    write_file(path, b"".join([*records, _record(event, "event", timestamp)]))


class GrowingArchive(Archive):
    """An archive that is open to be read and appended to, by one process at a time."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._path = path

    def append(self, kind: str, *bodies: bytes) -> str:
        """Add an event with its data, the payload last; on the disk when this returns.

        Returns:
            The event's hash.

        Raises:
            Failed: it cannot come now, or its data are not those that belong to it.
        """
        return self.append_all(kind, [bodies])[-1]

    def append_all(self, kind: str, events: list[tuple[bytes, ...]]) -> list[str]:
        """Add events of one kind, with their data, in one write."""
        parts: list[bytes] = []
        end = self.size

        def add(body: bytes, form: str) -> Body:
            nonlocal end
            parts.append(_record(body, form, self.timestamp))
            end += len(parts[-1])
            return Body(sha256_hex(body), end - len(parts[-1]) + BLOCK, len(body))

        for bodies in events:
            data = tuple(add(body, "data") for body in bodies)
            payload = data[-1].digest if data else ""
            parent = self.events[-1].digest
            event = _event(parent, len(self.events), kind, payload)
            digest = add(event, "event").digest
            self._add(digest, event, data, bodies[-1] if bodies else b"", end)
        append_file(self._path, b"".join(parts))
        self.size = end
        return [event.digest for event in self.events[len(self.events) - len(events) :]]


@contextmanager
def open_growing(path: Path) -> Iterator[GrowingArchive]:
    """An archive to append to, under the lock of its directory.

    Raises:
        Failed: it is damaged.
        ParameterError: another process is at work.
    """
    lock = lock_directory(path.parent, timeout=_PATIENCE)
    try:
        _mend(path)
        with GrowingArchive(path) as archive:
            archive.read()
            yield archive
    finally:
        os.close(lock)


def _mend(path: Path) -> None:
    """Cut off what an append has left that was killed."""
    with Archive(path) as archive:
        try:
            archive.read()
        except Torn:
            if not archive.events:
                raise
            end = archive.events[-1].end
        else:
            return
    cut_file(path, end)
