"""What an attacker with the board's, the authorities' and a registrar's key does to the roll.

Each deed first alone, every digest and signature as it was, and then with all that depends on it
recomputed: see `attacker`. The voters' signatures and the trustees' shares are of the election id,
which is of the roll's root.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from evote import registrars
from evote.ceremony import ceremony_parameters
from evote.credentials import derive_voter_key
from evote.encoding import encode_hex
from evote.record import ROLL, Record
from evote.workflow import Credential, RollLine, run_ceremony
from tests.attacker import Attacker, Honest
from tests.memory import Memory
from tests.records import (
    PASSPHRASE,
    Plan,
    cast,
    finish,
    found,
    make_operators,
    make_ruled,
    marks,
    open_small,
)
from tests.test_attacks import COUNTED, submit

# The voters signed, and the trustees decrypted, for the election of another roll.
ANOTHER_ROLL = "ballots.signatures ballots.proofs spoiled.openings"


@pytest.fixture(scope="module", name="honest")
def make_honest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Honest]:
    with pytest.MonkeyPatch.context() as patch:
        Memory(patch)
        yield Honest.of(make_ruled(tmp_path_factory.mktemp("ruled")))


class Attack(NamedTuple):
    """What is done, to which rows of the attacks it belongs, and what fails, alone and redone."""

    do: Callable[[Honest, Attacker], None]
    rows: str
    alone: str
    redone: str


ATTACKS: dict[str, Attack] = {}


def attack(rows: str, alone: str, redone: str) -> Callable[[Any], Any]:
    """Name a function as an attack."""

    def register(do: Callable[[Honest, Attacker], None]) -> Callable[[Honest, Attacker], None]:
        ATTACKS[do.__name__.replace("_", " ")] = Attack(do, rows, alone, redone)
        return do

    return register


def row_of(honest: Honest, attacker: Attacker, voter: int) -> dict[str, Any]:
    """The row of a voter, by the number in `records.rule_small`."""
    base = ceremony_parameters(Record(honest.made.path)).base_id
    credential = derive_voter_key(honest.made.credentials[voter].code, base).credential
    [found] = [
        attacker.docs[name]
        for name in attacker.rows
        if attacker.docs[name]["credential"] == encode_hex(credential)
    ]
    row: dict[str, Any] = found
    return row


@attack("C8 F4", "roll.form", f"roll.form {ANOTHER_ROLL} {COUNTED}")
def a_voter_who_is_nobody(honest: Honest, attacker: Attacker) -> None:
    """Last on the roll, so that others keep their numbers; one more than the manifest allows."""
    last = attacker.docs[attacker.rows[-1]]
    key = ""
    while key <= last["credential"]:
        key = encode_hex(Ed25519PrivateKey.generate().public_key().public_bytes_raw())
    attacker.docs["row 99"] = {**row_of(honest, attacker, 0), "credential": key}
    attacker.rows.append("row 99")


@attack("C8", "roll.form", f"tally.sums {ANOTHER_ROLL} {COUNTED}")
def a_provisional_voter_made_full(honest: Honest, attacker: Attacker) -> None:
    del row_of(honest, attacker, 6)["status"]


@attack("C8", "roll.form", f"result.form {ANOTHER_ROLL} {COUNTED}")
def a_full_voter_made_provisional(honest: Honest, attacker: Attacker) -> None:
    row_of(honest, attacker, 3)["status"] = "provisional"


@attack("F4", "roll.form", f"{ANOTHER_ROLL} {COUNTED}")
def a_voter_moved_to_another_district(honest: Honest, attacker: Attacker) -> None:
    row_of(honest, attacker, 1)["district"] = "south"


@attack("C3 F4", "roll.form", f"roll.form {ANOTHER_ROLL} {COUNTED}")
def a_weight_raised(honest: Honest, attacker: Attacker) -> None:
    row_of(honest, attacker, 2)["weight"] = 2


@attack("C12", "roll.form", "roll.form")
def two_voters_with_one_key(honest: Honest, attacker: Attacker) -> None:
    one, other = attacker.rows[:2]
    attacker.docs[other]["credential"] = attacker.docs[one]["credential"]


@attack(
    "C8 B6",
    "roll.form",
    f"roll.keys ballots.credentials ballots.signatures ballots.proofs policy.counted {COUNTED}",
)
def a_key_of_small_order(honest: Honest, attacker: Attacker) -> None:
    attacker.docs[attacker.rows[0]]["credential"] = encode_hex(bytes(32))


@attack("F7", "roll.form", "roll.form")
def the_roll_of_another_election(honest: Honest, attacker: Attacker) -> None:
    attacker.set(ROLL, ("base",), "00" * 32)


@attack("F4", "roll.form", "roll.form")
def the_root_of_a_district(honest: Honest, attacker: Attacker) -> None:
    first, second, *_ = attacker.docs[ROLL]["districts"]
    attacker.set(ROLL, ("districts", 0, "root"), second["root"])
    assert first is not second


@attack("F4", "roll.form", "roll.form")
def a_voter_counted_in_two_districts(honest: Honest, attacker: Attacker) -> None:
    count = attacker.docs[ROLL]["districts"][0]["count"]
    attacker.set(ROLL, ("districts", 0, "count"), count + 1)


@attack("F4", "roll.form", "roll.form")
def a_district_left_out(honest: Honest, attacker: Attacker) -> None:
    attacker.docs[ROLL]["districts"] = attacker.docs[ROLL]["districts"][1:]


def test_the_roll_has_what_the_attacks_are_about(honest: Honest) -> None:
    districts = honest.attacker.docs[ROLL]["districts"]
    assert [district["id"] for district in districts] == ["islet", "north", "south"]
    assert honest.failing(honest.attacker.copy()) == set()


@pytest.mark.parametrize("what", ATTACKS)
def test_attack_on_the_roll_alone(honest: Honest, what: str) -> None:
    """attacks: the rows that each names."""
    done = ATTACKS[what]
    attacker = honest.attacker.copy()
    done.do(honest, attacker)
    report = honest.audit_files(attacker.alone())
    assert set(done.alone.split()) <= {finding.check for finding in report.failures()}, done.rows


@pytest.mark.parametrize("what", ATTACKS)
def test_attack_on_the_roll(honest: Honest, what: str) -> None:
    """attacks: the rows that each names."""
    done = ATTACKS[what]
    attacker = honest.attacker.copy()
    done.do(honest, attacker)
    assert honest.failing(attacker) == set(done.redone.split()), done.rows


# -- a registrar of several ----------------------------------------------------------------------


@pytest.fixture(scope="module", name="parted")
def make_parted(tmp_path_factory: pytest.TempPathFactory) -> Honest:
    """Two registrars drew a part each; of three voters one stays at home."""
    directory = tmp_path_factory.mktemp("parted")
    plan = Plan(
        trustees=1,
        quorum=1,
        registrars=2,
        credentials="parts",
        voters=(RollLine(style="all", count=3),),
    )
    made = found(directory, plan, make_operators(directory, plan))
    run_ceremony(made.path, made.trustees(), PASSPHRASE)
    voters = directory / "voters.csv"
    voters.write_text("style,count\nall,3\n", encoding="utf-8")
    keys = [made.operators[f"registrar-{i}"] for i in (1, 2)]
    parts = [directory / f"part-{i}" for i in (1, 2)]
    codes = [directory / f"codes-{i}.csv" for i in (1, 2)]
    for key, part, file in zip(keys, parts, codes, strict=True):
        registrars.issue(made.path, key, voters, file, PASSPHRASE, part=part)
    for key in keys:
        registrars.combine(made.path, key, voters, parts, PASSPHRASE)
    columns = [drawn(file) for file in codes]
    made.credentials.extend(
        Credential(code="+".join(pair), style="all", weight=1, district="all")
        for pair in zip(*columns, strict=True)
    )
    open_small(made)
    cast(made, [(0, marks(1, 0), "cast"), (1, marks(0, 1), "cast")])
    finish(made)
    return Honest.of(made)


def drawn(codes: Path) -> list[str]:
    lines = codes.read_text(encoding="utf-8").splitlines()
    return [line.partition(",")[0] for line in lines[1:]]


def test_a_registrar_of_two_votes_for_nobody(parted: Honest) -> None:
    """attacks: C8. A part of a code makes no signature of the voter who stays away; both would."""
    base = ceremony_parameters(Record(parted.made.path)).base_id
    code = parted.made.credentials[2].code
    credential = derive_voter_key(code, base).credential
    for part in code.split("+"):
        attacker = parted.attacker.copy()
        submit_small(parted, attacker, credential, derive_voter_key(part, base).signing)
        assert "ballots.signatures" in parted.failing(attacker)
    attacker = parted.attacker.copy()
    submit_small(parted, attacker, credential, derive_voter_key(code, base).signing)
    assert parted.failing(attacker) == set(COUNTED.split()), "the trustees have decrypted already"


def submit_small(honest: Honest, attacker: Attacker, credential: bytes, key: Any) -> None:
    submit(honest, attacker, credential, key, style="all", marks={"bridge": [[1, 0]]})
