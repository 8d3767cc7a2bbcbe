"""The known answers for clients and auditors, computed twice: by evote and in plain integers.

`make_*.py` in tests/vectors say what evote computes, `check_*.py` compute it again from the inputs
alone, without a line of evote: files and formats are what docs/record-format.md says they are.
"""

from __future__ import annotations

import copy
import importlib.util
import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from evote.counting import SelectionCount, STVCount
from evote.election import manifest_digest
from evote.groups import named_group
from evote.groups.modp import ModPGroup
from evote.transcript import Transcript
from evote.verify import audit

VECTORS = Path(__file__).parent / "vectors"
RECORD = Path(__file__).parent / "records/v1-small/record"
MIXED = Path(__file__).parent / "records/v1-mixed/record"


def script(name: str) -> Any:
    """A script of tests/vectors, as a module."""
    sys.path.insert(0, str(VECTORS))
    try:
        spec = importlib.util.spec_from_file_location(name, VECTORS / f"{name}.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(VECTORS))
    return module


def answers(name: str) -> Any:
    return json.loads((VECTORS / f"{name}.json").read_bytes())


BALLOT = answers("ballot")
PLAIN = script("check_ballot")


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Every leaf of nested lists and objects, and the way to it."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from places(inner, (*path, key))
    elif isinstance(value, list):
        for key, inner in enumerate(value):
            yield from places(inner, (*path, key))
    else:
        yield path, value


def altered(document: Any, path: tuple[Any, ...], value: Any) -> Any:
    """A copy with another value in one place."""
    other = copy.deepcopy(document)
    inner = other
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return other


def another(value: Any) -> Any:
    """A value of the same kind that differs as little as it can."""
    if isinstance(value, int):
        return value + 1
    last = {"0": "1", "1": "0"}.get(value[:1], "0") if value[:1].isalnum() else "x"
    return last + value[1:]


@pytest.mark.parametrize("name", ["ballot", "mixed_ballot", "election", "shuffle"])
def test_evote_computes_the_file(name: str) -> None:
    made = script(f"make_{name}")
    text = json.dumps(made.build(), indent=1, ensure_ascii=False) + "\n"
    assert text == (VECTORS / f"{name}.json").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["ballot", "mixed_ballot", "election", "shuffle"])
def test_plain_integers_compute_the_file(name: str) -> None:
    document = answers(name)
    computed = script(f"check_{name}").compute(document["inputs"])
    for key, value in computed.items():
        assert value == document[key], key
    told = {"source", "made_by", "notation", "group", "inputs"}
    assert set(document) == told | set(computed), "values that nobody computes again"


@pytest.mark.parametrize(
    "name", ["plain", "check_ballot", "check_mixed_ballot", "check_election", "check_shuffle"]
)
def test_the_second_computation_is_independent(name: str) -> None:
    source = (VECTORS / f"{name}.py").read_text(encoding="utf-8")
    imports = [line for line in source.split("\n") if line.startswith(("import ", "from "))]
    assert imports
    assert not [line for line in imports if "evote" in line or "cryptography" in line]


def flipped(text: str, position: int) -> str:
    """A packed string with one character exchanged; its unused bits stay zero."""
    return text[:position] + ("A" if text[position] != "A" else "Q") + text[position + 1 :]


def test_the_plain_verifier_accepts_the_ballot_and_no_altered_one() -> None:
    inputs, body = BALLOT["inputs"], BALLOT["body_text"]
    PLAIN.verify(inputs, body)
    forged = [altered(json.loads(body), ("contests",), [])]
    for path, value in places(json.loads(body)):
        if path[-1] in ("ciphertexts", "options", "sum"):
            for position in {0, len(value) // 3, len(value) // 2, len(value) - 3}:
                forged.append(altered(json.loads(body), path, flipped(value, position)))
        else:
            forged.append(altered(json.loads(body), path, another(value)))
    assert len(forged) > 25
    for other in forged:
        text = json.dumps(other, sort_keys=True, separators=(",", ":"))
        with pytest.raises(ValueError, match=r"canonical|does not hold|another|not the|argument"):
            PLAIN.verify(inputs, text)
    with pytest.raises(ValueError, match="canonical"):
        PLAIN.verify(inputs, body + " ")


def test_the_plain_verifier_accepts_the_mixed_ballot_and_no_altered_one() -> None:
    document, plain = answers("mixed_ballot"), script("check_mixed_ballot")
    inputs, body = document["inputs"], document["body_text"]
    plain.verify(inputs, body)
    forged = [altered(json.loads(body), ("packs",), [])]
    for path, value in places(json.loads(body)):
        if path[-1] in ("ciphertexts", "proof"):
            for position in {0, len(value) // 3, len(value) // 2, len(value) - 3}:
                forged.append(altered(json.loads(body), path, flipped(value, position)))
        else:
            forged.append(altered(json.loads(body), path, another(value)))
    assert len(forged) > 20
    for other in forged:
        text = json.dumps(other, sort_keys=True, separators=(",", ":"))
        with pytest.raises(ValueError, match=r"canonical|does not hold|another|argument"):
            plain.verify(inputs, text)


MIXED_INPUTS = [path for path, _ in places(answers("mixed_ballot")["inputs"])]


@pytest.mark.parametrize("path", MIXED_INPUTS, ids=[".".join(map(str, p)) for p in MIXED_INPUTS])
def test_every_input_of_a_mixed_ballot_matters(path: tuple[Any, ...]) -> None:
    """attacks: A3. Each changed input changes the ballot or is refused."""
    document, plain = answers("mixed_ballot"), script("check_mixed_ballot")
    value = document["inputs"]
    for key in path:
        value = value[key]
    try:
        computed = plain.compute(altered(document["inputs"], path, another(value)))
    except (ValueError, KeyError):
        return
    assert computed["digest"] != document["digest"]


def test_plain_integers_read_what_evote_encrypts() -> None:
    """Messages come out of elements again; those of another pack are none."""
    document, plain = answers("mixed_ballot"), script("check_mixed_ballot")
    inputs, steps = document["inputs"], document["packs"]
    packs = [plain.pack_contests(pack, inputs) for pack in inputs["packs"]]
    elements = [[plain.decode(bytes.fromhex(e)) for e in step["elements"]] for step in steps]
    for contests, points, step in zip(packs, elements, steps, strict=True):
        assert plain.read(contests, points).hex() == step["message"]
    with pytest.raises(ValueError, match="no message of this pack"):
        plain.read(packs[0], elements[0][::-1])
    with pytest.raises(ValueError, match="no message of this pack"):
        plain.read(packs[0], elements[1])


def test_the_plain_audit_accepts_the_record_and_no_altered_file(tmp_path: Path) -> None:
    """Each file of the record in turn, with one character of one value exchanged."""
    inputs, plain = answers("election")["inputs"], script("check_election")
    shutil.copytree(RECORD, tmp_path / "record")
    inputs["record_text"] = str(tmp_path / "record")
    plain.compute(inputs)
    files = [path for path in sorted((tmp_path / "record").rglob("*")) if path.is_file()]
    assert len(files) == 19
    for path in files:
        data = path.read_bytes()
        forged = bytearray(data)
        # The last digit or letter of the file is one of a signature, a hash, or a count.
        place = max(i for i, byte in enumerate(data) if bytes([byte]).isalnum())
        forged[place] = ord("B") if data[place] != ord("B") else ord("C")
        path.write_bytes(forged)
        with pytest.raises((ValueError, LookupError)):
            plain.compute(inputs)
        path.write_bytes(data)
    plain.compute(inputs)


@pytest.mark.parametrize("path", [("ceremony_secrets", 1), ("codes_text", 3)])
def test_every_secret_of_the_record_matters(path: tuple[Any, ...]) -> None:
    inputs = answers("election")["inputs"]
    changed = altered(inputs, path, another(inputs[path[0]][path[1]]))
    with pytest.raises(ValueError, match=r"does not hold|mistyped"):
        script("check_election").compute(changed)


@pytest.mark.parametrize("name", ["rfc3526-2048", "belenios-2048"])
def test_transcripts_and_encodings_of_integer_groups(name: str) -> None:
    """Elements and scalars big-endian, each as wide as p and q; challenges little-endian."""
    plain, group = script("plain"), named_group(name)
    assert isinstance(group, ModPGroup)
    p, q, g = group.p, group.q, group.g
    wide, narrow = (p.bit_length() + 7) // 8, (q.bit_length() + 7) // 8
    parameters = plain.frame(
        name.encode(), p.to_bytes(wide, "big"), q.to_bytes(narrow, "big"), g.to_bytes(wide, "big")
    )
    assert parameters == group.parameters()
    ours = Transcript(b"known-answer", group, flavour=b"CDS")
    ours.append_elements(b"elements", group.generator ** group.scalars([[1, 2, 3]]))
    ours.append_scalars(b"scalars", group.scalars([5, q - 1]))
    theirs = plain.Transcript("known-answer", "CDS", name, parameters)
    elements = b"".join(pow(g, e, p).to_bytes(wide, "big") for e in (1, 2, 3))
    theirs.array("elements", (1, 3), elements)
    theirs.array("scalars", (2,), b"".join(x.to_bytes(narrow, "big") for x in (5, q - 1)))
    challenge = int.from_bytes(theirs.squeeze("challenge", narrow + 16), "little") % q
    assert ours.challenge(b"challenge") == group.scalars(challenge)
    assert ours.challenge(b"challenge") != group.scalars(challenge)


def test_the_kept_record_verifies() -> None:
    """Proofs made by each release keep verifying, or CHANGELOG.md says why not."""
    expected = answers("election")["identifiers"]
    digest = expected["manifest_digest"]
    first, second = (audit(RECORD, expect_manifest=digest, jobs=jobs) for jobs in (1, 2))
    assert first.ok
    assert first.verdict.startswith("self-consistent, not pinned: verified: ")
    assert first.verdict.endswith("not pinned: witnesses")
    assert first.election_id == bytes.fromhex(expected["election_id"])
    assert first.to_json() == second.to_json()
    assert first.to_text() == second.to_text()
    assert first.result is not None
    assert [list(row.votes) for row in first.result.contests] == [[1, 2], [1, 3]]
    assert {finding.outcome for finding in first.findings} == {"passed", "not applicable"}
    wrong = audit(RECORD, expect_manifest=bytes(32))
    assert [finding.check for finding in wrong.failures()] == ["manifest.digest"]


def test_the_kept_record_of_a_mixed_election_verifies() -> None:
    """Two servers, two packs, five units: shuffles made by this release keep verifying."""
    digest = manifest_digest((MIXED / "manifest.json").read_bytes())
    report = audit(MIXED, expect_manifest=digest)
    report.raise_for_failure()
    assert report.finding("mix.proofs").checked == 10
    assert report.result is not None
    ward, party, board = report.result.mixed
    assert isinstance(ward.outcome, STVCount)
    assert ward.outcome.elected == (1, 0)
    assert isinstance(party.outcome, SelectionCount)
    assert (party.outcome.votes, party.outcome.write_ins) == ((3, 0), (("Gr\u00fcn", 3),))
    assert isinstance(board.outcome, SelectionCount)
    assert board.outcome.votes == (3, 3, 1)
    assert report.result.contests[0].votes == (3, 3)


INPUTS = [path for path, _ in places(BALLOT["inputs"]) if path[0] != "proof_randomness"]
INPUTS += [path for path, _ in places(BALLOT["inputs"]) if path[0] == "proof_randomness"][::4]


@pytest.mark.parametrize("path", INPUTS, ids=[".".join(map(str, path)) for path in INPUTS])
def test_every_input_matters(path: tuple[Any, ...]) -> None:
    """Each changed input changes the ballot or is refused; a log's, the receipt."""
    value = BALLOT["inputs"]
    for key in path:
        value = value[key]
    try:
        computed = PLAIN.compute(altered(BALLOT["inputs"], path, another(value)))
    except (ValueError, KeyError):
        return  # refused, as a mistyped code or a false statement is
    changed = "receipt" if path[0] == "log" else "digest"
    assert computed[changed] != BALLOT[changed]
