"""Sums and decryptions of ElectionGuard 1.0, with what present guardians stand in for.

c = H(Q, A, B, a, b, M)    g^v = a K^c    A^v = b M^c      of each share M_i, and of each part
K = prod_j K_ij^(l^j)      where guardian l stands in for guardian i
M_i = prod_l M_il^w_l      w_l = prod_(j != l) j / (j - l)
value prod_i M_i = B       g^t = value
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from evote._batch import Equations, verify_batch
from evote.groups import Elements, Group, Scalars, stack
from evote.interop.electionguard._ballots1 import CAST, PORTION, SPOILED, Ballots1
from evote.interop.electionguard._codec import Pool, to_int
from evote.interop.electionguard._reading import Node
from evote.interop.electionguard._run import Run
from evote.interop.electionguard._setup1 import Setup1
from evote.threshold import lagrange_coefficients

__all__ = ["Tallies1", "check_encrypted_tally", "lagrange"]

_Key = tuple[str, str]
_TALLY = {
    **{name: f"7.tally_{name}" for name in ("message", "meta")},
    **{name: f"8.tally_{name}" for name in ("shares", "proof", "value", "tally")},
    **{name: f"9.{name}" for name in ("recovery_key", "part_proof", "quorum", "reconstruct")},
}
_SPOILED = {name: f"12.spoiled_{name}" for name in _TALLY}
_RECOVERY = ("recovery_key", "part_proof", "quorum", "reconstruct")


@dataclass(frozen=True, slots=True)
class _Proof:
    where: str
    share: int
    a: int
    b: int
    challenge: int
    response: int


@dataclass(frozen=True, slots=True)
class _Share:
    """Of a present guardian with a proof, of a missing one with parts by who made them."""

    where: str
    share: int
    proof: _Proof | None
    parts: dict[int, _Proof] = field(default_factory=dict)
    keys: dict[int, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Row:
    """One decrypted ciphertext."""

    where: str
    key: _Key
    alpha: int
    beta: int
    value: int
    tally: int
    shares: dict[int, _Share]


def lagrange(orders: list[int], group: Group) -> dict[int, int]:
    """w_l for each of these guardians."""
    weights = lagrange_coefficients(group, orders, max(orders)).to_ints() if orders else []
    return dict(zip(orders, weights, strict=True))


class Tallies1:
    """What follows from a record's ballots."""

    def __init__(self, run: Run, setup: Setup1, ballots: Ballots1) -> None:
        self.run = run
        self.setup = setup
        self.ballots = ballots
        self.group = setup.group
        self.orders = {guardian.id: order for order, guardian in setup.by_order.items()}
        self._recovery: dict[_OrderPair, Elements] = {}
        self._commitments: dict[tuple[int, bytes], tuple[int, str]] = {}

    def check(self) -> None:
        run, record = self.run, self.run.record
        sums = check_encrypted_tally(run, self.setup, self.ballots)
        if not self.setup.by_order:
            run.block("the guardians could not be read", *run.names(8, 14))
            return
        if not record.has("tally.json"):
            run.block("the record has no tally", *_TALLY.values(), "10.lagrange", "14.nonce_reuse")
        else:
            pool = Pool(self.setup.codec)
            rows: list[_Row] = []
            with run.step("0.format", *_TALLY.values(), "10.lagrange"):
                rows = self._read_tally(pool, record.json("tally.json"), _TALLY, set(sums))
            self._verify(pool, rows, _TALLY, sums)
            bounds = self.ballots.counts
            for row in rows:
                self.run.expect(
                    "8.tally_tally",
                    row.tally <= bounds.get(row.key[0], 0),
                    f"{row.where}: more votes than ballots",
                )
            self._coefficients(rows)
        self._spoiled()

    # -- reading -----------------------------------------------------------------------------------

    def _read_tally(
        self, pool: Pool, node: Node, names: dict[str, str], expected: set[_Key]
    ) -> list[_Row]:
        """Every selection of a decryption; what is missing of `expected` is said."""
        rows: list[_Row] = []
        for contest, inner in node["contests"].items():
            same = inner["object_id"].value == contest
            self.run.expect(names["meta"], same, f"{inner.where}: object_id differs from its key")
            for option, item in inner["selections"].items():
                row = None
                with self.run.step(names["shares"]):
                    row = self._read_row(pool, item, (contest, option), names)
                if row is not None:
                    rows.append(row)
        found = {row.key for row in rows}
        self.run.expect(
            names["meta"],
            found == expected,
            f"{node.where}: not the selections that there are: {_difference(found, expected)}",
        )
        return [row for row in rows if row.key in expected]

    def _read_row(self, pool: Pool, node: Node, key: _Key, names: dict[str, str]) -> _Row:
        same = node["object_id"].value == key[1]
        self.run.expect(names["meta"], same, f"{node.where}: object_id differs from its key")
        message = node["message"]
        shares: dict[int, _Share] = {}
        for item in node["shares"].list():
            order = self._order(item["guardian_id"])
            if order in shares:
                item.fail("a share of this guardian again")
            if item["object_id"].value != key[1]:
                self.run.fail(names["shares"], f"{item.where}: a share of another selection")
            shares[order] = self._read_share(pool, item, order, key[1], names)
        self.run.did(names["shares"])
        if set(shares) != set(self.setup.by_order):
            node.fail("a share of every guardian expected")
        return _Row(
            where=node.where,
            key=key,
            alpha=pool.add(message["pad"], names["message"], identity=True),
            beta=pool.add(message["data"], names["message"], identity=True),
            value=pool.add(node["value"], names["value"], identity=True),
            tally=node["tally"].integer(0, 2**40),
            shares=shares,
        )

    def _order(self, node: Node) -> int:
        name = node.text()
        if name not in self.orders:
            node.fail("no such guardian")
        return self.orders[name]

    def _read_share(
        self, pool: Pool, node: Node, order: int, option: str, names: dict[str, str]
    ) -> _Share:
        share = pool.add(node["share"], names["proof"], identity=True)
        proof, parts = node.get("proof"), node.get("recovered_parts")
        if (proof is None) == (parts is None):
            node.fail("a proof or recovered parts expected")
        if proof is not None:
            return _Share(node.where, share, self._read_proof(pool, proof, share, names["proof"]))
        assert parts is not None
        found: dict[int, _Proof] = {}
        keys: dict[int, int] = {}
        for name, item in parts.items():
            helper = self.orders.get(name)
            missing = self.orders.get(item["missing_guardian_id"].text())
            stated = item["guardian_id"].value
            if helper is None or stated != name or missing != order or helper == order:
                item.fail("a part of somebody else, or for somebody else")
            if item["object_id"].value != option:
                self.run.fail(names["shares"], f"{item.where}: a part of another selection")
            part = pool.add(item["share"], names["part_proof"], identity=True)
            keys[helper] = pool.add(item["recovery_key"], names["recovery_key"], identity=True)
            found[helper] = self._read_proof(pool, item["proof"], part, names["part_proof"])
        self.run.expect(
            names["quorum"],
            len(found) >= self.setup.quorum,
            f"{node.where}: {len(found)} parts, {self.setup.quorum} needed",
        )
        return _Share(node.where, share, None, found, keys)

    def _read_proof(self, pool: Pool, node: Node, share: int, check: str) -> _Proof:
        codec = self.setup.codec
        return _Proof(
            where=node.where,
            share=share,
            a=pool.add(node["pad"], check, identity=True),
            b=pool.add(node["data"], check, identity=True),
            challenge=codec.scalar(node["challenge"]),
            response=codec.scalar(node["response"]),
        )

    # -- checking ----------------------------------------------------------------------------------

    def _verify(
        self, pool: Pool, rows: list[_Row], names: dict[str, str], expected: dict[_Key, _Pair]
    ) -> None:
        """All that stands in `rows`; `expected` has the encoded ciphertexts."""
        if not rows:
            return
        elements = pool.decode(self.run)
        encoded = pool.encodings()
        for row in rows:
            same = (encoded[row.alpha], encoded[row.beta]) == expected[row.key]
            self.run.expect(names["message"], same, f"{row.where}: another ciphertext")
        self._values(elements, rows, names)
        alike: dict[object, list[_Row]] = defaultdict(list)
        for row in rows:
            shape = tuple((order, *sorted(row.shares[order].parts)) for order in sorted(row.shares))
            alike[shape].append(row)
        recovered = False
        for group in alike.values():
            present = [i for i, share in sorted(group[0].shares.items()) if share.proof is not None]
            keys = [self.setup.by_order[i].commitments[0] for i in present]
            proofs = [[row.shares[i].proof for i in present] for row in group]
            self._proofs(elements, encoded, group, keys, proofs, present, names["proof"])
            for i, share in sorted(group[0].shares.items()):
                if share.proof is None:
                    recovered = True
                    self._recovered(elements, encoded, group, i, names)
        if not recovered:
            checks = [names[name] for name in _RECOVERY]
            self.run.absent("every guardian took part", *checks)

    def _values(self, elements: Elements, rows: list[_Row], names: dict[str, str]) -> None:
        """value prod_i M_i = B and g^t = value."""
        places = [row.where for row in rows]
        value = elements.take([row.value for row in rows])
        orders = sorted(self.setup.by_order)
        shares = elements.take([row.shares[i].share for row in rows for i in orders])
        product = value * shares.reshape((len(rows), len(orders))).prod(1)
        same = product.equal_mask(elements.take([row.beta for row in rows]))
        self.run.did(names["value"], len(rows))
        for i in np.flatnonzero(~same).tolist():
            self.run.fail(names["value"], f"{places[i]}: not what the shares give")
        t = self.group.scalars([row.tally for row in rows])
        equations = Equations(
            group=self.group,
            shape=(len(rows),),
            relations=(((value, None), (self.group.generator, -t)),),
        )
        self.run.equations(names["tally"], equations, places, "value is not g^tally")

    def _proofs(
        self,
        elements: Elements,
        encoded: list[bytes],
        rows: list[_Row],
        keys: list[Elements],
        proofs: list[list[_Proof | None]],
        makers: list[int],
        check: str,
    ) -> None:
        """A proof for each row and key, shape (n, m)."""
        run, group, setup = self.run, self.group, self.setup
        if not keys:
            return
        shape = (len(rows), len(keys))
        flat = [proof for line in proofs for proof in line if proof is not None]
        assert len(flat) == shape[0] * shape[1]
        run.did(check, len(flat))
        for index, proof in enumerate(flat):
            row, maker = rows[index // shape[1]], makers[index % shape[1]]
            numbers = [encoded[i] for i in (row.alpha, row.beta, proof.a, proof.b, proof.share)]
            if to_int(setup.hash(setup.base_hash, *numbers)) != proof.challenge:
                run.fail(check, f"{proof.where}: the challenge is not the hash")
            run.did("14.nonce_reuse")
            commitment = (maker, encoded[proof.a])
            before, where = self._commitments.setdefault(commitment, (proof.challenge, proof.where))
            if before != proof.challenge:
                run.fail("14.nonce_reuse", f"{proof.where}: the commitment of {where}")

        def array(name: str) -> Elements:
            return elements.take([getattr(proof, name) for proof in flat]).reshape(shape)

        c = group.scalars([proof.challenge for proof in flat]).reshape(shape)
        v = group.scalars([proof.response for proof in flat]).reshape(shape)
        alpha = elements.take([row.alpha for row in rows]).reshape((len(rows), 1))
        equations = Equations(
            group=group,
            shape=shape,
            relations=(
                ((array("a"), None), (stack_keys(keys), c), (group.generator, -v)),
                ((array("b"), None), (array("share"), c), (alpha, -v)),
            ),
        )
        bad = np.flatnonzero(~verify_batch([equations]))
        if len(bad):
            wrong = ~equations.take(bad).hold()
            for i, j in np.argwhere(wrong).tolist():
                run.fail(check, f"{flat[int(bad[i]) * shape[1] + j].where}: invalid proof")

    def _recovered(
        self,
        elements: Elements,
        encoded: list[bytes],
        rows: list[_Row],
        missing: int,
        names: dict[str, str],
    ) -> None:
        """What others did for a missing guardian."""
        run, group = self.run, self.group
        helpers = sorted(rows[0].shares[missing].parts)
        shares = [row.shares[missing] for row in rows]
        if not helpers:
            return  # there are fewer than a quorum, which failed
        keys = [self._recovery_key(missing, helper) for helper in helpers]
        for j, helper in enumerate(helpers):
            stated = elements.take([share.keys[helper] for share in shares])
            same = stated.equal_mask(keys[j])
            run.did(names["recovery_key"], len(rows))
            for i in np.flatnonzero(~same).tolist():
                run.fail(names["recovery_key"], f"{shares[i].where}: of guardian {helper}")
        proofs: list[list[_Proof | None]] = [
            [share.parts[helper] for helper in helpers] for share in shares
        ]
        self._proofs(elements, encoded, rows, keys, proofs, helpers, names["part_proof"])
        weights = lagrange(helpers, group)
        parts = [
            (
                elements.take([s.parts[helper].share for s in shares]),
                -group.scalars(weights[helper]),
            )
            for helper in helpers
        ]
        equations = Equations(
            group=group,
            shape=(len(rows),),
            relations=(((elements.take([s.share for s in shares]), None), *parts),),
        )
        places = [share.where for share in shares]
        run.equations(names["reconstruct"], equations, places, "not what the parts give")

    def _recovery_key(self, missing: int, helper: int) -> Elements:
        """prod_j K_ij^(l^j)"""
        key = (missing, helper)
        if key not in self._recovery:
            commitments = self.setup.by_order[missing].commitments
            q = self.setup.codec.q
            powers = [pow(helper, j, q) for j in range(len(commitments))]
            exponents: Scalars = self.group.scalars(powers)
            self._recovery[key] = self.group.multiexp(commitments, exponents)
        return self._recovery[key]

    def _coefficients(self, rows: list[_Row]) -> None:
        """The published Lagrange coefficients of the guardians that were present."""
        run, codec = self.run, self.setup.codec
        if not rows:
            run.block("no decryption could be read", "10.lagrange")
            return
        present = sorted(i for i, s in rows[0].shares.items() if s.proof is not None)
        if not run.record.has("coefficients.json"):
            run.block("the record has no coefficients.json", "10.lagrange")
            return
        with run.step("10.lagrange"):
            node = run.record.json("coefficients.json")["coefficients"]
            if type(node.value) is list:
                found = dict(zip(present, map(codec.scalar, node.list()), strict=False))
                extra = len(node.value) != len(present)
            else:
                found = {self.orders.get(name, 0): codec.scalar(x) for name, x in node.items()}
                extra = False
            run.expect(
                "10.lagrange",
                not extra and found == lagrange(present, codec.group),
                f"{node.where}: not the coefficients of the guardians present",
            )

    # -- spoiled ballots ---------------------------------------------------------------------------

    def _spoiled(self) -> None:
        run = self.run
        spoiled = {name for name, b in self.ballots.ballots.items() if b.state == SPOILED}
        names = run.record.names("spoiled_ballots")
        checks = [*_SPOILED.values(), "13.spoiled_wellformed"]
        if not names and not spoiled:
            run.absent("no ballot is spoiled", "12.spoiled_set", *checks)
            return
        if not names and not run.record.has("tally.json"):
            run.block("the record has no decryptions", "12.spoiled_set", *checks)
            return
        found: set[str] = set()
        pool, rows = Pool(self.setup.codec), list[_Row]()
        expected: dict[_Key, _Pair] = {}
        for name in names:
            with run.step("0.format"):
                self._read_spoiled(pool, run.record.json(name), found, rows, expected)
            if len(pool) >= PORTION:
                self._verify(pool, rows, _SPOILED, expected)
                pool, rows, expected = Pool(self.setup.codec), [], {}
        self._verify(pool, rows, _SPOILED, expected)
        missing = sorted(spoiled - found)
        run.expect("12.spoiled_set", not missing, f"spoiled_ballots: not decrypted: {missing[:3]}")

    def _read_spoiled(
        self,
        pool: Pool,
        node: Node,
        found: set[str],
        rows: list[_Row],
        expected: dict[_Key, _Pair],
    ) -> None:
        run = self.run
        name = node["object_id"].identifier()
        ballot = self.ballots.ballots.get(name)
        run.did("12.spoiled_set")
        if name in found:
            run.fail("12.spoiled_set", f"{node.where}: ballot {name!r} again")
            return
        found.add(name)
        if ballot is None or ballot.state != SPOILED:
            what = "no such ballot" if ballot is None else "its secrecy is broken"
            if ballot is not None and ballot.state == CAST:
                what = "a cast ballot was decrypted: its secrecy is broken"
            run.fail("12.spoiled_set", f"{node.where}: {what}")
            return
        ciphertexts = ballot.ciphertexts
        manifest = self.setup.manifest
        placeholders = {
            (contest, option.id)
            for contest in ballot.contests
            for option in manifest.contests[contest].options
            if option.placeholder
        }
        shown = {
            (contest, option)
            for contest, inner in node["contests"].items()
            for option, _ in inner["selections"].items()
        }
        wanted = set(ciphertexts) - (placeholders if not shown & placeholders else set())
        read = self._read_tally(pool, node, _SPOILED, wanted)
        totals: dict[str, int] = defaultdict(int)
        for row in read:
            run.expect("12.spoiled_tally", row.tally <= 1, f"{row.where}: neither 0 nor 1")
            totals[row.key[0]] += row.tally
            key = (f"{name}\0{row.key[0]}", row.key[1])  # ids of several ballots side by side
            expected[key] = ciphertexts[row.key]
            rows.append(_Row(row.where, key, row.alpha, row.beta, row.value, row.tally, row.shares))
        for contest, total in totals.items():
            limit = manifest.contests[contest].limit
            whole = bool(shown & placeholders)
            run.expect(
                "13.spoiled_wellformed",
                total == limit if whole else total <= limit,
                f"{node.where}: {total} selections in contest {contest!r}, limit {limit}",
            )


_OrderPair = tuple[int, int]
_Pair = tuple[bytes, bytes]


def stack_keys(keys: list[Elements]) -> Elements:
    return stack(keys).reshape((1, len(keys)))


def _difference(found: set[_Key], expected: set[_Key]) -> str:
    lines: Iterator[str] = iter(
        [f"{key} is missing" for key in sorted(expected - found)[:2]]
        + [f"{key} is too much" for key in sorted(found - expected)[:2]]
    )
    return ", ".join(lines)


def check_encrypted_tally(
    run: Run, setup: Setup1, ballots: Ballots1
) -> dict[_Key, tuple[bytes, bytes]]:
    """The sums of cast ballots are those stated; returns the stated ones, encoded."""
    found: dict[_Key, tuple[bytes, bytes]] = {}
    if not run.record.has("encrypted_tally.json"):
        run.block("the record has no encrypted tally", *run.names(7, 7))
        return found
    codec, pool = setup.codec, Pool(setup.codec)
    places: dict[_Key, tuple[str, int, int]] = {}
    with run.step("0.format", "7.aggregate"):
        node = run.record.json("encrypted_tally.json")
        run.did("0.format")
        for name, inner in node["contests"].items():
            contest = setup.manifest.contests.get(name)
            if contest is None:
                run.fail("7.tally_meta", f"{inner.where}: no such contest")
                continue
            run.expect(
                "7.tally_meta",
                inner["object_id"].value == name
                and inner["sequence_order"].value == contest.sequence
                and codec.digest(inner["description_hash"]) == contest.hash,
                f"{inner.where}: not the contest of the manifest",
            )
            options = {option.id: option for option in contest.real}
            for key, item in inner["selections"].items():
                option = options.get(key)
                run.expect(
                    "7.tally_meta",
                    option is not None
                    and item["object_id"].value == key
                    and item["sequence_order"].value == option.sequence
                    and codec.digest(item["description_hash"]) == option.hash,
                    f"{item.where}: not the option of the manifest",
                )
                pair = item["ciphertext"]
                places[name, key] = (
                    item.where,
                    pool.add(pair["pad"], "7.aggregate", identity=True),
                    pool.add(pair["data"], "7.aggregate", identity=True),
                )
    every = {(c.id, option.id) for c in setup.manifest.contests.values() for option in c.real}
    stated = set(places)
    run.expect(
        "7.tally_meta",
        stated == every,
        f"encrypted_tally.json: not the manifest's options: {_difference(stated, every)}",
    )
    elements, encoded = pool.decode(run), pool.encodings()
    one = setup.group.identity()
    for option_key, (where, alpha, beta) in places.items():
        found[option_key] = (encoded[alpha], encoded[beta])
        total = ballots.sums.get(option_key)
        sums = (one, one) if total is None else (total.alpha, total.beta)
        same = elements[alpha] == sums[0] and elements[beta] == sums[1]
        run.expect("7.aggregate", same, f"{where}: not the product of the cast ballots")
    return found
