"""Groups on a backend; where it is missing, or serves no such group, the test is skipped."""

from __future__ import annotations

from typing import TypeVar

import pytest

from evote._accelerator import native_module
from evote.errors import ParameterError
from evote.groups import Group

BACKENDS = ("native", "gmp", "python")

G = TypeVar("G", bound=Group)


def need(backend: str) -> None:
    module, reason = native_module()
    if backend == "native" and module is None:
        pytest.skip(f"the backend native is not tested: {reason}")


def on(group: G, backend: str) -> G:
    need(backend)
    try:
        return group.with_backend(backend)
    except ParameterError as error:
        pytest.skip(f"{group.name}: {error}")
