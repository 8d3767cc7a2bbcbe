"""What every verb needs: plain text for a terminal, passphrases, progress, tables, options."""

from __future__ import annotations

import os
import sys
import time
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar

import click

from evote._pool import Workers

F = TypeVar("F", bound=Callable[..., Any])

PASSPHRASE_VARIABLE = "EVOTE_PASSPHRASE"  # noqa: S105  a name, not a secret
CODE_VARIABLE = "EVOTE_CODE"
_CONNECT_SECONDS = 10
PATIENCE = 1.0  # seconds before a bar appears: nothing that takes over two goes without


def plain(text: object) -> str:
    """The text with everything escaped that a terminal would obey instead of show."""
    return "".join(
        char if char.isprintable() or char == "\n" else f"\\u{ord(char):04x}" for char in str(text)
    )


def say(text: object = "") -> None:
    """One result, to stdout."""
    click.echo(plain(text))


def warn(text: object) -> None:
    """Anything that is not a result, to stderr; never fails."""
    try:
        click.echo(plain(text), err=True)
    except OSError:
        return


def width(text: str) -> int:
    """Columns of a terminal that a text takes."""
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1
        for c in text
    )


def table(rows: Sequence[Sequence[object]], *, numbers: int = 0) -> Iterator[str]:
    """Aligned lines; the last `numbers` columns are set to the right."""
    cells = [[plain(cell) for cell in row] for row in rows]
    widths = [max(width(cell) for cell in column) for column in zip(*cells, strict=True)]
    for row in cells:
        parts = []
        for i, (cell, wide) in enumerate(zip(row, widths, strict=True)):
            pad = " " * (wide - width(cell))
            parts.append(pad + cell if i >= len(row) - numbers else cell + pad)
        yield "  ".join(parts).rstrip()


@contextmanager
def progress(*, quiet: bool = False) -> Iterator[Callable[[str, int, int], None]]:
    """A callback (what, done, total) that draws click's bar, with time left, on stderr."""
    bar: Any = None
    name, begin = "", 0.0

    def finish() -> None:
        nonlocal bar
        if bar is not None:
            bar.render_finish()
        bar = None

    def show(what: str, done: int, total: int) -> None:
        nonlocal bar, name, begin
        if what != name:
            finish()
            name, begin = what, time.monotonic()
        if bar is None and done < total and time.monotonic() - begin > PATIENCE:
            bar = click.progressbar(
                length=total, label=plain(what), file=sys.stderr, item_show_func=None
            )
            bar.start = begin  # the time left counts from the first item, not from the bar
            bar.last_eta = begin
            bar.render_progress()
        if bar is not None:
            bar.update(done - bar.pos)
            if done >= total:
                finish()

    try:
        yield (lambda what, done, total: None) if quiet else show
    finally:
        finish()


def record_argument(function: F) -> F:
    """The record an operation is about: always the first argument."""
    return click.argument("record", type=click.Path(file_okay=False, path_type=Path))(function)


def directory_argument(function: F) -> F:
    """The private directory of whoever acts."""
    return click.argument("directory", type=click.Path(file_okay=False, path_type=Path))(function)


def directory_option(name: str, words: str, *, several: bool = False) -> Callable[[F], F]:
    """An operator's private directory where it is not the main argument."""
    return click.option(
        name,
        required=True,
        multiple=several,
        metavar="DIR",
        type=click.Path(exists=True, file_okay=False, path_type=Path),
        help=words,
    )


def passphrase_option(function: F) -> F:
    """--passphrase-file; the passphrase itself is never an argument, where `ps` would show it."""
    return click.option(
        "--passphrase-file",
        metavar="FILE",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        help=f"First line is the passphrase. Else: {PASSPHRASE_VARIABLE}, else a prompt.",
    )(function)


def jobs_option(function: F) -> F:
    """--jobs: worker processes."""
    return click.option(
        "--jobs",
        type=click.IntRange(1, 1024),
        default=lambda: (
            len(os.sched_getaffinity(0))
            if hasattr(os, "sched_getaffinity")
            else os.cpu_count() or 1
        ),
        show_default="every core",
        metavar="N",
        help="Worker processes.",
    )(function)


def cluster_option(function: F) -> F:
    """--cluster: workers elsewhere."""
    return click.option(
        "--cluster",
        metavar="ADDRESS",
        help="A Dask scheduler, tcp://..., whose workers do the work instead; they are believed.",
    )(function)


def pin_options(function: F) -> F:
    """--expect-manifest and --witness-policy: they tie a record to what was published elsewhere."""
    digest = click.option(
        "--expect-manifest",
        metavar="DIGEST",
        help="The manifest's digest as it was published elsewhere, 64 hex digits; of Verificatum,"
        " the SHA-256 of protInfo.xml; of Helios, the election's fingerprint.",
    )
    policy = click.option(
        "--witness-policy",
        metavar="FILE",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        help="Whose cosignatures the log's head must bear.",
    )
    return digest(policy(function))


@contextmanager
def workers(jobs: int, cluster: str | None) -> Iterator[Workers]:
    """Processes of this machine, or the workers of a cluster as long as the block lasts."""
    if cluster is None:
        yield jobs
        return
    try:
        distributed = import_module("distributed")
    except ImportError:
        raise click.UsageError(
            "--cluster needs the extra dask: pip install 'evote[dask]'"
        ) from None
    try:
        client = distributed.Client(cluster, timeout=_CONNECT_SECONDS, set_as_default=False)
    except (OSError, ValueError) as error:
        raise click.UsageError(f"no cluster at {plain(cluster)}: {plain(error)}") from None
    with client:
        yield client.get_executor()


def quiet_option(function: F) -> F:
    """--quiet: no progress."""
    return click.option("--quiet", is_flag=True, help="No progress on stderr.")(function)


def secret(what: str, variable: str, file: Path | None, *, confirm: bool = False) -> str:
    """A passphrase or voting code: from a file, the environment, or a hidden prompt."""
    if file is not None:
        try:
            text = file.read_text(encoding="utf-8").split("\n", 1)[0].rstrip("\r")
        except UnicodeDecodeError:
            raise click.UsageError(f"{what} file is not UTF-8 text") from None
    elif variable in os.environ:
        text = os.environ[variable]
    elif sys.stdin.isatty():
        text = str(
            click.prompt(what.capitalize(), hide_input=True, confirmation_prompt=confirm, err=True)
        )
    else:
        raise click.UsageError(f"no {what}: give a file, set {variable}, or use a terminal")
    if not text:
        raise click.UsageError(f"the {what} is empty")
    return text


def passphrase(file: Path | None, *, confirm: bool = False) -> str:
    """The passphrase of an operator's directory."""
    return secret("passphrase", PASSPHRASE_VARIABLE, file, confirm=confirm)
