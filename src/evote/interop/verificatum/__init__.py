"""Verificatum's mix-net (VMN 3.0 and 3.1): verify its proofs, and write proofs that it verifies.

A directory of its has the agreed parameters, `protInfo.xml`, and a proof directory for every
session, `nizkp/<auxsid>`. `audit` verifies all of it. To write one:

    protinfo = encode_protinfo(group, sid="council", parties=3, threshold=2)
    protocol = decode_protinfo(protinfo)
    files = session_files(protocol, "ward1", "shuffling", key, inputs, mixers=2)
    files |= shuffle_files(protocol, "ward1", 1, key, inputs, outputs, witness)    # each server
    write_session(directory, protinfo, "ward1", files)

docs/verificatum.md says what is checked, and where this verifier is stricter than Verificatum's.

Reference: D. Wikström, "How to implement a stand-alone verifier for the Verificatum mix-net".
"""

from evote._verificatum._protinfo import Protocol, decode_protinfo, encode_protinfo
from evote.interop.verificatum._audit import CHECKS, OMITTED, audit, is_session, is_verificatum
from evote.interop.verificatum._export import (
    export_record,
    session_files,
    write_second_proof,
    write_session,
)
from evote.interop.verificatum._inspect import inspect
from evote.interop.verificatum._prover import (
    DecryptionRound,
    Precomputation,
    decryption_factors,
    precompute,
    shuffle_files,
)

__all__ = [
    "CHECKS",
    "OMITTED",
    "DecryptionRound",
    "Precomputation",
    "Protocol",
    "audit",
    "decode_protinfo",
    "decryption_factors",
    "encode_protinfo",
    "export_record",
    "inspect",
    "is_session",
    "is_verificatum",
    "precompute",
    "session_files",
    "shuffle_files",
    "write_second_proof",
    "write_session",
]
