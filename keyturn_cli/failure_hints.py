"""What to do about each reason that a service gives. The one table; a test holds it complete."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from grpc import StatusCode

from keyturn_cli.exit_codes import ExitCode

UPSTREAM_REFUSED: Final = "UPSTREAM_REFUSED"  # the reason of every error that OpenAI answered with

_AGAIN: Final = "Nothing was refused. Try again; if it lasts, run `keyturn doctor`."
_OPERATOR: Final = "Tell your operator, with the request id."
_SECURITY: Final = "Somebody may have taken the sealed key. Tell your security team the request id."
_ASK_OWNER: Final = "The key's owner can grant it: `keyturn grants add`."


@dataclass(frozen=True, slots=True)
class Advice:
    """How the command ends for one reason, and what the person can do."""

    exit_code: ExitCode
    hint: str


BY_REASON: Final[Mapping[str, Advice]] = {
    "INTERNAL": Advice(ExitCode.FAULT, _OPERATOR),
    "INVALID_ARGUMENT": Advice(ExitCode.USAGE, "Correct the named field; see --help."),
    "CALLER_UNVERIFIED": Advice(
        ExitCode.REFUSED, "Owners: run `keyturn login`. Apps: run `keyturn doctor`."
    ),
    "CALLER_NOT_ALLOWED": Advice(
        ExitCode.REFUSED, "Use an identity that may do this; `keyturn doctor` shows yours."
    ),
    "NOT_THE_OWNER": Advice(
        ExitCode.REFUSED,
        "Log in as the owner (`keyturn login`), or have the owner or an admin of the team do it.",
    ),
    "NOT_GRANTED": Advice(ExitCode.REFUSED, _ASK_OWNER),
    "GRANT_REVOKED": Advice(ExitCode.REFUSED, _ASK_OWNER),
    "GRANT_EXPIRED": Advice(ExitCode.REFUSED, _ASK_OWNER),
    "SOURCE_NOT_GRANTED": Advice(
        ExitCode.REFUSED, "Call from a granted network, or ask the owner to grant this one."
    ),
    "ENDPOINT_NOT_GRANTED": Advice(
        ExitCode.REFUSED, "Use a granted endpoint, or ask the owner to grant this one."
    ),
    "MODEL_NOT_GRANTED": Advice(
        ExitCode.REFUSED, "Use a granted model (--model), or ask the owner to grant this one."
    ),
    "APP_PROOF_INVALID": Advice(ExitCode.REFUSED, "Get a new token for the app."),
    "APP_PROOF_REQUIRED": Advice(
        ExitCode.REFUSED, "The app must send its own token, beside its certificate if it has one."
    ),
    "OWNER_NOT_PRESENT": Advice(
        ExitCode.REFUSED,
        "The app must send a valid ID token of the owner in `x-keyturn-owner-token`.",
    ),
    "RATE_LIMITED": Advice(
        ExitCode.CONFLICT, "Wait as long as it says, or ask the owner for a higher limit."
    ),
    "BUDGET_SPENT": Advice(
        ExitCode.CONFLICT,
        "The owner sees what is left with `keyturn usage`, and can give more.",
    ),
    "TOKEN_BOUND_REQUIRED": Advice(
        ExitCode.REFUSED,
        "Set `max_completion_tokens` or `max_output_tokens`, and send the prompt as text.",
    ),
    "MODEL_PRICE_UNKNOWN": Advice(
        ExitCode.REFUSED, "Use another model, or ask your operator to add its price."
    ),
    "KEY_NOT_FOUND": Advice(ExitCode.CONFLICT, "`keyturn keys list` shows the keys."),
    "KEY_EXISTS": Advice(ExitCode.CONFLICT, "`keyturn keys rotate` replaces it."),
    "KEY_DUPLICATE": Advice(
        ExitCode.CONFLICT,
        "`keyturn keys list` shows your keys; each needs an OpenAI key of its own.",
    ),
    "KEY_STATE_CONFLICT": Advice(
        ExitCode.CONFLICT, "`keyturn keys show NAME` shows its state, and what is due."
    ),
    "KEY_PENDING": Advice(
        ExitCode.REFUSED, "Its owner sees why it waits with `keyturn keys show NAME`."
    ),
    "KEY_DISABLED": Advice(
        ExitCode.REFUSED, "Its owner switches it on with `keyturn keys enable NAME`."
    ),
    "KEY_EXPIRED": Advice(
        ExitCode.REFUSED,
        "Its owner renews it with `keyturn keys set NAME --expires WHEN`, or rotates it.",
    ),
    "TOO_MANY_KEYS": Advice(ExitCode.CONFLICT, "`keyturn keys delete` makes room."),
    "KEY_CHANGED_MEANWHILE": Advice(ExitCode.CONFLICT, "Look at it, then try again."),
    "VERIFICATION_NOT_FOUND": Advice(ExitCode.CONFLICT, "`keyturn keys verify NAME` starts one."),
    "KEY_RECORD_UNREADABLE": Advice(ExitCode.FAULT, _OPERATOR),
    "GRANT_NOT_FOUND": Advice(ExitCode.CONFLICT, "`keyturn grants list KEY` shows the grants."),
    "GRANT_EXISTS": Advice(
        ExitCode.CONFLICT, "`keyturn grants list KEY` shows it; `keyturn grants revoke` ends it."
    ),
    "TOO_MANY_GRANTS": Advice(ExitCode.CONFLICT, "`keyturn grants revoke` makes room."),
    "GRANT_ENDED": Advice(ExitCode.CONFLICT, "`keyturn grants add` makes a new one."),
    "CONSENT_TEXT_OUTDATED": Advice(
        ExitCode.CONFLICT, "Without --consent-text, the command shows the text in force and asks."
    ),
    "GRANT_REQUEST_NOT_FOUND": Advice(
        ExitCode.CONFLICT, "Owners see theirs with `keyturn requests list`."
    ),
    "GRANT_REQUEST_DECIDED": Advice(
        ExitCode.CONFLICT, "`keyturn requests show NAME` shows how; `keyturn grants` changes it."
    ),
    "TOO_MANY_GRANT_REQUESTS": Advice(
        ExitCode.CONFLICT, "`keyturn requests decline` makes room; who asks waits for the owner."
    ),
    "STEP_UP_REQUIRED": Advice(ExitCode.REFUSED, "Run `keyturn login --fresh`, then this again."),
    "SUSPENDED": Advice(
        ExitCode.REFUSED, "Ask your operators, who see why with `keyturn operator controls`."
    ),
    "TOO_MANY_SUSPENSIONS": Advice(
        ExitCode.CONFLICT, "`keyturn operator resume` makes room; '*' stops everything by one stop."
    ),
    "AUDIT_UNAVAILABLE": Advice(ExitCode.UNAVAILABLE, _AGAIN),
    "VAULT_UNAVAILABLE": Advice(ExitCode.UNAVAILABLE, _AGAIN),
    "ISSUER_UNAVAILABLE": Advice(ExitCode.UNAVAILABLE, _AGAIN),
    "KEY_SERVICE_UNAVAILABLE": Advice(ExitCode.UNAVAILABLE, _AGAIN),
    "LIMIT_STORE_UNAVAILABLE": Advice(ExitCode.UNAVAILABLE, _AGAIN),
    "LEASE_EXPIRED": Advice(ExitCode.UNAVAILABLE, _AGAIN),
    "SERVICE_STOPPING": Advice(ExitCode.UNAVAILABLE, _AGAIN),
    "UPSTREAM_UNAVAILABLE": Advice(ExitCode.UNAVAILABLE, "Try again; OpenAI may be down."),
    "UPSTREAM_NOT_ALLOWED": Advice(
        ExitCode.REFUSED,
        "Its owner chooses another with `keyturn keys set NAME --base-url URL`.",
    ),
    "UPSTREAM_TIMED_OUT": Advice(ExitCode.UNAVAILABLE, "Try again with a longer --timeout."),
    UPSTREAM_REFUSED: Advice(
        ExitCode.UPSTREAM_REFUSED, "This is OpenAI's own refusal; correct the request."
    ),
    "UPSTREAM_ANSWER_UNUSABLE": Advice(ExitCode.UPSTREAM_REFUSED, "Ask for a shorter answer."),
    "KEY_REJECTED_UPSTREAM": Advice(
        ExitCode.UPSTREAM_REFUSED, "The owner replaces the key with `keyturn keys rotate`."
    ),
    "SEALED_KEY_UNUSABLE": Advice(ExitCode.FAULT, _OPERATOR),
    "HANDOFF_SPENT": Advice(ExitCode.FAULT, _SECURITY),
    "HANDOFF_FORGED": Advice(ExitCode.FAULT, _SECURITY),
}

BY_STATUS: Final[Mapping[StatusCode, Advice]] = {
    StatusCode.CANCELLED: Advice(ExitCode.UNAVAILABLE, _AGAIN),
    StatusCode.UNKNOWN: Advice(ExitCode.FAULT, _OPERATOR),
    StatusCode.INVALID_ARGUMENT: Advice(ExitCode.USAGE, "Correct the input; see --help."),
    StatusCode.DEADLINE_EXCEEDED: Advice(
        ExitCode.UNAVAILABLE, "Try again, with a longer --timeout."
    ),
    StatusCode.NOT_FOUND: Advice(ExitCode.CONFLICT, "Check the name."),
    StatusCode.ALREADY_EXISTS: Advice(ExitCode.CONFLICT, "Check the name."),
    StatusCode.PERMISSION_DENIED: Advice(ExitCode.REFUSED, "Check who you are logged in as."),
    StatusCode.RESOURCE_EXHAUSTED: Advice(ExitCode.CONFLICT, "A limit is reached."),
    StatusCode.FAILED_PRECONDITION: Advice(ExitCode.CONFLICT, _OPERATOR),
    StatusCode.ABORTED: Advice(ExitCode.CONFLICT, "Try again."),
    StatusCode.OUT_OF_RANGE: Advice(ExitCode.USAGE, "Correct the input; see --help."),
    StatusCode.UNIMPLEMENTED: Advice(
        ExitCode.FAULT, "The service is older than this command, or the address is another's."
    ),
    StatusCode.INTERNAL: Advice(ExitCode.FAULT, _OPERATOR),
    StatusCode.UNAVAILABLE: Advice(ExitCode.UNAVAILABLE, "Try again, or run `keyturn doctor`."),
    StatusCode.DATA_LOSS: Advice(ExitCode.FAULT, _OPERATOR),
    StatusCode.UNAUTHENTICATED: Advice(ExitCode.REFUSED, "Run `keyturn login`."),
}
"""For answers that carry no reason: made by the network, or by an unknown server."""

# OpenAI's own answers share one reason, and the status tells what kind of answer it was.
_OF_OPENAI: Final[Mapping[StatusCode, Advice]] = {
    StatusCode.UNAVAILABLE: Advice(ExitCode.UNAVAILABLE, "OpenAI failed on its side; try again."),
    StatusCode.RESOURCE_EXHAUSTED: Advice(
        ExitCode.UPSTREAM_REFUSED, "The key's limits at OpenAI are spent; try again later."
    ),
}


def advice_on(reason: str, status: StatusCode) -> Advice:
    """Return what to do about *reason*, given with *status*."""
    if reason == UPSTREAM_REFUSED and status in _OF_OPENAI:
        return _OF_OPENAI[status]
    return BY_REASON.get(reason) or BY_STATUS.get(status, BY_STATUS[StatusCode.UNKNOWN])
