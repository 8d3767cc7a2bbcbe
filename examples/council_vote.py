"""A council of 45 votes yes or no: the steps of an election, one call each."""

from __future__ import annotations

import json
import secrets
import tempfile
from pathlib import Path

from evote import workflow
from evote.operators import load_card
from evote.record import Record
from evote.verify import audit


def main(folder: Path) -> None:
    record, passphrase = folder / "record", secrets.token_urlsafe()

    # 1. Everyone with a duty makes a key; the cards, their public halves, go into the manifest.
    keys = workflow.create_operators(folder, passphrase, trustees=3)
    cards = {name: load_card(directory) for name, directory in keys.items()}
    trustees = [keys[f"trustee-{i}"] for i in (1, 2, 3)]
    clerk, chair, server = keys["registrar-1"], keys["authority-1"], keys["board"]
    draft = json.loads((Path(__file__).parent / "council_vote.json").read_text(encoding="utf-8"))
    workflow.new_election(record, draft, cards=cards)

    # 2. The trustees make the key of the election together; two of the three will decrypt.
    workflow.run_ceremony(record, trustees, passphrase)

    # 3. 45 members get a code each, and vote: member i says yes unless i is a multiple of 4.
    lines = [workflow.RollLine(style="member", count=45)]
    members = workflow.issue_credentials(record, clerk, lines, passphrase)
    workflow.open_election(record, [chair], server, passphrase)
    for i, member in enumerate(members):
        choice = workflow.Choice(contests={"budget": (int(i % 4 > 0), int(i % 4 == 0))})
        ballot = workflow.encrypt_ballot(record, member.code, choice)
        signed = workflow.sign_ballot(record, member.code, ballot, "cast")
        workflow.submit(record, server, [signed], passphrase)
    workflow.seal_election(record, [chair], server, passphrase)

    # 4. The sums are decrypted, and anyone audits the record.
    workflow.compute_tally(record, server, passphrase)
    for path in trustees[:2]:
        workflow.decrypt_share(record, path, passphrase)
    result = workflow.publish_result(record, server, passphrase)
    yes, no = result.contests[0].votes
    print(f"{Record(record).manifest.contest('budget').title}: {yes} yes, {no} no")
    report = audit(record)
    report.raise_for_failure()
    print(report.verdict)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        main(Path(scratch))
