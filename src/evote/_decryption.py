"""Decryption by a quorum: each trustee's shares with their proofs, and how they combine.

A private sibling of `threshold`, which is the public path to all of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import lcm, prod

from evote.encoding import frame
from evote.errors import (
    DecodingError,
    InvalidProof,
    ParameterError,
    QuorumError,
    ShapeMismatch,
)
from evote.groups import Elements, Group, Rng, Scalars, Secrecy, concatenate
from evote.proofs import (
    SharesProof,
    SharesStatement,
    SharesWitness,
    decode_shares,
    prove_shares,
    verify_shares,
)
from evote.transcript import Transcript

CHUNK = 4096
"""Decryption shares under one proof."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DecryptionShares:
    """One trustee's part of n decryptions, with one proof for every `CHUNK` of them."""

    trustee: int
    shares: Elements
    proofs: tuple[SharesProof, ...]


def decryption_shares(
    trustee: int,
    secret: Scalars,
    verification_key: Elements,
    alphas: Elements,
    *,
    context: Sequence[bytes],
    purpose: bytes = b"decryption-share",
    rng: Rng | None = None,
) -> DecryptionShares:
    """A trustee's shares alpha^x_i, proven chunk by chunk.

    The caller has made sure that these alphas may be decrypted: see `ceremony.trustee_decrypt`.
    Cost: n constant-time powers, and n multiexp terms of 128 bits for the proofs.

    Args:
        trustee: its index i.
        secret: x_i, marked long-term.
        verification_key: y_i = g^x_i; checked, so that a wrong key file shows before it is used.
        alphas: shape (n,); n = 0 gives no proofs.
        context: what the proofs are bound to: election id and tally digest.
        purpose: of the proofs; a rehearsal has its own.
        rng: source of randomness; None means the operating system.
    """
    starts = range(0, alphas.size, CHUNK)
    chunks = list(
        decryption_share_chunks(
            trustee,
            secret,
            verification_key,
            (alphas[start : start + CHUNK] for start in starts),
            count=alphas.size,
            context=context,
            purpose=purpose,
            rng=rng,
        )
    )
    none = alphas.group.identity((0,))
    return DecryptionShares(
        trustee=trustee,
        shares=concatenate([none, *(shares for shares, _ in chunks)]),
        proofs=tuple(proof for _, proof in chunks),
    )


def decryption_share_chunks(
    trustee: int,
    secret: Scalars,
    verification_key: Elements,
    chunks: Iterable[Elements],
    *,
    count: int,
    context: Sequence[bytes],
    start: int = 0,
    purpose: bytes = b"decryption-share",
    rng: Rng | None = None,
) -> Iterator[tuple[Elements, SharesProof]]:
    """`decryption_shares` for any number of alphas: chunk by chunk, in the memory of one.

    Give the alphas the group of a pool (`Group.with_executor`) to use every core. A job that was
    stopped goes on after the chunks it has written: `start` of them, and `chunks` from there on.

    Args:
        chunks: `CHUNK` alphas each, the last one as many as are left of `count`.
        count: of all alphas; every proof is bound to it.
        start: the number of the first of `chunks`.

    Raises:
        ShapeMismatch: a chunk is not as long as it should be, or there are too few or too many.
        ParameterError: the secret is not the one behind the verification key.
    """
    group = verification_key.group
    if secret.secrecy != Secrecy.LONG_TERM:
        raise ParameterError("a key share is a long-term secret")
    if group.generator**secret != verification_key:
        raise ParameterError(f"the key share is not that of trustee {trustee}")
    number = start
    for number, alphas in enumerate(chunks, start):
        length = min(CHUNK, count - number * CHUNK)
        if length <= 0 or alphas.shape != (length,):
            raise ShapeMismatch(f"chunk {number}: shape {alphas.shape}, {max(length, 0)} expected")
        shares = alphas**secret
        statement = SharesStatement(public=verification_key, alphas=alphas, shares=shares)
        transcript = _share_transcript(group, purpose, context, trustee, number, count)
        yield (
            shares,
            prove_shares(statement, SharesWitness(secret=secret), transcript, rng=rng),
        )
        number += 1
    if number * CHUNK < count:
        raise ShapeMismatch(f"chunk {number} is missing")


def verify_decryption_shares(
    verification_key: Elements,
    alphas: Elements,
    shares: DecryptionShares,
    *,
    context: Sequence[bytes],
    purpose: bytes = b"decryption-share",
) -> None:
    """Check a trustee's shares against its verification key.

    Raises:
        ShapeMismatch: not one share for each alpha, or not one proof for each chunk.
        InvalidProof: names the trustee; `indices` lists the chunks.
    """
    if shares.shares.shape != alphas.shape or alphas.ndim != 1:
        raise ShapeMismatch(f"shares of shape {shares.shares.shape} for {alphas.shape} sums")
    chunks = (alphas[start : start + CHUNK] for start in range(0, alphas.size, CHUNK))
    verify_decryption_share_chunks(
        verification_key, chunks, shares, context=context, purpose=purpose
    )


def verify_decryption_share_chunks(
    verification_key: Elements,
    chunks: Iterable[Elements],
    shares: DecryptionShares,
    *,
    context: Sequence[bytes],
    purpose: bytes = b"decryption-share",
) -> None:
    """`verify_decryption_shares` for any number of alphas: chunk by chunk, in the memory of one.

    Args:
        chunks: `CHUNK` alphas each, the last one as many as are left.

    Raises:
        ShapeMismatch, InvalidProof: as `verify_decryption_shares`.
    """
    group, count = verification_key.group, shares.shares.size
    if len(shares.proofs) != -(-count // CHUNK):
        expected = -(-count // CHUNK)
        raise ShapeMismatch(f"{expected} proofs expected, got {len(shares.proofs)}")
    bad, done = [], 0
    for number, alphas in enumerate(chunks):
        part = shares.shares[done : done + CHUNK]
        if alphas.shape != part.shape:
            raise ShapeMismatch(f"shares of shape {part.shape} for {alphas.shape} sums")
        statement = SharesStatement(public=verification_key, alphas=alphas, shares=part)
        transcript = _share_transcript(group, purpose, context, shares.trustee, number, count)
        try:
            verify_shares(statement, shares.proofs[number], transcript)
        except InvalidProof:
            bad.append(number)
        done += alphas.size
    if done != count:
        raise ShapeMismatch(f"shares of shape {shares.shares.shape} for {done} sums")
    if bad:
        raise InvalidProof(f"decryption share of trustee {shares.trustee}", bad)


def _share_transcript(
    group: Group, purpose: bytes, context: Sequence[bytes], trustee: int, chunk: int, count: int
) -> Transcript:
    transcript = Transcript(purpose, group)
    transcript.append(b"context", frame(*context))
    transcript.append_integer(b"trustee", trustee)
    transcript.append_integer(b"chunk", chunk)
    transcript.append_integer(b"count", count)
    return transcript


def encode_share_proofs(shares: DecryptionShares) -> list[bytes]:
    """The proofs as bytes, one string for each chunk."""
    return [proof.encode() for proof in shares.proofs]


def decode_share_proofs(
    group: Group, proofs: Sequence[bytes], count: int, *, where: str = ""
) -> tuple[SharesProof, ...]:
    """Read the proofs for `count` shares: exactly one for each chunk."""
    expected = -(-count // CHUNK)
    if len(proofs) != expected:
        raise DecodingError(f"{expected} proofs expected, got {len(proofs)}", where=where)
    return tuple(
        decode_shares(group, proof, where=f"{where}[{chunk}]") for chunk, proof in enumerate(proofs)
    )


def lagrange_coefficients(group: Group, indices: Sequence[int], trustees: int) -> Scalars:
    """lambda_i = prod_(j != i) j / (j - i): the weights that interpolate at 0; shape (t,).

    Raises:
        ParameterError: an index that is not one of 1..trustees, or twice the same.
    """
    if any(type(i) is not int or not 1 <= i <= trustees for i in indices):
        raise ParameterError(f"trustee indices from 1 to {trustees} expected, got {list(indices)}")
    if len(set(indices)) < len(indices):
        raise ParameterError(f"a trustee occurs twice in {list(indices)}")
    if trustees >= group.order:
        raise ParameterError("more trustees than the group has scalars")
    weights, divisor = _lagrange_integers(indices)
    return group.scalars(weights) * group.scalars(divisor).inverse()


def combine(indices: Sequence[int], shares: Elements, *, quorum: int, trustees: int) -> Elements:
    """alpha^x from the verified shares of a quorum.

    Args:
        indices: of the trustees, in the order of the rows of `shares`.
        shares: shape (t, n); exactly the first `quorum` rows are used.
        quorum: of the election.
        trustees: how many there are.

    Raises:
        QuorumError: fewer than `quorum`; `missing` lists those without a share.
        ParameterError: bad indices.
    """
    if shares.ndim != 2 or shares.shape[0] != len(indices):
        raise ShapeMismatch(f"{len(indices)} rows of shares expected, got {shares.shape}")
    lagrange_coefficients(shares.group, indices, trustees)  # every index is checked, used or not
    if len(indices) < quorum:
        missing = [i for i in range(1, trustees + 1) if i not in indices]
        raise QuorumError(
            f"{len(indices)} decryption shares, {quorum} needed;"
            f" none from trustees {', '.join(map(str, missing))}",
            missing=missing,
        )
    # lambda_i = w_i / D with small integers w_i: short powers, and one long one by 1 / D at most.
    weights, divisor = _lagrange_integers(indices[:quorum])
    result = _signed_product(shares[:quorum], weights)
    return result if divisor == 1 else result ** shares.group.scalars(divisor).inverse()


def _lagrange_integers(indices: Sequence[int]) -> tuple[list[int], int]:
    """The coefficients at 0 over their least common denominator, and that."""
    fractions = [
        prod((Fraction(j, j - i) for j in indices if j != i), start=Fraction(1)) for i in indices
    ]
    divisor = lcm(*(fraction.denominator for fraction in fractions))
    return [int(fraction * divisor) for fraction in fractions], divisor


def _signed_product(rows: Elements, weights: Sequence[int]) -> Elements:
    """prod_i rows[i] ** weights[i], negative ones by division: reduced mod q they were long."""
    group = rows.group

    def product(chosen: list[int]) -> Elements:
        powers = group.scalars([abs(weights[i]) for i in chosen]).reshape((len(chosen), 1))
        return group.multiexp(rows.take(chosen), powers, axis=0)

    above = [i for i, weight in enumerate(weights) if weight > 0]
    below = [i for i, weight in enumerate(weights) if weight < 0]
    return product(above) / product(below) if below else product(above)
