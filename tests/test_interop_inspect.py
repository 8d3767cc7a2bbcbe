"""Archives within their limits, and what `evote inspect` says of whatever is at a path."""

from __future__ import annotations

import gzip
import io
import json
import os
import random
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from evote import _archives, cli, verify
from evote._archives import Archive, open_tree
from evote._trees import Tree
from evote.errors import DecodingError
from evote.groups import named_group
from evote.interop import electionguard, recognition, verificatum
from evote.interop._json import read_json
from evote.interop.belenios import _forms as belenios_forms
from evote.interop.electionguard import _reading as electionguard_reading
from evote.interop.helios import audit
from evote.interop.verificatum import encode_protinfo
from tests.helios_records import Election
from tests.verificatum_sessions import write_election

if TYPE_CHECKING:
    from tests.conftest import Vectors

FILES = {"a.json": b"{}", "ballots/1.json": b"[1]", "ballots/2.json": b"x" * 3000}


def run(*arguments: str | Path) -> int:
    with pytest.raises(SystemExit) as leaving:
        cli.main([str(argument) for argument in arguments])
    assert isinstance(leaving.value.code, int)
    return leaving.value.code


def write_zip(path: Path, files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def write_tar(
    path: Path, files: dict[str, bytes], mode: str = "w", form: int = tarfile.PAX_FORMAT
) -> Path:
    with tarfile.open(path, mode, format=form) as archive:  # type: ignore[call-overload]
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mtime = len(data), 1.5
            archive.addfile(info, io.BytesIO(data))
    return path


WRITERS: dict[str, Callable[[Path, dict[str, bytes]], Path]] = {
    "zip": write_zip,
    "stored": lambda path, files: write_zip(path, files, zipfile.ZIP_STORED),
    "tar": write_tar,
    "gnu": lambda path, files: write_tar(path, files, form=tarfile.GNU_FORMAT),
    "ustar": lambda path, files: write_tar(path, files, form=tarfile.USTAR_FORMAT),
    "tar.gz": lambda path, files: write_tar(path, files, "w:gz"),
}


@pytest.mark.parametrize("kind", WRITERS)
@pytest.mark.parametrize("top", ["", "top/", f"{'long' * 30}/"])
def test_archives_are_read_as_directories(kind: str, top: str, tmp_path: Path) -> None:
    if kind == "ustar" and len(top) > 100:
        pytest.skip("ustar has no such names")
    path = WRITERS[kind](tmp_path / "archive", {top + name: FILES[name] for name in FILES})
    root = tmp_path / "directory"
    for name, data in FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    with open_tree(path) as archive, open_tree(root) as directory:
        assert isinstance(archive, Archive)
        for tree in (archive, directory):
            assert {name: tree.read(name, 3000) for name in FILES} == FILES
            assert tree.names() == ["a.json"]
            assert tree.names("ballots") == ["1.json", "2.json"]
            assert tree.directories() == ["ballots"]
            assert tree.size() == (3, 3005)
            assert tree.head("ballots/2.json", 5) == b"xxxxx"
            assert not tree.has("b.json")
            for name in ("b.json", "ballots"):
                with pytest.raises(DecodingError):
                    tree.read(name, 10)
            with pytest.raises(DecodingError, match="at most 2999 expected"):
                tree.read("ballots/2.json", 2999)


STRANGE = ["../a", "/a", "a/../b", "a//b", "a\\b", "c:/a", "./../a", "a\nb", "a/./b", "x" * 300]


@pytest.mark.parametrize("name", STRANGE)
@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_names_that_lead_elsewhere(name: str, kind: str, tmp_path: Path) -> None:
    path = WRITERS[kind](tmp_path / "archive", {name: b"1"})
    with pytest.raises(DecodingError, match=r"strange name|leads elsewhere"):
        open_tree(path)


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_names_that_mean_the_same(kind: str, tmp_path: Path) -> None:
    path = WRITERS[kind](tmp_path / "case", {"a": b"1", "A": b"2"})
    with pytest.raises(DecodingError, match="twice"):
        open_tree(path)
    path = WRITERS[kind](tmp_path / "inside", {"a": b"1", "a/b": b"2"})
    with pytest.raises(DecodingError, match="a file and a directory"):
        open_tree(path)


def test_members_that_are_no_files(tmp_path: Path) -> None:
    for number, kind in enumerate((tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE)):
        path = tmp_path / f"{number}.tar"
        with tarfile.open(path, "w") as archive:
            info = tarfile.TarInfo("a")
            info.type, info.linkname = kind, "/etc/passwd"
            archive.addfile(info)
        with pytest.raises(DecodingError, match="not a regular file"):
            open_tree(path)
    link = zipfile.ZipInfo("a")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "link.zip", "w") as archive:
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(DecodingError, match="not a regular file"):
        open_tree(tmp_path / "link.zip")


def test_bombs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    zeros = {"a": bytes(10**7)}
    for kind in ("zip", "tar.gz"):
        with pytest.raises(DecodingError, match="expands too much"):
            open_tree(WRITERS[kind](tmp_path / kind, zeros))
    small = {"a": bytes(range(256)) * 50}
    for kind in ("zip", "tar", "tar.gz"):
        open_tree(WRITERS[kind](tmp_path / kind, small)).close()
    monkeypatch.setattr(_archives, "MAX_TOTAL", 10_000)
    for kind in ("zip", "tar", "tar.gz"):
        with pytest.raises(DecodingError, match="bytes"):
            open_tree(tmp_path / kind)
    monkeypatch.setattr(_archives, "MAX_TOTAL", 10**9)
    monkeypatch.setattr(_archives, "MAX_FILES", 2)
    for kind in ("zip", "tar"):
        with pytest.raises(DecodingError):
            open_tree(WRITERS[kind](tmp_path / kind, FILES))


def test_members_that_overlap(tmp_path: Path) -> None:
    """Two names for one place, as in zip bombs without any nesting."""
    path = write_zip(tmp_path / "a.zip", {"a": b"1" * 100, "b": b"2" * 100}, zipfile.ZIP_STORED)
    data = bytearray(path.read_bytes())
    second = data.index(b"PK\1\2", data.index(b"PK\1\2") + 4)
    data[second + 42 : second + 46] = bytes(4)
    path.write_bytes(data)
    with pytest.raises(DecodingError, match="overlaps"):
        open_tree(path)


@pytest.mark.parametrize("kind", WRITERS)
def test_broken_archives(kind: str, tmp_path: Path) -> None:
    """Cut or changed at every tenth byte: another tree, or a refusal."""
    whole = WRITERS[kind](tmp_path / "whole", FILES).read_bytes()
    path = tmp_path / "broken"
    refused = 0
    for at in range(0, len(whole), max(10, len(whole) // 150)):
        for data in (whole[:at], whole[:at] + bytes([whole[at] ^ 0x41]) + whole[at + 1 :]):
            path.write_bytes(data)
            try:
                with open_tree(path) as tree:
                    found = {name: tree.read(name, 10**4) for name in FILES}
            except DecodingError:
                refused += 1
            else:
                assert set(found) == set(FILES)
    assert refused > 20


def test_bytes_behind_an_archive(tmp_path: Path) -> None:
    path = WRITERS["zip"](tmp_path / "a", FILES)
    path.write_bytes(path.read_bytes() + b"more")
    with pytest.raises(DecodingError, match="ends with its list"):
        open_tree(path)
    path = WRITERS["tar.gz"](tmp_path / "b", FILES)
    path.write_bytes(path.read_bytes() + b"more")
    with pytest.raises(DecodingError, match="bytes follow"):
        open_tree(path)
    (tmp_path / "c").write_bytes(gzip.compress(b"no archive"))
    with pytest.raises(DecodingError, match="no tar archive inside"):
        open_tree(tmp_path / "c")


# -- inspect ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def election(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Election([[[0], [1]], [[1], []]]).write(tmp_path_factory.mktemp("helios"))


@pytest.mark.parametrize("kind", ["directory", *WRITERS])
def test_an_election_of_helios(kind: str, election: Path, tmp_path: Path) -> None:
    path, files = election, [p for p in election.rglob("*") if p.is_file()]
    if kind != "directory":
        names = {f"top/{p.relative_to(election).as_posix()}": p.read_bytes() for p in files}
        path = WRITERS[kind](tmp_path / "archive", names)
    found = recognition.inspect(path)
    assert (found.system, found.title, found.group) == ("Helios", "Test", "helios-2048")
    assert (found.ballots, found.contests, found.trustees, found.files) == (2, 2, 2, len(files))
    assert found.form == ("directory" if kind == "directory" else "archive")
    report = audit(path)
    report.raise_for_failure()
    assert report.to_json() == audit(election).to_json()


def test_the_command_verifies_it(election: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("verify", election, "--quiet", "--jobs", "1") == 0
    last = capsys.readouterr().out.strip().split("\n")[-1]
    assert last == (
        "self-consistent, not pinned: verified: all 24 checks passed; "
        "warnings: weak-fiat-shamir, unbound-fields; not pinned: election, voters"
    )
    assert run("verify", election, "--quiet", "--expect-manifest", "A" * 43, "--jobs", "1") == 1
    assert "the fingerprint is" in capsys.readouterr().out
    assert run("verify", election, "--session", "one") == 2
    assert "has no sessions" in capsys.readouterr().err
    assert run("verify", election, "--phase", "voting") == 2
    assert "of evote's own records only" in capsys.readouterr().err


def test_a_native_record(
    phases: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record = phases["finished"]
    assert run("inspect", record, "--format", "json") == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["system"], said["form"]) == ("evote", "directory")
    assert said["ballots"] > 0
    assert "phase finished" in said["notes"]
    path = write_tar(tmp_path / "a.tar", files_of(record))
    found = recognition.inspect(path)
    assert (found.form, found.ballots, found.notes) == (
        "archive",
        said["ballots"],
        tuple(said["notes"]),
    )


def test_a_directory_of_verificatum(tmp_path: Path) -> None:
    protinfo = encode_protinfo(named_group("P-192"), sid="evote1")
    write_election(tmp_path, protinfo, "shuffling", auxsid="first", count=2)
    write_election(tmp_path, protinfo, "mixing", auxsid="second", count=3, width=2)
    found = recognition.inspect(tmp_path)
    assert (found.system, found.title, found.group) == ("Verificatum", "evote1", "P-192")
    assert (found.ballots, found.trustees) == (5, 1)
    assert "nizkp/second/: mixing, 3 ciphertexts" in found.notes
    found = recognition.inspect(tmp_path / "nizkp" / "first")
    assert (found.ballots, found.group) == (2, None)


@pytest.mark.parametrize("verb", ["inspect", "verify"])
def test_something_unknown(verb: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_bytes(b"{}")
    (tmp_path / "empty").mkdir()
    for name in ("file", "empty", "missing"):
        assert run(verb, tmp_path / name) == 4
        captured = capsys.readouterr()
        assert captured.out == ""
        assert len(captured.err.splitlines()) == 1
        if name != "missing":
            for words in ("evote/manifest", "protInfo.xml", "election.json"):
                assert words in captured.err


def test_systems_without_an_inspection(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def recognises(tree: Tree) -> bool:
        return tree.has("new")

    system = recognition.SYSTEMS[0]
    other = recognition.System("new", recognises, system.audit)
    monkeypatch.setattr(recognition, "SYSTEMS", (*recognition.SYSTEMS, other))
    with pytest.raises(DecodingError, match="new: its files"):
        recognition.inspect(tmp_path)
    (tmp_path / "new").write_bytes(b"123")
    found = recognition.inspect(tmp_path)
    assert (found.system, found.files, found.size, found.ballots) == ("new", 1, 3, None)
    assert ("ballots", "not known") in found.rows()
    shutil.rmtree(tmp_path)


# -- verify ----------------------------------------------------------------------------------------


def files_of(directory: Path, top: str = "") -> dict[str, bytes]:
    files = (path for path in sorted(directory.rglob("*")) if path.is_file())
    return {top + path.relative_to(directory).as_posix(): path.read_bytes() for path in files}


KEPT = Path(__file__).parent / "records"


@pytest.mark.parametrize("kind", WRITERS)
def test_an_archive_of_a_kept_record(kind: str, tmp_path: Path) -> None:
    record = KEPT / "v1-small" / "record"
    path = WRITERS[kind](tmp_path / "archive", files_of(record, "record/"))
    report = verify.audit(path)
    report.raise_for_failure()
    assert report.to_json() == verify.audit(record).to_json()
    assert run("verify", path, "--quiet", "--jobs", "1") == 0


@pytest.mark.parametrize("kind", ["zip", "tar.gz"])
def test_an_archive_of_a_mixed_record(kind: str, tmp_path: Path) -> None:
    record = KEPT / "v1-mixed" / "record"
    path = WRITERS[kind](tmp_path / "archive", files_of(record))
    report = verify.audit(path)
    report.raise_for_failure()
    assert report.to_json() == verify.audit(record).to_json()


@pytest.mark.parametrize("phase", ["setup", "ceremony", "ready", "voting"])
def test_an_archive_of_a_record_that_is_not_finished(
    phase: str, phases: dict[str, Path], tmp_path: Path
) -> None:
    path = write_zip(tmp_path / "archive", files_of(phases[phase], "a/"))
    report = verify.audit(path, phase=phase)
    report.raise_for_failure()
    assert report.to_json() == verify.audit(phases[phase], phase=phase).to_json()
    assert verify.audit(path).to_json() == verify.audit(phases[phase]).to_json()


def _pack(record: Path, target: Path, kind: str) -> Path:
    """As people do it, directories included."""
    name = shutil.make_archive(str(target), kind, record.parent, record.name)
    return Path(name)


def _grow(record: Path) -> None:
    (record / "ballots" / "999.jsonl").write_bytes(b"{}\n")
    (record / "notes.txt").write_text("x")


def _shrink(record: Path) -> None:
    shutil.rmtree(record / "shares")
    (record / "board" / "checkpoint").unlink()
    (record / "board" / "checkpoint").mkdir()


def _empty(record: Path) -> None:
    (record / "ballots" / "x001").mkdir()
    (record / "more").mkdir()


def _change(record: Path) -> None:
    for path in record.glob("ballots/*.jsonl"):
        path.write_bytes(path.read_bytes()[:-2])
    (record / "roll" / "roll.json").write_bytes(b"{}")


@pytest.mark.parametrize("damage", [_grow, _shrink, _empty, _change])
@pytest.mark.parametrize("kind", ["zip", "gztar"])
def test_what_is_wrong_with_a_record_is_wrong_with_its_archive(
    kind: str, damage: Callable[[Path], None], tmp_path: Path
) -> None:
    record = tmp_path / "record"
    shutil.copytree(KEPT / "v1-small" / "record", record)
    path = _pack(record, tmp_path / "whole", kind)
    assert verify.audit(path).ok
    damage(record)
    path = _pack(record, tmp_path / "damaged", kind)
    report = verify.audit(path)
    assert report.exit_code == 1
    assert report.to_json() == verify.audit(record).to_json()


def test_an_archive_that_breaks_under_an_audit(tmp_path: Path) -> None:
    """The list of members is as it should be; the bytes of one are not."""
    files = files_of(KEPT / "v1-small" / "record")
    ballots = files["ballots/000.jsonl"]
    for kind in ("stored", "zip"):
        path = WRITERS[kind](tmp_path / kind, files)
        assert verify.audit(path).ok
        with zipfile.ZipFile(path) as archive:
            at = archive.getinfo("ballots/000.jsonl").header_offset + len(ballots) // 2
        data = bytearray(path.read_bytes())
        data[at] ^= 1
        path.write_bytes(data)
        report = verify.audit(path)
        assert report.exit_code == 1
        assert "broken member" in report.finding("ballots.form").detail


def test_a_file_of_ballots_none_of_which_can_be_read(tmp_path: Path) -> None:
    record = tmp_path / "record"
    shutil.copytree(KEPT / "v1-small" / "record", record)
    assert verify.audit(record).ok
    (record / "ballots" / "000.jsonl").write_bytes(b"x" * 100_000 + b"\n")
    report = verify.audit(record)
    assert report.exit_code == 1
    assert "longer than" in report.finding("ballots.form").detail
    assert not any("internal error" in finding.detail for finding in report.findings)


def _hostile(tmp_path: Path) -> dict[str, Path]:
    manifest = (KEPT / "v1-small" / "record" / "manifest.json").read_bytes()
    written = {
        "bomb": {"manifest.json": manifest, "a": bytes(10**7)},
        "case": {"manifest.json": manifest, "Manifest.json": manifest},
        "escape": {"manifest.json": manifest, "../a": b""},
    }
    paths = {
        f"{n}.{k}": WRITERS[k](tmp_path / f"{n}.{k}", written[n]) for n in written for k in HOW
    }
    del paths["bomb.tar"]  # which is only long
    cut = write_zip(tmp_path / "whole", {"manifest.json": manifest})
    paths["cut"] = tmp_path / "cut"
    paths["cut"].write_bytes(cut.read_bytes()[:-1])
    link = tmp_path / "link.tar"
    with tarfile.open(link, "w") as archive:
        info = tarfile.TarInfo("manifest.json")
        info.type, info.linkname = tarfile.SYMTYPE, "/etc/hostname"
        archive.addfile(info)
    return {**paths, "link": link}


HOW = ("zip", "tar", "tar.gz")


def test_hostile_archives_of_a_record(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """attacks: G3."""
    for name, path in _hostile(tmp_path).items():
        assert run("verify", path, "--quiet") == 4, name
        captured = capsys.readouterr()
        assert captured.out == ""
        assert len(captured.err.splitlines()) == 1
        report = verify.audit(path)
        assert report.exit_code == 4
        assert report.failures()


@pytest.mark.parametrize("kind", ["zip", "tar.gz"])
def test_an_archive_of_verificatum(kind: str, tmp_path: Path) -> None:
    protinfo = encode_protinfo(named_group("P-256"), sid="evote1")
    root = tmp_path / "root"
    write_election(root, protinfo, "shuffling", auxsid="first", count=2)
    write_election(root, protinfo, "mixing", auxsid="second", count=3, width=2)
    path = WRITERS[kind](tmp_path / "archive", files_of(root, "root/"))
    report = verificatum.audit(path)
    report.raise_for_failure()
    assert report.to_json() == verificatum.audit(root).to_json()
    assert run("verify", path, "--quiet", "--jobs", "1") == 0
    assert run("verify", path, "--quiet", "--jobs", "1", "--session", "second") == 0
    one = tmp_path / "one" / "first"
    one.parent.mkdir()
    session = root / "nizkp" / "first"
    WRITERS[kind](one, files_of(session))
    given = root / "protInfo.xml"
    report = verificatum.audit(one, protinfo=given)
    report.raise_for_failure()
    assert report.to_json() == verificatum.audit(session, protinfo=given).to_json()
    assert recognition.inspect(one).form == "archive"


@pytest.mark.parametrize("vector", ["eg10-minimal", "eg20-chained", "eg21-ec"])
def test_an_archive_of_electionguard(vector: str, vectors: Vectors, tmp_path: Path) -> None:
    root = vectors.path(f"electionguard/{vector}")
    path = write_zip(tmp_path / "archive", files_of(root, "a/"))
    report = electionguard.audit(path)
    assert report.exit_code == 0
    assert report.to_json() == electionguard.audit(root).to_json()
    there, here = recognition.inspect(root), recognition.inspect(path)
    assert (there.version, there.ballots) == (here.version, here.ballots)


def test_a_compressed_tar_is_read_in_any_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_archives, "_APART", 1000)
    monkeypatch.setattr(_archives, "_KEPT", 10)
    monkeypatch.setattr(_archives, "_BUFFER", 700)
    draw = random.Random(1)
    files = {f"{i}": draw.randbytes(draw.randrange(5000)) for i in range(40)}
    path = write_tar(tmp_path / "a.tar.gz", files, "w:gz")
    with open_tree(path) as tree:
        for name in draw.choices(sorted(files), k=200):
            assert tree.read(name, 5000) == files[name]
        first, second = tree.open("7", 5000), tree.open("8", 5000)
        pairs = [(first.read(100), second.read(77)) for _ in range(70)]
        assert b"".join(a for a, _ in pairs) == files["7"]
        assert b"".join(b for _, b in pairs) == files["8"]
        tree.open("9", 5000).close()
        assert tree.entries() == [(name, "file") for name in sorted(files)]


# -- readers are loaded where they are needed ------------------------------------------------------

READERS = {"belenios", "electionguard", "helios", "swisspost", "verificatum"}
PROGRAM = """
import sys
from evote import cli
try:
    cli.main(sys.argv[1:])
finally:
    print(*sys.modules, file=sys.stderr)
"""


def readers(*arguments: str | Path) -> set[str]:
    """The systems whose readers a command loads, in a process of its own."""
    source = str(Path(cli.__file__).parents[2])
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *map(str, arguments)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": source},
        check=True,
    )
    loaded = done.stderr.split()
    assert "evote.interop.recognition" in loaded
    return {name for name in READERS if f"evote.interop.{name}" in loaded}


@pytest.mark.parametrize(
    "verb", [("verify", "--quiet", "--jobs", "1"), ("inspect",)], ids=["verify", "inspect"]
)
def test_only_the_readers_of_a_system_are_loaded(
    verb: tuple[str, ...], election: Path, tmp_path: Path
) -> None:
    assert readers(*verb, KEPT / "v1-small" / "record") == set()
    assert readers(*verb, election) == {"helios"}
    protinfo = encode_protinfo(named_group("P-192"), sid="evote1")
    write_election(tmp_path, protinfo, "shuffling", auxsid="first", count=2)
    assert readers(*verb, tmp_path) == {"verificatum"}


# -- documents -------------------------------------------------------------------------------------


def test_the_support_matrix_is_what_the_code_does() -> None:
    page = (Path(__file__).parents[1] / "docs" / "interop.md").read_text(encoding="utf-8")
    assert page.endswith("\n\n" + recognition.support_matrix())
    text = " ".join(page.split())
    limits = (_archives.MAX_FILES, _archives.MAX_TOTAL >> 30, _archives.MAX_RATIO)
    assert (
        "at most {:,} files, {} GiB, and {} bytes for each compressed one".format(*limits) in text
    )
    assert f"a compressed tar at most {_archives.MAX_INFLATED >> 30} GiB" in text
    for support in recognition.supported():
        assert f"| {support.system} | {support.versions} | {len(support.checks)} |" in page


TOY = (None, None, None, "p of 64 bits, q of 16")
OTHER = (None, None, None, "electionguard-2.0-4096")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("electionguard/eg10-full", ("ElectionGuard", "1.0", 5, 2, 5, "electionguard-1.0-4096")),
        ("electionguard/eg10-toy-bad", ("ElectionGuard", "1.0", *TOY)),
        ("electionguard/eg191-bad", ("ElectionGuard", "1.91", *OTHER)),
        ("electionguard/eg20-chained", ("ElectionGuard", "2.0", *OTHER)),
        ("electionguard/eg21-ec", ("ElectionGuard", "2.1", 42, 20, 5, "P-256")),
        ("belenios/h-ed25519", ("Belenios", "1", 15, 4, 3, "ed25519")),
        ("belenios/v2dev-lists-rfc3526", ("Belenios", "2", None, None, None, "rfc3526-2048")),
        ("swisspost/recursive-hash-to-zq.json", ("Swiss Post", "1.2", None, None, None, None)),
    ],
)
def test_what_other_systems_records_are(
    vectors: Vectors, name: str, expected: tuple[object, ...]
) -> None:
    found = recognition.inspect(vectors.path(name))
    values = (found.system, found.version, found.ballots, found.contests, found.trustees)
    for value, known in zip((*values, found.group), expected, strict=True):
        assert known is None or value == known
    assert found.files >= 1


def test_a_broken_archive_is_still_an_archive(vectors: Vectors, tmp_path: Path) -> None:
    """What is wrong stands in a note: nothing is verified, and nothing escapes."""
    [archive] = vectors.path("belenios/h-ed25519").glob("*.bel")
    data = bytearray(archive.read_bytes())
    data[len(data) // 2] ^= 1
    copy = tmp_path / archive.name
    copy.write_bytes(data)
    found = recognition.inspect(copy)
    assert found.system == "Belenios"
    assert found.ballots is None
    assert "record at" in found.notes[0]


def _eg(data: bytes) -> object:
    return electionguard_reading.parse_json(data, where="x")


def _helios(data: bytes) -> object:
    return read_json(data, where="x")


def _belenios(data: bytes) -> object:
    return belenios_forms.parse(data, "x")


@pytest.mark.parametrize("parse", [_eg, _helios, _belenios])
def test_readers_of_other_systems_take_time_by_the_length(parse: Callable[[bytes], object]) -> None:
    """attacks: G2. What takes a square of it would keep this test busy for an hour."""
    keys = ",".join(f'"{i}":0' for i in range(300_000))
    with pytest.raises(DecodingError, match="key '299999' occurs twice"):
        parse(f'{{{keys},"299999":0}}'.encode())
    with pytest.raises(DecodingError, match="not JSON: Unterminated string"):
        parse(b'["' + b'\\"' * 500_000)
    commas = ["," * 2**20, "[" * 2**20]
    assert parse(json.dumps(commas, separators=(",", ":")).encode()) is not None
