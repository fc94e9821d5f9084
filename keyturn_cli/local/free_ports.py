"""Ports of the loopback interface: finding free ones, and telling whether one is taken."""

from __future__ import annotations

import contextlib
import socket

_LOOPBACK = "127.0.0.1"


def free_ports(count: int) -> list[int]:
    """Return *count* different TCP ports of 127.0.0.1 that nobody listens on now.

    All are held until the last is found, so they differ. Another process may still take
    one before its user binds it.
    """
    with contextlib.ExitStack() as held:
        listeners = [held.enter_context(socket.socket()) for _ in range(count)]
        for listener in listeners:
            listener.bind((_LOOPBACK, 0))
        return [int(listener.getsockname()[1]) for listener in listeners]


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
