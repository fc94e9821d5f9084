"""What both surfaces do with a verified caller before they relay its call."""

from __future__ import annotations

from typing import Final

from svc_runtime.caller import Caller
from svc_runtime.service_error import CallerUnverifiedError
from svc_runtime.spiffe_id import SpiffeId

# A call's own time-out shall strike before its caller's deadline, so that the caller gets a typed
# error in place of a bare DEADLINE_EXCEEDED made on its own side.
_SHAVED_SHARE: Final = 0.05
_MAX_SHAVED_SECONDS: Final = 0.2


def app_of(caller: Caller | None) -> SpiffeId:
    """Return the app that *caller* is.

    Raises:
        CallerUnverifiedError: Nobody was verified.
    """
    if caller is None:
        raise CallerUnverifiedError
    return SpiffeId.parse(caller.name)


def shaved(seconds_left: float) -> float:
    """Return how long a call may take that its caller gives up after *seconds_left*."""
    return seconds_left - min(seconds_left * _SHAVED_SHARE, _MAX_SHAVED_SECONDS)
