"""One pass over the board: its entries, its root, the counted set, and what the pass must keep.

A private sibling of `verify`. What is kept grows only with the fates of `policies`; entries
themselves are read again when their ballots are.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from evote._evidence import LogEvidence
from evote._forms import to_rows
from evote._report import Ledger
from evote.board import (
    BUNDLE,
    BallotColumns,
    BallotEntry,
    Checkpoint,
    CompactRange,
    Confirm,
    Entry,
    Extend,
    Open,
    OperatorSignature,
    PhaseEntry,
    ReceiptClaim,
    ResultEntry,
    Ruling,
    Seal,
    ShareEntry,
    Stage,
    Strike,
    TallyEntry,
    TileEdge,
    decode_entry,
    entry_place,
    leaf_hashes,
    next_stage,
    open_checkpoint,
    read_ballot_entries,
    ruling_bytes,
    tile_paths,
)
from evote.credentials import Roll
from evote.election import Manifest
from evote.encoding import uint32
from evote.errors import BrokenLog, EvoteError, VerificationError
from evote.operators import verify_signature
from evote.policies import Counting, Fates
from evote.record import Record

__all__ = [
    "LogSummary",
    "PinnedReceipt",
    "bundle_digest",
    "check_authorities",
    "check_evidence",
    "read_log",
    "ruling_parts",
    "seal_parts",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class PinnedReceipt:
    """A receipt from outside, verified by itself: what it says the log must hold."""

    name: str
    entry: bytes
    claim: ReceiptClaim


@dataclass(slots=True, kw_only=True)
class LogSummary:
    """What the rest of an audit needs of the log."""

    size: int
    stage: Stage = Stage.EMPTY
    in_order: bool = True  # every entry so far was well formed and had its place
    ballots: int = 0
    rulings: int = 0
    root: bytes = b""
    bundles: list[bytes] = field(default_factory=list)  # the `bundle_digest` of each
    opened: tuple[int, Open] | None = None
    seal: tuple[int, bytes, Seal] | None = None  # index, root before it, the entry
    tally: tuple[int, TallyEntry] | None = None
    shares: list[tuple[int, ShareEntry]] = field(default_factory=list)
    result: tuple[int, ResultEntry] | None = None
    fates: Fates | None = None

    def place(self, index: int) -> str:
        """Where an entry is, for messages."""
        return entry_place(index, self.size)

    def keep(self, index: int, entry: Entry, root_before: Callable[[], bytes]) -> None:
        """Note an entry that has its place."""
        match entry:
            case BallotEntry():
                self.ballots += 1
            case Strike() | Confirm() | Extend() | PhaseEntry():
                self.rulings += 1
            case Open():
                self.opened = (index, entry)
            case Seal():
                self.seal = (index, root_before(), entry)
            case TallyEntry():
                self.tally = (index, entry)
            case ShareEntry():
                self.shares.append((index, entry))
            case ResultEntry():
                self.result = (index, entry)


def read_log(
    ledger: Ledger,
    record: Record,
    manifest: Manifest,
    roll: Roll | None,
    checkpoint: Checkpoint,
    receipts: Sequence[PinnedReceipt],
    election_id: bytes | None,
) -> LogSummary:
    """Read all entries once, in order; report on board.*, policy.* and the receipts."""
    log = LogSummary(size=checkpoint.size)
    tree, tiles = CompactRange(), _Tiles(ledger, record, checkpoint.size)
    counting = None
    if roll is not None:
        policies = {"revote": manifest.revote, "spoil": manifest.spoil}
        counting = Counting(roll, **policies, powers=manifest.powers)
    witnessed = _Witnessed(receipts)
    with ledger.guard("board.entries", "board.root", "board.tiles", "policy.counted"):
        for first, entries, leaves, ballots in _stretches(record, log, tiles, bool(receipts)):
            if ballots is not None:
                log.ballots += len(ballots)
                for start in range(0, len(ballots), BUNDLE):
                    if counting is not None and not ledger.failed("policy.counted"):
                        some = ballots.part(slice(start, start + BUNDLE))
                        _count(ledger, log, counting, first + start, some)
                tree.extend(leaves)
                continue
            for index, (data, leaf) in enumerate(zip(entries, leaves, strict=True), first):
                witnessed.see(index, data, tree)
                entry = _entry(ledger, log, index, data)
                if entry is not None:
                    if isinstance(entry, Strike | Confirm | Extend | PhaseEntry):
                        _check_ruling(ledger, manifest, log, index, entry, election_id)
                    log.keep(index, entry, tree.root)
                    if counting is not None and not ledger.failed("policy.counted"):
                        _count(ledger, log, counting, index, entry)
                tree.append(leaf)
        witnessed.see(tree.size, b"", tree)
        ledger.did("board.entries", tree.size)
        log.root = tree.root()
        ledger.did("board.root")
        if (tree.size, log.root) != (checkpoint.size, checkpoint.root):
            last = log.place(max(checkpoint.size - 1, 0)).split(":")[0]
            reason = f"the entries up to {last} do not lead to its root"
            ledger.fail("board.root", f"board/checkpoint: {reason}")
    if not log.rulings:
        ledger.absent("the authorities ruled on nothing", "policy.signatures")
    witnessed.report(ledger)
    if ledger.failed("board.entries"):
        ledger.block("board.entries failed", "policy.counted")
    elif counting is not None and not ledger.failed("policy.counted"):
        try:
            log.fates = counting.finish(last=True)
            ledger.did("policy.counted", log.ballots)
        except BrokenLog as error:
            _broken(ledger, "policy.counted", log, error, 0)
    return log


def _entry(ledger: Ledger, log: LogSummary, index: int, data: bytes) -> Entry | None:
    """An entry that is well formed and, as far as that can be told, has its place."""
    try:
        entry = decode_entry(data, where=log.place(index))
    except EvoteError as error:
        ledger.fail("board.entries", error)
        log.in_order = False
        return None
    if log.in_order:  # once the order is broken, every later entry would seem out of place
        try:
            log.stage = next_stage(log.stage, entry, index)
        except BrokenLog as error:
            _broken(ledger, "board.entries", log, error, index)
            log.in_order = False
    return entry


def _stretches(
    record: Record, log: LogSummary, tiles: _Tiles, alone: bool
) -> Iterator[tuple[int, Sequence[bytes], Sequence[bytes], BallotColumns | None]]:
    """The log by stretches: index of the first entry, entries, leaf hashes; columns of ballots.

    A stretch is all that was read at a time if all of it are ballots that have their place, or if
    entries are to be looked at `alone`; else a bundle.
    """
    for first, stride in record.entry_strides():
        hashes = leaf_hashes(stride)
        parts = [slice(start, start + BUNDLE) for start in range(0, len(stride), BUNDLE)]
        log.bundles += [_digest(hashes[part]) for part in parts]
        tiles.see(hashes)
        ballots = None if alone else _ballots(log, stride)
        if alone or ballots is not None:
            yield first, stride, hashes, ballots
            continue
        for part in parts:
            entries = stride[part]
            yield first + part.start, entries, hashes[part], _ballots(log, entries)


def _ballots(log: LogSummary, entries: Sequence[bytes]) -> BallotColumns | None:
    """All of these entries, where all are ballots and have their place."""
    if log.in_order and log.stage == Stage.VOTING:
        return read_ballot_entries(entries)
    return None


def bundle_digest(bundle: Sequence[bytes]) -> bytes:
    """By which the same entries are known again."""
    return _digest(leaf_hashes(bundle))


def _digest(hashes: Sequence[bytes]) -> bytes:
    """SHA-256 of the leaf hashes of a bundle."""
    return hashlib.sha256(to_rows(hashes).tobytes()).digest()


def _check_ruling(
    ledger: Ledger,
    manifest: Manifest,
    log: LogSummary,
    index: int,
    ruling: Ruling,
    election_id: bytes | None,
) -> None:
    """The authorities signed it, as the ruling of this number."""
    if election_id is None:
        ledger.block("ceremony or roll failed", "policy.signatures")
        return
    ledger.did("policy.signatures")
    with ledger.guard("policy.signatures"):
        parts = ruling_parts(election_id, log.rulings, ruling)
        check_authorities(manifest, ruling.signatures, log.place(index), "ruling", *parts)


def _count(
    ledger: Ledger, log: LogSummary, counting: Counting, index: int, entry: Entry | BallotColumns
) -> None:
    if not log.in_order:  # who counts depends on the order
        return
    try:
        if isinstance(entry, BallotColumns):
            counting.add_ballots(index, entry)
        else:
            counting.add(index, entry)
    except BrokenLog as error:
        _broken(ledger, "policy.counted", log, error, index)


def _broken(ledger: Ledger, check: str, log: LogSummary, error: BrokenLog, index: int) -> None:
    """Fail a check at the entry that the error names, or else at `index`."""
    where = log.place(index if error.entry is None else error.entry)
    ledger.fail(check, f"{where}: {error.message}")


class _Tiles:
    """Compares the hash tiles of a record, where it has them, with its entries."""

    def __init__(self, ledger: Ledger, record: Record, size: int) -> None:
        self._ledger, self._record = ledger, record
        self._edge, self._wanted = TileEdge(), set[str]()
        with ledger.guard("board.tiles"):
            if record.has_tiles:
                self._wanted = set(tile_paths(size))
            else:
                ledger.absent("the record has no hash tiles", "board.tiles")

    def see(self, leaves: Sequence[bytes]) -> None:
        """The leaf hashes of the next bundle."""
        if not self._wanted:
            return
        for path, data in self._edge.extend(leaves):
            if path not in self._wanted:
                continue
            self._ledger.did("board.tiles")
            with self._ledger.guard("board.tiles"):
                if self._record.tile(path) != data:
                    raise VerificationError(f"board/{path}: not the hashes of the entries")


class _Witnessed:
    """Compares receipts with the log as it goes by: entry, and root at the size they were given."""

    def __init__(self, receipts: Sequence[PinnedReceipt]) -> None:
        self._entries: dict[int, list[PinnedReceipt]] = {}
        self._sizes: dict[int, list[PinnedReceipt]] = {}
        self._open = {id(receipt): 2 for receipt in receipts}
        self._receipts = receipts
        self._wrong: dict[str, str] = {}
        for receipt in receipts:
            self._entries.setdefault(receipt.claim.index, []).append(receipt)
            self._sizes.setdefault(receipt.claim.checkpoint.size, []).append(receipt)

    def see(self, index: int, data: bytes, tree: CompactRange) -> None:
        """The entry at `index`, when `tree` holds those before it."""
        for receipt in self._sizes.pop(index, ()):
            self._settle(receipt, tree.root() == receipt.claim.checkpoint.root, "another log")
        if data:
            for receipt in self._entries.pop(index, ()):
                self._settle(receipt, data == receipt.entry, f"another entry at {index}")

    def _settle(self, receipt: PinnedReceipt, right: bool, reason: str) -> None:
        self._open[id(receipt)] -= 1
        if not right:
            self._wrong[receipt.name] = f"the record has {reason}"

    def report(self, ledger: Ledger) -> None:
        """Fail those that the log contradicts or does not reach."""
        for receipt in self._receipts:
            reason = self._wrong.get(receipt.name)
            if reason is None and self._open[id(receipt)]:
                reason = "the record ends before it"
            if reason is not None:
                ledger.fail("board.receipts", f"{receipt.name}: {reason}")


def check_evidence(
    ledger: Ledger, record: Record, manifest: Manifest, evidence: LogEvidence
) -> None:
    """Fail `board.evidence` if the log's key signed a head that is not of this record's log.

    Heads that are not its own show nothing, and heads beyond the record cannot be judged by it.
    """
    try:
        first = open_checkpoint(evidence.first, manifest.log_key, where="evidence: first")
        second = open_checkpoint(evidence.second, manifest.log_key, where="evidence: second")
    except EvoteError as error:
        ledger.block(f"{error}: it shows nothing", "board.evidence")
        return
    ledger.did("board.evidence", 2)
    if first.size == second.size and first.root != second.root:
        reason = f"the log's key signed two views of its first {first.size} entries"
        ledger.fail("board.evidence", reason)
        return
    heads = sorted((first, second), key=lambda head: head.size)
    with ledger.guard("board.evidence"):
        tree = CompactRange()
        for _, bundle in record.entry_bundles():
            for leaf in leaf_hashes(bundle):
                while heads and heads[0].size == tree.size:
                    _judge_head(ledger, heads.pop(0), tree)
                tree.append(leaf)
        while heads and heads[0].size == tree.size:
            _judge_head(ledger, heads.pop(0), tree)
        if heads:
            reason = f"the record has {tree.size} entries, the evidence is of {heads[-1].size}"
            ledger.block(reason, "board.evidence")


def _judge_head(ledger: Ledger, head: Checkpoint, tree: CompactRange) -> None:
    if head.root != tree.root():
        reason = f"the log's key signed two views: {head.size} entries that this record has not"
        ledger.fail("board.evidence", reason)


def check_authorities(
    manifest: Manifest,
    signatures: Iterable[OperatorSignature],
    where: str,
    purpose: str,
    *parts: bytes,
) -> int:
    """Check the authorities' signatures on an entry; returns how many there are.

    Raises:
        VerificationError: one is false, unknown or doubled, or they are fewer than the quorum.
    """
    cards = {card.id: card for card in manifest.authorities}
    seen: set[str] = set()
    for item in signatures:
        if item.operator not in cards:
            raise VerificationError(f"{where}: {item.operator!r} is no authority of this election")
        if item.operator in seen:
            raise VerificationError(f"{where}: authority {item.operator} has signed twice")
        seen.add(item.operator)
        try:
            verify_signature(cards[item.operator], item.signature, purpose, *parts)
        except VerificationError as error:
            raise VerificationError(f"{where}: {error}") from None
    if len(seen) < manifest.authority_quorum:
        raise VerificationError(
            f"{where}: signed by {len(seen)} authorities, {manifest.authority_quorum} needed"
        )
    return len(seen)


def seal_parts(election_id: bytes, index: int, root: bytes, seal: Seal) -> tuple[bytes, ...]:
    """What authorities sign of a seal at `index`: with the root before it, the whole log."""
    counts = [seal.cast, seal.spoiled, seal.counted, seal.superseded]
    if seal.struck or seal.unconfirmed:
        counts += [seal.struck, seal.unconfirmed]
    return (election_id, uint32(index), root, *map(uint32, counts), seal.digest)


def ruling_parts(election_id: bytes, number: int, ruling: Ruling) -> tuple[bytes, ...]:
    """What authorities sign of a ruling: with how many come before it, none is lost or repeated."""
    return (election_id, uint32(number), ruling_bytes(ruling))
