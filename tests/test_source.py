"""What no module of the library may use, and where secrets' randomness comes from."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import evote

PACKAGE = Path(evote.__file__).parent
# Code hidden in data, and randomness that can be guessed.
FORBIDDEN = frozenset(("random", "pickle", "marshal", "shelve", "yaml", "dill", "numpy.random"))
ALLOWED = {
    "demo.py": {"random"},  # marks of voters who never were, the same for everybody
    "mutate.py": {"random"},  # changes that must be made again from their seed
    "_pool.py": {"pickle"},  # of our own processes' outcomes, which no file holds
}
CALLS = frozenset(("eval", "exec", "compile", "__import__"))


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def used(tree: ast.AST) -> Iterator[str]:
    """Modules imported, attributes reached by dots, and names called."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            yield f"{node.value.id}.{node.attr}"
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            yield node.func.id


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_no_code_in_data_and_no_guessable_randomness(path: Path) -> None:
    """attacks: G9, G10. JSON and raw bytes only; os.urandom, `secrets` or hashes of them only."""
    names = {name.replace("np.", "numpy.") for name in used(ast.parse(path.read_bytes()))}
    names |= {name.split(".")[0] for name in names}
    assert not names & (FORBIDDEN - ALLOWED.get(path.name, set()))
    assert not names & CALLS


def test_the_walk_sees_what_it_looks_for() -> None:
    source = "import random as r\nfrom pickle import loads\nnp.random.default_rng()\neval('1')"
    assert {"random", "pickle.loads", "np.random", "eval"} <= set(used(ast.parse(source)))
    everything = {name for path in modules() for name in used(ast.parse(path.read_bytes()))}
    assert {"os.urandom", "json.loads"} <= everything
