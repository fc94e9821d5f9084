from __future__ import annotations

import asyncio
import gzip
import hashlib
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
from yarl import URL

from keyturn_cli.standin.standin_keys import KeyKind, make_key

_ReadRecord = Callable[[], list[dict[str, Any]]]


async def test_a_request_is_recorded_by_digests(
    http: aiohttp.ClientSession, read_record: _ReadRecord
) -> None:
    bearer = f"Bearer {make_key().expose().decode()}"
    raw = b'{"model":"unknown-1"}'

    async with http.post(
        "chat/completions?a=%2F", data=raw, headers={"Authorization": bearer, "X-Trace": "t1"}
    ) as response:
        request_id = response.headers["x-request-id"]

    [line] = read_record()
    assert line["request_id"] == request_id
    assert (line["method"], line["path"]) == ("POST", "/v1/chat/completions?a=/")
    assert ["x-trace", "t1"] in line["headers"]
    assert ["authorization", None] in line["headers"]
    assert line["authorization_sha256"] == hashlib.sha256(bearer.encode()).hexdigest()
    assert line["body_sha256"] == hashlib.sha256(raw).hexdigest()
    assert line["body_bytes"] == len(raw)


async def test_a_request_without_a_key_has_no_digest(
    http: aiohttp.ClientSession, read_record: _ReadRecord
) -> None:
    async with http.get("models"):
        pass

    assert [line["authorization_sha256"] for line in read_record()] == [None]


async def test_the_record_holds_no_key_wherever_it_was_sent(
    http: aiohttp.ClientSession, read_record: _ReadRecord
) -> None:
    working = make_key().expose().decode()
    other = make_key(KeyKind.REVOKED).expose().decode()
    foreign = "AIza-not-of-the-usual-form"

    async with http.post(
        f"chat/completions?key={working}",
        json={"key": working},
        headers={"Authorization": f"Bearer {working}", "X-Api-Key": other},
    ):
        pass
    async with http.get(
        "models", headers={"Authorization": f"Bearer {foreign}", "X-Copy": f"key={foreign}"}
    ):
        pass

    first, second = read_record()
    assert [key for key in (working, other, foreign) if key in str([first, second])] == []
    assert first["path"] == "/v1/chat/completions?key=<key>"
    assert ["x-api-key", "<key>"] in first["headers"]
    assert ["x-copy", "key=<key>"] in second["headers"]


def test_only_its_owner_can_read_the_record(base_url: str, record_path: Path) -> None:
    assert base_url
    assert stat.S_IMODE(record_path.stat().st_mode) == 0o600


async def test_the_target_is_recorded_in_its_halves(
    base_url: str, http: aiohttp.ClientSession, read_record: _ReadRecord
) -> None:
    async with http.get(URL(f"{base_url}/files/%2E?metadata[a]=%20&x=1&x=2", encoded=True)):
        pass
    async with http.get("models"):
        pass

    first, second = read_record()
    assert (first["raw_path"], first["query"]) == ("/v1/files/%2E", "metadata[a]=%20&x=1&x=2")
    assert (second["raw_path"], second["query"], second["messages"]) == ("/v1/models", None, None)


async def test_headers_are_recorded_in_order(
    http: aiohttp.ClientSession, read_record: _ReadRecord
) -> None:
    sent = [("X-Two", "2"), ("X-One", "a"), ("X-Two", "1")]
    async with http.get("models", headers=sent):
        pass

    [line] = read_record()
    assert [pair for pair in line["headers"] if pair[0].startswith("x-")] == [
        ["x-two", "2"],
        ["x-one", "a"],
        ["x-two", "1"],
    ]


async def test_a_compressed_body_is_recorded_as_it_came(
    http: aiohttp.ClientSession, working_key: dict[str, str], read_record: _ReadRecord
) -> None:
    raw = gzip.compress(b'{"model": "gpt-4o", "input": "hi"}')
    headers = {**working_key, "Content-Encoding": "gzip"}
    async with http.post("responses", data=raw, headers=headers) as response:
        assert response.status == 200

    [line] = read_record()
    assert line["body_sha256"] == hashlib.sha256(raw).hexdigest()


async def test_a_body_that_breaks_off_is_recorded_as_incomplete(
    base_url: str,
    working_key: dict[str, str],
    control: aiohttp.ClientSession,
    read_record: _ReadRecord,
) -> None:
    url = URL(base_url)
    _, writer = await asyncio.open_connection(url.host, url.port)
    writer.write(
        b"POST /v1/files HTTP/1.1\r\nHost: standin\r\nContent-Length: 100\r\n"
        b"Authorization: %b\r\n\r\nhalf" % working_key["Authorization"].encode()
    )
    await writer.drain()
    writer.close()
    await writer.wait_closed()

    while not read_record():
        async with control.get("progress"):
            pass
    [line] = read_record()
    assert (line["body_complete"], line["body_bytes"]) == (False, 4)
    assert line["body_sha256"] == hashlib.sha256(b"half").hexdigest()
