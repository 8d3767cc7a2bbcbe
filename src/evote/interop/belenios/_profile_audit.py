"""Verify a record of the profile: Belenios' own checks, and that the manifest is behind it all.

The manifest names the operators; they have signed the trustees' keys, the credentials, the opening,
the end of voting and each shuffle. With the manifest's digest pinned, so is all of that.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from evote._pool import Workers
from evote._trees import Directory, Tree
from evote.errors import DecodingError, EvoteError, VerificationError
from evote.interop._reports import ForeignReport, check_jobs, checks_of, decode_pin, silent
from evote.interop.belenios._archive import Archive
from evote.interop.belenios._audit import CHECKS, Audit
from evote.interop.belenios._election import decode_credentials
from evote.interop.belenios._forms import sha256_hex
from evote.interop.belenios._keys import load_setup
from evote.interop.belenios._terms import FOLDER, Terms, load_terms
from evote.interop.belenios._voting import check_weights, credentials_file, opened_setup
from evote.record import MANIFEST, Record

__all__ = ["OWN_CHECKS", "PROFILE_CHECKS", "RecordAudit", "audit_record", "is_record"]

_NAMES = (
    "profile-manifest",
    "profile-digest",
    "profile-files",
    "profile-setup",
    "profile-credentials",
    "profile-open",
    "profile-seal",
    "profile-shuffles",
)
OWN_CHECKS = checks_of("belenios", {"Profile": _NAMES}, pins=("profile-digest",))
"""What the profile adds to Belenios."""
PROFILE_CHECKS = OWN_CHECKS | CHECKS

_FILE = re.compile(
    r"(?:credentials|open|seal|(?:certificate|coefficients|key|shuffle)-[0-9]{3})\.json",
    re.ASCII,
)


def is_record(tree: Tree) -> bool:
    """Whether there is a record of the profile, as far as its manifest says; in a directory."""
    try:
        load_terms(tree.path)
    except EvoteError:
        return False
    return isinstance(tree, Directory)


def audit_record(
    record: Path | str,
    *,
    extends: Path | str | None = None,
    expect_manifest: bytes | str | None = None,
    jobs: Workers = 1,
    progress: Callable[[str, int, int], None] | None = None,
) -> ForeignReport:
    """Verify a record, of a finished election or of a running one.

    Args:
        record: its directory.
        extends: an earlier copy of the archive, which must be a prefix of this one.
        expect_manifest: the manifest's digest as published elsewhere, 32 bytes or hex.
        jobs: processes of this machine, or an executor.
        progress: called with what is being done, how much is done, and of how much.

    Raises:
        ParameterError, DecodingError: an argument is wrong. Never because of what files hold.
    """
    check_jobs(jobs)
    expected = decode_pin(expect_manifest, "expect_manifest")
    earlier = None if extends is None else Path(extends)
    run = RecordAudit(jobs, progress or silent, expected, earlier)
    run.verify_record(Path(record))
    return run.report()


class RecordAudit(Audit):
    """One audit of a record: what was found so far.

    Attributes:
        closing: the hash of the event that ends what is decrypted, if it is there.
        tally: what trustees decrypt, or shuffle next, if all before it holds.
    """

    def __init__(
        self,
        jobs: Workers,
        progress: Callable[[str, int, int], None],
        expected: bytes | None,
        extends: Path | None,
    ) -> None:
        super().__init__(jobs, progress, None, extends, PROFILE_CHECKS)
        self.expected = expected
        if expected is not None:
            self.ledger.required |= {"belenios.profile-digest"}

    def report(self) -> ForeignReport:
        return replace(super().report(), system="evote, profile belenios")

    def verify_record(self, path: Path) -> None:
        """All checks."""
        terms = None
        with self._step("profile-manifest", *PROFILE_CHECKS):
            terms = load_terms(path)
            self._did("profile-manifest")
        if terms is None:
            return
        self.parts.append(f"manifest {terms.digest.hex()}")
        if self.expected is not None:
            self._did("profile-digest")
            if terms.digest != self.expected:
                reason = f"{MANIFEST}: not the manifest that was expected"
                self.ledger.fail("belenios.profile-digest", reason)
            else:
                self.pinned |= {"election", "credentials"}
        with self._step("profile-files"):
            self._did("profile-files", _check_files(terms))
        if not terms.archive.exists():
            self.ledger.block("the election is not open yet", *PROFILE_CHECKS)
            return
        with self._step("archive-tar", *PROFILE_CHECKS), Archive(terms.archive) as archive:
            self.verify(archive)
            if self.ledger.failed(*(f"belenios.{name}" for name in _ARCHIVE)):
                reason = "the archive cannot be read"
                self.ledger.block(reason, *(f"belenios.{name}" for name in _NAMES[3:]))
            elif archive.events:
                self._profile(terms, archive)

    def _profile(self, terms: Terms, archive: Archive) -> None:
        manifest, setup = terms.manifest, archive.events[0]
        with self._step("profile-setup"):
            self._did("profile-setup")
            found = load_setup(terms)
            pairs = {"election": found.election_data, "trustees": found.trustees_data}
            for (name, data), body in zip(pairs.items(), setup.data, strict=False):
                if sha256_hex(data) != body.digest:
                    reason = f"{name}: not what the manifest and the trustees' files give"
                    raise VerificationError(reason)
        with self._step("profile-credentials"):
            data, rows = credentials_file(terms)
            self._did("profile-credentials", len(rows))
            if sha256_hex(data) != setup.data[2].digest:
                raise VerificationError("credentials: not those that the registrar signed")
            if self.election is not None:
                check_weights(terms, decode_credentials(data, self.election))
        with self._step("profile-open"):
            self._did("profile-open")
            opened_setup(terms, archive)
        ended = archive.kind("EndBallots")
        if not ended:
            self.ledger.block("the ballot box is still open", "belenios.profile-seal")
        with self._step("profile-seal"):
            for event in ended:
                self._did("profile-seal")
                cards, quorum = manifest.authorities, manifest.authority_quorum
                fields = terms.signed("seal", "seal", cards, quorum)
                if fields.hex("event", 32).hex() != event.digest:
                    raise VerificationError("the authorities sealed other ballots")
                fields.end()
                if self.expected is not None:
                    self.pinned.add("ballots")
        self._signed_shuffles(terms, archive)

    def _signed_shuffles(self, terms: Terms, archive: Archive) -> None:
        check = "belenios.profile-shuffles"
        if not terms.manifest.packs:
            self._absent("nothing is shuffled", "profile-shuffles")
            return
        with self._step("profile-shuffles"):
            done = shufflers(terms, archive)
            self._did("profile-shuffles", len(done))
            if not archive.kind("EndShuffles"):
                self.ledger.block("the shuffles have not ended", check)
            elif len(done) < terms.manifest.quorum:
                reason = f"shuffles of {len(done)} trustees, {terms.manifest.quorum} expected"
                raise VerificationError(reason)


_ARCHIVE = ("archive-tar", "archive-hash", "event-chain", "archive-order")


def shufflers(terms: Terms, archive: Archive) -> list[int]:
    """Who has shuffled, in their order: each once, and each signed its own.

    Raises:
        VerificationError, DecodingError: a shuffle is not its trustee's, or one of many.
    """
    found: list[int] = []
    for event in archive.kind("Shuffle"):
        owner = event.owner
        if not 1 <= owner <= len(terms.manifest.trustees):
            raise VerificationError(f"a shuffle of trustee {owner}, who does not exist")
        if owner in found:
            raise VerificationError(f"a second shuffle of trustee {owner}")
        card = terms.manifest.trustees[owner - 1]
        fields = terms.signed(f"shuffle-{owner:03d}", "shuffle", [card])
        fields.integer("index", owner, owner)
        if fields.hex("shuffle", 32).hex() != event.data[0].digest:
            raise VerificationError(f"the shuffle of trustee {owner} is not the one it signed")
        fields.end()
        found.append(owner)
    return found


def _check_files(terms: Terms) -> int:
    """How many files there are; none but those of a record.

    Raises:
        DecodingError: names the first other one.
    """
    count = 0
    expected = {MANIFEST, terms.archive.name, FOLDER}
    if terms.threshold:
        expected.add("ceremony")
    for name in sorted(os.listdir(terms.path)):
        if name not in expected:
            raise DecodingError("no such file belongs to a record", where=ascii(name))
        count += 1
    folder = terms.path / FOLDER
    for name in sorted(os.listdir(folder)) if folder.is_dir() else ():
        if not _FILE.fullmatch(name):
            raise DecodingError("no such file belongs to a record", where=f"{FOLDER}/{name!a}")
        count += 1
    ceremony = terms.path / "ceremony"
    known = Record(terms.path).ceremony_files() if terms.threshold else {}
    for name in sorted(os.listdir(ceremony)) if terms.threshold and ceremony.is_dir() else ():
        if name not in known:
            raise DecodingError("no such file belongs to a record", where=f"ceremony/{name!a}")
        count += 1
    return count
