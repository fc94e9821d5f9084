"""One step of a request, as an audit log of Vault or a service's log tells it. Pure parsing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Final

_HEADER_PREFIX: Final = "x-keyturn-"
_CALL_EVENTS: Final = frozenset({"rpc", "http"})  # a service's one record per call
_KEY_SERVICE_METHODS: Final = "/keyturn.keyvault."
_VERIFICATION_SERVICE: Final = ".KeyVerificationService/"
_DENIED: Final = "permission denied"
_NO_TIME: Final = datetime.min.replace(tzinfo=UTC)


class Source(StrEnum):
    """Which log tells of a step."""

    VAULT = "vault audit"
    SERVICE = "service log"


class StepKind(StrEnum):
    """What happened in a step."""

    APP_TO_GATEWAY = "app -> gateway"
    OWNER_TO_KEY_SERVICE = "owner -> key service"
    LEASE = "lease"
    RELEASE = "release"
    LEASE_CHECK = "lease check"
    KV_READ = "KV read"
    CONTROLS_READ = "controls read"
    KV_WRITE = "KV write"
    KV_METADATA = "KV metadata"
    KV_DESTROY = "KV destroy"
    OPENING = "opening"
    DECRYPT = "decrypt"
    ENCRYPT = "encrypt"
    HMAC = "hmac"
    REWRAP = "rewrap"
    WRAP = "wrap"
    WRAP_LOOKUP = "wrap lookup"
    UNWRAP = "unwrap"
    VERIFICATION = "verification"
    OPENAI = "OpenAI"
    SETTLE = "settle"
    OTHER = "other"


class Outcome(StrEnum):
    """How Vault answered. A service's outcome is its own word instead."""

    OK = "ok"
    NOTHING_THERE = "nothing there"
    DENIED = "denied by Vault"
    FAILED = "failed"
    NO_ANSWER = "no answer"


@dataclass(frozen=True, slots=True)
class AuditStep:
    """One step.

    Attributes:
        time: When it began.
        who: The Vault role, else what else names the caller.
        what: The path or method.
        outcome: A value of `Outcome`, or a service's word.
        operation_id: Vault's own id, which request and answer share; empty in a service log.
    """

    time: datetime
    kind: StepKind
    who: str
    what: str
    outcome: str
    app: str
    key: str
    lease: str
    source: Source
    operation_id: str = ""


def vault_step(entry: Mapping[str, Any], request_id: str) -> AuditStep | None:
    """Return the step that *entry* of an audit log is, None when it is of another request.

    An entry of type `request` gives a step without an answer.
    """
    request = _mapping(entry.get("request"))
    tags = _tags(_mapping(request.get("headers")))
    if tags.get("request-id") != request_id:
        return None
    path = _text(request.get("path"))
    return AuditStep(
        time=parse_time(entry.get("time")),
        kind=_vault_kind(request, path),
        who=_who(_mapping(entry.get("auth"))),
        what=path,
        outcome=_outcome(entry),
        app=tags.get("app", ""),
        key=tags.get("key", ""),
        lease=tags.get("lease", ""),
        source=Source.VAULT,
        operation_id=_text(request.get("id")),
    )


def service_steps(record: Mapping[str, Any], request_id: str) -> list[AuditStep]:
    """Return the steps that *record* of a service's log tells of; none of another request.

    The gateway's one record of a call tells of two: the app's call, and its own call of OpenAI.
    """
    if record.get("request_id") != request_id:
        return []
    method = _text(record.get("method"))
    end = parse_time(record.get("time"))
    duration = record.get("duration_ms")
    lasted = timedelta(milliseconds=duration) if isinstance(duration, int | float) else timedelta()
    kind = _service_kind(record, method)
    step = AuditStep(
        time=end if end == _NO_TIME else end - lasted,  # a record is written at the end
        kind=kind,
        who=_text(record.get("caller")) or _text(record.get("service")),
        what=method or _text(record.get("event")),
        outcome=_words(record.get("code"), record.get("reason"), record.get("outcome")),
        app=_text(record.get("app")),
        key=_text(record.get("key")),
        lease=_text(record.get("lease")),
        source=Source.SERVICE,
    )
    if kind is not StepKind.APP_TO_GATEWAY or not record.get("http_status"):
        return [step]
    upstream = replace(
        step,
        time=end,
        kind=StepKind.OPENAI,
        who=_text(record.get("service")),
        what=_text(record.get("endpoint")),
        outcome=_words("HTTP", record["http_status"], record.get("openai_request_id")),
    )
    return [step, upstream]


def parse_time(raw: object) -> datetime:
    """Return the time that an ISO 8601 text means, in UTC; the earliest time for none."""
    try:
        time = datetime.fromisoformat(raw) if isinstance(raw, str) else _NO_TIME
    except ValueError:
        return _NO_TIME
    return time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)


def _tags(headers: Mapping[str, Any]) -> dict[str, str]:
    """Return Keyturn's audited headers by what follows their common prefix."""
    tags: dict[str, str] = {}
    for name, values in headers.items():
        if name.lower().startswith(_HEADER_PREFIX) and isinstance(values, list) and values:
            tags[name.lower().removeprefix(_HEADER_PREFIX)] = _text(values[0])
    return tags


def _who(auth: Mapping[str, Any]) -> str:
    """Return the caller's role: AppRole calls it `role_name`, Kubernetes auth `role`."""
    metadata = _mapping(auth.get("metadata"))
    named = (
        metadata.get("role_name"),
        metadata.get("role"),
        auth.get("entity_id"),
        auth.get("display_name"),
    )
    return next((_text(name) for name in named if name), "")


_TRANSIT: Final = {
    "decrypt": StepKind.DECRYPT,
    "encrypt": StepKind.ENCRYPT,
    "rewrap": StepKind.REWRAP,
    "hmac": StepKind.HMAC,
}
_KV: Final = {
    "read": StepKind.KV_READ,
    "list": StepKind.KV_READ,
    "create": StepKind.KV_WRITE,
    "update": StepKind.KV_WRITE,
    "patch": StepKind.KV_WRITE,
    "delete": StepKind.KV_DESTROY,
}


_WRAPPING: Final = {
    "sys/wrapping/wrap": StepKind.WRAP,
    "sys/wrapping/lookup": StepKind.WRAP_LOOKUP,
    "sys/wrapping/unwrap": StepKind.UNWRAP,
}


_CONTROLS: Final = "data/operator/controls"


def _vault_kind(request: Mapping[str, Any], path: str) -> StepKind:
    mount_type = request.get("mount_type")
    inside = path.removeprefix(_text(request.get("mount_point")))
    area = inside.partition("/")[0]
    if mount_type == "transit":
        return _TRANSIT.get(area, StepKind.OTHER)
    if mount_type != "kv":
        return _WRAPPING.get(path, StepKind.OTHER)
    if area in {"destroy", "delete"}:
        return StepKind.KV_DESTROY
    kind = _KV.get(_text(request.get("operation")), StepKind.OTHER)
    if kind is not StepKind.KV_READ:
        return kind
    # Neither metadata nor the operators' controls hold a ciphertext: reading them hands none over.
    if inside == _CONTROLS:
        return StepKind.CONTROLS_READ
    return StepKind.KV_READ if area == "data" else StepKind.KV_METADATA


def _outcome(entry: Mapping[str, Any]) -> str:
    error = _text(entry.get("error"))
    if error:
        return Outcome.DENIED if _DENIED in error else Outcome.FAILED
    if entry.get("type") != "response":
        return Outcome.NO_ANSWER
    response = _mapping(entry.get("response"))
    answer = _mapping(response.get("data"))
    if "error" in answer:
        return Outcome.FAILED
    operation = _mapping(entry.get("request")).get("operation")
    if operation == "read" and not answer:
        return Outcome.NOTHING_THERE
    return Outcome.OK


_STEP_EVENTS: Final = {
    "lease_release": StepKind.RELEASE,
    "key_opening": StepKind.OPENING,
    "lease_settled": StepKind.SETTLE,
}


def _service_kind(record: Mapping[str, Any], method: str) -> StepKind:
    event = _text(record.get("event"))
    if event not in _CALL_EVENTS:
        return _STEP_EVENTS.get(event, StepKind.OTHER)
    if method.endswith("/AcquireLease"):
        return StepKind.LEASE
    if method.endswith("/CheckLease"):
        return StepKind.LEASE_CHECK
    if _VERIFICATION_SERVICE in method:
        return StepKind.VERIFICATION
    is_owner_call = method.startswith(_KEY_SERVICE_METHODS)
    return StepKind.OWNER_TO_KEY_SERVICE if is_owner_call else StepKind.APP_TO_GATEWAY


def _words(*values: object) -> str:
    """Return what *values*, texts and numbers, say, with a space between."""
    return " ".join(str(value) for value in values if value)


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
