"""The shuffle argument of Bayer and Groth: prover, verifier, dimensions, bytes.

Over N = m n ciphertexts C_i of which C'_i are the re-encryptions in another order,
C'_i = enc(1; rho_i) C_pi(i), written as a matrix of n rows whose column j is entries jn..jn+n-1:

    c_A,j = com(pi(jn) ...; r_j)           x a hash of the statement and c_A
    c_B,j = com(x^pi(jn) ...; s_j)         y, z hashes of c_B besides
    product argument                       prod (y A + B - z) = prod_i (y i + x^i - z)
    multi-exponentiation argument          prod C'_i^(x^pi(i)) and prod C_i^(x^i) encrypt the same

The first says that A holds each of 0..N-1 once and B the same powers of x, so that the second is an
identity in x between the plaintexts in the two orders. The arguments' own equations are in
`_products` and `_multiexp`; all of them are checked at once. Places count from 0.

Any number of ciphertexts becomes a matrix by adding trivial ones, enc(1; 0), at the end of both
lists: `pad`. Should a false prover take a trivial one for another ciphertext or back, both encrypt
1, and the permutation that goes through it is one of what is left.

Reference: S. Bayer, J. Groth, "Efficient zero-knowledge argument for correctness of a shuffle"
(EUROCRYPT 2012).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isqrt
from typing import Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from evote._bayer_groth._multiexp import (
    equations_of_multi_exponentiation,
    prove_multi_exponentiation,
)
from evote._bayer_groth._products import equations_of_product, prove_product
from evote._bayer_groth._values import (
    ArgumentOracle,
    Draw,
    Equation,
    HadamardArgument,
    MultiExponentiationArgument,
    MultiExponentiationStatement,
    ProductArgument,
    ProductStatement,
    SingleValueArgument,
    WideCiphertexts,
    ZeroArgument,
    expect,
    powers,
    require_equations,
)
from evote._terelius_wikstrom import hedged_rng
from evote.commitments import CommitmentKey, commit
from evote.errors import DecodingError, GroupMismatch, ParameterError, ShapeMismatch
from evote.groups import Elements, Group, Rng, Scalars, Secrecy, concatenate

__all__ = [
    "BayerGrothClaim",
    "BayerGrothOracle",
    "BayerGrothProof",
    "best_dimensions",
    "decode_proof",
    "drawing",
    "pad",
    "prove_bayer_groth",
    "verify_bayer_groth",
]

_ArrayT = TypeVar("_ArrayT", Elements, Scalars)


@dataclass(frozen=True, slots=True, kw_only=True)
class BayerGrothClaim:
    """Claim: `outputs` are `inputs`, re-encrypted and reordered. Places (N,), where N = m n.

    Attributes:
        ck: commits to vectors of n values.
        key: shape (w,).
        hidden: by how many numbers the multi-exponentiation argument hides a ciphertext, 1 or w.
    """

    ck: CommitmentKey
    key: Elements
    inputs: WideCiphertexts
    outputs: WideCiphertexts
    hidden: int

    def __post_init__(self) -> None:
        inputs, outputs = self.inputs, self.outputs
        expect("outputs", inputs.alpha.shape, outputs.alpha)
        expect("outputs", inputs.beta.shape, outputs.beta)
        expect("key", (inputs.width,), self.key)
        if len(inputs.places) != 1 or not inputs.places[0] or inputs.places[0] % self.n:
            raise ShapeMismatch(f"{inputs.places} ciphertexts in columns of {self.n}")
        if not self.group == self.key.group == inputs.group == outputs.group:
            raise GroupMismatch("a claim about arrays of different groups")

    @property
    def group(self) -> Group:
        return self.ck.group

    @property
    def n(self) -> int:
        return self.ck.width

    @property
    def m(self) -> int:
        return self.inputs.places[0] // self.n


@dataclass(frozen=True, slots=True, kw_only=True)
class BayerGrothProof:
    """c_a and c_b of shape (m,), and the two arguments."""

    c_a: Elements
    c_b: Elements
    product: ProductArgument
    multi_exponentiation: MultiExponentiationArgument

    def encode(self) -> bytes:
        """All elements, then all scalars, without those that are always 1; fixed width.

        c_A, c_B; c_b, c_B, c_A0, c_Bm, c_d of the Hadamard argument for m >= 2; c_d, c_delta and
        c_Delta; c_A0, c_B, alpha and beta of E. Then a, b, r, s, t; a~, b~, r~, s~; and a, r, b,
        s, tau.
        """
        elements, scalars = [self.c_a, self.c_b], list[Scalars]()
        m = len(self.c_a)
        if self.product.c_b is not None and self.product.hadamard is not None:
            zero = self.product.hadamard.zero
            elements += [self.product.c_b, self.product.hadamard.c_b, zero.c_a0, zero.c_bm]
            elements.append(_without(zero.c_d, m + 1))
            scalars += [zero.a, zero.b, zero.r, zero.s, zero.t]
        single, last = self.product.single_value, self.multi_exponentiation
        elements += [single.c_d, single.c_lower_delta, single.c_upper_delta]
        elements += [last.c_a0, _without(last.c_b, m), last.e.alpha, last.e.beta]
        scalars += [single.a, single.b, single.r, single.s]
        scalars += [last.a, last.r, last.b, last.s, last.tau]
        return b"".join([*(e.encode() for e in elements), *(s.encode() for s in scalars)])


def _without(elements: Elements, place: int) -> Elements:
    return concatenate([elements[:place], elements[place + 1 :]])


def _counts(m: int, n: int, w: int) -> tuple[int, int]:
    """Elements and scalars of a proof about ciphertexts that have an alpha for each beta."""
    several = m > 1
    elements = 2 * m + 3 + 2 * m + 4 * m * w + (3 * m + 3 if several else 0)
    scalars = 3 * n + 4 + 2 * w + (2 * n + 3 if several else 0)
    return elements, scalars


def best_dimensions(group: Group, count: int, width: int) -> tuple[int, int]:
    """m and n with m n >= count for which a proof is shortest; of those the least m.

    n is at least 2, which a product of values takes, and at least the width: as many numbers hide
    a ciphertext.
    """
    if count < 0 or width < 1:
        raise ShapeMismatch(f"{count} ciphertexts of width {width}")

    def size(m: int) -> int:
        elements, scalars = _counts(m, columns(m), width)
        return elements * group.element_size + scalars * group.scalar_size

    def columns(m: int) -> int:
        return max(2, width, -(-count // m))

    # d size / d m < 0 takes 5 n scalars more than 7 m elements: m^2 < 5/7 N scalar / element size
    limit = isqrt(count * group.scalar_size // group.element_size) + 2
    best = min(range(1, limit + 1), key=size)
    return best, columns(best)


def pad(ciphertexts: WideCiphertexts, count: int) -> WideCiphertexts:
    """`count` ciphertexts, the last of them trivial: all parts are 1."""
    missing = count - len(ciphertexts.beta)
    one = ciphertexts.group.identity
    return WideCiphertexts(
        alpha=concatenate([ciphertexts.alpha, one((missing, ciphertexts.nonces))]),
        beta=concatenate([ciphertexts.beta, one((missing, ciphertexts.width))]),
    )


class BayerGrothOracle(ArgumentOracle, Protocol):
    """The challenges of the shuffle argument itself, before those of its parts."""

    def powers_of(self, claim: BayerGrothClaim, c_a: Elements) -> Scalars:
        """x"""

    def product_of(
        self, claim: BayerGrothClaim, c_a: Elements, c_b: Elements
    ) -> tuple[Scalars, Scalars]:
        """y and z"""


def drawing(group: Group, rng: Rng | None, *parts: bytes) -> Draw:
    """Nonces that hash 32 bytes of `rng` with the parts, witness and statement."""
    hedged = hedged_rng(rng, *parts)
    return lambda shape: group.random_scalars(shape, secrecy=Secrecy.ONE_TIME, rng=hedged)


def prove_bayer_groth(
    claim: BayerGrothClaim,
    permutation: NDArray[np.intp],
    nonces: Scalars,
    oracle: BayerGrothOracle,
    *,
    context: bytes,
    rng: Rng | None = None,
) -> BayerGrothProof:
    """Prove a claim. What the witness is not, the proof will not verify.

    Cost: (m + 1) N (v + w) multiexp terms, where ciphertexts have v alphas and w betas, and few
    others.

    Args:
        permutation: pi, shape (N,): outputs[i] re-encrypts inputs[pi(i)].
        nonces: rho, shape (N, v).
        oracle: of the same state as the verifier's.
        context: what the oracle hashes besides the claim. The same nonces under other challenges
            would give the witness away.
        rng: of 32 bytes, hashed with the witness, the claim and the context.
    """
    group, m, n = claim.group, claim.m, claim.n
    if permutation.shape != (m * n,):
        raise ShapeMismatch(f"permutation {permutation.shape} for {m * n} ciphertexts")
    expect("nonces", (m * n, claim.inputs.nonces), nonces)
    draw = drawing(
        group,
        rng,
        permutation.tobytes(),
        nonces._secret_bytes(),
        context,
        claim.ck.bases.encode(),
        claim.key.encode(),
        claim.inputs.alpha.encode(),
        claim.inputs.beta.encode(),
        claim.outputs.alpha.encode(),
        claim.outputs.beta.encode(),
    )
    pi = group.scalars(permutation, secrecy=Secrecy.ONE_TIME)
    a, r = pi.reshape((m, n)), draw((m,))
    c_a = commit(claim.ck, a, r)
    x_powers = powers(oracle.powers_of(claim, c_a), m * n)
    b = x_powers.mark(Secrecy.ONE_TIME).take(permutation)
    b, s = b.reshape((m, n)), draw((m,))
    c_b = commit(claim.ck, b, s)
    y, z = oracle.product_of(claim, c_a, c_b)
    product = prove_product(
        claim.ck,
        _product_statement(claim, c_a, c_b, x_powers, y, z),
        y * a + b - z,
        y * r + s,
        oracle,
        draw,
    )
    rho = -(nonces * b.reshape((m * n, 1))).sum(0)
    multi_exponentiation = prove_multi_exponentiation(
        claim.ck,
        claim.key,
        MultiExponentiationStatement(
            rows=claim.outputs.reshape((m, n)),
            target=claim.inputs.multiexp(x_powers),
            c_a=c_b,
        ),
        b,
        s,
        rho,
        oracle,
        draw,
        hidden=claim.hidden,
    )
    return BayerGrothProof(
        c_a=c_a, c_b=c_b, product=product, multi_exponentiation=multi_exponentiation
    )


def _product_statement(
    claim: BayerGrothClaim,
    c_a: Elements,
    c_b: Elements,
    x_powers: Scalars,
    y: Scalars,
    z: Scalars,
) -> ProductStatement:
    """P_j = c_A,j^y c_B,j com(-z, ..., -z; 0), and beta = prod (y i + x^i - z)."""
    places = claim.group.scalars(range(claim.m * claim.n))
    c_minus_z = claim.ck.bases.prod() ** -z
    return ProductStatement(c_a=c_a**y * c_b * c_minus_z, b=(y * places + x_powers - z).prod())


def verify_bayer_groth(
    claim: BayerGrothClaim, proof: BayerGrothProof, oracle: BayerGrothOracle
) -> None:
    """Check a proof by one multi-exponentiation of all its equations under random weights.

    Cost: 2 N (v + w) multiexp terms, about m (12 + 2 (v + w)) + n more, and 3 m powers.

    Raises:
        ShapeMismatch, GroupMismatch: a part is missing, one too many, or of another shape.
        InvalidProof: `what` names the equations that fail.
    """
    m, n, last = claim.m, claim.n, proof.multi_exponentiation
    _check_groups(claim.group, proof)
    expect("c_A, c_B of a shuffle", (m,), proof.c_a, proof.c_b)
    expect("E of a shuffle", (2 * m, claim.inputs.nonces), last.e.alpha)
    expect("E of a shuffle", (2 * m, claim.inputs.width), last.e.beta)
    x_powers = powers(oracle.powers_of(claim, proof.c_a), m * n)
    y, z = oracle.product_of(claim, proof.c_a, proof.c_b)
    product = _product_statement(claim, proof.c_a, proof.c_b, x_powers, y, z)
    equations = equations_of_product(claim.ck, product, proof.product, oracle)
    # The target is taken from the proof and compared in the same batch: if it is another, so is
    # what was hashed, and the proof is refused anyway.
    target = last.e[m]
    statement = MultiExponentiationStatement(
        rows=claim.outputs.reshape((m, n)), target=target, c_a=proof.c_b
    )
    equations += equations_of_multi_exponentiation(
        claim.ck, claim.key, statement, last, oracle, hidden=claim.hidden
    )
    column, one = x_powers.reshape((m * n, 1)), claim.group.scalars([[-1]])
    for images, powers_of in (
        (target.alpha, claim.inputs.alpha),
        (target.beta, claim.inputs.beta),
    ):
        terms = ((images.reshape((1, len(images))), one), (powers_of, column))
        equations.append(
            Equation(name="multi-exponentiation: target", shape=images.shape, terms=terms)
        )
    require_equations("shuffle", equations)


def _check_groups(group: Group, part: object) -> None:
    """Refuse a proof with an array of another group."""
    if isinstance(part, Elements | Scalars):
        if part.group != group:
            raise GroupMismatch(f"{part.group.name} in a proof over {group.name}")
    elif part is not None:
        for name in part.__slots__:  # type: ignore[attr-defined]  # all are dataclasses
            _check_groups(group, getattr(part, name))


def decode_proof(
    group: Group,
    data: bytes,
    dimensions: tuple[int, int, int],
    *,
    allow_identity: bool = False,
    where: str = "",
) -> BayerGrothProof:
    """Read what `BayerGrothProof.encode` wrote, for m n ciphertexts with w alphas and betas.

    The target of a shuffle of nothing is the identity; elsewhere none is allowed.

    Raises:
        DecodingError: another length, an element that is none, or the identity.
    """
    m, n, w = dimensions
    if m < 1 or n < 2 or w < 1:
        raise ParameterError(f"no proof has dimensions {m}, {n}, {w}")
    count, numbers = _counts(m, n, w)
    size = count * group.element_size
    total = size + numbers * group.scalar_size
    if len(data) != total:
        raise DecodingError(f"a proof of {total} bytes expected, got {len(data)}", where=where)
    elements = _Parts(
        group.decode_elements(data[:size], (count,), allow_identity=allow_identity, where=where)
    )
    scalars = _Parts(group.decode_scalars(data[size:], (numbers,), where=where))
    one = group.identity((1,))
    c_a, c_b = elements.take(m), elements.take(m)
    c_product = hadamard = None
    if m > 1:
        c_product, running = elements.take(), elements.take(m)
        c_a0, c_bm = elements.take(), elements.take()
        c_d = concatenate([elements.take(m + 1), one, elements.take(m - 1)])
        zero = ZeroArgument(
            c_a0=c_a0,
            c_bm=c_bm,
            c_d=c_d,
            a=scalars.take(n),
            b=scalars.take(n),
            r=scalars.take(),
            s=scalars.take(),
            t=scalars.take(),
        )
        hadamard = HadamardArgument(c_b=running, zero=zero)
    single = SingleValueArgument(
        c_d=elements.take(),
        c_lower_delta=elements.take(),
        c_upper_delta=elements.take(),
        a=scalars.take(n),
        b=scalars.take(n),
        r=scalars.take(),
        s=scalars.take(),
    )
    last = MultiExponentiationArgument(
        c_a0=elements.take(),
        c_b=concatenate([elements.take(m), one, elements.take(m - 1)]),
        e=WideCiphertexts(
            alpha=elements.take(2 * m * w).reshape((2 * m, w)),
            beta=elements.take(2 * m * w).reshape((2 * m, w)),
        ),
        a=scalars.take(n),
        r=scalars.take(),
        b=scalars.take(w),
        s=scalars.take(),
        tau=scalars.take(w),
    )
    return BayerGrothProof(
        c_a=c_a,
        c_b=c_b,
        product=ProductArgument(c_b=c_product, hadamard=hadamard, single_value=single),
        multi_exponentiation=last,
    )


class _Parts(Generic[_ArrayT]):
    """An array, taken apart from the front."""

    def __init__(self, array: _ArrayT) -> None:
        self._array: _ArrayT = array
        self._place = 0

    def take(self, count: int | None = None) -> _ArrayT:
        """The next `count`, or the next one, of shape ()."""
        start = self._place
        self._place += 1 if count is None else count
        part: _ArrayT = self._array[start if count is None else slice(start, self._place)]
        return part
