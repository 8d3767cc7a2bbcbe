"""Homomorphic tallies: encrypted sums, decryption shares and the result that follows from them.

The sum of an option is the product of its ciphertexts over the counted ballots, each to the power
of the ballot's weight; it encrypts the option's total in the exponent. A quorum of trustees
decrypts the sums, never a ballot. Finding a total takes a bounded discrete logarithm, once, by
whoever publishes the result; an auditor checks g^total instead and never searches.

A sum over no ballots is the pair of identities: its total is 0 and nobody decrypts it.

Values and bytes only; `record` and `workflow` know the files. `tally.json`, `shares/NNN.json` and
`result.json` are the encodings here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from evote.election import Manifest
from evote.elgamal import Ciphertexts, concatenate_ciphertexts, decode_ciphertexts
from evote.encoding import (
    JSON,
    Fields,
    canonical_json,
    check_format,
    digest,
    encode_base64url,
    encode_hex,
    parse_json,
)
from evote.errors import (
    DecodingError,
    ParameterError,
    QuorumError,
    VerificationError,
)
from evote.ballots import Ballots
from evote.contests import Contest
from evote.groups import Elements, Group, Rng, Scalars, stack
from evote.groups.discrete_log import discrete_logs
from evote.threshold import (
    DecryptionShares,
    combine,
    decode_share_proofs,
    decryption_shares,
    encode_share_proofs,
    verify_decryption_shares,
)

__all__ = [
    "ContestResult",
    "ContestTally",
    "Result",
    "Summation",
    "Tally",
    "TallyShare",
    "combine_shares",
    "decode_result",
    "decode_share",
    "decode_tally",
    "decrypted_sums",
    "encode_result",
    "encode_share",
    "encode_tally",
    "file_digest",
    "share_of_tally",
    "verify_result",
    "verify_share",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class ContestTally:
    """The encrypted sums of one contest, over the counted ballots that hold it.

    `sums` has one ciphertext per option, and the counted blank's last where the contest has one.
    `weight` is the total weight of the `ballots`.
    """

    id: str
    ballots: int
    weight: int
    sums: Ciphertexts


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """What the trustees decrypt, and all they decrypt. `counted` is the counted-set digest."""

    election: bytes
    counted: bytes
    contests: tuple[ContestTally, ...]

    @property
    def sums(self) -> Ciphertexts:
        """All sums over at least one ballot, in the order of the manifest; shape (n,)."""
        group = self.contests[0].sums.group
        present = [contest.sums for contest in self.contests if contest.ballots]
        return concatenate_ciphertexts([_neutral(group, 0), *present])


@dataclass(frozen=True, slots=True, kw_only=True)
class TallyShare:
    """One trustee's decryption shares of a tally, bound to the bytes of its file by `tally`."""

    election: bytes
    tally: bytes
    decryption: DecryptionShares

    @property
    def trustee(self) -> int:
        """Its index, from 1."""
        return self.decryption.trustee


@dataclass(frozen=True, slots=True, kw_only=True)
class ContestResult:
    """The totals of one contest: votes by option, declared blanks, and marks nobody used."""

    id: str
    ballots: int
    weight: int
    votes: tuple[int, ...]
    blank: int | None
    undervotes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """The outcome, and whose shares it was computed from: none if nothing had to be decrypted."""

    election: bytes
    tally: bytes
    trustees: tuple[int, ...]
    contests: tuple[ContestResult, ...]


def file_digest(data: bytes) -> bytes:
    """H("file", bytes): how the board names the files of a tally."""
    return digest("file", data)


# -- sums --------------------------------------------------------------------------------------


class Summation:
    """The running sums of an election: add batches of counted ballots in any order."""

    def __init__(self, manifest: Manifest) -> None:
        self._manifest = manifest
        self._contests = {
            contest.id: ContestTally(
                id=contest.id, ballots=0, weight=0, sums=_neutral(manifest.group, contest.width)
            )
            for contest in manifest.contests
        }

    def add(self, ballots: Ballots, weights: Sequence[int]) -> None:
        """Add n ballots of one style, each as often as its weight says.

        Cost: one bulk product per contest; ballots of weight above 1 cost a multiexp term each.
        """
        if len(weights) != len(ballots):
            raise ParameterError(f"{len(weights)} weights for {len(ballots)} ballots")
        if any(weight < 1 for weight in weights):
            raise ParameterError("a ballot's weight is at least 1")
        if not len(ballots):
            return
        for contest in ballots.contests:
            self._add(
                ContestTally(
                    id=contest.contest.id,
                    ballots=len(ballots),
                    weight=sum(map(int, weights)),
                    sums=_weighted_product(contest.ciphertexts, weights),
                )
            )

    def merge(self, tallies: Sequence[ContestTally]) -> None:
        """Add sums made elsewhere, such as a worker's `parts`."""
        for tally in tallies:
            self._add(tally)

    def _add(self, part: ContestTally) -> None:
        old = self._contests[part.id]
        self._contests[part.id] = replace(
            old,
            ballots=old.ballots + part.ballots,
            weight=old.weight + part.weight,
            sums=old.sums * part.sums,
        )

    def parts(self) -> tuple[ContestTally, ...]:
        """The sums so far, in the order of the manifest."""
        return tuple(self._contests.values())

    def finish(self, election: bytes, counted: bytes) -> Tally:
        """The tally of the ballots added, for the counted set with this digest."""
        return Tally(election=election, counted=counted, contests=self.parts())


def _neutral(group: Group, width: int) -> Ciphertexts:
    return Ciphertexts(alpha=group.identity((width,)), beta=group.identity((width,)))


def _weighted_product(ciphertexts: Ciphertexts, weights: Sequence[int]) -> Ciphertexts:
    """prod_i ciphertexts[i] ** weights[i] along axis 0."""
    counts = np.asarray(weights)
    ones, heavy = np.flatnonzero(counts == 1), np.flatnonzero(counts != 1)
    if not heavy.size:
        return ciphertexts.prod(axis=0)
    group = ciphertexts.group
    rest = ciphertexts.take(heavy)
    exponents = group.scalars([int(counts[i]) for i in heavy]).reshape((heavy.size, 1))
    product = Ciphertexts(
        alpha=group.multiexp(rest.alpha, exponents, axis=0),
        beta=group.multiexp(rest.beta, exponents, axis=0),
    )
    return ciphertexts.take(ones).prod(axis=0) * product if ones.size else product


# -- shares and result -------------------------------------------------------------------------


def share_of_tally(
    tally: Tally,
    tally_digest: bytes,
    trustee: int,
    secret: Scalars,
    verification_key: Elements,
    *,
    rng: Rng | None = None,
) -> TallyShare:
    """A trustee's share of every sum, proven. `ceremony.trustee_decrypt` says what comes first."""
    shares = decryption_shares(
        trustee,
        secret,
        verification_key,
        tally.sums.alpha,
        context=(tally.election, tally_digest),
        rng=rng,
    )
    return TallyShare(election=tally.election, tally=tally_digest, decryption=shares)


def verify_share(
    tally: Tally, tally_digest: bytes, share: TallyShare, verification_key: Elements
) -> None:
    """Check a trustee's shares against its verification key and this very tally.

    Raises:
        VerificationError: the share is of another election or tally, or (InvalidProof) false.
    """
    if share.election != tally.election or share.tally != tally_digest:
        raise VerificationError(f"the share of trustee {share.trustee} is of another tally")
    verify_decryption_shares(
        verification_key,
        tally.sums.alpha,
        share.decryption,
        context=(tally.election, tally_digest),
    )


def decrypted_sums(manifest: Manifest, tally: Tally, shares: Sequence[TallyShare]) -> Elements:
    """g^total of every sum that needs decryption, from verified shares of a quorum; shape (n,).

    Raises:
        QuorumError: fewer shares than the quorum; names the absent trustees.
        ParameterError: a trustee twice, or one that does not exist.
    """
    sums = tally.sums
    rows = [share.decryption.shares for share in shares]
    powers = combine(
        [share.trustee for share in shares],
        stack(rows) if rows else manifest.group.identity((0, *sums.shape)),
        quorum=manifest.quorum,
        trustees=len(manifest.trustees),
    )
    return sums.beta / powers


def combine_shares(
    manifest: Manifest, tally: Tally, tally_digest: bytes, shares: Sequence[TallyShare]
) -> Result:
    """The result, from verified shares: the first `quorum` of them by trustee index.

    Raises:
        QuorumError: fewer shares than the quorum; names the absent trustees.
        VerificationError: a sum holds no total that its ballots can have; names the contest.
    """
    used = sorted(shares, key=lambda share: share.trustee)[: manifest.quorum]
    if not tally.sums.shape[0]:
        used = []
        opened = manifest.group.identity((0,))
    else:
        opened = decrypted_sums(manifest, tally, used)
    contests = []
    for contest, part, (start, stop) in _present(manifest, tally):
        totals = _totals(contest, part, opened[start:stop]) if part.ballots else [0] * contest.width
        contests.append(_contest_result(contest, part, totals))
    return Result(
        election=tally.election,
        tally=tally_digest,
        trustees=tuple(share.trustee for share in used),
        contests=tuple(contests),
    )


def _present(
    manifest: Manifest, tally: Tally
) -> Iterator[tuple[Contest, ContestTally, tuple[int, int]]]:
    """Each contest with its tally and its place among the sums that are decrypted."""
    start = 0
    for contest, part in zip(manifest.contests, tally.contests, strict=True):
        stop = start + (contest.width if part.ballots else 0)
        yield contest, part, (start, stop)
        start = stop


def _totals(contest: Contest, part: ContestTally, opened: Elements) -> list[int]:
    options = len(contest.options)
    try:
        totals = discrete_logs(opened[:options], contest.option_limit * part.weight)
        return totals + discrete_logs(opened[options:], part.weight)
    except VerificationError as error:
        raise VerificationError(f"contest {contest.id!r}: no possible total: {error}") from None


def _contest_result(contest: Contest, part: ContestTally, totals: Sequence[int]) -> ContestResult:
    votes = tuple(totals[: len(contest.options)])
    blank = totals[-1] if contest.counts_blanks else None
    return ContestResult(
        id=contest.id,
        ballots=part.ballots,
        weight=part.weight,
        votes=votes,
        blank=blank,
        undervotes=contest.maximum * (part.weight - (blank or 0)) - sum(votes),
    )


def verify_result(
    manifest: Manifest,
    tally: Tally,
    tally_digest: bytes,
    shares: Sequence[TallyShare],
    result: Result,
) -> None:
    """Check that a result follows from verified shares: g^votes against what they decrypt.

    Args:
        shares: verified ones, at least those of the trustees the result names.

    Raises:
        QuorumError: it names other than `quorum` trustees, or one without a share here.
        VerificationError: names the contest and option whose total is wrong.
    """
    problems = result_problems(manifest, tally, tally_digest, shares, result)
    if problems:
        raise VerificationError(problems[0])
    check_totals(manifest, tally, result)


def result_problems(
    manifest: Manifest,
    tally: Tally,
    tally_digest: bytes,
    shares: Sequence[TallyShare],
    result: Result,
) -> list[str]:
    """Every option whose votes are not what the shares decrypt; QuorumError as `verify_result`."""
    if result.election != tally.election or result.tally != tally_digest:
        raise VerificationError("the result is of another tally")
    sums = tally.sums
    if not sums.shape[0]:
        if result.trustees:
            raise QuorumError("nothing was to be decrypted, yet trustees are named")
        opened = manifest.group.identity((0,))
    else:
        opened = decrypted_sums(manifest, tally, _named_shares(manifest, shares, result))
    claims: list[int] = []
    names: list[str] = []
    neutral: list[str] = []
    for (contest, part, _), claim in zip(_present(manifest, tally), result.contests, strict=True):
        totals = [*claim.votes, *([] if claim.blank is None else [claim.blank])]
        labels = [f"contest {contest.id!r}, option {option.id!r}" for option in contest.options]
        labels += [f"contest {contest.id!r}, blank"] * contest.counts_blanks
        if part.ballots:
            claims += totals
            names += labels
        else:
            neutral += [label for label, total in zip(labels, totals, strict=True) if total]
    group = manifest.group
    right = (group.generator ** group.scalars(np.array(claims, dtype=np.int64))).equal_mask(opened)
    wrong = [names[i] for i in np.flatnonzero(~right)]
    return [f"{name}: the total is not what the shares decrypt" for name in [*wrong, *neutral]]


def _named_shares(
    manifest: Manifest, shares: Sequence[TallyShare], result: Result
) -> list[TallyShare]:
    found = {share.trustee: share for share in shares}
    if len(result.trustees) != manifest.quorum:
        raise QuorumError(
            f"the result names {len(result.trustees)} trustees, the quorum is {manifest.quorum}"
        )
    if missing := [index for index in result.trustees if index not in found]:
        names = ", ".join(map(str, missing))
        raise QuorumError(f"no valid share of trustee {names}, named in the result", missing=missing)
    return [found[index] for index in result.trustees]


def check_totals(manifest: Manifest, tally: Tally, result: Result) -> None:
    """Check the arithmetic of a result: counts as in the tally, and totals the limits allow.

    Raises:
        VerificationError: names the contest.
    """
    for contest, part, claim in zip(
        manifest.contests, tally.contests, result.contests, strict=True
    ):
        where = f"contest {contest.id!r}"
        if (claim.ballots, claim.weight) != (part.ballots, part.weight):
            raise VerificationError(
                f"{where}: {part.ballots} ballots of weight {part.weight} in the tally,"
                f" {claim.ballots} of {claim.weight} in the result"
            )
        voting = claim.weight - (claim.blank or 0)
        total = sum(claim.votes)
        if voting < 0 or max(claim.votes) > contest.option_limit * voting:
            raise VerificationError(f"{where}: more votes or blanks than the ballots can hold")
        if not contest.minimum * voting <= total <= contest.maximum * voting:
            raise VerificationError(f"{where}: {total} votes, which the limits do not allow")
        if claim.undervotes != contest.maximum * voting - total:
            raise VerificationError(
                f"{where}: {contest.maximum * voting - total} undervotes, {claim.undervotes} claimed"
            )


# -- files -------------------------------------------------------------------------------------


def encode_tally(tally: Tally) -> bytes:
    """The bytes of tally.json."""
    contests: list[JSON] = [
        {
            "id": contest.id,
            "ballots": contest.ballots,
            "weight": contest.weight,
            "ciphertexts": encode_base64url(contest.sums.encode()),
        }
        for contest in tally.contests
    ]
    return canonical_json(
        {
            "format": "evote/tally",
            "version": 1,
            "election": encode_hex(tally.election),
            "counted": encode_hex(tally.counted),
            "contests": contests,
        }
    )


def decode_tally(manifest: Manifest, data: bytes, *, where: str = "tally.json") -> Tally:
    """Read tally.json: exactly the manifest's contests, each sum a pair of group members.

    Raises:
        DecodingError: at its place; the identity is refused wherever a ballot was counted.
    """
    fields = Fields(parse_json(data, where=where), f"{where}: $")
    check_format(fields, "evote/tally", 1)
    tally = Tally(
        election=fields.hex("election", 32),
        counted=fields.hex("counted", 32),
        contests=tuple(
            _read_contest_tally(manifest, contest, part)
            for contest, part in _contests(manifest, fields)
        ),
    )
    fields.end()
    return tally


def _contests(manifest: Manifest, fields: Fields) -> Iterator[tuple[Contest, Fields]]:
    parts = list(fields.objects("contests", len(manifest.contests)))
    if len(parts) != len(manifest.contests):
        fields.fail("contests", f"{len(manifest.contests)} expected, got {len(parts)}")
    for contest, part in zip(manifest.contests, parts, strict=True):
        name = part.identifier("id")
        if name != contest.id:
            part.fail("id", f"contest {contest.id!r} expected, got {name!r}")
        yield contest, part


def _read_counts(manifest: Manifest, fields: Fields) -> tuple[int, int]:
    ballots = fields.integer("ballots", 0, manifest.maximum_voters)
    highest = min(manifest.total_weight, ballots * manifest.maximum_weight)
    return ballots, fields.integer("weight", ballots, highest)


def _read_contest_tally(manifest: Manifest, contest: Contest, fields: Fields) -> ContestTally:
    ballots, weight = _read_counts(manifest, fields)
    sums = decode_ciphertexts(
        manifest.group,
        fields.packed("ciphertexts", 2 * contest.width * manifest.group.element_size),
        (contest.width,),
        allow_identity=not ballots,
        where=fields.path("ciphertexts"),
    )
    fields.end()
    if not ballots and sums != _neutral(manifest.group, contest.width):
        fields.fail("ciphertexts", "the sum over no ballots is the identity")
    return ContestTally(id=contest.id, ballots=ballots, weight=weight, sums=sums)


def encode_share(share: TallyShare) -> bytes:
    """The bytes of shares/NNN.json."""
    return canonical_json(
        {
            "format": "evote/share",
            "version": 1,
            "election": encode_hex(share.election),
            "tally": encode_hex(share.tally),
            "trustee": share.trustee,
            "shares": encode_base64url(share.decryption.shares.encode()),
            "proofs": [encode_base64url(proof) for proof in encode_share_proofs(share.decryption)],
        }
    )


def decode_share(manifest: Manifest, tally: Tally, data: bytes, *, where: str) -> TallyShare:
    """Read shares/NNN.json: one group member for each sum of the tally.

    Raises:
        DecodingError: at its place.
    """
    fields = Fields(parse_json(data, where=where), f"{where}: $")
    check_format(fields, "evote/share", 1)
    election, tally_digest = fields.hex("election", 32), fields.hex("tally", 32)
    trustee = fields.integer("trustee", 1, len(manifest.trustees))
    count = tally.sums.shape[0]
    shares = manifest.group.decode_elements(
        fields.packed("shares", count * manifest.group.element_size),
        (count,),
        where=fields.path("shares"),
    )
    packed = Fields({"proofs": fields.value("proofs")}, fields.where)
    proofs = decode_share_proofs(
        manifest.group, _packed_list(packed, "proofs"), count, where=fields.path("proofs")
    )
    fields.end()
    return TallyShare(
        election=election,
        tally=tally_digest,
        decryption=DecryptionShares(trustee=trustee, shares=shares, proofs=proofs),
    )


def _packed_list(fields: Fields, key: str) -> list[bytes]:
    items = fields.list(key, 2**20)
    return [
        Fields({f"[{i}]": item}, fields.path(key)).packed(f"[{i}]") for i, item in enumerate(items)
    ]


def encode_result(result: Result) -> bytes:
    """The bytes of result.json."""
    contests: list[JSON] = []
    for contest in result.contests:
        row: dict[str, JSON] = {
            "id": contest.id,
            "ballots": contest.ballots,
            "weight": contest.weight,
            "votes": list(contest.votes),
            "undervotes": contest.undervotes,
        }
        if contest.blank is not None:
            row["blank"] = contest.blank
        contests.append(row)
    return canonical_json(
        {
            "format": "evote/result",
            "version": 1,
            "election": encode_hex(result.election),
            "tally": encode_hex(result.tally),
            "trustees": list(result.trustees),
            "contests": contests,
        }
    )


def decode_result(manifest: Manifest, data: bytes, *, where: str = "result.json") -> Result:
    """Read result.json: exactly the manifest's contests and options.

    Raises:
        DecodingError: at its place.
    """
    fields = Fields(parse_json(data, where=where), f"{where}: $")
    check_format(fields, "evote/result", 1)
    election, tally_digest = fields.hex("election", 32), fields.hex("tally", 32)
    trustees = fields.integers("trustees", 1, len(manifest.trustees), len(manifest.trustees))
    if any(a >= b for a, b in zip(trustees, trustees[1:], strict=False)):
        fields.fail("trustees", "indices in ascending order expected")
    contests = tuple(
        _read_contest_result(manifest, contest, part)
        for contest, part in _contests(manifest, fields)
    )
    fields.end()
    return Result(
        election=election, tally=tally_digest, trustees=tuple(trustees), contests=contests
    )


def _read_contest_result(manifest: Manifest, contest: Contest, fields: Fields) -> ContestResult:
    ballots, weight = _read_counts(manifest, fields)
    options = len(contest.options)
    votes = fields.integers("votes", 0, contest.option_limit * weight, options)
    if len(votes) != options:
        fields.fail("votes", f"{options} totals expected, got {len(votes)}")
    blank = fields.integer("blank", 0, weight) if contest.counts_blanks else None
    undervotes = fields.integer("undervotes", 0, contest.maximum * weight)
    fields.end()
    return ContestResult(
        id=contest.id,
        ballots=ballots,
        weight=weight,
        votes=tuple(votes),
        blank=blank,
        undervotes=undervotes,
    )
