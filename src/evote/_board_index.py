"""What is on a board, found without reading the board: an index in SQLite beside it.

It says where an entry is, what a credential has sent in, which ballots were spoiled and opened, and
which nonces of ciphertexts and proofs have occurred. It is the board's own memory, and belongs to
no record; nothing that an audit says rests on it. Each state of it stands for a size and a root of
the log. One that is lost, damaged, or of another key or another place of the record is begun anew,
and one that is behind goes on from where it stands, so it is never synced for its own sake.

What is checked of it: the file as SQLite does, and that the log under the checkpoint continues the
one it stands for. Not checked: every row. Whoever can write into the board's own directory can make
the board accept a copied ballot, which the audit will find.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from evote._entries import BallotEntry, Entry, Opening, Stage
from evote._merkle import EMPTY_ROOT

__all__ = ["BoardIndex"]

_VERSION = 1
_MEMORY = 65536  # KiB of pages in memory, and of the write-ahead log
_SCHEMA = """
CREATE TABLE state (one INTEGER PRIMARY KEY CHECK (one = 1), version INTEGER NOT NULL,
    log TEXT NOT NULL, size INTEGER NOT NULL, root BLOB NOT NULL, stage INTEGER NOT NULL,
    nonces INTEGER NOT NULL);
CREATE TABLE entries (leaf BLOB PRIMARY KEY, place INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE ballots (place INTEGER PRIMARY KEY, credential BLOB NOT NULL, digest BLOB NOT NULL,
    spoiled INTEGER NOT NULL, opened INTEGER NOT NULL DEFAULT 0);
CREATE INDEX ballots_by_credential ON ballots (credential);
CREATE INDEX ballots_by_digest ON ballots (digest);
CREATE TABLE ciphertexts (value INTEGER PRIMARY KEY);
CREATE TABLE commitments (value INTEGER PRIMARY KEY);
"""
_TABLES = ("ciphertexts", "commitments")


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
        except ValueError:  # not one row
            connection.close()
            raise sqlite3.DatabaseError("not the index of a log") from None
        except sqlite3.Error:
            connection.close()
            raise
        return connection

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
                opened.append((entry.ballot,))
        places = sorted((leaf, index) for index, leaf in enumerate(leaves, first))
        with self._transaction() as run:
            run("INSERT OR IGNORE INTO entries VALUES (?, ?)", places)
            run("INSERT INTO ballots VALUES (?, ?, ?, ?, 0)", ballots)
            run("UPDATE ballots SET opened = 1 WHERE digest = ? AND spoiled", opened)
            size = first + len(leaves)
            run("UPDATE state SET size = ?, root = ?, stage = ?", [(size, root, int(stage))])

    @contextmanager
    def _transaction(self) -> Iterator[Callable[[str, Sequence[tuple[Any, ...]]], object]]:
        with self._guard():
            self._connection.execute("BEGIN IMMEDIATE")
            yield self._connection.executemany
            self._connection.execute("COMMIT")

    # -- entries ---------------------------------------------------------------------------------

    def place(self, leaf: bytes) -> int | None:
        """The first index at which there is an entry with this leaf hash."""
        return self._one("SELECT place FROM entries WHERE leaf = ?", leaf)

    def spoiled(self, digest: bytes) -> int | None:
        """The index of the last entry that spoils the ballot of this digest."""
        return self._one("SELECT max(place) FROM ballots WHERE digest = ? AND spoiled", digest)

    def submitted(self, digest: bytes) -> int | None:
        """The index of the first entry that submits the ballot of this digest."""
        return self._one("SELECT min(place) FROM ballots WHERE digest = ?", digest)

    def opened(self, digest: bytes) -> bool:
        """Whether the ballot of this digest was spoiled and opened."""
        found = self._one("SELECT max(opened) FROM ballots WHERE digest = ? AND spoiled", digest)
        return bool(found)

    def entries_of(self, credential: bytes) -> list[int]:
        """The indices of the ballots that this credential has cast or spoiled."""
        query = "SELECT place FROM ballots WHERE credential = ? ORDER BY place"
        with self._guard():
            return [row[0] for row in self._connection.execute(query, (credential,))]

    def has_cast(self, credential: bytes) -> bool:
        """Whether this credential has cast a ballot."""
        query = "SELECT min(place) FROM ballots WHERE credential = ? AND NOT spoiled"
        return self._one(query, credential) is not None

    def _one(self, query: str, key: bytes) -> int | None:
        with self._guard():
            row = self._connection.execute(query, (key,)).fetchone()
            return None if row is None else row[0]

    # -- nonces ----------------------------------------------------------------------------------

    @property
    def nonces(self) -> int:
        """For how many entries the nonces of the ballots among them are there."""
        with self._guard():
            return int(self._connection.execute("SELECT nonces FROM state").fetchone()[0])

    def add_nonces(
        self, size: int, ciphertexts: Collection[int], commitments: Collection[int]
    ) -> None:
        """Note fingerprints, signed 64-bit integers, of ballots; those of `size` entries are there.

        A crash between `add` and this leaves them behind, so they have a size of their own.
        """
        with self._transaction() as run:
            for table, values in zip(_TABLES, (ciphertexts, commitments), strict=True):
                rows = [(value,) for value in sorted(values)]
                run(f"INSERT OR IGNORE INTO {table} VALUES (?)", rows)  # noqa: S608  ours
            run("UPDATE state SET nonces = ?", [(size,)])

    def known_nonces(self, which: int, values: Collection[int]) -> set[int]:
        """Those of some fingerprints of ciphertexts (0) or commitments (1) that have occurred."""
        table = _TABLES[which]
        query = f"SELECT e.value FROM json_each(?) AS e JOIN {table} AS t ON t.value = e.value"  # noqa: S608
        with self._guard():
            return {row[0] for row in self._connection.execute(query, (json.dumps(list(values)),))}
