from __future__ import annotations

import json
import os
import signal
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import hvac
import pytest

from keyturn_cli.local.child_process import stop_recorded
from keyturn_cli.local.errors import (
    AlreadyRunningError,
    ChildDiedError,
    PortTakenError,
    StateDamagedError,
)
from keyturn_cli.local.free_ports import free_ports
from keyturn_cli.local.openbao_server import OpenBaoServer
from keyturn_cli.local.pid_file import ProcessIdentity, read_pid_file
from tests.live_files import whole_lines


def _server(folder: Path) -> OpenBaoServer:
    """Return a server on other ports each time, as the local stack does."""
    port, cluster_port = free_ports(2)
    return OpenBaoServer(folder / "home", folder / "run", port=port, cluster_port=cluster_port)


def _recorded(folder: Path) -> ProcessIdentity:
    recorded = read_pid_file(folder / "run" / "openbao.pid")
    assert recorded is not None
    return recorded


@pytest.fixture(scope="module")
def used_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a first run left: a KV mount that holds one value."""
    # With a blank, as in "My Projects": paths travel through OpenBao's configuration.
    folder = tmp_path_factory.mktemp("used") / "a b"
    folder.mkdir()
    server = _server(folder)
    server.start()
    try:
        server.client().sys.enable_secrets_engine("kv", path="kept", options={"version": "1"})
        server.client().secrets.kv.v1.create_or_update_secret(
            "greeting", {"text": "hello-in-the-clear"}, mount_point="kept"
        )
    finally:
        server.stop(grace_seconds=0)
    return folder


@pytest.fixture
def used(used_folder: Path) -> Iterator[OpenBaoServer]:
    """The server of the first run, started again; killed in the end, which saves a second."""
    server = _server(used_folder)
    server.start()
    yield server
    server.stop(grace_seconds=0)


def _greeting(server: OpenBaoServer) -> str:
    answer = server.client().secrets.kv.v1.read_secret("greeting", mount_point="kept")
    return str(answer["data"]["text"])


def test_a_first_start_gives_an_unsealed_and_active_server(openbao: OpenBaoServer) -> None:
    health = openbao.client().sys.read_health_status(method="GET")

    assert health["initialized"]
    assert not health["sealed"]
    assert not health["standby"]


def test_the_root_token_and_every_other_file_are_the_owners_alone(openbao: OpenBaoServer) -> None:
    home = openbao.root_token_file.parent
    public = {"ca.pem", "listener.pem"}
    readable_by_others = {
        path.name
        for path in home.rglob("*")
        if path.is_file() and stat.S_IMODE(path.stat().st_mode) & 0o077
    }

    assert readable_by_others <= public
    assert stat.S_IMODE(home.stat().st_mode) == 0o700


def test_a_client_that_does_not_trust_the_authority_is_not_served(openbao: OpenBaoServer) -> None:
    stranger = hvac.Client(url=openbao.address, verify=True)

    with pytest.raises(OSError, match="CERTIFICATE_VERIFY_FAILED"):
        stranger.sys.read_health_status(method="GET")


def test_a_restart_keeps_the_data(used: OpenBaoServer) -> None:
    assert _greeting(used) == "hello-in-the-clear"


def test_the_audit_log_holds_each_request_and_no_value(used: OpenBaoServer) -> None:
    before = len(whole_lines(used.audit_log))

    _greeting(used)

    text = used.audit_log.read_text()
    lines = [json.loads(line) for line in whole_lines(used.audit_log)[before:]]
    seen = [(line["type"], line["request"]["path"]) for line in lines]
    assert seen == [("request", "kept/greeting"), ("response", "kept/greeting")]
    assert "hello-in-the-clear" not in text
    assert used.root_token_file.read_text() not in text


def test_a_moved_audit_log_is_begun_anew_at_sighup(used: OpenBaoServer) -> None:
    moved = used.audit_log.with_name("audit.log.1")
    used.audit_log.rename(moved)

    assert used.pid is not None
    os.kill(used.pid, signal.SIGHUP)
    while not used.audit_log.exists():
        _greeting(used)

    assert stat.S_IMODE(used.audit_log.stat().st_mode) == 0o600


def test_a_sealed_server_stays_sealed_until_it_is_restarted(used_folder: Path) -> None:
    sealed = _server(used_folder)
    sealed.start()
    try:
        sealed.client().sys.seal()
        assert sealed.client().sys.is_sealed()
    finally:
        sealed.stop(grace_seconds=0)

    restarted = _server(used_folder)
    restarted.start()
    try:
        assert _greeting(restarted) == "hello-in-the-clear"
    finally:
        restarted.stop(grace_seconds=0)


def test_stop_leaves_no_process_no_pid_file_and_no_listener(used_folder: Path) -> None:
    server = _server(used_folder)
    server.start()
    process = _recorded(used_folder)

    server.stop()

    assert not process.is_running()
    assert list((used_folder / "run").iterdir()) == []
    with socket.socket() as connection:
        port = int(server.address.rpartition(":")[2])
        assert connection.connect_ex(("127.0.0.1", port)) != 0


def test_it_can_be_stopped_from_another_terminal(used_folder: Path) -> None:
    server = _server(used_folder)
    server.start()
    process = _recorded(used_folder)

    assert stop_recorded(used_folder / "run", grace_seconds=0) == ["openbao"]
    assert not process.is_running()
    assert stop_recorded(used_folder / "run") == []
    assert server.pid is None


def test_a_second_server_of_the_same_folder_is_refused(
    used: OpenBaoServer, used_folder: Path
) -> None:
    with pytest.raises(AlreadyRunningError, match=str(used.pid)):
        _server(used_folder).start()

    assert _greeting(used) == "hello-in-the-clear"


@pytest.mark.parametrize("taken", [0, 1], ids=["api-port", "cluster-port"])
def test_a_taken_port_is_named(tmp_path: Path, taken: int) -> None:
    ports = free_ports(2)
    server = OpenBaoServer(
        tmp_path / "home", tmp_path / "run", port=ports[0], cluster_port=ports[1]
    )

    with (
        socket.create_server(("127.0.0.1", ports[taken])),
        pytest.raises(PortTakenError, match=f"port {ports[taken]} of 127.0.0.1 is taken"),
    ):
        server.start()

    assert server.pid is None


def test_a_server_that_dies_at_start_shows_its_last_words(tmp_path: Path) -> None:
    server = _server(tmp_path)
    (tmp_path / "home" / "raft").mkdir(parents=True)
    (tmp_path / "home" / "unseal-key").write_bytes(b"too short")

    with pytest.raises(ChildDiedError, match="key") as caught:
        server.start()

    assert caught.value.exit_status == 1
    assert list((tmp_path / "run").iterdir()) == []


def test_data_without_its_unseal_key_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "home" / "raft").mkdir(parents=True)

    with pytest.raises(StateDamagedError, match="unseal-key"):
        _server(tmp_path).start()

    assert not (tmp_path / "home" / "unseal-key").exists()


def test_data_without_its_root_token_is_left_alone(used_folder: Path) -> None:
    server = _server(used_folder)
    hidden = server.root_token_file.rename(server.root_token_file.with_name("hidden"))
    try:
        with pytest.raises(StateDamagedError, match="root-token"):
            server.start()
    finally:
        hidden.rename(server.root_token_file)

    assert server.pid is None
