"""Statements and arguments of Bayer and Groth, their challenges, and equations checked at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from evote._batch import draw_weights
from evote.commitments import CommitmentKey, commit
from evote.errors import GroupMismatch, InvalidProof, ShapeMismatch
from evote.groups import Elements, Group, Scalars, Secrecy, concatenate

__all__ = [
    "ArgumentOracle",
    "Draw",
    "Equation",
    "HadamardArgument",
    "HadamardStatement",
    "MultiExponentiationArgument",
    "MultiExponentiationStatement",
    "ProductArgument",
    "ProductStatement",
    "SingleValueArgument",
    "SingleValueStatement",
    "WideCiphertexts",
    "ZeroArgument",
    "ZeroStatement",
    "column",
    "commit_padded",
    "expect",
    "opening_terms",
    "powers",
    "require_equations",
    "require_scalars",
    "secret_zeros",
    "star",
    "unit_exponent",
    "with_hole",
]

_Shape: TypeAlias = tuple[int, ...]
Draw: TypeAlias = Callable[[_Shape], Scalars]
"""Fresh one-time nonces of a shape."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WideCiphertexts:
    """Ciphertexts of w messages: alpha of shape (..., v), where v is w or 1, and beta (..., w)."""

    alpha: Elements
    beta: Elements

    def __post_init__(self) -> None:
        alpha, beta = self.alpha.shape, self.beta.shape
        if self.alpha.group != self.beta.group:
            raise GroupMismatch("alpha and beta are of different groups")
        if not beta or alpha[:-1] != beta[:-1] or alpha[-1] not in (1, beta[-1]) or not beta[-1]:
            raise ShapeMismatch(f"alpha {alpha} and beta {beta} do not pair")

    @property
    def group(self) -> Group:
        return self.alpha.group

    @property
    def nonces(self) -> int:
        """v: of how many nonces one ciphertext is made."""
        return self.alpha.shape[-1]

    @property
    def width(self) -> int:
        """w: how many messages one ciphertext holds."""
        return self.beta.shape[-1]

    @property
    def places(self) -> _Shape:
        """The shape of the array, whatever a ciphertext is made of."""
        return self.beta.shape[:-1]

    def __getitem__(self, key: object) -> WideCiphertexts:
        return WideCiphertexts(alpha=self.alpha[key], beta=self.beta[key])

    def reshape(self, places: _Shape) -> WideCiphertexts:
        return WideCiphertexts(
            alpha=self.alpha.reshape((*places, self.nonces)),
            beta=self.beta.reshape((*places, self.width)),
        )

    def multiexp(self, exponents: Scalars) -> WideCiphertexts:
        """The product of ciphertexts[i] ** exponents[i], for places (k,)."""
        column = exponents.reshape((len(exponents), 1))
        return WideCiphertexts(
            alpha=self.group.multiexp(self.alpha, column, axis=0),
            beta=self.group.multiexp(self.beta, column, axis=0),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ZeroStatement:
    """Claim: sum_i A_i * B_i = 0; c_a and c_b of shape (m,), y of shape ()."""

    c_a: Elements
    c_b: Elements
    y: Scalars


@dataclass(frozen=True, slots=True, kw_only=True)
class ZeroArgument:
    """c_d of shape (2m + 1,), a and b of shape (n,), the rest of shape ()."""

    c_a0: Elements
    c_bm: Elements
    c_d: Elements
    a: Scalars
    b: Scalars
    r: Scalars
    s: Scalars
    t: Scalars


@dataclass(frozen=True, slots=True, kw_only=True)
class HadamardStatement:
    """Claim: b is the entrywise product of the m >= 2 vectors in c_a; c_b of shape ()."""

    c_a: Elements
    c_b: Elements


@dataclass(frozen=True, slots=True, kw_only=True)
class HadamardArgument:
    """Commitments to the running products, shape (m,), and a zero argument about them."""

    c_b: Elements
    zero: ZeroArgument


@dataclass(frozen=True, slots=True, kw_only=True)
class SingleValueStatement:
    """Claim: b is the product of the n >= 2 values in c_a; both of shape ()."""

    c_a: Elements
    b: Scalars


@dataclass(frozen=True, slots=True, kw_only=True)
class SingleValueArgument:
    """Commitments of shape (), a and b (a~ and b~) of shape (n,), r and s of shape ()."""

    c_d: Elements
    c_lower_delta: Elements
    c_upper_delta: Elements
    a: Scalars
    b: Scalars
    r: Scalars
    s: Scalars


@dataclass(frozen=True, slots=True, kw_only=True)
class ProductStatement:
    """Claim: b is the product of all values in the commitments c_a of shape (m,)."""

    c_a: Elements
    b: Scalars


@dataclass(frozen=True, slots=True, kw_only=True)
class ProductArgument:
    """With m = 1 `c_b` and `hadamard` are None, with m >= 2 neither is."""

    c_b: Elements | None
    hadamard: HadamardArgument | None
    single_value: SingleValueArgument


@dataclass(frozen=True, slots=True, kw_only=True)
class MultiExponentiationStatement:
    """Claim: target = enc(1; rho) prod_i rows[i]^A_i. Places (m, n) and (), c_a of shape (m,)."""

    rows: WideCiphertexts
    target: WideCiphertexts
    c_a: Elements


@dataclass(frozen=True, slots=True, kw_only=True)
class MultiExponentiationArgument:
    """c_b of shape (2m,), e of places (2m,), a of shape (n,), b (u,), tau (v,); r and s ().

    u is 1 or w: whether E_k hides all columns by one b_k, or each by its own.
    """

    c_a0: Elements
    c_b: Elements
    e: WideCiphertexts
    a: Scalars
    r: Scalars
    b: Scalars
    s: Scalars
    tau: Scalars


class ArgumentOracle(Protocol):
    """Challenges, each a hash of the statement and of the prover's first move.

    Prover and verifier call the same methods in the same order, `respond` after each argument with
    all its responses.
    """

    def hadamard(self, statement: HadamardStatement, c_b: Elements) -> tuple[Scalars, Scalars]:
        """x and y"""

    def zero(
        self, statement: ZeroStatement, c_a0: Elements, c_bm: Elements, c_d: Elements
    ) -> Scalars: ...

    def single_value(
        self, statement: SingleValueStatement, c_d: Elements, c_lower: Elements, c_upper: Elements
    ) -> Scalars: ...

    def multi_exponentiation(
        self,
        statement: MultiExponentiationStatement,
        c_a0: Elements,
        c_b: Elements,
        e: WideCiphertexts,
    ) -> Scalars: ...

    def respond(self, *responses: Scalars) -> None: ...


# -- equations -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Equation:
    """Claim: at each place of `shape` the product of elements ** scalars over the first axis is 1.

    Scalars of a term have a first axis of any length and broadcast against its elements; one
    element serves all places.
    """

    name: str
    shape: _Shape = ()
    terms: tuple[tuple[Elements, Scalars], ...]


def require_equations(what: str, equations: Sequence[Equation]) -> None:
    """Check all equations by one multi-exponentiation under random weights of 128 bits.

    Bases that occur in several are taken once. Sound up to 2^-128, as `_batch` is.

    Raises:
        InvalidProof: names the equations that fail, each then computed alone.
    """
    group = equations[0].terms[0][0].group
    parts = [s.encode() for each in equations for _, s in each.terms]
    weights = draw_weights(group, [each.shape for each in equations], parts)
    bases: dict[int, tuple[Elements, Scalars]] = {}
    for each, weight in zip(equations, weights, strict=True):
        for elements, scalars in each.terms:
            exponents = scalars * weight
            if elements.size == 1:
                exponents = exponents.sum()
            exponents = exponents.broadcast_to(elements.shape)
            if id(elements) in bases:  # the statement holds it: no other takes its place
                exponents = exponents + bases[id(elements)][1]
            bases[id(elements)] = elements, exponents
    product = group.multiexp(
        concatenate([elements.reshape((elements.size,)) for elements, _ in bases.values()]),
        concatenate([exponents.reshape((exponents.size,)) for _, exponents in bases.values()]),
    )
    if bool(product.is_identity()):
        return
    failed = dict.fromkeys(each.name for each in equations if not _holds(each))
    raise InvalidProof(f"{what} ({', '.join(failed)})")


def _holds(equation: Equation) -> bool:
    group = equation.terms[0][0].group
    product = group.identity(equation.shape)
    for elements, scalars in equation.terms:
        product = product * group.multiexp(elements, scalars, axis=0)
    return bool(product.is_identity().all())


def expect(what: str, shape: _Shape, *arrays: Elements | Scalars | None) -> None:
    """Refuse an array that is missing or of another shape."""
    for array in arrays:
        found = None if array is None else array.shape
        if found != shape:
            raise ShapeMismatch(f"{what}: shape {shape} expected, got {found}")


def require_scalars(what: str, *conditions: bool) -> None:
    if not all(conditions):
        raise InvalidProof(what)


def powers(x: Scalars, count: int, first: int = 0) -> Scalars:
    """x^first, x^(first+1), ...: shape (count,)."""
    group, one = x.group, x.group.scalars(1)
    steps = group.linear_recurrence(
        x.broadcast_to((first + count - 1,)), group.scalars([0] * (first + count - 1)), one
    )
    return concatenate([one.reshape((1,)), steps])[first:]


def star(u: Scalars, v: Scalars, y: Scalars) -> Scalars:
    """u * v = sum_j u_j v_j y^(j+1), along the last axis, summed over all others."""
    return (u * v * powers(y, u.shape[-1], 1)).sum()


def column(scalars: Scalars) -> Scalars:
    return scalars.reshape((len(scalars), 1))


def unit_exponent(elements: Elements) -> Scalars:
    """The exponent 1, of shape (1, ...) with as many axes as the elements."""
    return elements.group.scalars(1).reshape((1,) * max(elements.ndim, 1))


def _padded(ck: CommitmentKey, values: Scalars) -> Scalars:
    """Rows of values, zeros after them up to the width of the key."""
    missing = ck.width - values.shape[-1]
    if missing < 0:
        raise ShapeMismatch(f"{values.shape[-1]} values for a key of width {ck.width}")
    if not missing:
        return values
    zeros = ck.group.scalars(0).broadcast_to((*values.shape[:-1], missing))
    return concatenate([values, zeros], axis=-1)


def commit_padded(ck: CommitmentKey, values: Scalars, nonces: Scalars) -> Elements:
    """Commitments to rows that may be shorter than the key is wide."""
    return commit(ck, _padded(ck, values), nonces)


def opening_terms(
    ck: CommitmentKey, values: Scalars, nonce: Scalars
) -> tuple[tuple[Elements, Scalars], ...]:
    """com(values; nonce)^-1 as terms of an equation."""
    return (ck.bases, -_padded(ck, values)), (ck.blinding, -nonce.reshape((1,)))


def with_hole(scalars: Scalars, place: int, value: Scalars) -> Scalars:
    """One row more, at a place."""
    return concatenate([scalars[:place], value.reshape((1, *value.shape)), scalars[place:]])


def secret_zeros(group: Group, shape: _Shape) -> Scalars:
    return group.scalars(0, secrecy=Secrecy.ONE_TIME).broadcast_to(shape)
