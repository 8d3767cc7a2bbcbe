"""The lines of the bulletin board as values, their bytes, and the order of their kinds.

An entry is canonical JSON of at most 65,535 bytes with a `type`. What it claims is judged
elsewhere: ballots' signatures by `credentials`, operators' by `operators`, which ballots count by
`policies`. Here is the form, and the grammar of a whole log:

    open  (ballot | opening | ruling)*  seal  tally  share*  result

A ruling is an act of the authorities before the seal: strike, confirm, extend or phase. While the
phase is "closed", no ballot has a place, nor has an extension. Voters are named by their rows of
the roll, four bytes each, so that an entry takes 8,192 of them and 100,000 take thirteen entries.

A private sibling of `board`, which is the public path to all of it.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Literal, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from evote._bundles import MAX_ENTRY
from evote._forms import HOLE, Form, Rows, to_rows
from evote.contests import MAX_WRITE_IN
from evote.credentials import Action
from evote.encoding import (
    JSON,
    Fields,
    canonical_json,
    check_identifier,
    encode_base64url,
    encode_hex,
    parse_json,
)
from evote.errors import BrokenLog, ParameterError

MAX_COUNT = 2**32 - 1  # ballots: counts are hashed as four bytes
_MAX_SIGNATURES = 99
_MAX_CONTESTS = 1000
_MAX_SELECTIONS = 20_000
_MAX_MARK = 255
MAX_ROWS = 8192  # voters of one ruling: with 99 signatures the entry is below MAX_ENTRY
MAX_TIME = 253_402_300_799  # seconds from 1970 to the end of 9999

VotingPhase: TypeAlias = Literal["voting", "closed"]
VOTING_PHASES: tuple[VotingPhase, ...] = ("voting", "closed")


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorSignature:
    """An authority's signature on an entry; the entry's kind says what it covers."""

    operator: str
    signature: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Open:
    """Entry 0: the election begins. Signatures over ("open", election, manifest)."""

    election: bytes
    manifest: bytes
    signatures: tuple[OperatorSignature, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class BallotEntry:
    """A submitted ballot by digest, and what its voter wants done with it."""

    action: Action
    credential: bytes
    digest: bytes
    signature: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedContest:
    """The marks on one contest of a spoiled ballot.

    `blank` where the contest counts blanks, `write_in` where it takes write-ins.
    """

    id: str
    selections: tuple[int, ...]
    blank: int | None = None
    write_in: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """The seed and marks of a spoiled ballot, so that anyone encrypts it again."""

    ballot: bytes
    seed: bytes
    contests: tuple[OpenedContest, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Seal:
    """The end of voting: how many ballots of each fate, and the digest of the counted set.

    Signatures over ("seal", election, index of this entry, root before it, the counts, digest). The
    last two counts are in entry and signatures only where there are such ballots.
    """

    cast: int
    spoiled: int
    counted: int
    superseded: int
    digest: bytes
    signatures: tuple[OperatorSignature, ...]
    struck: int = 0
    unconfirmed: int = 0


# Rulings. Signatures over ("ruling", election, how many rulings come before, entry without them).


@dataclass(frozen=True, slots=True, kw_only=True)
class Strike:
    """Voters whose ballots do not count. `rows` as of `pack_rows`; the reason is a code."""

    reason: str
    rows: bytes
    signatures: tuple[OperatorSignature, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirm:
    """Provisional voters whose ballots count after all. `rows` as of `pack_rows`."""

    reason: str
    rows: bytes
    signatures: tuple[OperatorSignature, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Extend:
    """Another announced end of voting, in seconds since 1970. It informs; the log has no clock."""

    reason: str
    end: int
    signatures: tuple[OperatorSignature, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseEntry:
    """From here on ballots are taken, or are not."""

    reason: str
    phase: VotingPhase
    signatures: tuple[OperatorSignature, ...]


Ruling: TypeAlias = Strike | Confirm | Extend | PhaseEntry


def pack_rows(rows: Sequence[int] | NDArray[np.integer]) -> bytes:
    """Rows of the roll as they stand in a ruling: ascending, 4 bytes each, little-endian.

    Raises:
        ParameterError: none, too many, or one twice.
    """
    numbers = np.sort(np.asarray(rows, dtype=np.int64))
    if not 1 <= len(numbers) <= MAX_ROWS:
        raise ParameterError(f"1 to {MAX_ROWS} voters expected, got {len(numbers)}")
    if numbers[0] < 0 or numbers[-1] > MAX_COUNT or not (np.diff(numbers) > 0).all():
        raise ParameterError("rows of the roll, each once, expected")
    return numbers.astype("<u4").tobytes()


def unpack_rows(rows: bytes) -> NDArray[np.uint32]:
    """The row numbers of a ruling."""
    return np.frombuffer(rows, dtype="<u4")


@dataclass(frozen=True, slots=True, kw_only=True)
class TallyEntry:
    """The digest of tally.json."""

    digest: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class ShareEntry:
    """The digest of a trustee's file of decryption shares."""

    trustee: int
    digest: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultEntry:
    """The digest of result.json: the last entry."""

    digest: bytes


Entry: TypeAlias = (
    Open | BallotEntry | Opening | Ruling | Seal | TallyEntry | ShareEntry | ResultEntry
)


# -- bytes ---------------------------------------------------------------------------------------


def encode_entry(entry: Entry) -> bytes:
    """The bytes of an entry.

    Raises:
        ParameterError: longer than an entry bundle can hold.
    """
    data = canonical_json(_to_json(entry))
    if len(data) > MAX_ENTRY:
        raise ParameterError(f"an entry of {len(data)} bytes, at most {MAX_ENTRY} expected")
    return data


def ruling_bytes(ruling: Ruling) -> bytes:
    """What the authorities sign of a ruling: the entry without `signatures`."""
    value = _to_json(ruling)
    del value["signatures"]
    return canonical_json(value)


def _to_json(entry: Entry) -> dict[str, JSON]:
    match entry:
        case BallotEntry():
            return {
                "type": "ballot",
                "action": entry.action,
                "credential": encode_hex(entry.credential),
                "digest": encode_hex(entry.digest),
                "signature": encode_base64url(entry.signature),
            }
        case Open():
            return {
                "type": "open",
                "election": encode_hex(entry.election),
                "manifest": encode_hex(entry.manifest),
                "signatures": _signatures_to_json(entry.signatures),
            }
        case Opening():
            return {
                "type": "opening",
                "ballot": encode_hex(entry.ballot),
                "seed": encode_hex(entry.seed),
                "contests": [_contest_to_json(contest) for contest in entry.contests],
            }
        case Strike() | Confirm() | Extend() | PhaseEntry():
            return _ruling_to_json(entry)
        case Seal():
            seal: dict[str, JSON] = {
                "type": "seal",
                "cast": entry.cast,
                "spoiled": entry.spoiled,
                "counted": entry.counted,
                "superseded": entry.superseded,
                "digest": encode_hex(entry.digest),
                "signatures": _signatures_to_json(entry.signatures),
            }
            rare = {"struck": entry.struck, "unconfirmed": entry.unconfirmed}
            return seal | {name: count for name, count in rare.items() if count}
        case ShareEntry():
            digest = encode_hex(entry.digest)
            return {"type": "share", "trustee": entry.trustee, "digest": digest}
        case TallyEntry():
            return {"type": "tally", "digest": encode_hex(entry.digest)}
        case ResultEntry():
            return {"type": "result", "digest": encode_hex(entry.digest)}


def _ruling_to_json(ruling: Ruling) -> dict[str, JSON]:
    value: dict[str, JSON] = {
        "type": ruling_kind(ruling),
        "reason": ruling.reason,
        "signatures": _signatures_to_json(ruling.signatures),
    }
    match ruling:
        case Strike() | Confirm():
            value["rows"] = encode_base64url(ruling.rows)
        case Extend():
            value["end"] = ruling.end
        case PhaseEntry():
            value["phase"] = ruling.phase
    return value


def ruling_kind(ruling: Ruling) -> str:
    """strike, confirm, extend or phase: the `type` of the entry, and the power it takes."""
    return type(ruling).__name__.removesuffix("Entry").lower()


def _contest_to_json(contest: OpenedContest) -> dict[str, JSON]:
    result: dict[str, JSON] = {"id": contest.id, "selections": list(contest.selections)}
    if contest.blank is not None:
        result["blank"] = contest.blank
    if contest.write_in is not None:
        result["write_in"] = contest.write_in
    return result


def _signatures_to_json(signatures: Sequence[OperatorSignature]) -> list[JSON]:
    return [
        {"authority": item.operator, "signature": encode_base64url(item.signature)}
        for item in signatures
    ]


# The one form that canonical JSON gives a ballot entry, which is nearly every entry of a log.
_BALLOT = re.compile(
    rb'\{"action":"(cast|spoil)","credential":"([0-9a-f]{64})","digest":"([0-9a-f]{64})"'
    rb',"signature":"([A-Za-z0-9_-]{85}[AQgw])","type":"ballot"\}'
)


def decode_entry(data: bytes, *, where: str = "") -> Entry:
    """Read an entry.

    Raises:
        DecodingError: not the canonical form of an entry.
    """
    # Only what the general reader reads, and to the same value, about ten times as fast.
    if found := _BALLOT.fullmatch(data):
        action, credential, digest, signature = found.groups()
        return BallotEntry(
            action="cast" if action == b"cast" else "spoil",
            credential=bytes.fromhex(credential.decode("ascii")),
            digest=bytes.fromhex(digest.decode("ascii")),
            signature=base64.urlsafe_b64decode(signature + b"=="),
        )
    return read_entry(data, where=where)


class BallotColumns(NamedTuple):
    """n ballot entries as arrays: n truth values, and rows of 32, 32 and 64 bytes."""

    spoiled: NDArray[np.bool_]
    credentials: Rows
    digests: Rows
    signatures: Rows

    def __len__(self) -> int:
        return len(self.spoiled)

    @classmethod
    def of(cls, entries: Sequence[BallotEntry]) -> BallotColumns:
        """These entries, one or more."""
        return cls(
            np.array([entry.action == "spoil" for entry in entries], dtype=np.bool_),
            to_rows([entry.credential for entry in entries]),
            to_rows([entry.digest for entry in entries]),
            to_rows([entry.signature for entry in entries]),
        )

    def part(self, places: slice) -> BallotColumns:
        """Some of them."""
        spoiled, *rows = self
        return BallotColumns(spoiled[places], *(some[places] for some in rows))

    def entry(self, i: int) -> BallotEntry:
        """One of them."""
        return BallotEntry(
            action="spoil" if self.spoiled[i] else "cast",
            credential=self.credentials[i].tobytes(),
            digest=self.digests[i].tobytes(),
            signature=self.signatures[i].tobytes(),
        )


_FORMS = {
    action: Form(
        canonical_json(
            {
                "type": "ballot",
                "action": action,
                "credential": HOLE * 64,
                "digest": HOLE * 64,
                "signature": HOLE * 86,
            }
        ),
        ["hex", "hex", "base64url"],
    )
    for action in ("cast", "spoil")
}


def encode_entries(entries: Sequence[Entry]) -> list[bytes]:
    """The `encode_entry` of each; of ballots, which nearly all are, in a few calls."""
    encoded = [b""] * len(entries)
    for action, form in _FORMS.items():
        where = [i for i, entry in enumerate(entries) if _has_form(entry, action)]
        ballots = [entries[i] for i in where]
        columns = [
            to_rows([getattr(entry, name) for entry in ballots])
            for name in ("credential", "digest", "signature")
        ]
        if where:
            for i, data in zip(where, form.write(columns), strict=True):
                encoded[i] = data
    return [data or encode_entry(entry) for data, entry in zip(encoded, entries, strict=True)]


def _has_form(entry: Entry, action: str) -> bool:
    sizes = 32, 32, 64
    return (
        isinstance(entry, BallotEntry)
        and entry.action == action
        and (len(entry.credential), len(entry.digest), len(entry.signature)) == sizes
    )


def read_ballot_entries(entries: Sequence[bytes]) -> BallotColumns | None:
    """All of these entries, where all are ballots: as nearly all are in a large election."""
    cast, casts = _FORMS["cast"].read(entries)
    if len(cast) == len(entries):
        return BallotColumns(np.zeros(len(entries), dtype=np.bool_), *casts)
    spoiled, spoils = _FORMS["spoil"].read(entries)
    if len(cast) + len(spoiled) < len(entries):
        return None
    mask = np.zeros(len(entries), dtype=np.bool_)
    mask[spoiled] = True
    order = np.argsort(np.concatenate([cast, spoiled]))
    columns = (np.concatenate(pair)[order] for pair in zip(casts, spoils, strict=True))
    return BallotColumns(mask, *columns)


def read_entry(data: bytes, *, where: str = "") -> Entry:
    """`decode_entry` without the short cut for ballots."""
    fields = Fields(parse_json(data, where=where, max_bytes=MAX_ENTRY), f"{where}: $")
    entry = _from_json(fields)
    fields.end()
    return entry


_RULINGS = ("strike", "confirm", "extend", "phase")
_TYPES = ("open", "ballot", "opening", *_RULINGS, "seal", "tally", "share", "result")


def _from_json(fields: Fields) -> Entry:
    kind = fields.choice("type", _TYPES)
    match kind:
        case "open":
            return Open(
                election=fields.hex("election", 32),
                manifest=fields.hex("manifest", 32),
                signatures=_read_signatures(fields),
            )
        case "ballot":
            return BallotEntry(
                action="cast" if fields.choice("action", ("cast", "spoil")) == "cast" else "spoil",
                credential=fields.hex("credential", 32),
                digest=fields.hex("digest", 32),
                signature=fields.packed("signature", 64),
            )
        case "opening":
            return Opening(
                ballot=fields.hex("ballot", 32),
                seed=fields.hex("seed", 32),
                contests=tuple(map(_read_contest, fields.objects("contests", _MAX_CONTESTS))),
            )
        case "seal":
            return Seal(
                cast=fields.integer("cast", 0, MAX_COUNT),
                spoiled=fields.integer("spoiled", 0, MAX_COUNT),
                counted=fields.integer("counted", 0, MAX_COUNT),
                superseded=fields.integer("superseded", 0, MAX_COUNT),
                digest=fields.hex("digest", 32),
                signatures=_read_signatures(fields),
                struck=_rare(fields, "struck"),
                unconfirmed=_rare(fields, "unconfirmed"),
            )
        case "strike" | "confirm" | "extend" | "phase":
            return _read_ruling(kind, fields)
        case "tally":
            return TallyEntry(digest=fields.hex("digest", 32))
        case "share":
            trustee = fields.integer("trustee", 1, 99)
            return ShareEntry(trustee=trustee, digest=fields.hex("digest", 32))
        case _:
            return ResultEntry(digest=fields.hex("digest", 32))


def _rare(fields: Fields, name: str) -> int:
    """A count that is there only where it is not zero."""
    return fields.integer(name, 1, MAX_COUNT) if name in fields else 0


def _read_ruling(kind: str, fields: Fields) -> Ruling:
    reason, signatures = fields.identifier("reason"), _read_signatures(fields)
    match kind:
        case "strike":
            return Strike(reason=reason, rows=_read_rows(fields), signatures=signatures)
        case "confirm":
            return Confirm(reason=reason, rows=_read_rows(fields), signatures=signatures)
        case "extend":
            end = fields.integer("end", 0, MAX_TIME)
            return Extend(reason=reason, end=end, signatures=signatures)
        case _:
            closed = fields.choice("phase", VOTING_PHASES) == "closed"
            phase: VotingPhase = "closed" if closed else "voting"
            return PhaseEntry(reason=reason, phase=phase, signatures=signatures)


def _read_rows(fields: Fields) -> bytes:
    rows = fields.packed("rows", max_size=4 * MAX_ROWS)
    if not rows or len(rows) % 4 or not (np.diff(unpack_rows(rows).astype(np.int64)) > 0).all():
        fields.fail("rows", "numbers of rows in ascending order, four bytes each, expected")
    return rows


def _read_contest(fields: Fields) -> OpenedContest:
    contest = OpenedContest(
        id=fields.identifier("id"),
        selections=tuple(fields.integers("selections", 0, _MAX_MARK, _MAX_SELECTIONS)),
        blank=fields.integer("blank", 0, 1) if "blank" in fields else None,
        write_in=(
            fields.text("write_in", max_length=MAX_WRITE_IN, allow_empty=True)
            if "write_in" in fields
            else None
        ),
    )
    fields.end()
    return contest


def _read_signatures(fields: Fields) -> tuple[OperatorSignature, ...]:
    signatures = []
    for item in fields.objects("signatures", _MAX_SIGNATURES):
        operator = check_identifier(item.value("authority"), where=item.path("authority"))
        signatures.append(
            OperatorSignature(operator=operator, signature=item.packed("signature", 64))
        )
        item.end()
    return tuple(signatures)


# -- order ---------------------------------------------------------------------------------------


class Stage(IntEnum):
    """How far a log has come."""

    EMPTY = 0
    VOTING = 1
    CLOSED = 2
    SEALED = 3
    TALLIED = 4
    FINISHED = 5


_OPEN = {Stage.VOTING: Stage.VOTING, Stage.CLOSED: Stage.CLOSED}
_STEPS: dict[type[Entry], dict[Stage, Stage]] = {  # kind of entry: the stage before, and after
    Open: {Stage.EMPTY: Stage.VOTING},
    BallotEntry: {Stage.VOTING: Stage.VOTING},
    Opening: _OPEN,
    Strike: _OPEN,
    Confirm: _OPEN,
    Extend: {Stage.VOTING: Stage.VOTING},
    Seal: {Stage.VOTING: Stage.SEALED, Stage.CLOSED: Stage.SEALED},
    TallyEntry: {Stage.SEALED: Stage.TALLIED},
    ShareEntry: {Stage.TALLIED: Stage.TALLIED},
    ResultEntry: {Stage.TALLIED: Stage.FINISHED},
}
_PHASE_STEPS: dict[VotingPhase, dict[Stage, Stage]] = {
    "closed": {Stage.VOTING: Stage.CLOSED},
    "voting": {Stage.CLOSED: Stage.VOTING},
}


def next_stage(stage: Stage, entry: Entry, index: int) -> Stage:
    """The stage of a log after one more entry, at `index`.

    Raises:
        BrokenLog: an entry of this kind has no place there.
    """
    steps = _PHASE_STEPS[entry.phase] if isinstance(entry, PhaseEntry) else _STEPS[type(entry)]
    if stage not in steps:
        kind = type(entry).__name__.removesuffix("Entry").lower()
        raise BrokenLog(f"{kind} has no place when the log is {stage.name.lower()}", entry=index)
    return steps[stage]
