"""The log's side of its witnesses: it brings them its head, and collects cosignatures."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence

from evote._notes import MAX_LINES, Note, NoteSignature, decode_note
from evote.board import (
    MAX_NOTE,
    Board,
    Checkpoint,
    Cosignature,
    VerifierKey,
    WitnessPolicy,
    open_checkpoint,
    open_note,
)
from evote.encoding import decode_decimal
from evote.server._fetch import Unreachable, check_url, fetch
from evote.server.witness import AddCheckpoint, encode_add_checkpoint

__all__ = ["Witnessing", "cosign_board"]

Prove = Callable[[int, int], Sequence[bytes]]
_Line = tuple[NoteSignature, Cosignature]
_Answers = queue.SimpleQueue[tuple[str, _Line | Exception]]
_SECONDS = 10.0
_GRACE = 2.0  # seconds that the others have once the quorum has answered
_TRIES = 3


class Witnessing:
    """The witnesses of one log. Whatever they answer, only what verifies is kept."""

    def __init__(self, log_key: VerifierKey, policy: WitnessPolicy, prove: Prove) -> None:
        """Take the witnesses of a policy that have a URL.

        Args:
            prove: gives the consistency proof between two sizes of the log.

        Raises:
            ParameterError: a URL is none.
        """
        self._log_key, self._policy, self._prove = log_key, policy, prove
        self._urls = {name: check_url(url) for name, url in policy.urls.items()}
        self._sizes = dict.fromkeys(self._urls, 0)  # what each has cosigned last
        self._asked: set[str] = set()  # who has a thread that waits for it
        self.problems: Mapping[str, str] = {}  # why a witness has not cosigned the last head

    def cosign(self, signed: bytes) -> tuple[bytes, tuple[Cosignature, ...]]:
        """The head with one line of every witness that cosigned it, and which these are.

        Who has not answered a moment after the quorum has is not waited for, and not asked again
        before that question has ended.

        Raises:
            EvoteError: the quorum cosigned, and yet the policy would not accept the head.
        """
        head = open_checkpoint(signed, self._log_key)
        note = decode_note(signed)
        own = [s for s in note.signatures if (s.name, s.key_id) == _named(self._log_key)][:1]
        note = Note(text=note.text, signatures=tuple(own))
        found: dict[NoteSignature, Cosignature] = {}
        problems: dict[str, str] = {}
        problems = dict.fromkeys(self._urls, "no answer yet")
        answers: _Answers = queue.SimpleQueue()
        waiting, end = self._start(head, note, answers), time.monotonic() + 2 * _SECONDS
        while waiting:
            if self.satisfied(tuple(found.values())):
                end = min(end, time.monotonic() + _GRACE)
            try:
                name, answer = answers.get(timeout=max(end - time.monotonic(), 0.0))
            except queue.Empty:
                break
            waiting.remove(name)
            if isinstance(answer, Exception):
                problems[name] = str(answer) or type(answer).__name__
            else:
                del problems[name]
                found[answer[0]] = answer[1]
        self.problems = problems
        while len(found) > MAX_LINES - len(own):  # a longer note would be none
            del found[self._spare(found)]
        cosigned = Note(text=note.text, signatures=(*own, *found)).encode()
        if self.satisfied(tuple(found.values())):
            self._policy.check(cosigned, log_key=self._log_key)  # as all who read it will
        return cosigned, tuple(found.values())

    def _spare(self, found: Mapping[NoteSignature, Cosignature]) -> NoteSignature:
        """A line that the quorum can do without, or the last."""
        for line in found:
            if self.satisfied([item for other, item in found.items() if other != line]):
                return line
        return line

    def satisfied(self, cosignatures: Sequence[Cosignature]) -> bool:
        """Whether these make the policy's quorum."""
        return self._policy.satisfied({item.key for item in cosignatures})

    def _start(self, head: Checkpoint, note: Note, answers: _Answers) -> set[str]:
        """Ask each witness in a thread of its own, but those that are being asked; names them."""

        def work(name: str) -> None:
            try:
                answer: _Line | Exception = self._ask(name, head, note)
            except Exception as error:
                answer = error
            self._asked.discard(name)
            answers.put((name, answer))

        free = self._urls.keys() - self._asked
        for name in free:
            self._asked.add(name)
            try:
                threading.Thread(target=work, args=(name,), daemon=True).start()
            except RuntimeError as error:  # no more threads on this machine
                self._asked.discard(name)
                answers.put((name, error))
        return free

    def _ask(self, name: str, head: Checkpoint, note: Note) -> _Line:
        """The line of a witness, verified; on 409 the proof is made again from its size."""
        end = time.monotonic() + 2 * _SECONDS
        for _ in range(_TRIES):
            old = min(self._sizes[name], head.size)
            request = AddCheckpoint(old, tuple(self._prove(old, head.size)), note.encode())
            url = f"{self._urls[name]}/add-checkpoint"
            left = min(_SECONDS, end - time.monotonic())
            reply = fetch(url, encode_add_checkpoint(request), limit=MAX_NOTE, seconds=left)
            if reply.status == 200:
                self._sizes[name] = head.size
                return self._line(name, note.text + b"\n" + reply.body)
            if reply.status != 409:
                break
            text = reply.body.decode("latin-1").removesuffix("\n")
            self._sizes[name] = decode_decimal(text, where=name)
            if self._sizes[name] > head.size:
                break
        raise Unreachable(f"status {reply.status}")

    def _line(self, name: str, answered: bytes) -> _Line:
        """Of the lines that a witness gives the latest of its own, if all of its own verify."""
        key = self._policy.witnesses[name]
        note, [cosignature] = open_note(answered, [key], where=name)
        lines = (s for s in note.signatures if (s.name, s.key_id) == _named(key))
        return max(lines, key=lambda line: line.signature[:8]), cosignature


def cosign_board(
    board: Board, policy: WitnessPolicy
) -> tuple[tuple[Cosignature, ...] | None, Mapping[str, str]]:
    """Ask the witnesses of a policy once, and put a quorum's cosignatures under the board's head.

    For a board that no server shows: its log grew by steps of operators, or by batches.

    Returns:
        The cosignatures, None if they are no quorum and nothing was put; and why other witnesses
        have not cosigned.

    Raises:
        ParameterError: the URL of a witness is none.
        EvoteError: the quorum cosigned, and yet the policy does not accept the head.
    """
    one = threading.Lock()  # a board is not for several threads

    def prove(old: int, new: int) -> Sequence[bytes]:
        with one:
            return board.consistency_proof(old, new)

    witnessing = Witnessing(board.key, policy, prove)
    cosigned, by = witnessing.cosign(board.checkpoint)
    if not witnessing.satisfied(by):
        return None, witnessing.problems
    board.add_cosignatures(cosigned)
    return by, witnessing.problems


def _named(key: VerifierKey) -> tuple[str, bytes]:
    return key.name, key.key_id
