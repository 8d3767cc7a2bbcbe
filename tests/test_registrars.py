"""Registrars: lists of voters, codes in parts, keys that voters draw, and the roll of all of them.

The election of each test is founded anew from one that has its trustees' key and no roll.
"""

from __future__ import annotations

import csv
import html
import json
import shutil
import stat
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from evote import registrars, workflow
from evote._merkle import merkle_root
from evote._voters import CODE_COLUMNS, check_voters, read_voters
from evote.credentials import decode_roll, decode_row, derive_voter_key
from evote.encoding import canonical_json
from evote.errors import DecodingError, EvoteError, ParameterError, VerificationError
from evote.record import ROLL, Record
from evote.verify import audit
from evote.workflow import Choice, RollLine
from tests.records import PASSPHRASE, Made, Plan, cast, finish, found, make_operators, open_small

PEOPLE = [f"Voter No. {i}, 1{i} Elm Street, born 19{i:02d}" for i in range(12)]
HEAD = "identity,style,district,weight,status\n"
LIST = HEAD + "".join(
    f'"{name}",all,d{i % 3},{1 + i % 2},{"provisional" if i == 7 else ""}\n'
    for i, name in enumerate(PEOPLE)
)
PLAN = Plan(
    trustees=1,
    quorum=1,
    maximum_weight=2,
    voters=(RollLine(style="all", count=40),),
    powers={"confirm": ["checked"]},
)


def founded(directory: Path, plan: Plan) -> Made:
    made = found(directory, plan, make_operators(directory, plan))
    workflow.run_ceremony(made.path, made.trustees(), PASSPHRASE)
    return made


@pytest.fixture(scope="module", name="bare")
def make_bare(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return founded(tmp_path_factory.mktemp("bare"), PLAN)


@pytest.fixture(scope="module", name="parted")
def make_parted(tmp_path_factory: pytest.TempPathFactory) -> Made:
    plan = replace(PLAN, registrars=2, credentials="parts")
    return founded(tmp_path_factory.mktemp("parted"), plan)


@pytest.fixture(scope="module", name="enrolled")
def make_enrolled(tmp_path_factory: pytest.TempPathFactory) -> Made:
    plan = Plan(trustees=1, quorum=1, credentials="enrolled", voters=PLAN.voters)
    return founded(tmp_path_factory.mktemp("enrolled"), plan)


class Office:
    """A registrar's desk: a copy of the election, and a folder that stays offline."""

    def __init__(self, made: Made, directory: Path) -> None:
        shutil.copytree(made.path, directory / "record")
        self.record = directory / "record"
        self.keys = [made.operators[f"registrar-{i + 1}"] for i in range(made.plan.registrars)]
        self.made = Made(
            path=self.record, operators=made.operators, credentials=[], ballots=[], plan=made.plan
        )
        self.offline = directory / "offline"
        self.offline.mkdir()
        self.list = self.write("voters.csv", LIST)
        self.codes = self.offline / "codes.csv"

    def write(self, name: str, text: str) -> Path:
        path = self.offline / name
        path.write_text(text, encoding="utf-8")
        return path

    def issue(self, **more: object) -> int:
        given: dict[str, object] = {"voters": self.list, "codes": self.codes} | more
        return registrars.issue(self.record, self.keys[0], passphrase=PASSPHRASE, **given)  # type: ignore[arg-type]

    def rows(self, path: Path | None = None) -> list[dict[str, str]]:
        with (path or self.codes).open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))

    def base(self) -> bytes:
        return decode_roll(Record(self.record).roll_header()).base


@pytest.fixture(name="office")
def make_office(bare: Made, tmp_path: Path) -> Office:
    return Office(bare, tmp_path / "one")


# -- one registrar -------------------------------------------------------------------------------


def test_issue(office: Office) -> None:
    """The roll holds each key with what the list says of its voter, in an order of its own."""
    assert office.issue() == 12
    issued = office.rows()
    assert [row["identity"] for row in issued] == PEOPLE
    assert tuple(issued[0]) == CODE_COLUMNS
    rows = [decode_row(data) for data in Record(office.record).roll_rows()]
    on_roll = {row.credential: row for row in rows}
    base = office.base()
    for number, line in enumerate(issued):
        row = on_roll[derive_voter_key(line["code"], base).credential]
        assert (row.style, row.weight) == ("all", 1 + number % 2)
        assert row.district == f"d{number % 3}"
        assert row.status == ("provisional" if number == 7 else "full")
    keys = [row.credential for row in rows]
    assert keys == sorted(keys)
    audit(office.record, phase="ready").raise_for_failure()
    header = decode_roll(Record(office.record).roll_header())
    assert [district.count for district in header.districts] == [4, 4, 4]


def test_the_same_codes_give_the_same_roll(office: Office, bare: Made, tmp_path: Path) -> None:
    """In one process or in two, once or again."""
    office.issue()
    header, codes = Record(office.record).roll_header(), office.codes.read_bytes()
    assert office.issue() == 12
    other = Office(bare, tmp_path / "other")
    other.codes.write_bytes(codes)
    other.codes.chmod(0o600)
    assert other.issue(jobs=2) == 12
    assert Record(other.record).roll_header() == header == Record(office.record).roll_header()
    assert other.codes.read_bytes() == codes


def test_offline_files_are_private_and_never_in_the_record(office: Office) -> None:
    for wrong in (office.record / "codes.csv", office.record / "roll" / "codes.csv"):
        with pytest.raises(ParameterError, match="stays offline"):
            office.issue(codes=wrong)
    inside = office.record / "voters.csv"
    shutil.copy(office.list, inside)
    with pytest.raises(ParameterError, match="stays offline"):
        office.issue(voters=inside)
    inside.unlink()
    assert not office.codes.exists()
    office.issue()
    assert stat.S_IMODE(office.codes.stat().st_mode) == 0o600


def test_no_identity_reaches_the_record(office: Office) -> None:
    """attacks: C13"""
    office.issue()
    published = b"".join(p.read_bytes() for p in office.record.rglob("*") if p.is_file())
    for name in PEOPLE:
        assert name.encode() in office.codes.read_bytes()
        assert name.encode() not in published
        assert name.split(",")[0].encode() not in published


def test_voters_without_identities(office: Office) -> None:
    text = "style,weight,district,count\nall,2,north,3\nall,,,\n"
    assert office.issue(voters=office.write("kinds.csv", text)) == 4
    assert [(row["weight"], row["district"]) for row in office.rows()] == [
        *[("2", "north")] * 3,
        ("1", "all"),
    ]
    audit(office.record, phase="ready").raise_for_failure()


def test_a_byte_order_mark_and_accents(office: Office) -> None:
    """The same name in two spellings of Unicode is one name."""
    text = "\ufeffidentity,style\nJose\u0301,all\n"
    [voter] = read_voters(office.write("marked.csv", text))
    assert voter.identity == "Jos\u00e9"
    twice = office.write("twice.csv", text + "Jos\u00e9,all\n")
    with pytest.raises(ParameterError, match=r"twice\.csv: line 3: the identity of line 2 again"):
        office.issue(voters=twice)


WRONG = {
    "one,none,,,": "line 3: style: the manifest has none called 'none'",
    "one,,,,": "line 3: style: an identifier",
    "one,all,Nord,,": "line 3: district: an identifier",
    "one,all,,3,": "line 3: weight: at most 2 expected",
    "one,all,,0,": "line 3: weight: a number from 1",
    "one,all,,-1,": "line 3: weight: a number from 1",
    "one,all,,\u00b2,": "line 3: weight: a number from 1",
    "one,all,,1_0,": "line 3: weight: a number from 1",
    "one,all,,,perhaps": "line 3: status: one of full, provisional",
    "one,all,,": "line 3: 5 fields expected, got 4",
    "one,all,,,,": "line 3: 5 fields expected, got 6",
    "=cmd(),all,,,": "line 3: identity: it begins like a formula",
    "+7 495,all,,,": "line 3: identity: it begins like a formula",
    " one,all,,,": "line 3: identity: it begins or ends with a space",
    "a\u202eb,all,,,": r"line 3: identity: character U\+202E is not allowed",
    "a\u0007b,all,,,": r"line 3: identity: character U\+0007 is not allowed",
    '"Voter, A",all,,,\n"Voter, A",all,,,': "line 4: the identity of line 3 again",
    '"open,all,,,': "line 3: unexpected end of data",
    ",all,,,": "some lines have an identity and others have none",
    f"{'x' * 301},all,,,": "line 3: identity: at most 300 characters",
}


@pytest.mark.parametrize("line", WRONG)
def test_wrong_lines_are_named(office: Office, line: str) -> None:
    """attacks: C12, G7, G8. And nothing is drawn."""
    path = office.write("wrong.csv", f"{HEAD}Honest Voter,all,,,\n{line}\n")
    with pytest.raises(ParameterError, match=rf"wrong\.csv: {WRONG[line]}"):
        office.issue(voters=path)
    assert not office.codes.exists()
    assert not Record(office.record).has(ROLL)
    honest = office.write("honest.csv", f"{HEAD}Honest Voter,all,,,\n")
    assert office.issue(voters=honest) == 1


def test_provisional_voters_need_somebody_who_confirms(enrolled: Made, tmp_path: Path) -> None:
    path = tmp_path / "voters.csv"
    path.write_text("style,status\nall,full\nall,provisional\n", encoding="utf-8")
    with pytest.raises(ParameterError, match="line 3: status: the manifest has no way to confirm"):
        check_voters(path, Record(enrolled.path).manifest)


def test_all_wrong_lines_at_once(bare: Made, tmp_path: Path) -> None:
    path = tmp_path / "many.csv"
    path.write_text("style\n" + "all\nNONE\n" * 30, encoding="utf-8")
    with pytest.raises(ParameterError) as caught:
        check_voters(path, Record(bare.path).manifest)
    named = str(caught.value).splitlines()
    assert len(named) == 20
    assert named[19].startswith("many.csv: line 41: style:")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "the columns are"),
        ("name,style\nA,all\n", "the columns are"),
        ("identity\nA\n", "the columns are"),
        ("style,style\nall,all\n", "the columns are"),
        ("style,count\nall,41\n", "41 voters, at most 40"),
        ("style,weight,count\nall,2,21\n", "a total weight of 42, at most 40"),
        ("style,count,identity\nall,2,A\n", "line 2: count: one voter for each identity"),
    ],
)
def test_wrong_lists(office: Office, text: str, reason: str) -> None:
    with pytest.raises(ParameterError, match=reason):
        office.issue(voters=office.write("wrong.csv", text))
    assert not office.codes.exists()


def test_a_list_that_is_no_text(office: Office) -> None:
    path = office.offline / "latin.csv"
    path.write_bytes("style,identity\nall,Jos\u00e9\n".encode("latin-1"))
    with pytest.raises(ParameterError, match=r"latin\.csv: not UTF-8 text"):
        office.issue(voters=path)


def test_codes_are_never_written_over(office: Office) -> None:
    office.issue()
    codes = office.codes.read_bytes()
    fewer = office.write("fewer.csv", LIST.replace(f'"{PEOPLE[3]}",all,d0,2,\n', ""))
    other = office.write("other.csv", LIST.replace("d2", "d1"))
    for voters in (fewer, other):
        with pytest.raises(ParameterError, match="holds no codes for these voters"):
            office.issue(voters=voters)
    with pytest.raises(ParameterError, match="has a roll already"):
        office.issue(codes=office.offline / "again.csv")
    shuffled = office.offline / "shuffled.csv"
    lines = codes.splitlines(keepends=True)
    shuffled.write_bytes(b"".join([lines[0], lines[2], lines[1], *lines[3:]]))
    with pytest.raises(ParameterError, match="holds no codes for these voters"):
        office.issue(codes=shuffled)
    assert office.codes.read_bytes() == codes


def test_a_code_of_two_voters_is_refused(office: Office) -> None:
    """attacks: C12"""
    office.issue()
    lines = office.codes.read_text(encoding="utf-8").splitlines(keepends=True)
    code = lines[1].partition(",")[0]
    lines[2] = code + lines[2][len(code) :]
    shutil.rmtree(office.record / "roll")
    office.codes.write_text("".join(lines), encoding="utf-8")
    with pytest.raises(ParameterError, match="a credential occurs twice"):
        office.issue()
    assert not Record(office.record).has(ROLL)


def test_a_mistyped_code_is_refused(office: Office) -> None:
    """attacks: C12"""
    office.issue()
    text = office.codes.read_text(encoding="utf-8")
    place = text.index("\n") + 1
    wrong = "0" if text[place] != "0" else "1"
    office.codes.write_text(text[:place] + wrong + text[place + 1 :], encoding="utf-8")
    with pytest.raises(DecodingError, match="mistyped"):
        office.issue()


def test_sheets(office: Office) -> None:
    """attacks: G7. A page for each voter, names escaped, for their owner's eyes only."""
    name = '<img src="http://example.org/"> & Sons'
    text = f'{HEAD}"{name.replace(chr(34), chr(34) * 2)}",all,,,\n' + LIST[len(HEAD) :]
    office.issue(voters=office.write("hostile.csv", text))
    folder = office.offline / "sheets"
    made = registrars.print_sheets(office.record, office.codes, folder, advice="until 8", pages=5)
    assert [path.name for path in made] == [f"sheets-0000{i}.html" for i in (1, 2, 3)]
    assert [stat.S_IMODE(path.stat().st_mode) for path in (folder, *made)] == [0o700] + [0o600] * 3
    pages = "".join(path.read_text(encoding="utf-8") for path in made)
    assert pages.count("<section>") == 13
    assert pages.count("until 8") == 13
    assert "<img" not in pages
    assert html.unescape(pages).count(name) == 1
    for row in office.rows():
        assert pages.count(f"<code>{row['code']}</code>") == 1
    with pytest.raises(ParameterError, match="not written over"):
        registrars.print_sheets(office.record, office.codes, folder)
    with pytest.raises(ParameterError, match="stays offline"):
        registrars.print_sheets(office.record, office.codes, office.record / "sheets")
    with pytest.raises(ParameterError, match="the columns are code"):
        registrars.print_sheets(office.record, office.list, office.offline / "more")


# -- several registrars --------------------------------------------------------------------------


class Offices(Office):
    """Two registrars, each with a list and codes of its own."""

    def draw(self) -> list[Path]:
        parts = []
        for i, key in enumerate(self.keys):
            parts.append(self.offline / f"part-{i}")
            codes = self.offline / f"codes-{i}.csv"
            registrars.issue(self.record, key, self.list, codes, PASSPHRASE, part=parts[i], jobs=1)
        return parts

    def combine(self, number: int, parts: list[Path], voters: Path | None = None) -> int:
        return registrars.combine(
            self.record, self.keys[number], voters or self.list, parts, PASSPHRASE
        )

    def joint(self) -> list[str]:
        columns = [self.rows(self.offline / f"codes-{i}.csv") for i in range(2)]
        return ["+".join(row["code"] for row in rows) for rows in zip(*columns, strict=True)]


@pytest.fixture(name="offices")
def make_offices(parted: Made, tmp_path: Path) -> Offices:
    return Offices(parted, tmp_path / "two")


def test_an_election_of_two_registrars(offices: Offices) -> None:
    """attacks: C8. One signature, which needs what both have drawn."""
    parts = offices.draw()
    assert not Record(offices.record).has(ROLL)
    assert offices.combine(0, parts) == 12
    report = audit(offices.record, phase="ready")
    assert [finding.check for finding in report.failures()] == ["roll.signatures"]
    assert offices.combine(1, parts[::-1]) == 12
    header = Record(offices.record).roll_header()
    assert offices.combine(0, parts) == 12, "done before"
    assert Record(offices.record).roll_header() == header
    joint = offices.joint()
    for code in joint:
        for part in code.split("+"):
            with pytest.raises(ParameterError, match="not on the roll"):
                workflow.encrypt_ballot(offices.record, part, Choice(contests={"bridge": (1, 0)}))
    made = offices.made
    made.credentials.extend(
        workflow.Credential(code=code, style="all", weight=1, district="d") for code in joint
    )
    open_small(made)
    cast(made, [(0, Choice(contests={"bridge": (1, 0)}), "cast")])
    finish(made)
    report = audit(made.path)
    report.raise_for_failure()
    assert "impersonate" not in report.verdict


def test_parts_of_other_lists(offices: Offices) -> None:
    """Registrars who were given different lists do not find out on the day."""
    parts = offices.draw()
    moved = LIST.replace(f'"{PEOPLE[0]}",all,d0', f'"{PEOPLE[0]}",all,d1')
    for text in (moved, LIST.replace("Voter No. 3", "Voter No. 33")):
        with pytest.raises(VerificationError, match=r"part-0: line 3: \$\.list: another list"):
            offices.combine(0, parts, offices.write("other.csv", text))
    shorter = offices.write("short.csv", "".join(LIST.splitlines(keepends=True)[:-1]))
    with pytest.raises(DecodingError, match=r"part-0: line 2: a line of 352 bytes expected"):
        offices.combine(0, parts, shorter)
    assert not Record(offices.record).has(ROLL)
    assert offices.combine(0, parts) == 12


def test_missing_and_foreign_parts(offices: Offices, office: Office) -> None:
    with pytest.raises(ParameterError, match="draw no keys"):
        registrars.enrol(office.record, office.offline / "voter")
    parts = offices.draw()
    for some in (parts[:1], [parts[0], parts[0]], [*parts, parts[1]]):
        with pytest.raises(EvoteError, match="a part of each registrar expected"):
            offices.combine(0, some)
    with pytest.raises(ParameterError, match="draw no parts"):
        registrars.combine(office.record, office.keys[0], office.list, parts, PASSPHRASE)
    with pytest.raises(ParameterError, match="only where each registrar draws a part"):
        office.issue(part=office.offline / "part")
    with pytest.raises(ParameterError, match="only where each registrar draws a part"):
        offices.issue()
    with pytest.raises(ParameterError, match="no registrar draws the codes of this election alone"):
        workflow.draw_credentials(offices.record, [RollLine(style="all")])


def test_a_registrar_who_shows_two_parts(offices: Offices) -> None:
    """The second registrar hands out another part than it has drawn: nobody else's signs that."""
    parts = offices.draw()
    other = offices.offline / "part-again"
    registrars.issue(
        *(offices.record, offices.keys[1], offices.list, offices.offline / "more.csv", PASSPHRASE),
        part=other,
    )
    offices.combine(0, parts)
    with pytest.raises(ParameterError, match="another roll"):
        offices.combine(1, [parts[0], other])
    with pytest.raises(ParameterError, match="combine them"):
        workflow.cosign_roll(offices.record, offices.keys[1], PASSPHRASE)
    assert offices.combine(1, parts) == 12


def test_every_changed_part_is_refused(offices: Offices) -> None:
    """attacks: C8. Keys of one's own in the place of another registrar's, its digests redone."""
    parts = offices.draw()
    head, keys, last = parts[1].read_text(encoding="ascii").splitlines()
    _, stranger, other = parts[0].read_text(encoding="ascii").splitlines()
    began, ended = json.loads(head), json.loads(last)

    def check(*lines: str) -> str:
        parts[1].write_text("".join(line + "\n" for line in lines), encoding="ascii")
        with pytest.raises(EvoteError) as caught:
            offices.combine(0, parts)
        assert not Record(offices.record).has(ROLL)
        return str(caught.value)

    def said(fields: dict[str, object], **change: object) -> str:
        return canonical_json({**fields, **change}).decode()  # type: ignore[dict-item]

    def rooted(*lines: str) -> str:
        """The last line with the root of others."""
        return said(ended, root=merkle_root(line.encode() for line in lines).hex())

    assert "$.root" in check(head, stranger, last)
    redone = rooted(head, stranger)
    assert "not that of registrar registrar-2" in check(head, stranger, redone)
    assert "not that of registrar registrar-2" in check(
        head, stranger, said(json.loads(redone), signature=json.loads(other)["signature"])
    )
    assert "each registrar expected" in check(said(began, operator="registrar-1"), keys, last)
    for change in ({"base": "00" * 32}, {"version": 2}, {"format": "evote/tags"}, {"tags": True}):
        assert f"$.{next(iter(change))}" in check(said(began, **change), keys, last) or (
            "bytes expected" in check(said(began, **change), keys, last)
        )
    for change in ({"list": "00" * 32}, {"lines": 3}, {"root": "00" * 32}):
        wrong = check(head, keys, said(ended, **change))
        assert "$.root" in wrong or "not that of registrar registrar-2" in wrong
    assert "unknown field" in check(said(began, more=1), keys, last)
    assert "not that of registrar registrar-2" in check(head, keys, said(ended, more=1))
    for lines in (
        *((head, keys), (head, last), (keys, last), (head, keys, last, "more"), ()),
        *((head, keys[:-1], last), (head, "", last), (head, keys, last[:-1]), (head, keys, keys)),
    ):
        check(*lines)
    parts[1].write_text(f"{head}\n{keys}\n{last}\n", encoding="ascii")
    assert offices.combine(0, parts) == 12


# -- voters who draw their own -------------------------------------------------------------------


class Registry(Office):
    """Three voters with keys of their own, and the list that names their requests."""

    def enrol(self) -> list[Path]:
        folders = [self.offline / f"voter-{i}" for i in range(3)]
        self.requests = self.offline / "requests"
        self.requests.mkdir()
        for i, folder in enumerate(folders):
            shutil.copy(registrars.enrol(self.record, folder), self.requests / f"{i}.json")
        lines = [f"{name},all,{i}.json\n" for i, name in enumerate(("ann", "bob", "eve"))]
        self.list = self.write("voters.csv", "identity,style,request\n" + "".join(lines))
        return folders

    def collect(self, voters: Path | None = None) -> int:
        return registrars.collect(
            self.record, self.keys[0], voters or self.list, self.requests, PASSPHRASE
        )


@pytest.fixture(name="registry")
def make_registry(enrolled: Made, tmp_path: Path) -> Registry:
    return Registry(enrolled, tmp_path / "own")


def test_voters_who_enrol_their_own_keys(registry: Registry) -> None:
    folders = registry.enrol()
    assert [stat.S_IMODE((f / "code.txt").stat().st_mode) for f in folders] == [0o600] * 3
    again = registrars.enrol(registry.record, folders[0])
    assert again.read_bytes() == (registry.requests / "0.json").read_bytes()
    assert registry.collect() == 3
    codes = [(folder / "code.txt").read_text().strip() for folder in folders]
    sent = b"".join(path.read_bytes() for path in registry.requests.iterdir())
    assert not [code for code in codes if code.encode() in sent]
    made = registry.made
    made.credentials.extend(
        workflow.Credential(code=code, style="all", weight=1, district="all") for code in codes
    )
    open_small(made)
    cast(made, [(2, Choice(contests={"bridge": (1, 0)}), "cast")])
    finish(made)
    report = audit(made.path)
    report.raise_for_failure()
    assert "impersonate" not in report.verdict
    with pytest.raises(ParameterError, match="draw their own keys"):
        registry.issue()


def change_request(registry: Registry, number: int, **change: object) -> None:
    path = registry.requests / f"{number}.json"
    path.write_bytes(canonical_json(json.loads(path.read_bytes()) | change))


def take_key(registry: Registry) -> None:
    """Bob enrols Ann's key, and cannot sign for it."""
    ann = json.loads((registry.requests / "0.json").read_bytes())
    change_request(registry, 1, credential=ann["credential"])


def copy_request(registry: Registry) -> None:
    shutil.copy(registry.requests / "0.json", registry.requests / "1.json")


@pytest.mark.parametrize(
    ("do", "reason"),
    [
        (take_key, r"1\.json: not signed by its own key"),
        (copy_request, "a credential occurs twice"),
        (lambda r: change_request(r, 1, base="00" * 32), r"1\.json: of another election"),
        (lambda r: change_request(r, 1, version=2), r"1\.json: \$\.version"),
        (lambda r: change_request(r, 1, name="bob"), r"1\.json: \$: unknown field 'name'"),
        (lambda r: change_request(r, 1, credential="01" + "00" * 31), "not signed by its own key"),
        (lambda r: (r.requests / "1.json").unlink(), r"1\.json: file is missing"),
    ],
)
def test_wrong_requests(registry: Registry, do: Callable[[Registry], object], reason: str) -> None:
    """attacks: C9, C12"""
    registry.enrol()
    do(registry)
    with pytest.raises(EvoteError, match=reason):
        registry.collect()
    assert not Record(registry.record).has(ROLL)


def test_requests_are_named_in_their_folder(registry: Registry) -> None:
    registry.enrol()
    for name in ("../0.json", "", "/etc/passwd", "a/0.json"):
        voters = registry.write("odd.csv", f"identity,style,request\nann,all,{name}\n")
        with pytest.raises(ParameterError, match="line 2: the name of one request"):
            registry.collect(voters)
