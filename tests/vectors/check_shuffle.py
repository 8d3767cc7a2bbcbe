"""Check a proof of a shuffle in plain integers, one equation after the other: a verifier to read.

Written from B. Terelius, D. Wikström, "Proofs of restricted shuffles" (AFRICACRYPT 2010), and
docs/mixnet.md; nothing of evote is used. `compute` takes the `inputs` of shuffle.json and gives
everything else in it. `verify` serves any group of `Integers`, and ristretto255.

    python tests/vectors/check_shuffle.py
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from plain import (
    NEUTRAL,
    PARAMETERS,
    SQRT_M1,
    D,
    G,
    L,
    P,
    Transcript,
    X,
    absolute,
    decode,
    encode,
    frame,
    inverse,
    multiply,
    power,
    read_scalar,
    sqrt_ratio,
    uint32,
)

# -- Groups --------------------------------------------------------------------------------------

SQRT_AD_MINUS_ONE = 25063068953384623474111414158702152701244531502492656460079210482610430750235


class Ristretto:
    """ristretto255: elements are points, and compared by their encodings."""

    name, parameters, q, g, one = "ristretto255", PARAMETERS, L, G, NEUTRAL
    element_size, scalar_size, hash_size = 32, 32, 64
    multiply, power, inverse = staticmethod(multiply), staticmethod(power), staticmethod(inverse)
    encode, decode = staticmethod(encode), staticmethod(decode)
    read_scalar = staticmethod(read_scalar)

    @staticmethod
    def from_uniform(data: bytes) -> Any:
        """RFC 9496, section 4.3.4."""
        first, second = (int.from_bytes(part, "little") % 2**255 for part in (data[:32], data[32:]))
        return multiply(_map(first), _map(second))


def _map(t: int) -> Any:
    r = SQRT_M1 * t * t % P
    v = (-1 - r * D) * (r + D) % P
    square, s = sqrt_ratio((r + 1) * (1 - D * D) % P, v)
    c = -1
    if not square:
        s, c = -absolute(s * t % P) % P, r
    n = (c * (r - 1) * (D - 1) ** 2 - v) % P
    w0, w1, w2, w3 = 2 * s * v % P, n * SQRT_AD_MINUS_ONE % P, (1 - s * s) % P, (1 + s * s) % P
    return w0 * w3 % P, w2 * w1 % P, w1 * w3 % P, w0 * w2 % P


class Integers:
    """The subgroup of order q modulo p."""

    one = 1

    def __init__(self, name: str, p: int, q: int, g: int) -> None:
        self.name, self.p, self.q, self.g = name, p, q, g
        self.element_size, self.scalar_size = (p.bit_length() + 7) // 8, (q.bit_length() + 7) // 8
        self.hash_size = self.element_size + 16
        numbers = (self.encode(p), q.to_bytes(self.scalar_size, "big"), self.encode(g))
        self.parameters = frame(name.encode(), *numbers)

    def multiply(self, a: int, b: int) -> int:
        return a * b % self.p

    def power(self, base: int, exponent: int) -> int:
        return pow(base, exponent % self.q, self.p)

    def inverse(self, x: int) -> int:
        return pow(x, -1, self.p)

    def encode(self, x: int) -> bytes:
        return x.to_bytes(self.element_size, "big")

    def decode(self, data: bytes) -> int:
        x = int.from_bytes(data, "big")
        if not 1 < x < self.p or pow(x, self.q, self.p) != 1:
            raise ValueError("no canonical element, or the identity")
        return x

    def read_scalar(self, data: bytes) -> int:
        x = int.from_bytes(data, "big")
        if x >= self.q:
            raise ValueError("no canonical scalar")
        return x

    def from_uniform(self, data: bytes) -> int:
        return pow(int.from_bytes(data, "big") % self.p, (self.p - 1) // self.q, self.p)


def product(group: Any, elements: Any, exponents: Any) -> Any:
    result = group.one
    for x, exponent in zip(elements, exponents, strict=True):
        result = group.multiply(result, group.power(x, exponent))
    return result


# -- The proof -----------------------------------------------------------------------------------


def generator(group: Any, index: int) -> Any:
    """h_index, derived from its place alone; the identity is drawn again."""
    for attempt in range(256):
        numbers = uint32(index), uint32(attempt)
        data = X(
            "hash-to-elements",
            *(group.parameters, b"evote/1/shuffle", *numbers),
            length=group.hash_size,
        )
        h = group.from_uniform(data)
        if group.encode(h) != group.encode(group.one):
            return h
    raise ValueError("no generator found")


def verify(
    group: Any,
    transcript: Any,
    shape: tuple[int, int],
    key: bytes,
    lists: list[bytes],
    proof: bytes,
) -> dict[str, Any]:
    """Raise ValueError unless all holds; give the challenges.

    `lists` are the encodings of alpha and beta of the inputs, alpha and beta of the outputs, each
    row by row; `transcript` has absorbed what the caller binds the proof to.
    """
    n, w = shape
    size, width = group.element_size, group.scalar_size
    counts = (n, n, 1, n, 1, 1, w, w)  # u, B, A', B', C', D', F' of alpha, F' of beta
    numbers = (1, n, 1, 1, n, w)  # k_A, k_B, k_C, k_D, k_E, k_F
    if len(proof) != sum(counts) * size + sum(numbers) * width:
        raise ValueError("a proof of another length")
    if [len(each) for each in lists] != [n * w * size] * 4:
        raise ValueError("lists of another length")
    pieces, start = [], 0
    for length in [count * size for count in counts] + [count * width for count in numbers]:
        pieces.append(proof[start : start + length])
        start += length

    # e, from everything that is claimed; v, from that and the commitment.
    transcript.append("proof", b"shuffle")
    transcript.array("key", (), key)
    for label, data in zip(("inputs", "inputs", "outputs", "outputs"), lists, strict=True):
        transcript.array(label, (n, w), data)
    transcript.array("permutation", (n,), pieces[0])
    drawn = transcript.squeeze("weights", 16 * n)
    e = [int.from_bytes(drawn[16 * i : 16 * i + 16], "little") for i in range(n)]
    shapes: list[tuple[int, ...]] = [(n,), (), (n,), (), (), (w,), (w,)]
    for each, data in zip(shapes, pieces[1:8], strict=True):
        transcript.array("commitments", each, data)
    v = int.from_bytes(transcript.squeeze("challenge", 16), "little")

    y = group.decode(key)
    h = [generator(group, i) for i in range(n)]
    elements = [_cut(data, size, group.decode) for data in (*lists, *pieces[:8])]
    alpha, beta, alpha_out, beta_out, u, b, [a_], b_, [c_], [d_], f_alpha, f_beta = elements
    scalars = [_cut(data, width, group.read_scalar) for data in pieces[8:]]
    [k_a], k_b, [k_c], [k_d], k_e, k_f = scalars
    g = group.g

    def check(name: str, power: Any, prime: Any, right: list[tuple[Any, int]]) -> None:
        """power^v prime = the product of the powers on the right."""
        left = group.multiply(group.power(power, v), prime)
        if group.encode(left) != group.encode(product(group, *zip(*right, strict=True))):
            raise ValueError(f"equation {name} does not hold")

    check("A", product(group, u, e), a_, [(g, k_a), *zip(h, k_e, strict=True)])
    for i in range(n):
        check(f"B[{i}]", b[i], b_[i], [(g, k_b[i]), (b[i - 1] if i else h[0], k_e[i])])
    ones = [1] * n
    quotient = group.multiply(product(group, u, ones), group.inverse(product(group, h, ones)))
    check("C", quotient, c_, [(g, k_c)])
    whole = 1
    for each_e in e:
        whole = whole * each_e % group.q
    d = group.multiply(b[-1], group.power(h[0], -whole)) if n else group.one
    check("D", d, d_, [(g, k_d)])
    for j in range(w):
        for name, base, inputs, outputs, prime in (
            ("alpha", g, alpha, alpha_out, f_alpha),
            ("beta", y, beta, beta_out, f_beta),
        ):
            right = [(base, -k_f[j]), *zip(outputs[j::w], k_e, strict=True)]
            check(f"F {name} {j}", product(group, inputs[j::w], e), prime[j], right)
    encoded = [group.encode(each).hex() for each in h]
    return {"generators": encoded, "batching_vector_uint": e, "challenge_uint": v}


def _cut(data: bytes, size: int, read: Any) -> list[Any]:
    return [read(data[i : i + size]) for i in range(0, len(data), size)]


def compute(inputs: dict[str, Any]) -> dict[str, Any]:
    transcript = Transcript(inputs["purpose_text"])
    transcript.append("place", inputs["place_text"].encode())
    shape = (inputs["n_uint"], inputs["w_uint"])
    lists = [bytes.fromhex(inputs[name]) for name in ("alpha", "beta", "alpha_out", "beta_out")]
    key, proof = bytes.fromhex(inputs["key"]), bytes.fromhex(inputs["proof"])
    return verify(Ristretto, transcript, shape, key, lists, proof)


def main() -> int:
    document = json.loads(Path(__file__).with_name("shuffle.json").read_bytes())
    computed = compute(document["inputs"])
    wrong = [key for key, value in computed.items() if document[key] != value]
    print("differs: " + ", ".join(wrong) if wrong else "shuffle.json: all values agree")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
