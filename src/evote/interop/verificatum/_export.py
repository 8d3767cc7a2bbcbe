"""Write proof directories: the parameters, what a session is, and the files its parties made."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from evote._files import make_directory, write_file
from evote.elgamal import Ciphertexts
from evote.errors import ParameterError
from evote.groups import Elements, Group, ModPGroup, WeierstrassGroup
from evote.interop.verificatum._protinfo import (
    HASHES,
    Protocol,
    check_auxsid,
    decode_protinfo,
    encode_group,
)
from evote.interop.verificatum._prover import Files, widths_of
from evote.interop.verificatum._session import KINDS
from evote.interop.verificatum._trees import node

__all__ = ["encode_protinfo", "session_files", "write_session"]

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
    if not isinstance(group, ModPGroup | WeierstrassGroup):
        raise ParameterError(f"Verificatum has no group {group.name}")
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
        pgroup=encode_group(group),
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


def session_files(
    protocol: Protocol,
    auxsid: str,
    kind: str,
    key: Elements,
    inputs: Ciphertexts,
    *,
    mixers: int = 0,
) -> Files:
    """The files that say what a session is, with its key and its input.

    Args:
        kind: mixing, shuffling or decryption.
        mixers: the last party that shuffles, from the threshold to all; in a mixing the threshold.
    """
    check_auxsid(auxsid, where="auxsid")
    if kind not in KINDS:
        raise ParameterError(f"a kind of session is one of {', '.join(KINDS)}")
    widths, codec = widths_of(protocol, key, inputs), protocol.codec
    low = high = protocol.threshold
    if kind == "decryption":
        mixers = low  # nobody shuffles, and nobody reads this
    elif kind == "shuffling":
        high = protocol.parties
    if not low <= mixers <= high:
        raise ParameterError(f"{low} to {high} mixers expected, got {mixers}")
    generators = codec.group.generator.broadcast_to((widths.key,))
    pair = (codec.encode_item(half, widths.key_parts) for half in (generators, key))
    return {
        "version": protocol.version.encode(),
        "type": kind.encode(),
        "auxsid": auxsid.encode(),
        "width": str(widths.ciphertext).encode(),
        "proofs/activethreshold": str(mixers).encode(),
        "FullPublicKey.bt": node(*pair),
        "Ciphertexts.bt": codec.encode_ciphertexts(inputs, widths.ciphertext_parts),
    }


def write_session(
    directory: Path | str, protinfo: bytes, auxsid: str, files: Mapping[str, bytes]
) -> Path:
    """Write protInfo.xml and files of nizkp/<auxsid>: all at once, or what each party has made.

    With the files that say that it is a shuffling come all its lists, the last of which is moved to
    its place; or ShuffledCiphertexts.bt is among them. Writing the same again does nothing.

    Returns:
        The session's directory.

    Raises:
        ParameterError: other files of these names are there.
    """
    root = Path(directory)
    place = root / "nizkp" / check_auxsid(auxsid, where="auxsid")
    files = dict(files)
    if files.get("type") == b"shuffling" and "ShuffledCiphertexts.bt" not in files:
        lists = sorted(name for name in files if re.fullmatch(r"proofs/Ciphertexts\d+\.bt", name))
        if not lists:
            raise ParameterError("a shuffling without a shuffled list")
        files["ShuffledCiphertexts.bt"] = files.pop(lists[-1])
    make_directory(place / "proofs")
    write_file(root / "protInfo.xml", protinfo)
    for name, data in files.items():
        write_file(place / name, data)
    return place
