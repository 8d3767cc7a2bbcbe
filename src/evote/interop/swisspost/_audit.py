"""Verify a file of Swiss Post's arguments, proofs and computations into a report.

Nothing in a file makes an audit raise: what is wrong with it is a failed check, with the place.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from evote._files import read_file, shown_path
from evote._pool import Workers, processes
from evote._report import Ledger
from evote._trees import Tree
from evote.encoding import JSON, Fields, parse_json
from evote.errors import (
    DecodingError,
    EvoteError,
    UnsupportedError,
    VerificationError,
)
from evote.groups import ModPGroup
from evote.interop._reports import ForeignReport, Notice, check_jobs, checks_of, decode_pin, silent
from evote.interop.swisspost._cases import Case, Kind, kind_of
from evote.interop.swisspost._hashing import (
    PROFILES,
    Profile,
    derive_commitment_key,
    file_digest,
)
from evote.interop.swisspost._reading import Reader, group_of, profile_of

__all__ = ["CHECKS", "audit", "is_swisspost", "read_cases"]

MAX_BYTES = 2**25
MAX_DEPTH = 16
MAX_CASES = 1000
CHALLENGES = ("x", "y", "z")
VERDICTS = ("result", "verif_result", "output")

_SECTIONS = {
    "File": ("digest", "form", "group"),
    "Arguments": (
        *("shuffle", "multi-exponentiation", "product", "hadamard", "zero", "single-value"),
    ),
    "Proofs": ("schnorr", "exponentiation", "decryption", "plaintext-equality"),
    "Computations": (
        *("hash", "hash-to-zq", "cut", "parameters", "commitment-key", "ciphertext", "star-map"),
        *("derived-key", "argon2id", "symmetric"),
    ),
}
CHECKS = checks_of("swisspost", _SECTIONS, pins=("digest",))
"""Stable ids, in the order of a report."""

_DIGEST, _FORM, _GROUP, *_KINDS = CHECKS


def is_swisspost(tree: Tree) -> bool:
    """Whether it is a JSON file of cases one of which is of a known kind."""
    try:
        cases = read_cases(tree.path)[1]
    except DecodingError:
        return False
    return isinstance(cases, list) and any(_kind_of(case) is not None for case in cases[:MAX_CASES])


def _kind_of(case: JSON) -> Kind | None:
    if not isinstance(case, dict) or not isinstance(case.get("input"), dict):
        return None
    return kind_of(Fields(case["input"], "$")) if "output" in case else None


def read_cases(path: Path) -> tuple[bytes, JSON]:
    """The bytes of a file, and the JSON in it."""
    if not path.is_file():
        raise DecodingError("not a file", where=shown_path(path.name))
    where = shown_path(path.name)
    data = read_file(path, MAX_BYTES, where=where)
    value = parse_json(data, where=where, max_bytes=MAX_BYTES, max_depth=MAX_DEPTH, canonical=False)
    return data, value


def audit(
    path: Path | str,
    *,
    expect_digest: bytes | str | None = None,
    jobs: Workers = 1,
    progress: Callable[[str, int, int], None] | None = None,
) -> ForeignReport:
    """Verify every case of a file.

    Args:
        path: a JSON file: a list of cases.
        expect_digest: the file's SHA-256 as published elsewhere, 32 bytes or hex.
        jobs: processes of this machine, or an executor.
        progress: called with what is being done, how much is done, and of how much.

    Raises:
        ParameterError, DecodingError: an argument is wrong. Never because of what the file holds.
    """
    path = Path(path)
    check_jobs(jobs)
    expected = decode_pin(expect_digest, "expect_digest")
    run = _Audit(path, expected, jobs)
    run.verify(progress or silent)
    return run.report()


class _Audit:
    """One audit: what was found so far."""

    def __init__(self, path: Path, expected: bytes | None, jobs: Workers) -> None:
        self.path, self.expected, self.jobs = path, expected, jobs
        self.ledger = Ledger("setup", () if expected is None else (_DIGEST,), CHECKS)
        self.profile: Profile | None = None
        self.parts: list[str] = []
        self.notices: dict[Notice, None] = {}
        self.readable = True

    def report(self) -> ForeignReport:
        name = "" if self.profile is None else f" {self.profile.name}"
        return ForeignReport.of(
            self.ledger,
            f"Swiss Post crypto-primitives{name}",
            readable=self.readable,
            parts=self.parts,
            notices=self.notices,
            unpinned=("file",) if self.expected is None else (),
        )

    def verify(self, progress: Callable[[str, int, int], None]) -> None:
        ledger = self.ledger
        try:
            data, cases = read_cases(self.path)
            if not isinstance(cases, list) or not 0 < len(cases) <= MAX_CASES:
                raise DecodingError(f"1 to {MAX_CASES} cases expected", where="$")
        except DecodingError as error:
            self.readable = False
            ledger.did(_FORM)
            ledger.fail(_FORM, error)
            ledger.block("the file cannot be read", *_KINDS, _GROUP)
            return
        if self.expected is not None:
            ledger.did(_DIGEST)
            if file_digest(data) != self.expected:
                ledger.fail(_DIGEST, "not the file that was expected")
        self.profile = profile_of(cases)
        kinds = [_kind_of(case) for case in cases]
        known = {f"swisspost.{kind.check}" for kind in kinds if kind is not None}
        ledger.absent("the file has none", *(name for name in _KINDS if name not in known))
        ledger.absent("no case has a group", _GROUP)
        for i, (case, kind) in enumerate(zip(cases, kinds, strict=True)):
            progress("cases", i, len(cases))
            self._case(i, case, kind)

    def _case(self, i: int, value: JSON, kind: Kind | None) -> None:
        ledger, where = self.ledger, f"$[{i}]"
        ledger.did(_FORM)
        if kind is None:
            ledger.fail(_FORM, f"{where}: no case of a known kind")
            self.parts.append(f"{where}: unknown")
            return
        check, shown, case = f"swisspost.{kind.check}", f"{where}: {kind.name}", None
        try:
            case = self._open(Fields(value, where))
            ledger.did(check)
            kind.run(case)
            self._compare(case, kind)
            for fields in (case.context, case.input):
                if fields is not None:
                    fields.end()
        except UnsupportedError as error:
            ledger.block(f"{where}: {error}", check)
            verdict = "not checked"
        except DecodingError as error:
            ledger.fail(_FORM, error if error.where.startswith(where) else f"{where}: {error}")
            ledger.block(f"{where} cannot be read", check)
            verdict = "cannot be read"
        except EvoteError as error:
            if type(error) is EvoteError:  # a worker broke down, which says nothing of the file
                ledger.block(f"{where}: {error}", check)
                verdict = "not checked"
            elif case is None:
                ledger.fail(_GROUP, f"{where}: {error}")
                ledger.block(f"{where} has no group", check)
                verdict = "has no group"
            else:
                ledger.fail(check, f"{where}: {error}")
                verdict = "does not hold" if kind.verdict else "is wrong"
        except Exception as error:
            ledger.fail(check, f"{where}: internal error: {type(error).__name__}: {error}")
            verdict = "not checked"
        else:
            verdict = "holds" if kind.verdict else "is right"
        sizes = f" ({case.sizes})" if case is not None and case.sizes else ""
        self.parts.append(f"{shown}{sizes} {verdict}")
        if case is not None and verdict in ("holds", "is right"):
            self._notice(case, kind, where)

    def _open(self, fields: Fields) -> Case:
        """The parts of a case, and what its context gives."""
        if "description" in fields:
            fields.text("description", allow_empty=True)
        context = fields.object("context") if "context" in fields else None
        inner = fields.object("input")
        said = fields.value("output")
        output = fields.object("output") if isinstance(said, dict) else None
        if output is None and not isinstance(said, bool | str):
            fields.fail("output", "an object, or whether it holds, expected")
        if output is None:
            output = Fields({"result": said}, fields.where)
        fields.end()
        reader = Reader(self.profile or PROFILES["1.5"])
        case = Case(reader=reader, context=context, input=inner, output=output)
        if context is None or "p" not in context or "q" not in context:
            return case
        group = self._group(*(reader.integer(context, name) for name in "pqg"))
        case.reader = reader = Reader(reader.profile, group)
        if "pk" in context:
            case.key = reader.elements(context, "pk", one=False)
        if "ck" in context:
            case.ck = reader.commitment_key(context.object("ck"))
        return case

    def _group(self, p: int, q: int, g: int) -> ModPGroup:
        self.ledger.did(_GROUP)
        group = group_of(p, q, g)
        if group.is_weak:
            self.notices[Notice("weak-group", f"{p.bit_length()} bits: logarithms in reach")] = None
        if self.jobs == 1:
            return group
        pool = processes(self.jobs) if isinstance(self.jobs, int) else self.jobs
        return group.with_executor(pool)

    def _compare(self, case: Case, kind: Kind) -> None:
        """What a case that holds says of itself, and fields that nobody has read."""
        output = case.result()
        if not kind.verdict:
            output.end()
            return
        said = [output.value(name) for name in VERDICTS if name in output]
        if len(said) != 1 or said[0] not in (True, False, "true", "false"):
            raise DecodingError("one verdict expected", where=output.where)
        if said[0] in (False, "false"):
            raise VerificationError("the file says that it does not hold, and it does")
        for name in CHALLENGES:
            if name in output:
                number = case.reader.integer(output, name)
                if name not in case.drawn:
                    output.fail(name, "there is no such challenge")
                case.compare(f"challenge {name}", case.drawn[name], number)
        output.end()

    def _notice(self, case: Case, kind: Kind, where: str) -> None:
        if case.unbound:
            names = ", ".join(case.unbound)
            self.notices[Notice("unbound-field", f"{kind.name}: nothing depends on {names}")] = None
        if case.ck is None or "ck" in case.unbound:
            return
        derived = derive_commitment_key(case.reader.profile, case.group, case.ck.width)
        if derived != case.ck:
            detail = f"{where}: not that of the group: who chose it may prove what is false"
            self.notices[Notice("given-commitment-key", detail)] = None
