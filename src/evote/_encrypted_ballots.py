"""Ballots on a voter's device: encrypted, and kept in a directory until they are cast or opened.

A private sibling of `workflow`, which is the public path to all of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from evote._files import make_directory, read_file, shown_path, write_file
from evote._pool import Work, run_jobs
from evote.ballots import (
    BallotContext,
    ballot_digest,
    ballot_tracker,
    encode_ballots,
    encrypt_ballots,
)
from evote.board import OpenedContest, Opening
from evote.contests import MAX_WRITE_IN
from evote.election import ElectionParameters, Manifest, ballot_context, decode_manifest
from evote.encoding import JSON, Fields, canonical_json, check_format, encode_hex, parse_json
from evote.errors import DecodingError, EvoteError, ParameterError
from evote.verify import Progress

__all__ = [
    "Choice",
    "EncryptedBallot",
    "EncryptionJob",
    "context_arguments",
    "encrypt_all",
    "encryption_job",
    "erase_ballot",
    "load_ballot",
    "make_context",
    "opening_of",
    "save_ballot",
]

_CHUNK = 64  # ballots of one job
_MAX_FILE = 32 * 2**20  # bytes
_BODY, _SECRET = "ballot.json", "secret.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """A voter's marks: for each contest of the style one integer per option; declared blanks.

    In a ranking the integers are ranks, from 1, and 0 for who is not ranked. A contest that is left
    out is left empty.
    """

    contests: Mapping[str, Sequence[int]] = field(repr=False)
    blank: frozenset[str] = field(default=frozenset(), repr=False)
    write_ins: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class EncryptedBallot:
    """A ballot, and the seed that opens it: keep it until the ballot is cast or opened, no longer.

    Show the voter the tracker before asking whether to cast or to spoil.
    """

    election: bytes
    body: bytes = field(repr=False)
    style: str
    credential: bytes
    seed: bytes = field(repr=False)
    choice: Choice = field(repr=False)

    @property
    def digest(self) -> bytes:
        """What is signed, and what the board shows."""
        return ballot_digest(self.body)

    @property
    def tracker(self) -> str:
        """The digest's form for people."""
        return ballot_tracker(self.digest)


# -- encryption --------------------------------------------------------------------------------


class EncryptionJob(NamedTuple):
    """Arguments of `ballots.encrypt_ballots`, as other processes get them."""

    style: str
    credentials: tuple[bytes, ...]
    selections: dict[str, list[list[int]]]
    blanks: dict[str, list[int]]
    write_ins: dict[str, list[str]]


def make_context(manifest_bytes: bytes, key: bytes, election_id: bytes) -> BallotContext:
    """What a process of its own makes and checks ballots in."""
    return ballot_context(decode_manifest(manifest_bytes), key, election_id)


def context_arguments(
    parameters: ElectionParameters, manifest_bytes: bytes
) -> tuple[bytes, bytes, bytes]:
    """What `make_context` takes, as other processes get it."""
    return manifest_bytes, parameters.key.element.encode(), parameters.election_id


def _encrypt(context: BallotContext, job: EncryptionJob) -> list[tuple[bytes, bytes]]:
    """Bodies and seeds."""
    ballots, seeds = encrypt_ballots(
        context, job.style, job.credentials, job.selections, job.blanks, job.write_ins
    )
    return list(zip(encode_ballots(context, ballots), seeds, strict=True))


def encrypt_all(
    parameters: ElectionParameters,
    manifest_bytes: bytes,
    voters: Sequence[tuple[bytes, str, Choice]],
    *,
    jobs: int = 1,
    progress: Progress | None = None,
) -> list[EncryptedBallot]:
    """Encrypt for many voters, each a (credential, style, choice); the order is kept."""
    by_style: dict[str, list[int]] = {}
    for i, (_, style, _) in enumerate(voters):
        by_style.setdefault(style, []).append(i)
    parts = [
        (style, places[start : start + _CHUNK])
        for style, places in by_style.items()
        for start in range(0, len(places), _CHUNK)
    ]
    todo = [
        encryption_job(parameters.manifest, style, [(voters[i][0], voters[i][2]) for i in places])
        for style, places in parts
    ]
    done: dict[int, EncryptedBallot] = {}
    work = Work(make_context, context_arguments(parameters, manifest_bytes), _encrypt)
    outcomes = run_jobs(work, todo, jobs if len(todo) > 1 else 1)
    for (style, places), outcome in zip(parts, outcomes, strict=True):
        if isinstance(outcome, EvoteError):
            raise outcome
        for i, (body, seed) in zip(places, outcome, strict=True):
            done[i] = EncryptedBallot(
                election=parameters.election_id,
                body=body,
                style=style,
                credential=voters[i][0],
                seed=seed,
                choice=voters[i][2],
            )
        if progress is not None:
            progress("encrypting", len(done), len(voters))
    return [done[i] for i in range(len(voters))]


def encryption_job(
    manifest: Manifest, style: str, voters: Sequence[tuple[bytes, Choice]]
) -> EncryptionJob:
    """What `ballots.encrypt_ballots` takes of the choices of voters of one style."""
    contests = manifest.style_contests(style)
    names = {contest.id for contest in contests}
    for _, choice in voters:
        if unknown := {*choice.contests, *choice.blank, *choice.write_ins} - names:
            raise ParameterError(f"style {style!r} has no contest {min(unknown)!r}")
    return EncryptionJob(
        style=style,
        credentials=tuple(credential for credential, _ in voters),
        selections={
            contest.id: [
                list(choice.contests.get(contest.id, [0] * len(contest.options)))
                for _, choice in voters
            ]
            for contest in contests
        },
        blanks={
            contest.id: [int(contest.id in choice.blank) for _, choice in voters]
            for contest in contests
        },
        write_ins={
            contest.id: [choice.write_ins.get(contest.id, "") for _, choice in voters]
            for contest in contests
        },
    )


def opening_of(ballot: EncryptedBallot, parameters: ElectionParameters) -> Opening:
    """The entry that opens a spoiled ballot."""
    choice = ballot.choice
    return Opening(
        ballot=ballot.digest,
        seed=ballot.seed,
        contests=tuple(
            OpenedContest(
                id=contest.id,
                selections=tuple(choice.contests.get(contest.id, [0] * len(contest.options))),
                blank=int(contest.id in choice.blank) if contest.counts_blanks else None,
                write_in=choice.write_ins.get(contest.id, "") if contest.takes_write_ins else None,
            )
            for contest in parameters.manifest.style_contests(ballot.style)
        ),
    )


# -- files of the voter's device -----------------------------------------------------------------


def save_ballot(ballot: EncryptedBallot, directory: Path | str) -> None:
    """Keep a ballot until it is cast or opened: ballot.json, and secret.json for the owner only.

    Raises:
        ParameterError: the directory has held a ballot. A secret alone, as a killed step leaves
            it, is of a ballot that nobody has seen, and is replaced.
    """
    directory = Path(directory)
    if (directory / _BODY).exists():
        raise ParameterError(f"{shown_path(directory)} holds a ballot already: take a new folder")
    make_directory(directory, mode=0o700)
    choice = ballot.choice
    contests: list[JSON] = [
        {
            "id": name,
            "selections": list(map(int, choice.contests.get(name, ()))),
            "blank": name in choice.blank,
            "write_in": choice.write_ins.get(name, ""),
        }
        for name in dict.fromkeys((*choice.contests, *choice.blank, *choice.write_ins))
    ]
    secret = canonical_json(
        {
            "format": "evote/ballot-secret",
            "version": 1,
            "election": encode_hex(ballot.election),
            "digest": encode_hex(ballot.digest),
            "style": ballot.style,
            "credential": encode_hex(ballot.credential),
            "seed": encode_hex(ballot.seed),
            "contests": contests,
        }
    )
    write_file(directory / _SECRET, secret, mode=0o600, overwrite=True)
    write_file(directory / _BODY, ballot.body)


def load_ballot(directory: Path | str) -> EncryptedBallot:
    """Read what `save_ballot` wrote.

    Raises:
        DecodingError: a file is missing (the ballot was cast or opened), or damaged.
    """
    directory = Path(directory)
    body = read_file(directory / _BODY, _MAX_FILE)
    if not (directory / _SECRET).exists():
        reason = "file is missing: the ballot was cast or spoiled, and its secrets are erased"
        raise DecodingError(reason, where=shown_path(directory / _SECRET))
    data = read_file(directory / _SECRET, _MAX_FILE, where=_SECRET)
    fields = Fields(parse_json(data, where=_SECRET), f"{_SECRET}: $")
    check_format(fields, "evote/ballot-secret", 1)
    digest = fields.hex("digest", 32)
    contests, blank, write_ins = {}, set(), {}
    for item in fields.objects("contests", 1000):
        name = item.identifier("id")
        if marks := tuple(item.integers("selections", 0, 255, 20_000)):
            contests[name] = marks
        if item.boolean("blank"):
            blank.add(name)
        if text := item.text("write_in", max_length=MAX_WRITE_IN, allow_empty=True):
            write_ins[name] = text
        item.end()
    ballot = EncryptedBallot(
        election=fields.hex("election", 32),
        body=body,
        style=fields.identifier("style"),
        credential=fields.hex("credential", 32),
        seed=fields.hex("seed", 32),
        choice=Choice(contests=contests, blank=frozenset(blank), write_ins=write_ins),
    )
    fields.end()
    if ballot.digest != digest:
        raise DecodingError("not the ballot of this secret", where=_BODY)
    return ballot


def erase_ballot(directory: Path | str) -> None:
    """Forget the seed, so that a cast ballot is never opened; what the disk keeps is its own."""
    (Path(directory) / _SECRET).unlink(missing_ok=True)
