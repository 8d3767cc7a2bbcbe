"""Belenios' challenges: strings of both protocol versions, hashed to scalars.

version 1   SHA-256 of "tag|message|A,B,...", modulo q
version 2   RFC 9380's hash_to_field of message and elements, under a domain per tag and group
"""

from __future__ import annotations

from collections.abc import Sequence

from evote.errors import ParameterError, UnsupportedError
from evote.groups.hash_to_curve import hash_to_field
from evote.interop.belenios._codec import Codec
from evote.interop.belenios._forms import base64_digest, compact, sha256_hex

__all__ = ["Oracle", "listed"]


class Oracle:
    """The challenges of one version in one group.

    Attributes:
        version: of the protocol, 1 or 2.
    """

    def __init__(self, version: int, codec: Codec) -> None:
        self.version = version
        self.codec = codec
        self._order = codec.order
        self._width = (codec.order.bit_length() + 128 + 7) // 8

    def fingerprint(self, election: bytes) -> str:
        """What ballots and proofs call the election by."""
        return base64_digest(election) if self.version == 1 else sha256_hex(election)

    def proof(self, tag: str, message: str, elements: str, statement: str = "") -> int:
        """The challenge of a proof about `statement`, where the version hashes one."""
        if statement:
            message = f"{message}|{statement}|"
        elif self.version == 1:
            message += "|"
        if self.version == 1:
            return self._sha256(f"{tag}|{message}{elements}")
        return self._to_field(f"BELENIOS-V2-{tag}-group_hash-{self.codec.name}", message + elements)

    def signature(self, tag: str, key: str, message: object, commitment: str) -> int:
        """The challenge of a signature.

        In version 1 `message` is a string, signed under the tag `sigmsg` or `sig`; in version 2 it
        is JSON, signed under a tag that tells what it is.
        """
        if self.version == 1:
            return self._sha256(f"{tag}|{message}|{commitment}")
        text = message if isinstance(message, str) else compact(message)
        domain = f"BELENIOS-V2-{tag}-group_hash-{self.codec.name}"
        return self._to_field(domain, f"{key}|{text}{commitment}")

    def knowledge(self, key: str, commitment: str) -> int:
        """The challenge of a trustee's proof of knowledge, in version 1."""
        return self._sha256(f"pok|{self.codec.name}|{key}|{commitment}")

    def permutation_challenges(self, fingerprint: str, text: str, count: int) -> list[int]:
        """The u_i of a shuffle of `count` ciphertexts."""
        message = f"shuffle-challenges|{fingerprint}|{text}"
        if self.version == 1:
            seed = sha256_hex(message.encode())
            return [self._sha256(seed + sha256_hex(b"%d" % i)) for i in range(count)]
        domain = b"BELENIOS-V2-get_nizkp_challenges-SHA256"
        try:
            return hash_to_field(message.encode(), domain, count, self._order, width=self._width)
        except ParameterError:
            reason = "version 2 has no challenges for so many: expand_message_xmd has 255 blocks"
            raise UnsupportedError(f"a shuffle of {count} ciphertexts: {reason}") from None

    def shuffle_challenge(self, fingerprint: str, text: str) -> int:
        """The challenge of a shuffle's proof."""
        message = f"shuffle-challenge|{fingerprint}|{text}"
        if self.version == 1:
            return self._sha256(message)
        return self._to_field("BELENIOS-V2-get_nizkp_challenge", message)

    def _sha256(self, text: str) -> int:
        return int(sha256_hex(text.encode("utf-8", "surrogatepass")), 16) % self._order

    def _to_field(self, domain: str, text: str) -> int:
        message = text.encode("utf-8", "surrogatepass")
        tag = f"{domain}-SHA256".encode()
        return hash_to_field(message, tag, 1, self._order, width=self._width)[0]


def listed(texts: Sequence[str]) -> str:
    """Each text with a comma behind it."""
    return "".join([f"{text}," for text in texts])
