"""Elections of the profile `belenios`: run, verified by us and by the original, and attacked."""

from __future__ import annotations

import itertools
import json
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evote import cli, workflow
from evote._trees import Directory
from evote.encoding import canonical_json
from evote.errors import (
    DecodingError,
    EvoteError,
    ParameterError,
    QuorumError,
    UnsupportedError,
    VerificationError,
)
from evote.groups import Secrecy, named_group
from evote.interop import belenios
from evote.interop._reports import ForeignReport
from evote.interop.belenios import profile
from evote.interop.belenios._archive import Archive
from evote.interop.belenios._codec import codec_of
from evote.interop.belenios._counting import judge
from evote.interop.belenios._encryption import encrypt_ballots as encrypt_answers
from evote.interop.belenios._forms import Failed
from evote.interop.belenios._terms import load_terms
from evote.interop.belenios._voting import _secrets, check_opened
from evote.interop.belenios._writer import open_growing
from evote.interop.recognition import inspect, recognise
from evote.interop.verificatum import export_record as export_verificatum
from evote.operators import (
    SCRYPT_COST_FLOOR,
    Role,
    create_operator,
    load_card,
    load_operator,
    save_operator,
)
from evote.packing import Verdict
from evote.verify import audit
from evote.workflow import Choice, RollLine
from tests.belenios_archives import Parts, another, dump, leaves, reach, sign
from tests.belenios_elections import (
    PASSPHRASE,
    RANKED,
    TOOL,
    Made,
    Plan,
    choices,
    contest,
    draft,
    finish,
    make_opened,
    tool,
    tool_verifies,
    tool_version,
    vote,
)

BLANK = contest("q", "approval", 2, maximum=2, blank="counted")
PLAIN = contest("p", "yes-no", 2, minimum=1)
RANKING = RANKED[0]
PLANS = {
    "summed-ed25519": Plan(contests=(PLAIN, BLANK), weights=(1, 1, 1)),
    "weights-threshold-ed25519": Plan(
        contests=(PLAIN, BLANK), trustees=3, quorum=2, weights=(1, 70_000, 7)
    ),
    "mixed-ed25519": Plan(
        contests=(BLANK, *RANKED), mixed=("day", "grade"), trustees=2, quorum=2, weights=(1, 1, 1)
    ),
    "mixed-threshold-ed25519": Plan(
        contests=(RANKING,), mixed=("day",), trustees=2, quorum=1, weights=(1, 1)
    ),
    "summed-belenios-2048": Plan(
        group="belenios-2048", contests=(BLANK,), trustees=2, quorum=2, weights=(1, 1)
    ),
    "weights-threshold-belenios-2048": Plan(
        group="belenios-2048", contests=(PLAIN,), trustees=2, quorum=1, weights=(3, 2)
    ),
    "summed-rfc3526-2048": Plan(group="rfc3526-2048", contests=(PLAIN,), weights=(1,)),
    "threshold-rfc3526-2048": Plan(
        group="rfc3526-2048", contests=(PLAIN,), trustees=2, quorum=1, weights=(1,)
    ),
    "mixed-rfc3526-2048": Plan(
        group="rfc3526-2048", contests=(RANKING,), mixed=("day",), weights=(1, 1)
    ),
}
ATTACKED = "mixed-ed25519"
_FINISHED: dict[str, Made] = {}


@pytest.fixture
def finished(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Made:
    """A finished election of one of the plans, made once. Nobody changes it."""
    name = getattr(request, "param", ATTACKED)
    if name not in _FINISHED:
        made = make_opened(tmp_path_factory.mktemp(name), PLANS[name])
        vote(made)
        finish(made)
        _FINISHED[name] = made
    return _FINISHED[name]


@pytest.fixture
def opened(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """An election that is open, made once; to be copied."""
    if "opened" not in _FINISHED:
        plan = Plan(contests=(BLANK, RANKING), mixed=("day",), weights=(1, 1))
        _FINISHED["opened"] = make_opened(tmp_path_factory.mktemp("opened"), plan)
    return _FINISHED["opened"]


@pytest.fixture
def copy(opened: Made, tmp_path: Path) -> Made:
    """An open election of its own, operators' directories too."""
    base = opened.path.parent
    shutil.copytree(base, tmp_path / "copy")
    operators = {
        name: tmp_path / "copy" / path.relative_to(base) for name, path in opened.operators.items()
    }
    return replace(opened, path=tmp_path / "copy" / "record", operators=operators)


def failed(report: ForeignReport) -> set[str]:
    assert "internal error" not in "".join(finding.detail for finding in report.findings)
    return {finding.check.removeprefix("belenios.") for finding in report.failures()}


# -- whole elections -------------------------------------------------------------------------------


@pytest.mark.parametrize("finished", PLANS, indirect=True)
def test_elections_verify(finished: Made, tmp_path: Path) -> None:
    terms = load_terms(finished.path)
    report = profile.audit_record(finished.path, expect_manifest=terms.digest)
    report.raise_for_failure()
    assert report.verdict.startswith("verified: all")
    assert {notice.id for notice in report.notices} <= {"revealed-ballot"}
    _, place = profile.export_record(finished.path, tmp_path)
    assert place.read_bytes() == finished.archive.read_bytes()
    belenios.audit(place).raise_for_failure()
    assert {f.check for f in report.findings} == set(profile.PROFILE_CHECKS)
    result = profile.result_of(finished.path)
    voted, weights = choices(finished.plan), finished.plan.weights
    for row in result.contests:
        marks = [choice.contests.get(row.id, (0, 0)) for choice in voted]
        expected = np.array(weights) @ np.array(marks)
        assert row.votes == tuple(expected.tolist())
        blank = sum(w for w, c in zip(weights, voted, strict=True) if row.id in c.blank)
        assert row.blank in (None, blank)
        assert row.weight == sum(weights)
    for answers in profile.mixed_answers(finished.path):
        assert set(answers.verdicts.tolist()) == {Verdict.VALID}
        name = answers.contest.id
        assert sorted(answers.selections.tolist()) == sorted(list(c.contests[name]) for c in voted)


@pytest.mark.skipif(TOOL is None, reason="no belenios-tool on the PATH, nor EVOTE_BELENIOS_TOOL")
@pytest.mark.parametrize("finished", PLANS, indirect=True)
def test_the_original_accepts_elections_and_ballots(finished: Made, tmp_path: Path) -> None:
    if finished.plan.group == "ed25519" and tool_version() < (2, 1):
        pytest.skip("belenios-tool 2.0 does not know Ed25519")
    _, place = profile.export_record(finished.path, tmp_path)
    assert tool_verifies(place, tmp_path / "scratch")


@pytest.mark.skipif(TOOL is None, reason="no belenios-tool on the PATH, nor EVOTE_BELENIOS_TOOL")
def test_the_original_refuses_a_changed_election(
    finished: Made, tmp_path_factory: pytest.TempPathFactory, tmp_path: Path
) -> None:
    """The test above would also pass if the tool accepted anything."""
    name = "summed-belenios-2048"
    made = _FINISHED.get(name) or make_opened(tmp_path_factory.mktemp(name), PLANS[name])
    parts = Parts(made.archive.read_bytes())
    if not parts.of("Ballot"):
        vote(made)
        parts = Parts(made.archive.read_bytes())
    [item] = parts.of("Ballot")[-1:]
    ballot = json.loads(item.data[0])
    ballot["answers"][0]["overall_proof"][0]["response"] = "1"
    codec = codec_of("BELENIOS-2048")
    codes = {str(i): item.code for i, item in enumerate(made.credentials)}
    sign(ballot, codec, codes, load_terms(made.path).uuid)
    item.data[0] = dump(ballot)
    place = tmp_path / made.archive.name
    place.write_bytes(parts.data())
    assert not tool_verifies(place, tmp_path / "scratch")


@pytest.mark.skipif(TOOL is None, reason="no belenios-tool on the PATH, nor EVOTE_BELENIOS_TOOL")
def test_voters_may_use_the_original(copy: Made, tmp_path: Path) -> None:
    if tool_version() < (3, 0):
        pytest.skip("private credentials have this form since 2.4, and this option since 3.0")
    (tmp_path / "code").write_text(copy.credentials[0].code)
    (tmp_path / "choice").write_text("[[0,1,1],[2,1,3]]")
    shown = tool(
        *("election", "generate-ballot", "--dir", copy.path),
        *("--privcred", tmp_path / "code", "--choice", tmp_path / "choice"),
    )
    assert shown.returncode == 0, shown.stderr
    [receipt] = profile.cast_ballots(
        copy.path, copy.board, [shown.stdout.strip().encode()], PASSPHRASE
    )
    assert profile.check_receipt(copy.path, receipt).height == 1


# -- what the profile does not have ----------------------------------------------------------------

WEIGHTY = {"weights": {"maximum": 2, "total": 4}}
REFUSED: dict[str, tuple[Plan, dict[str, Any], str]] = {
    "group": (Plan(), {"group": "ristretto255"}, "$.group: belenios has"),
    "weak": (Plan(), {"group": "p-256"}, "$.group"),
    "ranking in a group that holds no answers": (
        Plan(group="belenios-2048", contests=(RANKING,), mixed=("day",)),
        {},
        "$.contests[0].id: an element of belenios-2048 holds no answers",
    ),
    "too many answers": (
        Plan(
            contests=(
                contest(
                    "day",
                    "ranking",
                    31,
                    option_limit=31,
                    maximum=31,
                    count={"method": "schulze", "seats": 1},
                ),
            ),
            mixed=("day",),
        ),
        {},
        "$.contests[0].options: an element of ed25519 holds 30, and not 31",
    ),
    "weights and rankings": (
        Plan(contests=(RANKING,), mixed=("day",)),
        WEIGHTY,
        "$.weights.maximum: belenios has no weights where something is mixed",
    ),
    "cumulative": (
        Plan(contests=(contest("c", "cumulative", 2, option_limit=2, maximum=2),)),
        {},
        "$.contests[0].option_limit: a choice of belenios is 0 or 1",
    ),
    "write-in": (
        Plan(contests=(contest("w", "write-in", 2, maximum=1, write_in=9),), mixed=("w",)),
        {},
        "$.contests[0].write_in: belenios has no write-ins",
    ),
    "blank and mixed": (
        Plan(contests=(BLANK,), mixed=("q",)),
        {},
        "$.contests[0].blank: none expected",
    ),
    "two in a pack": (
        Plan(contests=RANKED, mixed=("day",)),
        {"mixing": {"packs": [{"id": "x", "contests": ["day", "grade"]}], "min_unit": 2}},
        "$.mixing.packs[0].contests: belenios mixes each contest by itself",
    ),
    "patterns": (
        Plan(contests=(RANKING,), mixed=("day",)),
        {"mixing": {"packs": [{"id": "x", "contests": ["day"]}]}},
        "$.contests[0]: 16 possible patterns and 4 voters at most",
    ),
    "ranking that is summed": (Plan(contests=(RANKING,)), {}, "$.contests[0].kind"),
    "spoiled ballots": (
        Plan(),
        {"policies": {"revote": "last", "spoil": "allowed"}},
        "$.policies.spoil: ballots of belenios are not spoiled",
    ),
    "rulings": (
        Plan(),
        {"policies": {"revote": "last", "spoil": "forbidden", "strike": ["fraud"]}},
        "$.policies: authorities of belenios rule on nothing",
    ),
    "districts": (Plan(), {"districts": {}}, "$.districts: belenios has no districts"),
    "no revotes": (
        Plan(),
        {"policies": {"revote": "forbidden", "spoil": "forbidden"}},
        "$.policies.revote",
    ),
    "styles": (
        Plan(),
        {"styles": [{"id": "a", "contests": ["one"]}, {"id": "b", "contests": ["two"]}]},
        "$.styles: belenios asks everybody everything",
    ),
    "another order": (Plan(), {"styles": [{"id": "a", "contests": ["two", "one"]}]}, "$.styles"),
    "ballots that are too long": (
        Plan(
            group="rfc3526-2048",
            contests=[contest(f"c{i}", "limited", 400) for i in range(3)],
        ),
        {},
        "$.contests: ballots of",
    ),
}


@pytest.fixture(scope="module")
def cards(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Cards of trustees in several groups, and of the others."""
    base = tmp_path_factory.mktemp("cards")
    found: dict[str, Any] = {}
    for group in ("ed25519", "belenios-2048", "rfc3526-2048", "ristretto255", "P-256"):
        made = workflow.create_operators(
            base / group,
            PASSPHRASE,
            trustees=1,
            registrars=2,
            group=named_group(group),
            cost=SCRYPT_COST_FLOOR,
        )
        found[group] = {name: load_card(path) for name, path in made.items()}
    return found


@pytest.mark.parametrize("name", REFUSED)
def test_what_belenios_does_not_have_is_refused(
    name: str, cards: dict[str, Any], tmp_path: Path
) -> None:
    plan, change, reason = REFUSED[name]
    value = draft(plan) | change
    group = {"p-256": "P-256"}.get(str(value["group"]), str(value["group"]))
    with pytest.raises(DecodingError, match=re.escape(reason)):
        workflow.new_election(tmp_path / "record", value | {"group": group}, cards=cards[group])
    assert not (tmp_path / "record").exists()


def test_one_registrar(cards: dict[str, Any], tmp_path: Path) -> None:
    value = draft(Plan()) | {"registrars": ["registrar-1", "registrar-2"]}
    with pytest.raises(DecodingError, match=r"\$.registrars: belenios has one"):
        workflow.new_election(tmp_path / "record", value, cards=cards["ed25519"])


def test_mixers_are_the_trustees(cards: dict[str, Any], tmp_path: Path) -> None:
    value = draft(Plan(contests=(RANKING,), mixed=("day",)))
    value["mixing"] = {**value["mixing"], "mixers": ["board"]}  # type: ignore[dict-item]
    with pytest.raises(EvoteError):
        workflow.new_election(tmp_path / "record", value, cards=cards["ed25519"])


def test_our_own_tools_refuse_it(finished: Made) -> None:
    record, operators = finished.path, finished.operators
    report = audit(record)
    assert "profile belenios" in report.finding("manifest.form").detail
    assert report.exit_code == 4
    steps = (
        lambda: workflow.load_parameters(record),
        lambda: workflow.draw_credentials(record, [RollLine(style="all")]),
        lambda: workflow.publish_roll(record, operators["registrar-1"], [], PASSPHRASE),
        lambda: workflow.cosign_roll(record, operators["registrar-1"], PASSPHRASE),
        lambda: workflow.submit(record, finished.board, [], PASSPHRASE),
        lambda: workflow.mix(record, finished.trustees[0], PASSPHRASE),
        lambda: workflow.encrypt_ballots(record, []),
    )
    for step in steps:
        with pytest.raises(UnsupportedError, match="profile belenios"):
            step()
    with pytest.raises((UnsupportedError, ParameterError), match="profile"):
        export_verificatum(record, record.parent / "never")


def test_export_refuses_other_profiles(cards: dict[str, Any], tmp_path: Path) -> None:
    value = draft(Plan()) | {"profile": "native", "group": "ristretto255"}
    record = tmp_path / "record"
    workflow.new_election(record, value, cards=cards["ristretto255"])
    assert not profile.is_record(Directory(record))
    with pytest.raises(UnsupportedError, match="an election of the profile native"):
        profile.export_record(record, tmp_path)


def test_export_keeps_the_name(finished: Made, tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match="belenios calls it"):
        profile.export_record(finished.path, tmp_path / "other.bel")


def test_recognition(finished: Made) -> None:
    system = recognise(finished.path)
    assert system is not None
    assert system.name == "evote, profile belenios"
    found = inspect(finished.path)
    assert (found.version, found.ballots, found.trustees) == ("1, profile belenios", 4, 2)
    assert "last Result" in found.notes


# -- choices and credentials -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("choice", "reason"),
    [
        (Choice(contests={"q": (1, 2)}), "option 'o1'"),
        (Choice(contests={"q": (1, 0)}, blank=frozenset({"q"})), "q"),
        (Choice(contests={"day": (1, 1, 0)}), "day"),
        (Choice(contests={"other": (1,)}), "no contest 'other'"),
        (Choice(contests={}, write_ins={"q": "me"}), "no write-ins"),
    ],
)
def test_choices_that_are_not_allowed(opened: Made, choice: Choice, reason: str) -> None:
    code = opened.credentials[0].code
    with pytest.raises(ParameterError, match=reason):
        profile.encrypt_ballots(opened.path, [(code, choice)])


def test_credentials(opened: Made, tmp_path: Path) -> None:
    code = opened.credentials[0].code
    assert re.fullmatch(r"[1-9A-Za-z]{5}-[1-9A-Za-z]{6}-[1-9A-Za-z]{5}-[1-9A-Za-z]{6}", code)
    for wrong in ("", code[:-1], code.replace("-", ""), "O" + code[1:]):
        with pytest.raises(DecodingError, match="credential 0"):
            profile.encrypt_ballots(opened.path, [(wrong, Choice(contests={}))])
    other = ("2" if code[0] == "1" else "1") + code[1:]
    with pytest.raises(ParameterError, match="not listed"):
        profile.encrypt_ballots(opened.path, [(other, Choice(contests={}))])
    assert code not in repr(opened.credentials)
    files = [path.read_bytes() for path in opened.path.rglob("*") if path.is_file()]
    assert not [data for data in files if code.encode() in data]


def test_credentials_within_the_manifest(cards: dict[str, Any], tmp_path: Path) -> None:
    record = tmp_path / "record"
    workflow.new_election(record, draft(Plan(weights=(1, 2))), cards=cards["ed25519"])
    for lines, reason in (
        ([RollLine(style="all", count=3)], "more than 2 voters"),
        ([RollLine(style="all", weight=2, count=2)], "total weight of 3"),
        ([RollLine(style="all", weight=3)], "weights from 1 to 2"),
        ([RollLine(style="none")], "no style"),
        ([RollLine(style="all", district="x")], "no districts"),
        ([RollLine(style="all", status="provisional")], "no provisional voters"),
    ):
        with pytest.raises(ParameterError, match=reason):
            profile.draw_credentials(record, lines)
    assert len(profile.draw_credentials(record, [RollLine(style="all", count=2)])) == 2


# -- what is cast ----------------------------------------------------------------------------------


def one_ballot(made: Made, voter: int = 0) -> bytes:
    choice = Choice(contests={"q": (1, 0), "day": (1, 2, 3)})
    [ballot] = profile.encrypt_ballots(made.path, [(made.credentials[voter].code, choice)])
    return ballot.body


def test_the_board_refuses_what_does_not_verify(copy: Made) -> None:
    """All ballots of a call are taken in, or none."""
    good = one_ballot(copy)
    before = copy.archive.read_bytes()
    codec = codec_of("Ed25519")
    for pointer in ("/answers/0/choices/1/alpha", "/answers/1/proof/response", "/election_hash"):
        ballot = json.loads(good)
        where, key = reach(ballot, pointer)
        where[key] = another(where[key], codec)
        with pytest.raises(Failed):
            profile.cast_ballots(copy.path, copy.board, [good, dump(ballot)], PASSPHRASE)
        assert copy.archive.read_bytes() == before
    odd = good.replace(b'"answers":[{"choices":', b'"answers":[{"more":1,"choices":')
    for other in (odd, b"", b"{}", good + b" "):
        with pytest.raises(Failed):
            profile.cast_ballots(copy.path, copy.board, [other], PASSPHRASE)
    profile.cast_ballots(copy.path, copy.board, [good], PASSPHRASE)
    assert copy.archive.read_bytes().startswith(before)


def test_receipts(copy: Made) -> None:
    first, second = one_ballot(copy), one_ballot(copy)
    receipts = profile.cast_ballots(copy.path, copy.board, [first], PASSPHRASE)
    again = profile.cast_ballots(copy.path, copy.board, [first, second], PASSPHRASE)
    assert again[0] == receipts[0]  # it stays where it is
    found = profile.check_receipt(copy.path, receipts[0])
    assert (found.height, found.superseded) == (1, 2)
    assert profile.check_receipt(copy.path, again[1]).superseded is None
    value = json.loads(receipts[0])
    value["content"]["height"] = 2
    with pytest.raises(VerificationError, match="signature"):
        profile.check_receipt(copy.path, canonical_json(value))
    parts = Parts(copy.archive.read_bytes())
    parts.items[1:] = reversed(parts.items[1:])
    copy.archive.write_bytes(parts.data())
    with pytest.raises(VerificationError, match="another event"):
        profile.check_receipt(copy.path, receipts[0])


def test_nothing_is_cast_behind_the_seal(copy: Made) -> None:
    vote(copy)
    late = one_ballot(copy)
    profile.seal_election(copy.path, copy.authority, copy.board, PASSPHRASE)
    with pytest.raises(ParameterError, match="closed"):
        profile.cast_ballots(copy.path, copy.board, [late], PASSPHRASE)


def test_too_few_ballots_are_not_mixed(copy: Made) -> None:
    profile.cast_ballots(copy.path, copy.board, [one_ballot(copy)], PASSPHRASE)
    before = copy.archive.read_bytes()
    with pytest.raises(VerificationError, match="1 ballots are counted, and fewer than 2"):
        profile.seal_election(copy.path, copy.authority, copy.board, PASSPHRASE)
    assert copy.archive.read_bytes() == before
    profile.cast_ballots(copy.path, copy.board, [one_ballot(copy, 1)], PASSPHRASE)
    profile.seal_election(copy.path, copy.authority, copy.board, PASSPHRASE)


# -- steps again, and after a kill -----------------------------------------------------------------


def snapshot(made: Made) -> dict[str, bytes]:
    return {
        str(path.relative_to(made.path)): path.read_bytes()
        for path in sorted(made.path.rglob("*"))
        if path.is_file()
    }


def steps_of(made: Made) -> Iterator[Any]:
    path, board = made.path, made.board
    body = [one_ballot(made, 0), one_ballot(made, 1)]
    yield lambda: profile.open_election(path, made.authority, board, PASSPHRASE)
    yield lambda: profile.cast_ballots(path, board, body, PASSPHRASE)
    yield lambda: profile.seal_election(path, made.authority, board, PASSPHRASE)
    yield lambda: profile.mix(path, made.trustees[0], PASSPHRASE)
    yield lambda: profile.compute_tally(path, board, PASSPHRASE)
    yield lambda: profile.decrypt_share(path, made.trustees[0], PASSPHRASE)
    yield lambda: profile.publish_result(path, board, PASSPHRASE)


def test_steps_may_be_repeated_and_go_on_after_a_kill(copy: Made) -> None:
    """A kill leaves the beginning of an append, of any length."""
    for number, step in enumerate(steps_of(copy)):
        whole = copy.archive.read_bytes()
        step()
        done = snapshot(copy)
        step()
        assert snapshot(copy) == done, number
        grown = copy.archive.read_bytes()
        assert grown.startswith(whole)
        if grown == whole:
            continue
        for cut in {1, 511, 512, 513, (len(grown) - len(whole)) // 2, len(grown) - len(whole) - 1}:
            copy.archive.write_bytes(grown[: len(whole) + cut])
            with open_growing(copy.archive) as archive:
                last = archive.events[-1].end
            mended = copy.archive.read_bytes()
            assert grown.startswith(mended)
            assert len(whole) <= len(mended) == last <= len(whole) + cut
        step()
        profile.audit_record(copy.path)
    profile.audit_record(copy.path).raise_for_failure()


def test_damage_is_not_cut_off(copy: Made) -> None:
    vote(copy)
    good = copy.archive.read_bytes()
    with Archive(copy.archive) as archive:
        archive.read()
        ends = [event.end for event in archive.events]
    places = [end + k for end in ends[:-1] for k in (0, 130, 600)]
    for place in places:
        bad = bytearray(good)
        bad[place] ^= 1
        copy.archive.write_bytes(bad)
        with pytest.raises(Failed), open_growing(copy.archive):
            pass
        assert copy.archive.read_bytes() == bad
    copy.archive.write_bytes(good[: ends[0] - 1])
    with pytest.raises(Failed), open_growing(copy.archive):
        pass


# -- trustees --------------------------------------------------------------------------------------


def sealed(made: Made) -> None:
    vote(made)
    profile.seal_election(made.path, made.authority, made.board, PASSPHRASE)


def test_trustees_verify_before_they_use_their_keys(copy: Made) -> None:
    [trustee] = copy.trustees
    with pytest.raises(VerificationError):
        profile.decrypt_share(copy.path, trustee, PASSPHRASE)
    sealed(copy)
    with pytest.raises(VerificationError, match="profile-digest"):
        profile.mix(copy.path, trustee, PASSPHRASE, expect_manifest=bytes(32))
    with pytest.raises(VerificationError, match="0 trustees have shuffled, of 1 expected"):
        profile.compute_tally(copy.path, copy.board, PASSPHRASE)
    profile.mix(copy.path, trustee, PASSPHRASE)
    good = copy.archive.read_bytes()
    parts = Parts(good)
    [shuffle] = parts.of("Shuffle")
    value = json.loads(shuffle.data[0])
    value["ciphertexts"][0][0] = value["ciphertexts"][0][1]
    shuffle.data[0] = dump(value)
    copy.archive.write_bytes(parts.data())
    with pytest.raises(VerificationError, match="not the one it signed"):
        profile.compute_tally(copy.path, copy.board, PASSPHRASE)
    with pytest.raises(VerificationError, match="profile-shuffles"):
        profile.decrypt_share(copy.path, trustee, PASSPHRASE)
    copy.archive.write_bytes(good)
    profile.compute_tally(copy.path, copy.board, PASSPHRASE)
    profile.decrypt_share(copy.path, trustee, PASSPHRASE)


def test_trustees_decrypt_one_tally(copy: Made) -> None:
    """Another log of the same election, sealed by the same authorities."""
    [trustee] = copy.trustees
    vote(copy)
    short = copy.archive.read_bytes()
    for other in (True, False):
        copy.archive.write_bytes(short)
        for name in ("seal.json", "shuffle-001.json"):
            (copy.path / "belenios" / name).unlink(missing_ok=True)
        if not other:
            profile.cast_ballots(copy.path, copy.board, [one_ballot(copy)], PASSPHRASE)
        profile.seal_election(copy.path, copy.authority, copy.board, PASSPHRASE)
        profile.mix(copy.path, trustee, PASSPHRASE)
        profile.compute_tally(copy.path, copy.board, PASSPHRASE)
        if other:
            profile.decrypt_share(copy.path, trustee, PASSPHRASE)
            continue
        with pytest.raises(VerificationError, match="decrypted another tally"):
            profile.decrypt_share(copy.path, trustee, PASSPHRASE)


def test_results_need_enough_trustees(copy: Made) -> None:
    sealed(copy)
    profile.mix(copy.path, copy.trustees[0], PASSPHRASE)
    profile.compute_tally(copy.path, copy.board, PASSPHRASE)
    with pytest.raises(QuorumError, match="trustee 1"):
        profile.publish_result(copy.path, copy.board, PASSPHRASE)
    assert profile.audit_record(copy.path).exit_code == 3


def test_a_ceremony_names_who_is_missing_or_wrong(tmp_path: Path) -> None:
    plan = PLANS["weights-threshold-ed25519"]
    operators = workflow.create_operators(
        tmp_path / "o", PASSPHRASE, trustees=3, group=named_group("ed25519"), cost=SCRYPT_COST_FLOOR
    )
    record = tmp_path / "record"
    known = {name: load_card(path) for name, path in operators.items()}
    workflow.new_election(record, draft(plan), cards=known)
    trustees = [operators[f"trustee-{i}"] for i in (1, 2, 3)]
    for path in trustees[:2]:
        profile.commit(path, record, PASSPHRASE)
    with pytest.raises(VerificationError, match="no certificate yet from trustee 3"):
        profile.reveal(trustees[0], record, PASSPHRASE)
    profile.commit(trustees[2], record, PASSPHRASE)
    for path in trustees:
        profile.reveal(path, record, PASSPHRASE)
    place = record / "belenios" / "coefficients-002.json"
    good = place.read_bytes()
    place.write_bytes((record / "belenios" / "coefficients-001.json").read_bytes())
    with pytest.raises(EvoteError, match=r"belenios/coefficients-002.json"):
        profile.check(trustees[0], record, PASSPHRASE)
    place.write_bytes(good)
    for path in trustees:
        assert isinstance(profile.check(path, record, PASSPHRASE), Path)


def test_single_trustees_have_one_round(opened: Made) -> None:
    with pytest.raises(UnsupportedError, match="one round"):
        profile.reveal(opened.trustees[0], opened.path, PASSPHRASE)
    for verb in (("complain",), ("rehearse",)):
        more = (opened.path.parent / "scratch",) if verb == ("rehearse",) else ()
        assert run("trustee", *verb, opened.path, opened.trustees[0], *more) == 2


def test_a_backup_made_before_the_ceremony_decrypts(copy: Made) -> None:
    """Secrets come from the ceremony key: notes of the election are not needed."""
    [trustee] = copy.trustees
    key = load_operator(trustee, PASSPHRASE)
    save_operator(trustee, replace(key, memory=type(key.memory)(b"{}")), PASSPHRASE)
    vote(copy)
    finish(copy)
    profile.audit_record(copy.path).raise_for_failure()


# -- answers that nobody has proven ----------------------------------------------------------------


def test_malformed_rankings_are_counted_as_such(copy: Made) -> None:
    """A voter may encrypt any element; the election goes on."""
    terms = load_terms(copy.path)
    election, _ = check_opened(terms)
    secrets = _secrets(election.codec, terms.uuid, [item.code for item in copy.credentials])
    answers = [np.array([[0, 1, 0], [1, 0, 0]]), np.array([[9, 9, 9], [1, 0, 2]])]
    texts = election.codec.texts(election.codec.group.generator**secrets)
    bodies = encrypt_answers(election, texts, secrets, answers)
    profile.cast_ballots(copy.path, copy.board, bodies, PASSPHRASE)
    finish(copy)
    profile.audit_record(copy.path).raise_for_failure()
    [answers_found] = profile.mixed_answers(copy.path)
    assert sorted(answers_found.verdicts.tolist()) == [Verdict.VALID, Verdict.MALFORMED]


def test_an_element_that_is_no_encoding_has_an_answer_all_the_same() -> None:
    """As in the original: what stands above the numbers is ignored, and reported by an audit."""
    codec = codec_of("Ed25519")
    elements = codec.group.generator ** codec.group.random_scalars((4,), secrecy=Secrecy.PUBLIC)
    rows = codec.to_numbers(elements, 3)
    assert [len(row) for row in rows] == [3] * 4
    assert codec.from_numbers(rows) != [elements[i].encode() for i in range(4)]


def test_verdicts_on_answers(opened: Made) -> None:
    ranking = load_terms(opened.path).manifest.contest("day")
    cases = {(1, 2, 3): 0, (0, 0, 0): 0, (0, 2, 1): 0, (2, 3, 0): 4, (1, 1, 2): 4, (255, 1, 2): 4}
    found = judge(ranking, [list(row) for row in cases])
    assert found.verdicts.tolist() == list(cases.values())
    assert judge(replace(ranking, minimum=1), [[0, 0, 0]]).verdicts.tolist() == [Verdict.UNDERVOTE]
    wrong: list[Any] = [[[1, 2]], [[1, 2, -1]], [["x", 1, 2]], {}, [1]]
    for bad in wrong:
        with pytest.raises(DecodingError):
            judge(ranking, bad)


# -- forgeries -------------------------------------------------------------------------------------


def verdict(parts: Parts, place: Path) -> set[str]:
    place.write_bytes(parts.data())
    return failed(belenios.audit(place))


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """A finished election of two ballots and one trustee."""
    plan = Plan(contests=(BLANK, RANKING), mixed=("day",), weights=(1, 1))
    made = make_opened(tmp_path_factory.mktemp("small"), plan)
    bodies = [one_ballot(made, 0), one_ballot(made, 1)]
    profile.cast_ballots(made.path, made.board, bodies, PASSPHRASE)
    finish(made)
    return made


def check_of(pointer: str) -> set[str]:
    """What has to fail when something in an answer is changed and signed again."""
    if "/choices" in pointer:
        return {"individual-proof", "nh-proof"}
    checks = {"individual_proofs": "individual-proof", "overall_proof": "overall-proof"}
    name = pointer.split("/")[3]
    return {checks.get(name, "blank-proof" if name == "blank_proof" else "nh-proof")}


def test_each_field_of_a_ballot_is_checked(small: Made, tmp_path: Path) -> None:
    """Changed and signed again by the voter; the rest is hashed again."""
    data, codec = small.archive.read_bytes(), codec_of("Ed25519")
    codes = {str(i): item.code for i, item in enumerate(small.credentials)}
    uuid = load_terms(small.path).uuid
    body = json.loads(Parts(data).of("Ballot")[0].data[0])
    for pointer in leaves(body):
        parts = Parts(data)
        item = parts.of("Ballot")[0]
        ballot = json.loads(item.data[0])
        where, key = reach(ballot, pointer)
        where[key] = another(where[key], codec)
        if pointer.startswith("/answers"):
            sign(ballot, codec, codes, uuid)
            expected = check_of(pointer)
        else:
            name = pointer.split("/")[1].replace("_", "-")
            expected = {
                "election-uuid": {"ballot-election-uuid"},
                "election-hash": {"ballot-election-hash"},
                "credential": {"ballot-credential-unknown"},
                "signature": {"ballot-signature", "ballot-signature-hash", "ballot-canonical"},
            }[name]
        item.data[0] = dump(ballot)
        found = verdict(parts, tmp_path / "forged.bel")
        assert found & expected, (pointer, found)


def test_each_field_of_shuffles_and_decryptions_is_checked(small: Made, tmp_path: Path) -> None:
    data, codec = small.archive.read_bytes(), codec_of("Ed25519")
    kinds = {"Shuffle": "shuffle-proof", "PartialDecryption": "partial-decryption"}
    for kind, check in kinds.items():
        for pointer in leaves(json.loads(Parts(data).of(kind)[0].data[0])):
            parts = Parts(data)
            item = parts.of(kind)[0]
            value = json.loads(item.data[0])
            where, key = reach(value, pointer)
            where[key] = another(where[key], codec)
            item.data[0] = dump(value)
            assert check in verdict(parts, tmp_path / "forged.bel"), pointer
    for kind, check in (("EncryptedTally", "encrypted-tally"), ("Result", "result")):
        for pointer in leaves(json.loads(Parts(data).of(kind)[0].data[0])):
            parts = Parts(data)
            item = parts.of(kind)[0]
            value = json.loads(item.data[0])
            where, key = reach(value, pointer)
            where[key] = another(where[key], codec)
            item.data[0] = dump(value)
            assert check in verdict(parts, tmp_path / "forged.bel"), pointer


def forged_record(made: Made, directory: Path) -> Path:
    return shutil.copytree(made.path, directory / "record")


def test_another_archive_is_not_that_of_the_manifest(small: Made, tmp_path: Path) -> None:
    """Whatever is changed and chained anew: operators have signed it."""
    data = small.archive.read_bytes()
    changes: dict[str, Callable[[Parts], object]] = {
        "profile-setup": lambda p: change(p, "Setup", 0, "/name", "Another"),
        "profile-credentials": lambda p: swap(p, 2),
        "profile-open": lambda p: change(p, "Setup", 0, "/name", "Another"),
        "profile-seal": lambda p: p.items.pop(2),
        "profile-shuffles": lambda p: change(p, "Shuffle", 0, "/proofs/0/1/0", "1"),
    }
    record = forged_record(small, tmp_path)
    place = record / small.archive.name
    for check, make in changes.items():
        parts = Parts(data)
        make(parts)
        place.write_bytes(parts.data())
        assert check in failed(profile.audit_record(record)), check
    place.write_bytes(data)
    profile.audit_record(record).raise_for_failure()


def change(parts: Parts, kind: str, index: int, pointer: str, value: str) -> None:
    item = parts.of(kind)[0]
    found = json.loads(item.data[index])
    where, key = reach(found, pointer)
    where[key] = value
    item.data[index] = dump(found)


def swap(parts: Parts, index: int) -> None:
    found = json.loads(parts.items[0].data[index])
    parts.items[0].data[index] = dump(found[::-1])


def test_signed_files_are_their_operators(small: Made, tmp_path: Path) -> None:
    record = forged_record(small, tmp_path)
    checks = {
        "key-001": "profile-setup",
        "credentials": "profile-credentials",
        "open": "profile-open",
        "seal": "profile-seal",
        "shuffle-001": "profile-shuffles",
    }
    for name, check in checks.items():
        place = record / "belenios" / f"{name}.json"
        good = place.read_bytes()
        value = json.loads(good)
        other = json.loads((record / "belenios" / "open.json").read_bytes())["signatures"]
        if name == "open":
            other = json.loads((record / "belenios" / "seal.json").read_bytes())["signatures"]
        forgeries = [value | {"signatures": other}, value | {"content": {}}]
        thorough = [
            value | {"signatures": []},
            value | {"signatures": value["signatures"] * 2},
            value | {"base": "00" * 32},
            value | {"kind": "other"},
            value | {"more": 1},
        ]
        if name == "seal":
            forgeries += thorough
        bodies = [*map(canonical_json, forgeries), b"", good + b"\n"]
        for body in bodies:
            place.write_bytes(body)
            assert check in failed(profile.audit_record(record)), (name, body)
        place.write_bytes(canonical_json(value | {"version": 2}))
        report = profile.audit_record(record)
        assert (report.exit_code, report.finding(f"belenios.{check}").outcome) == (3, "not checked")
        place.unlink()
        assert check in failed(profile.audit_record(record)), name
        place.write_bytes(good)
    profile.audit_record(record).raise_for_failure()


def test_pins_and_stray_files(small: Made, tmp_path: Path) -> None:
    record = forged_record(small, tmp_path)
    digest = load_terms(record).digest
    assert profile.audit_record(record, expect_manifest=digest.hex()).unpinned == ()
    assert failed(profile.audit_record(record, expect_manifest=bytes(32))) == {"profile-digest"}
    assert profile.audit_record(record).unpinned == ("election", "credentials", "ballots")
    for name in ("stray", "belenios/stray.json", "ceremony"):
        (record / name).write_bytes(b"")
        assert failed(profile.audit_record(record)) == {"profile-files"}, name
        (record / name).unlink()
    earlier = tmp_path / "earlier.bel"
    with Archive(small.archive) as archive:
        archive.read()
        earlier.write_bytes(small.archive.read_bytes()[: archive.events[1].end])
    profile.audit_record(record, extends=earlier).raise_for_failure()
    (record / "manifest.json").write_bytes(b"{}")
    assert failed(profile.audit_record(record)) == {"profile-manifest"}
    with pytest.raises(DecodingError):
        profile.audit_record(record, expect_manifest="00")


def test_a_prefix_of_a_record_is_running(small: Made, tmp_path: Path) -> None:
    record = forged_record(small, tmp_path)
    place = record / small.archive.name
    with Archive(small.archive) as archive:
        archive.read()
        ends = [event.end for event in archive.events]
    data = place.read_bytes()
    for end in ends[:-1]:
        place.write_bytes(data[:end])
        report = profile.audit_record(record)
        assert (report.exit_code, failed(report)) == (3, set())
    place.unlink()
    assert profile.audit_record(record).exit_code == 3


# -- the command line ------------------------------------------------------------------------------


def run(*arguments: str | Path) -> int:
    with pytest.raises(SystemExit) as leaving:
        cli.main([str(argument) for argument in arguments])
    assert isinstance(leaving.value.code, int)
    return leaving.value.code


def test_the_walk_of_the_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The commands of docs/belenios.md, with its draft, in this process."""
    page = (Path(__file__).parents[1] / "docs" / "belenios.md").read_text(encoding="utf-8")
    walk = "".join(re.findall(r"^```sh\n(.*?)^```$", page, re.M | re.S))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EVOTE_PASSPHRASE", PASSPHRASE)
    [text] = re.findall(r"<<'END'\n(.*?)^END$", walk, re.M | re.S)
    Path("draft.json").write_text(text)
    Path("voters.csv").write_text("style,count\nmember,4\n")
    trustees = [f"trustee-{i}" for i in (1, 2, 3)]
    cheap: dict[str, Any] = {"cost": SCRYPT_COST_FLOOR}
    for name in trustees:  # the verb `init` has no such option
        create_operator(name, "trustee", name, PASSPHRASE, group=named_group("ed25519"), **cheap)
    roles: tuple[Role, ...] = ("registrar", "authority", "board")
    for role in roles:
        create_operator(role, role, role, PASSPHRASE, **cheap)
    names = [*trustees, "registrar", "authority", "board"]
    cards = itertools.chain(*(("--card", f"{name}/card.json") for name in names))
    capsys.readouterr()
    assert run("election", "new", "draft.json", "record", *cards) == 0
    digest = capsys.readouterr().out.split()[1]
    for step in ("commit", "reveal", "check"):
        for name in trustees:
            assert run("trustee", step, "record", name) == 0
    issue = ("registrar", "issue", "record", "registrar", "voters.csv", "-o", "codes.csv")
    assert run(*issue) == run(*issue) == 0
    boards = ("--authority", "authority", "--board", "board")
    assert run("election", "open", "record", *boards) == 0
    codes = [line.split(",")[0] for line in Path("codes.csv").read_text().splitlines()[1:]]
    for i, code in enumerate(codes[:3]):
        monkeypatch.setenv("EVOTE_CODE", code)
        marks = ("--choose", "well:yes", "--rank", "day:sat>sun>fri")
        assert run("ballot", "encrypt", "record", f"ballot-{i}", *marks) == 0
        assert run("ballot", "spoil", "record", f"ballot-{i}", "--board", "board") == 2
        cast = ("ballot", "cast", "record", f"ballot-{i}", "--board", "board")
        assert run(*cast) == run(*cast) == 0
    assert run("ballot", "check", "record", "ballot-0/receipt.json") == 0
    assert run("election", "seal", "record", *boards) == 0
    for name in trustees[:2]:
        assert run("mix", "shuffle", "record", name, "--jobs", "1") == 0
    assert run("tally", "record", "--board", "board", "--jobs", "1") == 0
    for name in trustees[1:]:
        assert run("trustee", "decrypt", "record", name, "--jobs", "1") == 0
    capsys.readouterr()
    assert run("result", "record", "--board", "board") == 0
    shown = capsys.readouterr().out
    assert "elected: Saturday" in shown
    assert run("result", "record") == 0
    assert capsys.readouterr().out == shown
    assert run("mix", "ballots", "record") == 0
    assert capsys.readouterr().out.count('"selections":[3,1,2]') == 3
    assert run("verify", "record", "--expect-manifest", digest, "--jobs", "1") == 0
    assert "verified: all 47 checks passed" in capsys.readouterr().out
    assert run("export", "belenios", "record", ".", "--jobs", "1") == 0
    [place] = Path().glob("*.bel")
    assert run("verify", place, "--jobs", "1") == 0
    assert run("export", "verificatum", "record", "other", "--jobs", "1") != 0
    assert run("mix", "verify", "record") == 2
    assert run("registrar", "sign", "record", "registrar") == 2
    assert run("verify", "record", "--phase", "voting") == 2
    verbs = set(re.findall(r"evote ([a-z]+(?: [a-z]+)?)", walk))
    assert {"trustee init", "election open", "ballot cast", "mix shuffle"} <= verbs
