from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

import aiohttp
import openai
import pytest
from openai import BaseModel

from keyturn_cli.standin.standin_keys import KeyKind, make_admin_key, make_key, openai_key_id

DAY = date(2027, 1, 31)
BEGIN = int(datetime(2027, 1, 31, tzinfo=UTC).timestamp())
END = BEGIN + 86_400
KINDS = (
    "completions",
    "embeddings",
    "images",
    "moderations",
    "audio_speeches",
    "audio_transcriptions",
)


def _admin(base_url: str, kind: KeyKind = KeyKind.WORKING) -> openai.AsyncOpenAI:
    key = make_admin_key(kind).expose().decode()
    return openai.AsyncOpenAI(base_url=base_url, api_key="", admin_api_key=key, max_retries=0)


async def _use(control: aiohttp.ClientSession, **query: object) -> int:
    words = {name: str(value) for name, value in query.items()}
    async with control.post("usage", params=words) as response:
        return response.status


@pytest.mark.parametrize("kind", KINDS)
async def test_usage_of_every_kind_has_openais_shape(
    base_url: str,
    control: aiohttp.ClientSession,
    check_shape: Callable[[BaseModel], None],
    kind: str,
) -> None:
    assert await _use(control, kind=kind, api_key_id="key_a", date=DAY, requests=2) == 200
    async with _admin(base_url) as admin:
        usage: Any = admin.admin.organization.usage
        page = await getattr(usage, kind)(
            start_time=BEGIN, end_time=END, group_by=["api_key_id"], api_key_ids=["key_a"]
        )

    check_shape(page)
    [bucket] = page.data
    [result] = bucket.results
    assert (bucket.start_time, bucket.end_time) == (BEGIN, END)
    assert (result.object, result.api_key_id) == (f"organization.usage.{kind}.result", "key_a")
    assert result.num_model_requests == 2


async def test_what_is_served_is_counted_for_its_key_today(base_url: str) -> None:
    key = make_key().expose().decode()
    today = int(datetime.now(UTC).replace(hour=0, minute=0, second=0).timestamp())
    async with openai.AsyncOpenAI(base_url=base_url, api_key=key, max_retries=0) as client:
        await client.chat.completions.create(
            model="m", messages=[{"role": "user", "content": "one two"}]
        )
        stream = await client.chat.completions.create(
            model="m", messages=[{"role": "user", "content": "one two"}], stream=True
        )
        tokens = [c.choices[0].delta.content async for c in stream if c.choices[0].delta.content]
        await client.embeddings.create(model="m", input="one two three")
    async with _admin(base_url) as admin:
        usage = admin.admin.organization.usage
        chats = await usage.completions(start_time=today, group_by=["api_key_id"])
        vectors = await usage.embeddings(start_time=today, group_by=["api_key_id"])

    found = [r for bucket in chats.data for r in bucket.results]
    assert [r.to_dict()["api_key_id"] for r in found] == [openai_key_id(key)]
    assert found[0].to_dict()["num_model_requests"] == 2
    assert found[0].to_dict()["input_tokens"] == 4
    assert found[0].to_dict()["output_tokens"] == 2 * len(tokens)
    [vector] = [r.to_dict() for bucket in vectors.data for r in bucket.results]
    assert (vector["num_model_requests"], vector["input_tokens"]) == (1, 3)


async def test_a_request_that_is_refused_is_not_counted(base_url: str) -> None:
    key = make_key(KeyKind.BROKE).expose().decode()
    async with openai.AsyncOpenAI(base_url=base_url, api_key=key, max_retries=0) as client:
        with pytest.raises(openai.RateLimitError):
            await client.embeddings.create(model="m", input="one")
    async with _admin(base_url) as admin:
        page = await admin.admin.organization.usage.embeddings(start_time=BEGIN, limit=31)

    assert [result for bucket in page.data for result in bucket.results] == []


async def test_an_admin_key_calls_no_model_and_another_key_reads_no_usage(base_url: str) -> None:
    plain, admin_key = make_key().expose().decode(), make_admin_key().expose().decode()
    async with openai.AsyncOpenAI(base_url=base_url, api_key=admin_key, max_retries=0) as client:
        with pytest.raises(openai.PermissionDeniedError):
            await client.models.list()
    async with openai.AsyncOpenAI(
        base_url=base_url, api_key="", admin_api_key=plain, max_retries=0
    ) as client:
        with pytest.raises(openai.PermissionDeniedError):
            await client.admin.organization.usage.completions(start_time=BEGIN)


async def test_an_admin_key_behaves_as_its_kind_says(base_url: str) -> None:
    async with _admin(base_url, KeyKind.REVOKED) as admin:
        with pytest.raises(openai.AuthenticationError):
            await admin.admin.organization.usage.completions(start_time=BEGIN)


@pytest.mark.parametrize(
    "query",
    [
        {"start_time": "x"},
        {},
        {"start_time": "1", "bucket_width": "1h"},
        {"start_time": "1", "limit": "0"},
        {"start_time": "1", "page": "x"},
    ],
    ids=str,
)
async def test_a_question_that_openai_would_not_understand_is_refused(
    base_url: str, http: aiohttp.ClientSession, query: dict[str, str]
) -> None:
    del base_url
    headers = {"Authorization": f"Bearer {make_admin_key().expose().decode()}"}
    async with http.get(
        "organization/usage/completions", params=query, headers=headers
    ) as response:
        assert response.status == 400


@pytest.mark.parametrize(
    "query", [{"kind": "x", "api_key_id": "key_a"}, {}, {"api_key_id": "k", "requests": "many"}]
)
async def test_use_that_is_none_is_not_counted(
    control: aiohttp.ClientSession, query: dict[str, str]
) -> None:
    assert await _use(control, **query) == 400
