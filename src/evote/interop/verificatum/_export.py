"""Write proof directories: the parameters, what a session is, and the files its parties made."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from evote._audit_mixes import UnitProgress
from evote._files import make_directory, write_file
from evote._pool import Workers
from evote._report import Report
from evote._verificatum._codec import Widths
from evote._verificatum._proofs import encode_commitment, encode_responses
from evote._verificatum._protinfo import (
    Protocol,
    check_auxsid,
)
from evote._verificatum._trees import node
from evote.elgamal import Ciphertexts
from evote.errors import ParameterError, UnsupportedError, VerificationError
from evote.groups import Elements, Group, concatenate
from evote.interop.verificatum._prover import Files, shuffle_files, widths_of
from evote.interop.verificatum._session import KINDS
from evote.mixing import Cascade, MadeStep, decode_step, mix_path, session_name
from evote.record import Record
from evote.tally import file_digest
from evote.verify import audited_mixes

__all__ = ["export_record", "session_files", "write_second_proof", "write_session"]


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
    directory: Path | str,
    protinfo: bytes,
    auxsid: str,
    files: Mapping[str, bytes],
    *,
    overwrite: bool = False,
) -> Path:
    """Write protInfo.xml and files of nizkp/<auxsid>: all at once, or what each party has made.

    With the files that say that it is a shuffling, the list of its last party is moved to its place
    at the top, if it is there. Writing the same again does nothing.

    Returns:
        The session's directory.

    Raises:
        ParameterError: other files of these names are there, and are not to be written over.
    """
    root = Path(directory)
    place = root / "nizkp" / check_auxsid(auxsid, where="auxsid")
    files = dict(files)
    if files.get("type") == b"shuffling":
        last = f"proofs/Ciphertexts{int(files['proofs/activethreshold']):02d}.bt"
        if last in files:
            files["ShuffledCiphertexts.bt"] = files.pop(last)
    make_directory(place / "proofs")
    write_file(root / "protInfo.xml", protinfo)
    for name, data in files.items():
        write_file(place / name, data, overwrite=overwrite)
    return place


# -- elections of our own ------------------------------------------------------------------------


def write_second_proof(
    directory: Path, cascade: Cascade, mixed: UnitProgress, step: int, made: MadeStep
) -> None:
    """Write what a mix server adds to Verificatum's session of a unit: its list, and its proof."""
    protocol, unit = cascade.protocol(), mixed.unit
    key = _plain(cascade.manifest.group, cascade.key.element)
    files = _first_files(cascade, mixed) | shuffle_files(
        protocol, session_name(unit), step, key, mixed.current, made.outputs, made.witness
    )
    # Over what a step that was killed has left: its shuffle was never published.
    write_session(directory, cascade.protinfo(), session_name(unit), files, overwrite=True)


def export_record(
    record: Path | str, directory: Path | str, *, jobs: Workers = 1
) -> tuple[Report, list[Path]]:
    """Write the shuffles of an election as proof directories that Verificatum's verifier accepts.

    The record is audited first; every unit is a session of the type `shuffling`. Only elections of
    the profile `verificatum` have proofs under its challenges.

    Returns:
        The report of the audit, and the directories of the sessions.

    Raises:
        UnsupportedError: an election of another profile.
        VerificationError: the record does not verify, or not every server has mixed.
    """
    opened = Record(record)
    if opened.manifest.profile != "verificatum":
        raise UnsupportedError(
            f"an election of the profile {opened.manifest.profile} has no proofs for verificatum:"
            " the profile is chosen before the ceremony"
        )
    report, cascade, units = audited_mixes(record, jobs=jobs)
    report.raise_for_failure()
    mixers = len(opened.manifest.mixers)
    if cascade is None or any(mixed.steps < mixers for mixed in units) or not units:
        raise VerificationError("not every mix server has mixed every unit")
    places = []
    for mixed in units:
        files = _first_files(cascade, mixed)
        for step in range(1, mixers + 1):
            files |= _step_files(cascade, opened, mixed, step)
        name = session_name(mixed.unit)
        places.append(write_session(directory, cascade.protinfo(), name, files))
    return report, places


def _plain(group: Group, element: Elements) -> Elements:
    """The element in the group without an executor."""
    return concatenate([group.identity((0,)), element.reshape((1,))]).reshape(())


def _first_files(cascade: Cascade, mixed: UnitProgress) -> Files:
    mixers = len(cascade.manifest.mixers)
    inputs = cascade.decode(mixed.unit, mixed.inputs)
    name = session_name(mixed.unit)
    key = _plain(cascade.manifest.group, cascade.key.element)
    return session_files(cascade.protocol(), name, "shuffling", key, inputs, mixers=mixers)


def _step_files(cascade: Cascade, record: Record, mixed: UnitProgress, step: int) -> Files:
    name = mix_path(mixed.unit.number, step)
    data = record.read(name)
    if file_digest(data) != mixed.digests[step - 1]:
        raise VerificationError(f"{name} changed after it was verified")
    made = decode_step(cascade, mixed.unit, step, data, where=name)
    codec, widths = cascade.protocol().codec, Widths(1, made.outputs.shape[1])
    return {
        f"proofs/Ciphertexts{step:02d}.bt": codec.encode_ciphertexts(
            made.outputs, widths.ciphertext_parts
        ),
        f"proofs/PermutationCommitment{step:02d}.bt": codec.encode_elements(
            made.proof.permutation_commitments, ()
        ),
        f"proofs/PoSCommitment{step:02d}.bt": encode_commitment(
            codec, made.proof.commitment, widths.message_parts
        ),
        f"proofs/PoSReply{step:02d}.bt": encode_responses(
            codec, made.proof.responses, widths.message_parts
        ),
    }
