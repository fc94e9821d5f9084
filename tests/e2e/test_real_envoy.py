"""A real Envoy, set up as the page on it says, asks for keys and sends calls on."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator, Mapping
from io import BytesIO
from typing import Any

import pytest
from yarl import URL

from keyturn_cli.local.layout import OTHER_APP
from keyturn_cli.local.upstream import Upstream
from svc_runtime.secret_bytes import SecretBytes
from tests.e2e.asking import QUESTION
from tests.e2e.breaking import SERVED_HTTP, Verdict, kill
from tests.e2e.clients import Clients
from tests.e2e.envoys import CHAT, Envoy, StackWithEnvoy
from tests.e2e.evidence import UpstreamRequest, upstream_requests
from tests.e2e.owners import give_key
from tests.e2e.real_envoy import MAX_BODY_BYTES, RealEnvoy, running_envoy
from tests.e2e.secret_search import forms_of, search_files

pytestmark = pytest.mark.envoy

INVALID: Verdict = (400, "INVALID_ARGUMENT")
_NOT_FOR_OPENAI = {"cookie", "x-forwarded-for", "x-keyturn-key", "x-envoy-retry-on"}


@pytest.fixture(scope="module", name="envoy")
def _envoy(
    tmp_path_factory: pytest.TempPathFactory, canary_key: SecretBytes, transcript: list[str]
) -> Iterator[Envoy]:
    """A stack of the module's own, which an Envoy may ask."""
    home = tmp_path_factory.mktemp("real-envoy") / "home"
    with StackWithEnvoy(home, Upstream(None, canary_key, "standin")) as stack:
        yield Envoy(Clients(stack, transcript), stack)


@pytest.fixture(name="front", params=[False, True], ids=["joined", "one by one"])
async def _front(
    envoy: Envoy, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> AsyncIterator[RealEnvoy]:
    """An Envoy before it, which sends headers in either form."""
    folder = tmp_path_factory.mktemp("front")
    async with running_envoy(envoy.stack, folder, encode_raw_headers=request.param) as front:
        yield front


async def _post(
    envoy: Envoy,
    front: RealEnvoy,
    key: str,
    *more: tuple[str, str],
    body: bytes | None = None,
    path: str = CHAT,
) -> tuple[Verdict, Mapping[str, str]]:
    """Call as an app does; return what it hears, and the headers of the answer."""
    headers = [
        ("authorization", f"Bearer {envoy.clients.env['KEYTURN_APP_TOKEN']}"),
        ("content-type", "application/json"),
        ("cookie", "session=1"),
        ("x-envoy-retry-on", "5xx"),
        ("x-keyturn-key", key),
        *more,
    ]
    sent = BytesIO(json.dumps(QUESTION).encode() if body is None else body)
    url = URL(front.url + path, encoded=True)
    async with front.http() as http, http.post(url, headers=headers, data=sent) as answer:
        text = await answer.read()
        envoy.clients.keep(dict(answer.headers), text)
        reason = None if answer.ok else _reason(text)
        return (answer.status, reason), dict(answer.headers)


def _reason(body: bytes) -> str | None:
    try:
        answer: dict[str, Any] = json.loads(body)
    except ValueError:
        return None  # Envoy's own
    return str(answer["error"]["code"])


def _seen(envoy: Envoy, api_key: SecretBytes) -> list[UpstreamRequest]:
    return upstream_requests(envoy.clients, api_key)


async def test_a_call_passes_with_the_owners_key_and_brings_the_receipt(
    envoy: Envoy, front: RealEnvoy
) -> None:
    key = await give_key(envoy.clients, "real-envoy")

    heard, headers = await _post(envoy, front, key.name)

    assert heard == SERVED_HTTP
    assert headers["x-keyturn-key"] == key.name
    [request] = _seen(envoy, key.api_key)
    assert not _NOT_FOR_OPENAI & set(request.headers)
    assert [name for name in request.headers if name.startswith(("x-envoy-", "x-keyturn-"))] == []


async def test_a_refusal_reaches_the_app_and_nothing_reaches_openai(
    envoy: Envoy, front: RealEnvoy
) -> None:
    key = await give_key(envoy.clients, "real-refused", app=OTHER_APP)

    assert (await _post(envoy, front, key.name))[0] == (403, "NOT_GRANTED")
    assert _seen(envoy, key.api_key) == []


@pytest.mark.parametrize(
    ("header", "told"),
    [
        (("x-keyturn-key", "users/alice/keys/other"), INVALID),
        (("authorization", "Bearer a.b.c"), (401, "CALLER_UNVERIFIED")),
        (("content-type", "text/plain"), INVALID),
        (("x-keyturn-request-id", "short"), INVALID),
    ],
    ids=lambda value: value[0] if isinstance(value[0], str) else "",
)
async def test_a_header_that_comes_twice_gets_no_key(
    envoy: Envoy, front: RealEnvoy, header: tuple[str, str], told: Verdict
) -> None:
    key = await give_key(envoy.clients, "real-twice")

    assert (await _post(envoy, front, key.name, header))[0] == told
    assert _seen(envoy, key.api_key) == []


async def test_an_app_cannot_say_in_envoys_name_how_whole_its_body_is(
    envoy: Envoy, front: RealEnvoy
) -> None:
    key = await give_key(envoy.clients, "real-whole")

    heard, _ = await _post(envoy, front, key.name, ("x-envoy-auth-partial-body", "true"))

    assert heard == SERVED_HTTP


async def test_a_body_that_envoy_does_not_hold_is_refused_by_envoy(
    envoy: Envoy, front: RealEnvoy
) -> None:
    key = await give_key(envoy.clients, "real-large")
    large = b'{"model":"gpt-4o-mini","messages":[],"x":"' + b"y" * MAX_BODY_BYTES + b'"}'

    assert (await _post(envoy, front, key.name, body=large))[0][0] == 413
    assert _seen(envoy, key.api_key) == []


@pytest.mark.parametrize("path", ["/v1/chat%2fcompletions", "/v1/files;x", "/v1/..%2fadmin"])
async def test_a_path_that_could_be_read_in_two_ways_gets_no_key(
    envoy: Envoy, front: RealEnvoy, path: str
) -> None:
    key = await give_key(envoy.clients, "real-path")

    assert (await _post(envoy, front, key.name, path=path))[0][0] == 400
    assert _seen(envoy, key.api_key) == []


async def test_envoy_prints_the_receipt_and_no_key(envoy: Envoy, front: RealEnvoy) -> None:
    key = await give_key(envoy.clients, "real-log")
    _, headers = await _post(envoy, front, key.name)
    await _post(envoy, front, "users/alice/keys/none")

    found, files = search_files(front.log.parent, forms_of(key.api_key))
    assert found == []
    assert front.log in files
    assert headers["x-keyturn-lease"]


async def test_an_envoy_that_is_not_told_to_send_bytes_gets_no_key(
    envoy: Envoy, tmp_path_factory: pytest.TempPathFactory
) -> None:
    key, text = await give_key(envoy.clients, "real-text"), {"max_request_bytes": MAX_BODY_BYTES}
    folder = tmp_path_factory.mktemp("text")
    async with running_envoy(envoy.stack, folder, with_request_body=text) as front:
        assert (await _post(envoy, front, key.name))[0] == INVALID

    assert _seen(envoy, key.api_key) == []


async def test_an_envoy_that_sends_no_body_along_gets_no_key(
    envoy: Envoy, tmp_path_factory: pytest.TempPathFactory
) -> None:
    key, folder = await give_key(envoy.clients, "real-blind"), tmp_path_factory.mktemp("blind")
    async with running_envoy(envoy.stack, folder, with_request_body=None) as front:
        assert (await _post(envoy, front, key.name))[0] == INVALID

    assert _seen(envoy, key.api_key) == []


async def test_without_a_gateway_nothing_is_sent(
    envoy: Envoy, tmp_path_factory: pytest.TempPathFactory
) -> None:
    key = await give_key(envoy.clients, "real-outage")
    async with running_envoy(envoy.stack, tmp_path_factory.mktemp("outage")) as front:
        kill(envoy.clients, "gateway-svc")

        assert (await _post(envoy, front, key.name))[0] == (503, None)

    assert _seen(envoy, key.api_key) == []
