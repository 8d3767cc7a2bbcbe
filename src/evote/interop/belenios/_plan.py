"""What the proofs of a ballot claim, laid out once for an election: ballots are rows of arrays.

A ciphertext column is a choice, or a product of choices. A branch of a disjunction says that a
column encrypts a number m:

    A = g^r alpha^c,   B = y^r (beta / g^m)^c,   and the c of all branches add up to the challenge
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from evote.interop.belenios._election import Election, Question

__all__ = ["Branch", "Claim", "Nonzero", "Plan", "Ranking", "make_plan"]


class Branch(NamedTuple):
    """One case of a disjunction: the column, what it would encrypt, and which proof says so."""

    column: int
    value: int
    proof: int


class Claim(NamedTuple):
    """A disjunction.

    Attributes:
        check: what fails if it does not hold.
        tag: under which it is hashed.
        question: the answer it belongs to.
        whole: whether all choices of the answer are hashed, or the credential alone.
        stated: the column that is hashed besides, or -1.
        place: in the answer.
    """

    check: str
    tag: str
    question: int
    whole: bool
    stated: int
    branches: tuple[Branch, ...]
    place: str


class Nonzero(NamedTuple):
    """A column does not encrypt 0; the number counts such claims."""

    question: int
    column: int
    number: int


class Ranking(NamedTuple):
    """The voter knows the nonce of a column."""

    question: int
    column: int
    proof: int


@dataclass(slots=True)
class Plan:
    """The columns and claims of a ballot.

    Attributes:
        columns: how many choices there are.
        ranges: of each question, its first column and the one behind its last.
        products: of the further columns, the choices multiplied.
        proofs: how many pairs of challenge and response there are.
    """

    columns: int = 0
    ranges: list[tuple[int, int]] = field(default_factory=list)
    products: list[tuple[int, ...]] = field(default_factory=list)
    proofs: int = 0
    claims: list[Claim] = field(default_factory=list)
    nonzeros: list[Nonzero] = field(default_factory=list)
    rankings: list[Ranking] = field(default_factory=list)

    def product(self, columns: range) -> int:
        """The column of a product, numbered behind all choices."""
        self.products.append(tuple(columns))
        return self.columns + len(self.products) - 1

    def next_proofs(self, count: int) -> range:
        self.proofs += count
        return range(self.proofs - count, self.proofs)


def make_plan(election: Election) -> Plan:
    """Lay out the ballots of an election, in the order in which `_ballots` reads proofs."""
    plan = Plan(columns=sum(question.choices for question in election.questions))
    start = 0
    for index, question in enumerate(election.questions):
        end = start + question.choices
        plan.ranges.append((start, end))
        if question.kind == "mixed":
            [proof] = plan.next_proofs(1)
            plan.rankings.append(Ranking(index, start, proof))
        elif question.kind == "lists":
            tag = "prove" if election.version == 1 else "prove_l"
            _individual(plan, index, range(start, end), tag)
            _lists(plan, index, question, start, tag)
        else:
            _individual(plan, index, range(start, end), "prove")
            _overall(plan, index, question, range(start, end))
        start = end
    return plan


def _individual(plan: Plan, index: int, columns: range, tag: str) -> None:
    for column in columns:
        proofs = plan.next_proofs(2)
        branches = tuple(Branch(column, m, proof) for m, proof in enumerate(proofs))
        place = f"individual_proofs[{column - columns.start}]"
        claim = Claim("individual-proof", tag, index, False, column, branches, place)
        plan.claims.append(claim)


def _overall(plan: Plan, index: int, question: Question, columns: range) -> None:
    numbers = range(question.low, question.high + 1)
    if not question.blank:
        total = plan.product(columns)
        proofs = plan.next_proofs(len(numbers))
        branches = tuple(map(Branch, [total] * len(numbers), numbers, proofs))
        claim = Claim("overall-proof", "prove", index, True, total, branches, "overall_proof")
        plan.claims.append(claim)
        return
    blank, total = columns.start, plan.product(columns[1:])
    first, *others = plan.next_proofs(len(numbers) + 1)
    branches = (Branch(blank, 1, first), *map(Branch, [total] * len(numbers), numbers, others))
    plan.claims.append(
        Claim("overall-proof", "bproof1", index, True, -1, branches, "overall_proof")
    )
    left, right = plan.next_proofs(2)
    branches = (Branch(blank, 0, left), Branch(total, 0, right))
    plan.claims.append(Claim("blank-proof", "bproof0", index, True, -1, branches, "blank_proof"))


def _lists(plan: Plan, index: int, question: Question, start: int, tag: str) -> None:
    starts, candidates = [], []
    for length in question.rows:
        starts.append(start)
        candidates.append(range(start + 1, start + length))
        start += length
    plan.products.append(tuple(starts))
    total = plan.columns + len(plan.products) - 1
    [proof] = plan.next_proofs(1)
    branches: tuple[Branch, ...] = (Branch(total, 1, proof),)
    plan.claims.append(Claim("overall-proof", tag, index, True, total, branches, "overall_proof"))
    for i, (first, rest) in enumerate(zip(starts, candidates, strict=True)):
        left, right = plan.next_proofs(2)
        branches = (Branch(first, 1, left), Branch(plan.product(rest), 0, right))
        place = f"list_proofs[{i}]"
        plan.claims.append(Claim("list-proof", "lproof", index, True, -1, branches, place))
    plan.products.append(tuple(column for row in candidates for column in row))
    column = plan.columns + len(plan.products) - 1
    plan.nonzeros.append(Nonzero(index, column, len(plan.nonzeros)))
