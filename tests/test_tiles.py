"""Hash tiles: written as a log grows, and proofs from them alone.

Known answers: the tiles of `log1000.json` of the tlog vectors.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from evote._notes import encode_base64
from evote.board import (
    EMPTY_ROOT,
    MerkleTree,
    TileEdge,
    TileTree,
    bundle_path,
    encode_bundle,
    leaf_hash,
    leaf_hashes,
    merkle_root,
    read_tile,
    tile_path,
    tile_paths,
    verify_consistency,
    verify_inclusion,
)
from evote.errors import BrokenLog, DecodingError, EvoteError, ParameterError
from tests.test_merkle import entry_of_vector

if TYPE_CHECKING:
    from tests.conftest import Vectors

ENTRIES = [b"entry %d" % i for i in range(70_000)]
LEAVES = leaf_hashes(ENTRIES)


def written(leaves: Sequence[bytes]) -> dict[str, bytes]:
    """The tiles of a log, all made at once."""
    wanted = set(tile_paths(len(leaves)))
    return {path: data for path, data in TileEdge().extend(leaves) if path in wanted}


def fetch(store: dict[str, bytes]) -> Callable[[str], bytes]:
    """What a server has; it is asked for nothing else."""

    def get(path: str) -> bytes:
        if path not in store:
            raise DecodingError("file is missing", where=path)
        return store[path]

    return get


@pytest.fixture(scope="module", name="whole")
def make_whole() -> tuple[MerkleTree, dict[str, bytes]]:
    return MerkleTree(LEAVES), written(LEAVES)


def test_known_tiles(vectors: Vectors) -> None:
    known = vectors.json("tlog/log1000.json")
    entries = [entry_of_vector(i) for i in range(1000)]
    tiles = written(leaf_hashes(entries))
    hashes = {path: hashlib.sha256(data).hexdigest() for path, data in tiles.items()}
    assert hashes == known["tiles_sha256"]
    assert tiles["tile/1/000.p/3"].hex() == known["tile_level1_hex"]
    store = dict(tiles)
    for path, expected in known["bundles_sha256"].items():
        number = int(path.split("/")[2].split(".")[0])
        store[path] = encode_bundle(entries[256 * number :][:256])
        assert hashlib.sha256(store[path]).hexdigest() == expected
    tree = TileTree(1000, bytes.fromhex(known["roots_hex"]["1000"]), fetch(store))
    assert [entry for number in range(4) for entry in tree.bundle(number)] == entries
    for size, root in known["roots_hex"].items():
        assert tree.root(int(size)).hex() == root
    for case in known["inclusion"]:
        index, size = case["index"], case["size"]
        proof = tree.inclusion_proof(index, size)
        assert [encode_base64(hash_) for hash_ in proof] == case["proof"]
        verify_inclusion(leaf_hash(entries[index]), index, size, proof, tree.root(size))
    for case in known["consistency"]:
        proof = tree.consistency_proof(case["old"], case["new"])
        assert [encode_base64(hash_) for hash_ in proof] == case["proof"]
        roots = [merkle_root(entries[: case[key]]) for key in ("old", "new")]
        verify_consistency(case["old"], roots[0], case["new"], roots[1], proof)


def test_paths() -> None:
    assert tile_path(0, 5) == "tile/0/005"
    assert tile_path(2, 1234067, 17) == "tile/2/x001/x234/067.p/17"
    assert list(tile_paths(0)) == []
    assert list(tile_paths(1)) == ["tile/0/000.p/1"]
    assert list(tile_paths(256)) == ["tile/0/000", "tile/1/000.p/1"]
    names = list(tile_paths(70_000))
    assert len(names) == 277
    assert names[273:] == ["tile/0/273.p/112", "tile/1/000", "tile/1/001.p/17", "tile/2/000.p/1"]


def test_growing_in_any_steps_is_the_same(whole: tuple[MerkleTree, dict[str, bytes]]) -> None:
    rng = random.Random(8)
    edge, store, size = TileEdge(), dict[str, bytes](), 0
    while size < len(LEAVES):
        step = rng.choice((1, 3, 200, 256, 700, 9000))
        before = edge.paths()
        copy = edge.copy()
        store |= edge.extend(LEAVES[size : size + step])
        assert copy.root() == whole[0].root(size)
        for path in set(before) - set(edge.paths()):
            del store[path]
        size = edge.size
        assert set(store) == set(tile_paths(size))
        assert edge.root() == whole[0].root(size)
    assert store == whole[1]


@pytest.mark.parametrize("size", [1, 2, 255, 256, 257, 511, 512, 65_535, 65_536, 65_537, 70_000])
def test_proofs_are_those_of_the_whole_tree(
    whole: tuple[MerkleTree, dict[str, bytes]], size: int
) -> None:
    tree = TileTree(size, whole[0].root(size), fetch(written(LEAVES[:size])))
    rng = random.Random(size)
    for _ in range(60):
        small = rng.randrange(size) + 1
        index = rng.randrange(small)
        assert tree.root(small) == whole[0].root(small)
        assert tree.inclusion_proof(index, small) == whole[0].inclusion_proof(index, small)
        assert tree.consistency_proof(index, small) == whole[0].consistency_proof(index, small)
    for call in (
        lambda: tree.inclusion_proof(size),
        lambda: tree.inclusion_proof(-1),
        lambda: tree.inclusion_proof(0, size + 1),
        lambda: tree.consistency_proof(0, size + 1),
        lambda: tree.leaves(-(-size // 256)),
        lambda: tree.leaves(-1),
    ):
        with pytest.raises(ParameterError):
            call()


def test_empty_logs() -> None:
    tree = TileTree(0, EMPTY_ROOT, fetch({}))
    assert (tree.size, tree.root()) == (0, EMPTY_ROOT)
    with pytest.raises(BrokenLog):
        TileTree(0, bytes(32), fetch({}))
    with pytest.raises(ParameterError):
        TileTree(2**63, EMPTY_ROOT, fetch({}))


def everything(store: dict[str, bytes], size: int, root: bytes) -> None:
    """Read all of a log."""
    tree = TileTree(size, root, fetch(store))
    for number in range(-(-size // 256)):
        assert tree.bundle(number) == ENTRIES[256 * number : min(256 * number + 256, size)]


def test_every_tile_and_bundle_altered() -> None:
    """attacks: F1. Other lengths, other hashes, other entries, tiles exchanged: all refused."""
    size = 600
    root = merkle_root(ENTRIES[:size])
    store = written(LEAVES[:size])
    for number in range(3):
        path = tile_path("entries", number, min(256, size - 256 * number))
        store[path] = encode_bundle(ENTRIES[256 * number : min(256 * number + 256, size)])
    everything(store, size, root)
    for path, data in store.items():
        flipped = bytes([data[0] ^ 1]) + data[1:]
        last = data[:-1] + bytes([data[-1] ^ 1])
        for wrong in (b"", data[:-1], data + b"\0", data[:-32], data + data[-32:], flipped, last):
            with pytest.raises((BrokenLog, DecodingError), match=r"tile|root"):
                everything({**store, path: wrong}, size, root)
        rest = {name: value for name, value in store.items() if name != path}
        with pytest.raises(DecodingError, match="missing"):
            everything(rest, size, root)
        for other, others in store.items():
            if others != data:
                with pytest.raises(EvoteError):
                    everything({**store, path: others, other: data}, size, root)
    for wrong_size, wrong_root in ((599, root), (601, root), (600, bytes(32)), (256, root)):
        with pytest.raises(EvoteError):
            everything(store, wrong_size, wrong_root)


def test_a_partial_tile_that_is_gone_is_cut_from_the_full_one() -> None:
    store = written(LEAVES[:512])
    store |= {tile_path("entries", n): encode_bundle(ENTRIES[256 * n :][:256]) for n in range(2)}
    assert "tile/1/000.p/2" in store
    root = merkle_root(ENTRIES[:300])
    with pytest.raises(DecodingError):  # the level above is still partial
        everything(store, 300, root)
    everything({**store, "tile/1/000.p/1": store["tile/1/000.p/2"][:32]}, 300, root)
    short = {**store, "tile/1/000.p/1": store["tile/1/000.p/2"][:32]}
    short["tile/0/001"] = short["tile/0/001"][: 44 * 32]  # as long as the partial one would be
    with pytest.raises(DecodingError, match="8192 bytes"):
        everything(short, 300, root)


def test_going_on_reads_only_what_is_new(whole: tuple[MerkleTree, dict[str, bytes]]) -> None:
    asked: list[str] = []

    def get(path: str) -> bytes:
        asked.append(path)
        for size in (65_000, 70_000):  # a server answers for every size it had
            if path in stores[size]:
                return stores[size][path]
        raise DecodingError("file is missing", where=path)

    stores = {size: written(LEAVES[:size]) for size in (65_000, 70_000)}
    tree = TileTree(65_000, whole[0].root(65_000), get)
    tree.leaves(3)
    asked.clear()
    tree.advance(70_000, whole[0].root())
    assert len(asked) < 10
    asked.clear()
    assert tree.leaves(3) == LEAVES[768:1024]
    assert asked == []
    assert tree.inclusion_proof(69_999) == whole[0].inclusion_proof(69_999)
    with pytest.raises(BrokenLog, match="cannot follow"):
        tree.advance(65_000, whole[0].root(65_000))


def test_a_fork_is_no_growth() -> None:
    """attacks: F1"""
    other = [*LEAVES[:100], leaf_hash(b"instead"), *LEAVES[101:400]]
    store = written(other)
    tree = TileTree(300, merkle_root(ENTRIES[:300]), fetch(written(LEAVES[:300])))
    tree._fetch = fetch(store)  # type: ignore[misc]
    with pytest.raises(BrokenLog, match="old root"):
        tree.advance(400, MerkleTree(other).root())
    assert (tree.size, tree.root()) == (300, merkle_root(ENTRIES[:300]))
    honest = TileTree(300, merkle_root(ENTRIES[:300]), fetch(written(LEAVES[:300])))
    honest._fetch = fetch(written(LEAVES[:400]))  # type: ignore[misc]
    honest.advance(400, merkle_root(ENTRIES[:400]))
    with pytest.raises(BrokenLog):
        honest.advance(400, MerkleTree(other).root())


def test_tiles_of_all_sizes_are_found_in_a_directory(tmp_path: Path) -> None:
    def put(path: str, data: bytes) -> None:
        place = tmp_path / "board" / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)

    for path, data in written(LEAVES[:300]).items():
        put(path, data)
    for number, width in ((0, 256), (1, 44)):
        entries = ENTRIES[256 * number :][:width]
        put(bundle_path(number, width).removeprefix("board/"), encode_bundle(entries))
    for width in (1, 43, 44):
        assert read_tile(tmp_path, tile_path(0, 1, width)) == b"".join(LEAVES[256:][:width])
        bundle = encode_bundle(ENTRIES[256:][:width])
        assert read_tile(tmp_path, tile_path("entries", 1, width)) == bundle
        assert read_tile(tmp_path, tile_path(0, 0, width)) == b"".join(LEAVES[:width])
    assert read_tile(tmp_path, tile_path("entries", 0, 255)) == encode_bundle(ENTRIES[:255])
    assert read_tile(tmp_path, "tile/0/000") == b"".join(LEAVES[:256])
    for path in (
        tile_path(0, 1, 45),
        tile_path(0, 1),
        tile_path(0, 2),
        tile_path(1, 0),
        "tile/0/1",
        "tile/00/000",
        "tile/64/000",
        "tile/0/000.p/256",
        "tile/0/000.p/0",
        "tile/0/../../board/checkpoint",
        "/etc/passwd",
        "checkpoint",
        "tile/0/000\0",
        "tile/0/0\u0660\u0660",
        "",
    ):
        with pytest.raises(DecodingError):
            read_tile(tmp_path, path)
