"""The election record, a directory or an archive of one: which files, and read in what portions.

    manifest.json
    ceremony/commit-001.json reveal-001.json complaint-002-001.json confirm-001.json
    roll/roll.json                roll/rows/000.jsonl, 4096 rows each
    board/checkpoint              board/tile/entries/000, the last one 000.p/W
    board/tile/0/000              hash tiles, all or none
    ballots/000.jsonl             the bodies of the ballot entries of bundle 000
    mixes/000/01.json             what mix server 1 made of unit 0, see `mixing`
    tally.json  shares/001.json  result.json

The listing is strict: no other file or directory, no symlink, nothing missing, and no file of a
later phase than the board proves. Reading streams: the roll by row, the log by bundle, ballots by
line; memory does not grow with their number, except by the names of files: one for 4096 rows of
the roll, three for 256 entries.

What the files say is judged elsewhere; here a file has its place, its size and its lines. Nobody
may write while a record is read: readers take no lock, and see a half-made step as damage.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property
from pathlib import Path
from typing import BinaryIO

import numpy as np

from evote._files import write_file
from evote._forms import Strings
from evote._record_files import (
    CHECKPOINT,
    MANIFEST,
    OF_ALL_BALLOTS,
    OF_THE_LOG,
    RESULT,
    ROLL,
    ROLL_BUNDLE,
    STEPS,
    TALLY,
    Expected,
    ceremony_path,
    limit_of,
    listed,
    row_number,
    rows_path,
    share_path,
    write_roll,
    write_rows,
)
from evote._trees import Directory, Tree
from evote.ballots import body_sizes
from evote.board import (
    BOARD,
    BUNDLE,
    TILE_FILE,
    BallotEntry,
    Checkpoint,
    Entry,
    ResultEntry,
    ShareEntry,
    Stage,
    TallyEntry,
    bodies_path,
    bundle_path,
    decode_bundle,
    decode_bundles,
    decode_entry,
    entry_place,
    next_stage,
    open_checkpoint,
    read_ballot_entries,
    tile_paths,
)
from evote.credentials import MAX_ROW, decode_roll
from evote.election import Manifest, decode_manifest, manifest_digest
from evote.errors import DecodingError, EvoteError
from evote.mixing import MAX_UNITS, mix_path, step_size
from evote.tally import Tally, decode_tally, file_digest, read_units, result_size, share_size
from evote.threshold import ceremony_file_name

__all__ = [
    "CHECKPOINT",
    "MANIFEST",
    "RESULT",
    "ROLL",
    "ROLL_BUNDLE",
    "TALLY",
    "Phase",
    "Record",
    "Survey",
    "ceremony_path",
    "file_digest",
    "rows_path",
    "share_path",
    "write_file",
    "write_roll",
    "write_rows",
]

_LINES_AT_ONCE = 1 << 18  # bytes
_AT_ONCE = 1 << 25  # bytes
_STRIDE, _STRIDE_BYTES = 16, 1 << 22  # entry bundles


class Phase(IntEnum):
    """How far an election has come."""

    SETUP = 0  # a manifest
    CEREMONY = 1  # the trustees have begun
    READY = 2  # joint key and roll are there
    VOTING = 3
    SEALED = 4
    TALLIED = 5
    FINISHED = 6


_PHASES = {
    Stage.VOTING: Phase.VOTING,
    Stage.CLOSED: Phase.VOTING,
    Stage.SEALED: Phase.SEALED,
    Stage.TALLIED: Phase.TALLIED,
    Stage.FINISHED: Phase.FINISHED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """What one pass over the log shows of the files that belong to it."""

    size: int
    stage: Stage
    ballots: bytes  # for each bundle: 1 if it has ballot entries
    tally: bytes | None
    shares: dict[int, bytes]
    result: bytes | None


class Record:
    """Read-only access to a record. Two of them on one directory see the same."""

    def __init__(self, place: Path | str | Tree) -> None:
        """Name the directory, or hand over an archive that is open; nothing is read yet."""
        self._tree = place if isinstance(place, Tree) else Directory(Path(place))
        self.path = self._tree.path
        self._surveyed: tuple[bytes, Survey] | None = None  # and under which checkpoint

    # -- files -----------------------------------------------------------------------------------

    def files(self) -> tuple[str, ...]:
        """The names of all files, sorted.

        Raises:
            DecodingError: the first thing that no record has.
        """
        names, problems = listed(self._tree)
        for problem in problems:
            raise problem
        return names

    def problems(self) -> list[DecodingError]:
        """Everything that is wrong with the listing, given what the board proves; sorted."""
        names, problems = listed(self._tree)
        present, expected = set(names), Expected()
        try:
            self.manifest  # noqa: B018  without it nothing else has a name
        except EvoteError as error:
            return sorted([*problems, self._unclear("record", error)], key=str)
        survey: Survey | None = None
        try:
            survey = self.survey()
            self._expect_log(expected, survey, present)
        except EvoteError as error:
            # Which files the log needs cannot be told, so none is blamed but the one at fault.
            problems.append(self._unclear("log", error))
            expected.may_be(n for n in names if n.startswith(OF_THE_LOG))
        opened = survey is None or survey.stage != Stage.EMPTY
        try:
            self._expect_ceremony(expected, opened)
        except EvoteError as error:
            problems.append(self._unclear("ceremony", error))
            expected.may_be(n for n in names if n.startswith("ceremony/"))
        try:
            self._expect_roll(expected, opened, present)
        except EvoteError as error:
            problems.append(self._unclear("roll", error))
            expected.may_be(n for n in names if n.startswith("roll/"))
        for name in expected.required - present:
            problems.append(DecodingError("file is missing", where=name))
        for name in present - expected.required - expected.allowed:
            reason = "no such file belongs to a record in this phase"
            problems.append(DecodingError(reason, where=name))
        return sorted(problems, key=str)

    def check_files(self) -> None:
        """Raise the first of `problems`."""
        for problem in self.problems():
            raise problem

    def has(self, name: str) -> bool:
        """Whether there is anything of that name."""
        return self._tree.has(name)

    def read(self, name: str) -> bytes:
        """One file, whole.

        Raises:
            DecodingError: missing, larger than its kind may be, or not a regular file.
        """
        return self._tree.read(name, self._limit(name))

    def open(self, name: str) -> BinaryIO:
        """One file, to be read in portions.

        Raises:
            DecodingError: as `read`.
        """
        return self._tree.open(name, self._limit(name))

    def _limit(self, name: str) -> int:
        limit = limit_of(name)
        if not name.startswith(OF_ALL_BALLOTS) or not self.manifest.packs:
            return limit
        ballots = self.checkpoint().size  # there are no more of them than entries
        group, packs = self.manifest.group, self.manifest.packs
        widths = [self.manifest.pack_width(pack.id) for pack in packs]
        if name == RESULT:
            return limit + result_size(self.manifest, ballots)
        if name.startswith("shares/"):
            return limit + share_size(group, ballots * sum(widths))
        return limit + step_size(group, ballots, max(widths))

    def _unclear(self, what: str, error: EvoteError) -> DecodingError:
        where = error.where if isinstance(error, DecodingError) else ""
        reason = error.reason if isinstance(error, DecodingError) else str(error)
        return DecodingError(f"{reason} (so the files of the {what} cannot be told)", where=where)

    def _expect_ceremony(self, expected: Expected, opened: bool) -> None:
        indices = range(1, len(self.manifest.trustees) + 1)
        for i in indices:
            steps = [ceremony_path(ceremony_file_name(kind, i)) for kind in STEPS]
            expected.must_be(steps) if opened else expected.may_be(steps)
            # Whether a complaint may stand, the ceremony's own checks say.
            expected.may_be(ceremony_path(ceremony_file_name("complaint", i, j)) for j in indices)

    def _expect_roll(self, expected: Expected, opened: bool, present: set[str]) -> None:
        if ROLL not in present and not opened:
            return
        expected.must_be([ROLL])
        bundles = -(-self._roll_count() // ROLL_BUNDLE)
        # Names are counted out only up to the first missing: the header may promise billions.
        missing = next((n for n in range(bundles) if rows_path(n) not in present), None)
        if missing is not None:
            expected.must_be([rows_path(missing)])
        rows = (name for name in present if name.startswith("roll/rows/"))
        expected.may_be(name for name in rows if row_number(name) in range(bundles))

    def _expect_log(self, expected: Expected, survey: Survey, present: set[str]) -> None:
        if any(name.startswith(OF_THE_LOG) for name in present):  # it is written before them
            expected.must_be([CHECKPOINT])
        expected.must_be(bundle_path(number, width) for number, width in _bundles(survey.size))
        expected.must_be(bodies_path(n) for n, some in enumerate(survey.ballots) if some)
        if any(TILE_FILE.fullmatch(name) for name in present):
            expected.must_be(BOARD + path for path in tile_paths(survey.size))
        if survey.tally is not None:
            expected.must_be([TALLY])
        if survey.result is not None:
            expected.must_be([RESULT])
        self._expect_mixes(expected, survey, present)
        expected.must_be(map(share_path, survey.shares))
        if survey.stage == Stage.TALLIED:  # trustees post shares before the board names them
            expected.may_be(share_path(i + 1) for i in range(len(self.manifest.trustees)))

    def _expect_mixes(self, expected: Expected, survey: Survey, present: set[str]) -> None:
        steps = range(1, len(self.manifest.mixers) + 1)
        if survey.stage == Stage.SEALED:  # how many units there are, only the ballots say
            numbers = range(MAX_UNITS if steps else 0)
            names = (name for name in present if name.startswith("mixes/"))
            allowed = {mix_path(number, step) for number in numbers for step in steps}
            expected.may_be(name for name in names if name in allowed)
        elif survey.tally is not None and steps:
            units = read_units(self.manifest, self.tally_bytes())
            expected.must_be(mix_path(unit.number, step) for unit, _ in units for step in steps)

    # -- manifest, ceremony, roll ------------------------------------------------------------------

    @cached_property
    def manifest_bytes(self) -> bytes:
        """manifest.json as it is."""
        return self.read(MANIFEST)

    @cached_property
    def manifest(self) -> Manifest:
        """The manifest, read strictly."""
        return decode_manifest(self.manifest_bytes, where=MANIFEST)

    @property
    def manifest_digest(self) -> bytes:
        """What operators and auditors compare."""
        return manifest_digest(self.manifest_bytes)

    def ceremony_files(self) -> dict[str, bytes]:
        """The files of the ceremony by their names in it, sorted.

        Raises:
            DecodingError: one of them has a name that no ceremony of this election has.
        """
        names = [name for name in listed(self._tree)[0] if name.startswith("ceremony/")]
        expected = Expected()
        self._expect_ceremony(expected, opened=False)
        for name in names:
            if name not in expected.allowed:
                raise DecodingError("no trustee has this file", where=name)
        return {name.removeprefix("ceremony/"): self.read(name) for name in names}

    def roll_header(self) -> bytes:
        """roll/roll.json as it is."""
        return self.read(ROLL)

    def _roll_count(self) -> int:
        return decode_roll(self.roll_header(), where=ROLL).count

    def roll_rows(self) -> Iterator[bytes]:
        """The rows of the roll, as many as its header says, without their line feeds.

        Raises:
            DecodingError: a line is missing, too long, without its end, or one too many.
        """
        return (row for rows in self.roll_bundles() for row in rows)

    def roll_bundles(self) -> Iterator[Sequence[bytes]]:
        """The rows of the roll, those of a file at a time; rows of one length lie side by side.

        Raises:
            DecodingError: as `roll_rows`.
        """
        count = self._roll_count()
        for first in range(0, count, ROLL_BUNDLE):
            name, width = rows_path(first // ROLL_BUNDLE), min(ROLL_BUNDLE, count - first)
            rows = self._all_lines(name, MAX_ROW + 1, width)
            yield rows if rows is not None else list(self._lines(name, MAX_ROW + 1, width))

    def roll_row_place(self, row: int) -> str:
        """Where a row is, for messages."""
        return f"{rows_path(row // ROLL_BUNDLE)}: line {row % ROLL_BUNDLE + 1}"

    def _lines(self, name: str, max_bytes: int, count: int | None = None) -> Iterator[bytes]:
        """The lines of a file, each ended by LF; exactly `count` of them if given."""
        number = 0
        with self._tree.open(name, limit_of(name)) as file:
            rest = b""
            while chunk := file.read(_LINES_AT_ONCE):
                *lines, rest = (rest + chunk).split(b"\n")
                fits = count is None or number + len(lines) <= count
                if fits and max(map(len, (*lines, rest))) <= max_bytes:
                    number += len(lines)
                    yield from lines
                    continue
                for line in lines if len(rest) <= max_bytes else (*lines, rest):
                    number += 1
                    if count is not None and number > count:
                        reason = f"only {count} lines expected"
                        raise DecodingError(reason, where=f"{name}: line {number}")
                    if len(line) > max_bytes:
                        reason = f"longer than {max_bytes} bytes"
                        raise DecodingError(reason, where=f"{name}: line {number}")
                    yield line
            if rest:
                more = number == count
                reason = f"only {count} lines expected" if more else "no end of line"
                raise DecodingError(reason, where=f"{name}: line {number + 1}")
        if count is not None and number < count:
            raise DecodingError(f"{count} lines expected, got {number}", where=name)

    # -- board -------------------------------------------------------------------------------------

    def checkpoint_bytes(self) -> bytes:
        """The signed checkpoint as it is."""
        return self.read(CHECKPOINT)

    def checkpoint(self) -> Checkpoint:
        """The head of the log, signed by the manifest's board.

        Raises:
            DecodingError: missing or malformed.
            VerificationError: another key or another log.
        """
        return open_checkpoint(self.checkpoint_bytes(), self.manifest.log_key, where=CHECKPOINT)

    def entry_bundles(self) -> Iterator[tuple[int, Sequence[bytes]]]:
        """Index of the first entry and the entries, bundle by bundle, as the checkpoint has them.

        The root is not checked here: append the leaf hashes to a `CompactRange` and compare.
        """
        return self._entry_bundles(self.checkpoint().size)

    def _entry_bundles(self, size: int, start: int = 0) -> Iterator[tuple[int, Sequence[bytes]]]:
        for number, width in _bundles(size, start):
            name = bundle_path(number, width)
            yield number * BUNDLE, decode_bundle(self.read(name), width, where=name)

    def entry_strides(self) -> Iterator[tuple[int, Sequence[bytes]]]:
        """As `entry_bundles`, but several bundles at a time where all entries have one length.

        No stride reaches beyond a multiple of 16 bundles, and none of several has above 4 MiB.
        """
        return self._entry_strides(self.checkpoint().size)

    def _entry_strides(self, size: int) -> Iterator[tuple[int, Sequence[bytes]]]:
        first, files = 0, list[bytes]()
        for number, width in _bundles(size):
            try:
                data = self.read(bundle_path(number, width))
            except EvoteError:
                yield from decode_bundles(first, files, BUNDLE)  # what is wrong there comes first
                raise
            alike = not files or len(data) == len(files[0])
            few = number % _STRIDE and len(files) * len(data) < _STRIDE_BYTES
            if not (width == BUNDLE and alike and few):
                yield from decode_bundles(first, files, BUNDLE)
                first, files = number, []
            files.append(data)
        yield from decode_bundles(first, files, size % BUNDLE or BUNDLE)

    def entries(self) -> Iterator[tuple[int, bytes, Entry]]:
        """Index, bytes and value of every entry."""
        size = self.checkpoint().size
        for first, bundle in self._entry_bundles(size):
            for index, data in enumerate(bundle, first):
                yield index, data, decode_entry(data, where=entry_place(index, size))

    def ballot_bodies(self, bundle: int) -> Iterator[bytes]:
        """The bodies of the ballot entries of a bundle, in order, none longer than one can be."""
        return self._lines(bodies_path(bundle), self._body_size + 1)

    def all_bodies(self, bundle: int, count: int) -> Sequence[bytes] | None:
        """The bodies of a bundle, if they are `count` lines that ballots can have; else None.

        Bodies of one length lie side by side. What is wrong, or too much to be read at a time,
        `ballot_bodies` reads, and says.
        """
        return self._all_lines(bodies_path(bundle), self._body_size, count)

    def _all_lines(self, name: str, max_bytes: int, count: int) -> Sequence[bytes] | None:
        """What `_lines` gives, if nothing is wrong with it."""
        most = min(count * (max_bytes + 1), _AT_ONCE)
        try:
            with self._tree.open(name, most) as file:
                data = file.read(most + 1)
        except DecodingError:
            return None
        characters, end = np.frombuffer(data, dtype=np.uint8), ord("\n")
        if len(data) > most or data[-1:] != b"\n" or np.count_nonzero(characters == end) != count:
            return None
        size, rest = divmod(len(data), count)
        if not rest:
            lines = characters.reshape((count, size))
            if size <= max_bytes + 1 and (lines[:, -1] == end).all():
                return Strings(lines[:, :-1])
        split = data[:-1].split(b"\n")
        return split if max(map(len, split)) <= max_bytes else None

    @cached_property
    def _body_size(self) -> int:
        """Bytes of the largest ballot of this election."""
        m = self.manifest
        return max(body_sizes(m.group, m.contests, m.styles, m.ballot_packs).values())

    def ballots(self, start: int = 0) -> Iterator[tuple[int, BallotEntry, bytes]]:
        """Entry index, entry and body of every submitted ballot from index `start` on.

        Raises:
            DecodingError: a bundle has more or fewer bodies than ballot entries.
        """
        size = self.checkpoint().size
        for first, bundle in self._entry_bundles(size, start):
            number = first // BUNDLE
            entries = [
                decode_entry(data, where=entry_place(i, size))
                for i, data in enumerate(bundle, first)
            ]
            found = [(i, e) for i, e in enumerate(entries, first) if isinstance(e, BallotEntry)]
            if found:
                bodies = self._lines(bodies_path(number), self._body_size + 1, len(found))
                for (index, entry), body in zip(found, bodies, strict=True):
                    if index >= start:
                        yield index, entry, body

    # -- tally -------------------------------------------------------------------------------------

    def tally_bytes(self) -> bytes:
        """tally.json as it is."""
        return self.read(TALLY)

    def tally(self) -> tuple[Tally, bytes]:
        """The tally and the digest of its file, with the outputs of the mix servers it names.

        Raises:
            DecodingError: malformed, or it names other steps than are there.
        """
        data = self.tally_bytes()
        return decode_tally(self.manifest, data, self.read, where=TALLY), file_digest(data)

    def step_bytes(self, unit: int, step: int) -> bytes | None:
        """What the step-th mix server made of a unit; None if it has not come to it."""
        name = mix_path(unit, step)
        return self.read(name) if self.has(name) else None

    def share_bytes(self, trustee: int) -> bytes:
        """A trustee's decryption shares as they are."""
        return self.read(share_path(trustee))

    def share_indices(self) -> tuple[int, ...]:
        """The trustees whose files of shares are there, ascending."""
        return tuple(
            i for i in range(1, len(self.manifest.trustees) + 1) if self.has(share_path(i))
        )

    def result_bytes(self) -> bytes:
        """result.json as it is."""
        return self.read(RESULT)

    # -- phase -------------------------------------------------------------------------------------

    def survey(self) -> Survey:
        """One pass over the log, once for each checkpoint. Without one the log is empty.

        Raises:
            DecodingError, VerificationError: the log is malformed or its entries out of order.
        """
        head = self.checkpoint_bytes() if self.has(CHECKPOINT) else b""
        if self._surveyed is None or self._surveyed[0] != head:
            self._surveyed = head, self._survey()
        return self._surveyed[1]

    def _survey(self) -> Survey:
        stage, ballots = Stage.EMPTY, bytearray()
        tally: bytes | None = None
        result: bytes | None = None
        shares: dict[int, bytes] = {}
        size = self.checkpoint().size if self.has(CHECKPOINT) else 0
        for first, stride in self._entry_strides(size):
            if stage == Stage.VOTING and read_ballot_entries(stride) is not None:
                ballots += b"\1" * -(-len(stride) // BUNDLE)
                continue
            for index, data in enumerate(stride, first):
                if not index % BUNDLE:
                    ballots.append(0)
                entry = decode_entry(data, where=entry_place(index, size))
                stage = next_stage(stage, entry, index)
                match entry:
                    case BallotEntry():
                        ballots[-1] = 1
                    case TallyEntry():
                        tally = entry.digest
                    case ShareEntry():
                        shares[entry.trustee] = entry.digest
                    case ResultEntry():
                        result = entry.digest
        return Survey(
            size=size,
            stage=stage,
            ballots=bytes(ballots),
            tally=tally,
            shares=shares,
            result=result,
        )

    def tile(self, path: str) -> bytes:
        """A hash tile by its path below the board."""
        return self.read(BOARD + path)

    @property
    def has_tiles(self) -> bool:
        """Whether there are hash tiles; records of earlier versions have none."""
        return any(TILE_FILE.fullmatch(name) for name in listed(self._tree)[0])

    def phase(self) -> Phase:
        """How far the election has come: by the board, and before it opens by the files."""
        stage = self.survey().stage
        if stage != Stage.EMPTY:
            return _PHASES[stage]
        present = set(listed(self._tree)[0])
        confirms = (
            ceremony_path(ceremony_file_name("confirm", i + 1))
            for i in range(len(self.manifest.trustees))
        )
        if ROLL in present and all(name in present for name in confirms):
            return Phase.READY
        begun = any(name.startswith("ceremony/") for name in present)
        return Phase.CEREMONY if begun else Phase.SETUP


def _bundles(size: int, start: int = 0) -> Iterator[tuple[int, int]]:
    """Number and width of the bundles of a log, from that with entry `start` on."""
    for first in range(start // BUNDLE * BUNDLE, size, BUNDLE):
        yield first // BUNDLE, min(BUNDLE, size - first)
