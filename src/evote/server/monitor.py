"""Watching a log: what is new since the last look, and whether the log has only grown.

The state of a monitor is one file: the last head it accepted, as a note, and the peaks of its tree,
from which the tree goes on. Each look reads the entries from the last whole bundle on, recomputes
the root at the old size and at the new one, and verifies what is new: form and order of the
entries, the authorities' signatures on opening, rulings and seal, how many ballots were cast and
spoiled before the seal, the voters' signatures on ballots, bodies and their digests, and the
witnesses' cosignatures. The new state is on the disk before the look is reported.

What a monitor cannot see: whether others are shown the same. That is what witnesses are for, and
comparing heads with other monitors: see `_evidence`. What takes the roll or the whole log is left
to `verify`, which reads everything: `NOT_CHECKED`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from evote._audit_log import check_authorities, ruling_parts, seal_parts
from evote._evidence import LogEvidence
from evote._files import read_file, replace_file
from evote._merkle import HASH_SIZE, MAX_PROOF
from evote._submissions import submission_limit
from evote.ballots import ballot_digest
from evote.board import (
    BUNDLE,
    MAX_BUNDLE,
    MAX_NOTE,
    BallotEntry,
    Checkpoint,
    CompactRange,
    Confirm,
    Cosignature,
    Entry,
    Extend,
    Open,
    PhaseEntry,
    Seal,
    Stage,
    Strike,
    VerifierKey,
    WitnessPolicy,
    bodies_path,
    bundle_path,
    decode_bundle,
    decode_entry,
    decode_vkey,
    leaf_hash,
    next_stage,
    open_checkpoint,
)
from evote.credentials import verify_ballot_signatures
from evote.election import MAX_MANIFEST, Manifest, decode_manifest, manifest_digest
from evote.encoding import (
    JSON,
    Fields,
    canonical_json,
    check_format,
    decode_hex,
    encode_base64url,
    encode_hex,
    parse_json,
)
from evote.errors import BrokenLog, DecodingError, ParameterError, VerificationError
from evote.record import CHECKPOINT, MANIFEST, Record
from evote.server._fetch import Unreachable, check_url, fetch

__all__ = ["AHEAD", "NOT_CHECKED", "Broken", "Late", "Seen", "monitor"]

# What no look verifies, for whoever reports one.
NOT_CHECKED = "the roll, proofs on ballots, copies, openings, the counted set, results"
AHEAD = 300  # seconds that a witness's clock may be ahead of this one
_MAX_STATE = 2**20


class Broken(VerificationError):
    """The log is not the one that was seen before, grown.

    Attributes:
        evidence: the head that was accepted, and the one that contradicts it; None where that is
            of the entries, not of the heads.
    """

    def __init__(self, message: str, evidence: LogEvidence | None = None) -> None:
        super().__init__(message)
        self.evidence = evidence


class Late(VerificationError):
    """The witnesses' quorum is not there; `was_cosigned` says whether it was, too long ago."""

    def __init__(self, message: str, *, was_cosigned: bool) -> None:
        super().__init__(message)
        self.was_cosigned = was_cosigned


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What a look has found: it holds, but for `NOT_CHECKED`."""

    size: int
    new: int
    ballots: int
    cosigned: tuple[str, ...]


# -- state -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class _State:
    """The last head that was accepted, and how the log stood there."""

    log: VerifierKey
    manifest: bytes  # its digest
    head: bytes  # the note
    peaks: tuple[bytes, ...]  # of the tree; the first of them are those over its whole bundles
    stage: Stage
    election: bytes | None
    rulings: int
    cast: int
    spoiled: int

    def encode(self) -> bytes:
        value: dict[str, JSON] = {
            "format": "evote/monitor-state",
            "version": 1,
            "log": self.log.text,
            "manifest": encode_hex(self.manifest),
            "head": encode_base64url(self.head),
            "peaks": [encode_base64url(peak) for peak in self.peaks],
            "stage": int(self.stage),
            "rulings": self.rulings,
            "cast": self.cast,
            "spoiled": self.spoiled,
        }
        if self.election is not None:
            value["election"] = encode_hex(self.election)
        return canonical_json(value)


def _decode_state(data: bytes, where: str) -> _State:
    fields = Fields(parse_json(data, where=where), f"{where}: $")
    check_format(fields, "evote/monitor-state", 1)
    log = decode_vkey(fields.text("log", max_length=1000), where=fields.path("log"))
    state = _State(
        log=log,
        manifest=fields.hex("manifest", 32),
        head=fields.packed("head", max_size=MAX_NOTE),
        peaks=tuple(fields.packed_list("peaks", MAX_PROOF)),
        stage=Stage(fields.integer("stage", 0, max(Stage))),
        rulings=fields.integer("rulings", 0, 2**53 - 1),
        cast=fields.integer("cast", 0, 2**53 - 1),
        spoiled=fields.integer("spoiled", 0, 2**53 - 1),
        election=fields.hex("election", 32) if "election" in fields else None,
    )
    fields.end()
    if any(len(peak) != HASH_SIZE for peak in state.peaks):
        fields.fail("peaks", "hashes of 32 bytes expected")
    try:
        head = open_checkpoint(state.head, log, where=fields.path("head"))
        root = CompactRange.of(head.size, state.peaks).root()
    except VerificationError as error:
        raise DecodingError(str(error), where=where) from None
    if root != head.root:  # else the damage would look like a log that is another
        fields.fail("peaks", "they do not lead to the root of the head")
    return state


def _load(path: Path) -> _State | None:
    """The state in a file; None only if there is none: a link to nowhere is a damaged state."""
    try:
        path.lstat()
    except FileNotFoundError:
        return None
    return _decode_state(read_file(path, _MAX_STATE), path.name)


# -- where the log is ------------------------------------------------------------------------------


class _Source(Protocol):
    """Files of a record, by name."""

    def read(self, name: str, limit: int) -> bytes: ...


class _Directory:
    def __init__(self, path: Path) -> None:
        self._record = Record(path)

    def read(self, name: str, limit: int) -> bytes:
        return self._record.read(name)


class _Web:
    def __init__(self, url: str) -> None:
        self._url = check_url(url)

    def read(self, name: str, limit: int) -> bytes:
        reply = fetch(f"{self._url}/{name}", limit=limit)
        if reply.status != 200:
            raise Unreachable(f"{self._url}/{name}: status {reply.status}")
        return reply.body


def monitor(
    source: Path | str,
    state: Path | str,
    *,
    expect_manifest: bytes | str | None = None,
    policy: WitnessPolicy | None = None,
    max_delay: int | None = None,
    clock: Callable[[], float] = time.time,
) -> Seen:
    """Look at a log once.

    Args:
        source: the directory of a record that nobody is writing, or the URL of a server.
        state: the file of this monitor; where there is none, the log is read from its beginning.
        expect_manifest: its digest as published elsewhere; else the first look is believed.
        policy: whose cosignatures the head must bear; those of more than `AHEAD` seconds from now
            do not count.
        max_delay: seconds that the quorum's cosignatures may be old.

    Raises:
        Broken: the log has shrunk, forked, or its entries are others.
        Late: the quorum has not cosigned the head, or not lately; the log itself holds.
        VerificationError, DecodingError: what is new does not hold.
        Unreachable: no answer.
    """
    expected = expect_manifest
    if isinstance(expected, str):
        expected = decode_hex(expected, 32, where="expect_manifest")
    elif expected is not None and len(expected) != 32:
        raise ParameterError("expect_manifest: 32 bytes expected")
    state, text = Path(state), str(source)
    remote = text.startswith(("http://", "https://"))
    files: _Source = _Web(text) if remote else _Directory(Path(source))
    held = _load(state)
    data = files.read(MANIFEST, MAX_MANIFEST)
    manifest, digest = decode_manifest(data, where=MANIFEST), manifest_digest(data)
    pins = [expected, held.manifest if held is not None else None]
    if any(pin not in (None, digest) for pin in pins):
        raise Broken("another manifest than the one that is expected")
    note = files.read(CHECKPOINT, MAX_NOTE)
    head = open_checkpoint(note, manifest.log_key, where=CHECKPOINT)
    look = _Look(files, manifest, digest, held, note, head)
    new = look.read()
    replace_file(state, new.encode(), mode=0o600)
    cosigned = _check_witnesses(policy, manifest, note, max_delay, int(clock()))
    return Seen(
        size=head.size,
        new=head.size - look.old.size,
        ballots=look.ballots,
        cosigned=tuple(item.key.name for item in cosigned),
    )


def _check_witnesses(
    policy: WitnessPolicy | None,
    manifest: Manifest,
    note: bytes,
    max_delay: int | None,
    now: int,
) -> Sequence[Cosignature]:
    if policy is None:
        return ()
    key, last = manifest.log_key, now + AHEAD
    try:
        _, everybody = policy.check(note, log_key=key, not_after=last)
    except VerificationError as error:
        reason = f"{error}; what is over {AHEAD} s ahead of this clock does not count"
        raise Late(reason, was_cosigned=False) from None
    if max_delay is None:
        return everybody
    try:
        return policy.check(note, log_key=key, not_before=now - max_delay, not_after=last)[1]
    except VerificationError:
        old = sorted((now - (item.timestamp or 0) for item in everybody), reverse=True)
        ages = ", ".join(f"{age} s" for age in old)
        reason = f"the witnesses are late: cosigned {ages} ago, at most {max_delay} s allowed"
        raise Late(reason, was_cosigned=True) from None


class _Look:
    """One look: from the last whole bundle of the state to the head."""

    def __init__(
        self,
        files: _Source,
        manifest: Manifest,
        digest: bytes,
        held: _State | None,
        note: bytes,
        head: Checkpoint,
    ) -> None:
        self._files, self._manifest, self._digest = files, manifest, digest
        self._note, self._head = note, head
        self._election = held.election if held is not None else None
        self._rulings = held.rulings if held is not None else 0
        self._cast = held.cast if held is not None else 0
        self._spoiled = held.spoiled if held is not None else 0
        self._stage = held.stage if held is not None else Stage.EMPTY
        self._held = held.head if held is not None else b""
        self._tree = CompactRange()
        self.ballots = 0
        if held is None:
            self.old = Checkpoint(origin=head.origin, size=0, root=CompactRange().root())
            return
        self.old = open_checkpoint(held.head, manifest.log_key, where="state: head")
        whole = self.old.size // BUNDLE * BUNDLE
        self._tree = CompactRange.of(whole, held.peaks[: whole.bit_count()])

    def read(self) -> _State:
        """Verify what is new; returns the state after it."""
        old, head = self.old, self._head
        if head.size < old.size:
            raise self._broken(f"the log has shrunk from {old.size} to {head.size} entries")
        if head.size == old.size and head.root != old.root:
            raise self._broken(f"two heads of {head.size} entries")
        for number, bundle in self._bundles():
            first = number * BUNDLE
            ballots: list[tuple[int, BallotEntry]] = []
            for index, data in enumerate(bundle, first):
                if index == old.size and self._tree.root() != old.root:
                    raise self._entries_changed()
                if index >= old.size:
                    self._check_entry(index, data, ballots)
                self._tree.append(leaf_hash(data))
            self._check_ballots(number, bundle, ballots)
        if self._tree.size == old.size and self._tree.root() != old.root:
            raise self._entries_changed()
        if self._tree.root() != head.root:
            raise self._broken(f"the {head.size} entries do not have the root of the head")
        return _State(
            log=self._manifest.log_key,
            manifest=self._digest,
            head=self._note,
            peaks=self._tree.peaks,
            stage=self._stage,
            election=self._election,
            rulings=self._rulings,
            cast=self._cast,
            spoiled=self._spoiled,
        )

    def _bundles(self) -> Iterator[tuple[int, Sequence[bytes]]]:
        for first in range(self.old.size // BUNDLE * BUNDLE, self._head.size, BUNDLE):
            count = min(BUNDLE, self._head.size - first)
            name = bundle_path(first // BUNDLE, count)
            yield first // BUNDLE, decode_bundle(self._read(name, MAX_BUNDLE), count, where=name)

    def _read(self, name: str, limit: int) -> bytes:
        return self._files.read(name, limit)

    def _broken(self, reason: str) -> Broken:
        evidence = LogEvidence(first=self._held, second=self._note) if self._held else None
        return Broken(reason, evidence)

    def _entries_changed(self) -> Broken:
        """Either these entries are not what was signed, or what was signed is a fork."""
        return self._broken(f"the first {self.old.size} entries are not those that were seen")

    def _check_entry(self, index: int, data: bytes, ballots: list[tuple[int, BallotEntry]]) -> None:
        where = f"entry {index}"
        entry: Entry = decode_entry(data, where=where)
        self._stage = next_stage(self._stage, entry, index)
        if isinstance(entry, Open):
            if entry.manifest != self._digest:
                raise BrokenLog("it opens the election of another manifest", entry=index)
            opened = (entry.election, entry.manifest)
            check_authorities(self._manifest, entry.signatures, where, "open", *opened)
            self._election = entry.election
        elif isinstance(entry, Strike | Confirm | Extend | PhaseEntry):
            parts = ruling_parts(self._opened(index), self._rulings, entry)
            check_authorities(self._manifest, entry.signatures, where, "ruling", *parts)
            self._rulings += 1
        elif isinstance(entry, BallotEntry):
            ballots.append((index, entry))
            if entry.action == "cast":
                self._cast += 1
            else:
                self._spoiled += 1
        elif isinstance(entry, Seal):
            parts = seal_parts(self._opened(index), index, self._tree.root(), entry)
            check_authorities(self._manifest, entry.signatures, where, "seal", *parts)
            self._check_counts(index, entry)

    def _check_counts(self, index: int, seal: Seal) -> None:
        """What a seal says of the ballots before it, as far as that takes no roll."""
        for name, found in (("cast", self._cast), ("spoiled", self._spoiled)):
            announced = getattr(seal, name)
            if announced != found:
                message = f"the seal announces {announced} ballots {name}, there are {found}"
                raise BrokenLog(message, entry=index)
        if seal.cast != seal.counted + seal.superseded + seal.struck + seal.unconfirmed:
            raise BrokenLog("the counts of the seal do not add up", entry=index)

    def _opened(self, index: int) -> bytes:
        if self._election is None:
            raise BrokenLog("the state does not know the election", entry=index)
        return self._election

    def _check_ballots(
        self, number: int, bundle: Sequence[bytes], ballots: list[tuple[int, BallotEntry]]
    ) -> None:
        """Voters' signatures of the new ballots of a bundle, and that their bodies are there."""
        if not ballots:
            return
        self.ballots += len(ballots)
        items = [entry for _, entry in ballots]
        signed = verify_ballot_signatures(
            self._opened(ballots[0][0]),
            [item.credential for item in items],
            [item.digest for item in items],
            [item.action for item in items],
            [item.signature for item in items],
        )
        for (index, _), right in zip(ballots, signed, strict=True):
            if not right:
                raise BrokenLog("the ballot is not signed by its voter", entry=index)
        before = [
            data
            for data in bundle[: ballots[0][0] % BUNDLE]
            if isinstance(decode_entry(data), BallotEntry)
        ]
        name, most = bodies_path(number), submission_limit(self._manifest)[0]
        limit = BUNDLE * (most + 1)
        lines = self._read(name, limit).split(b"\n")
        for place, (index, entry) in enumerate(ballots, len(before)):
            if place + 1 >= len(lines):
                raise DecodingError("a ballot is missing", where=f"{name}: line {place + 1}")
            if ballot_digest(lines[place]) != entry.digest:
                raise BrokenLog("the ballot does not have the digest of its entry", entry=index)
