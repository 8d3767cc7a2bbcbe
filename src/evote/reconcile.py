"""Who voted on paper and online too: found by tags, without anybody learning who voted.

    ask      whoever holds the poll book blinds the identities of those who voted on paper
    answer   each registrar with a key for tags raises them to it, with proof
    match    the holder takes the blinding off, finds these tags among those of the roll, and of
             the voters behind them those whose credential has cast a ballot: the strike list
    check    an auditor who holds the paper roll does the same again and compares

Registrars see uniformly random elements, and how many. The holder learns of the people it asks
about, and of no others, which credential is theirs, hence whether it cast a ballot. Everybody else
sees credentials struck. docs/reconciliation.md has the protocol and its limits.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from evote._files import read_file, shown_path, write_file
from evote._founding import operator_key
from evote._pool import spread
from evote._signed_lines import SignedLines, write_signed_lines
from evote._tags import (
    PORTION,
    TagShares,
    decode_tag_shares,
    hash_identities,
    join_tags,
    make_tag_shares,
    read_tags,
    tag_registrars,
    tag_shares_size,
    verify_tag_shares,
)
from evote._voters import check_offline, private_file, read_identities
from evote.board import BallotEntry
from evote.ceremony import ceremony_parameters
from evote.credentials import Roll, RollHeader, decode_roll, read_roll, verify_roll
from evote.election import Manifest
from evote.encoding import (
    JSON,
    Fields,
    canonical_json,
    check_format,
    encode_hex,
    parse_json,
    xof,
)
from evote.errors import DecodingError, ParameterError, VerificationError
from evote.groups import Elements, Group, Scalars, Secrecy
from evote.operators import Card, OperatorKey, Passphrase, SecretBytes, save_operator
from evote.record import Record
from evote.verify import Progress, audit

__all__ = ["Match", "answer", "ask", "check", "match"]

_REQUEST = "evote/tag-request"
_ANSWER = "evote/tag-answer"
_MAX_SECRET = 4096  # bytes
_MAX_REQUESTS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """What a reconciliation finds.

    Attributes:
        asked: how many voted on paper.
        struck: credentials of those who cast a ballot online too, ascending.
        lines: where these stand in the poll book, as nobody but its holder should see.
        unknown: lines of people who have no tag on the roll.
    """

    asked: int
    struck: tuple[bytes, ...]
    lines: tuple[int, ...]
    unknown: tuple[int, ...]


# -- asking and answering ------------------------------------------------------------------------


def ask(
    record: Path | str,
    authority_directory: Path | str,
    book: Path | str,
    request: Path | str,
    secret: Path | str,
    passphrase: Passphrase,
    *,
    jobs: int = 1,
    progress: Progress | None = None,
) -> int:
    """Blind the identities of a poll book into a request to the registrars.

    Cost: a hash to the group and a power each.

    Args:
        record: of the election.
        authority_directory: of the authority who holds the poll book, and signs the request.
        book: a CSV with a column `identity`, written as the registrars' list has them; of those
            who voted on paper.
        request: a new file, for each registrar.
        secret: a new file, the seed of the blinding, for `match` and whoever checks it.
        passphrase: of the authority's key.
        jobs: processes of this machine.
        progress: called with what is being done, how much is done, and of how much.

    Returns:
        How many people are asked about.

    Raises:
        ParameterError: a line of the book is wrong, or a person stands in it twice; or no registrar
            has a key for tags.
    """
    opened = Record(record)
    check_offline(record, authority_directory, book, request, secret)
    manifest, base = opened.manifest, ceremony_parameters(opened).base_id
    tag_registrars(manifest.registrars, manifest.group)
    key = operator_key(authority_directory, passphrase, manifest, "authority")
    identities = list(read_identities(book).values())
    seed = SecretBytes(os.urandom(32))
    kept: dict[str, JSON] = {"format": "evote/tag-secret", "version": 1, "base": encode_hex(base)}
    if Path(request).exists():
        raise ParameterError(f"{shown_path(Path(request).name)} exists, and is not written over")
    data = canonical_json(kept | {"seed": encode_hex(seed.reveal())})
    write_file(secret, data, mode=0o600)
    group = spread(manifest.group, jobs)
    lines = (
        queries.encode()
        for queries, _ in _told(_queries(group, base, seed, identities), identities, progress)
    )
    head: dict[str, JSON] = {"format": _REQUEST, "count": len(identities)}
    write_signed_lines(request, key, base, head, lines)
    return len(identities)


def _queries(
    group: Group, base: bytes, seed: SecretBytes, identities: Sequence[str]
) -> Iterator[tuple[Elements, Scalars]]:
    """Blinded hashes of identities and their nonces, portion by portion."""
    for start in range(0, len(identities), PORTION):
        some = identities[start : start + PORTION]
        drawn = b"".join(
            xof("tag-nonce", seed.reveal(), base, name.encode("utf-8"), length=group.uniform_size)
            for name in some
        )
        nonces = group.scalars_from_uniform(drawn, (len(some),), secrecy=Secrecy.ONE_TIME)
        yield hash_identities(group, base, some) ** nonces, nonces


def _told(
    queries: Iterable[tuple[Elements, Scalars]],
    identities: Sequence[str],
    progress: Progress | None,
) -> Iterator[tuple[Elements, Scalars]]:
    done = 0
    for elements, nonces in queries:
        yield elements, nonces
        done += elements.size
        if progress is not None:
            progress("people", done, len(identities))


def answer(
    record: Path | str,
    registrar_directory: Path | str,
    request: Path | str,
    target: Path | str,
    passphrase: Passphrase,
    *,
    jobs: int = 1,
    progress: Progress | None = None,
) -> int:
    """Answer a request with the registrar's shares of the blinded tags, and their proofs.

    Signed requests only, and all together no more questions than the roll has voters: who may ask
    without end can ask about everybody. Cost: a constant-time power each.

    Returns:
        How many questions there were.

    Raises:
        DecodingError, VerificationError: the request is malformed, or no authority signed it.
        ParameterError: too many questions.
    """
    opened = Record(record)
    check_offline(record, registrar_directory, request, target)
    manifest, base = opened.manifest, ceremony_parameters(opened).base_id
    key = operator_key(registrar_directory, passphrase, manifest, "registrar")
    if key.ceremony is None:
        raise ParameterError(f"registrar {key.card.id} has no key for tags")
    if Path(target).exists():
        raise ParameterError(f"{shown_path(Path(target).name)} exists, and is not written over")
    count, root = _checked_request(request, manifest, base)
    _remember(registrar_directory, key, opened, root, count, passphrase)
    group = spread(manifest.group, jobs)

    def lines() -> Iterator[bytes]:
        with SignedLines(request, _REQUEST, base, manifest.authorities) as file:
            file.head.integer("count", count, count)
            for number, width in _portions(count):
                queries = _read_queries(file, group, width)
                yield make_tag_shares(key, base, root, number, queries).encode()
                if progress is not None:
                    progress("questions", number * PORTION + width, count)
            if file.finish()[0] != root:
                raise VerificationError(f"{file.where}: the file changed while it was read")

    head: dict[str, JSON] = {"format": _ANSWER, "request": encode_hex(root), "count": count}
    write_signed_lines(target, key, base, head, lines())
    return count


def _remember(
    directory: Path | str,
    key: OperatorKey,
    opened: Record,
    root: bytes,
    count: int,
    passphrase: Passphrase,
) -> None:
    """Note a request before it is answered; the same one may be answered again."""
    base, voters = ceremony_parameters(opened).base_id, decode_roll(opened.roll_header()).count
    notes = key.recall(base)
    known: dict[str, int] = {}
    for item in notes.objects("requests", _MAX_REQUESTS) if notes is not None else ():
        known[item.text("root")] = item.integer("count", 0, 2**32 - 1)
    known[encode_hex(root)] = count
    if len(known) > _MAX_REQUESTS or sum(known.values()) > voters:
        reason = f"{sum(known.values())} in {len(known)} requests, of {voters} voters"
        raise ParameterError(f"too many questions: {reason}")
    requests: list[JSON] = [{"root": name, "count": known[name]} for name in known]
    kept = SecretBytes(canonical_json({"requests": requests}))
    save_operator(directory, key.remember(base, kept), passphrase)


def _portions(count: int) -> Iterator[tuple[int, int]]:
    """Number and width of the portions of a file."""
    for start in range(0, count, PORTION):
        yield start // PORTION, min(PORTION, count - start)


def _read_queries(file: SignedLines, group: Group, count: int) -> Elements:
    data = file.take(count * group.element_size)
    return group.decode_elements(data, (count,), where=file.where)


def _checked_request(path: Path | str, manifest: Manifest, base: bytes) -> tuple[int, bytes]:
    """Count and root of a request that an authority signed, before a key touches it."""
    with SignedLines(path, _REQUEST, base, manifest.authorities) as file:
        count = file.head.integer("count", 0, 2**32 - 1)
        for _, width in _portions(count):
            file.take(width * manifest.group.element_size)
        root, fields = file.finish()
        fields.end()
    return count, root


# -- matching ------------------------------------------------------------------------------------


def match(
    record: Path | str,
    book: Path | str,
    secret: Path | str,
    request: Path | str,
    answers: Sequence[Path | str],
    tags: Sequence[Path | str],
    *,
    strikes: Path | str | None = None,
    jobs: int = 1,
    progress: Progress | None = None,
) -> Match:
    """Find who is in the poll book and has cast a ballot online.

    Everything is checked: the record, that the request asks about this very book, the proofs of
    the answers, and that the tags are those of the roll. Cost: besides the audit, of each person
    that of `ask`, and a power and 2 terms of 128 bits for each registrar.

    Args:
        record: of the election, before its seal.
        book, secret, request: what `ask` was given and made.
        answers: of each registrar who makes tags.
        tags: the file of each such registrar; they must say the same.
        strikes: a new file for the credentials, a line each after a heading, for
            `evote election strike`.
        jobs: processes of this machine.
        progress: called with what is being done, how much is done, and of how much.

    Raises:
        DecodingError: a file is malformed.
        VerificationError: something does not fit, and what.
    """
    opened = Record(record)
    check_offline(record, book, secret, request, *answers, strikes)
    audit(record, phase="voting", jobs=jobs, progress=progress).raise_for_failure()
    manifest, base = opened.manifest, ceremony_parameters(opened).base_id
    people = read_identities(book)
    found = _unblinded(
        *(manifest, base, _read_seed(secret, base), people, request, answers),
        jobs=jobs,
        progress=progress,
    )
    header, roll = _read_roll(opened)
    lines = dict(zip(found, people, strict=True))
    if len(lines) != len(people):
        raise VerificationError("two people have one tag: a hash collision, or a broken file")
    places: dict[int, int] = {}  # row of the roll, by line of the book
    for row, tag in enumerate(_agreed_tags(manifest, base, header, tags)):
        if line := lines.get(tag):
            if line in places:
                name = shown_path(Path(book).name)
                raise VerificationError(f"{name}: line {line}: two voters of the roll have its tag")
            places[line] = row
    voted = _voted(opened, roll)
    twice = sorted((roll.row(row).credential, line) for line, row in places.items() if row in voted)
    result = Match(
        asked=len(people),
        struck=tuple(credential for credential, _ in twice),
        lines=tuple(sorted(line for _, line in twice)),
        unknown=tuple(line for line in people if line not in places),
    )
    if strikes is not None:
        _write_strikes(strikes, result.struck)
    return result


def check(
    record: Path | str,
    book: Path | str,
    secret: Path | str,
    request: Path | str,
    answers: Sequence[Path | str],
    tags: Sequence[Path | str],
    strikes: Path | str,
    *,
    jobs: int = 1,
    progress: Progress | None = None,
) -> Match:
    """What `match` finds, compared with the strike list that was published.

    The record may have gone on since: a ballot that came later makes its voter one to be struck.

    Raises:
        VerificationError: somebody is on the list who should not be, or the other way round.
    """
    found = match(record, book, secret, request, answers, tags, jobs=jobs, progress=progress)
    listed = _read_strikes(strikes)
    name = shown_path(Path(strikes).name)
    if wrong := sorted(set(listed) - set(found.struck)):
        reason = "has not voted twice"
        raise VerificationError(f"{name}: {encode_hex(wrong[0])} {reason}, {len(wrong)} in all")
    if missing := sorted(set(found.struck) - set(listed)):
        reason = "is not on it and has voted twice"
        raise VerificationError(f"{name}: {encode_hex(missing[0])} {reason}, {len(missing)} in all")
    return found


def _read_seed(path: Path | str, base: bytes) -> SecretBytes:
    where = shown_path(Path(path).name)
    data = read_file(path, _MAX_SECRET, where=where)
    fields = Fields(parse_json(data, where=where), f"{where}: $")
    check_format(fields, "evote/tag-secret", 1)
    if fields.hex("base", 32) != base:
        raise VerificationError(f"{fields.path('base')}: of another election")
    seed = SecretBytes(fields.hex("seed", 32))
    fields.end()
    return seed


def _unblinded(
    manifest: Manifest,
    base: bytes,
    seed: SecretBytes,
    people: dict[int, str],
    request: Path | str,
    answers: Sequence[Path | str],
    *,
    jobs: int,
    progress: Progress | None,
) -> list[bytes]:
    """The tags of these people, from a request that asked about them and the answers to it."""
    group, identities = spread(manifest.group, jobs), list(people.values())
    makers = tag_registrars(manifest.registrars, manifest.group)
    count, root = _checked_request(request, manifest, base)
    tags: list[bytes] = []
    with ExitStack() as files:
        asked = files.enter_context(SignedLines(request, _REQUEST, base, manifest.authorities))
        asked.head.integer("count", count, count)
        if count != len(people):
            reason = f"{count} asked about, {len(people)} in the book"
            raise VerificationError(f"{asked.where}: {reason}")
        given = [files.enter_context(SignedLines(a, _ANSWER, base, makers)) for a in answers]
        _check_all(makers, [file.card for file in given], "an answer")
        for file in given:
            file.head.integer("count", count, count)
            if file.head.hex("request", 32) != root:
                raise VerificationError(f"{file.head.path('request')}: of another request")
        told = _told(_queries(group, base, seed, identities), identities, progress)
        for number, (queries, nonces) in enumerate(told):
            if asked.take(queries.size * group.element_size) != queries.encode():
                reason = "it does not ask about the people of this book"
                raise VerificationError(f"{asked.where}: {reason}")
            shares = [_read_shares(file, group, base, root, number, queries) for file in given]
            unblinded = join_tags(shares) ** nonces.inverse()
            data, size = unblinded.encode(), group.element_size
            tags += [data[i : i + size] for i in range(0, len(data), size)]
        for file in (asked, *given):
            file.finish()[1].end()
    return tags


def _read_shares(
    file: SignedLines, group: Group, base: bytes, root: bytes, number: int, queries: Elements
) -> TagShares:
    data = file.take(tag_shares_size(group, queries.size))
    made = decode_tag_shares(group, data, queries.size, where=file.where)
    verify_tag_shares(file.card, base, root, number, queries, made)
    return made


def _check_all(makers: Sequence[Card], found: Sequence[Card], what: str) -> None:
    if sorted(card.id for card in found) != sorted(card.id for card in makers):
        names = ", ".join(card.id for card in makers)
        raise VerificationError(f"{what} of each registrar who makes tags expected: {names}")


def _agreed_tags(
    manifest: Manifest, base: bytes, header: RollHeader, paths: Sequence[Path | str]
) -> Iterator[bytes]:
    """The tags of the roll, on which all registrars who make tags agree."""
    makers = tag_registrars(manifest.registrars, manifest.group)
    cards = []
    for path in paths:
        with SignedLines(path, "evote/tags", base, makers) as file:
            cards.append(file.card)
    _check_all(makers, cards, "tags")
    streams = [read_tags(path, manifest, base, header) for path in paths]
    for row, tags in enumerate(zip(*streams, strict=True)):
        if len(set(tags)) > 1:
            raise VerificationError(f"the registrars disagree about the tag of row {row}")
        yield tags[0]


def _read_roll(opened: Record) -> tuple[RollHeader, Roll]:
    header = decode_roll(opened.roll_header())
    styles = [style.id for style in opened.manifest.styles]
    roll = read_roll(
        opened.roll_rows(),
        styles,
        check_keys=False,
        district_ids=[district.id for district in header.districts],
    )
    verify_roll(roll, header)
    return header, roll


def _voted(opened: Record, roll: Roll) -> set[int]:
    """The rows of voters who have cast a ballot."""
    cast = [
        entry.credential
        for _, _, entry in opened.entries()
        if isinstance(entry, BallotEntry) and entry.action == "cast"
    ]
    return set(np.unique(roll.find(cast)).tolist())


def _write_strikes(path: Path | str, credentials: Sequence[bytes]) -> None:
    with private_file(path) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["credential"])
        writer.writerows([encode_hex(credential)] for credential in credentials)


def _read_strikes(path: Path | str) -> list[bytes]:
    found = []
    name = shown_path(Path(path).name)
    with Path(path).open("rb") as file:
        for number, line in enumerate(file, 1):
            text = line.strip().partition(b",")[0].decode("ascii", "replace")
            if not text or (number == 1 and text == "credential"):
                continue
            try:
                found.append(bytes.fromhex(text))
            except ValueError:
                raise DecodingError("no credential", where=f"{name}: line {number}") from None
    return found
