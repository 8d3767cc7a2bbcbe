"""What the manifest of the profile decides: the election's file, but for its key, and its uuid.

    uuid = the first 22 Base58 digits of X("belenios-uuid", manifest digest), most significant first

so that whatever Belenios hashes binds the manifest: its fingerprint is over the file with the uuid.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evote._belenios import GROUPS
from evote._files import make_directory, read_file, write_file
from evote._trustee import ceremony_parameters
from evote.contests import Contest
from evote.election import Manifest
from evote.encoding import JSON, Fields, encode_hex, xof
from evote.errors import DecodingError, UnsupportedError
from evote.groups import Elements, Scalars, Secrecy
from evote.interop.belenios._codec import Codec, codec_of
from evote.interop.belenios._forms import compact
from evote.interop.belenios._signed import MAX_SIGNED, decode_signed, encode_signed
from evote.operators import Card, OperatorKey
from evote.record import MANIFEST, Record

__all__ = ["FOLDER", "Terms", "derived_secret", "election_file", "load_terms", "to_base58"]

FOLDER = "belenios"
_BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_UUID_DIGITS = 22
_SPARE = 24  # bytes more than 22 digits need: the digits are uniform within 2^-128


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Terms:
    """An election of the profile, as far as its manifest says."""

    path: Path
    manifest: Manifest
    digest: bytes
    base: bytes
    codec: Codec

    @property
    def uuid(self) -> str:
        """The election's name in Belenios."""
        data = xof("belenios-uuid", self.digest, length=16 + _SPARE)
        return to_base58(data, _UUID_DIGITS)

    @property
    def archive(self) -> Path:
        """Where the archive is, once there is one."""
        return self.path / f"{self.uuid}.bel"

    @property
    def threshold(self) -> bool:
        """Whether fewer trustees than all decrypt."""
        return self.manifest.quorum < len(self.manifest.trustees)

    def index_of(self, card: Card) -> int:
        """The number of a trustee, from 1."""
        return 1 + self.manifest.trustees.index(card)

    # -- files that operators sign -----------------------------------------------------------------

    def has(self, name: str) -> bool:
        """Whether a signed file is there."""
        return (self.path / FOLDER / f"{name}.json").exists()

    def post(
        self,
        name: str,
        kind: str,
        content: dict[str, JSON],
        keys: Sequence[OperatorKey],
        *,
        overwrite: bool = False,
    ) -> Path:
        """Write a signed file."""
        path = self.path / FOLDER / f"{name}.json"
        make_directory(path.parent)
        write_file(path, encode_signed(kind, self.base, content, keys), overwrite=overwrite)
        return path

    def signed(self, name: str, kind: str, cards: Sequence[Card], quorum: int = 1) -> Fields:
        """The content of a signed file.

        Raises:
            DecodingError, VerificationError: it is missing, or not what it should be.
        """
        where = f"{FOLDER}/{name}.json"
        data = read_file(self.path / where, MAX_SIGNED, where=where)
        return decode_signed(data, kind, self.base, cards, quorum, where=where)


def load_terms(record: Path | str) -> Terms:
    """The terms of a record.

    Raises:
        DecodingError: there is no manifest, or a malformed one.
        UnsupportedError: of another profile.
    """
    opened = Record(record)
    manifest = opened.manifest
    if manifest.profile != "belenios":
        reason = f"an election of the profile {manifest.profile}, and not belenios"
        raise UnsupportedError(f"{MANIFEST}: {reason}")
    [name] = [name for name, ours in GROUPS.items() if ours == manifest.group.name]
    return Terms(
        path=opened.path,
        manifest=manifest,
        digest=opened.manifest_digest,
        base=ceremony_parameters(opened).base_id,
        codec=codec_of(name),
    )


def election_file(terms: Terms, key: Elements) -> bytes:
    """The election, as Belenios has it."""
    manifest = terms.manifest
    value = {
        "version": 1,
        "description": f"evote manifest {encode_hex(terms.digest)}",
        "name": manifest.title,
        "group": terms.codec.name,
        "public_key": terms.codec.texts(key)[0],
        "questions": [
            _question(contest, mixed=manifest.pack_of(contest.id) is not None)
            for contest in manifest.contests
        ],
        "uuid": terms.uuid,
    }
    return compact(value).encode()


def _question(contest: Contest, *, mixed: bool) -> dict[str, Any]:
    answers = [option.title for option in contest.options]
    if mixed:
        inner = {"answers": answers, "question": contest.title}
        return {"type": "NonHomomorphic", "value": inner}
    blank = {"blank": True} if contest.counts_blanks else {}
    limits = {"min": contest.minimum, "max": contest.maximum}
    return {"answers": answers, **blank, **limits, "question": contest.title}


def derived_secret(key: OperatorKey, base: bytes, purpose: bytes) -> Scalars:
    """A trustee's secret in one election, shape (): from its ceremony key, and forgotten again.

    Every copy of the key derives it, so that a backup made at any time is enough.
    """
    if key.ceremony is None:
        raise DecodingError("not the key of a trustee", where=key.card.id)
    group = key.ceremony.group
    size = group.uniform_size
    data = xof("belenios-secret", key.ceremony._secret_bytes(), base, purpose, length=size)
    return group.scalars_from_uniform(data, (), secrecy=Secrecy.LONG_TERM)


def to_base58(data: bytes, count: int) -> str:
    """The last `count` Base58 digits of a number, most significant first."""
    number = int.from_bytes(data, "big")
    digits = []
    for _ in range(count):
        number, digit = divmod(number, 58)
        digits.append(_BASE58[digit])
    return "".join(reversed(digits))
