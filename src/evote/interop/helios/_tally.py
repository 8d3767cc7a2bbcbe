"""The decryption of the sums by all trustees, and the result.

a, b = products of the counted ballots' choices        f = a^x of each trustee
g^r = A y^c,  a^r = B f^c,  c = SHA-1("A,B")           g^result prod f = b
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from evote._batch import Equations, verify_batch
from evote.errors import DecodingError
from evote.groups import Elements, ModPGroup
from evote.interop.helios._election import Election, Trustees
from evote.interop.helios._forms import Failed, member, number, sha1_number, shown, the_list

__all__ = ["check_result", "read_result", "verify_decryptions"]


def _decimal(value: Any) -> Any:
    """Very old records have JSON's own numbers for factors; they are the same numbers."""
    return str(value) if type(value) is int else value


def verify_decryptions(
    election: Election,
    trustees: Trustees,
    sums: Elements,
    fail: Callable[[str, str], None],
    did: Callable[[str, int], None],
) -> Elements | None:
    """All trustees' factors multiplied, shape (answers,), if every one of them can be read.

    Args:
        sums: the products of the alphas, shape (answers,).

    Raises:
        Failed: what is there cannot be read.
    """
    group = trustees.keys.group
    assert isinstance(group, ModPGroup)
    width, places = group.element_size, _places(election)
    data: list[bytes] = []
    scalars: list[list[list[int]]] = []
    for t, (factors, proofs) in enumerate(trustees.decryptions):
        rows: list[list[int]] = []
        for name, value in (("factors", factors), ("proofs", proofs)):
            where = f"trustees: $[{t}].decryption_{name}"
            check = "decryption-factors" if name == "factors" else "decryption-proof"
            try:
                _check_shape(election, value, where)
            except DecodingError as error:
                raise Failed(check, error.reason, where=error.where) from None
        for i, j in places:
            where = f"trustees: $[{t}].decryption_proofs[{i}][{j}]"
            factor = _decimal(factors[i][j])
            try:
                f = number(factor, where.replace("proofs", "factors"), below=group.p, least=1)
            except DecodingError as error:
                raise Failed("decryption-factors", error.reason, where=error.where) from None
            try:
                commitment = member(proofs[i][j], "commitment", where)
                pair = [member(commitment, part, where) for part in "AB"]
                a, b = (number(x, where, below=group.p, least=1) for x in pair)
                challenge = int(
                    number(member(proofs[i][j], "challenge", where), where, below=1 << 160)
                )
                response = int(
                    number(member(proofs[i][j], "response", where), where, below=group.q)
                )
            except DecodingError as error:
                raise Failed("decryption-proof", error.reason, where=error.where) from None
            if challenge != sha1_number(*pair):
                reason = "the challenge is not the hash of the commitments"
                raise Failed("decryption-proof", reason, where=where)
            data += [x.to_bytes(width, "big") for x in (f, a, b)]
            rows.append([challenge, response])
        scalars.append(rows)
    shape = (len(trustees), len(places))
    try:
        elements = group.decode_elements(b"".join(data), (*shape, 3), allow_identity=True)
    except DecodingError as error:
        index, part = divmod(error.indices[0], 3)
        t, k = divmod(index, len(places))
        where = f"trustees: $[{t}], question {places[k][0]}, answer {places[k][1]}"
        check = "decryption-proof" if part else "decryption-factors"
        raise Failed(check, "not in the group", where=where) from None
    did("decryption-factors", elements.size // 3)
    parts = group.scalars(scalars)
    c, r = parts[..., 0], parts[..., 1]
    factors_, a_, b_ = elements[..., 0], elements[..., 1], elements[..., 2]
    keys = trustees.keys.reshape((len(trustees), 1))
    equations = Equations(
        group=group,
        shape=shape,
        relations=(
            ((a_, None), (keys, c), (group.generator, -r)),
            ((b_, None), (factors_, c), (sums, -r)),
        ),
    )
    did("decryption-proof", len(trustees) * len(places))
    for t in np.flatnonzero(~verify_batch([equations])).tolist():
        for k in np.flatnonzero(~equations.take(np.array([t])).hold()[0]).tolist():
            i, j = places[k]
            fail(
                "decryption-proof",
                f"trustees: $[{t}].decryption_proofs[{i}][{j}]: the proof does not hold",
            )
    return factors_.prod(0)


def _places(election: Election) -> list[tuple[int, int]]:
    return [(i, j) for i, q in enumerate(election.questions) for j in range(q.answers)]


def _check_shape(election: Election, value: Any, where: str) -> None:
    rows = the_list(value, where, len(election.questions))
    for i, (row, question) in enumerate(zip(rows, election.questions, strict=True)):
        the_list(row, f"{where}[{i}]", question.answers)


def read_result(election: Election, value: Any, counted: int, *, where: str) -> list[int]:
    """The votes of every answer, in one row.

    Raises:
        DecodingError: another form, or more votes than ballots.
    """
    _check_shape(election, value, f"{where}: $")
    votes: list[int] = [votes for row in value for votes in row]
    for found in votes:
        if type(found) is not int or not 0 <= found <= counted:
            reason = f"integers from 0 to {counted} expected, got {shown(found)}"
            raise DecodingError(reason, where=f"{where}: $")
    return votes


def check_result(
    election: Election, sums: Elements, factors: Elements, value: Any, counted: int, *, where: str
) -> list[str]:
    """Where the result is not what was decrypted; `sums` are the products of the betas."""
    votes = read_result(election, value, counted, where=where)
    group = sums.group
    same = (group.generator ** group.scalars(votes) * factors).equal_mask(sums)
    places = _places(election)
    return [
        f"{where}: $[{places[k][0]}][{places[k][1]}]: {votes[k]} is not what was decrypted"
        for k in np.flatnonzero(~same).tolist()
    ]
