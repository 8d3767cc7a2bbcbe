"""Write proof directories: the parameters, what a session is, and the files its parties made."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from evote._files import make_directory, write_file
from evote._verificatum._protinfo import (
    Protocol,
    check_auxsid,
)
from evote._verificatum._trees import node
from evote.elgamal import Ciphertexts
from evote.errors import ParameterError
from evote.groups import Elements
from evote.interop.verificatum._prover import Files, widths_of
from evote.interop.verificatum._session import KINDS

__all__ = ["session_files", "write_session"]


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
    """Write protInfo.xml and nizkp/<auxsid>, where the last list of a shuffling stands at the top.

    Writing the same again does nothing.

    Returns:
        The session's directory.

    Raises:
        ParameterError: other files of these names are there.
    """
    root = Path(directory)
    place = root / "nizkp" / check_auxsid(auxsid, where="auxsid")
    files = dict(files)
    if files.get("type") == b"shuffling":
        lists = sorted(name for name in files if re.fullmatch(r"proofs/Ciphertexts\d+\.bt", name))
        if not lists:
            raise ParameterError("a shuffling without a shuffled list")
        files["ShuffledCiphertexts.bt"] = files.pop(lists[-1])
    make_directory(place / "proofs")
    write_file(root / "protInfo.xml", protinfo)
    for name, data in files.items():
        write_file(place / name, data)
    return place
