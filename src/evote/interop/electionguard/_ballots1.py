"""Submitted ballots of ElectionGuard 1.0 and 1.91: their form, hashes, proofs, and sums.

Ballots are read in portions: the elements of a portion are decoded together, and its proofs are
verified in one batch.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import defaultdict
from dataclasses import dataclass, field

from evote._batch import Equations
from evote.elgamal import Ciphertexts
from evote.groups import Elements, Group, Scalars
from evote.interop.electionguard._codec import Pool, to_int
from evote.interop.electionguard._manifest1 import Contest1, Option1
from evote.interop.electionguard._reading import Node
from evote.interop.electionguard._run import Run
from evote.interop.electionguard._setup1 import Setup1

__all__ = ["CAST", "SPOILED", "Ballot", "Ballots1", "Marked", "Range", "Submitted", "Voted"]

CAST, SPOILED = 1, 2
PORTION = 12_000  # elements that are decoded together, or a little more

_PROOF = ("proof_zero_pad", "proof_zero_data", "proof_one_pad", "proof_one_data")
_SCALARS = (
    *("challenge", "proof_zero_challenge", "proof_one_challenge"),
    *("proof_zero_response", "proof_one_response"),
)


@dataclass(slots=True)
class Marked:
    where: str
    option: Option1
    description_hash: bytes
    alpha: int
    beta: int
    crypto_hash: bytes | None = None
    commitments: tuple[int, int, int, int] | None = None
    scalars: tuple[int, int, int, int, int] = (0, 0, 0, 0, 0)  # c, c0, c1, v0, v1


@dataclass(slots=True)
class Range:
    """A proof that a sum is at most, or exactly, a limit, as the versions have it."""

    where: str
    challenge: int
    pairs: list[tuple[int, int]]  # challenges and responses
    commitment: tuple[int, int] = (0, 0)


@dataclass(slots=True)
class Voted:
    where: str
    contest: Contest1
    description_hash: bytes
    selections: list[Marked] = field(default_factory=list)
    complete: bool = True
    crypto_hash: bytes | None = None
    sum: tuple[int, int] | None = None
    proof: Range | None = None


@dataclass(slots=True)
class Ballot:
    where: str
    id: str
    state: int
    code_seed: bytes
    code: bytes
    timestamp: int
    manifest_hash: bytes
    crypto_hash: bytes
    contests: list[Voted] = field(default_factory=list)


@dataclass(slots=True)
class Submitted:
    """What later checks need of a ballot; ciphertexts of those that are not cast only."""

    where: str
    state: int
    code_seed: bytes
    code: bytes
    contests: list[str] = field(default_factory=list)
    ciphertexts: dict[tuple[str, str], tuple[bytes, bytes]] = field(default_factory=dict)


class Ballots1(ABC):
    """All ballots of a record; what the versions have of their own is in their subclasses."""

    strict_chain = False  # whether a code seed that nothing explains is an error

    def __init__(self, run: Run, setup: Setup1) -> None:
        self.run = run
        self.setup = setup
        self.group: Group = setup.group
        self.ballots: dict[str, Submitted] = {}
        self.sums: dict[tuple[str, str], Ciphertexts] = {}  # of cast ballots, by contest and option
        self.counts: dict[str, int] = defaultdict(int)  # of cast ballots, by contest

    # -- reading -----------------------------------------------------------------------------------

    def check(self) -> None:
        """Every check of every ballot."""
        names = self.run.record.names("submitted_ballots")
        if not names:
            self.run.block("the record holds no ballots", *self.run.names(4, 6))
            return
        done, pool, ballots = 0, Pool(self.setup.codec), list[Ballot]()
        for name in names:
            with self.run.step("0.format"):
                ballot = self._read(pool, self.run.record.json(name))
                if ballot is not None:
                    ballots.append(ballot)
            done += 1
            if len(pool) >= PORTION:
                self.run.progress("ballots", done, len(names))
                self._finish(pool, ballots)
                pool, ballots = Pool(self.setup.codec), []
        self._finish(pool, ballots)
        self.run.progress("ballots", done, len(names))
        self._chain()
        self.run.did("0.format", done)

    def _read(self, pool: Pool, node: Node) -> Ballot | None:
        run, codec = self.run, self.setup.codec
        name = node["object_id"].identifier()
        run.expect("6.unique_ids", name not in self.ballots, f"{node.where}: ballot {name!r} again")
        if name in self.ballots:
            return None
        if node.get("nonce") is not None:
            run.fail("4.selection_meta", f"{node.where}: the nonce is published")
        ballot = Ballot(
            where=node.where,
            id=name,
            state=node["state"].integer(),
            code_seed=codec.digest(node["code_seed"]),
            code=codec.digest(node["code"]),
            timestamp=node["timestamp"].integer(),
            manifest_hash=codec.digest(node["manifest_hash"]),
            crypto_hash=codec.digest(node["crypto_hash"]),
        )
        if ballot.state not in (CAST, SPOILED):
            run.notice("other-state", f"{node.where}: neither cast nor spoiled, so counted nowhere")
        self.ballots[name] = Submitted(node.where, ballot.state, ballot.code_seed, ballot.code)
        run.expect(
            "4.ballot_style",
            ballot.manifest_hash == self.setup.manifest_hash,
            f"{node.where}: a ballot of another election: manifest_hash differs",
        )
        style = node["style_id"].text()
        wanted = self.setup.manifest.styles.get(style)
        run.expect("4.ballot_style", wanted is not None, f"{node.where}: no style {style!r}")
        found = []
        for item in node["contests"].list():
            with run.step("4.ballot_style"):
                contest = self._read_contest(pool, item)
                found.append(contest.contest.id)
                ballot.contests.append(contest)
        if wanted is not None and sorted(found) != sorted(wanted):
            run.fail("4.ballot_style", f"{node.where}: not the contests of its style")
        return ballot

    def _read_contest(self, pool: Pool, node: Node) -> Voted:
        run, codec = self.run, self.setup.codec
        name = node["object_id"].text()
        described = self.setup.manifest.contests.get(name)
        if described is None:
            node.fail(f"no contest {name!r} in the manifest")
        contest = Voted(node.where, described, codec.digest(node["description_hash"]))
        run.expect(
            "4.contest_hash",
            contest.description_hash == described.hash
            and node["sequence_order"].value == described.sequence,
            f"{node.where}: not the contest of the manifest",
        )
        if node.get("nonce") is not None:
            run.fail("4.selection_meta", f"{node.where}: the nonce is published")
        options = {option.id: option for option in described.options}
        for item in node["ballot_selections"].list():
            with run.step("4.selection_meta"):
                option = options.pop(item["object_id"].text(), None)
                if option is None:
                    run.fail("4.selections_exact", f"{item.where}: no option, or one again")
                    contest.complete = False
                    continue
                self._read_selection(pool, item, contest, option)
        run.expect("4.selections_exact", not options, f"{node.where}: options are missing")
        contest.complete &= not options and len(contest.selections) == len(described.options)
        contest.selections.sort(key=lambda selection: selection.option.sequence)
        with run.step("6.contest_crypto_hash"):
            contest.crypto_hash = codec.digest(node["crypto_hash"])
        with run.step("5.contest_sum"):
            total = node["ciphertext_accumulation"]
            contest.sum = self._pair(pool, total, "5.contest_sum", identity=True)
        with run.step("5.contest_proof"):
            contest.proof = self.read_range(pool, node["proof"], described)
        return contest

    def _pair(
        self, pool: Pool, node: Node, check: str, *, identity: bool = False
    ) -> tuple[int, int]:
        alpha = pool.add(node["pad"], check, identity=identity)
        return alpha, pool.add(node["data"], check, identity=identity)

    def _read_selection(self, pool: Pool, node: Node, contest: Voted, option: Option1) -> None:
        run, codec = self.run, self.setup.codec
        description_hash = codec.digest(node["description_hash"])
        run.expect(
            "4.selection_meta",
            description_hash == option.hash
            and node["sequence_order"].value == option.sequence
            and node["is_placeholder_selection"].boolean() == option.placeholder
            and node.get("nonce") is None,
            f"{node.where}: not the option of the manifest, or a published nonce",
        )
        selection = None
        with run.step("4.selection_proof"):
            alpha, beta = self._pair(pool, node["ciphertext"], "4.selection_proof")
            selection = Marked(node.where, option, description_hash, alpha, beta)
            contest.selections.append(selection)
            proof = node["proof"]
            a0, b0, a1, b1 = (pool.add(proof[name], "4.selection_proof") for name in _PROOF)
            c, c0, c1, v0, v1 = (codec.scalar(proof[name]) for name in _SCALARS)
            selection.commitments = (a0, b0, a1, b1)
            selection.scalars = (c, c0, c1, v0, v1)
        if selection is not None:
            with run.step("6.selection_crypto_hash"):
                selection.crypto_hash = codec.digest(node["crypto_hash"])

    # -- what the versions have of their own -------------------------------------------------------

    @abstractmethod
    def read_range(self, pool: Pool, node: Node, contest: Contest1) -> Range:
        """The proof of a contest's sum."""

    @abstractmethod
    def selection_challenge(self, numbers: list[bytes]) -> bytes:
        """The hash of A, B, a0, b0, a1, b1."""

    @abstractmethod
    def selection_equations(
        self, a: Elements, b: Elements, alpha: Elements, beta: Elements, c: Scalars, v: Scalars
    ) -> Equations:
        """Of 0-or-1 proofs: commitments, c and v of shape (n, 2), ciphertexts of (n, 1)."""

    @abstractmethod
    def contest_proofs(
        self, elements: Elements, encoded: list[bytes], contests: list[Voted]
    ) -> None:
        """Check the proofs of contests that have one and a sum."""

    @abstractmethod
    def selection_hash(self, selection: Marked, alpha: bytes, beta: bytes) -> bytes: ...

    @abstractmethod
    def contest_hash(self, contest: Voted, hashes: list[bytes]) -> bytes: ...

    @abstractmethod
    def ballot_hash(self, ballot: Ballot, hashes: list[bytes]) -> bytes: ...

    @abstractmethod
    def ballot_code(self, ballot: Ballot, hashes: list[bytes]) -> bytes: ...

    # -- checking ----------------------------------------------------------------------------------

    def _finish(self, pool: Pool, ballots: list[Ballot]) -> None:
        if not ballots:
            return
        elements = pool.decode(self.run)
        encoded = pool.encodings()
        contests = [contest for ballot in ballots for contest in ballot.contests]
        selections = [s for contest in contests for s in contest.selections]
        self._selection_proofs(elements, encoded, selections)
        self._sums(elements, contests)
        whole = [c for c in contests if c.complete and c.sum is not None and c.proof is not None]
        self.contest_proofs(elements, encoded, whole)
        for ballot in ballots:
            self._hashes(encoded, ballot)
            self._keep(encoded, ballot)
        self._aggregate(elements, [b for b in ballots if b.state == CAST])

    def _selection_proofs(
        self, elements: Elements, encoded: list[bytes], selections: list[Marked]
    ) -> None:
        run, q = self.run, self.setup.codec.q
        rows = []
        for s in selections:
            if s.commitments is None:
                continue
            total, c0, c1, _, _ = s.scalars
            numbers = [encoded[i] for i in (s.alpha, s.beta, *s.commitments)]
            if to_int(self.selection_challenge(numbers)) != total:
                run.fail("4.selection_proof", f"{s.where}: the challenge is not the hash")
            elif (c0 + c1) % q != total:
                run.fail("4.selection_proof", f"{s.where}: the challenges do not add up")
            rows.append(s)
        if not rows:
            return
        group, n = self.group, len(rows)
        places = [s.commitments for s in rows if s.commitments is not None]
        a = elements.take([i for p in places for i in (p[0], p[2])]).reshape((n, 2))
        b = elements.take([i for p in places for i in (p[1], p[3])]).reshape((n, 2))
        alpha = elements.take([s.alpha for s in rows]).reshape((n, 1))
        beta = elements.take([s.beta for s in rows]).reshape((n, 1))
        c = group.scalars([list(s.scalars[1:3]) for s in rows])
        v = group.scalars([list(s.scalars[3:5]) for s in rows])
        equations = self.selection_equations(a, b, alpha, beta, c, v)
        run.equations("4.selection_proof", equations, [s.where for s in rows], "invalid proof")

    def _sums(self, elements: Elements, contests: list[Voted]) -> None:
        """A contest's ciphertext is the product of its selections."""
        for contest in contests:
            if contest.sum is None:
                continue
            alpha = elements.take([s.alpha for s in contest.selections]).prod()
            beta = elements.take([s.beta for s in contest.selections]).prod()
            same = alpha == elements[contest.sum[0]] and beta == elements[contest.sum[1]]
            self.run.expect(
                "5.contest_sum", same, f"{contest.where}: not the product of its selections"
            )

    def _hashes(self, encoded: list[bytes], ballot: Ballot) -> None:
        """Hashes of selections, contests and the ballot, each over the stated ones below it."""
        run = self.run
        of_contests = []
        for contest in ballot.contests:
            of_selections = []
            for s in contest.selections:
                if s.crypto_hash is None:
                    continue
                wanted = self.selection_hash(s, encoded[s.alpha], encoded[s.beta])
                run.expect(
                    "6.selection_crypto_hash",
                    s.crypto_hash == wanted,
                    f"{s.where}: crypto_hash is not the hash",
                )
                of_selections.append(s.crypto_hash)
            if contest.crypto_hash is None:
                continue
            run.expect(
                "6.contest_crypto_hash",
                contest.crypto_hash == self.contest_hash(contest, of_selections),
                f"{contest.where}: crypto_hash is not the hash",
            )
            of_contests.append((contest.contest.sequence, contest.crypto_hash))
        hashes = [data for _, data in sorted(of_contests)]
        run.expect(
            "6.ballot_crypto_hash",
            ballot.crypto_hash == self.ballot_hash(ballot, hashes),
            f"{ballot.where}: crypto_hash is not the hash",
        )
        run.expect(
            "6.ballot_code",
            ballot.code == self.ballot_code(ballot, hashes),
            f"{ballot.where}: code is not the hash",
        )

    def _keep(self, encoded: list[bytes], ballot: Ballot) -> None:
        """Ciphertexts are never the same twice; those that are decrypted singly are kept."""
        kept = self.ballots[ballot.id]
        for contest in ballot.contests:
            kept.contests.append(contest.contest.id)
            for s in contest.selections:
                pair = (encoded[s.alpha], encoded[s.beta])
                self.run.unique_ciphertext("15.copied_ciphertext", pair[0], s.where)
                if ballot.state != CAST:
                    kept.ciphertexts[contest.contest.id, s.option.id] = pair

    def _aggregate(self, elements: Elements, ballots: list[Ballot]) -> None:
        """Multiply the ciphertexts of cast ballots onto the sums so far."""
        places: dict[tuple[str, str], list[Marked]] = defaultdict(list)
        for ballot in ballots:
            for contest in ballot.contests:
                self.counts[contest.contest.id] += 1
                for s in contest.selections:
                    if not s.option.placeholder:
                        places[contest.contest.id, s.option.id].append(s)
        for key, selections in places.items():
            product = Ciphertexts(
                alpha=elements.take([s.alpha for s in selections]).prod(),
                beta=elements.take([s.beta for s in selections]).prod(),
            )
            before = self.sums.get(key)
            self.sums[key] = product if before is None else before * product

    def _chain(self) -> None:
        """Codes are unique; a ballot's seed is the code of the one before, or a device's hash."""
        run = self.run
        devices = set()
        for name in run.record.names("encryption_devices"):
            with run.step("0.format"):
                node = run.record.json(name)
                numbers = [
                    node[key].value if type(node[key].value) is int else node[key].text()
                    for key in ("device_id", "session_id", "launch_code", "location")
                ]
                devices.add(self.setup.hash(*numbers))
        codes: dict[bytes, str] = {}
        seeds: dict[bytes, str] = {}
        for ballot in self.ballots.values():
            other = codes.setdefault(ballot.code, ballot.where)
            run.expect(
                "6.unique_codes", other is ballot.where, f"{ballot.where}: the code of {other}"
            )
            other = seeds.setdefault(ballot.code_seed, ballot.where)
            run.expect("6.chain", other is ballot.where, f"{ballot.where}: the seed of {other}")
            if ballot.code_seed == ballot.code:
                run.fail("6.chain", f"{ballot.where}: a code that follows itself")
        for ballot in self.ballots.values():
            if ballot.code_seed in devices or ballot.code_seed in codes:
                continue
            reason = f"{ballot.where}: no device or ballot has its seed"
            if self.strict_chain:
                run.fail("6.chain", reason)
            else:
                run.notice("unexplained-seed", reason)

    def summary(self) -> str:
        """What the record holds, in a line."""
        setup = self.setup
        cast = sum(ballot.state == CAST for ballot in self.ballots.values())
        return (
            f"{len(self.ballots)} ballots, {cast} cast; {len(setup.manifest.contests)} contests, "
            f"{setup.guardians} guardians, quorum {setup.quorum}, {setup.group.name}"
        )
