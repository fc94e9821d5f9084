from __future__ import annotations

from collections.abc import AsyncIterator

import aiohttp
import pytest

from svc_runtime.telemetry.metrics_export import CONTENT_TYPE, MetricsExport
from svc_runtime.telemetry.metrics_of_process import EVENT_LOOP_LAG
from svc_runtime.telemetry.metrics_port import MetricsPort


@pytest.fixture
async def base_url() -> AsyncIterator[str]:
    export = MetricsExport("test-svc")
    port = MetricsPort(export, "127.0.0.1:0")
    try:
        yield f"http://127.0.0.1:{await port.start()}"
    finally:
        await port.stop()
        export.close()


async def test_the_figures_are_served_as_text(base_url: str) -> None:
    EVENT_LOOP_LAG.record(0.002)

    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{base_url}/metrics") as answer,
    ):
        text = await answer.text()

    assert answer.status == 200
    assert answer.headers["content-type"] == CONTENT_TYPE
    assert 'target_info{service_name="test-svc"} 1.0' in text
    assert "keyturn_event_loop_lag_seconds_count 1.0" in text


@pytest.mark.parametrize("path", ["/", "/metrics/", "/metrics/x", "/debug", "/v1/models"])
async def test_nothing_else_is_served(base_url: str, path: str) -> None:
    async with aiohttp.ClientSession() as session, session.get(base_url + path) as answer:
        body = await answer.read()

    assert (answer.status, body) == (404, b"")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
async def test_the_figures_can_only_be_read(base_url: str, method: str) -> None:
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, f"{base_url}/metrics") as answer,
    ):
        body = await answer.read()

    assert (answer.status, body) == (405, b"")
    assert answer.headers["allow"] == "GET, HEAD"


async def test_an_answer_says_nothing_of_what_serves_it(base_url: str) -> None:
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{base_url}/metrics") as answer,
        session.get(f"{base_url}/x") as other,
    ):
        servers = {answer.headers["server"], other.headers["server"]}

    assert servers == {"keyturn"}


async def test_a_port_that_stopped_answers_no_more() -> None:
    export = MetricsExport("test-svc")
    port = MetricsPort(export, "127.0.0.1:0")
    number = await port.start()
    await port.stop()
    await port.stop()
    export.close()

    async with aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.ClientConnectorError):
            await session.get(f"http://127.0.0.1:{number}/metrics")
