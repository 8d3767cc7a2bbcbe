"""Hashes of many rows of one length: by `evote-native` in one call, or one after the other."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

from evote._accelerator import native_module
from evote._forms import Rows, Strings, from_rows, to_rows

__all__ = ["sha256_each", "sha256_rows", "shake128_rows"]

_FEW = 8  # strings that are not worth an array


def sha256_rows(prefix: bytes, rows: Rows) -> Rows:
    """SHA-256 of the prefix and each row, shape (n, 32)."""
    count, width = rows.shape
    module, _ = native_module()
    if module is not None and width:
        data = module.sha256_rows(prefix, rows.tobytes(), width)
    else:
        start = hashlib.sha256(prefix)
        data = b"".join([_digest(start.copy(), row) for row in from_rows(rows)])
    return np.frombuffer(data, dtype=np.uint8).reshape((count, 32))


def _digest(hash_: hashlib._Hash, row: bytes) -> bytes:
    hash_.update(row)
    return hash_.digest()


def sha256_each(prefix: bytes, items: Sequence[bytes]) -> Sequence[bytes]:
    """SHA-256 of the prefix and each string; side by side if they are."""
    if isinstance(items, Strings):
        return Strings(sha256_rows(prefix, items.rows))
    sizes = np.fromiter(map(len, items), dtype=np.int64, count=len(items))
    kinds = sorted(set(sizes.tolist()))
    if len(items) < _FEW * len(kinds) or native_module()[0] is None:
        return [hashlib.sha256(prefix + item).digest() for item in items]
    found = [b""] * len(items)
    for size in kinds:
        where = np.flatnonzero(sizes == size).tolist()
        rows = to_rows([items[i] for i in where])
        for i, hash_ in zip(where, from_rows(sha256_rows(prefix, rows)), strict=True):
            found[i] = hash_
    return found


def shake128_rows(prefix: bytes, rows: Rows, length: int) -> Rows:
    """The first `length` bytes of SHAKE128 of the prefix and each row, shape (n, length)."""
    count, width = rows.shape
    module, _ = native_module()
    if module is not None and width:
        data = module.shake128_rows(prefix, rows.tobytes(), width, length)
    else:
        start = hashlib.shake_128(prefix)
        drawn = []
        for row in from_rows(rows):
            twin = start.copy()
            twin.update(row)
            drawn.append(twin.digest(length))
        data = b"".join(drawn)
    return np.frombuffer(data, dtype=np.uint8).reshape((count, length))
