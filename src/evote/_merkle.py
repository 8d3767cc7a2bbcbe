"""The Merkle tree of RFC 6962, section 2.1, over SHA-256.

`CompactRange` holds log2(n) hashes and gives the root of what was appended; `MerkleTree` holds
64 bytes per leaf and gives proofs for every size it ever had, as any `ProvingTree` does. The
verifiers follow RFC 9162, sections 2.1.3.2 and 2.1.4.2, step by step. Leaves are hashed apart from
nodes, so that no node passes for a leaf.
"""

from __future__ import annotations

import hashlib
import hmac
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import Self

import numpy as np

from evote._forms import Strings, to_rows
from evote._hashes import sha256_each, sha256_rows
from evote.errors import BrokenLog, ParameterError

__all__ = [
    "EMPTY_ROOT",
    "HASH_SIZE",
    "MAX_PROOF",
    "CompactRange",
    "MerkleTree",
    "ProvingTree",
    "leaf_hash",
    "leaf_hashes",
    "merkle_root",
    "node_hash",
    "pair_hashes",
    "verify_consistency",
    "verify_inclusion",
]

HASH_SIZE = 32
MAX_PROOF = 63  # hashes in a proof: sizes are below 2^63
_FEW = 8  # hashes that are not worth an array
EMPTY_ROOT = hashlib.sha256(b"").digest()


def leaf_hash(data: bytes) -> bytes:
    """SHA-256(0x00 || data)."""
    return hashlib.sha256(b"\x00" + data).digest()


def leaf_hashes(entries: Sequence[bytes]) -> Sequence[bytes]:
    """The leaf hash of each; side by side if they are."""
    return sha256_each(b"\x00", entries)


def node_hash(left: bytes, right: bytes) -> bytes:
    """SHA-256(0x01 || left || right)."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def pair_hashes(hashes: Sequence[bytes]) -> Strings:
    """The nodes over pairs of hashes, left to right; an odd last hash has none."""
    pairs = to_rows(hashes[: len(hashes) // 2 * 2]).reshape((-1, 2 * HASH_SIZE))
    return Strings(sha256_rows(b"\x01", pairs))


def merkle_root(leaves: Iterable[bytes]) -> bytes:
    """The root over leaf data, read once; the root of no leaves is SHA-256 of nothing."""
    tree = CompactRange()
    for data in leaves:
        tree.append(leaf_hash(data))
    return tree.root()


class CompactRange:
    """The root of a growing list of leaf hashes, in log2(n) hashes of memory."""

    __slots__ = ("_peaks", "size")

    def __init__(self) -> None:
        self.size = 0
        self._peaks: list[bytes] = []  # of the full subtrees, largest first: the bits of `size`

    @classmethod
    def of(cls, size: int, peaks: Sequence[bytes]) -> Self:
        """The range over `size` leaves whose `peaks` were kept.

        Raises:
            BrokenLog: no tree of that size has so many.
        """
        if size < 0 or len(peaks) != size.bit_count():
            raise BrokenLog(f"{len(peaks)} peaks of a tree of {size} entries")
        made = cls()
        made.size, made._peaks = size, list(peaks)
        return made

    @property
    def peaks(self) -> tuple[bytes, ...]:
        """The roots of the full subtrees, largest first: all that is needed to go on."""
        return tuple(self._peaks)

    def append(self, leaf: bytes) -> None:
        """Add one leaf hash."""
        size, peaks = self.size, self._peaks
        while size & 1:
            leaf = node_hash(peaks.pop(), leaf)
            size >>= 1
        peaks.append(leaf)
        self.size += 1

    def extend(self, leaves: Iterable[bytes]) -> None:
        """Add leaf hashes in order: as numbers are added, a level for each binary digit."""
        hashes = leaves if isinstance(leaves, Strings) else Strings(to_rows(list(leaves)))
        if len(hashes) < _FEW:
            for leaf in hashes:
                self.append(leaf)
            return
        above, ends = self.size, list[bytes]()
        self.size += len(hashes)
        while len(hashes):
            if above & 1:
                hashes = Strings(np.concatenate([to_rows([self._peaks.pop()]), hashes.rows]))
            if len(hashes) & 1:
                ends.append(hashes[-1])
            hashes, above = pair_hashes(hashes), above >> 1
        self._peaks += reversed(ends)

    def root(self) -> bytes:
        """The root over everything appended so far."""
        if not self._peaks:
            return EMPTY_ROOT
        root = self._peaks[-1]
        for peak in reversed(self._peaks[:-1]):
            root = node_hash(peak, root)
        return root

    def copy(self) -> CompactRange:
        """An independent copy."""
        twin = CompactRange()
        twin.size, twin._peaks = self.size, list(self._peaks)
        return twin


class ProvingTree(ABC):
    """A tree that gives roots and proofs for every size up to its own."""

    __slots__ = ()

    @property
    @abstractmethod
    def size(self) -> int:
        """Number of leaves."""

    @abstractmethod
    def _full(self, height: int, index: int) -> bytes:
        """The hash of leaves [index 2^height, (index + 1) 2^height), all of which there are."""

    def root(self, size: int | None = None) -> bytes:
        """The root over the first `size` leaves, all by default."""
        size = self._checked(size)
        return self._range(0, size) if size else EMPTY_ROOT

    def inclusion_proof(self, index: int, size: int | None = None) -> tuple[bytes, ...]:
        """The siblings from leaf `index` up to the root over `size` leaves."""
        size = self._checked(size)
        if not 0 <= index < size:
            raise ParameterError(f"no leaf {index} in a tree of {size}")
        proof: list[bytes] = []
        start = 0
        while size - start > 1:
            middle = start + _split(size - start)
            if index < middle:
                proof.append(self._range(middle, size))
                size = middle
            else:
                proof.append(self._range(start, middle))
                start = middle
        return tuple(reversed(proof))

    def consistency_proof(self, old: int, new: int | None = None) -> tuple[bytes, ...]:
        """What shows that the tree over `old` leaves is the beginning of the one over `new`."""
        new = self._checked(new)
        if not 0 <= old <= new:
            raise ParameterError(f"no tree of {old} leaves within one of {new}")
        if old in (0, new):
            return ()
        proof: list[bytes] = []
        start, end, whole = 0, new, True
        while old != end:
            middle = start + _split(end - start)
            if old <= middle:
                proof.append(self._range(middle, end))
                end = middle
            else:
                proof.append(self._range(start, middle))
                start, whole = middle, False
        if not whole:
            proof.append(self._range(start, end))
        return tuple(reversed(proof))

    def _checked(self, size: int | None) -> int:
        if size is None:
            return self.size
        if not 0 <= size <= self.size:
            raise ParameterError(f"no tree of {size} leaves within one of {self.size}")
        return size

    def _range(self, start: int, end: int) -> bytes:
        """The hash of a subtree whose left edge is aligned to its size."""
        length = end - start
        if length & (length - 1) == 0:
            height = length.bit_length() - 1
            return self._full(height, start >> height)
        middle = start + _split(length)
        return node_hash(self._range(start, middle), self._range(middle, end))


class MerkleTree(ProvingTree):
    """Every full subtree's hash, 64 bytes per leaf: roots and proofs in O(log n) of them."""

    __slots__ = ("_levels",)

    def __init__(self, leaves: Iterable[bytes] = ()) -> None:
        self._levels: list[bytearray] = [bytearray()]  # [h]: hashes of full subtrees of 2^h leaves
        self.extend(leaves)

    @property
    def size(self) -> int:
        """Number of leaves."""
        return len(self._levels[0]) // HASH_SIZE

    def append(self, leaf: bytes) -> None:
        """Add one leaf hash."""
        self.extend((leaf,))

    def extend(self, leaves: Iterable[bytes]) -> None:
        """Add leaf hashes in order."""
        for leaf in leaves:
            index, height = self.size, 0
            self._levels[0] += leaf
            while index & 1:
                leaf = node_hash(self._full(height, index - 1), leaf)
                index, height = index >> 1, height + 1
                if height == len(self._levels):
                    self._levels.append(bytearray())
                self._levels[height] += leaf

    def _full(self, height: int, index: int) -> bytes:
        return bytes(self._levels[height][HASH_SIZE * index : HASH_SIZE * (index + 1)])


def _split(length: int) -> int:
    """The largest power of two strictly below `length`, which is 2 or more."""
    return 1 << ((length - 1).bit_length() - 1)


def verify_inclusion(
    leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes
) -> None:
    """Check that `leaf`, a leaf hash, is at `index` in the tree of `size` leaves under `root`.

    Reference: RFC 9162, section 2.1.3.2.

    Raises:
        BrokenLog: it is not shown to be there.
    """
    if not 0 <= index < size:
        raise BrokenLog(f"no such entry in a log of {size}", entry=index)
    _check_hashes(proof)
    fn, sn, r = index, size - 1, leaf
    for hash_ in proof:
        if sn == 0:
            raise BrokenLog("the inclusion proof is too long", entry=index)
        if fn & 1 or fn == sn:
            r = node_hash(hash_, r)
            while not fn & 1 and fn:
                fn, sn = fn >> 1, sn >> 1
        else:
            r = node_hash(r, hash_)
        fn, sn = fn >> 1, sn >> 1
    if sn != 0:
        raise BrokenLog("the inclusion proof is too short", entry=index)
    if not hmac.compare_digest(r, root):
        raise BrokenLog("the inclusion proof leads to another root", entry=index)


def verify_consistency(
    old_size: int, old_root: bytes, new_size: int, new_root: bytes, proof: Sequence[bytes]
) -> None:
    """Check that the tree of `old_size` is the beginning of the tree of `new_size`.

    Reference: RFC 9162, section 2.1.4.2; sizes 0 and equal sizes as in C2SP tlog-witness.

    Raises:
        BrokenLog: it is not shown to be.
    """
    _check_hashes(proof)
    if not 0 <= old_size <= new_size:
        raise BrokenLog(f"a log of {new_size} entries cannot follow one of {old_size}")
    if old_size in (0, new_size):
        if proof:
            raise BrokenLog("the consistency proof is too long")
        if old_root != (new_root if old_size else EMPTY_ROOT):
            raise BrokenLog(f"two roots for a log of {old_size} entries")
        if new_size == 0 and new_root != EMPTY_ROOT:
            raise BrokenLog("an empty log with a root of its own")
        return
    path = [old_root, *proof] if old_size & (old_size - 1) == 0 else list(proof)
    if not path:
        raise BrokenLog("the consistency proof is empty")
    fn, sn = old_size - 1, new_size - 1
    while fn & 1:
        fn, sn = fn >> 1, sn >> 1
    fr = sr = path[0]
    for hash_ in path[1:]:
        if sn == 0:
            raise BrokenLog("the consistency proof is too long")
        if fn & 1 or fn == sn:
            fr, sr = node_hash(hash_, fr), node_hash(hash_, sr)
            while not fn & 1 and fn:
                fn, sn = fn >> 1, sn >> 1
        else:
            sr = node_hash(sr, hash_)
        fn, sn = fn >> 1, sn >> 1
    if sn != 0:
        raise BrokenLog("the consistency proof is too short")
    if not hmac.compare_digest(fr, old_root):
        raise BrokenLog("the consistency proof leads to another old root")
    if not hmac.compare_digest(sr, new_root):
        raise BrokenLog("the consistency proof leads to another new root")


def _check_hashes(proof: Sequence[bytes]) -> None:
    if len(proof) > MAX_PROOF:
        raise BrokenLog(f"{len(proof)} hashes in a proof, at most {MAX_PROOF} expected")
    if any(len(hash_) != HASH_SIZE for hash_ in proof):
        raise BrokenLog(f"a proof holds a hash that is not {HASH_SIZE} bytes")
