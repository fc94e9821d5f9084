from __future__ import annotations

import stat
import subprocess
from pathlib import Path

import pytest

from keyturn_cli.client_settings import MADE_BY, read_env_file
from keyturn_cli.local.client_env import write_client_env
from keyturn_cli.local.layout import Layout
from keyturn_cli.local.openbao_server import OpenBaoServer
from svc_runtime.secret_bytes import SecretBytes

PORTS = {"gateway-grpc": 1001, "gateway-http": 1002, "keyvault-owner": 1003}


@pytest.fixture(params=[".keyturn", 'it\'s a "$HOME" `of` \\ alice;'])
def layout(request: pytest.FixtureRequest, tmp_path: Path) -> Layout:
    layout = Layout(tmp_path / request.param)
    layout.home.mkdir()
    return layout


def _write(layout: Layout, owner_token: bytes = b"owner.to.ken") -> None:
    write_client_env(
        layout,
        ports=PORTS,
        key_name="users/alice/keys/standin",
        openbao=OpenBaoServer(layout.openbao_dir, layout.run_dir, port=8200, cluster_port=8201),
        owner_token=SecretBytes(owner_token),
        app_token=SecretBytes(b"app.to.ken"),
    )


def test_the_command_reads_every_variable_that_it_knows(layout: Layout) -> None:
    _write(layout)

    variables = read_env_file(layout.client_env)

    assert set(variables) == set(MADE_BY)
    assert variables["KEYTURN_GRPC"] == "127.0.0.1:1001"
    assert variables["KEYTURN_HTTP"] == "https://127.0.0.1:1002"
    assert variables["KEYTURN_KEYS_GRPC"] == "127.0.0.1:1003"
    assert variables["VAULT_ADDR"] == "https://127.0.0.1:8200"
    assert variables["KEYTURN_CERT"] == str(layout.home / "certificates" / "app-demo.pem")
    assert variables["KEYTURN_OWNER_TOKEN"] == "owner.to.ken"


def test_a_shell_reads_what_the_command_reads(layout: Layout) -> None:
    _write(layout)
    show = '. "$0"; exec env -0'

    shown = subprocess.run(
        ["/bin/sh", "-euc", show, str(layout.client_env)], env={}, capture_output=True, check=True
    )

    exported = dict(line.split("=", 1) for line in shown.stdout.decode().split("\0") if line)
    assert exported.items() >= read_env_file(layout.client_env).items()


def test_the_file_is_its_owner_s_alone_and_written_anew(layout: Layout) -> None:
    layout.client_env.touch(mode=0o644)

    _write(layout)
    _write(layout, owner_token=b"an.other.token")

    assert stat.S_IMODE(layout.client_env.stat().st_mode) == 0o600
    assert read_env_file(layout.client_env)["KEYTURN_OWNER_TOKEN"] == "an.other.token"
