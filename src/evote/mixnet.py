"""Shuffles: re-encrypt and reorder ciphertexts, and prove that nothing else was done.

    outputs, witness = shuffle(key, inputs)
    statement = ShuffleStatement(key=key, inputs=inputs, outputs=outputs)
    proof = prove_shuffle(statement, witness, transcript)
    verify_shuffle(statement, proof, transcript)

Ciphertexts are rows of any width w >= 1, which stay together; n is any number, 0 and 1 too. The
caller binds the transcript to the election, the unit and the step. Or it passes a `ShuffleOracle`
that derives generators and challenges as another system does.

The proof is that of Terelius and Wikström, whose letters are in `_terelius_wikstrom`. The one
of Bayer and Groth (`prove_shuffle_bayer_groth`) takes O(sqrt n) bytes, and the prover n^1.5 powers.
docs/mixnet.md has assumptions and costs. Not promised: that inputs are well formed or independent
(that is what proofs of plaintext knowledge are for); that one shuffle hides anything from who made
it (that takes several servers); Python's integers and its sorting are not constant-time, and memory
is not wiped.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from evote._bayer_groth import (
    BayerGrothClaim,
    BayerGrothProof,
    HadamardStatement,
    MultiExponentiationStatement,
    SingleValueStatement,
    WideCiphertexts,
    ZeroStatement,
    best_dimensions,
    decode_proof,
    pad,
    prove_bayer_groth,
    verify_bayer_groth,
)
from evote._terelius_wikstrom import (
    ShuffleClaim,
    ShuffleCommitment,
    ShuffleOracle,
    ShuffleResponses,
    commit_permutation,
    prove_claim,
    verify_claim,
)
from evote.commitments import derive_key
from evote.elgamal import Ciphertexts, PublicKey, reencrypt
from evote.encoding import uint32
from evote.errors import DecodingError, GroupMismatch, ParameterError, ShapeMismatch
from evote.groups import Elements, Group, Rng, Scalars, concatenate
from evote.transcript import Transcript

__all__ = [
    "BayerGrothProof",
    "ShuffleClaim",
    "ShuffleCommitment",
    "ShuffleOracle",
    "ShuffleProof",
    "ShuffleResponses",
    "ShuffleStatement",
    "ShuffleWitness",
    "TranscriptOracle",
    "decode_bayer_groth_proof",
    "decode_shuffle_proof",
    "prove_shuffle",
    "prove_shuffle_bayer_groth",
    "repeated_ciphertexts",
    "shuffle",
    "unchanged_ciphertexts",
    "verify_shuffle",
    "verify_shuffle_bayer_groth",
]


_GENERATORS = b"evote/1/shuffle"  # their domain: the same for all elections
_COMMITMENT_KEY = b"evote/1/bayer-groth"
_GENERATED = 2**14  # generators that are derived at a time
_DRAWS = 16  # of keys to sort, before a source that repeats itself is given up


@dataclass(frozen=True, slots=True, kw_only=True)
class ShuffleStatement:
    """Claim: `outputs` is `inputs`, re-encrypted under `key` and reordered. Shapes (n, w)."""

    key: PublicKey
    inputs: Ciphertexts
    outputs: Ciphertexts

    def __post_init__(self) -> None:
        if self.inputs.ndim != 2 or self.inputs.shape[1] == 0:
            raise ShapeMismatch(f"inputs of shape (n, w) expected, got {self.inputs.shape}")
        if self.inputs.shape != self.outputs.shape:
            raise ShapeMismatch(f"inputs {self.inputs.shape}, outputs {self.outputs.shape}")
        if not self.key.group == self.inputs.group == self.outputs.group:
            raise GroupMismatch("key, inputs and outputs are of different groups")

    @property
    def group(self) -> Group:
        return self.key.group

    @property
    def shape(self) -> tuple[int, ...]:
        """(n, w)"""
        return self.inputs.shape


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ShuffleWitness:
    """outputs[i] re-encrypts inputs[permutation[i]] with nonces[i]; shapes (n,) and (n, w)."""

    permutation: NDArray[np.intp] = field(repr=False)
    nonces: Scalars = field(repr=False)

    def __post_init__(self) -> None:
        if self.permutation.ndim != 1 or self.nonces.ndim != 2:
            raise ShapeMismatch(
                f"permutation {self.permutation.shape} and nonces {self.nonces.shape}"
            )
        if len(self.permutation) != len(self.nonces):
            raise ShapeMismatch(f"{len(self.permutation)} places, {len(self.nonces)} nonces")
        places = np.arange(len(self.permutation))
        if self.permutation.dtype.kind != "i" or (np.sort(self.permutation) != places).any():
            raise ParameterError("not a permutation")
        if not self.nonces.secret:
            raise ParameterError("the nonces of a shuffle are marked as secret")


@dataclass(frozen=True, slots=True, kw_only=True)
class ShuffleProof:
    """u of shape (n,), the first move (all of it) and the responses to the challenge."""

    permutation_commitments: Elements
    commitment: ShuffleCommitment
    responses: ShuffleResponses

    def encode(self) -> bytes:
        """u, B, A', B', C', D', F' (all alpha, then all beta), then k_A ... k_F; fixed width."""
        elements = [self.permutation_commitments, *self.commitment.parts()]
        data = [part.encode() for part in elements]
        return b"".join([*data, *(part.encode() for part in self.responses.parts())])


def decode_shuffle_proof(
    group: Group, data: bytes, shape: tuple[int, int], *, packed: bool = False, where: str = ""
) -> ShuffleProof:
    """Read what `ShuffleProof.encode` wrote, for ciphertexts of `shape` (n, w).

    With `packed`, elements are kept as `Elements.packed` does.

    Raises:
        DecodingError: another length, an element that is none, or the identity.
    """
    n, w = shape
    elements, scalars = 3 * n + 3 + 2 * w, 2 * n + 3 + w
    size = elements * group.element_size
    total = size + scalars * group.scalar_size
    if len(data) != total:
        raise DecodingError(f"a proof of {total} bytes expected, got {len(data)}", where=where)
    points = group.decode_elements(data[:size], (elements,), packed=packed, where=where)
    numbers = group.decode_scalars(data[size:], (scalars,), where=where)
    columns = points[3 * n + 3 :].reshape((2, w))
    return ShuffleProof(
        permutation_commitments=points[:n],
        commitment=ShuffleCommitment(
            b=points[n : 2 * n],
            a_prime=points[2 * n],
            b_prime=points[2 * n + 1 : 3 * n + 1],
            c_prime=points[3 * n + 1],
            d_prime=points[3 * n + 2],
            f_prime=Ciphertexts(alpha=columns[0], beta=columns[1]),
        ),
        responses=ShuffleResponses(
            k_a=numbers[0],
            k_b=numbers[1 : n + 1],
            k_c=numbers[n + 1],
            k_d=numbers[n + 2],
            k_e=numbers[n + 3 : 2 * n + 3],
            k_f=numbers[2 * n + 3 :],
        ),
    )


class TranscriptOracle:
    """Generators by hashing, challenges from a transcript: what evote's own proofs use.

    e_i and v have 128 bits. If u commits to another matrix than a permutation's, or the outputs are
    no re-encryptions in that order, then for all but n 2^-128 of the vectors e there is no v, or
    one, that the prover can answer; so a prover who tries statements or commitments expects to draw
    2^128 of the numbers e_i and v before one of the proofs is accepted. All of a vector is drawn
    after the whole statement and u are hashed, and v after e and the commitment besides.

    The generators are the first n of a list that belongs to the group and are derived from it
    anew, so that there is nothing about them to be hashed.
    """

    batching_bits = 128
    challenge_bits = 128

    def __init__(self, transcript: Transcript) -> None:
        """On a transcript that the caller has bound to the election, the unit and the step."""
        self._transcript = transcript

    def generators(self, group: Group, count: int) -> Elements:
        return _generators(group, count).within(group)  # with its executor, not that of the cached

    def batching_vector(self, claim: ShuffleClaim) -> Scalars:
        transcript, shape = self._transcript, claim.u.shape
        transcript.append(b"proof", b"shuffle")
        if claim.key is None or claim.inputs is None or claim.outputs is None:
            raise ParameterError("evote proves shuffles of ciphertexts, not of commitments alone")
        transcript.append_elements(b"key", claim.key)
        transcript.append_elements(b"inputs", claim.inputs.alpha)
        transcript.append_elements(b"inputs", claim.inputs.beta)
        transcript.append_elements(b"outputs", claim.outputs.alpha)
        transcript.append_elements(b"outputs", claim.outputs.beta)
        transcript.append_elements(b"permutation", claim.u)
        return transcript.weights(b"weights", shape)

    def challenge(self, commitment: ShuffleCommitment) -> Scalars:
        for part in commitment.parts():
            self._transcript.append_elements(b"commitments", part)
        return self._transcript.weights(b"challenge", ())


_kept: dict[Group, Elements] = {}  # of one group, without any executor


def _generators(group: Group, count: int) -> Elements:
    """The first `count`. The longest list is kept: the next step needs the same, or fewer."""
    plain = group.with_backend(group.backend)
    known = _kept.get(group, plain.identity((0,)))
    if len(known) < count:
        parts = [known.packed(count)] if len(known) else []
        for start in range(len(known), count, _GENERATED):
            indices = range(start, min(start + _GENERATED, count))
            made = group.hash_messages(_GENERATORS, [uint32(index) for index in indices])
            parts.append(made.within(plain).packed(count))
        known = concatenate(parts)
        _kept.clear()
        _kept[group] = known
    return known[:count]


def shuffle(
    key: PublicKey, inputs: Ciphertexts, rng: Rng | None = None
) -> tuple[Ciphertexts, ShuffleWitness]:
    """Re-encrypt ciphertexts of shape (n, w) and put the rows into a uniformly random order.

    Cost: 2 w fixed-base powers a row.
    """
    if inputs.ndim != 2:
        raise ShapeMismatch(f"inputs of shape (n, w) expected, got {inputs.shape}")
    permutation = _random_permutation(len(inputs), rng)
    outputs, nonces = reencrypt(key, inputs.take(permutation), rng)
    return outputs.packed(), ShuffleWitness(permutation=permutation, nonces=nonces)


def _random_permutation(n: int, rng: Rng | None) -> NDArray[np.intp]:
    """Uniform: the order of n random numbers that differ. The chance that two agree is n^2/2^65."""
    for _ in range(_DRAWS):
        keys = np.frombuffer((rng or os.urandom)(8 * n), dtype=np.uint64)
        order = np.argsort(keys)
        ordered = keys[order]
        if (ordered[1:] != ordered[:-1]).all():
            return order
    raise ParameterError(f"rng repeats itself: no {n} numbers that differ")


def prove_shuffle(
    statement: ShuffleStatement,
    witness: ShuffleWitness,
    oracle: Transcript | ShuffleOracle,
    *,
    rng: Rng | None = None,
) -> ShuffleProof:
    """Prove that the outputs are the inputs, re-encrypted and reordered.

    Statistically zero-knowledge up to n 2^-128, in the random oracle model; sound there if
    discrete logs are hard: see `TranscriptOracle`. Cost, for n rows of w: 5 n fixed-base powers and
    (1 + 2 w) n multiexp terms, of 384 bits in groups of larger order; n hashes to elements, where
    the last proof was not of the same n.

    Args:
        statement, witness: shapes (n, w); the witness is not checked, but then nor will the proof.
        oracle: a transcript bound to the election, the unit and the step; or another system's.
        rng: of 32 bytes, twice, hashed with witness and statement; the operating system's by
            default.
    """
    if witness.nonces.shape != statement.shape:
        raise ShapeMismatch(f"nonces {witness.nonces.shape} for ciphertexts {statement.shape}")
    oracle = _oracle(oracle)
    h = oracle.generators(statement.group, len(statement.inputs))
    u, r = commit_permutation(h, witness.permutation, rng)
    commitment, responses = prove_claim(
        _claim(statement, h, u), witness.permutation, r, witness.nonces, oracle, rng=rng
    )
    return ShuffleProof(permutation_commitments=u, commitment=commitment, responses=responses)


def verify_shuffle(
    statement: ShuffleStatement, proof: ShuffleProof, oracle: Transcript | ShuffleOracle
) -> None:
    """Check a proof of a shuffle, by one multi-exponentiation of all its equations.

    Cost, for n rows of w: (4 + 4 w) n + 2 w + 6 multiexp terms; n hashes to elements. In groups of
    large order exponents have 128, 384 or 513 bits, those of 128-bit weights included. A false
    proof costs several times as much, to say which equations fail.

    Reference: B. Terelius, D. Wikström, "Proofs of restricted shuffles" (AFRICACRYPT 2010).

    Raises:
        ShapeMismatch, GroupMismatch: statement and proof do not fit.
        InvalidProof: `what` names the equations that fail, by the paper's letters; `indices` are
            those of B, the chain, and say nothing about single ciphertexts.
    """
    n = len(statement.inputs)
    if proof.permutation_commitments.shape != (n,):
        raise ShapeMismatch(
            f"{n} permutation commitments expected, got {proof.permutation_commitments.shape}"
        )
    oracle = _oracle(oracle)
    h = oracle.generators(statement.group, n)
    claim = _claim(statement, h, proof.permutation_commitments)
    verify_claim(claim, proof.commitment, proof.responses, oracle)


def _oracle(oracle: Transcript | ShuffleOracle) -> ShuffleOracle:
    return TranscriptOracle(oracle) if isinstance(oracle, Transcript) else oracle


def _claim(statement: ShuffleStatement, h: Elements, u: Elements) -> ShuffleClaim:
    return ShuffleClaim(
        h=h, u=u, key=statement.key.element, inputs=statement.inputs, outputs=statement.outputs
    )


class _BayerGrothTranscript:
    """The challenges of the shuffle argument of Bayer and Groth, from a transcript.

    Statements of the parts are functions of what stands there already, so that only the prover's
    moves are added.
    """

    def __init__(self, transcript: Transcript, statement: ShuffleStatement) -> None:
        self._transcript = transcript
        transcript.append(b"proof", b"shuffle bayer-groth")
        transcript.append_elements(b"key", statement.key.element)
        transcript.append_elements(b"inputs", statement.inputs.alpha)
        transcript.append_elements(b"inputs", statement.inputs.beta)
        transcript.append_elements(b"outputs", statement.outputs.alpha)
        transcript.append_elements(b"outputs", statement.outputs.beta)

    def _draw(self, *commitments: Elements) -> Scalars:
        for part in commitments:
            self._transcript.append_elements(b"commitments", part)
        return self._transcript.challenge(b"challenge")

    def powers_of(self, claim: BayerGrothClaim, c_a: Elements) -> Scalars:
        return self._draw(c_a)

    def product_of(
        self, claim: BayerGrothClaim, c_a: Elements, c_b: Elements
    ) -> tuple[Scalars, Scalars]:
        return self._draw(c_b), self._draw()

    def hadamard(self, statement: HadamardStatement, c_b: Elements) -> tuple[Scalars, Scalars]:
        return self._draw(statement.c_b, c_b), self._draw()

    def zero(
        self, statement: ZeroStatement, c_a0: Elements, c_bm: Elements, c_d: Elements
    ) -> Scalars:
        return self._draw(c_a0, c_bm, c_d)

    def single_value(
        self, statement: SingleValueStatement, c_d: Elements, c_lower: Elements, c_upper: Elements
    ) -> Scalars:
        return self._draw(c_d, c_lower, c_upper)

    def multi_exponentiation(
        self,
        statement: MultiExponentiationStatement,
        c_a0: Elements,
        c_b: Elements,
        e: WideCiphertexts,
    ) -> Scalars:
        return self._draw(c_a0, c_b, e.alpha, e.beta)

    def respond(self, *responses: Scalars) -> None:
        for part in responses:
            self._transcript.append_scalars(b"responses", part)


def prove_shuffle_bayer_groth(
    statement: ShuffleStatement,
    witness: ShuffleWitness,
    transcript: Transcript,
    *,
    rng: Rng | None = None,
) -> BayerGrothProof:
    """Prove that the outputs are the inputs, re-encrypted and reordered, in O(sqrt n) bytes.

    Perfectly zero-knowledge up to the 2^-128 of random numbers, in the random oracle model; sound
    there if discrete logs are hard. Cost: 2 w (m + 1) n multiexp terms of full length, with m about
    sqrt(5 n / (7 + 4 w)), which `best_dimensions` chooses for the shortest proof.

    Reference: S. Bayer, J. Groth, "Efficient zero-knowledge argument for correctness of a shuffle"
    (EUROCRYPT 2012).

    Args:
        statement, witness: shapes (n, w); the witness is not checked, but then nor will the proof.
        transcript: bound to the election, the unit and the step.
        rng: of 32 bytes, hashed with witness and transcript; the operating system's by default.
    """
    if witness.nonces.shape != statement.shape:
        raise ShapeMismatch(f"nonces {witness.nonces.shape} for ciphertexts {statement.shape}")
    claim = _bayer_groth_claim(statement)
    count, total = len(statement.inputs), claim.m * claim.n
    zeros = statement.group.scalars(0).broadcast_to((total - count, statement.shape[1]))
    oracle = _BayerGrothTranscript(transcript, statement)
    return prove_bayer_groth(
        claim,
        np.concatenate([witness.permutation, np.arange(count, total, dtype=np.intp)]),
        concatenate([witness.nonces, zeros]),
        oracle,
        context=transcript.fork().squeeze(b"nonces", 32),
        rng=rng,
    )


def verify_shuffle_bayer_groth(
    statement: ShuffleStatement, proof: BayerGrothProof, transcript: Transcript
) -> None:
    """Check a proof of `prove_shuffle_bayer_groth`, by one multi-exponentiation.

    Cost, for n rows of w: 4 w n multiexp terms of full length and O(sqrt n) more.

    Raises:
        ShapeMismatch, GroupMismatch: statement and proof do not fit, or a part is one too many.
        InvalidProof: `what` names the argument and the equations that fail.
    """
    oracle = _BayerGrothTranscript(transcript, statement)
    verify_bayer_groth(_bayer_groth_claim(statement), proof, oracle)


def decode_bayer_groth_proof(
    group: Group, data: bytes, shape: tuple[int, int], *, where: str = ""
) -> BayerGrothProof:
    """Read what `BayerGrothProof.encode` wrote, for ciphertexts of `shape` (n, w).

    Raises:
        DecodingError: another length, an element that is none, or the identity.
    """
    dimensions = (*best_dimensions(group, *shape), shape[1])
    return decode_proof(group, data, dimensions, allow_identity=not shape[0], where=where)


def _bayer_groth_claim(statement: ShuffleStatement) -> BayerGrothClaim:
    """The claim about as many ciphertexts as the matrix has places."""
    group, (count, width) = statement.group, statement.inputs.shape
    m, n = best_dimensions(group, count, width)
    inputs, outputs = (
        pad(WideCiphertexts(alpha=c.alpha, beta=c.beta), m * n)
        for c in (statement.inputs, statement.outputs)
    )
    return BayerGrothClaim(
        ck=derive_key(group, _COMMITMENT_KEY, n),
        key=statement.key.element.broadcast_to((width,)),
        inputs=inputs,
        outputs=outputs,
        hidden=width,
    )


def unchanged_ciphertexts(inputs: Ciphertexts, outputs: Ciphertexts) -> NDArray[np.intp]:
    """Rows of `outputs` that hold a ciphertext of `inputs`, unchanged, in the same column.

    A shuffle leaves none: whoever made these can be followed, or did not re-encrypt.
    """
    if inputs.ndim != 2 or inputs.shape[1:] != outputs.shape[1:]:
        raise ShapeMismatch(f"inputs {inputs.shape} and outputs {outputs.shape}")
    old, new = _packed(inputs), _packed(outputs)
    kept = [np.isin(new[:, j], old[:, j]) for j in range(inputs.shape[1])]
    return np.flatnonzero(np.any(kept, axis=0)) if kept else np.zeros(0, dtype=np.intp)


def repeated_ciphertexts(ciphertexts: Ciphertexts) -> NDArray[np.intp]:
    """Rows that hold a ciphertext which an earlier row holds in the same column.

    Copies betray whose ballot was copied once they are counted, so a mixnet has to get none.
    """
    if ciphertexts.ndim != 2:
        raise ShapeMismatch(f"ciphertexts of shape (n, w) expected, got {ciphertexts.shape}")
    packed = _packed(ciphertexts)
    repeated = np.ones(packed.shape, dtype=np.bool_)
    for j in range(packed.shape[1]):
        _, first = np.unique(packed[:, j], return_index=True)
        repeated[first, j] = False
    return np.flatnonzero(repeated.any(axis=1))


def _packed(ciphertexts: Ciphertexts) -> NDArray[np.void]:
    """The encodings, one item each."""
    size = 2 * ciphertexts.group.element_size
    return np.frombuffer(ciphertexts.encode(), dtype=f"V{size}").reshape(ciphertexts.shape)
