"""The proof of a shuffle of Terelius and Wikström: prover, verifier, and the two halves of it.

Letters are those of the paper and of Verificatum's manual. Over n ciphertexts w_i of which w'_i are
the re-encryptions in another order, w'_i = w_pi(i) pk^s_i, the prover commits to pi:

    u_pi(i) = g^r_i h_i                              for generators h_i nobody knows logarithms of

and, after a batching vector e, e'_i = e_pi(i), and before a challenge v, to a chain and to nonces:

    B_i  = g^b_i B_{i-1}^e'_i                        B_{-1} = h_0
    B'_i = g^beta_i B_{i-1}^eps_i                    A' = g^alpha prod h_i^eps_i
    C'   = g^gamma      D' = g^delta                 F' = pk^-phi prod w'_i^eps_i

    k_A = v <r, e'> + alpha      k_B,i = v b_i + beta_i      k_C = v sum r_i + gamma
    k_D = v d + delta            k_E,i = v e'_i + eps_i      k_F = v <s, e'> + phi

    A^v A'     = g^k_A prod h_i^k_E,i                A = prod u_i^e_i
    B_i^v B'_i = g^k_B,i B_{i-1}^k_E,i
    C^v C'     = g^k_C                               C = prod u_i / prod h_i
    D^v D'     = g^k_D                               D = B_{n-1} / h_0^(prod e_i)
    F^v F'     = pk^-k_F prod w'_i^k_E,i             F = prod w_i^e_i

A, B, C and D say that u commits to a permutation (a proof of a shuffle of commitments), A and F
that the ciphertexts follow it (a commitment-consistent proof); a proof of a shuffle is both at
once. B_i = g^x_i h_0^y_i, where x_i = x_{i-1} e'_i + b_i and y_i = y_{i-1} e'_i, so the chain costs
powers of two fixed bases and no power waits for another.

The hash is a parameter, `ShuffleOracle`. Nonces eps are 128 bits longer than what they hide and no
longer, so that k_E stays short in groups of large order.

References: B. Terelius, D. Wikström, "Proofs of restricted shuffles" (AFRICACRYPT 2010);
D. Wikström, "How to implement a stand-alone verifier for the Verificatum mix-net".
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from functools import partial
from itertools import count
from typing import Protocol, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from evote._batch import Equations, draw_weights, verify_batch
from evote._hashes import shake128_rows
from evote.elgamal import Ciphertexts
from evote.encoding import digest, uint32
from evote.errors import GroupMismatch, InvalidProof, ParameterError, ShapeMismatch
from evote.groups import Elements, Group, Rng, Scalars, Secrecy, concatenate

__all__ = [
    "ShuffleClaim",
    "ShuffleCommitment",
    "ShuffleOracle",
    "ShuffleResponses",
    "commit_permutation",
    "failed_equations",
    "hedged_rng",
    "prove_claim",
    "verify_claim",
]

_COMPUTED = 2**14  # elements of a list that are computed at a time
_PART = 2**12  # terms of each list that are multiplied at a time
_BLOCK = 168  # bytes that SHAKE128 gives at a time
_HIDING_BITS = 128  # how much longer eps is than v e': at most n 2^-128 of what k_E tells is new

_Shape: TypeAlias = tuple[int, ...]
_Term: TypeAlias = tuple[Elements, Scalars | Callable[[slice], Scalars]]
_PartT = TypeVar("_PartT", Elements, Scalars, Ciphertexts)


@dataclass(frozen=True, slots=True, kw_only=True)
class ShuffleClaim:
    """What a proof speaks of; everything in it is hashed.

    Attributes:
        h: independent generators, shape (n,).
        u: the permutation's commitments, shape (n,).
        chained: whether the proof shows that u commits to a permutation (A, B, C, D). If not, it
            only shows that the ciphertexts follow what u commits to (A, F).
        key: of all columns, shape (), or of each, (w,); None in a shuffle of commitments alone.
        inputs, outputs: shape (n, w), or None as the key is.
        start: B_{-1}, shape (1,), where it is not h_0 but a generator of its own.
    """

    h: Elements
    u: Elements
    chained: bool = True
    key: Elements | None = None
    inputs: Ciphertexts | None = None
    outputs: Ciphertexts | None = None
    start: Elements | None = None

    def __post_init__(self) -> None:
        if self.h.ndim != 1 or self.h.shape != self.u.shape:
            raise ShapeMismatch(f"generators {self.h.shape} and commitments {self.u.shape}")
        if self.start is not None and self.start.shape != (1,):
            raise ShapeMismatch(f"one element begins a chain, got {self.start.shape}")
        arrays = [self.h, self.u, self.first]
        missing = [part is None for part in (self.key, self.inputs, self.outputs)]
        if any(missing) and not (all(missing) and self.chained):
            raise ParameterError("a claim without key, inputs or outputs is about u alone")
        if self.key is not None and self.inputs is not None and self.outputs is not None:
            shape = self.inputs.shape
            if len(shape) != 2 or shape[0] != len(self.h) or self.outputs.shape != shape:
                raise ShapeMismatch(
                    f"inputs {shape} and outputs {self.outputs.shape} for {len(self.h)} commitments"
                )
            if self.key.shape not in ((), shape[1:]):
                raise ShapeMismatch(f"a key of shape {self.key.shape} for {shape[1]} columns")
            arrays += [self.key, self.inputs.alpha, self.outputs.alpha]
        if any(array.group != self.group for array in arrays):
            raise GroupMismatch("a claim about arrays of different groups")

    @property
    def group(self) -> Group:
        return self.h.group

    @property
    def first(self) -> Elements:
        """B_{-1}, shape (1,); nothing, (0,), where n is 0 and the chain has no generator."""
        return self.h[:1] if self.start is None else self.start

    @property
    def width(self) -> int:
        """Columns of ciphertexts; 0 in a shuffle of commitments alone."""
        return 0 if self.inputs is None else self.inputs.shape[1]


@dataclass(frozen=True, slots=True, kw_only=True)
class ShuffleCommitment:
    """The prover's first move; b and c_prime, d_prime belong to the chain, f_prime to ciphertexts.

    Attributes:
        b: B, shape (n,), or None without a chain.
        a_prime: A', shape ().
        b_prime: B', shape (n,), or None.
        c_prime, d_prime: C' and D', shape (), or None.
        f_prime: F', shape (w,), or None without ciphertexts.
    """

    b: Elements | None = None
    a_prime: Elements
    b_prime: Elements | None = None
    c_prime: Elements | None = None
    d_prime: Elements | None = None
    f_prime: Ciphertexts | None = None

    def parts(self) -> list[Elements]:
        """B, A', B', C', D', F' (alpha, then beta), as far as there are."""
        f = self.f_prime
        pair = () if f is None else (f.alpha, f.beta)
        parts = (self.b, self.a_prime, self.b_prime, self.c_prime, self.d_prime, *pair)
        return [part for part in parts if part is not None]


@dataclass(frozen=True, slots=True, kw_only=True)
class ShuffleResponses:
    """The prover's last move: k_a, k_c, k_d of shape (), k_b and k_e (n,), k_f (w,)."""

    k_a: Scalars
    k_b: Scalars | None = None
    k_c: Scalars | None = None
    k_d: Scalars | None = None
    k_e: Scalars
    k_f: Scalars | None = None

    def parts(self) -> list[Scalars]:
        """k_A, k_B, k_C, k_D, k_E, k_F, as far as there are."""
        parts = (self.k_a, self.k_b, self.k_c, self.k_d, self.k_e, self.k_f)
        return [part for part in parts if part is not None]


class ShuffleOracle(Protocol):
    """Where the generators and the challenges of one proof come from.

    The methods are called once each, in this order, by prover and verifier alike.

    Attributes:
        batching_bits, challenge_bits: e_i < 2^batching_bits and v < 2^challenge_bits, before they
            are reduced modulo q; at least 128 each.
    """

    @property
    def batching_bits(self) -> int: ...

    @property
    def challenge_bits(self) -> int: ...

    def generators(self, group: Group, count: int) -> Elements:
        """h, shape (count,)."""

    def batching_vector(self, claim: ShuffleClaim) -> Scalars:
        """e, shape (n,): a hash of the context and of all the claim."""

    def challenge(self, commitment: ShuffleCommitment) -> Scalars:
        """v, shape (): a hash of all that e hashes and of the commitment."""


def commit_permutation(
    h: Elements, permutation: NDArray[np.intp], rng: Rng | None = None
) -> tuple[Elements, Scalars]:
    """u and its nonces r, where u[permutation[i]] = g^r[i] h[i]. Cost: n fixed-base powers."""
    group = h.group
    hedged = hedged_rng(rng, permutation.tobytes(), h[:1].encode())
    r = group.random_scalars(h.shape, secrecy=Secrecy.ONE_TIME, rng=hedged)
    u = _in_parts(len(h), lambda part: h[part].times_power(group.generator, r[part]))
    return u.take(np.argsort(permutation)), r


def _in_parts(count: int, compute: Callable[[slice], Elements]) -> Elements:
    """A list that is computed part by part, and packed if it is long."""
    starts = range(0, max(count, 1), _COMPUTED)
    parts = (compute(slice(i, min(i + _COMPUTED, count))) for i in starts)
    return concatenate([part.packed(count) for part in parts])


def prove_claim(
    claim: ShuffleClaim,
    permutation: NDArray[np.intp],
    r: Scalars,
    nonces: Scalars | None,
    oracle: ShuffleOracle,
    *,
    rng: Rng | None = None,
) -> tuple[ShuffleCommitment, ShuffleResponses]:
    """Both moves of the prover. What the witness is not, the proof will not verify.

    Cost: 4 n fixed-base powers for a chain; n multi-exponentiation terms, and 2 w n more for
    ciphertexts, with exponents as long as eps; none of them depends on another.

    Args:
        claim: all that is public.
        permutation: pi, shape (n,).
        r: the nonces of u, in the order of the outputs, shape (n,).
        nonces: s with outputs[i] = inputs[pi(i)] pk^s[i], shape (n, w); None without ciphertexts.
        oracle: has made `claim.h`; its batching vector and its challenge are still to be asked.
        rng: of 32 bytes, which are hashed with the witness and with e; the operating system's by
            default.
    """
    group, n = claim.group, len(claim.h)
    expected = None if claim.key is None else (n, claim.width)
    if (None if nonces is None else nonces.shape) != expected:
        raise ShapeMismatch(f"nonces of shape {expected} expected")
    if permutation.shape != (n,) or r.shape != (n,):
        raise ShapeMismatch(f"permutation {permutation.shape} and r {r.shape} for {n} commitments")
    g = group.generator
    e = oracle.batching_vector(claim)
    hedged = hedged_rng(
        rng,
        permutation.tobytes(),
        r._secret_bytes(),
        b"" if nonces is None else nonces._secret_bytes(),
        e.encode(),
    )

    def draw(shape: _Shape) -> Scalars:
        return group.random_scalars(shape, secrecy=Secrecy.ONE_TIME, rng=hedged)

    bits = oracle.batching_bits + oracle.challenge_bits + _HIDING_BITS
    e_prime = e.mark(Secrecy.ONE_TIME).take(permutation)
    alpha, epsilon = draw(()), _random_short(group, n, bits, hedged)
    chain: dict[str, Elements] = {}
    if claim.chained:
        beta, gamma, delta = draw((n,)), draw(()), draw(())
        b, zero = draw((n,)), group.scalars(0)
        one = group.scalars(1)
        x = group.linear_recurrence(e_prime, b, zero)
        y = group.linear_recurrence(e_prime, zero.broadcast_to((n,)), one)
        x_before = concatenate([zero.reshape((1,)), x])
        y_before = concatenate([one.reshape((1,)), y])
        x_prime, y_prime = beta + x_before[:n] * epsilon, y_before[:n] * epsilon

        def of_both(x: Scalars, y: Scalars) -> Elements:
            """g^x_i h_0^y_i"""
            return _in_parts(n, lambda part: (g ** x[part]).times_power(claim.first, y[part]))

        chain = {
            "b": of_both(x, y),
            # B'_i = g^(beta_i + x_{i-1} eps_i) h_0^(y_{i-1} eps_i)
            "b_prime": of_both(x_prime, y_prime),
            "c_prime": g**gamma,
            "d_prime": g**delta,
        }
    f_prime = None
    if claim.key is not None and claim.outputs is not None:
        phi = draw((claim.width,))
        w_prime = _multiexp(claim.outputs, epsilon)
        f_prime = Ciphertexts(alpha=w_prime.alpha / g**phi, beta=w_prime.beta / claim.key**phi)
    a_prime = g**alpha * group.multiexp(claim.h, epsilon)
    commitment = ShuffleCommitment(a_prime=a_prime, f_prime=f_prime, **chain)
    v = oracle.challenge(commitment)
    responses: dict[str, Scalars] = {
        "k_a": v * (r * e_prime).sum() + alpha,
        "k_e": v * e_prime + epsilon,
    }
    if claim.chained:
        responses["k_b"] = v * b + beta
        responses["k_c"] = v * r.sum() + gamma
        responses["k_d"] = v * x_before[n] + delta
    if f_prime is not None and nonces is not None:
        responses["k_f"] = v * (nonces * e_prime.reshape((n, 1))).sum(0) + phi
    return commitment, ShuffleResponses(**{k: s.publish() for k, s in responses.items()})


def _random_short(group: Group, count: int, bits: int, rng: Rng) -> Scalars:
    """Scalars below 2^bits; where that is more than q, uniform below q."""
    if bits >= group.order.bit_length():
        return group.random_scalars((count,), secrecy=Secrecy.ONE_TIME, rng=rng)
    size = -(-bits // 8)
    data = rng(count * size)
    numbers = [
        int.from_bytes(data[i : i + size], "little") >> (8 * size - bits)
        for i in range(0, len(data), size)
    ]
    return group.scalars(numbers, secrecy=Secrecy.ONE_TIME)


def hedged_rng(rng: Rng | None, *parts: bytes) -> Rng:
    """Random bytes that hash 32 others with the witness and what is public of it.

    As `hedged_nonces`: a source that repeats itself does not repeat nonces for another statement.
    """
    entropy = (rng or os.urandom)(32)
    if len(entropy) != 32:
        raise ParameterError(f"rng returned {len(entropy)} bytes instead of 32")
    seed = digest("proof-nonces", entropy, *parts)
    calls = count()

    def draw(size: int) -> bytes:
        blocks = np.arange(-(-size // _BLOCK), dtype="<u4").view(np.uint8).reshape((-1, 4))
        drawn = shake128_rows(seed + uint32(next(calls)), blocks, _BLOCK)
        return drawn.reshape(-1)[:size].tobytes()

    return draw


def _multiexp(ciphertexts: Ciphertexts, exponents: Scalars) -> Ciphertexts:
    """The product of ciphertexts[i]^exponents[i], shape (w,)."""
    group, column = ciphertexts.group, exponents.reshape((len(exponents), 1))
    return Ciphertexts(
        alpha=group.multiexp(ciphertexts.alpha, column, axis=0),
        beta=group.multiexp(ciphertexts.beta, column, axis=0),
    )


def verify_claim(
    claim: ShuffleClaim,
    commitment: ShuffleCommitment,
    responses: ShuffleResponses,
    oracle: ShuffleOracle,
) -> None:
    """Check a proof by one multi-exponentiation of all its equations under random weights.

    Cost: (4 + 4 w) n multi-exponentiation terms and a few; those of B' have 128 bits, those of u
    and inputs 128 more than v and e_i together, those of h, B and outputs 128 more than k_E,i.

    Raises:
        ShapeMismatch, GroupMismatch: a part is missing or one too many, or has another shape.
        InvalidProof: `what` names the equations that fail, B with its indices.
    """
    _check_parts(claim, commitment, responses)
    e = oracle.batching_vector(claim)
    v = oracle.challenge(commitment)
    product = _weighted_product(claim, e, v, commitment, responses)
    if bool(product.is_identity()):
        return
    failed = failed_equations(claim, e, v, commitment, responses)
    raise InvalidProof(f"shuffle ({', '.join(failed)})", failed.get("B", ()))


def _check_parts(
    claim: ShuffleClaim, commitment: ShuffleCommitment, responses: ShuffleResponses
) -> None:
    """Refuse a proof with a part missing, one too many, or of another shape or group."""
    n, w = len(claim.h), claim.width
    vector, chain = (n,) if claim.chained else None, () if claim.chained else None
    columns = (w,) if claim.key is not None else None
    moves = (
        (commitment, (vector, (), vector, chain, chain, columns)),
        (responses, ((), vector, chain, chain, (n,), columns)),
    )
    for move, shapes in moves:
        for field, shape in zip(fields(move), shapes, strict=True):
            value = getattr(move, field.name)
            found = None if value is None else value.shape
            if found != shape:
                raise ShapeMismatch(f"{field.name} of a shuffle: {shape} expected, got {found}")
            if value is not None and value.group != claim.group:
                raise GroupMismatch(f"{field.name} is of {value.group.name}")


def _weighted_product(
    claim: ShuffleClaim,
    e: Scalars,
    v: Scalars,
    commitment: ShuffleCommitment,
    responses: ShuffleResponses,
) -> Elements:
    """The product of all equations' quotients to random powers: the identity if all hold.

    Soundness is that of `_batch`: 2^-128. Exponents of B' have 128 bits. In groups of large order
    the others are shorter than q too: positive for u and inputs, negative for h, B and outputs.
    """
    group, n, w = claim.group, len(claim.h), claim.width
    k_a, k_e = responses.k_a, responses.k_e
    parts = [v.encode(), *(k.encode() for k in responses.parts())]
    shapes: list[_Shape] = [(), (), (), (n,), (w,), (w,)]
    r_a, r_c, r_d, r_b, r_alpha, r_beta = draw_weights(group, shapes, parts)
    on_g = -(r_a * k_a)
    v_a, v_c = v * r_a, group.scalars(0)
    terms: list[_Term] = [(commitment.a_prime, r_a)]
    if claim.chained:
        b, b_prime, k_b = _given(commitment.b), _given(commitment.b_prime), _given(responses.k_b)
        c_prime, k_c = _given(commitment.c_prime), _given(responses.k_c)
        d_prime, k_d = _given(commitment.d_prime), _given(responses.k_d)
        # B_i^v B'_i = g^k_B,i B_{i-1}^k_E,i, where B_{-1} = h_0, and D = B_{n-1} / h_0^(prod e)
        before = concatenate([-(r_b * k_e), (v * r_d).reshape((1,))])  # of h_0, B_0 ... B_{n-1}
        on_h_0 = before[0] - v * r_d * e.prod()
        on_g = on_g - (r_b * k_b).sum() - r_c * k_c - r_d * k_d
        v_c = v * r_c  # C = prod u_i / prod h_i
        terms += [
            (b, lambda part: v * r_b[part] + before[part.start + 1 : part.stop + 1]),
            (b_prime, r_b),
        ]
        terms += [(c_prime, r_c), (d_prime, r_d)]
        if len(claim.first):
            terms.append((claim.first, on_h_0))
    # A^v A' = g^k_A prod h_i^k_E,i
    terms += [(claim.u, lambda part: v_a * e[part] + v_c)]
    terms += [(claim.h, lambda part: -(r_a * k_e[part]) - v_c)]
    if claim.key is not None:
        f_prime, k_f = _given(commitment.f_prime), _given(responses.k_f)
        w_in, w_out = _given(claim.inputs), _given(claim.outputs)
        for r, bases, images, prime in (
            (r_alpha, w_in.alpha, w_out.alpha, f_prime.alpha),
            (r_beta, w_in.beta, w_out.beta, f_prime.beta),
        ):
            terms += [(bases, partial(_columns, e, v * r)), (images, partial(_columns, k_e, -r))]
            terms.append((prime, r))
        on_g = on_g + (r_alpha * k_f).sum()
        on_key = r_beta * k_f
        terms.append((claim.key, on_key if claim.key.shape else on_key.sum()))
    terms.append((group.generator, on_g))
    return _product(group, terms)


def _columns(rows: Scalars, columns: Scalars, part: slice) -> Scalars:
    """rows[i] columns[j] for some rows: exponents of shape (rows, w)."""
    some = rows[part]
    return some.reshape((len(some), 1)) * columns.reshape((1, len(columns)))


def _product(group: Group, terms: Sequence[_Term]) -> Elements:
    """The product of all powers; long lists part by part, because they may be packed.

    The exponents of a list are given, or computed for a part of it.
    """
    lists = [(b if b.shape else b.reshape((1,)), e) for b, e in terms]
    product = group.identity()
    for start in range(0, max(len(bases) for bases, _ in lists), _PART):
        part = slice(start, start + _PART)
        some = [
            (b[part], e(part) if callable(e) else e.reshape(b.shape)[part])
            for b, e in lists
            if start < len(b)
        ]
        product = product * group.multiexp(
            concatenate([bases.reshape((bases.size,)) for bases, _ in some]),
            concatenate([powers.reshape((powers.size,)) for _, powers in some]),
        )
    return product


def _given(part: _PartT | None) -> _PartT:
    """A part that `_check_parts` has seen; one skipped would be an equation skipped."""
    if part is None:
        raise ShapeMismatch("a part of the proof is missing")
    return part


def failed_equations(
    claim: ShuffleClaim,
    e: Scalars,
    v: Scalars,
    commitment: ShuffleCommitment,
    responses: ShuffleResponses,
) -> dict[str, Sequence[int]]:
    """The equations that fail, each computed alone: A, B, C, D and F[column].

    B comes with the indices where it fails, the others with none.
    """
    group, g, n = claim.group, claim.group.generator, len(claim.h)
    k_a, k_e = responses.k_a, responses.k_e
    failed: dict[str, Sequence[int]] = {}

    def check(name: str, left: Elements, right: Elements) -> None:
        if not bool(left.equal_mask(right).all()):
            failed[name] = ()

    a = group.multiexp(claim.u, e)
    check("A", a**v * commitment.a_prime, g**k_a * group.multiexp(claim.h, k_e))
    if claim.chained:
        b, b_prime, k_b = _given(commitment.b), _given(commitment.b_prime), _given(responses.k_b)
        path = concatenate([claim.first, b])  # B_{-1}, B_0, ..., B_{n-1}; nothing for n = 0
        relation = ((b_prime, None), (b, v), (g, -k_b), (path[:n], -k_e))
        holds = verify_batch([Equations(group=group, shape=(n,), relations=(relation,))])
        if not holds.all():
            failed["B"] = [int(i) for i in np.flatnonzero(~holds)]
        check(
            "C",
            (claim.u.prod() / claim.h.prod()) ** v * _given(commitment.c_prime),
            g ** _given(responses.k_c),
        )
        d = path[n] / path[0] ** e.prod() if n else group.identity()
        check("D", d**v * _given(commitment.d_prime), g ** _given(responses.k_d))
    if claim.key is not None:
        f_prime, k_f = _given(commitment.f_prime), _given(responses.k_f)
        f, right = _multiexp(_given(claim.inputs), e), _multiexp(_given(claim.outputs), k_e)
        mask = (f.alpha**v * f_prime.alpha * g**k_f).equal_mask(right.alpha)
        mask &= (f.beta**v * f_prime.beta * claim.key**k_f).equal_mask(right.beta)
        failed |= {f"F[{column}]": () for column in np.flatnonzero(~mask)}
    return failed
