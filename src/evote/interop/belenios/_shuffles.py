"""Shuffles of the non-homomorphic questions, as in CHVote 1.3.2.

Their proof is the one of Terelius and Wikström with a chain that begins at a generator of its own;
in the letters of `_terelius_wikstrom`:

    t1 t2 t3 (t42, t41) th_i    C' D' A' F' (alpha, beta) B'_i        c_i   u_i      ch_i   B_i
    s1 s2 s3 s4 sh_i sp_i       k_C k_D k_A k_F k_B,i k_E,i           u_i   e_i      chal   v
"""

from __future__ import annotations

from functools import partial
from typing import Any

from evote._terelius_wikstrom import (
    ShuffleClaim,
    ShuffleCommitment,
    ShuffleResponses,
    verify_claim,
)
from evote.elgamal import Ciphertexts
from evote.errors import DecodingError, InvalidProof
from evote.groups import Elements, Group, Scalars
from evote.interop.belenios._codec import Codec
from evote.interop.belenios._election import Election
from evote.interop.belenios._forms import Failed, fields, items, parse
from evote.interop.belenios._oracle import listed
from evote.interop.belenios._signatures import Signature, failing
from evote.interop.belenios._trustees import Owner

__all__ = ["check_shuffle", "owned_message", "read_ciphertexts"]


class _Oracle:
    """The challenges of one proof, for `verify_claim`."""

    batching_bits = challenge_bits = 256

    def __init__(self, election: Election, lists: str, rest: str, count: int) -> None:
        self._election, self._lists, self._rest = election, lists, rest
        self._count = count

    def generators(self, group: Group, count: int) -> Elements:
        return self._election.codec.generators(count + 1)[1:]

    def batching_vector(self, claim: ShuffleClaim) -> Scalars:
        election = self._election
        challenges = election.oracle.permutation_challenges
        return election.codec.scalars(challenges(election.fingerprint, self._lists, self._count))

    def challenge(self, commitment: ShuffleCommitment) -> Scalars:
        election = self._election
        challenge = election.oracle.shuffle_challenge(election.fingerprint, self._rest)
        return election.codec.group.scalars(challenge)


def read_ciphertexts(value: Any, codec: Codec, place: str) -> Ciphertexts:
    """A list of ciphertexts, shape (n,), members all."""
    texts: list[object] = []
    for i, item in enumerate(items(value, place)):
        found = fields(item, f"{place}[{i}]", "alpha", "beta")
        texts += [found["alpha"], found["beta"]]
    elements = codec.elements(texts, place).reshape((-1, 2))
    return Ciphertexts(alpha=elements[:, 0], beta=elements[:, 1])


def owned_message(
    data: bytes, election: Election, owner: Owner, tag: str, check: str, name: str
) -> Any:
    """What a trustee published: in version 2, the message of what it signed.

    Raises:
        DecodingError: not JSON, or nothing signed.
        Failed: `check`, the signature does not hold.
    """
    value = parse(data, name)
    if election.version == 1:
        return value
    codec = election.codec
    found = fields(value, name, "message", "signature")
    proof = codec.proof(found["signature"], name)
    key = codec.elements([owner.verification], name)
    challenge = partial(election.oracle.signature, tag, owner.verification, found["message"])
    if failing(codec, key, [Signature(check, name, 0, proof, challenge)]):
        raise Failed(check, f"{name}: the signature does not hold")
    return found["message"]


def check_shuffle(
    value: Any, election: Election, inputs: list[Ciphertexts], name: str
) -> list[Ciphertexts]:
    """The outputs of a shuffle whose proofs hold.

    Raises:
        Failed: `shuffle-proof`.
        UnsupportedError: version 2 has no challenges for so many ciphertexts.
    """
    codec = election.codec
    try:
        found = fields(value, name, "ciphertexts", "proofs")
        lists = items(found["ciphertexts"], f"{name}.ciphertexts", len(inputs))
        proofs = items(found["proofs"], f"{name}.proofs", len(inputs))
        outputs = []
        for i, (before, after, proof) in enumerate(zip(inputs, lists, proofs, strict=True)):
            items(after, f"{name}.ciphertexts[{i}]", len(before))
            outputs.append(read_ciphertexts(after, codec, f"{name}.ciphertexts[{i}]"))
            _check(election, before, outputs[-1], proof, f"{name}.proofs[{i}]")
    except DecodingError as error:
        raise Failed("shuffle-proof", str(error)) from None
    return outputs


def _check(
    election: Election, inputs: Ciphertexts, outputs: Ciphertexts, proof: Any, name: str
) -> None:
    codec, count = election.codec, len(inputs)
    moves = items(proof, name, 4)
    first = items(moves[0], f"{name}[0]", 5)
    pair = items(first[3], f"{name}[0][3]", 2)
    on_beta, on_alpha = pair
    t = codec.elements([*first[:3], on_beta, on_alpha], f"{name}[0]")
    t_hat = codec.elements(items(first[4], f"{name}[0][4]", count), f"{name}[0][4]")
    second = items(moves[1], f"{name}[1]", 6)
    s = codec.scalars([codec.scalar(x, f"{name}[1]") for x in second[:4]])
    s_hat, s_prime = (
        codec.scalars(
            [codec.scalar(x, f"{name}[1][{k}]") for x in items(second[k], f"{name}[1]", count)]
        )
        for k in (4, 5)
    )
    c = codec.elements(items(moves[2], f"{name}[2]", count), f"{name}[2]")
    c_hat = codec.elements(items(moves[3], f"{name}[3]", count), f"{name}[3]")
    lists = _pairs(codec, inputs) + _pairs(codec, outputs) + listed(moves[2])
    rest = listed([*first[:3], on_beta, on_alpha]) + listed(first[4]) + lists
    rest += listed(moves[3]) + codec.texts(election.key)[0]
    oracle = _Oracle(election, lists, rest, count)
    generators = codec.generators(count + 1)
    claim = ShuffleClaim(
        h=generators[1:],
        start=generators[:1],
        u=c,
        key=election.key,
        inputs=_column(inputs),
        outputs=_column(outputs),
    )
    commitment = ShuffleCommitment(
        b=c_hat,
        a_prime=t[2],
        b_prime=t_hat,
        c_prime=t[0],
        d_prime=t[1],
        f_prime=Ciphertexts(alpha=t[4:5], beta=t[3:4]),
    )
    responses = ShuffleResponses(k_a=s[2], k_b=s_hat, k_c=s[0], k_d=s[1], k_e=s_prime, k_f=s[3:])
    try:
        verify_claim(claim, commitment, responses, oracle)
    except InvalidProof as error:
        raise Failed("shuffle-proof", f"{name}: {error}") from None


def _column(ciphertexts: Ciphertexts) -> Ciphertexts:
    shape = (len(ciphertexts), 1)
    return Ciphertexts(alpha=ciphertexts.alpha.reshape(shape), beta=ciphertexts.beta.reshape(shape))


def _pairs(codec: Codec, ciphertexts: Ciphertexts) -> str:
    alphas, betas = codec.texts(ciphertexts.alpha), codec.texts(ciphertexts.beta)
    return "".join([f"{a},{b}," for a, b in zip(alphas, betas, strict=True)])
