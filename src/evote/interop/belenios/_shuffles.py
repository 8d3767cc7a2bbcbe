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
    commit_permutation,
    prove_claim,
    verify_claim,
)
from evote.elgamal import Ciphertexts, PublicKey
from evote.errors import DecodingError, InvalidProof
from evote.groups import Elements, Group, Rng, Scalars
from evote.interop.belenios._codec import Codec
from evote.interop.belenios._election import Election
from evote.interop.belenios._forms import Failed, compact, fields, items, parse
from evote.interop.belenios._oracle import listed
from evote.interop.belenios._signatures import Signature, failing
from evote.interop.belenios._trustees import Owner
from evote.mixnet import ShuffleWitness, shuffle

__all__ = [
    "check_shuffle",
    "ciphertext_values",
    "owned_message",
    "read_ciphertexts",
    "shuffle_lists",
]


class _Oracle:
    """The challenges of one proof, for prover and verifier."""

    batching_bits = challenge_bits = 256

    def __init__(self, election: Election) -> None:
        self._election = election
        self._lists = ""

    def generators(self, group: Group, count: int) -> Elements:
        return self._election.codec.generators(count + 1)[1:]

    def batching_vector(self, claim: ShuffleClaim) -> Scalars:
        election, codec = self._election, self._election.codec
        assert claim.inputs is not None
        assert claim.outputs is not None
        self._lists = _pairs(codec, claim.inputs) + _pairs(codec, claim.outputs)
        self._lists += listed(codec.texts(claim.u))
        challenges = election.oracle.permutation_challenges
        return codec.scalars(challenges(election.fingerprint, self._lists, len(claim.u)))

    def challenge(self, commitment: ShuffleCommitment) -> Scalars:
        election, codec = self._election, self._election.codec
        t, t_hat, c_hat = first_move(codec, commitment)
        text = listed(t) + listed(t_hat) + self._lists + listed(c_hat)
        text += codec.texts(election.key)[0]
        challenge = election.oracle.shuffle_challenge(election.fingerprint, text)
        return codec.group.scalars(challenge)


def first_move(
    codec: Codec, commitment: ShuffleCommitment
) -> tuple[list[str], list[str], list[str]]:
    """The texts of t1, t2, t3, t41, t42; of th; and of ch."""
    c = commitment
    assert c.b is not None
    assert c.b_prime is not None
    assert c.c_prime is not None
    assert c.d_prime is not None
    assert c.f_prime is not None
    singles = (c.c_prime, c.d_prime, c.a_prime, c.f_prime.beta, c.f_prime.alpha)
    t = [codec.texts(element)[0] for element in singles]
    return t, codec.texts(c.b_prime), codec.texts(c.b)


def make_claim(
    election: Election, u: Elements, inputs: Ciphertexts, outputs: Ciphertexts
) -> ShuffleClaim:
    """What is proven of ciphertexts of shape (n,): outputs are the inputs, in the order of u."""
    generators = election.codec.generators(len(u) + 1)
    return ShuffleClaim(
        h=generators[1:],
        start=generators[:1],
        u=u,
        key=election.key,
        inputs=_column(inputs),
        outputs=_column(outputs),
    )


def shuffle_lists(
    election: Election, inputs: list[Ciphertexts], *, rng: Rng | None = None
) -> bytes:
    """A shuffle of version 1: every list re-encrypted, put into a random order, and proven.

    Cost: that of `mixnet.prove_shuffle`.
    """
    codec, key = election.codec, PublicKey(element=election.key)
    lists: list[Any] = []
    proofs: list[Any] = []
    for before in inputs:
        outputs, witness = shuffle(key, _column(before), rng)
        after = Ciphertexts(alpha=outputs.alpha[:, 0], beta=outputs.beta[:, 0])
        lists.append(ciphertext_values(codec, after))
        proofs.append(_prove(election, before, after, witness, rng))
    return compact({"ciphertexts": lists, "proofs": proofs}).encode()


def ciphertext_values(codec: Codec, ciphertexts: Ciphertexts) -> list[dict[str, str]]:
    """The JSON of ciphertexts of shape (n,)."""
    alphas, betas = codec.texts(ciphertexts.alpha), codec.texts(ciphertexts.beta)
    return [{"alpha": a, "beta": b} for a, b in zip(alphas, betas, strict=True)]


def _prove(
    election: Election,
    inputs: Ciphertexts,
    outputs: Ciphertexts,
    witness: ShuffleWitness,
    rng: Rng | None,
) -> list[Any]:
    codec, pi = election.codec, witness.permutation
    oracle = _Oracle(election)
    u, r = commit_permutation(oracle.generators(codec.group, len(pi)), pi, rng)
    claim = make_claim(election, u, inputs, outputs)
    commitment, k = prove_claim(claim, pi, r, witness.nonces, oracle, rng=rng)
    assert k.k_b is not None
    assert k.k_c is not None
    assert k.k_d is not None
    assert k.k_f is not None
    t, t_hat, c_hat = first_move(codec, commitment)
    s = [str(x.to_ints()) for x in (k.k_c, k.k_d, k.k_a, k.k_f[0])]
    s_hat, s_prime = ([str(x) for x in part.to_ints()] for part in (k.k_b, k.k_e))
    return [[*t[:3], t[3:], t_hat], [*s, s_hat, s_prime], codec.texts(u), c_hat]


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
    commitment = ShuffleCommitment(
        b=c_hat,
        a_prime=t[2],
        b_prime=t_hat,
        c_prime=t[0],
        d_prime=t[1],
        f_prime=Ciphertexts(alpha=t[4:5], beta=t[3:4]),
    )
    oracle = _Oracle(election)
    responses = ShuffleResponses(k_a=s[2], k_b=s_hat, k_c=s[0], k_d=s[1], k_e=s_prime, k_f=s[3:])
    try:
        verify_claim(make_claim(election, c, inputs, outputs), commitment, responses, oracle)
    except InvalidProof as error:
        raise Failed("shuffle-proof", f"{name}: {error}") from None


def _column(ciphertexts: Ciphertexts) -> Ciphertexts:
    shape = (len(ciphertexts), 1)
    return Ciphertexts(alpha=ciphertexts.alpha.reshape(shape), beta=ciphertexts.beta.reshape(shape))


def _pairs(codec: Codec, ciphertexts: Ciphertexts) -> str:
    alphas, betas = codec.texts(ciphertexts.alpha), codec.texts(ciphertexts.beta)
    return "".join([f"{a},{b}," for a, b in zip(alphas, betas, strict=True)])
