"""One session, `nizkp/<auxsid>`: its files, what they say it is, its key and its lists.

Every file has one size once the group, the widths and the number of ciphertexts are known, and is
read whole, up to a limit. Files that a session of its kind does not use are not read.
"""

from __future__ import annotations

from dataclasses import dataclass

from evote._trees import Tree
from evote._verificatum._codec import Widths
from evote._verificatum._protinfo import (
    MAX_PARTIES,
    MAX_WIDTH,
    Protocol,
    check_auxsid,
    decimal,
)
from evote._verificatum._trees import Reader
from evote.elgamal import Ciphertexts
from evote.errors import DecodingError, VerificationError
from evote.groups import Elements

__all__ = ["KINDS", "CiphertextList", "Files", "Session", "open_session"]

KINDS = ("mixing", "shuffling", "decryption")
MAX_FILE = 2**30  # bytes
_MAX_TEXT = 2**11  # bytes
_MAX_LIST = 2**24  # ciphertexts


class Files:
    """The files of a session, by their names in its directory."""

    def __init__(self, tree: Tree, shown: str, place: str = "") -> None:
        self.tree = tree
        self.shown = shown  # what messages call the directory
        self.place = place  # where it is in the tree, ended by a slash

    def where(self, name: str) -> str:
        return f"{self.shown}/{name}"

    def has(self, name: str) -> bool:
        return self.tree.has(self.place + name)

    def read(self, name: str, limit: int = MAX_FILE) -> bytes:
        try:
            return self.tree.read(self.place + name, limit)
        except DecodingError as error:
            raise DecodingError(error.reason, where=self.where(name)) from None

    def reader(self, name: str, limit: int = MAX_FILE) -> Reader:
        """A reader of a byte tree that is the whole file."""
        return Reader(self.read(name, limit), self.where(name))

    def text(self, name: str) -> str:
        """The text of a small file, without a line's end."""
        data = self.read(name, _MAX_TEXT)
        found = data.decode("ascii", "replace")
        if not found or not found.isascii() or not found.isprintable():
            raise DecodingError(
                "one line of ASCII without its end expected", where=self.where(name)
            )
        return found

    def number(self, name: str, low: int, high: int) -> int:
        return decimal(self.text(name), low, high, where=self.where(name))


@dataclass(frozen=True, slots=True, kw_only=True)
class CiphertextList:
    """Ciphertexts of shape (n, w), and the tree that they were read from: the hashes' input."""

    ciphertexts: Ciphertexts
    tree: bytes
    where: str

    def __len__(self) -> int:
        return len(self.ciphertexts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """What the small files say.

    Attributes:
        kind: one of KINDS.
        width: omega, of ciphertexts.
        active: lambda', the last party that can have mixed; 0 where nobody mixes.
        precomputed: N_0, how many commitments were prepared; None without precomputation.
    """

    protocol: Protocol
    files: Files
    kind: str
    auxsid: str
    width: int
    active: int
    precomputed: int | None

    @property
    def shuffles(self) -> bool:
        return self.kind != "decryption"

    @property
    def decrypts(self) -> bool:
        return self.kind != "shuffling"

    @property
    def widths(self) -> Widths:
        return Widths(self.protocol.key_width, self.width)

    def read_key(self) -> Elements:
        """y, shape (kappa,), or () for one."""
        codec = self.protocol.codec
        reader = self.files.reader("FullPublicKey.bt")
        reader.node(2)
        generators = codec.item(reader, self.widths.key_parts)
        key = codec.item(reader, self.widths.key_parts)
        reader.end()
        if not generators.equal_mask(codec.group.generator).all():
            raise VerificationError(f"{reader.where}: the first part is not the generator")
        if key.is_identity().any():
            raise VerificationError(f"{reader.where}: the identity as a key encrypts nothing")
        return key

    def read_list(self, name: str, count: int | None = None) -> CiphertextList:
        """A list of `count` ciphertexts, of any number for None, but not of none."""
        data = self.files.read(name)
        where = self.files.where(name)
        reader = Reader(data, where)
        found = self.protocol.codec.ciphertexts(reader, self.widths.ciphertext_parts, count)
        reader.end()
        if not len(found):
            raise DecodingError("an empty list", where=where)
        return CiphertextList(ciphertexts=found, tree=data, where=where)


def open_session(
    protocol: Protocol,
    files: Files,
    *,
    kind: str | None = None,
    auxsid: str | None = None,
    width: int | None = None,
) -> Session:
    """Read what a session is, and compare it with what the caller expects, where that is not None.

    Raises:
        DecodingError: a small file is missing or says what cannot be.
        VerificationError: it is not what was expected.
    """
    found = {name: files.text(name) for name in ("version", "type", "auxsid")}
    check_auxsid(found["auxsid"], where=files.where("auxsid"))
    if found["type"] not in KINDS:
        raise DecodingError(f"one of {', '.join(KINDS)} expected", where=files.where("type"))
    own_width = files.number("width", 1, MAX_WIDTH)
    wanted = {"version": protocol.version, "type": kind, "auxsid": auxsid}
    for name, expected in wanted.items():
        if expected is not None and found[name] != expected:
            reason = f"{expected} expected, got {found[name]}"
            raise VerificationError(f"{files.where(name)}: {name}: {reason}")
    if width is not None and own_width != width:
        raise VerificationError(f"{files.where('width')}: width: {width} expected, got {own_width}")
    active, precomputed = 0, None
    if found["type"] != "decryption":
        name = "proofs/activethreshold"
        active = files.number(name, 0, MAX_PARTIES)
        if not protocol.threshold <= active <= protocol.parties:
            reason = f"{protocol.threshold} to {protocol.parties} expected, got {active}"
            raise VerificationError(f"{files.where(name)}: active threshold: {reason}")
        if files.has("proofs/maxciph"):
            precomputed = files.number("proofs/maxciph", 1, _MAX_LIST)
    return Session(
        protocol=protocol,
        files=files,
        kind=found["type"],
        auxsid=found["auxsid"],
        width=own_width,
        active=active,
        precomputed=precomputed,
    )
