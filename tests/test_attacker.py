"""Whoever owns the server changes a record and recomputes all that follows: what still fails.

Every digest, count, sum and signature that the board, the authorities and the registrar can make
is made anew, see `attacker`. So the check that fails is the one that stands on somebody else's
secret: a trustee's, a voter's; or on arithmetic. Each is named by its id, and nothing else fails.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from evote.ballots import (
    decode_ballots,
    encode_ballots,
)
from evote.board import bodies_path, decode_entry
from evote.credentials import decode_roll, read_roll
from evote.election import decode_manifest
from evote.encoding import JSON, canonical_json, decode_base64url, encode_base64url
from evote.errors import EvoteError
from evote.operators import load_operator
from evote.record import MANIFEST, RESULT, ROLL, TALLY, rows_path
from evote.tally import (
    decode_result,
    decode_share,
    decode_tally,
    encode_share,
)
from evote.testing import tamper
from evote.testing.tamper import JSONPath
from tests.attacker import Attacker, Honest
from tests.memory import Memory
from tests.records import PASSPHRASE, make_full

COUNTED = "shares.proofs shares.quorum"  # the trustees have decrypted another counted set
CEREMONY = "ceremony.commitments ceremony.confirmations"


@pytest.fixture(scope="module", name="honest")
def make_honest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Honest]:
    with pytest.MonkeyPatch.context() as patch:
        Memory(patch)
        yield Honest.of(make_full(tmp_path_factory.mktemp("full")))


def test_the_honest_twin(honest: Honest) -> None:
    """What the attacker recomputes without a change is the record that was there, and passes."""
    for attacker in (honest.attacker.copy(), honest.bribed()):
        assert honest.audit(attacker).ok
    assert sorted(honest.fates.values()) == ["counted"] * 3 + ["spoiled", "superseded"]


# -- every field -----------------------------------------------------------------------------------

# What fails when a document is no longer well formed.
FORM = {
    "manifest": "record.files manifest.form",
    "commit": CEREMONY,
    "reveal": CEREMONY,
    "confirm": "ceremony.confirmations",
    "roll": "record.files roll.form",
    "row": "roll.form",
    "entry": "record.files board.entries",
    "entry share": "record.files board.entries shares.quorum",
    "body counted": "ballots.form ballots.signatures",
    "body superseded": "ballots.form ballots.signatures",
    "body spoiled": "ballots.form ballots.signatures spoiled.openings",
    "tally": "tally.form",
    "share": "shares.form shares.quorum",
    "result": "result.form",
}
# What fails when it is, by its kind, the field, and how that changed. The first that fits.
NOT_ON_THE_ROLL = "ballots.credentials ballots.signatures policy.counted"
ANOTHER_ROLL = "ballots.signatures ballots.proofs spoiled.openings"
MEANING: list[tuple[str, str]] = [
    # Trustees have signed the manifest, and each what the others did.
    (r"manifest \$\.registrars\[\]\.(id|signing_key)", f"{CEREMONY} roll.signatures"),
    (r"manifest \$\.authorities\.cards\[\]\.(id|signing_key)", f"{CEREMONY} open.signatures"),
    (r"manifest \$\.board\.card\.signing_key", f"record.files {CEREMONY} board.checkpoint"),
    (
        r"manifest \$\.(styles shorter|styles\[\]\.id|voters\.maximum -|weights\.total -)",
        f"{CEREMONY} roll.form",
    ),
    (r"manifest \$\.trustees shorter", "record.files ceremony.commitments"),
    (r"manifest .*", CEREMONY),
    (r"(commit|reveal) .*", CEREMONY),
    (r"confirm .*", "ceremony.confirmations"),
    # Who owns the server owns the roll's header; its rows are in every voter's signature.
    (r"roll \$\.signatures.*", "roll.signatures"),
    (r"roll \$\.(base|count|root|weight).*", "roll.form"),
    (r"row \$\.district", f"{ANOTHER_ROLL} {COUNTED}"),
    (r"row \$\.weight \+", f"roll.form {ANOTHER_ROLL} {COUNTED}"),
    (r"row \$\.weight -", f"{ANOTHER_ROLL} {COUNTED} result.form"),
    # Entries.
    (r"entry open \$\.(election|manifest)", "election.id"),
    (r"entry open \$\.signatures turned", ""),  # in any order they say the same
    (r"entry open \$\.signatures.*", "open.signatures"),
    (r"entry \w+ \$\.credential", NOT_ON_THE_ROLL),
    (r"entry \w+ \$\.signature", "ballots.signatures"),
    (r"entry spoiled \$\.digest", "ballots.digests ballots.signatures policy.counted"),
    (r"entry superseded \$\.digest", "ballots.digests ballots.signatures"),
    (r"entry counted \$\.digest", f"ballots.digests ballots.signatures {COUNTED}"),
    (r"entry opening \$\.ballot", "policy.counted"),
    (r"entry opening \$\.(seed|contests.*)", "spoiled.openings"),
    (r"entry seal \$\.signatures turned", ""),
    (r"entry seal \$\.signatures.*", "seal.signatures"),
    (r"entry seal \$\.(cast|spoiled|counted|superseded|digest).*", "seal.counted"),
    (r"entry tally \$\.digest", "tally.form"),
    (r"entry share \$\.digest", "shares.form shares.quorum"),
    (r"entry share \$\.trustee.*", "record.files shares.form shares.quorum"),
    (r"entry result \$\.digest", "result.form"),
    # Ballots, sums, shares, and the result.
    (
        r"body spoiled \$\.credential",
        "ballots.credentials ballots.signatures ballots.proofs spoiled.openings",
    ),
    (r"body superseded \$\.credential", "ballots.credentials ballots.signatures ballots.proofs"),
    (
        r"body counted \$\.credential",
        f"ballots.credentials ballots.signatures ballots.proofs {COUNTED}",
    ),
    (r"body spoiled .*\.ciphertexts", "ballots.signatures ballots.proofs spoiled.openings"),
    (r"body (spoiled|superseded) .*", "ballots.signatures ballots.proofs"),
    (r"body counted .*", f"ballots.signatures ballots.proofs {COUNTED}"),
    (r"tally \$\.election", f"tally.form {COUNTED}"),
    (r"tally .*\.weight -", f"tally.sums {COUNTED} result.form"),
    (r"tally .*", f"tally.sums {COUNTED}"),
    (r"share \$\.trustee.*", f"shares.form {COUNTED}"),
    (r"share .*", COUNTED),
    (
        r"result \$\.(ballots|weight|undervotes|contests\[\]\.(ballots|weight|undervotes)).*",
        "result.totals",
    ),
    (r"result \$\.trustees.*", "shares.quorum"),
    (r"result .*", "result.votes"),
]


def kind_of(honest: Honest, name: str) -> str:
    """The kind of a document; of ballots with their fate."""
    if name.startswith(("entry", "body")):
        entry = name.replace("body", "entry")
        kind = honest.fates.get(entry) or honest.attacker.docs[entry]["type"]
        return f"{name.split()[0]} {kind}"
    if name.startswith("shares/"):
        return "share"
    return re.split("[ .-]", name.rpartition("/")[2])[0]


def change_of(before: JSON, after: JSON, path: JSONPath) -> str:
    """How the value at `path` changed, where that makes a difference."""
    old = new = after
    try:
        old, new = _at(before, path), _at(after, path)
    except LookupError:
        return ""
    if isinstance(old, list) and isinstance(new, list):
        return " " + {-1: "shorter", 0: "turned", 1: "longer"}[len(new) - len(old)]
    if type(old) is int and type(new) is int:
        return " +" if new > old else " -"
    return ""


def _at(value: Any, path: JSONPath) -> Any:
    for key in path:
        value = value[key]
    return value


def unreadable(honest: Honest, kind: str, name: str, attacker: Attacker) -> bool:
    """Whether the document, as it is published, is none of its kind; by its own decoder."""
    data, manifest = attacker.data(name), honest.manifest
    try:
        match kind.split()[0]:
            case "manifest":
                decode_manifest(data)
            case "row":
                styles, most = [style.id for style in manifest.styles], manifest.maximum_weight
                rows = (attacker.data(row) for row in attacker.rows)
                read_roll(rows, styles, maximum_weight=most, check_keys=False)
            case "roll":
                decode_roll(data)
            case "entry":
                decode_entry(data)
            case "body":
                for error in decode_ballots(honest.context, [data]).errors.values():
                    raise error
            case "tally":
                decode_tally(manifest, data)
            case "share":
                decode_share(manifest, honest.tally, data, where=name)
            case "result":
                decode_result(manifest, data)
    except EvoteError:
        return True
    return False


DOCUMENTS = (  # all there are: the test of the honest twin would not see one more
    [MANIFEST, TALLY, RESULT, ROLL, "shares/001.json", "shares/003.json"]
    + [f"ceremony/{kind}-00{i}.json" for kind in ("commit", "reveal", "confirm") for i in (1, 2, 3)]
    + [f"row {i}" for i in range(4)]
    + [f"entry {i}" for i in range(12)]
    + [f"body {i}" for i in range(1, 6)]
)


def test_all_documents_are_changed(honest: Honest) -> None:
    assert sorted(DOCUMENTS) == sorted(honest.attacker.docs)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_field(honest: Honest, name: str) -> None:
    """attacks: A3, A11, C11, E8, F6. Missing, unknown, other and no value at every place."""
    kind, document = kind_of(honest, name), honest.attacker.docs[name]
    tried = 0
    for path, changed in tamper.each_json(document):
        attacker = honest.attacker.copy()
        attacker.change(name, path, changed)
        report = honest.audit(attacker)
        failing = {finding.check for finding in report.failures()}
        where = f"{kind} {re.sub(r'[0-9]+', '', tamper.shown_json_path(path))}"
        where += change_of(document, changed, path)
        if unreadable(honest, kind, name, attacker):
            expected = FORM.get(kind) or FORM[kind.split()[0]]
            if path == ("group",) and "group" in attacker.docs[name]:
                expected = "record.files group.parameters"
            assert report.exit_code == (4 if name == MANIFEST else 1)
            details = "\n".join(finding.detail for finding in report.failures())
            turned = "credentials do not ascend" in details  # the row after it is named then
            assert turned or place_of(attacker, name) in details
            if "longer than" in details:  # than a ballot can be: it is not read at all
                expected = expected.replace(" spoiled.openings", "")
        elif where == "row $.credential":
            voted = any(
                honest.attacker.docs[entry]["credential"] == document["credential"]
                for entry in honest.fates
            )
            missing = f"{NOT_ON_THE_ROLL} ballots.proofs"
            expected = f"{missing if voted else ANOTHER_ROLL} {COUNTED}"
            failing.discard("roll.keys")  # half of all changed keys are none
        else:
            expected = next(ids for rule, ids in MEANING if re.fullmatch(rule, where))
        assert failing == set(expected.split()), where
        tried += 1
    assert tried > len(document)


TOO_LONG = [f"body {i}" for i in range(1, 5)]  # of the style with the longest ballots


@pytest.mark.parametrize("name", [name for name in DOCUMENTS if name not in TOO_LONG])
def test_a_key_that_occurs_twice(honest: Honest, name: str) -> None:
    """attacks: G1. Python keeps the last, others the first; here it is refused, and named."""
    attacker = honest.bribed()
    data = attacker.data(name)
    key, value = next(iter(sorted(attacker.docs[name].items())))
    attacker.raw[name] = b"{" + canonical_json({key: value})[1:-1] + b"," + data[1:]
    report = honest.audit(attacker)
    kind = kind_of(honest, name)
    expected = set((FORM.get(kind) or FORM[kind.split()[0]]).split()) - {"ballots.signatures"}
    assert {finding.check for finding in report.failures()} == expected
    details = "\n".join(finding.detail for finding in report.failures())
    assert f"key '{key}' occurs twice" in details
    assert place_of(attacker, name) in details


def place_of(attacker: Attacker, name: str) -> str:
    """The file and the line that a message about a document names."""
    kind, _, number = name.partition(" ")
    match kind:
        case "row":
            return f"{rows_path(0)}: line {int(number) + 1}"
        case "entry":
            return f"board/tile/entries/000.p/{len(attacker.log)}: {name}"
        case "body":
            return f"{bodies_path(0)}: line {number}"
    return name


# -- every element and scalar ----------------------------------------------------------------------


@pytest.mark.parametrize(("name", "also"), [("body 3", ""), ("body 4", COUNTED)])
def test_every_element_and_scalar_of_a_ballot(honest: Honest, name: str, also: str) -> None:
    """attacks: A3, A6, C2. The voter was bribed and signs it, so only the proof is left to fail."""
    [(_, ballots)] = decode_ballots(honest.context, [honest.attacker.data(name)]).batches
    tried = 0
    for c, part in enumerate(ballots.contests):
        for field in ("ciphertexts", "options", "sums"):
            for where, changed in tamper.each_field(getattr(part, field), field):
                contests = list(ballots.contests)
                contests[c] = replace(part, **{field: changed})
                [data] = encode_ballots(honest.context, replace(ballots, contests=tuple(contests)))
                attacker = honest.bribed()
                attacker.docs[name] = json.loads(data)
                assert honest.failing(attacker) == {"ballots.proofs", *also.split()}, (c, where)
                tried += 1
    assert tried == (4 + 14 + 7) + (8 + 21 + 20)


def test_every_sum_and_share(honest: Honest) -> None:
    """attacks: A2, A7, E7"""
    attacker = honest.attacker
    for i, part in enumerate(honest.tally.contests):
        for where, sums in tamper.each_field(part.sums):
            forger = attacker.copy()
            packed = encode_base64url(sums.encode())
            forger.set(TALLY, ("contests", i, "ciphertexts"), packed)
            assert honest.failing(forger) == {"tally.sums", *COUNTED.split()}, (i, where)
    name = "shares/001.json"
    share = decode_share(honest.manifest, honest.tally, attacker.data(name), where=name)
    changes = {
        where: changed
        for where, changed in tamper.each_field(share.decryption)
        if where != "trustee"
    }
    assert len(changes) == 6 + 3  # two commitments, a response
    for where, changed in changes.items():
        forger = attacker.copy()
        forger.docs[name] = json.loads(encode_share(replace(share, decryption=changed)))
        assert honest.failing(forger) == set(COUNTED.split()), where


P = 2**255 - 19
BAD_ELEMENTS = {
    "identity": bytes(32),
    "not below p": P.to_bytes(32, "little"),
    "negative": (1).to_bytes(32, "little"),
    "no point": (2).to_bytes(32, "little"),
    "all ones": b"\xff" * 32,
}
ELEMENTS: list[tuple[str, JSONPath, str]] = [  # every place of elements, and what refuses bad ones
    (MANIFEST, ("trustees", 0, "ceremony_key"), "record.files manifest.form"),
    (MANIFEST, ("trustees", 0, "ceremony_proof"), "record.files manifest.form"),
    ("ceremony/reveal-002.json", ("coefficients",), CEREMONY),
    ("ceremony/reveal-002.json", ("proofs",), CEREMONY),
    ("ceremony/reveal-002.json", ("shares", 0, "ephemeral"), CEREMONY),
    ("ceremony/confirm-002.json", ("key",), "ceremony.confirmations"),
    ("body 4", ("contests", 1, "ciphertexts"), "ballots.form"),
    ("body 4", ("contests", 1, "options"), "ballots.form"),
    ("body 4", ("contests", 1, "sum"), "ballots.form"),
    (TALLY, ("contests", 1, "ciphertexts"), "tally.form"),
    ("shares/003.json", ("shares",), "shares.form shares.quorum"),
    ("shares/003.json", ("proofs", 0), "shares.form shares.quorum"),
]


# Nonces may cancel out in a sum, and then its shares are neutral too: only there it is legal.
NEUTRAL = {TALLY: f"tally.sums {COUNTED}", "shares/003.json": COUNTED}


@pytest.mark.parametrize(("name", "path", "expected"), ELEMENTS)
@pytest.mark.parametrize("bad", BAD_ELEMENTS.values(), ids=BAD_ELEMENTS.keys())
def test_no_door_lets_a_bad_element_in(
    honest: Honest, name: str, path: JSONPath, expected: str, bad: bytes
) -> None:
    """attacks: B1, B6, B9. Trustees and voters were bribed to sign what holds it."""
    attacker = honest.bribed()
    for trustee in honest.made.trustees():
        attacker.keys[trustee.name] = load_operator(trustee, PASSPHRASE)
    assert honest.audit(attacker.copy()).ok
    good = decode_base64url(_at(attacker.docs[name], path))
    attacker.set(name, path, encode_base64url(bad + good[32:]))
    if name in NEUTRAL and bad == bytes(32):
        assert honest.failing(attacker) == set(NEUTRAL[name].split())
        return
    report = honest.audit(attacker)
    found = [finding for finding in report.failures() if finding.check in expected.split()]
    assert {finding.check for finding in found} == set(expected.split())
    words = re.compile("not a group element at index 0|not a canonical proof|confirms another")
    details = "\n".join(finding.detail for finding in found)
    place = {"body 4": "ballots/000.jsonl: line 4"}.get(name, name)
    assert place in details
    assert words.search(details), details
