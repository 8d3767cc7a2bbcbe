"""Belenios: verify the archives of its elections, of protocol versions 1 and 2.

An archive, `<uuid>.bel`, holds everything of an election, from its setup to its result:

    report = belenios.audit("8F82iMB8XaUKFR.bel", extends="yesterday.bel")

Not verified: that each voter has one credential and nobody else knows it; that names of trustees
and times are true; how rankings are counted.

Reference: S. Glondu, "Belenios specification", versions 1.17 to 3.3, and the branch of 4.0.
"""

from evote.interop.belenios._audit import CHECKS, audit, is_belenios
from evote.interop.belenios._inspect import inspect

__all__ = ["CHECKS", "OMITTED", "audit", "inspect", "is_belenios"]

OMITTED = (
    ("that each voter has one credential, and nobody else", "it is in no archive"),
    ("the certificate of the credentials", "its form is in no document; its presence is a warning"),
    ("names of trustees, times", "nothing in an archive binds them"),
    ("how rankings are counted", "an archive ends with the decrypted answers"),
)
