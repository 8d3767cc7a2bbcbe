"""Worker processes: outcomes in order, errors in their places, and nobody left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import evote
from evote._pool import Work, run_jobs
from evote.errors import EvoteError, ParameterError


def build(base: int) -> int:
    return base


def add(base: int, job: int) -> int:
    if job == 3:
        raise ParameterError("three")
    if job == 5:
        raise ValueError("five")
    return base + job


@pytest.mark.parametrize("processes", [1, 2])
def test_outcomes_in_order(processes: int) -> None:
    outcomes = list(run_jobs(Work(build, (10,), add), range(8), processes))
    assert [o for o in outcomes if isinstance(o, int)] == [10, 11, 12, 14, 16, 17]
    errors = {i: o for i, o in enumerate(outcomes) if isinstance(o, EvoteError)}
    assert sorted(errors) == [3, 5]
    assert isinstance(errors[3], ParameterError)
    assert "internal error: ValueError: five" in str(errors[5])


PROGRAM = """
import os, time
from evote._pool import Work, run_jobs
import slow
if __name__ == "__main__":
    try:
        for _ in run_jobs(Work(slow.build, (), slow.work), range(4), 2):
            pass
    except KeyboardInterrupt:
        raise SystemExit(130)
"""
# Its import takes long, as that of evote does on a busy machine, and tells when it begins.
MODULE = """
import os, time
if os.environ.get("MAIN") != str(os.getpid()):
    open(f"worker-{os.getpid()}", "w").close()
    time.sleep(3)
def build(): return None
def work(state, job): time.sleep(60)
"""


def start(tmp_path: Path) -> subprocess.Popen[str]:
    (tmp_path / "slow.py").write_text(MODULE)
    (tmp_path / "program.py").write_text(
        "import os; os.environ.setdefault('MAIN', str(os.getpid()))" + PROGRAM
    )
    process = subprocess.Popen(
        [sys.executable, "program.py"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(evote.__file__).parent.parent)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    wait(lambda: len(workers(tmp_path)) == 2)
    return process


def workers(tmp_path: Path) -> list[int]:
    return [int(path.name.split("-")[1]) for path in tmp_path.glob("worker-*")]


def alive(process: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False


def wait(until: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not until():
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks processes up in /proc")
def test_workers_leave_with_a_parent_that_was_killed(tmp_path: Path) -> None:
    with start(tmp_path) as process:
        process.kill()
        process.wait(timeout=60)
        wait(lambda: not any(map(alive, workers(tmp_path))))


@pytest.mark.skipif(os.name != "posix", reason="sends a signal to a group of processes")
def test_an_interrupt_while_workers_start(tmp_path: Path) -> None:
    with start(tmp_path) as process:
        os.killpg(process.pid, signal.SIGINT)
        time.sleep(1)
        for worker in workers(tmp_path):
            if alive(worker):
                os.kill(worker, signal.SIGKILL)  # they sleep for a minute
        assert process.stderr is not None
        assert "KeyboardInterrupt" not in process.stderr.read()
        assert process.wait(timeout=60) == 130
