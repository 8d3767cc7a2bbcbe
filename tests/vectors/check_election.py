"""A whole small record in plain integers: what trustees and auditors compute, to read.

For whoever writes a trustee's tool or a verifier in another language. Nothing of evote is used;
plain.py has the arithmetic, check_ballot.py the ballots. Sections follow docs/record-format.md
and carry its headings. `compute` takes the `inputs` of election.json, reads the record they name,
checks its proofs and signatures, and gives everything else in the file.

    python tests/vectors/check_election.py

It checks what is computed on the way, not everything a verifier must: no limits, no listing.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import check_ballot
from plain import (
    NEUTRAL,
    PARAMETERS,
    G,
    H,
    L,
    Point,
    Transcript,
    X,
    canonical_json,
    decode,
    ed25519,
    ed25519_holds,
    encode,
    frame,
    from_base64,
    in_base64,
    inverse,
    leaf_hash,
    merkle_root,
    multiply,
    power,
    scalar,
    uint32,
    unpack,
)

ROOT = Path(__file__).parents[2]


class Record:
    """The files of a record, read as bytes and as JSON."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.manifest = self.json("manifest.json")
        self.trustees = range(1, len(self.manifest["trustees"]) + 1)

    def raw(self, name: str) -> bytes:
        return (self.path / name).read_bytes()

    def json(self, name: str) -> Any:
        data = self.raw(name)
        value = json.loads(data)
        if canonical_json(value) != data:
            raise ValueError(f"{name}: not canonical")
        return value

    def lines(self, name: str) -> list[bytes]:
        return self.raw(name).splitlines()

    def entries(self) -> list[bytes]:
        [file] = (self.path / "board/tile/entries/000.p").iterdir()
        data, entries = file.read_bytes(), []
        while data:
            size = int.from_bytes(data[:2], "big")
            entries.append(data[2 : 2 + size])
            data = data[2 + size :]
        if len(entries) != int(file.name):
            raise ValueError("a bundle of another length")
        return entries


def must(holds: bool, what: str) -> None:
    if not holds:
        raise ValueError(f"{what} does not hold")


def signed(card: Any, signature: str, purpose: str, *parts: bytes) -> bytes:
    """The message of an operator's signature, which must hold."""
    message = H("signature", purpose.encode(), *parts)
    public = bytes.fromhex(card["signing_key"])
    must(ed25519_holds(public, message, unpack(signature)), f"{purpose} signature")
    return message


def steps(transcript: Transcript) -> dict[str, Any]:
    told = [{k: m[k] for k in ("label_text", "message")} for m in transcript.messages]
    return {"messages": told, "squeezed": transcript.squeezed}


def product(points: list[Point]) -> Point:
    result = NEUTRAL
    for point in points:
        result = multiply(result, point)
    return result


def split(data: bytes) -> list[bytes]:
    return [data[i : i + 32] for i in range(0, len(data), 32)]


def schnorr(transcript: Transcript, publics: list[bytes], proof: bytes) -> None:
    """g^s = a public^c for each."""
    transcript.append("proof", b"Schnorr")
    transcript.array("base", (), encode(G))
    count = len(publics)
    commitments, challenges, responses = transcript.linear(publics, [(count,)], proof, 1)
    for public, [a], c, s in zip(publics, commitments, challenges, responses, strict=True):
        must(encode(power(G, s)) == encode(multiply(a, power(decode(public), c))), "Schnorr proof")


# -- Ceremony ------------------------------------------------------------------------------------


def chacha20_poly1305_open(key: bytes, data: bytes, sealed: bytes) -> bytes:
    """RFC 8439 with a nonce of zeros."""
    stream = b"".join(chacha20_block(key, i) for i in range(len(sealed) // 64 + 2))
    text, tag = sealed[:-16], sealed[-16:]
    padded = data + bytes(-len(data) % 16) + text + bytes(-len(text) % 16)
    padded += len(data).to_bytes(8, "little") + len(text).to_bytes(8, "little")
    r = int.from_bytes(stream[:16], "little") & 0x0FFFFFFC0FFFFFFC0FFFFFFC0FFFFFFF
    total = 0
    for i in range(0, len(padded), 16):
        block = int.from_bytes(padded[i : i + 16], "little") + 2**128
        total = (total + block) * r % (2**130 - 5)
    total += int.from_bytes(stream[16:32], "little")
    must(tag == (total % 2**128).to_bytes(16, "little"), "tag of a sealed share")
    return bytes(a ^ b for a, b in zip(text, stream[64:], strict=False))


def chacha20_block(key: bytes, counter: int) -> bytes:
    words = [0x61707865, 0x3320646E, 0x79622D32, 0x6B206574]
    words += [int.from_bytes(key[i : i + 4], "little") for i in range(0, 32, 4)]
    words += [counter, 0, 0, 0]
    x = list(words)
    columns = [(i, i + 4, i + 8, i + 12) for i in range(4)]
    diagonals = [(i, (i + 1) % 4 + 4, (i + 2) % 4 + 8, (i + 3) % 4 + 12) for i in range(4)]
    for _ in range(10):
        for a, b, c, d in columns + diagonals:
            for p, q, r, turn in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
                x[p] = (x[p] + x[q]) % 2**32
                x[r] ^= x[p]
                x[r] = (x[r] << turn | x[r] >> 32 - turn) % 2**32
    return b"".join(uint32((a + b) % 2**32) for a, b in zip(x, words, strict=True))


def unsigned(file: Any) -> bytes:
    return canonical_json({key: value for key, value in file.items() if key != "signature"})


def ceremony(record: Record, base_id: bytes, secrets: list[bytes]) -> tuple[Any, Any, list[bytes]]:
    """What election.json shows, the ceremony digest, and joint and verification keys."""
    cards = record.manifest["trustees"]
    commits = [record.raw(f"ceremony/commit-{i:03}.json") for i in record.trustees]
    reveals = [record.raw(f"ceremony/reveal-{i:03}.json") for i in record.trustees]
    commits_digest, digest = H("ceremony-commits", *commits), H("ceremony", *commits, *reveals)
    coefficients, shown = [], []
    for i, card in enumerate(cards, 1):
        key_proof = Transcript("ceremony-key")
        key_proof.append("id", card["id"].encode())
        key_proof.append("signing key", bytes.fromhex(card["signing_key"]))
        schnorr(key_proof, [unpack(card["ceremony_key"])], unpack(card["ceremony_proof"]))
        commit = record.json(f"ceremony/commit-{i:03}.json")
        reveal = record.json(f"ceremony/reveal-{i:03}.json")
        for kind, file in (("commit", commit), ("reveal", reveal)):
            must((file["base"], file["index"]) == (base_id.hex(), i), f"place of {kind}")
            signed(card, file["signature"], f"ceremony-{kind}", unsigned(file))
        data = unpack(reveal["coefficients"])
        must(len(data) == 32 * record.manifest["quorum"], "number of coefficients")
        commitment = H("ceremony-commit", base_id, uint32(i), data)
        must(commit["commitment"] == commitment.hex(), "commitment")
        must(reveal["commits"] == commits_digest.hex(), "digest of the commits")
        proof = Transcript("ceremony-reveal")
        proof.append("base", base_id)
        proof.append("trustee", uint32(i))
        schnorr(proof, split(data), unpack(reveal["proofs"]))
        coefficients.append([decode(item) for item in split(data)])
        message = H("signature", b"ceremony-commit", unsigned(commit))
        shown.append(
            {
                "key_proof": steps(key_proof),
                "commitment": commitment.hex(),
                "commit_message": message.hex(),
                "coefficients_proof": steps(proof),
            }
        )
    sums = [product(list(column)) for column in zip(*coefficients, strict=True)]
    keys = [_evaluate(sums, j) for j in record.trustees]
    received = []
    for j, secret in zip(record.trustees, secrets, strict=True):
        received.append(_receive(record, base_id, j, secret, coefficients))
        x = int.from_bytes(bytes.fromhex(received[-1]["key_share"]), "little")
        must(encode(power(G, x)) == encode(keys[j - 1]), "verification key")
        confirm = record.json(f"ceremony/confirm-{j:03}.json")
        signed(cards[j - 1], confirm["signature"], "ceremony-confirm", unsigned(confirm))
        must(confirm["ceremony"] == digest.hex(), "confirmed ceremony")
        must(unpack(confirm["key"]) == encode(sums[0]), "confirmed key")
    values = {
        "trustees": shown,
        "commits_digest": commits_digest.hex(),
        "received": received,
        "verification_keys": [encode(key).hex() for key in keys],
    }
    return values, digest, [encode(sums[0]), *map(encode, keys)]


def _evaluate(commitments: list[Point], j: int) -> Point:
    """prod_m A_m^(j^m) = g^f(j)."""
    return product([power(a, j**m) for m, a in enumerate(commitments)])


def _receive(
    record: Record, base_id: bytes, j: int, secret: bytes, coefficients: list[list[Point]]
) -> Any:
    """Trustee j opens its share of every dealer i."""
    shares, total = [], 0
    for i, commitments in zip(record.trustees, coefficients, strict=True):
        entry = record.json(f"ceremony/reveal-{i:03}.json")["shares"][j - 1]
        ephemeral = unpack(entry["ephemeral"])
        key = encode(power(decode(ephemeral), int.from_bytes(secret, "little")))
        place = base_id, uint32(i), uint32(j)
        sealing_key = X("ceremony-share", *place, ephemeral, key, length=32)
        share = chacha20_poly1305_open(sealing_key, frame(*place), unpack(entry["sealed"]))
        number = int.from_bytes(share, "little")
        must(encode(power(G, number)) == encode(_evaluate(commitments, j)), "share")
        total += number
        shares.append({"key": key.hex(), "sealing_key": sealing_key.hex(), "share": share.hex()})
    return {"shares": shares, "key_share": scalar(total).hex()}


# -- Roll, Entries, Counted set, Seal ------------------------------------------------------------


def roll(record: Record, base_id: bytes, codes: list[str]) -> tuple[Any, bytes]:
    header, rows = record.json("roll/roll.json"), record.lines("roll/rows/000.jsonl")
    root = merkle_root([leaf_hash(row) for row in rows])
    must(header["root"] == root.hex() and header["count"] == len(rows), "roll")
    [registrar], [signature] = record.manifest["registrars"], header["signatures"]
    parts = base_id, uint32(len(rows)), root
    message = signed(registrar, signature["signature"], "roll", *parts)
    credentials = [ed25519(check_ballot.voter_seed(code, base_id))[0].hex() for code in codes]
    on_roll = [json.loads(row)["credential"] for row in rows]
    must(on_roll == sorted(credentials), "credentials of the codes")
    return {"credentials": credentials, "message": message.hex()}, root


def log(record: Record, election_id: bytes, manifest_digest: bytes) -> Any:
    entries = record.entries()
    leaves = [leaf_hash(data) for data in entries]
    values = [json.loads(data) for data in entries]
    root = merkle_root(leaves)
    note = record.raw("board/checkpoint").decode()
    must(note.split("\n")[1:3] == [str(len(entries)), in_base64(root)], "checkpoint")
    text, _, line = note.partition("\n\n")
    signature = from_base64(line.split(" ")[2])[4:]
    key = bytes.fromhex(record.manifest["board"]["card"]["signing_key"])
    must(ed25519_holds(key, f"{text}\n".encode(), signature), "signature of the board")
    [authority] = record.manifest["authorities"]["cards"]
    parts = election_id, manifest_digest
    opened = signed(authority, values[0]["signatures"][0]["signature"], "open", *parts)
    last: dict[str, int] = {}
    for i, value in enumerate(values):
        if value["type"] == "ballot":
            action = value["action"].encode()
            message = H("ballot-signature", election_id, bytes.fromhex(value["digest"]), action)
            public = bytes.fromhex(value["credential"])
            must(ed25519_holds(public, message, unpack(value["signature"])), "voter's signature")
            if value["action"] == "cast":
                last[value["credential"]] = i
    counted = sorted(last.values())
    digest = H("counted", b"".join(uint32(i) + bytes.fromhex(values[i]["digest"]) for i in counted))
    [place] = [i for i, value in enumerate(values) if value["type"] == "seal"]
    seal, before = values[place], merkle_root(leaves[:place])
    counts = [uint32(seal[name]) for name in ("cast", "spoiled", "counted", "superseded")]
    must(seal["digest"] == digest.hex() and seal["counted"] == len(counted), "counted set")
    parts = election_id, uint32(place), before, *counts, digest
    sealed = signed(authority, seal["signatures"][0]["signature"], "seal", *parts)
    return {
        "size": len(entries),
        "root": root.hex(),
        "open_message": opened.hex(),
        "counted": counted,
        "counted_digest": digest.hex(),
        "root_before_seal": before.hex(),
        "seal_message": sealed.hex(),
    }


# -- Ballots, Openings ---------------------------------------------------------------------------


def ballots(record: Record, election_id: bytes, key: bytes) -> list[Any]:
    """Every ballot's proofs, the opening of the spoiled one, and what election.json shows."""
    manifest, shown = record.manifest, []
    styles = {style["id"]: style for style in manifest["styles"]}
    entries = [json.loads(data) for data in record.entries()]
    named = [entry["digest"] for entry in entries if entry["type"] == "ballot"]
    [opening] = [entry for entry in entries if entry["type"] == "opening"]
    for body, name in zip(record.lines("ballots/000.jsonl"), named, strict=True):
        digest, ballot = H("ballot", body), json.loads(body)
        must(digest.hex() == name, "digest on the board")
        inputs = {
            "key": key.hex(),
            "election_id": election_id.hex(),
            "style": styles[ballot["style"]],
            "contests": manifest["contests"],
        }
        transcript = check_ballot.verify(inputs, body.decode())
        if opening["ballot"] == name:
            _open(inputs | {"seed": opening["seed"]}, opening, ballot)
        tracker = check_ballot.in_base32(int.from_bytes(digest, "big") >> 156, 20)
        squeezed = transcript.squeezed[0]
        shown.append({"digest": digest.hex(), "tracker_text": tracker, "squeezed": squeezed})
    return shown


def _open(inputs: Any, opening: Any, ballot: Any) -> None:
    """Encrypting what an opening says gives the ciphertexts of the ballot."""
    said = {contest["id"]: contest for contest in opening["contests"]}
    inputs["selections"] = {name: contest["selections"] for name, contest in said.items()}
    inputs["blanks"] = {name: c["blank"] for name, c in said.items() if "blank" in c}
    credential = bytes.fromhex(ballot["credential"])
    contests = check_ballot.style_contests(inputs)
    for contest, part in zip(contests, ballot["contests"], strict=True):
        _, pairs, _, _ = check_ballot.encrypt_contest(contest, inputs, credential)
        data = b"".join(map(check_ballot.encode_pair, pairs))
        must(data == unpack(part["ciphertexts"]), "opening")


# -- Tally, Shares, Result -----------------------------------------------------------------------


def sums(record: Record, counted: list[int]) -> list[tuple[bytes, bytes]]:
    """prod ciphertext^weight over the counted ballots, contest by contest; equal to tally.json."""
    weights = {
        row["credential"]: row["weight"]
        for row in map(json.loads, record.lines("roll/rows/000.jsonl"))
    }
    entries = [json.loads(data) for data in record.entries()]
    places = [i for i, entry in enumerate(entries) if entry["type"] == "ballot"]
    bodies = dict(zip(places, map(json.loads, record.lines("ballots/000.jsonl")), strict=True))
    totals: list[tuple[bytes, bytes]] = []
    for contest, row in zip(
        record.manifest["contests"], record.json("tally.json")["contests"], strict=True
    ):
        columns: list[list[Point]] = []
        for i in counted:
            for part in bodies[i]["contests"]:
                if part["id"] == contest["id"]:
                    weight = weights[bodies[i]["credential"]]
                    data = split(unpack(part["ciphertexts"]))
                    columns.append([power(decode(item), weight) for item in data])
        made = [encode(product(list(column))) for column in zip(*columns, strict=True)]
        must(b"".join(made) == unpack(row["ciphertexts"]), "sums of the tally")
        totals += zip(made[::2], made[1::2], strict=True)
    return totals


def tally(record: Record, election_id: bytes, keys: list[bytes], counted: list[int]) -> Any:
    digest, pairs = H("file", record.raw("tally.json")), sums(record, counted)
    alphas = [decode(alpha) for alpha, _ in pairs]
    result = record.json("result.json")
    proofs, shares = [], {}
    for i in result["trustees"]:
        share = record.json(f"shares/{i:03}.json")
        data, [proof] = unpack(share["shares"]), map(unpack, share["proofs"])
        transcript = Transcript("decryption-share")
        transcript.append("context", frame(election_id, digest))
        transcript.append("trustee", uint32(i))
        transcript.append("chunk", uint32(0))
        transcript.append("count", uint32(len(pairs)))
        transcript.array("public", (), keys[i])
        transcript.array("alphas", (len(pairs),), b"".join(alpha for alpha, _ in pairs))
        transcript.array("shares", (len(pairs),), data)
        drawn = transcript.squeeze("weights", 16 * len(pairs))
        weights = [int.from_bytes(drawn[k : k + 16], "little") for k in range(0, len(drawn), 16)]
        shares[i] = [decode(item) for item in split(data)]
        base = product([power(a, w) for a, w in zip(alphas, weights, strict=True)])
        image = product([power(s, w) for s, w in zip(shares[i], weights, strict=True)])
        transcript.append("proof", b"decryption shares")
        [[a0, a1]], [c], [s] = transcript.linear([b""], [], proof, 2)
        first = multiply(a0, power(decode(keys[i]), c))
        must(encode(power(G, s)) == encode(first), "decryption share")
        must(encode(power(base, s)) == encode(multiply(a1, power(image, c))), "decryption share")
        proofs.append({"trustee": i, **steps(transcript)})
    opened = []
    for k, (_, beta) in enumerate(pairs):
        blinding = product([power(shares[j][k], _lagrange(j, list(shares))) for j in shares])
        opened.append(multiply(decode(beta), inverse(blinding)))
    totals = [
        [*row["votes"], *([row["blank"]] if "blank" in row else [])] for row in result["contests"]
    ]
    flat = [total for row in totals for total in row]
    for total, point in zip(flat, opened, strict=True):
        must(encode(power(G, total)) == encode(point), "total")
    return {
        "tally_digest": digest.hex(),
        "sums": [{"alpha": alpha.hex(), "beta": beta.hex()} for alpha, beta in pairs],
        "share_proofs": proofs,
        "opened": [encode(point).hex() for point in opened],
        "totals": totals,
    }


def _lagrange(j: int, trustees: list[int]) -> int:
    result = 1
    for i in trustees:
        if i != j:
            result = result * i * pow(i - j, -1, L) % L
    return result


# -- Everything ----------------------------------------------------------------------------------


def compute(inputs: Any) -> dict[str, Any]:
    """All of election.json that follows from its inputs and the record they name."""
    record = Record(ROOT / inputs["record_text"])
    manifest = record.manifest
    manifest_digest = H("manifest", record.raw("manifest.json"))
    sizes = uint32(len(manifest["trustees"])), uint32(manifest["quorum"])
    base_id = H("base", manifest_digest, PARAMETERS, *sizes)
    secrets = [bytes.fromhex(secret) for secret in inputs["ceremony_secrets"]]
    ceremony_values, ceremony_digest, keys = ceremony(record, base_id, secrets)
    roll_values, root = roll(record, base_id, inputs["codes_text"])
    election_id = H("election", base_id, ceremony_digest, keys[0], root)
    log_values = log(record, election_id, manifest_digest)
    return {
        "identifiers": {
            "parameters": PARAMETERS.hex(),
            "manifest_digest": manifest_digest.hex(),
            "base_id": base_id.hex(),
            "ceremony_digest": ceremony_digest.hex(),
            "joint_key": keys[0].hex(),
            "roll_root": root.hex(),
            "election_id": election_id.hex(),
        },
        "ceremony": ceremony_values,
        "roll": roll_values,
        "log": log_values,
        "ballots": ballots(record, election_id, keys[0]),
        "tally": tally(record, election_id, keys, log_values["counted"]),
    }


def main() -> int:
    document = json.loads(Path(__file__).with_name("election.json").read_bytes())
    made = compute(document["inputs"])
    wrong = [name for name in made if made[name] != document[name]]
    print(f"differs: {', '.join(wrong)}" if wrong else "every value of election.json follows")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
