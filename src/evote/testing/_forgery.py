"""A finished record in the hands of an insider: changed in place, and signed anew.

Only the end of the log is read and written again; the hashes of what comes before are in its tiles.
So a record of any size is changed in the time that a few hundred ballots take, unless a mix server
shuffles for it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from evote.board import (
    BOARD,
    BUNDLE,
    BallotEntry,
    Checkpoint,
    Entry,
    NoteSigner,
    Open,
    ResultEntry,
    ShareEntry,
    TallyEntry,
    TileTree,
    bodies_path,
    bundle_path,
    decode_entry,
    encode_bundle,
    encode_entry,
    leaf_hashes,
    read_tile,
    sign_checkpoint,
    tile_paths,
)
from evote.ceremony import ceremony_parameters
from evote.elgamal import PublicKey
from evote.encoding import canonical_json
from evote.errors import DecodingError, ParameterError
from evote.mixing import Cascade
from evote.operators import OperatorKey
from evote.record import CHECKPOINT, RESULT, TALLY, Record, share_path
from evote.tally import file_digest
from evote.threshold import examine_ceremony

__all__ = ["Forgery", "Line"]

Line = tuple[Entry, bytes]  # an entry, and the body of a ballot
_BUNDLES = 4  # at the end of the log, besides the last
_LEVELS = 8  # of tiles, more than any log has


class Forgery:
    """A record while it is changed. `lines`, the end of its log, is written by `finish`."""

    def __init__(
        self, record: Path | str, board: NoteSigner, mixers: Mapping[str, OperatorKey]
    ) -> None:
        """Read the end of the log.

        Args:
            record: the directory.
            board: the key of the log.
            mixers: keys of mix servers by their ids.
        """
        self.path, self.record = Path(record), Record(record)
        self.manifest = self.record.manifest
        self._board, self._mixers = board, mixers
        head = self.record.checkpoint()
        fetch = partial(read_tile, self.path)
        tree = TileTree(head.size, head.root, fetch)
        self._head = head
        self._start = max((head.size - 1) // BUNDLE - _BUNDLES, 0) * BUNDLE
        self._edge = TileTree(self._start, tree.root(self._start), fetch).edge
        [opening] = [decode_entry(data) for data in tree.bundle(0)[:1]]
        if not isinstance(opening, Open):
            raise ParameterError("the log does not begin with its opening")
        self.election = opening.election
        last = range(self._start // BUNDLE, -(-head.size // BUNDLE))
        self.lines = [line for number in last for line in self._read(tree, number)]

    def _read(self, tree: TileTree, number: int) -> Iterator[Line]:
        entries = [decode_entry(data) for data in tree.bundle(number)]
        some = any(isinstance(entry, BallotEntry) for entry in entries)
        bodies = self.record.ballot_bodies(number) if some else iter(())
        for entry in entries:
            body = next(bodies, b"") if isinstance(entry, BallotEntry) else b""
            if isinstance(entry, BallotEntry) and not body:
                raise DecodingError("a ballot is missing", where=bodies_path(number))
            yield entry, body

    @cached_property
    def key(self) -> PublicKey:
        """What ballots are encrypted under."""
        files = self.record.ceremony_files()
        ceremony = examine_ceremony(ceremony_parameters(self.record), files).result
        if ceremony is None:
            raise ParameterError("the ceremony does not verify")
        return ceremony.key

    def cascade(self) -> Cascade:
        """What the steps of mix servers are bound to."""
        counted = bytes.fromhex(self.json(TALLY)["counted"])
        return Cascade(
            manifest=self.manifest, key=self.key, election=self.election, counted=counted
        )

    def mixer(self, step: int) -> OperatorKey:
        """The key of the step-th mix server."""
        name = self.cascade().mixer(step)
        if name not in self._mixers:
            raise ParameterError(f"nobody has the key of {name}")
        return self._mixers[name]

    def last(self, kind: type[Entry], count: int = 1) -> list[int]:
        """The places in `lines` of the last entries of a kind, ascending."""
        places = [i for i, (entry, _) in enumerate(self.lines) if isinstance(entry, kind)]
        if len(places) < count:
            what = kind.__name__.removesuffix("Entry").lower()
            raise ParameterError(f"the end of the log has {len(places)} entries of kind {what}")
        return places[-count:]

    def json(self, name: str) -> Any:
        """What a file of the record says."""
        return json.loads(self.record.read(name))

    def put(self, name: str, data: bytes) -> None:
        """A file in the place of another, which other records may share: it is never changed."""
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        path.write_bytes(data)

    def publish(self, name: str, value: Any) -> None:
        """A file of the tally in the place of another, and its digest in the log."""
        data = canonical_json(value)
        self.put(name, data)
        for place, (entry, _) in enumerate(self.lines):
            match entry:
                case TallyEntry() if name == TALLY:
                    pass
                case ShareEntry() if name == share_path(entry.trustee):
                    pass
                case ResultEntry() if name == RESULT:
                    pass
                case _:
                    continue
            self.lines[place] = replace(entry, digest=file_digest(data)), b""

    def finish(self) -> None:
        """Write the end of the log, and sign its head if it is another one."""
        encoded = [encode_entry(entry) for entry, _ in self.lines]
        size, files = self._start + len(encoded), dict[str, bytes]()
        edge = self._edge.copy()
        for path, data in edge.extend(leaf_hashes(encoded)):
            files[BOARD + path] = data
        levels = filter(None, map(edge.hashes, range(_LEVELS)))
        for path, hashes in zip(edge.paths(), levels, strict=True):
            files[BOARD + path] = b"".join(hashes)  # those of the old size may have been wider
        for first in range(0, len(encoded), BUNDLE):
            number, some = (self._start + first) // BUNDLE, encoded[first : first + BUNDLE]
            files[bundle_path(number, len(some))] = encode_bundle(some)
            bodies = [body + b"\n" for _, body in self.lines[first : first + BUNDLE] if body]
            if bodies:
                files[bodies_path(number)] = b"".join(bodies)
        for name in self._log_names(self._head.size) - self._log_names(size):
            self._remove(name)
        for name, data in files.items():
            self.put(name, data)
        head = Checkpoint(origin=self._board.key.name, size=size, root=edge.root())
        if head != self._head:  # else it keeps what witnesses have said of it
            self.put(CHECKPOINT, sign_checkpoint(head, self._board))

    def _log_names(self, size: int) -> set[str]:
        """Tiles, and bundles from the start on; bodies too, where there are any."""
        names = {BOARD + path for path in tile_paths(size)}
        for first in range(self._start, size, BUNDLE):
            names.add(bundle_path(first // BUNDLE, min(BUNDLE, size - first)))
            names.add(bodies_path(first // BUNDLE))
        return names

    def _remove(self, name: str) -> None:
        path = self.path / name
        path.unlink(missing_ok=True)
        for folder in path.parents:
            if not folder.is_dir() or any(folder.iterdir()):
                break
            folder.rmdir()
