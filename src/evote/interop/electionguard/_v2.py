"""ElectionGuard 2.0 and 2.1: the whole audit."""

from __future__ import annotations

from evote.interop.electionguard._ballots2 import CAST, Ballots2
from evote.interop.electionguard._run import Run, references
from evote.interop.electionguard._setup2 import read_setup2
from evote.interop.electionguard._tally2 import Tallies2

__all__ = ["CHECKS_20", "CHECKS_21", "audit_2"]

_ROWS = (
    ("layout of the published record", "0.format"),
    (
        "Verification 1 (parameters), section 3.1",
        "1.params 1.F_param_hash 1.G_manifest_hash 1.H_base_hash",
    ),
    ("Verification 2 (guardians' public keys), section 3.2", "2.schnorr"),
    ("Verification 3 (election public key), section 3.2", "3.joint_key"),
    ("Verification 4 (extended base hash), section 3.2", "4.ext_base_hash"),
    (
        "Verification 5 (selection encryptions), section 3.3",
        "5.election_id 5.contest_meta 5.selection_proof",
    ),
    ("Verification 6 (vote limits), section 3.3", "6.contest_proof"),
    (
        "Verification 7 (confirmation codes), section 3.4",
        "7.A_contest_hash 7.B_code 7.C_unique_code 7.baux 7.chain_ids 7.E_chain 7.G_closing",
    ),
    ("Verification 8 (ballot aggregation), section 3.5", "8.cast_ids 8.aggregate"),
    ("Verification 9 (tally decryptions), section 3.6", "9.same_ciphertext 9.value 9.proof"),
    ("Verification 10 (contests of the tally), section 3.6", "10.contests"),
    (
        "Verification 12 (challenged ballots), section 3.6",
        "12.all_challenged 12.same_ciphertext 12.value 12.proof",
    ),
    ("Verification 13 (challenged ballots), section 3.6", "13.C_total"),
    (
        "Verification 14 (contest data), section 3.6",
        "14.same_ciphertext 14.proof 14.mac 14.plaintext",
    ),
    ("beyond the specification", "15.nonce_reuse 15.copied_ciphertext"),
)
CHECKS_20 = references("ElectionGuard Design Specification 2.0.0", _ROWS)
CHECKS_21 = references("ElectionGuard Design Specification 2.1.0", _ROWS)


def audit_2(run: Run) -> None:
    """Every check of a record of 2.0 or 2.1."""
    setup = read_setup2(run)
    if setup is None:
        return
    run.say_what_is_unbound(
        "timestamp, encrypted_sn, guardian_id and, of cast ballots, encrypted_contest_data"
    )
    ballots = Ballots2(run, setup)
    ballots.check()
    if ballots.unsupported:
        return
    Tallies2(run, setup, ballots).check()
    cast = sum(ballot.state == CAST for ballot in ballots.ballots.values())
    run.parts.append(
        f"{len(ballots.ballots)} ballots, {cast} cast; {len(setup.contests)} contests, "
        f"{setup.guardians} guardians, quorum {setup.quorum}, {setup.group.name}"
    )
