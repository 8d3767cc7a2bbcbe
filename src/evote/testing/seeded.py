"""Seeded errors: a finished record of any size, with one thing wrong that an auditor must find.

In a study of an auditor's work 37 errors were put into the data of real elections, of which 5 were
found. Here are the classes of such errors, one generator for each, made by an insider who has the
board's key and signs the changed log anew, and where a mix server cheats, that server's; but not
the keys of voters, authorities and trustees:

    for error in seeded.ERRORS:
        seeded.copy_record(record, copy)
        seeded.seed(copy, error, board=signer)
        assert error.check in {finding.check for finding in audit(copy).failures()}

The copy shares all files with the record but those that are changed, and only the end of the log
is written again, so that an error among a million ballots takes seconds. What cannot be wrong in a
record, such as a strike where nobody was struck, is a ParameterError that says so.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from evote.ballots import ballot_digest, encode_ballots, encrypt_ballots
from evote.board import BallotEntry, Confirm, NoteSigner, Seal, Strike, pack_rows, unpack_rows
from evote.contests import Contest
from evote.credentials import ballot_message, decode_row
from evote.election import ballot_context
from evote.elgamal import Ciphertexts, concatenate_ciphertexts, decode_ciphertexts, reencrypt
from evote.encoding import canonical_json, decode_base64url, encode_base64url, encode_hex
from evote.errors import ParameterError
from evote.mixing import Unit, make_step, mix_path, sign_step
from evote.operators import OperatorKey
from evote.record import RESULT, ROLL, TALLY, share_path
from evote.tally import file_digest, read_units
from evote.testing._forgery import Forgery

__all__ = ["ERRORS", "SeededError", "copy_record", "seed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SeededError:
    """A class of errors, and the check that must fail; what rests on it may fail as well."""

    name: str
    check: str
    make: Callable[[Forgery], None] = field(repr=False)


def copy_record(record: Path | str, copy: Path | str) -> None:
    """A record to put an error into: its files are hard links, where the file system has them."""
    shutil.copytree(record, copy, copy_function=_link)


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def seed(
    record: Path | str,
    error: SeededError,
    *,
    board: NoteSigner,
    mixers: Mapping[str, OperatorKey] | None = None,
) -> None:
    """Put an error into a finished record, in place; files that others share are not changed.

    Args:
        record: its directory.
        error: one of `ERRORS`.
        board: the key of the log.
        mixers: keys of mix servers by their ids; errors of mixing need that of the last one.

    Raises:
        ParameterError: there is nothing in the record that could be wrong in this way, and nothing
            was changed.
    """
    forgery = Forgery(record, board, mixers or {})
    error.make(forgery)
    forgery.finish()


# -- ballots and rulings ---------------------------------------------------------------------------


def _ballot(forgery: Forgery, place: int) -> tuple[BallotEntry, bytes]:
    entry, body = forgery.lines[place]
    assert isinstance(entry, BallotEntry)
    return entry, body


def _fewest(contest: Contest) -> list[int]:
    """The fewest marks that a contest allows."""
    if contest.kind == "ranking":
        return [i + 1 if i < contest.minimum else 0 for i in range(len(contest.options))]
    left, marks = contest.minimum, []
    for _ in contest.options:
        marks.append(min(left, contest.option_limit))
        left -= marks[-1]
    return marks


def _cast(forgery: Forgery, style: str, credential: bytes, key: Ed25519PrivateKey) -> None:
    """A new ballot with true proofs, signed by a key, after the last one."""
    context = ballot_context(forgery.manifest, forgery.key.element.encode(), forgery.election)
    contests = forgery.manifest.style_contests(style)
    marks = {contest.id: [_fewest(contest)] for contest in contests}
    ballots, _ = encrypt_ballots(context, style, [credential], marks)
    [body] = encode_ballots(context, ballots)
    digest = ballot_digest(body)
    entry = BallotEntry(
        action="cast",
        credential=credential,
        digest=digest,
        signature=key.sign(ballot_message(forgery.election, digest, "cast")),
    )
    [place] = forgery.last(BallotEntry)
    forgery.lines.insert(place + 1, (entry, body))


def _ghost(forgery: Forgery) -> None:
    """A ballot of somebody who is not on the roll, signed by a key of its own."""
    key = Ed25519PrivateKey.generate()
    style = forgery.manifest.styles[0].id
    _cast(forgery, style, key.public_key().public_bytes_raw(), key)


def _impostor(forgery: Forgery) -> None:
    """A later ballot of a voter, who has not signed it."""
    entry, body = _ballot(forgery, *forgery.last(BallotEntry))
    style = json.loads(body)["style"]
    _cast(forgery, style, entry.credential, Ed25519PrivateKey.generate())


def _removed(forgery: Forgery) -> None:
    """A ballot that was taken in is gone."""
    [place] = forgery.last(BallotEntry)
    del forgery.lines[place]


def _twice(forgery: Forgery) -> None:
    """A ballot stands in the log twice."""
    [place] = forgery.last(BallotEntry)
    forgery.lines.insert(place, forgery.lines[place])


def _exchanged(forgery: Forgery) -> None:
    """Two ballots have each other's voters."""
    i, j = forgery.last(BallotEntry, 2)
    (one, body_one), (two, body_two) = _ballot(forgery, i), _ballot(forgery, j)
    if one.credential == two.credential:
        raise ParameterError("the last two ballots are of one voter")
    forgery.lines[i] = replace(one, credential=two.credential), body_one
    forgery.lines[j] = replace(two, credential=one.credential), body_two


def _left_out(forgery: Forgery, kind: type[Strike | Confirm]) -> None:
    """A ruling is left out: who was struck counts, or who was confirmed does not."""
    [place] = forgery.last(kind)
    del forgery.lines[place]


def _spared(forgery: Forgery) -> None:
    """A name is taken off a strike."""
    [place] = forgery.last(Strike)
    strike = forgery.lines[place][0]
    assert isinstance(strike, Strike)
    rows = unpack_rows(strike.rows)
    if len(rows) < 2:
        raise ParameterError("the last strike is of one voter")
    forgery.lines[place] = replace(strike, rows=pack_rows(rows[:-1])), b""


def _added(forgery: Forgery) -> None:
    """A provisional voter, whom nobody confirmed, stands in a confirmation too."""
    [place] = forgery.last(Confirm)
    confirmed: set[int] = set()
    for entry, _ in forgery.lines:
        if isinstance(entry, Confirm):
            confirmed.update(unpack_rows(entry.rows).tolist())
    for row, data in enumerate(forgery.record.roll_rows()):
        if row not in confirmed and decode_row(data).status == "provisional":
            break
    else:
        raise ParameterError("all provisional voters were confirmed")
    confirm = forgery.lines[place][0]
    assert isinstance(confirm, Confirm)
    rows = sorted([*unpack_rows(confirm.rows).tolist(), row])
    forgery.lines[place] = replace(confirm, rows=pack_rows(rows)), b""


def _counted(forgery: Forgery, fate: Literal["struck", "superseded", "unconfirmed"]) -> None:
    """The seal counts a ballot that has another fate."""
    [place] = forgery.last(Seal)
    seal = forgery.lines[place][0]
    assert isinstance(seal, Seal)
    count = getattr(seal, fate)
    if not count:
        raise ParameterError(f"no ballot is {fate}")
    changed = replace(seal, counted=seal.counted + 1, **{fate: count - 1})
    forgery.lines[place] = changed, b""


def _registered(forgery: Forgery) -> None:
    """The roll has one voter more than rows."""
    header = forgery.json(ROLL)
    header["count"] += 1
    forgery.put(ROLL, canonical_json(header))


# -- counts ----------------------------------------------------------------------------------------


def _rows(forgery: Forgery, result: Any) -> list[dict[str, Any]]:
    """The rows of the contests that are summed, over at least one ballot."""
    rows = [row for row in result["contests"] if row["ballots"]]
    if not rows:
        raise ParameterError("no contest is summed")
    return rows


def _papers(forgery: Forgery, result: Any) -> list[dict[str, Any]]:
    """The rows of the contests that are mixed and whose marks are added up."""
    rows = [row for row in result.get("mixed", ()) if "votes" in row["count"]]
    if not rows:
        raise ParameterError("no contest is mixed and its marks added up")
    return rows


def _move(one: list[int], two: list[int]) -> bool:
    """Move a vote between two lists of votes; if they are one, to another option."""
    for i, count in enumerate(one):
        if count and (one is not two or len(one) > 1):
            one[i] -= 1
            two[i if one is not two else i - 1] += 1
            return True
    return False


def _moved(
    forgery: Forgery,
    pairs: Callable[[Forgery, Any], Sequence[tuple[list[int], list[int]]]],
) -> None:
    """The result has a vote moved from one of two places to the other."""
    result = forgery.json(RESULT)
    if not any(_move(one, two) for one, two in pairs(forgery, result)):
        raise ParameterError("there are no votes to move")
    forgery.publish(RESULT, result)


_Pairs = list[tuple[list[int], list[int]]]


def _options(forgery: Forgery, result: Any) -> _Pairs:
    return [(row["votes"], row["votes"]) for row in _rows(forgery, result)]


def _paper_options(forgery: Forgery, result: Any) -> _Pairs:
    votes = [row["count"]["votes"] for row in _papers(forgery, result)]
    return [(one, one) for one in votes]


def _districts(forgery: Forgery, result: Any) -> _Pairs:
    """Two districts' rows of one contest."""
    rows = _rows(forgery, result)
    pairs = [(one["votes"], two["votes"]) for one, two in pairwise(rows) if one["id"] == two["id"]]
    if not pairs:
        raise ParameterError("there are no results by district")
    return pairs


def _units(forgery: Forgery, result: Any) -> _Pairs:
    """Alike contests of two packs, as districts that are mixed apart have them."""
    packs = {name: pack.id for pack in forgery.manifest.packs for name in pack.contests}
    rows = _papers(forgery, result)
    pairs = [
        (one["count"]["votes"], two["count"]["votes"])
        for i, one in enumerate(rows)
        for two in rows[i + 1 : i + 3]
        if packs[one["id"]] != packs[two["id"]]
        and len(one["count"]["votes"]) == len(two["count"]["votes"])
    ]
    if not pairs:
        raise ParameterError("there are no two districts that are mixed apart and alike")
    return pairs


def _turnout(forgery: Forgery) -> None:
    """A contest of the result has one ballot more, on which nothing is marked."""
    result = forgery.json(RESULT)
    row = _rows(forgery, result)[0]
    contest = forgery.manifest.contest(row["id"])
    row["ballots"] += 1
    row["weight"] += 1
    row["undervotes"] += contest.maximum
    forgery.publish(RESULT, result)


def _more_papers(forgery: Forgery) -> None:
    """The same, of a contest that is mixed."""
    result = forgery.json(RESULT)
    row = _papers(forgery, result)[0]
    row["ballots"]["valid"] += 1
    row["count"]["undervotes"] += forgery.manifest.contest(row["id"]).maximum
    forgery.publish(RESULT, result)


def _more_votes(forgery: Forgery) -> None:
    """A sum has a vote more than the ballots."""
    tally = forgery.json(TALLY)
    row, group = _rows(forgery, tally)[0], forgery.manifest.group
    data = decode_base64url(row["ciphertexts"])
    size = 2 * group.element_size
    first = decode_ciphertexts(group, data[:size], allow_identity=True)
    more = Ciphertexts(alpha=first.alpha, beta=first.beta * group.generator)
    row["ciphertexts"] = encode_base64url(more.encode() + data[size:])
    forgery.publish(TALLY, tally)


def _decrypted(forgery: Forgery) -> None:
    """The last sum or paper is decrypted to something else: a share of it is replaced."""
    trustee = forgery.json(RESULT)["trustees"][-1:]
    if not trustee:
        raise ParameterError("nothing was decrypted")
    name, group = share_path(trustee[0]), forgery.manifest.group
    share = forgery.json(name)
    data, size = decode_base64url(share["shares"]), group.element_size
    last = group.decode_elements(data[-size:], (1,), allow_identity=True) * group.generator
    share["shares"] = encode_base64url(data[:-size] + last.encode())
    forgery.publish(name, share)


# -- mixing ----------------------------------------------------------------------------------------


class _LastStep:
    """What the last mix server made of the smallest unit, to be replaced."""

    def __init__(self, forgery: Forgery, fewest: int) -> None:
        self.forgery, self.cascade = forgery, forgery.cascade()
        units = read_units(forgery.manifest, forgery.record.tally_bytes())
        large = [(unit, len(steps)) for unit, steps in units if unit.ballots >= fewest]
        if not large:
            raise ParameterError(f"no papers are mixed, {fewest} or more together")
        self.unit, self.step = min(large, key=lambda item: item[0].ballots)
        self.key = forgery.mixer(self.step)
        self.value = forgery.json(mix_path(self.unit.number, self.step))
        width = forgery.manifest.pack_width(self.unit.pack)
        self._row = 2 * width * forgery.manifest.group.element_size

    def inputs(self) -> Ciphertexts:
        """What the server before put out."""
        if self.step < 2:
            raise ParameterError("there is one mix server only")
        before = self.forgery.json(mix_path(self.unit.number, self.step - 1))
        return self.cascade.decode(self.unit, decode_base64url(before["outputs"]))

    def row(self, number: int) -> Ciphertexts:
        """One paper that came out, shape (width,)."""
        data = decode_base64url(self.value["outputs"])[number * self._row :][: self._row]
        return decode_ciphertexts(self.forgery.manifest.group, data)

    def put_first(self, paper: Ciphertexts) -> None:
        """Sign a list whose first paper is another, under the proof of the true list."""
        outputs, proof = (decode_base64url(self.value[key]) for key in ("outputs", "proof"))
        outputs = paper.encode() + outputs[self._row :]
        digest = bytes.fromhex(self.value["inputs"])
        parts = (self.cascade, self.unit, self.step, digest, outputs, proof)
        self.put(self.unit, sign_step(*parts, self.key))

    def shuffle(self, unit: Unit, inputs: Ciphertexts) -> None:
        """Mix other papers than those that the server before put out, with a true proof."""
        self.put(unit, make_step(self.cascade, unit, self.step, inputs, self.key).data)

    def put(self, unit: Unit, data: bytes) -> None:
        """Replace the step, and have it tallied."""
        self.forgery.put(mix_path(unit.number, self.step), data)
        tally = self.forgery.json(TALLY)
        row = tally["units"][unit.number]
        row["ballots"], row["steps"][-1] = unit.ballots, encode_hex(file_digest(data))
        self.forgery.publish(TALLY, tally)


def _paper_replaced(forgery: Forgery) -> None:
    """A mix server puts out a paper with another content."""
    last = _LastStep(forgery, 1)
    paper, g = last.row(0), forgery.manifest.group.generator
    last.put_first(Ciphertexts(alpha=paper.alpha, beta=paper.beta * g))


def _paper_doubled(forgery: Forgery) -> None:
    """A mix server drops a paper and doubles another, encrypted again."""
    last = _LastStep(forgery, 2)
    last.put_first(reencrypt(last.cascade.key, last.row(1))[0])


def _not_mixed(forgery: Forgery) -> None:
    """A mix server leaves a paper out, and proves truly that it mixed the others."""
    last = _LastStep(forgery, 2)
    unit = replace(last.unit, ballots=last.unit.ballots - 1)
    last.shuffle(unit, last.inputs()[1:])


def _mixed_instead(forgery: Forgery) -> None:
    """A mix server takes in one paper twice in the place of another, and mixes truly."""
    last = _LastStep(forgery, 2)
    inputs = last.inputs()
    again, _ = reencrypt(last.cascade.key, inputs[1:2])
    last.shuffle(last.unit, concatenate_ciphertexts([again, inputs[1:]]))


def _error(name: str, check: str, make: Callable[[Forgery], None]) -> SeededError:
    return SeededError(name=name, check=check, make=make)


ERRORS: tuple[SeededError, ...] = (
    _error("ghost ballot", "ballots.credentials", _ghost),
    _error("ballot in a voter's name", "ballots.signatures", _impostor),
    _error("removed ballot", "seal.counted", _removed),
    _error("duplicate", "ballots.unique", _twice),
    _error("shuffled identifiers", "ballots.signatures", _exchanged),
    _error("vote replaced on paper, not removed", "seal.counted", partial(_left_out, kind=Strike)),
    _error("name taken off a strike", "policy.signatures", _spared),
    _error("confirmation left out", "seal.counted", partial(_left_out, kind=Confirm)),
    _error("name added to a confirmation", "policy.signatures", _added),
    _error("cancelled ballot counted", "seal.counted", partial(_counted, fate="struck")),
    _error("superseded ballot counted", "seal.counted", partial(_counted, fate="superseded")),
    _error("unconfirmed ballot counted", "seal.counted", partial(_counted, fate="unconfirmed")),
    _error("registered voters raised", "roll.form", _registered),
    _error("turnout raised", "result.totals", _turnout),
    _error("turnout raised, of papers", "result.votes", _more_papers),
    _error("count shifted between districts", "result.votes", partial(_moved, pairs=_districts)),
    _error("count shifted between units", "result.votes", partial(_moved, pairs=_units)),
    _error("vote moved between options", "result.votes", partial(_moved, pairs=_options)),
    _error("vote moved on papers", "result.votes", partial(_moved, pairs=_paper_options)),
    _error("vote added to a sum", "tally.sums", _more_votes),
    _error("decrypted to something else", "shares.proofs", _decrypted),
    _error("paper replaced in a mix", "mix.proofs", _paper_replaced),
    _error("paper dropped in a mix, another doubled", "mix.proofs", _paper_doubled),
    _error("paper left out of a mix", "mix.form", _not_mixed),
    _error("paper mixed in the place of another", "mix.proofs", _mixed_instead),
)
"""One of each class: those of a published study of what auditors do not notice, and of mixing."""
