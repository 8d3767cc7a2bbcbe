"""ElectionGuard 1.91, the C++ and C# core of 2023: parsed and diagnosed.

    c0 + c1 = c = H("21", Q, K, A, B, a0, b0, a1, b1)      votes are exponents of K
    a_j = g^v_j A^c_j    b_0 = K^v_0 B^c_0    b_1 = K^(v_1 - c_1) B^c_1
    limits: sum c_j = c = H(Q, "21", K, A, B, [H(a_j, b_j), ...])    b_j = K^(v_j - j c_j) B^c_j
    decryption: T = K^t    M = B / T    a = g^v K^c    b = A^v M^c
                c = H(...H(H("30"), Q)..., M) over Q, K, A, B, a, b, M

No record passes: the producer's proofs of limits have a branch too few and prove nothing, and its
decryptions repeat commitments under several challenges, which gives the joint secret key away.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from evote._batch import Equations
from evote.groups import Elements, Scalars
from evote.interop.electionguard._ballots1 import (
    CAST,
    SPOILED,
    Ballot,
    Ballots1,
    Marked,
    Range,
    Voted,
)
from evote.interop.electionguard._codec import Pool, to_int
from evote.interop.electionguard._manifest1 import Contest1
from evote.interop.electionguard._reading import Node
from evote.interop.electionguard._run import Run, references
from evote.interop.electionguard._setup1 import DIALECT_191, Setup1, read_setup1
from evote.interop.electionguard._tally1 import check_encrypted_tally, lagrange

__all__ = ["CHECKS_191", "audit_191"]

CHECKS_191 = references(
    "ElectionGuard Specification 1.91",
    (
        ("layout of the published record", "0.format"),
        ("Verification 1 (parameters)", "1.params 1.manifest_hash"),
        ("Verification 2 (guardians' public keys)", "2.guardians 2.schnorr"),
        (
            "Verification 3 (election public key)",
            "3.joint_key 3.commitment_hash 3.base_hash 3.ext_base_hash",
        ),
        (
            "Verification 4 (selection encryptions)",
            "4.ballot_style 4.contest_hash 4.selections_exact 4.selection_meta 4.selection_proof",
        ),
        ("Verification 5 (vote limits)", "5.contest_sum 5.contest_proof"),
        (
            "Verification 6 (confirmation codes)",
            "6.unique_ids 6.unique_codes 6.selection_crypto_hash 6.contest_crypto_hash "
            "6.ballot_crypto_hash 6.ballot_code 6.chain",
        ),
        ("Verification 7 (ballot aggregation)", "7.aggregate 7.cast_ids 7.tally_meta"),
        ("Verification 8 (tally decryptions)", "8.tally_value 8.tally_challenge 8.tally_proof"),
        ("Verification 10 (Lagrange coefficients)", "10.lagrange"),
        (
            "Verification 12 (challenged ballots)",
            "12.spoiled_set 12.spoiled_value 12.spoiled_challenge 12.spoiled_proof",
        ),
        ("Verification 13 (challenged ballots)", "13.spoiled_wellformed"),
        ("beyond the specification", "14.nonce_reuse 15.copied_ciphertext"),
    ),
)


class _Ballots191(Ballots1):
    strict_chain = True

    def read_range(self, pool: Pool, node: Node, contest: Contest1) -> Range:
        codec = self.setup.codec
        if node["range_limit"].value != contest.limit or type(node["range_limit"].value) is not int:
            node.fail(f"a limit of {contest.limit} expected")
        pairs = []
        items = node["proofs"].list()
        if not items or len(items) > contest.limit + 1:
            node.fail(f"{contest.limit + 1} branches expected, got {len(items)}")
        for i, item in enumerate(items):
            members = item.list()
            if len(members) != 2 or members[0].value != i:
                item.fail(f"branch {i} expected")
            proof = members[1]
            pairs.append((codec.scalar(proof["challenge"]), codec.scalar(proof["response"])))
        return Range(node.where, codec.scalar(node["challenge"]), pairs)

    def selection_challenge(self, numbers: list[bytes]) -> bytes:
        setup = self.setup
        return setup.hash("21", setup.base_hash, setup.key_encoded, *numbers)

    def selection_equations(
        self, a: Elements, b: Elements, alpha: Elements, beta: Elements, c: Scalars, v: Scalars
    ) -> Equations:
        group = self.group
        j = group.scalars([0, 1])
        return Equations(
            group=group,
            shape=c.shape,
            relations=(
                ((a, None), (alpha, -c), (group.generator, -v)),
                ((b, None), (beta, -c), (self.setup.key, c * j - v)),
            ),
        )

    def contest_proofs(
        self, elements: Elements, encoded: list[bytes], contests: list[Voted]
    ) -> None:
        run, group, setup = self.run, self.group, self.setup
        run.did("5.contest_proof", len(contests))
        for contest in contests:
            proof, total = contest.proof, contest.sum
            if proof is None or total is None:
                continue
            alpha, beta = elements[total[0]], elements[total[1]]
            c = group.scalars([pair[0] for pair in proof.pairs])
            v = group.scalars([pair[1] for pair in proof.pairs])
            j = group.scalars(list(range(len(proof.pairs))))
            a = setup.codec.encode(group.generator**v * alpha**c)
            b = setup.codec.encode(setup.key ** (v - c * j) * beta**c)
            branches = [setup.hash(x, y) for x, y in zip(a, b, strict=True)]
            numbers = (setup.key_encoded, encoded[total[0]], encoded[total[1]])
            digest = to_int(setup.hash(setup.base_hash, "21", *numbers, branches))
            if len(branches) != contest.contest.limit + 1:
                expected = contest.contest.limit + 1
                reason = f"{len(branches)} branches instead of {expected} prove nothing"
                run.fail("5.contest_proof", f"{proof.where}: {reason}")
            elif digest != proof.challenge:
                run.fail("5.contest_proof", f"{proof.where}: the challenge is not the hash")
            elif c.sum() != group.scalars(proof.challenge):
                run.fail("5.contest_proof", f"{proof.where}: the challenges do not add up")

    def selection_hash(self, selection: Marked, alpha: bytes, beta: bytes) -> bytes:
        return self.setup.hash(alpha, beta)

    def contest_hash(self, contest: Voted, hashes: list[bytes]) -> bytes:
        setup, sequence = self.setup, contest.contest.sequence
        return setup.hash(setup.base_hash, "23", sequence, setup.key_encoded, *hashes)

    def ballot_hash(self, ballot: Ballot, hashes: list[bytes]) -> bytes:
        return self.setup.hash(self.setup.base_hash, "24", None, *hashes)

    def ballot_code(self, ballot: Ballot, hashes: list[bytes]) -> bytes:
        return self.ballot_hash(ballot, hashes)


@dataclass(frozen=True, slots=True)
class _Row:
    where: str
    alpha: int
    beta: int
    value: int
    tally: int
    a: int
    b: int
    challenge: int
    response: int


class _Tallies191:
    """Decryptions of the sums and of challenged ballots."""

    def __init__(self, run: Run, setup: Setup1, ballots: Ballots1) -> None:
        self.run = run
        self.setup = setup
        self.ballots = ballots
        self._commitments: dict[bytes, tuple[int, str]] = {}

    def check(self) -> None:
        run, record = self.run, self.run.record
        sums = check_encrypted_tally(run, self.setup, self.ballots)
        if record.has("encrypted_tally.json"):
            with run.step("0.format", "7.cast_ids"):
                self._ids(record.json("encrypted_tally.json"))
        if record.has("tally.json"):
            with run.step("0.format", *run.names(8, 8)):
                run.did("0.format")
                node = record.json("tally.json")
                self._decryptions(node, sums, self.ballots.counts, "8.tally")
        else:
            run.block("the record has no tally", *run.names(8, 8), "14.nonce_reuse")
        self._coefficients()
        self._spoiled()

    def _ids(self, node: Node) -> None:
        """The ids that the tally lists are those of the ballots."""
        found = {CAST: set[str](), SPOILED: set[str]()}
        for name, ballot in self.ballots.ballots.items():
            found.setdefault(ballot.state, set()).add(name)
        cast = [item.text() for item in node["cast_ballot_ids"].list()]
        challenged = [item.text() for item in node["challenged_ballot_ids"].list()]
        for ids, state in ((cast, CAST), (challenged, SPOILED)):
            same = len(set(ids)) == len(ids) and set(ids) == found[state]
            self.run.expect("7.cast_ids", same, f"{node.where}: not the ballots of state {state}")

    def _decryptions(
        self,
        node: Node,
        ciphertexts: dict[tuple[str, str], tuple[bytes, bytes]],
        bounds: dict[str, int],
        prefix: str,
    ) -> dict[str, int]:
        """Check one file of decryptions; the votes of each contest."""
        run, setup, codec = self.run, self.setup, self.setup.codec
        value_check, proof_check = f"{prefix}_value", f"{prefix}_proof"
        pool, rows = Pool(codec), list[_Row]()
        totals: dict[str, int] = defaultdict(int)
        found = set()
        for contest, inner in node["contests"].items():
            for option, item in inner["selections"].items():
                found.add((contest, option))
                pair = ciphertexts.get((contest, option))
                same = inner["object_id"].value == contest and item["object_id"].value == option
                run.expect(value_check, same, f"{item.where}: object_id differs from its key")
                if pair is None:
                    run.fail(value_check, f"{item.where}: no ciphertext of this selection")
                    continue
                tally = item["tally"].integer(0, 2**40)
                totals[contest] += tally
                if tally > bounds.get(contest, 0):
                    run.fail(value_check, f"{item.where}: more votes than ballots")
                with run.step(proof_check):
                    rows.append(self._row(pool, item, pair, tally, proof_check))
        run.expect(value_check, found == set(ciphertexts), f"{node.where}: not every selection")
        if not rows:
            return totals
        elements, encoded = pool.decode(run), pool.encodings()
        self._equations(elements, rows, prefix)
        power = elements.take([row.value for row in rows])
        shown = codec.encode(elements.take([row.beta for row in rows]) / power)
        for row, m in zip(rows, shown, strict=True):
            numbers = [encoded[i] for i in (row.alpha, row.beta, row.a, row.b)]
            digest = setup.hash("30")
            for data in (setup.base_hash, setup.key_encoded, *numbers, m):
                digest = setup.hash(digest, data)
            run.expect(
                f"{prefix}_challenge",
                to_int(digest) == row.challenge,
                f"{row.where}: the challenge is not the hash",
            )
            before, other = self._commitments.setdefault(encoded[row.a], (row.challenge, row.where))
            run.expect(
                "14.nonce_reuse",
                before == row.challenge,
                f"{row.where}: the commitment of {other}: the joint secret key follows",
            )
        return totals

    def _row(
        self, pool: Pool, item: Node, pair: tuple[bytes, bytes], tally: int, check: str
    ) -> _Row:
        codec, proof = self.setup.codec, item["proof"]
        return _Row(
            where=item.where,
            alpha=pool.add_known(pair[0]),
            beta=pool.add_known(pair[1]),
            value=pool.add(item["value"], check, identity=True),
            tally=tally,
            a=pool.add(proof["pad"], check, identity=True),
            b=pool.add(proof["data"], check, identity=True),
            challenge=codec.scalar(proof["challenge"]),
            response=codec.scalar(proof["response"]),
        )

    def _equations(self, elements: Elements, rows: list[_Row], prefix: str) -> None:
        """T = K^t, and a = g^v K^c, b = A^v (B / T)^c."""
        group, key = self.setup.group, self.setup.key
        places = [row.where for row in rows]

        def array(name: str) -> Elements:
            return elements.take([getattr(row, name) for row in rows])

        t = group.scalars([row.tally for row in rows])
        c = group.scalars([row.challenge for row in rows])
        v = group.scalars([row.response for row in rows])
        shape, power = (len(rows),), array("value")
        values = Equations(group=group, shape=shape, relations=(((power, None), (key, -t)),))
        self.run.equations(f"{prefix}_value", values, places, "value is not K^tally")
        proofs = Equations(
            group=group,
            shape=shape,
            relations=(
                ((array("a"), None), (group.generator, -v), (key, -c)),
                ((array("b"), None), (array("alpha"), -v), (array("beta"), -c), (power, c)),
            ),
        )
        self.run.equations(f"{prefix}_proof", proofs, places, "invalid proof")

    def _coefficients(self) -> None:
        run, setup = self.run, self.setup
        if not run.record.has("coefficients.json"):
            run.block("the record has no coefficients.json", "10.lagrange")
            return
        with run.step("10.lagrange"):
            orders = {guardian.id: order for order, guardian in setup.by_order.items()}
            node = run.record.json("coefficients.json")
            found = {orders.get(name, 0): setup.codec.scalar(x) for name, x in node.items()}
            known = 0 not in found and len(found) >= setup.quorum
            run.expect(
                "10.lagrange",
                known and found == lagrange(sorted(found), setup.group),
                f"{node.where}: not the Lagrange coefficients",
            )

    def _spoiled(self) -> None:
        run = self.run
        spoiled = {name for name, b in self.ballots.ballots.items() if b.state == SPOILED}
        names = run.record.names("spoiled_ballots")
        checks = run.names(12, 13)
        if not names and not spoiled:
            run.absent("no ballot was challenged", *checks)
            return
        if not names and not run.record.has("tally.json"):
            run.block("the record has no decryptions", *checks)
            return
        found: set[str] = set()
        for file in names:
            with run.step("0.format"):
                run.did("0.format")
                node = run.record.json(file)
                name = node["ballot_id"].identifier()
                ballot = self.ballots.ballots.get(name)
                run.did("12.spoiled_set")
                if name in found or ballot is None or ballot.state != SPOILED:
                    run.fail("12.spoiled_set", f"{node.where}: no challenged ballot, or again")
                    continue
                found.add(name)
                contests = self.setup.manifest.contests
                bounds = dict.fromkeys(ballot.contests, 1)
                totals = self._decryptions(node, ballot.ciphertexts, bounds, "12.spoiled")
                for contest, total in totals.items():
                    limit = contests[contest].limit if contest in contests else 0
                    run.expect(
                        "13.spoiled_wellformed",
                        total <= limit,
                        f"{node.where}: {total} selections in contest {contest!r}, limit {limit}",
                    )
        missing = sorted(spoiled - found)
        run.expect("12.spoiled_set", not missing, f"spoiled_ballots: not decrypted: {missing[:3]}")


def audit_191(run: Run) -> None:
    """Every check of a record of 1.91."""
    setup = read_setup1(run, DIALECT_191)
    if setup is None:
        return
    run.say_what_is_unbound("the names of candidates, the record's extra fields")
    ballots = _Ballots191(run, setup)
    ballots.check()
    _Tallies191(run, setup, ballots).check()
    run.parts.append(ballots.summary())
