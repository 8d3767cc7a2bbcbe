"""ElectionGuard 1.0: a record's ballots under its rules, and the whole audit.

    c0 + c1 = c = H(Q, A, B, a0, b0, a1, b1)
    g^v0 = a0 A^c0    K^v0 = b0 B^c0    g^v1 = a1 A^c1    g^c1 K^v1 = b1 B^c1
    contest: c = H(Q, A, B, a, b)    g^v = a A^c    g^(L c) K^v = b B^c

Placeholders fill every contest up to its limit L, so that its sum is L exactly.
"""

from __future__ import annotations

from evote._batch import Equations
from evote.groups import Elements, Scalars
from evote.interop.electionguard._ballots1 import Ballot, Ballots1, Marked, Range, Voted
from evote.interop.electionguard._codec import Pool, to_int
from evote.interop.electionguard._manifest1 import Contest1
from evote.interop.electionguard._reading import Node
from evote.interop.electionguard._run import Run, references
from evote.interop.electionguard._setup1 import DIALECT_10, read_setup1
from evote.interop.electionguard._tally1 import Tallies1

__all__ = ["CHECKS_10", "Ballots10", "audit_10"]

CHECKS_10 = references(
    "ElectionGuard Specification 1.0",
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
        ("Verification 7 (ballot aggregation)", "7.aggregate 7.tally_message 7.tally_meta"),
        (
            "Verifications 8 and 11 (partial decryptions, tallies)",
            "8.tally_shares 8.tally_proof 8.tally_value 8.tally_tally",
        ),
        (
            "Verification 9 (missing guardians)",
            "9.recovery_key 9.part_proof 9.quorum 9.reconstruct",
        ),
        ("Verification 10 (Lagrange coefficients)", "10.lagrange"),
        (
            "Verification 12 (spoiled ballots)",
            "12.spoiled_set 12.spoiled_message 12.spoiled_meta 12.spoiled_shares 12.spoiled_proof "
            "12.spoiled_value 12.spoiled_tally 12.spoiled_recovery_key 12.spoiled_part_proof "
            "12.spoiled_quorum 12.spoiled_reconstruct",
        ),
        ("Verification 13 (spoiled ballots)", "13.spoiled_wellformed"),
        ("beyond the specification", "14.nonce_reuse 15.copied_ciphertext"),
    ),
)


class Ballots10(Ballots1):
    def read_range(self, pool: Pool, node: Node, contest: Contest1) -> Range:
        codec = self.setup.codec
        constant = node["constant"].value
        if type(constant) is not int or constant != contest.limit:
            node.fail(f"a limit of {contest.limit} expected")
        a = pool.add(node["pad"], "5.contest_proof")
        b = pool.add(node["data"], "5.contest_proof")
        c, v = codec.scalar(node["challenge"]), codec.scalar(node["response"])
        return Range(node.where, c, [(c, v)], (a, b))

    def selection_challenge(self, numbers: list[bytes]) -> bytes:
        return self.setup.hash(self.setup.base_hash, *numbers)

    def selection_equations(
        self, a: Elements, b: Elements, alpha: Elements, beta: Elements, c: Scalars, v: Scalars
    ) -> Equations:
        group = self.group
        g, key = group.generator, self.setup.key
        j = group.scalars([0, 1])
        return Equations(
            group=group,
            shape=c.shape,
            relations=(
                ((a, None), (alpha, c), (g, -v)),
                ((b, None), (beta, c), (g, -(c * j)), (key, -v)),
            ),
        )

    def contest_proofs(
        self, elements: Elements, encoded: list[bytes], contests: list[Voted]
    ) -> None:
        run, group, setup = self.run, self.group, self.setup
        rows = [(c, c.sum, c.proof) for c in contests if c.sum is not None and c.proof is not None]
        for _, pair, proof in rows:
            numbers = [encoded[i] for i in (*pair, *proof.commitment)]
            if to_int(setup.hash(setup.base_hash, *numbers)) != proof.challenge:
                run.fail("5.contest_proof", f"{proof.where}: the challenge is not the hash")
        limits = group.scalars([contest.contest.limit for contest, _, _ in rows])
        c = group.scalars([proof.challenge for _, _, proof in rows])
        v = group.scalars([proof.pairs[0][1] for _, _, proof in rows])
        a = elements.take([proof.commitment[0] for _, _, proof in rows])
        b = elements.take([proof.commitment[1] for _, _, proof in rows])
        alpha = elements.take([pair[0] for _, pair, _ in rows])
        beta = elements.take([pair[1] for _, pair, _ in rows])
        equations = Equations(
            group=group,
            shape=(len(rows),),
            relations=(
                ((a, None), (alpha, c), (group.generator, -v)),
                ((b, None), (beta, c), (group.generator, -(limits * c)), (setup.key, -v)),
            ),
        )
        run.equations("5.contest_proof", equations, [p.where for _, _, p in rows], "invalid proof")

    def selection_hash(self, selection: Marked, alpha: bytes, beta: bytes) -> bytes:
        h = self.setup.hash
        return h(selection.option.id, selection.description_hash, h(alpha, beta))

    def contest_hash(self, contest: Voted, hashes: list[bytes]) -> bytes:
        return self.setup.hash(contest.contest.id, contest.description_hash, *hashes)

    def ballot_hash(self, ballot: Ballot, hashes: list[bytes]) -> bytes:
        return self.setup.hash(ballot.id, ballot.manifest_hash, *hashes)

    def ballot_code(self, ballot: Ballot, hashes: list[bytes]) -> bytes:
        return self.setup.hash(ballot.code_seed, ballot.timestamp, ballot.crypto_hash)


def audit_10(run: Run) -> None:
    """Every check of a record of 1.0."""
    setup = read_setup1(run, DIALECT_10)
    if setup is None:
        return
    run.say_what_is_unbound("the names of candidates, the record's extra fields")
    ballots = Ballots10(run, setup)
    ballots.check()
    Tallies1(run, setup, ballots).check()
    run.parts.append(ballots.summary())
