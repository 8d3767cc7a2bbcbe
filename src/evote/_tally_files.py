"""The values of a tally and the files that hold them: tally.json, shares/NNN.json, result.json.

A private sibling of `tally`, which is the public path to all of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from evote.contests import Contest
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
from evote.groups import Group
from evote.threshold import CHUNK, DecryptionShares, decode_share_proofs, encode_share_proofs


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
        return concatenate_ciphertexts([neutral_sums(group, 0), *present])


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


def neutral_sums(group: Group, width: int) -> Ciphertexts:
    """The sums over no ballots."""
    return Ciphertexts(alpha=group.identity((width,)), beta=group.identity((width,)))


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
        DecodingError: at its place. The identity is no error: voters together can choose nonces
            that cancel out, and must not keep the others from their result.
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
        allow_identity=True,
        where=fields.path("ciphertexts"),
    )
    fields.end()
    if not ballots and sums != neutral_sums(manifest.group, contest.width):
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
        allow_identity=True,  # of a sum that is one
        where=fields.path("shares"),
    )
    packed = fields.packed_list("proofs", -(-count // CHUNK))
    proofs = decode_share_proofs(manifest.group, packed, count, where=fields.path("proofs"))
    fields.end()
    return TallyShare(
        election=election,
        tally=tally_digest,
        decryption=DecryptionShares(trustee=trustee, shares=shares, proofs=proofs),
    )


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
    if any(a >= b for a, b in pairwise(trustees)):
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
