"""How much faster is the backend `native` than gmpy2, operation by operation, on one core?

    python benchmarks/bench_native.py [--group NAMES] [--n N] [--runs R] [--compare ITEMS]

One JSON object a line. Ours and the backend gmp do the same call on the same items in turn, ours n
of them and the other at most ITEMS; `ratio` says how many times less ours took for each. Both are
timed in processor seconds, and ours has one thread.
"""

from __future__ import annotations

from collections.abc import Callable

from _bench import Bench, arguments

from evote.groups import Elements, Group, ModPGroup, Scalars, Secrecy

GROUPS = "ristretto255,ed25519,P-256,belenios-2048,rfc3526-3072,electionguard-1.0-4096"

Job = Callable[[Group, Elements, Scalars], Callable[[], object]]


def jobs(group: Group) -> dict[str, tuple[Job, int]]:
    """What is timed, and how many times fewer items than n where one costs much."""
    bits, modp = group.order.bit_length(), isinstance(group, ModPGroup)
    dear = 8 if modp else 1

    def multiexp(size: int | None) -> Job:
        def job(g: Group, x: Elements, e: Scalars) -> Callable[[], object]:
            f = e if size is None else g.scalars([v % 2**size for v in e.to_ints()])
            return lambda: g.multiexp(x, f)

        return job

    return {
        "multiply": (lambda g, x, e: lambda: x * x, 1),
        "decode": (decoding, dear),
        "encode": (lambda g, x, e: lambda: (x * x).encode(), 1),
        "fixed base": (lambda g, x, e: lambda: x[0] ** e, dear),
        "variable base": (lambda g, x, e: lambda: x**e, 8 * dear if bits > 300 else dear),
        "variable base, constant time": (
            lambda g, x, e: lambda: x ** e.mark(Secrecy.LONG_TERM),
            8 * dear if bits > 300 else dear,
        ),
        "multiexp, 128 bits": (multiexp(128), 1),
        f"multiexp, {bits} bits": (multiexp(None), dear),
        "scalars: a b + c": (lambda g, x, e: lambda: e * e + e, 1),
        "scalars: random": (lambda g, x, e: lambda: g.random_scalars(len(e)), 1),
    }


def decoding(group: Group, x: Elements, e: Scalars) -> Callable[[], object]:
    data = x.encode()
    return lambda: group.decode_elements(data)


def main() -> None:
    parser = arguments(__doc__, group=GROUPS, n=4096, runs=3)
    parser.set_defaults(backend="native")
    options = parser.parse_args()
    for name in options.group.split(","):
        bench = Bench("native", name, options.backend, options.runs)
        fast, gmp = bench.group, bench.group.with_backend("gmp")
        for what, (job, fewer) in jobs(fast).items():
            n = max(64, options.n // fewer)
            sample = min(n, options.n // 8 if "multiexp" in what else options.compare)
            e = fast.random_scalars(n).publish()
            x = fast.decode_elements((fast.generator**e).encode())
            y = gmp.decode_elements(x[:sample].encode())
            f = gmp.decode_scalars(e[:sample].encode())
            bench.compare(
                what,
                job(fast, x, e),
                n,
                baseline="backend gmp",
                theirs=job(gmp, y, f),
                sample=sample,
            )


if __name__ == "__main__":
    main()
