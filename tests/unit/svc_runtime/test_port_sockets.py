from __future__ import annotations

import socket
from pathlib import Path

import pytest

from svc_runtime import port_sockets
from svc_runtime.port_sockets import connection_count, require_descriptors, stop_listening
from svc_runtime.start_error import StartError


def test_a_port_that_listens_no_more_keeps_its_connections() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)) as client:
            connection, _ = listener.accept()
            with connection:
                stop_listening(port)
                connection.sendall(b"still here")
                received = client.recv(64)
                with pytest.raises(ConnectionRefusedError):
                    socket.create_connection(("127.0.0.1", port))

    assert received == b"still here"


def test_connections_are_counted_until_they_are_closed() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        before = connection_count(port)
        with socket.create_connection(("127.0.0.1", port)):
            connection, _ = listener.accept()
            with connection:
                during = connection_count(port)
            after = connection_count(port)

    assert (before, during, after) == (0, 1, 0)


def test_a_port_that_was_told_to_stop_counts_as_no_connection() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        stop_listening(port)

        assert connection_count(port) == 0


def test_other_ports_are_left_alone() -> None:
    address = ("127.0.0.1", 0)
    with socket.create_server(address) as one, socket.create_server(address) as other:
        stop_listening(one.getsockname()[1])
        is_listening = other.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)

    assert is_listening


def test_without_dev_fd_sockets_are_found_by_the_other_list(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed, missing = Path("/dev/fd"), tmp_path / "fd"
    monkeypatch.setattr(port_sockets, "_DESCRIPTORS", (missing, listed))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)):
            connection, _ = listener.accept()
            with connection:
                require_descriptors()

                assert connection_count(port) == 1


def test_a_system_that_does_not_list_sockets_is_told_of_before_one_is_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(port_sockets, "_DESCRIPTORS", (tmp_path / "a", tmp_path / "b"))

    with pytest.raises(StartError, match=r"/a and .*/b: cannot be read.*; mount /proc"):
        require_descriptors()
