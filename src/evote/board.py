"""The bulletin board: an append-only log of entries under a signed head, in C2SP tile form.

On disk, inside the directory of a record:

    board/checkpoint              the signed head; what it covers is the log, and nothing else is
    board/tile/entries/NNN        bundles of 256 entries, u16 length || entry; the last one partial
    ballots/NNN.jsonl             the bodies of the ballot entries of bundle NNN, in order

`Board.append` returns when the entries and bodies are synced and under a new checkpoint, and not
before: what it acknowledged survives a crash. Files are written first, then the checkpoint is put
in place of the old one in one step; what lies beyond the checkpoint was never acknowledged and is
cut when the board is opened next. One process writes at a time, under a lock on the directory.

Not promised here: that all readers see the same log. That is what witnesses are for; a receipt
is checked under a policy that names them. Judging what the entries say is `verify`'s work.
"""

from __future__ import annotations

import hmac
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from evote._entries import (
    BUNDLE,
    ENTRIES,
    MAX_BUNDLE,
    MAX_COUNT,
    MAX_ENTRY,
    MAX_ROWS,
    MAX_TIME,
    VOTING_PHASES,
    BallotColumns,
    BallotEntry,
    Confirm,
    Entry,
    Extend,
    Open,
    OpenedContest,
    Opening,
    OperatorSignature,
    PhaseEntry,
    ResultEntry,
    Ruling,
    Seal,
    ShareEntry,
    Stage,
    Strike,
    TallyEntry,
    VotingPhase,
    bodies_path,
    bundle_path,
    decode_bundle,
    decode_entry,
    encode_bundle,
    encode_entry,
    entry_place,
    next_stage,
    pack_rows,
    read_ballot_entries,
    ruling_bytes,
    ruling_kind,
    tile_name,
    unpack_rows,
)
from evote._files import (
    TEMPORARY,
    append_file,
    create_file,
    cut_file,
    lock_directory,
    make_directory,
    read_file,
    remove,
    replace_file,
    sync_directory,
)
from evote._merkle import (
    EMPTY_ROOT,
    CompactRange,
    MerkleTree,
    leaf_hash,
    leaf_hashes,
    merkle_root,
    verify_consistency,
    verify_inclusion,
)
from evote._notes import (
    COSIGNER_KEY,
    LOG_KEY,
    MAX_NOTE,
    MLDSA_KEY,
    Checkpoint,
    Cosignature,
    Note,
    NoteSignature,
    NoteSigner,
    VerifierKey,
    check_origin,
    cosign,
    decode_checkpoint,
    decode_note,
    decode_vkey,
    open_checkpoint,
    open_note,
    sign_checkpoint,
)
from evote._receipts import (
    Receipt,
    ReceiptClaim,
    TlogProof,
    decode_receipt,
    decode_tlog_proof,
    encode_receipt,
    verify_receipt,
    verify_tlog_proof,
)
from evote._witnesses import WitnessPolicy, decode_policy
from evote.encoding import digest
from evote.errors import BrokenLog, DecodingError, ParameterError

__all__ = [
    "BUNDLE",
    "COSIGNER_KEY",
    "EMPTY_ROOT",
    "ENTRIES",
    "LOG_KEY",
    "MAX_BODY",
    "MAX_BUNDLE",
    "MAX_COUNT",
    "MAX_ENTRY",
    "MAX_NOTE",
    "MAX_ROWS",
    "MAX_TIME",
    "MLDSA_KEY",
    "VOTING_PHASES",
    "BallotColumns",
    "BallotEntry",
    "Board",
    "Checkpoint",
    "CompactRange",
    "Confirm",
    "Cosignature",
    "Entry",
    "Extend",
    "MerkleTree",
    "Note",
    "NoteSignature",
    "NoteSigner",
    "Open",
    "OpenedContest",
    "Opening",
    "OperatorSignature",
    "PhaseEntry",
    "Receipt",
    "ReceiptClaim",
    "ResultEntry",
    "Ruling",
    "Seal",
    "ShareEntry",
    "Stage",
    "Strike",
    "TallyEntry",
    "TlogProof",
    "VerifierKey",
    "VotingPhase",
    "WitnessPolicy",
    "bodies_path",
    "bundle_path",
    "check_origin",
    "cosign",
    "decode_bundle",
    "decode_checkpoint",
    "decode_entry",
    "decode_note",
    "decode_policy",
    "decode_receipt",
    "decode_tlog_proof",
    "decode_vkey",
    "encode_bundle",
    "encode_entry",
    "encode_receipt",
    "entry_place",
    "leaf_hash",
    "leaf_hashes",
    "merkle_root",
    "next_stage",
    "open_checkpoint",
    "open_note",
    "pack_rows",
    "read_ballot_entries",
    "ruling_bytes",
    "ruling_kind",
    "sign_checkpoint",
    "tile_name",
    "unpack_rows",
    "verify_consistency",
    "verify_inclusion",
    "verify_receipt",
    "verify_tlog_proof",
]

MAX_BODY = 16 * 2**20  # bytes of one ballot
CHECKPOINT = "board/checkpoint"


class Board:
    """The log of one election, open for appending. A context manager; it holds the lock.

    Not for several threads at a time. Memory: 64 bytes per entry for proofs, and one bundle.
    """

    def __init__(self, record: Path | str, signer: NoteSigner, *, timeout: float = 30.0) -> None:
        """Open the board of the record in a directory, or begin one there.

        Args:
            record: the directory of the record.
            signer: the key of the log; its name is the log's origin.
            timeout: seconds to wait for another process that has the board open.

        Raises:
            ParameterError: another process keeps it open, or the key is not that of a log.
            DecodingError: a file under the checkpoint is missing or malformed.
            VerificationError: the checkpoint is not ours, or does not match the entries.
        """
        if signer.key.kind != LOG_KEY:
            raise ParameterError("the board is signed by the key of a log")
        self._path = Path(record)
        self._signer = signer
        self._tree = MerkleTree()
        self._range = CompactRange()  # over the same entries: cheap to copy and try an append on
        self._tail: list[bytes] = []  # the entries of the last bundle, while it is partial
        self._stage = Stage.EMPTY
        self._checkpoint = b""
        make_directory(self._path / ENTRIES)
        self._lock: int | None = lock_directory(self._path / "board", timeout)
        try:
            self._recover()
        except BaseException:
            self.close()
            raise

    @property
    def key(self) -> VerifierKey:
        """The key that signs the log."""
        return self._signer.key

    @property
    def size(self) -> int:
        """Number of entries."""
        return self._tree.size

    @property
    def root(self) -> bytes:
        """The Merkle root over all entries."""
        return self._range.root()

    @property
    def stage(self) -> Stage:
        """How far the log has come, and with it what may come next."""
        return self._stage

    @property
    def checkpoint(self) -> bytes:
        """The signed head of the log, as it is on disk."""
        return self._checkpoint

    def close(self) -> None:
        """Give the lock back; the board takes no entries any more."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    # -- appending -------------------------------------------------------------------------------

    def append(self, entries: Sequence[Entry], bodies: Sequence[bytes] = ()) -> range:
        """Append entries in order, all of them or none, and sign the new head.

        Cost: one sync for each file and directory touched (a bundle has 256 entries) and two for
        the checkpoint, however many entries there are.

        Args:
            entries: what to append.
            bodies: of the ballot entries among them, in order.

        Returns:
            The indices of the entries. They are durable and under a signed checkpoint.

        Raises:
            BrokenLog: an entry has no place there; nothing is appended.
            ParameterError: bodies and ballot entries do not match, or the board is closed.
            OSError: the disk refused. The board is closed; opened again, it has all or none.
        """
        if self._lock is None:
            raise ParameterError("the board is closed")
        stage = self._stage
        for index, entry in enumerate(entries, self.size):
            stage = next_stage(stage, entry, index)
        encoded = [encode_entry(entry) for entry in entries]
        lines = _body_lines(entries, bodies)
        first, end = self.size, self.size + len(encoded)
        if not encoded:
            return range(first, end)
        leaves = [leaf_hash(data) for data in encoded]
        grown = self._range.copy()
        grown.extend(leaves)
        signed = self._sign(end, grown.root())
        try:
            self._write_bundles(encoded, lines)
            replace_file(self._path / CHECKPOINT, signed)
            self._remove_replaced(first, end)
        except BaseException:
            self.close()  # the files are in doubt: opening the board again settles them
            raise
        kept = end % BUNDLE
        self._tail = (self._tail + encoded)[-kept:] if kept else []
        self._tree.extend(leaves)
        self._range, self._stage, self._checkpoint = grown, stage, signed
        return range(first, end)

    def add_cosignatures(self, cosigned: bytes) -> bool:
        """Put the present head with its witnesses' cosignatures in its own place, durably.

        Returns:
            Whether it is the present one still; if not, nothing happens.

        Raises:
            VerificationError, DecodingError: it is not a head of this log.
        """
        head = open_checkpoint(cosigned, self._signer.key)
        if self._lock is None or (head.size, head.root) != (self.size, self.root):
            return False
        replace_file(self._path / CHECKPOINT, cosigned)
        self._checkpoint = cosigned
        return True

    def _write_bundles(self, encoded: list[bytes], lines: list[bytes]) -> None:
        number, start = self.size // BUNDLE, -len(self._tail)
        touched: set[Path] = set()
        while start < len(encoded):
            here = slice(max(start, 0), start + BUNDLE)
            bundle = (self._tail if start <= 0 else []) + encoded[here]
            path = self._path / bundle_path(number, len(bundle))
            make_directory(path.parent)
            create_file(path, encode_bundle(bundle))
            touched.add(path.parent)
            if bodies := b"".join(lines[here]):
                path = self._path / bodies_path(number)
                make_directory(path.parent)
                append_file(path, bodies)
                touched.add(path.parent)
            number, start = number + 1, start + BUNDLE
        for directory in sorted(touched):
            sync_directory(directory)

    def _sign(self, size: int, root: bytes) -> bytes:
        head = Checkpoint(origin=self._signer.key.name, size=size, root=root)
        signed = sign_checkpoint(head, self._signer)
        open_checkpoint(signed, self._signer.key)  # never publish what nobody could verify
        return signed

    def _remove_replaced(self, old: int, new: int) -> None:
        """Remove the partial bundle of `old` entries, which a larger one has replaced."""
        if old % BUNDLE:
            path = self._path / bundle_path(old // BUNDLE, old % BUNDLE)
            remove(path)
            if new // BUNDLE > old // BUNDLE:
                remove(path.parent)

    # -- opening again ---------------------------------------------------------------------------

    def _recover(self) -> None:
        """Read the log under the checkpoint, and cut whatever else a crash has left."""
        for path in self._path.joinpath("board").glob(TEMPORARY + "*"):
            remove(path)
        if not (self._path / CHECKPOINT).exists():
            # The first checkpoint is there before the first entry, so no crash loses it.
            if any(_files_below(self._path / ENTRIES)):
                raise DecodingError("missing, although there are entries", where=CHECKPOINT)
            replace_file(self._path / CHECKPOINT, self._sign(0, EMPTY_ROOT))
        self._checkpoint = read_file(self._path / CHECKPOINT, MAX_NOTE, where=CHECKPOINT)
        head = open_checkpoint(self._checkpoint, self._signer.key, where=CHECKPOINT)
        ballots = 0  # in the last bundle, while it is partial
        for first in range(0, head.size, BUNDLE):
            bundle = self._read_bundle(first // BUNDLE, min(BUNDLE, head.size - first))
            ballots = 0
            for index, data in enumerate(bundle, first):
                entry = decode_entry(data, where=f"entry {index}")
                self._stage = next_stage(self._stage, entry, index)
                ballots += isinstance(entry, BallotEntry)
            leaves = [leaf_hash(data) for data in bundle]
            self._tree.extend(leaves)
            self._range.extend(leaves)
            self._tail = bundle if len(bundle) < BUNDLE else []
        if self.root != head.root:
            raise BrokenLog(f"its {head.size} entries do not have the root of the checkpoint")
        self._cut(head.size, ballots if self._tail else 0)

    def _cut(self, size: int, ballots: int) -> None:
        """Remove what the checkpoint of `size` does not cover.

        Args:
            size: number of entries that stay.
            ballots: how many of them are ballots in the last bundle, while it is partial.
        """
        last, width = divmod(size, BUNDLE)
        for path in _files_below(self._path / ENTRIES):
            name = path.relative_to(self._path).as_posix()
            found = _BUNDLE_PATH.fullmatch(name)
            if found is None:
                continue  # nothing of ours: the audit names it
            number = _tile_number(found[1])
            if number > last or (number == last and name != bundle_path(last, width)):
                remove(path)
            elif number < last and found[2]:
                remove(path)  # a partial bundle beside the full one
        for path in _files_below(self._path / "ballots"):
            name = path.relative_to(self._path).as_posix()
            found = _BODIES_PATH.fullmatch(name)
            number = _tile_number(found[1]) if found else -1
            if number > last or (number == last and not ballots):
                remove(path)
            elif number == last:
                _keep_lines(path, ballots, name)
        for directory in (self._path / ENTRIES, self._path / "ballots"):
            _remove_empty(directory)

    # -- reading ---------------------------------------------------------------------------------

    def _read_bundle(self, number: int, count: int) -> list[bytes]:
        name = bundle_path(number, count)
        return decode_bundle(
            read_file(self._path / name, MAX_BUNDLE, where=name), count, where=name
        )

    def _bundle(self, number: int) -> list[bytes]:
        full = number < self.size // BUNDLE
        return self._read_bundle(number, BUNDLE) if full else list(self._tail)

    def entries(self, start: int = 0) -> Iterator[Entry]:
        """The entries from index `start` on, bundle by bundle."""
        for number in range(start // BUNDLE, -(-self.size // BUNDLE)):
            first = number * BUNDLE
            for index, data in enumerate(self._bundle(number), first):
                if index >= start:
                    yield decode_entry(data, where=f"entry {index}")

    def inclusion_proof(self, index: int, size: int | None = None) -> tuple[bytes, ...]:
        """The proof that entry `index` is in the log of the first `size` entries."""
        return self._tree.inclusion_proof(index, size)

    def consistency_proof(self, old: int, new: int | None = None) -> tuple[bytes, ...]:
        """The proof that the log of `old` entries is the beginning of the one of `new`."""
        return self._tree.consistency_proof(old, new)

    def receipt(self, index: int) -> Receipt:
        """The receipt of one entry under the current checkpoint."""
        return self.receipts([index])[0]

    def receipts(self, indices: Iterable[int]) -> list[Receipt]:
        """Receipts of entries, in the order asked; ascending indices read each bundle once."""
        result: list[Receipt] = []
        number, bundle = -1, list[bytes]()
        for index in indices:
            hashes = self._tree.inclusion_proof(index)
            if index // BUNDLE != number:
                number = index // BUNDLE
                bundle = self._bundle(number)
            proof = TlogProof(index=index, hashes=hashes, checkpoint=self._checkpoint)
            result.append(Receipt(entry=bundle[index % BUNDLE], proof=proof))
        return result


_TILE = r"(?:x[0-9]{3}/)*[0-9]{3}"
_BUNDLE_PATH = re.compile(rf"{ENTRIES}/({_TILE})(\.p/[0-9]{{1,3}})?", re.ASCII)
_BODIES_PATH = re.compile(rf"ballots/({_TILE})\.jsonl", re.ASCII)


def _tile_number(name: str) -> int:
    return int(name.replace("x", "").replace("/", ""))


def _body_lines(entries: Sequence[Entry], bodies: Sequence[bytes]) -> list[bytes]:
    """For each entry the line of its body; empty where it has none."""
    ballots = [isinstance(entry, BallotEntry) for entry in entries]
    if sum(ballots) != len(bodies):
        raise ParameterError(f"{len(bodies)} bodies of {sum(ballots)} ballot entries")
    rest, lines = iter(bodies), []
    for entry in entries:
        if not isinstance(entry, BallotEntry):
            lines.append(b"")
            continue
        body = next(rest)
        if b"\n" in body or not 0 < len(body) <= MAX_BODY:
            raise ParameterError(f"the body of a ballot is one line of at most {MAX_BODY} bytes")
        if not hmac.compare_digest(digest("ballot", body), entry.digest):
            raise ParameterError("the body of a ballot does not have the digest of its entry")
        lines.append(body + b"\n")
    return lines


def _files_below(directory: Path) -> list[Path]:
    return [path for path in sorted(directory.rglob("*")) if path.is_symlink() or path.is_file()]


def _remove_empty(directory: Path) -> None:
    """Remove the empty directories below one; itself it stays."""
    for path in sorted(directory.rglob("*"), reverse=True):
        if path.is_dir() and not path.is_symlink() and not any(path.iterdir()):
            remove(path)


def _keep_lines(path: Path, count: int, where: str) -> None:
    """Cut a file after its first `count` lines."""
    size = 0
    with path.open("rb") as file:
        for number in range(count):
            line = file.readline(MAX_BODY + 1)
            if not line.endswith(b"\n"):
                raise DecodingError(f"line {number + 1} is missing or has no end", where=where)
            size += len(line)
        more = bool(file.read(1))
    if more:
        cut_file(path, size)
