"""How much does a trustee's part of a tally cost, and its verification?

    python benchmarks/bench_decryption.py [--group NAME] [--n SUMS] [--backend NAME] [--runs R]

One JSON object a line. Baselines, timed in turn with ours in one process:

    naive power        alpha^x alone, no proof: one gmpy2.powmod_sec each; on the curve one
                       double-and-add each (every bit a doubling and an addition)
    proof each         `prove_decryption` / `verify_decryption`: one Chaum-Pedersen proof a share

`ratio` is baseline time over ours, the median over the runs: above 1, ours is faster. Decoding,
hashing and encoding are part of both sides. The share of a long-term key takes the constant-time
path, so no table can help it: what is measured is what the proof adds.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable
from typing import Any

import gmpy2

from evote.groups import Group, ModPGroup, Scalars, Secrecy, named_group
from evote.groups import _edwards25519 as ed
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
Action = Callable[[], object]


def naive_powers(group: Group, data: bytes, secret: Scalars) -> Action:
    """Decode members, raise each to the secret, in the simplest way there is."""
    exponent = int(secret.publish().to_ints())
    if isinstance(group, ModPGroup):
        p, q, width = gmpy2.mpz(group.p), gmpy2.mpz(group.order), group.element_size
        chunks = [data[i : i + width] for i in range(0, len(data), width)]

        def powers() -> object:
            numbers = [gmpy2.mpz.from_bytes(chunk, "big") for chunk in chunks]
            if any(gmpy2.jacobi(x, p) != 1 for x in numbers):
                raise SystemExit("not a member")
            return [gmpy2.powmod_sec(x, exponent + q, p) for x in numbers]

        return powers

    def curve_powers() -> object:
        points = group.decode_elements(data)
        return [double_and_add(item, exponent) for item in points._items]

    return curve_powers


def double_and_add(point: tuple[Any, ...], exponent: int) -> tuple[Any, ...]:
    p, d2 = gmpy2.mpz(ed.P), gmpy2.mpz(2 * ed.D % ed.P)

    def add(a: tuple[Any, ...], b: tuple[Any, ...]) -> tuple[Any, ...]:
        (x1, y1, z1, t1), (x2, y2, z2, t2) = a, b
        u, v = (y1 - x1) * (y2 - x2) % p, (y1 + x1) * (y2 + x2) % p
        c, w = t1 * d2 % p * t2 % p, 2 * z1 * z2 % p
        e, f, g, h = v - u, w - c, w + c, v + u
        return e * f % p, g * h % p, f * g % p, e * h % p

    result = (gmpy2.mpz(0), gmpy2.mpz(1), gmpy2.mpz(1), gmpy2.mpz(0))
    for bit in bin(exponent)[2:]:
        result = add(result, result)
        other = add(result, point)
        result = other if bit == "1" else result
    return result


def seconds(action: Action) -> float:
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def report(what: str, baseline: str, ours: Action, theirs: Action, n: int, runs: int) -> None:
    """Time both in turn, and print one line."""
    pairs = [(seconds(ours), seconds(theirs)) for _ in range(runs)]
    row = {
        "question": "decryption",
        "what": what,
        "baseline": baseline,
        "ratio": round(statistics.median(b / a for a, b in pairs), 2),
        "us_per_share": round(1e6 * statistics.median(a for a, _ in pairs) / n, 1),
        "baseline_us_per_share": round(1e6 * statistics.median(b for _, b in pairs) / n, 1),
    }
    print(json.dumps(COMMON | row), flush=True)


COMMON: dict[str, object] = {}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--group", default="ristretto255")
    parser.add_argument("--n", type=int, default=200)
    parser.add_argument("--backend", default="gmp")
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    group, n, runs = named_group(options.group), options.n, options.runs
    group = group.with_backend(options.backend)
    COMMON.update(
        group=group.name,
        n=n,
        backend=group.backend,
        runs=runs,
        cores=1,
        machine=f"{platform.machine()} {platform.python_implementation()} "
        f"{platform.python_version()}",
    )
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

    naive = naive_powers(group, data, secret)
    report("shares with chunk proof", "naive power, no proof", share, naive, n, runs)
    report("shares with chunk proof", "proof each", share, share_each, n, runs)
    report("verify shares", "proof each, in one batch", verify, verify_each, n, runs)
    rows = group.decode_elements(packed * 3).reshape((3, n))

    def each_power() -> object:
        weights = lagrange_coefficients(group, (1, 2, 4), 5).reshape((3, 1))
        return (rows**weights).prod(axis=0)

    def combined() -> object:
        return combine((1, 2, 4), rows, quorum=3, trustees=5)

    report("combine 3 of 5", "three powers and a product", combined, each_power, n, runs)


if __name__ == "__main__":
    main()
