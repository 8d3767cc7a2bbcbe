"""What the proofs of n ballots are about, and their challenges: for those who prove and verify."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from evote.groups import Elements, concatenate
from evote.interop.belenios._election import Election
from evote.interop.belenios._plan import Claim, Nonzero, Plan, Ranking

__all__ = ["Prefixes", "Statement", "rows_of"]

T = TypeVar("T")

Prefixes = list[tuple[str, str]]
"""S0 and S of each question: what all hashes about it begin with."""


class Statement:
    """The ciphertexts of n ballots, with the products that proofs speak of.

    Attributes:
        alpha, beta: shape (n, columns and products).
    """

    def __init__(
        self,
        election: Election,
        plan: Plan,
        credentials: Sequence[str],
        alpha: Elements,
        beta: Elements,
    ) -> None:
        self.election, self.plan, self.credentials = election, plan, credentials
        self.alpha, self.beta = self._with_products(alpha), self._with_products(beta)
        self._alpha_texts = rows_of(election.codec.texts(self.alpha), len(credentials))
        self._beta_texts = rows_of(election.codec.texts(self.beta), len(credentials))
        [self._key] = election.codec.texts(election.key)

    def _with_products(self, columns: Elements) -> Elements:
        n = len(self.credentials)
        products = [
            columns[:, list(chosen)].prod(1) if chosen else columns.group.identity((n,))
            for chosen in self.plan.products
        ]
        return concatenate([columns, *(p.reshape((n, 1)) for p in products)], axis=1)

    def pair(self, i: int, column: int) -> str:
        """A ciphertext of ballot i, as it is hashed."""
        return f"{self._alpha_texts[i][column]},{self._beta_texts[i][column]}"

    def prefixes(self, i: int) -> Prefixes:
        """Of ballot i."""
        short = f"{self.election.fingerprint}|{self.credentials[i]}"
        return [
            (short, f"{short}|{','.join([self.pair(i, column) for column in range(start, end)])}")
            for start, end in self.plan.ranges
        ]

    def claim(self, i: int, prefixes: Prefixes, claim: Claim, commitments: Sequence[str]) -> int:
        """The challenge of a disjunction, of A and B of all branches in turn."""
        message = prefixes[claim.question][claim.whole]
        stated = self.pair(i, claim.stated) if claim.stated >= 0 else ""
        return self.election.oracle.proof(claim.tag, message, ",".join(commitments), stated)

    def ranking(self, i: int, prefixes: Prefixes, ranking: Ranking, commitment: str) -> int:
        """The challenge of a proof that the voter knows a nonce."""
        stated = f"{self._key},{self.pair(i, ranking.column)}"
        message = prefixes[ranking.question][0]
        return self.election.oracle.proof("raweg", message, commitment, stated)

    def nonzero(self, prefixes: Prefixes, claim: Nonzero, commitments: Sequence[str]) -> int:
        """The challenge of a proof that a column does not encrypt 0."""
        message = prefixes[claim.question][1]
        return self.election.oracle.proof("nonzero", message, ",".join(commitments))


def rows_of(items: list[T], count: int) -> list[list[T]]:
    """What is in C order as `count` rows."""
    width = len(items) // count if count else 0
    return [items[i * width : (i + 1) * width] for i in range(count)]
