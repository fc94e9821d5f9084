"""How a verification ended, in words, with what to do and how the command ends."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from keyturn.keyvault.v1 import key_pb2 as key_pb
from keyturn_cli.exit_codes import ExitCode
from keyturn_cli.key_views import state_word
from keyturn_cli.record_views import for_people, iso_time
from keyturn_cli.verification_wait import AwaitedVerification, Version, WaitResult, version_of


@dataclass(frozen=True, slots=True)
class Ending:
    """What to tell at the end of a wait.

    Attributes:
        text: What happened.
        hint: What to do; empty for nothing.
    """

    text: str
    exit_code: ExitCode
    hint: str = ""


# `{name}` stands for the key.
_SEE: Final = "`keyturn keys show {name}` shows what is due."
_FAILURES: Final[Mapping[key_pb.VerificationOutcome.ValueType, Ending]] = {
    key_pb.VERIFICATION_OUTCOME_WRONG_KEY: Ending(
        "OpenAI does not know this key: it is mistyped, was revoked, or is not OpenAI's.",
        ExitCode.UPSTREAM_REFUSED,
        "Make a key at OpenAI, then bring it with `keyturn keys rotate {name}`.",
    ),
    key_pb.VERIFICATION_OUTCOME_NO_QUOTA: Ending(
        "OpenAI knows this key, and its account has no quota left.",
        ExitCode.UPSTREAM_REFUSED,
        "Add credit or raise the budget at OpenAI, then run `keyturn keys verify {name}`.",
    ),
    key_pb.VERIFICATION_OUTCOME_NO_PERMISSION: Ending(
        "OpenAI knows this key, and does not permit what was tried with it.",
        ExitCode.UPSTREAM_REFUSED,
        "A restricted key needs, at OpenAI, 'Models' set to Read (api.model.read) and 'Model "
        "capabilities' as a whole set to Request (model.request); a list of allowed addresses "
        "has to hold the gateways'. Then run `keyturn keys verify {name}`.",
    ),
    key_pb.VERIFICATION_OUTCOME_OPENAI_UNREACHABLE: Ending(
        "OpenAI could not be reached, or failed.",
        ExitCode.UNAVAILABLE,
        "It is tried again by itself; `keyturn keys show {name}` tells how it ended.",
    ),
}


def ending_of(result: WaitResult, awaited: AwaitedVerification, wait_seconds: float) -> Ending:
    """Return what to tell about *result* of waiting for *awaited*."""
    key = result.key
    version = version_of(key, awaited.key_version)
    if version is None:
        return _replaced(key)
    if not result.is_over:
        return Ending(
            f"The verification of {key.name} has not ended within {wait_seconds:g} s. "
            f"{_consequence(key, version)}",
            ExitCode.UNAVAILABLE,
            "The verification goes on by itself; "
            f"`keyturn keys show {key.name}` tells how it ended.",
        )
    if not awaited.is_told_by(version):
        return Ending(
            f"{key.name} is {state_word(key.state)}: it is not tried at OpenAI.",
            ExitCode.CONFLICT,
            _SEE.format(name=key.name),
        )
    if version.verification.outcome == key_pb.VERIFICATION_OUTCOME_VERIFIED:
        return _verified(key)
    failure = _FAILURES.get(version.verification.outcome)
    if failure is None:
        return Ending(
            "The verification ended with an outcome that this command does not know.",
            ExitCode.FAULT,
            "The service is newer than this command; update the command.",
        )
    text = f"{failure.text} {_consequence(key, version)}"
    return Ending(text, failure.exit_code, failure.hint.format(name=key.name))


def standing_of(key: key_pb.Key) -> Ending:
    """Return what to tell about *key* where no verification is to be waited for."""
    if key.state == key_pb.KEY_STATE_ACTIVE:
        return Ending(f"{key.name} is active with version {key.key_version}.", ExitCode.OK)
    awaited = AwaitedVerification(key.key_version, None)
    return ending_of(WaitResult(key, is_over=True), awaited, 0)


def pending_words(key: key_pb.Key) -> str:
    """Return what follows from *key*'s waiting for a verification, for those who do not wait."""
    return f"`keyturn keys show {key.name}` tells how its verification at OpenAI ended."


def overlap_words(key: key_pb.Key) -> str:
    """Return how the last rotation can be undone; empty where it cannot."""
    if not key.HasField("retiring") or not key.retiring.HasField("destroy_time"):
        return ""
    until = for_people(iso_time(key.retiring.destroy_time))
    return (
        f"Version {key.retiring.key_version} is kept until {until}: "
        f"`keyturn keys undo-rotation {key.name}` brings it back."
    )


def _verified(key: key_pb.Key) -> Ending:
    if key.state == key_pb.KEY_STATE_ACTIVE:
        text = f"Verified: {key.name} is active with version {key.key_version}."
        return Ending(text, ExitCode.OK, overlap_words(key))
    if key.state == key_pb.KEY_STATE_DISABLED:
        return Ending(
            f"Verified: OpenAI accepts version {key.key_version}. {key.name} stays switched off.",
            ExitCode.OK,
            f"`keyturn keys enable {key.name}` switches it on.",
        )
    return Ending(
        f"OpenAI accepts the key, and {key.name} is {state_word(key.state)} all the same.",
        ExitCode.CONFLICT,
        _SEE.format(name=key.name),
    )


def _replaced(key: key_pb.Key) -> Ending:
    """Return what to tell when the version that was tried is not there any more."""
    if key.state == key_pb.KEY_STATE_ACTIVE:
        return Ending(
            f"{key.name} was rotated meanwhile, and is active with version {key.key_version}.",
            ExitCode.OK,
        )
    return Ending(
        f"{key.name} was changed meanwhile, and is {state_word(key.state)} now.",
        ExitCode.CONFLICT,
        _SEE.format(name=key.name),
    )


def _consequence(key: key_pb.Key, version: Version) -> str:
    """Return what the key does, now that *version* has not been verified."""
    if version.key_version != key.key_version:
        if key.state == key_pb.KEY_STATE_ACTIVE:
            return f"The old key, version {key.key_version}, goes on serving."
        return f"The old key, version {key.key_version}, is {state_word(key.state)} as before."
    if key.state == key_pb.KEY_STATE_ACTIVE:
        return f"{key.name} stays active."
    return f"{key.name} is {state_word(key.state)}: it does not serve."
