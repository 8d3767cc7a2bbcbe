"""The trustees and their keys, in both versions and all three generations of thresholds.

A key is one trustee's alone (Single), or that of n trustees of whom t decrypt (Pedersen): trustee i
publishes A_ik = g^(a_ik), k < t; the key of trustee j is X_j = prod_i prod_k A_ik^(j^k), that of
all is prod_i A_i0.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import Any

from evote.errors import DecodingError
from evote.groups import Elements, stack
from evote.interop.belenios._codec import Codec
from evote.interop.belenios._election import Election
from evote.interop.belenios._forms import (
    Failed,
    compact,
    fields,
    items,
    number,
    parse,
    sha256_hex,
    string,
)
from evote.interop.belenios._signatures import Signature, failing

__all__ = ["Owner", "Part", "Trustees", "check_trustees", "decode_trustees"]

MAX_TRUSTEES = 500
GENERATIONS = {
    (False, False, False): "2.5 or before: neither context nor signatures over the certificates",
    (True, True, False): "2.5.1: the decryption keys are not signed",
    (True, True, True): "3.0 or later",
}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Owner:
    """A trustee, as shuffles and partial decryptions count them.

    Attributes:
        key: X.
        part, index: of which part, and the number in it, from 1.
        verification: the key that signs shuffles and decryptions in version 2.
    """

    key: Elements
    part: int
    index: int
    verification: str = ""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Part:
    """A factor of the election's key: of one trustee, or of several with a threshold."""

    key: Elements
    size: int
    threshold: int


@dataclass(slots=True, eq=False)
class Trustees:
    """All trustees; what has still to be verified is in the lists below."""

    parts: list[Part] = field(default_factory=list)
    owners: list[Owner] = field(default_factory=list)
    generations: set[tuple[bool, bool, bool]] = field(default_factory=set)
    names: int = 0  # that nothing binds
    keys: list[Elements] = field(default_factory=list)  # of the signatures
    signatures: list[Signature] = field(default_factory=list)
    wrong_keys: list[str] = field(default_factory=list)  # not what the coefficients give

    def expect(
        self, check: str, place: str, key: Elements, proof: tuple[int, int], challenge: Any
    ) -> None:
        """Note a signature to be verified."""
        self.keys.append(key)
        position = len(self.keys) - 1
        self.signatures.append(Signature(check, place, position, proof, challenge))


def check_trustees(trustees: Trustees, election: Election) -> list[Failed]:
    """What is wrong with keys and signatures."""
    found: list[Failed] = []
    if trustees.signatures:
        for signature in failing(election.codec, stack(trustees.keys), trustees.signatures):
            found.append(Failed(signature.check, f"{signature.place}: does not hold"))
    for place in trustees.wrong_keys:
        found.append(Failed("trustee-verification-key", f"{place}: not what coefexps give"))
    product = stack([part.key for part in trustees.parts]).prod()
    if product != election.key:
        found.append(Failed("election-public-key", "not the product of the trustees' keys"))
    return found


def decode_trustees(data: bytes, election: Election) -> Trustees:
    """Read the trustees, with membership of all elements.

    Raises:
        DecodingError: not a list of trustees, or of generations that were never written together.
        Failed: `trustee-cert` or `trustee-verification-key`, where contents contradict each other.
    """
    where = "trustees"
    value = items(parse(data, where), where, least=1)
    trustees = Trustees()
    for i, item in enumerate(value):
        place = f"{where}[{i}]"
        kind, inner = items(item, place, 2)
        if kind == "Single":
            _single(trustees, election, inner, place)
        elif kind == "Pedersen":
            reader = _pedersen if election.version == 1 else _pedersen_2
            reader(trustees, election, inner, place)
        else:
            raise DecodingError("Single or Pedersen expected", where=place)
        if len(trustees.owners) > MAX_TRUSTEES:
            raise DecodingError(f"more than {MAX_TRUSTEES} trustees", where=where)
    if len(trustees.generations) > 1 or trustees.generations - set(GENERATIONS):
        raise DecodingError("not uniformly of one generation", where=where)
    return trustees


def _join(trustees: Trustees, part: Part, keys: list[tuple[Elements, str]]) -> None:
    number_of_part = len(trustees.parts)
    trustees.parts.append(part)
    for index, (key, verification) in enumerate(keys, 1):
        trustees.owners.append(
            Owner(key=key, part=number_of_part, index=index, verification=verification)
        )


def _single(trustees: Trustees, election: Election, value: Any, place: str) -> None:
    codec, oracle = election.codec, election.oracle
    if election.version == 1:
        found = fields(value, place, "pok", "public_key", "name?")
        key = _known_key(trustees, election, found, place)
        verification = ""
    else:
        found = fields(value, place, "cert", "verification_key")
        message, signature = _signed(found["cert"], codec, f"{place}.cert")
        names = ("context", "verification", "encryption")
        inner = fields(message, f"{place}.cert", *names)
        if inner["context"] is not None:
            raise Failed("trustee-cert", f"{place}.cert: a context that is not null")
        verification = string(inner["verification"], place)
        pair = codec.elements([verification, inner["encryption"]], f"{place}.cert")
        challenge = partial(oracle.signature, "basic-cert", verification, message)
        trustees.expect("trustee-cert", f"{place}.cert", pair[0], signature, challenge)
        key, _ = _signed_key(trustees, election, found["verification_key"], pair[0], place)
    _join(trustees, Part(key=key, size=1, threshold=1), [(key, verification)])


def _known_key(
    trustees: Trustees, election: Election, found: dict[str, Any], place: str
) -> Elements:
    """A key of version 1 with its proof of knowledge."""
    codec = election.codec
    text = string(found["public_key"], place)
    key = codec.elements([text], f"{place}.public_key").reshape(())
    proof = codec.proof(found["pok"], f"{place}.pok")
    challenge = partial(election.oracle.knowledge, text)
    trustees.expect("trustee-pok", f"{place}.pok", key, proof, challenge)
    if "name" in found:
        string(found["name"], f"{place}.name")
        trustees.names += 1
    return key


def _signed(value: Any, codec: Codec, place: str) -> tuple[Any, tuple[int, int]]:
    found = fields(value, place, "message", "signature")
    return found["message"], codec.proof(found["signature"], f"{place}.signature")


def _pedersen(trustees: Trustees, election: Election, value: Any, place: str) -> None:
    """Version 1: messages are strings that hold JSON."""
    codec, oracle = election.codec, election.oracle
    names = ("threshold", "certs", "coefexps", "signatures?", "verification_keys")
    found = fields(value, place, *names)
    certs = items(found["certs"], f"{place}.certs", least=1)
    size = len(certs)
    threshold = number(found["threshold"], place, low=1, high=size)
    if size > MAX_TRUSTEES:
        raise DecodingError(f"more than {MAX_TRUSTEES} trustees", where=place)
    keys: list[Elements] = []
    coefficients: list[Elements] = []
    texts: list[list[str]] = []
    contexts = set()
    for i, cert in enumerate(certs):
        where = f"{place}.certs[{i}]"
        message, signature = _signed(cert, codec, where)
        inner = _message(message, where, "context?", "verification", "encryption")
        contexts.add("context" in inner)
        expected = {"group": codec.name, "size": size, "threshold": threshold, "index": i + 1}
        if inner.get("context", expected) != expected:
            raise Failed("trustee-cert", f"{where}: another context")
        pair = codec.elements([inner["verification"], inner["encryption"]], where)
        challenge = partial(oracle.signature, "sigmsg", "", message)
        trustees.expect("trustee-cert", where, pair[0], signature, challenge)
        keys.append(pair[0])
    for i, item in enumerate(items(found["coefexps"], f"{place}.coefexps", size)):
        where = f"{place}.coefexps[{i}]"
        message, signature = _signed(item, codec, where)
        texts.append(items(_message(message, where, "coefexps")["coefexps"], where, threshold))
        coefficients.append(codec.elements(texts[-1], where))
        challenge = partial(oracle.signature, "sigmsg", "", message)
        trustees.expect("trustee-coefexps", where, keys[i], signature, challenge)
    if "signatures" in found:
        for i, proof in enumerate(items(found["signatures"], f"{place}.signatures", size)):
            where = f"{place}.signatures[{i}]"
            message = "certs_sig|" + compact({"certs": certs, "coefexps": texts[i]})
            challenge = partial(oracle.signature, "sigmsg", "", message)
            check = "trustee-certs-signature"
            trustees.expect(check, where, keys[i], codec.proof(proof, where), challenge)
    partial_keys, signed = [], set()
    for j, item in enumerate(items(found["verification_keys"], place, size)):
        where = f"{place}.verification_keys[{j}]"
        inner = fields(item, where, "pok", "public_key", "signature?", "name?")
        partial_keys.append(_known_key(trustees, election, inner, where))
        signed.add("signature" in inner)
        if "signature" in inner:
            proof = codec.proof(inner["signature"], where)
            challenge = partial(oracle.signature, "sigmsg", "", inner["public_key"])
            trustees.expect("trustee-vk-signature", where, keys[j], proof, challenge)
    if len(contexts) > 1 or len(signed) > 1:
        raise DecodingError("not uniformly of one generation", where=place)
    trustees.generations.add((contexts.pop(), "signatures" in found, signed.pop()))
    _threshold(trustees, coefficients, [(key, "") for key in partial_keys], threshold, place)


def _message(text: Any, where: str, *names: str) -> dict[str, Any]:
    """The fields of a JSON text in a string."""
    data = string(text, where).encode("utf-8", "surrogatepass")
    return fields(parse(data, where), where, *names)


def _pedersen_2(trustees: Trustees, election: Election, value: Any, place: str) -> None:
    """Version 2: messages are JSON."""
    codec, oracle = election.codec, election.oracle
    names = ("context", "certs", "coefexps", "signatures", "verification_keys")
    found = fields(value, place, *names)
    where = f"{place}.context"
    context = fields(found["context"], where, "algorithm", "group", "names", "threshold")
    people = [string(name, where) for name in items(context["names"], where, least=1)]
    size = len(people)
    threshold = number(context["threshold"], where, low=1, high=size)
    if context["algorithm"] != "AES-GCM" or context["group"] != codec.name or size > MAX_TRUSTEES:
        raise Failed("trustee-cert", f"{where}: another context")
    certs = items(found["certs"], f"{place}.certs", size)
    keys: list[tuple[Elements, str]] = []
    coefficients: list[Elements] = []
    for i, item in enumerate(items(found["coefexps"], f"{place}.coefexps", size)):
        where = f"{place}.coefexps[{i}]"
        texts = items(fields(item, where, "coefexps")["coefexps"], where, threshold)
        coefficients.append(codec.elements(texts, where))
    for i, cert in enumerate(certs):
        where = f"{place}.certs[{i}]"
        message, signature = _signed(cert, codec, where)
        inner = fields(message, where, "context", "verification", "encryption")
        own = fields(inner["context"], where, "context", "coefexps")
        digest = sha256_hex(compact(found["coefexps"][i]).encode("utf-8", "surrogatepass"))
        if type(own["context"]) is not int or own["context"] != i + 1:
            raise Failed("trustee-cert", f"{where}: of another trustee")
        if own["coefexps"] != digest:
            raise Failed("trustee-coefexps", f"{place}.coefexps[{i}]: not those of the certificate")
        pair = codec.elements([inner["verification"], inner["encryption"]], where)
        whole = {"context": {"context": context, "index": i + 1}, "coefexps": digest}
        signed = {**inner, "context": whole}
        verification = string(inner["verification"], where)
        challenge = partial(oracle.signature, "pedersen-cert", verification, signed)
        trustees.expect("trustee-cert", where, pair[0], signature, challenge)
        keys.append((pair[0], verification))
    everything = {"context": context, "certs": certs}
    for i, proof in enumerate(items(found["signatures"], f"{place}.signatures", size)):
        where = f"{place}.signatures[{i}]"
        challenge = partial(oracle.signature, "pedersen-certs", keys[i][1], everything)
        check = "trustee-certs-signature"
        trustees.expect(check, where, keys[i][0], codec.proof(proof, where), challenge)
    partial_keys = []
    for j, item in enumerate(items(found["verification_keys"], place, size)):
        where = f"{place}.verification_keys[{j}]"
        key, name = _signed_key(trustees, election, item, keys[j][0], where)
        if name != people[j]:
            raise Failed("trustee-verification-key", f"{where}: another name than in the context")
        partial_keys.append((key, keys[j][1]))
    trustees.generations.add((True, True, True))
    _threshold(trustees, coefficients, partial_keys, threshold, place)


def _signed_key(
    trustees: Trustees, election: Election, value: Any, signer: Elements, place: str
) -> tuple[Elements, Any]:
    """A key of version 2, signed by itself and by a verification key; and its owner's name."""
    codec, oracle = election.codec, election.oracle
    inner, outer_signature = _signed(value, codec, place)
    message, inner_signature = _signed(inner, codec, place)
    found = fields(message, place, "public_key", "name?")
    text = string(found["public_key"], place)
    key = codec.elements([text], place).reshape(())
    challenge = partial(oracle.signature, "verification_key", text, message)
    trustees.expect("trustee-pok", place, key, inner_signature, challenge)
    [verification] = codec.texts(signer)
    challenge = partial(oracle.signature, "outer-verification_key", verification, inner)
    trustees.expect("trustee-vk-signature", place, signer, outer_signature, challenge)
    return key, found.get("name")


def _threshold(
    trustees: Trustees,
    coefficients: list[Elements],
    keys: list[tuple[Elements, str]],
    threshold: int,
    place: str,
) -> None:
    """Join a part; X_j = prod_k B_k^(j^k), where B_k = prod_i A_ik."""
    sums = stack(coefficients).prod(0)
    group, size = sums.group, len(keys)
    exponents = group.scalars([[j**k for k in range(threshold)] for j in range(1, size + 1)])
    expected = group.multiexp(sums.reshape((1, threshold)), exponents, axis=1)
    right = stack([key for key, _ in keys]).equal_mask(expected)
    for j in range(size):
        if not right[j]:
            trustees.wrong_keys.append(f"{place}.verification_keys[{j}]")
    _join(trustees, Part(key=sums[0], size=size, threshold=threshold), keys)
