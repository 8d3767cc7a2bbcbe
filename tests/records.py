"""A small complete election, made once, for the tests of verify, of tampering and of attackers."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from evote import workflow
from evote.ceremony import ceremony_parameters, trustee_commit
from evote.credentials import derive_voter_key
from evote.encoding import JSON
from evote.groups import named_group
from evote.operators import SCRYPT_COST_FLOOR, load_card
from evote.record import Record
from evote.workflow import Choice, Credential, EncryptedBallot, RollLine

PASSPHRASE = "correct horse"

YES_NO: dict[str, JSON] = {
    "id": "bridge",
    "title": "Shall the bridge be built?",
    "kind": "yes-no",
    "options": [{"id": "yes", "title": "Yes"}, {"id": "no", "title": "No"}],
    "option_limit": 1,
    "minimum": 0,
    "maximum": 1,
    "blank": "none",
}
APPROVAL: dict[str, JSON] = {
    "id": "board",
    "title": "Members of the board",
    "kind": "limited",
    "options": [{"id": name, "title": name.upper()} for name in ("ann", "bob", "eve")],
    "option_limit": 1,
    "minimum": 1,
    "maximum": 2,
    "blank": "counted",
}


ONE: dict[str, JSON] = {
    "id": "a",
    "title": "A?",
    "kind": "approval",
    "options": [{"id": "x", "title": "X"}],
    "option_limit": 1,
    "minimum": 0,
    "maximum": 1,
    "blank": "none",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What the election is to hold; the defaults are the smallest that has everything in it."""

    contests: Sequence[Mapping[str, JSON]] = (YES_NO,)
    styles: Mapping[str, Sequence[str]] = field(default_factory=lambda: {"all": ["bridge"]})
    trustees: int = 2
    quorum: int = 2
    authorities: int = 1
    authority_quorum: int | None = None  # all of them
    registrars: int = 1
    mixers: int = 0
    mixing: Mapping[str, JSON] | None = None  # without the mixers, who are named by their number
    group: str = "ristretto255"
    profile: str = "native"
    voters: Sequence[RollLine] = (RollLine(style="all", count=3),)
    maximum_weight: int = 1
    revote: str = "last"
    spoil: str = "allowed"
    credentials: str = "drawn"
    tags: bool = False
    powers: Mapping[str, JSON] = field(default_factory=dict)  # reason codes, and the end
    districts: Mapping[str, JSON] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A record, the directories of its operators, and what the voters hold."""

    path: Path
    operators: dict[str, Path]
    credentials: list[Credential]
    ballots: list[EncryptedBallot]
    plan: Plan

    def trustees(self) -> list[Path]:
        return [path for name, path in self.operators.items() if name.startswith("trustee")]

    def authorities(self) -> list[Path]:
        return [path for name, path in self.operators.items() if name.startswith("authority")]

    def mixers(self) -> list[Path]:
        return [path for name, path in self.operators.items() if name.startswith("mixer")]

    @property
    def board(self) -> Path:
        return self.operators["board"]


def draft(plan: Plan) -> dict[str, JSON]:
    """The manifest's draft, operators by name."""
    voters = sum(line.count for line in plan.voters)
    trustees: list[JSON] = [f"trustee-{i + 1}" for i in range(plan.trustees)]
    authorities: list[JSON] = [f"authority-{i + 1}" for i in range(plan.authorities)]
    mixers: list[JSON] = [f"mixer-{i + 1}" for i in range(plan.mixers)]
    optional: dict[str, JSON] = {}
    if plan.mixing is not None:
        optional["mixing"] = {"mixers": mixers, **plan.mixing}
    if plan.districts is not None:
        optional["districts"] = dict(plan.districts)
    if plan.credentials != "drawn":
        optional["credentials"] = plan.credentials
    return optional | {
        "title": "A small election",
        "profile": plan.profile,
        "contests": [dict(contest) for contest in plan.contests],
        "styles": [{"id": id_, "contests": list(names)} for id_, names in plan.styles.items()],
        "trustees": trustees,
        "quorum": plan.quorum,
        "registrars": [f"registrar-{i + 1}" for i in range(plan.registrars)],
        "authorities": {
            "cards": authorities,
            "quorum": plan.authority_quorum or plan.authorities,
        },
        "group": plan.group,
        "board": {"origin": "log.example/small", "card": "board"},
        "policies": {"revote": plan.revote, "spoil": plan.spoil, **plan.powers},
        "weights": {
            "maximum": plan.maximum_weight,
            "total": sum(line.count * line.weight for line in plan.voters),
        },
        "voters": {"maximum": voters},
    }


def make_operators(directory: Path, plan: Plan) -> dict[str, Path]:
    return workflow.create_operators(
        directory / "operators",
        PASSPHRASE,
        trustees=plan.trustees,
        authorities=plan.authorities,
        registrars=plan.registrars,
        mixers=plan.mixers,
        group=named_group(plan.group),
        tags=plan.tags,
        cost=SCRYPT_COST_FLOOR,
    )


def found(directory: Path, plan: Plan, operators: dict[str, Path]) -> Made:
    """An election that has a manifest and nothing else."""
    record = directory / "record"
    cards = {name: load_card(path) for name, path in operators.items()}
    workflow.new_election(record, draft(plan), cards=cards)
    return Made(path=record, operators=operators, credentials=[], ballots=[], plan=plan)


def enrol(made: Made) -> None:
    """The ceremony, as far as it is not done, and the roll, signed by every registrar."""
    workflow.run_ceremony(made.path, made.trustees(), PASSPHRASE)
    first, *others = [made.operators[f"registrar-{i + 1}"] for i in range(made.plan.registrars)]
    credentials = workflow.issue_credentials(made.path, first, made.plan.voters, PASSPHRASE)
    made.credentials.extend(credentials)
    for registrar in others:
        workflow.cosign_roll(made.path, registrar, PASSPHRASE)


def make_ready(directory: Path, plan: Plan = Plan()) -> Made:
    """An election up to its opening."""
    made = found(directory, plan, make_operators(directory, plan))
    enrol(made)
    return made


def open_small(made: Made) -> None:
    workflow.open_election(made.path, made.authorities(), made.board, PASSPHRASE)


def marks(*votes: int, contest: str = "bridge") -> Choice:
    """A choice in one contest."""
    return Choice(contests={contest: votes})


def cast(made: Made, choices: Sequence[tuple[int, Choice, str]]) -> list[EncryptedBallot]:
    """Voters, by number, cast or spoil these choices, in order."""
    codes = [made.credentials[voter].code for voter, _, _ in choices]
    ballots = workflow.encrypt_ballots(
        made.path, [(code, choice) for code, (_, choice, _) in zip(codes, choices, strict=True)]
    )
    submissions = workflow.sign_ballots(
        made.path,
        [
            (code, ballot, "cast" if action == "cast" else "spoil")
            for code, ballot, (_, _, action) in zip(codes, ballots, choices, strict=True)
        ],
    )
    workflow.submit(made.path, made.board, submissions, PASSPHRASE)
    made.ballots.extend(ballots)
    return ballots


def vote_small(made: Made) -> None:
    """A spoiled and opened ballot, a revote, and one more: counted are a yes and a no."""
    ballots = cast(
        made,
        [
            (0, marks(1, 0), "spoil"),
            (0, marks(1, 0), "cast"),
            (1, marks(1, 0), "cast"),
            (1, marks(0, 1), "cast"),
        ],
    )
    workflow.open_spoiled(made.path, made.board, ballots[0], PASSPHRASE)


def finish(made: Made, trustees: Sequence[int] | None = None) -> None:
    """Seal, mix where it is due, tally, decrypt by these trustees (all by default), publish."""
    workflow.seal_election(made.path, made.authorities(), made.board, PASSPHRASE)
    for mixer in made.mixers():
        workflow.mix(made.path, mixer, PASSPHRASE)
    workflow.compute_tally(made.path, made.board, PASSPHRASE)
    chosen = made.trustees() if trustees is None else [made.trustees()[i - 1] for i in trustees]
    for directory in chosen:
        workflow.decrypt_share(made.path, directory, PASSPHRASE, board_directory=made.board)
    workflow.publish_result(made.path, made.board, PASSPHRASE)


def make_phases(directory: Path) -> dict[str, Path]:
    """The record of one small election as it was in each phase, under the name of the phase."""
    phases: dict[str, Path] = {}

    def keep(phase: str) -> None:
        phases[phase] = directory / phase
        shutil.copytree(made.path, phases[phase])

    operators = make_operators(directory, Plan())
    made = found(directory, Plan(), operators)
    keep("setup")
    for trustee in made.trustees():
        trustee_commit(trustee, made.path, PASSPHRASE)
    keep("ceremony")
    enrol(made)
    keep("ready")
    open_small(made)
    vote_small(made)
    keep("voting")
    workflow.seal_election(made.path, made.authorities(), made.board, PASSPHRASE)
    keep("sealed")
    workflow.compute_tally(made.path, made.board, PASSPHRASE)
    keep("tallied")
    for trustee in made.trustees():
        workflow.decrypt_share(made.path, trustee, PASSPHRASE)
    workflow.publish_result(made.path, made.board, PASSPHRASE)
    keep("finished")
    return phases


def make_small(directory: Path) -> Made:
    """The smallest finished election with a spoil, an opening and a revote."""
    made = make_ready(directory)
    open_small(made)
    vote_small(made)
    finish(made)
    return made


def make_tiny(directory: Path) -> Made:
    """As few bytes as an election can have that holds a spoil, an opening and a revote."""
    plan = Plan(
        contests=(ONE,),
        styles={"s": ["a"]},
        trustees=1,
        quorum=1,
        voters=(RollLine(style="s", district="d"),),
    )
    made = make_ready(directory, plan)
    open_small(made)
    choice = marks(1, contest="a")
    ballots = cast(made, [(0, choice, "spoil"), (0, choice, "cast"), (0, choice, "cast")])
    workflow.open_spoiled(made.path, made.board, ballots[0], PASSPHRASE)
    finish(made)
    return made


FULL = Plan(
    contests=(YES_NO, APPROVAL),
    styles={"both": ["bridge", "board"], "half": ["bridge"]},
    trustees=3,
    authorities=2,
    voters=(
        RollLine(style="both", weight=2),
        RollLine(style="both", count=2),
        RollLine(style="half"),
    ),
    maximum_weight=2,
)


PARTY: dict[str, JSON] = {
    "id": "party",
    "title": "A party, or another",
    "kind": "write-in",
    "options": [{"id": name, "title": name.upper()} for name in ("red", "blue")],
    "option_limit": 1,
    "minimum": 0,
    "maximum": 1,
    "write_in": 12,
    "blank": "counted",
}
RANKED: dict[str, JSON] = {
    "id": "ward",
    "title": "Members for the ward",
    "kind": "ranking",
    "options": [{"id": name, "title": name.upper()} for name in ("ann", "bob", "eve", "kim")],
    "option_limit": 3,
    "minimum": 0,
    "maximum": 3,
    "count": {"method": "scottish-stv", "seats": 2},
    "blank": "none",
}
MIXED = Plan(
    contests=(YES_NO, RANKED, PARTY, APPROVAL),
    styles={"town": ["bridge", "ward", "party", "board"], "land": ["bridge", "ward", "party"]},
    mixers=2,
    mixing={
        "packs": [
            {"id": "papers", "contests": ["ward", "party"]},
            {"id": "board", "contests": ["board"]},
        ],
        "min_unit": 2,
        "patterns_accepted": True,
    },
    voters=(
        RollLine(style="town", count=3),
        RollLine(style="land", count=2),
        RollLine(style="town", count=2, weight=2),
    ),
    maximum_weight=2,
)


def vote_mixed(made: Made) -> None:
    """Seven voters: one spoils and opens a ballot, one votes twice, one writes in, one leaves all.

    Counted are five ballots of weight 1, of two styles, and two of weight 2.
    """
    first = Choice(
        contests={"bridge": (1, 0), "ward": (1, 2, 3, 0), "party": (0, 0), "board": (1, 1, 0)},
        write_ins={"party": "Grün"},
    )
    other = Choice(
        contests={"bridge": (0, 1), "ward": (0, 1, 0, 2), "party": (1, 0)},
        blank=frozenset({"board"}),
    )
    land = Choice(contests={"ward": (2, 1, 0, 0)}, blank=frozenset({"party"}))
    empty = Choice(contests={"board": (0, 0, 1)})
    ballots = cast(
        made,
        [
            (0, first, "spoil"),
            (0, other, "cast"),
            (0, first, "cast"),
            (1, other, "cast"),
            (2, empty, "cast"),
            (3, land, "cast"),
            (4, Choice(contests={}), "cast"),
            (5, first, "cast"),
            (6, other, "cast"),
        ],
    )
    workflow.open_spoiled(made.path, made.board, ballots[0], PASSPHRASE)


def make_mixed(directory: Path) -> Made:
    """An election with sums and mixes: rankings, a write-in and a blank, packed; five units."""
    made = make_ready(directory, MIXED)
    open_small(made)
    vote_mixed(made)
    finish(made)
    return made


WARD: dict[str, JSON] = {
    **RANKED,
    "options": [{"id": name, "title": name.upper()} for name in ("ann", "bob", "eve")],
    "option_limit": 3,
    "count": {"method": "borda", "seats": 1},
}
LONG: dict[str, JSON] = {**PARTY, "write_in": 40}
SMALL_MIXED = Plan(
    contests=(ONE, WARD, LONG),
    styles={"town": ["a", "ward", "party"], "land": ["ward", "party"]},
    trustees=1,
    quorum=1,
    mixers=2,
    mixing={
        "packs": [{"id": "papers", "contests": ["ward", "party"]}],
        "min_unit": 1,
        "small_units_accepted": True,
        "patterns_accepted": True,
    },
    voters=(RollLine(style="town", count=3), RollLine(style="land")),
)
TOWN = Choice(contests={"a": (1,), "ward": (1, 2, 0)}, write_ins={"party": "Grün"})
LAND = Choice(contests={"ward": (0, 2, 1)}, blank=frozenset({"party"}))


def vote_small_mixed(made: Made) -> None:
    """One voter of the town votes twice; three ballots of the town count, and one of the land."""
    other = Choice(contests={"ward": (3, 1, 2), "party": (0, 1)})
    cast(
        made,
        [
            (0, other, "cast"),
            (0, TOWN, "cast"),
            (1, other, "cast"),
            (2, TOWN, "cast"),
            (3, LAND, "cast"),
        ],
    )


def make_small_mixed(directory: Path) -> Made:
    """One pack of two elements, two mix servers, two units, one of them of a single ballot."""
    made = make_ready(directory, SMALL_MIXED)
    open_small(made)
    vote_small_mixed(made)
    finish(made)
    return made


PAIR: dict[str, JSON] = {
    **WARD,
    "id": "b",
    "options": [{"id": name, "title": name.upper()} for name in ("x", "y")],
    "option_limit": 2,
    "maximum": 2,
}


def make_tiny_mixed(directory: Path) -> Made:
    """As few bytes as an election can have that mixes two ballots."""
    plan = Plan(
        contests=(PAIR,),
        styles={"s": ["b"]},
        trustees=1,
        quorum=1,
        mixers=1,
        mixing={
            "packs": [{"id": "p", "contests": ["b"]}],
            "min_unit": 1,
            "small_units_accepted": True,
            "patterns_accepted": True,
        },
        voters=(RollLine(style="s", district="d", count=2),),
    )
    made = make_ready(directory, plan)
    open_small(made)
    cast(made, [(0, marks(1, 2, contest="b"), "cast"), (1, marks(0, 1, contest="b"), "cast")])
    finish(made)
    return made


def make_full(directory: Path) -> Made:
    """Two contests, counted blanks, weights, styles, two authorities; trustee 2 is absent.

    Of its voters 0, 1 and 3 vote, 1 twice, and 0 spoils a ballot first.
    """
    made = make_ready(directory, FULL)
    open_small(made)
    both = Choice(contests={"bridge": (1, 0), "board": (1, 0, 1)})
    blank = Choice(contests={"bridge": (0, 1)}, blank=frozenset(["board"]))
    ballots = cast(
        made,
        [
            (0, both, "spoil"),
            (0, both, "cast"),
            (1, both, "cast"),
            (1, blank, "cast"),
            (3, marks(0, 1), "cast"),
        ],
    )
    workflow.open_spoiled(made.path, made.board, ballots[0], PASSPHRASE)
    finish(made, [1, 3])
    return made


# Every policy at work, and results by district: north alone, south with the islet.
RULED = Plan(
    contests=(YES_NO, ONE),
    styles={"both": ["bridge", "a"], "half": ["bridge"]},
    trustees=1,
    quorum=1,
    authorities=3,
    authority_quorum=2,
    voters=(
        RollLine(style="both", district="north", count=3),
        RollLine(style="half", district="south", weight=2, count=2),
        RollLine(style="both", district="south", status="provisional", count=2),
        RollLine(style="both", district="islet"),
    ),
    maximum_weight=2,
    powers={
        "strike": ["fraud", "voted-on-paper"],
        "confirm": ["identity-shown"],
        "extend": ["polls-late"],
        "phase": ["schedule"],
        "end": 1_900_000_000,
    },
    districts={"min_unit": 2},
)
BOTH = Choice(contests={"bridge": (1, 0), "a": (1,)})


def credentials_of(made: Made, *voters: int) -> list[bytes]:
    """The credentials of voters, by number."""
    base = ceremony_parameters(Record(made.path)).base_id
    return [derive_voter_key(made.credentials[i].code, base).credential for i in voters]


def rule_small(made: Made) -> None:
    """Votes, and what authorities 1 and 2 do about them.

    Voters 0, 1 and 2 are of the north: 0 votes twice, 1 is struck after voting. 3 and 4 are of the
    south and weigh 2; 5 and 6 are provisional, and 6 is never confirmed. 7 lives on the islet.
    """
    who = (made.path, made.authorities()[:2], made.board, PASSPHRASE)
    no = Choice(contests={"bridge": (0, 1), "a": (0,)})
    workflow.extend_voting(*who, 1_900_003_600, "polls-late")
    ballots = cast(
        made,
        [
            (0, no, "cast"),
            (0, BOTH, "spoil"),
            (0, BOTH, "cast"),
            (1, BOTH, "cast"),
            (2, no, "cast"),
            (3, marks(1, 0), "cast"),
            (4, marks(0, 1), "cast"),
            (5, BOTH, "cast"),
            (6, BOTH, "cast"),
            (7, BOTH, "cast"),
        ],
    )
    workflow.set_phase(*who, "closed", "schedule")
    workflow.open_spoiled(made.path, made.board, ballots[1], PASSPHRASE)
    workflow.strike_voters(*who, credentials_of(made, 1), "voted-on-paper")
    workflow.confirm_voters(*who, credentials_of(made, 5), "identity-shown")


def make_ruled(directory: Path) -> Made:
    """Counted are two ballots of the north, three of the south and one of the islet."""
    made = make_ready(directory, RULED)
    open_small(made)
    rule_small(made)
    finish(made)
    return made
