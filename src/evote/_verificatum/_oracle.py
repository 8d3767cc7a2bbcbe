"""Verificatum's hashes: random oracle, pseudo-random generator, challenges, generators.

    RO(n, data)   n bits of PRG_H(H(uint32(n) data)), excess bits of the first byte cleared
    PRG_X(seed)   X(seed uint32(0)) X(seed uint32(1)) ...
    rho           H of a node of version, sid.auxsid, bit lengths, the texts prg, pgroup, rohash

H is the hash of <rohash>, X in batching vectors that of <prg>. Everything a challenge depends on is
hashed behind rho. Not in rho: the parties, the threshold, the widths, the key; keys are hashed with
the statements, and what is in no hash is checked against the files.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import numpy as np

from evote._verificatum._protinfo import Protocol
from evote._verificatum._trees import header, int32, leaf, node, text
from evote.groups import Elements, Group, ModPGroup, Scalars, concatenate

__all__ = ["Oracle", "Stream", "file_digest"]


def file_digest(data: bytes) -> bytes:
    """SHA-256, by which an auditor pins a file."""
    return hashlib.sha256(data).digest()


class Stream:
    """PRG_X(seed), byte after byte."""

    def __init__(self, name: str, seed: bytes) -> None:
        self._base = hashlib.new(name, seed)
        self._block = 0
        self._rest = b""

    def read(self, size: int) -> bytes:
        """The next `size` bytes."""
        blocks = [self._rest]
        for _ in range(-(-(size - len(self._rest)) // self._base.digest_size)):
            block = self._base.copy()
            block.update(self._block.to_bytes(4, "big"))
            self._block += 1
            blocks.append(block.digest())
        data = b"".join(blocks)
        self._rest = data[size:]
        return data[:size]

    def integers(self, count: int, bits: int) -> list[int]:
        """`count` integers below 2^bits, each from bytes of its own."""
        width = -(-bits // 8)
        if not width:
            return [0] * count
        rows = np.frombuffer(self.read(count * width), dtype=np.uint8).reshape(count, width).copy()
        if bits % 8:
            rows[:, 0] &= (1 << bits % 8) - 1
        data, read = rows.tobytes(), int.from_bytes
        return [read(data[i : i + width], "big") for i in range(0, len(data), width)]


class Oracle:
    """The random oracle of one session, `sid.auxsid`.

    Attributes:
        prefix: rho.
    """

    def __init__(self, protocol: Protocol, auxsid: str) -> None:
        self.protocol = protocol
        self._hash = protocol.ro_hash
        self._generators: Elements | None = None
        self.prefix = hashlib.new(
            self._hash,
            node(
                text(protocol.version),
                text(f"{protocol.sid}.{auxsid}"),
                int32(protocol.statdist),
                int32(protocol.challenge_bits),
                int32(protocol.batching_bits),
                text(protocol.prg),
                text(protocol.pgroup),
                text(protocol.rohash),
            ),
        ).digest()

    def _output(self, bits: int, pieces: Iterable[bytes | memoryview]) -> bytes:
        """RO(bits, rho and the pieces)."""
        state = hashlib.new(self._hash, bits.to_bytes(4, "big") + self.prefix)
        for piece in pieces:
            state.update(piece)
        [number] = Stream(self._hash, state.digest()).integers(1, bits)
        return number.to_bytes(-(-bits // 8), "big")

    def seed(self, *pieces: bytes | memoryview) -> bytes:
        """The seed of a batching vector, of a tree in pieces: large arrays are not copied."""
        return self._output(8 * hashlib.new(self.protocol.prg_hash).digest_size, pieces)

    def batching_vector(self, seed: bytes, count: int) -> Scalars:
        """e, shape (count,)."""
        stream = Stream(self.protocol.prg_hash, seed)
        group: Group = self.protocol.group
        return group.scalars(stream.integers(count, self.protocol.batching_bits))

    def challenge(self, seed: bytes, commitment: bytes | memoryview) -> Scalars:
        """v of a seed and of the prover's first move, shape ()."""
        pieces = (header(0, 2), leaf(seed), commitment)
        group: Group = self.protocol.group
        output = self._output(self.protocol.challenge_bits, pieces)
        return group.scalars(int.from_bytes(output, "big"))

    def generators(self, count: int) -> Elements:
        """h, shape (count,): nobody knows their logarithms. Fewer are the first of more."""
        if self._generators is None or len(self._generators) < count:
            self._generators = self._derive_generators(count)
        return self._generators[:count]

    def _derive_generators(self, count: int) -> Elements:
        group, statdist = self.protocol.group, self.protocol.statdist
        bits = 8 * hashlib.new(self._hash).digest_size
        stream = Stream(self._hash, self._output(bits, (text("generators"),)))
        if isinstance(group, ModPGroup):
            return group.from_residues(stream.integers(count, group.p.bit_length() + statdist))
        bits = group.curve.p.bit_length() + statdist
        found: list[Elements] = []
        missing = count
        while missing > 0:  # about every other number is the x of a point
            found.append(group.from_abscissas(stream.integers(2 * missing + 8, bits)))
            missing -= len(found[-1])
        return concatenate(found)[:count]
