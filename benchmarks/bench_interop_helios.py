"""How fast are Helios' ballots verified, against a verifier that does what the text says?

    python benchmarks/bench_interop_helios.py [--n N] [--runs R] [--election DIR]

One JSON object a line; README.md says how to read it. The ballots of an election, one of the
vectors' (EVOTE_VECTORS) or a directory of your own, are verified over and over until they are n.
Reading JSON, hashing, membership and all proofs are part of both sides.

    straightforward    one gmpy2.powmod per exponentiation, x^q per membership
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from _bench import Bench, arguments
from gmpy2 import invert, mpz, powmod

from evote.groups import Group, ModPGroup
from evote.interop._json import read_json
from evote.interop.helios._ballots import Layout, read_vote, verify_votes, vote_hashes
from evote.interop.helios._election import Election, read_election, read_key
from evote.interop.helios._forms import sha1_number

VECTOR = Path(os.environ.get("EVOTE_VECTORS", "vectors")) / "helios" / "multi-trustee"


def verify_plainly(election: Election, group: ModPGroup, y: mpz, data: bytes) -> None:
    """All checks of one ballot, one after the other."""
    p, q, g = mpz(group.p), mpz(group.q), mpz(group.g)

    def element(text: str) -> mpz:
        x = mpz(text)
        if not (0 < x < p and powmod(x, q, p) == 1):
            raise ValueError("not in the group")
        return x

    def disjunction(a: mpz, b: mpz, branches: Any, messages: range) -> None:
        hashed: list[str] = []
        total = mpz(0)
        for m, branch in zip(messages, branches, strict=True):
            pair = branch["commitment"]["A"], branch["commitment"]["B"]
            first, second = element(pair[0]), element(pair[1])
            c, r = mpz(branch["challenge"]), mpz(branch["response"])
            plain = b * invert(powmod(g, m, p), p) % p
            if powmod(g, r, p) != first * powmod(a, c, p) % p:
                raise ValueError("the proof does not hold")
            if powmod(y, r, p) != second * powmod(plain, c, p) % p:
                raise ValueError("the proof does not hold")
            hashed += pair
            total += c
        if total % q != sha1_number(*hashed) % q:
            raise ValueError("the challenges are not the hash")

    cast = read_json(data, where="ballot")
    if cast["vote_hash"] not in vote_hashes(cast["vote"]):
        raise ValueError("not the hash of the vote")
    for question, answer in zip(election.questions, cast["vote"]["answers"], strict=True):
        a = b = mpz(1)
        for choice, branches in zip(answer["choices"], answer["individual_proofs"], strict=True):
            alpha, beta = element(choice["alpha"]), element(choice["beta"])
            disjunction(alpha, beta, branches, range(2))
            a, b = a * alpha % p, b * beta % p
        if question.high is not None:
            sums = range(question.low, question.high + 1)
            disjunction(a, b, answer["overall_proof"], sums)


def main() -> None:
    parser = arguments(__doc__, group="helios-2048", n=200)
    parser.add_argument("--election", type=Path, default=VECTOR)
    options = parser.parse_args()
    data = (options.election / "election.json").read_bytes()
    election = read_election(data, read_json(data, where="election"), where="election")
    layout = Layout(election.questions)
    found = [path.read_bytes() for path in sorted((options.election / "ballots").iterdir())]
    ballots = (found * (options.n // len(found) + 1))[: options.n]
    bench = Bench("interop-helios", options.group, options.backend, options.runs)
    group: Group = bench.group
    assert isinstance(group, ModPGroup)
    key = read_key(group, election.key["y"], "y")
    failures: list[str] = []

    def ours() -> None:
        votes = []
        for ballot in ballots:
            cast = read_json(ballot, where="ballot")
            assert cast["vote_hash"] in vote_hashes(cast["vote"])
            votes.append(read_vote(election, layout, group, cast["vote"], where="ballot"))
        verify_votes(layout, key, votes, lambda check, reason: failures.append(check))
        assert not failures

    sample = ballots[: options.compare]

    def theirs() -> None:
        for ballot in sample:
            verify_plainly(election, group, mpz(election.key["y"]), ballot)

    bench.compare(
        f"ballots of {election.answers} answers",
        ours,
        len(ballots),
        baseline="straightforward",
        theirs=theirs,
        sample=len(sample),
        elements=layout.elements,
    )


if __name__ == "__main__":
    main()
