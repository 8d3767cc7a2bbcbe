"""A module imports only lower floors, or modules listed earlier on its own floor."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import evote

PACKAGE = Path(evote.__file__).parent

# One line a floor; a name stands for the module or for everything in the folder. Private siblings
# stand before the module whose weight they take.
FLOORS: tuple[tuple[str, ...], ...] = (
    (
        *("errors", "_accelerator", "_forms", "_hashes", "encoding", "_files", "_trees"),
        *("_archives", "_pool", "_fingerprints", "_spool", "_long_fields"),
    ),
    ("groups",),
    ("transcript", "elgamal", "commitments"),
    ("_batch", "_linear", "_one_of", "proofs"),
    (
        *("_terelius_wikstrom", "_bayer_groth", "_verificatum"),
        *(
            "mixnet",
            "_sealing",
            "operators",
            "_ceremony_messages",
            "_ceremony_steps",
            "_decryption",
        ),
        "threshold",
    ),
    (
        *("contests", "packing", "_rankings", "_transfers", "_orders", "counting", "_base32"),
        *("_mixed_ballots", "_ballot_bodies", "_ballot_tables", "ballots", "_merkle"),
        *(
            "_roll",
            "credentials",
            "_notes",
            "_witnesses",
            "_bundles",
            "_entries",
            "_tiles",
            "_receipts",
        ),
        *("_log_files", "_board_index", "board", "_evidence", "sequencer"),
    ),
    (
        *(
            "policies",
            "_powers",
            "policies",
            "_districts",
            "_mixing",
            "_belenios",
            "election",
            "mixing",
            "_mixed_results",
            "_tally_files",
            "tally",
            "_record_files",
            "record",
            "_trustee",
            "ceremony",
        ),
        *("_report", "_privacy", "_audit_roll", "_audit_log", "_audit_ballots", "_audit_jobs"),
        *("_audit_mixes", "_audit_tally"),
        *("verify", "testing"),
    ),
    (
        *(
            "_refusals",
            "_encrypted_ballots",
            "_ballot_box",
            "_submissions",
            "_founding",
            "_devices",
            "_rulings",
            "motions",
        ),
        *("fates", "disputes"),
        *("_voters", "_sheets", "_signed_lines", "_tags", "_parts", "_voter_map"),
        *("registrars", "reconcile", "turnout"),
        *("interop", "workflow", "demo", "server"),
    ),
    ("cli",),
)
PLACES = {
    name: (floor, place) for floor, names in enumerate(FLOORS) for place, name in enumerate(names)
}


def modules() -> list[Path]:
    return sorted(path for path in PACKAGE.rglob("*.py"))


def unit_of(path: Path) -> str:
    """The module or folder of the list that holds a file; empty for the front door."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return "" if parts in (("__init__",), ("__main__",)) else parts[0]


def imported(path: Path) -> Iterator[tuple[int, str]]:
    """Line and unit of every import from evote, also those inside functions."""
    package = ("evote", *path.relative_to(PACKAGE).parts[:-1])
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [tuple(alias.name.split(".")) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            start = package[: len(package) - node.level + 1] if node.level else ()
            base = (*start, *(node.module or "").split(".")) if node.module else start
            names = [(*base, alias.name) for alias in node.names]
        else:
            continue
        for name in names:
            if name[0] == "evote":
                yield node.lineno, name[1] if len(name) > 1 else ""


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_go_down(path: Path) -> None:
    unit = unit_of(path)
    if not unit:
        return  # __init__ and __main__ stand above everything
    assert unit in PLACES, f"{unit} has no floor: add it to FLOORS"
    for line, other in imported(path):
        if other == unit or (unit == "cli" and not other):  # the front door, for its version
            continue
        assert other in PLACES, f"{path.name}:{line} imports evote.{other}, which has no floor"
        assert PLACES[other] < PLACES[unit], f"{path.name}:{line}: {unit} imports {other}, above it"


def test_the_walk_sees_imports() -> None:
    """The test above would also pass if it saw nothing."""
    seen = {other for path in modules() for _, other in imported(path)}
    assert {"errors", "encoding", "groups", "elgamal", "proofs"} <= seen


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_module_says_what_it_is_and_what_is_public(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert ast.get_docstring(tree), "no module docstring"
    if path.stem.startswith("_"):
        return
    public = [
        target.id
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    ]
    assert "__all__" in public, "a public module lists its names in __all__"
