"""C2SP signed notes and what is built on them: verifier keys, checkpoints, cosignatures.

A note is a text under one or more signature lines. A checkpoint is a note whose text is the
origin, size and root of a log; a cosignature is a witness's signature line on it, with the time.
Ed25519 signatures are verified by libsodium, which refuses S >= L and keys and R of small order;
ML-DSA-44 ones by `cryptography`, where the OpenSSL under it can.

Reference: C2SP signed-note, tlog-checkpoint, tlog-cosignature, v1.0.0; ML-DSA-44 v1.1.0-rc.1.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PublicKey
from nacl.exceptions import BadSignatureError
from nacl.signing import VerifyKey

from evote._merkle import EMPTY_ROOT, HASH_SIZE
from evote.encoding import decode_decimal
from evote.errors import DecodingError, ParameterError, UnsupportedError, VerificationError

__all__ = [
    "COSIGNER_KEY",
    "LOG_KEY",
    "MAX_LINES",
    "MAX_NOTE",
    "MLDSA_KEY",
    "Checkpoint",
    "Cosignature",
    "Note",
    "NoteSignature",
    "NoteSigner",
    "VerifierKey",
    "check_origin",
    "cosign",
    "decode_base64",
    "decode_checkpoint",
    "decode_note",
    "decode_vkey",
    "encode_base64",
    "open_checkpoint",
    "open_note",
    "sign_checkpoint",
    "sign_note",
]

LOG_KEY = 0x01  # Ed25519 over the text of the note
COSIGNER_KEY = 0x04  # Ed25519 over a header with the time, and the text
MLDSA_KEY = 0x06  # ML-DSA-44 over name, time, origin, size and root; of witnesses, and of logs too
_LENGTHS = {LOG_KEY: (32, 64), COSIGNER_KEY: (32, 64), MLDSA_KEY: (1312, 2420)}  # key, signature

MAX_NOTE = 256 * 1024  # bytes; 64 lines of the longest known signature, ML-DSA-44, fit
MAX_LINES = 64  # signature lines
MAX_SIZE = 2**63 - 1  # entries, and seconds

_DASH = "— ".encode()
_BASE64 = re.compile(r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?", re.ASCII)
_KEY_ID = re.compile(r"[0-9a-f]{8}", re.ASCII)
# White_Space of Unicode 16 written out, so that all versions of Python agree; and no '+'.
_NOT_IN_NAME = re.compile("[\t-\r \u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000+]")


def encode_base64(data: bytes) -> str:
    """RFC 4648 section 4, with padding."""
    return base64.b64encode(data).decode("ascii")


def decode_base64(text: str, *, where: str = "") -> bytes:
    """The bytes of padded base64; unused bits must be zero."""
    if not _BASE64.fullmatch(text):
        raise DecodingError("base64 with padding expected", where=where)
    data = base64.b64decode(text)
    if encode_base64(data) != text:
        raise DecodingError("base64 with unused bits that are not zero", where=where)
    return data


def _check_name(name: str, where: str) -> str:
    if not name or _NOT_IN_NAME.search(name):
        raise DecodingError("a key name without spaces and '+' expected", where=where)
    return name


def check_origin(origin: str, *, where: str = "") -> str:
    """A log's origin that also serves as its key name: 1 to 255 bytes, no spaces, no '+'."""
    if len(origin.encode("utf-8", "surrogatepass")) > 255:
        raise DecodingError("an origin of at most 255 bytes expected", where=where)
    return _check_name(origin, where)


# -- keys ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifierKey:
    """A public key with the name it signs under and its kind: LOG_KEY, COSIGNER_KEY, MLDSA_KEY."""

    name: str
    kind: int
    public: bytes

    def __post_init__(self) -> None:
        if self.kind not in _LENGTHS:
            raise ParameterError(f"signature type {self.kind:#04x} is not known")
        length = _LENGTHS[self.kind][0]
        if len(self.public) != length:
            raise ParameterError(f"a key of {length} bytes expected, got {len(self.public)}")
        try:
            _check_name(self.name, "")
            self.name.encode("utf-8")
        except (DecodingError, UnicodeEncodeError):
            raise ParameterError("a key name without spaces and '+' expected") from None
        if self.kind == MLDSA_KEY and len(self.name.encode("utf-8")) > 255:
            raise ParameterError("the name of an ML-DSA-44 key has at most 255 bytes")

    @property
    def key_id(self) -> bytes:
        """Four bytes by which a signature line names its key."""
        return _key_id(self.name, bytes([self.kind]) + self.public)

    @property
    def text(self) -> str:
        """The vkey: name+id+key."""
        key = bytes([self.kind]) + self.public
        return f"{self.name}+{self.key_id.hex()}+{encode_base64(key)}"


def _key_id(name: str, key: bytes) -> bytes:
    return hashlib.sha256(name.encode("utf-8") + b"\n" + key).digest()[:4]


def decode_vkey(
    text: str, *, kinds: Sequence[int] = (LOG_KEY, COSIGNER_KEY, MLDSA_KEY), where: str = ""
) -> VerifierKey:
    """Read a vkey of one of the given kinds.

    Raises:
        DecodingError: malformed, of another kind, or its id is not that of its key.
    """
    name, plus, rest = text.partition("+")
    digits, second, encoded = rest.partition("+")
    if not plus or not second or not _KEY_ID.fullmatch(digits):
        raise DecodingError("a vkey 'name+id+key' expected", where=where)
    _check_name(name, where)
    key = decode_base64(encoded, where=where)
    try:
        found = _key_id(name, key).hex()
    except UnicodeEncodeError:
        raise DecodingError("the key name is not Unicode text", where=where) from None
    if found != digits:
        raise DecodingError(f"key id {digits}, but the key has {found}", where=where)
    kind = key[0] if key else -1
    if kind not in kinds or kind not in _LENGTHS:
        raise DecodingError(f"signature type {kind:#04x} does not serve here", where=where)
    if len(key) != 1 + _LENGTHS[kind][0]:
        reason = f"a key of {_LENGTHS[kind][0]} bytes expected, got {len(key) - 1}"
        raise DecodingError(reason, where=where)
    if kind == MLDSA_KEY and len(name.encode("utf-8")) > 255:
        raise DecodingError("a key name of at most 255 bytes expected", where=where)
    return VerifierKey(name=name, kind=kind, public=key[1:])


@dataclass(frozen=True, slots=True, kw_only=True)
class NoteSigner:
    """A key that signs notes: `sign` gives the plain signature over its argument."""

    key: VerifierKey
    sign: Callable[[bytes], bytes] = field(repr=False)


# -- notes ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class NoteSignature:
    """One signature line: who claims to have signed, and the bytes after the key id."""

    name: str
    key_id: bytes
    signature: bytes

    @property
    def line(self) -> bytes:
        """The line itself."""
        blob = encode_base64(self.key_id + self.signature)
        return _DASH + f"{self.name} {blob}\n".encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """A text that ends in a line feed, and its signature lines, verified or not."""

    text: bytes
    signatures: tuple[NoteSignature, ...]

    def encode(self) -> bytes:
        """The bytes of the note."""
        return self.text + b"\n" + b"".join(signature.line for signature in self.signatures)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cosignature:
    """A verified signature of a known key; `timestamp` in POSIX seconds, None from a log."""

    key: VerifierKey
    timestamp: int | None


def decode_note(data: bytes, *, where: str = "") -> Note:
    """Read a note without judging its signatures.

    Raises:
        DecodingError: not a note, or beyond the limits of bytes and lines.
    """
    if len(data) > MAX_NOTE:
        raise DecodingError(f"a note of {len(data)} bytes, at most {MAX_NOTE}", where=where)
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise DecodingError(
            f"a note that is not UTF-8 at byte {error.start}", where=where
        ) from None
    if any(byte < 0x20 and byte != 0x0A for byte in data):
        raise DecodingError("a control character in a note", where=where)
    middle = data.rfind(b"\n\n")
    if middle < 0:
        raise DecodingError("a note without an empty line before its signatures", where=where)
    text, block = data[: middle + 1], data[middle + 2 :]
    if not block.endswith(b"\n"):
        raise DecodingError("a note without a signature line, or without its end", where=where)
    lines = block[:-1].split(b"\n")
    if len(lines) > MAX_LINES:
        raise DecodingError(f"{len(lines)} signature lines, at most {MAX_LINES}", where=where)
    signatures = tuple(_decode_line(line, where) for line in lines)
    return Note(text=text, signatures=signatures)


def _decode_line(line: bytes, where: str) -> NoteSignature:
    if not line.startswith(_DASH):
        raise DecodingError("a signature line expected", where=where)
    name, space, encoded = line[len(_DASH) :].decode("utf-8").partition(" ")
    if not space:
        raise DecodingError("a signature line without a signature", where=where)
    _check_name(name, where)
    blob = decode_base64(encoded, where=where)
    if len(blob) < 5:
        raise DecodingError("a signature line without a signature", where=where)
    return NoteSignature(name=name, key_id=blob[:4], signature=blob[4:])


def open_note(
    data: bytes, keys: Sequence[VerifierKey], *, where: str = ""
) -> tuple[Note, tuple[Cosignature, ...]]:
    """Read a note and verify the signatures of known keys; lines of unknown ones are ignored.

    Returns:
        The note, and one verified signature for each key that signed, in the order of the lines;
        of several lines by one key the latest counts.

    Raises:
        DecodingError: not a note.
        VerificationError: a known key's signature fails, or no known key signed.
        UnsupportedError: a known key is one of ML-DSA-44, and the OpenSSL here has none.
        ParameterError: two of `keys` have the same name and key id.
    """
    known = {(key.name, key.key_id): key for key in keys}
    if len(known) != len(keys):
        raise ParameterError("two keys with one name and id")
    note = decode_note(data, where=where)
    verified: dict[VerifierKey, Cosignature] = {}
    for signature in note.signatures:
        key = known.get((signature.name, signature.key_id))
        if key is None:
            continue
        timestamp = _verify(key, note.text, signature.signature, where)
        before = verified.get(key)
        if before is None or (timestamp or 0) > (before.timestamp or 0):
            verified[key] = Cosignature(key=key, timestamp=timestamp)
    if not verified:
        raise VerificationError(_at(where, "no signature of a known key"))
    return note, tuple(verified.values())


def _verify(key: VerifierKey, text: bytes, signature: bytes, where: str) -> int | None:
    """The time a cosigner claims; None for a log's own plain signature."""
    timestamp, valid = None, True
    if key.kind != LOG_KEY:
        timestamp, signature = int.from_bytes(signature[:8], "big"), signature[8:]
        valid = 0 < timestamp <= MAX_SIZE
    if len(signature) != _LENGTHS[key.kind][1] or not valid:
        raise VerificationError(_at(where, f"the signature of {key.name} has the wrong form"))
    message = text if timestamp is None else _cosigned(key, text, timestamp, where)
    try:
        if key.kind == MLDSA_KEY:
            MLDSA44PublicKey.from_public_bytes(key.public).verify(signature, message)
        else:
            VerifyKey(key.public).verify(message, signature)
    except (BadSignatureError, InvalidSignature):
        raise VerificationError(_at(where, f"the signature of {key.name} is false")) from None
    except UnsupportedAlgorithm:
        raise UnsupportedError(_at(where, "the OpenSSL here knows no ML-DSA-44")) from None
    return timestamp


def _cosigned(key: VerifierKey, text: bytes, timestamp: int, where: str = "") -> bytes:
    """What a cosigner signs of a checkpoint; only ML-DSA-44 leaves its extension lines out."""
    if key.kind == COSIGNER_KEY:
        return f"cosignature/v1\ntime {timestamp}\n".encode("ascii") + text
    head = decode_checkpoint(text, where=where)
    name, origin = key.name.encode("utf-8"), head.origin.encode("utf-8")
    if len(origin) > 255:
        raise DecodingError("an origin of at most 255 bytes expected", where=where)
    parts = [
        b"subtree/v1\n\0",
        bytes([len(name)]) + name,
        timestamp.to_bytes(8, "big"),
        bytes([len(origin)]) + origin,
        bytes(8),  # the tree begins at entry 0
        head.size.to_bytes(8, "big"),
        head.root,
    ]
    return b"".join(parts)


def _at(where: str, reason: str) -> str:
    return f"{where}: {reason}" if where else reason


def sign_note(text: bytes, signer: NoteSigner) -> bytes:
    """A note of this text with one signature, of a log's kind."""
    if signer.key.kind != LOG_KEY:
        raise ParameterError("a cosigner's key does not sign plain notes")
    return Note(text=text, signatures=(_signature(signer, b"", text),)).encode()


def _signature(signer: NoteSigner, head: bytes, message: bytes) -> NoteSignature:
    signature = head + signer.sign(message)
    return NoteSignature(name=signer.key.name, key_id=signer.key.key_id, signature=signature)


# -- checkpoints ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """The head of a log: its name, how many entries, and the root over them."""

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()

    @property
    def text(self) -> bytes:
        """The text of the note that the log signs."""
        lines = [self.origin, str(self.size), encode_base64(self.root), *self.extensions]
        return "".join(line + "\n" for line in lines).encode("utf-8")


def decode_checkpoint(text: bytes, *, where: str = "") -> Checkpoint:
    """Read the text of a checkpoint's note."""
    try:
        lines = text.decode("utf-8").split("\n")
    except UnicodeDecodeError:
        raise DecodingError("a checkpoint that is not UTF-8", where=where) from None
    if len(lines) < 4 or lines.pop() or not all(lines):
        raise DecodingError(
            "a checkpoint of three or more lines, none empty, expected", where=where
        )
    size = decode_decimal(lines[1], where=where)
    if size > MAX_SIZE:
        raise DecodingError("a tree size of 2^63 or more", where=where)
    root = decode_base64(lines[2], where=where)
    if len(root) != HASH_SIZE:
        raise DecodingError(f"a root of {len(root)} bytes, {HASH_SIZE} expected", where=where)
    return Checkpoint(origin=lines[0], size=size, root=root, extensions=tuple(lines[3:]))


def sign_checkpoint(checkpoint: Checkpoint, signer: NoteSigner) -> bytes:
    """The checkpoint as a note signed by its log."""
    return sign_note(checkpoint.text, signer)


def open_checkpoint(data: bytes, log_key: VerifierKey, *, where: str = "") -> Checkpoint:
    """Read a signed checkpoint of the log whose origin is the name of `log_key`.

    Raises:
        DecodingError: not a checkpoint.
        VerificationError: not signed by that key, of another log, or an empty log with a root.
    """
    if log_key.kind != LOG_KEY:
        raise ParameterError("a cosigner's key is not the key of a log")
    note, _ = open_note(data, [log_key], where=where)
    return check_head(note, log_key.name, where=where)


def check_head(note: Note, origin: str, *, where: str = "") -> Checkpoint:
    """The checkpoint in a note whose signatures are verified, if it is of the log `origin`."""
    checkpoint = decode_checkpoint(note.text, where=where)
    if checkpoint.origin != origin:
        raise VerificationError(_at(where, f"a checkpoint of another log than {origin}"))
    if checkpoint.size == 0 and checkpoint.root != EMPTY_ROOT:
        raise VerificationError(_at(where, "an empty log with a root of its own"))
    return checkpoint


def cosign(data: bytes, cosigner: NoteSigner, timestamp: int) -> bytes:
    """A signed checkpoint with one more line: the cosignature of a witness at `timestamp`.

    The caller has verified the checkpoint and its consistency with the last one it cosigned.
    """
    if cosigner.key.kind == LOG_KEY or not 0 < timestamp <= MAX_SIZE:
        raise ParameterError("a cosigner's key and a time from 1 to 2^63 - 1 expected")
    note = decode_note(data)
    decode_checkpoint(note.text)
    head, message = timestamp.to_bytes(8, "big"), _cosigned(cosigner.key, note.text, timestamp)
    signature = _signature(cosigner, head, message)
    return Note(text=note.text, signatures=(*note.signatures, signature)).encode()
