"""ElectionGuard's records of versions 1.0, 1.91, 2.0 and 2.1: verify them.

docs/electionguard.md says what is checked, and what cannot be.
"""

from evote.interop.electionguard._audit import audit, is_electionguard

__all__ = ["audit", "is_electionguard"]
