"""The ballots of a record as jobs of an audit: with what board and roll say of each.

A private sibling of `verify`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from evote._audit_ballots import BallotsJob, read_bodies
from evote._audit_log import LogSummary, bundle_digest
from evote._forms import Strings
from evote._report import Ledger
from evote.board import (
    BUNDLE,
    BallotColumns,
    BallotEntry,
    Entry,
    Opening,
    bundle_path,
    decode_bundle,
    decode_entry,
    read_ballot_entries,
)
from evote.credentials import Roll
from evote.election import Manifest
from evote.errors import BrokenLog, EvoteError
from evote.policies import Fate
from evote.record import Record

__all__ = ["BallotJobs", "entries_of_bundle", "entry_or_none"]

_BUNDLES_AT_ONCE = 8  # entry bundles of one job
_BYTES_AT_ONCE = 2**22  # of their bodies: a worker needs some ten times as many
_CHANGED = "the record changed while it was audited"


class _Bundle(NamedTuple):
    """Ballots of one entry bundle: entries, lines of the bodies, what is there and what it says."""

    indices: NDArray[np.int64]
    lines: NDArray[np.int64]
    entries: BallotColumns
    bodies: Sequence[bytes]

    @property
    def size(self) -> int:
        """The bytes of the bodies."""
        if isinstance(self.bodies, Strings):
            return int(self.bodies.rows.size)
        return sum(map(len, self.bodies))

    def pieces(self) -> Iterator[_Bundle]:
        """The same in as many parts as its size asks for."""
        count = -(-len(self.indices) // (1 + self.size // _BYTES_AT_ONCE))
        for start in range(0, len(self.indices), count):
            part = slice(start, start + count)
            entries, bodies = self.entries.part(part), self.bodies[part]
            yield _Bundle(self.indices[part], self.lines[part], entries, bodies)


def _ballots_of(
    first: int, bundle: Sequence[bytes]
) -> tuple[NDArray[np.int64], BallotColumns] | None:
    """The ballots among the entries of a bundle; None where an entry cannot be read."""
    columns = read_ballot_entries(bundle)
    if columns is not None:
        return np.arange(first, first + len(bundle)), columns
    entries = [entry_or_none(data, first + i) for i, data in enumerate(bundle)]
    if None in entries:
        return None
    ballots = [(first + i, e) for i, e in enumerate(entries) if isinstance(e, BallotEntry)]
    indices = np.array([index for index, _ in ballots], dtype=np.int64)
    return indices, BallotColumns.of([entry for _, entry in ballots])


class BallotJobs:
    """The second pass over a log, whose first is `log`."""

    def __init__(self, record: Record, manifest: Manifest, roll: Roll, log: LogSummary) -> None:
        self._record, self._manifest, self._roll, self._log = record, manifest, roll, log

    def guarded(self, ledger: Ledger, checks: Sequence[str]) -> Iterator[BallotsJob]:
        """All jobs, in the order of the log; what keeps one from being made blocks `checks`.

        Entries are read again: a record that has changed since the first pass is an error.
        """
        log, waiting, size, ballots, bundles = self._log, list[_Bundle](), 0, 0, 0
        with ledger.guard("board.entries", *checks):
            for first, entries in self._record.entry_bundles():
                if bundles >= len(log.bundles) or bundle_digest(entries) != log.bundles[bundles]:
                    raise BrokenLog(_CHANGED)
                bundles += 1
                read = _ballots_of(first, entries)
                if read is None:
                    ledger.block(f"an entry of bundle {first // BUNDLE} cannot be read", *checks)
                    continue
                indices, columns = read
                ballots += len(indices)
                if not len(indices):
                    continue
                bodies, problem = read_bodies(self._record, first // BUNDLE, len(indices))
                whole = _Bundle(indices, np.arange(1, len(indices) + 1), columns, bodies)
                if problem:  # entries and bodies are not pairs: such a bundle goes alone
                    if waiting:
                        yield self._job(waiting)
                    yield self._job([whole], problem)
                    waiting, size = [], 0
                    continue
                for bundle in whole.pieces():
                    if waiting and (
                        len(waiting) == _BUNDLES_AT_ONCE or size + bundle.size > _BYTES_AT_ONCE
                    ):
                        yield self._job(waiting)
                        waiting, size = [], 0
                    waiting.append(bundle)
                    size += bundle.size
            if waiting:
                yield self._job(waiting)
            if bundles != len(log.bundles) or ballots != log.ballots:
                raise BrokenLog(_CHANGED)

    def _job(self, bundles: Sequence[_Bundle], problem: str = "") -> BallotsJob:
        roll, fates = self._roll, self._log.fates
        indices = np.concatenate([bundle.indices for bundle in bundles])
        columns = zip(*(bundle.entries for bundle in bundles), strict=True)
        entries = BallotColumns(*map(np.concatenate, columns))
        weights = np.zeros(len(indices), dtype=np.int64)
        openings = []
        if fates is None:
            rows = roll.find(entries.credentials)
        else:  # everybody is on the roll
            places = np.searchsorted(fates.indices, indices)
            rows = fates.voters[places].astype(np.int64)
            counted = fates.fates[places] == Fate.COUNTED
            weights[counted] = roll.weights[rows[counted]]
            opened = fates.openings[places]
            for i in np.flatnonzero(opened >= 0).tolist():
                openings.append((i, int(opened[i]), self._opening(int(opened[i]))))
        known = rows >= 0
        styles = np.full(len(rows), -1, dtype=np.int32)
        styles[known] = roll.style_numbers[rows[known]]
        districts: tuple[str, ...] = ()
        if self._manifest.districts is not None:
            numbers = roll.district_numbers[rows].tolist()
            names = [roll.districts[number] for number in numbers]
            districts = tuple([n if on else "" for n, on in zip(names, known, strict=True)])
        return BallotsJob(
            size=self._log.size,
            indices=indices,
            lines=np.concatenate([bundle.lines for bundle in bundles]),
            entries=entries,
            bodies=Strings.joined([bundle.bodies for bundle in bundles]),
            problem=problem,
            styles=styles,
            weights=weights,
            districts=districts,
            openings=tuple(openings),
        )

    def _opening(self, index: int) -> Opening:
        bundle = entries_of_bundle(self._record, self._log.size, index // BUNDLE)
        entry = entry_or_none(bundle[index % BUNDLE], index)
        if not isinstance(entry, Opening):
            raise BrokenLog(_CHANGED, entry=index)
        return entry


def entries_of_bundle(record: Record, size: int, number: int) -> Sequence[bytes]:
    """The entries of one bundle of a log of `size`."""
    width = min(BUNDLE, size - number * BUNDLE)
    name = bundle_path(number, width)
    return decode_bundle(record.read(name), width, where=name)


def entry_or_none(data: bytes, index: int) -> Entry | None:
    """The entry; None for what is none, which the first pass has reported."""
    try:
        return decode_entry(data, where=f"entry {index}")
    except EvoteError:
        return None
