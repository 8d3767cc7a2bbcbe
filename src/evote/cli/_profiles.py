"""Which profile an election is of, for the steps that differ, or that one of them lacks."""

from __future__ import annotations

from pathlib import Path

import click

from evote.record import Record


def of_belenios(record: Path) -> bool:
    """Whether an election is one of the profile `belenios`, whose steps are that profile's."""
    return Record(record).manifest.profile == "belenios"


def refuse_belenios(record: Path, what: str) -> None:
    """Refuse a step that the profile `belenios` does not have."""
    if of_belenios(record):
        raise click.UsageError(f"an election of the profile belenios has no {what}")


def refuse_witnesses(policy: Path | None) -> None:
    """Refuse a policy for cosignatures where nobody cosigns."""
    if policy is not None:
        raise click.UsageError("an election of the profile belenios has no witnesses")
