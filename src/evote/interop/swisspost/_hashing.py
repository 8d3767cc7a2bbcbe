"""Swiss Post's hashes, and what is derived from them: exponents, commitment keys, parameters, keys.

Two profiles, "1.2" and "1.5", are the rules of those releases of crypto-primitives. What lies
between them is neither, so nothing here tries one and then the other. Hashes are SHA3-256 (of
values) and SHAKE256 (of exponents); every value is hashed after a byte of its type:

    00 bytes     01 integer, minimal big-endian     02 string, UTF-8     03 list, of its hashes

The rule of 1.2 for exponents is not collision resistant: `hash_to_zq` of v can be that of (x, v).
It is here for data of that time.

Reference: Swiss Post, "Cryptographic primitives of the Swiss Post Voting System".
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias, Union

import gmpy2
from gmpy2 import mpz

from evote.commitments import CommitmentKey
from evote.errors import ParameterError, UnsupportedError, VerificationError
from evote.groups import ModPGroup
from evote.groups._primes import is_prime

__all__ = [
    "PROFILES",
    "Hashable",
    "Profile",
    "check_parameters",
    "cut_to_bit_length",
    "derive_commitment_key",
    "expand",
    "expand_to_zq",
    "file_digest",
    "find_parameters",
    "framed_strings",
    "hash_to_zq",
    "int_to_bytes",
    "recursive_hash",
]

Hashable: TypeAlias = Union[bytes, int, str, Sequence["Hashable"]]  # noqa: UP007  # it is recursive

MIN_BITS = 512  # of what an exponent is hashed to
_SEARCHED = 2**20  # candidates for q: each is the first with a chance of one in 850000
_SMALL, _LARGE = 2**10, 2**17  # bounds of the primes that candidates are divided by first


@dataclass(frozen=True, slots=True)
class Profile:
    """The rules of one release.

    Attributes:
        name: "1.2" or "1.5".
        zero: what the integer 0 is hashed as.
    """

    name: str
    zero: bytes

    @property
    def current(self) -> bool:
        """Whether these are the rules of 1.5."""
        return self.name == "1.5"


PROFILES = {"1.2": Profile("1.2", b"\0"), "1.5": Profile("1.5", b"")}


def int_to_bytes(profile: Profile, number: int) -> bytes:
    """Minimal big-endian bytes; 0 as the profile has it."""
    if number < 0:
        raise ParameterError("a negative integer is not hashed")
    return number.to_bytes((number.bit_length() + 7) // 8, "big") or profile.zero


def cut_to_bit_length(data: bytes, bits: int) -> bytes:
    """The last `bits` bits, as bytes."""
    if not 0 < bits <= 8 * len(data):
        raise ParameterError(f"{bits} bits of {len(data)} bytes")
    size = (bits + 7) // 8
    kept = bytearray(data[len(data) - size :])
    if bits % 8:
        kept[0] &= (1 << bits % 8) - 1
    return bytes(kept)


def file_digest(data: bytes) -> bytes:
    """SHA-256."""
    return hashlib.sha256(data).digest()


def recursive_hash(profile: Profile, *values: Hashable) -> bytes:
    """32 bytes of one value, or of the list of several."""
    return _hash(profile, _sha3, values[0] if len(values) == 1 else values)


def _sha3(data: bytes) -> bytes:
    return hashlib.sha3_256(data).digest()


def _hash(profile: Profile, digest: Callable[[bytes], bytes], value: Hashable) -> bytes:
    if isinstance(value, bytes):
        return digest(b"\0" + value)
    if isinstance(value, str):
        try:
            return digest(b"\2" + value.encode("utf-8"))
        except UnicodeEncodeError:
            raise ParameterError("an unpaired surrogate is not hashed") from None
    if isinstance(value, int) and not isinstance(value, bool):
        return digest(b"\1" + int_to_bytes(profile, value))
    if isinstance(value, list | tuple):
        return digest(b"\3" + b"".join([_hash(profile, digest, item) for item in value]))
    raise ParameterError(f"a {type(value).__name__} is not hashed")


def hash_to_zq(profile: Profile, q: int, *values: Hashable) -> int:
    """An exponent below q, of at least 512 bits."""
    bits = q.bit_length()
    if bits < MIN_BITS:
        raise ParameterError(f"q of {bits} bits, at least {MIN_BITS} expected")

    def hashed(length: int, value: Hashable) -> int:
        size = (length + 7) // 8

        def shake(data: bytes) -> bytes:
            return cut_to_bit_length(hashlib.shake_256(data).digest(size), length)

        return int.from_bytes(_hash(profile, shake, value), "big")

    if profile.current:
        return hashed(bits + 256, [q, "RecursiveHash", *values]) % q
    x = hashed(bits, values[0] if len(values) == 1 else values)
    while x >= q:  # at most every second time
        x = hashed(bits, [x, *values])
    return x


def derive_commitment_key(profile: Profile, group: ModPGroup, width: int) -> CommitmentKey:
    """h and g_1 .. g_width, from the group alone."""
    p, q, found = group.p, group.q, dict[int, None]()
    i = 0
    while len(found) <= width:
        seed: list[Hashable] = ["commitmentKey", i, len(found)]
        u = (
            hash_to_zq(profile, q, *seed) + 1
            if profile.current
            else hash_to_zq(profile, q, q, *seed)
        )
        w = u * u % p
        if w not in (0, 1, group.g):
            found.setdefault(w)
        i += 1
    bases = group.decode_elements(b"".join(w.to_bytes(group.element_size, "big") for w in found))
    return CommitmentKey(blinding=bases[0], bases=bases[1:])


def find_parameters(profile: Profile, seed: str, bits: int) -> tuple[int, int, int]:
    """p, q and g for a seed, |p| = bits: minutes, at 3072.

    Raises:
        UnsupportedError: other sizes than 2048 and 3072 bits, or none among very many candidates.
    """
    candidate = _candidates(profile, seed, bits)
    for i in range(16 * _SEARCHED):
        q = candidate(i)
        if _is_safe(q):
            return int(2 * q + 1), int(q), _generator(2 * q + 1)
    raise UnsupportedError(f"no parameters among {16 * _SEARCHED} candidates")


def check_parameters(profile: Profile, seed: str, p: int, q: int, g: int) -> None:
    """Check that p, q and g are what `find_parameters` finds; minutes, where it is found late.

    Raises:
        VerificationError: they are not.
        UnsupportedError: another size, or q is not among the first 2^20 candidates of 1.2, which
            have to be hashed one by one.
    """
    if p != 2 * q + 1 or not _is_safe(mpz(q)):
        raise VerificationError("p and q are not primes with p = 2 q + 1")
    if g != _generator(mpz(p)):
        raise VerificationError("g is not the first of 2 and 3 that is a square")
    candidate = _candidates(profile, seed, p.bit_length())
    place: int | None
    if profile.current:
        steps, rest = divmod(q - int(candidate(0)), 6)
        place = None if rest or not 0 <= steps < 16 * _SEARCHED else steps
    else:
        place = next((i for i in range(_SEARCHED) if candidate(i) == q), None)
        if place is None:
            raise UnsupportedError(f"q is not among the first {_SEARCHED} candidates")
    if place is None or any(_is_safe(candidate(i)) for i in range(place)):
        raise VerificationError("q is not the first that the seed leads to")


def _candidates(profile: Profile, seed: str, bits: int) -> Callable[[int], mpz]:
    if bits not in (2048, 3072):
        raise UnsupportedError(f"parameters of {bits} bits")
    data, size = seed.encode("utf-8"), bits // 8
    if profile.current:
        start = mpz.from_bytes(b"\2" + hashlib.shake_256(data).digest(size), "big") >> 3
        start += 5 - start % 6
        return lambda i: start + 6 * (i + 1)

    def candidate(i: int) -> mpz:
        hashed = hashlib.shake_128(data + int_to_bytes(profile, i)).digest(size)
        q = mpz.from_bytes(b"\1" + hashed, "big") >> 2
        return q + 1 - q % 2

    return candidate


def _generator(p: mpz) -> int:
    return 2 if gmpy2.jacobi(2, p) == 1 else 3


_PRIMORIALS = tuple(gmpy2.primorial(bound) for bound in (_SMALL, _LARGE))


def _is_safe(q: mpz) -> bool:
    """Whether q and 2 q + 1 are primes, whoever chose q."""
    p = 2 * q + 1
    if any(gmpy2.gcd(primorial % x, x) != 1 for primorial in _PRIMORIALS for x in (q, p)):
        return False
    if not (gmpy2.is_prime(q, 1) and gmpy2.is_prime(p, 1)):
        return False  # nearly all end here
    return is_prime(int(q)) and is_prime(int(p))


# -- keys ------------------------------------------------------------------------------------------


def framed_strings(strings: Sequence[str]) -> bytes:
    """Each string after its length in one byte."""
    parts = [text.encode("utf-8") for text in strings]
    if any(len(part) > 255 for part in parts):
        raise ParameterError("a string of more than 255 bytes")
    return b"".join([bytes([len(part)]) + part for part in parts])


def expand(key: bytes, strings: Sequence[str], length: int, *, hash_name: str) -> bytes:
    """HKDF-Expand (RFC 5869), whose info are framed strings."""
    size = hashlib.new(hash_name).digest_size
    if not 0 < length <= 255 * size:
        raise ParameterError(f"{length} bytes of a hash of {size}")
    if len(key) < size:
        raise ParameterError(f"a key of {len(key)} bytes for a hash of {size}")
    info, block, output = framed_strings(strings), b"", b""
    for i in range(-(-length // size)):
        block = hmac.digest(key, block + info + bytes([i + 1]), hash_name)
        output += block
    return output[:length]


def expand_to_zq(key: bytes, strings: Sequence[str], q: int) -> int:
    """An exponent below q from a key, with SHA3-256."""
    bits = q.bit_length()
    while True:
        key = expand(key, strings, (bits + 7) // 8, hash_name="sha3_256")
        number = int.from_bytes(cut_to_bit_length(key, bits), "big")
        if number < q:
            return number
