"""The tree of RFC 6962: roots, proofs, and what is no proof.

Known answers: `log1000.json` of the tlog vectors. Its hash tiles (`tiles_sha256`,
`tile_level1_hex`) stay with the board issue.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest
from nacl.signing import SigningKey

from evote._merkle import node_hash
from evote._notes import encode_base64
from evote.board import (
    BUNDLE,
    EMPTY_ROOT,
    LOG_KEY,
    Checkpoint,
    CompactRange,
    MerkleTree,
    NoteSigner,
    VerifierKey,
    bundle_path,
    decode_bundle,
    encode_bundle,
    leaf_hash,
    leaf_hashes,
    merkle_root,
    open_checkpoint,
    sign_checkpoint,
    verify_consistency,
    verify_inclusion,
)
from evote.errors import (
    BrokenLog,
    ParameterError,
)

if TYPE_CHECKING:
    from tests.conftest import Vectors


def naive_root(leaves: list[bytes]) -> bytes:
    """MTH of RFC 6962, section 2.1, as it is written there."""
    if len(leaves) < 2:
        return leaves[0] if leaves else hashlib.sha256(b"").digest()
    k = 1 << ((len(leaves) - 1).bit_length() - 1)
    return node_hash(naive_root(leaves[:k]), naive_root(leaves[k:]))


def naive_path(m: int, leaves: list[bytes]) -> list[bytes]:
    if len(leaves) == 1:
        return []
    k = 1 << ((len(leaves) - 1).bit_length() - 1)
    if m < k:
        return [*naive_path(m, leaves[:k]), naive_root(leaves[k:])]
    return [*naive_path(m - k, leaves[k:]), naive_root(leaves[:k])]


LEAVES = [leaf_hash(bytes([i])) for i in range(70)]


def test_tree_is_the_naive_one() -> None:
    tree, grown = MerkleTree(), CompactRange()
    for size in range(len(LEAVES) + 1):
        root = naive_root(LEAVES[:size])
        assert tree.root() == root
        assert grown.root() == root
        assert grown.copy().root() == root
        assert grown.size == tree.size == size
        if size < len(LEAVES):
            tree.append(LEAVES[size])
            grown.append(LEAVES[size])
    assert [tree.root(n) for n in range(71)] == [naive_root(LEAVES[:n]) for n in range(71)]
    assert merkle_root(bytes([i]) for i in range(70)) == tree.root()


def test_every_proof_verifies_and_no_altered_one() -> None:
    tree = MerkleTree(LEAVES[:40])
    for size in range(1, 41):
        root = tree.root(size)
        for index in range(size):
            proof = tree.inclusion_proof(index, size)
            assert list(proof) == naive_path(index, LEAVES[:size])
            verify_inclusion(LEAVES[index], index, size, proof, root)
        for old in range(size + 1):
            proof = tree.consistency_proof(old, size)
            verify_consistency(old, tree.root(old), size, root, proof)
            wrong = [bytes(32), *proof[1:]] if proof else [bytes(32)]
            with pytest.raises(BrokenLog):
                verify_consistency(old, tree.root(old), size, root, wrong)


@pytest.mark.parametrize("index", [0, 1, 7, 8, 36])
def test_inclusion_proofs_altered(index: int) -> None:
    tree = MerkleTree(LEAVES[:37])
    proof, root, leaf = tree.inclusion_proof(index), tree.root(), LEAVES[index]
    verify_inclusion(leaf, index, 37, proof, root)
    altered: list[tuple[bytes, int, int, tuple[bytes, ...], bytes]] = [
        (LEAVES[index + 1], index, 37, proof, root),
        (leaf, index + 1, 37, proof, root),
        (leaf, -1, 37, proof, root),
        (leaf, 37, 37, proof, root),
        (leaf, 0, 0, (), root),
        (leaf, index, 37, proof[:-1], root),
        (leaf, index, 37, (*proof, bytes(32)), root),
        (leaf, index, 37, (*proof[:-1], proof[-1] + b"\0"), root),
        (leaf, index, 37, (*proof, *([bytes(32)] * 64)), root),
        (leaf, index, 37, proof, tree.root(36)),
        (leaf, index, 37, proof, root[:-1]),
    ]
    altered += [
        (leaf, index, 37, (*proof[:i], bytes(32), *proof[i + 1 :]), root) for i in range(len(proof))
    ]
    for case in altered:
        with pytest.raises(BrokenLog):
            verify_inclusion(*case)


def test_consistency_proofs_altered() -> None:
    tree = MerkleTree(LEAVES)
    for old, new in ((3, 70), (32, 70), (33, 64), (69, 70)):
        proof, before, after = tree.consistency_proof(old, new), tree.root(old), tree.root(new)
        verify_consistency(old, before, new, after, proof)
        for case in (
            (old, after, new, after, proof),
            (old, before, new, before, proof),
            (new, after, old, before, proof),
            (old - 1, before, new, after, proof),
            (old, before, new, after, proof[:-1]),
            (old, before, new, after, ()),
            (old, before, new, after, (*proof, bytes(32))),
            (old, before, new, after, (*proof[:-1], b"short")),
            (0, before, new, after, ()),
            (old, before, old, after, ()),
            (old, before, old, before, proof),
            (0, EMPTY_ROOT, 0, after, ()),
            (-1, before, new, after, proof),
        ):
            with pytest.raises(BrokenLog):
                verify_consistency(*case)


def test_no_proof_of_what_is_not_there() -> None:
    tree = MerkleTree(LEAVES[:5])
    for call in (
        lambda: tree.inclusion_proof(5),
        lambda: tree.inclusion_proof(-1),
        lambda: tree.inclusion_proof(0, 6),
        lambda: tree.consistency_proof(3, 2),
        lambda: tree.consistency_proof(-1, 2),
        lambda: tree.root(6),
    ):
        with pytest.raises(ParameterError):
            call()


def entry_of_vector(i: int) -> bytes:
    if i == 500:
        return b""
    text = f"entry {i}".encode()
    return text if i % 10 else text + b" " + hashlib.sha256(str(i).encode()).digest()


def test_known_tree(vectors: Vectors) -> None:
    known = vectors.json("tlog/log1000.json")
    entries = [entry_of_vector(i) for i in range(1000)]
    leaves = [leaf_hash(entry) for entry in entries]
    for index, leaf in known["leaf_hash_hex"].items():
        assert leaves[int(index)].hex() == leaf
    tree = MerkleTree(leaves)
    for size, root in known["roots_hex"].items():
        assert tree.root(int(size)).hex() == root
        assert merkle_root(entries[: int(size)]).hex() == root
    for case in known["inclusion"]:
        proof = tree.inclusion_proof(case["index"], case["size"])
        assert [encode_base64(hash_) for hash_ in proof] == case["proof"]
    for case in known["consistency"]:
        proof = tree.consistency_proof(case["old"], case["new"])
        assert [encode_base64(hash_) for hash_ in proof] == case["proof"]
    for name, digest_ in known["bundles_sha256"].items():
        number = int(name.split("/")[2].split(".")[0])
        bundle = entries[number * BUNDLE :][:BUNDLE]
        assert bundle_path(number, len(bundle)) == f"board/{name}"
        data = encode_bundle(bundle)
        assert hashlib.sha256(data).hexdigest() == digest_
        assert decode_bundle(data, len(bundle)) == bundle
    key = SigningKey(bytes.fromhex(known["log_seed_hex"]))
    public = VerifierKey(name=known["origin"], kind=LOG_KEY, public=bytes(key.verify_key))
    assert public.text == known["log_vkey"]
    head = Checkpoint(origin=known["origin"], size=1000, root=tree.root())
    signed = sign_checkpoint(head, NoteSigner(key=public, sign=lambda m: key.sign(m).signature))
    assert signed == known["checkpoint_signed_by_log"].encode()
    assert open_checkpoint(signed, public) == head


@pytest.mark.parametrize("before", [0, 1, 2, 3, 4, 6, 8, 11, 12, 16])
@pytest.mark.parametrize("more", [0, 1, 2, 3, 4, 5, 7, 8, 9, 16, 21])
def test_many_leaves_at_once_are_the_same_leaves(before: int, more: int) -> None:
    """By levels and, where they are few, leaf by leaf."""
    data = [bytes([i]) for i in range(before + more + 3)]
    leaves = leaf_hashes(data)
    assert leaves == [leaf_hash(item) for item in data]
    at_once, alone = CompactRange(), CompactRange()
    for leaf in leaves[:before]:
        at_once.append(leaf)
    at_once.extend(iter(leaves[before : before + more]))
    at_once.extend(leaves[before + more :])
    for leaf in leaves:
        alone.append(leaf)
    assert at_once.size == alone.size == len(data)
    assert at_once.root() == alone.root() == merkle_root(data)
