"""Times in messages."""

from __future__ import annotations

from datetime import UTC, datetime

from google.protobuf.timestamp_pb2 import Timestamp

from svc_runtime.service_error import InvalidFieldError


def datetime_of(field: str, message: Timestamp) -> datetime:
    """Return the time that *message* says.

    Raises:
        InvalidFieldError: It is none that can be.
    """
    try:
        return message.ToDatetime(tzinfo=UTC)
    except (ValueError, OverflowError):
        pass
    raise InvalidFieldError(field, "must be a time between the years 1 and 9999")


def timestamp(time: datetime) -> Timestamp:
    """Return the message that says *time*."""
    message = Timestamp()
    message.FromDatetime(time)
    return message


def optional_timestamp(time: datetime | None) -> Timestamp | None:
    """Return the message that says *time*; None for none."""
    return None if time is None else timestamp(time)
