"""End-to-end verifiable elections: build them, run them, audit them.

Most programs start at one of three doors:

    evote.workflow    the steps of an election, on files
    evote.verify      `audit(record)`: every check of a published record, as a Report
    evote.elgamal, evote.proofs    the arithmetic, on arrays of group elements

Not promised: resistance to coercion, malware on the voter's device, secrecy against a quorum of
trustees, constant time beyond what Python allows.
"""

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
from evote.groups import Elements, Group, Scalars, Secrecy, named_group, ristretto255

__all__ = [
    "BrokenLog",
    "DecodingError",
    "Elements",
    "EvoteError",
    "Group",
    "GroupMismatch",
    "InvalidProof",
    "ParameterError",
    "QuorumError",
    "Scalars",
    "Secrecy",
    "ShapeMismatch",
    "UnsupportedError",
    "VerificationError",
    "__version__",
    "named_group",
    "ristretto255",
]

__version__ = "0.1.0"
