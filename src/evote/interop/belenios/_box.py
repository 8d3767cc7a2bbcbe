"""The ballot box: all ballots verified batch by batch, and those that count summed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np

from evote._fingerprints import Fingerprints
from evote.errors import EvoteError
from evote.interop._reports import Notice
from evote.interop.belenios._archive import Archive
from evote.interop.belenios._ballots import Ballot, decode_ballot, read_batch, verify_batch
from evote.interop.belenios._election import Credentials, Election
from evote.interop.belenios._forms import Failed, sha256_hex
from evote.interop.belenios._plan import make_plan
from evote.interop.belenios._tally import Sums

__all__ = ["Box", "verify_ballots"]

_CIPHERTEXTS = 4096  # of a batch, about
_MAX_BATCH = 512
_SHOWN = 5

_TOP = (
    "ballot-canonical",
    "ballot-election-uuid",
    "ballot-election-hash",
    "ballot-credential-unknown",
    "ballot-duplicate",
    "ballot-signature-hash",
    "ballot-signature",
    "answer-shape",
    "scalar",
    "choice",
)


class Box:
    """Verifies the ballots of an archive.

    Attributes:
        events: of the ballots.
        sums: of the ballots that count: of each credential the last, in the order of the archive.
    """

    def __init__(self, archive: Archive, election: Election, credentials: Credentials) -> None:
        self.archive, self.election, self.credentials = archive, election, credentials
        self.plan = make_plan(election)
        self.events = archive.kind("Ballot")
        self.sums = Sums(election, self.plan)
        self._last = {event.credential: i for i, event in enumerate(self.events)}
        self._read = self._verified = 0
        self._odd: list[str] = []
        self._ciphertexts, self._commitments = Fingerprints(), Fingerprints()

    def verify(self) -> Iterator[tuple[int, int, list[Failed]]]:
        """How many ballots are done, of how many, and what is wrong with the last of them."""
        size = min(_MAX_BATCH, max(1, _CIPHERTEXTS // max(1, self.plan.columns)))
        seen: set[bytes] = set()
        for start in range(0, len(self.events), size):
            failures: list[Failed] = []
            indices: list[int] = []
            ballots: list[Ballot] = []
            for i in range(start, min(start + size, len(self.events))):
                digest = bytes.fromhex(self.events[i].data[0].digest)
                if digest in seen:
                    name = f"ballot {i}"
                    failures.append(Failed("ballot-duplicate", f"{name}: it was cast before"))
                seen.add(digest)
                try:
                    ballots.append(self._ballot(i))
                    indices.append(i)
                except Failed as error:
                    failures.append(error)
            self._read += min(size, len(self.events) - start)
            failures += self._batch(indices, ballots)
            yield min(start + size, len(self.events)), len(self.events), failures

    def _ballot(self, i: int) -> Ballot:
        data = self.archive.body(self.events[i].data[0])
        return decode_ballot(data, self.election, self.credentials, f"ballot {i}")

    def _batch(self, indices: list[int], ballots: list[Ballot]) -> list[Failed]:
        numbers = {id(ballot): i for i, ballot in zip(indices, ballots, strict=True)}
        batch, failures = read_batch(ballots, self.election, self.credentials, self.plan)
        kept = [numbers[id(ballot)] for ballot in batch.ballots]
        found, commitments = verify_batch(batch, self.election, self.plan)
        self._verified += len(kept)
        for i, ballot, points in zip(kept, batch.ballots, commitments, strict=True):
            if ballot.odd:
                self._odd.append(ballot.name)
            for collection, items in (
                (self._ciphertexts, set(ciphertexts_of(ballot))),
                (self._commitments, points),
            ):
                values = np.array(list(map(_fingerprint, items)), dtype=np.uint64)
                collection.add(values, np.full(len(values), i, dtype=np.uint64))
        counted = [row for row, i in enumerate(kept) if self._counts(batch.ballots[row], i)]
        weights = [self.credentials.weight(batch.ballots[row].credential) for row in counted]
        self.sums.add(batch, counted, weights)
        return failures + found

    def _counts(self, ballot: Ballot, i: int) -> bool:
        return self._last[ballot.credential] == i

    def checked(self) -> dict[str, int]:
        """How many items each check of ballots looked at."""
        counts = dict.fromkeys(_TOP, self._read)
        claims = Counter(claim.check for claim in self.plan.claims)
        claims["nonzero-proof"] += len(self.plan.nonzeros)
        claims["nh-proof"] += len(self.plan.rankings)
        counts |= {check: n * self._verified for check, n in claims.items() if n}
        return {check: n for check, n in counts.items() if n}

    def notices(self) -> list[Notice]:
        """What a reader should know of ballots that are valid."""
        found = []
        if self._odd:
            shown = ", ".join(self._odd[:_SHOWN])
            detail = f"{len(self._odd)} ballots with answers not written as usual: {shown}"
            found.append(Notice("odd-answers", detail))
        copied = self._repeated(self._ciphertexts, proofs=False)
        if copied:
            detail = f"the same ciphertext under two credentials: {', '.join(copied[:_SHOWN])}"
            found.append(Notice("copied-ciphertexts", detail))
        repeated = self._repeated(self._commitments, proofs=True)
        if repeated:
            detail = f"the same commitment in two proofs: {', '.join(repeated[:_SHOWN])}"
            found.append(Notice("repeated-commitments", detail))
        self._ciphertexts.close()
        self._commitments.close()
        return found

    def _repeated(self, collection: Fingerprints, *, proofs: bool) -> list[str]:
        """Pairs of ballots that have something in common: candidates are compared in full."""
        found: list[str] = []
        for _, owners in collection.repeated():
            for first, second in pairwise(owners):
                if len(found) < _SHOWN and self._share(first, second, proofs=proofs):
                    found.append(f"ballots {first} and {second}")
        return list(dict.fromkeys(found))

    def _share(self, first: int, second: int, *, proofs: bool) -> bool:
        try:
            ballots = [self._ballot(first), self._ballot(second)]
        except EvoteError:
            return False
        if not proofs:
            other = ballots[0].credential != ballots[1].credential
            return other and bool(set(ciphertexts_of(ballots[0])) & set(ciphertexts_of(ballots[1])))
        batch, _ = read_batch(ballots, self.election, self.credentials, self.plan)
        _, commitments = verify_batch(batch, self.election, self.plan)
        if first == second:
            return any(len(set(points)) < len(points) for points in commitments)
        return bool(set(commitments[0]) & set(commitments[1]))


def verify_ballots(
    bodies: Sequence[bytes], election: Election, credentials: Credentials
) -> list[Failed]:
    """What is wrong with ballots that are in no archive yet; whose form is odd is refused too."""
    plan, found = make_plan(election), []
    for start in range(0, len(bodies), _MAX_BATCH):
        ballots = []
        for i, data in enumerate(bodies[start : start + _MAX_BATCH], start):
            try:
                ballot = decode_ballot(data, election, credentials, f"ballot {i}")
                if ballot.odd:
                    raise Failed("ballot-canonical", f"ballot {i}: answers not written as usual")
            except Failed as error:
                found.append(error)
            else:
                ballots.append(ballot)
        batch, failures = read_batch(ballots, election, credentials, plan)
        found += failures + verify_batch(batch, election, plan)[0]
    return found


def ciphertexts_of(ballot: Ballot) -> list[bytes]:
    """The encodings of alpha and beta of each choice, joined."""
    pairs = zip(ballot.choices[::2], ballot.choices[1::2], strict=True)
    return [alpha + beta for alpha, beta in pairs]


def _fingerprint(item: bytes | str) -> int:
    return int(sha256_hex(item.encode() if isinstance(item, str) else item)[:16], 16)
