"""Let nobody call what the access policy does not open to them."""

from __future__ import annotations

from typing import Any

from svc_runtime.access_policy import AccessPolicy
from svc_runtime.authentication import Authenticator
from svc_runtime.call_context import current_call
from svc_runtime.interceptors.handler_wrapping import Proceed, ServicerContext, WrappingInterceptor
from svc_runtime.service_error import CallerNotAllowedError


class AuthorizationInterceptor(WrappingInterceptor):
    """Authenticates the caller, then looks its roles up. No row, no access."""

    def __init__(self, authenticator: Authenticator, access_policy: AccessPolicy) -> None:
        """Create an interceptor for one listener."""
        self._authenticator = authenticator
        self._policy = access_policy

    async def around(self, proceed: Proceed, context: ServicerContext) -> Any:  # noqa: ANN401  # any RPC's response
        """Serve the call if its caller may make it."""
        call = current_call()
        caller = await self._authenticator.authenticate(context)
        call.caller = caller  # Before the decision: the audit record names who was refused
        access = self._policy.get(call.method)
        if access is None or access.roles.isdisjoint(caller.roles):
            raise CallerNotAllowedError
        return await proceed()
