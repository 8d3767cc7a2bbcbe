"""How much less does one build of evote-native take than another, call by call?

    python benchmarks/bench_builds.py BEFORE.so AFTER.so [--n N] [--seconds S]

Both are loaded by this process and do the same call on the same data in turn, in one thread: what
else the machine does meets both. One JSON object a line; `ratio` is the median of the times of
AFTER over those of BEFORE beside them, `us` their least, in microseconds for each row.
"""

from __future__ import annotations

import argparse
import json
import secrets
import statistics
import time
from collections.abc import Callable
from importlib.machinery import ExtensionFileLoader
from importlib.util import module_from_spec, spec_from_file_location
from typing import Any

from _bench import processor

_FEW = 512  # rows of what takes ten microseconds each
_ITEM = 128  # bytes


def load(path: str) -> Any:
    """A build of its own, beside others of the same name."""
    loader = ExtensionFileLoader("evote_native", path)
    spec = spec_from_file_location("evote_native", path, loader=loader)
    if spec is None:
        raise SystemExit(f"{path}: no extension module")
    module = module_from_spec(spec)
    loader.exec_module(module)
    module.set_threads(1)
    return module


def calls(module: Any, uniform: bytes, long: bytes, short: bytes) -> dict[str, Callable[[], Any]]:
    """What is timed, on points and exponents of 32 bytes that all builds share."""
    group = module.Edwards("ristretto255")
    encoded = group.encode(group.from_uniform(uniform))
    items, _ = group.decode(encoded)
    table = group.table(items[:_ITEM], 253)
    few, fewer = items[: _ITEM * _FEW], long[: 32 * _FEW]
    return {
        "decode": lambda: group.decode(encoded),
        "encode": lambda: group.encode(items),
        "multiexp, 253 bits": lambda: group.multiexp(items, long, 1),
        "multiexp, 128 bits": lambda: group.multiexp(items, short, 1),
        "fixed base, constant time": lambda: table.powers(long),
        "variable base, constant time": lambda: group.powers_constant_time(few, fewer),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("builds", nargs=2)
    parser.add_argument("--n", type=int, default=4096)
    parser.add_argument("--seconds", type=float, default=4)
    options = parser.parse_args()
    n = options.n
    long = b"".join(secrets.randbits(252).to_bytes(32, "little") for _ in range(n))
    short = b"".join(secrets.randbits(128).to_bytes(32, "little") for _ in range(n))
    uniform = secrets.token_bytes(64 * n)
    before, after = (calls(load(path), uniform, long, short) for path in options.builds)
    for what in before:
        times: list[tuple[float, float]] = []
        begin = time.perf_counter()
        while len(times) < 9 or time.perf_counter() - begin < options.seconds:
            start = time.perf_counter()
            before[what]()
            middle = time.perf_counter()
            after[what]()
            times.append((middle - start, time.perf_counter() - middle))
        rows = min(n, _FEW) if what.startswith("variable") else n
        result = {
            "question": "builds",
            "group": "ristretto255",
            "backend": "native",
            "what": what,
            "n": rows,
            "runs": len(times),
            "ratio": round(statistics.median(b / a for a, b in times), 3),
            "us": [round(min(each) / rows * 1e6, 3) for each in zip(*times, strict=True)],
            "processor": processor(),
        }
        print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
