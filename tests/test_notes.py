"""Signed notes, checkpoints, cosignatures, witness policies and offline proofs.

Known answers: the tlog vectors. Of `witness.json` the proofs and cosignatures are used.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey
from nacl.signing import SigningKey

from evote._notes import encode_base64, sign_note
from evote.board import (
    COSIGNER_KEY,
    EMPTY_ROOT,
    LOG_KEY,
    MLDSA_KEY,
    Checkpoint,
    NoteSigner,
    VerifierKey,
    cosign,
    decode_checkpoint,
    decode_policy,
    decode_tlog_proof,
    decode_vkey,
    leaf_hash,
    open_checkpoint,
    open_note,
    sign_checkpoint,
    verify_consistency,
    verify_tlog_proof,
)
from evote.errors import (
    BrokenLog,
    DecodingError,
    ParameterError,
    UnsupportedError,
    VerificationError,
)

if TYPE_CHECKING:
    from tests.conftest import Vectors

ORIGIN = "log.example/election"
DASH = "—"


def signer(seed: int, name: str = ORIGIN, kind: int = LOG_KEY) -> NoteSigner:
    key = SigningKey(bytes([seed]) * 32)
    public = VerifierKey(name=name, kind=kind, public=bytes(key.verify_key))
    return NoteSigner(key=public, sign=lambda message: key.sign(message).signature)


def mldsa_signer(seed: bytes, name: str) -> NoteSigner:
    key = MLDSA44PrivateKey.from_seed_bytes(seed)
    public = VerifierKey(name=name, kind=MLDSA_KEY, public=key.public_key().public_bytes_raw())
    return NoteSigner(key=public, sign=key.sign)


LOG = signer(1)
WITNESSES = [signer(10 + i, f"witness.example/w{i}", COSIGNER_KEY) for i in range(4)]


def test_published_notes(vectors: Vectors) -> None:
    for case in vectors.json("tlog/published.json")["accept"]:
        key, data = decode_vkey(case["vkey"]), case["note"].encode()
        note, verified = open_note(data, [key])
        assert note.encode() == data
        assert [item.key for item in verified] == [key]
        assert verified[0].timestamp is None
        with pytest.raises(VerificationError):
            open_note(data.replace(b"e", b"f", 1), [key])


def test_origin_may_differ_from_key_name_only_where_trust_says_so(vectors: Vectors) -> None:
    case = vectors.json("tlog/published.json")["accept"][1]
    note, _ = open_note(case["note"].encode(), [decode_vkey(case["vkey"])])
    assert decode_checkpoint(note.text).origin == "go.sum database tree"
    with pytest.raises(VerificationError, match="another log"):
        open_checkpoint(case["note"].encode(), decode_vkey(case["vkey"]))


def test_known_cosignatures(vectors: Vectors) -> None:
    known = vectors.json("tlog/cosignatures.json")
    log, text = decode_vkey(known["log_vkey"]), known["note_text"].encode()
    everyone = known["checkpoint_all"].encode()
    keys = []
    for case in known["cosigners"]:
        if "mldsa_seed_hex" in case:  # signing is random: the known line is verified below
            own = mldsa_signer(bytes.fromhex(case["mldsa_seed_hex"]), case["name"])
            assert own.key.text == case["vkey"]
            assert decode_vkey(case["vkey"]) == own.key
            keys.append(own.key)
            continue
        key = SigningKey(bytes.fromhex(case["seed_hex"]))
        public = VerifierKey(name=case["name"], kind=COSIGNER_KEY, public=bytes(key.verify_key))
        assert public.text == case["vkey"]
        assert decode_vkey(case["vkey"]) == public
        plain = everyone[: everyone.index(f"{DASH} witness".encode())]
        witness = NoteSigner(key=public, sign=lambda m, key=key: key.sign(m).signature)  # type: ignore[misc]
        cosigned = cosign(plain, witness, case["timestamp"])
        assert cosigned == plain + case["line"].encode()
        _, verified = open_note(cosigned, [log, public])
        assert [(item.key, item.timestamp) for item in verified] == [
            (log, None),
            (public, case["timestamp"]),
        ]
        keys.append(public)
    note, verified = open_note(everyone, [log, *keys])
    assert note.text == text
    assert [item.key for item in verified] == [log, *keys]
    for case in known["reject"]:
        trusted = [decode_vkey(vkey) for vkey in case["keys"]]
        with pytest.raises(VerificationError):
            open_note(case["note"].encode(), trusted)


def test_known_ml_dsa_cosignatures(vectors: Vectors) -> None:
    """The line of the vectors, and altered ones; and our own, which verify the same way."""
    known = vectors.json("tlog/cosignatures.json")
    [case] = [item for item in known["cosigners"] if "mldsa_seed_hex" in item]
    log, key = decode_vkey(known["log_vkey"]), decode_vkey(case["vkey"])
    everyone = known["checkpoint_all"].encode()
    plain = everyone[: everyone.index(f"{DASH} witness".encode())]
    good = plain + case["line"].encode()
    _, verified = open_note(good, [log, key])
    assert [(item.key, item.timestamp) for item in verified] == [
        (log, None),
        (key, case["timestamp"]),
    ]
    # Extension lines are not covered; name, time, origin, size and root are.
    open_note(good.replace(b"\n\n", b"\nmore\n\n", 1), [key])
    own = mldsa_signer(bytes.fromhex(case["mldsa_seed_hex"]), case["name"])
    _, verified = open_note(cosign(plain, own, 17), [log, key])
    assert verified[1].timestamp == 17
    blob = bytearray(base64.b64decode(case["line"].split(" ")[2]))
    for place in (4, 11, 12, 1000, len(blob) - 1):
        wrong = blob.copy()
        wrong[place] ^= 1
        line = f"{DASH} {key.name} {encode_base64(bytes(wrong))}\n".encode()
        with pytest.raises(VerificationError, match=r"is false|wrong form"):
            open_note(plain + line, [log, key])
    for old, new in ((b"\n1000\n", b"\n1001\n"), (b"\nJ", b"\nK"), (b"log.", b"lob.")):
        with pytest.raises(VerificationError):
            open_note(good.replace(old, new, 1), [key])
    for text in (
        b"no checkpoint\n",
        b"o" * 256 + plain[plain.index(b"\n") : plain.index(b"\n\n") + 1],
    ):
        line = case["line"].encode()
        with pytest.raises(DecodingError):
            open_note(text + b"\n" + line, [key])
    for size in (71, 72, 2427, 2429):
        line = f"{DASH} {key.name} {encode_base64((bytes(blob) + b'0')[: 4 + size])}\n".encode()
        with pytest.raises(VerificationError, match="wrong form"):
            open_note(plain + line, [log, key])
    with pytest.raises(VerificationError, match="wrong form"):
        open_note(plain + case["line"].encode().replace(b"YzlspgAAAABl", b"YzlspoAAAABl"), [key])
    with pytest.raises(ParameterError):
        cosign(plain, own, 0)


def test_no_ml_dsa_here(vectors: Vectors, monkeypatch: pytest.MonkeyPatch) -> None:
    """It cannot be run, which is not the same as invalid."""

    def none(public: bytes) -> None:
        raise UnsupportedAlgorithm("not in this OpenSSL")

    known = vectors.json("tlog/cosignatures.json")
    [case] = [item for item in known["cosigners"] if "mldsa_seed_hex" in item]
    monkeypatch.setattr("evote._notes.MLDSA44PublicKey.from_public_bytes", none, raising=True)
    with pytest.raises(UnsupportedError, match="ML-DSA-44"):
        open_note(known["checkpoint_all"].encode(), [decode_vkey(case["vkey"])])


SIGNED = sign_checkpoint(Checkpoint(origin=ORIGIN, size=1, root=leaf_hash(b"\0")), LOG)
TEXT, LINE = SIGNED.split(b"\n\n")
TEXT, NAME_OF_LINE = TEXT + b"\n", LINE.split(b" ")[1]
BLOB = LINE.split(b" ")[2].strip()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        TEXT,
        TEXT + b"\n",
        SIGNED[:-1],
        SIGNED + b"\n",
        SIGNED + b"x",
        SIGNED.replace(b"\n\n", b"\n"),
        SIGNED.replace(b"\n", b"\r\n"),
        SIGNED.replace(b"election", b"elec\0ion"),
        SIGNED.replace(b"election", b"elec\x1bion"),
        SIGNED.replace(b"election\n1", b"elec\xffion\n1"),
        SIGNED.replace(DASH.encode(), b"-"),
        TEXT + b"\n" + DASH.encode() + b" " + NAME_OF_LINE + b"\n",
        TEXT + b"\n" + DASH.encode() + b"  " + BLOB + b"\n",
        TEXT + b"\n" + DASH.encode() + b" a+b " + BLOB + b"\n",
        TEXT + b"\n" + DASH.encode() + " a\u2003b ".encode() + BLOB + b"\n",
        TEXT + b"\n" + DASH.encode() + b" name " + BLOB[:-1] + b"\n",
        TEXT + b"\n" + DASH.encode() + b" name " + BLOB.rstrip(b"=") + b"\n",
        TEXT + b"\n" + DASH.encode() + b" name AAAA\n",
        TEXT + b"\n" + DASH.encode() + b" name AAAAAAB=\n",
        TEXT + b"\n" + DASH.encode() + b" name " + BLOB + b" \n",
        SIGNED + DASH.encode() + b" other not-base64\n",
        SIGNED + (DASH.encode() + b" other AAAAAAAA\n") * 64,
        b"x" * (256 * 1024) + SIGNED,
    ],
)
def test_not_a_note(data: bytes) -> None:
    assert open_note(SIGNED, [LOG.key])
    with pytest.raises(DecodingError):
        open_note(data, [LOG.key])


def test_notes_whose_signatures_do_not_hold() -> None:
    other = signer(2)
    for keys in ([], [other.key], [replace(LOG.key, name="log.example/other")], [WITNESSES[0].key]):
        with pytest.raises(VerificationError, match="no signature of a known key"):
            open_note(SIGNED, keys)
    false = LINE.replace(BLOB, encode_base64(LOG.key.key_id + bytes(64)).encode())
    short = LINE.replace(BLOB, encode_base64(LOG.key.key_id + bytes(63)).encode())
    by_other = sign_note(TEXT, other)
    for line in (false, short):
        with pytest.raises(VerificationError):
            open_note(TEXT + b"\n" + line, [LOG.key])
        # One false signature of a known key spoils the note, whoever else signed it.
        with pytest.raises(VerificationError):
            open_note(by_other + line, [LOG.key, other.key])
    # Unknown keys' lines are ignored, though well formed; sixteen of them are not too many.
    unknown = (DASH.encode() + b" unknown.example AAAAAAAA\n") * 16
    assert len(open_note(SIGNED + unknown, [LOG.key])[1]) == 1
    with pytest.raises(ParameterError):
        open_note(SIGNED, [LOG.key, LOG.key])


def test_signatures_with_large_s_are_refused() -> None:
    order = 2**252 + 27742317777372353535851937790883648493
    raw = LOG.sign(TEXT)
    s = int.from_bytes(raw[32:], "little") + order
    forged = encode_base64(LOG.key.key_id + raw[:32] + s.to_bytes(32, "little")).encode()
    with pytest.raises(VerificationError):
        open_note(SIGNED.replace(BLOB, forged), [LOG.key])


@pytest.mark.parametrize("seconds", [0, 2**63, 2**64 - 1])
def test_cosignatures_at_impossible_times(seconds: int) -> None:
    witness = WITNESSES[0]
    message = f"cosignature/v1\ntime {seconds}\n".encode() + TEXT
    blob = witness.key.key_id + seconds.to_bytes(8, "big") + witness.sign(message)
    line = f"{DASH} {witness.key.name} {encode_base64(blob)}\n".encode()
    with pytest.raises(VerificationError, match="wrong form"):
        open_note(SIGNED + line, [LOG.key, witness.key])
    with pytest.raises(ParameterError):
        cosign(SIGNED, witness, seconds)


def test_vkeys() -> None:
    good = LOG.key.text
    assert decode_vkey(good, kinds=[LOG_KEY]) == LOG.key
    name, id_, key = good.split("+", 2)
    raw = bytes([LOG_KEY]) + LOG.key.public

    def vkey(key: bytes, name: str = name) -> str:
        id_ = hashlib.sha256(name.encode() + b"\n" + key).hexdigest()[:8]
        return f"{name}+{id_}+{encode_base64(key)}"

    assert vkey(raw) == good
    for text in (
        "",
        name,
        f"{name}+{id_}",
        f"+{id_}+{key}",
        f"{name}+{id_.upper()}+{key}" if id_.upper() != id_ else f"{name}+{id_[:-1]}+{key}",
        f"{name}+00000000+{key}",
        f"x{name}+{id_}+{key}",
        f"{name}+{id_}+{key[:-1]}",
        f"{name}+{id_}+{key}+",
        vkey(raw, "a b"),
        vkey(raw[:-1]),
        vkey(raw + b"\0"),
        vkey(b""),
        vkey(b"\x02" + raw[1:]),
        vkey(b"\x05" + raw[1:]),
        vkey(b"\x06" + raw[1:]),
        vkey(b"\x04" + raw[1:]),  # a cosigner's key where a log's is expected
    ):
        with pytest.raises(DecodingError):
            decode_vkey(text, kinds=[LOG_KEY])
    assert decode_vkey(vkey(b"\x06" + bytes(1312))).kind == MLDSA_KEY
    for length, named in ((1311, "a"), (1313, "a"), (32, "a"), (1312, "a" * 256)):
        with pytest.raises(DecodingError):
            decode_vkey(vkey(b"\x06" + bytes(length), named))
        with pytest.raises(ParameterError):
            VerifierKey(name=named, kind=MLDSA_KEY, public=bytes(length))


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"\n",
        b"o\n1\n",
        b"o\n1\n" + BLOB,
        TEXT[:-1],
        TEXT + b"\n",
        TEXT.replace(b"\n1\n", b"\n\n1\n"),
        TEXT.replace(ORIGIN.encode(), b""),
        TEXT.replace(b"\n1\n", b"\n01\n"),
        TEXT.replace(b"\n1\n", b"\n+1\n"),
        TEXT.replace(b"\n1\n", b"\n-1\n"),
        TEXT.replace(b"\n1\n", b"\n1 \n"),
        TEXT.replace(b"\n1\n", "\n\u0661\n".encode()),
        TEXT.replace(b"\n1\n", b"\n%d\n" % 2**63),
        TEXT.replace(b"\n1\n", b"\n" + b"9" * 5000 + b"\n"),
        TEXT.replace(b"=\n", b"\n"),
        f"o\n1\n{encode_base64(bytes(31))}\n".encode(),
        f"o\n1\n{encode_base64(bytes(33))}\n".encode(),
        b"o\xff\n1\n" + encode_base64(bytes(32)).encode() + b"\n",
    ],
)
def test_not_a_checkpoint(text: bytes) -> None:
    assert decode_checkpoint(TEXT).size == 1
    with pytest.raises(DecodingError):
        decode_checkpoint(text)


def test_checkpoints_of_another_log_or_none() -> None:
    with pytest.raises(VerificationError, match="another log"):
        open_checkpoint(sign_note(TEXT.replace(b"election", b"other"), LOG), LOG.key)
    empty = Checkpoint(origin=ORIGIN, size=0, root=EMPTY_ROOT)
    assert open_checkpoint(sign_checkpoint(empty, LOG), LOG.key) == empty
    with pytest.raises(VerificationError, match="empty log"):
        open_checkpoint(sign_checkpoint(replace(empty, root=bytes(32)), LOG), LOG.key)
    with pytest.raises(ParameterError):
        open_checkpoint(SIGNED, WITNESSES[0].key)
    extended = Checkpoint(origin=ORIGIN, size=1, root=bytes(32), extensions=("more", "lines"))
    assert open_checkpoint(sign_checkpoint(extended, LOG), LOG.key) == extended


# -- witness policies ------------------------------------------------------------------------------


ML_DSA = mldsa_signer(bytes(32), "pq.example").key.text


def policy_text(*lines: str) -> bytes:
    named = [f"witness W{i} {witness.key.text}" for i, witness in enumerate(WITNESSES)]
    return "".join(f"{line}\n" for line in [f"log {LOG.key.text}", *named, *lines]).encode()


def cosigned(*witnesses: NoteSigner, data: bytes = SIGNED, timestamp: int = 1700000000) -> bytes:
    for witness in witnesses:
        data = cosign(data, witness, timestamp)
    return data


def test_quorums() -> None:
    policy = decode_policy(
        policy_text(
            "# comment",
            "\t  # another, after blanks",
            "",
            "group  pair\t2 W0 W1 ",
            "group either any W2 W3",
            "group both all pair either",
            "quorum both",
        )
    )
    w0, w1, w2, w3 = WITNESSES
    for enough in ((w0, w1, w2), (w0, w1, w3), (w3, w1, w0, w2)):
        checkpoint, counted = policy.check(cosigned(*enough))
        assert checkpoint.size == 1
        assert [item.key for item in counted] == [witness.key for witness in enough]
    for few in ((), (w0, w1), (w0, w2, w3), (w0, w0, w2)):
        with pytest.raises(VerificationError, match="not the quorum"):
            policy.check(cosigned(*few))
    assert decode_policy(policy_text("quorum none")).check(SIGNED)[1] == ()
    assert decode_policy(policy_text("quorum W1")).check(cosigned(w1))
    with pytest.raises(VerificationError):
        decode_policy(policy_text("quorum W1")).check(cosigned(w0))


def test_what_does_not_count_towards_a_quorum() -> None:
    policy = decode_policy(policy_text("group two 2 W0 W1 W2", "quorum two"))
    w0, w1, w2, _ = WITNESSES
    # The same witness again at a later time is one witness, at that time.
    twice = cosigned(w0, data=cosigned(w0), timestamp=1700000100)
    with pytest.raises(VerificationError, match="quorum"):
        policy.check(twice)
    assert policy.check(cosigned(w1, data=twice))[1][0].timestamp == 1700000100
    # Unknown witnesses, and a known name with another key.
    with pytest.raises(VerificationError, match="quorum"):
        policy.check(cosigned(w0, signer(99, w1.key.name, COSIGNER_KEY)))
    # A cosignature of another checkpoint.
    other = cosigned(w1, data=sign_note(TEXT.replace(b"\n1\n", b"\n2\n"), LOG))
    moved = cosigned(w0) + other[other.index(f"{DASH} {w1.key.name}".encode()) :]
    with pytest.raises(VerificationError, match="false"):
        policy.check(moved)
    # The log's key in the role of a witness.
    own = NoteSigner(key=replace(LOG.key, kind=COSIGNER_KEY), sign=LOG.sign)
    with pytest.raises(VerificationError, match="quorum"):
        policy.check(cosigned(w0, own))
    # Times outside what the caller allows.
    both = cosigned(w0, w1)
    assert policy.check(both, not_before=1700000000, not_after=1700000000)
    for early, late in ((1700000001, None), (None, 1699999999)):
        with pytest.raises(VerificationError, match="quorum"):
            policy.check(both, not_before=early, not_after=late)
    # No log, or another one.
    with pytest.raises(VerificationError, match="knows no log"):
        policy.check(both, log_key=signer(7).key)
    line = both.index(f"{DASH} {w0.key.name}".encode())
    unsigned = both[: both.index(DASH.encode())] + both[line:]
    with pytest.raises(VerificationError, match="not signed by a known log"):
        policy.check(unsigned)
    assert policy.check(cosigned(w1, w2), log_key=LOG.key)


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        ((), "exactly one quorum"),
        (("quorum W0", "quorum W0"), "exactly one quorum"),
        (("quorum none", "quorum none"), "exactly one quorum"),
        (("quorum W9",), "not defined"),
        (("quorum late", "group late any W0"), "not defined"),
        (("group g 0 W0", "quorum g"), "0 of 1"),
        (("group g 2 W0", "quorum g"), "2 of 1"),
        (("group g 01 W0", "quorum g"), "digits"),
        (("group g -1 W0", "quorum g"), "digits"),
        (("group g most W0", "quorum g"), "digits"),
        (("group g all", "quorum g"), "line expected"),
        (("group g all W0 W0", "quorum g"), "member twice"),
        (("group g any W0", "group h any W0", "quorum h"), "member twice"),
        (("group g any W9", "quorum g"), "not defined"),
        (("group g any g", "quorum g"), "not defined"),
        (("group g any none", "quorum g"), "not defined"),
        (("group none any W0", "quorum none"), "name is taken"),
        (("group W0 any W1", "quorum W0"), "name is taken"),
        ((f"witness W0 {signer(50, 'x', COSIGNER_KEY).key.text}", "quorum W0"), "name is taken"),
        ((f"witness N {WITNESSES[0].key.text}", "quorum N"), "key occurs twice"),
        (
            (f"witness N {replace(WITNESSES[0].key, name='y').text}", "quorum N"),
            "key occurs twice",
        ),
        ((f"log {LOG.key.text}", "quorum none"), "key occurs twice"),
        ((f"log {WITNESSES[0].key.text}", "quorum none"), "does not serve"),
        (  # attacks: F2. The log's key as a witness's
            (f"witness N {replace(LOG.key, kind=COSIGNER_KEY).text}", "quorum N"),
            "key occurs twice",
        ),
        ((f"log {ML_DSA}", f"witness N {ML_DSA}", "quorum N"), "key occurs twice"),
        ((f"witness N {LOG.key.text}", "quorum N"), "does not serve"),
        (("log x+00000000+AAAA", "quorum none"), "key id"),
        (("quorum W0 # why",), "line expected"),
        (("frobnicate", "quorum W0"), "line expected"),
        (("quorum\u00a0W0",), "line expected"),
        (("# \x07", "quorum W0"), "control character"),
        (("# \x7f", "quorum W0"), "control character"),
        (("# \r", "quorum W0"), "control character"),
    ],
)
def test_not_a_policy(lines: tuple[str, ...], reason: str) -> None:
    assert decode_policy(policy_text("quorum W0"))
    with pytest.raises(DecodingError, match=reason):
        decode_policy(policy_text(*lines))


def test_policies_at_their_limits() -> None:
    with pytest.raises(DecodingError, match="no end"):
        decode_policy(policy_text("quorum W0")[:-1])
    with pytest.raises(DecodingError, match="at most"):
        decode_policy(b"#" * (256 * 1024) + b"\n" + policy_text("quorum W0"))
    many = [f"group g{i} any {'W0' if not i else f'g{i - 1}'}" for i in range(2000)]
    with pytest.raises(DecodingError, match="more than"):
        decode_policy(policy_text(*many, "quorum g0"))
    # Names are bytes: a Kelvin sign is not K, and need not even be UTF-8.
    witness = signer(60, "k", COSIGNER_KEY).key.text
    text = policy_text() + f"witness \u212a {witness}\n".encode() + b"witness \xff "
    text += signer(61, "l", COSIGNER_KEY).key.text.encode() + b" https://l.example/\nquorum \xff\n"
    assert len(decode_policy(text).witnesses) == 6


# -- offline proofs --------------------------------------------------------------------------------


def vector_policy(known: dict[str, Any]) -> bytes:
    names = [f"w{i}" for i in range(len(known["witness_vkeys"]))]
    lines = [
        f"witness {name} {vkey}" for name, vkey in zip(names, known["witness_vkeys"], strict=True)
    ]
    return "\n".join(
        [*lines, f"group q {known['quorum']} {' '.join(names)}", "quorum q\n"]
    ).encode()


def test_known_proofs(vectors: Vectors) -> None:
    known = vectors.json("tlog/tlog_proofs.json")
    log, policy = decode_vkey(known["log_vkey"]), decode_policy(vector_policy(known))
    for case in known["accept"]:
        entry, data = bytes.fromhex(case["entry_hex"]), case["proof"].encode()
        proof = decode_tlog_proof(data)
        assert proof.encode() == data
        assert proof.index == case["index"]
        assert verify_tlog_proof(entry, proof, log, policy).size == 1000
        verify_tlog_proof(entry, proof, log)
        for wrong in (
            replace(proof, index=proof.index + 1),
            replace(proof, index=1000),
            replace(proof, hashes=proof.hashes[:-1]),
            replace(proof, hashes=(*proof.hashes, bytes(32))),
            replace(proof, hashes=(bytes(32), *proof.hashes[1:])),
        ):
            with pytest.raises(BrokenLog):
                verify_tlog_proof(entry, wrong, log, policy)
        with pytest.raises(BrokenLog):
            verify_tlog_proof(entry + b"\0", proof, log, policy)
        bare = proof.checkpoint[: proof.checkpoint.index(f"{DASH} witness".encode())]
        with pytest.raises(VerificationError, match="quorum"):
            verify_tlog_proof(entry, replace(proof, checkpoint=bare), log, policy)
        with pytest.raises(VerificationError):
            verify_tlog_proof(entry, proof, LOG.key, policy)
    other = known["accept_mldsa"]
    entry, proof = bytes.fromhex(other["entry_hex"]), decode_tlog_proof(other["proof"].encode())
    assert verify_tlog_proof(entry, proof, log, decode_policy(vector_policy(other))).size == 1000
    bare = proof.checkpoint[: proof.checkpoint.index(f"{DASH} witness".encode())]
    with pytest.raises(VerificationError, match="quorum"):
        verify_tlog_proof(
            entry, replace(proof, checkpoint=bare), log, decode_policy(vector_policy(other))
        )


def test_known_witness_exchanges(vectors: Vectors) -> None:
    """Of the witness's HTTP exchanges: each body's proof and note, each answer's cosignature."""
    known = vectors.json("tlog/witness.json")
    log, witness = decode_vkey(known["log_vkey"]), decode_vkey(known["witness_vkey"])
    roots: dict[int, bytes] = {}
    seen = 0
    for case in known["exchanges"]:
        head, _, note = case["request"].partition("\n\n")
        first, *hashes = head.split("\n")
        old = int(first.removeprefix("old "))
        proof = [decode_b64(line) for line in hashes]
        if case["name"] in ("unknown origin", "wrong key"):
            with pytest.raises(VerificationError):
                open_checkpoint(note.encode(), log)
            continue
        new = open_checkpoint(note.encode(), log)
        if case["status"] == 200:
            before = roots.get(old, EMPTY_ROOT)
            if old or proof:
                verify_consistency(old, before, new.size, new.root, proof)
            roots[new.size] = new.root
            answered = (note + case["response"]).encode()
            _, verified = open_note(answered, [log, witness])
            assert verified[1].timestamp == known["clock"]
            seen += 1
        elif case["status"] in (400, 422) and old in roots:
            with pytest.raises(BrokenLog):
                verify_consistency(old, roots[old], new.size, new.root, proof)
            seen += 1
    assert seen >= 6


def decode_b64(text: str) -> bytes:
    return base64.b64decode(text, validate=True)


PROOF = (
    f"c2sp.org/tlog-proof@v1\nextra YWJj\nindex 0\n{encode_base64(bytes(32))}\n\n".encode() + SIGNED
)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        PROOF[:40],
        PROOF.replace(b"@v1", b"@v2"),
        PROOF.replace(b"c2sp", b"C2SP"),
        PROOF.replace(b"extra YWJj", b"extra YWJ"),
        PROOF.replace(b"index 0", b"index 00"),
        PROOF.replace(b"index 0", b"index -1"),
        PROOF.replace(b"index 0", b"index"),
        PROOF.replace(b"index 0", b"index %d" % 2**63),
        PROOF.replace(b"index 0\n", b""),
        PROOF.replace(b"extra YWJj\nindex 0", b"index 0\nextra YWJj"),
        PROOF.replace(b"AAAA", b"AAA", 1),
        PROOF.replace(b"AAAA", b"", 1),
        PROOF.replace(b"index 0\n", b"index 0\n" + b"A" * 43 + b"=\n" * 1 + b"A" * 40 + b"\n"),
        PROOF.replace(b"index 0\n", b"index 0\n" + (b"A" * 43 + b"=\n") * 63),
        PROOF.replace(b"\nindex", b"\r\nindex"),
        PROOF.replace(b"extra", "\u00e9xtra".encode()),
        b"c2sp.org/tlog-proof@v1\n" + b"x" * 600_000 + b"\n\n",
    ],
)
def test_not_a_proof(data: bytes) -> None:
    assert decode_tlog_proof(PROOF).extra == b"abc"
    assert len(decode_tlog_proof(PROOF).hashes) == 1
    with pytest.raises(DecodingError):
        decode_tlog_proof(data)
