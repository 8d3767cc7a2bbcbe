"""What a case claims, recognised by the names of its fields, and whether it holds.

Arguments and proofs are verified; what a case computes is computed again. Either way a case that
says how it comes out, or which challenges it has, is compared with what comes out here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from evote._bayer_groth import (
    HadamardStatement,
    MultiExponentiationStatement,
    ProductStatement,
    SingleValueStatement,
    ZeroStatement,
    equations_of_hadamard,
    equations_of_multi_exponentiation,
    equations_of_product,
    equations_of_single_value,
    equations_of_zero,
    require_equations,
    star,
)
from evote.commitments import CommitmentKey
from evote.encoding import Fields
from evote.errors import DecodingError, ShapeMismatch, UnsupportedError, VerificationError
from evote.groups import Elements, ModPGroup
from evote.interop.swisspost._hashing import (
    Hashable,
    check_parameters,
    cut_to_bit_length,
    derive_commitment_key,
    expand,
    framed_strings,
    hash_to_zq,
    recursive_hash,
)
from evote.interop.swisspost._oracle import SwissPostOracle
from evote.interop.swisspost._proofs import (
    verify_decryption,
    verify_exponentiation,
    verify_plaintext_equality,
    verify_schnorr,
)
from evote.interop.swisspost._reading import MAX_ITEMS, Reader, decode_base64
from evote.interop.swisspost._shuffles import narrowed, verify_shuffle

__all__ = ["KINDS", "Case", "Kind", "kind_of"]

MAX_BYTES = 2**20  # of a text in base64, and of what is derived
MAX_MEMORY = 19  # of Argon2id: 2^19 KiB, and four rounds of these; its standard profile has 2^21
_HASHES = {"SHA-1": "sha1", "SHA-256": "sha256", "SHA3-256": "sha3_256"}


@dataclass(slots=True, kw_only=True)
class Case:
    """One case of a file, with what has been learnt of it.

    Attributes:
        key: the public key, shape (k,), and `ck` the commitment key, where the context has them.
        sizes: what is shown of it.
        drawn: the challenges, by name.
        unbound: parts that no check depends on.
    """

    reader: Reader
    context: Fields | None
    input: Fields
    output: Fields | None
    key: Elements | None = None
    ck: CommitmentKey | None = None
    sizes: str = ""
    drawn: dict[str, int] = field(default_factory=dict)
    unbound: tuple[str, ...] = ()

    @property
    def group(self) -> ModPGroup:
        return self.reader.group

    def given(self) -> tuple[Elements, CommitmentKey]:
        """The keys that arguments of a mix-net have in their context."""
        if self.key is None or self.ck is None:
            raise DecodingError("pk and ck are missing in the context")
        return self.key, self.ck

    def oracle(self) -> SwissPostOracle:
        oracle = SwissPostOracle(self.reader.profile, self.group, *self.given())
        self.drawn = oracle.drawn
        return oracle

    def result(self) -> Fields:
        if self.output is None:
            raise DecodingError("an output expected")
        return self.output

    def bytes(self, fields: Fields, key: str) -> bytes:
        """A text in base64."""
        text = fields.value(key)
        if type(text) is not str or len(text) > MAX_BYTES:
            fields.fail(key, "base64 expected")
        return decode_base64(text, where=fields.path(key))

    def compare(self, what: str, found: object, said: object) -> None:
        """Refuse what the case says, if something else was found."""
        if found != said:
            raise VerificationError(f"{what} is not what was computed")


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of case.

    Attributes:
        name: for people.
        check: its check, after `swisspost.`.
        fields: of the input; those after them in `options` may be there.
        run: verifies or computes.
        verdict: whether the output says if it holds.
        needs: fields the context has to have.
        nested: fields of `statement`, where that is an object.
    """

    name: str
    check: str
    fields: frozenset[str]
    run: Callable[[Case], None]
    verdict: bool = True
    nested: frozenset[str] | None = None
    options: frozenset[str] = frozenset()


def kind_of(value: Fields) -> Kind | None:
    """The kind of an input; None if there is none with these fields."""
    names = {name for kind in KINDS for name in kind.fields | kind.options if name in value}
    found = [k for k in KINDS if k.fields <= names <= k.fields | k.options]
    statement = value.value("statement") if "statement" in value else None
    nested = frozenset(statement) if isinstance(statement, dict) else None
    product = isinstance(statement, dict) and isinstance(statement.get("c_a"), list)
    for kind in found:
        if kind.nested == nested and (nested != _PRODUCT.nested or product == (kind is _PRODUCT)):
            return kind
    return None


# -- arguments -------------------------------------------------------------------------------------


def _statement(case: Case) -> Fields:
    return case.input.object("statement")


def _argument(case: Case) -> Fields:
    return case.input.object("argument")


def _shuffle(case: Case) -> None:
    fields, reader = _statement(case), case.reader
    names = ("ciphertexts", "shuffled_ciphertexts")
    inputs, outputs = (reader.ciphertexts(fields.value(n), fields.path(n)) for n in names)
    argument = reader.shuffle(_argument(case))
    key, ck = case.given()
    case.sizes = f"{len(inputs.beta)} ciphertexts of {inputs.width}, m = {len(argument.c_a)}"
    drawn = verify_shuffle(reader.profile, key, inputs, outputs, argument, given=ck)
    case.drawn = drawn


def _multi_exponentiation(case: Case) -> None:
    fields, reader = _statement(case), case.reader
    key, ck = case.given()
    target = reader.ciphertext(
        fields.value("ciphertext_product"), fields.path("ciphertext_product")
    )
    statement = MultiExponentiationStatement(
        rows=reader.rows(fields.value("ciphertexts"), fields.path("ciphertexts")),
        target=target,
        c_a=reader.elements(fields, "c_a"),
    )
    m, n = statement.rows.places
    case.sizes = f"{m} rows of {n} ciphertexts of {statement.rows.width}"
    argument = reader.multi_exponentiation(_argument(case))
    if len(key) < statement.rows.width:
        raise ShapeMismatch(f"a key of {len(key)} elements for {statement.rows.width} messages")
    equations = equations_of_multi_exponentiation(
        narrowed(ck, n),
        key[: statement.rows.width],
        statement,
        argument,
        case.oracle(),
        hidden=1,
    )
    require_equations("multi-exponentiation", equations)
    case.drawn["x"] = case.drawn["multi-exponentiation x"]


def _product(case: Case) -> None:
    fields, reader = _statement(case), case.reader
    statement = ProductStatement(c_a=reader.elements(fields, "c_a"), b=reader.scalar(fields, "b"))
    argument, (_, ck) = reader.product(_argument(case)), case.given()
    case.sizes = f"{len(statement.c_a)} commitments to {ck.width} values"
    case.unbound = ("g",)
    require_equations("product", equations_of_product(ck, statement, argument, case.oracle()))


def _hadamard(case: Case) -> None:
    fields, reader = _statement(case), case.reader
    statement = HadamardStatement(
        c_a=reader.elements(fields, "c_a"), c_b=reader.element(fields, "c_b")
    )
    argument, (_, ck) = reader.hadamard(_argument(case)), case.given()
    case.sizes = f"{len(statement.c_a)} commitments to {ck.width} values"
    case.unbound = ("g",)
    require_equations("Hadamard", equations_of_hadamard(ck, statement, argument, case.oracle()))
    case.drawn |= {"x": case.drawn["hadamard x"], "y": case.drawn["hadamard y"]}


def _zero(case: Case) -> None:
    fields, reader = _statement(case), case.reader
    statement = ZeroStatement(
        c_a=reader.elements(fields, "c_a"),
        c_b=reader.elements(fields, "c_b"),
        y=reader.scalar(fields, "y"),
    )
    argument, (_, ck) = reader.zero(_argument(case)), case.given()
    case.sizes = f"2 times {len(statement.c_a)} commitments to {ck.width} values"
    case.unbound = ("g",)
    require_equations("zero", equations_of_zero(ck, statement, argument, case.oracle()))
    case.drawn["x"] = case.drawn["zero x"]


def _single_value(case: Case) -> None:
    fields, reader = _statement(case), case.reader
    statement = SingleValueStatement(
        c_a=reader.element(fields, "c_a"), b=reader.scalar(fields, "b")
    )
    argument, (_, ck) = reader.single_value(_argument(case)), case.given()
    case.sizes = f"a commitment to {ck.width} values"
    case.unbound = ("g",)
    equations = equations_of_single_value(ck, statement, argument, case.oracle())
    require_equations("single value", equations)
    case.drawn["x"] = case.drawn["single value x"]


# -- proofs ----------------------------------------------------------------------------------------

_STRINGS = ("additional_information", "i_aux")


def _auxiliary(case: Case) -> list[str]:
    return case.reader.strings(case.input, *_STRINGS) if _has_strings(case) else []


def _has_strings(case: Case) -> bool:
    return any(name in case.input for name in _STRINGS)


def _schnorr(case: Case) -> None:
    reader, fields = case.reader, case.input
    image = reader.element(fields, "statement")
    verify_schnorr(reader.profile, image, reader.compact(fields.object("proof")), _auxiliary(case))


def _exponentiation(case: Case) -> None:
    reader, fields = case.reader, case.input
    bases, images = reader.elements(fields, "bases"), reader.elements(fields, "statement")
    case.sizes = f"{len(bases)} bases"
    case.unbound = ("g",)
    proof = reader.compact(fields.object("proof"))
    verify_exponentiation(reader.profile, bases, images, proof, _auxiliary(case))


def _decryption(case: Case) -> None:
    reader, fields = case.reader, case.input
    ciphertext = reader.ciphertext(fields.value("ciphertext"), fields.path("ciphertext"))
    key = reader.elements(fields, "public_key", one=False)
    messages = reader.elements(fields, "message")
    case.sizes = f"{ciphertext.width} messages"
    proof = reader.compact(fields.object("proof"))
    verify_decryption(reader.profile, ciphertext, key, messages, proof, _auxiliary(case))
    if len(key) > ciphertext.width:
        case.unbound = (f"public_key[{ciphertext.width}..]",)


def _plaintext_equality(case: Case) -> None:
    reader, fields = case.reader, case.input
    first, second = (
        reader.ciphertext(fields.value(name), fields.path(name))
        for name in ("upper_c", "upper_c_prime")
    )
    keys = reader.element(fields, "h", one=False), reader.element(fields, "h_prime", one=False)
    proof = reader.compact(fields.object("proof"))
    verify_plaintext_equality(reader.profile, first, second, keys, proof, _auxiliary(case))


# -- computations ----------------------------------------------------------------------------------


def _hash(case: Case) -> None:
    if case.context is None or case.context.value("hash_function") != "SHA3-256":
        raise UnsupportedError("a hash function other than SHA3-256")
    values = _values(case)
    said = case.bytes(case.result(), "hash")
    case.compare("hash", recursive_hash(case.reader.profile, *values), said)


def _values(case: Case) -> list[Hashable]:
    items = case.input.list("values", MAX_ITEMS)
    if not items:
        case.input.fail("values", "at least one value expected")
    where = case.input.path("values")
    return [case.reader.hashable(item, f"{where}[{i}]") for i, item in enumerate(items)]


def _hash_to_zq(case: Case) -> None:
    q = case.reader.integer(case.input, "q")
    found = hash_to_zq(case.reader.profile, q, *_values(case))
    case.compare("result", found, case.reader.integer(case.result(), "result"))


def _cut(case: Case) -> None:
    data = case.bytes(case.input, "value")
    bits = case.input.integer("bit_length", 1, 8 * MAX_BYTES)
    case.compare("result", cut_to_bit_length(data, bits), case.bytes(case.result(), "result"))


def _parameters(case: Case) -> None:
    reader, fields, output = case.reader, case.input, case.result()
    p, q, g = (reader.integer(output, name) for name in "pqg")
    bits, seed = p.bit_length(), fields.text("seed", max_length=1000)
    if "bit_len" in fields:
        case.compare("bit_len", fields.integer("bit_len", 1, 2**16), bits)
    if "lambda" in fields:
        case.compare("lambda", fields.integer("lambda", 1, 2**10), 112 if bits == 2048 else 128)
    case.sizes = f"{bits} bits"
    check_parameters(reader.profile, seed, p, q, g)


def _commitment_key(case: Case) -> None:
    width, output = case.input.integer("k", 1, MAX_ITEMS), case.result()
    said = case.reader.commitment_key(output)
    case.compare("k", width, said.width)
    found = derive_commitment_key(case.reader.profile, case.group, width)
    case.sizes = f"{width} values"
    case.unbound = ("g, unless a hash is g",)
    case.compare("h", found.blinding, said.blinding)
    case.compare("g", found.bases, said.bases)


def _ciphertext(case: Case) -> None:
    reader, fields, output = case.reader, case.input, case.result()
    messages, key = reader.elements(fields, "bold_m"), reader.elements(fields, "bold_pk", one=False)
    r = reader.scalar(fields, "r")
    if not 0 < len(messages) <= len(key):
        raise ShapeMismatch(f"{len(messages)} messages and a key of {len(key)} elements")
    if len(key) > len(messages):
        case.unbound = (f"bold_pk[{len(messages)}..]",)
    case.compare("gamma", case.group.generator**r, reader.element(output, "gamma"))
    phis = reader.elements(output, "phis")
    case.compare("phis", key[: len(messages)] ** r * messages, phis)


def _bilinear_map(case: Case) -> None:
    reader, fields = case.reader, case.input
    a, b, y = reader.scalars(fields, "a"), reader.scalars(fields, "b"), reader.scalar(fields, "y")
    if not a.size or a.shape != b.shape:
        raise ShapeMismatch(f"vectors of {len(a)} and {len(b)} values")
    case.unbound = ("g", "pk", "ck")
    case.compare("value", star(a, b, y), reader.scalar(case.result(), "value"))


def _derived_key(case: Case) -> None:
    name = None if case.context is None else case.context.value("hash")
    if not isinstance(name, str) or name not in _HASHES:
        raise UnsupportedError("HKDF with another hash than SHA-1, SHA-256, SHA3-256")
    fields = case.input
    found = expand(
        case.bytes(fields, "prk"),
        case.reader.strings(fields, "info"),
        fields.integer("length", 1, MAX_BYTES),
        hash_name=_HASHES[name],
    )
    case.compare("okm", found, case.bytes(case.result(), "okm"))


def _argon2id(case: Case) -> None:
    context = case.context
    if context is None:
        raise DecodingError("a context expected")
    memory, lanes = context.integer("m", 3, 21), context.integer("p", 1, 4)
    said = case.bytes(case.result(), "t")
    rounds = context.integer("i", 1, 16)
    salt = case.bytes(case.input, "s")
    if len(salt) < 8 or not 4 <= len(said) <= 64 or 2**memory < 8 * lanes:
        raise DecodingError("no parameters of Argon2id")
    if memory > MAX_MEMORY or rounds << memory > 4 << MAX_MEMORY:
        raise UnsupportedError(f"Argon2id, {rounds} rounds of 2^{memory} KiB")
    kdf = Argon2id(
        salt=salt, length=len(said), iterations=rounds, lanes=lanes, memory_cost=2**memory
    )
    case.compare("t", kdf.derive(case.bytes(case.input, "k")), said)


def _symmetric(case: Case) -> None:
    fields, output = case.input, case.result()
    key, nonce = case.bytes(fields, "encryption_key"), case.bytes(output, "nonce")
    if len(key) != 32 or len(nonce) != 12:
        raise DecodingError("a key of 32 and a nonce of 12 bytes expected")
    associated = framed_strings(case.reader.strings(fields, "associated_data"))
    ciphertext, plaintext = case.bytes(output, "ciphertext"), case.bytes(fields, "plaintext")
    try:
        found = AESGCM(key).decrypt(nonce, ciphertext, associated)
    except InvalidTag:
        raise VerificationError("the ciphertext does not decrypt") from None
    case.compare("plaintext", found, plaintext)


def _kind(
    name: str,
    check: str,
    fields: str,
    run: Callable[[Case], None],
    *,
    nested: str | None = None,
    verdict: bool = True,
    options: str = "",
) -> Kind:
    return Kind(
        name,
        check,
        frozenset(fields.split()),
        run,
        verdict,
        None if nested is None else frozenset(nested.split()),
        frozenset(options.split()),
    )


_AUX = "additional_information i_aux"
_BOTH = "statement argument"
_PRODUCT = _kind("product argument", "product", _BOTH, _product, nested="c_a b")

KINDS = (
    _kind(
        "shuffle argument",
        "shuffle",
        _BOTH,
        _shuffle,
        nested="ciphertexts shuffled_ciphertexts",
    ),
    _kind(
        "multi-exponentiation argument",
        "multi-exponentiation",
        _BOTH,
        _multi_exponentiation,
        nested="ciphertexts ciphertext_product c_a",
    ),
    _PRODUCT,
    _kind("Hadamard argument", "hadamard", _BOTH, _hadamard, nested="c_a c_b"),
    _kind("zero argument", "zero", _BOTH, _zero, nested="c_a c_b y"),
    _kind("single value product argument", "single-value", _BOTH, _single_value, nested="c_a b"),
    _kind(
        "exponentiation proof",
        "exponentiation",
        "bases statement proof",
        _exponentiation,
        options=_AUX,
    ),
    _kind("Schnorr proof", "schnorr", "statement proof", _schnorr, options=_AUX),
    _kind(
        "decryption proof",
        "decryption",
        "ciphertext public_key message proof",
        _decryption,
        options=_AUX,
    ),
    _kind(
        "plaintext equality proof",
        "plaintext-equality",
        "upper_c upper_c_prime h h_prime proof",
        _plaintext_equality,
        options=_AUX,
    ),
    _kind("hash to an exponent", "hash-to-zq", "q values", _hash_to_zq, verdict=False),
    _kind("recursive hash", "hash", "values", _hash, verdict=False),
    _kind("cut to bit length", "cut", "bit_length value", _cut, verdict=False),
    _kind(
        "group parameters",
        "parameters",
        "seed",
        _parameters,
        verdict=False,
        options="bit_len lambda",
    ),
    _kind("commitment key", "commitment-key", "k", _commitment_key, verdict=False),
    _kind("ciphertext", "ciphertext", "bold_m r bold_pk", _ciphertext, verdict=False),
    _kind("star map", "star-map", "a b y", _bilinear_map, verdict=False),
    _kind("derived key", "derived-key", "prk info length", _derived_key, verdict=False),
    _kind("Argon2id", "argon2id", "k s", _argon2id, verdict=False),
    _kind(
        "symmetric ciphertext",
        "symmetric",
        "encryption_key plaintext associated_data",
        _symmetric,
        verdict=False,
    ),
)
