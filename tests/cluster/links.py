"""The wires between the nodes of a cluster, and to them: TCP that can be cut without a word.

Every node is reached through a port of ours, by its peers and by its clients. A cut wire carries
nothing and says nothing, as a network does that loses every packet; once it is mended, what was
held back goes on, as TCP would send it again.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

_CHUNK = 64 * 1024
_CLIENT = ""  # the sender of a connection that is no node's


class Links:
    """Ports that lead to nodes, in a thread of their own."""

    def __init__(self, pids: Callable[[], Mapping[int, str]]) -> None:
        """Prepare.

        Args:
            pids: Tells which process is which node, so that a connection's sender is known.
        """
        self._pids = pids
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="links", daemon=True)
        self._cut: dict[str, bool] = {}
        self._changed: asyncio.Event
        self._servers: list[asyncio.Server] = []
        self._ends: set[asyncio.StreamWriter] = set()
        self._carrying: set[asyncio.Task[None]] = set()

    def start(self, ways: Mapping[int, tuple[str, int]]) -> None:
        """Listen on each port of *ways*, and lead it to a node's own port."""
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._listen(ways), self._loop).result(10)

    def stop(self) -> None:
        """Close everything."""
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def cut(self, node: str, *, is_for_clients: bool = True) -> None:
        """Let nothing through to *node* or from it; clients only get through if not for them."""
        self._loop.call_soon_threadsafe(self._cut.__setitem__, node, is_for_clients)

    def mend(self, node: str) -> None:
        """Let everything through to *node* and from it."""

        def mended() -> None:
            self._cut.pop(node, None)
            self._changed.set()
            self._changed = asyncio.Event()

        self._loop.call_soon_threadsafe(mended)

    async def _listen(self, ways: Mapping[int, tuple[str, int]]) -> None:
        self._changed = asyncio.Event()
        for port, (node, inner_port) in ways.items():

            def accept(
                reader: asyncio.StreamReader,
                writer: asyncio.StreamWriter,
                node: str = node,
                inner_port: int = inner_port,
            ) -> None:
                # Here: a task that is cancelled before it begins closes nothing.
                self._ends.add(writer)
                task = asyncio.create_task(self._carry(reader, writer, node, inner_port))
                self._carrying.add(task)
                task.add_done_callback(self._carrying.discard)

            self._servers.append(await asyncio.start_server(accept, "127.0.0.1", port))

    async def _close(self) -> None:
        for server in self._servers:
            server.close()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for end in self._ends:
            end.transport.abort()
        await asyncio.sleep(0)  # in which the sockets are closed

    async def _carry(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        node: str,
        inner_port: int,
    ) -> None:
        """Carry one connection, for as long as both ends want it."""
        ports = (writer.get_extra_info(name)[1] for name in ("peername", "sockname"))
        ends = {node, self._sender(*ports)}
        there: asyncio.StreamWriter | None = None
        try:
            await self._open_wire(ends)
            answers, there = await asyncio.open_connection("127.0.0.1", inner_port)
            self._ends.add(there)
            await asyncio.gather(self._pump(reader, there, ends), self._pump(answers, writer, ends))
        except OSError:
            pass  # an end has gone, or is not there: the other is told below
        finally:
            for end in (writer, there):
                if end is not None:
                    with contextlib.suppress(OSError):
                        end.close()

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, ends: set[str]
    ) -> None:
        while data := await reader.read(_CHUNK):
            await self._open_wire(ends)
            writer.write(data)
            await writer.drain()
        await self._open_wire(ends)
        writer.close()

    async def _open_wire(self, ends: set[str]) -> None:
        while self._is_cut(ends):
            await self._changed.wait()

    def _is_cut(self, ends: set[str]) -> bool:
        is_client = _CLIENT in ends
        return any(self._cut[node] or not is_client for node in ends & self._cut.keys())

    def _sender(self, port: int, our_port: int) -> str:
        """Return which node has the connection from *port* to *our_port*; `_CLIENT` for none."""
        inode = _inode_of(port, our_port)
        if inode is None:
            return _CLIENT
        for pid, node in self._pids().items():
            folder = Path(f"/proc/{pid}/fd")
            with contextlib.suppress(OSError):
                for entry in folder.iterdir():
                    with contextlib.suppress(OSError):
                        if str(entry.readlink()) == f"socket:[{inode}]":
                            return node
        return _CLIENT


def _inode_of(port: int, peer_port: int) -> str | None:
    """Return the inode of the socket at *port* that is connected to *peer_port* (proc(5)).

    Both are ports of 127.0.0.1. A port can have several connections, to different peers.
    """
    wanted = [f"0100007F:{number:04X}" for number in (port, peer_port)]
    for line in Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]:
        fields = line.split()
        if fields[1:3] == wanted and fields[9] != "0":
            return fields[9]
    return None
