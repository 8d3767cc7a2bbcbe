"""Voters of the profile: their credentials, their ballots, and the archive that takes these in.

A private credential is Belenios' own, 22 Base58 characters in four groups, so that voters may also
vote with its client. It has no checksum; a mistyped one is on no list.

    secret = SHA("derive_credential|uuid|0|credential") and SHA("...|1|..."), 512 bits modulo q
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from evote._encrypted_ballots import Choice
from evote._founding import Credential, RollLine, operator_key
from evote._voters import check_offline, check_voters, read_issued, read_voters, write_codes
from evote.contests import check_selections
from evote.encoding import JSON
from evote.errors import DecodingError, ParameterError, VerificationError
from evote.groups import Scalars, Secrecy
from evote.interop.belenios._archive import Archive
from evote.interop.belenios._box import verify_ballots
from evote.interop.belenios._codec import Codec
from evote.interop.belenios._election import (
    Credentials,
    Election,
    decode_credentials,
    decode_election,
)
from evote.interop.belenios._encryption import encrypt_ballots as encrypt_answers
from evote.interop.belenios._forms import base64_digest, compact, parse, sha256_hex, string
from evote.interop.belenios._signed import decode_signed, encode_signed, text_field
from evote.interop.belenios._terms import Terms, load_terms, to_base58
from evote.interop.belenios._writer import open_growing
from evote.operators import OperatorKey, Passphrase

__all__ = [
    "CREDENTIALS",
    "Ballot",
    "CheckedReceipt",
    "cast_ballots",
    "check_opened",
    "check_receipt",
    "check_weights",
    "credentials_file",
    "draw_credentials",
    "encrypt_ballots",
    "issue_credentials",
    "opened_setup",
    "publish_credentials",
]

CREDENTIALS = "credentials"
_DIGITS = 22
_RANDOM = 40  # bytes: 22 digits of it are uniform within 2^-128
_PRIVATE = re.compile(
    r"[1-9A-HJ-NP-Za-km-z]{5}-[1-9A-HJ-NP-Za-km-z]{6}-"
    r"[1-9A-HJ-NP-Za-km-z]{5}-[1-9A-HJ-NP-Za-km-z]{6}",
    re.ASCII,
)


# -- credentials -----------------------------------------------------------------------------------


def draw_credentials(record: Path | str, lines: Sequence[RollLine]) -> list[Credential]:
    """Fresh credentials for all voters, in the order of the lines. Save them before publishing.

    Raises:
        ParameterError: more voters or weight than the manifest allows, an unknown style, districts,
            or the record has credentials already.
    """
    terms = load_terms(record)
    manifest = terms.manifest
    if terms.has(CREDENTIALS):
        raise ParameterError("the record has credentials already")
    for line in lines:
        manifest.style(line.style)
        if line.district != "all":
            raise ParameterError("belenios has no districts")
        if line.status != "full":
            raise ParameterError("belenios has no provisional voters")
        if line.count < 0 or not 1 <= line.weight <= manifest.maximum_weight:
            raise ParameterError(f"weights from 1 to {manifest.maximum_weight} expected")
    _check_size(terms, [line.weight for line in lines for _ in range(line.count)])
    return [
        Credential(code=_draw(), style=line.style, weight=line.weight, district=line.district)
        for line in lines
        for _ in range(line.count)
    ]


def issue_credentials(
    record: Path | str,
    registrar_directory: Path | str,
    voters: Path | str,
    codes: Path | str,
    passphrase: Passphrase,
) -> int:
    """Draw a credential for every voter of a list, save the codes, publish the public half.

    Repeated after an interruption, it publishes what belongs to the codes that are there already.

    Args:
        voters: the list, see `evote._voters`.
        codes: a new file of the codes, readable by its owner only; or the one that an interrupted
            step has left.

    Returns:
        How many voters there are.

    Raises:
        ParameterError: lines of the list are wrong, or of voters that belenios does not have.
    """
    check_offline(record, codes)
    count, _ = check_voters(voters, load_terms(record).manifest)
    if not Path(codes).exists():
        kinds = list(read_voters(voters))
        lines = [
            RollLine(
                style=voter.style,
                weight=voter.weight,
                district=voter.district,
                status=voter.status,
                count=voter.repeats,
            )
            for voter in kinds
        ]
        each = [voter for voter in kinds for _ in range(voter.repeats)]
        drawn = [item.code for item in draw_credentials(record, lines)]
        write_codes(codes, zip(drawn, each, strict=True))
    issued = [
        Credential(code=code, style=voter.style, weight=voter.weight, district=voter.district)
        for code, voter in read_issued(codes, voters)
    ]
    publish_credentials(record, registrar_directory, issued, passphrase)
    return count


def _draw() -> str:
    digits = to_base58(os.urandom(_RANDOM), _DIGITS)
    return f"{digits[:5]}-{digits[5:11]}-{digits[11:16]}-{digits[16:]}"


def _check_size(terms: Terms, weights: Sequence[int]) -> None:
    manifest = terms.manifest
    if len(weights) > manifest.maximum_voters:
        raise ParameterError(f"more than {manifest.maximum_voters} voters")
    if sum(weights) > manifest.total_weight:
        raise ParameterError(f"more than a total weight of {manifest.total_weight}")


def publish_credentials(
    record: Path | str,
    registrar_directory: Path | str,
    credentials: Sequence[Credential],
    passphrase: Passphrase,
) -> Path:
    """Publish the public credentials, in an order that says nothing, signed by the registrar.

    Raises:
        ParameterError: the record has others already.
    """
    terms = load_terms(record)
    key = operator_key(registrar_directory, passphrase, terms.manifest, "registrar")
    _check_size(terms, [item.weight for item in credentials])
    texts = _public(terms, [item.code for item in credentials])
    weighted = any(item.weight != 1 for item in credentials)
    rows = [
        f"{text},{item.weight}" if weighted else text
        for text, item in zip(texts, credentials, strict=True)
    ]
    if terms.has(CREDENTIALS):
        if set(credentials_file(terms)[1]) != set(rows):
            raise ParameterError("the record has credentials already")
        return terms.path / "belenios" / f"{CREDENTIALS}.json"
    content: dict[str, JSON] = {"credentials": compact(sorted(rows))}
    return terms.post(CREDENTIALS, CREDENTIALS, content, [key])


def credentials_file(terms: Terms) -> tuple[bytes, list[str]]:
    """The public credentials, as Belenios has them, and one by one.

    Raises:
        DecodingError, VerificationError: missing, not the registrar's, or not within the manifest.
    """
    fields = terms.signed(CREDENTIALS, CREDENTIALS, terms.manifest.registrars)
    data = text_field(fields, "credentials").encode()
    where = fields.path("credentials")
    fields.end()
    value = parse(data, where)
    if type(value) is not list:
        raise DecodingError("a list expected", where=where)
    return data, [string(item, where) for item in value]


def check_weights(terms: Terms, credentials: Credentials) -> None:
    """Refuse more voters or weight than the manifest has.

    Raises:
        VerificationError: there are more.
    """
    most = terms.manifest.maximum_weight
    if any(not 1 <= weight <= most for weight in credentials.weights):
        raise VerificationError(f"a weight that is not from 1 to {most}")
    try:
        _check_size(terms, credentials.weights)
    except ParameterError as error:
        raise VerificationError(str(error)) from None


def _public(terms: Terms, codes: Sequence[str]) -> list[str]:
    group = terms.codec.group
    return terms.codec.texts(group.generator ** _secrets(terms.codec, terms.uuid, codes))


def _secrets(codec: Codec, uuid: str, codes: Sequence[str]) -> Scalars:
    numbers = []
    for i, code in enumerate(codes):
        if not _PRIVATE.fullmatch(code):
            raise DecodingError("XXXXX-XXXXXX-XXXXX-XXXXXX expected", where=f"credential {i}")
        halves = [sha256_hex(f"derive_credential|{uuid}|{k}|{code}".encode()) for k in range(2)]
        numbers.append(int("".join(halves), 16))
    return codec.group.scalars(numbers, secrecy=Secrecy.LONG_TERM)


# -- ballots ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Ballot:
    """A ballot, signed, and what the voter compares: its tracker."""

    body: bytes = field(repr=False)

    @property
    def tracker(self) -> str:
        """As Belenios shows it: SHA-256 in Base64."""
        return base64_digest(self.body)


def encrypt_ballots(record: Path | str, voters: Sequence[tuple[str, Choice]]) -> list[Ballot]:
    """Encrypt and sign the choices of many voters at once, in their order.

    Raises:
        ParameterError: a choice that a contest does not allow, or a credential that is not listed.
        VerificationError: the election is not open.
    """
    terms = load_terms(record)
    election, credentials = check_opened(terms)
    answers = _answers(terms, [choice for _, choice in voters])
    secrets = _secrets(election.codec, election.uuid, [code for code, _ in voters])
    texts = election.codec.texts(election.codec.group.generator**secrets)
    for i, text in enumerate(texts):
        if text not in credentials.places:
            raise ParameterError(f"voter {i}: the credential is not listed")
    if not voters:
        return []
    return [Ballot(body=body) for body in encrypt_answers(election, texts, secrets, answers)]


def _answers(terms: Terms, choices: Sequence[Choice]) -> list[NDArray[np.int64]]:
    """What is encrypted, contest by contest: numbers of all voters."""
    manifest = terms.manifest
    known = {contest.id for contest in manifest.contests}
    for i, choice in enumerate(choices):
        named = {*choice.contests, *choice.blank, *choice.write_ins}
        if unknown := sorted(named - known):
            raise ParameterError(f"voter {i}: there is no contest {unknown[0]!r}")
        if choice.write_ins:
            raise ParameterError(f"voter {i}: belenios has no write-ins")
    found = []
    for contest in manifest.contests:
        empty = (0,) * len(contest.options)
        marks = [tuple(choice.contests.get(contest.id, empty)) for choice in choices]
        blanks = [int(contest.id in choice.blank) for choice in choices]
        rows = np.array(marks, np.int64).reshape((len(choices), -1))
        rows, declared = check_selections(contest, rows, blanks)
        if contest.counts_blanks:
            rows = np.hstack([declared.reshape((-1, 1)), rows])
        found.append(rows)
    return found


def check_opened(terms: Terms) -> tuple[Election, Credentials]:
    """The election and its voters, whose setup the authorities signed.

    Raises:
        VerificationError: it is not open yet.
        DecodingError: something is damaged.
    """
    if not terms.archive.exists():
        raise VerificationError("the election is not open yet")
    with Archive(terms.archive) as archive:
        archive.read()
        return opened_setup(terms, archive)


def opened_setup(terms: Terms, archive: Archive) -> tuple[Election, Credentials]:
    """The same, of an archive that has been read."""
    setup = archive.events[0]
    manifest = terms.manifest
    fields = terms.signed("open", "open", manifest.authorities, manifest.authority_quorum)
    if fields.hex("event", 32).hex() != setup.digest:
        raise VerificationError("the authorities opened another election than is in the archive")
    fields.end()
    election = decode_election(archive.body(setup.data[0]))
    return election, decode_credentials(archive.body(setup.data[2]), election)


def cast_ballots(
    record: Path | str,
    board_directory: Path | str,
    ballots: Sequence[bytes],
    passphrase: Passphrase,
    *,
    progress: Callable[[str, int, int], None] | None = None,
) -> list[bytes]:
    """Verify ballots and append them to the archive: all of them, or none.

    A ballot that is there already stays where it is, so that this may be repeated.

    Returns:
        A receipt for each: the event that holds it, signed by the board.

    Raises:
        VerificationError: names the first ballot that is refused, and why.
        ParameterError: the ballot box is closed.
    """
    terms = load_terms(record)
    key = operator_key(board_directory, passphrase, terms.manifest, "board")
    if not terms.archive.exists():
        raise VerificationError("the election is not open yet")
    with open_growing(terms.archive) as archive:
        election, credentials = opened_setup(terms, archive)
        places = {event.data[0].digest for event in archive.kind("Ballot")}
        new = {sha256_hex(body): body for body in ballots}
        new = {digest: body for digest, body in new.items() if digest not in places}
        if new and not archive.could_follow("Ballot"):
            raise ParameterError("the ballot box is closed")
        for failure in verify_ballots(list(new.values()), election, credentials):
            raise failure
        if progress is not None:
            progress("ballots", len(new), len(new))
        if new:
            archive.append_all("Ballot", [(body,) for body in new.values()])
        heights = {
            event.data[0].digest: height
            for height, event in enumerate(archive.events)
            if event.kind == "Ballot"
        }
        return [_receipt(terms, archive, heights, body, key) for body in ballots]


# -- receipts --------------------------------------------------------------------------------------


def _receipt(
    terms: Terms, archive: Archive, heights: dict[str, int], body: bytes, key: OperatorKey
) -> bytes:
    height = heights[sha256_hex(body)]
    content: dict[str, JSON] = {
        "event": archive.events[height].digest,
        "height": height,
        "tracker": base64_digest(body),
    }
    return encode_signed("receipt", terms.base, content, [key])


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedReceipt:
    """What a receipt shows: the tracker, and which event of the archive holds the ballot."""

    tracker: str
    height: int
    superseded: int | None
    """The event with the ballot of the same voter that counts instead, if there is one."""


def check_receipt(record: Path | str, receipt: bytes) -> CheckedReceipt:
    """Check that a receipt is the board's, and that the record has the ballot where it says.

    The event's hash binds all events before it.

    Raises:
        DecodingError: not a receipt.
        VerificationError: not the board's, or the record has another event in its place.
    """
    terms = load_terms(record)
    fields = decode_signed(
        receipt, "receipt", terms.base, [terms.manifest.board], 1, where="receipt"
    )
    event, height = fields.hex("event", 32).hex(), fields.integer("height", 1, 2**31)
    tracker = text_field(fields, "tracker")
    fields.end()
    with Archive(terms.archive) as archive:
        archive.read()
        if height >= len(archive.events) or archive.events[height].digest != event:
            raise VerificationError("the record has another event in the receipt's place")
        found = archive.events[height]
        if found.kind != "Ballot" or base64_digest(archive.body(found.data[0])) != tracker:
            raise VerificationError("the event of the receipt does not hold this ballot")
        later = [
            i
            for i, other in enumerate(archive.events)
            if other.credential == found.credential and i > height
        ]
    return CheckedReceipt(tracker=tracker, height=height, superseded=later[-1] if later else None)
