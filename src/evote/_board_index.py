"""What is on a board, found without reading the board: an index in SQLite beside it.

It says where an entry is, what a credential has sent in, which ballots were spoiled and opened, and
which nonces of ciphertexts and proofs have occurred. It is the board's own memory, and belongs to
no record; nothing that an audit says rests on it. Each state of it stands for a size and a root of
the log. One that is lost, damaged, or of another key or another place of the record is begun anew,
and one that is behind goes on from where it stands, so it is never synced for its own sake.

What is looked up stands in sorted arrays of 64-bit numbers (`_SortedNumbers`), which are in memory:
8 bytes for each nonce; and for the leaf, the credential and the digest of each ballot, of which the
first 32 bits stand before its place in the log. The rest is rows in the order of the log, so that a
ballot costs as much among a million as among a thousand.

What is checked of it: the file as SQLite does, and that the log under the checkpoint continues the
one it stands for. Not checked: every row. Whoever can write into the board's own directory can make
the board accept a copied ballot, which the audit will find.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from evote._entries import BallotEntry, Entry, Opening, Stage
from evote._merkle import EMPTY_ROOT

__all__ = ["BoardIndex"]

Numbers: TypeAlias = NDArray[np.uint64]

_VERSION = 2
_MEMORY = 16384  # KiB of pages in memory, and of the write-ahead log
_SCHEMA = """
CREATE TABLE state (one INTEGER PRIMARY KEY CHECK (one = 1), version INTEGER NOT NULL,
    log TEXT NOT NULL, size INTEGER NOT NULL, root BLOB NOT NULL, stage INTEGER NOT NULL,
    nonces INTEGER NOT NULL);
CREATE TABLE entries (place INTEGER PRIMARY KEY, leaf BLOB NOT NULL);
CREATE TABLE ballots (place INTEGER PRIMARY KEY, credential BLOB NOT NULL, digest BLOB NOT NULL,
    spoiled INTEGER NOT NULL, opened INTEGER NOT NULL DEFAULT 0);
CREATE TABLE numbers (id INTEGER PRIMARY KEY, kind INTEGER NOT NULL, data BLOB NOT NULL);
"""
_CIPHERTEXTS, _COMMITMENTS, _LEAVES, _CREDENTIALS, _DIGESTS = _KINDS = range(5)  # kinds of numbers
_MOST = 2**24  # numbers of one array: far below the largest value that SQLite takes


class _SortedNumbers:
    """A growing collection of 64-bit numbers of one kind: sorted arrays, each with an id.

    An array is at least twice as long as the next one, so there are few, and each number is merged
    into a longer array about log2(n) times, each time in a pass over both.
    """

    def __init__(self) -> None:
        self._arrays: list[tuple[int, Numbers]] = []

    def push(self, number: int, values: Numbers) -> None:
        """Take up an array as it was kept, in the order of ids."""
        self._arrays.append((number, values))

    def add(self, number: int, values: Numbers) -> tuple[list[tuple[int]], Numbers]:
        """Add numbers; which arrays are gone, and the one with this id that has theirs too."""
        values, gone = np.sort(values), []
        while self._arrays:
            last, longer = self._arrays[-1]
            if len(longer) >= 2 * len(values) or len(longer) + len(values) > _MOST:
                break
            values = np.sort(np.concatenate([longer, values]), kind="stable")  # merges two runs
            gone.append((last,))
            self._arrays.pop()
        self._arrays.append((number, values))
        return gone, values

    def known(self, values: Numbers) -> NDArray[np.bool_]:
        """Which of these numbers are there."""
        found, order = np.zeros(len(values), dtype=np.bool_), np.argsort(values)
        ordered = values[order]  # neighbours are found in the same part of an array
        for _, array in self._arrays:
            places = np.searchsorted(array, ordered)
            found[order] |= array.take(places, mode="clip") == ordered
        return found

    def places(self, key: bytes) -> list[int]:
        """The low halves of the numbers that begin with the first 32 bits of a key, ascending."""
        low = int.from_bytes(key[:4], "big") << 32
        ends = np.array([low, low + 2**32 - 1], dtype=np.uint64)
        found: list[int] = []
        for _, array in self._arrays:
            start, stop = np.searchsorted(array, ends[0]), np.searchsorted(array, ends[1], "right")
            found += (array[start:stop] & np.uint64(2**32 - 1)).tolist()
        return sorted(found)


def _numbered(keys: Sequence[bytes], places: Sequence[int]) -> Numbers:
    """The first 32 bits of each key, and 32 bits of place behind them."""
    heads = np.frombuffer(b"".join([key[:4] for key in keys]), dtype=">u4").astype(np.uint64)
    return heads << np.uint64(32) | np.array(places, dtype=np.uint64)


class BoardIndex:
    """An index of the entries of one log. For one thread at a time, whichever.

    Every method may raise OSError: the file cannot be read or written. The index is then gone, and
    the board is to be opened again.
    """

    def __init__(self, path: Path | None, log: str) -> None:
        """Open the index of a log, or begin one.

        Args:
            path: its file; without one, or where it cannot be written or another process has it
                open, it is a temporary file.
            log: the vkey of the log, and the place of the record.
        """
        self._path, self._log = path, log
        self._numbers: list[_SortedNumbers] = []
        self._last = 0  # id of an array of numbers
        self._connection = self._opened()

    @contextmanager
    def _guard(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            self.discard()
            raise OSError(f"the index of the board failed: {error}") from None

    def _opened(self) -> sqlite3.Connection:
        if self._path is not None:
            with suppress(sqlite3.Error, OSError):
                return self._connect(str(self._path))
            with suppress(sqlite3.Error, OSError):  # damaged, or of another log or version
                self._remove_files()
                return self._connect(str(self._path))
        return self._connect("")

    def _connect(self, name: str) -> sqlite3.Connection:
        """Open a file, "" for a temporary one; it has the state of our log, or it is new."""
        connection = sqlite3.connect(name, timeout=0, isolation_level=None, check_same_thread=False)
        try:
            connection.execute("PRAGMA locking_mode = EXCLUSIVE")
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute(f"PRAGMA cache_size = -{_MEMORY}")
            connection.execute(f"PRAGMA wal_autocheckpoint = {_MEMORY // 4}")
            if not connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]:
                connection.executescript(f"BEGIN IMMEDIATE; {_SCHEMA}")
                new = (_VERSION, self._log, 0, EMPTY_ROOT, int(Stage.EMPTY), 0)
                connection.execute("INSERT INTO state VALUES (1, ?, ?, ?, ?, ?, ?)", new)
                connection.execute("COMMIT")
            [(verdict,)] = connection.execute("PRAGMA quick_check(1)").fetchall()
            [(version, log)] = connection.execute("SELECT version, log FROM state").fetchall()
            if (verdict, version, log) != ("ok", _VERSION, self._log):
                raise sqlite3.DatabaseError("not the index of this log")
            self._read_numbers(connection)
        except ValueError:  # not one row, or no array
            connection.close()
            raise sqlite3.DatabaseError("not the index of a log") from None
        except sqlite3.Error:
            connection.close()
            raise
        return connection

    def _read_numbers(self, connection: sqlite3.Connection) -> None:
        self._numbers, self._last = [_SortedNumbers() for _ in _KINDS], 0
        for last, kind, data in connection.execute("SELECT * FROM numbers ORDER BY id"):
            if kind not in _KINDS or type(data) is not bytes:
                raise ValueError("no numbers")
            self._numbers[kind].push(last, np.frombuffer(data, dtype="<u8"))
            self._last = last

    def _remove_files(self) -> None:
        if self._path is not None:
            for suffix in ("", "-wal", "-shm", "-journal"):
                with suppress(FileNotFoundError):
                    os.unlink(f"{self._path}{suffix}")

    def close(self) -> None:
        """Leave the file as it is."""
        with suppress(sqlite3.Error):
            self._connection.close()

    def discard(self) -> None:
        """Close, and remove the file: the next one begins anew."""
        self.close()
        with suppress(OSError):
            self._remove_files()

    def clear(self) -> None:
        """Begin anew."""
        self.discard()
        with self._guard():
            self._connection = self._opened()

    # -- what it stands for ----------------------------------------------------------------------

    def state(self) -> tuple[int, bytes, Stage]:
        """Size, root and stage of the log that it stands for.

        Raises:
            OSError: the index is damaged.
        """
        with self._guard():
            row = self._connection.execute("SELECT size, root, stage FROM state").fetchone()
            if row is None or type(row[0]) is not int or type(row[1]) is not bytes:
                raise sqlite3.DatabaseError("no state")
            if row[0] < 0 or row[2] not in set(Stage):
                raise sqlite3.DatabaseError("no state")
            return row[0], row[1], Stage(row[2])

    def add(
        self,
        first: int,
        leaves: Sequence[bytes],
        entries: Sequence[Entry],
        root: bytes,
        stage: Stage,
    ) -> None:
        """Note entries from index `first` on, and that the log has this root and stage now."""
        ballots, opened = [], []
        for index, entry in enumerate(entries, first):
            if isinstance(entry, BallotEntry):
                spoiled = int(entry.action == "spoil")
                ballots.append((index, entry.credential, entry.digest, spoiled))
            elif isinstance(entry, Opening):
                opened.append(entry.ballot)
        size = first + len(leaves)
        places, credentials, digests, _ = zip(*ballots, strict=True) if ballots else ((),) * 4
        with self._transaction() as run:
            run("INSERT INTO entries VALUES (?, ?)", list(enumerate(leaves, first)))
            run("INSERT INTO ballots VALUES (?, ?, ?, ?, 0)", ballots)
            self._add_numbers(_LEAVES, _numbered(leaves, range(first, size)))
            self._add_numbers(_CREDENTIALS, _numbered(credentials, places))
            self._add_numbers(_DIGESTS, _numbered(digests, places))
            spoils = [(place,) for ballot in opened for place in self._spoils(ballot)]
            run("UPDATE ballots SET opened = 1 WHERE place = ?", spoils)
            run("UPDATE state SET size = ?, root = ?, stage = ?", [(size, root, int(stage))])

    def _add_numbers(self, kind: int, values: Numbers) -> None:
        if not len(values):
            return
        self._last += 1
        gone, array = self._numbers[kind].add(self._last, values)
        self._connection.executemany("DELETE FROM numbers WHERE id = ?", gone)
        row = (self._last, kind, array.astype("<u8", copy=False).data)
        self._connection.execute("INSERT INTO numbers VALUES (?, ?, ?)", row)

    @contextmanager
    def _transaction(self) -> Iterator[Callable[[str, Sequence[tuple[Any, ...]]], object]]:
        with self._guard():
            self._connection.execute("BEGIN IMMEDIATE")
            yield self._connection.executemany
            self._connection.execute("COMMIT")

    # -- entries ---------------------------------------------------------------------------------

    def place(self, leaf: bytes) -> int | None:
        """The first index at which there is an entry with this leaf hash."""
        return min(self._rows("entries", "leaf", leaf, _LEAVES), default=None)

    def spoiled(self, digest: bytes) -> int | None:
        """The index of the last entry that spoils the ballot of this digest."""
        return max(self._spoils(digest), default=None)

    def submitted(self, digest: bytes) -> int | None:
        """The index of the first entry that submits the ballot of this digest."""
        return min(self._rows("ballots", "digest", digest, _DIGESTS), default=None)

    def opened(self, digest: bytes) -> bool:
        """Whether the ballot of this digest was spoiled and opened."""
        return bool(self._rows("ballots", "digest", digest, _DIGESTS, "spoiled AND opened"))

    def entries_of(self, credential: bytes) -> list[int]:
        """The indices of the ballots that this credential has cast or spoiled."""
        return self._rows("ballots", "credential", credential, _CREDENTIALS)

    def has_cast(self, credential: bytes) -> bool:
        """Whether this credential has cast a ballot."""
        query = "ballots", "credential", credential, _CREDENTIALS, "NOT spoiled"
        return bool(self._rows(*query))

    def _spoils(self, digest: bytes) -> list[int]:
        return self._rows("ballots", "digest", digest, _DIGESTS, "spoiled")

    def _rows(self, table: str, column: str, key: bytes, kind: int, also: str = "1") -> list[int]:
        """The places of the rows that have this key, ascending: among those that begin like it."""
        query = f"SELECT 1 FROM {table} WHERE place = ? AND {column} = ? AND {also}"  # noqa: S608
        with self._guard():
            return [
                place
                for place in self._numbers[kind].places(key)
                if self._connection.execute(query, (place, key)).fetchone()
            ]

    # -- nonces ----------------------------------------------------------------------------------

    @property
    def nonces(self) -> int:
        """For how many entries the nonces of the ballots among them are there."""
        with self._guard():
            return int(self._connection.execute("SELECT nonces FROM state").fetchone()[0])

    def add_nonces(self, size: int, ciphertexts: Numbers, commitments: Numbers) -> None:
        """Note the fingerprints of nonces of ballots; those of `size` entries are there then.

        A crash between `add` and this leaves them behind, so they have a size of their own.
        """
        with self._transaction() as run:
            self._add_numbers(_CIPHERTEXTS, ciphertexts)
            self._add_numbers(_COMMITMENTS, commitments)
            run("UPDATE state SET nonces = ?", [(size,)])

    def known_nonces(self, which: int, values: Numbers) -> NDArray[np.bool_]:
        """Which fingerprints of ciphertexts (0) or commitments (1) have occurred."""
        return self._numbers[which].known(values)
