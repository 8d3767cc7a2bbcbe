"""What the authorities sign together while each stays on a machine of its own.

    propose     what is to be appended to the board: the opening, rulings, or the seal
    sign        an authority reads it against its own copy of the record, and signs
    carry       the board appends it, once a quorum has signed

A motion holds entries without signatures and is public; so are the signatures on it. They are
those of the entries themselves, so a record does not show how they were collected. A ruling is
signed with its number, and a seal with the whole log before it: after another ruling, or another
ballot, they are signed anew.

`workflow` does the same in one call, where all keys are at hand.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

from evote._audit_log import check_authorities, ruling_parts, seal_parts
from evote._ballot_box import signed_roll
from evote._founding import load_parameters, operator_key
from evote._privacy import check_units
from evote._rulings import (
    Make,
    confirmation,
    entry_signature,
    extension,
    open_board,
    phase_change,
    seal_of,
    strike,
)
from evote._tally_files import file_digest
from evote.board import (
    MAX_ENTRY,
    CompactRange,
    Entry,
    Open,
    OperatorSignature,
    Ruling,
    Seal,
    Stage,
    decode_entry,
    encode_entry,
    leaf_hash,
)
from evote.credentials import Roll
from evote.election import ElectionParameters, Manifest
from evote.encoding import (
    Fields,
    canonical_json,
    check_format,
    encode_base64url,
    encode_hex,
    parse_json,
)
from evote.errors import BrokenLog, DecodingError, ParameterError, VerificationError
from evote.operators import Passphrase
from evote.policies import Counting
from evote.record import Record
from evote.verify import audit

__all__ = [
    "MAX_MOTION",
    "MAX_SIGNATURES",
    "Motion",
    "MotionSignatures",
    "carry",
    "confirmation",
    "decode_motion",
    "decode_motion_signatures",
    "encode_motion",
    "encode_motion_signatures",
    "extension",
    "phase_change",
    "propose_opening",
    "propose_ruling",
    "propose_seal",
    "sign",
    "strike",
]

_MAX_ENTRIES = 512  # of one motion: four million voters struck
MAX_MOTION = 2 * _MAX_ENTRIES * MAX_ENTRY  # bytes
MAX_SIGNATURES = 100 * _MAX_ENTRIES + 1024

_Signed: TypeAlias = Open | Ruling | Seal


@dataclass(frozen=True, slots=True, kw_only=True)
class Motion:
    """Entries that authorities are asked to sign, without signatures, and the election's id."""

    election: bytes
    entries: tuple[_Signed, ...]

    def __post_init__(self) -> None:
        rulings = all(isinstance(entry, Ruling) for entry in self.entries)
        if not self.entries or (len(self.entries) > 1 and not rulings):
            raise ParameterError("one opening, one seal, or rulings expected")

    def digest(self) -> bytes:
        """What names a motion: the digest of its file, 32 bytes."""
        return file_digest(encode_motion(self))


@dataclass(frozen=True, slots=True, kw_only=True)
class MotionSignatures:
    """What one authority signs of a motion: a signature for each of its entries."""

    motion: bytes
    authority: str
    signatures: tuple[bytes, ...]


def propose_opening(record: Path | str) -> Motion:
    """The motion to open an election whose ceremony and roll are complete.

    Raises:
        VerificationError: they are not, or do not verify.
    """
    audit(record, phase="ready").raise_for_failure()
    log = _Log(record)
    motion = Motion(election=log.parameters.election_id, entries=(_opening(log.parameters),))
    log.claims(motion)
    return motion


def propose_ruling(record: Path | str, make: Make) -> Motion:
    """The motion for what is still to be done of a ruling.

    Args:
        make: `strike(credentials, reason)`, `confirmation(credentials, reason)`,
            `extension(end, reason)` or `phase_change(phase, reason)`.

    Raises:
        ParameterError: there is nothing left to do, or a credential is not on the roll.
        BrokenLog: the manifest has no such reason, or the log is sealed.
    """
    log = _Log(record)
    entries = tuple(make(log.roll, log.counting))
    if not entries:
        raise ParameterError("the board says so already")
    motion = Motion(election=log.parameters.election_id, entries=entries)
    log.claims(motion)
    return motion


def propose_seal(record: Path | str) -> Motion:
    """The motion to seal the log as it is.

    Raises:
        BrokenLog: it is not open.
    """
    log = _Log(record)
    motion = Motion(election=log.parameters.election_id, entries=(log.seal(),))
    log.claims(motion)
    return motion


def sign(
    record: Path | str, motion: Motion, directory: Path | str, passphrase: Passphrase
) -> MotionSignatures:
    """Sign a motion as an authority, after checking it against one's own copy of the record.

    A motion to open needs a record that verifies; one to seal must have the counts and the set of
    ballots that this record gives. That a copy is the board's, and that its ballots are valid, is
    for `evote verify` and the witnesses to say before.

    Raises:
        VerificationError, BrokenLog: the motion is not what this record leads to.
    """
    key = operator_key(directory, passphrase, Record(record).manifest, "authority")
    if isinstance(motion.entries[0], Open):
        audit(record, phase="ready").raise_for_failure()
    claims = _Log(record).claims(motion)
    return MotionSignatures(
        motion=motion.digest(),
        authority=key.card.id,
        signatures=tuple(entry_signature(key, *claim).signature for claim in claims),
    )


def carry(
    record: Path | str,
    motion: Motion,
    signatures: Sequence[MotionSignatures],
    board_directory: Path | str,
    passphrase: Passphrase,
) -> range:
    """Append a motion that a quorum has signed; returns the entries of the log it became.

    Raises:
        VerificationError: a signature is false, of another motion, doubled, or they are too few.
        BrokenLog: the log has changed so that the motion has no place in it.
    """
    manifest = Record(record).manifest
    for each in signatures:
        if each.motion != motion.digest():
            raise VerificationError(f"authority {each.authority} has signed another motion")
    with open_board(record, board_directory, passphrase) as board:
        claims = _Log(record).claims(motion)
        signed = []
        for i, (entry, (purpose, *parts)) in enumerate(zip(motion.entries, claims, strict=True)):
            found = [
                OperatorSignature(operator=each.authority, signature=each.signatures[i])
                for each in signatures
                if i < len(each.signatures)
            ]
            check_authorities(manifest, found, f"entry {i} of the motion", purpose, *parts)
            signed.append(replace(entry, signatures=tuple(found)))
        return board.append(signed)


class _Log:
    """The log of a record as it is, and what there is to sign at its end."""

    def __init__(self, record: Path | str) -> None:
        opened = Record(record)
        self.manifest: Manifest = opened.manifest
        self.parameters = load_parameters(record)
        self.roll: Roll = signed_roll(opened, self.parameters)
        self.counting = Counting(
            self.roll,
            revote=self.manifest.revote,
            spoil=self.manifest.spoil,
            powers=self.manifest.powers,
        )
        self._tree = CompactRange()
        if not opened.has("board/checkpoint"):
            return
        head = opened.checkpoint()
        for index, data, entry in opened.entries():
            self.counting.add(index, entry)
            self._tree.append(leaf_hash(data))
        if (self._tree.size, self._tree.root()) != (head.size, head.root):
            raise VerificationError("board/checkpoint: the entries do not lead to its root")

    def seal(self) -> Seal:
        """The seal of this log."""
        if self.counting.stage not in (Stage.VOTING, Stage.CLOSED):
            raise BrokenLog("only an open election is sealed")
        return seal_of(self.counting.finish())

    def claims(self, motion: Motion) -> list[tuple[str, *tuple[bytes, ...]]]:
        """What is signed of each entry: the purpose, and the parts.

        Raises:
            VerificationError, BrokenLog: an entry is not what this log leads to.
        """
        if motion.election != self.parameters.election_id:
            raise VerificationError("the motion is of another election")
        return list(self._claims(motion))

    def _claims(self, motion: Motion) -> Iterator[tuple[str, *tuple[bytes, ...]]]:
        election, size, root = motion.election, self._tree.size, self._tree.root()
        first = motion.entries[0]
        if isinstance(first, Open):
            if size or first != _opening(self.parameters):
                raise VerificationError("not the opening of this election")
            check_units(self.manifest, self.roll)
            yield "open", election, first.manifest
        elif isinstance(first, Seal):
            if first != self.seal():
                raise VerificationError("the record leads to other counts, or other ballots")
            yield "seal", *seal_parts(election, size, root, first)
        else:
            for index, ruling in enumerate(motion.entries, size):
                assert isinstance(ruling, Ruling)
                number = self.counting.rulings
                self.counting.add(index, ruling)
                yield "ruling", *ruling_parts(election, number, ruling)


def _opening(parameters: ElectionParameters) -> Open:
    return Open(election=parameters.election_id, manifest=parameters.manifest_digest, signatures=())


# -- files -----------------------------------------------------------------------------------------


def encode_motion(motion: Motion) -> bytes:
    """The bytes of a motion's file."""
    return canonical_json(
        {
            "format": "evote/motion",
            "version": 1,
            "election": encode_hex(motion.election),
            "entries": [encode_base64url(encode_entry(entry)) for entry in motion.entries],
        }
    )


def decode_motion(data: bytes, *, where: str = "motion") -> Motion:
    """Read a motion without judging it.

    Raises:
        DecodingError: not a motion: no entries, entries with signatures, or of several kinds.
    """
    fields = Fields(parse_json(data, where=where, max_bytes=MAX_MOTION), f"{where}: $")
    check_format(fields, "evote/motion", 1)
    election, entries = fields.hex("election", 32), list[_Signed]()
    for i, item in enumerate(fields.packed_list("entries", _MAX_ENTRIES)):
        place = f"{where}: $.entries[{i}]"
        entry: Entry = decode_entry(item, where=place)
        if not isinstance(entry, Open | Ruling | Seal):
            raise DecodingError("nothing that authorities sign", where=place)
        if entry.signatures:
            raise DecodingError("signed already", where=place)
        entries.append(entry)
    fields.end()
    try:
        return Motion(election=election, entries=tuple(entries))
    except ParameterError as error:
        fields.fail("entries", str(error))


def encode_motion_signatures(signatures: MotionSignatures) -> bytes:
    """The bytes of an authority's file."""
    return canonical_json(
        {
            "format": "evote/motion-signatures",
            "version": 1,
            "motion": encode_hex(signatures.motion),
            "authority": signatures.authority,
            "signatures": [encode_base64url(item) for item in signatures.signatures],
        }
    )


def decode_motion_signatures(data: bytes, *, where: str = "signatures") -> MotionSignatures:
    """Read an authority's signatures without judging them.

    Raises:
        DecodingError: nothing of the kind.
    """
    fields = Fields(parse_json(data, where=where, max_bytes=MAX_SIGNATURES), f"{where}: $")
    check_format(fields, "evote/motion-signatures", 1)
    signatures = MotionSignatures(
        motion=fields.hex("motion", 32),
        authority=fields.identifier("authority"),
        signatures=tuple(fields.packed_list("signatures", _MAX_ENTRIES)),
    )
    fields.end()
    if any(len(item) != 64 for item in signatures.signatures):
        fields.fail("signatures", "64 bytes each expected")
    return signatures
