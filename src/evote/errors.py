"""Everything that can go wrong, as one tree.

    EvoteError
    ├── ParameterError      the caller asked for the impossible; also a ValueError
    │   ├── GroupMismatch   two arrays of different groups
    │   └── ShapeMismatch   two arrays whose shapes do not fit
    ├── DecodingError       no canonical value here, and where; also a ValueError
    ├── UnsupportedError    recognised, not implemented
    ├── QuorumError         too few valid decryption shares, and whose are missing
    └── VerificationError   well formed, and false
        ├── InvalidProof    and the indices of the proofs that fail
        └── BrokenLog       and the entry of the log

The class says whom to blame: the caller, the form of the data, or its author. Anything wrong with
data from outside is an `EvoteError`; no message ever contains a secret.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Self

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "BrokenLog",
    "DecodingError",
    "EvoteError",
    "GroupMismatch",
    "InvalidProof",
    "ParameterError",
    "QuorumError",
    "ShapeMismatch",
    "UnsupportedError",
    "VerificationError",
]


class EvoteError(Exception):
    """The root: catch this for everything that is not a bug."""


class ParameterError(EvoteError, ValueError):
    """The caller asked for the impossible."""


class GroupMismatch(ParameterError):
    """Two arrays of different groups met in one operation."""


class ShapeMismatch(ParameterError):
    """The shapes of two arrays do not fit."""


class DecodingError(EvoteError, ValueError):
    """There is no canonical value here.

    Attributes:
        where: the place, as a file and a JSON path, `manifest.json: $.contests[3].id`; or empty.
        reason: what was expected and what was found.
        indices: of an array, the positions of the bad items, ascending; empty when unknown.
    """

    def __init__(self, reason: str, *, where: str = "", indices: Iterable[int] = ()) -> None:
        self.where = where
        self.reason = reason
        self.indices = tuple(int(i) for i in indices)
        super().__init__(f"{where}: {reason}" if where else reason)

    def within(self, prefix: str) -> Self:
        """The same error, seen from the file or object that holds the place."""
        if not self.where:
            where = prefix
        elif self.where.startswith("$"):
            where = f"{prefix}: {self.where}"
        else:
            where = f"{prefix}/{self.where}"
        return type(self)(self.reason, where=where, indices=self.indices)

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild_decoding_error, (type(self), self.reason, self.where, self.indices)


def _rebuild_decoding_error(
    kind: type[DecodingError], reason: str, where: str, indices: tuple[int, ...]
) -> DecodingError:
    return kind(reason, where=where, indices=indices)


class UnsupportedError(EvoteError):
    """Recognised, and not implemented in this version."""


class QuorumError(EvoteError):
    """Too few valid decryption shares.

    Attributes:
        missing: trustee indices without a valid share, ascending.
    """

    def __init__(self, message: str, *, missing: Iterable[int] = ()) -> None:
        self.missing = tuple(missing)
        super().__init__(message)

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild_quorum_error, (str(self), self.missing)


def _rebuild_quorum_error(message: str, missing: tuple[int, ...]) -> QuorumError:
    return QuorumError(message, missing=missing)


class VerificationError(EvoteError):
    """Well formed, and false."""


class InvalidProof(VerificationError):
    """Some proofs do not hold.

    Attributes:
        what: which kind of proof.
        indices: of the proofs that fail, in C order of the statement's shape, ascending.
    """

    def __init__(self, what: str, indices: Iterable[int] = ()) -> None:
        self.what = what
        self.indices = tuple(int(i) for i in indices)
        shown = ", ".join(map(str, self.indices[:10])) + (", ..." if len(self.indices) > 10 else "")
        super().__init__(f"invalid {what} proof" + (f" at index {shown}" if self.indices else ""))

    @classmethod
    def unless(cls, holds: NDArray[np.bool_], what: str) -> None:
        """Raise unless every entry of the mask is true; an empty mask holds."""
        mask = np.asarray(holds, dtype=np.bool_).ravel()
        if not mask.all():
            raise cls(what, np.flatnonzero(~mask))

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.what, self.indices)


class BrokenLog(VerificationError):
    """The bulletin board contradicts itself.

    Attributes:
        entry: index of the first entry concerned, or None where the whole log is.
    """

    def __init__(self, message: str, *, entry: int | None = None) -> None:
        self.message = message
        self.entry = entry
        super().__init__(message if entry is None else f"entry {entry}: {message}")

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild_broken_log, (self.message, self.entry)


def _rebuild_broken_log(message: str, entry: int | None) -> BrokenLog:
    return BrokenLog(message, entry=entry)
