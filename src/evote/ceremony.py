"""The key ceremony as files: what each trustee runs, in its own directory, against a record.

    trustee_commit     posts ceremony/commit-NNN.json
    trustee_reveal     posts ceremony/reveal-NNN.json, once everybody has committed
    trustee_check      checks everything; posts ceremony/confirm-NNN.json, or says what is wrong
    trustee_complain   posts ceremony/complaint-NNN-MMM.json about the dealers check has named
    trustee_rehearse   decrypts a test value in a scratch directory
    trustee_decrypt    posts shares/NNN.json, after the record up to the tally was verified

Every step may be repeated and resumed. What a step draws is sealed into the trustee's secret.json
first and posted second, so that a crash between the two posts the same bytes when the step runs
again. A step that was done already changes nothing. A step never posts after it has seen
something wrong.

A trustee decrypts one tally in one election, and remembers which. A copy restored from a backup
does not remember: whoever restores one must know what was done with the original.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from evote._files import make_directory, read_file, write_file
from evote._pool import Workers
from evote._trustee import TrusteeNotes, TrusteeSession, ceremony_parameters, clear_leftovers
from evote.election import Manifest
from evote.encoding import (
    JSON,
    Fields,
    canonical_json,
    check_format,
    encode_base64url,
    encode_hex,
    parse_json,
    xof,
)
from evote.errors import ParameterError, VerificationError
from evote.groups import Group, Rng, Scalars, stack
from evote.operators import Passphrase, conceal
from evote.proofs import decode_shares
from evote.record import Record
from evote.tally import (
    Tally,
    decode_share,
    decode_tally,
    encode_share,
    file_digest,
    share_of_tally,
    verify_share,
)
from evote.threshold import (
    CeremonyResult,
    CeremonyStatus,
    DecryptionShares,
    audit_ceremony,
    ceremony_file_name,
    combine,
    decryption_shares,
    draw_polynomial,
    examine_ceremony,
    make_commit,
    make_complaint,
    make_confirm,
    make_reveal,
    receive_shares,
    verify_decryption_shares,
    verify_reveal_fits,
)

__all__ = [
    "Audit",
    "CheckOutcome",
    "Rehearsal",
    "VerifiedTally",
    "ceremony_parameters",
    "ceremony_status",
    "trustee_check",
    "trustee_commit",
    "trustee_complain",
    "trustee_decrypt",
    "trustee_rehearse",
    "trustee_reveal",
    "verified_tally",
]

_MAX_REHEARSAL = 64 * 2**10
_REHEARSAL = b"rehearsal"


def ceremony_status(record: str | Path) -> CeremonyStatus:
    """How far the ceremony of a record is, who is awaited, and what is wrong."""
    opened = Record(Path(record))
    return examine_ceremony(ceremony_parameters(opened), opened.ceremony_files())


# -- the two rounds ------------------------------------------------------------------------------


def trustee_commit(directory: str | Path, record: str | Path, passphrase: Passphrase) -> Path:
    """Round 1: draw a polynomial and post the commitment to it.

    Raises:
        ParameterError: not a trustee of this election; or a commitment is posted whose polynomial
            this copy of the key does not know, as after restoring an old backup.
    """
    passphrase = conceal(passphrase)
    session = TrusteeSession(directory, record, passphrase)
    if session.notes.polynomial is None:
        if posted := session.own("commit"):
            return _done(session, posted)
        session.save(replace(session.notes, polynomial=draw_polynomial(session.parameters)))
    polynomial = _polynomial(session)
    data = make_commit(session.parameters, session.key, polynomial)
    return session.post(ceremony_file_name("commit", session.index), data)


def trustee_reveal(directory: str | Path, record: str | Path, passphrase: Passphrase) -> Path:
    """Round 2: post the coefficients' commitments, their proofs, and a sealed share for each.

    Raises:
        VerificationError: somebody has not committed yet, or a commit file is wrong; or the
            commit files are not those for which this reveal was made.
        ParameterError: this trustee has not committed.
    """
    passphrase = conceal(passphrase)
    session = TrusteeSession(directory, record, passphrase)
    if session.notes.polynomial is None and (posted := session.own("reveal")):
        return _done(session, posted)
    if session.notes.reveal is None:
        data = make_reveal(session.parameters, session.key, _polynomial(session), session.files)
        session.save(replace(session.notes, reveal=data))
    else:
        data = session.notes.reveal
        verify_reveal_fits(session.parameters, session.index, data, session.files)
    return session.post(ceremony_file_name("reveal", session.index), data)


def _polynomial(session: TrusteeSession) -> Scalars:
    if session.notes.polynomial is None:
        raise ParameterError(f"{session.parameters.name(session.index)} has not committed yet")
    return session.notes.polynomial


def _done(session: TrusteeSession, posted: Path) -> Path:
    """A step that needs the polynomial no more: fine after the check, an accident before it."""
    if session.notes.share is None:
        raise ParameterError(
            f"{posted.name} was posted by another copy of this key; this one, perhaps restored"
            " from a backup, does not know its polynomial"
        )
    return posted


# -- checking ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckOutcome:
    """What a trustee's check found.

    `status` is what everybody sees; `faults` maps a dealer to what is wrong with the share it
    sent this trustee, which nobody else sees: reason to complain.
    """

    status: CeremonyStatus
    faults: Mapping[int, str]
    confirmed: Path | None

    @property
    def ok(self) -> bool:
        """Whether the trustee has confirmed."""
        return self.confirmed is not None

    @property
    def lines(self) -> tuple[str, ...]:
        """What is wrong or awaited, in words."""
        name = self.status.parameters.name
        lines = [problem.reason for problem in self.status.problems]
        for kind in ("commit", "reveal"):
            if absent := self.status.missing.get(kind, ()):
                lines.append(f"no {kind} yet from {', '.join(map(name, absent))}")
        lines += [f"{name(i)} sent a bad share: {why}" for i, why in self.faults.items()]
        return tuple(lines)


def trustee_check(
    directory: str | Path, record: str | Path, passphrase: Passphrase
) -> CheckOutcome:
    """Check both rounds and the shares received; keep the key share and confirm if all is right.

    The polynomial is erased with it. Nothing is posted, and nothing forgotten, otherwise.

    Raises:
        VerificationError: a file posted under this trustee's name is not its own.
    """
    passphrase = conceal(passphrase)
    session = TrusteeSession(directory, record, passphrase)
    _check_own(session)
    status = examine_ceremony(session.parameters, session.files)
    if status.tentative is None or status.problems:
        return CheckOutcome(status=status, faults={}, confirmed=None)
    received = receive_shares(session.parameters, session.key, session.files)
    if received.secret is None:
        return CheckOutcome(status=status, faults=received.faults, confirmed=None)
    if session.notes.share is None or session.notes.polynomial is not None:
        session.save(TrusteeNotes(share=received.secret, tally=session.notes.tally))
    data = make_confirm(session.parameters, session.key, session.files)
    path = session.post(ceremony_file_name("confirm", session.index), data)
    return CheckOutcome(status=status, faults={}, confirmed=path)


def _check_own(session: TrusteeSession) -> None:
    """Files under this trustee's name must be those it made: its key may have been stolen."""
    notes, i = session.notes, session.index
    expected: dict[str, bytes] = {}
    if notes.polynomial is not None:
        data = make_commit(session.parameters, session.key, notes.polynomial)
        expected[ceremony_file_name("commit", i)] = data
    if notes.reveal is not None:
        expected[ceremony_file_name("reveal", i)] = notes.reveal
    for name, data in expected.items():
        if session.files.get(name, data) != data:
            raise VerificationError(f"ceremony/{name}: not the file that this trustee has made")


def trustee_complain(
    directory: str | Path, record: str | Path, passphrase: Passphrase
) -> tuple[Path, ...]:
    """Accuse every dealer whose share to this trustee is bad. A complaint ends the ceremony.

    It shows that share to everybody, and anyone can judge it. A complaint that is posted already
    stays as it is.

    Raises:
        ParameterError: there is nothing to complain about.
        DecodingError, VerificationError: a reveal is missing or itself wrong, which everybody
            sees without a complaint.
    """
    passphrase = conceal(passphrase)
    session = TrusteeSession(directory, record, passphrase)
    status = examine_ceremony(session.parameters, session.files)
    for problem in status.problems:
        if problem.check in ("commitments", "proofs"):
            raise problem.error
    received = receive_shares(session.parameters, session.key, session.files)
    if not received.faults:
        raise ParameterError("every dealer's share is right: nothing to complain about")
    paths = []
    for dealer in received.faults:
        name = ceremony_file_name("complaint", session.index, dealer)
        if name in session.files:
            paths.append(session.record.path / "ceremony" / name)
        else:
            data = make_complaint(session.parameters, session.key, dealer, session.files)
            paths.append(session.post(name, data))
    return tuple(paths)


# -- using the key share -------------------------------------------------------------------------


def _key_share(session: TrusteeSession, result: CeremonyResult) -> Scalars:
    """x_j, as kept by the check; or from the reveals again, for a copy restored from a backup."""
    share = session.notes.share
    if share is None:
        share = receive_shares(session.parameters, session.key, session.files).secret
    key = result.verification_keys[session.index - 1]
    if share is None or session.parameters.group.generator**share != key:
        name = session.parameters.name(session.index)
        raise VerificationError(f"{name} holds no key share of this ceremony")
    return share


@dataclass(frozen=True, slots=True, kw_only=True)
class Rehearsal:
    """How far a rehearsal is: who has taken part, and whether a quorum decrypted the test."""

    shares: tuple[int, ...]
    quorum: int

    @property
    def done(self) -> bool:
        """Whether enough have taken part; their shares were then found to decrypt the test."""
        return len(self.shares) >= self.quorum


def trustee_rehearse(
    directory: str | Path, record: str | Path, scratch: str | Path, passphrase: Passphrase
) -> Rehearsal:
    """Add this trustee's share of a test decryption to `scratch`; the record stays as it is.

    The first to come draws the test, a seed from which everybody derives g^r and y^r. A trustee
    thus decrypts only what the seed's author could decrypt anyway, never somebody's ciphertext.

    Raises:
        VerificationError: the ceremony is not complete, somebody's share is wrong, or a quorum
            of right shares does not decrypt the test.
        DecodingError: a file in `scratch` is none of this rehearsal.
    """
    passphrase, scratch = conceal(passphrase), Path(scratch)
    session = TrusteeSession(directory, record, passphrase)
    group, base = session.parameters.group, session.parameters.base_id
    result = audit_ceremony(session.parameters, session.files)
    seed = _rehearsal_seed(scratch, base)
    stream = xof("rehearsal", base, seed, length=group.uniform_size)
    r = group.scalars_from_uniform(stream, (1,))
    alphas, expected = group.generator**r, result.key.element**r
    own = scratch / f"share-{session.index:03d}.json"
    if not own.exists():
        share = _key_share(session, result)
        key = result.verification_keys[session.index - 1]
        shares = decryption_shares(
            session.index, share, key, alphas, context=(base, seed), purpose=_REHEARSAL
        )
        write_file(own, _encode_rehearsal(shares, base, seed))
    found: list[DecryptionShares] = []
    for index in range(1, len(session.parameters.trustees) + 1):
        path = scratch / f"share-{index:03d}.json"
        if path.exists():
            shares = _read_rehearsal(path, group, index, base, seed)
            verify_decryption_shares(
                result.verification_keys[index - 1],
                alphas,
                shares,
                context=(base, seed),
                purpose=_REHEARSAL,
            )
            found.append(shares)
    rehearsal = Rehearsal(
        shares=tuple(shares.trustee for shares in found), quorum=session.parameters.quorum
    )
    if rehearsal.done:
        opened = combine(
            rehearsal.shares,
            stack([shares.shares for shares in found]),
            quorum=session.parameters.quorum,
            trustees=len(session.parameters.trustees),
        )
        if opened != expected:
            raise VerificationError("the rehearsal's shares do not decrypt its test")
    return rehearsal


def _rehearsal_seed(scratch: Path, base: bytes) -> bytes:
    path = scratch / "rehearsal.json"
    if not path.exists():
        make_directory(scratch)
        head: dict[str, JSON] = {"format": "evote/rehearsal", "version": 1}
        head |= {"base": encode_hex(base), "seed": encode_hex(os.urandom(32))}
        write_file(path, canonical_json(head))
    fields = _scratch_file(path, "evote/rehearsal", base)
    seed = fields.hex("seed", 32)
    fields.end()
    return seed


def _scratch_file(path: Path, form: str, base: bytes) -> Fields:
    value = parse_json(read_file(path, _MAX_REHEARSAL, where=path.name), where=path.name)
    fields = Fields(value, f"{path.name}: $")
    check_format(fields, form, 1)
    if fields.hex("base", 32) != base:
        fields.fail("base", "of another election")
    return fields


def _encode_rehearsal(shares: DecryptionShares, base: bytes, seed: bytes) -> bytes:
    return canonical_json(
        {
            "format": "evote/rehearsal-share",
            "version": 1,
            "base": encode_hex(base),
            "seed": encode_hex(seed),
            "trustee": shares.trustee,
            "share": encode_base64url(shares.shares.encode()),
            "proof": encode_base64url(shares.proofs[0].encode()),
        }
    )


def _read_rehearsal(
    path: Path, group: Group, index: int, base: bytes, seed: bytes
) -> DecryptionShares:
    fields = _scratch_file(path, "evote/rehearsal-share", base)
    if fields.hex("seed", 32) != seed:
        fields.fail("seed", "of another rehearsal")
    fields.integer("trustee", index, index)
    share = group.decode_elements(
        fields.packed("share", group.element_size), (1,), where=fields.path("share")
    )
    proof = decode_shares(group, fields.packed("proof"), where=fields.path("proof"))
    fields.end()
    return DecryptionShares(trustee=index, shares=share, proofs=(proof,))


# -- decrypting ----------------------------------------------------------------------------------


class _Report(Protocol):
    """What `verify.audit` returns, as far as it is needed here."""

    @property
    def ok(self) -> bool: ...

    def raise_for_failure(self) -> None: ...


class Audit(Protocol):
    """`verify.audit`, which stands above this module and is therefore passed in."""

    def __call__(self, path: Path, /, *, phase: str) -> _Report: ...


_WITNESS = object()


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedTally:
    """A tally whose whole record was verified up to it. Only `verified_tally` makes one."""

    path: Path
    base_id: bytes
    tally: Tally
    digest: bytes
    ceremony: CeremonyResult
    manifest: Manifest = field(repr=False)
    witness: object = field(repr=False)

    def __post_init__(self) -> None:
        if self.witness is not _WITNESS:
            raise ParameterError("a verified tally comes from verified_tally() alone")


def verified_tally(record: str | Path, audit: Audit) -> VerifiedTally:
    """Verify a record up to its tally, and give what may be decrypted.

    Args:
        record: its directory; nothing else may write to it meanwhile, and what a killed step has
            left half written among the shares is removed.
        audit: `verify.audit`, or a partial of it with the pins of this trustee.

    Raises:
        VerificationError: a required check failed or could not be done.
    """
    path = Path(record)
    clear_leftovers(path / "shares")
    before = Record(path).tally_bytes()
    report = audit(path, phase="tallied")
    report.raise_for_failure()
    if not report.ok:
        raise VerificationError("the record is not verified up to the tally")
    opened = Record(path)
    manifest, data, parameters = opened.manifest, opened.tally_bytes(), ceremony_parameters(opened)
    if data != before:
        raise VerificationError("tally.json changed while it was verified")
    return VerifiedTally(
        path=path,
        base_id=parameters.base_id,
        tally=decode_tally(manifest, data, opened.read),
        digest=file_digest(data),
        ceremony=audit_ceremony(parameters, opened.ceremony_files()),
        manifest=manifest,
        witness=_WITNESS,
    )


def trustee_decrypt(
    directory: str | Path,
    tally: VerifiedTally,
    passphrase: Passphrase,
    *,
    jobs: Workers = 1,
    rng: Rng | None = None,
) -> Path:
    """Post this trustee's decryption shares of a verified tally to shares/NNN.json.

    With `jobs` the powers are computed in so many processes of this machine: the key share never
    leaves it, whatever executor is given.

    Raises:
        VerificationError: this trustee has decrypted another tally of the same election; or a
            wrong file stands where its shares belong.
        ParameterError: the result is out, and takes no more shares.
    """
    passphrase = conceal(passphrase)
    session = TrusteeSession(directory, tally.path, passphrase)
    if session.parameters.base_id != tally.base_id:
        raise VerificationError("the record changed after it was verified")
    if session.notes.tally not in (None, tally.digest):
        raise VerificationError(
            f"{session.parameters.name(session.index)} has decrypted another tally of this"
            " election, and decrypts only one"
        )
    key = tally.ceremony.verification_keys[session.index - 1]
    path = tally.path / "shares" / f"{session.index:03d}.json"
    if path.exists():
        where = f"shares/{path.name}"
        data = session.record.share_bytes(session.index)
        posted = decode_share(tally.manifest, tally.tally, data, where=where)
        if posted.trustee != session.index:
            raise VerificationError(f"{where}: holds the shares of trustee {posted.trustee}")
        verify_share(tally.tally, tally.digest, posted, key)
        if session.notes.tally is None:  # a restored copy sees here what the original did
            session.save(replace(session.notes, tally=tally.digest))
        return path
    if session.record.survey().result is not None:
        raise ParameterError("the result is published: the record takes no more shares")
    secret = _key_share(session, tally.ceremony)
    session.save(replace(session.notes, tally=tally.digest))
    share = share_of_tally(
        tally.tally, tally.digest, session.index, secret, key, jobs=jobs, rng=rng
    )
    make_directory(path.parent)
    write_file(path, encode_share(share))
    return path
