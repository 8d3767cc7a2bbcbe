"""Receipts: what a voter keeps, and checks offline.

A tlog-proof carries an entry's index, its inclusion proof and the checkpoint; the entry itself is
never read from it. A receipt is a tlog-proof beside the entry's bytes.

Reference: C2SP tlog-proof (no version yet).
"""

from __future__ import annotations

from dataclasses import dataclass

from evote._bundles import MAX_ENTRY
from evote._entries import Entry, decode_entry
from evote._merkle import HASH_SIZE, MAX_PROOF, leaf_hash, verify_inclusion
from evote._notes import (
    LOG_KEY,
    MAX_NOTE,
    MAX_SIZE,
    Checkpoint,
    VerifierKey,
    decode_base64,
    encode_base64,
    open_checkpoint,
)
from evote._witnesses import WitnessPolicy
from evote.encoding import (
    Fields,
    canonical_json,
    check_format,
    decode_decimal,
    encode_base64url,
    parse_json,
)
from evote.errors import DecodingError, ParameterError, VerificationError

MAX_PROOF_FILE = 2 * MAX_NOTE  # bytes
MAX_RECEIPT = 2 * (MAX_ENTRY + MAX_PROOF_FILE)  # bytes
_HEADER = "c2sp.org/tlog-proof@v1"


@dataclass(frozen=True, slots=True, kw_only=True)
class TlogProof:
    """What shows that an entry one holds is at `index` in the log of the checkpoint.

    `checkpoint` is the whole signed note; `extra` is not authenticated by anything.
    """

    index: int
    hashes: tuple[bytes, ...]
    checkpoint: bytes
    extra: bytes | None = None

    def encode(self) -> bytes:
        """The bytes of a `.tlog-proof` file."""
        lines = [_HEADER]
        if self.extra is not None:
            lines.append(f"extra {encode_base64(self.extra)}")
        lines.append(f"index {self.index}")
        lines += [encode_base64(hash_) for hash_ in self.hashes]
        return "".join(line + "\n" for line in lines).encode("ascii") + b"\n" + self.checkpoint


def decode_tlog_proof(data: bytes, *, where: str = "") -> TlogProof:
    """Read a tlog-proof without judging it; its checkpoint stays as bytes."""
    if len(data) > MAX_PROOF_FILE:
        raise DecodingError(f"{len(data)} bytes, at most {MAX_PROOF_FILE} expected", where=where)
    head, found, checkpoint = data.partition(b"\n\n")
    if not found:
        raise DecodingError("a tlog-proof without an empty line", where=where)
    try:
        lines = head.decode("ascii").split("\n")
    except UnicodeDecodeError:
        raise DecodingError("a tlog-proof that is not ASCII", where=where) from None
    if lines.pop(0) != _HEADER:
        raise DecodingError(f"{_HEADER} expected in the first line", where=where)
    extra = None
    if lines and lines[0].startswith("extra "):
        extra = decode_base64(lines.pop(0).removeprefix("extra "), where=where)
    if not lines or not lines[0].startswith("index "):
        raise DecodingError("an index line expected", where=where)
    index = decode_decimal(lines.pop(0).removeprefix("index "), where=where)
    if index > MAX_SIZE or len(lines) > MAX_PROOF:
        raise DecodingError("an index of 2^63 or more, or more than 63 hashes", where=where)
    hashes = tuple(decode_base64(line, where=where) for line in lines)
    if any(len(hash_) != HASH_SIZE for hash_ in hashes):
        raise DecodingError(f"a hash that is not {HASH_SIZE} bytes", where=where)
    return TlogProof(index=index, hashes=hashes, checkpoint=checkpoint, extra=extra)


def verify_tlog_proof(
    entry: bytes,
    proof: TlogProof,
    log_key: VerifierKey,
    policy: WitnessPolicy | None = None,
) -> Checkpoint:
    """Check offline that `entry` is in the log of `log_key`, and that the policy is satisfied.

    Raises:
        DecodingError: the checkpoint is malformed.
        VerificationError: the proof shows no such thing; BrokenLog where it is the inclusion.
    """
    if log_key.kind != LOG_KEY:
        raise ParameterError("a cosigner's key is not the key of a log")
    if policy is None:
        checkpoint = open_checkpoint(proof.checkpoint, log_key, where="checkpoint")
    else:
        checkpoint, _ = policy.check(proof.checkpoint, log_key=log_key, where="checkpoint")
    leaf = leaf_hash(entry)
    verify_inclusion(leaf, proof.index, checkpoint.size, proof.hashes, checkpoint.root)
    return checkpoint


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What the voter keeps: the entry as it was submitted, and the proof that it is in the log."""

    entry: bytes
    proof: TlogProof


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiptClaim:
    """What a verified receipt shows: this entry at this index, under this head."""

    index: int
    entry: Entry
    checkpoint: Checkpoint


def encode_receipt(receipt: Receipt) -> bytes:
    """The bytes of a receipt file."""
    return canonical_json(
        {
            "format": "evote/receipt",
            "version": 1,
            "entry": encode_base64url(receipt.entry),
            "proof": receipt.proof.encode().decode("utf-8"),
        }
    )


def decode_receipt(data: bytes, *, where: str = "receipt") -> Receipt:
    """Read a receipt without judging it.

    Raises:
        DecodingError: not a receipt.
    """
    fields = Fields(parse_json(data, where=where, max_bytes=MAX_RECEIPT), f"{where}: $")
    check_format(fields, "evote/receipt", 1)
    entry = fields.packed("entry", max_size=MAX_ENTRY)
    text = fields.value("proof")
    if not isinstance(text, str):
        fields.fail("proof", "the text of a tlog-proof expected")
    fields.end()
    proof = decode_tlog_proof(text.encode("utf-8"), where=fields.path("proof"))
    return Receipt(entry=entry, proof=proof)


def verify_receipt(
    receipt: Receipt,
    log_key: VerifierKey,
    policy: WitnessPolicy | None = None,
    *,
    sent: bytes | None = None,
) -> ReceiptClaim:
    """Check a receipt offline: the entry is in the log of `log_key`, as the policy demands.

    Without a policy the log's own signature is all there is: it may show others another log.

    Args:
        sent: the entry that the client itself signed and sent in. A voter's client always gives
            it: a board could answer with the receipt of somebody else's ballot.

    Raises:
        DecodingError: the entry or the checkpoint is malformed.
        VerificationError: the receipt shows no such thing, or is of another entry than `sent`.
    """
    if sent is not None and receipt.entry != sent:
        raise VerificationError("the receipt is of another entry than the one sent in")
    checkpoint = verify_tlog_proof(receipt.entry, receipt.proof, log_key, policy)
    entry = decode_entry(receipt.entry, where=f"entry {receipt.proof.index}")
    return ReceiptClaim(index=receipt.proof.index, entry=entry, checkpoint=checkpoint)
