"""What the process knows about the call that it is serving right now, gRPC or HTTP."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

from structlog.contextvars import bound_contextvars, get_contextvars

from svc_runtime.caller import Caller
from svc_runtime.log_fields import LogField, LogValue
from svc_runtime.service_error import InvalidFieldError

REQUEST_ID_KEY = "x-keyturn-request-id"
"""Metadata key and HTTP header (lower case) of the request id, in requests and in responses."""

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")
_ALLOWED_FIELDS = frozenset(LogField)
_current: ContextVar[CallContext] = ContextVar("keyturn_call")


@dataclass(slots=True)
class CallContext:
    """One call, from its arrival to its audit record.

    Attributes:
        request_id: Names the call in every log, here and in Vault.
        method: Full gRPC method (`/pkg.Service/Method`) or HTTP method and route.
        caller: Who calls, once proven.
        fields: What the audit record says beyond its fixed fields; `annotate` adds to it.
        is_idle_poll: Whether the call asked for work, and there was none. Its record is of level
            debug: polls come every second, and nothing was touched.
    """

    request_id: str
    method: str
    caller: Caller | None = None
    fields: dict[str, LogValue] = field(default_factory=dict)
    is_idle_poll: bool = False


@contextmanager
def bind_call(call: CallContext) -> Iterator[CallContext]:
    """Make *call* the current one; every log line inside carries its request id."""
    token = _current.set(call)
    try:
        with bound_contextvars(request_id=call.request_id):
            yield call
    finally:
        _current.reset(token)


@contextmanager
def bind_request_id(request_id: str = "") -> Iterator[str]:
    """Let every log line inside carry *request_id*, and yield it.

    For what the process does by itself, outside of any call. By default each run gets an id of its
    own, so that its lines, and those that it causes elsewhere, are found together.
    """
    request_id = request_id or new_request_id()
    with bound_contextvars(request_id=request_id):
        yield request_id


def bound_request_id() -> str:
    """Return the request id that log lines carry here; a fresh one where they carry none."""
    return get_contextvars().get(LogField.REQUEST_ID) or new_request_id()


def current_call() -> CallContext:
    """Return the call that is being served.

    Raises:
        LookupError: No call is being served here.
    """
    return _current.get()


def call_or_none() -> CallContext | None:
    """Return the call that is being served, None outside of any."""
    return _current.get(None)


def annotate(**fields: LogValue) -> None:
    """Add *fields* to the audit record of the current call; a later value wins.

    Raises:
        ValueError: A name is not a `LogField`.
        LookupError: No call is being served here.
    """
    if not _ALLOWED_FIELDS.issuperset(fields):
        raise ValueError("an audit record holds nothing but the names in LogField")
    current_call().fields.update(fields)


def new_request_id() -> str:
    """Return a fresh request id."""
    return os.urandom(16).hex()


def request_id_from(raw_values: Sequence[str | bytes]) -> str:
    """Return the caller's request id, or a fresh one where it sent none.

    Args:
        raw_values: Every value that came under `REQUEST_ID_KEY`.

    Raises:
        InvalidFieldError: There is more than one value, or it is malformed.
    """
    if not raw_values:
        return new_request_id()
    raw = raw_values[0]
    if len(raw_values) > 1 or not isinstance(raw, str) or not _REQUEST_ID.fullmatch(raw):
        raise InvalidFieldError(
            REQUEST_ID_KEY, "must be one value of 8 to 64 letters, digits, '.', '_' or '-'"
        )
    return raw
