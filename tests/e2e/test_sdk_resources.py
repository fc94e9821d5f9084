"""The stock openai SDK through the gateway, over its resources, with both of its clients."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import openai
import pytest

from tests.e2e.clients import Clients
from tests.e2e.evidence import upstream_requests
from tests.e2e.owners import OwnedKey, alice, give_key, keep_key
from tests.e2e.sdk_call import Sdk, Things, all_of, given, within
from tests.e2e.sdk_calls import AS_THE_SDK_WARNS, SDK_CALLS
from tests.e2e.sdk_calls_of_media import CONTENT
from tests.e2e.sdk_calls_of_models import ANSWER, MESSAGES, MODEL
from tests.e2e.sdk_clients import async_sdk, settings_direct, settings_through, sync_sdk
from tests.e2e.sdk_refused import REFUSED
from tests.e2e.sdk_things import make_things

pytestmark = AS_THE_SDK_WARNS


@pytest.fixture(scope="module")
def key(clients: Clients) -> OwnedKey:
    """A key that works, granted to the demo app without limits."""
    endpoints = ("*", "realtime/client_secrets")
    return asyncio.run(give_key(clients, "sdk-resources", endpoints=endpoints))


@pytest.fixture(scope="module")
def things(clients: Clients, key: OwnedKey) -> Things:
    """What the calls look at, made at the stand-in."""
    with sync_sdk(clients, settings_direct(clients, key)) as direct:
        return make_things(direct)


@pytest.fixture(scope="module")
def sdk(clients: Clients, key: OwnedKey) -> Iterator[openai.OpenAI]:
    """The synchronous client, through the gateway."""
    with sync_sdk(clients, settings_through(clients, key.name)) as sdk:
        yield sdk


@pytest.mark.parametrize("name", SDK_CALLS)
async def test_the_synchronous_client_gets_what_it_asks_for(
    clients: Clients, sdk: openai.OpenAI, things: Things, name: str
) -> None:
    got = await SDK_CALLS[name].run(sdk, things)

    clients.keep(got)
    assert got == SDK_CALLS[name].gives


@pytest.mark.parametrize("name", SDK_CALLS)
async def test_the_asynchronous_client_gets_what_it_asks_for(
    clients: Clients, key: OwnedKey, things: Things, name: str
) -> None:
    async with async_sdk(clients, settings_through(clients, key.name)) as sdk:
        got = await SDK_CALLS[name].run(sdk, things)

    clients.keep(got)
    assert got == SDK_CALLS[name].gives


BLOCK = bytes(range(256)) * 4096  # 1 MiB
LARGE = BLOCK * 40  # more than any other body may have, and than the gateway reads for a model


async def test_a_large_file_goes_up_and_comes_down_whole(
    clients: Clients, key: OwnedKey, sdk: openai.OpenAI
) -> None:
    async with async_sdk(clients, settings_through(clients, key.name)) as asynchronous:
        for client in (sdk, asynchronous):
            files: Sdk = client.files
            file = await given(files.create(file=("large.bin", LARGE), purpose="user_data"))
            async with within(files.with_streaming_response.content(file.id)) as content:
                digest = hashlib.sha256()
                for piece in await all_of(content.iter_bytes()):
                    digest.update(piece)
            assert file.bytes == len(LARGE)
            assert file.sha256 == digest.hexdigest() == hashlib.sha256(LARGE).hexdigest()


RECEIPT = {f"x-keyturn-{name}" for name in ("grant", "key", "key-version", "lease", "request-id")}
# Called with `.with_raw_response`: what they parse to comes with the head of the answer.
RAW: dict[str, tuple[Callable[[Sdk], Any], Callable[[Any], Any], object]] = {
    "chat": (
        lambda sdk: sdk.chat.completions.with_raw_response.create(model=MODEL, messages=MESSAGES),
        lambda completion: completion.choices[0].message.content,
        ANSWER,
    ),
    "responses": (
        lambda sdk: sdk.responses.with_raw_response.create(model=MODEL, input="one two"),
        lambda response: response.output_text,
        ANSWER,
    ),
    "embeddings": (
        lambda sdk: sdk.embeddings.with_raw_response.create(
            model="text-embedding-3-small", input=""
        ),
        lambda answer: len(answer.data[0].embedding),
        8,
    ),
    "files": (
        lambda sdk: sdk.files.with_raw_response.create(
            file=("raw.bin", CONTENT), purpose="user_data"
        ),
        lambda file: (file.filename, file.bytes),
        ("raw.bin", len(CONTENT)),
    ),
    "models": (
        lambda sdk: sdk.models.with_raw_response.list(),
        lambda page: page.data[0].id,
        "gpt-4o",
    ),
    "transcription": (
        lambda sdk: sdk.audio.transcriptions.with_raw_response.create(
            model="whisper-1", file=("word.mp3", CONTENT)
        ),
        lambda heard: heard.text,
        f"You sent {len(CONTENT)} bytes.",
    ),
}


@pytest.mark.parametrize("name", RAW)
async def test_raw_responses_show_the_receipt_beside_what_they_parse_to(
    clients: Clients, key: OwnedKey, sdk: openai.OpenAI, name: str
) -> None:
    call, picked, expected = RAW[name]
    async with async_sdk(clients, settings_through(clients, key.name)) as asynchronous:
        for raw in (call(sdk), await call(asynchronous)):
            clients.keep(dict(raw.headers), raw.text)
            assert picked(raw.parse()) == expected
            assert set(raw.headers) >= RECEIPT
            assert raw.headers["x-keyturn-key"] == key.name
            assert raw.request_id.startswith("req_")
            assert raw.retries_taken == 0


async def test_a_streaming_response_is_read_line_by_line(
    clients: Clients, key: OwnedKey, sdk: openai.OpenAI
) -> None:
    async with async_sdk(clients, settings_through(clients, key.name)) as asynchronous:
        for client in (sdk, asynchronous):
            streaming = client.chat.completions.with_streaming_response
            asked: Sdk = streaming.create(
                model=MODEL,
                messages=MESSAGES,  # type: ignore[arg-type]  # TypedDicts
                stream=True,
            )
            async with within(asked) as response:
                lines = [line for line in await all_of(response.iter_lines()) if line]
            clients.keep(*lines)
            assert lines[-1] == "data: [DONE]"
            assert all(line.startswith("data: {") for line in lines[:-1])
            assert len(lines) == 7
            assert response.headers["content-type"].startswith("text/event-stream")
            assert set(response.headers) >= RECEIPT


async def test_a_streaming_response_is_parsed_once_it_is_here(
    clients: Clients, key: OwnedKey, sdk: openai.OpenAI
) -> None:
    async with async_sdk(clients, settings_through(clients, key.name)) as asynchronous:
        for client in (sdk, asynchronous):
            asked: Sdk = client.responses.with_streaming_response.create(model=MODEL, input="hi")
            async with within(asked) as response:
                parsed = await given(response.parse())
            assert parsed.output_text == "You said: hi"


def test_an_endpoint_that_the_sdk_does_not_know_is_called_by_its_path(
    clients: Clients, sdk: openai.OpenAI
) -> None:
    mirrored = sdk.post(
        "/anything/of/tomorrow",
        cast_to=httpx2.Response,
        body={"model": MODEL, "new": True},
        options={"params": {"a": ["1", "2"], "b": {"c": "d"}}},
    ).json()

    clients.keep(mirrored)
    assert mirrored["method"] == "POST"
    assert mirrored["query"] == "a%5B%5D=1&a%5B%5D=2&b%5Bc%5D=d"


@pytest.mark.parametrize("name", REFUSED)
async def test_what_a_grant_does_not_cover_raises_permission_denied(
    clients: Clients, name: str
) -> None:
    terms, call, code = REFUSED[name]
    limited = await give_key(clients, "sdk-limited", **terms)
    with (
        sync_sdk(clients, settings_through(clients, limited.name)) as sdk,
        pytest.raises(openai.PermissionDeniedError) as caught,
    ):
        call(sdk)

    clients.keep(caught.value, caught.value.body)
    assert caught.value.code == code
    assert caught.value.type == "permission_error"
    assert upstream_requests(clients, limited.api_key) == []


async def test_a_revoked_grant_raises_permission_denied(clients: Clients) -> None:
    kept = await keep_key(clients, "sdk-revoked-grant")
    grant = await alice(clients).create_grant(kept.name)
    with sync_sdk(clients, settings_through(clients, kept.name)) as sdk:
        sdk.models.list()
        await alice(clients).revoke_grant(grant.name)
        with pytest.raises(openai.PermissionDeniedError) as caught:
            sdk.models.list()

    assert caught.value.code == "GRANT_REVOKED"


def test_a_base_url_without_its_version_raises_not_found(clients: Clients, key: OwnedKey) -> None:
    settings = settings_through(clients, key.name)
    settings["base_url"] = settings["base_url"].removesuffix("/v1")
    with sync_sdk(clients, settings) as sdk, pytest.raises(openai.NotFoundError) as caught:
        sdk.models.list()

    assert caught.value.code == "NO_SUCH_ROUTE"


def test_what_openai_does_not_have_raises_not_found(sdk: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as model:
        sdk.models.retrieve("unknown-model")
    with pytest.raises(openai.NotFoundError) as file:
        sdk.files.content("file-of-nobody")

    assert model.value.code == "model_not_found"
    assert file.value.code == "not_found"


def test_an_ambiguous_body_raises_bad_request(sdk: openai.OpenAI) -> None:
    twice = b'{"model":"o1","model":"gpt-4o","messages":[]}'
    with pytest.raises(openai.BadRequestError) as caught:
        sdk.post(
            "/chat/completions",
            cast_to=object,
            content=twice,
            options={"headers": {"Content-Type": "application/json"}},
        )

    assert caught.value.code == "INVALID_ARGUMENT"
    assert caught.value.param == "body"


@pytest.mark.parametrize(
    ("model", "requests"),
    [("error-429-retry", 3), ("error-429-final", 1), ("error-400", 1)],
)
async def test_the_sdk_repeats_what_openai_tells_it_to_repeat(
    clients: Clients, model: str, requests: int
) -> None:
    key = await give_key(clients, "sdk-retries")
    settings = settings_through(clients, key.name) | {"max_retries": 2}
    with sync_sdk(clients, settings) as sdk, pytest.raises(openai.APIStatusError) as caught:
        sdk.chat.completions.create(model=model, messages=MESSAGES)  # type: ignore[arg-type]  # TypedDicts

    arrived = upstream_requests(clients, key.api_key)
    counts = [request.headers["x-stainless-retry-count"] for request in arrived]
    clients.keep(caught.value)
    assert counts == [str(number) for number in range(requests)]


def test_the_apps_own_time_out_is_the_sdks(clients: Clients, key: OwnedKey) -> None:
    settings = settings_through(clients, key.name) | {"timeout": 0.3}
    with sync_sdk(clients, settings) as sdk, pytest.raises(openai.APITimeoutError):
        sdk.chat.completions.create(model=f"{MODEL}-hang", messages=MESSAGES)  # type: ignore[arg-type]  # TypedDicts
