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

from dataclasses import dataclass
from typing import Protocol

from evote.elgamal import Ciphertexts
from evote.groups import Elements, Group, Scalars

__all__ = [
    "ShuffleClaim",
    "ShuffleCommitment",
    "ShuffleOracle",
    "ShuffleResponses",
]


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
    """

    h: Elements
    u: Elements
    chained: bool = True
    key: Elements | None = None
    inputs: Ciphertexts | None = None
    outputs: Ciphertexts | None = None

    @property
    def group(self) -> Group:
        return self.h.group


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


@dataclass(frozen=True, slots=True, kw_only=True)
class ShuffleResponses:
    """The prover's last move: k_a, k_c, k_d of shape (), k_b and k_e (n,), k_f (w,)."""

    k_a: Scalars
    k_b: Scalars | None = None
    k_c: Scalars | None = None
    k_d: Scalars | None = None
    k_e: Scalars
    k_f: Scalars | None = None


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
