"""Which ballots count: the fates of all ballots, from the log alone."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evote import policies
from evote.board import (
    MAX_ENTRY,
    MAX_ROWS,
    BallotColumns,
    BallotEntry,
    Confirm,
    Entry,
    Extend,
    Open,
    Opening,
    OperatorSignature,
    PhaseEntry,
    ResultEntry,
    Ruling,
    Seal,
    ShareEntry,
    Strike,
    TallyEntry,
    VotingPhase,
    decode_entry,
    encode_entry,
    pack_rows,
    unpack_rows,
)
from evote.credentials import ACTIONS, Roll, RollRow, make_roll, read_roll
from evote.encoding import digest, frame
from evote.errors import BrokenLog, DecodingError, ParameterError, VerificationError
from evote.policies import Counting, Fate, Fates, Powers, counted_digest, counted_set, verify_seal
from evote.testing import tamper

VOTERS = 5
KEYS = sorted(digest("test", b"voter", bytes([i])) for i in range(VOTERS))


def roll_of(keys: Sequence[bytes], provisional: Sequence[int] = ()) -> Roll:
    rows = [
        RollRow(credential=key, style="all", status="provisional" if i in provisional else "full")
        for i, key in enumerate(keys)
    ]
    return read_roll(make_roll(bytes(32), rows)[1], ["all"], check_keys=False)


ROLL = roll_of(KEYS)
OPEN = Open(election=bytes(32), manifest=bytes(32), signatures=())
SEAL = Seal(cast=0, spoiled=0, counted=0, superseded=0, digest=bytes(32), signatures=())


def body(number: int) -> bytes:
    return digest("test", b"ballot", bytes([number]))


def ballot(voter: int, number: int, action: Literal["cast", "spoil"] = "cast") -> BallotEntry:
    return BallotEntry(
        action=action, credential=KEYS[voter], digest=body(number), signature=bytes(64)
    )


def opening(number: int) -> Opening:
    return Opening(ballot=body(number), seed=bytes(32), contests=())


def fates(entries: Sequence[Entry], *, revote: str = "last", spoil: str = "allowed") -> Fates:
    return counted_set(ROLL, enumerate(entries), revote=revote, spoil=spoil)


POWERS = Powers(
    strike=("fraud", "voted-on-paper"),
    confirm=("identity-shown",),
    extend=("polls-late",),
    phase=("schedule",),
    end=1000,
)
MIXED_ROLL = roll_of(KEYS, provisional=[3, 4])


def ruled(entries: Sequence[Entry], powers: Powers = POWERS, roll: Roll = MIXED_ROLL) -> Fates:
    return counted_set(roll, enumerate(entries), revote="last", spoil="allowed", powers=powers)


def unruly(entries: Sequence[Entry], reason: str, powers: Powers = POWERS) -> None:
    """The last entry breaks the log, and without it the log is right."""
    ruled(entries[:-1], powers)
    with pytest.raises(BrokenLog, match=f"^entry {len(entries) - 1}: .*{reason}"):
        ruled(entries, powers)


def strike(*rows: int, reason: str = "fraud") -> Strike:
    return Strike(reason=reason, rows=pack_rows(rows), signatures=())


def confirm(*rows: int, reason: str = "identity-shown") -> Confirm:
    return Confirm(reason=reason, rows=pack_rows(rows), signatures=())


def phase(name: VotingPhase) -> PhaseEntry:
    return PhaseEntry(reason="schedule", phase=name, signatures=())


def names(found: Fates) -> list[str]:
    return [Fate(int(f)).name.lower() for f in found.fates]


def broken(entries: Sequence[Entry], entry: int, reason: str, **policies: str) -> None:
    with pytest.raises(BrokenLog, match=f"^entry {entry}: .*{reason}") as caught:
        fates(entries, **policies)
    assert caught.value.entry == entry


def test_the_last_cast_ballot_counts() -> None:
    """attacks: C10"""
    found = fates([OPEN, ballot(0, 0), ballot(1, 1), ballot(0, 2), ballot(0, 3), ballot(2, 4)])
    assert names(found) == ["superseded", "counted", "superseded", "counted", "counted"]
    assert found.indices.tolist() == [1, 2, 3, 4, 5]
    assert found.voters.tolist() == [0, 1, 0, 0, 2]
    assert (found.cast, found.counted, found.superseded, found.spoiled) == (5, 3, 2, 0)


def test_spoiled_ballots_never_count() -> None:
    """attacks: C15"""
    log: list[Entry] = [OPEN, ballot(0, 0, "spoil"), ballot(0, 1), ballot(0, 2, "spoil")]
    log.append(ballot(1, 3, "spoil"))
    found = fates(log)
    assert names(found) == ["spoiled", "counted", "spoiled", "spoiled"]
    assert (found.cast, found.counted, found.superseded, found.spoiled) == (1, 1, 0, 3)
    assert len(found) == found.cast + found.spoiled
    assert found.mask(Fate.SPOILED).tolist() == [True, False, True, True]


def test_openings() -> None:
    log: list[Entry] = [OPEN, ballot(0, 0, "spoil"), ballot(0, 1), opening(0)]
    assert fates(log).openings.tolist() == [3, -1]
    broken([*log, opening(0)], 4, "open")
    broken([*log, opening(1)], 4, "was cast")
    broken([*log, opening(7)], 4, "nobody submitted")
    broken([OPEN, opening(0), *log[1:]], 1, "later")
    broken([OPEN, opening(0)], 1, "nobody submitted")


def test_a_ballot_has_one_fate() -> None:
    """attacks: C1, C15. Cast and spoil in either order, twice the same, and under another name."""
    for first in ACTIONS:
        for second in ACTIONS:
            for voter in (0, 1):
                log: list[Entry] = [
                    OPEN,
                    ballot(0, 0, first),
                    ballot(2, 1),
                    ballot(voter, 0, second),
                ]
                broken(log, 3, "submitted before")
    broken([OPEN, ballot(0, 0), ballot(1, 1), ballot(2, 1), ballot(3, 0)], 3, "submitted before")


def test_unknown_credentials() -> None:
    """attacks: C8, C9"""
    stranger = replace(ballot(0, 0), credential=digest("test", b"stranger"))
    broken([OPEN, ballot(0, 1), stranger, ballot(1, 2)], 2, "not on the roll")
    broken([OPEN, replace(stranger, action="spoil")], 1, "not on the roll")


def test_an_unknown_credential_among_many() -> None:
    """Credentials are looked up in chunks; the entry is named all the same."""
    numbers = [n.to_bytes(32, "big") for n in range(1, 9001)]
    roll = roll_of(numbers)
    entries = [
        BallotEntry(action="cast", credential=key, digest=key, signature=bytes(64))
        for key in numbers
    ]
    found = counted_set(roll, enumerate([OPEN, *entries]), revote="last", spoil="allowed")
    assert found.counted == 9000
    assert found.voters.tolist() == list(range(9000))
    stranger = replace(entries[0], credential=bytes(32), digest=bytes(32))
    for place in (4095, 4096, 8999):
        log: list[Entry] = [OPEN, *entries[:place], stranger, *entries[place:]]
        with pytest.raises(BrokenLog) as caught:
            counted_set(roll, enumerate(log), revote="last", spoil="allowed")
        assert caught.value.entry == place + 1


def test_revotes_forbidden() -> None:
    log: list[Entry] = [OPEN, ballot(0, 0, "spoil"), ballot(0, 1), ballot(1, 2)]
    log.append(ballot(1, 3, "spoil"))
    assert fates(log, revote="forbidden").counted == 2
    broken([*log, ballot(1, 4), ballot(0, 5)], 5, "forbids another", revote="forbidden")
    assert fates([*log, ballot(1, 4)]).counted == 2


def test_spoiling_forbidden() -> None:
    assert fates([OPEN, ballot(0, 0)], spoil="forbidden").counted == 1
    broken([OPEN, ballot(0, 0), ballot(0, 1, "spoil")], 2, "forbids", spoil="forbidden")


def test_order_of_entries() -> None:
    whole: list[Entry] = [
        OPEN,
        ballot(0, 0),
        SEAL,
        TallyEntry(digest=bytes(32)),
        ShareEntry(trustee=1, digest=bytes(32)),
        ResultEntry(digest=bytes(32)),
    ]
    assert fates(whole).counted == 1
    broken([ballot(0, 0)], 0, "")
    broken([OPEN, OPEN], 1, "")
    for late in (ballot(1, 1), opening(0), OPEN, SEAL):
        broken([*whole[:3], late], 3, "")
        broken([*whole, late], 6, "")


def test_nothing_yet() -> None:
    empty = digest("counted", b"")
    logs: list[list[Entry]] = [[], [OPEN], [OPEN, SEAL]]
    for log in logs:
        found = fates(log)
        assert (len(found), found.cast, found.counted) == (0, 0, 0)
        assert found.digest == empty
    assert counted_set(roll_of([]), [(0, OPEN)], revote="last", spoil="allowed").counted == 0


def test_a_look_in_between() -> None:
    counting = Counting(ROLL, revote="last", spoil="allowed")
    counting.add(0, OPEN)
    counting.add(1, ballot(0, 0))
    assert names(counting.finish()) == ["counted"]
    counting.add(2, ballot(0, 1))
    assert names(counting.finish()) == ["superseded", "counted"]
    assert names(counting.finish()) == ["superseded", "counted"]


def test_the_last_look_is_the_same() -> None:
    spoiled = ballot(1, 1, "spoil")
    entries: list[Entry] = [OPEN, ballot(0, 0), spoiled, opening(1), ballot(0, 2)]
    found = []
    for last in (False, True):
        counting = Counting(ROLL, revote="last", spoil="allowed")
        for index, entry in enumerate(entries):
            counting.add(index, entry)
        found.append(counting.finish(last=last))
    assert names(found[0]) == names(found[1]) == ["superseded", "spoiled", "counted"]
    assert found[0].openings.tolist() == found[1].openings.tolist() == [-1, 3, -1]
    assert found[0].digest == found[1].digest


def test_digests_that_begin_alike_are_told_apart() -> None:
    """Twice the same is found among others that begin as it does, however many stand between."""
    alike = [replace(ballot(0, 0), digest=bytes(31) + bytes([i])) for i in range(1, 6)]
    assert names(fates([OPEN, *alike])) == ["superseded"] * 4 + ["counted"]
    for again in alike:
        broken([OPEN, *alike, ballot(1, 9), again], 7, "submitted before")
    broken([OPEN, *alike, alike[3], alike[1]], 6, "submitted before")


def test_the_counted_set_is_hashed_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    found = fates([OPEN, *(ballot(i % 3, i) for i in range(7))])
    whole = found.digest
    for size in (1, 2, 3):
        monkeypatch.setattr(policies, "_AT_ONCE", size)
        assert found.digest == whole


def test_the_digest_is_as_documented() -> None:
    found = fates([OPEN, ballot(0, 0), ballot(1, 1, "spoil"), ballot(0, 2), ballot(2, 3)])
    rows = b"".join([i.to_bytes(4, "little") + body(n) for i, n in ((3, 2), (4, 3))])
    assert found.digest == hashlib.sha256(frame(b"evote/1/counted", rows)).digest()
    ends_in_zero = np.frombuffer(bytes([7]) + bytes(31), dtype="S32")
    expected = digest("counted", bytes([5, 0, 0, 0, 7]) + bytes(31))
    assert counted_digest(np.array([5], dtype=np.uint32), ends_in_zero) == expected


def test_digests_that_end_in_zeros_are_told_apart() -> None:
    """NumPy drops zeros at the end of byte strings; ballots must not."""
    digests = [bytes(32), bytes(31) + b"\1", b"\1" + bytes(31), b"\1\1" + bytes(30)]
    log: list[Entry] = [OPEN]
    log += [replace(ballot(i, 0, "spoil"), digest=d) for i, d in enumerate(digests)]
    log += [replace(opening(0), ballot=d) for d in digests]
    assert fates(log).openings.tolist() == [5, 6, 7, 8]


def test_the_seal() -> None:
    found = fates([OPEN, ballot(0, 0), ballot(0, 1), ballot(1, 2, "spoil")])
    seal = Seal(cast=2, spoiled=1, counted=1, superseded=1, digest=found.digest, signatures=())
    verify_seal(found, seal)
    for name, changed in tamper.each_field(seal):
        with pytest.raises(VerificationError, match=name):
            verify_seal(found, changed)


def test_a_seal_names_struck_and_unconfirmed_only_where_there_are_any() -> None:
    plain = decode_entry(encode_entry(SEAL))
    assert plain == SEAL
    assert b"struck" not in encode_entry(SEAL)
    assert decode_entry(encode_entry(replace(SEAL, struck=2))) == replace(SEAL, struck=2)
    for name in (b"struck", b"unconfirmed"):
        zero = encode_entry(replace(SEAL, struck=2, unconfirmed=3))
        assert name in zero
        zero = zero.replace(b'"%s":%d' % (name, 2 if name == b"struck" else 3), b'"%s":0' % name)
        with pytest.raises(DecodingError, match="integer from 1"):
            decode_entry(zero)


# -- rulings ---------------------------------------------------------------------------------------


def test_struck_voters_do_not_count_before_or_after() -> None:
    """What was cast before the strike, and what is cast after it; spoiled ballots stay spoiled."""
    log: list[Entry] = [OPEN, ballot(0, 0), ballot(0, 1), ballot(1, 2), ballot(2, 3, "spoil")]
    log += [strike(0, 2, reason="voted-on-paper"), strike(1), ballot(1, 4), ballot(2, 5)]
    found = ruled(log)
    assert names(found) == ["superseded", "struck", "superseded", "spoiled", "struck", "struck"]
    assert found.causes.tolist() == [2, 5, 7, 0, 6, 5]
    assert found.reasons == {5: "voted-on-paper", 6: "fraud"}
    assert (found.cast, found.counted, found.superseded, found.struck) == (5, 0, 2, 3)


def test_provisional_voters_count_once_confirmed() -> None:
    log: list[Entry] = [OPEN, ballot(3, 0), ballot(4, 1), ballot(0, 2)]
    assert names(ruled(log)) == ["unconfirmed", "unconfirmed", "counted"]
    assert names(ruled([*log, confirm(3)])) == ["counted", "unconfirmed", "counted"]
    assert names(ruled([OPEN, confirm(3, 4), *log[1:]])) == ["counted"] * 3
    both = ruled([*log, confirm(3), strike(3, 4)])
    assert names(both) == ["struck", "struck", "counted"]
    assert both.causes.tolist() == [5, 5, 0]
    again = ruled([*log, ballot(3, 3), confirm(3)])
    assert names(again) == ["superseded", "unconfirmed", "counted", "counted"]


def test_rulings_have_the_powers_of_the_manifest() -> None:
    """attacks: C11. Neither a kind nor a reason that the manifest does not have."""
    rulings: list[Ruling] = [strike(0), confirm(3), phase("closed")]
    rulings.append(Extend(reason="polls-late", end=2000, signatures=()))
    for ruling in rulings:
        ruled([OPEN, ruling])
        unruly([OPEN, ruling], "the manifest has no", Powers(end=1000))
        unruly([OPEN, replace(ruling, reason="weather")], "for the reason 'weather'")
    unruly([OPEN, strike(0, reason="identity-shown")], "has no strike")
    later = Extend(reason="polls-late", end=1000, signatures=())
    unruly([OPEN, later], "no later end")
    unruly([OPEN, replace(later, end=1500), replace(later, end=1500)], "no later end")
    assert ruled([OPEN, replace(later, end=1500)]).end == 1500
    assert ruled([OPEN]).end == 1000


def test_nobody_is_struck_or_confirmed_twice_or_in_vain() -> None:
    """attacks: F4"""
    unruly([OPEN, strike(1, 2), ballot(0, 0), strike(2, 3)], "row 2 of the roll is struck already")
    unruly([OPEN, confirm(3), confirm(3, 4)], "row 3 of the roll is confirmed already")
    unruly([OPEN, confirm(2, 3)], "not provisional")
    unruly([OPEN, strike(4, 5)], "row 5 is not on the roll")
    unruly([OPEN, confirm(5)], "row 5 is not on the roll")


def test_phases() -> None:
    """While it is closed no ballot has a place; rulings on voters and openings have."""
    log: list[Entry] = [OPEN, ballot(0, 0), ballot(1, 1, "spoil"), phase("closed")]
    extension = Extend(reason="polls-late", end=2000, signatures=())
    for entry in (ballot(2, 2), ballot(2, 2, "spoil"), phase("closed"), extension, OPEN):
        unruly([*log, entry], "no place when the log is closed")
    log += [opening(1), strike(0), confirm(3)]
    assert names(ruled([*log, SEAL])) == ["struck", "spoiled"]
    log += [phase("voting"), ballot(2, 2), extension]
    assert names(ruled([*log, SEAL])) == ["struck", "spoiled", "counted"]
    unruly([*log, phase("voting")], "no place when the log is voting")
    for late in (strike(1), confirm(4), phase("closed"), extension):
        unruly([*log, SEAL, late], "no place when the log is sealed")


def test_long_lists() -> None:
    """98,000 voters are struck by 12 entries, each of which fits with 99 signatures."""
    numbers = [n.to_bytes(32, "big") for n in range(1, 98_001)]
    roll = roll_of(numbers)
    rows = np.arange(98_000)
    parts = [pack_rows(rows[i : i + MAX_ROWS]) for i in range(0, len(rows), MAX_ROWS)]
    assert len(parts) == 12
    signature = OperatorSignature(operator="a" * 64, signature=bytes(64))
    log: list[Entry] = [OPEN]
    log += [Strike(reason="b" * 64, rows=part, signatures=(signature,) * 99) for part in parts]
    assert max(len(encode_entry(entry)) for entry in log) <= MAX_ENTRY
    assert [decode_entry(encode_entry(entry)) for entry in log] == log
    log.append(BallotEntry(action="cast", credential=numbers[-1], digest=bytes(32), signature=b""))
    found = ruled(log, replace(POWERS, strike=("b" * 64,)), roll)
    assert (names(found), found.causes.tolist()) == (["struck"], [12])


def test_rows_have_one_form() -> None:
    packed = pack_rows([5, 0, 258])
    assert packed == bytes.fromhex("00000000 05000000 02010000")
    assert unpack_rows(packed).tolist() == [0, 5, 258]
    for wrong in ([], [1, 1], [-1], [2**32], range(MAX_ROWS + 1)):
        with pytest.raises(ParameterError):
            pack_rows(wrong)
    good = encode_entry(strike(0, 5))
    for rows in (b"", b"\0" * 8, packed[4:8] + packed[:4], packed[:7]):
        forged = encode_entry(Strike(reason="fraud", rows=rows, signatures=()))
        with pytest.raises(DecodingError, match="rows"):
            decode_entry(forged)
    assert decode_entry(good) == strike(0, 5)


ruling_steps = st.lists(
    st.tuples(st.integers(0, VOTERS - 1), st.sampled_from(["cast", "spoil", "strike", "confirm"])),
    max_size=30,
)


@given(ruling_steps)
def test_rulings_as_a_dictionary_would_count(steps: list[tuple[int, str]]) -> None:
    log: list[Entry] = [OPEN]
    last: dict[int, int] = {}
    struck: set[int] = set()
    confirmed: set[int] = set()
    submitted: list[tuple[int, str]] = []
    for voter, what in steps:
        if what == "strike" and voter not in struck:
            struck.add(voter)
            log.append(strike(voter))
        elif what == "confirm" and voter >= 3 and voter not in confirmed:
            confirmed.add(voter)
            log.append(confirm(voter))
        elif what in ACTIONS:
            number = len(submitted)
            log.append(ballot(voter, number, "cast" if what == "cast" else "spoil"))
            submitted.append((voter, what))
            if what == "cast":
                last[voter] = number

    def fate(number: int, voter: int, what: str) -> str:
        if what == "spoil":
            return "spoiled"
        if last[voter] != number:
            return "superseded"
        if voter in struck:
            return "struck"
        return "unconfirmed" if voter >= 3 and voter not in confirmed else "counted"

    found = ruled(log)
    assert names(found) == [fate(n, v, what) for n, (v, what) in enumerate(submitted)]
    assert len(found) == found.cast + found.spoiled
    assert found.cast == found.counted + found.superseded + found.struck + found.unconfirmed
    kinds = [type(log[cause]) for cause in found.causes.tolist() if cause]
    expected = {"superseded": BallotEntry, "struck": Strike}
    assert kinds == [expected[name] for name in names(found) if name in expected]


@pytest.mark.parametrize("policies", [{"revote": "first"}, {"spoil": "maybe"}])
def test_unknown_policies(policies: dict[str, Any]) -> None:
    with pytest.raises(ParameterError):
        fates([], **policies)


actions = st.lists(
    st.tuples(st.integers(0, VOTERS - 1), st.sampled_from(["cast", "spoil"])), max_size=30
)


@given(actions)
def test_as_a_dictionary_would_count(steps: list[tuple[int, Literal["cast", "spoil"]]]) -> None:
    log: list[Entry] = [OPEN, *(ballot(v, n, action) for n, (v, action) in enumerate(steps))]
    last = {voter: n for n, (voter, action) in enumerate(steps) if action == "cast"}
    expected = [
        "spoiled" if action == "spoil" else "counted" if last[voter] == n else "superseded"
        for n, (voter, action) in enumerate(steps)
    ]
    found = fates(log)
    assert names(found) == expected
    assert found.cast == found.counted + found.superseded
    assert len(found) == found.cast + found.spoiled
    assert found.counted == len(last)


@given(actions, st.integers(0, 30))
def test_ballots_added_together_are_ballots_added_alone(
    steps: list[tuple[int, Literal["cast", "spoil"]]], cut: int
) -> None:
    ballots = [ballot(v, n, action) for n, (v, action) in enumerate(steps)]
    together = Counting(ROLL, revote="last", spoil="allowed")
    together.add(0, OPEN)
    for first, part in ((0, ballots[:cut]), (cut, ballots[cut:])):
        if part:
            together.add_ballots(1 + first, BallotColumns.of(part))
    found, alone = together.finish(), fates([OPEN, *ballots])
    for name in ("indices", "voters", "fates", "digests", "openings", "causes"):
        assert np.array_equal(getattr(found, name), getattr(alone, name))


def test_ballots_added_together_break_the_same_rules() -> None:
    counting = Counting(ROLL, revote="last", spoil="forbidden")
    columns = BallotColumns.of([ballot(0, 0), ballot(1, 1, "spoil"), ballot(2, 2, "spoil")])
    with pytest.raises(BrokenLog, match=r"^entry 0: ballot has no place"):
        counting.add_ballots(0, columns)
    counting.add(0, OPEN)
    with pytest.raises(BrokenLog, match=r"^entry 2: a spoiled ballot"):
        counting.add_ballots(1, columns)
    counting = Counting(ROLL, revote="last", spoil="allowed")
    counting.add(0, OPEN)
    stranger = replace(ballot(0, 0), credential=bytes(32))
    counting.add_ballots(1, BallotColumns.of([ballot(1, 1), stranger]))
    with pytest.raises(BrokenLog, match=r"^entry 2: the credential is not on the roll"):
        counting.finish()


def test_memory() -> None:
    """At most 100 bytes a ballot stay in memory."""
    found = fates([OPEN, *(ballot(i % VOTERS, i) for i in range(200))])
    names = ("indices", "voters", "fates", "digests", "openings", "causes")
    assert sum(getattr(found, name).nbytes for name in names) <= 100 * 200
