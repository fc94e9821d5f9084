from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import aiohttp

from svc_runtime.telemetry.measuring import measuring
from svc_runtime.tls_files import TLSFilesWatcher
from svc_runtime.vault.session import VaultConnection, VaultSession
from svc_runtime.vault.token_file_login import TokenFileLogin
from tests.certs import Authority, write
from tests.fakes.fake_clock import START, FakeClock
from tests.fakes.figures import samples


def _session(folder: Path) -> VaultSession:
    """Return a session that was never started."""
    connection = VaultConnection("https://127.0.0.1:1")
    return VaultSession(connection, TokenFileLogin(folder / "token"), FakeClock())


def _watcher(folder: Path) -> TLSFilesWatcher:
    authority = Authority()
    pair = authority.issue(dns=["localhost"], end=START + timedelta(hours=2))
    return TLSFilesWatcher(write(folder, pair, authority.pem), FakeClock())


async def test_the_state_of_token_and_certificate_is_served(tmp_path: Path) -> None:
    async with (
        measuring("test-svc", "127.0.0.1:0", _session(tmp_path), _watcher(tmp_path)) as port,
        aiohttp.ClientSession() as http,
        http.get(f"http://127.0.0.1:{port}/metrics") as answer,
    ):
        figures = dict(samples(await answer.text()))

    assert figures["keyturn_certificate_expiry_seconds", frozenset()] == 2 * 3600
    assert figures["keyturn_vault_ready", frozenset()] == 0
    assert "keyturn_vault_token_ttl_seconds" not in {name for name, _ in figures}


async def test_nothing_is_served_without_an_address(tmp_path: Path) -> None:
    async with measuring("test-svc", None, _session(tmp_path), _watcher(tmp_path)) as port:
        assert port == 0
