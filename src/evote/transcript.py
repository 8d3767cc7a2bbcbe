"""Fiat-Shamir: absorb labelled messages, derive challenges.

The sponge below is the SHAKE128 duplex sponge of draft-irtf-cfrg-fiat-shamir-03 and reproduces its
vectors, with the draft's codecs. The draft still moves, so the bytes of an election do not follow
it: `Transcript` puts its own framing and its own versioned tags over the sponge.

    tag      evote/1/<purpose>/<flavour>/evote-sigma_Shake128_<group>
    start    sponge on session id(tag), then append("group", group.parameters())
    append   absorb frame("append", label, message)
    squeeze  absorb frame("squeeze", label, uint32(bytes)), then squeeze that many bytes
    array    append(label, shape || fixed-width encodings in C order)

Every message is length-framed and every squeeze is marked, so two different sequences of calls
never absorb the same bytes. A challenge is `group.uniform_size` bytes, little-endian, mod q: 128
bits more than q has, so the bias is below 2^-128, and never shorter than q.

Not promised: a transcript hides nothing. Put only public values into it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from math import prod
from typing import Protocol, TypeAlias

import numpy as np

from evote._forms import Rows, to_rows
from evote._hashes import shake128_rows
from evote.encoding import frame, uint32
from evote.errors import DecodingError, GroupMismatch, ParameterError, ShapeMismatch
from evote.groups import Elements, Group, Scalars

__all__ = [
    "Sponge",
    "Transcript",
    "Transcripts",
    "decode_uint",
    "derive_session_id",
    "deserialize_field",
    "deserialize_uint",
    "deserialize_varlen",
    "draw_challenges",
    "encode_shape",
    "serialize_field",
    "serialize_uint",
    "serialize_varlen",
    "weights_from_bytes",
]

_RATE = 168  # bytes of SHAKE128
_SHORT = 4096  # bytes
_SESSION_LABEL = b"irtf-cfrg-fiat-shamir/session-id"
_PURPOSE = re.compile(rb"[a-z0-9][a-z0-9-]*")
_FLAVOURS = (b"DSFS", b"CDS")
_WEIGHT_SIZE = 16  # bytes: 2^-128 is the chance that a wrong sum of equations holds

_Shape: TypeAlias = tuple[int, ...]


class Encodes(Protocol):
    """An array with fixed-width encodings: elements, scalars, ciphertexts."""

    def encode(self) -> bytes: ...


class Sponge:
    """The duplex sponge of the draft: each squeeze is SHAKE128 of all bytes absorbed so far."""

    __slots__ = ("_absorbed", "_hash", "_position")

    def __init__(self, session_id: bytes) -> None:
        """Start on a session id of 32 bytes."""
        if len(session_id) != 32:
            raise ParameterError(f"a session id is 32 bytes, got {len(session_id)}")
        start = session_id + bytes(_RATE - 32)
        self._hash, self._position = hashlib.shake_128(start), 0
        self._absorbed: bytes | None = start  # all of it, while it is short

    def absorb(self, data: bytes | memoryview) -> None:
        """Absorb bytes. No framing: the caller's encodings must be prefix-free."""
        if len(data):
            self._hash.update(data)
            self._position = 0
            if self._absorbed is not None:
                short = len(self._absorbed) + len(data) <= _SHORT
                self._absorbed = self._absorbed + data if short else None

    def squeeze(self, length: int) -> bytes:
        """The next `length` bytes of output."""
        start, self._position = self._position, self._position + length
        return self._hash.digest(self._position)[start:]

    def squeeze_each(self, rows: Rows, length: int) -> Rows:
        """What forks of this would squeeze first, each after it absorbs its row, of some bytes."""
        if self._absorbed is not None:
            return shake128_rows(self._absorbed, rows, length)
        copy, drawn = self._hash.copy, []
        for row in rows:
            twin = copy()
            twin.update(row)
            drawn.append(twin.digest(length))
        return to_rows(drawn).reshape((len(rows), length))

    def fork(self) -> Sponge:
        """A copy that goes its own way."""
        twin = Sponge.__new__(Sponge)
        twin._hash, twin._position = self._hash.copy(), self._position
        twin._absorbed = self._absorbed
        return twin


def derive_session_id(tag: bytes) -> bytes:
    """The 32 bytes that a protocol's tag stands for."""
    sponge = Sponge(_SESSION_LABEL)
    sponge.absorb(tag)
    return sponge.squeeze(32)


def _width(modulus: int) -> int:
    return ((modulus - 1).bit_length() + 7) // 8


def serialize_varlen(data: bytes) -> bytes:
    """Bytes after their length in four bytes, little-endian."""
    return uint32(len(data)) + data


def deserialize_varlen(data: bytes) -> tuple[bytes, bytes]:
    """The first string of `data`, and the rest."""
    end = 4 + int.from_bytes(data[:4], "little")
    if len(data) < 4 or len(data) < end:
        raise DecodingError("string shorter than its length says")
    return data[4:end], data[end:]


def serialize_uint(number: int, modulus: int) -> bytes:
    """An integer modulo `modulus`, little-endian, of fixed width."""
    if not 0 <= number < modulus:
        raise ParameterError("integer outside its range")
    return number.to_bytes(_width(modulus), "little")


def deserialize_uint(data: bytes, modulus: int) -> int:
    """The integer that `serialize_uint` wrote; larger ones are refused."""
    number = int.from_bytes(data, "little")
    if len(data) != _width(modulus) or number >= modulus:
        raise DecodingError("no canonical integer of this range")
    return number


def decode_uint(data: bytes, modulus: int) -> int:
    """Uniform bytes, little-endian, reduced: the draft's challenge."""
    return int.from_bytes(data, "little") % modulus


def serialize_field(coordinates: list[int], modulus: int) -> bytes:
    """An element of an extension field: its coordinates, least first."""
    return b"".join([serialize_uint(x, modulus) for x in coordinates])


def deserialize_field(data: bytes, modulus: int, degree: int) -> list[int]:
    """The coordinates of an element of an extension field."""
    size = _width(modulus)
    if len(data) != degree * size:
        raise DecodingError(f"{degree * size} bytes expected, got {len(data)}")
    return [deserialize_uint(data[i * size : (i + 1) * size], modulus) for i in range(degree)]


class Transcript:
    """What prover and verifier have said so far; challenges are a hash of all of it.

    The caller creates it, binds it to the election and the place of the statement, and passes it
    to a proof function, which appends the statement and the commitments. Mutable: one transcript
    serves one proof, or several in a fixed order; `fork` where orders are to be independent.
    """

    __slots__ = ("_sponge", "group")

    def __init__(self, purpose: bytes, group: Group, *, flavour: bytes = b"DSFS") -> None:
        """Start a transcript.

        Args:
            purpose: what is proved, in lower-case ASCII letters, digits and hyphens.
            group: where the statement lives; its parameters are the first message.
            flavour: b"DSFS" for linear relations, b"CDS" for OR proofs.
        """
        if not _PURPOSE.fullmatch(purpose) or flavour not in _FLAVOURS:
            raise ParameterError(f"no transcript tag for {purpose!r} and {flavour!r}")
        suite = b"evote-sigma_Shake128_" + group.name.encode("ascii")
        self.group = group
        self._sponge = Sponge(derive_session_id(b"/".join([b"evote/1", purpose, flavour, suite])))
        self.append(b"group", group.parameters())

    def append(self, label: bytes, message: bytes) -> None:
        """Absorb a message under a label."""
        self._sponge.absorb(frame(b"append", label, message))

    def append_integer(self, label: bytes, number: int) -> None:
        """Absorb an integer from 0 to 2^32 - 1."""
        self.append(label, uint32(number))

    def append_elements(self, label: bytes, elements: Elements) -> None:
        """Absorb an array with its shape."""
        self._append_array(label, elements)

    def append_scalars(self, label: bytes, scalars: Scalars) -> None:
        """Absorb an array of public scalars with its shape."""
        self._append_array(label, scalars)

    def _append_array(self, label: bytes, array: Elements | Scalars) -> None:
        if array.group != self.group:
            raise GroupMismatch(f"{array.group.name} in a transcript over {self.group.name}")
        self.append(label, encode_shape(array.shape) + array.encode())

    def squeeze(self, label: bytes, length: int) -> bytes:
        """Draw bytes; the draw itself becomes part of the transcript."""
        self._sponge.absorb(frame(b"squeeze", label, uint32(length)))
        return self._sponge.squeeze(length)

    def challenge(self, label: bytes, shape: _Shape = ()) -> Scalars:
        """Draw scalars uniform below q."""
        data = self.squeeze(label, prod(shape) * self.group.uniform_size)
        return self.group.scalars_from_uniform(data, shape)

    def challenges(self, label: bytes, messages: Sequence[bytes]) -> Scalars:
        """One challenge per message, each drawn on a fork that absorbs its index and its message.

        So the challenge of one proof depends on all that came before and on that proof, and not on
        its neighbours: of many proofs the false ones can be named. The transcript itself then
        absorbs all that was drawn.
        """
        draws = []
        for index, message in enumerate(messages):
            twin = self.fork()
            twin.append_integer(b"index", index)
            twin.append(label, message)
            draws.append(twin.squeeze(label, self.group.uniform_size))
        drawn = b"".join(draws)
        self.append(label, drawn)
        return self.group.scalars_from_uniform(drawn, (len(draws),))

    def weights(self, label: bytes, shape: _Shape) -> Scalars:
        """Draw scalars of 128 bits, for random combinations of equations."""
        data = self.squeeze(label, prod(shape) * _WEIGHT_SIZE)
        return weights_from_bytes(self.group, data, shape)

    def fork(self) -> Transcript:
        """A copy that goes its own way."""
        twin = Transcript.__new__(Transcript)
        twin.group, twin._sponge = self.group, self._sponge.fork()
        return twin


class Transcripts:
    """n transcripts that go on from one, each with messages of its own; of one length each.

    What each says is what `fork`, `append` and `squeeze` would say, in one pass at the end.
    """

    __slots__ = ("_columns", "_count", "_start")

    def __init__(self, start: Transcript, count: int) -> None:
        """Fork `start`, which stays as it is, `count` times."""
        self._start, self._count = start, count
        self._columns: list[Rows] = []  # shape (1, bytes), or (n, bytes)

    def append(self, label: bytes, message: bytes) -> None:
        """Absorb the same message in all of them."""
        self._absorb(frame(b"append", label, message))

    def append_rows(self, label: bytes, rows: Rows) -> None:
        """Absorb in each its row of an array of shape (n, bytes)."""
        if rows.ndim != 2 or len(rows) != self._count:
            raise ShapeMismatch(f"rows {rows.shape} for {self._count} transcripts")
        self._absorb(frame(b"append", label) + uint32(rows.shape[1]))
        self._columns.append(rows)

    def append_arrays(self, label: bytes, array: Encodes) -> None:
        """Absorb in each what its entry along the first axis of an array encodes to."""
        data = np.frombuffer(array.encode(), dtype=np.uint8)
        width = len(data) // self._count if self._count else 0
        self.append_rows(label, data.reshape((self._count, width)))

    def squeeze(self, label: bytes, length: int) -> Rows:
        """Draw bytes from each, shape (n, length). It is their last word."""
        self._absorb(frame(b"squeeze", label, uint32(length)))
        total = sum(column.shape[1] for column in self._columns)
        table = np.empty((self._count, total), dtype=np.uint8)
        place = 0
        for column in self._columns:
            table[:, place : place + column.shape[1]] = column
            place += column.shape[1]
        return self._start._sponge.squeeze_each(table, length)

    def challenges(self, label: bytes) -> Scalars:
        """One challenge from each, shape (n,)."""
        group = self._start.group
        drawn = self.squeeze(label, group.uniform_size)
        return group.scalars_from_uniform(drawn.tobytes(), (self._count,))

    def _absorb(self, data: bytes) -> None:
        self._columns.append(np.frombuffer(data, dtype=np.uint8)[None, :])


def draw_challenges(transcripts: Sequence[Transcript], label: bytes, group: Group) -> Scalars:
    """One challenge from each transcript, as one array: n ballots have n transcripts."""
    drawn = [transcript.squeeze(label, group.uniform_size) for transcript in transcripts]
    return group.scalars_from_uniform(b"".join(drawn), (len(drawn),))


def encode_shape(shape: _Shape) -> bytes:
    """Number of axes, then the length of each, in four bytes."""
    return b"".join([uint32(len(shape)), *map(uint32, shape)])


def weights_from_bytes(group: Group, data: bytes, shape: _Shape) -> Scalars:
    """Scalars of 128 bits, each from 16 bytes, little-endian."""
    return group.scalars_from_uniform(data, shape, width=_WEIGHT_SIZE)
