"""The manifest: its contradictions, its one encoding, and the ids that bind everything to it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Literal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evote.board import OpenedContest, Opening, encode_entry
from evote.contests import KINDS, Contest, Count, Option, Style
from evote.election import (
    MAX_OPERATORS,
    MAX_VOTERS,
    TALLY_LIMIT,
    Districts,
    Manifest,
    Mixing,
    Powers,
    base_id,
    decode_manifest,
    election_id,
    encode_manifest,
    manifest_digest,
)
from evote.elgamal import PublicKey
from evote.encoding import JSON, canonical_json, frame, parse_json, uint32
from evote.errors import DecodingError, InvalidProof, ParameterError, UnsupportedError
from evote.groups import modp_group, named_group, ristretto255
from evote.operators import Card, Role, draw_operator
from evote.packing import MAX_PACK_WIDTH, Pack
from evote.testing import strategies


def card(role: Role, name: str) -> Card:
    group = ristretto255 if role == "trustee" else None
    return draw_operator(role, name, group=group).card


def contest(name: str, **more: Any) -> Contest:
    options = (Option(id="yes", title="Yes"), Option(id="no", title="No"))
    fields = {"kind": "yes-no", "option_limit": 1, "minimum": 0, "maximum": 1, **more}
    return Contest(id=name, title=name.upper(), options=options, **fields)


TRUSTEES = tuple(card("trustee", f"t{i}") for i in range(3))
AUTHORITIES = tuple(card("authority", f"a{i}") for i in range(2))
REGISTRARS = (card("registrar", "r"),)
BOARD = card("board", "b")
SCORED = contest("scored", kind="score", option_limit=5, maximum=10, blank="counted")
GOOD = Manifest(
    nonce=bytes(32),
    title="An election",
    group=ristretto255,
    contests=(contest("bridge"), SCORED),
    styles=(Style(id="all", contests=("scored", "bridge")), Style(id="some", contests=("bridge",))),
    trustees=TRUSTEES,
    quorum=2,
    registrars=REGISTRARS,
    authorities=AUTHORITIES,
    authority_quorum=1,
    origin="log.example/election",
    board=BOARD,
    maximum_weight=3,
    total_weight=20,
    maximum_voters=10,
)
DATA = encode_manifest(GOOD)

MIXERS = tuple(card("mixer", f"m{i}") for i in range(3))
RANKED = contest(
    "ranked",
    kind="ranking",
    option_limit=2,
    maximum=2,
    count=Count(method="schulze", seats=1),
)
NAMED = contest("named", kind="write-in", maximum=1, write_in=20)
MIXED = replace(
    GOOD,
    contests=(*GOOD.contests, RANKED, NAMED),
    styles=(
        Style(id="all", contests=("ranked", "scored", "bridge", "named")),
        Style(id="some", contests=("bridge", "ranked")),
    ),
    mixing=Mixing(
        mixers=MIXERS,
        packs=(
            Pack(id="p", contests=("ranked", "bridge")),
            Pack(id="q", contests=("named",)),
        ),
        patterns_accepted=True,
    ),
)
MIXED_DATA = encode_manifest(MIXED)


@pytest.mark.parametrize(("manifest", "data"), [(GOOD, DATA), (MIXED, MIXED_DATA)])
def test_round_trip(manifest: Manifest, data: bytes) -> None:
    assert decode_manifest(data) == manifest
    assert encode_manifest(decode_manifest(data)) == data


def test_nothing_is_said_of_mixing_where_nothing_is_mixed() -> None:
    value: Any = parse_json(DATA)
    assert "mixing" not in value
    for one in value["contests"]:
        assert not {"count", "write_in"} & set(one)
    assert (GOOD.mixers, GOOD.packs, GOOD.summed_contests) == ((), (), GOOD.contests)


def test_names_are_found() -> None:
    assert GOOD.contest("bridge") is GOOD.contests[0]
    assert [c.id for c in GOOD.style_contests("all")] == ["scored", "bridge"]
    assert GOOD.card("trustee", "t1") is TRUSTEES[1]
    assert GOOD.card("registrar", "r") is REGISTRARS[0]
    assert GOOD.card("authority", "a1") is AUTHORITIES[1]
    assert GOOD.card("board", "b") is BOARD
    assert GOOD.log_key.name == GOOD.origin
    assert GOOD.log_key.public == BOARD.signing_key
    assert MIXED.card("mixer", "m1") is MIXERS[1]
    p, q = MIXED.packs
    assert MIXED.pack("q") is q
    assert MIXED.pack_of("bridge") is p
    assert MIXED.pack_of("scored") is None
    assert MIXED.summed_contests == (SCORED,)
    assert (MIXED.style_packs("all"), MIXED.style_packs("some")) == ((p, q), (p,))
    assert MIXED.packing("p").contests == (RANKED, GOOD.contests[0])
    assert (MIXED.pack_width("p"), MIXED.pack_width("q")) == (1, 1)
    for missing in (
        lambda: GOOD.contest("tower"),
        lambda: GOOD.style("none"),
        lambda: GOOD.card("trustee", "a1"),
        lambda: GOOD.card("board", "t1"),
        lambda: GOOD.card("mixer", "m1"),
        lambda: MIXED.card("mixer", "t1"),
        lambda: GOOD.pack("p"),
        lambda: MIXED.packing("r"),
    ):
        with pytest.raises(ParameterError, match="there is no"):
            missing()


# -- contradictions ------------------------------------------------------------------------------

# Built by hand. The place is that of the field in manifest.json.
GOOD_VOTERS = GOOD.maximum_voters
CONTRADICTIONS: dict[str, tuple[dict[str, Any], str]] = {
    "nonce": ({"nonce": bytes(31)}, "nonce"),
    "profile": ({"profile": "helios"}, "profile"),
    "belenios": ({"profile": "belenios"}, "group"),
    "no contests": ({"contests": ()}, "contests"),
    "no styles": ({"styles": ()}, "styles"),
    "contest twice": ({"contests": (GOOD.contests[0],) * 2}, "contests[1].id"),
    "style twice": ({"styles": (*GOOD.styles, GOOD.styles[1])}, "styles[2].id"),
    "style of nothing": ({"contests": (SCORED,)}, "styles[0].contests[1]"),
    "contest of nobody": ({"styles": (GOOD.styles[1],)}, "contests[1].id"),
    "no trustees": ({"trustees": ()}, "trustees"),
    "trustees": ({"trustees": TRUSTEES * 34}, "trustees"),
    "no registrars": ({"registrars": ()}, "registrars"),
    "no authorities": ({"authorities": ()}, "authorities.cards"),
    "trustee twice": ({"trustees": (*TRUSTEES, TRUSTEES[0])}, "trustees[3].id"),
    "id of another": (
        {"registrars": (card("registrar", "a1"),)},
        "authorities.cards[1].id",
    ),
    "key of another": (
        {"registrars": (Card(role="registrar", id="x", signing_key=BOARD.signing_key),)},
        "registrars[0].signing_key",
    ),
    "a registrar as trustee": (
        {
            "trustees": (
                *TRUSTEES[:2],
                replace(TRUSTEES[0], id="x", signing_key=REGISTRARS[0].signing_key),
            )
        },
        "registrars[0].signing_key",
    ),
    "role": ({"registrars": (card("authority", "x"),)}, "registrars[0]"),
    "board's role": ({"board": card("registrar", "x")}, "board.card"),
    "ceremony key of another group": (
        {"group": named_group("ffdhe2048")},
        "trustees[0].ceremony_key",
    ),
    "quorum 0": ({"quorum": 0}, "quorum"),
    "quorum 4": ({"quorum": 4}, "quorum"),
    "quorum true": ({"quorum": True}, "quorum"),
    "authorities 0": ({"authority_quorum": 0}, "authorities.quorum"),
    "authorities 3": ({"authority_quorum": 3}, "authorities.quorum"),
    "no voters": ({"maximum_voters": 0}, "voters.maximum"),
    "voters": ({"maximum_voters": MAX_VOTERS + 1}, "voters.maximum"),
    "voters 1.0": ({"maximum_voters": 1.0}, "voters.maximum"),
    "weight 0": ({"maximum_weight": 0}, "weights.maximum"),
    "weight": ({"maximum_weight": 2**31}, "weights.maximum"),
    "weight above total": ({"maximum_weight": 21}, "weights.maximum"),
    "total 0": ({"total_weight": 0}, "weights.total"),
    "total": ({"total_weight": 2**40}, "weights.total"),
    "more than all have": ({"total_weight": 31}, "weights.total"),
    "origin": ({"origin": "Log.example"}, "board.origin"),
    "long origin": ({"origin": "a" * 256}, "board.origin"),
    "origin's path": ({"origin": "log.example/"}, "board.origin"),
    "revote": ({"revote": "first"}, "policies.revote"),
    "spoil": ({"spoil": "never"}, "policies.spoil"),
    "credentials": ({"credentials": "guessed"}, "credentials"),
    "parts of one registrar": ({"credentials": "parts"}, "credentials"),
    "parts of ten": (
        {
            "credentials": "parts",
            "registrars": tuple(card("registrar", f"part{i}") for i in range(10)),
        },
        "credentials",
    ),
    "a registrar's key in another group": (
        {"registrars": (draw_operator("registrar", "r8", group=named_group("ffdhe2048")).card,)},
        "registrars[0].ceremony_key",
    ),
    "reason twice": ({"powers": Powers(strike=("a", "b", "a"))}, "policies.strike"),
    "reason": ({"powers": Powers(confirm=("No reason",))}, "policies.confirm"),
    "reasons": ({"powers": Powers(phase=tuple(f"r{i}" for i in range(65)))}, "policies.phase"),
    "nothing to extend": ({"powers": Powers(extend=("late",))}, "policies.extend"),
    "end": ({"powers": Powers(end=-1)}, "policies.end"),
    "end in 10000": ({"powers": Powers(end=253_402_300_800)}, "policies.end"),
    "unit": ({"districts": Districts(min_unit=0)}, "districts.min_unit"),
    "unit of all": ({"districts": Districts(min_unit=GOOD_VOTERS + 1)}, "districts.min_unit"),
}


@pytest.mark.parametrize(("change", "place"), CONTRADICTIONS.values(), ids=CONTRADICTIONS)
def test_contradictions(change: dict[str, Any], place: str) -> None:
    with pytest.raises(ParameterError) as caught:
        replace(GOOD, **change)
    assert str(caught.value).startswith(f"{place}: ")


def packs(*names: tuple[str, ...]) -> dict[str, Any]:
    return {"packs": tuple(Pack(id=f"p{i}", contests=of) for i, of in enumerate(names))}


# Of what is said about mixing, and of the manifest around it.
MIXING: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "no mixers": ({"mixers": ()}, {}, "mixing.mixers"),
    "mixers": ({"mixers": MIXERS * 34}, {}, "mixing.mixers"),
    "mixer twice": ({"mixers": (*MIXERS, MIXERS[0])}, {}, "mixing.mixers[3].id"),
    "mixer with the key of another": (
        {"mixers": (MIXERS[0], replace(MIXERS[0], id="x"))},
        {},
        "mixing.mixers[1].signing_key",
    ),
    "mixer with the id of a trustee": (
        {"mixers": (card("mixer", "t1"),)},
        {},
        "mixing.mixers[0].id",
    ),
    "mixer with the key of the board": (
        {"mixers": (Card(role="mixer", id="x", signing_key=BOARD.signing_key),)},
        {},
        "mixing.mixers[0].signing_key",
    ),
    "mixer's role": ({"mixers": (card("registrar", "x"),)}, {}, "mixing.mixers[0]"),
    "no packs": (packs(), {}, "contests[2].kind"),
    "no packs needed": (
        packs(),
        {"contests": GOOD.contests, "styles": GOOD.styles},
        "mixing.packs",
    ),
    "pack of nothing known": (
        packs(("ranked",), ("named", "tower")),
        {},
        "mixing.packs[1].contests[1]",
    ),
    "contest in two packs": (
        packs(("ranked",), ("named", "ranked")),
        {},
        "mixing.packs[1].contests[1]",
    ),
    "contest twice in a pack": (
        packs(("ranked", "named", "ranked")),
        {},
        "mixing.packs[0].contests[2]",
    ),
    "pack twice": (
        {"packs": (Pack(id="p", contests=("ranked",)), Pack(id="p", contests=("named",)))},
        {},
        "mixing.packs[1].id",
    ),
    "ranking that is summed": (packs(("named",)), {}, "contests[2].kind"),
    "write-in that is summed": (packs(("ranked",)), {}, "contests[3].kind"),
    "half a pack": (packs(("ranked", "named")), {}, "styles[1].contests"),
    "unit of 0": ({"min_unit": 0}, {}, "mixing.min_unit"),
    "unit of true": ({"min_unit": True}, {}, "mixing.min_unit"),
    "patterns": ({"patterns_accepted": False}, {"maximum_voters": 15}, "mixing.packs[1]"),
    "patterns of a pack": (
        {"patterns_accepted": False},
        {"maximum_voters": 14, "maximum_weight": 20},
        "mixing.packs[0]",
    ),
}


@pytest.mark.parametrize(("change", "around", "place"), MIXING.values(), ids=MIXING)
def test_contradictions_of_mixing(
    change: dict[str, Any], around: dict[str, Any], place: str
) -> None:
    """attacks: D7"""
    assert MIXED.mixing is not None
    with pytest.raises(ParameterError) as caught:
        replace(MIXED, mixing=replace(MIXED.mixing, **change), **around)
    assert str(caught.value).startswith(f"{place}: ")


def test_rankings_need_mixing() -> None:
    with pytest.raises(ParameterError, match=r"^contests\[2\].kind: a ranking is mixed"):
        replace(MIXED, mixing=None)


def test_patterns_up_to_the_voters() -> None:
    """Five rankings of two options times three answers to yes or no are fifteen patterns."""
    assert MIXED.packing("p").patterns == 15
    one = replace(
        MIXED,
        contests=(*GOOD.contests, RANKED),
        styles=(Style(id="all", contests=("ranked", "scored", "bridge")),),
        mixing=Mixing(mixers=MIXERS[:1], packs=MIXED.packs[:1]),
        maximum_voters=15,
    )
    with pytest.raises(ParameterError, match=r"^mixing.packs\[0\]: 15 possible patterns and 14"):
        replace(one, maximum_voters=14)
    assert one.mixing is not None
    accepted = replace(one.mixing, patterns_accepted=True)
    assert replace(one, maximum_voters=14, mixing=accepted).maximum_voters == 14


def test_messages_fit_their_elements() -> None:
    """Sixteen elements of ristretto255 hold 478 bytes, one version byte among them."""

    def manifest(*lengths: int) -> Manifest:
        many = tuple(
            replace(NAMED, id=f"n{i}", title=f"N{i}", write_in=length)
            for i, length in enumerate(lengths)
        )
        names = tuple(one.id for one in many)
        return replace(
            GOOD,
            contests=many,
            styles=(Style(id="all", contests=names),),
            mixing=Mixing(
                mixers=MIXERS, packs=(Pack(id="p", contests=names),), patterns_accepted=True
            ),
        )

    most = ristretto255.message_size(MAX_PACK_WIDTH)
    assert most == 478
    fits = manifest(200, 200, 73)  # two marks and eight or seven bits of a length in each
    assert (fits.packing("p").size, fits.pack_width("p")) == (most, MAX_PACK_WIDTH)
    with pytest.raises(ParameterError, match=r"^mixing.packs\[0\]: messages of 479 bytes, at most"):
        manifest(200, 200, 74)


def test_groups_that_hold_no_messages() -> None:
    """An order-q subgroup with a large cofactor sums, and mixes nothing: named before the vote."""
    group = named_group("electionguard-2.0-3072")
    trustee = draw_operator("trustee", "t", group=group).card
    summed = replace(GOOD, group=group, trustees=(trustee,), quorum=1)
    assert summed.group.message_size() == 0
    with pytest.raises(ParameterError, match=r"^group: elements of electionguard-2.0-3072 hold no"):
        replace(MIXED, group=group, trustees=(trustee,), quorum=1)


def test_bounds_of_sums_bind_what_is_summed() -> None:
    """A total that no logarithm table reaches is no matter where nothing is added up."""
    heavy: Any = {"maximum_voters": 2**31, "maximum_weight": 2**20, "total_weight": 2**39}
    score = replace(SCORED, option_limit=5, maximum=10)
    with pytest.raises(ParameterError, match=r"^contests\[1\].option_limit: 5 times"):
        replace(GOOD, contests=(GOOD.contests[0], score), **heavy)
    mixing = Mixing(
        mixers=MIXERS, packs=(Pack(id="p", contests=("scored",)),), patterns_accepted=True
    )
    assert replace(GOOD, mixing=mixing, **heavy).summed_contests == GOOD.contests[:1]


def test_ceremony_keys_are_of_one_trustee_each() -> None:
    twin = replace(TRUSTEES[0], id="x", signing_key=card("authority", "x").signing_key)
    with pytest.raises(ParameterError, match=r"^trustees\[2\].ceremony_key: "):
        replace(GOOD, trustees=(*TRUSTEES[:2], twin))


def test_weak_group_is_refused() -> None:
    """attacks: B3"""
    weak = modp_group(23, 11, 4, allow_weak=True)
    with pytest.raises(ParameterError, match=r"^group: .* too small for a new election"):
        replace(GOOD, group=weak)


def test_group_without_a_name_has_no_manifest() -> None:
    """A strong group of unknown origin passes the constructor, and nobody could read it back."""
    known = named_group("ffdhe2048")
    square = pow(5, 2, known.p)  # type: ignore[attr-defined]
    unnamed = modp_group(known.p, known.order, square)  # type: ignore[attr-defined]
    trustee = draw_operator("trustee", "t", group=unnamed).card
    manifest = replace(GOOD, group=unnamed, trustees=(trustee,), quorum=1)
    with pytest.raises(ParameterError, match="no group is called"):
        encode_manifest(manifest)


@pytest.mark.parametrize(("limit", "voters"), [(1, 2**31), (127, 2**32 - 1)])
def test_totals_stay_below_the_limit(limit: int, voters: int) -> None:
    """Design, section 4: option limit times total weight is below 2^40, exactly."""
    one = contest("c", kind="score", option_limit=limit, maximum=2 * limit)
    weight = 2**31 - 1
    highest = min((TALLY_LIMIT - 1) // limit, voters * weight)
    manifest = replace(
        GOOD,
        contests=(one,),
        styles=(Style(id="all", contests=("c",)),),
        maximum_voters=voters,
        maximum_weight=weight,
        total_weight=highest,
    )
    place = "weights.total" if limit == 1 else r"contests\[0\].option_limit"
    with pytest.raises(ParameterError, match=f"^{place}: "):
        replace(manifest, total_weight=highest + 1)


def test_ballots_that_cannot_be_published() -> None:
    """16 MiB a ballot, and sums that fit one file: found out before the ceremony, not after."""
    options = tuple(Option(id=f"o{i}", title=f"O{i}") for i in range(1000))
    many = tuple(
        Contest(
            id=f"c{i}",
            title="T",
            kind="cumulative",
            options=options,
            option_limit=7,
            minimum=0,
            maximum=7,
        )
        for i in range(20)
    )
    everything = Style(id="all", contests=tuple(c.id for c in many))
    with pytest.raises(ParameterError, match=r"^styles\[0\]: ballots of [0-9]{8} bytes"):
        replace(GOOD, contests=many, styles=(everything,))
    ten = replace(everything, contests=everything.contests[:10])
    assert replace(GOOD, contests=many[:10], styles=(ten,)).styles == (ten,)
    wide = tuple(
        replace(many[0], id=f"c{i}", kind="limited", option_limit=1, maximum=1) for i in range(140)
    )
    narrow = tuple(Style(id=c.id, contests=(c.id,)) for c in wide)
    with pytest.raises(
        ParameterError, match=r"^contests: 140000 sums to be tallied, at most 13107"
    ):
        replace(GOOD, contests=wide, styles=narrow)


def test_spoiled_ballots_that_could_not_be_opened() -> None:
    """The largest opening of a style is an entry of the board, or the style is refused."""

    def contests(count: int) -> tuple[Contest, ...]:
        options = tuple(Option(id=f"o{i}", title=f"O{i}") for i in range(1000))
        return tuple(
            Contest(
                id=f"contest-{i}",
                title="T",
                kind="limited",
                options=options,
                option_limit=1,
                minimum=0,
                maximum=1,
                blank="counted",
            )
            for i in range(count)
        )

    def manifest(count: int, spoil: Literal["allowed", "forbidden"]) -> Manifest:
        style = Style(id="all", contests=tuple(c.id for c in contests(count)))
        return replace(GOOD, contests=contests(count), styles=(style,), spoil=spoil)

    most = next(n for n in range(40, 1, -1) if _fits(manifest, n))
    opened = tuple(OpenedContest(id=c.id, selections=(1,) * 1000, blank=1) for c in contests(most))
    assert len(encode_entry(Opening(ballot=bytes(32), seed=bytes(32), contests=opened))) <= 65_535
    with pytest.raises(ParameterError, match=r"^styles\[0\]: spoiled ballots need entries of"):
        manifest(most + 1, "allowed")
    assert manifest(most + 1, "forbidden").spoil == "forbidden"
    more = (*opened, OpenedContest(id="contest-99", selections=(1,) * 1000, blank=1))
    with pytest.raises(ParameterError):
        encode_entry(Opening(ballot=bytes(32), seed=bytes(32), contests=more))


def _fits(manifest: Callable[[int, Literal["allowed"]], Manifest], count: int) -> bool:
    try:
        manifest(count, "allowed")
    except ParameterError:
        return False
    return True


# -- reading -------------------------------------------------------------------------------------


def altered(*path: str | int, value: JSON) -> bytes:
    """The good manifest's bytes with one value exchanged."""
    root: Any = parse_json(DATA)
    here = root
    for step in path[:-1]:
        here = here[step]
    here[path[-1]] = value
    return canonical_json(root)


READ: dict[str, tuple[tuple[str | int, ...], JSON, str]] = {
    "nonce": (("nonce",), "00", "$.nonce"),
    "title": (("title",), "", "$.title"),
    "title's bidi mark": (("title",), "\u202e", "$.title"),
    "group": (("group",), "rfc2409-1024", "$.group"),
    "profile": (("profile",), "other", "$.profile"),
    "contest": (("contests", 1, "maximum"), 11, "$.contests[1].maximum"),
    "option": (("contests", 0, "options", 1, "id"), "yes", "$.contests[0].options[1].id"),
    "style": (("styles", 0, "contests", 0), "tower", "$.styles[0].contests[0]"),
    "style id": (("styles", 1, "id"), "all", "$.styles[1].id"),
    "contest id": (("contests", 0, "id"), "scored", "$.styles[0].contests[1]"),
    "quorum": (("quorum",), 4, "$.quorum"),
    "quorum true": (("quorum",), True, "$.quorum"),
    "authorities": (("authorities", "quorum"), 3, "$.authorities.quorum"),
    "trustee's name": (("trustees", 0, "signing_key"), "00" * 32, "$.trustees[0].signing_key"),
    "registrar": (("registrars", 0, "id"), "b", "$.registrars[0].id"),
    "authority": (("authorities", "cards", 1, "id"), "t0", "$.authorities.cards[1].id"),
    "board": (("board", "card", "signing_key"), "02" * 32, "$.board.card.signing_key"),
    "origin": (("board", "origin"), "a b", "$.board.origin"),
    "revote": (("policies", "revote"), "first", "$.policies.revote"),
    "spoil": (("policies", "spoil"), "no", "$.policies.spoil"),
    "no reasons": (("policies", "strike"), [], "$.policies.strike"),
    "reason": (("policies", "confirm"), ["a b"], "$.policies.confirm[0]"),
    "extend": (("policies", "extend"), ["late"], "$.policies.extend"),
    "end": (("policies", "end"), "soon", "$.policies.end"),
    "policy": (("policies", "pardon"), ["mercy"], "$.policies"),
    "districts": (("districts",), {"min_unit": 30}, "$.districts"),
    "weight": (("weights", "maximum"), 21, "$.weights.maximum"),
    "total": (("weights", "total"), 31, "$.weights.total"),
    "too much": (("weights", "total"), 2**40, "$.weights.total"),
    "voters": (("voters", "maximum"), 1, "$.weights.total"),
    "limit": (("contests", 1, "option_limit"), 0, "$.contests[1].option_limit"),
}


READ_MIXING: dict[str, tuple[tuple[str | int, ...], JSON, str]] = {
    "mixer": (("mixing", "mixers", 1, "id"), "t0", "$.mixing.mixers[1].id"),
    "mixer's key": (
        ("mixing", "mixers", 1, "signing_key"),
        "02" * 32,
        "$.mixing.mixers[1].signing_key",
    ),
    "unit": (("mixing", "min_unit"), 0, "$.mixing.min_unit"),
    "small units": (("mixing", "small_units_accepted"), 1, "$.mixing.small_units_accepted"),
    "patterns": (("mixing", "patterns_accepted"), False, "$.mixing.packs[0]"),
    "no contests": (("mixing", "packs", 0, "contests"), [], "$.mixing.packs[0].contests"),
    "pack's id": (("mixing", "packs", 0, "id"), "P", "$.mixing.packs[0].id"),
    "pack's contest": (("mixing", "packs", 0, "contests", 0), "tower", "$.contests[2].kind"),
    "pack twice": (("mixing", "packs", 1, "id"), "p", "$.mixing.packs[1].id"),
    "half": (("styles", 1, "contests"), ["bridge"], "$.styles[1].contests"),
    "seats": (("contests", 2, "count", "seats"), 3, "$.contests[2].count.seats"),
    "nothing": (("mixing",), None, "$.mixing"),
}


@pytest.mark.parametrize(("path", "value", "place"), READ_MIXING.values(), ids=READ_MIXING)
def test_reader_names_the_place_of_mixing(
    path: tuple[str | int, ...], value: JSON, place: str
) -> None:
    root: Any = parse_json(MIXED_DATA)
    at(root, path[:-1])[path[-1]] = value
    with pytest.raises(DecodingError) as caught:
        decode_manifest(canonical_json(root))
    assert caught.value.where == f"manifest.json: {place}"


@pytest.mark.parametrize(("path", "value", "place"), READ.values(), ids=READ)
def test_reader_names_the_place(path: tuple[str | int, ...], value: JSON, place: str) -> None:
    with pytest.raises(DecodingError) as caught:
        decode_manifest(altered(*path, value=value))
    assert caught.value.where == f"manifest.json: {place}"


def test_bound_is_named_by_the_reader() -> None:
    heavy = replace(GOOD, maximum_voters=1000, maximum_weight=2**31 - 1, total_weight=2**37)
    root: Any = parse_json(encode_manifest(heavy))
    root["weights"]["total"] = 2**38  # 5 of it are above 2^40
    with pytest.raises(DecodingError, match="no tally can be read") as caught:
        decode_manifest(canonical_json(root))
    assert caught.value.where == "manifest.json: $.contests[1].option_limit"


def walk(value: JSON, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """The path of every object in a JSON value."""
    items = value.items() if isinstance(value, dict) else enumerate(value)  # type: ignore[arg-type]
    found = [path] if isinstance(value, dict) else []
    for key, inner in items:
        if isinstance(inner, dict | list):
            found += walk(inner, (*path, key))
    return found


def at(value: Any, path: tuple[str | int, ...]) -> Any:
    for step in path:
        value = value[step]
    return value


@pytest.mark.parametrize("path", walk(parse_json(MIXED_DATA)), ids=str)
def test_every_object_is_read_strictly(path: tuple[str | int, ...]) -> None:
    for key in at(parse_json(MIXED_DATA), path):
        root = parse_json(MIXED_DATA)
        del at(root, path)[key]
        without = "contests[2].kind" if key == "mixing" else "is missing"
        with pytest.raises(DecodingError, match=re.escape(without)):
            decode_manifest(canonical_json(root))
    root = parse_json(MIXED_DATA)
    at(root, path)["colour"] = "red"
    with pytest.raises(DecodingError, match="unknown field 'colour'"):
        decode_manifest(canonical_json(root))


def test_versions_and_profiles() -> None:
    with pytest.raises(UnsupportedError, match=r"manifest.json: \$.version"):
        decode_manifest(altered("version", value=2))
    with pytest.raises(DecodingError, match=r"manifest.json: \$.profile"):
        decode_manifest(altered("profile", value="helios"))
    with pytest.raises(DecodingError, match=r"\$.format"):
        decode_manifest(altered("format", value="evote/roll"))


def test_swapped_ceremony_proofs() -> None:
    root: Any = parse_json(DATA)
    first, second = root["trustees"][:2]
    first["ceremony_proof"], second["ceremony_proof"] = (
        second["ceremony_proof"],
        first["ceremony_proof"],
    )
    with pytest.raises(InvalidProof, match=r"manifest.json: \$.trustees\[0\].ceremony_proof"):
        decode_manifest(canonical_json(root))


def test_unpublishable_texts() -> None:
    for title in ("", "two\nlines", "x" * 1001):
        with pytest.raises(ParameterError, match="title"):
            encode_manifest(replace(GOOD, title=title))


# -- any manifest --------------------------------------------------------------------------------

TITLES = st.text(st.characters(categories=["L", "N", "P", "S"]), min_size=1, max_size=20)


CODES = st.lists(
    st.from_regex(r"[a-z0-9][a-z0-9._-]{0,9}", fullmatch=True), max_size=3, unique=True
).map(tuple)


@st.composite
def powers(draw: st.DrawFn) -> Powers:
    """Any powers; voting is extended only where an end is announced."""
    end = draw(st.none() | st.integers(0, 2**32))
    extend = draw(CODES) if end is not None else ()
    return Powers(
        strike=draw(CODES), confirm=draw(CODES), extend=extend, phase=draw(CODES), end=end
    )


@st.composite
def manifests(draw: st.DrawFn) -> Manifest:
    count = draw(st.integers(1, 3))
    contests = [replace(draw(strategies.contests()), id=f"c{i}") for i in range(count)]
    names = [c.id for c in contests]
    styles = [Style(id="all", contests=tuple(draw(st.permutations(names))))]
    if draw(st.booleans()):
        styles.append(Style(id="some", contests=(draw(st.sampled_from(names)),)))
    mixing = None
    if draw(st.booleans()):
        contests[0] = replace(draw(strategies.contests(KINDS)), id="c0")
        packs = (Pack(id="p", contests=("c0",)),)
        unit = draw(st.integers(1, 100))
        mixing = Mixing(mixers=MIXERS, packs=packs, min_unit=unit, patterns_accepted=True)
    trustees = TRUSTEES[: draw(st.integers(1, 3))]
    voters, weight = draw(st.integers(1, 10**6)), draw(st.integers(1, 1000))
    return Manifest(
        nonce=draw(st.binary(min_size=32, max_size=32)),
        title=draw(TITLES),
        group=ristretto255,
        contests=tuple(contests),
        styles=tuple(styles),
        trustees=trustees,
        quorum=draw(st.integers(1, len(trustees))),
        registrars=REGISTRARS,
        authorities=AUTHORITIES,
        authority_quorum=draw(st.integers(1, 2)),
        origin=draw(st.sampled_from(["log.example", "a.b-c.example/x/Y_z~1"])),
        board=BOARD,
        revote=draw(st.sampled_from(["last", "forbidden"])),
        spoil=draw(st.sampled_from(["allowed", "forbidden"])),
        credentials=draw(st.sampled_from(["drawn", "enrolled"])),
        maximum_weight=weight,
        total_weight=draw(st.integers(weight, voters * weight)),
        maximum_voters=voters,
        mixing=mixing,
        powers=draw(powers()),
        districts=draw(
            st.none()
            | st.builds(
                Districts,
                min_unit=st.integers(1, voters),
                small_units_accepted=st.booleans(),
            )
        ),
    )


SLOW = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@given(manifests())
@SLOW
def test_any_manifest_reads_back(manifest: Manifest) -> None:
    data = encode_manifest(manifest)
    assert decode_manifest(data) == manifest
    assert encode_manifest(decode_manifest(data)) == data


@given(st.data())
@SLOW
def test_any_change_changes_the_digest_and_the_base(data: st.DataObject) -> None:
    """What differs in any field, or in its bytes, is another election."""
    first, second = data.draw(manifests()), data.draw(manifests())
    field = data.draw(st.sampled_from(list(Manifest.__slots__)))
    try:
        mixed = replace(first, **{field: getattr(second, field)})
    except ParameterError:
        return  # these two do not mix
    one, other = (manifest_digest(encode_manifest(m)) for m in (first, mixed))
    assert (one == other) == (first == mixed)
    bases = [
        base_id(d, m.group, len(m.trustees), m.quorum) for d, m in ((one, first), (other, mixed))
    ]
    assert (bases[0] == bases[1]) == (first == mixed)


def test_ids_are_the_documented_hashes() -> None:
    def hashed(purpose: bytes, *parts: bytes) -> bytes:
        return hashlib.sha256(frame(b"evote/1/" + purpose, *parts)).digest()

    named = manifest_digest(DATA)
    assert named == hashed(b"manifest", DATA)
    base = base_id(named, ristretto255, 3, 2)
    assert base == hashed(b"base", named, ristretto255.parameters(), uint32(3), uint32(2))
    key = PublicKey(element=ristretto255.generator ** ristretto255.scalars(5))
    expected = hashed(b"election", base, bytes(32), key.element.encode(), b"\1" * 32)
    assert election_id(base, bytes(32), key, b"\1" * 32) == expected


def test_every_part_binds() -> None:
    """Each argument of both ids, changed alone, gives another id."""
    named = manifest_digest(DATA)
    bases = {
        base_id(named, ristretto255, 3, 2),
        base_id(bytes(32), ristretto255, 3, 2),
        base_id(named, named_group("ffdhe2048"), 3, 2),
        base_id(named, ristretto255, 4, 2),
        base_id(named, ristretto255, 3, 3),
    }
    assert len(bases) == 5
    key = PublicKey(element=ristretto255.generator)
    other = PublicKey(element=ristretto255.generator ** ristretto255.scalars(2))
    one, two = bytes(32), b"\1" * 32
    ids = {
        election_id(one, one, key, one),
        election_id(two, one, key, one),
        election_id(one, two, key, one),
        election_id(one, one, other, one),
        election_id(one, one, key, two),
    }
    assert len(ids) == 5


def test_at_most_99_of_a_role() -> None:
    many = tuple(card("authority", f"x{i}") for i in range(MAX_OPERATORS + 1))
    assert replace(GOOD, authorities=many[:-1]).authorities == many[:-1]
    with pytest.raises(
        ParameterError, match=r"^authorities.cards: 1 to 99 cards expected, got 100"
    ):
        replace(GOOD, authorities=many)
