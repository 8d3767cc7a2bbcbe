"""Sums and decryptions of ElectionGuard 2.0 and 2.1: of the tally, and of challenged ballots.

    T = K^t    M = B / T    a = g^v K^c    b = A^v M^c    c = H(HE; 30, K, A, B, a, b, M)
    contest data: a = g^v K^c    b = C0^v beta^c    c = H(HE; 31, K, C0, C1, C2, a, b, beta)

All guardians' shares are in one proof: which guardians were missing leaves no trace.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from evote._batch import Equations
from evote.groups import Elements
from evote.interop.electionguard._ballots2 import (
    CAST,
    PORTION,
    Ballots2,
    ContestData,
    read_contest_data,
)
from evote.interop.electionguard._codec import Pool, tagged
from evote.interop.electionguard._contest_data import check_plaintext, open_contest_data
from evote.interop.electionguard._reading import Node
from evote.interop.electionguard._run import Run
from evote.interop.electionguard._setup2 import Setup2

__all__ = ["Tallies2"]

_Key = tuple[str, str]
_Pair = tuple[bytes, bytes]


@dataclass(frozen=True, slots=True)
class _Row:
    """One decrypted ciphertext, and what its vote may be at most."""

    where: str
    expected: _Pair | None
    alpha: int
    beta: int
    power: int  # T, a place in the pool
    tally: int
    bound: int
    challenge: int
    response: int


@dataclass(frozen=True, slots=True)
class _DataRow:
    where: str
    contest: str
    data: ContestData
    c0: int
    beta: int
    challenge: int
    response: int
    plaintext: Node


class Tallies2:
    """What follows from a record's ballots."""

    def __init__(self, run: Run, setup: Setup2, ballots: Ballots2) -> None:
        self.run = run
        self.setup = setup
        self.ballots = ballots
        self.group = setup.group
        self._commitments: dict[bytes, tuple[int, str]] = {}

    def check(self) -> None:
        run, record = self.run, self.run.record
        sums: dict[_Key, _Pair] = {}
        if record.has("encrypted_tally.json"):
            with run.step("0.format", *run.names(8, 8)):
                run.did("0.format")
                sums = self._encrypted_tally(record.json("encrypted_tally.json"))
        else:
            run.block("the record has no encrypted tally", *run.names(8, 8), "9.same_ciphertext")
        if record.has("tally.json"):
            pool, rows = Pool(self.setup.codec), list[_Row]()
            with run.step("0.format", *run.names(9, 10)):
                run.did("0.format")
                rows = self._tally(pool, record.json("tally.json"), sums)
            self._verify(pool, rows, "9")
        else:
            run.block("the record has no tally", *run.names(9, 10), "15.nonce_reuse")
        self._challenged()

    # -- the tally ---------------------------------------------------------------------------------

    def _encrypted_tally(self, node: Node) -> dict[_Key, _Pair]:
        """The stated sums, encoded, each checked to be the product of cast ballots."""
        run, setup = self.run, self.setup
        self._election(node)
        ids = [item.text() for item in node["cast_ballot_ids"].list()]
        cast = {name for name, ballot in self.ballots.ballots.items() if ballot.state == CAST}
        run.expect(
            "8.cast_ids",
            len(ids) == len(set(ids)) and set(ids) == cast,
            f"{node.where}: cast_ballot_ids are not the ballots that were cast",
        )
        pool, places = Pool(setup.codec), dict[_Key, tuple[str, int, int]]()
        found: list[str] = []
        for item in node["contests"].list():
            name = item["contest_id"].text()
            found.append(name)
            contest = setup.contests.get(name)
            options = {} if contest is None else contest.options
            stated: dict[str, object] = {}
            for selection in item["selections"].list():
                option = selection["selection_id"].text()
                if option in stated:
                    selection.fail("an option again")
                stated[option] = selection["sequence_order"].value
                pair = selection["encrypted_vote"]
                places[name, option] = (
                    selection.where,
                    pool.add(pair["pad"], "8.aggregate", identity=True),
                    pool.add(pair["data"], "8.aggregate", identity=True),
                )
            same = stated == options and contest is not None
            same &= contest is not None and item["sequence_order"].value == contest.sequence
            run.expect("8.aggregate", same, f"{item.where}: not the contest of the manifest")
        run.expect(
            "8.aggregate",
            sorted(found) == sorted(setup.contests),
            f"{node.where}: not the contests of the manifest",
        )
        elements, encoded = pool.decode(run), pool.encodings()
        result = {}
        for key, (where, alpha, beta) in places.items():
            result[key] = (encoded[alpha], encoded[beta])
            total = self.ballots.sums.get(key)
            if total is None:  # a fresh encryption of zero: its decryption shows what it holds
                run.did("8.aggregate")
                continue
            same = elements[alpha] == total.alpha and elements[beta] == total.beta
            run.expect("8.aggregate", same, f"{where}: not the product of the cast ballots")
        return result

    def _election(self, node: Node) -> None:
        same = self.setup.codec.digest(node["election_id"]) == self.setup.base_hash
        self.run.expect("5.election_id", same, f"{node.where}: of another election")

    def _tally(self, pool: Pool, node: Node, sums: dict[_Key, _Pair]) -> list[_Row]:
        run, setup = self.run, self.setup
        self._election(node)
        rows: list[_Row] = []
        found: list[str] = []
        for item in node["contests"].list():
            name = item["contest_id"].text()
            found.append(name)
            contest = setup.contests.get(name)
            if contest is None:
                run.fail("10.contests", f"{item.where}: no contest {name!r} in the manifest")
                continue
            bound = self.ballots.counts.get(name, 0) * contest.limit
            rows += self._selections(pool, item, name, sums, bound, "9", "10.contests")
        run.expect(
            "10.contests",
            sorted(found) == sorted(setup.contests),
            f"{node.where}: not the contests of the manifest",
        )
        return rows

    def _selections(
        self,
        pool: Pool,
        node: Node,
        contest: str,
        ciphertexts: dict[_Key, _Pair],
        bound: int,
        number: str,
        exact: str,
    ) -> list[_Row]:
        """The decryptions of a contest's options; `exact` fails if they are not its options."""
        run, codec = self.run, self.setup.codec
        rows, found = list[_Row](), list[str]()
        for item in node["selections"].list():
            option = item["selection_id"].text()
            found.append(option)
            with run.step(f"{number}.proof"):
                pair, proof = item["encrypted_vote"], item["proof"]
                rows.append(
                    _Row(
                        where=item.where,
                        expected=ciphertexts.get((contest, option)),
                        alpha=pool.add(pair["pad"], f"{number}.proof", identity=True),
                        beta=pool.add(pair["data"], f"{number}.proof", identity=True),
                        power=pool.add(item["b_over_m"], f"{number}.value", identity=True),
                        tally=item["tally"].integer(0, 2**40),
                        bound=bound,
                        challenge=codec.scalar(proof["challenge"]),
                        response=codec.scalar(proof["response"]),
                    )
                )
        wanted = self.setup.contests[contest].options
        run.expect(exact, sorted(found) == sorted(wanted), f"{node.where}: not its options")
        return rows

    def _verify(self, pool: Pool, rows: list[_Row], number: str) -> None:
        """Decryptions of the tally (verification 9) or of challenged ballots (12)."""
        if not rows:
            return
        run, group, setup = self.run, self.group, self.setup
        elements, encoded = pool.decode(run), pool.encodings()
        places = [row.where for row in rows]
        if self.run.record.has("encrypted_tally.json") or number != "9":
            for row in rows:
                same = row.expected == (encoded[row.alpha], encoded[row.beta])
                run.expect(f"{number}.same_ciphertext", same, f"{row.where}: another ciphertext")
        alpha = elements.take([row.alpha for row in rows])
        power = elements.take([row.power for row in rows])
        t = group.scalars([row.tally for row in rows])
        equations = Equations(
            group=group, shape=(len(rows),), relations=(((power, None), (setup.key, -t)),)
        )
        run.equations(f"{number}.value", equations, places, "b_over_m is not K^tally")
        for row in rows:
            if row.tally > row.bound:
                run.fail(f"{number}.value", f"{row.where}: {row.tally}, at most {row.bound}")
        # M = B / T    a = g^v K^c    b = A^v M^c
        m = elements.take([row.beta for row in rows]) / power
        c = group.scalars([row.challenge for row in rows])
        v = group.scalars([row.response for row in rows])
        a = setup.codec.encode(group.generator**v * setup.key**c)
        b = setup.codec.encode(alpha**v * m**c)
        run.did(f"{number}.proof", len(rows))
        for i, (row, shown) in enumerate(zip(rows, setup.codec.encode(m), strict=True)):
            numbers = (encoded[row.alpha], encoded[row.beta], a[i], b[i], shown)
            digest = setup.hash(tagged(0x30), setup.key_encoded, *numbers)
            if setup.scalar(digest) != row.challenge:
                run.fail(f"{number}.proof", f"{row.where}: invalid proof")
            self._nonce(a[i], row.challenge, row.where)

    def _nonce(self, commitment: bytes, challenge: int, where: str) -> None:
        """Two challenges for one commitment give the joint secret key away."""
        before, other = self._commitments.setdefault(commitment, (challenge, where))
        same = before == challenge
        self.run.expect("15.nonce_reuse", same, f"{where}: the commitment of {other}")

    # -- challenged ballots ------------------------------------------------------------------------

    def _challenged(self) -> None:
        run, record = self.run, self.run.record
        names = record.names("challenged_ballots")
        challenged = {n for n, ballot in self.ballots.ballots.items() if ballot.state != CAST}
        checks = run.names(12, 14)
        if not names and not challenged:
            run.absent("no ballot was challenged", *checks)
            return
        if not names and not record.has("tally.json"):
            run.block("the record has no decryptions", *checks)
            return
        found: set[str] = set()
        pool, rows, data = Pool(self.setup.codec), list[_Row](), list[_DataRow]()
        for done, name in enumerate(names, 1):
            with run.step("0.format"):
                run.did("0.format")
                self._read_ballot(pool, record.json(name), name, found, rows, data)
            if len(pool) >= PORTION or done == len(names):
                self._verify(pool, rows, "12")
                self._contest_data(pool, data)
                pool, rows, data = Pool(self.setup.codec), [], []
                run.progress("challenged ballots", done, len(names))
        missing = sorted(challenged - found)
        run.expect("12.all_challenged", not missing, f"not decrypted: {missing[:3]}")
        if not any(self.ballots.ballots[name].data for name in challenged):
            run.absent("challenged ballots have no contest data", *run.names(14, 14))

    def _read_ballot(
        self,
        pool: Pool,
        node: Node,
        file: str,
        found: set[str],
        rows: list[_Row],
        data: list[_DataRow],
    ) -> None:
        run, setup = self.run, self.setup
        name = node["id"].identifier()
        if not file.endswith(f"/dballot-{name.replace(' ', '_')}.json"):
            node.fail(f"a file of ballot {name!r} that is called otherwise")
        run.did("12.all_challenged")
        ballot = self.ballots.ballots.get(name)
        if name in found or ballot is None or ballot.state == CAST:
            secret = ballot is not None and ballot.state == CAST
            why = "a cast ballot was decrypted: its secrecy is broken" if secret else "no such one"
            run.fail("12.all_challenged", f"{node.where}: {why}")
            return
        found.add(name)
        self._election(node)
        shown: list[str] = []
        for item in node["contests"].list():
            key = item["contest_id"].text()
            shown.append(key)
            contest = setup.contests.get(key)
            if contest is None:
                run.fail("12.all_challenged", f"{item.where}: no contest {key!r} in the manifest")
                continue
            read = self._selections(
                pool, item, key, ballot.ciphertexts, contest.limit, "12", "12.all_challenged"
            )
            rows += read
            total = sum(row.tally for row in read)
            run.expect(
                "13.C_total",
                total <= contest.allowed,
                f"{item.where}: {total} votes, at most {contest.allowed} allowed",
            )
            with run.step("14.same_ciphertext", "14.proof", "14.mac", "14.plaintext"):
                self._read_data(pool, item, key, ballot.data.get(key), data)
        run.expect(
            "12.all_challenged",
            sorted(shown) == sorted(ballot.contests),
            f"{node.where}: not the contests of the ballot",
        )

    def _read_data(
        self,
        pool: Pool,
        node: Node,
        contest: str,
        published: ContestData | None,
        rows: list[_DataRow],
    ) -> None:
        item = node.get("decrypted_contest_data")
        if item is None and published is None:
            return
        if item is None or published is None:
            node.fail("contest data of the ballot alone, or of its decryption alone")
        inner = item["encrypted_contest_data"]
        stated = read_contest_data(self.setup, inner)
        self.run.expect(
            "14.same_ciphertext", stated == published, f"{inner.where}: another ciphertext"
        )
        codec, proof = self.setup.codec, item["proof"]
        rows.append(
            _DataRow(
                item.where,
                contest,
                stated,
                pool.add(inner["c0"], "14.proof"),
                pool.add(item["beta"], "14.proof"),
                codec.scalar(proof["challenge"]),
                codec.scalar(proof["response"]),
                item["contest_data"],
            )
        )

    def _contest_data(self, pool: Pool, rows: list[_DataRow]) -> None:
        """Proofs, authentication and plaintexts of contest data; the pool was decoded before."""
        if not rows:
            return
        run, group, setup = self.run, self.group, self.setup
        elements: Elements = pool.decoded
        encoded = pool.encodings()
        c = group.scalars([row.challenge for row in rows])
        v = group.scalars([row.response for row in rows])
        c0 = elements.take([row.c0 for row in rows])
        beta = elements.take([row.beta for row in rows])
        a = setup.codec.encode(group.generator**v * setup.key**c)
        b = setup.codec.encode(c0**v * beta**c)
        valid = np.zeros(len(rows), dtype=np.bool_)
        for i, row in enumerate(rows):
            digest = setup.hash(
                tagged(0x31),
                setup.key_encoded,
                encoded[row.c0],
                row.data.c1.hex().upper().encode("ascii"),
                row.data.c2,
                a[i],
                b[i],
                encoded[row.beta],
            )
            valid[i] = setup.scalar(digest) == row.challenge
            run.expect("14.proof", bool(valid[i]), f"{row.where}: invalid proof")
            self._nonce(a[i], row.challenge, row.where)
            key = setup.hash(tagged(0x22), setup.key_encoded, encoded[row.c0], encoded[row.beta])
            text = None
            with run.step("14.mac", "14.plaintext"):
                run.did("14.mac")
                text = open_contest_data(key, row.data, encoded[row.c0], row.contest)
            if text is not None:
                with run.step("14.plaintext"):
                    run.did("14.plaintext")
                    check_plaintext(text, row.plaintext, newer=setup.newer)
