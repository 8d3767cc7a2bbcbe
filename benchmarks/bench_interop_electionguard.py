"""How fast are ElectionGuard's ballots verified, against a verifier that does what the text says?

Ballots are encrypted here, written as the versions write them, and verified from the files: once by
`evote.interop.electionguard`, once by a verifier with one powmod for each exponentiation (on the
curve: double and add), x^q for each membership, and no table. Both parse, hash and compare all.

    python benchmarks/bench_interop_electionguard.py --n 40
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from _bench import Bench, arguments
from gmpy2 import invert, mpz, powmod

from evote._trees import Directory
from evote.groups import Elements, Group, ModPGroup, WeierstrassGroup
from evote.interop.electionguard._ballots2 import Ballots2
from evote.interop.electionguard._codec import Codec, hash1, hash2, tagged
from evote.interop.electionguard._manifest1 import Contest1, Manifest1, Option1
from evote.interop.electionguard._reading import Record
from evote.interop.electionguard._run import Run
from evote.interop.electionguard._setup1 import Setup1
from evote.interop.electionguard._setup2 import Contest2, Setup2
from evote.interop.electionguard._v2 import CHECKS_20
from evote.interop.electionguard._v10 import CHECKS_10, Ballots10

OPTIONS = 5
DIGEST = bytes(31) + b"\1"  # where a digest is looked at by nobody


def run_of(root: Path, checks: Any) -> Run:
    record = Record(Directory(root))
    return Run(record, checks, system="", expected=None, jobs=1, progress=lambda *_: None)


def parts(elements: Elements) -> list[bytes]:
    data, size = elements.encode(), elements.group.element_size
    return [data[i : i + size] for i in range(0, len(data), size)]


def encrypted(group: Group, key: Elements, n: int, base: Elements, limit: int) -> Any:
    """n contests of one vote: votes, nonces and ciphertexts of shape (n, options)."""
    options = OPTIONS + limit
    votes = group.scalars([[int(j == i % OPTIONS) for j in range(options)] for i in range(n)])
    r = group.random_scalars((n, options)).publish()
    return votes, r, group.generator**r, key**r * base**votes


# -- 1.0 -------------------------------------------------------------------------------------------


def setup_10(group: Group) -> Setup1:
    secret = group.random_scalars(()).publish()
    key = group.generator**secret
    options = tuple(Option1(f"o{j}", j, DIGEST, j == OPTIONS) for j in range(OPTIONS + 1))
    contest = Contest1("c", 0, "d", 1, 1, DIGEST, options)
    return Setup1(
        group=group,
        codec=Codec(group, "text"),
        manifest=Manifest1({"c": contest}, {"s": frozenset(["c"])}, DIGEST),
        manifest_hash=DIGEST,
        guardians=1,
        quorum=1,
        key=key,
        key_encoded=key.encode(),
        base_hash=DIGEST,
        by_order={},
        newer=False,
    )


def shown(data: bytes) -> str:
    return data.lstrip(b"\0").hex().upper() or "00"


def ballots_10(setup: Setup1, root: Path, n: int) -> None:
    """n ballots of a contest of five options and a placeholder, which is never used."""
    group, g, q = setup.group, setup.group.generator, setup.codec.q
    votes, r, alpha, beta = encrypted(group, setup.key, n, g, 1)
    w, fake_c, fake_v = (group.random_scalars(r.shape).publish() for _ in range(3))
    # The branch of the vote is proved, the other simulated: a = g^v A^-c, b = K^v B^-c g^(c j).
    other = group.scalars(1) - votes
    fake_a = g**fake_v * alpha**-fake_c
    fake_b = setup.key**fake_v * beta**-fake_c * g ** (fake_c * other)
    real_a, real_b = g**w, setup.key**w
    sums = (alpha.prod(1), beta.prod(1), r.sum(1))
    w_sum = group.random_scalars(n).publish()
    rows = [parts(x) for x in (alpha, beta, real_a, real_b, fake_a, fake_b)]
    contests = [parts(x) for x in (*sums[:2], g**w_sum, setup.key**w_sum)]
    numbers = [x.to_ints() for x in (votes, r, w, fake_c, fake_v)]

    def text(number: int) -> str:
        return shown(int(number).to_bytes(32, "big"))

    def h(*values: Any) -> bytes:
        return hash1(q, *values)

    seed = DIGEST
    (root / "submitted_ballots").mkdir()
    for i in range(n):
        selections, hashes = [], []
        for j in range(OPTIONS + 1):
            at = i * (OPTIONS + 1) + j
            a, b, ra, rb, fa, fb = (row[at] for row in rows)
            vote, nonce, w_j, c_j, v_j = (x[i][j] for x in numbers)
            pairs = [(fa, fb), (ra, rb)] if vote else [(ra, rb), (fa, fb)]
            c = int.from_bytes(h(setup.base_hash, a, b, *pairs[0], *pairs[1]), "big")
            mine = (c - c_j) % q
            done = (mine, (w_j + mine * nonce) % q)
            answers = [(c_j, v_j), done] if vote else [done, (c_j, v_j)]
            crypto_hash = h(f"o{j}", DIGEST, h(a, b))
            hashes.append(crypto_hash)
            proof = {"challenge": text(c)}
            for k, name in enumerate(("zero", "one")):
                proof[f"proof_{name}_pad"] = shown(pairs[k][0])
                proof[f"proof_{name}_data"] = shown(pairs[k][1])
                proof[f"proof_{name}_challenge"] = text(answers[k][0])
                proof[f"proof_{name}_response"] = text(answers[k][1])
            selections.append(
                {
                    "object_id": f"o{j}",
                    "sequence_order": j,
                    "description_hash": shown(DIGEST),
                    "ciphertext": {"pad": shown(a), "data": shown(b)},
                    "crypto_hash": shown(crypto_hash),
                    "is_placeholder_selection": j == OPTIONS,
                    "nonce": None,
                    "proof": proof,
                }
            )
        a, b, ca, cb = (row[i] for row in contests)
        c = int.from_bytes(h(setup.base_hash, a, b, ca, cb), "big")
        v = (w_sum.to_ints()[i] + c * sums[2].to_ints()[i]) % q
        of_contest = h("c", DIGEST, *hashes)
        of_ballot = h(f"b{i}", DIGEST, of_contest)
        code = h(seed, i, of_ballot)
        contest = {
            "object_id": "c",
            "sequence_order": 0,
            "description_hash": shown(DIGEST),
            "ballot_selections": selections,
            "ciphertext_accumulation": {"pad": shown(a), "data": shown(b)},
            "crypto_hash": shown(of_contest),
            "proof": {
                "pad": shown(ca),
                "data": shown(cb),
                "challenge": text(c),
                "response": text(v),
                "constant": 1,
            },
        }
        ballot = {
            "object_id": f"b{i}",
            "style_id": "s",
            "manifest_hash": shown(DIGEST),
            "code_seed": shown(seed),
            "code": shown(code),
            "timestamp": i,
            "crypto_hash": shown(of_ballot),
            "state": 1,
            "contests": [contest],
        }
        seed = code
        path = root / "submitted_ballots" / f"b{i:05d}.json"
        path.write_text(json.dumps(ballot), encoding="utf-8")


def ours_10(setup: Setup1, root: Path) -> None:
    run = run_of(root, CHECKS_10)
    Ballots10(run, setup).check()
    assert not [f for f in run.ledger.findings() if f.outcome == "failed"]


def plain_10(setup: Setup1, root: Path) -> None:
    """The equations of section 2.5, one power after the other."""
    group = setup.group
    assert isinstance(group, ModPGroup)
    p, q, g = mpz(group.p), mpz(group.q), mpz(group.g)
    key, base = mpz.from_bytes(setup.key_encoded, "big"), setup.base_hash
    size = group.element_size

    def check(holds: object) -> None:
        if not holds:
            raise SystemExit("the plain verifier refuses")

    def h(*numbers: int) -> int:
        data = [int(number).to_bytes(size, "big") for number in numbers]
        return int.from_bytes(hash1(int(q), base, *data), "big")

    for path in sorted((root / "submitted_ballots").iterdir()):
        for contest in json.loads(path.read_bytes())["contests"]:
            product = [mpz(1), mpz(1)]
            for s in contest["ballot_selections"]:
                x = {k: mpz(v, 16) for k, v in s["proof"].items()}
                a, b = (mpz(s["ciphertext"][k], 16) for k in ("pad", "data"))
                a0, b0 = x["proof_zero_pad"], x["proof_zero_data"]
                a1, b1 = x["proof_one_pad"], x["proof_one_data"]
                c0, c1 = x["proof_zero_challenge"], x["proof_one_challenge"]
                v0, v1 = x["proof_zero_response"], x["proof_one_response"]
                check(all(0 < y < p and powmod(y, q, p) == 1 for y in (a, b, a0, b0, a1, b1)))
                check(h(a, b, a0, b0, a1, b1) == x["challenge"] == (c0 + c1) % q)
                check(powmod(g, v0, p) == a0 * powmod(a, c0, p) % p)
                check(powmod(g, v1, p) == a1 * powmod(a, c1, p) % p)
                check(powmod(key, v0, p) == b0 * powmod(b, c0, p) % p)
                both = powmod(g, c1, p) * powmod(key, v1, p) % p
                check(both == b1 * powmod(b, c1, p) % p)
                product = [product[0] * a % p, product[1] * b % p]
            total = contest["ciphertext_accumulation"]
            a, b = mpz(total["pad"], 16), mpz(total["data"], 16)
            x = {k: mpz(contest["proof"][k], 16) for k in ("pad", "data", "challenge", "response")}
            c, v = x["challenge"], x["response"]
            check([a, b] == product)
            check(all(powmod(y, q, p) == 1 for y in (x["pad"], x["data"])))
            check(h(a, b, x["pad"], x["data"]) == c)
            check(powmod(g, v, p) == x["pad"] * powmod(a, c, p) % p)
            limit = contest["proof"]["constant"] * c
            both = powmod(g, limit, p) * powmod(key, v, p) % p
            check(both == x["data"] * powmod(b, c, p) % p)


# -- 2.0 and 2.1 -----------------------------------------------------------------------------------


def setup_2(group: Group) -> Setup2:
    key = group.generator ** group.random_scalars(()).publish()
    options = {f"o{j}": j for j in range(OPTIONS)}
    q = group.order
    return Setup2(
        group=group,
        codec=Codec(group, "base64"),
        newer=True,
        contests={"c": Contest2("c", 0, "d", 1, 1, options)},
        styles={"s": frozenset(["c"])},
        guardians=1,
        quorum=1,
        key=key,
        key_encoded=key.encode(),
        base_hash=DIGEST,
        chained=False,
        baux0=b"",
        scalar=lambda digest: int.from_bytes(digest, "big") % q,
    )


def encoded64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def ballots_2(setup: Setup2, root: Path, n: int) -> None:
    """n ballots of a contest of five options."""
    group, q = setup.group, setup.codec.q
    votes, r, alpha, beta = encrypted(group, setup.key, n, setup.key, 0)
    flat = votes.reshape((n * OPTIONS,)), r.reshape((n * OPTIONS,))
    of_options = range_proofs(setup, *flat, alpha.reshape(-1), beta.reshape(-1))
    of_sums = range_proofs(setup, votes.sum(1), r.sum(1), alpha.prod(1), beta.prod(1))
    a, b = parts(alpha), parts(beta)
    directory = root / "encrypted_ballots" / "device"
    directory.mkdir(parents=True)
    for i in range(n):
        at = range(i * OPTIONS, (i + 1) * OPTIONS)
        pairs = [x for k in at for x in (a[k], b[k])]
        contest_hash = hash2(DIGEST, tagged(0x23, 0), setup.key_encoded, *pairs)
        selections = [
            {
                "selection_id": f"o{j}",
                "sequence_order": j,
                "encrypted_vote": {"pad": encoded64(a[k]), "data": encoded64(b[k])},
                "proof": of_options[k],
            }
            for j, k in enumerate(at)
        ]
        contest = {
            "contest_id": "c",
            "sequence_order": 0,
            "contest_hash": encoded64(contest_hash),
            "selections": selections,
            "proof": of_sums[i],
        }
        ballot = {
            "ballot_id": f"b{i}",
            "ballot_style_id": "s",
            "encrypting_device": "device",
            "timestamp": i,
            "code_baux": "",
            "confirmation_code": encoded64(hash2(DIGEST, tagged(0x24), contest_hash)),
            "election_id": encoded64(DIGEST),
            "contests": [contest],
            "state": "CAST",
            "is_preencrypt": False,
        }
        path = directory / f"eballot-b{i}.json"
        path.write_text(json.dumps(ballot), encoding="utf-8")
    assert q == group.order


def range_proofs(
    setup: Setup2, votes: Any, r: Any, alpha: Elements, beta: Elements
) -> list[dict[str, Any]]:
    """Proofs that the votes, of shape (n,), are 0 or 1."""
    group, g, q = setup.group, setup.group.generator, setup.codec.q
    w, c_other, v_other = (group.random_scalars(r.shape).publish() for _ in range(3))
    other = group.scalars(1) - votes
    rows = [
        parts(x)
        for x in (
            alpha,
            beta,
            g**w,
            setup.key**w,
            g**v_other * alpha**c_other,
            setup.key ** (v_other - other * c_other) * beta**c_other,
        )
    ]
    proofs = []
    for i, (vote, nonce, w_i, c_i, v_i) in enumerate(
        zip(*(x.to_ints() for x in (votes, r, w, c_other, v_other)), strict=True)
    ):
        a, b, ra, rb, fa, fb = (row[i] for row in rows)
        pairs = (fa, fb, ra, rb) if vote else (ra, rb, fa, fb)
        total = setup.scalar(hash2(DIGEST, tagged(0x21), setup.key_encoded, a, b, *pairs))
        mine = (total - c_i) % q
        done = (mine, (w_i - mine * nonce) % q)
        answers = [(c_i, v_i), done] if vote else [done, (c_i, v_i)]
        listed = [
            {k: encoded64(int(x).to_bytes(32, "big")) for k, x in zip(NAMES, pair, strict=True)}
            for pair in answers
        ]
        proofs.append({"proofs": listed})
    return proofs


NAMES = ("challenge", "response")


def ours_2(setup: Setup2, root: Path) -> None:
    run = run_of(root, CHECKS_20)
    Ballots2(run, setup).check()
    assert not [f for f in run.ledger.findings() if f.outcome == "failed"]


class PlainIntegers:
    """Z_p^* by powmod."""

    def __init__(self, group: ModPGroup) -> None:
        self.p, self.q, self.g = mpz(group.p), mpz(group.q), mpz(group.g)
        self.size = group.element_size

    def decode(self, data: bytes) -> mpz:
        x = mpz.from_bytes(data, "big")
        if not (0 < x < self.p and powmod(x, self.q, self.p) == 1):
            raise SystemExit("the plain verifier refuses")
        return x

    def encode(self, x: Any) -> bytes:
        return int(x).to_bytes(self.size, "big")

    def power(self, x: Any, e: int) -> mpz:
        return powmod(x, e % self.q, self.p)

    def times(self, x: Any, y: Any) -> mpz:
        return x * y % self.p


class PlainCurve:
    """Jacobian points of y^2 = x^3 - 3 x + b, by double and add."""

    def __init__(self, group: WeierstrassGroup) -> None:
        c = group.curve
        self.p, self.b, self.q = mpz(c.p), mpz(c.b), mpz(c.q)
        self.g = (mpz(c.x), mpz(c.y), mpz(1))
        self.size = group.element_size

    def decode(self, data: bytes) -> Any:
        p, x = self.p, mpz.from_bytes(data[1:], "big")
        y = powmod(x * x * x - 3 * x + self.b, (p + 1) // 4, p)
        if data[0] not in (2, 3) or x >= p or (y * y - x * x * x + 3 * x - self.b) % p:
            raise SystemExit("the plain verifier refuses")
        return (x, y if y % 2 == data[0] - 2 else p - y, mpz(1))

    def encode(self, point: Any) -> bytes:
        x, y, z = point
        i = invert(z, self.p)
        y = y * i * i * i % self.p
        return bytes([2 + int(y % 2)]) + int(x * i * i % self.p).to_bytes(32, "big")

    def double(self, point: Any) -> Any:
        x, y, z = point
        p = self.p
        delta, gamma = z * z % p, y * y % p
        beta, m = x * gamma % p, 3 * (x - delta) * (x + delta) % p
        x3 = (m * m - 8 * beta) % p
        return x3, (m * (4 * beta - x3) - 8 * gamma * gamma) % p, 2 * y * z % p

    def times(self, a: Any, b: Any) -> Any:
        if not a[2]:
            return b
        if not b[2]:
            return a
        p = self.p
        z1, z2 = a[2] * a[2] % p, b[2] * b[2] % p
        u1, u2 = a[0] * z2 % p, b[0] * z1 % p
        s1, s2 = a[1] * b[2] * z2 % p, b[1] * a[2] * z1 % p
        h, r = (u2 - u1) % p, (s2 - s1) % p
        if not h:
            return self.double(a) if not r else (mpz(1), mpz(1), mpz(0))
        hh = h * h % p
        hhh, v = h * hh % p, u1 * hh % p
        x3 = (r * r - hhh - 2 * v) % p
        return x3, (r * (v - x3) - s1 * hhh) % p, h * a[2] * b[2] % p

    def power(self, point: Any, e: int) -> Any:
        result = (mpz(1), mpz(1), mpz(0))
        for bit in bin(int(e % self.q))[2:]:
            result = self.double(result)
            if bit == "1":
                result = self.times(result, point)
        return result


def plain_2(setup: Setup2, root: Path) -> None:
    """The range proofs of section 5.4, one power after the other."""
    group = setup.group
    plain: Any
    if isinstance(group, ModPGroup):
        plain = PlainIntegers(group)
    else:
        assert isinstance(group, WeierstrassGroup)
        plain = PlainCurve(group)
    key = plain.decode(setup.key_encoded)

    def holds(a: Any, b: Any, proof: Any) -> bool:
        data = [setup.key_encoded, plain.encode(a), plain.encode(b)]
        total = 0
        for j, pair in enumerate(proof["proofs"]):
            c, v = (int.from_bytes(base64.b64decode(pair[k]), "big") for k in NAMES)
            total += c
            data.append(plain.encode(plain.times(plain.power(plain.g, v), plain.power(a, c))))
            both = plain.times(plain.power(key, v - j * c), plain.power(b, c))
            data.append(plain.encode(both))
        digest = hmac.digest(DIGEST, b"\x21" + b"".join(data), hashlib.sha256)
        return bool(setup.scalar(digest) == total % plain.q)

    for path in sorted((root / "encrypted_ballots" / "device").iterdir()):
        for contest in json.loads(path.read_bytes())["contests"]:
            product = None
            for s in contest["selections"]:
                pair = s["encrypted_vote"]
                a, b = (plain.decode(base64.b64decode(pair[k])) for k in ("pad", "data"))
                if not holds(a, b, s["proof"]):
                    raise SystemExit("the plain verifier refuses")
                product = (
                    (a, b)
                    if product is None
                    else (plain.times(product[0], a), plain.times(product[1], b))
                )
            assert product is not None
            if not holds(*product, contest["proof"]):
                raise SystemExit("the plain verifier refuses")


Verifier = Callable[[Any, Path], None]


def main() -> None:
    """For each version: microseconds per ballot, ours and the plain verifier's."""
    names = "electionguard-1.0-4096,electionguard-2.0-4096,P-256"
    parser = arguments(__doc__, group=names, n=40, runs=3)
    parser.add_argument("--sample", type=int, default=5, help="ballots of the plain verifier")
    options = parser.parse_args()
    for name in options.group.split(","):
        bench = Bench("bench_interop_electionguard", name, options.backend, options.runs)
        first = name.startswith("electionguard-1")
        setup: Any = setup_10(bench.group) if first else setup_2(bench.group)
        write: Any = ballots_10 if first else ballots_2
        ours: Verifier = ours_10 if first else ours_2
        plain: Verifier = plain_10 if first else plain_2
        with tempfile.TemporaryDirectory() as directory:
            roots = [Path(directory) / which for which in ("ours", "plain")]
            for root, n in zip(roots, (options.n, options.sample), strict=True):
                root.mkdir()
                write(setup, root, n)
            bench.compare(
                "verify ballots of 1.0" if first else "verify ballots of 2.x",
                lambda: ours(setup, roots[0]),  # noqa: B023 - called at once
                options.n,
                baseline=plain.__name__,
                theirs=lambda: plain(setup, roots[1]),  # noqa: B023 - called at once
                sample=options.sample,
                selections=OPTIONS + first,
            )


if __name__ == "__main__":
    main()
