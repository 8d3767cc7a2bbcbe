"""Ballots: their forms, and the proofs of many of them at once.

    disj((a, b), [m_0 .. m_k])      g^r_j = A_j a^c_j,  y^r_j = B_j (b / g^m_j)^c_j,
                                    SHA-1("A_0,B_0,A_1,B_1,...") = sum of c_j  (mod q)

The challenge hashes the commitments alone, neither what is proved nor by whom.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from evote._batch import Equations, Relation, verify_batch
from evote.errors import DecodingError
from evote.groups import Elements, Group, ModPGroup, Scalars
from evote.interop.helios._election import Election, Question
from evote.interop.helios._forms import (
    Failed,
    fingerprint,
    js_text,
    member,
    number,
    py_text,
    sha1_number,
    shown,
    the_list,
)

__all__ = ["Layout", "Proved", "Vote", "read_vote", "verify_votes", "vote_hashes"]

_ANSWER = {"choices", "individual_proofs", "overall_proof"}
_OPENING = {"answer", "randomness"}
_UNREDUCED_BITS = 4096  # of responses that browsers did not reduce


def vote_hashes(vote: dict[str, Any]) -> tuple[str, str]:
    """The fingerprints of a vote as a browser's and as Python's text."""
    return fingerprint(js_text(vote)), fingerprint(py_text(vote))


class _Span(NamedTuple):
    """Where the parts of a question are in a ballot's row of elements, and of scalars."""

    choices: int
    individual: int
    overall: int
    end: int
    scalars: int


class Layout:
    """How the numbers of a ballot of an election are lined up."""

    def __init__(self, questions: Sequence[Question]) -> None:
        self.questions = tuple(questions)
        self.spans: list[_Span] = []
        at = scalars = 0
        for n, _, _ in questions:
            sums = questions[len(self.spans)].sums
            individual = at + 2 * n
            overall = individual + 4 * n
            self.spans.append(_Span(at, individual, overall, overall + 2 * sums, scalars))
            at, scalars = overall + 2 * sums, scalars + 4 * n + 2 * sums
        self.elements, self.scalars = at, scalars

    def find(self, position: int) -> tuple[str, str]:
        """The check that an element belongs to, and its place in a ballot."""
        for i, span in enumerate(self.spans):
            if position >= span.end:
                continue
            answer = f"answers[{i}]"
            if position < span.individual:
                j, part = divmod(position - span.choices, 2)
                return "choice", f"{answer}.choices[{j}].{('alpha', 'beta')[part]}"
            if position < span.overall:
                j, rest = divmod(position - span.individual, 4)
                k, part = divmod(rest, 2)
                where = f"{answer}.individual_proofs[{j}][{k}].commitment.{'AB'[part]}"
                return "individual-proof", where
            k, part = divmod(position - span.overall, 2)
            return "overall-proof", f"{answer}.overall_proof[{k}].commitment.{'AB'[part]}"
        raise AssertionError("a position behind the last")


@dataclass(slots=True)
class Vote:
    """The numbers of one vote, in the order of its `Layout`."""

    where: str
    elements: list[bytes]
    scalars: list[int]
    commitments: list[str]  # A of each branch, as text
    unreduced: int  # responses of q or more


def read_vote(
    election: Election, layout: Layout, group: Group, vote: Any, *, where: str, opened: bool = False
) -> Vote:
    """A vote of this election, and the hashes of its proofs; the equations are for later.

    Raises:
        Failed: names the check.
    """
    assert isinstance(group, ModPGroup)
    reader = _Reader(election, group, where)
    with _as("ballot-form"):
        answers = the_list(member(vote, "answers", where), f"{where}.answers")
    extra = set(vote) - {"answers", "election_hash", "election_uuid"}
    if extra:
        reason = f"unknown field {shown(sorted(extra)[0])}"
        raise Failed("ballot-form", reason, where=where)
    if len(answers) != len(layout.questions):
        reason = f"{len(layout.questions)} answers expected, got {len(answers)}"
        raise Failed("ballot-answers", reason, where=f"{where}.answers")
    for i, (question, answer) in enumerate(zip(layout.questions, answers, strict=True)):
        reader.answer(question, answer, f"{where}.answers[{i}]", opened)
    return reader.vote


class _as:  # noqa: N801  reads as a word of the with statement
    """What goes wrong inside fails this check."""

    def __init__(self, check: str) -> None:
        self.check = check

    def __enter__(self) -> None:
        return

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, DecodingError) and not isinstance(error, Failed):
            raise Failed(self.check, error.reason, where=error.where) from None


class _Reader:
    """Reads one vote."""

    def __init__(self, election: Election, group: ModPGroup, where: str) -> None:
        self.election = election
        self.group = group
        self.width = group.element_size
        self.vote = Vote(where, [], [], [], 0)

    def answer(self, question: Question, answer: Any, where: str, opened: bool) -> None:
        with _as("ballot-answers"):
            choices = the_list(member(answer, "choices", where), f"{where}.choices")
            proofs = the_list(member(answer, "individual_proofs", where), where)
            overall = member(answer, "overall_proof", where)
            extra = set(answer) - _ANSWER - (_OPENING if opened else set())
            if extra & _OPENING:
                raise DecodingError("a cast vote that says what it holds", where=where)
            if extra:
                raise DecodingError(f"unknown field {shown(sorted(extra)[0])}", where=where)
            for name, rows in (("choices", choices), ("individual_proofs", proofs)):
                the_list(rows, f"{where}.{name}", question.answers)
        with _as("choice"):
            for j, choice in enumerate(choices):
                place = f"{where}.choices[{j}]"
                for name in ("alpha", "beta"):
                    value = member(choice, name, place)
                    self.element(value, f"{place}.{name}", least=2 if name == "alpha" else 1)
        scalars: tuple[list[int], list[int]] = ([], [])
        with _as("individual-proof"):
            for j, branches in enumerate(proofs):
                self.disjunction(branches, 2, f"{where}.individual_proofs[{j}]", scalars)
        self.vote.scalars += scalars[0] + scalars[1]
        scalars = ([], [])
        with _as("overall-proof"):
            place = f"{where}.overall_proof"
            if question.high is None:
                if overall is not None:
                    raise DecodingError("a proof of a sum that has no limit", where=place)
            else:
                self.disjunction(overall, question.sums, place, scalars)
        self.vote.scalars += scalars[0] + scalars[1]

    def element(self, value: Any, where: str, *, least: int = 1) -> None:
        found = number(value, where, below=self.group.p, least=least)
        self.vote.elements.append(found.to_bytes(self.width, "big"))

    def disjunction(
        self, branches: Any, count: int, where: str, into: tuple[list[int], list[int]]
    ) -> None:
        q = self.group.q
        limit = 1 << _UNREDUCED_BITS if self.election.unreduced else q
        hashed: list[str] = []
        total = 0
        for k, branch in enumerate(the_list(branches, where, count)):
            place = f"{where}[{k}]"
            commitment = member(branch, "commitment", place)
            pair = [member(commitment, name, f"{place}.commitment") for name in "AB"]
            for name, value in zip("AB", pair, strict=True):
                self.element(value, f"{place}.commitment.{name}")
            hashed += pair
            self.vote.commitments.append(pair[0])
            challenge = int(number(member(branch, "challenge", place), place, below=q))
            response = int(
                number(member(branch, "response", place), f"{place}.response", below=limit)
            )
            self.vote.unreduced += response >= q
            total += challenge
            into[0].append(challenge)
            into[1].append(response)
        if (total - sha1_number(*hashed)) % q:
            raise DecodingError("the challenges are not the hash of the commitments", where=where)


@dataclass(frozen=True, slots=True, kw_only=True)
class Proved:
    """Votes whose choices are in the group; shapes (n, answers).

    `kept` are their places among the votes given; `valid` are those whose proofs hold too.
    """

    kept: list[int]
    valid: list[bool]
    alpha: Elements
    beta: Elements


def verify_votes(
    layout: Layout,
    key: Elements,
    votes: Sequence[Vote],
    fail: Callable[[str, str], None],
) -> Proved:
    """Membership of everything, and all proofs, of many votes at once."""
    group = key.group
    kept = list(range(len(votes)))
    elements = group.identity((0, layout.elements))
    while kept:
        data = b"".join([part for i in kept for part in votes[i].elements])
        try:
            shape = (len(kept), layout.elements)
            elements = group.decode_elements(data, shape, allow_identity=True)
        except DecodingError as error:
            wrong: set[int] = set()
            for index in error.indices:
                row, position = divmod(index, layout.elements)
                if row not in wrong:
                    check, place = layout.find(position)
                    fail(check, f"{votes[kept[row]].where}.{place}: not in the group")
                wrong.add(row)
            kept = [i for row, i in enumerate(kept) if row not in wrong]
            continue
        break
    columns = [c for s in layout.spans for c in range(s.choices, s.individual, 2)]
    if not kept:
        none = group.identity((0, len(columns)))
        return Proved(kept=[], valid=[], alpha=none, beta=none)
    scalars = group.scalars([votes[i].scalars for i in kept])
    named = list(_equations(layout, key, elements, scalars))
    holds = verify_batch([equations for _, _, equations in named])
    bad = np.flatnonzero(~holds)
    for check, place, equations in named if len(bad) else ():
        for row in bad[~equations.take(bad).proofs_hold()].tolist():
            fail(check, f"{votes[kept[row]].where}.{place}: the proof does not hold")
    return Proved(
        kept=kept,
        valid=holds.tolist(),
        alpha=elements[:, columns],
        beta=elements[:, [c + 1 for c in columns]],
    )


def _equations(
    layout: Layout, key: Elements, elements: Elements, scalars: Scalars
) -> list[tuple[str, str, Equations]]:
    """Those of the individual proofs of a question, and of its overall proof."""
    count, found = len(elements), []
    for i, (question, span) in enumerate(zip(layout.questions, layout.spans, strict=True)):
        n, k, at = question.answers, question.sums, span.scalars
        choices = elements[:, span.choices : span.individual].reshape((count, n, 1, 2))
        commitments = elements[:, span.individual : span.overall].reshape((count, n, 2, 2))
        c = scalars[:, at : at + 2 * n].reshape((count, n, 2))
        r = scalars[:, at + 2 * n : at + 4 * n].reshape((count, n, 2))
        equations = _disjunction(key, choices, commitments, c, r, (0, 1))
        found.append(("individual-proof", f"answers[{i}].individual_proofs", equations))
        if k:
            at += 4 * n
            both = choices.prod(1)
            commitments = elements[:, span.overall : span.end].reshape((count, k, 2))
            c, r = scalars[:, at : at + k], scalars[:, at + k : at + 2 * k]
            sums = range(question.low, question.low + k)
            equations = _disjunction(key, both, commitments, c, r, sums)
            found.append(("overall-proof", f"answers[{i}].overall_proof", equations))
    return found


def _disjunction(
    key: Elements,
    ciphertexts: Elements,
    commitments: Elements,
    c: Scalars,
    r: Scalars,
    messages: Sequence[int],
) -> Equations:
    """Ciphertexts of shape (..., 1, 2), the rest of shape (..., k) or (..., k, 2)."""
    group = key.group
    a, b = ciphertexts[..., 0], ciphertexts[..., 1]
    shifted = c * group.scalars(list(messages))
    relations: tuple[Relation, ...] = (
        # A a^c = g^r
        ((commitments[..., 0], None), (a, c), (group.generator, -r)),
        # B b^c = y^r g^(m c)
        ((commitments[..., 1], None), (b, c), (group.generator, -shifted), (key, -r)),
    )
    return Equations(group=group, shape=c.shape, relations=relations)
