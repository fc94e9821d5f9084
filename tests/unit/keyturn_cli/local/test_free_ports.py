from __future__ import annotations

import json
import socket
import subprocess
import sys

import pytest

from keyturn_cli.local.free_ports import free_ports, is_port_free

_ASK = """
import json, sys
from keyturn_cli.local.free_ports import _claim
print(json.dumps([_claim(int(port)) for port in sys.argv[1:]]))
"""


def test_free_ports_are_different_and_can_be_listened_on() -> None:
    ports = free_ports(20)

    assert len(set(ports)) == 20
    assert all(is_port_free(port) for port in ports)


def test_no_free_port_is_one_that_the_system_gives_to_outgoing_connections() -> None:
    assert max(free_ports(200)) < 32_768  # Linux's first; other systems begin above


def test_more_ports_than_there_are_is_an_error() -> None:
    with pytest.raises(OSError, match="not enough free ports"):
        free_ports(20_000)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere they are only chosen at random")
def test_what_one_process_chose_no_other_one_chooses() -> None:
    chosen = free_ports(5)

    asked = subprocess.run(
        [sys.executable, "-c", _ASK, *map(str, chosen)],
        capture_output=True,
        check=True,
    )

    assert json.loads(asked.stdout) == [False] * 5


def test_a_port_with_a_listener_is_not_free() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        assert not is_port_free(listener.getsockname()[1])
