"""Belenios' vectors, and archives taken apart, changed, hashed and chained again."""

from __future__ import annotations

import base64
import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from evote.errors import DecodingError
from evote.interop.belenios._codec import Codec, codec_of

_SHARED = Path(__file__).resolve().parents[2] / "shared" / "vectors"
ROOT = Path(os.environ.get("EVOTE_VECTORS") or _SHARED) / "belenios"


def _listed(name: str) -> list[dict[str, Any]]:
    path = ROOT / name
    found: list[dict[str, Any]] = json.loads(path.read_bytes()) if path.exists() else []
    return found


CASES = _listed("tampering.json")
VECTORS = sorted(path.relative_to(ROOT).as_posix() for path in ROOT.glob("*/*.bel"))


def expected(vector: str) -> dict[str, Any]:
    """What the makers of a vector say about it; for tests alone."""
    found: dict[str, Any] = json.loads((ROOT / vector).with_name("expected.json").read_bytes())
    return found


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def dump(value: Any, *, spaces: bool = False) -> bytes:
    separators = (", ", ": ") if spaces else (",", ":")
    return json.dumps(value, ensure_ascii=False, separators=separators).encode()


def header(name: str, size: int, mtime: int, *, mode: bytes = b"0000644") -> bytes:
    block = bytearray(512)
    block[: len(name)] = name.encode()
    block[100:107], block[108:115], block[116:123] = mode, b"0000000", b"0000000"
    block[124:135], block[136:147] = b"%011o" % size, b"%011o" % mtime
    block[148:156], block[156:157] = b" " * 8, b"0"
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def records(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Name and body of every record."""
    offset = 0
    while offset < len(data):
        size = int(data[offset + 124 : offset + 135], 8)
        name = data[offset : offset + 100].rstrip(b"\0").decode()
        yield name, data[offset + 512 : offset + 512 + size]
        offset += 512 + size + -size % 512


@dataclass
class Item:
    """An event: its type, and the data before it, of which the last names the others."""

    kind: Any
    data: list[bytes] = field(default_factory=list)
    height: int | None = None
    parent: str | None = None
    extra: list[bytes] = field(default_factory=list)  # data that nothing names

    @property
    def name(self) -> str:
        name: str = self.kind[0] if isinstance(self.kind, list) else self.kind
        return name


class Parts:
    """An archive in parts; `data` puts them together again."""

    def __init__(self, data: bytes) -> None:
        (_, self.first), *others = records(data)
        self.items: list[Item] = []
        bodies: list[bytes] = []
        for name, body in others:
            if name.endswith(".data.json"):
                bodies.append(body)
            else:
                self.items.append(Item(json.loads(body)["type"], bodies))
                bodies = []

    def of(self, name: str) -> list[Item]:
        return [item for item in self.items if item.name == name]

    def data(self) -> bytes:
        mtime = int(json.loads(self.first)["timestamp"])
        written: list[tuple[str, bytes]] = [("BELENIOS", self.first)]
        parent: str | None = None
        for i, item in enumerate(self.items):
            self._name_again(item)
            event: dict[str, Any] = {} if parent is None else {"parent": item.parent or parent}
            event["height"] = i if item.height is None else item.height
            event["type"] = item.kind
            if item.data:
                event["payload"] = sha256(item.data[-1])
            bodies = [(body, "data") for body in [*item.data, *item.extra]]
            for body, kind in [*bodies, (dump(event), "event")]:
                written.append((f"{sha256(body)}.{kind}.json", body))
            parent = sha256(dump(event))
        return b"".join(
            header(name, len(body), mtime) + body + bytes(-len(body) % 512)
            for name, body in written
        )

    @staticmethod
    def _name_again(item: Item) -> None:
        """Hashes of data that are named by other data."""
        if len(item.data) < 2:
            return
        last = json.loads(item.data[-1])
        keys = {
            "Setup": ("election", "trustees", "credentials"),
            "EncryptedTally": ("encrypted_tally",),
        }.get(item.name, ("payload",))
        last |= {key: sha256(body) for key, body in zip(keys, item.data, strict=False)}
        item.data[-1] = dump(last)


# -- tampering -------------------------------------------------------------------------------------

_PLACES = {
    "election": ("Setup", 0),
    "trustees": ("Setup", 1),
    "credentials": ("Setup", 2),
    "encrypted_tally": ("EncryptedTally", 0),
    "sized_encrypted_tally": ("EncryptedTally", 1),
    "result": ("Result", 0),
    "ballot": ("Ballot", 0),
    "shuffle": ("Shuffle", 0),
    "partial_decryption": ("PartialDecryption", 0),
}


def tampered(data: bytes, case: dict[str, Any], private: dict[str, str], uuid: str) -> bytes:
    """An archive with one entry of tampering.json applied."""
    target, op = case["target"], case["op"]
    value: Any = case.get("value")
    if target == "archive-bytes":
        return _bytes_changed(data, op, value)
    parts = Parts(data)
    if target == "events":
        if op == "bad-height":
            parts.items[2].height = 3
        else:
            parts.items[2].parent = "0" * 64
        return parts.data()
    name, _, index = target.partition("[")
    kind, place = _PLACES[name]
    items, number = parts.of(kind), int(index.rstrip("]") or 0)
    item = items[number]
    if op == "drop":
        parts.items.remove(item)
    elif op == "drop-all":
        parts.items = [other for other in parts.items if other.name != kind]
    elif op == "duplicate":
        parts.items.insert(parts.items.index(items[-1]) + 1, Item(item.kind, list(item.data)))
    elif op == "owner":
        item.data[-1] = dump(json.loads(item.data[-1]) | {"owner": value})
    elif op == "swap-items":
        first, second = (items[k] for k in value)
        first.data[0], second.data[0] = second.data[0], first.data[0]
    else:
        codec = codec_of(json.loads(parts.items[0].data[0])["group"])
        found = json.loads(item.data[place])
        others = [json.loads(other.data[place]) for other in items] if name == "ballot" else []
        found = changed(found, case, codec, others)
        if case.get("resign"):
            sign(found, codec, private, uuid)
        item.data[place] = dump(found, spaces=op == "spaces")
    return parts.data()


def _bytes_changed(data: bytes, op: str, value: Any) -> bytes:
    if op == "append-zero-blocks":
        return data + bytes(1024)
    if op == "flip-byte":
        place = data.index(value.encode())
        return data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]
    assert op == "tar-mode"
    (name, body), *_ = records(data)
    mtime = int(json.loads(body)["timestamp"])
    return header(name, len(body), mtime, mode=b"0000600") + data[512:]


def changed(found: Any, case: dict[str, Any], codec: Codec, others: list[Any]) -> Any:
    """A JSON value with one operation applied."""
    op = case["op"]
    value: Any = case.get("value")
    if op == "spaces":
        return found
    if op == "extra-field":
        return found | {"extra": 1}
    if op == "reorder":
        first, second, *rest = found.items()
        return dict([second, first, *rest])
    pointer = case["pointer"]
    if op == "append":
        found.append(value)
        return found
    parent, key = reach(found, pointer)
    if op == "replace":
        parent[key] = value
    elif op == "remove":
        del parent[key]
    elif op == "swap":
        other, at = reach(found, value)
        parent[key], other[at] = other[at], parent[key]
    elif op == "copy-from-ballot":
        source, at = reach(others[value], pointer)
        parent[key] = source[at]
    else:
        parent[key] = arithmetic(op, parent[key], value, codec)
    return found


def reach(value: Any, pointer: str) -> tuple[Any, Any]:
    """The object or list that a JSON pointer leads to, and the key in it."""
    *path, last = pointer.split("/")[1:]
    for step in path:
        value = value[int(step) if isinstance(value, list) else step]
    return value, int(last) if isinstance(value, list) else last


def arithmetic(op: str, old: Any, value: Any, codec: Codec) -> Any:
    if op == "add-int":
        return old + value
    if op == "incr-scalar":
        return str((int(old) + 1) % codec.order)
    if op == "add-q":
        return str(int(old) + codec.order)
    if op == "uppercase":
        return old.upper()
    if op == "mul-g":
        [text] = codec.texts(codec.elements([old], "") * codec.group.generator)
        return text
    p = getattr(codec.group, "p", 2**255 - 19)
    if op == "negate-element":
        return str(p - int(old))
    if op == "add-p":
        return str(int(old) + p)
    assert op == "add-torsion"  # (x, y) + (0, -1) = (-x, -y)
    number = int(old, 16)
    sign_of_x, y = number >> 255, number % 2**255
    return f"{(1 - sign_of_x) << 255 | (p - y):064x}"


@cache
def secret_of(uuid: str, private: str, order: int) -> int:
    """The secret of a private credential, in version 1."""
    halves = (sha256(f"derive_credential|{uuid}|{i}|{private}".encode()) for i in range(2))
    return int("".join(halves), 16) % order


def sign(ballot: dict[str, Any], codec: Codec, private: dict[str, str], uuid: str) -> None:
    """A fresh signature of version 1, by the voter whose credential a ballot bears."""
    g = codec.group.generator
    secrets = [secret_of(uuid, text, codec.order) for text in private.values()]
    keys = codec.texts(g ** codec.scalars(secrets))
    secret = secrets[keys.index(ballot["credential"])]
    unsigned = {key: value for key, value in ballot.items() if key != "signature"}
    digest = hashlib.sha256(dump(unsigned)).digest()
    text = base64.b64encode(digest).rstrip(b"=").decode()
    nonce = 12345678901234567890
    [commitment] = codec.texts(g ** codec.scalars([nonce]))
    challenge = int(sha256(f"sig|{text}|{commitment}".encode()), 16) % codec.order
    response = (nonce - secret * challenge) % codec.order
    proof = {"challenge": str(challenge), "response": str(response)}
    ballot["signature"] = {"hash": text, "proof": proof}


def leaves(value: Any, pointer: str = "") -> Iterator[str]:
    """JSON pointers to everything in a value that is neither object nor list."""
    if isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from leaves(inner, f"{pointer}/{key}")
    else:
        yield pointer


def another(value: Any, codec: Codec) -> Any:
    """A value of the same form: the next scalar, another element, another number or text."""
    if isinstance(value, bool) or value is None:
        return not value
    if isinstance(value, int):
        return value + 1
    try:
        return arithmetic("mul-g", value, None, codec)
    except DecodingError:
        return str((int(value) + 1) % codec.order) if value.isdecimal() else value + "x"
