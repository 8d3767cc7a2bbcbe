"""What mix servers, trustees, voters and who owns the server could do to a mixed election.

As in `test_attacks`: everything that depends on the deed is recomputed, see `attacker`, and here
the mix servers are bribed to sign it. Each deed is under its rows of the list of attacks, and says
which checks fail then: those and no others.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

from evote.ballots import decode_ballots, encode_ballots, encrypt_ballots
from evote.elgamal import (
    Ciphertexts,
    PublicKey,
    concatenate_ciphertexts,
    encrypt_with_nonces,
    generate_key,
    reencrypt_with_nonces,
)
from evote.encoding import decode_base64url, encode_base64url, encode_hex
from evote.errors import DecodingError, EvoteError, VerificationError
from evote.groups import Secrecy, concatenate, stack
from evote.mixing import (
    Cascade,
    Unit,
    check_freshness,
    check_step,
    decode_step,
    list_digest,
    make_step,
    mix_path,
    step_outputs,
)
from evote.mixnet import ShuffleStatement, ShuffleWitness, prove_shuffle
from evote.operators import load_operator
from evote.record import RESULT, TALLY
from evote.tally import decode_tally, encode_share, file_digest, share_of_tally
from evote.testing import tamper
from tests.attacker import Attacker, Honest
from tests.memory import Memory
from tests.records import PASSPHRASE, make_small_mixed

pytestmark = pytest.mark.usefixtures("short_lists_too")

COUNTED = "shares.proofs shares.quorum"  # the trustees have decrypted another tally
STEPS = [mix_path(unit, step) for unit in (0, 1) for step in (1, 2)]


@pytest.fixture(scope="module", name="honest")
def make_honest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Honest]:
    with pytest.MonkeyPatch.context() as patch:
        Memory(patch)
        yield Honest.of(make_small_mixed(tmp_path_factory.mktemp("mixed")))


def bribed(honest: Honest) -> Attacker:
    """An attacker who has the mix servers' keys and the voters' codes besides."""
    attacker = honest.bribed()
    for mixer in honest.made.mixers():
        attacker.keys[mixer.name] = load_operator(mixer, PASSPHRASE)
    return attacker


class Place(NamedTuple):
    """One step, and what a mix server has before it."""

    cascade: Cascade
    unit: Unit
    step: int
    inputs: Ciphertexts

    @property
    def name(self) -> str:
        return mix_path(self.unit.number, self.step)


def place(honest: Honest, attacker: Attacker, unit: int = 0, step: int = 1) -> Place:
    cascade = attacker.cascade(honest.manifest, honest.context)
    found = attacker.mix_inputs(honest.manifest, honest.context)
    wanted = found.units(honest.manifest)[unit]
    data = found.encoded(wanted)
    if step > 1:
        data = decode_base64url(attacker.docs[mix_path(unit, step - 1)]["outputs"])
    return Place(cascade, wanted, step, cascade.decode(wanted, data))


def nonces_of(inputs: Ciphertexts) -> Any:
    return inputs.group.random_scalars(inputs.shape, secrecy=Secrecy.ONE_TIME)


def any_witness(permutation: Sequence[int] | NDArray[np.intp], nonces: Any) -> ShuffleWitness:
    """A witness that its constructor would refuse."""
    witness = ShuffleWitness(permutation=np.arange(len(permutation)), nonces=nonces)
    object.__setattr__(witness, "permutation", np.asarray(permutation, dtype=np.intp))
    return witness


def publish(
    attacker: Attacker,
    at: Place,
    outputs: Ciphertexts,
    witness: ShuffleWitness,
    *,
    inputs: Ciphertexts | None = None,
    key: PublicKey | None = None,
) -> None:
    """Prove these outputs as well as can be, and put them into the step's file."""
    statement = ShuffleStatement(
        key=key or at.cascade.key, inputs=at.inputs if inputs is None else inputs, outputs=outputs
    )
    proof = prove_shuffle(statement, witness, at.cascade.oracle(at.unit, at.step))
    attacker.docs[at.name]["outputs"] = encode_base64url(outputs.encode())
    attacker.docs[at.name]["proof"] = encode_base64url(proof.encode())


def mix_again(honest: Honest, attacker: Attacker, first: int = 1) -> None:
    """All steps anew and honestly, from the `first` on, over whatever is counted now."""
    attacker.files()  # what is counted follows from digests that may not be recomputed yet
    for unit in (0, 1):
        for step in range(first, 3):
            at = place(honest, attacker, unit, step)
            key = attacker.keys[f"mixer-{step}"]
            data = make_step(at.cascade, at.unit, at.step, at.inputs, key)
            attacker.docs[at.name] = json.loads(data.data)


class Attack(NamedTuple):
    """What is done, to which rows of the attacks it belongs, and what fails then."""

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


# -- a mix server that shuffles something else -----------------------------------------------------


def own_list(honest: Honest, attacker: Attacker, step: int) -> tuple[Place, Ciphertexts]:
    """Messages of the mix server's own: as many, each a true answer."""
    at = place(honest, attacker, step=step)
    group = at.cascade.group
    marks = {"ward": [[1, 2, 3]], "party": [[1, 0]]}
    packing = honest.manifest.packing("papers")
    [message] = packing.pack(marks, {"party": [0]}, {"party": [""]})
    elements = group.encode_message([message] * at.unit.ballots, at.inputs.shape[1])
    return at, encrypt_with_nonces(at.cascade.key, elements, nonces_of(at.inputs))


@attack("D3 F5", f"mix.proofs {COUNTED}")
def a_list_of_the_servers_own(honest: Honest, attacker: Attacker) -> None:
    """The proof holds, for a list that nobody voted; the file does not hide it."""
    at, mine = own_list(honest, attacker, 1)
    nonces = nonces_of(mine)
    outputs = reencrypt_with_nonces(at.cascade.key, mine, nonces)
    publish(attacker, at, outputs, any_witness([0, 1, 2], nonces), inputs=mine)
    attacker.set(at.name, ("inputs",), encode_hex(list_digest(mine.encode())))


@attack("D3 F5", f"mix.proofs {COUNTED}")
def a_list_of_the_second_servers_own_under_the_right_name(
    honest: Honest, attacker: Attacker
) -> None:
    at, mine = own_list(honest, attacker, 2)
    nonces = nonces_of(mine)
    outputs = reencrypt_with_nonces(at.cascade.key, mine, nonces)
    publish(attacker, at, outputs, any_witness([0, 1, 2], nonces), inputs=mine)


@attack("D3", f"mix.proofs {COUNTED}")
def inputs_in_another_order(honest: Honest, attacker: Attacker) -> None:
    at = place(honest, attacker)
    turned, nonces = at.inputs[::-1], nonces_of(at.inputs)
    outputs = reencrypt_with_nonces(at.cascade.key, turned, nonces)
    publish(attacker, at, outputs, any_witness([0, 1, 2], nonces), inputs=turned)


@attack("D3", f"mix.proofs {COUNTED}")
def another_key(honest: Honest, attacker: Attacker) -> None:
    at = place(honest, attacker, step=2)
    key, nonces = generate_key(at.cascade.group).public, nonces_of(at.inputs)
    outputs = reencrypt_with_nonces(key, at.inputs, nonces)
    publish(attacker, at, outputs, any_witness([0, 1, 2], nonces), key=key)


@attack("D3", f"mix.proofs {COUNTED}")
def the_first_server_left_out_by_the_second(honest: Honest, attacker: Attacker) -> None:
    """What it shuffles is what the first server was given."""
    at = place(honest, attacker)
    nonces = nonces_of(at.inputs)
    outputs = reencrypt_with_nonces(at.cascade.key, at.inputs, nonces)
    publish(attacker, at._replace(step=2), outputs, any_witness([0, 1, 2], nonces))
    attacker.set(mix_path(0, 2), ("inputs",), encode_hex(list_digest(at.inputs.encode())))


@attack("D2 D4", f"mix.proofs {COUNTED}")
def a_ballot_dropped_and_another_doubled(honest: Honest, attacker: Attacker) -> None:
    at = place(honest, attacker)
    nonces = nonces_of(at.inputs)
    twice = np.array([0, 0, 2])
    outputs = reencrypt_with_nonces(at.cascade.key, at.inputs.take(twice), nonces)
    publish(attacker, at, outputs, any_witness(twice, nonces))


@attack("D2 A7", f"mix.proofs {COUNTED}")
def errors_that_cancel_in_the_product(honest: Honest, attacker: Attacker) -> None:
    at = place(honest, attacker, step=2)
    group, nonces = at.cascade.group, nonces_of(at.inputs)
    outputs = reencrypt_with_nonces(at.cascade.key, at.inputs, nonces)
    shift = group.generator ** group.scalars([[7, 0], [-7, 0], [0, 0]])
    moved = Ciphertexts(alpha=outputs.alpha, beta=outputs.beta * shift)
    publish(attacker, at, moved, any_witness([0, 1, 2], nonces))


@attack("D5", f"mix.proofs {COUNTED}")
def the_second_elements_in_another_order(honest: Honest, attacker: Attacker) -> None:
    at = place(honest, attacker)
    nonces = nonces_of(at.inputs)
    columns = [at.inputs[[0, 1, 2], 0], at.inputs[[1, 2, 0], 1]]
    torn = Ciphertexts(
        alpha=stack([column.alpha for column in columns], axis=1),
        beta=stack([column.beta for column in columns], axis=1),
    )
    outputs = reencrypt_with_nonces(at.cascade.key, torn, nonces)
    publish(attacker, at, outputs, any_witness([0, 1, 2], nonces))


@attack("D6", f"mix.proofs {COUNTED}")
def the_only_ballot_of_a_unit_replaced(honest: Honest, attacker: Attacker) -> None:
    at = place(honest, attacker, unit=1)
    other = place(honest, attacker, unit=0).inputs[:1]
    nonces = nonces_of(at.inputs)
    outputs = reencrypt_with_nonces(at.cascade.key, other, nonces)
    publish(attacker, at, outputs, any_witness([0], nonces))


@attack("D7", f"mix.fresh {COUNTED}")
def a_shuffle_that_changes_nothing(honest: Honest, attacker: Attacker) -> None:
    """It is proven, and true: nothing is hidden by it."""
    at = place(honest, attacker, step=2)
    nothing = (nonces_of(at.inputs).publish() * 0).mark(Secrecy.ONE_TIME)
    publish(attacker, at, at.inputs, any_witness([0, 1, 2], nothing))


@attack("D7", f"mix.fresh {COUNTED}")
def one_ciphertext_left_as_it_was(honest: Honest, attacker: Attacker) -> None:
    at = place(honest, attacker)
    group = at.cascade.group
    keep = group.scalars([[1, 1], [1, 1], [0, 1]])
    nonces = nonces_of(at.inputs) * keep
    outputs = reencrypt_with_nonces(at.cascade.key, at.inputs[::-1], nonces)
    publish(attacker, at, outputs, any_witness([2, 1, 0], nonces))
    mix_again(honest, attacker, first=2)


# -- files in other places -------------------------------------------------------------------------


@attack("D3 A10", f"mix.form {COUNTED}")
def the_steps_of_two_units_exchanged(honest: Honest, attacker: Attacker) -> None:
    one, other = mix_path(0, 1), mix_path(1, 1)
    attacker.docs[one], attacker.docs[other] = attacker.docs[other], attacker.docs[one]


@attack("D3 A10", "mix.form tally.form")
def the_last_steps_of_two_units_exchanged(honest: Honest, attacker: Attacker) -> None:
    one, other = mix_path(0, 2), mix_path(1, 2)
    attacker.docs[one], attacker.docs[other] = attacker.docs[other], attacker.docs[one]


@attack("D3 A10", f"mix.form {COUNTED}")
def the_steps_of_two_servers_exchanged(honest: Honest, attacker: Attacker) -> None:
    one, other = mix_path(0, 1), mix_path(0, 2)
    attacker.docs[one], attacker.docs[other] = attacker.docs[other], attacker.docs[one]


@attack("D3 D7", f"mix.form {COUNTED}")
def the_first_step_in_the_place_of_the_second(honest: Honest, attacker: Attacker) -> None:
    attacker.docs[mix_path(0, 2)] = deepcopy(attacker.docs[mix_path(0, 1)])


@attack("D3 D7 A10", f"mix.proofs mix.signatures mix.fresh {COUNTED}")
def the_first_step_called_the_second(honest: Honest, attacker: Attacker) -> None:
    """By the first server alone: nobody else was bribed."""
    del attacker.keys["mixer-2"]
    step = {**attacker.docs[mix_path(0, 1)], "step": 2, "mixer": "mixer-2"}
    attacker.docs[mix_path(0, 2)] = step


@attack("D7", f"mix.signatures {COUNTED}")
def both_steps_by_one_server(honest: Honest, attacker: Attacker) -> None:
    """It can do the other's work, and not sign it: no permutation is secret from it."""
    mix_again(honest, attacker)
    attacker.keys["mixer-2"] = attacker.keys["mixer-1"]


@attack("D7 F9", f"record.files mix.form {COUNTED}")
def the_first_step_missing(honest: Honest, attacker: Attacker) -> None:
    del attacker.docs[mix_path(0, 1)]


@attack("D7 F9", "record.files mix.form tally.form")
def the_last_step_missing(honest: Honest, attacker: Attacker) -> None:
    del attacker.docs[mix_path(1, 2)]


@attack("F5 D6", "record.files mix.units")
def a_unit_that_nobody_voted(honest: Honest, attacker: Attacker) -> None:
    attacker.docs[mix_path(2, 1)] = deepcopy(attacker.docs[mix_path(1, 1)])


@attack("F5 D6", "record.files mix.units")
def a_step_of_a_server_that_there_is_not(honest: Honest, attacker: Attacker) -> None:
    attacker.docs[mix_path(1, 3)] = deepcopy(attacker.docs[mix_path(1, 2)])


# -- ballots, tallies, shares, results -------------------------------------------------------------


def related(honest: Honest, attacker: Attacker, victim: str, name: str, power: int) -> None:
    """A ballot with the victim's (alpha^k, beta^k), a true proof for other nonces, and a signature.

    Attack D1: were it mixed, the output that is the k-th power of another would be the victim's.
    """
    group = honest.manifest.group
    [(_, theirs)] = decode_ballots(honest.context, [attacker.data(victim)]).batches
    credential = bytes.fromhex(attacker.docs[name]["credential"])
    ballots, _ = encrypt_ballots(
        honest.context,
        "town",
        [credential],
        {"a": [[1]], "ward": [[1, 2, 0]], "party": [[0, 0]]},
        {"party": [0]},
        {"party": [""]},
    )
    [copied], k = theirs.packs, group.scalars(power)
    moved = Ciphertexts(alpha=copied.ciphertexts.alpha**k, beta=copied.ciphertexts.beta**k)
    pack = replace(ballots.packs[0], ciphertexts=moved)
    [body] = encode_ballots(honest.context, replace(ballots, packs=(pack,)))
    attacker.docs[name] = json.loads(body)


@attack("D1 C2", f"ballots.proofs {COUNTED}")
def a_power_of_another_voters_message(honest: Honest, attacker: Attacker) -> None:
    related(honest, attacker, "body 3", "body 4", 3)
    mix_again(honest, attacker)


@attack("D1 C1 D2", f"ballots.proofs ballots.unique {COUNTED}")
def another_voters_message_itself(honest: Honest, attacker: Attacker) -> None:
    related(honest, attacker, "body 3", "body 4", 1)
    mix_again(honest, attacker)


@attack("D1 C1 A10", f"ballots.proofs ballots.unique ballots.nonces {COUNTED}")
def another_voters_message_with_its_proof(honest: Honest, attacker: Attacker) -> None:
    attacker.docs["body 4"]["packs"] = deepcopy(attacker.docs["body 3"]["packs"])
    mix_again(honest, attacker)


@attack("D2 C2", f"ballots.proofs ballots.nonces {COUNTED}")
def another_voters_message_encrypted_again(honest: Honest, attacker: Attacker) -> None:
    """Two inputs that encrypt one message."""
    [(_, ballots)] = decode_ballots(honest.context, [attacker.data("body 3")]).batches
    [pack] = ballots.packs
    nonces = nonces_of(pack.ciphertexts)
    again = reencrypt_with_nonces(honest.context.key, pack.ciphertexts, nonces)
    forged = replace(ballots, packs=(replace(pack, ciphertexts=again),))
    [body] = encode_ballots(honest.context, forged)
    attacker.docs["body 4"]["packs"] = json.loads(body)["packs"]
    mix_again(honest, attacker)


@attack("C11 D3", f"mix.form mix.proofs {COUNTED}")
def a_counted_ballot_dropped_after_the_mix(honest: Honest, attacker: Attacker) -> None:
    """The tally says the truth of the ballots that are left, the mix servers' steps do not."""
    attacker.log.remove("entry 4")
    attacker.docs[RESULT]["contests"][0]["votes"] = [1]


@attack("C11 D3", "shares.form shares.quorum")
def a_counted_ballot_dropped_and_mixed_again(honest: Honest, attacker: Attacker) -> None:
    """By mix servers who are all bribed: then only the trustees' shares tell."""
    attacker.log.remove("entry 4")
    attacker.docs[RESULT]["contests"][0]["votes"] = [1]
    attacker.docs[TALLY]["units"][0]["ballots"] = 2
    mix_again(honest, attacker)


@attack("C11", COUNTED)
def mixed_again_after_the_decryption(honest: Honest, attacker: Attacker) -> None:
    mix_again(honest, attacker)


@attack("E8 D3", f"tally.sums {COUNTED}")
def a_tally_that_names_another_first_step(honest: Honest, attacker: Attacker) -> None:
    digest = encode_hex(file_digest(attacker.data(mix_path(1, 1))))
    attacker.set(TALLY, ("units", 0, "steps", 0), digest)


@attack("E8 D3", "tally.form")
def a_tally_that_names_another_last_step(honest: Honest, attacker: Attacker) -> None:
    digest = encode_hex(file_digest(attacker.data(mix_path(1, 2))))
    attacker.set(TALLY, ("units", 0, "steps", 1), digest)


@attack("E8 F5", "record.files tally.sums shares.form shares.quorum")
def a_tally_without_a_unit(honest: Honest, attacker: Attacker) -> None:
    attacker.docs[TALLY]["units"].pop()


@attack("E8 F5", f"tally.sums {COUNTED}")
def a_unit_tallied_with_another_weight(honest: Honest, attacker: Attacker) -> None:
    attacker.set(TALLY, ("units", 0, "styles"), ["town", "land"])


@attack("E6 E7", COUNTED)
def shares_of_what_the_first_server_put_out(honest: Honest, attacker: Attacker) -> None:
    """By a trustee who is bribed, and proven for that."""
    tally = decode_tally(honest.manifest, attacker.data(TALLY), attacker.data)
    before = place(honest, attacker, step=2).inputs
    units = (replace(tally.units[0], read=lambda: before), *tally.units[1:])
    secret = honest.manifest.group.random_scalars()
    share = share_of_tally(
        replace(tally, units=units),
        file_digest(attacker.data(TALLY)),
        1,
        secret,
        honest.manifest.group.generator**secret,
    )
    attacker.docs["shares/001.json"] = json.loads(encode_share(share))


@attack("E8 F4", "result.votes")
def a_first_preference_moved(honest: Honest, attacker: Attacker) -> None:
    votes = attacker.docs[RESULT]["mixed"][1]["count"]["votes"]
    votes[0], votes[1] = votes[1], votes[0]
    assert votes[0] != votes[1]


@attack("E8 F4", "result.votes")
def a_valid_ballot_called_malformed(honest: Honest, attacker: Attacker) -> None:
    ballots = attacker.docs[RESULT]["mixed"][0]["ballots"]
    ballots["valid"], ballots["malformed"] = ballots["valid"] - 1, 1


@pytest.mark.parametrize("what", ATTACKS)
def test_attack(honest: Honest, what: str) -> None:
    """attacks: D1, D2, D3, D4, D5, D6, D7, and the other rows that each names."""
    done = ATTACKS[what]
    attacker = bribed(honest)
    done.do(honest, attacker)
    assert honest.failing(attacker) == set(done.expected.split()), done.rows


def test_the_honest_twin(honest: Honest) -> None:
    """What bribed servers sign again is what was there; and what they mix again is proven."""
    assert honest.audit(bribed(honest)).ok
    attacker = bribed(honest)
    mix_again(honest, attacker)
    report = honest.audit(attacker)
    assert {finding.check for finding in report.failures()} == set(COUNTED.split())
    assert report.finding("mix.proofs").checked == len(STEPS)


# -- every field of a step -------------------------------------------------------------------------


def readable(at: Place, data: bytes) -> bool:
    try:
        decode_step(at.cascade, at.unit, at.step, data, where=at.name)
    except EvoteError:  # malformed, or of a version that is unknown
        return False
    return True


MEANING = {
    "signature": "mix.signatures",
    "inputs": "mix.proofs",
    "outputs": "mix.proofs",
    "proof": "mix.proofs",
}


@pytest.mark.parametrize("step", [1, 2])
def test_every_field_of_a_step(honest: Honest, step: int) -> None:
    """attacks: A3, A11, D3, D6, F6. Signed by its server, and named by the tally."""
    at = place(honest, honest.attacker, unit=1, step=step)
    tried = dict.fromkeys(("mix.form", *MEANING.values()), 0)
    for path, changed in tamper.each_json(honest.attacker.docs[at.name]):
        attacker = bribed(honest)
        attacker.change(at.name, path, changed)
        failing = honest.failing(attacker)
        data = attacker.data(at.name)
        named = MEANING[str(path[0])] if readable(at, data) else "mix.form"
        expected = {named, *COUNTED.split()}
        if step == 2:
            try:
                step_outputs(honest.manifest, at.unit, data, where=at.name)
            except DecodingError:
                expected = {named, "tally.form"}
        assert failing == expected, tamper.shown_json_path(path)
        tried[named] += 1
    assert tried["mix.form"] > 20
    assert min(tried.values()) > 0


def test_every_element_of_a_step(honest: Honest) -> None:
    """attacks: A3, D4, D5. Outputs and proof, one change at a time, as their server signs them."""
    at = place(honest, honest.attacker, step=2)
    data = honest.attacker.data(at.name)
    step = decode_step(at.cascade, at.unit, 2, data, where=at.name)
    check_step(at.cascade, step, at.inputs, at.name)
    changes = [
        (f"{field}{where}", replace(step, **{field: changed}))
        for field in ("outputs", "proof")
        for where, changed in tamper.each_field(getattr(step, field), field)
    ]
    n, w = at.inputs.shape
    assert len(changes) == 2 * n * w + (3 * n + 3 + 2 * w) + (2 * n + 3 + w)
    for where, forged in changes:
        with pytest.raises(VerificationError, match=re.escape(f"{where}: $.proof: ")):
            check_step(at.cascade, forged, at.inputs, where)


def test_a_step_is_bound_to_its_place(honest: Honest) -> None:
    """attacks: A3, A10, D3. The same lists and proof under another name each."""
    at = place(honest, honest.attacker, step=2)
    step = decode_step(at.cascade, at.unit, 2, honest.attacker.data(at.name), where=at.name)
    check_step(at.cascade, step, at.inputs, at.name)
    unit = step.unit
    other_key = PublicKey(element=at.cascade.key.element * at.cascade.group.generator)
    mixing = honest.manifest.mixing
    assert mixing is not None
    turned = replace(honest.manifest, mixing=replace(mixing, mixers=mixing.mixers[::-1]))
    for cascade, moved in [
        (replace(at.cascade, election=bytes(32)), step),
        (replace(at.cascade, counted=bytes(32)), step),
        (replace(at.cascade, key=other_key), step),
        (replace(at.cascade, manifest=turned), step),
        (at.cascade, replace(step, step=1)),
        (at.cascade, replace(step, unit=replace(unit, number=1))),
        (at.cascade, replace(step, unit=replace(unit, styles=("town", "land")))),
        (at.cascade, replace(step, unit=replace(unit, weight=2))),
        (at.cascade, replace(step, unit=replace(unit, pack="pages"))),
    ]:
        with pytest.raises(VerificationError, match=r"\$\.proof"):
            check_step(cascade, moved, at.inputs, at.name)


def test_two_messages_that_come_out_as_one(honest: Honest) -> None:
    """attacks: D2, D7. Two voters who share nonces with a mix server; the shuffle is true."""
    at = place(honest, honest.attacker)
    key, group = at.cascade.key, at.cascade.group
    again = nonces_of(at.inputs[:1])
    inputs = concatenate_ciphertexts(
        [at.inputs[:2], reencrypt_with_nonces(key, at.inputs[:1], again)]
    )
    nonces = nonces_of(inputs)
    shift = concatenate([again, again * 0, again * 0])  # takes the last to where the first goes
    both = concatenate([nonces[:2], nonces[:1]]) + shift
    outputs = reencrypt_with_nonces(key, inputs, both)
    assert outputs[0] == outputs[2]
    statement = ShuffleStatement(key=key, inputs=inputs, outputs=outputs)
    transcript = at.cascade.oracle(at.unit, 1)
    proof = prove_shuffle(statement, any_witness([0, 1, 2], both), transcript)
    data = honest.attacker.data(at.name)
    step = decode_step(at.cascade, at.unit, 1, data, where=at.name)
    check_freshness(step, at.inputs, at.name)
    forged = replace(step, inputs=list_digest(inputs.encode()), outputs=outputs, proof=proof)
    check_step(at.cascade, forged, inputs, at.name)
    with pytest.raises(VerificationError, match="1 ciphertexts came out more than once"):
        check_freshness(forged, inputs, at.name)
    assert group == outputs.group


def test_an_identity_permutation_under_fresh_nonces_cannot_be_told(honest: Honest) -> None:
    """attacks: D7. Nobody but its server sees it: that is why there are several."""
    at = place(honest, honest.attacker)
    nonces = nonces_of(at.inputs)
    outputs = reencrypt_with_nonces(at.cascade.key, at.inputs, nonces)
    attacker = bribed(honest)
    publish(attacker, at, outputs, any_witness([0, 1, 2], nonces))
    mix_again(honest, attacker, first=2)
    assert honest.failing(attacker) == set(COUNTED.split())


def test_a_step_of_another_election(honest: Honest) -> None:
    """attacks: A10, D3. As it was made there; and under this election's name, signed again."""
    at = place(honest, honest.attacker, step=2)
    elsewhere = replace(at.cascade, election=bytes(32))
    attacker = bribed(honest)
    step = json.loads(make_step(elsewhere, at.unit, 2, at.inputs, attacker.keys["mixer-2"]).data)
    attacker.docs[at.name] = deepcopy(step)
    assert honest.failing(attacker) == {"mix.proofs", *COUNTED.split()}
    attacker = honest.attacker.copy()
    attacker.docs[at.name] = deepcopy(step)
    assert honest.failing(attacker) == {"mix.proofs", "mix.signatures", *COUNTED.split()}
    attacker.change(at.name, ("election",), step)
    assert honest.failing(attacker) == {"mix.form", *COUNTED.split()}


BAD_ELEMENTS = {"identity": bytes(32), "negative": (1).to_bytes(32, "little"), "ones": b"\xff" * 32}


@pytest.mark.parametrize("bad", BAD_ELEMENTS.values(), ids=BAD_ELEMENTS.keys())
@pytest.mark.parametrize(
    ("name", "path", "expected"),
    [
        (mix_path(0, 1), ("outputs",), f"mix.form {COUNTED}"),
        (mix_path(0, 1), ("proof",), f"mix.form {COUNTED}"),
        (mix_path(0, 2), ("outputs",), "mix.form tally.form"),
        ("body 4", ("packs", 0, "ciphertexts"), "ballots.form"),
        ("body 4", ("packs", 0, "proof"), "ballots.form"),
    ],
)
def test_no_door_lets_a_bad_element_in(
    honest: Honest, name: str, path: tuple[str | int, ...], expected: str, bad: bytes
) -> None:
    """attacks: B1, B6, B9"""
    attacker = bribed(honest)
    value = attacker.docs[name]
    for key in path:
        value = value[key]
    attacker.set(name, path, encode_base64url(bad + decode_base64url(value)[32:]))
    report = honest.audit(attacker)
    failing = {finding.check for finding in report.failures()}
    assert failing >= set(expected.split())
    assert "not a group element at index 0" in report.finding(expected.split()[0]).detail
    assert "mix.proofs" not in failing
