"""Make election.json: what trustees and auditors compute of tests/records/v1-small.

Run from the repository's root, with evote installed: python tests/vectors/make_election.py
The record is kept for good: `--new-record` made it once, with the randomness of the operating
system. The file says what evote computes of it; check_election.py beside it computes the same in
plain Python integers, from the record and the `inputs` alone; the tests run both.

The secrets in it are those of operators and voters who exist for these tests only.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from make_ballot import pairs, recording

from evote import workflow
from evote._audit_log import seal_parts
from evote._ceremony_messages import commits_digest, decode_reveal
from evote._ceremony_steps import _open_share, reveal_transcript
from evote.ballots import ballot_equations, ballot_tracker, decode_ballots
from evote.board import Seal, merkle_root
from evote.ceremony import ceremony_parameters
from evote.credentials import decode_roll, derive_voter_key, read_roll
from evote.election import Manifest
from evote.encoding import canonical_json, parse_json, uint32, xof
from evote.groups import Elements, Scalars, concatenate, stack
from evote.operators import decode_card, load_operator, signed_message
from evote.policies import counted_set
from evote.proofs import SchnorrStatement, verify_schnorr
from evote.record import Record
from evote.tally import (
    decode_result,
    decode_share,
    decode_tally,
    decrypted,
    file_digest,
    verify_share,
)

ROOT = Path(__file__).parents[2]
HOME = ROOT / "tests/records/v1-small"
FILE = Path(__file__).with_name("election.json")


def make_record() -> dict[str, Any]:
    """A new record in the place of the old one, and the secrets of all who took part."""
    sys.path.insert(0, str(ROOT / "tests"))
    import records

    from evote.workflow import Choice, RollLine

    sharing = records.APPROVAL | {"id": "budget", "title": "Two marks for the budget"}
    sharing |= {"kind": "cumulative", "option_limit": 2, "minimum": 0, "maximum": 2}
    sharing |= {"options": [{"id": name, "title": name} for name in ("roads", "trees")]}
    plan = records.Plan(
        contests=(records.YES_NO, sharing),
        styles={"town": ["bridge", "budget"], "island": ["bridge"]},
        trustees=3,
        quorum=2,
        voters=(
            RollLine(style="town", count=2, district="east"),
            RollLine(style="town", weight=2, district="west"),
            RollLine(style="island"),
        ),
        maximum_weight=2,
    )
    with tempfile.TemporaryDirectory() as place:
        made = records.make_ready(Path(place), plan)
        records.open_small(made)
        both = Choice(contests={"bridge": (1, 0), "budget": (1, 1)})
        blank = Choice(contests={"bridge": (0, 0)}, blank=frozenset({"budget"}))
        ballots = records.cast(made, [(0, both, "spoil"), (0, both, "cast"), (1, both, "cast")])
        workflow.open_spoiled(made.path, made.board, ballots[0], records.PASSPHRASE)
        no = Choice(contests={"bridge": (0, 1), "budget": (0, 2)})
        island = Choice(contests={"bridge": (0, 1)})
        records.cast(made, [(1, no, "cast"), (2, blank, "cast"), (3, island, "cast")])
        records.finish(made, [1, 3])
        secrets = []
        for path in made.trustees():
            key = load_operator(path, records.PASSPHRASE)
            assert key.ceremony is not None
            secrets.append(key.ceremony._secret_bytes().hex())
        shutil.rmtree(HOME / "record", ignore_errors=True)
        shutil.copytree(made.path, HOME / "record")
        return {
            "record_text": "tests/records/v1-small/record",
            "ceremony_secrets": secrets,
            "codes_text": [credential.code for credential in made.credentials],
        }


def steps(messages: list[tuple[bytes, bytes]], squeezed: list[bytes]) -> dict[str, Any]:
    """What a transcript was told and what it gave, forks in their order."""
    told = [{"label_text": label.decode(), "message": data.hex()} for label, data in messages]
    return {"messages": told, "squeezed": [data.hex() for data in squeezed]}


def cut(elements: Elements) -> list[str]:
    data = elements.encode()
    return [data[i : i + 32].hex() for i in range(0, len(data), 32)]


def hexed(scalars: Scalars) -> str:
    return scalars._secret_bytes().hex()


def identifiers(record: Record) -> dict[str, str]:
    parameters = workflow.load_parameters(record.path)
    return {
        "parameters": parameters.manifest.group.parameters().hex(),
        "manifest_digest": parameters.manifest_digest.hex(),
        "base_id": parameters.base_id.hex(),
        "ceremony_digest": parameters.ceremony_digest.hex(),
        "joint_key": parameters.key.element.encode().hex(),
        "roll_root": parameters.roll_root.hex(),
        "election_id": parameters.election_id.hex(),
    }


def ceremony(record: Record, secrets: list[str]) -> dict[str, Any]:
    parameters, files = ceremony_parameters(record), record.ceremony_files()
    group, base = parameters.group, parameters.base_id
    reveals, trustees = [], []
    for i, card in enumerate(parameters.trustees, 1):
        with recording() as key_proof:
            decode_card(card.encode())
        reveal = decode_reveal(parameters, files[f"reveal-{i:03}.json"], i)
        reveals.append(reveal)
        with recording() as proof:
            statement = SchnorrStatement(base=group.generator, publics=reveal.coefficients)
            verify_schnorr(statement, reveal.proof, reveal_transcript(parameters, i))
        commit = parse_json(files[f"commit-{i:03}.json"])
        assert isinstance(commit, dict)
        unsigned = canonical_json({k: v for k, v in commit.items() if k != "signature"})
        trustees.append(
            {
                "key_proof": steps(*key_proof),
                "commitment": commit["commitment"],
                "commit_message": signed_message("ceremony-commit", unsigned).hex(),
                "coefficients_proof": steps(*proof),
            }
        )
    received = []
    for j, text in enumerate(secrets, 1):
        secret = group.decode_secret_scalars(bytes.fromhex(text), ())
        shares, parts = [], []
        for reveal in reveals:
            ephemeral = reveal.ephemerals[j - 1]
            key = ephemeral**secret
            share = _open_share(parameters, reveal, j, key)
            assert isinstance(share, Scalars)
            parts.append(share)
            place = uint32(reveal.index), uint32(j), ephemeral.encode(), key.encode()
            shares.append(
                {
                    "key": key.encode().hex(),
                    "sealing_key": xof("ceremony-share", base, *place, length=32).hex(),
                    "share": hexed(share),
                }
            )
        received.append({"shares": shares, "key_share": hexed(stack(parts).sum())})
    keys = workflow.load_parameters(record.path).verification_keys
    return {
        "trustees": trustees,
        "commits_digest": commits_digest(files, len(reveals)).hex(),
        "received": received,
        "verification_keys": cut(keys),
    }


def roll(record: Record, codes: list[str]) -> dict[str, Any]:
    header, base = decode_roll(record.roll_header()), ceremony_parameters(record).base_id
    return {
        "credentials": [derive_voter_key(code, base).credential.hex() for code in codes],
        "message": signed_message("roll", *header.signed_parts()).hex(),
    }


def log(record: Record, manifest: Manifest) -> dict[str, Any]:
    parameters = workflow.load_parameters(record.path)
    voters = read_roll(record.roll_rows(), [style.id for style in manifest.styles])
    entries = list(record.entries())
    fates = counted_set(
        voters,
        ((index, entry) for index, _, entry in entries),
        revote=manifest.revote,
        spoil=manifest.spoil,
    )
    [(index, seal)] = [(i, entry) for i, _, entry in entries if isinstance(entry, Seal)]
    before = merkle_root(data for _, data, _ in entries[:index])
    parts = seal_parts(parameters.election_id, index, before, seal)
    opening = parameters.election_id, parameters.manifest_digest
    return {
        "size": len(entries),
        "root": merkle_root(data for _, data, _ in entries).hex(),
        "open_message": signed_message("open", *opening).hex(),
        "counted": fates.indices[fates.fates == 0].tolist(),
        "counted_digest": fates.digest.hex(),
        "root_before_seal": before.hex(),
        "seal_message": signed_message("seal", *parts).hex(),
    }


def ballots(record: Record) -> list[dict[str, str]]:
    context = workflow.load_parameters(record.path).ballot_context
    rows = []
    for _, entry, body in record.ballots():
        [(_, decoded)] = decode_ballots(context, [body]).batches
        with recording() as (_, squeezed):
            ballot_equations(context, decoded)
        digest, tracker = entry.digest.hex(), ballot_tracker(entry.digest)
        rows.append({"digest": digest, "tracker_text": tracker, "squeezed": squeezed[0].hex()})
    return rows


def tally(record: Record, manifest: Manifest) -> dict[str, Any]:
    data = record.tally_bytes()
    made, digest = decode_tally(manifest, data), file_digest(data)
    keys = workflow.load_parameters(record.path).verification_keys
    proofs, shares = [], []
    for i in record.share_indices():
        share = decode_share(manifest, made, record.share_bytes(i), where="share")
        with recording() as proof:
            verify_share(made, digest, share, keys[i - 1])
        proofs.append({"trustee": i, **steps(*proof)})
        shares.append(share)
    result = decode_result(manifest, record.result_bytes())
    opened = concatenate(list(decrypted(manifest, made, shares)))
    totals = [[*row.votes, *([] if row.blank is None else [row.blank])] for row in result.contests]
    flat = np.array([total for row in totals for total in row])
    assert manifest.group.generator ** manifest.group.scalars(flat) == opened
    return {
        "tally_digest": digest.hex(),
        "sums": pairs(made.sums),
        "share_proofs": proofs,
        "opened": cut(opened),
        "totals": totals,
    }


def build() -> dict[str, Any]:
    """The content of election.json."""
    inputs = json.loads(FILE.read_bytes())["inputs"]
    record = Record(ROOT / inputs["record_text"])
    return document(inputs, record)


def document(inputs: dict[str, Any], record: Record) -> dict[str, Any]:
    manifest = record.manifest
    return {
        "source": "evote's own format, version 1; see docs/record-format.md",
        "made_by": "tests/vectors/make_election.py; computed again by tests/vectors/"
        "check_election.py",
        "notation": "as in ballot.json; lists of trustees and of contests are in their order",
        "group": manifest.group.name,
        "inputs": inputs,
        "identifiers": identifiers(record),
        "ceremony": ceremony(record, inputs["ceremony_secrets"]),
        "roll": roll(record, inputs["codes_text"]),
        "log": log(record, manifest),
        "ballots": ballots(record),
        "tally": tally(record, manifest),
    }


if __name__ == "__main__":
    if sys.argv[1:] == ["--new-record"]:
        inputs = make_record()
        made = document(inputs, Record(HOME / "record"))
    else:
        made = build()
    FILE.write_text(json.dumps(made, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
