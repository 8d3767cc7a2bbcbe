"""Elections of our own whose shuffles Verificatum's verifier accepts, as our reader of its does."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from evote import workflow
from evote.errors import DecodingError, ParameterError, UnsupportedError, VerificationError
from evote.interop import verificatum
from evote.interop.verificatum import export_record
from evote.mixing import mix_path
from evote.record import Record
from evote.verify import audit
from tests.records import MIXED, PASSPHRASE, Made, Plan, make_ready, open_small, vote_mixed

PLAN = replace(MIXED, group="P-256", profile="verificatum")


def make_mixed(directory: Path, plan: Plan) -> Made:
    """An election, mixed with a second proof in `second`, and not tallied."""
    made = make_ready(directory, plan)
    open_small(made)
    vote_mixed(made)
    workflow.seal_election(made.path, made.authorities(), made.board, PASSPHRASE)
    for mixer in made.mixers():
        workflow.mix(made.path, mixer, PASSPHRASE, verificatum=directory / "second")
    return made


@pytest.fixture(scope="module")
def election(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return make_mixed(tmp_path_factory.mktemp("profile"), PLAN)


@pytest.fixture(scope="module")
def exported(election: Made) -> Path:
    place = election.path.parent / "exported"
    report, sessions = export_record(election.path, place)
    assert report.ok
    assert [path.name for path in sessions] == [f"unit{i:03d}" for i in range(5)]
    return place


def test_the_record_verifies_under_their_challenges(election: Made) -> None:
    report = audit(election.path, phase="sealed")
    report.raise_for_failure()
    assert report.finding("mix.proofs").checked == 10


@pytest.mark.parametrize("place", ["exported", "second"])
def test_what_is_exported_verifies(election: Made, exported: Path, place: str) -> None:
    report = verificatum.audit(election.path.parent / place)
    report.raise_for_failure()
    assert report.finding("verificatum.shuffles").checked == 10
    assert len(report.parts) == 5


def test_an_export_is_made_again(election: Made, exported: Path) -> None:
    before = {path: path.read_bytes() for path in exported.rglob("*") if path.is_file()}
    export_record(election.path, exported)
    assert before == {path: path.read_bytes() for path in exported.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    "name",
    [
        "ShuffledCiphertexts.bt",
        "proofs/Ciphertexts01.bt",
        "proofs/PermutationCommitment02.bt",
        "proofs/PoSCommitment01.bt",
        "proofs/PoSReply02.bt",
    ],
)
def test_files_of_another_session_do_not_verify(exported: Path, tmp_path: Path, name: str) -> None:
    """Units 1 and 2 have as many ballots, so that only the proofs can tell. attacks: D3"""
    copy = shutil.copytree(exported, tmp_path / "copy")
    shutil.copyfile(copy / "nizkp/unit001" / name, copy / "nizkp/unit002" / name)
    report = verificatum.audit(copy)
    assert report.exit_code == 1
    assert "verificatum.shuffles" in [finding.check for finding in report.failures()]


def test_a_native_proof_is_none_in_this_profile(tmp_path: Path) -> None:
    """The challenges of the two profiles differ: a proof for one is no proof for the other."""
    made = make_mixed(tmp_path, replace(PLAN, profile="native"))
    audit(made.path, phase="sealed").raise_for_failure()
    verificatum.audit(tmp_path / "second").raise_for_failure()  # any profile may have these
    with pytest.raises(UnsupportedError, match="profile native has no proofs for verificatum"):
        export_record(made.path, tmp_path / "exported")
    assert not (tmp_path / "exported").exists()


def test_nothing_is_exported_before_all_have_mixed(election: Made, tmp_path: Path) -> None:
    copy = shutil.copytree(election.path, tmp_path / "record")
    (copy / mix_path(3, 2)).unlink()
    with pytest.raises(VerificationError, match="not every mix server has mixed every unit"):
        export_record(copy, tmp_path / "exported")
    (copy / mix_path(3, 1)).write_bytes(b"{}")
    with pytest.raises(VerificationError, match=r"mix\.form failed: mixes/003/01\.json"):
        export_record(copy, tmp_path / "exported")


@pytest.mark.parametrize(
    ("plan", "message"),
    [
        (replace(PLAN, group="ristretto255"), "Verificatum has no group ristretto255"),
        (replace(PLAN, group="ed25519"), "Verificatum has no group ed25519"),
        (replace(PLAN, mixers=26), "at most 25 mix servers"),
        (Plan(group="P-256", profile="verificatum"), "nothing is mixed"),
    ],
    ids=["ristretto255", "ed25519", "26 servers", "sums alone"],
)
def test_what_verificatum_cannot_have(tmp_path: Path, plan: Plan, message: str) -> None:
    with pytest.raises((DecodingError, ParameterError), match=message):
        make_ready(tmp_path, plan)


def test_no_second_proof_in_a_group_it_does_not_have(tmp_path: Path) -> None:
    made = make_ready(tmp_path, MIXED)
    with pytest.raises(ParameterError, match="Verificatum has no group ristretto255"):
        workflow.mix(made.path, made.mixers()[0], PASSPHRASE, verificatum=tmp_path / "second")


def test_the_session_is_bound_to_the_election(election: Made, exported: Path) -> None:
    """What stands in one election's directory fits no other."""
    manifest = Record(election.path).manifest
    assert manifest.profile == "verificatum"
    election_id = audit(election.path, phase="sealed").election_id
    assert election_id is not None
    assert f"<sid>evote{election_id.hex()}</sid>" in (exported / "protInfo.xml").read_text()
