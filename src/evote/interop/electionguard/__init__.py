"""ElectionGuard's records of versions 1.0, 1.91, 2.0 and 2.1: verify them.

docs/electionguard.md says what is checked, and what cannot be.
"""

from evote.interop.electionguard._audit import CHECKS, audit, is_electionguard
from evote.interop.electionguard._inspect import inspect

__all__ = ["CHECKS", "OMITTED", "audit", "inspect", "is_electionguard"]

OMITTED = (
    ("records of 1.53, recognised and not verified", "no record of it was at hand"),
    ("pre-encrypted ballots of 2.x", "no record of one was at hand; checks are then not done"),
    ("the public artefacts of 2.1 from before the vote", "they are in no record"),
)
