"""A server to call."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import pytest

from gateway_svc.apps import Apps
from gateway_svc.domain.key_name import KeyChoice, KeyName
from gateway_svc.domain.lease_ports import Lease
from gateway_svc.domain.roles import AppIds
from gateway_svc.http.caller import HTTPAuthenticator
from gateway_svc.http.front import HTTPFront
from gateway_svc.http.server import HTTPServer
from svc_runtime.app_naming import AppNaming
from svc_runtime.clock import SystemClock
from svc_runtime.http_tls import server_ssl_context
from svc_runtime.service_error import ServiceError
from svc_runtime.spiffe_id import SpiffeId
from svc_runtime.tls_files import TLSFilesWatcher
from svc_runtime.workload_token import WorkloadTokens
from tests.certs import Authority, write
from tests.fakes.fake_jwt_verifier import FakeJWTVerifier
from tests.fakes.fake_upstream import FakeUpstream
from tests.unit.gateway_svc.http.http_site import APP, Site
from tests.unit.gateway_svc.relay_stage import ANSWER, LEASE, Stage

_ISSUER: Final = "https://issuer.example"


@pytest.fixture(name="serving")
def _serving(tmp_path: Path) -> Callable[..., Any]:
    """Serve for a while, with *seconds* for each request."""
    authority = Authority()
    watcher = TLSFilesWatcher(write(tmp_path, authority.server(), authority.pem), SystemClock())
    pair = authority.issue(uris=[APP])
    file = tmp_path / "client.pem"
    file.write_bytes(pair.key + pair.certificate)
    tls = ssl.create_default_context(cadata=authority.pem.decode())
    tls.load_cert_chain(file)

    @asynccontextmanager
    async def serve(
        *pieces: bytes,
        seconds: float = 20.0,
        upstream: FakeUpstream | None = None,
        lease: Lease | ServiceError = LEASE,
        app_of_tokens: str = "",
    ) -> AsyncIterator[Site]:
        stage = Stage(upstream or FakeUpstream(*(pieces or (ANSWER,))), lease=lease)
        verifier = FakeJWTVerifier({"sub": app_of_tokens}, _ISSUER)
        tokens = WorkloadTokens(verifier, {_ISSUER: AppNaming()})
        ids = AppIds("spiffe://example.org/app/")
        key_choice = KeyChoice({SpiffeId.parse(APP): KeyName.parse("users/alice/keys/openai")})
        server = HTTPServer(
            HTTPFront(
                stage.relay,
                stage.live_relay,
                HTTPAuthenticator(Apps(ids, tokens, key_choice), SystemClock()),
                key_choice,
                request_timeout_seconds=seconds,
            ),
            server_ssl_context(watcher),
            address="127.0.0.1:0",
        )
        port = await server.start()
        try:
            async with asyncio.timeout(30):
                yield Site(server, stage, port, tls)
        finally:
            await server.stop(0)
            await verifier.aclose()

    return serve
