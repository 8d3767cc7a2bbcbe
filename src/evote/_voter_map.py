"""The sealed map: which person has which credential. Offline; all registrars together open it.

`_signed_lines` of format evote/voter-map. Each registrar has a random share of 32 bytes, in
the first line, sealed (libsodium's sealed box: X25519, XSalsa20-Poly1305) to the signing key of
its card in its form for X25519. The other lines are portions of the list, each encrypted by

    ChaCha20-Poly1305(X("voter-map", base id, share_1, .., share_r; 32), nonce uint32(number) || 0s)

What is sealed there: {"voters": [[identity, credential], ..], "shares": {registrar: shares}}, the
shares being those of the voters' tags with their proof, where tags were made.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from nacl.exceptions import CryptoError
from nacl.public import PrivateKey, PublicKey, SealedBox
from nacl.signing import SigningKey, VerifyKey

from evote._parts import Portion
from evote._signed_lines import SignedLines, write_signed_lines
from evote._tags import (
    TagShares,
    decode_tag_shares,
    hash_identities,
    join_tags,
    tag_registrars,
    verify_tag_shares,
)
from evote.election import Manifest
from evote.encoding import (
    JSON,
    Fields,
    canonical_json,
    check_text,
    decode_base64url,
    decode_hex,
    encode_base64url,
    encode_hex,
    frame,
    parse_json,
    uint32,
    xof,
)
from evote.errors import DecodingError, ParameterError, VerificationError
from evote.operators import Card, OperatorKey

__all__ = ["MappedVoters", "checked_tags", "read_voter_map", "write_voter_map"]

_FORMAT = "evote/voter-map"
_SHARE = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class MappedVoters:
    """A portion of the map: who has which credential, and shares of their tags by registrar."""

    identities: tuple[str, ...]
    credentials: tuple[bytes, ...]
    shares: dict[str, TagShares]


def write_voter_map(
    path: Path | str,
    key: OperatorKey,
    manifest: Manifest,
    base: bytes,
    portions: Iterable[Portion],
) -> None:
    """Seal a new map, portion by portion, to all registrars of the manifest."""
    shares = [os.urandom(_SHARE) for _ in manifest.registrars]
    cipher = _cipher(base, shares)
    sealed: list[JSON] = [
        encode_base64url(_box(card).encrypt(share))
        for card, share in zip(manifest.registrars, shares, strict=True)
    ]
    lines = (
        cipher.encrypt(_nonce(number), _plain(portion), frame(base, uint32(number)))
        for number, portion in enumerate(portions)
    )
    write_signed_lines(path, key, base, {"format": _FORMAT, "sealed": sealed}, lines)


def _plain(portion: Portion) -> bytes:
    pairs = zip(portion.voters, portion.credentials, strict=True)
    return canonical_json(
        {
            "voters": [[voter.identity, encode_hex(key)] for voter, key in pairs],
            "shares": {
                name: encode_base64url(made.encode()) for name, made in portion.shares.items()
            },
        }
    )


def read_voter_map(
    path: Path | str, keys: Sequence[OperatorKey], manifest: Manifest, base: bytes
) -> Iterator[MappedVoters]:
    """The voters of a map, in the order of the list, opened with the keys of all registrars.

    Raises:
        ParameterError: a registrar's key is missing.
        DecodingError: no map, damaged, or sealed to other keys.
        VerificationError: of another election, or not signed by a registrar.
    """
    with SignedLines(path, _FORMAT, base, manifest.registrars) as file:
        sealed = file.head.packed_list("sealed", len(manifest.registrars))
        known = {key.card.id: key for key in keys}
        if missing := [card.id for card in manifest.registrars if card.id not in known]:
            raise ParameterError(f"the map opens with the key of registrar {missing[0]} too")
        if len(sealed) != len(manifest.registrars):
            file.head.fail("sealed", f"{len(manifest.registrars)} shares expected")
        shares = []
        for card, box in zip(manifest.registrars, sealed, strict=True):
            try:
                shares.append(_unbox(known[card.id]).decrypt(box))
            except CryptoError:
                file.head.fail("sealed", f"not sealed to registrar {card.id}")
        cipher = _cipher(base, shares)
        number = 0
        while (data := file.take_any()) is not None:
            where = f"{file.where}: portion {number}"
            try:
                plain = cipher.decrypt(_nonce(number), data, frame(base, uint32(number)))
            except InvalidTag:
                raise DecodingError("damaged", where=where) from None
            yield _read_portion(plain, manifest, where)
            number += 1
        _, fields = file.finish()
        fields.end()


def _read_portion(data: bytes, manifest: Manifest, where: str) -> MappedVoters:
    fields = Fields(parse_json(data, where=where), f"{where}: $")
    pairs = fields.list("voters", 4096)
    identities, credentials = [], []
    for pair in pairs:
        if not isinstance(pair, list) or len(pair) != 2:
            fields.fail("voters", "pairs of an identity and a credential expected")
        identity, credential = pair
        if not isinstance(identity, str) or not isinstance(credential, str):
            fields.fail("voters", "pairs of an identity and a credential expected")
        identities.append(check_text(identity, where=where))
        credentials.append(decode_hex(credential, 32, where=where))
    shares = {}
    inner = fields.object("shares")
    for card in manifest.registrars:
        if card.id in inner:
            packed = decode_base64url(str(inner.value(card.id)), where=where)
            shares[card.id] = decode_tag_shares(
                manifest.group, packed, len(identities), where=where
            )
    inner.end()
    fields.end()
    return MappedVoters(identities=tuple(identities), credentials=tuple(credentials), shares=shares)


def checked_tags(
    manifest: Manifest, base: bytes, number: int, portion: MappedVoters
) -> list[bytes]:
    """The tags of a portion, after it was checked that they are those of its identities.

    Raises:
        VerificationError: they are not, or a registrar's shares are missing.
    """
    hashed = hash_identities(manifest.group, base, portion.identities)
    makers = tag_registrars(manifest.registrars, manifest.group)
    if missing := [card.id for card in makers if card.id not in portion.shares]:
        raise VerificationError(f"the map has no tags of registrar {', '.join(missing)}")
    for card in makers:
        verify_tag_shares(card, base, b"", number, hashed, portion.shares[card.id])
    tags = join_tags([portion.shares[card.id] for card in makers])
    data, size = tags.encode(), manifest.group.element_size
    return [data[i : i + size] for i in range(0, len(data), size)]


def _cipher(base: bytes, shares: Sequence[bytes]) -> ChaCha20Poly1305:
    return ChaCha20Poly1305(xof("voter-map", base, *shares, length=32))


def _nonce(number: int) -> bytes:
    return uint32(number) + bytes(8)


def _box(card: Card) -> SealedBox[PublicKey]:
    return SealedBox(VerifyKey(card.signing_key).to_curve25519_public_key())


def _unbox(key: OperatorKey) -> SealedBox[PrivateKey]:
    return SealedBox(SigningKey(key.signing.reveal()).to_curve25519_private_key())
