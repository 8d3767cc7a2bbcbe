"""Seeded errors: a finished record of any size, with one thing wrong that an auditor must find.

In a study of an auditor's work 37 errors were put into the data of real elections, of which 5 were
found. Here are the classes of such errors, made by an insider who has the board's key and signs the
changed log anew, but not the keys of voters, authorities and trustees:

    for error in seeded.ERRORS:
        shutil.copytree(record, copy)
        seeded.seed(copy, signer, error)
        assert error.check in {finding.check for finding in audit(copy).failures()}

An error is made near the end of the log, so that at a million ballots only a few bundles are
written again; the leaves of all are hashed for the new head.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from evote.board import (
    BUNDLE,
    BallotEntry,
    Board,
    Checkpoint,
    CompactRange,
    Entry,
    NoteSigner,
    ResultEntry,
    Seal,
    Strike,
    decode_entry,
    leaf_hashes,
    sign_checkpoint,
)
from evote.credentials import ballot_message
from evote.encoding import canonical_json
from evote.errors import ParameterError
from evote.record import RESULT, Record
from evote.tally import file_digest

__all__ = ["ERRORS", "SeededError", "seed"]

_BUNDLES = 4  # at the end of the log, which are written again
_Line = tuple[Entry, bytes]  # an entry, and the body of a ballot
_CHECKPOINT = "board/checkpoint"


@dataclass(frozen=True, slots=True, kw_only=True)
class SeededError:
    """A class of errors, and the check that must fail; others may fail as well."""

    name: str
    check: str
    log: Callable[[list[_Line], bytes], list[_Line]] | None = field(default=None, repr=False)
    result: Callable[[list[dict[str, object]]], None] | None = field(default=None, repr=False)


def seed(record: Path | str, signer: NoteSigner, error: SeededError) -> None:
    """Put an error into a finished record, which is changed in place.

    Args:
        record: its directory.
        signer: the key of the board.
        error: one of `ERRORS`.

    Raises:
        ParameterError: there is nothing in the record that could be wrong in this way.
    """
    record = Path(record)
    if error.log is not None:
        _rewrite(record, signer, error.log)
    if error.result is not None:
        value = json.loads((record / RESULT).read_bytes())
        error.result(value["contests"])
        data = canonical_json(value)
        (record / RESULT).write_bytes(data)
        named = ResultEntry(digest=file_digest(data))
        _rewrite(record, signer, lambda lines, election: [*lines[:-1], (named, b"")])


def _rewrite(
    record: Path, signer: NoteSigner, change: Callable[[list[_Line], bytes], list[_Line]]
) -> None:
    """Change the end of the log: cut it at a bundle, and append what it shall be."""
    opened = Record(record)
    size = opened.checkpoint().size
    start = max((size - 1) // BUNDLE - _BUNDLES, 0) * BUNDLE
    kept, tail, election = CompactRange(), list[_Line](), b""
    for first, bundle in opened.entry_bundles():
        if first == 0:
            election = getattr(decode_entry(bundle[0]), "election", b"")
        if first < start:
            kept.extend(leaf_hashes(bundle))
        else:
            tail += _lines(opened, first, list(bundle))
    changed = change(tail, election)
    if changed == tail:
        raise ParameterError("there is nothing in this record that could be wrong so")
    head = Checkpoint(origin=signer.key.name, size=start, root=kept.root())
    (record / _CHECKPOINT).write_bytes(sign_checkpoint(head, signer))
    with Board(record, signer) as board:
        board.append([entry for entry, _ in changed], [body for _, body in changed if body])


def _lines(record: Record, first: int, bundle: list[bytes]) -> Iterator[_Line]:
    entries = [decode_entry(data) for data in bundle]
    some = any(isinstance(entry, BallotEntry) for entry in entries)
    bodies = record.ballot_bodies(first // BUNDLE) if some else iter(())
    for entry in entries:
        yield entry, next(bodies) if isinstance(entry, BallotEntry) else b""


def _last(lines: list[_Line], kind: type[Entry]) -> int:
    """The place of the last entry of a kind."""
    for i in range(len(lines) - 1, -1, -1):
        if isinstance(lines[i][0], kind):
            return i
    raise ParameterError(f"the end of the log has no entry {kind.__name__}")


def _ghost(lines: list[_Line], election: bytes) -> list[_Line]:
    """A ballot of somebody who is not on the roll, signed by a key of its own."""
    place = _last(lines, BallotEntry)
    entry, body = lines[place]
    assert isinstance(entry, BallotEntry)
    key = Ed25519PrivateKey.generate()
    ghost = replace(
        entry,
        credential=key.public_key().public_bytes_raw(),
        signature=key.sign(ballot_message(election, entry.digest, entry.action)),
    )
    return [*lines[: place + 1], (ghost, body), *lines[place + 1 :]]


def _removed(lines: list[_Line], election: bytes) -> list[_Line]:
    """A ballot that was taken in is gone."""
    place = _last(lines, BallotEntry)
    return lines[:place] + lines[place + 1 :]


def _twice(lines: list[_Line], election: bytes) -> list[_Line]:
    """A ballot stands in the log twice."""
    place = _last(lines, BallotEntry)
    return lines[: place + 1] + lines[place:]


def _exchanged(lines: list[_Line], election: bytes) -> list[_Line]:
    """Two ballots have each other's voters."""
    places = [i for i, (entry, _) in enumerate(lines) if isinstance(entry, BallotEntry)][-2:]
    if len(places) < 2:
        raise ParameterError("the end of the log has not two ballots")
    (one, body_one), (two, body_two) = (lines[i] for i in places)
    assert isinstance(one, BallotEntry)
    assert isinstance(two, BallotEntry)
    changed = list(lines)
    changed[places[0]] = replace(one, credential=two.credential), body_one
    changed[places[1]] = replace(two, credential=one.credential), body_two
    return changed


def _not_struck(lines: list[_Line], election: bytes) -> list[_Line]:
    """The strike of those who voted on paper is left out: their ballots stay."""
    place = _last(lines, Strike)
    return lines[:place] + lines[place + 1 :]


def _cancelled(lines: list[_Line], election: bytes) -> list[_Line]:
    """The seal counts a ballot that was struck."""
    place = _last(lines, Seal)
    entry = lines[place][0]
    assert isinstance(entry, Seal)
    if not entry.struck:
        raise ParameterError("nothing was struck")
    changed = replace(entry, counted=entry.counted + 1, struck=entry.struck - 1)
    return [*lines[:place], (changed, b""), *lines[place + 1 :]]


def _shifted(rows: list[dict[str, object]]) -> None:
    """A vote is moved from one district to another; the total is as it was."""
    names = [row["id"] for row in rows]
    pairs = [rows[i : i + 2] for i in range(len(rows) - 1) if names[i] == names[i + 1]]
    for pair in pairs:
        one, two = (row["votes"] for row in pair)
        assert isinstance(one, list)
        assert isinstance(two, list)
        for i in range(len(one)):
            if one[i]:
                one[i], two[i] = one[i] - 1, two[i] + 1
                return
    raise ParameterError("there are no votes by district")


def _moved(rows: list[dict[str, object]]) -> None:
    """A vote is moved from one option to another."""
    for row in rows:
        votes = row["votes"]
        assert isinstance(votes, list)
        full = [i for i, count in enumerate(votes) if count]
        if full and len(votes) > 1:
            votes[full[0]] -= 1
            votes[full[0] - 1] += 1
            return
    raise ParameterError("there are no votes to move")


ERRORS: tuple[SeededError, ...] = (
    SeededError(name="ghost ballot", check="ballots.credentials", log=_ghost),
    SeededError(name="removed ballot", check="seal.counted", log=_removed),
    SeededError(name="duplicate", check="ballots.unique", log=_twice),
    SeededError(name="shuffled identifiers", check="ballots.signatures", log=_exchanged),
    SeededError(name="vote replaced on paper, not removed", check="seal.counted", log=_not_struck),
    SeededError(name="cancelled ballot counted", check="seal.counted", log=_cancelled),
    SeededError(name="count shifted between districts", check="result.votes", result=_shifted),
    SeededError(name="vote moved between options", check="result.votes", result=_moved),
)
"""One of each class, as in a published study of what auditors do not notice."""
