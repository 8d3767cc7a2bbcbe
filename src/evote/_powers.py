"""What the authorities may do between opening and sealing, and with which reasons.

A power is there if the manifest lists reason codes for it, and a ruling gives one of them. Without
any the manifest has the bytes that it had before there were rulings. The private half of
`evote.policies` that the manifest is made of.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from evote.board import MAX_TIME, Ruling, ruling_kind
from evote.encoding import JSON, Fields, check_identifier
from evote.errors import DecodingError

__all__ = ["NO_POWERS", "Powers", "power_contradictions", "read_powers"]

MAX_REASONS = 64
_KINDS = ("strike", "confirm", "extend", "phase")


@dataclass(frozen=True, slots=True, kw_only=True)
class Powers:
    """Reason codes by kind of ruling; none where there are no such rulings.

    Attributes:
        strike: why a voter's ballots do not count, such as fraud or voted-on-paper.
        confirm: why a provisional voter's count after all; without any there are no such voters.
        extend: why voting ends later than announced.
        phase: why ballots are not taken any more, or are again.
        end: the announced end of voting, in seconds since 1970; it informs, and decides nothing.
    """

    strike: tuple[str, ...] = ()
    confirm: tuple[str, ...] = ()
    extend: tuple[str, ...] = ()
    phase: tuple[str, ...] = ()
    end: int | None = None

    def reasons(self, kind: str) -> tuple[str, ...]:
        """The codes of a kind of ruling."""
        codes = {k: getattr(self, k) for k in _KINDS}
        return tuple(codes[kind])

    def allow(self, ruling: Ruling) -> bool:
        """Whether there are such rulings for this reason."""
        return ruling.reason in self.reasons(ruling_kind(ruling))

    def to_json(self) -> dict[str, JSON]:
        """The fields of the manifest's `policies`, as far as there are any."""
        value: dict[str, JSON] = {kind: list(self.reasons(kind)) for kind in _KINDS}
        value = {kind: codes for kind, codes in value.items() if codes}
        return value if self.end is None else value | {"end": self.end}


NO_POWERS = Powers()


def read_powers(fields: Fields) -> Powers:
    """Read what `Powers.to_json` gave."""
    codes = {kind: tuple(_read_reasons(fields, kind)) for kind in _KINDS if kind in fields}
    end = fields.integer("end", 0, MAX_TIME) if "end" in fields else None
    return Powers(**codes, end=end)


def _read_reasons(fields: Fields, kind: str) -> list[str]:
    codes = fields.identifiers(kind, MAX_REASONS)
    if not codes:
        fields.fail(kind, "at least one reason code expected, where there are any")
    return codes


def power_contradictions(powers: Powers) -> Iterator[tuple[str, str]]:
    """Place and reason of what is wrong."""
    for kind in _KINDS:
        codes = powers.reasons(kind)
        if len(codes) > MAX_REASONS:
            yield f"policies.{kind}", f"at most {MAX_REASONS} reasons expected"
        for i, code in enumerate(codes):
            if code in codes[:i]:
                yield f"policies.{kind}", f"{code!r} repeats"
            try:
                check_identifier(code)
            except DecodingError as error:
                yield f"policies.{kind}", error.reason
    if powers.end is not None and not (type(powers.end) is int and 0 <= powers.end <= MAX_TIME):
        yield "policies.end", f"seconds since 1970, at most {MAX_TIME}, expected"
    if powers.extend and powers.end is None:
        yield "policies.extend", "there is no announced end that could be extended"
