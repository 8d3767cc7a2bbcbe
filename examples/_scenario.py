"""What the elections of their real sizes share: files, processes, and a table of what they cost.

An election lies in one folder: `record` is published, `operators` has a directory for each of them,
`offline` what registrars and commissions keep. Founding it is done here, by the library; every
later step is a process of its own, most of them the `evote` command, and its time by the clock, its
processor time (that of its children too) and the memory of its largest process go into the table.

Who votes and what is said is drawn from a fixed seed, because individual ballots were secret. Keys,
codes, nonces and proofs come from the operating system, in every run others.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import random
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import NamedTuple, NoReturn

import numpy as np
from _stages import Stage, table
from _witnesses import Witnesses, policy_text

from evote import cli, workflow
from evote._pool import end_processes
from evote.board import NoteSigner
from evote.contests import Contest, Kind
from evote.counting import SelectionCount
from evote.credentials import Status
from evote.demo import numbered_options
from evote.encoding import JSON
from evote.errors import ParameterError
from evote.operators import load_card, load_operator
from evote.packing import Pack
from evote.record import Record
from evote.tally import Result, decode_result
from evote.testing.seeded import ERRORS, SeededError, copy_record, seed

__all__ = [
    "Election",
    "Marks",
    "Person",
    "Scenario",
    "marks_contest",
    "part_of",
    "start",
    "write_list",
]

Marks = dict[str, tuple[int, ...]]
_AT_ONCE = 2048  # ballots of one append
_MB = 1000 if sys.platform != "darwin" else 1_000_000  # units of ru_maxrss


class Person(NamedTuple):
    """One line of the voters' list, how often this person votes online, and what becomes of it."""

    identity: str
    style: str = "all"
    district: str = "all"
    status: Status = "full"
    ballots: int = 1
    counts: bool = True


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """An election: what is asked, of whom, and what they answer.

    `people` gives everybody on the roll at a scale, the same ones in the same order every time;
    `mark` what one of them says. `rules` goes into the manifest's policies, `extra` beside them.
    """

    title: str
    seed: int
    contests: tuple[Contest, ...]
    people: Callable[[float], Iterable[Person]]
    mark: Callable[[random.Random, Person], Marks]
    styles: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    trustees: int = 3
    quorum: int = 2
    mixers: int = 0
    packs: tuple[Pack, ...] = ()
    tags: bool = False
    stations: int = 0
    rules: Mapping[str, JSON] = field(default_factory=dict)
    extra: Mapping[str, JSON] = field(default_factory=dict)

    def draft(self, registered: int) -> dict[str, JSON]:
        """The manifest but for the operators' cards."""
        names = [contest.id for contest in self.contests]
        styles = self.styles or {"all": tuple(names)}
        mixing: dict[str, JSON] = {
            "mixers": [f"mixer-{i}" for i in range(1, self.mixers + 1)],
            "packs": [pack.to_json() for pack in self.packs],
            "patterns_accepted": True,
        }
        return {
            "title": self.title,
            "contests": [contest.to_json() for contest in self.contests],
            "styles": [{"id": name, "contests": list(has)} for name, has in styles.items()],
            "trustees": [f"trustee-{i}" for i in range(1, self.trustees + 1)],
            "quorum": self.quorum,
            "registrars": ["registrar-1"],
            "authorities": {"cards": ["authority-1"], "quorum": 1},
            "board": {"origin": "scenario.example/board", "card": "board"},
            "policies": {"revote": "last", "spoil": "allowed", **self.rules},
            "weights": {"maximum": 1, "total": registered},
            "voters": {"maximum": registered},
            **({"mixing": mixing} if self.packs else {}),
            **self.extra,
        }


def marks_contest(
    name: str, title: str, options: int, maximum: int, kind: Kind = "limited"
) -> Contest:
    """At most so many marks among numbered candidates."""
    return Contest(
        id=name,
        title=title,
        kind=kind,
        options=numbered_options("Candidate", options),
        option_limit=1,
        minimum=0,
        maximum=maximum,
    )


def part_of(i: int, part: int, whole: int) -> bool:
    """Whether i is one of `part` numbers that lie evenly among those from 0 below `whole`."""
    return (i + 1) * part // whole > i * part // whole


def write_list(path: Path, column: str, lines: Iterable[str]) -> int:
    """A CSV of one column; how many lines it has."""
    count = 0
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write(f"{column}\n")
        for count, line in enumerate(lines, 1):  # noqa: B007  the last count is the answer
            file.write(f"{line}\n")
    return count


# -- an election and its steps ---------------------------------------------------------------------


class Election:
    """A scenario in a folder, taken from step to step."""

    def __init__(self, scenario: Scenario, folder: Path, scale: float, jobs: int) -> None:
        self.scenario, self.folder, self.scale, self.jobs = scenario, folder, scale, jobs
        self.record, self.offline = folder / "record", folder / "offline"
        self.operators, self.board = folder / "operators", folder / "operators" / "board"
        self.authority = self.operators / "authority-1"
        self.registrar = self.operators / "registrar-1"
        self.registered = self.ballots = self.rounds = 0
        self.digest = ""
        self.policy, self.witnesses = folder / "witnesses.txt", Witnesses((), "")
        self._totals: dict[str, list[int]] = {}
        self.stages: list[Stage] = []
        self._begin = time.monotonic()

    def people(self) -> Iterator[Person]:
        """Everybody on the roll, in the order of the list."""
        return iter(self.scenario.people(self.scale))

    def say(self, line: str) -> None:
        """A line of the report, with the time."""
        print(f"{time.monotonic() - self._begin:8.1f} s  {line}", flush=True)

    # -- processes ---------------------------------------------------------------------------------

    def run(self, stage: str, task: Callable[[], int], exit_code: int = 0) -> str:
        """Do something in a process of its own; what it says. Another exit code ends it all.

        The process is a fork: this one computes nothing, so there are no threads to lose.
        """
        begin = time.monotonic()
        with tempfile.TemporaryFile() as said:
            sys.stdout.flush()
            child = os.fork()
            if not child:
                _become(task, said.fileno())
            _, status, used = os.wait4(child, 0)
            said.seek(0)
            text = said.read().decode("utf-8", "replace")
        if os.waitstatus_to_exitcode(status) != exit_code:
            raise SystemExit(f"{stage}: exit code {os.waitstatus_to_exitcode(status)}\n{text}")
        wall, busy = time.monotonic() - begin, used.ru_utime + used.ru_stime
        self.stages.append(Stage(stage, wall, busy, used.ru_maxrss / _MB))
        self.say(f"{stage}: {wall:.1f} s, {busy:.1f} s of the processor")
        return text

    def evote(self, stage: str, *arguments: object, exit_code: int = 0) -> str:
        """A step of the command line."""
        os.environ["EVOTE_PASSPHRASE"] = self.passphrase
        return self.run(stage, lambda: cli.main(list(map(str, arguments))), exit_code)

    def step(self, stage: str, task: Callable[[Election], None]) -> None:
        """A step that has no command."""

        def done() -> int:
            task(self)
            return 0

        self.run(stage, done)

    @property
    def passphrase(self) -> str:
        """One for all operators, which only a demonstration has."""
        return (self.operators / "passphrase").read_text(encoding="ascii")

    # -- the steps of every election ---------------------------------------------------------------

    def found(self) -> None:
        """Operators, manifest, key ceremony, the voters' list, codes and roll; then it is open."""
        self.offline.mkdir(parents=True, mode=0o700)
        self.operators.mkdir(mode=0o700)
        (self.operators / "passphrase").write_text(secrets.token_urlsafe(16), encoding="ascii")
        voters, codes = self.offline / "voters.csv", self.offline / "codes.csv"
        self._write_voters(voters)
        self.step("founding", _found)
        self.digest = Record(self.record).manifest_digest.hex()
        self.say(f"{self.scenario.title}: manifest {self.digest}")
        self._watch()
        wanted = ["--map", self.offline / "map"] if self.scenario.rules else []
        wanted += ["--tags", self.offline / "tags"] if self.scenario.tags else []
        where = (self.record, self.registrar, voters, "-o", codes)
        self.evote("codes and roll", "registrar", "issue", *where, *wanted, *self._jobs())
        self.evote("open", "election", "open", self.record, *self.signing())
        self.cosign()
        self.say(f"{self.registered} voters on the roll")

    def _watch(self) -> None:
        """Three witnesses, of whom two must have cosigned a head; the policy is published."""
        log = Record(self.record).manifest.log_key.text
        places = [self.operators / f"witness-{i}" for i in (1, 2, 3)]
        keys = []
        for place in places:
            init = ("init", place, "--name", f"witness.example/{place.name}")
            keys.append(self.evote("witnesses", "witness", *init).strip())
        self.witnesses = Witnesses(places, log)
        self.policy.write_text(policy_text(log, keys, self.witnesses.urls), encoding="ascii")

    def cosign(self) -> None:
        """The witnesses cosign the head of the log, if it has only grown since the last time."""
        where = (self.record, "--board", self.board, "--witness-policy", self.policy)
        self.evote("witnesses", "board", "cosign", *where)

    def unwatch(self) -> None:
        """The witnesses end."""
        processor, largest = self.witnesses.stop()
        self.stages.append(Stage("witness processes", 0.0, processor, largest / _MB))

    def _write_voters(self, path: Path) -> None:
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(("style", "district", "status", "identity"))
            for person in self.people():
                writer.writerow((person.style, person.district, person.status, person.identity))
                self.ballots += person.ballots
                self.rounds = max(self.rounds, person.ballots)
                self.registered += 1

    def vote(self, *rounds: int) -> None:
        """Everybody votes: first ballots, round 1, and those who vote again, round 2.

        Online, or at stations without a network that deliver their batches later.
        """
        if self.scenario.stations:
            self.step("stations", _stations)
            batches, answers = self.folder / "batches", self.folder / "answers"
            own = ("-o", answers, "--board", self.board, "--jobs", self.jobs)
            self.evote("deliver", "board", "append", self.record, *sorted(batches.iterdir()), *own)
            self.cosign()
            return
        for number in rounds or range(1, self.rounds + 1):
            self.step(f"vote, round {number}", partial(_vote, number=number))
            self.cosign()

    def rule(self, verb: str, voters: Path, reason: str) -> None:
        """Strike or confirm the voters of a list of credentials."""
        where = (verb, self.record, voters, "--reason", reason)
        self.say(self.evote(verb, "election", *where, *self.signing()).strip())

    def credentials(self, wanted: Callable[[Person], bool], path: Path) -> int:
        """The credentials of some people, for the authorities: the registrars open the map."""
        opened = self.offline / "opened.csv"
        if not opened.exists():
            sealed = self.offline / "map"
            where = (self.record, sealed, "--registrar", self.registrar, "-o", opened)
            self.evote("open map", "registrar", "map", "open", *where)
        with opened.open(encoding="utf-8", newline="") as file:
            rows = zip(self.people(), csv.DictReader(file), strict=True)
            chosen = (row["credential"] for person, row in rows if wanted(person))
            return write_list(path, "credential", chosen)

    def reconcile(self, book: Path, reason: str) -> None:
        """Strike who has voted online and stands in the book of those who voted on paper."""
        made = {name: self.offline / name for name in ("request", "secret", "answer", "strikes")}
        files = ("--request", made["request"], "--secret-file", made["secret"])
        matching = (*files, "--answer", made["answer"], "--tags", self.offline / "tags")
        asking = (self.record, self.authority, book, *files, *self._jobs())
        self.evote("reconcile: ask", "reconcile", "ask", *asking)
        answer = (self.record, self.registrar, made["request"], "-o", made["answer"])
        self.evote("reconcile: answer", "reconcile", "answer", *answer, *self._jobs())
        listed = (self.record, book, *matching, *self._jobs())
        found = self.evote("reconcile: match", "reconcile", "match", *listed, "-o", made["strikes"])
        self.say(found.partition("\n")[0])
        self.rule("strike", made["strikes"], reason)

    def finish(self) -> None:
        """From the seal to the audit."""
        self.seal()
        self.mix()
        self.count()
        self.verify()

    def seal(self) -> None:
        """End of voting."""
        self.say(self.evote("seal", "election", "seal", self.record, *self.signing()).strip())
        self.cosign()

    def mix(self) -> None:
        """Every mix server in turn."""
        for i in range(1, self.scenario.mixers + 1):
            mixer = self.operators / f"mixer-{i}"
            where = (self.record, mixer, *self._pinned(), *self._jobs())
            self.evote(f"mixer {i}", "mix", "shuffle", *where)
        if self.scenario.mixers:
            self._published()

    def _published(self) -> None:
        """When the last mix server had published each unit with its proof."""
        steps = self.record.glob(f"mixes/*/{self.scenario.mixers:02}.json")
        times = sorted(path.stat().st_mtime for path in steps)
        first, last = times[0], times[-1]
        self.say(f"{len(times)} units published, the first {last - first:.1f} s before the last")

    def count(self) -> None:
        """Tally, shares of a quorum, result; it must be what was marked."""
        board = ("--board", self.board)
        self.evote("tally", "tally", self.record, *board, *self._jobs())
        self.cosign()
        for i in range(1, self.scenario.quorum + 1):
            where = (self.record, self.operators / f"trustee-{i}", *self._pinned(), *self._jobs())
            self.evote(f"trustee {i}", "trustee", "decrypt", *where)
        self.evote("result", "result", self.record, *board)
        self.cosign()
        record = Record(self.record)
        self._totals = _totals(decode_result(record.manifest, record.result_bytes()))
        expected = json.loads((self.folder / "expected.json").read_text(encoding="ascii"))
        if self._totals != expected:
            raise SystemExit("what was published is not what was marked")
        self.say("what was published is what was marked")

    def votes(self, contest: str) -> list[int]:
        """The published votes of each option."""
        return self._totals[contest]

    def elected(self, contest: str, seats: int) -> list[str]:
        """Numbers of the options with the most votes; of equal ones the first on the paper."""
        votes = self.votes(contest)
        best = sorted(range(len(votes)), key=lambda i: (-votes[i], i))[:seats]
        return [str(i + 1) for i in sorted(best)]

    def verify(self) -> None:
        """The audit, by whoever wants: who has the manifest's digest, and the witnesses' policy."""
        where = (self.record, *self._pinned(), *self._jobs())
        command = [sys.executable, "-m", "evote", "verify", *map(str, where)]
        found = self.run("verify", lambda: subprocess.run(command, check=False).returncode)
        print(found, flush=True)

    def errors(self) -> None:
        """An error of every class, each in a copy of its own: all are found, each by its check."""
        for error in ERRORS:
            copy = self.folder / "copy"
            try:
                impossible = self.run("seed errors", partial(_seed, self, copy, error)).strip()
                if impossible:
                    self.say(f"{error.name}: not in this election: {impossible}")
                    continue
                found = self.evote("find errors", "verify", copy, *self._jobs(), exit_code=1)
            finally:
                shutil.rmtree(copy, ignore_errors=True)
            failed = [line.split()[1] for line in found.splitlines() if line.startswith("failed ")]
            if error.check not in failed:
                raise SystemExit(f"{error.name}: {error.check} has not found it\n{found}")
            failed.remove(error.check)
            self.say(f"{error.name}: found by {error.check}; failed too: {' '.join(failed) or '-'}")

    def signing(self) -> tuple[object, ...]:
        """The options of whoever signs for the authorities and the board."""
        return "--authority", self.authority, "--board", self.board

    def _pinned(self) -> tuple[object, ...]:
        return "--expect-manifest", self.digest, "--witness-policy", self.policy

    def _jobs(self) -> tuple[object, ...]:
        return "--jobs", self.jobs, "--quiet"

    def table(self) -> None:
        """What every stage took, in the end."""
        rows = table(self.stages, time.monotonic() - self._begin, self.ballots)
        print(f"{self.ballots} ballots, scale {self.scale:g}, {self.jobs} jobs")
        text = json.dumps({"ballots": self.ballots, "scale": self.scale, "stages": rows}, indent=1)
        (self.folder / "stages.json").write_text(text, encoding="ascii")


def _totals(result: Result) -> dict[str, list[int]]:
    """The votes of every contest whose marks are added up, over all districts."""
    totals: dict[str, list[int]] = {}
    for row in result.contests:
        before = totals.get(row.id, [0] * len(row.votes))
        totals[row.id] = [a + b for a, b in zip(before, row.votes, strict=True)]
    for count in result.mixed:
        if isinstance(count.outcome, SelectionCount):
            totals[count.contest] = list(count.outcome.votes)
    return totals


# -- what processes of their own do ----------------------------------------------------------------


def _become(task: Callable[[], int], output: int) -> NoReturn:
    """In a new process: do the task, all output into a file, and end."""
    code = 70
    try:
        os.dup2(output, 1)
        os.dup2(output, 2)
        try:
            code = task()
        except SystemExit as end:  # how the command line leaves
            code = end.code if isinstance(end.code, int) else 1
        end_processes()
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _seed(election: Election, copy: Path, error: SeededError) -> int:
    """Put an error into a copy of the record, or say why there is none of its class."""
    copy_record(election.record, copy)
    key, last = load_operator(election.board, election.passphrase), election.scenario.mixers
    signer = NoteSigner(key=Record(copy).manifest.log_key, sign=key.sign_note)
    names = [f"mixer-{last}"] if last and error.check.startswith("mix.") else []
    mixers = {name: load_operator(election.operators / name, election.passphrase) for name in names}
    try:
        seed(copy, error, board=signer, mixers=mixers)
    except ParameterError as reason:
        print(reason)
    return 0


def _found(election: Election) -> None:
    """Operators, manifest and key ceremony."""
    scenario = election.scenario
    keys = workflow.create_operators(
        election.operators,
        election.passphrase,
        trustees=scenario.trustees,
        mixers=scenario.mixers,
        tags=scenario.tags,
    )
    cards = {name: load_card(path) for name, path in keys.items()}
    workflow.new_election(election.record, scenario.draft(election.registered), cards=cards)
    trustees = [keys[f"trustee-{i}"] for i in range(1, scenario.trustees + 1)]
    workflow.run_ceremony(election.record, trustees, election.passphrase)


class _Voting:
    """Everybody's votes of some rounds, as a stream, each round in the order of the list."""

    def __init__(self, election: Election) -> None:
        self.election = election
        self._papers = {
            contest.id: Counter[tuple[int, ...]]() for contest in election.scenario.contests
        }

    def votes(self, *rounds: int) -> Iterator[workflow.Vote]:
        scenario = self.election.scenario
        for number in rounds:
            rng = random.Random(f"{scenario.seed}/{number}")
            with (self.election.offline / "codes.csv").open(encoding="utf-8", newline="") as file:
                rows = zip(self.election.people(), csv.DictReader(file), strict=True)
                for person, row in rows:
                    if person.ballots < number:
                        continue
                    marks = scenario.mark(rng, person)
                    if person.counts and person.ballots == number:
                        for name, values in marks.items():
                            self._papers[name][values] += 1
                    choice = workflow.Choice(contests=marks)
                    yield workflow.Vote(code=row["code"], style=person.style, choice=choice)

    def expect(self) -> None:
        """Write what must come out, of these rounds and those before."""
        path = self.election.folder / "expected.json"
        before = json.loads(path.read_text(encoding="ascii")) if path.exists() else {}
        for contest in self.election.scenario.contests:
            sums = np.array(before.get(contest.id, [0] * len(contest.options)))
            for values, count in self._papers[contest.id].items():
                sums += count * np.array(values)
            before[contest.id] = sums.tolist()
        path.write_text(json.dumps(before), encoding="ascii")


def _vote(election: Election, number: int) -> None:
    voting = _Voting(election)
    made = workflow.make_submissions(
        election.record, voting.votes(number), jobs=election.jobs, at_once=_AT_ONCE
    )
    with workflow.open_ballot_box(election.record, election.board, election.passphrase) as box:
        for some in made:
            box.submit(some)
    voting.expect()


def _stations(election: Election) -> None:
    """Every station makes and signs its voters' ballots, and has no network: a file of each."""
    voting, stations = _Voting(election), election.scenario.stations
    ballots = sum(person.ballots for person in election.people())
    folder = election.folder / "batches"
    folder.mkdir()
    made = workflow.make_submissions(
        election.record, voting.votes(1, 2), jobs=election.jobs, at_once=_AT_ONCE
    )
    items = chain.from_iterable(made)
    for i in range(stations):
        share = (i + 1) * ballots // stations - i * ballots // stations
        with (folder / f"{i + 1:03}.jsonl").open("w", encoding="ascii") as file:
            for item in islice(items, share):
                file.write(workflow.encode_submission(item).decode("ascii") + "\n")
    voting.expect()


@contextmanager
def start(scenario: Scenario | Callable[[float], Scenario], doc: str | None) -> Iterator[Election]:
    """Read the command line: an election to be led through its steps, and in the end its table."""
    parser = argparse.ArgumentParser(description=(doc or "").partition("\n")[0])
    parser.add_argument("--scale", type=float, default=1.0, help="fraction of the real sizes")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes")
    parser.add_argument("--keep", type=Path, help="a new folder for everything")
    parser.add_argument("--errors", action="store_true", help="seed errors, and find them")
    options = parser.parse_args()
    if not isinstance(scenario, Scenario):
        scenario = scenario(options.scale)
    with ExitStack() as stack:
        folder = options.keep
        if folder is None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="evote-")))
        elif folder.exists():
            raise SystemExit(f"{folder} exists: a scenario starts from nothing")
        folder.mkdir(parents=True, exist_ok=True)
        election = Election(scenario, folder.resolve(), options.scale, options.jobs)
        stack.callback(lambda: election.witnesses.stop())
        yield election
        election.unwatch()
        if options.errors:
            election.errors()
        election.table()
