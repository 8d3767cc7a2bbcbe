"""Elections of Helios: known ones verify, forged ones fail at their own check, noise is refused."""

from __future__ import annotations

import json
import os
import shutil
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from evote.interop._reports import ForeignReport
from evote.interop.helios import audit
from tests.helios_records import tamper

ROOT = Path(os.environ.get("EVOTE_VECTORS") or Path(__file__).parents[2] / "shared" / "vectors")
ROOT = ROOT / "helios"
HAVE = (ROOT / "tampering.json").is_file()
VECTORS = sorted(path.parent.name for path in ROOT.glob("*/expected.json"))
CASES = json.loads((ROOT / "tampering.json").read_bytes()) if HAVE else []
needs_vectors = pytest.mark.skipif(not HAVE, reason="no vectors: set EVOTE_VECTORS")


@cache
def honest(name: str) -> ForeignReport:
    return audit(ROOT / name)


def outcome(report: ForeignReport, check: str) -> str:
    return str(report.finding(f"helios.{check}").outcome)


def detail(report: ForeignReport, check: str) -> str:
    return report.finding(f"helios.{check}").detail


def failed(report: ForeignReport) -> list[str]:
    assert "internal error" not in report.to_text()
    return [finding.check.removeprefix("helios.") for finding in report.failures()]


# -- vectors ---------------------------------------------------------------------------------------


@needs_vectors
@pytest.mark.parametrize("name", VECTORS)
def test_vectors_verify(name: str) -> None:
    expected = json.loads((ROOT / name / "expected.json").read_bytes())
    report = honest(name)
    report.raise_for_failure()
    assert report.exit_code == 0
    assert f"fingerprint {expected['election_hash']}" in report.parts[0]
    assert report.finding("helios.individual-proof").checked == expected["num_cast"]
    assert report.finding("helios.result").checked == sum(map(len, expected["result"]))
    assert outcome(report, "result") == "passed"
    if "trustees" in expected:
        assert report.finding("helios.trustee-pok").checked == expected["trustees"]
    text = {"python-default": "Python's", "compact": "browsers'"}
    assert text[expected["ballot_hash_serialization"]] in report.parts[2]
    warnings = {"weak-fiat-shamir", "unbound-fields"}
    warnings |= {"unreduced-scalars"} if expected.get("legacy_unreduced_responses") else set()
    warnings |= {"single-ballot"} if expected["num_cast"] == 1 else set()
    assert {notice.id for notice in report.notices} == warnings
    audited = expected.get("audited_ballots", 0)
    assert report.finding("helios.audit-encryption").checked == audited
    last = report.finding("helios.ballot-last")
    revotes = bool(expected.get("revotes")) and (ROOT / name / "all_ballots").is_dir()
    assert str(last.outcome) == ("passed" if revotes else "not applicable")


@needs_vectors
def test_a_lone_ballot_is_not_checked() -> None:
    directory = ROOT / "bundle-2011"
    expected = json.loads((directory / "expected.json").read_bytes())["audited_ballot"]
    report = audit(directory / expected["file"])
    assert report.exit_code == 3
    assert f"fingerprint {expected['vote_hash']}" in report.parts[1]


# What fails besides the named check, as one change touches more than one thing.
SEVERAL = {
    "H01": {"ballot-election-hash"},
    "H03": {"ballot-election-hash"},
}


@needs_vectors
@pytest.mark.parametrize("case", CASES, ids=lambda case: str(case["id"]))
def test_forgeries_are_refused_by_their_own_check(case: dict[str, Any], tmp_path: Path) -> None:
    honest(case["file"]).raise_for_failure()
    root = shutil.copytree(ROOT / case["file"], tmp_path / "record", copy_function=shutil.copyfile)
    for path in [root, *root.rglob("*")]:
        path.chmod(0o755)
    tamper(root, case)
    report = audit(root)
    assert report.exit_code == 1
    assert case["expected_failing_check"] in failed(report)
