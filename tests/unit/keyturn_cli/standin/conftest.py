from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import openai
import pytest
from aiohttp import web
from openai import BaseModel

from keyturn_cli.standin.app import make_app
from keyturn_cli.standin.record import RequestRecord
from keyturn_cli.standin.standin_keys import make_key
from svc_runtime.clock import SystemClock


@pytest.fixture
def record_path(tmp_path: Path) -> Path:
    return tmp_path / "requests.jsonl"


@pytest.fixture
def read_record(record_path: Path) -> Callable[[], list[dict[str, Any]]]:
    def read() -> list[dict[str, Any]]:
        return [json.loads(line) for line in record_path.read_text().splitlines()]

    return read


@pytest.fixture
async def base_url(record_path: Path) -> AsyncIterator[str]:
    record = RequestRecord(record_path)
    app = make_app(SystemClock(), record)
    runner = web.AppRunner(
        app, auto_decompress=False, handler_cancellation=True, shutdown_timeout=0.1
    )
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    await runner.cleanup()
    record.close()


@pytest.fixture
async def sdk(base_url: str) -> AsyncIterator[openai.AsyncOpenAI]:
    key = make_key().expose().decode()
    async with openai.AsyncOpenAI(base_url=base_url, api_key=key, max_retries=0) as client:
        yield client


@pytest.fixture
async def http(base_url: str) -> AsyncIterator[aiohttp.ClientSession]:
    """Give a client that sends no key and resolves paths such as `models` below /v1."""
    async with aiohttp.ClientSession(base_url=f"{base_url}/") as session:
        yield session


@pytest.fixture
def working_key() -> dict[str, str]:
    return {"Authorization": f"Bearer {make_key().expose().decode()}"}


@pytest.fixture
def check_shape() -> Callable[[BaseModel], None]:
    """Give a check that an answer has every field that the SDK's type of it requires.

    The SDK itself takes whatever comes.
    """

    def check(answer: BaseModel) -> None:
        type(answer).model_validate(answer.to_dict(mode="json"))

    return check


@pytest.fixture
async def control(base_url: str) -> AsyncIterator[aiohttp.ClientSession]:
    """Give a client that resolves paths such as `progress` below /standin."""
    async with aiohttp.ClientSession(base_url=f"{base_url.removesuffix('v1')}standin/") as session:
        yield session
