"""What does a Belenios ballot cost to verify, against a straightforward verifier?

    python benchmarks/bench_interop_belenios.py [--group NAMES] [--n N] [--runs R] [--file BEL]

One JSON object a line; README.md says how to read it. An election of each group is taken from the
vectors (EVOTE_VECTORS), or from an archive of your own; its ballots are verified over and over
until they are n. Reading JSON, membership, hashing and encoding are part of both sides.

    straightforward    one power per exponentiation, x^q per membership: in Z_p^* one
                       gmpy2.powmod each, on the curve one double-and-add each
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import reduce
from pathlib import Path
from typing import Any
from unittest.mock import patch

import gmpy2
from _bench import Bench, arguments

from evote.groups import (
    Ed25519,
    Elements,
    Group,
    ModPGroup,
    Scalars,
    _gmp,
    _gmp_ed25519,
    named_group,
)
from evote.groups import _gmp_edwards as curve
from evote.interop.belenios import _ballots
from evote.interop.belenios._archive import Archive
from evote.interop.belenios._codec import GROUPS
from evote.interop.belenios._election import (
    Credentials,
    Election,
    decode_credentials,
    decode_election,
)
from evote.interop.belenios._plan import make_plan

VECTORS = {
    "ed25519": "h-ed25519/*.bel",
    "belenios-2048": "h-belenios2048/*.bel",
    "rfc3526-2048": "h-rfc3526/*.bel",
}


class StraightModP(_gmp.ModPKernel):
    """One powmod for every power and every membership."""

    def decode(self, data: bytes) -> list[Any]:
        width, p = self._width, self.p
        values = [
            gmpy2.mpz.from_bytes(data[i : i + width], "big") for i in range(0, len(data), width)
        ]
        return [x if 0 < x < p and gmpy2.powmod(x, self.q, p) == 1 else None for x in values]

    def powers(self, bases: Sequence[Any], exponents: Sequence[int]) -> list[Any]:
        return [gmpy2.powmod(x, e, self.p) for x, e in zip(bases, exponents, strict=True)]

    def powers_of_one(self, base: Any, exponents: Sequence[int], bits: int) -> list[Any]:
        return self.powers([base] * len(exponents), exponents)


class StraightEd25519(_gmp_ed25519.Ed25519Kernel):
    """One double-and-add for every power and every membership."""

    def decode(self, data: bytes) -> list[Any]:
        points = [_gmp_ed25519.decode_point(data[i : i + 32]) for i in range(0, len(data), 32)]
        return [
            point if point and self.equal([_power(point, curve._L)], [self.identity])[0] else None
            for point in points
        ]

    def powers(self, bases: Sequence[Any], exponents: Sequence[int]) -> list[Any]:
        return [_power(base, int(e)) for base, e in zip(bases, exponents, strict=True)]

    def powers_of_one(self, base: Any, exponents: Sequence[int], bits: int) -> list[Any]:
        return self.powers([base] * len(exponents), exponents)


def _power(base: curve.Point, exponent: int) -> curve.Point:
    def step(result: curve.Point, bit: str) -> curve.Point:
        result = curve.doublings(result, 1)
        return curve.add(result, base) if bit == "1" else result

    return reduce(step, f"{exponent:b}"[1:], base) if exponent else curve.NEUTRAL


class Straightforward(_ballots._Verifier):
    """B = y^r (beta / g^m)^c as it is written: no further power for m."""

    def _encrypting(
        self, columns: list[int], values: list[int], c: Scalars, r: Scalars
    ) -> Elements:
        shift = self.g ** self.codec.scalars(values)
        return self.y**r * (self.beta[:, columns] / shift) ** c


def straight_group(name: str) -> Group:
    group = named_group(name)
    twin = group.with_backend("gmp")
    if isinstance(group, ModPGroup):
        twin = ModPGroup(group.name, group.p, group.q, group.g)
        twin._kernel = twin._kernel_for_secrets = StraightModP(group.p, group.q, group.g)
    else:
        assert isinstance(group, Ed25519)
        twin = Ed25519()
        twin._kernel = twin._kernel_for_secrets = StraightEd25519()
    return twin


def verify(election: Election, credentials: Credentials, bodies: list[bytes]) -> None:
    plan = make_plan(election)
    ballots = [
        _ballots.decode_ballot(body, election, credentials, str(i)) for i, body in enumerate(bodies)
    ]
    batch, failures = _ballots.read_batch(ballots, election, credentials, plan)
    found, _ = _ballots.verify_batch(batch, election, plan)
    assert not failures
    assert not found


def measure(bench: Bench, path: Path, n: int) -> None:
    with Archive(path) as archive:
        archive.read()
        first, _, third, *_ = archive.events[0].data
        data, listed = archive.body(first), archive.body(third)
        bodies = [archive.body(event.data[0]) for event in archive.kind("Ballot")]
    bodies = (bodies * (n // len(bodies) + 1))[:n]
    election = decode_election(data)
    credentials = decode_credentials(listed, election)
    with patch("evote.interop.belenios._codec.named_group", straight_group):
        plain = decode_election(data)
        plain_credentials = decode_credentials(listed, plain)
    sample = bodies[: max(1, n // 4)]

    def straightforward() -> None:
        with patch.object(_ballots, "_Verifier", Straightforward):
            verify(plain, plain_credentials, sample)

    plan = make_plan(election)
    bench.compare(
        "ballots",
        lambda: verify(election, credentials, bodies),
        n,
        baseline="straightforward",
        theirs=straightforward,
        sample=len(sample),
        file=path.name,
        choices=plan.columns,
        proofs=plan.proofs,
    )


def main() -> None:
    parser = arguments(__doc__, group=",".join(VECTORS), n=24)
    parser.add_argument("--file", type=Path)
    options = parser.parse_args()
    root = Path(os.environ.get("EVOTE_VECTORS", "vectors")) / "belenios"
    if options.file:
        with Archive(options.file) as archive:
            archive.read()
            name = decode_election(archive.body(archive.events[0].data[0])).codec.name
        measure(Bench("belenios", GROUPS[name], "gmp", options.runs), options.file, options.n)
        return
    for name in options.group.split(","):
        [path] = root.glob(VECTORS[name])
        measure(Bench("belenios", name, options.backend, options.runs), path, options.n)


if __name__ == "__main__":
    main()
