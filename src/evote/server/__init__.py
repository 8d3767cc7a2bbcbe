"""The parts of a board that talk over HTTP: `board`, `witness`, `monitor`.

Serving needs the extra `server`; being a client of it, and all that decides, does not.
"""

from __future__ import annotations

__all__: list[str] = []
