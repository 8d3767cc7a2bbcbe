"""What does the reconciliation of n people cost each of those who take part?

    python benchmarks/bench_reconcile.py [--n N] [--group NAME] [--compare ITEMS]

One JSON object for each step, with processor time for each person, on one core: what the holder
of the poll book does (`ask`: a hash to the group, a power, an encoding), a registrar (`answer`:
decoding, a constant-time power, the proof), and the holder again (`match`: the proof checked, a
power). The baseline is one naive power for every power of the step.
"""

from __future__ import annotations

import os

from _bench import Bench, arguments, naive_powers, seconds

from evote._tags import (
    PORTION,
    decode_tag_shares,
    hash_identities,
    join_tags,
    make_tag_shares,
    verify_tag_shares,
)
from evote.groups import Elements, Scalars, Secrecy
from evote.operators import draw_operator


def main() -> None:
    parser = arguments(__doc__, group="ristretto255", n=4096, runs=1)
    given = parser.parse_args()
    for name in given.group.split(","):
        measure(Bench("reconcile", name, given.backend, given.runs), given.n, given.compare)


def measure(bench: Bench, n: int, sample: int) -> None:
    group, base, root = bench.group, bytes(32), os.urandom(32)
    key = draw_operator("registrar", "registrar-1", group=group)
    people = [f"Voter {i}, {i % 97} Elm Street" for i in range(n)]
    queries: list[tuple[bytes, Elements, Scalars]] = []
    answers: list[bytes] = []
    tags: list[bytes] = []

    def ask() -> None:
        for start in range(0, n, PORTION):
            some = people[start : start + PORTION]
            nonces = group.random_scalars((len(some),), secrecy=Secrecy.ONE_TIME)
            blinded = hash_identities(group, base, some) ** nonces
            queries.append((blinded.encode(), blinded, nonces))

    def answer() -> None:
        for number, (data, _, _) in enumerate(queries):
            elements = group.decode_elements(data)
            answers.append(make_tag_shares(key, base, root, number, elements).encode())

    def match() -> None:
        for number, (data, (_, blinded, nonces)) in enumerate(zip(answers, queries, strict=True)):
            made = decode_tag_shares(group, data, blinded.size, where="answer")
            verify_tag_shares(key.card, base, root, number, blinded, made)
            tags.append((join_tags([made]) ** nonces.inverse()).encode())

    exponents = group.random_scalars((sample,)).publish().to_ints()
    bases = list(group.hash_to_elements(b"bench", sample)._items)
    for step, secret in ((ask, False), (answer, True), (match, False)):
        mine = seconds(step)
        naive = seconds(naive_powers(group, bases, exponents, secret=secret)) / sample
        bench.row(
            step.__name__,
            n=n,
            seconds=round(mine, 1),
            us=round(1e6 * mine / n, 1),
            baseline="one naive power each",
            baseline_us=round(1e6 * naive, 1),
            baseline_n=sample,
            ratio=round(naive * n / mine, 2),
        )
    assert sum(map(len, tags)) == n * group.element_size


if __name__ == "__main__":
    main()
