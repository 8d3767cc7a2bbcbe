"""Ballots: read one by one, verified as rows of arrays.

Top-level fields are canonical to the byte. Inside `answers` the original server takes other orders,
further fields, upper case and leading zeros, and the voter signs them as they stand; refusing them
here would let one voter block an election, so they are taken and reported.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evote.errors import DecodingError
from evote.groups import Elements, Scalars, concatenate
from evote.interop.belenios._election import Credentials, Election, Question
from evote.interop.belenios._forms import Failed, base64_digest, compact, items, parse
from evote.interop.belenios._plan import Plan
from evote.interop.belenios._statement import Prefixes, Statement, rows_of

__all__ = ["Ballot", "Batch", "decode_ballot", "read_batch", "verify_batch"]

_TAIL_1 = re.compile(
    rb',"signature":\{"hash":"([A-Za-z0-9+/]{43})",'
    rb'"proof":\{"challenge":"([0-9]{1,1300})","response":"([0-9]{1,1300})"\}\}\}\Z'
)
_TAIL_2 = re.compile(
    rb',"signature":\{"challenge":"([0-9]{1,1300})","response":"([0-9]{1,1300})"\}\}\Z'
)
_TOP = ("election_uuid", "election_hash", "credential", "answers")


@dataclass(slots=True)
class Ballot:
    """One ballot, read and not yet verified.

    Attributes:
        name: of the ballot in messages.
        credential: the voter's public credential.
        signed: what the signature is about: the hash of the ballot in version 1, its text in 2.
        signature: challenge and response.
        choices: the encodings of alpha and beta of every choice, in turn.
        proofs: challenges and responses, in the order of the plan.
        nonzero: of each list question the commitment's encoding, challenge and responses.
        odd: whether something inside `answers` is not written as usual.
    """

    name: str
    credential: str
    signed: str
    signature: tuple[int, int]
    choices: list[bytes] = field(default_factory=list)
    proofs: list[tuple[int, int]] = field(default_factory=list)
    nonzero: list[tuple[bytes, int, int, int]] = field(default_factory=list)
    odd: bool = False


def decode_ballot(data: bytes, election: Election, credentials: Credentials, name: str) -> Ballot:
    """Read a ballot: all but membership of its elements, and what proofs and signature say.

    Raises:
        Failed: one of the checks of ballots.
    """
    ballot = _top(data, election, credentials, name)
    answers = ballot[1]
    reader = _Answers(election, ballot[0])
    if len(answers) != len(election.questions):
        raise Failed("answer-shape", f"{name}: not one answer for each question")
    for i, (question, answer) in enumerate(zip(election.questions, answers, strict=True)):
        reader.read(question, answer, f"{name}: answers[{i}]")
    return ballot[0]


def _top(
    data: bytes, election: Election, credentials: Credentials, name: str
) -> tuple[Ballot, list[Any]]:
    try:
        value = parse(data, name)
    except DecodingError as error:
        raise Failed("ballot-canonical", str(error)) from None
    tail = (_TAIL_1 if election.version == 1 else _TAIL_2).search(data)
    message = value
    if election.version == 2 and type(value) is dict and list(value) == ["message", "signature"]:
        message = value["message"]
    expected = _TOP if election.version == 2 else (*_TOP, "signature")
    if tail is None or type(message) is not dict or tuple(message) != expected:
        raise Failed("ballot-canonical", f"{name}: not the fields of a ballot, in their order")
    head = compact({key: message[key] for key in _TOP[:3]})[:-1] + ',"answers":['
    if election.version == 2:
        head = '{"message":' + head
    if not data.startswith(head.encode("utf-8", "surrogatepass")):
        raise Failed("ballot-canonical", f"{name}: not written as a ballot is")
    answers = message["answers"]
    if type(answers) is not list:
        raise Failed("ballot-canonical", f"{name}: answers is no list")
    uuid, fingerprint, credential = (message[key] for key in _TOP[:3])
    if uuid != election.uuid:
        raise Failed("ballot-election-uuid", f"{name}: of another election")
    if fingerprint != election.fingerprint:
        raise Failed("ballot-election-hash", f"{name}: of an election with another fingerprint")
    if type(credential) is not str or credential not in credentials.places:
        raise Failed("ballot-credential-unknown", f"{name}: its credential is not listed")
    if election.version == 1:
        signed = tail[1].decode()
        if signed != base64_digest(data[: tail.start()] + b"}"):
            raise Failed("ballot-signature-hash", f"{name}: another hash than the ballot's")
    else:
        signed = data[len(b'{"message":') : tail.start()].decode("utf-8")
    try:
        numbers = [election.codec.scalar(text.decode(), name) for text in tail.groups()[-2:]]
    except DecodingError as error:
        raise Failed("ballot-signature", str(error)) from None
    signature = (numbers[0], numbers[1])
    return Ballot(name=name, credential=credential, signed=signed, signature=signature), answers


class _Answers:
    """Reads the answers of one ballot, leniently as to how they are written."""

    def __init__(self, election: Election, ballot: Ballot) -> None:
        self._codec = election.codec
        self._ballot = ballot

    def read(self, question: Question, answer: Any, place: str) -> None:
        try:
            if question.kind == "mixed":
                found = self._fields(answer, place, "choices", "proof")
                self._ciphertext(found["choices"], place)
                self._proof(found["proof"], place)
            elif question.kind == "lists":
                self._lists(question, answer, place)
            else:
                self._homomorphic(question, answer, place)
        except DecodingError as error:
            raise Failed("answer-shape", str(error)) from None

    def _homomorphic(self, question: Question, answer: Any, place: str) -> None:
        names = ["choices", "individual_proofs", "overall_proof"]
        if question.blank:
            names.append("blank_proof")
        elif type(answer) is dict and "blank_proof" in answer:
            raise DecodingError("a proof of a blank vote, which there is not", where=place)
        found = self._fields(answer, place, *names)
        self._row(found["choices"], found["individual_proofs"], question.choices, place)
        where = f"{place}.overall_proof"
        count = question.high - question.low + 1 + question.blank
        overall = found["overall_proof"]
        if type(overall) is not list or len(overall) != count:
            raise Failed("overall-proof", f"{where}: {count} proofs expected")
        for proof in overall:
            self._proof(proof, where)
        if question.blank:
            for proof in items(found["blank_proof"], f"{place}.blank_proof", 2):
                self._proof(proof, f"{place}.blank_proof")

    def _lists(self, question: Question, answer: Any, place: str) -> None:
        names = ("choices", "individual_proofs", "overall_proof", "list_proofs", "nonzero_proof")
        found = self._fields(answer, place, *names)
        rows = len(question.rows)
        choices = items(found["choices"], place, rows)
        individual = items(found["individual_proofs"], place, rows)
        for row, proofs, length in zip(choices, individual, question.rows, strict=True):
            self._row(row, proofs, length, place)
        self._proof(found["overall_proof"], f"{place}.overall_proof")
        for pair in items(found["list_proofs"], f"{place}.list_proofs", rows):
            for proof in items(pair, f"{place}.list_proofs", 2):
                self._proof(proof, f"{place}.list_proofs")
        where = f"{place}.nonzero_proof"
        nonzero = self._fields(found["nonzero_proof"], where, "commitment", "challenge", "response")
        commitment = self._element(nonzero["commitment"], where, "nonzero-proof")
        first, second = items(nonzero["response"], where, 2)
        numbers = [self._scalar(x, where) for x in (nonzero["challenge"], first, second)]
        self._ballot.nonzero.append((commitment, *numbers))  # type: ignore[arg-type]

    def _row(self, choices: Any, proofs: Any, count: int, place: str) -> None:
        for i, choice in enumerate(items(choices, f"{place}.choices", count)):
            self._ciphertext(choice, f"{place}.choices[{i}]")
        for i, pair in enumerate(items(proofs, f"{place}.individual_proofs", count)):
            where = f"{place}.individual_proofs[{i}]"
            for proof in items(pair, where, 2):
                self._proof(proof, where)

    def _fields(self, value: Any, place: str, *names: str) -> dict[str, Any]:
        if type(value) is not dict:
            raise DecodingError("an object expected", where=place)
        for name in names:
            if name not in value:
                raise DecodingError(f"field {name} is missing", where=place)
        self._ballot.odd |= tuple(value) != names
        return value

    def _ciphertext(self, value: Any, place: str) -> None:
        found = self._fields(value, place, "alpha", "beta")
        self._ballot.choices += [
            self._element(found[name], f"{place}.{name}", "choice") for name in ("alpha", "beta")
        ]

    def _element(self, value: Any, place: str, check: str) -> bytes:
        try:
            return self._codec.element_bytes(value, place)
        except DecodingError:
            pass
        try:
            data = self._codec.element_bytes(value, place, lenient=True)
        except DecodingError as error:
            raise Failed(check, str(error)) from None
        self._ballot.odd = True
        return data

    def _scalar(self, value: Any, place: str) -> int:
        try:
            number = self._codec.scalar(value, place, lenient=True)
        except DecodingError as error:
            raise Failed("scalar", str(error)) from None
        self._ballot.odd |= value[0] == "0" and len(value) > 1
        return number

    def _proof(self, value: Any, place: str) -> None:
        found = self._fields(value, place, "challenge", "response")
        numbers = [self._scalar(found[name], place) for name in ("challenge", "response")]
        self._ballot.proofs.append((numbers[0], numbers[1]))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Batch:
    """n ballots whose elements are members.

    Attributes:
        alpha, beta: shape (n, columns).
        keys: the credentials, shape (n,).
        challenges, responses: shape (n, proofs).
        commitments: of the nonzero proofs, shape (n, k); `nonzero` their scalars, (n, k, 3).
    """

    ballots: list[Ballot]
    alpha: Elements
    beta: Elements
    keys: Elements
    challenges: Scalars
    responses: Scalars
    commitments: Elements
    nonzero: Scalars


def read_batch(
    ballots: list[Ballot], election: Election, credentials: Credentials, plan: Plan
) -> tuple[Batch, list[Failed]]:
    """The ballots whose elements are members, and what is wrong with the others."""
    codec, width, lists = election.codec, 2 * plan.columns, len(plan.nonzeros)
    data = [
        ballot.choices + [commitment for commitment, *_ in ballot.nonzero] for ballot in ballots
    ]
    failures: list[Failed] = []
    try:
        elements = codec.decode([encoding for row in data for encoding in row])
    except DecodingError as error:
        rows: dict[int, int] = {}
        for index in error.indices:
            rows.setdefault(index // (width + lists), index % (width + lists))
        for row, column in rows.items():
            check = "choice" if column < width else "nonzero-proof"
            reason = f"{ballots[row].name}: element {column} is not in the group"
            failures.append(Failed(check, reason))
        ballots = [ballot for i, ballot in enumerate(ballots) if i not in rows]
        data = [row for i, row in enumerate(data) if i not in rows]
        elements = codec.decode([encoding for row in data for encoding in row])
    n = len(ballots)
    elements = elements.reshape((n, width + lists))
    keys = credentials.keys.take([credentials.places[ballot.credential] for ballot in ballots])
    pairs = [pair for ballot in ballots for pair in ballot.proofs]
    shape = (n, plan.proofs)
    return (
        Batch(
            ballots=ballots,
            alpha=elements[:, 0:width:2],
            beta=elements[:, 1:width:2],
            keys=keys,
            challenges=codec.scalars([c for c, _ in pairs]).reshape(shape),
            responses=codec.scalars([r for _, r in pairs]).reshape(shape),
            commitments=elements[:, width:],
            nonzero=codec.scalars(
                [x for ballot in ballots for _, *numbers in ballot.nonzero for x in numbers]
            ).reshape((n, lists, 3)),
        ),
        failures,
    )


def verify_batch(
    batch: Batch, election: Election, plan: Plan
) -> tuple[list[Failed], list[list[str]]]:
    """What does not hold of all signatures and proofs; and the commitments of each ballot."""
    if not batch.ballots:
        return [], []
    return _Verifier(batch, election, plan).run()


class _Verifier:
    """Recomputes all commitments in bulk, then hashes ballot by ballot."""

    def __init__(self, batch: Batch, election: Election, plan: Plan) -> None:
        self.batch, self.election, self.plan = batch, election, plan
        self.codec, self.oracle = election.codec, election.oracle
        self.g, self.y = self.codec.group.generator, election.key
        self.n = len(batch.ballots)
        credentials = [ballot.credential for ballot in batch.ballots]
        self.statement = Statement(election, plan, credentials, batch.alpha, batch.beta)
        self.alpha, self.beta = self.statement.alpha, self.statement.beta

    def _texts(self, elements: Elements) -> list[list[str]]:
        """The strings of an array of shape (n, k), row by row."""
        return rows_of(self.codec.texts(elements), self.n)

    def run(self) -> tuple[list[Failed], list[list[str]]]:
        signatures = self.codec.scalars([x for b in self.batch.ballots for x in b.signature])
        c, r = signatures[0::2], signatures[1::2]
        signed = self.codec.texts(self.g**r * self.batch.keys**c)
        branches, sums = self._branches()
        rankings, nonzeros = self._rankings(), self._nonzeros()
        found: list[Failed] = []
        for i, ballot in enumerate(self.batch.ballots):
            message = (ballot.credential, ballot.signed, signed[i])
            tag = "sig" if self.election.version == 1 else "ballot"
            if self.oracle.signature(tag, *message) != ballot.signature[0]:
                found.append(Failed("ballot-signature", f"{ballot.name}: does not hold"))
            prefixes = self.statement.prefixes(i)
            found += self._disjunctions(i, prefixes, branches[i], sums[i])
            found += self._ranking(i, prefixes, rankings[i])
            found += self._nonzero(i, prefixes, nonzeros[i])
        # Of A and B one is enough: who repeats a nonce repeats both.
        commitments = [
            [signed[i], *branches[i][::2], *rankings[i], *nonzeros[i][::3]] for i in range(self.n)
        ]
        return found, commitments

    def _branches(self) -> tuple[list[list[str]], list[list[int]]]:
        """Of each ballot, A and B of every branch, in turn; and of every claim the sum of the c."""
        branches = [branch for claim in self.plan.claims for branch in claim.branches]
        if not branches:
            return [[] for _ in range(self.n)], [[] for _ in range(self.n)]
        columns = [branch.column for branch in branches]
        proofs = [branch.proof for branch in branches]
        c, r = self.batch.challenges[:, proofs], self.batch.responses[:, proofs]
        a = self.g**r * _powers(self.alpha, columns, c)
        b = self._encrypting(columns, [branch.value for branch in branches], c, r)
        pairs = concatenate([a[:, :, None], b[:, :, None]], axis=2)
        texts = self._texts(pairs.reshape((self.n, 2 * len(branches))))
        sums, start = [], 0
        for claim in self.plan.claims:
            end = start + len(claim.branches)
            sums.append(c[:, start:end].sum(1).to_ints())
            start = end
        return texts, [list(row) for row in zip(*sums, strict=True)]

    def _encrypting(
        self, columns: list[int], values: list[int], c: Scalars, r: Scalars
    ) -> Elements:
        """B = y^r (beta / g^m)^c, as y^r beta^c g^(-m c): branches of a column share doublings."""
        b = self.y**r * _powers(self.beta, columns, c)
        moved = [k for k, value in enumerate(values) if value]
        if moved:
            shifts = -c[:, moved] * self.codec.scalars([values[k] for k in moved])
            b = _replaced(b, moved, b[:, moved] * self.g**shifts)
        return b

    def _disjunctions(
        self, i: int, prefixes: Prefixes, texts: list[str], sums: list[int]
    ) -> list[Failed]:
        found, start = [], 0
        for claim, total in zip(self.plan.claims, sums, strict=True):
            end = start + 2 * len(claim.branches)
            if self.statement.claim(i, prefixes, claim, texts[start:end]) != total:
                found.append(self._failed(claim.check, i, claim.question, claim.place))
            start = end
        return found

    def _failed(self, check: str, i: int, question: int, place: str) -> Failed:
        where = f"{self.batch.ballots[i].name}: answers[{question}].{place}"
        return Failed(check, f"{where}: does not hold")

    def _rankings(self) -> list[list[str]]:
        rankings = self.plan.rankings
        if not rankings:
            return [[] for _ in range(self.n)]
        proofs = [ranking.proof for ranking in rankings]
        c, r = self.batch.challenges[:, proofs], self.batch.responses[:, proofs]
        alpha = self.alpha[:, [ranking.column for ranking in rankings]]
        return self._texts(self.g**r * alpha**c)

    def _ranking(self, i: int, prefixes: Prefixes, texts: list[str]) -> list[Failed]:
        found = []
        for ranking, text in zip(self.plan.rankings, texts, strict=True):
            challenge = self.batch.ballots[i].proofs[ranking.proof][0]
            if self.statement.ranking(i, prefixes, ranking, text) != challenge:
                found.append(self._failed("nh-proof", i, ranking.question, "proof"))
        return found

    def _nonzeros(self) -> list[list[str]]:
        """A0, A1 = a^t1 g^t2, A2 = b^t1 y^t2 A0^c of each claim, in turn."""
        claims = self.plan.nonzeros
        if not claims:
            return [[] for _ in range(self.n)]
        columns = [claim.column for claim in claims]
        c, t1, t2 = (self.batch.nonzero[:, :, k] for k in range(3))
        first = self.batch.commitments
        second = self.alpha[:, columns] ** t1 * self.g**t2
        third = self.beta[:, columns] ** t1 * self.y**t2 * first**c
        triples = concatenate([x[:, :, None] for x in (first, second, third)], axis=2)
        return self._texts(triples.reshape((self.n, 3 * len(claims))))

    def _nonzero(self, i: int, prefixes: Prefixes, texts: list[str]) -> list[Failed]:
        found = []
        for claim in self.plan.nonzeros:
            commitments = texts[3 * claim.number : 3 * claim.number + 3]
            _, challenge, _, _ = self.batch.ballots[i].nonzero[claim.number]
            expected = self.statement.nonzero(prefixes, claim, commitments)
            neutral = self.batch.commitments[i, claim.number].is_identity()
            if neutral or expected != challenge:
                found.append(self._failed("nonzero-proof", i, claim.question, "nonzero_proof"))
        return found


def _powers(bases: Elements, columns: list[int], exponents: Scalars) -> Elements:
    """Columns to their exponents; those of one column side by side, which share doublings."""
    order = np.argsort(columns, kind="stable")
    powers = bases[:, np.asarray(columns)[order]] ** exponents[:, order]
    return powers[:, np.argsort(order)]


def _replaced(whole: Elements, columns: list[int], part: Elements) -> Elements:
    """An array of shape (n, k) with some of its columns replaced."""
    width = whole.shape[1]
    order: NDArray[np.intp] = np.arange(width)
    order[columns] = np.arange(width, width + len(columns))
    return concatenate([whole, part], axis=1)[:, order]
