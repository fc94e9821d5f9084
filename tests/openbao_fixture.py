"""The real OpenBao of a test session, and the key that must show up nowhere."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from keyturn_cli.local.free_ports import free_ports
from keyturn_cli.local.openbao_server import OpenBaoServer
from keyturn_cli.standin.standin_keys import make_key
from svc_runtime.secret_bytes import SecretBytes


@pytest.fixture(scope="session")
def openbao(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenBaoServer]:
    """A running OpenBao without any mount of ours, for the whole session.

    A test that seals, stops or reconfigures it starts one of its own.
    """
    folder = tmp_path_factory.mktemp("openbao")
    port, cluster_port = free_ports(2)
    server = OpenBaoServer(folder / "home", folder / "run", port=port, cluster_port=cluster_port)
    server.start()
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="session")
def canary_key() -> SecretBytes:
    """A key that the stand-in accepts, of this session only, to look for where it must not be."""
    return make_key()
