"""Make shuffle.json: a shuffle of three rows of two ciphertexts, and its proof.

Run from the repository's root, with evote installed: python tests/vectors/make_shuffle.py
The file says what evote computes. check_shuffle.py beside it verifies the proof and computes its
challenges in plain integers, from the `inputs` alone; the tests run both.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from evote.elgamal import encrypt, key_from_exponent
from evote.groups import Elements, Scalars, Secrecy, ristretto255
from evote.mixnet import (
    ShuffleClaim,
    ShuffleCommitment,
    ShuffleStatement,
    TranscriptOracle,
    prove_shuffle,
    shuffle,
    verify_shuffle,
)
from evote.transcript import Transcript

FILE = Path(__file__).with_name("shuffle.json")
PURPOSE, PLACE = "known-answer", "unit 1, step 1"


def seeded(seed: bytes) -> Callable[[int], bytes]:
    count = 0

    def draw(size: int) -> bytes:
        nonlocal count
        count += 1
        return hashlib.shake_256(seed + count.to_bytes(4, "little")).digest(size)

    return draw


class Recorder(TranscriptOracle):
    """Remembers what it answered."""

    def generators(self, group: Any, count: int) -> Elements:
        self.h = super().generators(group, count)
        return self.h

    def batching_vector(self, claim: ShuffleClaim) -> Scalars:
        self.e = super().batching_vector(claim)
        return self.e

    def challenge(self, commitment: ShuffleCommitment) -> Scalars:
        self.v = super().challenge(commitment)
        return self.v


def build() -> dict[str, Any]:
    group, rng = ristretto255, seeded(b"shuffle")
    key = key_from_exponent(group.scalars(5)).public
    messages = group.generator ** group.scalars([[1, 2], [3, 4], [5, 6]], secrecy=Secrecy.ONE_TIME)
    inputs, _ = encrypt(key, messages, rng)
    outputs, witness = shuffle(key, inputs, rng)
    statement = ShuffleStatement(key=key, inputs=inputs, outputs=outputs)

    def oracle() -> Recorder:
        transcript = Transcript(PURPOSE.encode(), group)
        transcript.append(b"place", PLACE.encode())
        return Recorder(transcript)

    proof = prove_shuffle(statement, witness, oracle(), rng=rng)
    recorder = oracle()
    verify_shuffle(statement, proof, recorder)
    size = group.element_size
    h = recorder.h.encode()
    return {
        "source": "evote, proof of a shuffle; docs/mixnet.md",
        "made_by": "tests/vectors/make_shuffle.py; check_shuffle.py verifies it in plain integers",
        "notation": "hexadecimal; names ending in _text are text, in _uint integers",
        "group": group.name,
        "inputs": {
            "purpose_text": PURPOSE,
            "place_text": PLACE,
            "n_uint": 3,
            "w_uint": 2,
            "key": key.element.encode().hex(),
            "alpha": inputs.alpha.encode().hex(),
            "beta": inputs.beta.encode().hex(),
            "alpha_out": outputs.alpha.encode().hex(),
            "beta_out": outputs.beta.encode().hex(),
            "proof": proof.encode().hex(),
        },
        "generators": [h[i : i + size].hex() for i in range(0, len(h), size)],
        "batching_vector_uint": recorder.e.to_ints(),
        "challenge_uint": recorder.v.to_ints(),
    }


def main() -> None:
    FILE.write_text(json.dumps(build(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
