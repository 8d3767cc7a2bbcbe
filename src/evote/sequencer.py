"""Many threads append to one board; one thread writes, in batches.

    with Sequencer(board) as sequencer:
        [receipt] = sequencer.append([entry], [body])      from any thread

What arrives while a batch is on its way to the disk makes the next batch, so that thousands of
appends share one round of syncs and one signature. `append` returns when its entries are durable
and under a signed checkpoint: the receipts say which. Entries of one call stand together, in order;
a call whose entries have no place in the log fails alone.

Waiting is bounded: whoever would make the queue too long waits before it. Nothing here checks who
may append what: that is for whoever holds the sequencer.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from types import TracebackType
from typing import NamedTuple, Self

from evote.board import Board, Entry, Receipt
from evote.errors import EvoteError, ParameterError

__all__ = ["Sequencer"]


class _Item(NamedTuple):
    entries: tuple[Entry, ...]
    bodies: tuple[bytes, ...]
    done: Future[list[Receipt]]

    @property
    def weight(self) -> int:
        """What counts towards the limits: entries, and at least one."""
        return max(len(self.entries), 1)


class Sequencer:
    """The one writer of a board. A context manager; the board stays its caller's to close."""

    def __init__(self, board: Board, *, batch: int = 4096, waiting: int = 16384) -> None:
        """Take over the board: until `close` nobody else may use it.

        Args:
            batch: entries under one checkpoint, about.
            waiting: entries in the queue, about; further callers wait.
        """
        if not 1 <= batch <= waiting:
            raise ParameterError("a batch of at least one entry, and no more than may wait")
        self._board, self._batch, self._most = board, batch, waiting
        self._queue: deque[_Item] = deque()
        self._waiting = 0
        self._closed = False
        self._failure: BaseException | None = None
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="sequencer", daemon=True)
        self._thread.start()

    def submit(
        self, entries: Sequence[Entry], bodies: Sequence[bytes] = ()
    ) -> Future[list[Receipt]]:
        """Put entries in the queue; the result is what `append` returns or raises.

        A future that is cancelled before its batch begins is left out.

        Raises:
            ParameterError: the sequencer is closed, or has failed.
        """
        item = _Item(tuple(entries), tuple(bodies), Future())
        with self._changed:
            while not self._closed and self._waiting and self._waiting + item.weight > self._most:
                self._changed.wait()
            if self._closed:
                raise ParameterError("the board takes no entries any more") from self._failure
            self._queue.append(item)
            self._waiting += item.weight
            self._changed.notify_all()
        return item.done

    def append(self, entries: Sequence[Entry], bodies: Sequence[bytes] = ()) -> list[Receipt]:
        """Append entries, all or none, and wait until they are durable.

        Returns:
            A receipt for each, under a checkpoint that covers them.

        Raises:
            BrokenLog, ParameterError: as `Board.append`; nothing is appended.
            OSError: the disk refused. Whether the entries are there, the board says once it is
                opened again; the sequencer takes no more.
        """
        return self.submit(entries, bodies).result()

    def close(self) -> None:
        """Write what waits, and stop. Closing twice is fine."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    # -- the thread ------------------------------------------------------------------------------

    def _run(self) -> None:
        items: list[_Item] = []
        try:
            while items := self._next():
                self._write(items)
        except BaseException as error:  # nobody waits for ever, whatever broke
            with self._changed:
                self._closed, self._failure = True, error
                items += self._queue
                self._queue.clear()
                self._changed.notify_all()
            for item in items:
                if not item.done.done():
                    item.done.set_exception(error)

    def _next(self) -> list[_Item]:
        """What is waiting, up to a batch; nothing once the sequencer is closed and all is done."""
        items: list[_Item] = []
        weight = 0
        with self._changed:
            while not self._queue and not self._closed:
                self._changed.wait()
            while self._queue and (not items or weight + self._queue[0].weight <= self._batch):
                item = self._queue.popleft()
                weight += item.weight
                items.append(item)
            self._waiting -= weight
            self._changed.notify_all()
        return items

    def _write(self, items: list[_Item]) -> None:
        items[:] = [item for item in items if item.done.set_running_or_notify_cancel()]
        outcomes = self._board.append_each([(item.entries, item.bodies) for item in items])
        for item, outcome in zip(items, outcomes, strict=True):
            if isinstance(outcome, EvoteError):
                item.done.set_exception(outcome)
            else:
                item.done.set_result(self._board.receipts(outcome))
