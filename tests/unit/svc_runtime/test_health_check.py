from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from keyturn_cli.local.free_ports import free_ports
from svc_runtime.health import HealthServer
from svc_runtime.health_check import HealthQuestion, ask_health

NAME = "keyturn.test.v1.TestService"


@pytest.fixture
async def health() -> AsyncIterator[tuple[HealthServer, str]]:
    server = HealthServer("127.0.0.1:0")
    port = await server.start()
    yield server, f"127.0.0.1:{port}"
    await server.stop()


async def test_what_serves_is_told_at_once(health: tuple[HealthServer, str]) -> None:
    server, address = health
    await server.set_serving(NAME, is_serving=True)

    found = await ask_health([HealthQuestion(address, ""), HealthQuestion(address, NAME)], 60)

    assert [finding.is_serving for finding in found] == [True, True]


@pytest.mark.parametrize(
    ("is_known", "status"), [(True, "not serving"), (False, "service unknown")]
)
async def test_what_does_not_serve_in_time_is_told_with_its_status(
    health: tuple[HealthServer, str],
    is_known: bool,  # noqa: FBT001 - a parameter of the test
    status: str,
) -> None:
    server, address = health
    if is_known:
        await server.set_serving(NAME, is_serving=False)

    [found] = await ask_health([HealthQuestion(address, NAME)], 2)

    assert (found.status, found.is_serving) == (status, False)


async def test_nobody_at_the_address_is_no_answer() -> None:
    [port] = free_ports(1)

    [found] = await ask_health([HealthQuestion(f"127.0.0.1:{port}", "")], 0.2)

    assert (found.status, found.is_serving) == ("no answer", False)


@pytest.mark.parametrize("text", ["keyturn.test:8080", "[::1]:8080/keyturn.test.v1.TestService"])
def test_a_question_reads_as_it_is_written(text: str) -> None:
    assert str(HealthQuestion.parse(text)) == text


@pytest.mark.parametrize("text", ["", "host", "host:", ":8080", "host:http", "/service"])
def test_a_question_without_host_and_port_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="HOST:PORT"):
        HealthQuestion.parse(text)
