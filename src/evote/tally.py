"""Homomorphic tallies: encrypted sums, decryption shares and the result that follows from them.

The sum of an option is the product of its ciphertexts over the counted ballots, each to the power
of the ballot's weight; it encrypts the option's total in the exponent. A quorum of trustees
decrypts the sums, never a ballot. Finding a total takes a bounded discrete logarithm, once, by
whoever publishes the result; an auditor checks g^total instead and never searches.

A sum over no ballots is the pair of identities: its total is 0 and nobody decrypts it. Of the
ballots of voters who choose their nonces together the first half can be the identity too; it is
decrypted like any other.

Values and bytes only; `record` and `workflow` know the files. `tally.json`, `shares/NNN.json` and
`result.json` are the encodings here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np

from evote._districts import merge_small
from evote._mixed_results import Messages, count_mixed, decode_messages
from evote._pool import Workers, spread
from evote._tally_files import (
    ContestResult,
    ContestTally,
    MixedUnit,
    ReadFile,
    Result,
    Tally,
    TallyShare,
    decode_result,
    decode_share,
    decode_tally,
    encode_result,
    encode_share,
    encode_tally,
    file_digest,
    mixed_unit,
    neutral_sums,
    read_units,
    result_size,
    share_size,
)
from evote.ballots import Ballots
from evote.contests import Contest
from evote.counting import ContestCount, SelectionCount
from evote.election import Manifest
from evote.elgamal import Ciphertexts, stack_ciphertexts
from evote.errors import ParameterError, QuorumError, VerificationError
from evote.groups import Elements, Rng, Scalars, concatenate, stack
from evote.groups.discrete_log import discrete_logs
from evote.mixing import Unit
from evote.threshold import (
    CHUNK,
    DecryptionShares,
    combine,
    decryption_share_chunks,
    verify_decryption_share_chunks,
)

__all__ = [
    "ContestResult",
    "ContestTally",
    "MixedUnit",
    "ReadFile",
    "Result",
    "Summation",
    "Tally",
    "TallyShare",
    "check_totals",
    "combine_shares",
    "decode_result",
    "decode_share",
    "decode_tally",
    "decrypted",
    "district_units",
    "encode_result",
    "encode_share",
    "encode_tally",
    "file_digest",
    "mixed_messages",
    "mixed_unit",
    "read_units",
    "result_lines",
    "result_problems",
    "result_size",
    "share_of_tally",
    "share_size",
    "verify_result",
    "verify_share",
]


def result_lines(
    manifest: Manifest, result: Result
) -> Iterator[tuple[str, list[tuple[str, int]], list[tuple[str, int]]]]:
    """For people: for each contest a heading, the options' votes, and what else there is."""
    mixed = {row.contest: row for row in result.mixed}
    for contest in manifest.contests:
        titles = [option.title for option in contest.options]
        if contest.id in mixed:
            yield _mixed_lines(contest, titles, mixed[contest.id])
            continue
        rows = [row for row in result.contests if row.id == contest.id]
        yield _summed_lines(contest.title, titles, rows)
        for row in rows:
            if row.districts:
                yield _summed_lines(f"{contest.title}, {', '.join(row.districts)}", titles, [row])


def _summed_lines(
    heading: str, titles: Sequence[str], rows: Sequence[ContestResult]
) -> tuple[str, list[tuple[str, int]], list[tuple[str, int]]]:
    """The rows of a contest, added up."""
    ballots, weight = sum(row.ballots for row in rows), sum(row.weight for row in rows)
    votes = [sum(column) for column in zip(*(row.votes for row in rows), strict=True)]
    blanks = [row.blank for row in rows if row.blank is not None]
    rest = [("(blank)", sum(blanks))] if blanks else []
    rest.append(("(marks not used)", sum(row.undervotes for row in rows)))
    heading = f"{heading}: {ballots} ballots, weight {weight}"
    return heading, list(zip(titles, votes, strict=True)), rest


def _mixed_lines(
    contest: Contest, titles: Sequence[str], row: ContestCount
) -> tuple[str, list[tuple[str, int]], list[tuple[str, int]]]:
    heading = f"{contest.title}: {sum(row.ballots.values())} ballots, mixed"
    votes: list[tuple[str, int]] = []
    rest: list[tuple[str, int]] = []
    if isinstance(row.outcome, SelectionCount):
        votes = list(zip(titles, row.outcome.votes, strict=True))
        rest += [(f"(written in) {text}", number) for text, number in row.outcome.write_ins]
        rest.append(("(marks not used)", row.outcome.undervotes))
    elif contest.count is not None:
        votes = [(f"elected: {titles[option]}", 1) for option in row.outcome.elected]
        heading += f", by {contest.count.method}"
    rest += [(f"(ballots: {v.name.lower()})", n) for v, n in row.ballots.items() if n]
    return heading, votes, rest


# -- sums --------------------------------------------------------------------------------------


class Summation:
    """The running sums of an election: add batches of counted ballots in any order.

    Memory: one sum for each option of each summed contest; with results by district, of each
    district too.
    """

    def __init__(self, manifest: Manifest) -> None:
        self._manifest = manifest
        self._sums: dict[str, dict[str, ContestTally]] = {
            contest.id: {} for contest in manifest.summed_contests
        }
        if manifest.districts is None:
            self.merge([_no_ballots(manifest, contest) for contest in manifest.summed_contests])

    def add(self, ballots: Ballots, weights: Sequence[int], districts: Sequence[str] = ()) -> None:
        """Add n ballots of one style, each as often as its weight says.

        Cost: one bulk product per contest; ballots of weight above 1 cost a multiexp term each.
        With results by district, one for each of the `districts`.
        """
        if len(weights) != len(ballots):
            raise ParameterError(f"{len(weights)} weights for {len(ballots)} ballots")
        if len(weights) and min(weights) < 1:
            raise ParameterError("a ballot's weight is at least 1")
        by_district = self._manifest.districts is not None
        if len(districts) != (len(ballots) if by_district else 0):
            raise ParameterError(f"{len(districts)} districts for {len(ballots)} ballots")
        if not len(ballots):
            return
        if not by_district:
            self._add_all(ballots, weights, ())
        for district in sorted(set(districts)):
            chosen = [i for i, name in enumerate(districts) if name == district]
            self._add_all(ballots.take(chosen), [weights[i] for i in chosen], (district,))

    def _add_all(
        self, ballots: Ballots, weights: Sequence[int], districts: tuple[str, ...]
    ) -> None:
        for contest in ballots.contests:
            self._add(
                ContestTally(
                    id=contest.contest.id,
                    ballots=len(ballots),
                    weight=int(sum(weights)),
                    sums=_weighted_product(contest.ciphertexts, weights),
                    districts=districts,
                )
            )

    def merge(self, tallies: Sequence[ContestTally]) -> None:
        """Add sums made elsewhere, such as a worker's `pieces`."""
        for tally in tallies:
            self._add(tally)

    def _add(self, part: ContestTally) -> None:
        known = self._sums[part.id]
        place = "".join(part.districts)
        known[place] = _joined([known[place], part]) if place in known else part

    def pieces(self) -> tuple[ContestTally, ...]:
        """The sums so far: of each contest, or of each contest and district."""
        return tuple(part for parts in self._sums.values() for part in parts.values())

    def parts(self) -> tuple[ContestTally, ...]:
        """What the trustees decrypt, in the order of the manifest; by units of districts.

        Raises:
            VerificationError: a unit would be smaller than the manifest accepts, or they are more
                than a tally can hold.
        """
        if self._manifest.districts is None:
            return self.pieces()
        parts = tuple(
            part for contest in self._manifest.summed_contests for part in self._units(contest)
        )
        sums = sum(part.sums.size for part in parts)
        if sums > (most := self._manifest.maximum_sums):
            raise VerificationError(f"{sums} sums by district, a tally holds at most {most}")
        return parts

    def _units(self, contest: Contest) -> Iterator[ContestTally]:
        found = self._sums[contest.id]
        counts = {district: part.ballots for district, part in found.items()}
        for districts in district_units(self._manifest, contest, counts):
            yield _joined([found[district] for district in districts])
        if not found:
            yield _no_ballots(self._manifest, contest)

    def finish(self, election: bytes, counted: bytes, units: Sequence[MixedUnit] = ()) -> Tally:
        """The tally of the ballots added, for the counted set with this digest."""
        return Tally(
            election=election,
            counted=counted,
            group=self._manifest.group,
            contests=self.parts(),
            units=tuple(units),
        )


def district_units(
    manifest: Manifest, contest: Contest, counts: Mapping[str, int]
) -> list[tuple[str, ...]]:
    """Which districts are summed together in a contest, from the counted ballots of each.

    Raises:
        VerificationError: a unit would be smaller than the manifest accepts.
    """
    assert manifest.districts is not None
    order = {district: i for i, district in enumerate(sorted(counts))}
    units = merge_small(counts, order, manifest.districts.least)
    for districts in units:
        if (ballots := sum(counts[name] for name in districts)) < manifest.districts.least:
            raise VerificationError(
                f"contest {contest.id!r}: {ballots} ballots, and the manifest lets no fewer than"
                f" {manifest.districts.least} be decrypted together"
            )
    return units


def _no_ballots(manifest: Manifest, contest: Contest) -> ContestTally:
    sums = neutral_sums(manifest.group, contest.width)
    return ContestTally(id=contest.id, ballots=0, weight=0, sums=sums)


def _joined(parts: Sequence[ContestTally]) -> ContestTally:
    """The parts of one contest as one: their districts together."""
    return ContestTally(
        id=parts[0].id,
        ballots=sum(part.ballots for part in parts),
        weight=sum(part.weight for part in parts),
        sums=stack_ciphertexts([part.sums for part in parts]).prod(axis=0),
        districts=tuple(sorted({name for part in parts for name in part.districts})),
    )


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
    jobs: Workers = 1,
    rng: Rng | None = None,
) -> TallyShare:
    """A trustee's share of each ciphertext, proven; used by `ceremony.trustee_decrypt`."""
    group = spread(tally.group, jobs)
    made = decryption_share_chunks(
        trustee,
        secret,
        verification_key,
        (chunk.alpha.within(group) for chunk in tally.chunks()),
        count=tally.size,
        context=(tally.election, tally_digest),
        rng=rng,
    )
    shares, proofs = [tally.group.identity((0,)).packed(tally.size)], []
    for part, proof in made:
        shares.append(part.packed(tally.size))
        proofs.append(proof)
    decryption = DecryptionShares(trustee=trustee, shares=concatenate(shares), proofs=tuple(proofs))
    return TallyShare(election=tally.election, tally=tally_digest, decryption=decryption)


def verify_share(
    tally: Tally, tally_digest: bytes, share: TallyShare, verification_key: Elements
) -> None:
    """Check a trustee's shares against its verification key and this very tally.

    Raises:
        VerificationError: the share is of another election or tally, or (InvalidProof) false.
    """
    if share.election != tally.election or share.tally != tally_digest:
        raise VerificationError(f"the share of trustee {share.trustee} is of another tally")
    verify_decryption_share_chunks(
        verification_key,
        (chunk.alpha for chunk in tally.chunks()),
        share.decryption,
        context=(tally.election, tally_digest),
    )


def decrypted(manifest: Manifest, tally: Tally, shares: Sequence[TallyShare]) -> Iterator[Elements]:
    """The plaintexts of the ciphertexts of a tally, from verified shares of a quorum.

    Of a sum it is g^total. They come by the chunks of the tally, in its order.

    Raises:
        QuorumError: fewer shares than the quorum; names the absent trustees.
        ParameterError: a trustee twice, or one that does not exist.
    """
    start = 0
    for chunk in tally.chunks():
        rows = [share.decryption.shares[start : start + chunk.size] for share in shares]
        powers = combine(
            [share.trustee for share in shares],
            stack(rows) if rows else manifest.group.identity((0, chunk.size)),
            quorum=manifest.quorum,
            trustees=len(manifest.trustees),
        )
        yield chunk.beta / powers
        start += chunk.size


def combine_shares(
    manifest: Manifest, tally: Tally, tally_digest: bytes, shares: Sequence[TallyShare]
) -> Result:
    """The result, from verified shares: the first `quorum` of them by trustee index.

    Raises:
        QuorumError: fewer shares than the quorum; names the absent trustees.
        VerificationError: a sum holds no total that its ballots can have; names the contest.
    """
    used = sorted(shares, key=lambda share: share.trustee)[: manifest.quorum]
    if not tally.size:
        used = []
    sums, messages = _opened(tally, decrypted(manifest, tally, used))
    contests = []
    for contest, part, (start, stop) in _present(manifest, tally):
        totals = _totals(contest, part, sums[start:stop]) if part.ballots else [0] * contest.width
        contests.append(_contest_result(contest, part, totals))
    return Result(
        election=tally.election,
        tally=tally_digest,
        trustees=tuple(share.trustee for share in used),
        contests=tuple(contests),
        mixed=_mixed_results(manifest, tally, messages),
    )


def mixed_messages(
    manifest: Manifest, tally: Tally, shares: Sequence[TallyShare]
) -> Iterator[tuple[Unit, list[bytes | None]]]:
    """The messages of every unit, from verified shares of a quorum, in the order of the outputs.

    Of a large unit some at a time. None stands for what is no message; that is a malformed ballot,
    and its voter's own doing.
    """
    return _opened(tally, decrypted(manifest, tally, shares))[1]


def _opened(
    tally: Tally, chunks: Iterator[Elements]
) -> tuple[Elements, Iterator[tuple[Unit, list[bytes | None]]]]:
    """The plaintexts of the sums, and then the messages of the units, some at a time."""
    rows = [
        (mixed.unit, min(CHUNK, mixed.shape[0] - start), mixed.shape[1])
        for mixed in tally.units
        for start in range(0, mixed.shape[0], CHUNK)
    ]
    sizes = [tally.sums.size, *(count * width for _, count, width in rows)]
    parts = _parted(chunks, sizes, tally.group.identity((0,)))
    sums = next(parts)
    messages = (
        (unit, decode_messages(tally.group, part.reshape((count, width))))
        for (unit, count, width), part in zip(rows, parts, strict=True)
    )
    return sums, messages


def _parted(chunks: Iterator[Elements], sizes: Iterable[int], none: Elements) -> Iterator[Elements]:
    """The same elements in parts of these sizes; they are as many together."""
    rest = none
    for size in sizes:
        held = [rest[:size]]
        while (wanted := size - sum(piece.size for piece in held)) > 0:
            rest = next(chunks)
            held.append(rest[:wanted])
        yield concatenate(held)
        rest = rest[held[-1].size :]


def _mixed_results(
    manifest: Manifest, tally: Tally, messages: Messages
) -> tuple[ContestCount, ...]:
    return count_mixed(manifest, messages, lots=(tally.election, tally.counted))


def _present(
    manifest: Manifest, tally: Tally
) -> Iterator[tuple[Contest, ContestTally, tuple[int, int]]]:
    """Each contest with its tally and its place among the sums that are decrypted."""
    start = 0
    for part in tally.contests:
        contest = manifest.contest(part.id)
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
        districts=part.districts,
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
    _check_rows(tally, result)
    used: list[TallyShare] = []
    if tally.size:
        used = _named_shares(manifest, shares, result)
    elif result.trustees:
        raise QuorumError("nothing was to be decrypted, yet trustees are named")
    sums, messages = _opened(tally, decrypted(manifest, tally, used))
    claims: list[int] = []
    names: list[str] = []
    neutral: list[str] = []
    for (contest, part, _), claim in zip(_present(manifest, tally), result.contests, strict=True):
        totals = [*claim.votes, *([] if claim.blank is None else [claim.blank])]
        where = f"contest {contest.id!r}"
        where += f" in {', '.join(part.districts)}" if part.districts else ""
        labels = [f"{where}, option {option.id!r}" for option in contest.options]
        labels += [f"{where}, blank"] * contest.counts_blanks
        if part.ballots:
            claims += totals
            names += labels
        else:
            neutral += [label for label, total in zip(labels, totals, strict=True) if total]
    group = manifest.group
    right = (group.generator ** group.scalars(np.array(claims, dtype=np.int64))).equal_mask(sums)
    wrong = [names[i] for i in np.flatnonzero(~right)]
    problems = [f"{name}: the total is not what the shares decrypt" for name in [*wrong, *neutral]]
    counted = _mixed_results(manifest, tally, messages)
    return problems + [
        f"contest {true.contest!r}: not what the decrypted ballots give"
        for true, claim in zip(counted, result.mixed, strict=True)
        if true != claim
    ]


def _check_rows(tally: Tally, result: Result) -> None:
    """A result has a row for each of the tally's, in its order."""
    expected = [(part.id, part.districts) for part in tally.contests]
    if [(row.id, row.districts) for row in result.contests] != expected:
        raise VerificationError("other contests or districts than those of the tally")


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
        raise QuorumError(
            f"no valid share of trustee {names}, named in the result", missing=missing
        )
    return [found[index] for index in result.trustees]


def check_totals(manifest: Manifest, tally: Tally, result: Result) -> None:
    """Check the arithmetic of a result: counts as in the tally, and totals the limits allow.

    Raises:
        VerificationError: names the contest.
    """
    _check_rows(tally, result)
    for part, claim in zip(tally.contests, result.contests, strict=True):
        contest = manifest.contest(part.id)
        where = f"contest {contest.id!r}"
        where += f" in {', '.join(part.districts)}" if part.districts else ""
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
        unused = contest.maximum * voting - total
        if claim.undervotes != unused:
            raise VerificationError(f"{where}: {unused} undervotes, {claim.undervotes} claimed")
