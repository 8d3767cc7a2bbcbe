"""protInfo.xml: the parameters on which all parties of a Verificatum session agreed.

Only direct children of <protocol> count, each at most once, their text verbatim. The file is XML
without a document type, entities, comments or attributes inside what is read, so the parser has
nothing to expand or to fetch. Numbers are canonical decimals within limits.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from xml.parsers import expat

from evote._verificatum._codec import Codec
from evote._verificatum._trees import Reader, int32, leaf, natural, node, text
from evote.errors import DecodingError, ParameterError, UnsupportedError
from evote.groups import Group, ModPGroup, WeierstrassGroup, modp_group, named_group

__all__ = [
    "HASHES",
    "MAX_PARTIES",
    "MAX_PROTINFO",
    "Protocol",
    "check_auxsid",
    "check_group",
    "decimal",
    "decode_group",
    "decode_protinfo",
    "encode_group",
    "encode_protinfo",
]

MAX_PROTINFO = 2**20  # bytes
MAX_PARTIES = 25  # Verificatum's own limit
MAX_WIDTH = 4096  # of keys and of ciphertexts
MIN_BITS = 128  # of challenges, batching, orders: below, proofs can be made by trying
_MAX_BITS = 2**16
_MAX_MODULUS = 8192  # bits: to check one that is larger takes minutes
_MAX_DEPTH = 32

HASHES = {"SHA-256": "sha256", "SHA-384": "sha384", "SHA-512": "sha512"}
_HASH_CLASS = "com.verificatum.crypto.HashfunctionHeuristic"
_PRG_CLASS = "com.verificatum.crypto.PRGHeuristic"
_MODP_CLASS = "com.verificatum.arithm.ModPGroup"
_CURVE_CLASS = "com.verificatum.arithm.ECqPGroup"

# Verificatum's names of curves, and ours.
_CURVES = {
    **{name: name for name in ("P-192", "P-224", "P-256", "P-384", "P-521")},
    **{f"prime192v{i}": f"prime192v{i}" for i in (2, 3)},
    **{f"prime239v{i}": f"prime239v{i}" for i in (1, 2, 3)},
    **{f"secp{bits}k1": f"secp{bits}k1" for bits in (192, 224, 256)},
    **{f"secp{bits}r1": f"P-{bits}" for bits in (192, 224, 256, 384, 521)},
    **{f"brainpoolp{bits}r1": f"brainpoolP{bits}r1" for bits in (192, 224, 256, 320, 384, 512)},
    "prime192v1": "P-192",
    "prime256v1": "P-256",
}

_TEXTS = ("version", "sid", "pgroup")
_DEFAULTS = {"statdist": "100", "vbitlenro": "256", "ebitlenro": "256"}
_HASH_DEFAULTS = {"prg": "SHA-256", "rohash": "SHA-256"}
_NUMBERS = ("nopart", "thres", "keywidth")
_USED = frozenset((*_TEXTS, *_DEFAULTS, *_HASH_DEFAULTS, *_NUMBERS))


@dataclass(frozen=True, slots=True, kw_only=True)
class Protocol:
    """What protInfo.xml says; `statdist` is n_r, `challenge_bits` n_v, `batching_bits` n_e.

    Attributes:
        version: of Verificatum.
        sid: the session's identifier.
        parties, threshold: k, and lambda of these decrypt.
        key_width: kappa.
        prg, rohash, pgroup: as they stand in the file; they are hashed.
        prg_hash, ro_hash: names of hash functions, as hashlib calls them.
        group: what `pgroup` says.
    """

    version: str
    sid: str
    parties: int
    threshold: int
    key_width: int
    statdist: int
    challenge_bits: int
    batching_bits: int
    prg: str
    rohash: str
    pgroup: str
    prg_hash: str
    ro_hash: str
    group: ModPGroup | WeierstrassGroup
    codec: Codec = field(repr=False, compare=False)


def decode_protinfo(data: bytes, *, where: str = "protInfo.xml") -> Protocol:
    """Read the file and check the group in it, which can take seconds.

    Raises:
        DecodingError: it is not such a file, or its parameters cannot be.
        UnsupportedError: a version, a hash or a curve that is not known here.
    """
    if len(data) > MAX_PROTINFO:
        raise DecodingError(f"{len(data)} bytes, at most {MAX_PROTINFO} expected", where=where)
    texts, parties = _Children(where).parse(data)
    for name in (*_TEXTS, *_NUMBERS):
        if name not in texts:
            raise DecodingError(f"no <{name}>", where=where)
    values = {**_DEFAULTS, **_HASH_DEFAULTS, **texts}
    limits = {
        "nopart": (1, MAX_PARTIES),
        "thres": (1, MAX_PARTIES),
        "keywidth": (1, MAX_WIDTH),
        "statdist": (0, _MAX_BITS),
        "vbitlenro": (MIN_BITS, _MAX_BITS),
        "ebitlenro": (MIN_BITS, _MAX_BITS),
    }
    numbers = {
        name: decimal(values[name], low, high, where=f"{where}: <{name}>")
        for name, (low, high) in limits.items()
    }
    if parties != numbers["nopart"]:
        raise DecodingError(f"{parties} parties, <nopart> says {numbers['nopart']}", where=where)
    if numbers["thres"] > parties:
        raise DecodingError(f"threshold {numbers['thres']} of {parties} parties", where=where)
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9]{0,1023}", values["sid"]):
        raise DecodingError("not a session identifier", where=f"{where}: <sid>")
    version = values["version"]
    if not re.fullmatch(r"[0-9]{1,4}(\.[0-9]{1,4}){2}", version):
        raise DecodingError("not a version", where=f"{where}: <version>")
    if not re.fullmatch(r"3\.[01]\.[0-9]+", version):
        raise UnsupportedError(f"{where}: Verificatum {version}; known are 3.0 and 3.1")
    place = f"{where}: <pgroup>"
    group = decode_group(values["pgroup"], where=place)
    if group.order.bit_length() < MIN_BITS:
        bits = group.order.bit_length()
        raise DecodingError(
            f"order of {bits} bits: challenges repeat, proofs mean nothing", where=place
        )
    return Protocol(
        version=version,
        sid=values["sid"],
        parties=parties,
        threshold=numbers["thres"],
        key_width=numbers["keywidth"],
        statdist=numbers["statdist"],
        challenge_bits=numbers["vbitlenro"],
        batching_bits=numbers["ebitlenro"],
        prg=values["prg"],
        rohash=values["rohash"],
        pgroup=values["pgroup"],
        prg_hash=_hash(values["prg"], prg=True, where=f"{where}: <prg>"),
        ro_hash=_hash(values["rohash"], prg=False, where=f"{where}: <rohash>"),
        group=group,
        codec=Codec(group),
    )


class _Children:
    """The texts of the used children of <protocol>, and how many <party> there are."""

    def __init__(self, where: str) -> None:
        self.where = where
        self.path: list[str] = []
        self.texts: dict[str, str] = {}
        self.parties = 0
        self.parser = expat.ParserCreate(encoding="UTF-8")
        self.parser.buffer_text = True
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._characters
        self.parser.CommentHandler = self._refuse("a comment", inside=True)
        self.parser.ProcessingInstructionHandler = self._refuse("a processing instruction")
        self.parser.StartDoctypeDeclHandler = self._refuse("a document type")
        self.parser.EntityDeclHandler = self._refuse("an entity")

    def parse(self, data: bytes) -> tuple[dict[str, str], int]:
        try:
            self.parser.Parse(data, True)
        except expat.ExpatError as error:
            raise DecodingError(f"not XML: {error}", where=self.where) from None
        return self.texts, self.parties

    def _fail(self, reason: str) -> None:
        line = self.parser.CurrentLineNumber
        raise DecodingError(f"line {line}: {reason}", where=self.where)

    def _refuse(self, what: str, *, inside: bool = False) -> Callable[..., None]:
        def handler(*_: Any) -> None:
            if not inside or self._name():
                self._fail(f"{what} is not allowed here")

        return handler

    def _name(self) -> str:
        """The used child of <protocol> that we are in, or nothing."""
        return self.path[1] if len(self.path) > 1 and self.path[1] in _USED else ""

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        if not self.path and name != "protocol":
            self._fail(f"<protocol> expected, got <{name[:40]}>")
        if self._name():
            self._fail(f"<{name[:40]}> inside <{self._name()}>")
        if len(self.path) >= _MAX_DEPTH:
            self._fail(f"more than {_MAX_DEPTH} levels")
        self.path.append(name)
        if self._name():
            if name in self.texts:
                self._fail(f"<{name}> twice")
            if attributes:
                self._fail(f"attributes of <{name}>")
            self.texts[name] = ""
        self.parties += len(self.path) == 2 and name == "party"

    def _end(self, name: str) -> None:
        self.path.pop()

    def _characters(self, data: str) -> None:
        name = self._name()
        if name:
            self.texts[name] += data


def decimal(string: str, low: int, high: int, *, where: str) -> int:
    """A canonical decimal from `low` to `high`."""
    if re.fullmatch(r"0|[1-9][0-9]{0,9}", string, re.ASCII) and low <= int(string) <= high:
        return int(string)
    shown = string if len(string) <= 20 else string[:20] + "..."
    raise DecodingError(f"a number from {low} to {high} expected, got {shown!r}", where=where)


def check_auxsid(auxsid: str, *, where: str) -> str:
    """The identifier of a session, which is part of file names."""
    if re.fullmatch(r"[0-9A-Za-z_]{1,1024}", auxsid, re.ASCII):
        return auxsid
    raise DecodingError("an auxiliary session identifier: letters, digits, _ expected", where=where)


def _marshalled(string: str, where: str) -> Reader:
    """The bytes of `description::HEX`."""
    digits = string.rpartition("::")[2]
    if not re.fullmatch(r"([0-9a-fA-F]{2})+", digits, re.ASCII):
        raise DecodingError("hexadecimal digits expected after the last ::", where=where)
    return Reader(bytes.fromhex(digits), where)


def _hash(string: str, *, prg: bool, where: str) -> str:
    """The hash function of a name, or of a marshalled object that holds the name."""
    name = string
    if string not in HASHES and re.search(r"(^|::)[0-9a-fA-F]{2,}$", string):
        reader = _marshalled(string, where)
        classes = (_PRG_CLASS, _HASH_CLASS) if prg else (_HASH_CLASS,)
        for expected in classes:
            reader.node(2)
            found = reader.text()
            if found != expected:
                raise UnsupportedError(f"{where}: class {found}; known is {expected}")
        name = reader.text()
        reader.end()
    if name not in HASHES:
        shown = name[:60]
        raise UnsupportedError(f"{where}: hash function {shown!r}; known are {', '.join(HASHES)}")
    return HASHES[name]


# -- groups ----------------------------------------------------------------------------------------


def decode_group(string: str, *, where: str = "<pgroup>") -> ModPGroup | WeierstrassGroup:
    """The group of a marshalled string; small ones too."""
    reader = _marshalled(string, where)
    reader.node(2)
    name = reader.text()
    if name == _CURVE_CLASS:
        curve = reader.text()
        reader.end()
        if curve not in _CURVES:
            raise UnsupportedError(f"{where}: curve {curve!r}; known are {', '.join(_CURVES)}")
        group = named_group(_CURVES[curve])
        assert isinstance(group, WeierstrassGroup)
        return group
    if name != _MODP_CLASS:
        raise UnsupportedError(f"{where}: group {name!r}; known are ModPGroup and ECqPGroup")
    reader.node(4)
    p, q = reader.natural(), reader.natural()
    g = int.from_bytes(reader.leaf(p.bit_length() // 8 + 1), "big")
    encoding = int.from_bytes(reader.leaf(4), "big")
    reader.end()
    if p.bit_length() > _MAX_MODULUS:
        raise UnsupportedError(f"{where}: p of {p.bit_length()} bits; at most {_MAX_MODULUS}")
    if encoding not in (0, 1, 2) or (encoding == 1 and p != 2 * q + 1):
        raise DecodingError(f"encoding {encoding} of messages", where=where)
    try:
        return modp_group(p, q, g, allow_weak=True)
    except ParameterError as error:
        raise DecodingError(str(error), where=where) from None


def check_group(group: Group) -> str:
    """The string of `encode_group`; ParameterError for groups that Verificatum does not have."""
    if not isinstance(group, ModPGroup | WeierstrassGroup):
        raise ParameterError(f"Verificatum has no group {group.name}")
    return encode_group(group)


def encode_group(group: ModPGroup | WeierstrassGroup) -> str:
    """The string that stands for a group in <pgroup>.

    Raises:
        ParameterError: Verificatum has no name for this curve.
    """
    if isinstance(group, WeierstrassGroup):
        names = [theirs for theirs, ours in _CURVES.items() if ours == group.name]
        if not names:
            raise ParameterError(f"Verificatum has no curve {group.name}")
        name = names[0]
        tree = node(text(_CURVE_CLASS), text(name))
        return f"ECqPGroup({name})::{tree.hex()}"
    safe = group.p == 2 * group.q + 1
    width = group.p.bit_length() // 8 + 1
    body = node(
        natural(group.p),
        natural(group.q),
        leaf(group.g.to_bytes(width, "big")),
        int32(1 if safe else 0),
    )
    tree = node(text(_MODP_CLASS), body)
    bits = group.q.bit_length()
    said = f"safe-prime modulus=2*order+1. order bit-length = {bits}" if safe else "random encoding"
    return f"ModPGroup({said})::{tree.hex()}"


# -- writing ---------------------------------------------------------------------------------------

_TEMPLATE = (
    "<protocol><version>3.1.0</version><sid>{sid}</sid><name>{name}</name><descr></descr>"
    "<nopart>{parties}</nopart><statdist>{statdist}</statdist>"
    "<bullboard>com.verificatum.protocol.com.BullBoardBasicHTTPW</bullboard>"
    "<thres>{threshold}</thres><pgroup>{pgroup}</pgroup><keywidth>{key_width}</keywidth>"
    "<vbitlen>128</vbitlen><vbitlenro>{challenge_bits}</vbitlenro><ebitlen>128</ebitlen>"
    "<ebitlenro>{batching_bits}</ebitlenro><prg>{prg}</prg><rohash>{rohash}</rohash>"
    "<corr>noninteractive</corr><width>{width}</width><maxciph>0</maxciph>{party_list}</protocol>\n"
)
_PARTY = (
    "<party><name>P{number}</name><srtbyrole>anyrole</srtbyrole><descr></descr><pkey>none</pkey>"
    "<http>http://localhost:{http}</http><hint>localhost:{hint}</hint></party>"
)


def encode_protinfo(
    group: Group,
    *,
    sid: str,
    parties: int = 1,
    threshold: int = 1,
    key_width: int = 1,
    width: int = 1,
    name: str = "evote",
    statdist: int = 100,
    challenge_bits: int = 256,
    batching_bits: int = 256,
    prg: str = "SHA-256",
    rohash: str = "SHA-256",
) -> bytes:
    """protInfo.xml for a group that Verificatum has: named curves, and subgroups of Z_p^*.

    Raises:
        ParameterError: it has no such group, or the parameters do not fit each other.
    """
    pgroup = check_group(group)
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_ -]{1,255}", name):
        raise ParameterError("a name: a letter, then letters, digits, spaces, _ and - expected")
    if prg not in HASHES or rohash not in HASHES:
        raise ParameterError(f"hash functions: {', '.join(HASHES)}")
    data = _TEMPLATE.format(
        sid=sid,
        name=name,
        parties=parties,
        statdist=statdist,
        threshold=threshold,
        pgroup=pgroup,
        key_width=key_width,
        challenge_bits=challenge_bits,
        batching_bits=batching_bits,
        prg=prg,
        rohash=rohash,
        width=width,
        party_list="".join(
            _PARTY.format(number=i, http=2 * i - 1, hint=2 * i) for i in range(1, parties + 1)
        ),
    ).encode()
    try:
        protocol = decode_protinfo(data)
    except ValueError as error:
        raise ParameterError(str(error)) from None
    if protocol.sid != sid:
        raise ParameterError("sid: a letter, then letters and digits expected")
    return data
