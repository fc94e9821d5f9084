"""The admin key in one request of the SDK, and nothing of the environment in it."""

from __future__ import annotations

from collections.abc import Generator
from typing import Final

import httpx2

from gateway_svc.openai_api.keyed_request import OneTimeKey
from svc_runtime.secret_bytes import SecretBytes

# What the SDK is given in place of the key: it insists on one, keeps it, and shows it in errors.
PLACEHOLDER: Final = "taken-from-vault-for-each-request"
_AUTHORIZATION: Final = "authorization"
# The SDK adds what it finds in the environment, and tells of the machine that it runs on.
_SENT: Final = frozenset({"accept", "accept-encoding", "connection", "host", _AUTHORIZATION})


class OneTimeAuth(httpx2.Auth):
    """Writes the key into one request, and takes it out again when that is answered.

    A request that fails is kept by the error that says so; it must not hold the key.
    """

    def __init__(self, api_key: SecretBytes) -> None:
        self._key = OneTimeKey(api_key)

    def auth_flow(
        self, request: httpx2.Request
    ) -> Generator[httpx2.Request, httpx2.Response, None]:
        """Send *request* with the key."""
        key = self._key.take()
        if key is None:
            raise httpx2.RequestError("the key was for one request", request=request)
        for name in [name for name in request.headers if name.lower() not in _SENT]:
            del request.headers[name]
        request.headers["user-agent"] = "keyturn-gateway"
        request.headers[_AUTHORIZATION] = "Bearer " + key.expose().decode("ascii")
        del key
        try:
            yield request
        finally:
            del request.headers[_AUTHORIZATION]
