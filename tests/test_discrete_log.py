"""Small logarithms: every value of a range is found, and nothing outside of it."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evote.errors import ParameterError, VerificationError
from evote.groups import Group, modp_group, named_group, ristretto255
from evote.groups.discrete_log import MAX_BOUND, discrete_logs

GROUPS = [ristretto255, named_group("belenios-2048"), named_group("rfc3526-2048")]


@pytest.mark.parametrize("group", GROUPS, ids=lambda g: str(g.name))
@pytest.mark.parametrize("bound", [0, 1, 2, 63, 64, 65, 300])
def test_every_value_up_to_the_bound(group: Group, bound: int) -> None:
    values = list(range(bound + 1))
    assert discrete_logs(group.generator ** group.scalars(values), bound) == values
    assert discrete_logs(group.generator**bound, bound) == [bound]
    for outside in (bound + 1, -1, bound + 2, 2 * bound + 5, -bound - 1, group.order // 2):
        with pytest.raises(VerificationError, match="at index 1"):
            discrete_logs(group.generator ** group.scalars([bound, outside]), bound)


@given(data=st.data())
@settings(max_examples=20, deadline=None)
def test_random_values(data: st.DataObject) -> None:
    bound = data.draw(st.integers(0, 10**5))
    values = data.draw(st.lists(st.integers(0, bound), max_size=6))
    assert discrete_logs(ristretto255.generator ** ristretto255.scalars(values), bound) == values


def test_backends_and_shapes(group: Group) -> None:
    bound = min(40, group.order - 1)
    values = [[0, 1, 2], [bound, 5, bound - 1]]
    assert discrete_logs(group.generator ** group.scalars(values), bound) == [
        *values[0],
        *values[1],
    ]
    assert discrete_logs(group.identity((0,)), bound) == []


def test_a_whole_tiny_group() -> None:
    tiny = modp_group(23, 11, 4, allow_weak=True)
    elements = tiny.generator ** tiny.scalars(range(11))
    assert discrete_logs(elements, 10) == list(range(11))
    with pytest.raises(VerificationError, match="at index 5, 6, 7, 8, 9, 10"):
        discrete_logs(elements, 4)


def test_a_large_range() -> None:
    values = [10**8, 10**8 - 1, 0, 12345678]
    elements = ristretto255.generator ** ristretto255.scalars(values)
    assert discrete_logs(elements, 10**8) == values


def test_bounds() -> None:
    g = ristretto255.generator
    for bound in (-1, MAX_BOUND + 1, True, 1.0):
        with pytest.raises(ParameterError):
            discrete_logs(g, bound)  # type: ignore[arg-type]
    tiny = modp_group(23, 11, 4, allow_weak=True)
    with pytest.raises(ParameterError):
        discrete_logs(tiny.generator, 11)
