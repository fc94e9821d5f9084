"""The sockets of one port of this process, which gRPC opened and does not hand out.

gRPC can refuse new connections only by refusing new calls on those that exist, too: what has been
sent, and not yet been taken up, is then lost. A listening socket that is shut down refuses the
former alone.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from svc_runtime.start_error import StartError

# Of this process. The first is on macOS, too; on Linux it leads to the second, if /dev is whole.
_DESCRIPTORS: Final = (Path("/dev/fd"), Path("/proc/self/fd"))
_FAMILIES: Final = frozenset({socket.AF_INET, socket.AF_INET6})


def require_descriptors() -> None:
    """Make sure that sockets will be found when a port is to stop.

    Raises:
        StartError: This system does not list them.
    """
    _descriptors()


def stop_listening(port: int) -> None:
    """Refuse further connections to *port*; those that exist live on."""
    for found in _sockets_of(port):
        if found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            with suppress(OSError):  # closed meanwhile
                found.shutdown(socket.SHUT_RDWR)


def connection_count(port: int) -> int:
    """Return how many clients are connected to *port*."""
    return sum(_is_connected(found) for found in _sockets_of(port))


def _sockets_of(port: int) -> Iterator[socket.socket]:
    """Yield this process's sockets at *port*; each is a copy, and closed afterwards."""
    for descriptor in _descriptors():
        found = _copy(descriptor)
        if found is not None:
            with found:
                if _is_at(found, port):
                    yield found


def _descriptors() -> list[int]:
    for folder in _DESCRIPTORS:
        with suppress(OSError):
            return [int(entry.name) for entry in folder.iterdir()]
    places = " and ".join(map(str, _DESCRIPTORS))
    raise StartError(f"{places}: cannot be read, and no port could stop without them; mount /proc")


def _copy(descriptor: int) -> socket.socket | None:
    """Return a copy of *descriptor*, so that it cannot become another one meanwhile."""
    try:
        copied = os.dup(descriptor)
    except OSError:
        return None  # that of the listing itself, or one that was closed since
    try:
        return socket.socket(fileno=copied)
    except OSError:
        os.close(copied)
        return None  # no socket


def _is_at(found: socket.socket, port: int) -> bool:
    if found.family not in _FAMILIES:
        return False
    with suppress(OSError):
        return bool(found.getsockname()[1] == port)
    return False


def _is_connected(found: socket.socket) -> bool:
    with suppress(OSError):
        found.getpeername()
        return True
    return False
