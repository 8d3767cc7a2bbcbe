"""Operators: cards, sealed keys, signatures, backup and restore."""

from __future__ import annotations

import copy
import json
import os
import pickle
import stat
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from evote import _files, operators
from evote.encoding import Fields, canonical_json, encode_base64url, parse_json
from evote.errors import (
    DecodingError,
    EvoteError,
    InvalidProof,
    ParameterError,
    UnsupportedError,
    VerificationError,
)
from evote.groups import ristretto255
from evote.operators import (
    SCRYPT_COST_CEILING,
    SCRYPT_COST_FLOOR,
    Card,
    OperatorKey,
    SecretBytes,
    backup_operator,
    create_operator,
    decode_card,
    draw_operator,
    load_card,
    load_operator,
    open_secret,
    read_card,
    restore_operator,
    save_operator,
    seal_secret,
    signed_message,
    verify_signature,
)

PASSPHRASE = "correct horse battery"
CHEAP = SCRYPT_COST_FLOOR
posix_only = pytest.mark.skipif(os.name != "posix", reason="modes mean nothing here")


def create(
    directory: Path, role: operators.Role = "registrar", identifier: str = "town"
) -> OperatorKey:
    group = ristretto255 if role == "trustee" else None
    return create_operator(directory, role, identifier, PASSPHRASE, group=group, cost=CHEAP)


def edit(path: Path, change: Callable[[Any], None]) -> None:
    """Rewrite a JSON file, canonical again."""
    value = json.loads(path.read_bytes())
    change(value)
    path.write_bytes(canonical_json(value))


# -- cards -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", operators.ROLES)
def test_a_card_is_read_as_written(role: operators.Role) -> None:
    group = ristretto255 if role == "trustee" else None
    card = draw_operator(role, "a.b-c_1", group=group).card
    assert decode_card(card.encode()) == card
    assert decode_card(card.encode(), role=role, group=group).encode() == card.encode()
    assert read_card(Fields(card.fields(), "manifest.json: $"), role, ristretto255) == card


def test_a_card_of_another_role_or_group_is_refused() -> None:
    card = draw_operator("trustee", "t1", group=ristretto255).card
    with pytest.raises(DecodingError, match=r"card\.json: \$\.role"):
        decode_card(card.encode(), role="board")
    value = json.loads(card.encode())
    with pytest.raises(DecodingError, match=r"\$\.group"):
        decode_card(canonical_json(value | {"group": "rfc3526-3072"}), group=ristretto255)
    with pytest.raises(EvoteError):
        decode_card(canonical_json(value | {"group": "no-such-group"}))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("id", "Upper"),
        ("id", ""),
        ("id", 7),
        ("signing_key", "00" * 32),
        ("signing_key", "01" + "00" * 31),  # the identity
        ("signing_key", "ec" + "ff" * 30 + "7f"),  # order 2
        ("signing_key", "ff" * 32),  # not canonical
        ("signing_key", "AB" * 32),
        ("ceremony_key", encode_base64url(bytes(32))),  # the identity
        ("ceremony_key", encode_base64url(b"\xff" * 32)),
        ("ceremony_key", ""),
        ("ceremony_proof", encode_base64url(bytes(63))),
        ("ceremony_proof", encode_base64url(b"\xff" * 64)),
        ("more", 1),
        ("role", "voter"),
        ("format", "evote/other"),
    ],
)
def test_a_card_with_a_bad_field_is_refused(field: str, value: object) -> None:
    card = json.loads(draw_operator("trustee", "t1", group=ristretto255).card.encode())
    with pytest.raises(DecodingError) as caught:
        decode_card(canonical_json(card | {field: value}))
    assert caught.value.where.startswith("card.json: $")


@pytest.mark.parametrize(
    "field", ["format", "version", "role", "id", "signing_key", "ceremony_key", "ceremony_proof"]
)
def test_a_card_without_a_field_is_refused(field: str) -> None:
    card = json.loads(draw_operator("trustee", "t1", group=ristretto255).card.encode())
    del card[field]
    with pytest.raises(DecodingError, match=field):
        decode_card(canonical_json(card))


def test_an_unknown_version_is_unsupported() -> None:
    card = json.loads(draw_operator("board", "b").card.encode())
    with pytest.raises(UnsupportedError):
        decode_card(canonical_json(card | {"version": 2}))


def test_the_ceremony_proof_holds_for_its_card_alone() -> None:
    one = json.loads(draw_operator("trustee", "t1", group=ristretto255).card.encode())
    two = json.loads(draw_operator("trustee", "t2", group=ristretto255).card.encode())
    for field in ("id", "signing_key", "ceremony_key", "ceremony_proof"):
        with pytest.raises(InvalidProof, match="ceremony key"):
            decode_card(canonical_json(one | {field: two[field]}))


def test_a_card_has_a_ceremony_key_exactly_when_it_is_a_trustees() -> None:
    trustee = draw_operator("trustee", "t1", group=ristretto255).card
    with pytest.raises(ParameterError):
        Card(role="trustee", id="t", signing_key=trustee.signing_key)
    with pytest.raises(ParameterError):
        Card(
            role="board",
            id="t",
            signing_key=trustee.signing_key,
            ceremony_key=trustee.ceremony_key,
            ceremony_proof=trustee.ceremony_proof,
        )
    with pytest.raises(ParameterError):
        draw_operator("trustee", "t")
    with pytest.raises(ParameterError):
        draw_operator("board", "b", group=ristretto255)
    with pytest.raises(ParameterError):
        draw_operator("board", "No Identifier")


# -- signatures ------------------------------------------------------------------------------------


def test_a_signature_holds_for_its_purpose_and_parts_alone() -> None:
    key, other = draw_operator("board", "b"), draw_operator("board", "c")
    signature = key.sign("roll", b"ab", b"c")
    verify_signature(key.card, signature, "roll", b"ab", b"c")
    assert signature == key.sign("roll", b"ab", b"c")
    assert len(signed_message("roll", b"ab", b"c")) == 32
    for card, purpose, parts in [
        (other.card, "roll", (b"ab", b"c")),
        (key.card, "rolls", (b"ab", b"c")),
        (key.card, "roll", (b"a", b"bc")),
        (key.card, "roll", (b"ab", b"c", b"")),
    ]:
        with pytest.raises(VerificationError, match=f"board {card.id}"):
            verify_signature(card, signature, purpose, *parts)
    for forged in (b"", bytes(64), signature[:-1], signature + b"\0"):
        with pytest.raises(VerificationError):
            verify_signature(key.card, forged, "roll", b"ab", b"c")


def test_a_note_is_never_taken_for_a_digest() -> None:
    key = draw_operator("board", "b")
    assert len(key.sign_note(b"origin\n1\nroot\n")) == 64
    with pytest.raises(ParameterError):
        key.sign_note(signed_message("roll", b"x"))


# -- directories -----------------------------------------------------------------------------------


@pytest.mark.parametrize("role", operators.ROLES)
def test_an_operator_is_loaded_as_created(tmp_path: Path, role: operators.Role) -> None:
    key = create(tmp_path / "op", role)
    loaded = load_operator(tmp_path / "op", PASSPHRASE)
    assert loaded.card == key.card == load_card(tmp_path / "op")
    assert loaded.sign("p", b"x") == key.sign("p", b"x")
    assert (loaded.ceremony is None) == (role != "trustee")
    if loaded.ceremony is not None:
        assert ristretto255.generator**loaded.ceremony == key.card.ceremony_key
        assert loaded.ceremony.secrecy == 2
    with pytest.raises(ParameterError, match="already"):
        create(tmp_path / "op", role)


@posix_only
def test_modes_are_private(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        create(tmp_path / "op")
        backup_operator(tmp_path / "op", tmp_path / "backup.json", PASSPHRASE)
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "op").stat().st_mode) == 0o700
    for path in (tmp_path / "op" / "secret.json", tmp_path / "backup.json"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


@posix_only
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o601, 0o666])
def test_loose_modes_are_refused(tmp_path: Path, mode: int) -> None:
    directory = tmp_path / "op"
    create(directory)
    (directory / "secret.json").chmod(mode)
    with pytest.raises(ParameterError, match="chmod 600"):
        load_operator(directory, PASSPHRASE)
    (directory / "secret.json").chmod(0o600)
    directory.chmod(mode | 0o100)
    with pytest.raises(ParameterError, match="chmod 700"):
        load_operator(directory, PASSPHRASE)
    directory.chmod(0o700)
    load_operator(directory, PASSPHRASE)


@posix_only
def test_a_directory_open_to_others_gets_no_key(tmp_path: Path) -> None:
    (tmp_path / "op").mkdir(mode=0o755)
    (tmp_path / "op").chmod(0o755)
    with pytest.raises(ParameterError, match="chmod 700"):
        create(tmp_path / "op")
    assert list((tmp_path / "op").iterdir()) == []


@posix_only
def test_a_symlink_is_no_secret_file(tmp_path: Path) -> None:
    create(tmp_path / "op")
    (tmp_path / "op" / "secret.json").rename(tmp_path / "elsewhere.json")
    (tmp_path / "op" / "secret.json").symlink_to(tmp_path / "elsewhere.json")
    with pytest.raises(DecodingError):
        load_operator(tmp_path / "op", PASSPHRASE)


def test_a_wrong_passphrase_is_refused(tmp_path: Path) -> None:
    create(tmp_path / "op")
    for wrong in ("", PASSPHRASE + " ", PASSPHRASE.upper()):
        with pytest.raises(DecodingError, match="wrong passphrase"):
            load_operator(tmp_path / "op", wrong)
    with pytest.raises(ParameterError):
        load_operator(tmp_path / "op", "\ud800")


def test_a_short_passphrase_seals_nothing(tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match="at least 8"):
        create_operator(tmp_path / "op", "board", "b", "seven77", cost=CHEAP)
    assert not (tmp_path / "op").exists()


def test_two_spellings_of_an_accent_are_one_passphrase(tmp_path: Path) -> None:
    create_operator(tmp_path / "op", "board", "b", "caf\u00e9 au lait", cost=CHEAP)
    load_operator(tmp_path / "op", "cafe\u0301 au lait")


def test_a_truncated_file_is_refused(tmp_path: Path) -> None:
    create(tmp_path / "op", "trustee")
    path = tmp_path / "op" / "secret.json"
    whole = path.read_bytes()
    for size in {0, 1, len(whole) // 2, len(whole) - 1}:
        path.write_bytes(whole[:size])
        with pytest.raises(DecodingError, match=r"secret\.json"):
            load_operator(tmp_path / "op", PASSPHRASE)
    path.unlink()
    with pytest.raises(DecodingError, match="missing"):
        load_operator(tmp_path / "op", PASSPHRASE)


def test_every_byte_of_the_secret_file_matters(tmp_path: Path) -> None:
    create(tmp_path / "op", "trustee")
    path = tmp_path / "op" / "secret.json"
    whole = path.read_bytes()
    for position in range(0, len(whole), 7):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 1]) + whole[position + 1 :])
        with pytest.raises(EvoteError):
            load_operator(tmp_path / "op", PASSPHRASE)
    path.write_bytes(whole)
    load_operator(tmp_path / "op", PASSPHRASE)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("n", SCRYPT_COST_FLOOR // 2),
        ("n", 1),
        ("n", SCRYPT_COST_CEILING * 2),
        ("n", 2**50),
        ("n", SCRYPT_COST_FLOOR + 1),
        ("n", True),
        ("n", "1024"),
        ("r", 9),
        ("r", 2**30),
        ("p", 2),
        ("p", 0),
        ("name", "pbkdf2"),
        ("salt", ""),
        ("salt", encode_base64url(bytes(31))),
        ("more", 1),
    ],
)
def test_the_cost_of_a_file_is_not_trusted(tmp_path: Path, field: str, value: object) -> None:
    create(tmp_path / "op")

    def change(secret: Any) -> None:
        secret["kdf"][field] = value

    edit(tmp_path / "op" / "secret.json", change)
    with pytest.raises(DecodingError, match="kdf"):
        load_operator(tmp_path / "op", PASSPHRASE)


@pytest.mark.parametrize("cost", [0, 1, SCRYPT_COST_FLOOR + 1, SCRYPT_COST_CEILING * 2])
def test_nothing_is_sealed_at_another_cost(tmp_path: Path, cost: int) -> None:
    with pytest.raises(ParameterError, match="scrypt cost"):
        create_operator(tmp_path / "op", "board", "b", PASSPHRASE, cost=cost)


def test_a_secret_does_not_open_beside_another_card(tmp_path: Path) -> None:
    create(tmp_path / "one", "trustee", "t1")
    two = create(tmp_path / "two", "trustee", "t2")
    (tmp_path / "one" / "card.json").write_bytes(two.card.encode())
    with pytest.raises(DecodingError, match=r"card\.json"):
        load_operator(tmp_path / "one", PASSPHRASE)

    def change(secret: Any) -> None:
        secret["card"] = json.loads(two.card.encode())

    edit(tmp_path / "one" / "secret.json", change)
    with pytest.raises(DecodingError, match="wrong passphrase"):
        load_operator(tmp_path / "one", PASSPHRASE)


def test_each_saving_has_a_salt_of_its_own(tmp_path: Path) -> None:
    key = create(tmp_path / "op")
    first = json.loads((tmp_path / "op" / "secret.json").read_bytes())
    save_operator(tmp_path / "op", key, PASSPHRASE)
    second = json.loads((tmp_path / "op" / "secret.json").read_bytes())
    assert first["kdf"]["salt"] != second["kdf"]["salt"]
    assert first["sealed"] != second["sealed"]
    assert first["kdf"]["n"] == second["kdf"]["n"] == CHEAP


def test_notes_are_remembered_by_election(tmp_path: Path) -> None:
    key = create(tmp_path / "op", "trustee")
    key = key.remember(b"\1" * 32, SecretBytes(b'{"a":1}'))
    key = key.remember(b"\2" * 32, SecretBytes(b'{"a":2}'))
    key = key.remember(b"\1" * 32, SecretBytes(b'{"a":3}'))
    save_operator(tmp_path / "op", key, PASSPHRASE)
    loaded = load_operator(tmp_path / "op", PASSPHRASE)
    for base, value in ((1, 3), (2, 2)):
        fields = loaded.recall(bytes([base]) * 32)
        assert fields is not None
        assert fields.integer("a", 0, 9) == value
    assert loaded.recall(bytes(32)) is None


# -- crashes ---------------------------------------------------------------------------------------


class Crash(BaseException):
    """As sudden as a power failure: nothing in the package catches it."""


@pytest.mark.parametrize("writes", [0, 1])
def test_a_crash_while_creating_leaves_a_key_or_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, writes: int
) -> None:
    done: list[Path] = []

    def crashing(path: Path, data: bytes, *, mode: int = 0o644) -> None:
        if len(done) == writes:
            raise Crash
        done.append(path)
        replace_file(path, data, mode=mode)

    replace_file = _files.replace_file
    monkeypatch.setattr(_files, "replace_file", crashing)
    with pytest.raises(Crash):
        create(tmp_path / "op")
    monkeypatch.undo()
    if writes == 0:
        create(tmp_path / "op")
    key = load_operator(tmp_path / "op", PASSPHRASE)  # writes the card where it is missing
    assert load_card(tmp_path / "op") == key.card


# -- backup ----------------------------------------------------------------------------------------


def test_a_backup_is_restored(tmp_path: Path) -> None:
    key = create(tmp_path / "op", "trustee").remember(bytes(32), SecretBytes(b'{"a":1}'))
    save_operator(tmp_path / "op", key, PASSPHRASE)
    backup_operator(tmp_path / "op", tmp_path / "b.json", PASSPHRASE)
    assert restore_operator(tmp_path / "b.json", tmp_path / "new", PASSPHRASE) == key.card
    restored = load_operator(tmp_path / "new", PASSPHRASE)
    assert restored.sign("p", b"") == key.sign("p", b"")
    assert restored.recall(bytes(32)) is not None
    assert (tmp_path / "new" / "card.json").read_bytes() == key.card.encode()


def test_a_backup_may_have_a_passphrase_of_its_own(tmp_path: Path) -> None:
    create(tmp_path / "op")
    backup_operator(
        tmp_path / "op", tmp_path / "b.json", PASSPHRASE, backup_passphrase="on paper, in a safe"
    )
    with pytest.raises(DecodingError, match="wrong passphrase"):
        restore_operator(tmp_path / "b.json", tmp_path / "new", PASSPHRASE)
    assert not (tmp_path / "new").exists()
    restore_operator(
        tmp_path / "b.json", tmp_path / "new", "on paper, in a safe", new_passphrase="another one"
    )
    load_operator(tmp_path / "new", "another one")
    for short in ("", "short"):
        with pytest.raises(ParameterError, match="at least 8"):
            backup_operator(
                tmp_path / "op", tmp_path / "c.json", PASSPHRASE, backup_passphrase=short
            )


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    create(tmp_path / "op")
    backup_operator(tmp_path / "op", tmp_path / "b.json", PASSPHRASE)
    with pytest.raises(ParameterError, match="new file"):
        backup_operator(tmp_path / "op", tmp_path / "b.json", PASSPHRASE)
    with pytest.raises(ParameterError, match="already"):
        restore_operator(tmp_path / "b.json", tmp_path / "op", PASSPHRASE)


def test_a_damaged_backup_is_refused(tmp_path: Path) -> None:
    create(tmp_path / "op")
    backup_operator(tmp_path / "op", tmp_path / "b.json", PASSPHRASE)
    data = (tmp_path / "b.json").read_bytes()
    for size in (0, len(data) // 2, len(data) - 1):
        (tmp_path / "b.json").write_bytes(data[:size])
        with pytest.raises(DecodingError, match=r"b\.json"):
            restore_operator(tmp_path / "b.json", tmp_path / "new", PASSPHRASE)
    with pytest.raises(DecodingError, match="missing"):
        restore_operator(tmp_path / "none.json", tmp_path / "new", PASSPHRASE)


# -- what must not show (attacks: E9) --------------------------------------------------------------


def shown_forms(key: OperatorKey) -> list[bytes]:
    seed = key.signing.reveal()
    forms = [seed, seed.hex().encode(), repr(seed)[2:-1].encode(), encode_base64url(seed).encode()]
    if key.ceremony is not None:
        secret = key.ceremony._secret_bytes()
        forms += [secret.hex().encode(), encode_base64url(secret).encode()]
        forms += [repr(secret)[2:-1].encode(), str(int.from_bytes(secret, "little")).encode()]
    return forms


def test_no_text_of_a_key_shows_its_secrets() -> None:
    key = draw_operator("trustee", "t", group=ristretto255)
    texts = [repr(key), str(key), f"{key}", f"{key.signing!r} {key.signing}", f"{key.ceremony}"]
    for text in texts:
        for form in shown_forms(key):
            assert form not in text.encode()
    for value in (key, key.signing, key.ceremony):
        with pytest.raises(ParameterError):
            pickle.dumps(value)
    with pytest.raises(ParameterError):
        copy.deepcopy(key)


def test_no_traceback_shows_a_secret(tmp_path: Path) -> None:
    """Even with the locals of every frame of ours, as some loggers print them."""
    key = create(tmp_path / "op", "trustee")
    (tmp_path / "op" / "secret.json").chmod(0o600)
    actions: list[Callable[[], object]] = [
        lambda: load_operator(tmp_path / "op", "the wrong passphrase"),
        lambda: backup_operator(tmp_path / "op", tmp_path / "op", PASSPHRASE),
        lambda: restore_operator(tmp_path / "op" / "secret.json", tmp_path / "op", PASSPHRASE),
        lambda: key.remember(bytes(32), SecretBytes(b"{")),
        lambda: key.sign_note(bytes(32)),
    ]
    for action in actions:
        with pytest.raises(EvoteError) as caught:
            action()
        report = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
        ours = [frame for frame in report.stack if "evote" in Path(frame.filename).parts]
        assert ours
        shown = "".join(str(frame.locals) for frame in ours) + str(caught.value)
        assert PASSPHRASE not in shown
        assert "the wrong passphrase" not in shown
        for form in shown_forms(key):
            assert form.decode("latin-1") not in shown


def test_sealing_is_bound_to_what_it_belongs_to() -> None:
    sealed = seal_secret(SecretBytes(b"plain"), b"card", PASSPHRASE, cost=CHEAP)
    again = parse_json(canonical_json(sealed))
    assert open_secret(Fields(again, "$"), b"card", PASSPHRASE).reveal() == b"plain"
    with pytest.raises(DecodingError):
        open_secret(Fields(again, "$"), b"care", PASSPHRASE)
    assert b"plain" not in canonical_json(sealed)


def test_two_operators_share_nothing() -> None:
    one, two = (draw_operator("trustee", "t", group=ristretto255) for _ in range(2))
    assert one.card.signing_key != two.card.signing_key
    assert one.card.ceremony_key != two.card.ceremony_key
