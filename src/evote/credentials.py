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
Python does not wipe memory: a code lives in it until its process ends.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice, pairwise
from typing import Literal, NoReturn, TypeAlias

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from numpy.typing import NDArray

from evote._base32 import from_digits, grouped, read_digits, to_digits
from evote._merkle import CompactRange, leaf_hash, merkle_root
from evote.encoding import (
    JSON,
    Fields,
    canonical_json,
    check_format,
    check_identifier,
    digest,
    encode_base64url,
    encode_hex,
    parse_json,
    uint32,
)
from evote.errors import DecodingError, ParameterError, VerificationError
from evote.groups import Rng
from evote.groups.eddsa import decode_verification_keys, verify_signatures
from evote.operators import Card, OperatorKey, signed_message

__all__ = [
    "ACTIONS",
    "STATUSES",
    "Action",
    "Roll",
    "RollHeader",
    "RollRow",
    "RollSignature",
    "Status",
    "VoterKey",
    "ballot_message",
    "decode_code",
    "decode_roll",
    "decode_row",
    "derive_voter_key",
    "draw_code",
    "encode_code",
    "make_roll",
    "read_roll",
    "roll_root",
    "sign_roll",
    "verify_ballot_signatures",
    "verify_roll",
    "verify_roll_signatures",
]

Action: TypeAlias = Literal["cast", "spoil"]
Status: TypeAlias = Literal["full", "provisional"]
ACTIONS: tuple[Action, ...] = ("cast", "spoil")
STATUSES: tuple[Status, ...] = ("full", "provisional")

MAX_WEIGHT = 2**31 - 1
MAX_ROW = 1000  # bytes
_MAX_HEADER = 2**20  # bytes
_MAX_SIGNATURES = 99
_KEYS_AT_ONCE = 4096

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


def draw_code(rng: Rng | None = None) -> str:
    """A fresh code of 125 random bits."""
    number = int.from_bytes((rng or os.urandom)(16), "big") >> (128 - _CODE_BITS)
    return encode_code(number.to_bytes(16, "big"))


@dataclass(frozen=True, slots=True, kw_only=True)
class VoterKey:
    """A voter's signing key in memory. No repr, pickle or message shows its secret."""

    credential: bytes
    signing: Ed25519PrivateKey = field(repr=False)

    def sign_ballot(self, election_id: bytes, ballot: bytes, action: Action) -> bytes:
        """Sign the digest of a ballot, to cast it or to spoil it: 64 bytes."""
        return self.signing.sign(ballot_message(election_id, ballot, action))

    def __reduce__(self) -> NoReturn:
        raise ParameterError("a voter's key is not pickled")

    def __getstate__(self) -> NoReturn:
        raise ParameterError("a voter's key is not pickled")


def derive_voter_key(code: str, base_id: bytes) -> VoterKey:
    """The key that a code gives in the election of `base_id`.

    Raises:
        DecodingError: a mistyped code.
    """
    kdf = HKDF(algorithm=SHA256(), length=32, salt=base_id, info=b"evote/1/credential")
    signing = Ed25519PrivateKey.from_private_bytes(kdf.derive(decode_code(code)))
    return VoterKey(credential=signing.public_key().public_bytes_raw(), signing=signing)


def ballot_message(election_id: bytes, ballot: bytes, action: Action) -> bytes:
    """The 32 bytes that a voter signs: election, digest of the ballot, and the word."""
    if action not in ACTIONS:
        raise ParameterError(f"a ballot is cast or spoiled, not {action!r}")
    return digest("ballot-signature", election_id, ballot, action.encode("ascii"))


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
    pairs = zip(ballots, actions, strict=True)
    messages = [ballot_message(election_id, ballot, action) for ballot, action in pairs]
    return verify_signatures(credentials, messages, signatures)


@dataclass(frozen=True, slots=True, kw_only=True)
class RollRow:
    """One voter of the roll: a key, what it votes on, and how much it counts.

    What a provisional voter casts counts only if the authorities confirm the voter.
    """

    credential: bytes
    style: str
    weight: int = 1
    district: str = "all"
    status: Status = "full"

    def __post_init__(self) -> None:
        if len(self.credential) != 32:
            raise ParameterError("a credential is 32 bytes")
        if type(self.weight) is not int or not 1 <= self.weight <= MAX_WEIGHT:
            raise ParameterError(f"a weight is an integer from 1 to {MAX_WEIGHT}")
        if self.status not in STATUSES:
            raise ParameterError(f"a status is one of {', '.join(STATUSES)}")
        try:
            check_identifier(self.style)
            check_identifier(self.district)
        except DecodingError as error:
            raise ParameterError(f"roll row: {error.reason}") from None

    def encode(self) -> bytes:
        """The row as canonical JSON: a leaf of the roll's tree."""
        row: dict[str, JSON] = {
            "credential": encode_hex(self.credential),
            "district": self.district,
            "style": self.style,
            "weight": self.weight,
        }
        return canonical_json(row if self.status == "full" else row | {"status": self.status})


def decode_row(data: bytes, *, where: str = "") -> RollRow:
    """Read one row of the roll."""
    fields = Fields(parse_json(data, where=where, max_bytes=MAX_ROW), _root(where))
    row = RollRow(
        credential=fields.hex("credential", 32),
        style=fields.identifier("style"),
        weight=fields.integer("weight", 1, MAX_WEIGHT),
        district=fields.identifier("district"),
        status=_read_status(fields),
    )
    fields.end()
    return row


def _read_status(fields: Fields) -> Status:
    if "status" not in fields:
        return "full"
    fields.choice("status", ("provisional",))
    return "provisional"


def _root(where: str) -> str:
    return f"{where}: $" if where else "$"


@dataclass(frozen=True, slots=True, kw_only=True)
class RollSignature:
    """A registrar's signature of the roll."""

    registrar: str
    signature: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class RollHeader:
    """What `roll/roll.json` says of the rows: how many, their tree's root, their total weight."""

    base: bytes
    count: int
    root: bytes
    weight: int
    signatures: tuple[RollSignature, ...] = ()

    def signed_parts(self) -> tuple[bytes, ...]:
        """What registrars sign under the purpose "roll"; the root covers the weights."""
        return (self.base, uint32(self.count), self.root)

    def encode(self) -> bytes:
        """The file's bytes."""
        return canonical_json(
            {
                "format": "evote/roll",
                "version": 1,
                "base": encode_hex(self.base),
                "count": self.count,
                "root": encode_hex(self.root),
                "weight": self.weight,
                "signatures": [
                    {"registrar": s.registrar, "signature": encode_base64url(s.signature)}
                    for s in self.signatures
                ],
            }
        )


def decode_roll(data: bytes, *, where: str = "roll/roll.json") -> RollHeader:
    """Read `roll/roll.json`."""
    fields = Fields(parse_json(data, where=where, max_bytes=_MAX_HEADER), _root(where))
    check_format(fields, "evote/roll", 1)
    base = fields.hex("base", 32)
    count = fields.integer("count", 0, 2**32 - 1)
    root = fields.hex("root", 32)
    weight = fields.integer("weight", 0, 2**53 - 1)
    signatures = []
    for item in fields.objects("signatures", _MAX_SIGNATURES):
        registrar, signature = item.identifier("registrar"), item.packed("signature", 64)
        item.end()
        signatures.append(RollSignature(registrar=registrar, signature=signature))
    fields.end()
    return RollHeader(
        base=base, count=count, root=root, weight=weight, signatures=tuple(signatures)
    )


def roll_root(rows: Iterable[bytes]) -> bytes:
    """The RFC 6962 Merkle root over the bytes of the rows."""
    return merkle_root(rows)


def make_roll(base_id: bytes, rows: Iterable[RollRow]) -> tuple[RollHeader, list[bytes]]:
    """A roll of these voters: its header, not yet signed, and its rows in their order.

    Raises:
        ParameterError: a credential occurs twice, which merges two voters into one.
    """
    ordered = sorted(rows, key=lambda row: row.credential)
    for row, following in pairwise(ordered):
        if row.credential == following.credential:
            raise ParameterError("a credential occurs twice on the roll")
    encoded = [row.encode() for row in ordered]
    weight = sum(row.weight for row in ordered)
    root = roll_root(encoded)
    return RollHeader(base=base_id, count=len(encoded), root=root, weight=weight), encoded


def sign_roll(header: RollHeader, registrar: OperatorKey) -> RollHeader:
    """The header with this registrar's signature, at the end or in place of its former one."""
    signature = RollSignature(
        registrar=registrar.card.id, signature=registrar.sign("roll", *header.signed_parts())
    )
    if any(s.registrar == signature.registrar for s in header.signatures):
        signatures = tuple(
            signature if s.registrar == signature.registrar else s for s in header.signatures
        )
    else:
        signatures = (*header.signatures, signature)
    return replace(header, signatures=signatures)


def verify_roll_signatures(header: RollHeader, registrars: Sequence[Card]) -> None:
    """Check that every registrar of the manifest, and nobody else, signed this roll.

    Raises:
        VerificationError: a signature is missing, doubled, foreign or false; names the registrar.
    """
    cards = {card.id: card for card in registrars}
    signers = [s.registrar for s in header.signatures]
    for i, signer in enumerate(signers):
        if signer not in cards:
            raise VerificationError(f"roll: {signer!r} is no registrar of this election")
        if signer in signers[:i]:
            raise VerificationError(f"roll: registrar {signer} has signed twice")
    if missing := [card.id for card in registrars if card.id not in signers]:
        raise VerificationError(f"roll: not signed by registrar {', '.join(missing)}")
    holds = verify_signatures(
        [cards[signer].signing_key for signer in signers],
        [signed_message("roll", *header.signed_parts())] * len(signers),
        [s.signature for s in header.signatures],
    )
    if not holds.all():
        signer = signers[int(np.argmin(holds))]
        raise VerificationError(f"roll: the signature is not that of registrar {signer}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Roll:
    """The rows of a roll as arrays: 47 bytes a voter in memory, however long the names.

    `credentials` ascend; `style_numbers` and `district_numbers` point into `styles`, the styles
    of the manifest, and `districts`, in the order of first occurrence. `provisional` says where
    the status is that.
    """

    credentials: NDArray[np.bytes_]
    style_numbers: NDArray[np.uint16]
    district_numbers: NDArray[np.uint32]
    weights: NDArray[np.int64]
    styles: tuple[str, ...]
    districts: tuple[str, ...]
    root: bytes
    provisional: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.credentials)

    @property
    def total_weight(self) -> int:
        """The weight of all voters together."""
        return int(self.weights.sum())

    def find(self, credentials: Sequence[bytes] | NDArray[np.uint8]) -> NDArray[np.int64]:
        """The row number of each credential, -1 for one that is not on the roll.

        Args:
            credentials: n of 32 bytes, or an array of shape (n, 32).
        """
        if not len(self) or not len(credentials):
            return np.full(len(credentials), -1, np.int64)
        if any(len(credential) != 32 for credential in credentials):
            raise ParameterError("a credential is 32 bytes")
        wanted = np.frombuffer(b"".join(credentials), dtype="S32")
        rows = np.searchsorted(self.credentials, wanted).astype(np.int64)
        found = self.credentials[np.minimum(rows, len(self) - 1)] == wanted
        return np.where(found & (rows < len(self)), rows, -1)

    def row(self, number: int) -> RollRow:
        """One row, by its number."""
        return RollRow(
            credential=bytes(self.credentials[number]).ljust(32, b"\0"),
            style=self.styles[self.style_numbers[number]],
            weight=int(self.weights[number]),
            district=self.districts[self.district_numbers[number]],
            status="provisional" if self.provisional[number] else "full",
        )


def read_roll(
    rows: Iterable[bytes],
    styles: Sequence[str],
    *,
    maximum_weight: int = MAX_WEIGHT,
    place: Callable[[int], str] = "row {}".format,
    check_keys: bool = True,
) -> Roll:
    """Read the rows of a roll, in one pass.

    Args:
        styles: the style ids of the manifest.
        place: the place of a row in messages, by its number.
        check_keys: also check that every credential is a canonical, torsion-free Ed25519 key.

    Raises:
        DecodingError: a malformed row, rows that do not strictly ascend by credential (so a
            credential that occurs twice), an unknown style, a weight above the maximum.
        VerificationError: a credential is no usable key.
    """
    numbers = {style: i for i, style in enumerate(styles)}
    districts: dict[str, int] = {}
    tree = CompactRange()
    parts: list[tuple[NDArray[np.bytes_], NDArray[np.int64]]] = []
    previous = b""
    for start, chunk in _chunks(rows):
        keys: list[bytes] = []
        values: list[tuple[int, int, int, bool]] = []
        for i, data in enumerate(chunk, start):
            row = decode_row(data, where=place(i))
            if row.credential <= previous:
                reason = "credentials do not ascend, or one occurs twice"
                raise DecodingError(reason, where=f"{place(i)}: $.credential")
            if row.style not in numbers:
                raise DecodingError(f"no style {row.style!r}", where=f"{place(i)}: $.style")
            if row.weight > maximum_weight:
                reason = f"weight {row.weight} is above the maximum {maximum_weight}"
                raise DecodingError(reason, where=f"{place(i)}: $.weight")
            previous = row.credential
            keys.append(row.credential)
            district = districts.setdefault(row.district, len(districts))
            values.append((numbers[row.style], district, row.weight, row.status == "provisional"))
            tree.append(leaf_hash(data))
        if check_keys and not (usable := decode_verification_keys(keys)).all():
            wrong = place(start + int(np.argmin(usable)))
            raise VerificationError(f"{wrong}: the credential is no Ed25519 key of prime order")
        columns = np.array(values, dtype=np.int64).reshape(-1, 4)
        parts.append((np.frombuffer(b"".join(keys), dtype="S32"), columns))
    columns = np.concatenate([np.empty((0, 4), np.int64), *[part[1] for part in parts]])
    return Roll(
        credentials=np.concatenate([np.empty(0, "S32"), *[part[0] for part in parts]]),
        style_numbers=columns[:, 0].astype(np.uint16),
        district_numbers=columns[:, 1].astype(np.uint32),
        weights=columns[:, 2].copy(),
        styles=tuple(styles),
        districts=tuple(districts),
        root=tree.root(),
        provisional=columns[:, 3].astype(np.bool_),
    )


def _chunks(rows: Iterable[bytes]) -> Iterator[tuple[int, list[bytes]]]:
    iterator, start = iter(rows), 0
    while chunk := list(islice(iterator, _KEYS_AT_ONCE)):
        yield start, chunk
        start += len(chunk)


def verify_roll(roll: Roll, header: RollHeader) -> None:
    """Check that the header speaks of these rows.

    Raises:
        VerificationError: count, root or total weight differ.
    """
    if len(roll) != header.count:
        raise VerificationError(f"roll: {header.count} rows announced, {len(roll)} found")
    if roll.root != header.root:
        raise VerificationError("roll: the rows do not have the signed root")
    if roll.total_weight != header.weight:
        got = f"{roll.total_weight} found"
        raise VerificationError(f"roll: a total weight of {header.weight} announced, {got}")
