"""A council of 45 votes three times under one key ceremony; some members are absent.

Every member has a code for each vote, so that who votes in one says nothing of the next. The votes
are taken one after the other; all are decrypted after the last. Each step is one call.
"""

from __future__ import annotations

import json
import secrets
import tempfile
from pathlib import Path

from evote import workflow
from evote.operators import load_card
from evote.record import Record
from evote.verify import audit

MEMBERS = 45


def main(folder: Path) -> None:
    record, passphrase = folder / "record", secrets.token_urlsafe()

    # 1. Everyone with a duty makes a key; the cards, their public halves, go into the manifest.
    keys = workflow.create_operators(folder, passphrase, trustees=3)
    cards = {name: load_card(directory) for name, directory in keys.items()}
    trustees = [keys[f"trustee-{i}"] for i in (1, 2, 3)]
    clerk, chair, server = keys["registrar-1"], keys["authority-1"], keys["board"]
    draft = json.loads((Path(__file__).parent / "council_vote.json").read_text(encoding="utf-8"))
    workflow.new_election(record, draft, cards=cards)
    series = [style.id for style in Record(record).manifest.styles]

    # 2. The trustees make the key of the election together; two of the three will decrypt.
    workflow.run_ceremony(record, trustees, passphrase)

    # 3. 45 members get a code for each vote. In vote k the first 3 k are absent; of the others
    #    member i says yes unless i is a multiple of k + 4.
    lines = [workflow.RollLine(style=name, count=MEMBERS) for name in series]
    codes = workflow.issue_credentials(record, clerk, lines, passphrase)
    workflow.open_election(record, [chair], server, passphrase)
    for k, name in enumerate(series):
        votes = []
        for i in range(3 * k, MEMBERS):
            yes = int(i % (k + 4) > 0)
            choice = workflow.Choice(contests={name: (yes, 1 - yes)})
            votes.append(workflow.Vote(code=codes[MEMBERS * k + i].code, style=name, choice=choice))
        for some in workflow.make_submissions(record, votes):
            workflow.submit(record, server, some, passphrase)
    workflow.seal_election(record, [chair], server, passphrase)

    # 4. The sums are decrypted, and anyone audits the record.
    workflow.compute_tally(record, server, passphrase)
    for path in trustees[:2]:
        workflow.decrypt_share(record, path, passphrase)
    result = workflow.publish_result(record, server, passphrase)
    for contest in result.contests:
        (yes, no), title = contest.votes, Record(record).manifest.contest(contest.id).title
        print(f"{title}: {yes} yes, {no} no, {MEMBERS - contest.ballots} absent")
    report = audit(record)
    report.raise_for_failure()
    print(report.verdict)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        main(Path(scratch))
