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

from evote.board import (
    BallotEntry,
    Entry,
    Open,
    Opening,
    ResultEntry,
    Seal,
    ShareEntry,
    TallyEntry,
)
from evote.credentials import ACTIONS, Roll, RollRow, make_roll, read_roll
from evote.encoding import digest, frame
from evote.errors import BrokenLog, ParameterError, VerificationError
from evote.policies import Counting, Fate, Fates, counted_digest, counted_set, verify_seal
from evote.testing import tamper

VOTERS = 5
KEYS = sorted(digest("test", b"voter", bytes([i])) for i in range(VOTERS))


def roll_of(keys: Sequence[bytes]) -> Roll:
    rows = make_roll(bytes(32), [RollRow(credential=key, style="all") for key in keys])[1]
    return read_roll(rows, ["all"], check_keys=False)


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


def test_memory() -> None:
    """At most 100 bytes a ballot stay in memory."""
    found = fates([OPEN, *(ballot(i % VOTERS, i) for i in range(200))])
    arrays = (found.indices, found.voters, found.fates, found.digests, found.openings)
    assert sum(array.nbytes for array in arrays) <= 100 * 200
