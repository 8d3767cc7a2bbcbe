"""The devices of many voters at once: ballots made, signed and ready to be sent in, as a stream.

A private sibling of `workflow`, which is the public path to it. For offline stations, simulations
and measurements: who runs it knows the codes and marks of all these voters.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from evote._ballot_box import Submission
from evote._encrypted_ballots import Choice, encryption_job
from evote._founding import load_parameters
from evote._pool import Work, run_jobs
from evote.ballots import (
    BallotContext,
    ballot_digests,
    ballots_at_once,
    encode_ballots,
    encrypt_ballots,
)
from evote.credentials import Action, derive_voter_keys, sign_ballots
from evote.election import Manifest, ballot_context, decode_manifest
from evote.errors import EvoteError, ParameterError
from evote.record import Record

__all__ = ["Vote", "make_submissions"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Vote:
    """What one voter wants done: the code, the style that came with it, the marks."""

    code: str = field(repr=False)
    style: str
    choice: Choice = field(repr=False)
    action: Action = "cast"


class _Devices(NamedTuple):
    manifest: Manifest
    context: BallotContext
    base_id: bytes


def _start(manifest_bytes: bytes, key: bytes, election_id: bytes, base_id: bytes) -> _Devices:
    manifest = decode_manifest(manifest_bytes)
    return _Devices(manifest, ballot_context(manifest, key, election_id), base_id)


def _vote(devices: _Devices, votes: Sequence[Vote]) -> list[Submission]:
    """Encrypt, prove and sign; seeds and voters' keys do not leave this call."""
    keys = derive_voter_keys([vote.code for vote in votes], devices.base_id)
    by_style: dict[str, list[int]] = {}
    for i, vote in enumerate(votes):
        by_style.setdefault(vote.style, []).append(i)
    bodies: dict[int, bytes] = {}
    for style, places in by_style.items():
        job = encryption_job(
            devices.manifest, style, [(keys[i].credential, votes[i].choice) for i in places]
        )
        ballots, _ = encrypt_ballots(devices.context, *job)
        bodies.update(zip(places, encode_ballots(devices.context, ballots), strict=True))
    made = [bodies[i] for i in range(len(votes))]
    actions = [vote.action for vote in votes]
    signatures = sign_ballots(keys, devices.context.election_id, ballot_digests(made), actions)
    return [
        Submission(body=body, action=action, credential=key.credential, signature=signature)
        for body, action, key, signature in zip(made, actions, keys, signatures, strict=True)
    ]


def make_submissions(
    record: Path | str, votes: Iterable[Vote], *, jobs: int = 1, at_once: int = 4096
) -> Iterator[list[Submission]]:
    """Make and sign the ballots of many voters, `at_once` or fewer at a time, in their order.

    Nothing is looked up on the roll: of a voter who is not on it, or has another style there, the
    board takes no ballot. A spoiled ballot cannot be opened, because its seed is forgotten.
    Memory: of a few thousand votes, however many there are.

    Args:
        record: of an election whose roll is published.
        votes: read as they are needed.
        jobs: processes of this machine.
        at_once: most submissions of one list.

    Raises:
        ParameterError: a choice that a contest does not allow, or a style that there is not.
        DecodingError: a mistyped code.
    """
    if at_once < 1:
        raise ParameterError("at least one submission at once expected")
    opened = Record(record)
    parameters = load_parameters(record)
    key = parameters.key.element.encode()
    arguments = opened.manifest_bytes, key, parameters.election_id, parameters.base_id
    iterator, most = iter(votes), min(ballots_at_once(parameters.ballot_context), at_once)
    todo = iter(lambda: list(islice(iterator, most)), [])
    ready: deque[Submission] = deque()
    for outcome in run_jobs(Work(_start, arguments, _vote), todo, jobs):
        if isinstance(outcome, EvoteError):
            raise outcome
        ready.extend(outcome)
        while len(ready) >= at_once:
            yield [ready.popleft() for _ in range(at_once)]
    if ready:
        yield list(ready)
