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
        self._cut: set[str] = set()
        self._changed: asyncio.Event
        self._servers: list[asyncio.Server] = []

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

    def cut(self, node: str) -> None:
        """Let nothing through to *node* or from it."""
        self._loop.call_soon_threadsafe(self._cut.add, node)

    def mend(self, node: str) -> None:
        """Let everything through to *node* and from it."""

        def mended() -> None:
            self._cut.discard(node)
            self._changed.set()
            self._changed = asyncio.Event()

        self._loop.call_soon_threadsafe(mended)

    async def _listen(self, ways: Mapping[int, tuple[str, int]]) -> None:
        self._changed = asyncio.Event()
        for port, (node, inner_port) in ways.items():

            async def carry(
                reader: asyncio.StreamReader,
                writer: asyncio.StreamWriter,
                node: str = node,
                inner_port: int = inner_port,
            ) -> None:
                await self._carry(reader, writer, node, inner_port)

            self._servers.append(await asyncio.start_server(carry, "127.0.0.1", port))

    async def _close(self) -> None:
        for server in self._servers:
            server.close()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _carry(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        node: str,
        inner_port: int,
    ) -> None:
        """Carry one connection, for as long as both ends want it."""
        ends = {node, self._sender(writer.get_extra_info("peername")[1])}
        there: asyncio.StreamWriter | None = None
        try:
            await self._open_wire(ends)
            answers, there = await asyncio.open_connection("127.0.0.1", inner_port)
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
        while ends & self._cut:
            await self._changed.wait()

    def _sender(self, port: int) -> str:
        """Return which node has the connection whose own end is *port*; empty for a client."""
        inode = _inode_of(port)
        if inode is None:
            return ""
        for pid, node in self._pids().items():
            folder = Path(f"/proc/{pid}/fd")
            with contextlib.suppress(OSError):
                for entry in folder.iterdir():
                    with contextlib.suppress(OSError):
                        if str(entry.readlink()) == f"socket:[{inode}]":
                            return node
        return ""


def _inode_of(port: int) -> str | None:
    """Return the inode of the socket whose local port is *port* on 127.0.0.1 (proc(5))."""
    wanted = f"0100007F:{port:04X}"
    for line in Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]:
        fields = line.split()
        if fields[1] == wanted and fields[9] != "0":
            return fields[9]
    return None
