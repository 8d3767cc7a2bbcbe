"""What who owns the server does to the rulings and to results by district, and what fails then.

As in `test_attacks`, everything that depends on a deed is recomputed. Each deed is done three
times: alone; with the board's and the registrar's keys; and with the authorities' keys too, who may
rule as they like until the seal, but cannot make the trustees decrypt something else.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from evote import workflow
from evote.ballots import ballot_digest, encode_ballots, encrypt_ballots
from evote.board import pack_rows
from evote.credentials import derive_voter_key
from evote.encoding import decode_base64url, encode_base64url, encode_hex
from evote.errors import VerificationError
from evote.record import RESULT, TALLY
from evote.testing import tamper
from evote.verify import audit
from tests.attacker import Attacker, Honest
from tests.memory import Memory
from tests.records import PASSPHRASE, RULED, make_ready, make_ruled, open_small

COUNTED = "shares.proofs shares.quorum"  # the trustees have decrypted another counted set
UNSIGNED = "policy.signatures seal.signatures"
EXTEND, CLOSE, STRIKE, CONFIRM, SEAL = (f"entry {i}" for i in (1, 12, 14, 15, 16))


@pytest.fixture(scope="module", name="honest")
def make_honest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Honest]:
    with pytest.MonkeyPatch.context() as patch:
        Memory(patch)
        yield Honest.of(make_ruled(tmp_path_factory.mktemp("ruled")))


def test_the_honest_twin(honest: Honest) -> None:
    """The record passes, and what it says of each ballot is what was done."""
    report = honest.audit(honest.attacker.copy())
    assert report.ok, report.to_text()
    types = [honest.attacker.docs[name]["type"] for name in honest.attacker.log]
    assert [types[int(n.split()[1])] for n in (EXTEND, CLOSE, STRIKE, CONFIRM, SEAL)] == [
        *("extend", "phase", "strike", "confirm", "seal")
    ]
    fates = list(honest.fates.values())
    assert fates[:5] == ["superseded", "spoiled", "counted", "struck", "counted"]
    assert fates[5:] == ["counted", "counted", "counted", "unconfirmed", "counted"]
    rows = {
        (row.district, row.style): (row.voters, row.cast, row.counted, row.weight)
        for row in report.counts
    }
    assert rows == {
        ("north", "both"): (3, 4, 2, 2),
        ("south", "half"): (2, 2, 2, 4),
        ("south", "both"): (2, 2, 1, 1),
        ("islet", "both"): (1, 1, 1, 1),
    }
    assert report.result is not None
    assert [(row.id, row.districts, row.votes) for row in report.result.contests] == [
        ("bridge", ("islet", "north"), (2, 1)),
        ("bridge", ("south",), (3, 2)),
        ("a", ("islet", "south"), (2,)),
        ("a", ("north",), (1,)),
    ]


class Attack(NamedTuple):
    """What is done, and what fails without and with the authorities' keys."""

    do: Callable[[Honest, Attacker], None]
    rows: str
    server: str
    authorities: str


ATTACKS: dict[str, Attack] = {}


def attack(rows: str, server: str, authorities: str | None = None) -> Callable[[Any], Any]:
    """Name a function as an attack; without a third word the authorities' keys change nothing."""

    def register(do: Callable[[Honest, Attacker], None]) -> Callable[[Honest, Attacker], None]:
        keys = server if authorities is None else authorities
        ATTACKS[do.__name__.replace("_", " ")] = Attack(do, rows, server, keys)
        return do

    return register


def row_of(honest: Honest, entry: str) -> int:
    """The row of the roll of the voter of an entry."""
    docs = honest.attacker.docs
    return next(
        i
        for i, row in enumerate(honest.attacker.rows)
        if docs[row]["credential"] == docs[entry]["credential"]
    )


def insert(attacker: Attacker, entry: Any, before: str) -> str:
    name = f"entry {len(attacker.docs)}"
    attacker.docs[name] = entry
    attacker.log.insert(attacker.log.index(before), name)
    return name


def vote(honest: Honest, attacker: Attacker, voter: int, before: str) -> None:
    """A ballot with honest proofs, signed by a voter who was bribed."""
    credential = honest.made.credentials[voter]
    attacker.codes.append(credential.code)
    key = derive_voter_key(credential.code, attacker.base)
    marks = {"bridge": [[1, 0]], "a": [[1]]}
    if credential.style == "half":
        del marks["a"]
    ballots, _ = encrypt_ballots(honest.context, credential.style, [key.credential], marks)
    [body] = encode_ballots(honest.context, ballots)
    entry = {
        "type": "ballot",
        "action": "cast",
        "credential": encode_hex(key.credential),
        "digest": encode_hex(ballot_digest(body)),
        "signature": "",
    }
    name = insert(attacker, entry, before)
    attacker.docs[name.replace("entry", "body")] = json.loads(body)


def by_hand(attacker: Attacker) -> None:
    """The seal and the tally as they were before the deed."""
    for field in ("cast", "counted", "superseded", "struck", "unconfirmed", "digest"):
        attacker.pinned.add((SEAL, (field,)))
    for i in range(len(attacker.docs[TALLY]["contests"])):
        for field in ("ballots", "weight", "ciphertexts"):
            attacker.pinned.add((TALLY, ("contests", i, field)))
    attacker.pinned.add((TALLY, ("counted",)))


@attack("C11 F4", f"{UNSIGNED} {COUNTED}", COUNTED)
def a_strike_left_out(honest: Honest, attacker: Attacker) -> None:
    """The vote that was replaced on paper counts after all."""
    attacker.log.remove(STRIKE)


@attack("C11 F4", f"{UNSIGNED} seal.counted tally.sums", "seal.counted tally.sums")
def a_strike_left_out_and_nothing_counted_anew(honest: Honest, attacker: Attacker) -> None:
    attacker.log.remove(STRIKE)
    by_hand(attacker)


@attack("C11 F4", f"{UNSIGNED} {COUNTED} result.form", f"{COUNTED} result.form")
def a_strike_added(honest: Honest, attacker: Attacker) -> None:
    """Under the signatures of the one that is there, if no others can be had."""
    victim = {**deepcopy(attacker.docs[STRIKE]), "rows": rows(row_of(honest, "entry 8"))}
    insert(attacker, victim, SEAL)


@attack("C11 F4", f"{UNSIGNED} {COUNTED}", COUNTED)
def another_voter_struck(honest: Honest, attacker: Attacker) -> None:
    attacker.set(STRIKE, ("rows",), rows(row_of(honest, "entry 4")))


@attack("F4", "policy.counted policy.signatures seal.signatures", "policy.counted")
def a_strike_repeated(honest: Honest, attacker: Attacker) -> None:
    insert(attacker, deepcopy(attacker.docs[STRIKE]), SEAL)


@attack("F4", "policy.counted policy.signatures seal.signatures", "policy.counted")
def a_strike_for_a_reason_of_its_own(honest: Honest, attacker: Attacker) -> None:
    attacker.set(STRIKE, ("reason",), "disliked")


@attack(
    "C8 F4",
    f"seal.signatures tally.sums {COUNTED} result.form",
    f"tally.sums {COUNTED} result.form",
)
def a_confirmation_left_out(honest: Honest, attacker: Attacker) -> None:
    """The last of the rulings, so that no other has another number: the seal tells."""
    attacker.log.remove(CONFIRM)


@attack("C8 F4", f"{UNSIGNED} tally.sums {COUNTED}", f"tally.sums {COUNTED}")
def one_more_voter_confirmed(honest: Honest, attacker: Attacker) -> None:
    """With two ballots the south is a unit of its own in the other contest too."""
    both = rows(row_of(honest, "entry 9"), row_of(honest, "entry 10"))
    attacker.set(CONFIRM, ("rows",), both)


@attack("C8", "policy.counted policy.signatures seal.signatures", "policy.counted")
def a_full_voter_confirmed(honest: Honest, attacker: Attacker) -> None:
    attacker.set(CONFIRM, ("rows",), rows(row_of(honest, "entry 8")))


@attack(
    "C11 F4 F5",
    f"seal.counted seal.signatures tally.sums {COUNTED}",
    f"seal.counted tally.sums {COUNTED}",
)
def a_struck_ballot_counted(honest: Honest, attacker: Attacker) -> None:
    """The strike stands, and seal and tally are made as if it did not."""
    without = attacker.copy()
    without.log.remove(STRIKE)
    without.files()
    seal, tally = without.docs[SEAL], without.docs[TALLY]
    for field in ("counted", "digest"):
        attacker.set(SEAL, (field,), seal[field])
    attacker.docs[SEAL].pop("struck")
    attacker.pinned.add((SEAL, ("struck",)))
    attacker.set(TALLY, ("counted",), tally["counted"])


@attack("F5", "seal.counted seal.signatures", "seal.counted")
def a_seal_that_hides_the_struck(honest: Honest, attacker: Attacker) -> None:
    attacker.docs[SEAL].pop("struck")
    attacker.pinned.add((SEAL, ("struck",)))
    attacker.set(SEAL, ("superseded",), 2)


@attack("F4", "record.files board.entries seal.signatures", "record.files board.entries")
def a_ballot_after_the_close(honest: Honest, attacker: Attacker) -> None:
    vote(honest, attacker, 7, SEAL)


@attack("C10 F4", f"{UNSIGNED} {COUNTED}", COUNTED)
def a_ballot_after_a_close_that_is_left_out(honest: Honest, attacker: Attacker) -> None:
    """C10: malware votes again when the voter has looked."""
    vote(honest, attacker, 7, SEAL)
    attacker.log.remove(CLOSE)


@attack("C10", f"seal.signatures {COUNTED}", COUNTED)
def a_second_vote_before_the_close(honest: Honest, attacker: Attacker) -> None:
    vote(honest, attacker, 4, CLOSE)


@attack("C11 F4", "policy.counted policy.signatures seal.signatures", "policy.counted")
def an_extension_turned_back(honest: Honest, attacker: Attacker) -> None:
    attacker.set(EXTEND, ("end",), 1_800_000_000)


@attack("F7", "policy.signatures seal.signatures", "")
def an_extension_of_its_own(honest: Honest, attacker: Attacker) -> None:
    """No count depends on it: that is for the authorities to say, and nobody else."""
    attacker.set(EXTEND, ("end",), 1_900_007_200)


@attack("C11 F7", "policy.signatures seal.signatures", "")
def rulings_in_another_order(honest: Honest, attacker: Attacker) -> None:
    """Each is signed as the ruling of its number."""
    a, b = attacker.log.index(STRIKE), attacker.log.index(CONFIRM)
    attacker.log[a], attacker.log[b] = attacker.log[b], attacker.log[a]


@attack("F7", "policy.signatures seal.signatures", "policy.signatures")
def a_ruling_of_fewer_than_the_quorum(honest: Honest, attacker: Attacker) -> None:
    attacker.docs[STRIKE]["signatures"].pop()


@attack("F7", "policy.signatures seal.signatures", "policy.signatures")
def one_authority_as_two(honest: Honest, attacker: Attacker) -> None:
    signatures = attacker.docs[STRIKE]["signatures"]
    signatures[1] = dict(signatures[0])


# -- districts -------------------------------------------------------------------------------------


@attack("F4", f"tally.sums {COUNTED} result.form")
def a_ballot_shifted_between_districts(honest: Honest, attacker: Attacker) -> None:
    """In numbers; the sums are as they were, and so is the total."""
    north, south = (attacker.docs[TALLY]["contests"][i] for i in (0, 1))
    attacker.set(TALLY, ("contests", 0, "ballots"), north["ballots"] + 1)
    attacker.set(TALLY, ("contests", 0, "weight"), north["weight"] + 1)
    attacker.set(TALLY, ("contests", 1, "ballots"), south["ballots"] - 1)
    attacker.set(TALLY, ("contests", 1, "weight"), south["weight"] - 1)


@attack("F4 E8", f"tally.sums {COUNTED}")
def sums_of_two_districts_exchanged(honest: Honest, attacker: Attacker) -> None:
    rows_ = attacker.docs[TALLY]["contests"]
    first, second = rows_[0]["ciphertexts"], rows_[1]["ciphertexts"]
    attacker.set(TALLY, ("contests", 0, "ciphertexts"), second)
    attacker.set(TALLY, ("contests", 1, "ciphertexts"), first)


@attack("F4 C11", "result.votes")
def votes_shifted_between_districts(honest: Honest, attacker: Attacker) -> None:
    north, south = (attacker.docs[RESULT]["contests"][i] for i in (0, 1))
    north["votes"], south["votes"] = [1, 2], [4, 1]


@attack("F4", "result.votes result.totals")
def districts_renamed_in_the_result(honest: Honest, attacker: Attacker) -> None:
    attacker.set(RESULT, ("contests", 1, "districts"), ["east"])


@attack("C7 E6", "tally.sums shares.form shares.quorum result.form")
def the_islet_by_itself(honest: Honest, attacker: Attacker) -> None:
    """One vote, in a row of its own: the sum of its unit, divided."""
    split(honest, attacker)


def split(honest: Honest, attacker: Attacker) -> None:
    """The vote of the islet on its own, and the rest of its unit without it."""
    group = honest.manifest.group
    body = attacker.docs["body 11"]["contests"][0]["ciphertexts"]
    both = attacker.docs[TALLY]["contests"][0]
    islet = decode_base64url(body)
    pairs = [group.decode_elements(data) for data in (islet, decode_base64url(both["ciphertexts"]))]
    north = (pairs[1] / pairs[0]).encode()
    one = {**both, "districts": ["islet"], "ballots": 1, "weight": 1}
    rest = {**both, "districts": ["north"], "ballots": 2, "weight": 2}
    one["ciphertexts"], rest["ciphertexts"] = encode_base64url(islet), encode_base64url(north)
    attacker.docs[TALLY]["contests"][:1] = [one, rest]
    for i in range(len(attacker.docs[TALLY]["contests"])):
        for field in ("ballots", "weight", "ciphertexts", "districts"):
            attacker.pinned.add((TALLY, ("contests", i, field)))


MOVED = f"ballots.signatures ballots.proofs spoiled.openings tally.sums {COUNTED} result.form"


@attack("F4", f"open.signatures {UNSIGNED} {MOVED}", MOVED)
def a_voter_moved_to_another_district(honest: Honest, attacker: Attacker) -> None:
    """On the roll, which every ballot is bound to."""
    attacker.docs[f"row {row_of(honest, 'entry 6')}"]["district"] = "south"


def rows(*numbers: int) -> str:
    return encode_base64url(pack_rows(numbers))


@pytest.mark.parametrize("what", ATTACKS)
def test_attack_by_the_server(honest: Honest, what: str) -> None:
    """attacks: the rows that each names. The authorities' signatures are what they were."""
    attacker = honest.attacker.copy()
    attacker.keys = {k: v for k, v in attacker.keys.items() if not k.startswith("authority")}
    ATTACKS[what].do(honest, attacker)
    assert honest.failing(attacker) == set(ATTACKS[what].server.split())


@pytest.mark.parametrize("what", ATTACKS)
def test_attack_with_the_authorities(honest: Honest, what: str) -> None:
    """attacks: the same rows. Nothing fails where the authorities decide and nobody else."""
    attacker = honest.attacker.copy()
    ATTACKS[what].do(honest, attacker)
    assert honest.failing(attacker) == set(ATTACKS[what].authorities.split())


@pytest.mark.parametrize("what", ATTACKS)
def test_attack_alone(honest: Honest, what: str) -> None:
    """attacks: the same rows. The change by itself; all digests and signatures as they were."""
    attacker = honest.attacker.copy()
    ATTACKS[what].do(honest, attacker)
    report = honest.audit_files(attacker.alone())
    assert report.exit_code == 1
    assert report.failures()


@pytest.mark.parametrize("name", [EXTEND, CLOSE, STRIKE, CONFIRM])
def test_every_field_of_a_ruling(honest: Honest, name: str) -> None:
    """attacks: C11, F6. Missing, unknown, other and no value at every place of it."""
    tried = 0
    for path, changed in tamper.each_json(honest.attacker.docs[name]):
        attacker = honest.attacker.copy()
        attacker.keys = {k: v for k, v in attacker.keys.items() if not k.startswith("authority")}
        attacker.change(name, path, changed)
        failing = honest.failing(attacker)
        signatures = attacker.docs[name].get("signatures")
        if path == ("signatures",) and isinstance(signatures, list) and len(signatures) == 2:
            assert failing == {"seal.signatures"}  # in another order, under another root
        else:
            assert failing & {"board.entries", "policy.signatures"}, path
        tried += 1
    assert tried > 10


# -- before anything is decrypted ------------------------------------------------------------------


def test_a_trustee_decrypts_no_small_unit(honest: Honest, tmp_path: Path) -> None:
    """attacks: C7, E6. The board asks for the sum of one ballot; the trustee's tool says no."""
    record = tmp_path / "record"
    names = {name: name for name in honest.attacker.log[-2:]}  # the share and the result
    for attacker, small in ((honest.attacker.copy(), False), (honest.attacker.copy(), True)):
        if small:
            split(honest, attacker)
        for name in names:
            attacker.log.remove(name)
        files = {n: d for n, d in attacker.files().items() if n not in (RESULT, "shares/001.json")}
        tamper.write_files(record, files)
        report = audit(record, phase="tallied")
        assert report.ok == (not small)
        [trustee] = honest.made.trustees()
        if small:
            with pytest.raises(VerificationError, match="not these contests and districts"):
                workflow.decrypt_share(record, trustee, PASSPHRASE)
        else:
            assert report.finding("tally.sums").checked == 4


def test_no_election_is_opened_that_could_not_be_tallied(tmp_path: Path) -> None:
    """Though all six who have the contest vote."""
    made = make_ready(tmp_path, replace(RULED, districts={"min_unit": 7}))
    with pytest.raises(VerificationError, match=r"contest 'a': 6 ballots, .* than 7 be"):
        open_small(made)
    assert not (made.path / "board" / "tile" / "entries" / "000.p").exists()
