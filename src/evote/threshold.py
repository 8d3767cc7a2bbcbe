"""Threshold keys: the trustees' ceremony, and decryption by any quorum of them.

The key is made by joint Feldman sharing with a commit round (Pedersen 1991; the commit round
answers the bias of Gennaro, Jarecki, Krawczyk and Rabin 1999 in part). In letters: trustee i of n
draws a polynomial f_i of degree k-1 with coefficients a_im, and

    round 1   posts H(A_i), where A_im = g^a_im
    round 2   posts A_i with proofs of knowledge of a_i, and f_i(j) sealed for each trustee j
    check     each trustee j verifies g^f_i(j) = prod_m A_im^(j^m) for every i, then confirms;
              or it complains, and anybody can judge between the two

Joint key y = prod_i A_i0. Trustee j holds x_j = sum_i f_i(j), and everybody can compute its
verification key y_j = g^x_j. A decryption share of alpha is alpha^x_j, and k of them give
alpha^x = prod_j (alpha^x_j)^lambda_j by Lagrange interpolation at 0. The key x itself is never
put together anywhere.

Assumes: fewer than k trustees collude (for secrecy), k are there in the end (for a result). Not
promised: a dealer who sees the others' reveals can still refuse to go on, so a restart lets it
choose among a few keys; it cannot choose one it knows. Everything here is a pure function of
bytes and values: the files are `ceremony`'s business.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import lcm, prod
from typing import Literal, TypeAlias

from evote._ceremony_messages import (
    MAX_TRUSTEES,
    CeremonyParameters,
    Commit,
    FileKind,
    Reveal,
    ceremony_digest,
    ceremony_file_name,
    commits_digest,
    decode_commit,
    decode_confirm,
    decode_reveal,
    parse_file_name,
)
from evote._ceremony_steps import (
    Judgement,
    ReceivedShares,
    coefficients_digest,
    draw_polynomial,
    index_powers,
    judge,
    make_commit,
    make_complaint,
    make_confirm,
    make_reveal,
    receive_shares,
    reveal_transcript,
    verify_reveal_fits,
)
from evote.elgamal import PublicKey
from evote.encoding import frame
from evote.errors import (
    DecodingError,
    EvoteError,
    InvalidProof,
    ParameterError,
    QuorumError,
    ShapeMismatch,
    VerificationError,
)
from evote.groups import Elements, Group, Rng, Scalars, Secrecy, stack
from evote.proofs import (
    SchnorrStatement,
    SharesProof,
    SharesStatement,
    SharesWitness,
    decode_shares,
    prove_shares,
    verify_schnorr,
    verify_shares,
)
from evote.transcript import Transcript

__all__ = [
    "CHUNK",
    "MAX_TRUSTEES",
    "CeremonyParameters",
    "CeremonyProblem",
    "CeremonyResult",
    "CeremonyStatus",
    "DecryptionShares",
    "Judgement",
    "ReceivedShares",
    "audit_ceremony",
    "ceremony_digest",
    "ceremony_file_name",
    "combine",
    "decode_share_proofs",
    "decryption_shares",
    "draw_polynomial",
    "encode_share_proofs",
    "examine_ceremony",
    "judge",
    "lagrange_coefficients",
    "make_commit",
    "make_complaint",
    "make_confirm",
    "make_reveal",
    "receive_shares",
    "verify_decryption_shares",
    "verify_reveal_fits",
]

CHUNK = 4096
"""Decryption shares under one proof."""

Check: TypeAlias = Literal["commitments", "proofs", "complaints", "confirmations"]


# -- examining -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class CeremonyResult:
    """What both rounds give: the key, and for each trustee its verification key; shape (n,)."""

    key: PublicKey
    verification_keys: Elements
    digest: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class CeremonyProblem:
    """One thing wrong with the files: which check fails, whose doing it is, and where."""

    check: Check
    trustees: tuple[int, ...]
    file: str
    reason: str
    error: EvoteError


@dataclass(frozen=True, slots=True, kw_only=True)
class CeremonyStatus:
    """How far a ceremony is. `result` is there only when it is complete and flawless."""

    parameters: CeremonyParameters
    present: Mapping[FileKind, tuple[int, ...]]
    missing: Mapping[FileKind, tuple[int, ...]]
    checked: Mapping[Check, int]
    problems: tuple[CeremonyProblem, ...]
    judgements: tuple[Judgement, ...]
    tentative: CeremonyResult | None
    """The result as soon as both rounds are there and right, before all have confirmed."""

    @property
    def result(self) -> CeremonyResult | None:
        """The result of a ceremony that all trustees have confirmed, without any problem."""
        return self.tentative if not self.problems and not any(self.missing.values()) else None


class _Examination:
    """Collects problems while the files are walked through once."""

    def __init__(self, parameters: CeremonyParameters, files: Mapping[str, bytes]) -> None:
        self.parameters = parameters
        self.files = files
        self.problems: list[CeremonyProblem] = []
        self.checked: dict[Check, int] = {
            "commitments": 0,
            "proofs": 0,
            "complaints": 0,
            "confirmations": 0,
        }

    def check(
        self, check: Check, name: str, trustees: Sequence[int], action: Callable[[], None]
    ) -> None:
        self.checked[check] += 1
        try:
            action()
        except EvoteError as error:
            self.fail(check, name, trustees, error)

    def fail(self, check: Check, name: str, trustees: Sequence[int], error: EvoteError) -> None:
        self.problems.append(
            CeremonyProblem(
                check=check, trustees=tuple(trustees), file=name, reason=str(error), error=error
            )
        )


def examine_ceremony(parameters: CeremonyParameters, files: Mapping[str, bytes]) -> CeremonyStatus:
    """Check whatever is there of a ceremony; bad files become problems, never exceptions.

    Trustees run it before each step, auditors at the end. Cost: n k proofs of knowledge, n^2
    decoded ephemerals, and n k exponentiations for the verification keys.

    Args:
        parameters: group, base id, quorum and the trustees' cards.
        files: the files of ceremony/ by name.
    """
    run, indices = _Examination(parameters, files), range(1, len(parameters.trustees) + 1)
    present: dict[FileKind, list[int]] = {"commit": [], "reveal": [], "confirm": []}
    complaints: list[tuple[int, int]] = []
    for name in sorted(files):
        try:
            kind, numbers = parse_file_name(name, len(indices))
        except DecodingError as error:
            run.fail("commitments", name, (), error)
            continue
        if kind == "complaint":
            complaints.append((numbers[0], numbers[1]))
        else:
            present[kind].append(numbers[0])
    missing: dict[FileKind, tuple[int, ...]] = {
        kind: tuple(i for i in indices if i not in there) for kind, there in present.items()
    }
    commits = _examine_commits(run, present["commit"])
    reveals = _examine_reveals(run, present["reveal"], commits, missing["commit"])
    judgements = _examine_complaints(run, complaints, reveals)
    tentative = None
    if len(reveals) == len(indices) and len(commits) == len(indices) and not run.problems:
        try:
            tentative = _result(parameters, files, [reveals[i] for i in indices])
        except EvoteError as error:
            run.fail("proofs", "", (), error)
    for i in present["confirm"]:
        _examine_confirm(run, i, tentative)
    return CeremonyStatus(
        parameters=parameters,
        present={kind: tuple(there) for kind, there in present.items()},
        missing=missing,
        checked=run.checked,
        problems=tuple(run.problems),
        judgements=tuple(judgements),
        tentative=tentative,
    )


def _examine_commits(run: _Examination, indices: Sequence[int]) -> dict[int, Commit]:
    commits: dict[int, Commit] = {}
    for i in indices:
        name = ceremony_file_name("commit", i)

        def action(i: int = i, name: str = name) -> None:
            commits[i] = decode_commit(run.parameters, run.files[name], i)

        run.check("commitments", name, (i,), action)
    return commits


def _examine_reveals(
    run: _Examination, indices: Sequence[int], commits: Mapping[int, Commit], absent: Sequence[int]
) -> dict[int, Reveal]:
    parameters, reveals = run.parameters, dict[int, Reveal]()
    for i in indices:
        name = ceremony_file_name("reveal", i)

        def opening(i: int = i, name: str = name) -> None:
            if absent:
                raise VerificationError(f"ceremony/{name}: revealed before all have committed")
            reveals[i] = reveal = decode_reveal(parameters, run.files[name], i)
            found = coefficients_digest(parameters, i, reveal.coefficients)
            if i in commits and commits[i].commitment != found:
                raise VerificationError(
                    f"ceremony/{name}: the coefficients are not those {parameters.name(i)}"
                    " committed to"
                )
            if reveal.commits != commits_digest(run.files, len(parameters.trustees)):
                raise VerificationError(f"ceremony/{name}: made after other commit files")

        def knowledge(i: int = i, name: str = name) -> None:
            statement = SchnorrStatement(
                base=parameters.group.generator, publics=reveals[i].coefficients
            )
            try:
                verify_schnorr(statement, reveals[i].proof, reveal_transcript(parameters, i))
            except InvalidProof as error:
                what = f"ceremony/{name}: coefficient of {parameters.name(i)}:"
                raise InvalidProof(what, error.indices) from None

        run.check("commitments", name, (i,), opening)
        if i in reveals:
            run.check("proofs", name, (i,), knowledge)
    return reveals


def _examine_complaints(
    run: _Examination, complaints: Sequence[tuple[int, int]], reveals: Mapping[int, Reveal]
) -> list[Judgement]:
    judgements: list[Judgement] = []
    for accuser, dealer in complaints:
        name = ceremony_file_name("complaint", accuser, dealer)
        run.checked["complaints"] += 1
        try:
            judgement = judge(run.parameters, run.files, accuser, dealer)
        except EvoteError as error:
            run.fail("complaints", name, (), error)
            continue
        judgements.append(judgement)
        verdict = VerificationError(
            f"ceremony/{name}: {run.parameters.name(judgement.guilty)} is guilty:"
            f" {judgement.reason}"
        )
        run.fail("complaints", name, (judgement.guilty,), verdict)
    return judgements


def _examine_confirm(run: _Examination, index: int, tentative: CeremonyResult | None) -> None:
    name = ceremony_file_name("confirm", index)

    def action() -> None:
        confirm = decode_confirm(run.parameters, run.files[name], index)
        if tentative is None:
            raise VerificationError(f"ceremony/{name}: confirms rounds that are not complete")
        if confirm.ceremony != tentative.digest:
            raise VerificationError(f"ceremony/{name}: confirms other rounds than these")
        if confirm.key != tentative.key.element:
            raise VerificationError(f"ceremony/{name}: confirms another joint key")

    run.check("confirmations", name, (index,), action)


def _result(
    parameters: CeremonyParameters, files: Mapping[str, bytes], reveals: Sequence[Reveal]
) -> CeremonyResult:
    group, n = parameters.group, len(reveals)
    # The sum of all polynomials: B_m = prod_i A_im, so y = B_0 and y_j = prod_m B_m^(j^m).
    sums = stack([reveal.coefficients for reveal in reveals]).prod(axis=0)
    keys = group.multiexp(sums, index_powers(parameters, range(1, n + 1)), axis=1)
    if sums[0].is_identity().any() or keys.is_identity().any():
        raise VerificationError("the ceremony gives a neutral key; restart it")
    return CeremonyResult(
        key=PublicKey(element=sums[0]),
        verification_keys=keys,
        digest=ceremony_digest(files, n),
    )


def audit_ceremony(parameters: CeremonyParameters, files: Mapping[str, bytes]) -> CeremonyResult:
    """The result of a complete ceremony.

    Raises:
        DecodingError, VerificationError: the first problem, by file; or the absent trustees.
    """
    status = examine_ceremony(parameters, files)
    for problem in status.problems:
        raise problem.error
    for kind, absent in status.missing.items():
        if absent:
            raise VerificationError(
                f"no {kind} file from {', '.join(map(parameters.name, absent))}"
            )
    if status.result is None:  # excluded by the two loops above
        raise VerificationError("the ceremony is not complete")
    return status.result


# -- decrypting ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class DecryptionShares:
    """One trustee's part of n decryptions, with one proof for every `CHUNK` of them."""

    trustee: int
    shares: Elements
    proofs: tuple[SharesProof, ...]


def decryption_shares(
    trustee: int,
    secret: Scalars,
    verification_key: Elements,
    alphas: Elements,
    *,
    context: Sequence[bytes],
    purpose: bytes = b"decryption-share",
    rng: Rng | None = None,
) -> DecryptionShares:
    """A trustee's shares alpha^x_i, proven chunk by chunk.

    The caller has made sure that these alphas may be decrypted: see `ceremony.trustee_decrypt`.
    Cost: n constant-time powers, and n multiexp terms of 128 bits for the proofs.

    Args:
        trustee: its index i.
        secret: x_i, marked long-term.
        verification_key: y_i = g^x_i; checked, so that a wrong key file shows before it is used.
        alphas: shape (n,); n = 0 gives no proofs.
        context: what the proofs are bound to: election id and tally digest.
        purpose: of the proofs; a rehearsal has its own.
        rng: source of randomness; None means the operating system.
    """
    group = alphas.group
    if secret.secrecy != Secrecy.LONG_TERM:
        raise ParameterError("a key share is a long-term secret")
    if group.generator**secret != verification_key:
        raise ParameterError(f"the key share is not that of trustee {trustee}")
    shares = alphas**secret
    proofs = []
    for chunk, statement in enumerate(_chunks(verification_key, alphas, shares)):
        transcript = _share_transcript(group, purpose, context, trustee, chunk, alphas.size)
        proofs.append(prove_shares(statement, SharesWitness(secret=secret), transcript, rng=rng))
    return DecryptionShares(trustee=trustee, shares=shares, proofs=tuple(proofs))


def verify_decryption_shares(
    verification_key: Elements,
    alphas: Elements,
    shares: DecryptionShares,
    *,
    context: Sequence[bytes],
    purpose: bytes = b"decryption-share",
) -> None:
    """Check a trustee's shares against its verification key.

    Raises:
        ShapeMismatch: not one share for each alpha, or not one proof for each chunk.
        InvalidProof: names the trustee; `indices` lists the chunks.
    """
    group = alphas.group
    if shares.shares.shape != alphas.shape or alphas.ndim != 1:
        raise ShapeMismatch(f"shares of shape {shares.shares.shape} for {alphas.shape} sums")
    statements = _chunks(verification_key, alphas, shares.shares)
    if len(shares.proofs) != len(statements):
        raise ShapeMismatch(f"{len(statements)} proofs expected, got {len(shares.proofs)}")
    bad = []
    for chunk, (statement, proof) in enumerate(zip(statements, shares.proofs, strict=True)):
        transcript = _share_transcript(group, purpose, context, shares.trustee, chunk, alphas.size)
        try:
            verify_shares(statement, proof, transcript)
        except InvalidProof:
            bad.append(chunk)
    if bad:
        raise InvalidProof(f"decryption share of trustee {shares.trustee}", bad)


def _chunks(
    verification_key: Elements, alphas: Elements, shares: Elements
) -> list[SharesStatement]:
    return [
        SharesStatement(
            public=verification_key,
            alphas=alphas[start : start + CHUNK],
            shares=shares[start : start + CHUNK],
        )
        for start in range(0, alphas.size, CHUNK)
    ]


def _share_transcript(
    group: Group, purpose: bytes, context: Sequence[bytes], trustee: int, chunk: int, count: int
) -> Transcript:
    transcript = Transcript(purpose, group)
    transcript.append(b"context", frame(*context))
    transcript.append_integer(b"trustee", trustee)
    transcript.append_integer(b"chunk", chunk)
    transcript.append_integer(b"count", count)
    return transcript


def encode_share_proofs(shares: DecryptionShares) -> list[bytes]:
    """The proofs as bytes, one string for each chunk."""
    return [proof.encode() for proof in shares.proofs]


def decode_share_proofs(
    group: Group, proofs: Sequence[bytes], count: int, *, where: str = ""
) -> tuple[SharesProof, ...]:
    """Read the proofs for `count` shares: exactly one for each chunk."""
    expected = -(-count // CHUNK)
    if len(proofs) != expected:
        raise DecodingError(f"{expected} proofs expected, got {len(proofs)}", where=where)
    return tuple(
        decode_shares(group, proof, where=f"{where}[{chunk}]") for chunk, proof in enumerate(proofs)
    )


def lagrange_coefficients(group: Group, indices: Sequence[int], trustees: int) -> Scalars:
    """lambda_i = prod_(j != i) j / (j - i): the weights that interpolate at 0; shape (t,).

    Raises:
        ParameterError: an index that is not one of 1..trustees, or twice the same.
    """
    if any(type(i) is not int or not 1 <= i <= trustees for i in indices):
        raise ParameterError(f"trustee indices from 1 to {trustees} expected, got {list(indices)}")
    if len(set(indices)) < len(indices):
        raise ParameterError(f"a trustee occurs twice in {list(indices)}")
    if trustees >= group.order:
        raise ParameterError("more trustees than the group has scalars")
    weights, divisor = _lagrange_integers(indices)
    return group.scalars(weights) * group.scalars(divisor).inverse()


def combine(indices: Sequence[int], shares: Elements, *, quorum: int, trustees: int) -> Elements:
    """alpha^x from the verified shares of a quorum.

    Args:
        indices: of the trustees, in the order of the rows of `shares`.
        shares: shape (t, n); exactly the first `quorum` rows are used.
        quorum: of the election.
        trustees: how many there are.

    Raises:
        QuorumError: fewer than `quorum`; `missing` lists those without a share.
        ParameterError: bad indices.
    """
    if shares.ndim != 2 or shares.shape[0] != len(indices):
        raise ShapeMismatch(f"{len(indices)} rows of shares expected, got {shares.shape}")
    lagrange_coefficients(shares.group, indices, trustees)  # every index is checked, used or not
    if len(indices) < quorum:
        missing = [i for i in range(1, trustees + 1) if i not in indices]
        raise QuorumError(
            f"{len(indices)} decryption shares, {quorum} needed;"
            f" none from trustees {', '.join(map(str, missing))}",
            missing=missing,
        )
    # lambda_i = w_i / D with small integers w_i: short powers, and one long one by 1 / D at most.
    weights, divisor = _lagrange_integers(indices[:quorum])
    result = _signed_product(shares[:quorum], weights)
    return result if divisor == 1 else result ** shares.group.scalars(divisor).inverse()


def _lagrange_integers(indices: Sequence[int]) -> tuple[list[int], int]:
    """The coefficients at 0 over their least common denominator, and that."""
    fractions = [
        prod((Fraction(j, j - i) for j in indices if j != i), start=Fraction(1)) for i in indices
    ]
    divisor = lcm(*(fraction.denominator for fraction in fractions))
    return [int(fraction * divisor) for fraction in fractions], divisor


def _signed_product(rows: Elements, weights: Sequence[int]) -> Elements:
    """prod_i rows[i] ** weights[i], negative ones by division: reduced mod q they were long."""
    group = rows.group

    def product(chosen: list[int]) -> Elements:
        powers = group.scalars([abs(weights[i]) for i in chosen]).reshape((len(chosen), 1))
        return group.multiexp(rows.take(chosen), powers, axis=0)

    above = [i for i, weight in enumerate(weights) if weight > 0]
    below = [i for i, weight in enumerate(weights) if weight < 0]
    return product(above) / product(below) if below else product(above)
