"""A registrar's part of every credential, as a file that goes to the other registrars.

`_signed_lines` of format evote/roll-part. Each line has the keys of at most 4096 voters, in the
order of the list, and where the first line says `tags`, the registrar's shares of their tags. The
last line has `list`, the RFC 6962 root of what the registrar's list says of each voter: who has
another list, or the same in another order, finds out before anything is published.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from evote._merkle import CompactRange, leaf_hash
from evote._signed_lines import SignedLines, write_signed_lines
from evote._tags import (
    TagShares,
    decode_tag_shares,
    hash_identities,
    join_tags,
    tag_registrars,
    tag_shares_size,
    verify_tag_shares,
)
from evote._voters import Voter
from evote.credentials import joint_credentials
from evote.election import Manifest
from evote.encoding import JSON, encode_hex, frame
from evote.errors import ParameterError, VerificationError
from evote.groups import Elements
from evote.operators import OperatorKey

__all__ = ["Portion", "read_parts", "write_part"]

_FORMAT = "evote/roll-part"


@dataclass(frozen=True, slots=True, kw_only=True)
class Portion:
    """At most 4096 voters in the order of the list, and what was issued to them.

    `credentials` are whole or parts; `shares` are those of tags by registrar, as far as wanted.
    """

    voters: Sequence[Voter]
    credentials: Sequence[bytes]
    shares: Mapping[str, TagShares]

    @property
    def tags(self) -> Elements:
        """The tags, of all shares there are."""
        return join_tags(list(self.shares.values()))


class _List:
    """The root of what a list says of each voter."""

    def __init__(self) -> None:
        self._tree = CompactRange()

    def add(self, voters: Sequence[Voter]) -> None:
        for voter in voters:
            texts = (voter.style, str(voter.weight), voter.district, voter.status, voter.identity)
            self._tree.append(leaf_hash(frame(*(text.encode("utf-8") for text in texts))))

    def root(self) -> bytes:
        return self._tree.root()


def write_part(
    path: Path | str, key: OperatorKey, base: bytes, issued: Iterable[Portion], tags: bool
) -> None:
    """Write one registrar's part to a new file."""
    listed = _List()

    def lines() -> Iterator[bytes]:
        for portion in issued:
            listed.add(portion.voters)
            shares = [made.encode() for made in portion.shares.values()]
            yield b"".join([*portion.credentials, *shares])

    def tail() -> Mapping[str, JSON]:
        return {"list": encode_hex(listed.root())}

    write_signed_lines(path, key, base, {"format": _FORMAT, "tags": tags}, lines(), tail)


def read_parts(
    paths: Sequence[Path | str],
    manifest: Manifest,
    base: bytes,
    portions: Iterable[Sequence[Voter]],
    tags: bool,
) -> Iterator[Portion]:
    """The credentials of voters from the parts of all registrars, which are read side by side.

    With `tags`, those of all registrars who make them, checked.

    Raises:
        DecodingError: a file is no part.
        VerificationError: a part is of another election or list, is not signed by its registrar,
            or a registrar's is missing.
        ParameterError: tags are wanted, and a registrar who makes them has made none.
    """
    with ExitStack() as files:
        parts = [files.enter_context(_Part(path, manifest, base)) for path in paths]
        found = [part.file.card.id for part in parts]
        if sorted(found) != sorted(card.id for card in manifest.registrars):
            raise VerificationError(f"a part of each registrar expected, got {', '.join(found)}")
        wanted = tag_registrars(manifest.registrars, manifest.group) if tags else ()
        makers = [part for part in parts if part.file.card in wanted]
        if silent := [part.file.card.id for part in makers if not part.has_tags]:
            raise ParameterError(f"no tags of registrar {', '.join(silent)}")
        listed = _List()
        for number, voters in enumerate(portions):
            listed.add(voters)
            hashed = None
            if tags:
                identities = [voter.identity for voter in voters]
                hashed = hash_identities(manifest.group, base, identities)
            rows = [part.take(number, len(voters), hashed) for part in parts]
            yield Portion(
                voters=voters,
                credentials=joint_credentials(list(zip(*[keys for keys, _ in rows], strict=True))),
                shares={
                    part.file.card.id: made
                    for part, (_, made) in zip(parts, rows, strict=True)
                    if made is not None
                },
            )
        for part in parts:
            part.finish(listed.root())


class _Part:
    """A part, as far as it has been read."""

    def __init__(self, path: Path | str, manifest: Manifest, base: bytes) -> None:
        self._group, self._base = manifest.group, base
        self.file = SignedLines(path, _FORMAT, base, manifest.registrars)
        self.has_tags = self.file.head.boolean("tags")

    def __enter__(self) -> _Part:
        return self

    def __exit__(self, *error: object) -> None:
        self.file.__exit__(None, None, None)

    def take(
        self, number: int, count: int, hashed: Elements | None
    ) -> tuple[list[bytes], TagShares | None]:
        """The keys of the next voters, and their shares of tags if these are wanted."""
        size = 32 * count
        more = tag_shares_size(self._group, count) if self.has_tags else 0
        data = self.file.take(size + more)
        keys = [data[i : i + 32] for i in range(0, size, 32)]
        if hashed is None or not self.has_tags:
            return keys, None
        made = decode_tag_shares(self._group, data[size:], count, where=self.file.where)
        verify_tag_shares(self.file.card, self._base, b"", number, hashed, made)
        return keys, made

    def finish(self, listed: bytes) -> None:
        """Check the last line."""
        _, fields = self.file.finish()
        if fields.hex("list", 32) != listed:
            raise VerificationError(f"{fields.path('list')}: another list of voters")
        fields.end()
