"""What one trustee does in the key ceremony, and how anybody judges a complaint about it.

Dealing gives the commit and reveal files, receiving opens and checks the shares, complaining and
confirming answer them. The protocol is described in `threshold`, which is the public path to
everything here. Polynomials, shares, the ceremony secret and the ephemeral exponents that seal
shares are long-term secrets: constant-time powers, no tables.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from evote._ceremony_messages import (
    CeremonyParameters,
    Commit,
    Complaint,
    Confirm,
    Reveal,
    ceremony_digest,
    ceremony_file_name,
    commits_digest,
    decode_commit,
    decode_complaint,
    decode_reveal,
    sign_file,
)
from evote.encoding import digest, frame, uint32, xof
from evote.errors import DecodingError, InvalidProof, ParameterError, VerificationError
from evote.groups import Elements, Rng, Scalars, Secrecy, stack
from evote.operators import OperatorKey
from evote.proofs import (
    EqualLogsStatement,
    EqualLogsWitness,
    SchnorrStatement,
    SchnorrWitness,
    prove_equal_logs,
    prove_schnorr,
    verify_equal_logs,
)
from evote.transcript import Transcript

__all__ = [
    "Judgement",
    "ReceivedShares",
    "draw_polynomial",
    "judge",
    "make_commit",
    "make_complaint",
    "make_confirm",
    "make_reveal",
    "receive_shares",
    "verify_reveal_fits",
]

_AEAD_NONCE = bytes(12)  # each sealing key is derived from a fresh ephemeral, and used once


# -- dealing -------------------------------------------------------------------------------------


def draw_polynomial(parameters: CeremonyParameters, *, rng: Rng | None = None) -> Scalars:
    """The secret coefficients a_i, shape (k,), none of them zero."""
    group = parameters.group
    while True:
        secrets = group.random_scalars((parameters.quorum,), secrecy=Secrecy.LONG_TERM, rng=rng)
        # Zero has probability 1/q; a commitment to it would be refused as an identity.
        if not (group.generator**secrets).is_identity().any():
            return secrets


def make_commit(parameters: CeremonyParameters, key: OperatorKey, polynomial: Scalars) -> bytes:
    """Round 1: the commit file. The same polynomial gives the same bytes."""
    index = parameters.index_of(key.card)
    commitment = coefficients_digest(parameters, index, parameters.group.generator**polynomial)
    return sign_file(parameters, "commit", Commit(index=index, commitment=commitment), key)


def make_reveal(
    parameters: CeremonyParameters,
    key: OperatorKey,
    polynomial: Scalars,
    files: Mapping[str, bytes],
    *,
    rng: Rng | None = None,
) -> bytes:
    """Round 2: the reveal file, with fresh randomness: the caller keeps it and posts it once.

    Args:
        parameters: of the ceremony.
        key: the trustee's.
        polynomial: the one committed to in round 1.
        files: the ceremony so far; all commit files must be there and in order.
        rng: source of randomness; None means the operating system.

    Raises:
        VerificationError: a trustee has not committed, a commit file is wrong, or this trustee's
            own is of another polynomial. Nothing is revealed.
    """
    index, group, n = parameters.index_of(key.card), parameters.group, len(parameters.trustees)
    commits = decode_commits(parameters, files)
    commitments = group.generator**polynomial
    if commits[index - 1].commitment != coefficients_digest(parameters, index, commitments):
        raise VerificationError(f"the commit of {parameters.name(index)} is to another polynomial")
    proof = prove_schnorr(
        SchnorrStatement(base=group.generator, publics=commitments),
        SchnorrWitness(secrets=polynomial),
        reveal_transcript(parameters, index),
        rng=rng,
    )
    ephemeral = group.random_scalars((n,), secrecy=Secrecy.LONG_TERM, rng=rng)
    ephemerals = group.generator**ephemeral
    keys = stack([parameters.ceremony_key(j) for j in range(1, n + 1)]) ** ephemeral
    points = index_powers(parameters, range(1, n + 1))
    plain = (polynomial * points).sum(axis=1)  # f_i(j) = sum_m a_im j^m
    sealed = tuple(
        _cipher(parameters, index, j, ephemerals[j - 1], keys[j - 1]).encrypt(
            _AEAD_NONCE, plain[j - 1]._secret_bytes(), _associated(parameters, index, j)
        )
        for j in range(1, n + 1)
    )
    reveal = Reveal(
        index=index,
        coefficients=commitments,
        proof=proof,
        ephemerals=ephemerals,
        sealed=sealed,
        commits=commits_digest(files, n),
    )
    return sign_file(parameters, "reveal", reveal, key)


def verify_reveal_fits(
    parameters: CeremonyParameters, index: int, reveal: bytes, files: Mapping[str, bytes]
) -> None:
    """Check that a reveal made earlier belongs to these commit files; VerificationError if not."""
    decode_commits(parameters, files)
    made_for = decode_reveal(parameters, reveal, index).commits
    if made_for != commits_digest(files, len(parameters.trustees)):
        raise VerificationError("the commit files are not those for which the reveal was made")


def decode_commits(parameters: CeremonyParameters, files: Mapping[str, bytes]) -> list[Commit]:
    """The commits of all trustees; VerificationError names those who are missing."""
    names = {i: ceremony_file_name("commit", i) for i in range(1, len(parameters.trustees) + 1)}
    if absent := [parameters.name(i) for i, name in names.items() if name not in files]:
        raise VerificationError(f"no commit yet from {', '.join(absent)}")
    return [decode_commit(parameters, files[name], i) for i, name in names.items()]


def coefficients_digest(
    parameters: CeremonyParameters, index: int, coefficients: Elements
) -> bytes:
    """What round 1 posts: a hash that fixes A_i and, by A_i's entropy, hides it."""
    return digest("ceremony-commit", parameters.base_id, uint32(index), coefficients.encode())


def reveal_transcript(parameters: CeremonyParameters, index: int) -> Transcript:
    transcript = Transcript(b"ceremony-reveal", parameters.group)
    transcript.append(b"base", parameters.base_id)
    transcript.append_integer(b"trustee", index)
    return transcript


def index_powers(parameters: CeremonyParameters, points: Sequence[int]) -> Scalars:
    """j^m for each point j and m < k; shape (points, k)."""
    return parameters.group.scalars(
        [[j**m for m in range(parameters.quorum)] for j in points]
    ).reshape((len(points), parameters.quorum))


def _cipher(
    parameters: CeremonyParameters, dealer: int, recipient: int, ephemeral: Elements, key: Elements
) -> ChaCha20Poly1305:
    """Hashed ElGamal: the cipher under the Diffie-Hellman value of one share."""
    parts = (uint32(dealer), uint32(recipient), ephemeral.encode(), key.encode())
    return ChaCha20Poly1305(xof("ceremony-share", parameters.base_id, *parts, length=32))


def _associated(parameters: CeremonyParameters, dealer: int, recipient: int) -> bytes:
    return frame(parameters.base_id, uint32(dealer), uint32(recipient))


# -- receiving, complaining, judging -------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivedShares:
    """What trustee j got: x_j if every dealer's share is right, and the dealers whose is not."""

    index: int
    secret: Scalars | None = field(repr=False)
    faults: Mapping[int, str]


def receive_shares(
    parameters: CeremonyParameters, key: OperatorKey, files: Mapping[str, bytes]
) -> ReceivedShares:
    """Open and check the share of every dealer.

    All reveals must be there and pass `examine_ceremony`; the secret is recomputed from the files
    and the ceremony key alone, so that a backup made before the ceremony suffices.
    """
    index = parameters.index_of(key.card)
    secret = _ceremony_secret(key)
    reveals = _reveals(parameters, files)
    ephemerals = stack([reveal.ephemerals[index - 1] for reveal in reveals])
    keys = ephemerals**secret
    shares: list[Scalars] = []
    faults: dict[int, str] = {}
    for i, reveal in enumerate(reveals):
        share = _open_share(parameters, reveal, index, keys[i])
        if isinstance(share, str):
            faults[reveal.index] = share
        else:
            shares.append(share)
    if faults:
        return ReceivedShares(index=index, secret=None, faults=faults)
    return ReceivedShares(index=index, secret=stack(shares).sum(), faults={})


def _open_share(
    parameters: CeremonyParameters, reveal: Reveal, recipient: int, key: Elements
) -> Scalars | str:
    """f_i(j), or what is wrong with it. Recipient and judge come through here alike."""
    group = parameters.group
    cipher = _cipher(parameters, reveal.index, recipient, reveal.ephemerals[recipient - 1], key)
    try:
        plain = cipher.decrypt(
            _AEAD_NONCE,
            reveal.sealed[recipient - 1],
            _associated(parameters, reveal.index, recipient),
        )
    except InvalidTag:
        return "the share does not decrypt"
    try:
        share = group.decode_secret_scalars(plain, ())
    except DecodingError:
        return "the share is no canonical scalar"
    expected = group.multiexp(reveal.coefficients, index_powers(parameters, [recipient])[0])
    if group.generator**share != expected:
        return "the share does not fit the commitments"
    return share


def make_complaint(
    parameters: CeremonyParameters,
    key: OperatorKey,
    dealer: int,
    files: Mapping[str, bytes],
    *,
    rng: Rng | None = None,
) -> bytes:
    """Accuse a dealer: publish the Diffie-Hellman value of its share, with a proof.

    The file shows this one share to everybody. Complain only after `receive_shares` named it.
    """
    accuser, secret = parameters.index_of(key.card), _ceremony_secret(key)
    reveal = _reveals(parameters, files)[dealer - 1]
    shared = reveal.ephemerals[accuser - 1] ** secret
    proof = prove_equal_logs(
        _complaint_statement(parameters, accuser, reveal, shared),
        EqualLogsWitness(secrets=secret.reshape((1,))),
        _complaint_transcript(parameters, accuser, dealer, files),
        rng=rng,
    )
    complaint = Complaint(accuser=accuser, dealer=dealer, key=shared, proof=proof)
    return sign_file(parameters, "complaint", complaint, key)


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """Who of accuser and dealer is guilty, and of what."""

    accuser: int
    dealer: int
    guilty: int
    reason: str


def judge(
    parameters: CeremonyParameters, files: Mapping[str, bytes], accuser: int, dealer: int
) -> Judgement:
    """Judge a complaint from the public files alone: everybody comes to the same judgement.

    Raises:
        DecodingError, VerificationError: the complaint is malformed or not signed by the accuser:
            nobody's word, and nobody is guilty by it.
    """
    data = _file(files, ceremony_file_name("complaint", accuser, dealer))
    complaint = decode_complaint(parameters, data, accuser, dealer)
    reveal = _reveal(parameters, files, dealer)
    guilty, reason = accuser, "the share is right and the complaint unfounded"
    try:
        verify_equal_logs(
            _complaint_statement(parameters, accuser, reveal, complaint.key),
            complaint.proof,
            _complaint_transcript(parameters, accuser, dealer, files),
        )
    except InvalidProof:
        reason = "the complaint's Diffie-Hellman value is not proven"
    else:
        share = _open_share(parameters, reveal, accuser, complaint.key)
        if isinstance(share, str):
            guilty, reason = dealer, share
    return Judgement(accuser=accuser, dealer=dealer, guilty=guilty, reason=reason)


def _complaint_statement(
    parameters: CeremonyParameters, accuser: int, reveal: Reveal, key: Elements
) -> EqualLogsStatement:
    """log_g z_j = log_e K for the ephemeral e of the share; shapes (1, 2)."""
    bases = stack([parameters.group.generator, reveal.ephemerals[accuser - 1]])
    publics = stack([parameters.ceremony_key(accuser), key])
    return EqualLogsStatement(bases=bases.reshape((1, 2)), publics=publics.reshape((1, 2)))


def _complaint_transcript(
    parameters: CeremonyParameters, accuser: int, dealer: int, files: Mapping[str, bytes]
) -> Transcript:
    transcript = Transcript(b"ceremony-complaint", parameters.group)
    transcript.append(b"base", parameters.base_id)
    transcript.append_integer(b"accuser", accuser)
    transcript.append_integer(b"dealer", dealer)
    transcript.append(b"reveal", _file(files, ceremony_file_name("reveal", dealer)))
    return transcript


def make_confirm(
    parameters: CeremonyParameters, key: OperatorKey, files: Mapping[str, bytes]
) -> bytes:
    """Confirm both rounds. The caller has examined them and received its shares."""
    index, n = parameters.index_of(key.card), len(parameters.trustees)
    coefficients = stack([reveal.coefficients for reveal in _reveals(parameters, files)])
    confirm = Confirm(
        index=index, ceremony=ceremony_digest(files, n), key=coefficients[:, 0].prod()
    )
    return sign_file(parameters, "confirm", confirm, key)


def _ceremony_secret(key: OperatorKey) -> Scalars:
    if key.ceremony is None:
        raise ParameterError(f"{key.card.role} {key.card.id} has no ceremony key")
    return key.ceremony


def _file(files: Mapping[str, bytes], name: str) -> bytes:
    if name not in files:
        raise DecodingError("the file is missing", where=f"ceremony/{name}")
    return files[name]


def _reveal(parameters: CeremonyParameters, files: Mapping[str, bytes], index: int) -> Reveal:
    return decode_reveal(parameters, _file(files, ceremony_file_name("reveal", index)), index)


def _reveals(parameters: CeremonyParameters, files: Mapping[str, bytes]) -> list[Reveal]:
    return [_reveal(parameters, files, i) for i in range(1, len(parameters.trustees) + 1)]
