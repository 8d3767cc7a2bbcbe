"""What trustees prove in version 1: that they know their keys, signatures, partial decryptions.

A proof is challenge and response, r = w - x c. Secrets and the nonces of proofs about them take the
constant-time path.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from evote._linear import hedged_nonces
from evote.elgamal import Ciphertexts
from evote.groups import Rng, Scalars, Secrecy, concatenate
from evote.interop.belenios._codec import Codec
from evote.interop.belenios._election import Election
from evote.interop.belenios._forms import compact
from evote.interop.belenios._oracle import Oracle

__all__ = ["Proof", "partial_decryption", "prove_key", "sign_message"]

Proof = dict[str, str]
"""The JSON of challenge and response."""


def prove_key(codec: Codec, secret: Scalars, *, rng: Rng | None = None) -> dict[str, Any]:
    """A trustee's public key, with the proof that the trustee knows the secret, shape ()."""
    [key] = codec.texts(codec.group.generator**secret)
    oracle = Oracle(1, codec)
    proof = _prove(codec, secret, key, lambda a: oracle.knowledge(key, a), rng)
    return {"pok": proof, "public_key": key}


def sign_message(codec: Codec, secret: Scalars, message: str, *, rng: Rng | None = None) -> Proof:
    """A signature under the key g^secret, shape ()."""
    oracle = Oracle(1, codec)
    return _prove(codec, secret, message, lambda a: oracle.signature("sigmsg", "", message, a), rng)


def _prove(
    codec: Codec,
    secret: Scalars,
    statement: str,
    challenge: Callable[[str], int],
    rng: Rng | None,
) -> Proof:
    w = hedged_nonces(
        codec.group,
        (),
        Secrecy.LONG_TERM,
        secret=secret._secret_bytes(),
        public=[statement.encode()],
        rng=rng,
    )
    [a] = codec.texts(codec.group.generator**w)
    c = challenge(a)
    return _proof(c, (w - secret * c).publish().to_ints())


def _proof(challenge: int, response: int) -> Proof:
    return {"challenge": str(challenge), "response": str(response)}


def partial_decryption(
    election: Election, secret: Scalars, tally: Sequence[Ciphertexts], *, rng: Rng | None = None
) -> bytes:
    """The factors of all ciphertexts, with a proof for each.

    Cost, a ciphertext: 3 constant-time powers. Questions with lists are not supported.
    """
    codec = election.codec
    alphas = concatenate([codec.group.identity((0,)), *(part.alpha for part in tally)])
    factors = alphas**secret
    texts = codec.texts(factors)
    w = hedged_nonces(
        codec.group,
        alphas.shape,
        Secrecy.LONG_TERM,
        secret=secret._secret_bytes(),
        public=[election.fingerprint.encode(), alphas.encode()],
        rng=rng,
    )
    a, b = codec.texts(codec.group.generator**w), codec.texts(alphas**w)
    [key] = codec.texts(codec.group.generator**secret)
    challenges = [
        election.oracle.proof("decrypt", election.fingerprint, f"{first},{second}", key)
        for first, second in zip(a, b, strict=True)
    ]
    responses = (w - secret * codec.scalars(challenges)).publish().to_ints()
    proofs = list(map(_proof, challenges, responses))
    return compact(
        {
            "decryption_factors": _split(texts, tally),
            "decryption_proofs": _split(proofs, tally),
        }
    ).encode()


def _split(values: Sequence[Any], tally: Sequence[Ciphertexts]) -> list[list[Any]]:
    """A row of values in the lengths of the tally's parts."""
    found, start = [], 0
    for part in tally:
        found.append(list(values[start : start + len(part)]))
        start += len(part)
    return found
