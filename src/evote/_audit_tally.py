"""The end of an audit: the seal, the tally, the decryption shares and the result.

A private sibling of `verify`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from evote._audit_log import LogSummary, check_authorities, seal_parts
from evote._audit_mixes import MIX_CHECKS, UnitProgress
from evote._report import CHECKS, Ledger
from evote.board import ResultEntry
from evote.election import Manifest
from evote.errors import BrokenLog, DecodingError, EvoteError, QuorumError, VerificationError
from evote.policies import verify_seal
from evote.record import Record
from evote.tally import (
    ContestTally,
    Result,
    Summation,
    Tally,
    TallyShare,
    check_totals,
    decode_result,
    decode_share,
    decode_tally,
    file_digest,
    result_problems,
    verify_share,
)
from evote.threshold import CeremonyResult

__all__ = ["AuditedElection", "check_seal", "check_tally"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditedElection:
    """What the audit has established before the tally; None where it could not."""

    election_id: bytes | None
    ceremony: CeremonyResult | None
    sums: Summation | None
    counted: bytes | None  # the digest of the counted set
    mixes: tuple[UnitProgress, ...] | None


def check_seal(
    ledger: Ledger, manifest: Manifest, log: LogSummary, election_id: bytes | None
) -> None:
    """Check the seal: the authorities' signatures, and what it says of the counted set."""
    if log.seal is None:
        return
    index, root, seal = log.seal
    if election_id is None:
        ledger.block("ceremony or roll failed", "seal.signatures", "seal.counted")
        return
    with ledger.guard("seal.signatures"):
        parts = seal_parts(election_id, index, root, seal)
        where = log.place(index)
        count = check_authorities(manifest, seal.signatures, where, "seal", *parts)
        ledger.did("seal.signatures", count)
    if log.fates is None:
        ledger.block("the counted set is unknown", "seal.counted")
        return
    with ledger.guard("seal.counted"):
        ledger.did("seal.counted")
        try:
            verify_seal(log.fates, seal)
        except VerificationError as error:
            raise VerificationError(f"{log.place(index)}: {error}") from None


def check_tally(
    ledger: Ledger,
    record: Record,
    manifest: Manifest,
    log: LogSummary,
    election: AuditedElection,
) -> Result | None:
    """Check tally, shares and result, as far as the board has them; returns the result."""
    rest = [name for name in CHECKS if name.startswith(("shares.", "result."))]
    tally: Tally | None = None
    digest = b""
    if election.election_id is None:
        ledger.block("ceremony or roll failed", "tally.form", "tally.sums", *rest)
        return None
    with ledger.guard("tally.form", "tally.sums", *rest):
        ledger.did("tally.form")
        data = record.tally_bytes()
        digest = file_digest(data)
        assert log.tally is not None
        if digest != log.tally[1].digest:
            raise BrokenLog("tally.json is not the file on the board", entry=log.tally[0])
        tally = decode_tally(manifest, data, record.read)
        if tally.election != election.election_id:
            raise DecodingError("the tally of another election", where="tally.json: $.election")
    if tally is None:
        return None
    _check_sums(ledger, tally, election)
    _check_units(ledger, tally, election.mixes)
    assert election.ceremony is not None
    shares = _check_shares(ledger, record, manifest, log, election.ceremony, tally, digest)
    if log.result is None:
        return None
    return _check_result(ledger, record, manifest, log.result, tally, digest, shares)


def _check_sums(ledger: Ledger, tally: Tally, election: AuditedElection) -> None:
    sums = election.sums
    if sums is None or election.counted is None:
        ledger.block("the counted set is unknown", "tally.sums")
        return
    ledger.did("tally.sums", len(tally.contests))
    if tally.counted != election.counted:
        ledger.fail("tally.sums", "tally.json: $.counted: not the counted set of this log")
    with ledger.guard("tally.sums"):
        parts = sums.parts()
        expected = [(part.id, part.districts) for part in parts]
        if [(claim.id, claim.districts) for claim in tally.contests] != expected:
            raise VerificationError("tally.json: $.contests: not these contests and districts")
        _compare_sums(ledger, tally, parts)


def _compare_sums(ledger: Ledger, tally: Tally, parts: Sequence[ContestTally]) -> None:
    for i, (claim, part) in enumerate(zip(tally.contests, parts, strict=True)):
        where = f"tally.json: $.contests[{i}] ({claim.id})"
        if (claim.ballots, claim.weight) != (part.ballots, part.weight):
            expected = f"{part.ballots} ballots of weight {part.weight}"
            ledger.fail(
                "tally.sums",
                f"{where}: {expected} are counted, not {claim.ballots} of {claim.weight}",
            )
        for option in np.flatnonzero(~claim.sums.equal_mask(part.sums)):
            reason = f"ciphertext {option} is not the sum of the counted ballots"
            ledger.fail("tally.sums", f"{where}: {reason}")


def _check_units(ledger: Ledger, tally: Tally, mixes: tuple[UnitProgress, ...] | None) -> None:
    """What is decrypted must be what the verified cascades put out, all of it and nothing else."""
    if mixes is None:
        return  # mix.* say so
    if any(ledger.failed(check) for check in MIX_CHECKS):
        ledger.block("a mix server's step failed", "tally.sums")
        return
    expected = [(mix.unit, tuple(mix.digests)) for mix in mixes]
    found = [(mixed.unit, mixed.steps) for mixed in tally.units]
    for i, (unit, _) in enumerate(found):
        where = f"tally.json: $.units[{i}]"
        if i >= len(expected) or expected[i][0] != unit:
            ledger.fail("tally.sums", f"{where}: no unit of the counted ballots")
        elif expected[i] != found[i]:
            ledger.fail("tally.sums", f"{where}: not the steps that mix servers made")
    if len(found) < len(expected):
        reason = f"tally.json: {len(expected)} units are mixed, {len(found)} are tallied"
        ledger.fail("tally.sums", reason)


def _check_shares(
    ledger: Ledger,
    record: Record,
    manifest: Manifest,
    log: LogSummary,
    ceremony: CeremonyResult,
    tally: Tally,
    digest: bytes,
) -> list[TallyShare]:
    """The valid shares; what is wrong with the others, and whether a quorum is left."""
    valid: dict[int, TallyShare] = {}
    seen: set[int] = set()
    commitments: set[bytes] = set()
    for index, entry in log.shares:
        name = f"shares/{entry.trustee:03d}.json"
        share: TallyShare | None = None
        with ledger.guard("shares.form"):
            ledger.did("shares.form")
            if entry.trustee in seen:  # a file is read once, however often a log names it
                raise BrokenLog(f"trustee {entry.trustee} has shares already", entry=index)
            seen.add(entry.trustee)
            data = record.share_bytes(entry.trustee)
            if file_digest(data) != entry.digest:
                raise BrokenLog(f"{name} is not the file on the board", entry=index)
            share = decode_share(manifest, tally, data, where=name)
            if share.trustee != entry.trustee:
                raise DecodingError(f"{entry.trustee} expected", where=f"{name}: $.trustee")
        if share is None:
            ledger.block("shares.form failed", "shares.proofs")
            continue
        try:
            ledger.did("shares.proofs")
            key = ceremony.verification_keys[share.trustee - 1]
            verify_share(tally, digest, share, key)
            _check_nonces(share, commitments)
            valid[share.trustee] = share
        except EvoteError as error:
            ledger.fail("shares.proofs", f"{name}: {error}")
    _check_quorum(ledger, manifest, log, tally, valid)
    return [valid[trustee] for trustee in sorted(valid)]


def _check_nonces(share: TallyShare, seen: set[bytes]) -> None:
    """Two proofs of one nonce under different challenges give away the trustee's key share."""
    for proof in share.decryption.proofs:
        commitment = proof.commitments[0].encode()  # g^nonce
        if commitment in seen:
            raise VerificationError("a proof has the nonce of another proof")
        seen.add(commitment)


def _check_quorum(
    ledger: Ledger,
    manifest: Manifest,
    log: LogSummary,
    tally: Tally,
    valid: dict[int, TallyShare],
) -> None:
    if not tally.size:
        reason = "nothing is to be decrypted"
        ledger.absent(reason, "shares.form", "shares.proofs", "shares.quorum")
        return
    absent = [i + 1 for i in range(len(manifest.trustees)) if i + 1 not in valid]
    words = f"no valid shares of trustee {', '.join(map(str, absent))}" if absent else ""
    if len(valid) >= manifest.quorum:
        ledger.did("shares.quorum", len(valid))
        ledger.note("shares.quorum", words)
    elif log.result is not None:
        reason = f"shares: {len(valid)} of {manifest.quorum} needed; {words}"
        ledger.fail("shares.quorum", reason)
    elif "shares.quorum" in ledger.required:
        ledger.block(words, "shares.quorum")


def _check_result(
    ledger: Ledger,
    record: Record,
    manifest: Manifest,
    place: tuple[int, ResultEntry],
    tally: Tally,
    digest: bytes,
    shares: list[TallyShare],
) -> Result | None:
    index, entry = place
    result: Result | None = None
    with ledger.guard("result.form", "result.votes", "result.totals"):
        ledger.did("result.form")
        data = record.result_bytes()
        if file_digest(data) != entry.digest:
            raise BrokenLog("result.json is not the file on the board", entry=index)
        result = decode_result(manifest, data)
    if result is None:
        return None
    with ledger.guard("result.votes"):
        totals = sum(len(row.votes) for row in result.contests)
        ledger.did("result.votes", totals + len(result.mixed))
        try:
            for problem in result_problems(manifest, tally, digest, shares, result):
                ledger.fail("result.votes", f"result.json: {problem}")
        except QuorumError as error:
            ledger.fail("shares.quorum", f"result.json: $.trustees: {error}")
            ledger.block("shares.quorum failed", "result.votes")
        except VerificationError as error:
            raise VerificationError(f"result.json: {error}") from None
    with ledger.guard("result.totals"):
        ledger.did("result.totals", len(result.contests))
        try:
            check_totals(manifest, tally, result)
        except VerificationError as error:
            raise VerificationError(f"result.json: {error}") from None
    return result
