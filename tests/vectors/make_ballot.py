"""Make ballot.json: one ballot, from the voter's code to the receipt, with every byte between.

Run from the repository's root, with evote installed: python tests/vectors/make_ballot.py
The file says what evote computes. check_ballot.py beside it computes the same in plain Python
integers, from the `inputs` alone; the tests run both.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from evote._merkle import MerkleTree, leaf_hash
from evote.ballots import (
    BallotContext,
    ballot_digest,
    ballot_tracker,
    encode_ballots,
    encrypt_ballots,
    open_ballot,
    verify_ballots,
)
from evote.board import (
    LOG_KEY,
    BallotEntry,
    Checkpoint,
    NoteSigner,
    Open,
    OpenedContest,
    Opening,
    Receipt,
    TlogProof,
    VerifierKey,
    encode_entry,
    encode_receipt,
    sign_checkpoint,
    verify_receipt,
)
from evote.contests import Contest, Option, Style
from evote.credentials import (
    ACTIONS,
    _derive_seed,
    ballot_message,
    decode_code,
    derive_voter_key,
    encode_code,
)
from evote.elgamal import Ciphertexts, key_from_exponent
from evote.encoding import encode_base64url, frame, uint32
from evote.groups import Scalars, Secrecy, ristretto255
from evote.proofs import OneOfProof
from evote.transcript import Transcript, Transcripts, derive_session_id

FILE = Path(__file__).with_name("ballot.json")

CONTESTS = (
    Contest(
        id="council",
        title="Who sits on the council? Place up to three marks",
        kind="cumulative",
        options=tuple(Option(id=f"seat-{i}", title=f"Candidate {i}") for i in (1, 2, 3)),
        option_limit=2,
        minimum=1,
        maximum=3,
        blank="counted",
    ),
    Contest(
        id="bridge",
        title="Shall the bridge be built?",
        kind="yes-no",
        options=(Option(id="yes", title="Yes"), Option(id="no", title="No – not now")),
        option_limit=1,
        minimum=1,
        maximum=1,
    ),
)
STYLE = Style(id="north", contests=("council", "bridge"))
SELECTIONS = {"council": [2, 0, 1], "bridge": [0, 1]}
BLANKS = {"council": 0}
BASE_ID = bytes(range(32))
ELECTION_ID = bytes(range(32, 64))
SEED = bytes(range(64, 96))
CODE_BITS = bytes(range(1, 17))
LOG_SEED = bytes(range(96, 128))
ORIGIN = "example.org/evote-vector"
BEFORE = Open(election=ELECTION_ID, manifest=bytes(32), signatures=())
AFTER = BallotEntry(action="spoil", credential=bytes(32), digest=bytes(32), signature=bytes(64))

Q = ristretto255.order


class Source:
    """The same bytes in every run: for the randomness of the proofs, in this file only."""

    def __init__(self) -> None:
        self.taken = 0

    def __call__(self, length: int) -> bytes:
        self.taken += length
        return hashlib.shake_256(b"evote ballot vector").digest(self.taken)[-length:]


@contextmanager
def recording() -> Iterator[tuple[list[tuple[bytes, bytes]], list[bytes]]]:
    """The messages that transcripts are told meanwhile, and the bytes they give."""
    messages: list[tuple[bytes, bytes]] = []
    squeezed: list[bytes] = []
    append, squeeze = Transcript.append, Transcript.squeeze
    append_all, append_rows = Transcripts.append, Transcripts.append_rows
    squeeze_all = Transcripts.squeeze

    def recording_append(self: Transcript, label: bytes, message: bytes) -> None:
        messages.append((label, message))
        append(self, label, message)

    def recording_squeeze(self: Transcript, label: bytes, length: int) -> bytes:
        squeezed.append(squeeze(self, label, length))
        return squeezed[-1]

    def recording_append_all(self: Transcripts, label: bytes, message: bytes) -> None:
        messages.append((label, message))
        append_all(self, label, message)

    def recording_append_rows(self: Transcripts, label: bytes, rows: Any) -> None:
        messages.extend((label, row.tobytes()) for row in rows)
        append_rows(self, label, rows)

    def recording_squeeze_all(self: Transcripts, label: bytes, length: int) -> Any:
        drawn = squeeze_all(self, label, length)
        squeezed.extend(row.tobytes() for row in drawn)
        return drawn

    with (
        mock.patch.object(Transcript, "append", recording_append),
        mock.patch.object(Transcript, "squeeze", recording_squeeze),
        mock.patch.object(Transcripts, "append", recording_append_all),
        mock.patch.object(Transcripts, "append_rows", recording_append_rows),
        mock.patch.object(Transcripts, "squeeze", recording_squeeze_all),
    ):
        yield messages, squeezed


def integers(scalars: Scalars) -> Any:
    """Nested lists of integers."""
    data = scalars.encode()
    flat = [int.from_bytes(data[i : i + 32], "little") for i in range(0, len(data), 32)]
    return np.array(flat, dtype=object).reshape(scalars.shape)


def scalar(value: int) -> str:
    return (value % Q).to_bytes(32, "little").hex()


def pairs(ciphertexts: Ciphertexts) -> list[dict[str, str]]:
    data = ciphertexts.encode()
    items = [data[i : i + 64] for i in range(0, len(data), 64)]
    return [{"alpha": item[:32].hex(), "beta": item[32:].hex()} for item in items]


def proof_steps(
    proof: OneOfProof, nonces: list[list[int]], values: list[list[int]], challenge: int
) -> tuple[list[Any], list[Any]]:
    """The randomness behind each proof of a row, and its moves.

    With the nonces r of the ciphertexts, u = s - c r gives back what the prover drew.
    """
    drawn, moves = [], []
    challenges, responses = integers(proof.challenges), integers(proof.responses)
    for i, r in enumerate(nonces):
        given = [int(c) for c in challenges[i]]
        all_challenges = [*given, (challenge - sum(given)) % Q]
        rows = []
        for j, (c, row) in enumerate(zip(all_challenges, values, strict=True)):
            s = [int(x) for x in responses[i, j]]
            commitments = pairs(proof.commitments[i, j])
            u = [scalar(x - c * y) for x, y in zip(s, r, strict=True)]
            rows.append(
                {
                    "values": row,
                    "u": u,
                    "commitments": [{"a": p["alpha"], "b": p["beta"]} for p in commitments],
                    "challenge": scalar(c),
                    "responses": [scalar(x) for x in s],
                }
            )
        drawn.append([{"u": row["u"], "challenge": row["challenge"]} for row in rows])
        moves.append(rows)
    return drawn, moves


def build() -> dict[str, Any]:
    """The content of ballot.json."""
    source = Source()
    exponent = ristretto255.random_scalars(secrecy=Secrecy.LONG_TERM, rng=source)
    key = key_from_exponent(exponent).public
    context = BallotContext(key=key, election_id=ELECTION_ID, contests=CONTESTS, styles=(STYLE,))
    code = encode_code(CODE_BITS)
    voter: Any = derive_voter_key(code, BASE_ID)
    rows = {name: [marks] for name, marks in SELECTIONS.items()}
    bits = {name: [bit] for name, bit in BLANKS.items()}
    with recording() as (messages, drawn_bytes):
        ballots, _ = encrypt_ballots(
            context, STYLE.id, [voter.credential], rows, bits, seeds=[SEED], rng=source
        )
    [squeezed] = drawn_bytes  # one ballot, one challenge
    challenge = int.from_bytes(squeezed, "little") % Q
    verify_ballots(context, ballots)
    [body] = encode_ballots(context, ballots)
    open_ballot(context, body, SEED, SELECTIONS, BLANKS)
    digest = ballot_digest(body)

    randomness: dict[str, Any] = {}
    contests = []
    for part in ballots.contests:
        contest, values = part.contest, [*SELECTIONS[part.contest.id]]
        if contest.counts_blanks:
            values.append(BLANKS[contest.id])
        ciphertexts, nonces = nonce_steps(contest, voter.credential, values)
        for step, pair in zip(ciphertexts, pairs(part.ciphertexts), strict=True):
            step |= pair
        count = len(contest.options)
        sum_nonce = sum(nonces[:count]) % Q
        sum_nonces = [nonces[count], sum_nonce] if contest.counts_blanks else [sum_nonce]
        drawn, options = proof_steps(
            part.options[0],
            [[r] for r in nonces[:count]],
            contest.option_values().tolist(),
            challenge,
        )
        [drawn_sum], [sums] = proof_steps(
            part.sums, [sum_nonces], contest.sum_values().tolist(), challenge
        )
        product = part.ciphertexts[0, :count].prod().reshape((1,))
        chosen = values[:count]
        randomness[contest.id] = {
            "options": [forget(rows, marks) for rows, marks in zip(drawn, chosen, strict=True)],
            "sum": forget(drawn_sum, sum_branch(contest, values)),
        }
        contests.append(
            {
                "id": contest.id,
                "rules_text": contest.encode().decode("utf-8"),
                "ciphertexts": ciphertexts,
                "sum_ciphertext": pairs(product)[0] | {"nonce": scalar(sum_nonce)},
                "option_proofs": options,
                "sum_proof": sums,
                "packed": {
                    "ciphertexts": encode_base64url(part.ciphertexts.encode()),
                    "options": encode_base64url(part.options.encode()),
                    "sum": encode_base64url(part.sums.encode()),
                },
            }
        )
    tag = b"evote/1/ballot/CDS/evote-sigma_Shake128_ristretto255"
    absorbed = [
        {
            "label_text": label.decode(),
            "message": message.hex(),
            "absorbed": frame(b"append", label, message).hex(),
        }
        for label, message in messages
    ]
    squeeze = frame(b"squeeze", b"challenge", uint32(len(squeezed)))
    return {
        "source": "evote's own format, version 1; see docs/record-format.md",
        "made_by": "tests/vectors/make_ballot.py; computed again by tests/vectors/check_ballot.py",
        "notation": "hex unless the name ends in _text; scalars 32 bytes little-endian; elements "
        "as in RFC 9496; frame(parts) = each part after its length in 4 bytes, little-endian",
        "group": "ristretto255",
        "inputs": {
            "code_text": code,
            "base_id": BASE_ID.hex(),
            "election_id": ELECTION_ID.hex(),
            "key": key.element.encode().hex(),
            "style": STYLE.to_json(),
            "contests": [contest.to_json() for contest in CONTESTS],
            "selections": SELECTIONS,
            "blanks": BLANKS,
            "seed": SEED.hex(),
            "proof_randomness": randomness,
            "log": {
                "origin_text": ORIGIN,
                "signing_seed": LOG_SEED.hex(),
                "before_texts": [encode_entry(BEFORE).decode()],
                "after_texts": [encode_entry(AFTER).decode()],
            },
        },
        "credential": {
            "input_key": decode_code(code).hex(),
            "salt": BASE_ID.hex(),
            "info_text": "evote/1/credential",
            "signing_seed": _derive_seed(decode_code(code), BASE_ID).hex(),
            "credential": voter.credential.hex(),
        },
        "contests": contests,
        "challenge": {
            "tag_text": tag.decode(),
            "session_id": derive_session_id(tag).hex(),
            "messages": absorbed,
            "squeeze_absorbed": squeeze.hex(),
            "squeezed": squeezed.hex(),
            "challenge": scalar(challenge),
        },
        "body_text": body.decode("utf-8"),
        "digest_input": frame(b"evote/1/ballot", body).hex(),
        "digest": digest.hex(),
        "tracker_text": ballot_tracker(digest),
        **board_steps(voter, digest),
    }


def sum_branch(contest: Contest, values: list[int]) -> int:
    """The true branch of the sum proof."""
    marks, blank = values[: len(contest.options)], values[len(contest.options) :]
    row = [*blank, sum(marks)]
    branch: int = contest.sum_values().tolist().index(row)
    return branch


def forget(rows: list[dict[str, Any]], true_branch: int) -> list[dict[str, Any]]:
    """What is random: all u, and the challenges of the false branches."""
    return [{"u": row["u"]} if j == true_branch else row for j, row in enumerate(rows)]


def nonce_steps(
    contest: Contest, credential: bytes, values: list[int]
) -> tuple[list[dict[str, Any]], list[int]]:
    steps, nonces = [], []
    for position, value in enumerate(values):
        data = frame(
            b"evote/1/ballot-nonce",
            SEED,
            ELECTION_ID,
            credential,
            contest.id.encode(),
            uint32(position),
            uint32(value),
            b"encryption",
        )
        uniform = hashlib.shake_256(data).digest(ristretto255.uniform_size)
        nonces.append(int.from_bytes(uniform, "little") % Q)
        steps.append(
            {
                "position": position,
                "value": value,
                "nonce_input": data.hex(),
                "nonce_uniform": uniform.hex(),
                "nonce": scalar(nonces[-1]),
            }
        )
    return steps, nonces


def board_steps(voter: Any, digest: bytes) -> dict[str, Any]:
    """Signatures, the entry, and the receipt that a board of three entries gives."""
    signatures = {}
    for action in ACTIONS:
        parts = (ELECTION_ID, digest, action.encode())
        signatures[action] = {
            "message_input": frame(b"evote/1/ballot-signature", *parts).hex(),
            "message": ballot_message(ELECTION_ID, digest, action).hex(),
            "signature": voter.sign_ballot(ELECTION_ID, digest, action).hex(),
        }
    cast = BallotEntry(
        action="cast",
        credential=voter.credential,
        digest=digest,
        signature=bytes.fromhex(signatures["cast"]["signature"]),
    )
    log = [encode_entry(entry) for entry in (BEFORE, cast, AFTER)]
    tree = MerkleTree()
    tree.extend([leaf_hash(entry) for entry in log])
    signing = Ed25519PrivateKey.from_private_bytes(LOG_SEED)
    log_key = VerifierKey(name=ORIGIN, kind=LOG_KEY, public=signing.public_key().public_bytes_raw())
    head = Checkpoint(origin=ORIGIN, size=3, root=tree.root())
    note = sign_checkpoint(head, NoteSigner(key=log_key, sign=signing.sign))
    proof = TlogProof(index=1, hashes=tuple(tree.inclusion_proof(1)), checkpoint=note)
    receipt = Receipt(entry=log[1], proof=proof)
    verify_receipt(receipt, log_key)
    opening = Opening(
        ballot=digest,
        seed=SEED,
        contests=tuple(
            OpenedContest(
                id=contest.id,
                selections=tuple(SELECTIONS[contest.id]),
                blank=BLANKS.get(contest.id),
            )
            for contest in CONTESTS
        ),
    )
    return {
        "signatures": signatures,
        "entry_text": log[1].decode(),
        "opening_entry_text": encode_entry(opening).decode(),
        "receipt": {
            "log_key_text": log_key.text,
            "log_texts": [entry.decode() for entry in log],
            "index": 1,
            "leaf_hash": leaf_hash(log[1]).hex(),
            "inclusion_proof": [hash_.hex() for hash_ in proof.hashes],
            "root": tree.root().hex(),
            "checkpoint_text": note.decode("utf-8"),
            "proof_text": proof.encode().decode("utf-8"),
            "receipt_text": encode_receipt(receipt).decode("utf-8"),
        },
    }


if __name__ == "__main__":
    FILE.write_text(json.dumps(build(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
