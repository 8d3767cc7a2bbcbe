"""Elections of Helios for tests: made here, by other code than what verifies them; and changed."""

from __future__ import annotations

import base64
import copy
import hashlib
import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from evote.groups import ModPGroup, named_group

_GROUP = named_group("helios-2048")
assert isinstance(_GROUP, ModPGroup)
P, Q, G = _GROUP.p, _GROUP.q, _GROUP.g

Json = Any


def py(value: Json) -> str:
    return json.dumps(value, sort_keys=True)


def js(value: Json) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def b64(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip("=")


def sha1(*numbers: int) -> int:
    return int(hashlib.sha1(",".join(map(str, numbers)).encode()).hexdigest(), 16)


class Election:
    """An election: `files` maps the names of files to JSON values, and is free to be changed."""

    def __init__(
        self,
        ballots: Sequence[Sequence[Sequence[int]]],
        *,
        limits: Sequence[tuple[int, int, int | None]] = ((3, 0, 2), (2, 0, None)),
        trustees: int = 2,
        seed: int = 1,
        group: tuple[int, int, int] = (P, Q, G),
        frozen: str = "2026-01-02 03:04:05.678901",
        unreduced: bool = False,
        audited: int = 0,
    ) -> None:
        """`ballots` list the chosen answers of each question; `limits` are answers, min, max."""
        self.random = random.Random(seed)
        self.p, self.q, self.g = group
        self.unreduced = unreduced
        self.secrets = [self.scalar() for _ in range(trustees)]
        self.y = pow(self.g, sum(self.secrets), self.p)
        self.limits = limits
        self.files: dict[str, Json] = {}
        uuid = "00000000-0000-4000-8000-000000000000"
        questions = [
            {
                "answer_urls": [None] * n,
                "answers": [f"A{i}" for i in range(n)],
                "choice_type": "approval",
                "max": high,
                "min": low,
                "question": "Which?",
                "result_type": "absolute",
                "short_name": "Which?",
                "tally_type": "homomorphic",
            }
            for n, low, high in limits
        ]
        self.election: dict[str, Json] = {
            "cast_url": "https://example.org/cast",
            "description": "",
            "frozen_at": frozen,
            "name": "Test",
            "openreg": False,
            "public_key": self.key(self.y),
            "questions": questions,
            "short_name": "test",
            "use_voter_aliases": False,
            "uuid": uuid,
            "voters_hash": None,
            "voting_ends_at": None,
            "voting_starts_at": None,
        }
        self.files["election.json"] = self.election
        self.voters = [
            {
                "election_uuid": uuid,
                "name": f"Voter {i}",
                "uuid": f"{i:08}-0000-4000-8000-000000000000",
                "voter_id_hash": b64(f"voter{i}"),
                "voter_type": "password",
            }
            for i in range(len(ballots) + 1)
        ]
        self.files["voters.json"] = self.voters
        votes = [self.vote(chosen) for chosen in ballots]
        self.casts = [self.cast(i, vote) for i, (vote, _) in enumerate(votes)]
        opened = [self.vote(ballots[0], opened=True) for _ in range(audited)]
        if audited:
            self.files["audited_ballots.json"] = [
                {"vote_hash": b64(py(vote)), "raw_vote": py(raw)} for vote, raw in opened
            ]
        self.files["trustees.json"] = self.trustees()
        self.files["result.json"] = [
            [sum(i in ballot[q] for ballot in ballots) for i in range(n)]
            for q, (n, _, _) in enumerate(limits)
        ]
        self.list_ballots()

    def scalar(self) -> int:
        return self.random.randrange(1, self.q)

    def key(self, y: int) -> dict[str, str]:
        return {"g": str(self.g), "p": str(self.p), "q": str(self.q), "y": str(y)}

    def cast(self, voter: int, vote: Json, second: int = 0) -> dict[str, Json]:
        return {
            "cast_at": f"2026-01-03 10:{voter // 60:02}:{voter % 60:02}.{second:06}",
            "vote": vote,
            "vote_hash": b64(js(vote)),
            "voter_hash": b64(py(self.voters[voter])),
            "voter_uuid": self.voters[voter]["uuid"],
        }

    def list_ballots(self) -> None:
        """The ballots' files, and the list of them."""
        for cast in self.casts:
            self.files[f"ballots/{cast['voter_uuid']}.json"] = cast
        self.files["ballots.json"] = [short(cast) for cast in self.casts]

    def vote(self, chosen: Sequence[Sequence[int]], *, opened: bool = False) -> tuple[Json, Json]:
        """A vote, and the same with what it holds."""
        vote: dict[str, Json] = {
            "answers": [],
            "election_hash": b64(py(self.election)),
            "election_uuid": self.election["uuid"],
        }
        raw = copy.deepcopy(vote)
        for picks, (n, low, high) in zip(chosen, self.limits, strict=True):
            nonces = [self.scalar() for _ in range(n)]
            marks = [int(i in picks) for i in range(n)]
            pairs = [
                (pow(self.g, s, self.p), pow(self.y, s, self.p) * pow(self.g, m, self.p) % self.p)
                for s, m in zip(nonces, marks, strict=True)
            ]
            proofs = [
                self.disjunction(pair, s, [0, 1], m)
                for pair, s, m in zip(pairs, nonces, marks, strict=True)
            ]
            overall = None
            if high is not None:
                a = b = 1
                for alpha, beta in pairs:
                    a, b = a * alpha % self.p, b * beta % self.p
                sums = list(range(low, high + 1))
                overall = self.disjunction((a, b), sum(nonces), sums, sum(marks))
            answer = {
                "choices": [{"alpha": str(a), "beta": str(b)} for a, b in pairs],
                "individual_proofs": proofs,
                "overall_proof": overall,
            }
            vote["answers"].append(answer)
            extra = {"answer": list(picks), "randomness": [str(s) for s in nonces]}
            raw["answers"].append(answer | extra)
        return vote, raw

    def disjunction(
        self, pair: tuple[int, int], nonce: int, messages: Sequence[int], message: int
    ) -> list[Json]:
        p, q, g, y = self.p, self.q, self.g, self.y
        branches: list[tuple[int, int, int, int]] = []
        w = self.scalar()
        for m in messages:
            if m == message:
                branches.append((0, 0, pow(g, w, p), pow(y, w, p)))
                continue
            c, r = self.scalar(), self.scalar()
            plain = pair[1] * pow(g, -m, p) % p
            a, b = pow(g, r, p) * pow(pair[0], -c, p), pow(y, r, p) * pow(plain, -c, p)
            branches.append((c, r, a % p, b % p))
        total = sha1(*(x for _, _, a, b in branches for x in (a, b)))
        found = []
        for m, (c, r, a, b) in zip(messages, branches, strict=True):
            if m == message:
                c = (total - sum(c for c, _, _, _ in branches)) % q
                r = w + nonce * c if self.unreduced else (w + nonce * c) % q
            found.append(zk(a, b, c, r))
        return found

    def trustees(self) -> list[Json]:
        p, q, g = self.p, self.q, self.g
        found = []
        for i, x in enumerate(self.secrets):
            key = self.key(pow(g, x, p))
            w = self.scalar()
            commitment = pow(g, w, p)
            c = sha1(commitment) % q
            pok = {"challenge": str(c), "commitment": str(commitment)}
            factors: list[Json] = []
            proofs: list[Json] = []
            for question, (n, _, _) in enumerate(self.limits):
                factors.append([])
                proofs.append([])
                for j in range(n):
                    a = 1
                    for cast in self.casts:
                        choice = cast["vote"]["answers"][question]["choices"][j]
                        a = a * int(choice["alpha"]) % p
                    u = self.scalar()
                    first, second = pow(g, u, p), pow(a, u, p)
                    challenge = sha1(first, second)
                    factors[-1].append(str(pow(a, x, p)))
                    proofs[-1].append(zk(first, second, challenge, (u + challenge * x) % q))
            found.append(
                {
                    "decryption_factors": factors,
                    "decryption_proofs": proofs,
                    "email": f"t{i}@example.org",
                    "pok": pok | {"response": str((w + c * x) % q)},
                    "public_key": key,
                    "public_key_hash": b64(py(key)),
                    "uuid": f"trustee-{i}",
                }
            )
        return found

    def write(self, root: Path) -> Path:
        for name, value in self.files.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(value if isinstance(value, str) else py(value), encoding="utf-8")
        return root


def short(cast: Json) -> Json:
    """The entry of a cast vote in the list of ballots."""
    return {name: value for name, value in cast.items() if name != "vote"}


def zk(a: int, b: int, c: int, r: int) -> Json:
    commitment = {"A": str(a), "B": str(b)}
    return {"challenge": str(c), "commitment": commitment, "response": str(r)}


def bundle(root: Path) -> Json:
    """The bundle of a directory's files."""

    def encoded(path: Path) -> str:
        return base64.urlsafe_b64encode(path.read_bytes()).decode().rstrip("=")

    return {
        "election": encoded(root / "election.json"),
        "trustees": encoded(root / "trustees.json"),
        "results": encoded(root / "result.json"),
        "voters": [encoded(root / "voters.json")],
        "votes": [encoded(path) for path in sorted((root / "ballots").iterdir())],
    }


# -- changes as tampering.json describes them ------------------------------------------------------


def tamper(root: Path, entry: dict[str, Json]) -> None:
    """Apply an entry to a copy of its vectors."""
    target = entry["target"]
    names = sorted(path.name for path in (root / "ballots").iterdir())
    casts = [json.loads((root / "ballots" / name).read_bytes()) for name in names]
    if target in ("election", "voters", "trustees", "result"):
        path = root / f"{target}.json"
        value = json.loads(path.read_bytes())
        if entry["op"] == "reserialize-compact":
            path.write_text(js(value), encoding="utf-8")
            return
        path.write_text(py(change(value, entry, [])), encoding="utf-8")
        return
    if target == "audited":
        path = root / "audited_ballots.json"
        path.write_text(py(change(json.loads(path.read_bytes()), entry, [])), encoding="utf-8")
        return
    if target == "votes":
        number = int(entry["pointer"][1:])
        (root / "ballots" / names[number]).unlink()
        del casts[number]
    else:
        number = int(target[len("ballot[") : -1])
        casts[number] = change(casts[number], entry, casts)
        if entry.get("rehash", True):
            casts[number]["vote_hash"] = b64(js(casts[number]["vote"]))
        (root / "ballots" / names[number]).write_text(py(casts[number]), encoding="utf-8")
    if entry.get("fix_list", True):
        (root / "ballots.json").write_text(py([short(cast) for cast in casts]), encoding="utf-8")


def change(value: Json, entry: dict[str, Json], others: Sequence[Json]) -> Json:
    """One operation at a JSON pointer."""
    op: str = entry["op"]
    argument: Any = entry.get("value")
    parent, key = find(value, entry["pointer"])
    old = parent[key]
    if op == "replace":
        parent[key] = argument
    elif op == "remove":
        del parent[key]
    elif op == "swap":
        other, name = find(value, argument)
        parent[key], other[name] = other[name], old
    elif op == "add-int":
        parent[key] = old + argument
    elif op == "copy-from":
        source, name = find(others[argument], entry["pointer"])
        parent[key] = copy.deepcopy(source[name])
    elif op == "flip-in-string":
        at = old.index(argument) + len(argument)
        parent[key] = old[:at] + ("2" if old[at] != "2" else "3") + old[at + 1 :]
    else:
        number = int(old)
        changed = {
            "incr-scalar": (number + 1) % Q,
            "add-q": number + Q,
            "mul-g": number * G % P,
            "negate": P - number,
            "add-p": number + P,
        }
        parent[key] = str(changed[op])
    return value


def find(value: Json, pointer: str) -> tuple[Json, Any]:
    """The object or list that a JSON pointer ends in, and the last key."""
    *path, last = pointer[1:].split("/")
    for step in path:
        value = value[int(step)] if isinstance(value, list) else value[step]
    return value, int(last) if isinstance(value, list) else last
