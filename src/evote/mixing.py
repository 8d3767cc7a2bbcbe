"""Mixing an election's ballots: units, and the cascade of mix servers through files.

A contest in a pack is not summed. The counted ballots' messages of a pack go through every mix
server of the manifest, in its order: each re-encrypts and reorders all of them and proves it
(`mixnet`). Only what the last one put out is decrypted; then nobody knows whose message is whose,
unless all mix servers tell.

**Units.** What differs in a way that the count needs, the weight of a vote, cannot be mixed; and
ballots of different styles are mixed apart, so that each style has its own result. A unit is thus a
(pack, style, weight), its ballots in the order of the log. A style with fewer than `min_unit`
counted ballots of a weight is merged with the other small ones of that pack and weight; if they are
too few together, with the smallest of the large ones; and if there is no large one, nothing is
mixed and the election cannot be tallied, unless the manifest accepts small units (then none are
merged).

**Steps.** mixes/UUU/SS.json is what mix server SS made of unit UUU:

    {"format":"evote/mix","version":1,"election":hex,"unit":{"number","pack","styles","weight",
     "ballots"},"step":SS,"mixer":id,"inputs":hex,"outputs":packed,"proof":packed,"signature":packed}

    inputs     H("mix-list", encoding of the ciphertexts that went in)
    proof      of mixnet, under Transcript("shuffle"): "election", "counted" digest of the counted
               set, "unit" canonical JSON, "step" uint32, "mixer" id
    signature  the mix server's, over ("mix", election, unit, uint32(step), inputs,
               H("mix-list", outputs), H("mix-proof", proof))

In the profile `verificatum` the proof answers the challenges of that system instead, in the session
"evote" + hex of the election id, unitUUU; `evote export verificatum` writes its files.

Who checks a step takes its inputs from the counted ballots or from the step before, and never from
the file: the digest in it only tells a wrong cascade from a wrong proof (attack D3).
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple, TypeAlias

import numpy as np

from evote._districts import merge_small
from evote._verificatum import ClaimOracle, Oracle, Protocol, decode_protinfo, encode_protinfo
from evote.ballots import Ballots
from evote.election import Manifest
from evote.elgamal import Ciphertexts, PublicKey, decode_ciphertexts
from evote.encoding import (
    JSON,
    Fields,
    canonical_json,
    check_format,
    digest,
    encode_base64url,
    encode_hex,
    parse_json,
    uint32,
)
from evote.errors import InvalidProof, ParameterError, VerificationError
from evote.groups import Group, Rng
from evote.mixnet import (
    ShuffleOracle,
    ShuffleProof,
    ShuffleStatement,
    ShuffleWitness,
    decode_shuffle_proof,
    prove_shuffle,
    repeated_ciphertexts,
    shuffle,
    unchanged_ciphertexts,
    verify_shuffle,
)
from evote.operators import OperatorKey, verify_signature
from evote.transcript import Transcript

__all__ = [
    "MAX_UNITS",
    "Cascade",
    "MadeStep",
    "MixInputs",
    "MixPart",
    "MixStep",
    "Unit",
    "check_freshness",
    "check_signature",
    "check_step",
    "decode_step",
    "list_digest",
    "make_step",
    "mix_path",
    "mixing_units",
    "read_unit",
    "session_name",
    "sign_step",
    "step_outputs",
    "step_size",
    "unit_shape",
]

MAX_UNITS = 1000
_Class: TypeAlias = tuple[str, str, int]  # pack, style, weight


# -- units ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """Counted ballots that are mixed together; `number` counts the units of an election from 0."""

    number: int
    pack: str
    styles: tuple[str, ...]
    weight: int
    ballots: int

    def to_json(self) -> dict[str, JSON]:
        """The object of a step or a tally."""
        return {
            "number": self.number,
            "pack": self.pack,
            "styles": list(self.styles),
            "weight": self.weight,
            "ballots": self.ballots,
        }

    def encode(self) -> bytes:
        """What proofs and signatures are bound to."""
        return canonical_json(self.to_json())

    def __str__(self) -> str:
        styles = ", ".join(self.styles)
        return f"unit {self.number} (pack {self.pack}, style {styles}, weight {self.weight})"


def read_unit(manifest: Manifest, fields: Fields) -> Unit:
    """Read what `Unit.to_json` gave.

    Raises:
        DecodingError: a field is malformed, or names what the manifest does not have.
    """
    pack = fields.choice("pack", [pack.id for pack in manifest.packs])
    styles = tuple(fields.identifiers("styles", len(manifest.styles)))
    known = [style.id for style in manifest.styles]
    if not styles or list(styles) != [name for name in known if name in styles]:
        fields.fail("styles", "styles of the manifest, in its order, expected")
    return Unit(
        number=fields.integer("number", 0, MAX_UNITS - 1),
        pack=pack,
        styles=styles,
        weight=fields.integer("weight", 1, manifest.maximum_weight),
        ballots=fields.integer("ballots", 1, manifest.maximum_voters),
    )


def mixing_units(manifest: Manifest, counts: Mapping[_Class, int]) -> tuple[Unit, ...]:
    """How counted ballots are divided: a function of the manifest and of how many there are.

    Args:
        counts: counted ballots for each (pack, style, weight).

    Raises:
        VerificationError: a unit would be smaller than the manifest accepts.
    """
    mixing = manifest.mixing
    if mixing is None:
        return ()
    order = {style.id: i for i, style in enumerate(manifest.styles)}
    units: list[Unit] = []
    for pack in manifest.packs:
        for weight in sorted({w for p, _, w in counts if p == pack.id}):
            found = {
                style: count
                for (p, style, w), count in counts.items()
                if (p, w) == (pack.id, weight) and count
            }
            least = 1 if mixing.small_units_accepted else mixing.min_unit
            for styles in merge_small(found, order, least):
                ballots = sum(found[style] for style in styles)
                if ballots < least:
                    raise VerificationError(
                        f"pack {pack.id!r}: {ballots} ballots of weight {weight}, and the manifest"
                        f" lets no fewer than {least} be decrypted together"
                    )
                units.append(
                    Unit(
                        number=len(units),
                        pack=pack.id,
                        styles=styles,
                        weight=weight,
                        ballots=ballots,
                    )
                )
    if len(units) > MAX_UNITS:
        raise VerificationError(f"{len(units)} mixing units, at most {MAX_UNITS} are possible")
    return tuple(units)


@dataclass(frozen=True, slots=True, kw_only=True)
class MixPart:
    """The encoded ciphertexts of some counted ballots of a class, in the order of the log."""

    pack: str
    style: str
    weight: int
    ballots: int
    data: bytes


class MixInputs:
    """The packs of the counted ballots: add batches in the order of the log.

    Memory: the encodings, 64 bytes for each element's pair in ristretto255.
    """

    def __init__(self) -> None:
        self._parts: defaultdict[_Class, list[MixPart]] = defaultdict(list)

    def add(self, ballots: Ballots, weights: Sequence[int]) -> None:
        """Add n ballots of one style, in the order of the log."""
        counts = np.asarray(weights)
        for part in ballots.packs:
            for weight in sorted(set(weights)):
                chosen = np.flatnonzero(counts == weight)
                self.merge(
                    [
                        MixPart(
                            pack=part.pack.id,
                            style=ballots.style,
                            weight=int(weight),
                            ballots=len(chosen),
                            data=part.ciphertexts.take(chosen).encode(),
                        )
                    ]
                )

    def merge(self, parts: Iterable[MixPart]) -> None:
        """Add what came of other batches."""
        for part in parts:
            self._parts[part.pack, part.style, part.weight].append(part)

    def parts(self) -> list[MixPart]:
        """All that was added, class by class."""
        return [part for parts in self._parts.values() for part in parts]

    def units(self, manifest: Manifest) -> tuple[Unit, ...]:
        """The units of these ballots; raises as `mixing_units`."""
        counts = {c: sum(part.ballots for part in parts) for c, parts in self._parts.items()}
        return mixing_units(manifest, counts)

    def encoded(self, unit: Unit) -> bytes:
        """What goes into the first step of a unit."""
        return b"".join(
            part.data
            for style in unit.styles
            for part in self._parts.get((unit.pack, style, unit.weight), ())
        )


# -- steps ---------------------------------------------------------------------------------------


def mix_path(unit: int, step: int) -> str:
    """The path in a record of what the step-th mix server, from 1, made of a unit."""
    return f"mixes/{unit:03d}/{step:02d}.json"


def unit_shape(manifest: Manifest, unit: Unit) -> tuple[int, int]:
    """Of the ciphertexts of a unit: its ballots, and the elements of a message."""
    return unit.ballots, manifest.pack_width(unit.pack)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cascade:
    """What all steps of an election are bound to; arrays have the group of the key."""

    manifest: Manifest
    key: PublicKey
    election: bytes
    counted: bytes

    @property
    def group(self) -> Group:
        """That of the election, with an executor if the key's has one."""
        return self.key.group

    def decode(self, unit: Unit, data: bytes, where: str = "") -> Ciphertexts:
        """The ciphertexts of a unit from their encoding; membership is checked."""
        shape = unit_shape(self.manifest, unit)
        return decode_ciphertexts(self.group, data, shape, where=where)

    def oracle(self, unit: Unit, step: int) -> Transcript | ShuffleOracle:
        """Where the challenges of the proof of a step come from: the profile decides."""
        if self.manifest.profile == "verificatum":
            return ClaimOracle(Oracle(self.protocol(), session_name(unit)))
        return self._transcript(unit, step)

    def protinfo(self) -> bytes:
        """Verificatum's protInfo.xml of this election: every mix server is a party, all are needed.

        Raises:
            ParameterError: Verificatum does not have the group of this election.
        """
        parties = len(self.manifest.mixers)
        return encode_protinfo(
            self.manifest.group,
            sid=f"evote{encode_hex(self.election)}",
            parties=parties,
            threshold=parties,
        )

    def protocol(self) -> Protocol:
        """The same, read."""
        return _protocol(self.protinfo())

    def _transcript(self, unit: Unit, step: int) -> Transcript:
        transcript = Transcript(b"shuffle", self.group)
        transcript.append(b"election", self.election)
        transcript.append(b"counted", self.counted)
        transcript.append(b"unit", unit.encode())
        transcript.append_integer(b"step", step)
        transcript.append(b"mixer", self.mixer(step).encode("ascii"))
        return transcript

    def mixer(self, step: int) -> str:
        """The id of the step-th mix server, from 1."""
        mixing = self.manifest.mixing
        if mixing is None or not 1 <= step <= len(mixing.mixers):
            raise ParameterError(f"there is no mix server {step}")
        return mixing.mixers[step - 1].id


@lru_cache(maxsize=2)
def _protocol(protinfo: bytes) -> Protocol:
    return decode_protinfo(protinfo)


def session_name(unit: Unit) -> str:
    """Verificatum's auxsid of a unit."""
    return f"unit{unit.number:03d}"


@dataclass(frozen=True, slots=True, kw_only=True)
class MixStep:
    """One step: `outputs` are ciphertexts of shape (n, w), `inputs` the digest of the list before.

    `signed` are the parts that its signature covers, computed from the bytes of the file.
    """

    unit: Unit
    step: int
    inputs: bytes
    outputs: Ciphertexts
    proof: ShuffleProof
    signature: bytes
    signed: tuple[bytes, ...]


def list_digest(data: bytes) -> bytes:
    """H("mix-list", encoded ciphertexts): what names a list between two steps."""
    return digest("mix-list", data)


def _signed_parts(
    election: bytes, unit: Unit, step: int, inputs: bytes, outputs: bytes, proof: bytes
) -> tuple[bytes, ...]:
    listed, proven = list_digest(outputs), digest("mix-proof", proof)
    return election, unit.encode(), uint32(step), inputs, listed, proven


class MadeStep(NamedTuple):
    """The bytes of mixes/UUU/SS.json, what came out, and for a second proof why it is a shuffle."""

    data: bytes
    outputs: Ciphertexts
    witness: ShuffleWitness


def make_step(
    cascade: Cascade,
    unit: Unit,
    step: int,
    inputs: Ciphertexts,
    key: OperatorKey,
    *,
    rng: Rng | None = None,
) -> MadeStep:
    """Shuffle the ciphertexts of a unit and prove it.

    Args:
        cascade: of the election.
        unit: what is mixed.
        step: of this mix server, from 1.
        inputs: the verified output of the step before, or the counted ballots.
        key: of the mix server, for the signature.
        rng: of the permutation, the nonces and the proof.
    """
    public = cascade.key
    outputs, witness = shuffle(public, inputs, rng=rng)
    statement = ShuffleStatement(key=public, inputs=inputs, outputs=outputs)
    proof = prove_shuffle(statement, witness, cascade.oracle(unit, step), rng=rng)
    before, listed, proven = list_digest(inputs.encode()), outputs.encode(), proof.encode()
    data = sign_step(cascade, unit, step, before, listed, proven, key)
    return MadeStep(data, outputs, witness)


def sign_step(
    cascade: Cascade,
    unit: Unit,
    step: int,
    inputs: bytes,
    outputs: bytes,
    proof: bytes,
    key: OperatorKey,
) -> bytes:
    """The bytes of mixes/UUU/SS.json: digest of the inputs, encoded outputs and proof, signed."""
    parts = _signed_parts(cascade.election, unit, step, inputs, outputs, proof)
    signature = key.sign("mix", *parts)
    return canonical_json(
        {
            "format": "evote/mix",
            "version": 1,
            "election": encode_hex(cascade.election),
            "unit": unit.to_json(),
            "step": step,
            "mixer": cascade.mixer(step),
            "inputs": encode_hex(inputs),
            "outputs": encode_base64url(outputs),
            "proof": encode_base64url(proof),
            "signature": encode_base64url(signature),
        }
    )


def step_size(group: Group, ballots: int, width: int) -> int:
    """No file of a step over so many ballots is larger, in bytes."""
    element, scalar = group.element_size, group.scalar_size
    pairs = ballots * width * 2 * element
    proof = (ballots + width + 8) * (4 * element + 4 * scalar)
    return 2**16 + math.ceil((pairs + proof) * 4 / 3)


def decode_step(cascade: Cascade, unit: Unit, step: int, data: bytes, *, where: str) -> MixStep:
    """Read a step of a unit; every element is checked for membership, and no proof yet.

    Raises:
        DecodingError: malformed, or of another election, unit, step or mix server.
    """
    group = cascade.group
    n, width = unit_shape(cascade.manifest, unit)
    limit = step_size(group, n, width)
    fields = Fields(parse_json(data, where=where, max_bytes=limit), f"{where}: $")
    check_format(fields, "evote/mix", 1)
    if fields.hex("election", 32) != cascade.election:
        fields.fail("election", "a step of another election")
    named = fields.object("unit")
    found = read_unit(cascade.manifest, named)
    named.end()
    if found != unit:
        fields.fail("unit", f"{unit} with {unit.ballots} ballots expected")
    fields.integer("step", step, step)
    fields.choice("mixer", (cascade.mixer(step),))
    inputs = fields.hex("inputs", 32)
    outputs = fields.packed("outputs", n * width * 2 * group.element_size)
    proof = fields.packed("proof", max_size=limit)
    signature = fields.packed("signature", 64)
    fields.end()
    return MixStep(
        unit=unit,
        step=step,
        inputs=inputs,
        outputs=cascade.decode(unit, outputs, fields.path("outputs")),
        proof=decode_shuffle_proof(group, proof, (n, width), where=fields.path("proof")),
        signature=signature,
        signed=_signed_parts(cascade.election, unit, step, inputs, outputs, proof),
    )


def step_outputs(manifest: Manifest, unit: Unit, data: bytes, *, where: str) -> Ciphertexts:
    """The outputs alone of a step that was verified before: the caller compares its digest."""
    shape = unit_shape(manifest, unit)
    limit = step_size(manifest.group, *shape)
    fields = Fields(parse_json(data, where=where, max_bytes=limit), f"{where}: $")
    size = shape[0] * shape[1] * 2 * manifest.group.element_size
    outputs = fields.packed("outputs", size)
    return decode_ciphertexts(manifest.group, outputs, shape, where=fields.path("outputs"))


def check_signature(cascade: Cascade, step: MixStep, where: str) -> None:
    """Check the mix server's signature on a step.

    Raises:
        VerificationError: it is another's, or of another file.
    """
    card = cascade.manifest.card("mixer", cascade.mixer(step.step))
    try:
        verify_signature(card, step.signature, "mix", *step.signed)
    except VerificationError as error:
        raise VerificationError(f"{where}: {error}") from None


def check_step(cascade: Cascade, step: MixStep, inputs: Ciphertexts, where: str) -> None:
    """Check that a step's outputs are `inputs`, shuffled.

    Args:
        cascade: of the election.
        step: as read.
        inputs: the outputs of the step before, or the counted ballots: never what the file says.
        where: the file, for messages.

    Raises:
        VerificationError: made of other inputs, or (InvalidProof) the proof does not hold.
    """
    if step.inputs != list_digest(inputs.encode()):
        raise VerificationError(f"{where}: $.inputs: made of another list than the step before")
    statement = ShuffleStatement(key=cascade.key, inputs=inputs, outputs=step.outputs)
    try:
        verify_shuffle(statement, step.proof, cascade.oracle(step.unit, step.step))
    except InvalidProof as error:
        raise VerificationError(f"{where}: $.proof: {error}") from None


def check_freshness(step: MixStep, inputs: Ciphertexts, where: str) -> None:
    """Check that no ciphertext came out as it went in, and none came out twice.

    Such a step may be a true shuffle and hide nothing. One that draws its nonces never does it.

    Raises:
        VerificationError: says how many.
    """
    for rows, what in (
        (unchanged_ciphertexts(inputs, step.outputs), "came out as they went in"),
        (repeated_ciphertexts(step.outputs), "came out more than once"),
    ):
        if len(rows):
            raise VerificationError(f"{where}: $.outputs: {len(rows)} ciphertexts {what}")
