"""Elections of Helios: known ones verify, forged ones fail at their own check, noise is refused."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from evote.errors import DecodingError, ParameterError
from evote.interop import helios
from evote.interop._reports import ForeignReport
from evote.interop.helios import CHECKS, audit
from tests.helios_records import Election, G, P, Q, b64, bundle, js, py, short, tamper

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


# -- elections of our own --------------------------------------------------------------------------

BALLOTS: list[list[list[int]]] = [[[0, 1], [1]], [[], []], [[2], [0, 1]]]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Read-only: an election of two trustees and three ballots, one more of them audited."""
    return Election(BALLOTS, audited=1).write(tmp_path_factory.mktemp("made"))


def copied(root: Path, tmp_path: Path) -> Path:
    return shutil.copytree(root, tmp_path / "copy")


def test_an_election_verifies(made: Path) -> None:
    report = audit(made)
    report.raise_for_failure()
    assert outcome(report, "audit-encryption") == "passed"
    assert [notice.id for notice in report.notices] == ["weak-fiat-shamir", "unbound-fields"]
    assert report.to_json() == audit(made).to_json()


def test_processes_find_the_same(made: Path) -> None:
    assert audit(made, jobs=2).to_json() == audit(made).to_json()


def test_the_fingerprint_can_be_pinned(made: Path) -> None:
    digest = b64((made / "election.json").read_text())
    report = audit(made, expect=digest)
    report.raise_for_failure()
    assert "not pinned: voters" in report.verdict
    other = audit(made, expect="A" * 43)
    assert failed(other) == ["election-digest"]
    with pytest.raises(DecodingError, match="64 hex digits, or 43 of base64"):
        audit(made, expect="12")
    with pytest.raises(ParameterError, match="jobs"):
        audit(made, jobs=0)


def test_a_bundle_verifies(made: Path, tmp_path: Path) -> None:
    value = bundle(made)
    path = tmp_path / "bundle.json"
    path.write_text(json.dumps(value))
    report = audit(path)
    report.raise_for_failure()
    assert "no list of its ballots" in detail(report, "ballot-list")
    value["votes"][1] = value["votes"][0]
    path.write_text(json.dumps(value))
    assert {"ballot-duplicate-voter", "ballot-replay"} <= set(failed(audit(path)))
    value["votes"][1] = "?"
    path.write_text(json.dumps(value))
    assert failed(audit(path)) == ["ballot-form"]


@pytest.mark.parametrize(
    ("name", "checks"),
    [
        ("voters.json", ["ballot-unknown-voter", "ballot-voter-hash", "voter-form"]),
        ("ballots.json", ["ballot-list"]),
        ("trustees.json", ["election-public-key", "trustee-pok", "decryption-proof", "result"]),
        ("result.json", ["result"]),
        ("ballots", ["individual-proof", "ballot-replay", "decryption-proof", "result"]),
    ],
)
def test_a_partial_record_is_not_checked(
    name: str, checks: list[str], made: Path, tmp_path: Path
) -> None:
    root = copied(made, tmp_path)
    if (root / name).is_dir():
        shutil.rmtree(root / name)
    else:
        (root / name).unlink()
    report = audit(root)
    assert failed(report) == []
    assert report.exit_code == 3
    for check in checks:
        assert outcome(report, check) == "not checked"


def test_nothing_but_an_election_is_one(tmp_path: Path) -> None:
    for data in (b"{}", b"[" * 10**5, b'{"votes":1,"election":2,"trustees":3}', b"\xff"):
        path = tmp_path / "file"
        path.write_bytes(data)
        with pytest.raises(DecodingError, match="no election of Helios"):
            audit(path)


def test_before_the_decryption(tmp_path: Path) -> None:
    election = Election([[[0], [0]]])
    for trustee in election.files["trustees.json"]:
        trustee["decryption_factors"] = trustee["decryption_proofs"] = None
    del election.files["result.json"]
    report = audit(election.write(tmp_path))
    assert report.exit_code == 3
    assert failed(report) == []
    assert outcome(report, "decryption-missing") == "not checked"


def test_without_ballots(tmp_path: Path) -> None:
    election = Election([])
    report = audit(election.write(tmp_path / "all"))
    report.raise_for_failure()
    assert outcome(report, "individual-proof") == "not applicable"
    for trustee in election.files["trustees.json"]:
        trustee["decryption_factors"] = trustee["decryption_proofs"] = None
    audit(election.write(tmp_path / "none")).raise_for_failure()
    election.files["result.json"][0][1] = 1
    assert failed(audit(election.write(tmp_path / "wrong"))) == ["result"]


def test_responses_as_browsers_once_made_them(tmp_path: Path) -> None:
    old = Election([[[0], [1]]], unreduced=True, frozen="2011-02-03 04:05:06")
    report = audit(old.write(tmp_path / "old"))
    report.raise_for_failure()
    assert "unreduced-scalars" in {notice.id for notice in report.notices}
    new = Election([[[0], [1]]], unreduced=True)
    assert failed(audit(new.write(tmp_path / "new"))) == ["individual-proof"]


def test_another_group(tmp_path: Path) -> None:
    """The same p and q with another generator: it verifies, with a warning."""
    report = audit(Election([[[0], [1]]], group=(P, Q, G * G % P)).write(tmp_path / "square"))
    report.raise_for_failure()
    assert "unknown-group" in {notice.id for notice in report.notices}
    toy = Election([[[0], [1]]], group=(23, 11, 4)).write(tmp_path / "toy")
    assert failed(audit(toy)) == ["election-params"]
    assert "p of 5 bits" in detail(audit(toy), "election-params")
    large = Election([[[0], [1]]])
    large.election["public_key"]["p"] = str(2**4000 + 1)
    report = audit(large.write(tmp_path / "large"))
    assert (report.exit_code, failed(report)) == (3, [])
    assert "p of 4001 bits" in detail(report, "election-params")


def test_a_minimum_without_a_maximum(tmp_path: Path) -> None:
    report = audit(Election([[[0]]], limits=((2, 1, None),)).write(tmp_path))
    report.raise_for_failure()
    assert "unproven-minimum" in {notice.id for notice in report.notices}


def change_ballot(election: Election, number: int, change: Callable[[Any], None]) -> None:
    """Change a vote, and everything that follows from its text."""
    cast = election.casts[number]
    change(cast["vote"])
    cast["vote_hash"] = b64(js(cast["vote"]))
    election.list_ballots()


def test_a_cast_vote_that_says_what_it_holds(tmp_path: Path) -> None:
    election = Election(BALLOTS)
    change_ballot(election, 0, lambda vote: vote["answers"][0].update(randomness=["1"]))
    report = audit(election.write(tmp_path))
    assert failed(report) == ["ballot-answers"]
    assert "says what it holds" in detail(report, "ballot-answers")


def test_an_audited_ballot_that_was_cast(made: Path, tmp_path: Path) -> None:
    election = Election(BALLOTS, audited=1)
    raw = json.loads(election.files["audited_ballots.json"][0]["raw_vote"])
    for answer in raw["answers"]:
        del answer["answer"], answer["randomness"]
    election.casts[0] = election.cast(0, raw)
    election.list_ballots()
    election.files["trustees.json"] = election.trustees()
    assert failed(audit(election.write(tmp_path))) == ["audit-cast"]


def test_one_copied_choice(tmp_path: Path) -> None:
    """A copied answer verifies in the ballot of somebody else; the trustees even decrypt it."""
    election = Election(BALLOTS)
    answer = election.casts[0]["vote"]["answers"][1]
    change_ballot(election, 1, lambda vote: vote["answers"].__setitem__(1, answer))
    election.files["trustees.json"] = election.trustees()
    election.files["result.json"][1][1] += 1
    report = audit(election.write(tmp_path))
    assert failed(report) == ["ballot-replay"]
    assert "2 ciphertexts" in detail(report, "ballot-replay")
    assert "repeated-commitments" in {notice.id for notice in report.notices}


def test_a_choice_that_shows_the_vote(tmp_path: Path) -> None:
    """alpha = 1 is an encryption with the nonce 0."""
    election = Election(BALLOTS)
    choice = {"alpha": "1", "beta": str(G)}
    change_ballot(election, 0, lambda v: v["answers"][1]["choices"].__setitem__(0, choice))
    report = audit(election.write(tmp_path))
    assert "choice" in failed(report)
    assert "out of its range" in detail(report, "choice")


@pytest.mark.parametrize("factor", [2, 3, 5, 13, 23, 647])
def test_elements_of_small_order(factor: int, tmp_path: Path) -> None:
    """What the cofactor of Helios' group allows, in every place that holds elements."""
    small = next(x for x in (pow(n, (P - 1) // factor, P) for n in range(2, 99)) if x != 1)

    def shifted(value: str) -> str:
        return str(int(value) * small % P)

    def at(check: str, change: Callable[[Election], None]) -> None:
        election = Election(BALLOTS[:1])
        change(election)
        report = audit(election.write(tmp_path / check))
        assert check in failed(report)
        assert "not in the group" in detail(report, check)

    def of_choice(election: Election) -> None:
        choice = election.casts[0]["vote"]["answers"][0]["choices"][0]
        change_ballot(election, 0, lambda _: choice.update(beta=shifted(choice["beta"])))

    def of_factor(election: Election) -> None:
        row = election.files["trustees.json"][0]["decryption_factors"][0]
        row[0] = shifted(row[0])

    at("choice", of_choice)
    at("decryption-factors", of_factor)


def test_all_votes_of_a_voter(tmp_path: Path) -> None:
    election = Election(BALLOTS)
    counted, (earlier, _) = election.casts[0], election.vote([[1], []])
    old = election.cast(0, earlier) | {"cast_at": "2026-01-02 10:00:00"}
    name = f"all_ballots/{counted['voter_uuid']}.json"
    election.files[name] = [counted, old]
    report = audit(election.write(tmp_path / "right"))
    report.raise_for_failure()
    assert report.finding("helios.ballot-last").checked == 2
    election.files[name] = [old, counted]
    assert failed(audit(election.write(tmp_path / "order"))) == ["ballot-last"]
    later = old | {"cast_at": "2026-01-04 10:00:00"}
    election.files[name] = [later, counted]
    report = audit(election.write(tmp_path / "later"))
    assert "a later valid vote is not counted" in detail(report, "ballot-last")
    broken = later | {"vote_hash": "A" * 43}  # what is not valid never counts
    election.files[name] = [broken, counted]
    audit(election.write(tmp_path / "broken")).raise_for_failure()
    election.files[name] = [old]
    assert failed(audit(election.write(tmp_path / "missing"))) == ["ballot-last"]
    other = election.cast(1, earlier)
    election.files[name] = [counted, old]
    election.files[f"all_ballots/{other['voter_uuid']}.json"] = [election.casts[1], other]
    report = audit(election.write(tmp_path / "copied"))
    assert "ballot-replay" in failed(report)


def test_unlisted_ballots_and_fields(tmp_path: Path) -> None:
    election = Election(BALLOTS)
    election.files["ballots.json"].pop()
    assert failed(audit(election.write(tmp_path / "unlisted"))) == ["ballot-list"]
    election = Election(BALLOTS)
    election.casts[0]["ip"] = "192.0.2.1"
    election.files["ballots.json"] = [short(cast) for cast in election.casts]
    del election.files["ballots.json"][0]["ip"]
    report = audit(election.write(tmp_path / "field"))
    report.raise_for_failure()
    assert "unknown-fields" in {notice.id for notice in report.notices}


# -- noise -----------------------------------------------------------------------------------------


def leaves(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The places of everything inside a JSON value."""
    found = [path] if path else []
    if isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            found += leaves(inner, (*path, key))
    return found


VALUES: tuple[Any, ...] = (None, True, -1, 0, "", "0", "x", "-1", "01", " 1", [], {}, "9" * 700)


def noise(rng: random.Random, data: bytes) -> bytes:
    """Other bytes: by bytes, or by values that stay JSON."""
    kind = rng.randrange(4)
    if kind == 0:
        at = rng.randrange(len(data))
        return data[:at] + bytes([rng.randrange(256)]) + data[at + 1 :]
    if kind == 1:
        return data[: rng.randrange(len(data))]
    value = json.loads(data)
    places = leaves(value)
    *path, last = rng.choice(places)
    parent = value
    for key in path:
        parent = parent[key]
    if kind == 2:
        parent[last] = rng.choice(VALUES)
    else:
        del parent[last]
    return py(value).encode()


def test_noise_ends_in_a_verdict(tmp_path: Path) -> None:
    root = Election([[[0]]], limits=((2, 0, 1),), trustees=1, audited=1).write(tmp_path)
    audit(root).raise_for_failure()
    files = sorted(path for path in root.rglob("*.json"))
    rng = random.Random(5)
    codes = set()
    for _ in range(100):
        path = rng.choice(files)
        data = path.read_bytes()
        path.write_bytes(noise(rng, data))
        try:
            report = audit(root)
            assert "internal error" not in report.to_text()
            codes.add(report.exit_code)
        finally:
            path.write_bytes(data)
    assert codes <= {0, 1, 3, 4}
    assert {1, 4} <= codes


def altered_audit(change: Callable[[Any], None]) -> Callable[[Election], None]:
    def alter(election: Election) -> None:
        item = election.files["audited_ballots.json"][0]
        raw = json.loads(item["raw_vote"])
        change(raw)
        item["raw_vote"] = py(raw)
        for answer in raw["answers"]:
            answer.pop("answer", None)
            answer.pop("randomness", None)
        item["vote_hash"] = b64(py(raw))

    return alter


FORMS: dict[str, tuple[str, Callable[[Election], None]]] = {
    "no questions": ("election-form", lambda e: e.election.update(questions=[])),
    "a date": ("election-form", lambda e: e.election.update(frozen_at="yesterday")),
    "the same trustee": (
        "trustee-form",
        lambda e: e.files["trustees.json"].append(e.files["trustees.json"][0]),
    ),
    "the same voter": ("voter-form", lambda e: e.voters.append(e.voters[0])),
    "a choice that is none": (
        "audit-form",
        altered_audit(lambda raw: raw["answers"][0].update(answer=[3])),
    ),
    "no randomness": (
        "audit-form",
        altered_audit(lambda raw: raw["answers"][0].pop("randomness")),
    ),
    "no overall proof": (
        "audit-proof",
        altered_audit(lambda raw: raw["answers"][0].update(overall_proof=None)),
    ),
    "another election": (
        "audit-form",
        altered_audit(lambda raw: raw.update(election_uuid="another")),
    ),
}


@pytest.mark.parametrize("name", FORMS)
def test_forms(name: str, tmp_path: Path) -> None:
    check, change = FORMS[name]
    election = Election(BALLOTS[:1], audited=1)
    change(election)
    report = audit(election.write(tmp_path))
    assert check in failed(report)
    assert report.exit_code == (4 if check == "election-form" else 1)


def test_every_check_can_fail() -> None:
    """Those that some test here makes fail."""
    source = Path(__file__).read_text(encoding="utf-8")
    named = {case["expected_failing_check"] for case in CASES}
    missing = [name for name in CHECKS if name.removeprefix("helios.") not in named]
    assert not HAVE or not [
        name for name in missing if f'"{name.removeprefix("helios.")}"' not in source
    ]


# -- documents -------------------------------------------------------------------------------------


def test_every_check_is_documented() -> None:
    page = (Path(__file__).parents[1] / "docs" / "helios.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(helios\.[a-z-]+)` \| ([\w ]+) \|", page, re.M)
    assert [(name, f"helios, {place}") for name, place in rows] == [
        (name, check.reference) for name, check in CHECKS.items()
    ]
    assert {place for _, place in rows} <= set(re.findall(r"^## (.*)$", page, re.M))
    warnings: set[str] = set()
    for path in Path(helios.__file__).parent.glob("*.py"):
        found = re.findall(r'notice\(\s*"([a-z-]+)"', path.read_text(encoding="utf-8"))
        warnings |= set(found)
    assert len(warnings) == 8
    assert warnings == set(re.findall(r"^\| `([a-z-]+)` \|", page, re.M))
