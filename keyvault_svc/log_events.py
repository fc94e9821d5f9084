"""The catalogue of the key service's log events."""

from __future__ import annotations

from typing import Final

from svc_runtime.log_event import FAULT_FIELDS, LogEvent, LogLevel
from svc_runtime.log_events import RUNTIME_EVENTS, rpc_event
from svc_runtime.log_fields import LogField as F

_DELIVERY: Final = (
    F.CHANNEL,
    F.NOTIFICATION,
    F.NOTIFICATION_TYPE,
    F.ATTEMPT,
    F.REASON,
    F.RECEIVER_STATUS,
)
_SUBJECT: Final = (F.KEY, F.OWNER, F.APP)

_OWN: Final = (
    rpc_event(
        F.KEY,
        F.KEY_VERSION,
        F.GRANT,
        F.LEASE,
        F.APP,
        F.OWNER,
        F.ENDPOINT,
        F.MODEL,
        F.STATE,
        F.OUTCOME,
        F.COUNT,
    ),
    LogEvent(
        name="lease_release",
        level=LogLevel.INFO,
        meaning="A sealed key is about to be handed to a gateway. The line is written before that "
        "happens; the `rpc` line of the same request tells whether it did.",
        fields=(F.LEASE, F.KEY, F.KEY_VERSION, F.GRANT, F.APP),
        is_audited=True,
    ),
    LogEvent(
        name="used_elsewhere",
        level=LogLevel.WARNING,
        meaning="OpenAI counted more for a key on the day in `detail` than went through Keyturn; "
        "`count`, `input_tokens` and `output_tokens` are what is beyond.",
        remedy="Somebody has a copy of the key: have its owner rotate it, and delete the old one "
        "at OpenAI.",
        fields=(F.KEY, F.DETAIL, F.COUNT, F.INPUT_TOKENS, F.OUTPUT_TOKENS),
        is_audited=True,
        is_security=True,
    ),
    LogEvent(
        name="lease_settled",
        level=LogLevel.INFO,
        meaning="What became of a lease: outcome `served`, `key_rejected`, `upstream_failed`, "
        "`cancelled`, `unused`, or `unsettled` with the token bound as `input_tokens`.",
        remedy="`unsettled` in numbers: look whether gateways die or cannot reach the key service.",
        fields=(
            F.LEASE,
            F.KEY,
            F.GRANT,
            F.APP,
            F.OUTCOME,
            F.MODEL,
            F.USAGE_SOURCE,
            F.USAGE_SUBJECT,
            F.INPUT_TOKENS,
            F.CACHED_INPUT_TOKENS,
            F.OUTPUT_TOKENS,
            F.REASONING_TOKENS,
            F.AUDIO_SECONDS,
            F.IMAGES,
            F.COST_USD,
            F.HTTP_STATUS,
            F.OPENAI_REQUEST_ID,
            F.BODY_SHA256,
        ),
        is_audited=True,
    ),
    LogEvent(
        name="key_shared",
        level=LogLevel.WARNING,
        meaning="The key holds the same plaintext as `other_key`, of another owner.",
        remedy="Ask both owners; the key may have been passed on. Have it revoked at OpenAI.",
        fields=(F.KEY, F.OTHER_KEY),
        is_audited=True,
        is_security=True,
    ),
    LogEvent(
        name="anomaly",
        level=LogLevel.WARNING,
        meaning="A grant is used in an unusual way, of the kind `cause`: `what` says what was seen "
        "and what is normal. Once a day for each kind and grant.",
        remedy="See [unusual use](anomalies.md#what-to-do).",
        fields=(F.KEY, F.GRANT, F.APP, F.CAUSE, F.WHAT),
        is_audited=True,
        is_security=True,
    ),
    LogEvent(
        name="anomaly_not_suspended",
        level=LogLevel.ERROR,
        meaning="A key that unusual use was to suspend could not be suspended yet, for `reason`. "
        "The next run tries again.",
        remedy="Suspend it by hand (`keyturn operator suspend`), and look at the reason.",
        fields=(F.KEY, F.REASON),
        is_audited=True,
        is_security=True,
    ),
    LogEvent(
        name="observations_dropped",
        level=LogLevel.WARNING,
        meaning="`count` observations of use did not get into the baselines: the store was away, "
        "or there were too many grants.",
        remedy="Look at the store of limits. Unusual use of that time may not be told.",
        fields=(F.COUNT,),
    ),
    LogEvent(
        name="suspended",
        level=LogLevel.WARNING,
        meaning="`caller` stopped a key, an owner, an app, or everything (`*`): an operator, or "
        "`anomalies` for [unusual use](anomalies.md#suspending-by-itself).",
        remedy="Know why: the reason is in the controls (`keyturn operator controls`).",
        fields=(F.CALLER, *_SUBJECT),
        is_audited=True,
        is_security=True,
    ),
    LogEvent(
        name="resumed",
        level=LogLevel.WARNING,
        meaning="`caller`, an operator, ended what `suspended` began.",
        remedy="Know why.",
        fields=(F.CALLER, *_SUBJECT),
        is_audited=True,
        is_security=True,
    ),
    LogEvent(
        name="owner_limits_set",
        level=LogLevel.WARNING,
        meaning="`caller`, an operator, gave an owner limits of its own.",
        remedy="Know why.",
        fields=(F.CALLER, F.OWNER),
        is_audited=True,
        is_security=True,
    ),
    LogEvent(
        name="owner_limits_removed",
        level=LogLevel.WARNING,
        meaning="`caller`, an operator, gave an owner the deployment's limits again.",
        remedy="Know why.",
        fields=(F.CALLER, F.OWNER),
        is_audited=True,
        is_security=True,
    ),
    LogEvent(
        name="limit_store_away",
        level=LogLevel.WARNING,
        meaning="The store of limits went away, for `cause`; once, not for each call. What has no "
        "limits is served uncounted.",
        remedy="Look at Redis or Valkey, and whether this machine reaches it.",
        fields=(F.CAUSE,),
    ),
    LogEvent(
        name="limit_store_back",
        level=LogLevel.INFO,
        meaning="The store of limits answers again.",
    ),
    LogEvent(
        name="upkeep",
        level=LogLevel.INFO,
        meaning="This replica has tidied `count` keys: destroyed what was due, finished what broke "
        "off.",
        fields=(F.COUNT,),
    ),
    LogEvent(
        name="upkeep_failed",
        level=LogLevel.WARNING,
        meaning="`count` keys could not be tidied, or, with a `reason`, none. The next run tries "
        "again.",
        remedy="With `VAULT_UNAVAILABLE`: look at Vault. If it stays: at the `vault_*` events.",
        fields=(F.COUNT, F.REASON),
    ),
    LogEvent(
        name="settle_overdue_failed",
        level=LogLevel.WARNING,
        meaning="Leases that nobody settled could not be looked for, for `reason`. The next run "
        "tries again.",
        remedy="With `LIMIT_STORE_UNAVAILABLE`: look at the store of limits.",
        fields=(F.REASON,),
    ),
    LogEvent(
        name="notification",
        level=LogLevel.INFO,
        meaning="An owner is told something, by whatever channels there are.",
        remedy="See [notifications](notifications.md) for what the types mean.",
        fields=(
            F.NOTIFICATION,
            F.NOTIFICATION_TYPE,
            F.OWNER,
            F.KEY,
            F.GRANT,
            F.APP,
            F.PERCENT,
            F.DETAIL,
        ),
        is_audited=True,
    ),
    LogEvent(
        name="notification_delivered",
        level=LogLevel.INFO,
        meaning="A receiver took an event.",
        fields=_DELIVERY,
    ),
    LogEvent(
        name="notification_delayed",
        level=LogLevel.WARNING,
        meaning="A receiver did not take an event; it is tried again.",
        remedy="If it stays, look at the receiver that `channel` names.",
        fields=_DELIVERY,
    ),
    LogEvent(
        name="notification_lost",
        level=LogLevel.ERROR,
        meaning="An event was given up: refused, too old, or tried too often.",
        remedy="Look at the receiver. The event itself stands in `notification`.",
        fields=_DELIVERY,
    ),
    LogEvent(
        name="notifications_lost",
        level=LogLevel.WARNING,
        meaning="`count` events were not delivered: the queue was full, or the process stopped.",
        remedy="Look at the receiver. The events themselves stand in `notification`.",
        fields=(F.CHANNEL, F.REASON, F.COUNT),
        is_of_process=True,
    ),
    LogEvent(
        name="notification_channel_closed",
        level=LogLevel.WARNING,
        meaning="The receiver wants no more events (HTTP 410); `count` were waiting.",
        remedy="Take it out of the settings, or start again once it wants them.",
        fields=(F.CHANNEL, F.REASON, F.COUNT),
    ),
    LogEvent(
        name="notification_channel_broke",
        level=LogLevel.ERROR,
        meaning="A fault of ours in delivering. The event is tried again.",
        remedy="Report it with this line.",
        fields=(F.CHANNEL, *FAULT_FIELDS),
    ),
    LogEvent(
        name="notification_broke",
        level=LogLevel.ERROR,
        meaning="A fault of ours in queueing an event. The request that caused it went on.",
        remedy="Report it with this line.",
        fields=FAULT_FIELDS,
    ),
)

EVENTS: Final = (*RUNTIME_EVENTS, *_OWN)
"""All that the key service can log."""
