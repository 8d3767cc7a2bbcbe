"""Hashes, ristretto255, Ed25519 and transcripts in plain integers: what the checks beside it use.

Written from docs/record-format.md, whose headings stand here, and the documents it names; nothing
of evote. Slow, and its time depends on its secrets: not for voting.
"""

from __future__ import annotations

import base64
import hashlib
import json
from functools import lru_cache
from typing import Any

# -- Conventions ---------------------------------------------------------------------------------


def uint32(number: int) -> bytes:
    return number.to_bytes(4, "little")


def frame(*parts: bytes) -> bytes:
    return b"".join(uint32(len(part)) + part for part in parts)


def hash_input(label: str, *parts: bytes) -> bytes:
    return frame(b"evote/1/" + label.encode(), *parts)


def H(label: str, *parts: bytes) -> bytes:
    return hashlib.sha256(hash_input(label, *parts)).digest()


def X(label: str, *parts: bytes, length: int) -> bytes:
    return hashlib.shake_256(hash_input(label, *parts)).digest(length)


def canonical_json(value: Any) -> bytes:
    """RFC 8785, which for ASCII keys and integers is what json.dumps can do."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.encode()


def packed(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unpack(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


# -- Groups: ristretto255 (RFC 9496), over the points of edwards25519 ----------------------------

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P
SQRT_M1 = pow(2, (P - 1) // 4, P)

Point = tuple[int, int, int, int]  # (X, Y, Z, T) with x = X/Z, y = Y/Z, x y = T/Z
NEUTRAL: Point = (0, 1, 1, 0)


def multiply(a: Point, b: Point) -> Point:
    """The group operation, RFC 8032 section 5.1.4; it needs no special cases."""
    e, f = (a[1] - a[0]) * (b[1] - b[0]), (a[1] + a[0]) * (b[1] + b[0])
    g, h = 2 * D * a[3] * b[3], 2 * a[2] * b[2]
    e, f, g, h = f - e, h - g, h + g, f + e
    return e * f % P, g * h % P, f * g % P, e * h % P


def power(base: Point, exponent: int) -> Point:
    result = NEUTRAL
    for i, square in enumerate(_squares(base)):
        if exponent % L >> i & 1:
            result = multiply(result, square)
    return result


@lru_cache(maxsize=1000)
def _squares(point: Point) -> list[Point]:
    squares = [point]
    while len(squares) < 253:
        squares.append(multiply(squares[-1], squares[-1]))
    return squares


def inverse(point: Point) -> Point:
    return -point[0] % P, point[1], point[2], -point[3] % P


def absolute(x: int) -> int:
    """Of x and -x the even one; odd numbers are the negative ones."""
    return min(x % P, -x % P, key=lambda number: number & 1)


def sqrt_ratio(u: int, v: int) -> tuple[bool, int]:
    """RFC 9496, section 4.2: whether u/v is a square, and a root of u/v or of SQRT_M1 u/v."""
    r = u * v**3 * pow(u * v**7, (P - 5) // 8, P) % P
    check = v * r * r % P
    if check in (-u % P, -u * SQRT_M1 % P):
        r = r * SQRT_M1 % P
    return check in (u % P, -u % P), absolute(r)


INVSQRT_A_MINUS_D = sqrt_ratio(1, -1 - D)[1]


def encode(point: Point) -> bytes:
    """RFC 9496, section 4.3.2."""
    x, y, z, t = point
    u1, u2 = (z + y) * (z - y), x * y
    _, root = sqrt_ratio(1, u1 * u2 * u2)
    den1, den2 = root * u1, root * u2
    z_inv = den1 * den2 * t
    if t * z_inv % P & 1:
        x, y, den2 = y * SQRT_M1, x * SQRT_M1, den1 * INVSQRT_A_MINUS_D
    if x * z_inv % P & 1:
        y = -y
    return absolute(den2 * (z - y)).to_bytes(32, "little")


def decode(data: bytes) -> Point:
    """RFC 9496, section 4.3.1. Everything that comes from outside passes here."""
    s = int.from_bytes(data, "little")
    u1, u2 = 1 - s * s, 1 + s * s
    v = -D * u1 * u1 - u2 * u2
    square, root = sqrt_ratio(1, v * u2 * u2)
    x, y = absolute(2 * s * root * u2), u1 * root * root * u2 * v % P
    if len(data) != 32 or s >= P or s & 1 or not square or x * y % P & 1 or y == 0 or s == 0:
        raise ValueError("no canonical element, or the identity")
    return x, y, 1, x * y % P


def base_point() -> Point:
    y = 4 * pow(5, -1, P) % P
    x = sqrt_ratio(y * y - 1, D * y * y + 1)[1]
    return x, y, 1, x * y % P


G = base_point()


def scalar(number: int) -> bytes:
    return (number % L).to_bytes(32, "little")


def read_scalar(data: bytes) -> int:
    number = int.from_bytes(data, "little")
    if len(data) != 32 or number >= L:
        raise ValueError("no canonical scalar")
    return number


UNIFORM = 48
PARAMETERS = frame(
    b"ristretto255", P.to_bytes(32, "little"), L.to_bytes(32, "little"), encode(G)
)  # group parameters, the first message of every transcript


def from_uniform(data: bytes) -> int:
    return int.from_bytes(data, "little") % L


# -- Signatures: Ed25519 (RFC 8032) --------------------------------------------------------------


def _edwards(point: Point) -> bytes:
    x, y = (number * pow(point[2], -1, P) % P for number in point[:2])
    return (y | (x & 1) << 255).to_bytes(32, "little")


def ed25519(seed: bytes, message: bytes = b"") -> tuple[bytes, bytes]:
    """The public key of a seed, and its signature over a message."""
    digest = hashlib.sha512(seed).digest()
    secret = int.from_bytes(digest[:32], "little") & (2**254 - 8) | 2**254
    public = _edwards(power(G, secret))
    r = int.from_bytes(hashlib.sha512(digest[32:] + message).digest(), "little") % L
    first = _edwards(power(G, r))
    k = int.from_bytes(hashlib.sha512(first + public + message).digest(), "little") % L
    return public, first + scalar(r + k * secret)


def ed25519_holds(public: bytes, message: bytes, signature: bytes) -> bool:
    """[8] S B = [8] R + [8] k A, for canonical S, R and A."""
    first, s = signature[:32], int.from_bytes(signature[32:], "little")
    k = int.from_bytes(hashlib.sha512(first + public + message).digest(), "little") % L
    r, a = _read_edwards(first), _read_edwards(public)
    if len(signature) != 64 or s >= L or r is None or a is None:
        return False
    return _times_eight(power(G, s)) == _times_eight(multiply(r, power(a, k)))


def _read_edwards(data: bytes) -> Point | None:
    """RFC 8032, section 5.1.3."""
    number = int.from_bytes(data, "little")
    sign, y = number >> 255, number % 2**255
    square, x = sqrt_ratio(y * y - 1, D * y * y + 1)
    if y >= P or not square or (x == 0 and sign):
        return None
    x = -x % P if sign else x
    return x, y, 1, x * y % P


def _times_eight(point: Point) -> bytes:
    for _ in range(3):
        point = multiply(point, point)
    return _edwards(point)


# -- Transcripts ---------------------------------------------------------------------------------


def sponge(session_id: bytes) -> Any:
    return hashlib.shake_128(session_id + bytes(168 - 32))


def shape(*lengths: int) -> bytes:
    return b"".join(map(uint32, (len(lengths), *lengths)))


class Transcript:
    """A sponge, and a list of what it absorbed."""

    def __init__(
        self,
        purpose: str,
        flavour: str = "DSFS",
        group: str = "ristretto255",
        parameters: bytes = PARAMETERS,
    ) -> None:
        self.tag = f"evote/1/{purpose}/{flavour}/evote-sigma_Shake128_{group}"
        start = sponge(b"irtf-cfrg-fiat-shamir/session-id")
        start.update(self.tag.encode())
        self.session_id = start.digest(32)
        self.state = sponge(self.session_id)
        self.messages: list[dict[str, str]] = []
        self.squeezed: list[str] = []
        self.append("group", parameters)

    def append(self, label: str, message: bytes) -> None:
        absorbed = frame(b"append", label.encode(), message)
        self.state.update(absorbed)
        self.messages.append(
            {"label_text": label, "message": message.hex(), "absorbed": absorbed.hex()}
        )

    def squeeze(self, label: str, length: int) -> bytes:
        self.state.update(frame(b"squeeze", label.encode(), uint32(length)))
        squeezed: bytes = self.state.digest(length)
        self.squeezed.append(squeezed.hex())
        return squeezed

    def fork(self) -> Transcript:
        """A copy that goes its own way; the lists go on for all."""
        twin = Transcript.__new__(Transcript)
        twin.state, twin.messages, twin.squeezed = self.state.copy(), self.messages, self.squeezed
        return twin

    def array(self, label: str, shape_: tuple[int, ...], data: bytes) -> None:
        self.append(label, shape(*shape_) + data)

    def linear(
        self, rows: list[bytes], shapes: list[tuple[int, ...]], proof: bytes, m: int
    ) -> tuple[list[list[Point]], list[int], list[int]]:
        """Commitments, challenges and responses of proofs in one secret with m equations each.

        `rows` are the claims' own elements, `shapes` those of the arrays they are rows of. What
        claims share has been absorbed, and the name before it.
        """
        n = len(rows)
        if len(proof) != n * (m + 1) * 32:
            raise ValueError("a proof of another length")
        cut = [proof[i : i + 32] for i in range(0, len(proof), 32)]
        self.append("rows", uint32(n) + b"".join(shape(*each) for each in shapes))
        self.append("commitments", shape(n, m))
        drawn = []
        for i, row in enumerate(rows):
            twin = self.fork()
            twin.append("index", uint32(i))
            twin.append("challenge", row + b"".join(cut[i * m : (i + 1) * m]))
            drawn.append(twin.squeeze("challenge", UNIFORM))
        self.append("challenge", b"".join(drawn))
        self.array("responses", (n, 1), b"".join(cut[n * m :]))
        elements = [decode(data) for data in cut[: n * m]]
        commitments = [elements[i * m : (i + 1) * m] for i in range(n)]
        return (
            commitments,
            [from_uniform(data) for data in drawn],
            [*map(read_scalar, cut[n * m :])],
        )


# -- Roll and board: the tree of RFC 6962 ---------------------------------------------------------


def leaf_hash(entry: bytes) -> bytes:
    return hashlib.sha256(b"\x00" + entry).digest()


def merkle_root(leaves: list[bytes]) -> bytes:
    """RFC 6962, section 2.1."""
    if len(leaves) < 2:
        return leaves[0] if leaves else hashlib.sha256(b"").digest()
    k = 1 << (len(leaves) - 1).bit_length() - 1
    children = merkle_root(leaves[:k]) + merkle_root(leaves[k:])
    return hashlib.sha256(b"\x01" + children).digest()


def inclusion_proof(index: int, leaves: list[bytes]) -> list[bytes]:
    """RFC 6962, section 2.1.1."""
    if len(leaves) == 1:
        return []
    k = 1 << (len(leaves) - 1).bit_length() - 1
    if index < k:
        return [*inclusion_proof(index, leaves[:k]), merkle_root(leaves[k:])]
    return [*inclusion_proof(index - k, leaves[k:]), merkle_root(leaves[:k])]


def in_base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def from_base64(text: str) -> bytes:
    return base64.b64decode(text)
