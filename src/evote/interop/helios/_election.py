"""The election, its group and questions, its voters and its trustees, as Helios writes them."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from evote.errors import DecodingError, ParameterError, UnsupportedError
from evote.groups import Elements, Group, ModPGroup, Scalars, modp_group, named_group
from evote.interop.helios._forms import (
    Failed,
    fingerprint,
    member,
    number,
    py_text,
    sha1_number,
    shown,
    text,
    the_list,
)

__all__ = [
    "Election",
    "Question",
    "Trustees",
    "read_election",
    "read_group",
    "read_trustees",
    "read_voters",
]

USUAL = "helios-2048"
MIN_P, MIN_Q = 2048, 256  # bits
MAX_P = 3072  # bits: primes that nobody knows take seconds to check
_MAX_BITS = 16384
_MAX_QUESTIONS = 1000
_MAX_ANSWERS = 10_000
_MAX_TRUSTEES = 1000
_DATE = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d{6})?", re.ASCII)
_REDUCED_SINCE = "2012-11"  # browsers reduce the responses of proofs
_CHOICE = ("approval", "homomorphic")


class Question(NamedTuple):
    """A question: its answers, and how many of them may be chosen; None is no limit.

    Without an upper limit ballots have no proof of their sum, and nothing shows the lower one.
    """

    answers: int
    low: int
    high: int | None

    @property
    def sums(self) -> int:
        """How many sums are allowed, each with a branch of the overall proof."""
        return 0 if self.high is None else self.high - self.low + 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Election:
    """What an election is.

    Attributes:
        digest: the fingerprint that every ballot repeats.
        rewritten: the fingerprint if the file were written as the server does.
        key: p, q, g and y as they are written.
        unreduced: whether responses may be q or more, as browsers made them up to 2012.
    """

    uuid: str
    name: str
    digest: str
    rewritten: str
    key: dict[str, Any]
    questions: tuple[Question, ...]
    unreduced: bool
    aliases: bool
    voters_hash: Any

    @property
    def answers(self) -> int:
        return sum(question.answers for question in self.questions)


def read_election(data: bytes, value: Any, *, where: str) -> Election:
    """The election; its group and key are read by `read_group`.

    Raises:
        DecodingError: it has another form.
        UnsupportedError: a kind of question that is not of Helios, or not known here.
    """
    frozen = value.get("frozen_at") if type(value) is dict else None
    if frozen is not None:
        check_date(frozen, f"{where}: $.frozen_at")
    name = member(value, "name", where)
    if type(name) is not str:
        raise DecodingError(f"a text expected, got {shown(name)}", where=f"{where}: $.name")
    key = member(value, "public_key", where)
    if type(key) is not dict:
        raise DecodingError(f"an object expected, got {shown(key)}", where=f"{where}: $.public_key")
    rows = the_list(member(value, "questions", where), f"{where}: $.questions")
    if not 0 < len(rows) <= _MAX_QUESTIONS:
        raise DecodingError(f"{len(rows)} questions", where=f"{where}: $.questions")
    return Election(
        uuid=text(member(value, "uuid", where), f"{where}: $.uuid"),
        name=name,
        digest=fingerprint(data),
        rewritten=fingerprint(py_text(value)),
        key=key,
        questions=tuple(
            _read_question(row, f"{where}: $.questions[{i}]") for i, row in enumerate(rows)
        ),
        unreduced=frozen is not None and frozen < _REDUCED_SINCE,
        aliases=value.get("use_voter_aliases") is True,
        voters_hash=value.get("voters_hash"),
    )


def _read_question(value: Any, where: str) -> Question:
    kind = (member(value, "choice_type", where), member(value, "tally_type", where))
    if kind != _CHOICE:
        raise UnsupportedError(f"{where}: a question of type {shown(kind[0])}, {shown(kind[1])}")
    answers = the_list(member(value, "answers", where), f"{where}.answers")
    if not 0 < len(answers) <= _MAX_ANSWERS:
        raise DecodingError(f"{len(answers)} answers", where=f"{where}.answers")
    low, high = value.get("min"), member(value, "max", where)
    low = 0 if low is None else low
    for name, limit in (("min", low), ("max", high)):
        if limit is not None and (type(limit) is not int or not 0 <= limit <= len(answers)):
            reason = f"an integer from 0 to {len(answers)} expected, got {shown(limit)}"
            raise DecodingError(reason, where=f"{where}.{name}")
    if high is not None and low > high:
        raise DecodingError("min is larger than max", where=where)
    return Question(len(answers), low, high)


def check_date(value: Any, where: str) -> str:
    """A date and time as Helios writes them."""
    if type(value) is not str or not _DATE.fullmatch(value):
        raise DecodingError(f"a date and time expected, got {shown(value)}", where=where)
    return value


def read_group(key: dict[str, Any], where: str) -> Group:
    """The group of a public key, checked: Helios publishes its parameters with every key.

    Raises:
        DecodingError: the numbers are not written as they should be, or no such group.
        UnsupportedError: they are larger than what is checked here.
    """
    limit = 1 << _MAX_BITS
    p, q, g = (
        int(number(member(key, name, where), f"{where}.{name}", below=limit)) for name in "pqg"
    )
    usual = named_group(USUAL)
    assert isinstance(usual, ModPGroup)
    if (p, q, g) == (usual.p, usual.q, usual.g):
        return usual
    if p.bit_length() < MIN_P or q.bit_length() < MIN_Q:
        reason = f"p of {p.bit_length()} bits, q of {q.bit_length()}: below {MIN_P} or {MIN_Q}"
        raise DecodingError(reason, where=where)
    if not 1 < g < p - 1:
        raise DecodingError("1 < g < p - 1 does not hold", where=where)
    if p.bit_length() > MAX_P:
        raise UnsupportedError(f"{where}: p of {p.bit_length()} bits, more than {MAX_P}")
    try:
        return modp_group(p, q, g)
    except ParameterError as error:
        raise DecodingError(str(error), where=where) from None


def read_key(group: Group, value: Any, where: str) -> Elements:
    """An element y that is a key: a member, and not neutral; shape ()."""
    assert isinstance(group, ModPGroup)
    y = number(value, where, below=group.p - 1, least=2)
    return group.decode_elements(int(y).to_bytes(group.element_size, "big"), (), where=where)


# -- voters ----------------------------------------------------------------------------------------

_VOTER = {True: ("alias", "uuid"), False: ("name", "uuid", "voter_id_hash", "voter_type")}


def read_voters(election: Election, pages: Sequence[tuple[str, Any]]) -> dict[str, str]:
    """The fingerprint of each voter, by their identifiers.

    Raises:
        DecodingError: another form, another election, or a voter who is there twice.
    """
    voters: dict[str, str] = {}
    for page, value in pages:
        for i, voter in enumerate(the_list(value, page)):
            where = f"{page}: $[{i}]"
            for name in _VOTER[election.aliases]:
                entry = member(voter, name, where)
                if name in ("uuid", "alias"):
                    text(entry, f"{where}.{name}")
            if member(voter, "election_uuid", where) != election.uuid:
                raise DecodingError("a voter of another election", where=where)
            uuid = voter["uuid"]
            if uuid in voters:
                raise DecodingError(f"voter {shown(uuid)} is there twice", where=where)
            voters[uuid] = fingerprint(py_text(voter))
    return voters


# -- trustees --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Trustees:
    """The trustees' keys, shape (n,), their proofs of knowledge, and what they decrypted, raw."""

    keys: Elements
    commitments: Elements
    challenges: Scalars
    responses: Scalars
    decryptions: tuple[tuple[Any, Any], ...]  # factors and proofs of each

    def __len__(self) -> int:
        return len(self.decryptions)


def read_trustees(
    election: Election,
    group: Group,
    value: Any,
    *,
    where: str,
    fail: Callable[[str, str], None],
    did: Callable[[str, int], None],
) -> Trustees:
    """The trustees; what is wrong beyond the form of keys is told to `fail`.

    Raises:
        Failed, DecodingError: there are no keys to go on with.
    """
    assert isinstance(group, ModPGroup)
    rows = the_list(value, where)
    if not 0 < len(rows) <= _MAX_TRUSTEES:
        raise DecodingError(f"{len(rows)} trustees", where=where)
    usual = {name: election.key.get(name) for name in "pqg"}
    numbers: list[bytes] = []
    scalars: list[list[int]] = []
    seen: dict[str, str] = {}
    for i, row in enumerate(rows):
        place = f"{where}: $[{i}]"
        key = member(row, "public_key", place)
        y = number(member(key, "y", place), f"{place}.public_key.y", below=group.p - 1, least=2)
        if {name: key.get(name) for name in "pqg"} != usual:
            raise DecodingError("other p, q, g than the election's", where=f"{place}.public_key")
        for identity in (text(member(row, "uuid", place), f"{place}.uuid"), key["y"]):
            if identity in seen:
                raise DecodingError(f"the same uuid or key as {seen[identity]}", where=place)
            seen[identity] = f"{where}: $[{i}]"
        did("trustee-key-hash", 1)
        if member(row, "public_key_hash", place) != fingerprint(py_text(key)):
            fail("trustee-key-hash", f"{place}.public_key_hash: not the hash of the key")
        pok, where_pok = member(row, "pok", place), f"{place}.pok"
        try:
            commitment = number(
                member(pok, "commitment", where_pok), where_pok, below=group.p, least=1
            )
            challenge, response = (
                int(number(member(pok, name, where_pok), where_pok, below=group.q))
                for name in ("challenge", "response")
            )
        except DecodingError as error:
            raise Failed("trustee-pok", error.reason, where=error.where) from None
        did("trustee-pok", 1)
        if challenge != sha1_number(pok["commitment"]) % group.q:
            fail("trustee-pok", f"{where_pok}.challenge: not the hash of the commitment")
        numbers += [int(x).to_bytes(group.element_size, "big") for x in (y, commitment)]
        scalars.append([challenge, response])
    try:
        both = group.decode_elements(b"".join(numbers), (len(rows), 2), allow_identity=True)
    except DecodingError as error:
        i, of_proof = divmod(error.indices[0], 2)
        check = "trustee-pok" if of_proof else "trustee-form"
        raise Failed(check, "not in the group", where=f"{where}: $[{i}]") from None
    parts = group.scalars(scalars)
    return Trustees(
        keys=both[:, 0],
        commitments=both[:, 1],
        challenges=parts[:, 0],
        responses=parts[:, 1],
        decryptions=tuple(
            (row.get("decryption_factors"), row.get("decryption_proofs")) for row in rows
        ),
    )
