"""The primary of 2016: 24,000 registered, 7,475 voters, 96 candidates, up to 12 marks, summed.

In the middle of the voting everything that the server has is published: the record, the board's
directory, its passphrase. There is no name, address or code in it, nor a hash of one, and the
voting goes on. Then bots are struck; that there are 225, and that one voter in ten votes again
after the leak, is made up.

Usage: primary_2016.py [--scale 0.01] [--jobs 2] [--keep FOLDER]
"""

from __future__ import annotations

import csv
import hashlib
import random
import re
from collections.abc import Iterator

from _scenario import Election, Marks, Person, Scenario, marks_contest, part_of, start

from evote.demo import draw_marks

ROLL, VOTERS, BOTS = 24_000, 7_475, 225
TOKEN = re.compile(rb"[\w.@+-]{20,}")  # whatever is as long as an address, a code or a hash


def people(scale: float) -> Iterator[Person]:
    roll, voters, bots = (max(round(n * scale), 1) for n in (ROLL, VOTERS, BOTS))
    for i in range(roll):
        if i < bots:
            yield Person(f"bot.number.{i:05}@example.org", counts=False)
        else:
            votes = part_of(i - bots, voters, roll - bots)
            ballots = votes * (1 + (i % 10 == 0))
            yield Person(f"voter.number.{i:05}@example.org", ballots=ballots)


def mark(rng: random.Random, person: Person) -> Marks:
    return {"list": draw_marks(rng, 96, 12 if not person.counts else rng.randint(1, 12))}


def secrets_of(election: Election) -> Iterator[bytes]:
    """Everybody's address and code, and what hashes of them look like."""
    with (election.offline / "codes.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            for secret in (row["identity"].encode(), row["code"].encode()):
                yield secret
                for name in ("md5", "sha1", "sha256"):
                    yield hashlib.new(name, secret).hexdigest().encode()


def leaked(election: Election) -> tuple[int, int]:
    """How many words the server has, and how many of them are one of these."""
    places, secrets, total, found = (election.record, election.board), {*secrets_of(election)}, 0, 0
    for path in (path for place in places for path in place.rglob("*") if path.is_file()):
        words = TOKEN.findall(path.read_bytes())
        total, found = total + len(words), found + sum(word in secrets for word in words)
    return total, found


def main() -> None:
    scenario = Scenario(
        title="Primary of 2016",
        seed=2016,
        contests=(marks_contest("list", "The list", 96, 12),),
        people=people,
        mark=mark,
        rules={"strike": ["bot"]},
    )
    with start(scenario, __doc__) as election:
        election.found()
        election.vote(1)
        words, found = leaked(election)
        print(f"leaked: {words} words, {found} of them an address, a code or a hash of one")
        if found:
            raise SystemExit("the server had something to leak")
        election.vote(2)
        bots = election.offline / "bots.csv"
        election.credentials(lambda person: not person.counts, bots)
        election.rule("strike", bots, "bot")
        election.finish()


if __name__ == "__main__":
    main()
