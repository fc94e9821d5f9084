from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from structlog.testing import capture_logs
from yarl import URL

from svc_runtime import http_tls
from svc_runtime.http_tls import peer_spiffe_id, server_ssl_context
from svc_runtime.start_error import StartError
from svc_runtime.tls_files import TLSFilesError, TLSFilesWatcher
from tests.aiohttp_sites import end
from tests.certs import Authority, Pair, replace, serial_of, short_key_pair, write
from tests.fakes.fake_clock import START, FakeClock

APP = "spiffe://example.org/app/billing"
NOBODY = "nobody"
_HOUR = timedelta(hours=1)


@pytest.fixture(name="ca")
def _ca() -> Authority:
    return Authority()


@pytest.fixture(name="clock")
def _clock() -> FakeClock:
    return FakeClock()


@pytest.fixture(name="watcher")
def _watcher(tmp_path: Path, ca: Authority, clock: FakeClock) -> TLSFilesWatcher:
    return TLSFilesWatcher(write(tmp_path, ca.server(), ca.pem), clock)


@pytest.fixture(name="url")
async def _url(watcher: TLSFilesWatcher) -> AsyncIterator[str]:
    """A server that tells each client its SPIFFE id. It is called by address, so without SNI."""
    async with _serving(server_ssl_context(watcher)) as url:
        yield url


@asynccontextmanager
async def _serving(context: ssl.SSLContext) -> AsyncIterator[str]:
    runner = web.ServerRunner(web.Server(_tell_peer))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    try:
        yield f"https://127.0.0.1:{runner.addresses[0][1]}/"
    finally:
        await end(runner)


async def _tell_peer(request: web.BaseRequest) -> web.Response:
    assert request.transport is not None
    now = datetime.fromisoformat(request.query.get("now", datetime.now(UTC).isoformat()))
    return web.Response(text=str(peer_spiffe_id(request.transport, now) or NOBODY))


@pytest.fixture(name="client_context")
def _client_context(tmp_path: Path) -> Callable[..., ssl.SSLContext]:
    """Make the TLS side of a client."""

    def make(ca: Authority, pair: Pair | None = None) -> ssl.SSLContext:
        context = ssl.create_default_context(cadata=ca.pem.decode())
        if pair is not None:
            file = tmp_path / "client.pem"
            file.write_bytes(pair.key + pair.certificate)
            context.load_cert_chain(file)
        return context

    return make


async def _get(url: str, context: ssl.SSLContext) -> str:
    async with (
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context)) as session,
        session.get(url) as response,
    ):
        return await response.text()


async def _tls_of(url: str, context: ssl.SSLContext) -> ssl.SSLObject:
    """Make one request and return the TLS side of its connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", URL(url).port, ssl=context)
    writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    assert (await reader.read()).startswith(b"HTTP/1.1 200")
    tls: ssl.SSLObject = writer.get_extra_info("ssl_object")
    writer.close()
    return tls


async def _served_serial(url: str, context: ssl.SSLContext) -> int:
    der = (await _tls_of(url, context)).getpeercert(binary_form=True)
    return serial_of(ssl.DER_cert_to_PEM_cert(der or b"").encode())


async def test_a_certificate_names_its_client(
    url: str, ca: Authority, client_context: Callable[..., ssl.SSLContext]
) -> None:
    assert await _get(url, client_context(ca, ca.issue(uris=[APP]))) == APP


async def test_a_certificate_that_expired_after_its_handshake_names_nobody(
    url: str, ca: Authority, client_context: Callable[..., ssl.SSLContext]
) -> None:
    end = datetime.now(UTC).replace(microsecond=0) + _HOUR
    context = client_context(ca, ca.issue(uris=[APP], end=end))

    moments = (end, end + timedelta(seconds=1))
    heard = [await _get(str(URL(url) % {"now": now.isoformat()}), context) for now in moments]

    assert heard == [APP, NOBODY]


async def test_a_client_without_a_certificate_is_nobody(
    url: str, ca: Authority, client_context: Callable[..., ssl.SSLContext]
) -> None:
    assert await _get(url, client_context(ca)) == NOBODY


@pytest.mark.parametrize(
    ("uris", "dns"),
    [
        ([], ["app.example.org"]),
        ([APP, "spiffe://example.org/app/other"], []),
        ([APP, "https://example.org"], []),
        (["https://example.org/app/billing"], []),
        (["spiffe://example.org"], []),
        (["spiffe://example.org/app/../billing"], []),
    ],
)
async def test_a_certificate_without_exactly_one_spiffe_id_names_nobody(
    url: str,
    ca: Authority,
    client_context: Callable[..., ssl.SSLContext],
    uris: Sequence[str],
    dns: Sequence[str],
) -> None:
    pair = ca.issue(uris=uris, dns=dns)

    assert await _get(url, client_context(ca, pair)) == NOBODY


async def test_a_certificate_of_another_ca_ends_the_handshake(
    url: str, ca: Authority, client_context: Callable[..., ssl.SSLContext]
) -> None:
    with pytest.raises((aiohttp.ClientError, ssl.SSLError)):
        await _get(url, client_context(ca, Authority().issue(uris=[APP])))


async def test_an_expired_certificate_ends_the_handshake(
    url: str, ca: Authority, client_context: Callable[..., ssl.SSLContext]
) -> None:
    with pytest.raises((aiohttp.ClientError, ssl.SSLError)):
        await _get(url, client_context(ca, ca.issue(uris=[APP], end=START)))


async def test_tls_below_1_3_is_refused(
    url: str, ca: Authority, client_context: Callable[..., ssl.SSLContext]
) -> None:
    old = client_context(ca)
    old.maximum_version = ssl.TLSVersion.TLSv1_2

    with pytest.raises((ssl.SSLError, ConnectionError)):
        await _tls_of(url, old)
    assert (await _tls_of(url, client_context(ca))).version() == "TLSv1.3"


async def test_handshakes_after_a_change_show_the_new_certificate(
    url: str,
    ca: Authority,
    clock: FakeClock,
    tmp_path: Path,
    client_context: Callable[..., ssl.SSLContext],
) -> None:
    new = ca.server()
    before = await _served_serial(url, client_context(ca))
    write(tmp_path, new, ca.pem)
    clock.advance(1)

    assert before != new.serial
    assert await _served_serial(url, client_context(ca)) == new.serial


async def test_a_connection_lives_on_when_the_certificate_changes(
    url: str,
    ca: Authority,
    clock: FakeClock,
    tmp_path: Path,
    client_context: Callable[..., ssl.SSLContext],
) -> None:
    context = client_context(ca, ca.issue(uris=[APP]))
    connector = aiohttp.TCPConnector(ssl=context, limit=1)
    async with aiohttp.ClientSession(connector=connector) as session:
        async with session.get(url) as response:
            await response.read()
        write(tmp_path, ca.server(), Authority().pem)
        clock.advance(1)
        async with session.get(url) as response:
            assert await response.text() == APP


async def test_a_client_of_a_new_ca_is_let_in_and_one_of_the_old_ca_no_longer(
    url: str,
    ca: Authority,
    watcher: TLSFilesWatcher,
    clock: FakeClock,
    client_context: Callable[..., ssl.SSLContext],
) -> None:
    other = Authority("the next CA")
    replace(watcher.files.ca, other.pem)
    clock.advance(1)

    assert await _get(url, client_context(ca, other.issue(uris=[APP]))) == APP
    with pytest.raises((aiohttp.ClientError, ssl.SSLError)):
        await _get(url, client_context(ca, ca.issue(uris=[APP])))


async def test_no_session_can_be_resumed_past_the_check_of_its_certificate(
    url: str, ca: Authority, client_context: Callable[..., ssl.SSLContext]
) -> None:
    tls = await _tls_of(url, client_context(ca, ca.issue(uris=[APP])))

    assert tls.session is not None
    assert not tls.session.has_ticket


async def test_half_a_replacement_on_disk_does_not_reach_a_handshake(
    url: str,
    ca: Authority,
    watcher: TLSFilesWatcher,
    clock: FakeClock,
    client_context: Callable[..., ssl.SSLContext],
) -> None:
    replace(watcher.files.key, ca.server().key)
    clock.advance(1)

    assert await _get(url, client_context(ca)) == NOBODY


def test_the_key_leaves_no_file_behind(
    watcher: TLSFilesWatcher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "memory"
    folder.mkdir()
    monkeypatch.setattr(http_tls, "_memory_dir", lambda: str(folder))

    server_ssl_context(watcher)

    assert list(folder.iterdir()) == []


async def test_a_certificate_that_openssl_refuses_does_not_replace_one_that_serves(
    url: str,
    ca: Authority,
    clock: FakeClock,
    tmp_path: Path,
    client_context: Callable[..., ssl.SSLContext],
) -> None:
    before, mended = await _served_serial(url, client_context(ca)), ca.server()
    write(tmp_path, short_key_pair(end=START + _HOUR), ca.pem)
    clock.advance(1)
    with capture_logs() as logs:
        during = [await _served_serial(url, client_context(ca)) for _ in range(2)]
    write(tmp_path, mended, ca.pem)
    clock.advance(1)

    assert during == [before, before]
    refusals = [log for log in logs if log["event"] == "certificate_reload_refused"]
    assert len(refusals) == 1
    assert await _served_serial(url, client_context(ca)) == mended.serial


async def test_a_lack_of_room_for_the_key_delays_the_change_and_ends_no_handshake(
    url: str,
    ca: Authority,
    clock: FakeClock,
    tmp_path: Path,
    client_context: Callable[..., ssl.SSLContext],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before, new = await _served_serial(url, client_context(ca)), ca.server()
    write(tmp_path, new, ca.pem)
    clock.advance(1)
    with monkeypatch.context() as without_room:
        without_room.setattr(http_tls, "_memory_dir", lambda: str(tmp_path / "missing"))
        during = await _served_serial(url, client_context(ca))

    assert during == before
    assert await _served_serial(url, client_context(ca)) == new.serial


def test_a_process_does_not_start_with_a_certificate_that_openssl_refuses(
    ca: Authority, tmp_path: Path
) -> None:
    watcher = TLSFilesWatcher(
        write(tmp_path, short_key_pair(end=START + _HOUR), ca.pem), FakeClock()
    )

    with pytest.raises(TLSFilesError, match="OpenSSL does not take it"):
        server_ssl_context(watcher)


def test_a_process_does_not_start_where_nothing_can_hold_the_key_for_a_moment(
    watcher: TLSFilesWatcher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_tls, "_memory_dir", lambda: str(tmp_path / "missing"))

    with pytest.raises(StartError, match=r"key .* \(No such file or directory\); mount a tmpfs"):
        server_ssl_context(watcher)


async def test_a_ca_bundle_may_name_its_authorities_in_any_script(
    url: str,
    ca: Authority,
    watcher: TLSFilesWatcher,
    clock: FakeClock,
    client_context: Callable[..., ssl.SSLContext],
) -> None:
    replace(watcher.files.ca, "# Tür CA\n".encode() + ca.pem + Authority("another").pem)
    clock.advance(1)

    assert await _get(url, client_context(ca, ca.issue(uris=[APP]))) == APP
