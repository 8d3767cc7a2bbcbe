"""The election, its questions, and the public credentials with their weights."""

from __future__ import annotations

import re
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any

from evote.errors import DecodingError, UnsupportedError
from evote.groups import Elements
from evote.interop.belenios._codec import Codec, codec_of
from evote.interop.belenios._forms import Failed, decimal, fields, items, number, parse, string
from evote.interop.belenios._oracle import Oracle

__all__ = [
    "Credentials",
    "Election",
    "Question",
    "decode_credentials",
    "decode_election",
    "decode_weight",
]

MAX_QUESTIONS = 256
MAX_CHOICES = 4096  # of a whole ballot
MAX_BRANCHES = 2**16  # of all proofs of a ballot
MAX_WEIGHT = 10**18
_UUID = re.compile(r"[1-9A-HJ-NP-Za-km-z]{14,100}", re.ASCII)
_HEAD = (*("version", "description", "name", "group", "public_key", "questions", "uuid"),)
_TAIL = ("administrator?", "credential_authority?", "language?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A question.

    Attributes:
        kind: "homomorphic", "lists" or "mixed" (non-homomorphic).
        rows: choices per list; one row, unless there are lists.
        blank: whether the first choice is the blank vote.
        low, high: how many choices a vote that is not blank has; of homomorphic questions.
        answers: how many a voter reads; of mixed ones, how many numbers a plaintext has.
    """

    kind: str
    rows: tuple[int, ...]
    answers: int
    blank: bool = False
    low: int = 0
    high: int = 0

    @property
    def choices(self) -> int:
        """Ciphertexts of one answer."""
        return sum(self.rows)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Election:
    """An election: what all hashes bind by its fingerprint."""

    version: int
    name: str
    uuid: str
    fingerprint: str
    codec: Codec
    oracle: Oracle
    key: Elements
    questions: tuple[Question, ...]

    @property
    def mixed(self) -> list[int]:
        """The indices of the non-homomorphic questions."""
        return [i for i, question in enumerate(self.questions) if question.kind == "mixed"]


def decode_election(data: bytes, pool: Executor | None = None) -> Election:
    """Read an election; membership of the public key included. Bulk calls go to `pool`.

    Raises:
        DecodingError: it is not one.
        UnsupportedError: of a version or group that is not known.
    """
    where = "election"
    value = parse(data, where)
    if type(value) is dict and type(value.get("version")) is int and value["version"] not in (1, 2):
        raise UnsupportedError(f"{where}: protocol version {value['version']} is not known")
    found = fields(value, where, *_HEAD, *_TAIL)
    version = number(found["version"], where, low=1, high=2)
    uuid = string(found["uuid"], f"{where}.uuid")
    if not _UUID.fullmatch(uuid):
        raise DecodingError("at least 14 Base58 characters expected", where=f"{where}.uuid")
    string(found["description"], f"{where}.description")
    codec = codec_of(string(found["group"], f"{where}.group"), pool)
    oracle = Oracle(version, codec)
    questions = [
        _question(item, version, codec, f"{where}.questions[{i}]")
        for i, item in enumerate(items(found["questions"], f"{where}.questions", least=1))
    ]
    if len(questions) > MAX_QUESTIONS or sum(q.choices for q in questions) > MAX_CHOICES:
        raise DecodingError("too many questions or answers", where=where)
    if sum(q.high - q.low for q in questions) > MAX_BRANCHES:
        raise DecodingError("too many numbers of choices", where=where)
    return Election(
        version=version,
        name=string(found["name"], f"{where}.name"),
        uuid=uuid,
        fingerprint=oracle.fingerprint(data),
        codec=codec,
        oracle=oracle,
        key=codec.elements([found["public_key"]], f"{where}.public_key").reshape(()),
        questions=tuple(questions),
    )


def _question(value: Any, version: int, codec: Codec, where: str) -> Question:
    if version == 1 and type(value) is dict and "type" not in value:
        found = fields(value, where, "answers", "blank?", "min", "max", "question")
        if found.get("blank", True) is not True:
            raise DecodingError("blank is true or absent", where=where)
        return _homomorphic(found, "blank" in found, where)
    found = fields(value, where, "type", "value", "extra?")
    kind, inner = found["type"], found["value"]
    if kind == "Homomorphic" and version == 2:
        inner = fields(inner, where, "answers", "blank", "min", "max", "question")
        if type(inner["blank"]) is not bool:
            raise DecodingError("blank is true or false", where=where)
        return _homomorphic(inner, inner["blank"], where)
    if kind not in ("NonHomomorphic", "Lists"):
        raise DecodingError("an unknown type of question", where=where)
    inner = fields(inner, where, "answers", "question")
    string(inner["question"], where)
    answers = items(inner["answers"], where, least=1)
    if kind == "Lists":
        for names in answers:
            for name in items(names, where, least=1):
                string(name, where)
        rows = tuple(map(len, answers))
        return Question(kind="lists", rows=rows, answers=sum(rows))
    for name in answers:
        string(name, where)
    try:
        codec.check_embedding(len(answers))
    except DecodingError as error:
        raise error.within(where) from None
    return Question(kind="mixed", rows=(1,), answers=len(answers))


def _homomorphic(found: dict[str, Any], blank: bool, where: str) -> Question:
    string(found["question"], where)
    answers = items(found["answers"], where, least=1)
    for name in answers:
        string(name, where)
    low, high = number(found["min"], where), number(found["max"], where)
    if not low <= high < MAX_BRANCHES:
        raise DecodingError("min is at most max", where=where)
    count = len(answers)
    rows = (count + blank,)
    return Question(kind="homomorphic", rows=rows, answers=count, blank=blank, low=low, high=high)


def decode_weight(value: object, version: int, where: str, *, in_list: bool = False) -> int:
    """A weight or a counter: in version 1 a number up to 2^30 - 1, above it a string."""
    if in_list or (version == 1 and type(value) is str):
        weight = decimal(value, where)
        if not in_list and weight < 2**30:
            raise DecodingError("a number below 2^30 is not written as a string", where=where)
    else:
        weight = number(value, where, high=2**30 - 1 if version == 1 else MAX_WEIGHT)
    if weight > MAX_WEIGHT:
        raise DecodingError(f"at most {MAX_WEIGHT} expected", where=where)
    return weight


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Credentials:
    """The public credentials: where each stands, and the keys and weights in that order."""

    places: dict[str, int]
    keys: Elements
    weights: list[int]

    def __len__(self) -> int:
        return len(self.weights)

    def weight(self, credential: str) -> int:
        return self.weights[self.places[credential]]


def decode_credentials(data: bytes, election: Election) -> Credentials:
    """Read the public credentials, with membership of all.

    Raises:
        DecodingError: not a list of credentials.
        Failed: `credentials-duplicate`.
    """
    where, codec = "credentials", election.codec
    places: dict[str, int] = {}
    weights: list[int] = []
    encodings: list[bytes] = []
    for i, item in enumerate(items(parse(data, where), where)):
        place = f"{where}[{i}]"
        if election.version == 2:
            found = fields(item, place, "credential", "weight?")
            text, weight = found["credential"], 1
            if "weight" in found:
                weight = decode_weight(found["weight"], 2, place)
        else:
            text, _, rest = string(item, place).partition(",")
            first, comma, _ = rest.partition(",")  # what follows is a user name
            weight = 1 if not first else decode_weight(first, 1, place, in_list=True)
            if item.endswith(",") and not comma:
                raise DecodingError("a weight expected behind the comma", where=place)
        encodings.append(codec.element_bytes(text, place))
        if text in places:
            raise Failed("credentials-duplicate", f"{place}: listed twice")
        places[text] = i
        weights.append(weight)
    return Credentials(places=places, keys=codec.decode(encodings, where), weights=weights)
