"""How much does a trustee's part of a tally cost, and its verification?

    python benchmarks/bench_decryption.py [--group NAMES] [--n SUMS] [--backend NAME] [--runs R]
    python benchmarks/bench_decryption.py --workers 2 --n 4000

One JSON object a line; README.md says how to read it. With --workers, the wall time of one process
over that of so many warm ones (`Group.with_executor`).
Without, these baselines, timed in turn with ours in one process:

    naive power        alpha^x alone, no proof: one gmpy2.powmod_sec each; on the curve one
                       double-and-add each (every bit a doubling and an addition)
    proof each         `prove_decryption` / `verify_decryption`: one Chaum-Pedersen proof a share

The first is timed on 50 items (--compare: 500) and scaled. Decoding, hashing and encoding are part
of both sides. The share of a long-term key takes the constant-time path, so no table can help it:
what is measured is what the proof adds.
"""

from __future__ import annotations

from dataclasses import replace

from _bench import Action, Bench, arguments, naive_powers

from evote.groups import Group, Secrecy
from evote.proofs import (
    DecryptionStatement,
    DecryptionWitness,
    decode_decryption,
    prove_decryption,
    verify_decryption,
)
from evote.threshold import (
    DecryptionShares,
    combine,
    decode_share_proofs,
    decryption_shares,
    encode_share_proofs,
    lagrange_coefficients,
    verify_decryption_shares,
)
from evote.transcript import Transcript

CONTEXT = (b"election", b"tally")


def main() -> None:
    parser = arguments(__doc__, group="ristretto255", n=200)
    parser.add_argument("--workers", type=int, default=0)
    options = parser.parse_args()
    for name in options.group.split(","):
        bench = Bench("decryption", name, options.backend, options.runs)
        if options.workers:
            measure_workers(bench, options.n, options.workers)
        else:
            measure(bench, options.n, options.compare)


def measure_workers(bench: Bench, n: int, workers: int) -> None:
    secret = bench.group.random_scalars((), secrecy=Secrecy.LONG_TERM)
    key = bench.group.generator**secret
    data = (bench.group.generator ** bench.group.random_scalars((n,)).publish()).encode()
    alphas = bench.group.decode_elements(data)
    shares = decryption_shares(1, secret, key, alphas, context=CONTEXT)
    packed = shares.shares.encode()

    def decrypt(group: Group) -> Action:
        def action() -> None:
            alphas = group.decode_elements(data)
            decryption_shares(1, secret, key, alphas, context=CONTEXT).shares.encode()

        return action

    def verify(group: Group) -> Action:
        def action() -> None:
            given = replace(shares, shares=group.decode_elements(packed))
            verify_decryption_shares(key, group.decode_elements(data), given, context=CONTEXT)

        return action

    for what, job in (("decrypt", decrypt), ("verify", verify)):
        bench.compare_workers(f"{what}, {workers} processes", job, n, workers)


def measure(bench: Bench, n: int, compare: int) -> None:
    group, sample = bench.group, min(n, compare)
    secret = group.random_scalars((), secrecy=Secrecy.LONG_TERM)
    key = group.generator**secret
    data = (group.generator ** group.random_scalars((n,)).publish()).encode()

    def share() -> tuple[bytes, list[bytes]]:
        shares = decryption_shares(1, secret, key, group.decode_elements(data), context=CONTEXT)
        return shares.shares.encode(), encode_share_proofs(shares)

    def share_each() -> tuple[bytes, bytes]:
        alphas = group.decode_elements(data)
        statement = DecryptionStatement(public=key, alphas=alphas, shares=alphas**secret)
        witness = DecryptionWitness(secret=secret)
        proof = prove_decryption(statement, witness, Transcript(b"bench", group))
        return statement.shares.encode(), proof.encode()

    packed, proofs = share()
    packed_each, proofs_each = share_each()

    def verify() -> None:
        decoded = DecryptionShares(
            trustee=1,
            shares=group.decode_elements(packed),
            proofs=decode_share_proofs(group, proofs, n),
        )
        verify_decryption_shares(key, group.decode_elements(data), decoded, context=CONTEXT)

    def verify_each() -> None:
        alphas, shares = group.decode_elements(data), group.decode_elements(packed_each)
        statement = DecryptionStatement(public=key, alphas=alphas, shares=shares)
        proof = decode_decryption(group, proofs_each, (n,))
        verify_decryption(statement, proof, Transcript(b"bench", group))

    def naive() -> object:
        points = group.decode_elements(data[: sample * group.element_size])._items
        return naive_powers(group, points, [x] * sample, secret=True)()

    x = int(secret.publish().to_ints())
    shares = "shares with chunk proof"
    bench.compare(shares, share, n, baseline="naive power, no proof", theirs=naive, sample=sample)
    bench.compare(shares, share, n, baseline="proof each", theirs=share_each)
    bench.compare(
        "verify shares", verify, n, baseline="proof each, in one batch", theirs=verify_each
    )
    rows = group.decode_elements(packed * 3).reshape((3, n))

    def each_power() -> object:
        weights = lagrange_coefficients(group, (1, 2, 4), 5).reshape((3, 1))
        return (rows**weights).prod(axis=0)

    def combined() -> object:
        return combine((1, 2, 4), rows, quorum=3, trustees=5)

    bench.compare(
        "combine 3 of 5", combined, n, baseline="three powers and a product", theirs=each_power
    )


if __name__ == "__main__":
    main()
