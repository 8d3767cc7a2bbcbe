"""What an attacker who owns the server would do, and what the audit says to each.

Everything that depends on the deed is recomputed, see `attacker`; the deeds are those that real
systems suffered or analyses describe, each under its rows of the list of attacks. Who holds the
board, the authorities' and the registrar's keys can drop ballots, until trustees have decrypted
what is left: then only receipts tell. The last tests are about that.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from evote.ballots import ballot_digest, decode_ballots, encode_ballots, encrypt_ballots
from evote.board import Board, NoteSigner, encode_receipt
from evote.credentials import ballot_message
from evote.elgamal import Ciphertexts
from evote.encoding import decode_base64url, digest, encode_base64url, encode_hex
from evote.record import MANIFEST, RESULT, TALLY
from evote.tally import encode_share, file_digest, share_of_tally
from evote.testing import tamper
from evote.verify import audit
from tests.attacker import Attacker, Honest
from tests.memory import Memory
from tests.records import make_full, make_tiny

COUNTED = "shares.proofs shares.quorum"  # the trustees have decrypted another counted set
CEREMONY = "ceremony.commitments ceremony.confirmations"  # they have signed another manifest


@pytest.fixture(scope="module", name="honest")
def make_honest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Honest]:
    with pytest.MonkeyPatch.context() as patch:
        Memory(patch)
        yield Honest.of(make_full(tmp_path_factory.mktemp("full")))


class Attack(NamedTuple):
    """What is done, to which row of the attacks it belongs, and what fails then."""

    do: Callable[[Honest, Attacker], None]
    rows: str
    expected: str


ATTACKS: dict[str, Attack] = {}


def attack(rows: str, expected: str) -> Callable[[Any], Any]:
    """Name a function as an attack."""

    def register(do: Callable[[Honest, Attacker], None]) -> Callable[[Honest, Attacker], None]:
        ATTACKS[do.__name__.replace("_", " ")] = Attack(do, rows, expected)
        return do

    return register


def keep_tally(honest: Honest, attacker: Attacker) -> None:
    """Leave sums, shares and result as the trustees made them."""
    for i in range(len(honest.tally.contests)):
        for field in ("ballots", "weight", "ciphertexts"):
            attacker.pinned.add((TALLY, ("contests", i, field)))
    attacker.pinned.add((TALLY, ("counted",)))


def fewer_votes(attacker: Attacker) -> None:
    """As they would be without the ballot of entry 5, a no."""
    attacker.docs[RESULT]["contests"][0]["votes"] = [2, 1]


def drop(attacker: Attacker, entry: str) -> None:
    attacker.log.remove(entry)


def submit(honest: Honest, attacker: Attacker, credential: bytes, key: Any, **more: Any) -> str:
    """Put a ballot with honest proofs on the board, signed by a key, before the seal."""
    context = more.get("context", honest.context)
    marks = more.get("marks", {"bridge": [[1, 0]], "board": [[1, 1, 0]]})
    ballots, _ = encrypt_ballots(context, more.get("style", "both"), [credential], marks)
    [body] = encode_ballots(context, ballots)
    message = ballot_message(honest.context.election_id, ballot_digest(body), "cast")
    entry = {
        "type": "ballot",
        "action": "cast",
        "credential": encode_hex(credential),
        "digest": encode_hex(ballot_digest(body)),
        "signature": encode_base64url(key.sign(message)),
    }
    return insert(attacker, entry, json.loads(body))


def insert(attacker: Attacker, entry: Any, body: Any, before: str = "seal") -> str:
    """A new entry before the one of a type."""
    name = f"entry {len(attacker.docs)}"
    attacker.docs[name] = entry
    attacker.docs[name.replace("entry", "body")] = body
    attacker.log.insert(attacker.log.index(attacker.entries(before)[0]), name)
    return name


def silent_voter(honest: Honest) -> bytes:
    """The credential of the voter who has not voted."""
    docs = honest.attacker.docs
    voted = {docs[name]["credential"] for name in honest.fates}
    [silent] = [
        docs[row]["credential"]
        for row in honest.attacker.rows
        if docs[row]["credential"] not in voted
    ]
    return bytes.fromhex(silent)


@attack("C6 C7 F4", COUNTED)
def a_counted_ballot_dropped(honest: Honest, attacker: Attacker) -> None:
    drop(attacker, "entry 5")
    fewer_votes(attacker)


@attack("F4 F5", "seal.counted tally.sums")
def a_counted_ballot_dropped_and_nothing_counted_anew(honest: Honest, attacker: Attacker) -> None:
    drop(attacker, "entry 5")
    keep_tally(honest, attacker)
    for field in ("cast", "counted", "digest"):
        attacker.pinned.add(("entry 7", (field,)))


@attack("C10 F4", COUNTED)
def a_superseded_ballot_dropped(honest: Honest, attacker: Attacker) -> None:
    drop(attacker, "entry 3")


@attack("C10 C15", COUNTED)
def a_spoiled_ballot_dropped_with_its_opening(honest: Honest, attacker: Attacker) -> None:
    drop(attacker, "entry 1")
    drop(attacker, "entry 6")


@attack("C15", "policy.counted")
def a_spoiled_ballot_dropped_without_its_opening(honest: Honest, attacker: Attacker) -> None:
    drop(attacker, "entry 1")


@attack("C8 F4", f"ballots.signatures {COUNTED}")
def a_ballot_for_a_voter_who_did_not_vote(honest: Honest, attacker: Attacker) -> None:
    submit(honest, attacker, silent_voter(honest), Ed25519PrivateKey.generate())


@attack("C8", f"ballots.signatures {COUNTED}")
def a_ballot_signed_by_the_registrar(honest: Honest, attacker: Attacker) -> None:
    class Registrar:
        def sign(self, message: bytes) -> bytes:
            return attacker.keys["registrar-1"].sign_note(message + b"\n")

    submit(honest, attacker, silent_voter(honest), Registrar())


@attack("C9 F4", "ballots.credentials policy.counted")
def a_ballot_of_a_fresh_key(honest: Honest, attacker: Attacker) -> None:
    key = Ed25519PrivateKey.generate()
    submit(honest, attacker, key.public_key().public_bytes_raw(), key)


@attack("C1 F4", "ballots.unique ballots.nonces policy.counted")
def a_ballot_counted_twice(honest: Honest, attacker: Attacker) -> None:
    insert(attacker, attacker.docs["entry 5"], attacker.docs["body 5"])


@attack("C1", f"ballots.proofs ballots.unique ballots.nonces {COUNTED}")
def a_ballot_copied_by_another_voter(honest: Honest, attacker: Attacker) -> None:
    bribe(honest, attacker)
    body = deepcopy(attacker.docs["body 2"])
    body["credential"] = encode_hex(silent_voter(honest))
    insert(attacker, {**attacker.docs["entry 2"], "credential": body["credential"]}, body)


@attack("C2 D1", f"ballots.proofs ballots.nonces {COUNTED}")
def a_ballot_encrypted_again_by_another_voter(honest: Honest, attacker: Attacker) -> None:
    bribe(honest, attacker)
    group, y = honest.manifest.group, honest.context.key.element
    [(_, ballots)] = decode_ballots(honest.context, [attacker.data("body 2")]).batches
    parts = []
    for part in ballots.contests:
        r = group.random_scalars(part.ciphertexts.shape).publish()
        moved = Ciphertexts(
            alpha=part.ciphertexts.alpha * group.generator**r, beta=part.ciphertexts.beta * y**r
        )
        parts.append(replace(part, ciphertexts=moved))
    forged = replace(ballots, credentials=(silent_voter(honest),), contests=tuple(parts))
    [data] = encode_ballots(honest.context, forged)
    entry = {**attacker.docs["entry 2"], "credential": encode_hex(silent_voter(honest))}
    insert(attacker, entry, json.loads(data))


@attack("C1 A10", f"ballots.proofs ballots.unique ballots.nonces {COUNTED}")
def a_contest_copied_by_another_voter(honest: Honest, attacker: Attacker) -> None:
    bribe(honest, attacker)
    attacker.docs["body 4"]["contests"][0] = attacker.docs["body 2"]["contests"][0]


@attack("C1 A10", f"ballots.proofs {COUNTED}")
def a_proof_moved_between_voters(honest: Honest, attacker: Attacker) -> None:
    bribe(honest, attacker)
    one, other = (attacker.docs[name]["contests"][0] for name in ("body 2", "body 4"))
    one["sum"], other["sum"] = other["sum"], one["sum"]


@attack("A10 C1", f"ballots.proofs {COUNTED}")
def options_exchanged_with_their_proofs(honest: Honest, attacker: Attacker) -> None:
    bribe(honest, attacker)
    [(_, ballots)] = decode_ballots(honest.context, [attacker.data("body 5")]).batches
    [part] = ballots.contests
    turned = replace(part, ciphertexts=part.ciphertexts[:, ::-1], options=part.options[:, ::-1])
    [data] = encode_ballots(honest.context, replace(ballots, contests=(turned,)))
    attacker.docs["body 5"] = json.loads(data)


@attack("A10 C12", f"ballots.proofs {COUNTED}")
def a_ballot_of_another_election(honest: Honest, attacker: Attacker) -> None:
    bribe(honest, attacker)
    context = replace(honest.context, election_id=bytes(32))
    submit(honest, attacker, silent_voter(honest), Ed25519PrivateKey.generate(), context=context)


@attack("C10 F4", COUNTED)
def votes_of_a_voter_in_another_order(honest: Honest, attacker: Attacker) -> None:
    attacker.log[3], attacker.log[4] = attacker.log[4], attacker.log[3]


@attack("C10 C11 F4", "seal.counted tally.sums")
def the_first_vote_of_a_voter_counted_as_the_last(honest: Honest, attacker: Attacker) -> None:
    attacker.log[3], attacker.log[4] = attacker.log[4], attacker.log[3]
    keep_tally(honest, attacker)
    attacker.pinned.add(("entry 7", ("digest",)))


@attack("C15 F4", "ballots.signatures policy.counted")
def an_opened_ballot_counted(honest: Honest, attacker: Attacker) -> None:
    attacker.set("entry 1", ("action",), "cast")


@attack("C15 F4", f"ballots.signatures {COUNTED}")
def a_spoiled_ballot_counted(honest: Honest, attacker: Attacker) -> None:
    """The voter's last one, once the log is turned."""
    attacker.set("entry 1", ("action",), "cast")
    attacker.log[1], attacker.log[2] = attacker.log[2], attacker.log[1]
    drop(attacker, "entry 6")


@attack("C15", f"ballots.signatures {COUNTED}")
def a_cast_ballot_called_spoiled(honest: Honest, attacker: Attacker) -> None:
    attacker.set("entry 5", ("action",), "spoil")
    fewer_votes(attacker)


@attack("C14 C15", "policy.counted")
def a_cast_ballot_opened(honest: Honest, attacker: Attacker) -> None:
    """With a seed that the attacker made up; the true one was erased."""
    opening = {**attacker.docs["entry 6"], "ballot": attacker.docs["entry 5"]["digest"]}
    name = f"entry {len(attacker.docs)}"
    attacker.docs[name] = opening
    attacker.log.insert(6, name)


@attack("C11", f"tally.sums {COUNTED}")
def the_sums_without_a_ballot(honest: Honest, attacker: Attacker) -> None:
    without = attacker.copy()
    drop(without, "entry 5")
    without.files()
    attacker.docs[TALLY] = without.docs[TALLY]
    fewer_votes(attacker)
    keep_tally(honest, attacker)


@attack("C3", f"ballots.proofs {COUNTED}")
def an_option_marked_twice(honest: Honest, attacker: Attacker) -> None:
    """Under the proofs that it was marked once; the voter signs it."""
    bribe(honest, attacker)
    [(_, ballots)] = decode_ballots(honest.context, [attacker.data("body 5")]).batches
    [part] = ballots.contests
    more = honest.manifest.group.generator ** honest.manifest.group.scalars([1, 0])
    raised = Ciphertexts(alpha=part.ciphertexts.alpha, beta=part.ciphertexts.beta * more)
    forged = replace(ballots, contests=(replace(part, ciphertexts=raised),))
    [data] = encode_ballots(honest.context, forged)
    attacker.docs["body 5"] = json.loads(data)


@attack("C3 F6", "ballots.form ballots.signatures")
def a_ballot_without_the_proof_of_its_sum(honest: Honest, attacker: Attacker) -> None:
    """For the voter does not sign either what cannot be read."""
    del attacker.docs["body 5"]["contests"][0]["sum"]


@attack("C3 F4", f"tally.sums {COUNTED}")
def a_weight_left_out_of_the_sums(honest: Honest, attacker: Attacker) -> None:
    """That of the voter of entry 2, who weighs 2."""
    light = attacker.copy()
    light.docs["row " + str(heavy_row(attacker))]["weight"] = 1
    manifest, context = honest.manifest, honest.context
    for i, part in enumerate(light.tally(manifest, context).contests):
        packed = encode_base64url(part.sums.encode())
        attacker.set(TALLY, ("contests", i, "ciphertexts"), packed)


def heavy_row(attacker: Attacker) -> int:
    [row] = [i for i, row in enumerate(attacker.rows) if attacker.docs[row]["weight"] == 2]
    return row


@attack("C4", "record.files manifest.form")
def weights_whose_sum_nobody_could_decrypt(honest: Honest, attacker: Attacker) -> None:
    attacker.docs[MANIFEST]["voters"]["maximum"] = 2**32 - 1
    attacker.docs[MANIFEST]["weights"] = {"maximum": 2**31 - 1, "total": 2**40 - 1}
    attacker.docs[MANIFEST]["contests"][0] |= {"kind": "score", "option_limit": 2, "maximum": 4}


@attack("C5", f"tally.sums {COUNTED}")
def a_sum_that_no_total_gives(honest: Honest, attacker: Attacker) -> None:
    group, sums = honest.manifest.group, honest.tally.contests[0].sums
    poison = group.generator ** group.random_scalars(sums.shape).publish()
    poisoned = Ciphertexts(alpha=sums.alpha, beta=sums.beta * poison)
    attacker.set(TALLY, ("contests", 0, "ciphertexts"), encode_base64url(poisoned.encode()))


@attack("C12", "roll.form")
def two_voters_with_one_key(honest: Honest, attacker: Attacker) -> None:
    attacker.docs["row 4"] = deepcopy(attacker.docs["row 3"])
    attacker.rows.append("row 4")


@attack("C13", "roll.form")
def a_hashed_passport_number_on_the_roll(honest: Honest, attacker: Attacker) -> None:
    attacker.docs["row 1"]["passport"] = encode_hex(digest("test", b"4510 123456"))


@attack("C11 F5", f"seal.counted tally.sums {COUNTED}")
def the_sums_and_the_seal_without_a_ballot(honest: Honest, attacker: Attacker) -> None:
    the_sums_without_a_ballot(honest, attacker)
    attacker.set("entry 7", ("digest",), attacker.docs[TALLY]["counted"])


@attack("E8 F4", f"tally.sums {COUNTED}")
def sums_of_two_options_exchanged(honest: Honest, attacker: Attacker) -> None:
    data = decode_base64url(attacker.docs[TALLY]["contests"][1]["ciphertexts"])
    packed = encode_base64url(data[64:128] + data[:64] + data[128:])
    attacker.set(TALLY, ("contests", 1, "ciphertexts"), packed)


@attack("E8 F4 C11", "result.votes")
def a_vote_shifted_in_the_result(honest: Honest, attacker: Attacker) -> None:
    attacker.docs[RESULT]["contests"][0]["votes"] = [3, 1]


@attack("C11", "result.votes")
def a_blank_turned_into_a_vote(honest: Honest, attacker: Attacker) -> None:
    contest = attacker.docs[RESULT]["contests"][1]
    contest["blank"], contest["votes"] = 0, [3, 0, 2]


@attack("E8", CEREMONY)
def options_renamed_after_the_vote(honest: Honest, attacker: Attacker) -> None:
    yes, no = attacker.docs[MANIFEST]["contests"][0]["options"]
    yes["title"], no["title"] = no["title"], yes["title"]


@attack("F7", f"{CEREMONY} policy.counted")
def another_policy(honest: Honest, attacker: Attacker) -> None:
    attacker.docs[MANIFEST]["policies"]["spoil"] = "forbidden"


@attack("F4", "record.files board.entries")
def a_ballot_after_the_seal(honest: Honest, attacker: Attacker) -> None:
    """Signed by its voter, who comes too late."""
    bribe(honest, attacker)
    name = submit(honest, attacker, silent_voter(honest), Ed25519PrivateKey.generate())
    attacker.log.remove(name)
    attacker.log.insert(attacker.log.index("entry 7") + 1, name)


@attack("C11 F9", "record.files board.entries")
def the_seal_left_out(honest: Honest, attacker: Attacker) -> None:
    drop(attacker, "entry 7")


@attack("E7", COUNTED)
def the_share_of_another_trustee(honest: Honest, attacker: Attacker) -> None:
    attacker.docs["shares/001.json"] = {**attacker.docs["shares/003.json"], "trustee": 1}


@attack("E7", "shares.form")
def shares_of_one_trustee_twice(honest: Honest, attacker: Attacker) -> None:
    name = f"entry {len(attacker.docs)}"
    attacker.docs[name] = attacker.docs["entry 9"]
    attacker.log.insert(-1, name)


@attack("E7", "shares.quorum")
def fewer_shares_than_the_quorum(honest: Honest, attacker: Attacker) -> None:
    drop(attacker, "entry 10")
    del attacker.docs["shares/003.json"]
    attacker.docs[RESULT]["trustees"] = [1]


@attack("E7", "shares.quorum")
def the_result_names_the_absent_trustee(honest: Honest, attacker: Attacker) -> None:
    attacker.docs[RESULT]["trustees"] = [1, 2]


@attack("E5", COUNTED)
def a_share_with_a_verification_key_of_its_own(honest: Honest, attacker: Attacker) -> None:
    """A true proof for a key that is not on the board."""
    secret = honest.manifest.group.random_scalars()
    share = share_of_tally(
        honest.tally,
        file_digest(attacker.data(TALLY)),
        1,
        secret,
        honest.manifest.group.generator**secret,
    )
    attacker.docs["shares/001.json"] = json.loads(encode_share(share))


def bribe(honest: Honest, attacker: Attacker) -> None:
    attacker.codes = [credential.code for credential in honest.made.credentials]


@pytest.mark.parametrize("what", ATTACKS)
def test_attack(honest: Honest, what: str) -> None:
    """attacks: the rows that each names."""
    done = ATTACKS[what]
    attacker = honest.attacker.copy()
    done.do(honest, attacker)
    assert honest.failing(attacker) == set(done.expected.split()), done.rows


@pytest.mark.parametrize("what", ATTACKS)
def test_attack_alone(honest: Honest, what: str) -> None:
    """attacks: the same rows. The change by itself, with all digests and signatures as they were.

    A ballot that is counted, or a total, is not changed without the board's key.
    """
    attacker = honest.attacker.copy()
    ATTACKS[what].do(honest, attacker)
    report = honest.audit_files(attacker.alone())
    assert report.exit_code == (4 if "manifest.form" in ATTACKS[what].expected else 1)
    assert report.failures()


# -- what only pins from outside show --------------------------------------------------------------


def test_a_dropped_ballot_and_its_receipt(honest: Honest, tmp_path: Path) -> None:
    """attacks: C6, C7, F1. Before anything was decrypted, only the voter's receipt is left."""
    record, receipts = tmp_path / "record", tmp_path / "receipts"
    tamper.write_files(record, honest.attacker.copy().files())
    key = honest.attacker.keys["board"]
    with Board(record, NoteSigner(key=honest.manifest.log_key, sign=key.sign_note)) as board:
        receipts.mkdir()
        (receipts / "mine.json").write_bytes(encode_receipt(board.receipt(5)))
    assert audit(record, receipts=receipts).ok
    attacker = honest.attacker.copy()
    drop(attacker, "entry 5")
    for name in ("entry 8", "entry 9", "entry 10", "entry 11"):
        drop(attacker, name)  # the board is sealed, and not yet tallied
    files = {
        name: data
        for name, data in attacker.files().items()
        if name not in (TALLY, RESULT) and not name.startswith("shares/")
    }
    tamper.write_files(record, files)
    assert audit(record, phase="sealed").ok
    report = audit(record, phase="sealed", receipts=receipts)
    assert {finding.check for finding in report.failures()} == {"board.receipts"}


def test_another_election_in_the_place_of_this_one(honest: Honest, tmp_path: Path) -> None:
    """attacks: F7. All of it made by others, and right in itself."""
    other = make_tiny(tmp_path)
    unpinned = audit(other.path)
    assert unpinned.ok
    assert unpinned.verdict.startswith("self-consistent, not pinned:")
    published = digest("manifest", honest.attacker.data(MANIFEST))
    report = audit(other.path, expect_manifest=published)
    assert {finding.check for finding in report.failures()} == {"manifest.digest"}
    assert audit(other.path, expect_manifest=unpinned.manifest_digest).ok
