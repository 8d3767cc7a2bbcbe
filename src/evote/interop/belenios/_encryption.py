"""Ballots of version 1: encrypted, proven and signed, of many voters in one call.

Whoever made the ciphertexts knows the nonce R and the number v of every column, so that commitments
of all branches are powers of two fixed bases. For e, and c where a branch is not the true one:

    A = g^e      B = y^e g^((v - m) c)      r = e - R c

satisfy A = g^r alpha^c and B = y^r (beta / g^m)^c. In the true branch v = m, so that B does not
depend on c, which is what remains of the challenge.

Votes and nonces of ballots take tables and multi-exponentiations; voters' secrets, and the nonces
of their signatures, the constant-time path. Not promised: that Python's integers take as long
whatever they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evote._linear import hedged_nonces
from evote._terelius_wikstrom import hedged_rng
from evote.elgamal import Ciphertexts
from evote.errors import ShapeMismatch
from evote.groups import Elements, Rng, Scalars, Secrecy, concatenate
from evote.interop.belenios._election import Election
from evote.interop.belenios._forms import base64_digest, compact
from evote.interop.belenios._plan import Plan, make_plan
from evote.interop.belenios._shuffles import ciphertext_values
from evote.interop.belenios._statement import Statement, rows_of

__all__ = ["encrypt_ballots"]

_Integers = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Witness:
    """What the ciphertexts of n ballots hold, columns and products: shapes (n, columns)."""

    nonces: Scalars = field(repr=False)
    numbers: _Integers = field(repr=False)  # 0 where rankings are
    rng: Rng = field(repr=False)


def encrypt_ballots(
    election: Election,
    credentials: Sequence[str],
    secrets: Scalars,
    answers: Sequence[_Integers],
    *,
    rng: Rng | None = None,
) -> list[bytes]:
    """The ballots of n voters.

    Cost, a voter: for each choice 3 fixed-base powers, for each branch of a proof 3 more; a
    constant-time power.

    Args:
        election: of version 1, without lists.
        credentials, secrets: of the voters, n texts g^secret and shape (n,).
        answers: for each question an array of n rows: of a homomorphic one its choices, 0 or 1, the
            blank vote first where there is one; of others as many numbers, from 0 to 255, as there
            are answers. They are not checked: what is not allowed has no proof that holds.
        rng: of 32 bytes, which are hashed with secrets and answers.
    """
    plan, codec, n = make_plan(election), election.codec, len(secrets)
    for question, rows in zip(election.questions, answers, strict=True):
        width = question.answers if question.kind == "mixed" else question.choices
        if rows.shape != (n, width):
            raise ShapeMismatch(f"answers of shape {rows.shape}, not {(n, width)}")
    g, y = codec.group.generator, election.key
    drawn = hedged_rng(rng, secrets._secret_bytes(), *(rows.tobytes() for rows in answers))
    nonces = codec.group.random_scalars((n, plan.columns), secrecy=Secrecy.ONE_TIME, rng=drawn)
    numbers, messages = _messages(election, plan, answers)
    alpha, beta = g**nonces, y**nonces * messages
    statement = Statement(election, plan, credentials, alpha, beta)
    witness = _with_products(plan, nonces, numbers, drawn)
    proofs = _prove(statement, plan, witness)
    values = rows_of(
        ciphertext_values(codec, Ciphertexts(alpha=alpha.reshape(-1), beta=beta.reshape(-1))), n
    )
    unsigned = [
        {
            "election_uuid": election.uuid,
            "election_hash": election.fingerprint,
            "credential": credentials[i],
            "answers": _answers(election, plan, values[i], proofs[i]),
        }
        for i in range(n)
    ]
    return _sign(election, secrets, unsigned, rng)


def _messages(
    election: Election, plan: Plan, answers: Sequence[_Integers]
) -> tuple[_Integers, Elements]:
    """The numbers in columns, and what is encrypted: g^v, or the element of a ranking."""
    codec, n = election.codec, len(answers[0])
    columns = [
        np.zeros((n, 1), np.int64) if question.kind == "mixed" else rows
        for question, rows in zip(election.questions, answers, strict=True)
    ]
    numbers = np.concatenate(columns, axis=1).astype(np.int64)
    powers = codec.group.generator ** codec.group.scalars(numbers, secrecy=Secrecy.ONE_TIME)
    pieces = [
        codec.decode(codec.from_numbers(answers[i].tolist())).reshape((n, 1))
        if question.kind == "mixed"
        else powers[:, start:end]
        for i, (question, (start, end)) in enumerate(
            zip(election.questions, plan.ranges, strict=True)
        )
    ]
    return numbers, concatenate(pieces, axis=1)


def _with_products(plan: Plan, nonces: Scalars, numbers: _Integers, rng: Rng) -> _Witness:
    n = len(numbers)
    sums = [nonces[:, list(chosen)].sum(1).reshape((n, 1)) for chosen in plan.products]
    totals = [numbers[:, list(chosen)].sum(axis=1, keepdims=True) for chosen in plan.products]
    return _Witness(
        nonces=concatenate([nonces, *sums], axis=1),
        numbers=np.concatenate([numbers, *totals], axis=1),
        rng=rng,
    )


def _prove(statement: Statement, plan: Plan, witness: _Witness) -> list[list[dict[str, str]]]:
    """The proofs of each ballot, in the order of the plan."""
    n = len(statement.credentials)
    found: list[list[dict[str, str]]] = [[{}] * plan.proofs for _ in range(n)]
    pieces = [_disjunctions(statement, plan, witness), _rankings(statement, plan, witness)]
    for places, challenges, responses in pieces:
        c, r = challenges.publish().to_ints(), responses.publish().to_ints()
        for i in range(n):
            for k, place in enumerate(places):
                found[i][place] = {"challenge": str(c[i][k]), "response": str(r[i][k])}
    return found


def _disjunctions(
    statement: Statement, plan: Plan, witness: _Witness
) -> tuple[list[int], Scalars, Scalars]:
    """Which proofs, their challenges and responses: shapes (n, branches)."""
    election, group = statement.election, statement.alpha.group
    n = len(statement.credentials)
    branches = [branch for claim in plan.claims for branch in claim.branches]
    columns = [branch.column for branch in branches]
    shape = (n, len(branches))
    gaps = witness.numbers[:, columns] - np.array([branch.value for branch in branches], np.int64)
    chosen = _true_branches(plan, gaps)

    def secret(values: Any) -> Scalars:
        return group.scalars(values, secrecy=Secrecy.ONE_TIME)

    e, c = (group.random_scalars(shape, secrecy=Secrecy.ONE_TIME, rng=witness.rng) for _ in "ec")
    c = c * secret(1 - chosen)
    a = group.generator**e
    b = election.key**e * group.generator ** (secret(gaps) * c)
    pairs = concatenate([a.reshape((*shape, 1)), b.reshape((*shape, 1))], axis=2)
    texts = rows_of(election.codec.texts(pairs), n)
    wholes: list[list[int]] = []
    for i in range(n):
        prefixes, start = statement.prefixes(i), 0
        wholes.append([])
        for claim in plan.claims:
            end = start + 2 * len(claim.branches)
            wholes[i].append(statement.claim(i, prefixes, claim, texts[i][start:end]))
            start = end
    start, rests = 0, []
    for k, claim in enumerate(plan.claims):
        end = start + len(claim.branches)
        rest = group.scalars([row[k] for row in wholes]) - c[:, start:end].sum(1)
        rests.append(rest.reshape((n, 1)).broadcast_to((n, end - start)))
        start = end
    if rests:
        c = c + concatenate(rests, axis=1) * secret(chosen)
    return [branch.proof for branch in branches], c, e - witness.nonces[:, columns] * c


def _true_branches(plan: Plan, gaps: _Integers) -> _Integers:
    """1 at one branch of each claim, the first that holds; 0 elsewhere."""
    chosen = np.zeros_like(gaps)
    start = 0
    for claim in plan.claims:
        end = start + len(claim.branches)
        first = (gaps[:, start:end] == 0).argmax(axis=1)
        chosen[np.arange(len(gaps)), start + first] = 1
        start = end
    return chosen


def _rankings(
    statement: Statement, plan: Plan, witness: _Witness
) -> tuple[list[int], Scalars, Scalars]:
    """The same of the proofs that nonces are known."""
    election, group, n = statement.election, statement.alpha.group, len(statement.credentials)
    columns = [ranking.column for ranking in plan.rankings]
    w = group.random_scalars((n, len(columns)), secrecy=Secrecy.ONE_TIME, rng=witness.rng)
    texts = rows_of(election.codec.texts(group.generator**w), n)
    challenges = []
    for i in range(n):
        prefixes = statement.prefixes(i)
        pairs = zip(plan.rankings, texts[i], strict=True)
        challenges += [statement.ranking(i, prefixes, ranking, text) for ranking, text in pairs]
    c = group.scalars(challenges).reshape(w.shape)
    return [ranking.proof for ranking in plan.rankings], c, w - witness.nonces[:, columns] * c


def _answers(
    election: Election, plan: Plan, choices: list[Any], proofs: list[dict[str, str]]
) -> list[Any]:
    """The answers of one ballot, which take proofs in the order in which the plan numbers them."""
    answers: list[Any] = []
    waiting = iter(proofs)

    def take(count: int) -> list[dict[str, str]]:
        return [next(waiting) for _ in range(count)]

    for question, (start, end) in zip(election.questions, plan.ranges, strict=True):
        if question.kind == "mixed":
            answers.append({"choices": choices[start], "proof": next(waiting)})
            continue
        answer: dict[str, Any] = {
            "choices": choices[start:end],
            "individual_proofs": [take(2) for _ in range(start, end)],
            "overall_proof": take(question.high - question.low + 1 + question.blank),
        }
        if question.blank:
            answer["blank_proof"] = take(2)
        answers.append(answer)
    return answers


def _sign(
    election: Election, secrets: Scalars, unsigned: list[dict[str, Any]], rng: Rng | None
) -> list[bytes]:
    codec = election.codec
    hashes = [base64_digest(compact(ballot).encode()) for ballot in unsigned]
    w = hedged_nonces(
        codec.group,
        secrets.shape,
        Secrecy.LONG_TERM,
        secret=secrets._secret_bytes(),
        public=[text.encode() for text in hashes],
        rng=rng,
    )
    texts = codec.texts(codec.group.generator**w)
    challenges = [
        election.oracle.signature("sig", "", digest, text)
        for digest, text in zip(hashes, texts, strict=True)
    ]
    c = codec.group.scalars(challenges)
    r = (w - secrets * c).publish().to_ints()
    return [
        compact(
            ballot
            | {
                "signature": {
                    "hash": hashes[i],
                    "proof": {"challenge": str(challenges[i]), "response": str(r[i])},
                }
            }
        ).encode()
        for i, ballot in enumerate(unsigned)
    ]
