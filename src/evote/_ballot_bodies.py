"""Ballots as values, and as bodies: canonical JSON around packed arrays.

    {"format":"evote/ballot","version":1,"election":hex,"style":id,"credential":hex,"contests":[
        {"id":id,"ciphertexts":packed,"options":packed proof,"sum":packed proof} in style order],
        "packs":[{"id":id,"ciphertexts":packed,"proof":packed} in the order of the manifest]}

`contests` holds those that are summed, `packs` the mixed ones; a style without any has no `packs`.
Bodies of one style have one length. Reading them is the business of `_ballot_tables`. A private
part of `evote.ballots`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from evote._forms import HOLE, Form, Kind, to_rows
from evote._mixed_ballots import BallotPack, PackBallots, pack_sizes
from evote.contests import Contest, Style
from evote.elgamal import Ciphertexts, PublicKey
from evote.encoding import (
    JSON,
    canonical_json,
    encode_hex,
)
from evote.errors import ParameterError, ShapeMismatch
from evote.groups import Elements, Group, Scalars
from evote.proofs import OneOfProof

__all__ = [
    "BallotContext",
    "BallotPack",
    "Ballots",
    "ContestBallots",
    "PackBallots",
    "ballots_at_once",
    "body_form",
    "body_sizes",
    "contest_sizes",
    "encode_ballots",
    "rows_of",
]


_AT_ONCE = 2 * 2**20  # bytes of bodies


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
        if np.array_equal(wanted, np.arange(len(self))):
            return self
        return Ballots(
            style=self.style,
            credentials=tuple(self.credentials[i] for i in wanted.tolist()),
            contests=tuple(part.take(wanted) for part in self.contests),
            packs=tuple(part.take(wanted) for part in self.packs),
        )


def rows_of(array: Ciphertexts | Elements | Scalars, n: int) -> list[bytes]:
    """The encoding of each of the n entries along axis 0."""
    data = array.encode()
    size = len(data) // n if n else 0
    return [data[i * size : (i + 1) * size] for i in range(n)]


# Bodies: canonical JSON around packed arrays.


def contest_sizes(group: Group, contest: Contest) -> dict[str, int]:
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
    n, group = len(ballots), context.group
    if not n:
        return []
    contests = [(part.contest.id, contest_sizes(group, part.contest)) for part in ballots.contests]
    packs = [(part.pack.id, pack_sizes(group, part.pack)) for part in ballots.packs]
    columns: list[Sequence[bytes]] = []
    for part in ballots.contests:
        columns += [rows_of(part.ciphertexts, n), part.options.encode_each()]
        columns.append(part.sums.encode_each())
    columns.append(ballots.credentials)
    for mixed in ballots.packs:
        columns += [rows_of(mixed.ciphertexts, n), mixed.encode_proofs()]
    form = body_form(context.election_id, ballots.style, contests, packs)
    return form.write([to_rows(column) for column in columns])


def _contest_json(name: str, ciphertexts: str = "", options: str = "", sums: str = "") -> JSON:
    return {"id": name, "ciphertexts": ciphertexts, "options": options, "sum": sums}


def _pack_json(name: str, ciphertexts: str = "", proof: str = "") -> JSON:
    return {"id": name, "ciphertexts": ciphertexts, "proof": proof}


def _body(
    election: bytes, style: str, credential: str, contests: list[JSON], packs: list[JSON]
) -> bytes:
    body: dict[str, JSON] = {
        "format": "evote/ballot",
        "version": 1,
        "election": encode_hex(election),
        "style": style,
        "credential": credential,
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
    summed = {
        c.id: (_contest_json(c.id), contest_sizes(group, c)) for c in contests if c.id not in mixed
    }
    own = {p.contests[0].id: (_pack_json(p.id), pack_sizes(group, p)) for p in packs}

    def size(style: Style) -> int:
        parts = [[known[c] for c in style.contests if c in known] for known in (summed, own)]
        body = _body(bytes(32), style.id, HOLE * 64, *([form for form, _ in p] for p in parts))
        sizes = [size for part in parts for _, packed in part for size in packed.values()]
        return len(body) + sum(-(-4 * size // 3) for size in sizes)

    return {style.id: size(style) for style in styles}


def ballots_at_once(context: BallotContext) -> int:
    """How many ballots one step takes: so many that what they share is nothing, in some memory."""
    sizes = body_sizes(context.group, context.contests, context.styles, context.packs)
    return max(_AT_ONCE // max(sizes.values()), 1)


# The form that all bodies of a style have.

FIELDS = ("ciphertexts", "options", "sum")  # packed, in the order of canonical JSON
PACK_FIELDS = ("ciphertexts", "proof")

_Named: TypeAlias = tuple[tuple[str, tuple[int, ...]], ...]


def body_form(
    election: bytes,
    style: str,
    contests: Sequence[tuple[str, Mapping[str, int]]],
    packs: Sequence[tuple[str, Mapping[str, int]]],
) -> Form:
    """The form of a style's bodies, from the id of each contest and pack and its fields' sizes.

    Its holes: the fields of each contest, the credential, the fields of each pack.
    """
    named = tuple((name, tuple(sizes[key] for key in FIELDS)) for name, sizes in contests)
    mixed = tuple((name, tuple(sizes[key] for key in PACK_FIELDS)) for name, sizes in packs)
    return _body_form(election, style, named, mixed)


@lru_cache(maxsize=256)
def _body_form(election: bytes, style: str, contests: _Named, packs: _Named) -> Form:
    def holes(sizes: tuple[int, ...]) -> list[str]:
        return [HOLE * -(-4 * size // 3) for size in sizes]

    template = _body(
        election,
        style,
        HOLE * 64,
        [_contest_json(name, *holes(sizes)) for name, sizes in contests],
        [_pack_json(name, *holes(sizes)) for name, sizes in packs],
    )
    packed: Kind = "base64url"
    counts = len(FIELDS) * len(contests), len(PACK_FIELDS) * len(packs)
    return Form(template, [*[packed] * counts[0], "hex", *[packed] * counts[1]])
