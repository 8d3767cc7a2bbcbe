"""Groups on every backend, and the known-answer vectors kept outside the repository."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from evote.groups import Group, modp_group, named_group, weierstrass_group
from evote.groups import base as groups_base
from tests.backends import BACKENDS, need, on
from tests.records import make_phases

_VECTORS = Path(__file__).resolve().parents[2] / "shared" / "vectors"


class Vectors:
    """Files under $EVOTE_VECTORS; a test that asks for a missing one is skipped, and says so."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def path(self, name: str) -> Path:
        found = self.root / name
        if not found.exists():
            pytest.skip(f"known answers of {name} not checked: no {found}; set EVOTE_VECTORS")
        return found

    def json(self, name: str) -> Any:
        return json.loads(self.path(name).read_bytes())


@pytest.fixture(scope="session")
def vectors() -> Vectors:
    return Vectors(Path(os.environ.get("EVOTE_VECTORS") or _VECTORS))


@pytest.fixture(scope="session", params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> str:
    need(str(request.param))
    return str(request.param)


@pytest.fixture(
    scope="session",
    params=["ristretto255", "ed25519", "P-256", "belenios-2048", "tiny", "tiny-curve"],
)
def group(request: pytest.FixtureRequest, backend: str) -> Group:
    """Curves, subgroups of Z_p^*, and a tiny one of both, each on every backend."""
    if request.param == "tiny":
        return on(modp_group(23, 11, 4, allow_weak=True), backend)
    if request.param == "tiny-curve":
        return on(weierstrass_group(107, 104, 5, 1, 18, 101, allow_weak=True), backend)
    return on(named_group(request.param), backend)


@pytest.fixture(scope="session")
def phases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Read-only: the record of a small election in every phase. Copy what is to be changed."""
    return make_phases(tmp_path_factory.mktemp("phases"))


@pytest.fixture
def short_lists_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lists of elements lie encoded where long ones do, however short they are."""
    monkeypatch.setattr(groups_base, "_FEW", 0)
