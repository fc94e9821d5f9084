"""Certificates that prove nobody: of another CA, expired, of a service, with two names."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime

import aiohttp
import pytest
from cryptography import x509

from keyturn_cli.local.layout import DEMO_APP
from tests.certs import Authority, Pair
from tests.e2e.clients import Clients, new_request_id
from tests.e2e.identities import (
    NO_HANDSHAKE,
    PORTS,
    RPCS,
    UNVERIFIED,
    UNVERIFIED_HTTP,
    call_empty,
    connect,
    get_models,
    is_recorded_once,
    pair_of,
)

Issue = Callable[..., Pair]


@pytest.fixture(name="pki", scope="module")
def _pki(clients: Clients) -> Issue:
    """Issue certificates of the stack's own CA, as nobody but an administrator can."""

    def issue(**request: str) -> Pair:
        answer = clients.stack.openbao.client().write_data("keyturn-pki/issue/app", data=request)
        data = answer["data"]
        return Pair(data["certificate"].encode(), data["private_key"].encode())

    return issue


@pytest.mark.parametrize("side", ["gateway", "lease"])
async def test_a_certificate_of_another_ca_gets_no_connection(clients: Clients, side: str) -> None:
    impostor = Authority("Keyturn CA keyturn.local").issue(uris=[DEMO_APP])
    async with connect(clients, side, impostor) as channel:
        heard = await call_empty(clients, channel, RPCS[side][0], ())

    assert heard == NO_HANDSHAKE


@pytest.mark.parametrize("side", ["gateway", "lease"])
@pytest.mark.parametrize("uris", ["", f"{DEMO_APP},spiffe://keyturn.local/app/other"])
async def test_a_certificate_without_exactly_one_spiffe_id_proves_nobody(
    clients: Clients, pki: Issue, side: str, uris: str
) -> None:
    request_id = new_request_id()
    async with connect(clients, side, pki(uri_sans=uris)) as channel:
        entries = (("x-keyturn-request-id", request_id),)
        heard = await call_empty(clients, channel, RPCS[side][0], entries)

    assert heard == UNVERIFIED
    assert await is_recorded_once(clients, PORTS[side][2], request_id)


async def test_a_certificate_that_has_expired_gets_no_connection(
    clients: Clients, pki: Issue
) -> None:
    pair = pki(uri_sans=DEMO_APP, ttl="1s")
    end = x509.load_pem_x509_certificate(pair.certificate).not_valid_after_utc
    await asyncio.sleep(max(0.0, (end - datetime.now(UTC)).total_seconds()) + 0.01)

    async with connect(clients, "gateway", pair) as channel:
        heard = await call_empty(clients, channel, RPCS["gateway"][0], ())
    with pytest.raises(aiohttp.ClientError):
        await get_models(clients, pair=pair)

    assert heard == NO_HANDSHAKE


@pytest.mark.parametrize("name", ["keyvault-svc", "gateway-svc"])
async def test_a_service_is_no_app_over_http_either(clients: Clients, name: str) -> None:
    heard = await get_models(clients, pair=pair_of(clients, name))

    assert heard == UNVERIFIED_HTTP


@pytest.mark.parametrize("uris", ["", f"{DEMO_APP},spiffe://keyturn.local/app/other"])
async def test_a_certificate_without_exactly_one_spiffe_id_proves_nobody_over_http(
    clients: Clients, pki: Issue, uris: str
) -> None:
    request_id = new_request_id()
    heard = await get_models(clients, pair=pki(uri_sans=uris), request_id=request_id)

    assert heard == UNVERIFIED_HTTP
    assert await is_recorded_once(clients, "gateway-svc", request_id, event="http")
