"""`evote verify` on the directories of another system."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from evote import cli
from evote.errors import DecodingError, ParameterError
from evote.groups import named_group
from evote.interop import recognition
from evote.interop.verificatum import encode_protinfo
from tests.verificatum_sessions import copy_writable, write_election

PROTINFO = encode_protinfo(named_group("P-192"), sid="evote1")


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two sessions over a small group."""
    root = tmp_path_factory.mktemp("cli")
    write_election(root, PROTINFO, "shuffling", auxsid="first", count=2)
    write_election(root, PROTINFO, "mixing", auxsid="second", count=1)
    return root


def run(*arguments: str | Path) -> int:
    with pytest.raises(SystemExit) as leaving:
        cli.main([str(argument) for argument in arguments])
    assert isinstance(leaving.value.code, int)
    return leaving.value.code


def test_every_session_is_verified(directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("verify", directory, "--quiet") == 0
    text = capsys.readouterr().out
    assert "nizkp/first: shuffling, 2 ciphertexts of width 1" in text
    assert "nizkp/second: mixing, 1 ciphertexts of width 1" in text
    last = text.strip().split("\n")[-1]
    assert last == (
        "self-consistent, not pinned: verified: all 11 checks passed; warnings: weak-group; "
        "not pinned: protInfo.xml, public key, ciphertexts"
    )


def test_one_session(directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("verify", directory, "--session", "second", "--format", "json", "--quiet") == 0
    report = json.loads(capsys.readouterr().out)
    assert report["parts"] == ["nizkp/second: mixing, 1 ciphertexts of width 1"]
    assert [warning["id"] for warning in report["warnings"]] == ["weak-group"]
    assert (report["format"], report["exit_code"]) == ("evote/report", 0)
    assert run("verify", directory, "--session", "third") == 2
    assert "no session 'third'; there are first, second" in capsys.readouterr().err


def test_a_session_by_itself(directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    session = directory / "nizkp" / "first"
    protinfo = directory / "protInfo.xml"
    assert run("verify", session, "--protinfo", protinfo, "--quiet") == 0
    assert "first: shuffling, 2 ciphertexts" in capsys.readouterr().out
    assert run("verify", session) == 2
    assert "needs its protInfo.xml" in capsys.readouterr().err


def test_the_parameters_can_be_pinned(directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    digest = hashlib.sha256((directory / "protInfo.xml").read_bytes()).hexdigest()
    assert run("verify", directory, "--expect-manifest", digest, "--quiet") == 0
    assert "not pinned: public key, ciphertexts" in capsys.readouterr().out
    other = digest[:-1] + ("0" if digest[-1] != "0" else "1")
    assert run("verify", directory, "--expect-manifest", other, "--quiet") == 1
    assert "protInfo.xml: not the file that was expected" in capsys.readouterr().out
    assert run("verify", directory, "--expect-manifest", "12") == 2


def test_what_is_not_of_such_records_is_refused(
    directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("verify", directory, "--phase", "voting") == 2
    assert "of evote's own records only" in capsys.readouterr().err
    assert run("verify", directory, "--quiet") == 0


def test_what_is_wrong_is_a_verdict(
    directory: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = copy_writable(directory, tmp_path / "copy")
    (root / "nizkp" / "first" / "ShuffledCiphertexts.bt").unlink()
    assert run("verify", root, "--quiet") == 1
    assert "nizkp/first/ShuffledCiphertexts.bt: file is missing" in capsys.readouterr().out
    (root / "protInfo.xml").write_text("<protocol/>")
    assert run("verify", root, "--quiet") == 4
    assert "unreadable" in capsys.readouterr().out
    for name in ("version", "type", "auxsid"):
        (root / "nizkp" / "second" / name).unlink()
    session = root / "nizkp" / "second"
    assert run("verify", session, "--protinfo", directory / "protInfo.xml", "--quiet") == 1
    assert "second/version: file is missing" in capsys.readouterr().out


def test_native_records_and_others_are_told_apart(directory: Path, tmp_path: Path) -> None:
    system = recognition.recognise(directory)
    assert system is not None
    assert system.name == "verificatum"
    assert recognition.recognise(directory / "nizkp" / "first") is system
    for unknown in (directory / "nizkp", tmp_path):
        with pytest.raises(DecodingError, match="no record of a known system"):
            recognition.recognise(unknown)
    root = copy_writable(directory, tmp_path / "copy")
    (root / "manifest.json").write_text("{}")
    with pytest.raises(DecodingError, match="no record of a known system"):
        recognition.recognise(root)  # a stray manifest hides no record of ours
    (root / "manifest.json").write_text('{"format":"evote/manifest"')
    assert recognition.recognise(root) is None
    with pytest.raises(ParameterError, match="a record of our own"):
        recognition.audit(root, recognition.Options())
