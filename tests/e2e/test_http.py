"""The HTTP surface as any client sees it: who is let in, what passes, how a stream flows."""

from __future__ import annotations

import asyncio
import hashlib
import json
import ssl

import aiohttp
import pytest
from yarl import URL

from keyturn_cli.local.layout import DEMO_APP
from tests.e2e.asking import QUESTION, SERVED, ask_over_http
from tests.e2e.clients import Clients, new_request_id
from tests.e2e.evidence import upstream_requests, vault_operations
from tests.e2e.owners import OwnedKey, give_key

CHAT = "/v1/chat/completions"
STREAM = {**QUESTION, "stream": True}
RECEIPT = {f"x-keyturn-{name}" for name in ("grant", "key", "key-version", "lease", "request-id")}


@pytest.fixture(scope="module")
def key(clients: Clients) -> OwnedKey:
    """A key that works, granted to the demo app without limits."""
    return asyncio.run(give_key(clients, "http"))


async def _refusal(clients: Clients, response: aiohttp.ClientResponse) -> tuple[int, str]:
    answer = await response.json()
    clients.keep(dict(response.headers), answer)
    assert set(answer["error"]) == {"message", "type", "param", "code"}
    return response.status, answer["error"]["code"]


def _named(key: OwnedKey, **more: str) -> dict[str, str]:
    return {"x-keyturn-key": key.name, **{k.replace("_", "-"): v for k, v in more.items()}}


async def test_certificate_and_token_of_the_same_app_are_served(
    clients: Clients, key: OwnedKey
) -> None:
    token = clients.env["KEYTURN_APP_TOKEN"]
    async with (
        clients.http(app="demo", token=token) as http,
        http.post(CHAT, json=QUESTION, headers=_named(key)) as response,
    ):
        clients.keep(await response.json())
    assert response.status == 200


async def test_certificate_and_token_of_different_apps_are_refused(
    clients: Clients, key: OwnedKey
) -> None:
    request_id = new_request_id()
    headers = _named(key, x_keyturn_request_id=request_id)
    token = clients.env["KEYTURN_APP_TOKEN"]
    async with (
        clients.http(app="other", token=token) as http,
        http.post(CHAT, json=QUESTION, headers=headers) as response,
    ):
        assert await _refusal(clients, response) == (401, "CALLER_UNVERIFIED")
    assert vault_operations(clients, request_id) == []


async def test_a_request_without_any_proof_is_refused(clients: Clients, key: OwnedKey) -> None:
    async with (
        clients.http() as http,
        http.post(CHAT, json=QUESTION, headers=_named(key)) as response,
    ):
        assert await _refusal(clients, response) == (401, "CALLER_UNVERIFIED")


async def test_a_second_authorization_header_is_refused(clients: Clients, key: OwnedKey) -> None:
    token = clients.env["KEYTURN_APP_TOKEN"]
    twice = [("authorization", f"Bearer {token}"), ("authorization", "Bearer other")]
    async with (
        clients.http() as http,
        http.post(CHAT, json=QUESTION, headers=[*twice, *_named(key).items()]) as response,
    ):
        assert await _refusal(clients, response) == (401, "CALLER_UNVERIFIED")


def _forwarded(clients: Clients) -> dict[str, str]:
    """Return what proxies pass certificates on by, with the demo app's real certificate."""
    certificate, _ = clients.stack.layout.certificate("app-demo")
    pem = certificate.read_text(encoding="ascii")
    escaped = str(URL.build(path=pem.replace("\n", " ")))
    return {
        "x-forwarded-client-cert": f"By=spiffe://keyturn.local/edge;URI={DEMO_APP}",
        "x-forwarded-tls-client-cert": escaped,
        "x-ssl-client-cert": escaped,
        "ssl-client-cert": escaped,
        "x-client-cert": escaped,
        "x-spiffe-id": DEMO_APP,
    }


async def test_a_forwarded_certificate_proves_nothing(clients: Clients, key: OwnedKey) -> None:
    headers = {**_named(key), **_forwarded(clients)}
    async with clients.http() as http, http.post(CHAT, json=QUESTION, headers=headers) as response:
        assert await _refusal(clients, response) == (401, "CALLER_UNVERIFIED")


async def test_a_forwarded_certificate_does_not_make_another_app_of_the_caller(
    clients: Clients, key: OwnedKey
) -> None:
    headers = {**_named(key), **_forwarded(clients)}
    async with (
        clients.http(app="other") as http,
        http.post(CHAT, json=QUESTION, headers=headers) as response,
    ):
        assert await _refusal(clients, response) == (403, "NOT_GRANTED")


async def test_a_client_that_speaks_no_tls_1_3_is_refused(clients: Clients) -> None:
    port = clients.port("gateway", "http")
    tls = ssl.create_default_context(cafile=clients.stack.layout.ca_file)
    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=tls)
    assert writer.get_extra_info("ssl_object").version() == "TLSv1.3"
    writer.close()
    await writer.wait_closed()

    tls.maximum_version = ssl.TLSVersion.TLSv1_2
    # The server closes at once; whether its alert gets here before that is up to the network.
    with pytest.raises((ssl.SSLError, ConnectionResetError)):
        await asyncio.open_connection("127.0.0.1", port, ssl=tls)


async def test_body_bytes_and_listed_headers_reach_openai_and_nothing_of_the_apps_own(
    clients: Clients, key: OwnedKey
) -> None:
    body = b'{"messages":[ {"role":"user", "content":"\\u0068i"} ],  "model":"gpt-4o-mini" }\n'
    passed = {
        "accept": "application/json",
        "content-type": "application/json",
        "user-agent": "till/1.0",
        "x-stainless-retry-count": "0",
    }
    own = {
        "cookie": "session=of-the-app",
        "openai-organization": "org-of-the-app",
        "x-api-key": "of-the-app",
        "x-forwarded-for": "192.0.2.1",
        "x-keyturn-request-id": new_request_id(),
    }
    async with (
        clients.http(token=clients.env["KEYTURN_APP_TOKEN"]) as http,
        http.post(CHAT, data=body, headers={**_named(key), **passed, **own}) as response,
    ):
        clients.keep(await response.json())
    assert response.status == 200

    arrived = upstream_requests(clients, key.api_key)[-1]
    assert arrived.body_sha256 == hashlib.sha256(body).hexdigest()
    of_the_connection = {"host", "accept-encoding", "content-length", "authorization"}
    assert set(arrived.headers) == {*passed, *of_the_connection}
    assert {name: arrived.headers[name] for name in passed} == passed


async def test_an_answer_has_the_listed_headers_and_the_receipt_only(
    clients: Clients, key: OwnedKey
) -> None:
    async with (
        clients.http(token=clients.env["KEYTURN_APP_TOKEN"]) as http,
        http.post(CHAT, json=QUESTION, headers=_named(key)) as response,
    ):
        clients.keep(await response.json())
    names = {name.lower() for name in response.headers}

    # The stand-in sends openai-organization, as OpenAI does: it says whose account it is.
    of_openai = {"content-type", "openai-processing-ms", "openai-version", "x-request-id"}
    of_the_connection = {"content-length", "date", "server"}
    rate = {name for name in names if name.startswith("x-ratelimit-")}
    assert len(rate) == 6
    assert names - rate == {*of_openai, *of_the_connection, *RECEIPT}


async def test_the_first_piece_of_a_stream_is_here_before_the_last_is_made(
    clients: Clients, key: OwnedKey
) -> None:
    request_id = new_request_id()
    words = " ".join(str(number) for number in range(20))
    question = {
        "model": "gpt-4o-slow",
        "stream": True,
        "messages": [{"role": "user", "content": words}],
    }
    async with (
        clients.http(token=clients.env["KEYTURN_APP_TOKEN"]) as http,
        http.post(
            CHAT, json=question, headers=_named(key, x_keyturn_request_id=request_id)
        ) as response,
    ):
        first = await response.content.readany()
        gateway_log = clients.stack.services["gateway-svc"].log_file.read_text(encoding="utf-8")
        rest = await response.content.read()

    assert response.headers["content-type"].startswith("text/event-stream")
    assert first.startswith(b"data: {")
    assert b"[DONE]" not in first
    told = [json.loads(line)["event"] for line in gateway_log.splitlines() if request_id in line]
    assert told == ["key_opening"]  # a call is logged at its end
    assert rest.endswith(b"data: [DONE]\n\n")


async def _read_whole(
    clients: Clients, key: OwnedKey, question: dict[str, object]
) -> aiohttp.ClientResponse:
    async with (
        clients.http(token=clients.env["KEYTURN_APP_TOKEN"]) as http,
        http.post(CHAT, json=question, headers=_named(key)) as response,
    ):
        clients.keep(dict(response.headers), response.status)
        clients.keep(await response.content.read())
    return response


@pytest.mark.parametrize("question", [QUESTION, STREAM], ids=["whole", "stream"])
async def test_an_answer_that_openai_cuts_off_does_not_end_well(
    clients: Clients, key: OwnedKey, question: dict[str, object]
) -> None:
    assert (await _read_whole(clients, key, question)).status == 200
    with pytest.raises(aiohttp.ClientError) as caught:
        await _read_whole(clients, key, {**question, "model": "gpt-4o-cut"})

    clients.keep(caught.value)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("GET", "/v1"),
        ("GET", "/v2/models"),
        ("POST", "/chat/completions"),
        ("GET", "/metrics"),
        ("TRACE", "/v1/models"),
    ],
)
async def test_what_is_not_served_is_404_in_openais_form(
    clients: Clients, method: str, path: str
) -> None:
    async with (
        clients.http(token=clients.env["KEYTURN_APP_TOKEN"]) as http,
        http.request(method, path) as response,
    ):
        assert await _refusal(clients, response) == (404, "NO_SUCH_ROUTE")
        assert len(response.headers["x-keyturn-request-id"]) >= 8


async def test_openais_own_404_is_passed_on_with_the_receipt(
    clients: Clients, key: OwnedKey
) -> None:
    async with (
        clients.http(token=clients.env["KEYTURN_APP_TOKEN"]) as http,
        http.get("/v1/no/such/thing", headers=_named(key)) as response,
    ):
        answer = json.loads(await response.read())
    clients.keep(dict(response.headers), answer)
    assert response.status == 404
    assert answer["error"]["message"] == "Invalid URL (GET /v1/no/such/thing)"
    assert {name.lower() for name in response.headers} >= RECEIPT


@pytest.mark.parametrize("replica", [1, 2])
async def test_every_gateway_serves(clients: Clients, key: OwnedKey, replica: int) -> None:
    assert await ask_over_http(clients, key.name, replica=replica) == SERVED
