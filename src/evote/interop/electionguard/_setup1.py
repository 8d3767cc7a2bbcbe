"""ElectionGuard 1.x before voting: parameters, manifest, guardians, keys and base hashes."""

from __future__ import annotations

from dataclasses import dataclass

from evote._batch import Equations
from evote.errors import ParameterError
from evote.groups import Elements, Group, ModPGroup, modp_group, named_group
from evote.interop.electionguard._codec import Codec, Hashed, Pool, hash1
from evote.interop.electionguard._manifest1 import Manifest1, read_manifest1
from evote.interop.electionguard._reading import Node
from evote.interop.electionguard._run import Run, weak

__all__ = ["Dialect", "Guardian1", "Setup1", "read_constants", "read_setup1"]

MAX_GUARDIANS = 1000
_WEAK_BITS = 512  # of p: up to here other groups are gone on with, to say what else is wrong
_NUMBERS = ("large_prime", "small_prime", "cofactor", "generator")


@dataclass(frozen=True, slots=True)
class Dialect:
    """Where 1.0 and 1.91 differ before voting."""

    group: str
    commitments: str
    proofs: str
    key: str
    placeholders: bool
    newer: bool  # 1.91


DIALECT_10 = Dialect(
    group="electionguard-1.0-4096",
    commitments="election_commitments",
    proofs="election_proofs",
    key="election_public_key",
    placeholders=True,
    newer=False,
)
DIALECT_191 = Dialect(
    group="electionguard-2.0-4096",
    commitments="coefficient_commitments",
    proofs="coefficient_proofs",
    key="key",
    placeholders=False,
    newer=True,
)


@dataclass(frozen=True, slots=True, eq=False)
class Guardian1:
    """A guardian; commitments K_i0.. of shape (k,), which is how their keys are checked."""

    id: str
    order: int
    commitments: Elements
    encoded: tuple[bytes, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Setup1:
    """What ballots and tallies are checked against."""

    group: Group
    codec: Codec
    manifest: Manifest1
    manifest_hash: bytes
    guardians: int  # n
    quorum: int  # k
    key: Elements
    key_encoded: bytes
    base_hash: bytes  # Q, the extended one
    by_order: dict[int, Guardian1]  # empty where guardians could not be read
    newer: bool

    def hash(self, *values: Hashed) -> bytes:
        return hash1(self.codec.q, *values, empty=self.newer)


def read_constants(node: Node) -> tuple[int, int, int, int]:
    """p, q, r and g of a file of 1.x or 2.0: hex, {"data": hex}, or decimal integers."""
    numbers = []
    for name in _NUMBERS:
        field = node[name]
        if type(field.value) is dict:
            field = field["data"]
        if type(field.value) is int:
            numbers.append(field.integer(0, 1 << 4200))
            continue
        text = field.text()
        if not 0 < len(text) <= 1100 or not text.isascii() or not text.isalnum():
            field.fail("hex expected")
        try:
            numbers.append(int(text, 16))
        except ValueError:
            field.fail("hex expected")
    p, q, r, g = numbers
    return p, q, r, g


def named(numbers: tuple[int, int, int, int], name: str) -> Group | None:
    """The group of that name if these are its parameters."""
    group = named_group(name)
    assert isinstance(group, ModPGroup)
    p, q, g = int(group.p), int(group.q), int(group.g)
    return group if numbers == (p, q, (p - 1) // q, g) else None


def _group(run: Run, node: Node, name: str) -> Group | None:
    numbers = read_constants(node)
    group = named(numbers, name)
    run.expect("1.params", group is not None, "constants.json: not ElectionGuard's group")
    if group is None and numbers[0].bit_length() <= _WEAK_BITS:
        p, q, r, g = numbers
        try:
            group = modp_group(p, q, g, allow_weak=True)
        except ParameterError as error:
            run.fail("1.params", f"constants.json: {error}")
            return None
        if q * r + 1 != p:
            run.fail("1.params", "constants.json: p is not q r + 1")
        weak(run, group)
    return group


def read_setup1(run: Run, dialect: Dialect) -> Setup1 | None:
    """Check everything before voting; None where nothing could be gone on with."""
    record = run.record
    rest = [name for name in run.names(1, 99) if name != "1.params"]
    group: Group | None = None
    with run.step("0.format", "1.params", *rest):
        constants = record.json("constants.json")
        context = record.json("context.json")
        run.did("0.format", 2)
        with run.step("1.params", *rest):
            group = _group(run, constants, dialect.group)
    if group is None:
        run.block("the group is not known", *rest)
        return None
    group = run.with_jobs(group)
    codec = Codec(group, "text")
    manifest = None
    with run.step("0.format", *(name for name in rest if not name.startswith("2."))):
        data = record.bytes("manifest.json")
        run.pin_manifest(data)
        node = record.json("manifest.json")
        manifest = read_manifest1(
            node, codec.q, placeholders=dialect.placeholders, empty=dialect.newer
        )
        run.did("0.format")
    if manifest is None:
        return None
    with run.step("0.format", *rest):
        return _context(run, codec, context, manifest, dialect)
    return None


def _context(
    run: Run, codec: Codec, context: Node, manifest: Manifest1, dialect: Dialect
) -> Setup1 | None:
    n = context["number_of_guardians"].integer(1, MAX_GUARDIANS)
    k = context["quorum"].integer(1, MAX_GUARDIANS)
    manifest_hash = codec.digest(context["manifest_hash"])
    base_hash = codec.digest(context["crypto_base_hash"])
    extended = codec.digest(context["crypto_extended_base_hash"])
    commitment_hash = codec.digest(context["commitment_hash"])
    run.expect(
        "1.manifest_hash",
        manifest_hash == manifest.hash,
        "context.json: the manifest has another hash",
    )
    run.expect("2.guardians", k <= n, f"context.json: a quorum of {k} among {n}")
    pool = Pool(codec)
    key_place = pool.add(context["elgamal_public_key"], "3.joint_key")
    read = _read_guardians(run, codec, pool, dialect, n, k)
    elements = pool.decode(run)
    encoded = pool.encodings()
    key_encoded = encoded[key_place]
    key = elements[key_place]

    def h(*values: Hashed) -> bytes:
        return hash1(codec.q, *values, empty=dialect.newer)

    # Q0 = H(p, q, g, n, k, manifest_hash)      Q = H(Q0, commitment_hash)
    if dialect.newer:
        bases = _newer_base_hashes(codec, n, k, manifest_hash)
        wanted = h(base_hash, "12", key_encoded, commitment_hash)
    else:
        bases = [h(*parameters(codec), n, k, manifest_hash)]
        wanted = h(base_hash, commitment_hash)
    run.expect("3.base_hash", base_hash in bases, "context.json: crypto_base_hash is not the hash")
    run.expect(
        "3.ext_base_hash",
        extended == wanted,
        "context.json: crypto_extended_base_hash is not the hash",
    )
    by_order: dict[int, Guardian1] = {}
    if read is None:
        run.block("the guardians could not be read", "3.joint_key", "3.commitment_hash")
    else:
        _schnorr(run, codec, elements, encoded, read)
        for guardian in read:
            places = guardian.commitments
            by_order[guardian.order] = Guardian1(
                guardian.id,
                guardian.order,
                elements.take(places),
                tuple(encoded[i] for i in places),
            )
        guardians = [by_order[order] for order in sorted(by_order)]
        # K = prod K_i0
        product = elements.take([guardian.commitments[0] for guardian in read]).prod()
        run.expect("3.joint_key", product == key, "context.json: not the product of the keys")
        everything = [data for guardian in guardians for data in guardian.encoded]
        run.expect(
            "3.commitment_hash",
            commitment_hash == h(everything),
            "context.json: commitment_hash is not the hash of the commitments",
        )
    return Setup1(
        group=codec.group,
        codec=codec,
        manifest=manifest,
        manifest_hash=manifest_hash,
        guardians=n,
        quorum=k,
        key=key,
        key_encoded=key_encoded,
        base_hash=extended,
        by_order=by_order,
        newer=dialect.newer,
    )


def parameters(codec: Codec) -> tuple[bytes, bytes, bytes]:
    """p, q and g as they are hashed."""
    group = codec.group
    assert isinstance(group, ModPGroup)
    size = group.element_size
    p, q, g = (int(x).to_bytes(size, "big") for x in (group.p, group.q, group.g))
    return p, q, g


def _newer_base_hashes(codec: Codec, n: int, k: int, manifest_hash: bytes) -> list[bytes]:
    """Both that occur in 1.91."""

    def h(*values: Hashed) -> bytes:
        return hash1(codec.q, *values, empty=True)

    hp = h(b"v2.0".ljust(32, b"\0").hex().upper(), "00", *parameters(codec))
    hm = h(hp, "01", manifest_hash)
    return [h(hp, "02", hm, n, k), h(hp, "02", n, k, hm)]


@dataclass(frozen=True, slots=True)
class _Proof:
    where: str
    commitment: int  # of the proof, a place in the pool
    challenge: int
    response: int


@dataclass(frozen=True, slots=True)
class _ReadGuardian:
    id: str
    order: int
    commitments: list[int]
    proofs: list[_Proof | None]


def _read_guardians(
    run: Run, codec: Codec, pool: Pool, dialect: Dialect, n: int, k: int
) -> list[_ReadGuardian] | None:
    """The guardians in order; None where some could not be read."""
    found: list[_ReadGuardian] = []
    complete = True
    names = run.record.names("guardians")
    run.did("2.guardians", len(names))
    for name in names[: MAX_GUARDIANS + 1]:
        with run.step("2.guardians"):
            found.append(_read_guardian(run, codec, pool, dialect, k, run.record.json(name)))
            continue
        complete = False
    found.sort(key=lambda guardian: guardian.order)
    if [guardian.order for guardian in found] != list(range(1, n + 1)):
        run.fail("2.guardians", f"guardians: {n} with sequence orders 1 to {n} expected")
        complete = False
    if len({guardian.id for guardian in found}) != len(found):
        run.fail("2.guardians", "guardians: an id that occurs twice")
        complete = False
    return found if complete else None


def _read_guardian(
    run: Run, codec: Codec, pool: Pool, dialect: Dialect, k: int, node: Node
) -> _ReadGuardian:
    order = node["sequence_order"].integer(1, MAX_GUARDIANS)
    name = node["guardian_id"].identifier()
    commitments = node[dialect.commitments].list()
    proofs = node[dialect.proofs].list()
    if not commitments or len(commitments) > MAX_GUARDIANS:
        node.fail(f"{k} commitments expected, got {len(commitments)}")
    if len(commitments) != k or len(proofs) != len(commitments):
        run.fail(
            "2.guardians",
            f"{node.where}: {k} commitments and proofs expected, "
            f"got {len(commitments)} and {len(proofs)}",
        )
    places = [pool.add(item, "2.guardians") for item in commitments]
    if pool.add(node[dialect.key], "2.guardians") != places[0]:
        run.fail("2.guardians", f"{node.where}: the public key is not the first commitment")
    read: list[_Proof | None] = []
    for place, item in zip(places, proofs, strict=False):
        proof = None
        with run.step("2.schnorr"):
            if pool.add(item["public_key"], "2.guardians") != place:
                run.fail("2.guardians", f"{item.where}: the proof of another commitment")
            proof = _Proof(
                item.where,
                pool.add(item["commitment"], "2.schnorr"),
                codec.scalar(item["challenge"]),
                codec.scalar(item["response"]),
            )
        read.append(proof)
    return _ReadGuardian(name, order, places, read)


def _schnorr(
    run: Run,
    codec: Codec,
    elements: Elements,
    encoded: list[bytes],
    guardians: list[_ReadGuardian],
) -> None:
    """c = H(K_ij, h)      g^u = h K_ij^c"""
    group = codec.group
    rows = [
        (place, proof)
        for guardian in guardians
        for place, proof in zip(guardian.commitments, guardian.proofs, strict=False)
        if proof is not None
    ]
    for place, proof in rows:
        wanted = hash1(codec.q, encoded[place], encoded[proof.commitment])
        if int.from_bytes(wanted, "big") != proof.challenge:
            run.fail("2.schnorr", f"{proof.where}: the challenge is not the hash")
    k = elements.take([place for place, _ in rows])
    a = elements.take([proof.commitment for _, proof in rows])
    c = group.scalars([proof.challenge for _, proof in rows])
    u = group.scalars([proof.response for _, proof in rows])
    equations = Equations(
        group=group,
        shape=(len(rows),),
        relations=(((a, None), (k, c), (group.generator, -u)),),
    )
    run.equations("2.schnorr", equations, [proof.where for _, proof in rows], "invalid proof")
