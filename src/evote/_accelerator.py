"""The distribution `evote-native`, where there is one.

It is found when it is installed, of the version that this module knows, and not switched off by the
environment variable EVOTE_NATIVE=off. EVOTE_NATIVE=portable keeps it from instructions that not
every processor has. Everything that it does is done without it too, slower.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from multiprocessing import parent_process
from typing import Any

__all__ = ["native_module", "one_thread"]

_VERSION = "0.3."  # of evote-native, whose calls these are


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


@contextmanager
def one_thread() -> Iterator[None]:
    """Calls of `evote-native` take one thread: other processes have the other processors."""
    module, _ = native_module()
    if module is None or parent_process() is not None:
        yield
        return
    module.set_threads(1)
    try:
        yield
    finally:
        module.set_threads(0)
