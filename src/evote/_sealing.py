"""Secrets in files: bytes that do not show themselves, and sealing under a passphrase.

A private sibling of `operators`, which is the public path to it. Sealed is by scrypt and
ChaCha20-Poly1305. Every sealing draws a new salt, so each file has a key of its own and the
cipher's nonce can be constant. The cost of scrypt is read from the file between fixed limits: a
file can ask neither for a weak key nor for all the memory.
"""

from __future__ import annotations

import hashlib
import os
import unicodedata
from typing import NoReturn, TypeAlias

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from evote.encoding import JSON, Fields, encode_base64url
from evote.errors import ParameterError

__all__ = [
    "MAX_SECRET",
    "PASSPHRASE_MINIMUM",
    "SCRYPT_COST",
    "SCRYPT_COST_CEILING",
    "SCRYPT_COST_FLOOR",
    "Passphrase",
    "SecretBytes",
    "conceal",
    "open_secret",
    "seal_secret",
]

SCRYPT_COST = 2**15  # 32 MiB and about a tenth of a second
SCRYPT_COST_FLOOR = 2**10
SCRYPT_COST_CEILING = 2**18  # 256 MiB: the most that a file may ask of its reader
_SCRYPT_BLOCK = 8
_SALT_SIZE = 32
_AEAD_NONCE = bytes(12)  # every key is used once, see the module's docstring

PASSPHRASE_MINIMUM = 8
"""Characters a passphrase must have when something is sealed under it; opening asks nothing."""

MAX_SECRET = 8 * 2**20


class SecretBytes:
    """Bytes that no repr, message, traceback or pickle shows; `reveal()` is the only way out."""

    __slots__ = ("_value",)

    def __init__(self, value: bytes) -> None:
        self._value = bytes(value)

    def reveal(self) -> bytes:
        """The bytes themselves."""
        return self._value

    def __len__(self) -> int:
        return len(self._value)

    def __repr__(self) -> str:
        return f"<{len(self._value)} secret bytes>"

    def __reduce__(self) -> NoReturn:
        raise ParameterError("secret bytes are not pickled")


Passphrase: TypeAlias = str | SecretBytes


def conceal(passphrase: Passphrase, *, sealing: bool = False) -> SecretBytes:
    """A passphrase that no traceback shows; functions that take one call this first.

    UTF-8 of the NFC form, so that two keyboards which spell an accent differently agree. With
    `sealing`, a text under `PASSPHRASE_MINIMUM` characters is refused.
    """
    if isinstance(passphrase, SecretBytes):
        return passphrase
    if not isinstance(passphrase, str):
        raise ParameterError("a passphrase is text")
    if sealing and len(passphrase) < PASSPHRASE_MINIMUM:
        raise ParameterError(f"a passphrase has at least {PASSPHRASE_MINIMUM} characters")
    try:
        return SecretBytes(unicodedata.normalize("NFC", passphrase).encode("utf-8"))
    except UnicodeEncodeError:
        raise ParameterError("the passphrase holds an unpaired surrogate") from None


# -- sealing -------------------------------------------------------------------------------------


def seal_secret(
    plain: SecretBytes, associated: bytes, passphrase: Passphrase, *, cost: int = SCRYPT_COST
) -> dict[str, JSON]:
    """Encrypt under a passphrase, bound to `associated`: a JSON object that `open_secret` reads.

    Cost: one scrypt of 1024 * `cost` bytes. Reference: RFC 7914 (scrypt), RFC 8439 (the AEAD).
    """
    passphrase = conceal(passphrase, sealing=True)
    salt = os.urandom(_SALT_SIZE)
    key = _sealing_key(passphrase, salt, cost)
    sealed = ChaCha20Poly1305(key.reveal()).encrypt(_AEAD_NONCE, plain.reveal(), associated)
    kdf: dict[str, JSON] = {"name": "scrypt", "n": cost, "r": _SCRYPT_BLOCK, "p": 1}
    kdf["salt"] = encode_base64url(salt)
    return {"kdf": kdf, "cipher": "chacha20-poly1305", "sealed": encode_base64url(sealed)}


def open_secret(fields: Fields, associated: bytes, passphrase: Passphrase) -> SecretBytes:
    """Decrypt what `seal_secret` made.

    Raises:
        DecodingError: wrong passphrase, altered data, another `associated`, or a scrypt cost
            outside the limits.
    """
    passphrase = conceal(passphrase)
    kdf = fields.object("kdf")
    kdf.choice("name", ("scrypt",))
    cost = kdf.integer("n", SCRYPT_COST_FLOOR, SCRYPT_COST_CEILING)
    if cost & (cost - 1):
        kdf.fail("n", "a power of two expected")
    kdf.integer("r", _SCRYPT_BLOCK, _SCRYPT_BLOCK)
    kdf.integer("p", 1, 1)
    salt = kdf.packed("salt", _SALT_SIZE)
    kdf.end()
    fields.choice("cipher", ("chacha20-poly1305",))
    sealed = fields.packed("sealed", max_size=MAX_SECRET)
    fields.end()
    key = _sealing_key(passphrase, salt, cost)
    try:
        plain = ChaCha20Poly1305(key.reveal()).decrypt(_AEAD_NONCE, sealed, associated)
    except InvalidTag:
        fields.fail("sealed", "wrong passphrase, or the file is damaged")
    return SecretBytes(plain)


def _sealing_key(passphrase: SecretBytes, salt: bytes, cost: int) -> SecretBytes:
    if not SCRYPT_COST_FLOOR <= cost <= SCRYPT_COST_CEILING or cost & (cost - 1):
        limits = f"{SCRYPT_COST_FLOOR} to {SCRYPT_COST_CEILING}"
        raise ParameterError(f"scrypt cost {cost} is not a power of two from {limits}")
    return SecretBytes(
        hashlib.scrypt(
            passphrase.reveal(),
            salt=salt,
            n=cost,
            r=_SCRYPT_BLOCK,
            p=1,
            maxmem=256 * _SCRYPT_BLOCK * cost,  # twice what scrypt itself needs
            dklen=32,
        )
    )
