"""The jobs of an audit in processes of their own.

Processes are spawned, not forked, and get bytes: each builds its own manifest and key. A job that
breaks down, or a process that dies, is an error in the place of its outcome. A private sibling of
`verify`.
"""

from __future__ import annotations

import signal
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from evote._audit_ballots import BundleJob, BundleOutcome, check_bundle
from evote.ballots import BallotContext
from evote.election import Manifest, decode_manifest
from evote.elgamal import PublicKey
from evote.errors import EvoteError

__all__ = ["run_jobs"]


def run_jobs(
    path: Path,
    manifest_bytes: bytes,
    manifest: Manifest,
    context: BallotContext,
    jobs: Iterable[BundleJob],
    processes: int,
) -> Iterator[BundleOutcome | EvoteError]:
    """The outcome of each bundle in order; a job that breaks down is an error in its place."""
    if processes == 1:
        for job in jobs:
            yield _checked(path, manifest, context, job)
        return
    start = (path, manifest_bytes, context.key.element.encode(), context.election_id)
    waiting: deque[Future[BundleOutcome | EvoteError]] = deque()
    with ProcessPoolExecutor(
        processes, mp_context=get_context("spawn"), initializer=_start, initargs=start
    ) as pool:
        try:
            for job in jobs:
                waiting.append(pool.submit(_work, job))
                if len(waiting) > 2 * processes:
                    yield _arrived(waiting.popleft())
            while waiting:
                yield _arrived(waiting.popleft())
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


_worker: tuple[Path, Manifest, BallotContext] | None = None


def _start(path: Path, manifest_bytes: bytes, key: bytes, identifier: bytes) -> None:
    """Build what all jobs share, once a process, from bytes."""
    global _worker
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent alone answers Ctrl-C
    manifest = decode_manifest(manifest_bytes)
    context = BallotContext(
        key=PublicKey(element=manifest.group.decode_elements(key, ())),
        election_id=identifier,
        contests=manifest.contests,
        styles=manifest.styles,
    )
    _worker = (path, manifest, context)


def _work(job: BundleJob) -> BundleOutcome | EvoteError:
    assert _worker is not None
    return _checked(*_worker, job)


def _checked(
    path: Path, manifest: Manifest, context: BallotContext, job: BundleJob
) -> BundleOutcome | EvoteError:
    """The outcome of a job, or what broke it: an exception fails the checks it was doing."""
    try:
        return check_bundle(path, manifest, context, job)
    except Exception as error:
        return EvoteError(f"bundle {job.number}: internal error: {type(error).__name__}: {error}")


def _arrived(future: Future[BundleOutcome | EvoteError]) -> BundleOutcome | EvoteError:
    try:
        return future.result()
    except Exception as error:  # the process died, or its answer did not arrive
        return EvoteError(f"a worker process broke down: {type(error).__name__}: {error}")
