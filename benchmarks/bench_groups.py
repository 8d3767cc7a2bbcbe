"""What does each operation of a group cost, and how much faster is it than the naive form?

    python benchmarks/bench_groups.py [--group NAMES] [--n N] [--backend NAME] [--runs R]

One JSON object a line; README.md says how to read it. n is the size of a batch; fixed bases and
products of powers are timed at 10 n too. The naive form is one power after the other,
`naive_powers`: one `gmpy2.powmod` each, or on a curve one double-and-add. It is timed on at most 50
items (--compare: 500) and scaled, as `baseline_n` says. Naive proofs are their powers alone,
without hashing, encoding or decoding, which favours them; ours do everything. Decoding and encoding
have no power to save: their baseline is the `python` backend.

The last line verifies 0-or-1 proofs in one batch against "each equation alone": each proof decoded
alone, tables for g and y, the library's best single power for the rest; hashing on both sides.
"""

from __future__ import annotations

from functools import partial

import numpy as np
from _bench import SAMPLE, Action, Bench, arguments, naive_powers

from evote import _one_of
from evote.elgamal import (
    concatenate_ciphertexts,
    decode_ciphertexts,
    encrypt_exponential,
    generate_key,
)
from evote.errors import InvalidProof
from evote.groups import Elements, Group, Scalars, Secrecy, concatenate
from evote.proofs import (
    OneOfProof,
    OneOfStatement,
    OneOfWitness,
    decode_one_of,
    prove_one_of,
    verify_one_of,
    zero_or_one,
)
from evote.threshold import decryption_shares
from evote.transcript import Transcript

GROUPS = "ristretto255,electionguard-2.0-3072,electionguard-2.0-4096"


class GroupBench:
    """All rows of one group."""

    def __init__(self, name: str, backend: str | None, n: int, runs: int, sample: int) -> None:
        self.bench = Bench("groups", name, backend, runs)
        self.group: Group = self.bench.group
        self.n = n
        self.sample = sample  # of naive powers

    def scalars(self, n: int) -> Scalars:
        return self.group.random_scalars((n,)).publish()

    def elements(self, n: int) -> Elements:
        """Random members as a reader gets them: decoded, so that points are affine."""
        return self.group.decode_elements((self.group.generator ** self.scalars(n)).encode())

    def naive(self, elements: Elements, scalars: Scalars, *, secret: bool = False) -> Action:
        """On the first items."""
        exponents = list(scalars._items)[: self.sample]
        bases = (list(elements._items) * len(exponents))[: len(exponents)]
        return naive_powers(self.group, bases, exponents, secret=secret)

    def compare(
        self, what: str, ours: Action, n: int, elements: Elements, scalars: Scalars
    ) -> None:
        """Against one naive power for each of n items."""
        naive, sample = self.naive(elements, scalars), min(self.sample, scalars.size)
        self.bench.compare(what, ours, n, baseline="naive power", theirs=naive, sample=sample)

    def powers(self) -> None:
        n, g = self.n, self.group.generator
        bases, some = self.elements(self.sample), self.scalars(self.sample)
        for count in (n, 10 * n):  # the table grows with the job
            action = partial(pow, g, self.scalars(count))
            self.compare("fixed base", action, count, g.reshape((1,)), some)
        self.compare("variable base", lambda: bases**some, len(bases), bases, some)
        secret = some.mark(Secrecy.LONG_TERM)
        self.bench.compare(
            "variable base, constant time",
            lambda: bases**secret,
            len(bases),
            baseline="naive power of a secret",
            theirs=self.naive(bases, some, secret=True),
        )

    def multiexps(self) -> None:
        elements = self.elements(10 * self.n)
        weights = Transcript(b"bench", self.group).weights(b"weights", (10 * self.n,))
        for n in (self.n, 10 * self.n):
            self.multiexp(elements[:n], self.scalars(n), self.group.order.bit_length())
            self.multiexp(elements[:n], weights[:n], 128)

    def multiexp(self, elements: Elements, scalars: Scalars, bits: int) -> None:
        what = f"multiexp, {bits}-bit scalars"
        group, n = self.group, len(elements)
        self.compare(what, lambda: group.multiexp(elements, scalars), n, elements, scalars)

    def encodings(self) -> None:
        group, n = self.group, self.n
        elements = group.generator ** self.scalars(n)  # fresh: not affine, nothing kept
        data = elements[:].encode()
        obvious = group.with_backend("python")
        few = obvious.generator ** obvious.scalars(range(1, SAMPLE + 1))
        few_data = data[: SAMPLE * group.element_size]

        def compare(what: str, ours: Action, theirs: Action) -> None:
            self.bench.compare(
                what, ours, n, baseline="python backend", theirs=theirs, sample=SAMPLE
            )

        compare(
            "decode",
            lambda: group.decode_elements(data),
            lambda: obvious.decode_elements(few_data),
        )
        compare("encode", lambda: elements[:].encode(), lambda: few[:].encode())

    def shares(self) -> None:
        group, n = self.group, self.n
        secret = group.random_scalars(secrecy=Secrecy.LONG_TERM)
        key, alphas = group.generator**secret, self.elements(n)
        exponents = secret.publish().broadcast_to((min(n, self.sample),))

        def ours() -> object:
            return decryption_shares(1, secret, key, alphas, context=(b"bench",))

        self.bench.compare(
            "decryption share, with proof",
            ours,
            n,
            baseline="naive power of a secret",
            theirs=self.naive(alphas, exponents, secret=True),
            sample=exponents.size,
        )

    def proofs(self) -> None:
        for n in (1, self.n):
            self.zero_or_one(n)

    def zero_or_one(self, n: int) -> None:
        group, sample = self.group, min(n, self.sample)
        size = "single" if n == 1 else "batch"
        key = generate_key(group).public
        marks = np.arange(n) % 2
        values = group.scalars(marks, secrecy=Secrecy.ONE_TIME)
        ciphertexts, nonces = encrypt_exponential(key, values)
        packed = ciphertexts.encode()
        witness = OneOfWitness(nonces=nonces.reshape((n, 1)), branches=marks)

        def start() -> Transcript:
            return Transcript(b"bench", group, flavour=b"CDS")

        def prove() -> bytes:
            return prove_one_of(zero_or_one(key, ciphertexts), witness, start()).encode()

        proof = prove()
        pieces = decode_one_of(group, proof, (n,), 2).encode_each()
        pair = len(packed) // n

        def read() -> tuple[OneOfStatement, OneOfProof]:
            return (
                zero_or_one(key, decode_ciphertexts(group, packed)),
                decode_one_of(group, proof, (n,), 2),
            )

        def verify() -> None:
            verify_one_of(*read(), start())

        def read_each() -> tuple[OneOfStatement, OneOfProof]:
            """As they come in one by one: members are asked for alone too."""
            proofs = [decode_one_of(group, piece, (1,), 2) for piece in pieces]
            ciphertexts = [
                decode_ciphertexts(group, packed[i * pair : (i + 1) * pair]) for i in range(n)
            ]
            together = OneOfProof(
                commitments=concatenate_ciphertexts([p.commitments for p in proofs]),
                challenges=concatenate([p.challenges for p in proofs]),
                responses=concatenate([p.responses for p in proofs]),
            )
            return zero_or_one(key, concatenate_ciphertexts(ciphertexts)), together

        def verify_each() -> None:
            verify_each_equation(*read_each(), start())

        bases = self.elements(sample)
        for what, ours, powers in (("prove", prove, 6), ("verify", verify, 8)):
            exponents = self.scalars(powers * sample)
            naive = naive_powers(group, [*bases._items] * powers, exponents._items)
            baseline = f"{powers} naive powers"
            self.bench.compare(
                f"0-or-1 proof, {what}, {size}",
                ours,
                n,
                baseline=baseline,
                theirs=naive,
                sample=sample,
            )
        self.bench.compare(
            f"0-or-1 proof, verify, {size}",
            verify,
            n,
            baseline="each equation alone, with tables",
            theirs=verify_each,
        )


def verify_each_equation(
    statement: OneOfStatement, proof: OneOfProof, transcript: Transcript
) -> None:
    """`verify_one_of` for 0 or 1, without a batch: 5 fixed-base powers and 4 others a proof."""
    g, y = statement.group.generator, statement.key.element
    alpha, beta = statement.ciphertexts.alpha, statement.ciphertexts.beta
    a, b = proof.commitments.alpha[..., 0], proof.commitments.beta[..., 0]
    messages = _one_of._absorb(statement, transcript)
    challenge = _one_of._challenges(statement, messages, proof.commitments, transcript)
    zero = proof.challenges[:, 0]
    one = challenge - zero
    s = proof.responses[..., 0]
    holds = [
        (g ** s[:, 0]).equal_mask(a[:, 0] * alpha[:, 0] ** zero),
        (g ** s[:, 1]).equal_mask(a[:, 1] * alpha[:, 0] ** one),
        (y ** s[:, 0]).equal_mask(b[:, 0] * beta[:, 0] ** zero),
        (y ** s[:, 1] * g**one).equal_mask(b[:, 1] * beta[:, 0] ** one),
    ]
    InvalidProof.unless(np.all(holds, axis=0), "one-of")


def main() -> None:
    options = arguments(__doc__, group=GROUPS, n=1000).parse_args()
    for name in options.group.split(","):
        bench = GroupBench(name, options.backend, options.n, options.runs, options.compare)
        bench.powers()
        bench.multiexps()
        bench.encodings()
        bench.shares()
        bench.proofs()


if __name__ == "__main__":
    main()
