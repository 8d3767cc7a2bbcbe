"""The ceremony as trustees run it: directories, files, crashes, and decryption."""

from __future__ import annotations

import json
import os
import traceback
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from evote import _files
from evote import ceremony as steps
from evote._trustee import TrusteeNotes, TrusteeSession
from evote.ceremony import (
    VerifiedTally,
    ceremony_parameters,
    ceremony_status,
    trustee_check,
    trustee_commit,
    trustee_complain,
    trustee_decrypt,
    trustee_rehearse,
    trustee_reveal,
    verified_tally,
)
from evote.contests import Contest, Option, Style
from evote.election import Manifest, encode_manifest
from evote.elgamal import encrypt_exponential
from evote.encoding import canonical_json, encode_base64url
from evote.errors import DecodingError, EvoteError, ParameterError, VerificationError
from evote.groups import ristretto255
from evote.operators import (
    SCRYPT_COST_FLOOR,
    Card,
    SecretBytes,
    backup_operator,
    create_operator,
    draw_operator,
    load_operator,
    restore_operator,
)
from evote.record import Record
from evote.tally import (
    ContestTally,
    Tally,
    combine_shares,
    decode_share,
    encode_tally,
    file_digest,
    verify_share,
)
from evote.threshold import draw_polynomial

PASSPHRASE = "a long enough passphrase"
N, K = 3, 2


class Place:
    """A record and the directories of its trustees."""

    def __init__(self, root: Path) -> None:
        self.record = root / "record"
        self.directories = [root / f"t{i}" for i in range(1, N + 1)]

    def names(self) -> list[str]:
        return sorted(path.name for path in (self.record / "ceremony").glob("*"))

    def all(self, step: Callable[[Path, Path, str], Any]) -> list[Any]:
        return [step(directory, self.record, PASSPHRASE) for directory in self.directories]

    def run(self) -> None:
        for step in (trustee_commit, trustee_reveal, trustee_check):
            self.all(step)

    def posted(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in (self.record / "ceremony").iterdir()}


def write_manifest(record: Path, trustees: list[Card], nonce: bytes = bytes(32)) -> None:
    contest = Contest(
        id="question",
        title="Shall we?",
        kind="yes-no",
        options=(Option(id="yes", title="Yes"), Option(id="no", title="No")),
        option_limit=1,
        minimum=0,
        maximum=1,
    )
    manifest = Manifest(
        nonce=nonce,
        title="A question",
        profile="native",
        group=ristretto255,
        contests=(contest,),
        styles=(Style(id="all", contests=("question",)),),
        trustees=tuple(trustees),
        quorum=K,
        registrars=(draw_operator("registrar", "town").card,),
        authorities=(draw_operator("authority", "chair").card,),
        authority_quorum=1,
        origin="example.org/log",
        board=draw_operator("board", "board").card,
        revote="last",
        spoil="allowed",
        maximum_weight=1,
        total_weight=10,
        maximum_voters=10,
    )
    record.mkdir(exist_ok=True)
    (record / "manifest.json").write_bytes(encode_manifest(manifest))


@pytest.fixture
def place(tmp_path: Path) -> Place:
    place = Place(tmp_path)
    cards = [
        create_operator(
            directory,
            "trustee",
            directory.name,
            PASSPHRASE,
            group=ristretto255,
            cost=SCRYPT_COST_FLOOR,
        ).card
        for directory in place.directories
    ]
    write_manifest(place.record, cards)
    return place


# -- the honest way --------------------------------------------------------------------------------


def test_the_whole_ceremony(place: Place) -> None:
    assert ceremony_status(place.record).missing["commit"] == (1, 2, 3)
    paths = place.all(trustee_commit)
    assert [path.name for path in paths] == [f"commit-{i:03d}.json" for i in (1, 2, 3)]
    place.all(trustee_reveal)
    status = ceremony_status(place.record)
    assert status.tentative is not None
    assert status.result is None
    outcomes = place.all(trustee_check)
    assert all(outcome.ok and not outcome.lines for outcome in outcomes)
    result = ceremony_status(place.record).result
    assert result is not None
    assert len(place.names()) == 3 * N
    assert not [path for path in place.record.rglob("*") if path.name.startswith(".")]


def test_every_step_may_be_repeated(place: Place) -> None:
    for step in (trustee_commit, trustee_reveal, trustee_check):
        place.all(step)
        before = place.posted()
        for earlier in (trustee_commit, trustee_reveal, trustee_check):
            place.all(earlier)
            assert place.posted() == before
            if earlier is step:
                break


def test_steps_come_in_order(place: Place) -> None:
    first, second, _ = place.directories
    with pytest.raises((ParameterError, VerificationError)):
        trustee_reveal(first, place.record, PASSPHRASE)
    trustee_commit(first, place.record, PASSPHRASE)
    trustee_commit(second, place.record, PASSPHRASE)
    with pytest.raises(VerificationError, match=r"no commit yet from trustee 3 \(t3\)"):
        trustee_reveal(first, place.record, PASSPHRASE)
    outcome = trustee_check(first, place.record, PASSPHRASE)
    assert not outcome.ok
    assert any("trustee 3 (t3)" in line for line in outcome.lines)
    with pytest.raises(EvoteError):
        trustee_complain(first, place.record, PASSPHRASE)
    assert place.names() == ["commit-001.json", "commit-002.json"]


def test_the_polynomial_is_erased_once_the_share_is_kept(place: Place) -> None:
    place.all(trustee_commit)
    base = ceremony_parameters(Record(place.record)).base_id

    def kept() -> set[str]:
        fields = load_operator(place.directories[0], PASSPHRASE).recall(base)
        assert fields is not None
        return {name for name in ("polynomial", "reveal", "share", "tally") if name in fields}

    assert kept() == {"polynomial"}
    place.all(trustee_reveal)
    assert kept() == {"polynomial", "reveal"}
    place.all(trustee_check)
    assert kept() == {"share"}


def test_strangers_and_wrong_passphrases_do_nothing(place: Place, tmp_path: Path) -> None:
    create_operator(
        tmp_path / "x", "trustee", "x", PASSPHRASE, group=ristretto255, cost=SCRYPT_COST_FLOOR
    )
    create_operator(tmp_path / "b", "board", "b", PASSPHRASE, cost=SCRYPT_COST_FLOOR)
    for stranger in ("x", "b"):
        with pytest.raises(ParameterError, match="no trustee of this election"):
            trustee_commit(tmp_path / stranger, place.record, PASSPHRASE)
    with pytest.raises(DecodingError, match="wrong passphrase"):
        trustee_commit(place.directories[0], place.record, "not the passphrase")
    assert not (place.record / "ceremony").exists()


def test_two_elections_do_not_mix(place: Place, tmp_path: Path) -> None:
    cards = [load_operator(directory, PASSPHRASE).card for directory in place.directories]
    other = Place(tmp_path)
    other.record = tmp_path / "other"
    write_manifest(other.record, cards, nonce=b"\1" * 32)
    place.all(trustee_commit)
    other.all(trustee_commit)
    place.all(trustee_reveal)
    other.all(trustee_reveal)
    other.all(trustee_check)
    place.all(trustee_check)
    one, two = ceremony_status(place.record).result, ceremony_status(other.record).result
    assert one is not None
    assert two is not None
    assert one.key != two.key
    (place.record / "ceremony" / "commit-001.json").write_bytes(other.posted()["commit-001.json"])
    status = ceremony_status(place.record)
    assert status.problems[0].trustees == (1,)
    assert "another election" in status.problems[0].reason


# -- crashes ---------------------------------------------------------------------------------------


class Crash(BaseException):
    """As sudden as a power failure: nothing in the package catches it."""


def crash_at(monkeypatch: pytest.MonkeyPatch, write: int, *, after: bool) -> Callable[[], int]:
    """Make the file layer fail before or after its given write; returns the count of writes."""
    replace_file, count = _files.replace_file, [0]

    def crashing(path: Path, data: bytes, *, mode: int = 0o644) -> None:
        count[0] += 1
        if count[0] == write and not after:
            raise Crash
        replace_file(path, data, mode=mode)
        if count[0] == write:
            raise Crash

    monkeypatch.setattr(_files, "replace_file", crashing)
    return lambda: count[0]


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("write", [1, 2])
@pytest.mark.parametrize("step", [trustee_commit, trustee_reveal, trustee_check])
def test_a_crash_between_writes_changes_nothing(
    place: Place,
    monkeypatch: pytest.MonkeyPatch,
    step: Callable[[Path, Path, str], Any],
    write: int,
    after: bool,
) -> None:
    """What was drawn before the crash is what is posted after it."""
    order = (trustee_commit, trustee_reveal, trustee_check)
    for earlier in order[: order.index(step)]:
        place.all(earlier)
    directory = place.directories[0]
    with monkeypatch.context() as patched:
        crash_at(patched, write, after=after)
        with pytest.raises(Crash):
            step(directory, place.record, PASSPHRASE)
    # Whatever has become public by now stays; what was only remembered is posted as remembered.
    public = place.posted() if (place.record / "ceremony").exists() else {}
    base = ceremony_parameters(Record(place.record)).base_id
    notes = load_operator(directory, PASSPHRASE).recall(base)
    remembered = notes.packed("reveal") if notes is not None and "reveal" in notes else None
    step(directory, place.record, PASSPHRASE)
    posted = place.posted()
    assert all(posted[name] == data for name, data in public.items())
    if step is trustee_reveal and remembered is not None:
        assert posted["reveal-001.json"] == remembered
    place.all(step)
    for later in order[order.index(step) + 1 :]:
        place.all(later)
    assert ceremony_status(place.record).result is not None


def test_each_step_writes_twice(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """The crash test above covers every write there is."""
    for step in (trustee_commit, trustee_reveal, trustee_check):
        for directory in place.directories:
            with monkeypatch.context() as patched:
                count = crash_at(patched, 0, after=False)
                step(directory, place.record, PASSPHRASE)
                assert count() == 2


def test_a_half_written_file_of_a_killed_step_is_cleared(place: Place) -> None:
    """kill -9 leaves a temporary file, which no record may hold."""
    place.all(trustee_commit)
    leftover = place.record / "ceremony" / ".new-reveal-001.json"
    leftover.write_bytes(b'{"half":')
    place.all(trustee_reveal)
    assert not leftover.exists()
    place.all(trustee_check)
    write_tally(place, [3, 1])
    (place.record / "shares").mkdir()
    (place.record / "shares" / ".new-001.json").write_bytes(b"{")
    tally = verified_tally(place.record, Auditor())
    path = trustee_decrypt(place.directories[0], tally, PASSPHRASE)
    assert [file.name for file in path.parent.iterdir()] == ["001.json"]


# -- backups ---------------------------------------------------------------------------------------


def test_a_backup_from_before_the_ceremony_still_decrypts(place: Place, tmp_path: Path) -> None:
    backup_operator(place.directories[0], tmp_path / "backup.json", PASSPHRASE)
    place.run()
    restore_operator(tmp_path / "backup.json", tmp_path / "restored", PASSPHRASE)
    place.directories[0] = tmp_path / "restored"
    scratch = tmp_path / "scratch"
    for directory in place.directories[:2]:
        rehearsal = trustee_rehearse(directory, place.record, scratch, PASSPHRASE)
    assert rehearsal.done
    outcome = trustee_check(tmp_path / "restored", place.record, PASSPHRASE)
    assert outcome.ok
    trustee_commit(tmp_path / "restored", place.record, PASSPHRASE)  # nothing to do any more


def test_a_copy_that_lost_its_polynomial_says_so(place: Place, tmp_path: Path) -> None:
    backup_operator(place.directories[0], tmp_path / "backup.json", PASSPHRASE)
    place.all(trustee_commit)
    restore_operator(tmp_path / "backup.json", tmp_path / "restored", PASSPHRASE)
    before = place.posted()
    with pytest.raises(ParameterError, match="another copy"):
        trustee_commit(tmp_path / "restored", place.record, PASSPHRASE)
    with pytest.raises(ParameterError, match="not committed"):
        trustee_reveal(tmp_path / "restored", place.record, PASSPHRASE)
    assert place.posted() == before


# -- others who misbehave --------------------------------------------------------------------------


def forge(place: Place, name: str, change: Callable[[dict[str, Any]], None], author: int) -> None:
    """Change a posted file and sign it again with its author's key."""
    path = place.record / "ceremony" / name
    value = json.loads(path.read_bytes())
    del value["signature"]
    change(value)
    key = load_operator(place.directories[author - 1], PASSPHRASE)
    signature = key.sign(f"ceremony-{name.partition('-')[0]}", canonical_json(value))
    path.write_bytes(canonical_json(value | {"signature": encode_base64url(signature)}))


def spoil_share(value: dict[str, Any]) -> None:
    value["shares"][0]["sealed"] = encode_base64url(bytes(48))


def test_a_bad_share_is_complained_about_and_judged(place: Place) -> None:
    place.all(trustee_commit)
    place.all(trustee_reveal)
    forge(place, "reveal-002.json", spoil_share, 2)
    outcome = trustee_check(place.directories[0], place.record, PASSPHRASE)
    assert not outcome.ok
    assert list(outcome.faults) == [2]
    assert outcome.lines == ("trustee 2 (t2) sent a bad share: the share does not decrypt",)
    assert trustee_check(place.directories[2], place.record, PASSPHRASE).ok
    with pytest.raises(ParameterError, match="nothing to complain"):
        trustee_complain(place.directories[2], place.record, PASSPHRASE)
    (path,) = trustee_complain(place.directories[0], place.record, PASSPHRASE)
    assert path.name == "complaint-001-002.json"
    data = path.read_bytes()
    assert trustee_complain(place.directories[0], place.record, PASSPHRASE) == (path,)
    assert path.read_bytes() == data
    status = ceremony_status(place.record)
    assert [judgement.guilty for judgement in status.judgements] == [2]
    outcome = trustee_check(place.directories[2], place.record, PASSPHRASE)
    assert not outcome.ok
    assert any("trustee 2 (t2) is guilty" in line for line in outcome.lines)


def test_a_dealer_notices_what_was_posted_in_its_name(place: Place) -> None:
    place.all(trustee_commit)
    place.all(trustee_reveal)
    forge(place, "reveal-002.json", spoil_share, 2)
    with pytest.raises(VerificationError, match=r"reveal-002\.json: not the file"):
        trustee_check(place.directories[1], place.record, PASSPHRASE)
    with pytest.raises(ParameterError, match="exists already"):
        trustee_reveal(place.directories[1], place.record, PASSPHRASE)


def test_a_reveal_is_not_posted_after_other_commits(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reveal was made and sealed; before it is posted, somebody replaces a commit."""
    place.all(trustee_commit)
    with monkeypatch.context() as patched:
        crash_at(patched, 1, after=True)
        with pytest.raises(Crash):
            trustee_reveal(place.directories[0], place.record, PASSPHRASE)
    forge(place, "commit-002.json", lambda value: value.update(commitment="00" * 32), 2)
    with pytest.raises(VerificationError, match="not those for which"):
        trustee_reveal(place.directories[0], place.record, PASSPHRASE)
    assert not [name for name in place.names() if name.startswith("reveal")]


def test_nobody_confirms_a_wrong_ceremony(place: Place) -> None:
    place.all(trustee_commit)
    place.all(trustee_reveal)
    name = "reveal-003.json"
    data = (place.record / "ceremony" / name).read_bytes()
    for wrong in (data[:-1], data.replace(b'"index":3', b'"index":2'), b"{}"):
        (place.record / "ceremony" / name).write_bytes(wrong)
        outcome = trustee_check(place.directories[0], place.record, PASSPHRASE)
        assert not outcome.ok
        assert outcome.status.problems[0].trustees == (3,)
        with pytest.raises(EvoteError):
            trustee_complain(place.directories[0], place.record, PASSPHRASE)
    (place.record / "ceremony" / name).write_bytes(data)
    assert trustee_check(place.directories[0], place.record, PASSPHRASE).ok


# -- rehearsal -------------------------------------------------------------------------------------


def record_bytes(place: Place) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in place.record.rglob("*") if path.is_file()}


def test_a_rehearsal_decrypts_and_leaves_the_record_alone(place: Place, tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    place.all(trustee_commit)
    with pytest.raises(VerificationError, match="no reveal file"):
        trustee_rehearse(place.directories[0], place.record, scratch, PASSPHRASE)
    place.all(trustee_reveal)
    place.all(trustee_check)
    before = record_bytes(place)
    seen = []
    for index in (2, 2, 0):
        rehearsal = trustee_rehearse(place.directories[index], place.record, scratch, PASSPHRASE)
        seen.append((rehearsal.shares, rehearsal.done))
    assert seen == [((3,), False), ((3,), False), ((1, 3), True)]
    assert record_bytes(place) == before


def test_a_rehearsal_names_who_spoils_it(place: Place, tmp_path: Path) -> None:
    place.run()
    scratch, other = tmp_path / "scratch", tmp_path / "other"
    trustee_rehearse(place.directories[0], place.record, scratch, PASSPHRASE)
    trustee_rehearse(place.directories[0], place.record, other, PASSPHRASE)
    path = scratch / "share-001.json"
    data = path.read_bytes()
    element = encode_base64url(ristretto255.generator.encode())
    for change, error, place_named in (
        ({"share": element}, VerificationError, "trustee 1"),
        ({"trustee": 2}, DecodingError, r"share-001\.json: \$\.trustee"),
        ({"base": "00" * 32}, DecodingError, r"\$\.base"),
        ({"more": 1}, DecodingError, "more"),
    ):
        path.write_bytes(canonical_json(json.loads(data) | change))
        with pytest.raises(error, match=place_named):
            trustee_rehearse(place.directories[1], place.record, scratch, PASSPHRASE)
    path.write_bytes((other / "share-001.json").read_bytes())
    with pytest.raises(DecodingError, match="another rehearsal"):
        trustee_rehearse(place.directories[1], place.record, scratch, PASSPHRASE)


# -- decryption ------------------------------------------------------------------------------------


class Report:
    """What an audit returns, as far as a trustee looks at it."""

    def __init__(self, ok: bool, raises: bool = False) -> None:
        self.ok, self._raises = ok, raises

    def raise_for_failure(self) -> None:
        if self._raises:
            raise VerificationError("tally.sums failed")


class Auditor:
    """Stands in for verify.audit, and notes what it was asked."""

    def __init__(self, ok: bool = True, raises: bool = False) -> None:
        self.calls: list[tuple[Path, str]] = []
        self.report = Report(ok, raises)

    def __call__(self, path: Path, /, *, phase: str) -> Report:
        self.calls.append((path, phase))
        return self.report


def write_tally(place: Place, values: list[int], ballots: int = 4) -> None:
    result = ceremony_status(place.record).result
    assert result is not None
    sums, _ = encrypt_exponential(result.key, ristretto255.scalars(values))
    contest = ContestTally(id="question", ballots=ballots, weight=ballots, sums=sums)
    tally = Tally(election=b"\7" * 32, counted=bytes(32), group=ristretto255, contests=(contest,))
    (place.record / "tally.json").write_bytes(encode_tally(tally))


@pytest.fixture
def tallied(place: Place) -> Place:
    place.run()
    write_tally(place, [3, 1])
    return place


def test_a_quorum_decrypts_the_tally(tallied: Place) -> None:
    audit = Auditor()
    tally = verified_tally(tallied.record, audit)
    assert audit.calls == [(tallied.record, "tallied")]
    manifest, shares = Record(tallied.record).manifest, []
    assert tally.digest == file_digest((tallied.record / "tally.json").read_bytes())
    for index in (1, 3):
        path = trustee_decrypt(tallied.directories[index - 1], tally, PASSPHRASE)
        assert path == tallied.record / "shares" / f"{index:03d}.json"
        data = path.read_bytes()
        assert trustee_decrypt(tallied.directories[index - 1], tally, PASSPHRASE) == path
        assert path.read_bytes() == data
        share = decode_share(manifest, tally.tally, data, where=path.name)
        verify_share(tally.tally, tally.digest, share, tally.ceremony.verification_keys[index - 1])
        shares.append(share)
    result = combine_shares(manifest, tally.tally, tally.digest, shares)
    assert result.contests[0].votes == (3, 1)
    assert result.trustees == (1, 3)


def test_the_audit_cannot_be_forgotten(tallied: Place) -> None:
    for audit in (Auditor(ok=False), Auditor(ok=False, raises=True)):
        with pytest.raises(VerificationError):
            verified_tally(tallied.record, audit)
        assert audit.calls
    good = verified_tally(tallied.record, Auditor())
    with pytest.raises(ParameterError, match="verified_tally"):
        VerifiedTally(
            path=good.path,
            base_id=good.base_id,
            tally=good.tally,
            digest=good.digest,
            ceremony=good.ceremony,
            manifest=good.manifest,
            witness=object(),
        )
    assert not (tallied.record / "shares").exists()


def test_a_tally_that_changes_under_the_audit_is_refused(tallied: Place) -> None:
    class Slow(Auditor):
        def __call__(self, path: Path, /, *, phase: str) -> Report:
            write_tally(tallied, [2, 2])
            return super().__call__(path, phase=phase)

    with pytest.raises(VerificationError, match="changed"):
        verified_tally(tallied.record, Slow())


def test_a_trustee_decrypts_one_tally_only(tallied: Place) -> None:
    """E6: a second tally, different by one ballot, would show that ballot."""
    directory = tallied.directories[0]
    path = trustee_decrypt(directory, verified_tally(tallied.record, Auditor()), PASSPHRASE)
    path.unlink()
    trustee_decrypt(directory, verified_tally(tallied.record, Auditor()), PASSPHRASE)
    path.unlink()
    write_tally(tallied, [3, 0], ballots=3)
    with pytest.raises(VerificationError, match="another tally"):
        trustee_decrypt(directory, verified_tally(tallied.record, Auditor()), PASSPHRASE)
    assert not path.exists()


def test_a_restored_copy_learns_from_the_record_what_it_has_decrypted(
    tallied: Place, tmp_path: Path
) -> None:
    backup_operator(tallied.directories[0], tmp_path / "backup.json", PASSPHRASE)
    tally = verified_tally(tallied.record, Auditor())
    path = trustee_decrypt(tallied.directories[0], tally, PASSPHRASE)
    restore_operator(tmp_path / "backup.json", tmp_path / "restored", PASSPHRASE)
    assert trustee_decrypt(tmp_path / "restored", tally, PASSPHRASE) == path
    path.unlink()
    write_tally(tallied, [3, 0], ballots=3)
    with pytest.raises(VerificationError, match="another tally"):
        trustee_decrypt(
            tmp_path / "restored", verified_tally(tallied.record, Auditor()), PASSPHRASE
        )


def test_a_crash_before_the_shares_are_posted_still_counts(
    tallied: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory, tally = tallied.directories[0], verified_tally(tallied.record, Auditor())
    for write in (1, 2):
        for after in (False, True):
            with monkeypatch.context() as patched:
                crash_at(patched, write, after=after)
                with pytest.raises(Crash):
                    trustee_decrypt(directory, tally, PASSPHRASE)
            if (write, after) == (2, True):
                break
    path = trustee_decrypt(directory, tally, PASSPHRASE)
    share = decode_share(tally.manifest, tally.tally, path.read_bytes(), where=path.name)
    verify_share(tally.tally, tally.digest, share, tally.ceremony.verification_keys[0])


def test_a_wrong_file_in_its_place_is_not_taken_for_its_share(tallied: Place) -> None:
    tally = verified_tally(tallied.record, Auditor())
    path = trustee_decrypt(tallied.directories[1], tally, PASSPHRASE)
    wrong = path.with_name("001.json")
    wrong.write_bytes(path.read_bytes())
    with pytest.raises(VerificationError, match="trustee 2"):
        trustee_decrypt(tallied.directories[0], tally, PASSPHRASE)
    wrong.write_bytes(b"{}")
    with pytest.raises(DecodingError, match=r"shares/001\.json"):
        trustee_decrypt(tallied.directories[0], tally, PASSPHRASE)


def test_a_tally_of_no_ballots_has_empty_shares(place: Place) -> None:
    place.run()
    neutral = encrypt_exponential(
        ceremony_status(place.record).result.key,  # type: ignore[union-attr]
        ristretto255.scalars([0, 0]),
    )[0]
    sums = neutral / neutral
    contest = ContestTally(id="question", ballots=0, weight=0, sums=sums)
    tally = Tally(election=b"\7" * 32, counted=bytes(32), group=ristretto255, contests=(contest,))
    (place.record / "tally.json").write_bytes(encode_tally(tally))
    verified = verified_tally(place.record, Auditor())
    path = trustee_decrypt(place.directories[0], verified, PASSPHRASE)
    share = decode_share(verified.manifest, verified.tally, path.read_bytes(), where=path.name)
    assert share.decryption.shares.shape == (0,)
    assert share.decryption.proofs == ()


def test_shares_of_another_ceremony_are_not_used(tallied: Place) -> None:
    tally = verified_tally(tallied.record, Auditor())
    cards = [load_operator(directory, PASSPHRASE).card for directory in tallied.directories]
    write_manifest(tallied.record, cards, nonce=b"\2" * 32)
    with pytest.raises(EvoteError):
        trustee_decrypt(tallied.directories[0], tally, PASSPHRASE)
    with pytest.raises(EvoteError):
        replace(tally, witness=None)


# -- what must not show (attacks: E9) --------------------------------------------------------------


def test_no_traceback_of_a_step_shows_a_secret(place: Place) -> None:
    place.all(trustee_commit)
    place.all(trustee_reveal)
    base = ceremony_parameters(Record(place.record)).base_id
    key = load_operator(place.directories[0], PASSPHRASE)
    fields = key.recall(base)
    assert fields is not None
    assert key.ceremony is not None
    polynomial = fields.packed("polynomial")
    secrets = [polynomial, polynomial[:32], key.signing.reveal(), key.ceremony._secret_bytes()]
    (place.record / "ceremony" / "reveal-001.json").write_bytes(b"{}")
    for step in (trustee_commit, trustee_reveal, trustee_check, trustee_complain):
        try:
            step(place.directories[0], place.record, PASSPHRASE)
        except EvoteError as error:
            report = traceback.TracebackException.from_exception(error, capture_locals=True)
            ours = [frame for frame in report.stack if "evote" in Path(frame.filename).parts]
            shown = "".join(str(frame.locals) for frame in ours) + str(error)
            for secret in secrets:
                for form in (secret.hex(), encode_base64url(secret), repr(secret)[2:-1]):
                    assert form not in shown
            assert PASSPHRASE not in shown
        else:
            assert step is trustee_commit


def test_secrets_stay_out_of_the_record(place: Place) -> None:
    place.run()
    text = b"".join(record_bytes(place).values())
    for directory in place.directories:
        key = load_operator(directory, PASSPHRASE)
        assert key.ceremony is not None
        for secret in (key.signing.reveal(), key.ceremony._secret_bytes()):
            assert secret not in text
            assert secret.hex().encode() not in text
            assert encode_base64url(secret).encode() not in text
    assert set(os.listdir(place.directories[0])) == {"card.json", "secret.json"}


def test_names_of_this_module_are_public() -> None:
    for name in steps.__all__:
        assert getattr(steps, name).__doc__


# -- two processes at once -------------------------------------------------------------------------


def test_two_runs_of_one_step_do_not_part_secret_and_post(place: Place) -> None:
    """The second to save finds the first's secrets and leaves: its commitment opens to nothing."""
    secret, directory = SecretBytes(PASSPHRASE.encode()), place.directories[0]
    sessions = [TrusteeSession(directory, place.record, secret) for _ in range(2)]
    notes = [TrusteeNotes(polynomial=draw_polynomial(s.parameters)) for s in sessions]
    sessions[0].save(notes[0])
    with pytest.raises(ParameterError, match="another process was at work there"):
        sessions[1].save(notes[1])
    again = TrusteeSession(directory, place.record, secret)
    assert again.notes.encode().reveal() == notes[0].encode().reveal()
    sessions[0].save(TrusteeNotes())  # its own change is no surprise to it
