"""A real cluster: the same values, also when a worker is killed in the middle of a call."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from evote.groups import Secrecy, _executor, named_group

distributed = pytest.importorskip("distributed", reason="a cluster needs the extra `dask`")


@pytest.fixture
def client() -> Iterator[Any]:
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
        ) as cluster,
        distributed.Client(cluster) as connected,
    ):
        yield connected


@pytest.mark.filterwarnings("ignore")  # of what the cluster is made of
def test_a_worker_killed_in_the_middle(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_executor, "_CHUNK_SECONDS", 0.02)
    group = named_group("rfc3526-2048")
    spread = group.with_executor(client.get_executor(), workers=2)
    exponents = group.random_scalars(600).publish()
    elements = group.generator**exponents
    processes = client.run(os.getpid)
    assert len(processes) == 2
    victim, killed = next(iter(processes.values())), threading.Event()
    under_way = threading.Semaphore(0)
    submit = spread._kernel._executor.submit  # type: ignore[attr-defined]

    def spy(*arguments: Any) -> Any:
        under_way.release()
        return submit(*arguments)

    def kill() -> None:
        for _ in range(6):  # chunks, of some 30
            under_way.acquire()
        os.kill(victim, signal.SIGKILL)
        killed.set()

    spread._kernel._executor.submit = spy  # type: ignore[attr-defined]
    threading.Thread(target=kill, daemon=True).start()
    result = spread.decode_elements(elements.encode()) ** exponents
    assert killed.is_set()
    assert result == elements**exponents
    assert victim not in client.run(os.getpid).values()


@pytest.mark.filterwarnings("ignore")
def test_secrets_stay(client: Any) -> None:
    slow = named_group("ristretto255").with_backend("gmp")  # so that there is something to send
    group = slow.with_executor(client.get_executor(), workers=2)
    sent: list[str] = []
    submit = group._kernel._executor.submit  # type: ignore[attr-defined]

    def spy(work: Any, *arguments: Any) -> Any:
        sent.append(arguments[1])
        return submit(work, *arguments)

    group._kernel._executor.submit = spy  # type: ignore[attr-defined]
    secret = group.random_scalars(3000, secrecy=Secrecy.ONE_TIME)
    base = group.generator**secret
    assert sent == []
    decoded = group.decode_elements(base.encode())
    assert decoded == base
    assert "decode" in sent
