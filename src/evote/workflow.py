"""The steps of an election, on files: what the command line, the demo and the examples call.

    new_election   publish the manifest          issue_credentials   draw codes, publish the roll
    run_ceremony   all trustees in one place     open_election       entry 0 of the board
    encrypt_ballot, sign_ballot                  what a voter's device does
    make_submissions                             what the devices of many voters do, as a stream
    submit, deliver, open_spoiled, seal_election  what the board and the authorities do
    strike_voters, confirm_voters, extend_voting, set_phase    before they seal
    mix            what a mix server does, where contests are mixed
    compute_tally, decrypt_share, publish_result

Each step checks what it stands on before it signs or publishes anything, and each may be repeated
after an interruption. Paths may be strings. Operators' secrets are in their own directories and
stay there; where one call takes several directories, one passphrase opens them all.

Who runs several roles on one machine has given up what separating them is for: `run_ceremony` and
calls with several directories are for demonstrations and small elections.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from evote._audit_log import seal_parts
from evote._ballot_box import BallotBox, Submission, signed_roll
from evote._devices import Vote, make_submissions
from evote._encrypted_ballots import (
    Choice,
    EncryptedBallot,
    encrypt_all,
    erase_ballot,
    load_ballot,
    opening_of,
    save_ballot,
)
from evote._files import make_directory, remove
from evote._founding import (
    Credential,
    RollLine,
    cosign_roll,
    create_operators,
    draw_credentials,
    issue_credentials,
    load_parameters,
    new_election,
    operator_key,
    publish_roll,
    run_ceremony,
)
from evote._pool import Workers
from evote._privacy import check_units
from evote._refusals import Refusal, RefusedBallot
from evote._rulings import (
    authority_keys,
    confirm_voters,
    entry_signature,
    extend_voting,
    open_ballot_box,
    open_board,
    seal_of,
    set_phase,
    strike_voters,
)
from evote._submissions import decode_submission, encode_submission
from evote._trustee import clear_leftovers
from evote._verificatum import check_group
from evote.board import (
    Board,
    Open,
    Receipt,
    ResultEntry,
    Seal,
    ShareEntry,
    Stage,
    TallyEntry,
)
from evote.ceremony import (
    ceremony_parameters,
    trustee_decrypt,
    verified_tally,
)
from evote.credentials import (
    Action,
    derive_voter_key,
)
from evote.election import ElectionParameters
from evote.errors import (
    EvoteError,
    ParameterError,
    VerificationError,
)
from evote.mixing import Unit, make_step, mix_path
from evote.operators import (
    Passphrase,
)
from evote.packing import ContestAnswers
from evote.policies import Fates, counted_set
from evote.record import (
    RESULT,
    TALLY,
    Record,
    share_path,
    write_file,
)
from evote.tally import (
    Result,
    Tally,
    TallyShare,
    combine_shares,
    decode_share,
    encode_result,
    encode_tally,
    file_digest,
    mixed_messages,
    verify_share,
)
from evote.verify import Progress, audit, audited_mixes, audited_tally

__all__ = [
    "BallotBox",
    "Choice",
    "Credential",
    "EncryptedBallot",
    "Progress",
    "Refusal",
    "RefusedBallot",
    "RollLine",
    "Submission",
    "Vote",
    "compute_tally",
    "confirm_voters",
    "cosign_roll",
    "create_operators",
    "decode_submission",
    "decrypt_share",
    "deliver",
    "draw_credentials",
    "encode_submission",
    "encrypt_ballot",
    "encrypt_ballots",
    "erase_ballot",
    "extend_voting",
    "issue_credentials",
    "load_ballot",
    "load_parameters",
    "make_submissions",
    "mix",
    "mixed_answers",
    "new_election",
    "open_ballot_box",
    "open_election",
    "open_spoiled",
    "opening_of",
    "publish_result",
    "publish_roll",
    "publish_shares",
    "run_ceremony",
    "save_ballot",
    "seal_election",
    "set_phase",
    "sign_ballot",
    "sign_ballots",
    "signed_roll",
    "strike_voters",
    "submit",
]


# -- opening ------------------------------------------------------------------------------------


def open_election(
    record: Path | str,
    authority_directories: Sequence[Path | str],
    board_directory: Path | str,
    passphrase: Passphrase,
) -> ElectionParameters:
    """Open voting: entry 0 of the board, signed by a quorum of authorities.

    Raises:
        VerificationError: ceremony, roll or listing do not verify; or even if all voters on the
            roll vote, some would be too few to be tallied together.
    """
    keys = authority_keys(record, authority_directories, passphrase)
    fresh = not Record(record).has("board")
    if fresh:
        audit(record, phase="ready").raise_for_failure()
    with open_board(record, board_directory, passphrase) as board:
        # Opening a board clears what a killed step has left, which no audit would pass before.
        if not fresh and board.stage == Stage.EMPTY:
            audit(record, phase="ready").raise_for_failure()
        parameters = load_parameters(record)
        check_units(parameters.manifest, signed_roll(Record(record), parameters))
        parts = (parameters.election_id, parameters.manifest_digest)
        entry = Open(
            election=parameters.election_id,
            manifest=parameters.manifest_digest,
            signatures=tuple(entry_signature(key, "open", *parts) for key in keys),
        )
        if board.stage != Stage.VOTING or next(board.entries()) != entry:
            board.append([entry])
    return parameters


# -- voting ------------------------------------------------------------------------------------


def encrypt_ballot(record: Path | str, code: str, choice: Choice) -> EncryptedBallot:
    """Encrypt one voter's choice for the style the roll gives them.

    Raises:
        ParameterError: a choice that a contest does not allow, or a code that is not on the roll.
    """
    return encrypt_ballots(record, [(code, choice)])[0]


def encrypt_ballots(
    record: Path | str,
    voters: Sequence[tuple[str, Choice]],
    *,
    jobs: int = 1,
    progress: Progress | None = None,
) -> list[EncryptedBallot]:
    """Encrypt the choices of many voters, in several processes if asked; order is kept."""
    parameters = load_parameters(record)
    opened = Record(record)
    roll = signed_roll(opened, parameters)
    credentials = [derive_voter_key(code, parameters.base_id).credential for code, _ in voters]
    rows = roll.find(credentials)
    if (rows < 0).any():
        raise ParameterError(f"voter {int((rows < 0).argmax())}: the code is not on the roll")
    wanted = [
        (credential, roll.styles[roll.style_numbers[row]], choice)
        for credential, row, (_, choice) in zip(credentials, rows, voters, strict=True)
    ]
    return encrypt_all(parameters, opened.manifest_bytes, wanted, jobs=jobs, progress=progress)


def sign_ballot(
    record: Path | str, code: str, ballot: EncryptedBallot, action: Action
) -> Submission:
    """The voter's signature on casting or spoiling a ballot."""
    return sign_ballots(record, [(code, ballot, action)])[0]


def sign_ballots(
    record: Path | str, items: Sequence[tuple[str, EncryptedBallot, Action]]
) -> list[Submission]:
    """`sign_ballot` for many; each item is (code, ballot, "cast" or "spoil")."""
    base = ceremony_parameters(Record(record)).base_id
    signed = []
    for code, ballot, action in items:
        key = derive_voter_key(code, base)
        if key.credential != ballot.credential:
            raise ParameterError("the ballot was encrypted for another code")
        signature = key.sign_ballot(ballot.election, ballot.digest, action)
        signed.append(
            Submission(
                body=ballot.body,
                action=action,
                credential=ballot.credential,
                signature=signature,
            )
        )
    return signed


def submit(
    record: Path | str,
    board_directory: Path | str,
    submissions: Sequence[Submission],
    passphrase: Passphrase,
    *,
    jobs: int = 1,
    progress: Progress | None = None,
) -> list[Receipt]:
    """Verify submissions and append them: all of them, or none. `BallotBox` for many calls.

    Raises:
        RefusedBallot: names the first submission that is refused, and why.
    """
    with open_ballot_box(record, board_directory, passphrase) as box:
        return box.submit(submissions, jobs=jobs, progress=progress)


def deliver(
    record: Path | str, board_directory: Path | str, submission: Submission, passphrase: Passphrase
) -> Receipt:
    """`submit` for one voter, to be repeated after an interruption: taken in once, receipt again.

    Raises:
        RefusedBallot: the submission is refused, and why, under the board's signature.
    """
    with open_ballot_box(record, board_directory, passphrase) as box:
        return box.receipt(submission.entry) or box.submit([submission])[0]


def open_spoiled(
    record: Path | str,
    board_directory: Path | str,
    ballot: EncryptedBallot,
    passphrase: Passphrase,
) -> Receipt:
    """Publish seed and choice of a spoiled ballot; once, however often it is called.

    Raises:
        VerificationError: not spoiled on this board, or of another choice.
    """
    with open_ballot_box(record, board_directory, passphrase) as box:
        opening = opening_of(ballot, load_parameters(record))
        return box.receipt(opening) or box.open(opening)


# -- after the election ------------------------------------------------------------------------


def seal_election(
    record: Path | str,
    authority_directories: Sequence[Path | str],
    board_directory: Path | str,
    passphrase: Passphrase,
) -> Fates:
    """End voting: the authorities sign the log as it is, and the set of ballots that count."""
    opened = Record(record)
    manifest, parameters = opened.manifest, load_parameters(record)
    keys = authority_keys(record, authority_directories, passphrase)
    with open_board(record, board_directory, passphrase) as board:
        roll = signed_roll(opened, parameters)
        entries = ((index, entry) for index, _, entry in opened.entries())
        fates = counted_set(
            roll,
            entries,
            revote=manifest.revote,
            spoil=manifest.spoil,
            powers=manifest.powers,
        )
        last = next(board.entries(board.size - 1)) if board.size else None
        if isinstance(last, Seal) and last.digest == fates.digest:
            return fates  # done before
        seal = seal_of(fates)
        parts = seal_parts(parameters.election_id, board.size, board.root, seal)
        signatures = tuple(entry_signature(key, "seal", *parts) for key in keys)
        board.append([replace(seal, signatures=signatures)])
    return fates


def mix(
    record: Path | str,
    mixer_directory: Path | str,
    passphrase: Passphrase,
    *,
    verificatum: Path | str | None = None,
    expect_manifest: bytes | str | None = None,
    witness_policy: Path | str | None = None,
    jobs: Workers = 1,
    progress: Progress | None = None,
) -> list[Path]:
    """Shuffle every unit as this mix server, after it has verified all that came before.

    The record is audited up to its seal, with the steps of the servers before this one. Units that
    this server has mixed are left as they are, so that an interrupted run goes on.

    Args:
        record: its directory.
        mixer_directory: of the mix server.
        passphrase: of its key.
        verificatum: a directory for a second proof of each shuffle, as Verificatum has them: all
            servers write to the same one. Not in a run that goes on: who has shuffled has forgotten
            how.
        expect_manifest, witness_policy: what this server pins the record to, as for `audit`.
        jobs: processes, or an executor; what is secret stays on this machine.
        progress: called with what is being done, how much is done, and of how much.

    Returns:
        The paths of its steps, unit by unit.

    Raises:
        ParameterError: Verificatum has not the group of this election.
        VerificationError: a check failed; a server before this one has not mixed yet; or the
            ballots are tallied already.
    """
    opened = Record(record)
    opened.manifest.check_native()
    if verificatum is not None:
        check_group(opened.manifest.group)  # before the hours that the audit may take
    key = operator_key(mixer_directory, passphrase, opened.manifest, "mixer")
    step = 1 + [card.id for card in opened.manifest.mixers].index(key.card.id)
    for directory in filter(Path.is_dir, (opened.path / "mixes").glob("*")):
        clear_leftovers(directory, f"{step:02d}.json*")
        if not any(directory.iterdir()):  # made for a file that was never written
            remove(directory)
    if opened.survey().stage != Stage.SEALED:
        raise VerificationError("only the ballots of a sealed and untallied election are mixed")
    report, cascade, units = audited_mixes(
        record,
        expect_manifest=expect_manifest,
        witness_policy=witness_policy,
        jobs=jobs,
        progress=progress,
    )
    report.raise_for_failure()
    if cascade is None:
        raise VerificationError("the counted ballots could not be read")
    for unit in units:
        if unit.steps < step - 1:
            before = cascade.mixer(unit.steps + 1)
            raise VerificationError(f"{unit.unit}: mix server {before} comes first")
    paths = []
    for unit in units:
        path = opened.path / mix_path(unit.unit.number, step)
        if unit.steps < step:
            made = make_step(cascade, unit.unit, step, unit.current, key)
            if verificatum is not None:
                from evote.interop.verificatum import write_second_proof

                write_second_proof(Path(verificatum), cascade, unit, step, made)
            make_directory(path.parent)
            write_file(path, made.data)
        paths.append(path)
        if progress is not None:
            progress("shuffling", len(paths), len(units))
    return paths


def compute_tally(
    record: Path | str,
    board_directory: Path | str,
    passphrase: Passphrase,
    *,
    jobs: Workers = 1,
    progress: Progress | None = None,
) -> Tally:
    """Verify the sealed record and publish the sums of its counted ballots.

    Raises:
        VerificationError: a check failed or was not done; nothing is published.
    """
    place = Path(record) / TALLY
    # The board first: opening it clears what a killed step has left, which no audit would pass.
    with open_board(record, board_directory, passphrase) as board:
        clear_leftovers(place.parent, TALLY)
        if board.stage == Stage.SEALED:
            place.unlink(missing_ok=True)  # written, and never named by the board
        report, tally = audited_tally(record, jobs=jobs, progress=progress)
        report.raise_for_failure()
        if tally is None and Record(record).manifest.mixers:
            raise VerificationError("not every mix server has mixed every unit")
        if tally is None:
            raise VerificationError("the counted ballots could not be added")
        data = encode_tally(tally)
        write_file(place, data)
        if board.stage == Stage.SEALED:
            board.append([TallyEntry(digest=file_digest(data))])
    return tally


def decrypt_share(
    record: Path | str,
    trustee_directory: Path | str,
    passphrase: Passphrase,
    *,
    board_directory: Path | str | None = None,
    expect_manifest: bytes | str | None = None,
    witness_policy: Path | str | None = None,
    jobs: Workers = 1,
    progress: Progress | None = None,
) -> Path:
    """One trustee's decryption shares, after it has verified the record up to the tally.

    Args:
        board_directory: if given, the board publishes the shares at once.
        expect_manifest, witness_policy: what this trustee pins the record to, as for `audit`.
        jobs: processes, or an executor, for the verification.
    """
    pinned = partial(
        audit,
        expect_manifest=expect_manifest,
        witness_policy=witness_policy,
        jobs=jobs,
        progress=progress,
    )
    checked = verified_tally(record, pinned)
    path = trustee_decrypt(trustee_directory, checked, passphrase, jobs=jobs)
    if board_directory is not None:
        publish_shares(record, board_directory, passphrase)
    return path


def publish_shares(
    record: Path | str, board_directory: Path | str, passphrase: Passphrase
) -> list[int]:
    """Put the trustees' shares that are not yet on the board there; returns whose.

    Raises:
        VerificationError: shares do not hold; names the trustee. Nothing is published.
    """
    opened = Record(record)
    with open_board(record, board_directory, passphrase) as board:
        return _append_shares(board, opened, _read_shares(opened)[2])


def mixed_answers(record: Path | str) -> Iterator[tuple[Unit, ContestAnswers]]:
    """What the mixed ballots say, decrypted by the shares that are there: by unit and contest.

    In the order of the last mix server's outputs; nobody knows whose they are. The shares are
    verified, the record is not: `verify.audit` does that.

    Raises:
        QuorumError: fewer shares than the quorum; names the absent trustees.
    """
    opened = Record(record)
    manifest = opened.manifest
    tally, _, shares = _read_shares(opened)
    used = [shares[index] for index in sorted(shares)][: manifest.quorum]
    for unit, messages in mixed_messages(manifest, tally, used):
        for answers in manifest.packing(unit.pack).unpack(messages).contests:
            yield unit, answers


def _append_shares(board: Board, opened: Record, shares: Mapping[int, TallyShare]) -> list[int]:
    known = opened.survey().shares
    fresh = [index for index in sorted(shares) if index not in known]
    board.append([ShareEntry(trustee=i, digest=file_digest(opened.share_bytes(i))) for i in fresh])
    return fresh


def _read_shares(opened: Record) -> tuple[Tally, bytes, dict[int, TallyShare]]:
    """The tally and the shares of all trustees whose files are there, verified.

    Raises:
        VerificationError, DecodingError: some do not hold; says how many do without them.
    """
    manifest = opened.manifest
    tally, digest = opened.tally()
    if opened.survey().tally != digest:
        raise VerificationError("tally.json is not the file on the board")
    keys = load_parameters(opened.path).verification_keys
    shares, wrong = {}, []
    for index in opened.share_indices():
        name = share_path(index)
        try:
            share = decode_share(manifest, tally, opened.share_bytes(index), where=name)
            if share.trustee != index:
                raise VerificationError(f"{name}: the shares of trustee {share.trustee}")
            verify_share(tally, digest, share, keys[index - 1])
            shares[index] = share
        except EvoteError as error:
            reason = str(error)
            wrong.append(reason if name in reason else f"{name}: {reason}")
    if wrong:
        rest = f"{len(shares)} others hold, {manifest.quorum} are needed: take the file away"
        raise VerificationError(f"{'; '.join(wrong)} ({rest} to go on without it)")
    return tally, digest, shares


def publish_result(
    record: Path | str, board_directory: Path | str, passphrase: Passphrase
) -> Result:
    """Publish pending shares, and the result that a quorum of them decrypts to.

    Raises:
        QuorumError: fewer than the quorum; names the absent trustees.
    """
    opened = Record(record)
    with open_board(record, board_directory, passphrase) as board:
        clear_leftovers(opened.path / "shares")
        tally, digest, shares = _read_shares(opened)
        _append_shares(board, opened, shares)
        result = combine_shares(opened.manifest, tally, digest, list(shares.values()))
        data = encode_result(result)
        write_file(Path(record) / RESULT, data)
        if board.stage == Stage.TALLIED:
            board.append([ResultEntry(digest=file_digest(data))])
    return result
