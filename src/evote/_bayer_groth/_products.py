"""The arguments about products: zero, Hadamard, single value, product."""

from __future__ import annotations

from evote._bayer_groth._values import (
    ArgumentOracle,
    Draw,
    Equation,
    HadamardArgument,
    HadamardStatement,
    ProductArgument,
    ProductStatement,
    SingleValueArgument,
    SingleValueStatement,
    ZeroArgument,
    ZeroStatement,
    column,
    commit_padded,
    expect,
    opening_terms,
    powers,
    require_scalars,
    secret_zeros,
    star,
    unit_exponent,
    with_hole,
)
from evote.commitments import CommitmentKey, commit
from evote.errors import ShapeMismatch
from evote.groups import Elements, Scalars, concatenate, stack

__all__ = [
    "equations_of_hadamard",
    "equations_of_product",
    "equations_of_single_value",
    "equations_of_zero",
    "prove_hadamard",
    "prove_product",
    "prove_single_value",
    "prove_zero",
]


# -- zero ------------------------------------------------------------------------------------------


def prove_zero(
    ck: CommitmentKey,
    statement: ZeroStatement,
    a: Scalars,
    r: Scalars,
    b: Scalars,
    s: Scalars,
    oracle: ArgumentOracle,
    draw: Draw,
) -> ZeroArgument:
    """For A and B of shape (m, n) with nonces (m,). Cost: m^2 n products of scalars."""
    group, (m, n) = ck.group, a.shape
    a, r = concatenate([draw((1, n)), a]), concatenate([draw((1,)), r])  # a_0, A_0 ... A_{m-1}
    b, s = concatenate([b, draw((1, n))]), concatenate([s, draw((1,))])  # B_0 ... B_{m-1}, b_m
    ay = a * powers(statement.y, n, 1)
    # d_k = sum of a_i * b_j where j = m - k + i
    d = [
        (ay[max(0, k - m) : k + 1] * b[max(0, m - k) : 2 * m - k + 1]).sum()
        for k in range(2 * m + 1)
    ]
    t = with_hole(draw((2 * m,)), m + 1, secret_zeros(group, ()))
    c_a0, c_bm = commit(ck, a[0], r[0]), commit(ck, b[m], s[m])
    c_d = ck.blinding**t * ck.bases[0] ** stack(d)
    x = powers(oracle.zero(statement, c_a0, c_bm, c_d), 2 * m + 1)
    up, down = x[: m + 1], x[m::-1]
    argument = ZeroArgument(
        c_a0=c_a0,
        c_bm=c_bm,
        c_d=c_d,
        a=(column(up) * a).sum(0).publish(),
        b=(column(down) * b).sum(0).publish(),
        r=(up * r).sum().publish(),
        s=(down * s).sum().publish(),
        t=(x * t).sum().publish(),
    )
    oracle.respond(argument.a, argument.b, argument.r, argument.s, argument.t)
    return argument


def equations_of_zero(
    ck: CommitmentKey, statement: ZeroStatement, argument: ZeroArgument, oracle: ArgumentOracle
) -> list[Equation]:
    """What has to hold, for a key as wide as the vectors.

    Raises:
        ShapeMismatch, InvalidProof: already without the equations.
    """
    c_a, c_b, c_d = statement.c_a, statement.c_b, argument.c_d
    expect("zero argument: c_A", c_a.shape[:1], c_a, c_b)
    m, n = len(c_a), ck.width
    expect("zero argument: y", (), statement.y)
    expect("zero argument: c_d", (2 * m + 1,), c_d)
    expect("zero argument: a, b", (n,), argument.a, argument.b)
    expect("zero argument: r, s, t", (), argument.r, argument.s, argument.t)
    expect("zero argument: c_A0, c_Bm", (), argument.c_a0, argument.c_bm)
    require_scalars("zero (c_d)", bool(c_d[m + 1].is_identity()))
    x = powers(oracle.zero(statement, argument.c_a0, argument.c_bm, c_d), 2 * m + 1)
    a, b = argument.a, argument.b
    oracle.respond(a, b, argument.r, argument.s, argument.t)
    product = star(a, b, statement.y).reshape((1,))
    first, last = argument.c_a0, argument.c_bm
    return [
        Equation(
            name="zero: a",
            terms=(
                (first, unit_exponent(first)),
                (c_a, x[1 : m + 1]),
                *opening_terms(ck, a, argument.r),
            ),
        ),
        Equation(
            name="zero: b",
            terms=(
                (last, unit_exponent(last)),
                (c_b, x[m:0:-1]),
                *opening_terms(ck, b, argument.s),
            ),
        ),
        Equation(name="zero: d", terms=((c_d, x), *opening_terms(ck, product, argument.t))),
    ]


# -- hadamard --------------------------------------------------------------------------------------


def prove_hadamard(
    ck: CommitmentKey,
    statement: HadamardStatement,
    a: Scalars,
    r: Scalars,
    s: Scalars,
    oracle: ArgumentOracle,
    draw: Draw,
) -> HadamardArgument:
    """For A of shape (m, n) with nonces r (m,), and b committed to with the nonce s ()."""
    group, (m, n) = ck.group, a.shape
    running = [a[0]]
    for i in range(1, m):
        running.append(running[-1] * a[i])
    b = stack(running)
    inner = draw((m - 2,))
    nonces = concatenate([r[:1], inner, s.reshape((1,))])
    c_b = concatenate(
        [
            statement.c_a[:1],
            commit(ck, b[1 : m - 1], inner),
            statement.c_b.reshape((1,)),
        ]
    )
    x, y = oracle.hadamard(statement, c_b)
    x_powers = powers(x, m - 1, 1)
    minus_one = group.scalars(-1).broadcast_to((1, n))
    zero = prove_zero(
        ck,
        _zero_of_hadamard(ck, statement, c_b, x, y),
        concatenate([a[1:], minus_one]),
        concatenate([r[1:], secret_zeros(group, (1,))]),
        # x^(i+1) b_i, and sum x^i b_i
        concatenate(
            [
                column(x_powers) * b[: m - 1],
                (column(x_powers) * b[1:]).sum(0).reshape((1, n)),
            ]
        ),
        concatenate([x_powers * nonces[: m - 1], (x_powers * nonces[1:]).sum().reshape((1,))]),
        oracle,
        draw,
    )
    return HadamardArgument(c_b=c_b, zero=zero)


def _zero_of_hadamard(
    ck: CommitmentKey, statement: HadamardStatement, c_b: Elements, x: Scalars, y: Scalars
) -> ZeroStatement:
    group, m = ck.group, len(c_b)
    x_powers = powers(x, m - 1, 1)
    c_minus_one = ck.bases.prod().inverse().reshape((1,))  # com(-1, ..., -1; 0)
    total = group.multiexp(c_b[1:], x_powers).reshape((1,))
    return ZeroStatement(
        c_a=concatenate([statement.c_a[1:], c_minus_one]),
        c_b=concatenate([c_b[: m - 1] ** x_powers, total]),
        y=y,
    )


def equations_of_hadamard(
    ck: CommitmentKey,
    statement: HadamardStatement,
    argument: HadamardArgument,
    oracle: ArgumentOracle,
) -> list[Equation]:
    """As `equations_of_zero`."""
    c_a, c_b = statement.c_a, argument.c_b
    if c_a.ndim != 1 or len(c_a) < 2:
        raise ShapeMismatch(f"hadamard argument: at least 2 commitments expected, got {c_a.shape}")
    expect("hadamard argument: c_b", (), statement.c_b)
    expect("hadamard argument: c_B", c_a.shape, c_b)
    require_scalars(
        "hadamard (c_B)",
        bool(c_b[0].equal_mask(c_a[0])),
        bool(c_b[len(c_b) - 1].equal_mask(statement.c_b)),
    )
    x, y = oracle.hadamard(statement, c_b)
    zero = _zero_of_hadamard(ck, statement, c_b, x, y)
    return equations_of_zero(ck, zero, argument.zero, oracle)


# -- single value product --------------------------------------------------------------------------


def prove_single_value(
    ck: CommitmentKey,
    statement: SingleValueStatement,
    a: Scalars,
    r: Scalars,
    oracle: ArgumentOracle,
    draw: Draw,
) -> SingleValueArgument:
    """For a of shape (n,) with the nonce r ()."""
    group, n = ck.group, len(a)
    b = group.linear_recurrence(a, secret_zeros(group, (n,)), group.scalars(1))  # running products
    d, r_d, s_0, s_x = draw((n,)), draw(()), draw(()), draw(())
    delta = concatenate([d[:1], draw((n - 2,)), secret_zeros(group, (1,))])
    c_d = commit(ck, d, r_d)
    c_lower = commit_padded(ck, -(delta[: n - 1] * d[1:]), s_0)
    c_upper = commit_padded(ck, delta[1:] - a[1:] * delta[: n - 1] - b[: n - 1] * d[1:], s_x)
    x = oracle.single_value(statement, c_d, c_lower, c_upper)
    argument = SingleValueArgument(
        c_d=c_d,
        c_lower_delta=c_lower,
        c_upper_delta=c_upper,
        a=(x * a + d).publish(),
        b=(x * b + delta).publish(),
        r=(x * r + r_d).publish(),
        s=(x * s_x + s_0).publish(),
    )
    oracle.respond(argument.a, argument.b, argument.r, argument.s)
    return argument


def equations_of_single_value(
    ck: CommitmentKey,
    statement: SingleValueStatement,
    argument: SingleValueArgument,
    oracle: ArgumentOracle,
) -> list[Equation]:
    """As `equations_of_zero`."""
    n, name = ck.width, "single value argument"
    if n < 2:
        raise ShapeMismatch(f"{name}: at least 2 values expected, got {n}")
    a, b = argument.a, argument.b
    c_d, c_lower, c_upper = argument.c_d, argument.c_lower_delta, argument.c_upper_delta
    expect(f"{name}: c_a, b", (), statement.c_a, statement.b)
    expect(f"{name}: commitments", (), c_d, c_lower, c_upper)
    expect(f"{name}: a, b", (n,), a, b)
    expect(f"{name}: r, s", (), argument.r, argument.s)
    x = oracle.single_value(statement, c_d, c_lower, c_upper)
    oracle.respond(a, b, argument.r, argument.s)
    require_scalars(
        "single value (b)",
        bool(b[0].equal_mask(a[0])),
        bool(b[n - 1].equal_mask(x * statement.b)),
    )
    e = x * b[1:] - b[: n - 1] * a[1:]
    x = x.reshape((1,))
    return [
        Equation(
            name="single value: a",
            terms=(
                (statement.c_a, x),
                (c_d, unit_exponent(c_d)),
                *opening_terms(ck, a, argument.r),
            ),
        ),
        Equation(
            name="single value: delta",
            terms=(
                (c_upper, x),
                (c_lower, unit_exponent(c_lower)),
                *opening_terms(ck, e, argument.s),
            ),
        ),
    ]


# -- product ---------------------------------------------------------------------------------------


def prove_product(
    ck: CommitmentKey,
    statement: ProductStatement,
    a: Scalars,
    r: Scalars,
    oracle: ArgumentOracle,
    draw: Draw,
) -> ProductArgument:
    """For A of shape (m, n) with nonces (m,)."""
    b, hadamard = statement.b, None
    values, nonce, c_b = a[0], r[0], None
    if len(a) > 1:
        values, nonce = a.prod(0), draw(())
        c_b = commit(ck, values, nonce)
        product = HadamardStatement(c_a=statement.c_a, c_b=c_b)
        hadamard = prove_hadamard(ck, product, a, r, nonce, oracle, draw)
    single = SingleValueStatement(c_a=statement.c_a[0] if c_b is None else c_b, b=b)
    return ProductArgument(
        c_b=c_b,
        hadamard=hadamard,
        single_value=prove_single_value(ck, single, values, nonce, oracle, draw),
    )


def equations_of_product(
    ck: CommitmentKey,
    statement: ProductStatement,
    argument: ProductArgument,
    oracle: ArgumentOracle,
) -> list[Equation]:
    """As `equations_of_zero`. Parts that m = 1 does not use, or m >= 2 misses, are refused."""
    c_a, c_b, hadamard = statement.c_a, argument.c_b, argument.hadamard
    if c_a.ndim != 1 or not len(c_a):
        raise ShapeMismatch(f"product argument: commitments expected, got {c_a.shape}")
    equations: list[Equation] = []
    if len(c_a) > 1:
        if c_b is None or hadamard is None:
            raise ShapeMismatch("product argument: c_b and a hadamard argument expected")
        product = HadamardStatement(c_a=c_a, c_b=c_b)
        equations += equations_of_hadamard(ck, product, hadamard, oracle)
    elif c_b is not None or hadamard is not None:
        raise ShapeMismatch("product argument: no c_b and no hadamard argument expected")
    single = SingleValueStatement(c_a=c_a[0] if c_b is None else c_b, b=statement.b)
    return equations + equations_of_single_value(ck, single, argument.single_value, oracle)
