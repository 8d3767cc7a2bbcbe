"""What does each proof cost to make and to check, alone and in a batch?

    python benchmarks/bench_proofs.py [--group NAMES] [--n N] [--backend NAME] [--runs R]
    python benchmarks/bench_proofs.py --workers 2 --n 2000 [--case NAMES]

One JSON object a line; README.md says how to read it. A batch of n claims is proved and verified in
one call, encoding, decoding and hashing included; the baseline is the same call for one claim, n
times (timed on at most 50; --compare: 500). `operations` are those of `Group.count`, per claim.
With --workers: verification in so many warm processes (`Group.with_executor`) against one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from typing import NamedTuple

import numpy as np
from _bench import Bench, arguments

from evote import proofs
from evote.elgamal import decode_ciphertexts, encrypt, encrypt_exponential, generate_key
from evote.groups import Group, Secrecy, stack
from evote.transcript import Transcript


class Case(NamedTuple):
    """One kind of proof for n claims: how to prove, and how to read and verify what was proved."""

    prove: Callable[[], bytes]
    verify: Callable[[Group, bytes], None]  # the group is that of the proof, or its twin on a pool


def start(group: Group) -> Transcript:
    return Transcript(b"bench", group, flavour=b"CDS")


def schnorr(group: Group, n: int) -> Case:
    secrets = group.random_scalars((n,))
    g, data = group.generator, (group.generator**secrets).encode()

    def statement(group: Group) -> proofs.SchnorrStatement:
        return proofs.SchnorrStatement(base=g, publics=group.decode_elements(data))

    def prove() -> bytes:
        witness = proofs.SchnorrWitness(secrets=secrets)
        return proofs.prove_schnorr(statement(group), witness, start(group)).encode()

    def verify(group: Group, proof: bytes) -> None:
        decoded = proofs.decode_schnorr(group, proof, (n,))
        proofs.verify_schnorr(statement(group), decoded, start(group))

    return Case(prove, verify)


def equal_logs(group: Group, n: int) -> Case:
    secrets = group.random_scalars((n,), secrecy=Secrecy.ONE_TIME)
    h = group.generator ** group.random_scalars((n,), secrecy=Secrecy.ONE_TIME)
    bases = stack([group.generator.broadcast_to((n,)), h], axis=-1)
    data = bases.encode(), (bases ** secrets.reshape((n, 1))).encode()

    def statement(group: Group) -> proofs.EqualLogsStatement:
        b, p = (group.decode_elements(part, (n, 2)) for part in data)
        return proofs.EqualLogsStatement(bases=b, publics=p)

    def prove() -> bytes:
        witness = proofs.EqualLogsWitness(secrets=secrets)
        return proofs.prove_equal_logs(statement(group), witness, start(group)).encode()

    def verify(group: Group, proof: bytes) -> None:
        decoded = proofs.decode_equal_logs(group, proof, (n, 2))
        proofs.verify_equal_logs(statement(group), decoded, start(group))

    return Case(prove, verify)


def plaintext_knowledge(group: Group, n: int) -> Case:
    key = generate_key(group).public
    messages = group.generator ** group.random_scalars((n,), secrecy=Secrecy.ONE_TIME)
    ciphertexts, nonces = encrypt(key, messages)
    data = ciphertexts.encode()

    def statement(group: Group) -> proofs.PlaintextKnowledgeStatement:
        return proofs.PlaintextKnowledgeStatement(
            key=key, ciphertexts=decode_ciphertexts(group, data)
        )

    def prove() -> bytes:
        witness = proofs.PlaintextKnowledgeWitness(nonces=nonces)
        return proofs.prove_plaintext_knowledge(statement(group), witness, start(group)).encode()

    def verify(group: Group, proof: bytes) -> None:
        decoded = proofs.decode_plaintext_knowledge(group, proof, (n,))
        proofs.verify_plaintext_knowledge(statement(group), decoded, start(group))

    return Case(prove, verify)


def in_range(high: int) -> Callable[[Group, int], Case]:
    """An exponent from 0 to `high`."""

    def case(group: Group, n: int) -> Case:
        key = generate_key(group).public
        values = np.arange(n) % (high + 1)
        ciphertexts, nonces = encrypt_exponential(
            key, group.scalars(values, secrecy=Secrecy.ONE_TIME)
        )
        data = ciphertexts.encode()

        def statement(group: Group) -> proofs.OneOfStatement:
            return proofs.integer_in_range(key, decode_ciphertexts(group, data), 0, high)

        def prove() -> bytes:
            witness = proofs.OneOfWitness(nonces=nonces.reshape((n, 1)), branches=values)
            return proofs.prove_one_of(statement(group), witness, start(group)).encode()

        def verify(group: Group, proof: bytes) -> None:
            decoded = proofs.decode_one_of(group, proof, (n,), high + 1)
            proofs.verify_one_of(statement(group), decoded, start(group))

        return Case(prove, verify)

    return case


CASES: dict[str, Callable[[Group, int], Case]] = {
    "Schnorr, long-term secret": schnorr,
    "equal logs, one-time secret": equal_logs,
    "plaintext knowledge": plaintext_knowledge,
    "0 or 1": in_range(1),
    "0 to 15": in_range(15),
}


def measure(bench: Bench, name: str, n: int, compare: int) -> None:
    many, one = CASES[name](bench.group, n), CASES[name](bench.group, 1)
    sample = min(n, compare)
    proof, single = many.prove(), one.prove()

    def repeat(action: Callable[[], object]) -> Callable[[], object]:
        return lambda: [action() for _ in range(sample)]

    for what, ours, theirs in (
        ("prove", many.prove, repeat(one.prove)),
        (
            "verify",
            lambda: many.verify(bench.group, proof),
            repeat(lambda: one.verify(bench.group, single)),
        ),
    ):
        with bench.group.count() as count:
            ours()
        operations = {k: round(v / n, 2) for k, v in asdict(count).items() if v}
        bench.compare(
            f"{name}, {what}",
            ours,
            n,
            baseline="one claim a call",
            theirs=theirs,
            sample=sample,
            operations=operations,
            bytes=len(proof) // n,
        )


def measure_workers(bench: Bench, name: str, n: int, workers: int) -> None:
    """Verification alone."""
    case = CASES[name](bench.group, n)
    proof = case.prove()

    def job(group: Group) -> Callable[[], object]:
        return partial(case.verify, group, proof)

    bench.compare_workers(f"{name}, verify, {workers} processes", job, n, workers)


def main() -> None:
    parser = arguments(__doc__, group="ristretto255,P-256", n=1000)
    parser.add_argument("--case", default=",".join(CASES), help="separated by commas")
    parser.add_argument("--workers", type=int, default=0)
    options = parser.parse_args()
    for group in options.group.split(","):
        bench = Bench("proofs", group, options.backend, options.runs)
        for name in options.case.split(","):
            if options.workers:
                measure_workers(bench, name, options.n, options.workers)
            else:
                measure(bench, name, options.n, options.compare)


if __name__ == "__main__":
    main()
