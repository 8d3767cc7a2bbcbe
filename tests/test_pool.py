"""Jobs in processes: every job has an outcome, in order, whatever breaks."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import evote
from evote import _accelerator, _pool
from evote._accelerator import one_thread
from evote._pool import Work, run_jobs, start_jobs, start_processes
from evote.errors import BrokenLog, DecodingError, EvoteError, InvalidProof, ParameterError


def build(offset: int) -> int:
    return offset


def build_fails(offset: int) -> int:
    raise RuntimeError("no state")


class Unpicklable:
    def __reduce__(self) -> Any:
        raise TypeError("not for transport")


def work(offset: int, job: int | str) -> object:
    """A number is added to; a word says what is to go wrong."""
    match job:
        case "raise":
            raise ValueError("chunk 7")
        case "refuse":
            raise DecodingError("no value", where="file: $.x", indices=[3])
        case "proof":
            raise InvalidProof("ballot", [1, 2])
        case "log":
            raise BrokenLog("two heads", entry=4)
        case "exit":
            os._exit(1)
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        case "unpicklable":
            return Unpicklable()
        case "slow":
            time.sleep(0.3)
            return "slow"
        case int():
            return offset + job
    raise AssertionError(job)


def outcomes(jobs: list[int | str], processes: int, start: Any = build) -> list[object]:
    return list(run_jobs(Work(start, (100,), work), jobs, processes))


def outcomes_here_too(jobs: list[int | str], processes: int, start: Any = build) -> list[object]:
    """By this process and one less."""
    others: Any = _pool.processes(processes - 1) if processes > 1 else 1
    return list(run_jobs(Work(start, (100,), work), jobs, others, here_too=True))


def outcomes_of_started(jobs: list[int | str], processes: int) -> list[object]:
    return list(start_jobs(Work(build, (100,), work), jobs, processes))


@pytest.mark.parametrize("processes", [1, 2])
@pytest.mark.parametrize("count", [0, 1, 20])
def test_in_order(processes: int, count: int) -> None:
    expected = [100 + i for i in range(count)]
    assert outcomes(list(range(count)), processes) == expected
    assert outcomes_of_started(list(range(count)), processes) == expected
    assert outcomes_here_too(list(range(count)), processes) == expected


def test_a_slow_job_does_not_change_the_order() -> None:
    assert outcomes(["slow", 1, 2, 3], 2) == ["slow", 101, 102, 103]
    assert outcomes_here_too(["slow", 1, 2, 3, "slow"], 2) == ["slow", 101, 102, 103, "slow"]


@pytest.mark.parametrize("processes", [1, 2])
def test_errors_take_the_place_of_their_job(processes: int) -> None:
    """Attack G6: raise in chunk 7 of 10, and the other nine have their outcomes."""
    jobs: list[int | str] = [0, 1, 2, 3, 4, 5, "raise", 7, 8, 9]
    for by in (outcomes, outcomes_of_started, outcomes_here_too):
        found = by(jobs, processes)
        assert [o for o in found if type(o) is int] == [100, 101, 102, 103, 104, 105, 107, 108, 109]
        assert type(found[6]) is EvoteError
        assert str(found[6]) == "internal error: ValueError: chunk 7"


@pytest.mark.parametrize("processes", [1, 2])
def test_typed_errors_keep_what_they_know(processes: int) -> None:
    refused, proof, log = outcomes(["refuse", "proof", "log"], processes)
    assert isinstance(refused, DecodingError)
    assert (refused.where, refused.indices) == ("file: $.x", (3,))
    assert isinstance(proof, InvalidProof)
    assert proof.indices == (1, 2)
    assert isinstance(log, BrokenLog)
    assert log.entry == 4


@pytest.mark.parametrize("death", ["exit", "kill"])
def test_a_dead_process_loses_no_outcome(death: str) -> None:
    """More jobs than wait at a time: those after the death have outcomes too, errors all."""
    jobs: list[int | str] = [0, 1, 2, death, *range(4, 30)]
    for found in (outcomes(jobs, 2), outcomes_of_started(jobs, 2)):
        assert len(found) == len(jobs)
        assert isinstance(found[3], EvoteError)
        assert "broke down" in str(found[3])
        for job, outcome in zip(jobs, found, strict=True):
            assert isinstance(outcome, EvoteError) or outcome == 100 + int(job)
        assert isinstance(found[-1], EvoteError)


def test_a_state_that_cannot_be_built() -> None:
    for by in (outcomes, outcomes_here_too):
        found = by([1, 2, 3, 4, 5, 6], 2, build_fails)
        assert len(found) == 6
        assert all(isinstance(outcome, EvoteError) for outcome in found)


def test_an_outcome_that_cannot_travel() -> None:
    first, second = outcomes(["unpicklable", 1], 2)
    assert isinstance(first, EvoteError)
    assert second == 101


def test_jobs_are_drawn_as_they_are_needed() -> None:
    drawn: list[int] = []

    def jobs() -> Iterator[int]:
        for i in range(100):
            drawn.append(i)
            yield i

    running = run_jobs(Work(build, (0,), work), jobs(), 2)
    assert next(running) == 0
    assert len(drawn) < 10
    running.close()  # type: ignore[attr-defined]


def test_jobs_are_under_way_before_they_are_asked_for(tmp_path: Path) -> None:
    running = start_jobs(Work(build, (0,), touch), [str(tmp_path / name) for name in "ab"], 2)
    until = time.monotonic() + 60
    while len(list(tmp_path.iterdir())) < 2 and time.monotonic() < until:
        time.sleep(0.01)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]
    assert list(running) == [None, None]


def touch(offset: int, path: str) -> None:
    Path(path).touch()


def test_this_process_works_too_and_only_if_it_may() -> None:
    jobs, mine = ["slow"] * 8, os.getpid()
    for here_too in (False, True):
        running = run_jobs(Work(build, (0,), whose), jobs, _pool.processes(1), here_too=here_too)
        found = list(running)
        assert len(found) == 8
        assert (mine in found) is here_too
        assert len(set(found)) == 1 + here_too


def test_a_slow_job_is_not_left_behind_for_ever(tmp_path: Path) -> None:
    """Outcomes that wait for it take memory, so there is an end to them."""
    drawn: list[int] = []

    def jobs() -> Iterator[str]:
        for i in range(100):
            drawn.append(i)
            yield str(tmp_path / "gone") if i == 0 else ""

    running = run_jobs(Work(build, (0,), wait_for), jobs(), _pool.processes(1), here_too=True)
    threading.Timer(1, (tmp_path / "gone").touch).start()
    assert next(running) == "late"
    assert len(drawn) < 30
    assert list(running) == ["at once"] * 99


def wait_for(offset: int, path: str) -> str:
    if not path:
        return "at once"
    while not Path(path).exists():
        time.sleep(0.01)
    return "late"


def test_calls_here_take_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """And several again once the job is done, whatever became of it."""
    calls: list[int] = []

    class Module:
        @staticmethod
        def set_threads(count: int) -> None:
            calls.append(count)

    monkeypatch.setattr(_accelerator, "native_module", lambda: (Module, "mode"))
    with one_thread():
        assert calls == [1]
    assert calls == [1, 0]
    with pytest.raises(ValueError, match="job"), one_thread():
        raise ValueError("job")
    assert calls == [1, 0, 1, 0]


def whose(offset: int, job: str) -> int:
    time.sleep(0.1)
    return os.getpid()


def test_at_least_one_process() -> None:
    for processes in (0, -1):
        with pytest.raises(ParameterError, match="at least 1"):
            outcomes([1], processes)


AHEAD = """
import os, time
if __name__ == "__main__":
    import quick
    from evote import _pool
    _pool.start_processes(1, 5, quick.work)
    assert len(_pool._pools[1]._processes) == 1
    _pool.start_processes(3, 1, quick.work)
    assert len(_pool._pools[3]._processes) == 1
    _pool.start_processes(2, 5, quick.work)
    while len(os.listdir("started")) < 5:  # four processes, and this one
        time.sleep(0.05)
    print(*_pool.run_jobs(_pool.Work(int, (), quick.work), range(4), 2))
"""
QUICK = """
import os
open(f"started/{os.getpid()}", "w").close()
def work(state, job): return job
"""


def test_processes_start_ahead_of_their_jobs(tmp_path: Path) -> None:
    """No more than there are jobs; they import the module of what they will do."""
    (tmp_path / "started").mkdir()
    (tmp_path / "quick.py").write_text(QUICK)
    (tmp_path / "program.py").write_text(AHEAD)
    done = subprocess.run(
        [sys.executable, "program.py"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(evote.__file__).parent.parent)},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert done.stdout == "0 1 2 3\n"
    assert len(list((tmp_path / "started").iterdir())) == 5


def test_processes_start_again_after_a_death() -> None:
    assert isinstance(outcomes([0, "exit"], 2)[1], EvoteError)
    start_processes(2, 2, work)
    assert outcomes([1, 2], 2) == [101, 102]


PROGRAM = """
import os, signal, time
from evote._pool import Work, run_jobs
import slow
signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job inherits it ignored
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
def work(state, job): time.sleep(600)
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
        assert process.stderr is not None
        assert "KeyboardInterrupt" not in process.stderr.read()
        assert process.wait(timeout=60) == 130
        wait(lambda: not any(map(alive, workers(tmp_path))))  # their jobs take ten minutes
