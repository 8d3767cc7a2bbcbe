"""The board's server: ballots in, receipts or signed refusals out, and the record as static files.

    POST /ballots            a submission: 200 and its receipt, or 422 and the signed refusal
    POST /openings           the entry that opens a spoiled ballot: 200 and its receipt
    GET  /receipt/<digest>   the receipt of a ballot, under the newest head that is served
    GET  /board/checkpoint   the newest head that the quorum of witnesses has cosigned
    GET  /board/tile/...     tiles, also partial ones that have been replaced
    GET  /manifest.json ...  every other file that a record may have

One thread owns the ballot box. What arrives while it verifies and syncs one batch is the next: the
proofs of a batch are verified together, and all of it is acknowledged under one signed head. A
repeated submission has the receipt of the first. An answer 503 acknowledges nothing.

No address is logged, and nothing of a ballot.
"""

from __future__ import annotations

import asyncio
import queue
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import replace
from itertools import zip_longest
from typing import TypeVar

from evote._refusals import encode_refusal
from evote._submissions import decode_submission, submission_limit
from evote.board import (
    MAX_ENTRY,
    BallotEntry,
    Opening,
    Receipt,
    TlogProof,
    WitnessPolicy,
    decode_entry,
    encode_entry,
    encode_receipt,
    open_checkpoint,
    read_tile,
)
from evote.errors import DecodingError, EvoteError, VerificationError
from evote.record import CHECKPOINT, Record
from evote.server._web import Answer, Refused, Request
from evote.server._witnessing import Witnessing
from evote.workflow import BallotBox, RefusedBallot, Submission

__all__ = ["BoardServer"]

T = TypeVar("T")

JSON_TYPE = "application/json"
BATCH = 256  # ballots
GATHER = 0.01  # seconds that the first of a batch waits for others
WAITING = 8192  # submissions
_RECEIPT = re.compile(r"/receipt/([0-9a-f]{64})", re.ASCII)
_FILE = re.compile(r"/([a-z0-9][A-Za-z0-9./-]*)", re.ASCII)


class BoardServer:
    """What a board answers over HTTP; `running` starts its threads."""

    def __init__(
        self,
        record: Record,
        box: BallotBox,
        *,
        policy: WitnessPolicy | None = None,
        every: float = 1.0,
        refresh: float = 60.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Serve an open ballot box.

        Args:
            policy: the witnesses that are asked, at their URLs, and the quorum of them.
            every: seconds between two heads that witnesses are asked for.
            refresh: seconds after which they are asked again though nothing has been appended.
        """
        self._record, self._box, self._clock = record, box, clock
        self._max_body, self._max_submission = submission_limit(record.manifest)
        self._queue: queue.Queue[Callable[[], None] | _Waiting | None] = queue.Queue(WAITING)
        self._every, self._refresh = every, refresh
        self._served = box.board.checkpoint
        self._witnessing = None
        if policy is not None:
            prove = box.board.consistency_proof
            self._witnessing = Witnessing(
                record.manifest.log_key,
                policy,
                lambda old, new: self._call(lambda: prove(old, new)).result(30),
            )
            self._adopt_cosigned(policy)
        self._stop = threading.Event()
        self.failed = ""  # why the board takes nothing in any more

    def _adopt_cosigned(self, policy: WitnessPolicy) -> None:
        """Nothing is served before the quorum has seen it, but the head of an earlier run."""
        try:
            policy.check(self._served, log_key=self._record.manifest.log_key)
        except EvoteError:
            self._served = b""

    # -- the thread that owns the board ----------------------------------------------------------

    @contextmanager
    def running(self) -> Iterator[None]:
        """The threads of the server, as long as the block lasts."""
        threads = [threading.Thread(target=self._sequence, daemon=True)]
        if self._witnessing is not None:
            threads.append(threading.Thread(target=self._ask_witnesses, daemon=True))
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._stop.set()
            self._queue.put(None)
            for thread in threads:
                thread.join(30)

    def _sequence(self) -> None:
        while True:
            first = self._queue.get()
            if first is None:
                return
            waiting, calls, end = [], [], time.monotonic() + GATHER
            while first is not None:
                if isinstance(first, _Waiting):
                    waiting.append(first)
                else:
                    calls.append(first)
                if len(waiting) >= BATCH or not waiting:
                    break
                try:
                    first = self._queue.get(timeout=max(end - time.monotonic(), 0.0))
                except queue.Empty:
                    break
            if waiting:
                self._take_in(waiting)
            for call in calls:
                call()
            if first is None:
                return

    def _take_in(self, waiting: Sequence[_Waiting]) -> None:
        """Judge a batch, append what holds, and give everybody an answer."""
        together: dict[bytes, list[_Waiting]] = {}
        for item in waiting:
            together.setdefault(item.entry, []).append(item)
        new = []
        for items in together.values():
            try:
                known = self._box.receipt(items[0].decoded)
            except EvoteError as error:  # a damaged tile: of these ballots, and not of the others
                print(f"no receipt can be made: {error}", file=sys.stderr)
                _give(items, _busy())
                continue
            if known is None:
                new.append(items)
            else:
                _give(items, _answer(known))
        try:
            outcomes = self._box.submit_each([items[0].submission for items in new]) if new else []
        except Exception as error:
            self._fail(error)
            outcomes = []
        for items, outcome in zip_longest(new, outcomes):
            _give(items, _busy() if outcome is None else _answer(outcome))

    def _fail(self, error: Exception) -> None:
        """The box is in doubt: nothing more is taken in until the server is started again."""
        self.failed = self.failed or f"{type(error).__name__}: {error}"
        print(f"the board is closed: {type(error).__name__}", file=sys.stderr)

    def _call(self, action: Callable[[], T]) -> Future[T]:
        """Have the thread that owns the board do something."""
        future: Future[T] = Future()

        def call() -> None:
            try:
                future.set_result(action())
            except BaseException as error:
                future.set_exception(error)

        try:
            self._queue.put_nowait(call)
        except queue.Full:
            future.set_exception(Refused(503, "busy", retry_after="1"))
        return future

    # -- witnesses -------------------------------------------------------------------------------

    def _ask_witnesses(self) -> None:
        asked, at = b"", 0.0
        while not self._stop.wait(self._every):
            try:
                signed = self._call(lambda: self._box.board.checkpoint).result(30)
                text = signed.partition(b"\n\n")[0]
                due = text != asked or self._clock() - at >= self._refresh
                if due and self.cosign_now(signed):
                    asked, at = text, self._clock()
            except Exception as error:
                print(f"asking the witnesses failed: {type(error).__name__}", file=sys.stderr)

    def cosign_now(self, signed: bytes) -> bool:
        """Ask all witnesses once, and publish the head if their quorum has cosigned it."""
        if self._witnessing is None:
            return False
        cosigned, by = self._witnessing.cosign(signed)
        if not self._witnessing.satisfied(by):
            return False
        self._served = cosigned
        self._call(lambda: self._box.board.add_cosignatures(cosigned)).result(30)
        return True

    @property
    def witness_problems(self) -> dict[str, str]:
        """Why a witness has not cosigned the head that was asked for last."""
        return {} if self._witnessing is None else dict(self._witnessing.problems)

    # -- requests --------------------------------------------------------------------------------

    async def handle(self, request: Request) -> Answer:
        """Answer one request."""
        path = request.path.partition("?")[0]
        if path in ("/ballots", "/openings"):
            if request.method != "POST":
                raise Refused(405, "POST", allow="POST", connection="close")
            if self.failed:
                raise Refused(503, "the board takes nothing in", connection="close")
            if path == "/ballots":
                return await self._post_ballot(await request.read(self._max_submission))
            return await self._post_opening(await request.read(MAX_ENTRY))
        if request.method not in ("GET", "HEAD"):
            raise Refused(405, "GET", allow="GET, HEAD", connection="close")
        if found := _RECEIPT.fullmatch(path):
            return await self._get_receipt(bytes.fromhex(found[1]))
        if named := _FILE.fullmatch(path):
            return await self._get_file(named[1])
        raise Refused(404, "nothing of this name")

    async def _post_ballot(self, data: bytes) -> Answer:
        try:
            submission = decode_submission(data, max_body=self._max_body)
        except EvoteError as error:
            raise Refused(400, str(error)) from None
        waiting = _Waiting(submission, asyncio.get_running_loop())
        try:
            self._queue.put_nowait(waiting)
        except queue.Full:
            raise Refused(503, "busy", retry_after="1") from None
        return await waiting.answer

    async def _post_opening(self, data: bytes) -> Answer:
        try:
            opening = decode_entry(data, where="opening")
        except EvoteError as error:
            raise Refused(400, str(error)) from None
        if not isinstance(opening, Opening):
            raise Refused(400, "the opening of a spoiled ballot expected")

        def act() -> Receipt:
            return self._box.receipt(opening) or self._box.open(opening)

        try:
            receipt = await self._of_board(act)
        except VerificationError as error:
            return Answer(status=409, body=f"{error}\n".encode())
        return _answer(receipt)

    async def _of_board(self, action: Callable[[], T]) -> T:
        return await asyncio.wrap_future(self._call(action))

    async def _get_receipt(self, digest: bytes) -> Answer:
        def act() -> Receipt | None:
            board = self._box.board
            found = self._box.submitted(digest)
            if found is None:
                return None
            receipt = board.receipt(found)
            served = board.checkpoint if self._witnessing is None else self._served
            size = open_checkpoint(served, board.key).size if served else 0
            if found >= size:
                return receipt
            hashes = board.inclusion_proof(found, size)
            proof = TlogProof(index=found, hashes=hashes, checkpoint=served)
            return replace(receipt, proof=proof)

        receipt = await self._of_board(act)
        if receipt is None:
            raise Refused(404, "no ballot of this digest")
        return _answer(receipt)

    async def _get_file(self, name: str) -> Answer:
        if name == CHECKPOINT:
            data = self._served if self._witnessing is not None else self._box.board.checkpoint
            if not data:
                raise Refused(404, "no head is cosigned yet", cache_control="no-store")
            return Answer(body=data, headers={"cache-control": "no-store"})
        try:
            return await asyncio.to_thread(self._file, name)
        except DecodingError:
            raise Refused(404, "nothing of this name") from None

    def _file(self, name: str) -> Answer:
        kind = JSON_TYPE if name.endswith((".json", ".jsonl")) else "application/octet-stream"
        if name.startswith("board/tile/"):
            return Answer(body=read_tile(self._record.path, name.removeprefix("board/")), kind=kind)
        return Answer(file=self._record.open(name), kind=kind)


class _Waiting:
    """A submission on its way through the thread that owns the board, and who waits for it."""

    def __init__(self, submission: Submission, loop: asyncio.AbstractEventLoop) -> None:
        self.submission, self._loop = submission, loop
        self.decoded: BallotEntry = submission.entry
        self.entry = encode_entry(self.decoded)
        self.answer: asyncio.Future[Answer] = loop.create_future()

    def give(self, answer: Answer) -> None:
        """Answer, from another thread; the client may have gone, and the loop too."""
        try:
            self._loop.call_soon_threadsafe(self._set, answer)
        except RuntimeError:
            return

    def _set(self, answer: Answer) -> None:
        if not self.answer.done():
            self.answer.set_result(answer)


def _give(items: Sequence[_Waiting], answer: Answer) -> None:
    for item in items:
        item.give(answer)


def _busy() -> Answer:
    return Answer(status=503, body=b"the board takes nothing in\n")


def _answer(outcome: Receipt | RefusedBallot) -> Answer:
    if isinstance(outcome, Receipt):
        return Answer(body=encode_receipt(outcome), kind=JSON_TYPE)
    if outcome.refusal is None:
        return _busy()
    return Answer(status=422, body=encode_refusal(outcome.refusal), kind=JSON_TYPE)
