"""Random changes, for fuzzing: `tamper` changes one thing and keeps its form, this breaks anything.

    rng = random.Random(seed)
    changed, what = mutate.mutate(data, rng)           # one file
    files, what = mutate.mutate_files(files, rng)      # a whole record, {name: bytes}

The same generator gives the same changes. JSON is changed as JSON most of the time (values
exchanged, keys doubled or gone, wrong types, huge numbers, deep nesting), archives in the fields of
their headers, and anything as bytes. A reader must end each time with a value or an `EvoteError`.

Not promised: that something changed has another meaning. White space has none in JSON.
"""

from __future__ import annotations

import json
import random
import struct
from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["mutate", "mutate_archive", "mutate_bytes", "mutate_files", "mutate_json"]

_Change = tuple[bytes, str]
_RAW = "\x00raw\x00"  # in the place of what no JSON writer writes
_MOST = 50_000  # brackets, digits, repetitions

_TOKENS = (
    *(b"", b"\0", b"\xff", b"\xc0\x80", b"\xef\xbb\xbf", b"\r\n", b"\n\n", b" ", b"\t", b"/*x*/"),
    *(b"NaN", b"-0", b"1e999", b"1.5", b"null", b"true", b"{}", b"[]", b'""', b'"', b"\\"),
    *(b"\\ud800", b"\\u0000", b"../", b"/", b"=", b"-1", b"+1", b"0x10", b"\x80\0\0\0"),
    *(b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", "\u202e".encode(), "\uff11".encode()),
)
_TEXTS = (
    *("", "0", "-1", "00", "x", " ", "\0", "\ud800", "\u202e", "\uff11", "null", "../x", "\n"),
    *("1" * 5000, "f" * 5000, "A" * 43, "=" * 8, "0" * 64, "f" * 64, "9" * 4300, "<b>", "e\u0301"),
)
_NUMBERS = (0, 1, -1, 2, 255, 256, 2**31, 2**32 - 1, 2**53, 2**63, 2**64, 2**256, -(2**63), 10**400)


def mutate(data: bytes, rng: random.Random) -> _Change:
    """One to three changes, of the kinds that fit what the bytes are; and what they were."""
    said = []
    for _ in range(rng.choice((1, 1, 1, 1, 2, 3))):
        kind = _kind_of(data)
        known = {"json": mutate_json, "lines": _mutate_line, "archive": mutate_archive}.get(kind)
        change = mutate_bytes if known is None or rng.random() < 0.35 else known
        data, what = change(data, rng)
        said.append(what)
    return data, ", ".join(said)


def _kind_of(data: bytes) -> str:
    if data[:2] == b"PK" or data[257:262] == b"ustar" or data[:3] == b"\x1f\x8b\x08":
        return "archive"
    if data[:1] not in (b"{", b"["):
        return "bytes"
    return "lines" if data.rstrip(b"\n").count(b"\n{") and data[-1:] == b"\n" else "json"


# -- bytes -----------------------------------------------------------------------------------------


def mutate_bytes(data: bytes, rng: random.Random) -> _Change:
    """Bits, bytes, runs: flipped, cut, inserted, doubled, exchanged, replaced."""
    at, size = rng.randrange(len(data) + 1), len(data)
    end = min(size, at + rng.choice((1, 1, 2, 4, 8, 32, 100, 1000)))
    before, run, after = data[:at], data[at:end], data[end:]

    def flipped() -> bytes:
        return before + bytes(b ^ (1 << rng.randrange(8)) for b in run[:1]) + run[1:] + after

    def number() -> bytes:
        value = rng.choice((0, 1, 2, size, 2**31 - 1, 2**31, 2**32 - 1, rng.randrange(2**32)))
        return before + struct.pack(rng.choice((">I", "<I")), value) + data[at + 4 :]

    def digits() -> bytes:
        start = at
        while start < size and not data[start : start + 1].isdigit():
            start += 1
        stop = start
        while stop < size and data[stop : stop + 1].isdigit():
            stop += 1
        text = rng.choice((str(rng.choice(_NUMBERS)), "9" * rng.choice((20, 5000, _MOST)), "007"))
        return data[:start] + text.encode() + data[stop:]

    changes: dict[str, Callable[[], bytes]] = {
        "a bit": flipped,
        "a byte": lambda: before + bytes([rng.randrange(256)]) + data[at + 1 :],
        "cut short": lambda: before,
        "beginning cut": lambda: data[at:],
        "a run cut": lambda: before + after,
        "a run doubled": lambda: before + run + run + after,
        "a run often": lambda: before + run * (min(_MOST, 2**20 // (len(run) + 1))) + after,
        "a run inserted": lambda: before + rng.randbytes(len(run)) + data[at:],
        "a run replaced": lambda: before + rng.randbytes(len(run)) + after,
        "a run of zeros": lambda: before + bytes(len(run)) + after,
        "a token": lambda: before + rng.choice(_TOKENS) + data[at + rng.randrange(3) :],
        "parts exchanged": lambda: after + run + before,
        "a number": number,
        "digits": digits,
        "the end doubled": lambda: data + data[at:],
    }
    what = rng.choice(sorted(changes))
    return changes[what](), f"{what} at {at}"


def _mutate_line(data: bytes, rng: random.Random) -> _Change:
    """One of the lines, or their order and number."""
    lines = data.split(b"\n")
    i = rng.randrange(len(lines))
    if rng.random() < 0.8:
        lines[i], what = mutate_json(lines[i], rng)
    else:
        j = rng.randrange(len(lines))
        what = rng.choice(("line gone", "line doubled", "lines exchanged"))
        if what == "line gone":
            del lines[i]
        elif what == "line doubled":
            lines.insert(j, lines[i])
        else:
            lines[i], lines[j] = lines[j], lines[i]
    return b"\n".join(lines), f"line {i + 1}: {what}"


# -- JSON ------------------------------------------------------------------------------------------


def mutate_json(data: bytes, rng: random.Random) -> _Change:
    """One part of a JSON text; the rest is written as it was, as far as white space tells."""
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return mutate_bytes(data, rng)
    path, parent = _place(value, rng)
    raw: dict[str, bytes] = {}
    if parent is None:
        value, what = _other(value, rng, raw)
    else:
        what = _change_in(value, parent, path[-1], rng, raw)
    separators = (", ", ": ") if b'": ' in data[:4096] else (",", ":")
    text = json.dumps(value, ensure_ascii=False, separators=separators)
    found = text.encode("utf-8", "surrogatepass")
    for token, bytes_ in raw.items():
        found = found.replace(json.dumps(token).encode(), bytes_)
    end = b"\n" if data.endswith(b"\n") else b""
    return found + end, f"${''.join(f'[{key!r}]' for key in path)}: {what}"


def _place(value: Any, rng: random.Random) -> tuple[list[str | int], Any]:
    """A path that goes down at random, and the container of what is at its end."""
    path: list[str | int] = []
    parent: Any = None
    while isinstance(value, dict | list) and value and rng.random() < 0.93:
        keys = list(value) if isinstance(value, dict) else range(len(value))
        key = rng.choice(keys)
        path.append(key)
        parent, value = value, value[key]
    return path, parent


def _change_in(whole: Any, parent: Any, key: Any, rng: random.Random, raw: dict[str, bytes]) -> str:
    what = rng.choice(("value", "value", "value", "gone", "twice", "other", "renamed", "one more"))
    if what == "value" or (what in ("renamed", "one more") and isinstance(parent, list)):
        parent[key], what = _other(parent[key], rng, raw)
    elif what == "gone":
        del parent[key]
    elif what == "other":  # a value from elsewhere
        path, above = _place(whole, rng)
        if above is not None:
            parent[key] = json.loads(json.dumps(above[path[-1]]))
    elif isinstance(parent, list):
        parent.insert(rng.randrange(len(parent) + 1), parent[key])
    elif what == "twice":
        token = f"{_RAW}{len(raw)}"
        raw[token] = json.dumps(key).encode()
        parent[token] = rng.choice((parent[key], None))
    elif what == "renamed":
        parent[str(key) + rng.choice(("x", " ", "\0", ""))] = parent.pop(key)
    else:
        parent[rng.choice(("unknown", "", "version", "format"))] = parent[key]
    return what


def _other(value: Any, rng: random.Random, raw: dict[str, bytes]) -> tuple[Any, str]:
    """Something else in the place of a value."""
    if rng.random() < 0.25:
        token = f"{_RAW}{len(raw)}"
        count = rng.choice((30, 40, 500, _MOST))
        what, raw[token] = rng.choice(
            (
                ("deep lists", b"[" * count + b"]" * count),
                ("deep objects", b'{"a":' * count + b"1" + b"}" * count),
                ("never closed", b"[" * count),
                ("digits", b"9" * count),
                ("a fraction", b"1.5"),
                ("an exponent", b"1e400"),
                ("not a number", rng.choice((b"NaN", b"-Infinity", b"-0", b"01", b"+1"))),
                ("half a surrogate", b'"\\ud83d"'),
                ("escapes", b'"' + b"\\" * (count | 1) + b'"'),
                ("escaped zero", b'"\\u0000"'),
                ("many items", b"[" + b"0," * count + b"0]"),
            )
        )
        return token, what
    if rng.random() < 0.3:
        return rng.choice((None, True, False, 0, "", [], {}, [[]], {"": None}, [0] * 300)), "type"
    if isinstance(value, bool) or value is None:
        return (not value), "turned"
    if isinstance(value, int | float):
        near = (value + 1, value - 1, -value, value * 2, str(value))
        return rng.choice((*near, *_NUMBERS)), "number"
    if isinstance(value, str):
        return _other_text(value, rng)
    items = list(value.items()) if isinstance(value, dict) else list(value)
    rng.shuffle(items)
    if isinstance(value, list) and rng.random() < 0.5:
        return rng.choice((items[:-1], items + items, items * 40)), "items"
    return (dict(items) if isinstance(value, dict) else items), "order"


def _other_text(text: str, rng: random.Random) -> tuple[str, str]:
    kind = rng.choice(("character", "character", "case", "cut", "longer", "text", "space", "zeros"))
    at = rng.randrange(len(text) + 1)
    character = rng.choice("0123456789abcdefABCDEFghXYZ+/=_-. \n\0\u00e9\u0661")
    return {
        "character": text[:at] + character + text[at + 1 :],
        "case": text.swapcase(),
        "cut": text[:at],
        "longer": text + text[at:] + character,
        "text": rng.choice(_TEXTS),
        "space": rng.choice((f" {text}", f"{text} ", f"{text}\n")),
        "zeros": f"0{text}",
    }[kind], kind


# -- archives --------------------------------------------------------------------------------------

_NAMES = (b"../../a", b"/etc/passwd", b"a\\b", b"./a", b"a//b", b"\xff\xfe", b"", b"A" * 90)


def mutate_archive(data: bytes, rng: random.Random) -> _Change:
    """A field of a header of a zip or tar; the checksum of a tar's header is made right again."""
    if data[:2] == b"PK":
        return _mutate_zip(data, rng)
    if data[257:262] == b"ustar":
        return _mutate_tar(data, rng)
    return mutate_bytes(data, rng)


def _mutate_zip(data: bytes, rng: random.Random) -> _Change:
    sizes = {b"PK\1\2": 46, b"PK\3\4": 30, b"PK\5\6": 22}
    mark = rng.choice(sorted(sizes))
    places = _positions(data, mark)
    if not places:
        return mutate_bytes(data, rng)
    start, size = rng.choice(places), sizes[mark]
    if mark != b"PK\5\6" and rng.random() < 0.4:
        at = start + size
        name = rng.choice(_NAMES)
    else:
        at = start + rng.randrange(4, size, 2)
        name = struct.pack("<H", rng.choice((0, 1, 8, 14, 0xFFFF, rng.randrange(2**16))))
    return data[:at] + name + data[at + len(name) :], f"zip header at {start}, byte {at - start}"


def _mutate_tar(data: bytes, rng: random.Random) -> _Change:
    places = [p - 257 for p in _positions(data, b"ustar")]
    start = rng.choice([p for p in places if p % 512 == 0] or [0])
    header = bytearray(data[start : start + 512])
    if len(header) < 512:
        return mutate_bytes(data, rng)
    fields = {0: 100, 100: 8, 124: 12, 136: 12, 156: 1, 157: 100, 257: 8, 345: 155}
    at = rng.choice(sorted(fields))
    value = rng.choice(
        (
            *_NAMES,
            *(b"77777777777", b"00000000000", b"-0000000001", b"\x80" + b"\xff" * 11, b"8"),
            *(b"1", b"2", b"5", b"6", b"7", b"L", b"x", b"g", b"S", b"%011o" % rng.randrange(4096)),
        )
    )[: fields[at]]
    header[at : at + fields[at]] = value + bytes(fields[at] - len(value))
    if rng.random() < 0.9:
        header[148:156] = b" " * 8
        header[148:156] = b"%06o\0 " % sum(header)
    return data[:start] + header + data[start + 512 :], f"tar header at {start}, byte {at}"


def _positions(data: bytes, mark: bytes) -> list[int]:
    found, at = [], data.find(mark)
    while at >= 0:
        found.append(at)
        at = data.find(mark, at + 1)
    return found


# -- whole records ---------------------------------------------------------------------------------


def mutate_files(files: Mapping[str, bytes], rng: random.Random) -> tuple[dict[str, bytes], str]:
    """One file changed, gone, under another name or exchanged; every kind of file as often."""
    kinds: dict[str, list[str]] = {}
    for name in sorted(files):
        kinds.setdefault("".join(c for c in name if not c.isdigit()), []).append(name)
    name = rng.choice(kinds[rng.choice(sorted(kinds))])
    changed = dict(files)
    if rng.random() < 0.85:
        changed[name], what = mutate(files[name], rng)
        return changed, f"{name}: {what}"
    other = rng.choice(sorted(files))
    what = rng.choice(("gone", "empty", "exchanged", "copied", "renamed", "a directory"))
    if what == "gone":
        del changed[name]
    elif what == "empty":
        changed[name] = b""
    elif what == "exchanged":
        changed[name], changed[other] = files[other], files[name]
    elif what == "copied":
        changed[other] = files[name]
    elif what == "renamed":
        changed[f"{name}{rng.choice(('.old', '~', '.json', '0'))}"] = changed.pop(name)
    else:
        changed[f"{name}/x"] = changed.pop(name)
    second = f" with {other}" if what in ("exchanged", "copied") else ""
    return changed, f"{name}: {what}{second}"
