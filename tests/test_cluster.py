"""`evote verify --cluster`: the same report from a real cluster, and clear words without one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from evote import verify
from evote.cli import main
from tests.records import make_small

distributed = pytest.importorskip("distributed", reason="a cluster needs the extra `dask`")


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_small(tmp_path_factory.mktemp("small")).path


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
    ) as cluster:
        yield cluster.scheduler_address


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as left:
        main(list(map(str, arguments)))
    shown = capsys.readouterr()
    assert isinstance(left.value.code, int)
    return left.value.code, shown.out, shown.err


@pytest.mark.filterwarnings("ignore")  # of what the cluster is made of
def test_same_report(
    record: Path, address: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = run(capsys, "verify", record, "--format", "json", "--jobs", 1)
    assert expected[0] == 0
    monkeypatch.setattr(verify, "_ONE_JOB", 0)
    done: list[Any] = []
    run_jobs = vars(verify)["run_jobs"]

    def spy(work: Any, jobs: Any, workers: Any, *, here_too: bool) -> Any:
        assert not here_too
        done.append(workers)
        return run_jobs(work, jobs, workers)

    monkeypatch.setattr(verify, "run_jobs", spy)
    found = run(capsys, "verify", record, "--format", "json", "--cluster", address)
    assert found[:2] == expected[:2]
    assert [type(workers).__name__ for workers in done] == ["ClientExecutor"]


@pytest.mark.filterwarnings("ignore")
def test_cluster_that_is_not_there(
    record: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("evote.cli._common._CONNECT_SECONDS", 1)
    code, _, errors = run(capsys, "verify", record, "--cluster", "tcp://127.0.0.1:9")
    assert code == 2
    assert "no cluster at tcp://127.0.0.1:9" in errors
