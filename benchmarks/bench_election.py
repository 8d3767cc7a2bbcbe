"""What does a ballot cost, from the voter's device to the result, and where does the time go?

    python benchmarks/bench_election.py [--voters N] [--runs R] [--profile] [--compare]

Runs the demo, the Zhukovsky People's Council of 2013 (27 candidates, up to 15 marks), with N voters
and on one core; keys and nonces are fresh. One JSON object a line, with processor time and
counted operations per ballot on the board:

    encrypt    ciphertexts, proofs and body of a ballot, in batches
    verify     a ballot read from its body: every element checked, every proof verified
    add        its ciphertexts multiplied into the sums
    decrypt    one trustee's shares of the sums, with proof
    result     the trustees' shares verified and combined, and the totals found
    audit      all that `evote verify` does

The baseline is one naive power for every power and every term of a multi-exponentiation that was
counted, and nothing else. It is timed on 50 powers (--compare: 500) and scaled.

`--profile` adds lines that divide encryption and audit among groups of functions; they are timed
under a profiler, which inflates short calls.
"""

from __future__ import annotations

import argparse
import cProfile
import pstats
import random
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

from _bench import Action, Bench, add_compare, naive_powers

from evote import workflow
from evote.ballots import ballots_hold, decode_ballots, encode_ballots, encrypt_ballots
from evote.demo import peoples_council_2013, run_election
from evote.groups import Secrecy
from evote.record import Record
from evote.tally import (
    Summation,
    combine_shares,
    decode_share,
    decode_tally,
    file_digest,
    verify_share,
)
from evote.threshold import decryption_shares
from evote.verify import audit


def _native(*methods: str, of: str = "Edwards") -> tuple[str, ...]:
    """What the profiler calls methods of evote-native."""
    return tuple(f"<method '{name}' of 'evote_native.{of}' objects>" for name in methods)


# Functions that do not call each other, so that their cumulative times add up.
PARTS: dict[str, dict[str, tuple[str, ...]]] = {
    "multi-exponentiation": {"_gmp_ristretto.py": ("multiexp",), "~": _native("multiexp")},
    "powers": {
        "_gmp_ristretto.py": ("powers_of_one", "powers_constant_time"),
        "~": _native("powers_constant_time") + _native("powers", of="EdwardsTable"),
    },
    "products": {
        "_gmp_ristretto.py": ("multiply", "product"),
        "~": _native("multiply", "products"),
    },
    "decoding elements": {"_gmp_ristretto.py": ("decode",), "~": _native("decode")},
    "encoding elements": {
        "_gmp_ristretto.py": ("encode",),
        "~": _native("encode", "encode_squares"),
    },
    "scalars": {
        "_scalars.py": ("sum", "_combine", "_secret_bytes", "__neg__"),
        "base.py": ("scalars", "scalars_from_uniform", "decode_secret_scalars"),
    },
    "hashing": {"encoding.py": ("xof", "digest"), "transcript.py": ("append", "squeeze")},
    "JSON and base64": {
        "encoding.py": ("parse_json", "canonical_json", "decode_base64url", "encode_base64url"),
    },
    "signatures": {"credentials.py": ("verify_ballot_signatures",)},
}


class ElectionBench:
    """The record of one demo, and what is done with its ballots."""

    def __init__(self, voters: int, directory: Path, runs: int, sample: int) -> None:
        scenario = peoples_council_2013(voters)
        run_election(scenario, directory)
        self.path = directory / "record"
        self.record = Record(self.path)
        self.manifest = self.record.manifest
        parameters = workflow.load_parameters(self.path)
        self.context = parameters.ballot_context
        self.bodies = [body for _, _, body in self.record.ballots()]
        [(_, self.ballots)] = decode_ballots(self.context, self.bodies).batches
        rng = random.Random(1)
        self.marks = [scenario.mark(rng)["council"] for _ in self.bodies]
        self.tally = decode_tally(self.manifest, self.record.tally_bytes())
        self.verification_keys = parameters.verification_keys
        self.bench = Bench("election", self.context.group.name, None, runs)
        group = self.context.group
        self.sample = sample
        exponents = group.random_scalars((sample,)).publish()
        bases = group.decode_elements((group.generator**exponents).encode())
        self.naive = naive_powers(group, bases._items, exponents._items)

    def encrypt(self) -> None:
        credentials = self.ballots.credentials
        made, _ = encrypt_ballots(
            self.context, self.ballots.style, credentials, {"council": self.marks}
        )
        encode_ballots(self.context, made)

    def verify(self) -> None:
        [(_, ballots)] = decode_ballots(self.context, self.bodies).batches
        assert ballots_hold(self.context, ballots).all()

    def add(self) -> None:
        Summation(self.manifest).add(self.ballots, [1] * len(self.ballots))

    def decrypt(self) -> None:
        """One trustee's shares, of a made-up key."""
        group = self.context.group
        secret = group.random_scalars(secrecy=Secrecy.LONG_TERM)
        key, alphas = group.generator**secret, self.tally.sums.alpha
        decryption_shares(1, secret, key, alphas, context=(b"bench",))

    def result(self) -> None:
        digest, keys = file_digest(self.record.tally_bytes()), self.verification_keys
        shares = []
        for i in self.record.share_indices():
            share = decode_share(
                self.manifest, self.tally, self.record.share_bytes(i), where=f"share {i}"
            )
            verify_share(self.tally, digest, share, keys[i - 1])
            shares.append(share)
        combine_shares(self.manifest, self.tally, digest, shares)

    def audit(self) -> None:
        audit(self.path).raise_for_failure()

    def costs(self) -> None:
        """One line for each step."""
        n = len(self.ballots)
        for step in (
            self.encrypt,
            self.verify,
            self.add,
            self.decrypt,
            self.result,
            self.audit,
        ):
            with self.context.group.count() as count:
                step()
            counted = {kind: round(k / n, 2) for kind, k in asdict(count).items() if k}
            powers = count.fixed + count.variable + count.constant_time + count.multiexp_terms
            self.bench.compare(
                step.__name__,
                step,
                n,
                baseline="a naive power for each power and term" if powers else None,
                theirs=self.naive if powers else None,
                sample=self.sample,
                each=powers / n,
                voters=n,
                operations=counted,
            )

    def profile(self) -> None:
        """Where encryption and audit spend their time."""
        for step in (self.encrypt, self.audit):
            for part, share, milliseconds in divided(step, len(self.ballots)):
                self.bench.row(
                    f"{step.__name__}: {part}", share=share, profiled_ms_per_ballot=milliseconds
                )


def divided(action: Action, n: int) -> list[tuple[str, float, float]]:
    """The parts of an action, largest first: name, share of the whole, milliseconds per item."""
    profiler = cProfile.Profile()
    profiler.runcall(action)
    stats: Any = pstats.Stats(profiler)  # its tables are in no stub
    spent = dict.fromkeys(PARTS, 0.0)
    for (path, _, function), (_, _, _, cumulative, _) in stats.stats.items():
        for part, files in PARTS.items():
            if function in files.get(Path(path).name, ()):
                spent[part] += cumulative
    spent["everything else"] = stats.total_tt - sum(spent.values())
    return [
        (part, round(time / stats.total_tt, 3), round(1000 * time / n, 3))
        for part, time in sorted(spent.items(), key=lambda item: -item[1])
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--voters", type=int, default=250)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--profile", action="store_true")
    add_compare(parser)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="evote-bench-") as directory:
        target = Path(directory) / "demo"
        bench = ElectionBench(options.voters, target, options.runs, options.compare)
        bench.costs()
        if options.profile:
            bench.profile()


if __name__ == "__main__":
    main()
