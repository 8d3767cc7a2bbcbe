"""ElectionGuard's records: vectors, forgeries, what is left out, and noise."""

from __future__ import annotations

import hashlib
import json
import random
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from evote import cli
from evote._trees import Directory
from evote.errors import DecodingError, ParameterError, VerificationError
from evote.groups import modp_group, named_group
from evote.interop import electionguard
from evote.interop._reports import ForeignReport
from evote.interop.electionguard import audit, is_electionguard
from evote.interop.electionguard._audit import version_of
from evote.interop.electionguard._codec import hash1
from evote.interop.electionguard._contest_data import check_plaintext
from evote.interop.electionguard._reading import Node, Record, parse_json
from evote.interop.electionguard._tally1 import lagrange
from evote.interop.electionguard._v2 import CHECKS_20, CHECKS_21
from evote.interop.electionguard._v10 import CHECKS_10
from evote.interop.electionguard._v191 import CHECKS_191
from evote.interop.recognition import recognise
from tests.electionguard_records import (
    ROOT,
    VECTORS,
    apply,
    cases,
    copy_writable,
    look_up,
    read,
    remembered,
    replace,
    write,
)

PREFIX = "electionguard."
needs_vectors = pytest.mark.skipif(not ROOT.exists(), reason="no vectors: set EVOTE_VECTORS")

PASSED = "self-consistent, not pinned: {}; warnings: {}; not pinned: manifest"
VERDICTS = {
    "eg10-minimal": ("verified: all 37 checks passed", "unbound-fields, unbound-proofs"),
    "eg10-full": ("verified: all 49 checks passed", "unbound-fields, unbound-proofs"),
    "eg10-toy-bad": (
        "FAILED: 10 of 41 checks failed",
        "weak-group, unbound-fields, unbound-proofs",
    ),
    "eg191-bad": ("FAILED: 5 of 37 checks failed", "unbound-fields, unbound-proofs"),
    "eg20-chained": ("verified: all 35 checks passed", "unbound-fields, unbound-proofs"),
    "eg21-ec": ("verified: all 33 checks passed", "unbound-fields, unbound-proofs"),
    "eg21-ec-chain-partial": (
        "incomplete: nothing failed, 7 checks not done",
        "unbound-fields, unbound-proofs",
    ),
    "eg21-int-partial": (
        "incomplete: nothing failed, 7 checks not done",
        "unbound-fields, unbound-proofs",
    ),
}
# Why the two bad records are bad: the notes on the format say all of it.
DEFECTS = {
    "eg10-toy-bad": {"1.params", "1.manifest_hash", "4.contest_hash", "4.selections_exact"},
    "eg191-bad": {
        "5.contest_proof",
        "6.chain",
        "8.tally_proof",
        "12.spoiled_proof",
        "14.nonce_reuse",
    },
}


@pytest.fixture(scope="module", autouse=True)
def memory() -> Iterator[None]:
    with remembered():
        yield


@cache
def honest(vector: str) -> ForeignReport:
    return audit(ROOT / vector)


def failed(report: ForeignReport) -> set[str]:
    return {finding.check.removeprefix(PREFIX) for finding in report.failures()}


def details(report: ForeignReport) -> str:
    return "\n".join(finding.detail for finding in report.findings)


def assert_no_bug(report: ForeignReport) -> None:
    assert "internal error" not in details(report)


def outcome(report: ForeignReport, check: str) -> str:
    return str(report.finding(PREFIX + check).outcome)


# -- vectors ---------------------------------------------------------------------------------------


@needs_vectors
@pytest.mark.parametrize("vector", VECTORS)
def test_vectors(vector: str) -> None:
    code, version = VECTORS[vector]
    report = honest(vector)
    assert_no_bug(report)
    assert report.system == f"ElectionGuard {version}"
    assert report.exit_code == code
    assert report.verdict == PASSED.format(*VERDICTS[vector])
    assert DEFECTS.get(vector, set()) <= failed(report)
    assert (code == 1) == bool(failed(report))


@needs_vectors
@pytest.mark.parametrize("vector", [name for name in VECTORS if name.endswith("partial")])
def test_partial_records_say_what_was_not_checked(vector: str) -> None:
    report = honest(vector)
    unchecked = {finding.check.removeprefix(PREFIX) for finding in report.unchecked()}
    assert {"8.aggregate", "9.proof", "10.contests"} <= unchecked
    assert outcome(report, "5.selection_proof") == "passed"


def name_of(case: dict[str, Any]) -> str:
    vector = case["file"].partition("/")[0]
    return f"{vector}-{case['expected_failing_check']}-{case['mutation'].partition(':')[0]}"


@needs_vectors
@pytest.mark.parametrize("case", cases(), ids=name_of)
def test_tampering_is_refused_by_its_own_check(case: dict[str, Any], tmp_path: Path) -> None:
    vector = case["file"].partition("/")[0]
    before = failed(honest(vector))
    root = copy_writable(ROOT / vector, tmp_path / "record")
    for step in (case, *case.get("also", ())):
        apply(root, step)
    report = audit(root)
    assert_no_bug(report)
    assert report.exit_code == 1
    assert case["expected_failing_check"] in failed(report) - before
    assert before <= failed(report)


# -- versions --------------------------------------------------------------------------------------


@needs_vectors
@pytest.mark.parametrize("vector", VECTORS)
def test_versions_are_recognised_by_the_form_of_files(vector: str, tmp_path: Path) -> None:
    root = copy_writable(ROOT / vector, tmp_path / "record")
    assert is_electionguard(Directory(root))
    system = recognise(root)
    assert system is not None
    assert system.name == "electionguard"
    manifest = read(root / "manifest.json")
    manifest["spec_version"] = "v9.9"
    write(root / "manifest.json", manifest)
    assert version_of(Record(Directory(root))) == VECTORS[vector][1]


@needs_vectors
def test_version_1_53_is_recognised_and_not_supported(tmp_path: Path) -> None:
    root = copy_writable(ROOT / "eg10-minimal", tmp_path / "record")
    for path in (root / "submitted_ballots").iterdir():
        ballot = read(path)
        for selection in ballot["contests"][0]["ballot_selections"]:
            selection["proof"] = {"proofs": []}
        write(path, ballot)
    report = audit(root)
    assert report.system == "ElectionGuard 1.53"
    assert report.exit_code == 3
    assert "recognised and not supported" in details(report)


@needs_vectors
def test_a_record_of_ours_is_never_taken_for_one(phases: dict[str, Path], tmp_path: Path) -> None:
    root = copy_writable(phases["finished"], tmp_path / "record")
    assert recognise(root) is None
    for name in ("constants.json", "context.json"):
        (root / name).write_bytes((ROOT / "eg10-minimal" / name).read_bytes())
    assert recognise(root) is None


def test_other_directories_are_not_recognised(tmp_path: Path) -> None:
    assert not is_electionguard(Directory(tmp_path))
    (tmp_path / "constants.json").write_text("{}", encoding="utf-8")
    assert not is_electionguard(Directory(tmp_path))
    with pytest.raises(DecodingError, match="no record of a known system"):
        recognise(tmp_path)


@needs_vectors
def test_processes_give_the_same_report() -> None:
    assert audit(ROOT / "eg10-minimal", jobs=2).to_json() == honest("eg10-minimal").to_json()


# -- what is missing -------------------------------------------------------------------------------


@needs_vectors
@pytest.mark.parametrize(
    ("vector", "gone", "unchecked"),
    [
        ("eg10-minimal", ["tally.json"], "8.tally_proof"),
        ("eg10-minimal", ["tally.json", "encrypted_tally.json"], "7.aggregate"),
        ("eg10-minimal", ["coefficients.json"], "10.lagrange"),
        ("eg10-full", ["tally.json", "spoiled_ballots"], "12.spoiled_set"),
        ("eg21-ec", ["tally.json"], "9.proof"),
        ("eg21-ec", ["tally.json", "challenged_ballots"], "12.all_challenged"),
    ],
)
def test_what_is_missing_is_not_checked(
    vector: str, gone: list[str], unchecked: str, tmp_path: Path
) -> None:
    root = copy_writable(ROOT / vector, tmp_path / "record")
    for name in gone:
        path = root / name
        for inner in path.iterdir() if path.is_dir() else ():
            inner.unlink()
        path.rmdir() if path.is_dir() else path.unlink()
    report = audit(root)
    assert report.exit_code == 3
    assert outcome(report, unchecked) == "not checked"
    assert "verified" not in report.verdict


@needs_vectors
@pytest.mark.parametrize("name", ["constants.json", "manifest.json"])
@pytest.mark.parametrize("data", [b"", b"{", b"[" * 100_000, b'{"a":1,"a":2}', b"\xff"])
def test_records_without_a_head_are_unreadable(name: str, data: bytes, tmp_path: Path) -> None:
    root = copy_writable(ROOT / "eg10-minimal", tmp_path / "record")
    (root / name).write_bytes(data)
    report = audit(root)
    assert_no_bug(report)
    assert report.exit_code == 4


# -- beyond the specification ----------------------------------------------------------------------


def altered(tmp_path: Path, vector: str, file: str, pointer: str, new: Any) -> ForeignReport:
    assert not failed(honest(vector))
    root = copy_writable(ROOT / vector, tmp_path / "record")
    value = read(root / file)
    replace(value, pointer, new)
    write(root / file, value)
    report = audit(root)
    assert_no_bug(report)
    return report


SUBMITTED = "submitted_ballots/submitted_ballot_ballot-85c8f918-73fc-11ec-9daf-acde48001122.json"

CHAIN = "encrypted_ballots/device1/ballot_chain.json"


@needs_vectors
@pytest.mark.parametrize(
    ("vector", "file", "pointer", "new", "check"),
    [
        ("eg10-minimal", SUBMITTED, "/nonce", {"data": "01"}, "4.selection_meta"),
        ("eg10-minimal", SUBMITTED, "/manifest_hash", {"data": "01"}, "4.ballot_style"),
        ("eg10-minimal", SUBMITTED, "/style_id", "another", "4.ballot_style"),
        ("eg10-minimal", SUBMITTED, "/state", 3, "7.aggregate"),
        ("eg10-minimal", SUBMITTED, "/state", True, "0.format"),
        ("eg21-ec", "election_config.json", "/chain_confirmation_codes", True, "7.chain_ids"),
        ("eg21-ec", "election_config.json", "/number_of_guardians", 6, "2.schnorr"),
        ("eg21-ec-chain-partial", CHAIN, "/baux0/0", 101, "7.E_chain"),
        ("eg21-ec-chain-partial", CHAIN, "/encrypting_device", "device2", "7.chain_ids"),
        ("eg21-ec-chain-partial", CHAIN, "/last_confirmation_code", "AA==", "7.chain_ids"),
    ],
)
def test_other_alterations(
    vector: str, file: str, pointer: str, new: Any, check: str, tmp_path: Path
) -> None:
    report = altered(tmp_path, vector, file, pointer, new)
    assert report.exit_code == 1
    assert check in failed(report)


@needs_vectors
def test_a_decrypted_cast_ballot_is_an_error(tmp_path: Path) -> None:
    """Its votes are no secret any more, whatever its proofs say."""
    root = copy_writable(ROOT / "eg21-ec", tmp_path / "record")
    dballot = read(root / "challenged_ballots/dballot-id-10.json")
    dballot["id"] = "id-1"
    write(root / "challenged_ballots/dballot-id-1.json", dballot)
    report = audit(root)
    assert failed(report) == {"12.all_challenged"}
    assert "its secrecy is broken" in details(report)


@needs_vectors
def test_a_ballot_of_another_election_is_an_error(tmp_path: Path) -> None:
    root = copy_writable(ROOT / "eg21-ec", tmp_path / "record")
    foreign = "encrypted_ballots/device1/eballot-id-193733846.json"
    (root / "encrypted_ballots/device1").mkdir()
    (root / foreign).write_bytes((ROOT / "eg21-ec-chain-partial" / foreign).read_bytes())
    report = audit(root)
    assert "5.election_id" in failed(report)


@needs_vectors
def test_one_commitment_under_two_challenges_is_reported(tmp_path: Path) -> None:
    """attacks: A9. The same guardian's share of two options, with one commitment."""
    root = copy_writable(ROOT / "eg10-minimal", tmp_path / "record")
    tally = read(root / "tally.json")
    base = "/contests/referendum-pineapple/selections/referendum-pineapple-{}-selection"
    pad = f"{base}/shares/0/proof/pad"
    replace(tally, pad.format("negative"), look_up(tally, pad.format("affirmative")))
    write(root / "tally.json", tally)
    assert "14.nonce_reuse" in failed(audit(root))
    assert "14.nonce_reuse" not in failed(honest("eg10-minimal"))


@needs_vectors
def test_an_unexplained_code_seed_is_a_warning(tmp_path: Path) -> None:
    root = copy_writable(ROOT / "eg10-minimal", tmp_path / "record")
    for path in (root / "encryption_devices").iterdir():
        path.unlink()
    report = audit(root)
    assert report.exit_code == 0
    assert "unexplained-seed" in [notice.id for notice in report.notices]


@needs_vectors
def test_a_preencrypted_ballot_is_not_skipped(tmp_path: Path) -> None:
    file = "encrypted_ballots/runWorkflowDevice/eballot-id-1.json"
    report = altered(tmp_path, "eg21-int-partial", file, "/is_preencrypt", True)
    assert report.exit_code == 3
    assert outcome(report, "5.selection_proof") == "not checked"
    assert "pre-encrypted ballots are not supported" in details(report)


UNBOUND_10 = {"extended_data", "usage"}


def leaves(value: Any, pointer: str = "") -> Iterator[tuple[str, Any]]:
    items = enumerate(value) if isinstance(value, list) else value.items()
    for key, inner in items:
        if isinstance(inner, list | dict):
            yield from leaves(inner, f"{pointer}/{key}")
        else:
            yield f"{pointer}/{key}", inner


def changed(value: Any) -> Any:
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    if isinstance(value, str) and len(value) > 1:
        return value[:-1] + ("1" if value[-1] == "0" else "0")
    return "x"


@needs_vectors
def test_every_leaf_of_a_ballot_is_bound(tmp_path: Path) -> None:
    root = copy_writable(ROOT / "eg10-minimal", tmp_path / "record")
    ballot = read(root / SUBMITTED)
    seen = 0
    for pointer, value in leaves(ballot):
        last = pointer.rpartition("/")[2]
        selection = pointer.startswith("/contests/0/ballot_selections/")
        if selection and not pointer.startswith("/contests/0/ballot_selections/1/"):
            continue
        forged = json.loads(json.dumps(ballot))
        replace(forged, pointer, changed(value))
        write(root / SUBMITTED, forged)
        report = audit(root)
        assert_no_bug(report)
        assert report.exit_code == (0 if last in UNBOUND_10 else 1), pointer
        seen += 1
    assert seen > 25


# -- forms -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b'{"a":1,"a":1}', "key 'a' occurs twice"),
        (b"[1.5]", "a number that is not an integer"),
        (b"[NaN]", "NaN is not JSON"),
        (b"[" + b"1" * 1301 + b"]", "a number of 1301 digits"),
        (b'["\\ud800"]', "an unpaired surrogate"),
        (b"\xef\xbb\xbf[]", "not JSON"),
        (b"\xff", "not UTF-8 at byte 0"),
        (b"[" * 200_000, "nested deeper than 32"),
        (b"[" + b"1," * 2**20 + b"1]", "more than 1048576 values"),
        (b"[] []", "not JSON"),
        (b"{" + b",".join([b'"%d":0' % i for i in range(300_000)]) + b',"9":0}', "'9' occurs"),
    ],
)
def test_json_is_read_strictly(data: bytes, words: str) -> None:
    with pytest.raises(DecodingError, match=words):
        parse_json(data, where="file.json")


def test_json_says_where() -> None:
    node = parse_json(b' {"a": [{"b": true}]} ', where="file.json")
    [item] = node["a"].list()
    with pytest.raises(DecodingError, match=r"file\.json: \$\.a\[0\]\.b: an integer expected"):
        item["b"].integer()
    with pytest.raises(DecodingError, match=r"file\.json: \$\.a\[0\]: field 'c' is missing"):
        item["c"]
    assert item.get("c") is None
    assert item["b"].boolean()


def test_hash_of_version_1() -> None:
    q = 2**256 - 189
    assert hash1(q, None) == hash1(q, []) == hash1(q, "null")
    assert hash1(q, ["a", "b"]) == hash1(q, hash1(q, "a", "b"))
    assert hash1(q, b"\0\x0a") == hash1(q, "0A")
    assert hash1(q, b"\0") == hash1(q, "00")
    assert hash1(q, 0) != hash1(q, 0, empty=True) == hash1(q, None)


def test_lagrange_coefficients() -> None:
    q = 101
    weights = lagrange([1, 3, 4], modp_group(607, q, pow(2, 6, 607), allow_weak=True))
    assert lagrange([], modp_group(607, q, pow(2, 6, 607), allow_weak=True)) == {}
    polynomial = (7, 5, 9)
    shares = {x: sum(c * x**i for i, c in enumerate(polynomial)) for x in weights}
    assert sum(weights[x] * shares[x] for x in weights) % q == 7


@pytest.mark.parametrize("newer", [False, True])
def test_contest_data_of_overvotes_and_write_ins(newer: bool) -> None:
    value = {"over_votes": [1, 300], "write_ins": ["Ada", "Łódź"], "status": "over_vote"}
    names = [name.encode() for name in ("Ada", "Łódź")]
    if newer:
        text = b"\x02\x01\xac\x02\x02"
        text += b"".join([bytes([len(name)]) + name for name in names])
        text += b"\x09over_vote" + bytes(20)
    else:
        text = b"\x08\x02\x12\x03\x01\xac\x02"
        text += b"".join([b"\x1a" + bytes([len(name)]) + name for name in names])
        text += b"\x22\x05*****"
    check_plaintext(text, Node(value, "x"), newer=newer)
    for other in ({"over_votes": [1]}, {"write_ins": ["Ada"]}, {"status": "normal"}):
        with pytest.raises(VerificationError, match="not what the ciphertext holds"):
            check_plaintext(text, Node(value | other, "x"), newer=newer)
    with pytest.raises(VerificationError):
        check_plaintext(text + b"!", Node(value, "x"), newer=newer)


def test_arguments(tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match="jobs"):
        audit(tmp_path, jobs=0)
    with pytest.raises(ParameterError, match="32 bytes"):
        audit(tmp_path, expect_manifest=b"short")
    with pytest.raises(DecodingError, match="64 hex digits"):
        audit(tmp_path, expect_manifest="00")


def test_groups_are_those_of_the_vectors() -> None:
    if not ROOT.exists():
        pytest.skip("no vectors: set EVOTE_VECTORS")
    for vector, name in (("eg10-minimal", "1.0"), ("eg191-bad", "2.0")):
        constants = read(ROOT / vector / "constants.json")
        numbers = [
            value if isinstance(value, int) else int(value, 16) for value in constants.values()
        ]
        group: Any = named_group(f"electionguard-{name}-4096")
        assert {group.p, group.q, group.g, (group.p - 1) // group.q} == set(numbers)


# -- the manual ------------------------------------------------------------------------------------

PAGE = Path(__file__).resolve().parents[1] / "docs" / "electionguard.md"
CHECKS = {"1.0": CHECKS_10, "1.91": CHECKS_191, "2.0": CHECKS_20, "2.1": CHECKS_21}


def test_every_check_is_documented() -> None:
    text = PAGE.read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([\w.-]+)` \| ([\d. ]+|all) \|", text, re.M)
    assert len({name for name, _ in rows}) == len(rows)
    for version, checks in CHECKS.items():
        said = {PREFIX + name for name, of in rows if of == "all" or version in of.split()}
        assert said == set(checks)


def test_every_warning_is_documented() -> None:
    text = PAGE.read_text(encoding="utf-8").partition("## Warnings")[2].partition("## What")[0]
    documented = set(re.findall(r"^\| `([a-z-]+)` \|", text, re.M))
    sources = Path(electionguard.__file__).parent.glob("*.py")
    used = {
        name
        for path in sources
        for name in re.findall(r'notice\(\s*"([a-z-]+)"', path.read_text(encoding="utf-8"))
    }
    assert documented == used


# -- the command -----------------------------------------------------------------------------------


def command(*arguments: str | Path) -> int:
    with pytest.raises(SystemExit) as leaving:
        cli.main([str(argument) for argument in arguments])
    assert isinstance(leaving.value.code, int)
    return leaving.value.code


@needs_vectors
def test_command(capsys: pytest.CaptureFixture[str]) -> None:
    record = ROOT / "eg10-minimal"
    digest = hashlib.sha256((record / "manifest.json").read_bytes()).hexdigest()
    assert command("verify", record, "--expect-manifest", digest, "--quiet") == 0
    text = capsys.readouterr().out
    assert text.endswith(
        "\nverified: all 38 checks passed; warnings: unbound-fields, unbound-proofs\n"
    )
    assert "System        ElectionGuard 1.0\n" in text
    assert command("verify", record, "--expect-manifest", "00" * 32, "--quiet") == 1
    assert "not the file that was expected" in capsys.readouterr().out
    assert command("verify", record, "--session", "x", "--quiet") == 2


# -- noise -----------------------------------------------------------------------------------------

NOISE: tuple[Any, ...] = (None, True, -1, 0, 2**70, "", "x", "00", [], {}, [[]], {"data": "zz"})


def mutate(data: bytes, rng: random.Random) -> bytes:
    """One change: of a value, of the structure, or of the bytes."""
    if rng.random() < 0.3:
        at = rng.randrange(len(data))
        return data[:at] + bytes([rng.randrange(256)]) + data[at + rng.randrange(2) :]
    value = json.loads(data)
    places = list(leaves(value))
    pointer, old = places[rng.randrange(len(places))]
    if rng.random() < 0.3 and pointer.count("/") > 1:
        pointer = pointer.rpartition("/")[0]
    new = rng.choice(NOISE) if rng.random() < 0.6 else changed(old)
    replace(value, pointer, new)
    return json.dumps(value).encode()


@needs_vectors
@pytest.mark.parametrize(
    ("vector", "count"), [("eg10-toy-bad", 100), ("eg21-ec-chain-partial", 40), ("eg191-bad", 4)]
)
def test_noise_ends_in_a_verdict(vector: str, count: int, tmp_path: Path) -> None:
    root = copy_writable(ROOT / vector, tmp_path / "record")
    files = sorted(path for path in root.rglob("*.json"))
    rng = random.Random(vector)  # the same noise in every run
    for _ in range(count):
        path = rng.choice(files)
        data = path.read_bytes()
        path.write_bytes(mutate(data, rng))
        report = audit(root)
        assert report.exit_code in (0, 1, 3, 4)
        assert_no_bug(report)
        assert report.to_json()
        path.write_bytes(data)


@needs_vectors
def test_a_manifest_cannot_ask_for_any_number_of_placeholders(tmp_path: Path) -> None:
    root = copy_writable(ROOT / "eg10-minimal", tmp_path / "record")
    manifest = read(root / "manifest.json")
    [contest] = manifest["contests"]
    contest["number_elected"] = 10_000
    text = json.dumps(contest)
    manifest["contests"] = [json.loads(text.replace("ref", f"r{i}ref")) for i in range(11)]
    write(root / "manifest.json", manifest)
    report = audit(root)
    assert "more than 100000 placeholders" in report.finding(PREFIX + "0.format").detail


@needs_vectors
def test_files_that_are_no_files(tmp_path: Path) -> None:
    """attacks: G3. Links and directories are not read."""
    root = copy_writable(ROOT / "eg10-minimal", tmp_path / "record")
    ballot = root / SUBMITTED
    ballot.rename(tmp_path / "elsewhere.json")
    ballot.symlink_to(tmp_path / "elsewhere.json")
    report = audit(root)
    assert "not a readable file" in report.finding(PREFIX + "0.format").detail
    ballot.unlink()
    ballot.mkdir()
    report = audit(root)
    assert "not a regular file" in report.finding(PREFIX + "0.format").detail
    ballot.rmdir()
    (tmp_path / "elsewhere.json").rename(ballot)
    assert audit(root).ok
