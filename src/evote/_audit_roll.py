"""The roll of a record: its form, its root, who signed it, and the voters' keys.

A private sibling of `verify`.
"""

from __future__ import annotations

import numpy as np

from evote._forms import Strings
from evote._report import Ledger
from evote.ceremony import ceremony_parameters
from evote.credentials import (
    Roll,
    decode_roll,
    read_roll,
    verify_roll,
    verify_roll_signatures,
)
from evote.election import Manifest
from evote.errors import VerificationError
from evote.groups.eddsa import decode_verification_keys
from evote.record import ROLL, ROLL_BUNDLE, Record, rows_path

__all__ = ["audited_roll"]

_KEYS_AT_ONCE = 4096


def audited_roll(ledger: Ledger, record: Record, manifest: Manifest) -> Roll | None:
    """Report on roll.*; the roll, if its rows are those that its header speaks of."""
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
        with ledger.guard("roll.keys"):
            _check_keys(roll)
            ledger.did("roll.keys", len(roll))
    return found


def _check_keys(roll: Roll) -> None:
    """Check that every credential is a canonical Ed25519 key of prime order.

    Raises:
        VerificationError: names the first row whose credential is not.
    """
    for start in range(0, len(roll), _KEYS_AT_ONCE):
        data = roll.credentials[start : start + _KEYS_AT_ONCE].tobytes()
        keys = Strings(np.frombuffer(data, dtype=np.uint8).reshape((-1, 32)))
        usable = decode_verification_keys(keys)
        if not usable.all():
            row = start + int(np.argmin(usable))
            where = f"{rows_path(row // ROLL_BUNDLE)}: line {row % ROLL_BUNDLE + 1}"
            raise VerificationError(f"{where}: the credential is no key of prime order")
