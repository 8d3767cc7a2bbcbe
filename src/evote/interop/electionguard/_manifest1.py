"""Manifests of ElectionGuard 1.x: contests, styles, and the hash of all but the candidates."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime

from evote.interop.electionguard._codec import Hashed, hash1
from evote.interop.electionguard._reading import Node

__all__ = ["Contest1", "Manifest1", "Option1", "read_manifest1"]

MAX_LIMIT = 10_000  # options of a contest that may be elected
MAX_PLACEHOLDERS = 100_000  # of all contests: they are computed, a file may ask for any number
_DATE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?(?:Z|[+-]\d\d:\d\d)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Option1:
    """An option of a contest, or a placeholder that fills it up to its limit."""

    id: str
    sequence: int
    hash: bytes
    placeholder: bool


@dataclass(frozen=True, slots=True)
class Contest1:
    """A contest; `options` are in sequence order, placeholders last."""

    id: str
    sequence: int
    district: str
    limit: int  # number_elected: the sum of all selections, placeholders among them
    allowed: int  # votes_allowed
    hash: bytes
    options: tuple[Option1, ...]

    @property
    def real(self) -> tuple[Option1, ...]:
        return tuple(option for option in self.options if not option.placeholder)


@dataclass(frozen=True, slots=True)
class Manifest1:
    """Contests by id, ballot styles as the contests of each, and the hash of the manifest."""

    contests: dict[str, Contest1]
    styles: dict[str, frozenset[str]]
    hash: bytes


class _Hasher:
    """Section 2.3 of the format's note: what is hashed, and in which order."""

    def __init__(self, q: int, *, empty: bool) -> None:
        self.q = q
        self.empty = empty

    def __call__(self, *values: Hashed) -> bytes:
        return hash1(self.q, *values, empty=self.empty)

    def text(self, node: Node | None) -> bytes | None:
        """Internationalised text: a list of values with their languages."""
        if node is None:
            return None
        items = node.get("text")
        pairs = [] if items is None else items.list()
        return self([self(item["value"].text(), item["language"].text()) for item in pairs])

    def contact(self, node: Node | None) -> bytes | None:
        if node is None:
            return None
        lines = node.get("address_line")

        def annotated(key: str) -> Hashed:
            entries = node.get(key)
            return [
                self(entry.optional_text("annotation"), entry.optional_text("value"))
                for entry in (entries.list() if entries is not None else ())
            ]

        address = [line.text() for line in lines.list()] if lines is not None else []
        return self(node.optional_text("name"), address, annotated("email"), annotated("phone"))

    def unit(self, node: Node) -> bytes:
        return self(
            node["object_id"].identifier(),
            node.optional_text("name"),
            node.optional_text("type"),
            self.contact(node.get("contact_information")),
        )

    def party(self, node: Node) -> bytes:
        return self(
            node["object_id"].identifier(),
            self.text(node.get("name")),
            node.optional_text("abbreviation"),
            node.optional_text("color"),
            node.optional_text("logo_uri"),
        )

    def style(self, node: Node) -> bytes:
        return self(
            node["object_id"].identifier(),
            _texts(node.get("geopolitical_unit_ids")),
            _texts(node.get("party_ids")),
            node.optional_text("image_uri"),
        )

    def contest(self, node: Node, options: list[Option1]) -> bytes:
        return self(
            node["object_id"].identifier(),
            node["sequence_order"].integer(),
            node["electoral_district_id"].text(),
            node["vote_variation"].text(),
            self.text(node.get("ballot_title")),
            self.text(node.get("ballot_subtitle")),
            node.optional_text("name"),
            node["number_elected"].integer(),
            node["votes_allowed"].integer(),
            [option.hash for option in options],
        )


def _texts(node: Node | None) -> list[str]:
    return [] if node is None else [item.text() for item in node.list()]


def _date(node: Node) -> str:
    """The time in UTC, without fractions."""
    text = node.text()
    if not _DATE.fullmatch(text):
        node.fail("a time with its zone expected")
    try:
        time = datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        node.fail("no such time")
    return time.strftime("%Y-%m-%dT%H:%M:%SZ").rjust(20, "0")


def read_manifest1(node: Node, q: int, *, placeholders: bool, empty: bool = False) -> Manifest1:
    """Read a manifest; ids that occur twice, and contests of no district, are errors.

    Args:
        placeholders: whether ballots hold them.
        empty: hash 0 and "" as null, see `hash1`.
    """
    hasher = _Hasher(q, empty=empty)
    contests: dict[str, Contest1] = {}
    seen: set[str] = set()
    hashes = []
    left = MAX_PLACEHOLDERS
    for item in node["contests"].list():
        left -= item["number_elected"].integer(0, MAX_LIMIT)
        if left < 0:
            item.fail(f"more than {MAX_PLACEHOLDERS} placeholders")
        contest, real = _contest(item, hasher, placeholders)
        ids = {contest.id, *(option.id for option in contest.options)}
        if len(ids) != len(contest.options) + 1 or ids & seen:
            item.fail("an id that occurs twice")
        seen |= ids
        contests[contest.id] = contest
        hashes.append(hasher.contest(item, real))
    styles: dict[str, frozenset[str]] = {}
    for item in node["ballot_styles"].list():
        name = item["object_id"].identifier()
        if name in styles:
            item.fail("an id that occurs twice")
        units = set(_texts(item.get("geopolitical_unit_ids")))
        styles[name] = frozenset(c.id for c in contests.values() if c.district in units)
    whole = hasher(
        node["election_scope_id"].text(),
        node["type"].text(),
        _date(node["start_date"]),
        _date(node["end_date"]),
        hasher.text(node.get("name")),
        hasher.contact(node.get("contact_information")),
        [hasher.unit(item) for item in node["geopolitical_units"].list()],
        [hasher.party(item) for item in node["parties"].list()],
        hashes,
        [hasher.style(item) for item in node["ballot_styles"].list()],
    )
    return Manifest1(contests, styles, whole)


def _contest(node: Node, hasher: _Hasher, placeholders: bool) -> tuple[Contest1, list[Option1]]:
    """A contest, and its options in the order of the file."""
    name = node["object_id"].identifier()
    limit = node["number_elected"].integer(0, MAX_LIMIT)
    options = []
    for item in node["ballot_selections"].list():
        option = item["object_id"].identifier()
        sequence = item["sequence_order"].integer()
        candidate = item["candidate_id"].text()
        options.append(Option1(option, sequence, hasher(option, sequence, candidate), False))
    ordered = sorted(options, key=lambda option: option.sequence)
    if len({option.sequence for option in options}) != len(options):
        node.fail("a sequence order that occurs twice")
    last = ordered[-1].sequence if ordered else 0
    for n in range(last + 1, last + 1 + (limit if placeholders else 0)):
        own = f"{name}-{n}-placeholder"
        ordered.append(Option1(own, n, hasher(own, n, f"{name}-{n}-candidate"), True))
    contest = Contest1(
        id=name,
        sequence=node["sequence_order"].integer(),
        district=node["electoral_district_id"].text(),
        limit=limit,
        allowed=node["votes_allowed"].integer(0, MAX_LIMIT),
        hash=hasher.contest(node, options),
        options=tuple(ordered),
    )
    return contest, options
