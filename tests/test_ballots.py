"""Ballots: encryption, bodies, proofs bound to their place, openings."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from evote import _ballot_tables as tables_module
from evote import ballots as module
from evote.ballots import (
    BallotContext,
    Ballots,
    ballot_digest,
    ballot_equations,
    ballot_tracker,
    ballots_hold,
    decode_ballots,
    encode_ballots,
    encrypt_ballots,
    false_claims,
    open_ballot,
    open_ballots,
    verify_ballots,
)
from evote.contests import Contest, Option, Style
from evote.elgamal import (
    Ciphertexts,
    PublicKey,
    decrypt,
    encrypt_exponential_with_nonces,
    generate_key,
)
from evote.encoding import (
    canonical_json,
    decode_base64url,
    digest,
    encode_base64url,
    parse_json,
    xof,
)
from evote.errors import (
    DecodingError,
    EvoteError,
    InvalidProof,
    ParameterError,
    ShapeMismatch,
    UnsupportedError,
    VerificationError,
)
from evote.groups import Elements, Scalars, named_group, ristretto255

SECRET = generate_key(ristretto255)


def contest(
    name: str, kind: Any, count: int, limit: int, low: int, high: int, **more: Any
) -> Contest:
    return Contest(
        id=name,
        title=name.upper(),
        kind=kind,
        options=tuple(Option(id=f"o{i}", title=f"Option {i}") for i in range(count)),
        option_limit=limit,
        minimum=low,
        maximum=high,
        **more,
    )


CONTESTS = (
    contest("mayor", "plurality", 3, 1, 0, 1),
    contest("measure", "yes-no", 2, 1, 1, 1),
    contest("measure-2", "yes-no", 2, 1, 1, 1),
    contest("committee", "approval", 3, 1, 0, 3),
    contest("council", "limited", 4, 1, 1, 2, blank="counted"),
    contest("budget", "cumulative", 3, 2, 0, 3),
    contest("film", "score", 2, 3, 0, 6),
)
STYLES = (
    *(Style(id=f"only-{c.id}", contests=(c.id,)) for c in CONTESTS),
    Style(id="full", contests=tuple(c.id for c in CONTESTS)),
    Style(id="two", contests=("measure", "measure-2")),
    Style(id="two-again", contests=("measure", "measure-2")),
    Style(id="two-turned", contests=("measure-2", "measure")),
)
CONTEXT = BallotContext(
    key=SECRET.public, election_id=digest("test", b"election"), contests=CONTESTS, styles=STYLES
)
ALLOWED: dict[str, tuple[list[list[int]], list[int]]] = {
    "mayor": ([[0, 0, 0], [1, 0, 0], [0, 0, 1]], [0, 0, 0]),
    "measure": ([[1, 0], [0, 1], [1, 0]], [0, 0, 0]),
    "measure-2": ([[0, 1], [0, 1], [1, 0]], [0, 0, 0]),
    "committee": ([[0, 0, 0], [1, 1, 1], [0, 1, 0]], [0, 0, 0]),
    "council": ([[0, 0, 0, 0], [1, 0, 0, 1], [0, 1, 0, 0]], [1, 0, 0]),
    "budget": ([[0, 0, 0], [2, 1, 0], [1, 1, 1]], [0, 0, 0]),
    "film": ([[0, 0], [3, 3], [2, 0]], [0, 0, 0]),
}
SELECTIONS = {name: marks for name, (marks, _) in ALLOWED.items()}
BLANKS = {"council": ALLOWED["council"][1]}


def voters(count: int) -> list[bytes]:
    return [digest("test", b"voter", bytes([i])) for i in range(count)]


def encrypted(style: str, context: BallotContext = CONTEXT) -> tuple[Ballots, list[bytes]]:
    """Three ballots of a style, with everything that is allowed at the edges."""
    names = context.style(style).contests
    return encrypt_ballots(
        context,
        style,
        voters(3),
        {name: SELECTIONS[name] for name in names},
        {name: BLANKS[name] for name in names if name in BLANKS},
    )


FULL, FULL_SEEDS = encrypted("full")
FULL_BODIES = encode_ballots(CONTEXT, FULL)
SMALL, SMALL_SEEDS = encrypted("only-measure")
SMALL_BODIES = encode_ballots(CONTEXT, SMALL)
TWO_BODIES = encode_ballots(CONTEXT, encrypted("two")[0])


def decoded(bodies: list[bytes], context: BallotContext = CONTEXT) -> Ballots:
    """Ballots of one style, all of which decode."""
    batch = decode_ballots(context, bodies)
    assert not batch.errors, batch.errors
    [(positions, ballots)] = batch.batches
    assert positions.tolist() == list(range(len(bodies)))
    return ballots


def failing(bodies: list[bytes], context: BallotContext = CONTEXT) -> tuple[int, ...]:
    """The ballots whose proofs do not hold, once all have been decoded."""
    return tuple(np.flatnonzero(~ballots_hold(context, decoded(bodies, context))).tolist())


def edited(body: bytes, edit: Callable[[Any], None]) -> bytes:
    value = json.loads(body)
    edit(value)
    return canonical_json(value)


# What is honest passes.


@pytest.mark.parametrize("style", [style.id for style in STYLES])
def test_every_kind_of_contest(style: str) -> None:
    ballots, seeds = encrypted(style)
    verify_ballots(CONTEXT, ballots)
    assert len(ballots) == 3
    assert len({*seeds}) == 3
    bodies = encode_ballots(CONTEXT, ballots)
    again = decoded(bodies)
    assert again.style == style
    assert again.credentials == tuple(voters(3))
    verify_ballots(CONTEXT, again)
    assert encode_ballots(CONTEXT, again) == bodies
    for name in CONTEXT.style(style).contests:
        marks, blanks = ALLOWED[name]
        plain = np.array(marks)
        if name in BLANKS:
            plain = np.column_stack([plain, blanks])
        powers = ristretto255.generator ** ristretto255.scalars(plain)
        assert decrypt(SECRET, again.ciphertexts(name)) == powers


@pytest.mark.parametrize(
    "group",
    [ristretto255.with_backend("python"), named_group("rfc3526-2048")],
    ids=["ristretto255-python", "rfc3526-2048"],
)
def test_other_groups_and_backends(group: Any) -> None:
    secret = generate_key(group)
    context = replace(CONTEXT, key=secret.public)
    ballots, seeds = encrypt_ballots(
        context, "only-council", voters(1), {"council": [[0, 1, 0, 1]]}
    )
    bodies = encode_ballots(context, ballots)
    again = decoded(bodies, context)
    verify_ballots(context, again)
    open_ballots(context, again, seeds, {"council": [[0, 1, 0, 1]]})
    assert failing([_swap_voter(bodies[0])], context) == (0,)


def _swap_voter(body: bytes) -> bytes:
    return edited(body, lambda b: b.update(credential=voters(9)[8].hex()))


def test_backends_agree_on_every_byte() -> None:
    """Same seeds and same bytes from the outside: same ballots, whichever backend."""
    bodies = set()
    for backend in ("python", "gmp", ristretto255.backend):
        group = ristretto255.with_backend(backend)
        key = group.decode_elements(SECRET.public.element.encode(), ())
        context = replace(CONTEXT, key=replace(SECRET.public, element=key))
        ballots, _ = encrypt_ballots(
            context,
            "only-measure",
            voters(1),
            {"measure": [[1, 0]]},
            seeds=[bytes(32)],
            rng=lambda n: bytes(n),
        )
        bodies.update(encode_ballots(context, ballots))
    assert len(bodies) == 1


def test_no_ballots() -> None:
    ballots, seeds = encrypt_ballots(
        CONTEXT, "only-measure", [], {"measure": np.empty((0, 2), dtype=np.int64)}
    )
    assert (len(ballots), seeds) == (0, [])
    assert encode_ballots(CONTEXT, ballots) == []
    verify_ballots(CONTEXT, ballots)
    assert ballots_hold(CONTEXT, ballots).shape == (0,)
    open_ballots(CONTEXT, ballots, [], {"measure": np.empty((0, 2), dtype=np.int64)})
    batch = decode_ballots(CONTEXT, [])
    assert (batch.batches, batch.errors) == ((), {})


def test_one_ballot_is_a_batch_of_one() -> None:
    for i, body in enumerate(FULL_BODIES):
        alone = decoded([body])
        verify_ballots(CONTEXT, alone)
        assert encode_ballots(CONTEXT, FULL.take([i])) == [body]


def test_styles_mixed_in_one_batch() -> None:
    bodies = [FULL_BODIES[0], SMALL_BODIES[0], b"{}", FULL_BODIES[1], SMALL_BODIES[2]]
    batch = decode_ballots(CONTEXT, bodies, [f"line {i}" for i in range(5)])
    found = {ballots.style: positions.tolist() for positions, ballots in batch.batches}
    assert found == {"only-measure": [1, 4], "full": [0, 3]}
    assert list(batch.errors) == [2]
    assert str(batch.errors[2]).startswith("line 2: $")
    for _, ballots in batch.batches:
        verify_ballots(CONTEXT, ballots)


# What may not be encrypted.


@pytest.mark.parametrize(
    ("name", "marks", "blank"),
    [
        ("mayor", [1, 1, 0], 0),
        ("mayor", [2, 0, 0], 0),
        ("mayor", [0, -1, 0], 0),
        ("mayor", [0, 0, 0], 1),
        ("measure", [0, 0], 0),
        ("committee", [1, 2, 0], 0),
        ("council", [1, 1, 1, 0], 0),
        ("council", [0, 0, 0, 0], 0),
        ("council", [1, 0, 0, 0], 1),
        ("council", [0, 0, 0, 0], 2),
        ("budget", [2, 2, 0], 0),
        ("film", [4, 0], 0),
    ],
)
def test_the_rules_hold_before_encryption(name: str, marks: list[int], blank: int) -> None:
    with pytest.raises(ParameterError, match=f"contest '{name}'"):
        encrypt_ballots(CONTEXT, f"only-{name}", voters(1), {name: [marks]}, {name: [blank]})


def test_arguments_that_do_not_fit() -> None:
    marks = {"measure": [[1, 0]]}
    with pytest.raises(ParameterError, match="no style 'west'"):
        encrypt_ballots(CONTEXT, "west", voters(1), marks)
    with pytest.raises(ParameterError, match="no selections for contest 'measure-2'"):
        encrypt_ballots(CONTEXT, "two", voters(1), marks)
    with pytest.raises(ParameterError, match="has no contest 'film'"):
        encrypt_ballots(CONTEXT, "only-measure", voters(1), marks | {"film": [[0, 0]]})
    with pytest.raises(ShapeMismatch):
        encrypt_ballots(CONTEXT, "only-measure", voters(2), marks)
    for seeds in ([], [bytes(31)], [bytes(32)] * 2):
        with pytest.raises(ParameterError, match="seed"):
            encrypt_ballots(CONTEXT, "only-measure", voters(1), marks, seeds=seeds)
    with pytest.raises(ParameterError, match="credential"):
        encrypt_ballots(CONTEXT, "only-measure", [b"short"], marks)
    with pytest.raises(ParameterError, match="there is no contest"):
        replace(CONTEXT, contests=CONTESTS[:3])
    with pytest.raises(ParameterError, match="32 bytes"):
        replace(CONTEXT, election_id=b"")


# A prover that cheats: everything of an honest one but the check of the choice.


def forged(
    monkeypatch: pytest.MonkeyPatch, style: str, plaintexts: dict[str, list[list[int]]]
) -> Ballots:
    """Ballots with these plaintexts, honest or not, and the nearest proofs one can make."""
    honest = module._witnesses
    names = CONTEXT.style(style).contests

    def witnesses(contest: Contest, values: NDArray[np.int64], nonces: Any) -> Any:
        made = honest(contest, values, nonces)
        return type(made)(
            replace(made.options, branches=np.clip(made.options.branches, 0, contest.option_limit)),
            replace(
                made.sums, branches=np.clip(made.sums.branches, 0, len(contest.sum_values()) - 1)
            ),
        )

    def nonces(
        context: Any, contest: Contest, credentials: Any, seeds: Any, values: NDArray[np.int64]
    ) -> Any:
        return drawn(context, contest, credentials, seeds, np.abs(values))

    def encrypt(key: PublicKey, contest: Contest, values: NDArray[np.int64], r: Scalars) -> Any:
        return encrypt_exponential_with_nonces(key, key.group.scalars(values), r)

    drawn = module._nonces
    with monkeypatch.context() as patch:
        patch.setattr(module, "_encrypt", encrypt)
        patch.setattr(module, "_witnesses", witnesses)
        patch.setattr(module, "_nonces", nonces)
        sums = [np.array(plaintexts[name]) for name in names]
        patch.setattr(module, "_plaintexts", lambda *_: module._Plaintexts(sums, []))
        count = len(plaintexts[names[0]])
        return encrypt_ballots(CONTEXT, style, voters(count), {})[0]


@pytest.mark.parametrize(
    ("name", "honest", "cheat"),
    [
        ("mayor", [1, 0, 0], [2, 0, 0]),
        ("mayor", [1, 0, 0], [2, -1, 0]),
        ("mayor", [1, 0, 0], [-1, 0, 0]),
        ("mayor", [1, 0, 0], [1, 1, 0]),
        ("measure", [1, 0], [0, 0]),
        ("measure", [1, 0], [1, 1]),
        ("committee", [1, 1, 1], [1, 1, 5]),
        ("council", [1, 1, 0, 0, 0], [1, 1, 1, 0, 0]),
        ("council", [1, 1, 0, 0, 0], [0, 0, 0, 0, 0]),
        ("council", [0, 0, 0, 0, 1], [1, 0, 0, 0, 1]),
        ("council", [0, 0, 0, 0, 1], [0, 0, 0, 0, 2]),
        ("council", [0, 0, 0, 0, 1], [0, 0, 0, 0, -1]),
        ("budget", [2, 1, 0], [2, 2, 0]),
        ("budget", [2, 1, 0], [3, 0, 0]),
        ("film", [3, 0], [4, 0]),
        ("film", [3, 0], [3, -1]),
    ],
)
def test_a_cheating_voter(
    monkeypatch: pytest.MonkeyPatch, name: str, honest: list[int], cheat: list[int]
) -> None:
    """attacks: C3. The honest neighbour on each side passes, by the same code."""
    ballots = forged(monkeypatch, f"only-{name}", {name: [honest, cheat, honest]})
    assert failing(encode_ballots(CONTEXT, ballots)) == (1,)


def test_each_proof_matters(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sum within its limit does not excuse an option, nor the other way round."""
    ballots = forged(monkeypatch, "only-budget", {"budget": [[-1, 2, 2], [2, 2, 2]]})
    option_equations, sum_equations = ballot_equations(CONTEXT, ballots)
    assert option_equations.proofs_hold().tolist() == [False, True]
    assert sum_equations.proofs_hold().tolist() == [True, False]
    names = [option.id for option in ballots.contests[0].contest.options]
    assert false_claims(CONTEXT, ballots) == [
        [f"contest 'budget', option {names[0]!r}"],
        ["contest 'budget', sum"],
    ]
    honest = ballots.take([])
    assert false_claims(CONTEXT, honest) == []
    assert false_claims(CONTEXT, SMALL) == [[] for _ in range(len(SMALL))]


# Proofs belong to their place.


def test_another_voter() -> None:
    """attacks: C1, C2"""
    bodies = [SMALL_BODIES[0], _swap_voter(SMALL_BODIES[1]), SMALL_BODIES[2]]
    assert failing(bodies) == (1,)
    with pytest.raises(InvalidProof, match="invalid ballot proof at index 1") as caught:
        verify_ballots(CONTEXT, decoded(bodies))
    assert caught.value.indices == (1,)


def test_voters_exchanged() -> None:
    first, second = SMALL_BODIES[0], SMALL_BODIES[1]
    a, b = json.loads(first)["credential"], json.loads(second)["credential"]
    bodies = [
        edited(first, lambda body: body.update(credential=b)),
        edited(second, lambda body: body.update(credential=a)),
        SMALL_BODIES[2],
    ]
    assert failing(bodies) == (0, 1)


@pytest.mark.parametrize("name", ["ciphertexts", "options", "sum"])
def test_exchanged_between_ballots(name: str) -> None:
    """attacks: A10"""
    first, second = json.loads(FULL_BODIES[1]), json.loads(FULL_BODIES[2])
    for c in range(len(CONTESTS)):
        a = edited(FULL_BODIES[1], lambda b: b["contests"][c].update({name: _of(second, c, name)}))  # noqa: B023
        b = edited(FULL_BODIES[2], lambda b: b["contests"][c].update({name: _of(first, c, name)}))  # noqa: B023
        assert failing([FULL_BODIES[0], a, b]) == (1, 2)


def _of(body: Any, c: int, name: str) -> str:
    return str(body["contests"][c][name])


def test_a_contest_copied_from_another_ballot() -> None:
    """attacks: C1. With its proofs, complete."""
    for c in range(len(CONTESTS)):
        copied = json.loads(FULL_BODIES[1])["contests"][c]
        body = edited(FULL_BODIES[0], lambda b: b["contests"].__setitem__(c, copied))  # noqa: B023
        assert failing([body, *FULL_BODIES[1:]]) == (0,)


def test_exchanged_between_contests() -> None:
    """attacks: A10. Two contests with the same rules, and all of one in place of the other."""

    def exchange(body: Any) -> None:
        first, second = body["contests"]
        for name in ("ciphertexts", "options", "sum"):
            first[name], second[name] = second[name], first[name]

    bodies = [edited(body, exchange) for body in TWO_BODIES]
    assert failing([TWO_BODIES[0], bodies[1], TWO_BODIES[2]]) == (1,)
    assert failing(bodies) == (0, 1, 2)


def test_contests_in_another_order() -> None:
    """attacks: C1. As fields of the same style they do not decode, as another style they fail."""

    def turn(body: Any) -> None:
        body["contests"].reverse()

    batch = decode_ballots(CONTEXT, [edited(TWO_BODIES[0], turn)])
    assert str(batch.errors[0]) == "ballot 0: $.contests[0].id: contest measure expected here"

    def turn_style(body: Any) -> None:
        turn(body)
        body["style"] = "two-turned"

    assert failing([edited(TWO_BODIES[0], turn_style)]) == (0,)


def test_another_style() -> None:
    bodies = [edited(TWO_BODIES[0], lambda b: b.update(style="two-again"))]
    assert failing(bodies) == (0,)


def test_options_permuted() -> None:
    """attacks: C1. Ciphertexts and their proofs together, so that the sum stays what it was."""
    part = SMALL.contests[0]
    turned = replace(
        SMALL,
        contests=(
            replace(
                part,
                ciphertexts=part.ciphertexts[:, ::-1],
                options=part.options[:, ::-1],
            ),
        ),
    )
    assert ballots_hold(CONTEXT, turned).tolist() == [False] * 3


def test_ciphertexts_re_randomised_under_old_proofs() -> None:
    """attacks: C1, C2"""
    part = SMALL.contests[0]
    r = ristretto255.random_scalars((3, 2)).publish()
    g, y = ristretto255.generator, SECRET.public.element
    moved = Ciphertexts(alpha=part.ciphertexts.alpha * g**r, beta=part.ciphertexts.beta * y**r)
    ballots = replace(SMALL, contests=(replace(part, ciphertexts=moved),))
    assert ballots_hold(CONTEXT, ballots).tolist() == [False] * 3


def test_another_election() -> None:
    other = replace(CONTEXT, election_id=digest("test", b"another"))
    batch = decode_ballots(other, SMALL_BODIES)
    assert not batch.batches
    assert str(batch.errors[1]) == "ballot 1: $.election: the ballot is of another election"
    moved = [edited(b, lambda v: v.update(election=other.election_id.hex())) for b in SMALL_BODIES]
    assert failing(moved, other) == (0, 1, 2)


def test_another_key_and_other_rules() -> None:
    key = generate_key(ristretto255).public
    assert failing(SMALL_BODIES, replace(CONTEXT, key=key)) == (0, 1, 2)
    renamed = tuple(replace(c, title="Another question") for c in CONTESTS)
    assert failing(SMALL_BODIES, replace(CONTEXT, contests=renamed)) == (0, 1, 2)
    assert failing(SMALL_BODIES) == ()


# Every field of a body.


def packed_positions() -> list[tuple[int, str, int]]:
    """The first and last byte of every element and scalar of a full ballot, sampled."""
    places = []
    body = json.loads(FULL_BODIES[1])
    for c, fields in enumerate(body["contests"]):
        for name in ("ciphertexts", "options", "sum"):
            size = len(decode_base64url(fields[name]))
            assert size % 32 == 0
            places += [(c, name, i) for i in range(0, size, 32)]
            places += [(c, name, i + 31) for i in range(0, size, 32 * 5)]
    return places[:: max(1, len(places) // 50)]


def test_every_byte_field_is_checked() -> None:
    """Changed values are refused, when read or when verified; honest neighbours are not."""
    bodies, places = [], packed_positions()
    for c, name, i in places:

        def change(body: Any, c: int = c, name: str = name, i: int = i) -> None:
            data = bytearray(decode_base64url(body["contests"][c][name]))
            data[i] ^= 2
            body["contests"][c][name] = encode_base64url(bytes(data))

        bodies.append(edited(FULL_BODIES[1], change))
    assert len(places) >= 50
    batch = decode_ballots(CONTEXT, [*bodies, FULL_BODIES[1]])
    for position, error in batch.errors.items():
        c, name, _ = places[position]
        assert isinstance(error, DecodingError)
        assert error.where == f"ballot {position}: $.contests[{c}].{name}"
        assert error.indices
    [(positions, ballots)] = batch.batches
    assert len(positions) + len(batch.errors) == len(places) + 1
    assert len(positions) > 15  # scalars: nearly all of them still decode
    assert ballots_hold(CONTEXT, ballots).tolist() == [False] * (len(positions) - 1) + [True]


def test_proof_scalars_exchanged_within_a_proof() -> None:
    part = SMALL.contests[0]
    for commitments, responses in [(True, False), (False, True)]:
        options = part.options
        if commitments:
            options = replace(options, commitments=options.commitments[..., ::-1, :])
        if responses:
            options = replace(options, responses=options.responses[..., ::-1, :])
        ballots = replace(SMALL, contests=(replace(part, options=options),))
        assert not ballots_hold(CONTEXT, ballots).any()


def test_every_byte_of_a_body_counts() -> None:
    """Sampled flips over the JSON itself: a ballot that still decodes and holds is the same."""
    body = SMALL_BODIES[0]
    flipped = [
        body[:i] + bytes([body[i] ^ (1 << i % 7)]) + body[i + 1 :]
        for i in range(0, len(body), max(1, len(body) // 400))
    ]
    batch = decode_ballots(CONTEXT, [*flipped, body])
    for _, ballots in batch.batches:
        expected = [False] * len(ballots)
        expected[-1] = ballots.style == "only-measure"
        assert ballots_hold(CONTEXT, ballots).tolist() == expected
    assert all(isinstance(e, DecodingError | UnsupportedError) for e in batch.errors.values())


def _contest(body: Any) -> Any:
    return body["contests"][0]


MALFORMED: list[tuple[Callable[[Any], Any], str]] = [
    (lambda b: b.pop("credential"), "$: field 'credential' is missing"),
    (lambda b: b.update(extra=1), "$: unknown field 'extra'"),
    (lambda b: b.update(format="evote/roll"), "$.format"),
    (lambda b: b.update(election=b["election"][:-2]), "$.election"),
    (lambda b: b.update(credential=b["credential"].upper()), "$.credential"),
    (lambda b: b.update(style="west"), "$.style"),
    (lambda b: b.update(style=None), "$.style"),
    (lambda b: b.update(style="two"), "$.contests: 2 contests expected, got 1"),
    (lambda b: b.update(style="only-film"), "$.contests[0].id"),
    (lambda b: b.update(contests=[]), "$.contests: 1 contests expected, got 0"),
    (lambda b: b.update(contests={}), "$.contests: a list expected"),
    (lambda b: b.update(contests=[1]), "$.contests[0]: an object expected"),
    (lambda b: b["contests"].append(b["contests"][0]), "$.contests: at most 1"),
    (lambda b: _contest(b).pop("sum"), "$.contests[0]: field 'sum' is missing"),
    (lambda b: _contest(b).pop("options"), "$.contests[0]: field 'options' is missing"),
    (lambda b: _contest(b).update(sum=""), "$.contests[0].sum: 128 bytes expected, got 0"),
    (lambda b: _contest(b).update(options=""), "$.contests[0].options"),
    (lambda b: _contest(b).update(sum=None), "$.contests[0].sum: a string expected"),
    (lambda b: _contest(b).update(sum=_contest(b)["sum"] + "AAAA"), "$.contests[0].sum"),
    (lambda b: _contest(b).update(sum=_contest(b)["sum"][:-4]), "$.contests[0].sum"),
    (
        lambda b: _contest(b).update(ciphertexts=_contest(b)["sum"][:43]),
        "$.contests[0].ciphertexts",
    ),
    (lambda b: _contest(b).update(extra=""), "$.contests[0]: unknown field 'extra'"),
]


@pytest.mark.parametrize(("edit", "where"), MALFORMED)
def test_malformed_bodies(edit: Callable[[Any], Any], where: str) -> None:
    """attacks: A11. Lengths and counts are checked before any arithmetic; others are unharmed."""
    where = where.replace("128 bytes", f"{_sum_size()} bytes")
    with ristretto255.count() as count:
        batch = decode_ballots(CONTEXT, [edited(SMALL_BODIES[0], edit)])
    assert count.decodes == 0
    assert str(batch.errors[0]).startswith(f"ballot 0: {where}")
    assert not batch.batches


def _sum_size() -> int:
    return len(decode_base64url(_of(json.loads(SMALL_BODIES[0]), 0, "sum")))


@pytest.mark.parametrize(
    "body",
    [b"", b"null", b"[]", b"{", b"\xff", b" " + SMALL_BODIES[0], SMALL_BODIES[0] + b"\n"],
)
def test_bodies_that_are_no_json(body: bytes) -> None:
    batch = decode_ballots(CONTEXT, [body, SMALL_BODIES[0]], ["here", "there"])
    assert list(batch.errors) == [0]
    assert str(batch.errors[0]).startswith("here: ")
    [(positions, _)] = batch.batches
    assert positions.tolist() == [1]


def test_a_later_version() -> None:
    batch = decode_ballots(CONTEXT, [edited(SMALL_BODIES[0], lambda b: b.update(version=2))])
    assert isinstance(batch.errors[0], UnsupportedError)


BAD_ELEMENTS = {
    "identity": bytes(32),
    "not canonical": (2**255 - 19).to_bytes(32, "little"),
    "negative": (1).to_bytes(32, "little"),
    "no point": bytes.fromhex("26948d35ca62e643e26a83177332e6b6afeb9d08e4268b650f1f5bbd8d81d371"),
    "all ones": b"\xff" * 32,
}


@pytest.mark.parametrize("name", ["ciphertexts", "options", "sum"])
@pytest.mark.parametrize("element", BAD_ELEMENTS.values(), ids=BAD_ELEMENTS.keys())
def test_bad_elements_are_named_and_harm_nobody_else(name: str, element: bytes) -> None:
    def change(body: Any) -> None:
        data = bytearray(decode_base64url(_contest(body)[name]))
        data[32:64] = element
        _contest(body)[name] = encode_base64url(bytes(data))

    bodies = [SMALL_BODIES[0], edited(SMALL_BODIES[1], change), SMALL_BODIES[2]]
    batch = decode_ballots(CONTEXT, bodies)
    error = batch.errors.pop(1)
    assert not batch.errors
    assert isinstance(error, DecodingError)
    assert error.where == f"ballot 1: $.contests[0].{name}"
    [(positions, ballots)] = batch.batches
    assert positions.tolist() == [0, 2]
    assert encode_ballots(CONTEXT, ballots) == [SMALL_BODIES[0], SMALL_BODIES[2]]
    verify_ballots(CONTEXT, ballots)


def test_scalars_are_canonical() -> None:
    """A scalar and the scalar plus q would be two encodings of one proof; one is refused."""

    def change(body: Any) -> None:
        data = bytearray(decode_base64url(_contest(body)["options"]))
        last = int.from_bytes(data[-32:], "little") + ristretto255.order
        data[-32:] = last.to_bytes(32, "little")
        _contest(body)["options"] = encode_base64url(bytes(data))

    batch = decode_ballots(CONTEXT, [edited(SMALL_BODIES[0], change)])
    assert str(batch.errors[0]) == "ballot 0: $.contests[0].options: not a canonical proof"


def test_ballots_of_another_context_are_not_mixed_up() -> None:
    with pytest.raises(ParameterError):
        ballots_hold(CONTEXT, replace(SMALL, style="only-film"))
    with pytest.raises(ParameterError):
        SMALL.ciphertexts("film")
    with pytest.raises(ShapeMismatch):
        replace(SMALL, credentials=SMALL.credentials[:2])
    with pytest.raises(ParameterError, match="places"):
        decode_ballots(CONTEXT, SMALL_BODIES, ["one"])


# Seeds.


def test_openings() -> None:
    open_ballots(CONTEXT, FULL, FULL_SEEDS, SELECTIONS, BLANKS)
    for i, body in enumerate(FULL_BODIES):
        marks = {name: rows[i] for name, rows in SELECTIONS.items()}
        open_ballot(CONTEXT, body, FULL_SEEDS[i], marks, {"council": BLANKS["council"][i]})


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"seed": bytes(32)}, "do not open"),
        ({"seed": SMALL_SEEDS[1]}, "do not open"),
        ({"seed": b""}, "no ballot can have: one seed"),
        ({"selections": {"measure": [0, 1]}}, "contest 'measure': the ciphertexts do not open"),
        ({"selections": {"measure": [1, 1]}}, "overvote"),
        ({"selections": {"measure": [0, 0]}}, "below"),
        ({"selections": {"measure": [1]}}, "selections"),
        ({"selections": {}}, "no selections"),
        ({"selections": {"measure": [1, 0], "film": [0, 0]}}, "no contest 'film'"),
        ({"blanks": {"measure": 1}}, "counts no blanks"),
        ({"body": SMALL_BODIES[2]}, "do not open"),
        ({"body": _swap_voter(SMALL_BODIES[0])}, "do not open"),
    ],
)
def test_false_openings(change: dict[str, Any], reason: str) -> None:
    """attacks: C15, in part: an opening is of this ballot or of none."""
    honest: dict[str, Any] = {
        "body": SMALL_BODIES[0],
        "seed": SMALL_SEEDS[0],
        "selections": {"measure": [1, 0]},
    }
    open_ballot(CONTEXT, **honest)
    with pytest.raises(VerificationError, match=reason):
        open_ballot(CONTEXT, **(honest | change))


def test_an_opening_of_a_body_that_is_none() -> None:
    with pytest.raises(DecodingError, match=r"^ballot: "):
        open_ballot(CONTEXT, b"{}", bytes(32), {"measure": [1, 0]})


def test_the_blank_bit_is_opened_too() -> None:
    ballots, seeds = encrypt_ballots(
        CONTEXT,
        "only-council",
        voters(2),
        {"council": [[0] * 4, [1, 0, 0, 0]]},
        {"council": [1, 0]},
    )
    open_ballots(CONTEXT, ballots, seeds, {"council": [[0] * 4, [1, 0, 0, 0]]}, {"council": [1, 0]})
    with pytest.raises(VerificationError, match="below 1"):
        open_ballots(CONTEXT, ballots, seeds, {"council": [[0] * 4, [1, 0, 0, 0]]})


def test_nonces_are_as_documented_and_depend_on_everything() -> None:
    """attacks: two ciphertexts with one nonce would show that their choices are equal."""
    c, voter, seed = CONTESTS[1], voters(1), [bytes(range(32))]

    def nonces(
        context: BallotContext = CONTEXT,
        contest: Contest = c,
        voter: list[bytes] = voter,
        seed: list[bytes] = seed,
        marks: tuple[int, int] = (1, 0),
    ) -> list[int]:
        drawn = module._nonces(context, contest, voter, seed, np.array([marks]))
        values: list[int] = drawn.publish().to_ints()[0]
        return values

    assert nonces() == [
        int.from_bytes(
            xof(
                "ballot-nonce",
                seed[0],
                CONTEXT.election_id,
                voter[0],
                b"measure",
                position.to_bytes(4, "little"),
                value.to_bytes(4, "little"),
                b"encryption",
                length=ristretto255.uniform_size,
            ),
            "little",
        )
        % ristretto255.order
        for position, value in enumerate((1, 0))
    ]
    variants = [
        nonces(),
        nonces(context=replace(CONTEXT, election_id=bytes(32))),
        nonces(contest=CONTESTS[2]),
        nonces(voter=voters(2)[1:]),
        nonces(seed=[bytes(32)]),
        nonces(marks=(0, 1)),
    ]
    flat = [nonce for variant in variants for nonce in variant]
    assert len(set(flat)) == len(flat)
    with pytest.raises(ParameterError):
        module._nonces(CONTEXT, c, voter, seed, np.array([[1, 0]])).encode()


def test_fresh_seeds_and_fresh_proofs() -> None:
    marks = {"measure": [[1, 0]] * 4}
    first, seeds = encrypt_ballots(CONTEXT, "only-measure", voters(1) * 4, marks)
    assert len(set(seeds)) == 4
    assert len(set(encode_ballots(CONTEXT, first))) == 4
    again, _ = encrypt_ballots(CONTEXT, "only-measure", voters(1) * 4, marks, seeds=seeds)
    assert again.contests[0].ciphertexts == first.contests[0].ciphertexts
    assert not (
        again.contests[0]
        .options.commitments.equal_mask(first.contests[0].options.commitments)
        .any()
    )


def test_a_frozen_generator_repeats_no_commitment() -> None:
    """Proof nonces are hedged: one stuck source of randomness, other choice or voter or seed."""
    seen: set[bytes] = set()
    for voter, marks, seed in [
        (0, [1, 0], 0),
        (1, [1, 0], 0),
        (0, [0, 1], 0),
        (0, [1, 0], 1),
    ]:
        ballots, _ = encrypt_ballots(
            CONTEXT,
            "only-measure",
            voters(2)[voter : voter + 1],
            {"measure": [marks]},
            seeds=[bytes([seed]) * 32],
            rng=lambda n: bytes(n),
        )
        part = ballots.contests[0]
        for proof in (part.options, part.sums):
            data = proof.commitments.encode()
            pieces = {data[i : i + 32] for i in range(0, len(data), 32)}
            assert not pieces & seen
            seen |= pieces


def test_a_frozen_generator_repeats_no_commitment_where_another_contest_differs() -> None:
    """A9: the one challenge covers all contests, so the nonces of every proof must as well.

    Else a voter who changes one contest answers two challenges under one commitment in the other,
    and anyone computes its nonce.
    """
    proofs = []
    for second in ([0, 1], [1, 0]):
        ballots, _ = encrypt_ballots(
            CONTEXT,
            "two",
            voters(1),
            {"measure": [[1, 0]], "measure-2": [second]},
            seeds=[bytes(32)],
            rng=lambda n: bytes(n),
        )
        proofs.append(ballots.contests[0])
    first, other = proofs
    assert first.ciphertexts == other.ciphertexts  # the same seed, credential and choice
    for a, b in ((first.options, other.options), (first.sums, other.sums)):
        assert not a.commitments.alpha.equal_mask(b.commitments.alpha).any()
        assert not a.commitments.beta.equal_mask(b.commitments.beta).any()


# What an observer of sizes and steps sees.


@pytest.mark.parametrize("name", ["council", "budget", "film", "mayor"])
def test_size_and_steps_do_not_depend_on_the_choice(name: str) -> None:
    """attacks: C17"""
    sizes, costs = set(), set()
    marks, blanks = ALLOWED[name]
    for row, blank in zip(marks, blanks, strict=True):
        with ristretto255.count() as count:
            ballots, _ = encrypt_ballots(
                CONTEXT, f"only-{name}", voters(1), {name: [row]}, {name: [blank]}
            )
            [body] = encode_ballots(CONTEXT, ballots)
        sizes.add(len(body))
        costs.add((count.fixed, count.variable, count.constant_time, count.multiexp_terms))
    assert len(sizes) == 1
    assert len(costs) == 1


def test_styles_that_do_not_occur_cost_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A manifest may have thousands of styles; a bundle of ballots has a few."""
    decoded: list[str] = []
    decode_contests = tables_module._decode_contests

    def noted(group: Any, table: Any, *rest: Any) -> Any:
        decoded.extend(contest.id for contest in table.parts.contests)
        return decode_contests(group, table, *rest)

    monkeypatch.setattr(tables_module, "_decode_contests", noted)
    batch = decode_ballots(CONTEXT, SMALL_BODIES)
    assert [ballots.style for _, ballots in batch.batches] == ["only-measure"]
    assert decoded == ["measure"]


def test_bulk_calls_do_not_grow_with_the_ballots(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousand ballots are a few long calls, not a thousand short ones."""

    def calls(n: int) -> dict[str, int]:
        counted = dict.fromkeys(("__pow__", "__mul__", "encode", "__getitem__"), 0)

        def counting(name: str, real: Any) -> Any:
            def call(*arguments: Any) -> Any:
                counted[name] += 1
                return real(*arguments)

            return call

        with monkeypatch.context() as patch:
            for name in counted:
                patch.setattr(Elements, name, counting(name, getattr(Elements, name)))
            marks = {"mayor": [[0, 1, 0]] * n}
            ballots, _ = encrypt_ballots(CONTEXT, "only-mayor", voters(n), marks)
            verify_ballots(CONTEXT, decoded(encode_ballots(CONTEXT, ballots)))
        return counted

    assert calls(7) == calls(2)


def test_costs() -> None:
    """2 powers a ciphertext; of its proof 3 a branch, less one in the true branch."""
    with ristretto255.count() as count:
        encrypt_ballots(CONTEXT, "only-mayor", voters(2), {"mayor": [[0, 1, 0]] * 2})
    assert count.fixed == 2 * (3 * 2 + 3 * (3 * 2 - 1) + (3 * 2 - 1)) + 2  # and g^0, g^1
    assert (count.variable, count.constant_time, count.multiexp_terms) == (0, 0, 0)
    with ristretto255.count() as count:
        decode_ballots(CONTEXT, SMALL_BODIES)
    assert count.decodes == 3 * 2 * (2 + 2 * 2 + 1)


# Names.


def test_digest_and_tracker() -> None:
    body = SMALL_BODIES[0]
    assert ballot_digest(body) == digest("ballot", body)
    assert ballot_tracker(bytes(32)) == "00000-00000-00000-00000"
    assert ballot_tracker(b"\xff" * 32) == "ZZZZZ-ZZZZZ-ZZZZZ-ZZZZZ"
    tracker = ballot_tracker(bytes.fromhex("0123456789abcdef") + bytes(24))
    assert tracker == "04HMA-SW9NF-6YY00-00000"
    assert ballot_tracker(ballot_digest(body)) != ballot_tracker(ballot_digest(SMALL_BODIES[1]))


def test_bodies_are_canonical_and_of_one_length() -> None:
    for bodies in (FULL_BODIES, SMALL_BODIES):
        assert len({len(body) for body in bodies}) == 1
        for body in bodies:
            assert canonical_json(parse_json(body)) == body


def test_errors_are_of_the_tree() -> None:
    batch = decode_ballots(CONTEXT, [b"{}", b"[[[[", b'{"a":1e400}', b"[" * 100_000])
    assert len(batch.errors) == 4
    assert all(isinstance(error, EvoteError) for error in batch.errors.values())
