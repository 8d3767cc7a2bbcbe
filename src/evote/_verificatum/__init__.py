"""Verificatum's byte trees, parameters, hashes and proofs: what challenges are computed from.

An election of the profile `verificatum` has its challenges from here; `evote.interop.verificatum`
reads and writes the directories.
"""

from evote._verificatum._oracle import Oracle
from evote._verificatum._proofs import ClaimOracle
from evote._verificatum._protinfo import (
    MAX_PARTIES,
    Protocol,
    check_group,
    decode_protinfo,
    encode_protinfo,
)

__all__ = [
    "MAX_PARTIES",
    "ClaimOracle",
    "Oracle",
    "Protocol",
    "check_group",
    "decode_protinfo",
    "encode_protinfo",
]
