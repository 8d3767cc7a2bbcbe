"""The values of a tally and the files that hold them: tally.json, shares/NNN.json, result.json.

A private sibling of `tally`, which is the public path to all of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from math import prod
from typing import TypeAlias

from evote._long_fields import read_long_fields, write_long_field
from evote._spool import Spool
from evote.contests import Contest
from evote.counting import ContestCount, read_contest_count
from evote.election import Manifest
from evote.elgamal import Ciphertexts, concatenate_ciphertexts, decode_ciphertexts
from evote.encoding import (
    JSON,
    MAX_ITEMS,
    Fields,
    canonical_json,
    check_format,
    decode_hex,
    digest,
    encode_base64url,
    encode_hex,
    parse_json,
)
from evote.errors import DecodingError, ParameterError
from evote.groups import Group
from evote.mixing import MAX_UNITS, Unit, mix_path, read_unit, step_outputs, unit_shape
from evote.threshold import CHUNK, DecryptionShares, decode_share_proofs, encode_share_proofs


@dataclass(frozen=True, slots=True, kw_only=True)
class ContestTally:
    """The encrypted sums of one contest, over the counted ballots that hold it.

    `sums` has one ciphertext per option, and the counted blank's last where the contest has one.
    `weight` is the total weight of the `ballots`. Where there are results by district, these are
    the ballots of some `districts`, ascending; a contest then has several, and no district in two.
    """

    id: str
    ballots: int
    weight: int
    sums: Ciphertexts
    districts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class MixedUnit:
    """A unit after its last step: `steps` are the digests of all its files, in order.

    `shape` and `outputs` are of the ciphertexts, (n, w). Nobody holds those of all units at a
    time: they are read anew whenever they are asked for.
    """

    unit: Unit
    steps: tuple[bytes, ...]
    shape: tuple[int, int]
    read: Callable[[], Ciphertexts] = field(compare=False, repr=False)

    @property
    def outputs(self) -> Ciphertexts:
        """What the last step put out; checked for membership by who made this, and not again.

        Raises:
            DecodingError: the file is not the one that `steps` names.
        """
        return self.read()


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """What the trustees decrypt, and all they decrypt. `counted` is the counted-set digest.

    `contests` are those that are summed, `units` the mixed ballots.
    """

    election: bytes
    counted: bytes
    group: Group
    contests: tuple[ContestTally, ...]
    units: tuple[MixedUnit, ...] = ()

    @property
    def sums(self) -> Ciphertexts:
        """All sums over at least one ballot, in the order of the manifest; shape (n,)."""
        present = [contest.sums for contest in self.contests if contest.ballots]
        return concatenate_ciphertexts([neutral_sums(self.group, 0), *present])

    @property
    def size(self) -> int:
        """How many ciphertexts are decrypted."""
        return self.sums.size + sum(prod(mixed.shape) for mixed in self.units)

    def chunks(self) -> Iterator[Ciphertexts]:
        """All that is decrypted: the sums, then the outputs of each unit in C order.

        `CHUNK` at a time, the last ones as many as are left; one unit is in memory.
        """
        held: list[Ciphertexts] = []
        room = CHUNK
        for part in self._parts():
            start = 0
            while start < part.size:
                held.append(part[start : start + room])
                start, room = start + held[-1].size, room - held[-1].size
                if not room:
                    yield concatenate_ciphertexts(held)
                    held, room = [], CHUNK
        if held:
            yield concatenate_ciphertexts(held)

    def _parts(self) -> Iterator[Ciphertexts]:
        yield self.sums
        for mixed in self.units:
            outputs = mixed.outputs
            yield outputs.reshape((outputs.size,))


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
    """The totals of one contest: votes by option, declared blanks, and marks nobody used.

    Those of some `districts`, where there are results by district.
    """

    id: str
    ballots: int
    weight: int
    votes: tuple[int, ...]
    blank: int | None
    undervotes: int
    districts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """The outcome, and whose shares it was computed from: none if nothing had to be decrypted.

    `contests` are those that were summed, `mixed` the others; both in the order of the manifest.
    """

    election: bytes
    tally: bytes
    trustees: tuple[int, ...]
    contests: tuple[ContestResult, ...]
    mixed: tuple[ContestCount, ...] = ()


def file_digest(data: bytes) -> bytes:
    """H("file", bytes): how the board names the files of a tally."""
    return digest("file", data)


def neutral_sums(group: Group, width: int) -> Ciphertexts:
    """The sums over no ballots."""
    return Ciphertexts(alpha=group.identity((width,)), beta=group.identity((width,)))


def encode_tally(tally: Tally) -> bytes:
    """The bytes of tally.json."""
    contests: list[JSON] = []
    for contest in tally.contests:
        row: dict[str, JSON] = {
            "id": contest.id,
            "ballots": contest.ballots,
            "weight": contest.weight,
            "ciphertexts": encode_base64url(contest.sums.encode()),
        }
        contests.append(row | _districts_to_json(contest))
    value: dict[str, JSON] = {
        "format": "evote/tally",
        "version": 1,
        "election": encode_hex(tally.election),
        "counted": encode_hex(tally.counted),
        "contests": contests,
    }
    if tally.units:
        value["units"] = [
            mixed.unit.to_json() | {"steps": list(map(encode_hex, mixed.steps))}
            for mixed in tally.units
        ]
    return canonical_json(value)


def _districts_to_json(row: ContestTally | ContestResult) -> dict[str, JSON]:
    return {"districts": list(row.districts)} if row.districts else {}


ReadFile: TypeAlias = Callable[[str], bytes]
"""Gives the bytes of a file of the record by its path there."""


def decode_tally(
    manifest: Manifest, data: bytes, read: ReadFile | None = None, *, where: str = "tally.json"
) -> Tally:
    """Read tally.json: exactly the manifest's contests, each sum a pair of group members.

    Args:
        manifest: of the election.
        data: the file.
        read: gives the steps of mix servers it names: the last ones are read for their outputs.
            Not needed where nothing is mixed.
        where: the place, for messages.

    Raises:
        DecodingError: at its place. The identity is no error: voters together can choose nonces
            that cancel out, and must not keep the others from their result.
    """
    fields = Fields(parse_json(data, where=where), f"{where}: $")
    check_format(fields, "evote/tally", 1)
    tally = Tally(
        election=fields.hex("election", 32),
        counted=fields.hex("counted", 32),
        group=manifest.group,
        contests=tuple(
            _read_contest_tally(manifest, contest, part)
            for contest, part in _contests(manifest, fields)
        ),
        units=tuple(
            mixed_unit(manifest, unit, steps, read) for unit, steps in _read_units(manifest, fields)
        ),
    )
    fields.end()
    for mixed in tally.units:  # and let go: what is wrong with them is wrong with the tally
        _read_outputs(manifest, mixed.unit, mixed.steps, read, known=False)
    return tally


def mixed_unit(
    manifest: Manifest, unit: Unit, steps: tuple[bytes, ...], read: ReadFile | None
) -> MixedUnit:
    """A unit whose outputs are read from the file of its last step, which was checked."""
    return MixedUnit(
        unit=unit,
        steps=steps,
        shape=unit_shape(manifest, unit),
        read=partial(_read_outputs, manifest, unit, steps, read),
    )


def read_units(
    manifest: Manifest, data: bytes, *, where: str = "tally.json"
) -> tuple[tuple[Unit, tuple[bytes, ...]], ...]:
    """The units of tally.json, each with the digests of its steps; nothing else of it is read."""
    return tuple(_read_units(manifest, Fields(parse_json(data, where=where), f"{where}: $")))


def _read_units(manifest: Manifest, fields: Fields) -> Iterator[tuple[Unit, tuple[bytes, ...]]]:
    if "units" not in fields:
        return
    parts = list(fields.objects("units", MAX_UNITS))
    if not parts:
        fields.fail("units", "at least one expected, where there are any")
    for number, part in enumerate(parts):
        unit = read_unit(manifest, part)
        if unit.number != number:
            part.fail("number", f"{number} expected, got {unit.number}")
        steps = part.list("steps", len(manifest.mixers))
        if len(steps) != len(manifest.mixers):
            part.fail("steps", f"{len(manifest.mixers)} expected, got {len(steps)}")
        places = (f"{part.path('steps')}[{i}]" for i in range(len(steps)))
        digests = tuple(
            decode_hex(_text(step, place), 32, where=place)
            for step, place in zip(steps, places, strict=True)
        )
        part.end()
        yield unit, digests


def _text(value: JSON, where: str) -> str:
    if type(value) is not str:
        raise DecodingError("a string expected", where=where)
    return value


def _read_outputs(
    manifest: Manifest,
    unit: Unit,
    steps: tuple[bytes, ...],
    read: ReadFile | None,
    *,
    known: bool = True,
) -> Ciphertexts:
    if read is None:
        raise ParameterError("a tally of mixed ballots is read with the mix servers' files")
    name = mix_path(unit.number, len(steps))
    data = read(name)
    if file_digest(data) != steps[-1]:
        raise DecodingError("not the file that was verified, or that tally.json names", where=name)
    return step_outputs(manifest, unit, data, known=known, where=name)


def _parts(
    contests: tuple[Contest, ...], key: str, fields: Fields
) -> Iterator[tuple[Contest, Fields]]:
    """The objects of a list, one for each contest."""
    parts = list(fields.objects(key, len(contests)))
    if len(parts) != len(contests):
        fields.fail(key, f"{len(contests)} expected, got {len(parts)}")
    yield from zip(contests, parts, strict=True)


def _contests(manifest: Manifest, fields: Fields) -> Iterator[tuple[Contest, Fields]]:
    """The same for the contests that are summed, after their ids; several of each by district."""
    if manifest.districts is None:
        for contest, part in _parts(manifest.summed_contests, "contests", fields):
            _expect(contest, part)
            yield contest, part
        return
    parts = list(fields.objects("contests", manifest.maximum_sums))
    place = 0
    for contest in manifest.summed_contests:
        start = place
        while place < len(parts) and (place == start or parts[place].value("id") == contest.id):
            _expect(contest, parts[place])
            yield contest, parts[place]
            place += 1
        if place == start:
            fields.fail("contests", f"contest {contest.id!r} is missing")
    if place < len(parts):
        parts[place].fail("id", "no contest of the manifest expected any more")


def _expect(contest: Contest, part: Fields) -> None:
    name = part.identifier("id")
    if name != contest.id:
        part.fail("id", f"contest {contest.id!r} expected, got {name!r}")


def _read_districts(manifest: Manifest, fields: Fields, ballots: int) -> tuple[str, ...]:
    """Of one row: some, where there are results by district and ballots at all; ascending."""
    if manifest.districts is None or not ballots:
        return ()
    names = fields.identifiers("districts", manifest.maximum_voters)
    if not names or any(a >= b for a, b in pairwise(names)):
        fields.fail("districts", "ids of districts in ascending order expected")
    return tuple(names)


def _read_counts(manifest: Manifest, fields: Fields) -> tuple[int, int]:
    ballots = fields.integer("ballots", 0, manifest.maximum_voters)
    highest = min(manifest.total_weight, ballots * manifest.maximum_weight)
    return ballots, fields.integer("weight", ballots, highest)


def _read_contest_tally(manifest: Manifest, contest: Contest, fields: Fields) -> ContestTally:
    ballots, weight = _read_counts(manifest, fields)
    districts = _read_districts(manifest, fields, ballots)
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
    return ContestTally(
        id=contest.id, ballots=ballots, weight=weight, sums=sums, districts=districts
    )


def encode_share(share: TallyShare) -> bytes:
    """The bytes of shares/NNN.json."""
    rest = canonical_json(
        {
            "format": "evote/share",
            "version": 1,
            "election": encode_hex(share.election),
            "tally": encode_hex(share.tally),
            "trustee": share.trustee,
            "shares": "",
            "proofs": [encode_base64url(proof) for proof in encode_share_proofs(share.decryption)],
        }
    )
    return write_long_field(rest, "shares", share.decryption.shares.encode())


def share_size(group: Group, count: int) -> int:
    """No file of so many decryption shares is larger, in bytes."""
    proof = 2 * group.element_size + group.scalar_size + 8
    return 2**16 + 4 * (count * group.element_size + -(-count // CHUNK) * proof) // 3


def decode_share(manifest: Manifest, tally: Tally, data: bytes, *, where: str) -> TallyShare:
    """Read shares/NNN.json: one group member for each ciphertext of the tally.

    The shares wait on the disk: of a large tally, use some at a time.

    Raises:
        DecodingError: at its place.
    """
    count = tally.size
    limit = share_size(manifest.group, count)
    fields = read_long_fields(data, ["shares"], where=where, max_bytes=limit)
    check_format(fields, "evote/share", 1)
    election, tally_digest = fields.hex("election", 32), fields.hex("tally", 32)
    trustee = fields.integer("trustee", 1, len(manifest.trustees))
    shares = manifest.group.decode_elements(
        fields.stored("shares", count * manifest.group.element_size, Spool()),
        (count,),
        allow_identity=True,  # of a sum that is one
        packed=True,
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
        contests.append(row | _districts_to_json(contest))
    value: dict[str, JSON] = {
        "format": "evote/result",
        "version": 1,
        "election": encode_hex(result.election),
        "tally": encode_hex(result.tally),
        "trustees": list(result.trustees),
        "contests": contests,
    }
    if result.mixed:
        value["mixed"] = [row.to_json() for row in result.mixed]
    return canonical_json(value)


def result_size(manifest: Manifest, ballots: int) -> int:
    """What mixed ballots, so many at most, can add to result.json, in bytes: all they write in."""
    longest = [c.write_in for c in manifest.mixed_contests if c.write_in is not None]
    return ballots * sum(2 * size + len('{"text":"","votes":},') + 20 for size in longest)


def decode_result(manifest: Manifest, data: bytes, *, where: str = "result.json") -> Result:
    """Read result.json: exactly the manifest's contests and options.

    Whoever read the file knows how long it may be: what voters write in can make it long.

    Raises:
        DecodingError: at its place.
    """
    items = max(MAX_ITEMS, len(data) // 24)  # a text and its votes take more
    fields = Fields(
        parse_json(data, where=where, max_bytes=len(data), max_items=items), f"{where}: $"
    )
    check_format(fields, "evote/result", 1)
    election, tally_digest = fields.hex("election", 32), fields.hex("tally", 32)
    trustees = fields.integers("trustees", 1, len(manifest.trustees), len(manifest.trustees))
    if any(a >= b for a, b in pairwise(trustees)):
        fields.fail("trustees", "indices in ascending order expected")
    contests = tuple(
        _read_contest_result(manifest, contest, part)
        for contest, part in _contests(manifest, fields)
    )
    mixed: tuple[ContestCount, ...] = ()
    if manifest.mixed_contests:
        mixed = tuple(
            read_contest_count(part, contest)
            for contest, part in _parts(manifest.mixed_contests, "mixed", fields)
        )
    fields.end()
    return Result(
        election=election,
        tally=tally_digest,
        trustees=tuple(trustees),
        contests=contests,
        mixed=mixed,
    )


def _read_contest_result(manifest: Manifest, contest: Contest, fields: Fields) -> ContestResult:
    ballots, weight = _read_counts(manifest, fields)
    districts = _read_districts(manifest, fields, ballots)
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
        districts=districts,
    )
