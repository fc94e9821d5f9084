from __future__ import annotations

import socket

import pytest

from svc_runtime.port_sockets import connection_count, stop_listening


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
