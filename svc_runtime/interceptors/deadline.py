"""Refuse calls that would wait for ever."""

from __future__ import annotations

from typing import Any

from svc_runtime.access_policy import AccessPolicy
from svc_runtime.call_context import current_call
from svc_runtime.interceptors.handler_wrapping import Proceed, ServicerContext, WrappingInterceptor
from svc_runtime.service_error import InvalidFieldError

# gRPC rounds a timeout up to two or more digits of its unit before it goes on the wire.
_ROUNDING = 1.01


class DeadlineInterceptor(WrappingInterceptor):
    """Requires a deadline, at most so far away, wherever the access policy says so."""

    def __init__(self, access_policy: AccessPolicy, max_deadline_seconds: float) -> None:
        """Create an interceptor.

        Args:
            access_policy: Says which RPCs need a deadline. An RPC without a row passes,
                because the authorization inside refuses it in any case.
            max_deadline_seconds: The longest time that a caller may ask for, inclusive.
        """
        self._policy = access_policy
        self._max_seconds = max_deadline_seconds

    async def around(self, proceed: Proceed, context: ServicerContext) -> Any:  # noqa: ANN401  # any RPC's response
        """Serve the call if its deadline is acceptable."""
        call = current_call()
        # The type stub says float; without a deadline gRPC returns None.
        remaining: float | None = context.time_remaining()
        access = self._policy.get(call.method)
        if access is not None and access.needs_deadline:
            self._require(remaining)
        return await proceed()

    def _require(self, remaining: float | None) -> None:
        if remaining is None or remaining > self._max_seconds * _ROUNDING:
            raise InvalidFieldError(
                "grpc-timeout", f"a deadline is required, at most {self._max_seconds:g} seconds"
            )
