"""Does the time of a constant-time call depend on its secret?

    python benchmarks/bench_constant_time.py [--group NAMES] [--n CALLS] [--backend NAME]

As dudect does (Reparaz, Balasch, Verbauwhede, "Dude, is my code constant time?", 2017): calls with
a fixed secret and calls with a random one are timed in random order, and Welch's t-test asks
whether the two have different means. Each is asked of all times and of those below several
percentiles; `t` is the largest in absolute value. One JSON object a line.

`control` is the same for two classes of random secrets: what the machine's noise alone brings
about. A `t` far above it, and growing with the root of `n`, is a leak; on a shared machine 5 to 10
happens without one. A small `t` is no proof: it says that so many calls showed nothing. The last
lines of a group are calls that are *not* constant-time: the test sees those.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence

import numpy as np
from _bench import Bench, arguments
from numpy.typing import NDArray

from evote.groups import Elements, Group, Scalars, Secrecy

GROUPS = "ristretto255,ed25519,P-256,belenios-2048,rfc3526-2048"
_LANES = 8  # secrets of a call: what is computed at once
_PERCENTILES = (100, 99, 95, 90, 80, 60, 40)

Call = Callable[[Scalars], object]


def fixed_secrets(group: Group) -> dict[str, list[int]]:
    q = group.order
    return {
        "zero": [0] * _LANES,
        "one": [1] * _LANES,
        "q - 1": [q - 1] * _LANES,
        "sparse": [1 << (q.bit_length() - 2)] * _LANES,
        "some": [q // 3] * _LANES,
    }


def calls(group: Group) -> dict[str, Call]:
    """Calls that take constant time, on eight secrets each."""
    bases = group.hash_to_elements(b"bench", _LANES)
    one = bases[0]
    _ = one ** group.random_scalars(4096, secrecy=Secrecy.ONE_TIME)  # earns its table
    others = group.random_scalars(_LANES)
    return {
        "power": lambda e: bases**e,
        "power of a base with a table": lambda e: one ** e.publish().mark(Secrecy.ONE_TIME),
        "scalars: product and sum": lambda e: e * others + others,
        "scalars: inverse": lambda e: (e * others + 1).inverse(),
    }


def leaky_calls(group: Group) -> dict[str, Call]:
    bases: Elements = group.hash_to_elements(b"bench", _LANES)
    return {"public power": lambda e: bases ** e.publish()}


def times(
    call: Call, classes: Sequence[Callable[[], Scalars]], n: int
) -> list[NDArray[np.float64]]:
    """Nanoseconds of n calls, each of a class that is drawn for it."""
    drawn = [random.randrange(2) for _ in range(n)]
    taken: list[list[int]] = [[], []]
    for which in drawn:
        secrets = classes[which]()
        start = time.perf_counter_ns()
        call(secrets)
        taken[which].append(time.perf_counter_ns() - start)
    return [np.array(some, dtype=np.float64) for some in taken]


def largest_t(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Welch's t of what lies below each percentile of both together."""
    both = np.concatenate([a, b])
    found = []
    for percentile in _PERCENTILES:
        limit = np.percentile(both, percentile)
        x, y = a[a <= limit], b[b <= limit]
        if len(x) > 10 and len(y) > 10:
            error = np.sqrt(x.var(ddof=1) / len(x) + y.var(ddof=1) / len(y))
            found.append(float((x.mean() - y.mean()) / error) if error else 0.0)
    return max(found, key=abs)


def measure(bench: Bench, what: str, call: Call, n: int, *, claimed: bool) -> None:
    group = bench.group

    def drawn() -> Scalars:
        return group.random_scalars(_LANES)

    def fixed(numbers: list[int]) -> Callable[[], Scalars]:
        secrets = group.scalars(numbers, secrecy=Secrecy.LONG_TERM)

        def build() -> Scalars:
            drawn()  # the same work before either call
            return secrets

        return build

    for _ in range(50):
        call(drawn())
    control = largest_t(*times(call, (drawn, drawn), n))
    for name, numbers in fixed_secrets(group).items():
        if name == "zero" and "inverse" in what:
            continue
        a, b = times(call, (fixed(numbers), drawn), n)
        bench.row(
            what,
            constant_time=claimed,
            secret=name,
            n=n,
            us=round(float(np.median(b)) / 1000, 1),
            t=round(largest_t(a, b), 1),
            control=round(control, 1),
        )


def main() -> None:
    options = arguments(__doc__, group=GROUPS, n=4000).parse_args()
    for name in options.group.split(","):
        bench = Bench("constant time", name, options.backend, options.runs)
        for what, call in calls(bench.group).items():
            measure(bench, what, call, options.n, claimed=True)
        for what, call in leaky_calls(bench.group).items():
            measure(bench, what, call, options.n, claimed=False)


if __name__ == "__main__":
    main()
