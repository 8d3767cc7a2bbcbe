"""What all versions' audits share: the ledger, warnings, and proofs whose failures have places."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import numpy as np

from evote._batch import Equations, verify_batch
from evote._pool import Workers, processes
from evote._report import Check, Ledger
from evote.groups import Group
from evote.interop._reports import Findings, ForeignReport, Notice
from evote.interop.electionguard._codec import sha256
from evote.interop.electionguard._reading import Record

__all__ = ["DIGEST", "Run", "references"]

DIGEST = "manifest-digest"
_PREFIX = "electionguard."
_SHOWN = 3  # places that a warning names


def references(document: str, rows: Sequence[tuple[str, str]]) -> dict[str, Check]:
    """Checks by rows of a reference into a document and the names of checks."""
    checks = {
        _PREFIX + name: Check(f"{document}, {where}", "setup")
        for where, names in rows
        for name in names.split()
    }
    pin = Check("evote: the manifest published elsewhere", None)
    return {_PREFIX + DIGEST: pin, **checks}


class Run(Findings):
    """One audit: what was found so far. Names of checks go without their prefix."""

    def __init__(
        self,
        record: Record,
        checks: Mapping[str, Check],
        *,
        system: str,
        expected: bytes | None,
        jobs: Workers,
        progress: Callable[[str, int, int], None],
    ) -> None:
        pins = () if expected is None else (_PREFIX + DIGEST,)
        self.record = record
        self.checks = checks
        super().__init__(Ledger("setup", pins, checks), _PREFIX)
        self.system = system
        self.expected = expected
        self.jobs = jobs
        self.progress = progress
        self.parts: list[str] = []
        self.readable = True
        self._notices: dict[str, list[str]] = {}
        self._seen: dict[bytes, str] = {}

    # -- findings ----------------------------------------------------------------------------------

    @contextmanager
    def step(self, check: str, *blocks: str) -> Iterator[None]:
        """What goes wrong inside fails `check`, and leaves `blocks` not checked."""
        with self.ledger.guard(_PREFIX + check, *(_PREFIX + name for name in blocks)):
            yield

    def names(self, first: int, last: int) -> list[str]:
        """The checks of verifications `first` to `last`."""
        names = [name.removeprefix(_PREFIX) for name in self.checks]
        numbers = [(name, name.partition(".")[0]) for name in names]
        return [n for n, number in numbers if number.isdigit() and first <= int(number) <= last]

    def notice(self, name: str, detail: str) -> None:
        """A warning; the places of many of one kind are counted."""
        self._notices.setdefault(name, []).append(detail)

    def with_jobs(self, group: Group) -> Group:
        """The group, which uses every process that was asked for."""
        if self.jobs == 1:
            return group
        pool = processes(self.jobs) if isinstance(self.jobs, int) else self.jobs
        return group.with_executor(pool)

    def pin_manifest(self, data: bytes) -> None:
        if self.expected is not None:
            same = sha256(data) == self.expected
            self.expect(DIGEST, same, "manifest.json: not the file that was expected")

    def say_what_is_unbound(self, fields: str) -> None:
        """Warnings that belong to a version, whatever a record holds."""
        self.notice("unbound-fields", f"nothing binds {fields}")
        self.notice(
            "unbound-proofs",
            "proofs do not say for which ballot and option they are; copies are looked for",
        )

    # -- proofs ------------------------------------------------------------------------------------

    def equations(self, check: str, equations: Equations, places: Sequence[str], why: str) -> None:
        """Check proofs in a batch; `places` names each along the first axis."""
        self.did(check, len(places))
        if not places:
            return
        for i in np.flatnonzero(~verify_batch([equations])).tolist():
            self.fail(check, f"{places[i]}: {why}")

    def unique_ciphertext(self, check: str, data: bytes, place: str) -> None:
        """Ballots' ciphertexts are never the same twice: a copy is somebody else's vote."""
        key = sha256(data)[:16]
        other = self._seen.setdefault(key, place)
        self.expect(check, other is place, f"{place}: the ciphertext of {other}")

    # -- the end -----------------------------------------------------------------------------------

    def report(self) -> ForeignReport:
        notices = []
        for name, details in self._notices.items():
            more = f" and {len(details) - _SHOWN} more" if len(details) > _SHOWN else ""
            notices.append(Notice(name, "; ".join(details[:_SHOWN]) + more))
        return ForeignReport.of(
            self.ledger,
            self.system,
            readable=self.readable,
            parts=self.parts,
            notices=notices,
            unpinned=("manifest",) if self.expected is None else (),
        )


def weak(run: Run, group: Group) -> None:
    """Say that logarithms are in reach."""
    if group.is_weak:
        run.notice("weak-group", f"{group.name}: logarithms in reach")
