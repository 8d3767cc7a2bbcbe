"""One ballot in plain integers, from the voter's code to the receipt: a client to read.

For whoever writes a voter's client in another language. Nothing of evote is used; plain.py beside
this file has the arithmetic. Sections follow docs/record-format.md and carry its headings.
`compute` takes the `inputs` of ballot.json and gives everything else in it, so that each step of
another client can be compared.

    python tests/vectors/check_ballot.py

Slow, and its time depends on its secrets: not for voting.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import sys
from pathlib import Path
from typing import Any

from plain import (
    NEUTRAL,
    UNIFORM,
    G,
    H,
    L,
    Point,
    Transcript,
    X,
    canonical_json,
    decode,
    ed25519,
    encode,
    frame,
    from_uniform,
    hash_input,
    in_base64,
    inclusion_proof,
    inverse,
    leaf_hash,
    merkle_root,
    multiply,
    packed,
    power,
    read_scalar,
    scalar,
    uint32,
    unpack,
)

# -- Roll: codes and voters' keys ----------------------------------------------------------------

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def code_bits(code: str) -> bytes:
    """The 125 bits of a voter's code as 16 bytes, if its check digit fits."""
    text = code.upper().replace("-", "").replace(" ", "")
    digits = [ALPHABET.index(c) for c in text.translate(str.maketrans("ILO", "110"))]
    check = 0
    for i, digit in enumerate(digits[:25], 1):
        for _ in range(i):  # digit x^i in GF(2)[x]/(x^5 + x^2 + 1)
            digit = digit << 1 ^ (0b100101 if digit & 16 else 0)
        check ^= digit
    if len(digits) != 26 or check != digits[25]:
        raise ValueError("a mistyped code")
    return sum(d << 5 * (24 - i) for i, d in enumerate(digits[:25])).to_bytes(16, "big")


def voter_seed(code: str, base_id: bytes) -> bytes:
    """HKDF-SHA256 (RFC 5869), one block of output."""
    extracted = hmac.digest(base_id, code_bits(code), "sha256")
    return hmac.digest(extracted, b"evote/1/credential\x01", "sha256")


def in_base32(number: int, digits: int) -> str:
    text = "".join(ALPHABET[number >> 5 * i & 31] for i in reversed(range(digits)))
    return "-".join(text[i : i + 5] for i in range(0, digits, 5))


# -- Ballots: ciphertexts and proofs -------------------------------------------------------------

Pair = tuple[Point, Point]


def encode_pair(pair: Pair) -> bytes:
    return encode(pair[0]) + encode(pair[1])


def show_pair(pair: Pair, names: str = "alpha beta") -> dict[str, str]:
    return dict(zip(names.split(), (encode(part).hex() for part in pair), strict=True))


def style_contests(inputs: Any) -> list[Any]:
    known = {contest["id"]: contest for contest in inputs["contests"]}
    return [known[name] for name in inputs["style"]["contests"]]


def option_values(contest: Any) -> list[list[int]]:
    return [[v] for v in range(contest["option_limit"] + 1)]


def sum_values(contest: Any) -> list[list[int]]:
    sums = range(contest["minimum"], contest["maximum"] + 1)
    if contest["blank"] == "counted":
        return [[1, 0], *([0, s] for s in sums)]
    return [[s] for s in sums]


class OneOf:
    """A proof that ciphertexts of a row encrypt one row of `values`; `drawn` is its randomness."""

    def __init__(
        self, y: Point, nonces: list[int], row: list[int], values: list[list[int]], drawn: Any
    ) -> None:
        self.nonces, self.values = nonces, values
        self.true = values.index(row)  # no true branch, no proof
        self.u = [[read_scalar(bytes.fromhex(u)) for u in branch["u"]] for branch in drawn]
        self.c = [read_scalar(bytes.fromhex(b.get("challenge", "00" * 32))) for b in drawn]
        if ["challenge" in b for b in drawn] != [j != self.true for j in range(len(values))]:
            raise ValueError("challenges are drawn for the false branches only")
        self.commitments: list[list[Pair]] = []
        for us, c, value in zip(self.u, self.c, values, strict=True):
            pairs = zip(us, value, row, strict=True)
            self.commitments.append(
                [(power(G, u), multiply(power(y, u), power(G, c * (v - t)))) for u, v, t in pairs]
            )

    def respond(self, challenge: int) -> None:
        self.c[self.true] = (challenge - sum(self.c)) % L
        self.s = [
            [(u + c * r) % L for u, r in zip(us, self.nonces, strict=True)]
            for us, c in zip(self.u, self.c, strict=True)
        ]

    def first_part(self) -> bytes:
        return b"".join(encode_pair(pair) for branch in self.commitments for pair in branch)

    def parts(self) -> tuple[bytes, bytes, bytes]:
        """Commitments, challenges but the last, responses: packed."""
        return (
            self.first_part(),
            b"".join(map(scalar, self.c[:-1])),
            b"".join(scalar(s) for branch in self.s for s in branch),
        )

    def show(self) -> list[Any]:
        return [
            {
                "values": value,
                "u": [scalar(x).hex() for x in u],
                "commitments": [show_pair(pair, "a b") for pair in pairs],
                "challenge": scalar(c).hex(),
                "responses": [scalar(x).hex() for x in s],
            }
            for value, u, pairs, c, s in zip(
                self.values, self.u, self.commitments, self.c, self.s, strict=True
            )
        ]


def verify_one_of(
    y: Point, row: list[Pair], values: list[list[int]], proof: bytes, challenge: int
) -> None:
    """What an auditor does with a packed proof: the equations of every branch."""
    w, n = len(row), len(values)
    pair_bytes, rest = proof[: 64 * n * w], proof[64 * n * w :]
    numbers = [read_scalar(rest[i : i + 32]) for i in range(0, len(rest), 32)]
    elements = [decode(pair_bytes[i : i + 32]) for i in range(0, len(pair_bytes), 32)]
    challenges, responses = numbers[: n - 1], numbers[n - 1 :]
    challenges.append((challenge - sum(challenges)) % L)
    if len(responses) != n * w:
        raise ValueError("a proof of another length")
    for j, c in enumerate(challenges):
        for l, (alpha, beta) in enumerate(row):  # noqa: E741  the page's letter
            a, b = elements[2 * (j * w + l) : 2 * (j * w + l) + 2]
            s, value = responses[j * w + l], inverse(power(G, values[j][l]))
            first = multiply(a, power(alpha, c))
            second = multiply(b, power(multiply(beta, value), c))
            if (encode(power(G, s)), encode(power(y, s))) != (encode(first), encode(second)):
                raise ValueError(f"branch {j} does not hold")


def encrypt_contest(
    contest: Any, inputs: Any, credential: bytes
) -> tuple[list[Any], list[Pair], list[int], list[int]]:
    """Steps as ballot.json shows them, ciphertexts, nonces and values, by position."""
    y = decode(bytes.fromhex(inputs["key"]))
    values = list(inputs["selections"][contest["id"]])
    if len(values) != len(contest["options"]):
        raise ValueError("a mark for each option")
    if contest["blank"] == "counted":
        values.append(inputs["blanks"][contest["id"]])
    steps, ciphertexts, nonces = [], [], []
    for position, value in enumerate(values):
        parts = (
            bytes.fromhex(inputs["seed"]),
            bytes.fromhex(inputs["election_id"]),
            credential,
            contest["id"].encode(),
            uint32(position),
            uint32(value),
            b"encryption",
        )
        uniform = X("ballot-nonce", *parts, length=UNIFORM)
        r = from_uniform(uniform)
        pair = power(G, r), multiply(power(G, value), power(y, r))
        ciphertexts.append(pair)
        nonces.append(r)
        steps.append(
            {
                "position": position,
                "value": value,
                "nonce_input": hash_input("ballot-nonce", *parts).hex(),
                "nonce_uniform": uniform.hex(),
                "nonce": scalar(r).hex(),
                **show_pair(pair),
            }
        )
    return steps, ciphertexts, nonces, values


def ballot_transcript(
    inputs: Any, credential: bytes, parts: list[tuple[Any, bytes, bytes, bytes]]
) -> Transcript:
    """All that the challenge depends on; parts are contest, ciphertexts and commitments."""
    transcript = Transcript("ballot", "CDS")
    transcript.append("election", bytes.fromhex(inputs["election_id"]))
    transcript.append("key", bytes.fromhex(inputs["key"]))
    transcript.append("credential", credential)
    transcript.append("style", inputs["style"]["id"].encode())
    for contest, ciphertexts, _, _ in parts:
        transcript.append("contest", contest["id"].encode())
        transcript.append("rules", canonical_json(contest))
        transcript.append("ciphertexts", ciphertexts)
    for _, _, options, sums in parts:
        transcript.append("option commitments", options)
        transcript.append("sum commitments", sums)
    return transcript


def make_ballot(inputs: Any, credential: bytes) -> dict[str, Any]:
    """Ciphertexts, proofs, challenge and body."""
    y = decode(bytes.fromhex(inputs["key"]))
    shown, made = [], []
    for contest in style_contests(inputs):
        steps, ciphertexts, nonces, values = encrypt_contest(contest, inputs, credential)
        count, drawn = len(contest["options"]), inputs["proof_randomness"][contest["id"]]
        total, total_nonce = (NEUTRAL, NEUTRAL), sum(nonces[:count]) % L
        for pair in ciphertexts[:count]:
            total = multiply(total[0], pair[0]), multiply(total[1], pair[1])
        options = [
            OneOf(y, [r], [v], option_values(contest), d)
            for r, v, d in zip(nonces[:count], values[:count], drawn["options"], strict=True)
        ]
        row, row_nonces = [*values[count:], sum(values[:count])], [*nonces[count:], total_nonce]
        sums = OneOf(y, row_nonces, row, sum_values(contest), drawn["sum"])
        made.append((contest, b"".join(map(encode_pair, ciphertexts)), options, sums))
        shown.append(
            {
                "id": contest["id"],
                "rules_text": canonical_json(contest).decode(),
                "ciphertexts": steps,
                "sum_ciphertext": show_pair(total) | {"nonce": scalar(total_nonce).hex()},
            }
        )
    parts = []
    for contest, data, options, sums in made:
        firsts = b"".join(proof.first_part() for proof in options), sums.first_part()
        parts.append((contest, data, *firsts))
    transcript = ballot_transcript(inputs, credential, parts)
    squeezed = transcript.squeeze("challenge", UNIFORM)
    challenge = from_uniform(squeezed)
    for contest, (_, data, options, sums) in zip(shown, made, strict=True):
        for proof in (*options, sums):
            proof.respond(challenge)
        columns = zip(*(proof.parts() for proof in options), strict=True)
        contest["option_proofs"] = [proof.show() for proof in options]
        contest["sum_proof"] = sums.show()
        contest["packed"] = {
            "ciphertexts": packed(data),
            "options": packed(b"".join(b"".join(column) for column in columns)),
            "sum": packed(b"".join(sums.parts())),
        }
    body = {
        "format": "evote/ballot",
        "version": 1,
        "election": inputs["election_id"],
        "style": inputs["style"]["id"],
        "credential": credential.hex(),
        "contests": [{"id": contest["id"], **contest["packed"]} for contest in shown],
    }
    return {
        "contests": shown,
        "challenge": {
            "tag_text": transcript.tag,
            "session_id": transcript.session_id.hex(),
            "messages": transcript.messages,
            "squeeze_absorbed": frame(b"squeeze", b"challenge", uint32(UNIFORM)).hex(),
            "squeezed": squeezed.hex(),
            "challenge": scalar(challenge).hex(),
        },
        "body_text": canonical_json(body).decode(),
    }


# -- Board: entry, log, receipt ------------------------------------------------------------------


def make_receipt(entry: bytes, log: Any) -> dict[str, Any]:
    """What the board returns for an entry between others: C2SP checkpoint and tlog-proof."""
    origin, seed = log["origin_text"], bytes.fromhex(log["signing_seed"])
    entries = [text.encode() for text in log["before_texts"]]
    index = len(entries)
    entries += [entry, *(text.encode() for text in log["after_texts"])]
    leaves = [leaf_hash(data) for data in entries]
    root, proof = merkle_root(leaves), inclusion_proof(index, leaves)
    note = f"{origin}\n{len(entries)}\n{in_base64(root)}\n"
    public, signature = ed25519(seed, note.encode())
    key_id = hashlib.sha256(f"{origin}\n\x01".encode() + public).digest()[:4]
    checkpoint = f"{note}\n— {origin} {in_base64(key_id + signature)}\n"
    lines = ["c2sp.org/tlog-proof@v1", f"index {index}", *map(in_base64, proof), "", checkpoint]
    receipt = {
        "format": "evote/receipt",
        "version": 1,
        "entry": packed(entry),
        "proof": "\n".join(lines),
    }
    return {
        "log_key_text": f"{origin}+{key_id.hex()}+{in_base64(bytes([1]) + public)}",
        "log_texts": [data.decode() for data in entries],
        "index": index,
        "leaf_hash": leaves[index].hex(),
        "inclusion_proof": [hash_.hex() for hash_ in proof],
        "root": root.hex(),
        "checkpoint_text": checkpoint,
        "proof_text": receipt["proof"],
        "receipt_text": canonical_json(receipt).decode(),
    }


# -- Everything ----------------------------------------------------------------------------------


def compute(inputs: Any) -> dict[str, Any]:
    """All of ballot.json that follows from its inputs."""
    base_id, election_id = (bytes.fromhex(inputs[name]) for name in ("base_id", "election_id"))
    seed = voter_seed(inputs["code_text"], base_id)
    credential, _ = ed25519(seed)
    ballot = make_ballot(inputs, credential)
    body = ballot["body_text"].encode()
    digest = H("ballot", body)
    signatures = {}
    for action in ("cast", "spoil"):
        message = H("ballot-signature", election_id, digest, action.encode())
        data = hash_input("ballot-signature", election_id, digest, action.encode())
        signatures[action] = {
            "message_input": data.hex(),
            "message": message.hex(),
            "signature": ed25519(seed, message)[1].hex(),
        }
    entry = {
        "type": "ballot",
        "action": "cast",
        "credential": credential.hex(),
        "digest": digest.hex(),
        "signature": packed(bytes.fromhex(signatures["cast"]["signature"])),
    }
    opened = [
        {"id": name, "selections": inputs["selections"][name]}
        | ({"blank": inputs["blanks"][name]} if name in inputs["blanks"] else {})
        for name in inputs["style"]["contests"]
    ]
    opening = {
        "type": "opening",
        "ballot": digest.hex(),
        "seed": inputs["seed"],
        "contests": opened,
    }
    return {
        "credential": {
            "input_key": code_bits(inputs["code_text"]).hex(),
            "salt": base_id.hex(),
            "info_text": "evote/1/credential",
            "signing_seed": seed.hex(),
            "credential": credential.hex(),
        },
        **ballot,
        "digest_input": hash_input("ballot", body).hex(),
        "digest": digest.hex(),
        "tracker_text": in_base32(int.from_bytes(digest, "big") >> 156, 20),
        "signatures": signatures,
        "entry_text": canonical_json(entry).decode(),
        "opening_entry_text": canonical_json(opening).decode(),
        "receipt": make_receipt(canonical_json(entry), inputs["log"]),
    }


def verify(inputs: Any, body: str) -> Transcript:
    """As an auditor: the body's proofs hold under the challenge that the body gives."""
    ballot = json.loads(body)
    if canonical_json(ballot).decode() != body:
        raise ValueError("not canonical")
    head = {"format": "evote/ballot", "version": 1, "election": inputs["election_id"]}
    head |= {"style": inputs["style"]["id"]}
    if {**ballot, **head} != ballot or set(ballot) != {*head, "credential", "contests"}:
        raise ValueError("another format, election or style")
    y, contests = decode(bytes.fromhex(inputs["key"])), style_contests(inputs)
    parts, proofs = [], []
    for contest, part in zip(contests, ballot["contests"], strict=True):
        if part["id"] != contest["id"] or len(part) != 4:
            raise ValueError("another contest")
        data, options, sums = (unpack(part[name]) for name in ("ciphertexts", "options", "sum"))
        count, branches = len(contest["options"]), contest["option_limit"] + 1
        rows, width = len(sum_values(contest)), len(sum_values(contest)[0])
        sizes = [count * 64 * branches, count * 32 * (branches - 1), count * 32 * branches]
        expected = 64 * (count + width - 1), sum(sizes), rows * (96 * width + 32) - 32
        if (len(data), len(options), len(sums)) != expected:
            raise ValueError("not the bytes of this contest")
        columns = [options[: sizes[0]], options[sizes[0] : -sizes[2]], options[-sizes[2] :]]
        cut = [
            b"".join(c[i * len(c) // count : (i + 1) * len(c) // count] for c in columns)
            for i in range(count)
        ]
        proofs.append((contest, data, cut, sums))
        parts.append((contest, data, columns[0], sums[: 64 * rows * width]))
    transcript = ballot_transcript(inputs, bytes.fromhex(ballot["credential"]), parts)
    challenge = from_uniform(transcript.squeeze("challenge", UNIFORM))
    for contest, data, cut, sums in proofs:
        pairs = [
            (decode(data[i : i + 32]), decode(data[i + 32 : i + 64]))
            for i in range(0, len(data), 64)
        ]
        total = NEUTRAL, NEUTRAL
        for pair, proof in zip(pairs, cut, strict=False):  # the blank's has no option
            verify_one_of(y, [pair], option_values(contest), proof, challenge)
            total = multiply(total[0], pair[0]), multiply(total[1], pair[1])
        row = [*pairs[len(cut) :], total]
        verify_one_of(y, row, sum_values(contest), sums, challenge)
    return transcript


def main() -> int:
    document = json.loads(Path(__file__).with_name("ballot.json").read_bytes())
    made = compute(document["inputs"])
    verify(document["inputs"], made["body_text"])
    wrong = [name for name in made if made[name] != document[name]]
    print(f"differs: {', '.join(wrong)}" if wrong else "every value of ballot.json follows")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
