"""Many jobs of one kind in processes of their own, or in this one.

Processes are spawned, never forked: each builds its own state once, from arguments that pickle. A
job that breaks down, or a process that dies, is an error in the place of its outcome, never an
outcome less. Outcomes come in the order of the jobs; only a few jobs per process wait at a time.
"""

from __future__ import annotations

import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context, parent_process
from typing import Any, Generic, TypeVar

from evote.errors import EvoteError

__all__ = ["Work", "run_jobs"]

S = TypeVar("S")
J = TypeVar("J")
R = TypeVar("R")


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


def run_jobs(what: Work[S, J, R], jobs: Iterable[J], processes: int) -> Iterator[R | EvoteError]:
    """The outcome of each job, or the error that broke it."""
    if processes == 1:
        state = what.build(*what.arguments)
        for job in jobs:
            yield _done(what.work, state, job)
        return
    waiting: deque[Future[R | EvoteError]] = deque()
    with ProcessPoolExecutor(
        processes, mp_context=get_context("spawn"), initializer=_start, initargs=(what,)
    ) as pool:
        try:
            for job in jobs:
                with _interrupts_held():
                    waiting.append(pool.submit(_work, job))
                if len(waiting) > 2 * processes:
                    yield _arrived(waiting.popleft())
            while waiting:
                yield _arrived(waiting.popleft())
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


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


_here: tuple[Callable[[Any, Any], Any], Any] | None = None  # of a worker: its work and state


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """Ctrl-C waits until this is over; a process started in it never sees one, imports included."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _leave_with_parent() -> None:
    """A parent that was killed has told nobody to stop."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _start(what: Work[Any, Any, Any]) -> None:
    global _here
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent alone answers Ctrl-C
    threading.Thread(target=_leave_with_parent, daemon=True).start()
    _here = (what.work, what.build(*what.arguments))


def _work(job: Any) -> Any:
    assert _here is not None
    return _done(*_here, job)
