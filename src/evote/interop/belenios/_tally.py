"""The encrypted tally: recomputed from the counted ballots, and compared with what is published."""

from __future__ import annotations

from typing import Any

from evote.elgamal import Ciphertexts
from evote.groups import Ed25519, Elements, concatenate
from evote.interop.belenios._ballots import Batch
from evote.interop.belenios._election import Election, decode_weight
from evote.interop.belenios._forms import Failed, fields, items, parse
from evote.interop.belenios._plan import Plan
from evote.interop.belenios._shuffles import read_ciphertexts

__all__ = ["Sums", "check_tally", "nested", "read_sized", "read_tally"]


class Sums:
    """What the counted ballots amount to, batch by batch.

    Attributes:
        counted, weight: how many ballots, and their weights together.
        weighted: whether some weight is not 1.
    """

    def __init__(self, election: Election, plan: Plan) -> None:
        self.election, self.plan = election, plan
        self.counted = self.weight = 0
        self.weighted = False
        group = election.codec.group
        self._mixed = [plan.ranges[i][0] for i in election.mixed]
        self._columns = [k for k in range(plan.columns) if k not in self._mixed]
        self._alpha = self._beta = group.identity((len(self._columns),))
        self._lists: list[list[Ciphertexts]] = [[] for _ in self._mixed]

    def add(self, batch: Batch, rows: list[int], weights: list[int]) -> None:
        """Count some ballots of a batch."""
        if not rows:
            return
        self.counted += len(rows)
        self.weight += sum(weights)
        self.weighted |= any(weight != 1 for weight in weights)
        alpha, beta = batch.alpha.take(rows), batch.beta.take(rows)
        columns = self._columns
        self._alpha = self._alpha * self._sum(alpha[:, columns], weights)
        self._beta = self._beta * self._sum(beta[:, columns], weights)
        for ciphertexts, column in zip(self._lists, self._mixed, strict=True):
            pair = Ciphertexts(alpha=alpha[:, column], beta=beta[:, column])
            ciphertexts.append(pair)

    def _sum(self, columns: Elements, weights: list[int]) -> Elements:
        if all(weight == 1 for weight in weights):
            return columns.prod(0)
        group = self.election.codec.group
        return group.multiexp(columns, group.scalars([[w] for w in weights]), axis=0)

    def tally(self) -> list[Ciphertexts]:
        """Of each question the products of its columns, or the list of its ciphertexts, sorted."""
        found: list[Ciphertexts] = []
        sums, lists = 0, iter(self._lists)
        for question in self.election.questions:
            if question.kind == "mixed":
                found.append(self._sorted(next(lists)))
                continue
            part = slice(sums, sums + question.choices)
            found.append(Ciphertexts(alpha=self._alpha[part], beta=self._beta[part]))
            sums += question.choices
        return found

    def _sorted(self, pieces: list[Ciphertexts]) -> Ciphertexts:
        group = self.election.codec.group
        if not pieces:
            return Ciphertexts(alpha=group.identity((0,)), beta=group.identity((0,)))
        alpha = concatenate([piece.alpha for piece in pieces])
        beta = concatenate([piece.beta for piece in pieces])
        order = self._order(alpha, beta)
        return Ciphertexts(alpha=alpha.take(order), beta=beta.take(order))

    def _order(self, alpha: Elements, beta: Elements) -> list[int]:
        """By alpha, then beta: as integers, as RFC 8032's bytes, or in version 2 as (x, y)."""
        group = self.election.codec.group
        if isinstance(group, Ed25519) and self.election.version == 2:
            points = list(zip(group.to_affine(alpha), group.to_affine(beta), strict=True))
            return sorted(range(len(points)), key=points.__getitem__)
        pairs = encoded_pairs(Ciphertexts(alpha=alpha, beta=beta))
        return sorted(range(len(pairs)), key=pairs.__getitem__)


def encoded_pairs(ciphertexts: Ciphertexts) -> list[tuple[bytes, bytes]]:
    """The encodings of alpha and beta of n ciphertexts."""
    width = ciphertexts.alpha.group.element_size
    alpha, beta = ciphertexts.alpha.encode(), ciphertexts.beta.encode()
    starts = range(0, len(alpha), width)
    return [(alpha[i : i + width], beta[i : i + width]) for i in starts]


def read_tally(data: bytes, election: Election) -> list[Ciphertexts]:
    """Read an encrypted tally: of each question its ciphertexts in a row, members all.

    Raises:
        DecodingError: not of the shape of the election.
    """
    where = "encrypted_tally"
    value = items(parse(data, where), where, len(election.questions))
    found = []
    for i, (question, item) in enumerate(zip(election.questions, value, strict=True)):
        place = f"{where}[{i}]"
        if question.kind == "mixed":
            flat = items(item, place)
        else:
            flat = nested(item, question.rows, question.kind == "lists", place)
        found.append(read_ciphertexts(flat, election.codec, place))
    return found


def nested(value: Any, rows: tuple[int, ...], lists: bool, place: str) -> list[Any]:
    """The entries of a list, or of a list of lists, in a row; of the shape of a question."""
    if not lists:
        return items(value, place, rows[0])
    outer = items(value, place, len(rows))
    return [
        entry
        for row, length in zip(outer, rows, strict=True)
        for entry in items(row, place, length)
    ]


def read_sized(data: bytes, election: Election) -> tuple[int, int]:
    """How many ballots were counted, and their weights together, as published."""
    where = "sized_encrypted_tally"
    found = fields(parse(data, where), where, "num_tallied", "total_weight", "encrypted_tally")
    count = decode_weight(found["num_tallied"], 2, f"{where}.num_tallied")
    return count, decode_weight(found["total_weight"], election.version, f"{where}.total_weight")


def check_tally(tally: list[Ciphertexts], sums: Sums) -> list[int]:
    """Compare with the ballots; the questions whose ciphertexts are in another order.

    Raises:
        Failed: `encrypted-tally`.
    """
    reordered = []
    for i, (found, expected) in enumerate(zip(tally, sums.tally(), strict=True)):
        kind = sums.election.questions[i].kind
        mine, theirs = encoded_pairs(expected), encoded_pairs(found)
        if mine == theirs:
            continue
        if kind != "mixed" or sorted(mine) != sorted(theirs):
            raise Failed("encrypted-tally", f"encrypted_tally[{i}]: not what the ballots give")
        reordered.append(i)
    return reordered
