"""The bulletin board: an append-only log of entries under a signed head, in C2SP tile form.

On disk, inside the directory of a record:

    board/checkpoint              the signed head; what it covers is the log, and nothing else is
    board/tile/entries/NNN        bundles of 256 entries, u16 length || entry; the last one partial
    board/tile/L/NNN              hash tiles, from which anyone computes proofs
    ballots/NNN.jsonl             the bodies of the ballot entries of bundle NNN, in order

`Board.append` returns when the entries and bodies are synced and under a new checkpoint, and not
before: what it acknowledged survives a crash. Files are written first, then the checkpoint is put
in place of the old one in one step; what lies beyond the checkpoint was never acknowledged and is
cut when the board is opened next. One process writes at a time, under a lock on the directory;
many threads do through a `Sequencer`. An index beside the record spares opening a board reading
what it has read before; it is rebuilt where it is missing or wrong.

Not promised here: that all readers see the same log. That is what witnesses are for; a receipt
is checked under a policy that names them. Judging what the entries say is `verify`'s work.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from evote._board_index import BoardIndex
from evote._bundles import (
    BUNDLE,
    ENTRIES,
    MAX_BUNDLE,
    MAX_ENTRY,
    bodies_path,
    bundle_path,
    decode_bundle,
    decode_bundles,
    encode_bundle,
    entry_place,
    tile_name,
)
from evote._entries import (
    MAX_COUNT,
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
    decode_entry,
    encode_entries,
    encode_entry,
    next_stage,
    pack_rows,
    read_ballot_entries,
    ruling_bytes,
    ruling_kind,
    unpack_rows,
)
from evote._files import (
    TEMPORARY,
    lock_directory,
    make_directory,
    read_file,
    remove,
    replace_file,
)
from evote._log_files import MAX_BODY, LogFiles
from evote._merkle import (
    EMPTY_ROOT,
    CompactRange,
    MerkleTree,
    ProvingTree,
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
from evote._tiles import (
    BOARD,
    MAX_TILE,
    TILE,
    TILE_FILE,
    Fetch,
    TileEdge,
    TileTree,
    read_tile,
    tile_path,
    tile_paths,
)
from evote._witnesses import WitnessPolicy, decode_policy
from evote.encoding import digests
from evote.errors import BrokenLog, DecodingError, EvoteError, ParameterError

__all__ = [
    "BOARD",
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
    "MAX_TILE",
    "MAX_TIME",
    "MLDSA_KEY",
    "TILE",
    "TILE_FILE",
    "VOTING_PHASES",
    "BallotColumns",
    "BallotEntry",
    "Board",
    "BoardIndex",
    "Checkpoint",
    "CompactRange",
    "Confirm",
    "Cosignature",
    "Entry",
    "Extend",
    "Fetch",
    "MerkleTree",
    "Note",
    "NoteSignature",
    "NoteSigner",
    "Open",
    "OpenedContest",
    "Opening",
    "OperatorSignature",
    "PhaseEntry",
    "ProvingTree",
    "Receipt",
    "ReceiptClaim",
    "ResultEntry",
    "Ruling",
    "Seal",
    "ShareEntry",
    "Stage",
    "Strike",
    "TallyEntry",
    "TileEdge",
    "TileTree",
    "TlogProof",
    "VerifierKey",
    "VotingPhase",
    "WitnessPolicy",
    "bodies_path",
    "bundle_path",
    "check_origin",
    "cosign",
    "decode_bundle",
    "decode_bundles",
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
    "read_tile",
    "ruling_bytes",
    "ruling_kind",
    "sign_checkpoint",
    "tile_name",
    "tile_path",
    "tile_paths",
    "unpack_rows",
    "verify_consistency",
    "verify_inclusion",
    "verify_receipt",
    "verify_tlog_proof",
]

CHECKPOINT = "board/checkpoint"


# Acknowledged ballots would be lost: the record is an older copy, or somebody else's.
_OTHER = "by index.sqlite in the board's own directory the board has signed another log"


class Board:
    """The log of one election, open for appending. A context manager; it holds the lock.

    Not for several threads at a time: `evote.sequencer` is. Memory: a few hundred tiles and one
    bundle, whatever the size.
    """

    def __init__(
        self,
        record: Path | str,
        signer: NoteSigner,
        *,
        timeout: float = 30.0,
        index: Path | None = None,
    ) -> None:
        """Open the board of the record in a directory, or begin one there.

        Args:
            record: the directory of the record.
            signer: the key of the log; its name is the log's origin.
            timeout: seconds to wait for another process that has the board open.
            index: a file outside of the record that remembers what has been read, so that the
                entries before are not read again; made where it is missing.

        Raises:
            ParameterError: another process keeps it open, or the key is not that of a log.
            DecodingError: a file under the checkpoint is missing or malformed.
            VerificationError: the checkpoint is not ours, or does not match the entries.
        """
        if signer.key.kind != LOG_KEY:
            raise ParameterError("the board is signed by the key of a log")
        self._path = Path(record)
        self._files = LogFiles(self._path)
        self._signer = signer
        self._tail: list[bytes] = []  # the entries of the last bundle, while it is partial
        self._stage = Stage.EMPTY
        self._checkpoint = b""
        self._edge, self._root = TileEdge(), EMPTY_ROOT
        self._tree = TileTree(0, EMPTY_ROOT, self._files.fetch)
        make_directory(self._path / ENTRIES)
        self._lock: int | None = lock_directory(self._path / "board", timeout)
        self._index: BoardIndex | None = None
        try:
            self._index = BoardIndex(index, f"{signer.key.text} {os.path.realpath(record)!a}")
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
        return self._edge.size

    @property
    def root(self) -> bytes:
        """The Merkle root over all entries."""
        return self._root

    @property
    def stage(self) -> Stage:
        """How far the log has come, and with it what may come next."""
        return self._stage

    @property
    def checkpoint(self) -> bytes:
        """The signed head of the log, as it is on disk."""
        return self._checkpoint

    @property
    def index(self) -> BoardIndex:
        """What finds entries, ballots and nonces without reading the log."""
        if self._index is None:
            raise ParameterError("the board is closed")
        return self._index

    def close(self) -> None:
        """Give the lock back; the board takes no entries any more."""
        if self._index is not None:
            self._index.close()
            self._index = None
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
        [outcome] = self.append_each([(entries, bodies)])
        if isinstance(outcome, EvoteError):
            raise outcome
        return outcome

    def append_each(
        self, groups: Sequence[tuple[Sequence[Entry], Sequence[bytes]]]
    ) -> list[range | EvoteError]:
        """Append groups of entries with their bodies, each all or none, under one checkpoint.

        The cost is that of `append` with all of them.

        Returns:
            For each group its indices, or why it was left out; the others do not mind.

        Raises:
            ParameterError: the board is closed.
            OSError: as in `append`, for all groups.
        """
        if self._lock is None:
            raise ParameterError("the board is closed")
        outcomes: list[range | EvoteError] = []
        taken: list[Entry] = []
        encoded: list[bytes] = []
        lines: list[bytes] = []
        stage = self._stage
        for entries, bodies in groups:
            first, after = self.size + len(taken), stage
            try:
                for index, entry in enumerate(entries, first):
                    after = next_stage(after, entry, index)
                some = encode_entries(entries)
                lines += _body_lines(entries, bodies)
            except EvoteError as error:
                outcomes.append(error)
                continue
            encoded += some
            taken += entries
            stage = after
            outcomes.append(range(first, first + len(some)))
        if taken:
            self._commit(taken, encoded, lines, stage)
        return outcomes

    def _commit(
        self, entries: list[Entry], encoded: list[bytes], lines: list[bytes], stage: Stage
    ) -> None:
        first, end = self.size, self.size + len(encoded)
        leaves = leaf_hashes(encoded)
        grown = self._edge.copy()
        tiles = grown.extend(leaves)
        root = grown.root()
        signed = self._sign(end, root)
        replaced = set(self._edge.paths()).difference(grown.paths())
        if self._tail:
            replaced.add(tile_path("entries", first // BUNDLE, len(self._tail)))
        try:
            touched = self._files.write_entries(first, self._tail, encoded, lines)
            touched |= self._files.write_tiles(tiles)
            self._files.sync(touched)
            replace_file(self._path / CHECKPOINT, signed)
            self._files.remove_replaced(sorted(replaced))
            self.index.add(first, leaves, entries, root, stage)
        except BaseException:
            self.close()  # the files are in doubt: opening the board again settles them
            raise
        kept = end % BUNDLE
        self._tail = (self._tail + encoded)[-kept:] if kept else []
        self._tree.follow(grown)
        self._edge, self._root, self._stage, self._checkpoint = grown, root, stage, signed

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

    def _sign(self, size: int, root: bytes) -> bytes:
        head = Checkpoint(origin=self._signer.key.name, size=size, root=root)
        signed = sign_checkpoint(head, self._signer)
        open_checkpoint(signed, self._signer.key)  # never publish what nobody could verify
        return signed

    # -- opening again ---------------------------------------------------------------------------

    def _recover(self) -> None:
        """Read what is new under the checkpoint, and cut whatever else a crash has left."""
        for path in self._path.joinpath("board").glob(TEMPORARY + "*"):
            remove(path)
        if not (self._path / CHECKPOINT).exists():
            # The first checkpoint is there before the first entry, so no crash loses it.
            if self._files.any_entries():
                raise DecodingError("missing, although there are entries", where=CHECKPOINT)
            replace_file(self._path / CHECKPOINT, self._sign(0, EMPTY_ROOT))
        self._checkpoint = read_file(self._path / CHECKPOINT, MAX_NOTE, where=CHECKPOINT)
        head = open_checkpoint(self._checkpoint, self._signer.key, where=CHECKPOINT)
        tree = self._readable_tree(head) or self._tree_made_again(head)
        start, self._stage = self._known_before(tree)
        ballots = 0  # in the last bundle, while it is partial
        for first in range(start // BUNDLE * BUNDLE, head.size, BUNDLE):
            number, count = first // BUNDLE, min(BUNDLE, head.size - first)
            bundle = self._files.bundle(number, count)
            leaves = leaf_hashes(bundle)
            if leaves != tree.leaves(number):
                name = bundle_path(number, count)
                raise BrokenLog(f"{name}: its entries do not have the root of the checkpoint")
            entries = [
                decode_entry(data, where=f"entry {i}") for i, data in enumerate(bundle, first)
            ]
            ballots = sum(isinstance(entry, BallotEntry) for entry in entries)
            self._replay(first, max(start - first, 0), entries, leaves, tree.root(first + count))
            self._tail = bundle if len(bundle) < BUNDLE else []
        self._tree, self._edge, self._root = tree, tree.edge, head.root
        self._files.cut(head.size, ballots if self._tail else 0)

    def _tree_made_again(self, head: Checkpoint) -> TileTree:
        """The tiles of the entries under the checkpoint, written."""
        wanted, edge, made = set(tile_paths(head.size)), TileEdge(), dict[str, bytes]()
        for first in range(0, head.size, BUNDLE):
            bundle = self._files.bundle(first // BUNDLE, min(BUNDLE, head.size - first))
            leaves = leaf_hashes(bundle)
            made |= {path: data for path, data in edge.extend(leaves) if path in wanted}
        if edge.root() != head.root:
            raise BrokenLog(f"its {head.size} entries do not have the root of the checkpoint")
        self._files.sync(self._files.write_tiles(made.items(), again=True))
        return TileTree(head.size, head.root, self._files.fetch)

    def _readable_tree(self, head: Checkpoint) -> TileTree | None:
        """The tiles, where they are there and lead to the root; else they are made again."""
        if self._files.missing_tiles(head.size):
            return None
        try:
            return TileTree(head.size, head.root, self._files.fetch)
        except EvoteError:
            return None

    def _known_before(self, tree: TileTree) -> tuple[int, Stage]:
        """How many entries the index knows; none if it is not whole, and then it begins anew.

        Raises:
            BrokenLog: the board has signed a log that this one does not continue: what it has
                acknowledged would be lost.
        """
        try:
            size, root, stage = self.index.state()
        except (EvoteError, OSError):
            self.index.clear()
            return 0, Stage.EMPTY
        if size > tree.size:
            raise BrokenLog(f"{_OTHER}: {size} entries, and here are {tree.size}")
        if tree.root(size) != root:
            raise BrokenLog(f"{_OTHER}: its first {size} entries are not these")
        return size, stage

    def _replay(
        self, first: int, known: int, entries: list[Entry], leaves: list[bytes], root: bytes
    ) -> None:
        """Note the entries of a bundle but those `known` already; `root` is that up to its end."""
        for index, entry in enumerate(entries[known:], first + known):
            self._stage = next_stage(self._stage, entry, index)
        if known < len(entries):
            self.index.add(first + known, leaves[known:], entries[known:], root, self._stage)

    # -- reading ---------------------------------------------------------------------------------

    def _bundle(self, number: int) -> list[bytes]:
        full = number < self.size // BUNDLE
        return self._tree.bundle(number) if full else list(self._tail)

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


def _body_lines(entries: Sequence[Entry], bodies: Sequence[bytes]) -> list[bytes]:
    """For each entry the line of its body; empty where it has none."""
    ballots = [isinstance(entry, BallotEntry) for entry in entries]
    if sum(ballots) != len(bodies):
        raise ParameterError(f"{len(bodies)} bodies of {sum(ballots)} ballot entries")
    rest, lines = zip(bodies, digests("ballot", bodies), strict=True), []
    for entry in entries:
        if not isinstance(entry, BallotEntry):
            lines.append(b"")
            continue
        body, found = next(rest)
        if b"\n" in body or not 0 < len(body) <= MAX_BODY:
            raise ParameterError(f"the body of a ballot is one line of at most {MAX_BODY} bytes")
        if found != entry.digest:
            raise ParameterError("the body of a ballot does not have the digest of its entry")
        lines.append(body + b"\n")
    return lines
