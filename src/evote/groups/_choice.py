"""Which backend serves a group, and why."""

from __future__ import annotations

from typing import NamedTuple

from evote._accelerator import native_module
from evote.errors import ParameterError

__all__ = ["Choice", "choose", "resolve", "restored"]

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
