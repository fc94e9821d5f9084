"""The catalogue of log events that any service process can log.

A name that stands not in a service's catalogue is never logged. Operators' pages are generated
from it, so that what they read of an event is what the code says of it.
"""

from __future__ import annotations

from typing import Final

from svc_runtime.log_event import CALL_FIELDS, FAULT_FIELDS, LogEvent, LogLevel
from svc_runtime.log_fields import LogField as F

_DEBUG, _INFO, _WARNING, _ERROR, _CRITICAL = LogLevel


def rpc_event(*annotations: F) -> LogEvent:
    """Return the event of a service whose calls are annotated with *annotations*."""
    return LogEvent(
        name="rpc",
        level=(_DEBUG, _INFO),
        meaning="One gRPC call, exactly one line each, refusals included. Of level debug only for "
        "a gateway's question for work when there was none.",
        remedy="For a refusal see its `reason`.",
        fields=(*CALL_FIELDS, F.DETAIL, *annotations),
        is_audited=True,
    )


RUNTIME_EVENTS: Final = (
    LogEvent(
        name="serving",
        level=_INFO,
        meaning="The process listens on all its ports, `count` of them.",
        fields=(F.COUNT,),
        is_audited=True,
        is_of_process=True,
    ),
    LogEvent(
        name="stopping",
        level=_INFO,
        meaning="The process was told to stop. What is under way ends first.",
        is_audited=True,
        is_of_process=True,
    ),
    LogEvent(
        name="server_rebuilt",
        level=_ERROR,
        meaning="A gRPC server broke, for `cause`, and another one took its port.",
        remedy="If it comes back, look at the machine's memory and open files.",
        fields=(F.PORT, F.CAUSE),
        is_of_process=True,
    ),
    LogEvent(
        name="server_lost",
        level=_CRITICAL,
        meaning="A gRPC server broke, and its port cannot be had any more. The process ends.",
        remedy="Have it started again, and look who has the port.",
        fields=(F.PORT, F.CAUSE),
        is_of_process=True,
    ),
    LogEvent(
        name="certificate_awaited",
        level=_WARNING,
        meaning="The files of the certificate are not there, or cannot be used. The process waits "
        "for them, for `certificate_wait_seconds`, and serves nobody until then.",
        remedy="If it lasts, look at what issues them, and at the files below `tls`.",
        fields=(F.PATH,),
        is_of_process=True,
    ),
    LogEvent(
        name="certificate_reloaded",
        level=_INFO,
        meaning="New files of the certificate are in use; `generation` counts them.",
        fields=(F.GENERATION,),
        is_of_process=True,
    ),
    LogEvent(
        name="certificate_reload_refused",
        level=_WARNING,
        meaning="The files of the certificate changed, and cannot be used. The old certificate "
        "stays until it expires.",
        remedy="Look at the files below `tls`: they must be one pair, valid, of PEM.",
        fields=(F.PATH,),
        is_of_process=True,
    ),
    LogEvent(
        name="token_refused",
        level=_INFO,
        meaning="A caller's token was not accepted; `detail` is the rule that it broke.",
        remedy="In numbers: see who sends them by the `rpc` or `http` line of the same request id.",
        fields=(F.ISSUER, F.DETAIL),
        is_audited=True,
        is_security=True,
    ),
    LogEvent(
        name="issuer_unavailable",
        level=_WARNING,
        meaning="The keys of an issuer of tokens cannot be had. The last ones serve for an hour.",
        remedy="Look whether the issuer is up and this machine may reach it.",
        fields=(F.ISSUER, F.DETAIL),
    ),
    LogEvent(
        name="issuer_key_ambiguous",
        level=_WARNING,
        meaning="An issuer publishes different keys under one id. None of them is used.",
        remedy="Have the issuer's operators give each key an id of its own.",
        fields=(F.DETAIL,),
        is_security=True,
    ),
    LogEvent(
        name="vault_login",
        level=_INFO,
        meaning="Logged in to Vault, or read a token file again, for `ttl_seconds`.",
        fields=(F.TTL_SECONDS,),
    ),
    LogEvent(
        name="vault_token_renewed",
        level=_INFO,
        meaning="Vault gave the token `ttl_seconds` more.",
        fields=(F.TTL_SECONDS,),
    ),
    LogEvent(
        name="vault_token_renewal_failed",
        level=_WARNING,
        meaning="Vault did not renew the token. A new login follows at once.",
        remedy="Nothing, unless `vault_login_failed` follows.",
        fields=(F.CAUSE,),
    ),
    LogEvent(
        name="vault_login_failed",
        level=(_WARNING, _ERROR),
        meaning="No login to Vault. Warning: Vault is away. Error: it refuses the credential, or "
        "the credential cannot be read. It is tried again, ever more slowly.",
        remedy="Error: renew the credential that `cause` names, or run bootstrap.",
        fields=(F.CAUSE,),
    ),
    LogEvent(
        name="vault_unavailable",
        level=_WARNING,
        meaning="Vault gave no usable answer: the call fails with `VAULT_UNAVAILABLE`.",
        remedy="Look at Vault: sealed, without leader, unable to audit, or out of reach.",
        fields=(F.CAUSE,),
    ),
    LogEvent(
        name="vault_failover",
        level=_WARNING,
        meaning="Another node of Vault is asked from now on; `count` is its place in the list.",
        remedy="Look at the node before it.",
        fields=(F.COUNT,),
    ),
    LogEvent(
        name="vault_denied",
        level=_ERROR,
        meaning="Vault refuses an operation to a fresh token: the policy is not as bootstrap left "
        "it.",
        remedy="Find out who changed the policy in Vault's audit log, then run bootstrap.",
        is_audited=True,
        is_security=True,
    ),
    LogEvent(
        name="audit_stream_opened",
        level=_INFO,
        meaning="The first line of this process's chain of audited lines.",
        is_audited=True,
        is_of_process=True,
    ),
    LogEvent(
        name="audit_checkpoint",
        level=_INFO,
        meaning="Vault has signed the chain up to line `signed_seq`.",
        fields=(F.SIGNED_SEQ, F.SIGNED_HEAD, F.SIGNATURE),
        is_audited=True,
        is_of_process=True,
    ),
    LogEvent(
        name="audit_stream_closed",
        level=_INFO,
        meaning="The process ends its chain; only a checkpoint follows.",
        is_audited=True,
        is_of_process=True,
    ),
    LogEvent(
        name="audit_checkpoint_failed",
        level=_WARNING,
        meaning="The chain could not be signed, for `reason`. It is tried again every 5 seconds.",
        remedy="`VAULT_UNAVAILABLE`: look at Vault; with `vault_denied` before it, run bootstrap, "
        "which makes the signing key. `AUDIT_UNAVAILABLE`: see `audit_stream_failed`.",
        fields=(F.REASON,),
        is_of_process=True,
    ),
    LogEvent(
        name="audit_stream_failed",
        level=_ERROR,
        meaning="Audited lines cannot be written, for `cause` (`ENOSPC`: the disk is full). Calls "
        "that need a key fail with `AUDIT_UNAVAILABLE` until they can.",
        remedy="Make room, or have the reader of the log started again. Nothing else is needed.",
        fields=(F.CAUSE,),
        is_of_process=True,
    ),
    LogEvent(
        name="audit_stream_recovered",
        level=_WARNING,
        meaning="Audited lines are written again, those that had to wait included.",
        remedy="Nothing, unless `audit_lines_lost` follows.",
        is_of_process=True,
    ),
    LogEvent(
        name="audit_lines_lost",
        level=_ERROR,
        meaning="`count` audited lines did not fit into memory while none could be written. No key "
        "was leased or opened meanwhile.",
        remedy="Look why the stream could not be written for so long.",
        fields=(F.COUNT,),
        is_audited=True,
        is_security=True,
        is_of_process=True,
    ),
    LogEvent(
        name="spans_lost",
        level=_WARNING,
        meaning="`count` spans of traces were dropped, or not taken by the receiver.",
        remedy="Look at the receiver, and at `telemetry.trace_ratio`.",
        fields=(F.COUNT,),
        is_of_process=True,
    ),
    LogEvent(
        name="internal_error",
        level=_ERROR,
        meaning="A fault of ours, by type and place. The caller was told no more than the request "
        "id.",
        remedy="Report it with this line.",
        fields=(*FAULT_FIELDS, F.KEY, F.LEASE),
    ),
    LogEvent(
        name="uncaught_exception",
        level=_CRITICAL,
        meaning="A fault that nothing caught. In the main thread it ends the process.",
        remedy="Report it with this line.",
        fields=FAULT_FIELDS,
        is_of_process=True,
    ),
    LogEvent(
        name="library_log",
        level=(_WARNING, _ERROR, _CRITICAL),
        meaning="A library, named by `logger`, said something: where in its code, but not what, "
        "which could quote a secret. `py.warnings` are Python's warnings, `asyncio` also faults of "
        "background work.",
        remedy="Look the place up in the library. If it comes back, report it.",
        fields=(F.LOGGER, *FAULT_FIELDS),
        is_of_process=True,
    ),
)
"""What any service can log, besides `rpc`."""
