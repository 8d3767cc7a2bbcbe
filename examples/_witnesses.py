"""The witnesses of a scenario's log: processes of their own, each with a key and a memory."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

__all__ = ["Witnesses", "policy_text"]


def policy_text(log: str, keys: Sequence[str], urls: Sequence[str]) -> str:
    """A policy of these witnesses, more than half of whom must have cosigned a head."""
    named = {
        f"w{i + 1}": f"{key} {url}" for i, (key, url) in enumerate(zip(keys, urls, strict=True))
    }
    lines = [f"log {log}", *(f"witness {name} {words}" for name, words in named.items())]
    group = f"group most {len(named) // 2 + 1} {' '.join(named)}"
    return "\n".join([*lines, group, "quorum most", ""])


class Witnesses:
    """`evote witness serve` for each directory; `urls` says where they answer, in this order."""

    def __init__(self, directories: Iterable[Path], log: str) -> None:
        self._processes: list[subprocess.Popen[str]] = []
        self.urls: list[str] = []
        for directory in directories:
            command = ["witness", "serve", str(directory), "--log", log]
            process = subprocess.Popen(
                [sys.executable, "-m", "evote", *command], stdout=subprocess.PIPE, text=True
            )
            self._processes.append(process)
            assert process.stdout is not None
            words, _, url = process.stdout.readline().strip().rpartition(" ")
            if words != "serving on":
                self.stop()
                raise SystemExit(f"{directory.name} does not serve")
            self.urls.append(url)

    def stop(self) -> tuple[float, int]:
        """End them: their seconds of the processor, and the memory of the largest as in ru_maxrss.

        A second time it does nothing.
        """
        seconds, largest = 0.0, 0
        while self._processes:
            process = self._processes.pop()
            process.terminate()
            assert process.stdout is not None
            process.stdout.close()
            _, status, used = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            seconds += used.ru_utime + used.ru_stime
            largest = max(largest, used.ru_maxrss)
        return seconds, largest
