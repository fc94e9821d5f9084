from __future__ import annotations

import hashlib
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp

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
    assert ["X-Trace", "t1"] in line["headers"]
    assert ["Authorization", None] in line["headers"]
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
    assert ["X-Api-Key", "<key>"] in first["headers"]
    assert ["X-Copy", "key=<key>"] in second["headers"]


def test_only_its_owner_can_read_the_record(base_url: str, record_path: Path) -> None:
    assert base_url
    assert stat.S_IMODE(record_path.stat().st_mode) == 0o600
