"""Encrypted ballots and their proofs.

A ballot holds, for each contest of its style, one exponential ElGamal ciphertext per option (and
one for the blank bit where blanks are counted), a proof that each option holds 0 .. option_limit,
and a proof that the sum lies in minimum .. maximum (or that the blank bit is 1 and the sum 0).
All proofs of a ballot answer one challenge, a hash of everything that gives the ballot its place:

    Transcript("ballot", CDS): "election" election id, "key" joint key, "credential", "style",
        for each contest: "contest" id, "rules" canonical JSON of the contest, "ciphertexts";
        for each contest: "option commitments", "sum commitments";   squeeze "challenge"

so nothing of it fits another voter, contest, option or election. Nonces of ciphertexts come from a
seed of 32 bytes, so that publishing the seed opens the ballot (and casting must erase it):

    nonce = xof("ballot-nonce", seed, election id, credential, contest id, uint32(position),
                uint32(plaintext), "encryption") mod q

`Ballots` are n ballots of one style; each function below makes as many bulk calls for a thousand
as for one. The steps and the sizes do not depend on what was chosen. Nonces are used once and may
take tables; the voter's device must be trusted with the choice in any case.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evote._ballot_bodies import (
    BallotContext,
    Ballots,
    ContestBallots,
    DecodedBatch,
    body_sizes,
    decode_ballots,
    encode_ballots,
    rows_of,
)
from evote._base32 import grouped, to_digits
from evote.contests import Contest, pack_selections
from evote.elgamal import (
    Ciphertexts,
    PublicKey,
    concatenate_ciphertexts,
    encrypt_with_nonces,
)
from evote.encoding import digest, frame, uint32, xof
from evote.errors import InvalidProof, ParameterError, ShapeMismatch, VerificationError
from evote.groups import Rng, Scalars, Secrecy, concatenate
from evote.proofs import (
    Equations,
    OneOfStatement,
    OneOfWitness,
    commit_one_of,
    one_of_equations,
    respond_one_of,
    verify_batch,
)
from evote.transcript import Transcript

__all__ = [
    "SEED_SIZE",
    "BallotContext",
    "Ballots",
    "ContestBallots",
    "DecodedBatch",
    "ballot_digest",
    "ballot_equations",
    "ballot_tracker",
    "ballots_hold",
    "body_sizes",
    "decode_ballots",
    "encode_ballots",
    "encrypt_ballots",
    "false_claims",
    "open_ballot",
    "open_ballots",
    "verify_ballots",
]

SEED_SIZE = 32
_TRACKER_BITS = 100


# The statements, and the one challenge.


class _Statements(NamedTuple):
    """What a ballot claims about a contest: every option in range, and the sum."""

    options: OneOfStatement  # ciphertexts (n, options, 1)
    sums: OneOfStatement  # ciphertexts (n, 1), or (n, 2) for (blank, sum)


def _statements(key: PublicKey, contest: Contest, ciphertexts: Ciphertexts) -> _Statements:
    n, count = len(ciphertexts), len(contest.options)
    options = ciphertexts[:, :count]
    sums = options.prod(axis=1).reshape((n, 1))
    if contest.counts_blanks:
        sums = concatenate_ciphertexts([ciphertexts[:, count:], sums], axis=1)
    return _Statements(
        OneOfStatement(
            key=key, ciphertexts=options.reshape((n, count, 1)), values=contest.option_values()
        ),
        OneOfStatement(key=key, ciphertexts=sums, values=contest.sum_values()),
    )


def _challenges(
    context: BallotContext,
    style: str,
    credentials: Sequence[bytes],
    ciphertexts: Sequence[Ciphertexts],
    commitments: Sequence[tuple[Ciphertexts, Ciphertexts]],
) -> Scalars:
    """The challenge of each of n ballots, shape (n,); for prover and verifier alike."""
    start = Transcript(b"ballot", context.group, flavour=b"CDS")
    start.append(b"election", context.election_id)
    start.append(b"key", context.key.element.encode())
    names = [
        (contest.id.encode("ascii"), contest.encode()) for contest in context.style_contests(style)
    ]
    n = len(credentials)
    ciphertext_rows = [rows_of(array, n) for array in ciphertexts]
    commitment_rows = [(rows_of(options, n), rows_of(sums, n)) for options, sums in commitments]
    size = context.group.uniform_size
    drawn = []
    for i, credential in enumerate(credentials):
        transcript = start.fork()
        transcript.append(b"credential", credential)
        transcript.append(b"style", style.encode("ascii"))
        for (name, rules), rows in zip(names, ciphertext_rows, strict=True):
            transcript.append(b"contest", name)
            transcript.append(b"rules", rules)
            transcript.append(b"ciphertexts", rows[i])
        for option_rows, sum_rows in commitment_rows:
            transcript.append(b"option commitments", option_rows[i])
            transcript.append(b"sum commitments", sum_rows[i])
        drawn.append(transcript.squeeze(b"challenge", size))
    return context.group.scalars_from_uniform(b"".join(drawn), (n,))


# Encryption.


def encrypt_ballots(
    context: BallotContext,
    style: str,
    credentials: Sequence[bytes],
    selections: Mapping[str, ArrayLike],
    blanks: Mapping[str, ArrayLike] | None = None,
    *,
    seeds: Sequence[bytes] | None = None,
    rng: Rng | None = None,
) -> tuple[Ballots, list[bytes]]:
    """Encrypt the ballots of n voters of one style, with their proofs.

    Cost per option: 2 powers of g and y for the ciphertext; those of its proof, `commit_one_of`.

    Args:
        style: id of the style.
        credentials: of the n voters, 32 bytes each.
        selections: for each contest of the style, integers of shape (n, options).
        blanks: for contests that count blanks, n bits; missing ones declare none.
        seeds: 32 bytes for each ballot, for known answers and openings; fresh ones by default.

    Returns:
        The ballots, and their seeds: who holds a seed can open the ballot.

    Raises:
        ParameterError: a choice that a contest does not allow, or a missing or unknown contest.
    """
    n = len(credentials)
    if any(len(credential) != 32 for credential in credentials):
        raise ParameterError("a credential is 32 bytes")
    if seeds is None:
        seeds = [(rng or os.urandom)(SEED_SIZE) for _ in range(n)]
    plaintexts = _plaintexts(context, style, n, selections, blanks)
    key, contests = context.key, context.style_contests(style)
    ciphertexts, statements, witnesses = [], [], []
    for contest, values in zip(contests, plaintexts, strict=True):
        nonces = _nonces(context, contest, credentials, seeds, values)
        encrypted = _encrypt(key, contest, values, nonces)
        encrypted.encode()  # whatever is cut from it then has its encoding already
        ciphertexts.append(encrypted)
        statements.append(_statements(key, contest, encrypted))
        witnesses.append(_witnesses(contest, values, nonces))
    # All that the one challenge will hash goes into the nonces of every proof under it.
    chosen = [row for encrypted in ciphertexts for row in rows_of(encrypted, n)]
    place = frame(context.election_id, style.encode("ascii"), *credentials, *chosen)
    committed = [
        (
            commit_one_of(s.options, w.options, rng=rng, context=place),
            commit_one_of(s.sums, w.sums, rng=rng, context=place),
        )
        for s, w in zip(statements, witnesses, strict=True)
    ]
    commitments = [(options[0], sums[0]) for options, sums in committed]
    challenges = _challenges(context, style, credentials, ciphertexts, commitments)
    parts = [
        ContestBallots(
            contest=contest,
            ciphertexts=encrypted,
            options=respond_one_of(options[1], challenges),
            sums=respond_one_of(sums[1], challenges),
        )
        for contest, encrypted, (options, sums) in zip(
            contests, ciphertexts, committed, strict=True
        )
    ]
    ballots = Ballots(style=style, credentials=tuple(credentials), contests=tuple(parts))
    return ballots, list(seeds)


def _plaintexts(
    context: BallotContext,
    style: str,
    n: int,
    selections: Mapping[str, ArrayLike],
    blanks: Mapping[str, ArrayLike] | None,
) -> list[NDArray[np.int64]]:
    """The checked plaintexts (n, width) of each contest of the style."""
    declared = blanks or {}
    contests = context.style_contests(style)
    names = {contest.id for contest in contests}
    for given in (*selections, *declared):
        if given not in names:
            raise ParameterError(f"style {style!r} has no contest {given!r}")
    plaintexts = []
    for contest in contests:
        if contest.id not in selections:
            raise ParameterError(f"no selections for contest {contest.id!r}")
        values = pack_selections(contest, selections[contest.id], declared.get(contest.id))
        if len(values) != n:
            raise ShapeMismatch(f"contest {contest.id!r}: {len(values)} selections, {n} voters")
        plaintexts.append(values)
    return plaintexts


def _nonces(
    context: BallotContext,
    contest: Contest,
    credentials: Sequence[bytes],
    seeds: Sequence[bytes],
    plaintexts: NDArray[np.int64],
) -> Scalars:
    """The nonces (n, width) that the seeds give: a pure function of its arguments."""
    if len(seeds) != len(credentials) or any(len(seed) != SEED_SIZE for seed in seeds):
        raise ParameterError(f"one seed of {SEED_SIZE} bytes for each ballot expected")
    election, name = context.election_id, contest.id.encode("ascii")
    size = context.group.uniform_size
    drawn = [
        xof(
            "ballot-nonce",
            seed,
            election,
            credential,
            name,
            uint32(position),
            uint32(value),
            b"encryption",
            length=size,
        )
        for seed, credential, row in zip(seeds, credentials, plaintexts.tolist(), strict=True)
        for position, value in enumerate(row)
    ]
    return context.group.scalars_from_uniform(
        b"".join(drawn), plaintexts.shape, secrecy=Secrecy.ONE_TIME
    )


def _encrypt(
    key: PublicKey, contest: Contest, plaintexts: NDArray[np.int64], nonces: Scalars
) -> Ciphertexts:
    group = key.group
    values = group.scalars(range(contest.option_limit + 1), secrecy=Secrecy.ONE_TIME)
    messages = group.generator**values  # of all that there may be, whatever was chosen
    return encrypt_with_nonces(key, messages[plaintexts], nonces)


class _Witnesses(NamedTuple):
    options: OneOfWitness
    sums: OneOfWitness


def _witnesses(contest: Contest, plaintexts: NDArray[np.int64], nonces: Scalars) -> _Witnesses:
    """Which branch is true, and the nonces, for options and sum."""
    n, count = len(plaintexts), len(contest.options)
    marks, branch = plaintexts[:, :count], plaintexts[:, :count].sum(axis=1) - contest.minimum
    option_nonces = nonces[:, :count]
    sum_nonces = option_nonces.sum(axis=1).reshape((n, 1))
    if contest.counts_blanks:
        sum_nonces = concatenate([nonces[:, count:], sum_nonces], axis=1)
        branch = (branch + 1) * (1 - plaintexts[:, count])  # branch 0 is the declared blank
    return _Witnesses(
        OneOfWitness(branches=marks, nonces=option_nonces.reshape((n, count, 1))),
        OneOfWitness(branches=branch, nonces=sum_nonces),
    )


# Verification.


def ballot_equations(context: BallotContext, ballots: Ballots) -> list[Equations]:
    """What must hold for the proofs of n ballots, for a batch of any size; leading axis n.

    Raises:
        ShapeMismatch: the proofs are not those of this style.
    """
    contests = context.style_contests(ballots.style)
    if tuple(part.contest for part in ballots.contests) != contests:
        raise ParameterError(f"these are no ballots of style {ballots.style!r} here")
    challenges = _challenges(
        context,
        ballots.style,
        ballots.credentials,
        [part.ciphertexts for part in ballots.contests],
        [(part.options.commitments, part.sums.commitments) for part in ballots.contests],
    )
    equations = []
    for part in ballots.contests:
        statements = _statements(context.key, part.contest, part.ciphertexts)
        equations.append(one_of_equations(statements.options, part.options, challenges))
        equations.append(one_of_equations(statements.sums, part.sums, challenges))
    return equations


def ballots_hold(
    context: BallotContext, ballots: Ballots, *, rng: Rng | None = None
) -> NDArray[np.bool_]:
    """Which of n ballots have proofs that hold. One multi-exponentiation when all do."""
    if not len(ballots):
        return np.ones(0, dtype=np.bool_)
    return verify_batch(ballot_equations(context, ballots), rng=rng)


def false_claims(context: BallotContext, ballots: Ballots) -> list[list[str]]:
    """For each of n ballots the claims whose proofs fail, in words: contest and option, or sum.

    Every equation alone: for the few ballots that `ballots_hold` has found.
    """
    found: list[list[str]] = [[] for _ in range(len(ballots))]
    equations = iter(ballot_equations(context, ballots))
    for part in ballots.contests:
        places = [f"contest {part.contest.id!r}, option {o.id!r}" for o in part.contest.options]
        options, sums = next(equations), next(equations)
        # All branches of a claim stand or fall together: they share its challenge.
        wrong = ~options.hold().all(axis=(2, 3))
        for i, option in np.argwhere(wrong).tolist():
            found[i].append(places[option])
        for i in np.flatnonzero(~sums.proofs_hold()).tolist():
            found[i].append(f"contest {part.contest.id!r}, sum")
    return found


def verify_ballots(context: BallotContext, ballots: Ballots, *, rng: Rng | None = None) -> None:
    """Check the proofs of n ballots.

    Raises:
        InvalidProof: some do not hold; `indices` are their places among the ballots.
    """
    InvalidProof.unless(ballots_hold(context, ballots, rng=rng), "ballot")


# Opening, and names.


def open_ballots(
    context: BallotContext,
    ballots: Ballots,
    seeds: Sequence[bytes],
    selections: Mapping[str, ArrayLike],
    blanks: Mapping[str, ArrayLike] | None = None,
) -> None:
    """Check that n spoiled ballots encrypt what their openings say, by encrypting again.

    Arguments as of `encrypt_ballots`, from published openings: whatever is wrong with them is
    their author's fault.

    Raises:
        VerificationError: names the first ballot, and its contest, that opens to something else.
    """
    try:
        plaintexts = _plaintexts(context, ballots.style, len(ballots), selections, blanks)
        for part, values in zip(ballots.contests, plaintexts, strict=True):
            nonces = _nonces(context, part.contest, ballots.credentials, seeds, values)
            same = part.ciphertexts.equal_mask(
                _encrypt(context.key, part.contest, values, nonces)
            ).all(axis=1)
            if not same.all():
                wrong = f"ballot {int(np.argmin(same))}, contest {part.contest.id!r}"
                raise VerificationError(f"{wrong}: the ciphertexts do not open to these selections")
    except ParameterError as error:
        raise VerificationError(f"an opening that no ballot can have: {error}") from None


def open_ballot(
    context: BallotContext,
    body: bytes,
    seed: bytes,
    selections: Mapping[str, Sequence[int]],
    blanks: Mapping[str, int] | None = None,
) -> None:
    """Check that the ballot of a body encrypts these selections under this seed.

    Raises:
        DecodingError: the body holds no ballot of this election.
        VerificationError: it opens to something else.
    """
    decoded = decode_ballots(context, [body], ["ballot"])
    for error in decoded.errors.values():
        raise error
    [(_, ballots)] = decoded.batches
    rows = {contest: [list(marks)] for contest, marks in selections.items()}
    bits = {contest: [bit] for contest, bit in (blanks or {}).items()}
    open_ballots(context, ballots, [seed], rows, bits)


def ballot_digest(body: bytes) -> bytes:
    """What stands for a ballot on the board and in signatures: 32 bytes."""
    return digest("ballot", body)


def ballot_tracker(ballot: bytes) -> str:
    """The form of a ballot's digest for people: its first 100 bits in four groups of five."""
    number = int.from_bytes(ballot, "big") >> (8 * len(ballot) - _TRACKER_BITS)
    return grouped(to_digits(number, _TRACKER_BITS // 5))
