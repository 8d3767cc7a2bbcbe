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
from evote.groups.curves import Ristretto255, ristretto255
from evote.groups.modp import ModPGroup
from evote.groups.named import GROUP_NAMES, modp_group, named_group

__all__ = [
    "GROUP_NAMES",
    "Elements",
    "Group",
    "ModPGroup",
    "OperationCount",
    "Ristretto255",
    "Rng",
    "Scalars",
    "Secrecy",
    "concatenate",
    "modp_group",
    "named_group",
    "ristretto255",
    "stack",
]
