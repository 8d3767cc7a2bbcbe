"""Make mixed_ballot.json: a ballot of two packs, from the marks to the body.

Run from the repository's root, with evote installed: python tests/vectors/make_mixed_ballot.py
The file says what evote computes. check_mixed_ballot.py beside it computes the same in plain Python
integers, from the `inputs` alone; the tests run both.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any
from unittest import mock

from evote import ballots as ballots_module
from evote._mixed_ballots import KnowledgeState, commit_knowledge
from evote.ballots import (
    BallotContext,
    BallotPack,
    ballot_digest,
    encode_ballots,
    encrypt_ballots,
    open_ballot,
    verify_ballots,
)
from evote.contests import Contest, Count, Option, Style
from evote.elgamal import key_from_exponent
from evote.encoding import encode_base64url
from evote.groups import Elements, Scalars, ristretto255
from evote.groups._messages import RISTRETTO_BLOCK, split_message

FILE = Path(__file__).with_name("mixed_ballot.json")

CONTESTS = (
    Contest(
        id="ward",
        title="Who speaks for the ward? Rank up to three",
        kind="ranking",
        options=tuple(Option(id=f"o{i}", title=f"Candidate {i}") for i in range(1, 6)),
        option_limit=3,
        minimum=0,
        maximum=3,
        count=Count(method="scottish-stv", seats=2),
    ),
    Contest(
        id="name",
        title="What shall the square be called?",
        kind="write-in",
        options=(Option(id="old", title="As before"),),
        option_limit=1,
        minimum=0,
        maximum=1,
        write_in=40,
        blank="counted",
    ),
    Contest(
        id="film",
        title="Points for the films",
        kind="score",
        options=(Option(id="a", title="A"), Option(id="b", title="B")),
        option_limit=5,
        minimum=0,
        maximum=10,
    ),
)
PACKS = (
    BallotPack(id="papers", contests=CONTESTS[:2]),
    BallotPack(id="films", contests=CONTESTS[2:]),
)
STYLE = Style(id="north", contests=("film", "ward", "name"))
SELECTIONS = {"ward": [0, 2, 0, 1, 0], "name": [0], "film": [5, 3]}
BLANKS = {"name": 0}
WRITE_INS = {"name": "Platz der Grünen Straße, № 1"}
ELECTION_ID = bytes(range(32, 64))
CREDENTIAL = bytes(range(128, 160))
SEED = bytes(range(64, 96))


class Source:
    """The same bytes in every run: for the randomness of the proofs, in this file only."""

    def __init__(self) -> None:
        self.taken = 0

    def __call__(self, length: int) -> bytes:
        self.taken += length
        return hashlib.shake_256(b"evote mixed ballot vector").digest(self.taken)[-length:]


def hexes(array: Elements | Scalars) -> list[str]:
    data = array.encode()
    return [data[i : i + 32].hex() for i in range(0, len(data), 32)]


def build() -> dict[str, Any]:
    """The content of mixed_ballot.json."""
    key = key_from_exponent(ristretto255.scalars(7)).public
    context = BallotContext(
        key=key, election_id=ELECTION_ID, contests=CONTESTS, styles=(STYLE,), packs=PACKS
    )
    rows = {name: [marks] for name, marks in SELECTIONS.items()}
    bits = {name: [bit] for name, bit in BLANKS.items()}
    texts = {name: [text] for name, text in WRITE_INS.items()}
    drawn: list[Scalars] = []

    def commit(*arguments: Any, **more: Any) -> tuple[Elements, KnowledgeState]:
        commitments, state = commit_knowledge(*arguments, **more)
        drawn.append(state.proof_nonces.publish())
        return commitments, state

    with mock.patch.object(ballots_module, "commit_knowledge", commit):
        ballots, _ = encrypt_ballots(
            context, STYLE.id, [CREDENTIAL], rows, bits, texts, seeds=[SEED], rng=Source()
        )
    verify_ballots(context, ballots)
    [body] = encode_ballots(context, ballots)
    open_ballot(context, body, SEED, SELECTIONS, BLANKS, WRITE_INS)
    packs = []
    for part in ballots.packs:
        names = [contest.id for contest in part.pack.contests]
        [message] = part.pack.packing.pack(
            {name: rows[name] for name in names},
            {name: bits[name] for name in names if name in bits},
            {name: texts[name] for name in names if name in texts},
        )
        width = part.pack.width(ristretto255)
        packs.append(
            {
                "id": part.pack.id,
                "rules_text": part.pack.encode().decode("utf-8"),
                "message": message.hex(),
                "blocks": [b.hex() for b in split_message(message, RISTRETTO_BLOCK, width)],
                "elements": hexes(ristretto255.encode_message([message], width)),
                "alphas": hexes(part.ciphertexts.alpha),
                "betas": hexes(part.ciphertexts.beta),
                "packed": {
                    "ciphertexts": encode_base64url(part.ciphertexts.encode()),
                    "proof": encode_base64url(part.encode_proofs()[0]),
                },
            }
        )
    return {
        "source": "evote's own format, version 1; see docs/record-format.md",
        "made_by": "tests/vectors/make_mixed_ballot.py; computed again by check_mixed_ballot.py",
        "notation": "hex unless the name ends in _text or it is packed, in base64url",
        "group": "ristretto255",
        "inputs": {
            "election_id": ELECTION_ID.hex(),
            "key": key.element.encode().hex(),
            "credential": CREDENTIAL.hex(),
            "style": STYLE.to_json(),
            "contests": [contest.to_json() for contest in CONTESTS],
            "packs": [{"id": p.id, "contests": [c.id for c in p.contests]} for p in PACKS],
            "selections": SELECTIONS,
            "blanks": BLANKS,
            "write_ins": WRITE_INS,
            "seed": SEED.hex(),
            "proof_nonces": {
                part.pack.id: hexes(t) for part, t in zip(ballots.packs, drawn, strict=True)
            },
        },
        "packs": packs,
        "body_text": body.decode("utf-8"),
        "digest": ballot_digest(body).hex(),
    }


if __name__ == "__main__":
    FILE.write_text(json.dumps(build(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
