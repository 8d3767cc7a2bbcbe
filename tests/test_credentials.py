"""Codes, voters' keys, the roll, and the signatures of ballots."""

from __future__ import annotations

import copy
import json
import pickle
import traceback
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from itertools import combinations, pairwise
from typing import Any

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from hypothesis import given
from hypothesis import strategies as st

from evote._forms import Strings, to_rows
from evote._merkle import merkle_root
from evote.credentials import (
    MAX_WEIGHT,
    Action,
    Roll,
    RollRow,
    RollSignature,
    ballot_message,
    decode_code,
    decode_codes,
    decode_roll,
    decode_row,
    derive_credentials,
    derive_voter_key,
    derive_voter_keys,
    draw_code,
    encode_code,
    joint_credentials,
    make_roll,
    read_roll,
    sign_ballots,
    sign_roll,
    verify_ballot_signatures,
    verify_roll,
    verify_roll_signatures,
)
from evote.encoding import canonical_json, digest
from evote.errors import DecodingError, EvoteError, ParameterError, VerificationError
from evote.groups.eddsa_keys import SeedKey
from evote.operators import draw_operator
from evote.testing import strategies

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
BASE = digest("test", b"base")
ELECTION = digest("test", b"election")

bits125 = st.integers(0, 2**125 - 1).map(lambda n: n.to_bytes(16, "big"))


# Codes.


@given(bits125)
def test_codes_round_trip(bits: bytes) -> None:
    code = encode_code(bits)
    assert [len(part) for part in code.split("-")] == [5, 5, 5, 5, 5, 1]
    assert set(code) <= {*ALPHABET, "-"}
    assert decode_code(code) == bits
    assert decode_code(code.lower().replace("-", " ")) == bits
    assert decode_code(code.replace("-", "").replace("1", "l").replace("0", "o")) == bits
    assert decode_code(code.replace("1", "I").replace("0", "O")) == bits


@pytest.mark.parametrize("seed", range(4))
def test_the_check_character_catches_every_single_error(seed: int) -> None:
    code = draw_code(lambda n: digest("test", bytes([seed]))[:n]).replace("-", "")
    for i, right in enumerate(code):
        for wrong in ALPHABET:
            mistyped = code[:i] + wrong + code[i + 1 :]
            if wrong == right:
                assert decode_code(mistyped)
                continue
            with pytest.raises(DecodingError, match="check character"):
                decode_code(mistyped)


@pytest.mark.parametrize("seed", range(4))
def test_the_check_character_catches_every_exchange_of_two(seed: int) -> None:
    """Of neighbours, and of any other two."""
    code = draw_code(lambda n: digest("test", bytes([seed]))[:n]).replace("-", "")
    caught = 0
    for i, j in combinations(range(len(code)), 2):
        swapped = list(code)
        swapped[i], swapped[j] = swapped[j], swapped[i]
        if swapped != list(code):
            caught += 1
            with pytest.raises(DecodingError, match="check character"):
                decode_code("".join(swapped))
    assert caught > 250


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda c: c[:-1], "26 characters, got 25"),
        (lambda c: c + "0", "26 characters, got 27"),
        (lambda c: "", "26 characters, got 0"),
        (lambda c: "U" + c[1:], "no U"),
        (lambda c: "!" + c[1:], "letters and digits"),
        (lambda c: "\uff11" + c[1:], "letters and digits"),
        (lambda c: "\u0131" + c[1:], "letters and digits"),
        (lambda c: c[:-1] + "\n", "letters and digits"),
    ],
)
def test_mistyped_codes_are_named_and_not_repeated(change: Any, reason: str) -> None:
    code = draw_code()
    with pytest.raises(DecodingError, match=reason) as caught:
        decode_code(change(code))
    assert code[:5] not in "".join(traceback.format_exception_only(caught.value))


def test_codes_are_drawn_from_all_bits() -> None:
    assert decode_code(draw_code(lambda n: b"\xff" * n)) == (2**125 - 1).to_bytes(16, "big")
    assert decode_code(draw_code(lambda n: b"\x07" + b"\0" * (n - 1)))[0] == 0
    assert draw_code() != draw_code()


@pytest.mark.parametrize("bits", [b"", bytes(15), bytes(17), b"\x20" + bytes(15)])
def test_codes_hold_125_bits(bits: bytes) -> None:
    with pytest.raises(ParameterError):
        encode_code(bits)


# Keys.


def test_key_derivation_is_as_documented() -> None:
    code = encode_code(bytes(range(16)))
    kdf = HKDF(algorithm=SHA256(), length=32, salt=BASE, info=b"evote/1/credential")
    signing = Ed25519PrivateKey.from_private_bytes(kdf.derive(bytes(range(16))))
    key = derive_voter_key(code, BASE)
    assert key.credential == signing.public_key().public_bytes_raw()
    message = ballot_message(ELECTION, BALLOTS[0], "cast")
    assert key.sign_ballot(ELECTION, BALLOTS[0], "cast") == signing.sign(message)


def test_a_code_gives_another_key_in_another_election() -> None:
    """attacks: C12"""
    code = draw_code()
    other = digest("test", b"another base")
    assert derive_voter_key(code, BASE).credential == derive_voter_key(code, BASE).credential
    assert derive_voter_key(code, BASE).credential != derive_voter_key(code, other).credential


def test_keys_of_many_codes_are_those_of_each() -> None:
    """As printed, as typed, and of several registrars: alone, and beside each other."""
    printed = [encode_code(bytes(16)), encode_code(b"\x1f" + b"\xff" * 15)]
    printed += [draw_code() for _ in range(20)]
    typed = [code.lower().replace("-", " ") for code in printed]
    parts = [f"{a}+{b}" for a, b in pairwise(printed)]
    for codes in (printed, typed, parts, printed + typed + parts, []):
        expected = [derive_voter_key(code, BASE).credential for code in codes]
        keys = derive_voter_keys(codes, BASE)
        assert [key.credential for key in keys] == expected
        ballots = [digest("test", bytes([i])) for i in range(len(keys))]
        actions: list[Action] = ["spoil" if i % 3 else "cast" for i in range(len(keys))]
        signed = zip(keys, ballots, actions, strict=True)
        alone = [key.sign_ballot(ELECTION, ballot, action) for key, ballot, action in signed]
        assert sign_ballots(keys, ELECTION, ballots, actions) == alone
        if "+" not in "".join(codes):
            assert derive_credentials(codes, BASE) == expected
    with pytest.raises(ParameterError, match="not 'read'"):
        sign_ballots(keys[:0], ELECTION, [bytes(32)], ["read"])  # type: ignore[list-item]


@pytest.mark.parametrize("place", range(0, 31, 3))
def test_one_mistyped_code_among_many(place: int) -> None:
    """attacks: C12. Each wrong character is found in bulk, too, and the code is not repeated."""
    codes = [draw_code() for _ in range(5)]
    for character in "0U?\u0661 ":
        wrong = codes[3][:place] + character + codes[3][place + 1 :]
        if wrong == codes[3] or (wrong[place] == " " and codes[3][place] == "-"):
            continue  # a space stands for a hyphen
        for derive in (derive_voter_keys, derive_credentials):
            with pytest.raises(DecodingError) as caught:
                derive([*codes[:3], wrong, codes[4]], BASE)
            assert codes[3][:5] not in str(caught.value)


def test_keys_do_not_show_their_secret() -> None:
    """attacks: E9"""
    key = derive_voter_key(draw_code(), BASE)
    assert isinstance(key.signing, SeedKey)
    for shown in (repr(key), str(key), f"{key}"):
        assert key.signing._secret[:32].hex() not in shown
        assert "signing" not in shown
    assert repr(key.signing) == f"<SeedKey {key.credential.hex()}>"
    joint = derive_voter_key(f"{draw_code()}+{draw_code()}", BASE)
    assert repr(joint.signing) == f"<SumKey {joint.credential.hex()}>"
    for leak in (pickle.dumps, copy.deepcopy):
        for whole in (key, key.signing, joint, joint.signing):
            with pytest.raises(ParameterError):
                leak(whole)


# Credentials of several parts.


def test_a_ballot_needs_the_codes_of_all_registrars() -> None:
    """attacks: C8. Two registrars together do not have what the third has drawn."""
    codes = [draw_code() for _ in range(3)]
    key = derive_voter_key("+".join(codes), BASE)
    signature = key.sign_ballot(ELECTION, BALLOTS[0], "cast")
    message = ballot_message(ELECTION, BALLOTS[0], "cast")
    Ed25519PublicKey.from_public_bytes(key.credential).verify(signature, message)
    for parts in [*combinations(codes, 1), *combinations(codes, 2)]:
        short = derive_voter_key("+".join(parts), BASE)
        assert short.credential != key.credential
        forged = short.sign_ballot(ELECTION, BALLOTS[0], "cast")
        assert not verify_ballot_signatures(
            ELECTION, [key.credential], [BALLOTS[0]], ["cast"], [forged]
        ).any()
    assert derive_voter_key("+".join(codes[::-1]), BASE).credential == key.credential


def test_parts_are_joined_without_their_secrets() -> None:
    codes = [[draw_code() for _ in range(2)] for _ in range(3)]
    parts = [derive_credentials(row, BASE) for row in codes]
    joint = [derive_voter_key("+".join(row), BASE).credential for row in codes]
    assert joint_credentials(parts) == joint
    assert joint_credentials([row[::-1] for row in parts]) == joint
    assert joint_credentials([]) == []


def test_a_part_chosen_after_the_others_gives_no_key() -> None:
    """attacks: E1, of registrars: a plain sum would be the key that the last one wants."""
    mine, honest = derive_voter_key(draw_code(), BASE), derive_voter_key(draw_code(), BASE)
    x, y = _decode_point(honest.credential)
    rogue = _encode_point(_add_points(_decode_point(mine.credential), (P - x, y)))
    plain_sum = _add_points(_decode_point(rogue), _decode_point(honest.credential))
    assert _encode_point(plain_sum) == mine.credential
    assert joint_credentials([[honest.credential, rogue]]) != [mine.credential]


@pytest.mark.parametrize("part", [bytes([1]) + bytes(31), bytes(32), b"\xff" * 32, b"short"])
def test_a_part_that_is_no_key_is_refused(part: bytes) -> None:
    good = derive_credentials([draw_code(), draw_code()], BASE)
    with pytest.raises(VerificationError, match=r"credential 1: .*prime order"):
        joint_credentials([good, [good[0], part]])


def test_mistyped_codes_of_several_registrars() -> None:
    one, other = draw_code(), draw_code()
    assert decode_codes(f"{one} + {other}") == (decode_code(one), decode_code(other))
    for wrong in (f"{one}+", f"{one}+{one}", f"{one}{other}", "+".join(map(str, [one] * 10))):
        with pytest.raises(DecodingError) as caught:
            decode_codes(wrong)
        assert one not in str(caught.value)


# Signatures of ballots.


KEYS = [derive_voter_key(encode_code(bytes(15) + bytes([i])), BASE) for i in range(3)]
BALLOTS = [digest("test", b"ballot", bytes([i])) for i in range(3)]
ACTIONS_TAKEN: tuple[Action, ...] = ("cast", "spoil", "cast")
SIGNATURES = [
    key.sign_ballot(ELECTION, ballot, action)
    for key, ballot, action in zip(KEYS, BALLOTS, ACTIONS_TAKEN, strict=True)
]
CREDENTIALS = [key.credential for key in KEYS]


def test_signatures_are_ed25519_over_the_documented_message() -> None:
    message = digest("ballot-signature", ELECTION, BALLOTS[1], b"spoil")
    Ed25519PublicKey.from_public_bytes(CREDENTIALS[1]).verify(SIGNATURES[1], message)


def test_signatures_bind_election_ballot_voter_and_word() -> None:
    def holds(**change: Any) -> list[bool]:
        given: dict[str, Any] = {
            "election_id": ELECTION,
            "credentials": CREDENTIALS,
            "ballots": BALLOTS,
            "actions": ["cast", "spoil", "cast"],
            "signatures": SIGNATURES,
        }
        mask: list[bool] = verify_ballot_signatures(**(given | change)).tolist()
        return mask

    assert holds() == [True, True, True]
    assert holds(election_id=BASE) == [False, False, False]
    assert holds(ballots=[BALLOTS[0], BALLOTS[2], BALLOTS[2]]) == [True, False, True]
    assert holds(actions=["spoil", "spoil", "cast"]) == [False, True, True]
    assert holds(credentials=[CREDENTIALS[1], CREDENTIALS[0], CREDENTIALS[2]]) == [
        False,
        False,
        True,
    ]
    flipped = SIGNATURES[2][:40] + bytes([SIGNATURES[2][40] ^ 1]) + SIGNATURES[2][41:]
    assert holds(signatures=[*SIGNATURES[:2], flipped]) == [True, True, False]
    assert holds(signatures=[*SIGNATURES[:2], b""]) == [True, True, False]
    with pytest.raises(ParameterError):
        holds(signatures=SIGNATURES[:2])
    none: list[Any] = []
    assert holds(credentials=none, ballots=none, actions=none, signatures=none) == []


def test_only_two_words_are_signed() -> None:
    with pytest.raises(ParameterError):
        ballot_message(ELECTION, BALLOTS[0], "open")  # type: ignore[arg-type]


# The roll.


def row(number: int, **more: Any) -> RollRow:
    code = encode_code(number.to_bytes(16, "big"))
    given: dict[str, Any] = {"credential": derive_voter_key(code, BASE).credential}
    return RollRow(**(given | {"style": "north" if number % 2 else "south"} | more))


REGISTRARS = [draw_operator("registrar", f"registrar-{i}") for i in range(2)]
CARDS = [registrar.card for registrar in REGISTRARS]
VOTERS = [row(i, weight=i + 1, district=f"d{i % 3}") for i in range(40)]
UNSIGNED, ROWS = make_roll(BASE, VOTERS)
HEADER = sign_roll(sign_roll(UNSIGNED, REGISTRARS[0]), REGISTRARS[1])
STYLES = ("south", "north")


def read(rows: Any = ROWS, **more: Any) -> Roll:
    return read_roll(rows, STYLES, **({"district_ids": ("d0", "d1", "d2")} | more))


def test_the_honest_roll() -> None:
    roll = read(iter(ROWS))
    verify_roll(roll, HEADER)
    verify_roll_signatures(HEADER, CARDS)
    assert len(roll) == 40
    assert roll.total_weight == sum(range(41))
    assert roll.root == merkle_root(ROWS)
    ordered = sorted(VOTERS, key=lambda voter: voter.credential)
    assert [roll.row(i) for i in range(40)] == ordered
    assert roll.find([voter.credential for voter in ordered]).tolist() == list(range(40))
    assert roll.find([bytes(32), VOTERS[0].credential, b"\xff" * 32]).tolist() == [
        -1,
        ordered.index(VOTERS[0]),
        -1,
    ]
    assert roll.find([]).tolist() == []
    assert roll.credentials.nbytes + roll.weights.nbytes <= 40 * 40


def test_order_says_nothing() -> None:
    assert make_roll(BASE, reversed(VOTERS)) == (UNSIGNED, ROWS)


def test_roll_files_round_trip() -> None:
    assert decode_roll(HEADER.encode()) == HEADER
    for data in ROWS:
        assert decode_row(data).encode() == data


@pytest.mark.parametrize("count", [0, 1])
def test_small_rolls(count: int) -> None:
    header, rows = make_roll(BASE, VOTERS[:count])
    roll = read(rows)
    verify_roll(roll, header)
    assert roll.find([VOTERS[0].credential]).tolist() == [count - 1]


def test_a_roll_over_several_chunks() -> None:
    """Rows are read 4096 at a time; keys are not checked here, which others do."""
    rows = [
        replace(VOTERS[0], credential=i.to_bytes(4, "big") + bytes(28)).encode()
        for i in range(1, 9001)
    ]
    roll = read(rows, check_keys=False)
    assert len(roll) == 9000
    assert roll.root == merkle_root(rows)
    wanted = [(5000).to_bytes(4, "big") + bytes(28), bytes(31) + b"\1"]
    assert roll.find(wanted).tolist() == [4999, -1]
    assert roll.row(4999).credential == wanted[0]
    with pytest.raises(DecodingError, match="row 4096"):
        read([*rows[:4096], rows[4095]], check_keys=False)


_ALIKE = st.builds(  # credentials of which many begin alike
    lambda head, rest: head * 8 + rest * 24,
    st.sampled_from([b"\0", b"\1", b"\xff"]),
    st.binary(min_size=1, max_size=1),
)


@given(st.sets(_ALIKE), st.lists(_ALIKE))
def test_credentials_that_begin_alike_are_told_apart(some: set[bytes], wanted: list[bytes]) -> None:
    ordered = sorted(some)
    rows = [replace(VOTERS[0], credential=credential).encode() for credential in ordered]
    roll = read(rows, check_keys=False)
    expected = [ordered.index(each) if each in some else -1 for each in [*wanted, *ordered]]
    assert roll.find([*wanted, *ordered]).tolist() == expected


_ODD_ROWS: dict[str, Callable[[bytes], bytes]] = {  # of the length of the others
    "another style": lambda data: data.replace(b"south", b"north"),
    "another district": lambda data: data.replace(b'"d1"', b'"d2"'),
    "no style": lambda data: data.replace(b"south", b"souls"),
    "weight": lambda data: data.replace(b'weight":7', b'weight":9'),
    "no weight": lambda data: data.replace(b'weight":7', b'weight":0'),
    "no digit": lambda data: data[:20] + b"G" + data[21:],
    "no row": lambda data: b"?" * len(data),
    "late": lambda data: data[:15] + b"0" * 64 + data[79:],
}


@given(
    st.dictionaries(st.integers(0, 19), st.sampled_from(sorted(_ODD_ROWS)), max_size=3),
    st.integers(1, 20),
)
def test_rows_side_by_side_are_the_same_rows(odd: dict[int, str], at_once: int) -> None:
    rows = [
        replace(VOTERS[0], credential=bytes([i + 1]) * 32, style="south", weight=7, district="d1")
        for i in range(20)
    ]
    encoded = [
        _ODD_ROWS[odd[i]](row.encode()) if i in odd else row.encode() for i, row in enumerate(rows)
    ]
    chunks = [encoded[start : start + at_once] for start in range(0, 20, at_once)]
    outcomes: list[object] = []
    for given_rows in (chunks, [Strings(to_rows(chunk)) for chunk in chunks]):
        try:
            roll = read(given_rows, check_keys=False, maximum_weight=8)
        except EvoteError as error:
            outcomes.append(repr(error))
        else:
            assert [roll.row(i).encode() for i in range(20)] == encoded
            assert roll.root == merkle_root(encoded)
            outcomes.append(roll.district_roots)
    assert outcomes[0] == outcomes[1]
    if at_once == 20:
        with nullcontext() if isinstance(outcomes[0], dict) else pytest.raises(EvoteError):
            read(encoded, check_keys=False, maximum_weight=8)
    assert isinstance(outcomes[0], dict) or odd


def test_no_personal_data_fits_on_the_roll() -> None:
    """attacks: C13"""
    for data in ROWS:
        assert set(decode_row(data).encode().decode().split('"')[1::2]) >= {"credential"}
    assert set(RollRow.__slots__) == {"credential", "style", "weight", "district", "status"}
    with pytest.raises(DecodingError, match="unknown field 'name'"):
        decode_row(canonical_json({**_fields(VOTERS[0]), "name": "A. Voter"}))
    for personal in ("A. Voter", "voter@example.org", "4510 123456"):
        with pytest.raises(ParameterError):
            row(1, district=personal)


def test_provisional_voters() -> None:
    """Others' rows have the bytes that they always had."""
    full, provisional = VOTERS[0], replace(VOTERS[0], status="provisional")
    assert b"status" not in full.encode()
    assert canonical_json(_fields(full)) == full.encode()
    assert canonical_json({**_fields(full), "status": "provisional"}) == provisional.encode()
    assert decode_row(provisional.encode()) == provisional
    roll = read(make_roll(BASE, [provisional, *VOTERS[1:]])[1])
    [place] = roll.find([full.credential])
    assert np.flatnonzero(roll.provisional).tolist() == [place]
    assert roll.row(int(place)) == provisional
    with pytest.raises(ParameterError, match="status"):
        row(1, status="perhaps")
    for status in ("full", "", None, True):
        with pytest.raises(DecodingError, match=r"\$\.status"):
            decode_row(canonical_json({**_fields(full), "status": status}))


def _fields(voter: RollRow) -> dict[str, Any]:
    return {
        "credential": voter.credential.hex(),
        "style": voter.style,
        "weight": voter.weight,
        "district": voter.district,
    }


def test_two_voters_with_one_key_are_refused() -> None:
    """attacks: C12"""
    with pytest.raises(ParameterError, match="twice"):
        make_roll(BASE, [VOTERS[0], VOTERS[1], replace(VOTERS[0], style="north")])
    with pytest.raises(DecodingError, match=r"row 3: \$\.credential: .*twice"):
        read([*ROWS[:3], ROWS[2], *ROWS[3:]])


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"style": "west"}, r"row 5: \$\.style"),
        ({"weight": 0}, r"row 5: \$\.weight"),
        ({"weight": -1}, r"row 5: \$\.weight"),
        ({"weight": True}, r"row 5: \$\.weight"),
        ({"weight": MAX_WEIGHT + 1}, r"row 5: \$\.weight"),
        ({"credential": "00" * 31}, r"row 5: \$\.credential"),
        ({"credential": None}, r"row 5: \$\.credential"),
        ({"district": ""}, r"row 5: \$\.district"),
        ({"colour": 1}, r"row 5: \$: unknown field"),
    ],
)
def test_bad_rows_are_named(change: dict[str, Any], where: str) -> None:
    data = canonical_json({**_fields(decode_row(ROWS[5])), **change})
    with pytest.raises(DecodingError, match=where):
        read([*ROWS[:5], data, *ROWS[6:]])


def test_rows_in_another_order_are_refused() -> None:
    with pytest.raises(DecodingError, match=r"lines: 2: \$\.credential"):
        read([ROWS[0], ROWS[2], ROWS[1]], place="lines: {}".format)


def test_weights_above_the_manifest() -> None:
    assert len(read(maximum_weight=40)) == 40
    with pytest.raises(DecodingError, match="above the maximum 39"):
        read(maximum_weight=39)


@pytest.mark.parametrize(
    "credential",
    [
        bytes([1]) + bytes(31),  # the identity
        bytes([0]) + bytes(31),  # of order 4
        bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa"),  # 8
        (2**255 - 19).to_bytes(32, "little"),  # not canonical
        (2**255 - 1).to_bytes(32, "little"),
        (2).to_bytes(32, "little"),  # not on the curve
    ],
)
def test_unusable_keys_are_refused(credential: bytes) -> None:
    rows = make_roll(BASE, [*VOTERS[:3], row(1, credential=credential)])[1]
    place = next(i for i, data in enumerate(rows) if decode_row(data).credential == credential)
    with pytest.raises(VerificationError, match=f"row {place}: .*prime order"):
        read(rows)


def test_a_mixed_order_key_is_refused() -> None:
    """A + T with T of order 8 is a key whose signatures the cofactored equation accepts too."""
    key = bytearray(VOTERS[0].credential)
    point = _decode_point(bytes(key))
    torsion = _decode_point(
        bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa")
    )
    mixed = _encode_point(_add_points(point, torsion))
    with pytest.raises(VerificationError, match="prime order"):
        read([row(1, credential=mixed).encode()])


P = 2**255 - 19
D = -121665 * pow(121666, -1, P) % P


def _decode_point(data: bytes) -> tuple[int, int]:
    y = int.from_bytes(data, "little") & (2**255 - 1)
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    if x * x % P != square:
        x = x * pow(2, (P - 1) // 4, P) % P
    assert x * x % P == square
    return (x if x & 1 == data[31] >> 7 else P - x), y


def _add_points(a: tuple[int, int], b: tuple[int, int]) -> tuple[int, int]:
    t = D * a[0] * b[0] * a[1] * b[1]
    return (
        (a[0] * b[1] + a[1] * b[0]) * pow(1 + t, -1, P) % P,
        (a[1] * b[1] + a[0] * b[0]) * pow(1 - t, -1, P) % P,
    )


def _encode_point(point: tuple[int, int]) -> bytes:
    return (point[1] | (point[0] & 1) << 255).to_bytes(32, "little")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"count": 41}, "41 rows announced, 40 found"),
        ({"root": bytes(32)}, "signed root"),
        ({"weight": 7}, "weight of 7"),
    ],
)
def test_headers_of_other_rows(change: dict[str, Any], reason: str) -> None:
    with pytest.raises(VerificationError, match=reason):
        verify_roll(read(), replace(HEADER, **change))


def test_the_districts_of_a_header() -> None:
    """Each root is that of the district's rows alone; a roll of one district has none."""
    for district in HEADER.districts:
        rows = [data for data in ROWS if decode_row(data).district == district.id]
        assert (district.count, district.root) == (len(rows), merkle_root(rows))
        assert district.weight == sum(decode_row(data).weight for data in rows)
    assert [district.id for district in HEADER.districts] == ["d0", "d1", "d2"]
    assert make_roll(BASE, VOTERS[::3])[0].districts == ()
    old = replace(UNSIGNED, districts=())
    verify_roll(read(district_ids=()), old)  # as rolls were before, whose bytes have not changed
    assert b"districts" not in old.encode()
    assert old.signed_parts() == (BASE, (40).to_bytes(4, "little"), merkle_root(ROWS))
    with pytest.raises(VerificationError, match="registrar registrar-0"):
        verify_roll_signatures(replace(HEADER, districts=()), CARDS)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"count": 15}, "district d1: 15 rows"),
        ({"weight": 1}, "district d1: 13 rows of weight 1 announced"),
        ({"root": bytes(32)}, "district d1: the rows do not have the signed root"),
        ({"id": "d11"}, "no voter of the announced district d11"),
    ],
)
def test_districts_of_other_rows(change: dict[str, Any], reason: str) -> None:
    first, second, third = HEADER.districts
    changed = (first, replace(second, **change), third)
    with pytest.raises(VerificationError, match=reason):
        verify_roll(read(), replace(HEADER, districts=changed))
    with pytest.raises(VerificationError, match="district d1 is not announced"):
        verify_roll(read(), replace(HEADER, districts=(first, third)))
    with pytest.raises(VerificationError, match="registrar registrar-0"):
        verify_roll_signatures(replace(HEADER, districts=changed), CARDS)


@pytest.mark.parametrize("order", [(1, 0, 2), (0, 0, 1), (0,), ()])
def test_malformed_districts(order: tuple[int, ...]) -> None:
    fields = json.loads(HEADER.encode())
    assert decode_roll(canonical_json(fields)) == HEADER
    fields["districts"] = [fields["districts"][i] for i in order]
    with pytest.raises(DecodingError, match=r"roll/roll\.json: \$\.districts"):
        decode_roll(canonical_json(fields))


@pytest.mark.parametrize("rows", [ROWS[1:], ROWS[:-1], [*ROWS[:3], *ROWS[4:]]])
def test_missing_rows(rows: list[bytes]) -> None:
    with pytest.raises(VerificationError):
        verify_roll(read(rows), HEADER)


def test_every_changed_row_changes_the_root() -> None:
    for i in (0, 17, 39):
        voter = decode_row(ROWS[i])
        for changed in (
            replace(voter, weight=voter.weight + 1),
            replace(voter, district="elsewhere"),
            replace(voter, style="south" if voter.style == "north" else "north"),
        ):
            rows = [*ROWS[:i], changed.encode(), *ROWS[i + 1 :]]
            header = replace(HEADER, weight=read(rows).total_weight)
            with pytest.raises(VerificationError, match="signed root"):
                verify_roll(read(rows), header)


def test_signatures_of_the_roll() -> None:
    verify_roll_signatures(HEADER, CARDS)
    verify_roll_signatures(HEADER, CARDS[::-1])
    for change in ({"base": bytes(32)}, {"count": 41}, {"root": bytes(32)}):
        with pytest.raises(VerificationError, match="registrar registrar-0"):
            verify_roll_signatures(replace(HEADER, **change), CARDS)
    with pytest.raises(VerificationError, match="not signed by registrar registrar-1"):
        verify_roll_signatures(sign_roll(UNSIGNED, REGISTRARS[0]), CARDS)
    with pytest.raises(VerificationError, match="not signed by registrar registrar-0, registrar-1"):
        verify_roll_signatures(UNSIGNED, CARDS)
    with pytest.raises(VerificationError, match="'registrar-1' is no registrar"):
        verify_roll_signatures(HEADER, CARDS[:1])
    first, second = HEADER.signatures
    with pytest.raises(VerificationError, match="registrar-0 has signed twice"):
        verify_roll_signatures(replace(HEADER, signatures=(first, second, first)), CARDS)
    swapped = (
        RollSignature(registrar="registrar-0", signature=second.signature),
        RollSignature(registrar="registrar-1", signature=first.signature),
    )
    with pytest.raises(VerificationError, match="not that of registrar registrar-0"):
        verify_roll_signatures(replace(HEADER, signatures=swapped), CARDS)


def test_signing_again_replaces() -> None:
    again = sign_roll(HEADER, REGISTRARS[0])
    assert again == HEADER
    stale = replace(HEADER, count=3)
    renewed = sign_roll(sign_roll(stale, REGISTRARS[1]), REGISTRARS[0])
    assert [s.registrar for s in renewed.signatures] == ["registrar-0", "registrar-1"]
    verify_roll_signatures(renewed, CARDS)


@pytest.mark.parametrize(
    "change",
    [
        {"format": "evote/rolls"},
        {"version": 2},
        {"base": "00"},
        {"count": -1},
        {"count": 2**32},
        {"root": "zz" * 32},
        {"weight": 1.5},
        {"signatures": {}},
        {"signatures": [{"registrar": "r", "signature": "AA"}]},
        {"signatures": [{"registrar": "r", "signature": "A" * 86, "extra": 1}]},
        {"extra": 1},
    ],
)
def test_malformed_headers(change: dict[str, Any]) -> None:
    fields: dict[str, Any] = {
        "format": "evote/roll",
        "version": 1,
        "base": BASE.hex(),
        "count": 0,
        "root": bytes(32).hex(),
        "weight": 0,
        "signatures": [],
    }
    assert decode_roll(canonical_json(fields)).count == 0
    data = b'{"weight":1.5}' if change == {"weight": 1.5} else canonical_json(fields | change)
    with pytest.raises(EvoteError, match=r"roll/roll\.json"):
        decode_roll(data)


def check_header(data: bytes) -> None:
    header = decode_roll(data)
    verify_roll(read(), header)
    verify_roll_signatures(header, CARDS)


@given(st.data())
def test_a_damaged_roll_is_refused(data: st.DataObject) -> None:
    with pytest.raises(EvoteError):
        check_header(data.draw(strategies.damaged(HEADER.encode())))


@pytest.mark.parametrize("weight", [0, -1, True, 1.0, MAX_WEIGHT + 1])
def test_rows_by_hand_are_checked(weight: Any) -> None:
    with pytest.raises(ParameterError):
        row(1, weight=weight)
    with pytest.raises(ParameterError):
        row(1, credential=bytes(31))


def test_find_wants_credentials() -> None:
    with pytest.raises(ParameterError):
        read().find([b"short"])
    assert np.issubdtype(read().find([]).dtype, np.integer)
