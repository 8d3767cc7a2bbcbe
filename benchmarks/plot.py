"""Draw cost against n from the lines of benchmarks.

    for n in 100 1000 10000; do python benchmarks/bench_groups.py --n $n; done > lines.jsonl
    python benchmarks/plot.py lines.jsonl -o plots [--what "multiexp,fixed base"]

One SVG for each question and group: a curve for each `what`, units per item (additions of points,
modular multiplications) over n, both axes logarithmic. Needs matplotlib, from the extra `bench`.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

Lines = dict[str, dict[int, float]]
"""For each `what`, units per item by n."""


def read(files: Iterable[Path], wanted: tuple[str, ...]) -> dict[tuple[str, str], Lines]:
    """The curves by question and group; of a row that occurs twice, the last."""
    found: dict[tuple[str, str], Lines] = defaultdict(lambda: defaultdict(dict))
    for file in files:
        for line in file.read_text(encoding="utf-8").splitlines():
            row: dict[str, Any] = json.loads(line)
            if "units" in row and row["what"].startswith(wanted):
                curves = found[row["question"], row["group"]]
                curves[row["what"]][row["n"]] = row["units"]
    return found


def draw(title: str, unit: str, curves: Lines, target: Path) -> None:
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.subplots()
    for what, points in sorted(curves.items()):
        ns = sorted(points)
        axes.plot(ns, [points[n] for n in ns], marker="o", label=what)
    axes.set(xscale="log", yscale="log", title=title, xlabel="n", ylabel=f"{unit} per item")
    axes.grid(visible=True, alpha=0.3)
    axes.legend(fontsize="small")
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "evote"}):  # small, and repeatable
        figure.savefig(target, metadata={"Date": None})


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("lines", type=Path, nargs="+", help="files of JSON lines")
    parser.add_argument("-o", "--output", type=Path, default=Path("plots"))
    parser.add_argument("--what", default="", help="beginnings of rows, separated by commas")
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    for (question, group), curves in read(options.lines, tuple(options.what.split(","))).items():
        unit = "multiplications" if "-" in group and not group.startswith("P-") else "additions"
        target = options.output / f"{question}-{group}.svg"
        draw(f"{question}: {group}", unit, curves, target)
        print(target)


if __name__ == "__main__":
    main()
