"""Encrypt a thousand marks, prove that each is 0 or 1, add them up unseen, decrypt the sum."""

from __future__ import annotations

import numpy as np

from evote import InvalidProof, ristretto255
from evote.elgamal import decrypt, encrypt_exponential, generate_key
from evote.groups.discrete_log import discrete_logs
from evote.proofs import OneOfWitness, prove_one_of, verify_one_of, zero_or_one
from evote.transcript import Transcript


def main() -> None:
    group = ristretto255
    secret = generate_key(group)
    key = secret.public

    # Arrays first: one call, whether there is one mark or a million.
    marks = (np.arange(1000) % 3 == 0).astype(np.int64)
    ciphertexts, nonces = encrypt_exponential(key, group.scalars(marks))

    # Nobody has to believe the values: each comes with a proof. Both sides start the same
    # transcript; a proof made for another place does not verify here.
    statement = zero_or_one(key, ciphertexts)
    witness = OneOfWitness(nonces=nonces.reshape((1000, 1)), branches=marks)
    proof = prove_one_of(statement, witness, Transcript(b"example", group))
    verify_one_of(statement, proof, Transcript(b"example", group))
    try:
        verify_one_of(statement, proof, Transcript(b"elsewhere", group))
    except InvalidProof as error:
        print(f"moved to another transcript: {len(error.indices)} proofs refused")

    # The product of the ciphertexts encrypts the sum of the marks.
    total = decrypt(secret, ciphertexts.prod())
    print(f"sum: {discrete_logs(total.reshape((1,)), bound=1000)[0]} of {len(marks)}")


if __name__ == "__main__":
    main()
