"""Many jobs of one kind: here, in warm processes of this machine, or on somebody's executor.

Processes are spawned, never forked, and stay for the next jobs until the program ends. Each worker
builds the state of a kind of job once, from arguments that pickle. A job that breaks down, or a
process that dies, is an error in the place of its outcome, never an outcome less. Outcomes come in
the order of the jobs; only a few jobs per process wait at a time.
"""

from __future__ import annotations

import os
import pickle
import signal
import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from multiprocessing import get_context, parent_process
from typing import Any, Generic, Protocol, Self, TypeAlias, TypeVar

from evote._accelerator import one_thread
from evote.errors import EvoteError, ParameterError

__all__ = [
    "Work",
    "Workers",
    "end_processes",
    "processes",
    "run_jobs",
    "spread",
    "start_jobs",
    "start_processes",
]

S = TypeVar("S")
J = TypeVar("J")
R = TypeVar("R")

Workers: TypeAlias = int | Executor
"""Where jobs are done: a number of processes of this machine, 1 for this one, or an executor."""

_KEPT_STATES = 2  # of a worker: whoever audits and encrypts in turn builds nothing twice
_WINDOW = 2  # jobs under way for each worker
_AHEAD = 8  # times so many outcomes wait for a slow job before this process waits too


class Work(Generic[S, J, R]):
    """What to do with each job: `work(state, job)`, where `build(*arguments)` makes the state.

    Both are functions of a module, so that another process finds them by name.
    """

    __slots__ = ("arguments", "build", "work")

    def __init__(
        self, build: Callable[..., S], arguments: tuple[Any, ...], work: Callable[[S, J], R]
    ) -> None:
        self.build = build
        self.arguments = arguments
        self.work = work


def run_jobs(
    what: Work[S, J, R], jobs: Iterable[J], workers: Workers, *, here_too: bool = False
) -> Iterator[R | EvoteError]:
    """The outcome of each job, or the error that broke it; never fewer outcomes than jobs.

    Args:
        here_too: this process does those jobs for which no worker is free, instead of waiting.
    """
    if isinstance(workers, int) and workers < 1:
        raise ParameterError("at least 1 process expected")
    if workers == 1:
        state = what.build(*what.arguments)
        for job in jobs:
            yield _done(what.work, state, job)
        return
    executor = processes(workers) if isinstance(workers, int) else workers
    window = _WINDOW * getattr(executor, "_max_workers", 8)
    most = _AHEAD * window if here_too else window
    # The state's recipe travels with each job: no executor tells which worker has seen it.
    recipe = pickle.dumps((what.work, what.build, what.arguments))
    waiting: deque[Future[R | EvoteError]] = deque()
    try:
        for job in jobs:
            if here_too and sum(not future.done() for future in waiting) >= window:
                waiting.append(_here(recipe, job))
            else:
                waiting.append(_submit(executor, recipe, job))
            while len(waiting) > most or (here_too and waiting and waiting[0].done()):
                yield _arrived(waiting.popleft())
        while waiting:
            yield _arrived(waiting.popleft())
    except KeyboardInterrupt:
        _stop(executor)
        raise
    finally:
        for future in waiting:
            future.cancel()


def _here(recipe: bytes, job: J) -> Future[Any]:
    """A job done in this process; an error where a worker would have broken down."""
    done: Future[Any] = Future()
    try:
        with one_thread():
            done.set_result(_work(recipe, job))
    except Exception as error:
        done.set_exception(error)
    return done


def start_jobs(
    what: Work[S, J, R], jobs: Sequence[J], workers: Workers
) -> Iterator[R | EvoteError]:
    """As `run_jobs`, but all jobs are under way when it returns: for some that others wait for."""
    if workers == 1:
        return run_jobs(what, jobs, workers)
    executor = processes(workers) if isinstance(workers, int) else workers
    recipe = pickle.dumps((what.work, what.build, what.arguments))
    started = [_submit(executor, recipe, job) for job in jobs]
    return map(_arrived, started)


def _submit(executor: Executor, recipe: bytes, job: J) -> Future[Any]:
    try:
        with _interrupts_blocked():
            return executor.submit(_work, recipe, job)
    except Exception as error:  # a pool that has lost a process takes no more jobs
        failed: Future[Any] = Future()
        failed.set_exception(error)
        return failed


@contextmanager
def _interrupts_blocked() -> Iterator[None]:
    """Processes that start here inherit the block: Ctrl-C is answered by the parent alone."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _done(work: Callable[[S, J], R], state: S, job: J) -> R | EvoteError:
    try:
        return work(state, job)
    except EvoteError as error:
        return error
    except Exception as error:
        return EvoteError(f"internal error: {type(error).__name__}: {error}")


def _arrived(future: Future[R | EvoteError]) -> R | EvoteError:
    try:
        return future.result()
    except Exception as error:  # the process died, or the outcome did not come through
        return EvoteError(f"a worker process broke down: {type(error).__name__}: {error}")


class _Spreads(Protocol):
    backend: str

    def with_executor(self, executor: Executor) -> Self: ...


G = TypeVar("G", bound=_Spreads)


def spread(group: G, workers: Workers) -> G:
    """The same group, whose bulk calls are cut into chunks for these workers.

    Processes of this machine would have nothing to do where threads already keep it busy.
    """
    if isinstance(workers, int) and (workers == 1 or group.backend == "native"):
        return group
    return group.with_executor(processes(workers) if isinstance(workers, int) else workers)


# -- warm processes --------------------------------------------------------------------------------

_pools: dict[int, ProcessPoolExecutor] = {}
_lock = threading.Lock()


def processes(count: int, work: Callable[..., Any] | None = None) -> ProcessPoolExecutor:
    """A pool of that many processes; the one of the last call, if it still works.

    Those of a new one import the module of `work` as they start.
    """
    with _lock:
        pool = _pools.get(count)
        if pool is not None:
            try:
                with _interrupts_blocked():
                    pool.submit(int)
            except (BrokenProcessPool, RuntimeError):  # a worker died, or it was shut down
                pool.shutdown(wait=False, cancel_futures=True)
                pool = None
        if pool is None:
            pool = ProcessPoolExecutor(
                count,
                mp_context=get_context("spawn"),
                initializer=_start_worker,
                initargs=(work,),  # read by its name, and so imported
            )
            _pools[count] = pool
        return pool


def start_processes(workers: int, count: int, work: Callable[..., Any]) -> None:
    """Start the processes that `count` jobs will need: they start while their caller still reads.

    Each imports the module of `work`. What goes wrong is an error of the jobs, and none here.
    """
    with suppress(RuntimeError), _interrupts_blocked():  # a pool that has lost a process
        pool = processes(workers, work)
        for _ in range(min(count, workers)):
            pool.submit(int)


def _start_worker(work: object) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # where they could not be blocked
    threading.Thread(target=_leave_with_parent, daemon=True).start()


def _leave_with_parent() -> None:
    """A parent that was killed has told nobody to stop."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def end_processes() -> None:
    """End the warm processes and wait for them; whoever is about to end without `exit` does so."""
    with _lock:
        for pool in _pools.values():
            pool.shutdown(cancel_futures=True)
        _pools.clear()


def _stop(executor: Executor) -> None:
    """End the processes of a pool at once: nobody waits for what was interrupted."""
    if not isinstance(executor, ProcessPoolExecutor):
        return
    started = list((executor._processes or {}).values())  # the shutdown forgets them
    executor.shutdown(wait=False, cancel_futures=True)
    for process in started:
        process.terminate()


# -- in a worker -----------------------------------------------------------------------------------

_states: OrderedDict[bytes, tuple[Callable[[Any, Any], Any], Any]] = OrderedDict()


def _work(recipe: bytes, job: Any) -> Any:
    if recipe not in _states:
        work, build, arguments = pickle.loads(recipe)  # noqa: S301  of the process that sent the job
        _states[recipe] = work, build(*arguments)
        while len(_states) > _KEPT_STATES:
            _states.popitem(last=False)
    _states.move_to_end(recipe)
    return _done(*_states[recipe], job)
