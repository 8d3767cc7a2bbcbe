"""Verificatum's vectors, and sessions of our own for the tests of its reader and writer."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evote.elgamal import Ciphertexts
from evote.groups import Elements, Scalars, Secrecy
from evote.interop import verificatum
from evote.interop.verificatum import Protocol
from evote.mixnet import ShuffleWitness

_SHARED = Path(__file__).resolve().parents[2] / "shared" / "vectors"
ROOT = Path(os.environ.get("EVOTE_VECTORS") or _SHARED) / "verificatum"


def listed(name: str, key: str | None = None) -> list[dict[str, Any]]:
    """The entries of one of the vectors' lists; none where there are no vectors."""
    path = ROOT / name
    if not path.exists():
        return []
    found = json.loads(path.read_bytes())
    entries: list[dict[str, Any]] = found if key is None else found[key]
    return entries


MANIFEST = listed("manifest.json")
CASES = listed("tampering.json", "cases")


def named(entry: Mapping[str, Any]) -> str:
    return f"{entry['name']}-{entry['auxsid']}"


def entry_of(vector: str, auxsid: str) -> dict[str, Any]:
    [entry] = [e for e in MANIFEST if (e["name"], e["auxsid"]) == (vector, auxsid)]
    return entry


def copy_writable(source: Path, target: Path) -> Path:
    """A copy whose files can be changed, whatever the modes of the original."""
    for path in [source, *source.rglob("*")]:
        place = target / path.relative_to(source)
        if path.is_dir():
            place.mkdir(parents=True)
        else:
            shutil.copyfile(path, place)
    return target


def tamper(root: Path, session: Path, operations: Sequence[Mapping[str, Any]]) -> None:
    """What tampering.json says, in order."""
    for operation in operations:
        path = session / operation.get("file", "")
        match operation["op"]:
            case "xor":
                data = bytearray(path.read_bytes())
                data[operation["offset"]] ^= operation["mask"]
                path.write_bytes(data)
            case "splice":
                data = bytearray(path.read_bytes())
                new, start = bytes.fromhex(operation["hex"]), operation["offset"]
                data[start : start + len(new)] = new
                path.write_bytes(data)
            case "delete":
                path.unlink()
            case "copy":
                path.write_bytes((session / operation["source"]).read_bytes())
            case "copyv":
                path.write_bytes((ROOT / operation["source"]).read_bytes())
            case "text":
                path.write_text(operation["value"], encoding="utf-8")
            case "append":
                path.write_bytes(path.read_bytes() + bytes.fromhex(operation["hex"]))
            case "swapfiles":
                other = session / operation["source"]
                mine, theirs = path.read_bytes(), other.read_bytes()
                path.write_bytes(theirs)
                other.write_bytes(mine)
            case "protinfo":
                edit_protinfo(root / "protInfo.xml", operation["tag"], operation["value"])
            case unknown:
                raise AssertionError(unknown)


def edit_protinfo(path: Path, tag: str, value: str) -> None:
    text = path.read_text(encoding="utf-8")
    changed = re.sub(rf"(<{tag}>)[^<]*", lambda found: found[1] + value, text, count=1)
    assert changed != text
    path.write_text(changed, encoding="utf-8")


# -- sessions of our own ---------------------------------------------------------------------------


class Election:
    """A shared key, and ciphertexts of random messages under it."""

    def __init__(self, protocol: Protocol, count: int, width: int) -> None:
        self.protocol = protocol
        group, kappa = protocol.codec.group, protocol.key_width
        self.polynomial = group.random_scalars((protocol.threshold, kappa))
        self.shares = [
            sum_of_powers(self.polynomial, party) for party in range(1, protocol.parties + 1)
        ]
        self.coefficients = (group.generator**self.polynomial).reshape((-1, kappa))
        row = self.coefficients[0]
        self.key = row if kappa > 1 else row.reshape(())
        self.wide_key = row.take(np.arange(kappa * width) % kappa)
        self.messages = group.generator ** group.random_scalars(
            (count, kappa * width), secrecy=Secrecy.PUBLIC
        )
        nonces = group.random_scalars((count, kappa * width), secrecy=Secrecy.ONE_TIME)
        self.inputs = Ciphertexts(
            alpha=group.generator**nonces, beta=self.messages * self.wide_key**nonces
        )

    def shuffle(
        self, inputs: Ciphertexts, permutation: NDArray[np.intp] | None = None
    ) -> tuple[Ciphertexts, ShuffleWitness]:
        group = self.protocol.codec.group
        if permutation is None:
            permutation = np.argsort(np.frombuffer(os.urandom(8 * len(inputs)), dtype=np.uint64))
        s = group.random_scalars(inputs.shape, secrecy=Secrecy.ONE_TIME)
        moved = inputs.take(permutation)
        outputs = Ciphertexts(
            alpha=moved.alpha * group.generator**s, beta=moved.beta * self.wide_key**s
        )
        return outputs, ShuffleWitness(permutation=permutation, nonces=s)

    def shuffles(
        self, auxsid: str, parties: Sequence[int], precomputed: int | None = None
    ) -> tuple[dict[str, bytes], Ciphertexts]:
        """The files of these parties' shuffles, one after the other, and the last list."""
        files: dict[str, bytes] = {}
        current = self.inputs
        for party in parties:
            prepared = permutation = None
            if precomputed is not None:
                whole = np.argsort(np.frombuffer(os.urandom(8 * precomputed), dtype=np.uint64))
                prepared = verificatum.precompute(self.protocol, auxsid, party, whole)
                _, permutation = prepared.shrink(len(current))
            outputs, witness = self.shuffle(current, permutation)
            files |= verificatum.shuffle_files(
                self.protocol,
                auxsid,
                party,
                self.key,
                current,
                outputs,
                witness,
                precomputation=prepared,
            )
            current = outputs
        return files, current

    def decryption(
        self, auxsid: str, inputs: Ciphertexts, present: Sequence[int]
    ) -> dict[str, bytes]:
        """The files of a decryption by these parties; the others take no part."""
        protocol = self.protocol
        identity = protocol.codec.group.identity(inputs.shape)
        factors: list[Elements] = []
        for party, share in enumerate(self.shares, 1):
            here = party in present
            factors.append(
                verificatum.decryption_factors(protocol, inputs, share) if here else identity
            )
        decryption = verificatum.DecryptionRound(
            protocol, auxsid, self.key, inputs, self.coefficients, factors
        )
        moves: list[bytes] = []
        nonces: list[Scalars | None] = []
        for party, share in enumerate(self.shares, 1):
            if party in present:
                nonce, move = decryption.commit(share)
                nonces.append(nonce)
                moves.append(move)
            else:
                nonces.append(None)
                moves.append(decryption.absent_move())
        challenge = decryption.challenge(moves)
        responses = [
            None if nonce is None else decryption.respond(challenge, nonce, share)
            for nonce, share in zip(nonces, self.shares, strict=True)
        ]
        return decryption.files(moves, responses, present)


def sum_of_powers(polynomial: Scalars, party: int) -> Scalars:
    """The value of a polynomial, the coefficients along axis 0, at a party's index."""
    group = polynomial.group
    powers = group.scalars([[party**i] for i in range(len(polynomial))])
    return (polynomial * powers).sum(0)


def write_election(
    directory: Path,
    protinfo: bytes,
    kind: str,
    *,
    auxsid: str = "default",
    count: int = 4,
    width: int = 1,
    mixers: Sequence[int] | None = None,
    precomputed: int | None = None,
    present: Sequence[int] | None = None,
) -> Election:
    """A session of a kind, written into a directory."""
    protocol = verificatum.decode_protinfo(protinfo)
    election = Election(protocol, count, width)
    parties = range(1, protocol.threshold + 1)
    mixers = parties if mixers is None else mixers
    files: dict[str, bytes] = {}
    current = election.inputs
    if kind != "decryption":
        files, current = election.shuffles(auxsid, mixers, precomputed)
    if kind != "shuffling":
        files |= election.decryption(auxsid, current, parties if present is None else present)
    files |= verificatum.session_files(
        protocol,
        auxsid,
        kind,
        election.key,
        election.inputs,
        mixers=0 if kind == "decryption" else max(mixers),
    )
    verificatum.write_session(directory, protinfo, auxsid, files)
    return election
