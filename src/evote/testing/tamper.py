"""Change one thing at a time: in statements and proofs, in JSON, in bytes, in a directory of files.

A verifier is only as good as the changes it refuses, so a test makes all of them:

    @pytest.mark.parametrize("where, forged", tamper.each_field(STATEMENT))
    def test_rejects(where, forged):
        with pytest.raises(InvalidProof):
            verify_x(forged, PROOF, transcript())

Each function yields (where, changed) and leaves the original as it was; `where` says what was
changed. All of it is deterministic. Changes are small and stay well formed where they can (a group
element becomes another element, not noise), so that they get past a decoder and meet the check
that is meant to refuse them. Use real group orders: with q = 13 one forgery in thirteen verifies.

Not promised: that a change is a forgery. An attacker computes; these tools do not.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import numpy as np

from evote.encoding import JSON
from evote.errors import ParameterError
from evote.groups import Elements, Scalars

__all__ = [
    "JSONPath",
    "each_byte",
    "each_field",
    "each_json",
    "each_listing",
    "read_files",
    "shown_json_path",
    "write_files",
]

JSONPath: TypeAlias = tuple[str | int, ...]
_T = TypeVar("_T")


# -- values ----------------------------------------------------------------------------------------


def each_field(value: _T, where: str = "") -> Iterator[tuple[str, _T]]:
    """Every leaf of a value changed alone: a tree of dataclasses and tuples over

        Elements, Scalars   one entry after the other: times g, plus 1
        int, str, bytes     another of the same length, integers up by five
        None                nothing: there is no value to change

    `where` is a path such as "commitments.alpha[1, 0]", indices in C order. A change that the
    constructors themselves refuse is left out: no verifier ever meets it.

    Raises:
        ParameterError: there is a leaf of another type, which would go unchanged.
    """
    for path, changed in _changes(value, where):
        yield path.removeprefix("."), changed


def _changes(value: Any, where: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Elements | Scalars):
        yield from _array_changes(value, where)
    elif is_dataclass(value) and not isinstance(value, type):
        for field in fields(value):
            for path, inner in _changes(getattr(value, field.name), f"{where}.{field.name}"):
                try:
                    changed = replace(value, **{field.name: inner})
                except ParameterError:
                    continue
                yield path, changed
    elif isinstance(value, tuple):
        for i, item in enumerate(value):
            for path, inner in _changes(item, f"{where}[{i}]"):
                yield path, (*value[:i], inner, *value[i + 1 :])
    elif type(value) is int:
        yield where, value + 5
    elif isinstance(value, str):
        yield where, _other_text(value)
    elif isinstance(value, bytes):
        yield where, bytes([value[0] ^ 1]) + value[1:] if value else b"\0"
    elif value is not None:
        raise ParameterError(f"{where or 'value'}: nobody changes a {type(value).__name__}")


def _array_changes(
    array: Elements | Scalars, where: str
) -> Iterator[tuple[str, Elements | Scalars]]:
    group = array.group
    for index in np.ndindex(array.shape):
        one_hot = np.zeros(array.shape, dtype=np.int64)
        one_hot[index] = 1
        shift = group.scalars(one_hot)
        path = f"{where}[{', '.join(map(str, index))}]" if index else where
        if isinstance(array, Elements):
            yield path, array * group.generator**shift
        else:
            yield path, array + shift


def _other_text(text: str) -> str:
    """Another text of the same length whose first character is of the same kind."""
    if not text:
        return "x"
    first = text[0]
    # 0 <-> 1, a <-> b, A <-> B: hex digits stay hex digits, and base64url stays canonical.
    for low, high in ("01", "ab", "AB"):
        if first in (low, high):
            return (high if first == low else low) + text[1:]
    if first.isdigit():
        return "0" + text[1:]
    return ("A" if first.isupper() else "a") + text[1:]


# -- JSON ------------------------------------------------------------------------------------------


def each_json(value: JSON) -> Iterator[tuple[JSONPath, JSON]]:
    """Every part of a JSON value changed alone; the path is that of what was changed.

    Leaves: text to another of the same length, and to none; integers up and down by one; truth
    values turned. Containers: a field missing, a field too many, a list without its last item,
    with its last item twice, and with its first two items exchanged.
    """
    if isinstance(value, dict):
        for key, inner in value.items():
            for path, changed in each_json(inner):
                yield (key, *path), {**value, key: changed}
            yield (key,), {name: item for name, item in value.items() if name != key}
        yield ("unknown",), {**value, "unknown": 0}
    elif isinstance(value, list):
        for i, inner in enumerate(value):
            for path, changed in each_json(inner):
                yield (i, *path), [*value[:i], changed, *value[i + 1 :]]
        if value:
            yield (), value[:-1]
            yield (), [*value, value[-1]]
        if len(value) > 1 and value[0] != value[1]:
            yield (), [value[1], value[0], *value[2:]]
    elif isinstance(value, str):
        yield (), _other_text(value)
        if value:
            yield (), ""
    elif type(value) is int:
        yield (), value + 1
        yield (), value - 1
    elif isinstance(value, bool):
        yield (), not value
    else:
        yield (), 0


def shown_json_path(path: Sequence[str | int]) -> str:
    """("contests", 3, "id") -> "$.contests[3].id"."""
    return "$" + "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in path)


# -- bytes and files -------------------------------------------------------------------------------


def each_byte(data: bytes, mask: int = 1) -> Iterator[tuple[int, bytes]]:
    """Each byte in turn, its bits of `mask` flipped; with the byte's position.

    Mask 1 keeps most characters in their kind (0 <-> 1, b <-> c, "." <-> "/"), 32 changes the case
    of letters, 128 makes no ASCII.
    """
    for position, byte in enumerate(data):
        yield position, data[:position] + bytes([byte ^ mask]) + data[position + 1 :]


def read_files(directory: Path | str) -> dict[str, bytes]:
    """All files below a directory by their paths in it, sorted."""
    root = Path(directory)
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


def write_files(directory: Path | str, files: Mapping[str, bytes]) -> None:
    """Write files, and remove every other file below the directory; empty directories go too."""
    root = Path(directory)
    root.mkdir(parents=True, exist_ok=True)
    for path in sorted(root.rglob("*"), reverse=True):
        if path.is_dir() and not any(path.iterdir()):
            path.rmdir()
        elif path.is_file() and path.relative_to(root).as_posix() not in files:
            path.unlink()
    for name, data in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.is_file() or path.read_bytes() != data:
            path.write_bytes(data)


def each_listing(
    files: Mapping[str, bytes],
) -> Iterator[tuple[str, tuple[str, ...], dict[str, bytes]]]:
    """What can befall whole files: (what happened, the names concerned, the files after it).

    Each file missing, cut in the middle and by its last byte, emptied, with a byte too many, with
    an empty line too many, doubled, renamed, copied, and exchanged with every other file.
    """
    names = sorted(files)
    for name in names:
        data = files[name]
        others = {key: item for key, item in files.items() if key != name}
        yield "missing", (name,), others
        for what, changed in (
            ("empty", b""),
            ("cut in half", data[: len(data) // 2]),
            ("cut by a byte", data[:-1]),
            ("a byte too many", data + b"\0"),
            ("a line too many", data + b"\n"),
            ("doubled", data + data),
        ):
            yield what, (name,), {**others, name: changed}
        yield "renamed", (name, f"{name}.old"), {**others, f"{name}.old": data}
        yield "copied", (f"{name}.old",), {**files, f"{name}.old": data}
    for i, first in enumerate(names):
        for second in names[i + 1 :]:
            if files[first] != files[second]:
                swapped = {**files, first: files[second], second: files[first]}
                yield "exchanged", (first, second), swapped
