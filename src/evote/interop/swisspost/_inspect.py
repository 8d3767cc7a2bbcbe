"""What a file of Swiss Post's cases is, for `evote inspect`."""

from __future__ import annotations

from evote._trees import SingleFile, Tree
from evote.errors import DecodingError
from evote.interop._inspection import Inspection
from evote.interop.swisspost._audit import is_swisspost, read_cases
from evote.interop.swisspost._reading import profile_of

__all__ = ["inspect"]


def inspect(tree: Tree) -> Inspection | None:
    """What a file is; None if it holds no such cases."""
    if not isinstance(tree, SingleFile) or not is_swisspost(tree):
        return None
    files, size = tree.size()
    try:
        cases = read_cases(tree.path)[1]
    except DecodingError:
        return None
    profile = profile_of(cases)
    count = len(cases) if isinstance(cases, list) else 0
    return Inspection(
        system="Swiss Post",
        version=profile.name if profile is not None else None,
        form=tree.kind,
        files=files,
        size=size,
        notes=(f"{count} cases of arguments, proofs or hashes",),
    )
