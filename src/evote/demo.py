"""Whole elections on one machine: real sizes, real keys, and marks drawn from a fixed seed.

`evote demo` and the examples run these. Everything but the marks is what an election does: every
key, code, nonce and proof comes from the operating system, each operator has a directory of its
own, and every step goes through the same functions as the shell's verbs.

The marks are drawn because individual ballots were secret. `draw_marks` says how; the seed makes
two runs count the same votes. No secret ever comes from that generator.

Not promised: that the operators' directories of a demonstration protect anything. Their passphrase
lies beside them.
"""

from __future__ import annotations

import random
import secrets
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from evote import workflow
from evote._files import make_directory, write_file
from evote.ceremony import trustee_decrypt, verified_tally
from evote.contests import Contest, Option
from evote.counting import SelectionCount
from evote.credentials import Action
from evote.encoding import JSON
from evote.errors import ParameterError
from evote.groups import ristretto255
from evote.operators import load_card
from evote.packing import Pack
from evote.record import Record
from evote.tally import Result
from evote.verify import Report, audit

__all__ = [
    "DemoElection",
    "Scenario",
    "alter_one_byte",
    "draw_marks",
    "numbered_options",
    "peoples_council_2013",
    "run_election",
]

GROUP = ristretto255

Say = Callable[[str], None]
Marks = dict[str, tuple[int, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """An election to run: what is asked, how many take part, and how they vote.

    `voters` of the `registered` cast a ballot; `spoiled` of them first spoil one to test their
    device, and `revotes` of them change their mind and cast another. The contests of a pack are
    mixed, by so many `mixers`.
    """

    title: str
    contests: tuple[Contest, ...]
    registered: int
    voters: int
    mark: Callable[[random.Random], Marks]
    spoiled: int = 0
    revotes: int = 0
    trustees: int = 5
    quorum: int = 3
    absent: tuple[int, ...] = ()
    packs: tuple[Pack, ...] = ()
    mixers: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        some = (self.spoiled, self.revotes)
        if not 0 <= min(some) <= max(some) <= self.voters <= self.registered:
            raise ParameterError("more ballots than voters, or more voters than registered")


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoElection:
    """A finished election: its record, its result, what the marks really were, and the audit.

    `expected` has the sums of the marks of each contest; they mean nothing in a ranking.
    """

    record: Path
    result: Result
    expected: dict[str, tuple[int, ...]]
    report: Report

    @property
    def votes(self) -> dict[str, tuple[int, ...]]:
        """What was published of each contest whose marks are added up, mixed or not."""
        votes = {row.id: row.votes for row in self.result.contests}
        for row in self.result.mixed:
            if isinstance(row.outcome, SelectionCount):
                votes[row.contest] = row.outcome.votes
        return votes


def numbered_options(name: str, count: int) -> tuple[Option, ...]:
    """Options called "name 1" to "name count": nobody in particular."""
    stem = name.lower()
    return tuple(
        Option(id=f"{stem}-{number:02d}", title=f"{name} {number}")
        for number in range(1, count + 1)
    )


def draw_marks(rng: random.Random, options: int, marks: int) -> tuple[int, ...]:
    """Choose `marks` of the options, the i-th (from 0) with weight 1 / (i + 8).

    A weighted sample without replacement: the options with the largest u ** (1 / weight), after
    Efraimidis and Spirakis (2006).
    """
    keys = [rng.random() ** (i + 8) for i in range(options)]
    chosen = set(sorted(range(options), key=lambda i: -keys[i])[:marks])
    return tuple(int(i in chosen) for i in range(options))


def peoples_council_2013(voters: int = 1783) -> Scenario:
    """The election of the Zhukovsky People's Council in 2013, at its true size.

    27 candidates, up to 15 marks for each voter, 1,783 voters. A voter gives k marks with a
    probability proportional to k; about one voter in fifty spoils a ballot first, and as many
    vote again.
    """
    contest = Contest(
        id="council",
        title="People's Council",
        kind="limited",
        options=numbered_options("Candidate", 27),
        option_limit=1,
        minimum=0,
        maximum=15,
    )

    def mark(rng: random.Random) -> Marks:
        marks = rng.choices(range(1, 16), weights=range(1, 16))[0]
        return {"council": draw_marks(rng, 27, marks)}

    return Scenario(
        title="Zhukovsky People's Council 2013",
        contests=(contest,),
        registered=voters,
        voters=voters,
        mark=mark,
        spoiled=-(-voters // 50),
        revotes=-(-voters // 50),
        absent=(2,),
        seed=2013,
    )


def run_election(
    scenario: Scenario,
    directory: Path | str,
    *,
    jobs: int = 1,
    say: Say = lambda line: None,
    progress: workflow.Progress = lambda what, done, total: None,
) -> DemoElection:
    """Set up, vote, tally and audit a scenario under `directory`, which must not exist yet.

    Makes `record` (what is published) and `operators` (who keeps what, with the passphrase).

    Raises:
        ParameterError: the directory exists, or the scenario contradicts itself.
    """
    directory = Path(directory)
    if directory.exists():
        raise ParameterError(f"{directory} exists: a demonstration starts from nothing")
    record, operators = directory / "record", directory / "operators"
    passphrase = secrets.token_urlsafe(16)
    make_directory(operators, mode=0o700)
    write_file(operators / "passphrase", passphrase.encode("ascii") + b"\n", mode=0o600)

    keys = workflow.create_operators(
        operators, passphrase, trustees=scenario.trustees, mixers=scenario.mixers
    )
    cards = {name: load_card(path) for name, path in keys.items()}
    names = [f"trustee-{i}" for i in range(1, scenario.trustees + 1)]
    workflow.new_election(record, _draft(scenario, names), cards=cards)
    digest = Record(record).manifest_digest
    say(f"{scenario.title}: manifest {digest.hex()}")
    trustees = [keys[name] for name in names]
    workflow.run_ceremony(record, trustees, passphrase)
    say(f"{scenario.trustees} trustees made the key; any {scenario.quorum} of them decrypt")

    lines = [workflow.RollLine(style="all", count=scenario.registered)]
    codes = workflow.issue_credentials(record, keys["registrar-1"], lines, passphrase)
    board, authority = keys["board"], [keys["authority-1"]]
    workflow.open_election(record, authority, board, passphrase)
    say(f"{scenario.registered} voters on the roll; the election is open")

    voters = [voter.code for voter in codes[: scenario.voters]]
    expected = _vote(scenario, record, board, voters, passphrase, jobs, progress)
    counts = workflow.seal_election(record, authority, board, passphrase)
    say(
        f"sealed: {counts.cast} cast = {counts.counted} counted + {counts.superseded} superseded; "
        f"{counts.spoiled} spoiled and opened"
    )

    for i in range(1, scenario.mixers + 1):
        units = workflow.mix(record, keys[f"mixer-{i}"], passphrase, jobs=jobs, progress=progress)
        say(f"mixed by mixer-{i}: {len(units)} units")
    workflow.compute_tally(record, board, passphrase, jobs=jobs, progress=progress)
    present = [i for i in range(1, scenario.trustees + 1) if i not in scenario.absent]
    # On machines of their own each would audit the record; here they share one audit.
    checked = verified_tally(record, partial(audit, jobs=jobs, progress=progress))
    for i in present:
        trustee_decrypt(trustees[i - 1], checked, passphrase, jobs=jobs)
    result = workflow.publish_result(record, board, passphrase)
    absent = ", ".join(map(str, scenario.absent)) or "none"
    say(f"decrypted by trustees {', '.join(map(str, present))}; absent: {absent}")
    report = audit(record, expect_manifest=digest, jobs=jobs, progress=progress)
    return DemoElection(record=record, result=result, expected=expected, report=report)


def alter_one_byte(record: Path, copy: Path) -> str:
    """Copy a record, change one character of the first ballot in it, and say which."""
    shutil.copytree(record, copy)
    path = copy / "ballots" / "000.jsonl"
    data = bytearray(path.read_bytes())
    place = data.index(b'"ciphertexts":"') + 100
    old = data[place]
    data[place] = ord("A") if old != ord("A") else ord("B")
    path.write_bytes(data)
    return f"ballots/000.jsonl, byte {place}: {chr(old)} became {chr(data[place])}"


def _draft(scenario: Scenario, trustees: Sequence[str]) -> dict[str, JSON]:
    contests = [contest.to_json() for contest in scenario.contests]
    mixing: dict[str, JSON] = {}
    if scenario.packs:
        mixing["mixing"] = {
            "mixers": [f"mixer-{i}" for i in range(1, scenario.mixers + 1)],
            "packs": [pack.to_json() for pack in scenario.packs],
            "patterns_accepted": True,
        }
    return mixing | {
        "title": scenario.title,
        "profile": "native",
        "group": GROUP.name,
        "contests": list(contests),
        "styles": [{"id": "all", "contests": [contest.id for contest in scenario.contests]}],
        "trustees": list(trustees),
        "quorum": scenario.quorum,
        "registrars": ["registrar-1"],
        "authorities": {"cards": ["authority-1"], "quorum": 1},
        "board": {"origin": "demo.example/board", "card": "board"},
        "policies": {"revote": "last", "spoil": "allowed"},
        "weights": {"maximum": 1, "total": scenario.registered},
        "voters": {"maximum": scenario.registered},
    }


def _vote(
    scenario: Scenario,
    record: Path,
    board: Path,
    codes: Sequence[str],
    passphrase: str,
    jobs: int,
    progress: workflow.Progress,
) -> dict[str, tuple[int, ...]]:
    """Every voter votes; returns the votes that must come out."""
    rng = random.Random(scenario.seed)  # noqa: S311  the marks, and nothing secret
    final = [scenario.mark(rng) for _ in codes]
    # Three rounds: the spoiled ballots, the votes that are changed later, the votes that stay.
    again = range(len(codes) - scenario.revotes, len(codes))
    spoiled = [(codes[i], final[i]) for i in range(scenario.spoiled)]
    regretted = [(codes[i], scenario.mark(rng)) for i in again]
    ballots = [*spoiled, *regretted, *zip(codes, final, strict=True)]
    made = workflow.encrypt_ballots(
        record,
        [(code, workflow.Choice(contests=marks)) for code, marks in ballots],
        jobs=jobs,
        progress=progress,
    )
    actions: list[Action] = ["spoil"] * len(spoiled)
    actions += ["cast"] * (len(ballots) - len(spoiled))
    signed = workflow.sign_ballots(
        record,
        [
            (code, ballot, action)
            for (code, _), ballot, action in zip(ballots, made, actions, strict=True)
        ],
    )
    with workflow.open_ballot_box(record, board, passphrase) as box:
        box.submit(signed, jobs=jobs, progress=progress)
        parameters = workflow.load_parameters(record)
        for ballot in made[: len(spoiled)]:
            box.open(workflow.opening_of(ballot, parameters))
    return {
        contest.id: tuple(
            sum(marks[contest.id][i] for marks in final) for i in range(len(contest.options))
        )
        for contest in scenario.contests
    }
