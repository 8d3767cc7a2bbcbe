"""The manifest, what all parties agree on first, and the digests that bind everything to it.

    manifest digest = H("manifest", bytes of manifest.json)
    base id         = H("base", manifest digest, group, number of trustees, quorum)
    election id     = H("election", base id, ceremony digest, joint key, root of the roll)

The base id binds the key ceremony and the roll; the election id binds every ballot and all that
follows. A manifest is read strictly and refused when it contradicts itself: the place is named.

Not promised: that the cards in a manifest belong to whom they name. Operators compare the digest
of the manifest over another channel before they take part.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from evote._belenios import belenios_contradictions
from evote._districts import Districts, district_contradictions, read_districts
from evote._mixing import (
    MIN_UNIT,
    Mixing,
    mixing_contradictions,
    read_mixing,
    verificatum_contradictions,
)
from evote._powers import NO_POWERS, Powers, power_contradictions, read_powers
from evote.ballots import BallotContext, BallotPack, body_sizes
from evote.board import LOG_KEY, MAX_BODY, MAX_ENTRY, VerifierKey
from evote.contests import MAX_CONTESTS, Contest, Style, read_contest, read_style
from evote.credentials import MAX_PARTS, MAX_WEIGHT
from evote.elgamal import PublicKey
from evote.encoding import (
    JSON,
    Fields,
    canonical_json,
    check_format,
    digest,
    encode_hex,
    parse_json,
    uint32,
)
from evote.errors import DecodingError, EvoteError, ParameterError, UnsupportedError
from evote.groups import Elements, Group, named_group
from evote.operators import Card, Role, read_card
from evote.packing import Pack, Packing
from evote.threshold import CeremonyResult

__all__ = [
    "MAX_MANIFEST",
    "MAX_OPERATORS",
    "MAX_STYLES",
    "MAX_VOTERS",
    "MIN_UNIT",
    "PROFILES",
    "TALLY_LIMIT",
    "Districts",
    "ElectionParameters",
    "Manifest",
    "Mixing",
    "Powers",
    "ballot_context",
    "base_id",
    "decode_manifest",
    "election_id",
    "election_parameters",
    "encode_manifest",
    "manifest_digest",
]

MAX_MANIFEST = 16 * 2**20  # bytes
MAX_OPERATORS = 99  # of each role: indices have at most two digits in what people read
MAX_STYLES = 4096
MAX_VOTERS = 2**32 - 1
_MAX_TOTAL = 2**40 - 1
TALLY_LIMIT = 2**40  # totals stay below it: their discrete logarithms can be found
_MAX_TITLE = 1000  # characters
_OPENING = 300  # bytes of an opening that are not marks

Revote: TypeAlias = Literal["last", "forbidden"]
Spoil: TypeAlias = Literal["allowed", "forbidden"]
Issue: TypeAlias = Literal["drawn", "parts", "enrolled"]
_REVOTE: dict[str, Revote] = {"last": "last", "forbidden": "forbidden"}
_SPOIL: dict[str, Spoil] = {"allowed": "allowed", "forbidden": "forbidden"}

_ISSUE: dict[str, Issue] = {"parts": "parts", "enrolled": "enrolled"}  # "drawn" is not written

_ORIGIN = re.compile(r"[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?(?:/[A-Za-z0-9._~-]+)*", re.ASCII)


class _ContradictionError(ParameterError):
    """Two fields of a manifest that cannot both be meant; `place` is a path inside it."""

    def __init__(self, place: str, reason: str) -> None:
        self.place, self.reason = place, reason
        super().__init__(f"{place}: {reason}")


Profile: TypeAlias = Literal["native", "verificatum", "belenios"]
PROFILES: tuple[Profile, ...] = get_args(Profile)
"""Whose challenges an election's proofs answer."""
_PROFILE: Mapping[str, Profile] = {profile: profile for profile in PROFILES}


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """Everything that is fixed before the key ceremony. Trustee i is `trustees[i - 1]`.

    `nonce` makes each election its own, even where all else repeats. `total_weight` bounds the
    weights of the whole roll together. `credentials` says who draws the voters' secrets: a
    registrar, each registrar a part of them, or the voters themselves. Without `mixing` all
    contests are summed; with it, those that are in none of its packs. In the profile `verificatum`
    proofs of shuffles answer that system's challenges; all else is as in `native`. An election of
    the profile `belenios` is one of that system behind the manifest:
    `evote.interop.belenios.profile` runs it. With `districts` the summed contests have results by
    district.

    Raises:
        ParameterError: the fields contradict each other; the message names the place.
    """

    nonce: bytes
    title: str
    group: Group
    contests: tuple[Contest, ...]
    styles: tuple[Style, ...]
    trustees: tuple[Card, ...]
    quorum: int
    registrars: tuple[Card, ...]
    authorities: tuple[Card, ...]
    authority_quorum: int
    origin: str
    board: Card
    revote: Revote = "last"
    spoil: Spoil = "allowed"
    credentials: Issue = "drawn"
    maximum_weight: int = 1
    total_weight: int
    maximum_voters: int
    mixing: Mixing | None = None
    profile: Profile = "native"
    powers: Powers = NO_POWERS
    districts: Districts | None = None

    def __post_init__(self) -> None:
        for place, reason in _contradictions(self):
            raise _ContradictionError(place, reason)

    def contest(self, identifier: str) -> Contest:
        """A contest by its id; ParameterError if there is none."""
        for contest in self.contests:
            if contest.id == identifier:
                return contest
        raise ParameterError(f"there is no contest {identifier!r}")

    def style(self, identifier: str) -> Style:
        """A ballot style by its id; ParameterError if there is none."""
        for style in self.styles:
            if style.id == identifier:
                return style
        raise ParameterError(f"there is no style {identifier!r}")

    def style_contests(self, identifier: str) -> tuple[Contest, ...]:
        """The contests of a ballot style, in its order."""
        return tuple(self.contest(name) for name in self.style(identifier).contests)

    def check_native(self) -> None:
        """Refuse an election that is not run, read or verified as evote's own.

        Raises:
            UnsupportedError: its profile is `belenios`.
        """
        if self.profile == "belenios":
            reason = "evote.interop.belenios.profile runs and verifies it"
            raise UnsupportedError(f"an election of the profile belenios: {reason}")

    @property
    def mixers(self) -> tuple[Card, ...]:
        """Those who mix, in their order; none where nothing is mixed."""
        return self.mixing.mixers if self.mixing is not None else ()

    @property
    def packs(self) -> tuple[Pack, ...]:
        """The packs of contests that are mixed; none where nothing is mixed."""
        return self.mixing.packs if self.mixing is not None else ()

    @property
    def summed_contests(self) -> tuple[Contest, ...]:
        """The contests that are not mixed, in the manifest's order."""
        return tuple(contest for contest in self.contests if self.pack_of(contest.id) is None)

    @property
    def maximum_sums(self) -> int:
        """How many encrypted sums tally.json can hold."""
        return MAX_BODY // (4 * self.group.element_size)

    @property
    def mixed_contests(self) -> tuple[Contest, ...]:
        """The contests that are in a pack, in the manifest's order."""
        return tuple(contest for contest in self.contests if self.pack_of(contest.id) is not None)

    def pack(self, identifier: str) -> Pack:
        """A pack by its id; ParameterError if there is none."""
        for pack in self.packs:
            if pack.id == identifier:
                return pack
        raise ParameterError(f"there is no pack {identifier!r}")

    def pack_of(self, contest: str) -> Pack | None:
        """The pack that a contest is mixed in; None where it is summed."""
        return next((pack for pack in self.packs if contest in pack.contests), None)

    def style_packs(self, identifier: str) -> tuple[Pack, ...]:
        """The packs whose contests a ballot style has, in the manifest's order."""
        contests = self.style(identifier).contests
        return tuple(pack for pack in self.packs if pack.contests[0] in contests)

    def packing(self, identifier: str) -> Packing:
        """How the answers to the contests of a pack become one message."""
        return Packing(tuple(self.contest(name) for name in self.pack(identifier).contests))

    def pack_width(self, identifier: str) -> int:
        """The elements of the group that hold one message of a pack."""
        return self.packing(identifier).width(self.group)

    @property
    def ballot_packs(self) -> tuple[BallotPack, ...]:
        """The packs with their contests, as ballots have them."""
        return tuple(BallotPack(id=p.id, contests=self.packing(p.id).contests) for p in self.packs)

    def card(self, role: Role, identifier: str) -> Card:
        """An operator's card; ParameterError if there is no such operator."""
        cards = {
            "trustee": self.trustees,
            "registrar": self.registrars,
            "board": (self.board,),
            "mixer": self.mixers,
        }
        for card in cards.get(role, self.authorities):
            if card.id == identifier:
                return card
        raise ParameterError(f"there is no {role} {identifier!r}")

    @property
    def log_key(self) -> VerifierKey:
        """The key that signs the checkpoints of the board."""
        return VerifierKey(name=self.origin, kind=LOG_KEY, public=self.board.signing_key)


# -- contradictions ------------------------------------------------------------------------------


def _contradictions(manifest: Manifest) -> Iterator[tuple[str, str]]:
    """Place and reason of what is wrong with a manifest whose fields are each well formed."""
    m = manifest
    if len(m.nonce) != 32:
        yield "nonce", f"32 bytes expected, got {len(m.nonce)}"
    if m.profile not in PROFILES:
        yield "profile", f"one of {', '.join(PROFILES)} expected"
    if m.group.is_weak:
        yield "group", f"{m.group.name} is too small for a new election"
    yield from _operator_contradictions(m)
    yield from _limit_contradictions(m)
    yield from _contest_contradictions(m)
    if len(m.origin) > 255 or not _ORIGIN.fullmatch(m.origin):
        yield "board.origin", "a host name and path such as log.example/election expected"
    if m.revote not in _REVOTE:
        yield "policies.revote", f"one of {', '.join(_REVOTE)} expected"
    if m.spoil not in _SPOIL:
        yield "policies.spoil", f"one of {', '.join(_SPOIL)} expected"
    yield from power_contradictions(m.powers)
    if m.districts is not None:
        yield from district_contradictions(m.districts, m.maximum_voters)


def _contest_contradictions(m: Manifest) -> Iterator[tuple[str, str]]:
    if not 1 <= len(m.contests) <= MAX_CONTESTS:
        yield "contests", f"1 to {MAX_CONTESTS} contests expected, got {len(m.contests)}"
    if not 1 <= len(m.styles) <= MAX_STYLES:
        yield "styles", f"1 to {MAX_STYLES} styles expected, got {len(m.styles)}"
    for i in _repeats([contest.id for contest in m.contests]):
        yield f"contests[{i}].id", f"{m.contests[i].id!r} repeats"
    for i in _repeats([style.id for style in m.styles]):
        yield f"styles[{i}].id", f"{m.styles[i].id!r} repeats"
    known = {contest.id for contest in m.contests}
    for i, style in enumerate(m.styles):
        for j, name in enumerate(style.contests):
            if name not in known:
                yield f"styles[{i}].contests[{j}]", f"there is no contest {name!r}"
    used = {name for style in m.styles for name in style.contests}
    mixed = {name for pack in m.packs for name in pack.contests}
    limit = min(m.group.order, TALLY_LIMIT)
    for i, contest in enumerate(m.contests):
        if contest.id not in used:
            yield f"contests[{i}].id", f"{contest.id!r} is in no style: nobody can vote on it"
        if contest.id in mixed:
            continue
        if not contest.is_summed:
            yield f"contests[{i}].kind", f"a {contest.kind} is mixed, and {contest.id!r} in no pack"
        bound = contest.option_limit * m.total_weight
        if bound >= limit:
            what = f"{contest.option_limit} times the total weight {m.total_weight}"
            yield (
                f"contests[{i}].option_limit",
                f"{what} is not below {limit}: no tally can be read",
            )
    if m.profile == "verificatum":
        yield from verificatum_contradictions(m.mixing, m.group)
    if m.profile == "belenios":
        yield from belenios_contradictions(
            m.group,
            m.contests,
            m.mixing,
            styles=m.styles,
            registrars=len(m.registrars),
            maximum_weight=m.maximum_weight,
            maximum_voters=m.maximum_voters,
            revote=m.revote,
            spoil=m.spoil,
            powers=m.powers,
            districts=m.districts is not None,
        )
        return
    if m.mixing is not None:
        yield from mixing_contradictions(m.mixing, m.group, m.contests, m.styles, m.maximum_voters)
    yield from _size_contradictions(m)


def _size_contradictions(m: Manifest) -> Iterator[tuple[str, str]]:
    """Found out at the first ballot, or at the tally, it would be too late."""
    sizes = body_sizes(m.group, m.contests, m.styles, m.ballot_packs)
    for i, style in enumerate(m.styles):
        if sizes[style.id] > MAX_BODY:
            yield f"styles[{i}]", f"ballots of {sizes[style.id]} bytes, at most {MAX_BODY} allowed"
    if m.spoil == "allowed":
        openings = {contest.id: _opening_size(contest) for contest in m.contests}
        for i, style in enumerate(m.styles):
            size = _OPENING + sum(openings[name] for name in style.contests)
            if size > MAX_ENTRY:
                reason = (
                    f"spoiled ballots need entries of {size} bytes, at most {MAX_ENTRY} allowed"
                )
                yield f"styles[{i}]", reason
    sums = sum(contest.width for contest in m.summed_contests)
    if sums > (most := m.maximum_sums):
        yield "contests", f"{sums} sums to be tallied, at most {most} in {m.group.name}"


def _opening_size(contest: Contest) -> int:
    """The most bytes that the marks on a contest take in the opening of a spoiled ballot."""
    mark = len(str(contest.option_limit)) + 1
    text = len(',"write_in":""') + 2 * contest.write_in if contest.write_in is not None else 0
    size = len(',{"blank":0,"id":"","selections":[]}') + len(contest.id) + text
    return size + mark * len(contest.options)


def _operator_contradictions(m: Manifest) -> Iterator[tuple[str, str]]:
    cards: list[tuple[str, Role, Card]] = [("board.card", "board", m.board)]
    lists: tuple[tuple[str, Role, Sequence[Card]], ...] = (
        ("trustees", "trustee", m.trustees),
        ("registrars", "registrar", m.registrars),
        ("authorities.cards", "authority", m.authorities),
    )
    if m.mixing is not None and m.profile != "belenios":
        lists += (("mixing.mixers", "mixer", m.mixing.mixers),)
    for place, role, members in lists:
        if not 1 <= len(members) <= MAX_OPERATORS:
            yield place, f"1 to {MAX_OPERATORS} cards expected, got {len(members)}"
        cards += [(f"{place}[{i}]", role, card) for i, card in enumerate(members)]
    for place, role, card in cards:
        if card.role != role:
            yield place, f"the card of a {role} expected, got that of a {card.role}"
        if card.ceremony_key is not None and card.ceremony_key.group != m.group:
            yield f"{place}.ceremony_key", f"a key in {m.group.name} expected"
    # One key, one holder: a trustee who is the board too would answer for itself.
    for i in _repeats([card.id for _, _, card in cards]):
        yield f"{cards[i][0]}.id", f"{cards[i][2].id!r} repeats among the operators"
    for i in _repeats([card.signing_key for _, _, card in cards]):
        yield f"{cards[i][0]}.signing_key", "the key repeats among the operators"
    keys = [card.ceremony_key.encode() for card in m.trustees if card.ceremony_key is not None]
    for i in _repeats(keys):
        yield f"trustees[{i}].ceremony_key", "the key repeats among the trustees"
    if m.credentials not in ("drawn", *_ISSUE):
        yield "credentials", f"one of {', '.join(_ISSUE)} expected"
    if m.credentials == "parts" and not 2 <= len(m.registrars) <= MAX_PARTS:
        yield "credentials", f"parts are drawn by 2 to {MAX_PARTS} registrars"
    for place, quorum, size in (
        ("quorum", m.quorum, len(m.trustees)),
        ("authorities.quorum", m.authority_quorum, len(m.authorities)),
    ):
        if type(quorum) is not int or not 1 <= quorum <= size:
            yield place, f"an integer from 1 to {size} expected, got {quorum!r}"


def _limit_contradictions(m: Manifest) -> Iterator[tuple[str, str]]:
    for place, value, high in (
        ("voters.maximum", m.maximum_voters, MAX_VOTERS),
        ("weights.maximum", m.maximum_weight, MAX_WEIGHT),
        ("weights.total", m.total_weight, _MAX_TOTAL),
    ):
        if type(value) is not int or not 1 <= value <= high:
            yield place, f"an integer from 1 to {high} expected, got {value!r}"
            return
    if m.maximum_weight > m.total_weight:
        yield "weights.maximum", f"{m.maximum_weight} is above the total {m.total_weight}"
    if m.total_weight > m.maximum_voters * m.maximum_weight:
        most = f"{m.maximum_voters} voters of weight {m.maximum_weight}"
        yield "weights.total", f"{m.total_weight} is more than {most} have"


def _repeats(items: Sequence[object]) -> Iterator[int]:
    """The positions of items that occurred before."""
    seen: set[object] = set()
    for i, item in enumerate(items):
        if item in seen:
            yield i
        seen.add(item)


# -- bytes ---------------------------------------------------------------------------------------


def encode_manifest(manifest: Manifest) -> bytes:
    """The bytes of manifest.json, read back and compared: nobody publishes what nobody can read.

    Raises:
        ParameterError: a text or an id in it has no place in a manifest.
    """
    m = manifest
    rare: dict[str, JSON] = {} if m.mixing is None else {"mixing": m.mixing.to_json()}
    if m.districts is not None:
        rare["districts"] = m.districts.to_json()
    if m.credentials != "drawn":
        rare["credentials"] = m.credentials
    data = canonical_json(
        rare
        | {
            "format": "evote/manifest",
            "version": 1,
            "nonce": encode_hex(m.nonce),
            "title": m.title,
            "profile": m.profile,
            "group": m.group.name,
            "contests": [contest.to_json() for contest in m.contests],
            "styles": [style.to_json() for style in m.styles],
            "trustees": [_card_to_json(card) for card in m.trustees],
            "quorum": m.quorum,
            "registrars": [_card_to_json(card) for card in m.registrars],
            "authorities": {
                "cards": [_card_to_json(card) for card in m.authorities],
                "quorum": m.authority_quorum,
            },
            "board": {"origin": m.origin, "card": _card_to_json(m.board)},
            "policies": {"revote": m.revote, "spoil": m.spoil} | m.powers.to_json(),
            "weights": {"maximum": m.maximum_weight, "total": m.total_weight},
            "voters": {"maximum": m.maximum_voters},
        }
    )
    try:
        same = decode_manifest(data) == manifest
    except EvoteError as error:
        raise ParameterError(str(error)) from None
    if not same:
        raise ParameterError("the manifest reads back as another")
    return data


def _card_to_json(card: Card) -> JSON:
    return card.fields()


def decode_manifest(data: bytes, *, where: str = "manifest.json") -> Manifest:
    """Read manifest.json.

    Raises:
        DecodingError: not canonical, a field malformed, or fields that contradict each other.
        UnsupportedError: another version.
        InvalidProof: a trustee's ceremony key comes with a false proof.
    """
    fields = Fields(parse_json(data, where=where, max_bytes=MAX_MANIFEST), f"{where}: $")
    check_format(fields, "evote/manifest", 1)
    profile = fields.choice("profile", PROFILES)
    group = _read_group(fields)
    contests = tuple(map(read_contest, fields.objects("contests", MAX_CONTESTS)))
    names = {contest.id for contest in contests}
    authorities, board = fields.object("authorities"), fields.object("board")
    policies, weights, voters = map(fields.object, ("policies", "weights", "voters"))
    try:
        manifest = Manifest(
            nonce=fields.hex("nonce", 32),
            title=fields.text("title", max_length=_MAX_TITLE),
            group=group,
            contests=contests,
            styles=tuple(
                read_style(style, names) for style in fields.objects("styles", MAX_STYLES)
            ),
            trustees=_read_cards(fields, "trustees", "trustee", group),
            quorum=fields.integer("quorum", 1, MAX_OPERATORS),
            registrars=_read_cards(fields, "registrars", "registrar", group),
            authorities=_read_cards(authorities, "cards", "authority"),
            authority_quorum=authorities.integer("quorum", 1, MAX_OPERATORS),
            origin=board.text("origin", max_length=255),
            board=read_card(board.object("card"), "board"),
            revote=_REVOTE[policies.choice("revote", _REVOTE)],
            spoil=_SPOIL[policies.choice("spoil", _SPOIL)],
            credentials=(
                _ISSUE[fields.choice("credentials", _ISSUE)] if "credentials" in fields else "drawn"
            ),
            maximum_weight=weights.integer("maximum", 1, MAX_WEIGHT),
            total_weight=weights.integer("total", 1, _MAX_TOTAL),
            maximum_voters=voters.integer("maximum", 1, MAX_VOTERS),
            mixing=(
                read_mixing(fields.object("mixing"), MAX_OPERATORS, MAX_VOTERS)
                if "mixing" in fields
                else None
            ),
            profile=_PROFILE[profile],
            powers=read_powers(policies),
            districts=(
                read_districts(fields.object("districts"), MAX_VOTERS)
                if "districts" in fields
                else None
            ),
        )
    except _ContradictionError as error:
        raise DecodingError(error.reason, where=fields.path(error.place)) from None
    for part in (authorities, board, policies, weights, voters, fields):
        part.end()
    return manifest


def _read_group(fields: Fields) -> Group:
    name = fields.text("group", max_length=64)
    try:
        return named_group(name)
    except ParameterError as error:
        fields.fail("group", str(error))


def _read_cards(
    fields: Fields, key: str, role: Role, group: Group | None = None
) -> tuple[Card, ...]:
    return tuple(read_card(card, role, group) for card in fields.objects(key, MAX_OPERATORS))


# -- digests -------------------------------------------------------------------------------------


def manifest_digest(data: bytes) -> bytes:
    """The digest of manifest.json, which operators and auditors compare over another channel."""
    return digest("manifest", data)


def base_id(manifest_digest: bytes, group: Group, trustees: int, quorum: int) -> bytes:
    """What the key ceremony, the roll and the voters' keys are bound to."""
    return digest("base", manifest_digest, group.parameters(), uint32(trustees), uint32(quorum))


def election_id(base: bytes, ceremony: bytes, key: PublicKey, roll_root: bytes) -> bytes:
    """What ballots, the board and the tally are bound to."""
    return digest("election", base, ceremony, key.element.encode(), roll_root)


def ballot_context(manifest: Manifest, key: bytes, election: bytes) -> BallotContext:
    """What ballots are encrypted and verified in; the joint key as bytes, as processes pass it."""
    return BallotContext(
        key=PublicKey(element=manifest.group.decode_elements(key, ())),
        election_id=election,
        contests=manifest.contests,
        styles=manifest.styles,
        packs=manifest.ballot_packs,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ElectionParameters:
    """All that is fixed once the ceremony is complete and the roll is signed.

    `verification_keys` has shape (n,): trustee i's is at i - 1.
    """

    manifest: Manifest
    manifest_digest: bytes
    base_id: bytes
    ceremony_digest: bytes
    key: PublicKey
    verification_keys: Elements
    roll_root: bytes
    election_id: bytes

    @property
    def ballot_context(self) -> BallotContext:
        """What a ballot is encrypted and verified in."""
        return ballot_context(self.manifest, self.key.element.encode(), self.election_id)


def election_parameters(
    manifest_data: bytes, ceremony: CeremonyResult, roll_root: bytes
) -> ElectionParameters:
    """The parameters of an election whose ceremony and roll the caller has checked."""
    manifest = decode_manifest(manifest_data)
    named = manifest_digest(manifest_data)
    base = base_id(named, manifest.group, len(manifest.trustees), manifest.quorum)
    return ElectionParameters(
        manifest=manifest,
        manifest_digest=named,
        base_id=base,
        ceremony_digest=ceremony.digest,
        key=ceremony.key,
        verification_keys=ceremony.verification_keys,
        roll_root=roll_root,
        election_id=election_id(base, ceremony.digest, ceremony.key, roll_root),
    )
