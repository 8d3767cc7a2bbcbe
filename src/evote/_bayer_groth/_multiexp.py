"""The multi-exponentiation argument."""

from __future__ import annotations

from collections.abc import Iterable

from evote._bayer_groth._values import (
    ArgumentOracle,
    Draw,
    Equation,
    MultiExponentiationArgument,
    MultiExponentiationStatement,
    WideCiphertexts,
    column,
    commit_padded,
    expect,
    opening_terms,
    powers,
    require_scalars,
    secret_zeros,
    unit_exponent,
    with_hole,
)
from evote.commitments import CommitmentKey, commit
from evote.errors import ShapeMismatch
from evote.groups import Elements, Scalars, concatenate, stack

__all__ = [
    "equations_of_multi_exponentiation",
    "prove_multi_exponentiation",
]


def prove_multi_exponentiation(
    ck: CommitmentKey,
    key: Elements,
    statement: MultiExponentiationStatement,
    a: Scalars,
    r: Scalars,
    rho: Scalars,
    oracle: ArgumentOracle,
    draw: Draw,
    *,
    hidden: int,
) -> MultiExponentiationArgument:
    """For A of shape (m, n) with nonces r (m,), and rho (v,). Cost: m (m + 1) n (v + w) terms.

    Args:
        key: shape (w,).
        hidden: u, by how many numbers b_k each E_k is hidden: 1 or w.
    """
    group, rows, (m, n) = ck.group, statement.rows, a.shape
    g = group.generator
    a, r = concatenate([draw((1, n)), a]), concatenate([draw((1,)), r])  # a_0, A_0 ... A_{m-1}
    b = with_hole(draw((2 * m - 1, hidden)), m, secret_zeros(group, (hidden,)))
    s = with_hole(draw((2 * m - 1,)), m, secret_zeros(group, ()))
    tau = with_hole(draw((2 * m - 1, rows.nonces)), m, rho)
    c_a0, c_b = commit(ck, a[0], r[0]), commit_padded(ck, b, s)
    alphas, betas = [], []
    for k in range(2 * m):  # D_k = prod of C_i^a_j where j = k - m + i + 1
        low, high = max(0, m - 1 - k), min(m, 2 * m - k)
        factors = rows[low:high].reshape(((high - low) * n,))
        exponents = a[k - m + 1 + low : k - m + 1 + high].reshape(((high - low) * n,))
        product = factors.multiexp(exponents)
        alphas.append(product.alpha)
        betas.append(product.beta)
    e = WideCiphertexts(alpha=stack(alphas) * g**tau, beta=stack(betas) * g**b * key**tau)
    x = powers(oracle.multi_exponentiation(statement, c_a0, c_b, e), 2 * m)
    argument = MultiExponentiationArgument(
        c_a0=c_a0,
        c_b=c_b,
        e=e,
        a=(column(x[: m + 1]) * a).sum(0).publish(),
        r=(x[: m + 1] * r).sum().publish(),
        b=(column(x) * b).sum(0).publish(),
        s=(x * s).sum().publish(),
        tau=(column(x) * tau).sum(0).publish(),
    )
    oracle.respond(argument.a, argument.r, argument.b, argument.s, argument.tau)
    return argument


def equations_of_multi_exponentiation(
    ck: CommitmentKey,
    key: Elements,
    statement: MultiExponentiationStatement,
    argument: MultiExponentiationArgument,
    oracle: ArgumentOracle,
    *,
    hidden: int,
) -> list[Equation]:
    """As `equations_of_zero`; that E_m is the target is one of the equations."""
    rows, target, c_a, e = statement.rows, statement.target, statement.c_a, argument.e
    name = "multi-exponentiation argument"
    v, w = rows.nonces, rows.width
    if len(rows.places) != 2 or not all(rows.places):
        raise ShapeMismatch(f"{name}: rows of ciphertexts expected, got {rows.places}")
    m, n = rows.places
    expect(f"{name}: c_A", (m,), c_a)
    expect(f"{name}: key", (w,), key)
    expect(f"{name}: c_A0, r, s", (), argument.c_a0, argument.r, argument.s)
    expect(f"{name}: c_B", (2 * m,), argument.c_b)
    expect(f"{name}: E", (2 * m, v), e.alpha)
    expect(f"{name}: E", (2 * m, w), e.beta)
    expect(f"{name}: target", (v,), target.alpha)
    expect(f"{name}: target", (w,), target.beta)
    expect(f"{name}: a", (n,), argument.a)
    expect(f"{name}: b", (hidden,), argument.b)
    expect(f"{name}: tau", (v,), argument.tau)
    require_scalars("multi-exponentiation (c_B)", bool(argument.c_b[m].is_identity()))
    c_a0, c_b = argument.c_a0, argument.c_b
    x = powers(oracle.multi_exponentiation(statement, c_a0, c_b, e), 2 * m)
    oracle.respond(argument.a, argument.r, argument.b, argument.s, argument.tau)
    g = ck.group.generator
    on_rows = -(column(x[m - 1 :: -1]) * argument.a).reshape((m * n, 1))
    flat = rows.reshape((m * n,))
    tau, b = -argument.tau.reshape((1, v)), -argument.b.reshape((1, hidden))
    given = e[m].reshape((1,))
    wanted = target.reshape((1,))
    return [
        Equation(
            name="multi-exponentiation: a",
            terms=(
                (c_a0, unit_exponent(c_a0)),
                (c_a, x[1 : m + 1]),
                *opening_terms(ck, argument.a, argument.r),
            ),
        ),
        Equation(
            name="multi-exponentiation: b",
            terms=((c_b, x), *opening_terms(ck, argument.b, argument.s)),
        ),
        # prod E_k^x^k = enc(g^b; tau) prod C_i^(x^(m-1-i) a)
        Equation(
            name="multi-exponentiation: E",
            shape=(v,),
            terms=((e.alpha, column(x)), (g, tau), (flat.alpha, on_rows)),
        ),
        Equation(
            name="multi-exponentiation: E",
            shape=(w,),
            terms=(
                (e.beta, column(x)),
                (g, b.broadcast_to((1, w))),
                (key.reshape((1, w)), tau.broadcast_to((1, w))),
                (flat.beta, on_rows),
            ),
        ),
        *_equal("multi-exponentiation: target", given, wanted),
    ]


def _equal(name: str, left: WideCiphertexts, right: WideCiphertexts) -> Iterable[Equation]:
    for a, b in ((left.alpha, right.alpha), (left.beta, right.beta)):
        one = unit_exponent(a)
        yield Equation(name=name, shape=a.shape[1:], terms=((a, one), (b, -one)))
