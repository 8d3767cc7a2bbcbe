"""The mixed part of a ballot: for each pack one message, encrypted, with a proof that it is known.

A pack's answers are one message of bytes (`packing`), encoded as `width` elements, and encrypted
under a nonce each. Nobody proves that the message is a valid answer: that shows after the mix, when
it is decrypted and nobody's any more. What is proven is that whoever made the ballot knows its
nonces, hence its message:

    a_j = g^t_j,    s_j = t_j + c r_j,    checked: g^s_j = a_j alpha_j^c        for j < width

The challenge c is the ballot's own, which hashes beta and the voter's place too. So nobody can
submit another voter's ciphertext, nor one made from it, to find that voter's answer in the output
(attack D1). Knowledge of r_j in the random oracle model: "Efficient identification and signatures
for smart cards" (CRYPTO 1989); with ElGamal, "On the security of ElGamal based encryption" (PKC
1998).

A private sibling of `ballots`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from evote._linear import hedged_nonces
from evote.contests import Contest
from evote.elgamal import Ciphertexts, PublicKey, encrypt_with_nonces
from evote.encoding import canonical_json, uint32, xofs
from evote.errors import ShapeMismatch
from evote.groups import Elements, Group, Rng, Scalars, Secrecy
from evote.packing import Packing
from evote.proofs import Equations

__all__ = [
    "BallotPack",
    "KnowledgeState",
    "PackBallots",
    "commit_knowledge",
    "encrypt_pack",
    "knowledge_equations",
    "pack_nonces",
    "pack_sizes",
    "respond_knowledge",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class BallotPack:
    """Contests whose answers are one message of a ballot, in the order of the message."""

    id: str
    contests: tuple[Contest, ...]

    @property
    def packing(self) -> Packing:
        """The layout of the message."""
        return Packing(self.contests)

    def width(self, group: Group) -> int:
        """The elements of the group that hold a message; the manifest sees to it that they do."""
        return self.packing.width(group)

    def encode(self) -> bytes:
        """The pack as canonical JSON: what ballots are bound to."""
        return canonical_json(
            {"id": self.id, "contests": [contest.to_json() for contest in self.contests]}
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PackBallots:
    """One pack on n ballots: ciphertexts, commitments and responses, all of shape (n, width)."""

    pack: BallotPack
    ciphertexts: Ciphertexts
    commitments: Elements
    responses: Scalars

    def __post_init__(self) -> None:
        if not self.ciphertexts.shape == self.commitments.shape == self.responses.shape:
            shapes = f"{self.commitments.shape} and {self.responses.shape}"
            raise ShapeMismatch(f"proofs {shapes} for ciphertexts {self.ciphertexts.shape}")

    def take(self, indices: NDArray[np.intp]) -> PackBallots:
        """The ballots at `indices`."""
        return PackBallots(
            pack=self.pack,
            ciphertexts=self.ciphertexts.take(indices),
            commitments=self.commitments.take(indices),
            responses=self.responses.take(indices),
        )

    def encode_proofs(self) -> list[bytes]:
        """Of each ballot: its commitments, then its responses."""
        n = len(self.ciphertexts)
        columns = [self.commitments.encode(), self.responses.encode()]
        sizes = [len(data) // n if n else 0 for data in columns]
        return [
            b"".join(d[i * s : (i + 1) * s] for d, s in zip(columns, sizes, strict=True))
            for i in range(n)
        ]


def pack_sizes(group: Group, pack: BallotPack) -> dict[str, int]:
    """The packed bytes of a pack on a ballot: its ciphertexts, and its proof."""
    width = pack.width(group)
    return {
        "ciphertexts": width * 2 * group.element_size,
        "proof": width * (group.element_size + group.scalar_size),
    }


def pack_nonces(
    group: Group,
    election: bytes,
    pack: BallotPack,
    credentials: Sequence[bytes],
    seeds: Sequence[bytes],
    messages: Sequence[bytes],
) -> Scalars:
    """The nonces (n, width) that the seeds give: a pure function of its arguments."""
    name, width = pack.id.encode("ascii"), pack.width(group)
    drawn = xofs(
        "ballot-nonce",
        each_repeated(seeds, width),
        election,
        each_repeated(credentials, width),
        name,
        [uint32(position) for position in range(width)] * len(messages),
        each_repeated(messages, width),
        b"mixed",
        length=group.uniform_size,
    )
    return group.scalars_from_uniform(
        b"".join(drawn), (len(messages), width), secrecy=Secrecy.ONE_TIME
    )


def each_repeated(items: Sequence[bytes], times: int) -> list[bytes]:
    """Every item so many times, one after the other."""
    return [item for item in items for _ in range(times)]


def encrypt_pack(
    key: PublicKey, pack: BallotPack, messages: Sequence[bytes], nonces: Scalars
) -> Ciphertexts:
    """The messages encoded and encrypted; shape (n, width)."""
    elements = key.group.encode_message(messages, pack.width(key.group))
    return encrypt_with_nonces(key, elements, nonces)


class KnowledgeState(NamedTuple):
    """What the prover keeps between commitment and response; secret."""

    nonces: Scalars
    proof_nonces: Scalars

    def __repr__(self) -> str:
        return f"<the state of {len(self.nonces)} proofs>"


def commit_knowledge(
    nonces: Scalars, *, context: bytes, rng: Rng | None = None
) -> tuple[Elements, KnowledgeState]:
    """First move: a_j = g^t_j. Cost: a fixed-base power each.

    Args:
        nonces: of the ciphertexts, shape (n, width).
        context: hashed into t: all that the challenge will hash.
        rng: of 32 random bytes.
    """
    r = nonces.mark(Secrecy.ONE_TIME)
    t = hedged_nonces(
        r.group, r.shape, r.secrecy, secret=r._secret_bytes(), public=[b"mixed", context], rng=rng
    )
    return r.group.generator**t, KnowledgeState(r, t)


def respond_knowledge(state: KnowledgeState, challenges: Scalars) -> Scalars:
    """Last move: s_j = t_j + c r_j, for challenges of shape (n,). A state answers only one."""
    return (state.proof_nonces + challenges[:, None] * state.nonces).publish()


def knowledge_equations(part: PackBallots, challenges: Scalars) -> Equations:
    """a_j alpha_j^c g^-s_j = 1, for challenges of shape (n,)."""
    group = part.ciphertexts.group
    return Equations(
        group=group,
        shape=part.responses.shape,
        relations=(
            (
                (part.commitments, None),
                (part.ciphertexts.alpha, challenges[:, None]),
                (group.generator, -part.responses),
            ),
        ),
    )
