"""What does it cost to shuffle, to prove it, and to check the proof?

    python benchmarks/bench_shuffle.py [--group NAMES] [--n N] [--width W] [--runs R]
    python benchmarks/bench_shuffle.py --jobs 2 --n 10000
    python benchmarks/bench_shuffle.py --argument bayer-groth

One JSON object a line; README.md says how to read it. Items are ciphertexts of width W. The mix
server starts with decoded inputs and ends with the bytes of outputs and proof; the auditor starts
with those bytes. Generators are derived before, as one cascade needs them once, and have a line of
their own. The baseline is one power of full length per ciphertext, in the simplest way there is (in
Z_p^* gmpy2.powmod), so `ratio` is how much less than a power a ciphertext takes. `operations` are
those of `Group.count`; `memory` is by how many bytes per ciphertext this process' peak has grown,
0 where an earlier line needed as much. With --jobs, the wall time of one process over that of so
many warm ones, and `us` is of the wall.
"""

from __future__ import annotations

import resource
import statistics
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from multiprocessing import get_context
from typing import Any

from _bench import Bench, arguments, median_ratio, naive_powers

from evote import mixnet
from evote.elgamal import Ciphertexts, decode_ciphertexts, encrypt, generate_key
from evote.groups import Group, Secrecy
from evote.transcript import Transcript

POWERS = 20  # timed for the baseline


class Shuffle:
    """n ciphertexts of some width, and what a mix server and an auditor do with them."""

    def __init__(self, group: Group, n: int, width: int) -> None:
        self.group, self.shape = group, (n, width)
        self.key = generate_key(group).public
        secrets = group.random_scalars(self.shape, secrecy=Secrecy.ONE_TIME)
        ciphertexts, _ = encrypt(self.key, group.generator**secrets)
        self.inputs = self.read(ciphertexts.encode())

    def read(self, data: bytes) -> Ciphertexts:
        return decode_ciphertexts(self.group, data, self.shape)

    def start(self) -> Transcript:
        return Transcript(b"bench", self.group)

    def derive(self) -> None:
        self.group.hash_to_elements(b"bench", self.shape[0])

    def prove(self) -> tuple[bytes, bytes]:
        outputs, witness = mixnet.shuffle(self.key, self.inputs)
        proof = mixnet.prove_shuffle(self.statement(outputs), witness, self.start())
        return outputs.encode(), proof.encode()

    def verify(self, outputs: bytes, proof: bytes) -> None:
        statement = self.statement(self.read(outputs))
        decoded = mixnet.decode_shuffle_proof(self.group, proof, self.shape)
        mixnet.verify_shuffle(statement, decoded, self.start())

    def argue(self, outputs: Ciphertexts, witness: mixnet.ShuffleWitness) -> bytes:
        statement = self.statement(outputs)
        return mixnet.prove_shuffle_bayer_groth(statement, witness, self.start()).encode()

    def check(self, outputs: bytes, proof: bytes) -> None:
        statement = self.statement(self.read(outputs))
        decoded = mixnet.decode_bayer_groth_proof(self.group, proof, self.shape)
        mixnet.verify_shuffle_bayer_groth(statement, decoded, self.start())

    def statement(self, outputs: Ciphertexts) -> mixnet.ShuffleStatement:
        return mixnet.ShuffleStatement(key=self.key, inputs=self.inputs, outputs=outputs)


def main() -> None:
    parser = arguments(
        __doc__, group="ristretto255,P-256,rfc3526-2048,rfc3526-3072", n=1000, runs=3
    )
    parser.add_argument("--width", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=0)
    arguments_known = ("terelius-wikstrom", "bayer-groth")
    parser.add_argument("--argument", choices=arguments_known, default=arguments_known[0])
    options = parser.parse_args()
    for name in options.group.split(","):
        bench = Bench("shuffle", name, options.backend, options.runs)
        if options.argument == "bayer-groth":
            measure_bayer_groth(bench, options.n, options.width)
        elif options.jobs:
            measure_jobs(bench, options.n, options.width, options.jobs)
        else:
            measure(bench, options.n, options.width)


def measure(bench: Bench, n: int, width: int) -> None:
    group = bench.group
    case = Shuffle(group, n, width)
    bases = case.inputs.alpha.reshape((n * width,))[:POWERS]._items
    power = naive_powers(group, bases, [group.order - 2 - i for i in range(len(bases))])
    baseline = "one power by powmod or double-and-add"
    before = peak()
    with group.count() as count:
        outputs, proof = case.prove()
    prove, memory = asdict(count), peak() - before
    with group.count() as count:
        case.verify(outputs, proof)
    verify, further = asdict(count), peak() - before - memory
    bench.compare("generators", case.derive, n, baseline=baseline, theirs=power, sample=len(bases))
    for what, action, operations, grown in (
        ("shuffle and prove", case.prove, prove, memory),
        ("verify", lambda: case.verify(outputs, proof), verify, further),
    ):
        bench.compare(
            what,
            action,
            n,
            baseline=baseline,
            theirs=power,
            sample=len(bases),
            width=width,
            operations={kind: round(k / n, 2) for kind, k in operations.items() if k},
            bytes=(len(outputs) + len(proof)) // n,
            memory=grown // n,
        )


def measure_bayer_groth(bench: Bench, n: int, width: int) -> None:
    case = Shuffle(bench.group, n, width)
    outputs, witness = mixnet.shuffle(case.key, case.inputs)
    data, statement = outputs.encode(), case.statement(outputs)

    def usual() -> bytes:
        return mixnet.prove_shuffle(statement, witness, case.start()).encode()

    proof, other = case.argue(outputs, witness), usual()
    values: dict[str, Any] = {
        "baseline": "Terelius and Wikström",
        "width": width,
        "proof_bytes": len(proof),
        "baseline_bytes": len(other),
    }
    bench.compare(
        "prove, Bayer-Groth", lambda: case.argue(outputs, witness), n, theirs=usual, **values
    )
    bench.compare(
        "verify, Bayer-Groth",
        lambda: case.check(data, proof),
        n,
        theirs=lambda: case.verify(data, other),
        **values,
    )


def measure_jobs(bench: Bench, n: int, width: int, jobs: int) -> None:
    plain = Shuffle(bench.group, n, width)
    data = plain.inputs.encode()
    times: dict[str, list[tuple[float, float]]] = {"shuffle and prove": [], "verify": []}
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        spread = Shuffle(bench.group.with_executor(pool), n, width)
        for case in (spread, plain):  # the same key and inputs; the workers are warm
            case.key, case.inputs = plain.key, case.read(data)
            case.prove()
        for _ in range(bench.runs):
            row: dict[str, list[float]] = {what: [] for what in times}
            for case in (spread, plain):
                start = time.perf_counter()
                outputs, proof = case.prove()
                middle = time.perf_counter()
                case.verify(outputs, proof)
                row["shuffle and prove"].append(middle - start)
                row["verify"].append(time.perf_counter() - middle)
            for what, (ours, theirs) in row.items():
                times[what].append((ours, theirs))
    for what, pairs in times.items():
        bench.row(
            f"{what}, {jobs} processes",
            n=n,
            width=width,
            us=round(1e6 * statistics.median(ours for ours, _ in pairs) / n, 1),
            baseline="one process, wall time",
            ratio=round(median_ratio(pairs), 2),
            runs=bench.runs,
        )


def peak() -> int:
    """Bytes that this process has held at most."""
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


if __name__ == "__main__":
    main()
