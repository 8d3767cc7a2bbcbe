"""What is at a path, as `evote inspect` says it: counted, not verified."""

from __future__ import annotations

from dataclasses import dataclass

from evote._trees import Tree
from evote.encoding import JSON, canonical_json

__all__ = ["Inspection", "describe"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """What something is, by its files; nothing of it is verified. None is what they do not say.

    Attributes:
        system: whose record it is.
        version: which version wrote it.
        form: how it is kept: directory, zip archive, bundle, one file.
        title: what it calls itself.
        ballots, contests, trustees: how many there are.
        group: the name of the group, or its size.
        files, size: how many there are, and how many bytes they have.
        notes: what else a reader should know.
    """

    system: str
    version: str | None = None
    form: str
    title: str | None = None
    ballots: int | None = None
    contests: int | None = None
    trustees: int | None = None
    group: str | None = None
    files: int
    size: int
    notes: tuple[str, ...] = ()

    def rows(self) -> list[tuple[str, str]]:
        """What is known, for people."""
        size = f"{self.size} bytes in {self.files} file{'' if self.files == 1 else 's'}"
        rows = [
            ("system", self.system),
            ("version", self.version),
            ("form", self.form),
            ("title", self.title),
            ("ballots", self.ballots),
            ("contests", self.contests),
            ("trustees", self.trustees),
            ("group", self.group),
            ("size", size),
            *(("note", note) for note in self.notes),
        ]
        return [(name, "not known" if value is None else str(value)) for name, value in rows]

    def to_json(self) -> bytes:
        """The same as canonical JSON; ends in a line feed."""
        value: dict[str, JSON] = {
            "format": "evote/inspection",
            "version": 1,
            "system": self.system,
            "system_version": self.version,
            "form": self.form,
            "title": self.title,
            "ballots": self.ballots,
            "contests": self.contests,
            "trustees": self.trustees,
            "group": self.group,
            "files": self.files,
            "bytes": self.size,
            "notes": list(self.notes),
        }
        return canonical_json(value) + b"\n"


def describe(tree: Tree, system: str) -> Inspection:
    """What can be said of any system's record."""
    files, size = tree.size()
    return Inspection(system=system, form=tree.kind, files=files, size=size)
