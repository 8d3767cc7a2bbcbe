"""Encrypted ballots and their proofs.

A ballot holds, for each contest of its style, one exponential ElGamal ciphertext per option (and
one for the blank bit where blanks are counted), a proof that each option holds 0 .. option_limit,
and a proof that the sum lies in minimum .. maximum (or that the blank bit is 1 and the sum 0).
All proofs of a ballot answer one challenge, a hash of everything that gives the ballot its place:

    Transcript("ballot", CDS): "election" election id, "key" joint key, "credential", "style",
        for each contest: "contest" id, "rules" canonical JSON of the contest, "ciphertexts";
        for each pack: "pack" id, "rules" canonical JSON of its contests, "ciphertexts";
        for each contest: "option commitments", "sum commitments";
        for each pack: "pack commitments";   squeeze "challenge"

so nothing of it fits another voter, contest, option or election. Nonces of ciphertexts come from a
seed of 32 bytes, so that publishing the seed opens the ballot (and casting must erase it):

    nonce = xof("ballot-nonce", seed, election id, credential, contest id, uint32(position),
                uint32(plaintext), "encryption") mod q

Contests that are mixed stand in packs instead (`_mixed_ballots`): one message of all their answers,
and a proof that the voter knows it. Whether it is a valid answer shows after the mix.

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
    BallotPack,
    Ballots,
    ContestBallots,
    ballots_at_once,
    body_sizes,
    encode_ballots,
    rows_of,
)
from evote._ballot_tables import DecodedBatch, decode_ballots
from evote._base32 import grouped, to_digits
from evote._forms import to_rows
from evote._mixed_ballots import (
    PackBallots,
    commit_knowledge,
    each_repeated,
    encrypt_pack,
    knowledge_equations,
    pack_nonces,
    respond_knowledge,
)
from evote.contests import Contest, pack_selections
from evote.elgamal import (
    Ciphertexts,
    PublicKey,
    concatenate_ciphertexts,
    encrypt_with_nonces,
)
from evote.encoding import digest, digests, frame, uint32, xofs
from evote.errors import InvalidProof, ParameterError, ShapeMismatch, VerificationError
from evote.groups import Elements, Rng, Scalars, Secrecy, concatenate
from evote.proofs import (
    Equations,
    OneOfStatement,
    OneOfWitness,
    commit_one_of,
    one_of_equations,
    respond_one_of,
    verify_batch,
)
from evote.transcript import Transcript, Transcripts

__all__ = [
    "SEED_SIZE",
    "BallotContext",
    "BallotPack",
    "Ballots",
    "ContestBallots",
    "DecodedBatch",
    "PackBallots",
    "ballot_digest",
    "ballot_digests",
    "ballot_equations",
    "ballot_tracker",
    "ballots_at_once",
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


class _Moves(NamedTuple):
    """The first moves of all proofs of n ballots."""

    contests: Sequence[tuple[Ciphertexts, Ciphertexts]]  # of options, of sums
    packs: Sequence[Elements]


def _challenges(
    context: BallotContext,
    style: str,
    credentials: Sequence[bytes],
    ciphertexts: Sequence[Ciphertexts],
    commitments: _Moves,
) -> Scalars:
    """The challenge of each of n ballots, shape (n,); for prover and verifier alike.

    `ciphertexts` are those of the contests that are summed, then those of the packs.
    """
    start = Transcript(b"ballot", context.group, flavour=b"CDS")
    start.append(b"election", context.election_id)
    start.append(b"key", context.key.element.encode())
    contests = [(c.id.encode("ascii"), c.encode()) for c in context.summed_contests(style)]
    packs = [(pack.id.encode("ascii"), pack.encode()) for pack in context.style_packs(style)]
    transcripts = Transcripts(start, len(credentials))
    transcripts.append_rows(b"credential", to_rows(credentials))
    transcripts.append(b"style", style.encode("ascii"))
    summed, mixed = ciphertexts[: len(contests)], ciphertexts[len(contests) :]
    for (name, rules), array in zip(contests, summed, strict=True):
        transcripts.append(b"contest", name)
        transcripts.append(b"rules", rules)
        transcripts.append_arrays(b"ciphertexts", array)
    for (name, rules), array in zip(packs, mixed, strict=True):
        transcripts.append(b"pack", name)
        transcripts.append(b"rules", rules)
        transcripts.append_arrays(b"ciphertexts", array)
    for options, sums in commitments.contests:
        transcripts.append_arrays(b"option commitments", options)
        transcripts.append_arrays(b"sum commitments", sums)
    for elements in commitments.packs:
        transcripts.append_arrays(b"pack commitments", elements)
    return transcripts.challenges(b"challenge")


# Encryption.


def encrypt_ballots(
    context: BallotContext,
    style: str,
    credentials: Sequence[bytes],
    selections: Mapping[str, ArrayLike],
    blanks: Mapping[str, ArrayLike] | None = None,
    write_ins: Mapping[str, Sequence[str]] | None = None,
    *,
    seeds: Sequence[bytes] | None = None,
    rng: Rng | None = None,
) -> tuple[Ballots, list[bytes]]:
    """Encrypt the ballots of n voters of one style, with their proofs.

    Cost per option that is summed: 2 powers of g and y for the ciphertext; those of its proof,
    `commit_one_of`. Cost per element of a pack: 3 fixed-base powers, and its encoding.

    Args:
        style: id of the style.
        credentials: of the n voters, 32 bytes each.
        selections: for each contest of the style, integers of shape (n, options).
        blanks: for contests that count blanks, n bits; missing ones declare none.
        write_ins: for contests that take them, n texts; missing ones write none, as "" does.
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
    _check_seeds(credentials, seeds)
    plaintexts = _plaintexts(context, style, n, selections, blanks, write_ins)
    key, contests, packs = context.key, context.summed_contests(style), context.style_packs(style)
    ciphertexts, statements, witnesses = [], [], []
    for contest, values in zip(contests, plaintexts.sums, strict=True):
        nonces = _nonces(context, contest, credentials, seeds, values)
        encrypted = _encrypt(key, contest, values, nonces)
        encrypted.encode()  # whatever is cut from it then has its encoding already
        ciphertexts.append(encrypted)
        statements.append(_statements(key, contest, encrypted))
        witnesses.append(_witnesses(contest, values, nonces))
    pack_secrets = []
    for pack, messages in zip(packs, plaintexts.messages, strict=True):
        pack_secrets.append(
            pack_nonces(context.group, context.election_id, pack, credentials, seeds, messages)
        )
        ciphertexts.append(encrypt_pack(key, pack, messages, pack_secrets[-1]))
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
    known = [commit_knowledge(r, context=place, rng=rng) for r in pack_secrets]
    moves = _Moves(
        [(options[0], sums[0]) for options, sums in committed],
        [commitments for commitments, _ in known],
    )
    challenges = _challenges(context, style, credentials, ciphertexts, moves)
    parts = [
        ContestBallots(
            contest=contest,
            ciphertexts=encrypted,
            options=respond_one_of(options[1], challenges),
            sums=respond_one_of(sums[1], challenges),
        )
        for contest, encrypted, (options, sums) in zip(
            contests, ciphertexts[: len(contests)], committed, strict=True
        )
    ]
    mixed = [
        PackBallots(
            pack=pack,
            ciphertexts=encrypted,
            commitments=commitments,
            responses=respond_knowledge(state, challenges),
        )
        for pack, encrypted, (commitments, state) in zip(
            packs, ciphertexts[len(contests) :], known, strict=True
        )
    ]
    ballots = Ballots(
        style=style, credentials=tuple(credentials), contests=tuple(parts), packs=tuple(mixed)
    )
    return ballots, list(seeds)


class _Plaintexts(NamedTuple):
    """What n ballots say: (n, width) for each contest that is summed, n messages for each pack."""

    sums: list[NDArray[np.int64]]
    messages: list[list[bytes]]


def _plaintexts(
    context: BallotContext,
    style: str,
    n: int,
    selections: Mapping[str, ArrayLike],
    blanks: Mapping[str, ArrayLike] | None,
    write_ins: Mapping[str, Sequence[str]] | None,
) -> _Plaintexts:
    """The choices, checked."""
    declared, written = blanks or {}, write_ins or {}
    names = {contest.id for contest in context.style_contests(style)}
    for given in (*selections, *declared, *written):
        if given not in names:
            raise ParameterError(f"style {style!r} has no contest {given!r}")
    for name in sorted(names):
        if name not in selections:
            raise ParameterError(f"no selections for contest {name!r}")
    sums, messages = [], []
    for contest in context.summed_contests(style):
        if any(written.get(contest.id, ())):
            raise ParameterError(f"contest {contest.id!r} takes no write-ins")
        values = pack_selections(contest, selections[contest.id], declared.get(contest.id))
        if len(values) != n:
            raise ShapeMismatch(f"contest {contest.id!r}: {len(values)} selections, {n} voters")
        sums.append(values)
    for pack in context.style_packs(style):
        packed = pack.packing.pack(
            {contest.id: selections[contest.id] for contest in pack.contests},
            {c.id: declared[c.id] for c in pack.contests if c.id in declared},
            {c.id: written[c.id] for c in pack.contests if c.id in written},
        )
        if len(packed) != n:
            raise ShapeMismatch(f"pack {pack.id!r}: {len(packed)} selections, {n} voters")
        messages.append(packed)
    return _Plaintexts(sums, messages)


def _check_seeds(credentials: Sequence[bytes], seeds: Sequence[bytes]) -> None:
    if len(seeds) != len(credentials) or any(len(seed) != SEED_SIZE for seed in seeds):
        raise ParameterError(f"one seed of {SEED_SIZE} bytes for each ballot expected")


def _nonces(
    context: BallotContext,
    contest: Contest,
    credentials: Sequence[bytes],
    seeds: Sequence[bytes],
    plaintexts: NDArray[np.int64],
) -> Scalars:
    """The nonces (n, width) that the seeds give: a pure function of its arguments."""
    election, name = context.election_id, contest.id.encode("ascii")
    values = plaintexts.ravel().tolist()
    numbers = {value: uint32(value) for value in set(values)}
    n, width = plaintexts.shape
    drawn = xofs(
        "ballot-nonce",
        each_repeated(seeds, width),
        election,
        each_repeated(credentials, width),
        name,
        [uint32(position) for position in range(width)] * n,
        [numbers[value] for value in values],
        b"encryption",
        length=context.group.uniform_size,
    )
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
    expected = context.summed_contests(ballots.style), context.style_packs(ballots.style)
    found = (
        tuple(part.contest for part in ballots.contests),
        tuple(part.pack for part in ballots.packs),
    )
    if found != expected:
        raise ParameterError(f"these are no ballots of style {ballots.style!r} here")
    challenges = _challenges(
        context,
        ballots.style,
        ballots.credentials,
        [
            *(part.ciphertexts for part in ballots.contests),
            *(part.ciphertexts for part in ballots.packs),
        ],
        _Moves(
            [(part.options.commitments, part.sums.commitments) for part in ballots.contests],
            [part.commitments for part in ballots.packs],
        ),
    )
    equations = []
    for part in ballots.contests:
        statements = _statements(context.key, part.contest, part.ciphertexts)
        equations.append(one_of_equations(statements.options, part.options, challenges))
        summed = None
        if not part.contest.counts_blanks:
            summed = part.ciphertexts[:, : len(part.contest.options)]
        equations.append(one_of_equations(statements.sums, part.sums, challenges, factors=summed))
    equations += [knowledge_equations(part, challenges) for part in ballots.packs]
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
    for mixed in ballots.packs:
        for i in np.flatnonzero(~next(equations).proofs_hold()).tolist():
            found[i].append(f"pack {mixed.pack.id!r}, knowledge of its message")
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
    write_ins: Mapping[str, Sequence[str]] | None = None,
) -> None:
    """Check that n spoiled ballots encrypt what their openings say, by encrypting again.

    Arguments as of `encrypt_ballots`, from published openings: whatever is wrong with them is
    their author's fault.

    Raises:
        VerificationError: names the first ballot, and its contest, that opens to something else.
    """
    try:
        credentials = ballots.credentials
        _check_seeds(credentials, seeds)
        plaintexts = _plaintexts(
            context, ballots.style, len(ballots), selections, blanks, write_ins
        )
        for part, values in zip(ballots.contests, plaintexts.sums, strict=True):
            nonces = _nonces(context, part.contest, credentials, seeds, values)
            again = _encrypt(context.key, part.contest, values, nonces)
            _compare(part.ciphertexts, again, f"contest {part.contest.id!r}")
        for mixed, messages in zip(ballots.packs, plaintexts.messages, strict=True):
            nonces = pack_nonces(
                context.group, context.election_id, mixed.pack, credentials, seeds, messages
            )
            again = encrypt_pack(context.key, mixed.pack, messages, nonces)
            _compare(mixed.ciphertexts, again, f"pack {mixed.pack.id!r}")
    except ParameterError as error:
        raise VerificationError(f"an opening that no ballot can have: {error}") from None


def _compare(published: Ciphertexts, again: Ciphertexts, what: str) -> None:
    same = published.equal_mask(again).all(axis=1)
    if not same.all():
        wrong = f"ballot {int(np.argmin(same))}, {what}"
        raise VerificationError(f"{wrong}: the ciphertexts do not open to these selections")


def open_ballot(
    context: BallotContext,
    body: bytes,
    seed: bytes,
    selections: Mapping[str, Sequence[int]],
    blanks: Mapping[str, int] | None = None,
    write_ins: Mapping[str, str] | None = None,
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
    texts = {contest: [text] for contest, text in (write_ins or {}).items()}
    open_ballots(context, ballots, [seed], rows, bits, texts)


def ballot_digest(body: bytes) -> bytes:
    """What stands for a ballot on the board and in signatures: 32 bytes."""
    return digest("ballot", body)


def ballot_digests(bodies: Sequence[bytes]) -> Sequence[bytes]:
    """The `ballot_digest` of each body."""
    return digests("ballot", bodies)


def ballot_tracker(ballot: bytes) -> str:
    """The form of a ballot's digest for people: its first 100 bits in four groups of five."""
    number = int.from_bytes(ballot, "big") >> (8 * len(ballot) - _TRACKER_BITS)
    return grouped(to_digits(number, _TRACKER_BITS // 5))
