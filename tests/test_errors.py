"""Errors: one tree, places that add up, and nothing lost between processes."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from evote import errors
from evote.errors import (
    BrokenLog,
    DecodingError,
    EvoteError,
    GroupMismatch,
    InvalidProof,
    ParameterError,
    QuorumError,
    ShapeMismatch,
    UnsupportedError,
    VerificationError,
)


def test_one_tree() -> None:
    kinds = [getattr(errors, name) for name in errors.__all__]
    assert all(issubclass(kind, EvoteError) for kind in kinds)
    assert {kind for kind in kinds if issubclass(kind, ValueError)} == {
        *(ParameterError, GroupMismatch, ShapeMismatch, DecodingError)
    }
    for kind in (InvalidProof, BrokenLog):
        assert issubclass(kind, VerificationError)
        assert kind.__name__ in str(errors.__doc__)


@pytest.mark.parametrize(
    "error",
    [
        EvoteError("x"),
        ParameterError("x"),
        ShapeMismatch("x"),
        DecodingError("no value", where="a.json: $.b", indices=[1, 2]),
        UnsupportedError("version 2"),
        QuorumError("too few", missing=[2, 3]),
        VerificationError("false"),
        InvalidProof("ballot", [4]),
        BrokenLog("out of place", entry=7),
        BrokenLog("all of it"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_errors_travel_between_processes(error: EvoteError) -> None:
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert str(again) == str(error)
    assert vars(again) == vars(error)


def test_places() -> None:
    error = DecodingError("no value", where="$.a")
    assert str(error) == "$.a: no value"
    assert error.within("file.json").where == "file.json: $.a"
    assert error.within("file.json").within("record").where == "record/file.json: $.a"
    assert DecodingError("no value").within("file.json").where == "file.json"
    assert str(DecodingError("no value")) == "no value"


def test_proofs_are_counted_in_c_order() -> None:
    InvalidProof.unless(np.ones((2, 3), dtype=np.bool_), "range")
    InvalidProof.unless(np.ones(0, dtype=np.bool_), "range")
    mask = np.array([[True, False], [True, True], [False, True]])
    with pytest.raises(InvalidProof, match=r"^invalid range proof at index 1, 4$") as caught:
        InvalidProof.unless(mask, "range")
    assert caught.value.indices == (1, 4)
    many = InvalidProof("range", range(12))
    assert str(many).endswith("8, 9, ...")
    assert len(many.indices) == 12


def test_logs_name_their_entry() -> None:
    assert str(BrokenLog("out of place", entry=0)) == "entry 0: out of place"
    assert str(BrokenLog("all of it")) == "all of it"
