"""The key ceremony and threshold decryption, as pure values."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

from evote import _ceremony_steps, _decryption, threshold
from evote._ceremony_messages import commits_digest
from evote.elgamal import encrypt
from evote.encoding import canonical_json, encode_base64url, encode_hex
from evote.errors import (
    DecodingError,
    EvoteError,
    InvalidProof,
    ParameterError,
    QuorumError,
    ShapeMismatch,
    VerificationError,
)
from evote.groups import (
    Elements,
    Group,
    Scalars,
    Secrecy,
    concatenate,
    named_group,
    ristretto255,
    stack,
)
from evote.operators import OperatorKey, draw_operator
from evote.proofs import SharesProof
from evote.threshold import (
    CeremonyParameters,
    CeremonyResult,
    audit_ceremony,
    combine,
    decryption_shares,
    draw_polynomial,
    examine_ceremony,
    judge,
    lagrange_coefficients,
    make_commit,
    make_complaint,
    make_confirm,
    make_reveal,
    receive_shares,
    verify_decryption_shares,
)

CONTEXT = (b"election", b"tally")
Files = dict[str, bytes]


@dataclass(frozen=True, kw_only=True)
class Ceremony:
    """Everything that everybody knows, for tests only."""

    parameters: CeremonyParameters
    keys: tuple[OperatorKey, ...]
    polynomials: tuple[Scalars, ...]
    files: Files

    def secret(self, index: int) -> Scalars:
        share = receive_shares(self.parameters, self.keys[index - 1], self.files).secret
        assert share is not None
        return share

    @property
    def result(self) -> CeremonyResult:
        return audit_ceremony(self.parameters, self.files)

    def edited(self, name: str, change: Callable[[dict[str, Any]], None], signer: int) -> Files:
        """The files with one changed, signed again by its author, who cheats."""
        value = json.loads(self.files[name])
        del value["signature"]
        change(value)
        kind = name.partition("-")[0]
        signature = self.keys[signer - 1].sign(f"ceremony-{kind}", canonical_json(value))
        signed = canonical_json(value | {"signature": encode_base64url(signature)})
        return self.files | {name: signed}

    def confirmed(self, files: Files) -> Files:
        """The files, with confirmations made anew."""
        rest = {name: data for name, data in files.items() if not name.startswith("confirm")}
        for i, key in enumerate(self.keys, start=1):
            rest[f"confirm-{i:03d}.json"] = make_confirm(self.parameters, key, rest)
        return rest


def hold(
    n: int,
    k: int,
    group: Group = ristretto255,
    *,
    base_id: bytes = bytes(range(32)),
    keys: tuple[OperatorKey, ...] | None = None,
) -> Ceremony:
    keys = keys or tuple(draw_operator("trustee", f"t{i}", group=group) for i in range(1, n + 1))
    parameters = CeremonyParameters(
        group=group, base_id=base_id, quorum=k, trustees=tuple(key.card for key in keys)
    )
    polynomials = tuple(draw_polynomial(parameters) for _ in keys)
    files: Files = {}
    for i, (key, polynomial) in enumerate(zip(keys, polynomials, strict=True), start=1):
        files[f"commit-{i:03d}.json"] = make_commit(parameters, key, polynomial)
    commits = dict(files)
    for i, (key, polynomial) in enumerate(zip(keys, polynomials, strict=True), start=1):
        files[f"reveal-{i:03d}.json"] = make_reveal(parameters, key, polynomial, commits)
    ceremony = Ceremony(parameters=parameters, keys=keys, polynomials=polynomials, files=files)
    return replace(ceremony, files=ceremony.confirmed(files))


@pytest.fixture(scope="module")
def ceremony() -> Ceremony:
    return hold(3, 2)


def only_problem(ceremony: Ceremony, files: Files) -> threshold.CeremonyProblem:
    """The first problem; the audit raises the same."""
    status = examine_ceremony(ceremony.parameters, files)
    assert status.result is None
    with pytest.raises((DecodingError, VerificationError)) as caught:
        audit_ceremony(ceremony.parameters, files)
    assert str(caught.value) == status.problems[0].reason
    return status.problems[0]


# -- the honest way --------------------------------------------------------------------------------


@pytest.mark.parametrize(("n", "k"), [(n, k) for n in range(1, 5) for k in range(1, n + 1)])
def test_any_quorum_decrypts_the_same(n: int, k: int) -> None:
    ceremony = hold(n, k)
    result, group = ceremony.result, ristretto255
    messages = group.generator ** group.scalars([0, 1, 2, 500])
    ciphertexts, _ = encrypt(result.key, messages)
    rows = []
    for i in range(1, n + 1):
        key = result.verification_keys[i - 1]
        shares = decryption_shares(i, ceremony.secret(i), key, ciphertexts.alpha, context=CONTEXT)
        verify_decryption_shares(key, ciphertexts.alpha, shares, context=CONTEXT)
        rows.append(shares.shares)
    for chosen in itertools.permutations(range(1, n + 1), k):
        picked = stack([rows[i - 1] for i in chosen])
        powers = combine(chosen, picked, quorum=k, trustees=n)
        assert ciphertexts.beta / powers == messages
    powers = combine(range(1, n + 1), stack(rows), quorum=k, trustees=n)  # more than needed
    assert ciphertexts.beta / powers == messages


def test_a_ceremony_in_an_integer_group() -> None:
    group = named_group("rfc3526-2048")
    ceremony = hold(2, 2, group)
    result = ceremony.result
    ciphertexts, _ = encrypt(result.key, group.generator ** group.scalars([7]))
    rows = [
        decryption_shares(
            i,
            ceremony.secret(i),
            result.verification_keys[i - 1],
            ciphertexts.alpha,
            context=CONTEXT,
        ).shares
        for i in (1, 2)
    ]
    powers = combine((1, 2), stack(rows), quorum=2, trustees=2)
    assert ciphertexts.beta / powers == group.generator ** group.scalars([7])


def test_the_key_is_the_sum_of_all_and_shares_fit_their_keys(ceremony: Ceremony) -> None:
    result, g = ceremony.result, ristretto255.generator
    constant_terms = stack([polynomial[0] for polynomial in ceremony.polynomials])
    assert (g**constant_terms).prod() == result.key.element
    for i in (1, 2, 3):
        assert g ** ceremony.secret(i) == result.verification_keys[i - 1]
        assert ceremony.secret(i).secrecy is Secrecy.LONG_TERM


def test_a_commit_is_the_same_when_it_is_made_again(ceremony: Ceremony) -> None:
    for i, (key, polynomial) in enumerate(
        zip(ceremony.keys, ceremony.polynomials, strict=True), start=1
    ):
        again = make_commit(ceremony.parameters, key, polynomial)
        assert again == ceremony.files[f"commit-{i:03d}.json"]


def test_long_term_secrets_take_the_constant_time_path_alone() -> None:
    """attacks: G4"""
    with ristretto255.count() as count:
        ceremony = hold(3, 2)
    assert count.constant_time > 0
    with ristretto255.count() as count:
        receive_shares(ceremony.parameters, ceremony.keys[0], ceremony.files)
    assert count.fixed == 0
    assert count.variable == 0
    # three Diffie-Hellman values, and g^f for three shares
    assert count.constant_time == 6
    alphas = ristretto255.generator ** ristretto255.scalars(list(range(1, 51)))
    key, secret = ceremony.result.verification_keys[0], ceremony.secret(1)
    with ristretto255.count() as count:
        decryption_shares(1, secret, key, alphas, context=CONTEXT)
    assert count.fixed == 0
    assert count.variable == 0
    assert count.constant_time >= 50


# -- how far a ceremony is -------------------------------------------------------------------------


def test_absent_trustees_are_named(ceremony: Ceremony) -> None:
    for kind in ("commit", "reveal", "confirm"):
        files = dict(ceremony.files)
        later = {"commit": ("reveal", "confirm"), "reveal": ("confirm",), "confirm": ()}[kind]
        for name in list(files):
            if name == f"{kind}-002.json" or name.startswith(later):
                del files[name]
        status = examine_ceremony(ceremony.parameters, files)
        assert status.missing[kind] == (2,)
        assert not status.problems
        assert status.result is None
        assert (status.tentative is not None) == (kind == "confirm")
        with pytest.raises(VerificationError, match=r"trustee 2 \(t2\)"):
            audit_ceremony(ceremony.parameters, files)
    empty = examine_ceremony(ceremony.parameters, {})
    assert empty.missing["commit"] == (1, 2, 3)


def test_a_complete_ceremony_says_what_was_checked(ceremony: Ceremony) -> None:
    status = examine_ceremony(ceremony.parameters, ceremony.files)
    assert status.result is not None
    assert status.result.digest == threshold.ceremony_digest(ceremony.files, 3)
    assert not any(status.missing.values())
    assert dict(status.checked) == {
        "commitments": 6,
        "proofs": 3,
        "complaints": 0,
        "confirmations": 3,
    }


@pytest.mark.parametrize(
    "name",
    [
        "commit-000.json",
        "commit-004.json",
        "commit-01.json",
        "commit-001.json.bak",
        "Commit-001.json",
        "reveal-001-002.json",
        "complaint-001.json",
        "complaint-001-004.json",
        "commit-\u0661\u0661\u0661.json",
        "notes.txt",
    ],
)
def test_a_file_of_no_ceremony_is_refused(ceremony: Ceremony, name: str) -> None:
    problem = only_problem(ceremony, ceremony.files | {name: ceremony.files["commit-001.json"]})
    assert isinstance(problem.error, DecodingError)
    assert problem.file == name


# -- altered files ---------------------------------------------------------------------------------


def test_every_altered_byte_is_found_and_its_file_named(ceremony: Ceremony) -> None:
    for name, data in ceremony.files.items():
        step = max(1, len(data) // 12)
        for position in range(0, len(data), step):
            flipped = data[:position] + bytes([data[position] ^ 1]) + data[position + 1 :]
            problem = only_problem(ceremony, ceremony.files | {name: flipped})
            assert problem.file == name
            assert problem.trustees == (int(name[-8:-5]),)


def test_truncated_and_swapped_files_are_refused(ceremony: Ceremony) -> None:
    for name, data in ceremony.files.items():
        for wrong in (b"", data[:-1], data + b"\n", b"[]", b"{}"):
            assert only_problem(ceremony, ceremony.files | {name: wrong}).file == name
        other = name.replace("001", "xxx").replace("002", "001").replace("xxx", "002")
        if other != name:
            swapped = ceremony.files | {name: ceremony.files[other]}
            assert only_problem(ceremony, swapped).file == name


@pytest.mark.parametrize("kind", ["commit", "reveal", "confirm"])
def test_a_file_of_another_election_is_refused(ceremony: Ceremony, kind: str) -> None:
    other = hold(3, 2, base_id=bytes(32), keys=ceremony.keys)
    name = f"{kind}-002.json"
    problem = only_problem(ceremony, ceremony.files | {name: other.files[name]})
    assert "another election" in problem.reason
    assert problem.file == name
    # Relabelled and signed again by its author, its contents still belong to the other one.
    relabelled = replace(other, files=dict(other.files)).edited(
        name, lambda value: value.update(base=encode_hex(ceremony.parameters.base_id)), 2
    )[name]
    problem = only_problem(ceremony, ceremony.files | {name: relabelled})
    assert problem.trustees[0] in (1, 2, 3)


def test_a_field_too_many_or_too_few_is_refused(ceremony: Ceremony) -> None:
    for name in ("commit-001.json", "reveal-001.json", "confirm-001.json"):
        fields = [field for field in json.loads(ceremony.files[name]) if field != "signature"]
        for field in fields:
            files = ceremony.edited(name, lambda value, field=field: value.pop(field), 1)  # type: ignore[misc]
            assert only_problem(ceremony, files).trustees == (1,)
        files = ceremony.edited(name, lambda value: value.update(more=1), 1)
        assert only_problem(ceremony, files).trustees == (1,)


# -- cheating with commitments (attacks: E1, E2, E3, B6) -------------------------------------------


def swap_reveal(ceremony: Ceremony, index: int, **changes: Any) -> Files:
    """A reveal with changed fields, and the commit that fits it: a dealer who planned it."""
    reveal, commit = f"reveal-{index:03d}.json", f"commit-{index:03d}.json"
    new = changes.get("coefficients")
    if new is not None:
        commitment = _ceremony_steps.coefficients_digest(ceremony.parameters, index, new)
        files = ceremony.edited(
            commit, lambda value: value.update(commitment=encode_hex(commitment)), index
        )
        ceremony = replace(ceremony, files=files)
        changes["coefficients"] = encode_base64url(new.encode())
        digest = encode_hex(commits_digest(files, len(ceremony.keys)))
        for i in range(1, len(ceremony.keys) + 1):
            files = ceremony.edited(
                f"reveal-{i:03d}.json", lambda value: value.update(commits=digest), i
            )
            ceremony = replace(ceremony, files=files)
    return ceremony.edited(reveal, lambda value: value.update(changes), index)


def test_a_rogue_key_has_no_proof(ceremony: Ceremony) -> None:
    """E1: the last trustee divides by everybody else's key and would own the sum."""
    g = ristretto255.generator
    mine = ristretto255.random_scalars((2,))
    others = (g ** stack([p[0] for p in ceremony.polynomials[:2]])).prod()
    rogue = g**mine
    rogue = stack([rogue[0] / others, rogue[1]])
    files = swap_reveal(ceremony, 3, coefficients=rogue)
    problem = only_problem(ceremony, files)
    assert (problem.check, problem.trustees) == ("proofs", (3,))
    assert isinstance(problem.error, InvalidProof)
    copied = json.loads(ceremony.files["reveal-001.json"])["proofs"]
    files = swap_reveal(ceremony, 3, coefficients=rogue, proofs=copied)
    assert only_problem(ceremony, files).check == "proofs"


def test_a_copied_key_and_proof_do_not_hold_under_another_index(ceremony: Ceremony) -> None:
    coefficients = ristretto255.generator ** ceremony.polynomials[0]
    proofs = json.loads(ceremony.files["reveal-001.json"])["proofs"]
    files = swap_reveal(ceremony, 3, coefficients=coefficients, proofs=proofs)
    problem = only_problem(ceremony, files)
    assert (problem.check, problem.trustees) == ("proofs", (3,))


@pytest.mark.parametrize("count", [0, 1, 3])
def test_another_degree_is_refused(ceremony: Ceremony, count: int) -> None:
    """E3: one coefficient too many raises the quorum unnoticed, one too few lowers it."""
    coefficients = ristretto255.generator ** ristretto255.random_scalars((count,))
    problem = only_problem(ceremony, swap_reveal(ceremony, 2, coefficients=coefficients))
    assert (problem.check, problem.trustees) == ("commitments", (2,))
    assert "reveal-002.json: $.coefficients" in problem.reason


@pytest.mark.parametrize("place", [0, 1])
def test_a_neutral_coefficient_is_refused(ceremony: Ceremony, place: int) -> None:
    """E3 and B6: a leading identity lowers the degree, the first one is no key."""
    g = ristretto255.generator
    parts = [g, g]
    parts[place] = ristretto255.identity()
    problem = only_problem(ceremony, swap_reveal(ceremony, 2, coefficients=stack(parts)))
    assert problem.trustees == (2,)
    assert isinstance(problem.error, DecodingError)


def test_a_reveal_other_than_committed_is_refused(ceremony: Ceremony) -> None:
    """E2: having seen the others' reveals, a dealer changes its mind."""
    other = draw_polynomial(ceremony.parameters)
    commits = {name: data for name, data in ceremony.files.items() if name.startswith("commit")}
    fitting = commits | {
        "commit-002.json": make_commit(ceremony.parameters, ceremony.keys[1], other)
    }
    changed = make_reveal(ceremony.parameters, ceremony.keys[1], other, fitting)
    problem = only_problem(ceremony, ceremony.files | {"reveal-002.json": changed})
    assert (problem.check, problem.trustees) == ("commitments", (2,))
    assert "not those" in problem.reason
    # With its commit replaced too, everybody else's reveal was made after another commit.
    both = ceremony.files | fitting | {"reveal-002.json": changed}
    status = examine_ceremony(ceremony.parameters, both)
    assert {problem.file for problem in status.problems} >= {"reveal-001.json", "reveal-003.json"}


def test_nobody_reveals_before_all_have_committed(ceremony: Ceremony) -> None:
    commits = {name: data for name, data in ceremony.files.items() if name.startswith("commit")}
    del commits["commit-003.json"]
    with pytest.raises(VerificationError, match=r"no commit yet from trustee 3 \(t3\)"):
        make_reveal(ceremony.parameters, ceremony.keys[0], ceremony.polynomials[0], commits)
    early = commits | {"reveal-001.json": ceremony.files["reveal-001.json"]}
    problem = only_problem(ceremony, early)
    assert (problem.check, problem.trustees) == ("commitments", (1,))
    assert "before all have committed" in problem.reason


def test_nobody_reveals_to_a_commit_of_something_else(ceremony: Ceremony) -> None:
    commits = {name: data for name, data in ceremony.files.items() if name.startswith("commit")}
    with pytest.raises(VerificationError, match="another polynomial"):
        make_reveal(ceremony.parameters, ceremony.keys[0], ceremony.polynomials[1], commits)
    broken = commits | {"commit-002.json": commits["commit-001.json"]}
    with pytest.raises(EvoteError):
        make_reveal(ceremony.parameters, ceremony.keys[0], ceremony.polynomials[0], broken)


# -- bad shares and complaints ---------------------------------------------------------------------


def cheat(ceremony: Ceremony, dealer: int, victim: int, how: str) -> Files:
    """A dealer sends one trustee a bad share, and signs it."""

    def change(value: dict[str, Any]) -> None:
        shares = value["shares"]
        if how == "garbage":
            shares[victim - 1]["sealed"] = encode_base64url(bytes(48))
        elif how == "another's":
            shares[victim - 1] = shares[victim % len(shares)]
        elif how == "another ephemeral":
            shares[victim - 1]["ephemeral"] = shares[victim % len(shares)]["ephemeral"]
        else:
            shares[victim - 1] = sealed_share(ceremony, dealer, victim, how)

    files = ceremony.edited(f"reveal-{dealer:03d}.json", change, dealer)
    return {name: data for name, data in files.items() if not name.startswith("confirm")}


def sealed_share(ceremony: Ceremony, dealer: int, victim: int, how: str) -> dict[str, str]:
    """A well encrypted share that is wrong inside."""

    parameters, group = ceremony.parameters, ceremony.parameters.group
    e = group.random_scalars((), secrecy=Secrecy.LONG_TERM)
    ephemeral, shared = group.generator**e, parameters.ceremony_key(victim) ** e
    plain = {
        "wrong": bytes([5] + [0] * 31),
        "zero": bytes(32),
        "not canonical": b"\xff" * 32,
    }[how]
    cipher = _ceremony_steps._cipher(parameters, dealer, victim, ephemeral, shared)
    sealed = cipher.encrypt(
        bytes(12), plain, _ceremony_steps._associated(parameters, dealer, victim)
    )
    return {
        "ephemeral": encode_base64url(ephemeral.encode()),
        "sealed": encode_base64url(sealed),
    }


BAD_SHARES = {
    "garbage": "does not decrypt",
    "another's": "does not decrypt",
    "another ephemeral": "does not decrypt",
    "not canonical": "no canonical scalar",
    "wrong": "does not fit",
    "zero": "does not fit",
}


@pytest.mark.parametrize("how", BAD_SHARES)
def test_anyone_judges_a_guilty_dealer(ceremony: Ceremony, how: str) -> None:
    files = cheat(ceremony, 1, 3, how)
    parameters = ceremony.parameters
    assert examine_ceremony(parameters, files).tentative is not None  # nobody else can see it
    for index in (1, 2):
        assert receive_shares(parameters, ceremony.keys[index - 1], files).secret is not None
    received = receive_shares(parameters, ceremony.keys[2], files)
    assert received.secret is None
    assert list(received.faults) == [1]
    assert BAD_SHARES[how] in received.faults[1]
    name = "complaint-003-001.json"
    files[name] = make_complaint(parameters, ceremony.keys[2], 1, files)
    judgement = judge(parameters, files, 3, 1)
    assert (judgement.accuser, judgement.dealer, judgement.guilty) == (3, 1, 1)
    assert BAD_SHARES[how] in judgement.reason
    problem = only_problem(ceremony, files)
    assert (problem.check, problem.trustees, problem.file) == ("complaints", (1,), name)
    assert "trustee 1 (t1) is guilty" in problem.reason
    # A complaint ends the ceremony even where everybody confirmed.
    assert only_problem(ceremony, ceremony.confirmed(files)).check == "complaints"


def test_a_false_complaint_accuses_its_author(ceremony: Ceremony) -> None:
    files = dict(ceremony.files)
    files["complaint-002-001.json"] = make_complaint(
        ceremony.parameters, ceremony.keys[1], 1, files
    )
    judgement = judge(ceremony.parameters, files, 2, 1)
    assert judgement.guilty == 2
    assert "unfounded" in judgement.reason
    problem = only_problem(ceremony, files)
    assert (problem.check, problem.trustees) == ("complaints", (2,))
    assert "trustee 2 (t2) is guilty" in problem.reason


def test_a_forged_diffie_hellman_value_accuses_its_author(ceremony: Ceremony) -> None:
    """The accuser shows a key that is not the share's, with which nothing decrypts."""
    files = dict(ceremony.files)
    name = "complaint-002-001.json"
    files[name] = make_complaint(ceremony.parameters, ceremony.keys[1], 1, files)
    lying = replace(ceremony, files=files)
    other = encode_base64url((ristretto255.generator ** ristretto255.scalars(5)).encode())
    for change in (
        lambda value: value.update(key=other),
        lambda value: value.update(proof=encode_base64url(bytes(96))),
    ):
        forged = lying.edited(name, change, 2)
        try:
            judgement = judge(ceremony.parameters, forged, 2, 1)
        except DecodingError:
            continue  # a proof that is no proof: nobody's word
        assert judgement.guilty == 2
        assert "not proven" in judgement.reason
        assert only_problem(ceremony, forged).trustees == (2,)


def test_a_complaint_speaks_of_one_share_alone(ceremony: Ceremony) -> None:
    """Its proof moved to another dealer, another reveal or another accuser does not hold."""
    cheated = replace(ceremony, files=cheat(ceremony, 1, 3, "wrong"))
    complaint = make_complaint(ceremony.parameters, ceremony.keys[2], 1, cheated.files)
    moved = replace(cheated, files=cheated.files | {"complaint-003-002.json": complaint})
    moved_files = moved.edited("complaint-003-002.json", lambda value: value.update(dealer=2), 3)
    assert judge(ceremony.parameters, moved_files, 3, 2).guilty == 3
    honest = ceremony.files | {"complaint-003-001.json": complaint}
    assert judge(ceremony.parameters, honest, 3, 1).guilty == 3
    # Signed by somebody else, it is nobody's word.
    stolen = moved.edited("complaint-003-002.json", lambda value: value.update(dealer=2), 1)
    with pytest.raises(VerificationError, match="signature"):
        judge(ceremony.parameters, stolen, 3, 2)
    with pytest.raises(DecodingError, match="missing"):
        judge(ceremony.parameters, ceremony.files, 3, 1)


def test_every_altered_byte_of_a_complaint_is_refused(ceremony: Ceremony) -> None:
    files = cheat(ceremony, 1, 3, "wrong")
    name = "complaint-003-001.json"
    data = make_complaint(ceremony.parameters, ceremony.keys[2], 1, files)
    for position in range(0, len(data), 5):
        flipped = data[:position] + bytes([data[position] ^ 1]) + data[position + 1 :]
        with pytest.raises((DecodingError, VerificationError, EvoteError)):
            judge(ceremony.parameters, files | {name: flipped}, 3, 1)


@pytest.mark.parametrize(
    "change",
    [
        {"key": encode_base64url(bytes(32))},
        {"ceremony": "00" * 32},
        {"key": encode_base64url((ristretto255.generator).encode())},
    ],
)
def test_a_confirmation_of_something_else_is_refused(
    ceremony: Ceremony, change: dict[str, str]
) -> None:
    files = ceremony.edited("confirm-002.json", lambda value: value.update(change), 2)
    problem = only_problem(ceremony, files)
    assert (problem.check, problem.trustees) == ("confirmations", (2,))


def test_a_confirmation_of_unfinished_rounds_is_refused(ceremony: Ceremony) -> None:
    files = {name: data for name, data in ceremony.files.items() if name != "reveal-002.json"}
    problem = only_problem(ceremony, files)
    assert problem.check == "confirmations"
    assert "not complete" in problem.reason


# -- parameters ------------------------------------------------------------------------------------


@pytest.mark.parametrize("quorum", [0, -1, 4, True, 2.0])
def test_a_quorum_beyond_the_trustees_is_refused(ceremony: Ceremony, quorum: int) -> None:
    with pytest.raises(ParameterError, match="quorum"):
        replace(ceremony.parameters, quorum=quorum)


def test_parameters_hold_together(ceremony: Ceremony) -> None:
    parameters = ceremony.parameters
    for changes in (
        {"trustees": ()},
        {"trustees": (parameters.trustees[0],) * 3},
        {"trustees": (draw_operator("board", "b").card,), "quorum": 1},
        {"base_id": b"short"},
        {"group": named_group("rfc3526-2048")},
        {"trustees": tuple(parameters.trustees[0] for _ in range(100))},
    ):
        with pytest.raises(ParameterError):
            replace(parameters, **changes)
    with pytest.raises(ParameterError, match="no trustee"):
        parameters.index_of(draw_operator("trustee", "x", group=ristretto255).card)


# -- decryption shares -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def alphas(ceremony: Ceremony) -> Elements:
    messages = ristretto255.generator ** ristretto255.scalars([1, 2, 3])
    return encrypt(ceremony.result.key, messages)[0].alpha


def shares_of(
    ceremony: Ceremony, index: int, alphas: Elements, **more: Any
) -> threshold.DecryptionShares:
    key = ceremony.result.verification_keys[index - 1]
    return decryption_shares(
        index, ceremony.secret(index), key, alphas, **({"context": CONTEXT} | more)
    )


def refused(
    ceremony: Ceremony,
    index: int,
    alphas: Elements,
    shares: threshold.DecryptionShares,
    **more: Any,
) -> InvalidProof:
    key = ceremony.result.verification_keys[index - 1]
    with pytest.raises(InvalidProof) as caught:
        verify_decryption_shares(key, alphas, shares, **({"context": CONTEXT} | more))
    assert f"trustee {shares.trustee}" in str(caught.value)
    return caught.value


def test_shares_of_nothing(ceremony: Ceremony) -> None:
    none = ristretto255.identity((0,))
    shares = shares_of(ceremony, 1, none)
    assert shares.proofs == ()
    verify_decryption_shares(ceremony.result.verification_keys[0], none, shares, context=CONTEXT)
    rows = stack([shares.shares, shares.shares])
    assert combine((1, 2), rows, quorum=2, trustees=3).shape == (0,)


def test_shares_are_proven_chunk_by_chunk(
    ceremony: Ceremony, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_decryption, "CHUNK", 4)
    alphas = ristretto255.generator ** ristretto255.scalars(list(range(1, 11)))
    shares = shares_of(ceremony, 2, alphas)
    assert len(shares.proofs) == 3
    key = ceremony.result.verification_keys[1]
    verify_decryption_shares(key, alphas, shares, context=CONTEXT)
    wrong = stack([shares.shares[i] for i in range(10)][:5] + [alphas[0]] * 5)
    assert refused(ceremony, 2, alphas, replace(shares, shares=wrong)).indices == (1, 2)
    swapped = replace(shares, proofs=(shares.proofs[1], shares.proofs[0], shares.proofs[2]))
    assert refused(ceremony, 2, alphas, swapped).indices == (0, 1)
    for proofs in (shares.proofs[:2], (*shares.proofs, shares.proofs[0]), ()):
        with pytest.raises(ShapeMismatch):
            verify_decryption_shares(key, alphas, replace(shares, proofs=proofs), context=CONTEXT)
    packed = threshold.encode_share_proofs(shares)
    assert threshold.decode_share_proofs(ristretto255, packed, 10) == shares.proofs
    for count in (8, 13):
        with pytest.raises(DecodingError, match="proofs expected"):
            threshold.decode_share_proofs(ristretto255, packed, count)


def test_a_stopped_decryption_goes_on(ceremony: Ceremony, monkeypatch: pytest.MonkeyPatch) -> None:
    """Streamed, stopped after one chunk, and gone on with: the same shares, all proven."""
    monkeypatch.setattr(_decryption, "CHUNK", 4)
    alphas = ristretto255.generator ** ristretto255.scalars(list(range(1, 11)))
    key = ceremony.result.verification_keys[1]

    def stream(
        chunks: Sequence[Elements], start: int = 0
    ) -> Iterator[tuple[Elements, SharesProof]]:
        return threshold.decryption_share_chunks(
            2, ceremony.secret(2), key, chunks, count=10, context=CONTEXT, start=start
        )

    chunks = [alphas[:4], alphas[4:8], alphas[8:]]
    first = next(stream(chunks))
    parts = [first, *stream(chunks[1:], start=1)]
    shares = threshold.DecryptionShares(
        trustee=2,
        shares=concatenate([part for part, _ in parts]),
        proofs=tuple(proof for _, proof in parts),
    )
    verify_decryption_shares(key, alphas, shares, context=CONTEXT)
    assert shares.shares == shares_of(ceremony, 2, alphas).shares
    for wrong, start in (
        ([alphas[:3]], 0),
        ([alphas[:4], alphas[8:]], 0),
        ([*chunks, alphas[:1]], 0),
        (chunks[:2], 0),
        ([], 2),
        ([alphas[:4]], 3),
    ):
        with pytest.raises(ShapeMismatch, match="chunk"):
            list(stream(wrong, start))


def test_each_field_of_a_proof_matters(ceremony: Ceremony, alphas: Elements) -> None:
    shares = shares_of(ceremony, 2, alphas)
    packed = threshold.encode_share_proofs(shares)[0]
    for position in range(0, len(packed), 3):
        flipped = packed[:position] + bytes([packed[position] ^ 1]) + packed[position + 1 :]
        try:
            proofs = threshold.decode_share_proofs(ristretto255, [flipped], 3)
        except DecodingError:
            continue
        refused(ceremony, 2, alphas, replace(shares, proofs=proofs))


def test_a_share_holds_for_its_trustee_sums_and_tally_alone(
    ceremony: Ceremony, alphas: Elements
) -> None:
    """E7."""
    shares = shares_of(ceremony, 2, alphas)
    verify_decryption_shares(ceremony.result.verification_keys[1], alphas, shares, context=CONTEXT)
    refused(ceremony, 3, alphas, shares)  # under the key of trustee 3
    refused(ceremony, 3, alphas, replace(shares, trustee=3))
    refused(ceremony, 2, alphas, replace(shares, trustee=3))
    refused(ceremony, 2, alphas[::-1], shares)
    refused(ceremony, 2, alphas, shares, context=(b"election", b"another tally"))
    refused(ceremony, 2, alphas, shares, context=(b"electiontally",))
    refused(ceremony, 2, alphas, shares, context=(*CONTEXT, b""))
    refused(ceremony, 2, alphas, shares, purpose=b"rehearsal")
    refused(ceremony, 2, alphas, replace(shares, shares=shares.shares[::-1]))
    refused(ceremony, 2, alphas, replace(shares, shares=alphas))
    refused(ceremony, 2, alphas, replace(shares, shares=ristretto255.identity((3,))))
    with pytest.raises(ShapeMismatch):
        verify_decryption_shares(
            ceremony.result.verification_keys[1], alphas[:2], shares, context=CONTEXT
        )


def test_errors_that_cancel_are_found(ceremony: Ceremony, alphas: Elements) -> None:
    """Two shares wrong by opposite factors keep the product, not the weighted product."""
    shares = shares_of(ceremony, 1, alphas)
    g = ristretto255.generator
    factors = stack([g, g.inverse(), ristretto255.identity()])
    refused(ceremony, 1, alphas, replace(shares, shares=shares.shares * factors))


def test_a_trustee_uses_its_own_share_alone(ceremony: Ceremony, alphas: Elements) -> None:
    """E5: a share with a verification key of its own fits nothing on the record."""
    key = ceremony.result.verification_keys[0]
    with pytest.raises(ParameterError, match="trustee 1"):
        decryption_shares(1, ceremony.secret(2), key, alphas, context=CONTEXT)
    with pytest.raises(ParameterError, match="long-term"):
        decryption_shares(1, ristretto255.scalars(5), key, alphas, context=CONTEXT)
    other = ristretto255.random_scalars(())
    own_key = ristretto255.generator**other
    forged = decryption_shares(1, other, own_key, alphas, context=CONTEXT)
    verify_decryption_shares(own_key, alphas, forged, context=CONTEXT)
    refused(ceremony, 1, alphas, forged)


# -- combining (attacks: E4, E7) -------------------------------------------------------------------


@pytest.mark.parametrize(
    "indices",
    [
        (0, 1),
        (1, 4),
        (1, 1),
        (-1, 2),
        (1, ristretto255.order + 1),
        (ristretto255.order, 1),
        (True, 2),
        (1.0, 2),
        ("1", 2),
    ],
)
def test_bad_indices_are_refused(indices: tuple[Any, ...]) -> None:
    with pytest.raises(ParameterError):
        lagrange_coefficients(ristretto255, indices, 3)
    with pytest.raises(ParameterError):
        combine(indices, ristretto255.generator.broadcast_to((2, 1)), quorum=2, trustees=3)


def test_too_few_shares_name_the_absent() -> None:
    row = ristretto255.generator.broadcast_to((1, 4))
    with pytest.raises(QuorumError, match="1 decryption shares, 3 needed") as caught:
        combine((2,), row, quorum=3, trustees=5)
    assert caught.value.missing == (1, 3, 4, 5)
    with pytest.raises(QuorumError):
        combine((), ristretto255.identity((0, 4)), quorum=1, trustees=2)
    with pytest.raises(ShapeMismatch):
        combine((1, 2), row, quorum=1, trustees=5)


def test_lagrange_coefficients_interpolate_at_zero() -> None:
    for chosen in ((1, 2, 3), (5, 1, 3), (99, 98, 1), (2, 3, 4)):
        weights = np.array(lagrange_coefficients(ristretto255, chosen, 99).to_ints(), dtype=object)
        values = [7 + 3 * i + 11 * i * i for i in chosen]
        assert sum(weights * values) % ristretto255.order == 7


@pytest.mark.parametrize("k", [1, 2, 7, 50])
def test_combining_is_interpolation_of_exponents(k: int) -> None:
    """Also where the common denominator is large, and where it is 1."""
    q = ristretto255.order
    polynomial = [ristretto255.random_scalars(()).publish().to_ints() for _ in range(k)]
    for chosen in (
        list(range(1, k + 1)),
        list(range(99, 99 - k, -1)),
        list(range(2, 2 * k + 1, 2)),
    ):
        values = [sum(a * i**m for m, a in enumerate(polynomial)) % q for i in chosen]
        rows = (ristretto255.generator ** ristretto255.scalars(values)).reshape((k, 1))
        powers = combine(chosen, rows, quorum=k, trustees=max(99, 2 * k))
        assert powers[0] == ristretto255.generator ** ristretto255.scalars(polynomial[0])
