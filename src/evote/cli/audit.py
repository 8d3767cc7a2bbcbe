"""`evote verify` and `evote doctor`: what an auditor runs."""

from __future__ import annotations

import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import click
import gmpy2

import evote
from evote._files import write_file
from evote.cli._common import (
    cluster_option,
    jobs_option,
    pin_options,
    plain,
    progress,
    quiet_option,
    say,
    table,
    workers,
)
from evote.errors import EvoteError, ParameterError
from evote.groups import GROUP_NAMES, named_group
from evote.interop.recognition import Options, recognise
from evote.interop.recognition import audit as audit_foreign
from evote.interop.recognition import inspect as inspect_path
from evote.verify import PHASES, Report, audit

__all__ = ["doctor", "inspect", "verify"]


@click.command()
@click.argument("record", type=click.Path(path_type=Path))
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text")
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the report there instead of to stdout.",
)
@pin_options
@click.option(
    "--receipts",
    metavar="DIR",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Voters' receipts, every one of which must be in the log.",
)
@click.option(
    "--evidence",
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Two heads of the log, kept by a witness or a monitor: has its key signed two views?",
)
@click.option(
    "--phase",
    type=click.Choice(PHASES),
    default="finished",
    show_default=True,
    help="How far the election must have come.",
)
@click.option("--session", metavar="NAME", help="Of a mix-net's sessions, this one alone.")
@click.option(
    "--protinfo",
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Verificatum's protInfo.xml, for one session's directory.",
)
@click.option(
    "--extends",
    metavar="OLD",
    type=click.Path(exists=True, path_type=Path),
    help="An earlier copy of a Belenios archive, which this one must continue.",
)
@jobs_option
@cluster_option
@quiet_option
@click.pass_context
def verify(
    context: click.Context,
    record: Path,
    form: str,
    output: Path | None,
    expect_manifest: str | None,
    witness_policy: Path | None,
    receipts: Path | None,
    evidence: Path | None,
    phase: str,
    session: str | None,
    protinfo: Path | None,
    extends: Path | None,
    jobs: int,
    cluster: str | None,
    quiet: bool,
) -> None:
    """Audit RECORD: run every check on it and print the report.

    RECORD is an election's; a directory of Verificatum, protInfo.xml and nizkp/; a record of
    ElectionGuard; an election of Helios; each of them as a directory or as an archive of one (zip,
    tar, tar.gz). Or an archive of Belenios, <uuid>.bel, a bundle of Helios, a file of Swiss Post.

    Exit code 0 means that every required check passed, 1 that one failed, 3 that nothing failed
    but a required check could not be done, 4 that this is not a readable record.
    """
    foreign = bool(session or protinfo) or recognise(record) is not None
    try:
        report: Report
        with progress(quiet=quiet) as show, workers(jobs, cluster) as where:
            if foreign or extends:
                if witness_policy or receipts or evidence or phase != "finished":
                    raise ParameterError("witnesses, receipts, phases: of evote's own records only")
                options = Options(
                    session=session,
                    protinfo=protinfo,
                    extends=extends,
                    expect=expect_manifest,
                    jobs=where,
                    progress=show,
                )
                report = audit_foreign(record, options)
            else:
                report = audit(
                    record,
                    phase=phase,
                    expect_manifest=expect_manifest,
                    witness_policy=witness_policy,
                    receipts=receipts,
                    evidence=evidence,
                    jobs=where,
                    progress=show,
                )
    except EvoteError as error:  # of the arguments: whatever is wrong with a record is a finding
        raise click.UsageError(str(error)) from None
    text = report.to_json().decode("utf-8") if form == "json" else plain(report.to_text())
    if output is None:
        click.echo(text, nl=False)
    else:
        write_file(output, text.encode("utf-8"), overwrite=True)
        if not quiet:
            say(report.verdict)
    context.exit(report.exit_code)


@click.command()
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text")
def inspect(path: Path, form: str) -> None:
    """Say what PATH is, a directory, an archive or a file, and how large; nothing is verified.

    Exit code 4 means that it is nothing that is known here.
    """
    found = inspect_path(path)
    if form == "json":
        click.echo(found.to_json(), nl=False)
        return
    for line in table(found.rows()):
        say(line)


@click.command()
def doctor() -> None:
    """Say what evote runs on: versions, backends, processor."""
    rows: list[tuple[str, object]] = [
        ("evote", evote.__version__),
        ("python", f"{platform.python_implementation()} {platform.python_version()}"),
        ("system", f"{platform.system()} {platform.release()} {platform.machine()}"),
        ("cores", f"{_cores()} usable of {os.cpu_count()}"),
        ("processor", _processor()),
        ("features", _features()),
        *(("backend", line) for line in _backends()),
        ("gmp", gmpy2.mp_version().removeprefix("GMP ")),
    ]
    packages = ("click", "cryptography", "gmpy2", "jinja2", "numpy", "pynacl")
    rows += [(name, _version(name)) for name in packages]
    rows += [("encoding", f"{sys.stdout.encoding} to the terminal")]
    for line in table(rows):
        say(line)


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _backends() -> list[str]:
    """Which backend serves which groups, and why."""
    groups: dict[tuple[str, str], list[str]] = {}
    for name in GROUP_NAMES:
        groups.setdefault(named_group(name).default_backend, []).append(name)
    return [
        f"{backend} ({reason}): {', '.join(names)}"
        for (backend, reason), names in sorted(groups.items(), reverse=True)
    ]


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _processor_line(key: str) -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(key)), "")


def _processor() -> str:
    return _processor_line("model name") or platform.processor() or platform.machine()


def _features() -> str:
    """Those a kernel of this project could use."""
    wanted = ("adx", "bmi2", "avx2", "avx512f", "avx512ifma", "avx512_ifma", "sha_ni", "asimd")
    flags = (_processor_line("flags") or _processor_line("Features")).split()
    return ", ".join(name for name in wanted if name in flags) or "none known"
