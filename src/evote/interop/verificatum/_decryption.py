"""Proofs of decryption: the factors of all parties, one combined proof, the plaintexts.

Party l has x_l of the shared key, y_l = g^x_l, and publishes factors f_l = u^(-x_l / c) for
c = lcm(1..k)^2. After a batching vector e over everything before, A = prod u_i^e_i:

    y'_l = g^rho_l    B'_l = A^rho_l    k_l = rho_l - v x_l / c

For the first lambda parties of CorrectIndices and Lambda_l = c prod_(i != l) i / (i - l), products
of powers with Lambda_l, over l, leave one proof of the joint key:

    f = prod f_l^Lambda_l, and so on for y', B' and k;    B = prod f(j)^e_j
    (y^-1)^v y' = g^k        B^v B' = A^k        plaintext j = v_j f(j)

Then f = u^-x. The others' factors are hashed, and change nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import lcm, prod

import numpy as np
from numpy.typing import NDArray

from evote._verificatum._codec import Codec, Widths
from evote._verificatum._oracle import Oracle
from evote._verificatum._trees import header
from evote.errors import DecodingError, VerificationError
from evote.groups import Elements, Group, Scalars, stack
from evote.interop.verificatum._session import CiphertextList, Session

__all__ = [
    "POLYNOMIAL",
    "Decryption",
    "Polynomial",
    "check_decryption",
    "check_plaintexts",
    "combine",
    "lagrange_integers",
    "read_decryption",
    "read_polynomial",
    "seed_pieces",
    "share_divisor",
]


POLYNOMIAL = "proofs/PolynomialInExponent.bt"


@dataclass(frozen=True, slots=True, kw_only=True)
class Polynomial:
    """The shared key in the exponent, P_0 to P_t, shape (t + 1, kappa), and its tree."""

    coefficients: Elements
    tree: bytes

    def party_keys(self, parties: int) -> Elements:
        """y_l = prod P_i^(l^i) for l = 1..k; shape (k, kappa)."""
        group: Group = self.coefficients.group
        degrees = range(len(self.coefficients))
        rows = [[party**i for i in degrees] for party in range(1, parties + 1)]
        powers = group.scalars(rows)
        return group.multiexp(self.coefficients[None], powers[:, :, None], axis=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Decryption:
    """What the parties published, one row for each.

    Attributes:
        factors, y_prime, b_prime, responses: shapes (k, n, w), (k, kappa), (k, w), (k, kappa).
        trees: of the factors.
        commitment: the tree of all first moves.
        chosen: lambda parties whose factors decrypt, from 0.
    """

    factors: Elements
    y_prime: Elements
    b_prime: Elements
    responses: Scalars
    trees: tuple[bytes, ...]
    commitment: bytes
    chosen: tuple[int, ...]


# -- reading ---------------------------------------------------------------------------------------


def read_polynomial(session: Session, key: Elements) -> Polynomial:
    """Read the polynomial; its value at 0 is the key."""
    codec, where = session.protocol.codec, session.files.where(POLYNOMIAL)
    reader = session.files.reader(POLYNOMIAL)
    count = reader.arity(1, session.protocol.threshold)
    rows = stack([codec.item(reader, session.widths.key_parts).reshape(-1) for _ in range(count)])
    reader.end()
    if count > 1 and rows[-1].is_identity().all():
        raise DecodingError("a last coefficient that is the identity", where=where)
    if rows[0] != key.reshape(-1):
        raise VerificationError(f"{where}: the polynomial is not that of the public key")
    return Polynomial(coefficients=rows, tree=bytes(reader.data))


def read_decryption(session: Session, count: int) -> Decryption:
    """The files of all parties, for `count` ciphertexts."""
    codec, files, protocol = session.protocol.codec, session.files, session.protocol
    chosen = _read_chosen(session)
    factors, trees, y_prime, b_prime, moves, responses = [], [], [], [], [], []
    for party in range(1, protocol.parties + 1):
        reader = files.reader(f"proofs/DecryptionFactors{party:02d}.bt")
        rows = codec.elements(reader, session.widths.message_parts, count)
        reader.end()
        factors.append(rows.reshape((count, -1)))
        trees.append(bytes(reader.data))
        reader = files.reader(f"proofs/DecrFactCommitment{party:02d}.bt")
        reader.node(2)
        y_prime.append(codec.item(reader, session.widths.key_parts).reshape(-1))
        b_prime.append(codec.item(reader, session.widths.message_parts).reshape(-1))
        reader.end()
        moves.append(reader.data)
        reader = files.reader(f"proofs/DecrFactReply{party:02d}.bt")
        responses.append(codec.scalar_item(reader, session.widths.key_parts).reshape(-1))
        reader.end()
    return Decryption(
        factors=stack(factors),
        y_prime=stack(y_prime),
        b_prime=stack(b_prime),
        responses=stack(responses),
        trees=tuple(trees),
        commitment=b"".join([header(0, protocol.parties), *moves]),
        chosen=chosen,
    )


def _read_chosen(session: Session) -> tuple[int, ...]:
    name = "proofs/CorrectIndices.bt"
    parties, threshold = session.protocol.parties, session.protocol.threshold
    where = session.files.where(name)
    reader = session.files.reader(name)
    marks = np.frombuffer(reader.leaf(parties + 1), dtype=np.uint8)
    reader.end()
    if (marks > 1).any():
        raise DecodingError("bytes 00 or 01 expected", where=where)
    found = np.flatnonzero(marks[1:]).tolist()
    if len(found) < threshold:
        reason = f"correct indices: {len(found)} parties, {threshold} needed"
        raise VerificationError(f"{where}: {reason}")
    return tuple(found[:threshold])


# -- verifying -------------------------------------------------------------------------------------


def share_divisor(parties: int) -> int:
    """c = lcm(1..k)^2, which makes the Lagrange coefficients integers for up to 8 parties."""
    return lcm(*range(1, parties + 1)) ** 2


def lagrange_integers(group: Group, chosen: Sequence[int], parties: int) -> list[int]:
    """Lambda_l of parties counted from 0, modulo q, of either sign and least absolute value."""
    q = group.order
    found = []
    for party in chosen:
        others = [i for i in chosen if i != party]
        above = share_divisor(parties) * prod(i + 1 for i in others)
        below = prod(i - party for i in others)
        value = above * pow(below, -1, q) % q
        found.append(value - q if 2 * value > q else value)
    return found


def combine(rows: Elements, weights: Sequence[int]) -> Elements:
    """prod rows[l]^weights[l]; small weights are short powers, negative ones divide."""

    def product(chosen: list[int]) -> Elements:
        powers = [rows[i] if abs(weights[i]) == 1 else rows[i] ** abs(weights[i]) for i in chosen]
        result = powers[0]
        for power in powers[1:]:
            result = result * power
        return result

    above = [i for i, weight in enumerate(weights) if weight > 0]
    below = [i for i, weight in enumerate(weights) if weight < 0]
    if not above:
        return product(below).inverse()
    return product(above) / product(below) if below else product(above)


def seed_pieces(
    codec: Codec, widths: Widths, inputs: bytes, polynomial: bytes, factors: Sequence[bytes]
) -> tuple[bytes, ...]:
    """What the batching vector hashes: g', w[], the polynomial, the factors of all parties."""
    generators = codec.group.generator.broadcast_to((widths.key,))
    return (
        header(0, 2),
        header(0, 2),
        codec.encode_item(generators, widths.key_parts),
        inputs,
        header(0, 2),
        polynomial,
        header(0, len(factors)),
        *factors,
    )


def check_decryption(
    session: Session,
    oracle: Oracle,
    inputs: CiphertextList,
    polynomial: Polynomial,
    decryption: Decryption,
) -> Elements:
    """Check the combined proof.

    Returns:
        f of shape (n, w): what times beta is the plaintext.

    Raises:
        VerificationError: the proof does not hold; names the parties whose own proofs do not.
    """
    group = session.protocol.codec.group
    codec, widths = session.protocol.codec, session.widths
    pieces = seed_pieces(codec, widths, inputs.tree, polynomial.tree, decryption.trees)
    seed = oracle.seed(*pieces)
    e = oracle.batching_vector(seed, len(inputs))
    v = oracle.challenge(seed, decryption.commitment)
    a = group.multiexp(inputs.ciphertexts.alpha, e[:, None], axis=0)
    weights = lagrange_integers(group, decryption.chosen, session.protocol.parties)
    chosen = list(decryption.chosen)
    f = combine(decryption.factors.take(chosen), weights)
    b = group.multiexp(f, e[:, None], axis=0)
    y_prime = combine(decryption.y_prime.take(chosen), weights)
    b_prime = combine(decryption.b_prime.take(chosen), weights)
    lagrange = group.scalars(weights)
    k = (decryption.responses.take(chosen) * lagrange[:, None]).sum(0)
    y = polynomial.coefficients[0]
    of_key = (y_prime / y**v).equal_mask(group.generator**k)
    of_factors = (b**v * b_prime).equal_mask(a ** session.widths.spread(k))
    if of_key.all() and of_factors.all():
        return f
    half = "factors" if of_key.all() else "key"
    guilty = _guilty(session, polynomial, decryption, a, e, v)
    named = ", ".join(str(party + 1) for party in guilty)
    suffix = f"; party {named}" if guilty else ""
    raise VerificationError(f"the decryption proof ({half}) does not hold{suffix}")


def _guilty(
    session: Session,
    polynomial: Polynomial,
    decryption: Decryption,
    a: Elements,
    e: Scalars,
    v: Scalars,
) -> list[int]:
    """Which of the chosen parties' own proofs do not hold."""
    group = session.protocol.codec.group
    parties = session.protocol.parties
    keys = polynomial.party_keys(parties)
    share = v * group.scalars(share_divisor(parties)).inverse()
    guilty = []
    for party in decryption.chosen:
        k = decryption.responses[party]
        # (y_l^-1)^(v/c) y'_l = g^k_l      (prod f_l^e)^v B'_l = A^k_l
        of_key = (decryption.y_prime[party] / keys[party] ** share).equal_mask(group.generator**k)
        b = group.multiexp(decryption.factors[party], e[:, None], axis=0)
        of_factors = (b**v * decryption.b_prime[party]).equal_mask(a ** session.widths.spread(k))
        if not (of_key.all() and of_factors.all()):
            guilty.append(party)
    return guilty


def check_plaintexts(session: Session, inputs: CiphertextList, factors: Elements) -> Elements:
    """Check that Plaintexts.bt is beta times the factors; the plaintexts, shape (n, w)."""
    reader = session.files.reader("Plaintexts.bt")
    rows = session.protocol.codec.elements(reader, session.widths.message_parts, len(inputs))
    reader.end()
    plaintexts = rows.reshape((len(inputs), -1))
    same: NDArray[np.bool_] = (inputs.ciphertexts.beta * factors).equal_mask(plaintexts)
    if not same.all():
        bad = np.flatnonzero(~same.all(axis=1)).tolist()
        shown = ", ".join(map(str, bad[:10])) + (", ..." if len(bad) > 10 else "")
        raise VerificationError(f"{reader.where}: plaintexts differ at index {shown}")
    return plaintexts
