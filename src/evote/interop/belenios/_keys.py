"""The trustees of the profile: their part of the key, in files, and the list that Belenios reads.

Where all decrypt, each has a key of its own (Single):

    key-001    the key, and the proof that its holder knows it

Where a quorum decrypts (Pedersen), the ceremony in `ceremony/` is that of `evote.ceremony`, and
trustees post what Belenios wants besides, in the form of its third generation:

    certificate-001    with round 1: a verification key, the ceremony key, both signed
    coefficients-001   with round 2: the commitments that are revealed, signed with all certificates
    key-001            with the check: the key of its share, proven and signed
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evote._ceremony_messages import decode_reveal
from evote._trustee import ceremony_parameters
from evote.ceremony import CheckOutcome, trustee_check, trustee_commit, trustee_reveal
from evote.encoding import Fields
from evote.errors import ParameterError, UnsupportedError, VerificationError
from evote.groups import Scalars, stack
from evote.interop.belenios._election import Election, decode_election
from evote.interop.belenios._forms import compact, parse
from evote.interop.belenios._prover import prove_key, sign_message
from evote.interop.belenios._signed import text_field
from evote.interop.belenios._terms import Terms, derived_secret, election_file, load_terms
from evote.interop.belenios._trustees import Trustees, check_trustees, decode_trustees
from evote.operators import OperatorKey, Passphrase, conceal, load_operator
from evote.record import Record
from evote.threshold import audit_ceremony, ceremony_file_name, receive_shares

__all__ = ["Setup", "check", "commit", "key_share", "load_setup", "reveal"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Setup:
    """The election and its trustees, with the bytes of both."""

    election: Election
    election_data: bytes
    trustees: Trustees
    trustees_data: bytes


def commit(directory: Path | str, record: Path | str, passphrase: Passphrase) -> Path:
    """Round 1. Where all trustees decrypt there is no other: the key is posted."""
    terms, key, index, secret = _open(directory, record, passphrase)
    if not terms.threshold:
        return _post(terms, key, index, "key", lambda: _single(terms, key))
    trustee_commit(directory, record, secret)
    return _post(terms, key, index, "certificate", lambda: _certificate(terms, key, index))


def reveal(directory: Path | str, record: Path | str, passphrase: Passphrase) -> Path:
    """Round 2 of a ceremony with a quorum.

    Raises:
        UnsupportedError: all trustees decrypt.
        VerificationError: somebody has not committed yet, or what is there is wrong.
    """
    terms, key, index, secret = _open(directory, record, passphrase)
    if not terms.threshold:
        raise UnsupportedError("all trustees decrypt, each with a key of its own: one round")
    certificates = [_part(terms, "certificate", i) for i in _indices(terms)]
    path = trustee_reveal(directory, record, secret)
    data = path.read_bytes()
    return _post(
        terms, key, index, "coefficients", lambda: _coefficients(terms, key, data, certificates)
    )


def check(directory: Path | str, record: Path | str, passphrase: Passphrase) -> CheckOutcome | Path:
    """Check what all have posted; with a quorum, the key share too, whose key is then posted.

    Returns:
        The path of this trustee's last file; or what is wrong in a ceremony with a quorum.

    Raises:
        VerificationError, DecodingError: something is missing or wrong, and whose it is.
    """
    terms, key, index, secret = _open(directory, record, passphrase)
    if not terms.threshold:
        load_setup(terms)
        return _path(terms, "key", index)
    outcome = trustee_check(directory, record, secret)
    if outcome.confirmed is None:
        return outcome
    _check_coefficients(terms)
    share = _received(terms, key)
    return _post(terms, key, index, "key", lambda: _share_key(terms, key, share))


def key_share(terms: Terms, key: OperatorKey) -> Scalars:
    """The secret with which a trustee decrypts, shape ()."""
    if not terms.threshold:
        return derived_secret(key, terms.base, b"key")
    return _received(terms, key)


def load_setup(terms: Terms) -> Setup:
    """The election and its trustees, from the files of all; everything is checked.

    Raises:
        VerificationError, DecodingError: something is missing or wrong.
    """
    if terms.threshold:
        value = [["Pedersen", _pedersen(terms)]]
    else:
        value = [["Single", _part(terms, "key", i)] for i in _indices(terms)]
    data = compact(value).encode()
    # Trustees are read in an election; the election's key is then what they give.
    blank = decode_election(election_file(terms, terms.codec.group.generator))
    trustees = decode_trustees(data, blank)
    key = stack([part.key for part in trustees.parts]).prod()
    if key.is_identity():
        raise VerificationError("the trustees' keys cancel each other out")
    election_data = election_file(terms, key)
    election = decode_election(election_data)
    for failure in check_trustees(trustees, election):
        raise failure
    return Setup(
        election=election, election_data=election_data, trustees=trustees, trustees_data=data
    )


# -- what a trustee posts --------------------------------------------------------------------------


def _single(terms: Terms, key: OperatorKey) -> dict[str, Any]:
    return prove_key(terms.codec, derived_secret(key, terms.base, b"key"))


def _certificate(terms: Terms, key: OperatorKey, index: int) -> dict[str, Any]:
    secret = derived_secret(key, terms.base, b"verification")
    ceremony_key = key.card.ceremony_key
    assert ceremony_key is not None
    codec = terms.codec
    context = {
        "group": codec.name,
        "size": len(terms.manifest.trustees),
        "threshold": terms.manifest.quorum,
        "index": index,
    }
    [verification] = codec.texts(codec.group.generator**secret)
    [encryption] = codec.texts(ceremony_key)
    inner = {"context": context, "verification": verification, "encryption": encryption}
    message = compact(inner)
    return {"message": message, "signature": sign_message(codec, secret, message)}


def _coefficients(
    terms: Terms, key: OperatorKey, data: bytes, certificates: list[Any]
) -> dict[str, Any]:
    parameters = ceremony_parameters(Record(terms.path))
    revealed = decode_reveal(parameters, data, terms.index_of(key.card))
    texts = terms.codec.texts(revealed.coefficients)
    secret = derived_secret(key, terms.base, b"verification")
    message = compact({"coefexps": texts})
    everything = compact({"certs": certificates, "coefexps": texts})
    return {
        "coefexps": {"message": message, "signature": sign_message(terms.codec, secret, message)},
        "signature": sign_message(terms.codec, secret, f"certs_sig|{everything}"),
    }


def _share_key(terms: Terms, key: OperatorKey, share: Scalars) -> dict[str, Any]:
    found = prove_key(terms.codec, share)
    secret = derived_secret(key, terms.base, b"verification")
    return found | {"signature": sign_message(terms.codec, secret, found["public_key"])}


def _received(terms: Terms, key: OperatorKey) -> Scalars:
    record = Record(terms.path)
    parameters, files = ceremony_parameters(record), record.ceremony_files()
    share = receive_shares(parameters, key, files).secret
    if share is None:
        raise VerificationError("a dealer's share is wrong: evote trustee check says whose")
    return share


def _check_coefficients(terms: Terms) -> None:
    """What trustees posted for Belenios is what they revealed in the ceremony.

    Raises:
        VerificationError, DecodingError: it is not, or is not there.
    """
    record = Record(terms.path)
    parameters, files = ceremony_parameters(record), record.ceremony_files()
    for i in _indices(terms):
        revealed = decode_reveal(parameters, files[ceremony_file_name("reveal", i)], i)
        message = compact({"coefexps": terms.codec.texts(revealed.coefficients)})
        posted = _part(terms, "coefficients", i)
        if _message_of(posted) != message:
            reason = "not the commitments that it revealed in the ceremony"
            raise VerificationError(f"{parameters.name(i)}: {reason}")


def _message_of(posted: Any) -> Any:
    inner = posted.get("coefexps") if isinstance(posted, dict) else None
    return inner.get("message") if isinstance(inner, dict) else None


def _pedersen(terms: Terms) -> dict[str, Any]:
    record = Record(terms.path)
    audit_ceremony(ceremony_parameters(record), record.ceremony_files())
    _check_coefficients(terms)
    parts: Mapping[str, list[Any]] = {
        kind: [_part(terms, kind, i) for i in _indices(terms)]
        for kind in ("certificate", "coefficients", "key")
    }
    return {
        "threshold": terms.manifest.quorum,
        "certs": parts["certificate"],
        "coefexps": [part["coefexps"] for part in parts["coefficients"]],
        "signatures": [part.get("signature") for part in parts["coefficients"]],
        "verification_keys": parts["key"],
    }


# -- files -----------------------------------------------------------------------------------------


def _open(
    directory: Path | str, record: Path | str, passphrase: Passphrase
) -> tuple[Terms, OperatorKey, int, Passphrase]:
    terms, secret = load_terms(record), conceal(passphrase)
    key = load_operator(directory, secret)
    if key.card not in terms.manifest.trustees:
        raise ParameterError(f"{key.card.role} {key.card.id} is no trustee of this election")
    return terms, key, terms.index_of(key.card), secret


def _indices(terms: Terms) -> range:
    return range(1, len(terms.manifest.trustees) + 1)


def _path(terms: Terms, kind: str, index: int) -> Path:
    return terms.path / "belenios" / f"{kind}-{index:03d}.json"


def _post(terms: Terms, key: OperatorKey, index: int, kind: str, make: Any) -> Path:
    """Post a file once: what is there of this trustee already stays as it is."""
    name = f"{kind}-{index:03d}"
    if terms.has(name):
        _part(terms, kind, index)
        return _path(terms, kind, index)
    return terms.post(name, kind, {"index": index, "value": compact(make())}, [key])


def _part(terms: Terms, kind: str, index: int) -> Any:
    """What a trustee posted, of which only the signature is checked.

    Raises:
        VerificationError, DecodingError: it is missing, or not the trustee's.
    """
    name = f"{kind}-{index:03d}"
    card = terms.manifest.trustees[index - 1]
    if not terms.has(name):
        raise VerificationError(f"no {kind} yet from trustee {index} ({card.id})")
    fields: Fields = terms.signed(name, kind, [card])
    fields.integer("index", index, index)
    value = parse(text_field(fields, "value").encode(), fields.path("value"))
    fields.end()
    return value
