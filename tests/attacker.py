"""Whoever owns the server: changes a record and recomputes everything that depends on the change.

The attacker has the keys of the board, the authorities and the registrar, and may bribe trustees,
mix servers and voters for theirs. `Attacker.files` writes the whole record anew: each digest,
count, sum and signature that follows from the rest and that the attacker's keys can make. So what
an audit finds is never the recomputed seal of a file, but the claim that only others could have
made.

A record is kept as named JSON documents: files by their names, and

    row 0, row 1, ...       the lines of the roll, in the order of `rows`
    entry 0, entry 1, ...   the entries of the board, in the order of `log`
    body 1, body 2, ...     the body of the ballot in the entry of that number

Names stay when lines move. A place that the attacker has set stays as it was set: `pinned`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from evote._audit_log import ruling_parts, seal_parts
from evote._ceremony_messages import commits_digest
from evote._ceremony_steps import coefficients_digest
from evote.ballots import BallotContext, Ballots, ballot_digest, decode_ballots
from evote.board import (
    BOARD,
    ENTRIES,
    Checkpoint,
    CompactRange,
    Confirm,
    Extend,
    NoteSigner,
    PhaseEntry,
    Seal,
    Strike,
    TileEdge,
    bodies_path,
    bundle_path,
    decode_bundle,
    decode_entry,
    encode_bundle,
    leaf_hash,
    merkle_root,
    sign_checkpoint,
)
from evote.credentials import decode_roll, derive_voter_key, read_roll
from evote.election import Manifest, base_id, decode_manifest, election_id, manifest_digest
from evote.elgamal import PublicKey
from evote.encoding import (
    JSON,
    canonical_json,
    decode_base64url,
    digest,
    encode_base64url,
    encode_hex,
    uint32,
)
from evote.errors import EvoteError
from evote.groups import Elements, stack
from evote.mixing import Cascade, MixInputs, list_digest, mix_path
from evote.operators import OperatorKey, load_operator
from evote.policies import Fate, Fates, counted_set
from evote.record import CHECKPOINT, MANIFEST, RESULT, ROLL, TALLY, rows_path, share_path
from evote.tally import Summation, Tally, decode_tally, file_digest
from evote.testing import tamper
from evote.testing.tamper import JSONPath
from evote.threshold import CeremonyParameters, ceremony_digest, ceremony_file_name
from evote.verify import Report, audit
from evote.workflow import load_parameters
from tests.records import PASSPHRASE, Made

Doc = dict[str, Any]


@dataclass(kw_only=True)
class Attacker:
    """A record in the attacker's hands."""

    docs: dict[str, Any]
    rows: list[str]
    log: list[str]
    keys: dict[str, OperatorKey]
    codes: list[str]  # of bribed voters
    base: bytes  # as it was when the voters got their codes
    checkpoint: bytes  # likewise the head of the log
    pinned: set[tuple[str, JSONPath]] = field(default_factory=set)
    raw: dict[str, bytes] = field(default_factory=dict)  # in the place of a document's own bytes

    @classmethod
    def of(cls, made: Made) -> Attacker:
        """Take over a finished record of at most 256 entries."""
        files = tamper.read_files(made.path)
        docs: dict[str, Any] = {n: json.loads(d) for n, d in files.items() if n.endswith(".json")}
        for i, line in enumerate(files[rows_path(0)].splitlines()):
            docs[f"row {i}"] = json.loads(line)
        [(name, bundle)] = [(n, d) for n, d in files.items() if n.startswith(ENTRIES)]
        bodies = iter(files[bodies_path(0)].splitlines())
        count = int(name.rpartition("/")[2])
        for i, data in enumerate(decode_bundle(bundle, count)):
            docs[f"entry {i}"] = entry = json.loads(data)
            if entry["type"] == "ballot":
                docs[f"body {i}"] = json.loads(next(bodies))
        owned = ("board", "authority", "registrar")
        manifest = decode_manifest(files[MANIFEST])
        attacker = cls(
            docs=docs,
            rows=[name for name in docs if name.startswith("row")],
            log=[name for name in docs if name.startswith("entry")],
            keys={
                name: load_operator(path, PASSPHRASE)
                for name, path in made.operators.items()
                if name.startswith(owned)
            },
            codes=[],
            base=_base(manifest, files[MANIFEST]),
            checkpoint=files[CHECKPOINT],
        )
        assert attacker.files() == files, "recomputing an honest record changes nothing"
        return attacker

    def change(self, name: str, path: JSONPath, document: JSON) -> None:
        """Replace a document by one that differs at `path`, and keep that as it is."""
        self.docs[name] = document
        self.pinned.add((name, path))

    def copy(self) -> Attacker:
        """To be changed; this one stays as it is."""
        copied = {name: deepcopy(getattr(self, name)) for name in ("docs", "pinned")}
        return Attacker(
            **copied,
            rows=list(self.rows),
            log=list(self.log),
            keys=dict(self.keys),
            codes=list(self.codes),
            base=self.base,
            checkpoint=self.checkpoint,
        )

    def set(self, name: str, path: JSONPath, value: JSON) -> None:
        """Put a value where the attacker wants it, for good."""
        document = self.docs[name]
        for key in path[:-1]:
            document = document[key]
        document[path[-1]] = value
        self.pinned.add((name, path))

    def put(self, name: str, value: JSON, *path: str | int) -> None:
        """Recompute a value, unless the attacker has set it or something around it."""
        if any((name, path[:i]) in self.pinned for i in range(len(path) + 1)):
            return
        document = self.docs[name]
        for key in path[:-1]:
            document = document[key]
        document[path[-1]] = value

    def entries(self, kind: str) -> list[str]:
        """The entries of a type, in the order of the log."""
        return [name for name in self.log if self.docs[name].get("type") == kind]

    def data(self, name: str) -> bytes:
        """A document as it stands, in bytes."""
        return self.raw.get(name) or canonical_json(self.docs[name])

    # -- recomputing -------------------------------------------------------------------------------

    def files(self) -> dict[str, bytes]:
        """The files of the record, with whatever depends on the attacker's changes recomputed."""
        with _as_far_as_it_goes():
            manifest = decode_manifest(self.data(MANIFEST))
            base = _base(manifest, self.data(MANIFEST))
            self._ceremony(manifest, base)
            self._roll(base)
            key = self._joint_key(manifest)
            ceremony = ceremony_digest(self._ceremony_files(), len(manifest.trustees))
            root = merkle_root(self.data(row) for row in self.rows)
            context = BallotContext(
                key=key,
                election_id=election_id(base, ceremony, key, root),
                contests=manifest.contests,
                styles=manifest.styles,
                packs=manifest.ballot_packs,
            )
            self._ballots(context.election_id)
            self._open(context.election_id)
            self._rulings(context.election_id)
            self._seal(manifest, context.election_id)
            with _as_far_as_it_goes():
                self._mixes(manifest, context)
            with _as_far_as_it_goes():
                self._sums(manifest, context)
            self._result(manifest)
        self._digests()
        files = self.alone()
        with _as_far_as_it_goes():
            entries = [self.data(name) for name in self.log]
            files[CHECKPOINT] = self._checkpoint(len(entries), merkle_root(entries))
        return files

    def alone(self) -> dict[str, bytes]:
        """The files with the attacker's changes, and nothing recomputed."""
        files = {n: self.data(n) for n in self.docs if n.endswith(".json")}
        files[rows_path(0)] = b"".join(self.data(row) + b"\n" for row in self.rows)
        entries = [self.data(name) for name in self.log]
        files[bundle_path(0, len(entries))] = encode_bundle(entries)
        tiles = TileEdge().extend([leaf_hash(entry) for entry in entries])
        files |= {BOARD + path: data for path, data in tiles}
        bodies = [name.replace("entry", "body") for name in self.log]
        files[bodies_path(0)] = b"".join(
            self.data(name) + b"\n" for name in bodies if name in self.docs
        )
        files[CHECKPOINT] = self.checkpoint
        return files

    def _checkpoint(self, size: int, root: bytes) -> bytes:
        log_key = decode_manifest(self.data(MANIFEST)).log_key
        signer = NoteSigner(key=log_key, sign=self.keys["board"].sign_note)
        return sign_checkpoint(Checkpoint(origin=log_key.name, size=size, root=root), signer)

    def _ceremony_files(self) -> dict[str, bytes]:
        names = [name for name in self.docs if name.startswith("ceremony/")]
        return {name.removeprefix("ceremony/"): self.data(name) for name in names}

    def _ceremony(self, manifest: Manifest, base: bytes) -> None:
        """All that both rounds derive; the signatures only of trustees who were bribed."""
        parameters = CeremonyParameters(
            group=manifest.group, base_id=base, quorum=manifest.quorum, trustees=manifest.trustees
        )
        trustees = len(manifest.trustees)
        for kind in ("commit", "reveal", "confirm"):
            for index in range(1, trustees + 1):
                name = f"ceremony/{ceremony_file_name(kind, index)}"
                self.put(name, encode_hex(base), "base")
                with _as_far_as_it_goes():
                    self._round(parameters, manifest, kind, index, name)
                if signer := self.keys.get(manifest.trustees[index - 1].id):
                    body = {k: v for k, v in self.docs[name].items() if k != "signature"}
                    signature = signer.sign(f"ceremony-{kind}", canonical_json(body))
                    self.put(name, encode_base64url(signature), "signature")

    def _round(
        self,
        parameters: CeremonyParameters,
        manifest: Manifest,
        kind: str,
        index: int,
        name: str,
    ) -> None:
        files, trustees = self._ceremony_files(), len(manifest.trustees)
        if kind == "commit":
            coefficients = self._coefficients(manifest, index)
            commitment = coefficients_digest(parameters, index, coefficients)
            self.put(name, encode_hex(commitment), "commitment")
        elif kind == "reveal":
            self.put(name, encode_hex(commits_digest(files, trustees)), "commits")
        else:
            self.put(name, encode_hex(ceremony_digest(files, trustees)), "ceremony")
            key = self._joint_key(manifest).element
            self.put(name, encode_base64url(key.encode()), "key")

    def _coefficients(self, manifest: Manifest, index: int) -> Elements:
        packed = self.docs[f"ceremony/reveal-{index:03d}.json"]["coefficients"]
        return manifest.group.decode_elements(decode_base64url(packed), allow_identity=True)

    def _joint_key(self, manifest: Manifest) -> PublicKey:
        rows = [self._coefficients(manifest, i + 1)[0] for i in range(len(manifest.trustees))]
        return PublicKey(element=stack(rows).prod())

    def _roll(self, base: bytes) -> None:
        self.put(ROLL, encode_hex(base), "base")
        self.put(ROLL, len(self.rows), "count")
        self.put(ROLL, encode_hex(merkle_root(self.data(row) for row in self.rows)), "root")
        self.put(ROLL, sum(self.docs[row]["weight"] for row in self.rows), "weight")
        for i, place in enumerate(self.docs[ROLL].get("districts", ())):
            rows = [row for row in self.rows if self.docs[row].get("district") == place["id"]]
            root = encode_hex(merkle_root(self.data(row) for row in rows))
            self.put(ROLL, root, "districts", i, "root")
            self.put(ROLL, len(rows), "districts", i, "count")
            weight = sum(self.docs[row]["weight"] for row in rows)
            self.put(ROLL, weight, "districts", i, "weight")
        parts = decode_roll(self.data(ROLL)).signed_parts()
        for i, item in enumerate(self.docs[ROLL]["signatures"]):
            if signer := self.keys.get(item["registrar"]):
                signature = encode_base64url(signer.sign("roll", *parts))
                self.put(ROLL, signature, "signatures", i, "signature")

    def _ballots(self, election: bytes) -> None:
        """Digests of bodies, and the signatures of bribed voters."""
        voters = {
            encode_hex(key.credential): key
            for key in (derive_voter_key(code, self.base) for code in self.codes)
        }
        for name in self.entries("ballot"):
            body = name.replace("entry", "body")
            old = self.docs[name].get("digest")
            self.put(body, encode_hex(election), "election")
            new = encode_hex(ballot_digest(self.data(body)))
            self.put(name, new, "digest")
            for opening in self.entries("opening"):
                if self.docs[opening].get("ballot") == old:
                    self.put(opening, new, "ballot")
            with _as_far_as_it_goes():
                voter = voters[self.docs[name]["credential"]]
                digest = bytes.fromhex(self.docs[name]["digest"])
                signature = voter.sign_ballot(election, digest, self.docs[name]["action"])
                self.put(name, encode_base64url(signature), "signature")

    def _sign(self, name: str, purpose: str, *parts: bytes) -> None:
        for i, item in enumerate(self.docs[name]["signatures"]):
            if signer := self.keys.get(item["authority"]):
                signature = encode_base64url(signer.sign(purpose, *parts))
                self.put(name, signature, "signatures", i, "signature")

    def _open(self, election: bytes) -> None:
        for name in self.entries("open"):
            with _as_far_as_it_goes():
                self.put(name, encode_hex(election), "election")
                self.put(name, encode_hex(manifest_digest(self.data(MANIFEST))), "manifest")
                values = (self.docs[name]["election"], self.docs[name]["manifest"])
                self._sign(name, "open", *map(bytes.fromhex, values))

    def _rulings(self, election: bytes) -> None:
        kinds = ("strike", "confirm", "extend", "phase")
        names = [name for name in self.log if self.docs[name].get("type") in kinds]
        for number, name in enumerate(names):
            with _as_far_as_it_goes():
                ruling = decode_entry(self.data(name))
                assert isinstance(ruling, Strike | Confirm | Extend | PhaseEntry)
                self._sign(name, "ruling", *ruling_parts(election, number, ruling))

    def _seal(self, manifest: Manifest, election: bytes) -> None:
        for name in self.entries("seal"):
            index = self.log.index(name)
            with _as_far_as_it_goes():
                fates = self.fates(manifest, index)
                for what in ("cast", "spoiled", "counted", "superseded"):
                    self.put(name, getattr(fates, what), what)
                for what in ("struck", "unconfirmed"):
                    if (name, (what,)) not in self.pinned:
                        self.docs[name].pop(what, None)
                    if count := getattr(fates, what):
                        self.put(name, count, what)
                self.put(name, encode_hex(fates.digest), "digest")
            with _as_far_as_it_goes():
                tree = CompactRange()
                tree.extend([leaf_hash(self.data(before)) for before in self.log[:index]])
                seal = decode_entry(self.data(name))
                assert isinstance(seal, Seal)
                self._sign(name, "seal", *seal_parts(election, index, tree.root(), seal))

    def fates(self, manifest: Manifest, end: int) -> Fates:
        """What becomes of the ballots in the first `end` entries."""
        styles = [style.id for style in manifest.styles]
        roll = read_roll((self.data(row) for row in self.rows), styles, check_keys=False)
        entries = [(i, decode_entry(self.data(name))) for i, name in enumerate(self.log[:end])]
        policies = {"revote": manifest.revote, "spoil": manifest.spoil}
        return counted_set(roll, entries, **policies, powers=manifest.powers)

    def counted(self, manifest: Manifest) -> Fates:
        """What becomes of the ballots, by the log before the seal."""
        return self.fates(manifest, self.log.index(self.entries("seal")[0]))

    def counted_ballots(
        self, manifest: Manifest, context: BallotContext
    ) -> Iterator[tuple[Ballots, int, str]]:
        """The ballots that count, each with weight and district, in the order of the log."""
        fates = self.counted(manifest)
        voters = {self.docs[row]["credential"]: self.docs[row] for row in self.rows}
        for index in fates.indices[fates.mask(Fate.COUNTED)].tolist():
            name = self.log[index]
            batch = decode_ballots(context, [self.data(name.replace("entry", "body"))])
            for error in batch.errors.values():
                raise error
            voter = voters[self.docs[name]["credential"]]
            yield batch.batches[0][1], voter["weight"], voter["district"]

    def tally(self, manifest: Manifest, context: BallotContext) -> Tally:
        """The sums over the ballots that count."""
        sums = Summation(manifest)
        for ballot, weight, district in self.counted_ballots(manifest, context):
            sums.add(ballot, [weight], [district] if manifest.districts else [])
        return sums.finish(context.election_id, self.counted(manifest).digest)

    def mix_inputs(self, manifest: Manifest, context: BallotContext) -> MixInputs:
        """What the ballots that count give to mix."""
        inputs = MixInputs()
        for ballot, weight, _ in self.counted_ballots(manifest, context):
            inputs.add(ballot, [weight])
        return inputs

    def cascade(self, manifest: Manifest, context: BallotContext) -> Cascade:
        """What the mix servers' steps are bound to."""
        return Cascade(
            manifest=manifest,
            key=context.key,
            election=context.election_id,
            counted=self.counted(manifest).digest,
        )

    def _mixes(self, manifest: Manifest, context: BallotContext) -> None:
        """What follows from a step's other fields; the signatures of servers that were bribed."""
        inputs = self.mix_inputs(manifest, context)
        for unit in inputs.units(manifest):
            before = inputs.encoded(unit)
            for step, card in enumerate(manifest.mixers, 1):
                name = mix_path(unit.number, step)
                with _as_far_as_it_goes():
                    self.put(name, encode_hex(context.election_id), "election")
                    self.put(name, encode_hex(list_digest(before)), "inputs")
                    before = decode_base64url(self.docs[name]["outputs"])
                    if signer := self.keys.get(card.id):
                        signature = signer.sign("mix", *self._step_parts(name))
                        self.put(name, encode_base64url(signature), "signature")

    def _step_parts(self, name: str) -> tuple[bytes, ...]:
        """What the signature of a step covers, whatever it says."""
        step = self.docs[name]
        return (
            bytes.fromhex(step["election"]),
            canonical_json(step["unit"]),
            uint32(step["step"]),
            bytes.fromhex(step["inputs"]),
            list_digest(decode_base64url(step["outputs"])),
            digest("mix-proof", decode_base64url(step["proof"])),
        )

    def _sums(self, manifest: Manifest, context: BallotContext) -> None:
        self.put(TALLY, encode_hex(context.election_id), "election")
        tally = self.tally(manifest, context)
        self.put(TALLY, encode_hex(tally.counted), "counted")
        for i, part in enumerate(tally.contests):
            self.put(TALLY, part.ballots, "contests", i, "ballots")
            self.put(TALLY, part.weight, "contests", i, "weight")
            self.put(TALLY, encode_base64url(part.sums.encode()), "contests", i, "ciphertexts")
        for i, _ in enumerate(self.docs[TALLY].get("units", ())):
            for j in range(len(manifest.mixers)):
                with _as_far_as_it_goes():
                    step = encode_hex(file_digest(self.data(mix_path(i, j + 1))))
                    self.put(TALLY, step, "units", i, "steps", j)

    def _result(self, manifest: Manifest) -> None:
        """The numbers that follow from the others; votes and blanks stay."""
        for i, part in enumerate(self.docs[TALLY]["contests"]):
            contest = manifest.contest(part["id"])
            row = self.docs[RESULT]["contests"][i]
            self.put(RESULT, part["ballots"], "contests", i, "ballots")
            self.put(RESULT, part["weight"], "contests", i, "weight")
            unused = contest.maximum * (row["weight"] - row.get("blank", 0)) - sum(row["votes"])
            self.put(RESULT, unused, "contests", i, "undervotes")

    def _digests(self) -> None:
        """Of the files of the tally, on each other and on the board."""
        tally = file_digest(self.data(TALLY))
        for name in self.docs:
            if name.startswith("shares/") or name == RESULT:
                if election := self.docs[TALLY].get("election"):
                    self.put(name, election, "election")
                self.put(name, encode_hex(tally), "tally")
        for name in self.entries("tally"):
            self.put(name, encode_hex(tally), "digest")
        for name in self.entries("share"):
            with _as_far_as_it_goes():
                file = share_path(self.docs[name]["trustee"])
                self.put(name, encode_hex(file_digest(self.data(file))), "digest")
        for name in self.entries("result"):
            self.put(name, encode_hex(file_digest(self.data(RESULT))), "digest")


def _as_far_as_it_goes() -> suppress:
    """What cannot be read cannot be recomputed either; the attacker goes on with the rest."""
    return suppress(EvoteError, LookupError, TypeError, ValueError)


def _base(manifest: Manifest, data: bytes) -> bytes:
    return base_id(manifest_digest(data), manifest.group, len(manifest.trustees), manifest.quorum)


class Honest(NamedTuple):
    """The record as it was, and what it takes to judge a change of it."""

    made: Made
    attacker: Attacker
    manifest: Manifest
    context: BallotContext
    tally: Tally
    fates: dict[str, str]  # of the ballots, by entry

    @classmethod
    def of(cls, made: Made) -> Honest:
        """A finished record, as an attacker finds it."""
        attacker = Attacker.of(made)
        manifest = decode_manifest(attacker.data(MANIFEST))
        fates = attacker.fates(manifest, len(attacker.log))
        return cls(
            made=made,
            attacker=attacker,
            manifest=manifest,
            context=load_parameters(made.path).ballot_context,
            tally=decode_tally(manifest, attacker.data(TALLY), attacker.data),
            fates={
                attacker.log[index]: Fate(fate).name.lower()
                for index, fate in zip(fates.indices, fates.fates, strict=True)
            },
        )

    def audit(self, attacker: Attacker, **pins: Any) -> Report:
        """Audit what the attacker publishes, in the place of the record."""
        return self.audit_files(attacker.files(), **pins)

    def audit_files(self, files: dict[str, bytes], **pins: Any) -> Report:
        tamper.write_files(self.made.path, files)
        report = audit(self.made.path, **pins)
        details = "\n".join(finding.detail for finding in report.failures())
        assert "internal error" not in details
        return report

    def failing(self, attacker: Attacker, **pins: Any) -> set[str]:
        return {finding.check for finding in self.audit(attacker, **pins).failures()}

    def bribed(self) -> Attacker:
        """An attacker who also has every voter's code."""
        attacker = self.attacker.copy()
        attacker.codes = [credential.code for credential in self.made.credentials]
        return attacker
