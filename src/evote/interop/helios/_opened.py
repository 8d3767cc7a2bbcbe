"""Audited ballots: what a voter had encrypted and opened, to see whether the browser cheats."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from evote.errors import DecodingError
from evote.groups import Elements, ModPGroup
from evote.interop._json import read_json
from evote.interop.helios._ballots import Vote, read_vote, verify_votes, vote_hashes
from evote.interop.helios._box import Box, ciphertexts
from evote.interop.helios._election import Election
from evote.interop.helios._forms import Failed, member, number, text, the_list

if TYPE_CHECKING:
    from evote.interop.helios._audit import Run

__all__ = ["verify_opened", "without_opening"]

_MAX_RANDOMNESS = 1 << 4096


def without_opening(answer: Any) -> Any:
    """An answer of an audited ballot, as it would have been cast."""
    if type(answer) is not dict:
        return answer
    return {k: v for k, v in answer.items() if k not in ("answer", "randomness")}


def verify_opened(run: Run, election: Election, key: Elements, box: Box, value: Any) -> bool:
    """Check a list of audited ballots: their hashes, proofs and openings, and that none is cast."""
    place = "audited_ballots.json"
    votes: list[Vote] = []
    openings: list[tuple[list[int], list[int]]] = []
    for i, item in enumerate(the_list(value, place)):
        where = f"{place}: $[{i}]"
        run.did("audit-form")
        try:
            vote, opening = _read(run, election, key, box, item, where)
        except Failed as error:
            run.did("audit-proof")
            run.fail("audit-proof", error)
        except DecodingError as error:
            run.fail("audit-form", error)
        else:
            votes.append(vote)
            openings.append(opening)
    if not votes:
        if not value:
            run.absent("no audited ballots", "audit-hash", "audit-proof", "audit-encryption")
            run.absent("no audited ballots", "audit-cast")
        return True
    run.did("audit-proof", len(votes))
    proved = verify_votes(
        box.layout, key, votes, lambda check, reason: run.fail("audit-proof", f"{check}: {reason}")
    )
    run.did("audit-encryption", len(votes))
    if not proved.kept:
        return True
    group = key.group
    messages = group.scalars([openings[i][0] for i in proved.kept])
    randomness = group.scalars([openings[i][1] for i in proved.kept])
    same = proved.alpha.equal_mask(group.generator**randomness)
    same &= proved.beta.equal_mask(key**randomness * group.generator**messages)
    for row in np.flatnonzero(~same.all(axis=1)).tolist():
        reason = "alpha = g^s, beta = y^s g^m do not hold"
        run.fail("audit-encryption", f"{votes[proved.kept[row]].where}: {reason}")
    return True


def _read(
    run: Run, election: Election, key: Elements, box: Box, item: Any, where: str
) -> tuple[Vote, tuple[list[int], list[int]]]:
    """A ballot, and for each of its choices what was encrypted and with what."""
    group = key.group
    assert isinstance(group, ModPGroup)
    expected = text(member(item, "vote_hash", where), where)
    raw = text(member(item, "raw_vote", where), where, max_length=2**24)
    opened = read_json(raw.encode("utf-8", "replace"), where=f"{where}.raw_vote")
    answers = the_list(member(opened, "answers", where), where)
    stripped = {**opened, "answers": [without_opening(answer) for answer in answers]}
    hashes = vote_hashes(stripped)
    run.expect("audit-hash", expected in hashes, f"{where}: not the hash of the ballot")
    same = (stripped.get("election_uuid"), stripped.get("election_hash"))
    if same != (election.uuid, election.digest):
        raise DecodingError("a ballot of another election", where=where)
    cast = box.hashes.intersection(hashes) or any(
        choice in box.cast for choice in ciphertexts(stripped)
    )
    run.expect("audit-cast", not cast, f"{where}: was cast too, so that its vote is known")
    vote = read_vote(election, box.layout, group, opened, where=f"{where}.raw_vote", opened=True)
    box.note(vote)
    messages: list[int] = []
    randomness: list[int] = []
    for j, (question, answer) in enumerate(zip(election.questions, answers, strict=True)):
        place = f"{where}.raw_vote.answers[{j}]"
        chosen = the_list(member(answer, "answer", place), place)
        allowed = range(question.answers)
        if any(type(k) is not int or k not in allowed for k in chosen):
            raise DecodingError("numbers of answers expected", where=f"{place}.answer")
        if len(set(chosen)) != len(chosen):
            raise DecodingError("an answer twice", where=f"{place}.answer")
        messages += [int(k in chosen) for k in allowed]
        nonces = the_list(member(answer, "randomness", place), place, question.answers)
        randomness += [
            int(number(nonce, f"{place}.randomness", below=_MAX_RANDOMNESS)) for nonce in nonces
        ]
    return vote, (messages, randomness)
