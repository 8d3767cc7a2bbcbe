"""What docs/ says is what src/ does, as far as a walk through both can tell.

Formats, hash labels, transcripts, purposes of signatures, checks and limits stand in
docs/record-format.md, each of them and no others; tests named in docs/security.md exist.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import evote
from evote import (
    _mixing,
    cli,
    contests,
    credentials,
    election,
    encoding,
    packing,
    record,
    threshold,
)
from evote.board import BUNDLE, MAX_BODY, MAX_ENTRY, MAX_NOTE
from evote.verify import CHECKS

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
FORMAT = (DOCS / "record-format.md").read_text(encoding="utf-8")
PAGES = sorted(DOCS.glob("*.md"))


@cache
def trees() -> tuple[ast.Module, ...]:
    package = Path(evote.__file__).parent
    return tuple(
        ast.parse(path.read_text(encoding="utf-8")) for path in sorted(package.rglob("*.py"))
    )


def calls() -> Iterator[tuple[str, ast.Call]]:
    """Every call in src, with the name of what is called."""
    for tree in trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                function = node.func
                if isinstance(function, ast.Attribute):
                    yield function.attr, node
                elif isinstance(function, ast.Name):
                    yield function.id, node


def constant(node: ast.expr) -> object:
    return node.value if isinstance(node, ast.Constant) else None


def first_constants(names: set[str], position: int, kind: type) -> set[object]:
    """The constants of a kind that stand at a position in calls of these names."""
    return {
        value
        for name, call in calls()
        if name in names and len(call.args) > position
        for value in [constant(call.args[position])]
        if isinstance(value, kind)
    }


def section(title: str, page: str = FORMAT) -> str:
    found = re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", page, re.M | re.S)
    assert found is not None, f"no section {title}"
    return found[1]


def table(text: str, header: str) -> list[list[str]]:
    """The rows of the table whose header begins with a word."""
    found = re.search(rf"^\| {re.escape(header)} \|.*\n\|[-|]+\|\n((?:\|.*\n)+)", text, re.M)
    assert found is not None, f"no table of {header}"
    return [[cell.strip() for cell in row.split("|")[1:-1]] for row in found[1].splitlines()]


def quoted(cells: list[str]) -> set[str]:
    return {word for cell in cells for word in re.findall(r"`([^`]+)`", cell)}


def test_every_hash_label_is_documented() -> None:
    calls = {"digest", "digest_rows", "digests", "long_digest", "xof", "xofs"}
    used = first_constants(calls, 0, str)
    assert len(used) > 15
    documented = quoted([row[0] for row in table(section("Hash inputs"), "label")])
    assert documented == used


def test_every_way_into_a_hash_is_known() -> None:
    """Whoever calls hashlib directly is the codec, the sponge, or a standard's own hash."""
    package = Path(evote.__file__).parent
    found = {
        path.relative_to(package).as_posix()
        for path in package.rglob("*.py")
        if re.search(r"^(import|from) hashlib", path.read_text(encoding="utf-8"), re.M)
    }
    assert found == {
        "encoding.py",  # H and X
        "_hashes.py",  # of many rows, for others of these
        "transcript.py",  # the sponge
        "_merkle.py",  # RFC 6962
        "groups/hash_to_curve.py",  # RFC 9380
        "_notes.py",  # C2SP key ids
        "server/witness.py",  # C2SP names of logs' directories
        "_audit_log.py",  # of bundles: has one changed between two readings?
        "_sealing.py",  # scrypt of a key file
        "groups/_gmp_ed25519.py",  # RFC 8032
        "interop/belenios/_forms.py",  # Belenios' SHA-256
        "interop/helios/_forms.py",  # Helios' fingerprints and challenges
        "interop/swisspost/_hashing.py",  # Swiss Post's recursive hash
        "_verificatum/_oracle.py",  # Verificatum's random oracle
        "interop/electionguard/_codec.py",  # ElectionGuard's hashes
    }


def test_every_transcript_is_documented() -> None:
    purposes = first_constants({"Transcript"}, 0, bytes)
    for tree in trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.Assign) and constant(node.value) == b"rehearsal":
                purposes.add(b"rehearsal")
            if isinstance(node, ast.arguments):
                named = zip(node.kwonlyargs, node.kw_defaults, strict=True)
                purposes |= {
                    constant(default)
                    for argument, default in named
                    if argument.arg == "purpose" and default is not None
                }
    used = {purpose.decode() for purpose in purposes if isinstance(purpose, bytes)}
    documented = quoted([row[0] for row in table(section("Transcripts"), "purpose")])
    assert used == documented | {"rehearsal"}
    assert "transcript purpose `rehearsal`" in FORMAT


APPENDING = {
    *("append", "append_integer", "append_elements", "append_scalars"),
    *("append_rows", "append_arrays"),
}
SQUEEZING = {"squeeze", "challenge", "challenges", "weights"}


def labels() -> set[str]:
    """What src calls the messages of transcripts; `nonces` is squeezed by provers alone."""
    found = first_constants(APPENDING | SQUEEZING, 0, bytes) - {b"", b"nonces"}
    for name, call in calls():
        if name == "LinearRelation":
            [common] = [keyword.value for keyword in call.keywords if keyword.arg == "common"]
            found |= {node.value for node in ast.walk(common) if isinstance(node, ast.Constant)}
    return {label.decode() for label in found if isinstance(label, bytes)}


def test_every_message_of_a_transcript_is_documented() -> None:
    used = labels()
    assert len(used) > 30
    text = FORMAT + (DOCS / "proofs.md").read_text(encoding="utf-8")
    assert not [word for word in used if f"`{word}`" not in text and f'"{word}"' not in text]


def test_every_documented_message_is_one() -> None:
    shares, transcripts = section("Shares"), section("Transcripts")
    documented = set(re.findall(r'(?:append|array|squeeze)\("([^"]+)"', transcripts + shares))
    for row in table(transcripts, "purpose"):
        documented |= quoted([row[2]])
    _, _, ballot = section("Ballots").partition("**The challenge.**")
    documented |= set(re.findall(r'"([^"]+)"', ballot.partition("c = challenge")[0]))
    assert len(documented) > 25
    assert documented <= labels()


def test_every_format_is_documented() -> None:
    used = {
        node.value
        for tree in trees()
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and re.fullmatch(r"evote/[a-z-]+[a-z]", node.value)
    }
    used |= {f"evote/ceremony-{kind}" for kind in ("commit", "reveal", "complaint", "confirm")}
    documented = set(re.findall(r"`(evote/[a-z-]+)`", FORMAT))
    assert documented == used


def test_every_purpose_of_a_signature_is_documented() -> None:
    used = first_constants({"sign", "signed_message"}, 0, str)
    used |= first_constants({"entry_signature"}, 1, str)
    used |= first_constants({"check_authorities", "verify_signature"}, 2, str)
    used |= {f"ceremony-{kind}" for kind in ("commit", "reveal", "complaint", "confirm")}
    documented = quoted([row[0] for row in table(section("Hash inputs"), "purpose")])
    assert documented == used


def test_every_check_is_documented() -> None:
    rows = table(section("Checks"), "check")
    documented = [(row[0].strip("`"), f"record-format, {row[1]}", row[2]) for row in rows]
    assert documented == [
        (name, check.reference, check.phase or "pin") for name, check in CHECKS.items()
    ]
    for _, reference, _ in documented:
        section(reference.removeprefix("record-format, "))


def test_exit_codes() -> None:
    codes = [int(row[0]) for row in table(section("Checks"), "exit")]
    assert codes == [0, 1, 2, 3, 4, 70, 130]
    said = cli.__doc__ or ""
    assert [int(row[0]) for row in table(said, "exit")] == codes


@pytest.mark.parametrize(
    ("where", "limit", "words"),
    [
        ("Conventions", encoding.MAX_BYTES, "At most 16 MiB"),
        ("Conventions", encoding.MAX_DEPTH, "32 levels"),
        ("Files", election.MAX_MANIFEST, "`evote/manifest` | 16 MiB"),
        ("Files", record.ROLL_BUNDLE, "4,096 to a file"),
        ("Files", credentials.MAX_ROW, "1,000 a row"),
        ("Files", MAX_NOTE, "256 KiB"),
        ("Files", BUNDLE, "256 to a file"),
        ("Files", MAX_ENTRY, "65,535 an entry"),
        ("Files", MAX_BODY, "16 MiB a ballot"),
        ("Manifest", contests.MAX_CONTESTS, "1 to 256 contests"),
        ("Manifest", election.MAX_STYLES, "1 to 4,096 of"),
        ("Manifest", election.MAX_OPERATORS, "1 to 99 trustees"),
        ("Manifest", contests.MAX_OPTIONS, "1 to 1,000 of"),
        ("Manifest", contests.MAX_MARKS, "0 to 255"),
        ("Manifest", contests.MAX_BRANCHES, "8,192"),
        ("Manifest", contests.MAX_WRITE_IN, "1 to 200"),
        ("Mixing", packing.MAX_PACK_WIDTH, "at most 16 elements"),
        ("Mixing", election.MAX_OPERATORS, "1 to 99 cards"),
        ("Mixing", _mixing.MIN_UNIT, "30 if a draft is silent"),
        ("Manifest", credentials.MAX_WEIGHT, "1 to 2^31 - 1"),
        ("Manifest", election.MAX_VOTERS, "1 to 2^32 - 1"),
        ("Manifest", election.TALLY_LIMIT, "min(q, 2^40)"),
        ("Shares", threshold.CHUNK, "4,096 shares"),
    ],
)
def test_limits(where: str, limit: int, words: str) -> None:
    text = " ".join(section(where).split())
    assert words in text
    [number] = [n for n in _numbers(words) if n == limit]
    assert number == limit


def _numbers(words: str) -> set[int]:
    """Every number that words can mean: 4,096, 16 MiB, 2^31 - 1."""
    found = set()
    pattern = r"2\^(\d+)( - 1)?|(\d+(?:,\d{3})*)(?: (MiB|KiB))?"
    for power, less, digits, unit in re.findall(pattern, words):
        if power:
            found.add(2 ** int(power) - (1 if less else 0))
        else:
            found.add(int(digits.replace(",", "")) * {"": 1, "KiB": 2**10, "MiB": 2**20}[unit])
    return found


# -- pages -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES, ids=[page.name for page in PAGES])
def test_pages_are_plain(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert text.endswith("\n")
    widest = 200 if page.name == "interop.md" else 120  # a table that the code writes
    assert not [line for line in text.split("\n") if len(line) > widest or line != line.rstrip()]
    titles = re.findall(r"^#{1,2} .*$", re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S), re.M)
    assert len(set(titles)) == len(titles), "a part stands there twice"
    for target in re.findall(r"\]\(([^)]+)\)", re.sub(r"`[^`\n]*`", "", text)):
        name, _, anchor = target.partition("#")
        if target.startswith("https://"):
            continue
        linked = DOCS / name if name else page
        assert linked.is_file(), target
        if anchor:
            headings = re.findall(r"^#+ (.*)$", linked.read_text(encoding="utf-8"), re.M)
            assert anchor in [heading.lower().replace(" ", "-") for heading in headings], target


def test_every_attack_has_its_row_and_named_tests_exist() -> None:
    text = (DOCS / "security.md").read_text(encoding="utf-8")
    rows = table(text, "id")
    expected = {"A": 11, "B": 10, "C": 17, "D": 8, "E": 9, "F": 9, "G": 12}
    assert [row[0] for row in rows if row[0]] == [
        f"{letter}{n}" for letter, count in expected.items() for n in range(1, count + 1)
    ]
    named = quoted([row[2] for row in rows])
    assert len(named) > 80
    existing = {
        f"{path.stem}.{name}"
        for path in (ROOT / "tests").glob("test_*.py")
        for name in re.findall(r"^def (test_\w+)", path.read_text(encoding="utf-8"), re.M)
    }
    assert not named - existing
    said: dict[str, str] = {}
    current = ""
    for row in rows:
        current = row[0] or current
        said[current] = said.get(current, "") + row[2]
    for attack, words in said.items():
        assert "`" in words or words.startswith(("Not here", "Open")), attack
