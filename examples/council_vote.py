"""A council of 45 votes yes or no: the steps of an election, one call each."""

from __future__ import annotations

import secrets
import tempfile
from pathlib import Path

from evote import ristretto255, workflow
from evote.operators import create_operator
from evote.record import Record
from evote.verify import audit


def main(folder: Path) -> None:
    record, passphrase = folder / "record", secrets.token_urlsafe()

    # 1. Everyone with a duty makes a key; the cards, their public halves, go into the manifest.
    cards = {}
    for name in ("clerk", "chair", "server"):
        role = {"clerk": "registrar", "chair": "authority", "server": "board"}[name]
        cards[name] = create_operator(folder / name, role, name, passphrase).card
    trustees = [folder / f"trustee-{i}" for i in (1, 2, 3)]
    for path in trustees:
        key = create_operator(path, "trustee", path.name, passphrase, group=ristretto255)
        cards[path.name] = key.card
    draft = (Path(__file__).parent / "council_vote.json").read_bytes()
    workflow.new_election(record, draft, cards=cards)

    # 2. The trustees make the key of the election together; two of the three will decrypt.
    workflow.run_ceremony(record, trustees, passphrase)

    # 3. 45 members get a code each, and vote: member i says yes unless i is a multiple of 4.
    lines = [workflow.RollLine(style="member", count=45)]
    members = workflow.issue_credentials(record, folder / "clerk", lines, passphrase)
    workflow.open_election(record, [folder / "chair"], folder / "server", passphrase)
    for i, member in enumerate(members):
        choice = workflow.Choice(contests={"budget": (int(i % 4 > 0), int(i % 4 == 0))})
        ballot = workflow.encrypt_ballot(record, member.code, choice)
        signed = workflow.sign_ballot(record, member.code, ballot, "cast")
        workflow.submit(record, folder / "server", [signed], passphrase)
    workflow.seal_election(record, [folder / "chair"], folder / "server", passphrase)

    # 4. The sums are decrypted, and anyone audits the record.
    workflow.compute_tally(record, folder / "server", passphrase)
    workflow.decrypt_shares(record, trustees[:2], passphrase)
    result = workflow.publish_result(record, folder / "server", passphrase)
    yes, no = result.contests[0].votes
    print(f"{Record(record).manifest.contest('budget').title}: {yes} yes, {no} no")
    report = audit(record)
    report.raise_for_failure()
    print(report.verdict)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        main(Path(scratch))
