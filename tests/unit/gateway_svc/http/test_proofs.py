"""Tokens that an app sends beside its certificate, over real connections."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Final

import pytest
from structlog.testing import capture_logs

from svc_runtime.secret_bytes import SecretBytes
from tests.unit.gateway_svc.http.http_site import APP, JSON
from tests.unit.gateway_svc.relay_stage import BODY

CHAT: Final = "/v1/chat/completions"
TOKEN: Final = "aa.app-canary.cc"
OWNER: Final = "aa.owner-canary.cc"
HANDSHAKE: Final = (
    b"connection: upgrade\r\nupgrade: websocket\r\n"
    b"sec-websocket-version: 13\r\nsec-websocket-key: AQIDBAUGBwgJCgsMDQ4PEA==\r\n"
)


def _post(*headers: str, path: str = CHAT) -> bytes:
    more = "".join(f"{header}\r\n" for header in headers).encode()
    length = b"content-length: %d\r\n\r\n" % len(BODY)
    return b"POST " + path.encode() + b" HTTP/1.1\r\n" + JSON + more + length + BODY


async def test_a_token_beside_the_certificate_goes_along_to_the_key_service(
    serving: Callable[..., Any],
) -> None:
    sent = _post(f"authorization: Bearer {TOKEN}")
    async with serving(app_of_tokens=APP) as site, site.connected(sent) as (reader, _):
        head = await reader.readuntil(b"\r\n\r\n")

    assert head.startswith(b"HTTP/1.1 200 ")
    [lease] = site.stage.leaser.requests
    assert (str(lease.app), lease.app_token) == (APP, SecretBytes(TOKEN.encode()))


async def test_a_token_of_another_app_than_the_certificates_is_refused(
    serving: Callable[..., Any],
) -> None:
    async with serving(app_of_tokens="spiffe://example.org/app/other") as site:
        head, error = await site.ask(_post(f"authorization: Bearer {TOKEN}"))

    assert head.startswith(b"HTTP/1.1 401 ")
    assert error["code"] == "CALLER_UNVERIFIED"
    assert site.stage.leaser.requests == []


async def test_a_placeholder_beside_the_certificate_is_no_proof(
    serving: Callable[..., Any],
) -> None:
    sent = _post("authorization: Bearer placeholder")
    async with serving() as site, site.connected(sent) as (reader, _):
        await reader.readuntil(b"\r\n\r\n")

    assert [lease.app_token for lease in site.stage.leaser.requests] == [None]


async def test_the_owners_token_goes_to_the_key_service_and_nowhere_else(
    serving: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    sent = _post(f"X-Keyturn-Owner-Token: {OWNER}", "te: trailers")
    with capture_logs() as logs:
        async with serving() as site, site.connected(sent) as (reader, _):
            answer = await reader.readuntil(b"\r\n0\r\n")
            trailers = await reader.readuntil(b"\r\n\r\n")

    [lease] = site.stage.leaser.requests
    assert lease.owner_token == SecretBytes(OWNER.encode())
    [(upstream, _)] = site.stage.upstream.sent
    assert "owner" not in str(upstream.headers)
    assert b"canary" not in answer + trailers
    assert "canary" not in f"{logs}{caplog.text}{lease}"


@pytest.mark.parametrize(
    "headers",
    [
        [f"X-Keyturn-Owner-Token: {OWNER}"] * 2,
        ["X-Keyturn-Owner-Token: canary"],
        ["X-Keyturn-Owner-Token:"],
        ["X-Keyturn-Owner-Token: aa.canary." + "c" * 16 * 1024],
    ],
    ids=["twice", "no token", "empty", "too long"],
)
async def test_an_owners_token_that_cannot_be_one_is_refused_before_a_lease(
    serving: Callable[..., Any], headers: list[str]
) -> None:
    async with serving() as site:
        head, error = await site.ask(_post(*headers))

    assert head.startswith(b"HTTP/1.1 400 ")
    assert error["param"] == "x-keyturn-owner-token"
    assert "canary" not in str(error)
    assert site.stage.leaser.requests == []


async def test_a_websocket_may_bring_both_tokens(serving: Callable[..., Any]) -> None:
    tokens = f"authorization: Bearer {TOKEN}\r\nx-keyturn-owner-token: {OWNER}\r\n\r\n"
    sent = b"GET /v1/realtime?model=m HTTP/1.1\r\nhost: x\r\n" + HANDSHAKE + tokens.encode()
    async with serving(app_of_tokens=APP) as site, site.connected(sent) as (reader, _):
        head = await reader.readuntil(b"\r\n\r\n")

    assert head.startswith(b"HTTP/1.1 101 ")
    assert b"canary" not in head
    [lease] = site.stage.leaser.requests
    assert lease.app_token == SecretBytes(TOKEN.encode())
    assert lease.owner_token == SecretBytes(OWNER.encode())
    [(upstream, subprotocols, _)] = site.stage.live_upstream.offered
    assert "canary" not in f"{upstream}{subprotocols}"
