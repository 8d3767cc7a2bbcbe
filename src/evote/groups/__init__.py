"""Prime-order groups as arrays of elements and scalars."""

from evote.groups.base import (
    Elements,
    Group,
    OperationCount,
    Rng,
    Scalars,
    Secrecy,
    concatenate,
    stack,
)
from evote.groups.curves import Ed25519, Ristretto255, WeierstrassGroup, ed25519, ristretto255
from evote.groups.modp import ModPGroup
from evote.groups.named import GROUP_NAMES, modp_group, named_group, weierstrass_group

__all__ = [
    "GROUP_NAMES",
    "Ed25519",
    "Elements",
    "Group",
    "ModPGroup",
    "OperationCount",
    "Ristretto255",
    "Rng",
    "Scalars",
    "Secrecy",
    "WeierstrassGroup",
    "concatenate",
    "ed25519",
    "modp_group",
    "named_group",
    "ristretto255",
    "stack",
    "weierstrass_group",
]
