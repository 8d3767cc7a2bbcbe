"""Readers of Swiss Post's JSON: numbers, elements, ciphertexts, arguments and proofs.

A file is a list of cases, each an object of `description`, `context`, `input` and `output`.
Integers are "0x" and upper-case hex in 1.2, base64 of two's complement in 1.5: that tells the
profile, and every integer of a file has to be of its kind. Elements are members of the group,
exponents are below q; fields nobody knows are refused.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import TypeAlias

import gmpy2

from evote._bayer_groth import (
    BayerGrothProof,
    HadamardArgument,
    MultiExponentiationArgument,
    ProductArgument,
    SingleValueArgument,
    WideCiphertexts,
    ZeroArgument,
)
from evote.commitments import CommitmentKey
from evote.encoding import JSON, Fields
from evote.errors import DecodingError, ParameterError
from evote.groups import Elements, ModPGroup, Scalars, modp_group, stack
from evote.groups.modp import unnamed
from evote.interop.swisspost._hashing import PROFILES, Hashable, Profile
from evote.interop.swisspost._proofs import CompactProof

__all__ = ["MAX_BITS", "Reader", "decode_base64", "decode_integer", "group_of", "profile_of"]

MAX_BITS = 4096  # of p; more takes minutes to be checked
MAX_ITEMS = 2**16  # of one list
_DIGITS = 2 * MAX_BITS // 4
_HEX = re.compile(r"0x(0|[1-9A-F][0-9A-F]*)", re.ASCII)
_BASE64 = re.compile(r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?", re.ASCII)

_Texts: TypeAlias = list[str]


def decode_base64(text: str, *, where: str = "") -> bytes:
    """Canonical base64 (RFC 4648, section 4)."""
    if not _BASE64.fullmatch(text):
        raise DecodingError("base64 expected", where=where)
    data = base64.b64decode(text)
    if base64.b64encode(data).decode("ascii") != text:
        raise DecodingError("base64 with unused bits that are not zero", where=where)
    return data


def decode_integer(profile: Profile, text: str, *, where: str = "") -> int:
    """A non-negative integer as a profile writes it, of at most 2 MAX_BITS bits."""
    if len(text) > _DIGITS + 2:
        raise DecodingError(f"an integer of {len(text)} characters", where=where)
    if not profile.current:
        if not _HEX.fullmatch(text):
            raise DecodingError("0x and upper-case hex digits expected", where=where)
        return int(text[2:], 16)
    data = decode_base64(text, where=where)
    number = int.from_bytes(data, "big", signed=True)
    if not data or number < 0 or len(data) != number.bit_length() // 8 + 1:
        raise DecodingError("base64 of an integer in two's complement expected", where=where)
    return number


def profile_of(cases: JSON) -> Profile | None:
    """The profile that the first integer of a file tells; None where no rule depends on it."""
    waiting: list[JSON] = [cases]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            texts = [value.get("p"), value.get("q")]
            if value.get("type") == "integer":
                texts.append(value.get("value"))
            for text in texts:
                if type(text) is str:
                    return PROFILES["1.2" if text.startswith("0x") else "1.5"]
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value
    return None


@lru_cache(maxsize=16)
def _check_primes(p: int, q: int) -> None:
    if p.bit_length() > MAX_BITS:
        raise ParameterError(f"p of {p.bit_length()} bits, at most {MAX_BITS} expected")
    if p != 2 * q + 1:
        raise ParameterError("p is not 2 q + 1")
    modp_group(p, q, 4, allow_weak=True)


def group_of(p: int, q: int, g: int) -> ModPGroup:
    """The squares modulo p = 2 q + 1, and a generator, checked.

    Raises:
        ParameterError: says which condition fails.
    """
    _check_primes(p, q)
    if not (1 < g < p and gmpy2.jacobi(g, p) == 1):
        raise ParameterError("g is no square modulo p, or 1")
    return unnamed(p, q, g)


class Reader:
    """Reads fields of a case, in a profile and a group."""

    def __init__(self, profile: Profile, group: ModPGroup | None = None) -> None:
        self.profile = profile
        self._group = group

    @property
    def group(self) -> ModPGroup:
        if self._group is None:
            raise DecodingError("no group to read elements of")
        return self._group

    # -- numbers -----------------------------------------------------------------------------------

    def _text(self, value: JSON, where: str) -> str:
        if type(value) is not str:
            raise DecodingError("a string expected", where=where)
        return value

    def integer(self, fields: Fields, key: str) -> int:
        where = fields.path(key)
        return decode_integer(self.profile, self._text(fields.value(key), where), where=where)

    def strings(self, fields: Fields, *keys: str) -> _Texts:
        """A list of texts, under one of several names."""
        key = next((key for key in keys if key in fields), keys[0])
        items = fields.list(key, MAX_ITEMS)
        return [self._text(item, f"{fields.path(key)}[{i}]") for i, item in enumerate(items)]

    def _integers(self, value: JSON, where: str) -> list[int]:
        if type(value) is not list or len(value) > MAX_ITEMS:
            raise DecodingError(f"a list of at most {MAX_ITEMS} integers expected", where=where)
        places = [f"{where}[{i}]" for i in range(len(value))]
        return [
            decode_integer(self.profile, self._text(item, place), where=place)
            for item, place in zip(value, places, strict=True)
        ]

    def hashable(self, value: JSON, where: str) -> Hashable:
        """A value of the hash functions: {type, value}, or a list of such."""
        if type(value) is list:
            return [self.hashable(item, f"{where}[{i}]") for i, item in enumerate(value)]
        fields = Fields(value, where)
        kind, inner, place = fields.value("type"), fields.value("value"), fields.path("value")
        fields.end()
        if kind == "integer":
            return decode_integer(self.profile, self._text(inner, place), where=place)
        if kind == "bytes":
            return decode_base64(self._text(inner, place), where=place)
        if kind == "string":
            return self._text(inner, place)
        if kind != "array" or type(inner) is not list:
            fields.fail("type", "integer, bytes, string or array expected")
        return self.hashable(inner, place)

    # -- group elements and exponents --------------------------------------------------------------

    def _decode(self, numbers: Sequence[int], where: str, *, one: bool) -> Elements:
        group = self.group
        if any(number >= group.p for number in numbers):
            raise DecodingError("not below p", where=where)
        size = group.element_size
        data = b"".join([number.to_bytes(size, "big") for number in numbers])
        return group.decode_elements(data, allow_identity=one, where=where)

    def elements(self, fields: Fields, key: str, *, one: bool = True) -> Elements:
        """Shape (n,); the identity too, if `one`."""
        where = fields.path(key)
        return self._decode(self._integers(fields.value(key), where), where, one=one)

    def element(self, fields: Fields, key: str, *, one: bool = True) -> Elements:
        """Shape ()."""
        return self._decode([self.integer(fields, key)], fields.path(key), one=one)[0]

    def _scalars(self, numbers: Iterable[int], where: str) -> Scalars:
        values = list(numbers)
        if any(number >= self.group.q for number in values):
            raise DecodingError("not below q", where=where)
        return self.group.scalars(values)

    def scalars(self, fields: Fields, key: str) -> Scalars:
        """Shape (n,)."""
        where = fields.path(key)
        return self._scalars(self._integers(fields.value(key), where), where)

    def scalar(self, fields: Fields, key: str) -> Scalars:
        """Shape ()."""
        return self._scalars([self.integer(fields, key)], fields.path(key))[0]

    def ciphertext(self, value: JSON, where: str) -> WideCiphertexts:
        """{gamma, phis}: places ()."""
        fields = Fields(value, where)
        gamma, phis = self.element(fields, "gamma"), self.elements(fields, "phis")
        fields.end()
        if not phis.size:
            fields.fail("phis", "at least one expected")
        return WideCiphertexts(alpha=gamma.reshape((1,)), beta=phis)

    def ciphertexts(self, value: JSON, where: str) -> WideCiphertexts:
        """A list of ciphertexts of one width: places (N,)."""
        if type(value) is not list or not 0 < len(value) <= MAX_ITEMS:
            raise DecodingError(f"1 to {MAX_ITEMS} ciphertexts expected", where=where)
        items = [self.ciphertext(item, f"{where}[{i}]") for i, item in enumerate(value)]
        for i, item in enumerate(items):
            if item.width != items[0].width:
                raise DecodingError(
                    f"{items[0].width} phis expected, got {item.width}", where=f"{where}[{i}]"
                )
        return WideCiphertexts(
            alpha=stack([item.alpha for item in items]), beta=stack([item.beta for item in items])
        )

    def rows(self, value: JSON, where: str) -> WideCiphertexts:
        """A matrix of ciphertexts: places (m, n)."""
        if type(value) is not list or not 0 < len(value) <= MAX_ITEMS:
            raise DecodingError("rows of ciphertexts expected", where=where)
        rows = [self.ciphertexts(row, f"{where}[{i}]") for i, row in enumerate(value)]
        for i, row in enumerate(rows):
            if row.beta.shape != rows[0].beta.shape:
                raise DecodingError("rows of different sizes", where=f"{where}[{i}]")
        return WideCiphertexts(
            alpha=stack([row.alpha for row in rows]), beta=stack([row.beta for row in rows])
        )

    def commitment_key(self, fields: Fields) -> CommitmentKey:
        """{h, g}"""
        h, g = self.element(fields, "h", one=False), self.elements(fields, "g", one=False)
        fields.end()
        return CommitmentKey(blinding=h, bases=g)

    # -- arguments ---------------------------------------------------------------------------------

    def zero(self, fields: Fields) -> ZeroArgument:
        argument = ZeroArgument(
            c_a0=self.element(fields, "c_a0"),
            c_bm=self.element(fields, "c_bm"),
            c_d=self.elements(fields, "c_d"),
            a=self.scalars(fields, "a"),
            b=self.scalars(fields, "b"),
            r=self.scalar(fields, "r"),
            s=self.scalar(fields, "s"),
            t=self.scalar(fields, "t"),
        )
        fields.end()
        return argument

    def hadamard(self, fields: Fields) -> HadamardArgument:
        argument = HadamardArgument(
            c_b=self.elements(fields, "cUpperB"), zero=self.zero(fields.object("zero_argument"))
        )
        fields.end()
        return argument

    def single_value(self, fields: Fields) -> SingleValueArgument:
        argument = SingleValueArgument(
            c_d=self.element(fields, "c_d"),
            c_lower_delta=self.element(fields, "c_lower_delta"),
            c_upper_delta=self.element(fields, "c_upper_delta"),
            a=self.scalars(fields, "a_tilde"),
            b=self.scalars(fields, "b_tilde"),
            r=self.scalar(fields, "r_tilde"),
            s=self.scalar(fields, "s_tilde"),
        )
        fields.end()
        return argument

    def product(self, fields: Fields) -> ProductArgument:
        """Parts that m = 1 has no use for are read where they are there, to be refused."""
        name = "hadamard_argument"
        argument = ProductArgument(
            c_b=self.element(fields, "c_b") if "c_b" in fields else None,
            hadamard=self.hadamard(fields.object(name)) if name in fields else None,
            single_value=self.single_value(fields.object("single_vpa")),
        )
        fields.end()
        return argument

    def multi_exponentiation(self, fields: Fields) -> MultiExponentiationArgument:
        argument = MultiExponentiationArgument(
            c_a0=self.element(fields, "c_a_0"),
            c_b=self.elements(fields, "c_b"),
            e=self.ciphertexts(fields.value("e"), fields.path("e")),
            a=self.scalars(fields, "a"),
            r=self.scalar(fields, "r"),
            b=self.scalar(fields, "b").reshape((1,)),
            s=self.scalar(fields, "s"),
            tau=self.scalar(fields, "tau").reshape((1,)),
        )
        fields.end()
        return argument

    def shuffle(self, fields: Fields) -> BayerGrothProof:
        argument = BayerGrothProof(
            c_a=self.elements(fields, "ca"),
            c_b=self.elements(fields, "cb"),
            product=self.product(fields.object("product_argument")),
            multi_exponentiation=self.multi_exponentiation(fields.object("multi_exp_argument")),
        )
        fields.end()
        return argument

    def compact(self, fields: Fields) -> CompactProof:
        """{e, z}, where z is one exponent or a list."""
        e = self.integer(fields, "e")
        if e.bit_length() > 256:
            fields.fail("e", "a challenge of 256 bits expected")
        several = type(fields.value("z")) is list
        z = self.scalars(fields, "z") if several else self.scalar(fields, "z").reshape((1,))
        fields.end()
        return CompactProof(e=e, z=z)
