"""Ballots as values, and as bodies: canonical JSON around packed arrays.

    {"format":"evote/ballot","version":1,"election":hex,"style":id,"credential":hex,"contests":[
        {"id":id,"ciphertexts":packed,"options":packed proof,"sum":packed proof} in style order],
        "packs":[{"id":id,"ciphertexts":packed,"proof":packed} in the order of the manifest]}

`contests` holds those that are summed, `packs` the mixed ones; a style without any has no `packs`.
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

from evote._mixed_ballots import BallotPack, PackBallots, pack_sizes
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
from evote.groups import Elements, Group, Scalars
from evote.proofs import OneOfProof, decode_each_one_of

__all__ = [
    "BallotContext",
    "BallotPack",
    "Ballots",
    "ContestBallots",
    "DecodedBatch",
    "PackBallots",
    "body_sizes",
    "decode_ballots",
    "encode_ballots",
    "rows_of",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class BallotContext:
    """What every ballot of an election is made for. A contest in one of the `packs` is mixed."""

    key: PublicKey
    election_id: bytes
    contests: tuple[Contest, ...]
    styles: tuple[Style, ...]
    packs: tuple[BallotPack, ...] = ()

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
        """The contests of a style, in its order."""
        contests = {contest.id: contest for contest in self.contests}
        return tuple(contests[contest] for contest in self.style(name).contests)

    def summed_contests(self, name: str) -> tuple[Contest, ...]:
        """The contests of a style that are in no pack, in the order of its ballots."""
        mixed = {contest.id for pack in self.packs for contest in pack.contests}
        return tuple(c for c in self.style_contests(name) if c.id not in mixed)

    def style_packs(self, name: str) -> tuple[BallotPack, ...]:
        """The packs of a style, in the order of its ballots."""
        wanted = set(self.style(name).contests)
        return tuple(pack for pack in self.packs if pack.contests[0].id in wanted)


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
    packs: tuple[PackBallots, ...] = ()

    def __post_init__(self) -> None:
        contests = [part.ciphertexts for part in self.contests]
        for ciphertexts in [*contests, *(part.ciphertexts for part in self.packs)]:
            if len(ciphertexts) != len(self.credentials):
                raise ShapeMismatch(f"{len(ciphertexts)} ballots, {len(self)} credentials")

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
            packs=tuple(part.take(wanted) for part in self.packs),
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


def rows_of(array: Ciphertexts | Elements | Scalars, n: int) -> list[bytes]:
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
    mixed = [
        (rows_of(part.ciphertexts, len(ballots)), part.encode_proofs()) for part in ballots.packs
    ]
    bodies = []
    for i, credential in enumerate(ballots.credentials):
        contests = [
            _contest_json(part.contest.id, *(encode_base64url(column[i]) for column in columns_))
            for part, columns_ in zip(ballots.contests, columns, strict=True)
        ]
        packs = [
            _pack_json(part.pack.id, *(encode_base64url(column[i]) for column in columns_))
            for part, columns_ in zip(ballots.packs, mixed, strict=True)
        ]
        bodies.append(_body(context.election_id, ballots.style, credential, contests, packs))
    return bodies


def _contest_json(name: str, ciphertexts: str = "", options: str = "", sums: str = "") -> JSON:
    return {"id": name, "ciphertexts": ciphertexts, "options": options, "sum": sums}


def _pack_json(name: str, ciphertexts: str = "", proof: str = "") -> JSON:
    return {"id": name, "ciphertexts": ciphertexts, "proof": proof}


def _body(
    election: bytes, style: str, credential: bytes, contests: list[JSON], packs: list[JSON]
) -> bytes:
    body: dict[str, JSON] = {
        "format": "evote/ballot",
        "version": 1,
        "election": encode_hex(election),
        "style": style,
        "credential": encode_hex(credential),
        "contests": contests,
    }
    return canonical_json(body | ({"packs": packs} if packs else {}))


def body_sizes(
    group: Group,
    contests: Sequence[Contest],
    styles: Sequence[Style],
    packs: Sequence[BallotPack] = (),
) -> dict[str, int]:
    """The bytes of a body, for each style: all its ballots have the same."""
    mixed = {contest.id for pack in packs for contest in pack.contests}
    summed = {c.id: (_contest_json(c.id), _sizes(group, c)) for c in contests if c.id not in mixed}
    own = {p.contests[0].id: (_pack_json(p.id), pack_sizes(group, p)) for p in packs}

    def size(style: Style) -> int:
        parts = [[known[c] for c in style.contests if c in known] for known in (summed, own)]
        body = _body(bytes(32), style.id, bytes(32), *([form for form, _ in p] for p in parts))
        sizes = [size for part in parts for _, packed in part for size in packed.values()]
        return len(body) + sum(-(-4 * size // 3) for size in sizes)

    return {style.id: size(style) for style in styles}


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
    parts_of: dict[str, _Parts] = {}  # of the styles that occur
    for i, (body, place) in enumerate(zip(bodies, places, strict=True)):
        try:
            fields = _read_header(context, body, place)
            style = fields.choice("style", rows)
            if style not in parts_of:
                parts_of[style] = _parts(context, style)
            rows[style].append(_read_rest(fields, parts_of[style], i))
        except EvoteError as error:
            errors[i] = error
    batches = []
    for style, found in rows.items():
        if not found:
            continue
        good, contests, packs = _decode_rows(context.group, parts_of[style], found, places, errors)
        if good:
            positions = np.array([row.position for row in good], dtype=np.intp)
            ballots = Ballots(
                style=style,
                credentials=tuple(row.credential for row in good),
                contests=tuple(contests),
                packs=tuple(packs),
            )
            batches.append((positions, ballots))
    return DecodedBatch(batches=tuple(batches), errors=dict(sorted(errors.items())))


class _Parts(NamedTuple):
    """What a ballot of a style consists of, and how many bytes each field of it has."""

    contests: tuple[Contest, ...]
    packs: tuple[BallotPack, ...]
    contest_sizes: tuple[dict[str, int], ...]
    pack_sizes: tuple[dict[str, int], ...]


def _parts(context: BallotContext, style: str) -> _Parts:
    contests, packs = context.summed_contests(style), context.style_packs(style)
    return _Parts(
        contests,
        packs,
        tuple(_sizes(context.group, contest) for contest in contests),
        tuple(pack_sizes(context.group, pack) for pack in packs),
    )


class _Row(NamedTuple):
    """A body after its JSON has been read."""

    position: int
    credential: bytes
    contests: list[dict[str, bytes]]  # for each contest, what lies in each of its fields
    packs: list[dict[str, bytes]]


def _read_header(context: BallotContext, body: bytes, place: str) -> Fields:
    fields = Fields(parse_json(body, where=place), f"{place}: $")
    check_format(fields, "evote/ballot", 1)
    if fields.hex("election", 32) != context.election_id:
        fields.fail("election", "the ballot is of another election")
    return fields


def _read_rest(fields: Fields, parts: _Parts, position: int) -> _Row:
    credential = fields.hex("credential", 32)
    contests = _read_packed(
        fields, "contests", [contest.id for contest in parts.contests], parts.contest_sizes
    )
    packs: list[dict[str, bytes]] = []
    if parts.packs:
        packs = _read_packed(fields, "packs", [pack.id for pack in parts.packs], parts.pack_sizes)
    fields.end()
    return _Row(position, credential, contests, packs)


def _read_packed(
    fields: Fields, key: str, names: Sequence[str], sizes: Sequence[Mapping[str, int]]
) -> list[dict[str, bytes]]:
    """A list of objects with these ids, and packed fields of these sizes."""
    entries = list(fields.objects(key, len(names)))
    if len(entries) != len(names):
        fields.fail(key, f"{len(names)} {key} expected, got {len(entries)}")
    packed = []
    for entry, name, fixed in zip(entries, names, sizes, strict=True):
        if entry.identifier("id") != name:
            entry.fail("id", f"{key.removesuffix('s')} {name} expected here")
        packed.append({field: entry.packed(field, size) for field, size in fixed.items()})
        entry.end()
    return packed


def _decode_rows(
    group: Group,
    parts: _Parts,
    rows: list[_Row],
    places: Sequence[str],
    errors: dict[int, EvoteError],
) -> tuple[list[_Row], list[ContestBallots], list[PackBallots]]:
    """The arrays of all rows at once; rows with a bad item go to `errors` instead."""

    def decoded(
        chosen: Sequence[_Row], place: str = "ballots"
    ) -> tuple[list[ContestBallots], list[PackBallots]]:
        contests = _decode_contests(group, parts.contests, chosen, place)
        return contests, _decode_packs(group, parts.packs, chosen, place)

    try:
        return rows, *decoded(rows)
    except DecodingError:
        good = []
        for row in rows:  # not all are good: only now is it worth asking which
            try:
                decoded([row], places[row.position])
                good.append(row)
            except DecodingError as error:
                errors[row.position] = error
        return good, *decoded(good)


def _decode_contests(
    group: Group, contests: Sequence[Contest], rows: Sequence[_Row], place: str
) -> list[ContestBallots]:
    parts = []
    for c, contest in enumerate(contests):
        where = f"{place}: $.contests[{c}]"
        ciphertexts, options, sums = ([row.contests[c][name] for row in rows] for name in _FIELDS)
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


def _decode_packs(
    group: Group, packs: Sequence[BallotPack], rows: Sequence[_Row], place: str
) -> list[PackBallots]:
    parts = []
    for p, pack in enumerate(packs):
        where = f"{place}: $.packs[{p}]"
        shape = (len(rows), pack.width(group))
        proofs = [row.packs[p]["proof"] for row in rows]
        split = shape[1] * group.element_size
        commitments: Elements = group.decode_elements(
            b"".join(proof[:split] for proof in proofs), shape, where=f"{where}.proof"
        )
        part = PackBallots(
            pack=pack,
            ciphertexts=decode_ciphertexts(
                group,
                b"".join(row.packs[p]["ciphertexts"] for row in rows),
                shape,
                where=f"{where}.ciphertexts",
            ),
            commitments=commitments,
            responses=group.decode_scalars(
                b"".join(proof[split:] for proof in proofs), shape, where=f"{where}.proof"
            ),
        )
        parts.append(part)
    return parts
