"""The mix servers' part of an audit: every step of every unit, from the counted ballots on.

A private sibling of `verify`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from evote._report import Ledger
from evote.elgamal import Ciphertexts
from evote.errors import DecodingError, EvoteError, VerificationError
from evote.mixing import (
    Cascade,
    MixInputs,
    MixStep,
    Unit,
    check_freshness,
    check_signature,
    check_step,
    decode_step,
    mix_path,
)
from evote.record import Record
from evote.tally import MixedUnit, file_digest, mixed_unit

__all__ = ["MIX_CHECKS", "UnitProgress", "check_mixes"]

MIX_CHECKS = ("mix.units", "mix.form", "mix.signatures", "mix.proofs", "mix.fresh")


@dataclass(slots=True, kw_only=True)
class UnitProgress:
    """A unit and how far it is: the digests of its steps, all verified.

    Its ciphertexts stay where they are, and are read when they are asked for.
    """

    unit: Unit
    cascade: Cascade = field(repr=False)
    record: Record = field(repr=False)
    counted: MixInputs = field(repr=False)
    digests: list[bytes] = field(default_factory=list)

    @property
    def steps(self) -> int:
        """How many mix servers it has passed."""
        return len(self.digests)

    @property
    def inputs(self) -> bytes:
        """Those of the counted ballots, encoded."""
        return self.counted.encoded(self.unit)

    @property
    def current(self) -> Ciphertexts:
        """What the last of its steps put out, or the counted ballots.

        Raises:
            DecodingError: the file of that step is not the one that was verified.
        """
        if not self.steps:
            return self.cascade.decode(self.unit, self.inputs, known=True)
        outputs = self.finished().outputs
        return outputs.within(self.cascade.group)

    def finished(self) -> MixedUnit:
        """What is tallied of it."""
        manifest, steps = self.cascade.manifest, tuple(self.digests)
        return mixed_unit(manifest, self.unit, steps, self.record.read)


def check_mixes(
    ledger: Ledger,
    record: Record,
    cascade: Cascade,
    inputs: MixInputs,
    complete: bool,
    progress: Callable[[str, int, int], None],
) -> tuple[UnitProgress, ...]:
    """Check the steps that are there; with `complete` all of them must be.

    A unit whose step fails is not followed further: what comes later stands on nothing.
    """
    units: tuple[Unit, ...] = ()
    with ledger.guard("mix.units", *MIX_CHECKS[1:]):
        units = inputs.units(cascade.manifest)
        ledger.did("mix.units", len(units))
    if ledger.failed("mix.units"):
        return ()
    _check_listing(ledger, record, cascade, units)
    if not units:
        ledger.absent("no ballot is mixed", *MIX_CHECKS[1:])
    mixers = len(cascade.manifest.mixers)
    found = []
    for unit in units:
        mix = UnitProgress(unit=unit, cascade=cascade, record=record, counted=inputs)
        found.append(mix)
        current: Ciphertexts | None = None
        for step in range(1, mixers + 1):
            progress("mixes", unit.number * mixers + step - 1, len(units) * mixers)
            data = _step_bytes(ledger, record, unit, step)
            if data is None:
                if complete:
                    ledger.fail("mix.form", f"{mix_path(unit.number, step)}: file is missing")
                elif "mix.form" in ledger.required:
                    ledger.block(f"{unit} has passed {step - 1} of {mixers}", *MIX_CHECKS[1:])
                break
            if current is None:
                current = mix.current
            current = _check_step(ledger, cascade, mix, step, data, current)
            if current is None:
                break
    progress("mixes", len(units) * mixers, len(units) * mixers)
    return tuple(found)


def _step_bytes(ledger: Ledger, record: Record, unit: Unit, step: int) -> bytes | None:
    try:
        return record.step_bytes(unit.number, step)
    except EvoteError as error:
        ledger.fail("mix.form", error)
        return b""


def _check_step(
    ledger: Ledger,
    cascade: Cascade,
    mix: UnitProgress,
    step: int,
    data: bytes,
    current: Ciphertexts,
) -> Ciphertexts | None:
    """Check one step; its outputs, to go on with, if nothing is wrong with it."""
    where = mix_path(mix.unit.number, step)
    read: MixStep | None = None
    with ledger.guard("mix.form"):
        ledger.did("mix.form")
        read = decode_step(cascade, mix.unit, step, data, where=where)
    if read is None:
        ledger.block(f"{where} could not be read", *MIX_CHECKS[2:])
        return None
    before = ledger.failures(*MIX_CHECKS)
    with ledger.guard("mix.signatures"):
        ledger.did("mix.signatures")
        check_signature(cascade, read, where)
    with ledger.guard("mix.proofs"):
        ledger.did("mix.proofs")
        check_step(cascade, read, current, where)
    with ledger.guard("mix.fresh"):
        ledger.did("mix.fresh")
        check_freshness(read, current, where)
    if ledger.failures(*MIX_CHECKS) > before:
        return None
    mix.digests.append(file_digest(data))
    return read.outputs


def _check_listing(
    ledger: Ledger, record: Record, cascade: Cascade, units: tuple[Unit, ...]
) -> None:
    """Steps of units that there are not: the listing cannot know them before the tally."""
    mixers = len(cascade.manifest.mixers)
    known = {mix_path(unit.number, step) for unit in units for step in range(1, mixers + 1)}
    try:
        names = [name for name in record.files() if name.startswith("mixes/")]
    except DecodingError:
        return  # record.files says so
    for name in names:
        if name not in known:
            error = VerificationError(f"{name}: there is no such unit, or no such mix server")
            ledger.fail("mix.units", error)
