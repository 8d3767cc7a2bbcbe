"""Voters' codes and keys, the roll, and the signatures of ballots.

A voter holds a code of 125 random bits, shown in groups of five: 25 characters of Crockford's base
32 and a check character over GF(32), which catches every wrong character and every exchange of
two. The code gives an Ed25519 key:

    seed = HKDF-SHA256(code as 16 bytes big-endian, salt base_id, info "evote/1/credential")

The election id depends on the roll and the roll on these keys, so the salt is the base id, which
stands for the manifest, its group and its trustees: a code gives another key in another election.
The public half is the voter's credential. The roll lists credentials with style, weight and
district, sorted, so that its order says nothing; it holds nothing else about a voter, and nothing
here takes a name. Its root is the RFC 6962 Merkle root of its rows, signed by every registrar.

With one registrar that draws the codes, the registrar can impersonate voters; a verdict says so.
With several that each draw a part, a voter holds one code of each, joined by "+", and signs with

    a = sum of t_i a_i mod L,   t_i = X("joint-key", A_i, A_1, .., A_r ascending) mod L

under the credential A = sum of t_i A_i: one signature, which only all parts together make. The
factors t_i are those of MuSig: whoever chooses A_i after the others' still does not know a
(G. Maxwell, A. Poelstra, Y. Seurin, P. Wuille, "Simple Schnorr multi-signatures", 2019).

Python does not wipe memory: a code lives in it until its process ends.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, NoReturn, TypeAlias

import numpy as np
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from numpy.typing import NDArray

from evote._base32 import (
    from_digits,
    grouped,
    grouped_rows,
    read_digits,
    read_grouped,
    to_digits,
)
from evote._forms import from_rows
from evote._roll import (
    MAX_DISTRICTS,
    MAX_ROLL,
    MAX_ROW,
    MAX_WEIGHT,
    STATUSES,
    Roll,
    RollDistrict,
    RollHeader,
    RollRow,
    RollSignature,
    RollSums,
    Status,
    decode_roll,
    decode_row,
    make_roll,
    read_roll,
    roll_root,
    sign_roll,
    verify_roll,
    verify_roll_signatures,
)
from evote.encoding import digest, digests, xof
from evote.errors import DecodingError, ParameterError
from evote.groups import Rng
from evote.groups.eddsa import verify_signatures
from evote.groups.eddsa_keys import SeedKey, SumKey, public_keys, sum_key, sum_publics

__all__ = [
    "ACTIONS",
    "MAX_DISTRICTS",
    "MAX_PARTS",
    "MAX_ROLL",
    "MAX_ROW",
    "MAX_WEIGHT",
    "STATUSES",
    "Action",
    "Roll",
    "RollDistrict",
    "RollHeader",
    "RollRow",
    "RollSignature",
    "RollSums",
    "Status",
    "VoterKey",
    "ballot_message",
    "decode_code",
    "decode_codes",
    "decode_roll",
    "decode_row",
    "derive_credentials",
    "derive_voter_key",
    "derive_voter_keys",
    "draw_code",
    "draw_codes",
    "encode_code",
    "joint_credentials",
    "make_roll",
    "read_roll",
    "roll_root",
    "sign_ballots",
    "sign_roll",
    "verify_ballot_signatures",
    "verify_roll",
    "verify_roll_signatures",
]

Action: TypeAlias = Literal["cast", "spoil"]
ACTIONS: tuple[Action, ...] = ("cast", "spoil")

MAX_PARTS = 9
"""Codes of one voter; whoever has to type more than two or three will not vote."""

_CODE_BITS = 125
_CODE_DIGITS = 25


def _powers_of_two_in_gf32() -> tuple[list[int], dict[int, int]]:
    """Powers of x modulo x^5 + x^2 + 1, of order 31, and their logarithms."""
    powers = [1]
    while len(powers) < 31:
        doubled = powers[-1] << 1
        powers.append(doubled ^ 0b100101 if doubled & 32 else doubled)
    return powers, {power: i for i, power in enumerate(powers)}


_POWERS, _LOGARITHMS = _powers_of_two_in_gf32()


def _check_digit(digits: Sequence[int]) -> int:
    """The sum of x^i d_i over i = 1 .. 25 in GF(32).

    The check digit itself has the multiplier x^0. All 26 multipliers differ and none is 0, so a
    single wrong digit changes the sum, and so does any exchange of two different digits.
    """
    total = 0
    for i, digit in enumerate(digits, 1):
        total ^= _POWERS[(i + _LOGARITHMS[digit]) % 31] if digit else 0
    return total


_MULTIPLES = np.array(
    [[_check_digit([*[0] * i, d]) for d in range(32)] for i in range(_CODE_DIGITS)], dtype=np.uint8
)


def encode_code(bits: bytes) -> str:
    """The typable form of 16 big-endian bytes that hold 125 bits."""
    number = int.from_bytes(bits, "big")
    if len(bits) != 16 or number >> _CODE_BITS:
        raise ParameterError("a code is 125 bits in 16 bytes")
    digits = to_digits(number, _CODE_DIGITS)
    return grouped([*digits, _check_digit(digits)])


def decode_code(code: str) -> bytes:
    """The 16 bytes of a typed code; upper or lower case, hyphens and spaces anywhere.

    Raises:
        DecodingError: mistyped. The message does not repeat the code.
    """
    digits = read_digits(code)
    if digits is None:
        raise DecodingError("a code has letters and digits only, and no U", where="code")
    if len(digits) != _CODE_DIGITS + 1:
        reason = f"a code has {_CODE_DIGITS + 1} characters, got {len(digits)}"
        raise DecodingError(reason, where="code")
    if _check_digit(digits[:-1]) != digits[-1]:
        raise DecodingError("the check character does not fit: mistyped", where="code")
    return from_digits(digits[:-1]).to_bytes(16, "big")


def decode_codes(code: str) -> tuple[bytes, ...]:
    """The codes of a voter, joined by "+": one, or one of each registrar in any order.

    Raises:
        DecodingError: mistyped, too many, or one of them twice.
    """
    codes = tuple(map(decode_code, code.split("+", MAX_PARTS)))
    if len(codes) > MAX_PARTS or len(set(codes)) < len(codes):
        raise DecodingError(f"at most {MAX_PARTS} different codes expected", where="code")
    return codes


def draw_codes(count: int, rng: Rng | None = None) -> list[str]:
    """Fresh codes of 125 random bits each, as `encode_code` writes them; in bulk."""
    drawn = np.frombuffer((rng or os.urandom)(16 * count), dtype=np.uint8).reshape(count, 16)
    bits = np.unpackbits(drawn, axis=1)[:, :_CODE_BITS].reshape(count, _CODE_DIGITS, 5)
    digits = bits @ np.array([16, 8, 4, 2, 1], dtype=np.uint8)
    return grouped_rows(np.concatenate([digits, _check_digits(digits)[:, None]], axis=1))


def _check_digits(digits: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The `_check_digit` of each row."""
    chosen = _MULTIPLES[np.arange(_CODE_DIGITS), digits]
    checks: NDArray[np.uint8] = np.bitwise_xor.reduce(chosen, axis=1)
    return checks


def _decode_printed(codes: Sequence[str]) -> list[bytes] | None:
    """The `decode_code` of each, if all are single codes exactly as they are printed."""
    digits = read_grouped(codes, _CODE_DIGITS + 1)
    if digits is None or (_check_digits(digits[:, :-1]) != digits[:, -1]).any():
        return None
    bits = digits[:, :-1, None] >> np.arange(4, -1, -1, dtype=np.uint8) & 1
    padded = np.zeros((len(codes), 128), dtype=np.uint8)
    padded[:, 128 - _CODE_BITS :] = bits.reshape((len(codes), _CODE_BITS))
    return from_rows(np.packbits(padded, axis=1))


def draw_code(rng: Rng | None = None) -> str:
    """A fresh code of 125 random bits."""
    return draw_codes(1, rng)[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class VoterKey:
    """A voter's signing key in memory. No repr, pickle or message shows its secret."""

    credential: bytes
    signing: SeedKey | SumKey = field(repr=False)

    def sign_ballot(self, election_id: bytes, ballot: bytes, action: Action) -> bytes:
        """Sign the digest of a ballot, to cast it or to spoil it: 64 bytes."""
        return self.signing.sign(ballot_message(election_id, ballot, action))

    def __reduce__(self) -> NoReturn:
        raise ParameterError("a voter's key is not pickled")

    def __getstate__(self) -> NoReturn:
        raise ParameterError("a voter's key is not pickled")


def _derive_seed(code: bytes, base_id: bytes) -> bytes:
    kdf = HKDF(algorithm=SHA256(), length=32, salt=base_id, info=b"evote/1/credential")
    return kdf.derive(code)


def derive_voter_key(code: str, base_id: bytes) -> VoterKey:
    """The key that a code, or the codes of all registrars, give in the election of `base_id`.

    Raises:
        DecodingError: a mistyped code.
    """
    return derive_voter_keys([code], base_id)[0]


def derive_voter_keys(codes: Sequence[str], base_id: bytes) -> list[VoterKey]:
    """The `derive_voter_key` of each of many voters."""
    printed, keys = _decode_printed(codes), []
    for parts in map(decode_codes, codes) if printed is None else zip(printed, strict=True):
        seeds = [_derive_seed(part, base_id) for part in parts]
        signing: SeedKey | SumKey
        if len(seeds) == 1:
            signing = SeedKey(seeds[0])
        else:
            signing = sum_key(seeds, _joint_factors(public_keys(seeds)))
        keys.append(VoterKey(credential=signing.public, signing=signing))
    return keys


def derive_credentials(codes: Sequence[str], base_id: bytes) -> list[bytes]:
    """The credentials, or parts of credentials, that single codes give; for whoever issues them."""
    printed = _decode_printed(codes)
    decoded = list(map(decode_code, codes)) if printed is None else printed
    return public_keys([_derive_seed(code, base_id) for code in decoded])


def joint_credentials(parts: Sequence[Sequence[bytes]]) -> list[bytes]:
    """The credential of each voter from its parts, one of each registrar in any order.

    Raises:
        VerificationError: a part is no canonical Ed25519 key of prime order.
    """
    return sum_publics(parts, [_joint_factors(row) for row in parts])


def _joint_factors(publics: Sequence[bytes]) -> list[bytes]:
    """t_i of each part, as 64 uniform bytes to be reduced modulo L."""
    ordered = sorted(publics)
    return [xof("joint-key", public, *ordered, length=64) for public in publics]


def ballot_message(election_id: bytes, ballot: bytes, action: Action) -> bytes:
    """The 32 bytes that a voter signs: election, digest of the ballot, and the word."""
    if action not in ACTIONS:
        raise ParameterError(f"a ballot is cast or spoiled, not {action!r}")
    return digest("ballot-signature", election_id, ballot, action.encode("ascii"))


def sign_ballots(
    keys: Sequence[VoterKey],
    election_id: bytes,
    ballots: Sequence[bytes],
    actions: Sequence[Action],
) -> list[bytes]:
    """The `sign_ballot` of each of many voters."""
    if other := sorted(set(actions) - set(ACTIONS)):
        raise ParameterError(f"a ballot is cast or spoiled, not {other[0]!r}")
    words = [action.encode("ascii") for action in actions]
    messages = digests("ballot-signature", election_id, ballots, words)
    return [key.signing.sign(message) for key, message in zip(keys, messages, strict=True)]


def verify_ballot_signatures(
    election_id: bytes,
    credentials: Sequence[bytes],
    ballots: Sequence[bytes],
    actions: Sequence[Action],
    signatures: Sequence[bytes],
) -> NDArray[np.bool_]:
    """Which of n signatures over ballot digests hold; one random combination for all of them."""
    if not len(credentials) == len(ballots) == len(actions) == len(signatures):
        raise ParameterError("as many credentials, ballots and actions as signatures expected")
    if other := sorted(set(actions) - set(ACTIONS)):
        raise ParameterError(f"a ballot is cast or spoiled, not {other[0]!r}")
    words = {action: action.encode("ascii") for action in ACTIONS}
    each = [words[action] for action in actions]
    messages = digests("ballot-signature", election_id, ballots, each)
    return verify_signatures(credentials, messages, signatures)
