"""`Upstream` over aiohttp: one pool of connections to the hosts that settings name."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, nullcontext
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

from gateway_svc.domain.errors import (
    UpstreamNotAllowedError,
    UpstreamTimedOutError,
    UpstreamUnavailableError,
)
from gateway_svc.domain.upstream_ports import StreamedBody, UpstreamAnswer, UpstreamRequest
from gateway_svc.metrics import STREAMS_OPEN
from gateway_svc.openai_api.keyed_request import KEY_FOR_REQUEST, KeyedRequest, OneTimeKey
from gateway_svc.openai_api.public_resolver import PublicResolver
from svc_runtime.secret_bytes import SecretBytes
from svc_runtime.service_error import ServiceError

_CONNECT_SECONDS: Final = 10.0
_EVENT_STREAM: Final = "text/event-stream"
# What aiohttp would add by itself and OpenAI would see.
_NO_AUTO_HEADERS: Final = frozenset({"Accept", "Accept-Encoding", "Content-Type", "User-Agent"})


class AiohttpUpstream:
    """OpenAI, or what stands in for it. Nothing of the environment matters."""

    def __init__(
        self,
        base_urls: Sequence[str],
        tls: ssl.SSLContext | None,
        *,
        max_connections: int,
        allows_private_addresses: bool = False,
    ) -> None:
        """Talk to *base_urls* only; each ends where the path after `/v1/` is to be added.

        Args:
            base_urls: Such as `https://api.openai.com/v1`; the first is for keys that name none.
            tls: How to check the servers; None for http on loopback.
            max_connections: Upper bound of calls under way; further ones wait.
            allows_private_addresses: Whether a host's name may lead to an address that is not
                public.
        """
        self._base_urls = [base_url.rstrip("/") for base_url in base_urls]
        self._tls = tls
        self._max_connections = max_connections
        self._allows_private_addresses = allows_private_addresses
        self._session: ClientSession | None = None

    async def start(self) -> None:
        """Open the pool."""
        self._session = ClientSession(
            connector=TCPConnector(
                ssl=self._tls or True,
                limit=self._max_connections,
                resolver=None if self._allows_private_addresses else PublicResolver(),
            ),
            cookie_jar=DummyCookieJar(),
            request_class=KeyedRequest,
            trust_env=False,
            auto_decompress=False,
            raise_for_status=False,
        )

    @property
    def session(self) -> ClientSession:
        """The pool. Its requests bear the key of `KEY_FOR_REQUEST`, and none without it."""
        if self._session is None:
            raise RuntimeError("start() was not called")
        return self._session

    def url_of(self, request: UpstreamRequest) -> URL:
        """Return where *request* goes.

        Raises:
            UpstreamNotAllowedError: Its base URL is none of those given.
        """
        base_url = request.base_url.rstrip("/") or self._base_urls[0]
        if base_url not in self._base_urls:
            raise UpstreamNotAllowedError
        query = f"?{request.query}" if request.query else ""
        return URL(f"{base_url}/{request.endpoint.raw}{query}", encoded=True)

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
        outgoing = _Outgoing(request)
        try:
            response = await self._request(request, outgoing, timeout_seconds)
        finally:
            key.take()  # a request that found no connection has not taken it
        try:
            is_stream = response.content_type == _EVENT_STREAM
            with STREAMS_OPEN.one("sse") if is_stream else nullcontext():
                yield UpstreamAnswer(
                    response.status,
                    tuple((name.lower(), value) for name, value in response.headers.items()),
                    _body(response, outgoing),
                )
        finally:
            if response.content.at_eof():
                response.release()
            else:
                response.close()  # OpenAI must not go on with what nobody reads

    async def _request(
        self, request: UpstreamRequest, outgoing: _Outgoing, timeout_seconds: float
    ) -> ClientResponse:
        url = self.url_of(request)
        failure: ServiceError
        try:
            return await self.session.request(
                request.method,
                url,
                data=outgoing.body,
                headers=[*request.headers, *outgoing.headers],
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
        raise outgoing.failure or failure


class _Outgoing:
    """A request's body on its way, as aiohttp takes it.

    Attributes:
        failure: What the app did to a streamed body; aiohttp hides it behind an error of its own.
    """

    def __init__(self, request: UpstreamRequest) -> None:
        self.failure: ServiceError | None = None
        self.body: bytes | AsyncIterator[bytes] | None = None
        self.headers: tuple[tuple[str, str], ...] = ()
        if isinstance(request.body, StreamedBody):
            self.body = self._pieces(request.body)
            if request.body.length is not None:
                self.headers = (("content-length", str(request.body.length)),)
        elif request.body:
            self.body = request.body

    async def _pieces(self, body: StreamedBody) -> AsyncIterator[bytes]:
        try:
            async for piece in body.pieces:
                yield piece
        except ServiceError as error:
            self.failure = error
            raise


async def _body(response: ClientResponse, outgoing: _Outgoing) -> AsyncIterator[bytes]:
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
    raise outgoing.failure or failure
