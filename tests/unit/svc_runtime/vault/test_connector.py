from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from svc_runtime.tls_files import TLSFiles
from svc_runtime.vault.connector import VaultConnector, load_pair
from tests.aiohttp_sites import end
from tests.certs import Authority, serial_of, write

NOBODY = 0


class SerialServer:
    """Answers with the serial number of the certificate that the client presented."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self.connections: set[asyncio.BaseTransport] = set()
        self.reached = asyncio.Event()
        self.released = asyncio.Event()
        self.released.set()
        app = web.Application()
        app.router.add_get("/", self._answer)
        app.router.add_get("/begun", self._begin)
        self.runner = web.AppRunner(app)
        self._context = context

    async def start(self) -> str:
        await self.runner.setup()
        await web.TCPSite(self.runner, "127.0.0.1", 0, ssl_context=self._context).start()
        return f"https://127.0.0.1:{self.runner.addresses[0][1]}/"

    async def _answer(self, request: web.Request) -> web.Response:
        transport = request.transport
        assert transport is not None
        self.connections.add(transport)
        self.reached.set()
        await self.released.wait()
        der = transport.get_extra_info("ssl_object").getpeercert(binary_form=True)
        serial = serial_of(ssl.DER_cert_to_PEM_cert(der).encode()) if der else NOBODY
        return web.Response(text=str(serial))

    async def _begin(self, request: web.Request) -> web.StreamResponse:
        """Send the headers alone until released."""
        response = web.StreamResponse()
        await response.prepare(request)
        await self.released.wait()
        return response


@pytest.fixture
def authority() -> Authority:
    return Authority()


@pytest.fixture
async def server(authority: Authority, tmp_path: Path) -> AsyncIterator[SerialServer]:
    folder = tmp_path / "server"
    folder.mkdir()
    files = write(folder, authority.server(), authority.pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.certificate, files.key)
    context.load_verify_locations(files.ca)
    context.verify_mode = ssl.CERT_OPTIONAL
    server = SerialServer(context)
    yield server
    await end(server.runner)


@pytest.fixture
async def connector(authority: Authority) -> AsyncIterator[VaultConnector]:
    context = ssl.create_default_context(cadata=authority.pem.decode())
    made = VaultConnector(context, 10)
    yield made
    await made.close()


def _client_files(authority: Authority, folder: Path) -> tuple[TLSFiles, int]:
    pair = authority.issue()
    return write(folder, pair, authority.pem), pair.serial


async def _get(pool: aiohttp.ClientSession, url: str) -> int:
    async with pool.get(url) as response:
        return int(await response.text())


async def test_a_new_certificate_is_presented_by_the_very_next_request(
    authority: Authority, server: SerialServer, connector: VaultConnector, tmp_path: Path
) -> None:
    url = await server.start()
    async with aiohttp.ClientSession(connector=connector, connector_owner=False) as pool:
        presented, expected = [await _get(pool, url)], [NOBODY]
        for _ in range(2):
            files, serial = _client_files(authority, tmp_path)
            connector.present(files.certificate, files.key)
            presented += [await _get(pool, url), await _get(pool, url)]
            expected += [serial, serial]

    assert presented == expected
    assert len(server.connections) == 3


async def test_a_connection_in_use_is_not_cut_and_not_used_again(
    authority: Authority, server: SerialServer, connector: VaultConnector, tmp_path: Path
) -> None:
    url = await server.start()
    server.released.clear()
    files, serial = _client_files(authority, tmp_path)
    async with aiohttp.ClientSession(connector=connector, connector_owner=False) as pool:
        under_way = asyncio.create_task(_get(pool, url))
        await server.reached.wait()
        connector.present(files.certificate, files.key)
        server.released.set()

        assert await under_way == NOBODY
        assert await _get(pool, url) == serial


async def test_many_requests_at_once_get_through_a_change(
    authority: Authority, server: SerialServer, connector: VaultConnector, tmp_path: Path
) -> None:
    url = await server.start()
    files, serial = _client_files(authority, tmp_path)
    async with aiohttp.ClientSession(connector=connector, connector_owner=False) as pool:
        await asyncio.gather(*(_get(pool, url) for _ in range(30)))
        connector.present(files.certificate, files.key)

        presented = await asyncio.gather(*(_get(pool, url) for _ in range(30)))

    assert set(presented) == {serial}


async def test_a_server_that_is_away_is_an_error_of_the_request(
    connector: VaultConnector, server: SerialServer
) -> None:
    url = await server.start()
    await end(server.runner)
    async with aiohttp.ClientSession(connector=connector, connector_owner=False) as pool:
        with pytest.raises(aiohttp.ClientConnectionError):
            await _get(pool, url)


def test_a_key_with_password_is_refused_without_asking_for_it(
    authority: Authority, tmp_path: Path
) -> None:
    files, _ = _client_files(authority, tmp_path)
    key = load_pem_private_key(files.key.read_bytes(), None)
    files.key.write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"password"))
    )

    with pytest.raises(ssl.SSLError):
        load_pair(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), files.certificate, files.key)


def test_missing_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        load_pair(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), tmp_path / "a", tmp_path / "b")


async def test_closing_leaves_no_socket_of_a_call_that_was_broken_off(
    server: SerialServer, connector: VaultConnector
) -> None:
    url = await server.start()
    server.released.clear()
    async with aiohttp.ClientSession(connector=connector, connector_owner=False) as pool:
        response = await pool.get(f"{url}begun")
        assert response.connection is not None
        assert response.connection.transport is not None
        used = response.connection.transport.get_extra_info("socket")
        response.close()

    await connector.close()

    assert used.fileno() == -1
    server.released.set()
