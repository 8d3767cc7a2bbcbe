"""What trustees post during the key ceremony: four signed files, their form and nothing else.

    commit      H(A_i): trustee i fixes its polynomial before it sees any other
    reveal      A_i with proofs of knowledge, and the share f_i(j) sealed for every trustee j
    complaint   trustee j shows that dealer i's share does not fit A_i
    confirm     trustee i found everything right, and names the joint key

A file is one canonical JSON object. Its last field is the author's signature over the canonical
bytes of all the others, so no field is outside of it. Decoding checks form, place (ceremony,
trustee) and signature; what the values mean is judged in `threshold`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from evote.encoding import (
    JSON,
    Fields,
    canonical_json,
    check_format,
    digest,
    encode_base64url,
    encode_hex,
    parse_json,
)
from evote.errors import DecodingError, ParameterError, VerificationError
from evote.groups import Elements, Group
from evote.operators import Card, OperatorKey, verify_signature
from evote.proofs import EqualLogsProof, SchnorrProof, decode_equal_logs, decode_schnorr

__all__ = [
    "MAX_TRUSTEES",
    "CeremonyParameters",
    "Commit",
    "Complaint",
    "Confirm",
    "FileKind",
    "Reveal",
    "ceremony_digest",
    "ceremony_file_name",
    "commits_digest",
    "decode_commit",
    "decode_complaint",
    "decode_confirm",
    "decode_reveal",
    "parse_file_name",
    "sign_file",
]

MAX_TRUSTEES = 99
TAG_SIZE = 16
_MAX_FILE = 2**20

FileKind: TypeAlias = Literal["commit", "reveal", "complaint", "confirm"]

_NAME = re.compile(
    r"(?:(commit|reveal|confirm)-([0-9]{3})|(complaint)-([0-9]{3})-([0-9]{3}))\.json", re.ASCII
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CeremonyParameters:
    """What is agreed before a ceremony starts. Trustee i is `trustees[i - 1]`."""

    group: Group
    base_id: bytes
    quorum: int
    trustees: tuple[Card, ...]

    def __post_init__(self) -> None:
        n = len(self.trustees)
        if not 1 <= n <= MAX_TRUSTEES or n >= self.group.order:
            raise ParameterError(f"1 to {MAX_TRUSTEES} trustees, fewer than q, expected; got {n}")
        if type(self.quorum) is not int or not 1 <= self.quorum <= n:
            raise ParameterError(f"a quorum from 1 to {n} expected, got {self.quorum}")
        if len(self.base_id) != 32:
            raise ParameterError(f"a base id of 32 bytes expected, got {len(self.base_id)}")
        for i, card in enumerate(self.trustees, start=1):
            if card.ceremony_key is None or card.ceremony_key.group != self.group:
                raise ParameterError(f"trustee {i} has no ceremony key in {self.group.name}")
        if len({card.signing_key for card in self.trustees}) < n:
            raise ParameterError("two trustees have the same signing key")

    def ceremony_key(self, index: int) -> Elements:
        """The key z_j under which trustee j receives shares; shape ()."""
        key = self.trustees[index - 1].ceremony_key
        if key is None:  # __post_init__ has seen to it; this is for the type checker
            raise ParameterError(f"trustee {index} has no ceremony key")
        return key

    def name(self, index: int) -> str:
        """A trustee in words, for messages."""
        return f"trustee {index} ({self.trustees[index - 1].id})"

    def index_of(self, card: Card) -> int:
        """The index of a trustee's card; ParameterError if it is none of this ceremony."""
        for i, known in enumerate(self.trustees, start=1):
            if known == card:
                return i
        raise ParameterError(f"{card.role} {card.id} is no trustee of this election")


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """Round 1: the hash of a trustee's coefficient commitments."""

    index: int
    commitment: bytes

    def body(self) -> dict[str, JSON]:
        """The fields of the file that are this value's own."""
        return {"index": self.index, "commitment": encode_hex(self.commitment)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Reveal:
    """Round 2: the commitments A_i (k,), their proof, and the sealed share of each trustee."""

    index: int
    coefficients: Elements
    proof: SchnorrProof
    ephemerals: Elements
    sealed: tuple[bytes, ...]
    commits: bytes

    def body(self) -> dict[str, JSON]:
        """The fields of the file that are this value's own."""
        shares: list[JSON] = [
            {
                "ephemeral": encode_base64url(self.ephemerals[j].encode()),
                "sealed": encode_base64url(sealed),
            }
            for j, sealed in enumerate(self.sealed)
        ]
        return {
            "index": self.index,
            "coefficients": encode_base64url(self.coefficients.encode()),
            "proofs": encode_base64url(self.proof.encode()),
            "shares": shares,
            "commits": encode_hex(self.commits),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Complaint:
    """The Diffie-Hellman value of one share, with the proof that it is the right one."""

    accuser: int
    dealer: int
    key: Elements
    proof: EqualLogsProof

    def body(self) -> dict[str, JSON]:
        """The fields of the file that are this value's own."""
        return {
            "accuser": self.accuser,
            "dealer": self.dealer,
            "key": encode_base64url(self.key.encode()),
            "proof": encode_base64url(self.proof.encode()),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirm:
    """A trustee's word that both rounds are right: their digest, and the key they give."""

    index: int
    ceremony: bytes
    key: Elements

    def body(self) -> dict[str, JSON]:
        """The fields of the file that are this value's own."""
        return {
            "index": self.index,
            "ceremony": encode_hex(self.ceremony),
            "key": encode_base64url(self.key.encode()),
        }


def ceremony_file_name(kind: FileKind, *indices: int) -> str:
    """The name of a file inside ceremony/; a complaint has accuser and dealer."""
    return "-".join([kind, *(f"{i:03d}" for i in indices)]) + ".json"


def parse_file_name(name: str, trustees: int) -> tuple[FileKind, tuple[int, ...]]:
    """Kind and trustee indices of a file name.

    Raises:
        DecodingError: no such file belongs to a ceremony of that many trustees.
    """
    match = _NAME.fullmatch(name)
    if match:
        indices = tuple(int(part) for part in match.groups() if part and part.isdigit())
        if all(1 <= i <= trustees for i in indices):
            kinds: dict[str, FileKind] = {"commit": "commit", "reveal": "reveal"}
            kinds |= {"complaint": "complaint", "confirm": "confirm"}
            return kinds[match[1] or match[3]], indices
    raise DecodingError("no file of this ceremony", where=f"ceremony/{name}")


def commits_digest(files: Mapping[str, bytes], trustees: int) -> bytes:
    """The digest of all commit files, which every reveal repeats."""
    names = [ceremony_file_name("commit", i) for i in range(1, trustees + 1)]
    return digest("ceremony-commits", *_present(files, names))


def ceremony_digest(files: Mapping[str, bytes], trustees: int) -> bytes:
    """The digest of both rounds, which every confirmation signs and the election id contains."""
    indices = range(1, trustees + 1)
    names = [ceremony_file_name("commit", i) for i in indices]
    names += [ceremony_file_name("reveal", i) for i in indices]
    return digest("ceremony", *_present(files, names))


def _present(files: Mapping[str, bytes], names: list[str]) -> list[bytes]:
    for name in names:
        if name not in files:
            raise DecodingError("the file is missing", where=f"ceremony/{name}")
    return [files[name] for name in names]


def sign_file(
    parameters: CeremonyParameters,
    kind: FileKind,
    value: Commit | Reveal | Complaint | Confirm,
    key: OperatorKey,
) -> bytes:
    """The bytes of a ceremony file."""
    head: dict[str, JSON] = {"format": f"evote/ceremony-{kind}", "version": 1}
    body = head | {"base": encode_hex(parameters.base_id)} | value.body()
    signature = key.sign(f"ceremony-{kind}", canonical_json(body))
    return canonical_json(body | {"signature": encode_base64url(signature)})


def _open_file(
    parameters: CeremonyParameters, kind: FileKind, data: bytes, places: dict[str, int]
) -> Fields:
    """Form, ceremony, author and signature; the fields that remain are the caller's."""
    where = "ceremony/" + ceremony_file_name(kind, *places.values())
    value = parse_json(data, where=where, max_bytes=_MAX_FILE)
    fields = Fields(value, f"{where}: $")
    check_format(fields, f"evote/ceremony-{kind}", 1)
    if fields.hex("base", 32) != parameters.base_id:
        raise VerificationError(f"{fields.path('base')}: of another election")
    for name, index in places.items():
        fields.integer(name, index, index)
    signature = fields.packed("signature", 64)
    author = next(iter(places.values()))
    body = {name: item for name, item in value.items() if name != "signature"}  # type: ignore[union-attr]
    try:
        verify_signature(
            parameters.trustees[author - 1], signature, f"ceremony-{kind}", canonical_json(body)
        )
    except VerificationError as error:
        raise VerificationError(f"{fields.path('signature')}: {error}") from None
    return fields


def decode_commit(parameters: CeremonyParameters, data: bytes, index: int) -> Commit:
    """Read commit-`index`.json."""
    fields = _open_file(parameters, "commit", data, {"index": index})
    commit = Commit(index=index, commitment=fields.hex("commitment", 32))
    fields.end()
    return commit


def decode_reveal(parameters: CeremonyParameters, data: bytes, index: int) -> Reveal:
    """Read reveal-`index`.json: exactly `quorum` coefficients and a share for each trustee."""
    group, n = parameters.group, len(parameters.trustees)
    fields = _open_file(parameters, "reveal", data, {"index": index})
    place = fields.path("coefficients")
    packed = fields.packed("coefficients", parameters.quorum * group.element_size)
    coefficients = group.decode_elements(packed, (parameters.quorum,), where=place)
    place = fields.path("proofs")
    proof = decode_schnorr(group, fields.packed("proofs"), (parameters.quorum,), where=place)
    ephemerals, sealed = [], []
    entries = list(fields.objects("shares", n))
    if len(entries) != n:
        fields.fail("shares", f"{n} shares expected, got {len(entries)}")
    for entry in entries:
        ephemerals.append(entry.packed("ephemeral", group.element_size))
        sealed.append(entry.packed("sealed", group.scalar_size + TAG_SIZE))
        entry.end()
    commits = fields.hex("commits", 32)
    fields.end()
    return Reveal(
        index=index,
        coefficients=coefficients,
        proof=proof,
        ephemerals=group.decode_elements(
            b"".join(ephemerals), (n,), where=f"{fields.path('shares')}[*].ephemeral"
        ),
        sealed=tuple(sealed),
        commits=commits,
    )


def decode_complaint(
    parameters: CeremonyParameters, data: bytes, accuser: int, dealer: int
) -> Complaint:
    """Read complaint-`accuser`-`dealer`.json."""
    group = parameters.group
    fields = _open_file(parameters, "complaint", data, {"accuser": accuser, "dealer": dealer})
    packed = fields.packed("key", group.element_size)
    key = group.decode_elements(packed, (), where=fields.path("key"))
    proof = decode_equal_logs(group, fields.packed("proof"), (1, 2), where=fields.path("proof"))
    fields.end()
    return Complaint(accuser=accuser, dealer=dealer, key=key, proof=proof)


def decode_confirm(parameters: CeremonyParameters, data: bytes, index: int) -> Confirm:
    """Read confirm-`index`.json."""
    group = parameters.group
    fields = _open_file(parameters, "confirm", data, {"index": index})
    ceremony = fields.hex("ceremony", 32)
    packed = fields.packed("key", group.element_size)
    key = group.decode_elements(packed, (), where=fields.path("key"))
    fields.end()
    return Confirm(index=index, ceremony=ceremony, key=key)
