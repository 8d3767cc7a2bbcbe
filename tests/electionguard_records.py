"""ElectionGuard's vectors, the mutations of their tampering.json, and a memory for their powers."""

from __future__ import annotations

import base64
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from evote.groups import Group, ModPGroup, named_group

_SHARED = Path(__file__).resolve().parents[2] / "shared" / "vectors"
ROOT = Path(os.environ.get("EVOTE_VECTORS") or _SHARED) / "electionguard"
VECTORS = {
    "eg10-minimal": (0, "1.0"),
    "eg10-full": (0, "1.0"),
    "eg10-toy-bad": (1, "1.0"),
    "eg191-bad": (1, "1.91"),
    "eg20-chained": (0, "2.0"),
    "eg21-ec": (0, "2.1"),
    "eg21-ec-chain-partial": (3, "2.1"),
    "eg21-int-partial": (3, "2.1"),
}
_GROUPS = ("electionguard-1.0-4096", "electionguard-2.0-4096", "P-256")


def cases() -> list[dict[str, Any]]:
    path = ROOT / "tampering.json"
    if not path.exists():
        return []
    found: list[dict[str, Any]] = json.loads(path.read_bytes())
    return found


def copy_writable(source: Path, target: Path) -> Path:
    """A copy whose files can be changed, whatever the modes of the original."""
    for path in [source, *source.rglob("*")]:
        place = target / path.relative_to(source)
        if path.is_dir():
            place.mkdir(parents=True)
        else:
            shutil.copyfile(path, place)
    return target


def read(path: Path) -> Any:
    return json.loads(path.read_bytes())


def write(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, separators=(",", ":")), encoding="utf-8")


# -- the language of mutations ---------------------------------------------------------------------


def _group_of(vector: str) -> Group:
    if vector.startswith("eg10"):
        return named_group(_GROUPS[0])
    return named_group(_GROUPS[2 if vector.startswith("eg21-ec") else 1])


class _Text:
    """How a string of a vector stands for bytes."""

    def __init__(self, vector: str, file: str, pointer: str) -> None:
        constants = file.endswith("constants.json")
        plain = constants or pointer.endswith("code_baux")
        self.base64 = vector.startswith("eg21") and not plain
        self.lower = vector.startswith("eg21") and constants

    def decode(self, text: str) -> bytes:
        return base64.b64decode(text) if self.base64 else bytes.fromhex(text)

    def encode(self, data: bytes) -> str:
        if self.base64:
            return base64.b64encode(data).decode("ascii")
        return data.hex() if self.lower else data.hex().upper()


def _steps(pointer: str) -> list[str]:
    return pointer.split("/")[1:]


def look_up(value: Any, pointer: str) -> Any:
    for step in _steps(pointer):
        value = value[int(step)] if isinstance(value, list) else value[step]
    return value


def replace(value: Any, pointer: str, new: Any) -> None:
    *path, last = _steps(pointer)
    for step in path:
        value = value[int(step)] if isinstance(value, list) else value[step]
    value[int(last) if isinstance(value, list) else last] = new


def _joint_key(root: Path) -> str:
    context = root / "context.json"
    if context.exists():
        key = read(context)["elgamal_public_key"]
    else:
        key = read(root / "election_initialized.json")["joint_public_key"]
    return str(key["data"] if isinstance(key, dict) else key)


def apply(root: Path, step: Mapping[str, Any]) -> None:
    """One mutation of the record that `root` is a copy of."""
    vector, _, name = step["file"].partition("/")
    path, pointer, mutation = root / name, step["json_pointer"], step["mutation"]
    verb, _, argument = mutation.partition(":")
    if verb == "delete-file":
        path.unlink()
        return
    if verb == "copy-file-to":
        shutil.copyfile(path, root / argument)
        return
    value = read(path)
    old = look_up(value, pointer)
    if verb == "set":
        replace(value, pointer, json.loads(argument))
    elif verb == "remove":
        *path_to, last = _steps(pointer)
        inner = look_up(value, "".join(f"/{step}" for step in path_to))
        del inner[int(last) if isinstance(inner, list) else last]
    elif verb == "increment":
        replace(value, pointer, old + 1)
    elif verb == "swap-with":
        other = look_up(value, argument)
        replace(value, pointer, other)
        replace(value, argument, old)
    elif verb == "replace-from":
        file, _, place = argument.partition("#")
        replace(value, pointer, look_up(read(ROOT / file), place))
    else:
        _change_bytes(root, vector, value, pointer, verb, name)
    write(path, value)


def _change_bytes(root: Path, vector: str, value: Any, pointer: str, verb: str, name: str) -> None:
    text = look_up(value, pointer)
    if isinstance(text, dict):
        pointer, text = f"{pointer}/data", text["data"]
    form, group = _Text(vector, name, pointer), _group_of(vector)
    data = form.decode(text)
    number = int.from_bytes(data, "big")
    if verb == "flip":
        data = data[:-1] + bytes([data[-1] ^ 1])
    elif verb == "flip-sign":
        data = bytes([data[0] ^ 1]) + data[1:]
    elif verb == "negate":
        assert isinstance(group, ModPGroup)
        data = int(group.p - number).to_bytes(group.element_size, "big")
    elif verb == "add-q":
        number += group.order
        data = number.to_bytes((number.bit_length() + 7) // 8, "big")
    elif verb in ("mul-g", "mul-K"):
        key = form.decode(_joint_key(root)).rjust(group.element_size, b"\0")
        factor = group.generator if verb == "mul-g" else group.decode_elements(key, ())
        padded = data.rjust(group.element_size, b"\0")
        data = (group.decode_elements(padded, (), allow_identity=True) * factor).encode()
    else:
        raise ValueError(f"no mutation {verb!r}")
    replace(value, pointer, form.encode(data))


# -- a memory --------------------------------------------------------------------------------------


@contextmanager
def remembered() -> Iterator[None]:
    """Let the kernels of ElectionGuard's groups answer the same question once.

    A mutation changes little of a record, and audits of records that are nearly equal ask nearly
    the same. Every answer is the kernel's own.
    """
    changed: list[tuple[Any, str]] = []
    for name in _GROUPS:
        kernel = named_group(name)._kernel
        for method, wrap in (
            ("powers", _remember_powers),
            ("powers_of_one", _remember_fixed),
            ("decode", _remember_decode),
        ):
            setattr(kernel, method, wrap(getattr(kernel, method), named_group(name).element_size))
            changed.append((kernel, method))
    try:
        yield
    finally:
        for kernel, method in changed:
            delattr(kernel, method)


def _filled(
    known: dict[Any, Any], keys: Sequence[Any], ask: Callable[[list[int]], Sequence[Any]]
) -> list[Any]:
    """Answers by key; those that are not known are asked for together."""
    missing = [i for i, key in enumerate(keys) if key not in known]
    if missing:
        known |= zip((keys[i] for i in missing), ask(missing), strict=True)
    return [known[key] for key in keys]


def _remember_powers(powers: Any, _: int) -> Any:
    known: dict[Any, Any] = {}

    def wrapped(bases: Sequence[Any], exponents: Sequence[int]) -> list[Any]:
        keys = [(base, int(e)) for base, e in zip(bases, exponents, strict=True)]
        return _filled(
            known, keys, lambda at: powers([bases[i] for i in at], [exponents[i] for i in at])
        )

    return wrapped


def _remember_fixed(powers: Any, _: int) -> Any:
    known: dict[Any, Any] = {}

    def wrapped(base: Any, exponents: Sequence[int], bits: int) -> list[Any]:
        keys = [(base, int(e)) for e in exponents]
        return _filled(known, keys, lambda at: powers(base, [exponents[i] for i in at], bits))

    return wrapped


def _remember_decode(decode: Any, width: int) -> Any:
    known: dict[bytes, Any] = {}

    def wrapped(data: bytes) -> list[Any]:
        keys = [bytes(data[i : i + width]) for i in range(0, len(data), width)]
        return _filled(known, keys, lambda at: decode(b"".join([keys[i] for i in at])))

    return wrapped
