"""A witness: it cosigns the heads of logs, each a continuation of the last, and nothing else.

    secret.json                   its key, sealed; mode 0600
    logs/<sha256 of origin>/head            the last head it has accepted, as the log signed it
    logs/<sha256 of origin>/checkpoint      the same with the witness's own cosignature
    logs/<sha256 of origin>/evidence-N.json pairs of heads that may contradict each other

A head is on the disk before it is signed, so that no crash makes the witness sign two views. A
witness that was restored from a backup may have forgotten a head it signed: it must be retired, and
a new one, with another key, takes its place.

Reference: C2SP tlog-witness v1.0.0, add-checkpoint, and the monitoring prefix.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey

from evote._evidence import MAX_EVIDENCE, LogEvidence, decode_evidence, encode_evidence
from evote._files import (
    lock_directory,
    make_directory,
    read_file,
    replace_file,
    write_file,
)
from evote._merkle import EMPTY_ROOT, HASH_SIZE, MAX_PROOF
from evote._notes import Note, decode_base64, decode_note, encode_base64
from evote.board import (
    COSIGNER_KEY,
    LOG_KEY,
    MAX_NOTE,
    MLDSA_KEY,
    Checkpoint,
    NoteSigner,
    VerifierKey,
    cosign,
    decode_checkpoint,
    decode_vkey,
    open_note,
    verify_consistency,
)
from evote.encoding import (
    JSON,
    Fields,
    canonical_json,
    check_format,
    decode_decimal,
    parse_json,
)
from evote.errors import (
    BrokenLog,
    DecodingError,
    EvoteError,
    ParameterError,
    UnsupportedError,
    VerificationError,
)
from evote.operators import MAX_SECRET, Passphrase, SecretBytes, conceal, open_secret, seal_secret
from evote.server._web import Answer, Handler, Refused, Request

__all__ = [
    "ALGORITHMS",
    "MAX_ADD_CHECKPOINT",
    "AddCheckpoint",
    "Witness",
    "create_witness",
    "decode_add_checkpoint",
    "encode_add_checkpoint",
    "witness_application",
    "witness_key",
]

ALGORITHMS = {"ed25519": COSIGNER_KEY, "ml-dsa-44": MLDSA_KEY}
MAX_ADD_CHECKPOINT = MAX_NOTE + 4096  # bytes: 63 lines of hashes are 2,835
MAX_ORIGIN = 255  # bytes, in what ML-DSA-44 signs
MAX_HEAD = MAX_NOTE - 8192  # bytes: with the witness's own line it must still be a note
MAX_KEPT = 16  # pairs of heads of each kind for one log
SIZE = "text/x.tlog.size"
_SECRET = "secret.json"  # noqa: S105  a file's name


# -- keys ------------------------------------------------------------------------------------------


def create_witness(
    directory: Path | str, name: str, passphrase: Passphrase, *, algorithm: str = "ed25519"
) -> VerifierKey:
    """Make a witness's directory with a new key; returns what policies name.

    Raises:
        ParameterError: the directory holds one already, or the name is no key name.
        UnsupportedError: this machine has no ML-DSA-44.
    """
    directory = Path(directory)
    seed = SecretBytes(os.urandom(32))
    signer = _signer(name, ALGORITHMS[algorithm], seed)
    if (directory / _SECRET).exists():
        raise ParameterError(f"{directory} holds the key of a witness already")
    make_directory(directory, mode=0o700)
    sealed = seal_secret(seed, signer.key.text.encode("utf-8"), conceal(passphrase, sealing=True))
    head: dict[str, JSON] = {"format": "evote/witness", "version": 1, "key": signer.key.text}
    write_file(directory / _SECRET, canonical_json(head | sealed), mode=0o600)
    return signer.key


def _signer(name: str, kind: int, seed: SecretBytes) -> NoteSigner:
    try:
        if kind == MLDSA_KEY:
            lattice = MLDSA44PrivateKey.from_seed_bytes(seed.reveal())
            public = lattice.public_key().public_bytes_raw()
            return NoteSigner(
                key=VerifierKey(name=name, kind=kind, public=public), sign=lattice.sign
            )
        secret = Ed25519PrivateKey.from_private_bytes(seed.reveal())
        public = secret.public_key().public_bytes_raw()
        return NoteSigner(key=VerifierKey(name=name, kind=kind, public=public), sign=secret.sign)
    except UnsupportedAlgorithm:
        raise UnsupportedError("this OpenSSL has no ML-DSA-44") from None


def _read_secret(directory: Path) -> Fields:
    data = read_file(directory / _SECRET, MAX_SECRET)
    fields = Fields(parse_json(data, where=_SECRET), f"{_SECRET}: $")
    check_format(fields, "evote/witness", 1)
    return fields


def witness_key(directory: Path | str) -> VerifierKey:
    """The public key of a witness's directory."""
    fields = _read_secret(Path(directory))
    return decode_vkey(fields.text("key", max_length=4096), where=fields.path("key"))


def _open_signer(directory: Path, passphrase: Passphrase) -> NoteSigner:
    fields = _read_secret(directory)
    text = fields.text("key", max_length=4096)
    key = decode_vkey(text, kinds=tuple(ALGORITHMS.values()), where=fields.path("key"))
    signer = _signer(key.name, key.kind, open_secret(fields, text.encode("utf-8"), passphrase))
    if signer.key != key:
        raise DecodingError("not the secret of its key", where=_SECRET)
    return signer


# -- the request -----------------------------------------------------------------------------------


class AddCheckpoint(NamedTuple):
    """What a log sends: the size that it believes was cosigned last, a proof, the new head."""

    old: int
    proof: tuple[bytes, ...]
    checkpoint: bytes


def encode_add_checkpoint(request: AddCheckpoint) -> bytes:
    """The body of a request."""
    lines = [f"old {request.old}", *map(encode_base64, request.proof), "", ""]
    return "\n".join(lines).encode("ascii") + request.checkpoint


def decode_add_checkpoint(data: bytes) -> tuple[AddCheckpoint, Note, Checkpoint]:
    """Read the body of a request; nothing is judged but that old is not above new.

    Raises:
        DecodingError: it is none.
    """
    where = "request"
    head, found, note = data.partition(b"\n\n")
    if len(data) > MAX_ADD_CHECKPOINT or not found or not head.isascii():
        raise DecodingError("an add-checkpoint request expected", where=where)
    first, *lines = head.decode("ascii").split("\n")
    if not first.startswith("old ") or len(lines) > MAX_PROOF:
        raise DecodingError("'old SIZE' and at most 63 hashes expected", where=where)
    old = decode_decimal(first.removeprefix("old "), where=where)
    proof = tuple(decode_base64(line, where=where) for line in lines)
    if any(len(hash_) != HASH_SIZE for hash_ in proof):
        raise DecodingError(f"a hash that is not {HASH_SIZE} bytes", where=where)
    opened = decode_note(note, where=where)
    checkpoint = decode_checkpoint(opened.text, where=where)
    if old > checkpoint.size:
        raise DecodingError("the old size is above the new one", where=where)
    return AddCheckpoint(old, proof, note), opened, checkpoint


# -- the witness -----------------------------------------------------------------------------------


class Witness:
    """A witness at work, for several threads. A context manager; it holds its directory's lock."""

    def __init__(
        self,
        directory: Path | str,
        logs: Iterable[VerifierKey],
        passphrase: Passphrase,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Open a directory that `create_witness` made.

        Args:
            logs: the keys that are believed, each for the log of its name.
            clock: POSIX seconds.

        Raises:
            ParameterError: another process is this witness, or it cannot cosign one of the logs.
            DecodingError: wrong passphrase, or a file that is damaged, lost or too old.
        """
        self._path = Path(directory)
        self._signer = _open_signer(self._path, passphrase)
        self._clock = clock
        self._mutex = threading.Lock()
        self._keys: dict[str, list[VerifierKey]] = {}
        for key in dict.fromkeys(logs):  # each once, however often it is given
            if key.kind != LOG_KEY:
                raise ParameterError(f"{key.name}: a log's key expected")
            if self._signer.key.kind == MLDSA_KEY and len(key.name.encode("utf-8")) > MAX_ORIGIN:
                reason = f"an origin of at most {MAX_ORIGIN} bytes expected, for ML-DSA-44"
                raise ParameterError(f"{key.name}: {reason}")
            keys = self._keys.setdefault(key.name, [])
            if key.key_id in {other.key_id for other in keys}:
                raise ParameterError(f"{key.name}: two keys with the id {key.key_id.hex()}")
            keys.append(key)
        self._lock: int | None = lock_directory(self._path, 0.0)
        try:
            self._heads = {name: self._load(name) for name in self._keys}
        except BaseException:
            self.close()
            raise

    @property
    def key(self) -> VerifierKey:
        """What policies name."""
        return self._signer.key

    def close(self) -> None:
        """Give the lock back."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _place(self, origin: str) -> Path:
        return self._path / "logs" / hashlib.sha256(origin.encode("utf-8")).hexdigest()

    def _load(self, origin: str) -> tuple[Checkpoint, bytes]:
        """The last head, and the note that it was signed in; size 0 for a log that is new here."""
        place = self._place(origin)
        try:
            names = os.listdir(place)
        except FileNotFoundError:
            names = []
        except OSError as error:
            raise DecodingError(f"not readable: {error.strerror}", where=str(place)) from None
        signed = [name for name in names if name == "checkpoint" or name.startswith("evidence-")]
        if "head" not in names:
            if signed:
                reason = f"{signed[0]} without a head: what this witness cosigned is forgotten"
                raise DecodingError(reason, where=str(place))
            return Checkpoint(origin=origin, size=0, root=EMPTY_ROOT), b""
        head, data = self._read_head(place / "head", origin)
        if "checkpoint" in names:
            cosigned, _ = self._read_head(place / "checkpoint", origin)
            if head.size <= cosigned.size and not _same(head, cosigned):
                reason = "not the head that this witness cosigned last, which checkpoint has"
                raise DecodingError(reason, where=str(place / "head"))
        return head, data

    def _read_head(self, path: Path, origin: str) -> tuple[Checkpoint, bytes]:
        data = read_file(path, MAX_NOTE)
        note, _ = open_note(data, self._keys[origin], where=str(path))
        head = decode_checkpoint(note.text, where=str(path))
        if head.origin != origin:
            raise DecodingError("a head of another log", where=str(path))
        return head, data

    def add_checkpoint(self, data: bytes) -> Answer:
        """Judge a request, and cosign or refuse; the new head is on the disk before it is signed.

        Raises:
            OSError: the disk refused; nothing is signed.
        """
        try:
            request, note, head = decode_add_checkpoint(data)
        except DecodingError as error:
            return _words(400, str(error))
        keys = self._keys.get(head.origin)
        if keys is None:
            return _words(404, "not a log of this witness")
        try:
            open_note(request.checkpoint, keys)
        except EvoteError as error:
            return _words(403, str(error))
        signed = _signed_by(note, keys)
        if len(signed) > MAX_HEAD:
            return _words(400, f"a head of {len(signed)} bytes, at most {MAX_HEAD}")
        with self._mutex:
            return self._decide(request, signed, head)

    def _decide(self, request: AddCheckpoint, note: bytes, head: Checkpoint) -> Answer:
        last, held = self._heads[head.origin]
        if held and head.size == last.size and head.root != last.root:
            self._keep("fork", head.origin, held, note, head)
        if request.old != last.size:
            return Answer(status=409, body=f"{last.size}\n".encode(), kind=SIZE)
        try:
            verify_consistency(last.size, last.root, head.size, head.root, request.proof)
        except BrokenLog as error:
            if held and head.size > last.size:
                self._keep("doubt", head.origin, held, note, head)
            return _words(422, str(error))
        place = self._place(head.origin)
        if not held or head.size > last.size:
            make_directory(place)
            replace_file(place / "head", note)
            self._heads[head.origin] = head, note
            self._settle(head, note)
        cosigned = cosign(note, self._signer, int(self._clock()))
        replace_file(place / "checkpoint", cosigned)
        return Answer(body=cosigned[len(note) :])

    def _keep(self, kind: str, origin: str, first: bytes, second: bytes, head: Checkpoint) -> None:
        """Keep two heads: of equal size (`fork`), or without a proof between them (`doubt`).

        One pair for each second head. The first forks stay, and the last doubts: anybody can cast
        doubt on a head that continues, by a false proof.
        """
        kept = self._kept(kind, origin)
        if any(found and _same(found[1], head) for found in map(_second_head, kept.values())):
            return
        if kind == "fork" and len(kept) >= MAX_KEPT:
            return
        path = self._place(origin) / f"evidence-{kind}-{max(kept, default=0) + 1}.json"
        write_file(path, encode_evidence(LogEvidence(first=first, second=second)))
        for number in sorted(kept)[: max(len(kept) + 1 - MAX_KEPT, 0)]:
            kept[number].unlink()

    def _kept(self, kind: str, origin: str) -> dict[int, Path]:
        """The files of one kind by their numbers: the larger is the later."""
        name = re.compile(rf"evidence-{kind}-([1-9][0-9]{{0,17}})\.json", re.ASCII)
        found = ((name.fullmatch(path.name), path) for path in self.evidence(origin))
        return {int(match[1]): path for match, path in found if match}

    def _settle(self, head: Checkpoint, note: bytes) -> None:
        """A doubt about a head of the size that is now cosigned is none, or has become a fork."""
        for path in self._kept("doubt", head.origin).values():
            found = _second_head(path)
            if found and found[1].size == head.size:
                if not _same(found[1], head):
                    self._keep("fork", head.origin, note, *found)
                path.unlink()

    def evidence(self, origin: str) -> list[Path]:
        """The pairs of heads that were kept of a log."""
        return sorted(self._place(origin).glob("evidence-*.json"))

    def checkpoint(self, name: str) -> bytes | None:
        """The last cosigned head of the log whose origin has this SHA-256, in hex."""
        known = {self._place(origin).name: origin for origin in self._keys}
        path = self._path / "logs" / name / "checkpoint"
        return read_file(path, MAX_NOTE) if name in known and path.exists() else None


def _second_head(path: Path) -> tuple[bytes, Checkpoint] | None:
    """The later head of kept evidence; None if the file is damaged."""
    try:
        note = decode_evidence(read_file(path, MAX_EVIDENCE)).second
        return note, decode_checkpoint(decode_note(note).text)
    except DecodingError:
        return None


def _same(one: Checkpoint, other: Checkpoint) -> bool:
    return (one.size, one.root) == (other.size, other.root)


def _signed_by(note: Note, keys: Sequence[VerifierKey]) -> bytes:
    """The note with one signature line of each of the log's own keys, and nobody else's."""
    known = {(key.name, key.key_id) for key in keys}
    named = {(line.name, line.key_id): line for line in note.signatures}
    lines = tuple(line for name, line in named.items() if name in known)
    return Note(text=note.text, signatures=lines).encode()


def _words(status: int, words: str) -> Answer:
    return Answer(status=status, body=f"{words}\n".encode())


_MONITORED = re.compile(r"/([0-9a-f]{64})/checkpoint", re.ASCII)


def witness_application(witness: Witness) -> Handler:
    """What a witness answers over HTTP: POST /add-checkpoint, and GET /<sha256>/checkpoint."""

    async def answer(request: Request) -> Answer:
        if request.path == "/add-checkpoint":
            if request.method != "POST":
                raise Refused(405, "POST", allow="POST")
            data = await request.read(MAX_ADD_CHECKPOINT)
            return await asyncio.to_thread(witness.add_checkpoint, data)
        found = _MONITORED.fullmatch(request.path)
        if found is None or request.method not in ("GET", "HEAD"):
            raise Refused(404, "nothing of this name")
        try:
            data_or_none = await asyncio.to_thread(witness.checkpoint, found[1])
        except VerificationError:
            data_or_none = None
        if data_or_none is None:
            raise Refused(404, "nothing of this name")
        return Answer(body=data_or_none, headers={"cache-control": "no-store"})

    return answer
