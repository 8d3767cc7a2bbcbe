"""Ballots as values, and as bodies: canonical JSON around packed arrays.

    {"format":"evote/ballot","version":1,"election":hex,"style":id,"credential":hex,"contests":[
        {"id":id,"ciphertexts":packed,"options":packed proof,"sum":packed proof} in style order]}

Bodies of one style have one length. Reading works on many bodies at once: the JSON one by one, the
arrays of all in a few calls, and whatever is wrong with one ballot leaves the others alone. The
private half of `evote.ballots`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from evote.contests import Contest, Style
from evote.elgamal import Ciphertexts, PublicKey, decode_ciphertexts
from evote.encoding import (
    JSON,
    Fields,
    canonical_json,
    check_format,
    encode_base64url,
    encode_hex,
    parse_json,
)
from evote.errors import DecodingError, EvoteError, ParameterError, ShapeMismatch
from evote.groups import Group, Scalars
from evote.proofs import OneOfProof, decode_each_one_of

__all__ = [
    "BallotContext",
    "Ballots",
    "ContestBallots",
    "DecodedBatch",
    "body_sizes",
    "decode_ballots",
    "encode_ballots",
    "rows_of",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class BallotContext:
    """What every ballot of an election is made for."""

    key: PublicKey
    election_id: bytes
    contests: tuple[Contest, ...]
    styles: tuple[Style, ...]

    def __post_init__(self) -> None:
        if len(self.election_id) != 32:
            raise ParameterError("an election id is 32 bytes")
        known = {contest.id for contest in self.contests}
        for style in self.styles:
            if missing := [name for name in style.contests if name not in known]:
                raise ParameterError(f"style {style.id!r}: there is no contest {missing[0]!r}")

    @property
    def group(self) -> Group:
        return self.key.group

    def style(self, name: str) -> Style:
        """The style of that id."""
        for style in self.styles:
            if style.id == name:
                return style
        raise ParameterError(f"there is no style {name!r}")

    def style_contests(self, name: str) -> tuple[Contest, ...]:
        """The contests of a style, in the order of its ballots."""
        contests = {contest.id: contest for contest in self.contests}
        return tuple(contests[contest] for contest in self.style(name).contests)


@dataclass(frozen=True, slots=True, kw_only=True)
class ContestBallots:
    """One contest on n ballots: ciphertexts (n, width), and the proofs about them."""

    contest: Contest
    ciphertexts: Ciphertexts
    options: OneOfProof
    sums: OneOfProof

    def take(self, indices: NDArray[np.intp]) -> ContestBallots:
        """The ballots at `indices`."""
        return ContestBallots(
            contest=self.contest,
            ciphertexts=self.ciphertexts.take(indices),
            options=self.options[indices],
            sums=self.sums[indices],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Ballots:
    """n ballots of one style: n credentials beside arrays over all of them."""

    style: str
    credentials: tuple[bytes, ...]
    contests: tuple[ContestBallots, ...]

    def __post_init__(self) -> None:
        for part in self.contests:
            if len(part.ciphertexts) != len(self.credentials):
                raise ShapeMismatch(f"{len(part.ciphertexts)} ballots, {len(self)} credentials")

    def __len__(self) -> int:
        return len(self.credentials)

    def ciphertexts(self, contest: str) -> Ciphertexts:
        """The ciphertexts (n, width) of one contest."""
        for part in self.contests:
            if part.contest.id == contest:
                return part.ciphertexts
        raise ParameterError(f"style {self.style!r} has no contest {contest!r}")

    def take(self, indices: Sequence[int] | NDArray[np.intp]) -> Ballots:
        """The ballots at `indices`, in that order."""
        wanted = np.asarray(indices, dtype=np.intp)
        return Ballots(
            style=self.style,
            credentials=tuple(self.credentials[i] for i in wanted.tolist()),
            contests=tuple(part.take(wanted) for part in self.contests),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodedBatch:
    """What a list of bodies holds.

    Attributes:
        batches: for each style that occurs, positions in the list, ascending, and their ballots.
        errors: why the other positions hold no ballot: DecodingError, or UnsupportedError.
    """

    batches: tuple[tuple[NDArray[np.intp], Ballots], ...]
    errors: dict[int, EvoteError] = field(default_factory=dict)


def rows_of(array: Ciphertexts | Scalars, n: int) -> list[bytes]:
    """The encoding of each of the n entries along axis 0."""
    data = array.encode()
    size = len(data) // n if n else 0
    return [data[i * size : (i + 1) * size] for i in range(n)]


# Bodies: canonical JSON around packed arrays.


_FIELDS = ("ciphertexts", "options", "sum")


def _sizes(group: Group, contest: Contest) -> dict[str, int]:
    """The packed bytes of a contest: its ciphertexts, the option proofs, the sum proof.

    A packed proof is its commitments, its challenges but the last of each, and its responses.
    """
    pair, scalar = 2 * group.element_size, group.scalar_size
    count, branches = len(contest.options), len(contest.option_values())
    rows, width = contest.sum_values().shape
    return {
        "ciphertexts": contest.width * pair,
        "options": count * (branches * (pair + scalar) + (branches - 1) * scalar),
        "sum": rows * width * (pair + scalar) + (rows - 1) * scalar,
    }


def encode_ballots(context: BallotContext, ballots: Ballots) -> list[bytes]:
    """The body of each ballot. Of one style, all have the same length."""
    columns = [
        (
            rows_of(part.ciphertexts, len(ballots)),
            part.options.encode_each(),
            part.sums.encode_each(),
        )
        for part in ballots.contests
    ]
    bodies = []
    for i, credential in enumerate(ballots.credentials):
        contests = [
            _contest_json(part.contest.id, *(encode_base64url(column[i]) for column in columns_))
            for part, columns_ in zip(ballots.contests, columns, strict=True)
        ]
        bodies.append(_body(context.election_id, ballots.style, credential, contests))
    return bodies


def _contest_json(name: str, ciphertexts: str = "", options: str = "", sums: str = "") -> JSON:
    return {"id": name, "ciphertexts": ciphertexts, "options": options, "sum": sums}


def _body(election: bytes, style: str, credential: bytes, contests: list[JSON]) -> bytes:
    return canonical_json(
        {
            "format": "evote/ballot",
            "version": 1,
            "election": encode_hex(election),
            "style": style,
            "credential": encode_hex(credential),
            "contests": contests,
        }
    )


def body_sizes(
    group: Group, contests: Sequence[Contest], styles: Sequence[Style]
) -> dict[str, int]:
    """The bytes of a body, for each style: all its ballots have the same.

    Contests of a style that are not among `contests` are mixed and take no room here.
    """
    packed = {
        contest.id: len(canonical_json(_contest_json(contest.id)))
        + sum(-(-4 * size // 3) for size in _sizes(group, contest).values())
        for contest in contests
    }
    return {
        style.id: len(_body(bytes(32), style.id, bytes(32), []))
        + sum(packed[name] for name in style.contests if name in packed)
        + max(len(style.contests) - 1, 0)  # commas
        for style in styles
    }


def decode_ballots(
    context: BallotContext, bodies: Sequence[bytes], where: Sequence[str] | None = None
) -> DecodedBatch:
    """Read ballots of any styles; whatever is wrong with one leaves the others alone.

    Every element is checked for membership. Proofs are not checked here.

    Args:
        where: the place of each body, for messages.
    """
    places = [f"ballot {i}" for i in range(len(bodies))] if where is None else list(where)
    if len(places) != len(bodies):
        raise ParameterError(f"{len(places)} places for {len(bodies)} bodies")
    errors: dict[int, EvoteError] = {}
    rows: dict[str, list[_Row]] = {style.id: [] for style in context.styles}
    contests: dict[str, tuple[Contest, ...]] = {}  # of the styles that occur
    sizes = {contest.id: _sizes(context.group, contest) for contest in context.contests}
    for i, (body, place) in enumerate(zip(bodies, places, strict=True)):
        try:
            fields = _read_header(context, body, place)
            style = fields.choice("style", rows)
            if style not in contests:
                contests[style] = context.style_contests(style)
            rows[style].append(_read_rest(fields, contests[style], sizes, i))
        except EvoteError as error:
            errors[i] = error
    batches = []
    for style, found in rows.items():
        if not found:
            continue
        good, parts = _decode_rows(context.group, contests[style], found, places, errors)
        if good:
            positions = np.array([row.position for row in good], dtype=np.intp)
            credentials = tuple(row.credential for row in good)
            ballots = Ballots(style=style, credentials=credentials, contests=tuple(parts))
            batches.append((positions, ballots))
    return DecodedBatch(batches=tuple(batches), errors=dict(sorted(errors.items())))


class _Row(NamedTuple):
    """A body after its JSON has been read."""

    position: int
    credential: bytes
    packed: list[dict[str, bytes]]  # for each contest, what lies in each of its fields


def _read_header(context: BallotContext, body: bytes, place: str) -> Fields:
    fields = Fields(parse_json(body, where=place), f"{place}: $")
    check_format(fields, "evote/ballot", 1)
    if fields.hex("election", 32) != context.election_id:
        fields.fail("election", "the ballot is of another election")
    return fields


def _read_rest(
    fields: Fields,
    contests: Sequence[Contest],
    sizes: Mapping[str, Mapping[str, int]],
    position: int,
) -> _Row:
    credential = fields.hex("credential", 32)
    entries = list(fields.objects("contests", len(contests)))
    if len(entries) != len(contests):
        fields.fail("contests", f"{len(contests)} contests expected, got {len(entries)}")
    fields.end()
    packed = []
    for entry, contest in zip(entries, contests, strict=True):
        if entry.identifier("id") != contest.id:
            entry.fail("id", f"contest {contest.id} expected here")
        packed.append({name: entry.packed(name, sizes[contest.id][name]) for name in _FIELDS})
        entry.end()
    return _Row(position, credential, packed)


def _decode_rows(
    group: Group,
    contests: Sequence[Contest],
    rows: list[_Row],
    places: Sequence[str],
    errors: dict[int, EvoteError],
) -> tuple[list[_Row], list[ContestBallots]]:
    """The arrays of all rows at once; rows with a bad item go to `errors` instead."""
    try:
        return rows, _decode_contests(group, contests, rows)
    except DecodingError:
        good = []
        for row in rows:  # not all are good: only now is it worth asking which
            try:
                _decode_contests(group, contests, [row], places[row.position])
                good.append(row)
            except DecodingError as error:
                errors[row.position] = error
        return good, _decode_contests(group, contests, good)


def _decode_contests(
    group: Group, contests: Sequence[Contest], rows: Sequence[_Row], place: str = "ballots"
) -> list[ContestBallots]:
    parts = []
    for c, contest in enumerate(contests):
        where = f"{place}: $.contests[{c}]"
        ciphertexts, options, sums = ([row.packed[c][name] for row in rows] for name in _FIELDS)
        branches = len(contest.option_values())
        sum_branches, width = contest.sum_values().shape
        part = ContestBallots(
            contest=contest,
            ciphertexts=decode_ciphertexts(
                group,
                b"".join(ciphertexts),
                (len(rows), contest.width),
                where=f"{where}.ciphertexts",
            ),
            options=decode_each_one_of(
                group, options, (len(contest.options),), branches, where=f"{where}.options"
            ),
            sums=decode_each_one_of(
                group, sums, (), sum_branches, width=width, where=f"{where}.sum"
            ),
        )
        parts.append(part)
    return parts
