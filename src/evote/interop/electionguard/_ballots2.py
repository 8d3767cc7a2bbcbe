"""Ballots of ElectionGuard 2.0 and 2.1: form, range proofs, confirmation codes, chains, sums.

    a_j = g^v_j A^c_j    b_j = K^(v_j - j c_j) B^c_j      j = 0..L
    sum c_j = H(HE; 21, K, A, B, a_0, b_0, ..., a_L, b_L)
    contest hash = H(HE; 23, sequence, K, A_1, B_1, ...)
    code = H(HE; 24, contest hashes, baux)

Commitments are not published: they are computed again, so nothing but memberships can be asked of
many at once.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from evote._files import shown_path
from evote.elgamal import Ciphertexts
from evote.groups import Elements, stack
from evote.interop.electionguard._codec import Pool, hash2, tagged
from evote.interop.electionguard._reading import Node
from evote.interop.electionguard._run import Run
from evote.interop.electionguard._setup2 import Contest2, Setup2, octet_list

__all__ = ["CAST", "Ballots2", "ContestData", "Submitted2", "read_contest_data"]

CAST = "CAST"
PORTION = 6000  # elements that are decoded together, or a little more
_MAX_BYTES = 2**20  # of contest data

Pairs = list[tuple[int, int]]


@dataclass(frozen=True, slots=True)
class ContestData:
    """Encrypted write-ins and overvotes, as published."""

    c0: bytes
    c1: bytes
    c2: bytes
    size: int


@dataclass(slots=True)
class _Selection:
    where: str
    option: str
    alpha: int
    beta: int
    proof: Pairs | None


@dataclass(slots=True)
class _Contest:
    where: str
    contest: Contest2
    hash: bytes
    selections: list[_Selection]
    complete: bool
    proof: Pairs | None


@dataclass(slots=True)
class Submitted2:
    """What later checks need of a ballot; the ciphertexts of those that are not cast."""

    where: str
    state: str
    device: str
    code: bytes
    baux: bytes
    contests: list[str] = field(default_factory=list)
    ciphertexts: dict[tuple[str, str], tuple[bytes, bytes]] = field(default_factory=dict)
    data: dict[str, ContestData] = field(default_factory=dict)


def read_contest_data(setup: Setup2, node: Node) -> ContestData:
    """The encrypted contest data of a ballot, or of its decryption."""
    codec = setup.codec
    return ContestData(
        c0=codec.element(node["c0"]),
        c1=codec.octets(node["c1"]),
        c2=codec.digest(node["c2"]),
        size=node["numBytes"].integer(0, _MAX_BYTES),
    )


class Ballots2:
    """All ballots of a record."""

    def __init__(self, run: Run, setup: Setup2) -> None:
        self.run = run
        self.setup = setup
        self.group = setup.group
        self.ballots: dict[str, Submitted2] = {}
        self.sums: dict[tuple[str, str], Ciphertexts] = {}  # of cast ballots, by contest and option
        self.counts: dict[str, int] = defaultdict(int)  # of cast ballots, by contest
        self.unsupported = False
        self._codes: dict[bytes, str] = {}

    # -- reading -----------------------------------------------------------------------------------

    def check(self) -> None:
        """Every check of every ballot."""
        run, record = self.run, self.run.record
        files: list[tuple[str | None, str]] = []
        chains: dict[str, str] = {}
        for directory in ("encrypted_ballots", *record.directories("encrypted_ballots")):
            flat = directory == "encrypted_ballots"
            device = None if flat else directory.partition("/")[2]
            for name in record.names(directory):
                if name.endswith("/ballot_chain.json"):
                    chains[device or ""] = name
                else:
                    files.append((device, name))
        if not files:
            run.block("the record holds no ballots", *run.names(5, 7))
            return
        pool, waiting = Pool(self.setup.codec), list[_Contest]()
        marks: list[tuple[str, list[_Contest]]] = []
        for done, (device, name) in enumerate(files, 1):
            with run.step("0.format"):
                run.did("0.format")
                read = self._read(pool, record.json(name), device, name)
                if read is not None:
                    marks.append(read)
                    waiting += read[1]
            if len(pool) >= PORTION or done == len(files):
                self._finish(pool, marks, waiting)
                pool, waiting, marks = Pool(self.setup.codec), [], []
                run.progress("ballots", done, len(files))
        self._chains(chains)

    def _read(
        self, pool: Pool, node: Node, device: str | None, file: str
    ) -> tuple[str, list[_Contest]] | None:
        run, setup, codec = self.run, self.setup, self.setup.codec
        name = node["ballot_id"].identifier()
        if name in self.ballots:
            node.fail(f"ballot {name!r} again")
        if not file.endswith(f"/eballot-{name.replace(' ', '_')}.json"):
            node.fail(f"a file of ballot {name!r} that is called otherwise")
        stated = node["encrypting_device"].text()
        if device is not None and stated.replace(" ", "_") != device.replace(" ", "_"):
            node.fail(f"a ballot of device {stated!r} among those of {shown_path(device)}")
        if node["is_preencrypt"].boolean():
            run.block(f"{node.where}: pre-encrypted ballots are not supported", *run.names(5, 15))
            self.unsupported = True
            return None
        state = node["state"].text()
        if state not in (CAST, "CHALLENGED" if setup.newer else "SPOILED"):
            node.fail("a ballot that is neither cast nor challenged")
        same = codec.digest(node["election_id"]) == setup.base_hash
        run.expect("5.election_id", same, f"{node.where}: a ballot of another election")
        style = node["ballot_style_id"].text()
        wanted = setup.styles.get(style)
        run.expect("5.contest_meta", wanted is not None, f"{node.where}: no style {style!r}")
        baux = _hex(node["code_baux"])
        code = codec.digest(node["confirmation_code"])
        ballot = Submitted2(node.where, state, stated, code, baux)
        self.ballots[name] = ballot
        contests = []
        for item in node["contests"].list():
            with run.step("5.contest_meta"):
                contest = self._read_contest(pool, item)
                contests.append(contest)
                ballot.contests.append(contest.contest.id)
                data = item.get("encrypted_contest_data")
                if data is not None and state != CAST:
                    ballot.data[contest.contest.id] = read_contest_data(setup, data)
        if wanted is not None and sorted(ballot.contests) != sorted(wanted):
            run.fail("5.contest_meta", f"{node.where}: not the contests of its style")
        # code = H(HE; 24, chi_1, ..., chi_m, baux)
        wanted_code = setup.hash(tagged(0x24), *(c.hash for c in contests), baux)
        run.expect(
            "7.B_code", code == wanted_code, f"{node.where}: confirmation_code is not the hash"
        )
        other = self._codes.setdefault(code, node.where)
        run.expect("7.C_unique_code", other is node.where, f"{node.where}: the code of {other}")
        if not setup.chained:
            run.expect("7.baux", baux == setup.baux0, f"{node.where}: code_baux is not baux0")
        return name, contests

    def _read_contest(self, pool: Pool, node: Node) -> _Contest:
        run, codec = self.run, self.setup.codec
        name = node["contest_id"].text()
        contest = self.setup.contests.get(name)
        if contest is None:
            node.fail(f"no contest {name!r} in the manifest")
        allowed = node.get("votes_allowed")
        run.expect(
            "5.contest_meta",
            node["sequence_order"].value == contest.sequence
            and (allowed is None or allowed.value == contest.allowed),
            f"{node.where}: not the contest of the manifest",
        )
        found = []
        selections: list[_Selection] = []
        for item in node["selections"].list():
            option = item["selection_id"].text()
            found.append((option, item["sequence_order"].value))
            with run.step("5.selection_proof"):
                pair = item["encrypted_vote"]
                selection = _Selection(
                    item.where,
                    option,
                    pool.add(pair["pad"], "5.selection_proof"),
                    pool.add(pair["data"], "5.selection_proof"),
                    None,
                )
                selections.append(selection)
                selection.proof = self._read_proof(item["proof"], contest.limit)
        exact = found == list(contest.options.items())
        run.expect("5.contest_meta", exact, f"{node.where}: not the options of the manifest")
        proof = None
        with run.step("6.contest_proof"):
            proof = self._read_proof(node["proof"], contest.allowed)
        return _Contest(
            node.where,
            contest,
            codec.digest(node["contest_hash"]),
            selections,
            exact and len(selections) == len(contest.options),
            proof,
        )

    def _read_proof(self, node: Node, limit: int) -> Pairs:
        codec = self.setup.codec
        items = node["proofs"].list()
        if len(items) != limit + 1:
            node.fail(f"{limit + 1} branches expected, got {len(items)}")
        return [(codec.scalar(p["challenge"]), codec.scalar(p["response"])) for p in items]

    # -- checking ----------------------------------------------------------------------------------

    def _finish(
        self, pool: Pool, ballots: list[tuple[str, list[_Contest]]], contests: list[_Contest]
    ) -> None:
        if not contests:
            return
        elements, encoded = pool.decode(self.run), pool.encodings()
        rows = [s for contest in contests for s in contest.selections]
        self._proofs(
            "5.selection_proof",
            [(s.where, s.proof) for s in rows],
            elements.take([s.alpha for s in rows]),
            elements.take([s.beta for s in rows]),
        )
        alphas = [elements.take([s.alpha for s in c.selections]).prod() for c in contests]
        betas = [elements.take([s.beta for s in c.selections]).prod() for c in contests]
        self._proofs(
            "6.contest_proof",
            [(c.where, c.proof if c.complete else None) for c in contests],
            stack(alphas),
            stack(betas),
        )
        for contest in contests:
            parts = [encoded[i] for s in contest.selections for i in (s.alpha, s.beta)]
            tag = tagged(0x23, contest.contest.sequence)
            wanted = self.setup.hash(tag, self.setup.key_encoded, *parts)
            same = contest.hash == wanted
            self.run.expect("7.A_contest_hash", same, f"{contest.where}: contest_hash")
        for name, marked in ballots:
            self._keep(encoded, self.ballots[name], marked)
        cast = [c for name, m in ballots if self.ballots[name].state == CAST for c in m]
        self._aggregate(elements, cast)

    def _proofs(
        self,
        check: str,
        rows: Sequence[tuple[str, Pairs | None]],
        alpha: Elements,
        beta: Elements,
    ) -> None:
        """Range proofs of ciphertexts of shape (n,), those with as many branches together."""
        by_length: dict[int, list[int]] = defaultdict(list)
        for i, (_, proof) in enumerate(rows):
            if proof is not None:
                by_length[len(proof)].append(i)
        for length, chosen in by_length.items():
            proofs = [rows[i][1] or [] for i in chosen]
            valid = self._hold(length, proofs, alpha.take(chosen), beta.take(chosen))
            self.run.did(check, len(chosen))
            for i, good in zip(chosen, valid, strict=True):
                if not good:
                    self.run.fail(check, f"{rows[i][0]}: invalid proof")

    def _hold(
        self, length: int, proofs: list[Pairs], alpha: Elements, beta: Elements
    ) -> list[bool]:
        group, setup, q = self.group, self.setup, self.setup.codec.q
        n = len(proofs)
        c = group.scalars([[pair[0] for pair in proof] for proof in proofs])
        v = group.scalars([[pair[1] for pair in proof] for proof in proofs])
        j = group.scalars(list(range(length)))
        a = group.generator**v * alpha.reshape((n, 1)) ** c
        b = setup.key ** (v - c * j) * beta.reshape((n, 1)) ** c
        pairs = setup.codec.encode(stack([a, b], axis=2))
        ciphertexts = setup.codec.encode(stack([alpha, beta], axis=1))
        valid = []
        for i, proof in enumerate(proofs):
            digest = setup.hash(
                tagged(0x21),
                setup.key_encoded,
                *ciphertexts[2 * i : 2 * i + 2],
                *pairs[2 * length * i : 2 * length * (i + 1)],
            )
            valid.append(sum(pair[0] for pair in proof) % q == setup.scalar(digest))
        return valid

    def _keep(self, encoded: list[bytes], ballot: Submitted2, contests: list[_Contest]) -> None:
        for contest in contests:
            for s in contest.selections:
                pair = (encoded[s.alpha], encoded[s.beta])
                self.run.unique_ciphertext("15.copied_ciphertext", pair[0], s.where)
                if ballot.state != CAST:
                    ballot.ciphertexts[contest.contest.id, s.option] = pair

    def _aggregate(self, elements: Elements, contests: list[_Contest]) -> None:
        places: dict[tuple[str, str], list[_Selection]] = defaultdict(list)
        for contest in contests:
            self.counts[contest.contest.id] += 1
            for s in contest.selections:
                places[contest.contest.id, s.option].append(s)
        for key, selections in places.items():
            product = Ciphertexts(
                alpha=elements.take([s.alpha for s in selections]).prod(),
                beta=elements.take([s.beta for s in selections]).prod(),
            )
            before = self.sums.get(key)
            self.sums[key] = product if before is None else before * product

    # -- chains ------------------------------------------------------------------------------------

    def _chains(self, files: dict[str, str]) -> None:
        run = self.run
        if not self.setup.chained:
            run.absent("codes are not chained", "7.chain_ids", "7.E_chain", "7.G_closing")
            return
        run.absent("codes are chained", "7.baux")
        chained: set[str] = set()
        for device, file in sorted(files.items()):
            with run.step("7.chain_ids", "7.E_chain", "7.G_closing"):
                chained |= self._chain(run.record.json(file), device)
        missing = sorted(set(self.ballots) - chained)
        run.expect("7.chain_ids", not missing, f"in no chain: {missing[:3]}")

    def _chain(self, node: Node, device: str) -> set[str]:
        """One device's ballots, each of which names the code of the one before."""
        run, setup, codec = self.run, self.setup, self.setup.codec
        name = node["encrypting_device"].text()
        same = not device or name.replace(" ", "_") == device.replace(" ", "_")
        run.expect("7.chain_ids", same, f"{node.where}: the chain of device {name!r}")
        ids = [item.identifier() for item in node["ballot_ids"].list()]
        own = {key for key, ballot in self.ballots.items() if ballot.device == name}
        run.expect(
            "7.chain_ids",
            len(set(ids)) == len(ids) and set(ids) == own,
            f"{node.where}: not all and only the ballots of device {name!r}",
        )
        if setup.newer:
            stated = codec.digest(node["election_base_hash"])
            run.expect("5.election_id", stated == setup.base_hash, f"{node.where}: another one")
        # H0 = H(HE; 24, B0)      baux_1 = H0 || B0, of 2.0: H0      baux_j = code_(j-1) || B0
        b0 = setup.baux0 or (name.encode("utf-8") if setup.newer else b"")
        if setup.newer:  # 2.0 has H0 there
            same = octet_list(node["baux0"]) == b0
            run.expect("7.E_chain", same, f"{node.where}: baux0 is not what the chain starts from")
        last = setup.hash(tagged(0x24), b0)
        expected = last + b0 if setup.newer else last
        for key in ids:
            ballot = self.ballots.get(key)
            if ballot is None:
                run.fail("7.E_chain", f"{node.where}: no ballot {key!r}")
                continue
            run.expect(
                "7.E_chain",
                ballot.baux == expected,
                f"{ballot.where}: code_baux is not what its place in the chain asks for",
            )
            last = ballot.code
            expected = last + b0
        stated = codec.digest(node["last_confirmation_code"])
        run.expect("7.E_chain", stated == last, f"{node.where}: last_confirmation_code")
        closing = node.get("closing_hash")
        if closing is None:
            run.notice("open-chain", f"{node.where}: the chain of {name!r} was not closed")
            run.absent("no chain is closed", "7.G_closing")
        else:
            wanted = hash2(setup.base_hash, tagged(0x24), last, b0, b"CLOSE")
            same = codec.digest(closing) == wanted
            run.expect("7.G_closing", same, f"{node.where}: closing_hash is not the hash")
        return set(ids)


def _hex(node: Node) -> bytes:
    """Bytes in upper-case hex, in all versions; there may be none."""
    text = node.text()
    if len(text) % 2 or len(text) > 4000 or not set(text) <= set("0123456789ABCDEF"):
        node.fail("upper-case hex of whole bytes expected")
    return bytes.fromhex(text)
