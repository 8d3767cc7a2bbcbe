"""What the authorities do on the board between opening and sealing: strike, confirm, extend, close.

Each ruling is an entry that a quorum of authorities signs, with the reason's code; which there are
the manifest says. Long lists of voters become several entries, appended all or none. Repeating a
step does what is left to be done, which is nothing if it was done.

A private sibling of `workflow`, which is the public path to all of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from evote._audit_log import ruling_parts
from evote._ballot_box import BallotBox, signed_roll
from evote._founding import load_parameters, operator_key
from evote.board import (
    MAX_ROWS,
    Board,
    Confirm,
    Extend,
    NoteSigner,
    OperatorSignature,
    PhaseEntry,
    Ruling,
    Seal,
    Stage,
    Strike,
    VotingPhase,
    pack_rows,
)
from evote.credentials import Roll
from evote.errors import ParameterError, QuorumError
from evote.operators import OperatorKey, Passphrase
from evote.policies import Counting, Fates
from evote.record import Record

__all__ = [
    "Make",
    "authority_keys",
    "confirm_voters",
    "confirmation",
    "entry_signature",
    "extend_voting",
    "extension",
    "open_ballot_box",
    "open_board",
    "phase_change",
    "seal_of",
    "set_phase",
    "strike",
    "strike_voters",
]


def authority_keys(
    record: Path | str, directories: Sequence[Path | str], passphrase: Passphrase
) -> list[OperatorKey]:
    """The keys of a quorum of authorities.

    Raises:
        QuorumError: they are fewer, or one comes twice.
    """
    manifest = Record(record).manifest
    keys = [operator_key(path, passphrase, manifest, "authority") for path in directories]
    if len({key.card.id for key in keys}) < max(manifest.authority_quorum, len(keys)):
        raise QuorumError(f"the signatures of {manifest.authority_quorum} authorities are needed")
    return keys


def entry_signature(key: OperatorKey, purpose: str, *parts: bytes) -> OperatorSignature:
    """An authority's signature on an entry."""
    return OperatorSignature(operator=key.card.id, signature=key.sign(purpose, *parts))


def open_board(record: Path | str, directory: Path | str, passphrase: Passphrase) -> Board:
    """The board of a record, for appending."""
    return _open_board(record, directory, passphrase)[0]


def _open_board(
    record: Path | str, directory: Path | str, passphrase: Passphrase
) -> tuple[Board, OperatorKey]:
    """The same, with the key that signs refusals."""
    manifest = Record(record).manifest
    manifest.check_native()
    key = operator_key(directory, passphrase, manifest, "board")
    signer = NoteSigner(key=manifest.log_key, sign=key.sign_note)
    return Board(record, signer, index=Path(directory) / "index.sqlite"), key


def open_ballot_box(
    record: Path | str, board_directory: Path | str, passphrase: Passphrase
) -> BallotBox:
    """The board, open for ballots: a context manager that holds its lock."""
    parameters = load_parameters(record)
    board, key = _open_board(record, board_directory, passphrase)
    return BallotBox(Record(record), parameters, board, key)


Make: TypeAlias = Callable[[Roll, Counting], list[Ruling]]
"""What is still to be done of a step, as rulings without signatures."""


def strike(credentials: Sequence[bytes], reason: str) -> Make:
    """To strike these voters, but for those who are struck."""

    def make(roll: Roll, counting: Counting) -> list[Ruling]:
        rows = np.setdiff1d(_rows_of(roll, credentials), counting.struck)
        return [Strike(reason=reason, rows=part, signatures=()) for part in _packed(rows)]

    return make


def confirmation(credentials: Sequence[bytes], reason: str) -> Make:
    """To confirm these voters, but for those who are confirmed."""

    def make(roll: Roll, counting: Counting) -> list[Ruling]:
        rows = np.setdiff1d(_rows_of(roll, credentials), counting.confirmed)
        return [Confirm(reason=reason, rows=part, signatures=()) for part in _packed(rows)]

    return make


def extension(end: int, reason: str) -> Make:
    """To announce another end of voting, in seconds since 1970."""

    def make(roll: Roll, counting: Counting) -> list[Ruling]:
        return [] if counting.end == end else [Extend(reason=reason, end=end, signatures=())]

    return make


def phase_change(phase: VotingPhase, reason: str) -> Make:
    """To take no more ballots, or to take them again."""

    def make(roll: Roll, counting: Counting) -> list[Ruling]:
        now = {"closed": Stage.CLOSED, "voting": Stage.VOTING}[phase]
        entry = PhaseEntry(reason=reason, phase=phase, signatures=())
        return [] if counting.stage == now else [entry]

    return make


def seal_of(fates: Fates) -> Seal:
    """The seal that says this, without signatures."""
    return Seal(
        cast=fates.cast,
        spoiled=fates.spoiled,
        counted=fates.counted,
        superseded=fates.superseded,
        struck=fates.struck,
        unconfirmed=fates.unconfirmed,
        digest=fates.digest,
        signatures=(),
    )


def strike_voters(
    record: Path | str,
    authority_directories: Sequence[Path | str],
    board_directory: Path | str,
    passphrase: Passphrase,
    credentials: Sequence[bytes],
    reason: str,
) -> range:
    """Strike voters: nothing that they have cast or will cast counts.

    Args:
        credentials: of the voters; those who are struck already stay as they are.
        reason: one of the manifest's codes for strikes.

    Returns:
        The entries of the log that were appended; none if all were struck before.

    Raises:
        ParameterError: a credential that is not on the roll.
        BrokenLog: no such reason, or the log is sealed.
    """

    make = strike(credentials, reason)
    return _rule(record, authority_directories, board_directory, passphrase, make)


def confirm_voters(
    record: Path | str,
    authority_directories: Sequence[Path | str],
    board_directory: Path | str,
    passphrase: Passphrase,
    credentials: Sequence[bytes],
    reason: str,
) -> range:
    """Confirm provisional voters, so that their ballots count; as `strike_voters`."""
    make = confirmation(credentials, reason)
    return _rule(record, authority_directories, board_directory, passphrase, make)


def extend_voting(
    record: Path | str,
    authority_directories: Sequence[Path | str],
    board_directory: Path | str,
    passphrase: Passphrase,
    end: int,
    reason: str,
) -> range:
    """Announce a later end of voting, in seconds since 1970; it informs, and stops nothing."""
    make = extension(end, reason)
    return _rule(record, authority_directories, board_directory, passphrase, make)


def set_phase(
    record: Path | str,
    authority_directories: Sequence[Path | str],
    board_directory: Path | str,
    passphrase: Passphrase,
    phase: VotingPhase,
    reason: str,
) -> range:
    """Take no more ballots ("closed"), or take them again ("voting")."""
    make = phase_change(phase, reason)
    return _rule(record, authority_directories, board_directory, passphrase, make)


def _rule(
    record: Path | str,
    authority_directories: Sequence[Path | str],
    board_directory: Path | str,
    passphrase: Passphrase,
    make: Make,
) -> range:
    """Append what `make` says of the log as it is, signed, once it is known to have its place."""
    opened = Record(record)
    manifest, parameters = opened.manifest, load_parameters(record)
    keys = authority_keys(record, authority_directories, passphrase)
    with open_board(record, board_directory, passphrase) as board:
        roll = signed_roll(opened, parameters)
        counting = Counting(
            roll, revote=manifest.revote, spoil=manifest.spoil, powers=manifest.powers
        )
        for index, entry in enumerate(board.entries()):
            counting.add(index, entry)
        signed = []
        for number, ruling in enumerate(make(roll, counting), counting.rulings):
            parts = ruling_parts(parameters.election_id, number, ruling)
            signatures = tuple(entry_signature(key, "ruling", *parts) for key in keys)
            signed.append(replace(ruling, signatures=signatures))
        for index, ruling in enumerate(signed, board.size):
            counting.add(index, ruling)
        return board.append(signed)


def _rows_of(roll: Roll, credentials: Sequence[bytes]) -> NDArray[np.int64]:
    rows = roll.find(credentials)
    if (rows < 0).any():
        number = int((rows < 0).argmax())
        raise ParameterError(f"credential {number + 1} of the list is not on the roll")
    return rows


def _packed(rows: NDArray[np.int64]) -> list[bytes]:
    return [pack_rows(rows[i : i + MAX_ROWS]) for i in range(0, len(rows), MAX_ROWS)]
