"""Does every reader end with a verdict, whatever the bytes? Random changes, and what came of them.

    python benchmarks/fuzz_interop.py --vectors DIR -o counts.jsonl             10,000 and 300 each
    python benchmarks/fuzz_interop.py --vectors DIR --only belenios --readers 100 --records 10

A reader gets one file that was changed; a whole record is audited with a file changed, gone or
misplaced. Allowed are a value, a verdict and an `EvoteError`. Bad are any other exception, one
that became an `internal error`, more than 10 s of processor time and 1 GiB. What still
passes is printed with the places that differ, for people to judge. Case i of a target depends on
the seed, the target's name and i alone; `--case I` runs that one and shows what is raised.

Lines of `-o` that are there are gone on from. Each target runs in a process of its own, which is
replaced when it hangs or dies.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import os
import random
import resource
import signal
import sys
import tarfile
import tempfile
import time
import traceback
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from multiprocessing import Pipe, get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from evote import verify
from evote._archives import open_tree
from evote._entries import decode_entry
from evote._notes import decode_vkey
from evote._receipts import decode_tlog_proof, verify_tlog_proof
from evote._report import Report
from evote._verificatum._protinfo import decode_protinfo
from evote.ballots import decode_ballots
from evote.board import decode_bundle, decode_policy, decode_receipt, open_checkpoint
from evote.ceremony import ceremony_parameters
from evote.credentials import decode_roll, decode_row
from evote.election import Manifest, ballot_context, decode_manifest
from evote.errors import EvoteError
from evote.interop import recognition, scottish, sigma
from evote.mixing import decode_step
from evote.record import Record
from evote.tally import Tally as ElectionTally
from evote.tally import decode_result, decode_share, decode_tally
from evote.testing import mutate, tamper
from evote.threshold import examine_ceremony

SECONDS = 10
MEMORY = 2**30
BATCH = 250  # cases between two lines of progress
ROOT = Path(__file__).resolve().parents[1]
Files = dict[str, bytes]


@dataclass(frozen=True, slots=True)
class Target:
    """What is fed with changed files, and how: `check` returns the outcome, or raises."""

    name: str
    kind: str  # reader or record
    files: Files
    check: Callable[[Files], str]


# -- targets ---------------------------------------------------------------------------------------


def readers_of_our_own() -> Iterator[Target]:
    """Each kind of file of the two kept records, to the function that reads it."""
    for kept in ("v1-small", "v1-mixed"):
        record = Record(ROOT / "tests" / "records" / kept / "record")
        files = tamper.read_files(record.path)
        _, cascade, units = verify.audited_mixes(record.path)
        assert cascade is not None
        manifest, parameters = record.manifest, ceremony_parameters(record)
        tally, _ = record.tally()
        key = cascade.key.element.encode()
        context = ballot_context(manifest, key, cascade.election)
        steps = {f"mixes/{u.unit.number:03d}/01.json": u.unit for u in units}

        def ceremony(name: str, data: bytes, files: Files = files, p: Any = parameters) -> None:
            whole = {n.removeprefix("ceremony/"): d for n, d in files.items() if "ceremony/" in n}
            examine_ceremony(p, {**whole, name.removeprefix("ceremony/"): data})

        def ballots(_: str, data: bytes, context: Any = context) -> None:
            for error in decode_ballots(context, data.split(b"\n")).errors.values():
                if not isinstance(error, EvoteError):
                    raise error

        def step(name: str, data: bytes, cascade: Any = cascade, steps: Any = steps) -> None:
            decode_step(cascade, steps[name], 1, data, where=name)

        def entries(_: str, data: bytes) -> None:
            for entry in decode_bundle(data, 3):
                decode_entry(entry)

        rows: dict[str, Callable[[str, bytes], object]] = {
            "manifest.json": lambda _, data: decode_manifest(data),
            "ceremony/": ceremony,
            "roll/roll.json": lambda _, data: decode_roll(data),
            "roll/rows/": lambda _, data: [decode_row(row) for row in data.split(b"\n")],
            "board/checkpoint": partial(_checkpoint, manifest),
            "board/tile/entries/": entries,
            "ballots/": ballots,
            "mixes/": step,
            "tally.json": partial(_tally, manifest, record),
            "shares/": partial(_share, manifest, tally),
            "result.json": partial(_result, manifest),
        }
        for start, read in rows.items():
            some = {n: d for n, d in files.items() if n.startswith(start)}
            some = {n: d for n, d in some.items() if "mixes" not in n or n in steps}
            if some:
                yield reader(f"evote {kept} {start.rstrip('/')}", some, read)


def _checkpoint(manifest: Manifest, _: str, data: bytes) -> None:
    open_checkpoint(data, manifest.log_key)


def _tally(manifest: Manifest, record: Record, _: str, data: bytes) -> None:
    decode_tally(manifest, data, record.read)


def _share(manifest: Manifest, tally: ElectionTally, name: str, data: bytes) -> None:
    decode_share(manifest, tally, data, where=name)


def _result(manifest: Manifest, _: str, data: bytes) -> None:
    decode_result(manifest, data)


def readers_of_logs(vectors: Path) -> Iterator[Target]:
    """Receipts, proofs of inclusion, policies, keys."""
    proofs = json.loads((vectors / "tlog" / "tlog_proofs.json").read_bytes())
    log_key = decode_vkey(proofs["log_vkey"])
    good = {str(i): case["proof"].encode() for i, case in enumerate(proofs["accept"])}
    entry = bytes.fromhex(proofs["accept"][0]["entry_hex"])
    policy = f"log {proofs['log_vkey']}\n" + "".join(
        f"witness w{i} {vkey}\n" for i, vkey in enumerate(proofs["witness_vkeys"])
    )
    policy += "group g any w0 w1\nquorum g\n"

    def proof(_: str, data: bytes) -> None:
        verify_tlog_proof(entry, decode_tlog_proof(data), log_key)

    yield reader("tlog proof", good, proof)
    yield reader("tlog policy", {"policy": policy.encode()}, lambda _, d: decode_policy(d))
    known = [proofs["log_vkey"], *proofs["witness_vkeys"]]
    vkeys = {str(i): vkey.encode() for i, vkey in enumerate(known)}
    yield reader("tlog key", vkeys, lambda _, d: decode_vkey(d.decode("utf-8", "replace")))
    receipt = {
        "format": "evote/receipt",
        "version": 1,
        "entry": "eyJhIjoxfQ",
        "proof": proofs["accept"][0]["proof"],
    }
    text = json.dumps(receipt, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    yield reader("tlog receipt", {"receipt": text}, lambda _, d: decode_receipt(d))


def readers_of_others(vectors: Path) -> Iterator[Target]:
    """Formats that are one file."""
    cases = json.loads((vectors / "sigma" / "sigma-proofs_Shake128_P256.json").read_bytes())
    instances = {c["Id"]: bytes.fromhex(c["Instance"]) for c in cases if c["Expected"] == "accept"}
    proofs = {c["Id"]: bytes.fromhex(c["NargString"]) for c in cases if c["Expected"] == "accept"}
    tags = {c["Id"]: c["Tag"].encode() for c in cases}

    def proven(name: str, data: bytes) -> None:
        compact = name.endswith("compact")
        sigma.verify(sigma.decode_instance(instances[name]), data, tags[name], compact=compact)

    yield reader("sigma instance", instances, lambda _, d: sigma.decode_instance(d))
    yield reader("sigma proof", proofs, proven)
    wards = {p.name: p.read_bytes() for p in (vectors / "ballots" / "stv").glob("*.csv")}
    small = min(wards, key=lambda name: len(wards[name]))
    blt = b'3 1\n5 1 2 0\n2 3 0\n1 2 1 3 0\n0\n"Ann"\n"Bob"\n"Eve"\n"A ward"\n'
    yield reader("scottish csv", {small: wards[small]}, lambda _, d: scottish.read_ward_csv(d))
    yield reader("scottish blt", {"blt": blt}, lambda _, d: scottish.read_blt(d))
    infos = {p.parent.name: p.read_bytes() for p in (vectors / "verificatum").rglob("protInfo.xml")}
    yield reader("verificatum protinfo", infos, lambda _, d: decode_protinfo(d))
    quick = (
        *("cut-to-bit-length", "recursive-hash-to-zq", "recursive-hash-sha3-256"),
        *("symmetric/gen-ciphertext-symmetric", "utils/hkdf-expand", "mixnet/bilinearMap"),
        "zeroknowledgeproofs/verify-schnorr",
    )
    whole = (
        *("zeroknowledgeproofs/verify-decryption", "zeroknowledgeproofs/verify-exponentiation"),
        *("mixnet/verify-single-value-product-argument", "v1.5/mixnet/verify-shuffle-argument"),
        *("elgamal/get-ciphertext", "hash/get-argon2id"),
    )
    for name in (*quick, *whole):
        file = Path(f"{name}.json").name
        data = {file: (vectors / "swisspost" / f"{name}.json").read_bytes()}
        yield audited(f"swisspost {name}", "reader" if name in quick else "record", data, one=True)


def archives() -> Iterator[Target]:
    """Archives of a record: their bytes, read through the list of members."""
    files = tamper.read_files(ROOT / "tests" / "records" / "v1-small" / "record")
    for form in ("zip", "tar", "tar.gz"):
        data = {f"record.{form}": packed(form, files)}
        yield Target(f"archive {form}", "reader", data, members)
        yield audited(f"archive {form} of evote", "record", data, one=True)


def records(vectors: Path) -> Iterator[Target]:
    """Whole records of each format, the smallest; also as readers where an audit is short."""
    for kept in ("v1-small", "v1-mixed"):
        files = tamper.read_files(ROOT / "tests" / "records" / kept / "record")
        yield audited(f"evote {kept}", "record", files)
    chosen = {
        "verificatum": ("pub_p192_w3", "p256_n10", "pub_precomp", "modp_q256"),
        "helios": ("fixture-2010", "simple", "bundle-2011"),
        "electionguard": (
            *("eg10-toy-bad", "eg10-minimal", "eg191-bad", "eg20-chained", "eg21-int-partial"),
            *("eg21-ec", "eg21-ec-chain-partial"),
        ),
        "belenios": (
            *("one-voter-ed25519", "compat-2.5.1-threshold", "lists-belenios2048"),
            *("nh-stv-ed25519", "v2dev-h-ed25519", "v2dev-threshold-nh-ed25519"),
        ),
    }
    readers = ("pub_p192_w3", "pub_precomp", "fixture-2010", "eg10-toy-bad", "one-voter-ed25519")
    for system, names in chosen.items():
        for name in names:
            place = vectors / system / name
            files = tamper.read_files(place)
            files.pop("expected.json", None)
            if name in ("eg191-bad", "eg20-chained"):  # which fail then, and sooner
                files = few_ballots(files)
            kinds = ("record", "reader") if name in readers else ("record",)
            for kind in kinds:
                if system == "belenios":
                    [archive] = [data for file, data in files.items() if file.endswith(".bel")]
                    yield audited(f"belenios {name}", kind, bel_parts(archive), bel=True)
                else:
                    yield audited(f"{system} {name}", kind, files)


def few_ballots(files: Files) -> Files:
    """Three ballots in each directory of them: the others say nothing new to a reader."""
    kept, seen = {}, Counter[str]()
    for name, data in files.items():
        above = name.rpartition("/")[0]
        many = "ballots" in above
        seen[above] += many
        if not many or seen[above] <= 3:
            kept[name] = data
    return kept


# -- how a target is run ---------------------------------------------------------------------------


def reader(name: str, files: Files, read: Callable[[str, bytes], object]) -> Target:
    """A function that is given the name of the file that differs, and its bytes."""

    def check(changed: Files) -> str:
        for file, data in changed.items():
            if files.get(file) != data:
                read(file if file in files else next(iter(files)), data)
        return "read"

    return Target(name, "reader", files, check)


def members(files: Files) -> str:
    [data] = files.values()
    path = Path(tempfile.gettempdir()) / f"fuzz-{os.getpid()}"
    path.write_bytes(data)
    try:
        with open_tree(path) as tree:
            waiting = [""]
            while waiting:
                above = waiting.pop()
                for name, kind in tree.entries(above):
                    whole = f"{above}/{name}" if above else name
                    if kind == "directory":
                        waiting.append(whole)
                    else:
                        tree.read(whole, 2**24)
    finally:
        path.unlink()
    return "read"


def audited(name: str, kind: str, files: Files, *, one: bool = False, bel: bool = False) -> Target:
    """`evote verify`, on a directory or, for one file, on that."""

    def check(changed: Files) -> str:
        with tempfile.TemporaryDirectory(prefix="fuzz-") as directory:
            root = Path(directory)
            if bel:
                (root / "x.bel").write_bytes(bel_sealed(changed))
            else:
                for file, data in changed.items():
                    place = root / file
                    place.parent.mkdir(parents=True, exist_ok=True)
                    place.write_bytes(data)
            path = root / next(iter(changed)) if one and changed else root
            if recognition.recognise(path) is None:
                report: Report = verify.audit(path)
            else:
                report = recognition.audit(path, recognition.Options())
        inside = [f.detail for f in report.findings if "internal error" in f.detail]
        if inside:
            raise InternalError(inside[0])
        return {0: "passed", 1: "failed", 3: "incomplete", 4: "unreadable"}[report.exit_code]

    return Target(name, kind, files, check)


class InternalError(Exception):
    """A finding that is a fault of ours."""


def packed(form: str, files: Mapping[str, bytes]) -> bytes:
    target = io.BytesIO()
    if form == "zip":
        with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in files.items():
                archive.writestr(zipfile.ZipInfo(name), data)
    else:
        mode = "w:gz" if form == "tar.gz" else "w"
        with tarfile.open(fileobj=target, mode=mode) as tar:  # type: ignore[call-overload]
            for name, data in files.items():
                info = tarfile.TarInfo(name)
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
    return target.getvalue()


def bel_parts(archive: bytes) -> Files:
    """The bodies of a Belenios archive, numbered; names have the kind of record, and its digest."""
    files: Files = {}
    at = 0
    while at < len(archive):
        size = int(archive[at + 124 : at + 135], 8)
        name = archive[at : at + 100].rstrip(b"\0").decode()
        files[f"{len(files):04d}.{name}"] = archive[at + 512 : at + 512 + size]
        at += 512 + size + -size % 512
    files["header"] = archive[:512]
    return files


def bel_sealed(files: Files) -> bytes:
    """An archive of these bodies, every one under its digest, and named so by those that follow."""
    head, out = files.get("header", bytes(512)), []
    now: dict[bytes, bytes] = {}
    for file in sorted(files):
        _, _, old = file.partition(".")
        body = files[file]
        if not old:
            continue
        for before, after in now.items():
            if before in body:
                body = body.replace(before, after)
        digest = hashlib.sha256(body).hexdigest().encode()
        first, _, rest = old.partition(".")
        if rest:
            now[first.encode()] = digest
        name = digest + b"." + rest.encode() if rest else first.encode()
        header = bytearray(head[:512].ljust(512, b"\0"))
        header[:100] = name[:100].ljust(100, b"\0")
        header[124:135] = b"%011o" % len(body)
        header[148:156] = b" " * 8
        header[148:156] = b"%06o\0 " % sum(header)
        out.append(bytes(header) + body + bytes(-len(body) % 512))
    return b"".join(out)


# -- one case --------------------------------------------------------------------------------------


class TooLongError(BaseException):
    """The alarm; no reader catches it."""


def changed(target: Target, seed: int, case: int) -> tuple[Files, str]:
    rng = random.Random(f"{seed}/{target.kind}/{target.name}/{case}")
    if target.kind == "record":
        return mutate.mutate_files(target.files, rng)
    name = rng.choice(sorted(target.files))
    data, what = mutate.mutate(target.files[name], rng)
    return {**target.files, name: data}, f"{name}: {what}"


def differences(target: Target, files: Files) -> list[str]:
    """Where what passed differs: the places in JSON without their indices, else bytes."""
    found = []
    for name in sorted({*files, *target.files}):
        old, new = target.files.get(name), files.get(name)
        if old == new:
            continue
        kind = "".join(c for c in name if not c.isdigit())
        if old is None or new is None:
            found.append(f"{kind}: {'added' if old is None else 'gone'}")
            continue
        try:
            places = sorted(set(_json_places(json.loads(old), json.loads(new), "$")))
        except (ValueError, RecursionError):
            places = ["bytes"]
        found += [f"{kind}: {place}" for place in places or ["white space"]]
    return found


def _json_places(old: Any, new: Any, at: str) -> Iterator[str]:
    if isinstance(old, dict) and isinstance(new, dict):
        for key in {*old, *new}:
            if key not in old or key not in new:
                yield f"{at}.{key} {'added' if key not in old else 'gone'}"
            else:
                yield from _json_places(old[key], new[key], f"{at}.{key}")
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for one, other in zip(old, new, strict=True):
            yield from _json_places(one, other, f"{at}[]")
    elif old != new or type(old) is not type(new):
        yield at


@dataclass
class Tally:
    """What came of the cases of a target so far."""

    done: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    passed: Counter[str] = field(default_factory=Counter)
    bad: list[dict[str, Any]] = field(default_factory=list)
    slowest: tuple[float, int] = (0.0, -1)  # seconds, case
    seconds: float = 0.0

    def line(self, target: Target, seed: int, peak: int) -> dict[str, Any]:
        return {
            "target": target.name,
            "kind": target.kind,
            "seed": seed,
            "done": self.done,
            "outcomes": dict(sorted(self.outcomes.items())),
            "passed": dict(self.passed.most_common()),
            "bad": self.bad,
            "slowest": [round(self.slowest[0], 3), self.slowest[1]],
            "seconds": round(self.seconds, 1),
            "peak_mb": peak,
        }


def run_case(target: Target, seed: int, case: int, tally: Tally) -> None:
    files, what = changed(target, seed, case)
    start = time.process_time()
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    try:
        outcome = target.check(files)
    except EvoteError:
        outcome = "refused"
    except (TooLongError, Exception) as error:
        signal.setitimer(signal.ITIMER_PROF, 0)
        outcome = "BAD"
        frames = traceback.extract_tb(error.__traceback__)
        where = next(f for f in reversed(frames) if f.name != "alarm")
        said = f"{type(error).__name__}: {error}"[:200]
        place = f"{Path(where.filename).name}:{where.lineno}"
        tally.bad.append({"case": case, "what": what[:200], "said": said, "where": place})
    signal.setitimer(signal.ITIMER_PROF, 0)
    took = time.process_time() - start
    tally.slowest = max(tally.slowest, (took, case))
    tally.seconds += took
    tally.outcomes[outcome] += 1
    if outcome == "passed" and files != target.files:
        tally.passed.update([" + ".join(differences(target, files))[:300]])
    tally.done = case + 1


def work(target: Target, seed: int, tally: Tally, stop: int, rest: float, pipe: Connection) -> None:
    """In a process of its own: cases up to `stop`, a note before each and a tally after some."""

    def alarm(*_: object) -> None:
        raise TooLongError(f"more than {SECONDS} s")

    signal.signal(signal.SIGPROF, alarm)
    with open("/proc/self/statm", encoding="ascii") as file:
        used = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, used + MEMORY))
    while tally.done < stop:
        pipe.send(tally.done)
        begun = time.process_time()
        run_case(target, seed, tally.done, tally)
        time.sleep(min(10.0, rest * (time.process_time() - begun)))
        if tally.done % BATCH == 0 or tally.done == stop:
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
            pipe.send((tally, peak))
    pipe.close()


def run(
    target: Target, seed: int, tally: Tally, stop: int, rest: float
) -> Iterator[dict[str, Any]]:
    """All cases of a target, with a line from time to time; to hang or die is a bad outcome."""
    peak = 0
    while tally.done < stop:
        ours, theirs = Pipe(duplex=False)
        arguments = (target, seed, tally, stop, rest, theirs)
        child = get_context("fork").Process(target=work, args=arguments)
        child.start()
        theirs.close()
        at = tally.done
        try:
            while ours.poll(12 * SECONDS):
                said = ours.recv()
                if isinstance(said, int):
                    at = said
                else:
                    tally, peak = said
                    yield tally.line(target, seed, peak)
            said = "hangs"
        except EOFError:
            said = "died"
        child.kill()
        child.join()
        if tally.done < stop:
            tally.bad.append({"case": at, "what": changed(target, seed, at)[1][:200], "said": said})
            tally.outcomes["BAD"] += 1
            tally.done = at + 1  # counts since the last line are lost, cases are not
            yield tally.line(target, seed, peak)


def earlier(path: Path | None, seed: int) -> dict[tuple[str, str], Tally]:
    """The last line of each target in the file that is gone on with."""
    found: dict[tuple[str, str], Tally] = {}
    if path is not None and path.exists():
        for row in map(json.loads, path.read_text(encoding="utf-8").splitlines()):
            if row["seed"] == seed:
                found[row["target"], row["kind"]] = Tally(
                    done=row["done"],
                    outcomes=Counter(row["outcomes"]),
                    passed=Counter(row["passed"]),
                    bad=row["bad"],
                    slowest=tuple(row["slowest"]),
                    seconds=row["seconds"],
                )
    return found


def targets(vectors: Path) -> Iterator[Target]:
    yield from readers_of_our_own()
    yield from readers_of_logs(vectors)
    yield from readers_of_others(vectors)
    yield from archives()
    yield from records(vectors)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    given = os.environ.get("EVOTE_VECTORS")
    parser.add_argument("--vectors", type=Path, default=given, required=given is None)
    parser.add_argument("--readers", type=int, default=10_000, help="cases of each reader")
    parser.add_argument("--records", type=int, default=300, help="cases of each whole record")
    parser.add_argument("--only", default="", help="targets whose names begin so")
    parser.add_argument("--kind", choices=("reader", "record"))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rest", type=float, default=0.0, help="pause, as a part of work")
    parser.add_argument("--case", type=int, help="this case alone, what it raises included")
    parser.add_argument("-o", "--output", type=Path)
    arguments = parser.parse_args()
    before = earlier(arguments.output, arguments.seed)
    bad = 0
    for target in sorted(targets(arguments.vectors), key=lambda target: target.kind == "record"):
        if not target.name.startswith(arguments.only) or arguments.kind not in (None, target.kind):
            continue
        if arguments.case is not None:
            files, what = changed(target, arguments.seed, arguments.case)
            print(what[:1000])
            print(target.check(files), differences(target, files))
            continue
        tally = before.get((target.name, target.kind), Tally())
        stop = arguments.readers if target.kind == "reader" else arguments.records
        for line in run(target, arguments.seed, tally, stop, arguments.rest):
            if arguments.output is not None:
                with arguments.output.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(line) + "\n")
            if line["done"] == stop:
                print(json.dumps(line), flush=True)
                bad += len(line["bad"])
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
