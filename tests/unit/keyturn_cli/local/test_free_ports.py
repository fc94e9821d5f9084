from __future__ import annotations

import socket

import pytest

from keyturn_cli.local.free_ports import free_ports, is_port_free


def test_free_ports_are_different_and_can_be_listened_on() -> None:
    ports = free_ports(20)

    assert len(set(ports)) == 20
    assert all(is_port_free(port) for port in ports)


def test_no_free_port_is_one_that_the_system_gives_to_outgoing_connections() -> None:
    assert max(free_ports(200)) < 32_768  # Linux's first; other systems begin above


def test_more_ports_than_there_are_is_an_error() -> None:
    with pytest.raises(OSError, match="not enough free ports"):
        free_ports(20_000)


def test_a_port_with_a_listener_is_not_free() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        assert not is_port_free(listener.getsockname()[1])
