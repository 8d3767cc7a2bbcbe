"""Swiss Post's crypto-primitives: shuffle arguments of Bayer and Groth, sigma proofs, hashes.

Two profiles, the rules of releases 1.2 and 1.5; `audit` recognises which one a file is of.
docs/swisspost.md has what is checked, and what is not.
"""

from evote.interop.swisspost._audit import CHECKS, audit, is_swisspost
from evote.interop.swisspost._hashing import (
    PROFILES,
    Profile,
    cut_to_bit_length,
    derive_commitment_key,
    expand,
    expand_to_zq,
    find_parameters,
    hash_to_zq,
    recursive_hash,
)
from evote.interop.swisspost._inspect import inspect
from evote.interop.swisspost._proofs import (
    CompactProof,
    prove_decryption,
    prove_exponentiation,
    prove_plaintext_equality,
    prove_schnorr,
    verify_decryption,
    verify_decryptions,
    verify_exponentiation,
    verify_plaintext_equality,
    verify_schnorr,
)
from evote.interop.swisspost._shuffles import prove_shuffle, verify_shuffle

__all__ = [
    "CHECKS",
    "OMITTED",
    "PROFILES",
    "CompactProof",
    "Profile",
    "audit",
    "cut_to_bit_length",
    "derive_commitment_key",
    "expand",
    "expand_to_zq",
    "find_parameters",
    "hash_to_zq",
    "inspect",
    "is_swisspost",
    "prove_decryption",
    "prove_exponentiation",
    "prove_plaintext_equality",
    "prove_schnorr",
    "prove_shuffle",
    "recursive_hash",
    "verify_decryption",
    "verify_decryptions",
    "verify_exponentiation",
    "verify_plaintext_equality",
    "verify_schnorr",
    "verify_shuffle",
]

OMITTED = (
    ("whole elections", "no record of one is public in a form that is described"),
    ("where keys and ciphertexts come from", "a case is a statement and a proof, and no more"),
)
