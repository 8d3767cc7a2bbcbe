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
from math import prod
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
from evote.proofs import OneOfProof

__all__ = [
    "BallotContext",
    "Ballots",
    "ContestBallots",
    "DecodedBatch",
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
            options=_taken(self.options, indices),
            sums=_taken(self.sums, indices),
        )


def _taken(proof: OneOfProof, indices: NDArray[np.intp]) -> OneOfProof:
    return OneOfProof(
        commitments=proof.commitments.take(indices),
        challenges=proof.challenges.take(indices),
        responses=proof.responses.take(indices),
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
    data = array.encode() if isinstance(array, Scalars) else _encode_pairs(array)
    size = len(data) // n if n else 0
    return [data[i * size : (i + 1) * size] for i in range(n)]


def _encode_pairs(array: Ciphertexts) -> bytes:
    """`Ciphertexts.encode`, by way of the two encodings that the halves keep once made."""
    width = array.group.element_size
    halves = [
        np.frombuffer(half.encode(), dtype=np.uint8).reshape(-1, width)
        for half in (array.alpha, array.beta)
    ]
    return np.stack(halves, axis=1).tobytes()


# Bodies: canonical JSON around packed arrays.


class _Part(NamedTuple):
    """One array in a ballot: where it lies in the JSON, its shape in one ballot, what it holds."""

    contest: int
    field: str
    shape: tuple[int, ...]
    scalars: bool

    def size(self, group: Group) -> int:
        item = group.scalar_size if self.scalars else 2 * group.element_size
        return prod(self.shape) * item


def _layout(contests: Sequence[Contest]) -> list[_Part]:
    """The arrays of a ballot in order: ciphertexts, option proofs, sum proof of each contest.

    A packed proof is its commitments, its challenges but the last, and its responses.
    """
    parts = []
    for c, contest in enumerate(contests):
        n, branches = len(contest.options), len(contest.option_values())
        sums, width = contest.sum_values().shape
        parts += [
            _Part(c, "ciphertexts", (contest.width,), False),
            _Part(c, "options", (n, branches, 1), False),
            _Part(c, "options", (n, branches - 1), True),
            _Part(c, "options", (n, branches, 1), True),
            _Part(c, "sum", (sums, width), False),
            _Part(c, "sum", (sums - 1,), True),
            _Part(c, "sum", (sums, width), True),
        ]
    return parts


def _arrays(ballots: Ballots) -> list[Ciphertexts | Scalars]:
    """The arrays of `_layout`, over all ballots."""
    arrays: list[Ciphertexts | Scalars] = []
    for part in ballots.contests:
        arrays.append(part.ciphertexts)
        for proof in (part.options, part.sums):
            arrays += [proof.commitments, proof.challenges, proof.responses]
    return arrays


def encode_ballots(context: BallotContext, ballots: Ballots) -> list[bytes]:
    """The body of each ballot. Of one style, all have the same length."""
    contests = context.style_contests(ballots.style)
    layout = _layout(contests)
    columns = [rows_of(array, len(ballots)) for array in _arrays(ballots)]
    bodies = []
    for credential, *pieces in zip(ballots.credentials, *columns, strict=True):
        packed: list[dict[str, bytes]] = [{} for _ in contests]
        for part, piece in zip(layout, pieces, strict=True):
            fields = packed[part.contest]
            fields[part.field] = fields.get(part.field, b"") + piece
        entries: list[JSON] = [
            {"id": contest.id, **{name: encode_base64url(data) for name, data in fields.items()}}
            for contest, fields in zip(contests, packed, strict=True)
        ]
        body: JSON = {
            "format": "evote/ballot",
            "version": 1,
            "election": encode_hex(context.election_id),
            "style": ballots.style,
            "credential": encode_hex(credential),
            "contests": entries,
        }
        bodies.append(canonical_json(body))
    return bodies


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
    layouts = {style.id: _layout(context.style_contests(style.id)) for style in context.styles}
    rows: dict[str, list[_Row]] = {style.id: [] for style in context.styles}
    for i, (body, place) in enumerate(zip(bodies, places, strict=True)):
        try:
            style, row = _read_body(context, layouts, i, body, place)
            rows[style].append(row)
        except EvoteError as error:
            errors[i] = error
    batches = []
    for style, found in rows.items():
        good, columns = _decode_rows(context.group, layouts[style], found, places, errors)
        if good:
            positions = np.array([row.position for row in good], dtype=np.intp)
            contests = context.style_contests(style)
            batches.append((positions, _assemble(contests, style, good, columns)))
    return DecodedBatch(batches=tuple(batches), errors=dict(sorted(errors.items())))


class _Row(NamedTuple):
    position: int
    credential: bytes
    pieces: list[bytes]  # one for each part of the layout


def _read_body(
    context: BallotContext,
    layouts: Mapping[str, list[_Part]],
    position: int,
    body: bytes,
    place: str,
) -> tuple[str, _Row]:
    """The JSON of one body, with every length checked."""
    fields = Fields(parse_json(body, where=place), f"{place}: $")
    check_format(fields, "evote/ballot", 1)
    if fields.hex("election", 32) != context.election_id:
        fields.fail("election", "the ballot is of another election")
    style = fields.choice("style", list(layouts))
    credential = fields.hex("credential", 32)
    expected = context.style(style).contests
    entries = list(fields.objects("contests", len(expected)))
    if len(entries) != len(expected):
        fields.fail("contests", f"{len(expected)} contests expected, got {len(entries)}")
    fields.end()
    layout, group = layouts[style], context.group
    packed: dict[tuple[int, str], bytes] = {}
    for c, (entry, name) in enumerate(zip(entries, expected, strict=True)):
        if entry.identifier("id") != name:
            entry.fail("id", f"contest {name} expected here")
        for key in ("ciphertexts", "options", "sum"):
            size = sum(p.size(group) for p in layout if (p.contest, p.field) == (c, key))
            packed[c, key] = entry.packed(key, size)
        entry.end()
    pieces = []
    for part in layout:
        data, size = packed[part.contest, part.field], part.size(group)
        pieces.append(data[:size])
        packed[part.contest, part.field] = data[size:]
    return style, _Row(position, credential, pieces)


@dataclass(frozen=True, slots=True)
class _Columns:
    """The arrays of all rows, by contest and field: pairs, and the challenges and responses."""

    pairs: dict[tuple[int, str], Ciphertexts] = field(default_factory=dict)
    scalars: dict[tuple[int, str], list[Scalars]] = field(default_factory=dict)

    def decode(self, group: Group, part: _Part, data: bytes, n: int, where: str = "") -> None:
        key, shape = (part.contest, part.field), (n, *part.shape)
        if part.scalars:
            scalars = group.decode_scalars(data, shape, where=where)
            self.scalars.setdefault(key, []).append(scalars)
        else:
            self.pairs[key] = decode_ciphertexts(group, data, shape, where=where)

    def proof(self, contest: int, name: str) -> OneOfProof:
        challenges, responses = self.scalars[contest, name]
        commitments = self.pairs[contest, name]
        return OneOfProof(commitments=commitments, challenges=challenges, responses=responses)


def _decode_rows(
    group: Group,
    layout: Sequence[_Part],
    rows: list[_Row],
    places: Sequence[str],
    errors: dict[int, EvoteError],
) -> tuple[list[_Row], _Columns]:
    """The arrays of all rows at once; rows with a bad item go to `errors` instead."""
    columns = _Columns()
    bad: set[int] = set()
    for p, part in enumerate(layout):
        data = b"".join([row.pieces[p] for row in rows])
        try:
            columns.decode(group, part, data, len(rows))
        except DecodingError as error:
            bad.update(i // prod(part.shape) for i in error.indices)
    if not bad:
        return rows, columns
    for i in bad:
        errors[rows[i].position] = _first_error(group, layout, rows[i], places)
    rest = [row for i, row in enumerate(rows) if i not in bad]
    return _decode_rows(group, layout, rest, places, errors)


def _first_error(
    group: Group, layout: Sequence[_Part], row: _Row, places: Sequence[str]
) -> DecodingError:
    """What is wrong with a ballot, with the indices it has when decoded alone."""
    for part, piece in zip(layout, row.pieces, strict=True):
        where = f"{places[row.position]}: $.contests[{part.contest}].{part.field}"
        try:
            _Columns().decode(group, part, piece, 1, where)
        except DecodingError as error:
            return error
    raise AssertionError("a ballot decodes alone, and not beside others")


def _assemble(
    contests: Sequence[Contest], style: str, rows: Sequence[_Row], columns: _Columns
) -> Ballots:
    parts = [
        ContestBallots(
            contest=contest,
            ciphertexts=columns.pairs[c, "ciphertexts"],
            options=columns.proof(c, "options"),
            sums=columns.proof(c, "sum"),
        )
        for c, contest in enumerate(contests)
    ]
    credentials = tuple(row.credential for row in rows)
    return Ballots(style=style, credentials=credentials, contests=tuple(parts))
