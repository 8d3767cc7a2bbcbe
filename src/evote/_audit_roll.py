"""The roll of a record: its form, its root, who signed it, and the voters' keys.

A private sibling of `verify`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from evote._forms import Strings
from evote._pool import Work, Workers, start_jobs
from evote._report import Ledger
from evote.ceremony import ceremony_parameters
from evote.credentials import Roll, decode_roll, read_roll, verify_roll, verify_roll_signatures
from evote.election import Manifest
from evote.errors import EvoteError, VerificationError
from evote.groups.eddsa import decode_verification_keys
from evote.record import ROLL, ROLL_BUNDLE, Record, rows_path

__all__ = ["RollKeys", "audited_roll"]

_KEYS_AT_ONCE = 4096


def audited_roll(ledger: Ledger, record: Record, manifest: Manifest) -> Roll | None:
    """Report on roll.* but for the keys; the roll, if its rows are those of its header."""
    found: Roll | None = None
    with ledger.guard("roll.form", "roll.signatures", "roll.keys"):
        header = decode_roll(record.roll_header())
        roll = read_roll(
            record.roll_bundles(),
            [style.id for style in manifest.styles],
            maximum_weight=manifest.maximum_weight,
            place=record.roll_row_place,
            check_keys=False,
            district_ids=[district.id for district in header.districts],
        )
        ledger.did("roll.form", len(roll))
        if header.base != ceremony_parameters(record).base_id:
            reason = "not the roll of the election of manifest.json"
            ledger.fail("roll.form", f"{ROLL}: $.base: {reason}")
        try:
            verify_roll(roll, header)
        except VerificationError as error:
            last = rows_path(max(len(roll) - 1, 0) // ROLL_BUNDLE)
            raise VerificationError(f"{ROLL}, rows up to {last}: {error}") from None
        if len(roll) > manifest.maximum_voters or roll.total_weight > manifest.total_weight:
            ledger.fail("roll.form", f"{ROLL}: more voters or weight than the manifest")
        if roll.provisional.any() and not manifest.powers.confirm:
            row = record.roll_row_place(int(roll.provisional.argmax()))
            ledger.fail("roll.form", f"{row}: provisional, and nobody may confirm voters")
        found = roll
        with ledger.guard("roll.signatures"):
            ledger.did("roll.signatures", len(header.signatures))
            try:
                verify_roll_signatures(header, manifest.registrars)
            except VerificationError as error:
                raise VerificationError(f"{ROLL}: {error}") from None
    return found


class RollKeys:
    """The check that every credential is a canonical Ed25519 key of prime order, under way."""

    def __init__(self, roll: Roll, workers: Workers) -> None:
        self._size = len(roll)
        starts = range(0, len(roll), _KEYS_AT_ONCE)
        jobs = [roll.credentials[start : start + _KEYS_AT_ONCE] for start in starts]
        self._first_bad = start_jobs(Work(_nothing, (), _first_bad), jobs, workers)

    def report(self, ledger: Ledger) -> None:
        """Wait for it, and report on roll.keys."""
        with ledger.guard("roll.keys"):
            for number, place in enumerate(self._first_bad):
                if isinstance(place, EvoteError):
                    raise place
                if place is not None:
                    row = number * _KEYS_AT_ONCE + place
                    where = f"{rows_path(row // ROLL_BUNDLE)}: line {row % ROLL_BUNDLE + 1}"
                    raise VerificationError(f"{where}: the credential is no key of prime order")
            ledger.did("roll.keys", self._size)


def _nothing() -> None:
    """What these jobs need beside themselves."""


def _first_bad(state: None, credentials: NDArray[np.bytes_]) -> int | None:
    """The first of some credentials that is no usable key."""
    keys = Strings(np.ascontiguousarray(credentials).view(np.uint8).reshape((-1, 32)))
    usable = decode_verification_keys(keys)
    return None if usable.all() else int(np.argmin(usable))
