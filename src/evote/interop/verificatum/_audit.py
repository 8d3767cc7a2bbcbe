"""Verify the sessions of a Verificatum mix-net into a report.

Nothing in a directory makes an audit raise: what is wrong with it is a failed check, with the file
and the place. A check whose inputs failed is not checked, which is never success.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from evote._archives import open_tree
from evote._files import read_file, shown_path
from evote._pool import Workers, processes
from evote._report import Ledger
from evote._trees import Tree
from evote._verificatum._codec import Codec
from evote._verificatum._oracle import Oracle, file_digest
from evote._verificatum._protinfo import MAX_PROTINFO, Protocol, decode_protinfo
from evote.errors import (
    DecodingError,
    EvoteError,
    ParameterError,
    UnsupportedError,
    VerificationError,
)
from evote.groups import Elements
from evote.interop._marks import PROTINFO, SESSIONS, is_session, is_verificatum
from evote.interop._reports import ForeignReport, Notice, check_jobs, checks_of, decode_pin, silent
from evote.interop.verificatum._decryption import (
    POLYNOMIAL,
    Polynomial,
    check_decryption,
    check_plaintexts,
    read_decryption,
    read_polynomial,
)
from evote.interop.verificatum._session import (
    CiphertextList,
    Files,
    Session,
    open_session,
)
from evote.interop.verificatum._shuffles import check_shuffle
from evote.mixnet import unchanged_ciphertexts

__all__ = ["CHECKS", "OMITTED", "audit", "is_session", "is_verificatum"]

_SECTIONS = {
    "Parameters": ("protinfo", "protinfo-digest", "group"),
    "Sessions": ("session", "key", "ciphertexts"),
    "Shuffles": ("shuffles", "quorum", "output"),
    "Decryption": ("polynomial", "decryption", "plaintexts"),
}
CHECKS = checks_of("verificatum", _SECTIONS, pins=("protinfo-digest",))
"""Stable ids, in the order of a report."""

OMITTED = (
    ("whose ciphertexts these are, and their form", "a mix-net's files do not say"),
    ("signatures on the bulletin board", "they are not in a proof directory"),
    ("how the key was made", "the same; the polynomial is compared with the key"),
    ("interactive proofs", "they convince nobody but the parties"),
)
"""What is not checked, and why."""

_PROTINFO, _DIGEST, _GROUP, *_OF_SESSIONS = CHECKS
_SESSION, _KEY, _CIPHERTEXTS, *_PROOFS = _OF_SESSIONS
_SHUFFLES, _QUORUM, _OUTPUT, _POLYNOMIAL, _DECRYPTION, _PLAINTEXTS = _PROOFS


def audit(
    path: Path | str,
    *,
    protinfo: Path | str | None = None,
    session: str | None = None,
    expect_protinfo: bytes | str | None = None,
    kind: str | None = None,
    auxsid: str | None = None,
    width: int | None = None,
    jobs: Workers = 1,
    progress: Callable[[str, int, int], None] | None = None,
) -> ForeignReport:
    """Verify every session of a directory.

    Args:
        path: a directory with protInfo.xml and nizkp/, or one session of it, or an archive.
        protinfo: the file of parameters; needed for one session, by default that of the directory.
        session: verify this session alone.
        expect_protinfo: the SHA-256 of protInfo.xml as published elsewhere, 32 bytes or hex.
        kind, auxsid, width: what each session must say that it is. By default the identifier is
            the name of the session's directory in nizkp/, and anything goes where there is none.
        jobs: processes of this machine, or an executor.
        progress: called with what is being done, how much is done, and of how much.

    Raises:
        ParameterError, DecodingError: an argument is wrong. Never because of what files hold.
    """
    path = Path(path)
    check_jobs(jobs)
    expected = decode_pin(expect_protinfo, "expect_protinfo")
    with open_tree(path) as tree:
        whole = is_verificatum(tree) or (protinfo is not None and SESSIONS in tree.directories())
        if not whole and protinfo is None:
            raise ParameterError(f"{shown_path(path)}: one session needs its protInfo.xml named")
        if not whole and session is not None:
            raise ParameterError(f"{shown_path(path)} is one session: there is none to choose")
        run = _Audit(jobs, progress or silent, expected)
        protocol = run.read_protocol(tree, None if protinfo is None else Path(protinfo))
        places: list[tuple[Files, str | None]] = [(Files(tree, shown_path(path.name)), None)]
        if whole:
            places = [
                (Files(tree, f"{SESSIONS}/{shown_path(name)}", f"{SESSIONS}/{name}/"), name)
                for name in run.session_names(tree, session)
            ]
        for files, name in places if protocol is not None else ():
            assert protocol is not None
            run.verify_session(protocol, files, kind, name if auxsid is None else auxsid, width)
    return run.report(protocol)


class _Audit:
    """One audit: what was found so far."""

    def __init__(
        self,
        jobs: Workers,
        progress: Callable[[str, int, int], None],
        expected: bytes | None,
    ) -> None:
        self.ledger = Ledger("setup", () if expected is None else (_DIGEST,), CHECKS)
        self.expected = expected
        self.jobs = jobs
        self.progress = progress
        self.notices: list[Notice] = []
        self.parts: list[str] = []
        self.readable = True
        self.broken = False  # whether something could not be done for reasons of our own

    def report(self, protocol: Protocol | None) -> ForeignReport:
        return ForeignReport.of(
            self.ledger,
            f"Verificatum {protocol.version}" if protocol else "Verificatum",
            readable=self.readable,
            parts=self.parts,
            notices=self.notices,
            unpinned=(*((PROTINFO,) if self.expected is None else ()), "public key", "ciphertexts"),
        )

    @contextmanager
    def _step(self, place: str, check: str, *blocks: str, count: int = 1) -> Iterator[None]:
        """What goes wrong inside fails `check`; what is not known here leaves it not checked.

        So does a plain EvoteError: a worker broke down, which says nothing of the files.
        """
        ledger = self.ledger
        try:
            yield
        except UnsupportedError as error:
            ledger.block(str(error), check)
        except EvoteError as error:
            said = str(error)
            if type(error) is EvoteError:
                self.broken = True
                ledger.block(said, check, *blocks)
                return
            ledger.did(check, count)
            ledger.fail(check, said if said.startswith(place) else f"{place}: {said}")
        except Exception as error:
            ledger.did(check, count)
            ledger.fail(check, f"{place}: internal error: {type(error).__name__}: {error}")
        else:
            ledger.did(check, count)
            return
        ledger.block(f"{check} failed or was not done in {place}", *blocks)

    def read_protocol(self, tree: Tree, other: Path | None) -> Protocol | None:
        """The parameters, with a group that uses every process asked for."""
        ledger, protocol = self.ledger, None
        with self._step(PROTINFO, _PROTINFO, *CHECKS):
            try:
                if other is not None:
                    data = read_file(other, MAX_PROTINFO, where=PROTINFO)
                else:
                    data = tree.read(PROTINFO, MAX_PROTINFO)
                if self.expected is not None:
                    ledger.did(_DIGEST)
                    if file_digest(data) != self.expected:
                        ledger.fail(_DIGEST, f"{PROTINFO}: not the file that was expected")
                protocol = decode_protinfo(data, where=PROTINFO)
            except DecodingError as error:
                self.readable = False
                if not error.where.endswith("<pgroup>"):
                    raise
                ledger.fail(_GROUP, error)
                ledger.block("there is no group", *_OF_SESSIONS)
        if protocol is None:
            return None
        ledger.did(_GROUP)
        if protocol.group.is_weak:
            self.notices.append(Notice("weak-group", f"{protocol.group.name}: logarithms in reach"))
        if self.jobs != 1:
            pool = processes(self.jobs) if isinstance(self.jobs, int) else self.jobs
            group = protocol.group.with_executor(pool)
            protocol = replace(protocol, group=group, codec=Codec(group))
        return protocol

    def session_names(self, tree: Tree, session: str | None) -> list[str]:
        """Of all sessions, or of the one chosen."""
        names = tree.directories(SESSIONS)
        if session is not None and session not in names:
            shown = ", ".join(map(shown_path, names)) or "none"
            raise ParameterError(f"no session {session!r}; there are {shown}")
        if not names:
            self.ledger.fail(_SESSION, f"{SESSIONS}: no session")
            self.ledger.block("there is no session", *_OF_SESSIONS)
        return names if session is None else [session]

    # -- one session -------------------------------------------------------------------------------

    def verify_session(
        self,
        protocol: Protocol,
        files: Files,
        kind: str | None,
        auxsid: str | None,
        width: int | None,
    ) -> None:
        """All checks of one session."""
        place = files.shown
        session = key = inputs = None
        with self._step(place, _SESSION, *_OF_SESSIONS):
            session = open_session(protocol, files, kind=kind, auxsid=auxsid, width=width)
        if session is None:
            self.parts.append(place)
            return
        self._absent(session)
        with self._step(place, _KEY, *_PROOFS):
            key = session.read_key()
        with self._step(place, _CIPHERTEXTS, *_PROOFS):
            inputs = session.read_list("Ciphertexts.bt")
        count = f", {len(inputs)} ciphertexts of width {session.width}" if inputs else ""
        self.parts.append(f"{place}: {session.kind}{count}")
        if key is None or inputs is None:
            return
        oracle = Oracle(protocol, session.auxsid)
        last: CiphertextList | None = inputs
        if session.shuffles:
            last = self._shuffles(session, oracle, session.widths.spread(key), inputs)
        polynomial = None
        if session.decrypts or session.files.has(POLYNOMIAL):
            with self._step(place, _POLYNOMIAL, _DECRYPTION, _PLAINTEXTS):
                polynomial = read_polynomial(session, key)
        if session.decrypts and polynomial is not None and last is not None:
            self._decrypts(session, oracle, polynomial, last)

    def _absent(self, session: Session) -> None:
        """Checks that a session of this kind has no object for."""
        if not session.shuffles:
            self.ledger.absent("no session shuffles", _SHUFFLES, _QUORUM, _OUTPUT)
        if not session.decrypts:
            self.ledger.absent("no session decrypts", _POLYNOMIAL, _DECRYPTION, _PLAINTEXTS)
        elif session.shuffles and not session.files.has("ShuffledCiphertexts.bt"):
            self.ledger.absent("what is decrypted is the last list", _OUTPUT)

    def _shuffles(
        self, session: Session, oracle: Oracle, key: Elements, inputs: CiphertextList
    ) -> CiphertextList | None:
        """The last list, if every list could be read."""
        ledger, place = self.ledger, session.files.shown
        parties = [
            party
            for party in range(1, session.active + 1)
            if any(
                session.files.has(f"proofs/{name}Commitment{party:02d}.bt")
                for name in ("PoS", "CCPoS")
            )
        ]
        current, valid = inputs, 0
        for done, party in enumerate(parties):
            self.progress(f"{place}: shuffles", done, len(parties))
            outputs = None
            with self._step(place, _SHUFFLES):
                outputs = self._outputs(session, party, party == parties[-1], len(inputs))
                check_shuffle(session, oracle, party, key, current, outputs)
                valid += 1
            if outputs is None:
                reason = f"{place}: the list of party {party} cannot be read"
                ledger.block(reason, _QUORUM, _OUTPUT, _DECRYPTION, _PLAINTEXTS)
                return None
            with self._step(place, _SHUFFLES, count=0):  # workers may break down here too
                same = unchanged_ciphertexts(current.ciphertexts, outputs.ciphertexts)
                if len(same):
                    detail = (
                        f"{place}: party {party} left {len(same)} of {len(inputs)} as they were"
                    )
                    self.notices.append(Notice("unchanged-ciphertexts", detail))
            current = outputs
        ledger.did(_QUORUM)
        needed = session.protocol.threshold
        if valid < needed:
            reason = f"{place}: too few valid shuffles: {valid}, {needed} needed"
            if self.broken:
                ledger.block(reason, _QUORUM)
            else:
                ledger.fail(_QUORUM, reason)
        name = "ShuffledCiphertexts.bt"
        if session.kind == "shuffling" or session.files.has(name):
            with self._step(place, _OUTPUT):
                final = session.read_list(name, len(inputs))
                if final.tree != current.tree:
                    raise VerificationError(f"{final.where}: differs from the last verified list")
        return current

    @staticmethod
    def _outputs(session: Session, party: int, last: bool, count: int) -> CiphertextList:
        name = f"proofs/Ciphertexts{party:02d}.bt"
        if last and session.kind == "shuffling" and not session.files.has(name):
            name = "ShuffledCiphertexts.bt"
        return session.read_list(name, count)

    def _decrypts(
        self, session: Session, oracle: Oracle, polynomial: Polynomial, inputs: CiphertextList
    ) -> None:
        place, factors = session.files.shown, None
        self.progress(f"{place}: decryption", 0, 1)
        parties = session.protocol.parties
        with self._step(place, _DECRYPTION, _PLAINTEXTS, count=parties):
            decryption = read_decryption(session, len(inputs))
            factors = check_decryption(session, oracle, inputs, polynomial, decryption)
        if factors is None:
            return
        with self._step(place, _PLAINTEXTS, count=len(inputs)):
            check_plaintexts(session, inputs, factors)
