"""`Upstream` over aiohttp: one pool of connections to one host, which settings name."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from aiohttp import (
    ClientError,
    ClientResponse,
    ClientSession,
    ClientTimeout,
    ConnectionTimeoutError,
    DummyCookieJar,
    TCPConnector,
)
from yarl import URL

from gateway_svc.domain.errors import UpstreamTimedOutError, UpstreamUnavailableError
from gateway_svc.domain.ports import UpstreamAnswer, UpstreamRequest
from gateway_svc.openai_api.keyed_request import KEY_FOR_REQUEST, KeyedRequest, OneTimeKey
from svc_runtime.secret_bytes import SecretBytes
from svc_runtime.service_error import ServiceError

_CONNECT_SECONDS: Final = 10.0
# What aiohttp would add by itself and OpenAI would see.
_NO_AUTO_HEADERS: Final = frozenset({"Accept", "Accept-Encoding", "Content-Type", "User-Agent"})


class AiohttpUpstream:
    """OpenAI, or what stands in for it, at one base URL. Nothing of the environment matters."""

    def __init__(self, base_url: str, tls: ssl.SSLContext | None, *, max_connections: int) -> None:
        """Talk to *base_url*, which ends where the path after `/v1/` is to be added.

        Args:
            base_url: Such as `https://api.openai.com/v1`.
            tls: How to check the server; None for http on loopback.
            max_connections: Upper bound of calls under way; further ones wait.
        """
        self._base_url = base_url.rstrip("/")
        self._tls = tls
        self._max_connections = max_connections
        self._session: ClientSession | None = None

    async def start(self) -> None:
        """Open the pool."""
        self._session = ClientSession(
            connector=TCPConnector(ssl=self._tls or True, limit=self._max_connections),
            cookie_jar=DummyCookieJar(),
            request_class=KeyedRequest,
            trust_env=False,
            auto_decompress=False,
            raise_for_status=False,
        )

    async def close(self) -> None:
        """Close the pool."""
        if self._session is not None:
            await self._session.close()

    @asynccontextmanager
    async def send(
        self, request: UpstreamRequest, api_key: SecretBytes, timeout_seconds: float
    ) -> AsyncIterator[UpstreamAnswer]:
        """Send *request* and enter with the head of the answer; see `Upstream.send`."""
        key = OneTimeKey(api_key)
        del api_key
        KEY_FOR_REQUEST.set(key)
        try:
            response = await self._request(request, timeout_seconds)
        finally:
            key.take()  # a request that found no connection has not taken it
        try:
            yield UpstreamAnswer(
                response.status,
                tuple((name.lower(), value) for name, value in response.headers.items()),
                _body(response),
            )
        finally:
            if response.content.at_eof():
                response.release()
            else:
                response.close()  # OpenAI must not go on with what nobody reads

    async def _request(self, request: UpstreamRequest, timeout_seconds: float) -> ClientResponse:
        if self._session is None:
            raise RuntimeError("start() was not called")
        query = f"?{request.query}" if request.query else ""
        failure: ServiceError
        try:
            return await self._session.request(
                request.method,
                URL(f"{self._base_url}/{request.endpoint.raw}{query}", encoded=True),
                data=request.body or None,
                headers=[*request.headers, ("accept-encoding", "identity")],
                skip_auto_headers=_NO_AUTO_HEADERS,
                allow_redirects=False,
                timeout=ClientTimeout(total=timeout_seconds, sock_connect=_CONNECT_SECONDS),
            )
        except ConnectionTimeoutError:  # a time-out of the connection, not of the call
            failure = UpstreamUnavailableError()
        except TimeoutError:
            failure = UpstreamTimedOutError()
        except (ClientError, OSError):
            failure = UpstreamUnavailableError()
        # Here, not inside `except`: what aiohttp raises holds the request.
        raise failure


async def _body(response: ClientResponse) -> AsyncIterator[bytes]:
    failure: ServiceError
    try:
        async for piece in response.content.iter_any():
            yield piece
    except TimeoutError:
        failure = UpstreamTimedOutError()
    except (ClientError, OSError):
        failure = UpstreamUnavailableError()
    else:
        return
    raise failure
