"""ElectionGuard 2.0 and 2.1 before voting: parameters, manifest, guardians, keys, base hashes.

HP = H(ver; 00, parameters)            HM = H(HP; 01, length and bytes of manifest.json)
HB = H(HP; 02, HM, n, k)               HE = H(HB; 12, K)
h = g^v K_ij^c    c = H(HP; 10, i, j, K_ij, h)      of each commitment of guardian i
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from evote.groups import Elements, Group, ModPGroup, Scalars, WeierstrassGroup, named_group
from evote.groups.hash_to_curve import expand_message_xmd
from evote.interop.electionguard._codec import Codec, Pool, base64_octets, hash2, tagged, to_int
from evote.interop.electionguard._reading import Node
from evote.interop.electionguard._run import Run
from evote.interop.electionguard._setup1 import MAX_GUARDIANS, named, read_constants

__all__ = ["Contest2", "Setup2", "octet_list", "read_group", "read_setup2"]

MAX_LIMIT = 1000  # of a contest or an option: a proof has a branch for each vote
_DST = b"QUUX-V01-CS02-with-P256_XMD:SHA-256_SSWU_RO_"
_INTEGERS, _CURVE = "electionguard-2.0-4096", "P-256"


@dataclass(frozen=True, slots=True)
class Contest2:
    """A contest; options by their ids, in sequence order, with their sequence numbers."""

    id: str
    sequence: int
    district: str
    allowed: int  # votes_allowed
    limit: int  # option_selection_limit
    options: dict[str, int]


@dataclass(frozen=True, slots=True, eq=False)
class Setup2:
    """What ballots and tallies are checked against."""

    group: Group
    codec: Codec
    newer: bool  # 2.1
    contests: dict[str, Contest2]
    styles: dict[str, frozenset[str]]
    guardians: int
    quorum: int
    key: Elements
    key_encoded: bytes
    base_hash: bytes  # HE
    chained: bool
    baux0: bytes
    scalar: Callable[[bytes], int]

    def hash(self, *parts: bytes) -> bytes:
        return hash2(self.base_hash, *parts)

    def challenges(self, digests: Sequence[bytes]) -> Scalars:
        return self.group.scalars([self.scalar(digest) for digest in digests])


def read_setup2(run: Run) -> Setup2 | None:
    """Check everything before voting; None where nothing could be gone on with."""
    record = run.record
    rest = [name for name in run.names(1, 99) if name != "1.params"]
    with run.step("0.format", "1.params", *rest):
        constants = record.json("constants.json")
        config = record.json("election_config.json")
        run.did("0.format", 2)
        newer = constants.get("protocolVersion") is not None
        group = None
        with run.step("1.params", *rest):
            group = read_group(constants, newer)
            run.expect("1.params", group is not None, "constants.json: not ElectionGuard's group")
        if group is None:
            run.block("the group is not known", *rest)
            return None
        codec = Codec(run.with_jobs(group), "base64" if newer else "hex")
        return _read(run, codec, config, newer)
    return None


def read_group(node: Node, newer: bool) -> Group | None:
    """The group, if the parameters are those of one of ElectionGuard's."""
    if not newer:
        return named(read_constants(node), _INTEGERS)
    fields = node["constants"]
    curve = fields.get("primeModulus") is not None
    names = (
        ("a", "b", "primeModulus", "order", "g.x", "g.y", "h")
        if curve
        else ("largePrime", "smallPrime", "cofactor", "generator")
    )
    numbers = []
    for name in names:
        text = fields[name].text()
        if not 0 < len(text) <= 1100 or not set(text) <= set("0123456789abcdef"):
            fields[name].fail("lower-case hex expected")
        numbers.append(int(text, 16))
    if not curve:
        p, q, r, g = numbers
        return named((p, q, r, g), _INTEGERS)
    group = named_group(_CURVE)
    assert isinstance(group, WeierstrassGroup)
    c = group.curve
    wanted = [int(x) for x in (c.a, c.b, c.p, c.q, c.x, c.y, 1)]
    return group if numbers == wanted else None


def _parameters(group: Group) -> tuple[bytes, tuple[bytes, ...]]:
    """The version that is hashed, and what of the group is."""
    if isinstance(group, ModPGroup):
        size = group.element_size
        p, q, g = int(group.p), int(group.q), int(group.g)
        return b"v2.0.0", (p.to_bytes(size, "big"), q.to_bytes(32, "big"), g.to_bytes(size, "big"))
    assert isinstance(group, WeierstrassGroup)
    c = group.curve
    return b"v2.1.0", tuple(int(x).to_bytes(32, "big") for x in (c.a, c.b, c.p, c.x, c.y, 1))


def _read(run: Run, codec: Codec, config: Node, newer: bool) -> Setup2 | None:
    record, group = run.record, codec.group
    n = config["number_of_guardians"].integer(1, MAX_GUARDIANS)
    k = config["quorum"].integer(1, MAX_GUARDIANS)
    hp, hm, hb = (
        codec.digest(config[name])
        for name in ("parameter_base_hash", "manifest_hash", "election_base_hash")
    )
    chained = config["chain_confirmation_codes"].boolean()
    baux0 = octet_list(config["baux0"]) if not newer else base64_octets(config["baux0"])
    stated = config["config_version"].text()
    if stated != ("2.1.0" if newer else "v2.0.0"):
        run.notice("version-field", f"election_config.json: config_version is {stated[:20]!r}")
    version, parameters = _parameters(group)
    wanted = hash2(version.ljust(32, b"\0"), tagged(0x00), *parameters)
    run.expect("1.F_param_hash", hp == wanted, "election_config.json: parameter_base_hash")
    data = record.bytes("manifest.json")
    run.pin_manifest(data)
    run.did("0.format")
    wanted = hash2(hp, tagged(0x01, len(data)), data)
    run.expect("1.G_manifest_hash", hm == wanted, "election_config.json: manifest_hash")
    wanted = hash2(hp, tagged(0x02), hm, tagged_numbers(n, k))
    run.expect("1.H_base_hash", hb == wanted, "election_config.json: election_base_hash")
    run.expect("2.schnorr", k <= n, f"election_config.json: a quorum of {k} among {n}")
    contests, styles = _read_manifest(record.json("manifest.json"))
    node = record.json("election_initialized.json")
    pool = Pool(codec)
    key_place = pool.add(node["joint_public_key"], "3.joint_key")
    he = codec.digest(node["extended_base_hash"])
    guardians = _read_guardians(run, codec, pool, node["guardians"].list(), n, k)
    elements, encoded = pool.decode(run), pool.encodings()
    scalar = _schnorr(run, codec, elements, encoded, guardians, hp)
    product = elements.take([rows[0].key for rows in guardians]).prod()
    run.expect(
        "3.joint_key",
        len(guardians) == n and product == elements[key_place],
        "election_initialized.json: joint_public_key is not the product of the guardians' keys",
    )
    wanted = hash2(hb, tagged(0x12), encoded[key_place])
    run.expect("4.ext_base_hash", he == wanted, "election_initialized.json: extended_base_hash")
    return Setup2(
        group=group,
        codec=codec,
        newer=newer,
        contests=contests,
        styles=styles,
        guardians=n,
        quorum=k,
        key=elements[key_place],
        key_encoded=encoded[key_place],
        base_hash=he,
        chained=chained,
        baux0=baux0,
        scalar=scalar,
    )


def tagged_numbers(*numbers: int) -> bytes:
    return b"".join([number.to_bytes(4, "big") for number in numbers])


def octet_list(node: Node) -> bytes:
    """A list of signed bytes."""
    items = [item.integer(-128, 255) for item in node.list()]
    return bytes([item % 256 for item in items])


def _read_manifest(node: Node) -> tuple[dict[str, Contest2], dict[str, frozenset[str]]]:
    contests: dict[str, Contest2] = {}
    seen: set[str] = set()
    for item in node["contests"].list():
        name = item["object_id"].identifier()
        limit = item.get("option_selection_limit")
        pairs = [
            (option["object_id"].identifier(), option["sequence_order"].integer(0, 2**32 - 1))
            for option in item["ballot_selections"].list()
        ]
        pairs.sort(key=lambda pair: pair[1])
        options = dict(pairs)
        if len(options) != len(pairs) or len(set(options.values())) != len(pairs):
            item.fail("an option or a sequence order that occurs twice")
        if name in seen or seen & set(options):
            item.fail("an id that occurs twice")
        seen |= {name, *options}
        contests[name] = Contest2(
            id=name,
            sequence=item["sequence_order"].integer(0, 2**32 - 1),
            district=item["electoral_district_id"].text(),
            allowed=item["votes_allowed"].integer(0, MAX_LIMIT),
            limit=1 if limit is None else limit.integer(0, MAX_LIMIT),
            options=options,
        )
    styles: dict[str, frozenset[str]] = {}
    for item in node["ballot_styles"].list():
        name = item["object_id"].identifier()
        if name in styles:
            item.fail("an id that occurs twice")
        units = {unit.text() for unit in item["geopolitical_unit_ids"].list()}
        styles[name] = frozenset(c.id for c in contests.values() if c.district in units)
    return contests, styles


@dataclass(frozen=True, slots=True)
class _Proof:
    where: str
    key: int  # K_ij, a place in the pool
    guardian: int
    number: int
    challenge: int
    response: int


def _read_guardians(
    run: Run, codec: Codec, pool: Pool, nodes: list[Node], n: int, k: int
) -> list[list[_Proof]]:
    """Proofs of each guardian that could be read."""
    found: list[list[_Proof]] = []
    coordinates: list[int] = []
    ids: set[str] = set()
    if len(nodes) != n:
        run.fail("2.schnorr", f"election_initialized.json: {n} guardians expected")
    for node in nodes[:MAX_GUARDIANS]:
        with run.step("2.schnorr"):
            i = node["x_coordinate"].integer(1, MAX_GUARDIANS)
            coordinates.append(i)
            ids.add(node["guardian_id"].identifier())
            proofs = node["coefficient_proofs"].list()
            if len(proofs) != k:
                node.fail(f"{k} proofs expected, got {len(proofs)}")
            found.append(
                [
                    _Proof(
                        item.where,
                        pool.add(item["public_key"], "2.schnorr"),
                        i,
                        j,
                        codec.scalar(item["challenge"]),
                        codec.scalar(item["response"]),
                    )
                    for j, item in enumerate(proofs)
                ]
            )
    if sorted(coordinates) != list(range(1, n + 1)) or len(ids) != n:
        run.fail("2.schnorr", f"election_initialized.json: x_coordinates 1 to {n} expected")
    return found


def _rules(group: Group) -> list[tuple[str, Callable[[bytes], int]]]:
    """How a digest becomes a challenge; of records of 2.1 on the curve, three ways are known."""
    q = group.order
    if isinstance(group, ModPGroup):
        return [("modulo q", lambda digest: to_int(digest) % q)]
    assert isinstance(group, WeierstrassGroup)
    p = int(group.curve.p)

    def expanded(digest: bytes) -> int:
        return to_int(expand_message_xmd(digest, _DST, 48))

    return [
        ("RFC 9380, modulo the order", lambda digest: expanded(digest) % q),
        ("RFC 9380, modulo the field's prime", lambda digest: expanded(digest) % p % q),
        ("the digest itself, modulo the order", lambda digest: to_int(digest) % q),
    ]


def _schnorr(
    run: Run,
    codec: Codec,
    elements: Elements,
    encoded: list[bytes],
    guardians: list[list[_Proof]],
    hp: bytes,
) -> Callable[[bytes], int]:
    """Check all proofs; the rule under which the first that fits any holds."""
    group = codec.group
    proofs = [proof for rows in guardians for proof in rows]
    c = group.scalars([proof.challenge for proof in proofs])
    v = group.scalars([proof.response for proof in proofs])
    h = group.generator**v * elements.take([proof.key for proof in proofs]) ** c
    digests = [
        hash2(hp, tagged(0x10, proof.guardian, proof.number), encoded[proof.key], commitment)
        for proof, commitment in zip(proofs, codec.encode(h), strict=True)
    ]
    rules = _rules(group)
    name, rule = next(
        (
            (name, rule)
            for proof, digest in zip(proofs, digests, strict=True)
            for name, rule in rules
            if rule(digest) == proof.challenge
        ),
        rules[0],
    )
    if name != rules[0][0]:
        run.notice("old-challenges", f"challenges are made as {name}: written before 2.1 settled")
    run.did("2.schnorr", len(proofs))
    for proof, digest in zip(proofs, digests, strict=True):
        if rule(digest) != proof.challenge:
            run.fail("2.schnorr", f"{proof.where}: invalid proof")
    return rule
