"""Hashes of many rows are those of each: with evote-native, and without it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evote import _accelerator, _hashes
from evote._forms import Rows, Strings
from evote._hashes import sha256_each, sha256_rows, shake128_rows
from evote.encoding import digest, digest_rows, digests
from evote.errors import ParameterError
from evote.groups import ristretto255
from evote.transcript import Sponge, Transcript, Transcripts


@pytest.fixture(params=["native", "none"], scope="module", autouse=True)
def module(request: pytest.FixtureRequest) -> Iterator[None]:
    """With evote-native, and without it."""
    found, reason = _accelerator.native_module()
    if request.param == "native" and found is None:
        pytest.skip(reason)
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "none":
            patch.setattr(_hashes, "native_module", lambda: (None, "not asked"))
        yield


def rows_of(count: int, width: int, seed: int) -> Rows:
    return np.random.default_rng(seed).integers(0, 256, (count, width), dtype=np.uint8)


@given(st.integers(0, 20), st.integers(0, 400), st.binary(max_size=400), st.integers(0, 9))
def test_rows(count: int, width: int, prefix: bytes, seed: int) -> None:
    rows = rows_of(count, width, seed)
    each = [row.tobytes() for row in rows]
    expected = [hashlib.sha256(prefix + row).digest() for row in each]
    assert [row.tobytes() for row in sha256_rows(prefix, rows)] == expected
    assert sha256_each(prefix, each) == sha256_each(prefix, Strings(rows)) == expected
    for length in (1, 48, 168, 400):
        drawn = shake128_rows(prefix, rows, length)
        assert drawn.shape == (count, length)
        expected = [hashlib.shake_128(prefix + row).digest(length) for row in each]
        assert [row.tobytes() for row in drawn] == expected


def test_rows_of_a_transposed_array() -> None:
    rows = rows_of(40, 30, 1).T
    expected = [hashlib.sha256(b"p" + row.tobytes()).digest() for row in rows]
    assert [row.tobytes() for row in sha256_rows(b"p", rows)] == expected


def test_strings_of_several_lengths() -> None:
    items = [bytes([i]) * (i % 3) for i in range(100)]
    expected = [hashlib.sha256(b"\x00" + item).digest() for item in items]
    assert sha256_each(b"\x00", items) == expected


@given(st.integers(1, 12), st.integers(0, 60), st.integers(0, 60))
def test_digests(count: int, left: int, right: int) -> None:
    a, b = rows_of(count, left, 1), rows_of(count, right, 2)
    expected = [
        digest("purpose", b"first", x.tobytes(), b"", y.tobytes(), b"last")
        for x, y in zip(a, b, strict=True)
    ]
    found = digest_rows("purpose", b"first", a, b"", b, b"last")
    assert [row.tobytes() for row in found] == expected
    columns = [row.tobytes() for row in a], [row.tobytes() for row in b]
    assert digests("purpose", b"first", columns[0], b"", columns[1], b"last") == expected
    with pytest.raises(ParameterError, match="columns of one length"):
        digests("purpose", columns[0], [*columns[1], b""])


@pytest.mark.parametrize("before", [0, 100, 10_000])
def test_transcripts_that_fork(before: int) -> None:
    """However long the start is: beyond some length its bytes are not kept."""
    start = Transcript(b"test", ristretto255)
    start.append(b"long", bytes(before))
    rows = rows_of(10, 70, 3)
    together = Transcripts(start, len(rows))
    together.append(b"same", b"for all")
    together.append_rows(b"row", rows)
    drawn = together.squeeze(b"draw", 200)
    for row, found in zip(rows, drawn, strict=True):
        alone = start.fork()
        alone.append(b"same", b"for all")
        alone.append(b"row", row.tobytes())
        assert alone.squeeze(b"draw", 200) == found.tobytes()


def test_what_a_sponge_has_given_does_not_show_in_forks() -> None:
    sponge = Sponge(bytes(32))
    sponge.absorb(b"abc")
    sponge.squeeze(10)
    [drawn] = sponge.squeeze_each(rows_of(1, 5, 4), 20)
    twin = sponge.fork()
    twin.absorb(rows_of(1, 5, 4)[0].tobytes())
    assert twin.squeeze(20) == drawn.tobytes()
