"""What the benchmarks share: arguments, a clock, the naive baselines, and a line of JSON.

Times on a shared machine wander by half; ratios of what is timed in turn repeat. So a figure here
is the median over runs, each of which times the unit (one addition of points, one modular product),
ours and the baseline directly after each other.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import gmpy2

from evote._accelerator import native_module
from evote._pool import processes
from evote.groups import Group, ModPGroup, named_group

__all__ = [
    "Action",
    "Bench",
    "add_compare",
    "arguments",
    "median_ratio",
    "naive_powers",
    "seconds",
    "unit_of",
]

Action = Callable[[], object]
SAMPLE = 50


def arguments(doc: str | None, *, group: str, n: int, runs: int = 5) -> argparse.ArgumentParser:
    """The options every benchmark takes."""
    parser = argparse.ArgumentParser(description=(doc or "").partition("\n")[0])
    parser.add_argument("--group", default=group, help="one or more names, separated by commas")
    parser.add_argument("--n", type=int, default=n)
    parser.add_argument("--backend", help="native, gmp or python; by default the group's own")
    parser.add_argument("--runs", type=int, default=runs)
    add_compare(parser)
    return parser


def add_compare(parser: argparse.ArgumentParser) -> None:
    """Baselines that repeat one thing are timed on some items only, and scaled to n."""
    parser.add_argument(
        "--compare",
        type=int,
        nargs="?",
        const=500,
        default=SAMPLE,
        metavar="ITEMS",
        help=f"items of naive baselines: {SAMPLE} by default, 500 without a number",
    )


def seconds(action: Action) -> float:
    """Of the processor, in this process alone: what other processes take does not count."""
    start = time.process_time()
    action()
    return time.process_time() - start


def median_ratio(pairs: Sequence[tuple[float, float]]) -> float:
    """Of (ours, baseline): how many times faster ours is."""
    return statistics.median(theirs / ours for ours, theirs in pairs)


class Bench:
    """One question about one group; `compare` and `row` print lines of JSON."""

    def __init__(self, question: str, group: str, backend: str | None, runs: int) -> None:
        self.group = named_group(group)
        if backend is not None:
            self.group = self.group.with_backend(backend)
        if self.group.backend == "native":
            native_module()[0].set_threads(1)
        self.runs = runs
        self._unit = unit_of(self.group)
        self._common: dict[str, object] = {
            "question": question,
            "group": self.group.name,
            "backend": self.group.backend,
            "processor": processor(),
            "cores": 1,
            "python": platform.python_version(),
        }

    def unit_seconds(self) -> float:
        """One addition of points, or one modular product, now."""
        return seconds(self._unit) / _UNITS

    def row(self, what: str, **values: object) -> None:
        print(json.dumps(self._common | {"what": what} | values), flush=True)

    def compare(
        self,
        what: str,
        ours: Action,
        n: int,
        *,
        baseline: str | None = None,
        theirs: Action | None = None,
        sample: int | None = None,
        each: float = 1.0,
        **values: object,
    ) -> None:
        """Time ours and the baseline in turn, and print a line.

        Args:
            ours: does n items.
            theirs: does `sample` items (n by default); its time is scaled to n, and the line has
                `baseline_n`, how many were timed.
            each: how many of the baseline's items make one of ours.
        """
        measured = n if sample is None else sample
        ours()  # tables are built, caches are warm: the steady state of a tally
        times: list[tuple[float, float]] = []
        costs: list[float] = []
        for _ in range(self.runs):
            before = self.unit_seconds()
            mine = seconds(ours) / n
            costs.append(mine / ((before + self.unit_seconds()) / 2))
            times.append((mine, each * seconds(theirs) / measured if theirs else 0.0))
        line: dict[str, object] = {
            "n": n,
            "us": round(1e6 * statistics.median(a for a, _ in times), 2),
            "units": round(statistics.median(costs), 1),
            "unit": self._unit.__name__.replace("_", " "),
            "runs": self.runs,
        }
        if theirs is not None:
            line |= {
                "baseline": baseline,
                "ratio": round(median_ratio(times), 2),
                "baseline_us": round(1e6 * statistics.median(b for _, b in times), 2),
                "baseline_n": measured,
            }
        self.row(what, **(line | values))

    def compare_workers(
        self, what: str, job: Callable[[Group], Action], n: int, workers: int
    ) -> None:
        """The wall time of one process over that of several warm ones, and two ways to judge it.

        `ceiling` is the same ratio for mere multiplications that share nothing: what the machine
        had to give at that time. `processor_ratio` needs no idle machine: the processor time of one
        process over that of this one plus that of its busiest worker.
        """
        pool = processes(workers)
        spread, alone = job(self.group.with_executor(pool)), job(self.group)
        spread()
        alone()
        rows: list[tuple[float, ...]] = []
        for _ in range(self.runs):
            one: list[float] = []
            several: list[float] = []
            burnt: list[float] = []
            for action, into in ((spread, several), (alone, one)):
                before, start = worker_seconds(pool), time.perf_counter()
                own = seconds(action)
                wall = time.perf_counter() - start
                used = [b - a for a, b in zip(before, worker_seconds(pool), strict=True)]
                into += [wall, own + max(used, default=0.0)]
            for copies in (1, workers):
                start = time.perf_counter()
                list(pool.map(burn, [one[0] / 2] * copies))
                burnt.append(time.perf_counter() - start)
            rows.append((*several, *one, *burnt))
        self.row(
            what,
            n=n,
            workers=workers,
            us=round(1e6 * statistics.median(row[0] for row in rows) / n, 1),
            baseline="one process, wall time",
            ratio=round(statistics.median(row[2] / row[0] for row in rows), 2),
            ceiling=round(statistics.median(workers * row[4] / row[5] for row in rows), 2),
            processor_ratio=round(statistics.median(row[3] / row[1] for row in rows), 2),
            runs=self.runs,
        )


def worker_seconds(pool: ProcessPoolExecutor) -> list[float]:
    """Processor time of each worker so far, where the operating system is Linux."""
    files = [Path(f"/proc/{pid}/schedstat") for pid in sorted(pool._processes)]
    return [int(file.read_text().split()[0]) / 1e9 for file in files if file.exists()]


def burn(duration: float) -> None:
    """As many multiplications of 255 bits as take about so many seconds alone."""
    p = gmpy2.mpz(2**255 - 19)
    x = p // 3
    for _ in range(int(duration / 2e-7)):
        x = x * x % p


_UNITS = 3000


def unit_of(group: Group) -> Action:
    """An action of `_UNITS` operations of the group, one after the other, as gmpy2 does them."""
    if isinstance(group, ModPGroup):
        p, x = gmpy2.mpz(group.p), gmpy2.mpz(group.g)
        start = gmpy2.powmod(x, group.order // 3, p)

        def modular_multiplication() -> object:
            result = factor = start
            for _ in range(_UNITS):
                result = result * factor % p
            return result

        return modular_multiplication

    kernel = group.with_backend("gmp")._kernel
    points = [kernel.powers([kernel.generator], [group.order // 3])[0]] * _UNITS

    def point_addition() -> object:
        return kernel.products(points, 1)

    return point_addition


def naive_powers(
    group: Group, bases: Sequence[Any], exponents: Sequence[int], *, secret: bool = False
) -> Action:
    """One power after the other, in the simplest way there is: no table, nothing shared.

    In Z_p^* one `gmpy2.powmod` each (`powmod_sec` of secrets). On a curve one double-and-add each:
    a doubling for every bit, an addition for every bit that is set (of secrets, for every bit).
    """
    numbers = [int(e) for e in exponents]
    if isinstance(group, ModPGroup):
        p, powmod = gmpy2.mpz(group.p), gmpy2.powmod_sec if secret else gmpy2.powmod
        return lambda: [powmod(x, e, p) for x, e in zip(bases, numbers, strict=True)]
    kernel = group.with_backend("gmp")._kernel
    multiply, neutral = kernel.multiply, kernel.identity

    def double_and_add() -> object:  # all powers bit by bit in step, so that lists cost nothing
        results: list[Any] = [neutral] * len(bases)
        for place in range(max(numbers).bit_length() - 1, -1, -1):
            results = list(multiply(results, results))
            chosen = [i for i, e in enumerate(numbers) if secret or e >> place & 1]
            sums = multiply([results[i] for i in chosen], [bases[i] for i in chosen])
            for i, total in zip(chosen, sums, strict=True):
                results[i] = total if numbers[i] >> place & 1 else results[i]
        return results

    return double_and_add


def processor() -> str:
    """The processor's name, as far as the operating system tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
