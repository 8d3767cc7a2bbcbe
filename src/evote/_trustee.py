"""One trustee at work: its directory, what it remembers of an election, and the record."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from evote._files import (
    TEMPORARY,
    lock_directory,
    make_directory,
    read_file,
    remove,
    shown_path,
    write_file,
)
from evote.election import base_id
from evote.encoding import JSON, Fields, canonical_json, encode_base64url, encode_hex
from evote.errors import ParameterError
from evote.groups import Scalars
from evote.operators import MAX_SECRET, OperatorKey, SecretBytes, load_operator, save_operator
from evote.record import Record
from evote.threshold import CeremonyParameters

__all__ = ["TrusteeNotes", "TrusteeSession", "ceremony_parameters", "clear_leftovers"]


def ceremony_parameters(record: Record) -> CeremonyParameters:
    """What the manifest of a record says about its ceremony."""
    manifest = record.manifest
    n, k = len(manifest.trustees), manifest.quorum
    return CeremonyParameters(
        group=manifest.group,
        base_id=base_id(record.manifest_digest, manifest.group, n, k),
        quorum=k,
        trustees=manifest.trustees,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class TrusteeNotes:
    """Of one election, sealed in secret.json. Polynomial and reveal go when the share comes."""

    polynomial: Scalars | None = field(default=None, repr=False)
    reveal: bytes | None = field(default=None, repr=False)
    share: Scalars | None = field(default=None, repr=False)
    tally: bytes | None = None

    def encode(self) -> SecretBytes:
        notes: dict[str, JSON] = {}
        if self.polynomial is not None:
            notes["polynomial"] = encode_base64url(self.polynomial._secret_bytes())
        if self.reveal is not None:
            notes["reveal"] = encode_base64url(self.reveal)
        if self.share is not None:
            notes["share"] = encode_base64url(self.share._secret_bytes())
        if self.tally is not None:
            notes["tally"] = encode_hex(self.tally)
        return SecretBytes(canonical_json(notes))


def _read_notes(fields: Fields | None, parameters: CeremonyParameters) -> TrusteeNotes:
    if fields is None:
        return TrusteeNotes()
    group, k = parameters.group, parameters.quorum

    def secret(name: str, shape: tuple[int, ...], size: int) -> Scalars | None:
        if name not in fields:
            return None
        data = fields.packed(name, size * group.scalar_size)
        return group.decode_secret_scalars(data, shape, where=fields.path(name))

    notes = TrusteeNotes(
        polynomial=secret("polynomial", (k,), k),
        reveal=fields.packed("reveal") if "reveal" in fields else None,
        share=secret("share", (), 1),
        tally=fields.hex("tally", 32) if "tally" in fields else None,
    )
    fields.end()
    return notes


def clear_leftovers(directory: Path, names: str = "*") -> None:
    """Remove what a step that was killed while writing has left; no record may hold it."""
    for path in directory.glob(TEMPORARY + names):
        remove(path)


class TrusteeSession:
    """One trustee at work: its opened directory, the record, and the ceremony so far."""

    def __init__(self, directory: str | Path, record: str | Path, passphrase: SecretBytes) -> None:
        self.directory, self.passphrase = Path(directory), passphrase
        self._sealed = self._read_sealed()
        self.key: OperatorKey = load_operator(directory, passphrase)
        self.record = Record(Path(record))
        self.parameters = ceremony_parameters(self.record)
        self.index = self.parameters.index_of(self.key.card)
        clear_leftovers(self.record.path / "ceremony", f"*-{self.index:03d}*")
        self.files: Mapping[str, bytes] = self.record.ceremony_files()
        self.notes = _read_notes(self.key.recall(self.parameters.base_id), self.parameters)

    def save(self, notes: TrusteeNotes) -> None:
        """Remember: before anything that depends on it is posted.

        Raises:
            ParameterError: another process has changed secret.json since it was read: two runs
                of one step would each post what the other's secrets do not open.
        """
        key = self.key.remember(self.parameters.base_id, notes.encode())
        lock = lock_directory(self.directory, timeout=30.0)
        try:
            if self._read_sealed() != self._sealed:
                where = shown_path(self.directory)
                raise ParameterError(f"{where}: another process was at work there; run this again")
            save_operator(self.directory, key, self.passphrase)
            self._sealed = self._read_sealed()
        finally:
            os.close(lock)
        self.key, self.notes = key, notes

    def _read_sealed(self) -> bytes:
        return read_file(self.directory / "secret.json", MAX_SECRET)

    def post(self, name: str, data: bytes) -> Path:
        """Write a file of the ceremony; the same bytes may be there already, others may not."""
        path = self.record.path / "ceremony" / name
        make_directory(path.parent)
        write_file(path, data)
        return path

    def own(self, kind: str) -> Path | None:
        """The path of this trustee's own file, if it has been posted."""
        name = f"{kind}-{self.index:03d}.json"
        return self.record.path / "ceremony" / name if name in self.files else None
