"""The roll: who may vote, as keys with a style, a weight and a district.

A private sibling of `credentials`, which is the public path to all of it. Rows ascend by
credential in the whole roll, hence in each district too. A row is `provisional` where somebody has
yet to confirm that its voter may vote. Where there are several districts, the header has count,
weight and root of each, so that a district's rows can be checked without the others'.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import islice
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from evote._forms import HOLE, Form, Strings, to_rows
from evote._merkle import CompactRange, leaf_hash, leaf_hashes, merkle_root
from evote.encoding import (
    JSON,
    Fields,
    canonical_json,
    check_format,
    check_identifier,
    encode_base64url,
    encode_hex,
    parse_json,
    uint32,
)
from evote.errors import DecodingError, ParameterError, VerificationError
from evote.groups.eddsa import decode_verification_keys, verify_signatures
from evote.operators import Card, OperatorKey, signed_message

__all__ = [
    "MAX_DISTRICTS",
    "MAX_ROLL",
    "MAX_ROW",
    "MAX_WEIGHT",
    "STATUSES",
    "Roll",
    "RollDistrict",
    "RollHeader",
    "RollRow",
    "RollSignature",
    "RollSums",
    "Status",
    "decode_roll",
    "decode_row",
    "make_roll",
    "read_roll",
    "roll_root",
    "sign_roll",
    "verify_roll",
    "verify_roll_signatures",
]

Status: TypeAlias = Literal["full", "provisional"]
STATUSES: tuple[Status, ...] = ("full", "provisional")

MAX_WEIGHT = 2**31 - 1
MAX_ROW = 1000  # bytes
MAX_ROLL = 16 * 2**20  # bytes, of the header
MAX_DISTRICTS = 100_000
_MAX_SIGNATURES = 99
_KEYS_AT_ONCE = 4096
_MOST_KINDS = 2**16
_COLUMNS = (np.uint16, np.uint32, np.int64, np.bool_)  # style, district, weight, provisional
_BEGIN = b'{"credential":"'
_HEAD = Form(_BEGIN + HOLE.encode() * 64, ["hex"])


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
        rest = _after_credential(self.style, self.weight, self.district, self.status)
        return _BEGIN + encode_hex(self.credential).encode("ascii") + rest


@lru_cache(maxsize=4096)
def _after_credential(style: str, weight: int, district: str, status: Status) -> bytes:
    """What follows the credential in a row, which few rows have to themselves."""
    row: dict[str, JSON] = {
        "credential": "",
        "district": district,
        "style": style,
        "weight": weight,
    }
    data = canonical_json(row if status == "full" else row | {"status": status})
    assert data.startswith(_BEGIN)  # the first of the sorted keys
    return data[len(_BEGIN) :]


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
class RollDistrict:
    """The voters of one district: how many, their weight, and the root of their rows alone."""

    id: str
    count: int
    weight: int
    root: bytes

    def to_json(self) -> JSON:
        """The object of a header."""
        return {
            "id": self.id,
            "count": self.count,
            "weight": self.weight,
            "root": encode_hex(self.root),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class RollHeader:
    """What `roll/roll.json` says of the rows: how many, their tree's root, their total weight.

    `districts`, ascending by id, are those of a roll that has several, and none otherwise.
    """

    base: bytes
    count: int
    root: bytes
    weight: int
    districts: tuple[RollDistrict, ...] = ()
    signatures: tuple[RollSignature, ...] = ()

    def signed_parts(self) -> tuple[bytes, ...]:
        """What registrars sign under the purpose "roll"; the root covers the weights."""
        parts = (self.base, uint32(self.count), self.root)
        return (*parts, canonical_json(self._districts())) if self.districts else parts

    def _districts(self) -> JSON:
        return [district.to_json() for district in self.districts]

    def encode(self) -> bytes:
        """The file's bytes."""
        districts: dict[str, JSON] = {"districts": self._districts()} if self.districts else {}
        return canonical_json(
            districts
            | {
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
    fields = Fields(parse_json(data, where=where, max_bytes=MAX_ROLL), _root(where))
    check_format(fields, "evote/roll", 1)
    header = RollHeader(
        base=fields.hex("base", 32),
        count=fields.integer("count", 0, 2**32 - 1),
        root=fields.hex("root", 32),
        weight=fields.integer("weight", 0, 2**53 - 1),
        districts=_read_districts(fields) if "districts" in fields else (),
        signatures=tuple(_read_signatures(fields)),
    )
    fields.end()
    return header


def _read_districts(fields: Fields) -> tuple[RollDistrict, ...]:
    districts: list[RollDistrict] = []
    for item in fields.objects("districts", MAX_DISTRICTS):
        district = RollDistrict(
            id=item.identifier("id"),
            count=item.integer("count", 1, 2**32 - 1),
            weight=item.integer("weight", 1, 2**53 - 1),
            root=item.hex("root", 32),
        )
        item.end()
        if districts and district.id <= districts[-1].id:
            item.fail("id", "ids do not ascend, or one occurs twice")
        districts.append(district)
    if len(districts) < 2:
        fields.fail("districts", "two or more expected; a roll of one district has none here")
    return tuple(districts)


def _read_signatures(fields: Fields) -> Iterator[RollSignature]:
    for item in fields.objects("signatures", _MAX_SIGNATURES):
        registrar, signature = item.identifier("registrar"), item.packed("signature", 64)
        item.end()
        yield RollSignature(registrar=registrar, signature=signature)


def roll_root(rows: Iterable[bytes]) -> bytes:
    """The RFC 6962 Merkle root over the bytes of the rows."""
    return merkle_root(rows)


class RollSums:
    """What a header says of rows, gathered as they pass in their order: log2(n) hashes a tree."""

    def __init__(self) -> None:
        self._tree, self._weight = CompactRange(), 0
        self._districts: dict[str, tuple[CompactRange, list[int]]] = {}

    def passing(self, rows: Iterable[RollRow]) -> Iterator[bytes]:
        """The bytes of these rows, which are gathered as they are taken.

        Raises:
            ParameterError: a credential occurs twice, which merges two voters into one; rows do
                not ascend; or there are too many districts.
        """
        previous = b""
        for row in rows:
            if row.credential <= previous:
                twice = "a credential occurs twice on the roll"
                raise ParameterError(twice if row.credential == previous else "rows do not ascend")
            previous, data = row.credential, row.encode()
            leaf = leaf_hash(data)
            if row.district not in self._districts and len(self._districts) == MAX_DISTRICTS:
                raise ParameterError(f"more than {MAX_DISTRICTS} districts")
            tree, weight = self._districts.setdefault(row.district, (CompactRange(), [0]))
            tree.append(leaf)
            self._tree.append(leaf)
            weight[0] += row.weight
            self._weight += row.weight
            yield data

    def header(self, base_id: bytes) -> RollHeader:
        """The header of all rows that have passed, not yet signed."""
        districts = [
            RollDistrict(id=name, count=tree.size, weight=weight, root=tree.root())
            for name, (tree, [weight]) in sorted(self._districts.items())
        ]
        return RollHeader(
            base=base_id,
            count=self._tree.size,
            root=self._tree.root(),
            weight=self._weight,
            districts=tuple(districts) if len(districts) > 1 else (),
        )


def make_roll(base_id: bytes, rows: Iterable[RollRow]) -> tuple[RollHeader, list[bytes]]:
    """A roll of these voters: its header, not yet signed, and its rows in their order.

    Raises:
        ParameterError: a credential occurs twice, which merges two voters into one.
    """
    sums = RollSums()
    encoded = list(sums.passing(sorted(rows, key=lambda row: row.credential)))
    return sums.header(base_id), encoded


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
    """The rows of a roll as arrays: 55 bytes a voter in memory, however long the names.

    `credentials` ascend; `style_numbers` and `district_numbers` point into `styles`, the styles
    of the manifest, and `districts`, in the order of first occurrence. `provisional` says where
    the status is that; `district_roots` are those that the reader asked for.
    """

    credentials: NDArray[np.bytes_]
    style_numbers: NDArray[np.uint16]
    district_numbers: NDArray[np.uint32]
    weights: NDArray[np.int64]
    provisional: NDArray[np.bool_]
    styles: tuple[str, ...]
    districts: tuple[str, ...]
    root: bytes
    district_roots: Mapping[str, bytes] = field(default_factory=dict)
    _heads: NDArray[np.uint64] = field(init=False, repr=False)  # of the credentials

    def __post_init__(self) -> None:
        object.__setattr__(self, "_heads", _heads(self.credentials))

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
        if not isinstance(credentials, np.ndarray):
            if any(len(credential) != 32 for credential in credentials):
                raise ParameterError("a credential is 32 bytes")
            credentials = to_rows(credentials)
        wanted = np.frombuffer(credentials.tobytes(), dtype="S32")
        heads = _heads(wanted)
        rows = np.minimum(np.searchsorted(self._heads, heads), len(self) - 1).astype(np.int64)
        found = self.credentials[rows] == wanted
        alike = np.flatnonzero(~found & (self._heads[rows] == heads))
        if len(alike):  # whoever makes many keys can make some that begin alike
            later = np.searchsorted(self.credentials, wanted[alike])
            rows[alike] = np.minimum(later, len(self) - 1)
            found[alike] = self.credentials[rows[alike]] == wanted[alike]
        return np.where(found, rows, -1)

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
    rows: Iterable[bytes] | Iterable[Sequence[bytes]],
    styles: Sequence[str],
    *,
    maximum_weight: int = MAX_WEIGHT,
    place: Callable[[int], str] = "row {}".format,
    check_keys: bool = True,
    district_ids: Iterable[str] = (),
) -> Roll:
    """Read the rows of a roll, in one pass.

    Args:
        rows: one by one, or as many at a time as they were read; Strings are the fastest.
        styles: the style ids of the manifest.
        place: the place of a row in messages, by its number.
        check_keys: also check that every credential is a canonical, torsion-free Ed25519 key.
        district_ids: whose roots are wanted: those of the header.

    Raises:
        DecodingError: a malformed row, rows that do not strictly ascend by credential (so a
            credential that occurs twice), an unknown style, a weight above the maximum.
        VerificationError: a credential is no usable key.
    """
    kinds = _Kinds(styles, maximum_weight, place)
    tree, trees = CompactRange(), {name: CompactRange() for name in district_ids}
    credentials, columns = bytearray(), [bytearray() for _ in _COLUMNS]  # nothing lies there twice
    previous = np.zeros(0, dtype="S32")
    start = 0
    for chunk in _chunks(rows):
        keys, numbers = kinds.read(start, chunk)
        ordered = np.concatenate([previous, keys])
        if (late := ordered[1:] <= ordered[:-1]).any():
            wrong = place(start + int(np.argmax(late)) + 1 - len(previous))
            reason = "credentials do not ascend, or one occurs twice"
            raise DecodingError(reason, where=f"{wrong}: $.credential")
        previous = keys[-1:]
        leaves = Strings(to_rows(leaf_hashes(chunk)))
        tree.extend(leaves)
        for name, each in trees.items():
            mine = np.flatnonzero(numbers[:, 1] == kinds.districts.get(name, -1))
            each.extend(Strings(leaves.rows[mine]))
        if check_keys:
            usable = decode_verification_keys(Strings(keys.view(np.uint8).reshape((-1, 32))))
            if not usable.all():
                wrong = place(start + int(np.argmin(usable)))
                raise VerificationError(f"{wrong}: the credential is no Ed25519 key of prime order")
        credentials += keys.tobytes()
        for column, values, dtype in zip(columns, numbers.T, _COLUMNS, strict=True):
            column += values.astype(dtype).tobytes()
        start += len(chunk)
    found: list[NDArray[Any]] = [
        np.frombuffer(column, dtype) for column, dtype in zip(columns, _COLUMNS, strict=True)
    ]
    return Roll(
        credentials=np.frombuffer(credentials, "S32"),
        style_numbers=found[0],
        district_numbers=found[1],
        weights=found[2],
        provisional=found[3],
        styles=tuple(styles),
        districts=tuple(kinds.districts),
        root=tree.root(),
        district_roots={name: each.root() for name, each in trees.items()},
    )


def _heads(credentials: NDArray[np.bytes_]) -> NDArray[np.uint64]:
    """The first eight bytes of each as a number: in the same order, and quicker to search."""
    return credentials.view(">u8")[::4].astype(np.uint64)


class _Kinds:
    """Reads rows, of which few differ in more than the credential.

    What follows the credential in a row is read once, and known again. It becomes four numbers:
    of style and district, the weight, and whether the voter is provisional.
    """

    def __init__(
        self, styles: Sequence[str], maximum_weight: int, place: Callable[[int], str]
    ) -> None:
        self.districts: dict[str, int] = {}  # in the order of first occurrence
        self._styles = {style: i for i, style in enumerate(styles)}
        self._maximum_weight, self._place = maximum_weight, place
        self._known: dict[bytes, tuple[int, int, int, int]] = {}

    def read(
        self, start: int, chunk: Sequence[bytes]
    ) -> tuple[NDArray[np.bytes_], NDArray[np.int64]]:
        """The credentials of some rows, and the four numbers of each.

        Raises:
            DecodingError: of the first that is wrong.
        """
        cut = _HEAD.length
        first: dict[bytes, int] = {}  # the row of each kind that comes first
        if isinstance(chunk, Strings):
            found, holes = _HEAD.read(Strings(chunk.rows[:, :cut]))
            rest = chunk.rows[:, cut:]
            tails = [rest[0].tobytes()] if (rest == rest[0]).all() else list(Strings(rest))
        else:
            found, holes = _HEAD.read([data[:cut] for data in chunk])
            tails = [data[cut:] for data in chunk]
        order = [first.setdefault(tail, i) for i, tail in enumerate(tails)]
        order *= len(chunk) // len(tails)  # one tail stands for all, where all are alike
        if len(found) < len(chunk):  # a row that can be read begins with its credential
            bad = int(np.setdiff1d(np.arange(len(chunk)), found)[0])
            for i, data in enumerate(chunk[: bad + 1]):
                self._judge(decode_row(data, where=self._place(start + i)), start + i)
            raise AssertionError("a row that canonical JSON does not begin with its credential")
        numbers = np.zeros((len(chunk), 4), dtype=np.int64)
        for kind, i in first.items():
            known = self._known.get(kind)
            if known is None:
                row = decode_row(chunk[i], where=self._place(start + i))
                known = self._judge(row, start + i)
                if len(self._known) == _MOST_KINDS:
                    self._known.clear()
                self._known[kind] = known
            numbers[i] = known
        return np.frombuffer(holes[0].tobytes(), dtype="S32"), numbers[order]

    def _judge(self, row: RollRow, number: int) -> tuple[int, int, int, int]:
        where = self._place(number)
        if row.style not in self._styles:
            raise DecodingError(f"no style {row.style!r}", where=f"{where}: $.style")
        if row.weight > self._maximum_weight:
            reason = f"weight {row.weight} is above the maximum {self._maximum_weight}"
            raise DecodingError(reason, where=f"{where}: $.weight")
        district = self.districts.setdefault(row.district, len(self.districts))
        return self._styles[row.style], district, row.weight, row.status == "provisional"


def _chunks(rows: Iterable[bytes] | Iterable[Sequence[bytes]]) -> Iterator[Sequence[bytes]]:
    iterator: Iterator[Any] = iter(rows)
    for row in iterator:
        yield [row, *islice(iterator, _KEYS_AT_ONCE - 1)] if isinstance(row, bytes) else row


def verify_roll(roll: Roll, header: RollHeader) -> None:
    """Check that the header speaks of these rows.

    Raises:
        VerificationError: count, root or total weight differ, of the roll or of a district.
    """
    if len(roll) != header.count:
        raise VerificationError(f"roll: {header.count} rows announced, {len(roll)} found")
    if roll.root != header.root:
        raise VerificationError("roll: the rows do not have the signed root")
    if roll.total_weight != header.weight:
        got = f"{roll.total_weight} found"
        raise VerificationError(f"roll: a total weight of {header.weight} announced, {got}")
    if header.districts:
        _verify_districts(roll, header.districts)


def _verify_districts(roll: Roll, districts: Sequence[RollDistrict]) -> None:
    counts = np.bincount(roll.district_numbers, minlength=len(roll.districts)).tolist()
    weights = [0] * len(roll.districts)
    order = np.argsort(roll.district_numbers, kind="stable")
    start = 0
    for number, count in enumerate(counts):
        weights[number] = int(roll.weights[order[start : start + count]].sum())
        start += count
    found = {name: i for i, name in enumerate(roll.districts)}
    for district in districts:
        if district.id not in found:
            raise VerificationError(f"roll: no voter of the announced district {district.id}")
        number = found.pop(district.id)
        if (district.count, district.weight) != (counts[number], weights[number]):
            announced = f"{district.count} rows of weight {district.weight} announced"
            got = f"{counts[number]} of weight {weights[number]} found"
            raise VerificationError(f"roll: district {district.id}: {announced}, {got}")
        if roll.district_roots.get(district.id) != district.root:
            reason = "the rows do not have the signed root"
            raise VerificationError(f"roll: district {district.id}: {reason}")
    if found:
        raise VerificationError(f"roll: district {min(found)} is not announced")
