"""Audits of records that their own authors have spoiled: what the report says, and how often."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from evote import _audit_tally, workflow
from evote._audit_log import LogSummary
from evote._report import Ledger
from evote.board import ShareEntry
from evote.ceremony import ceremony_parameters
from evote.errors import VerificationError
from evote.operators import SCRYPT_COST_FLOOR, load_card
from evote.record import Record
from evote.tally import decode_share, decode_tally, file_digest
from evote.threshold import audit_ceremony
from evote.verify import audit
from tests import records


def with_registrars(directory: Path, count: int) -> Path:
    """An election on whose roll `count` registrars agree; the first of them drew the codes."""
    plan = records.Plan()
    operators = workflow.create_operators(
        directory / "operators",
        records.PASSPHRASE,
        trustees=plan.trustees,
        registrars=count,
        cost=SCRYPT_COST_FLOOR,
    )
    names = [f"registrar-{i + 1}" for i in range(count)]
    cards = {name: load_card(path) for name, path in operators.items()}
    record = directory / "record"
    workflow.new_election(record, records.draft(plan) | {"registrars": [*names]}, cards=cards)
    trustees = [path for name, path in operators.items() if name.startswith("trustee")]
    workflow.run_ceremony(record, trustees, records.PASSPHRASE)
    workflow.issue_credentials(record, operators[names[0]], plan.voters, records.PASSPHRASE)
    for name in names[1:]:
        workflow.cosign_roll(record, operators[name], records.PASSPHRASE)
    return record


@pytest.mark.parametrize(("count", "reason"), [(1, "there is only one"), (2, "one of them draws")])
def test_the_verdict_says_that_a_registrar_can_impersonate(
    tmp_path: Path, count: int, reason: str
) -> None:
    """A ballot bears one signature, so a second registrar on the roll changes nothing."""
    report = audit(with_registrars(tmp_path, count), phase="ready")
    assert report.ok
    assert f"registrar can impersonate: {reason}" in report.verdict


def test_shares_named_twice_fail_and_are_verified_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = records.make_ready(tmp_path)
    records.open_small(made)
    records.cast(made, [(0, records.marks(1, 0), "cast")])
    workflow.seal_election(made.path, made.authorities(), made.board, records.PASSPHRASE)
    workflow.compute_tally(made.path, made.board, records.PASSPHRASE)
    for trustee in made.trustees():
        workflow.decrypt_share(made.path, trustee, records.PASSPHRASE)
    workflow.publish_shares(made.path, made.board, records.PASSPHRASE)
    assert audit(made.path, phase="tallied").ok

    record = Record(made.path)
    verified: list[int] = []
    monkeypatch.setattr(
        _audit_tally, "verify_share", lambda tally, digest, share, key: verified.append(1)
    )
    data = record.tally_bytes()
    entry = ShareEntry(trustee=1, digest=file_digest(record.share_bytes(1)))
    ledger = Ledger("finished", ())
    _audit_tally._check_shares(
        ledger,
        record,
        record.manifest,
        LogSummary(size=12, shares=[(9, entry), (10, entry), (11, entry)]),
        audit_ceremony(ceremony_parameters(record), record.ceremony_files()),
        decode_tally(record.manifest, data),
        file_digest(data),
    )
    assert len(verified) == 1
    [form] = [finding for finding in ledger.findings() if finding.check == "shares.form"]
    assert form.failed == 2
    assert "trustee 1 has shares already" in form.detail


def test_a_trustee_whose_proofs_share_a_nonce_is_refused(tmp_path: Path) -> None:
    """attacks: A9. Two valid proofs of one nonce give a key share away: no audit passes them."""
    made = records.make_ready(tmp_path)
    records.open_small(made)
    records.cast(made, [(0, records.marks(1, 0), "cast")])
    workflow.seal_election(made.path, made.authorities(), made.board, records.PASSPHRASE)
    workflow.compute_tally(made.path, made.board, records.PASSPHRASE)
    record = Record(made.path)
    for trustee in made.trustees():
        workflow.decrypt_share(made.path, trustee, records.PASSPHRASE)
    data = record.tally_bytes()
    tally = decode_tally(record.manifest, data)
    shares = [
        decode_share(record.manifest, tally, record.share_bytes(i), where="share") for i in (1, 2)
    ]
    seen: set[bytes] = set()
    for share in shares:
        _audit_tally._check_nonces(share, seen)
    with pytest.raises(VerificationError, match="nonce of another"):
        _audit_tally._check_nonces(shares[0], seen)
    [proof] = shares[0].decryption.proofs
    twice = replace(shares[0].decryption, proofs=(proof, proof))
    with pytest.raises(VerificationError, match="nonce of another"):
        _audit_tally._check_nonces(replace(shares[0], decryption=twice), set())
