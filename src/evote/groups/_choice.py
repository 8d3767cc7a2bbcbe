"""Which backend serves a group, and why.

`evote-native` is a distribution of its own: found when it is installed, of the version that this
module knows, and not switched off by the environment variable EVOTE_NATIVE=off. EVOTE_NATIVE=
portable keeps it from instructions that not every processor has.
"""

from __future__ import annotations

import os
from functools import cache
from importlib import import_module
from multiprocessing import parent_process
from typing import Any, NamedTuple

from evote.errors import ParameterError

__all__ = ["Choice", "choose", "native_module", "resolve", "restored"]

_VERSION = "0.1."  # of evote-native, whose classes these are

# Kinds of groups that the module serves, and whether it is the fastest where the processor lacks
# the instructions for eight numbers at once: as measured, see docs/performance.md.
_KINDS = {
    "ristretto255": True,
    "ed25519": True,
    "P-256": True,
    "modp-2048": False,
    "modp-3072": False,
    "modp-4096": False,
}


class Choice(NamedTuple):
    """A backend's name, and the reason in a few words."""

    backend: str
    reason: str


@cache
def native_module() -> tuple[Any, str]:
    """The module, or None; and its mode, or why there is none."""
    if os.environ.get("EVOTE_NATIVE") == "off":
        return None, "EVOTE_NATIVE is off"
    try:
        module: Any = import_module("evote_native")
    except ImportError as error:
        missing = isinstance(error, ModuleNotFoundError) and error.name == "evote_native"
        return None, "evote-native is not installed" if missing else f"evote-native: {error}"
    if not module.__version__.startswith(_VERSION):
        return None, f"evote-native {module.__version__} is not {_VERSION}x, which evote knows"
    if parent_process() is not None:  # the processes of a pool are as many as there are processors
        module.set_threads(1)
    elif hasattr(os, "register_at_fork"):  # threads do not live on in a forked process
        os.register_at_fork(after_in_child=lambda: module.set_threads(1))
    return module, module.MODE


def choose(kind: str) -> Choice:
    """The default backend of a kind of group: a name from `_KINDS`, or another one."""
    module, mode = native_module()
    if kind not in _KINDS:
        return Choice("gmp", "evote-native does not serve it")
    if module is None:
        return Choice("gmp", mode)
    if mode == "portable" and not _KINDS[kind]:
        return Choice("gmp", "faster than evote-native without AVX-512 IFMA")
    return Choice("native", f"evote-native {module.__version__}, {mode}")


def resolve(backend: str | None, kind: str) -> str:
    """The name of a backend that serves this kind of group; None takes the default.

    Raises:
        ParameterError: there is no such backend, or it does not serve the group.
    """
    if backend is None:
        return choose(kind).backend
    if backend in ("gmp", "python"):
        return backend
    if backend != "native":
        raise ParameterError(f"no backend {backend!r}: there are native, gmp and python")
    module, reason = native_module()
    if kind not in _KINDS:
        raise ParameterError("the backend native does not serve this group")
    if module is None:
        raise ParameterError(f"no backend native: {reason}")
    return backend


def restored(backend: str, kind: str) -> str:
    """The backend of a group that another process sent: its own default where that is missing."""
    return choose(kind).backend if backend == "native" and native_module()[0] is None else backend
