"""The steps before voting: operators, manifest, ceremony in one place, roll.

A private sibling of `workflow`, which is the public path to all of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from os import urandom
from pathlib import Path

from evote._files import make_directory
from evote.ceremony import (
    ceremony_parameters,
    trustee_check,
    trustee_commit,
    trustee_reveal,
)
from evote.credentials import (
    RollRow,
    Status,
    decode_roll,
    derive_voter_key,
    draw_code,
    make_roll,
    read_roll,
    sign_roll,
    verify_roll,
    verify_roll_signatures,
)
from evote.election import (
    MIN_UNIT,
    Districts,
    ElectionParameters,
    Manifest,
    decode_manifest,
    election_parameters,
    encode_manifest,
)
from evote.encoding import JSON, canonical_json, encode_hex, parse_json
from evote.errors import (
    DecodingError,
    ParameterError,
    VerificationError,
)
from evote.groups import Group, ristretto255
from evote.operators import (
    SCRYPT_COST,
    Card,
    OperatorKey,
    Passphrase,
    Role,
    create_operator,
    load_operator,
)
from evote.record import (
    MANIFEST,
    ROLL,
    Record,
    write_file,
    write_roll,
)
from evote.threshold import audit_ceremony


def create_operators(
    directory: Path | str,
    passphrase: Passphrase,
    *,
    trustees: int,
    registrars: int = 1,
    authorities: int = 1,
    mixers: int = 0,
    group: Group = ristretto255,
    tags: bool = False,
    cost: int = SCRYPT_COST,
) -> dict[str, Path]:
    """Make the directories of all operators of a demonstration; id to directory.

    With `tags`, registrars get a key for reconciliation too.
    They are called trustee-1, ..., registrar-1, ..., authority-1, ..., mixer-1, ... and board.
    """
    roles: list[tuple[Role, int]] = [
        ("trustee", trustees),
        ("registrar", registrars),
        ("authority", authorities),
        ("mixer", mixers),
    ]
    made: dict[str, Path] = {}
    make_directory(directory)
    for role, count in roles:
        for i in range(count):
            name = f"{role}-{i + 1}"
            made[name] = Path(directory) / name
            keyed = role == "trustee" or (role == "registrar" and tags)
            in_group = group if keyed else None
            create_operator(made[name], role, name, passphrase, group=in_group, cost=cost)
    made["board"] = Path(directory) / "board"
    create_operator(made["board"], "board", "board", passphrase, cost=cost)
    return made


def new_election(
    record: Path | str,
    draft: Mapping[str, JSON] | bytes,
    *,
    cards: Mapping[str, Card] | None = None,
) -> Manifest:
    """Publish the manifest of a new election: a draft with a fresh nonce.

    A draft is manifest.json without `format`, `version` and `nonce`; where it has the identifier
    of an operator in the place of a card, that card is taken from `cards`. In `mixing` only
    `mixers` and `packs` must be given, in `districts` nothing; in the profile `belenios` trustees
    mix, and no `mixers`.

    Raises:
        DecodingError: the draft is malformed or contradicts itself; names the field.
        ParameterError: an operator without a card, or the record has another manifest already.
    """
    given = parse_json(draft, where="draft") if isinstance(draft, bytes) else dict(draft)
    if not isinstance(given, dict):
        raise DecodingError("an object expected", where="draft")
    value: dict[str, JSON] = {"profile": "native", "group": ristretto255.name, **given}
    known = cards or {}
    for key in ("trustees", "registrars"):
        value[key] = _with_cards(value.get(key), known)
    for key, inner in (("authorities", "cards"), ("board", "card")):
        part = value.get(key)
        if isinstance(part, dict) and inner in part:
            value[key] = {**part, inner: _with_cards(part[inner], known)}
    if isinstance(districts := value.get("districts"), dict):
        value["districts"] = {**Districts().to_json(), **districts}
    if isinstance(mixing := value.get("mixing"), dict):
        if value["profile"] == "belenios":
            mixing = {"mixers": [], **mixing}
        value["mixing"] = {**_MIXING, **mixing, "mixers": _with_cards(mixing.get("mixers"), known)}
    value |= {"format": "evote/manifest", "version": 1, "nonce": encode_hex(urandom(32))}
    manifest = decode_manifest(canonical_json(value), where="draft")
    make_directory(record)
    write_file(Path(record) / MANIFEST, encode_manifest(manifest))
    return manifest


_MIXING: dict[str, JSON] = {
    "min_unit": MIN_UNIT,
    "small_units_accepted": False,
    "patterns_accepted": False,
}


def _with_cards(value: JSON, cards: Mapping[str, Card]) -> JSON:
    if isinstance(value, list):
        return [_with_cards(item, cards) for item in value]
    if not isinstance(value, str):
        return value
    if value not in cards:
        raise ParameterError(f"no card of operator {value!r}")
    return cards[value].fields()


def run_ceremony(
    record: Path | str, trustee_directories: Sequence[Path | str], passphrase: Passphrase
) -> None:
    """The whole key ceremony at once, every trustee in turn.

    Raises:
        VerificationError: a trustee's check found something wrong.
    """
    for directory in trustee_directories:
        trustee_commit(directory, record, passphrase)
    for directory in trustee_directories:
        trustee_reveal(directory, record, passphrase)
    for directory in trustee_directories:
        outcome = trustee_check(directory, record, passphrase)
        if not outcome.ok:
            raise VerificationError("; ".join(outcome.lines) or "a trustee has not confirmed")


@dataclass(frozen=True, slots=True, kw_only=True)
class RollLine:
    """`count` voters of one kind, to be put on the roll."""

    style: str
    weight: int = 1
    district: str = "all"
    status: Status = "full"
    count: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """What one voter gets: the code, to be handed over once and kept nowhere else."""

    code: str = field(repr=False)
    style: str
    weight: int
    district: str
    status: Status = "full"


def draw_credentials(record: Path | str, lines: Sequence[RollLine]) -> list[Credential]:
    """Fresh codes for all voters, in the order of the lines. Save them before the roll is signed.

    Raises:
        ParameterError: more voters or weight than the manifest allows, an unknown style, or the
            record has a roll already.
    """
    opened = Record(record)
    manifest = opened.manifest
    manifest.check_native()
    if opened.has(ROLL):
        raise ParameterError("the record has a roll already")
    if manifest.credentials != "drawn":
        raise ParameterError("no registrar draws the codes of this election alone")
    for line in lines:
        manifest.style(line.style)
        if line.count < 0:
            raise ParameterError("a negative number of voters")
        if line.status != "full" and not manifest.powers.confirm:
            raise ParameterError("provisional voters, and the manifest has no way to confirm them")
        if not 1 <= line.weight <= manifest.maximum_weight:
            raise ParameterError(f"weights from 1 to {manifest.maximum_weight} expected")
    if sum(line.count for line in lines) > manifest.maximum_voters:
        raise ParameterError(f"more than {manifest.maximum_voters} voters")
    if sum(line.count * line.weight for line in lines) > manifest.total_weight:
        raise ParameterError(f"more than a total weight of {manifest.total_weight}")
    return [
        Credential(
            code=draw_code(),
            style=line.style,
            weight=line.weight,
            district=line.district,
            status=line.status,
        )
        for line in lines
        for _ in range(line.count)
    ]


def publish_roll(
    record: Path | str,
    registrar_directory: Path | str,
    credentials: Sequence[Credential],
    passphrase: Passphrase,
) -> None:
    """Publish the roll of these credentials, signed by one registrar.

    Raises:
        ParameterError: the record has another roll already.
    """
    opened = Record(record)
    opened.manifest.check_native()
    key = operator_key(registrar_directory, passphrase, opened.manifest, "registrar")
    base = ceremony_parameters(opened).base_id
    rows = [
        RollRow(
            credential=derive_voter_key(item.code, base).credential,
            style=item.style,
            weight=item.weight,
            district=item.district,
            status=item.status,
        )
        for item in credentials
    ]
    header, encoded = make_roll(base, rows)
    if opened.has(ROLL):
        if decode_roll(opened.roll_header()).root == header.root:
            return  # done before
        raise ParameterError("the record has a roll already")
    write_roll(opened.path, sign_roll(header, key).encode(), encoded)


def issue_credentials(
    record: Path | str,
    registrar_directory: Path | str,
    lines: Sequence[RollLine],
    passphrase: Passphrase,
) -> list[Credential]:
    """Draw codes and publish their roll: `draw_credentials` and `publish_roll` in one."""
    credentials = draw_credentials(record, lines)
    publish_roll(record, registrar_directory, credentials, passphrase)
    return credentials


def cosign_roll(
    record: Path | str, registrar_directory: Path | str, passphrase: Passphrase
) -> None:
    """Add another registrar's signature to the roll, after checking it."""
    opened = Record(record)
    manifest = opened.manifest
    manifest.check_native()
    if manifest.credentials == "parts":
        raise ParameterError("each registrar draws a part: combine them, which signs the roll too")
    key = operator_key(registrar_directory, passphrase, manifest, "registrar")
    header = decode_roll(opened.roll_header())
    roll = read_roll(
        opened.roll_rows(),
        [style.id for style in manifest.styles],
        maximum_weight=manifest.maximum_weight,
        place=opened.roll_row_place,
        district_ids=[district.id for district in header.districts],
    )
    verify_roll(roll, header)
    if header.base != ceremony_parameters(opened).base_id:
        raise VerificationError("the roll is of another election")
    write_roll(opened.path, sign_roll(header, key).encode(), opened.roll_rows())


def operator_key(
    directory: Path | str, passphrase: Passphrase, manifest: Manifest, role: str
) -> OperatorKey:
    """The key in a directory, which must be that of an operator of this election."""
    key = load_operator(directory, passphrase)
    card = key.card
    if card.role != role:
        raise ParameterError(f"{role} expected, got the key of {card.role} {card.id}")
    if manifest.card(card.role, card.id) != card:
        raise ParameterError(f"{card.role} {card.id}: not the key that the manifest has")
    return key


def load_parameters(record: Path | str) -> ElectionParameters:
    """Joint key and identifiers of an election that is ready, with all they rest on checked.

    Raises:
        VerificationError, DecodingError: ceremony or roll do not verify.
    """
    opened = Record(record)
    manifest = opened.manifest
    manifest.check_native()
    ceremony = audit_ceremony(ceremony_parameters(opened), opened.ceremony_files())
    header = decode_roll(opened.roll_header())
    parameters = election_parameters(opened.manifest_bytes, ceremony, header.root)
    if header.base != parameters.base_id:
        raise VerificationError("the roll is of another election")
    verify_roll_signatures(header, manifest.registrars)
    return parameters
