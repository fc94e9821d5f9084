from __future__ import annotations

import socket

from keyturn_cli.local.free_ports import free_ports, is_port_free


def test_free_ports_are_different_and_can_be_listened_on() -> None:
    ports = free_ports(20)

    assert len(set(ports)) == 20
    assert all(is_port_free(port) for port in ports)


def test_a_port_with_a_listener_is_not_free() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        assert not is_port_free(listener.getsockname()[1])
