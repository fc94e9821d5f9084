from __future__ import annotations

import hashlib

import aiohttp
import pytest
from yarl import URL


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "QUERY"])
async def test_every_method_is_answered_with_what_arrived(
    base_url: str, http: aiohttp.ClientSession, working_key: dict[str, str], method: str
) -> None:
    url = URL(f"{base_url}/anything/a%2Fb//c?x=1&x=2&m[k]=v&e=", encoded=True)
    headers = {**working_key, "X-One": "1"}

    async with http.request(method, url, data=b"\x00raw", headers=headers) as response:
        answer = await response.json()

    assert (answer["method"], answer["path"]) == (method, "/v1/anything/a%2Fb//c")
    assert answer["query"] == "x=1&x=2&m[k]=v&e="
    assert ["x-one", "1"] in answer["headers"]
    assert "authorization" not in dict(answer["headers"])
    assert answer["body_bytes"] == 4
    assert answer["body_sha256"] == hashlib.sha256(b"\x00raw").hexdigest()


async def test_it_needs_a_key(http: aiohttp.ClientSession) -> None:
    async with http.get("anything") as response:
        assert response.status == 401


async def test_a_head_request_has_no_body(
    http: aiohttp.ClientSession, working_key: dict[str, str]
) -> None:
    async with http.head("anything", headers=working_key) as response:
        assert (response.status, await response.read()) == (200, b"")


async def test_the_answer_has_headers_that_concern_nobody(
    http: aiohttp.ClientSession, working_key: dict[str, str]
) -> None:
    async with http.get("anything", headers=working_key) as response:
        assert {"set-cookie", "cf-ray", "alt-svc", "x-not-listed"} <= {
            name.lower() for name in response.headers
        }
