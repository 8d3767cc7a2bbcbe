"""The commands of docs/policies.md, run word for word, and what they are said to print."""

from __future__ import annotations

import json

import pytest

from tests.test_tutorial import blocks, environment, run_script

__all__ = ["environment"]  # a fixture

PAGE = "docs/policies.md"
VOTERS = """\
style,count,district,weight,status
all,3,north,1,
all,2,south,2,
all,2,south,1,provisional
all,1,islet,1,
"""
SETUP = """
export EVOTE_PASSPHRASE='correct horse battery staple'
evote trustee init trustee --id trustee
for role in registrar authority board; do evote $role init $role --id $role; done
evote election new draft.json record --card trustee/card.json --card registrar/card.json \
  --card authority/card.json --card board/card.json
for step in commit reveal check; do evote trustee $step record trustee; done
evote registrar issue record registrar voters.csv -o codes.csv
evote election open record --authority authority --board board
vote() { python helpers.py vote "$@"; }
voter() { python helpers.py voter "$@"; }
"""

HELPERS = """\
import csv, sys
from evote import workflow
from evote.ceremony import ceremony_parameters
from evote.credentials import derive_voter_key
from evote.record import Record

codes = [row["code"] for row in csv.DictReader(open("codes.csv"))]
verb, *words = sys.argv[1:]
if verb == "voter":  # who has which credential is not in the record
    base = ceremony_parameters(Record("record")).base_id
    print(derive_voter_key(codes[int(words[0]) - 1], base).credential.hex())
else:
    pairs = [word.split(":") for word in words]
    votes = [(codes[int(v) - 1], {"yes": (1, 0), "no": (0, 1)}[o]) for v, o in pairs]
    choices = [(code, workflow.Choice(contests={"bridge": marks})) for code, marks in votes]
    ballots = workflow.encrypt_ballots("record", choices)
    items = [(code, ballot, "cast") for (code, _), ballot in zip(votes, ballots)]
    signed = workflow.sign_ballots("record", items)
    workflow.submit("record", "board", signed, "correct horse battery staple")
"""


def draft() -> dict[str, object]:
    [policies] = blocks(PAGE, "json")
    return {
        "title": "The bridge",
        "contests": [
            {
                "id": "bridge",
                "title": "Shall the bridge be built?",
                "kind": "yes-no",
                "options": [{"id": "yes", "title": "Yes"}, {"id": "no", "title": "No"}],
                "option_limit": 1,
                "minimum": 0,
                "maximum": 1,
                "blank": "none",
            }
        ],
        "styles": [{"id": "all", "contests": ["bridge"]}],
        "trustees": ["trustee"],
        "quorum": 1,
        "registrars": ["registrar"],
        "authorities": {"cards": ["authority"], "quorum": 1},
        "board": {"origin": "log.example/bridge", "card": "board"},
        "weights": {"maximum": 2, "total": 10},
        "voters": {"maximum": 8},
        "districts": {"min_unit": 2},
        **json.loads("{" + policies + "}"),
    }


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory, environment: dict[str, str]) -> str:
    directory = tmp_path_factory.mktemp("policies") / "election"
    inputs = {"draft.json": json.dumps(draft()), "voters.csv": VOTERS, "helpers.py": HELPERS}
    write = [f"cat > {name} <<'END'\n{text.rstrip()}\nEND" for name, text in inputs.items()]
    code, printed = run_script([*write, SETUP, *blocks(PAGE, "sh")], directory, environment)
    assert code == 0, printed
    return printed


def test_the_page_prints_what_it_says(output: str) -> None:
    promised = blocks(PAGE, "text")
    assert len(promised) == 3
    for text in promised:
        assert text in output


def test_each_ruling_has_its_entry(output: str) -> None:
    assert "voting ends at 2030-03-17T18:30:00Z: entry 1" in output
    assert "closed: entry 11" in output
    assert "1 voters are struck: entry 12" in output
    assert "carried: entry 13" in output
    assert "warning: unique-voter: one voter alone: style all, district islet, weight 1" in output
