"""What occurs twice is found, whether it fits in memory or not."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from evote._fingerprints import (
    NO_MARKS,
    Fingerprints,
    Marks,
    fingerprint_rows,
    join_marks,
    mark_rows,
)


def array(values: list[int]) -> NDArray[np.uint64]:
    return np.array(values, dtype=np.uint64)


def expected(pairs: list[tuple[int, int]]) -> dict[int, tuple[int, ...]]:
    owners = defaultdict(list)
    for value, owner in pairs:
        owners[value].append(owner)
    return {value: tuple(sorted(found)) for value, found in owners.items() if len(found) > 1}


VALUES = st.one_of(st.integers(0, 6), st.integers(2**64 - 3, 2**64 - 1), st.just(256))


@given(
    st.lists(st.lists(st.tuples(VALUES, st.integers(0, 2**64 - 1)), max_size=8), max_size=4),
    st.integers(2, 20),
)
@settings(deadline=None, max_examples=30)
def test_repeats_are_found(batches: list[list[tuple[int, int]]], limit: int) -> None:
    """In memory and over files, in any batches: the same."""
    with Fingerprints(limit=limit) as found:
        for batch in batches:
            found.add(array([v for v, _ in batch]), array([o for _, o in batch]))
        repeated = list(found.repeated())
    assert dict(repeated) == expected([pair for batch in batches for pair in batch])
    assert len(dict(repeated)) == len(repeated)


def test_files_are_used_and_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with Fingerprints(limit=10) as found:
        found.add(array(list(range(300))), array(list(range(300))))
        found.add(array([7]), array([1000]))
        assert any(tmp_path.iterdir())
        assert list(found.repeated()) == [(7, (7, 1000))]
    assert not any(tmp_path.iterdir())


def test_nothing_added() -> None:
    with Fingerprints() as found:
        assert list(found.repeated()) == []


def test_removed_also_after_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    found = Fingerprints(limit=0)
    found.add(array([1]), array([1]))
    assert any(tmp_path.iterdir())
    with pytest.raises(KeyError), found:
        raise KeyError
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("size", [1, 7, 8, 9, 32, 256])
def test_rows_by_their_ends(size: int) -> None:
    rows = [bytes([i]) * size for i in (1, 2, 1)]
    first, second, third = fingerprint_rows(b"".join(rows), size).tolist()
    assert first == third != second
    assert first == int.from_bytes(rows[0][-8:], "little")


def test_no_rows() -> None:
    assert fingerprint_rows(b"", 32).shape == (0,)


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 3)), max_size=20))
def test_marks_that_several_owners_have(pairs: list[tuple[int, int]]) -> None:
    """Whatever one owner has twice is shared with nobody by that."""
    values = np.array([value for value, _ in pairs], dtype=np.uint64)
    marks = Marks(values, np.array([owner for _, owner in pairs], dtype=np.intp))
    owners = {value: {o for v, o in pairs if v == value} for value, _ in pairs}
    assert marks.shared().tolist() == [len(owners[value]) > 1 for value, _ in pairs]
    expected = {o: {v for v, owner in pairs if owner == o} for _, o in pairs}
    assert marks.by_owner() == expected
    assert sorted(marks.of([0, 2]).tolist()) == sorted(v for v, o in pairs if o in (0, 2))
    names = np.array([7, 5, 3, 1], dtype=np.intp)
    both = join_marks([marks.whose(names), NO_MARKS])
    assert both.by_owner() == {int(names[owner]): found for owner, found in expected.items()}


def test_marks_of_rows() -> None:
    rows = np.arange(4 * 20, dtype=np.uint8).reshape((2, 40))
    marks = mark_rows(np.array([9, 4], dtype=np.intp), rows, 20)
    assert marks.values.tolist() == fingerprint_rows(rows.tobytes(), 20).tolist()
    assert marks.owners.tolist() == [9, 9, 4, 4]
