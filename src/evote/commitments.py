"""Pedersen commitments to vectors, under generators that anyone can derive again.

commit(values, nonce) = g^nonce h_1^values_1 ... h_w^values_w. Perfectly hiding; binding while
nobody knows a relation between g, h_1, ..., h_w, and nobody does when these come from `derive_key`:
they are hashes of a public domain.

Reference: T. Pedersen, "Non-interactive and information-theoretic secure verifiable secret sharing"
(1991).
"""

from __future__ import annotations

from dataclasses import dataclass

from evote.errors import GroupMismatch, ParameterError, ShapeMismatch
from evote.groups import Elements, Group, Scalars

__all__ = ["CommitmentKey", "commit", "derive_key"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitmentKey:
    """Independent generators: `blinding` of shape () for the nonce, `bases` (w,) for the values."""

    blinding: Elements
    bases: Elements

    def __post_init__(self) -> None:
        if self.blinding.group != self.bases.group:
            raise GroupMismatch(f"{self.blinding.group.name} met {self.bases.group.name}")
        if self.blinding.shape != () or self.bases.ndim != 1:
            raise ShapeMismatch(f"shapes {self.blinding.shape} and {self.bases.shape}")
        if self.blinding.is_identity().any() or self.bases.is_identity().any():
            raise ParameterError("the identity is no generator")

    @property
    def group(self) -> Group:
        return self.blinding.group

    @property
    def width(self) -> int:
        """How many values one commitment holds."""
        return len(self.bases)


def derive_key(group: Group, domain: bytes, width: int) -> CommitmentKey:
    """The key of a domain: g is the group's generator, the bases are hashed from the domain."""
    return CommitmentKey(blinding=group.generator, bases=group.hash_to_elements(domain, width))


def commit(key: CommitmentKey, values: Scalars, nonces: Scalars) -> Elements:
    """Commitments of shape (...) to the rows of `values` (..., width), with nonces (...).

    Cost per commitment: one fixed-base power and a multi-exponentiation of `width` terms.

    Raises:
        ShapeMismatch: `values` and `nonces` disagree, or rows are not as wide as the key.
    """
    if values.ndim == 0 or values.shape[-1] != key.width or values.shape[:-1] != nonces.shape:
        raise ShapeMismatch(
            f"values {values.shape} and nonces {nonces.shape} for a key of width {key.width}"
        )
    return key.group.multiexp(key.bases, values, axis=-1).times_power(key.blinding, nonces)
