"""Reconciliation: who voted on paper and online too, and what each of those who take part learns.

Twelve people have credentials; some vote online, some on paper, three do both.
"""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from evote import cli, reconcile, registrars, workflow
from evote._signed_lines import write_signed_lines
from evote._tags import (
    decode_tag_shares,
    hash_identities,
    join_tags,
    make_tag_shares,
    read_tags,
    verify_tag_shares,
)
from evote._voter_map import read_voter_map
from evote.board import Seal
from evote.ceremony import ceremony_parameters
from evote.credentials import decode_roll, derive_voter_key
from evote.encoding import JSON, decode_base64url, encode_base64url
from evote.errors import DecodingError, EvoteError, ParameterError, VerificationError
from evote.groups import ristretto255, stack
from evote.operators import Card, decode_card, draw_operator, load_operator
from evote.record import Record
from evote.verify import audit
from evote.workflow import Choice, RollLine
from tests.records import PASSPHRASE, Made, Plan, cast, found, make_operators, open_small

PEOPLE = [f"Voter {i}, {i} Elm Street" for i in range(12)]
ONLINE = (0, 1, 2, 3, 8)
ON_PAPER = (2, 3, 5, 8, 11)
TWICE = (2, 3, 8)
VOTERS = "identity,style,district\n" + "".join(
    f'"{name}",all,d{i % 2}\n' for i, name in enumerate(PEOPLE)
)


@dataclass(kw_only=True)
class Desk:
    """A running election whose registrars made tags, and the files of its reconciliation."""

    made: Made
    folder: Path
    keys: list[Path]
    codes: list[str]

    @property
    def record(self) -> Path:
        return self.made.path

    def path(self, name: str) -> Path:
        return self.folder / name

    def book(self, name: str, people: Sequence[str]) -> Path:
        path = self.path(name)
        with path.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([("number", "identity"), *enumerate(people)])
        return path

    def files(self) -> dict[str, Any]:
        return {
            "book": self.path("book.csv"),
            "secret": self.path("secret.json"),
            "request": self.path("request"),
            "answers": [self.path(f"answer-{i}") for i in range(len(self.keys))],
            "tags": [self.path(f"tags-{i}") for i in range(len(self.keys))],
        }

    def ask(self, people: Sequence[str]) -> int:
        given = self.files()
        book = self.book("book.csv", people)
        authority = self.made.authorities()[0]
        return reconcile.ask(
            self.record, authority, book, given["request"], given["secret"], PASSPHRASE
        )

    def answer(self) -> None:
        for key, target in zip(self.keys, self.files()["answers"], strict=True):
            reconcile.answer(self.record, key, self.files()["request"], target, PASSPHRASE)

    def match(self, **more: Any) -> reconcile.Match:
        return reconcile.match(self.record, **(self.files() | more))

    def check(self, strikes: Path, **more: Any) -> reconcile.Match:
        return reconcile.check(self.record, strikes=strikes, **(self.files() | more))

    def copy(self, folder: Path) -> Desk:
        shutil.copytree(self.folder, folder / "offline")
        shutil.copytree(self.record, folder / "record")
        operators = {}
        for name, place in self.made.operators.items():
            operators[name] = folder / "operators" / name
            shutil.copytree(place, operators[name])
        made = Made(
            path=folder / "record",
            operators=operators,
            credentials=self.made.credentials,
            ballots=[],
            plan=self.made.plan,
        )
        keys = [operators[f"registrar-{i + 1}"] for i in range(len(self.keys))]
        return Desk(made=made, folder=folder / "offline", keys=keys, codes=self.codes)

    def credential(self, number: int) -> bytes:
        base = decode_roll(Record(self.record).roll_header()).base
        return derive_voter_key(self.codes[number], base).credential


def issued_codes(path: Path) -> list[str]:
    with path.open(encoding="utf-8", newline="") as file:
        return [row["code"] for row in csv.DictReader(file)]


def run_election(directory: Path, count: int) -> Desk:
    plan = Plan(
        trustees=1,
        quorum=1,
        registrars=count,
        credentials="parts" if count > 1 else "drawn",
        tags=True,
        voters=(RollLine(style="all", count=12),),
        powers={"strike": ["voted-on-paper"]},
    )
    made = found(directory, plan, make_operators(directory, plan))
    workflow.run_ceremony(made.path, made.trustees(), PASSPHRASE)
    folder = directory / "offline"
    folder.mkdir()
    keys = [made.operators[f"registrar-{i + 1}"] for i in range(count)]
    voters = folder / "voters.csv"
    voters.write_text(VOTERS, encoding="utf-8")
    outputs = {"sealed_map": folder / "map-0", "tags": folder / "tags-0"}
    if count == 1:
        step = (made.path, keys[0], voters, folder / "codes-0.csv", PASSPHRASE)
        registrars.issue(*step, **outputs)  # type: ignore[arg-type]
    else:
        parts = [folder / f"part-{i}" for i in range(count)]
        for i, key in enumerate(keys):
            step = (made.path, key, voters, folder / f"codes-{i}.csv", PASSPHRASE)
            registrars.issue(*step, part=parts[i])
        for i, key in enumerate(keys):
            registrars.combine(
                *(made.path, key, voters, parts, PASSPHRASE),
                sealed_map=folder / f"map-{i}",
                tags=folder / f"tags-{i}",
            )
    columns = [issued_codes(folder / f"codes-{i}.csv") for i in range(count)]
    codes = ["+".join(row) for row in zip(*columns, strict=True)]
    made.credentials.extend(
        workflow.Credential(code=code, style="all", weight=1, district="all") for code in codes
    )
    open_small(made)
    yes = Choice(contests={"bridge": (1, 0)})
    # Number 5 spoils a ballot and casts none; number 3 votes twice.
    cast(made, [(5, yes, "spoil"), *[(i, yes, "cast") for i in (*ONLINE, 3)]])
    return Desk(made=made, folder=folder, keys=keys, codes=codes)


@pytest.fixture(scope="module", name="elections")
def make_elections(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Desk]:
    """Of one registrar and of two, with everything answered."""
    desks = {}
    for count in (1, 2):
        desk = desks[count] = run_election(tmp_path_factory.mktemp(f"desk-{count}"), count)
        desk.ask([PEOPLE[i] for i in ON_PAPER])
        desk.answer()
    return desks


@pytest.fixture(name="desk")
def make_desk(elections: dict[int, Desk], tmp_path: Path) -> Desk:
    return elections[1].copy(tmp_path)


@pytest.mark.parametrize("count", [1, 2])
def test_who_voted_twice(elections: dict[int, Desk], count: int, tmp_path: Path) -> None:
    desk = elections[count]
    strikes = tmp_path / "strikes.csv"
    result = desk.match(strikes=strikes)
    assert result.asked == len(ON_PAPER)
    assert set(result.struck) == {desk.credential(i) for i in TWICE}
    assert result.lines == tuple(2 + ON_PAPER.index(i) for i in TWICE)
    assert result.unknown == ()
    lines = strikes.read_text(encoding="ascii").splitlines()
    assert lines == ["credential", *sorted(desk.credential(i).hex() for i in TWICE)]
    assert desk.check(strikes) == result
    assert desk.match(jobs=2) == result


def test_the_list_strikes_those_who_voted_twice(
    desk: Desk, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The commands, from the question to the seal."""
    monkeypatch.setenv("EVOTE_PASSPHRASE", PASSPHRASE)
    files = desk.files()
    for path in (files["request"], files["secret"], *files["answers"]):
        path.unlink()
    [authority], strikes = desk.made.authorities(), desk.path("strikes.csv")

    def run(*arguments: object) -> str:
        with pytest.raises(SystemExit) as leaving:
            cli.main([str(argument) for argument in arguments])
        said = capsys.readouterr()
        assert leaving.value.code == 0, said.err
        return said.out

    record, book = desk.record, files["book"]
    quiet = ("--jobs", 1, "--quiet")
    out = ("-o", files["request"], "--secret-file", files["secret"], *quiet)
    assert run("reconcile", "ask", record, authority, book, *out).startswith("5 people")
    [answer] = files["answers"]
    said = run("reconcile", "answer", record, desk.keys[0], files["request"], "-o", answer, *quiet)
    assert said.startswith("5 questions answered")
    asked = ("--secret-file", files["secret"], "--request", files["request"])
    kept = (*asked, "--answer", answer, "--tags", files["tags"][0], *quiet)
    said = run("reconcile", "match", record, book, *kept, "-o", strikes)
    assert said.startswith("5 voted on paper, 3 of them online too")
    signing = ("--authority", authority, "--board", desk.made.board)
    run("election", "strike", record, strikes, "--reason", "voted-on-paper", *signing)
    said = run("reconcile", "check", record, book, *kept, "--strikes", strikes)
    assert said.endswith("the strike list is right\n")
    run("election", "seal", record, *signing)
    audit(record, phase="sealed").raise_for_failure()
    [seal] = [entry for _, _, entry in Record(record).entries() if isinstance(entry, Seal)]
    assert (seal.counted, seal.struck) == (len(ONLINE) - len(TWICE), len(TWICE))


def test_people_without_a_credential(desk: Desk) -> None:
    """Whoever is in the poll book and not on the roll is named by the line; so are misspellings."""
    for name in ("request", "secret.json", "answer-0"):
        desk.path(name).unlink()
    assert desk.ask(["Nobody, 1 Elm Street", PEOPLE[2], PEOPLE[3].upper()]) == 3
    desk.answer()
    result = desk.match()
    assert result.struck == (desk.credential(2),)
    assert result.unknown == (2, 4)


def test_nobody_voted_on_paper(desk: Desk) -> None:
    for name in ("request", "secret.json", "answer-0"):
        desk.path(name).unlink()
    assert desk.ask([]) == 0
    desk.answer()
    assert desk.match() == reconcile.Match(asked=0, struck=(), lines=(), unknown=())


# -- who learns what -----------------------------------------------------------------------------


def test_a_request_says_nothing_of_who_is_asked_about(desk: Desk) -> None:
    """The same people, asked about again: other bytes, of the same length."""
    first = desk.path("request").read_bytes()
    for name in ("request", "secret.json"):
        desk.path(name).unlink()
    desk.ask([PEOPLE[i] for i in ON_PAPER])
    second = desk.path("request").read_bytes()
    assert len(first) == len(second)
    lines = [data.splitlines()[1] for data in (first, second)]
    queries = [ristretto255.decode_elements(decode_base64url(line.decode())) for line in lines]
    assert not queries[0].equal_mask(queries[1]).any()
    base = ceremony_parameters(Record(desk.record)).base_id
    hashed = hash_identities(ristretto255, base, PEOPLE)
    for some in queries:
        assert not stack([some] * 12, axis=1).equal_mask(hashed).any()


def test_tags_are_computed_by_nobody_else(elections: dict[int, Desk]) -> None:
    """attacks: C13. An outsider who knows every identity; and one registrar of two."""
    desk = elections[2]
    opened = Record(desk.record)
    manifest, base = opened.manifest, ceremony_parameters(opened).base_id
    header = decode_roll(opened.roll_header())
    tags = set(read_tags(desk.path("tags-0"), manifest, base, header))
    assert len(tags) == 12
    hashed = hash_identities(manifest.group, base, PEOPLE)
    keys = [load_operator(key, PASSPHRASE) for key in desk.keys]
    shares = [make_tag_shares(key, base, b"", 0, hashed) for key in keys]
    guesses = [hashed, *(share.shares for share in shares)]
    for guess in guesses:
        assert not {guess[i].encode() for i in range(12)} & tags
    joint = join_tags(shares)
    assert {joint[i].encode() for i in range(12)} == tags
    other = hash_identities(manifest.group, bytes(32), PEOPLE)
    assert not other.equal_mask(hashed).any(), "another election, other tags"


def test_no_file_of_a_reconciliation_names_anybody(elections: dict[int, Desk]) -> None:
    """attacks: C13. Tags, requests, answers and the sealed map; the book and the list do."""
    for desk in elections.values():
        for path in desk.folder.iterdir():
            data = path.read_bytes()
            named = any(name.encode() in data for name in PEOPLE)
            private = path.name in ("book.csv", "voters.csv") or path.name.startswith("codes")
            assert named == private, path.name
            assert path.stat().st_mode & 0o077 == 0 or path.name in ("book.csv", "voters.csv")


def test_a_registrar_answers_no_more_than_the_roll_has(desk: Desk) -> None:
    """Twelve voters, five of whom were asked about; the same request may be answered again."""

    def again(people: Sequence[str]) -> None:
        for name in ("request", "secret.json", "answer-0"):
            desk.path(name).unlink(missing_ok=True)
        desk.ask(people)
        desk.answer()

    desk.path("answer-0").unlink()
    desk.answer()
    again(PEOPLE[:7])
    with pytest.raises(ParameterError, match="too many questions: 13 in 3 requests, of 12 voters"):
        again(PEOPLE[:1])
    assert not desk.path("answer-0").exists()


def test_only_authorities_ask(desk: Desk) -> None:
    """And the key touches nothing before the signature was checked."""
    desk.path("answer-0").unlink()
    opened = Record(desk.record)
    base = ceremony_parameters(opened).base_id
    stranger = draw_operator("authority", "authority-1")
    desk.path("request").unlink()
    query = (ristretto255.generator ** ristretto255.scalars([7])).encode()
    head: dict[str, JSON] = {"format": "evote/tag-request", "count": 1}
    write_signed_lines(desk.path("request"), stranger, base, head, [query])
    with pytest.raises(VerificationError, match="not that of authority authority-1"):
        desk.answer()
    registrar = load_operator(desk.keys[0], PASSPHRASE)
    assert json.dumps(registrar.memory.reveal().decode()).count("count") == 1, "the honest one"
    desk.path("request").unlink()
    write_signed_lines(desk.path("request"), registrar, base, head, [query])
    with pytest.raises(DecodingError, match=r"\$\.operator"):
        desk.answer()
    assert not desk.path("answer-0").exists()


# -- what does not fit ---------------------------------------------------------------------------


def rewrite(path: Path, line: int, change: Callable[[bytes], bytes]) -> None:
    """Change the bytes of one line, signed by nobody."""
    lines = path.read_text(encoding="ascii").splitlines()
    lines[line] = encode_base64url(change(decode_base64url(lines[line])))
    path.write_text("\n".join(lines) + "\n", encoding="ascii")


def signed_again(desk: Desk, name: str, change: Callable[[bytes], bytes]) -> None:
    """Change a file's only line of bytes, and sign it as its author would."""
    path = desk.path(name)
    first, line, _ = path.read_text(encoding="ascii").splitlines()
    head = json.loads(first)
    owner = desk.made.operators[head["operator"]]
    base = bytes.fromhex(head["base"])
    kept = {k: v for k, v in head.items() if k not in ("version", "base", "operator")}
    path.unlink()
    data = change(decode_base64url(line))
    write_signed_lines(path, load_operator(owner, PASSPHRASE), base, kept, [data])


def swap(data: bytes) -> bytes:
    return data[32:64] + data[:32] + data[64:]


def repeat(data: bytes) -> bytes:
    return data[:32] + data[:32] + data[64:]


def test_every_changed_file_is_refused(desk: Desk) -> None:
    """Two elements exchanged, in each file in turn; then with the signature made anew."""
    honest = desk.match()
    for name, alone, signed in (
        ("request", r"request: line 3: \$\.root", "of another request"),
        ("answer-0", "not under the key of registrar registrar-1", "not under the key"),
        ("tags-0", r"tags-0: line 3: \$\.root", None),
    ):
        before = desk.path(name).read_bytes()
        rewrite(desk.path(name), 1, swap)
        with pytest.raises(VerificationError, match=alone):
            desk.match()
        desk.path(name).write_bytes(before)
        signed_again(desk, name, swap)
        if signed is not None:
            with pytest.raises(VerificationError, match=signed):
                desk.match()
        desk.path(name).write_bytes(before)
    assert desk.match() == honest


def test_the_same_tag_on_two_lines(desk: Desk) -> None:
    """A registrar who gives one person two credentials is found out when that person votes."""
    signed_again(desk, "tags-0", lambda data: data[:32] * 12)
    pairs = zip(PEOPLE, tags_of(desk), strict=True)
    identity = next(name for name, tag in pairs if tag == first_tag(desk))
    for name in ("request", "secret.json", "answer-0"):
        desk.path(name).unlink()
    desk.ask([identity])
    desk.answer()
    with pytest.raises(VerificationError, match="line 2: two voters of the roll have its tag"):
        desk.match()


def tags_of(desk: Desk) -> list[bytes]:
    opened = Record(desk.record)
    base = ceremony_parameters(opened).base_id
    hashed = hash_identities(ristretto255, base, PEOPLE)
    keys = [load_operator(key, PASSPHRASE) for key in desk.keys]
    tags = join_tags([make_tag_shares(key, base, b"", 0, hashed) for key in keys])
    return [tags[i].encode() for i in range(12)]


def first_tag(desk: Desk) -> bytes:
    line = desk.path("tags-0").read_text(encoding="ascii").splitlines()[1]
    return decode_base64url(line)[:32]


def test_a_lying_registrar_of_two(elections: dict[int, Desk], tmp_path: Path) -> None:
    """One exchanges two tags in its own file: the other's does not agree."""
    desk = elections[2].copy(tmp_path)
    signed_again(desk, "tags-1", swap)
    with pytest.raises(VerificationError, match="disagree about the tag of row 0"):
        desk.match()
    files = desk.files()
    for more, reason in (
        ({"answers": files["answers"][:1]}, "an answer of each registrar"),
        ({"answers": [files["answers"][0]] * 2}, "an answer of each registrar"),
        ({"tags": files["tags"][:1]}, "tags of each registrar"),
    ):
        with pytest.raises(VerificationError, match=reason):
            desk.match(**more)


def test_another_book_secret_or_election(
    desk: Desk, elections: dict[int, Desk], tmp_path: Path
) -> None:
    """attacks: F4. The holder has asked about others than those who voted."""
    strikes = tmp_path / "strikes.csv"
    desk.match(strikes=strikes)
    people = [PEOPLE[i] for i in ON_PAPER]
    for other, reason in (
        ([*people[:-1], PEOPLE[0]], "does not ask about the people of this book"),
        (people[::-1], "does not ask about the people of this book"),
        (people[:-1], "5 asked about, 4 in the book"),
    ):
        with pytest.raises(VerificationError, match=reason):
            desk.check(strikes, book=desk.book("other.csv", other))
    foreign = elections[2].files()
    for what in ("secret", "request", "tags", "answers"):
        with pytest.raises(EvoteError, match=r"of another election|each registrar"):
            desk.match(**{what: foreign[what]})
    secret = json.loads(desk.path("secret.json").read_bytes())
    wrong = {**secret, "seed": "00" * 32}
    desk.path("secret.json").write_text(json.dumps(wrong, separators=(",", ":")), encoding="ascii")
    with pytest.raises(VerificationError, match="does not ask about the people of this book"):
        desk.match()


def test_changed_strike_lists(desk: Desk, tmp_path: Path) -> None:
    """attacks: F4. Somebody added, left out, or struck who voted once."""
    strikes = tmp_path / "strikes.csv"
    desk.match(strikes=strikes)
    lines = strikes.read_text(encoding="ascii").splitlines()
    once = desk.credential(0).hex()
    for changed, reason in (
        ([*lines, once], f"{once} has not voted twice, 1 in all"),
        (lines[:-1], f"{lines[-1]} is not on it and has voted twice, 1 in all"),
        ([*lines[:-1], once], f"{once} has not voted twice"),
        ([*lines, "x"], "line 5: no credential"),
    ):
        strikes.write_text("\n".join(changed) + "\n", encoding="ascii")
        with pytest.raises(EvoteError, match=reason):
            desk.check(strikes)
    strikes.write_text("\n".join(f"{line},a note" for line in lines) + "\n", encoding="ascii")
    desk.check(strikes)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("name\nA\n", "a column identity expected"),
        ("", "a column identity expected"),
        ("identity\nA\nA\n", "line 3: the identity of line 2 again"),
        ("identity\nA\n\n", "line 3"),
        ("identity,x\nA,1\n,2\n", "line 3: no identity"),
        ("identity\n=A\n", "line 2: identity: it begins like a formula"),
    ],
)
def test_wrong_books(desk: Desk, text: str, reason: str) -> None:
    for name in ("request", "secret.json"):
        desk.path(name).unlink()
    book = desk.path("wrong.csv")
    book.write_text(text, encoding="utf-8")
    authority = desk.made.authorities()[0]
    out = desk.path("request"), desk.path("secret.json")
    with pytest.raises(ParameterError, match=rf"wrong\.csv: {reason}"):
        reconcile.ask(desk.record, authority, book, *out, PASSPHRASE)
    assert not any(path.exists() for path in out)


def test_registrars_without_a_key_for_tags(tmp_path: Path) -> None:
    plan = Plan(trustees=1, quorum=1)
    made = found(tmp_path, plan, make_operators(tmp_path, plan))
    workflow.run_ceremony(made.path, made.trustees(), PASSPHRASE)
    book = tmp_path / "book.csv"
    book.write_text("identity\nA\n", encoding="utf-8")
    out = tmp_path / "request", tmp_path / "secret"
    with pytest.raises(ParameterError, match="no registrar of this election has a key for tags"):
        reconcile.ask(made.path, made.authorities()[0], book, *out, PASSPHRASE)
    voters = tmp_path / "voters.csv"
    voters.write_text("identity,style\nA,all\n", encoding="utf-8")
    step = (made.path, made.operators["registrar-1"], voters, tmp_path / "codes", PASSPHRASE)
    with pytest.raises(ParameterError, match="no registrar of this election has a key for tags"):
        registrars.issue(*step, tags=tmp_path / "tags")
    shutil.rmtree(made.path / "roll", ignore_errors=True)
    voters.write_text("style\nall\n", encoding="utf-8")
    with pytest.raises(ParameterError, match="the list has none"):
        registrars.issue(*step, sealed_map=tmp_path / "map")


# -- shares --------------------------------------------------------------------------------------


def test_shares_are_bound_to_everything() -> None:
    """Key, election, context, portion and elements: any other, and the proof fails."""
    keys = [draw_operator("registrar", f"r{i}", group=ristretto255) for i in range(2)]
    hashed = hash_identities(ristretto255, bytes(32), PEOPLE)
    made = make_tag_shares(keys[0], bytes(32), b"context", 3, hashed)
    card = keys[0].card
    again = decode_tag_shares(ristretto255, made.encode(), 12, where="x")
    verify_tag_shares(card, bytes(32), b"context", 3, hashed, again)
    other = Card(
        role="registrar",
        id="r9",
        signing_key=card.signing_key,
        ceremony_key=card.ceremony_key,
        ceremony_proof=card.ceremony_proof,
    )
    for arguments in (
        (keys[1].card, bytes(32), b"context", 3, hashed, made),
        (other, bytes(32), b"context", 3, hashed, made),
        (card, b"\1" * 32, b"context", 3, hashed, made),
        (card, bytes(32), b"", 3, hashed, made),
        (card, bytes(32), b"context", 4, hashed, made),
        (card, bytes(32), b"context", 3, hashed[::-1], made),
    ):
        with pytest.raises(VerificationError, match=r"portion [34]: the tags are not"):
            verify_tag_shares(*arguments)
    plain_card = draw_operator("registrar", "r0").card
    with pytest.raises(VerificationError, match="has no key for tags"):
        verify_tag_shares(plain_card, bytes(32), b"context", 3, hashed, made)
    with pytest.raises(DecodingError, match="shares of 11 tags expected"):
        decode_tag_shares(ristretto255, made.encode(), 11, where="x")


def test_a_registrars_card_with_a_key() -> None:
    card = draw_operator("registrar", "anna", group=ristretto255).card
    assert decode_card(card.encode(), role="registrar") == card
    without = draw_operator("registrar", "anna").card
    assert decode_card(without.encode()) == without
    assert b"group" not in without.encode()
    fields = json.loads(card.encode())
    for change in ("group", "ceremony_key", "ceremony_proof"):
        data = {name: value for name, value in fields.items() if name != change}
        with pytest.raises(DecodingError):
            decode_card(json.dumps(data, separators=(",", ":"), sort_keys=True).encode())
    with pytest.raises(ParameterError, match="registrars may"):
        draw_operator("board", "anna", group=ristretto255)


# -- the sealed map ------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 2])
def test_the_map_opens_with_all_keys(
    elections: dict[int, Desk], count: int, tmp_path: Path
) -> None:
    desk = elections[count]
    target = tmp_path / "opened.csv"
    step = (desk.record, desk.keys, desk.path("map-0"), target, PASSPHRASE)
    assert registrars.open_map(*step, tags=desk.path("tags-0")) == 12
    with target.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["identity"], row["credential"]) for row in rows] == [
        (name, desk.credential(i).hex()) for i, name in enumerate(PEOPLE)
    ]
    assert target.stat().st_mode & 0o077 == 0
    for keys in (desk.keys[1:], [desk.keys[0]] * (count - 1)):
        with pytest.raises(ParameterError, match=r"opens with the key of registrar registrar-\d"):
            registrars.open_map(
                desk.record, keys, desk.path("map-0"), tmp_path / "other.csv", PASSPHRASE
            )
    assert not (tmp_path / "other.csv").exists()


def test_a_damaged_map(desk: Desk, tmp_path: Path) -> None:
    """One bit of what is sealed; lines left out or repeated; a map for other keys."""
    path, step = desk.path("map-0"), (desk.record, desk.keys, desk.path("map-0"))
    honest = path.read_text(encoding="ascii")
    first, line, last = honest.splitlines()
    head = json.loads(first)
    sealed = {**head, "sealed": [encode_base64url(bytes(80))]}
    flipped = encode_base64url(bytes([decode_base64url(line)[0] ^ 1]) + decode_base64url(line)[1:])
    for lines, reason in (
        ((first, flipped, last), "portion 0: damaged"),
        ((first, last), r"\$\.root"),
        ((first, line, line, last), "portion 1: damaged"),
        ((first, line), "a line is missing"),
        ((json.dumps(sealed, separators=(",", ":")), line, last), "not sealed to registrar"),
    ):
        path.write_text("\n".join(lines) + "\n", encoding="ascii")
        with pytest.raises(EvoteError, match=reason):
            registrars.open_map(*step, tmp_path / "opened.csv", PASSPHRASE)
        assert not (tmp_path / "opened.csv").exists()
    path.write_text(honest, encoding="ascii")
    assert registrars.open_map(*step, tmp_path / "opened.csv", PASSPHRASE) == 12


def test_exchanged_tags_show_when_the_map_is_opened(desk: Desk, tmp_path: Path) -> None:
    """attacks: F4. What a match has to take the one registrar's word for."""
    signed_again(desk, "tags-0", swap)
    assert desk.match().asked == 5
    step = (desk.record, desk.keys, desk.path("map-0"), tmp_path / "opened.csv", PASSPHRASE)
    with pytest.raises(VerificationError, match="the tag of another person"):
        registrars.open_map(*step, tags=desk.path("tags-0"))


def test_what_a_map_says_is_under_the_keys(elections: dict[int, Desk]) -> None:
    desk = elections[2]
    opened = Record(desk.record)
    base = ceremony_parameters(opened).base_id
    keys = [load_operator(key, PASSPHRASE) for key in desk.keys]
    [portion] = read_voter_map(desk.path("map-1"), keys, opened.manifest, base)
    assert portion.identities == tuple(PEOPLE)
    assert set(portion.shares) == {"registrar-1", "registrar-2"}
