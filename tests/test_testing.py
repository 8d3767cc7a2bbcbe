"""The tools for tests: what they change, what they leave alone, and what they need."""

from __future__ import annotations

import io
import json
import random
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evote._archives import open_tree
from evote.contests import Contest, check_selections
from evote.credentials import decode_roll, decode_row
from evote.election import decode_manifest
from evote.elgamal import Ciphertexts
from evote.encoding import JSON, canonical_json
from evote.errors import EvoteError, ParameterError
from evote.groups import Elements, Scalars, modp_group, ristretto255
from evote.interop import scottish
from evote.testing import mutate, strategies, tamper

TINY = modp_group(23, 11, 4, allow_weak=True)


@dataclass(frozen=True, kw_only=True)
class Inner:
    number: int
    name: str
    nothing: None = None

    def __post_init__(self) -> None:
        if self.number > 9:
            raise ParameterError("too large")


@dataclass(frozen=True, kw_only=True)
class Outer:
    points: Elements
    pairs: Ciphertexts
    exponents: Scalars
    parts: tuple[Inner, ...]
    data: bytes = b"ab"


G = ristretto255.generator
POINTS = G ** ristretto255.scalars([[1, 2], [3, 4]])
VALUE = Outer(
    points=POINTS,
    pairs=Ciphertexts(alpha=G, beta=G * G),
    exponents=ristretto255.scalars([5]),
    parts=(Inner(number=1, name="0a"), Inner(number=8, name="")),
)


def test_every_field_is_changed_once() -> None:
    changes = dict(tamper.each_field(VALUE))
    assert list(changes) == [
        *(f"points[{i}, {j}]" for i in (0, 1) for j in (0, 1)),
        "pairs.alpha",
        "pairs.beta",
        "exponents[0]",
        "parts[0].number",
        "parts[0].name",
        "parts[1].name",  # parts[1].number cannot be larger
        "data",
    ]
    moved = changes["points[1, 0]"]
    mask = [[True, True], [False, True]]
    assert moved.points.equal_mask(POINTS).tolist() == mask
    assert moved.pairs == VALUE.pairs
    assert (moved.exponents, moved.parts) == (VALUE.exponents, VALUE.parts)
    assert changes["exponents[0]"].exponents == ristretto255.scalars([6])
    assert changes["parts[0].name"].parts[0] == Inner(number=1, name="1a")
    assert changes["parts[1].name"].parts[1] == Inner(number=8, name="x")
    assert changes["data"].data == b"`b"
    assert all(changed != VALUE for changed in changes.values())
    assert [where for where, _ in tamper.each_field(VALUE.pairs, "c")] == ["c.alpha", "c.beta"]


@pytest.mark.parametrize("leaf", [True, 1.5, [1], {}, ristretto255])
def test_what_nobody_changes_is_an_error(leaf: object) -> None:
    """A leaf passed over would look like one that was checked."""
    with pytest.raises(ParameterError, match=r"\[1\]: nobody changes"):
        list(tamper.each_field((1, leaf)))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text("ab01AB", max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab", max_size=2), inner),
    max_leaves=8,
)


@given(json_values)
def test_every_part_of_json_is_changed(value: JSON) -> None:
    before = canonical_json(value)
    changes = list(tamper.each_json(value))
    assert canonical_json(value) == before
    assert all(canonical_json(changed) != before for _, changed in changes)
    assert {path for path, _ in changes} >= set(paths(value))


def paths(value: JSON, *above: str | int) -> list[tuple[str | int, ...]]:
    """Of every leaf."""
    if isinstance(value, dict):
        return [path for key, inner in value.items() for path in paths(inner, *above, key)]
    if isinstance(value, list):
        return [path for i, inner in enumerate(value) for path in paths(inner, *above, i)]
    return [above]


def test_kinds_of_changes_of_json() -> None:
    value: JSON = {"a": ["0f", 7], "b": True}
    changed = [(tamper.shown_json_path(path), new) for path, new in tamper.each_json(value)]
    assert changed == [
        ("$.a[0]", {"a": ["1f", 7], "b": True}),
        ("$.a[0]", {"a": ["", 7], "b": True}),
        ("$.a[1]", {"a": ["0f", 8], "b": True}),
        ("$.a[1]", {"a": ["0f", 6], "b": True}),
        ("$.a", {"a": ["0f"], "b": True}),
        ("$.a", {"a": ["0f", 7, 7], "b": True}),
        ("$.a", {"a": [7, "0f"], "b": True}),
        ("$.a", {"b": True}),
        ("$.b", {"a": ["0f", 7], "b": False}),
        ("$.b", {"a": ["0f", 7]}),
        ("$.unknown", {"a": ["0f", 7], "b": True, "unknown": 0}),
    ]


@pytest.mark.parametrize("mask", [1, 32, 128])
def test_every_byte_is_changed(mask: int) -> None:
    data = b"evote"
    assert [position for position, _ in tamper.each_byte(data)] == [0, 1, 2, 3, 4]
    for position, changed in tamper.each_byte(data, mask):
        assert [a ^ b for a, b in zip(data, changed, strict=True)] == [
            mask * (i == position) for i in range(5)
        ]


def test_files(tmp_path: Path) -> None:
    files = {"a": b"12", "b/c": b"3", "b/d": b"3"}
    tamper.write_files(tmp_path, files)
    assert tamper.read_files(tmp_path) == files
    seen = set()
    for what, names, changed in tamper.each_listing(files):
        assert changed != files
        assert {n for n in changed | files if changed.get(n) != files.get(n)} == set(names)
        tamper.write_files(tmp_path, changed)
        assert tamper.read_files(tmp_path) == changed
        seen.add((what, names))
    assert ("exchanged", ("a", "b/c")) in seen
    assert ("exchanged", ("b/c", "b/d")) not in seen  # they are equal
    tamper.write_files(tmp_path, {"a": b""})
    assert [path.name for path in tmp_path.rglob("*")] == ["a"]


# -- strategies ------------------------------------------------------------------------------------


@given(strategies.scalars(TINY, (2, 3)), strategies.scalars(TINY, 2))
def test_arrays_have_their_shape(wide: Scalars, flat: Scalars) -> None:
    assert wide.shape == (2, 3)
    assert flat.shape == (2,)


@given(st.data())
def test_choices_are_allowed(data: st.DataObject) -> None:
    contest: Contest = data.draw(strategies.contests())
    marks, blanks = data.draw(strategies.choices(contest, 2))
    assert len(check_selections(contest, marks, blanks)[0]) == 2


@given(st.binary(min_size=1, max_size=9), st.data())
@settings(max_examples=300)
def test_damage_shows(original: bytes, data: st.DataObject) -> None:
    assert data.draw(strategies.damaged(original)) != original


@given(st.data())
def test_nothing_has_no_damage(data: st.DataObject) -> None:
    with pytest.raises(ParameterError):
        data.draw(strategies.damaged(b""))


def test_tamper_needs_no_hypothesis() -> None:
    """And the strategies say what they need."""
    program = (
        "import sys; sys.modules['hypothesis'] = None\n"
        "import evote.testing.tamper\n"
        "try:\n    import evote.testing.strategies\n"
        "except ImportError as error:\n    print(error)\n"
    )
    command = [sys.executable, "-c", program]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    assert ran.stdout == "evote.testing.strategies needs hypothesis: pip install 'evote[test]'\n"


# -- random changes --------------------------------------------------------------------------------

RECORD = Path(__file__).parent / "records" / "v1-small" / "record"
BLT = b'2 1\n5 1 2 0\n2 2 0\n0\n"Ann"\n"Bob"\n"A ward"\n'


def _archive(form: str) -> bytes:
    target = io.BytesIO()
    if form == "zip":
        with zipfile.ZipFile(target, "w") as archive:
            archive.writestr(zipfile.ZipInfo("a/b.json"), b"{}")
    else:
        with tarfile.open(fileobj=target, mode="w") as tar:
            info = tarfile.TarInfo("a/b.json")
            info.size = 2
            tar.addfile(info, io.BytesIO(b"{}"))
    return target.getvalue()


def test_random_changes_repeat() -> None:
    data = (RECORD / "manifest.json").read_bytes()
    made = [mutate.mutate(data, random.Random(seed)) for seed in range(200)]
    assert made == [mutate.mutate(data, random.Random(seed)) for seed in range(200)]
    assert len({changed for changed, _ in made}) > 150
    assert sum(changed != data for changed, _ in made) > 190
    files = tamper.read_files(RECORD)
    for seed in range(200):
        changed, what = mutate.mutate_files(files, random.Random(seed))
        assert (changed, what) == mutate.mutate_files(files, random.Random(seed))
        assert sum(changed.get(name) != data for name, data in files.items()) <= 2


def test_random_changes_of_json_are_mostly_json() -> None:
    """Or nothing beyond the syntax would ever be fuzzed. All kinds of damage to it occur too."""
    value = {"a": [1, {"b": "x"}], "c": {"d": True, "e": None}}
    read, refused = [], 0
    for seed in range(500):
        changed, _ = mutate.mutate_json(json.dumps(value).encode(), random.Random(seed))
        try:
            read.append(json.loads(changed))
        except (ValueError, RecursionError):
            refused += 1
    assert len(read) > 400
    assert refused > 5
    assert sum(other != value for other in read) > 250
    assert any(isinstance(v, dict) and "b" not in json.dumps(v) for v in read)
    assert mutate.mutate_json(b"{no json", random.Random(1))[0] != b"{no json"


def test_random_changes_of_archives_keep_checksums() -> None:
    tar, done = _archive("tar"), 0
    for seed in range(300):
        changed, what = mutate.mutate_archive(tar, random.Random(seed))
        header = changed[:512]
        if "tar header at 0" in what and changed != tar:
            plain = header[:148] + b" " * 8 + header[156:]
            done += header[148:154] == b"%06o" % sum(plain)
    assert done > 100
    names = [mutate.mutate_archive(_archive("zip"), random.Random(i))[0] for i in range(200)]
    assert any(b"../../a" in changed for changed in names)


@pytest.mark.parametrize("what", ["manifest", "roll", "row", "blt", "zip", "tar"])
def test_random_changes_end_in_a_value_or_a_refusal(what: str, tmp_path: Path) -> None:
    """attacks: G1 to G3. The harness in benchmarks/fuzz_interop.py does this at length."""

    def files(data: bytes) -> None:
        (tmp_path / "a").write_bytes(data)
        with open_tree(tmp_path / "a") as tree:
            for name in tree.names("") + [f"b/{name}" for name in tree.names("b")]:
                tree.read(name, 2**20)

    rows = (RECORD / "roll" / "rows" / "000.jsonl").read_bytes().split(b"\n")
    cases: dict[str, tuple[bytes, Callable[[bytes], object]]] = {
        "manifest": ((RECORD / "manifest.json").read_bytes(), decode_manifest),
        "roll": ((RECORD / "roll" / "roll.json").read_bytes(), decode_roll),
        "row": (rows[0], decode_row),
        "blt": (BLT, scottish.read_blt),
        "zip": (_archive("zip"), files),
        "tar": (_archive("tar"), files),
    }
    data, read = cases[what]
    read(data)
    refused = 0
    for seed in range(300):
        try:
            read(mutate.mutate(data, random.Random(seed))[0])
        except EvoteError:
            refused += 1
    assert refused > 30  # of a tar nearly all is padding
