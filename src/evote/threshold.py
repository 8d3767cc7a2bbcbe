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
from evote._decryption import (
    CHUNK,
    DecryptionShares,
    combine,
    decode_share_proofs,
    decryption_share_chunks,
    decryption_shares,
    encode_share_proofs,
    lagrange_coefficients,
    verify_decryption_share_chunks,
    verify_decryption_shares,
)
from evote.elgamal import PublicKey
from evote.errors import (
    DecodingError,
    EvoteError,
    InvalidProof,
    VerificationError,
)
from evote.groups import Elements, stack
from evote.proofs import (
    SchnorrStatement,
    verify_schnorr,
)

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
    "decryption_share_chunks",
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
    "verify_decryption_share_chunks",
    "verify_decryption_shares",
    "verify_reveal_fits",
]

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
