"""The catalogue of the gateway's log events."""

from __future__ import annotations

from typing import Final

from svc_runtime.log_event import CALL_FIELDS, LogEvent, LogLevel
from svc_runtime.log_events import RUNTIME_EVENTS, rpc_event
from svc_runtime.log_fields import LogField as F

_ANSWERED: Final = (
    F.KEY,
    F.KEY_VERSION,
    F.GRANT,
    F.LEASE,
    F.APP,
    F.ENDPOINT,
    F.HTTP_STATUS,
    F.OPENAI_REQUEST_ID,
)

_OWN: Final = (
    rpc_event(*_ANSWERED),
    LogEvent(
        name="http",
        level=LogLevel.INFO,
        meaning="One HTTP request or WebSocket session, exactly one line each, refusals included.",
        remedy="For a refusal see its `reason`.",
        fields=(*CALL_FIELDS, *_ANSWERED, F.CLOSE_CODE),
        is_audited=True,
    ),
    LogEvent(
        name="key_opening",
        level=LogLevel.INFO,
        meaning="A leased key is about to be opened. The line is written before Vault is asked; "
        "Vault's audit log tells whether it opened it.",
        fields=(F.LEASE, F.KEY, F.KEY_VERSION, F.GRANT, F.APP),
        is_audited=True,
    ),
    LogEvent(
        name="usage_asked",
        level=LogLevel.INFO,
        meaning="The admin key was used to ask OpenAI's usage API, as `endpoint` says: outcome "
        "`answered`, `broken_off`, or the reason why OpenAI did not answer.",
        fields=(F.LEASE, F.KEY, F.APP, F.ENDPOINT, F.OUTCOME),
        is_audited=True,
    ),
    LogEvent(
        name="key_verified",
        level=LogLevel.INFO,
        meaning="The gateway has tried a key at OpenAI: outcome `verified`, `wrong_key`, "
        "`no_quota`, `no_permission` or `openai_unreachable`.",
        fields=(F.OUTCOME, F.KEY, F.LEASE),
        is_audited=True,
    ),
    LogEvent(
        name="verification_failed",
        level=LogLevel.WARNING,
        meaning="A verification broke off on our side, for `reason`. It is handed out again.",
        remedy="If it stays, look at the part that the reason names.",
        fields=(F.REASON, F.KEY, F.LEASE),
        is_audited=True,
    ),
    LogEvent(
        name="verification_report_refused",
        level=LogLevel.WARNING,
        meaning="The key service did not take the outcome of a verification. It is handed out "
        "again.",
        remedy="If it stays, look at the key service's `rpc` line of the same request id.",
        fields=(F.CODE, F.KEY, F.LEASE),
    ),
    LogEvent(
        name="handoff_spent",
        level=LogLevel.ERROR,
        meaning="A wrapped key was taken by somebody else first, within its time. Also after a "
        "restore of Vault.",
        remedy="Unless Vault was restored: somebody has a wrapping token. See who unwrapped in "
        "Vault's audit log, suspend the key, rotate it.",
        fields=(F.LEASE,),
        is_audited=True,
        is_security=True,
    ),
    LogEvent(
        name="handoff_forged",
        level=LogLevel.ERROR,
        meaning="A lease held a token that was not made by the key service's wrapping.",
        remedy="Take the key service that sent it out of service, and look how it was changed.",
        fields=(F.LEASE,),
        is_audited=True,
        is_security=True,
    ),
    LogEvent(
        name="lease_malformed",
        level=LogLevel.ERROR,
        meaning="The key service's answer makes no sense to this gateway.",
        remedy="Run versions that fit each other.",
        fields=(F.LEASE,),
    ),
    LogEvent(
        name="key_service_unavailable",
        level=LogLevel.WARNING,
        meaning="The key service did not answer, by the gRPC `code`.",
        remedy="`PERMISSION_DENIED` or `UNAUTHENTICATED`: the key service does not know this "
        "gateway; look at its setting `gateways`. Others: look whether it is up.",
        fields=(F.CODE,),
    ),
    LogEvent(
        name="settlement_refused",
        level=LogLevel.ERROR,
        meaning="The key service does not understand the settlement of this lease, which stays "
        "charged as it was reserved.",
        remedy="Run versions that fit each other.",
        fields=(F.LEASE, F.CODE),
        is_audited=True,
    ),
    LogEvent(
        name="settlements_lost",
        level=LogLevel.WARNING,
        meaning="`count` settlements never arrive: the key service was away for long. Their leases "
        "stay charged as they were reserved.",
        remedy="Look why the key service was away.",
        fields=(F.COUNT,),
        is_audited=True,
        is_of_process=True,
    ),
    LogEvent(
        name="upstream_address_refused",
        level=LogLevel.WARNING,
        meaning="The name of OpenAI's host leads to no public address. Nothing was sent.",
        remedy="Look who answers this machine's DNS questions.",
        is_audited=True,
        is_security=True,
    ),
)

EVENTS: Final = (*RUNTIME_EVENTS, *_OWN)
"""All that the gateway can log."""
