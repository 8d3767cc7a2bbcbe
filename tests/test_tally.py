"""Tallies: weighted sums, shares by any quorum, and results that must follow from them."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evote.ballots import BallotContext, Ballots, encrypt_ballots
from evote.contests import Contest, Option, Style
from evote.election import Manifest
from evote.elgamal import Ciphertexts, PublicKey, encrypt_exponential_with_nonces
from evote.encoding import canonical_json, encode_base64url
from evote.errors import (
    DecodingError,
    InvalidProof,
    ParameterError,
    QuorumError,
    UnsupportedError,
    VerificationError,
)
from evote.groups import Elements, Scalars, Secrecy, ristretto255
from evote.operators import draw_operator
from evote.tally import (
    ContestResult,
    Result,
    Summation,
    Tally,
    TallyShare,
    check_totals,
    combine_shares,
    decode_result,
    decode_share,
    decode_tally,
    decrypted,
    encode_result,
    encode_share,
    encode_tally,
    file_digest,
    result_problems,
    share_of_tally,
    verify_result,
    verify_share,
)

GROUP = ristretto255
G = GROUP.generator
N, K = 3, 2


def options(*names: str) -> tuple[Option, ...]:
    return tuple(Option(id=name, title=name.upper()) for name in names)


YES_NO = Contest(
    id="bridge",
    title="B",
    kind="yes-no",
    options=options("yes", "no"),
    option_limit=1,
    minimum=0,
    maximum=1,
)
COUNCIL = Contest(
    id="council",
    title="C",
    kind="cumulative",
    options=options("ann", "bob", "eve"),
    option_limit=2,
    minimum=1,
    maximum=3,
    blank="counted",
)
LONELY = replace(YES_NO, id="lonely")
MANIFEST = Manifest(
    nonce=bytes(32),
    title="T",
    group=GROUP,
    contests=(YES_NO, COUNCIL, LONELY),
    styles=(
        Style(id="both", contests=("council", "bridge")),
        Style(id="half", contests=("bridge",)),
        Style(id="nobody", contests=("lonely",)),
    ),
    trustees=tuple(draw_operator("trustee", f"t{i}", group=GROUP).card for i in range(N)),
    quorum=K,
    registrars=(draw_operator("registrar", "r").card,),
    authorities=(draw_operator("authority", "a").card,),
    authority_quorum=1,
    origin="log.example",
    board=draw_operator("board", "b").card,
    maximum_weight=1000,
    total_weight=10_000,
    maximum_voters=100,
)


def scalars(values: Sequence[int]) -> Scalars:
    return GROUP.scalars(list(values), secrecy=Secrecy.LONG_TERM)


# x = 5 and f(i) = x + 7 i: what a ceremony gives, without the ceremony.
SHARES = [5 + 7 * i for i in range(1, N + 1)]
SECRETS = [scalars([x]).reshape(()) for x in SHARES]
KEYS = [G ** GROUP.scalars(x) for x in SHARES]
CONTEXT = BallotContext(
    key=PublicKey(element=G ** GROUP.scalars(5)),
    election_id=b"\5" * 32,
    contests=MANIFEST.contests,
    styles=MANIFEST.styles,
)
COUNTED = b"\6" * 32


def ballots(style: str, marks: dict[str, Any], blanks: dict[str, Any] | None = None) -> Ballots:
    n = len(next(iter(marks.values())))
    voters = [bytes([len(style), i]) * 16 for i in range(n)]
    return encrypt_ballots(CONTEXT, style, voters, marks, blanks)[0]


BOTH = ballots(
    "both",
    {"bridge": [[1, 0], [0, 1], [0, 0]], "council": [[2, 1, 0], [0, 0, 2], [0, 0, 0]]},
    {"council": [0, 0, 1]},
)
HALF = ballots("half", {"bridge": [[1, 0], [1, 0]]})


def summed() -> Tally:
    summation = Summation(MANIFEST)
    summation.add(BOTH, [1, 10, 100])
    summation.add(HALF, [1, 1])
    return summation.finish(CONTEXT.election_id, COUNTED)


TALLY = summed()
DIGEST = file_digest(encode_tally(TALLY))


def share(trustee: int, tally: Tally = TALLY) -> TallyShare:
    digest = file_digest(encode_tally(tally))
    return share_of_tally(tally, digest, trustee, SECRETS[trustee - 1], KEYS[trustee - 1])


ALL = [share(i + 1) for i in range(N)]
RESULT = combine_shares(MANIFEST, TALLY, DIGEST, ALL)


# -- sums ----------------------------------------------------------------------------------------


def test_sums_of_weights_and_blanks() -> None:
    bridge, council, lonely = RESULT.contests
    assert bridge == ContestResult(
        id="bridge", ballots=5, weight=113, votes=(3, 10), blank=None, undervotes=100
    )
    assert council == ContestResult(
        id="council", ballots=3, weight=111, votes=(2, 1, 20), blank=100, undervotes=10
    )
    assert lonely == ContestResult(
        id="lonely", ballots=0, weight=0, votes=(0, 0), blank=None, undervotes=0
    )
    assert RESULT.trustees == (1, 2)
    check_totals(MANIFEST, TALLY, RESULT)
    verify_result(MANIFEST, TALLY, DIGEST, ALL, RESULT)


def test_order_and_batches_do_not_matter() -> None:
    pieces = Summation(MANIFEST)
    pieces.add(HALF.take([1]), [1])
    pieces.add(BOTH.take([2, 0]), [100, 1])
    pieces.add(BOTH.take([]), [])
    elsewhere = Summation(MANIFEST)
    elsewhere.add(HALF.take([0]), [1])
    elsewhere.add(BOTH.take([1]), [10])
    pieces.merge(elsewhere.parts())
    assert pieces.finish(CONTEXT.election_id, COUNTED) == TALLY


@pytest.mark.parametrize("weights", [[1], [1, 1, 1], [1, 0], [1, -1]])
def test_bad_weights(weights: list[int]) -> None:
    with pytest.raises(ParameterError):
        Summation(MANIFEST).add(HALF, weights)


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(1, 1000)), max_size=8))
@settings(max_examples=15, deadline=None)
def test_totals_are_the_weighted_marks(votes: list[tuple[int, int]]) -> None:
    """Any ballots of any weights; decrypted by the last two trustees."""
    marks = [[int(v == 0), int(v == 1)] for v, _ in votes]
    weights = [weight for _, weight in votes]
    summation = Summation(MANIFEST)
    if votes:
        summation.add(ballots("half", {"bridge": marks}), weights)
    tally = summation.finish(CONTEXT.election_id, COUNTED)
    digest = file_digest(encode_tally(tally))
    shares = [share(i, tally) for i in (2, 3)]
    result = combine_shares(MANIFEST, tally, digest, shares)
    expected = tuple(sum(w for v, w in votes if v == option) for option in range(2))
    assert result.contests[0].votes == expected
    assert result.contests[0].undervotes == sum(weights) - sum(expected)
    assert result.trustees == ((2, 3) if votes else ())
    verify_result(MANIFEST, tally, digest, shares, result)
    assert decode_tally(MANIFEST, encode_tally(tally)) == tally
    assert decode_result(MANIFEST, encode_result(result)) == result


def test_nobody_votes() -> None:
    tally = Summation(MANIFEST).finish(CONTEXT.election_id, COUNTED)
    assert all(part.sums.alpha.is_identity().all() for part in tally.contests)
    assert all(part.sums.beta.is_identity().all() for part in tally.contests)
    digest = file_digest(encode_tally(tally))
    result = combine_shares(MANIFEST, tally, digest, [])
    assert result.trustees == ()
    assert [row.votes for row in result.contests] == [(0, 0), (0, 0, 0), (0, 0)]
    verify_result(MANIFEST, tally, digest, [], result)
    with pytest.raises(QuorumError, match="nothing was to be decrypted"):
        verify_result(MANIFEST, tally, digest, [], replace(result, trustees=(1, 2)))
    ghost = replace(result.contests[0], votes=(1, 0))
    claimed = replace(result, contests=(ghost, *result.contests[1:]))
    assert result_problems(MANIFEST, tally, digest, [], claimed) == [
        "contest 'bridge', option 'yes': the total is not what the shares decrypt"
    ]


def test_nonces_that_cancel_out() -> None:
    """Voters who choose their nonces together can make a sum's first half neutral: they may."""
    nonces = GROUP.random_scalars((1, 2))
    votes = [encrypt_exponential_with_nonces(CONTEXT.key, GROUP.scalars([[1, 0]]), r)
             for r in (nonces, -nonces)]  # fmt: skip
    sums = votes[0].reshape((2,)) * votes[1].reshape((2,))
    assert sums.alpha.is_identity().all()
    empty = Summation(MANIFEST).finish(CONTEXT.election_id, COUNTED)
    part = replace(empty.contests[0], ballots=2, weight=2, sums=sums)
    tally = replace(empty, contests=(part, *empty.contests[1:]))
    data = encode_tally(tally)
    assert decode_tally(MANIFEST, data) == tally
    digest = file_digest(data)
    shares = []
    for i in (1, 3):
        encoded = encode_share(share(i, tally))
        shares.append(decode_share(MANIFEST, tally, encoded, where="share"))
        verify_share(tally, digest, shares[-1], KEYS[i - 1])
    assert combine_shares(MANIFEST, tally, digest, shares).contests[0].votes == (2, 0)


# -- shares --------------------------------------------------------------------------------------


def test_any_quorum_gives_the_same_result() -> None:
    for chosen in combinations(range(N), K):
        result = combine_shares(MANIFEST, TALLY, DIGEST, [ALL[i] for i in reversed(chosen)])
        assert result.trustees == tuple(i + 1 for i in chosen)
        assert result.contests == RESULT.contests
        verify_result(MANIFEST, TALLY, DIGEST, ALL, result)


def test_too_few_shares_name_the_absent() -> None:
    for shares, missing in (([], (1, 2, 3)), ([ALL[1]], (1, 3))):
        with pytest.raises(QuorumError) as caught:
            combine_shares(MANIFEST, TALLY, DIGEST, shares)
        assert caught.value.missing == missing


def test_one_trustee_twice() -> None:
    with pytest.raises(ParameterError, match="twice"):
        combine_shares(MANIFEST, TALLY, DIGEST, [ALL[0], ALL[0]])


def test_shares_hold() -> None:
    for item, key in zip(ALL, KEYS, strict=True):
        verify_share(TALLY, DIGEST, item, key)
        data = encode_share(item)
        assert decode_share(MANIFEST, TALLY, data, where="shares/001.json") == item
        assert encode_share(decode_share(MANIFEST, TALLY, data, where="s")) == data


def test_shares_of_another_trustee_tally_or_election() -> None:
    with pytest.raises(InvalidProof, match="trustee 1"):
        verify_share(TALLY, DIGEST, ALL[0], KEYS[1])
    renamed = replace(ALL[0], decryption=replace(ALL[0].decryption, trustee=2))
    with pytest.raises(InvalidProof, match="trustee 2"):
        verify_share(TALLY, DIGEST, renamed, KEYS[0])
    for stray in (replace(ALL[0], tally=bytes(32)), replace(ALL[0], election=bytes(32))):
        with pytest.raises(VerificationError, match="trustee 1 is of another tally"):
            verify_share(TALLY, DIGEST, stray, KEYS[0])
    with pytest.raises(InvalidProof):  # relabelled, but proven for the other digest
        verify_share(TALLY, bytes(32), replace(ALL[0], tally=bytes(32)), KEYS[0])


@pytest.mark.parametrize("position", range(6))
def test_one_wrong_share_among_many(position: int) -> None:
    decryption = ALL[0].decryption
    data = bytearray(decryption.shares.encode())
    data[32 * position : 32 * position + 32] = G.encode()
    wrong = GROUP.decode_elements(bytes(data))
    false = replace(ALL[0], decryption=replace(decryption, shares=wrong))
    with pytest.raises(InvalidProof, match="trustee 1"):
        verify_share(TALLY, DIGEST, false, KEYS[0])


def test_neutral_shares_are_false() -> None:
    """Design, attack E7: a share 1 is well formed, and proves nothing."""
    neutral = GROUP.identity(ALL[0].decryption.shares.shape)
    false = replace(ALL[0], decryption=replace(ALL[0].decryption, shares=neutral))
    with pytest.raises(InvalidProof, match="trustee 1"):
        verify_share(TALLY, DIGEST, false, KEYS[0])


def test_decrypted_are_powers_of_the_totals() -> None:
    [opened] = decrypted(MANIFEST, TALLY, ALL)
    assert opened == G ** GROUP.scalars([3, 10, 2, 1, 20, 100])


def test_poisoned_sum_is_an_error_and_no_endless_search() -> None:
    """Attack C5: a sum that holds g^u for a random u."""
    part = TALLY.contests[1]
    beta = part.sums.beta * (G ** GROUP.random_scalars((4,)))
    poisoned = replace(
        TALLY,
        contests=(
            TALLY.contests[0],
            replace(part, sums=Ciphertexts(alpha=part.sums.alpha, beta=beta)),
            TALLY.contests[2],
        ),
    )
    digest = file_digest(encode_tally(poisoned))
    with pytest.raises(VerificationError, match="contest 'council': no possible total"):
        combine_shares(MANIFEST, poisoned, digest, [share(i, poisoned) for i in (1, 2)])


def test_total_beyond_the_weight() -> None:
    """The search is bounded by what the ballots can hold, not by what it could find."""
    part = TALLY.contests[0]
    one_too_much = Ciphertexts(
        alpha=part.sums.alpha, beta=part.sums.beta * G ** GROUP.scalars([111, 0])
    )
    tally = replace(TALLY, contests=(replace(part, sums=one_too_much), *TALLY.contests[1:]))
    digest = file_digest(encode_tally(tally))
    with pytest.raises(VerificationError, match=r"contest 'bridge'.* no logarithm from 0 to 113"):
        combine_shares(MANIFEST, tally, digest, [share(i, tally) for i in (1, 2)])


# -- results that do not follow ------------------------------------------------------------------


def with_row(contest: int, **change: Any) -> Result:
    rows = list(RESULT.contests)
    rows[contest] = replace(rows[contest], **change)
    return replace(RESULT, contests=tuple(rows))


WRONG: list[tuple[Result, str]] = [
    (with_row(0, votes=(4, 10), undervotes=99), "contest 'bridge', option 'yes'"),
    (with_row(0, votes=(3, 9), undervotes=101), "contest 'bridge', option 'no'"),
    (with_row(0, votes=(10, 3)), "contest 'bridge', option 'yes'"),
    (with_row(1, blank=99, undervotes=13), "contest 'council', blank"),
    (with_row(1, votes=(2, 20, 1)), "contest 'council', option 'bob'"),
    (with_row(2, votes=(1, 0)), "contest 'lonely', option 'yes'"),
    (with_row(0, ballots=6), "contest 'bridge': 5 ballots of weight 113 in the tally"),
    (with_row(1, weight=112), "contest 'council': 3 ballots of weight 111"),
    (with_row(0, undervotes=99), "contest 'bridge': 100 undervotes, 99 claimed"),
]


@pytest.mark.parametrize(("result", "message"), WRONG)
def test_results_that_do_not_follow(result: Result, message: str) -> None:
    with pytest.raises(VerificationError) as caught:
        verify_result(MANIFEST, TALLY, DIGEST, ALL, result)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("contest", "change", "message"),
    [
        (0, {"votes": (114, 0)}, "more votes or blanks"),
        (1, {"blank": 112}, "more votes or blanks"),
        (1, {"votes": (23, 0, 0)}, "more votes or blanks"),
        (0, {"votes": (113, 1)}, "114 votes, which the limits do not allow"),
        (1, {"votes": (10, 0, 0)}, "10 votes, which the limits do not allow"),
        (1, {"votes": (22, 12, 0)}, "34 votes, which the limits do not allow"),
    ],
)
def test_totals_within_the_limits(contest: int, change: dict[str, Any], message: str) -> None:
    """Counting is arithmetic too: what no ballots could have given is refused by itself."""
    with pytest.raises(VerificationError, match=message):
        check_totals(MANIFEST, TALLY, with_row(contest, **change))


def test_results_of_another_tally() -> None:
    for stray in (replace(RESULT, tally=bytes(32)), replace(RESULT, election=bytes(32))):
        with pytest.raises(VerificationError, match="another tally"):
            verify_result(MANIFEST, TALLY, DIGEST, ALL, stray)


@pytest.mark.parametrize("trustees", [(), (1,), (1, 2, 3)])
def test_results_name_exactly_a_quorum(trustees: tuple[int, ...]) -> None:
    with pytest.raises(QuorumError, match=f"names {len(trustees)} trustees, the quorum is 2"):
        verify_result(MANIFEST, TALLY, DIGEST, ALL, replace(RESULT, trustees=trustees))


def test_results_name_trustees_whose_shares_are_there() -> None:
    with pytest.raises(QuorumError, match="no valid share of trustee 2") as caught:
        verify_result(MANIFEST, TALLY, DIGEST, [ALL[0], ALL[2]], RESULT)
    assert caught.value.missing == (2,)


# -- files ---------------------------------------------------------------------------------------

TALLY_DATA = encode_tally(TALLY)
SHARE_DATA = encode_share(ALL[0])
RESULT_DATA = encode_result(RESULT)

READERS: dict[str, tuple[bytes, Callable[[bytes], Any]]] = {
    "tally.json": (TALLY_DATA, lambda data: decode_tally(MANIFEST, data)),
    "shares/001.json": (
        SHARE_DATA,
        lambda data: decode_share(MANIFEST, TALLY, data, where="shares/001.json"),
    ),
    "result.json": (RESULT_DATA, lambda data: decode_result(MANIFEST, data)),
}


def edited(data: bytes, *path: Any, value: Any) -> bytes:
    root = json.loads(data)
    here = root
    for step in path[:-1]:
        here = here[step]
    here[path[-1]] = value
    return canonical_json(root)


def packed(elements: Elements | bytes) -> str:
    return encode_base64url(elements if isinstance(elements, bytes) else elements.encode())


ONE = packed(GROUP.identity((4,)))
FILES: list[tuple[str, tuple[Any, ...], Any, str]] = [
    ("tally.json", ("election",), "00", "$.election"),
    ("tally.json", ("counted",), "zz" * 32, "$.counted"),
    ("tally.json", ("contests",), [], "$.contests"),
    ("tally.json", ("contests", 1, "id"), "bridge", "$.contests[1].id"),
    ("tally.json", ("contests", 0, "ballots"), 101, "$.contests[0].ballots"),
    ("tally.json", ("contests", 0, "ballots"), -1, "$.contests[0].ballots"),
    ("tally.json", ("contests", 0, "weight"), 4, "$.contests[0].weight"),
    ("tally.json", ("contests", 0, "weight"), 5001, "$.contests[0].weight"),
    ("tally.json", ("contests", 0, "weight"), 113.0, ""),
    ("tally.json", ("contests", 0, "ciphertexts"), packed(bytes(127)), "$.contests[0].ciphertexts"),
    ("tally.json", ("contests", 0, "ciphertexts"), packed(b"\xff" * 128),
     "$.contests[0].ciphertexts"),
    ("tally.json", ("contests", 2, "ciphertexts"),
     packed(GROUP.identity((3,)).encode() + G.encode()), "$.contests[2].ciphertexts"),
    ("tally.json", ("contests", 2, "weight"), 1, "$.contests[2].weight"),
    ("shares/001.json", ("trustee",), 0, "$.trustee"),
    ("shares/001.json", ("trustee",), 4, "$.trustee"),
    ("shares/001.json", ("shares",), packed(bytes(32)), "$.shares"),
    ("shares/001.json", ("shares",), packed(b"\xff" * 192), "$.shares"),
    ("shares/001.json", ("proofs",), [], "$.proofs"),
    ("shares/001.json", ("proofs",), ["AAAA", "AAAA"], "$.proofs"),
    ("shares/001.json", ("proofs", 0), "AAAA", "$.proofs[0]"),
    ("shares/001.json", ("proofs", 0), 7, "$.proofs[0]"),
    ("shares/001.json", ("proofs", 0), "A===", "$.proofs[0]"),
    ("result.json", ("trustees",), [2, 1], "$.trustees"),
    ("result.json", ("trustees",), [1, 1], "$.trustees"),
    ("result.json", ("trustees",), [0, 1], "$.trustees"),
    ("result.json", ("trustees",), [1, 2, 3, 4], "$.trustees"),
    ("result.json", ("contests", 0, "votes"), [3], "$.contests[0].votes"),
    ("result.json", ("contests", 0, "votes"), [3, 114], "$.contests[0].votes"),
    ("result.json", ("contests", 0, "votes"), [3, -1], "$.contests[0].votes"),
    ("result.json", ("contests", 1, "blank"), 112, "$.contests[1].blank"),
    ("result.json", ("contests", 1, "undervotes"), 334, "$.contests[1].undervotes"),
    ("result.json", ("contests", 2, "id"), "council", "$.contests[2].id"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "path", "value", "place"), FILES)
def test_files_name_the_place(name: str, path: tuple[Any, ...], value: Any, place: str) -> None:
    data, read = READERS[name]
    read(data)
    if type(value) is float:
        broken = data.replace(b'"weight":113', b'"weight":113.0')
    else:
        broken = edited(data, *path, value=value)
    with pytest.raises(DecodingError) as caught:
        read(broken)
    assert caught.value.where == (f"{name}: {place}" if place else name)


@pytest.mark.parametrize("name", READERS)
def test_files_are_read_strictly(name: str) -> None:
    data, read = READERS[name]
    for key in json.loads(data):
        root = json.loads(data)
        del root[key]
        with pytest.raises(DecodingError, match=f"'{key}' is missing"):
            read(canonical_json(root))
    with pytest.raises(DecodingError, match="unknown field 'more'"):
        read(edited(data, "more", value=1))
    if name != "shares/001.json":
        with pytest.raises(DecodingError, match="unknown field 'more'"):
            read(edited(data, "contests", 0, "more", value=1))
    with pytest.raises(UnsupportedError, match="version 2"):
        read(edited(data, "version", value=2))
    for broken in (data[:-1], data + b"\n", b"", b"null", b" " + data):
        with pytest.raises(DecodingError):
            read(broken)


def test_blank_only_where_it_is_counted() -> None:
    with pytest.raises(DecodingError, match="unknown field 'blank'"):
        decode_result(MANIFEST, edited(RESULT_DATA, "contests", 0, "blank", value=0))
    root = json.loads(RESULT_DATA)
    del root["contests"][1]["blank"]
    with pytest.raises(DecodingError, match="'blank' is missing"):
        decode_result(MANIFEST, canonical_json(root))


def test_every_byte_of_a_share_counts() -> None:
    """One flip anywhere: it is not read, or it does not hold."""
    for position in range(0, len(SHARE_DATA), 7):
        data = bytearray(SHARE_DATA)
        data[position] ^= 1
        with pytest.raises((DecodingError, UnsupportedError, VerificationError)):
            verify_share(
                TALLY, DIGEST, decode_share(MANIFEST, TALLY, bytes(data), where="s"), KEYS[0]
            )


def test_arrays_of_the_sums() -> None:
    assert TALLY.sums.shape == (6,)
    assert np.array_equal(TALLY.sums.alpha.is_identity(), [False] * 6)
