"""Usage asked over real HTTP, by the real SDK, of the stand-in."""

from __future__ import annotations

import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, date, datetime

import aiohttp
import openai
import pytest
from aiohttp import web

from gateway_svc.domain.errors import (
    KeyRejectedUpstreamError,
    UpstreamAnswerUnusableError,
    UpstreamForbiddenError,
    UpstreamNotAllowedError,
    UpstreamRateLimitedError,
    UpstreamUnavailableError,
)
from gateway_svc.domain.reconciliation import Counted, UsageKind, UsageQuestion
from gateway_svc.openai_api.usage_admin import OpenAIUsageAdmin
from keyturn_cli.local.free_ports import free_ports
from keyturn_cli.standin.app import make_app
from keyturn_cli.standin.standin_keys import KeyKind, make_admin_key, make_key, openai_key_id
from svc_runtime.clock import SystemClock
from svc_runtime.secret_bytes import SecretBytes

DAY = date(2027, 1, 31)
BEGIN = int(datetime(2027, 1, 31, tzinfo=UTC).timestamp())
ADMIN_KEY = make_admin_key()


@pytest.fixture
async def serve() -> AsyncIterator[Callable[[web.Application], Awaitable[str]]]:
    runners: list[web.AppRunner] = []

    async def start(app: web.Application) -> str:
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        runners.append(runner)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        return f"http://127.0.0.1:{runner.addresses[0][1]}/v1"

    yield start
    for runner in runners:
        await runner.cleanup()


@pytest.fixture
async def base_url(serve: Callable[[web.Application], Awaitable[str]]) -> str:
    return await serve(make_app(SystemClock()))


def _admin(base_url: str) -> OpenAIUsageAdmin:
    return OpenAIUsageAdmin([base_url], None, allows_private_addresses=True)


def _question(
    *ids: str, kind: UsageKind = UsageKind.COMPLETIONS, day: date = DAY, page: str = ""
) -> UsageQuestion:
    return UsageQuestion(kind, day, ids, page)


async def _use(base_url: str, key_id: str, **figures: object) -> None:
    query = {name: str(figure) for name, figure in figures.items()}
    control = base_url.removesuffix("/v1")
    async with (
        aiohttp.ClientSession(control) as session,
        session.post("/standin/usage", params={"api_key_id": key_id, **query}) as response,
    ):
        assert response.status == 200


async def test_what_openai_counted_is_told_by_key(base_url: str) -> None:
    await _use(base_url, "key_a", date=DAY, requests=3, input_tokens=40, output_tokens=5)
    await _use(base_url, "key_b", date=DAY, requests=1, input_tokens=7)
    await _use(base_url, "key_c", date=DAY, requests=9)
    await _use(base_url, "key_a", date="2027-02-01", requests=100)

    page = await _admin(base_url).ask(_question("key_a", "key_b"), ADMIN_KEY, "")

    assert page.counted == {"key_a": Counted(3, 40, 5), "key_b": Counted(1, 7, 0)}
    assert page.next_page == ""


@pytest.mark.parametrize(
    ("kind", "counted"),
    [
        (UsageKind.COMPLETIONS, Counted(2, 30, 4)),
        (UsageKind.EMBEDDINGS, Counted(2, 30, 0)),
        (UsageKind.IMAGES, Counted(2, 0, 0)),
        (UsageKind.MODERATIONS, Counted(2, 0, 0)),
        (UsageKind.AUDIO_SPEECHES, Counted(2, 0, 0)),
        (UsageKind.AUDIO_TRANSCRIPTIONS, Counted(2, 0, 0)),
    ],
)
async def test_each_kind_is_asked_for_by_itself(
    base_url: str, kind: UsageKind, counted: Counted
) -> None:
    await _use(base_url, "key_a", kind=kind, date=DAY, requests=2, input_tokens=30, output_tokens=4)

    found = {
        asked: (await _admin(base_url).ask(_question("key_a", kind=asked), ADMIN_KEY, "")).counted
        for asked in UsageKind
    }

    assert found == {asked: {"key_a": counted} if asked is kind else {} for asked in UsageKind}


async def test_pages_are_followed_by_their_cursor(base_url: str) -> None:
    ids = [f"key_{number:02}" for number in range(45)]
    for key_id in ids:
        await _use(base_url, key_id, date=DAY, requests=1)
    found: list[str] = []
    page = ""
    sizes: list[int] = []
    while not sizes or page:
        answer = await _admin(base_url).ask(_question(*ids, page=page), ADMIN_KEY, "")
        found += answer.counted
        sizes.append(len(answer.counted))
        page = answer.next_page

    assert (sorted(found), sizes) == (ids, [20, 20, 5])


async def test_what_a_key_is_used_for_is_counted_under_its_id(base_url: str) -> None:
    key = make_key().expose().decode()
    async with openai.AsyncOpenAI(base_url=base_url, api_key=key, max_retries=0) as client:
        before = datetime.now(UTC).date()
        answer = await client.chat.completions.create(
            model="gpt-4o", messages=[{"role": "user", "content": "one two three"}]
        )
    assert answer.usage is not None
    key_id = openai_key_id(key)
    page = await _admin(base_url).ask(_question(key_id, day=before), ADMIN_KEY, "")

    assert page.counted == {
        key_id: Counted(1, answer.usage.prompt_tokens, answer.usage.completion_tokens)
    }


@pytest.mark.parametrize(
    ("key", "error"),
    [
        (make_admin_key(KeyKind.REVOKED), KeyRejectedUpstreamError),
        (make_admin_key(KeyKind.FORBIDDEN), UpstreamForbiddenError),
        (make_admin_key(KeyKind.RATELIMITED), UpstreamRateLimitedError),
        (make_admin_key(KeyKind.FAILING), UpstreamUnavailableError),
        (make_admin_key(KeyKind.OVERLOADED), UpstreamUnavailableError),
        (make_key(), UpstreamForbiddenError),
        (SecretBytes(b"sk-admin-canary-0123456789abcdef"), KeyRejectedUpstreamError),
    ],
    ids=["revoked", "forbidden", "limited", "failing", "overloaded", "no admin key", "unknown"],
)
async def test_a_refusal_of_openai_is_told_apart_and_holds_no_key(
    base_url: str, key: SecretBytes, error: type[Exception]
) -> None:
    with pytest.raises(error) as caught:
        await _admin(base_url).ask(_question("key_a"), key, "")

    told = "".join(traceback.format_exception(caught.value))
    assert key.expose().decode() not in told
    assert (caught.value.__cause__, caught.value.__context__) == (None, None)


async def test_an_openai_that_is_away_is_unavailable() -> None:
    [port] = free_ports(1)

    with pytest.raises(UpstreamUnavailableError):
        await _admin(f"http://127.0.0.1:{port}/v1").ask(_question("key_a"), ADMIN_KEY, "")


async def test_only_the_hosts_that_settings_name_get_the_key(base_url: str) -> None:
    with pytest.raises(UpstreamNotAllowedError):
        await _admin("http://127.0.0.1:1/v1").ask(_question("key_a"), ADMIN_KEY, base_url)


async def test_nothing_of_the_environment_is_sent_and_no_redirect_is_followed(
    serve: Callable[[web.Application], Awaitable[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[web.Request] = []

    async def look(request: web.Request) -> web.Response:
        seen.append(request)
        raise web.HTTPFound("/v1/elsewhere")

    app = web.Application()
    app.router.add_get("/{path:.*}", look)
    base_url = await serve(app)
    for name, value in {
        "OPENAI_BASE_URL": "http://127.0.0.1:1/v1",
        "OPENAI_ADMIN_KEY": "sk-admin-of-the-environment",
        "OPENAI_API_KEY": "sk-of-the-environment",
        "OPENAI_ORG_ID": "org-environment",
        "OPENAI_PROJECT_ID": "proj-environment",
        "OPENAI_CUSTOM_HEADERS": "X-Environment: canary\nAuthorization: Bearer other",
        "HTTP_PROXY": "http://127.0.0.1:1",
        "ALL_PROXY": "http://127.0.0.1:1",
    }.items():
        monkeypatch.setenv(name, value)

    with pytest.raises(UpstreamAnswerUnusableError):
        await _admin(base_url).ask(_question("key_a"), ADMIN_KEY, "")

    [request] = seen
    assert request.headers["authorization"] == "Bearer " + ADMIN_KEY.expose().decode()
    assert {name.lower() for name in request.headers} <= {
        *("accept", "accept-encoding", "authorization", "connection", "host", "user-agent")
    }
    assert "environment" not in str(request.headers)


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param({"data": "x", "has_more": False}, id="no buckets"),
        pytest.param({"data": [], "has_more": True, "next_page": None}, id="no cursor"),
        pytest.param({"data": [], "has_more": "yes"}, id="no flag"),
        pytest.param({"data": [{"start_time": BEGIN}], "has_more": False}, id="no results"),
        pytest.param(
            {
                "data": [
                    {
                        "start_time": BEGIN,
                        "results": [{"api_key_id": "key_a", "num_model_requests": -1}],
                    }
                ],
                "has_more": False,
            },
            id="less than nothing",
        ),
        pytest.param(
            {
                "data": [
                    {
                        "start_time": BEGIN,
                        "results": [{"api_key_id": "key_a", "input_tokens": "many"}],
                    }
                ],
                "has_more": False,
            },
            id="no figure",
        ),
        pytest.param(["no object"], id="no object"),
    ],
)
async def test_an_answer_that_is_no_usage_is_not_taken_for_nothing_used(
    serve: Callable[[web.Application], Awaitable[str]], answer: object
) -> None:
    async def reply(_request: web.Request) -> web.Response:
        return web.json_response(answer)

    app = web.Application()
    app.router.add_get("/{path:.*}", reply)

    with pytest.raises(UpstreamAnswerUnusableError):
        await _admin(await serve(app)).ask(_question("key_a"), ADMIN_KEY, "")


async def test_a_page_that_is_no_json_is_unusable(
    serve: Callable[[web.Application], Awaitable[str]],
) -> None:
    async def reply(_request: web.Request) -> web.Response:
        return web.Response(text="<html>a wall in front of OpenAI</html>", content_type="text/html")

    app = web.Application()
    app.router.add_get("/{path:.*}", reply)

    with pytest.raises(UpstreamAnswerUnusableError):
        await _admin(await serve(app)).ask(_question("key_a"), ADMIN_KEY, "")
