"""Every ballot's fate and its cause, by entry of the log: what `evote tracker` and `fates` say.

What is looked at: the manifest, the ceremony, the roll and the registrars' signatures on it, the
log's order, its root under the board's signed head, the authorities' rulings. What is not: the
ballots themselves, whose signatures and proofs `verify.audit` checks. While voting goes on, fates
are what they would be if the election were sealed now.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from evote._audit_log import read_log
from evote._ballot_box import signed_roll
from evote._base32 import from_digits, read_digits
from evote._founding import load_parameters
from evote._report import Ledger, Outcome
from evote.ballots import ballot_tracker
from evote.board import Stage
from evote.credentials import Roll
from evote.encoding import JSON, encode_hex
from evote.errors import DecodingError, VerificationError
from evote.policies import Counts, Fate, Fates, count_by_district
from evote.record import Record

__all__ = ["BallotFate", "Reckoning", "reckon"]

_TRACKER_DIGITS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class BallotFate:
    """A submitted ballot, and why it counts or does not.

    `cause` is the entry of the ballot that supersedes it, of the ruling that strikes its voter or
    of its own opening; None where there is none. `reason` is the code of that ruling.
    """

    entry: int
    tracker: str
    credential: bytes
    district: str
    style: str
    weight: int
    fate: Fate
    cause: int | None
    reason: str

    def __str__(self) -> str:
        match self.fate:
            case Fate.COUNTED:
                return "counts"
            case Fate.SUPERSEDED:
                return f"does not count: superseded by entry {self.cause}"
            case Fate.STRUCK:
                return f"does not count: struck by entry {self.cause}, {self.reason}"
            case Fate.UNCONFIRMED:
                return "does not count: the voter is provisional and not confirmed"
            case _:
                opened = "not opened" if self.cause is None else f"opened by entry {self.cause}"
                return f"does not count: spoiled, {opened}"

    def to_json(self) -> dict[str, JSON]:
        """The columns of a list."""
        return {
            "entry": self.entry,
            "tracker": self.tracker,
            "credential": encode_hex(self.credential),
            "district": self.district,
            "style": self.style,
            "weight": self.weight,
            "fate": self.fate.name.lower(),
            "cause": self.cause,
            "reason": self.reason,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Reckoning:
    """The fates of all ballots of a record, and how far its log of `size` entries has come.

    `seal` is the entry of the seal, None where there is none yet.
    """

    roll: Roll
    fates: Fates
    stage: Stage
    size: int
    rulings: int
    seal: int | None

    def ballot(self, place: int) -> BallotFate:
        """The ballot at a place of `fates`."""
        fates = self.fates
        voter, fate = int(fates.voters[place]), Fate(int(fates.fates[place]))
        cause = int(fates.openings[place] if fate is Fate.SPOILED else fates.causes[place])
        row = self.roll.row(voter)
        return BallotFate(
            entry=int(fates.indices[place]),
            tracker=ballot_tracker(bytes(fates.digests[place]).ljust(32, b"\0")),
            credential=row.credential,
            district=row.district,
            style=row.style,
            weight=row.weight,
            fate=fate,
            cause=cause if cause > 0 else None,
            reason=fates.reasons.get(cause, "") if fate is Fate.STRUCK else "",
        )

    def ballots(self) -> Iterator[BallotFate]:
        """All submitted ballots, in the order of the log."""
        return map(self.ballot, range(len(self.fates)))

    def entry(self, index: int) -> BallotFate | None:
        """The ballot of an entry of the log; None where that is no ballot."""
        place = int(np.searchsorted(self.fates.indices, index))
        found = place < len(self.fates) and self.fates.indices[place] == index
        return self.ballot(place) if found else None

    def tracked(self, tracker: str) -> list[BallotFate]:
        """The ballots with this tracker: none, one, or what somebody made to look the same.

        Raises:
            DecodingError: it is no tracker; mistyped, for instance.
        """
        digits = read_digits(tracker)
        if digits is None or len(digits) != _TRACKER_DIGITS:
            reason = f"a tracker has {_TRACKER_DIGITS} letters and digits, without I, L, O and U"
            raise DecodingError(reason, where="tracker")
        wanted = (from_digits(digits) << 4).to_bytes(13, "big")  # 100 bits, and four that may be
        rows = self.fates.digests.view(np.uint8).reshape(-1, 32)[:, :13].copy()
        rows[:, 12] &= 0xF0
        same = (rows == np.frombuffer(wanted, dtype=np.uint8)).all(axis=1)
        return [self.ballot(place) for place in np.flatnonzero(same).tolist()]

    def counts(self) -> tuple[Counts, ...]:
        """By district and style."""
        return count_by_district(self.roll, self.fates)


def reckon(record: Path | str) -> Reckoning:
    """Recompute what became of every ballot.

    Raises:
        DecodingError, VerificationError: the record does not say, or the log breaks a rule.
    """
    opened, parameters = Record(record), load_parameters(record)
    roll, ledger = signed_roll(opened, parameters), Ledger("voting", ())
    log = read_log(
        ledger, opened, opened.manifest, roll, opened.checkpoint(), (), parameters.election_id
    )
    for finding in ledger.findings():
        if finding.outcome is Outcome.FAILED:
            raise VerificationError(f"{finding.check} {finding.outcome}: {finding.detail}")
    if log.fates is None:
        raise VerificationError("the counted set is unknown")
    return Reckoning(
        roll=roll,
        fates=log.fates,
        stage=log.stage,
        size=log.size,
        rulings=log.rulings,
        seal=None if log.seal is None else log.seal[0],
    )
