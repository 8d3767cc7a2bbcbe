"""The prover's side: files of a session that Verificatum's own verifier accepts.

Everything here gives files as bytes by their names in `nizkp/<auxsid>`, so that mix servers and
trustees, each by itself, write what is theirs. Statements are computed from arrays; keys are of
shape (), or (kappa,), ciphertexts of shape (n, kappa * omega).

Not promised: Python's integers are not constant-time. Long-term shares take the group's
constant-time path, and so do the nonces of proofs about them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from evote._linear import hedged_nonces
from evote._terelius_wikstrom import ShuffleClaim, commit_permutation, prove_claim
from evote._verificatum._codec import Widths
from evote._verificatum._oracle import Oracle
from evote._verificatum._proofs import (
    CCPOS,
    POS,
    POSC,
    Form,
    ProofOracle,
    encode_responses,
    key_tree,
    statement_trees,
)
from evote._verificatum._protinfo import Protocol
from evote._verificatum._trees import header, leaf, node
from evote.elgamal import Ciphertexts
from evote.errors import ParameterError, ShapeMismatch
from evote.groups import Elements, Rng, Scalars, Secrecy, stack
from evote.interop.verificatum._decryption import (
    combine,
    lagrange_integers,
    seed_pieces,
    share_divisor,
)
from evote.interop.verificatum._shuffles import encode_keep_list
from evote.mixnet import ShuffleWitness

__all__ = [
    "DecryptionRound",
    "Files",
    "Precomputation",
    "decryption_factors",
    "encode_polynomial",
    "precompute",
    "shuffle_files",
    "widths_of",
]

Files = dict[str, bytes]
"""Contents by names relative to the session's directory."""


def widths_of(protocol: Protocol, key: Elements, ciphertexts: Ciphertexts) -> Widths:
    """kappa and omega, once key and ciphertexts fit the protocol.

    Raises:
        ParameterError: they do not.
    """
    if key.group != protocol.group or ciphertexts.group != protocol.group:
        raise ParameterError(f"key and ciphertexts of {protocol.group.name} expected")
    kappa = protocol.key_width
    if key.shape != ((kappa,) if key.shape else ()) or (kappa > 1 and not key.shape):
        raise ShapeMismatch(f"a key of shape {key.shape}, not ({kappa},)")
    if ciphertexts.ndim != 2 or not len(ciphertexts) or ciphertexts.shape[1] % kappa:
        raise ShapeMismatch(f"ciphertexts of shape {ciphertexts.shape} for keys of width {kappa}")
    if not ciphertexts.shape[1]:
        raise ShapeMismatch("ciphertexts of width 0")
    return Widths(kappa, ciphertexts.shape[1] // kappa)


# -- shuffles --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Precomputation:
    """Commitments to a permutation of N_0 items, made and proven before there are ciphertexts.

    Attributes:
        commitments: u, shape (N_0,).
        permutation, nonces: pi and r, shapes (N_0,); r secret.
        files: of this party: the commitments, and the proof that they are to a permutation.
    """

    commitments: Elements
    permutation: NDArray[np.intp] = field(repr=False)
    nonces: Scalars = field(repr=False)
    files: Files = field(repr=False)

    def shrink(self, count: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Which commitments serve `count` ciphertexts, ascending, and the permutation they hold."""
        if not 0 < count <= len(self.permutation):
            raise ParameterError(f"{count} of {len(self.permutation)} commitments")
        images = self.permutation[:count]
        kept = np.sort(images)
        return kept, np.searchsorted(kept, images)


def precompute(
    protocol: Protocol,
    auxsid: str,
    party: int,
    permutation: NDArray[np.intp],
    *,
    rng: Rng | None = None,
) -> Precomputation:
    """Commit to a permutation and prove that this is one (PoSC)."""
    oracle = Oracle(protocol, auxsid)
    h = oracle.generators(len(permutation))
    u, r = commit_permutation(h, permutation, rng)
    claim, trees = ShuffleClaim(h=h, u=u), statement_trees(oracle, u)
    proof_oracle = ProofOracle(oracle, (), trees)
    files = _prove(POSC, party, claim, permutation, r, None, proof_oracle, rng)
    files[f"proofs/PermutationCommitment{party:02d}.bt"] = trees[-1]
    return Precomputation(commitments=u, permutation=permutation, nonces=r, files=files)


def shuffle_files(
    protocol: Protocol,
    auxsid: str,
    party: int,
    key: Elements,
    inputs: Ciphertexts,
    outputs: Ciphertexts,
    witness: ShuffleWitness,
    *,
    precomputation: Precomputation | None = None,
    rng: Rng | None = None,
) -> Files:
    """The output list of a party, 1..k, and the proof that it is a shuffle of the inputs.

    `outputs[i]` re-encrypts `inputs[witness.permutation[i]]` with `witness.nonces[i]`, whatever
    proof of evote's own there is besides. With a precomputation, the permutation is the one that
    `Precomputation.shrink` gives for as many ciphertexts. Cost: that of `mixnet.prove_shuffle`.

    Raises:
        ParameterError: the arrays do not fit the protocol or each other.
    """
    widths = widths_of(protocol, key, inputs)
    if outputs.shape != inputs.shape or witness.nonces.shape != inputs.shape:
        raise ShapeMismatch(
            f"outputs {outputs.shape} and nonces {witness.nonces.shape} for inputs {inputs.shape}"
        )
    if witness.permutation.shape != inputs.shape[:1]:
        raise ShapeMismatch(f"a permutation of shape {witness.permutation.shape}")
    oracle, codec = Oracle(protocol, auxsid), protocol.codec
    count = len(inputs)
    h = oracle.generators(count)
    files: Files = {}
    if precomputation is None:
        form = POS
        u, r = commit_permutation(h, witness.permutation, rng)
    else:
        form = CCPOS
        kept, permutation = precomputation.shrink(count)
        if not np.array_equal(permutation, witness.permutation):
            raise ParameterError("the permutation is not that of the precomputation")
        u, r = precomputation.commitments.take(kept), precomputation.nonces[:count]
        files |= precomputation.files
        size = len(precomputation.permutation)
        files[f"proofs/KeepList{party:02d}.bt"] = encode_keep_list(kept, size)
        files["proofs/maxciph"] = str(size).encode()
    wide_key = widths.spread(key)
    claim = ShuffleClaim(
        h=h, u=u, chained=form.chained, key=wide_key, inputs=inputs, outputs=outputs
    )
    trees = (
        *statement_trees(oracle, u),
        key_tree(codec, wide_key, widths.message_parts),
        codec.encode_ciphertexts(inputs, widths.ciphertext_parts),
        codec.encode_ciphertexts(outputs, widths.ciphertext_parts),
    )
    proof_oracle = ProofOracle(oracle, widths.message_parts, trees)
    if precomputation is None:
        files[f"proofs/PermutationCommitment{party:02d}.bt"] = trees[2]
    files[f"proofs/Ciphertexts{party:02d}.bt"] = trees[-1]
    permutation, nonces = witness.permutation, witness.nonces
    return files | _prove(form, party, claim, permutation, r, nonces, proof_oracle, rng)


def _prove(
    form: Form,
    party: int,
    claim: ShuffleClaim,
    permutation: NDArray[np.intp],
    r: Scalars,
    nonces: Scalars | None,
    oracle: ProofOracle,
    rng: Rng | None,
) -> Files:
    _, responses = prove_claim(claim, permutation, r, nonces, oracle, rng=rng)
    assert oracle.commitment is not None  # it was hashed
    codec = oracle.oracle.protocol.codec
    return {
        f"proofs/{form.name}Commitment{party:02d}.bt": oracle.commitment,
        f"proofs/{form.name}Reply{party:02d}.bt": encode_responses(codec, responses, oracle.parts),
    }


# -- decryption ------------------------------------------------------------------------------------


def encode_polynomial(protocol: Protocol, coefficients: Elements) -> bytes:
    """The shared key in the exponent, shape (t + 1,) or (t + 1, kappa), P_0 being the key."""
    rows = coefficients.reshape((len(coefficients), -1))
    last = len(rows)
    while last > 1 and rows[last - 1].is_identity().all():
        last -= 1
    parts = Widths(protocol.key_width, 1).key_parts
    return node(*(protocol.codec.encode_item(rows[i], parts) for i in range(last)))


def decryption_factors(protocol: Protocol, inputs: Ciphertexts, share: Scalars) -> Elements:
    """f = alpha^(-x / c) for a party's share x of the key, shape () or (kappa,); shape (n, w)."""
    widths = Widths(protocol.key_width, inputs.shape[1] // protocol.key_width)
    return inputs.alpha ** widths.spread(_part_of(protocol, share))


def _part_of(protocol: Protocol, share: Scalars) -> Scalars:
    """-x / c."""
    if share.secrecy is not Secrecy.LONG_TERM:
        raise ParameterError("a share of a key is marked as a long-term secret")
    divisor = protocol.codec.group.scalars(share_divisor(protocol.parties))
    return -(share * divisor.inverse())


class DecryptionRound:
    """The proof of decryption once the factors of all k parties are known; absent ones have ones.

    Each party commits, all commitments together give the challenge, and each responds.
    """

    def __init__(
        self,
        protocol: Protocol,
        auxsid: str,
        key: Elements,
        inputs: Ciphertexts,
        polynomial: Elements,
        factors: Sequence[Elements],
    ) -> None:
        if len(factors) != protocol.parties:
            raise ParameterError(f"factors of {protocol.parties} parties expected")
        if any(array.shape != inputs.shape for array in factors):
            raise ShapeMismatch(f"factors of shape {inputs.shape} expected")
        self._protocol = protocol
        self._widths = widths_of(protocol, key, inputs)
        self._inputs = inputs
        self._factors = list(factors)
        self._oracle = Oracle(protocol, auxsid)
        codec = protocol.codec
        self._polynomial = encode_polynomial(protocol, polynomial)
        self._trees = [codec.encode_elements(rows, self._widths.message_parts) for rows in factors]
        list_tree = codec.encode_ciphertexts(inputs, self._widths.ciphertext_parts)
        pieces = seed_pieces(codec, self._widths, list_tree, self._polynomial, self._trees)
        self._seed = self._oracle.seed(*pieces)
        e = self._oracle.batching_vector(self._seed, len(inputs))
        self._base = codec.group.multiexp(inputs.alpha, e.reshape((len(e), 1)), axis=0)

    def commit(self, share: Scalars, *, rng: Rng | None = None) -> tuple[Scalars, bytes]:
        """A party's nonces, secret, and its first move (y', B')."""
        group = self._protocol.codec.group
        nonces = hedged_nonces(
            group,
            (self._protocol.key_width,),
            Secrecy.LONG_TERM,
            secret=share._secret_bytes(),
            public=[self._seed],
            rng=rng,
        )
        base = self._base ** self._widths.spread(nonces)
        return nonces, self._move(group.generator**nonces, base)

    def absent_move(self) -> bytes:
        """The first move of a party that takes no part."""
        identity = self._protocol.codec.group.identity(1)
        return self._move(
            identity.broadcast_to((self._widths.key,)), identity.broadcast_to(self._base.shape)
        )

    def _move(self, y_prime: Elements, b_prime: Elements) -> bytes:
        codec, widths = self._protocol.codec, self._widths
        return node(
            codec.encode_item(y_prime, widths.key_parts),
            codec.encode_item(b_prime, widths.message_parts),
        )

    def challenge(self, moves: Sequence[bytes]) -> Scalars:
        """v of the first moves of all k parties."""
        if len(moves) != self._protocol.parties:
            raise ParameterError(f"moves of {self._protocol.parties} parties expected")
        return self._oracle.challenge(self._seed, b"".join([header(0, len(moves)), *moves]))

    def respond(self, challenge: Scalars, nonces: Scalars, share: Scalars) -> Scalars:
        """k = rho - v x / c, shape (kappa,)."""
        part = _part_of(self._protocol, share).reshape(-1)
        return (nonces + challenge * part).publish()

    def files(
        self, moves: Sequence[bytes], responses: Sequence[Scalars | None], correct: Sequence[int]
    ) -> Files:
        """Everything that shows the decryption; responses are None for absent parties.

        Args:
            correct: the parties, 1..k, of whom the first `threshold` decrypt.
        """
        codec, widths = self._protocol.codec, self._widths
        parties = self._protocol.parties
        zero = codec.group.scalars([0] * widths.key)
        marks = bytes([1, *(party in correct for party in range(1, parties + 1))])
        files: Files = {
            "proofs/PolynomialInExponent.bt": self._polynomial,
            "proofs/CorrectIndices.bt": leaf(marks),
        }
        columns = zip(self._trees, moves, responses, strict=True)
        for party, (factors, move, response) in enumerate(columns, 1):
            answer = zero if response is None else response
            files[f"proofs/DecryptionFactors{party:02d}.bt"] = factors
            files[f"proofs/DecrFactCommitment{party:02d}.bt"] = move
            files[f"proofs/DecrFactReply{party:02d}.bt"] = codec.encode_scalar_item(
                answer, widths.key_parts
            )
        chosen = [party - 1 for party in sorted(correct)][: self._protocol.threshold]
        weights = lagrange_integers(codec.group, chosen, parties)
        combined = combine(stack([self._factors[party] for party in chosen]), weights)
        plaintexts = self._inputs.beta * combined
        files["Plaintexts.bt"] = codec.encode_elements(plaintexts, widths.message_parts)
        return files
