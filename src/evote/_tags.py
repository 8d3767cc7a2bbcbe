"""Tags of identities: a pseudorandom function that only the registrars' keys compute.

    H(identity) = hash of the base id and the identity to the group
    tag         = product over the registrars with a ceremony key z_i = g^k_i of H(identity)^k_i

Shares H^k_i come in portions of at most 4096 with one proof each that they are under z_i
(Chaum-Pedersen over weights drawn after all of them). The same shares answer blinded queries
H^b: whoever asks takes the b-th root of the product.

Identities have little entropy. Whoever has all k_i, or may ask without limit, finds the identity
of every tag; nobody else finds any (one-more gap Diffie-Hellman, random oracle).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from evote._signed_lines import SignedLines, write_signed_lines
from evote.credentials import RollHeader
from evote.election import Manifest
from evote.encoding import JSON, encode_hex
from evote.errors import DecodingError, InvalidProof, ParameterError, VerificationError
from evote.groups import Elements, Group, stack
from evote.operators import Card, OperatorKey
from evote.proofs import (
    SharesProof,
    SharesStatement,
    SharesWitness,
    decode_shares,
    prove_shares,
    verify_shares,
)
from evote.transcript import Transcript

__all__ = [
    "PORTION",
    "TagShares",
    "decode_tag_shares",
    "hash_identities",
    "join_tags",
    "make_tag_shares",
    "read_tags",
    "tag_registrars",
    "tag_shares_size",
    "verify_tag_shares",
    "write_tags",
]

PORTION = 4096  # of elements with one proof, and of tags in a line


def tag_registrars(registrars: Sequence[Card], group: Group) -> tuple[Card, ...]:
    """The registrars who make tags: those with a ceremony key.

    Raises:
        ParameterError: there is none.
    """
    found = tuple(card for card in registrars if card.ceremony_key is not None)
    if not found:
        raise ParameterError("no registrar of this election has a key for tags")
    return found


def hash_identities(group: Group, base: bytes, identities: Sequence[str]) -> Elements:
    """H of each identity, shape (n,)."""
    return group.hash_messages(b"evote/1/tag/" + base, [i.encode("utf-8") for i in identities])


@dataclass(frozen=True, slots=True, kw_only=True)
class TagShares:
    """One registrar's shares of a portion of tags, or of blinded tags, with their proof."""

    shares: Elements
    proof: SharesProof

    def encode(self) -> bytes:
        """All shares, then the proof."""
        return self.shares.encode() + self.proof.encode()


def tag_shares_size(group: Group, count: int) -> int:
    """Bytes of the shares of a portion."""
    return (count + 2) * group.element_size + group.scalar_size


def decode_tag_shares(group: Group, data: bytes, count: int, *, where: str) -> TagShares:
    """Read what `TagShares.encode` wrote."""
    if len(data) != tag_shares_size(group, count):
        raise DecodingError(f"shares of {count} tags expected", where=where)
    end = count * group.element_size
    return TagShares(
        shares=group.decode_elements(data[:end], (count,), where=where),
        proof=decode_shares(group, data[end:], where=where),
    )


def make_tag_shares(
    key: OperatorKey, base: bytes, context: bytes, portion: int, elements: Elements
) -> TagShares:
    """Raise elements to the registrar's key. Cost: a constant-time power each.

    Args:
        context: what the elements are for: a request's root, nothing for a list of voters.
        portion: its number, from 0.
        elements: of shape (n,).
    """
    statement_key = key.card.ceremony_key
    if key.ceremony is None or statement_key is None:
        raise ParameterError(f"registrar {key.card.id} has no key for tags")
    shares = elements**key.ceremony
    proof = prove_shares(
        SharesStatement(public=statement_key, alphas=elements, shares=shares),
        SharesWitness(secret=key.ceremony),
        _transcript(key.card, elements.group, base, context, portion),
    )
    return TagShares(shares=shares, proof=proof)


def verify_tag_shares(
    card: Card, base: bytes, context: bytes, portion: int, elements: Elements, made: TagShares
) -> None:
    """Check that shares are under the key on a registrar's card. Cost: 2 n terms of 128 bits.

    Raises:
        VerificationError: they are not.
    """
    if card.ceremony_key is None:
        raise VerificationError(f"registrar {card.id} has no key for tags")
    statement = SharesStatement(public=card.ceremony_key, alphas=elements, shares=made.shares)
    transcript = _transcript(card, elements.group, base, context, portion)
    try:
        verify_shares(statement, made.proof, transcript)
    except InvalidProof:
        reason = f"portion {portion}: the tags are not under the key of registrar {card.id}"
        raise VerificationError(reason) from None


def _transcript(card: Card, group: Group, base: bytes, context: bytes, portion: int) -> Transcript:
    transcript = Transcript(b"tags", group)
    transcript.append(b"base", base)
    transcript.append(b"registrar", card.id.encode("ascii"))
    transcript.append(b"context", context)
    transcript.append_integer(b"portion", portion)
    return transcript


def join_tags(parts: Sequence[TagShares]) -> Elements:
    """The tags, from the shares of every registrar who makes them."""
    return stack([part.shares for part in parts]).prod(0)


# -- the tags of a roll ----------------------------------------------------------------------------


def write_tags(
    path: Path | str, key: OperatorKey, base: bytes, header: RollHeader, lines: Iterable[bytes]
) -> None:
    """Write the tags of all voters, in the order of the roll, 4096 to a line."""
    head: dict[str, JSON] = {
        "format": "evote/tags",
        "roll": encode_hex(header.root),
        "count": header.count,
    }
    write_signed_lines(path, key, base, head, lines)


def read_tags(
    path: Path | str, manifest: Manifest, base: bytes, header: RollHeader
) -> Iterator[bytes]:
    """The tags of all voters, in the order of the roll.

    Raises:
        DecodingError: the file is malformed.
        VerificationError: of another roll or election, or not signed by a registrar.
    """
    size = manifest.group.element_size
    with SignedLines(path, "evote/tags", base, manifest.registrars) as file:
        if file.head.hex("roll", 32) != header.root:
            raise VerificationError(f"{file.head.path('roll')}: tags of another roll")
        file.head.integer("count", header.count, header.count)
        for start in range(0, header.count, PORTION):
            data = file.take(size * min(PORTION, header.count - start))
            yield from (data[i : i + size] for i in range(0, len(data), size))
        _, fields = file.finish()
        fields.end()
