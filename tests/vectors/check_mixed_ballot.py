"""A ballot whose contests are mixed, in plain integers: packing, encryption, proof of knowledge.

For whoever writes a voter's client in another language. Nothing of evote is used; plain.py beside
this file has the arithmetic. What it computes is in docs/record-format.md under Mixing and Ballots
(Packs). `compute` takes the `inputs` of mixed_ballot.json and gives everything else in it; `verify`
checks a body as an auditor does, and `read` says what is in a decrypted message.

    python tests/vectors/check_mixed_ballot.py

Slow, and its time depends on its secrets: not for voting.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from plain import (
    UNIFORM,
    G,
    H,
    Point,
    Transcript,
    X,
    canonical_json,
    decode,
    encode,
    from_uniform,
    multiply,
    packed,
    power,
    read_scalar,
    scalar,
    uint32,
    unpack,
)

BLOCK = 30  # bytes in an element of ristretto255
CANDIDATES = 192

# -- Mixing: the message -------------------------------------------------------------------------


def fields(contest: Any) -> list[int]:
    """How many bits each field of a contest has."""
    options = len(contest["options"])
    if contest["kind"] == "ranking":
        bits = [options.bit_length()] * contest["maximum"]
    else:
        bits = [contest["option_limit"].bit_length()] * options
    if "write_in" in contest:
        bits += [contest["write_in"].bit_length()] + [8] * contest["write_in"]
    return bits + [1] * (contest["blank"] == "counted")


def values(contest: Any, inputs: Any) -> list[int]:
    """What goes into the fields."""
    marks = inputs["selections"][contest["id"]]
    found = list(marks)
    if contest["kind"] == "ranking":
        order = sorted((rank, number) for number, rank in enumerate(marks, 1) if rank)
        if [rank for rank, _ in order] != [*range(1, len(order) + 1)]:
            raise ValueError("ranks are 1, 2 and so on, once each")
        found = [number for _, number in order] + [0] * (contest["maximum"] - len(order))
    if "write_in" in contest:
        text = inputs["write_ins"].get(contest["id"], "").encode()
        found += [len(text), *text.ljust(contest["write_in"], b"\0")]
    if contest["blank"] == "counted":
        found.append(inputs["blanks"].get(contest["id"], 0))
    return found


def pack_contests(pack: Any, inputs: Any) -> list[Any]:
    known = {contest["id"]: contest for contest in inputs["contests"]}
    return [known[name] for name in pack["contests"]]


def message_size(contests: list[Any]) -> int:
    return 1 + -(-sum(sum(fields(contest)) for contest in contests) // 8)


def pack_message(contests: list[Any], inputs: Any) -> bytes:
    bits = ""
    for contest in contests:
        for width, value in zip(fields(contest), values(contest, inputs), strict=True):
            if value >= 1 << width:
                raise ValueError("a value that its field does not hold")
            bits += f"{value:0{width}b}"
    size = message_size(contests) - 1
    return b"\x01" + int(bits.ljust(8 * size, "0"), 2).to_bytes(size, "big")


def header(total: int) -> int:
    return 1 if total <= 256 else 2


def width_of(size: int) -> int:
    """The fewest elements that hold a message of so many bytes."""
    w = 1
    while size + header(BLOCK * w) > BLOCK * w:
        w += 1
    return w


def blocks_of(message: bytes) -> list[bytes]:
    total = BLOCK * width_of(len(message))
    data = len(message).to_bytes(header(total), "little") + message
    data = data.ljust(total, b"\0")
    return [data[i : i + BLOCK] for i in range(0, total, BLOCK)]


def embed(block: bytes) -> Point:
    """The first element whose encoding is block 2^9 + 2 counter."""
    for counter in range(1, CANDIDATES + 1):
        s = int.from_bytes(block, "little") << 9 | counter << 1
        try:
            return decode(s.to_bytes(32, "little"))
        except ValueError:
            continue
    raise ValueError("no element for this block")


def read(contests: list[Any], elements: list[Point]) -> bytes:
    """The message in decrypted elements, if there is one of this pack."""
    data = b"".join(
        (int.from_bytes(encode(point), "little") >> 9).to_bytes(31, "little")[:BLOCK]
        for point in elements
    )
    message = data[header(len(data)) :][: message_size(contests)]
    if [encode(embed(block)) for block in blocks_of(message)] != [*map(encode, elements)]:
        raise ValueError("no message of this pack")
    return message


# -- Ballots: packs ------------------------------------------------------------------------------


def style_packs(inputs: Any) -> list[Any]:
    wanted = set(inputs["style"]["contests"])
    found = [pack for pack in inputs["packs"] if wanted.intersection(pack["contests"])]
    if wanted != {name for pack in found for name in pack["contests"]}:
        raise ValueError("a style has all contests of a pack or none; here all are in packs")
    return found


def rules(pack: Any, inputs: Any) -> bytes:
    return canonical_json({"id": pack["id"], "contests": pack_contests(pack, inputs)})


def ballot_transcript(
    inputs: Any, credential: bytes, parts: list[tuple[Any, bytes, bytes]]
) -> Transcript:
    """All that the challenge depends on; parts are pack, ciphertexts and commitments."""
    transcript = Transcript("ballot", "CDS")
    transcript.append("election", bytes.fromhex(inputs["election_id"]))
    transcript.append("key", bytes.fromhex(inputs["key"]))
    transcript.append("credential", credential)
    transcript.append("style", inputs["style"]["id"].encode())
    for pack, ciphertexts, _ in parts:
        transcript.append("pack", pack["id"].encode())
        transcript.append("rules", rules(pack, inputs))
        transcript.append("ciphertexts", ciphertexts)
    for _, _, commitments in parts:
        transcript.append("pack commitments", commitments)
    return transcript


def nonces(pack: Any, inputs: Any, message: bytes, width: int) -> list[int]:
    place = (
        bytes.fromhex(inputs["seed"]),
        bytes.fromhex(inputs["election_id"]),
        bytes.fromhex(inputs["credential"]),
        pack["id"].encode(),
    )
    return [
        from_uniform(X("ballot-nonce", *place, uint32(position), message, b"mixed", length=UNIFORM))
        for position in range(width)
    ]


def compute(inputs: Any) -> dict[str, Any]:
    """All of mixed_ballot.json that follows from its inputs."""
    y, shown, parts, secrets = decode(bytes.fromhex(inputs["key"])), [], [], []
    for pack in style_packs(inputs):
        contests = pack_contests(pack, inputs)
        message = pack_message(contests, inputs)
        blocks = blocks_of(message)
        elements = [embed(block) for block in blocks]
        r = nonces(pack, inputs, message, len(blocks))
        alphas = [power(G, nonce) for nonce in r]
        betas = [multiply(m, power(y, nonce)) for m, nonce in zip(elements, r, strict=True)]
        pairs = zip(alphas, betas, strict=True)
        data = b"".join(encode(a) + encode(b) for a, b in pairs)
        t = [read_scalar(bytes.fromhex(nonce)) for nonce in inputs["proof_nonces"][pack["id"]]]
        commitments = b"".join(encode(power(G, nonce)) for nonce in t)
        parts.append((pack, data, commitments))
        secrets.append(list(zip(t, r, strict=True)))
        shown.append(
            {
                "id": pack["id"],
                "rules_text": rules(pack, inputs).decode(),
                "message": message.hex(),
                "blocks": [block.hex() for block in blocks],
                "elements": [encode(point).hex() for point in elements],
                "alphas": [encode(point).hex() for point in alphas],
                "betas": [encode(point).hex() for point in betas],
            }
        )
    transcript = ballot_transcript(inputs, bytes.fromhex(inputs["credential"]), parts)
    c = from_uniform(transcript.squeeze("challenge", UNIFORM))
    for step, (_, data, commitments), rows in zip(shown, parts, secrets, strict=True):
        responses = b"".join(scalar(t + c * r) for t, r in rows)
        step["packed"] = {"ciphertexts": packed(data), "proof": packed(commitments + responses)}
    body = canonical_json(
        {
            "format": "evote/ballot",
            "version": 1,
            "election": inputs["election_id"],
            "style": inputs["style"]["id"],
            "credential": inputs["credential"],
            "contests": [],
            "packs": [{"id": step["id"], **step["packed"]} for step in shown],
        }
    )
    return {"packs": shown, "body_text": body.decode(), "digest": H("ballot", body).hex()}


def verify(inputs: Any, body: str) -> None:
    """As an auditor: whoever made this body knew its messages, and made it for this place."""
    ballot = json.loads(body)
    if canonical_json(ballot).decode() != body:
        raise ValueError("not canonical")
    head = {"format": "evote/ballot", "version": 1, "election": inputs["election_id"]}
    head |= {"style": inputs["style"]["id"], "contests": []}
    if {**ballot, **head} != ballot or set(ballot) != {*head, "credential", "packs"}:
        raise ValueError("another format, election or style")
    parts, proofs = [], []
    for pack, part in zip(style_packs(inputs), ballot["packs"], strict=True):
        if part["id"] != pack["id"] or set(part) != {"id", "ciphertexts", "proof"}:
            raise ValueError("another pack")
        data, proof = unpack(part["ciphertexts"]), unpack(part["proof"])
        w = width_of(message_size(pack_contests(pack, inputs)))
        if len(data) != 64 * w or len(proof) != 64 * w:
            raise ValueError("not the bytes of this pack")
        parts.append((pack, data, proof[: 32 * w]))
        proofs.append((data, proof, w))
    transcript = ballot_transcript(inputs, bytes.fromhex(ballot["credential"]), parts)
    c = from_uniform(transcript.squeeze("challenge", UNIFORM))
    for data, proof, w in proofs:
        points = [decode(data[i : i + 32]) for i in range(0, len(data), 32)]
        commitments = [decode(proof[32 * i : 32 * i + 32]) for i in range(w)]
        responses = [read_scalar(proof[32 * i : 32 * i + 32]) for i in range(w, 2 * w)]
        for alpha, a, s in zip(points[::2], commitments, responses, strict=True):
            if encode(power(G, s)) != encode(multiply(a, power(alpha, c))):
                raise ValueError("the proof of knowledge does not hold")


def main() -> int:
    document = json.loads(Path(__file__).with_name("mixed_ballot.json").read_bytes())
    inputs, made = document["inputs"], compute(document["inputs"])
    verify(inputs, made["body_text"])
    for pack, step in zip(style_packs(inputs), made["packs"], strict=True):
        elements = [decode(bytes.fromhex(point)) for point in step["elements"]]
        if read(pack_contests(pack, inputs), elements).hex() != step["message"]:
            raise ValueError("another message")
    wrong = [name for name in made if made[name] != document[name]]
    print(f"differs: {', '.join(wrong)}" if wrong else "every value of mixed_ballot.json follows")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
