"""Belenios' archives: vectors, forgeries, running elections, shuffles of our own, and noise."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evote import cli
from evote.elgamal import Ciphertexts
from evote.errors import DecodingError, EvoteError, ParameterError, UnsupportedError
from evote.groups import ModPGroup, Secrecy, ed25519
from evote.interop import belenios
from evote.interop._reports import ForeignReport
from evote.interop.belenios import _ballots, _box, _shuffles, profile
from evote.interop.belenios._archive import Archive, is_archive
from evote.interop.belenios._codec import GROUPS, codec_of
from evote.interop.belenios._election import Election, decode_election
from evote.interop.belenios._forms import Failed, parse
from evote.interop.belenios._oracle import Oracle
from evote.interop.belenios._trustees import check_trustees, decode_trustees
from evote.interop.belenios._writer import begin_archive, open_growing
from evote.interop.recognition import Options, audit, recognise
from evote.mixnet import ShuffleWitness
from tests.belenios_archives import (
    CASES,
    ROOT,
    VECTORS,
    Parts,
    another,
    dump,
    expected,
    header,
    leaves,
    reach,
    tampered,
)

pytestmark = pytest.mark.skipif(not VECTORS, reason="no vectors: set EVOTE_VECTORS")

SMALL = "one-voter-ed25519/sJeP1DycCdQFSJ.bel"
THRESHOLD = "threshold-ed25519/9rGoEiHf5Esv5i.bel"
RANKED = "v2dev-threshold-nh-ed25519/rfKM2M4yXSTJAp.bel"
WEIGHTED = "h-weights-ed25519/jiRP7YnjpU33s6.bel"
REVOTES = "h-ed25519/8F82iMB8XaUKFR.bel"


def details(report: ForeignReport) -> str:
    return "\n".join(finding.detail for finding in report.findings)


def failed(report: ForeignReport) -> list[str]:
    return [finding.check.removeprefix("belenios.") for finding in report.failures()]


def notices(report: ForeignReport) -> list[str]:
    return list(dict.fromkeys(notice.id for notice in report.notices))


def verdict_on(data: bytes, place: Path, **options: Any) -> ForeignReport:
    place.write_bytes(data)
    report = belenios.audit(place, **options)
    assert "internal error" not in details(report)
    return report


@pytest.fixture
def remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ballots that were verified once are not verified again, whatever else has changed."""
    monkeypatch.setattr(_box, "verify_batch", _verify_new)


_VALID: dict[object, list[str]] = {}


def _verify_new(batch: Any, election: Any, plan: Any) -> tuple[list[Failed], list[list[str]]]:
    keys = [
        (
            *(election.fingerprint, election.codec.texts(election.key)[0]),
            *(ballot.credential, ballot.signed, ballot.signature),
            *(tuple(ballot.choices), tuple(ballot.proofs), tuple(ballot.nonzero)),
        )
        for ballot in batch.ballots
    ]
    rows = [i for i, key in enumerate(keys) if key not in _VALID]
    names = ("alpha", "beta", "keys", "challenges", "responses", "commitments", "nonzero")
    part = _ballots.Batch(
        ballots=[batch.ballots[i] for i in rows],
        **{name: getattr(batch, name).take(rows) for name in names},
    )
    found, commitments = _ballots.verify_batch(part, election, plan)
    new = dict(zip(rows, commitments, strict=True))
    if not found:
        _VALID.update({keys[i]: points for i, points in new.items()})
    return found, [new[i] if i in new else _VALID[key] for i, key in enumerate(keys)]


# -- vectors ---------------------------------------------------------------------------------------

WARNED = {
    "compat-2.5-threshold": ["old-threshold"],
    "compat-2.5.1-threshold": ["old-threshold"],
    "one-voter-ed25519": ["revealed-ballot"],
    "v2dev-h-ed25519": ["development-version"],
    "v2dev-lists-rfc3526": ["development-version"],
    "v2dev-threshold-nh-ed25519": ["development-version"],
}


@pytest.mark.usefixtures("remembered")
@pytest.mark.parametrize("vector", VECTORS)
def test_vectors_verify(vector: str) -> None:
    report, known = belenios.audit(ROOT / vector), expected(vector)
    report.raise_for_failure()
    assert report.exit_code == 0
    assert report.system == f"Belenios, protocol version {known['protocol_version']}"
    assert notices(report) == WARNED.get(vector.split("/")[0], [])
    counts = (known["ballots_in_archive"], known["num_tallied"], known["num_credentials"])
    ballots, counted, credentials = counts
    line = f"{ballots} ballots, {counted} counted, of {credentials} credentials"
    assert line in report.parts
    assert report.finding("belenios.ballot-signature").checked == ballots
    shuffles = report.finding("belenios.shuffle-owner")
    assert shuffles.checked == known["shuffles"]
    assert str(shuffles.outcome) == ("passed" if known["shuffles"] else "not applicable")
    quorum = report.finding("belenios.partial-decryption-threshold")
    assert str(quorum.outcome) == ("passed" if known["threshold"] else "not applicable")


@pytest.mark.parametrize("vector", VECTORS)
def test_archives_are_put_together_as_they_were(vector: str) -> None:
    data = (ROOT / vector).read_bytes()
    assert Parts(data).data() == data


@pytest.mark.parametrize("name", GROUPS)
def test_groups_are_those_of_belenios(name: str) -> None:
    known, codec = json.loads((ROOT / "groups.json").read_bytes())[name], codec_of(name)
    assert codec.order == int(known["q"])
    assert codec.texts(codec.group.generator) == [known["g"]]
    if isinstance(codec.group, ModPGroup):
        assert codec.group.p == int(known["p"])
    wanted = [known["generators"][str(i)] for i in range(-1, len(known["generators"]) - 1)]
    assert codec.texts(codec.generators(len(wanted))) == wanted
    assert codec.texts(codec.generators(2)) == wanted[:2]
    assert codec.group.identity((0,)).shape == codec.generators(0).shape


def test_points_of_ed25519_are_those_of_belenios() -> None:
    known, codec = json.loads((ROOT / "groups.json").read_bytes())["Ed25519"], codec_of("Ed25519")
    g = codec.group.generator
    assert codec.texts(g * g) == [known["point_examples"]["2g"]]
    assert codec.texts(g.inverse()) == [known["point_examples"]["g^-1"]]
    assert codec.texts(codec.group.identity()) == [known["neutral"]]
    x, y = ed25519.to_affine(g * g)[0]
    assert f"{(x & 1) << 255 | y:064x}" == known["point_examples"]["2g"]
    assert (-x * x + y * y - 1 + x * x * y * y * 121665 * pow(121666, -1, 2**255 - 19)) % (
        2**255 - 19
    ) == 0


@pytest.mark.parametrize("name", ["Ed25519", "RFC-3526-2048"])
def test_numbers_survive_elements(name: str) -> None:
    codec = codec_of(name)
    rows = [[0, 0, 0], [1, 2, 3], [255, 255, 255], [0, 7, 0]]
    elements = codec.decode(codec.from_numbers(rows))
    assert codec.to_numbers(elements, 3) == rows
    assert codec.to_numbers(elements, 1) == [row[-1:] for row in rows]  # what is above is ignored
    with pytest.raises(DecodingError):
        codec.check_embedding(300)


def test_no_numbers_in_a_group_without_room() -> None:
    with pytest.raises(DecodingError):
        codec_of("BELENIOS-2048").check_embedding(1)


# -- forgeries -------------------------------------------------------------------------------------

# Where this verifier decides otherwise than the list; docs/belenios.md says why.
OTHERWISE: dict[str, tuple[list[str], str]] = {
    "B20": ([], "odd-answers"),
    "B51": (["shuffle-proof"], "tally-order"),
}


@pytest.mark.usefixtures("remembered")
@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_forgeries_are_refused_at_their_check(case: dict[str, Any], tmp_path: Path) -> None:
    known = expected(case["file"])
    assert honest(case["file"]).ok
    data = (ROOT / case["file"]).read_bytes()
    forged = tampered(data, case, known["private_credentials"], known["uuid"])
    assert forged != data
    report = verdict_on(forged, tmp_path / "x.bel")
    check = case["expected_failing_check"]
    if case["id"] in OTHERWISE:
        checks, warning = OTHERWISE[case["id"]]
        assert failed(report) == checks
        assert warning in notices(report)
    elif check == "none":
        assert report.exit_code == 0
    else:
        assert report.exit_code == 1
        assert check in failed(report)
    if case["id"] == "B74":
        assert notices(report) == ["invalid-partial-decryption"]


@cache
def honest(vector: str) -> ForeignReport:
    return belenios.audit(ROOT / vector)


def test_copies_and_repeated_nonces_are_reported(tmp_path: Path) -> None:
    [case] = [case for case in CASES if case["id"] == "B17"]
    known, data = expected(REVOTES), (ROOT / REVOTES).read_bytes()
    forged = tampered(data, case, known["private_credentials"], known["uuid"])
    report = verdict_on(forged, tmp_path / "x.bel")
    assert {"copied-ciphertexts", "repeated-commitments"} <= set(notices(report))
    assert notices(honest(REVOTES)) == []


def setup_of(vector: str) -> tuple[Election, bytes]:
    parts = Parts((ROOT / vector).read_bytes())
    return decode_election(parts.items[0].data[0]), parts.items[0].data[1]


@pytest.mark.parametrize("vector", [THRESHOLD, RANKED, "compat-2.5-threshold/ZKiRiMcjqDi6wz.bel"])
def test_every_leaf_of_the_trustees_is_bound(vector: str) -> None:
    election, data = setup_of(vector)
    assert not check_trustees(decode_trustees(data, election), election)
    value, codec = json.loads(data), election.codec
    for pointer in leaves(value):
        forged = json.loads(data)
        parent, key = reach(forged, pointer)
        if isinstance(parent[key], str) and parent[key].startswith("{"):  # version 1's messages
            parent[key] = parent[key].replace(":", ": ", 1)
        else:
            parent[key] = another(parent[key], codec)
        try:
            wrong = check_trustees(decode_trustees(dump(forged), election), election)
        except EvoteError:
            continue
        assert wrong, pointer


def test_trustees_of_two_generations_are_refused() -> None:
    election, data = setup_of(THRESHOLD)
    for remove in ("/1/1/signatures", "/1/1/verification_keys/1/signature"):
        forged = json.loads(data)
        parent, key = reach(forged, remove)
        del parent[key]
        with pytest.raises(DecodingError, match="generation"):
            decode_trustees(dump(forged), election)


# -- shuffles --------------------------------------------------------------------------------------


def first_shuffle(vector: str) -> tuple[Election, Any, list[Ciphertexts]]:
    parts = Parts((ROOT / vector).read_bytes())
    election = decode_election(parts.items[0].data[0])
    tally = json.loads(parts.of("EncryptedTally")[0].data[0])
    inputs = [_shuffles.read_ciphertexts(tally[i], election.codec, "tally") for i in election.mixed]
    value = json.loads(parts.of("Shuffle")[0].data[0])
    return election, value["message"] if election.version == 2 else value, inputs


def test_every_leaf_of_a_shuffle_is_bound() -> None:
    election, value, inputs = first_shuffle(RANKED)
    assert len(_shuffles.check_shuffle(value, election, inputs, "shuffle")) == 1
    text = dump(value)
    for pointer in leaves(value):
        forged = json.loads(text)
        parent, key = reach(forged, pointer)
        parent[key] = another(parent[key], election.codec)
        with pytest.raises(Failed):
            _shuffles.check_shuffle(forged, election, inputs, "shuffle")


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("name", ["Ed25519", "RFC-3526-2048"])
@pytest.mark.parametrize("count", [0, 1, 5])
def test_our_shuffles_verify(version: int, name: str, count: int) -> None:
    """A chain that begins at a generator of its own, from prover to verifier."""
    codec = codec_of(name)
    group, rng = codec.group, np.random.default_rng(1)
    x = group.random_scalars(secrecy=Secrecy.ONE_TIME)
    key = group.generator ** x.publish()
    r, s = (group.random_scalars((count,), secrecy=Secrecy.ONE_TIME) for _ in range(2))
    inputs = Ciphertexts(
        alpha=group.generator ** r.publish(), beta=key ** r.publish() * codec.generators(count)
    )
    pi = rng.permutation(count)
    outputs = Ciphertexts(
        alpha=inputs.alpha.take(pi) * group.generator ** s.publish(),
        beta=inputs.beta.take(pi) * key ** s.publish(),
    )
    election = Election(
        version=version,
        name="",
        uuid="",
        fingerprint="phi",
        codec=codec,
        oracle=Oracle(version, codec),
        key=key,
        questions=(),
    )
    witness = ShuffleWitness(permutation=pi, nonces=s.reshape((count, 1)))
    proof = _shuffles._prove(election, inputs, outputs, witness, None)
    lists = [_shuffles.ciphertext_values(codec, outputs)]
    value = {"ciphertexts": lists, "proofs": [proof]}
    [found] = _shuffles.check_shuffle(value, election, [inputs], "shuffle")
    assert found.alpha == outputs.alpha
    if count:
        value["proofs"][0][1][0] = str((int(proof[1][0]) + 1) % codec.order)
        with pytest.raises(Failed):
            _shuffles.check_shuffle(value, election, [inputs], "shuffle")


def test_version_2_has_no_challenges_for_large_shuffles() -> None:
    oracle = Oracle(2, codec_of("Ed25519"))
    assert len(oracle.permutation_challenges("phi", "", 170)) == 170
    with pytest.raises(UnsupportedError, match="255 blocks"):
        oracle.permutation_challenges("phi", "", 171)


# -- archives of our own ---------------------------------------------------------------------------


@pytest.mark.parametrize("vector", [v for v in VECTORS if not v.startswith("v2dev")])
def test_archives_are_written_as_the_original_writes_them(vector: str, tmp_path: Path) -> None:
    data, place = (ROOT / vector).read_bytes(), tmp_path / "again.bel"
    parts = Parts(data)
    election, trustees, credentials, _ = parts.items[0].data
    begin_archive(place, election, trustees, credentials, int(json.loads(parts.first)["timestamp"]))
    with open_growing(place) as archive:
        for item in parts.items[1:]:
            archive.append(item.kind, *item.data)
    assert place.read_bytes() == data


# -- running elections, earlier copies, pins -------------------------------------------------------


def prefixes(data: bytes) -> Iterator[tuple[int, str, bytes]]:
    """The archive as it was after each event: how many there were, the last, and the bytes."""
    parts = Parts(data)
    events = parts.items
    for count in range(len(events) + 1):
        parts.items = events[:count]
        yield count, events[count - 1].name if count else "", parts.data()


@pytest.mark.usefixtures("remembered")
@pytest.mark.parametrize("vector", [THRESHOLD, RANKED, SMALL])
def test_running_elections_are_verified_as_far_as_they_go(vector: str, tmp_path: Path) -> None:
    data, place = (ROOT / vector).read_bytes(), tmp_path / "running.bel"
    for _, last, piece in prefixes(data):
        assert data.startswith(piece)
        report = verdict_on(piece, place)
        assert report.exit_code == (0 if last == "Result" else 3), last
        assert failed(report) == []
        if last == "Ballot":
            assert str(report.finding("belenios.ballot-signature").outcome) == "passed"
            assert str(report.finding("belenios.result").outcome) == "not checked"


@pytest.mark.usefixtures("remembered")
def test_an_earlier_copy_is_a_prefix(tmp_path: Path) -> None:
    [case] = [case for case in CASES if case["id"] == "B29"]  # a superseded ballot dropped
    data, known = (ROOT / REVOTES).read_bytes(), expected(REVOTES)
    pieces = {count: piece for count, _, piece in prefixes(data)}
    old, new = tmp_path / "old.bel", tmp_path / "new.bel"
    old.write_bytes(pieces[6])
    report = verdict_on(data, new, extends=old)
    assert report.exit_code == 0
    assert report.finding("belenios.extends").checked == 1
    assert report.unpinned == ("ballots",)
    forged = tampered(data, case, known["private_credentials"], known["uuid"])
    assert verdict_on(forged, new).exit_code == 0  # the archive alone does not show it
    assert failed(verdict_on(forged, new, extends=old)) == ["extends"]
    assert failed(verdict_on(pieces[5], new, extends=old)) == ["extends"]
    old.write_bytes(pieces[6][:-512])  # within an event
    assert failed(verdict_on(data, new, extends=old)) == ["extends"]
    old.write_bytes(b"something else")
    assert failed(verdict_on(data, new, extends=old)) == ["extends"]


def test_fingerprints_pin_what_they_hash(tmp_path: Path) -> None:
    with Archive(ROOT / SMALL) as archive:
        archive.read()
        election, *_, setup = archive.events[0].data
        digests = [election.digest, setup.digest, archive.events[-1].digest]
    left = []
    for digest in digests:
        report = belenios.audit(ROOT / SMALL, expect=digest)
        assert report.exit_code == 0
        left.append(report.unpinned)
    assert left == [("credentials", "ballots"), ("ballots",), ()]
    assert belenios.audit(ROOT / SMALL, expect=bytes(32)).exit_code == 1
    with pytest.raises(ParameterError):
        belenios.audit(ROOT / SMALL, expect=b"short")
    with pytest.raises(ParameterError):
        belenios.audit(ROOT / SMALL, jobs=0)


@pytest.mark.parametrize("vector", [WEIGHTED, "h-belenios2048/hv7ehT8CccHya1.bel"])
def test_processes_agree(vector: str) -> None:
    alone, together = belenios.audit(ROOT / vector), belenios.audit(ROOT / vector, jobs=2)
    assert alone.to_json() == together.to_json()


# -- recognition and the command -------------------------------------------------------------------


def test_archives_are_recognised(tmp_path: Path) -> None:
    for path in (ROOT / SMALL, (ROOT / SMALL).parent):
        system = recognise(path)
        assert system is not None
        assert system.name == "belenios"
        assert audit(path, Options()).exit_code == 0
    with pytest.raises(DecodingError, match="no record of a known system"):
        recognise(ROOT)
    assert not is_archive(tmp_path)
    (tmp_path / "a.bel").write_bytes(b"BELENIOS")
    with pytest.raises(DecodingError, match="no record of a known system"):
        recognise(tmp_path)
    with pytest.raises(ParameterError):
        belenios.audit(tmp_path)
    for name in ("a.bel", "b.bel"):
        (tmp_path / name).write_bytes((ROOT / SMALL).read_bytes())
    with pytest.raises(DecodingError, match="no record of a known system"):
        recognise(tmp_path)  # which of the two?
    with pytest.raises(ParameterError, match="sessions"):
        audit(ROOT / SMALL, Options(session="default"))


def run(*arguments: str | Path) -> int:
    with pytest.raises(SystemExit) as leaving:
        cli.main(["verify", *map(str, arguments), "--quiet"])
    assert isinstance(leaving.value.code, int)
    return leaving.value.code


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, other = ROOT / SMALL, ROOT / WEIGHTED
    assert run(path) == 0
    last = "verified: all 29 checks passed; warnings: revealed-ballot"
    assert last in capsys.readouterr().out
    assert run(path, "--extends", path, "--format", "json") == 0
    assert json.loads(capsys.readouterr().out)["system"] == "Belenios, protocol version 1"
    assert run(path, "--extends", other) == 1
    assert run(path, "--session", "x") == 2
    assert run(tmp_path, "--extends", other) == 4  # no record of anybody's


def test_the_page_has_every_check() -> None:
    page = (Path(__file__).parents[1] / "docs" / "belenios.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(belenios\.[a-z-]+)` \| (\w+) \|", page, re.M)
    assert rows == [
        (name, check.reference.removeprefix("belenios, "))
        for name, check in (belenios.CHECKS | profile.OWN_CHECKS).items()
    ]
    for _, section in rows:
        assert f"\n## {section}\n" in page


# -- readers ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        *(b"[1, 2]", b'{"a":1,"a":2}', b"[NaN]", b"[", b'"\xff"', b"", b"\xef\xbb\xbf[]"),
        *(b"[" * 100 + b"]" * 100, b'{"a":' * 100 + b"1" + b"}" * 100, b"[1]\n"),
    ],
)
def test_json_is_compact_and_shallow(text: bytes) -> None:
    with pytest.raises(DecodingError):
        parse(text, "x")
    assert parse(b'[" ",{"a b":"\\" \\\\"}]', "x") == [" ", {"a b": '" \\'}]


def test_json_has_limits() -> None:
    with pytest.raises(DecodingError, match="values"):
        parse(b"[" + b"1," * 2**22 + b"1]", "x")
    with pytest.raises(DecodingError, match="bytes"):
        parse(b"[1]", "x", max_bytes=2)
    assert parse(b"[" + b"9" * 10000 + b"]", "x") == [float("inf")]  # not an integer to anybody


def test_records_have_limits(tmp_path: Path) -> None:
    data = (ROOT / SMALL).read_bytes()
    mtime = int(json.loads(Parts(data).first)["timestamp"])
    huge = header(f"{'0' * 64}.data.json", 8**11 - 1, mtime)
    report = verdict_on(data + huge, tmp_path / "x.bel")
    assert failed(report) == ["archive-tar"]
    assert "at most" in report.finding("belenios.archive-tar").detail


@pytest.mark.parametrize(
    ("change", "check"),
    [
        (lambda parts: parts.items.append(parts.items[-1]), "archive-order"),
        (lambda parts: parts.items.pop(0), "archive-order"),
        (lambda parts: parts.items[1].extra.append(b"{}"), "archive-order"),
        (lambda parts: parts.items[-1].data.clear(), "archive-order"),
        (lambda parts: setattr(parts.items[1], "kind", ["Ballot"]), "archive-order"),
        (lambda parts: setattr(parts.items[1], "kind", "Vote"), "archive-order"),
        (lambda parts: setattr(parts, "first", b'{"timestamp":"1","version":1}'), "archive-tar"),
    ],
)
def test_the_order_of_records(change: Any, check: str, tmp_path: Path) -> None:
    parts = Parts((ROOT / SMALL).read_bytes())
    change(parts)
    report = verdict_on(parts.data(), tmp_path / "x.bel")
    assert check in failed(report)


@pytest.mark.usefixtures("remembered")
@pytest.mark.parametrize(("vector", "rounds"), [(SMALL, 150), (RANKED, 60), (WEIGHTED, 40)])
def test_noise_ends_in_a_verdict(vector: str, rounds: int, tmp_path: Path) -> None:
    """Records changed, hashed and chained again; every other time, bytes of the archive itself."""
    rng, data = random.Random(vector), (ROOT / vector).read_bytes()
    accepted = 0
    for turn in range(rounds):
        if turn % 2:
            place = rng.randrange(len(data))
            noise = data[:place] + rng.randbytes(rng.randrange(3)) + data[place + 1 :]
        else:
            parts = Parts(data)
            item = rng.choice([item for item in parts.items if item.data])
            k = rng.randrange(len(item.data))
            body = bytearray(item.data[k])
            body[rng.randrange(len(body))] = rng.choice(b'0123456789abcdef"{}[],:x\\')
            item.data[k] = bytes(body)
            try:
                noise = parts.data()
            except ValueError:  # data that name others are no JSON any more
                continue
        if not noise.startswith(data[:16]):
            continue
        report = verdict_on(noise, tmp_path / "noise.bel")
        assert report.exit_code in (0, 1, 3, 4)
        accepted += report.exit_code == 0 and noise != data
    assert accepted <= rounds // 20  # of an odd answer, or of a name that nothing binds
