"""Who must have seen a log: policies that name logs, witnesses, and the quorum of witnesses.

A checkpoint is good under a policy when a log of the policy signed it and enough witnesses did.
With a quorum of more than half of the witnesses, two good checkpoints that contradict each other
share a witness that broke its word.

Reference: C2SP tlog-policy (no version yet).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from evote._notes import (
    COSIGNER_KEY,
    LOG_KEY,
    MLDSA_KEY,
    Checkpoint,
    Cosignature,
    VerifierKey,
    check_head,
    decode_vkey,
    open_note,
)
from evote.encoding import decode_decimal
from evote.errors import DecodingError, VerificationError

__all__ = ["WitnessPolicy", "decode_policy"]

MAX_POLICY = 256 * 1024  # bytes
MAX_NAMES = 1024  # witnesses and groups
_FORBIDDEN = re.compile(rb"[^\t\n\x20-\x7e\x80-\xff]")


@dataclass(frozen=True, slots=True, kw_only=True)
class WitnessPolicy:
    """Which logs count, which witnesses, and how many of them.

    `witnesses` and `groups` are keyed by their names in the policy, which may differ from key
    names; a group is (how many, of which names). `quorum` names one of them, or is None. `urls`
    says where some of the witnesses answer.
    """

    logs: tuple[VerifierKey, ...]
    witnesses: Mapping[str, VerifierKey]
    groups: Mapping[str, tuple[int, tuple[str, ...]]]
    quorum: str | None
    urls: Mapping[str, str] = field(default_factory=dict)

    def satisfied(self, cosigners: Collection[VerifierKey]) -> bool:
        """Whether cosignatures of these keys make the quorum; each key counts once."""
        if self.quorum is None:
            return True
        # Groups refer only to names above them, so one pass in order settles them all.
        seen = {name: key in cosigners for name, key in self.witnesses.items()}
        for name, (needed, members) in self.groups.items():
            seen[name] = sum(seen[member] for member in members) >= needed
        return seen[self.quorum]

    def check(
        self,
        data: bytes,
        *,
        log_key: VerifierKey | None = None,
        not_before: int | None = None,
        not_after: int | None = None,
        where: str = "",
    ) -> tuple[Checkpoint, tuple[Cosignature, ...]]:
        """Check that a signed checkpoint is of a known log and cosigned by the quorum.

        Args:
            log_key: the only log that will do; else those of the policy will.
            not_before, not_after: POSIX seconds; cosignatures of other times do not count.

        Returns:
            The checkpoint, and the cosignatures that count.

        Raises:
            DecodingError: not a checkpoint.
            VerificationError: another log, a false signature, or too few witnesses.
        """
        logs = self.logs
        if log_key is not None:
            if logs and log_key not in logs:
                raise VerificationError(f"the policy knows no log {log_key.name} with this key")
            logs = (log_key,)
        note, verified = open_note(data, [*logs, *self.witnesses.values()], where=where)
        signed_by = [item.key for item in verified if item.key in logs]
        if not signed_by:
            raise VerificationError("the checkpoint is not signed by a known log")
        checkpoint = check_head(note, signed_by[0].name, where=where)
        counted = tuple(
            item
            for item in verified
            if item.timestamp is not None
            and item.key not in logs
            and (not_before is None or item.timestamp >= not_before)
            and (not_after is None or item.timestamp <= not_after)
        )
        if not self.satisfied({item.key for item in counted}):
            names = ", ".join(item.key.name for item in counted) or "nobody"
            raise VerificationError(f"cosigned by {names}: not the quorum {self.quorum}")
        return checkpoint, counted


def decode_policy(data: bytes, *, where: str = "witness policy") -> WitnessPolicy:
    """Read a policy file.

    Raises:
        DecodingError: not a policy, naming the line.
    """
    if len(data) > MAX_POLICY:
        raise DecodingError(f"{len(data)} bytes, at most {MAX_POLICY} expected", where=where)
    if _FORBIDDEN.search(data):
        raise DecodingError("a control character in a policy", where=where)
    if not data.endswith(b"\n"):
        raise DecodingError("the last line has no end", where=where)
    reader = _PolicyReader()
    # Names are opaque bytes; Latin-1 gives each byte one character and cannot fail.
    for number, line in enumerate(data.decode("latin-1").split("\n")[:-1], 1):
        words = line.replace("\t", " ").split(" ")
        words = [word for word in words if word]
        if words and not words[0].startswith("#"):
            reader.read(words, f"{where}: line {number}")
    return reader.finish(where)


class _PolicyReader:
    def __init__(self) -> None:
        self.logs: list[VerifierKey] = []
        self.witnesses: dict[str, VerifierKey] = {}
        self.urls: dict[str, str] = {}
        self.groups: dict[str, tuple[int, tuple[str, ...]]] = {}
        self.members: set[str] = set()
        self.quorum: list[str | None] = []

    def read(self, words: Sequence[str], where: str) -> None:
        match words:
            case ["log", vkey] | ["log", vkey, _]:
                self.logs.append(self.key(vkey, (LOG_KEY, MLDSA_KEY), where))
            case ["witness", name, vkey, *url] if len(url) < 2:
                self.define(name, where)
                self.witnesses[name] = self.key(vkey, (COSIGNER_KEY, MLDSA_KEY), where)
                if url:
                    self.urls[name] = url[0]
            case ["group", name, threshold, *members] if members:
                self.group(name, threshold, members, where)
            case ["quorum", name]:
                if name != "none" and name not in self.witnesses and name not in self.groups:
                    raise DecodingError("the quorum is not defined above", where=where)
                self.quorum.append(None if name == "none" else name)
            case _:
                raise DecodingError("a log, witness, group or quorum line expected", where=where)

    def key(self, vkey: str, kinds: Sequence[int], where: str) -> VerifierKey:
        try:
            text = vkey.encode("latin-1").decode("utf-8")
        except UnicodeDecodeError:
            raise DecodingError("a key name that is not UTF-8", where=where) from None
        key = decode_vkey(text, kinds=kinds, where=where)
        # A log that is a witness, of itself or another, would count for both.
        if any(key.public == other.public for other in (*self.logs, *self.witnesses.values())):
            raise DecodingError("the key occurs twice", where=where)
        return key

    def define(self, name: str, where: str) -> None:
        if name == "none" or name in self.witnesses or name in self.groups:
            raise DecodingError("the name is taken", where=where)
        if len(self.witnesses) + len(self.groups) >= MAX_NAMES:
            raise DecodingError(f"more than {MAX_NAMES} names", where=where)

    def group(self, name: str, threshold: str, members: Sequence[str], where: str) -> None:
        self.define(name, where)
        words = {"all": len(members), "any": 1}
        needed = words.get(threshold)
        if needed is None:
            needed = decode_decimal(threshold, where=where)
        if not 1 <= needed <= len(members):
            raise DecodingError(f"{needed} of {len(members)} members", where=where)
        for member in members:
            if member not in self.witnesses and member not in self.groups:
                raise DecodingError("a member is not defined above", where=where)
            if member in self.members:
                raise DecodingError("a name is a member twice", where=where)
            self.members.add(member)
        self.groups[name] = (needed, tuple(members))

    def finish(self, where: str) -> WitnessPolicy:
        if len(self.quorum) != 1:
            raise DecodingError("exactly one quorum line expected", where=where)
        return WitnessPolicy(
            logs=tuple(self.logs),
            witnesses=self.witnesses,
            urls=self.urls,
            groups=self.groups,
            quorum=self.quorum[0],
        )
