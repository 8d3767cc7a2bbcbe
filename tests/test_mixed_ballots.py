"""Ballots with packs: bodies, the proof that a message is known, openings, and what size tells."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from evote import ballots as ballots_module
from evote._ballot_tables import read_nonces
from evote._mixed_ballots import commit_knowledge, encrypt_pack, respond_knowledge
from evote.ballots import (
    BallotContext,
    BallotPack,
    Ballots,
    PackBallots,
    ballots_hold,
    body_sizes,
    decode_ballots,
    encode_ballots,
    encrypt_ballots,
    false_claims,
    open_ballot,
    open_ballots,
    verify_ballots,
)
from evote.contests import Contest, Count, Option, Style
from evote.elgamal import Ciphertexts, decrypt, generate_key
from evote.encoding import (
    canonical_json,
    decode_base64url,
    digest,
    encode_base64url,
    uint32,
    xof,
)
from evote.errors import (
    DecodingError,
    InvalidProof,
    ParameterError,
    ShapeMismatch,
    VerificationError,
)
from evote.groups import Group, Secrecy, named_group, ristretto255
from evote.packing import Verdict
from evote.testing import tamper
from tests.test_ballots import contest, edited, voters

SECRET = generate_key(ristretto255)
RANKED = Contest(
    id="ward",
    title="WARD",
    kind="ranking",
    options=tuple(Option(id=f"o{i}", title=f"Option {i}") for i in range(4)),
    option_limit=3,
    minimum=0,
    maximum=3,
    count=Count(method="scottish-stv", seats=2),
)
NAMED = contest("party", "write-in", 2, 1, 0, 1, write_in=40, blank="counted")
TWIN = replace(RANKED, id="twin")
SUMMED = contest("bridge", "yes-no", 2, 1, 0, 1)
CONTESTS: tuple[Contest, ...] = (SUMMED, RANKED, NAMED, TWIN)
LONG = BallotPack(id="papers", contests=(RANKED, NAMED))
SHORT = BallotPack(id="again", contests=(TWIN,))
CONTEXT = BallotContext(
    key=SECRET.public,
    election_id=digest("test", b"election"),
    contests=CONTESTS,
    styles=(
        Style(id="full", contests=("ward", "party", "bridge", "twin")),
        Style(id="papers", contests=("ward", "party")),
        Style(id="papers-too", contests=("ward", "party")),
        Style(id="sums", contests=("bridge",)),
    ),
    packs=(LONG, SHORT),
)
MARKS: dict[str, Any] = {
    "ward": [[1, 2, 3, 0], [0, 0, 0, 0], [0, 1, 0, 0]],
    "party": [[0, 0], [0, 0], [0, 1]],
    "bridge": [[1, 0], [0, 1], [0, 0]],
    "twin": [[0, 0, 0, 1], [3, 2, 1, 0], [0, 0, 0, 0]],
}
BLANKS = {"party": [0, 1, 0]}
TEXTS = {"party": ["Grün und Weiß, lang wie sonst nichts", "", ""]}


def encrypted(style: str, context: BallotContext = CONTEXT) -> tuple[Ballots, list[bytes]]:
    """Three ballots of a style: rankings, a write-in, a declared blank, and nothing at all."""
    names = context.style(style).contests

    def own(choices: dict[str, Any]) -> dict[str, Any]:
        return {name: choices[name] for name in names if name in choices}

    return encrypt_ballots(context, style, voters(3), own(MARKS), own(BLANKS), own(TEXTS))


FULL, SEEDS = encrypted("full")
BODIES = encode_ballots(CONTEXT, FULL)
PAPERS, _ = encrypted("papers")
PAPERS_BODIES = encode_ballots(CONTEXT, PAPERS)


def failing(bodies: list[bytes], context: BallotContext = CONTEXT) -> list[int]:
    """The ballots whose proofs do not hold; all of them decode."""
    batch = decode_ballots(context, bodies)
    assert not batch.errors, batch.errors
    [(_, ballots)] = batch.batches
    wrong = np.flatnonzero(~ballots_hold(context, ballots)).tolist()
    assert [i for i, claims in enumerate(false_claims(context, ballots)) if claims] == wrong
    return list(wrong)


def with_pack(ballots: Ballots, place: int, **fields: Any) -> Ballots:
    packs = list(ballots.packs)
    packs[place] = replace(packs[place], **fields)
    return replace(ballots, packs=tuple(packs))


# -- what is honest passes -------------------------------------------------------------------------


@pytest.mark.parametrize("style", ["full", "papers", "sums"])
def test_round_trip(style: str) -> None:
    ballots, seeds = encrypted(style)
    verify_ballots(CONTEXT, ballots)
    bodies = encode_ballots(CONTEXT, ballots)
    [(positions, again)] = decode_ballots(CONTEXT, bodies).batches
    assert positions.tolist() == [0, 1, 2]
    assert again.packs == ballots.packs
    assert encode_ballots(CONTEXT, again) == bodies
    assert failing(bodies) == []
    size = body_sizes(ristretto255, CONTEXT.contests, CONTEXT.styles, CONTEXT.packs)[style]
    assert {len(body) for body in bodies} == {size}
    assert ("packs" in json.loads(bodies[0])) == (style != "sums")
    assert len(seeds) == 3


@pytest.mark.parametrize("name", ["P-256", "ffdhe2048"])
def test_other_groups(name: str) -> None:
    group = named_group(name)
    context = replace(CONTEXT, key=generate_key(group).public)
    bodies = encode_ballots(context, encrypted("papers", context)[0])
    assert failing(bodies, context) == []
    bodies[1] = edited(bodies[1], lambda body: body.update(credential=voters(1)[0].hex()))
    assert failing(bodies, context) == [1]


def messages(group: Group, part: PackBallots) -> list[bytes]:
    return list(group.decode_message(decrypt(SECRET, part.ciphertexts)))


def test_messages_say_what_was_chosen() -> None:
    [ward, party] = LONG.packing.unpack(messages(ristretto255, FULL.packs[0])).contests
    assert ward.selections.tolist() == MARKS["ward"]
    assert party.write_ins == tuple(TEXTS["party"])
    assert party.verdicts.tolist() == [Verdict.VALID, Verdict.BLANK, Verdict.VALID]
    [twin] = SHORT.packing.unpack(messages(ristretto255, FULL.packs[1])).contests
    assert twin.selections.tolist() == MARKS["twin"]


def test_no_ballots_and_some_of_them() -> None:
    none: dict[str, Any] = {"ward": np.zeros((0, 4)), "party": np.zeros((0, 2))}
    ballots, seeds = encrypt_ballots(CONTEXT, "papers", [], none)
    assert (len(ballots), seeds, encode_ballots(CONTEXT, ballots)) == (0, [], [])
    verify_ballots(CONTEXT, ballots)
    assert encode_ballots(CONTEXT, FULL.take([2, 0])) == [BODIES[2], BODIES[0]]
    assert failing([BODIES[2]]) == []


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"selections": {"ward": [[1, 1, 0, 0]]}}, "ward"),
        ({"selections": {"ward": [[2, 0, 0, 0]]}}, "ward"),
        ({"blanks": {"party": [1]}, "selections": {"party": [[1, 0]]}}, "party"),
        ({"write_ins": {"party": ["x" * 41]}}, "party"),
        ({"write_ins": {"party": ["a\x1b[2J"]}}, "party"),
        ({"write_ins": {"ward": ["Eve"]}}, "ward"),
        ({"write_ins": {"bridge": ["Eve"]}}, "'papers' has no contest 'bridge'"),
    ],
)
def test_the_rules_hold_before_encryption(change: dict[str, Any], reason: str) -> None:
    marks = {"ward": [[1, 2, 0, 0]], "party": [[0, 0]]} | change.get("selections", {})
    more = {key: value for key, value in change.items() if key != "selections"}
    with pytest.raises(ParameterError, match=reason):
        encrypt_ballots(CONTEXT, "papers", voters(1), marks, **more)


def test_arguments_that_do_not_fit() -> None:
    marks = {"ward": [[0] * 4] * 2, "party": [[0] * 2] * 2}
    with pytest.raises(ShapeMismatch, match="pack 'papers': 2 selections, 3 voters"):
        encrypt_ballots(CONTEXT, "papers", voters(3), marks)
    with pytest.raises(ShapeMismatch):
        PackBallots(
            pack=LONG,
            ciphertexts=FULL.packs[0].ciphertexts,
            commitments=FULL.packs[1].commitments,
            responses=FULL.packs[0].responses,
        )
    with pytest.raises(ParameterError, match="no ballots of style 'full' here"):
        ballots_hold(CONTEXT, replace(FULL, packs=FULL.packs[:1]))
    with pytest.raises(ParameterError, match="no ballots of style 'full' here"):
        ballots_hold(CONTEXT, replace(FULL, packs=FULL.packs[::-1]))


# -- the proof of knowledge ------------------------------------------------------------------------


@pytest.mark.parametrize("field", ["ciphertexts", "commitments", "responses"])
@pytest.mark.parametrize("place", [0, 1])
def test_every_element_and_scalar(place: int, field: str) -> None:
    """attacks: A3, A6. One ballot of three, which is named."""
    part = FULL.packs[place]
    tried = 0
    for where, changed in tamper.each_field(getattr(part, field), field):
        wrong = ballots_hold(CONTEXT, with_pack(FULL, place, **{field: changed}))
        assert np.count_nonzero(~wrong) == 1, where
        tried += 1
    width = part.ciphertexts.shape[1]
    assert tried == 3 * width * (2 if field == "ciphertexts" else 1)
    named = false_claims(CONTEXT, with_pack(FULL, place, **{field: changed}))
    assert f"pack {part.pack.id!r}, knowledge of its message" in named[2]


def _exchanged(one: Any, other: Any, *names: str) -> None:
    for name in names:
        one[name], other[name] = other[name], one[name]


@pytest.mark.parametrize("names", [("ciphertexts",), ("proof",), ("ciphertexts", "proof")])
def test_moved_to_another_voter(names: tuple[str, ...]) -> None:
    """attacks: D1, C1, A10"""
    one, other = json.loads(PAPERS_BODIES[0]), json.loads(PAPERS_BODIES[1])
    _exchanged(one["packs"][0], other["packs"][0], *names)
    moved = [canonical_json(one), canonical_json(other), PAPERS_BODIES[2]]
    assert failing(moved) == [0, 1]


def test_copied_to_another_voter() -> None:
    """attacks: D1, C1"""
    other = voters(4)[3].hex()
    copied = edited(PAPERS_BODIES[0], lambda body: body.update(credential=other))
    assert failing([PAPERS_BODIES[0], copied]) == [1]


def test_moved_to_another_election_style_key_or_rules() -> None:
    """attacks: A3, A10, C1"""
    other = replace(CONTEXT, election_id=digest("test", b"another"))
    assert "another election" in str(decode_ballots(other, PAPERS_BODIES).errors[0])
    moved = [edited(b, lambda v: v.update(election=other.election_id.hex())) for b in PAPERS_BODIES]
    assert failing(moved, other) == [0, 1, 2]
    moved = [edited(b, lambda v: v.update(style="papers-too")) for b in PAPERS_BODIES]
    assert failing(moved) == [0, 1, 2]
    key = generate_key(ristretto255).public
    assert failing(PAPERS_BODIES, replace(CONTEXT, key=key)) == [0, 1, 2]
    retitled = replace(LONG, contests=(replace(RANKED, title="Another question"), NAMED))
    assert failing(PAPERS_BODIES, replace(CONTEXT, packs=(retitled, SHORT))) == [0, 1, 2]
    renamed = replace(CONTEXT, packs=(replace(LONG, id="sheets"), SHORT))
    sheets = [edited(b, lambda v: v["packs"][0].update(id="sheets")) for b in PAPERS_BODIES]
    assert failing(sheets, renamed) == [0, 1, 2]


def test_moved_to_another_pack() -> None:
    """attacks: A10. Two packs of the same width on one ballot."""
    twins = (BallotPack(id="one", contests=(RANKED,)), BallotPack(id="two", contests=(TWIN,)))
    style = Style(id="both", contests=("ward", "twin"))
    context = replace(CONTEXT, styles=(style,), packs=twins)
    marks = {name: MARKS[name][:1] for name in ("ward", "twin")}
    [body] = encode_ballots(context, encrypt_ballots(context, "both", voters(1), marks)[0])
    assert failing([body], context) == []
    for names in (("ciphertexts",), ("proof",), ("ciphertexts", "proof")):
        moved = json.loads(body)
        _exchanged(*moved["packs"], *names)
        assert failing([canonical_json(moved)], context) == [0]


def test_elements_of_a_message_exchanged() -> None:
    """attacks: A10, D5. Their proofs go with them."""
    part = PAPERS.packs[0]
    turned = with_pack(
        PAPERS,
        0,
        ciphertexts=part.ciphertexts[:, ::-1],
        commitments=part.commitments[:, ::-1],
        responses=part.responses[:, ::-1],
    )
    assert not ballots_hold(CONTEXT, turned).any()


def test_a_summed_contest_of_another_choice() -> None:
    """attacks: C1. One challenge for all of a ballot: a pack does not go with other sums."""
    again, _ = encrypted("full")
    assert not ballots_hold(CONTEXT, replace(FULL, contests=again.contests)).any()
    assert not ballots_hold(CONTEXT, replace(FULL, packs=again.packs)).any()


@pytest.mark.parametrize("power", [1, 2, -1])
def test_a_power_of_a_victims_message(power: int) -> None:
    """attacks: D1, C2. The best that can be done: all of a ballot but the victim's nonces."""
    group, part = ristretto255, PAPERS.packs[0].take(np.array([0], dtype=np.intp))
    k, r = group.scalars(power), group.random_scalars(part.responses.shape)
    stolen = Ciphertexts(
        alpha=part.ciphertexts.alpha**k * group.generator**r,
        beta=part.ciphertexts.beta**k * SECRET.public.element**r,
    )
    attacker = replace(PAPERS.take([0]), credentials=(voters(4)[3],))
    # A true proof for nonces of the attacker's own, the victim's proof, and a scaled one.
    commitments, state = commit_knowledge(r.mark(Secrecy.ONE_TIME), context=b"")
    guess = group.random_scalars((1,)).publish()
    proofs = [
        (commitments, respond_knowledge(state, guess)),
        (part.commitments, part.responses),
        (part.commitments**k, part.responses * k),
    ]
    for a, s in proofs:
        forged = with_pack(attacker, 0, ciphertexts=stolen, commitments=a, responses=s)
        with pytest.raises(InvalidProof) as caught:
            verify_ballots(CONTEXT, forged)
        assert caught.value.indices == (0,)


def test_a_proof_without_its_challenge() -> None:
    """attacks: A1. Commitments chosen after the challenge, which then is another."""
    group, part = ristretto255, PAPERS.packs[0]
    s, c = group.random_scalars(part.responses.shape), group.random_scalars((3, 1))
    commitments = group.generator**s / part.ciphertexts.alpha**c
    forged = with_pack(PAPERS, 0, commitments=commitments, responses=s.publish())
    assert not ballots_hold(CONTEXT, forged).any()


# -- bodies ----------------------------------------------------------------------------------------


def _packs(edit: Callable[[list[Any]], Any]) -> Callable[[Any], Any]:
    def change(body: Any) -> None:
        edit(body["packs"])

    return change


MALFORMED: list[tuple[Callable[[Any], Any], str]] = [
    (lambda body: body.pop("packs"), "$"),
    (lambda body: body.update(packs=[]), "$.packs"),
    (lambda body: body.update(packs={}), "$.packs"),
    (_packs(lambda packs: packs.pop()), "$.packs"),
    (_packs(lambda packs: packs.append(packs[1])), "$.packs"),
    (_packs(lambda packs: packs.reverse()), "$.packs[0].id"),
    (_packs(lambda packs: packs[1].update(id="papers")), "$.packs[1].id"),
    (_packs(lambda packs: packs[0].update(more=0)), "$.packs[0]"),
    (_packs(lambda packs: packs[0].pop("proof")), "$.packs[0]"),
    (_packs(lambda packs: packs[0].update(proof="")), "$.packs[0].proof"),
    (_packs(lambda packs: packs[0].update(proof=packs[1]["proof"])), "$.packs[0].proof"),
    (
        _packs(lambda packs: packs[0].update(ciphertexts=packs[1]["ciphertexts"])),
        "$.packs[0].ciphertexts",
    ),
    (lambda body: body["contests"].append(body["packs"][0]), "$.contests"),
]


@pytest.mark.parametrize(("edit", "where"), MALFORMED)
def test_malformed_packs(edit: Callable[[Any], Any], where: str) -> None:
    """attacks: A11, F5, F6"""
    batch = decode_ballots(CONTEXT, [BODIES[0], edited(BODIES[1], edit)])
    error = batch.errors[1]
    assert isinstance(error, DecodingError)
    assert error.where == f"ballot 1: {where}"
    assert list(batch.errors) == [1]


def test_a_style_that_is_only_summed_has_no_packs() -> None:
    [body, *_] = encode_ballots(CONTEXT, encrypted("sums")[0])
    more: list[list[Any]] = [[], json.loads(BODIES[0])["packs"]]
    for packs in more:
        data = canonical_json({**json.loads(body), "packs": packs})
        assert "packs" in str(decode_ballots(CONTEXT, [data]).errors[0])


BAD_ELEMENTS = {"identity": bytes(32), "negative": (1).to_bytes(32, "little"), "ones": b"\xff" * 32}


@pytest.mark.parametrize("bad", BAD_ELEMENTS.values(), ids=BAD_ELEMENTS.keys())
@pytest.mark.parametrize("name", ["ciphertexts", "proof"])
def test_bad_elements_are_named_and_harm_nobody_else(name: str, bad: bytes) -> None:
    """attacks: B1, B6, B9"""

    def change(body: Any) -> None:
        data = decode_base64url(body["packs"][1][name])
        body["packs"][1][name] = encode_base64url(bad + data[32:])

    batch = decode_ballots(CONTEXT, [BODIES[0], edited(BODIES[1], change), BODIES[2]])
    assert {i: e.where for i, e in batch.errors.items() if isinstance(e, DecodingError)} == {
        1: f"ballot 1: $.packs[1].{name}"
    }
    [(positions, ballots)] = batch.batches
    assert positions.tolist() == [0, 2]
    assert encode_ballots(CONTEXT, ballots) == [BODIES[0], BODIES[2]]


def test_responses_are_canonical() -> None:
    """attacks: A6, B9"""

    def change(body: Any) -> None:
        data = decode_base64url(body["packs"][0]["proof"])
        last = int.from_bytes(data[-32:], "little") + ristretto255.order
        body["packs"][0]["proof"] = encode_base64url(data[:-32] + last.to_bytes(32, "little"))

    error = decode_ballots(CONTEXT, [edited(BODIES[0], change)]).errors[0]
    assert isinstance(error, DecodingError)
    assert error.where == "ballot 0: $.packs[0].proof"


# -- openings --------------------------------------------------------------------------------------


def opening(**changes: Any) -> dict[str, Any]:
    """Of the first ballot."""
    right: dict[str, Any] = {
        "seed": SEEDS[0],
        "selections": {name: rows[0] for name, rows in MARKS.items()},
        "blanks": {"party": 0},
        "write_ins": {"party": TEXTS["party"][0]},
    }
    merged = {**right, **changes}
    if "marks" in merged:
        merged["selections"] = {**right["selections"], **merged.pop("marks")}
    return merged


def test_openings() -> None:
    open_ballot(CONTEXT, BODIES[0], **opening())
    open_ballots(CONTEXT, FULL, SEEDS, MARKS, BLANKS, TEXTS)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"seed": SEEDS[1]}, "contest 'bridge'"),
        ({"marks": {"bridge": [0, 1]}}, "contest 'bridge'"),
        ({"marks": {"ward": [2, 1, 3, 0]}}, "pack 'papers'"),
        ({"marks": {"twin": [0, 0, 0, 0]}}, "pack 'again'"),
        ({"marks": {"party": [0, 1]}}, "an opening that no ballot can have"),
        ({"blanks": {"party": 1}, "write_ins": {"party": ""}}, "pack 'papers'"),
        ({"write_ins": {"party": ""}}, "pack 'papers'"),
        ({"write_ins": {}}, "pack 'papers'"),
        ({"write_ins": {"party": TEXTS["party"][0] + "."}}, "pack 'papers'"),
        ({"write_ins": {"party": "x" * 41}}, "an opening that no ballot can have"),
        ({"write_ins": {"ward": "Eve"}}, "an opening that no ballot can have"),
        ({"marks": {"ward": [1, 1, 0, 0]}}, "an opening that no ballot can have"),
    ],
)
def test_false_openings(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(VerificationError, match=reason):
        open_ballot(CONTEXT, BODIES[0], **opening(**changes))


def test_nonces_are_as_documented() -> None:
    """And depend on seed, election, voter, pack, position and message."""
    [message] = LONG.packing.pack(
        {"ward": MARKS["ward"][:1], "party": MARKS["party"][:1]},
        {"party": [0]},
        {"party": TEXTS["party"][:1]},
    )
    size = ristretto255.uniform_size
    place = (SEEDS[0], CONTEXT.election_id, FULL.credentials[0], b"papers")
    drawn = [
        xof("ballot-nonce", *place, uint32(p), message, b"mixed", length=size) for p in range(2)
    ]
    nonces = ristretto255.scalars_from_uniform(b"".join(drawn), (1, 2), secrecy=Secrecy.ONE_TIME)
    again = encrypt_pack(CONTEXT.key, LONG, [message], nonces)
    assert again == FULL.packs[0].ciphertexts[:1]


# -- nonces that repeat, sizes and costs -----------------------------------------------------------


def test_nonces_of_packs_are_looked_at() -> None:
    """attacks: A9. All alphas and all commitments of a ballot, those of packs last."""
    [(ciphertexts, commitments)] = read_nonces(CONTEXT, BODIES[:1])
    assert len(ciphertexts) == 32 * (2 + 2 + 1)
    assert len(commitments) == 32 * (2 * 2 + 2 + 2 + 1)
    assert ciphertexts[64:128] == FULL.packs[0].ciphertexts.alpha[0].encode()
    assert ciphertexts[128:] == FULL.packs[1].ciphertexts.alpha[0].encode()
    ends = FULL.packs[0].commitments[0].encode() + FULL.packs[1].commitments[0].encode()
    assert commitments.endswith(ends)
    [nonces] = decode_ballots(CONTEXT, BODIES[:1]).nonces
    assert (nonces.ciphertexts.tobytes(), nonces.commitments.tobytes()) == (
        ciphertexts,
        commitments,
    )
    assert not any(rows.repeat(32).any() for rows in decode_ballots(CONTEXT, BODIES).nonces)


@pytest.mark.parametrize("what", ["ciphertexts", "proofs"])
def test_a_nonce_used_for_two_elements(monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    """attacks: A9. Within a pack, and between packs; every proof holds."""
    group = ristretto255
    same = group.random_scalars((), secrecy=Secrecy.ONE_TIME)

    def nonces(group: Group, election: bytes, pack: BallotPack, voters: Any, *rest: Any) -> Any:
        return same.broadcast_to((len(voters), pack.width(group)))

    def commit(r: Any, *, context: bytes, rng: Any = None) -> Any:
        _, state = commit_knowledge(r, context=context, rng=rng)
        state = state._replace(proof_nonces=same.broadcast_to(r.shape))
        return group.generator**state.proof_nonces, state

    if what == "ciphertexts":
        monkeypatch.setattr(ballots_module, "pack_nonces", nonces)
    else:
        monkeypatch.setattr(ballots_module, "commit_knowledge", commit)
    ballots, _ = encrypted("full")
    verify_ballots(CONTEXT, ballots)
    [rows] = decode_ballots(CONTEXT, encode_ballots(CONTEXT, ballots)).nonces
    assert rows.repeat(32).all()


def test_a_frozen_generator_repeats_no_commitment() -> None:
    """attacks: A9. Another voter, seed, message, or choice in a contest beside the pack."""
    marks: dict[str, Any] = {name: rows[:1] for name, rows in MARKS.items()}
    seen: set[bytes] = set()
    tried = 0
    for voter, seed, change in [
        (0, 0, {}),
        (1, 0, {}),
        (0, 1, {}),
        (0, 0, {"ward": [[2, 1, 3, 0]]}),
        (0, 0, {"bridge": [[0, 1]]}),
    ]:
        ballots, _ = encrypt_ballots(
            CONTEXT,
            "full",
            voters(2)[voter : voter + 1],
            marks | change,
            seeds=[bytes([seed]) * 32],
            rng=lambda n: bytes(n),
        )
        for part in ballots.packs:
            data = part.commitments.encode()
            seen |= {data[i : i + 32] for i in range(0, len(data), 32)}
            tried += len(data) // 32
    assert len(seen) == tried == 5 * 3


def test_size_and_steps_do_not_depend_on_the_choice() -> None:
    """attacks: C17"""
    sizes, costs = set(), set()
    for i in range(3):
        marks = {name: MARKS[name][i : i + 1] for name in ("ward", "party")}
        with ristretto255.count() as count:
            ballots, _ = encrypt_ballots(
                CONTEXT,
                "papers",
                voters(1),
                marks,
                {"party": BLANKS["party"][i : i + 1]},
                {"party": TEXTS["party"][i : i + 1]},
            )
            [body] = encode_ballots(CONTEXT, ballots)
        sizes.add(len(body))
        costs.add((count.fixed, count.variable, count.constant_time, count.multiexp_terms))
    assert len(sizes) == 1
    assert costs == {(3 * 2, 0, 0, 0)}  # g^r, y^r and g^t of each element


def test_states_show_no_nonce() -> None:
    """attacks: E9"""
    r = ristretto255.random_scalars((2, 1), secrecy=Secrecy.ONE_TIME)
    _, state = commit_knowledge(r, context=b"")
    assert repr(state) == "<the state of 2 proofs>"
    with pytest.raises(ParameterError):
        commit_knowledge(r, context=b"", rng=lambda n: b"")
    assert respond_knowledge(state, ristretto255.random_scalars((2,)).publish()).shape == (2, 1)
