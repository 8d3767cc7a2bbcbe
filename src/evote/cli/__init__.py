"""The `evote` command: parse, call, print; and the exit codes of docs/record-format.md.

| exit | meaning |
|---|---|
| 0 | done; for `verify`: every required check passed |
| 1 | a check failed, or a step was refused because something does not hold |
| 2 | usage error; also a step that cannot be done now |
| 3 | `verify`: nothing failed, but a required check could not be done |
| 4 | unreadable (a wrong passphrase too), or not a known record |
| 70 | internal error or a failing machine, never a verdict |
| 130 | interrupted |
"""

from __future__ import annotations

import io
import os
import sys
import traceback
from collections.abc import Sequence
from importlib import import_module
from typing import NoReturn

import click
from click.exceptions import NoArgsIsHelpError

import evote
from evote.cli._common import warn
from evote.errors import DecodingError, EvoteError, ParameterError, UnsupportedError

__all__ = ["command", "main"]

FAILED, USAGE, UNREADABLE, INTERNAL, INTERRUPTED = 1, 2, 4, 70, 130


# The verbs, and the module of each: a step loads what it needs, and not all of evote.
_MODULES = {
    "authority": "operators",
    "ballot": "ballot",
    "board": "board",
    "demo": "demo",
    "dispute": "disputes",
    "doctor": "audit",
    "election": "election",
    "export": "export",
    "inspect": "audit",
    "mix": "mixing",
    "motion": "motions",
    "reconcile": "reconcile",
    "registrar": "registrar",
    "result": "results",
    "tally": "results",
    "tracker": "fates",
    "trustee": "trustee",
    "turnout": "turnout",
    "verify": "audit",
    "voter": "registrar",
    "witness": "witness",
}


class _Verbs(click.Group):
    """A group whose `commands` are names alone: a verb is loaded once it is called for."""

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _MODULES:
            return None
        module = import_module(f"evote.cli.{_MODULES[cmd_name]}")
        verb: click.Command = getattr(module, cmd_name)
        return verb


@click.group(
    name="evote",
    cls=_Verbs,
    commands={name: click.Command(name) for name in _MODULES},
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Passphrases come from --passphrase-file, from EVOTE_PASSPHRASE, or from a prompt.",
)
@click.version_option(evote.__version__, prog_name="evote")
def command() -> None:
    """Run and audit elections that nobody has to trust."""


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and leave with its exit code; nothing else ever leaves."""
    _make_streams_safe()
    code = _run(arguments)
    try:
        sys.stdout.flush()
    except OSError:  # the reader has gone, or the disk is full: what was printed is not complete
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = code or INTERNAL
    sys.exit(code)


def _make_streams_safe() -> None:
    """Closed streams swallow what is printed; what the encoding lacks is escaped."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            stream = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115  until the end
            setattr(sys, name, stream)
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _run(arguments: Sequence[str] | None) -> int:
    colour = False if os.environ.get("NO_COLOR") else None
    try:
        code = command.main(
            args=None if arguments is None else list(arguments),
            prog_name="evote",
            standalone_mode=False,
            color=colour,
        )
        return code if isinstance(code, int) else 0
    except NoArgsIsHelpError as error:
        warn(error.format_message())
        return USAGE
    except click.ClickException as error:
        if isinstance(error, click.UsageError) and error.ctx is not None:
            warn(error.ctx.get_usage())
        warn(f"evote: {error.format_message()}")
        return USAGE
    except (click.Abort, KeyboardInterrupt):
        warn("evote: interrupted")
        return INTERRUPTED
    except EvoteError as error:
        _debug()
        warn(f"evote: {error}")
        return _code(error)
    except (BrokenPipeError, SystemExit):  # the reader has gone; click turns that into an exit
        return INTERNAL
    except OSError as error:
        _debug()
        warn(f"evote: {error}")
        return INTERNAL
    except Exception as error:
        _debug()
        warn(
            f"evote: internal error: {type(error).__name__}: {error}\n"
            "This is a bug in evote and no verdict on anything. EVOTE_DEBUG=1 shows where."
        )
        return INTERNAL


def _code(error: EvoteError) -> int:
    if isinstance(error, DecodingError | UnsupportedError):
        return UNREADABLE
    return USAGE if isinstance(error, ParameterError) else FAILED


def _debug() -> None:
    if os.environ.get("EVOTE_DEBUG"):
        traceback.print_exc()
