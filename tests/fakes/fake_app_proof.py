"""Tokens of apps that a test hands out."""

from __future__ import annotations

from svc_runtime.secret_bytes import SecretBytes
from svc_runtime.service_error import CallerUnverifiedError
from svc_runtime.spiffe_id import SpiffeId


class FakeAppProof:
    """`AppProof` that knows one token, if any."""

    def __init__(self, token: SecretBytes | None = None, app: SpiffeId | None = None) -> None:
        """Let *token* prove *app*, and no other token anything."""
        self._token = token
        self._app = app

    async def app_of(self, app_token: SecretBytes) -> SpiffeId:
        """Return the app that *app_token* proves."""
        if self._app is None or app_token != self._token:
            raise CallerUnverifiedError
        return self._app
