"""Elections of the profile `belenios`, made for its tests, and the original tool."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from evote import workflow
from evote.encoding import JSON
from evote.groups import named_group
from evote.interop.belenios import profile
from evote.interop.belenios._archive import Archive
from evote.operators import SCRYPT_COST_FLOOR, load_card
from evote.workflow import Choice, Credential, RollLine

PASSPHRASE = "correct horse"


def contest(name: str, kind: str, options: int, **more: JSON) -> dict[str, JSON]:
    """A contest of a draft."""
    found: dict[str, JSON] = {
        "id": name,
        "title": f"{name.upper()} \u201cé\u201d?",
        "kind": kind,
        "options": [{"id": f"o{i}", "title": f"{name}-{i}"} for i in range(options)],
        "option_limit": 1,
        "minimum": 0,
        "maximum": 1,
        "blank": "none",
    }
    return found | more


SUMMED = (
    contest("one", "plurality", 3, minimum=1),
    contest("two", "limited", 3, minimum=1, maximum=2, blank="counted"),
)
RANKED = (
    contest(
        "day",
        "ranking",
        3,
        option_limit=3,
        maximum=3,
        count={"method": "schulze", "seats": 1},
    ),
    contest("grade", "score", 2, option_limit=6, maximum=12),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What the election is to hold."""

    group: str = "ed25519"
    contests: Sequence[Mapping[str, JSON]] = SUMMED
    mixed: Sequence[str] = ()
    trustees: int = 1
    quorum: int = 1
    weights: Sequence[int] = (1, 1, 1, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A record, the directories of its operators, and what the voters hold."""

    path: Path
    operators: dict[str, Path]
    credentials: list[Credential]
    plan: Plan

    @property
    def trustees(self) -> list[Path]:
        return [path for name, path in self.operators.items() if name.startswith("trustee")]

    @property
    def authority(self) -> list[Path]:
        return [self.operators["authority-1"]]

    @property
    def board(self) -> Path:
        return self.operators["board"]

    @property
    def archive(self) -> Path:
        [path] = self.path.glob("*.bel")
        return path


def draft(plan: Plan) -> dict[str, JSON]:
    """The manifest's draft, operators by name."""
    mixing: dict[str, JSON] = {}
    if plan.mixed:
        packs: list[JSON] = [{"id": name, "contests": [name]} for name in plan.mixed]
        mixing["mixing"] = {"packs": packs, "min_unit": 2, "patterns_accepted": True}
    return mixing | {
        "title": "A small élection",
        "profile": "belenios",
        "group": plan.group,
        "contests": [dict(item) for item in plan.contests],
        "styles": [{"id": "all", "contests": [item["id"] for item in plan.contests]}],
        "trustees": [f"trustee-{i + 1}" for i in range(plan.trustees)],
        "quorum": plan.quorum,
        "registrars": ["registrar-1"],
        "authorities": {"cards": ["authority-1"], "quorum": 1},
        "board": {"origin": "log.example/small", "card": "board"},
        "policies": {"revote": "last", "spoil": "forbidden"},
        "weights": {"maximum": max(plan.weights), "total": sum(plan.weights)},
        "voters": {"maximum": len(plan.weights)},
    }


def make_opened(directory: Path, plan: Plan) -> Made:
    """An election that takes ballots."""
    operators = workflow.create_operators(
        directory / "operators",
        PASSPHRASE,
        trustees=plan.trustees,
        group=named_group(plan.group),
        cost=SCRYPT_COST_FLOOR,
    )
    record = directory / "record"
    cards = {name: load_card(path) for name, path in operators.items()}
    workflow.new_election(record, draft(plan), cards=cards)
    trustees = [path for name, path in operators.items() if name.startswith("trustee")]
    steps = (
        (profile.commit, profile.reveal, profile.check)
        if plan.quorum < plan.trustees
        else (profile.commit, profile.check)
    )
    for step in steps:
        for path in trustees:
            step(path, record, PASSPHRASE)
    lines = [RollLine(style="all", weight=weight) for weight in plan.weights]
    credentials = profile.draw_credentials(record, lines)
    profile.publish_credentials(record, operators["registrar-1"], credentials, PASSPHRASE)
    made = Made(path=record, operators=operators, credentials=credentials, plan=plan)
    profile.open_election(record, made.authority, made.board, PASSPHRASE)
    return made


def choices(plan: Plan) -> list[Choice]:
    """A choice for each voter; they differ."""
    found = []
    for i in range(len(plan.weights)):
        marks: dict[str, Sequence[int]] = {}
        blank = set()
        for item in plan.contests:
            name, count = str(item["id"]), len(item["options"])  # type: ignore[arg-type]
            if item["kind"] == "ranking":
                marks[name] = [(i + k) % count + 1 for k in range(count)]
            elif item["kind"] == "score":
                marks[name] = [(i + k) % 7 for k in range(count)]
            elif item["blank"] == "counted" and i % 3 == 2:
                blank.add(name)
            else:
                marks[name] = [int(k == i % count) for k in range(count)]
        found.append(Choice(contests=marks, blank=frozenset(blank)))
    return found


def vote(made: Made) -> None:
    """Everybody votes; the first voter once more, for the same."""
    voters = [
        (item.code, choice)
        for item, choice in zip(made.credentials, choices(made.plan), strict=True)
    ]
    ballots = profile.encrypt_ballots(made.path, [voters[0], *voters])
    profile.cast_ballots(made.path, made.board, [b.body for b in ballots], PASSPHRASE)


def finish(made: Made) -> None:
    """From the end of voting to the result."""
    profile.seal_election(made.path, made.authority, made.board, PASSPHRASE)
    acting = made.trustees[: made.plan.quorum]
    if made.plan.mixed:
        for path in acting:
            profile.mix(made.path, path, PASSPHRASE)
    profile.compute_tally(made.path, made.board, PASSPHRASE)
    for path in acting:
        profile.decrypt_share(made.path, path, PASSPHRASE)
    profile.publish_result(made.path, made.board, PASSPHRASE)


# -- the original ----------------------------------------------------------------------------------

TOOL = os.environ.get("EVOTE_BELENIOS_TOOL") or shutil.which("belenios-tool")


@cache
def tool_version() -> tuple[int, int]:
    """Major and minor; 2.0 knows no Ed25519 and verifies no ballots one by one."""
    assert TOOL is not None
    shown = subprocess.run([TOOL, "--version"], capture_output=True, text=True, check=True).stdout
    major, minor = shown.split()[0].split(".")[:2]
    return int(major), int(minor)


def tool(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run the original."""
    assert TOOL is not None
    command = [TOOL, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def tool_verifies(archive: Path, scratch: Path) -> bool:
    """Whether the original accepts an archive, and by itself every ballot in it."""
    scratch.mkdir()
    shutil.copy(archive, scratch)
    shown = tool("election", "verify", "--dir", scratch)
    if shown.returncode or "all checks passed" not in shown.stderr:
        return False
    if tool_version() < (3, 0):
        return True
    with Archive(archive) as opened:
        opened.read()
        end = opened.events[0].end
        bodies = [opened.body(event.data[0]) for event in opened.kind("Ballot")]
    # A ballot that is in the archive would be a duplicate: they are cast into the empty one.
    (scratch / archive.name).write_bytes(archive.read_bytes()[:end])
    for body in bodies:
        (scratch / "ballot.json").write_bytes(body)
        place = scratch / "ballot.json"
        if tool("election", "verify-ballot", "--dir", scratch, "--ballot", place).returncode:
            return False
    return True
