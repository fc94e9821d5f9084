from __future__ import annotations

import io
import json
import re

import aiohttp
import openai
import pytest

from keyturn_cli.standin.standin_keys import KeyKind, make_key

_CHAT = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "hi"}]}


@pytest.mark.parametrize(
    ("kind", "error", "code", "error_type"),
    [
        (KeyKind.RATELIMITED, openai.RateLimitError, "rate_limit_exceeded", "requests"),
        (KeyKind.BROKE, openai.RateLimitError, "insufficient_quota", "insufficient_quota"),
        (KeyKind.FAILING, openai.InternalServerError, None, "server_error"),
        (KeyKind.OVERLOADED, openai.InternalServerError, None, "server_error"),
        (KeyKind.REVOKED, openai.AuthenticationError, "invalid_api_key", "invalid_request_error"),
        (KeyKind.FORBIDDEN, openai.PermissionDeniedError, None, "invalid_request_error"),
        (
            KeyKind.IPBLOCKED,
            openai.AuthenticationError,
            "ip_not_authorized",
            "invalid_request_error",
        ),
    ],
)
async def test_the_sdk_raises_what_the_kind_of_key_asks_for(
    base_url: str,
    kind: KeyKind,
    error: type[openai.APIStatusError],
    code: str | None,
    error_type: str,
) -> None:
    key = make_key(kind).expose().decode()

    async with openai.AsyncOpenAI(base_url=base_url, api_key=key, max_retries=0) as client:
        with pytest.raises(error) as caught:
            await client.chat.completions.create(
                model="gpt-4o-mini", messages=[{"role": "user", "content": "hi"}]
            )

    assert (caught.value.code, caught.value.type) == (code, error_type)
    assert caught.value.request_id is not None


async def test_a_rate_limited_key_is_told_when_to_come_back(http: aiohttp.ClientSession) -> None:
    key = make_key(KeyKind.RATELIMITED).expose().decode()

    async with http.post(
        "chat/completions", json=_CHAT, headers={"Authorization": f"Bearer {key}"}
    ) as response:
        assert response.status == 429
        assert response.headers["retry-after"] == "20"
        assert response.headers["x-ratelimit-remaining-requests"] == "0"


async def test_a_wrong_key_is_echoed_masked(http: aiohttp.ClientSession) -> None:
    headers = {"Authorization": "Bearer sk-standin-of-nobody-abcd"}

    async with http.get("models", headers=headers) as response:
        body = await response.json()

    assert response.status == 401
    assert response.headers["content-type"] == "application/json"
    assert body == {
        "error": {
            "message": "Incorrect API key provided: sk-stand*************abcd. You can find your "
            "API key at https://platform.openai.com/account/api-keys.",
            "type": "invalid_request_error",
            "param": None,
            "code": "invalid_api_key",
        }
    }


@pytest.mark.parametrize(
    "headers",
    [{}, {"Authorization": "Bearer"}, {"Authorization": "Basic c2stMTIzOg=="}],
    ids=["none", "no token", "another scheme"],
)
async def test_a_request_without_a_bearer_key_is_told_to_send_one(
    http: aiohttp.ClientSession, headers: dict[str, str]
) -> None:
    async with http.post("chat/completions", json=_CHAT, headers=headers) as response:
        body = await response.json()

    assert response.status == 401
    assert body["error"]["message"].startswith("You didn't provide an API key.")
    assert body["error"]["code"] is None


async def test_two_authorization_headers_are_refused(http: aiohttp.ClientSession) -> None:
    key = f"Bearer {make_key().expose().decode()}"

    async with http.get(
        "models", headers=[("Authorization", key), ("Authorization", key)]
    ) as response:
        assert response.status == 400


@pytest.mark.parametrize(
    ("model", "status"),
    [("error-400", 400), ("error-429", 429), ("error-500", 500), ("error-503", 503)],
)
async def test_a_model_named_after_an_error_gives_it_whatever_the_key(
    http: aiohttp.ClientSession, model: str, status: int
) -> None:
    headers = {"Authorization": "Bearer sk-standin-of-nobody-abcd"}

    async with http.post("responses", json={"model": model}, headers=headers) as response:
        body = await response.json()

    assert response.status == status
    assert set(body["error"]) == {"message", "type", "param", "code"}


@pytest.mark.parametrize("path", ["images", "fine_tuning", "models"])
async def test_a_path_or_method_that_is_not_served_is_an_invalid_url(
    http: aiohttp.ClientSession, working_key: dict[str, str], path: str
) -> None:
    async with http.post(path, json={}, headers=working_key) as response:
        body = await response.json()

    assert response.status == 404
    assert body["error"] == {
        "message": f"Invalid URL (POST /v1/{path})",
        "type": "invalid_request_error",
        "param": None,
        "code": None,
    }


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b'"text"', b"\xff", b"[" * 100_000])
async def test_a_body_that_is_no_json_object_is_refused(
    http: aiohttp.ClientSession, working_key: dict[str, str], raw: bytes
) -> None:
    async with http.post("chat/completions", data=raw, headers=working_key) as response:
        body = await response.json()

    assert response.status == 400
    assert body["error"]["message"].startswith("We could not parse the JSON body")


async def test_every_answer_carries_the_headers_of_openai(
    http: aiohttp.ClientSession, working_key: dict[str, str]
) -> None:
    async with http.post("chat/completions", json=_CHAT, headers=working_key) as response:
        headers = response.headers

    assert re.fullmatch(r"req_[0-9a-f]{32}", headers["x-request-id"])
    assert headers["openai-processing-ms"].isdigit()
    assert headers["openai-version"] == "2020-10-01"
    assert headers["openai-organization"] == "org-standin"
    assert sum(name.lower().startswith("x-ratelimit-") for name in headers) == 6


async def test_a_large_body_is_accepted(
    http: aiohttp.ClientSession, working_key: dict[str, str]
) -> None:
    message = {"role": "user", "content": "a" * 11_000_000}
    raw = io.BytesIO(json.dumps({"model": "gpt-4o-mini", "messages": [message]}).encode())

    async with http.post("chat/completions", data=raw, headers=working_key) as response:
        assert response.status == 200
