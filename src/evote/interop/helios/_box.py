"""The ballot box: every counted ballot, checked one by one and proved in batches, and their sum."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from evote.errors import DecodingError
from evote.groups import Elements
from evote.interop.helios._ballots import (
    Layout,
    Vote,
    read_vote,
    verify_votes,
    vote_hashes,
)
from evote.interop.helios._election import Election, check_date
from evote.interop.helios._forms import Failed, member, short_hash, shown, text, the_list
from evote.interop.helios._source import Part

if TYPE_CHECKING:
    from evote.interop.helios._audit import Run

__all__ = ["Box", "Cast", "ciphertexts"]

_BATCH = 2**14  # elements of ballots that are proved together
_SHORT = ("cast_at", "vote_hash", "voter_hash", "voter_uuid")
_PROOFS = ("choice", "individual-proof", "overall-proof")
_PER_BALLOT = (
    *("ballot-form", "ballot-unknown-voter", "ballot-voter-hash", "ballot-duplicate-voter"),
    *("ballot-election-uuid", "ballot-election-hash", "ballot-hash", "ballot-answers"),
    *(*_PROOFS, "ballot-replay"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cast:
    """A cast vote: who, when, and what."""

    where: str
    voter: str
    cast_at: str
    vote_hash: str
    voter_hash: str
    vote: dict[str, Any]

    @property
    def short(self) -> dict[str, str]:
        """As in the list of ballots."""
        values = (self.cast_at, self.vote_hash, self.voter_hash, self.voter)
        return dict(zip(_SHORT, values, strict=True))


def read_cast(value: Any, where: str) -> Cast:
    """A cast vote, whose vote is any object."""
    cast_at, vote_hash, voter_hash, voter = (member(value, name, where) for name in _SHORT)
    vote = member(value, "vote", where)
    if type(vote) is not dict:
        raise DecodingError(f"an object expected, got {shown(vote)}", where=f"{where}.vote")
    return Cast(
        where=where,
        voter=text(voter, f"{where}.voter_uuid"),
        cast_at=check_date(cast_at, f"{where}.cast_at"),
        vote_hash=text(vote_hash, f"{where}.vote_hash"),
        voter_hash=text(voter_hash, f"{where}.voter_hash"),
        vote=vote,
    )


def ciphertexts(vote: dict[str, Any]) -> Iterator[bytes]:
    """Those of a vote of whatever form, short."""
    answers = vote.get("answers")
    for answer in answers if type(answers) is list else ():
        choices = answer.get("choices") if type(answer) is dict else None
        for choice in choices if type(choices) is list else ():
            if type(choice) is dict:
                yield short_hash(str(choice.get("alpha")), str(choice.get("beta")))


class Box:
    """Counts the ballots of an election.

    Attributes:
        counted: how many there are.
        cast: the voters of all ciphertexts that were cast.
        hashes: of all counted votes.
        texts: whose texts the hashes of votes are of.
    """

    def __init__(
        self, run: Run, election: Election, key: Elements, voters: dict[str, str] | None
    ) -> None:
        self.run = run
        self.election = election
        self.key = key
        self.voters = voters
        self.layout = Layout(election.questions)
        self.counted = 0
        self.cast: dict[bytes, str] = {}
        self.hashes: set[str] = set()
        self._last: dict[str, tuple[str, str]] = {}  # of each voter: cast_at and hash
        self._commitments: set[int] = set()
        self._repeated = self._unreduced = 0
        self._complete = True
        self.texts: set[str] = set()

    # -- counted ballots ---------------------------------------------------------------------------

    def count(self) -> tuple[Elements, Elements] | None:
        """The products of alphas and of betas; None if a ballot cannot be multiplied."""
        run, source = self.run, self.run.source
        found: list[str] | None = run.attempt("ballot-list", self._names)
        if found is None:
            return None
        group = self.key.group
        sums = [group.identity((self.election.answers,)) for _ in range(2)]
        waiting: list[Vote] = []
        limit = max(1, _BATCH // self.layout.elements)
        for done, name in enumerate(found):
            run.progress("ballots", done, len(found))
            vote = self._ballot(name, lambda name=name: source.ballot(name))  # type: ignore[misc]
            if vote is None:
                self._complete = False
            else:
                waiting.append(vote)
            if waiting and (len(waiting) >= limit or done == len(found) - 1):
                self._prove(waiting, sums)
                waiting = []
        if waiting:
            self._prove(waiting, sums)
        run.progress("ballots", len(found), len(found))
        self.counted = len(found)
        if not found:
            run.absent("there are no ballots", *_PER_BALLOT)
        self._notices()
        return (sums[0], sums[1]) if self._complete else None

    def _names(self) -> list[str] | None:
        """Of the ballots that are there, compared with the list of them."""
        run, source = self.run, self.run.source
        part = source.part("ballots")
        self._list: dict[str, Any] | None = None
        if part is not None:
            rows = the_list(part.parse(), part.name)
            self._list = {}
            for i, row in enumerate(rows):
                where = f"{part.name}: $[{i}]"
                voter = text(member(row, "voter_uuid", where), where)
                if voter in self._list:
                    run.fail("ballot-list", f"{where}: a second ballot of {shown(voter)}")
                self._list[voter] = row
        if not source.has_ballots() and not (part is not None and not self._list):
            run.block("the ballots are missing", *_PER_BALLOT)
            run.block("the ballots are missing", "decryption-factors", "decryption-proof", "result")
            return None
        names = source.ballot_names() if source.has_ballots() else []
        if source.kind == "bundle":
            run.absent("a bundle has no list of its ballots", "ballot-list")
            return names
        if self._list is None:
            run.block("ballots.json is missing", "ballot-list")
            return names
        run.did("ballot-list", len(self._list))
        for name in sorted(self._list.keys() - set(names)):
            run.fail("ballot-list", f"ballots: that of {shown(name)} is listed and missing")
            self._complete = False
        for name in sorted(set(names) - self._list.keys()):
            run.fail("ballot-list", f"ballots: that of {shown(name)} is not listed")
        return names

    def _ballot(self, name: str, read: Callable[[], Part]) -> Vote | None:
        run = self.run

        def cast_vote() -> Cast:
            part = read()
            value = part.parse()
            cast = read_cast(value, f"{part.name}: $")
            extra = set(value) - {*_SHORT, "vote"}
            if extra:
                run.notice("unknown-fields", f"{part.name}: {shown(sorted(extra)[0])}")
            return cast

        run.did("ballot-form")
        try:
            cast = cast_vote()
        except DecodingError as error:
            run.fail("ballot-form", error)
            return None
        if self._list is not None:
            listed = self._list.get(name)
            if listed is not None and (cast.voter != name or listed != cast.short):
                run.fail("ballot-list", f"{cast.where}: not what the list of ballots says")
        self._who(cast)
        self._what(cast, tell=True)
        self._weed(cast, again=False)
        return self._read(cast)

    def _who(self, cast: Cast) -> None:
        run, where = self.run, cast.where
        run.expect(
            "ballot-duplicate-voter",
            cast.voter not in self._last,
            f"{where}: a second ballot of {shown(cast.voter)}",
        )
        self._last.setdefault(cast.voter, (cast.cast_at, cast.vote_hash))
        if self.voters is None:
            return
        known = self.voters.get(cast.voter)
        run.expect(
            "ballot-unknown-voter",
            known is not None,
            f"{where}: {shown(cast.voter)} is not on the list of voters",
        )
        if known is not None:
            reason = f"{where}.voter_hash: not the hash of the voter"
            run.expect("ballot-voter-hash", known == cast.voter_hash, reason)

    def _what(self, cast: Cast, *, tell: bool) -> bool:
        """Whether the vote is of this election and has its hash."""
        run, election, where = self.run, self.election, cast.where
        js, py = vote_hashes(cast.vote)
        of_election = cast.vote.get("election_hash")
        other = "not the hash of election.json"
        if of_election == election.rewritten:
            other += ", but of the same object as the server writes it"
        checks = (
            (
                "ballot-election-uuid",
                cast.vote.get("election_uuid") == election.uuid,
                "a ballot of another election",
            ),
            ("ballot-election-hash", of_election == election.digest, other),
            ("ballot-hash", cast.vote_hash in (js, py), "not the hash of the vote"),
        )
        if tell:
            for check, holds, reason in checks:
                run.expect(check, holds, f"{where}: {reason}")
            self.texts |= {"browsers'"} if cast.vote_hash == js else set()
            self.texts |= {"Python's"} if cast.vote_hash == py else set()
            self.hashes |= {js, py}
        return all(holds for _, holds, _ in checks)

    def _read(self, cast: Cast) -> Vote | None:
        where = f"{cast.where}.vote"
        for check in ("ballot-answers", *_PROOFS):
            self.run.did(check)
        try:
            vote = read_vote(self.election, self.layout, self.key.group, cast.vote, where=where)
        except Failed as error:
            self.run.fail(error.check, error)
            return None
        self.note(vote)
        return vote

    def note(self, vote: Vote) -> None:
        """Remember the commitments of a vote: none of them comes twice by chance."""
        keys = [hash(commitment) for commitment in vote.commitments]
        fresh = set(keys) - self._commitments
        self._repeated += len(keys) - len(fresh)
        self._commitments |= fresh
        self._unreduced += vote.unreduced

    def _prove(self, votes: list[Vote], sums: list[Elements]) -> None:
        proved = verify_votes(self.layout, self.key, votes, self.run.fail)
        if len(proved.kept) != len(votes):
            self._complete = False
        sums[0] = sums[0] * proved.alpha.prod(0)
        sums[1] = sums[1] * proved.beta.prod(0)

    def _notices(self) -> None:
        run = self.run
        if self._repeated:
            reason = f"{self._repeated} commitments of proofs are there twice: votes are known"
            run.notice("repeated-commitments", reason)
        if self._unreduced:
            run.notice("unreduced-scalars", f"{self._unreduced} responses are q or more")

    # -- copies ------------------------------------------------------------------------------------

    def _weed(self, cast: Cast, *, again: bool) -> None:
        """No ciphertext of another voter, and in one ballot none twice."""
        copies = 0
        for choice in ciphertexts(cast.vote):
            owner = self.cast.get(choice)
            self.cast[choice] = owner or cast.voter
            copies += owner is not None and not (again and owner == cast.voter)
        self.run.did("ballot-replay")
        if copies:
            reason = f"{cast.where}: {copies} ciphertexts that were cast before"
            self.run.fail("ballot-replay", reason)

    # -- all votes of a voter ----------------------------------------------------------------------

    def histories(self) -> None:
        """Each voter's counted ballot is the last valid one, where all of them are there."""
        run, source = self.run, self.run.source
        names: list[str] | None = run.attempt("ballot-last", source.histories)
        if names is None:
            return
        if not names:
            run.absent("earlier votes are not there", "ballot-last")
        for done, name in enumerate(names):
            run.progress("earlier votes", done, len(names))
            run.attempt("ballot-last", lambda name=name: self._history(name))  # type: ignore[misc]

    def _history(self, name: str) -> bool:
        run, part = self.run, self.run.source.history(name)
        rows = the_list(part.parse(), part.name)
        casts = [read_cast(row, f"{part.name}: $[{i}]") for i, row in enumerate(rows)]
        run.did("ballot-last", len(casts))
        times = [cast.cast_at for cast in casts]
        if times != sorted(times, reverse=True) or any(cast.voter != name for cast in casts):
            raise DecodingError("one voter's votes, the newest first, expected", where=part.name)
        counted = self._last.get(name)
        places = [i for i, cast in enumerate(casts) if (cast.cast_at, cast.vote_hash) == counted]
        if counted is not None and not places:
            run.fail("ballot-last", f"{part.name}: the counted ballot is not there")
        newer = casts[: places[0]] if places else casts
        for cast in newer:
            if self._is_valid(cast):
                run.fail("ballot-last", f"{cast.where}: a later valid vote is not counted")
        for i, cast in enumerate(casts):
            if i not in places[:1]:
                self._weed(cast, again=True)
        return True

    def _is_valid(self, cast: Cast) -> bool:
        if not self._what(cast, tell=False):
            return False
        wrong: list[str] = []
        try:
            vote = read_vote(
                self.election, self.layout, self.key.group, cast.vote, where=cast.where
            )
        except Failed:
            return False
        verify_votes(self.layout, self.key, [vote], lambda check, _: wrong.append(check))
        return not wrong
