"""The shuffle argument of Bayer and Groth, and the arguments about commitments it is made of.

com(a; r) = h^r prod g_j^a_j commits to a vector of n values. Letters are those of the paper and of
Swiss Post's specification, places count from 0. Each argument is a claim about vectors A_i behind
commitments c_A,i, and costs its reader one multi-exponentiation of all its equations:

    zero             sum_i A_i * B_i = 0        where u * v = sum_j u_j v_j y^(j+1)
    hadamard         b = A_0 o ... o A_{m-1}    entry by entry
    single value     b = prod_j a_j
    product          b = prod of all entries of all A_i
    multi-exp.       C = enc(1; rho) prod_i C_i^A_i    C_i is a row of n ciphertexts

Where a challenge comes from is a parameter, `ArgumentOracle`. A ciphertext has w parts beta and
either w alphas or one for all (`WideCiphertexts`).

Sound if discrete logarithms to bases h, g_1 ... are hard, which takes bases nobody chose; zero
knowledge is perfect, and computational where one b_k hides several columns (Swiss Post's rule).

Reference: S. Bayer, J. Groth, "Efficient zero-knowledge argument for correctness of a shuffle"
(EUROCRYPT 2012).
"""

from evote._bayer_groth._multiexp import (
    equations_of_multi_exponentiation,
    prove_multi_exponentiation,
)
from evote._bayer_groth._products import (
    equations_of_hadamard,
    equations_of_product,
    equations_of_single_value,
    equations_of_zero,
    prove_hadamard,
    prove_product,
    prove_single_value,
    prove_zero,
)
from evote._bayer_groth._shuffle import (
    BayerGrothClaim,
    BayerGrothOracle,
    BayerGrothProof,
    best_dimensions,
    decode_proof,
    drawing,
    pad,
    prove_bayer_groth,
    verify_bayer_groth,
)
from evote._bayer_groth._values import (
    ArgumentOracle,
    Draw,
    Equation,
    HadamardArgument,
    HadamardStatement,
    MultiExponentiationArgument,
    MultiExponentiationStatement,
    ProductArgument,
    ProductStatement,
    SingleValueArgument,
    SingleValueStatement,
    WideCiphertexts,
    ZeroArgument,
    ZeroStatement,
    commit_padded,
    expect,
    powers,
    require_equations,
    star,
)

__all__ = [
    "ArgumentOracle",
    "BayerGrothClaim",
    "BayerGrothOracle",
    "BayerGrothProof",
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
    "best_dimensions",
    "commit_padded",
    "decode_proof",
    "drawing",
    "equations_of_hadamard",
    "equations_of_multi_exponentiation",
    "equations_of_product",
    "equations_of_single_value",
    "equations_of_zero",
    "expect",
    "pad",
    "powers",
    "prove_bayer_groth",
    "prove_hadamard",
    "prove_multi_exponentiation",
    "prove_product",
    "prove_single_value",
    "prove_zero",
    "require_equations",
    "star",
    "verify_bayer_groth",
]
