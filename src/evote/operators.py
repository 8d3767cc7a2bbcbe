"""Operators: whoever holds a key of the election, and how that key is kept.

Trustees, registrars, authorities, mixers and the board each have a private directory (mode 0700):

    card.json      public: role, id, signing key; a trustee's ceremony key with its proof
    secret.json    mode 0600: the secrets, see `_sealing`

The card goes into the manifest; the secret never leaves the directory except as a backup, which
is sealed the same way. The authenticated data is the card, so that a secret beside another card
does not open.

Not promised: Python does not wipe memory, and swap, core files and hibernation are the machine's
business. What a passphrase that leaks or is guessed opens, is open.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, NoReturn, TypeAlias

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from evote._files import make_directory, read_file, shown_path, write_file
from evote._sealing import (
    MAX_SECRET,
    PASSPHRASE_MINIMUM,
    SCRYPT_COST,
    SCRYPT_COST_CEILING,
    SCRYPT_COST_FLOOR,
    Passphrase,
    SecretBytes,
    conceal,
    open_secret,
    seal_secret,
)
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
)
from evote.errors import DecodingError, InvalidProof, ParameterError, VerificationError
from evote.groups import Elements, Group, Rng, Scalars, Secrecy, named_group
from evote.groups.eddsa import decode_verification_keys, verify_signatures
from evote.proofs import (
    SchnorrProof,
    SchnorrStatement,
    SchnorrWitness,
    decode_schnorr,
    prove_schnorr,
    verify_schnorr,
)
from evote.transcript import Transcript

__all__ = [
    "MAX_SECRET",
    "PASSPHRASE_MINIMUM",
    "ROLES",
    "SCRYPT_COST",
    "SCRYPT_COST_CEILING",
    "SCRYPT_COST_FLOOR",
    "Card",
    "OperatorKey",
    "Passphrase",
    "Role",
    "SecretBytes",
    "backup_operator",
    "conceal",
    "create_operator",
    "decode_card",
    "draw_operator",
    "load_card",
    "load_operator",
    "open_secret",
    "read_card",
    "restore_operator",
    "save_operator",
    "seal_secret",
    "signed_message",
    "verify_signature",
]

Role: TypeAlias = Literal["trustee", "registrar", "authority", "board", "mixer"]
ROLES: tuple[Role, ...] = ("trustee", "registrar", "authority", "board", "mixer")

_MAX_CARD = 16 * 2**10


# -- cards ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """What everybody knows of an operator; a ceremony key comes with its proof.

    Trustees have one. A registrar may have one, which makes the tags of a reconciliation.
    """

    role: Role
    id: str
    signing_key: bytes
    ceremony_key: Elements | None = None
    ceremony_proof: SchnorrProof | None = None

    def __post_init__(self) -> None:
        if self.role not in ROLES:
            raise ParameterError(f"role {self.role!r} is none of {', '.join(ROLES)}")
        if (self.ceremony_key is None) != (self.ceremony_proof is None) or not (
            self.role == "registrar" or (self.role == "trustee") == (self.ceremony_key is not None)
        ):
            raise ParameterError("trustees have a ceremony key and its proof, registrars may")

    def fields(self) -> dict[str, JSON]:
        """The form inside a manifest: without format, version, role and group."""
        result: dict[str, JSON] = {"id": self.id, "signing_key": encode_hex(self.signing_key)}
        if self.ceremony_key is not None and self.ceremony_proof is not None:
            result["ceremony_key"] = encode_base64url(self.ceremony_key.encode())
            result["ceremony_proof"] = encode_base64url(self.ceremony_proof.encode())
        return result

    def encode(self) -> bytes:
        """The bytes of card.json."""
        head: dict[str, JSON] = {"format": "evote/card", "version": 1, "role": self.role}
        if self.ceremony_key is not None:
            head["group"] = self.ceremony_key.group.name
        return canonical_json(head | self.fields())


def read_card(fields: Fields, role: Role, group: Group | None = None) -> Card:
    """Read the manifest's form of a card, and check the key and the proof on it.

    Args:
        fields: the object; read to its end.
        role: of the operator; the manifest says it by the list the card is in.
        group: of the election; needed for trustees, and registrars with a ceremony key.

    Raises:
        DecodingError: a field is no canonical value, or the signing key is not one.
        InvalidProof: the ceremony key's proof does not hold.
    """
    identifier = fields.identifier("id")
    signing_key = fields.hex("signing_key", 32)
    if not decode_verification_keys([signing_key])[0]:
        fields.fail("signing_key", "not a canonical Ed25519 key of prime order")
    if role != "trustee" and not (role == "registrar" and "ceremony_key" in fields):
        fields.end()
        return Card(role=role, id=identifier, signing_key=signing_key)
    if group is None:
        raise ParameterError("a ceremony key is read in a group")
    key = group.decode_elements(
        fields.packed("ceremony_key", group.element_size), (), where=fields.path("ceremony_key")
    )
    proof = decode_schnorr(
        group, fields.packed("ceremony_proof"), (), where=fields.path("ceremony_proof")
    )
    fields.end()
    try:
        verify_schnorr(_key_statement(key), proof, _key_transcript(group, identifier, signing_key))
    except InvalidProof:
        raise InvalidProof(f"{fields.path('ceremony_proof')}: ceremony key") from None
    return Card(
        role=role, id=identifier, signing_key=signing_key, ceremony_key=key, ceremony_proof=proof
    )


def decode_card(
    data: bytes, *, where: str = "card.json", role: Role | None = None, group: Group | None = None
) -> Card:
    """Read card.json; `role` and `group` are what is expected, if anything is."""
    fields = Fields(parse_json(data, where=where, max_bytes=_MAX_CARD), f"{where}: $")
    check_format(fields, "evote/card", 1)
    name = fields.choice("role", ROLES if role is None else (role,))
    found = next(known for known in ROLES if known == name)
    if found == "trustee" or (found == "registrar" and "ceremony_key" in fields):
        words = fields.text("group", max_length=64)
        if group is None:
            try:
                group = named_group(words)
            except ParameterError as error:
                fields.fail("group", str(error))
        elif words != group.name:
            fields.fail("group", f"group {group.name} expected")
    return read_card(fields, found, group)


def _key_statement(key: Elements) -> SchnorrStatement:
    return SchnorrStatement(base=key.group.generator, publics=key)


def _key_transcript(group: Group, identifier: str, signing_key: bytes) -> Transcript:
    transcript = Transcript(b"ceremony-key", group)
    transcript.append(b"id", identifier.encode("ascii"))
    transcript.append(b"signing key", signing_key)
    return transcript


# -- signatures ----------------------------------------------------------------------------------


def signed_message(purpose: str, *parts: bytes) -> bytes:
    """The 32 bytes that a signature covers; bulk callers pass them to `eddsa`."""
    return digest("signature", purpose.encode("ascii"), *parts)


def verify_signature(card: Card, signature: bytes, purpose: str, *parts: bytes) -> None:
    """Check an operator's signature.

    Raises:
        VerificationError: it is not that operator's signature over these parts.
    """
    message = signed_message(purpose, *parts)
    if not verify_signatures([card.signing_key], [message], [signature])[0]:
        raise VerificationError(f"the {purpose} signature is not that of {card.role} {card.id}")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OperatorKey:
    """An operator's secrets in memory. No repr, pickle or message shows them."""

    card: Card
    signing: SecretBytes = field(repr=False)
    ceremony: Scalars | None = field(default=None, repr=False)
    memory: SecretBytes = field(default=SecretBytes(b"{}"), repr=False)
    """What a trustee keeps of each election, a JSON object by base id: see `ceremony`."""
    cost: int = SCRYPT_COST

    def sign(self, purpose: str, *parts: bytes) -> bytes:
        """The 64-byte Ed25519 signature over `signed_message(purpose, *parts)`."""
        return self._sign(signed_message(purpose, *parts))

    def sign_note(self, text: bytes) -> bytes:
        """Ed25519 over the text of a signed note itself, as C2SP has it.

        Every other signature is over a digest of 32 bytes, so a note of that length is refused.
        """
        if len(text) == 32:
            raise ParameterError("a note of 32 bytes could be a digest: not signed")
        return self._sign(text)

    def recall(self, base_id: bytes) -> Fields | None:
        """What `remember` was last told of an election; None if nothing."""
        memory = parse_json(self.memory.reveal(), where="secret.json")
        if not isinstance(memory, dict):
            raise DecodingError("an object expected", where="secret.json: $.memory")
        notes = memory.get(encode_hex(base_id))
        return None if notes is None else Fields(notes, "secret.json: $.memory")

    def remember(self, base_id: bytes, notes: SecretBytes) -> OperatorKey:
        """The same key with other notes, a JSON object, on one election; to be saved."""
        memory = parse_json(self.memory.reveal(), where="secret.json")
        if not isinstance(memory, dict):
            raise DecodingError("an object expected", where="secret.json: $.memory")
        value = parse_json(notes.reveal(), where="secret.json")
        new = canonical_json(memory | {encode_hex(base_id): value})
        return replace(self, memory=SecretBytes(new))

    def _sign(self, message: bytes) -> bytes:
        return Ed25519PrivateKey.from_private_bytes(self.signing.reveal()).sign(message)

    def __reduce__(self) -> NoReturn:
        raise ParameterError("an operator's key is not pickled")


def draw_operator(
    role: Role,
    identifier: str,
    *,
    group: Group | None = None,
    cost: int = SCRYPT_COST,
    rng: Rng | None = None,
) -> OperatorKey:
    """A new operator in memory; trustees need the group of the election, registrars may."""
    try:
        check_identifier(identifier)
    except DecodingError as error:
        raise ParameterError(f"operator id: {error}") from None
    if role != "registrar" and (group is not None) != (role == "trustee"):
        raise ParameterError("trustees are made in a group, registrars may, others without one")
    signing = SecretBytes((rng or os.urandom)(32))
    public = _signing_public(signing)
    if group is None:
        card = Card(role=role, id=identifier, signing_key=public)
        return OperatorKey(card=card, signing=signing, cost=cost)
    secret = group.random_scalars((), secrecy=Secrecy.LONG_TERM, rng=rng)
    key = group.generator**secret
    proof = prove_schnorr(
        _key_statement(key),
        SchnorrWitness(secrets=secret),
        _key_transcript(group, identifier, public),
        rng=rng,
    )
    card = Card(
        role=role, id=identifier, signing_key=public, ceremony_key=key, ceremony_proof=proof
    )
    return OperatorKey(card=card, signing=signing, ceremony=secret, cost=cost)


def _signing_public(signing: SecretBytes) -> bytes:
    return Ed25519PrivateKey.from_private_bytes(signing.reveal()).public_key().public_bytes_raw()


# -- directories ---------------------------------------------------------------------------------


def create_operator(
    directory: str | Path,
    role: Role,
    identifier: str,
    passphrase: Passphrase,
    *,
    group: Group | None = None,
    cost: int = SCRYPT_COST,
    rng: Rng | None = None,
) -> OperatorKey:
    """Make an operator's directory: secret first, card last, each written whole or not at all.

    Where a killed step has left the secret without its card, that key is kept.

    Raises:
        ParameterError: the directory holds an operator already, or is open to others.
    """
    directory = Path(directory)
    passphrase = conceal(passphrase, sealing=True)
    if key := _unfinished(directory, passphrase):
        ceremony = key.card.ceremony_key
        made = (key.card.role, key.card.id, None if ceremony is None else ceremony.group)
        if made != (role, identifier, group):
            raise ParameterError(f"{directory} holds the key of another operator")
        return key
    key = draw_operator(role, identifier, group=group, cost=cost, rng=rng)
    make_directory(directory, mode=0o700)
    _check_private(directory, directory.stat())
    save_operator(directory, key, passphrase)
    write_file(directory / "card.json", key.card.encode(), overwrite=True)
    return key


def _unfinished(directory: Path, passphrase: SecretBytes) -> OperatorKey | None:
    """The key of a directory whose making was interrupted; its card is written now."""
    if not (directory / "secret.json").exists():
        return None
    if (directory / "card.json").exists():
        raise ParameterError(f"{directory} holds the key of an operator already")
    return load_operator(directory, passphrase)


def save_operator(directory: str | Path, key: OperatorKey, passphrase: Passphrase) -> None:
    """Seal the key and what it remembers into secret.json, atomically."""
    data = _seal_key(key, conceal(passphrase, sealing=True))
    write_file(Path(directory) / "secret.json", data, mode=0o600, overwrite=True)


def load_operator(directory: str | Path, passphrase: Passphrase) -> OperatorKey:
    """Open an operator's directory.

    A card that is missing, as after a crash while the directory was made, is written again.

    Raises:
        ParameterError: others can read the directory or the file.
        DecodingError: wrong passphrase, a damaged file, or a card of another key.
    """
    directory, passphrase = Path(directory), conceal(passphrase)
    where = shown_path(directory / "secret.json")
    key = _open_key(_read_private(directory), where, passphrase)
    if not (directory / "card.json").exists():
        write_file(directory / "card.json", key.card.encode())
    elif load_card(directory).encode() != key.card.encode():
        raise DecodingError("not the card of the secret beside it", where="card.json")
    return key


def load_card(directory: str | Path) -> Card:
    """The public card of an operator's directory."""
    path = Path(directory) / "card.json"
    return decode_card(read_file(path, _MAX_CARD, where="card.json"))


def backup_operator(
    directory: str | Path,
    file: str | Path,
    passphrase: Passphrase,
    *,
    backup_passphrase: Passphrase | None = None,
) -> None:
    """Write everything of an operator into one sealed file of mode 0600, which must be new.

    The backup has the passphrase of the directory, or one of its own. A trustee's backup made at
    any time is enough to decrypt later: shares travel under the ceremony key, and the record holds
    them. It does not remember what was done after it was made.
    """
    passphrase = conceal(passphrase)
    if backup_passphrase is not None:
        backup_passphrase = conceal(backup_passphrase, sealing=True)
    key = load_operator(directory, passphrase)
    if Path(file).exists():
        raise ParameterError(f"{file} exists; a backup goes into a new file")
    write_file(file, _seal_key(key, backup_passphrase or passphrase), mode=0o600)


def restore_operator(
    file: str | Path,
    directory: str | Path,
    passphrase: Passphrase,
    *,
    new_passphrase: Passphrase | None = None,
) -> Card:
    """Make an operator's directory from a backup; it must not hold a key already."""
    file, directory, passphrase = Path(file), Path(directory), conceal(passphrase)
    if new_passphrase is not None:
        new_passphrase = conceal(new_passphrase, sealing=True)
    key = _open_key(read_file(file, MAX_SECRET, where=file.name), file.name, passphrase)
    if made := _unfinished(directory, new_passphrase or passphrase):
        if made.card != key.card:
            raise ParameterError(f"{directory} holds the key of another operator")
        return made.card
    make_directory(directory, mode=0o700)
    _check_private(directory, directory.stat())
    save_operator(directory, key, new_passphrase or passphrase)
    write_file(directory / "card.json", key.card.encode(), overwrite=True)
    return key.card


def _seal_key(key: OperatorKey, passphrase: SecretBytes) -> bytes:
    card = key.card.encode()
    sealed = seal_secret(_plain_key(key), card, passphrase, cost=key.cost)
    head: dict[str, JSON] = {"format": "evote/secret", "version": 1, "card": parse_json(card)}
    return canonical_json(head | sealed)


def _plain_key(key: OperatorKey) -> SecretBytes:
    plain: dict[str, JSON] = {
        "signing": encode_hex(key.signing.reveal()),
        "memory": parse_json(key.memory.reveal(), where="secret.json"),
    }
    if key.ceremony is not None:
        plain["ceremony"] = encode_base64url(key.ceremony._secret_bytes())
    return SecretBytes(canonical_json(plain))


def _open_key(data: bytes, where: str, passphrase: SecretBytes) -> OperatorKey:
    fields = Fields(parse_json(data, where=where, max_bytes=MAX_SECRET), f"{where}: $")
    check_format(fields, "evote/secret", 1)
    encoded = canonical_json(fields.value("card"))
    card = decode_card(encoded, where=f"{where}: $.card")
    cost = Fields(fields.value("kdf"), fields.path("kdf")).integer("n", 1, SCRYPT_COST_CEILING)
    plain = open_secret(fields, encoded, passphrase)
    inner = Fields(parse_json(plain.reveal(), where=where, max_bytes=MAX_SECRET), f"{where}: $")
    signing = SecretBytes(inner.hex("signing", 32))
    memory = SecretBytes(canonical_json(inner.value("memory")))
    ceremony = None
    if card.ceremony_key is not None:
        group = card.ceremony_key.group
        ceremony = group.decode_secret_scalars(
            inner.packed("ceremony", group.scalar_size), (), where=inner.path("ceremony")
        )
        if group.generator**ceremony != card.ceremony_key:
            inner.fail("ceremony", "not the secret of the card's ceremony key")
    inner.end()
    if _signing_public(signing) != card.signing_key:
        inner.fail("signing", "not the secret of the card's signing key")
    return OperatorKey(card=card, signing=signing, ceremony=ceremony, memory=memory, cost=cost)


def _read_private(directory: Path) -> bytes:
    """secret.json, provided that nobody but the owner can read it or its directory."""
    path = directory / "secret.json"
    data = read_file(path, MAX_SECRET)
    for place in (directory, path):
        _check_private(place, place.lstat())
    return data


def _check_private(path: Path, status: os.stat_result) -> None:
    if os.name != "posix":
        return  # elsewhere the modes say nothing
    if stat.S_IMODE(status.st_mode) & 0o077:
        wanted = "700" if stat.S_ISDIR(status.st_mode) else "600"
        raise ParameterError(f"{path} is open to others: chmod {wanted} it")
    if status.st_uid != os.getuid():
        raise ParameterError(f"{path} belongs to another user")
