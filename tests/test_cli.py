"""The command line: exit codes, secrets kept off the arguments, and text that cannot bite."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

import evote
from evote import cli
from evote.cli import _common, audit
from evote.cli.ballot import read_choice
from evote.cli.election import read_draft
from evote.demo import peoples_council_2013, run_election
from evote.errors import DecodingError, InvalidProof, ParameterError, UnsupportedError
from evote.groups import GROUP_NAMES, named_group
from evote.operators import load_card
from evote.record import Record

SOURCE = str(Path(evote.__file__).parent.parent)


def environment(**extra: str) -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith("EVOTE_")}
    return {**kept, "PYTHONPATH": SOURCE, **extra}


def evote_process(*arguments: str, **extra: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "evote", *arguments],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        env=environment(**extra),
        timeout=300,
    )


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished election of four voters."""
    directory = tmp_path_factory.mktemp("cli") / "demo"
    run_election(peoples_council_2013(4), directory)
    return directory


def run(*arguments: str | Path) -> int:
    """The exit code of a command in this process."""
    with pytest.raises(SystemExit) as leaving:
        cli.main([str(argument) for argument in arguments])
    assert isinstance(leaving.value.code, int)
    return leaving.value.code


def verbs_of(command: click.Command) -> dict[str, click.Command]:
    """What a group has; empty for a verb."""
    if not isinstance(command, click.Group):
        return {}
    context = click.Context(command)
    found = {name: command.get_command(context, name) for name in command.list_commands(context)}
    return {name: verb for name, verb in found.items() if verb is not None}


# -- help, usage, and everything that is not a verdict ------------------------------------------


def test_all_verbs_have_help(capsys: pytest.CaptureFixture[str]) -> None:
    def walk(command: click.Command, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
        yield path
        for name, inner in verbs_of(command).items():
            yield from walk(inner, (*path, name))

    verbs = list(walk(cli.command, ()))
    assert {("demo",), ("trustee", "rehearse"), ("ballot", "spoil"), ("verify",)} <= set(verbs)
    for verb in verbs:
        assert run(*verb, "--help") == 0
        shown = capsys.readouterr().out
        assert "Usage: evote" in shown
        assert len(shown.splitlines()) > 4, f"{verb} is not described"


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--version") == 0
    assert evote.__version__ in capsys.readouterr().out


READERS = ("belenios", "electionguard", "helios", "swisspost", "verificatum")


@pytest.mark.parametrize(
    ("arguments", "verbs"),
    [
        (["--version"], []),
        (["verify", "--help"], ["audit"]),
        (["registrar", "--help"], ["registrar"]),
        (["trustee", "--help"], ["trustee"]),
        (["export", "--help"], ["export"]),
    ],
)
def test_a_verb_loads_what_it_needs(arguments: list[str], verbs: list[str]) -> None:
    program = "import sys; from evote import cli\ntry: cli.main(sys.argv[1:])\n"
    command = [sys.executable, "-c", f"{program}finally: print(*sys.modules)", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, env=environment(), check=True)
    loaded = done.stdout.splitlines()[-1].split()
    assert [name for name in loaded if re.fullmatch(r"evote\.cli\.[a-z]+", name)] == [
        f"evote.cli.{verb}" for verb in verbs
    ]
    foreign = {f"evote.interop.{name}" for name in READERS} & set(loaded)
    assert bool(foreign) == (arguments[0] == "export")
    assert "jinja2" not in loaded


@pytest.mark.parametrize(
    "arguments",
    [
        ("nonsense",),
        ("verify",),
        ("verify", "record", "--phase", "later"),
        ("verify", "record", "--format", "pdf"),
        ("verify", "record", "--jobs", "0"),
        ("demo", "--voters", "0"),
        ("trustee", "commit", "record"),
        ("election", "new", "no-such-draft.json", "record"),
    ],
)
def test_usage_errors(arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "evote:" in captured.err


def test_a_digest_that_is_none(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("verify", finished / "record", "--expect-manifest", "not a digest") == 2
    assert "64 hex digits expected" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ParameterError("asked for the impossible"), 2),
        (DecodingError("no value", where="manifest.json"), 4),
        (UnsupportedError("version 9"), 4),
        (InvalidProof("Schnorr", [3]), 1),
        (KeyboardInterrupt(), 130),
        (click.Abort(), 130),
        (OSError(28, "No space left on device"), 70),
        (BrokenPipeError(), 70),
        (RuntimeError("a bug"), 70),
        (RecursionError(), 70),
        (MemoryError(), 70),
    ],
)
def test_exit_codes(
    error: BaseException,
    code: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def doctor() -> None:
        raise error

    monkeypatch.delenv("EVOTE_DEBUG", raising=False)
    monkeypatch.setattr(audit.doctor, "callback", doctor)
    assert run("doctor") == code
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "Traceback" not in captured.err


def test_debug_shows_where(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def doctor() -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(audit.doctor, "callback", doctor)
    monkeypatch.setenv("EVOTE_DEBUG", "1")
    assert run("doctor") == 70
    assert "Traceback" in capsys.readouterr().err


def test_doctor(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("doctor") == 0
    shown = capsys.readouterr().out
    for word in ("evote", "python", "gmpy2", "backend", "features"):
        assert word in shown
    for name in GROUP_NAMES:
        group = named_group(name)
        lines = [line for line in shown.splitlines() if name in line.replace(",", "").split()]
        assert len(lines) == 1
        assert lines[0].split()[:2] == ["backend", group.backend]
        assert group.default_backend.reason in lines[0]


def test_interrupt(tmp_path: Path) -> None:
    """A real Ctrl-C in the middle of a demonstration, to every process of the terminal."""
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "evote", "demo", "--voters", "300", "--jobs", "2"),
            *("-o", str(tmp_path / "demo")),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(PYTHONUNBUFFERED="1"),
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    while "is open" not in process.stdout.readline():
        assert process.poll() is None
    time.sleep(3)  # now it encrypts, in two processes
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert "Traceback" not in errors
    assert "interrupted" in errors


def test_directory_that_cannot_be_made() -> None:
    assert evote_process("demo", "--voters", "1", "-o", os.devnull + "/never").returncode == 70


def test_reader_that_leaves() -> None:
    """`evote doctor | head -n 0`: no traceback, and not success."""
    process = subprocess.Popen(
        [
            *(sys.executable, "-c"),
            *("import time; time.sleep(0.5)\nfrom evote.cli import main; main()", "doctor"),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(),
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    errors = process.stderr.read().decode()
    process.stderr.close()
    assert process.wait(timeout=60) == 70
    assert errors == ""


# -- verify ---------------------------------------------------------------------------------------


def test_verify(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("verify", finished / "record", "--jobs", "1") == 0
    captured = capsys.readouterr()
    assert "self-consistent, not pinned: verified" in captured.out
    assert captured.err == ""


def test_verify_pinned(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    digest = Record(finished / "record").manifest_digest.hex()
    assert run("verify", finished / "record", "--expect-manifest", digest, "--jobs", "1") == 0
    other = "0" * 64
    assert run("verify", finished / "record", "--expect-manifest", other, "--jobs", "1") == 1
    assert "manifest.digest" in capsys.readouterr().out


def test_verify_json_file(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "report.json"
    arguments = ("--format", "json", "-o", target, "--quiet", "--jobs", "1")
    assert run("verify", finished / "record", *arguments) == 0
    captured = capsys.readouterr()
    assert captured.out == captured.err == ""
    first = target.read_bytes()
    assert {item["outcome"] for item in json.loads(first)["findings"]} == {
        "passed",
        "not applicable",
    }
    assert run("verify", finished / "record", *arguments) == 0
    assert target.read_bytes() == first


def test_verify_altered(finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(finished / "record", copy)
    path = copy / "result.json"
    path.write_bytes(path.read_bytes().replace(b'"undervotes":', b'"undervotes":1', 1))
    assert run("verify", copy, "--jobs", "1") == 1
    assert "failed" in capsys.readouterr().out


def test_verify_unfinished(finished: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    copy.mkdir()
    for name in ("manifest.json",):
        shutil.copy(finished / "record" / name, copy)
    assert run("verify", copy, "--jobs", "1", "--phase", "setup") == 0
    assert run("verify", copy, "--jobs", "1") == 3


@pytest.mark.parametrize("what", ["missing", "empty", "file", "other json"])
def test_verify_something_else(what: str, tmp_path: Path) -> None:
    path = tmp_path / "record"
    if what == "file":
        path.write_bytes(b"{}")
    elif what != "missing":
        path.mkdir()
    if what == "other json":
        (path / "manifest.json").write_bytes(b'{"format":"somebody/else","version":1}')
    assert run("verify", path, "--jobs", "1") == 4


# -- secrets --------------------------------------------------------------------------------------


def test_no_option_takes_a_secret() -> None:
    """Options name files; `ps` shows every argument to everyone."""
    groups = verbs_of(cli.command)
    assert len(groups) > 20
    for group in groups.values():
        for verb in [group, *verbs_of(group).values()]:
            names = {name for option in verb.params for name in option.opts}
            assert not names & {"--passphrase", "--password", "--code", "--seed", "--secret"}


def test_passphrase_sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "passphrase"
    file.write_text("from a file\r\nsecond line\n", encoding="utf-8")
    monkeypatch.setenv("EVOTE_PASSPHRASE", "from the environment")
    assert _common.passphrase(file) == "from a file"
    assert _common.passphrase(None) == "from the environment"
    monkeypatch.setenv("EVOTE_PASSPHRASE", "")
    with pytest.raises(click.UsageError, match="empty"):
        _common.passphrase(None)
    monkeypatch.delenv("EVOTE_PASSPHRASE")
    with pytest.raises(click.UsageError, match="no passphrase"):
        _common.passphrase(None)  # the tests' stdin is not a terminal
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(click.UsageError, match="UTF-8"):
        _common.passphrase(file)


@pytest.mark.parametrize(
    ("verb", "role"), [("registrar", "registrar"), ("authority", "authority"), ("mix", "mixer")]
)
def test_every_role_has_its_verb(
    verb: str, role: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EVOTE_PASSPHRASE", "long enough, and never seen")
    assert run(verb, "init", tmp_path / "made", "--id", "one") == 0
    card = load_card(tmp_path / "made")
    assert (card.role, card.id) == (role, "one")


def test_operator_init(tmp_path: Path) -> None:
    arguments = ("board", "init", str(tmp_path / "board"), "--id", "board")
    assert evote_process(*arguments).returncode == 2
    assert evote_process(*arguments, EVOTE_PASSPHRASE="short").returncode == 2
    assert not (tmp_path / "board" / "secret.json").exists()
    made = evote_process(*arguments, EVOTE_PASSPHRASE="long enough, and never seen")
    assert made.returncode == 0
    assert made.stdout.strip() == str(tmp_path / "board" / "card.json")
    assert (tmp_path / "board" / "secret.json").stat().st_mode & 0o777 == 0o600
    assert evote_process(*arguments, EVOTE_PASSPHRASE="long enough too").returncode == 2


def test_wrong_passphrase(finished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVOTE_PASSPHRASE", "not the passphrase")
    operators = finished / "operators"
    assert run("trustee", "commit", finished / "record", operators / "trustee-1") == 4


def test_mistyped_code(
    finished: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code = "ABCDE-FGHJK-MNPQR-STVWX-YZ234-5"
    monkeypatch.setenv("EVOTE_CODE", code)
    assert run("ballot", "encrypt", finished / "record", "never", "--choose", "council:x") == 2
    arguments = ("--choose", "council:candidate-01")
    assert run("ballot", "encrypt", finished / "record", "never", *arguments) == 2
    shown = capsys.readouterr()
    assert "voting code" in shown.err
    assert code not in shown.err


# -- what people write ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "choices",
    [
        ("nowhere:candidate-01",),
        ("council:nobody",),
        ("council",),
        ("council:candidate-01=many",),
        ("council:candidate-01=²",),
        ("council:candidate-01", "council:candidate-01"),
    ],
)
def test_refused_choice(finished: Path, choices: tuple[str, ...]) -> None:
    with pytest.raises(click.UsageError):
        read_choice(Record(finished / "record").manifest, choices, ())


def test_choice(finished: Path) -> None:
    choice = read_choice(
        Record(finished / "record").manifest, ("council:candidate-02", "council:candidate-27=2"), ()
    )
    assert choice.contests == {"council": (0, 1, *[0] * 24, 2)}
    assert choice.blank == frozenset()


@pytest.mark.parametrize("text", ["", "[]", '{"a":1,"a":2}', "[" * 100_000, "\xff", '{"a":'])
def test_refused_draft(tmp_path: Path, text: str) -> None:
    path = tmp_path / "draft.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(click.UsageError):
        read_draft(path)


# -- text for a terminal --------------------------------------------------------------------------


def test_hostile_text() -> None:
    hostile = "Elect\x1b[2J me\u202e\r\n\x07"
    shown = _common.plain(hostile)
    assert shown == "Elect\\u001b[2J me\\u202e\\u000d\n\\u0007"
    assert _common.plain("Жуковский 選挙 ü") == "Жуковский 選挙 ü"


def test_table_aligns_wide_text() -> None:
    lines = list(_common.table([("選挙", 5), ("ab", 123)], numbers=1))
    assert lines == ["選挙    5", "ab    123"]


def test_progress_waits_and_stays_off_stdout(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_common, "PATIENCE", 0.01)
    with _common.progress() as show:
        show("fast", 1, 1)
        show("slow", 0, 3)
        time.sleep(0.02)
        show("slow", 1, 3)
        show("slow", 3, 3)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "slow" in captured.err
    assert "fast" not in captured.err
    with _common.progress(quiet=True) as show:
        show("slow", 0, 3)
        time.sleep(0.02)
        show("slow", 1, 3)
    assert capsys.readouterr().err == ""


# -- streams, interruptions, processes that die ---------------------------------------------------


@pytest.mark.parametrize("closed", ["", ">&-", "2>&-", ">&- 2>&-"])
def test_closed_streams(finished: Path, closed: str) -> None:
    """The exit code stays the verdict; nothing that belongs on stderr comes out on stdout."""
    script = f'"$0" -m evote verify "$1" --jobs 2 --format json {closed}'
    done = subprocess.run(
        ["sh", "-c", script, sys.executable, str(finished / "record")],
        capture_output=True,
        env=environment(),
        timeout=100,
    )
    assert done.returncode == 0
    assert b"Traceback" not in done.stderr
    if ">&-" not in closed.replace("2>&-", ""):
        assert json.loads(done.stdout)["format"] == "evote/report"


def test_progress_does_without_stderr(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    monkeypatch.setattr(_common, "PATIENCE", 0.0)
    cli._make_streams_safe()
    with sys.stderr, _common.progress() as show:
        show("slow", 0, 3)
        show("slow", 1, 3)
    assert capsys.readouterr().out == ""


def test_a_terminal_without_the_letters(monkeypatch: pytest.MonkeyPatch) -> None:
    latin = io.TextIOWrapper(io.BytesIO(), encoding="latin-1")
    monkeypatch.setattr(sys, "stdout", latin)
    cli._make_streams_safe()
    print("é 選挙", file=sys.stdout, end="", flush=True)
    assert latin.buffer.getvalue() == b"\xe9 \\u9078\\u6319"


def test_no_verb(capsys: pytest.CaptureFixture[str]) -> None:
    assert run() == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("Usage:") == 1
    assert "Commands:" in captured.err
