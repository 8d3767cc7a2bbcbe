"""What registrars do: draw the voters' codes from a list, and publish the roll of their keys.

    issue      draw codes and publish the roll; where each registrar draws a part, write the part
    combine    publish or sign the roll that the parts of all registrars make
    collect    publish the roll of keys that voters have drawn themselves
    enrol      what such a voter does
    print_sheets   the codes, a page each
    open_map   open the sealed map of who has which credential

A list of millions is read as a stream, several times: everything is checked before anything is
drawn, all codes are on the disk before the first row is published, and a step that was interrupted
is repeated with the codes that are there. In memory are 45 bytes a voter.

The rows of the roll ascend by key, so that their order says nothing of the list's. Identities go
into the codes' file and the sealed map, both of which stay offline; parts, which registrars hand
to one another, tell who is on the list to whoever can guess it.
"""

from __future__ import annotations

import csv
from array import array
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from evote._files import make_directory, read_file, shown_path, write_file
from evote._founding import operator_key
from evote._parts import Portion, read_parts, write_part
from evote._pool import Work, run_jobs, spread
from evote._sheets import write_sheets
from evote._tags import (
    hash_identities,
    make_tag_shares,
    read_tags,
    tag_registrars,
    write_tags,
)
from evote._voter_map import checked_tags, read_voter_map, write_voter_map
from evote._voters import (
    Voter,
    check_offline,
    check_voters,
    private_file,
    read_issued,
    read_voters,
    write_codes,
)
from evote.ceremony import ceremony_parameters
from evote.credentials import (
    RollRow,
    RollSums,
    decode_roll,
    derive_credentials,
    derive_voter_key,
    draw_code,
    draw_codes,
    read_roll,
    sign_roll,
)
from evote.election import Manifest
from evote.encoding import (
    Fields,
    canonical_json,
    check_format,
    digest,
    encode_base64url,
    encode_hex,
    parse_json,
)
from evote.errors import EvoteError, ParameterError, VerificationError
from evote.groups.eddsa import decode_verification_keys, verify_signatures
from evote.operators import OperatorKey, Passphrase
from evote.record import ROLL, Record, write_rows
from evote.verify import Progress

__all__ = ["collect", "combine", "enrol", "issue", "open_map", "print_sheets"]

_AT_ONCE = 4096  # voters
_MAX_REQUEST = 4096  # bytes

T = TypeVar("T")


def issue(
    record: Path | str,
    registrar_directory: Path | str,
    voters: Path | str,
    codes: Path | str,
    passphrase: Passphrase,
    *,
    part: Path | str | None = None,
    sealed_map: Path | str | None = None,
    tags: Path | str | None = None,
    jobs: int = 1,
    progress: Progress | None = None,
) -> int:
    """Draw a code for every voter of a list; publish the roll, or write this registrar's part.

    Cost: for each voter a key of 30 microseconds, which `jobs` processes share, and a row of 50;
    a tag takes a constant-time power.

    Args:
        record: its directory, with a manifest.
        registrar_directory: of the registrar who signs.
        voters: the list, see `_voters`.
        codes: a new file of the codes, readable by its owner only; or the one that an interrupted
            step has left.
        passphrase: of the registrar's key.
        part: a new file of the keys, where the manifest has every registrar draw a part; with
            shares of the voters' tags, if the registrar has a key for these.
        sealed_map: a new file that says who has which credential, sealed to all registrars.
        tags: a new file of the voters' tags in the order of the roll, for `reconcile`.
        jobs: processes of this machine.
        progress: called with what is being done, how much is done, and of how much.

    Returns:
        How many voters there are.

    Raises:
        ParameterError: lines of the list are wrong, which are named; there are more voters than
            the manifest allows; the record has another roll; or a file is inside of the record.
    """
    outputs = _Outputs(part, sealed_map, tags)
    desk = _begin(record, registrar_directory, passphrase, outputs, voters, codes)
    manifest = desk.manifest
    if manifest.credentials == "enrolled":
        raise ParameterError("the voters of this election draw their own keys: collect them")
    if (manifest.credentials == "parts") != (part is not None):
        wanted = "only where each registrar draws a part, is a file of parts written"
        raise ParameterError(f"the manifest's credentials are {manifest.credentials}: {wanted}")
    if part is not None and (sealed_map is not None or tags is not None):
        raise ParameterError("map and tags are made of all parts, by combining them")
    count, named = desk.check(voters, outputs)
    if not Path(codes).exists():
        if desk.record.has(ROLL):
            raise ParameterError("the record has a roll already")
        write_codes(codes, _drawn(_each(voters)))
    with_tags = tags is not None or (part is not None and named and desk.makes_tags)
    issued = desk.tagged(_derived(desk.base, read_issued(codes, voters), jobs), with_tags, jobs)
    issued = _counted(issued, count, "keys", progress)
    if part is None:
        _publish(desk, issued, count, outputs, progress)
    else:
        write_part(part, desk.key, desk.base, issued, with_tags)
    return count


def combine(
    record: Path | str,
    registrar_directory: Path | str,
    voters: Path | str,
    parts: Sequence[Path | str],
    passphrase: Passphrase,
    *,
    sealed_map: Path | str | None = None,
    tags: Path | str | None = None,
    progress: Progress | None = None,
) -> int:
    """Publish the roll whose credentials the parts of all registrars make, or sign it if it is so.

    Every registrar does this: a registrar's signature on the roll says that its own part is in
    every credential. Arguments and returns as of `issue`.

    Raises:
        VerificationError: a part is not its registrar's, not of this list, or missing.
        ParameterError: the record has another roll.
    """
    outputs = _Outputs(None, sealed_map, tags)
    desk = _begin(record, registrar_directory, passphrase, outputs, voters, *parts)
    if desk.manifest.credentials != "parts":
        raise ParameterError("the registrars of this election draw no parts")
    count, _ = desk.check(voters, outputs)
    portions = _chunks(_each(voters))
    issued = read_parts(parts, desk.manifest, desk.base, portions, tags is not None)
    _publish(desk, _counted(issued, count, "parts", progress), count, outputs, progress)
    return count


def collect(
    record: Path | str,
    registrar_directory: Path | str,
    voters: Path | str,
    requests: Path | str,
    passphrase: Passphrase,
    *,
    sealed_map: Path | str | None = None,
    tags: Path | str | None = None,
    progress: Progress | None = None,
) -> int:
    """Publish the roll of keys that voters have drawn; `requests` is the folder of what they sent.

    That a request comes from the person in whose line its name stands, the registrar has seen to.
    Arguments and returns as of `issue`.

    Raises:
        DecodingError, VerificationError: a request is malformed, of another election, or not signed
            by its own key.
        ParameterError: a line has no request; the record has another roll.
    """
    outputs = _Outputs(None, sealed_map, tags)
    desk = _begin(record, registrar_directory, passphrase, outputs, voters, requests)
    if desk.manifest.credentials != "enrolled":
        raise ParameterError("the voters of this election draw no keys")
    count, _ = desk.check(voters, outputs)
    collected = (
        (chunk, _read_requests(Path(requests), desk.base, chunk))
        for chunk in _chunks(read_voters(voters))
    )
    issued = _counted(desk.tagged(collected, tags is not None, 1), count, "requests", progress)
    _publish(desk, issued, count, outputs, progress)
    return count


def enrol(record: Path | str, folder: Path | str) -> Path:
    """Draw a voter's own code into a new folder, beside the request that goes to the registrar.

    Returns:
        The path of the request. `code.txt` beside it is for the voter alone.

    Raises:
        ParameterError: the voters of this election draw no keys, or the folder holds a code.
    """
    opened, folder = Record(record), Path(folder)
    if opened.manifest.credentials != "enrolled":
        raise ParameterError("the voters of this election draw no keys")
    check_offline(record, folder)
    code, request = folder / "code.txt", folder / "request.json"
    if not code.exists():
        make_directory(folder, mode=0o700)
        write_file(code, f"{draw_code()}\n".encode("ascii"), mode=0o600)
    base = ceremony_parameters(opened).base_id
    voter = derive_voter_key(read_file(code, _MAX_REQUEST).decode("ascii").strip(), base)
    signature = voter.signing.sign(digest("enrolment", base, voter.credential))
    data = canonical_json(
        {
            "format": "evote/enrolment",
            "version": 1,
            "base": encode_hex(base),
            "credential": encode_hex(voter.credential),
            "signature": encode_base64url(signature),
        }
    )
    write_file(request, data)
    return request


def open_map(
    record: Path | str,
    registrar_directories: Sequence[Path | str],
    sealed_map: Path | str,
    target: Path | str,
    passphrase: Passphrase,
    *,
    tags: Path | str | None = None,
) -> int:
    """Open a sealed map with the keys of all registrars into a CSV of identity and credential.

    With `tags`, those of the roll, it is also checked that each credential's tag is that of its
    identity under the keys on the registrars' cards: what a reconciliation takes the registrars'
    word for. Arguments and returns otherwise as of `issue`.

    Raises:
        DecodingError, VerificationError: the map or the tags are damaged, of another election, not
            signed by a registrar; a tag is another identity's.
        ParameterError: a registrar's key is missing.
    """
    opened = Record(record)
    check_offline(record, sealed_map, target, tags, *registrar_directories)
    manifest, base = opened.manifest, ceremony_parameters(opened).base_id
    keys = [operator_key(path, passphrase, manifest, "registrar") for path in registrar_directories]
    header = decode_roll(opened.roll_header())
    styles = [style.id for style in manifest.styles]
    roll = read_roll(opened.roll_rows(), styles, check_keys=False)
    listed = None if tags is None else list(read_tags(tags, manifest, base, header))
    seen = np.zeros(len(roll), dtype=np.bool_)
    with private_file(target) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("identity", "credential"))
        for number, portion in enumerate(read_voter_map(sealed_map, keys, manifest, base)):
            rows = roll.find(portion.credentials)
            if (rows < 0).any() or seen[rows].any():
                name = shown_path(Path(sealed_map).name)
                raise VerificationError(f"{name}: a credential that is not on the roll, or twice")
            seen[rows] = True
            if listed is not None:
                found = checked_tags(manifest, base, number, portion)
                for row, tag in zip(rows, found, strict=True):
                    if listed[row] != tag:
                        raise VerificationError(f"row {row} of the roll: the tag of another person")
            pairs = zip(portion.identities, map(encode_hex, portion.credentials), strict=True)
            writer.writerows(pairs)
        if not seen.all():
            raise VerificationError(f"{len(roll)} voters on the roll, {seen.sum()} in the map")
    return len(roll)


def print_sheets(
    record: Path | str, codes: Path | str, folder: Path | str, *, advice: str = "", pages: int = 500
) -> list[Path]:
    """A page for each voter of a codes' file, as HTML to be printed, many to a file of a folder.

    Args:
        record: of the election, whose title stands on every page.
        codes: what `issue` has drawn.
        folder: for files that only their owner reads; to be deleted once they are printed.
        advice: what else stands on every page: where to vote, and until when.
        pages: most in one file.
    """
    check_offline(record, codes, folder)
    return write_sheets(codes, folder, Record(record).manifest.title, advice, pages=pages)


# -- steps of these ------------------------------------------------------------------------------


class _Outputs(NamedTuple):
    """New files of a step, as far as they are wanted."""

    part: Path | str | None
    sealed_map: Path | str | None
    tags: Path | str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Desk:
    """What every step of a registrar needs."""

    record: Record
    key: OperatorKey
    manifest: Manifest
    base: bytes

    def check(self, voters: Path | str, outputs: _Outputs) -> tuple[int, bool]:
        """How many voters a list has and whether it names them, which map and tags need."""
        count, named = check_voters(voters, self.manifest)
        if not named and (outputs.sealed_map is not None or outputs.tags is not None):
            raise ParameterError("a map and tags are of identities, and the list has none")
        return count, named

    @property
    def makes_tags(self) -> bool:
        return self.key.ceremony is not None

    def tagged(
        self, issued: Iterable[tuple[Sequence[Voter], Sequence[bytes]]], wanted: bool, jobs: int
    ) -> Iterator[Portion]:
        """The same as portions, with this registrar's shares of tags where they are wanted."""
        if wanted:
            makers = tag_registrars(self.manifest.registrars, self.manifest.group)
            if self.manifest.credentials != "parts" and makers != (self.key.card,):
                raise ParameterError("tags of several registrars are made where they draw parts")
        group = spread(self.manifest.group, jobs)
        for number, (voters, credentials) in enumerate(issued):
            shares = {}
            if wanted:
                hashed = hash_identities(group, self.base, [voter.identity for voter in voters])
                made = make_tag_shares(self.key, self.base, b"", number, hashed)
                shares[self.key.card.id] = made
            yield Portion(voters=voters, credentials=credentials, shares=shares)


def _begin(
    record: Path | str,
    directory: Path | str,
    passphrase: Passphrase,
    outputs: _Outputs,
    *inputs: Path | str,
) -> _Desk:
    opened = Record(record)
    check_offline(record, directory, *inputs, *outputs)
    for path in outputs:
        if path is not None and Path(path).exists():
            raise ParameterError(f"{shown_path(Path(path).name)} exists, and is not written over")
    manifest = opened.manifest
    manifest.check_native()
    key = operator_key(directory, passphrase, manifest, "registrar")
    base = ceremony_parameters(opened).base_id
    return _Desk(record=opened, key=key, manifest=manifest, base=base)


def _each(voters: Path | str) -> Iterator[Voter]:
    return (voter for voter in read_voters(voters) for _ in range(voter.repeats))


def _chunks(items: Iterable[T]) -> Iterator[list[T]]:
    iterator = iter(items)
    while chunk := list(islice(iterator, _AT_ONCE)):
        yield chunk


def _drawn(voters: Iterable[Voter]) -> Iterator[tuple[str, Voter]]:
    for chunk in _chunks(voters):
        yield from zip(draw_codes(len(chunk)), chunk, strict=True)


def _derived(
    base: bytes, drawn: Iterable[tuple[str, Voter]], jobs: int
) -> Iterator[tuple[list[Voter], list[bytes]]]:
    """The keys of codes, computed in processes of this machine."""
    waiting: deque[list[Voter]] = deque()

    def codes() -> Iterator[list[str]]:
        for chunk in _chunks(drawn):
            waiting.append([voter for _, voter in chunk])
            yield [code for code, _ in chunk]

    for outcome in run_jobs(Work(bytes, (base,), _derive), codes(), jobs):
        if isinstance(outcome, EvoteError):
            raise outcome
        yield waiting.popleft(), [outcome[i : i + 32] for i in range(0, len(outcome), 32)]


def _derive(base: bytes, codes: list[str]) -> bytes:
    return b"".join(derive_credentials(codes, base))


def _counted(
    issued: Iterable[Portion], count: int, what: str, progress: Progress | None
) -> Iterator[Portion]:
    """The same, with progress; exactly `count` of them.

    Raises:
        ParameterError: there are more or fewer: the list changed meanwhile.
    """
    done = 0
    for portion in issued:
        done += len(portion.voters)
        if progress is not None:
            progress(what, done, count)
        yield portion
    if done != count:
        raise ParameterError(f"{count} voters expected, got {done}")


def _read_requests(folder: Path, base: bytes, voters: Sequence[Voter]) -> list[bytes]:
    """The keys of requests, each signed by itself: nobody enrols the key of another voter."""
    credentials, signatures = [], []
    for voter in voters:
        if voter.repeats != 1 or not voter.request or Path(voter.request).name != voter.request:
            raise ParameterError(f"line {voter.line}: the name of one request expected")
        where = shown_path(voter.request)
        data = read_file(folder / voter.request, _MAX_REQUEST, where=where)
        fields = Fields(parse_json(data, where=where), f"{where}: $")
        check_format(fields, "evote/enrolment", 1)
        if fields.hex("base", 32) != base:
            raise VerificationError(f"{where}: of another election")
        credentials.append(fields.hex("credential", 32))
        signatures.append(fields.packed("signature", 64))
        fields.end()
    messages = [digest("enrolment", base, credential) for credential in credentials]
    holds = verify_signatures(credentials, messages, signatures)
    holds &= decode_verification_keys(credentials)
    if not holds.all():
        wrong = voters[int(np.argmin(holds))]
        reason = "not signed by its own key"
        raise VerificationError(f"{shown_path(wrong.request)}: {reason}")
    return credentials


# -- the roll ------------------------------------------------------------------------------------


class _Rows:
    """Rows of a roll as they come, 45 bytes each, to be put into their order; and tags, if any."""

    def __init__(self, manifest: Manifest) -> None:
        self._styles = [style.id for style in manifest.styles]
        self._style_numbers = {style: i for i, style in enumerate(self._styles)}
        self._districts: list[str] = []
        self._district_numbers: dict[str, int] = {}
        self._credentials, self._tags = bytearray(), bytearray()
        self._columns = array("H"), array("I"), array("I"), bytearray()
        self._tag_size = manifest.group.element_size

    def add(self, portion: Portion) -> None:
        styles, districts, weights, provisional = self._columns
        self._credentials += b"".join(portion.credentials)
        if portion.shares:
            self._tags += portion.tags.encode()
        for voter in portion.voters:
            district = self._district_numbers.setdefault(voter.district, len(self._districts))
            if district == len(self._districts):
                self._districts.append(voter.district)
            styles.append(self._style_numbers[voter.style])
            districts.append(district)
            weights.append(voter.weight)
            provisional.append(voter.status == "provisional")

    def _numbers(self) -> Iterator[NDArray[np.intp]]:
        """The numbers of the rows, ascending by credential, 4096 at a time."""
        if self._credentials:
            keys = np.frombuffer(self._credentials, dtype="S32")
            numbers = np.argsort(keys, kind="stable")
            yield from (numbers[i : i + _AT_ONCE] for i in range(0, len(numbers), _AT_ONCE))

    def ordered(self) -> Iterator[RollRow]:
        """The rows, ascending by credential."""
        styles, districts, weights, provisional = self._columns
        keys = self._credentials
        for row in chain.from_iterable(numbers.tolist() for numbers in self._numbers()):
            yield RollRow(
                credential=bytes(keys[32 * row : 32 * row + 32]),
                style=self._styles[styles[row]],
                weight=weights[row],
                district=self._districts[districts[row]],
                status="provisional" if provisional[row] else "full",
            )

    def tags(self) -> Iterator[bytes]:
        """The tags in the order of the rows, 4096 at a time."""
        tags = np.frombuffer(self._tags, dtype=np.uint8).reshape(-1, self._tag_size)
        yield from (tags[numbers].tobytes() for numbers in self._numbers())


def _publish(
    desk: _Desk,
    issued: Iterable[Portion],
    count: int,
    outputs: _Outputs,
    progress: Progress | None,
) -> None:
    """Write the rows and the signed header, or sign the header of a roll with these very rows."""
    opened, base, rows, sums = desk.record, desk.base, _Rows(desk.manifest), RollSums()

    def gathered() -> Iterator[Portion]:
        for portion in issued:
            rows.add(portion)
            yield portion

    if outputs.sealed_map is None:
        deque(gathered(), maxlen=0)
    else:
        write_voter_map(outputs.sealed_map, desk.key, desk.manifest, base, gathered())
    encoded = _with_progress(sums.passing(rows.ordered()), count, progress)
    if not opened.has(ROLL):
        write_rows(opened.path, encoded)
        header = sums.header(base)
    else:
        deque(encoded, maxlen=0)
        header = decode_roll(opened.roll_header())
        if header.signed_parts() != sums.header(base).signed_parts():
            raise ParameterError("the record has another roll already")
    write_file(opened.path / ROLL, sign_roll(header, desk.key).encode(), overwrite=True)
    if outputs.tags is not None:
        write_tags(outputs.tags, desk.key, base, header, rows.tags())


def _with_progress(rows: Iterable[T], count: int, progress: Progress | None) -> Iterator[T]:
    for done, row in enumerate(rows, 1):
        yield row
        if progress is not None and (done % _AT_ONCE == 0 or done == count):
            progress("rows", done, count)
