"""Partial decryptions, their combination, and the result.

    f = alpha^x     A = g^r X^c     B = alpha^r f^c     c = H(phi, X, A, B)

The factors of a part with a threshold are combined from the first t that are valid:
F = prod f_j^lambda_j, with lambda_j = prod_{k != j} k / (k - j).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from evote.elgamal import Ciphertexts
from evote.errors import DecodingError
from evote.groups import Elements, concatenate
from evote.interop.belenios._codec import Codec
from evote.interop.belenios._election import Election, decode_weight
from evote.interop.belenios._forms import Failed, fields, items, parse
from evote.interop.belenios._shuffles import owned_message
from evote.interop.belenios._tally import nested
from evote.interop.belenios._trustees import Owner, Trustees
from evote.threshold import lagrange_coefficients

__all__ = ["Share", "check_result", "check_share", "combine", "missing_shares", "read_result"]

CHECK = "partial-decryption"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Share:
    """The factors of one trustee for all ciphertexts in a row, proven."""

    owner: int  # from 1
    factors: Elements


def check_share(
    data: bytes, election: Election, trustees: Trustees, owner: int, tally: list[Ciphertexts]
) -> Share:
    """Read a partial decryption and check all its proofs.

    Raises:
        Failed: `partial-decryption`.
    """
    name = f"partial decryption of trustee {owner}"
    codec, trustee = election.codec, trustees.owners[owner - 1]
    try:
        value = owned_message(data, election, trustee, "partial_decryption", CHECK, name)
        if election.version == 1:
            found = fields(value, name, "decryption_factors", "decryption_proofs")
            factors = _in_a_row(found["decryption_factors"], election, tally, name)
            proofs = _in_a_row(found["decryption_proofs"], election, tally, name)
        else:
            pairs = [
                fields(item, name, "factor", "proof")
                for item in _in_a_row(value, election, tally, name)
            ]
            factors, proofs = [p["factor"] for p in pairs], [p["proof"] for p in pairs]
        elements = codec.elements(factors, name)
        numbers = [codec.proof(proof, name) for proof in proofs]
    except DecodingError as error:
        raise Failed(CHECK, str(error)) from None
    wrong = _failing(election, trustee, _alphas(tally, codec), elements, numbers)
    if wrong:
        shown = ", ".join(map(str, wrong[:10]))
        raise Failed(CHECK, f"{name}: the proof does not hold at {shown}")
    return Share(owner=owner, factors=elements)


def _in_a_row(value: Any, election: Election, tally: list[Ciphertexts], place: str) -> list[Any]:
    """Entries of the shape of the tally, in a row."""
    found: list[Any] = []
    outer = items(value, place, len(election.questions))
    for question, item, ciphertexts in zip(election.questions, outer, tally, strict=True):
        if question.kind == "mixed":
            found += items(item, place, len(ciphertexts))
        else:
            found += nested(item, question.rows, question.kind == "lists", place)
    return found


def _alphas(tally: list[Ciphertexts], codec: Codec) -> Elements:
    return concatenate([codec.group.identity((0,)), *(part.alpha for part in tally)])


def _failing(
    election: Election,
    trustee: Owner,
    alphas: Elements,
    factors: Elements,
    proofs: list[tuple[int, int]],
) -> list[int]:
    codec = election.codec
    if not proofs:
        return []
    c = codec.scalars([challenge for challenge, _ in proofs])
    r = codec.scalars([response for _, response in proofs])
    a = codec.texts(codec.group.generator**r * trustee.key**c)
    b = codec.texts(alphas**r * factors**c)
    message = f"{election.fingerprint}"
    [key] = codec.texts(trustee.key)
    return [
        i
        for i, (first, second, (challenge, _)) in enumerate(zip(a, b, proofs, strict=True))
        if election.oracle.proof("decrypt", message, f"{first},{second}", key) != challenge
    ]


def missing_shares(trustees: Trustees, shares: list[Share]) -> list[tuple[str, str]]:
    """What is missing for a result, part by part: the check that fails, and why."""
    missing = []
    for i, part in enumerate(trustees.parts):
        present = [s.owner for s in shares if trustees.owners[s.owner - 1].part == i]
        if len(present) < part.threshold:
            numbers = [k for k, owner in enumerate(trustees.owners, 1) if owner.part == i]
            names = f"trustee {numbers[0]}" if part.size == 1 else f"trustees {numbers}"
            needed = f"{len(present)} valid of {part.threshold} that are needed"
            kind = "missing" if part.size == 1 else "threshold"
            missing.append((f"{CHECK}-{kind}", f"{names}: {needed}"))
    return missing


def combine(trustees: Trustees, shares: list[Share], codec: Codec) -> Elements:
    """F, of all ciphertexts in a row; enough shares are there."""
    group = codec.group
    factors = []
    for i, part in enumerate(trustees.parts):
        chosen = [s for s in shares if trustees.owners[s.owner - 1].part == i]
        chosen.sort(key=lambda share: share.owner)
        chosen = chosen[: part.threshold]
        if part.size == 1:
            factors.append(chosen[0].factors)
            continue
        indices = [trustees.owners[share.owner - 1].index for share in chosen]
        matrix = concatenate([share.factors.reshape((1, -1)) for share in chosen])
        exponents = lagrange_coefficients(group, indices, part.size).reshape((len(indices), 1))
        factors.append(group.multiexp(matrix, exponents, axis=0))
    return concatenate([f.reshape((1, f.size)) for f in factors]).prod(0)


def read_result(data: bytes) -> list[Any]:
    """The entries of a result, one for each question; their shapes are checked with the values."""
    found = fields(parse(data, "result"), "result", "result")
    return items(found["result"], "result")


def check_result(
    entries: list[Any], election: Election, tally: list[Ciphertexts], factors: Elements
) -> list[str]:
    """Compare a result with what the tally decrypts to; where plaintexts are not written as usual.

    Raises:
        Failed: `result`.
    """
    codec, start, odd = election.codec, 0, []
    try:
        items(entries, "result", len(election.questions))
        for i, (question, part) in enumerate(zip(election.questions, tally, strict=True)):
            place = f"result[{i}]"
            messages = part.beta / factors[start : start + len(part)]
            start += len(part)
            if question.kind == "mixed":
                odd += _check_rows(entries[i], messages, question.answers, codec, place)
                continue
            flat = nested(entries[i], question.rows, question.kind == "lists", place)
            counts = [decode_weight(count, election.version, place) for count in flat]
            right = (codec.group.generator ** codec.scalars(counts)).equal_mask(messages)
            if not right.all():
                wrong = [k for k, good in enumerate(right) if not good]
                raise Failed("result", f"{place}: another count at {wrong[:10]}")
    except DecodingError as error:
        raise Failed("result", str(error)) from None
    return odd


def _check_rows(
    value: Any, messages: Elements, answers: int, codec: Codec, place: str
) -> list[str]:
    rows = items(value, place, len(messages))
    decoded = codec.to_numbers(messages, answers)
    for k, (row, numbers) in enumerate(zip(rows, decoded, strict=True)):
        entries = items(row, f"{place}[{k}]", answers)
        if any(type(x) is not int for x in entries) or entries != numbers:
            raise Failed("result", f"{place}[{k}]: not what the ciphertext decrypts to")
    encodings = codec.from_numbers(decoded)
    data, width = messages.encode(), codec.group.element_size
    return [
        f"{place}[{k}]"
        for k, encoding in enumerate(encodings)
        if data[k * width : (k + 1) * width] != encoding
    ]
