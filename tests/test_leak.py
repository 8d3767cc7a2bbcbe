"""The leak of 2016, replayed: all that the servers of an election hold is in everybody's hands.

Then it was the names, addresses and passwords of every voter, in clear. Here a whole election is
run by the command line: registrar, authority and trustees in places of their own, the voters'
devices in theirs; what the servers hold (the record, the board's directory, and every word that
the commands on the server say) is searched for each identity, code, key, seed, passphrase and
vote, in the encodings that such things have, and inside of the strings of JSON.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import json
import logging
import re
import shutil
import urllib.parse
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from evote import cli, workflow
from evote.board import BallotEntry
from evote.ceremony import ceremony_parameters
from evote.credentials import (
    _derive_seed,
    ballot_message,
    decode_code,
    verify_ballot_signatures,
)
from evote.groups import ristretto255
from evote.operators import ROLES, SCRYPT_COST_FLOOR, create_operator, load_card, load_operator
from evote.record import Record
from evote.verify import audit
from tests.records import Plan, draft

PEOPLE = {
    "Annabel Blackwood": "3 Mill Lane, ann.blackwood@example.org",
    "Иван Петрович": "ул. Лесная 14, паспорт 4510 123456",
    "Josefína Núñez": "Calle Mayor 7, +34 600 123 456",
    "Everett Marshall": "88 Harbour Road, eve@example.org",
}
OPERATORS = ("trustee-1", "trustee-2", "registrar-1", "authority-1", "board")


@dataclass
class Server:
    """What is found on the servers, what nobody must find there, and what all may."""

    record: Path
    board: Path
    blobs: dict[str, bytes] = field(default_factory=dict)
    secrets: dict[str, bytes] = field(default_factory=dict)
    published: dict[str, bytes] = field(default_factory=dict)


class Machine:
    """Runs commands; what those on the server print and log is kept as their logs would be."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self._patch = patch
        self._said = io.StringIO()

    def run(self, passphrase: str, *arguments: str | Path, log: bool = False) -> None:
        self._patch.setenv("EVOTE_PASSPHRASE", passphrase)
        said = io.StringIO()
        handler = logging.StreamHandler(said)
        logging.getLogger().addHandler(handler)
        with redirect_stdout(said), redirect_stderr(said), pytest.raises(SystemExit) as leaving:
            cli.main([str(argument) for argument in arguments])
        logging.getLogger().removeHandler(handler)
        assert leaving.value.code == 0, said.getvalue()
        if log:
            self._said.write(said.getvalue())

    @property
    def log(self) -> bytes:
        return self._said.getvalue().encode()


@pytest.fixture(scope="module", name="server")
def make_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with pytest.MonkeyPatch.context() as patch:
        yield run_election(tmp_path_factory.mktemp("leak"), Machine(patch), patch)


def run_election(directory: Path, machine: Machine, patch: pytest.MonkeyPatch) -> Server:
    """Four voters: one spoils a ballot and casts one, one votes twice, one stays at home."""
    server = Server(record=directory / "server" / "record", board=directory / "server" / "board")
    record, offline = server.record, directory / "offline"
    offline.mkdir()
    words = {name: f"passphrase of {name}" for name in OPERATORS}
    places = {name: offline / name for name in OPERATORS} | {"board": server.board}
    words["authority-1"] = words["board"]  # one passphrase opens both where they act together
    for name, place in places.items():
        group = ristretto255 if name.startswith("trustee") else None
        role = next(role for role in ROLES if name.startswith(role))
        key = create_operator(place, role, name, words[name], group=group, cost=SCRYPT_COST_FLOOR)
        server.secrets[f"signing seed of {name}"] = key.signing.reveal()
        server.secrets[f"passphrase of {name}"] = words[name].encode()
        if key.ceremony is not None:
            server.secrets[f"ceremony key of {name}"] = key.ceremony._secret_bytes()
    cards = {name: load_card(place) for name, place in places.items()}
    plan = Plan(trustees=2, voters=(workflow.RollLine(style="all", count=4),))
    workflow.new_election(record, draft(plan), cards=cards)
    trustees = [name for name in OPERATORS if name.startswith("trustee")]
    for step in ("commit", "reveal", "check"):
        for name in trustees:
            machine.run(words[name], "trustee", step, record, places[name])
    drawn = issue(server, offline, places["registrar-1"], words["registrar-1"], machine)
    authority = ("--authority", places["authority-1"], "--board", server.board)
    machine.run(words["board"], "election", "open", record, *authority, log=True)
    for i, (voter, action, choice) in enumerate(
        [(0, "spoil", "yes"), (0, "cast", "yes"), (1, "cast", "no"), (1, "cast", "yes")]
    ):
        patch.setenv("EVOTE_CODE", drawn[voter])
        device = offline / f"device-{i}"
        machine.run("", "ballot", "encrypt", record, device, "--choose", f"bridge:{choice}")
        made = workflow.load_ballot(device)
        kept = server.published if action == "spoil" else server.secrets
        kept[f"seed of ballot {i}"] = made.seed
        send = ("ballot", action, record, device, "--board", server.board)
        machine.run(words["board"], *send, log=True)
        left = b"".join(path.read_bytes() for path in device.iterdir())
        assert made.credential.hex().encode() in left
        assert made.seed.hex().encode() not in left, "attacks: C14"
    machine.run(words["board"], "election", "seal", record, *authority, log=True)
    machine.run(words["board"], "tally", record, "--board", server.board, log=True)
    for name in trustees:
        machine.run(words[name], "trustee", "decrypt", record, places[name])
    machine.run(words["board"], "result", record, "--board", server.board, log=True)
    machine.run("", "verify", record, log=True)
    server.blobs["log"] = machine.log
    for path in (directory / "server").rglob("*"):
        name = path.relative_to(directory).as_posix()
        server.blobs[f"name of {name}"] = name.encode()
        if path.is_file():
            server.blobs[name] = path.read_bytes()
    return server


def issue(
    server: Server, offline: Path, registrar: Path, passphrase: str, machine: Machine
) -> list[str]:
    """The codes, after everything personal about them is noted as a secret."""
    voters, codes = offline / "voters.csv", offline / "codes.csv"
    identities = [f"{name}; {address}" for name, address in PEOPLE.items()]
    with voters.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("style", "identity"), *[("all", i) for i in identities]])
    step = ("registrar", "issue", server.record, registrar, voters, "-o", codes, "--jobs", "1")
    machine.run(passphrase, *step)
    with codes.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["identity"] for row in rows] == identities
    base = ceremony_parameters(Record(server.record)).base_id
    for (name, address), row in zip(PEOPLE.items(), rows, strict=True):
        for i, part in enumerate((row["identity"], name, *name.split(), *address.split(", "))):
            server.secrets[f"identity of {name}, {i}"] = part.encode()
        code = row["code"]
        server.secrets[f"code of {name}"] = code.encode()
        server.secrets[f"bare code of {name}"] = code.replace("-", "").encode()
        server.secrets[f"bits of the code of {name}"] = decode_code(code)
        server.secrets[f"key of {name}"] = _derive_seed(decode_code(code), base)
    return [row["code"] for row in rows]


# -- the search ----------------------------------------------------------------------------------


def forms(value: bytes) -> dict[str, bytes]:
    """A value as it is, and in the encodings in which such values turn up."""
    found = {"raw": value, "reversed": value[::-1]}
    for name, hashed in HASHES.items():  # attacks: C13: hashes of what can be enumerated
        found[name] = hashed(value).digest()
    for name, data in list(found.items()):
        found[f"{name} hex"] = data.hex().encode()
        found[f"{name} HEX"] = data.hex().upper().encode()
        found[f"{name} base32"] = base64.b32encode(data).rstrip(b"=")
        found[f"{name} decimal"] = str(int.from_bytes(data, "big")).encode()
        for shift in range(3):  # wherever the value begins in what was encoded
            first, end = -(-8 * shift // 6), 8 * (shift + len(data)) // 6  # it alone decides these
            coded = base64.b64encode(bytes(shift) + data)[first:end]
            found[f"{name} base64 +{shift}"] = coded
            found[f"{name} base64url +{shift}"] = coded.translate(bytes.maketrans(b"+/", b"-_"))
    try:
        text = value.decode()
    except UnicodeDecodeError:
        return found
    for name, words in (("lower", text.lower()), ("upper", text.upper())):
        found[name] = words.encode()
    found["JSON"] = json.dumps(text)[1:-1].encode()
    found["percent"] = urllib.parse.quote(text, safe="").encode()
    found |= {coding: text.encode(coding) for coding in ("utf-16-le", "utf-16-be")}
    return found


HASHES = {"md5": hashlib.md5, "sha1": hashlib.sha1, "sha256": hashlib.sha256}


def layers(blobs: dict[str, bytes]) -> dict[str, bytes]:
    """The blobs, and the bytes that base64url and hex in them stand for."""
    found = dict(blobs)
    for name, data in blobs.items():
        for i, match in enumerate(re.finditer(rb"[A-Za-z0-9_+/-]{20,}", data)):
            text = match[0].translate(bytes.maketrans(b"+/", b"-_"))
            found[f"{name}, string {i}"] = base64.urlsafe_b64decode(text[: len(text) // 4 * 4])
            if re.fullmatch(rb"(?:[0-9a-f]{2})+", text):
                found[f"{name}, hex {i}"] = bytes.fromhex(text.decode())
    return found


def search(blobs: dict[str, bytes], value: bytes) -> list[str]:
    """Where a value is, and in which form. Patterns of fewer than six bytes occur by chance."""
    return [
        f"{form} in {name}"
        for form, pattern in forms(value).items()
        for name, data in blobs.items()
        if len(pattern) >= 6 and pattern in data
    ]


def test_nothing_of_value_was_on_the_servers(server: Server) -> None:
    """attacks: C13, C14, E9. No name, address, passphrase, code, key or seed."""
    assert len(server.blobs) > 30
    assert len(server.secrets) > 40
    everything = {"all": b"\0".join(layers(server.blobs).values())}
    found = {name: search(everything, value) for name, value in server.secrets.items()}
    assert {name: places for name, places in found.items() if places} == {}


def test_the_search_finds_what_is_there(server: Server) -> None:
    """The honest twin: seeds of spoiled ballots are published, and every form is found."""
    blobs = layers(server.blobs)
    for value in server.published.values():
        assert search(blobs, value)
    credential = next(Record(server.record).roll_rows())
    assert search(blobs, bytes.fromhex(json.loads(credential)["credential"]))
    assert all(len(value) >= 6 for value in server.secrets.values())
    for name, value in server.secrets.items():
        for form, pattern in forms(value).items() if "Иван" in name else ():
            planted = layers({"file": b'{"x":"' + pattern + b'"}'})
            assert search(planted, value), f"{name} as {form}"


def test_no_ballot_that_counts_can_be_read(server: Server) -> None:
    """Marks stand beside a credential in the openings of spoiled ballots, and nowhere else."""
    record = Record(server.record)
    entries = [json.loads(data) for _, data, _ in record.entries()]
    [opening] = [entry for entry in entries if "contests" in entry]
    assert opening["type"] == "opening"
    [spoiled] = [entry for entry in entries if entry.get("action") == "spoil"]
    assert opening["ballot"] == spoiled["digest"]
    for _, _, body in record.ballots():
        ballot = json.loads(body)
        assert set(ballot) == BODY
        for contest in ballot["contests"]:
            assert set(contest) == {"id", "ciphertexts", "options", "sum"}
    said = server.blobs["log"].decode()
    assert said.count("  bridge: ") == 1, "of the spoiled ballot"


BODY = {"format", "version", "election", "style", "credential", "contests"}


def test_what_leaked_does_not_cast_a_vote(server: Server, tmp_path: Path) -> None:
    """attacks: C8. Whoever has the server, its passphrase too, signs for nobody."""
    record = tmp_path / "record"
    shutil.copytree(server.record, record)
    assert audit(record).ok
    voters = [json.loads(row)["credential"] for row in Record(record).roll_rows()]
    entries = [entry for _, _, entry in Record(record).entries()]
    voted = {entry.credential.hex() for entry in entries if isinstance(entry, BallotEntry)}
    assert len(voted) == 2
    [first, *_] = [entry for entry in entries if isinstance(entry, BallotEntry)]
    [silent, *_] = [voter for voter in voters if voter not in voted]
    key = load_operator(server.board, "passphrase of board")
    thief = Ed25519PrivateKey.from_private_bytes(key.signing.reveal())
    message = ballot_message(next(iter(entries)).election, bytes(32), "cast")  # type: ignore[union-attr]
    stolen = [thief.sign(message), first.signature]
    holds = verify_ballot_signatures(
        *(next(iter(entries)).election, [bytes.fromhex(silent)] * 2, [bytes(32)] * 2),  # type: ignore[union-attr]
        ["cast", "cast"],
        stolen,
    )
    assert not holds.any()
