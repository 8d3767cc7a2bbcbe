"""Pedersen commitments: homomorphic, bound to every value, and derived from a public domain."""

from __future__ import annotations

import pytest

from evote.commitments import CommitmentKey, commit, derive_key
from evote.errors import GroupMismatch, ParameterError, ShapeMismatch
from evote.groups import Group, Secrecy, named_group, ristretto255


def test_commitments_are_what_they_say(group: Group) -> None:
    key = derive_key(group, b"test", 3)
    values = group.random_scalars((4, 3), secrecy=Secrecy.ONE_TIME)
    nonces = group.random_scalars(4, secrecy=Secrecy.ONE_TIME)
    made = commit(key, values, nonces)
    assert made.shape == (4,)
    for i in range(4):
        h = [key.bases[j] ** values[i, j] for j in range(3)]
        assert made[i] == group.generator ** nonces[i] * h[0] * h[1] * h[2]
    assert commit(key, values[0], nonces[0]) == made[0]
    assert commit(key, values[:0], nonces[:0]).shape == (0,)


def test_commitments_add_and_bind(group: Group) -> None:
    key = derive_key(group, b"test", 2)
    v, w = group.scalars([1, 2]), group.scalars([3, 4])
    r, s = group.scalars(5), group.scalars(6)
    assert commit(key, v, r) * commit(key, w, s) == commit(key, v + w, r + s)
    if not group.is_weak:
        others = [group.scalars(x) for x in ([1, 3], [2, 2], [2, 1])]
        assert all(commit(key, other, r) != commit(key, v, r) for other in others)
        assert commit(key, v, s) != commit(key, v, r)


def test_keys_can_be_derived_again() -> None:
    key = derive_key(ristretto255, b"a", 4)
    assert key.width == 4
    assert key.bases == ristretto255.hash_to_elements(b"a", 4)
    assert key.blinding == ristretto255.generator
    assert not key.bases.equal_mask(derive_key(ristretto255, b"b", 4).bases).any()


def test_what_does_not_fit() -> None:
    key = derive_key(ristretto255, b"a", 2)
    scalars = ristretto255.scalars
    for values, nonces in (([1], 1), ([1, 2], [1]), ([[1, 2]], 1), (1, 1), ([1, 2, 3], 1)):
        with pytest.raises(ShapeMismatch):
            commit(key, scalars(values), scalars(nonces))
    with pytest.raises(ShapeMismatch):
        CommitmentKey(blinding=key.bases, bases=key.bases)
    with pytest.raises(ShapeMismatch):
        CommitmentKey(blinding=key.blinding, bases=key.blinding)
    with pytest.raises(GroupMismatch):
        CommitmentKey(blinding=named_group("ffdhe2048").generator, bases=key.bases)
    with pytest.raises(ParameterError):
        CommitmentKey(blinding=key.blinding, bases=ristretto255.identity((2,)))
