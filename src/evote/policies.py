"""Which ballots count: a pure function of the roll, the log and the manifest's policies.

A submitted ballot is cast or spoiled. The last ballot that a voter casts supersedes those cast
before it, and counts unless the voter was struck, or is provisional and was never confirmed;
"last" is the position in the log, never a clock. It makes no difference whether a voter is struck
or confirmed before the vote or after. Under the policy revote "forbidden" a second cast breaks the
log, under spoil "forbidden" any spoiled ballot does. A ballot has one fate: a digest that occurs
twice breaks the log, so that a spoiled ballot is never counted and a cast one never opened.
Openings follow the spoiled ballot they open, once. A voter is struck once, and confirmed once; a
ruling whose kind or reason the manifest does not have breaks the log.

    submitted = cast + spoiled,    cast = counted + superseded + struck + unconfirmed
    counted-set digest = H("counted", for each counted ballot by ascending entry index:
                           uint32(entry index) || digest of the ballot)

Read in one pass, in about 50 bytes a submitted ballot, and 8 a voter where there are rulings. What
is not here: signatures, proofs, and whether a ballot has its voter's style, which the log does not
say.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from evote._powers import NO_POWERS, Powers
from evote.board import (
    BallotColumns,
    BallotEntry,
    Confirm,
    Entry,
    Extend,
    Opening,
    PhaseEntry,
    Ruling,
    Seal,
    Stage,
    Strike,
    next_stage,
    ruling_kind,
    unpack_rows,
)
from evote.credentials import Roll
from evote.encoding import JSON, long_digest
from evote.errors import BrokenLog, ParameterError, VerificationError

__all__ = [
    "NO_POWERS",
    "REVOTE",
    "SPOIL",
    "Counting",
    "Counts",
    "Fate",
    "Fates",
    "Powers",
    "count_by_district",
    "counted_digest",
    "counted_set",
    "verify_seal",
]

REVOTE = ("last", "forbidden")
SPOIL = ("allowed", "forbidden")

_FIND_AT_ONCE = 4096
_AT_ONCE = 2**16  # ballots of the counted set
_COUNTED = np.dtype([("index", "<u4"), ("digest", "S32")])


class Fate(IntEnum):
    """What became of a submitted ballot."""

    COUNTED = 0
    SUPERSEDED = 1
    SPOILED = 2
    STRUCK = 3
    UNCONFIRMED = 4


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Fates:
    """The submitted ballots in the order of the log, as arrays.

    Attributes:
        indices: entry index of each.
        voters: its voter's row of the roll.
        fates: its `Fate`.
        digests: its digest, 32 bytes.
        openings: entry index of the opening of each, -1 where there is none.
        causes: entry index of the ballot that supersedes it, or of the ruling that strikes its
            voter; 0, where only the opening of a log can be, if there is no such entry.
        reasons: the code of each such ruling.
        end: the announced end of voting, None where none was announced.
    """

    indices: NDArray[np.uint32]
    voters: NDArray[np.uint32]
    fates: NDArray[np.uint8]
    digests: NDArray[np.bytes_]
    openings: NDArray[np.int64]
    causes: NDArray[np.uint32]
    reasons: Mapping[int, str]
    end: int | None

    def __len__(self) -> int:
        return len(self.indices)

    def mask(self, fate: Fate) -> NDArray[np.bool_]:
        """Where the ballots have this fate."""
        return np.equal(self.fates, fate)

    def count(self, fate: Fate) -> int:
        """How many have this fate."""
        return int(np.count_nonzero(self.mask(fate)))

    @property
    def counted(self) -> int:
        return self.count(Fate.COUNTED)

    @property
    def superseded(self) -> int:
        return self.count(Fate.SUPERSEDED)

    @property
    def spoiled(self) -> int:
        return self.count(Fate.SPOILED)

    @property
    def struck(self) -> int:
        return self.count(Fate.STRUCK)

    @property
    def unconfirmed(self) -> int:
        return self.count(Fate.UNCONFIRMED)

    @property
    def cast(self) -> int:
        return len(self) - self.spoiled

    @property
    def digest(self) -> bytes:
        """The digest of the counted set."""
        counted = self.mask(Fate.COUNTED)
        return counted_digest(self.indices[counted], self.digests[counted])


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """The voters of one district and style, and what became of all that they submitted.

    `weight` is that of the ballots that count.
    """

    district: str
    style: str
    voters: int
    submitted: int
    spoiled: int
    counted: int
    superseded: int
    struck: int
    unconfirmed: int
    weight: int

    @property
    def cast(self) -> int:
        """All but the spoiled ones."""
        return self.submitted - self.spoiled

    def to_json(self) -> dict[str, JSON]:
        """The object of a report."""
        return {
            "district": self.district,
            "style": self.style,
            "voters": self.voters,
            "submitted": self.submitted,
            "cast": self.cast,
            "spoiled": self.spoiled,
            "counted": self.counted,
            "superseded": self.superseded,
            "struck": self.struck,
            "unconfirmed": self.unconfirmed,
            "weight": self.weight,
        }


def count_by_district(roll: Roll, fates: Fates) -> tuple[Counts, ...]:
    """Counts for each district and style that has voters, by their ids; their sums are the log's.

    Each row closes like the whole: submitted = cast + spoiled, cast = counted + superseded +
    struck + unconfirmed.
    """
    styles = len(roll.styles)
    group = roll.district_numbers.astype(np.int64) * styles + roll.style_numbers
    size = styles * len(roll.districts)
    voters = np.bincount(group, minlength=size)
    mine = group[fates.voters]
    by_fate = {fate: np.bincount(mine[fates.mask(fate)], minlength=size) for fate in Fate}
    counted = fates.mask(Fate.COUNTED)
    # Weights are added as integers: a bincount with weights would add floats.
    weights = np.zeros(size, dtype=np.int64)
    np.add.at(weights, mine[counted], roll.weights[fates.voters[counted]])
    found = [
        Counts(
            district=roll.districts[place // styles],
            style=roll.styles[place % styles],
            voters=int(voters[place]),
            submitted=int(sum(by_fate[fate][place] for fate in Fate)),
            spoiled=int(by_fate[Fate.SPOILED][place]),
            counted=int(by_fate[Fate.COUNTED][place]),
            superseded=int(by_fate[Fate.SUPERSEDED][place]),
            struck=int(by_fate[Fate.STRUCK][place]),
            unconfirmed=int(by_fate[Fate.UNCONFIRMED][place]),
            weight=int(weights[place]),
        )
        for place in np.flatnonzero(voters).tolist()
    ]
    return tuple(sorted(found, key=lambda row: (row.district, row.style)))


def counted_digest(indices: NDArray[np.integer], digests: NDArray[np.bytes_]) -> bytes:
    """The digest of ballots that count: entry indices, ascending, and 32-byte digests."""

    def pieces() -> Iterator[bytes]:
        for start in range(0, len(indices), _AT_ONCE):
            part = slice(start, start + _AT_ONCE)
            rows = np.empty(len(indices[part]), _COUNTED)
            rows["index"], rows["digest"] = indices[part], digests[part]
            yield rows.tobytes()

    return long_digest("counted", len(indices) * _COUNTED.itemsize, pieces())


class Counting:
    """One pass over a log; `finish` gives the fates of its ballots so far."""

    __slots__ = (
        "_actions",
        "_confirmed",
        "_digests",
        "_end",
        "_indices",
        "_openings",
        "_pending",
        "_powers",
        "_reasons",
        "_revote",
        "_roll",
        "_rulings",
        "_spoil",
        "_stage",
        "_struck",
        "_voters",
    )

    def __init__(self, roll: Roll, *, revote: str, spoil: str, powers: Powers = NO_POWERS) -> None:
        """Start before entry 0, under the policies of the manifest."""
        if revote not in REVOTE or spoil not in SPOIL:
            raise ParameterError(f"no policies: revote {revote!r}, spoil {spoil!r}")
        self._roll, self._revote, self._spoil, self._powers = roll, revote, spoil, powers
        self._end = powers.end
        self._rulings = 0
        # By row of the roll the entry that strikes or confirms it, 0 for none; made when needed.
        self._struck = self._confirmed = np.zeros(0, dtype=np.uint32)
        self._reasons: dict[int, str] = {}
        self._stage = Stage.EMPTY
        self._indices = array("I")
        self._actions = bytearray()
        self._digests = bytearray()
        self._voters: list[NDArray[np.uint32]] = []
        self._pending = bytearray()  # credentials of the latest ballots, not yet looked up
        self._openings: list[tuple[int, bytes]] = []

    def add(self, index: int, entry: Entry) -> None:
        """The next entry of the log, at `index`.

        Raises:
            BrokenLog: the entry has no place here. What needs a look at the whole log (a ballot
                submitted twice, a second cast, an opening of nothing) comes out in `finish`.
        """
        self._stage = next_stage(self._stage, entry, index)
        if isinstance(entry, BallotEntry):
            if entry.action == "spoil" and self._spoil == "forbidden":
                raise BrokenLog("a spoiled ballot, which the manifest forbids", entry=index)
            self._indices.append(index)
            self._actions.append(entry.action == "spoil")
            self._digests += entry.digest
            self._pending += entry.credential
            if len(self._pending) >= 32 * _FIND_AT_ONCE:
                self._find()
        elif isinstance(entry, Opening):
            self._openings.append((index, entry.ballot))
        elif isinstance(entry, Strike | Confirm | Extend | PhaseEntry):
            self._rule(index, entry)

    def add_ballots(self, first: int, ballots: BallotColumns) -> None:
        """The next entries of the log, all of them ballots, the first at index `first`.

        Raises:
            BrokenLog: as `add`.
        """
        self._stage = next_stage(self._stage, ballots.entry(0), first)
        if self._spoil == "forbidden" and ballots.spoiled.any():
            index = first + int(np.argmax(ballots.spoiled))
            raise BrokenLog("a spoiled ballot, which the manifest forbids", entry=index)
        self._indices.extend(range(first, first + len(ballots)))
        self._actions += ballots.spoiled.tobytes()
        self._digests += ballots.digests.tobytes()
        self._pending += ballots.credentials.tobytes()
        if len(self._pending) >= 32 * _FIND_AT_ONCE:
            self._find()

    @property
    def stage(self) -> Stage:
        """How far the log has come."""
        return self._stage

    @property
    def rulings(self) -> int:
        """How many rulings there have been."""
        return self._rulings

    @property
    def struck(self) -> NDArray[np.intp]:
        """The rows of the roll that are struck so far."""
        return np.flatnonzero(self._struck)

    @property
    def confirmed(self) -> NDArray[np.intp]:
        """The rows of the roll that are confirmed so far."""
        return np.flatnonzero(self._confirmed)

    @property
    def end(self) -> int | None:
        """The end of voting as last announced, in seconds since 1970."""
        return self._end

    def _rule(self, index: int, ruling: Ruling) -> None:
        self._rulings += 1
        if not self._powers.allow(ruling):
            kind = ruling_kind(ruling)
            message = f"the manifest has no {kind} for the reason {ruling.reason!r}"
            raise BrokenLog(message, entry=index)
        if isinstance(ruling, Strike):
            self._struck = self._mark(index, ruling, self._struck, "struck")
            self._reasons[index] = ruling.reason
        elif isinstance(ruling, Confirm):
            if not self._roll.provisional[self._rows(index, ruling)].all():
                raise BrokenLog("it confirms a voter who is not provisional", entry=index)
            self._confirmed = self._mark(index, ruling, self._confirmed, "confirmed")
        elif isinstance(ruling, Extend):
            if self._end is None or ruling.end <= self._end:
                raise BrokenLog("it announces no later end than the one before", entry=index)
            self._end = ruling.end

    def _rows(self, index: int, ruling: Strike | Confirm) -> NDArray[np.uint32]:
        rows = unpack_rows(ruling.rows)
        if rows[-1] >= len(self._roll):
            raise BrokenLog(f"row {rows[-1]} is not on the roll", entry=index)
        return rows

    def _mark(
        self, index: int, ruling: Strike | Confirm, marks: NDArray[np.uint32], done: str
    ) -> NDArray[np.uint32]:
        rows = self._rows(index, ruling)
        if not len(marks):
            marks = np.zeros(len(self._roll), dtype=np.uint32)
        if (again := marks[rows] != 0).any():
            raise BrokenLog(f"row {rows[again][0]} of the roll is {done} already", entry=index)
        marks[rows] = index
        return marks

    def _find(self) -> None:
        pending = np.frombuffer(bytes(self._pending), dtype=np.uint8).reshape((-1, 32))
        rows = self._roll.find(pending)
        if (rows < 0).any():
            first = len(self._indices) - len(pending) + int(np.argmax(rows < 0))
            raise BrokenLog("the credential is not on the roll", entry=self._indices[first])
        self._voters.append(rows.astype(np.uint32))
        self._pending.clear()

    def finish(self, *, last: bool = False) -> Fates:
        """The fates of the ballots added so far; more may be added after, if this is not the last.

        Raises:
            BrokenLog: naming the first entry that breaks a rule.
        """
        self._find()
        indices = np.array(self._indices, dtype=np.uint32)
        if last:  # these are most of it
            digests, self._digests = np.frombuffer(self._digests, dtype="S32"), bytearray()
        else:
            digests = np.frombuffer(bytes(self._digests), dtype="S32")
        voters = np.concatenate([np.empty(0, np.uint32), *self._voters])
        spoiled = np.frombuffer(bytes(self._actions), dtype=np.bool_)
        if len(again := _repeated(digests)):
            second = int(indices[again].min())
            raise BrokenLog("this ballot was submitted before", entry=second)
        cast = np.flatnonzero(~spoiled)
        latest = np.full(len(self._roll), -1, dtype=np.int64)
        np.maximum.at(latest, voters[cast], cast)
        superseded = latest[voters[cast]] != cast
        if self._revote == "forbidden" and superseded.any():
            first = _repeats(voters[cast])
            message = "this voter has cast a ballot, and the manifest forbids another"
            raise BrokenLog(message, entry=int(indices[cast[first]]))
        fates = np.full(len(indices), Fate.SPOILED, dtype=np.uint8)
        causes = np.zeros(len(indices), dtype=np.uint32)
        fates[cast] = np.where(superseded, Fate.SUPERSEDED, Fate.COUNTED)
        causes[cast[superseded]] = indices[latest[voters[cast[superseded]]]]
        self._apply_rulings(cast[~superseded], voters, fates, causes)
        return Fates(
            indices=indices,
            voters=voters,
            fates=fates,
            digests=digests,
            openings=self._match_openings(indices, digests, spoiled),
            causes=causes,
            reasons=dict(self._reasons),
            end=self._end,
        )

    def _apply_rulings(
        self,
        last: NDArray[np.intp],
        voters: NDArray[np.uint32],
        fates: NDArray[np.uint8],
        causes: NDArray[np.uint32],
    ) -> None:
        """What becomes of each voter's last ballot by who the voter is."""
        unconfirmed = self._roll.provisional[voters[last]]
        if len(self._confirmed):
            unconfirmed &= self._confirmed[voters[last]] == 0
        fates[last[unconfirmed]] = Fate.UNCONFIRMED
        if len(self._struck):
            struck = last[self._struck[voters[last]] != 0]
            fates[struck] = Fate.STRUCK
            causes[struck] = self._struck[voters[struck]]

    def _match_openings(
        self,
        indices: NDArray[np.uint32],
        digests: NDArray[np.bytes_],
        spoiled: NDArray[np.bool_],
    ) -> NDArray[np.int64]:
        """For each ballot the entry that opens it, -1 for none."""
        openings = np.full(len(indices), -1, dtype=np.int64)
        order = np.argsort(digests, kind="stable") if self._openings else np.zeros(0, np.intp)
        for index, ballot in self._openings:
            place = int(np.searchsorted(digests, np.array(ballot, dtype="S32"), sorter=order))
            found = int(order[place]) if place < len(order) else -1
            if found < 0 or bytes(digests[found]).ljust(32, b"\0") != ballot:
                raise BrokenLog("it opens a ballot that nobody submitted", entry=index)
            if indices[found] > index:
                raise BrokenLog("it opens a ballot that is submitted later", entry=index)
            if not spoiled[found]:
                raise BrokenLog("it opens a ballot that was cast", entry=index)
            if openings[found] >= 0:
                raise BrokenLog("it opens a ballot that is open", entry=index)
            openings[found] = index
        return openings


def _repeated(digests: NDArray[np.bytes_]) -> NDArray[np.intp]:
    """The places of digests that occurred before."""
    heads = np.ascontiguousarray(digests).view("<u8")[::4]  # eight bytes tell nearly all apart
    order = np.argsort(heads, kind="stable")
    alike = np.zeros(len(order) + 1, dtype=np.bool_)  # each place to the one before
    alike[1:-1] = heads[order[1:]] == heads[order[:-1]]
    some = order[alike[:-1] | alike[1:]]
    some = some[np.argsort(digests[some], kind="stable")]
    places: NDArray[np.intp] = some[1:][digests[some[1:]] == digests[some[:-1]]]
    return places


def _repeats(items: NDArray[np.uint32]) -> int:
    """The place of the first item that occurred before."""
    order = np.argsort(items, kind="stable")
    return int(order[1:][items[order[1:]] == items[order[:-1]]].min())


def counted_set(
    roll: Roll,
    entries: Iterable[tuple[int, Entry]],
    *,
    revote: str,
    spoil: str,
    powers: Powers = NO_POWERS,
) -> Fates:
    """The fates of all ballots of a log, whose entries come with their indices.

    Raises:
        BrokenLog: naming the entry that breaks a rule.
    """
    counting = Counting(roll, revote=revote, spoil=spoil, powers=powers)
    for index, entry in entries:
        counting.add(index, entry)
    return counting.finish()


def verify_seal(fates: Fates, seal: Seal) -> None:
    """Check that a seal says of the ballots before it what follows from them.

    Raises:
        VerificationError: a count or the digest differs.
    """
    for name in ("cast", "spoiled", "counted", "superseded", "struck", "unconfirmed"):
        announced, found = getattr(seal, name), getattr(fates, name)
        if announced != found:
            raise VerificationError(f"seal: {announced} ballots {name} announced, {found} found")
    if seal.digest != fates.digest:
        raise VerificationError("seal: the digest is not that of the counted set")
