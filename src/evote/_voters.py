"""The voters' list that registrars work from, and the codes they draw: CSV, read as a stream.

A list has the columns `style` and, where needed, `weight`, `district`, `status`, `count` and
`identity`; in elections whose voters enrol their own keys, `request` too. An identity is whatever
tells one person from another (a name and an address, the number of a passport). It is for the
registrars alone: it goes into the codes' file, the sealed map and nowhere else, and what it says
is compared as it is written, in NFC.

Files of the offline part are made whole or not at all, readable by their owner only, and never
inside of a record.
"""

from __future__ import annotations

import csv
import os
import unicodedata
from array import array
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np

from evote._files import TEMPORARY, shown_path, sync_directory
from evote.credentials import MAX_WEIGHT, STATUSES, Status
from evote.election import Manifest
from evote.encoding import check_identifier, check_text
from evote.errors import DecodingError, ParameterError

__all__ = [
    "CODE_COLUMNS",
    "VOTER_COLUMNS",
    "Voter",
    "check_offline",
    "check_voters",
    "code_row",
    "private_file",
    "read_code_rows",
    "read_identities",
    "read_issued",
    "read_numbers",
    "read_voters",
    "write_codes",
]

VOTER_COLUMNS = ("style", "weight", "district", "status", "count", "identity", "request")
CODE_COLUMNS = ("code", "style", "weight", "district", "status", "identity")

MAX_IDENTITY = 300  # characters
_FORMULA = ("=", "+", "-", "@")  # what a spreadsheet would compute
_SHOWN = 20  # wrong lines spelled out at once


class Voter(NamedTuple):
    """One line of a list: one voter, or `repeats` of a kind who have no identity yet."""

    line: int
    style: str
    weight: int = 1
    district: str = "all"
    status: Status = "full"
    repeats: int = 1
    identity: str = ""
    request: str = ""


def read_voters(path: Path | str) -> Iterator[Voter]:
    """The voters of a list, one by one.

    Raises:
        ParameterError: a line is no voter; the file and the line are named.
    """
    for voter in _lines(Path(path)):
        if isinstance(voter, str):
            raise ParameterError(f"{_name(path)}: {voter}")
        yield voter


def check_voters(path: Path | str, manifest: Manifest) -> tuple[int, bool]:
    """Check a whole list against the manifest before anything is drawn.

    Returns:
        How many voters there are, and whether they have identities.

    Raises:
        ParameterError: names the lines that are wrong, up to twenty of them, or the total.
    """
    styles = {style.id for style in manifest.styles}
    wrong: list[str] = []
    voters = weight = named = lines = 0
    marks = array("q")
    for voter in _lines(Path(path)):
        if len(wrong) == _SHOWN:
            break
        if isinstance(voter, str):
            wrong.append(voter)
            continue
        if voter.style not in styles:
            wrong.append(f"line {voter.line}: style: the manifest has none called {voter.style!a}")
        if voter.weight > manifest.maximum_weight:
            wrong.append(f"line {voter.line}: weight: at most {manifest.maximum_weight} expected")
        if voter.status != "full" and not manifest.powers.confirm:
            wrong.append(f"line {voter.line}: status: the manifest has no way to confirm voters")
        voters += voter.repeats
        weight += voter.repeats * voter.weight
        lines += 1
        if voter.identity:
            named += 1
            marks.append(hash(voter.identity))
    if not wrong and 0 < named < lines:
        wrong.append("some lines have an identity and others have none")
    wrong = wrong or _repeated(Path(path), marks)
    if wrong:
        raise ParameterError("\n".join(f"{_name(path)}: {reason}" for reason in wrong))
    if voters > manifest.maximum_voters:
        raise ParameterError(f"{voters} voters, at most {manifest.maximum_voters} allowed")
    if weight > manifest.total_weight:
        raise ParameterError(f"a total weight of {weight}, at most {manifest.total_weight} allowed")
    return voters, named > 0


def _repeated(path: Path, marks: array[int]) -> list[str]:
    """Identities that occur twice: those whose marks do are compared in full."""
    ordered = np.sort(np.frombuffer(marks, dtype=np.int64))
    twice = set(ordered[1:][ordered[1:] == ordered[:-1]].tolist())
    seen: dict[str, int] = {}
    wrong = []
    for voter in read_voters(path) if twice else ():
        if hash(voter.identity) in twice and voter.identity:
            if voter.identity in seen:
                first = seen[voter.identity]
                wrong.append(f"line {voter.line}: the identity of line {first} again")
            seen.setdefault(voter.identity, voter.line)
    return wrong[:_SHOWN]


def _lines(path: Path) -> Iterator[Voter | str]:
    """Each line as a voter, or what is wrong with it."""
    for number, row in _table(path, VOTER_COLUMNS, ("style",)):
        if isinstance(row, str):
            yield row
            continue
        try:
            yield _voter(number, row)
        except DecodingError as error:
            yield f"line {number}: {error.where}: {error.reason}"


def read_identities(path: Path | str) -> dict[int, str]:
    """The column `identity` of any CSV, by line; for the poll book of those who voted on paper.

    Raises:
        ParameterError: a line is wrong or says who stands in one before it; it is named.
    """
    found: dict[int, str] = {}
    lines: dict[str, int] = {}
    for number, row in _table(Path(path), None, ("identity",)):
        reason = row if isinstance(row, str) else ""
        identity = ""
        if not isinstance(row, str):
            try:
                identity = _identity(row["identity"])
            except DecodingError as error:
                reason = f"line {number}: {error.where}: {error.reason}"
            if identity in lines:
                reason = f"line {number}: the identity of line {lines[identity]} again"
            elif not identity and not reason:
                reason = f"line {number}: no identity"
        if reason:
            raise ParameterError(f"{_name(path)}: {reason}")
        found[number], lines[identity] = identity, number
    return found


def read_numbers(
    path: Path | str, name: str, needed: Sequence[str], optional: Sequence[str]
) -> Iterator[tuple[str, str, dict[str, int]]]:
    """Of each line of a CSV: its place, the column `name`, and columns of whole numbers.

    Raises:
        ParameterError: a line is wrong; it is named.
    """
    columns = (name, *needed, *optional)
    for line, row in _table(Path(path), columns, (name, *needed)):
        if isinstance(row, str):
            raise ParameterError(f"{_name(path)}: {row}")
        where, numbers = f"{_name(path)}: line {line}", {}
        for column in columns[1:]:
            text = row.get(column) or ""
            if not text and column in optional:
                continue
            if not (text.isascii() and text.isdigit() and len(text) <= 10):
                raise ParameterError(f"{where}: {column}: a whole number expected")
            numbers[column] = int(text)
        yield where, row[name], numbers


def _table(
    path: Path, columns: Sequence[str] | None, needed: Sequence[str]
) -> Iterator[tuple[int, dict[str, str] | str]]:
    """Number and fields of every line; in the place of the fields what is wrong with them."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file, strict=True)
        names: list[str] | None = None
        while True:
            try:
                row = next(reader, None)
            except csv.Error as error:
                yield reader.line_num, f"line {reader.line_num}: {error}"
                return
            except UnicodeDecodeError:
                yield 0, f"not UTF-8 text after line {reader.line_num}"
                return
            if row is None:
                break
            if names is None:
                names = row
                known = set(names if columns is None else columns)
                if not set(needed) <= set(names) <= known or len(set(names)) < len(names):
                    raise ParameterError(f"{_name(path)}: {_expected(columns, needed)}")
            elif len(row) != len(names):
                reason = f"{len(names)} fields expected, got {len(row)}"
                yield reader.line_num, f"line {reader.line_num}: {reason}"
            else:
                yield reader.line_num, dict(zip(names, row, strict=True))
    if names is None:
        raise ParameterError(f"{_name(path)}: {_expected(columns, needed)}")


def _expected(columns: Sequence[str] | None, needed: Sequence[str]) -> str:
    if columns is None:
        return f"a column {', '.join(needed)} expected"
    return f"the columns are {', '.join(columns)}"


def _voter(line: int, row: dict[str, str]) -> Voter:
    status = row.get("status") or "full"
    if status not in STATUSES:
        raise DecodingError(f"one of {', '.join(STATUSES)} expected", where="status")
    identity = _identity(row.get("identity") or "")
    count = _number(row, "count", 10**9)
    if identity and count != 1:
        raise DecodingError("one voter for each identity", where="count")
    return Voter(
        line=line,
        style=check_identifier(row["style"], where="style"),
        weight=_number(row, "weight", MAX_WEIGHT),
        district=check_identifier(row.get("district") or "all", where="district"),
        status="full" if status == "full" else "provisional",
        repeats=count,
        identity=identity,
        request=row.get("request") or "",
    )


def _number(row: dict[str, str], column: str, most: int) -> int:
    if not (text := row.get(column)):
        return 1
    if not (text.isascii() and text.isdigit() and len(text) <= 10 and 1 <= int(text) <= most):
        raise DecodingError(f"a number from 1 to {most} expected", where=column)
    return int(text)


def _identity(text: str) -> str:
    """An identity in NFC; what would be something else in a spreadsheet or to the eye is none."""
    identity = unicodedata.normalize("NFC", check_text(text, where="identity"))
    if len(identity) > MAX_IDENTITY:
        raise DecodingError(f"at most {MAX_IDENTITY} characters expected", where="identity")
    if identity != identity.strip():
        raise DecodingError("it begins or ends with a space", where="identity")
    if identity.startswith(_FORMULA):
        raise DecodingError("it begins like a formula of a spreadsheet", where="identity")
    return identity


# -- codes -----------------------------------------------------------------------------------------


def code_row(code: str, voter: Voter) -> tuple[str, ...]:
    """The line of a codes' file."""
    weight = str(voter.weight)
    return (code, voter.style, weight, voter.district, voter.status, voter.identity)


def read_issued(path: Path | str, voters: Path | str) -> Iterator[tuple[str, Voter]]:
    """The codes that were drawn for the voters of a list, in its order, each with its voter.

    Raises:
        ParameterError: they are codes for others; codes are never written over.
    """
    reason = f"{_name(path)} exists, and holds no codes for these voters"
    wanted = (voter for voter in read_voters(voters) for _ in range(voter.repeats))
    found = _table(Path(path), CODE_COLUMNS, CODE_COLUMNS)
    for voter in wanted:
        _, row = next(found, (0, ""))
        if isinstance(row, str) or tuple(row.values()) != code_row(row["code"], voter):
            raise ParameterError(reason)
        yield row["code"], voter
    if next(found, None) is not None:
        raise ParameterError(reason)


def read_code_rows(path: Path | str) -> Iterator[dict[str, str]]:
    """The lines of a codes' file, by column.

    Raises:
        ParameterError: it is none.
    """
    for _, row in _table(Path(path), CODE_COLUMNS, CODE_COLUMNS):
        if isinstance(row, str):
            raise ParameterError(f"{_name(path)}: {row}")
        yield row


# -- files of the offline part ---------------------------------------------------------------------


def check_offline(record: Path | str, *files: Path | str | None) -> None:
    """Check that none of these files is in the record, which is published.

    Raises:
        ParameterError: names the one that is.
    """
    whole = Path(record).resolve()
    for file in files:
        if file is not None and Path(file).resolve().is_relative_to(whole):
            raise ParameterError(f"{_name(file)} stays offline, and the record is published")


@contextmanager
def private_file(path: Path | str) -> Iterator[IO[str]]:
    """A new text file that only its owner reads, written as a stream: whole, or not there.

    Raises:
        ParameterError: there is one of that name; it may hold what is nowhere else.
    """
    path = Path(path)
    if os.path.lexists(path):
        raise ParameterError(f"{_name(path)} exists, and is not written over")
    temporary = path.parent / (TEMPORARY + path.name)
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with open(descriptor, "w", encoding="utf-8", newline="") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)


def write_codes(path: Path | str, drawn: Iterable[tuple[str, Voter]]) -> None:
    """Write a codes' file."""
    with private_file(path) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(CODE_COLUMNS)
        writer.writerows(code_row(code, voter) for code, voter in drawn)


def _name(path: Path | str) -> str:
    return shown_path(Path(path).name)
