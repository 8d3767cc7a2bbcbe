"""The table of what the stages of a scenario took."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

__all__ = ["Stage", "table"]


class Stage(NamedTuple):
    """A step, and what it took: seconds by the clock, of the processor, and of memory."""

    name: str
    wall: float
    processor: float
    megabytes: float


def _joined(stages: list[Stage]) -> Stage:
    """Steps of one name as one."""
    names, walls, processors, megabytes = zip(*stages, strict=True)
    return Stage(names[0], sum(walls), sum(processors), max(megabytes))


def table(stages: Iterable[Stage], wall: float, ballots: int) -> list[dict[str, Any]]:
    """Print a row for each name, and what it all took in `wall` seconds; the rows as objects."""
    by_name: dict[str, list[Stage]] = {}
    for stage in stages:
        by_name.setdefault(stage.name, []).append(stage)
    rows = [_joined(same) for same in by_name.values()]
    rows.append(_joined([row._replace(name="all") for row in rows])._replace(wall=wall))
    print(f"{'stage':<22}{'wall, s':>10}{'CPU, s':>10}{'peak, MB':>10}{'us/ballot':>11}")
    for row in rows:
        each = 1e6 * row.processor / max(ballots, 1)
        numbers = f"{row.wall:>10.1f}{row.processor:>10.1f}{row.megabytes:>10.0f}"
        print(f"{row.name:<22}{numbers}{each:>11.1f}")
    return [row._asdict() for row in rows]
