"""Audits of many nearly equal records, quickly: a question asked before gets the answer it got.

Remembered are functions whose answer depends on their arguments alone, each under all of its
arguments: arithmetic of the group, whether equations and signatures hold, what a manifest, a
checkpoint or an entry says. Files, digests and the rules of an election are looked at anew each
time, and so is whatever was refused. A test that remembers also audits some of its records from
nothing, and compares the reports.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest

from evote import (
    _audit_jobs,
    _audit_log,
    _audit_roll,
    _linear,
    _one_of,
    _roll,
    ballots,
    credentials,
    operators,
    record,
)
from evote._batch import Equations
from evote._forms import Strings
from evote.groups._gmp_ristretto import RistrettoKernel


class Memory:
    """Answers so far; `forgotten` is a context in which nothing is remembered."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self._on = True
        for module in (_linear, _one_of, ballots):
            self._remember(patch, module, "verify_batch", _equations)
        for module in (_roll, credentials, operators):
            self._remember(patch, module, "verify_signatures", _lists)
        for module in (_audit_roll, operators):
            self._remember(patch, module, "decode_verification_keys", _lists)
        for module in (record, _audit_jobs, _audit_log):
            self._remember(patch, module, "decode_entry", _lists)
        self._remember(patch, record, "decode_manifest", _lists)
        self._remember(patch, record, "open_checkpoint", _lists)
        for name in ("decode", "encode", "multiexp", "powers", "powers_of_one"):
            self._remember(patch, RistrettoKernel, name, _lists)

    @contextmanager
    def forgotten(self) -> Iterator[None]:
        self._on = False
        yield
        self._on = True

    def _remember(
        self, patch: pytest.MonkeyPatch, owner: object, name: str, key: Callable[..., object]
    ) -> None:
        ask: Callable[..., Any] = getattr(owner, name)
        answers: dict[object, Any] = {}

        def remembering(*arguments: Any, **more: Any) -> Any:
            if not self._on:
                return ask(*arguments, **more)
            question = key(*arguments, **more)
            if question not in answers:
                answers[question] = ask(*arguments, **more)
            return answers[question]

        patch.setattr(owner, name, remembering)


def _lists(*arguments: Any, where: str = "") -> object:
    return where, *(tuple(a) if isinstance(a, list | range | Strings) else a for a in arguments)


def _equations(equations: Sequence[Equations], *, rng: None = None) -> object:
    """All that `verify_batch` looks at; its own randomness does not matter."""
    assert rng is None
    parts: list[object] = []
    for each in equations:
        parts += [each.group.name, each.shape]
        for relation in each.relations:
            parts.append(len(relation))
            for element, scalar in relation:
                parts += [element.shape, element.encode()]
                parts.append(None if scalar is None else (scalar.shape, scalar.encode()))
    return tuple(parts)
