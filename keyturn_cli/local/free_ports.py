"""Ports of the loopback interface: finding free ones, and telling whether one is taken."""

from __future__ import annotations

import os
import random
import socket
import sys
from collections import deque
from itertools import islice
from typing import Final

_LOOPBACK = "127.0.0.1"
# Below the ports that Linux (from 32768 on) and other systems give to outgoing connections: one of
# those would take a port in the time between its choice and its use.
_PORTS: Final = range(15_000, 32_768)
# The last that this process chose. Each is an open file: an earlier one is listened on by now.
_MAX_CLAIMS: Final = 256
_claims: deque[int] = deque()


def free_ports(count: int) -> list[int]:
    """Return *count* different TCP ports of 127.0.0.1 that nobody listens on now.

    On Linux no other process that asks here gets one of them for as long as this one runs, or has
    asked for 256 more; elsewhere they are chosen at random, so that two processes at the same time
    hardly choose the same. A stranger may still take one before its user binds it.

    Raises:
        OSError: There are not as many free ports.
    """
    candidates = random.sample(_PORTS, len(_PORTS))
    ports = list(islice((port for port in candidates if _claim(port)), count))
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


def _claim(port: int) -> bool:
    """Return whether *port* is free, and keep other processes from choosing it."""
    if sys.platform != "linux":
        return is_port_free(port)
    with socket.socket(socket.AF_UNIX) as claim:
        try:
            claim.bind(f"\0keyturn-port-{port}")  # no file: the kernel frees it with the process
        except OSError:
            return False
        if not is_port_free(port):
            return False
        _claims.append(claim.detach())
    if len(_claims) > _MAX_CLAIMS:
        os.close(_claims.popleft())
    return True
