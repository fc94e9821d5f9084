"""A server that nobody has set up yet, one per test module."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from keyturn_cli.local.free_ports import free_ports
from keyturn_cli.local.openbao_server import OpenBaoServer
from keyvault_svc.vault.bootstrap import BootstrapOptions
from keyvault_svc.vault.bootstrap.login_options import LoginOptions
from tests.integration.keyvault_svc.login_choices import base_options, login_choices


@pytest.fixture(scope="module")
def empty_openbao(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenBaoServer]:
    folder = tmp_path_factory.mktemp("empty-openbao")
    port, cluster_port = free_ports(2)
    server = OpenBaoServer(folder / "data", folder / "run", port=port, cluster_port=cluster_port)
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def base() -> BootstrapOptions:
    return base_options()


@pytest.fixture(scope="module")
def logins(tmp_path_factory: pytest.TempPathFactory) -> dict[str, LoginOptions]:
    return login_choices(tmp_path_factory.mktemp("logins"))
