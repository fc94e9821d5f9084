"""The unmodified openai SDK, with nothing changed but its base URL and its api_key."""

from __future__ import annotations

import asyncio
import ssl
from typing import Any

import openai
import pytest
from openai.types.chat import ChatCompletionChunk, ChatCompletionMessageParam

from keyturn_cli.standin.standin_keys import KeyKind
from tests.e2e.clients import Clients, new_request_id
from tests.e2e.evidence import upstream_requests
from tests.e2e.owners import OwnedKey, give_key, keep_key

MODEL = "gpt-4o-mini"
MESSAGES: list[ChatCompletionMessageParam] = [{"role": "user", "content": "one two"}]
ANSWER = "You said: one two"


@pytest.fixture(scope="module")
def key(clients: Clients) -> OwnedKey:
    """A key that works, granted to the demo app without limits."""
    return asyncio.run(give_key(clients, "sdk"))


def _trust(clients: Clients, app: str | None = None) -> ssl.SSLContext:
    tls = ssl.create_default_context(cafile=clients.stack.layout.ca_file)
    if app is not None:
        tls.load_cert_chain(*clients.stack.layout.certificate(f"app-{app}"))
    return tls


def _settings(clients: Clients, key: str, token: str | None = None) -> dict[str, Any]:
    return {
        "base_url": clients.env["KEYTURN_HTTP"] + "/v1",
        "api_key": token or clients.env["KEYTURN_APP_TOKEN"],
        "default_headers": {"X-Keyturn-Key": key},
        "max_retries": 0,
    }


def _sdk(
    clients: Clients, key: str, *, app: str | None = None, token: str | None = None
) -> openai.OpenAI:
    http = openai.DefaultHttpxClient(verify=_trust(clients, app), trust_env=False)
    return openai.OpenAI(**_settings(clients, key, token), http_client=http)


def _async_sdk(clients: Clients, key: str) -> openai.AsyncOpenAI:
    http = openai.DefaultAsyncHttpxClient(verify=_trust(clients), trust_env=False)
    return openai.AsyncOpenAI(**_settings(clients, key), http_client=http)


def test_a_chat_completion_is_served_with_its_receipt(clients: Clients, key: OwnedKey) -> None:
    request_id = new_request_id()
    with _sdk(clients, key.name) as sdk:
        raw = sdk.chat.completions.with_raw_response.create(
            model=MODEL, messages=MESSAGES, extra_headers={"X-Keyturn-Request-Id": request_id}
        )
    completion = raw.parse()

    clients.keep(completion, dict(raw.headers))
    assert completion.choices[0].message.content == ANSWER
    assert completion.usage is not None
    assert completion.usage.total_tokens == 6
    assert raw.headers["x-keyturn-request-id"] == request_id
    assert raw.headers["x-keyturn-key"] == key.name
    assert raw.headers["x-keyturn-key-version"] == "1"
    assert raw.headers["x-keyturn-grant"].startswith(f"{key.name}/grants/")
    assert len(raw.headers["x-keyturn-lease"]) == 32
    assert completion._request_id is not None
    assert completion._request_id.startswith("req_")


def test_a_stream_is_served_piece_by_piece(clients: Clients, key: OwnedKey) -> None:
    with _sdk(clients, key.name) as sdk:
        stream = sdk.chat.completions.create(
            model=MODEL,
            messages=MESSAGES,
            stream=True,
            stream_options={"include_usage": True},
        )
        chunks = list(stream)

    clients.keep(*chunks)
    pieces = [choice.delta.content for chunk in chunks for choice in chunk.choices]
    assert [piece for piece in pieces if piece] == ["You", " said:", " one", " two"]
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.total_tokens == 6


def test_embeddings_and_models_are_served(clients: Clients, key: OwnedKey) -> None:
    with _sdk(clients, key.name) as sdk:
        answer = sdk.embeddings.create(
            model="text-embedding-3-small", input=["a", "b c"], dimensions=4
        )
        models = [model.id for model in sdk.models.list()]
        one = sdk.models.retrieve("gpt-4o")

    assert [len(item.embedding) for item in answer.data] == [4, 4]
    assert "gpt-4o-mini" in models
    assert one.id == "gpt-4o"


async def test_the_asynchronous_sdk_is_served_alike(clients: Clients, key: OwnedKey) -> None:
    async with _async_sdk(clients, key.name) as sdk:
        completion = await sdk.chat.completions.create(model=MODEL, messages=MESSAGES)
        stream = await sdk.chat.completions.create(model=MODEL, messages=MESSAGES, stream=True)
        pieces = [c.choices[0].delta.content async for c in stream if c.choices]
        embeddings = await sdk.embeddings.create(model="text-embedding-3-small", input="a")
        models = [model.id async for model in sdk.models.list()]

    assert completion.choices[0].message.content == ANSWER
    assert "".join(piece or "" for piece in pieces) == ANSWER
    assert len(embeddings.data) == 1
    assert "gpt-4o-mini" in models


def test_a_client_certificate_serves_in_place_of_a_token(clients: Clients, key: OwnedKey) -> None:
    # The SDK insists on an api_key; beside a certificate one that is no token does not matter.
    with _sdk(clients, key.name, app="demo", token="unused") as sdk:
        completion = sdk.chat.completions.create(model=MODEL, messages=MESSAGES)

    assert completion.choices[0].message.content == ANSWER


def test_without_a_grant_the_sdk_raises_permission_denied(clients: Clients) -> None:
    kept = asyncio.run(keep_key(clients, "sdk-kept"))
    with (
        _sdk(clients, kept.name) as sdk,
        pytest.raises(openai.PermissionDeniedError) as caught,
    ):
        sdk.chat.completions.create(model=MODEL, messages=MESSAGES)

    clients.keep(caught.value, caught.value.body)
    assert caught.value.code == "NOT_GRANTED"
    assert caught.value.type == "permission_error"
    assert caught.value.response.headers["x-keyturn-request-id"]
    assert upstream_requests(clients, kept.api_key) == []


def test_a_malformed_key_name_raises_bad_request_that_names_the_field(clients: Clients) -> None:
    with _sdk(clients, "users/alice/keys/..") as sdk, pytest.raises(openai.BadRequestError) as bad:
        sdk.chat.completions.create(model=MODEL, messages=MESSAGES)

    clients.keep(bad.value, bad.value.body)
    assert (bad.value.code, bad.value.param) == ("INVALID_ARGUMENT", "x-keyturn-key")


def test_openais_own_bad_request_is_passed_on(clients: Clients, key: OwnedKey) -> None:
    with _sdk(clients, key.name) as sdk, pytest.raises(openai.BadRequestError) as bad:
        sdk.chat.completions.create(model="error-400", messages=MESSAGES)

    clients.keep(bad.value, bad.value.body)
    assert (bad.value.code, bad.value.param) == ("invalid_value", "model")


@pytest.mark.parametrize("token", ["sk-proj-not-a-token", "a.b.c"])
def test_an_api_key_that_proves_no_app_raises_authentication_error(
    clients: Clients, key: OwnedKey, token: str
) -> None:
    with (
        _sdk(clients, key.name, token=token) as sdk,
        pytest.raises(openai.AuthenticationError) as caught,
    ):
        sdk.chat.completions.create(model=MODEL, messages=MESSAGES)

    clients.keep(caught.value, caught.value.body)
    assert caught.value.code == "CALLER_UNVERIFIED"


def test_an_owners_token_is_no_apps_token(clients: Clients, key: OwnedKey) -> None:
    with (
        _sdk(clients, key.name, token=clients.env["KEYTURN_OWNER_TOKEN"]) as sdk,
        pytest.raises(openai.AuthenticationError) as caught,
    ):
        sdk.chat.completions.create(model=MODEL, messages=MESSAGES)

    clients.keep(caught.value, caught.value.body)
    assert caught.value.code == "CALLER_UNVERIFIED"


def test_a_key_that_openai_refuses_raises_authentication_error_without_an_echo(
    clients: Clients,
) -> None:
    revoked = asyncio.run(give_key(clients, "sdk-revoked", KeyKind.SOONREVOKED))
    with (
        _sdk(clients, revoked.name) as sdk,
        pytest.raises(openai.AuthenticationError) as caught,
    ):
        sdk.chat.completions.create(model=MODEL, messages=MESSAGES)

    clients.keep(caught.value, caught.value.body, caught.value.response.text)
    assert caught.value.code == "KEY_REJECTED_UPSTREAM"
    told = f"{caught.value.response.headers} {caught.value.response.text}"
    assert "sk-" not in told
    assert revoked.api_key.expose()[-4:].decode() not in caught.value.response.text


def test_a_spent_rate_at_openai_is_passed_on_with_its_retry_time(
    clients: Clients, key: OwnedKey
) -> None:
    with _sdk(clients, key.name) as sdk, pytest.raises(openai.RateLimitError) as caught:
        sdk.chat.completions.create(model="error-429", messages=MESSAGES)

    clients.keep(caught.value, caught.value.body)
    assert caught.value.code == "rate_limit_exceeded"
    assert caught.value.response.headers["retry-after"] == "20"
    assert caught.value.response.headers["x-ratelimit-remaining-requests"] == "0"
    assert caught.value.response.headers["x-keyturn-lease"]


@pytest.mark.parametrize(("model", "status"), [("error-500", 500), ("error-503", 503)])
def test_a_failure_of_openai_raises_internal_server_error(
    clients: Clients, key: OwnedKey, model: str, status: int
) -> None:
    with _sdk(clients, key.name) as sdk, pytest.raises(openai.InternalServerError) as caught:
        sdk.chat.completions.create(model=model, messages=MESSAGES)

    clients.keep(caught.value, caught.value.body)
    assert caught.value.status_code == status
    assert caught.value.type == "server_error"


def _chunks(clients: Clients, key: OwnedKey, model: str) -> list[ChatCompletionChunk]:
    with _sdk(clients, key.name) as sdk:
        return list(sdk.chat.completions.create(model=model, messages=MESSAGES, stream=True))


def test_a_stream_that_openai_cuts_off_raises_in_place_of_ending(
    clients: Clients, key: OwnedKey
) -> None:
    assert _chunks(clients, key, "gpt-4o")[-1].choices[0].finish_reason == "stop"
    with pytest.raises(openai.APIConnectionError) as caught:
        _chunks(clients, key, "gpt-4o-cut")

    clients.keep(caught.value)
