"""After the vote, in the profile: the seal, the shuffles, the decryption and the result.

Everything here is appended to the archive. What anybody can compute, the encrypted tally, the end
of the shuffles and the result, needs no secret; trustees verify the whole record before they use
theirs, and decrypt one tally of an election only.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from evote._founding import operator_key
from evote._mixed_results import draw_lots
from evote._pool import Workers, processes
from evote._trustee import TrusteeSession
from evote.contests import Contest
from evote.counting import ContestCount, count_contest
from evote.elgamal import Ciphertexts
from evote.errors import ParameterError, QuorumError, VerificationError
from evote.groups import Elements
from evote.groups.discrete_log import discrete_logs
from evote.interop._reports import silent
from evote.interop.belenios._archive import Archive
from evote.interop.belenios._audit import ids
from evote.interop.belenios._box import Box
from evote.interop.belenios._decryption import check_share, combine, missing_shares, read_result
from evote.interop.belenios._election import (
    Election,
    decode_credentials,
    decode_election,
    decode_weight,
)
from evote.interop.belenios._forms import SMALL, Failed, compact, items, parse, sha256_hex
from evote.interop.belenios._keys import key_share, load_setup
from evote.interop.belenios._profile_audit import audit_record, shufflers
from evote.interop.belenios._prover import partial_decryption
from evote.interop.belenios._shuffles import ciphertext_values, read_ciphertexts, shuffle_lists
from evote.interop.belenios._tally import Sums, read_sized, read_tally
from evote.interop.belenios._terms import Terms, load_terms
from evote.interop.belenios._trustees import Trustees, decode_trustees
from evote.interop.belenios._voting import check_weights, credentials_file, opened_setup
from evote.interop.belenios._writer import GrowingArchive, begin_archive, open_growing
from evote.operators import OperatorKey, Passphrase, conceal
from evote.packing import ContestAnswers, Verdict
from evote.tally import ContestResult, Result

__all__ = [
    "Sealed",
    "compute_tally",
    "decrypt_share",
    "mix",
    "mixed_answers",
    "open_election",
    "publish_result",
    "result_of",
    "seal_election",
]

Progress = Callable[[str, int, int], None]
_LATER = ids("Tally", "Shuffles", "Decryption", "Result")
_AFTER_TALLY = ids("Decryption", "Result")


# -- opening and sealing ---------------------------------------------------------------------------


def open_election(
    record: Path | str,
    authority_directories: Sequence[Path | str],
    board_directory: Path | str,
    passphrase: Passphrase,
) -> None:
    """Begin the archive with the setup, which a quorum of authorities sign.

    Raises:
        VerificationError, DecodingError: trustees or credentials are not complete, or wrong.
    """
    terms = load_terms(record)
    keys = _authorities(terms, authority_directories, passphrase)
    operator_key(board_directory, passphrase, terms.manifest, "board")
    setup = load_setup(terms)
    credentials, _ = credentials_file(terms)
    bodies = (setup.election_data, setup.trustees_data, credentials)
    if not terms.archive.exists():
        begin_archive(terms.archive, *bodies, timestamp=int(time.time()))
    with open_growing(terms.archive) as archive:
        first = archive.events[0]
        if [body.digest for body in first.data[:3]] != list(map(sha256_hex, bodies)):
            raise VerificationError("the archive has begun with another setup")
        check_weights(terms, decode_credentials(credentials, setup.election))
        if not terms.has("open"):
            terms.post("open", "open", {"event": first.digest}, keys)
        opened_setup(terms, archive)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sealed:
    """How many ballots the archive has, and how many of them count."""

    cast: int
    counted: int
    superseded: int


def seal_election(
    record: Path | str,
    authority_directories: Sequence[Path | str],
    board_directory: Path | str,
    passphrase: Passphrase,
    *,
    progress: Progress | None = None,
) -> Sealed:
    """Close the ballot box: all ballots are verified, and the authorities sign what is in it.

    Raises:
        VerificationError: a ballot does not verify; or there are too few to be mixed.
    """
    terms = load_terms(record)
    keys = _authorities(terms, authority_directories, passphrase)
    operator_key(board_directory, passphrase, terms.manifest, "board")
    with _growing(terms) as archive:
        opened_setup(terms, archive)
        sums, box = _sums(terms, archive, progress)
        mixing = terms.manifest.mixing
        least = 0 if mixing is None or mixing.small_units_accepted else mixing.min_unit
        if sums.counted < least:
            reason = f"{sums.counted} ballots are counted, and fewer than {least} are not mixed"
            raise VerificationError(f"{reason} and decrypted together")
        if archive.could_follow("EndBallots"):
            archive.append("EndBallots")
        if not terms.has("seal"):
            [end] = archive.kind("EndBallots")
            terms.post("seal", "seal", {"event": end.digest}, keys)
        _add_tally(archive, sums)
    cast = len(box.events)
    return Sealed(cast=cast, counted=sums.counted, superseded=cast - sums.counted)


@contextmanager
def _growing(terms: Terms) -> Iterator[GrowingArchive]:
    """The archive of an election that has been opened.

    Raises:
        VerificationError: it is not open yet.
    """
    if not terms.archive.exists():
        raise VerificationError("the election is not open yet")
    with open_growing(terms.archive) as archive:
        yield archive


def _authorities(
    terms: Terms, directories: Sequence[Path | str], passphrase: Passphrase
) -> list[OperatorKey]:
    manifest = terms.manifest
    keys = [operator_key(path, passphrase, manifest, "authority") for path in directories]
    if len({key.card.id for key in keys}) < max(manifest.authority_quorum, len(keys)):
        raise QuorumError(f"the signatures of {manifest.authority_quorum} authorities are needed")
    return keys


def _sums(terms: Terms, archive: Archive, progress: Progress | None) -> tuple[Sums, Box]:
    election, credentials = opened_setup(terms, archive)
    box = Box(archive, election, credentials)
    for done, total, failures in box.verify():
        for failure in failures:
            raise failure
        (progress or silent)("ballots", done, total)
    box.notices()  # which closes what it has open
    return box.sums, box


def _add_tally(archive: GrowingArchive, sums: Sums) -> None:
    """What every reader computes from the ballots, and compares."""
    if not archive.could_follow("EncryptedTally"):
        return
    codec = sums.election.codec
    data = compact([ciphertext_values(codec, part) for part in sums.tally()]).encode()
    sized = {
        "num_tallied": sums.counted,
        "total_weight": _number(sums.weight),
        "encrypted_tally": sha256_hex(data),
    }
    archive.append("EncryptedTally", data, compact(sized).encode())


def _number(value: int) -> int | str:
    return value if value <= SMALL else str(value)


def compute_tally(
    record: Path | str,
    board_directory: Path | str,
    passphrase: Passphrase,
    *,
    progress: Progress | None = None,
) -> Path:
    """Have the archive at what trustees decrypt: the encrypted tally, and the end of the shuffles.

    Raises:
        VerificationError: the election is not sealed; or fewer trustees than the quorum, which
            could decrypt without the others anyway, have shuffled what is mixed.
    """
    terms = load_terms(record)
    operator_key(board_directory, passphrase, terms.manifest, "board")
    with _growing(terms) as archive:
        if archive.could_follow("EncryptedTally"):
            _add_tally(archive, _sums(terms, archive, progress)[0])
        if not archive.kind("EncryptedTally"):
            raise VerificationError("the election is not sealed")
        if terms.manifest.packs and archive.could_follow("EndShuffles"):
            done, quorum = len(shufflers(terms, archive)), terms.manifest.quorum
            if done < quorum:
                raise VerificationError(f"{done} trustees have shuffled, of {quorum} expected")
            archive.append("EndShuffles")
    return terms.archive


# -- what trustees do ------------------------------------------------------------------------------


class _Ready(NamedTuple):
    """A record that a trustee has verified, up to what it works on."""

    terms: Terms
    election: Election
    trustees: Trustees
    tally: list[Ciphertexts]
    head: str  # the event that all of it is in, or behind


def _verified(
    record: Path | str,
    allowed: Sequence[str],
    expect_manifest: bytes | str | None,
    jobs: Workers,
    progress: Progress | None,
) -> _Ready:
    """Audit a record; only the checks in `allowed` may be still to come.

    Raises:
        VerificationError: a check failed, or one that has to be done by now could not be.
    """
    terms = load_terms(record)
    with _growing(terms):  # so that what a killed step has left is no failure
        pass
    report = audit_record(record, expect_manifest=expect_manifest, jobs=jobs, progress=progress)
    for finding in (*report.failures(), *report.unchecked()):
        if finding in report.failures() or finding.check not in allowed:
            raise VerificationError(f"{finding.check} {finding.outcome}: {finding.detail}")
    with Archive(terms.archive) as archive:
        archive.read()
        pool = jobs if isinstance(jobs, Executor) else processes(jobs) if jobs > 1 else None
        election = decode_election(archive.body(archive.events[0].data[0]), pool)
        trustees = decode_trustees(archive.body(archive.events[0].data[1]), election)
        [event] = archive.kind("EncryptedTally")
        tally = _shuffled(archive, election)
        ended = archive.kind("EndShuffles") or archive.kind("Shuffle")[-1:] or [event]
    return _Ready(terms, election, trustees, tally, ended[-1].digest)


def _shuffled(archive: Archive, election: Election) -> list[Ciphertexts]:
    """The encrypted tally, with what the last shuffle has put out; of a verified archive."""
    [event] = archive.kind("EncryptedTally")
    tally = read_tally(archive.body(event.data[0]), election)
    shuffles = archive.kind("Shuffle")
    if shuffles:
        value = parse(archive.body(shuffles[-1].data[0]), "shuffle")
        for i, found in zip(election.mixed, value["ciphertexts"], strict=True):
            tally[i] = read_ciphertexts(found, election.codec, "shuffle")
    return tally


def mix(
    record: Path | str,
    trustee_directory: Path | str,
    passphrase: Passphrase,
    *,
    expect_manifest: bytes | str | None = None,
    jobs: Workers = 1,
    progress: Progress | None = None,
) -> list[Path]:
    """Shuffle what is mixed, as this trustee, after verifying the record and all shuffles so far.

    Whoever has shuffled already leaves that as it is.

    Raises:
        VerificationError: a check failed; or the election is not sealed, or shuffled to the end.
        ParameterError: nothing is mixed.
    """
    terms = load_terms(record)
    if not terms.manifest.packs:
        raise ParameterError("nothing is mixed in this election")
    key = operator_key(trustee_directory, passphrase, terms.manifest, "trustee")
    index = terms.index_of(key.card)
    with _growing(terms) as archive:
        if index in shufflers(terms, archive):
            return [terms.archive]
        if archive.could_follow("EncryptedTally"):
            _add_tally(archive, _sums(terms, archive, progress)[0])
        if not archive.could_follow("Shuffle"):
            raise VerificationError("only the ballots of a sealed and untallied election are mixed")
    allowed = [*_LATER, "belenios.profile-shuffles"]
    ready = _verified(record, allowed, expect_manifest, jobs, progress)
    lists = [ready.tally[i] for i in ready.election.mixed]
    data = shuffle_lists(ready.election, lists)
    owned = compact({"owner": index, "payload": sha256_hex(data)}).encode()
    with _growing(terms) as archive:
        if archive.events[-1].digest != ready.head:
            raise ParameterError("another trustee was faster: run this again")
        # What a killed run has signed and not appended, nobody has seen.
        content: dict[str, Any] = {"index": index, "shuffle": sha256_hex(data)}
        terms.post(f"shuffle-{index:03d}", "shuffle", content, [key], overwrite=True)
        archive.append("Shuffle", data, owned)
    return [terms.archive]


def decrypt_share(
    record: Path | str,
    trustee_directory: Path | str,
    passphrase: Passphrase,
    *,
    expect_manifest: bytes | str | None = None,
    jobs: Workers = 1,
    progress: Progress | None = None,
) -> Path:
    """Verify the whole record, then append this trustee's partial decryption.

    Raises:
        VerificationError: a check failed; or this trustee has decrypted another tally of the same
            election.
        ParameterError: the result is out, and takes no more.
    """
    secret = conceal(passphrase)
    terms = load_terms(record)
    operator_key(trustee_directory, secret, terms.manifest, "trustee")
    ready = _verified(record, _AFTER_TALLY, expect_manifest, jobs, progress)
    session = TrusteeSession(trustee_directory, record, secret)
    index, tally = session.index, bytes.fromhex(ready.head)
    if session.notes.tally not in (None, tally):
        raise VerificationError("this trustee has decrypted another tally of this election")
    with _growing(terms) as archive:
        if _shares(archive, ready.election, ready.trustees, ready.tally, index):
            return terms.archive
        if not archive.could_follow("PartialDecryption"):
            raise ParameterError("the result is published: the record takes no more shares")
    share = key_share(terms, session.key)
    if ready.election.codec.group.generator**share != ready.trustees.owners[index - 1].key:
        raise VerificationError("this trustee holds no share of the election's key")
    session.save(replace(session.notes, tally=tally))
    data = partial_decryption(ready.election, share, ready.tally)
    owned = compact({"owner": index, "payload": sha256_hex(data)}).encode()
    with _growing(terms) as archive:
        if all(event.digest != ready.head for event in archive.events):
            raise VerificationError("the record changed after it was verified")
        archive.append("PartialDecryption", data, owned)
    return terms.archive


def _shares(
    archive: Archive,
    election: Election,
    trustees: Trustees,
    tally: list[Ciphertexts],
    owner: int | None = None,
) -> list[Any]:
    """The partial decryptions that are there and valid; of one trustee, or of all."""
    found = []
    for event in archive.kind("PartialDecryption"):
        if event.owner == owner or (owner is None and 1 <= event.owner <= len(trustees.owners)):
            data = archive.body(event.data[0])
            try:
                found.append(check_share(data, election, trustees, event.owner, tally))
            except Failed:
                if owner is not None:
                    raise
    return found


# -- the result ------------------------------------------------------------------------------------


def publish_result(
    record: Path | str, board_directory: Path | str, passphrase: Passphrase
) -> Result:
    """Combine the partial decryptions, and append the result.

    Raises:
        QuorumError: too few of them are there.
        VerificationError: what they give is no result that the ballots can have.
    """
    terms = load_terms(record)
    operator_key(board_directory, passphrase, terms.manifest, "board")
    with _growing(terms) as archive:
        if archive.could_follow("PartialDecryption"):
            setup = archive.events[0]
            election = decode_election(archive.body(setup.data[0]))
            trustees = decode_trustees(archive.body(setup.data[1]), election)
            tally = _shuffled(archive, election)
            shares = _shares(archive, election, trustees, tally)
            missing = missing_shares(trustees, shares)
            if missing:
                raise QuorumError("; ".join(text for _, text in missing))
            factors = combine(trustees, shares, election.codec)
            entries = _entries(terms, election, tally, factors)
            archive.append("Result", compact({"result": entries}).encode())
    return result_of(record)


def _entries(
    terms: Terms, election: Election, tally: list[Ciphertexts], factors: Elements
) -> list[Any]:
    entries: list[Any] = []
    start = 0
    for question, part in zip(election.questions, tally, strict=True):
        messages = part.beta / factors[start : start + len(part)]
        start += len(part)
        if question.kind == "mixed":
            entries.append(election.codec.to_numbers(messages, question.answers))
        else:
            counts = discrete_logs(messages, terms.manifest.total_weight)
            entries.append([_number(count) for count in counts])
    return entries


def result_of(record: Path | str) -> Result:
    """The published result, counted by each contest's rules. Nothing is verified.

    Raises:
        DecodingError, VerificationError: there is none.
    """
    terms = load_terms(record)
    with Archive(terms.archive) as archive:
        archive.read()
        found = archive.kind("Result")
        if not found:
            raise VerificationError("there is no result yet")
        entries = read_result(archive.body(found[0].data[0]))
        election = decode_election(archive.body(archive.events[0].data[0]))
        [event] = archive.kind("EncryptedTally")
        ballots, weight = read_sized(archive.body(event.data[1]), election)
        owners = tuple(event.owner for event in archive.kind("PartialDecryption"))
        [ended] = archive.kind("EndBallots")
    contests: list[ContestResult] = []
    mixed: list[ContestCount] = []
    manifest = terms.manifest
    items(entries, "result", len(manifest.contests))
    for contest, entry in zip(manifest.contests, entries, strict=True):
        if manifest.pack_of(contest.id) is None:
            contests.append(_summed(contest, entry, ballots, weight))
            continue
        answers = judge(contest, entry)
        drawn = None
        if contest.count is not None:
            drawn = draw_lots(contest, (terms.base, bytes.fromhex(ended.digest)))
        mixed.append(count_contest(answers, lots=drawn))
    return Result(
        election=terms.base,
        tally=bytes.fromhex(event.digest),
        trustees=owners,
        contests=tuple(contests),
        mixed=tuple(mixed),
    )


def _summed(contest: Contest, entry: Any, ballots: int, weight: int) -> ContestResult:
    counts = [decode_weight(x, 1, "result") for x in items(entry, "result", contest.width)]
    blank = counts[0] if contest.counts_blanks else None
    votes = tuple(counts[1:] if contest.counts_blanks else counts)
    return ContestResult(
        id=contest.id,
        ballots=ballots,
        weight=weight,
        votes=votes,
        blank=blank,
        undervotes=contest.maximum * (weight - (blank or 0)) - sum(votes),
    )


def mixed_answers(record: Path | str) -> Iterator[ContestAnswers]:
    """What the mixed ballots say, contest by contest, once the result is published."""
    terms = load_terms(record)
    with Archive(terms.archive) as archive:
        archive.read()
        found = archive.kind("Result")
        if not found:
            raise VerificationError("there is no result yet")
        entries = read_result(archive.body(found[0].data[0]))
    items(entries, "result", len(terms.manifest.contests))
    for contest, entry in zip(terms.manifest.contests, entries, strict=True):
        if terms.manifest.pack_of(contest.id) is not None:
            yield judge(contest, entry)


def judge(contest: Contest, rows: Any) -> ContestAnswers:
    """What decrypted numbers say: nobody has proven that they are an answer.

    Raises:
        DecodingError: not rows of numbers at all.
    """
    options = len(contest.options)
    given = [items(row, "result", options) for row in items(rows, "result")]
    for row in given:
        for entry in row:
            decode_weight(entry, 1, "result")
    marks = np.array(given, np.int64).reshape((len(given), options))
    malformed = np.zeros(len(marks), np.bool_)
    used = marks.sum(axis=1)
    if contest.kind == "ranking":
        used = np.count_nonzero(marks, axis=1)
        expected = np.maximum(0, np.arange(1, options + 1) - (options - used[:, None]))
        malformed = (np.sort(marks, axis=1) != expected).any(axis=1)
    over = (used > contest.maximum) | (marks > contest.option_limit).any(axis=1)
    verdicts = np.select(
        [malformed, over, used < contest.minimum],
        [Verdict.MALFORMED, Verdict.OVERVOTE, Verdict.UNDERVOTE],
        Verdict.VALID,
    ).astype(np.int64)
    return ContestAnswers(
        contest=contest,
        selections=np.where((verdicts == Verdict.VALID)[:, None], marks, 0),
        write_ins=("",) * len(marks),
        verdicts=verdicts,
    )
