"""Verificatum's mix-net (VMN 3.0 and 3.1): verify its proofs, and write proofs that it verifies.

A directory of its has the agreed parameters, `protInfo.xml`, and a proof directory for every
session, `nizkp/<auxsid>`. `audit` verifies all of it; docs/verificatum.md says what is checked, and
where this verifier is stricter than Verificatum's own.

Reference: D. Wikström, "How to implement a stand-alone verifier for the Verificatum mix-net".
"""

from evote.interop.verificatum._audit import CHECKS, audit, is_session, is_verificatum

__all__ = ["CHECKS", "audit", "is_session", "is_verificatum"]
