"""Mixing units, and the cascade of mix servers through files: phases, interruptions, commands."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evote import _decryption, _tally_files, ballots, mixing, workflow
from evote import tally as tally_module
from evote.ballots import BallotPack, Ballots, ballot_digest, encrypt_ballots
from evote.contests import Style
from evote.credentials import Action, derive_voter_key
from evote.election import Manifest
from evote.elgamal import encrypt_with_nonces
from evote.encoding import canonical_json, decode_base64url, encode_base64url
from evote.errors import DecodingError, ParameterError, VerificationError
from evote.groups import Group, Secrecy
from evote.mixing import Cascade, MixInputs, Unit, mix_path, mixing_units
from evote.operators import load_operator
from evote.packing import Pack, Verdict
from evote.record import Record
from evote.tally import decode_tally, file_digest
from evote.testing import tamper
from evote.verify import audit, audited_mixes
from tests.records import (
    LAND,
    PASSPHRASE,
    SMALL_MIXED,
    TOWN,
    Made,
    cast,
    finish,
    make_mixed,
    make_ready,
    open_small,
    vote_small_mixed,
)
from tests.test_cli import evote_process, run
from tests.test_election import GOOD, MIXED

pytestmark = pytest.mark.usefixtures("short_lists_too")

# -- units -----------------------------------------------------------------------------------------

STYLES = ("north", "south", "east", "west", "centre")


def manifest(least: int, *, accepted: bool = False, packs: str = "pq") -> Manifest:
    """Five styles that all have the contests of two packs."""
    assert MIXED.mixing is not None
    contests = {"p": ("ranked", "bridge"), "q": ("named",)}
    mixing = replace(
        MIXED.mixing,
        min_unit=least,
        small_units_accepted=accepted,
        packs=tuple(Pack(id=name, contests=contests[name]) for name in packs),
    )
    chosen = (*contests["p"], *contests["q"])
    return replace(
        MIXED,
        contests=tuple(c for c in MIXED.contests if c.id in chosen),
        styles=tuple(Style(id=name, contests=chosen) for name in STYLES),
        mixing=mixing,
    )


COUNTS = st.dictionaries(
    st.tuples(st.sampled_from(["q", "p"]), st.sampled_from(STYLES[::-1]), st.integers(1, 3)),
    st.integers(0, 12),
)


@given(counts=COUNTS, least=st.integers(1, 8), accepted=st.booleans())
def test_every_ballot_is_in_one_unit(
    counts: dict[tuple[str, str, int], int], least: int, accepted: bool
) -> None:
    """Or nothing is mixed, because a pack has too few ballots of a weight."""
    rules = manifest(least, accepted=accepted, packs="qp")
    enough = 1 if accepted else least
    totals: dict[tuple[str, int], int] = {}
    for (pack, _, weight), count in counts.items():
        totals[pack, weight] = totals.get((pack, weight), 0) + count
    if any(0 < total < enough for total in totals.values()):
        with pytest.raises(VerificationError, match=f"no fewer than {enough} be decrypted"):
            mixing_units(rules, counts)
        return
    units = mixing_units(rules, counts)
    assert [unit.number for unit in units] == list(range(len(units)))
    classes = [(unit.pack, style, unit.weight) for unit in units for style in unit.styles]
    assert sorted(classes) == sorted(c for c, count in counts.items() if count)
    for unit in units:
        sizes = [counts[unit.pack, style, unit.weight] for style in unit.styles]
        assert unit.ballots == sum(sizes) >= enough
        assert list(unit.styles) == sorted(unit.styles, key=STYLES.index)
        assert sum(size >= enough for size in sizes) <= 1  # only one that could be alone
        if len(sizes) > 1 and max(sizes) >= enough:
            assert sum(sizes) - max(sizes) < enough  # and only where the others are too few
    places = [("qp".index(u.pack), u.weight, STYLES.index(u.styles[0])) for u in units]
    assert places == sorted(places)
    assert mixing_units(rules, dict(sorted(counts.items(), reverse=True))) == units


def shown(units: Sequence[Unit]) -> list[tuple[str, int]]:
    return [("+".join(unit.styles), unit.ballots) for unit in units]


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ((9, 9, 9, 9, 9), [("north", 9), ("south", 9), ("east", 9), ("west", 9), ("centre", 9)]),
        ((3, 9, 2, 9, 0), [("north+east", 5), ("south", 9), ("west", 9)]),
        ((9, 3, 8, 1, 0), [("north", 9), ("south+east+west", 12)]),
        ((8, 3, 8, 1, 8), [("north+south+west", 12), ("east", 8), ("centre", 8)]),  # the first
        ((0, 0, 0, 5, 0), [("west", 5)]),
        ((1, 1, 1, 1, 1), [("north+south+east+west+centre", 5)]),
        ((4, 0, 0, 0, 5), [("north+centre", 9)]),
        ((0, 0, 0, 0, 0), []),
    ],
)
def test_small_classes_are_merged(counts: tuple[int, ...], expected: list[tuple[str, int]]) -> None:
    found = {("p", style, 1): count for style, count in zip(STYLES, counts, strict=True)}
    assert shown(mixing_units(manifest(5), found)) == expected


def test_weights_and_packs_are_never_merged() -> None:
    rules = manifest(5)
    counts = {("p", "north", 1): 9, ("p", "north", 2): 4, ("q", "north", 1): 9}
    with pytest.raises(VerificationError, match="pack 'p': 4 ballots of weight 2"):
        mixing_units(rules, counts)
    small = mixing_units(manifest(5, accepted=True), counts)
    assert [(unit.pack, unit.weight, unit.ballots) for unit in small] == [
        ("p", 1, 9),
        ("p", 2, 4),
        ("q", 1, 9),
    ]


def test_accepted_small_units_are_not_merged() -> None:
    counts = {("p", style, 1): 1 for style in STYLES}
    units = mixing_units(manifest(5, accepted=True), counts)
    assert shown(units) == [(style, 1) for style in STYLES]


def test_nothing_to_mix() -> None:
    assert mixing_units(GOOD, {}) == ()
    assert mixing_units(manifest(5), {}) == ()


# -- an election in all its phases -----------------------------------------------------------------


@pytest.fixture(scope="module", name="voted")
def make_voted(tmp_path_factory: pytest.TempPathFactory) -> Made:
    made = make_ready(tmp_path_factory.mktemp("mixed"), SMALL_MIXED)
    open_small(made)
    vote_small_mixed(made)
    return made


@pytest.fixture(scope="module", name="stages")
def make_stages(voted: Made, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Read-only: the record as it was after each step from the vote on."""
    directory = tmp_path_factory.mktemp("stages")
    stages: dict[str, Path] = {}

    def keep(stage: str) -> None:
        stages[stage] = directory / stage
        shutil.copytree(work, stages[stage])

    work = directory / "work"
    shutil.copytree(voted.path, work)
    keep("voting")
    workflow.seal_election(work, voted.authorities(), voted.board, PASSPHRASE)
    keep("sealed")
    for i, mixer in enumerate(voted.mixers(), 1):
        workflow.mix(work, mixer, PASSPHRASE)
        keep(f"mixed {i}")
    workflow.compute_tally(work, voted.board, PASSPHRASE)
    keep("tallied")
    workflow.decrypt_share(work, voted.trustees()[0], PASSPHRASE)
    workflow.publish_result(work, voted.board, PASSPHRASE)
    keep("finished")
    return stages


class Copies:
    """Records to be changed."""

    def __init__(self, stages: dict[str, Path], directory: Path) -> None:
        self._stages, self._directory = stages, directory

    def __call__(self, stage: str, name: str = "record") -> Path:
        return Path(shutil.copytree(self._stages[stage], self._directory / name))


@pytest.fixture(name="at")
def make_copies(stages: dict[str, Path], tmp_path: Path) -> Copies:
    return Copies(stages, tmp_path)


ORDER = ["voting", "sealed", "mixed 1", "mixed 2", "tallied", "finished"]
REACHED = {"voting": "voting", "tallied": "tallied", "finished": "finished"}


@pytest.mark.parametrize("stage", ORDER)
def test_verify_in_every_phase(stages: dict[str, Path], stage: str) -> None:
    """0 up to the phase that is reached, 3 for what is still to come."""
    reached = REACHED.get(stage, "sealed")
    phases = ["voting", "sealed", "tallied", "finished"]
    for phase in phases:
        report = audit(stages[stage], phase=phase)
        expected = 0 if phases.index(phase) <= phases.index(reached) else 3
        assert report.exit_code == expected, report.to_text()
        assert report.phase == reached
    report = audit(stages[stage], phase="tallied")
    steps = {"voting": 0, "sealed": 0, "mixed 1": 2}.get(stage, 4)
    for check in ("mix.form", "mix.signatures", "mix.proofs", "mix.fresh"):
        assert report.finding(check).checked == steps
    if stage == "mixed 1":
        detail = "unit 0 (pack papers, style town, weight 1) has passed 1 of 2"
        assert report.finding("mix.proofs").detail == detail


def test_units_and_their_inputs_in_the_order_of_the_log(stages: dict[str, Path]) -> None:
    """A superseded ballot is not mixed."""
    record = Record(stages["mixed 1"])
    bodies = [json.loads(body) for _, _, body in record.ballots()]
    lists = dict.fromkeys(("town", "land"), b"")
    for body in bodies[1:]:  # the first was superseded
        lists[body["style"]] += decode_base64url(body["packs"][0]["ciphertexts"])
    for number, style in enumerate(lists):
        step = json.loads(record.read(mix_path(number, 1)))
        assert step["unit"]["styles"] == [style]
        assert step["unit"]["ballots"] == len(lists[style]) // 128
    report, _, units = audited_mixes(stages["sealed"])
    assert report.ok
    assert [unit.current.encode() for unit in units] == list(lists.values())


def test_a_merged_unit_is_ordered_by_style_then_log(voted: Made) -> None:
    """Weights apart, whatever the batches were."""
    context = workflow.load_parameters(voted.path).ballot_context

    def batch(style: str, number: int) -> Ballots:
        marks = {"ward": [[0] * 3] * number, "party": [[0] * 2] * number}
        if style == "town":
            marks["a"] = [[0]] * number
        return encrypt_ballots(context, style, [bytes(32)] * number, marks)[0]

    inputs = MixInputs()
    batches = [("land", [1, 1]), ("town", [1, 2, 1]), ("land", [2, 1]), ("town", [1])]
    rows: dict[tuple[str, int], list[bytes]] = {}
    for style, weights in batches:
        ballots = batch(style, len(weights))
        inputs.add(ballots, weights)
        part = ballots.packs[0].ciphertexts
        for j, weight in enumerate(weights):
            rows.setdefault((style, weight), []).append(part[j].encode())
    again = MixInputs()
    again.merge(inputs.parts())
    for styles in (("town", "land"), ("land",)):
        for weight in (1, 2):
            unit = Unit(number=0, pack="papers", styles=styles, weight=weight, ballots=1)
            expected = b"".join(row for style in styles for row in rows[style, weight])
            assert inputs.encoded(unit) == again.encoded(unit) == expected
    units = inputs.units(Record(voted.path).manifest)
    assert [(u.styles, u.weight, u.ballots) for u in units] == [
        (("town",), 1, 3),
        (("land",), 1, 3),
        (("town",), 2, 1),
        (("land",), 2, 1),
    ]


def test_mixed_answers_are_those_of_the_voters(stages: dict[str, Path]) -> None:
    found = sorted(
        (unit.number, answers.contest.id, tuple(row), verdict, text)
        for unit, answers in workflow.mixed_answers(stages["finished"])
        for row, verdict, text in zip(
            answers.selections.tolist(), answers.verdicts, answers.write_ins, strict=True
        )
    )
    valid, blank = Verdict.VALID, Verdict.BLANK
    assert found == [
        (0, "party", (0, 0), valid, "Grün"),
        (0, "party", (0, 0), valid, "Grün"),
        (0, "party", (0, 1), valid, ""),
        (0, "ward", (1, 2, 0), valid, ""),
        (0, "ward", (1, 2, 0), valid, ""),
        (0, "ward", (3, 1, 2), valid, ""),
        (1, "party", (0, 0), blank, ""),
        (1, "ward", (0, 2, 1), valid, ""),
    ]
    assert TOWN.write_ins == {"party": "Grün"}
    assert LAND.blank == {"party"}


def test_the_tally_names_every_step(stages: dict[str, Path]) -> None:
    record = Record(stages["tallied"])
    tally, digest = record.tally()
    assert digest == file_digest(record.tally_bytes())
    for mixed in tally.units:
        files = [record.read(mix_path(mixed.unit.number, step)) for step in (1, 2)]
        assert mixed.steps == tuple(map(file_digest, files))
        assert mixed.outputs.encode() == decode_base64url(json.loads(files[1])["outputs"])
    with pytest.raises(ParameterError, match="is read with the mix servers' files"):
        decode_tally(record.manifest, record.tally_bytes())


def test_chunks_go_over_sums_and_units(
    stages: dict[str, Path], voted: Made, at: Copies, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the chunks are, the same shares, messages and result."""
    tally, _ = Record(stages["tallied"]).tally()
    whole = [each.encode() for each in tally.chunks()]
    shapes = [mixed.shape for mixed in tally.units]
    assert len(whole) == 1
    assert tally.size == tally.sums.size + sum(n * w for n, w in shapes)
    before = list(workflow.mixed_answers(stages["finished"]))
    for module in (_decryption, _tally_files, tally_module):
        monkeypatch.setattr(module, "CHUNK", 2)
    chunks = list(tally.chunks())
    assert [len(each) for each in chunks[:-1]] == [2] * (len(chunks) - 1)
    assert b"".join(each.encode() for each in chunks) == whole[0]
    assert len(chunks) > 3
    record = at("tallied")
    workflow.decrypt_share(record, voted.trustees()[0], PASSPHRASE)
    workflow.publish_result(record, voted.board, PASSPHRASE)
    finished = Record(record)
    assert finished.result_bytes() == Record(stages["finished"]).result_bytes()
    assert audit(record).ok
    found = list(workflow.mixed_answers(record))
    assert len(found) > len(before)  # units come in parts
    for unit, answers in before:
        parts = [p for u, p in found if (u, p.contest) == (unit, answers.contest)]
        selections = np.concatenate([part.selections for part in parts])
        assert selections.tolist() == answers.selections.tolist()
        verdicts = np.concatenate([part.verdicts for part in parts])
        assert verdicts.tolist() == answers.verdicts.tolist()


def test_outputs_are_read_again_and_are_those_that_were_verified(at: Copies) -> None:
    record = at("mixed 2")
    _, _, units = audited_mixes(record)
    for unit in units:
        read = json.loads((record / mix_path(unit.unit.number, 2)).read_bytes())
        assert unit.current.encode() == decode_base64url(read["outputs"])
    place, other = (record / mix_path(number, 2) for number in (0, 1))
    place.write_bytes(other.read_bytes())
    with pytest.raises(DecodingError, match=r"^mixes/000/02.json: not the file"):
        units[0].current.encode()
    assert units[1].current.encode() == units[1].finished().outputs.encode()


def test_the_ballot_box_refuses_packs(voted: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    """attacks: A9, C1, D1. Nonces used twice; the message of another, with or without its proof."""

    def submit(body: bytes) -> None:
        action: Action = "cast"
        signature = key.sign_ballot(context.election_id, ballot_digest(body), action)
        submission = workflow.Submission(
            body=body, action=action, credential=key.credential, signature=signature
        )
        workflow.submit(voted.path, voted.board, [submission], PASSPHRASE)

    parameters = workflow.load_parameters(voted.path)
    context = parameters.ballot_context
    key = derive_voter_key(voted.credentials[0].code, parameters.base_id)
    before = tamper.read_files(voted.path)
    code, same = (
        voted.credentials[0].code,
        context.group.random_scalars((), secrecy=Secrecy.ONE_TIME),
    )

    def nonces(group: Group, election: bytes, pack: BallotPack, voters: Any, *rest: Any) -> Any:
        return same.broadcast_to((len(voters), pack.width(group)))

    with monkeypatch.context() as patch:
        patch.setattr(ballots, "pack_nonces", nonces)
        twice = workflow.encrypt_ballots(voted.path, [(code, TOWN)])[0].body
    with pytest.raises(VerificationError, match="nonce"):
        submit(twice)
    mine = json.loads(workflow.encrypt_ballot(voted.path, code, TOWN).body)
    victim = json.loads([body for _, _, body in Record(voted.path).ballots()][2])
    for fields in (("ciphertexts",), ("proof",), ("ciphertexts", "proof")):
        pack = mine["packs"][0] | {name: victim["packs"][0][name] for name in fields}
        with pytest.raises(VerificationError, match=r"nonce|proof"):
            submit(canonical_json({**mine, "packs": [pack]}))
    assert tamper.read_files(voted.path) == before


# -- the order of things, and interruptions --------------------------------------------------------


def mix(record: Path, made: Made, step: int) -> list[Path]:
    return workflow.mix(record, made.mixers()[step - 1], PASSPHRASE)


def files(record: Path) -> dict[str, bytes]:
    return {n: d for n, d in tamper.read_files(record).items() if n.startswith("mixes/")}


@pytest.mark.parametrize(
    ("stage", "step", "reason"),
    [
        ("voting", 1, "only the ballots of a sealed and untallied election are mixed"),
        ("sealed", 2, r"unit 0 \(pack papers, style town, weight 1\): mix server mixer-1 comes"),
        ("tallied", 2, "only the ballots of a sealed and untallied election are mixed"),
        ("finished", 1, "only the ballots of a sealed and untallied election are mixed"),
    ],
)
def test_not_before_and_not_after(
    at: Copies, voted: Made, stage: str, step: int, reason: str
) -> None:
    record = at(stage)
    before = tamper.read_files(record)
    with pytest.raises(VerificationError, match=reason):
        mix(record, voted, step)
    assert tamper.read_files(record) == before


def test_only_mix_servers_mix(at: Copies, voted: Made) -> None:
    record = at("sealed")
    with pytest.raises(ParameterError, match="mixer expected, got the key of authority"):
        workflow.mix(record, voted.authorities()[0], PASSPHRASE)
    assert files(record) == {}


@pytest.mark.parametrize("stage", ["sealed", "mixed 1"])
def test_no_tally_before_all_have_mixed(at: Copies, voted: Made, stage: str) -> None:
    record = at(stage)
    with pytest.raises(VerificationError, match="not every mix server has mixed every unit"):
        workflow.compute_tally(record, voted.board, PASSPHRASE)
    assert not (record / "tally.json").exists()


def test_mixing_twice_changes_nothing(at: Copies, voted: Made) -> None:
    record = at("mixed 2")
    before = files(record)
    for step in (1, 2):
        paths = mix(record, voted, step)
        assert paths == [record / mix_path(unit, step) for unit in (0, 1)]
    assert files(record) == before


@pytest.mark.parametrize("left", ["nothing", "a directory", "half a file"])
def test_an_interrupted_server_goes_on(at: Copies, voted: Made, left: str) -> None:
    record = at("mixed 1")
    before = files(record)
    (record / mix_path(1, 1)).unlink()
    if left == "nothing":
        (record / "mixes/001").rmdir()
    elif left == "half a file":
        (record / "mixes/001/.new-01.json").write_bytes(before[mix_path(1, 1)][:100])
        report = audit(record, phase="sealed")
        assert "mixes/001/.new-01.json" in report.finding("record.files").detail
    mix(record, voted, 1)
    after = files(record)
    assert set(after) == set(before)
    assert after[mix_path(0, 1)] == before[mix_path(0, 1)]
    assert after[mix_path(1, 1)] != before[mix_path(1, 1)]  # nonces are drawn anew
    assert audit(record, phase="sealed").ok
    mix(record, voted, 2)
    assert [unit.steps for unit in audited_mixes(record)[2]] == [2, 2]


def test_a_server_does_not_go_on_after_a_wrong_step(at: Copies, voted: Made) -> None:
    """Nor does it take the leftovers of another for its own."""
    record = at("mixed 1")
    path = record / mix_path(1, 1)
    step = json.loads(path.read_bytes())
    good = path.read_bytes()
    proof = bytearray(decode_base64url(step["proof"]))
    proof[-32] ^= 1
    path.write_bytes(canonical_json({**step, "proof": encode_base64url(bytes(proof))}))
    with pytest.raises(VerificationError, match=r"mix\.\w+ failed: mixes/001/01\.json"):
        mix(record, voted, 2)
    assert mix_path(0, 2) not in files(record)
    path.write_bytes(good)
    leftover = record / "mixes/001/.new-01.json"
    leftover.write_bytes(b"{")
    with pytest.raises(VerificationError, match=r"record\.files failed: mixes/001/\.new-01"):
        mix(record, voted, 2)
    leftover.unlink()
    assert len(mix(record, voted, 2)) == 2


def test_an_election_in_which_nobody_voted(tmp_path: Path) -> None:
    """attacks: D6. No unit, no step, no share: and a result."""
    plan = replace(
        SMALL_MIXED,
        contests=SMALL_MIXED.contests[1:],
        styles={"land": SMALL_MIXED.styles["land"]},
        voters=SMALL_MIXED.voters[1:],
    )
    made = make_ready(tmp_path, plan)
    open_small(made)
    workflow.seal_election(made.path, made.authorities(), made.board, PASSPHRASE)
    for mixer in made.mixers():
        assert workflow.mix(made.path, mixer, PASSPHRASE) == []
    tally = workflow.compute_tally(made.path, made.board, PASSPHRASE)
    assert tally.units == ()
    result = workflow.publish_result(made.path, made.board, PASSPHRASE)
    assert [sum(row.ballots.values()) for row in result.mixed] == [0, 0]
    report = audit(made.path)
    assert report.ok, report.to_text()
    assert report.finding("mix.proofs").outcome == "not applicable"


def test_workers_that_break_down_are_a_finding(
    stages: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """attacks: G6. Wherever in the mixes; an audit reports it, and does not pass."""
    assert audit(stages["finished"]).ok

    def break_down(*arguments: object, **more: object) -> None:
        raise RuntimeError("a process died")

    for owner, name in ((Cascade, "decode"), (mixing, "verify_shuffle"), (MixInputs, "units")):
        with monkeypatch.context() as patch:
            patch.setattr(owner, name, break_down)
            report = audit(stages["finished"])
        assert report.exit_code == 1
        [finding, *_] = report.failures()
        assert finding.check.startswith("mix.")
        assert "RuntimeError: a process died" in finding.detail
        assert report.finding("tally.sums").outcome == "not checked"


def test_weights_styles_and_packs(tmp_path: Path) -> None:
    """Five units of two packs, two styles and two weights; the totals as anyone can add them up."""
    made = make_mixed(tmp_path)
    report = audit(made.path)
    assert report.ok, report.to_text()
    assert report.finding("mix.proofs").checked == 5 * 2
    tally, _ = Record(made.path).tally()
    assert [(u.unit.pack, u.unit.styles, u.unit.weight, u.unit.ballots) for u in tally.units] == [
        ("papers", ("town",), 1, 3),
        ("papers", ("land",), 1, 2),
        ("papers", ("town",), 2, 2),
        ("board", ("town",), 1, 3),
        ("board", ("town",), 2, 2),
    ]
    assert report.result is not None
    [bridge] = report.result.contests
    assert (bridge.votes, bridge.weight) == ((1 + 2, 1 + 2), 3 + 2 + 2 * 2)
    rows: list[Any] = [row.to_json() for row in report.result.mixed]
    ward, party, board = rows
    assert ward["count"]["elected"] == [1, 0]
    assert ward["count"]["stages"][0]["votes"] == ["3.00000", "4.00000", "0.00000", "0.00000"]
    assert party["count"] == {
        "votes": [3, 0],
        "write_ins": [{"text": "Grün", "votes": 3}],
        "undervotes": 2,
    }
    assert (party["ballots"]["valid"], party["ballots"]["blank"]) == (6, 1)
    assert board["count"] == {"votes": [3, 3, 1], "undervotes": 1}


def test_ballots_that_say_nothing_are_counted_as_such(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a voter encrypts shows after the mix: no message, the identity, and too many marks."""
    made = make_ready(tmp_path, SMALL_MIXED)
    open_small(made)
    group = Record(made.path).manifest.group
    packing = Record(made.path).manifest.packing("papers")

    def message(marks: list[int], text: str) -> bytes:
        selections = {"ward": [[1, 2, 0]], "party": [marks]}
        return packing.pack(selections, {"party": [0]}, {"party": [text]})[0]

    both = bytes(a | b for a, b in zip(message([1, 0], ""), message([0, 0], "Eve"), strict=True))
    for voter, elements in enumerate(
        (
            group.generator ** group.random_scalars((1, 2)).publish(),
            group.identity((1, 2)),
            group.encode_message([both], 2),
        )
    ):
        with monkeypatch.context() as patch:
            patch.setattr(
                ballots,
                "encrypt_pack",
                lambda key, _, __, r, m=elements: encrypt_with_nonces(key, m, r),
            )
            cast(made, [(voter, TOWN, "cast")])
    cast(made, [(3, LAND, "cast")])
    finish(made)
    report = audit(made.path)
    assert report.ok, report.to_text()
    assert report.result is not None
    ward, party = report.result.mixed
    none = dict.fromkeys(Verdict, 0)
    assert ward.ballots == none | {Verdict.MALFORMED: 2, Verdict.VALID: 2}
    assert party.ballots == none | {Verdict.MALFORMED: 2, Verdict.OVERVOTE: 1, Verdict.BLANK: 1}
    answers = [found.verdicts.tolist() for _, found in workflow.mixed_answers(made.path)]
    assert sorted(answers[0]) == [Verdict.VALID, Verdict.MALFORMED, Verdict.MALFORMED]


def test_too_few_ballots_to_be_mixed(tmp_path: Path) -> None:
    """Three of four voters are too few for units of four; all four are one unit of two styles."""
    assert SMALL_MIXED.mixing is not None
    mixing = {**SMALL_MIXED.mixing, "min_unit": 4, "small_units_accepted": False}
    made = make_ready(tmp_path, replace(SMALL_MIXED, mixing=mixing))
    open_small(made)
    cast(made, [(i, TOWN, "cast") for i in range(3)])
    few = replace(made, path=tmp_path / "few")
    shutil.copytree(made.path, few.path)
    workflow.seal_election(few.path, few.authorities(), few.board, PASSPHRASE)
    report = audit(few.path, phase="sealed")
    assert [finding.check for finding in report.failures()] == ["mix.units"]
    reason = "pack 'papers': 3 ballots of weight 1, and the manifest lets no fewer than 4"
    assert reason in report.finding("mix.units").detail
    with pytest.raises(VerificationError, match=f"mix.units failed: {reason}"):
        mix(few.path, few, 1)
    with pytest.raises(VerificationError, match=f"mix.units failed: {reason}"):
        workflow.compute_tally(few.path, few.board, PASSPHRASE)
    cast(made, [(3, LAND, "cast")])
    finish(made)
    report = audit(made.path)
    assert report.ok, report.to_text()
    [merged] = Record(made.path).tally()[0].units
    assert (merged.unit.styles, merged.unit.ballots) == (("town", "land"), 4)


# -- commands --------------------------------------------------------------------------------------


def test_mixer_init(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("EVOTE_PASSPHRASE", PASSPHRASE)
    assert run("mix", "init", tmp_path / "m", "--id", "mixer-9") == 0
    assert capsys.readouterr().out.strip() == str(tmp_path / "m" / "card.json")
    card = load_operator(tmp_path / "m", PASSPHRASE).card
    assert (card.role, card.id) == ("mixer", "mixer-9")


def test_servers_in_processes_and_directories_of_their_own(
    at: Copies, voted: Made, tmp_path: Path
) -> None:
    """Each has its key and a copy of the record, and gets nothing but the other's files."""
    secret = {"EVOTE_PASSPHRASE": PASSPHRASE}
    homes = []
    for step, mixer in enumerate(voted.mixers(), 1):
        homes.append(tmp_path / f"home-{step}")
        shutil.copytree(mixer, homes[-1] / "key")
    one, two = at("sealed", "home-1/record"), at("sealed", "home-2/record")

    def shuffle(home: Path) -> tuple[int, str, str]:
        arguments = ("mix", "shuffle", str(home / "record"), str(home / "key"), "--jobs", "1")
        done = evote_process(*arguments, **secret)
        return done.returncode, done.stdout, done.stderr

    code, out, errors = shuffle(homes[1])
    assert (code, out) == (1, "")
    assert "mix server mixer-1 comes first" in errors
    code, out, errors = shuffle(homes[0])
    assert (code, errors) == (0, "")
    assert out.split() == [str(one / mix_path(unit, 1)) for unit in (0, 1)]
    shutil.copytree(one / "mixes", two / "mixes")
    assert shuffle(homes[1])[0] == 0
    done = evote_process("mix", "verify", str(two), "--jobs", "1")
    assert done.returncode == 0, done.stderr
    assert done.stdout == (
        "unit 0 (pack papers, style town, weight 1): 3 ballots, 2 of 2 shuffles verified\n"
        "unit 1 (pack papers, style land, weight 1): 1 ballots, 2 of 2 shuffles verified\n"
    )
    done = evote_process("mix", "verify", str(one), "--jobs", "1")
    assert "1 ballots, 1 of 2 shuffles verified" in done.stdout
    swapped = {**files(two), mix_path(0, 2): files(two)[mix_path(0, 1)]}
    tamper.write_files(two / "mixes", {n.removeprefix("mixes/"): d for n, d in swapped.items()})
    done = evote_process("mix", "verify", str(two), "--jobs", "1")
    assert done.returncode == 1
    assert "unit 0 (pack papers, style town, weight 1): 3 ballots, 1 of 2 shuffles" in done.stdout
    assert "mix.form failed: mixes/000/02.json: $.step" in done.stdout


def test_verify_says_what_is_missing(
    stages: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("mix", "verify", stages["voting"], "--jobs", "1") == 3
    words = "record.complete not checked: the record is voting, not yet sealed"
    assert words in capsys.readouterr().out
    assert run("mix", "verify", tmp_path, "--jobs", "1") == 4
    assert run("verify", stages["mixed 1"], "--jobs", "1", "--phase", "sealed") == 0


def test_ballots_are_printed(stages: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert run("mix", "ballots", stages["finished"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert len(lines) == 8
    blank = {"unit": 1, "weight": 1, "contest": "party", "verdict": "blank"}
    assert lines.count(blank) == 1
    green = {"selections": [0, 0], "write_in": "Grün", "verdict": "valid", "contest": "party"}
    assert lines.count({**green, "unit": 0, "weight": 1}) == 2
    ward = {"selections": [1, 2, 0], "verdict": "valid", "contest": "ward"}
    assert lines.count({**ward, "unit": 0, "weight": 1}) == 2
    assert run("mix", "ballots", stages["mixed 2"]) == 4
    assert run("mix", "ballots", stages["tallied"]) == 1
    assert "trustee" in capsys.readouterr().err
