"""Bulk calls over executors: the same values, nothing lost, and secrets that stay."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from typing import Any

import pytest

from evote.errors import DecodingError, EvoteError
from evote.groups import Elements, Group, Scalars, Secrecy, _executor, concatenate, named_group
from evote.groups._executor import Reply
from evote.groups._rows import Rows

NAMES = ["ristretto255", "rfc3526-2048", "electionguard-2.0-3072"]


class Here(Executor):
    """Runs chunks at once, remembers them, and may spoil the reply."""

    def __init__(self, spoil: Callable[[Reply], Reply] = lambda reply: reply) -> None:
        self.methods: list[str] = []
        self.spoil = spoil

    def submit(self, work: Any, /, *arguments: Any, **keywords: Any) -> Future[Any]:
        self.methods.append(arguments[1])
        future: Future[Any] = Future()
        future.set_result(self.spoil(pickle.loads(pickle.dumps(work(*arguments)))))
        return future


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_executor, "_WORTH_SECONDS", 0.0)
    monkeypatch.setattr(_executor, "_PROBE", 1)
    monkeypatch.setattr(_executor, "_MAX_CHUNK", 3)


@pytest.fixture(scope="module")
def pool() -> Iterator[ProcessPoolExecutor]:
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as executor:
        yield executor


def everything(group: Group, base: Elements, exponents: Scalars) -> list[bytes]:
    """The bytes of every bulk call; exponents are public here, of shape (11,)."""
    elements = group.decode_elements(base.encode(), (11,))
    return [
        (group.generator**exponents).encode(),
        (elements**exponents).encode(),
        (elements ** exponents.mark(Secrecy.ONE_TIME)).encode(),
        (elements ** exponents.mark(Secrecy.LONG_TERM)).encode(),
        group.multiexp(elements, exponents).encode(),
        group.multiexp(elements, exponents[0]).encode(),
        (elements * elements / elements[::-1]).encode(),
        elements.prod().encode(),
        elements.cumprod().encode(),
        group.hash_to_elements(b"test", 5).encode(),
        group.identity((4,)).encode(),
    ]


def given(name: str) -> tuple[Group, Elements, Scalars]:
    group = named_group(name)
    exponents = group.random_scalars(11).publish()
    return group, group.generator**exponents, exponents * exponents + 1


@pytest.mark.parametrize("name", NAMES)
def test_processes_agree(name: str, pool: ProcessPoolExecutor) -> None:
    group, base, exponents = given(name)
    spread = group.with_executor(pool)
    assert spread == group
    assert everything(spread, base, exponents) == everything(group, base, exponents)


def test_threads_and_the_obvious_backend_agree() -> None:
    group, base, exponents = given("ristretto255")
    with ThreadPoolExecutor(2) as threads:
        spread = group.with_backend("python").with_executor(threads)
        assert spread.backend == "python"
        assert everything(spread, base, exponents) == everything(group, base, exponents)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("rows", [1, 2, 5])
def test_products_of_rows(name: str, rows: int) -> None:
    group, base, exponents = given(name)
    spread = group.with_executor(executor := Here(), workers=3)
    x, e = base.broadcast_to((rows, 11)), exponents.broadcast_to((rows, 11))
    e = e * group.scalars(range(rows)).reshape((rows, 1))  # the first row is all zeros
    packed = spread.decode_elements(base.encode()).broadcast_to((rows, 11))
    expected = (x**e).prod(axis=1)
    assert spread.multiexp(x, e, axis=1) == spread.multiexp(packed, e, axis=1) == expected
    assert "multiexp" in executor.methods
    assert spread.multiexp(packed, e, axis=0) == (x**e).prod(axis=0)
    assert spread.multiexp(packed[:, :0], e[:, :0], axis=1) == group.identity((rows,))


@pytest.mark.parametrize("name", NAMES)
def test_items_stay_packed_on_their_way(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    group, base, _ = given(name)
    spread = group.with_executor(Here())
    data = base.encode()
    spread.decode_elements(data)  # the first call tries some here
    once = spread.decode_elements(data)
    assert isinstance(once._items, Rows)
    both = concatenate([once, once[::-1].reshape((11,)), base[:2]])
    assert [both._items[i] for i in (10, -3)] == [once._items[10], once._items[0]]
    monkeypatch.setattr(Rows, "__iter__", None)
    for part in (both, both[3:], both.reshape((3, 8))[1:], both.take([5, 0])):
        assert isinstance(part._items, Rows)
    monkeypatch.undo()
    assert both == concatenate([base, base[::-1], base[:2]])
    assert both.encode() == data + base[::-1].encode() + base[:2].encode()
    assert pickle.loads(pickle.dumps(both)) == both


def test_the_group_with_an_executor_serves() -> None:
    group, base, exponents = given("ristretto255")
    spread = group.with_executor(executor := Here())
    there = spread.decode_elements(base.encode())
    mixed = [base * there, there * base, concatenate([base, there]), concatenate([there, base])]
    mixed += [group.multiexp(there, exponents), spread.multiexp(base, exponents)]
    for array in mixed:
        assert array.group is there.group
    assert (base * base).group is group
    executor.methods.clear()
    assert group.multiexp(there, exponents) == group.multiexp(base, exponents)
    assert executor.methods.count("multiexp") > 1


def test_empty_and_single() -> None:
    group = named_group("ristretto255").with_executor(Here())
    nothing = group.decode_elements(b"", (0,))
    assert group.multiexp(nothing, group.scalars([])) == group.identity()
    assert (nothing ** group.scalars([])).shape == (0,)
    one = (group.generator ** group.scalars([5])).encode()
    assert group.decode_elements(one).encode() == one


def test_bad_items_keep_their_places() -> None:
    group = named_group("ristretto255").with_executor(executor := Here())
    good = (group.generator ** group.scalars(range(1, 12))).encode()
    data = bytearray(good)
    for place in (4, 10):
        data[32 * place : 32 * place + 32] = b"\xff" * 32
    with pytest.raises(DecodingError) as caught:
        group.decode_elements(bytes(data))
    assert caught.value.indices == (4, 10)
    assert "decode" in executor.methods
    assert group.decode_elements(good).encode() == good


def test_pickles_forget_the_executor() -> None:
    group = named_group("ristretto255").with_executor(Here())
    array = pickle.loads(pickle.dumps(group.generator ** group.scalars([1, 2])))
    assert not isinstance(array.group._kernel, _executor.ExecutorKernel)
    assert array == group.generator ** group.scalars([1, 2])


@pytest.mark.parametrize("local", [None, False, True])
def test_secrets_go_only_to_this_machine(local: bool | None) -> None:
    gmp = named_group("ristretto255").with_backend("gmp")
    group = gmp.with_executor(executor := Here(), local=local)
    base = group.generator ** group.scalars(range(1, 9))
    executor.methods.clear()
    for secrecy in (Secrecy.ONE_TIME, Secrecy.LONG_TERM):
        secret = group.random_scalars(8, secrecy=secrecy)
        for result in (base**secret, group.generator**secret, group.multiexp(base, secret)):
            assert result.shape in ((8,), ())
    if local:
        sent = {"powers", "powers_of_one", "powers_constant_time", "multiexp"}
        assert set(executor.methods) == sent
    else:
        assert executor.methods == []
    base ** group.scalars(range(8))
    assert "powers" in executor.methods


SPOILED: dict[str, Callable[[Reply], Reply]] = {
    "short": lambda reply: reply._replace(data=reply.data[:-32]),
    "long": lambda reply: reply._replace(data=reply.data + reply.data[:128]),
    "empty": lambda reply: reply._replace(data=b"", size=0),
    "size": lambda reply: reply._replace(size=reply.size - 1),
    "order": lambda reply: reply._replace(chunk=reply.chunk + 1),
    "marks": lambda reply: reply._replace(bad=reply.bad + b"\0"),
}


@pytest.mark.parametrize("how", SPOILED)
def test_incomplete_replies_fail_the_call(how: str) -> None:
    honest = named_group("ristretto255").with_executor(Here())
    base = honest.generator ** honest.scalars(range(1, 12))
    data = base.encode()
    group = honest.with_executor(Here(SPOILED[how]))
    calls: list[Callable[[Group], object]] = [
        lambda g: g.decode_elements(data),
        lambda g: g.generator ** g.scalars(range(1, 12)),
        lambda g: g.multiexp(g.identity((11,)), g.scalars(range(1, 12))),
        lambda g: g.hash_to_elements(b"x", 7),
    ]
    for call in calls:
        call(honest)
        with pytest.raises(EvoteError, match="incomplete or out of order"):
            call(group)


def test_failing_worker_fails_the_call() -> None:
    def break_down(reply: Reply) -> Reply:
        raise OSError("no more")

    group = named_group("ristretto255").with_executor(Here(break_down))
    with pytest.raises(EvoteError, match="a worker failed in powers_of_one: OSError: no more"):
        group.generator ** group.scalars(range(9))


def test_dead_process_fails_the_call() -> None:
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        group = named_group("ristretto255").with_executor(pool)
        assert (group.generator ** group.scalars(range(9))).shape == (9,)
        for process in list((pool._processes or {}).values()):
            process.kill()
        with pytest.raises(EvoteError, match="a worker failed"):
            group.generator ** group.scalars(range(9))
