"""Verificatum's proof directories: vectors, forgeries, sessions of our own, and noise."""

from __future__ import annotations

import random
import re
from concurrent.futures import Executor
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evote._trees import Directory
from evote._verificatum import _proofs, encode_protinfo
from evote._verificatum._oracle import Oracle
from evote._verificatum._protinfo import decode_protinfo
from evote._verificatum._trees import node
from evote.errors import DecodingError, EvoteError, ParameterError, ShapeMismatch
from evote.groups import Secrecy, _executor, named_group, ristretto255
from evote.interop import verificatum
from evote.interop._reports import ForeignReport
from evote.interop.verificatum import _decryption, _shuffles
from evote.interop.verificatum._audit import CHECKS, audit
from evote.interop.verificatum._prover import encode_polynomial
from evote.interop.verificatum._session import Files, Session, open_session
from tests.verificatum_sessions import (
    CASES,
    MANIFEST,
    ROOT,
    Election,
    copy_writable,
    edit_protinfo,
    entry_of,
    named,
    tamper,
    write_election,
)

P256 = encode_protinfo(named_group("P-256"), sid="evote1", parties=3, threshold=2)
ALONE = encode_protinfo(named_group("P-256"), sid="evote1")


def details(report: ForeignReport) -> str:
    return "\n".join(finding.detail for finding in report.findings)


def assert_no_bug(report: ForeignReport) -> None:
    assert "internal error" not in details(report)


# -- vectors ---------------------------------------------------------------------------------------


@cache
def honest(vector: str, auxsid: str) -> ForeignReport:
    entry = entry_of(vector, auxsid)
    return audit(
        ROOT / vector, session=auxsid, kind=entry["type"], auxsid=auxsid, width=entry["width"]
    )


@pytest.mark.parametrize("entry", MANIFEST, ids=named)
def test_vectors_verify(entry: dict[str, Any]) -> None:
    assert entry["expect"] == "accept"
    report = honest(entry["name"], entry["auxsid"])
    report.raise_for_failure()
    assert report.exit_code == 0
    shuffles = report.finding("verificatum.shuffles")
    assert shuffles.checked == entry["valid_shuffles"]
    assert str(shuffles.outcome) == ("passed" if entry["valid_shuffles"] else "not applicable")
    decrypts = entry["type"] != "shuffling"
    assert report.finding("verificatum.plaintexts").checked == (entry["N"] if decrypts else 0)
    weak = "q256" in entry["name"] or "pub_modp" in entry["name"] or "p192" in entry["name"]
    if not weak:
        assert report.notices == ()
    else:
        assert [notice.id for notice in report.notices] == ["weak-group"]


def test_every_session_of_a_directory_is_verified() -> None:
    if not MANIFEST:
        pytest.skip("no vectors: set EVOTE_VECTORS")
    for vector in {entry["name"] for entry in MANIFEST}:
        several = [entry for entry in MANIFEST if entry["name"] == vector]
        if len(several) > 1:
            report = audit(ROOT / vector)
            assert report.ok
            assert len(report.parts) == len(several)
            assert report.finding("verificatum.session").checked == len(several)


@pytest.mark.parametrize("entry", MANIFEST, ids=named)
def test_hashes_are_those_of_the_trace(
    entry: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[object] = []
    seed, challenge = Oracle.seed, Oracle.challenge

    def seed_seen(self: Oracle, *pieces: Any) -> bytes:
        found = seed(self, *pieces)
        seen.append(found.hex())
        return found

    def challenge_seen(self: Oracle, *arguments: Any) -> Any:
        found = challenge(self, *arguments)
        seen.append(found.to_ints())
        return found

    monkeypatch.setattr(Oracle, "seed", seed_seen)
    monkeypatch.setattr(Oracle, "challenge", challenge_seen)
    directory = ROOT / entry["name"]
    assert audit(directory, session=entry["auxsid"]).ok
    protocol = decode_protinfo((directory / "protInfo.xml").read_bytes())
    trace = dict(entry["trace"])
    assert Oracle(protocol, entry["auxsid"]).prefix.hex() == trace.pop("der.rho")
    q = protocol.group.order
    expected = [int(text, 16) % q if text.startswith("0x") else text for text in trace.values()]
    assert seen == expected


def reencoded(session: Session) -> dict[str, bytes]:
    """Every byte tree that a session uses, read and written again."""
    codec, widths, files = session.protocol.codec, session.widths, session.files
    inputs = session.read_list("Ciphertexts.bt")
    count = len(inputs)
    key = session.read_key()
    generators = codec.group.generator.broadcast_to((widths.key,))
    found = {
        "FullPublicKey.bt": node(
            codec.encode_item(generators, widths.key_parts),
            codec.encode_item(key, widths.key_parts),
        )
    }
    lists = [
        p.relative_to(files.tree.path).as_posix() for p in files.tree.path.rglob("*Ciphertexts*.bt")
    ]
    for name in lists:
        ciphertexts = session.read_list(name, count).ciphertexts
        found[name] = codec.encode_ciphertexts(ciphertexts, widths.ciphertext_parts)
    forms = (_proofs.POS,) if session.precomputed is None else (_proofs.POSC, _proofs.CCPOS)
    for party in range(1, session.active + 1):
        if not files.has(f"proofs/PermutationCommitment{party:02d}.bt"):
            continue
        size = session.precomputed or count
        u, _ = _shuffles.read_commitments(session, party, size)
        name = f"proofs/PermutationCommitment{party:02d}.bt"
        found[name] = codec.encode_elements(u, ())
        if session.precomputed is not None:
            name = f"proofs/KeepList{party:02d}.bt"
            kept = _shuffles.decode_keep_list(files.read(name), size, count, where=name)
            found[name] = _shuffles.encode_keep_list(kept, size)
        for form in forms:
            size = count if form is not _proofs.POSC else session.precomputed or 0
            commitment, _ = _shuffles.read_commitment(session, form, party, size)
            responses = _shuffles.read_responses(session, form, party, size)
            parts = widths.message_parts
            name = f"proofs/{form.name}Commitment{party:02d}.bt"
            found[name] = _proofs.encode_commitment(codec, commitment, parts)
            name = f"proofs/{form.name}Reply{party:02d}.bt"
            found[name] = _proofs.encode_responses(codec, responses, parts)
    if session.decrypts:
        decryption = _decryption.read_decryption(session, count)
        for i in range(session.protocol.parties):
            shown = f"{i + 1:02d}.bt"
            found[f"proofs/DecryptionFactors{shown}"] = codec.encode_elements(
                decryption.factors[i], widths.message_parts
            )
            found[f"proofs/DecrFactCommitment{shown}"] = node(
                codec.encode_item(decryption.y_prime[i], widths.key_parts),
                codec.encode_item(decryption.b_prime[i], widths.message_parts),
            )
            found[f"proofs/DecrFactReply{shown}"] = codec.encode_scalar_item(
                decryption.responses[i], widths.key_parts
            )
        reader = files.reader("Plaintexts.bt")
        plaintexts = codec.elements(reader, widths.message_parts, count)
        found["Plaintexts.bt"] = codec.encode_elements(plaintexts, widths.message_parts)
    if files.has("proofs/PolynomialInExponent.bt"):
        polynomial = _decryption.read_polynomial(session, key).coefficients
        found["proofs/PolynomialInExponent.bt"] = node(
            *(codec.encode_item(polynomial[i], widths.key_parts) for i in range(len(polynomial)))
        )
    return found


@pytest.mark.parametrize("entry", MANIFEST, ids=named)
def test_files_are_written_as_they_were(entry: dict[str, Any]) -> None:
    protocol = decode_protinfo((ROOT / entry["protInfo"]).read_bytes())
    files = Files(Directory(ROOT / entry["nizkp"]), entry["auxsid"])
    session = open_session(protocol, files)
    found = reencoded(session)
    for name, data in found.items():
        assert data == files.read(name), name
    names = {p.relative_to(files.tree.path).as_posix() for p in files.tree.path.rglob("*.bt")}
    assert names - set(found) <= {"proofs/CorrectIndices.bt"}


# What the vectors call the refusal, our check, and words of its detail.
REFUSALS = {
    "invalid shuffle 1": ("shuffles", "party 1: invalid shuffle"),
    "invalid shuffle 2": ("shuffles", "party 2: invalid shuffle"),
    "not on curve": ("shuffles", "no point of the curve"),
    "too few valid shuffles": ("quorum", "too few valid shuffles"),
    "ShuffledCiphertexts differs from verified output": ("output", "differs from the last"),
    "auxsid": ("session", "auxsid: "),
    "version": ("session", "version: "),
    "missing CorrectIndices.bt": ("decryption", "CorrectIndices.bt: file is missing"),
    "width": ("session", "width: 1 expected, got 2"),
    "active threshold": ("session", "active threshold: "),
    "trailing data": ("shuffles", "1 bytes follow the tree"),
    "pk generator": ("key", "the first part is not the generator"),
    "missing KeepList01.bt": ("shuffles", "KeepList01.bt: file is missing"),
    "plaintexts": ("plaintexts", "plaintexts differ at index"),
    "decryption proof (key)": ("decryption", "the decryption proof (key) does not hold"),
    "correct indices": ("decryption", "correct indices: 1 parties, 2 needed"),
    "pk/poly mismatch": ("polynomial", "not that of the public key"),
    "missing ShuffledCiphertexts.bt": ("output", "ShuffledCiphertexts.bt: file is missing"),
    "keep list": ("shuffles", "a keep list of bytes 00 and 4 bytes 01 expected"),
    "array size": ("shuffles", "a node of 7 expected, got 6"),
    "not a group element": ("shuffles", "not a group element at index"),
}
# Two are refused before the equations: as forms, where the vectors' author computed on.
FORMS = {
    "pos-reply-noncanonical": "PoSReply01.bt: a number that is too large",
    "surplus-child": "PoSReply01.bt: at byte 0: a node of 6 expected, got 7",
}


@pytest.mark.parametrize("case", CASES, ids=lambda case: str(case["id"]))
def test_forgeries_are_refused_by_the_named_check(case: dict[str, Any], tmp_path: Path) -> None:
    vector, auxsid = case["vector"], case["auxsid"]
    honest(vector, auxsid).raise_for_failure()
    entry = entry_of(vector, auxsid)
    root = copy_writable(ROOT / vector, tmp_path / "record")
    tamper(root, root / "nizkp" / auxsid, case["ops"])
    report = audit(
        root,
        session=auxsid,
        kind=case.get("check_type", entry["type"]),
        auxsid=case.get("check_auxsid", auxsid),
        width=case.get("check_width", entry["width"]),
    )
    assert report.exit_code == 1
    assert_no_bug(report)
    check, words = REFUSALS[case["strict_oracle"].removeprefix("reject: ")]
    finding = report.finding(f"verificatum.{check}")
    assert str(finding.outcome) == "failed"
    assert FORMS.get(case["id"], words) in finding.detail


def test_a_session_is_called_as_its_directory(tmp_path: Path) -> None:
    write_election(tmp_path, ALONE, "shuffling", auxsid="ward1", count=1)
    assert audit(tmp_path).ok
    (tmp_path / "nizkp" / "ward1").rename(tmp_path / "nizkp" / "ward2")
    report = audit(tmp_path)
    assert "auxsid: ward2 expected, got ward1" in report.finding("verificatum.session").detail
    assert audit(tmp_path, auxsid="ward1").ok
    one = tmp_path / "nizkp" / "ward2"
    assert audit(one, protinfo=tmp_path / "protInfo.xml").ok


# -- sessions of our own ---------------------------------------------------------------------------

SESSIONS: dict[str, tuple[bytes, str, dict[str, Any]]] = {
    "shuffling": (P256, "shuffling", {}),
    "all-shuffle": (P256, "shuffling", {"mixers": (1, 2, 3)}),
    "one-absent": (P256, "shuffling", {"mixers": (1, 3)}),
    "one-ciphertext": (ALONE, "shuffling", {"count": 1}),
    "width-3": (ALONE, "shuffling", {"width": 3}),
    "precomputed": (P256, "shuffling", {"precomputed": 6}),
    "precomputed-all": (ALONE, "shuffling", {"precomputed": 4}),
    "mixing": (P256, "mixing", {"present": (1, 3)}),
    "decryption": (P256, "decryption", {"present": (2, 3)}),
    "decryption-by-all": (P256, "decryption", {"present": (1, 2, 3)}),
    "key-width-2": (
        encode_protinfo(named_group("P-256"), sid="wide", parties=2, threshold=2, key_width=2),
        "mixing",
        {"width": 2, "precomputed": 5},
    ),
    "four-parties": (
        encode_protinfo(named_group("P-224"), sid="four", parties=4, threshold=3),
        "mixing",
        {"present": (1, 2, 4)},
    ),
    "odd-bits": (
        encode_protinfo(
            named_group("P-521"),
            sid="odd",
            statdist=99,
            challenge_bits=261,
            batching_bits=259,
            prg="SHA-384",
            rohash="SHA-512",
        ),
        "mixing",
        {},
    ),
    "safe-prime": (encode_protinfo(named_group("ffdhe2048"), sid="modp"), "mixing", {"count": 2}),
    "subgroup": (encode_protinfo(named_group("helios-2048"), sid="sub"), "mixing", {"count": 2}),
}


@pytest.mark.parametrize("name", SESSIONS)
def test_our_sessions_verify(name: str, tmp_path: Path) -> None:
    protinfo, kind, options = SESSIONS[name]
    election = write_election(tmp_path, protinfo, kind, **options)
    report = audit(tmp_path, kind=kind, width=options.get("width", 1))
    report.raise_for_failure()
    assert report.notices == ()
    session = tmp_path / "nizkp" / "default"
    if kind != "shuffling":
        files = Files(Directory(session), "x")
        opened = open_session(election.protocol, files)
        reader = files.reader("Plaintexts.bt")
        codec, parts = election.protocol.codec, opened.widths.message_parts
        plaintexts = codec.elements(reader, parts, len(election.inputs))
        width = election.messages.shape[1]
        rows = plaintexts.reshape((len(election.inputs), width))
        key = {election.messages[i].encode() for i in range(len(election.messages))}
        assert {rows[i].encode() for i in range(len(rows))} == key


def test_the_smallest_directory_has_the_files_that_vmnv_accepted(tmp_path: Path) -> None:
    """And its protInfo.xml is, byte for byte, the one that Verificatum's verifier read."""
    accepted = ROOT / "oracle_written_minimal"
    if not accepted.exists():
        pytest.skip("no vectors: set EVOTE_VECTORS")
    write_election(tmp_path, ALONE, "shuffling", auxsid="aux_1", count=10)
    assert (accepted / "protInfo.xml").read_bytes() == ALONE
    sizes = [
        {p.relative_to(root): p.stat().st_size for p in root.rglob("*") if p.is_file()}
        for root in (tmp_path, accepted)
    ]
    assert sizes[0] == sizes[1]


def test_parties_write_one_after_the_other(tmp_path: Path) -> None:
    protocol = decode_protinfo(P256)
    election = Election(protocol, 2, 1)
    current = election.inputs
    whole = verificatum.session_files(
        protocol, "a", "shuffling", election.key, election.inputs, mixers=2
    )
    for party in (1, 2):
        assert not verificatum.is_verificatum(Directory(tmp_path)) or not audit(tmp_path).ok
        outputs, witness = election.shuffle(current)
        files = whole | verificatum.shuffle_files(
            protocol, "a", party, election.key, current, outputs, witness
        )
        verificatum.write_session(tmp_path, P256, "a", files)
        current = outputs
    assert audit(tmp_path).ok
    verificatum.write_session(tmp_path, P256, "a", files)  # the same again
    with pytest.raises(ParameterError, match="exists already"):
        verificatum.write_session(tmp_path, ALONE, "a", files)


def test_one_session_alone(tmp_path: Path) -> None:
    write_election(tmp_path, ALONE, "shuffling", auxsid="a", count=1)
    write_election(tmp_path, ALONE, "mixing", auxsid="b", count=1)
    report = audit(tmp_path)
    assert report.ok
    assert report.parts == (
        "nizkp/a: shuffling, 1 ciphertexts of width 1",
        "nizkp/b: mixing, 1 ciphertexts of width 1",
    )
    assert audit(tmp_path, session="b").parts == report.parts[1:]
    with pytest.raises(ParameterError, match="no session 'c'; there are a, b"):
        audit(tmp_path, session="c")
    (tmp_path / "nizkp" / "a" / "proofs" / "PoSReply01.bt").unlink()
    assert audit(tmp_path).exit_code == 1
    assert audit(tmp_path, session="b").ok


def test_processes_give_the_same_report(tmp_path: Path) -> None:
    write_election(tmp_path, ALONE, "mixing", count=2)
    assert audit(tmp_path, jobs=2).to_json() == audit(tmp_path).to_json()


class Broken(Executor):
    """An executor that takes no work."""

    def submit(self, *arguments: Any, **named: Any) -> Any:
        raise RuntimeError("no workers left")


def test_a_worker_that_breaks_down_accuses_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_executor, "_WORTH_SECONDS", 0)  # whatever the backend, all is sent
    write_election(tmp_path, ALONE, "shuffling", count=80)
    report = audit(tmp_path, jobs=Broken())
    assert report.exit_code == 3
    assert report.failures() == ()
    assert "no workers left" in details(report)
    assert audit(tmp_path).exit_code == 0


def test_a_permutation_that_moves_nothing_is_reported(tmp_path: Path) -> None:
    protocol = decode_protinfo(ALONE)
    election = Election(protocol, 2, 1)
    zero = protocol.codec.group.scalars([[0], [0]], secrecy=Secrecy.ONE_TIME)
    witness = election.shuffle(election.inputs)[1]
    witness = type(witness)(permutation=np.arange(2), nonces=zero)
    key, inputs = election.key, election.inputs
    files = verificatum.shuffle_files(protocol, "a", 1, key, inputs, inputs, witness)
    files |= verificatum.session_files(protocol, "a", "shuffling", key, inputs, mixers=1)
    verificatum.write_session(tmp_path, ALONE, "a", files)
    report = audit(tmp_path)
    assert report.ok
    assert [notice.id for notice in report.notices] == ["unchanged-ciphertexts"]
    assert "left 2 of 2 as they were" in report.notices[0].detail
    assert "warnings: unchanged-ciphertexts" in report.verdict


def test_writers_refuse_what_does_not_fit() -> None:
    protocol = decode_protinfo(P256)
    election = Election(protocol, 2, 1)
    outputs, witness = election.shuffle(election.inputs)
    key, inputs = election.key, election.inputs
    for mixers in (1, 4):
        with pytest.raises(ParameterError, match="mixers expected"):
            verificatum.session_files(protocol, "a", "shuffling", key, inputs, mixers=mixers)
    with pytest.raises(ParameterError, match="2 to 2 mixers"):
        verificatum.session_files(protocol, "a", "mixing", key, inputs, mixers=3)
    with pytest.raises(ParameterError, match="a kind of session"):
        verificatum.session_files(protocol, "a", "counting", key, inputs, mixers=2)
    with pytest.raises(ShapeMismatch, match="outputs"):
        verificatum.shuffle_files(protocol, "a", 1, key, inputs, outputs[:1], witness)
    with pytest.raises(ShapeMismatch):
        verificatum.shuffle_files(protocol, "a", 1, key, inputs[:0], outputs[:0], witness)
    other = decode_protinfo(encode_protinfo(named_group("P-384"), sid="other"))
    with pytest.raises(ParameterError, match="P-384 expected"):
        verificatum.shuffle_files(other, "a", 1, key, inputs, outputs, witness)
    prepared = verificatum.precompute(protocol, "a", 1, np.array([2, 0, 1]))
    assert [array.tolist() for array in prepared.shrink(2)] == [[0, 2], [1, 0]]
    with pytest.raises(ParameterError, match="not that of the precomputation"):
        verificatum.shuffle_files(
            protocol,
            "a",
            1,
            key,
            inputs,
            outputs,
            type(witness)(permutation=np.array([0, 1]), nonces=witness.nonces),
            precomputation=prepared,
        )
    with pytest.raises(ParameterError, match="4 of 3 commitments"):
        prepared.shrink(4)
    with pytest.raises(ParameterError, match="long-term secret"):
        verificatum.decryption_factors(protocol, inputs, election.shares[0].publish())
    with pytest.raises(ParameterError, match="no group ristretto255"):
        encode_protinfo(ristretto255, sid="a")
    with pytest.raises(ParameterError, match="<sid>"):
        encode_protinfo(named_group("P-256"), sid="a.b")
    with pytest.raises(ParameterError):
        encode_protinfo(named_group("P-256"), sid="a</sid><sids>b</sids><c><sid>d")
    with pytest.raises(ParameterError, match="<vbitlenro>"):
        encode_protinfo(named_group("P-256"), sid="a", challenge_bits=64)


# -- noise -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A mixing with precomputation: the most files a session has."""
    root = tmp_path_factory.mktemp("written")
    write_election(root, ALONE, "mixing", count=2, precomputed=3)
    audit(root).raise_for_failure()
    return root


def mutations(data: bytes, rng: random.Random) -> list[bytes]:
    """One of each kind: a bit, a cut, a byte more, a huge length, nothing at all."""
    place = rng.randrange(len(data))
    flipped = bytearray(data)
    flipped[place] ^= 1 << rng.randrange(8)
    start = rng.randrange(max(1, len(data) - 4))
    huge = data[:start] + b"\xff\xff\xff\xf0" + data[start + 4 :]
    return [bytes(flipped), data[:place], data + b"\0", huge, b""]


def test_noise_is_a_finding_and_never_anything_else(written: Path) -> None:
    rng = random.Random(20)
    session = written / "nizkp" / "default"
    count = 0
    for path in sorted(p for p in session.rglob("*") if p.is_file()):
        data = path.read_bytes()
        for changed in mutations(data, rng):
            if changed == data or (path.name == "CorrectIndices.bt" and changed[5:6] == b"\0"):
                continue
            path.write_bytes(changed)
            try:
                report = audit(written)
                assert not report.ok, (path.name, changed.hex()[:80])
                assert_no_bug(report)
                count += 1
            finally:
                path.write_bytes(data)
    assert count > 90
    assert audit(written).ok


def test_every_missing_file_is_named(written: Path) -> None:
    session = written / "nizkp" / "default"
    for path in sorted(p for p in session.rglob("*") if p.is_file()):
        if path.name == "CCPoSCommitment01.bt":
            continue  # then the party took no part: the next test
        aside = path.rename(written / "aside")
        try:
            report = audit(written)
            assert report.exit_code == 1
            named = path.relative_to(written).as_posix()
            if path.name == "maxciph":  # without it, another proof is looked for
                named = "PermutationCommitment01.bt"
            assert named in details(report)
        finally:
            aside.rename(path)


def test_a_party_without_a_proof_took_no_part(written: Path) -> None:
    path = written / "nizkp" / "default" / "proofs" / "CCPoSCommitment01.bt"
    aside = path.rename(written / "aside")
    try:
        report = audit(written)
        assert "too few valid shuffles: 0, 1 needed" in details(report)
    finally:
        aside.rename(path)


def test_links_and_odd_files_are_refused(written: Path, tmp_path: Path) -> None:
    root = copy_writable(written, tmp_path / "copy")
    session = root / "nizkp" / "default"
    target = session / "Plaintexts.bt"
    aside = target.rename(root / "aside")
    target.symlink_to(aside)
    assert "Plaintexts.bt" in audit(root).finding("verificatum.plaintexts").detail
    target.unlink()
    target.mkdir()
    assert "not a regular file" in audit(root).finding("verificatum.plaintexts").detail
    assert audit(written).ok


def test_noise_in_the_parameters(written: Path, tmp_path: Path) -> None:
    """A flipped bit in a name or an address is not noticed: nothing depends on these."""
    rng = random.Random(21)
    root = copy_writable(written, tmp_path / "copy")
    path = root / "protInfo.xml"
    data = path.read_bytes()
    outcomes = set()
    for _ in range(20):
        for changed in mutations(data, rng):
            path.write_bytes(changed)
            report = audit(root)
            assert_no_bug(report)
            outcomes.add(report.exit_code)
    assert outcomes <= {0, 1, 3, 4}
    assert {0, 4} <= outcomes


def test_parameters_that_change_the_hashes(written: Path, tmp_path: Path) -> None:
    changes = {
        "sid": "evote2",
        "statdist": "101",
        "vbitlenro": "255",
        "ebitlenro": "257",
        "prg": "SHA-384",
        "rohash": "SHA-384",
    }
    for tag, value in changes.items():
        root = copy_writable(written, tmp_path / tag)
        edit_protinfo(root / "protInfo.xml", tag, value)
        report = audit(root)
        assert report.exit_code == 1, tag
        assert str(report.finding("verificatum.shuffles").outcome) == "failed"
    assert audit(written).ok


def test_an_unknown_version_is_not_checked(written: Path, tmp_path: Path) -> None:
    root = copy_writable(written, tmp_path / "copy")
    edit_protinfo(root / "protInfo.xml", "version", "4.0.0")
    report = audit(root)
    assert report.exit_code == 3
    assert not report.ok
    assert "Verificatum 4.0.0" in report.finding("verificatum.protinfo").detail
    with pytest.raises(EvoteError, match=r"4\.0\.0"):
        report.raise_for_failure()
    assert audit(written).exit_code == 0


def test_an_empty_directory_of_sessions(tmp_path: Path) -> None:
    (tmp_path / "nizkp").mkdir()
    (tmp_path / "protInfo.xml").write_bytes(ALONE)
    report = audit(tmp_path)
    assert report.exit_code == 1
    assert "no session" in report.finding("verificatum.session").detail


def test_arguments(tmp_path: Path) -> None:
    write_election(tmp_path, ALONE, "shuffling", count=1)
    one = tmp_path / "nizkp" / "default"
    with pytest.raises(ParameterError, match=r"protInfo\.xml"):
        audit(one)
    with pytest.raises(ParameterError, match="is one session"):
        audit(one, protinfo=tmp_path / "protInfo.xml", session="default")
    with pytest.raises(ParameterError, match="jobs"):
        audit(tmp_path, jobs=0)
    missing = audit(one, protinfo=tmp_path / "nothing.xml")
    assert missing.exit_code == 4
    assert "file is missing" in details(missing)


def test_the_polynomial_of_a_shuffling_is_that_of_the_key(tmp_path: Path) -> None:
    election = write_election(tmp_path, ALONE, "shuffling", count=1)
    path = tmp_path / "nizkp" / "default" / "proofs" / "PolynomialInExponent.bt"
    assert str(audit(tmp_path).finding("verificatum.polynomial").outcome) == "not applicable"
    path.write_bytes(encode_polynomial(election.protocol, election.coefficients))
    assert str(audit(tmp_path).finding("verificatum.polynomial").outcome) == "passed"
    path.write_bytes(encode_polynomial(election.protocol, election.messages[0].reshape((1, 1))))
    report = audit(tmp_path)
    assert report.exit_code == 1
    assert "not that of the public key" in report.finding("verificatum.polynomial").detail


def test_a_list_of_no_ciphertexts(written: Path, tmp_path: Path) -> None:
    root = copy_writable(written, tmp_path / "copy")
    empty = node(node(), node())
    (root / "nizkp" / "default" / "Ciphertexts.bt").write_bytes(empty)
    report = audit(root)
    assert "an empty list" in report.finding("verificatum.ciphertexts").detail
    session = open_session(
        decode_protinfo(ALONE), Files(Directory(root / "nizkp" / "default"), "x")
    )
    with pytest.raises(DecodingError, match="empty list"):
        session.read_list("Ciphertexts.bt")


# -- documents -------------------------------------------------------------------------------------


def test_every_check_is_documented() -> None:
    page = (Path(__file__).parents[1] / "docs" / "verificatum.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(verificatum\.[a-z-]+)` \| (\w+) \|", page, re.M)
    assert [(name, f"verificatum, {place}") for name, place in rows] == [
        (name, check.reference) for name, check in CHECKS.items()
    ]
    headings = re.findall(r"^## (.*)$", page, re.M)
    assert {place for _, place in rows} <= set(headings)
    for warning in ("weak-group", "unchanged-ciphertexts"):
        assert f"| `{warning}` |" in page
