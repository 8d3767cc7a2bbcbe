"""Reading many ballot bodies at once: the private half of `evote.ballots` that faces strangers.

Bodies that have the form of their style are cut into columns together; the others go to the
general reader one by one, which says what is wrong. The arrays of all are then decoded in a few
calls. Whatever is wrong with one ballot leaves the others alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from evote._ballot_bodies import (
    FIELDS,
    PACK_FIELDS,
    BallotContext,
    Ballots,
    ContestBallots,
    body_form,
    contest_sizes,
)
from evote._forms import Rows, Strings, from_rows, to_rows
from evote._mixed_ballots import BallotPack, PackBallots, pack_sizes
from evote.contests import Contest
from evote.elgamal import decode_ciphertexts
from evote.encoding import Fields, check_format, parse_json
from evote.errors import DecodingError, EvoteError, ParameterError
from evote.groups import Elements, Group
from evote.proofs import decode_each_one_of

__all__ = ["DecodedBatch", "NonceRows", "decode_ballots", "read_nonces"]


class NonceRows(NamedTuple):
    """What shows that a nonce was used twice: g^nonce of ciphertexts, and of proofs' commitments.

    A ciphertext that occurs twice is a copied ballot; a commitment that does gives its secret away.
    Both have a first half g^nonce, which honest ballots never share; equal elements have equal
    encodings. Shapes (n, count * element size): a row for each ballot, contests first, packs last.
    """

    ciphertexts: Rows
    commitments: Rows

    def repeat(self, size: int) -> NDArray[np.bool_]:
        """Which ballots repeat a nonce of their own, in elements of `size` bytes."""
        twice = np.zeros(len(self.ciphertexts), dtype=np.bool_)
        for rows in self:
            items = np.sort(np.ascontiguousarray(rows).view(f"S{size}"), axis=1)
            twice |= (items[:, 1:] == items[:, :-1]).any(axis=1)
        return twice


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodedBatch:
    """What a list of bodies holds.

    Attributes:
        batches: for each style that occurs, positions in the list, ascending, and their ballots.
        nonces: of the ballots of each batch.
        errors: why the other positions hold no ballot: DecodingError, or UnsupportedError.
    """

    batches: tuple[tuple[NDArray[np.intp], Ballots], ...]
    nonces: tuple[NonceRows, ...]
    errors: dict[int, EvoteError] = field(default_factory=dict)


def decode_ballots(
    context: BallotContext, bodies: Sequence[bytes], where: Sequence[str] | None = None
) -> DecodedBatch:
    """Read ballots of any styles; whatever is wrong with one leaves the others alone.

    Every element is checked for membership. Proofs are not checked here.

    Args:
        where: the place of each body, for messages.
    """
    places = [f"ballot {i}" for i in range(len(bodies))] if where is None else where
    if len(places) != len(bodies):
        raise ParameterError(f"{len(places)} places for {len(bodies)} bodies")
    tables, errors = _read_tables(context, bodies, places)
    batches, nonces = [], []
    for style, table in tables.items():
        good, contests, packs = _decode_table(context.group, table, places, errors)
        if len(good):
            ballots = Ballots(
                style=style,
                credentials=tuple(from_rows(good.credentials)),
                contests=tuple(contests),
                packs=tuple(packs),
            )
            batches.append((good.positions, ballots))
            nonces.append(good.nonces(context.group))
    errors = dict(sorted(errors.items()))
    return DecodedBatch(batches=tuple(batches), nonces=tuple(nonces), errors=errors)


def read_nonces(context: BallotContext, bodies: Sequence[bytes]) -> list[tuple[bytes, bytes]]:
    """Of each body what `NonceRows` has of it, without decoding a single element.

    Args:
        bodies: that `decode_ballots` has accepted, or that a board has.

    Raises:
        DecodingError: of a body that is no ballot.
    """
    tables, errors = _read_tables(context, bodies, [f"ballot {i}" for i in range(len(bodies))])
    for error in errors.values():
        raise error
    found = [(b"", b"")] * len(bodies)
    for table in tables.values():
        rows = table.nonces(context.group)
        for position, ciphertexts, commitments in zip(table.positions.tolist(), *rows, strict=True):
            found[position] = ciphertexts.tobytes(), commitments.tobytes()
    return found


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
        tuple(contest_sizes(context.group, contest) for contest in contests),
        tuple(pack_sizes(context.group, pack) for pack in packs),
    )


class _Table(NamedTuple):
    """The fields of n bodies of one style, each as an array of shape (n, bytes)."""

    parts: _Parts
    positions: NDArray[np.intp]
    credentials: Rows
    contests: list[dict[str, Rows]]  # for each contest, what lies in each of its fields
    packs: list[dict[str, Rows]]

    def __len__(self) -> int:
        return len(self.positions)

    def take(self, rows: Sequence[int]) -> _Table:
        return _Table(
            self.parts,
            self.positions[rows],
            self.credentials[rows],
            [{name: field[rows] for name, field in part.items()} for part in self.contests],
            [{name: field[rows] for name, field in part.items()} for part in self.packs],
        )

    def nonces(self, group: Group) -> NonceRows:
        """The first halves of the pairs that fields begin with, and the commitments of packs."""
        size, none = group.element_size, np.zeros((len(self), 0), dtype=np.uint8)
        ciphertexts, commitments = [none], [none]

        def firsts(field: Rows, pairs: int) -> Rows:
            halves = field[:, : 2 * size * pairs].reshape((len(self), pairs, 2, size))
            return halves[:, :, 0].reshape((len(self), pairs * size))

        for contest, fields in zip(self.parts.contests, self.contests, strict=True):
            marks = len(contest.options) * len(contest.option_values())
            ciphertexts.append(firsts(fields["ciphertexts"], contest.width))
            commitments.append(firsts(fields["options"], marks))
            commitments.append(firsts(fields["sum"], contest.sum_values().size))
        for pack, fields in zip(self.parts.packs, self.packs, strict=True):
            width = pack.width(group)
            ciphertexts.append(firsts(fields["ciphertexts"], width))
            commitments.append(fields["proof"][:, : size * width])
        return NonceRows(np.concatenate(ciphertexts, axis=1), np.concatenate(commitments, axis=1))


def _read_tables(
    context: BallotContext, bodies: Sequence[bytes], places: Sequence[str]
) -> tuple[dict[str, _Table], dict[int, EvoteError]]:
    """The bodies of each style that occurs, and why the others are none."""
    tables, waiting = _read_forms(context, bodies)
    errors: dict[int, EvoteError] = {}
    rows: dict[str, list[_Row]] = {style.id: [] for style in context.styles}
    parts_of = {style: table.parts for style, table in tables.items()}
    for i in waiting:
        try:
            fields = _read_header(context, bodies[i], places[i])
            style = fields.choice("style", rows)
            if style not in parts_of:
                parts_of[style] = _parts(context, style)
            rows[style].append(_read_rest(fields, parts_of[style], i))
        except EvoteError as error:
            errors[i] = error
    for style, found in rows.items():
        if found:
            table = _table(parts_of[style], found)
            tables[style] = _joined(tables[style], table) if style in tables else table
    return {style: tables[style] for style in rows if style in tables}, errors


# -- all bodies that have the form of their style, at once ---------------------------------------


def _read_forms(
    context: BallotContext, bodies: Sequence[bytes]
) -> tuple[dict[str, _Table], list[int]]:
    """The bodies that have the form of a style, by style, and the positions of the others."""
    packed = bodies if isinstance(bodies, Strings) else None
    if packed is not None:
        lengths = np.full(len(packed), packed.rows.shape[1])
    else:
        lengths = np.array([len(body) for body in bodies], dtype=np.int64)
    rest = np.ones(len(bodies), dtype=np.bool_)
    tables = {}
    for style in context.styles:
        if not rest.any():
            break
        parts = _parts(context, style.id)
        names = [contest.id for contest in parts.contests], [pack.id for pack in parts.packs]
        contests = list(zip(names[0], parts.contest_sizes, strict=True))
        packs = list(zip(names[1], parts.pack_sizes, strict=True))
        form = body_form(context.election_id, style.id, contests, packs)
        likely = np.flatnonzero(rest & (lengths == form.length))
        if packed is not None:
            found, holes = form.read(packed.take(likely))
        else:
            found, holes = form.read([bodies[i] for i in likely.tolist()])
        if not len(found):
            continue
        rest[likely[found]] = False
        left = iter(holes)
        tables[style.id] = _Table(
            parts=parts,
            positions=likely[found],
            contests=[{name: next(left) for name in FIELDS} for _ in contests],
            credentials=next(left),
            packs=[{name: next(left) for name in PACK_FIELDS} for _ in packs],
        )
    return tables, np.flatnonzero(rest).tolist()


# -- one by one, to say what is wrong ------------------------------------------------------------


class _Row(NamedTuple):
    """A body after its JSON has been read."""

    position: int
    credential: bytes
    contests: list[dict[str, bytes]]
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


def _table(parts: _Parts, rows: Sequence[_Row]) -> _Table:
    def columns(of_rows: Sequence[dict[str, bytes]]) -> dict[str, Rows]:
        return {name: to_rows([row[name] for row in of_rows]) for name in of_rows[0]}

    return _Table(
        parts,
        np.array([row.position for row in rows], dtype=np.intp),
        to_rows([row.credential for row in rows]),
        [columns([row.contests[c] for row in rows]) for c in range(len(parts.contests))],
        [columns([row.packs[p] for row in rows]) for p in range(len(parts.packs))],
    )


def _joined(a: _Table, b: _Table) -> _Table:
    """One table of two, by ascending position."""

    def columns(ours: dict[str, Rows], theirs: dict[str, Rows]) -> dict[str, Rows]:
        return {name: np.concatenate([ours[name], theirs[name]]) for name in ours}

    table = _Table(
        a.parts,
        np.concatenate([a.positions, b.positions]),
        np.concatenate([a.credentials, b.credentials]),
        list(map(columns, a.contests, b.contests)),
        list(map(columns, a.packs, b.packs)),
    )
    return table.take(np.argsort(table.positions).tolist())


# -- the arrays of a table -----------------------------------------------------------------------


def _decode_table(
    group: Group,
    table: _Table,
    places: Sequence[str],
    errors: dict[int, EvoteError],
) -> tuple[_Table, list[ContestBallots], list[PackBallots]]:
    """The arrays of all bodies at once; bodies with a bad item go to `errors` instead."""

    def decoded(
        chosen: _Table, place: str = "ballots"
    ) -> tuple[list[ContestBallots], list[PackBallots]]:
        contests = _decode_contests(group, chosen, place)
        return contests, _decode_packs(group, chosen, place)

    try:
        return table, *decoded(table)
    except DecodingError:
        good = []
        for row, position in enumerate(table.positions.tolist()):
            try:  # not all are good: only now is it worth asking which
                decoded(table.take([row]), places[position])
                good.append(row)
            except DecodingError as error:
                errors[position] = error
        kept = table.take(good)
        return kept, *decoded(kept)


def _decode_contests(group: Group, table: _Table, place: str) -> list[ContestBallots]:
    parts, n = [], len(table)
    pairs = zip(table.parts.contests, table.contests, strict=True)
    for c, (contest, fields) in enumerate(pairs):
        where = f"{place}: $.contests[{c}]"
        branches = len(contest.option_values())
        sum_branches, width = contest.sum_values().shape
        part = ContestBallots(
            contest=contest,
            ciphertexts=decode_ciphertexts(
                group,
                fields["ciphertexts"].tobytes(),
                (n, contest.width),
                where=f"{where}.ciphertexts",
            ),
            options=decode_each_one_of(
                group,
                fields["options"],
                (len(contest.options),),
                branches,
                where=f"{where}.options",
            ),
            sums=decode_each_one_of(
                group, fields["sum"], (), sum_branches, width=width, where=f"{where}.sum"
            ),
        )
        parts.append(part)
    return parts


def _decode_packs(group: Group, table: _Table, place: str) -> list[PackBallots]:
    parts = []
    for p, (pack, fields) in enumerate(zip(table.parts.packs, table.packs, strict=True)):
        where = f"{place}: $.packs[{p}]"
        shape = (len(table), pack.width(group))
        split = shape[1] * group.element_size
        proofs = fields["proof"]
        commitments: Elements = group.decode_elements(
            proofs[:, :split].tobytes(), shape, where=f"{where}.proof"
        )
        part = PackBallots(
            pack=pack,
            ciphertexts=decode_ciphertexts(
                group, fields["ciphertexts"].tobytes(), shape, where=f"{where}.ciphertexts"
            ),
            commitments=commitments,
            responses=group.decode_scalars(
                proofs[:, split:].tobytes(), shape, where=f"{where}.proof"
            ),
        )
        parts.append(part)
    return parts
