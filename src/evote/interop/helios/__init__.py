"""Helios (versions 3 and 4): verify elections with any number of trustees.

An election is a directory of the files that its server gives, a zip or tar archive of one, or a
bundle: one JSON file with all answers of the server. docs/helios.md says what is checked, and what
a record that passes does not show.

Reference: the Helios server's documentation of its verification, versions 3 and 4.
"""

from evote.interop._marks import is_helios
from evote.interop.helios._audit import CHECKS, OMITTED, audit
from evote.interop.helios._inspect import inspect

__all__ = ["CHECKS", "OMITTED", "audit", "inspect", "is_helios"]
