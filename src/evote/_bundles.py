"""The files in which a log's entries lie: bundles of 256, each entry after its length.

A private sibling of `board`, which is the public path to all of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from evote._forms import Strings
from evote.errors import DecodingError

BUNDLE = 256  # entries
MAX_ENTRY = 65_535  # bytes: the length field of an entry bundle
MAX_BUNDLE = BUNDLE * (2 + MAX_ENTRY)  # bytes
ENTRIES = "board/tile/entries"


def tile_name(number: int) -> str:
    """5 -> "005", 1234067 -> "x001/x234/067": the way of C2SP tiles to name the n-th of a kind."""
    groups = [f"{number % 1000:03d}"]
    while number := number // 1000:
        groups.append(f"x{number % 1000:03d}")
    return "/".join(reversed(groups))


def bundle_path(number: int, width: int = BUNDLE) -> str:
    """The path in a record of an entry bundle; `width` below 256 makes it a partial one."""
    partial = "" if width == BUNDLE else f".p/{width}"
    return f"{ENTRIES}/{tile_name(number)}{partial}"


def bodies_path(number: int) -> str:
    """The path in a record of the ballots of an entry bundle."""
    return f"ballots/{tile_name(number)}.jsonl"


def entry_place(index: int, size: int) -> str:
    """Where an entry of a log of `size` is, for messages."""
    number = index // BUNDLE
    return f"{bundle_path(number, min(BUNDLE, size - number * BUNDLE))}: entry {index}"


def encode_bundle(entries: Sequence[bytes]) -> bytes:
    """Up to 256 entries, each after its length as a big-endian u16."""
    return b"".join([part for data in entries for part in (len(data).to_bytes(2, "big"), data)])


def decode_bundle(data: bytes, count: int, *, where: str = "") -> Sequence[bytes]:
    """The `count` entries of a bundle, and nothing after them."""
    alike = _alike(data, count)
    if alike is not None:
        return alike
    entries: list[bytes] = []
    position = 0
    for _ in range(count):
        end = position + 2 + int.from_bytes(data[position : position + 2], "big")
        if position + 2 > len(data) or end > len(data):
            reason = f"{count} entries expected, the bytes end in entry {len(entries)}"
            raise DecodingError(reason, where=where)
        entries.append(data[position + 2 : end])
        position = end
    if position != len(data):
        reason = f"{len(data) - position} bytes after the {count} entries expected"
        raise DecodingError(reason, where=where)
    return entries


def decode_bundles(
    number: int, files: Sequence[bytes], count: int
) -> Iterator[tuple[int, Sequence[bytes]]]:
    """Index of the first entry and the entries of bundles of one size, from the n-th on.

    They come bundle by bundle; all at a time where all entries have one length.

    Raises:
        DecodingError: a bundle does not have `count` entries; when its turn comes.
    """
    alike = _alike(b"".join(files), count * len(files)) if len(files) > 1 else None
    if alike is not None:
        yield number * BUNDLE, alike
        return
    for i, data in enumerate(files, number):
        yield i * BUNDLE, decode_bundle(data, count, where=bundle_path(i, count))


def _alike(data: bytes, count: int) -> Strings | None:
    """The `count` entries of bundles, if all have one length, as ballots have."""
    size = 2 + int.from_bytes(data[:2], "big")
    if not count or len(data) != count * size:
        return None
    rows = np.frombuffer(data, dtype=np.uint8).reshape((count, size))
    return Strings(rows[:, 2:]) if (rows[:, :2] == rows[0, :2]).all() else None
