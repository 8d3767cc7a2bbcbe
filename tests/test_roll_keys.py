"""The check of the roll's keys, which goes on while others do: every row, whoever looks at it."""

from __future__ import annotations

import pytest

from evote import _audit_roll
from evote._audit_roll import RollKeys
from evote._report import Ledger
from evote.credentials import Roll, RollRow, make_roll, read_roll
from evote.groups import ed25519

NO_POINT = b"\x02" + bytes(31)
SMALL_ORDER = b"\x01" + bytes(31)


def roll_of(credentials: list[bytes]) -> Roll:
    rows = [RollRow(credential=credential, style="all") for credential in credentials]
    return read_roll(make_roll(bytes(32), rows)[1], ["all"], check_keys=False)


def keys(count: int) -> list[bytes]:
    size, g = ed25519.element_size, ed25519.generator
    data = (g ** ed25519.scalars(list(range(1, count + 1)))).encode()
    return [data[i : i + size] for i in range(0, len(data), size)]


def finding(roll: Roll, workers: int) -> tuple[str, str]:
    ledger = Ledger("finished", [])
    RollKeys(roll, workers).report(ledger)
    [found] = [each for each in ledger.findings() if each.check == "roll.keys"]
    return found.outcome.value, found.detail


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("count", [1, 4, 9, 12])
def test_good_keys(workers: int, count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_audit_roll, "_KEYS_AT_ONCE", 4)
    assert finding(roll_of(keys(count)), workers) == ("passed", "")


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("bad", [NO_POINT, SMALL_ORDER])
@pytest.mark.parametrize("others", [0, 3, 4, 11])
def test_a_bad_key_is_named(
    workers: int, bad: bytes, others: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_audit_roll, "_KEYS_AT_ONCE", 4)
    credentials = sorted([bad, *keys(others)])
    state, detail = finding(roll_of(credentials), workers)
    line = credentials.index(bad) + 1
    reason = "the credential is no key of prime order"
    assert (state, detail) == ("failed", f"roll/rows/000.jsonl: line {line}: {reason}")


def test_a_worker_that_breaks_down_lets_no_key_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(state: None, credentials: object) -> int | None:
        raise RuntimeError("no memory")

    monkeypatch.setattr(_audit_roll, "_first_bad", broken)
    assert finding(roll_of(keys(3)), 1) == ("failed", "internal error: RuntimeError: no memory")
