"""Swiss Post's challenges for the arguments of Bayer and Groth.

All are K(...) = H(p, q, pk, ck, ...) but for y and z of the shuffle, which put c_B first, and the
second challenges, which put the string "1" first. They are integers of 256 bits, so q has more. A
ciphertext is the list gamma, phi_0, ..; a matrix the list of its rows; the commitment key one list.
Neither g nor anything of an outer argument is hashed.
"""

from __future__ import annotations

from evote._bayer_groth import (
    BayerGrothClaim,
    HadamardStatement,
    MultiExponentiationStatement,
    SingleValueStatement,
    WideCiphertexts,
    ZeroStatement,
)
from evote.commitments import CommitmentKey
from evote.errors import ParameterError
from evote.groups import Elements, ModPGroup, Scalars
from evote.interop.swisspost._hashing import Hashable, Profile, recursive_hash

__all__ = ["SwissPostOracle", "ciphertext_integers", "integers"]

CHALLENGE_BITS = 256


def integers(elements: Elements) -> list[int]:
    """Elements as integers, flat."""
    data, size = elements.encode(), elements.group.element_size
    return [int.from_bytes(data[i : i + size], "big") for i in range(0, len(data), size)]


def ciphertext_integers(ciphertexts: WideCiphertexts) -> list[list[int]]:
    """The list of a ciphertext for each place, flat."""
    gammas, phis = integers(ciphertexts.alpha), integers(ciphertexts.beta)
    width = ciphertexts.width
    return [[gamma, *phis[i * width : (i + 1) * width]] for i, gamma in enumerate(gammas)]


class SwissPostOracle:
    """Challenges under the rules of a profile; it remembers them by name in `drawn`."""

    def __init__(
        self, profile: Profile, group: ModPGroup, key: Elements, ck: CommitmentKey
    ) -> None:
        """With all elements of the public key and of the commitment key, used or not."""
        if group.q.bit_length() <= CHALLENGE_BITS:
            raise ParameterError(f"challenges of {CHALLENGE_BITS} bits for a shorter q")
        self.profile, self.group = profile, group
        flat_key: list[Hashable] = [*integers(ck.blinding), *integers(ck.bases)]
        self._common: tuple[Hashable, ...] = (group.p, group.q, integers(key), flat_key)
        self.drawn: dict[str, int] = {}

    def _draw(self, name: str, *values: Hashable) -> Scalars:
        challenge = int.from_bytes(recursive_hash(self.profile, *values), "big")
        self.drawn[name] = challenge
        return self.group.scalars(challenge)

    def powers_of(self, claim: BayerGrothClaim, c_a: Elements) -> Scalars:
        inputs, outputs = ciphertext_integers(claim.inputs), ciphertext_integers(claim.outputs)
        return self._draw("x", *self._common, inputs, outputs, integers(c_a))

    def product_of(
        self, claim: BayerGrothClaim, c_a: Elements, c_b: Elements
    ) -> tuple[Scalars, Scalars]:
        inputs, outputs = ciphertext_integers(claim.inputs), ciphertext_integers(claim.outputs)
        values = (integers(c_b), *self._common, inputs, outputs, integers(c_a))
        return self._draw("y", *values), self._draw("z", "1", *values)

    def hadamard(self, statement: HadamardStatement, c_b: Elements) -> tuple[Scalars, Scalars]:
        [single] = integers(statement.c_b)
        values = (*self._common, integers(statement.c_a), single, integers(c_b))
        return self._draw("hadamard x", *values), self._draw("hadamard y", "1", *values)

    def zero(
        self, statement: ZeroStatement, c_a0: Elements, c_bm: Elements, c_d: Elements
    ) -> Scalars:
        return self._draw(
            "zero x",
            *self._common,
            *integers(c_a0),
            *integers(c_bm),
            integers(c_d),
            integers(statement.c_b),
            integers(statement.c_a),
        )

    def single_value(
        self, statement: SingleValueStatement, c_d: Elements, c_lower: Elements, c_upper: Elements
    ) -> Scalars:
        return self._draw(
            "single value x",
            *self._common,
            *integers(c_upper),
            *integers(c_lower),
            *integers(c_d),
            statement.b.to_ints(),
            *integers(statement.c_a),
        )

    def multi_exponentiation(
        self,
        statement: MultiExponentiationStatement,
        c_a0: Elements,
        c_b: Elements,
        e: WideCiphertexts,
    ) -> Scalars:
        rows, n = ciphertext_integers(statement.rows), statement.rows.places[1]
        [target] = ciphertext_integers(statement.target)
        return self._draw(
            "multi-exponentiation x",
            *self._common,
            [rows[i : i + n] for i in range(0, len(rows), n)],
            target,
            integers(statement.c_a),
            *integers(c_a0),
            integers(c_b),
            ciphertext_integers(e),
        )

    def respond(self, *responses: Scalars) -> None:
        """No challenge depends on responses."""
