"""Ports of the loopback interface: finding free ones, and telling whether one is taken."""

from __future__ import annotations

import random
import socket
from itertools import islice
from typing import Final

_LOOPBACK = "127.0.0.1"
# Below the ports that Linux (from 32768 on) and other systems give to outgoing connections: one of
# those would take a port in the time between its choice and its use.
_PORTS: Final = range(15_000, 32_768)


def free_ports(count: int) -> list[int]:
    """Return *count* different TCP ports of 127.0.0.1 that nobody listens on now.

    They are chosen at random, so that two callers at the same time hardly choose the same. Another
    process may still take one before its user binds it.

    Raises:
        OSError: There are not as many free ports.
    """
    candidates = random.sample(_PORTS, len(_PORTS))
    ports = list(islice(filter(is_port_free, candidates), count))
    if len(ports) < count:
        raise OSError("there are not enough free ports on the loopback interface")
    return ports


def is_port_free(port: int) -> bool:
    """Return whether *port* of 127.0.0.1 can be listened on now."""
    with socket.socket() as listener:
        # As Go and grpc do: connections of an earlier listener in TIME_WAIT do not count.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((_LOOPBACK, port))
            listener.listen()
        except OSError:
            return False
    return True
